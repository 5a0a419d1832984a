"""Save a study, a fit or embeddings to one NetCDF file or Zarr store, and open it again."""

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
# Function that converts an opened tree, by the kind that the file states. Functions are looked up
# by name, so that opening a study does not import the models.
READERS = {
    "study": "causalbias.study.tree:as_study",
    "fit": "causalbias.models.result:checked_fit",
    "summary": "causalbias.models.summaries.tree:checked_summary",
    "joint": "causalbias.joint_model.model:opened_joint",
    "estimate": "causalbias.draws.estimate:opened_estimate",
    "embeddings": "causalbias.io.storage:_as_dataset",
    "pair counts": "causalbias.rates.pair_counts:opened_counts",
    "pair counts of sites": "causalbias.rates.pair_counts:opened_counts",
    "unfinished pair counts": "causalbias.rates.pair_counts:opened_counts",
}


def save(tree: xr.DataTree | xr.Dataset, path: str | Path) -> Path:
    """Write a study, a fit or embeddings to one NetCDF file (``.nc``) or Zarr store (``.zarr``).

    The file appears under its name only when it is complete; an existing file is replaced. Each
    array of numbers has checksums, and all texts have a common one, so that `open` refuses a file
    that was damaged later (with ``lazy=True``, `open` does not check texts). A NetCDF file is made
    in memory first; use Zarr for a tree that does not fit into memory twice.

    Parameters
    ----------
    tree : DataTree or Dataset
        A study, a fit, or the Dataset that `embed` or a verb returned.
    path : str or Path
        Path that ends in ``.nc`` or ``.zarr``.

    Returns
    -------
    Path
        Path of the file.

    Raises
    ------
    DataError
        If the path has another ending, or the file cannot be written (disk full, no permission).

    Examples
    --------
    >>> import causalbias as cb, tempfile
    >>> path = cb.save(cb.demo_study(), tempfile.mkdtemp() + "/demo.nc")
    >>> cb.open(path).identical(cb.demo_study())
    True
    """
    path = user_path(path)
    check_suffix(path)
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
    """Open a file that `save` wrote.

    Parameters
    ----------
    path : str or Path
        Path that ends in ``.nc`` or ``.zarr``.
    lazy : bool, default False
        If true, arrays stay on disk as dask arrays and the file stays open; otherwise everything
        is read into memory.

    Returns
    -------
    DataTree or Dataset
        A `Study`, a `Fit` or embeddings, whichever was saved.

    Raises
    ------
    DataError
        If the file does not exist, is damaged, was not written by `save`, refers to other files,
        or does not fit into memory.
    """
    flag_in(lazy, "lazy")
    path = user_path(path)
    tree = read_tree(path, lazy=lazy)
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
            "the texts differ from those that were saved",
            hint="use another copy of the file",
            file=str(path),
        )
    return found


def read_tree(path: Path, *, lazy: bool = False) -> xr.DataTree:
    """Read a file that `save` wrote, whatever it holds, as `open` does.

    Raises
    ------
    DataError
        As `open`.
    """
    check_suffix(path)
    if not path.exists():
        recover(path)  # a run may have been killed while it replaced this file
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
    except Exception as error:  # h5py and zarr raise errors of many types on damaged files
        raise DataError(
            f"not a readable {path.suffix} file ({type(error).__name__}: {error})",
            hint="write it again with save",
            file=str(path),
        ) from error
    return tree


def _as_dataset(tree: xr.DataTree) -> xr.Dataset:
    return tree.to_dataset()


def replace_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with replacing(path) as new:
        new.write_text(text, encoding="utf-8", newline="")


def check_suffix(path: Path) -> None:
    """Raise an error unless a path ends as files of `save` do."""
    if path.suffix not in SUFFIXES:
        raise DataError(
            f"cannot tell the format from {path.name!r}", hint="end the name in .nc or .zarr"
        )
