"""Simulate the answers of annotators."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from causalbias.simulation.machine import Pairs
from causalbias.simulation.parameters import People, Question, biases_sum, vector


@dataclass(frozen=True)
class Traits:
    """Traits of the annotators, arrays (annotator,).

    `stays` is the share of the work after which an annotator stops, 0 to 1, and `biased` is
    whether an annotator has the bias of `People.annotator_bias`.
    """

    severity: np.ndarray
    discrimination: np.ndarray
    stays: np.ndarray
    biased: np.ndarray


def draw_traits(people: People, rng: np.random.Generator) -> Traits:
    """Draw every annotator's traits."""
    n = people.annotators
    leaves = rng.random(n) < people.dropout
    return Traits(
        severity=rng.normal(0.0, people.sd_severity, n),
        discrimination=np.exp(rng.normal(0.0, people.sd_discrimination, n)),
        stays=np.where(leaves, rng.random(n), 1.0),
        biased=rng.random(n) < people.biased_share,
    )


def mean_alike(
    people: People, table: pd.DataFrame, change: np.ndarray, attributes: Sequence[str]
) -> np.ndarray:
    """Compute the similarity of pairs (logits) without effects of seeds, faces and pair."""
    same = table["same_identity"].to_numpy(dtype=bool)
    moved = change @ vector(people.slopes, attributes)
    base = np.where(same, people.genuine, people.impostor) + np.where(same, moved, 0.0)
    return base + biases_sum(people.biases, table, change, attributes)


def mean_perceived(
    question: Question, table: pd.DataFrame, moved: np.ndarray, attributes: Sequence[str]
) -> np.ndarray:
    """Compute what a question asks about (logits), without effects of seeds, faces and renders."""
    race = table["race"].map(dict(question.race)).fillna(0.0).to_numpy(float)
    gender = table["gender"].map(dict(question.gender)).fillna(0.0).to_numpy(float)
    return race + gender + moved @ vector(question.slopes, attributes)


def draw_alike(
    people: People,
    pairs: Pairs,
    seeds: int,
    persons: int,
    attributes: Sequence[str],
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw the similarity of each pair for a typical annotator, in logits."""
    of_seed = np.repeat(rng.normal(0.0, people.sd_seed, (seeds, 1)), 2, axis=1)
    of_person = np.repeat(rng.normal(0.0, people.sd_face, (persons, 1)), 2, axis=1)
    mean = mean_alike(people, pairs.table, pairs.change, attributes)
    return mean + pairs.shared(of_seed, of_person) + people.sd_pair * pairs.alike


def answer(
    eta: np.ndarray,
    bias: np.ndarray,
    cutpoints: Sequence[float],
    people: People,
    traits: Traits,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw `people.judgements` different annotators for each item, and their scores.

    Parameters
    ----------
    eta : ndarray (item,)
        Linear predictor of each item, in logits.
    bias : ndarray (item,)
        Added to `eta` for the biased annotators.
    cutpoints : sequence of float
        Cutpoints between the scores, in logits.
    people : People
    traits : Traits
        Of every annotator.
    rng : Generator

    Returns
    -------
    annotator : ndarray of int (item, judgement)
        Codes of the annotators.
    score : ndarray (item, judgement)
        Scores, NaN if there is no answer.
    """
    n, k = len(eta), people.judgements
    span = max((people.annotators - 1) // max(k - 1, 1), 1)
    start, step = rng.integers(people.annotators, size=(2, n, 1))
    who = (start + (step % span + 1) * np.arange(k)) % people.annotators
    seen = eta[:, None] + bias[:, None] * traits.biased[who] - traits.severity[who]
    sharp = traits.discrimination[who]
    draw = rng.random((n, k))
    score = np.zeros((n, k))
    for cut in cutpoints:
        score += draw < expit(sharp * (seen - cut))
    careless = rng.random((n, k)) < people.careless
    score = np.where(careless, rng.integers(len(cutpoints) + 1, size=(n, k)), score)
    gone = rng.random((n, k)) > traits.stays[who]
    if people.missing > 0:
        chance = expit(logit(people.missing) + people.missing_slope * eta)
        gone |= rng.random((n, k)) < chance[:, None]
    return who, np.where(gone, np.nan, score)
