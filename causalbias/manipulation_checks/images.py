"""Check images: measures of quality, and near-duplicates."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from causalbias.errors import DataError
from causalbias.recognition.images import decode, read_image, resize

SIDE = 16
NEAR = 6
BLOCK = 2048
OVER, UNDER = 247, 25  # grey values at which ISO/IEC 29794-5 sets over- and under-exposure
LUMA = np.array([0.299, 0.587, 0.114])


def image_scores(images: Mapping[str, object]) -> pd.DataFrame:
    """Measure the quality of images by their grey values (0 to 255), as scores for `leaks`.

    The measures are those of ISO/IEC 29794-5 (face image quality) that need neither a model nor the
    position of the face. They are computed over the entire image, since images of the same face
    are compared, and without the standard's mapping to 0 to 100.

    Parameters
    ----------
    images : mapping of stimulus to path
        The images.

    Returns
    -------
    DataFrame
        `stimulus`, `question`, `score`. "brightness": mean. "contrast": standard deviation (Peli
        1990, *JOSA A* 7(10)). "dynamic range": entropy of the histogram, in bits (0 to 8).
        "over-exposed", "under-exposed": percentage of pixels of at least 247 and of at most 25.
        "sharpness": standard deviation of the Laplacian (square root of the measure of focus of
        Pech-Pacheco et al. 2000, *ICPR*). Images that cannot be read have no rows; they are counted
        as failures to enrol.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from causalbias.io.drawing import png
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "a.png"
    >>> halves = np.zeros((32, 32, 3), np.uint8)
    >>> halves[:, 16:] = 250
    >>> _ = file.write_bytes(png(halves))
    >>> image_scores({"a": file})["score"].round(1).tolist()
    [125.0, 125.0, 1.0, 50.0, 50.0, 64.5]
    """
    rows = []
    for name, grey in _grey(images):
        inner = grey[1:-1, 1:-1]
        laplacian = grey[2:, 1:-1] + grey[:-2, 1:-1] + grey[1:-1, 2:] + grey[1:-1, :-2] - 4 * inner
        whole = np.rint(grey).astype(np.uint8)
        share = np.bincount(whole.ravel()) / whole.size
        entropy = -(share * np.log2(np.where(share > 0, share, 1))).sum() + 0.0
        for question, score in (
            ("brightness", grey.mean()),
            ("contrast", grey.std()),
            ("dynamic range", entropy),
            ("over-exposed", 100 * (whole >= OVER).mean()),
            ("under-exposed", 100 * (whole <= UNDER).mean()),
            ("sharpness", laplacian.std()),
        ):
            rows.append((name, question, float(score)))
    return pd.DataFrame(rows, columns=["stimulus", "question", "score"])


def near_duplicates(images: Mapping[str, object], *, bits: int = NEAR) -> pd.DataFrame:
    """Find pairs of images that are nearly equal.

    Images are compared by difference hashes of 256 bits: in a reduced grey image, each bit is
    whether one of 16 x 16 pixels is darker than its right neighbour.

    Parameters
    ----------
    images : mapping of stimulus to path
        The images.
    bits : int, default 6
        Largest number of differing bits of near-duplicates.

    Returns
    -------
    DataFrame
        `stimulus_a`, `stimulus_b`, `bits` (number of differing bits), `identical` (whether all
        pixels are equal). Near-duplicates of the same seed indicate that a manipulation has almost
        no effect, and those of different seeds that the seeds are not different faces.
    """
    names, signs, content = [], [], []
    for name, grey in _grey(images):
        picture = np.repeat(np.rint(grey)[..., None], 3, 2).astype(np.uint8)
        tones = resize(picture, (SIDE, SIDE + 1))[..., 0].astype(np.int16)
        names.append(name)
        signs.append(np.where(np.diff(tones, axis=1) > 0, 1, -1).ravel())
        content.append(hashlib.sha256(grey.tobytes()).digest())
    bit = np.array(signs, dtype=np.float32)
    rows = []
    for start in range(0, len(names), BLOCK):
        differ = (SIDE * SIDE - bit[start : start + BLOCK] @ bit[start:].T) / 2
        a, b = np.nonzero(differ <= bits)
        for i, j in zip(a[b > a], b[b > a], strict=True):
            one, other = start + i, start + j
            same = content[one] == content[other]
            rows.append((names[one], names[other], int(differ[i, j]), same))
    return pd.DataFrame(rows, columns=["stimulus_a", "stimulus_b", "bits", "identical"])


def _grey(images: Mapping[str, object]) -> Iterator[tuple[str, np.ndarray]]:
    """Read images as grey values (height, width), 0 to 255; skip those that cannot be read."""
    found = 0
    for name, path in images.items():
        if not Path(str(path)).is_file():
            raise DataError("the image does not exist", hint="check the folder", file=str(path))
        pixels = decode(read_image(Path(str(path)))).pixels
        if pixels is not None and min(pixels.shape[:2]) > 2:
            found += 1
            yield name, pixels @ LUMA
    if not found:
        raise DataError("no image can be read", hint="check the folder of images")
