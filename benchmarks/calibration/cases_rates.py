"""Coverage of error rates and what is made of them, in the population of seeds.

Parameters are fixed; seeds, their effects and the noise are drawn anew. An impostor distance is
``T - z(rate) + both seeds' effects + noise``, a genuine one ``T + z(rate) + ...``, of variance 1
with z the normal quantile, so that both rates of a group are its `rate` at T, and known at every
threshold.
"""

import numpy as np
import pandas as pd
from scipy import optimize
from scipy.stats import norm

import causalbias as cb
from benchmarks.calibration.intervals import Record, of_draws
from benchmarks.error_rate_coverage import THRESHOLD as AT
from benchmarks.error_rate_coverage import pairs

FAILED = 0.05
# rates by group, seeds a group, share of an impostor distance's variance that is of one seed
SETTINGS = {
    "unequal rates, 40 seeds a group": ({"a": 0.01, "b": 0.04, "c": 0.1}, 40, 0.1),
    "unequal rates, 80 seeds a group": ({"a": 0.01, "b": 0.04, "c": 0.1}, 80, 0.1),
    "equal rates, 40 seeds a group": ({"a": 0.04, "b": 0.04, "c": 0.04}, 40, 0.1),
    "unequal rates, 40 seeds a group, no effects of seeds": (
        {"a": 0.01, "b": 0.04, "c": 0.1},
        40,
        0.0,
    ),
}


def rates(replicate: int) -> list[Record]:
    """All that is made of the pairs of three groups of seeds of their own."""
    rng = np.random.default_rng([4, replicate])
    true, seeds, effect = list(SETTINGS.values())[replicate % len(SETTINGS)]
    frame = pairs(true, seeds, effect, rng)
    z = {group: norm.ppf(rate) for group, rate in true.items()}

    def fmr(group: str, at: float = AT) -> float:
        return float(norm.cdf(at - AT + z[group]))

    def fnmr(group: str, at: float = AT) -> float:
        return float(norm.sf(at - AT - z[group]))

    found = of_draws(
        "error_rates: {rate_of}",
        cb.error_rates(frame, "group", threshold=AT, random_seed=replicate),
        lambda row: {"FMR": fmr, "FNMR": fnmr}[row["rate_of"]](row["group"]),
    )
    failed = rng.uniform(size=len(frame)) < FAILED
    fails = frame.assign(
        distance=frame["distance"].mask(failed), status=np.where(failed, "no face found", "ok")
    )
    found += of_draws(
        "error_rates: {rate_of}",
        cb.error_rates(fails, "group", threshold=AT, generalised=True, random_seed=replicate),
        lambda row: (
            (1 - FAILED) * fmr(row["group"])
            if row["rate_of"] == "GFMR"
            else FAILED + (1 - FAILED) * fnmr(row["group"])
        ),
    )
    at_target = cb.error_rates(frame, "group", fmr=0.05, random_seed=replicate)
    found += of_draws(
        "error_rates: {rate_of} at the threshold of a target",
        at_target,
        lambda row: {"FMR": fmr, "FNMR": fnmr}[row["rate_of"]](row["group"], row["threshold"]),
    )
    pooled = optimize.brentq(lambda at: np.mean([fmr(g, at) for g in true]) - 0.05, AT - 5, AT + 4)
    found += of_draws(
        "threshold_at: pooled",
        cb.threshold_at(frame, 0.05, by="group", random_seed=replicate),
        lambda _: pooled,
    )
    found += of_draws(
        "threshold_at: per group",
        cb.threshold_at(
            frame, 0.05, by="group", per_group=True, cohort="same", random_seed=replicate
        ),
        lambda row: AT - z[row["group"]] + norm.ppf(0.05),
    )
    found += of_draws(
        "det",
        cb.det(frame, "group", fmr=[0.02, 0.1], random_seed=replicate),
        lambda row: norm.sf(norm.ppf(row["fmr"]) - 2 * z[row["group"]]),
    )
    found += of_draws(
        "equal_error_rate",
        cb.equal_error_rate(frame, "group", random_seed=replicate),
        lambda row: true[row["group"]],
    )
    return found + ratios(frame, true, replicate) + cross(effect, rng, replicate)


def ratios(frame: pd.DataFrame, true: dict[str, float], seed: int) -> list[Record]:
    """Ratios and indices; with equal rates the indices are at the end of what they can be."""
    values = np.array(list(true.values()))
    found, own = [], cb.error_rates(frame, "group", threshold=AT, random_seed=seed)
    for to, base in (("geometric mean", np.exp(np.log(values).mean())), ("best", values.min())):
        found += of_draws(
            f"rate_ratios: to {to}",
            cb.rates.rate_ratios(own, to=to),
            # the best group's own ratio is one by definition
            lambda row, t=to, b=base: (
                true[row["group"]] / b if t != "best" or row["lower"] < row["upper"] else np.nan
            ),
        )
    n, apart = len(values), np.abs(values[:, None] - values).sum()
    gini = apart / (2 * n * (n - 1) * values.mean())
    to_mean = values.max() / np.exp(np.log(values).mean())
    most = values.max() / values.min()
    one = {"max/min": most, "max/geometric mean": to_mean, "Gini": gini}
    index = {f"{kind} {name}": value for kind in ("FMR", "FNMR") for name, value in one.items()}
    index |= {"FDR": 1 - np.ptp(values), "inequity rate": most, "GARBE": gini}
    end = " (equal rates)" if most == 1 else ""
    indices = cb.rates.fairness_indices(own)
    found += of_draws(f"fairness_indices: {{index}}{end}", indices, lambda row: index[row["index"]])
    return found


def cross(effect: float, rng: np.random.Generator, seed: int) -> list[Record]:
    """Impostor pairs of each two of two groups."""
    seeds, rate = 60, {("a", "a"): 0.05, ("b", "b"): 0.12, ("a", "b"): 0.03}
    first, second = np.triu_indices(seeds, 1)
    group = np.array(["a", "b"])[np.arange(seeds) % 2]
    key = [tuple(sorted(both)) for both in zip(group[first], group[second], strict=True)]
    own = rng.normal(0, np.sqrt(effect), seeds)
    noise = rng.normal(0, np.sqrt(1 - 2 * effect), len(first))
    frame = pd.DataFrame(
        {
            "seed_a": first,
            "seed_b": second,
            "group_a": group[first],
            "group_b": group[second],
            "same_identity": False,
            "distance": AT - norm.ppf([rate[k] for k in key]) + own[first] + own[second] + noise,
        }
    )
    return of_draws(
        "group_pair_rates",
        cb.rates.group_pair_rates(frame, "group", threshold=AT, random_seed=seed),
        # the cube holds both ways round
        lambda row: rate[row["group"], row["other"]] if row["group"] <= row["other"] else np.nan,
    )
