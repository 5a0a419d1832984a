"""Where the real data lie, and a generator of experiments in the same file format."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def data_root():
    """Directory of the data that are not in the repository, or a skip that says so."""
    root = Path(os.environ.get("CAUSALBIAS_DATA", "../shared/data"))
    root = root if root.is_absolute() else ROOT / root
    if not root.is_dir():
        pytest.skip(f"no directory {root}; set CAUSALBIAS_DATA to the one that holds omi/")
    return root


@pytest.fixture(scope="session")
def omi(data_root):
    """Directory of the One Million Impressions files, or a skip that names what is missing."""
    wanted = (
        "validation_artificial.csv",
        "embeddings_dlib_validation_artificial.npz",
        "attribute_ratings.zip",
        "attribute_means.csv",
    )
    missing = [name for name in wanted if not (data_root / "omi" / name).exists()]
    if missing:
        pytest.skip(f"{data_root / 'omi'} lacks {', '.join(missing)}; see CAUSALBIAS_DATA")
    return data_root / "omi"


@dataclass(frozen=True)
class Truth:
    """What an experiment was generated with."""

    human: dict[tuple[str, int], float]
    machine: dict[tuple[str, int], float]
    sd_rater: dict[str, float]
    sd_response: float
    sd_seed: float
    sd_cell: float
    sd_distance: float


@pytest.fixture(scope="session")
def write_experiment():
    """Write an unbalanced manipulation experiment in the OMI files' format; return its truth.

    Other conditions, raters and seeds than OMI's; conditions differ in raters, in the spread
    between raters and in seeds; some raters saw two of the three levels only. Edited faces lie
    along axes of their own from the unedited one, so that the distances are exactly those drawn.
    """

    def write(root: Path, *, rng: int = 5, stem: str = "validation_pilot") -> Truth:
        random = np.random.default_rng(rng)
        truth = Truth(
            human={
                ("smiling", 1): 12.0,
                ("smiling", 2): 25.0,
                ("beard", 1): -4.0,
                ("beard", 2): 6.0,
                ("hair-length", 1): 3.0,
                ("hair-length", 2): 9.0,
            },
            machine={
                ("smiling", 1): 0.30,
                ("smiling", 2): 0.45,
                ("beard", 1): 0.55,
                ("beard", 2): 0.80,
                ("hair-length", 1): 0.35,
                ("hair-length", 2): 0.40,
            },
            sd_rater={"smiling": 6.0, "beard": 3.0, "hair-length": 9.0},
            sd_response=2.5,
            sd_seed=0.05,
            sd_cell=0.04,
            sd_distance=0.03,
        )
        _responses(truth, random).to_csv(root / f"{stem}.csv", index=False)
        name, embedding = _embeddings(truth, random)
        np.savez(
            root / f"embeddings_net_{stem}.npz",
            name=np.array(name),
            detected=np.ones(len(name), bool),
            embedding=embedding,
        )
        return truth

    return write


def _responses(truth: Truth, random: np.random.Generator) -> pd.DataFrame:
    rows = []
    for condition, raters in (("smiling", 40), ("beard", 60), ("hair-length", 75)):
        for rater in range(raters):
            base = 45 + random.normal(0, truth.sd_rater[condition])
            levels = [0, 1, 2] if rater % 5 else random.choice(3, 2, replace=False).tolist()
            for level in levels:
                mean = base + truth.human.get((condition, level), 0.0)
                score = round(float(mean + random.normal(0, truth.sd_response)), 8)
                rows.append((level, "2030-01-01", condition, f"r{condition[:2]}{rater}", score))
    columns = ["stimulus_level", "end_time", "condition", "anon_id", "response"]
    frame = pd.DataFrame(rows, columns=columns)
    assert frame["response"].between(0, 100).all()
    return frame.sample(frac=1, random_state=3)


def _embeddings(truth: Truth, random: np.random.Generator) -> tuple[list[str], np.ndarray]:
    name, vectors = [], []
    base = {seed: random.normal(0, 0.3, 16) for seed in range(2000, 2060)}
    of_seed = {seed: random.normal(0, truth.sd_seed) for seed in base}
    for attribute, first, last in (("smiling", 0, 40), ("beard", 10, 60), ("hair-length", 5, 50)):
        for seed in list(base)[first:last]:
            shift = of_seed[seed] + random.normal(0, truth.sd_cell)
            for level in range(3):
                distance = 0.0
                if level:
                    noise = random.normal(0, truth.sd_distance)
                    distance = truth.machine[attribute, level] + shift + noise
                    assert distance > 0
                name.append(f"{seed}_{attribute}_{level}.jpg")
                vectors.append(base[seed] + distance * np.eye(16)[level])
    return name, np.array(vectors, np.float32)


@pytest.fixture(scope="session")
def slopes_frame():
    """Unbalanced groups with intercepts and slopes of their own, and a three-level factor."""
    random = np.random.default_rng(11)
    group = np.repeat(np.arange(14), random.integers(3, 16, 14))
    x = random.normal(2.0, 1.0, len(group))
    kind = random.choice(["a", "b", "c"], len(group), p=[0.5, 0.3, 0.2])
    intercept, slope = random.normal(0, 1.0, 14), random.normal(0, 0.6, 14)
    mean = 5 + 1.5 * x + np.select([kind == "b", kind == "c"], [1.0, -0.5 + 0.4 * x], 0.0)
    y = mean + intercept[group] + slope[group] * x + random.normal(0, 0.8, len(group))
    return pd.DataFrame({"y": y, "x": x, "kind": kind, "g": [f"g{i:02d}" for i in group]})


@pytest.fixture(scope="session")
def slopes_fit(slopes_frame):
    """The exact engine's fit of `slopes_frame`."""
    import causalbias as cb

    return cb.fit("y ~ x*kind + (x|g)", slopes_frame, method="collapsed", random_seed=2)


FAMILIES = {
    "bernoulli": "hit ~ x + kind + (1|g)",
    "binomial": "p(hits, trials) ~ x + kind",
    "beta": "share ~ x + kind",
    "cumulative": "mark ~ x + kind + (1|g)",
}
FAMILY_TRUTH = {"x": 0.8, "kind[b]": -1.0, "Intercept": 0.3, "threshold": [-1.0, 0.2, 1.5]}


@pytest.fixture(scope="session")
def family_truth():
    """What `family_frame` was generated with, by name in the posterior."""
    return FAMILY_TRUTH


@pytest.fixture(scope="session")
def family_frame():
    """Responses of every family on one linear predictor, on the logit scale."""
    random = np.random.default_rng(7)
    n = 400
    group = random.integers(0, 15, n)
    x, kind = random.normal(0, 1, n), random.choice(["a", "b"], n, p=[0.7, 0.3])
    fixed = 0.3 + 0.8 * x - 1.0 * (kind == "b")
    mixed = fixed + random.normal(0, 0.5, 15)[group]
    chance, chance_mixed = 1 / (1 + np.exp(-fixed)), 1 / (1 + np.exp(-mixed))
    trials = random.integers(1, 12, n)
    latent = mixed - 0.3 + random.logistic(0, 1, n)
    return pd.DataFrame(
        {
            "x": x,
            "kind": kind,
            "g": [f"g{i:02d}" for i in group],
            "trials": trials,
            "hit": random.binomial(1, chance_mixed),
            "hits": random.binomial(trials, chance),
            "share": random.beta(chance * 12, (1 - chance) * 12),
            "mark": np.searchsorted(FAMILY_TRUTH["threshold"], latent),
        }
    )


@pytest.fixture(scope="session")
def family_fit(family_frame):
    """Fit of a family by NUTS, made once."""
    import causalbias as cb

    made = {}

    def fit(family):
        if family not in made:
            made[family] = cb.fit(
                FAMILIES[family], family_frame, family=family, draws=600, tune=500, random_seed=3
            )
        return made[family]

    return fit
