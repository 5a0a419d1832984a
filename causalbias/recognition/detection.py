"""Find faces in an image by one of three published detectors."""

import numpy as np

from causalbias.errors import DataError
from causalbias.recognition.dlib_faces import cnn_faces, hog_faces
from causalbias.recognition.face import Face
from causalbias.recognition.yunet import yunet_faces

FINDERS = {"hog": hog_faces, "cnn": cnn_faces, "yunet": yunet_faces}
# Versions of the detectors. A change that alters boxes must change the key of stored embeddings.
VERSIONS = {"hog": "dlib-hog", "cnn": "dlib-mmod/1", "yunet": "yunet-2023mar-int8bq/1"}


def find_faces(image: np.ndarray, detector: str = "hog") -> list[Face]:
    """Find faces in an image (height, width, 3), uint8; return them with the largest first.

    Every detector searches the image again at twice its size if it finds no face.

    Raises
    ------
    DataError
        If the detector is unknown or not installed.
    """
    if detector not in FINDERS:
        raise DataError(f"detector {detector!r}", hint=f"use one of {', '.join(FINDERS)}")
    return sorted(FINDERS[detector](image), key=lambda face: -face.area)
