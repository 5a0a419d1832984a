"""Files and folders that have their name only when they are whole."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray as xr

from causalbias.errors import DataError

try:
    import fcntl
except ImportError:  # Windows: what a killed run left half written stays beside its name
    fcntl = None  # type: ignore[assignment]

REPLACED = "replaced"
# How a cell of a CSV begins that a spreadsheet takes for a formula, full-width forms included
# (OWASP). Those are written as themselves: the RE2 of older pyarrow knows no escapes of them.
RUN_BY_SPREADSHEETS = r"[\t\r\n]|\s*[=+\-@" + "\uff1d\uff0b\uff0d\uff20]"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new place to write a file or a folder to, which gets the name `path` at the end.

    It is in a hidden folder beside `path`, which is locked while it is in use: one that nobody
    holds is what a killed run left, and is cleared away by the next that writes the same name.

    Parameters
    ----------
    path : Path
        Its directory is made where it is missing.

    Raises
    ------
    DataError
        If it cannot be written (disk full, no such right); what was there before is as it was.

    Examples
    --------
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "a.txt") as new:
    ...     _ = new.write_text("whole")
    >>> [one.name for one in folder.iterdir()]
    ['a.txt']
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        recover(path)
        scratch, lock = _scratch(path)
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        new = scratch / path.name
        yield new
        if new.is_file():
            _flush(new)
        _replace(new, path, scratch / REPLACED)
    except OSError as error:
        if error.filename is not None and not str(error.filename).startswith(str(scratch)):
            raise  # of a file that was read
        raise unwritable(path, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(lock)


def write_netcdf(tree: xr.DataTree, path: Path) -> None:
    """Write NetCDF with checksums of its numbers.

    It is made in memory first: HDF5 ends the process where the disk is full.
    """
    encoding = {
        node.path: {
            name: {"fletcher32": True}
            for name, one in node.to_dataset(inherit=False).variables.items()
            if one.size and one.ndim and one.dtype.kind in "biufc"  # HDF5 sums chunks of numbers
        }
        for node in tree.subtree
    }
    # Released at once: Python crashes where it has to clear away the memory under this view.
    with tree.to_netcdf(engine="h5netcdf", encoding=encoding) as content, path.open("wb") as stream:
        stream.write(content)


def digest_of_texts(tree: xr.DataTree) -> str:
    """SHA-256 of all texts in a tree, values and attributes.

    HDF5 has no checksum of texts, nor Zarr of attributes. Missing and empty ones do not count: a
    file has one for the other.
    """
    found = hashlib.sha256()
    for node in sorted(tree.subtree, key=lambda one: one.path):
        dataset = node.to_dataset(inherit=False)
        texts = {("", str(key)): value for key, value in dataset.attrs.items()}
        for name, one in dataset.variables.items():
            texts |= {(str(name), str(key)): value for key, value in one.attrs.items()}
            if one.dtype.kind not in "biufcmM":
                texts[str(name), ""] = one.values
        for (name, key), values in sorted(texts.items(), key=lambda each: each[0]):
            told = [
                one for one in np.ravel(np.asarray(values, object)) if isinstance(one, str) and one
            ]
            if told:
                whole = "\0".join((node.path, name, key, *told, ""))
                found.update(whole.encode("utf-8", "surrogatepass"))
    return found.hexdigest()


def make_directory(path: Path) -> None:
    """Make a directory, and those above it, where it is missing.

    Raises
    ------
    DataError
        If it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def recover(path: Path) -> None:
    """Clear away what killed runs left beside a name, and finish what was whole.

    A folder cannot be replaced in one step. Killed between the two, a run has left the old and the
    whole new one: that gets its name now.
    """
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        left = [Path(one.path) for one in entries if one.name.startswith(_prefix(path))]
        for folder in left:
            _clear(folder, path)


def _clear(folder: Path, path: Path) -> None:
    """Remove one such folder, if nobody holds it."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError):
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (folder / REPLACED).exists() and not path.exists():
                os.replace(folder / path.name, path)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def unwritable(path: Path, error: Exception) -> DataError:
    """The error that a file which cannot be written ends in."""
    return DataError(
        f"cannot be written ({getattr(error, 'strerror', None) or str(error)[:200]}); what was "
        "there before is as it was",
        hint="free some space, or choose another directory",
        file=str(path),
    )


def _prefix(path: Path) -> str:
    return f".{path.name[:60]}.new-"


def _scratch(path: Path) -> tuple[Path, int]:
    """A folder beside a name, and the open lock on it."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_prefix(path), dir=path.parent))
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue  # cleared away by another run before it was locked
        if fcntl is not None:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder, lock
        os.close(lock)


def _flush(new: Path) -> None:
    """On the disk before it has its name: a power cut must not leave an empty file under it."""
    with new.open("rb+") as stream:
        os.fsync(stream.fileno())


def _replace(new: Path, path: Path, old: Path) -> None:
    """Put a file or a folder in the place of another, or leave that one there."""
    if new.is_dir() and path.exists():
        os.replace(path, old)
    try:
        os.replace(new, path)
    except OSError:
        if old.exists():
            os.replace(old, path)
        raise
