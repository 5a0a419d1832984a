"""Parameters of simulated studies, with their units and defaults."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

SLOPES = {"age": 0.03, "lighting": 0.012, "pose": 0.12, "smiling": 0.05}
SLOPES_SEEN = {"age": -0.30, "lighting": -0.10, "pose": -0.35, "smiling": -0.15}


@dataclass(frozen=True)
class Bias:
    """A shift of the mean for the pairs that meet all given conditions.

    Attributes
    ----------
    name : str
        Name of the bias.
    shift : float
        Added to the mean, in units of distance for a system and in logits of "same" for people.
        With `attribute`, it is added for each unit of `level` by which the pair differs in it.
    race, gender, same_identity, attribute : optional
        Conditions; None matches all pairs. A race, gender or attribute that the experiment does
        not have matches no pair.
    """

    name: str
    shift: float
    race: str | None = None
    gender: str | None = None
    same_identity: bool | None = None
    attribute: str | None = None


@dataclass(frozen=True)
class System:
    """A recognition system: distance = abs(mean + seeds + faces + residual).

    The mean is `genuine` or `impostor`, plus `slopes` times the differences between the pair's
    members in each attribute (times `impostor_share` for an impostor pair), plus the `biases` that
    match the pair. The effects of seed and face enter once for a genuine pair, and for both members
    of an impostor pair. Standard deviations are (genuine, impostor), in units of distance.

    Attributes
    ----------
    name : str
        Name of the system.
    genuine, impostor : float
        Mean distance between two renders of the same face, and between unchanged faces of
        different seeds.
    threshold : float
        A pair matches if its distance is at most this.
    slopes : mapping of attribute to distance per unit of `level`
        Effects of differences in the attributes.
    impostor_share : float
        Share of these effects that impostor pairs have.
    biases : sequence of Bias
        Differences in treatment between groups.
    sd_seed : (float, float)
        Standard deviation between seeds.
    sd_face : (float, float)
        Standard deviation between the races and genders of a seed.
    sd_residual : (float, float)
        Standard deviation of the residual.
    pair_share : float
        Correlation, from 0 to 1, between the residual and how different the pair looks to people.
    failure : float
        Probability that the system finds no face in a render.
    """

    name: str
    genuine: float = 0.25
    impostor: float = 0.95
    threshold: float = 0.70
    slopes: Mapping[str, float] = field(default_factory=lambda: SLOPES)
    impostor_share: float = 0.1
    biases: Sequence[Bias] = ()
    sd_seed: tuple[float, float] = (0.02, 0.02)
    sd_face: tuple[float, float] = (0.015, 0.01)
    sd_residual: tuple[float, float] = (0.035, 0.07)
    pair_share: float = 0.3
    failure: float = 0.0


SYSTEMS = (
    System(
        "ResNet-34",
        biases=(
            Bias("black impostors alike", -0.08, race="black", same_identity=False),
            Bias("asian impostors alike", -0.05, race="asian", same_identity=False),
            Bias("female impostors alike", -0.02, gender="female", same_identity=False),
            Bias("pose harder on black", 0.03, race="black", same_identity=True, attribute="pose"),
        ),
    ),
    System(
        "ResNet-50",
        genuine=0.22,
        impostor=1.0,
        biases=(
            Bias("black impostors alike", -0.06, race="black", same_identity=False),
            Bias("asian impostors alike", -0.04, race="asian", same_identity=False),
            Bias("pose harder on black", 0.02, race="black", same_identity=True, attribute="pose"),
        ),
    ),
    System(
        "SFNet-20",
        genuine=0.30,
        impostor=0.90,
        threshold=0.65,
        slopes={"age": 0.04, "lighting": 0.02, "pose": 0.10, "smiling": 0.06},
        biases=(
            Bias("black impostors alike", -0.07, race="black", same_identity=False),
            Bias("asian impostors alike", -0.08, race="asian", same_identity=False),
            Bias("black genuine apart", 0.02, race="black", same_identity=True),
        ),
    ),
)


@dataclass(frozen=True)
class Question:
    """A question about single faces, with the answers 0, 1, ..., len(cutpoints).

    Attributes
    ----------
    name : str
        Name of the question.
    cutpoints : sequence of float
        Increasing cutpoints in logits.
    race, gender : mapping of label to logits
        Effects of race and gender; 0 for labels that are not given.
    slopes : mapping of attribute to logits per unit of `level`
        Effects of the attributes.
    """

    name: str
    cutpoints: Sequence[float] = (-2.0, -0.7, 0.7, 2.0)
    race: Mapping[str, float] = field(default_factory=dict)
    gender: Mapping[str, float] = field(default_factory=dict)
    slopes: Mapping[str, float] = field(default_factory=dict)


QUESTIONS = (
    Question("age", slopes={"age": 1.2}),
    Question("expression", slopes={"smiling": 0.8}),
    Question("gender", gender={"female": -3.0, "male": 3.0}),
    Question(
        "skin_tone",
        cutpoints=(-3.0, -1.5, 0.0, 1.5, 3.0),
        race={"white": -2.5, "asian": -0.8, "black": 3.0},
    ),
)


@dataclass(frozen=True)
class People:
    """Annotators and their judgements, by a graded response model with effects in logits.

    P(score >= k) = logistic(discrimination * (alike - severity - cutpoint k)). A careless answer is
    uniform over the scores instead. The similarity `alike` of a pair is `genuine` or `impostor`,
    plus, for a genuine pair, `slopes` times the differences between its members in each attribute,
    plus the `biases` that match the pair, plus effects of seeds, faces and the pair (as for a
    `System`).

    Attributes
    ----------
    annotators, judgements : int
        Number of annotators, and number of them who judge each pair, and each face and question.
    cutpoints : sequence of float
        Cutpoints of the scores 0 (surely different) to len(cutpoints) (surely the same person).
    genuine, impostor : float
        Mean similarity of genuine pairs without differences in attributes, and of impostor pairs.
    slopes : mapping of attribute to logits per unit of `level`
        Effects of differences in the attributes.
    biases : sequence of Bias
        Differences in treatment between groups.
    sd_seed, sd_face, sd_pair : float
        Standard deviations between seeds, between the faces of a seed, and between pairs.
    sd_severity : float
        Standard deviation between annotators.
    sd_discrimination : float
        Standard deviation of the annotators' log discrimination, whose mean is 0.
    careless : float
        Probability of a careless answer.
    dropout : float
        Share of annotators who stop at a random point of their work.
    missing : float
        Probability that any other answer is missing.
    missing_slope : float
        Violation of an assumption: change of the log odds that an answer is missing per logit of
        the pair's similarity. With 0, answers are missing completely at random.
    annotator_bias : mapping of race to logits
        Violation of an assumption: for `biased_share` of the annotators, this is added to the
        similarity of pairs of that race.
    biased_share : float
        Share of the annotators who have this bias.
    questions : sequence of Question
        Questions about single faces. Each is asked about the prototypes, the highest level of each
        attribute, and every level of the attributes for which the question has slopes.
    """

    annotators: int = 1000
    judgements: int = 9
    cutpoints: Sequence[float] = (-2.0, -0.7, 0.7, 2.0)
    genuine: float = 3.0
    impostor: float = -2.0
    slopes: Mapping[str, float] = field(default_factory=lambda: SLOPES_SEEN)
    biases: Sequence[Bias] = (
        Bias("black impostors alike", 0.3, race="black", same_identity=False),
        Bias("asian impostors alike", 0.2, race="asian", same_identity=False),
    )
    sd_seed: float = 0.3
    sd_face: float = 0.2
    sd_pair: float = 0.5
    sd_severity: float = 0.5
    sd_discrimination: float = 0.25
    careless: float = 0.02
    dropout: float = 0.05
    missing: float = 0.01
    missing_slope: float = 0.0
    annotator_bias: Mapping[str, float] = field(default_factory=dict)
    biased_share: float = 0.5
    questions: Sequence[Question] = QUESTIONS


def vector(values: Mapping[str, float], names: Sequence[str]) -> np.ndarray:
    """Return the values of the names in their order, and 0 for names without a value."""
    return np.array([values.get(name, 0.0) for name in names], dtype=float)


def biases_sum(
    biases: Sequence[Bias], pairs: pd.DataFrame, change: np.ndarray, attributes: Sequence[str]
) -> np.ndarray:
    """Sum the biases that match each pair.

    Parameters
    ----------
    biases : sequence of Bias
    pairs : DataFrame
        Columns `race`, `gender`, `same_identity`.
    change : ndarray (pair, attribute)
        Absolute difference between the members in each attribute, in units of `level`.
    attributes : sequence of str
        Names of the columns of `change`.
    """
    total = np.zeros(len(pairs))
    for bias in biases:
        matches = np.ones(len(pairs), dtype=bool)
        for name in ("race", "gender", "same_identity"):
            wanted = getattr(bias, name)
            if wanted is not None:
                matches &= (pairs[name] == wanted).to_numpy()
        units = 1.0
        if bias.attribute is not None:
            units = change @ vector({bias.attribute: 1.0}, attributes)
        total += np.where(matches, bias.shift * units, 0.0)
    return total
