"""How often 90% intervals hold the truth where outcomes are missing for selected rows.

Each study has seeds with faces of two races and three poses. Black faces lose outcomes:

inside: high ones more often than low ones, and faces at random; truth is inside the bounds.
edge: all above a value, each seed has one race, and the order of faces would be the same at the
    other: the effect is at one end of Lee's bounds, where an interval is hardest put.
worst: an answer of 0 or 1, lost just where it would have been 1: the effect is at one end of
    Manski's bounds.
by pose: turned black faces, whatever their outcome: weights are right, ignoring it is wrong.
delta: outcomes of lost faces are higher by 0.3 than those of others like them.

Run: python -m benchmarks.selection_coverage [studies [cases]]. Prints the table of
docs/explanation/selection.md.
"""

import sys
from collections.abc import Callable

import numpy as np
import pandas as pd

import causalbias as cb

EFFECT, PROB = 0.1, 0.9
ASKED = {"cluster": "seed", "reference": "white"}


def faces(seeds: int, rng: np.random.Generator, own: float = 0.2) -> pd.DataFrame:
    """Faces with the outcome that they would have, `whole`, before any is lost."""
    rows = pd.MultiIndex.from_product(
        [range(seeds), ["white", "black"], [0, 1, 2]], names=["seed", "race", "pose"]
    ).to_frame(index=False)
    of_seed = np.repeat(rng.normal(0, 0.3, seeds), 6)
    both = np.repeat(rng.normal(0, 0.2, (seeds, 1, 3)), 2, axis=1).ravel()  # of seed and pose
    black = rows["race"] == "black"
    noise = rng.normal(0, own, len(rows)) if own else 0.0
    return rows.assign(
        black=black, whole=1 + of_seed + both + 0.2 * rows["pose"] + EFFECT * black + noise
    )


def lose(rows: pd.DataFrame, gone: np.ndarray) -> pd.DataFrame:
    """The table as it is seen, and whether each face has an outcome at both levels."""
    seen = rows.assign(y=rows["whole"].mask(gone))
    there = seen["y"].notna()
    return seen.assign(both=there.groupby([seen["seed"], seen["pose"]]).transform("all"))


def effect_among(rows: pd.DataFrame) -> float:
    """The effect on some rows, of the outcomes that they would have."""
    return rows.loc[rows["black"], "whole"].mean() - rows.loc[~rows["black"], "whole"].mean()


def bounded(rows: pd.DataFrame, method: str, **given: object) -> tuple[float, float]:
    """An interval of `cb.causal.selection_bounds`."""
    found = cb.causal.selection_bounds(rows, "y", "race", prob=PROB, **ASKED, **given)
    row = found.set_index("method").loc[method]
    return row["lower"], row["upper"]


def answers(estimate: cb.Estimate, of: str | None = None) -> tuple[float, float]:
    """An interval of an estimate."""
    row = estimate.summary(PROB, of=of).iloc[0]
    return row["lower"], row["upper"]


type Intervals = dict[str, tuple[float, tuple[float, float]]]  # truth and interval by method


def population_truths(rng: np.random.Generator) -> dict[str, float]:
    """Effects on faces with both outcomes in very many seeds."""
    many = {"inside": inside(faces(100_000, rng), rng), "edge": edge(faces(100_000, rng, 0))}
    return {name: effect_among(rows[rows["both"]]) for name, rows in many.items()}


def inside(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    chance = np.where(rows["whole"] > 1.3, 0.5, 0.15)
    return lose(rows, (rows["black"] & (rng.random(len(rows)) < chance)).to_numpy())


def edge(rows: pd.DataFrame) -> pd.DataFrame:
    return lose(rows, (rows["black"] & (rows["whole"] > 1.6)).to_numpy())


def study_inside(seeds: int, rng: np.random.Generator) -> Intervals:
    seen = inside(faces(seeds, rng), rng)
    lee, naive = bounded(seen, "Lee"), bounded(seen, "naive")
    manski = bounded(seen, "Manski", outcome_range=(-2, 5))
    truth = TRUTHS["inside"]
    return {"naive": (EFFECT, naive), "Manski": (EFFECT, manski), "Lee": (truth, lee)}


def study_edge(seeds: int, rng: np.random.Generator) -> Intervals:
    whole = edge(faces(seeds, rng, 0))
    seen = whole[whole["black"] == (whole["seed"] % 2 == 1)]
    truth = TRUTHS["edge"]
    return {"naive": (truth, bounded(seen, "naive")), "Lee": (truth, bounded(seen, "Lee"))}


def study_worst(seeds: int, rng: np.random.Generator) -> Intervals:
    rows = faces(seeds, rng)
    chance = np.where(rows["black"], 0.4, 0.2)
    rows = rows.assign(whole=(rng.random(len(rows)) < chance).astype(float))
    seen = lose(rows, (rows["black"] & (rows["whole"] == 1) & (rng.random(len(rows)) < 0.5)))
    manski = bounded(seen, "Manski", outcome_range=(0, 1))
    return {"naive": (0.2, bounded(seen, "naive")), "Manski": (0.2, manski)}


def study_by_pose(seeds: int, rng: np.random.Generator) -> Intervals:
    rows = faces(seeds, rng)
    chance = np.array([0.05, 0.3, 0.6])[rows["pose"]]
    seen = lose(rows, (rows["black"] & (rng.random(len(rows)) < chance)).to_numpy())
    found = cb.causal.selection_weighted(seen, "y", "race", predictors="pose", **ASKED)
    return {"naive": (EFFECT, answers(found, "naive")), "weighted": (EFFECT, answers(found))}


def study_delta(seeds: int, rng: np.random.Generator) -> Intervals:
    rows = faces(seeds, rng)
    gone = (rows["black"] & (rng.random(len(rows)) < 0.3)).to_numpy()
    seen = lose(rows.assign(whole=rows["whole"] + 0.3 * gone), gone)
    formula = "y ~ race + pose + (1|seed) + (1|seed:pose)"
    fit = cb.fit(formula, seen.dropna(subset="y"), draws=500, chains=2)
    effect = cb.effects(fit, "race", reference="white", newdata=seen)
    found = cb.causal.pattern_mixture(effect, seen, "y", cluster="seed", delta=0.3)
    truth = EFFECT + 0.3 * 0.3
    return {"naive": (truth, answers(found, "naive")), "delta 0.3": (truth, answers(found))}


CASES: dict[str, tuple[Callable[[int, np.random.Generator], Intervals], float]] = {
    "inside": (study_inside, 1.0),
    "edge": (study_edge, 1.0),
    "worst": (study_worst, 1.0),
    "by pose": (study_by_pose, 0.5),
    "delta": (study_delta, 0.5),
}
TRUTHS = population_truths(np.random.default_rng(0))


def main(studies: int = 300, *cases: str) -> None:
    print("| selection | seeds | studies | method | 90% intervals that hold the truth | width |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in cases or CASES:
        make, share = CASES[name]
        for seeds in (20, 80):
            many = int(studies * share)
            found = [make(seeds, np.random.default_rng([seeds, at])) for at in range(many)]
            for method in found[0]:
                held = [one[method][1][0] <= one[method][0] <= one[method][1][1] for one in found]
                width = np.median([one[method][1][1] - one[method][1][0] for one in found])
                told = f"{np.mean(held):.1%} | {width:.2f}"
                print(f"| {name} | {seeds} | {many} | {method} | {told} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), *sys.argv[2:])
