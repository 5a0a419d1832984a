"""Simulated judgements of how alike two faces are, beside a metric, with known truth."""

from itertools import combinations

import numpy as np
import pandas as pd

from causalbias.arguments import generator, number_in, whole_in

GROUPS = ("female", "male")


def simulate_similarity(
    faces: int = 40,
    *,
    correlation: float = 0.7,
    reliability: float = 0.8,
    shared: float = 0.5,
    apart: float = 0.0,
    random_seed: int = 1,
) -> pd.DataFrame:
    """Simulate judgements of all pairs of faces and a metric of their similarity.

    Similarities of judgements without noise and of the metric are normal with the given Pearson
    correlation, each the sum of parts of both faces and of the pair, of which faces have the share
    `shared` of the variance. Pairs of two groups are `apart` less alike in both.

    Parameters
    ----------
    faces : int
        Number of faces, half of each group.
    correlation : float
        Of metric and judgements without noise, within groups.
    reliability : float
        Share of the variance of judgements, within groups, that is not noise.
    shared : float
        Share of the variance that is of faces and not of pairs.
    apart : float
        In standard deviations of the judgements without noise.
    random_seed : int

    Returns
    -------
    DataFrame
        `face_a`, `face_b`, `group_a`, `group_b`, `judgement`, `error` (its standard error),
        `metric`. ``.attrs["truth"]``: ``corrected``, the rank correlation of metric and judgements
        without noise within groups, and ``correlation`` with noise.

    Examples
    --------
    >>> simulate_similarity(faces=6).shape
    (15, 7)
    """
    faces = whole_in(faces, "faces", 4)
    rho = number_in(correlation, "correlation", -1, 1)
    kept = number_in(reliability, "reliability", 0, 1)
    of_faces = number_in(shared, "shared", -1e-9, 1)
    random = generator(random_seed)
    group = np.arange(faces) % 2
    a, b = np.array(list(combinations(range(faces), 2))).T
    root = np.linalg.cholesky(np.array([[1, rho], [rho, 1]]))
    face = random.normal(size=(faces, 2)) @ root.T * np.sqrt(of_faces / 2)
    pair = random.normal(size=(len(a), 2)) @ root.T * np.sqrt(1 - of_faces)
    values = face[a] + face[b] + pair - apart * (group[a] != group[b])[:, None]
    error = np.sqrt((1 - kept) / kept)
    ids = np.array([f"f{one + 1:03d}" for one in range(faces)])
    frame = pd.DataFrame(
        {
            "face_a": ids[a],
            "face_b": ids[b],
            "group_a": np.array(GROUPS)[group[a]],
            "group_b": np.array(GROUPS)[group[b]],
            "judgement": values[:, 0] + error * random.normal(size=len(a)),
            "error": error,
            "metric": values[:, 1],
        }
    )
    frame.attrs["truth"] = {
        # Spearman's correlation of two normal variables (Pearson 1907).
        "corrected": 6 / np.pi * np.arcsin(rho / 2),
        "correlation": 6 / np.pi * np.arcsin(rho * np.sqrt(kept) / 2),
        "accuracy": 0.5 + np.arcsin(rho * np.sqrt(kept)) / np.pi,
    }
    return frame


def simulate_triplets(
    pairs: pd.DataFrame, number: int = 500, *, random_seed: int = 1
) -> pd.DataFrame:
    """Simulate which of three faces people find the odd one.

    It is the face that is not in the pair with the highest similarity, which is the `judgement` of
    the pair with the noise of its `error` once more.

    Parameters
    ----------
    pairs : DataFrame
        From `simulate_similarity`.
    number : int
        Number of answers, each of three faces at random.
    random_seed : int

    Returns
    -------
    DataFrame
        `first`, `second`, `third`, `odd`.

    Examples
    --------
    >>> simulate_triplets(simulate_similarity(faces=6), 3).columns.tolist()
    ['first', 'second', 'third', 'odd']
    """
    random = generator(random_seed)
    number = whole_in(number, "number", 1)
    ids = np.unique(pairs[["face_a", "face_b"]].to_numpy(str))
    a, b = (np.searchsorted(ids, pairs[f"face_{side}"].to_numpy(str)) for side in "ab")
    alike, error = np.zeros((2, len(ids), len(ids)))
    alike[a, b] = alike[b, a] = pairs["judgement"]
    error[a, b] = error[b, a] = pairs["error"]
    shown = np.array([random.choice(len(ids), 3, replace=False) for _ in range(number)])
    left = [(shown[:, x], shown[:, y]) for x, y in ((1, 2), (0, 2), (0, 1))]
    seen = [alike[one] + error[one] * random.normal(size=number) for one in left]
    odd = shown[np.arange(number), np.argmax(seen, axis=0)]
    names = ("first", "second", "third")
    return pd.DataFrame(
        {**{name: ids[shown[:, at]] for at, name in enumerate(names)}, "odd": ids[odd]}
    )
