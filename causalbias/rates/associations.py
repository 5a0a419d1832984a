"""Association tests of embeddings: effect size and permutation test."""

from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from causalbias.arguments import generator, number_in, whole_in
from causalbias.errors import DataError

Floats = NDArray[np.float64]
RESAMPLES = 2000


def associations(targets: ArrayLike, a: ArrayLike, b: ArrayLike) -> Floats:
    """Compute how much nearer each target is to the attributes A than to B.

    s(w, A, B) = mean over a in A of cos(w, a) - mean over b in B of cos(w, b)

    Parameters
    ----------
    targets : array (n, features)
        Embeddings of images, or of words.
    a, b : array (n_a, features), (n_b, features)
        Embeddings of the attributes, such as positive and negative prompts.

    Returns
    -------
    ndarray (n,)
        From -2 to 2.

    Raises
    ------
    DataError
        If an array is no table of finite numbers, embeddings differ in length, or one is zero.

    References
    ----------
    Caliskan, Bryson and Narayanan (2017), Science 356: 183-186.

    Examples
    --------
    >>> associations([[1, 0], [0, 1]], a=[[2, 0]], b=[[0, 3]]).tolist()
    [1.0, -1.0]
    """
    w, of_a, of_b = (
        _directions(one, name) for one, name in ((targets, "targets"), (a, "a"), (b, "b"))
    )
    if not w.shape[1] == of_a.shape[1] == of_b.shape[1]:
        lengths = ", ".join(str(one.shape[1]) for one in (w, of_a, of_b))
        raise DataError(f"embeddings have {lengths} features", hint="give embeddings of one model")
    return np.asarray((w @ of_a.T).mean(axis=1) - (w @ of_b.T).mean(axis=1))


def association_test(
    x: ArrayLike,
    y: ArrayLike,
    *,
    prob: float = 0.95,
    permutations: int = 10_000,
    random_seed: int = 0,
) -> pd.Series:
    """Test whether targets X are nearer to one set of attributes than targets Y (WEAT).

    With s the association of a target, the effect size is

    d = (mean of s over X - mean of s over Y) / standard deviation of s over X and Y together

    (with n - 1), and p is the share of all divisions of the targets into sets of these sizes, the
    observed one among them, whose difference of means is at least the observed one: one-sided, and
    never zero. It takes targets as exchangeable: images of one seed are not, so that each value
    should be a seed's mean.

    Parameters
    ----------
    x, y : array (n_x,), (n_y,)
        Associations of the targets, from `associations`, or from a table of similarities: of each
        image, the mean over prompts A minus that over prompts B.
    prob : float
        Probability of the interval of d.
    permutations : int
        If there are more divisions than this, so many are sampled.
    random_seed : int

    Returns
    -------
    Series
        `effect_size`, `lower`, `upper` (a bootstrap of the targets of each set), `p`, `n_x`, `n_y`,
        `divisions` (how many were compared) and `exact` (whether these are all).

    Raises
    ------
    DataError
        If there are fewer than two finite numbers in a set, or all are equal.

    References
    ----------
    Caliskan, Bryson and Narayanan (2017), Science 356: 183-186.

    Examples
    --------
    >>> found = association_test([3.0, 4.0], [1.0, 2.0])
    >>> round(found["effect_size"], 3), round(found["p"], 3), found["exact"]
    (1.549, 0.167, True)
    """
    one, other = _values(x, "x"), _values(y, "y")
    prob = number_in(prob, "prob", 0, 1)
    most = whole_in(permutations, "permutations", 1)
    both = np.concatenate([one, other])
    if np.ptp(both) == 0:
        raise DataError("all associations are equal", hint="an effect size needs variation")
    random = generator(random_seed)
    size = _effect_size(one[None], other[None])[0]
    draws = _effect_size(_resampled(one, random), _resampled(other, random))
    low, high = np.nanquantile(draws, [(1 - prob) / 2, (1 + prob) / 2])
    p, divisions, exact = _permuted(both, len(one), most, random)
    return pd.Series(
        {
            "effect_size": float(size),
            "lower": float(low),
            "upper": float(high),
            "p": p,
            "n_x": len(one),
            "n_y": len(other),
            "divisions": divisions,
            "exact": exact,
        }
    )


def _permuted(
    both: Floats, first: int, most: int, random: np.random.Generator
) -> tuple[float, int, bool]:
    """Share of divisions whose first set has a sum of at least the observed one."""
    # With sizes fixed, the difference of means rises with the sum of the first set.
    observed = both[:first].sum()
    near = observed - 1e-9 * np.abs(both).sum()
    exact = comb(len(both), first) <= most
    if exact:
        chosen = np.array(list(combinations(range(len(both)), first)))
        sums = both[chosen].sum(axis=1)
        return float((sums >= near).mean()), len(sums), True
    sums = np.array([random.permutation(both)[:first].sum() for _ in range(most)])
    return float(((sums >= near).sum() + 1) / (most + 1)), most, False


def _effect_size(x: Floats, y: Floats) -> Floats:
    """Effect sizes (rows,) of values (rows, n_x) and (rows, n_y); NaN where all are equal."""
    spread = np.concatenate([x, y], axis=1).std(axis=1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(spread > 0, (x.mean(axis=1) - y.mean(axis=1)) / spread, np.nan))


def _resampled(values: Floats, random: np.random.Generator) -> Floats:
    return values[random.integers(len(values), size=(RESAMPLES, len(values)))]


def _values(values: ArrayLike, name: str) -> Floats:
    found = _numbers(values, name)
    if found.ndim != 1 or len(found) < 2:
        raise DataError(
            f"{name} has shape {found.shape}", hint="give one number a target, two or more"
        )
    return found


def _directions(values: ArrayLike, name: str) -> Floats:
    found = _numbers(values, name)
    if found.ndim != 2 or not found.size:
        raise DataError(f"{name} has shape {found.shape}", hint="give one row an embedding")
    length = np.linalg.norm(found, axis=1, keepdims=True)
    if (length == 0).any():
        raise DataError(f"an embedding in {name} is zero", hint="leave it out: it has no direction")
    return np.asarray(found / length)


def _numbers(values: ArrayLike, name: str) -> Floats:
    try:
        found = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise DataError(f"{name} is no array of numbers", hint="give finite numbers") from None
    if not np.isfinite(found).all():
        raise DataError(f"{name} has missing or infinite numbers", hint="leave these out")
    return found
