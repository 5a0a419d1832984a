"""Figure of a dose-response curve: the mean outcome at each dose, with its ribbons."""

import xarray as xr
from matplotlib.figure import Figure

from causalbias.draws.summaries import SAMPLE, drawn
from causalbias.errors import DataError
from causalbias.plots.conditional import drawn_by
from causalbias.plots.style import styled


@styled
def dose_curve(
    draws: xr.Dataset,
    *,
    of: str | None = None,
    prob: float = 0.95,
    xlabel: str = "",
    ylabel: str = "",
    note: str = "",
) -> Figure:
    """Draw a mean outcome, or its slope, by dose, with ribbons.

    Parameters
    ----------
    draws : Dataset
        From `dose`, with at most one labelled dim besides the dose, which gives the lines.
    of : str, optional
        "slope" for the slopes; by default the mean outcome.
    prob : float, default 0.95
        Probability of the outer ribbons, each dose's own; the inner ones are of 66%.
    xlabel, ylabel, note : str
        Axis labels (by default the dose and the outcome) and a note below the figure.

    Returns
    -------
    Figure
        One column wide; two with a panel for each of more than six lines. A dose whose outcome is
        not estimable is left out, and the note says so.

    Raises
    ------
    DataError
        If there is no dose, or more than one other dim: select a level of the others first.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ poly(level, 2) + (1|annotator)", study, subset="question == 'age'")
    >>> cb.plots.dose_curve(cb.dose(fit, "level")).axes[0].get_xlabel()
    'level'
    """
    name, across = drawn(draws, of), str(draws.attrs["treatment"])
    others = [str(dim) for dim in draws[name].dims if dim not in (*SAMPLE, across)]
    if across not in draws[name].dims or len(others) > 1:
        raise DataError(
            f"{name} has dims {', '.join([across, *others])}",
            hint="give one besides the dose, selecting from the others with .sel",
        )
    return drawn_by(draws, across, name, prob, xlabel, ylabel, note)
