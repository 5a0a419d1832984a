"""Shares of matching pairs and their uncertainty, where pairs share seeds: an array layer."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.special import betaincinv, chdtri


@dataclass(frozen=True)
class Shares:
    """Shares of the pairs of one cell that match, at each of several thresholds.

    Attributes
    ----------
    n, total : float
        Pairs, and the sum of their weights (the same where every weight is 1).
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
    of_seed : ndarray (seed,)
        Weight of all its pairs.
    """

    n: float
    total: float
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
    first: np.ndarray, second: np.ndarray, step: np.ndarray, weight: np.ndarray, n_steps: int
) -> Shares:
    """Count matches, and how much the pairs' shared seeds take from their number.

    The variance of a share is the sum over all pairs of pairs that share a seed of the product of
    their residuals (Fafchamps and Gubert 2007; Aronow, Samii and Assenova 2015), which allows
    any dependence between such pairs. A pair that shares both its seeds is not counted twice,
    which the two-way bootstrap does: that is up to three times too much where seeds matter
    little. Corrected for the mean's having been estimated from the same seeds.

    Parameters
    ----------
    first, second : ndarray of int (pair,)
        The members' seeds; equal in genuine pairs.
    step : ndarray of int (pair,)
        How many of the thresholds, in rising order, the pair does *not* match at.
    weight : ndarray (pair,)
        Probability that the pair belongs here, above 0, to 1; its own uncertainty is added.
    n_steps : int
        Number of thresholds.

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
    seeds, index = np.unique(np.concatenate([first, second]), return_inverse=True)
    one, two = index[: len(first)], index[len(first) :]
    apart = one != two
    by_seed = _table(one, step, weight, len(seeds), n_steps)
    by_seed += _table(two[apart], step[apart], weight[apart], len(seeds), n_steps)
    of_seed = by_seed[:, -1]
    below = by_seed[:, :-1]
    total = float(weight.sum())
    matches = np.bincount(step, weight, n_steps + 1).cumsum()[:-1]
    share = matches / total
    squares = np.square(below - share * of_seed[:, None]).sum(axis=0)
    twice = _dyad_squares(one[apart], two[apart], step[apart], weight[apart], share)
    # Whether a pair belongs here is a coin of its own.
    doubt = weight * (1 - weight)
    doubtful = np.bincount(step, doubt, n_steps + 1).cumsum()[:-1]
    doubtful = doubtful * (1 - 2 * share) + share**2 * doubt.sum()
    size = len(seeds)
    enough = size > 2 if apart.any() else size > 1
    # The share is of the same seeds as the residuals, which are the smaller for it.
    fewer = size * (size - 1) / max(size - 2, 1) ** 2 if apart.any() else size / max(size - 1, 1)
    variance = (fewer * (squares - twice) + doubtful) / total**2
    n = float(total**2 / np.square(weight).sum())
    disjoint = max(1, size // 2) if apart.all() else size
    known = enough & (matches > 0) & (matches < total)
    with np.errstate(divide="ignore", invalid="ignore"):
        equivalent = np.clip(share * (1 - share) / np.maximum(variance, 0), 1.0, n)
    n_effective = np.where(known, equivalent, min(disjoint, n))
    return Shares(n, total, disjoint, matches, n_effective, seeds, below, of_seed)


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
    boot = (own @ shares.by_seed) / (own @ shares.of_seed)[:, None]
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
