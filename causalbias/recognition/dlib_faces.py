"""Face detector, landmarks, crops and recognition network of dlib.

The weights are files of the package face_recognition_models. That package is not imported, because
it needs ``pkg_resources``, which recent versions of setuptools do not provide.
"""

from functools import cache
from typing import Any

import numpy as np

from causalbias.errors import DataError
from causalbias.recognition.embedder import Embedder, file_hash, first_line
from causalbias.recognition.face import Face
from causalbias.recognition.threads import lent
from causalbias.recognition.weight_files import HINT, weight_file

WEIGHTS = "face_recognition_models"
NETWORK = "dlib_face_recognition_resnet_model_v1.dat"
FIVE_POINTS = "shape_predictor_5_face_landmarks.dat"
CNN_DETECTOR = "mmod_human_face_detector.dat"
SIXTY_EIGHT_POINTS = "shape_predictor_68_face_landmarks.dat"
CHIP = 150
# According to the network's author, the threshold 0.6 gives an accuracy of 99.38% on Labeled Faces
# in the Wild (dlib's example dnn_face_recognition_ex.cpp).
THRESHOLD = 0.6


def dlib_embedder(name: str = "dlib") -> Embedder:
    """Make an embedder from dlib's face recognition ResNet.

    It takes 150 x 150 RGB crops and returns 128 features, which are compared by the Euclidean
    distance with the threshold 0.6.

    Raises
    ------
    DataError
        If dlib or the weights are not installed.
    """
    path = weight_file(WEIGHTS, NETWORK)

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


def hog_faces(image: np.ndarray) -> list[Face]:
    """Find frontal faces in an image (h, w, 3), uint8, by histograms of oriented gradients.

    If no face is found, the image is searched again at twice its size, for faces of less than 80
    pixels. The confidence is the distance from the detector's margin, above 0.
    """
    with _hog() as detector:
        for times in (0, 1):
            boxes, scores, _ = detector.run(image, times, 0.0)
            if boxes:
                break
    return [_face(box, score) for box, score in zip(boxes, scores, strict=True)]


def cnn_faces(image: np.ndarray) -> list[Face]:
    """Find faces in an image (h, w, 3), uint8, by dlib's convolutional network (King 2015).

    It finds more faces that are turned or partly hidden than `hog_faces`, and takes about 30 times
    as long. If no face is found, the image is searched again at twice its size.
    """
    with _cnn() as detector:
        found = list(detector(image, 0)) or list(detector(image, 1))
    return [_face(one.rect, one.confidence) for one in found]


def _face(box: Any, score: float) -> Face:
    return Face((box.left(), box.top(), box.right(), box.bottom()), float(score))


def _rectangle(face: Face) -> Any:
    return _dlib().rectangle(*(round(side) for side in face.box))


def five_points(image: np.ndarray, face: Face) -> np.ndarray:
    """Return the centres of both eyes, the tip of the nose and the corners of the mouth: (5, 2).

    The points are x, y, with those on the left of the image first. They are computed from dlib's
    68 landmarks (the iBUG 300-W scheme).
    """
    shape = _predictor(SIXTY_EIGHT_POINTS)(image, _rectangle(face))
    points = np.array([(point.x, point.y) for point in shape.parts()], float)
    return np.array(
        [points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]]
    )


def dlib_chip(image: np.ndarray, face: Face, size: int, padding: float) -> np.ndarray:
    """Crop a face by dlib, (size, size, 3), aligned by the corners of the eyes and the nose.

    The padding is the space on each side, relative to the size of the face.
    """
    import dlib

    shape = _predictor(FIVE_POINTS)(image, _rectangle(face))
    return np.asarray(dlib.get_face_chip(image, shape, size=size, padding=padding))


def _dlib() -> Any:
    try:
        import dlib
    except ImportError as error:
        raise DataError("dlib is not installed", hint=HINT) from error
    return dlib


@cache
def _network() -> Any:
    return _loaded(_dlib().face_recognition_model_v1, NETWORK)


@lent
def _hog() -> Any:
    return _dlib().get_frontal_face_detector()


@lent
def _cnn() -> Any:
    return _loaded(_dlib().cnn_face_detection_model_v1, CNN_DETECTOR)


@cache
def _predictor(name: str) -> Any:
    return _loaded(_dlib().shape_predictor, name)


def _loaded(reader: Any, name: str) -> Any:
    try:
        return reader(str(weight_file(WEIGHTS, name)))
    except RuntimeError as error:
        raise DataError(
            f"dlib cannot read the file ({first_line(error)})",
            hint="install face_recognition_models again",
            file=name,
        ) from error
