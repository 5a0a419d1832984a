"""Ordinal models with random slopes: time and convergence of `cb.fit` as raters grow.

    python benchmarks/random_slopes.py [--raters 30 60 157 500] [--seeds 1]

Raters by 100 faces of two sexes, seven categories, ``score ~ sex + (sex|rater) + (1|face)``. A line
is one fit as a user calls it: wall and CPU seconds of the whole call, diagnostics included. With
the real data (`CAUSALBIAS_DATA`) a trait of 3DSK too, 400 raters who each saw faces of one gender.
The first fit of a process also loads compiled code, and is made at 10 raters beforehand.
"""

import argparse
import os
import warnings
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import pandas as pd

import causalbias as cb

FACES = 100
CUTS = [-2.5, -1, 0.4, 1.8, 3.3, 5]
RATINGS = "rating ~ face_gender*rater_gender + (face_gender|rater_id) + (1|face_id)"


def simulate(raters: int, seed: int) -> pd.DataFrame:
    """Ratings of all faces by all raters, whose levels and whose effect of sex differ."""
    rng = np.random.default_rng(seed)
    rater, face = (
        one.ravel() for one in np.meshgrid(np.arange(raters), np.arange(FACES), indexing="ij")
    )
    male = face % 2
    latent = rng.normal(0, 1.5, raters)[rater] + (rng.normal(0, 1.0, raters)[rater] - 1) * male
    latent += rng.normal(0, 1.2, FACES)[face] + rng.logistic(size=len(face))
    return pd.DataFrame(
        {
            "rater": [f"r{k}" for k in rater],
            "face": [f"f{k}" for k in face],
            "sex": np.where(male == 1, "m", "f"),
            "score": np.digitize(latent, CUTS),
        }
    )


def line(name: str, formula: str, rows: pd.DataFrame, seed: int) -> None:
    """Fit once, and print what it took and whether its diagnostics passed."""
    began, cpu = perf_counter(), process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = cb.fit(formula, rows, family="cumulative", random_seed=seed)
    wall, cpu = perf_counter() - began, process_time() - cpu
    failed = "; ".join(cb.failures(fit)) or "converged"
    print(f"| {name} | {len(rows):,} | {seed} | {wall:.1f} | {cpu:.1f} | {failed} |", flush=True)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--raters", type=int, nargs="+", default=[30, 60, 157, 500])
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    formula = "score ~ sex + (sex|rater) + (1|face)"
    print("| | ratings | seed | wall s | CPU s | diagnostics |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    line("warm-up, 10 raters", formula, simulate(10, 0), 0)
    for raters in given.raters:
        for seed in range(given.seeds):
            line(f"{raters} raters", formula, simulate(raters, seed), seed)
    file = Path(os.environ.get("CAUSALBIAS_DATA", "../shared/data")) / "3dsk/raw_3dsk_info.csv"
    if file.exists():
        rows = pd.read_csv(file, dtype={"rater_id": str, "face_id": str})
        line("3DSK, dominance", RATINGS, rows[rows["trait"] == "dom"], 0)


if __name__ == "__main__":
    main()
