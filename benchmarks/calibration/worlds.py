"""Data of a known hierarchical model, and its true estimands by plain arithmetic.

``eta = intercept + race + pose * (slope + turn of the race) + gender + seed + cell of seed and
race``. Nothing of the package is used for the truth.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

RACES = ["asian", "black", "white"]
FORMULA = "{y} ~ race*pose + gender + (1|seed) + (1|seed:race)"
PRIORS = {
    "Intercept": "Normal(0, 1)",
    "race": "Normal(0, 0.7)",
    "pose": "Normal(0, 0.4)",
    "race:pose": "Normal(0, 0.3)",
    "gender": "Normal(0, 0.5)",
    "1|seed": "HalfNormal(0.6)",
    "1|seed:race": "HalfNormal(0.4)",
}
SIGMA = "HalfNormal(1)"
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(81)
WEIGHTS = WEIGHTS / WEIGHTS.sum()

Floats = np.ndarray
Outcome = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Setting:
    """What a study is like.

    Attributes
    ----------
    name : str
    seeds : int
    bias : float or None
        Size of the effects of race and its interaction; None: parameters from `PRIORS`, which the
        fit then has too, else it has the default ones.
    missing : float
        Share of the turned renders that failed.
    """

    name: str
    seeds: int
    bias: float | None
    missing: float = 0.0


SETTINGS = (
    Setting("from the priors, 12 seeds", 12, None),
    Setting("no bias, 12 seeds", 12, 0.0),
    Setting("small bias, 30 seeds, 15% of turned faces missing", 30, 0.3, 0.15),
    Setting("large bias, 12 seeds, 15% of turned faces missing", 12, 1.0, 0.15),
)


@dataclass(frozen=True)
class World:
    """Parameters and effects; see the module."""

    rows: pd.DataFrame
    intercept: float
    race: Floats
    slope: float
    turn: Floats
    gender: float
    sd: Floats
    sigma: float
    seed: Floats
    cell: Floats

    def fixed(self, rows: pd.DataFrame) -> Floats:
        """Eta without the effects of seeds."""
        race = pd.Index(RACES).get_indexer(rows["race"])
        pose, male = rows["pose"].to_numpy(float), (rows["gender"] == "male").to_numpy()
        slope = self.slope + self.turn[race]
        return self.intercept + self.race[race] + pose * slope + self.gender * male

    def groups(self, rows: pd.DataFrame) -> Floats:
        """The effects of rows' seeds."""
        race, seed = pd.Index(RACES).get_indexer(rows["race"]), rows["seed"].to_numpy()
        return self.seed[seed] + self.cell[seed, race]

    def mean(
        self, outcome: Outcome, population: str, rows: pd.DataFrame | None = None, **held: object
    ) -> float:
        """Average outcome over rows with columns set, in a population of seeds."""
        rows = (self.rows if rows is None else rows).assign(**held)
        eta = self.fixed(rows)
        if population == "these":
            return float(outcome(eta + self.groups(rows)).mean())
        if population == "typical":
            return float(outcome(eta).mean())
        spread = np.hypot(*self.sd) * NODES
        return float((outcome(eta[:, None] + spread) @ WEIGHTS).mean())


def make(setting: Setting, rng: np.random.Generator, *, gaussian: bool) -> World:
    """A world; seeds' effects are drawn anew in each."""
    n = setting.seeds
    rows = pd.DataFrame(
        {
            "seed": np.repeat(np.arange(n), 9),
            "race": np.tile(np.repeat(RACES, 3), n),
            "pose": np.tile([0.0, 1.0, 2.0], 3 * n),
            "gender": rng.choice(["female", "male"], 9 * n),
        }
    )
    kept = (rng.uniform(size=len(rows)) >= setting.missing) | (rows["pose"] == 0)
    rows = rows[kept].reset_index(drop=True)
    if setting.bias is None:
        race, turn = np.r_[0, rng.normal(0, 0.7, 2)], np.r_[0, rng.normal(0, 0.3, 2)]
        slope, gender = rng.normal(0, 0.4), rng.normal(0, 0.5)
        sd, sigma = np.abs(rng.normal(0, [0.6, 0.4])), abs(rng.normal())
        intercept = rng.normal()
    else:
        race, turn = setting.bias * np.array([0, 1.0, 0.5]), setting.bias * np.array([0, 0.3, 0])
        slope, gender, sd, sigma, intercept = 0.3, 0.2, np.array([0.5, 0.3]), 0.8, 0.4
    world = World(rows, 0.0, race, slope, turn, gender, sd, sigma, np.empty(0), np.empty((0, 3)))
    if setting.bias is None and gaussian:  # the prior is on the intercept of centred columns
        intercept -= world.fixed(rows).mean()
    seed, cell = rng.normal(0, sd[0], n), rng.normal(0, sd[1], (n, 3))
    return World(rows, intercept, race, slope, turn, gender, sd, sigma, seed, cell)
