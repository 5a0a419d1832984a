"""What a simulation sets, each with its unit and default."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

SLOPES = {"age": 0.03, "lighting": 0.012, "pose": 0.12, "smiling": 0.05}
SLOPES_SEEN = {"age": -0.30, "lighting": -0.10, "pose": -0.35, "smiling": -0.15}


@dataclass(frozen=True)
class Bias:
    """A named difference in treatment of the pairs it matches; what is None matches all.

    Attributes
    ----------
    name : str
    shift : float
        Added to the mean: of a system, in units of distance; of people, in logits of "same".
        With `attribute`, added for each unit of `level` by which the pair differs in it.
    race, gender, same_identity, attribute : optional
        A race, gender or attribute that an experiment does not have matches nothing.
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

    The mean is `genuine` or `impostor`, plus `slopes` times the levels by which the pair's
    members differ (of an impostor pair, `impostor_share` of that), plus the `biases` that match.
    Of a genuine pair, the seed's and the face's effects enter once; of an impostor pair, those of
    both members. Standard deviations are (genuine, impostor), in units of distance.

    Attributes
    ----------
    name : str
    genuine, impostor : float
        Mean distance between two renders of one face, and of different seeds' unchanged faces.
    threshold : float
        Distances below it are a match.
    slopes : mapping of attribute to distance per unit of `level`
    impostor_share : float
    biases : sequence of Bias
    sd_seed : (float, float)
        Between seeds.
    sd_face : (float, float)
        Between a seed's races and genders.
    sd_residual : (float, float)
    pair_share : float
        Correlation of the residual with how different people find that pair, 0 to 1.
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
    """A question about single faces, answered 0, 1, ..., len(cutpoints).

    Attributes
    ----------
    name : str
    cutpoints : sequence of float
        Logits, rising.
    race, gender : mapping of label to logits
        A label left out has 0.
    slopes : mapping of attribute to logits per unit of `level`
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
    """Annotators and what they see; all effects in logits (graded response).

    P(score >= k) = logistic(discrimination * (alike - severity - cutpoint k)), or, when the
    annotator clicks carelessly, one score in as many as there are. How alike a pair is: `genuine`
    or `impostor`, plus `slopes` times the levels by which its members differ, plus the `biases`
    that match, plus seeds, faces and pair (as of a `System`).

    Attributes
    ----------
    annotators, judgements : int
        How many there are; how many judge each pair, and each face and question.
    cutpoints : sequence of float
        Of the scores 0 (surely different) to len(cutpoints) (surely the same person).
    genuine, impostor : float
    slopes : mapping of attribute to logits per unit of `level`
    biases : sequence of Bias
    sd_seed, sd_face, sd_pair : float
    sd_severity : float
        Between annotators.
    sd_discrimination : float
        Of the annotators' log discrimination, whose mean is 0.
    careless : float
        Probability of a careless click.
    dropout : float
        Share of annotators who leave at some point of their work and answer nothing after it.
    missing : float
        Probability that any other answer is missing.
    missing_slope : float
        Misuse: log odds by which an answer is likelier missing for each logit that the pair is
        more alike (0: missing at random).
    annotator_bias : mapping of race to logits
        Misuse: added to how alike pairs of that race look to `biased_share` of the annotators.
    biased_share : float
    questions : sequence of Question
        Asked of the prototypes, of each attribute's highest level, and of every level of the
        attributes that the question is about (has slopes for).
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
    """Values of the names in their order, 0 for those left out."""
    return np.array([values.get(name, 0.0) for name in names], dtype=float)


def biases_sum(
    biases: Sequence[Bias], pairs: pd.DataFrame, change: np.ndarray, attributes: Sequence[str]
) -> np.ndarray:
    """Sum of the biases that match each pair.

    Parameters
    ----------
    pairs : DataFrame
        Columns `race`, `gender`, `same_identity`.
    change : ndarray (pair, attribute)
        Levels by which the members differ, >= 0.
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
