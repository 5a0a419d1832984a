"""Whether ranks of the truth among `DRAWS` draws are uniform."""

from functools import cache

import numpy as np
from scipy import special, stats

DRAWS, BINS = 99, 20


def binned(ranks: np.ndarray) -> np.ndarray:
    """Counts of ranks in `BINS` equal bins."""
    return np.bincount(ranks * BINS // (DRAWS + 1), minlength=BINS)


def uniformity(ranks: np.ndarray) -> tuple[float, float]:
    """p-values of chi-square and of the ECDF's envelope, that ranks 0 ... `DRAWS` are uniform."""
    null = null_of_departure(len(ranks))
    below = np.searchsorted(null, departure(ranks), side="right")
    return float(stats.chisquare(binned(ranks)).pvalue), (below + 1) / (len(null) + 1)


@cache
def null_of_departure(n: int, simulations: int = 10_000) -> np.ndarray:
    """Departures of n uniform ranks, ascending."""
    rng = np.random.default_rng(1)
    return np.sort([departure(rng.integers(0, DRAWS + 1, n)) for _ in range(simulations)])


def departure(ranks: np.ndarray) -> float:
    """Smallest pointwise tail probability of the ECDF over all ranks, times two."""
    n, z = len(ranks), np.arange(1, DRAWS + 1) / (DRAWS + 1)
    below = np.cumsum(np.bincount(ranks, minlength=DRAWS + 1))[:-1]
    upper = np.where(below > 0, special.bdtrc(below - 1, n, z), 1.0)
    return float(2 * min(special.bdtr(below, n, z).min(), upper.min()))


def envelope(n: int, prob: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the band that the ECDF of n uniform ranks stays in, at the bins' inner edges."""
    pointwise = np.quantile(null_of_departure(n), 1 - prob)
    z = np.arange(1, BINS) / BINS
    low, high = (stats.binom.ppf(tail, n, z) / n for tail in (pointwise / 2, 1 - pointwise / 2))
    return low, high
