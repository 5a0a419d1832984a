"""Embedders: a function from images to embeddings, with its properties as data."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from causalbias.arguments import flag_in
from causalbias.errors import DataError
from causalbias.io.memory import check_file

COLOURS = ("rgb", "bgr", "grey")
METRICS = ("euclidean", "cosine")
ALIGNMENTS = ("dlib", "dlib-0.2", "arcface", "clip", "none")
DETECTORS = ("hog", "cnn", "yunet")
# Version of the preparation below. A change that alters embeddings must change every fingerprint.
RECIPE = 2
Level = float | tuple[float, ...]
Forward = Callable[[np.ndarray], np.ndarray]
# Batch sizes that are tried if a program does not state the size for which it was made.
BATCHES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 64)
# Tolerances relative to the largest number in an embedding: for the same batch run again, and for
# an image run in another batch, for which the runtime may use another algorithm or half precision.
REPEATED, BESIDE = 1e-5, 1e-2

HINT = "check size, colour and architecture against what the network was trained with"


@dataclass(frozen=True)
class Embedder:
    """A network, or any other function from face images to vectors, with its properties.

    Attributes
    ----------
    name : str
        Name of the system in a study.
    forward : callable
        Function that takes the prepared batch (n, height, width, channels), uint8 if `normalise`
        is None and float32 otherwise, and returns (n, features).
    size : (height, width)
        Size of the images in pixels.
    weights : str
        Hash that identifies the function: two embedders with the same hash and preparation give
        the same embeddings.
    colour : {"rgb", "bgr", "grey"}
        Order of the channels; "grey" has one channel.
    normalise : (mean, scale) or None
        A pixel p from 0 to 255 is transformed to ``(p - mean) / scale``; mean and scale are numbers
        or have one number per channel. Means and standard deviations that were published for
        pixels from 0 to 1 must be multiplied by 255.
    unit : bool
        Whether each embedding is divided by its length.
    align : {"dlib", "dlib-0.2", "arcface", "clip", "none"}
        Alignment of the images on which the network was trained; see `align_face`.
    detector : {"hog", "cnn", "yunet"}
        Detector that finds the faces for the alignment; see `align_face`.
    metric : {"euclidean", "cosine"}
        Distance between embeddings; "cosine" is 1 minus the cosine.
    threshold : float
        Published threshold of the distance, at or below which two faces match; NaN if none.

    Examples
    --------
    >>> import numpy as np
    >>> mean = Embedder("mean", lambda x: x.mean((1, 2)), size=(8, 8), weights="mean-1")
    >>> mean(np.full((2, 8, 8, 3), 7, np.uint8)).tolist()
    [[7.0, 7.0, 7.0], [7.0, 7.0, 7.0]]
    """

    name: str
    forward: Forward
    size: tuple[int, int]
    weights: str
    colour: str = "rgb"
    normalise: tuple[Level, Level] | None = None
    unit: bool = False
    align: str = "none"
    detector: str = "hog"
    metric: str = "euclidean"
    threshold: float = math.nan

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip() or not self.weights:
            raise DataError(
                "the embedder has no name or no hash of its weights", hint="give both, as text"
            )
        flag_in(self.unit, "unit")
        for what, value, known in (
            ("colour", self.colour, COLOURS),
            ("metric", self.metric, METRICS),
            ("align", self.align, ALIGNMENTS),
            ("detector", self.detector, DETECTORS),
        ):
            if value not in known:
                raise DataError(
                    f"{what} {value!r}", hint=f"use one of {', '.join(known)}", file=self.name
                )
        if not isinstance(self.threshold, int | float | np.number):
            raise DataError(f"threshold {self.threshold!r}", hint="give a number", file=self.name)
        object.__setattr__(self, "size", checked_size(self.size, self.name))
        if self.normalise is not None:
            _check_normalise(self.normalise, 1 if self.colour == "grey" else 3, self.name)

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of everything that determines embeddings: weights and preparation."""
        recipe = [RECIPE, self.weights, list(self.size), self.colour, self.unit]
        if self.normalise is not None:
            recipe += [np.asarray(part, float).tolist() for part in self.normalise]
        return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Compute embeddings (n, features), float32, of RGB images (n, height, width, 3), uint8.

        Raises
        ------
        DataError
            If the images have another size, or `forward` does not return a finite vector for each.
        """
        found = self.vectors(images)
        if not np.isfinite(found).all():
            bad = int((~np.isfinite(found).all(axis=1)).sum())
            raise DataError(
                f"{bad} of {len(found)} embeddings are not finite",
                hint="check the weights and the normalisation",
                file=self.name,
            )
        return found

    def vectors(self, images: np.ndarray) -> np.ndarray:
        """Compute embeddings as by calling the embedder, but allow numbers that are not finite.

        Raises
        ------
        DataError
            If the images have another size, or `forward` fails or does not return one vector each.
        """
        wanted = (*self.size, 3)
        if images.ndim != 4 or images.shape[1:] != wanted or images.dtype != np.uint8:
            raise DataError(
                f"images {images.shape} of {images.dtype}",
                hint=f"give uint8 of shape (n, {', '.join(map(str, wanted))})",
                file=self.name,
            )
        prepared = prepare(images, self.colour, self.normalise)
        with translated(self.name, f"an image of {self.size[0]} x {self.size[1]}"):
            # The callers check whether embeddings are finite, so that overflow needs no warning.
            with np.errstate(over="ignore", invalid="ignore"):
                found = np.asarray(self.forward(prepared))
                rows = as_rows(found, len(images), self.name)
                long = rows.astype(np.float64)
            vectors = unit_length(long) if self.unit else long
            with np.errstate(over="ignore"):
                return vectors.astype(np.float32)


def as_rows(found: np.ndarray, n: int, name: str) -> np.ndarray:
    """Reshape the output of a network for n images to (n, features).

    Raises
    ------
    DataError
        If there is not one vector per image.

    Examples
    --------
    >>> as_rows(np.zeros((2, 5, 1, 1)), 2, "net").shape
    (2, 5)
    """
    long = [side for side in found.shape[1:] if side > 1]
    vectors = found.ndim > 1 and len(found) == n and len(long) < 2 and 0 not in found.shape[1:]
    if not vectors or found.dtype.kind not in "fiu":
        raise DataError(
            f"embeddings {found.shape} of {found.dtype} for {n} images",
            hint="the network must return numbers of shape (images, features)",
            file=name,
        )
    return found.reshape(n, int(np.prod(found.shape[1:])))


@contextmanager
def translated(name: str, given: str, hint: str = HINT) -> Iterator[None]:
    """Translate the errors of other runtimes to DataError.

    Parameters
    ----------
    name : str
        Name of the system or file.
    given : str
        Description of the input.
    hint : str
        Hint of the error.
    """
    try:
        yield
    except DataError:
        raise
    except ImportError as error:
        raise DataError(
            f"{error.name or 'a package'} is not installed",
            hint="pip install 'causalbias[recognition]'",
            file=name,
        ) from error
    except MemoryError as error:
        raise DataError(
            f"memory does not suffice for {given}",
            hint="give a smaller batch",
            file=name,
        ) from error
    except Exception as error:  # other runtimes raise errors of many types
        raise DataError(
            f"it fails on {given} ({type(error).__name__}: {first_line(error)})",
            hint=hint,
            file=name,
        ) from error


def checked_size(size: Any, name: str) -> tuple[int, int]:
    """Check that a size is (height, width) in whole numbers, and return it.

    Raises
    ------
    DataError
        If it is not.
    """
    sides = np.asarray(size)
    if sides.shape != (2,) or sides.dtype.kind not in "iu" or sides.min() < 1:
        raise DataError(f"size {size}", hint="give (height, width) in pixels", file=name)
    return int(sides[0]), int(sides[1])


def _check_normalise(normalise: Any, channels: int, name: str) -> None:
    hint = "give (mean, scale) for pixels from 0 to 255, each a number or one number per channel"
    try:
        mean, scale = (np.asarray(part, float) for part in normalise)
    except (TypeError, ValueError) as error:
        raise DataError(f"normalise {normalise!r}", hint=hint, file=name) from error
    for part in (mean, scale):
        if part.shape not in ((), (1,), (channels,)) or not np.isfinite(part).all():
            raise DataError(f"normalise {normalise!r}", hint=hint, file=name)
    if scale.min() < 1:
        raise DataError(
            f"normalise {normalise!r}: a scale below 1 is for pixels from 0 to 1",
            hint="multiply mean and scale by 255",
            file=name,
        )


def prepare(images: np.ndarray, colour: str, normalise: tuple[Level, Level] | None) -> np.ndarray:
    """Convert RGB images (n, h, w, 3), uint8, to the channels and scale of a network.

    Grey is the rounded luma of ITU-R BT.601, as in Pillow and in dlib's training data.
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
    """Divide vectors (..., d) by their Euclidean length; zero vectors stay zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)


def file_hash(path: Path) -> str:
    """Compute the SHA-256 of a file of weights.

    Raises
    ------
    DataError
        If the file does not exist, is empty, or does not fit into memory.
    """
    if not path.is_file():
        raise DataError("no such file", hint="check the path", file=str(path))
    if path.stat().st_size == 0:
        raise DataError("the file is empty", hint="fetch it again", file=path.name)
    check_file(path, times=3)  # its bytes, the graph, and the weights
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def probed(embedder: Embedder, batch: int | None = None) -> Embedder:
    """Test an embedder with random images, and return it with a function for batches of any size.

    Parameters
    ----------
    embedder : Embedder
        The embedder to test.
    batch : int, optional
        Number of images that its function takes at a time; 0 for any number. By default it is
        found by trial.

    Raises
    ------
    DataError
        If the embeddings are not finite, or differ when the images are embedded again.
    """
    noise = np.random.default_rng(0).integers(0, 256, (2, *embedder.size, 3), np.uint8)
    if batch is None:
        batch = _batch_of(embedder, noise)
    if batch:
        embedder = replace(embedder, forward=in_batches(embedder.forward, batch, embedder.name))
    check_steady(embedder, noise, embedder(noise))
    return embedder


def _batch_of(embedder: Embedder, images: np.ndarray) -> int:
    """Find by trial how many images the function takes at a time; 0 for any number."""

    def fails(n: int) -> DataError | None:
        try:
            embedder.vectors(np.resize(images, (n, *images.shape[1:])))
        except DataError as error:
            return error
        return None

    alone = fails(1)
    if alone is None:
        return 0 if fails(2) is None else 1
    found = next((n for n in BATCHES[1:] if fails(n) is None), None)
    if found is None:
        raise alone
    return found


def in_batches(run: Forward, size: int, name: str) -> Forward:
    """Make a function of any number of rows from a function that takes `size` rows at a time.

    The last batch is filled up with copies of its last row, whose results are dropped.

    Examples
    --------
    >>> run = in_batches(lambda x: x.reshape(4, -1) * 2, 4, "doubles")
    >>> run(np.arange(6.0)[:, None]).ravel().tolist()
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    """

    def forward(rows: np.ndarray) -> np.ndarray:
        parts: list[np.ndarray] = []
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            short = size - len(part)
            found = np.asarray(run(np.concatenate([part, np.repeat(part[-1:], short, axis=0)])))
            if len(np.atleast_1d(found)) != size or (
                parts and found.shape[1:] != parts[0].shape[1:]
            ):
                raise DataError(
                    f"the network returns shape {found.shape} for a batch of {size}",
                    hint="export the network for a batch of one, or of any size",
                    file=name,
                )
            parts.append(found[: size - short])
        return np.concatenate(parts)

    return forward


def check_steady(embedder: Embedder, images: np.ndarray, found: np.ndarray) -> None:
    """Check that the embedding of an image depends on nothing but the image.

    Parameters
    ----------
    embedder : Embedder
        The embedder to check.
    images : ndarray of uint8 (n, height, width, 3)
        Images that have been embedded.
    found : ndarray of float32 (n, features)
        Embeddings that `vectors` computed for them, possibly in a batch with other images.

    Raises
    ------
    DataError
        If the images have other embeddings when they are embedded again, in reverse order or
        without other images, or if an image that is twice in a batch has two embeddings.
    """
    backwards, again = embedder.vectors(images[::-1]), embedder.vectors(images[::-1])
    twin = embedder.vectors(np.repeat(images[:1], 2, axis=0))
    if _differ(backwards, again, REPEATED) or _differ(twin[0], twin[1], REPEATED):
        raise DataError(
            "an image has two embeddings: the network draws noise, or keeps a state from one image "
            "to the next, so that differences are not caused by the images alone",
            hint="export it in evaluation mode (model.eval()), without random layers",
            file=embedder.name,
        )
    if _differ(found, backwards[::-1], BESIDE) or _differ(found[0], twin[0], BESIDE):
        raise DataError(
            "the embedding of an image depends on the other images of the batch",
            hint="export the network in evaluation mode (model.eval())",
            file=embedder.name,
        )


def _differ(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    """Whether vectors differ by more than rounding errors; non-finite values must be the same."""
    if a.shape != b.shape or not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return True
    known = np.isfinite(a)
    scale = float(np.abs(a[known]).max(initial=0))
    return bool((np.abs(a[known] - b[known].astype(float)) > tolerance * scale).any())


def first_line(error: Exception) -> str:
    """Return the line of an error's message that describes it: the first, or TorchScript's last."""
    lines = (str(error).strip() or "no words").splitlines()
    return lines[-1 if "TorchScript interpreter" in lines[0] else 0][:300]
