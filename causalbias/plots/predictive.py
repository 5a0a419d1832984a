"""Figures of replicated data beside the data: densities, shares of values, and PIT values."""

import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.base import array_stats
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.special import bdtr, bdtrik

from causalbias.arguments import generator, name_in, need_fit, number_in, whole_in
from causalbias.errors import DataError
from causalbias.estimands.predictive import left_out_pit, replicated
from causalbias.models.fitted import fitted
from causalbias.plots.intervals import INNER, draw_intervals, levels_said
from causalbias.plots.style import (
    COLOURS,
    facets,
    finish,
    label,
    legend_above,
    letter,
    one_panel,
    styled,
)

MOST_VALUES = 20  # distinct values of a response whose shares are drawn, and no density
MOST_PANELS = 24
POINTS = 100  # at most, at which a band of ECDFs is held
BAND_DRAWS = 2000  # of uniform samples from which a band is found
SHARE_DRAWS = 400  # data sets that intervals of shares are of
GOOD_K = 0.7  # Vehtari et al. 2024


@styled
def pp_check(
    fit: xr.DataTree,
    *,
    kind: str = "density",
    by: str | None = None,
    draws: int = 50,
    prob: float = 0.95,
    random_seed: int = 0,
    note: str = "",
) -> Figure:
    """Draw the data beside data that the fit replicates: a posterior predictive check.

    Parameters
    ----------
    fit : Fit
        The fitted model.
    kind : {"density", "pit"}
        "density": the density of the response over those of replicated data sets; where a response
        has 20 values or fewer, the share of each, with intervals of the replicated shares. "pit":
        how far the distribution function of the PIT values, the probability of a smaller response
        by the posterior without the row, is from uniform, with a simultaneous band (Säilynoja,
        Bürkner and Vehtari 2022, Statistics and Computing 32(2)): below zero on the left and above
        on the right, responses vary less than the model says; the other way round, more.
    by : str, optional
        A column of the rows, whose levels have panels of their own.
    draws : int, default 50
        Number of replicated data sets whose densities are drawn; intervals of shares are of 400.
    prob : float, default 0.95
        Probability of the intervals of shares, and of the band: the whole curve of a fit that is
        right is inside with this probability.
    random_seed : int
        Seed of the replicates.
    note : str
        Note below the figure.

    Returns
    -------
    Figure
        One column wide, or two with panels. Responses are as the model has them, after a
        transformation. Rows are left out by importance sampling; the note says of how many this
        is not reliable (Pareto k above 0.7). Of more than 2000 rows, PIT values are of so many.

    Raises
    ------
    DataError
        If `kind` is none of these, the rows have no such column, it has more than 24 levels, or
        PIT values are asked of rows that stand for several observations.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> cb.plots.pp_check(fit, by="level").axes[0].get_title()
    'level 0'
    """
    need_fit(fit)
    name_in(kind, "kind", "density", "pit")
    prob, draws = number_in(prob, "prob", 0, 1), whole_in(draws, "draws", 1)
    if kind == "pit":
        return _pit_figure(fit, by, prob, random_seed, note)
    model = fitted(fit)
    codes = len(np.unique(model.response_values)) <= MOST_VALUES and not model.family.continuous
    number = SHARE_DRAWS if codes else draws
    frame, response, new = replicated(fit, draws=number, random_seed=random_seed)
    values = _values(response, new) if codes else response
    parts, (fig, panels) = _parts(frame, by)
    for axes, (_, rows) in zip(panels, parts, strict=True):
        if codes:
            _draw_shares(axes, response[rows], new[:, rows], values, prob)
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        else:
            _draw_densities(axes, response[rows], new[:, rows])
        if categories := model.categories:
            width = max(4, 40 // len(categories))
            axes.set_xticks(range(len(categories)), [label(one, width) for one in categories])
    said = levels_said(prob) if codes else f"{len(new)} replicated data sets."
    panels[0].set_ylim(bottom=0)  # now that all are drawn: their scale is one
    _finish_axes(fig, panels, parts, model.response.text, "share" if codes else "density")
    return finish(fig, note, fit, levels=f"{len(response):,} observations. {said}")


def _pit_figure(
    fit: xr.DataTree, by: str | None, prob: float, random_seed: int, note: str
) -> Figure:
    found = left_out_pit(fit, random_seed=random_seed)
    parts, (fig, panels) = _parts(found.frame, by)
    for axes, (_, rows) in zip(panels, parts, strict=True):
        at, low, high = uniform_band(len(rows), prob, random_seed=random_seed)
        seen = np.searchsorted(np.sort(found.pit[rows]), at, side="right") / len(rows)
        axes.fill_between(at, low - at, high - at, color="0.85", linewidth=0, label="band")
        axes.plot(at, seen - at, color=COLOURS[0], label="PIT values")
        axes.axhline(0, color="0.6", linewidth=0.6, zorder=0)
        axes.set_xlim(0, 1)
    _finish_axes(fig, panels, parts, "PIT", "ECDF of PIT minus uniform")
    said = f"{len(found.pit):,} observations, each left out. Band: {100 * prob:g}%, simultaneous."
    if bad := int((found.pareto_k > GOOD_K).sum()):
        said += f" Pareto k above {GOOD_K} for {bad:,}."
    return finish(fig, note, fit, levels=said)


def _values(response: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Values whose shares are drawn: all, or of many those within the range of the data."""
    values = np.unique(np.r_[response, new.ravel()])
    if len(values) > 2 * MOST_VALUES:
        values = values[(values >= response.min()) & (values <= response.max())]
    return values


def _parts(
    frame: pd.DataFrame, by: str | None
) -> tuple[list[tuple[str, np.ndarray]], tuple[Figure, list[Axes]]]:
    """The rows of each panel, with its name; and the panels."""
    if by is None:
        return [("", np.arange(len(frame)))], one_panel(2.5)
    if by not in frame:
        raise DataError(
            f"the rows of the fit have no column {by!r}",
            hint=f"use one of {', '.join(map(str, frame.columns))}",
            column=by,
        )
    groups = frame.groupby(by, sort=True, observed=True).indices
    if len(groups) > MOST_PANELS:
        raise DataError(
            f"{by!r} has {len(groups):,} levels", hint=f"give a column of at most {MOST_PANELS}"
        )
    named = [(f"{by} {level}", np.asarray(rows)) for level, rows in groups.items()]
    return named, facets(len(named)) if len(named) > 1 else one_panel(2.5)


def _finish_axes(
    fig: Figure,
    panels: list[Axes],
    parts: list[tuple[str, np.ndarray]],
    xlabel: str,
    ylabel: str,
) -> None:
    for axes, (name, _) in zip(panels, parts, strict=True):
        axes.set_title(label(name, 90 // min(4, len(parts))))
        axes.grid(color="0.92", linewidth=0.5)
        axes.set_axisbelow(True)
        place = axes.get_subplotspec()
        if place is None or place.is_first_col():
            axes.set_ylabel(ylabel)
    for axes in panels[-min(4, len(panels)) :]:
        axes.set_xlabel(xlabel)
    letter(panels)
    # Of the first panel with each: one of few rows may have no line.
    keys = {
        name: handle
        for axes in reversed(panels)
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    order = list(dict.fromkeys(n for axes in panels for n in axes.get_legend_handles_labels()[1]))
    legend_above(fig, [keys[name] for name in order], order)


def _draw_densities(axes: Axes, response: np.ndarray, new: np.ndarray) -> None:
    for at, values in enumerate(new):
        _draw_density(axes, values, "replicated" if at == 0 else None, COLOURS[5], 0.5, alpha=0.5)
    _draw_density(axes, response, "data", "black", 1.4)


def _draw_density(
    axes: Axes, values: np.ndarray, name: str | None, colour: str, width: float, alpha: float = 1.0
) -> None:
    if len(np.unique(values)) < 3:
        return
    places, heights, _ = array_stats.kde(values, grid_len=256, bound_correction=False, extend=True)
    axes.plot(places, heights, color=colour, linewidth=width, alpha=alpha, label=name)


def _draw_shares(
    axes: Axes, response: np.ndarray, new: np.ndarray, values: np.ndarray, prob: float
) -> None:
    """Bars of the shares of values in the data, and points with intervals of the replicated."""
    shares = np.stack([(new == one).mean(axis=1) for one in values])
    ends = {"lower": (1 - prob) / 2, "upper": (1 + prob) / 2}
    inner = {"inner_lower": (1 - INNER) / 2, "inner_upper": (1 + INNER) / 2}
    known = {
        name: np.quantile(shares, at, axis=1)
        for name, at in ({"estimate": 0.5} | ends | (inner if prob > INNER else {})).items()
    }
    table = pd.DataFrame({"inner_lower": np.nan, "inner_upper": np.nan} | known)
    seen = [(response == one).mean() for one in values]
    axes.bar(values, seen, color="0.8", width=0.8 * np.diff(values).min(initial=1.0), label="data")
    draw_intervals(axes, table, values, series=0, up=True, label="replicated")


def uniform_band(
    n: int, prob: float, *, random_seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Simultaneous band of the ECDF of n uniform numbers, by simulation.

    At each place z the limits are quantiles gamma/2 and 1 - gamma/2 of Binomial(n, z) / n, with the
    one gamma at which a share `prob` of simulated samples is inside at all places (Säilynoja,
    Bürkner and Vehtari 2022, algorithm 1).

    Returns
    -------
    places, lower, upper : ndarray (points,)
    """
    points = min(max(n, 2), POINTS)
    at = np.arange(1, points) / points
    counts = generator(random_seed).multinomial(n, np.full(points, 1 / points), BAND_DRAWS)
    below = counts.cumsum(axis=1)[:, :-1]
    tails = np.minimum(bdtr(below, n, at), 1 - np.where(below > 0, bdtr(below - 1, n, at), 0.0))
    gamma = np.quantile(2 * tails.min(axis=1), 1 - prob)
    low, high = (np.ceil(bdtrik(one, n, at)) / n for one in (gamma / 2, 1 - gamma / 2))
    low = np.nan_to_num(low)
    return np.r_[0, at, 1], np.r_[0, low, 1], np.r_[0, high, 1]
