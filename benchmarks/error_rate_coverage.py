"""Coverage of 90% intervals of error rates on simulated scores with crossed seed effects.

    python benchmarks/error_rate_coverage.py [--studies 300] [--seeds 40 100] [--effects 0 0.1 0.25]

Each seed has an effect on every distance of its impostor pairs, and on every one of its genuine
ones; each group has faces of its own seeds. Prints in what share of the studies the interval holds
the true rate: ours, the two-way cluster bootstrap's, and the plain binomial's (Jeffreys). Intervals
of rates that are not stated for want of errors, which begin at zero, count too; `stated` says how
many were. `deft`: how many times too short the plain interval is said to be. 300 studies give
0.9 +- 0.035 in a row (two standard errors).
"""

import argparse
import time

import numpy as np
import pandas as pd
from scipy.stats import beta, norm

import causalbias as cb
from causalbias.rates.intervals import pigeonhole

PROB = 0.9
GROUPS = {"low": 0.003, "middle": 0.02, "high": 0.1}
GENUINE = 4  # pairs a seed
THRESHOLD = 10.0  # so far from 0 that no distance is cut off there


def one_study(seeds: int, effect: float, rng: int) -> pd.DataFrame:
    """Pairs of three groups whose rates at `THRESHOLD` are those of `GROUPS`.

    `effect`: share of an impostor distance's variance that is of one seed of its two, and of a
    genuine distance's twice that.
    """
    return pairs(GROUPS, seeds, effect, np.random.default_rng(rng))


def pairs(
    true: dict[str, float], seeds: int, effect: float, rng: np.random.Generator
) -> pd.DataFrame:
    """All impostor pairs within each group, and a few genuine ones of every seed."""
    first, second = np.triu_indices(seeds, 1)
    seed, parts = np.repeat(np.arange(seeds), GENUINE), []
    for at, (name, rate) in enumerate(true.items()):
        own = rng.normal(0, np.sqrt(effect), (2, seeds))
        noise = rng.normal(0, np.sqrt(1 - 2 * effect), len(first) + len(seed))
        impostor = THRESHOLD - norm.ppf(rate) + own[0][first] + own[0][second] + noise[: len(first)]
        genuine = THRESHOLD + norm.ppf(rate) + np.sqrt(2) * own[1][seed] + noise[len(first) :]
        parts.append(
            pd.DataFrame(
                {
                    "group": name,
                    "same_identity": np.repeat([False, True], [len(first), len(seed)]),
                    "distance": np.concatenate([impostor, genuine]).clip(0),
                    "seed_a": np.concatenate([first, seed]) + at * seeds,
                    "seed_b": np.concatenate([second, seed]) + at * seeds,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def intervals(frame: pd.DataFrame, rng: int) -> pd.DataFrame:
    """Rates with all three intervals."""
    rates = cb.error_rates(frame, "group", threshold=THRESHOLD, random_seed=rng)
    table = cb.summarise(rates, prob=PROB)
    table["truth"] = table["group"].map(GROUPS)
    tails = np.array([(1 - PROB) / 2, (1 + PROB) / 2])
    for row in table.itertuples():
        same = row.rate_of == "FNMR"
        own = frame[(frame["group"] == row.group) & (frame["same_identity"] == same)]
        wrong = (own["distance"] < THRESHOLD).to_numpy() != same
        boot = pigeonhole(
            own["seed_a"].to_numpy(), own["seed_b"].to_numpy(), wrong, draws=200, random_seed=rng
        )
        table.loc[row.Index, ["boot_lower", "boot_upper"]] = np.quantile(boot, tails)
        n, k = len(own), wrong.sum()
        table.loc[row.Index, ["plain_lower", "plain_upper"]] = beta.ppf(tails, k + 0.5, n - k + 0.5)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[40, 100])
    parser.add_argument("--effects", type=float, nargs="+", default=[0.0, 0.1, 0.25])
    options = parser.parse_args()
    started = time.perf_counter()
    found = []
    for seeds in options.seeds:
        for effect in options.effects:
            found += [
                intervals(one_study(seeds, effect, rng), rng).assign(seeds=seeds, effect=effect)
                for rng in range(options.studies)
            ]
    rows = pd.concat(found, ignore_index=True)
    for name, prefix in (("ours", ""), ("bootstrap", "boot_"), ("plain", "plain_")):
        below, above = (
            rows[f"{prefix}lower"] <= rows["truth"],
            rows["truth"] <= rows[f"{prefix}upper"],
        )
        rows[name] = below & above
    by = ["rate_of", "seeds", "effect", "truth"]
    table = rows.groupby(by)[["ours", "bootstrap", "plain", "deft", "supported"]].mean()
    print(table.rename(columns={"supported": "stated"}).round(3).to_string())
    for told, part in (("all", rows), ("where a seed has an effect", rows[rows["effect"] > 0])):
        print(f"\n{told}:")
        whole = part.groupby("rate_of")[["ours", "bootstrap", "plain"]].mean()
        print(whole.round(3).to_string())
    print(f"{options.studies} studies each, {time.perf_counter() - started:,.0f} s")


if __name__ == "__main__":
    main()
