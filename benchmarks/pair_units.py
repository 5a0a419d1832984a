"""People against a network that sees the same likeness: how often does `compare` see a difference.

Pairs of two races differ in likeness, by race and by pair. A network's distance falls with the
likeness and has no noise; people answer on five points, with noise and severities of their own.
Their effects of race are the same per standard deviation of likeness between pairs. Counted is how
often the 90% interval of the difference holds zero, and the mean posterior probability that the
network's effect is larger, by the noise of answers and by the number of answers a pair, in each
unit of `compare`. The pairs of people and network are different ones (their fits are independent)
or the same ones, where `cb.joint_model.compare` is beside, in the first studies: it takes most of
the time.

Run as ``python benchmarks/pair_units.py STUDIES JOINT_STUDIES``.
"""

import sys

import numpy as np
import pandas as pd

import causalbias as cb

PAIRS = 80  # of each race
ANNOTATORS = 24
EFFECT = 0.6  # of race, in standard deviations of likeness between pairs
SETTINGS = [(0.5, 6), (1.0, 6), (3.0, 6), (1.0, 3), (1.0, 12)]  # noise, answers a pair
DRAWS = {"draws": 250, "chains": 4}


def main(studies: int, joint_studies: int) -> None:
    print("noise  answers  pairs      unit             holds zero  P(network larger)  studies")
    for noise, answers in SETTINGS:
        records = pd.concat(
            [study(seed, noise, answers, seed < joint_studies) for seed in range(studies)]
        )
        for (pairs_are, unit), found in records.groupby(["pairs", "unit"], sort=False):
            holds, larger = found["holds"].mean(), found["p_larger"].mean()
            print(
                f"{noise:5.1f}  {answers:7d}  {pairs_are:9s}  {unit:15s}  {holds:10.3f}"
                f"  {larger:17.3f}  {len(found):7d}",
                flush=True,
            )


def study(seed: int, noise: float, answers: int, with_joint: bool) -> pd.DataFrame:
    """Whether each unit's interval of the difference holds zero, in one simulated study."""
    rng = np.random.default_rng([seed, int(10 * noise), answers])
    shown = pairs(rng)
    asked = people(rng, shown, noise, answers)
    human = cb.fit(
        "score ~ race + (1|annotator) + (1|pair)",
        asked,
        family="cumulative",
        random_seed=seed,
        **DRAWS,
    )
    tables = []
    for name, seen in (("the same", shown), ("different", pairs(rng))):
        machine = cb.fit("distance ~ race", seen, random_seed=seed, **DRAWS)
        found = cb.compare(human, machine, "race", opposite=True)
        tables.append(cb.summarise(found, prob=0.9).assign(pairs=name))
    if with_joint:
        both = cb.joint_model.compare(joint(shown, asked), "race")
        tables.append(cb.summarise(both, prob=0.9).assign(pairs="the same", unit="pair sd, joint"))
    table = pd.concat(tables)[["pairs", "unit", "p_larger", "lower", "upper"]]
    return table.assign(holds=(table["lower"] <= 0) & (table["upper"] >= 0))


def joint(shown: pd.DataFrame, asked: pd.DataFrame) -> cb.joint_model.Joint:
    of_pair = asked.groupby("pair")["score"]
    rows = shown.set_index("pair").assign(
        score=of_pair.mean(), answers=of_pair.size(), within=of_pair.var(ddof=0) * of_pair.size()
    )
    return cb.joint(rows.reset_index(), "race", groups={"group": "group"}, draws=400, tune=200)


def pairs(rng: np.random.Generator) -> pd.DataFrame:
    """Pairs of two races with their likeness, of spread 1, and the network's distance."""
    race = np.repeat(["a", "b"], PAIRS)
    likeness = EFFECT * (race == "b") + rng.normal(size=2 * PAIRS)
    return pd.DataFrame(
        {
            "pair": [f"p{k:03d}" for k in range(2 * PAIRS)],
            "group": [f"g{k % 40:02d}" for k in range(2 * PAIRS)],
            "race": race,
            "likeness": likeness,
            "distance": 0.6 - 0.08 * likeness,
        }
    )


def people(
    rng: np.random.Generator, shown: pd.DataFrame, noise: float, answers: int
) -> pd.DataFrame:
    """Answers on five points, each pair to annotators drawn at random."""
    rows = shown.loc[shown.index.repeat(answers), ["pair", "race", "likeness"]]
    who = np.concatenate(
        [rng.choice(ANNOTATORS, answers, replace=False) for _ in range(len(shown))]
    )
    severity = rng.normal(0, 0.4, ANNOTATORS)
    heard = (
        rows["likeness"] + severity[who] + noise * rng.logistic(0, np.sqrt(3) / np.pi, len(rows))
    )
    spread = np.sqrt(1 + noise**2)
    score = np.searchsorted(spread * np.array([-1.2, -0.4, 0.4, 1.2]), heard) + 1
    return rows.assign(annotator=[f"a{k:02d}" for k in who], score=score).drop(columns="likeness")


if __name__ == "__main__":
    given = [int(number) for number in sys.argv[1:3]]
    main(*given, *(100, 40)[len(given) :])
