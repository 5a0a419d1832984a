"""Figure of a comparison: the effects of two fits on a common scale, and their difference."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from causalbias.arguments import rope_in
from causalbias.draws.summaries import SAMPLE
from causalbias.errors import DataError
from causalbias.plots.intervals import draw_intervals, levels_said, with_inner
from causalbias.plots.style import (
    TWO_COLUMNS,
    difference_name,
    few_ticks,
    finish,
    in_asked_order,
    key,
    label,
    legend_above,
    letter,
    new_figure,
    row_height,
    styled,
)


@styled
def comparison(
    draws: xr.Dataset,
    *,
    unit: str | None = None,
    order: str | Sequence[object] = "size",
    prob: float = 0.95,
    rope: tuple[float, float] | None = None,
    xlabel: str = "",
    note: str = "",
) -> Figure:
    """Draw the effects of a comparison, and their difference in a second panel.

    Parameters
    ----------
    draws : Dataset
        Result of `compare`, with one labelled dim besides `unit`.
    unit : str, optional
        One of the common units of the comparison; by default the first that has estimates.
    order : {"size", "data"} or sequence
        The rows from the top: by size of the difference (the default), in the order of the data, or
        the levels themselves.
    prob : float, default 0.95
        Probability of the outer intervals; the inner ones are of 66%.
    rope : (float, float), optional
        Region of practical equivalence, shaded behind the differences.
    xlabel, note : str
        Axis label (by default the unit) and a note below the figure.

    Returns
    -------
    Figure
        Two columns wide. The numbers on the right are posterior probabilities that the second
        effect is larger.

    Raises
    ------
    DataError
        If there is not exactly one dim besides the unit, the unit is unknown, or `order` is not of
        its levels.
    """
    if "unit" in draws.coords and "unit" not in draws.dims:  # one was selected
        draws = draws.expand_dims("unit")
    units = draws["unit"].values.tolist()
    if unit is None:
        known = (
            draws["difference"]
            .notnull()
            .any([dim for dim in draws["difference"].dims if dim != "unit"])
        )
        unit = units[int(known.values.argmax())]
    if unit not in units:
        raise DataError(f"there is no unit {unit!r}", hint=f"use one of {', '.join(units)}")
    one = draws.sel(unit=unit)
    dims = [str(dim) for dim in one["difference"].dims if dim not in SAMPLE]
    if len(dims) != 1:
        raise DataError(
            f"the comparison has dims {', '.join(dims) or 'none'} besides the unit",
            hint="keep one, selecting from the others with .sel, or squeeze() it",
        )
    rows = dims[0]
    # Tables have no rows of what is not estimable; it has one here, which says so.
    tables = {
        name: with_inner(one, prob, name).set_index(rows).reindex(one[rows].values.tolist())
        for name in ("effect_a", "effect_b", "difference")
    }
    sizes = tables["difference"]["estimate"]
    places = in_asked_order(sizes.index.tolist(), order, sizes)
    shown = [label(difference_name(name, draws, rows)) for name in places]
    height = 1.1 + len(shown) * row_height(shown, 0.22)
    fig, axes = new_figure(TWO_COLUMNS, height, ncols=2, sharey=True, width_ratios=[1.2, 1])
    labels = [str(draws.attrs[name]) for name in "ab"]
    for at, (name, side) in enumerate(zip(("effect_a", "effect_b"), labels, strict=True)):
        _intervals(axes[0], tables[name].loc[places], at, 0.14 - 0.28 * at, side)
    _intervals(axes[1], tables["difference"].loc[places], 6, 0.0, None)
    for at, chance in enumerate(tables["difference"].loc[places, "p_larger"]):
        beside = axes[1].get_yaxis_transform()
        axes[1].text(1.01, at, _chance(chance), transform=beside, va="center", fontsize=6.5)
    axes[1].set_title(label(f"P({labels[1]} larger)", 40), loc="right", fontsize=6.5)
    if rope is not None:
        axes[1].axvspan(*rope_in(rope), color="0.9", zorder=-1)
    axes[0].set_yticks(range(len(places)), shown)
    axes[0].set_ylim(-0.6, len(places) - 0.4)
    legend_above(fig, *axes[0].get_legend_handles_labels())
    for panel in axes:
        panel.axvline(0, color="0.6", linewidth=0.6, zorder=0)
        panel.grid(axis="x", color="0.92", linewidth=0.5)
        panel.set_axisbelow(True)
        few_ticks(panel)
    axes[0].set_xlabel(xlabel or f"effect ({unit})")
    axes[1].set_xlabel(label(f"{labels[1]} minus {labels[0]}", 40))
    letter(axes)
    return finish(fig, note, draws, levels=levels_said(prob))


def _intervals(
    axes: Axes, table: pd.DataFrame, series: int, offset: float, name: str | None
) -> None:
    y = np.arange(len(table)) + offset
    draw_intervals(axes, table, y, series=series, label=key(name))


def _chance(value: float) -> str:
    """Format a probability, which a finite number of draws cannot show to be 0 or 1."""
    if np.isnan(value):
        return "not estimable"
    return "< 0.001" if value < 0.001 else "> 0.999" if value > 0.999 else f"{value:.3f}"
