"""How often 90% intervals of paths hold the truth, with interaction and a mediator with error.

Each study has 40 seeds with faces of two races and two poses. Race moves tone by 2, tone moves the
distance by 0.1, for black faces by 0.15, and seeds that are darker are farther away whatever their
tone. Tone is measured exactly, or with an error as large as its own noise within a seed.

Run: python -m benchmarks.paths_coverage [studies]. Prints the table of docs/explanation/paths.md.
"""

import sys

import numpy as np
import pandas as pd

import causalbias as cb

SEEDS, PROB = 40, 0.9
TRUTH = {"direct": 0.3 + 0.05 * 1.25, "indirect": 0.15 * 2}  # tone of white faces is 1.25
OUTCOME, MEDIATOR = "y ~ race*tone + pose + tone_mean + (1|seed)", "tone ~ race + pose + (1|seed)"
FEW = {"draws": 500, "chains": 2}


def world(rng: np.random.Generator) -> pd.DataFrame:
    """Faces of a study, with their tone."""
    rows = pd.MultiIndex.from_product(
        [range(SEEDS), ["white", "black"], [0, 1]], names=["seed", "race", "pose"]
    ).to_frame(index=False)
    black = (rows["race"] == "black").to_numpy(float)
    of_seed = np.repeat(rng.normal(0, 0.7, SEEDS), 4)
    tone = 1 + 2 * black + 0.5 * rows["pose"] + of_seed + rng.normal(0, 1, len(rows))
    y = (0.3 + 0.05 * tone) * black + 0.1 * tone + 0.2 * rows["pose"] + 0.3 * of_seed
    return rows.assign(tone=tone, y=y + rng.normal(0, 0.3, len(rows)))


def study(rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Intervals by path, by method."""
    rows = world(rng)
    found = {}
    for name, error in (("exact", 0.0), ("with error", 1.0)):
        seen = rows.assign(tone=rows["tone"] + rng.normal(0, error, len(rows)))
        seen["tone_mean"] = seen.groupby("seed")["tone"].transform("mean")
        outcome, mediator = cb.fit(OUTCOME, seen, **FEW), cb.fit(MEDIATOR, seen, **FEW)
        found[name] = paths(outcome, mediator)
        if error:
            found["with error, taken out"] = paths(outcome, mediator, mediator_error=error)
        else:
            additive = cb.fit(OUTCOME.replace("race*tone", "race + tone"), seen, **FEW)
            found["exact, without interaction"] = paths(additive, mediator)
    return found


def paths(outcome: cb.Fit, mediator: cb.Fit, **given: float) -> pd.DataFrame:
    """Intervals of the paths, by path."""
    found = cb.causal.mediation(outcome, mediator, "race", reference="white", **given)
    return found.summary(PROB).set_index("path")


def main(studies: int = 100) -> None:
    found = [study(np.random.default_rng(at)) for at in range(studies)]
    print("| mediator | studies | direct | indirect | width of the indirect |")
    print("| --- | --- | --- | --- | --- |")
    for method in found[0]:
        held = {
            path: np.mean(
                [one[method]["lower"][path] <= truth <= one[method]["upper"][path] for one in found]
            )
            for path, truth in TRUTH.items()
        }
        ends = [one[method].loc["indirect", ["lower", "upper"]] for one in found]
        width = np.median([high - low for low, high in ends])
        told = " | ".join(f"{one:.0%}" for one in held.values())
        print(f"| {method} | {studies} | {told} | {width:.2f} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
