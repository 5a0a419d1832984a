"""Forest plot of effects: one row per estimand, with its density and intervals."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from causalbias.draws.estimate import where_reported
from causalbias.draws.summaries import RATE_RATIO, RATIO, SAMPLE, drawn
from causalbias.errors import DataError
from causalbias.plots.intervals import (
    density,
    draw_intervals,
    draw_slabs,
    levels_said,
    with_inner,
)
from causalbias.plots.style import (
    COLOURS,
    ONE_COLUMN,
    difference_name,
    finish,
    in_asked_order,
    key,
    label,
    legend_above,
    log_ticks,
    new_figure,
    row_height,
    styled,
)

MOST_SLABS = 24  # of more intervals in a figure, no densities are drawn
FILLED = 0.92  # share of a row that its series take


@styled
def forest(
    draws: xr.Dataset,
    *,
    rows: str | None = None,
    order: str | Sequence[object] = "size",
    prob: float = 0.95,
    xlabel: str = "",
    note: str = "",
) -> Figure:
    """Draw estimates as half-eyes: density, inner and outer interval, and median of each.

    Parameters
    ----------
    draws : Dataset
        Result of `effects`, `predictions` or `per_unit`, with at most two labelled dims.
    rows : str, optional
        The dim whose levels are the rows; by default the longest. The levels of the other dim, if
        there is one, are series of points.
    order : {"size", "data"} or sequence
        The rows from the top: by size in the last series (the default), in the order of the data,
        or the levels themselves, so that all figures of a paper have the same order.
    prob : float, default 0.95
        Probability of the outer intervals; the inner ones are of 66%.
    xlabel, note : str
        Axis label (by default the outcome) and a note below the figure, to which the probabilities
        of the intervals are added.

    Returns
    -------
    Figure
        One column wide. Levels of a contrast are named as differences, such as "black − white".
        Densities have the same area; there are none of more than 24 estimates, of estimates
        without a two-sided interval, or of draws of a few values. An unbounded interval is drawn as
        a dotted line across the panel, and a one-sided one as an arrow. The row of an estimand that
        is not estimable has a text instead of an interval.

    Raises
    ------
    DataError
        If there are more than two dims or no estimates, `rows` is not one of the dims, or `order`
        is not of its levels.
    """
    name = drawn(draws)
    dims = _dims_of(draws[name], rows)
    table = with_inner(draws, prob)
    if table.empty:
        raise DataError("there is no estimate to draw", hint="see .summary() for what there is")
    if not dims:
        table, dims = table.assign(**{name: name}), [name]
    rows = rows or max(dims, key=lambda dim: table[dim].nunique())
    series = next((dim for dim in dims if dim != rows), None)
    groups = list(table.groupby(series, sort=False)) if series else [("", table)]
    last = groups[-1][1].set_index(rows)["estimate"]
    values = list(dict.fromkeys(table[rows]))
    places = in_asked_order(
        values, order, pd.Series({one: last.get(one, np.nan) for one in values})
    )
    stated = table.dropna(subset="estimate")[["estimate", "lower", "upper"]].to_numpy(float)
    log = bool(
        draws[name].attrs.get("quantity") in (RATIO, RATE_RATIO)
        and (stated[np.isfinite(stated)] > 0).all()
    )
    slabs = _slabs(draws, table, dims, log) if len(table) <= MOST_SLABS else {}
    names = [_row_name(one, draws, rows) for one in places]
    fig, axes, share = _panel(names, len(groups), legend=series is not None, slabs=bool(slabs))
    heights = []
    for at, (one, part) in enumerate(groups):
        y = np.array([places.index(value) for value in part[rows]]) - share * (
            at - (len(groups) - 1) / 2
        )
        known = None if series is None else f"{series} {difference_name(one, draws, series)}"
        _draw_series(axes, part, y, at, known, draws[name].attrs.get("quantity", ""))
        heights += [
            (float(base), at, slabs[row])
            for base, row in zip(y, part.index, strict=True)
            if row in slabs
        ]
    draw_slabs(axes, heights, 0.85 * share)
    if log:
        axes.set_xscale("log")
    if not log or draws[name].attrs["quantity"] == RATE_RATIO:
        axes.axvline(1 if log else 0, color="0.6", linewidth=0.6, zorder=0)
    _show_rows(axes, names, share, len(groups), slabs=bool(slabs))
    axes.set_xlabel(xlabel or str(draws.attrs.get("outcome", name)))
    if log:
        log_ticks(axes.xaxis)
    if series:
        legend_above(fig, *axes.get_legend_handles_labels())
    return finish(fig, note, draws, levels=levels_said(prob, slabs=bool(slabs)))


def _dims_of(values: xr.DataArray, rows: str | None) -> list[str]:
    """The labelled dims of draws, at most two, of which `rows` is one."""
    dims = [str(dim) for dim in values.dims if dim not in SAMPLE]
    if len(dims) > 2:
        raise DataError(
            f"the draws have dims {', '.join(dims)}",
            hint="give one or two, selecting from the others with .sel",
        )
    if rows is not None and rows not in dims:
        raise DataError(
            f"there is no dim {rows!r}",
            hint=f"use one of {', '.join(dims) or 'none: leave it out'}",
        )
    return dims


def _show_rows(axes: Axes, names: list[str], share: float, series: int, *, slabs: bool) -> None:
    """Name the rows; where they have several series, every other one is shaded."""
    axes.set_yticks(range(len(names)), names)
    # A density is above its interval: the first row needs less room below than the last above.
    above = (0.95 if slabs else 0.55) * share
    lowest = -share * series / 2 - 0.1
    axes.set_ylim(lowest, len(names) - 1 + share * (series - 1) / 2 + above + 0.05)
    for row in range(0, len(names) if series > 1 else 0, 2):
        edge = row - 0.5 + (0.2 * share if slabs else 0.0)
        axes.axhspan(edge, edge + 1, color="0.97", linewidth=0, zorder=-1)
    axes.grid(axis="x", color="0.9", linewidth=0.5)
    axes.set_axisbelow(True)


def _row_name(value: object, draws: xr.Dataset, rows: str) -> str:
    """Name a row; a number says of what it is."""
    named = difference_name(value, draws, rows)
    return label(named if isinstance(value, str) else f"{rows} {named}")


def _panel(
    names: list[str], series: int, *, legend: bool, slabs: bool
) -> tuple[Figure, Axes, float]:
    """Make a panel as high as its rows need; return the share of a row that each series takes."""
    each = row_height(names, (0.24 if slabs else 0.13) * series + 0.05)
    fig, axes = new_figure(ONE_COLUMN, 0.9 + len(names) * each + (0.2 if legend else 0))
    return fig, axes, FILLED / series


def _slabs(
    draws: xr.Dataset, table: pd.DataFrame, dims: list[str], log: bool
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Densities by row of the table, where the draws have one and a two-sided interval."""
    name = drawn(draws)
    values, reported = draws[name], where_reported(draws, name)
    if reported is not None:
        values = values.where(reported)
    found = {}
    for row in table.index:
        cell = {dim: table.at[row, dim] for dim in dims if dim in values.dims}
        shape = density(values.sel(cell).values, log=log)
        if shape is not None:
            found[row] = shape
    return found


def _draw_series(
    axes: Axes, part: pd.DataFrame, y: np.ndarray, at: int, name: str | None, quantity: str
) -> None:
    ends = part[["lower", "upper"]].to_numpy(float)
    finite = np.isfinite(ends).all(axis=1)
    draw_intervals(axes, part[finite], y[finite], series=at, label=key(name))
    colour = COLOURS[at % len(COLOURS)]
    for row, (lower, upper), has_point in zip(y, ends, part["estimate"].notna(), strict=True):
        if np.isnan([lower, upper]).any():
            _say(axes, row, "not estimable", "center")
        elif np.isinf([lower, upper]).all():
            axes.axhline(row, color="0.5", linewidth=0.8, linestyle=":", zorder=0)
            why = "perceived change may be zero" if quantity == RATIO else "too few errors"
            _say(axes, row, f"not bounded: {why}", "bottom")
        elif np.isinf(upper):
            _say(axes, row, f"at least {lower:.3g}: too few errors for more", "bottom")
            axes.plot(lower, row, marker=">", color=colour)
        elif np.isinf(lower):
            _say(axes, row, f"at most {upper:.3g}", "bottom")
            axes.plot(upper, row, marker="<", color=colour)
        elif not has_point:
            axes.plot([lower, upper], [row, row], color=colour, linewidth=0.8)


def _say(axes: Axes, row: float, text: str, place: str) -> None:
    """Write in a row what it has in place of an interval."""
    axes.text(
        0.5,
        row,
        text,
        fontsize=6,
        color="0.35",
        ha="center",
        va=place,
        transform=axes.get_yaxis_transform(),
    )
