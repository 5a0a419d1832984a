"""Pieces of data, one in memory at a time: partitions of dask, or row groups of Parquet files."""

import glob
import importlib.util
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from causalbias.errors import DataError, user_path
from causalbias.progress import stage
from causalbias.study.tables import with_index

ROWS_AT_ONCE = 2**20  # rows of a Parquet file that are read together, in whole row groups
_FAN_IN = 8  # parts that are added at a time

PARQUET = (".parquet", ".pq")


@dataclass(frozen=True)
class RowGroups:
    """Some row groups of a Parquet file."""

    path: str
    groups: tuple[int, ...]


@dataclass(frozen=True)
class Piece:
    """A part of the data.

    Attributes
    ----------
    name : str
        For errors: a file, or the number of a partition.
    first_row : int
        Rows of the file before this piece.
    source : DataFrame, RowGroups or dask Delayed
        From which its rows are read.
    """

    name: str
    first_row: int
    source: Any


def is_dask(data: object) -> bool:
    """Whether data are a dask DataFrame; dask is not imported for it."""
    return type(data).__module__.startswith("dask") and hasattr(data, "to_delayed")


def pieces_of(data: Any) -> list[Piece]:
    """The pieces of a frame, a dask DataFrame, or a path of Parquet files.

    Parameters
    ----------
    data : DataFrame, dask DataFrame, str or Path
        A path is a Parquet file, a directory in which and below which they are, or a pattern
        (``"runs/*.parquet"``). Files are in the order of their names.

    Raises
    ------
    DataError
        If there is no such file, or it cannot be read.
    """
    if isinstance(data, pd.DataFrame):
        return [Piece("data", 0, with_index(data, "data"))]
    if is_dask(data):
        return [Piece(f"partition {at}", 0, one) for at, one in enumerate(data.to_delayed())]
    found: list[Piece] = []
    for path in _files(data):
        found += _row_groups(path)
    return found


def _files(given: str | Path) -> list[Path]:
    path = user_path(given)
    if path.is_dir():
        found = sorted(one for end in PARQUET for one in path.rglob(f"*{end}"))
    elif path.is_file():
        found = [path]
    else:
        found = sorted(map(Path, glob.glob(str(path), recursive=True)))
    if not found:
        raise DataError(
            "no Parquet file here",
            hint="give a directory, a file or a pattern such as 'runs/*.parquet'",
            file=str(path),
        )
    return found


def _row_groups(path: Path) -> list[Piece]:
    try:
        with pq.ParquetFile(path) as file:
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    except Exception as error:  # pyarrow raises errors of several kinds on what is no such file
        raise _unreadable(path, error) from error
    found: list[Piece] = []
    groups: list[int] = []
    start = held = 0
    for group, size in enumerate(sizes):
        if groups and held + size > ROWS_AT_ONCE:
            found.append(Piece(str(path), start, RowGroups(str(path), tuple(groups))))
            groups, start, held = [], start + held, 0
        groups.append(group)
        held += size
    return [*found, Piece(str(path), start, RowGroups(str(path), tuple(groups)))]


def _unreadable(path: Path | str, error: Exception) -> DataError:
    return DataError(
        f"not a readable Parquet file ({type(error).__name__}: {error})",
        hint="write it again, or leave it out of the directory",
        file=str(path),
    )


def columns_in(piece: Piece) -> list[str] | None:
    """Names of the columns of a Parquet file, without reading it; None of other pieces."""
    if not isinstance(piece.source, RowGroups):
        return None
    with pq.ParquetFile(piece.source.path) as file:
        return list(map(str, file.schema_arrow.names))


def numbers_in(source: Any) -> list[str]:
    """Columns of a Parquet file that are numbers by its schema; of other pieces none."""
    if not isinstance(source, RowGroups):
        return []
    with pq.ParquetFile(source.path) as file:
        schema = file.schema_arrow
    return [one.name for one in schema if pa.types.is_integer(one.type) or _is_real(one.type)]


def _is_real(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def read(
    source: Any, name: str, columns: Iterable[str], plain: Iterable[str] = ()
) -> tuple[pd.DataFrame, set[str]]:
    """The rows of a piece with those of the columns that it has, and which are text in numbers.

    Texts of Parquet files are read as their numbers in a dictionary, as a categorical whose order
    says nothing, but for columns that are to be ``plain``.
    """
    wanted, numbered = list(dict.fromkeys(columns)), set[str]()
    if isinstance(source, RowGroups):
        try:
            with pq.ParquetFile(source.path) as file:
                schema = file.schema_arrow
            own = [one for one in wanted if one in set(schema.names)]
            texts = {one for one in own if _is_text(schema.field(one).type)}
            numbered = texts - set(plain)
            with pq.ParquetFile(source.path, read_dictionary=sorted(numbered)) as file:
                found = file.read_row_groups(source.groups, columns=own, use_threads=False)
            frame = with_index(found.to_pandas(), name)
        except DataError:
            raise
        except Exception as error:
            raise _unreadable(source.path, error) from error
    else:
        frame = with_index(source, name)
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(
            "two columns have this name", hint="rename one", file=name, column=str(twice[0])
        )
    return frame[[one for one in wanted if one in frame]], numbered


def over_pieces[T](
    pieces: Sequence[Piece],
    step: Callable[[Any, str, int], T],
    add: Callable[[Sequence[T]], T],
    what: str,
) -> T:
    """What a step makes of each piece, added up in a tree.

    With dask this runs on its active scheduler: threads, processes, or the workers of a cluster's
    client. A step is a pure function of its piece, so that one whose worker died is run again.
    Without dask, and of a single piece, it runs here, piece after piece.

    Parameters
    ----------
    pieces : sequence of Piece
    step : callable
        Of a piece's source, name and first row.
    add : callable
        Of several results.
    what : str
        What is said of it while it runs.
    """
    stage(f"{what}: {len(pieces):,} pieces")
    if len(pieces) > 1 and importlib.util.find_spec("dask") is not None:
        from dask.delayed import delayed

        level = [delayed(step)(one.source, one.name, one.first_row) for one in pieces]
        while len(level) > 1:
            some = [level[at : at + _FAN_IN] for at in range(0, len(level), _FAN_IN)]
            level = [delayed(add)(one) if len(one) > 1 else one[0] for one in some]
        found: T = level[0].compute()
        return found
    if any(is_delayed(one.source) for one in pieces):
        pieces = [Piece(one.name, one.first_row, one.source.compute()) for one in pieces]
    held: list[T] = []
    for one in pieces:
        held.append(step(one.source, one.name, one.first_row))
        if len(held) == _FAN_IN:
            held = [add(held)]
    return add(held)


def is_delayed(source: object) -> bool:
    """Whether a piece's source is a task of dask."""
    return type(source).__module__.startswith("dask")
