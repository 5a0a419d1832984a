"""Simulated similarities of generated faces with prompts, with known truth."""

from itertools import product

import numpy as np
import pandas as pd

from causalbias.arguments import generator, number_in, whole_in

RACES = ("asian", "black", "white")
GENDERS = ("female", "male")
SMILES = (-1.0, 0.0, 1.0)
SIGNS = {"negative": -0.5, "positive": 0.5}
NOISE = 0.005  # standard deviation of one similarity
SPREAD = 0.004  # of seeds, of images, of prompts, and of prompts' own responses to a group


def simulate_social_perception(
    seeds: int = 12,
    prompts: int = 4,
    *,
    black: float = -0.004,
    black_women: float = -0.008,
    smile: float = 0.006,
    bend: float = -0.003,
    marked: float = 0.005,
    random_seed: int = 1,
) -> pd.DataFrame:
    """Simulate cosine similarities of faces with positive, negative and neutral prompts.

    Each seed is a face in each race, gender and smile. Seeds, seeds in a race and gender, and
    images have effects of their own, one for all prompts and one that prompts of both valences
    feel in opposite directions; prompts have their level, and their own response to each race and
    gender.

    Parameters
    ----------
    seeds : int
        Number of seeds.
    prompts : int
        Number of prompts of each of positive, negative and neutral valence.
    black : float
        Of black faces: how much more similar to positive than to negative prompts they are,
        compared with the other races.
    black_women : float
        What is added to that for black women.
    smile, bend : float
        Linear and quadratic coefficient of the smile (-1, 0, 1), positive minus negative prompts.
    marked : float
        How much more similar black faces are to all prompts than others.
    random_seed : int

    Returns
    -------
    DataFrame
        `image`, `seed`, `race`, `gender`, `smile`, `prompt`, `valence`, `similarity`. The keyword
        arguments are in ``.attrs["truth"]``.

    Examples
    --------
    >>> simulate_social_perception(seeds=2, prompts=2).shape
    (216, 8)
    """
    seeds, prompts = whole_in(seeds, "seeds", 2), whole_in(prompts, "prompts", 1)
    truth = {
        "black": number_in(black, "black", -1, 1),
        "black_women": number_in(black_women, "black_women", -1, 1),
        "smile": number_in(smile, "smile", -1, 1),
        "bend": number_in(bend, "bend", -1, 1),
        "marked": number_in(marked, "marked", -1, 1),
    }
    random = generator(random_seed)
    images = pd.DataFrame(
        list(product(range(seeds), RACES, GENDERS, SMILES)),
        columns=["seed", "race", "gender", "smile"],
    )
    is_black = (images["race"] == "black").to_numpy(float)
    both = is_black * (images["gender"] == "female")
    dose = images["smile"].to_numpy()
    cell = images.groupby(["seed", "race", "gender"]).ngroup().to_numpy()
    own = SPREAD * np.asarray(
        random.normal(size=(seeds, 2))[images["seed"]]
        + 0.5 * random.normal(size=(cell.max() + 1, 2))[cell]
        + 0.5 * random.normal(size=(len(images), 2))
    )
    contrast = truth["black"] * is_black + truth["black_women"] * both
    contrast = contrast + truth["smile"] * dose + truth["bend"] * dose**2 + own[:, 1]
    level = 0.22 + truth["marked"] * is_black + own[:, 0]
    group = images.groupby(["race", "gender"]).ngroup().to_numpy()
    rows = []
    for valence, at in product(("positive", "negative", "neutral"), range(prompts)):
        response = 0.3 * SPREAD * random.normal(size=int(group.max()) + 1)
        values = level + SPREAD * random.normal() + response[group]
        values = values + SIGNS.get(valence, 0.0) * contrast
        values = values + NOISE * random.normal(size=len(images))
        rows.append(images.assign(prompt=f"{valence} {at + 1}", valence=valence, similarity=values))
    frame = pd.concat(rows, ignore_index=True)
    names = frame["seed"].map("s{:03d}".format)
    image = names + "-" + frame["race"] + "-" + frame["gender"] + frame["smile"].map("{:+g}".format)
    frame = frame.assign(seed=names)
    frame.insert(0, "image", image)
    frame.attrs["truth"] = truth
    return frame
