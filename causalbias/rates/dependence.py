"""How far pairs that share a seed depend on each other, and what that takes from their number.

The matches tell it themselves, the worse the fewer they are: two matches share a seed, or do not,
by chance, and none tell nothing. All distances tell it well, and carry it to any threshold by how
the effects of identities are spread. So the *design effect* (how many pairs tell as much as one
independent one; Kish 1965) is that of the matches where there are many of them, and moves to that
of the distances as they become few; zero errors is the limiting case of the same formula, so that
the ends of intervals rise with the number of errors.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv, ndtr, ndtri, owens_t
from scipy.stats import rankdata
from scipy.stats import t as student

PRIOR_DEGREES = 40.0
# Errors at which the matches' own design effect counts for half.
HALF = 15.0
# Of events without distances (counts, failures to enrol): what pairs of a seed may well have.
ASSUMED = 0.1


class Dependence(NamedTuple):
    """Dependence of pairs that share a seed.

    Attributes
    ----------
    correlation : float
        Of the normal scores of two pairs that share a seed, from 0 to below 1.
    shared : float
        Share of all ordered pairs of pairs that are two and share a seed.
    tail : float
        From 0, seeds' effects look normal, to 1, as heavy-tailed as Student's t with 3 degrees.
    two_seeds : bool
        Whether pairs are of two seeds.
    """

    correlation: float = 0.0
    shared: float = 0.0
    tail: float = 0.0
    two_seeds: bool = True


INDEPENDENT = Dependence()


def seed_correlation(
    first: np.ndarray, second: np.ndarray, distance: np.ndarray, weight: np.ndarray
) -> Dependence:
    """Dependence of the distances of pairs that share a seed.

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
    Dependence

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> first, second = np.triu_indices(300, 1)
    >>> own = rng.normal(0, np.sqrt(0.2), 300)
    >>> distance = own[first] + own[second] + rng.normal(0, np.sqrt(0.6), len(first))
    >>> found = seed_correlation(first, second, distance, np.ones(len(first)))
    >>> round(found.correlation, 1), round(found.shared * 300, 1)
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
    none = Dependence(two_seeds=bool(apart.any()))
    if every - own <= 0 or size <= 3:  # before the distances are sorted: genuine pairs, one a seed
        return none
    total = weight.sum()
    score = ndtri((rankdata(distance) - 0.5) / len(distance))
    score = score - weight @ score / total
    variance = weight @ score**2 / total
    if variance <= 0:
        return none
    squares, alone = sums(weight * score)
    squares *= for_the_mean(size, two_seeds=none.two_seeds)
    correlation = float(np.clip((squares - alone) / ((every - own) * variance), 0, 0.999))
    pairs, total_score = (
        np.bincount(one, value, size) + np.bincount(two[apart], value[apart], size)
        for value in (weight, weight * score)
    )
    tail = _tail(total_score / np.sqrt(pairs + pairs * np.maximum(pairs - 1, 0) * correlation))
    return Dependence(correlation, (every - own) / float(total) ** 2, tail, none.two_seeds)


def _tail(effect: np.ndarray) -> float:
    """How heavy the tails of seeds' standardised sums are, from their kurtosis: 0 to 1."""
    centred = effect - effect.mean()
    square = np.square(centred).mean()
    if square <= 0:
        return 0.0
    excess = (centred**4).mean() / square**2 - 3
    # One standard error of the kurtosis of as many normal numbers is not yet a tail.
    return float(np.clip((excess - np.sqrt(24 / len(effect))) / 2, 0, 1))


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


# Effects of seeds as Student's t with 3 degrees has them, of variance one, at even quantiles.
_EFFECTS = student.ppf((np.arange(60) + 0.5) / 60, 3)
_EFFECTS /= np.sqrt(np.square(_EFFECTS).mean())
_SHARES = np.linspace(np.log(1e-7), np.log(0.5), 80)
_CORRELATIONS = np.linspace(0, 1, 21) ** 1.5


@cache
def _both_match_heavy(two_seeds: bool) -> np.ndarray:
    """Log probability that two pairs sharing a seed both match, (correlation, log share).

    The distance of a pair is the sum of its seeds' heavy-tailed effects, each with the
    correlation's share of the variance, and normal noise.
    """
    cuts, rows = np.linspace(-8, 5, 150), []
    for correlation in np.minimum(_CORRELATIONS, 0.49 if two_seeds else 0.99):
        own = np.sqrt(correlation) * _EFFECTS
        above = cuts[:, None] - own
        if two_seeds:
            noise = np.sqrt(1 - 2 * correlation)
            given = ndtr((above[:, :, None] - own) / noise).mean(axis=2)
        else:
            given = ndtr(above / np.sqrt(1 - correlation))
        one, both = given.mean(axis=1), np.square(given).mean(axis=1)
        rows.append(np.interp(_SHARES, np.log(one + 1e-300), np.log(both + 1e-300)))
    return np.array(rows)


def both_match(share: np.ndarray, dependence: Dependence) -> np.ndarray:
    """Probability that two pairs which share a seed both match (threshold,).

    That of a Gaussian copula; towards that of heavy-tailed seeds, by how heavy their tails are.
    """
    rho = dependence.correlation
    normal = share - 2 * owens_t(ndtri(share), np.sqrt((1 - rho) / (1 + rho)))
    table = _both_match_heavy(dependence.two_seeds)
    place = np.interp(rho, _CORRELATIONS, np.arange(len(_CORRELATIONS)))
    low = min(int(place), len(_CORRELATIONS) - 2)
    row = table[low] + (place - low) * (table[low + 1] - table[low])
    heavy = np.exp(np.interp(np.log(share), _SHARES, row))
    found: np.ndarray = normal + dependence.tail * np.maximum(heavy - normal, 0)
    return found


def expected_effect(share: np.ndarray, n: float | np.ndarray, dependence: Dependence) -> np.ndarray:
    """Design effect of shares of matches, from the dependence of the distances.

    Parameters
    ----------
    share : ndarray (threshold,)
    n : float
        Pairs of weight 1 that would tell as much.
    dependence : Dependence

    Returns
    -------
    ndarray (threshold,)
        One, where `correlation` is zero; at the upper end of what the share may be (90%, were
        pairs independent), since rarer matches are less dependent.

    Examples
    --------
    >>> expected_effect(np.array([0.1]), 1000.0, Dependence(0.2, 4 / 50)).round(0)
    array([8.])
    """
    rare = np.minimum(share, 1 - share)
    end = np.minimum(betaincinv(rare * n + 1, np.maximum((1 - rare) * n, 1e-9), 0.9), 0.5)
    if dependence.correlation <= 0 or dependence.shared <= 0:
        return np.ones_like(end)
    excess = (
        np.maximum(both_match(end, dependence) - end**2, 0)
        * dependence.shared
        * n
        / (end * (1 - end))
    )
    found: np.ndarray = 1 + excess
    return found


def errors_weight[T: (float, np.ndarray)](errors: T) -> T:
    """Weight of what errors tell of their own dependence, by their number: half at fifteen.

    Examples
    --------
    >>> [errors_weight(one) for one in (0.0, 15.0)]
    [0.0, 0.5]
    """
    return errors**2 / (errors**2 + HALF**2)


def design_effect(
    seen: np.ndarray, least: np.ndarray, expected: np.ndarray, own: np.ndarray, rare: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Design effect of a share and its degrees of freedom, from what was seen and was expected.

    What was seen counts by the number of errors, half at fifteen. To it comes, where that is more,
    what was expected, by the degrees of freedom of what was seen against 40 (Smyth 2004,
    Statistical Applications in Genetics and Molecular Biology 3(1)): the number with which
    intervals of false match rates from 1 to 10% held their share in simulations
    (docs/calibration.md). The degrees are Satterthwaite's: as many as there are seeds at the most,
    and few where a few seeds make most of the variance. Only what goes beyond independent pairs is
    uncertain by them.

    Parameters
    ----------
    seen, least, expected : ndarray (threshold,)
        Design effect of the matches themselves, that of independent ones (1, more where pairs'
        kinds are uncertain), and that from `expected_effect`.
    own : ndarray (seed, threshold)
        What each seed adds to the variance.
    rare : ndarray (threshold,)
        Number of errors, or of what are none if those are fewer.

    Returns
    -------
    effect, degrees : ndarray (threshold,)

    Examples
    --------
    >>> evenly, by_one = np.ones((40, 1)), np.eye(40)[:, :1]
    >>> one, two = np.ones(1), np.full(1, 2.0)
    >>> [design_effect(one, one, two, own, 1e9 * one)[0].round(2) for own in (evenly, by_one)]
    [array([1.5]), array([1.95])]
    """
    n, mean = len(own), own.mean(axis=0)
    spread = np.square(own).mean(axis=0) - np.square(mean)
    # Normal residuals have as many degrees as there are seeds, and more is chance.
    degrees = np.full(len(mean), float(n))
    np.divide(2 * n * np.square(mean), spread, out=degrees, where=spread > 2 * np.square(mean))
    degrees = np.where(rare > 0, degrees, 1.0)
    effect = least + errors_weight(rare) * np.maximum(seen - least, 0)
    part = PRIOR_DEGREES / (PRIOR_DEGREES + degrees)
    effect = effect + part * np.maximum(expected + (least - 1) - effect, 0)
    unsure = np.maximum(effect - least, 1e-9)
    return effect, np.minimum(np.square(effect / unsure) * np.maximum(degrees, 4.0), 1e6)
