"""Models that are wrong on purpose: what happens to coverage, and whether `check` notices.

Parameters are fixed; seeds, annotators and noise are drawn anew. Besides intervals a case has a
record named "noticed by ...", held in a study where it was. Add one to `CASES`: a function of the
world's rows, mean and generator to responses (missing ones are left out as dropouts).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import causalbias as cb
from benchmarks.calibration import cases_more, worlds
from benchmarks.calibration.cases_regression import DRAWS, effect, identity
from benchmarks.calibration.intervals import Record, of_draws
from benchmarks.calibration.worlds import FORMULA, RACES, Setting, World

SETTING = Setting("wrong on purpose, 40 seeds", 40, 0.3)
SIGMA = 0.8

Wrong = Callable[[pd.DataFrame, np.ndarray, np.random.Generator], np.ndarray]


def right(rows: pd.DataFrame, mean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return mean + SIGMA * rng.standard_normal(len(rows))


def heavy_tails(rows: pd.DataFrame, mean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise of Student's t with 3 degrees of freedom, of the same standard deviation."""
    return mean + SIGMA * rng.standard_t(3, len(rows)) / np.sqrt(3)


def skewed(rows: pd.DataFrame, mean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Log-normal noise, of the same standard deviation and mean zero."""
    noise = np.exp(0.7 * rng.standard_normal(len(rows)))
    sd = np.sqrt(np.exp(0.49) * (np.exp(0.49) - 1))
    return mean + SIGMA * (noise - np.exp(0.245)) / sd


def unequal_annotators(
    rows: pd.DataFrame, mean: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Every seed's faces are judged by one person, some of whom are four times as noisy."""
    sd = np.exp(rng.normal(0, 0.6, SETTING.seeds))[rows["seed"]]
    return mean + SIGMA * sd * rng.standard_normal(len(rows))


def unequal_groups(rows: pd.DataFrame, mean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Distances of black faces are twice as spread."""
    sd = np.where(rows["race"] == "black", 2.0, 1.0)
    return mean + SIGMA * sd * rng.standard_normal(len(rows))


def dropouts(rows: pd.DataFrame, mean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """High responses to turned black faces go missing: dropout goes with the outcome."""
    y = right(rows, mean, rng)
    high = (rows["race"] == "black") & (rows["pose"] > 0) & (y > np.median(y))
    return np.where(high & (rng.uniform(size=len(y)) < 0.7), np.nan, y)


def leaking(rows: pd.DataFrame, mean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turning black faces ages them too, which moves the response by 0.25 a step."""
    return right(rows, mean, rng) + 0.25 * rows["pose"].to_numpy() * (rows["race"] == "black")


CASES: dict[str, Wrong] = {
    "right": right,
    "heavy tails": heavy_tails,
    "skewed": skewed,
    "unequal annotators": unequal_annotators,
    "unequal spread of groups": unequal_groups,
    "dropouts by outcome": dropouts,
    "leaking manipulation": leaking,
}


def skewed_left(rows: pd.DataFrame, mean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Skew-normal noise with a tail to the left (slant -6), of the same sd and mean zero."""
    delta = -6 / np.sqrt(37)
    u, v = rng.standard_normal((2, len(rows)))
    noise = delta * np.abs(u) + np.sqrt(1 - delta**2) * v
    return mean + SIGMA * (noise - delta * np.sqrt(2 / np.pi)) / np.sqrt(1 - 2 * delta**2 / np.pi)


def four_times(rows: pd.DataFrame, mean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Distances of black faces are four times as spread."""
    sd = np.where(rows["race"] == "black", 4.0, 1.0)
    return mean + SIGMA * sd * rng.standard_normal(len(rows))


def clustered(rows: pd.DataFrame, mean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each annotator judges the faces of one race of five seeds, and has a level of their own."""
    effect = 0.6 * rng.standard_normal(len(rows))[pd.factorize(annotators(rows))[0]]
    return right(rows, mean, rng) + effect


def annotators(rows: pd.DataFrame) -> pd.Series:
    """Who judged each row: a column that the model has not."""
    return rows["race"] + " " + (rows["seed"] // 5).astype(str)


HEALED: dict[str, Wrong] = {
    "unequal spread of groups": unequal_groups,
    "unequal spread of groups x4": four_times,
    "unequal annotators": unequal_annotators,
    "clustering": clustered,
    "heavy tails": heavy_tails,
    "skewed": skewed,
    "skewed to the left": skewed_left,
}
SKEWNESS = ("skewed to the left", "skewed")
FEW = {"draws": 250, "tune": 500, "chains": 2}  # of NUTS, which takes a minute at the default


def study(fault: Wrong, seed: list[int]) -> tuple[World, pd.DataFrame]:
    """A world drawn anew, and its rows with responses in which a fault is planted."""
    rng = np.random.default_rng(seed)
    world = worlds.make(SETTING, rng, gaussian=True)
    mean = world.fixed(world.rows) + world.groups(world.rows)
    return world, world.rows.assign(distance=fault(world.rows, mean, rng))


def healed(replicate: int) -> list[Record]:
    """Each fault in turns, and what becomes of it."""
    name = list(HEALED)[replicate % len(HEALED)]
    return _healed(name, [11, replicate], FEW)


def remedied_skewness(replicate: int) -> list[Record]:
    """The same of skewness alone, in studies of their own."""
    name = list(SKEWNESS)[replicate % len(SKEWNESS)]
    return _healed(name, [13, replicate], DRAWS)


def _healed(name: str, seed: list[int], settings: dict[str, int]) -> list[Record]:
    """`check` fails, its line is pasted, and the new fit is checked and its intervals are tried.

    Twice, if the new fit fails and has a line. Records of the new fit are named "healed: ...".
    """
    world, frame = study(HEALED[name], seed)
    frame["annotator"] = annotators(world.rows)
    fit = cb.fit(FORMULA.format(y="distance"), frame, random_seed=seed[1], **settings)
    checks = cb.check(fit)
    found = [*estimates(fit, world), noticed("check", sees_misfit(checks))]
    for _ in range(2):
        if update := checks.attrs["update"]:
            fit = eval(update, {"cb": cb, "fit": fit})
            checks = cb.check(fit)
    after = [*estimates(fit, world), noticed("check", sees_misfit(checks))]
    return found + [(f"healed: {one[0]}", *one[1:]) for one in after]


# What `check` says of these faults, without the minutes that it takes to say so.
REMEDIES: dict[str, Callable[[str], dict[str, Any]]] = {
    "unequal spread of groups": lambda formula: {"formula": [formula, "sigma ~ race"]},
    "unequal spread of groups x4": lambda formula: {"formula": [formula, "sigma ~ race"]},
    "clustering": lambda formula: {"formula": f"{formula} + (1|annotator)"},
    "heavy tails": lambda formula: {"formula": formula, "family": "t"},
}


def remedied(replicate: int) -> list[Record]:
    """The model that answers the fault, fitted at once."""
    name = list(REMEDIES)[replicate % len(REMEDIES)]
    return _remedied(name, REMEDIES[name](FORMULA.format(y="distance")), replicate)


def remedied_annotators(replicate: int) -> list[Record]:
    """The same of unequal annotators: a case of its own, beside the studies of the others."""
    model = {"formula": [FORMULA.format(y="distance"), "sigma ~ (1|seed)"]}
    return _remedied("unequal annotators", model, replicate)


def _remedied(name: str, model: dict[str, Any], replicate: int) -> list[Record]:
    world, frame = study(HEALED[name], [12, replicate])
    frame["annotator"] = annotators(world.rows)
    return estimates(cb.fit(data=frame, random_seed=replicate, **model, **DRAWS), world)


def wrong(replicate: int) -> list[Record]:
    """One case after the other."""
    name = list(CASES)[replicate % len(CASES)]
    world, frame = study(CASES[name], [10, replicate])
    frame = frame[frame["distance"].notna()]
    fit = cb.fit(FORMULA.format(y="distance"), frame, random_seed=replicate, **DRAWS)
    found = [*estimates(fit, world), noticed("check", sees_misfit(cb.check(fit)))]
    if name == "leaking manipulation":
        found.append(noticed("checks.leaks", sees_leak(replicate)))
    return found


def estimates(fit: cb.Fit, world: World) -> list[Record]:
    """Effects of race and pose, and a rate in a tail."""
    found = of_draws(
        "effects: race",
        cb.effects(fit, "race", population="typical"),
        lambda row: effect(world, identity, "typical", row["race"]),
    )
    found += of_draws(
        "dose: slope of {race}",
        cb.dose(fit, "pose", by="race", grid=[0.0]),
        lambda row: world.slope + world.turn[RACES.index(row["race"])],
        "average_slope",
    )
    return found + of_draws(
        "heterogeneity: sd",
        cb.heterogeneity(fit, "race"),
        lambda row: (world.cell[:, RACES.index(row["race"])] - world.cell[:, 0]).std(ddof=1),
        "sd",
    )


def noticed(by: str, yes: bool) -> Record:
    """A record whose share of intervals that hold is the share of studies where it was noticed."""
    return (f"noticed by {by}", 1.0, float(yes), "1111" if yes else "0000", 0)


def sees_misfit(table: pd.DataFrame) -> bool:
    """Whether a check fails or says to look; draws are fewer than R-hat and ESS ask for."""
    of_draws_alone = table["check"].isin(
        ["R-hat", "bulk ESS", "tail ESS", "divergences", "Pareto k", "weights' ESS"]
    )
    return bool(table["verdict"].isin(["fail", "look"])[~of_draws_alone].any())


def sees_leak(replicate: int) -> bool:
    """Whether `checks.leaks` finds a leak of 0.25 a step, in scores of as many seeds' faces."""
    found: list[Record] = cases_more.checks(replicate, leak=0.25, seeds=SETTING.seeds)
    return any(one[0] == "checks.leaks" and one[1] == 0.5 and one[4] != 0 for one in found)
