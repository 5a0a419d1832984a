"""Align faces: crop an image as a network expects it.

The ArcFace template is that of Deng et al. (2019, CVPR): five points in 112 x 112 pixels.
"""

from functools import partial

import numpy as np

from causalbias.errors import DataError
from causalbias.recognition import dlib_faces
from causalbias.recognition.detection import VERSIONS, find_faces
from causalbias.recognition.embedder import ALIGNMENTS
from causalbias.recognition.images import Decoded, resize

NOT_DETECTED = "face not detected"
NOT_ALIGNED = "landmarks do not fit a face"
# x, y of the left eye (as seen), right eye, nose tip, left and right corner of the mouth.
ARCFACE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
ARCFACE_SIZE = 112
# Versions of the steps below. A change that alters crops must change the key of stored embeddings.
RECIPES = {
    "dlib": "5pt-chip/2",
    "dlib-0.2": "5pt-chip-0.2/1",
    "arcface": "arcface/3",
    "none": "none/2",
    "clip": "clip/1",
}
# Space around the face in dlib's chips, relative to its size. The recognition network was trained
# with 0.25; 0.2 is the default of dlib's C++ code, with which its other networks were trained.
PADDINGS = {"dlib": 0.25, "dlib-0.2": 0.2}
DETECTED = ("dlib", "dlib-0.2", "arcface")  # the alignments for which a face is found first


def recipe(method: str, detector: str) -> str:
    """Return what determines the crop of an image: the alignment, and the detector if one is run.

    Examples
    --------
    >>> recipe("dlib", "hog"), recipe("none", "hog")
    ('dlib-hog+5pt-chip/2', 'none/2')
    """
    return f"{VERSIONS[detector]}+{RECIPES[method]}" if method in DETECTED else RECIPES[method]


def align_face(
    image: np.ndarray, method: str, size: tuple[int, int], detector: str = "hog"
) -> Decoded:
    """Find the face in an image and crop it as a network expects.

    Parameters
    ----------
    image : ndarray of uint8 (height, width, 3)
        RGB image.
    method : {"dlib", "dlib-0.2", "arcface", "clip", "none"}
        "dlib": five landmarks of dlib, dlib's chip (padding 0.25); "dlib-0.2": the same with the
        padding 0.2 of dlib's classifiers of age and gender. "arcface": five points, of the
        detector if it finds them and else from dlib's 68 landmarks, similarity transform to the
        ArcFace template. "clip": as CLIP was trained, the shorter side is resized (bicubic) and the
        middle is used. "none": the image is a crop already, and is only resized.
    size : (height, width)
        Size of the crop in pixels. The proportions of the face are kept: if the template or image
        has other proportions than `size`, its middle part is used.
    detector : {"hog", "cnn", "yunet"}
        Detector of the face: dlib's on histograms of oriented gradients, dlib's network, or
        YuNet. It is not run with the methods "clip" and "none".

    Returns
    -------
    Decoded
        Pixels of shape (*size, 3), or None with the status "face not detected". If there are
        several faces, the largest is used; `faces` is their number and `confidence` the detector's
        score of the one that is used.

    Raises
    ------
    DataError
        If the method or detector is unknown, or its package is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> align_face(np.zeros((64, 64, 3), np.uint8), "dlib", (150, 150)).status
    'face not detected'
    """
    if method not in ALIGNMENTS:
        raise DataError(f"alignment {method!r}", hint=f"use one of {', '.join(ALIGNMENTS)}")
    if method == "clip":
        return Decoded(clip_crop(image, size))
    if method == "none":
        height, width = image.shape[:2]
        middle = middle_of(image, size)
        cut = "" if middle.shape == image.shape else "its middle, "
        note = "" if (height, width) == size else f"{cut}resized from {height} x {width}"
        return Decoded(resize(middle, size), note=note)
    faces = find_faces(image, detector)
    if not faces:
        return Decoded(None, NOT_DETECTED, faces=0)
    face = faces[0]
    note = f"{len(faces)} faces, the largest taken" if len(faces) > 1 else ""
    found = partial(Decoded, note=note, faces=len(faces), confidence=face.confidence)
    if method in PADDINGS:
        chip = dlib_faces.dlib_chip(image, face, max(size), PADDINGS[method])
        return found(resize(middle_of(chip, size), size))
    points = dlib_faces.five_points(image, face) if face.points is None else face.points
    matrix = similarity(points, arcface_template(size))
    if matrix is None:
        return found(None, NOT_ALIGNED)
    return found(warp(image, matrix, size))


def middle_of(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Crop the largest central part of an image (h, w, 3) that has the proportions of a size.

    Examples
    --------
    >>> middle_of(np.zeros((112, 112, 3), np.uint8), (224, 192)).shape
    (112, 96, 3)
    """
    height, width = image.shape[:2]
    high = min(height, max(1, round(width * size[0] / size[1])))
    wide = min(width, max(1, round(height * size[1] / size[0])))
    top, left = (height - high) // 2, (width - wide) // 2
    return image[top : top + high, left : left + wide]


def clip_crop(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Crop an image (h, w, 3), uint8, as OpenAI's code does for CLIP: (*size, 3).

    The shorter side is resized to the longer side of the crop by bicubic interpolation with
    antialiasing (Pillow), and the middle is cropped.

    Examples
    --------
    >>> clip_crop(np.zeros((90, 60, 3), np.uint8), (32, 32)).shape
    (32, 32, 3)
    """
    from PIL import Image

    side, (height, width) = max(size), image.shape[:2]
    short = min(height, width)
    # The longer side is cut to whole pixels, as torchvision does.
    height, width = (side if one == short else int(side * one / short) for one in (height, width))
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
    top, left = round((height - size[0]) / 2), round((width - size[1]) / 2)
    return np.asarray(resized)[top : top + size[0], left : left + size[1]]


def arcface_template(size: tuple[int, int]) -> np.ndarray:
    """Return the five points (5, 2), x y, of the ArcFace template in a crop of another size.

    The points are scaled to the height of the crop and centred in its width. For 112 x 96 they are
    those of SphereFace.

    Raises
    ------
    DataError
        If the crop is too narrow for the points.

    Examples
    --------
    >>> arcface_template((112, 96))[0].round(4).tolist()
    [30.2946, 51.6963]
    """
    scale = size[0] / ARCFACE_SIZE
    points = ARCFACE * scale
    points[:, 0] += (size[1] - ARCFACE_SIZE * scale) / 2
    if points[:, 0].min() < 0 or points[:, 0].max() > size[1] - 1:
        raise DataError(
            f"size {size[0]} x {size[1]} is too narrow for the ArcFace template",
            hint="give a wider size, or align the images yourself and use align='none'",
        )
    return points


def similarity(points: np.ndarray, template: np.ndarray) -> np.ndarray | None:
    """Fit the similarity transform (2, 3) from points (n, 2) to a template (n, 2), least squares.

    The method is that of Umeyama (1991, IEEE TPAMI 13(4)), as implemented in scikit-image. The
    result is None if the points are degenerate.

    Examples
    --------
    >>> matrix = similarity(ARCFACE * 2 + 10, ARCFACE)
    >>> np.allclose(matrix, [[0.5, 0.0, -5.0], [0.0, 0.5, -5.0]])
    True
    """
    from skimage.transform import SimilarityTransform

    found = SimilarityTransform.from_estimate(points, template)
    if not found or not np.isfinite(found.params).all() or np.ptp(points, axis=0).min() == 0:
        return None
    return np.asarray(found.params[:2])


def warp(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Transform an image (h, w, 3), uint8, by an affine map (2, 3) of its pixels.

    The interpolation is bilinear, without antialiasing, as for the crops on which the published
    networks were trained. Pixels outside the image are black.
    """
    from skimage.transform import AffineTransform
    from skimage.transform import warp as warp_pixels

    inverse = AffineTransform(matrix=np.vstack([matrix, [0, 0, 1]])).inverse
    moved = warp_pixels(image, inverse, output_shape=size, order=1, preserve_range=True)
    return np.rint(moved).astype(np.uint8)
