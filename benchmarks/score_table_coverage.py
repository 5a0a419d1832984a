"""How often intervals of audits of score tables hold the truth, on simulated benchmarks.

    python -m benchmarks.score_table_coverage 100

prints a table, in two to three minutes. Four groups of 150 persons with 400 genuine and 400
impostor pairs each, of whose variance three tenths are due to persons; one group has hardly any
false matches (0.1%), so that its ratios have a bound on one side only.
"""

import sys

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

import causalbias as cb

TRUTH = {"a": (0.05, 0.10), "b": (0.05, 0.30), "c": (0.02, 0.20), "d": (0.001, 0.10)}
PROB = 0.9


def study(seed: int) -> list[tuple[str, bool]]:
    """Whether each interval of a study holds its truth."""
    table = cb.simulation.simulate_scores({"s": TRUTH}, persons=150, pairs=400, random_seed=seed)
    group = table["Class_ID_s1"].str.partition("/")[0]
    names = {"Class_ID_s1": "seed_a", "Class_ID_s2": "seed_b", "issame": "same_identity"}
    frame = table.rename(columns=names | {"s_cos_dist": "distance"}).assign(group=group, system="s")
    rates = cb.error_rates(frame, "group", threshold=0.5, draws=500, random_seed=seed)
    found = []
    for row in cb.summarise(rates, prob=PROB).to_dict("records"):
        true = TRUTH[row["group"]][row["rate_of"] == "FNMR"]
        kind = "rate, stated" if row["supported"] else "rate, upper limit"
        found.append((kind, row["lower"] <= true <= row["upper"]))
    for row in cb.rates.pairwise_rate_ratios(rates).summary(PROB).to_dict("records"):
        if row["group"] < row["other"] or row["interval"] == "at least":
            of = row["rate_of"] == "FNMR"
            true = TRUTH[row["group"]][of] / TRUTH[row["other"]][of]
            found.append((f"ratio, {row['interval']}", row["lower"] <= true <= row["upper"]))
    accuracy = cb.rates.verification_accuracy(frame, "group", draws=500, random_seed=seed)
    for row in cb.summarise(accuracy, prob=PROB).to_dict("records"):
        true = float(ndtr(-sum(ndtri(TRUTH[row["group"]])) / 2))
        found.append(("accuracy", row["lower"] <= true <= row["upper"]))
    return found


def main(studies: int) -> None:
    """Print coverage by kind of interval."""
    every = [one for seed in range(studies) for one in study(seed)]
    table = pd.DataFrame(every, columns=["interval", "held"]).groupby("interval")["held"]
    print(f"| {100 * PROB:g}% intervals, {studies} studies | intervals | hold the truth |")
    print("| --- | --- | --- |")
    for name, held in table:
        error = 100 * np.sqrt(held.mean() * (1 - held.mean()) / len(held))
        print(f"| {name} | {len(held):,} | {100 * held.mean():.1f}% (± {error:.1f}) |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
