"""Figures of the chains of a fit: traces, and ranks by chain."""

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import rankdata

from causalbias.arguments import names_in, need_posterior
from causalbias.errors import DataError
from causalbias.models.summary import parameter_draws, summary
from causalbias.plots.style import COLOURS, facets, finish, label, legend_above, letter, styled

MOST_PANELS = 12
MOST_DRAWS = 1000  # of a chain that a trace shows
BINS = 20  # of ranks


@styled
def trace(fit: xr.DataTree, *, parameters: Sequence[str] | None = None, note: str = "") -> Figure:
    """Draw the draws of parameters in their order, a line per chain.

    Parameters
    ----------
    fit : Fit
        The fitted model.
    parameters : sequence of str, optional
        Names as in `summary`, at most 12; by default those with the largest R-hat.
    note : str
        Note below the figure.

    Returns
    -------
    Figure
        Two columns wide, a panel per parameter with its R-hat and bulk effective sample size. Of
        more than 1000 draws a chain, evenly spaced ones are drawn.

    Raises
    ------
    DataError
        If the fit has no such parameter, or more than 12 are asked for.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ level + (1|annotator)", study, subset="question == 'age'")
    >>> [axes.get_title().splitlines()[0] for axes in cb.plots.trace(fit).axes]
    ['sd(1|annotator)', 'Intercept', 'level', 'sigma']
    """

    def draw(axes: Axes, values: np.ndarray) -> None:
        step = -(-values.shape[1] // MOST_DRAWS)
        along = np.arange(values.shape[1])[::step]
        for at, chain in enumerate(values[:, ::step]):
            colour = COLOURS[at % len(COLOURS)]
            axes.plot(along, chain, color=colour, linewidth=0.4, alpha=0.8, label=f"chain {at + 1}")

    return _by_parameter(fit, parameters, note, draw, "draw", share_y=False)


@styled
def rank(fit: xr.DataTree, *, parameters: Sequence[str] | None = None, note: str = "") -> Figure:
    """Draw how often draws of each chain have each rank among those of all chains.

    Chains that have mixed have all ranks equally often; a chain that stays elsewhere, or spreads
    less, has a slope or a hump (Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021, Bayesian
    Analysis 16(2), section 5).

    Parameters
    ----------
    fit : Fit
        The fitted model.
    parameters : sequence of str, optional
        Names as in `summary`, at most 12; by default those with the largest R-hat.
    note : str
        Note below the figure.

    Returns
    -------
    Figure
        Two columns wide, a panel per parameter with its R-hat and bulk effective sample size. The
        dotted line is the expected count of each of 20 bins.

    Raises
    ------
    DataError
        If the fit has no such parameter, or more than 12 are asked for.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ level + (1|annotator)", study, subset="question == 'age'")
    >>> cb.plots.rank(fit, parameters=["level"]).axes[0].get_xlabel()
    'rank among all chains'
    """

    def draw(axes: Axes, values: np.ndarray) -> None:
        ranks = rankdata(values, method="average").reshape(values.shape)
        edges = np.linspace(0, values.size, BINS + 1)
        axes.axhline(values.shape[1] / BINS, color="0.4", linewidth=0.8, linestyle=":")
        for at, chain in enumerate(ranks):
            counts, _ = np.histogram(chain, edges)
            colour = COLOURS[at % len(COLOURS)]
            axes.stairs(
                counts, edges, baseline=None, color=colour, linewidth=0.9, label=f"chain {at + 1}"
            )

    fig = _by_parameter(fit, parameters, note, draw, "rank among all chains", share_y=True)
    fig.axes[0].set_ylim(bottom=0)  # now that all are drawn: their scale is one
    return fig


def _by_parameter(
    fit: xr.DataTree,
    parameters: Sequence[str] | None,
    note: str,
    draw: Callable[[Axes, np.ndarray], None],
    xlabel: str,
    *,
    share_y: bool,
) -> Figure:
    need_posterior(fit)
    table, draws = summary(fit), parameter_draws(fit)
    if parameters is None:
        worst = set(table["r_hat"].sort_values(ascending=False, kind="stable").index[:MOST_PANELS])
        parameters = [name for name in table.index if name in worst]
    chosen = list(names_in(parameters, "parameters"))
    unknown = [name for name in chosen if name not in draws]
    if unknown or not chosen or len(chosen) > MOST_PANELS:
        raise DataError(
            f"there is no parameter {unknown[0]!r}" if unknown else f"{len(chosen)} parameters",
            hint=f"give 1 to {MOST_PANELS} of {', '.join(draws)}",
        )
    fig, panels = facets(len(chosen), height=1.35, share_y=share_y)
    for axes, name in zip(panels, chosen, strict=True):
        draw(axes, draws[name])
        row = table.loc[name]
        said = f"R-hat {row['r_hat']:.2f}, ESS {row['ess_bulk']:,.0f}"
        axes.set_title(f"{label(name, 26)}\n{said}", fontsize=7)
    for axes in panels[-min(4, len(panels)) :]:
        axes.set_xlabel(xlabel)
    letter(panels)
    legend_above(fig, *panels[0].get_legend_handles_labels())
    others = len(draws) - len(chosen)
    left = f"{others} other parameters are not drawn." if others else ""
    return finish(fig, " ".join(filter(None, [note, left])), fit)
