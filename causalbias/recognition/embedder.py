"""The protocol of an embedder: images in, embeddings out, and what is known of it as data."""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from causalbias.errors import DataError
from causalbias.memory import check_file

COLOURS = ("rgb", "bgr", "grey")
METRICS = ("euclidean", "cosine")
ALIGNMENTS = ("dlib", "arcface", "none")
# Of the preparation below: a change that moves embeddings must change every fingerprint.
RECIPE = 1
Level = float | tuple[float, ...]


@dataclass(frozen=True)
class Embedder:
    """A network, or anything that turns face images into vectors.

    Attributes
    ----------
    name : str
        What the system is called in a study.
    forward : callable
        Takes the prepared batch, (n, height, width, channels): uint8 where `normalise` is None,
        else float32. Returns (n, features).
    size : (height, width)
        Of the images it takes, in pixels.
    weights : str
        Hash that stands for the function: two embedders of one hash give the same vectors.
    colour : {"rgb", "bgr", "grey"}
        Order of the channels; grey has one.
    normalise : (mean, scale) or None
        A pixel p of 0 to 255 enters as ``(p - mean) / scale``; each one number or one a channel.
    unit : bool
        Divide each embedding by its length.
    align : {"dlib", "arcface", "none"}
        The crop it was trained on; see `align_face`.
    metric : {"euclidean", "cosine"}
        Distance between embeddings; cosine is one minus the cosine.
    threshold : float
        Published operating threshold on that distance, below which two faces match; NaN if none.

    Examples
    --------
    >>> import numpy as np
    >>> mean = Embedder("mean", lambda x: x.mean((1, 2)), size=(8, 8), weights="mean-1")
    >>> mean(np.full((2, 8, 8, 3), 7, np.uint8)).tolist()
    [[7.0, 7.0, 7.0], [7.0, 7.0, 7.0]]
    """

    name: str
    forward: Callable[[np.ndarray], np.ndarray]
    size: tuple[int, int]
    weights: str
    colour: str = "rgb"
    normalise: tuple[Level, Level] | None = None
    unit: bool = False
    align: str = "none"
    metric: str = "euclidean"
    threshold: float = math.nan

    def __post_init__(self) -> None:
        for what, value, known in (
            ("colour", self.colour, COLOURS),
            ("metric", self.metric, METRICS),
            ("align", self.align, ALIGNMENTS),
        ):
            if value not in known:
                raise DataError(
                    f"{what} {value!r}", mend=f"use one of {', '.join(known)}", file=self.name
                )
        if not self.name.strip() or not self.weights:
            raise DataError("an embedder without a name or weights' hash", mend="give both")
        if len(self.size) != 2 or min(self.size) < 1:
            raise DataError(
                f"size {self.size}", mend="give (height, width) in pixels", file=self.name
            )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that bears on an embedding: weights and preparation, not the name."""
        recipe = [RECIPE, self.weights, list(self.size), self.colour, self.unit]
        if self.normalise is not None:
            recipe += [np.asarray(part, float).tolist() for part in self.normalise]
        return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Embeddings (n, features), float32, of images (n, height, width, 3), uint8, RGB.

        Raises
        ------
        DataError
            If the images are not of its size, or what it returns is not one finite vector each.
        """
        wanted = (*self.size, 3)
        if images.ndim != 4 or images.shape[1:] != wanted or images.dtype != np.uint8:
            raise DataError(
                f"images {images.shape} of {images.dtype}",
                mend=f"give uint8 of shape (n, {', '.join(map(str, wanted))})",
                file=self.name,
            )
        found = np.asarray(self.forward(prepare(images, self.colour, self.normalise)))
        if found.ndim != 2 or len(found) != len(images) or found.dtype.kind not in "fiu":
            raise DataError(
                f"embeddings {found.shape} of {found.dtype} for {len(images)} images",
                mend="the network must return numbers of shape (images, features)",
                file=self.name,
            )
        found = found.astype(np.float32)
        if not np.isfinite(found).all():
            bad = int((~np.isfinite(found).all(axis=1)).sum())
            raise DataError(
                f"{bad} of {len(found)} embeddings are not finite",
                mend="check the weights and the normalisation",
                file=self.name,
            )
        return unit_length(found) if self.unit else found


def prepare(images: np.ndarray, colour: str, normalise: tuple[Level, Level] | None) -> np.ndarray:
    """Images (n, h, w, 3), RGB uint8, in the colour order and scale of a network.

    Grey is ITU-R 601 luma, rounded, as in Pillow and dlib's training data.
    """
    if colour == "bgr":
        images = images[..., ::-1]
    elif colour == "grey":
        luma = images.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
        images = np.rint(luma).astype(np.uint8)[..., None]
    if normalise is None:
        return np.ascontiguousarray(images)
    mean, scale = (np.asarray(part, np.float32) for part in normalise)
    return np.ascontiguousarray((images.astype(np.float32) - mean) / scale)


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., d) divided by their Euclidean length; a zero vector stays one."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)


def file_hash(path: Path) -> str:
    """SHA-256 of a file of weights.

    Raises
    ------
    DataError
        If there is no such file, it is empty, or memory will not hold it.
    """
    if not path.is_file():
        raise DataError("no such file", mend="check the path", file=str(path))
    if path.stat().st_size == 0:
        raise DataError("the file is empty", mend="fetch it again", file=path.name)
    check_file(path, times=3)  # its bytes, the graph, and its weights laid out
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def probed(embedder: Embedder) -> Embedder:
    """The embedder, once it has turned a test image into a finite vector.

    Raises
    ------
    DataError
        Naming the embedder, if it cannot.
    """
    noise = np.random.default_rng(0).integers(0, 256, (1, *embedder.size, 3), np.uint8)
    try:
        embedder(noise)
    except DataError:
        raise
    except Exception as error:  # whatever a foreign runtime raises
        raise DataError(
            f"it fails on an image of {embedder.size[0]} x {embedder.size[1]} "
            f"({type(error).__name__}: {first_line(error)})",
            mend="check size, colour and architecture against what the network was trained with",
            file=embedder.name,
        ) from error
    return embedder


def first_line(error: Exception) -> str:
    """The first line of an error's words, for use within another."""
    return (str(error).strip() or "no words").splitlines()[0][:300]
