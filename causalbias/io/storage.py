"""One file for a study, a fit or embeddings: NetCDF or Zarr, written whole or not at all."""

import pkgutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from causalbias.arguments import flag_in, not_what
from causalbias.errors import DataError, user_path
from causalbias.io.atomic import digest_of_texts, recover, replacing, write_netcdf
from causalbias.io.containment import check_contained

if TYPE_CHECKING:
    from causalbias.models.result import Fit
    from causalbias.study.tree import Study

SUFFIXES = (".nc", ".zarr")
DIGEST = "texts_sha256"
# What makes of an opened tree what was saved, by the kind that a file states: looked up by name, so
# that reading a study does not import the models.
READERS = {
    "study": "causalbias.study.tree:as_study",
    "fit": "causalbias.models.result:checked_fit",
    "embeddings": "causalbias.io.storage:_as_dataset",
}


def save(tree: xr.DataTree | xr.Dataset, path: str | Path) -> Path:
    """Write a study, a fit or embeddings to one NetCDF file (``.nc``) or Zarr store (``.zarr``).

    The file appears under its name only when it is complete; an existing one is replaced. Numbers
    carry checksums and texts a common one, so that what is damaged later is refused when it is
    opened (texts: not where it is opened with ``lazy=True``).
    NetCDF is made in memory first; for a tree that memory cannot hold twice, take Zarr.

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
    path = user_path(path)
    _check_suffix(path)
    if not isinstance(tree, xr.DataTree | xr.Dataset):
        raise not_what(tree, "a study, a fit, or the Dataset that cb.embed or a verb returned")
    tree = xr.DataTree(tree) if isinstance(tree, xr.Dataset) else tree.copy()
    tree.attrs = tree.attrs | {DIGEST: digest_of_texts(tree)}
    with replacing(path) as new:
        if path.suffix == ".nc":
            write_netcdf(tree, new)
        else:
            from zarr.codecs import Crc32cCodec, ZstdCodec

            summed = {"compressors": (ZstdCodec(), Crc32cCodec())}
            encoding = {
                node.path: dict.fromkeys(node.to_dataset(inherit=False).variables, summed)
                for node in tree.subtree
            }
            with warnings.catch_warnings():
                # Zarr says that consolidated metadata is not yet in its specification.
                warnings.filterwarnings("ignore", message="Consolidated metadata")
                tree.to_zarr(new, encoding=encoding)
    return path


def open(path: str | Path, *, lazy: bool = False) -> "Study | Fit | xr.Dataset":
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
        If the file is not there, is broken, is none of these, leads to other files, or claims more
        than memory holds.
    """
    flag_in(lazy, "lazy")
    path = user_path(path)
    _check_suffix(path)
    if not path.exists():
        recover(path)  # a run killed while it replaced this
    if not path.exists():
        raise DataError("no such file", hint="check the path", file=str(path))
    engine = "h5netcdf" if path.suffix == ".nc" else "zarr"
    try:
        check_contained(path, lazy=lazy)
        tree = xr.open_datatree(path, engine=engine, chunks={} if lazy else None)
        if not lazy:
            tree = tree.load()
            tree.close()
    except ImportError as error:
        raise DataError(
            f"reading this needs a package that is not installed ({error})",
            hint="pip install 'causalbias[scale]'",
            file=str(path),
        ) from error
    except DataError:
        raise
    except Exception as error:  # h5py and zarr raise nearly anything on broken files
        raise DataError(
            f"not a readable {path.suffix} file ({type(error).__name__}: {error})",
            hint="write it again with save",
            file=str(path),
        ) from error
    digest = tree.attrs.pop(DIGEST, None)  # files of older versions have none
    reader = READERS.get(tree.attrs.get("kind", ""))
    if reader is None:
        raise DataError(
            "not written by causalbias", hint="use xarray.open_datatree", file=str(path)
        )
    try:
        found: Study | Fit | xr.Dataset = pkgutil.resolve_name(reader)(tree)
    except DataError as error:
        raise DataError(error.problem, hint=error.hint, file=str(path)) from error
    if digest is not None and not lazy and digest != digest_of_texts(tree):
        raise DataError(
            "texts are not those that were saved", hint="take another copy of it", file=str(path)
        )
    return found


def _as_dataset(tree: xr.DataTree) -> xr.Dataset:
    return tree.to_dataset()


def replace_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as new:
        new.write_text(text, encoding="utf-8", newline="")


def _check_suffix(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise DataError(
            f"cannot tell the format from {path.name!r}", hint="end the name in .nc or .zarr"
        )
