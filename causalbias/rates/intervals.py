"""Shares of matching pairs and their uncertainty, where pairs share seeds: an array layer.

A false match rate is the share of impostor pairs that match, a false non-match rate the share of
genuine pairs that do not. The interval of a share is computed in three steps: its variance from the
sums over seeds (`shares_from_sums`), the effective number of independent pairs that follows from it
(`causalbias.rates.dependence`), and exact binomial quantiles at that number (`quantiles`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.special import betaincinv, expit, logit, ndtri, stdtrit

from causalbias.arguments import generator
from causalbias.rates.dependence import (
    INDEPENDENT,
    Dependence,
    design_effect,
    expected_effect,
    for_the_mean,
)

# A rate that is drawn is never quite 0 or 1, so that ratios of draws are numbers.
LEAST = 1e-12


@dataclass(frozen=True)
class ShareCurve:
    """Shares of the same pairs at rising thresholds, and how well each is known.

    Attributes
    ----------
    share, n_effective, degrees : ndarray (threshold,)
        As in `Shares`.
    plain : ndarray (rank, threshold), optional
        What `curve_quantiles` gives, where it is known already.
    """

    share: np.ndarray
    n_effective: np.ndarray
    degrees: np.ndarray
    plain: np.ndarray | None = None


@dataclass(frozen=True)
class Shares:
    """Shares of the pairs of one cell that match, at each of several thresholds.

    Attributes
    ----------
    n, total : ndarray (threshold,)
        Kish's effective number of pairs, ``(sum w)^2 / sum w^2``, and the sum of weights w.
    disjoint : int
        Comparisons that share no seed, at most.
    matches : ndarray (threshold,)
        Weight of the matching pairs.
    n_effective : ndarray (threshold,)
        Number of independent pairs that would estimate the share as precisely: `n` over the
        design effect.
    degrees : ndarray (threshold,)
        Degrees of freedom of `n_effective`.
    seeds : ndarray of int (seed,)
    by_seed : ndarray (seed, threshold)
        Weight of the matching pairs that each seed takes part in.
    of_seed : ndarray (seed, threshold)
        Weight of all its pairs.
    curve : ShareCurve, optional
        Of the same pairs at other thresholds too.
    index : ndarray of int (threshold,), optional
        Where these thresholds are in `curve`.
    """

    n: np.ndarray
    total: np.ndarray
    disjoint: int
    matches: np.ndarray
    n_effective: np.ndarray
    degrees: np.ndarray
    seeds: np.ndarray
    by_seed: np.ndarray
    of_seed: np.ndarray
    curve: ShareCurve | None = None
    index: np.ndarray | None = None

    def at(self, index: np.ndarray) -> "Shares":
        """The shares at some of the thresholds, with those at all of them as their `curve`."""
        return Shares(
            self.n[index],
            self.total[index],
            self.disjoint,
            self.matches[index],
            self.n_effective[index],
            self.degrees[index],
            self.seeds,
            self.by_seed[:, index],
            self.of_seed[:, index],
            ShareCurve(self.share, self.n_effective, self.degrees),
            index,
        )

    @property
    def share(self) -> np.ndarray:
        """Share that matches (threshold,)."""
        return self.matches / self.total

    @property
    def known(self) -> np.ndarray:
        """Whether some pairs match and some do not (threshold,)."""
        found: np.ndarray = (self.matches > 0) & (self.matches < self.total)
        return found


def shares_of(
    first: np.ndarray,
    second: np.ndarray,
    step: np.ndarray,
    weight: np.ndarray,
    n_steps: int,
    dependence: Dependence = INDEPENDENT,
) -> Shares:
    """Count matches, and compute how precisely they estimate the share although pairs share seeds.

    With ``e_p = w_p (m_p - share)`` the residual of pair p of seeds i and j (m_p is 1 where it
    matches), the variance of the share is that for dyadic data (Fafchamps and Gubert 2007; Aronow,
    Samii and Assenova 2015), which allows any dependence between pairs that share a seed:

        var(share) = c (sum_s E_s^2 - sum_d D_d^2) / (sum_p w_p)^2,

    E_s the sum of e_p over the pairs of seed s, D_d that over the pairs of the two seeds d, and c a
    correction for the share's having been estimated from the same seeds (`for_the_mean`). The
    second sum takes out what the first counts twice, pairs that share both seeds; the two-way
    bootstrap leaves it in, and is up to three times too wide where seeds matter little. The design
    effect combines this variance with the dependence of all distances (`design_effect`).

    Parameters
    ----------
    first, second : ndarray of int (pair,)
        The members' seeds; equal in genuine pairs.
    step : ndarray of int (pair,)
        How many of the thresholds, in rising order, the pair does *not* match at.
    weight : ndarray (pair,)
        Probability that the pair belongs here, given also whether it matches.
    n_steps : int
        Number of thresholds.
    dependence : Dependence
        Of all distances of these pairs, from `seed_correlation`; by default none.

    Returns
    -------
    Shares

    Examples
    --------
    >>> pairs = np.array([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]).T
    >>> found = shares_of(*pairs, np.array([0, 0, 0, 1, 1, 1]), np.ones(6), 1)
    >>> found.share, found.n_effective.round(2)  # one seed is in every match
    (array([0.5]), array([5.57]))
    """
    kept = weight > 0
    first, second, step, weight = first[kept], second[kept], step[kept], weight[kept]
    seeds, index = np.unique(np.concatenate([first, second]), return_inverse=True)
    one, two = index[: len(first)], index[len(first) :]
    apart = one != two
    by_seed = _table(one, step, weight, len(seeds), n_steps)
    by_seed += _table(two[apart], step[apart], weight[apart], len(seeds), n_steps)
    matches = np.bincount(step, weight, n_steps + 1).cumsum()[:-1]
    share = matches / weight.sum()
    twice = _dyad_squares(one[apart], two[apart], step[apart], weight[apart], share)
    # Uncertainty about the pairs' kinds is missing from the information (Louis 1982).
    variance = weight * (1 - weight)
    below = np.bincount(step, variance, n_steps + 1).cumsum()[:-1]
    missing = below * (1 - 2 * share) + share**2 * variance.sum()
    size = len(seeds)
    return shares_from_sums(
        n=float(weight.sum() ** 2 / np.square(weight).sum()),
        disjoint=max(1, size // 2) if apart.all() else size,
        matches=matches,
        seeds=seeds,
        by_seed=by_seed[:, :-1],
        of_seed=by_seed[:, -1],
        twice=twice,
        missing=missing,
        total=float(weight.sum()),
        two_seeds=bool(apart.any()),
        dependence=dependence,
    )


def shares_from_sums(
    *,
    n: float,
    total: float,
    disjoint: int,
    matches: np.ndarray,
    seeds: np.ndarray,
    by_seed: np.ndarray,
    of_seed: np.ndarray,
    twice: np.ndarray,
    missing: np.ndarray | float = 0.0,
    two_seeds: bool = True,
    dependence: Dependence = INDEPENDENT,
) -> Shares:
    """Shares from sums over pairs; the equations are those of `shares_of`.

    With ``b = share (1 - share)`` the observed design effect is ``n var(share) / b``; where the
    kinds of pairs are uncertain, the sum of weights in the variance is less by ``missing / b``.

    Parameters
    ----------
    n, total, disjoint, matches, seeds, by_seed
        As in `Shares`.
    of_seed : ndarray (seed,)
    twice : ndarray (threshold,)
        Sum over pairs of seeds of the squared sum of their pairs' residuals.
    missing : ndarray (threshold,)
        Sum of ``(m_p - share)^2 w_p (1 - w_p)``: squared residuals, each times the variance of
        whether its pair belongs here.
    two_seeds : bool
        Whether pairs are of two seeds.
    dependence : Dependence
        As in `shares_of`.
    """
    share, size = matches / total, len(seeds)
    own = np.square(by_seed - share * of_seed[:, None])
    binomial = share * (1 - share)
    known = (size > (2 if two_seeds else 1)) & (binomial > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        informed = np.where(known, np.maximum(total - missing / binomial, 1e-9), total)
        variance = for_the_mean(size, two_seeds=two_seeds) * (own.sum(axis=0) - twice) / informed**2
        seen = np.where(known, n * np.maximum(variance, 0) / binomial, 0.0)
    effect, degrees = design_effect(
        seen,
        np.square(total / informed),
        expected_effect(share, n, dependence),
        own,
        np.minimum(share, 1 - share) * n,
    )
    return Shares(
        np.full_like(share, n),
        np.full_like(share, total),
        disjoint,
        matches,
        np.clip(n / effect, min(1.0, n), n),
        degrees,
        seeds,
        by_seed,
        np.broadcast_to(of_seed[:, None], by_seed.shape),
    )


def side_by_side(parts: Sequence[Shares]) -> Shares:
    """Shares of the same pairs, each at a threshold of its own."""

    def join(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts], axis=-1)

    first = parts[0]
    return Shares(
        join("n"),
        join("total"),
        first.disjoint,
        join("matches"),
        join("n_effective"),
        join("degrees"),
        first.seeds,
        join("by_seed"),
        join("of_seed"),
    )


def _table(
    seed: np.ndarray, step: np.ndarray, weight: np.ndarray, n_seeds: int, n_steps: int
) -> np.ndarray:
    """Weight of a seed's pairs below each threshold, and last of all of them."""
    flat = np.bincount(seed * (n_steps + 1) + step, weight, n_seeds * (n_steps + 1))
    table: np.ndarray = flat.reshape(n_seeds, n_steps + 1).cumsum(axis=1)
    return table


def _dyad_squares(
    one: np.ndarray, two: np.ndarray, step: np.ndarray, weight: np.ndarray, share: np.ndarray
) -> np.ndarray:
    """Sum over pairs of seeds of their squared residuals (threshold,)."""
    low, high = np.minimum(one, two).astype(np.int64), np.maximum(one, two)
    dyad = low * (int(high.max(initial=0)) + 1) + high
    order = np.argsort(dyad, kind="stable")
    found: np.ndarray = _sum_squares(dyad[order], step[order], weight[order], share)
    return found


@njit(cache=True)
def _sum_squares(dyad, step, weight, share):  # type: ignore[no-untyped-def]
    squares = np.zeros(len(share))
    row = 0
    while row < len(dyad):
        end, whole = row, 0.0
        own = np.zeros(len(share))
        while end < len(dyad) and dyad[end] == dyad[row]:
            whole += weight[end]
            for at in range(step[end], len(share)):
                own[at] += weight[end]
            end += 1
        for at in range(len(share)):
            squares[at] += (own[at] - share[at] * whole) ** 2
        row = end
    return squares


def quantiles(
    share: np.ndarray, n_effective: np.ndarray, degrees: np.ndarray, rank: np.ndarray
) -> np.ndarray:
    """Quantiles of a share, of which all intervals of rates in the package are made.

    Korn and Graubard (1998, Survey Methodology 24): with n* the effective number of pairs and

        x = share n,    n = n* (z_r / t_r)^2,

    z_r and t_r the quantiles of rank r of the normal distribution and of Student's t with `degrees`
    degrees of freedom, the quantile is Clopper and Pearson's exact lower end ``Beta(x, n - x + 1)``
    at r <= 0.05 and their upper end ``Beta(x + 1, n - x)`` at r >= 0.95, the ends of all intervals
    of 90% or more. Between these it is of ``Beta(x + h, n - x + 1 - h)``, h rising evenly from 0 to
    1, and so that of Jeffreys' prior at the median.

    Parameters
    ----------
    share, n_effective, degrees : ndarray (threshold,)
    rank : ndarray (..., threshold) or (..., 1)
        From 0 to 1.

    Returns
    -------
    ndarray (..., threshold)

    Examples
    --------
    >>> none, n, sure = np.zeros(1), np.full(1, 435.0), np.full(1, 1e6)
    >>> quantiles(none, n, sure, np.array([[0.025], [0.975]])).round(4).ravel()  # Clopper, Pearson
    array([0.    , 0.0084])
    """
    # The ratio of both quantiles is 0 / 0 in the middle, and hardly changes there.
    at = np.where(np.abs(rank - 0.5) < 1e-3, 0.501, rank)
    size = n_effective * np.square(ndtri(at) / stdtrit(degrees, at))
    high = np.clip((rank - 0.05) / 0.9, 0, 1)
    first, second = share * size + high, (1 - share) * size + 1 - high
    with np.errstate(invalid="ignore"):
        found = betaincinv(np.maximum(first, 1e-300), np.maximum(second, 1e-300), rank)
    found = np.where(first < 1e-9, 0.0, np.where(second < 1e-9, 1.0, found))
    return np.clip(found, LEAST, 1 - LEAST)


# Ranks between which quantiles are interpolated where ends are not the plain ones, and the ends of
# the intervals that tables give.
_RANKS = np.array(
    [
        *(1e-6, 1e-5, 1e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05),
        *(0.06, 0.08, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45),
    ]
)
_ENDS = np.array([0.005, 0.025, 0.05, 0.1, 0.9, 0.95, 0.975, 0.995])


def _knots(rank: np.ndarray) -> np.ndarray:
    """Ranks between which the quantiles of some ranks are interpolated."""
    near = np.searchsorted(rank, _ENDS)
    own = rank[np.unique(np.clip([near - 1, near], 0, len(rank) - 1))]
    return np.unique(np.concatenate([_RANKS, [0.5], 1 - _RANKS, own]))


def curve_quantiles(curve: ShareCurve, rank: np.ndarray) -> np.ndarray:
    """Plain quantiles (knot, threshold) of a curve, for `monotone_quantiles`."""
    return quantiles(curve.share, curve.n_effective, curve.degrees, _knots(rank)[:, None])


def ranks(draws: int) -> np.ndarray:
    """Evenly spaced ranks (draw,), of which the draws of a share are the quantiles."""
    return (np.arange(draws) + 0.5) / draws


def monotone_quantiles(curve: ShareCurve, index: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Quantiles of shares whose intervals' ends rise with the threshold, and so with the errors.

    The precision of a share changes with the threshold, where few seeds make most of the matches
    faster than the share itself: the upper end of `quantiles` may fall where a match is added. An
    upper end here is the highest of those at this threshold and all below it; a lower end is the
    lowest of those at this threshold and all above it. No interval becomes shorter by this. These
    are the ends of all intervals of half or more; for shorter ones the quantiles approach those of
    `quantiles`.

    Parameters
    ----------
    curve : ShareCurve
    index : ndarray of int (threshold,)
        Where in the curve the thresholds are.
    rank : ndarray (rank,)
        From 0 to 1.

    Returns
    -------
    ndarray (rank, threshold)

    Examples
    --------
    >>> curve = ShareCurve(np.array([0.0, 0.1]), np.array([10.0, 90.0]), np.full(2, 1e6))
    >>> monotone_quantiles(curve, np.arange(2), np.array([0.975])).round(3)
    array([[0.308, 0.308]])
    """
    knots = _knots(rank)
    plain = curve_quantiles(curve, rank) if curve.plain is None else curve.plain
    highest = np.maximum.accumulate(plain, axis=1)
    lowest = np.minimum.accumulate(plain[:, ::-1], axis=1)[:, ::-1]
    ends = np.where(knots[:, None] > 0.5, highest, lowest)
    full = np.clip(np.abs(knots - 0.5) / 0.2, 0, 1)[:, None]
    found = plain + full * (ends - plain)
    share, n_effective = curve.share[index], curve.n_effective[index]
    exact = quantiles(share, n_effective, curve.degrees[index], rank[:, None])
    moved = (found != plain).any(axis=0)[index]
    for column in np.flatnonzero(moved):
        by_rank = logit(found[:, index[column]])
        exact[:, column] = expit(np.interp(ndtri(rank), ndtri(knots), by_rank))
    return exact


def binomial_ends(errors: np.ndarray, n: np.ndarray, prob: float) -> tuple[np.ndarray, np.ndarray]:
    """Interval of the rate of independent events: `quantiles` with nothing shared.

    Examples
    --------
    >>> low, high = binomial_ends(np.array([0, 10]), np.array([10, 10]), 0.95)
    >>> low.round(3), high.round(3)
    (array([0.   , 0.692]), array([0.308, 1.   ]))
    """
    tails = np.array([[(1 - prob) / 2], [(1 + prob) / 2]])
    low, high = quantiles(errors / n, n, np.full(np.shape(n), 1e6), tails)
    return np.where(errors == 0, 0.0, low), np.where(errors == n, 1.0, high)


def draw_shares(shares: Shares, weights: np.ndarray) -> np.ndarray:
    """Draws of shares, dependent as the cells' common seeds make them.

    Each share's draws are its `monotone_quantiles` at evenly spaced ranks ``(k + 1/2) / draws``, so
    that its interval has no Monte Carlo error. Their order is that of the Bayesian bootstrap of
    seeds (Rubin 1981), ``sum_s g_s M_s / sum_s g_s N_s`` with g_s exponential, M_s the weight of
    the matching pairs of seed s and N_s that of all its pairs, so that shares whose pairs have
    seeds in common rise and fall together, as do those at neighbouring thresholds.

    Parameters
    ----------
    shares : Shares
    weights : ndarray (draw, seed)
        Of all seeds of the study: independent, exponential.

    Returns
    -------
    ndarray (draw, threshold)

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> seeds = np.arange(120)
    >>> shares = shares_of(seeds, seeds, (seeds >= 60).astype(int), np.ones(120), 1)
    >>> draws = draw_shares(shares, rng.exponential(size=(900, 120)))
    >>> np.quantile(draws, [0.05, 0.5, 0.95]).round(1)
    array([0.4, 0.5, 0.6])
    """
    own = weights[:, shares.seeds]
    boot = (own @ shares.by_seed) / (own @ shares.of_seed)
    # Where every draw is alike (none matched), their order is one of chance.
    same = np.ptp(boot, axis=0) < 1e-12
    boot[:, same] = own[:, :1]
    order = np.argsort(np.argsort(boot, axis=0), axis=0)
    rank = ranks(len(boot))
    if shares.curve is None or shares.index is None:
        found = quantiles(shares.share, shares.n_effective, shares.degrees, rank[:, None])
    else:
        found = monotone_quantiles(shares.curve, shares.index, rank)
    drawn: np.ndarray = np.take_along_axis(found, order, axis=0)
    return drawn


def pigeonhole(
    first: np.ndarray,
    second: np.ndarray,
    match: np.ndarray,
    *,
    draws: int = 1000,
    random_seed: int = 0,
) -> np.ndarray:
    """Share of matches over resampled seeds: the two-way cluster bootstrap (Owen 2007).

    A pair of one seed counts as often as that was drawn, a pair of two seeds as the product of both
    counts. It serves as a check of `draw_shares`: it is wider where seeds matter little, and gives
    no interval where no pair matches.

    Parameters
    ----------
    first, second : ndarray of int (pair,)
        The members' seeds; equal in genuine pairs.
    match : ndarray of bool (pair,)
    draws, random_seed : int

    Returns
    -------
    ndarray (draw,)
        Without samples that hold no pair.

    Examples
    --------
    >>> seeds = np.arange(40)
    >>> share = pigeonhole(seeds, seeds, seeds < 12)
    >>> bool(abs(share.mean() - 0.3) < 0.02)
    True
    """
    seeds, index = np.unique(np.concatenate([first, second]), return_inverse=True)
    one, two = index[: len(first)], index[len(first) :]
    rng = generator(random_seed)
    found = []
    for _ in range(draws):
        times = rng.multinomial(len(seeds), np.full(len(seeds), 1 / len(seeds)))
        weight = np.where(one == two, times[one], times[one] * times[two])
        if weight.any():
            found.append(weight @ match / weight.sum())
    return np.array(found)
