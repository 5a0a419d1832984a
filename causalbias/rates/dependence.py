"""Dependence of pairs that share a seed, and the design effect that it has on a share of matches.

The design effect is the number of dependent pairs that estimate a share as precisely as one
independent pair (Kish 1965). The matches themselves estimate it, but poorly where they are few: two
matches share a seed, or do not, by chance, and no match gives no information. All distances
estimate the dependence well, and a model of the effects of seeds carries it to any threshold. So
the design effect is that of the matches where there are many of them, and moves to that of the
distances as they become few; zero errors is the limiting case of the same formula, so that the ends
of intervals rise with the number of errors.
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
# Correlation assumed of events without distances (counts, failures to enrol).
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

    With z_p the normal score of the distance of pair p and ``v = sum w z^2 / sum w``, the
    correlation is ``sum_{p, q} w_p z_p w_q z_q / (v sum_{p, q} w_p w_q)`` over the ordered pairs p,
    q that are two and share a seed, computed from sums over seeds.

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
        """Squared sums over seeds, and the part of pairs with the same two seeds or one."""
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
    """How heavy the tails of seeds' standardised sums are, 0 to 1.

    Half the excess kurtosis, less one standard error ``sqrt(24 / n)`` of that of normal numbers.
    """
    centred = effect - effect.mean()
    square = np.square(centred).mean()
    if square <= 0:
        return 0.0
    excess = (centred**4).mean() / square**2 - 3
    return float(np.clip((excess - np.sqrt(24 / len(effect))) / 2, 0, 1))


def for_the_mean(size: int, *, two_seeds: bool) -> float:
    """Correction of squared sums of seeds' residuals for being about a mean of the same seeds.

    ``n (n - 1) / (n - 2)^2`` for n seeds and pairs of two seeds, ``n / (n - 1)`` for pairs of one.

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

    The score of a pair of seeds i and j is ``sqrt(rho) (u_i + u_j) + sqrt(1 - 2 rho) e`` (of one
    seed: ``sqrt(rho) u_i + sqrt(1 - rho) e``), u of Student's t with 3 degrees scaled to variance
    one, e normal. Given the shared seed two pairs are independent, so that both match with
    probability ``E[P(match | u_i)^2]``.
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

    Of a Gaussian copula with correlation rho, ``Phi_2(c, c; rho) = share - 2 T(c, sqrt((1 - rho) /
    (1 + rho)))`` with ``Phi(c) = share`` and T Owen's function; moved towards that of heavy-tailed
    seeds by how heavy their tails are.
    """
    rho = dependence.correlation
    normal = share - 2 * owens_t(ndtri(share), np.sqrt((1 - rho) / (1 + rho)))
    table = _both_match_heavy(dependence.two_seeds)
    between = np.interp(rho, _CORRELATIONS, np.arange(len(_CORRELATIONS)))
    low = min(int(between), len(_CORRELATIONS) - 2)
    row = table[low] + (between - low) * (table[low + 1] - table[low])
    heavy = np.exp(np.interp(np.log(share), _SHARES, row))
    found: np.ndarray = normal + dependence.tail * np.maximum(heavy - normal, 0)
    return found


def expected_effect(share: np.ndarray, n: float | np.ndarray, dependence: Dependence) -> np.ndarray:
    """Design effect of shares of matches, from the dependence of the distances.

    ``1 + n shared (p2 - p^2) / (p (1 - p))``, p2 the probability that two pairs which share a seed
    both match (`both_match`) and p the upper end of the share (90%, were pairs independent), since
    rarer matches are less dependent.

    Parameters
    ----------
    share : ndarray (threshold,)
    n : float
        Kish's effective number of pairs.
    dependence : Dependence

    Returns
    -------
    ndarray (threshold,)
        One where `correlation` is zero.

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
    """Weight of the design effect observed from a number of errors: ``e^2 / (e^2 + 15^2)``.

    Examples
    --------
    >>> [errors_weight(one) for one in (0.0, 15.0)]
    [0.0, 0.5]
    """
    return errors**2 / (errors**2 + HALF**2)


def design_effect(
    seen: np.ndarray, least: np.ndarray, expected: np.ndarray, own: np.ndarray, rare: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Design effect of a share and its degrees of freedom, from those observed and expected.

    The observed effect is shrunk to that of independent pairs by the number of errors e, and
    raised towards the expected one where that is larger (Smyth 2004, Statistical Applications in
    Genetics and Molecular Biology 3(1)):

        observed = least + e^2 / (e^2 + 15^2) max(seen - least, 0),
        effect   = observed + 40 / (40 + d) max(expected + least - 1 - observed, 0).

    40 is the number with which intervals of false match rates from 1 to 10% held their share in
    simulations (docs/calibration.md). d are Satterthwaite's degrees of freedom of the variance,
    ``2 (sum_s E_s^2)^2 / sum_s (E_s^2 - mean)^2``: as many as there are seeds at the most, and few
    where a few seeds make most of the variance. Only the excess over independent pairs is uncertain
    by them: the degrees returned are ``(effect / (effect - least))^2 max(d, 4)``.

    Parameters
    ----------
    seen, least, expected : ndarray (threshold,)
        Design effect of the matches themselves, that of independent pairs (1, more where pairs'
        kinds are uncertain), and that from `expected_effect`.
    own : ndarray (seed, threshold)
        Squared sum E_s^2 of each seed's residuals.
    rare : ndarray (threshold,)
        Number of errors or of pairs without error, whichever is smaller.

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
