"""Check, before a NetCDF file or a Zarr store is read, that it refers to nothing outside itself.

An HDF5 file can place the contents of any other file of the machine into an array (by external
links, external storage or virtual datasets), and a Zarr store can do so by a symbolic link. Both
can claim arrays of any size, and a codec of Zarr can run code (a pickle). Files that `save` wrote
contain nothing of this kind.
"""

import json
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from causalbias.errors import DataError
from causalbias.io.memory import check_memory

CODECS = frozenset(
    ("bytes", "vlen-utf8", "vlen-bytes", "zstd", "gzip", "blosc", "crc32c", "transpose")
)
TEXT = 64  # least number of bytes that a text of variable length takes in memory
HINT = "do not use this file; ask for the one that causalbias wrote"


def check_contained(path: Path, *, lazy: bool = False) -> None:
    """Refuse a file that refers to other files, uses unknown codecs, or does not fit into memory.

    Parameters
    ----------
    path : Path
        A NetCDF file (HDF5) or a Zarr store (format 3).
    lazy : bool
        If true, arrays stay on disk, and only one-dimensional arrays, which become indexes, must
        fit into memory.

    Raises
    ------
    DataError
        If the file is refused. The error names the object, or states the memory that is needed.
    OSError, ValueError, RuntimeError, KeyError
        If the file is in neither format.
    """
    arrays = list(_zarr(path) if path.suffix == ".zarr" else _hdf5(path))
    numbers = sum(_size(shape) * each for shape, each in arrays if not lazy or len(shape) == 1)
    check_memory(numbers, f"the arrays that {path.name!r} claims to hold", HINT, each=1)


def _size(shape: tuple[int, ...]) -> float:
    return math.prod(map(float, shape))


Claim = tuple[tuple[int, ...], int]  # shape, bytes of an entry


def _hdf5(path: Path) -> Iterator[Claim]:
    """Iterate over the arrays of an HDF5 file; refuse links to anything outside the file."""
    with h5py.File(path, "r") as file:
        todo, seen = [file["/"]], {h5py.h5o.get_info(file.id).addr}
        while todo:
            group = todo.pop()
            for name in group:
                place = f"{group.name.rstrip('/')}/{name}"
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise _leads_out(path, place, "a link")
                item = group[name]
                address = h5py.h5o.get_info(item.id).addr
                if address in seen:
                    raise _leads_out(path, place, "a link to another object")
                seen.add(address)
                if isinstance(item, h5py.Group):
                    todo.append(item)
                elif isinstance(item, h5py.Dataset):
                    if item.external or item.is_virtual:
                        raise _leads_out(path, place, "kept in other files")
                    shape = item.shape or ()
                    each = TEXT if item.dtype.kind == "O" else item.dtype.itemsize
                    chunk = item.chunks or ()
                    yield (chunk if _size(chunk) > _size(shape) else shape), each


def _zarr(path: Path) -> Iterator[Claim]:
    """Iterate over the arrays of a Zarr store, as their own and the consolidated metadata say."""
    if not path.is_dir():
        raise ValueError("not a folder")
    home = path.resolve()
    for folder, folders, files in os.walk(path):
        for name in [*folders, *files]:
            entry = Path(folder, name)
            if entry.is_symlink() and not entry.resolve().is_relative_to(home):
                raise _leads_out(path, entry.relative_to(path).as_posix(), "a link")
        if {".zgroup", ".zarray", ".zmetadata"} & set(files):
            raise ValueError("the store has Zarr format 2; format 3 is needed")
        if "zarr.json" in files:
            yield from _arrays(json.loads(Path(folder, "zarr.json").read_text()), path)


def _arrays(metadata: Any, path: Path) -> Iterator[Claim]:
    """Iterate over the arrays that metadata describe, at any depth."""
    if isinstance(metadata, list):
        metadata = dict(enumerate(metadata))
    if not isinstance(metadata, dict):
        return
    for key, value in metadata.items():
        if key in ("codecs", "index_codecs"):
            for codec in value:
                name = codec.get("name") if isinstance(codec, dict) else codec
                if name not in CODECS:
                    raise DataError(f"the codec {name!r} is unknown", hint=HINT, file=str(path))
        yield from _arrays(value, path)
    if "shape" in metadata and "data_type" in metadata:
        shape = tuple(metadata["shape"])
        chunk = tuple(metadata["chunk_grid"]["configuration"]["chunk_shape"])
        each = _bytes(metadata["data_type"])
        yield (chunk if _size(chunk) > _size(shape) else shape), each


def _bytes(kind: Any) -> int:
    """Return the bytes of one entry: of a number, or of a text of fixed or variable length."""
    if isinstance(kind, dict):
        return int(kind.get("configuration", {}).get("length_bytes", TEXT))
    bits = re.search(r"[0-9]+$", str(kind))
    return max(1, int(bits[0]) // 8) if bits else TEXT


def _leads_out(path: Path, place: str, what: str) -> DataError:
    return DataError(f"{place!r} is {what}", hint=HINT, file=str(path))
