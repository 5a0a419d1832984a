"""Figure of a design analysis: precision and assurance by size of the experiment."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from causalbias.errors import DataError
from causalbias.plots.style import (
    COLOURS,
    TWO_COLUMNS,
    apart,
    finish,
    letter,
    marker,
    new_figure,
    styled,
)
from causalbias.study.tables import check_columns

FILE = "the table"
SHARES = {
    "found": "interval leaves zero out",
    "narrow": "interval is narrow enough",
    "decided": "within or outside the ROPE",
    "coverage": "interval holds the truth",
}


@styled
def assurance(table: pd.DataFrame, *, level: object = None, note: str = "") -> Figure:
    """Draw the width of an effect's interval, and the assurance, by size of the experiment.

    Parameters
    ----------
    table : DataFrame
        Result of `design.power` or `design.power_corrected`.
    level : optional
        Level of the effect, or the perceived attribute; by default the last.
    note : str
        Note below the figure.

    Returns
    -------
    Figure
        Two columns wide. The left panel shows the median width, with the middle 80% of simulations;
        the right panel shows shares of simulations with their standard errors. If other factors
        vary too, there is a line for each of their sizes, and the right panel shows `decided` if
        there is a ROPE, or else `narrow` if there is a width, or else `found`.

    Raises
    ------
    DataError
        If the level is unknown, or the table has no rows or lacks a column.
    """
    of = "question" if "question" in table else "level"
    check_columns(table, [of, "width", "found", "simulations"], file=FILE)
    if table.empty:
        raise DataError("no rows", hint="give the table of design.power", file=FILE)
    levels = table[of].unique().tolist()
    chosen = levels[-1] if level is None else level
    if chosen not in levels:
        raise DataError(
            f"{chosen!r} is not a {of}", hint=f"use one of {', '.join(map(str, levels))}"
        )
    part = table[table[of] == chosen]
    over, *others = map(str, table.columns[: list(table.columns).index(of)])
    fig, axes = new_figure(TWO_COLUMNS, 2.4, ncols=2)
    if others and len(part[others].drop_duplicates()) > 1:
        _by_others(axes, part, over, others)
    else:
        _one_line(axes, part, over)
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel("width of the interval")
    axes[1].set_ylim(-0.02, 1.04)
    for panel in axes:
        panel.set_xticks(apart(part[over]))
        panel.set_xlabel(f"number of {over}s")
        panel.grid(color="0.92", linewidth=0.5)
        panel.set_axisbelow(True)
    whose = f"a point of perceived {chosen}" if of == "question" else f"level {chosen}"
    truths = "the truth as assumed" if of == "question" else "truths from the pilot's posterior"
    caption = note or (
        f"Effect of {whose}; {int(part['simulations'].iloc[0])} simulations of each size, {truths}."
    )
    if (part["converged"] < 1).any():
        caption += f" At worst {1 - part['converged'].min():.0%} of fits failed their diagnostics."
    letter(axes)
    return finish(fig, caption, table)


def _one_line(axes: np.ndarray, part: pd.DataFrame, over: str) -> None:
    """Draw the width with its spread, and all shares."""
    size = part[over]
    axes[0].fill_between(size, part["width_lower"], part["width_upper"], color="0.88", linewidth=0)
    axes[0].plot(size, part["width"], color=COLOURS[0], marker=marker(0))
    for at, (name, label) in enumerate(SHARES.items()):
        if name in part:
            look = {"color": COLOURS[at], "marker": marker(at), "label": label}
            axes[1].errorbar(size, part[name], yerr=_error(part, name), **look)
    axes[1].set_ylabel("share of simulations")
    axes[1].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def _by_others(axes: np.ndarray, part: pd.DataFrame, over: str, others: list[str]) -> None:
    """Draw the width and one share, with a line for each size of the other factors."""
    name = next(one for one in ("decided", "narrow", "found") if one in part)
    for at, (key, line) in enumerate(part.groupby(others, sort=True)):
        values = key if isinstance(key, tuple) else (key,)
        label = ", ".join(
            f"{value:,} {other}s" for other, value in zip(others, values, strict=True)
        )
        look = {"color": COLOURS[at % len(COLOURS)], "marker": marker(at)}
        spread = [line["width"] - line["width_lower"], line["width_upper"] - line["width"]]
        axes[0].errorbar(line[over], line["width"], yerr=spread, label=label, **look)
        axes[1].errorbar(line[over], line[name], yerr=_error(line, name), **look)
    axes[1].set_ylabel(f"share: {SHARES[name]}")
    axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def _error(part: pd.DataFrame, name: str) -> np.ndarray:
    return np.sqrt((part[name] * (1 - part[name]) / part["simulations"]).to_numpy(float))
