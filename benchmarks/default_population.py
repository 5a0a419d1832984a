"""Coverage of the default population: the README's formula, an effect planted, 95% intervals.

    python benchmarks/default_population.py [--studies 100] [--seeds 30]

Prints, for each population, in what share of simulated experiments the interval of an effect of
race holds the effect in the population of seeds, with the binomial standard error.
"""

import argparse

import numpy as np
import pandas as pd

import causalbias as cb

FORMULA = "distance ~ race*gender + (1|seed) + (1|seed:race:gender)"
PLANTED = 0.03


def experiment(seeds: int, rng: np.random.Generator) -> pd.DataFrame:
    """Distances of each seed's faces of three races and two genders, four pictures each."""
    cells = pd.MultiIndex.from_product(
        [range(seeds), ["asian", "black", "white"], ["female", "male"], range(4)],
        names=["seed", "race", "gender", "picture"],
    )
    frame = cells.to_frame(index=False)
    face = frame.groupby(["seed", "race", "gender"]).ngroup()
    distance = (
        0.3
        + PLANTED * (frame["race"] == "black")
        + rng.normal(0, 0.02, seeds)[frame["seed"]]
        + rng.normal(0, 0.05, face.max() + 1)[face]
        + rng.normal(0, 0.05, len(frame))
    )
    return frame.assign(seed="s" + frame["seed"].astype(str), distance=distance)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--studies", type=int, default=100)
    options.add_argument("--seeds", type=int, default=30)
    asked = options.parse_args()
    held: dict[str, list[bool]] = {"default": [], "these": []}
    for study in range(asked.studies):
        frame = experiment(asked.seeds, np.random.default_rng([7, study]))
        fit = cb.fit(FORMULA, frame, draws=500, random_seed=study)
        for name, found in held.items():
            whose = None if name == "default" else name
            effect = cb.effects(fit, "race", reference="white", population=whose)
            row = cb.summarise(effect).set_index("race").loc["black"]
            found.append(bool(row["lower"] <= PLANTED <= row["upper"]))
    for name, found in held.items():
        share = np.mean(found)
        error = np.sqrt(share * (1 - share) / len(found))
        print(f"{name}: {100 * share:.1f}% of {len(found)} intervals (se {100 * error:.1f})")


if __name__ == "__main__":
    main()
