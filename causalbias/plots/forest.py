"""Forest plot of effects: one row per estimand, with an interval."""

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from causalbias.draws.summaries import RATE_RATIO, RATIO, SAMPLE, drawn, summarise
from causalbias.errors import DataError
from causalbias.plots.style import (
    ONE_COLUMN,
    error_bars,
    finish,
    key,
    label,
    legend_above,
    new_figure,
    styled,
)


@styled
def forest(
    draws: xr.Dataset,
    *,
    rows: str | None = None,
    prob: float = 0.95,
    xlabel: str = "",
    note: str = "",
) -> Figure:
    """Draw estimates with intervals, one row per level of a dim, sorted by size.

    Parameters
    ----------
    draws : Dataset
        Result of `effects`, `predictions` or `per_unit`, with one or two labelled dims.
    rows : str, optional
        The dim whose levels are the rows; by default the longest. The levels of the other dim, if
        there is one, are series of points.
    prob : float, default 0.95
        Probability of the intervals.
    xlabel, note : str
        Axis label (by default the outcome) and a note below the figure.

    Returns
    -------
    Figure
        One column wide. An unbounded interval is drawn as a dotted line across the panel. The row
        of an estimand that is not estimable has a text instead of an interval.

    Raises
    ------
    DataError
        If there are more than two dims, or `rows` is not one of them.
    """
    name = drawn(draws)
    dims = [str(dim) for dim in draws[name].dims if dim not in SAMPLE]
    if not dims or len(dims) > 2:
        raise DataError(
            f"the draws have dims {', '.join(dims) or 'none'}",
            hint="give one or two, selecting from the others with .sel",
        )
    if rows is not None and rows not in dims:
        raise DataError(f"there is no dim {rows!r}", hint=f"use one of {', '.join(dims)}")
    rows = rows or max(dims, key=lambda dim: draws.sizes[dim])
    series = [dim for dim in dims if dim != rows]
    table = summarise(draws, prob=prob)
    groups = list(table.groupby(series[0], sort=False)) if series else [("", table)]
    # Sorted by size in the last series; levels that have no estimate in it come first.
    last = groups[-1][1].set_index(rows)["estimate"]
    sizes = pd.Series({value: last.get(value, np.nan) for value in table[rows].unique()})
    order = sizes.sort_values(na_position="first").index.tolist()
    names = [label(value if isinstance(value, str) else f"{rows} {value}") for value in order]
    lines = sum(max(len(groups) / 2, 1 + name.count("\n")) for name in names)
    fig, axes = new_figure(ONE_COLUMN, 0.8 + 0.16 * lines + (0.2 if series else 0))
    offsets = np.linspace(0.16, -0.16, len(groups)) if len(groups) > 1 else [0.0]
    for at, ((one, part), offset) in enumerate(zip(groups, offsets, strict=True)):
        y = np.array([order.index(value) for value in part[rows]]) + offset
        _draw_series(axes, part, y, at, f"{series[0]} {one!s}" if series else None)
    if (
        draws[name].attrs.get("quantity") in (RATIO, RATE_RATIO)
        and (table["estimate"].dropna() > 0).all()
    ):
        axes.set_xscale("log")
    else:
        axes.axvline(0, color="0.6", linewidth=0.6, zorder=0)
    axes.set_yticks(range(len(order)), names)
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.grid(axis="x", color="0.92", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_xlabel(xlabel or str(draws.attrs.get("outcome", name)))
    if series:
        legend_above(fig, *axes.get_legend_handles_labels())
    return finish(fig, note, draws)


def _draw_series(axes: Axes, part: pd.DataFrame, y: np.ndarray, at: int, name: str | None) -> None:
    ends = part[["lower", "upper"]].to_numpy(float)
    finite, missing = np.isfinite(ends).all(axis=1), np.isnan(ends).any(axis=1)
    sure = part[finite]
    lengths = [sure["estimate"] - sure["lower"], sure["upper"] - sure["estimate"]]
    error_bars(axes, sure["estimate"], y[finite], xerr=lengths, series=at, label=key(name))
    for row in y[missing]:
        axes.text(
            0.5,
            row,
            "not estimable",
            fontsize=6,
            color="0.35",
            ha="center",
            va="center",
            transform=axes.get_yaxis_transform(),
        )
    for row in y[~finite & ~missing]:
        axes.axhline(row, color="0.5", linewidth=0.8, linestyle=":", zorder=0)
        axes.text(
            0.5,
            row,
            "not bounded: perceived change may be zero",
            fontsize=6,
            color="0.35",
            ha="center",
            va="bottom",
            transform=axes.get_yaxis_transform(),
        )
