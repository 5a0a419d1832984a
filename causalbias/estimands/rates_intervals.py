"""Shares of matching pairs and their uncertainty, where pairs share seeds: an array layer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.special import betaincinv, chdtri

from causalbias.estimands.rates_dependence import copula_variance, for_the_mean, moderated


@dataclass(frozen=True)
class Shares:
    """Shares of the pairs of one cell that match, at each of several thresholds.

    Attributes
    ----------
    n, total : ndarray (threshold,)
        Pairs of weight 1 that would tell as much (Kish), and the sum of their weights.
    disjoint : int
        Comparisons that share no seed, at most.
    matches : ndarray (threshold,)
        Weight of the matching pairs.
    n_effective : ndarray (threshold,)
        Independent pairs that would tell the share as well, at most `n`; where all pairs or none
        match, and nothing can be learned of it, `disjoint`.
    seeds : ndarray of int (seed,)
    by_seed : ndarray (seed, threshold)
        Weight of the matching pairs that each seed takes part in.
    of_seed : ndarray (seed, threshold)
        Weight of all its pairs.
    """

    n: np.ndarray
    total: np.ndarray
    disjoint: int
    matches: np.ndarray
    n_effective: np.ndarray
    seeds: np.ndarray
    by_seed: np.ndarray
    of_seed: np.ndarray

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
    dependence: tuple[float, float] = (0.0, 0.0),
) -> Shares:
    """Count matches, and how much the pairs' shared seeds take from their number.

    The variance of a share is the sum over all pairs of pairs that share a seed of the product of
    their residuals (Fafchamps and Gubert 2007; Aronow, Samii and Assenova 2015), which allows
    any dependence between such pairs. A pair that shares both its seeds is not counted twice,
    which the two-way bootstrap does: that is up to three times too much where seeds matter
    little. Corrected for the mean's having been estimated from the same seeds, and moved towards
    what `dependence` makes it where that is more, by its degrees of freedom (`moderated`).

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
    dependence : (float, float)
        Of all distances of these pairs, from `seed_correlation`; (0, 0): not known.

    Returns
    -------
    Shares

    Examples
    --------
    >>> pairs = np.array([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]).T
    >>> found = shares_of(*pairs, np.array([0, 0, 0, 1, 1, 1]), np.ones(6), 1)
    >>> found.share, found.n_effective.round(2)  # one seed is in every match
    (array([0.5]), array([2.]))
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
    # What is not known of the pairs' kinds is missing from the information (Louis 1982).
    doubt = weight * (1 - weight)
    below = np.bincount(step, doubt, n_steps + 1).cumsum()[:-1]
    missing = below * (1 - 2 * share) + share**2 * doubt.sum()
    size = len(seeds)
    return settle(
        n=float(weight.sum() ** 2 / np.square(weight).sum()),
        disjoint=max(1, size // 2) if apart.all() else size,
        matches=matches, seeds=seeds, by_seed=by_seed[:, :-1], of_seed=by_seed[:, -1],
        twice=twice, missing=missing, total=float(weight.sum()), two_seeds=bool(apart.any()),
        dependence=dependence,
    )  # fmt: skip


def settle(
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
    dependence: tuple[float, float] = (0.0, 0.0),
) -> Shares:
    """Shares from sums over pairs; see `Shares` and `shares_of`.

    Parameters
    ----------
    n, total, disjoint, matches, seeds, by_seed
        As in `Shares`.
    of_seed : ndarray (seed,)
    twice : ndarray (threshold,)
        Sum over pairs of seeds of the squared sum of their pairs' residuals.
    missing : ndarray (threshold,)
        Sum of the squared residuals, each by the variance of whether its pair belongs here.
    two_seeds : bool
        Whether pairs are of two seeds.
    dependence : (float, float)
        As in `shares_of`.
    """
    share, size = matches / total, len(seeds)
    own = np.square(by_seed - share * of_seed[:, None])
    squares = own.sum(axis=0)
    fewer = for_the_mean(size, two_seeds=two_seeds)
    known = (size > (2 if two_seeds else 1)) & (matches > 0) & (matches < total)
    with np.errstate(divide="ignore", invalid="ignore"):
        informed = np.maximum(total - missing / (share * (1 - share)), 0)
        variance = np.maximum(fewer * (squares - twice) / informed**2, 0)
        variance = moderated(variance, own, copula_variance(share, n, *dependence))
        equivalent = np.clip(share * (1 - share) / variance, 1.0, n)
    n_effective = np.where(known, equivalent, min(disjoint, n))
    return Shares(
        np.full_like(share, n), np.full_like(share, total), disjoint, matches, n_effective, seeds,
        by_seed, np.broadcast_to(of_seed[:, None], by_seed.shape),
    )  # fmt: skip


def side_by_side(parts: Sequence[Shares]) -> Shares:
    """Shares of the same pairs, each at a threshold of its own."""

    def join(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts], axis=-1)

    first = parts[0]
    return Shares(
        join("n"), join("total"), first.disjoint, join("matches"), join("n_effective"),
        first.seeds, join("by_seed"), join("of_seed"),
    )  # fmt: skip


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


def draw_shares(shares: Shares, weights: np.ndarray, tails: np.ndarray) -> np.ndarray:
    """Posterior draws of shares, dependent as the cells' common seeds make them.

    Each share is that of `n_effective` independent pairs (a beta posterior under Jeffreys' prior,
    as in Korn and Graubard 1998), `n_effective` itself uncertain by the number of seeds. Which
    draws are high and which low follows the Bayesian bootstrap of seeds (Rubin 1981), so that
    shares whose pairs have seeds in common rise and fall together, as do those at neighbouring
    thresholds.

    Parameters
    ----------
    shares : Shares
    weights : ndarray (draw, seed)
        Of all seeds of the study: independent, exponential.
    tails : ndarray (draw,)
        Uniform, for the uncertainty of the variance.

    Returns
    -------
    ndarray (draw, threshold)

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> seeds = np.arange(120)
    >>> shares = shares_of(seeds, seeds, (seeds >= 60).astype(int), np.ones(120), 1)
    >>> draws = draw_shares(shares, rng.exponential(size=(900, 120)), rng.random(900))
    >>> np.quantile(draws, [0.05, 0.5, 0.95]).round(1)
    array([0.4, 0.5, 0.6])
    """
    own = weights[:, shares.seeds]
    boot = (own @ shares.by_seed) / (own @ shares.of_seed)
    # Where every draw is alike (none matched), their order is one of chance.
    same = np.ptp(boot, axis=0) < 1e-12
    boot[:, same] = own[:, :1]
    n_draws = len(boot)
    rank = (np.argsort(np.argsort(boot, axis=0), axis=0) + 0.5) / n_draws
    degrees = max(1, len(shares.seeds) - 1)
    spread = chdtri(degrees, tails) / degrees
    size = np.where(shares.known, shares.n_effective * spread[:, None], shares.n_effective)
    drawn: np.ndarray = betaincinv(shares.share * size + 0.5, (1 - shares.share) * size + 0.5, rank)
    return drawn


def pigeonhole(
    first: np.ndarray,
    second: np.ndarray,
    match: np.ndarray,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> np.ndarray:
    """Share of matches over resampled seeds: the two-way cluster bootstrap (Owen 2007).

    A pair counts as often as its seed was drawn, one of two seeds as the product of theirs. The
    check of `draw_shares`, and wider where seeds matter little; it says nothing where no pair
    matches.

    Parameters
    ----------
    first, second : ndarray of int (pair,)
        The members' seeds; equal in genuine pairs.
    match : ndarray of bool (pair,)
    draws, seed : int

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
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        times = rng.multinomial(len(seeds), np.full(len(seeds), 1 / len(seeds)))
        weight = np.where(one == two, times[one], times[one] * times[two])
        if weight.any():
            found.append(weight @ match / weight.sum())
    return np.array(found)
