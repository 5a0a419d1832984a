"""Read embeddings in tiles of many rows, and count the distances between two tiles.

Embeddings need not be in memory: a memory map, a Zarr or a dask array is read one tile at a time,
three times for what all faces have in common (`survey`), and then for the pairs of each two tiles.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import combinations_with_replacement, pairwise, product
from mmap import mmap
from typing import Any

import numpy as np
import xarray as xr

from causalbias.errors import DataError
from causalbias.recognition import blocks, torch_blocks
from causalbias.recognition.blocks import Counts, Scaling, Vectors, count_block, make_ready
from causalbias.recognition.torch_blocks import torch_counter

# Rows of a tile: few enough to hold several tiles, and so many that reading takes a small part of
# the time of counting. A GPU counts larger blocks, and faster.
TILE, DEVICE_TILE = 1 << 13, 1 << 16
# With many groups tiles are larger, so that the blocks, which are within groups, are not too small.
OF_GROUP = 128


class Rows:
    """Rows of an array that is not in memory, read where they are used."""

    def __init__(self, source: Any, rows: slice) -> None:
        self.source, self.rows = source, rows

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Read the rows."""
        return np.array(self.source[self.rows], dtype=dtype)


class Mapped:
    """A memory map that other processes can open too."""

    def __init__(self, array: np.memmap) -> None:
        self.shape, self.dtype = array.shape, array.dtype
        self.path, self.offset = array.filename, array.offset
        self.order = "C" if array.flags.c_contiguous else "F"

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Read rows."""
        mapped: Any = np.memmap
        whole = mapped(self.path, self.dtype, "r", self.offset, self.shape, self.order)
        return np.array(whole[rows])


def source_of(embeddings: Any) -> Any:
    """Return the array from which rows are read: as it is if it is on disk, else a NumPy array.

    Raises
    ------
    DataError
        If it is no array of numbers with one row per face.
    """
    if isinstance(embeddings, xr.Dataset | xr.DataTree):
        raise DataError(
            "the embeddings are a whole data set",
            hint='give those of one system, such as found["embedding"].sel(system="dlib")',
            file="embeddings",
        )
    if hasattr(embeddings, "dims") and hasattr(embeddings, "data"):  # a DataArray of xarray
        embeddings = embeddings.data
    if isinstance(embeddings, np.memmap):
        # A part of a memory map does not know where in the file it begins.
        whole = isinstance(embeddings.base, mmap) and embeddings.filename is not None
        return Mapped(embeddings) if whole and embeddings.mode != "c" else embeddings
    if all(hasattr(embeddings, name) for name in ("chunks", "shape", "dtype")):
        return embeddings  # Zarr, dask, HDF5
    try:
        return np.asarray(embeddings)
    except ValueError as error:  # rows of different lengths
        raise DataError(
            f"the embeddings have different lengths ({error})",
            hint="give as many numbers for each face",
            file="embeddings",
        ) from None


def piece(source: Any, rows: slice) -> Any:
    """Rows of the source, in a form that can be sent to another process and made an array there."""
    if isinstance(source, np.ndarray) or hasattr(source, "__dask_graph__"):
        return source[rows]
    return Rows(source, rows)


def cut(n: int, n_groups: int, *, device: str) -> list[slice]:
    """Cut n rows into tiles."""
    size = max(TILE if device == "cpu" else DEVICE_TILE, OF_GROUP * n_groups)
    return [slice(at, min(at + size, n)) for at in range(0, n, size)]


def as_floats(rows: Any) -> np.ndarray:
    """Rows as floats of a supported precision; from half precision and integers nothing is lost."""
    rows = np.asarray(rows)
    small = rows.dtype.itemsize <= 2 or rows.dtype == np.float32
    return rows.astype(np.float32 if small else np.float64, copy=False)


@dataclass(frozen=True)
class Magnitudes:
    """What one pass over all embeddings finds.

    Attributes
    ----------
    largest : ndarray of float64 (face,)
        Largest absolute value of each embedding.
    absent : ndarray of bool (face,)
        Faces whose embedding is missing: all its values are NaN.
    digest : str
        SHA-256 of the values and their precision; empty if it was not asked for.
    """

    largest: np.ndarray
    absent: np.ndarray
    digest: str


def magnitudes(source: Any, tiles: Iterable[slice], *, digest: bool) -> Magnitudes:
    """Find each embedding's largest absolute value, which embeddings are missing, and the digest.

    Raises
    ------
    DataError
        If an embedding is not finite, but not all NaN either.
    """
    n = source.shape[0]
    largest, absent = np.empty(n), np.zeros(n, bool)
    content = hashlib.sha256()
    for rows in tiles:
        values = as_floats(piece(source, rows))
        own = np.abs(values).max(axis=1, initial=0).astype(np.float64)
        odd = np.flatnonzero(~np.isfinite(own))
        absent[rows.start + odd] = np.isnan(values[odd]).all(axis=1)
        largest[rows] = own
        if digest:
            content.update(values.dtype.str.encode() + np.ascontiguousarray(values).data)
    bad = ~np.isfinite(largest) & ~absent
    if bad.any():
        raise DataError(
            f"the embedding is not finite ({int(bad.sum()):,} such faces)",
            hint="make all its values NaN if the face has no embedding, or leave it out",
            file="embeddings",
            row=int(bad.argmax()) + 1,
        )
    return Magnitudes(largest, absent, content.hexdigest() if digest else "")


@dataclass(frozen=True)
class Part:
    """The faces of a tile that are counted, sorted by group.

    Attributes
    ----------
    rows : slice
        The tile.
    own : ndarray of int (face,)
        Row of each face within the tile.
    place : ndarray of int (face,)
        Its place among all faces that are counted.
    code, identity : ndarray of int (face,)
        Codes of its group and its identity.
    """

    rows: slice
    own: np.ndarray
    place: np.ndarray
    code: np.ndarray
    identity: np.ndarray


def parts_of(
    tiles: Iterable[slice], known: np.ndarray, code: np.ndarray, identity: np.ndarray
) -> list[Part]:
    """Distribute the faces to be counted, in rows `known` (face,), over the tiles."""
    found = []
    for rows in tiles:
        first, last = np.searchsorted(known, [rows.start, rows.stop])
        place = first + np.argsort(code[first:last], kind="stable")
        own = known[place] - rows.start
        found.append(Part(rows, own, place, code[place], identity[place]))
    return found


def survey(source: Any, parts: Iterable[Part], metric: str, largest: np.ndarray) -> Scaling:
    """Find how to scale the embeddings, and an upper bound of their distances.

    Parameters
    ----------
    source : array (row, feature)
    parts : iterable of Part
    metric : {"euclidean", "cosine"}
    largest : ndarray (face,)
        Largest absolute value of each embedding.
    """
    if metric == "cosine":
        return Scaling(True, 0, np.zeros(0), 2.0)
    parts = list(parts)
    exponent = int(np.frexp(largest.max())[1])

    def scaled() -> Iterator[np.ndarray]:
        for part in parts:
            yield np.ldexp(as_floats(piece(source, part.rows))[part.own], -exponent)

    total, longest = np.zeros(source.shape[1]), 0.0
    for values in scaled():
        total += values.sum(axis=0, dtype=np.float64)
        lengths = np.einsum("ij,ij->i", values, values, dtype=np.float64)
        longest = max(longest, lengths.max(initial=0))
    mean, centred = total / len(largest), 0.0
    for values in scaled():
        values = values - mean
        centred = max(centred, np.einsum("ij,ij->i", values, values).max(initial=0))
    bound = 2 * np.sqrt(min(longest, centred)) * (1 + 1e-5)
    return Scaling(False, exponent, mean, float(bound) or 1.0)


@dataclass(frozen=True)
class Tile:
    """Faces in memory, ready to be counted: sorted by group, with each one's code of its group."""

    vectors: Vectors
    code: np.ndarray


def loaded(values: Any, part: Part, scaling: Scaling) -> Tile:
    """Make a tile of its rows (row, feature)."""
    chosen = as_floats(values)[part.own]
    return Tile(make_ready(chosen, part.identity, scaling), part.code)


@dataclass(frozen=True)
class Plan:
    """What is counted of every two tiles.

    Attributes
    ----------
    scaling : Scaling
    thresholds : ndarray (threshold,)
        In units of the distances of `Vectors.exact`.
    bins, n_groups : int
    device : str
    """

    scaling: Scaling
    thresholds: np.ndarray
    bins: int
    n_groups: int
    device: str

    def nothing(self, n: int) -> "Counted":
        """Counts of n faces without pairs."""
        n_groups, at = self.n_groups, len(self.thresholds)
        return Counted(
            np.zeros((2, n_groups, n_groups, self.bins), np.int64),
            np.zeros((2, n_groups, n_groups, at), np.int64),
            np.zeros((2, at, n, n_groups), np.int32),
        )


@dataclass(frozen=True)
class Counted:
    """Counts of pairs, impostor and genuine (2, ...).

    Attributes
    ----------
    histogram : ndarray of int64 (2, group, other, bin)
    matches : ndarray of int64 (2, group, other, threshold)
    of_face : ndarray of int32 (2, threshold, face, other)
        Matches of each face with faces of each group.
    """

    histogram: np.ndarray
    matches: np.ndarray
    of_face: np.ndarray

    def add(self, more: "Counted", *parts: Part) -> None:
        """Add the counts of the pairs between two tiles, or within one."""
        self.histogram[...] += more.histogram
        self.matches[...] += more.matches
        start = 0
        for part in parts:
            own = more.of_face[:, :, start : start + len(part.place)]
            self.of_face[:, :, part.place] += own
            start += len(part.place)


def count_tiles(one: Tile, other: Tile, plan: Plan, run: Callable[..., Iterable[Any]]) -> Counted:
    """Count the pairs of a face of the one tile and a face of the other, block by block.

    Parameters
    ----------
    one, other : Tile
        Of different faces, or the same object: then the pairs within it.
    plan : Plan
    run : callable
        `map`, or that of a pool of threads.

    Returns
    -------
    Counted
        The faces are those of `one`, and after them those of `other`.
    """
    within = one is other
    total = plan.nothing(len(one.code) + (0 if within else len(other.code)))
    n_one = 0 if within else len(one.code)
    size = blocks.BLOCK if plan.device == "cpu" else torch_blocks.BLOCK
    rows_of, columns_of = (_blocks(tile.code, plan.n_groups, size) for tile in (one, other))
    jobs = list(
        combinations_with_replacement(rows_of, 2) if within else product(rows_of, columns_of)
    )
    if not jobs:
        return total
    count: Callable[[slice, slice], Counts]
    known = one.vectors, other.vectors, plan.scaling, plan.bins, plan.thresholds
    count = (
        partial(count_block, *known) if plan.device == "cpu" else torch_counter(*known, plan.device)
    )
    found = run(count, *zip(*jobs, strict=True))
    for (rows, columns), counts in zip(jobs, found, strict=True):
        g, h = one.code[rows.start], other.code[columns.start]
        for way in {(g, h), (h, g)}:
            total.histogram[:, *way] += counts[0]
            total.matches[:, *way] += counts[1]
        total.of_face[:, :, rows, h] += counts[2]
        total.of_face[:, :, n_one + columns.start : n_one + columns.stop, g] += counts[3]
    return total


def _blocks(code: np.ndarray, n_groups: int, size: int) -> list[slice]:
    """Divide faces that are sorted by group into slices within groups."""
    ends = np.searchsorted(code, np.arange(n_groups + 1)).tolist()
    return [
        slice(at, min(at + size, high))
        for low, high in pairwise(ends)
        for at in range(low, high, size)
    ]
