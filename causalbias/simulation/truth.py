"""True values of the estimands in a simulated study, in closed form or by quadrature."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import expit
from scipy.stats import norm

from causalbias.datasets.causalface.layout import Design
from causalbias.simulation.design import Conditions
from causalbias.simulation.machine import Effects, mean_distance
from causalbias.simulation.parameters import People, System
from causalbias.simulation.people import mean_alike, mean_perceived

POPULATIONS = ["new seeds", "these seeds"]
MAX_SUPPORT = 1000
CELL = ("race", "gender", "same_identity", "manipulation")


def truth_of(
    design: Design,
    layout: Conditions,
    leak: Mapping[str, Mapping[str, float]] | None,
    systems: Sequence[System],
    effects: Sequence[Effects],
    people: People | None,
) -> xr.Dataset:
    """Compute the true means and rates in every cell of the design.

    Returns
    -------
    Dataset
        Dims `race`, `gender`, `same_identity`, and `manipulation` (coords `attribute`, `level`),
        which stands for pairs of an attribute's reference level with this level, all other
        attributes being unchanged. Below, ``...`` stands for these dims.

        distance (population, system, ...): mean distance, in the population of seeds and over the
        simulated seeds.

        match_rate (population, system, ...): probability that a distance is at most the system's
        threshold, which is the false match rate of impostor pairs, and 1 minus the false non-match
        rate of genuine pairs.

        latent (...): mean similarity, in logits of "same".

        score (...) and score_probability (..., category): mean score and probability of each score
        in the populations of seeds and annotators, if no answers were missing.

        score_typical (...): mean score of a pair and an annotator whose effects are all zero.

        perceived (question, race, gender, manipulation): mean answer about a single face.

        ``..._as_rendered``: the same values including the changes that leak into other attributes.
    """
    cells = _cells(design, layout)
    variables: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
    for suffix, moved in (("", layout.moved), ("_as_rendered", layout.rendered(leak))):
        manipulated = moved[: layout.n_rendered]
        if systems:
            both = [
                _machine_truth(system, own, cells, manipulated, layout.attributes)
                for system, own in zip(systems, effects, strict=True)
            ]
            for at, name in enumerate(("distance", "match_rate")):
                dims = ("population", "system", *CELL)
                variables[name + suffix] = dims, np.stack([one[at] for one in both], axis=1)
        if people is not None:
            found = _human_truth(people, cells, manipulated, layout.attributes)
            variables |= {name + suffix: value for name, value in found.items()}
    coords = {
        "race": list(design.races),
        "gender": list(design.genders),
        "same_identity": [False, True],
        "attribute": ("manipulation", layout.attribute[: layout.n_rendered].astype(str)),
        "level": ("manipulation", layout.level[: layout.n_rendered]),
    }
    if systems:
        coords |= {"system": [one.name for one in systems], "population": POPULATIONS}
        variables["threshold"] = ("system",), np.array([one.threshold for one in systems])
    if people is not None:
        coords["question"] = [one.name for one in people.questions]
        coords["category"] = np.arange(len(people.cutpoints) + 1)
    return xr.Dataset(variables, coords=coords)


def _cells(design: Design, layout: Conditions) -> pd.DataFrame:
    index = pd.MultiIndex.from_product(
        [list(design.races), list(design.genders), [False, True], range(layout.n_rendered)],
        names=["race", "gender", "same_identity", "condition"],
    )
    return index.to_frame(index=False)


def _shape(cells: pd.DataFrame) -> tuple[int, ...]:
    return tuple(cells[name].nunique() for name in cells)


def _machine_truth(
    system: System,
    effects: Effects,
    cells: pd.DataFrame,
    moved: np.ndarray,
    attributes: Sequence[str],
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean distance and match rate (population, race, gender, same_identity, condition)."""
    shape = _shape(cells)
    change = np.abs(moved)[cells["condition"]]
    mean = mean_distance(system, cells, change, attributes).reshape(shape)
    sums = np.array([1.0, 2.0])  # effects enter once for a genuine and twice for an impostor pair
    variance = np.square(system.sd_seed) + np.square(system.sd_face)
    total = np.sqrt(sums * variance + np.square(system.sd_residual))
    distance, rate = np.empty((2, 2, *shape))
    for at, kind in enumerate((1, 0)):  # same_identity False, True; columns genuine, impostor
        here = mean[:, :, at]
        distance[0, :, :, at] = folded_mean(here, total[kind])
        rate[0, :, :, at] = folded_cdf(system.threshold, here, total[kind])
        for race, gender in np.ndindex(shape[:2]):
            own = _support(effects, kind, (race, gender), shape[:2])
            given = here[race, gender][:, None] + own
            sd = system.sd_residual[kind]
            distance[1, race, gender, at] = folded_mean(given, sd).mean(axis=1)
            rate[1, race, gender, at] = folded_cdf(system.threshold, given, sd).mean(axis=1)
    return distance, rate


def _support(
    effects: Effects, kind: int, cell: tuple[int, int], groups: tuple[int, ...]
) -> np.ndarray:
    """Return the simulated effects of a race and gender, of each seed or of each pair of seeds."""
    person = effects.person[:, kind].reshape(-1, *groups)[:, cell[0], cell[1]]
    effect = effects.seed[:, kind] + person
    if kind == 1:
        first, second = np.triu_indices(len(effect), k=1)
        effect = effect[first] + effect[second] if len(first) else 2 * effect
    if len(effect) > MAX_SUPPORT:
        quantiles = (np.arange(MAX_SUPPORT) + 0.5) / MAX_SUPPORT
        effect = np.sort(effect)[(quantiles * len(effect)).astype(int)]
    return effect


def folded_mean(mean: np.ndarray, sd: float) -> np.ndarray:
    """Compute the mean of the absolute value of a Normal(mean, sd) variable.

    Examples
    --------
    >>> round(float(folded_mean(np.array(0.0), 1.0)), 4)
    0.7979
    """
    z = mean / sd
    return sd * 2 * norm.pdf(z) + mean * (1 - 2 * norm.cdf(-z))


def folded_cdf(at: float, mean: np.ndarray, sd: float) -> np.ndarray:
    """Compute the probability that the absolute value of a Normal(mean, sd) is below `at`."""
    return norm.cdf((at - mean) / sd) - norm.cdf((-at - mean) / sd)


def _human_truth(
    people: People, cells: pd.DataFrame, moved: np.ndarray, attributes: Sequence[str]
) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    shape = _shape(cells)
    change = np.abs(moved)[cells["condition"]]
    latent = mean_alike(people, cells, change, attributes)
    once = people.sd_seed**2 + people.sd_face**2
    rest = people.sd_pair**2 + people.sd_severity**2
    sd = np.sqrt(np.where(cells["same_identity"], once, 2 * once) + rest)
    bias = cells["race"].map(dict(people.annotator_bias)).fillna(0.0).to_numpy(float)
    share = people.biased_share
    chance = (1 - share) * score_probabilities(latent, sd, people.cutpoints, people)
    chance += share * score_probabilities(latent + bias, sd, people.cutpoints, people)
    score = chance @ np.arange(chance.shape[1])
    typical = score_probabilities(
        latent, np.zeros(len(latent)), people.cutpoints, replace(people, sd_discrimination=0.0)
    )
    truth = {
        "latent": (CELL, latent.reshape(shape)),
        "score": (CELL, score.reshape(shape)),
        "score_typical": (CELL, (typical @ np.arange(typical.shape[1])).reshape(shape)),
        "score_probability": ((*CELL, "category"), chance.reshape(*shape, -1)),
    }
    faces = cells[~cells["same_identity"]]
    seen = []
    for question in people.questions:
        mean = mean_perceived(question, faces, moved[faces["condition"]], attributes)
        each = score_probabilities(
            mean, np.full(len(mean), np.sqrt(once + rest)), question.cutpoints, people
        )
        seen.append((each @ np.arange(each.shape[1])).reshape(shape[0], shape[1], shape[3]))
    if seen:
        truth["perceived"] = ("question", "race", "gender", "manipulation"), np.stack(seen)
    return truth


def score_probabilities(
    mean: np.ndarray, sd: np.ndarray, cutpoints: Sequence[float], people: People, nodes: int = 41
) -> np.ndarray:
    """Average the probabilities of the scores over Normal(mean, sd) logits and over annotators.

    The average is computed by Gauss-Hermite quadrature over the logits and the log discrimination.

    Parameters
    ----------
    mean, sd : ndarray (cell,)
        Mean and standard deviation of the logits.
    cutpoints : sequence of float
        Cutpoints between the scores, in logits.
    people : People
    nodes : int
        Number of quadrature nodes in each of the two directions.

    Returns
    -------
    ndarray (cell, category)
        Probability of each score.
    """
    z, weight = np.polynomial.hermite_e.hermegauss(nodes)
    weight = weight / weight.sum()
    sharp = np.exp(people.sd_discrimination * z)[:, None]
    above = np.ones((len(mean), len(cutpoints) + 2))
    above[:, -1] = 0.0
    eta = mean[:, None] + sd[:, None] * z
    for at, cut in enumerate(cutpoints):
        passed = expit(sharp * (eta[:, None, :] - cut))  # (cell, discrimination, logit)
        above[:, at + 1] = passed @ weight @ weight
    chance = above[:, :-1] - above[:, 1:]
    return (1 - people.careless) * chance + people.careless / chance.shape[1]
