"""Simulated distances of a network and dissimilarities that people judge, with known metrics."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import generator, number_in, whole_in
from causalbias.errors import DataError

QUESTIONS = ("age", "gender", "smiling")
JUDGES = ("network", "people")
WORTH = {"network": (0.03, 0.015, 0.006), "people": (0.1, 0.1, 0.06)}
COSINE = {"network": 0.3, "people": 0.5}
FLOOR = {"network": 0.1, "people": 0.3}
DIMENSIONS = 32  # of the network's embedding, in which rendering again adds noise
SEED_SD, OWN_SD = 0.15, 0.1  # of the log worths, over seeds
PUSH, LEAK, OWN_MOVE = 12.0, 0.3, 3.0  # points: by a step, its share that others move, sd of faces
ANSWER_SD = 0.6  # of people's answers about a pair


def simulate_metric(
    seeds: int = 40,
    *,
    raters: int = 6,
    noise: float = 6.0,
    answers: int = 4,
    questions: Sequence[str] = QUESTIONS,
    worth: Mapping[str, Sequence[float]] | None = None,
    random_seed: int = 1,
) -> tuple[pd.DataFrame, pd.DataFrame, xr.Dataset]:
    """Simulate faces whose attributes are pushed, ratings of them, and how far apart they are.

    Each seed has an unchanged face and, for each attribute, faces pushed down, up, and up twice; a
    push moves other attributes too. A network's distance is that of two vectors, linear in the
    perceived attributes by directions that differ among seeds, with the noise of rendering. People
    judge the dissimilarity of the same pairs.

    Parameters
    ----------
    seeds : int
    raters : int
        Of each face, for each question.
    noise : float
        Standard deviation of a rating; the pushes are of 12 points.
    answers : int
        Of people about each pair.
    questions : sequence of str
        The attributes.
    worth : mapping, optional
        Worths of the attributes by judge, "network" and "people", in a seed without peculiarities;
        needed for other questions than the default.
    random_seed : int

    Returns
    -------
    distances : DataFrame
        `seed`, `stimulus_a`, `stimulus_b`, `attribute`, `level`, `judge`, `distance`: a row a pair
        for the network, and one for each of people's answers.
    scores : DataFrame
        `stimulus`, `question`, `annotator`, `score`.
    truth : Dataset
        ``worth`` (judge, question), ``correlation`` (judge, question, other) and ``floor`` (judge)
        of the mean metric over seeds.

    Raises
    ------
    DataError
        If there are no worths of the questions.

    Examples
    --------
    >>> distances, scores, truth = simulate_metric(seeds=10)
    >>> len(distances), len(scores), truth["worth"].dims
    (450, 1800, ('judge', 'question'))
    """
    seeds, raters = whole_in(seeds, "seeds", 2), whole_in(raters, "raters", 1)
    noise, answers = number_in(noise, "noise", -1e-300), whole_in(answers, "answers", 1)
    own = WORTH if worth is None else worth
    j = len(questions)
    if any(len(own.get(judge, ())) != j for judge in JUDGES):
        raise DataError(
            f"worths are not given for the {j} questions of both judges",
            hint=f'give worth={{"network": [...], "people": [...]}} with {j} numbers each',
        )
    rng = generator(random_seed)
    faces, values = _faces(seeds, list(questions), rng)
    scores = _scores(faces["stimulus"], values, list(questions), raters, noise, rng)
    pushed = faces[faces["attribute"].notna()]
    base = faces.index[faces["attribute"].isna()].to_numpy()
    a, b = base[pushed["of_seed"].to_numpy()], pushed.index.to_numpy()
    pairs = pd.DataFrame(
        {
            "seed": pushed["seed"].to_numpy(),
            "stimulus_a": faces["stimulus"].to_numpy()[a],
            "stimulus_b": faces["stimulus"].to_numpy()[b],
            "attribute": pushed["attribute"].to_numpy(),
            "level": pushed["level"].to_numpy(),
        }
    )
    parts = []
    for judge in JUDGES:
        squared = _squared(
            values[b] - values[a], pushed["of_seed"].to_numpy(), seeds, judge, own[judge], rng
        )
        if judge == "people":
            mean = np.sqrt(FLOOR[judge] ** 2 + squared)
            for _ in range(answers):
                answer = np.maximum(mean + rng.normal(0, ANSWER_SD, len(mean)), 0.0)
                parts.append(pairs.assign(judge=judge, distance=answer))
        else:  # noise in all dimensions, of which one lies along the change
            sd = FLOOR[judge] / np.sqrt(DIMENSIONS)
            along = np.sqrt(squared) + rng.normal(0, sd, len(squared))
            across = sd**2 * rng.chisquare(DIMENSIONS - 1, len(squared))
            parts.append(pairs.assign(judge=judge, distance=np.sqrt(along**2 + across)))
    return pd.concat(parts, ignore_index=True), scores, _truth(list(questions), own)


def _faces(
    seeds: int, questions: list[str], rng: np.random.Generator
) -> tuple[pd.DataFrame, np.ndarray]:
    """A row a face, and its perceived attributes (faces, J) in points."""
    kinds = [(None, 0.0), *((one, step) for one in questions for step in (-1.0, 1.0, 2.0))]
    rows = pd.DataFrame(
        [(seed, attribute, level) for seed in range(seeds) for attribute, level in kinds],
        columns=["of_seed", "attribute", "level"],
    )
    rows["seed"] = [f"s{one:03d}" for one in rows["of_seed"]]
    rows["stimulus"] = [f"f{one:05d}" for one in range(len(rows))]
    j = len(questions)
    leaks = np.full((j, j), LEAK) * rng.choice([-1.0, 1.0], (j, j))
    np.fill_diagonal(leaks, 1.0)
    code = pd.Categorical(rows["attribute"], questions).codes
    push = PUSH * rows["level"].to_numpy()[:, None] * np.where(code[:, None] < 0, 0.0, leaks[code])
    of_seed = rng.normal(50, 10, (seeds, j))[rows["of_seed"]]
    return rows, of_seed + push + rng.normal(0, OWN_MOVE, (len(rows), j))


def _scores(
    stimuli: pd.Series,
    values: np.ndarray,
    questions: list[str],
    raters: int,
    noise: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Ratings of each face and question, by raters with levels of their own."""
    level = rng.normal(0, 4, (raters, len(questions)))
    rated = values[:, None, :] + level + rng.normal(0, noise, (len(values), raters, len(questions)))
    index = pd.MultiIndex.from_product(
        [stimuli, [f"r{one:02d}" for one in range(raters)], questions],
        names=["stimulus", "annotator", "question"],
    )
    return pd.DataFrame({"score": rated.ravel()}, index).reset_index()


def _metric(worth: Sequence[float], judge: str) -> np.ndarray:
    cosine = np.full((len(worth), len(worth)), COSINE[judge])
    np.fill_diagonal(cosine, 1.0)
    return np.asarray(np.outer(worth, worth) * cosine)


def _squared(
    change: np.ndarray,
    seed: np.ndarray,
    seeds: int,
    judge: str,
    worth: Sequence[float],
    rng: np.random.Generator,
) -> np.ndarray:
    """``d' M_s d`` of each pair, in the metric of its seed."""
    log = rng.normal(0, SEED_SD, (seeds, 1)) + rng.normal(0, OWN_SD, (seeds, len(worth)))
    weighed = change * np.exp(log)[seed]
    return np.asarray(np.einsum("nj,jk,nk->n", weighed, _metric(worth, judge), weighed))


def _truth(questions: list[str], worth: Mapping[str, Sequence[float]]) -> xr.Dataset:
    """Mean metric over seeds: ``E[exp(2 x)] = exp(2 sd^2)`` for log worths."""
    larger = np.exp(SEED_SD**2 + OWN_SD**2)
    cosines = [np.full((len(questions),) * 2, COSINE[one] * np.exp(-(OWN_SD**2))) for one in JUDGES]
    for one in cosines:
        np.fill_diagonal(one, 1.0)
    return xr.Dataset(
        {
            "worth": (("judge", "question"), [np.asarray(worth[one]) * larger for one in JUDGES]),
            "correlation": (("judge", "question", "other"), cosines),
            "floor": ("judge", [FLOOR[one] for one in JUDGES]),
        },
        coords={"judge": list(JUDGES), "question": questions, "other": questions},
    )
