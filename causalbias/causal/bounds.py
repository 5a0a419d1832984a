"""Bounds of an effect whose outcomes are missing for selected rows: Manski's and Lee's."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import optimize, stats

from causalbias.arguments import generator, number_in, two_in
from causalbias.causal.rows import LEAST_CLUSTERS, Rows, cells_with_level, read_rows, stretch
from causalbias.errors import DataError
from causalbias.inference.problem import FloatArray
from causalbias.models.levels import reference_of

RESAMPLES = 1000
AT_ONCE = 4_000_000  # numbers in a portion of the weights
NAIVE, MANSKI, LEE = "naive", "Manski", "Lee"


FOUND = (
    *("reference", "method", "low", "high", "lower", "upper", "n", "n_reference", "missing"),
    *("missing_reference", "clusters"),
)


def selection_bounds(
    rows: pd.DataFrame,
    outcome: str,
    variable: str,
    *,
    cluster: str | Sequence[str],
    reference: object = None,
    by: str | Sequence[str] = (),
    outcome_range: Sequence[float] | None = None,
    prob: float = 0.95,
    random_seed: int = 0,
) -> pd.DataFrame:
    """Bound the effect of a manipulated variable where rows without an outcome were selected.

    Failures to enrol, filtering by consensus and dropped annotators leave rows without an outcome,
    perhaps because of what it would have been. Three answers, from the weakest assumptions to the
    strongest:

    "Manski"
        The worst case (Manski 1990, Horowitz and Manski 2000): missing outcomes are anywhere in
        `outcome_range`. For all rows; nothing is assumed.
    "Lee"
        Trimming bounds (Lee 2009, propositions 1a and 2). Assumes that being at one level rather
        than the other can only help a row to have an outcome, or only hinder it, for every row.
        The effect is that on rows with an outcome at either level: of the level where more are
        there, the excess share p is taken off the upper end for the lower bound, and off the lower
        end for the upper one.
    "naive"
        Missing outcomes are ignored, which is right if they are like the others of their level.

    The effect is the difference of mean outcomes between a level and the reference. Levels must
    have been manipulated, or dealt out at random: rows of two levels are otherwise alike, those
    without an outcome included.

    Parameters
    ----------
    rows : DataFrame
        A row for each attempt. Where it was lost, the outcome is missing and all else is there;
        `complete` adds rows that a crossed design lacks, and the "machine" rows of a study have its
        failures to enrol.
    outcome : str
        Column of numbers: a distance, a score, or whether faces matched.
    variable : str
        Column of what was manipulated.
    cluster : str or sequence of two str
        Column of the seed, or those of both members of a pair: units that are drawn together.
    reference : optional
        The level that others are compared with; by default the first.
    by : str or sequence of str
        Columns within whose combinations to compute bounds.
    outcome_range : (float, float), optional
        Least and greatest possible outcome: (0, 1) of an answer, (0, 2) of a distance between
        vectors of length one. Without it there are no bounds of Manski.
    prob : float, default 0.95
        Probability of the interval.
    random_seed : int
        Of the bootstrap of clusters.

    Returns
    -------
    DataFrame
        The columns of `by`, `variable`, `reference`, `method`; `low` and `high`, the bounds, which
        are equal for "naive"; `lower` and `upper`, an interval that holds the *effect* with
        probability `prob` (Imbens and Manski 2004, equations 6 and 7), with standard errors from a
        Bayesian bootstrap of 1,000 draws of the clusters, in place of their normal distribution t
        with clusters - 1 degrees of freedom; `n` and `n_reference`, rows with an outcome; `missing`
        and `missing_reference`, those without; `clusters`. "Lee" is missing where a level has no
        outcome at all, and an interval where fewer than three clusters have one. Cells of `by`
        without rows of a level, or of the reference, have no line for it.

    Raises
    ------
    DataError
        If a column is missing or has missing values (but for the outcome), an outcome is outside
        `outcome_range`, there are fewer than three clusters, or no outcome is missing.

    Examples
    --------
    The effect is 0.2. Of ten black faces the two with the greatest distances failed.

    >>> faces = pd.MultiIndex.from_product(
    ...     [range(10), ["white", "black"]], names=["seed", "race"]
    ... ).to_frame(index=False)
    >>> faces["distance"] = 0.1 * faces["seed"] + 0.2 * (faces["race"] == "black")
    >>> faces.loc[(faces["race"] == "black") & (faces["seed"] >= 8), "distance"] = np.nan
    >>> found = selection_bounds(
    ...     faces, "distance", "race", cluster="seed", reference="white", outcome_range=(0, 2)
    ... )
    >>> found[["method", "low", "high", "n", "missing"]].round(3).values.tolist()
    [['naive', 0.1, 0.1, 8, 2], ['Manski', -0.01, 0.39, 8, 2], ['Lee', 0.0, 0.2, 8, 2]]
    """
    prob = number_in(prob, "prob", 0, 1)
    read = read_rows(rows, outcome, variable, cluster, by, made=FOUND)
    if not np.isnan(read.outcome).any():
        raise nothing_missing(outcome)
    ends = _ends(outcome_range, read.outcome, outcome)
    base = reference_of(read.levels, reference, variable)
    drawn = read.weights(RESAMPLES, generator(random_seed))
    found = []
    for cell, within in read.cells():
        at_base = cells_with_level(read, within, read.levels.index(base))
        for place, level in enumerate(read.levels):
            at_level = cells_with_level(read, within, place)
            if level == base or not len(at_level) or not len(at_base):
                continue
            label = {**cell, variable: level, "reference": base}
            counts = _counts(read, at_level, at_base)
            known = min(read.clusters_with_outcome(part) for part in (at_level, at_base))
            bounds = _bounds(read, drawn, at_level, at_base, ends)
            for method, (point, draws) in bounds.items():
                units = counts["clusters"] if method == MANSKI else known
                limits = _limits(point, draws, prob, units)
                if method == MANSKI and ends is not None:  # no effect is larger
                    limits = np.clip(limits, ends[0] - ends[1], ends[1] - ends[0])
                numbers = dict(
                    zip(("low", "high", "lower", "upper"), (*point, *limits), strict=True)
                )
                found.append(label | {"method": method} | numbers | counts)
    return pd.DataFrame(found)


def nothing_missing(outcome: str) -> DataError:
    """The error of a table in which no row was lost."""
    return DataError(
        "every row has an outcome, so that nothing was selected",
        hint="give the rows that were lost too, without an outcome: cb.causal.complete adds those "
        "that a crossed design lacks; else rows.merge with what was attempted",
        column=outcome,
    )


def _ends(
    outcome_range: Sequence[float] | None, values: FloatArray, outcome: str
) -> tuple[float, float] | None:
    if outcome_range is None:
        return None
    low, high = two_in(outcome_range, "outcome_range", "outcome_range=(0, 2)")
    low = number_in(low, "the least possible outcome")
    high = number_in(high, "the greatest possible outcome", low)
    outside = (values < low) | (values > high)
    if outside.any():
        row = int(outside.argmax())
        raise DataError(
            f"{values[row]:g} is outside {low:g} to {high:g}",
            hint="give outcome_range= the least and the greatest value that an outcome can have",
            column=outcome,
            row=row + 1,
        )
    return low, high


def _counts(rows: Rows, at_level: np.ndarray, at_base: np.ndarray) -> dict[str, int]:
    lost = np.isnan(rows.outcome)
    return {
        "n": int((~lost[at_level]).sum()),
        "missing": int(lost[at_level].sum()),
        "n_reference": int((~lost[at_base]).sum()),
        "missing_reference": int(lost[at_base].sum()),
        "clusters": len(np.unique(rows.clusters[np.concatenate([at_level, at_base])])),
    }


type Found = tuple[FloatArray, FloatArray]  # both bounds, and their draws (draws, 2)


def _bounds(
    rows: Rows,
    drawn: FloatArray,
    at_level: np.ndarray,
    at_base: np.ndarray,
    ends: tuple[float, float] | None,
) -> dict[str, Found]:
    """Both bounds by method: of the rows as they are, and of each draw of the clusters."""
    whole = np.vstack([np.ones(rows.n_clusters), drawn])
    step = max(1, AT_ONCE // max(len(at_level), len(at_base), 1))
    parts: dict[str, list[FloatArray]] = {}
    for start in range(0, len(whole), step):
        portion = whole[start : start + step]
        high = _Level(rows.outcome[at_level], rows.of_rows(portion, at_level))
        low = _Level(rows.outcome[at_base], rows.of_rows(portion, at_base))
        for name, one in _differences(high, low, ends).items():
            parts.setdefault(name, []).append(one)
    found = {name: np.concatenate(each) for name, each in parts.items()}
    return {name: (one[0], one[1:]) for name, one in found.items()}


class _Level:
    """Outcomes of the rows at a level, lowest first, and weights (draws, rows) of these."""

    def __init__(self, values: FloatArray, weights: FloatArray) -> None:
        there = ~np.isnan(values)
        order = np.argsort(values[there], kind="stable")
        self.values = values[there][order]
        self.weights = weights[:, there][:, order]
        self.there = self.weights.sum(axis=1)
        self.share = self.there / weights.sum(axis=1)

    def mean(self) -> FloatArray:
        """Mean (draws,) of the outcomes that there are."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return (self.weights @ self.values) / self.there

    def filled(self, value: float) -> FloatArray:
        """Mean (draws,) of all rows if the missing ones were one value."""
        known = np.where(self.share > 0, self.mean(), 0.0)
        return self.share * known + (1 - self.share) * value

    def lowest(self, kept: FloatArray) -> FloatArray:
        """Mean (draws,) of the lowest share of the outcomes; the row at the edge counts in part."""
        until = np.cumsum(self.weights, axis=1)
        edge = (kept * self.there)[:, None]
        counted = np.clip(edge - (until - self.weights), 0.0, self.weights)
        return (counted @ self.values) / counted.sum(axis=1)

    def highest(self, kept: FloatArray) -> FloatArray:
        """Mean (draws,) of the highest share of the outcomes."""
        turned = object.__new__(_Level)
        turned.values, turned.weights = -self.values[::-1], self.weights[:, ::-1]
        turned.there = self.there
        return -turned.lowest(kept)


def _differences(
    high: _Level, low: _Level, ends: tuple[float, float] | None
) -> dict[str, FloatArray]:
    """Both bounds (draws, 2) of the difference of two levels' means, by method."""
    naive = high.mean() - low.mean()
    found = {NAIVE: np.column_stack([naive, naive])}
    if ends is not None:
        least, most = ends
        found[MANSKI] = np.column_stack(
            [high.filled(least) - low.filled(most), high.filled(most) - low.filled(least)]
        )
    if not len(high.values) or not len(low.values):
        return found | {LEE: np.full((len(naive), 2), np.nan)}
    # The share of a level's outcomes that would be there at the other level too.
    of_high = np.minimum(low.share / high.share, 1.0)
    of_low = np.minimum(high.share / low.share, 1.0)
    found[LEE] = np.column_stack(
        [
            high.lowest(of_high) - low.highest(of_low),
            high.highest(of_high) - low.lowest(of_low),
        ]
    )
    return found


def _limits(point: FloatArray, draws: FloatArray, prob: float, clusters: int) -> FloatArray:
    """Interval of Imbens and Manski (2004) for the effect, not for the whole of the bounds.

    The ends are ``low - C s_low`` and ``high + C s_high``; with D the distance of the bounds, C
    solves ``F(C + D / max(s_low, s_high)) - F(-C) = prob``; C is zero where the bounds themselves
    hold the effect as often, as for `prob` below a half. Missing where clusters are too few.
    """
    if not np.isfinite(point).all() or clusters < LEAST_CLUSTERS:
        return np.full(2, np.nan)
    spread = draws.std(axis=0, ddof=1) * stretch(clusters)
    apart, most = point[1] - point[0], spread.max()
    if most == 0:
        return point
    chance = stats.t(clusters - 1).cdf

    def over(c: float) -> float:
        return float(chance(c + apart / most) - chance(-c) - prob)

    if over(0.0) >= 0:
        return point
    limit = optimize.brentq(over, 0.0, float(stats.t(clusters - 1).ppf((1 + prob) / 2)) + 1e-9)
    return point + np.array([-1.0, 1.0]) * limit * spread
