"""Reading files that are not trusted: tables and embeddings, each failure one DataError."""

import csv
import io
import lzma
import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from causalbias.errors import DataError
from causalbias.memory import MAX_UNPACKED, TEXT_TIMES, check_file, check_memory

# RuntimeError: an encrypted archive, or one packed by a method that is not known.
UNREADABLE = (
    ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
    csv.Error,
)  # fmt: skip
# What NumPy raises on headers that claim impossible arrays.
IMPOSSIBLE = (KeyError, TypeError, SyntaxError, MemoryError, OverflowError, tokenize.TokenError)
MAX_HEADER = 2**20


def read_table(path: Path, *, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a CSV (also the only member of a ``.zip``), TSV or Parquet file.

    Parameters
    ----------
    path : Path
    columns : list of str, optional
        Columns to read; one that is missing is an error that names those found.

    Raises
    ------
    DataError
        If the file is missing, empty, truncated, not of its format, lacks a column, or is more than
        memory holds.
    """
    if not path.is_file():
        raise DataError("no such file", mend="check the path", file=str(path))
    if path.stat().st_size == 0:
        raise DataError("the file is empty", mend="fetch it again", file=path.name)
    try:
        frame = _read(path)
    except UNREADABLE as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"not a readable table ({told(error)})",
            mend="fetch the file again, or save it as CSV in UTF-8",
            file=path.name,
        ) from error
    if frame.empty:
        raise DataError("a header but no rows", mend="fetch the file again", file=path.name)
    if columns is not None:
        for name in columns:
            if name not in frame:
                raise DataError(
                    f"the column is not there; found {', '.join(map(str, frame.columns))}",
                    mend="add it, or check that this is the right file",
                    file=path.name,
                    column=name,
                )
        frame = frame[columns]
    for name in frame.columns[[kind == "object" for kind in frame.dtypes]]:
        # A column that is not UTF-8 comes from pyarrow as bytes.
        encoded = np.array([isinstance(value, bytes) for value in frame[name]])
        if encoded.any():
            raise DataError(
                "not text in UTF-8", mend="save the file as CSV in UTF-8", file=path.name,
                column=printable(str(name)), row=int(encoded.argmax()) + 1,
            )  # fmt: skip
    return frame


def _read(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        try:
            _check_parquet(path)
            return pd.read_parquet(path)
        except (KeyError, TypeError) as error:  # pandas' own notes in the file are broken
            raise ValueError(f"its notes on columns are broken: {error}") from error
    separator = "\t" if path.suffix == ".tsv" else ","
    if path.suffix != ".zip":
        check_file(path)
        with path.open("rb") as stream:
            _check_header(stream, separator, path.name)
        return pd.read_csv(path, sep=separator, engine="pyarrow")
    with zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(".csv")]
        if len(members) != 1:
            raise DataError(
                f"the archive holds {len(members)} CSV files",
                mend="leave exactly one in it",
                file=path.name,
            )
        if members[0].file_size > MAX_UNPACKED:
            raise DataError(
                f"the archive unpacks to {members[0].file_size / 1e9:.1f} GB",
                mend="check that it is the right file",
                file=path.name,
            )
        check_memory(
            members[0].file_size, f"{path.name!r}, of {members[0].file_size:,} bytes unpacked,",
            "check that it is the right file", each=TEXT_TIMES,
        )  # fmt: skip
        with archive.open(members[0]) as stream:
            _check_header(stream, ",", path.name)
        with archive.open(members[0]) as stream:
            return pd.read_csv(stream, engine="pyarrow")


def _check_parquet(path: Path) -> None:
    """Refuse a table that claims more rows than memory holds: a few bytes may repeat one value."""
    claims = pq.read_metadata(path)
    groups = [claims.row_group(at) for at in range(claims.num_row_groups)]
    unpacked = sum(one.total_byte_size for one in groups)
    if (of_groups := sum(one.num_rows for one in groups)) != claims.num_rows:
        raise ValueError(f"{claims.num_rows:,} rows in all, and {of_groups:,} in its groups")
    numbers = float(claims.num_rows) * max(1, claims.num_columns)
    check_memory(
        2 * max(8 * numbers, unpacked),  # as Arrow's and as pandas'
        f"{path.name!r}, of {claims.num_rows:,} rows and {claims.num_columns:,} columns,",
        "check that it is the right file, or split it",
        each=1,
    )


def _check_header(stream: IO[bytes], separator: str, file: str) -> None:
    """Refuse a header that names a column twice; pandas would rename one of them."""
    line = stream.readline(MAX_HEADER).decode("utf-8-sig")
    names = next(csv.reader(io.StringIO(line), delimiter=separator), [])
    for name in names:
        if name and names.count(name) > 1:
            raise DataError(
                "two columns have this name", mend="rename one", file=file, column=printable(name)
            )


def check_inside(path: Path, root: Path) -> Path:
    """The path, if it lies below the root when links are followed.

    Raises
    ------
    DataError
        If it does not.
    """
    if not path.resolve().is_relative_to(root.resolve()):
        raise DataError("the file lies outside the directory", mend="move it in", file=str(path))
    return path


def printable(text: str) -> str:
    """Text from a file as it may be shown on a terminal: control characters become dots."""
    return "".join(char if char.isprintable() else "." for char in text[:200])


def told(error: Exception) -> str:
    """The first line of an error of a library; its kind where it says nothing."""
    return printable((str(error).splitlines() or [type(error).__name__])[0])


def read_arrays(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    """Read named arrays of an ``.npz`` file, all of the same length, none of them pickled.

    Raises
    ------
    DataError
        If the file is missing, truncated, lacks an array, holds objects, or lengths differ.
    """
    if not path.is_file():
        raise DataError("no such file", mend="check the path", file=str(path))
    try:
        # Our own stream: NumPy leaves its open where the archive is broken.
        with path.open("rb") as stream:
            if not zipfile.is_zipfile(stream):
                raise ValueError("no archive of arrays, or a truncated one")
            stream.seek(0)
            with zipfile.ZipFile(stream) as members:
                _check_members(members, [f"{name}.npy" for name in names])
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as archive:
                found = archive.files
                arrays = {name: archive[name] for name in names if name in found}
    except (*UNREADABLE, *IMPOSSIBLE) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"not a readable npz file ({told(error)})",
            mend="fetch or compute it again",
            file=path.name,
        ) from error
    for name in names:
        if name not in arrays:
            raise DataError(
                f"the array is not there; found {', '.join(found)}",
                mend="write the file again with it",
                file=path.name,
                column=name,
            )
        if arrays[name].ndim == 0:
            raise DataError(
                "a single value, not one a face",
                mend="write the file again",
                file=path.name,
                column=name,
            )
        if len(arrays[name]) != len(arrays[names[0]]):
            raise DataError(
                f"{len(arrays[name])} entries, but {names[0]!r} has {len(arrays[names[0]])}",
                mend="write the file again",
                file=path.name,
                column=name,
            )
    return arrays


def _check_members(archive: zipfile.ZipFile, names: list[str]) -> None:
    """Refuse arrays that are there twice, unpack to too much, or claim more than they hold."""
    members = archive.infolist()
    size = sum(one.file_size for one in members)
    if size > MAX_UNPACKED:
        raise ValueError(f"it unpacks to {size / 1e9:.1f} GB; at most {MAX_UNPACKED / 1e9:.1f} GB")
    check_memory(2 * size, f"arrays of {size:,} bytes unpacked", "check the file", each=1)
    found = [one.filename for one in members]
    for name in names:
        if found.count(name) > 1:
            raise ValueError(f"{name} is there {found.count(name)} times")
    for one in members:
        if one.filename in names:
            with archive.open(one) as stream:
                claimed = _claimed(stream)
            if claimed > one.file_size:
                raise ValueError(
                    f"{one.filename} claims {claimed / 2**30:,.3g} GiB, and {one.file_size:,} "
                    "bytes are there"
                )


def _claimed(stream: IO[bytes]) -> float:
    """Bytes of an array by its header."""
    version = np.lib.format.read_magic(stream)
    read = {(1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0}.get(version)  # fmt: skip
    if read is None:
        raise ValueError(f"an array of format {version}")
    shape, _, kind = read(stream)
    return math.prod(map(float, shape)) * kind.itemsize
