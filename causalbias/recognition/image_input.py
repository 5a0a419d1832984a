"""The image input of a program in a file: what the file says of it, and what follows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalbias.errors import DataError
from causalbias.recognition.embedder import checked_size

# Channels of an image input, and the colour they stand for.
CHANNELS = {1: "grey", 3: "rgb"}
ARCFACE_NORMALISE = (127.5, 127.5)


@dataclass(frozen=True)
class ImageInput:
    """One image input.

    Attributes
    ----------
    batch, channels, height, width : int or None
        None where the file leaves it open.
    last : bool
        Whether channels come last: (n, height, width, channels).
    bytes_ : bool
        Whether it takes bytes, and so normalises them itself.
    """

    batch: int | None = None
    channels: int | None = None
    height: int | None = None
    width: int | None = None
    last: bool = False
    bytes_: bool = False

    def laid(self, images: np.ndarray, numbers: Any) -> np.ndarray:
        """Prepared images (n, height, width, channels) as the program takes them."""
        order = (0, 1, 2, 3) if self.last else (0, 3, 1, 2)
        return np.ascontiguousarray(images.transpose(order), numbers)


def read_input(shape: Sequence[Any], bytes_: bool, told: str, file: str) -> ImageInput:
    """The image input of a shape; sides that are no whole numbers from 1 are open.

    Parameters
    ----------
    shape : sequence
        As the file gives it.
    bytes_ : bool
        As in `ImageInput`.
    told : str
        The program's inputs in words, for the error.
    file : str

    Raises
    ------
    DataError
        If the shape is no image's.

    Examples
    --------
    >>> read_input([1, 112, 96, 3], False, "x", "net.onnx")
    ImageInput(batch=1, channels=3, height=112, width=96, last=True, bytes_=False)
    """
    sides = [side if isinstance(side, int) and side > 0 else None for side in shape]
    if len(sides) == 4:
        for places, last in (((0, 1, 2, 3), False), ((0, 3, 1, 2), True)):
            batch, channels, height, width = (sides[place] for place in places)
            if channels in CHANNELS:
                return ImageInput(batch, channels, height, width, last, bytes_)
        if None in (sides[1], sides[3]):  # nothing but habit says where channels are
            return ImageInput(sides[0], None, sides[2], sides[3], False, bytes_)
    raise DataError(
        f"inputs {told}",
        hint="export the network with one input (n, channels, height, width) or (n, height, "
        "width, channels) of floats or bytes, with 1 or 3 channels",
        file=file,
    )


def completed(known: dict[str, Any], taken: ImageInput, file: str) -> dict[str, Any]:
    """What is known of a network, completed by what its file says of the input.

    Parameters
    ----------
    known : dict
        As in `Embedder`: `size`, `colour`, `normalise` and others, as the user gave them.
    taken : ImageInput
    file : str

    Raises
    ------
    DataError
        If the file says otherwise, or leaves open a size that is not given.

    Examples
    --------
    >>> completed({}, ImageInput(1, 1, 8, 8), "net.onnx")
    {'normalise': (127.5, 127.5), 'size': (8, 8), 'colour': 'grey'}
    """
    size = known.get("size")
    fixed = (taken.height, taken.width)
    if size is None and None in fixed:
        raise DataError(
            "the file does not say what size of image it takes",
            hint="give size=(height, width)",
            file=file,
        )
    size = checked_size(fixed if size is None else size, file)
    if any(side not in (None, own) for side, own in zip(fixed, size, strict=True)):
        raise DataError(
            f"it takes images of {fixed[0]} x {fixed[1]}, not of {size[0]} x {size[1]}",
            hint="leave size out",
            file=file,
        )
    usual = CHANNELS[taken.channels or 3]
    colour = known.get("colour", usual)
    if taken.channels is not None and (colour == "grey") != (usual == "grey"):
        raise DataError(
            f"colour {colour!r} for an input of {taken.channels} channels",
            hint="leave colour out",
            file=file,
        )
    if taken.bytes_ and known.get("normalise") is not None:
        raise DataError(
            "it takes bytes, and normalises them itself", hint="leave normalise out", file=file
        )
    found = {"size": size, "colour": colour}
    return {"normalise": None if taken.bytes_ else ARCFACE_NORMALISE} | known | found
