"""Figures of scores and error rates by group."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from causalbias.draws.summaries import SAMPLE, summarise
from causalbias.errors import DataError
from causalbias.plots.style import (
    COLOURS,
    ONE_COLUMN,
    TWO_COLUMNS,
    error_bars,
    facets,
    finish,
    in_order,
    key,
    label,
    legend_above,
    letter,
    log_ticks,
    marker,
    new_figure,
    styled,
)
from causalbias.rates.groups import in_words

MOST_LINES = 6  # of more groups, each has a panel
MOST_BINS = 80  # of a distribution as it is drawn; finer ones are put together
MOST_ROWS = 6  # of more distributions, there are two columns
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 0.6)), (0, (7, 2)))
KIND_COLOURS = {"impostor": COLOURS[1], "genuine": COLOURS[0]}


@styled
def score_distributions(
    counts: xr.Dataset, *, threshold: float | None = None, xlabel: str = "distance", note: str = ""
) -> Figure:
    """Draw the distributions of genuine and of impostor distances, one row per group.

    Parameters
    ----------
    counts : Dataset
        Result of `score_histograms` for one system, or of `all_pairs`, of which the pairs within
        groups are drawn.
    threshold : float, optional
        Threshold, which is drawn as a dotted line.
    xlabel, note : str
        Axis label and a note below the figure.

    Returns
    -------
    Figure
        Two columns wide. The rows show densities on a common scale, in at most 80 bins, side by
        side where there are more than six groups.

    Raises
    ------
    DataError
        If there are several systems.
    """
    counts = _one_system(counts)
    if "other" in counts.dims:
        same = xr.DataArray(counts["group"].values, dims="same")
        counts = counts[["histogram", "n"]].sel(group=same, other=same).swap_dims(same="group")
    groups = list(dict.fromkeys(map(str, counts["group"].values)))
    low, high = (
        counts[name].values.reshape(-1, counts.sizes["bin"])[0] for name in ("low", "high")
    )
    columns = 1 if len(groups) <= MOST_ROWS else 2
    fig, grid = new_figure(
        TWO_COLUMNS,
        0.8 + 0.5 * -(-len(groups) // columns),
        nrows=-(-len(groups) // columns),
        ncols=columns,
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    panels = list(grid.T.flat)[: len(groups)]  # down the first column, then down the second
    for axes in list(grid.T.flat)[len(groups) :]:
        axes.set_visible(False)
    used = np.flatnonzero(counts["histogram"].sum(["kind", "group"]).values)
    first = np.arange(used[0], used[-1] + 1, -(-(used[-1] + 1 - used[0]) // MOST_BINS))
    edges = np.append(low[first], high[used[-1]])
    for axes, group in zip(panels, groups, strict=True):
        for kind in counts["kind"].values:
            part = counts.sel(group=group, kind=kind)
            total = float(part["n"])
            if total:
                seen = np.add.reduceat(part["histogram"].values[: used[-1] + 1], first)
                density = seen / total / np.diff(edges)
                axes.stairs(density, edges, fill=True, alpha=0.35, color=KIND_COLOURS[str(kind)])
                axes.stairs(
                    density,
                    edges,
                    color=KIND_COLOURS[str(kind)],
                    linestyle="-" if kind == "impostor" else "--",
                    linewidth=1,
                    label=f"{kind} pairs",
                )
        if threshold is not None:
            axes.axvline(threshold, color="0.2", linewidth=0.8, linestyle=":")
        sizes = [
            f"{int(counts['n'].sel(group=group, kind=kind)):,} {kind}"
            for kind in counts["kind"].values
        ]
        axes.set_ylabel(
            "\n".join([label(group), *sizes]), rotation=0, ha="right", va="center", fontsize=6
        )
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    grid[0, 0].set_xlim(edges[0], edges[-1])
    lowest = [panels[len(grid) - 1], panels[-1]]  # of each column
    for axes in lowest:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel(xlabel + ("; dotted: threshold" if threshold is not None else ""))
    _shared_legend(fig, panels)
    return finish(fig, note)


@styled
def det_curves(curve: xr.Dataset, *, prob: float = 0.95, note: str = "") -> Figure:
    """Draw DET curves by group with pointwise bands, a panel per system.

    Parameters
    ----------
    curve : Dataset
        Result of `det`.
    prob : float, default 0.95
        Pointwise probability of the bands.
    note : str
        Note below the figure.

    Returns
    -------
    Figure
        Two columns wide, or one for a single system, with logarithmic axes. Of more than six
        groups, each has a panel, and systems are lines; the others' curves are grey. A curve ends,
        with a dot, where there are too few errors of either kind for a rate. The note lists groups
        with too few errors for a curve, and groups in which a few identities have most of the
        errors at a point of the curve.

    Raises
    ------
    DataError
        If all groups have too few errors.
    """
    by = _by(curve["fnmr"], "fmr")
    table = _labelled(summarise(curve, prob=prob), curve["fnmr"], by)
    table = table[table["supported"]]
    _check_any(table)
    every = curve["n"].to_dataframe().query("n > 0").reset_index()
    every = _labelled(every, curve["fnmr"], by)
    systems, groups = in_order(table["system"]), list(dict.fromkeys(every["group"]))
    shown = pd.MultiIndex.from_frame(table[["system", "group"]])
    every["supported"] = pd.MultiIndex.from_frame(every[["system", "group"]]).isin(shown)
    if table["group"].nunique() > MOST_LINES:
        fig, panels = _curves_apart(table, systems, groups)
    else:
        fig, panels = _curves_together(table, systems, groups)
    for axes in panels:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(top=1)
        axes.grid(color="0.92", linewidth=0.5)
    log_ticks(panels[0].xaxis, panels[0].yaxis)
    for axes in panels:
        position = axes.get_subplotspec()
        assert position is not None
        if position.is_first_col():
            axes.set_ylabel("false non-match rate")
    _shared_legend(fig, panels, [*groups, *systems])
    notes = _not_drawn(every, ["system", "group"], groups, in_order(every["system"]))
    few = table.loc[table["few_identities"], ["system", "group"]].drop_duplicates()
    names = few["group"] if len(systems) == 1 else few["group"] + " (" + few["system"] + ")"
    notes += [f"5% of the identities have most of the errors: {'; '.join(names)}."] * bool(len(few))
    if curve.attrs.get("one_kind"):
        notes.append(f"Without pairs of both kinds: {curve.attrs['one_kind']}.")
    said = f"Lines: medians; bands: pointwise {100 * prob:g}% intervals."
    return finish(fig, " ".join(filter(None, [note, *notes])), curve, levels=said)


def _curves_together(
    table: pd.DataFrame, systems: list[str], groups: list[str]
) -> tuple[Figure, list[Axes]]:
    """All groups' curves in a panel per system."""
    columns = min(len(systems), 3)
    rows = -(-len(systems) // columns)
    fig, grid = new_figure(
        ONE_COLUMN if columns == 1 else TWO_COLUMNS,
        0.6 + 2.4 * rows,
        nrows=rows,
        ncols=columns,
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    panels = list(grid.flat)[: len(systems)]
    for axes in grid.flat[len(systems) :]:
        axes.set_visible(False)
    for axes, system in zip(panels, systems, strict=True):
        of_system = table[table["system"] == system]
        for at, name in enumerate(groups):
            _draw_curve(axes, of_system[of_system["group"] == name], at, name)
        axes.set_title(label(system))
        axes.set_xlabel("false match rate")
    letter(panels)
    return fig, panels


def _curves_apart(
    table: pd.DataFrame, systems: list[str], groups: list[str]
) -> tuple[Figure, list[Axes]]:
    """A panel per group, with those of all groups in grey where there is a single system."""
    drawn = [name for name in groups if (table["group"] == name).any()]
    fig, panels = facets(len(drawn))
    for axes, name in zip(panels, drawn, strict=True):
        if len(systems) == 1:
            for _, other in table.groupby("group", sort=False):
                axes.plot(other["fmr"], other["estimate"], color="0.8", linewidth=0.6, zorder=0.5)
        for at, system in enumerate(systems):
            own = table[(table["system"] == system) & (table["group"] == name)]
            _draw_curve(axes, own, at, system if len(systems) > 1 else "this group")
        axes.set_title(label(name, 24))
    for axes in panels[-min(4, len(panels)) :]:
        axes.set_xlabel("false match rate")
    if len(systems) == 1:
        panels[0].plot([], [], color="0.8", linewidth=0.6, label="other groups")
    letter(panels)
    return fig, panels


def _draw_curve(axes: Axes, part: pd.DataFrame, at: int, name: str) -> None:
    """Draw the curve of a group, the `at`-th, with its band and a dot at each end."""
    if part.empty:
        return
    colour, line = COLOURS[at % len(COLOURS)], LINES[(at + at // len(LINES)) % len(LINES)]
    axes.fill_between(
        part["fmr"], part["lower"], part["upper"], color=colour, alpha=0.15, linewidth=0
    )
    axes.plot(part["fmr"], part["estimate"], color=colour, linestyle=line, label=key(name))
    ends = part.iloc[[0, -1]]
    axes.plot(ends["fmr"], ends["estimate"], ".", color=colour, markersize=3)


@styled
def rate_differentials(ratios: xr.Dataset, *, prob: float = 0.95, note: str = "") -> Figure:
    """Draw each group's false match ratio against its false non-match ratio, a panel per system.

    Parameters
    ----------
    ratios : Dataset
        Result of `rate_ratios`. Results at several thresholds may be concatenated along a dim
        `target`; their points are then joined by lines, and the largest mark is the first target.
    prob : float, default 0.95
        Probability of the intervals.
    note : str
        Note below the figure.

    Returns
    -------
    Figure
        Two columns wide, with logarithmic axes. Groups in the upper right have more errors of both
        kinds than the reference. The note lists groups with too few errors for a ratio.

    Raises
    ------
    DataError
        If there are no ratios of both kinds of error, or all groups have too few errors.
    """
    if ratios.sizes["rate_of"] != 2:
        raise DataError(
            "the ratios are of one kind of error only",
            hint="give both genuine and impostor pairs to error_rates",
        )
    table = summarise(ratios, prob=prob)
    table = _labelled(table, ratios["ratio"], _by(ratios["ratio"], "rate_of", "target"))
    index = ["system", "group", *(["target"] if "target" in table else [])]
    groups, systems = list(dict.fromkeys(table["group"])), in_order(table["system"])
    wide = table[table.groupby(index)["supported"].transform("all")].set_index(index)
    _check_any(wide)
    fig, grid = new_figure(
        TWO_COLUMNS, 3.0, ncols=len(systems), squeeze=False, sharex=True, sharey=True
    )
    false, missed = sorted(map(str, ratios["rate_of"].values))
    for axes, system in zip(grid[0], systems, strict=True):
        axes.axhline(1, color="0.6", linewidth=0.6, zorder=0)
        axes.axvline(1, color="0.6", linewidth=0.6, zorder=0)
        for at, group in enumerate(groups):
            part = wide[
                (wide.index.get_level_values("system") == system)
                & (wide.index.get_level_values("group") == group)
            ]
            across, up = (part[part["rate_of"] == kind] for kind in (missed, false))
            _draw_path(axes, across, up, at, group)
        if system not in wide.index.get_level_values("system"):
            axes.text(0.5, 0.6, "too few errors", ha="center", transform=axes.transAxes)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_title(label(system, 60 // len(systems)))
        axes.set_xlabel(f"{missed} ratio")
    log_ticks(grid[0, 0].xaxis, grid[0, 0].yaxis)
    grid[0, 0].set_ylabel(f"{false} ratio")
    _shared_legend(fig, grid[0], groups)
    what = str(ratios.attrs["outcome"]).removeprefix("error rate over ")
    notes = [note, f"Ratios to {what}."]
    notes += _not_drawn(table, index, groups, systems)
    letter(grid[0])
    said = f"Points: medians; bars: {100 * prob:g}% intervals."
    return finish(fig, " ".join(filter(None, notes)), ratios, levels=said)


def _not_drawn(
    table: pd.DataFrame, index: list[str], groups: list[str], systems: list[str]
) -> list[str]:
    """List the groups that are missing from each panel."""
    unsupported = table[~table.groupby(index)["supported"].transform("all")]
    parts = []
    for system in systems:
        left_out = set(unsupported.loc[unsupported["system"] == system, "group"])
        if left_out:
            missing = [group for group in groups if group in left_out]
            names = "all groups" if len(left_out) == len(groups) else ", ".join(missing)
            parts.append(f"{system}: {names}" if len(systems) > 1 else names)
    return [f"Not drawn where there are too few errors: {'; '.join(parts)}."] * bool(parts)


def _draw_path(axes: Axes, across: pd.DataFrame, up: pd.DataFrame, at: int, name: str) -> None:
    """Draw the ratios of a group, at one threshold or joined over several."""
    if across.empty:
        return
    ends = [
        [part["estimate"] - part["lower"], part["upper"] - part["estimate"]]
        for part in (across, up)
    ]
    x, y = across["estimate"].to_numpy(), up["estimate"].to_numpy()
    error_bars(axes, x, y, xerr=ends[0], yerr=ends[1], series=at, label=key(name), elinewidth=0.6)
    if len(x) > 1:
        colour = COLOURS[at % len(COLOURS)]
        axes.plot(x, y, linewidth=0.6, color=colour)
        axes.plot(x[0], y[0], marker(at), markersize=7, color=colour)


@styled
def rate_heatmap(rates: xr.Dataset, *, prob: float = 0.95, note: str = "") -> Figure:
    """Draw the false match rates between groups as a heat map.

    Parameters
    ----------
    rates : Dataset
        Result of `group_pair_rates` for one system, or of `all_pairs_rates` at one threshold.
    prob : float, default 0.95
        Probability of the intervals.
    note : str
        Note below the figure.

    Returns
    -------
    Figure
        Each cell holds the rate in percent and its interval. A white cell has too few errors for a
        rate, and holds the upper end of the interval.

    Raises
    ------
    DataError
        If there are several systems or thresholds.
    """
    rates = _one_system(rates)
    if "threshold" in rates.dims:
        if rates.sizes["threshold"] > 1:
            raise DataError("several thresholds", hint="select one with .sel(threshold=...)")
        rates = rates.isel(threshold=0, drop=True)
    groups = list(dict.fromkeys(map(str, rates["group"].values)))
    table = summarise(rates, prob=prob).set_index(["group", "other"])
    shape = (len(groups), len(groups))
    rate = table["estimate"].unstack("other").reindex(index=groups, columns=groups).to_numpy()
    size = min(max(ONE_COLUMN, 0.85 * len(groups) + 1.2), TWO_COLUMNS)
    narrow = (size - 1.8) / len(groups) < 0.6
    fig, axes = new_figure(size, size * 0.86)
    shown = np.log10(np.where(rate > 0, rate, np.nan))
    image = axes.imshow(shown, cmap="cividis_r")
    middle = (np.nanmin(shown) + np.nanmax(shown)) / 2 if np.isfinite(shown).any() else 0.0
    for i, j in np.ndindex(shape):
        if (groups[i], groups[j]) in table.index:
            cell = table.loc[(groups[i], groups[j])]
            dark = np.isfinite(shown[i, j]) and shown[i, j] > middle
            axes.text(
                j,
                i,
                _cell_text(cell, narrow),
                ha="center",
                va="center",
                fontsize=6,
                color="white" if dark else "black",
            )
    names = [label(group) for group in groups]
    axes.set_xticks(range(len(groups)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(groups)), names)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if np.isfinite(shown).any():
        bar = fig.colorbar(image, ax=axes, shrink=0.7)
        low, high = image.get_clim()
        powers = np.arange(np.floor(low), np.ceil(high) + 1)
        ticks = [p + d for p in powers for d in (0.0, np.log10(3)) if low <= p + d <= high]
        ticks = ticks if len(ticks) > 1 else [low, high]
        bar.set_ticks(ticks, labels=[f"{100 * 10**one:.2g}%" for one in ticks])
        bar.ax.minorticks_off()
        bar.set_label("false match rate")
    flagged = table.index[table["few_identities"].to_numpy(bool)]
    few = list(dict.fromkeys(" and ".join(sorted(set(map(str, pair)))) for pair in flagged))
    notes = [f"5% of the identities have most of the errors: {'; '.join(few)}."] * bool(few)
    pairs = table["n"][table["n"] > 0].astype(int)
    many = " to ".join(f"{one:,}" for one in dict.fromkeys([pairs.min(), pairs.max()]))
    said = f"Cells: median and {100 * prob:g}% interval in percent, of {many} pairs each."
    return finish(fig, " ".join(filter(None, [note, *notes])), rates, levels=said)


def _cell_text(cell: object, narrow: bool) -> str:
    """Format a rate and its interval in percent, in two or three lines."""
    estimate, lower, upper = (
        100 * float(getattr(cell, name)) for name in ("estimate", "lower", "upper")
    )
    if np.isnan(estimate):
        return f"< {upper:.2g}"
    return f"{estimate:.3g}\n{lower:.2g} to{chr(10) if narrow else ' '}{upper:.2g}"


def _one_system(draws: xr.Dataset) -> xr.Dataset:
    if "system" not in draws.dims:
        return draws
    if draws.sizes["system"] > 1:
        raise DataError("several systems", hint="select one with .sel(system=...)")
    return draws.isel(system=0, drop=True)


def _labelled(table: pd.DataFrame, draws: xr.DataArray, by: list[str]) -> pd.DataFrame:
    """Add the names of groups to a table; they are the same for any subset of the groups."""
    if not by:
        return table.assign(group="all pairs")
    groups = list(product(*(map(str, draws[name].values) for name in by)))
    names = dict(zip(groups, in_words(groups), strict=True))
    rows = table[by].astype(str).itertuples(index=False, name=None)
    return table.assign(group=[names[group] for group in rows])


def _by(draws: xr.DataArray, *others: str) -> list[str]:
    """Return the dims that define groups."""
    return [str(dim) for dim in draws.dims if dim not in (*SAMPLE, "system", *others)]


def _check_any(table: pd.DataFrame) -> None:
    if table.empty:
        raise DataError(
            "all groups have too few errors for a rate", hint="give more pairs, or see group_rates"
        )


def _shared_legend(fig: Figure, panels: Sequence[Axes], order: Sequence[str] = ()) -> None:
    """Draw one legend of all series that occur in any panel, in an order that all panels share."""
    handles: dict[str, Artist] = {}
    for axes in panels:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    places = {key(name): at for at, name in enumerate(order)}
    names = sorted(handles, key=lambda name: places.get(name, len(places)))
    legend_above(fig, [handles[name] for name in names], names)
