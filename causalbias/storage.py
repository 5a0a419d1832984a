"""One file for a study, a fit or embeddings: NetCDF or Zarr, written whole or not at all."""

import os
import shutil
import tempfile
import warnings
from pathlib import Path

import xarray as xr

from causalbias.errors import DataError
from causalbias.models.result import Fit, as_fit, check_fit
from causalbias.study.tree import Study, as_study

SUFFIXES = (".nc", ".zarr")


def save(tree: xr.DataTree | xr.Dataset, path: str | Path) -> Path:
    """Write a study, a fit or embeddings to one NetCDF file (``.nc``) or Zarr store (``.zarr``).

    The file appears under its name only when it is complete; an existing one is replaced. NetCDF
    is made in memory first; for a tree that memory cannot hold twice, take Zarr.

    Parameters
    ----------
    tree : DataTree, or the Dataset that `embed` returns
    path : path ending in ``.nc`` or ``.zarr``

    Returns
    -------
    Path
        Where it was written.

    Raises
    ------
    DataError
        If the ending is neither, or the file cannot be written (disk full, no such right).

    Examples
    --------
    >>> import causalbias as cb, tempfile
    >>> path = cb.save(cb.demo_study(), tempfile.mkdtemp() + "/demo.nc")
    >>> cb.open(path).identical(cb.demo_study())
    True
    """
    path = Path(path)
    _check_suffix(path)
    tree = xr.DataTree(tree) if isinstance(tree, xr.Dataset) else tree
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        new = scratch / path.name
        if path.suffix == ".nc":
            # In memory first: HDF5 ends the process where the disk is full.
            new.write_bytes(tree.to_netcdf(engine="h5netcdf"))
        else:
            with warnings.catch_warnings():
                # Zarr says that consolidated metadata is not yet in its specification.
                warnings.filterwarnings("ignore", message="Consolidated metadata")
                tree.to_zarr(new)
        _replace(new, path, scratch / "replaced")
    except (OSError, RuntimeError) as error:  # HDF5 raises either when the disk is full
        raise _unwritable(path, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return path


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


def _unwritable(path: Path, error: Exception) -> DataError:
    return DataError(
        f"cannot be written ({getattr(error, 'strerror', None) or str(error)[:200]}); what was "
        "there before is as it was",
        mend="free some space, or choose another directory",
        file=str(path),
    )


def open(path: str | Path, *, lazy: bool = False) -> Study | Fit | xr.Dataset:
    """Open what `save` wrote.

    Parameters
    ----------
    path : path ending in ``.nc`` or ``.zarr``
    lazy : bool, default False
        Leave arrays on disk as dask arrays (the file stays open); otherwise read everything.

    Returns
    -------
    DataTree or Dataset
        A `Study`, a `Fit` or embeddings, whichever was saved.

    Raises
    ------
    DataError
        If the file is not there, is broken, or is none of these.
    """
    path = Path(path)
    _check_suffix(path)
    if not path.exists():
        raise DataError("no such file", mend="check the path", file=str(path))
    engine = "h5netcdf" if path.suffix == ".nc" else "zarr"
    try:
        tree = xr.open_datatree(path, engine=engine, chunks={} if lazy else None)
        if not lazy:
            tree = tree.load()
            tree.close()
    except ImportError as error:
        raise DataError(
            f"reading this needs a package that is not installed ({error})",
            mend="pip install 'causalbias[scale]'",
            file=str(path),
        ) from error
    except Exception as error:
        raise DataError(
            f"not a readable {path.suffix} file ({type(error).__name__}: {error})",
            mend="write it again with save",
            file=str(path),
        ) from error
    kind = tree.attrs.get("kind")
    if kind not in ("study", "fit", "embeddings"):
        raise DataError(
            "not written by causalbias", mend="use xarray.open_datatree", file=str(path)
        )
    if kind == "embeddings":
        return tree.to_dataset()
    if kind == "study":
        return as_study(tree)
    try:
        check_fit(tree)
    except DataError as error:
        raise DataError(error.problem, mend=error.mend, file=str(path)) from error
    return as_fit(tree)


def replace_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    scratch = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as stream:
            scratch = stream.name
            stream.write(text)
        os.chmod(scratch, 0o644)
        os.replace(scratch, path)
    except OSError as error:
        if scratch is not None:
            Path(scratch).unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def _check_suffix(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise DataError(
            f"cannot tell the format from {path.name!r}", mend="end the name in .nc or .zarr"
        )
