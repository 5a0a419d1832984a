"""Coverage of 90% intervals on simulated studies: simulate, fit, effects, compare with the truth.

    python benchmarks/interval_coverage.py [--studies 20] [--seeds 20] [--ordinal]

Prints, for each estimand, in what share of the studies its interval holds the true value, and the
mean error in standard deviations. 20 studies of one estimand give 0.9 +- 0.13 (two standard
errors); the total is over many, which share studies. ``--ordinal`` also fits the ordinal model of
the people's answers, which takes NUTS a minute or more a study.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr

import causalbias as cb

PROB = 0.9
LEVELS = {"age": [0.8, 2.6, 4.4], "pose": [-3.0, -1.5, 0.0, 1.5, 3.0]}
SYSTEM = cb.simulation.System(
    "net",
    biases=(
        cb.simulation.Bias("black impostors alike", -0.08, race="black", same_identity=False),
        cb.simulation.Bias("asian impostors alike", -0.05, race="asian", same_identity=False),
        cb.simulation.Bias(
            "pose harder on black", 0.03, race="black", same_identity=True, attribute="pose"
        ),
    ),
)
# As the ordinal model assumes: one discrimination, no careless clicks.
PEOPLE = cb.simulation.People(
    annotators=60, judgements=5, sd_discrimination=0.0, careless=0.0, dropout=0.0, questions=()
)
POPULATIONS = {"these": "these seeds", "typical": "new seeds"}


def one_study(seeds: int, rng: int, ordinal: bool) -> pd.DataFrame:
    """Estimates, intervals and true values of one simulated study."""
    study = cb.simulate(
        seeds, random_seed=rng, systems=(SYSTEM,), people=PEOPLE, levels=LEVELS, impostors=8
    )
    truth = study["truth"].to_dataset()
    rows = [*genuine(study, truth), *impostor(study, truth), *answers(study, truth)]
    if ordinal:
        rows += latent(study, truth)
    return pd.concat(rows, ignore_index=True)


def genuine(study: xr.DataTree, truth: xr.Dataset) -> list[pd.DataFrame]:
    """Effects of race, gender and pose on the distance of genuine pairs."""
    frame = pairs_of(study, "machine", same_identity=True)
    fit = cb.fit(
        "distance ~ race*gender + race*turn + older + (1|seed) + (1|seed:race:gender)", frame
    )
    found = []
    for population, name in POPULATIONS.items():
        cube = truth["distance"].sel(population=name, same_identity=True, system="net")
        for variable, reference in (("race", "white"), ("gender", "male")):
            effects = cb.effects(fit, variable, reference=reference, population=population)
            true = contrasts(cube, frame, variable, reference)
            found.append(compared(effects, variable, true, f"genuine: {variable}, {name}"))
    cube = truth["distance"].sel(population="new seeds", same_identity=True, system="net")
    effects = cb.effects(fit, "turn", by="race", population="typical")
    found.append(compared_pose(effects, cube))
    return found


def impostor(study: xr.DataTree, truth: xr.Dataset) -> list[pd.DataFrame]:
    """Effects of race and gender on the distance of impostor pairs."""
    frame = pairs_of(study, "machine", same_identity=False)
    fit = cb.fit(
        "distance ~ race*gender + turn + older + (1|mm(seed_a, seed_b)) + (1|mm(face_a, face_b))",
        frame,
    )
    cube = truth["distance"].sel(population="new seeds", same_identity=False, system="net")
    found = []
    for variable, reference in (("race", "white"), ("gender", "male")):
        effects = cb.effects(fit, variable, reference=reference, population="typical")
        true = contrasts(cube, frame, variable, reference)
        found.append(compared(effects, variable, true, f"impostor: {variable}, new seeds"))
    return found


def answers(study: xr.DataTree, truth: xr.Dataset) -> list[pd.DataFrame]:
    """Effects of race on people's mean answer, in points of the scale.

    A linear model with a mean for each cell: its contrasts are those of the expected answers.
    """
    found = []
    for same in (True, False):
        frame = pairs_of(study, "human", same_identity=same)
        fit = cb.fit(
            "score ~ race*gender + step + (1|mm(seed_a, seed_b)) + (1|mm(face_a, face_b))"
            " + (1|pair) + (1|annotator)"
            if not same
            else "score ~ race*gender + step + (1|seed) + (1|seed:race:gender) + (1|pair)"
            " + (1|annotator)",
            frame,
        )
        effects = cb.effects(fit, "race", reference="white", population="typical")
        true = contrasts(truth["score"].sel(same_identity=same), frame, "race", "white")
        found.append(compared(effects, "race", true, f"answers, same={same}: race"))
    return found


def latent(study: xr.DataTree, truth: xr.Dataset) -> list[pd.DataFrame]:
    """Effects of race on the ordinal model's scale, logits of "same"."""
    frame = pairs_of(study, "human", same_identity=False)
    fit = cb.fit(
        "score ~ race + (1|seed_a) + (1|seed_b) + (1|pair) + (1|annotator)",
        frame,
        family="cumulative",
        draws=500,
        tune=500,
        chains=2,
    )
    effects = cb.effects(fit, "race", reference="white", population="typical", scale="link")
    true = contrasts(truth["latent"].sel(same_identity=False), frame, "race", "white")
    return [compared(effects, "race", true, "ordinal, same=False: race (logits)")]


def pairs_of(study: xr.DataTree, side: str, *, same_identity: bool) -> pd.DataFrame:
    """Pairs of a reference and a level of one attribute, with sizes of its changes."""
    frame = cb.to_frame(study, side)
    kept = frame["attribute"].notna() & (frame["same_identity"] == same_identity)
    frame = frame[kept.fillna(False).astype(bool)].copy()
    step = frame["attribute"].astype(str) + "_" + frame["level_b"].map("{:g}".format)
    return frame.assign(
        face_a=_face(frame, "a"),
        face_b=_face(frame, "b"),
        turn=frame["pose"].abs(),
        older=frame["age"].abs(),
        step=step.where(frame[["pose", "age"]].any(axis=1), "none"),
    )


def _face(frame: pd.DataFrame, side: str) -> pd.Series:
    """Prototype of a pair's member: a seed in one race and gender."""
    parts = [frame[f"{name}_{side}"].astype(str) for name in ("seed", "race", "gender")]
    return parts[0] + ":" + parts[1] + ":" + parts[2]


def contrasts(
    cube: xr.DataArray, frame: pd.DataFrame, variable: str, reference: str
) -> dict[object, float]:
    """True average contrasts of a factor, the rows' other factors and manipulations held."""
    names = ["race", "gender", "attribute", "level_b"]
    names.remove(variable)
    weights = frame.groupby(names).size()
    total: dict[object, float] = {}
    for key, weight in weights.items():
        at = dict(zip(names, key, strict=True))
        here = (cube["attribute"] == at.pop("attribute")) & (cube["level"] == at.pop("level_b"))
        cell = cube.isel(manipulation=int(here.values.argmax())).sel(at)
        for level in cube[variable].values:
            change = float(cell.sel({variable: level}) - cell.sel({variable: reference}))
            total[level] = total.get(level, 0.0) + change * weight / weights.sum()
    return total


def compared(
    effects: xr.Dataset, variable: str, true: dict[object, float], name: str
) -> pd.DataFrame:
    table = cb.summarise(effects, prob=PROB)
    return table.assign(estimand=name, truth=table[variable].map(true))


def compared_pose(effects: xr.Dataset, cube: xr.DataArray) -> pd.DataFrame:
    table = cb.summarise(effects, prob=PROB)
    pose = cube.isel(manipulation=np.flatnonzero(cube["attribute"] == "pose")).mean("gender")
    pose = pose.assign_coords(level=np.abs(pose["level"])).groupby("level").mean()
    change = pose - pose.sel(level=0)
    true = [
        float(change.sel(race=race, level=turn))
        for race, turn in zip(table["race"], table["turn"], strict=True)
    ]
    return table.assign(estimand="genuine: pose by race, new seeds", truth=true)


def main(run: Callable[[int, int, bool], pd.DataFrame] = one_study) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--ordinal", action="store_true")
    options = parser.parse_args()
    started = time.perf_counter()
    rows = pd.concat(
        [
            run(options.seeds, rng, options.ordinal).assign(study=rng)
            for rng in range(1, options.studies + 1)
        ]
    )
    rows["covered"] = (rows["lower"] <= rows["truth"]) & (rows["truth"] <= rows["upper"])
    rows["z"] = (rows["estimate"] - rows["truth"]) / rows["sd"]
    table = rows.groupby("estimand").agg(
        intervals=("covered", "size"),
        coverage=("covered", "mean"),
        mean_z=("z", "mean"),
        converged=("converged", "mean"),
    )
    print(table.round(3).to_string())
    seconds = time.perf_counter() - started
    print(
        f"all: {rows['covered'].mean():.3f} of {len(rows):,} {100 * PROB:g}% intervals hold the "
        f"truth; {options.studies} studies of {options.seeds} seeds in {seconds:,.0f} s"
    )


if __name__ == "__main__":
    main()
