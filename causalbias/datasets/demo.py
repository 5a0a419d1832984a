"""A small experiment with known truth, for first steps, docs and tests."""

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import generator
from causalbias.datasets.omi import pairs_by_design
from causalbias.study.build import make_study
from causalbias.study.tree import Study

# For each attribute, the change of people's mean response (in points) and of the network's distance
# from level 0 to levels 1 and 2. People hardly see the manipulation "lighting".
TRUTH: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "age": ((8.0, 15.0), (0.20, 0.34)),
    "smiling": ((14.0, 30.0), (0.24, 0.36)),
    "pose": ((10.0, 18.0), (0.33, 0.52)),
    "lighting": ((0.3, 0.6), (0.14, 0.21)),
}
RATERS, SEEDS = 40, 30
SD_RATER, SD_RESPONSE = 8.0, 4.0
SD_SEED, SD_CELL, SD_DISTANCE = 0.03, 0.03, 0.04


def demo_study(random_seed: int = 1) -> Study:
    """Simulate a small manipulation experiment with the layout of the OMI experiment.

    The experiment has four attributes at three levels. Each attribute has 30 faces and 40 raters,
    whose responses range from 0 to 100, and there is one network. ``/truth`` holds the mean change
    of response and distance from level 0.

    Parameters
    ----------
    random_seed : int
        Seed of the random numbers; the same seed gives the same study.

    Returns
    -------
    Study
        With the groups that `make_study` describes, and ``/truth``.

    Examples
    --------
    >>> import causalbias as cb
    >>> cb.demo_study()["truth"]["human"].sel(attribute="age").values
    array([ 8., 15.])
    """
    rng = generator(random_seed)
    faces = pd.DataFrame(
        [(s, a, level) for a in TRUTH for s in range(1, SEEDS + 1) for level in range(3)],
        columns=["seed", "attribute", "level"],
    )
    label = faces.astype(str)
    faces.insert(0, "stimulus", label["seed"] + "_" + label["attribute"] + "_" + label["level"])
    pairs, distances = _distances(faces, rng)
    study = make_study(
        factors=["seed", "attribute", "level"],
        stimuli=faces,
        judgements=_responses(rng),
        scales=(0, 100),
        name="demo",
        title="simulated, with known truth",
        metric="simulated",
        pairs=pairs,
        distances=distances,
    )
    change = {
        side: (("attribute", "level"), np.array([truth[at] for truth in TRUTH.values()]))
        for at, side in enumerate(("human", "machine"))
    }
    study["truth"] = xr.DataTree(
        xr.Dataset(change, coords={"attribute": list(TRUTH), "level": [1, 2]})
    )
    return study


def _responses(rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for attribute, (effects, _) in TRUTH.items():
        base = rng.normal(38.0, SD_RATER, RATERS)
        for level, effect in enumerate([0.0, *effects]):
            score = np.clip(base + effect + rng.normal(0.0, SD_RESPONSE, RATERS), 0, 100)
            rows += [(f"{attribute}{i}", attribute, level, s) for i, s in enumerate(score)]
    frame = pd.DataFrame(rows, columns=["annotator", "question", "level", "score"])
    return frame.assign(attribute=frame["question"])


def _distances(faces: pd.DataFrame, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    pairs = pairs_by_design(faces)
    first = faces.set_index("stimulus").loc[pairs["stimulus_a"]]
    second = faces.set_index("stimulus").loc[pairs["stimulus_b"]]
    genuine = first["seed"].to_numpy() == second["seed"].to_numpy()
    steps_apart = second["level"].to_numpy() - first["level"].to_numpy()
    moved = np.array([TRUTH[attribute][1] for attribute in first["attribute"]])
    mean = np.where(genuine, moved[np.arange(len(pairs)), steps_apart - 1], 0.8)
    of_seed = dict(zip(faces["seed"].unique(), rng.normal(0, SD_SEED, SEEDS), strict=True))
    cells = faces.groupby(["seed", "attribute"]).ngroup().to_numpy()
    of_cell = rng.normal(0, SD_CELL, size=int(cells.max()) + 1)[cells]
    cell = pd.Series(of_cell, index=faces["stimulus"]).loc[pairs["stimulus_a"]].to_numpy()
    shift = first["seed"].map(of_seed).to_numpy() + cell
    noise = rng.normal(0, SD_DISTANCE, len(pairs))
    distance = np.abs(mean + np.where(genuine, shift, 0.0) + noise)
    scored = pairs[["pair"]].assign(system="simulated net", distance=distance, threshold=0.6)
    return pairs, scored
