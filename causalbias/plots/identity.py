"""Figures of genuine and impostor pairs: effects of race, and error rates by group."""

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from causalbias.draws.summaries import SAMPLE
from causalbias.errors import DataError
from causalbias.plots.intervals import draw_intervals, levels_said, with_inner
from causalbias.plots.style import (
    COLOURS,
    ONE_COLUMN,
    TWO_COLUMNS,
    few_ticks,
    finish,
    in_order,
    key,
    label,
    legend_above,
    letter,
    new_figure,
    row_height,
    styled,
)

RATES = {
    "FMR": "impostor pairs: false match rate",
    "FNMR": "genuine pairs: false non-match rate",
    "GFMR": "impostor pairs: generalised false match rate",
    "GFNMR": "genuine pairs: generalised false non-match rate",
}


@styled
def group_effects(
    effect: xr.Dataset,
    *,
    truth: pd.DataFrame | None = None,
    prob: float = 0.95,
    xlabel: str = "",
    note: str = "",
) -> Figure:
    """Draw effects of race by gender, in separate panels for genuine and impostor pairs.

    Parameters
    ----------
    effect : Dataset
        `effect` with dims race, gender, pairs and, for several systems, system.
    truth : DataFrame, optional
        True values, which are drawn as crosses: `race`, `gender`, `pairs`, `truth` and, for several
        systems, `system`.
    prob : float, default 0.95
        Probability of the outer intervals; the inner ones are of 66%.
    xlabel, note : str
        Axis label (by default the outcome) and a note below the figure.

    Returns
    -------
    Figure
        Two columns wide with one panel per kind of pairs, on one scale, or one column wide for a
        single kind.
    """
    by = ["race", "gender"]
    table = _series(with_inner(effect, prob), by)
    known = None if truth is None else _series(truth, by)
    kinds = list(dict.fromkeys(table["pairs"]))
    fig, panels, order, offsets = _panels(table, len(kinds))
    for axes, kind in zip(panels, kinds, strict=True):
        axes.axvline(0, color="0.6", linewidth=0.6, zorder=0)
        _draw(axes, table[table["pairs"] == kind], order, offsets)
        if known is not None:
            part = known[known["pairs"] == kind]
            axes.plot(
                part["truth"],
                _places(part, order, offsets),
                "x",
                color="black",
                zorder=5,
                markersize=3.5,
                label="truth",
            )
        axes.set_title(f"{kind} pairs")
        axes.set_xlabel(xlabel or str(effect.attrs.get("outcome", "effect")))
    ends = np.array([axes.get_xlim() for axes in panels])
    for axes in panels:
        axes.set_xlim(ends[:, 0].min(), ends[:, 1].max())
    _legend(fig, panels[0], systems=list(offsets))
    letter(panels)
    return finish(fig, note, effect, levels=levels_said(prob))


@styled
def group_rates(rates: xr.Dataset, *, prob: float = 0.95, note: str = "") -> Figure:
    """Draw error rates by group, in separate panels for false matches and false non-matches.

    Parameters
    ----------
    rates : Dataset
        Result of `error_rates`, by any factors.
    prob : float, default 0.95
        Probability of the outer intervals; the inner ones are of 66%.
    note : str
        Note below the figure.

    Returns
    -------
    Figure
        As wide as `group_effects`. The scale of each panel is that of its reported rates. A hollow
        mark at zero stands for a group with too few errors to report a rate, and an arrow for an
        interval that extends beyond the panel; the note says so where there is one. It lists groups
        without comparisons, and groups in which a few identities have most of the errors.
    """
    by = [str(dim) for dim in rates["rate"].dims if dim not in (*SAMPLE, "rate_of", "system")]
    table = _series(with_inner(rates, prob), by)
    table = table[table["n"] > 0].fillna({"estimate": 0.0})
    kinds = [kind for kind in RATES if (table["rate_of"] == kind).any()]
    fig, panels, order, offsets = _panels(table, len(kinds))
    marks = {"Hollow: too few errors to state a rate.": not table["supported"].all()}
    for axes, kind in zip(panels, kinds, strict=True):
        part = table[table["rate_of"] == kind]
        _draw(axes, part, order, offsets)
        none = part[~part["supported"]]
        axes.plot(
            none["estimate"],
            _places(none, order, offsets),
            "o",
            color="white",
            zorder=5,
            markersize=1.4,
            label="not stated",
            markeredgecolor="none",
        )
        # The scale is that of reported rates: the long intervals of other groups would hide them.
        seen = part[part["supported"]]
        end = 1.1 * (seen if len(seen) else part)["upper"].max()
        axes.set_xlim(-0.03 * end, end)
        for at, system in enumerate(offsets):
            beyond = part[(part["upper"] > end) & (part["system"] == system)]
            if beyond.empty:
                continue
            marks["An arrow: the interval leaves the panel."] = True
            axes.plot(
                [end] * len(beyond),
                _places(beyond, order, offsets),
                ">",
                clip_on=False,
                markersize=3,
                color=COLOURS[at % len(COLOURS)],
            )
        axes.set_title(RATES[kind])
        axes.set_xlabel(kind)
    _legend(fig, panels[0], systems=list(offsets))
    letter(panels)
    notes = [note, *(one for one, there in marks.items() if there)]
    notes += [*_of_few(table), *_absent(table, kinds)]
    return finish(fig, " ".join(filter(None, notes)), rates, levels=levels_said(prob))


def _of_few(table: pd.DataFrame) -> list[str]:
    """List the rates for which a few identities have most of the errors."""
    few = table[table["few_identities"]]
    names = [f"{row.group} ({row.rate_of}, {row.system})" for row in few.itertuples()]
    return [f"5% of the identities have most of the errors: {'; '.join(names)}."] * bool(names)


def _absent(table: pd.DataFrame, kinds: list[str]) -> list[str]:
    """List the groups without comparisons in each panel."""
    notes = []
    for kind in kinds:
        there = set(table.loc[table["rate_of"] == kind, "group"])
        missing = [one for one in dict.fromkeys(table["group"]) if one not in there]
        notes += [f"No comparisons ({kind}): {', '.join(missing)}."] * bool(missing)
    return notes


def _series(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Add the systems and the names of the groups to a table."""
    system = table["system"] if "system" in table else pd.Series("people", index=table.index)
    group = table[by].astype(str).agg(" ".join, axis=1) if by else "all pairs"
    return table.assign(system=system, group=group)


def _panels(
    table: pd.DataFrame, n: int
) -> tuple[Figure, list[Axes], dict[str, int], dict[str, float]]:
    """Make panels side by side; return the row of each group and the offset of each system."""
    if table.empty:
        raise DataError(
            "there are no comparisons of these groups, kinds and systems to draw",
            hint="select others; .summary() lists those that there are",
        )
    groups = list(dict.fromkeys(table["group"]))[::-1]  # in the data's order
    systems = in_order(table["system"])
    names = [label(group) for group in groups]
    height = 1.0 + len(groups) * (0.1 + row_height(names, 0.13 * len(systems)))
    width = TWO_COLUMNS if n > 1 else ONE_COLUMN
    fig, grid = new_figure(width, height, ncols=n, squeeze=False, sharey=True)
    panels = list(grid[0])
    # Points of a group are closer together than those of different groups.
    spread = 0.3 * (1 - 1 / len(systems))
    offsets = dict(zip(systems, np.linspace(spread, -spread, len(systems)), strict=True))
    order = {group: at for at, group in enumerate(groups)}
    panels[0].set_yticks(range(len(groups)), names)
    panels[0].set_ylim(-0.6, len(groups) - 0.4)
    for axes in panels:
        axes.grid(axis="x", color="0.92", linewidth=0.5)
        axes.set_axisbelow(True)
        few_ticks(axes)
    return fig, panels, order, offsets


def _places(part: pd.DataFrame, order: dict[str, int], offsets: dict[str, float]) -> np.ndarray:
    return (part["group"].map(order) + part["system"].map(offsets)).to_numpy(float)


def _draw(axes: Axes, part: pd.DataFrame, order: dict[str, int], offsets: dict[str, float]) -> None:
    for at, system in enumerate(offsets):
        own = part[part["system"] == system]
        draw_intervals(axes, own, _places(own, order, offsets), series=at, label=key(system))


def _legend(fig: Figure, axes: Axes, systems: list[str]) -> None:
    """Draw the legend: the systems in their order, then the truth."""
    found = dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    names = [name for name in [*map(key, systems), "truth"] if name in found]
    legend_above(fig, [found[name] for name in names], names)
