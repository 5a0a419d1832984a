"""Networks in ONNX files, run by onnxruntime."""

from pathlib import Path
from typing import Any

import numpy as np

from causalbias.errors import DataError
from causalbias.recognition.embedder import Embedder, file_hash, first_line, probed
from causalbias.recognition.image_input import ImageInput, completed, read_input

PROVIDERS = {
    "cpu": ["CPUExecutionProvider"],
    "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"],
}
TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}


def onnx_embedder(path: Path, *, name: str, device: str = "cpu", **known: Any) -> Embedder:
    """Make an embedder from an ONNX file with one image input and one output.

    The input may be (n, c, h, w) or (n, h, w, c), of floats of any precision or of bytes (which
    are not normalised), for batches of any size or of one image.

    Parameters
    ----------
    path : Path
        The file.
    name, device
        As in `embedder`.
    **known
        Properties as in `Embedder`. By default the size, and grey for one channel, are read from
        the file, and the others are those of ArcFace.

    Raises
    ------
    DataError
        If onnxruntime is not installed; if the file is damaged or refers to other files; if its
        network has other inputs than an image of the given size, returns several tensors or no
        finite vectors, or draws noise.
    """
    weights = file_hash(path)
    session = _session(path, device)
    name_of_input, numbers, taken = _image_input(session, path.name)
    options = {"align": "arcface", "metric": "cosine"} | completed(known, taken, path.name)

    def forward(images: np.ndarray) -> np.ndarray:
        return session.run(None, {name_of_input: taken.laid(images, numbers)})[0]

    return probed(Embedder(name=name, forward=forward, weights=weights, **options), taken.batch)


def _image_input(session: Any, file: str) -> tuple[str, Any, ImageInput]:
    """Return name, type and shape of the input.

    Raises
    ------
    DataError
        If the network does not have a single image as input and a single tensor as output.
    """
    inputs, outputs = session.get_inputs(), session.get_outputs()
    try:
        inputs_, given = (
            ", ".join(f"{one.name} {one.shape} {one.type}" for one in every)
            for every in (inputs, outputs)
        )
    except UnicodeDecodeError as error:
        raise DataError(
            f"a name of an input or output is not text ({error})",
            hint="export the network with names in UTF-8",
            file=file,
        ) from error
    first = inputs[0] if len(inputs) == 1 and inputs[0].type in TYPES else None
    numbers = None if first is None else TYPES[first.type]
    shape = [] if first is None else first.shape
    taken = read_input(shape, numbers is np.uint8, inputs_, file)
    if len(outputs) != 1:
        raise DataError(
            f"the network has {len(outputs)} outputs: {given}",
            hint="export the network with the embedding as its only output",
            file=file,
        )
    return inputs[0].name, numbers, taken


def _session(path: Path, device: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise DataError(
            "onnxruntime is not installed", hint="pip install 'causalbias[recognition]'"
        ) from error
    if device not in PROVIDERS:
        raise DataError(f"device {device!r}", hint=f"use one of {', '.join(PROVIDERS)}")
    if PROVIDERS[device][0] not in onnxruntime.get_available_providers():
        raise DataError("this onnxruntime has no CUDA", hint="pip install onnxruntime-gpu")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised, so that they need not be logged
    try:
        # The session is made from bytes, so that the file cannot refer to other files.
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=PROVIDERS[device])
    except Exception as error:  # onnxruntime's errors have no common base
        raise DataError(
            f"not a readable ONNX file ({first_line(error)})",
            hint="fetch it again, or export the network again, with weights in the same file "
            "and operators that onnxruntime supports",
            file=path.name,
        ) from error
