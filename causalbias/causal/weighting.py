"""Effects from rows weighted by the inverse of their probability to have an outcome."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from pandas.api import types
from scipy import special

from causalbias.arguments import generator, names_in, whole_in
from causalbias.causal.bounds import nothing_missing
from causalbias.causal.rows import LEAST_CLUSTERS, Rows, cells_with_level, read_rows, stretch
from causalbias.draws.estimate import Estimate, estimate
from causalbias.errors import DataError
from causalbias.inference.problem import FloatArray
from causalbias.models.levels import reference_of

STEPS = 60
MOST = 15.0  # log odds beyond which a probability is of no outcome, or of one for certain
LEAST = 0.01  # probability below which a row's weight is over a hundred


FOUND = ("chain", "draw", "effect", "naive", "n", "missing", "effective_n", "least_probability")


def selection_weighted(
    rows: pd.DataFrame,
    outcome: str,
    variable: str,
    *,
    predictors: str | Sequence[str],
    cluster: str | Sequence[str],
    reference: object = None,
    by: str | Sequence[str] = (),
    draws: int = 1000,
    random_seed: int = 0,
) -> Estimate:
    """Estimate an effect from rows weighted by the inverse probability that they were not lost.

    Rows that are unlikely to have an outcome stand for those like them that have none (Horvitz and
    Thompson 1952; Robins, Rotnitzky and Zhao 1994). Assumes that whether a row was lost does not
    depend on its outcome, given the level and the `predictors`, and that their model is right:
    within each level a logistic regression of having an outcome on the predictors, levels of a
    factor as such and numbers as straight lines. The mean at a level is
    ``sum(w y) / sum(w)`` over rows with an outcome, ``w = 1 / P(outcome | level, predictors)``.

    These are sampling weights. The `weights` of `fit` are precisions, and counts stand for equal
    rows: neither takes these, and an interval from either would be wrong. The regressions and means
    are estimating equations, solved again for each draw of a Bayesian bootstrap of the clusters.

    Parameters
    ----------
    rows, outcome, variable, cluster, reference, by
        As in `selection_bounds`.
    predictors : str or sequence of str
        Columns, known on every row, on which it depends whether a row was lost.
    draws : int, default 1000
        Of the bootstrap.
    random_seed : int
        Of the bootstrap.

    Returns
    -------
    Estimate
        ``effect`` and ``naive`` (without weights), with dims (chain, draw, variable, *by).
        ``n``, ``missing``: rows with and without an outcome, at the level and the reference.
        ``effective_n``: (sum w)^2 / sum w^2 over rows with an outcome. ``least_probability``: that
        of the row with the greatest weight; where it is below 0.05, few rows carry the estimate.

    Raises
    ------
    DataError
        If rows at some value of the predictors have an outcome with a probability below 0.01, so
        that no weight can make up for those that are missing; and as `selection_bounds`.

    Examples
    --------
    Turned faces are farther away, and those of black faces fail more often.

    >>> rng = np.random.default_rng(1)
    >>> faces = pd.MultiIndex.from_product(
    ...     [range(60), ["white", "black"], [0, 1]], names=["seed", "race", "pose"]
    ... ).to_frame(index=False)
    >>> faces["distance"] = 0.3 + 0.2 * faces["pose"] + rng.normal(0, 0.02, len(faces))
    >>> turned = (faces["race"] == "black") & (faces["pose"] == 1)
    >>> faces.loc[turned & (rng.random(len(faces)) < 0.6), "distance"] = np.nan
    >>> found = selection_weighted(
    ...     faces, "distance", "race", predictors="pose", cluster="seed", reference="white"
    ... )
    >>> found["naive"].median().round(2).item(), abs(found["effect"].median().round(2).item())
    (-0.05, 0.0)
    """
    predictors, draws = names_in(predictors, "predictors"), whole_in(draws, "draws", 100)
    read = read_rows(rows, outcome, variable, cluster, by, predictors, made=FOUND)
    if not predictors or {variable, outcome, *read.by} & set(predictors):
        raise DataError(
            f"predictors are {', '.join(predictors) or 'none'}",
            hint="name columns other than the outcome, the variable and those of by: each level "
            "and cell has a regression of its own already",
        )
    if not np.isnan(read.outcome).any():
        raise nothing_missing(outcome)
    rng = generator(random_seed)
    drawn = np.vstack([np.ones(read.n_clusters), read.weights(draws, rng)])
    base = reference_of(read.levels, reference, variable)
    shape = rng.random(draws)
    parts = [
        _cell(read, within, base, variable, predictors, drawn, shape) for _, within in read.cells()
    ]
    whole = parts[0]
    if read.by:
        index = pd.MultiIndex.from_tuples(
            [tuple(cell.values()) for cell, _ in read.cells()], names=list(read.by)
        )
        coords = xr.Coordinates.from_pandas_multiindex(index, "cell")
        joined = xr.concat(parts, "cell").assign_coords(coords)
        whole = joined.unstack("cell", fill_value={"n": 0, "missing": 0})
        whole = whole.transpose("chain", "draw", variable, *read.by)
    return estimate(
        whole,
        of=[],
        variable="effect",
        estimand=f"difference of mean {outcome} between {variable} and {base}, rows weighted by "
        "their inverse probability to have an outcome",
        outcome=outcome,
        scale="response",
        held=f"none: each level keeps the {', '.join(predictors)} of its own rows",
        rows=len(read.frame),
        reference=str(base),
        contrast=variable,
        treatment=f"{variable} against {base}",
        assumes=f"that rows were lost whatever their outcome, given {variable} and "
        f"{', '.join(predictors)}, and that the logistic regression on these is right",
    )


def _cell(
    read: Rows,
    within: np.ndarray,
    base: object,
    variable: str,
    predictors: Sequence[str],
    drawn: FloatArray,
    shape: FloatArray,
) -> xr.Dataset:
    """Effects of all levels within a cell."""
    means: dict[object, _Mean] = {}
    for place, level in enumerate(read.levels):
        here = cells_with_level(read, within, place)
        if len(here):
            means[level] = _Mean(read, here, f"{variable} {level}", predictors, drawn, shape)
    others = [one for one in read.levels if one != base]
    found = xr.Dataset(coords={variable: others, "chain": [0], "draw": range(len(drawn) - 1)})
    draws = {
        name: np.full((1, len(drawn) - 1, len(others)), np.nan) for name in ("effect", "naive")
    }
    counts = {name: np.zeros(len(others), int) for name in ("n", "missing")}
    told = {name: np.full(len(others), np.nan) for name in ("effective_n", "least_probability")}
    for at, level in enumerate(others):
        if level not in means or base not in means:
            continue
        high, low = means[level], means[base]
        draws["effect"][0, :, at] = high.weighted - low.weighted
        draws["naive"][0, :, at] = high.naive - low.naive
        counts["n"][at], counts["missing"][at] = high.n + low.n, high.missing + low.missing
        told["effective_n"][at] = high.effective_n + low.effective_n
        told["least_probability"][at] = min(high.least, low.least)
    dims = ("chain", "draw", variable)
    return found.assign(
        {name: (dims, one) for name, one in draws.items()}
        | {name: (variable, one) for name, one in (counts | told).items()}
    )


class _Mean:
    """Weighted and naive mean (draws,) at a level, stretched to their sampling variance."""

    def __init__(
        self,
        read: Rows,
        here: np.ndarray,
        level: str,
        predictors: Sequence[str],
        drawn: FloatArray,
        shape: FloatArray,
    ) -> None:
        there = ~np.isnan(read.outcome[here])
        self.n, self.missing = int(there.sum()), int((~there).sum())
        clusters = read.clusters_with_outcome(here)
        if clusters < LEAST_CLUSTERS:
            raise DataError(
                f"{clusters} clusters have an outcome at {level}",
                hint=f"give {LEAST_CLUSTERS} or more, or leave the level out",
            )
        design = _design(read.frame.iloc[here], predictors)
        weights = read.of_rows(drawn, here)
        chance = _probabilities(design, there.astype(float), weights, level, here)
        inverse = weights[:, there] / chance[:, there]
        values = read.outcome[here][there]
        self.weighted = _spread((inverse @ values) / inverse.sum(axis=1), clusters, shape)
        plain = weights[:, there]
        self.naive = _spread((plain @ values) / plain.sum(axis=1), clusters, shape)
        own = 1 / chance[0, there]
        self.effective_n = float(own.sum() ** 2 / (own**2).sum())
        self.least = float(chance[0, there].min())


def _spread(values: FloatArray, clusters: int, shape: FloatArray) -> FloatArray:
    """Draws about the estimate of the rows as they are, which is the first value.

    As many clusters tell the standard error, draws have the tails of a t distribution: `shape`
    (draws,) are uniform numbers, of which the chi-square numbers of its denominator are made.
    """
    df = clusters - 1
    tails = np.sqrt(df / special.chdtri(df, shape))
    return values[0] + stretch(clusters) * tails * (values[1:] - values[0])


def _design(frame: pd.DataFrame, predictors: Sequence[str]) -> FloatArray:
    """Columns (rows, k): an intercept, an indicator of each further level, standardised numbers."""
    columns = [np.ones(len(frame))]
    for name in predictors:
        values = frame[name]
        if types.is_numeric_dtype(values.dtype):
            numbers = values.to_numpy(float)
            spread = numbers.std()
            columns += [(numbers - numbers.mean()) / spread] if spread > 0 else []
        else:
            present = values.cat.remove_unused_categories()
            columns += [(present == one).to_numpy(float) for one in present.cat.categories[1:]]
    return np.column_stack(columns)


def _probabilities(
    design: FloatArray, there: FloatArray, weights: FloatArray, level: str, here: np.ndarray
) -> FloatArray:
    """Fitted probabilities (draws, rows) of logistic regressions with weights (draws, rows).

    Newton's steps for ``sum_i w_i (r_i - p_i) x_i = 0``; each draw starts at the solution of the
    first, the rows as they are. All are one where nothing is missing.

    Raises
    ------
    DataError
        If the probability of an outcome is nearly zero for some rows.
    """
    if there.all():
        return np.ones(weights.shape)
    start = _newton(design, there, weights[0], np.zeros(design.shape[1]))
    chance = special.expit(design @ start)
    if chance.min() < LEAST:
        raise DataError(
            f"at {level} some rows have an outcome with probability {chance.min():.2g} only",
            hint="rows like these are all but lost, and no weight brings them back: leave out the "
            "predictor's value, or use cb.causal.selection_bounds",
            row=int(here[chance.argmin()]) + 1,
        )
    return np.array([special.expit(design @ _newton(design, there, one, start)) for one in weights])


def _newton(
    design: FloatArray, there: FloatArray, weight: FloatArray, start: FloatArray
) -> FloatArray:
    """Solve one logistic regression; where it has no finite solution, stop at large log odds."""
    beta = start
    for _ in range(STEPS):
        chance = special.expit(np.clip(design @ beta, -MOST, MOST))
        slope = design.T @ (weight * (there - chance))
        curve = design.T @ ((weight * np.maximum(chance * (1 - chance), 1e-9))[:, None] * design)
        step = np.linalg.lstsq(curve, slope, rcond=None)[0]
        step *= min(1.0, 3.0 / max(np.abs(step).max(), 1e-12))
        beta = beta + step
        if np.abs(step).max() < 1e-8 or np.abs(design @ beta).max() > MOST:
            break
    return beta
