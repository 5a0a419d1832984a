"""Networks in ONNX files, run by onnxruntime."""

from pathlib import Path
from typing import Any

import numpy as np

from causalbias.errors import DataError
from causalbias.recognition.embedder import Embedder, file_hash, first_line, probed

PROVIDERS = {"cpu": ["CPUExecutionProvider"],
             "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"]}  # fmt: skip
ARCFACE_NORMALISE = (127.5, 127.5)


def onnx_embedder(path: Path, *, name: str, device: str = "cpu", **known: Any) -> Embedder:
    """An embedder from an ONNX file with one image input (n, c, h, w) and one output.

    Parameters
    ----------
    path : Path
    name, device
        As in `embedder`.
    **known
        As in `Embedder`; without them size is read from the file and the rest is ArcFace's.

    Raises
    ------
    DataError
        If onnxruntime is missing, or the file is broken, refers to other files, takes more than an
        image, or gives no finite vectors.
    """
    weights = file_hash(path)
    session = _session(path, device)
    inputs = session.get_inputs()
    try:
        described = [(one.name, one.shape, one.type) for one in inputs]
    except UnicodeDecodeError as error:
        raise DataError(
            f"a name of the input that is not text ({error})",
            mend="export the network with names in UTF-8",
            file=path.name,
        ) from error
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type != "tensor(float)":
        told = ", ".join(f"{name} {shape} {kind}" for name, shape, kind in described)
        raise DataError(
            f"inputs {told}",
            mend="export the network with one float input (n, channels, height, width)",
            file=path.name,
        )
    size = known.pop("size", None) or tuple(inputs[0].shape[2:])
    if not all(isinstance(side, int) for side in size):
        raise DataError("the file leaves the image size open", mend="give size=(height, width)",
                        file=path.name)  # fmt: skip
    defaults = {"normalise": ARCFACE_NORMALISE, "align": "arcface", "metric": "cosine"}

    def forward(images: np.ndarray) -> np.ndarray:
        batch = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32)
        return np.asarray(session.run(None, {inputs[0].name: batch})[0])

    return probed(Embedder(name=name, forward=forward, size=tuple(size), weights=weights,
                           **(defaults | known)))  # fmt: skip


def _session(path: Path, device: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise DataError(
            "onnxruntime is not installed", mend="pip install 'causalbias[recognition]'"
        ) from error
    if device not in PROVIDERS:
        raise DataError(f"device {device!r}", mend=f"use one of {', '.join(PROVIDERS)}")
    if PROVIDERS[device][0] not in onnxruntime.get_available_providers():
        raise DataError("this onnxruntime has no CUDA", mend="pip install onnxruntime-gpu")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only, and those are raised
    try:
        # From bytes, so that the file cannot point to other files.
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=PROVIDERS[device])
    except Exception as error:  # onnxruntime's errors have no common base
        raise DataError(
            f"not a readable ONNX file ({first_line(error)})",
            mend="export the network again, weights within the one file",
            file=path.name,
        ) from error
