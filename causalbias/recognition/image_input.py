"""The image input of a network, as its file describes it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalbias.errors import DataError
from causalbias.recognition.embedder import checked_size

# Colour of an image input by its number of channels.
CHANNELS = {1: "grey", 3: "rgb"}
ARCFACE_NORMALISE = (127.5, 127.5)


@dataclass(frozen=True)
class ImageInput:
    """An image input.

    Attributes
    ----------
    batch, channels, height, width : int or None
        Sizes; None if the file does not fix them.
    last : bool
        Whether channels come last: (n, height, width, channels).
    bytes_ : bool
        Whether the network takes bytes, and therefore normalises them itself.
    """

    batch: int | None = None
    channels: int | None = None
    height: int | None = None
    width: int | None = None
    last: bool = False
    bytes_: bool = False

    def laid(self, images: np.ndarray, numbers: Any) -> np.ndarray:
        """Arrange prepared images (n, height, width, channels) as the network takes them."""
        order = (0, 1, 2, 3) if self.last else (0, 3, 1, 2)
        return np.ascontiguousarray(images.transpose(order), numbers)


def read_input(shape: Sequence[Any], bytes_: bool, inputs: str, file: str) -> ImageInput:
    """Read an image input from its shape; sides that are not positive integers are not fixed.

    Parameters
    ----------
    shape : sequence
        Shape as the file gives it.
    bytes_ : bool
        As in `ImageInput`.
    inputs : str
        Description of the network's inputs, for the error.
    file : str
        Name of the file, for the error.

    Raises
    ------
    DataError
        If the shape is not that of images.

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
        if None in (sides[1], sides[3]):  # channels usually come first
            return ImageInput(sides[0], None, sides[2], sides[3], False, bytes_)
    raise DataError(
        f"inputs {inputs}",
        hint="export the network with one input (n, channels, height, width) or (n, height, "
        "width, channels) of floats or bytes, with 1 or 3 channels",
        file=file,
    )


def completed(known: dict[str, Any], taken: ImageInput, file: str) -> dict[str, Any]:
    """Complete the properties of a network by those of its image input.

    Parameters
    ----------
    known : dict
        Properties as the user gave them: `size`, `colour`, `normalise` and others of `Embedder`.
    taken : ImageInput
        Input of the network.
    file : str
        Name of the file, for errors.

    Raises
    ------
    DataError
        If a property contradicts the file, or neither gives the size of the images.

    Examples
    --------
    >>> completed({}, ImageInput(1, 1, 8, 8), "net.onnx")
    {'normalise': (127.5, 127.5), 'size': (8, 8), 'colour': 'grey'}
    """
    size = known.get("size")
    fixed = (taken.height, taken.width)
    if size is None and None in fixed:
        raise DataError(
            "the file does not state the size of its images",
            hint="give size=(height, width)",
            file=file,
        )
    size = checked_size(fixed if size is None else size, file)
    if any(side not in (None, own) for side, own in zip(fixed, size, strict=True)):
        raise DataError(
            f"the network takes images of {fixed[0]} x {fixed[1]}, not of {size[0]} x {size[1]}",
            hint="leave size out",
            file=file,
        )
    usual = CHANNELS[taken.channels or 3]
    colour = known.get("colour", usual)
    if taken.channels is not None and (colour == "grey") != (usual == "grey"):
        raise DataError(
            f"colour {colour!r} does not fit an input of {taken.channels} channels",
            hint="leave colour out",
            file=file,
        )
    if taken.bytes_ and known.get("normalise") is not None:
        raise DataError(
            "the network takes bytes and normalises them itself",
            hint="leave normalise out",
            file=file,
        )
    found = {"size": size, "colour": colour}
    return {"normalise": None if taken.bytes_ else ARCFACE_NORMALISE} | known | found
