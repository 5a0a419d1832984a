"""Networks in torch files: weights with a named architecture, TorchScript, torch.export.

Weights are read as tensors only (``weights_only``). torch is imported in the functions that use it;
apart from torch, this module needs only NumPy.
"""

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from causalbias.errors import DataError, user_path
from causalbias.io.memory import check_file, check_memory
from causalbias.recognition.embedder import Embedder, file_hash, first_line, probed
from causalbias.recognition.image_input import ImageInput, completed, read_input
from causalbias.study.reading import UNREADABLE

CLIP_MEAN = tuple(255 * part for part in (0.48145466, 0.4578275, 0.40821073))
CLIP_SCALE = tuple(255 * part for part in (0.26862954, 0.26130258, 0.27577711))
ARCFACE: dict[str, Any] = {
    "size": (112, 112),
    "normalise": (127.5, 127.5),
    "align": "arcface",
    "metric": "cosine",
}
# Preparation of images in the networks' training, from their authors' code.
KNOWN: dict[str, dict[str, Any]] = {
    "iresnet34": ARCFACE,
    "iresnet50": ARCFACE,
    "iresnet100": ARCFACE,
    "sfnet20": ARCFACE,
    "sphere20a": ARCFACE | {"size": (112, 96), "normalise": (127.5, 128.0), "colour": "bgr"},
    "inception_resnet_v1": {
        "size": (160, 160),
        "normalise": (127.5, 128.0),
        "align": "dlib",
        "unit": True,
        "metric": "euclidean",
    },
    "clip": {"normalise": (CLIP_MEAN, CLIP_SCALE), "align": "none", "metric": "cosine"},
}
# Layers that checkpoints contain and that are used in training only.
HEADS = ("logits.", "fc6.", "head.", "margin.")
WRAPPERS = ("state_dict", "model_state_dict", "model", "backbone", "net")
PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.", "net.", "network.", "encoder.")


def torch_embedder(
    path: Path, *, name: str, architecture: str | None = None, device: str = "cpu", **known: Any
) -> Embedder:
    """Make an embedder from a torch file; `embedder` describes the arguments and the formats.

    A TorchScript file is a program. torch runs it without Python, but use such a file only if you
    trust its source.

    Raises
    ------
    DataError
        If torch is not installed; if the file is damaged, is a pickle of anything but tensors, has
        another architecture, or holds weights that are not finite; if `size` is required and not
        given, or differs from the file's; if the program returns several tensors or draws noise.
    """
    torch = import_torch()
    weights = file_hash(path)
    batch: int | None = 0  # any number
    if architecture is not None:
        network = build(architecture, read_state_dict(path), path.name)
        options = dict(KNOWN[architecture])
        if architecture == "clip":
            options["size"] = (network.visual.size, network.visual.size)
        taken, numbers = ImageInput(), torch.float32
        options |= known
    else:
        network = torch_program(path)
        taken, numbers = _image_input(network, path.name)
        options = {"align": "arcface", "metric": "cosine"} | completed(known, taken, path.name)
        batch = taken.batch
    _check_finite(network.state_dict(), path.name)
    network = placed(network, device, path.name)

    def forward(images: np.ndarray) -> np.ndarray:
        laid = taken.laid(images, np.uint8 if taken.bytes_ else np.float32)
        return run(network, torch.from_numpy(laid).to(device, numbers), path.name)

    recipe = f"{architecture or 'program'} {weights}"
    return probed(Embedder(name=name, forward=forward, weights=recipe, **options), batch)


def _image_input(network: Any, file: str) -> tuple[ImageInput, Any]:
    """Return the shape and the number type of a program's input.

    TorchScript states neither; the type is then that of its weights.

    Raises
    ------
    DataError
        If the input is not an image.
    """
    torch = import_torch()
    from causalbias.recognition.networks.exported import Exported

    if isinstance(network, Exported):
        inputs = f"{network.inputs[0]} {network.shape} {network.numbers}"
        known = network.numbers.is_floating_point or network.numbers == torch.uint8
        shape = network.shape if known else []
        return read_input(shape, network.numbers == torch.uint8, inputs, file), network.numbers
    return ImageInput(), numbers_of(network)


def numbers_of(network: Any) -> Any:
    """Return the number type of a program's input: as the file states, or that of its weights."""
    torch = import_torch()
    from causalbias.recognition.networks.exported import Exported

    if isinstance(network, Exported):
        return network.numbers
    kinds = (one.dtype for one in network.parameters() if one.is_floating_point())
    return next(kinds, torch.float32)


def placed(network: Any, device: str, file: str) -> Any:
    """Move a network to a device and set it to evaluation mode.

    Raises
    ------
    DataError
        If the device does not exist.
    """
    try:
        return network.to(device).eval()
    except (RuntimeError, AssertionError) as error:
        raise DataError(
            f"device {device!r}: {first_line(error)}", hint="use device='cpu'", file=file
        ) from error


def run(network: Any, rows: Any, file: str) -> np.ndarray:
    """Run a network on a batch; return its output on the CPU in single precision.

    Raises
    ------
    DataError
        If the output is not a single tensor.
    """
    torch = import_torch()
    with torch.inference_mode():
        found = network(rows)
    every = list(found.values()) if isinstance(found, dict) else found
    if isinstance(every, list | tuple) and len(every) == 1:
        found = every[0]
    if not isinstance(found, torch.Tensor):
        several = every if isinstance(every, list | tuple) else [found]
        returned = ", ".join(
            str(tuple(output.shape)) if isinstance(output, torch.Tensor) else type(output).__name__
            for output in several
        )
        raise DataError(
            f"the network returns {returned}",
            hint="export it so that it returns one tensor",
            file=file,
        )
    return np.asarray(found.float().cpu().numpy())


def text_embeddings(path: str | Path, tokens: np.ndarray) -> np.ndarray:
    """Embed texts with the text tower of a CLIP state_dict.

    Parameters
    ----------
    path : str or Path
        File of the weights, whose image tower is ``embedder(path, architecture="clip")``.
    tokens : ndarray of int (n, length)
        Tokens of each text by CLIP's tokenizer, with start and end tokens, padded with zeros to at
        most the context length of the tower.

    Returns
    -------
    ndarray of float32 (n, features)
        Embeddings of the texts.

    Raises
    ------
    DataError
        As in `embedder`, or if the tokens do not fit the tower.
    """
    torch = import_torch()
    path = user_path(path)
    network = build("clip", read_state_dict(path), path.name)
    _check_finite(network.state_dict(), path.name)
    longest, words = len(network.positional_embedding), network.token_embedding.num_embeddings
    try:
        tokens = np.asarray(tokens)
    except ValueError:  # texts of several lengths
        tokens = np.empty(0, object)
    fits = tokens.ndim == 2 and tokens.dtype.kind in "iu" and tokens.shape[1] <= longest
    if not fits or tokens.size == 0 or tokens.min() < 0 or tokens.max() >= words:
        raise DataError(
            f"the tokens have shape {tokens.shape} and type {tokens.dtype}",
            hint=f"give whole numbers from 0 to {words - 1}, (texts, at most {longest})",
            file=path.name,
        )
    with torch.inference_mode():
        return np.asarray(network.eval().encode_text(torch.from_numpy(tokens.astype(np.int64))))


def build(architecture: str, state: Mapping[str, Any], file: str) -> Any:
    """Build the network of a named architecture with weights from a file.

    Raises
    ------
    DataError
        If the name is unknown, or the weights belong to another architecture. The error names that
        architecture if it is known, and the first names and shapes that differ.
    """
    torch = import_torch()
    if architecture not in KNOWN:
        raise DataError(
            f"no architecture is called {architecture!r}", hint=f"use one of {', '.join(KNOWN)}"
        )
    differs = _differences(architecture, state)
    if differs:
        others = [name for name in KNOWN if name != architecture and not _differences(name, state)]
        raise DataError(
            f"the weights are not those of {architecture}: {'; '.join(differs)}",
            hint=f"use architecture={others[0]!r}"
            if others
            else "use the architecture they were "
            f"trained with, one of {', '.join(KNOWN)}, or export the network to ONNX",
            file=file,
        )
    with torch.device("meta"):
        network = _network(architecture, state)
    wanted = {
        key: state[key].to(value.dtype)
        for key, value in network.state_dict().items()
        if not _optional(key) or key in state
    }
    for key, value in network.state_dict().items():
        wanted.setdefault(key, torch.zeros(value.shape, dtype=value.dtype))
    network.load_state_dict(wanted, assign=True)
    return network


def read_state_dict(path: Path) -> dict[str, Any]:
    """Read the tensors of a checkpoint by name, without the wrappers that training adds.

    Raises
    ------
    DataError
        If the file cannot be read as tensors only, or holds none.
    """
    torch = import_torch()
    _check_unpacked(path)
    if _is_script(path):
        raise DataError(
            "the file is a TorchScript program, not only weights",
            hint="leave architecture out and give size=(height, width)",
            file=path.name,
        )
    try:
        with warnings.catch_warnings(action="ignore"):  # they concern how the file was written
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises errors of many types on other files
        raise DataError(
            f"not a file of weights only ({first_line(error)})",
            hint="save the network's state_dict(), or fetch the file again; pickles of anything "
            "else are not opened, since they can run code",
            file=path.name,
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        content = {}
    state = {str(key): value for key, value in content.items() if isinstance(value, torch.Tensor)}
    if not state:
        raise DataError("the file holds no weights", hint="save the state_dict()", file=path.name)
    return _unwrapped(state)


def _unwrapped(state: dict[str, Any]) -> dict[str, Any]:
    """Remove the prefix that all names of the network's weights share, such as "module.".

    The head that was used in training may have other names.
    """
    while True:
        names = [key for key in state if not key.startswith(HEADS)]
        shared = next(
            (one for one in PREFIXES if names and all(key.startswith(one) for key in names)), None
        )
        if shared is None:
            return state
        state = {key.removeprefix(shared): value for key, value in state.items()}


def import_torch() -> Any:
    """Import torch, which is an optional dependency.

    Raises
    ------
    DataError
        If it is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise DataError("torch is not installed", hint="pip install 'causalbias[torch]'") from error
    return torch


def _network(architecture: str, state: Mapping[str, Any]) -> Any:
    if architecture.startswith("iresnet"):
        from causalbias.recognition.networks.iresnet import iresnet

        return iresnet(architecture)
    if architecture in ("sfnet20", "sphere20a"):
        from causalbias.recognition.networks.sphereface import SFNet20, Sphere20a

        return SFNet20() if architecture == "sfnet20" else Sphere20a()
    if architecture == "inception_resnet_v1":
        from causalbias.recognition.networks.inception import InceptionResnetV1

        return InceptionResnetV1()
    from causalbias.recognition.networks.clip import Clip

    return Clip({key: tuple(value.shape) for key, value in state.items()})


def _differences(architecture: str, state: Mapping[str, Any]) -> list[str]:
    """Describe how names and shapes of weights differ from those of an architecture."""
    torch = import_torch()
    try:
        with torch.device("meta"):
            wanted = {
                key: tuple(value.shape)
                for key, value in _network(architecture, state).state_dict().items()
            }
    except (KeyError, ValueError, ZeroDivisionError, AssertionError) as error:
        return [f"no {first_line(error)}"]  # the sizes of CLIP are read from the weights
    given = {key: tuple(value.shape) for key, value in state.items() if not _spare(key)}
    lacking = [key for key in wanted if key not in given and not _optional(key)]
    unknown = [key for key in given if key not in wanted]
    shapes = [key for key in wanted if key in given and wanted[key] != given[key]]
    differences = []
    if lacking:
        differences.append(f"{len(lacking)} are missing, such as {lacking[0]!r}")
    if unknown:
        differences.append(f"{len(unknown)} are unknown to it, such as {unknown[0]!r}")
    numbers = [
        key for key in wanted if key in given and not _optional(key) and not _plain(state[key])
    ]
    if numbers:
        first = state[numbers[0]]
        kind = first.dtype if first.layout == torch.strided else first.layout
        differences.append(f"{len(numbers)} are {kind}, such as {numbers[0]!r}")
    if shapes:
        key = shapes[0]
        differences.append(
            f"{len(shapes)} have other shapes, such as {key!r}: {given[key]}, not {wanted[key]}"
        )
    return differences


def _plain(value: Any) -> bool:
    """Whether a tensor is a dense one of floats."""
    return bool(value.is_floating_point()) and value.layout == import_torch().strided


def _optional(key: str) -> bool:
    """Whether a name is that of a counter of training steps, which old checkpoints lack."""
    return key.endswith("num_batches_tracked")


def _spare(key: str) -> bool:
    """Whether a name is that of the training head, or of one of CLIP's numbers that are unused."""
    from causalbias.recognition.networks.clip import NOT_WEIGHTS

    return key.startswith(HEADS) or key in NOT_WEIGHTS


def torch_program(path: Path) -> Any:
    """Read a network with its architecture, from torch.export or TorchScript."""
    torch = import_torch()
    from causalbias.recognition.networks.exported import Exported

    _check_unpacked(path)
    if path.suffix.lower() == ".pt2":
        try:
            return Exported(path)
        except Exception as error:
            raise DataError(
                f"not a program that can be read as data ({type(error).__name__}: "
                f"{first_line(error)})",
                hint="write it after model.eval() with torch.export.save of torch 2.9 or later, "
                "or export it to ONNX",
                file=path.name,
            ) from error
    if not _is_script(path):
        state = read_state_dict(path)
        fits = [name for name in KNOWN if not _differences(name, state)]
        raise DataError(
            "the file holds weights but no network",
            hint=f"give architecture={fits[0]!r}"
            if fits
            else f"give architecture=, one of {', '.join(KNOWN)}",
            file=path.name,
        )
    try:
        # TorchScript is deprecated, but users still have files of it.
        with warnings.catch_warnings(action="ignore"):
            return torch.jit.load(str(path), map_location="cpu")
    except Exception as error:
        raise DataError(
            f"not a readable TorchScript file ({first_line(error)})",
            hint="fetch it again, or save it again with torch.jit.save",
            file=path.name,
        ) from error


def _is_script(path: Path) -> bool:
    return any("/code/" in one.filename for one in _members(path))


def _check_unpacked(path: Path) -> None:
    """Refuse a file that does not fit into memory once it is unpacked."""
    check_file(path, times=2)
    size = sum(one.file_size for one in _members(path))
    check_memory(size, f"{path.name!r}, of {size:,} bytes unpacked,", "check the file", each=2)


def _members(path: Path) -> list[zipfile.ZipInfo]:
    """List the members of an archive; empty if the file is not an archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.infolist()
    except UNREADABLE:
        return []


def _check_finite(state: Mapping[str, Any], file: str) -> None:
    bad = [
        key for key, value in state.items() if _plain(value) and not bool(value.isfinite().all())
    ]
    if bad:
        raise DataError(
            f"{len(bad)} of {len(state)} weights are not finite, such as {bad[0]!r}",
            hint="use a checkpoint from before the training diverged",
            file=file,
        )
