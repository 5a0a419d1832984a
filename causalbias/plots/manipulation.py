"""Figures of a manipulation experiment: effects on people and on a network."""

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from causalbias.draws.summaries import summarise
from causalbias.errors import DataError
from causalbias.plots.style import (
    COLOURS,
    MARKERS,
    ONE_COLUMN,
    TWO_COLUMNS,
    apart,
    error_bars,
    few_ticks,
    finish,
    in_order,
    label,
    new_figure,
    row_height,
    styled,
)

COLUMNS = 5
MANY = 12  # with more attributes than this, a figure is two columns wide


@styled
def dose_response(
    human: xr.Dataset, machine: xr.Dataset, *, prob: float = 0.95, note: str = ""
) -> Figure:
    """Draw change by level for each attribute, with people above the network.

    Parameters
    ----------
    human : Dataset
        `effect` with dims level and attribute: change of the mean score from the lowest level.
    machine : Dataset
        `prediction` with dims level and attribute: distance from the face at the lowest level.
    prob : float, default 0.95
        Probability of the intervals.
    note : str
        Note below the figure.

    Returns
    -------
    Figure
        Two columns wide. All panels of people have the same scale, and so have those of the
        network.

    Raises
    ------
    DataError
        If there are several systems.
    """
    sides = [
        ("people:\nchange of score", summarise(human, prob=prob), 0),
        ("network:\ndistance", summarise(machine, prob=prob), 1),
    ]
    attributes = in_order(human["attribute"].values.tolist())
    if any("system" in table and table["system"].nunique() > 1 for _, table, _ in sides):
        raise DataError("several systems in one figure", hint="select one with .sel(system=...)")
    blocks = int(np.ceil(len(attributes) / COLUMNS))
    columns = min(COLUMNS, len(attributes))
    fig, grid = new_figure(
        TWO_COLUMNS,
        2.3 * blocks + 0.25,
        nrows=2 * blocks,
        ncols=columns,
        squeeze=False,
        sharex=True,
    )
    lowest = float(human.attrs["reference"])
    for at, attribute in enumerate(attributes):
        for side, (name, table, series) in enumerate(sides):
            axes = grid[2 * (at // columns) + side][at % columns]
            part = table[table["attribute"] == attribute].sort_values("level")
            _dose_panel(axes, part, lowest, series)
            low, high = min(0.0, table["lower"].min()), table["upper"].max()
            axes.set_ylim(low - 0.06 * (high - low), high + 0.08 * (high - low))
            if side == 0:
                axes.set_title(label(attribute, 90 // columns))
            else:
                axes.set_xlabel("level")
                axes.tick_params(labelbottom=True)
            if at % columns == 0:
                axes.set_ylabel(name)
            else:
                axes.set_yticklabels([])
    for unused in range(len(attributes), blocks * columns):
        for side in (0, 1):
            grid[2 * (unused // columns) + side][unused % columns].set_visible(False)
    fig.align_ylabels()
    said = f"Points: medians; bars: {100 * prob:g}% intervals."
    return finish(fig, note, human, machine, levels=said)


def _dose_panel(axes: Axes, part, lowest: float, series: int) -> None:  # type: ignore[no-untyped-def]
    x = np.concatenate([[lowest], part["level"].to_numpy(float)])
    y = np.concatenate([[0.0], part["estimate"]])
    axes.plot(x, y, color=COLOURS[series], linewidth=0.9)
    lengths = [part["estimate"] - part["lower"], part["upper"] - part["estimate"]]
    error_bars(axes, part["level"], part["estimate"], yerr=lengths, series=series)
    axes.plot(lowest, 0, marker=MARKERS[series], color="white", markeredgecolor=COLOURS[series])
    axes.set_xticks(apart(x))
    axes.set_xlim(x.min() - 0.25 * np.ptp(x), x.max() + 0.25 * np.ptp(x))
    axes.axhline(0, color="0.8", linewidth=0.5, zorder=0)


@styled
def perceived_against_distance(
    human: xr.Dataset, machine: xr.Dataset, *, prob: float = 0.95, note: str = ""
) -> Figure:
    """Draw the network's distance against the perceived change for each manipulation.

    Parameters
    ----------
    human, machine : Dataset
        As in `dose_response`; the highest level is compared with the lowest.
    prob : float, default 0.95
        Probability of the intervals.
    note : str
        Note below the figure.

    Returns
    -------
    Figure
        One column wide, or two for more than 12 attributes. There is one point with both intervals
        per attribute. Attributes on the same dashed line have the same distance per point of
        perceived change.

    Raises
    ------
    DataError
        If there are several systems.
    """
    highest = human["level"].max()
    seen = summarise(human.sel(level=highest), prob=prob).set_index("attribute")
    moved = summarise(machine.sel(level=highest), prob=prob).set_index("attribute")
    if moved.index.has_duplicates:
        raise DataError("several systems in one figure", hint="select one with .sel(system=...)")
    both = seen.merge(moved, left_index=True, right_index=True, suffixes=("_seen", "_moved"))
    many = len(both) > MANY
    fig, axes = new_figure(TWO_COLUMNS if many else ONE_COLUMN, 4.5 if many else 3.0)
    error_bars(
        axes,
        both["estimate_seen"],
        both["estimate_moved"],
        xerr=[
            both["estimate_seen"] - both["lower_seen"],
            both["upper_seen"] - both["estimate_seen"],
        ],
        yerr=[
            both["estimate_moved"] - both["lower_moved"],
            both["upper_moved"] - both["estimate_moved"],
        ],
        elinewidth=0.8,
    )
    left = min(0.0, float(both["lower_seen"].min()))
    axes.set_xlim(left * 1.1, max(0.0, float(both["upper_seen"].max())) * 1.12)
    axes.set_ylim(0, float(both["upper_moved"].max()) * 1.1)
    if left < 0:
        axes.axvline(0, color="0.7", linewidth=0.6, zorder=0)
    _equal_ratio_lines(axes, (both["estimate_moved"] / both["estimate_seen"].abs()).to_numpy())
    _label_points(axes, both)
    few_ticks(axes)
    axes.set_xlabel("perceived change (points of the score)")
    axes.set_ylabel("distance moved")
    said = f"Points: medians; bars: {100 * prob:g}% intervals."
    return finish(fig, note, human, machine, levels=said)


def _equal_ratio_lines(axes: Axes, ratios: np.ndarray) -> None:
    """Draw dashed lines of equal distance per point, at three round values that span the data."""
    ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
    right, top = axes.get_xlim()[1], axes.get_ylim()[1]
    if not len(ratios) or right <= 0:
        return
    ends = np.floor(np.log10([ratios.min(), ratios.max()]))
    powers = 10.0 ** np.arange(ends[0] - 1, ends[1] + 2)
    round_values = np.sort(np.concatenate([powers, 2 * powers, 5 * powers]))
    inside = round_values[
        (round_values >= 0.9 * ratios.min()) & (round_values <= 1.1 * ratios.max())
    ]
    chosen = inside[np.unique(np.linspace(0, len(inside) - 1, min(3, len(inside))).astype(int))]
    for ratio in chosen:
        end = min(right, top / ratio)
        if end < 0.25 * right:
            continue  # its label would overlap the axis
        axes.plot([0, end], [0, end * ratio], color="0.75", linewidth=0.6, linestyle="--", zorder=0)
        at_top = top / ratio < right
        axes.annotate(
            f"{ratio:g}/point",
            (end, end * ratio),
            xytext=(-2, -1 if at_top else 2),
            textcoords="offset points",
            fontsize=6,
            color="0.45",
            ha="right",
            va="top" if at_top else "bottom",
        )


def _label_points(axes: Axes, both: pd.DataFrame) -> None:
    """Write each label at the place, of several, where it overlaps fewest points and labels."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # computes the layout, on which pixels depend
    x, y = both["estimate_seen"].to_numpy(), both["estimate_moved"].to_numpy()
    along = np.linspace(0, 1, 15)[:, None]
    seen = both["lower_seen"].to_numpy() * (1 - along) + both["upper_seen"].to_numpy() * along
    moved = both["lower_moved"].to_numpy() * (1 - along) + both["upper_moved"].to_numpy() * along
    bars = [np.stack([seen, y + 0 * seen], -1), np.stack([x + 0 * moved, moved], -1)]
    spine = np.column_stack([np.repeat(axes.get_xlim()[0], 60), np.linspace(*axes.get_ylim(), 60)])
    obstacles = np.vstack([spine, *(bar.reshape(-1, 2) for bar in bars)])
    points = axes.transData.transform(np.column_stack([x, y]))
    scale = figure.dpi / 72
    taken = [axes.transData.transform(obstacles)]
    labels = [label(name) for name in both.index]
    for at, (name, point) in enumerate(zip(labels, points, strict=True)):
        lines = name.splitlines() or [""]
        half = np.array([1.9 * max(map(len, lines)), 3.2 + 4.0 * (len(lines) - 1)]) * scale
        places = [
            np.array([side * (half[0] + 4 * scale), step * (half[1] + 2.8 * scale)])
            for step in (0, 1, -1, 1.6, -1.6, 2.2, -2.2, 3, -3)
            for side in (1, -1, 0)
            if side or abs(step) > 1
        ]
        others = np.vstack(taken)
        free = [_clearance(others, point + place, half) for place in places]
        place = places[int(np.argmax(free))]
        corners = [
            np.linspace(-1, 1, 9)[:, None] * half * (1, 0) + half * (0, up) for up in (-1, 1)
        ]
        taken += [point + place + corner for corner in corners]
        axes.annotate(
            name,
            (x[at], y[at]),
            xytext=tuple(place / scale),
            textcoords="offset points",
            fontsize=6.5,
            ha="center",
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": "0.6",
                "linewidth": 0.5,
                "shrinkA": 0,
                "shrinkB": 3,
                "relpos": (0.5 - 0.5 * np.sign(place[0]), 0.5),
            },
        )


def _clearance(others: np.ndarray, centre: np.ndarray, half: np.ndarray) -> float:
    """Distance of a label's box to the nearest other point, in half label heights (up to 0.7)."""
    if len(others) == 0:
        return 0.7
    gap = np.maximum(np.abs(others - centre) - half, 0)
    return float(min(np.hypot(*gap.T).min() / half[1], 0.7))


@styled
def rank_heatmap(probability: xr.DataArray, *, note: str = "") -> Figure:
    """Draw the posterior probability of each rank.

    Parameters
    ----------
    probability : DataArray
        Result of `rank_probabilities`, with a dim of labels and `rank`.
    note : str
        Note below the figure.

    Returns
    -------
    Figure
        One column wide, or two for more than 12 labels. Rows are sorted by mean rank, with the
        largest effect at the top.
    """
    dim = next(str(name) for name in probability.dims if name != "rank")
    mean = (probability * probability["rank"]).sum("rank")
    ordered = probability.isel({dim: np.argsort(mean.values, kind="stable")})
    count = ordered.sizes[dim]
    names = [label(name, 26) for name in ordered[dim].values]
    height = 0.8 + count * row_height(names, 0.2)
    fig, axes = new_figure(ONE_COLUMN if count <= MANY else TWO_COLUMNS, height)
    axes.imshow(ordered.values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.argwhere(ordered.values >= 0.005):
        value = float(ordered.values[row, column])
        axes.text(
            column,
            row,
            f"{value:.2f}".lstrip("0") if value < 0.995 else "1",
            ha="center",
            va="center",
            fontsize=6,
            color="white" if value > 0.55 else "0.2",
        )
    axes.set_xticks(range(count), [str(rank) for rank in ordered["rank"].values])
    axes.set_yticks(range(count), names)
    axes.set_xlabel("rank (1: largest)")
    axes.tick_params(length=0)
    return finish(fig, note, probability)
