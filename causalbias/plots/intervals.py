"""Points with an outer and an inner interval, and slabs of density: the look of all draws.

The grammar is that of ggdist (Kay 2024, IEEE Transactions on Visualization and Computer Graphics
30(1)): a slab is the density of the draws, a thin line the interval of `prob`, a thick line the
interval of 66%, and a point the median.
"""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.base import array_stats
from matplotlib.axes import Axes

from causalbias.draws.summaries import summarise
from causalbias.plots.style import COLOURS, error_bars

INNER = 0.66  # probability of the inner interval
FEW = 20  # of fewer distinct draws there is no density
TAILS = 0.005  # of the draws beyond each end of a slab


def with_inner(draws: xr.Dataset, prob: float, of: str | None = None) -> pd.DataFrame:
    """Summarise draws, with the limits of the inner interval beside those of the outer.

    Returns
    -------
    DataFrame
        As of `summarise`, with `inner_lower` and `inner_upper`, which are missing where the outer
        interval has one end only, where there is no estimate, or where `prob` is not above 66%.
    """
    table = summarise(draws, prob=prob, of=of)
    inner = summarise(draws, prob=INNER, of=of) if prob > INNER else table
    known = np.isfinite(table[["estimate", "lower", "upper"]].astype(float)).all(axis=1)
    known &= prob > INNER
    return table.assign(
        inner_lower=inner["lower"].where(known), inner_upper=inner["upper"].where(known)
    )


def levels_said(prob: float, *, slabs: bool = False) -> str:
    """The sentence of a figure's note that says what its marks are.

    Examples
    --------
    >>> levels_said(0.95)
    'Points: medians; thick: 66%, thin: 95% intervals.'
    """
    thick = f"thick: {100 * INNER:g}%, thin: " if prob > INNER else ""
    slab = "; slabs: densities" if slabs else ""
    return f"Points: medians; {thick}{100 * prob:g}% intervals{slab}."


def draw_intervals(
    axes: Axes, part: pd.DataFrame, along: Any, *, series: int, up: bool = False, **options: Any
) -> None:
    """Draw points of a table from `with_inner` at places `along` the axis of rows.

    Rounding may put an end of an interval on the wrong side of the estimate, by nothing to see.
    """
    side = "yerr" if up else "xerr"

    def lengths(lower: str, upper: str) -> list[pd.Series]:
        ends = [part["estimate"] - part[lower], part[upper] - part["estimate"]]
        return [one.clip(0) for one in ends]

    x, y = (along, part["estimate"]) if up else (part["estimate"], along)
    outer, inner = lengths("lower", "upper"), lengths("inner_lower", "inner_upper")
    error_bars(axes, x, y, series=series, **({side: outer} | options))
    error_bars(axes, x, y, series=series, **{"fmt": "none", "elinewidth": 2.6, side: inner})


def density(values: np.ndarray, *, log: bool = False) -> tuple[np.ndarray, np.ndarray] | None:
    """Density of draws between their outer quantiles, on the logarithm of them if asked.

    Returns
    -------
    places, heights : ndarray (points,)
        Or None where there is none to speak of: of draws that are missing, or of few values.
    """
    values = np.asarray(values, float).ravel()
    if not np.isfinite(values).all():
        return None
    if log:  # a few draws of a ratio may lie beyond zero, outside of its interval
        values = np.log(values[values > 0])
    if len(np.unique(values)) < FEW:
        return None
    places, heights, _ = array_stats.kde(values, grid_len=256)
    low, high = np.quantile(values, [TAILS, 1 - TAILS])
    inside = (places >= low) & (places <= high)
    return (np.exp(places[inside]) if log else places[inside]), heights[inside]


def draw_slabs(
    axes: Axes, slabs: list[tuple[float, int, tuple[np.ndarray, np.ndarray]]], height: float
) -> None:
    """Draw densities above their baselines, all of one area, the highest of a height.

    Parameters
    ----------
    axes : Axes
    slabs : list of (float, int, (ndarray, ndarray))
        Baseline, series, and what `density` returns.
    height : float
        Of the highest, in units of the rows.
    """
    top = max((heights.max() for _, _, (_, heights) in slabs), default=1.0)
    for base, series, (places, heights) in slabs:
        axes.fill_between(
            places,
            base,
            base + height * heights / top,
            color=COLOURS[series % len(COLOURS)],
            alpha=0.3,
            linewidth=0,
            zorder=0.5,
        )
