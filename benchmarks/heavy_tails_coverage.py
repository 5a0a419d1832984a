"""Coverage of 90% intervals of false match rates where few identities make most matches.

    python benchmarks/heavy_tails_coverage.py [--studies 200] [--seeds 60 120]

All impostor pairs of one group; a distance is the sum of its seeds' effects, normal or Student's t
with 3 degrees of freedom, each with a share of the variance, and normal noise. The true rate is
that of four million pairs of new seeds. `before`: Jeffreys' interval at an effective number of
pairs from a variance moved towards a Gaussian copula's, at as many seeds less one degrees of
freedom (and at disjoint comparisons where there was no match), the rule before this one.
"""

import argparse

import numpy as np
import pandas as pd
from scipy.special import betaincinv, chdtri

from causalbias.rates.dependence import both_match, seed_correlation
from causalbias.rates.intervals import Shares, quantiles, shares_of

PROB = 0.9
TAILS = np.array([(1 - PROB) / 2, (1 + PROB) / 2])


def effects(kind: str, rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.normal(size=n) if kind == "normal" else rng.standard_t(3, size=n) / np.sqrt(3)


def threshold(kind: str, share: float, rate: float) -> float:
    rng, n = np.random.default_rng(99), 4_000_000
    own = effects(kind, rng, n) + effects(kind, rng, n)
    noise = np.sqrt(1 - 2 * share) * rng.normal(size=n)
    return float(np.quantile(np.sqrt(share) * own + noise, rate))


def before(shares: Shares, dependence: tuple[float, ...], rng: np.random.Generator) -> np.ndarray:
    """Ends by the earlier rule."""
    n, rate, size = shares.n[0], shares.share[0], len(shares.seeds)
    if rate == 0:
        return np.array([0.0, max(3 / (size // 2), betaincinv(0.5, size // 2 + 0.5, TAILS[1]))])
    own = np.square(shares.by_seed[:, 0] - rate * shares.of_seed[:, 0])
    twice = shares.matches[0] * (1 - 2 * rate) + rate**2 * n
    seen = size * (size - 1) / (size - 2) ** 2 * (own.sum() - twice) / n**2
    both = both_match(shares.share, dependence._replace(tail=0.0))[0]
    copula = rate * (1 - rate) / n + max(both - rate**2, 0) * dependence.shared
    mean, spread = own.mean(), own.var()
    degrees = 2 * size * mean**2 / spread if spread > 2 * mean**2 else size
    variance = max(seen, 0) + 40 / (40 + degrees) * max(copula - max(seen, 0), 0)
    effective = np.clip(rate * (1 - rate) / max(variance, 1e-15), 1, n)
    effective = effective * chdtri(size - 1, rng.random(1000)) / (size - 1)
    drawn = betaincinv(rate * effective + 0.5, (1 - rate) * effective + 0.5, rng.random(1000))
    return np.quantile(drawn, TAILS)


def one(kind: str, share: float, seeds: int, at: float, rng: np.random.Generator) -> np.ndarray:
    """Ends before and now (2, 2)."""
    first, second = np.triu_indices(seeds, 1)
    own = np.sqrt(share) * effects(kind, rng, seeds)
    distance = own[first] + own[second] + np.sqrt(1 - 2 * share) * rng.normal(size=len(first))
    weight = np.ones(len(first))
    dependence = seed_correlation(first, second, distance, weight)
    shares = shares_of(first, second, (distance > at).astype(int), weight, 1, dependence)
    now = quantiles(shares.share, shares.n_effective, shares.degrees, TAILS[:, None]).ravel()
    if shares.share[0] == 0:
        now[0] = 0.0
    return np.stack([before(shares, dependence, rng), now])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--seeds", type=int, nargs="+", default=[60, 120])
    options = parser.parse_args()
    rows = []
    for kind in ("normal", "t3"):
        for share in (0.1, 0.2):
            for rate in (0.003, 0.01, 0.03, 0.1):
                at = threshold(kind, share, rate)
                for seeds in options.seeds:
                    rng = np.random.default_rng([seeds, int(rate * 1e4), int(share * 100)])
                    ends = np.stack(
                        [one(kind, share, seeds, at, rng) for _ in range(options.studies)]
                    )
                    held = ((ends[..., 0] <= rate) & (rate <= ends[..., 1])).mean(axis=0)
                    width = np.median(np.diff(ends, axis=-1)[..., 0], axis=0)
                    rows.append((kind, share, rate, seeds, *held, width[1] / width[0]))
    columns = ["effects", "share of one seed", "rate", "seeds", "before", "now", "width, times"]
    print(pd.DataFrame(rows, columns=columns).round(2).to_string(index=False))


if __name__ == "__main__":
    main()
