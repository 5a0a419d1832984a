"""Bias of a network at equal likeness, where all people misjudge the same pairs alike.

Two groups of pairs differ in likeness. A network's distance falls with the likeness of a pair and
has noise of its own; it is 0.02 larger for group b than for equally alike pairs of group a, or not
larger at all. People answer on a continuous scale, with noise, and all of them misjudge a pair by
the same amount, which is a share of the variance of what they say of pairs. Counted is how often
90% intervals of `cb.joint_model.conditional_bias` hold the network's true bias: with `shared_error`
at its true value, and without it.

Run as ``python -m benchmarks.shared_error_coverage STUDIES``.
"""

import sys

import numpy as np
import pandas as pd

import causalbias as cb

PAIRS = 80  # of each group
ANSWERS = 6
GROUP = 0.6  # difference of likeness, in its standard deviations between pairs
SHARES = (0.0, 0.2, 0.4)
BIASES = (0.0, 0.02)
SLOPE, NOISE = -0.08, 0.04  # of the network's distance, on likeness and about it


def main(studies: int) -> None:
    print("shared error  bias  assumed  90% interval holds  median width  studies")
    for share in SHARES:
        for bias in BIASES:
            found = pd.concat([study(seed, share, bias) for seed in range(studies)])
            for assumed, cell in found.groupby("assumed", sort=False):
                print(
                    f"{share:12.0%}  {bias:4.2f}  {assumed:7s}  {cell['holds'].mean():18.3f}"
                    f"  {cell['width'].median():12.4f}  {len(cell):7d}",
                    flush=True,
                )


def study(seed: int, share: float, bias: float) -> pd.DataFrame:
    """Whether the intervals hold the bias, with nothing and with the true share assumed."""
    rows = pairs(np.random.default_rng([seed, int(100 * share), int(100 * bias)]), share, bias)
    fitted = cb.joint(
        rows, "group", groups={"cluster": "cluster"}, draws=400, tune=200, random_seed=seed
    )
    records = []
    for assumed, value in {"none": 0.0, "true": share}.items():
        found = cb.joint_model.conditional_bias(fitted, "group", shared_error=value)
        row = cb.summarise(found, prob=0.9).iloc[0]
        records.append(
            {
                "assumed": assumed,
                "holds": row["lower"] <= bias <= row["upper"],
                "width": row["upper"] - row["lower"],
            }
        )
    return pd.DataFrame(records)


def pairs(rng: np.random.Generator, share: float, bias: float) -> pd.DataFrame:
    """A row a pair: the network's distance, people's mean answer, their number and their spread."""
    group = np.repeat(["a", "b"], PAIRS)
    likeness = GROUP * (group == "b") + rng.normal(size=group.size)
    # What people see of pairs of a cell has variance 1 / (1 - share), of which share is error.
    seen = likeness + np.sqrt(share / (1 - share)) * rng.normal(size=group.size)
    answers = seen[:, None] + rng.normal(size=(group.size, ANSWERS))
    return pd.DataFrame(
        {
            "pair": [f"p{k:03d}" for k in range(group.size)],
            "cluster": [f"c{k % 40:02d}" for k in range(group.size)],
            "group": group,
            "distance": 0.6
            + SLOPE * likeness
            + bias * (group == "b")
            + NOISE * rng.normal(size=group.size),
            "score": answers.mean(axis=1),
            "answers": ANSWERS,
            "within": answers.var(axis=1) * ANSWERS,
        }
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
