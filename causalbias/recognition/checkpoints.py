"""Read the weights of checkpoints as tensors by name, without running what else a file holds."""

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from causalbias.errors import DataError
from causalbias.io.memory import check_file, check_memory
from causalbias.recognition.embedder import first_line
from causalbias.study.reading import UNREADABLE

# Layers that checkpoints contain and that are used in training only.
HEADS = ("logits.", "fc6.", "head.", "margin.")
WRAPPERS = ("state_dict", "model_state_dict", "model", "backbone", "net")
PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.", "net.", "network.", "encoder.")
# Objects that training scripts save beside the weights. They are read as empty dictionaries: the
# classes and functions of these names are neither imported nor called.
HARMLESS = (
    "argparse.Namespace",
    "easydict.EasyDict",
    "yacs.config.CfgNode",
    "omegaconf.dictconfig.DictConfig",
    "omegaconf.listconfig.ListConfig",
    "omegaconf.base.ContainerMetadata",
    "omegaconf.base.Metadata",
    "omegaconf.nodes.AnyNode",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
    "datetime.datetime",
    "numpy.dtype",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.ndarray",
    "_codecs.encode",
)


class Ignored(dict[Any, Any]):
    """Stands for an object that is not read."""

    def __new__(cls, *_: Any, **__: Any) -> "Ignored":
        """Take any arguments."""
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        """Ignore the state."""


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


def read_state_dict(path: Path) -> dict[str, Any]:
    """Read the tensors of a checkpoint by name, without the wrappers that training adds.

    The file may have been written by ``torch.save``, by safetensors, or as TorchScript, such as
    OpenAI's archives of CLIP.

    Raises
    ------
    DataError
        If the file cannot be read as tensors only, or holds none.
    """
    check_unpacked(path)
    if path.suffix.lower() == ".safetensors":
        content: Any = _safetensors(path)
    elif is_script(path):
        content = load_script(path).state_dict()
    else:
        content = _unpickled(path)
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        content = {}
    tensor = import_torch().Tensor
    state = {str(key): value for key, value in content.items() if isinstance(value, tensor)}
    if not state:
        raise DataError("the file holds no weights", hint="save the state_dict()", file=path.name)
    return _unwrapped(state)


def _unpickled(path: Path) -> Any:
    torch = import_torch()
    harmless = [(Ignored, name) for name in HARMLESS]
    try:
        # Warnings concern how the file was written.
        with (
            warnings.catch_warnings(action="ignore"),
            torch.serialization.safe_globals(harmless),
        ):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises errors of many types on other files
        raise DataError(
            f"not a file of weights only ({_reason(error)})",
            hint="save the network's state_dict(), or fetch the file again; pickles of anything "
            "else are not opened, since they can run code",
            file=path.name,
        ) from error


def _reason(error: Exception) -> str:
    r"""Return what torch found in a file, without its advice to read the file unsafely.

    Examples
    --------
    >>> _reason(ValueError("Do this.\nUnsupported global: GLOBAL os.mkdir was not an allowed one"))
    'it holds os.mkdir'
    """
    text = str(error)
    if "GLOBAL " in text:
        return f"it holds {text.split('GLOBAL ')[1].split()[0].strip('`.,')}"
    if "weights_only" in text or "Weights only" in text:
        return "it holds other objects than tensors"
    return first_line(error)


def _safetensors(path: Path) -> dict[str, Any]:
    import_torch()
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise DataError(
            "safetensors is not installed", hint="pip install 'causalbias[torch]'"
        ) from error
    try:
        return dict(load_file(path))
    except Exception as error:  # safetensors raises an error of its own, and those of files
        raise DataError(
            f"not a readable safetensors file ({first_line(error)})",
            hint="fetch it again",
            file=path.name,
        ) from error


def load_script(path: Path) -> Any:
    """Read a TorchScript program.

    Raises
    ------
    DataError
        If the file is not one.
    """
    torch = import_torch()
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


def is_script(path: Path) -> bool:
    """Whether a file is a TorchScript program."""
    return any("/code/" in one.filename for one in _members(path))


def check_unpacked(path: Path) -> None:
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
