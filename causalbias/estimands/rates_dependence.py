"""How far pairs that share a seed depend on each other, from all of their distances.

The few matches at a low threshold tell little of it: the more a handful of seeds has most of them,
the less does a sample that lacks those seeds show that it lacks them. All distances tell it well,
and a Gaussian copula carries it to any threshold; but tails may be less dependent than that. So the
variance of a share is moved towards the copula's, where that is more, by as much as it is unsure.
"""

import numpy as np
from scipy.special import ndtri, owens_t
from scipy.stats import rankdata

PRIOR_DEGREES = 40.0


def seed_correlation(
    first: np.ndarray, second: np.ndarray, distance: np.ndarray, weight: np.ndarray
) -> tuple[float, float]:
    """Correlation of the normal scores of two pairs that share a seed, and how many such there are.

    Parameters
    ----------
    first, second : ndarray of int (pair,)
        The members' seeds; equal in genuine pairs.
    distance : ndarray (pair,)
        May be infinite.
    weight : ndarray (pair,)
        As in `shares_of`.

    Returns
    -------
    correlation : float
        From 0 to below 1.
    shared : float
        Share of all ordered pairs of pairs that are two and share a seed.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> first, second = np.triu_indices(300, 1)
    >>> own = rng.normal(0, np.sqrt(0.2), 300)
    >>> distance = own[first] + own[second] + rng.normal(0, np.sqrt(0.6), len(first))
    >>> correlation, shared = seed_correlation(first, second, distance, np.ones(len(first)))
    >>> round(correlation, 1), round(shared * 300, 1)
    (0.2, 4.0)
    """
    kept = weight > 0
    first, second, distance, weight = first[kept], second[kept], distance[kept], weight[kept]
    seeds, index = np.unique(np.concatenate([first, second]), return_inverse=True)
    size, one, two = len(seeds), index[: len(first)], index[len(first) :]
    apart = one != two
    dyad = np.minimum(one, two).astype(np.int64) * size + np.maximum(one, two)
    dyad = np.unique(dyad[apart], return_inverse=True)[1]

    def sums(value: np.ndarray) -> tuple[float, float]:
        """Squared sums of seeds, and what of them is of a pair with itself, or counted twice."""
        of_seed = np.bincount(one, value, size) + np.bincount(two[apart], value[apart], size)
        of_dyad = np.bincount(dyad, value[apart])
        return float(of_seed @ of_seed), float(of_dyad @ of_dyad + value @ value)

    every, own = sums(weight)
    if every - own <= 0 or size <= 3:  # before the distances are sorted: genuine pairs, one a seed
        return 0.0, 0.0
    total = weight.sum()
    score = ndtri((rankdata(distance) - 0.5) / len(distance))
    score = score - weight @ score / total
    variance = weight @ score**2 / total
    if variance <= 0:
        return 0.0, 0.0
    squares, alone = sums(weight * score)
    squares *= for_the_mean(size, two_seeds=bool(apart.any()))
    correlation = (squares - alone) / ((every - own) * variance)
    return float(np.clip(correlation, 0, 0.999)), (every - own) / float(total) ** 2


def for_the_mean(size: int, *, two_seeds: bool) -> float:
    """Factor of squared sums of seeds' residuals, smaller for being about the same seeds' mean.

    Parameters
    ----------
    size : int
        Number of seeds.
    two_seeds : bool
        Whether pairs are of two seeds.
    """
    return size * (size - 1) / max(size - 2, 1) ** 2 if two_seeds else size / max(size - 1, 1)


def copula_variance(
    share: np.ndarray, n: float | np.ndarray, correlation: float, shared: float
) -> np.ndarray:
    """Variance of shares of matches if distances are as dependent in their tails as at large.

    Parameters
    ----------
    share : ndarray (threshold,)
    n : float
        Pairs of weight 1 that would tell as much.
    correlation, shared : float
        From `seed_correlation`.

    Returns
    -------
    ndarray (threshold,)
        Of independent pairs, where `correlation` is zero.
    """
    at = ndtri(share)
    both = share - 2 * owens_t(at, np.sqrt((1 - correlation) / (1 + correlation)))
    found: np.ndarray = share * (1 - share) / n + np.maximum(both - share**2, 0) * shared
    return found


def moderated(variance: np.ndarray, own: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """A variance moved towards a larger one that was expected, by its degrees of freedom.

    As in Smyth (2004, Statistical Applications in Genetics and Molecular Biology 3(1)), with 40
    prior degrees of freedom: the number with which intervals of false match rates from 1 to 10%
    held their share in simulations of 40 and 80 seeds (docs/calibration.md). The variance's own
    are Satterthwaite's: as many as there are seeds at the most, and few where a few seeds make
    most of it.

    Parameters
    ----------
    variance, expected : ndarray (threshold,)
    own : ndarray (seed, threshold)
        What each seed adds to the variance.

    Returns
    -------
    ndarray (threshold,)
        Never below `variance`.

    Examples
    --------
    >>> evenly, by_one = np.ones((40, 1)), np.eye(40)[:, :1]
    >>> [round(moderated(np.ones(1), own, np.full(1, 2.0)).item(), 2) for own in (evenly, by_one)]
    [1.5, 1.95]
    """
    n, mean = len(own), own.mean(axis=0)
    spread = np.square(own).mean(axis=0) - np.square(mean)
    # Normal residuals have as many degrees as there are seeds, and more is chance.
    degrees = np.full(len(mean), float(n))
    np.divide(2 * n * np.square(mean), spread, out=degrees, where=spread > 2 * np.square(mean))
    part = PRIOR_DEGREES / (PRIOR_DEGREES + degrees)
    found: np.ndarray = variance + part * np.maximum(expected - variance, 0)
    return found
