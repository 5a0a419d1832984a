"""Mean outcomes by one variable, in lines with ribbons or points with intervals."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from causalbias.draws.summaries import SAMPLE, drawn
from causalbias.errors import DataError
from causalbias.plots.intervals import INNER, draw_intervals, levels_said, with_inner
from causalbias.plots.style import (
    COLOURS,
    LETTER,
    apart,
    difference_name,
    facets,
    few_ticks,
    finish,
    key,
    label,
    legend_above,
    letter,
    marker,
    one_panel,
    styled,
)

MOST_LINES = 6  # of more lines, each has a panel
MOST_MARKED = 10  # places at which lines have marks
SPREAD = 0.5  # share of the room between two levels that points of one level take


@styled
def conditional_effects(
    draws: xr.Dataset,
    *,
    x: str | None = None,
    prob: float = 0.95,
    xlabel: str = "",
    ylabel: str = "",
    note: str = "",
) -> Figure:
    """Draw mean outcomes by a variable, as brms does: ribbons of numbers, intervals of levels.

    Parameters
    ----------
    draws : Dataset
        Result of `predictions` (of `datagrid` rows too) or `dose`, with one to three labelled dims.
    x : str, optional
        The dim along the horizontal axis; by default the first with three or more numbers, or else
        the first. Levels of the next dim are lines or points of their own, in panels of their own
        where they are more than six; levels of a third dim are panels.
    prob : float, default 0.95
        Probability of the outer ribbons and intervals, pointwise; the inner ones are of 66%.
    xlabel, ylabel, note : str
        Axis labels (by default the variable and the outcome) and a note below the figure.

    Returns
    -------
    Figure
        One column wide, or two with panels. What is not estimable is left out, and the note says
        so.

    Raises
    ------
    DataError
        If there are no or more than three dims, `x` is not one of them, or nothing is estimable.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> cb.plots.conditional_effects(cb.predictions(fit, by="level")).axes[0].get_xlabel()
    'level'
    """
    return drawn_by(draws, x, drawn(draws), prob, xlabel, ylabel, note)


def drawn_by(
    draws: xr.Dataset,
    x: str | None,
    name: str,
    prob: float,
    xlabel: str,
    ylabel: str,
    note: str,
) -> Figure:
    """The figure of `conditional_effects`, of one of the variables with draws."""
    dims = [str(dim) for dim in draws[name].dims if dim not in SAMPLE]
    if not dims or len(dims) > 3:
        raise DataError(
            f"the draws have dims {', '.join(dims) or 'none'}",
            hint="give one to three, selecting from the others with .sel",
        )
    if x is not None and x not in dims:
        raise DataError(f"there is no dim {x!r}", hint=f"use one of {', '.join(dims)}")
    x = x or next((dim for dim in dims if _numbers(draws, dim) >= 3), dims[0])
    table = with_inner(draws, prob, name)
    left_out = int(table["estimate"].isna().sum())
    table = table.dropna(subset="estimate")
    if table.empty:
        raise DataError("nothing is estimable", hint="see .summary() for why")
    lines, panels = [*(dim for dim in dims if dim != x), None, None][:2]
    if panels is None and lines is not None and table[lines].nunique() > MOST_LINES:
        lines, panels = None, lines
    shown = list(table.groupby(panels, sort=False)) if panels else [("", table)]
    fig, axes_of = facets(len(shown)) if panels else one_panel(2.6)
    order = list(dict.fromkeys(table[lines])) if lines else [""]
    for axes, (level, part) in zip(axes_of, shown, strict=True):
        _draw_panel(axes, part, x, lines, order, draws)
        if panels:
            name_of = difference_name(level, draws, panels)
            axes.set_title(label(f"{panels} {name_of}", 90 // min(4, len(shown))))
        if "contrast" in draws.attrs:
            axes.axhline(0, color="0.6", linewidth=0.6, zorder=0)
    for axes in axes_of[-min(4, len(axes_of)) :]:
        axes.set_xlabel(xlabel or x)
    _finish_axes(axes_of, fig, ylabel or _outcome(draws, name))
    if lines:
        legend_above(fig, *axes_of[0].get_legend_handles_labels())
    notes = [note, "Not drawn where not estimable."] if left_out else [note]
    said = _ribbons_said(prob) if _numbers(draws, x) >= 3 else levels_said(prob)
    return finish(fig, " ".join(filter(None, notes)), draws, levels=said)


def _numbers(draws: xr.Dataset, dim: str) -> int:
    """How many numbers a dim's labels are; none of text or of a contrast."""
    if draws.attrs.get("contrast") == dim:
        return 0
    return draws.sizes[dim] if draws[dim].dtype.kind in "iuf" else 0


def _outcome(draws: xr.Dataset, name: str) -> str:
    outcome = str(draws.attrs.get("outcome", name))
    return outcome if name in ("prediction", "effect") else f"{name} of {outcome}"


def _ribbons_said(prob: float) -> str:
    inner = f"{100 * INNER:g}% and " if prob > INNER else ""
    return f"Lines: medians; ribbons: pointwise {inner}{100 * prob:g}% intervals."


def _draw_panel(
    axes: Axes,
    part: pd.DataFrame,
    x: str,
    lines: str | None,
    order: Sequence[object],
    draws: xr.Dataset,
) -> None:
    """Draw the lines, or the points, of a panel; the places of levels are those of the data."""
    ribbons = _numbers(draws, x) >= 3
    places = {value: at for at, value in enumerate(draws[x].values.tolist())}
    step = SPREAD / max(len(order), 2)
    for at, level in enumerate(order):
        own = part if lines is None else part[part[lines] == level]
        name = f"{lines} {difference_name(level, draws, lines)}" if lines else None
        if ribbons:
            # With the places that are not estimable, at which the line and its ribbons end.
            every = own.set_index(x).reindex(np.sort(draws[x].values)).rename_axis(x)
            draw_ribbons(axes, every.reset_index(), x, at, key(name))
            continue
        along = own[x].map(places).to_numpy(float) + step * (at - (len(order) - 1) / 2)
        draw_intervals(axes, own, along, series=at, up=True, label=key(name))
    if not ribbons:
        _name_levels(axes, [difference_name(one, draws, x) for one in places])
        axes.set_xlim(-0.6, len(places) - 0.4)
    elif len(places) <= MOST_MARKED // 2:
        axes.set_xticks(apart(places))
    else:
        few_ticks(axes)


def _name_levels(axes: Axes, names: Sequence[str]) -> None:
    """Name the levels along an axis; slanted, where they would overlap."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    room = axes.get_position().width * figure.get_figwidth() / (0.9 * LETTER) / len(names)
    if max(len(word) for name in names for word in re.split(r"[\s-]", name)) <= room:
        axes.set_xticks(range(len(names)), [label(name, int(room)) for name in names])
    else:
        slanted = [label(name) for name in names]
        axes.set_xticks(range(len(names)), slanted, rotation=40, ha="right", rotation_mode="anchor")


def draw_ribbons(axes: Axes, part: pd.DataFrame, x: str, at: int, name: str | None) -> None:
    """Draw a line with its two ribbons, and marks where there are few places."""
    colour, along = COLOURS[at % len(COLOURS)], part[x].to_numpy(float)
    for lower, upper, alpha in (("lower", "upper", 0.15), ("inner_lower", "inner_upper", 0.2)):
        axes.fill_between(along, part[lower], part[upper], color=colour, alpha=alpha, linewidth=0)
    points = marker(at) if len(np.unique(along)) <= MOST_MARKED else ""
    axes.plot(along, part["estimate"], color=colour, marker=points, label=name)
    known = part["estimate"].notna().to_numpy()
    alone = known & ~np.r_[False, known[:-1]] & ~np.r_[known[1:], False]
    if alone.any():  # a place between others without, which no line and no ribbon shows
        draw_intervals(axes, part[alone], along[alone], series=at, up=True)


def _finish_axes(panels: Sequence[Axes], fig: Figure, ylabel: str) -> None:
    for axes in panels:
        axes.grid(color="0.92", linewidth=0.5)
        axes.set_axisbelow(True)
    if len(panels) == 1:
        panels[0].set_ylabel(ylabel)
    else:
        fig.supylabel(ylabel, fontsize=7.5)
        letter(panels)
