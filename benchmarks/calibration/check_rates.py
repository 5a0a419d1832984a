"""How often `check` fails fits of right models, and finds planted faults with the right remedy.

    python -m benchmarks.calibration.check_rates [REPEATS]

A case is a function of a generator to (rows, formula, arguments of fit), and the check that should
fail (None: none should). Add one to CASES and it is in the table, and in the tests.
"""

import sys
from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd

import causalbias as cb

Made = tuple[pd.DataFrame, str, dict]
GROUPS = 25
FORMULA = "y ~ race + pose + (1|seed)"


def rows_of(rng: np.random.Generator, per: int = 16) -> pd.DataFrame:
    """Seeds crossed with race and pose, each cell several times."""
    n = GROUPS * per
    race, pose = np.tile(["asian", "black", "white"], n)[:n], rng.integers(0, 3, n)
    frame = pd.DataFrame({"seed": np.repeat(np.arange(GROUPS), per), "race": race, "pose": pose})
    frame["mean"] = 0.4 * (race == "black") + 0.3 * pose + rng.normal(0, 0.5, GROUPS)[frame["seed"]]
    return frame


def gaussian(rng: np.random.Generator) -> Made:
    frame = rows_of(rng)
    return frame.assign(y=frame["mean"] + rng.normal(0, 1, len(frame))), FORMULA, {}


def ordinal(rng: np.random.Generator) -> Made:
    frame = rows_of(rng)
    latent = frame["mean"] + rng.logistic(0, 1, len(frame))
    return (
        frame.assign(y=np.searchsorted([-1, 0.2, 1.5], latent)),
        FORMULA,
        {"family": "cumulative"},
    )


def binary(rng: np.random.Generator) -> Made:
    frame = rows_of(rng)
    latent = frame["mean"] + rng.logistic(0, 1, len(frame))
    return frame.assign(y=(latent > 0).astype(int)), FORMULA, {"family": "bernoulli"}


def binomial(rng: np.random.Generator, extra: float = 0.0) -> Made:
    frame = rows_of(rng)
    eta = frame["mean"] - 0.5 + rng.normal(0, 1, len(frame)) * extra
    frame["n"] = rng.integers(5, 20, len(frame))
    hits = rng.binomial(frame["n"], 1 / (1 + np.exp(-eta)))
    return frame.assign(y=hits), "p(y, n) ~ race + pose + (1|seed)", {"family": "binomial"}


def heavy(rng: np.random.Generator) -> Made:
    frame = rows_of(rng)
    return frame.assign(y=frame["mean"] + rng.standard_t(3, len(frame))), FORMULA, {}


def heavy_with_cells(rng: np.random.Generator) -> Made:
    """An effect of its own for every few rows, whose uncertainty is normal and could hide it."""
    frame = rows_of(rng, 15)
    return (
        frame.assign(y=frame["mean"] + rng.standard_t(3, len(frame))),
        FORMULA + " + (1|seed:race)",
        {},
    )


def skewed(rng: np.random.Generator) -> Made:
    frame = rows_of(rng)
    return (
        frame.assign(y=np.exp(0.7 * (frame["mean"] + rng.normal(0, 1, len(frame))))),
        FORMULA,
        {},
    )


def unequal_spread(rng: np.random.Generator) -> Made:
    frame = rows_of(rng)
    sd = np.where(frame["race"] == "black", 1.8, 1.0)
    return frame.assign(y=frame["mean"] + sd * rng.normal(0, 1, len(frame))), FORMULA, {}


def spread_with_cells(rng: np.random.Generator) -> Made:
    """Race is a grouping factor's member too, whose effects take up some of the spread."""
    frame, _, _ = unequal_spread(rng)
    return frame, FORMULA + " + (1|seed:race)", {}


def lost_rows(rng: np.random.Generator) -> Made:
    """High responses of one cell of a crossed design go missing."""
    n = 40
    cells = pd.MultiIndex.from_product([range(n), ["asian", "black", "white"], [0, 1, 2]])
    frame = cells.to_frame(index=False, name=["seed", "race", "pose"])
    frame["y"] = rng.normal(0, 0.5, n)[frame["seed"]] + rng.normal(0, 1, len(frame))
    lost = (frame["race"] == "black") & (frame["pose"] == 2) & (frame["y"] > 0)
    return frame[~lost | (rng.random(len(frame)) < 0.3)], FORMULA, {}


def interaction(rng: np.random.Generator) -> Made:
    frame, _, _ = gaussian(rng)
    frame["y"] += 1.8 * ((frame["race"] == "black") & (frame["pose"] == 2))
    return frame, FORMULA, {}


def slopes(rng: np.random.Generator) -> Made:
    frame, _, _ = gaussian(rng)
    frame["y"] += rng.normal(0, 1.0, GROUPS)[frame["seed"]] * (frame["pose"] - 1)
    return frame, FORMULA, {}


def poor_annotators(rng: np.random.Generator) -> Made:
    frame = rows_of(rng)
    sd = np.exp(rng.normal(0, 0.6, GROUPS))[frame["seed"]]
    return frame.assign(y=frame["mean"] + sd * rng.normal(0, 1, len(frame))), FORMULA, {}


def odd_seed(rng: np.random.Generator) -> Made:
    frame, _, _ = gaussian(rng)
    frame["y"] += 5.0 * (frame["seed"] == 7)
    return frame, FORMULA, {}


def tight_prior(rng: np.random.Generator) -> Made:
    frame, _, _ = gaussian(rng)
    return frame, FORMULA, {"priors": {"pose": "Normal(0, 0.05)"}}


def strangling_prior(rng: np.random.Generator) -> Made:
    frame, _, _ = gaussian(rng)
    frame["y"] += 1.0 * frame["pose"]
    return frame, FORMULA, {"priors": {"pose": "Normal(0, 0.001)"}}


def overdispersed(rng: np.random.Generator) -> Made:
    return binomial(rng, 0.9)


def ordinal_mixture(rng: np.random.Generator) -> Made:
    """People of one race are never given the middle scores."""
    frame, formula, given = ordinal(rng)
    ends = (frame["race"] == "black") & frame["y"].isin([1, 2])
    return frame.assign(y=frame["y"].where(~ends, np.where(frame["y"] == 1, 0, 3))), formula, given


def short(rng: np.random.Generator) -> Made:
    frame, formula, _ = gaussian(rng)
    return frame, formula, {"draws": 60, "tune": 20, "chains": 2, "method": "nuts"}


# name: (maker, checks of which one must fail; none: all must pass)
CASES: dict[str, tuple[Callable[[np.random.Generator], Made], set[str]]] = {
    "right, gaussian": (gaussian, set()),
    "right, ordinal": (ordinal, set()),
    "right, binary": (binary, set()),
    "right, binomial": (binomial, set()),
    "heavy tails": (heavy, {"heavy tails"}),
    "heavy tails, cells vary": (heavy_with_cells, {"heavy tails"}),
    "skewed": (skewed, {"skewness"}),
    "unequal spread": (unequal_spread, {"spread by group"}),
    "unequal spread, cells vary": (spread_with_cells, {"spread by group"}),
    "lost by outcome": (lost_rows, {"missing rows"}),
    "interaction left out": (interaction, {"means by group"}),
    "slopes left out": (slopes, {"spread between groups"}),
    "unequal annotators": (poor_annotators, {"spread between groups"}),
    "one odd seed": (odd_seed, {"effects of levels"}),
    "prior too narrow": (tight_prior, {"priors"}),
    "prior strangles": (strangling_prior, {"means by group", "priors"}),
    "overdispersed": (overdispersed, {"dispersion"}),
    "ends of the scale": (ordinal_mixture, {"category shares"}),
}
SLOW_CASES = {"chains too short": (short, {"R-hat", "bulk ESS", "tail ESS"})}


def failed(case: str, seed: int) -> set[str]:
    """The checks that fail, or say to look, on one data set of a case."""
    frame, formula, given = (CASES | SLOW_CASES)[case][0](np.random.default_rng(seed))
    found = cb.check(cb.fit(formula, frame, random_seed=seed, **({"draws": 500} | given)))
    return set(found.loc[found["verdict"].isin(["fail", "look"]), "check"])


def main(repeats: int = 40) -> None:
    print(f"{'case':<22} {'repeats':>7} {'failed':>7} {'found':>7}  which")
    for case, (_, expected) in (CASES | SLOW_CASES).items():
        all_failed = [failed(case, seed) for seed in range(repeats)]
        which = Counter(one for each in all_failed for one in each)
        found = sum(bool(each & expected) for each in all_failed)
        print(
            f"{case:<22} {repeats:>7} {sum(map(bool, all_failed)):>7} "
            f"{found if expected else '':>7}  {dict(which)}",
            flush=True,
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
