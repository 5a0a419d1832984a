"""Error consistency: whether two judges err on the same pairs, beyond agreement by chance."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causalbias.arguments import generator, names_in, number_in
from causalbias.draws.estimate import check_names
from causalbias.errors import DataError, at_first
from causalbias.study.columns import labels, typed
from causalbias.study.tables import with_index

RESAMPLES = 2000
FILE = "judgements"
FOUND = (
    *("first_right", "second_right", "observed", "expected", "kappa", "lower", "upper"),
    *("n", "clusters"),
)


def error_consistency(
    frame: pd.DataFrame,
    first: str,
    second: str,
    *,
    clusters: str | Sequence[str],
    by: str | Sequence[str] = (),
    prob: float = 0.95,
    random_seed: int = 0,
) -> pd.DataFrame:
    """Compute Cohen's kappa of two judges' errors, with intervals from resampled seeds.

    kappa = (observed - expected) / (1 - expected). `observed` is the share of pairs that both
    judges get right or both get wrong, and `expected` is this share for two judges with the same
    error rates who err independently (Geirhos, Meding and Wichmann 2020; Cohen 1960). Since pairs
    that share a seed are dependent, seeds are resampled: a pair counts as often as its seed was
    drawn, and a pair of two seeds as often as the product of both numbers (the pigeonhole
    bootstrap, Owen 2007). A pair whose two seeds are one counts as a pair of that seed.

    Parameters
    ----------
    frame : DataFrame
        One row per pair.
    first, second : str
        Columns of truth values: whether the judge was right.
    clusters : str or sequence of str
        The column of the seed, or the two columns of the members' seeds.
    by : str or sequence of str
        Columns in each combination of whose values kappa is computed.
    prob : float
        Probability of the percentile interval.
    random_seed : int
        Seed of the bootstrap.

    Returns
    -------
    DataFrame
        The columns of `by`; `first_right`, `second_right` (shares), `observed`, `expected`,
        `kappa`, `lower`, `upper`, `n` (pairs), `clusters` (seeds). kappa is missing if `expected`
        is 1, because both judges are always right or always wrong, and its interval if there is a
        single seed. Rows with a missing value in a column of `by` are left out;
        ``.attrs["left_out"]`` is their number.

    Raises
    ------
    DataError
        If a column is missing, judgements are not truth values on every row, a seed is missing,
        there are no rows, or a column of `by` is named as one of the result.

    Examples
    --------
    >>> rows = pd.DataFrame({"seed": range(8), "human": [1, 1, 0, 0] * 2, "net": [1, 1, 0, 1] * 2})
    >>> rows = rows.astype({"human": bool, "net": bool})
    >>> error_consistency(rows, "human", "net", clusters="seed")["kappa"].tolist()
    [0.5]
    """
    clusters, by = list(names_in(clusters, "clusters")), list(dict.fromkeys(names_in(by, "by")))
    prob = number_in(prob, "prob", 0, 1)
    if len(clusters) not in (1, 2):
        raise DataError(
            f"clusters names {len(clusters)} columns",
            hint='name that of the seed, or those of both members: clusters=["seed_a", "seed_b"]',
        )
    check_names(by, FOUND)
    frame = with_index(frame, FILE)
    for name in (first, second, *clusters, *by):
        if name not in frame:
            raise DataError(
                f"there is no column {name!r}",
                hint=f"use one of {', '.join(map(str, frame.columns))}",
            )
    right = np.column_stack([_truths(frame[name]) for name in (first, second)])
    seeds = pd.DataFrame({name: labels(frame[name], file=FILE).astype("str") for name in clusters})
    missing = seeds.isna().any(axis=1).to_numpy()
    if missing.any():
        problem, hint = "the seed is missing", "fill it in, or leave the pairs out"
        raise at_first(missing, problem, hint=hint, file=None, column=" + ".join(clusters))
    rng = generator(random_seed)
    groups = pd.DataFrame({name: typed(frame[name], file=FILE) for name in by}, index=frame.index)
    parts = groups.groupby(by, observed=True).indices if by else {(): np.arange(len(frame))}
    if not len(frame) or not parts:
        raise DataError(
            f"no row has {' and '.join(by)}" if len(frame) else "there are no rows",
            hint="give one row per pair, with the values of every column of by",
            file=FILE,
        )
    rows = []
    for key, part in parts.items():
        label = dict(zip(by, key if isinstance(key, tuple) else (key,), strict=True))
        members = pd.concat([seeds[name].iloc[part] for name in clusters])
        codes, ids = pd.factorize(members)
        counts, alike = _counts(right[part], codes.reshape(len(clusters), -1).T)
        whole = _kappa(counts.sum(axis=0)[None])
        drawn = rng.multinomial(len(ids), np.full(len(ids), 1 / len(ids)), size=RESAMPLES)
        again = _kappa(_times(drawn, alike) @ counts)["kappa"]
        again = again[np.isfinite(again)]
        # A single seed says nothing of how seeds differ.
        some = len(ids) > 1 and len(again) > 0
        ends = np.quantile(again, [(1 - prob) / 2, (1 + prob) / 2]) if some else [np.nan] * 2
        rows.append(
            label
            | {name: float(values[0]) for name, values in whole.items()}
            | {"lower": ends[0], "upper": ends[1], "n": len(part), "clusters": len(ids)}
        )
    found = pd.DataFrame(rows)
    found.attrs["left_out"] = int(groups.isna().any(axis=1).sum()) if by else 0
    return found


def _truths(values: pd.Series) -> NDArray[np.bool_]:
    """Convert a column of truth values of any type to booleans; refuse missing values."""
    found = typed(values, file=FILE)
    hint = "give True where the judge was right, else False; leave unjudged pairs out"
    missing = found.isna().to_numpy(bool)
    if not pd.api.types.is_bool_dtype(found) and not missing.all():
        raise DataError(f"dtype {values.dtype}", hint=hint, column=str(values.name))
    if missing.any():
        problem = "whether the judge was right is missing"
        raise at_first(missing, problem, hint=hint, file=None, column=str(values.name))
    return found.to_numpy(bool)


def _counts(
    right: NDArray[np.bool_], codes: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Count pairs by seed (or two seeds): all, right by each judge, and judged alike."""
    alike, which = np.unique(codes, axis=0, return_inverse=True)
    one, two = right.T
    columns = (np.ones(len(right)), one, two, one == two)
    counts = [np.bincount(which, column, minlength=len(alike)) for column in columns]
    return np.column_stack(counts), alike


def _times(drawn: NDArray[np.int64], alike: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each combination of seeds is in each resample; a seed named twice counts once."""
    codes = np.sort(alike, axis=1)
    codes[:, 1:][np.diff(codes, axis=1) == 0] = -1  # the column of ones, which is the last
    return np.column_stack([drawn, np.ones(len(drawn), int)])[:, codes].prod(axis=2)


def _kappa(counts: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Compute kappa and its parts from counts (resample, 4), as `_counts` makes them."""
    with np.errstate(invalid="ignore", divide="ignore"):  # a resample may contain no pair
        one, two, observed = (counts[:, 1:] / counts[:, :1]).T
        expected = one * two + (1 - one) * (1 - two)
        kappa = np.where(expected < 1, (observed - expected) / (1 - expected), np.nan)
    return {
        "first_right": one,
        "second_right": two,
        "observed": observed,
        "expected": expected,
        "kappa": kappa,
    }
