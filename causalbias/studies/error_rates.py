"""Error rates of systems by group, as counts with intervals from resampled seeds."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

RESAMPLES = 1000


def error_rates(
    rows: Mapping[str, pd.DataFrame], *, prob: float = 0.95, seed: int = 0
) -> pd.DataFrame | None:
    """Count false matches and false non-matches by race and gender at each system's threshold.

    Distances below the threshold match. Intervals are from resampling seeds, which pairs share: a
    pair counts as often as its seed was drawn, an impostor pair as the product of its two (the
    pigeonhole bootstrap, Owen 2007). Where there is no error, resampling says nothing, and the
    upper end is the rule of three's for disjoint comparisons, 3/disjoint; no upper end is below
    3/n.

    Parameters
    ----------
    rows : mapping of fit to DataFrame
        Pairs with `system`, `threshold`, `distance`, `same_identity`, `race`, `gender`, `seed_a`,
        `seed_b`; of failures to enrol there are none.
    prob : float
        Probability of the intervals.
    seed : int
        Of the resampling.

    Returns
    -------
    DataFrame or None
        `fit`, `system`, `rate_of` ("FNMR" of genuine pairs, "FMR" of impostors), `race`, `gender`,
        `threshold`, `errors`, `n`, `disjoint` (comparisons that share no seed, at most), `rate`,
        `lower`, `upper`. None where no system has a threshold.
    """
    rng = np.random.default_rng(seed)
    found = []
    for name, every in rows.items():
        pairs = every.dropna(subset="threshold")
        match = pairs["distance"] < pairs["threshold"]
        pairs = pairs.assign(error=match != pairs["same_identity"])
        for (race, gender), part in pairs.groupby(["race", "gender"]):
            genuine = bool(part["same_identity"].iloc[0])
            n, errors = len(part), int(part["error"].sum())
            seeds = np.union1d(part["seed_a"], part["seed_b"])
            disjoint = len(seeds) if genuine else max(1, len(seeds) // 2)
            lower, upper = _interval(part, seeds, prob, rng) if errors else (0.0, 3 / disjoint)
            found.append(
                {
                    "fit": name,
                    "system": part["system"].iloc[0],
                    "rate_of": "FNMR" if genuine else "FMR",
                    "race": race,
                    "gender": gender,
                    "threshold": part["threshold"].iloc[0],
                    "errors": errors,
                    "n": n,
                    "disjoint": disjoint,
                    "rate": errors / n,
                    "lower": lower,
                    "upper": min(1.0, max(upper, 3 / n)),
                }
            )
    return pd.DataFrame(found) if found else None


def _interval(
    part: pd.DataFrame, seeds: np.ndarray, prob: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Quantiles of the rate over samples of the seeds."""
    first, second = (np.searchsorted(seeds, part[name]) for name in ("seed_a", "seed_b"))
    drawn = rng.multinomial(len(seeds), np.full(len(seeds), 1 / len(seeds)), size=RESAMPLES)
    error = part["error"].to_numpy()
    times = drawn[:, first]
    if not part["same_identity"].iloc[0]:
        times = times * drawn[:, second]
    total = times.sum(axis=1)
    # With very few seeds a sample may hold no pair at all; it says nothing about the rate.
    rate = (times @ error)[total > 0] / total[total > 0]
    lower, upper = np.quantile(rate, [(1 - prob) / 2, (1 + prob) / 2])
    return float(lower), float(upper)
