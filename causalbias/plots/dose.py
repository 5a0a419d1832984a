"""Figure of a dose-response curve: the mean outcome at each dose, with its band."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from causalbias.draws.summaries import SAMPLE, drawn, summarise
from causalbias.errors import DataError
from causalbias.plots.style import (
    COLOURS,
    MARKERS,
    ONE_COLUMN,
    finish,
    key,
    legend_above,
    new_figure,
    styled,
)


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
    """Draw a mean outcome, or its slope, by dose, with a band.

    Parameters
    ----------
    draws : Dataset
        From `dose`, with at most one labelled dim besides the dose, which gives the lines.
    of : str, optional
        "slope" for the slopes; by default the mean outcome.
    prob : float, default 0.95
        Probability of the bands, each dose's own.
    xlabel, ylabel, note : str
        Axis labels (by default the dose and the outcome) and a note below the figure.

    Returns
    -------
    Figure
        One column wide. A dose whose outcome is not estimable is left out.

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
    table = summarise(draws, prob=prob, of=name).dropna(subset="estimate")
    lines = list(table.groupby(others[0], sort=False)) if others else [("", table)]
    fig, axes = new_figure(ONE_COLUMN, 2.6)
    for at, (level, part) in enumerate(lines):
        part = part.sort_values(across)
        colour, mark = COLOURS[at % len(COLOURS)], MARKERS[at % len(MARKERS)]
        x = part[across].to_numpy(float)
        axes.fill_between(x, part["lower"], part["upper"], color=colour, alpha=0.15, linewidth=0)
        label = key(f"{others[0]} {level!s}") if others else None
        points = mark if len(np.unique(x)) <= 10 else ""
        axes.plot(x, part["estimate"], color=colour, marker=points, label=label)
    axes.grid(color="0.92", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_xlabel(xlabel or across)
    outcome = str(draws.attrs.get("outcome", name))
    axes.set_ylabel(ylabel or (outcome if name == "prediction" else f"{name} of {outcome}"))
    if others:
        legend_above(fig, *axes.get_legend_handles_labels())
    return finish(fig, note, draws)
