"""Find, read and align the images of a set of faces."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from causalbias.errors import DataError, at_first, shown, user_path
from causalbias.recognition.alignment import NOT_ALIGNED, align_face
from causalbias.recognition.embedder import first_line
from causalbias.recognition.images import (
    BLANK,
    Decoded,
    decode_with_warnings,
    list_files,
    read_image,
    without_warnings,
)
from causalbias.study.columns import labels


def image_files(images: str | Path | Mapping[str, str | Path]) -> tuple[dict[str, Path], str]:
    """Return the images by stimulus, and a description of the other files in their folder."""
    if isinstance(images, str | Path):
        found, others = list_files(images)
        others_text = (
            f"{len(others)} that are no images, such as {others[0].name!r}" if others else ""
        )
        return found, others_text
    if not isinstance(images, Mapping):
        raise DataError(
            f"images of type {type(images).__name__}",
            hint="give a directory, or a mapping of stimulus to path",
        )
    if not images:
        raise DataError("there are no images", hint="give the path of each stimulus")
    names = _stimuli(list(images))
    lost = [
        name
        for name, path in zip(names, images.values(), strict=True)
        if not isinstance(path, str | Path) or not str(path).strip()
    ]
    if lost:
        raise DataError(
            f"{len(lost)} stimuli have no path, such as {lost[0]!r}",
            hint="leave out stimuli that have no image",
        )
    files = {name: user_path(path) for name, path in zip(names, images.values(), strict=True)}
    missing = [path for path in files.values() if not path.is_file()]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(files)} images do not exist",
            hint="correct the paths",
            file=str(missing[0]),
        )
    return files, ""


def _stimuli(given: Sequence[object]) -> list[str]:
    """Names of stimuli as a study writes ids: of 7.0 it is "7", and none is missing."""
    found = labels(pd.Series(given, dtype=object, name="stimulus"), file="images")
    if (gone := found.isna().to_numpy(bool)).any():
        problem = f"{shown(given[int(gone.argmax())])} names no stimulus"
        hint = "leave the image out, or name its stimulus"
        raise at_first(gone, problem, hint=hint, file="images", column="stimulus")
    names = found.astype(str).tolist()
    if len(set(names)) < len(names):
        raise DataError("a stimulus has two images", hint="give each stimulus once")
    return names


def crop_of(content: bytes, method: str, size: tuple[int, int], detector: str = "hog") -> Decoded:
    """Read and align an image file; without a crop, the status gives the reason.

    It may run in a thread; Pillow's warnings are left to the caller (`without_warnings`).
    """
    image = decode_with_warnings(content)
    if image.pixels is None:
        return image
    try:
        crop = align_face(image.pixels, method, size, detector)
    except (RuntimeError, MemoryError) as error:  # dlib fails on some images
        return Decoded(None, NOT_ALIGNED, f"{type(error).__name__}: {first_line(error)}")
    if crop.pixels is not None and (crop.pixels == crop.pixels[0, 0]).all():
        return replace(crop, pixels=None, status=BLANK)
    return replace(crop, note="; ".join(filter(None, [image.note, crop.note])))


def crops_of(
    images: str | Path | Mapping[str, str | Path], align: str, size: tuple[int, int]
) -> np.ndarray:
    """Return the usable crops (n, height, width, 3), uint8, of a set of images."""
    files, _ = image_files(images)
    with without_warnings():
        crops = [crop_of(read_image(path), align, size).pixels for path in files.values()]
    usable = [crop for crop in crops if crop is not None]
    return np.stack(usable) if usable else np.empty((0, *size, 3), np.uint8)
