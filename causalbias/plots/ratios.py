"""Figure of the ratios of error rates of each two groups, with intervals that may be one-sided."""

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from causalbias.draws.summaries import summarise
from causalbias.errors import DataError
from causalbias.plots.style import (
    COLOURS,
    ONE_COLUMN,
    TWO_COLUMNS,
    error_bars,
    finish,
    in_order,
    key,
    label,
    legend_above,
    letter,
    log_ticks,
    new_figure,
    row_height,
    styled,
)
from causalbias.rates.differentials import AT_LEAST, AT_MOST, NONE, TWO_SIDED

PAIR = 30  # letters of a line of the names of two groups
TITLES = {"FMR": "false matches", "FNMR": "false non-matches"}


@styled
def ratio_intervals(ratios: xr.Dataset, *, prob: float = 0.95, note: str = "") -> Figure:
    """Draw the ratio of the error rates of each two groups, a panel per kind of error.

    Parameters
    ----------
    ratios : Dataset
        Result of `pairwise_rate_ratios`.
    prob : float, default 0.95
        Probability of the intervals.
    note : str
        Note below the figure.

    Returns
    -------
    Figure
        Two columns wide, or one for a single kind of error. Each two groups are a row, the one with
        more errors over all systems first; a system is a series. Where one group has too few errors
        to state its rate there is no point, and an arrow begins at the bound of the ratio.

    Raises
    ------
    DataError
        If there are no ratios.
    """
    table = summarise(ratios, prob=prob)
    if table.empty:
        raise DataError("there are no ratios", hint="give rates of two groups or more")
    table = _once(table)
    kinds = [kind for kind in TITLES if (table["rate_of"] == kind).any()]
    systems = in_order(table["system"])
    rows = max(table[table["rate_of"] == kind]["pair"].nunique() for kind in kinds)
    names = [label(pair, PAIR) for pair in table["pair"]]
    height = 1.0 + rows * row_height(names, max(0.22, 0.1 * (len(systems) + 1)))
    width = TWO_COLUMNS if len(kinds) > 1 else ONE_COLUMN
    fig, grid = new_figure(width, height, ncols=len(kinds), squeeze=False)
    spread = 0.3 * (1 - 1 / len(systems))
    offsets = dict(zip(systems, np.linspace(spread, -spread, len(systems)), strict=True))
    for axes, kind in zip(grid[0], kinds, strict=True):
        _panel(axes, table[table["rate_of"] == kind], offsets)
        axes.set_title(TITLES[kind])
        axes.set_xlabel(f"ratio of {kind}")
    handles, names = grid[0][0].get_legend_handles_labels()
    found = dict(zip(names, handles, strict=True))
    shown = [name for name in map(key, systems) if name in found]
    if len(systems) > 1 and shown:
        legend_above(fig, [found[name] for name in shown], shown)
    arrows = "Arrows begin at the bound of a ratio: one group has too few errors to state its rate."
    one_sided = table["interval"].isin([AT_LEAST, AT_MOST]).any()
    letter(grid[0])
    said = f"Points: medians; bars: {100 * prob:g}% intervals."
    notes = " ".join(filter(None, [note, arrows * bool(one_sided)]))
    return finish(fig, notes, ratios, levels=said)


def _once(table: pd.DataFrame) -> pd.DataFrame:
    """Each two groups once, the one with more errors of all systems together first."""
    share = {
        (kind, group): part["errors"].sum() / part["n"].sum()
        for (kind, group), part in table.groupby(["rate_of", "group"], sort=False)
    }
    order = {group: at for at, group in enumerate(dict.fromkeys(table["group"]))}
    ahead = [
        (share[kind, group], -order[group]) > (share[kind, other], -order[other])
        for kind, group, other in zip(table["rate_of"], table["group"], table["other"], strict=True)
    ]
    kept = table[ahead]
    names = kept["group"].astype(str) + " / " + kept["other"].astype(str)
    size = [-share[kind, group] for kind, group in zip(kept["rate_of"], kept["group"], strict=True)]
    return kept.assign(pair=names, size=size).sort_values("size", kind="stable")


def _panel(axes: Axes, part: pd.DataFrame, offsets: dict[str, float]) -> None:
    """Draw the ratios of one kind of error."""
    pairs = list(dict.fromkeys(part["pair"]))[::-1]
    place = {pair: at for at, pair in enumerate(pairs)}
    axes.set_xscale("log")
    axes.axvline(1, color="0.6", linewidth=0.6, zorder=0)
    finite = part[["lower", "upper"]].to_numpy().ravel()
    finite = finite[np.isfinite(finite) & (finite > 0)]
    low, high = (finite.min(), finite.max()) if len(finite) else (1.0, 1.0)
    room = np.array([1.1, 2.0])[part["interval"].isin([AT_LEAST, AT_MOST]).any().astype(int)]
    ends = float(min(low, 1) / room), float(max(high, 1) * room)
    for at, (system, offset) in enumerate(offsets.items()):
        own = part[part["system"] == system]
        y = own["pair"].map(place).to_numpy(float) + offset
        both = (own["interval"] == TWO_SIDED).to_numpy()
        sure = own[both]
        lengths = [sure["estimate"] - sure["lower"], sure["upper"] - sure["estimate"]]
        error_bars(axes, sure["estimate"], y[both], xerr=lengths, series=at, label=key(system))
        for (_, row), height in zip(own[~both].iterrows(), y[~both], strict=True):
            _arrow(axes, row, height, ends, at)
    axes.set_xlim(*ends)
    log_ticks(axes.xaxis)
    axes.set_yticks(range(len(pairs)), [label(pair, PAIR) for pair in pairs])
    axes.set_ylim(-0.6, len(pairs) - 0.4)
    axes.grid(axis="x", color="0.92", linewidth=0.5)
    axes.set_axisbelow(True)


def _arrow(axes: Axes, row: pd.Series, y: float, ends: tuple[float, float], at: int) -> None:
    """Draw an interval with one end: a bar at the bound, and an arrow to the edge of the panel."""
    colour = COLOURS[at % len(COLOURS)]
    if row["interval"] == NONE:
        axes.text(1, y, "no bound", fontsize=6, color="0.35", va="center")
        return
    least = row["interval"] == AT_LEAST
    start, end = (row["lower"], ends[1]) if least else (row["upper"], ends[0])
    axes.plot([start, end], [y, y], color=colour, linewidth=1.1)
    axes.plot(start, y, "|", color=colour, markersize=6)
    axes.plot(end, y, ">" if least else "<", color=colour, markersize=4, clip_on=False)
