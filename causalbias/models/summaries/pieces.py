"""Pieces of data, one in memory at a time: of dask, of a study on disk, or of Parquet files."""

import glob
import importlib.util
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xarray as xr

from causalbias.errors import DataError, user_path
from causalbias.progress import stage
from causalbias.study.columns import EXACT
from causalbias.study.frames import frame_between
from causalbias.study.tables import with_index
from causalbias.study.tree import group_of

ROWS_AT_ONCE = 2**20  # rows of a Parquet file that are read together, in whole row groups
_FAN_IN = 8  # parts that are added at a time

PARQUET = (".parquet", ".pq")
_PARTITION = re.compile(r"[^=]+=.*")  # a directory that gives a column of its rows


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
    of_dask = type(data).__module__.startswith("dask") and hasattr(data, "to_delayed")
    return of_dask and type(data).__name__ == "DataFrame"


def pieces_of(data: Any) -> list[Piece]:
    """The pieces of a frame, a dask DataFrame, or paths of Parquet files.

    Parameters
    ----------
    data : DataFrame, dask DataFrame, str, Path or sequence of paths
        A path is a Parquet file, a directory in which and below which they are, or a pattern
        (``"runs/*.parquet"``). Files are in the order of their names. As with pyarrow and Spark,
        files and directories whose name begins with ``.`` or ``_`` are none of the data.

    Raises
    ------
    DataError
        If there is no such file, it cannot be read, its rows would count twice, or the name of
        its directory is a value of its rows (``race=asian/``).
    """
    if isinstance(data, pd.DataFrame):
        return [Piece("data", 0, with_index(data, "data"))]
    if is_dask(data):
        return [Piece(f"partition {at}", 0, one) for at, one in enumerate(data.to_delayed())]
    found: list[Piece] = []
    for path in _distinct([data] if isinstance(data, str | Path) else data):
        found += _row_groups(path)
    return found


def pieces_of_study(study: xr.DataTree, group: str) -> list[Piece]:
    """The pieces of a study whose arrays are dask arrays.

    Parameters
    ----------
    study : Study
    group : {"machine", "human"}
        Pieces are of some pairs, each with all systems, or of some judgements.
    """
    from dask.delayed import delayed

    dim = "pair" if group == "machine" else "judgement"
    dataset = group_of(study, group)
    each = max(1, ROWS_AT_ONCE // math.prod(n for name, n in dataset.sizes.items() if name != dim))
    chunk = max(n for one in dataset.variables.values() for n in one.chunksizes.get(dim, (1,)))
    each -= each % chunk if chunk <= each else 0  # a chunk is read once, where it is not too large
    whole = delayed(study, traverse=False, pure=False)
    rows = delayed(frame_between, pure=False)
    return [
        Piece(f"/{group}, from {dim} {at:,}", 0, rows(whole, group, at, at + each))
        for at in range(0, dataset.sizes[dim], each)
    ]


def _distinct(given: Sequence[str | Path]) -> list[Path]:
    """The files of paths, each of which is given once."""
    seen: dict[Path, Path] = {}
    for path in (file for one in given for file in _files(one)):
        partition = next((part for part in path.parts[:-1] if _PARTITION.fullmatch(part)), None)
        if partition is not None:
            raise DataError(
                f"the directory {partition!r} gives a column of the rows, which is not in the file",
                hint="write the column into the files, or rename the directory if it says nothing "
                "of the rows",
                file=str(path),
            )
        whole = path.resolve()
        if whole in seen:
            raise DataError(
                f"the same file as {seen[whole]}: its rows would count twice",
                hint="give each file once",
                file=str(path),
            )
        seen[whole] = path
    return list(seen.values())


def _files(given: str | Path) -> list[Path]:
    path = user_path(given)
    if path.is_dir():
        found = _below(path)
    elif path.is_file():
        found = [path]
    else:
        written = set(path.parts)  # a hidden name that the pattern has is meant
        met = sorted(map(Path, glob.glob(str(path), recursive=True)))
        met = [one for one in met if not _hidden([p for p in one.parts if p not in written])]
        files = (file for one in met for file in (_below(one) if one.is_dir() else [one]))
        found = list(dict.fromkeys(files))
    if not found:
        raise DataError(
            "no Parquet file here",
            hint="give a directory, a file or a pattern such as 'runs/*.parquet'; a table in "
            "another format is given as a DataFrame, such as pd.read_csv(path)",
            file=str(path),
        )
    return found


def _below(folder: Path) -> list[Path]:
    """Parquet files in a directory and below it, without what other programs keep for themselves.

    Copies of editors (``.ipynb_checkpoints``) and unfinished writes (``_temporary``) would make
    rows count twice.
    """
    found = (one for end in PARQUET for one in folder.rglob(f"*{end}") if one.is_file())
    return sorted(one for one in found if not _hidden(one.relative_to(folder).parts))


def _hidden(names: Iterable[str]) -> bool:
    return any(name.startswith((".", "_")) for name in names if name not in (".", ".."))


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
    return names_of(piece.source) if isinstance(piece.source, RowGroups) else None


def names_of(source: Any) -> list[str]:
    """Names of all columns of a piece whose rows are at hand."""
    if not isinstance(source, RowGroups):
        return list(map(str, source))
    with pq.ParquetFile(source.path) as file:
        return list(map(str, file.schema_arrow.names))


def numbers_in(source: Any) -> list[str]:
    """Columns of a Parquet file that are numbers by its schema; of other pieces none.

    Whole numbers that may be beyond what floats hold exactly are not among them: they are ids.
    """
    if not isinstance(source, RowGroups):
        return []
    with pq.ParquetFile(source.path) as file:
        schema, metadata = file.schema_arrow, file.metadata
    groups = [metadata.row_group(at) for at in source.groups]
    return [one.name for one in schema if _is_number(one, groups)]


def _is_number(field: pa.Field, groups: Sequence[pq.RowGroupMetaData]) -> bool:
    if pa.types.is_floating(field.type):
        return True
    if not pa.types.is_integer(field.type):
        return False
    if field.type.bit_width < 64:
        return True
    for group in groups:
        columns = (group.column(at) for at in range(group.num_columns))
        own = next((one for one in columns if one.path_in_schema == field.name), None)
        told = None if own is None or not own.is_stats_set else own.statistics
        if told is None or not told.has_min_max or max(-told.min, told.max) > EXACT:
            return False
    return True


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
            frame = with_index(found.to_pandas(split_blocks=True), name)
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

        # One node of the graph, whose levels dask need not look through, and not one a piece.
        of_all = delayed(step, traverse=False, pure=False)
        level = [delayed(_step)(of_all, one.source, one.name, one.first_row) for one in pieces]
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


def _step[T](step: Callable[[Any, str, int], T], source: Any, name: str, first_row: int) -> T:
    return step(source, name, first_row)


def is_delayed(source: object) -> bool:
    """Whether a piece's source is a task of dask."""
    return type(source).__module__.startswith("dask")
