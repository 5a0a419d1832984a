"""Networks in ONNX files, run by onnxruntime."""

from pathlib import Path
from typing import Any

import numpy as np

from causalbias.errors import DataError
from causalbias.recognition.embedder import Embedder, file_hash, first_line, probed
from causalbias.recognition.image_input import ImageInput, completed, read_input
from causalbias.recognition.weight_files import HINT

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


def onnx_embedder(
    path: Path, *, name: str, device: str = "cpu", output: str | int | None = None, **known: Any
) -> Embedder:
    """Make an embedder from an ONNX file whose only input is an image.

    The input may be (n, c, h, w) or (n, h, w, c), of floats of any precision or of bytes (which
    are not normalised), for batches of any or of a fixed size. Weights among the inputs, and
    inputs that no node reads, as quantisation leaves them behind, are no obstacle.

    Parameters
    ----------
    path : Path
        The file.
    name, device, output
        As in `embedder`.
    **known
        Properties as in `Embedder`. By default the size, and grey for one channel, are read from
        the file, and the others are those of ArcFace.

    Raises
    ------
    DataError
        If onnxruntime is not installed; if the file is damaged or refers to other files; if its
        network has other inputs than an image of the given size, returns several tensors of which
        none is chosen, or no finite vectors, or draws noise.
    """
    weights = file_hash(path)
    session = _session(path, device)
    name_of_input, numbers, taken = _image_input(session, path.name)
    chosen = _output(session, output, path.name)
    options = {"align": "arcface", "metric": "cosine"} | completed(known, taken, path.name)

    def forward(images: np.ndarray) -> np.ndarray:
        return session.run([chosen], {name_of_input: taken.laid(images, numbers)})[0]

    recipe = weights if output is None else f"{weights} {chosen}"
    return probed(Embedder(name=name, forward=forward, weights=recipe, **options), taken.batch)


def _image_input(session: Any, file: str) -> tuple[str, Any, ImageInput]:
    """Return name, type and shape of the input.

    Raises
    ------
    DataError
        If the network does not have a single image as input.
    """
    inputs = session.get_inputs()
    described = _described(inputs, file)
    first = inputs[0] if len(inputs) == 1 and inputs[0].type in TYPES else None
    numbers = None if first is None else TYPES[first.type]
    shape = [] if first is None else first.shape
    return inputs[0].name, numbers, read_input(shape, numbers is np.uint8, described, file)


def _output(session: Any, output: str | int | None, file: str) -> str:
    """Return the name of the output that is the embedding.

    Raises
    ------
    DataError
        If there are several and none is chosen, or the chosen one does not exist.
    """
    outputs = session.get_outputs()
    described = _described(outputs, file)
    names = [str(one.name) for one in outputs]
    if output is None and len(names) == 1:
        return names[0]
    if isinstance(output, str) and output in names:
        return output
    if isinstance(output, int) and 0 <= output < len(names):
        return names[output]
    asked = "" if output is None else f", and none is {output!r}"
    raise DataError(
        f"the network has {len(names)} outputs{asked}: {described}",
        hint=f"name the embedding, e.g. output={names[0]!r}",
        file=file,
    )


def _described(several: Any, file: str) -> str:
    """Describe inputs or outputs by name, shape and type."""
    try:
        return ", ".join(f"{one.name} {one.shape} {one.type}" for one in several)
    except UnicodeDecodeError as error:
        raise DataError(
            f"a name of an input or output is not text ({error})",
            hint="export the network with names in UTF-8",
            file=file,
        ) from error


def _session(path: Path, device: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise DataError("onnxruntime is not installed", hint=HINT) from error
    if device not in PROVIDERS:
        raise DataError(f"device {device!r}", hint=f"use one of {', '.join(PROVIDERS)}")
    if PROVIDERS[device][0] not in onnxruntime.get_available_providers():
        raise DataError("this onnxruntime has no CUDA", hint="pip install onnxruntime-gpu")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised, so that they need not be logged
    # Weights stored as integers are converted to floats once, and not again at each image.
    options.add_session_config_entry("session.disable_quant_qdq", "1")

    def made(content: bytes) -> Any:
        return onnxruntime.InferenceSession(content, options, providers=PROVIDERS[device])

    # The session is made from bytes, so that the file cannot refer to other files.
    content = path.read_bytes()
    try:
        session = made(content)
        return session if len(session.get_inputs()) == 1 else made(_without_unread(content))
    except DataError:
        raise
    except Exception as error:  # onnxruntime's errors have no common base
        raise DataError(
            f"not a readable ONNX file ({first_line(error)})",
            hint="fetch it again, or export the network again, with weights in the same file "
            "and operators that onnxruntime supports",
            file=path.name,
        ) from error


def _without_unread(content: bytes) -> bytes:
    """Return a model without the inputs that no node reads, which onnxruntime would require."""
    try:
        import onnx
    except ImportError as error:
        raise DataError("onnx is not installed", hint=HINT) from error
    model = onnx.load_model_from_string(content)
    read = {name for node in model.graph.node for name in node.input}
    read |= {one.name for one in model.graph.output}
    kept = [one for one in model.graph.input if one.name in read]
    if len(kept) == len(model.graph.input):
        return content
    del model.graph.input[:]
    model.graph.input.extend(kept)
    return bytes(model.SerializeToString())
