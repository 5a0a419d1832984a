"""An embedder by name, from a file of weights, or from a Python function."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from causalbias.errors import DataError, user_path
from causalbias.recognition.classical import lbp, wavelets
from causalbias.recognition.dlib_faces import dlib_embedder
from causalbias.recognition.embedder import Embedder, probed

# Ready-made embedders: functions of the name that the system gets.
READY: dict[str, Callable[[str], Embedder]] = {
    "dlib": dlib_embedder,
    "lbp": lbp,
    "wavelets": wavelets,
}
TORCH = (".pt", ".pth", ".ckpt", ".bin", ".tar", ".pt2")


def embedder(
    source: str | Path | Callable[[np.ndarray], np.ndarray],
    *,
    name: str | None = None,
    architecture: str | None = None,
    version: str | None = None,
    device: str = "cpu",
    **known: Any,
) -> Embedder:
    r"""An embedder: a ready-made one, a file of weights, or a Python function.

    Parameters
    ----------
    source : str, path or callable
        "dlib": dlib's face recognition ResNet with its published weights. "lbp", "wavelets":
        baselines without weights (for eigenfaces see `eigenfaces`). A file ending in ``.onnx``:
        run by onnxruntime. ``.pt``, ``.pth``, ``.ckpt``, ``.bin``, ``.tar``: a TorchScript program,
        or with `architecture` a state_dict; ``.pt2``: written by ``torch.export.save``. A function
        takes the prepared images (n, height, width, channels) and returns (n, features). What was
        made for batches of one size is run in such batches.
    name : str, optional
        What the system is called; by default the source's name.
    architecture : str, optional
        Of a state_dict: "iresnet34", "iresnet50", "iresnet100" (ArcFace, CosFace; InsightFace's
        layout), "sfnet20", "sphere20a" (SphereFace), "inception_resnet_v1" (FaceNet), "clip"
        (the image tower of a CLIP ViT). It brings size, normalisation, alignment and metric.
    version : str
        Of a function, and needed there: it stands for the weights in the fingerprint. Change it
        when the function changes, or its old embeddings are taken from the store.
    device : str, default "cpu"
        "cuda" runs torch and ONNX networks on a GPU.
    **known
        What else is known of a network, as in `Embedder`: `size`, `colour`, `normalise`, `unit`,
        `align`, `metric`, `threshold`. A function needs `size`, and so does a file that does not
        say it (TorchScript never does); the rest has `Embedder`'s defaults, for networks those of
        ArcFace: RGB scaled to [-1, 1], ArcFace's alignment, cosine.

    Returns
    -------
    Embedder

    Raises
    ------
    DataError
        If the source is unknown, the file is broken, holds anything but weights, or weights of
        another architecture or that are not finite, takes images of another size, has several
        inputs or outputs, or a package is not installed. If one image gives two embeddings, since
        the network draws noise, or another one beside other images.

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
        _refuse(architecture, device, known, str(name), only_files=True)
        return _function(source, name, version, known)
    if version is not None:
        raise DataError(
            f"version {version!r} of {source!r}",
            hint="give it for functions only: a file's hash is its version",
        )
    if isinstance(source, str) and source in READY:
        _refuse(architecture, device, known, source, only_files=False)
        return READY[source](name or source)
    path = user_path(source)
    suffix = path.suffix.lower()
    if architecture is not None and suffix not in TORCH:
        raise DataError(
            f"an architecture for {path.name!r}",
            hint=f"it belongs to weights alone: {', '.join(TORCH)}",
        )
    options = {"name": name or path.stem, "device": device, **known}
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


def _refuse(
    architecture: str | None, device: str, known: dict[str, Any], name: str, *, only_files: bool
) -> None:
    """Refuse arguments that would be without effect."""
    if architecture is None and device == "cpu" and (only_files or not known):
        return
    raise DataError(
        f"{name!r} is {'a function' if only_files else 'ready-made'}",
        hint="leave out architecture and device"
        if only_files
        else "leave out all arguments but name",
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
            "a function without name, version or size",
            hint="give name='mine', version='1', size=(height, width)",
        )
    return probed(
        Embedder(name=name, forward=function, weights=f"function {name} {version}", **known)
    )
