"""Atomic writes: files and folders that get their names only when they are complete."""

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
from causalbias.scheduler import without_cluster

try:
    import fcntl
except ImportError:  # Windows: the incomplete files of a killed run are not removed
    fcntl = None  # type: ignore[assignment]

REPLACED = "replaced"
# Beginnings of CSV cells that a spreadsheet takes for formulas, full-width forms included (OWASP).
# The full-width forms are not escaped, because the RE2 of older pyarrow has no escapes for them.
RUN_BY_SPREADSHEETS = r"[\t\r\n]|\s*[=+\-@" + "\uff1d\uff0b\uff0d\uff20]"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write a file or a folder to; at the end it is renamed to `path`.

    The temporary path lies in a hidden folder beside `path`, which is locked while it is in use.
    A hidden folder without a lock was left by a run that was killed; the next call with the same
    `path` removes it.

    Parameters
    ----------
    path : Path
        Its directory is made if it does not exist.

    Raises
    ------
    DataError
        If the file cannot be written (disk full, no permission). An existing file is unchanged.

    Examples
    --------
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "a.txt") as new:
    ...     _ = new.write_text("complete")
    >>> [file.name for file in folder.iterdir()]
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
            raise  # the error is about a file that the caller reads
        raise unwritable(path, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(lock)


def write_netcdf(tree: xr.DataTree, path: Path) -> None:
    """Write a NetCDF file with checksums of its numbers.

    The file is made in memory first, because HDF5 ends the process if the disk is full.
    """
    encoding = {
        node.path: {
            name: {"fletcher32": True}
            for name, array in node.to_dataset(inherit=False).variables.items()
            if array.size and array.ndim and array.dtype.kind in "biufc"  # HDF5 sums these only
        }
        for node in tree.subtree
    }
    # The view is released at once: Python crashes if it has to free the memory that it shows.
    with (
        without_cluster(),
        tree.to_netcdf(engine="h5netcdf", encoding=encoding) as content,
        path.open("wb") as stream,
    ):
        stream.write(content)


def digest_of_texts(tree: xr.DataTree) -> str:
    """Compute the SHA-256 of all texts in a tree, in values and attributes.

    The digest is needed because HDF5 has no checksums of texts, and Zarr none of attributes. Empty
    and missing texts are left out, because files do not distinguish them.
    """
    digest = hashlib.sha256()
    for node in sorted(tree.subtree, key=lambda node: node.path):
        dataset = node.to_dataset(inherit=False)
        texts = {("", str(key)): value for key, value in dataset.attrs.items()}
        for name, array in dataset.variables.items():
            texts |= {(str(name), str(key)): value for key, value in array.attrs.items()}
            if array.dtype.kind not in "biufcmM":
                texts[str(name), ""] = array.values
        for (name, key), values in sorted(texts.items(), key=lambda item: item[0]):
            cells = np.ravel(np.asarray(values, object))
            not_empty = [cell for cell in cells if isinstance(cell, str) and cell]
            if not_empty:
                record = "\0".join((node.path, name, key, *not_empty, ""))
                digest.update(record.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def make_directory(path: Path) -> None:
    """Make a directory and its parents if they do not exist.

    Raises
    ------
    DataError
        If the directory cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def recover(path: Path) -> None:
    """Remove the temporary folders of killed runs; finish a replacement that was under way.

    Replacing a folder takes two steps. If a run was killed between them, both the old and the
    complete new folder are in the temporary folder, and the new one gets its name now.
    """
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        left = [Path(entry.path) for entry in entries if entry.name.startswith(_prefix(path))]
        for folder in left:
            _clear(folder, path)


def _clear(folder: Path, path: Path) -> None:
    """Remove a temporary folder unless another process holds its lock."""
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
    """Make the error of a file that cannot be written."""
    return DataError(
        f"cannot be written ({getattr(error, 'strerror', None) or str(error)[:200]}); what was "
        "there before is unchanged",
        hint="free some space, or choose another directory",
        file=str(path),
    )


def _prefix(path: Path) -> str:
    return f".{path.name[:60]}.new-"


def _scratch(path: Path) -> tuple[Path, int]:
    """Make a temporary folder beside `path`; return it and the descriptor of its lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_prefix(path), dir=path.parent))
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue  # another run removed it before it was locked
        if fcntl is not None:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder, lock
        os.close(lock)


def _flush(new: Path) -> None:
    """Write a file's content to the disk, so that a power cut cannot leave an empty file."""
    with new.open("rb+") as stream:
        os.fsync(stream.fileno())


def _replace(new: Path, path: Path, old: Path) -> None:
    """Replace a file or a folder by a new one; if that fails, the old one stays."""
    if new.is_dir() and path.exists():
        os.replace(path, old)
    try:
        os.replace(new, path)
    except OSError:
        if old.exists():
            os.replace(old, path)
        raise
