"""Load any experiment from tidy CSV or Parquet files, with a map of their columns to ours."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from causalbias.errors import DataError, in_file_terms, user_path
from causalbias.study.build import file_record, make_study
from causalbias.study.reading import check_inside, described, is_hidden, read_table
from causalbias.study.tree import Study

TABLES = ("stimuli", "pairs", "distances", "judgements")
SUFFIXES = (".csv", ".tsv", ".parquet")
NOT_READ = (".txt", ".dat", ".gz", ".xlsx", ".xls", ".json", ".jsonl", ".feather")  # tables too
IDS = (
    *("stimulus", "stimulus_a", "stimulus_b", "pair", "system", "question", "annotator"),
    *("status", "image"),
)


def load_tidy(
    root: str | Path,
    *,
    factors: Sequence[str],
    tables: Mapping[str, str] | None = None,
    columns: Mapping[str, Mapping[str, str]] | None = None,
    identity: str = "seed",
    scales: Mapping[str, tuple[float, float]] | tuple[float, float] | None = None,
    metric: str = "distance",
    salt: bytes | None = None,
    name: str | None = None,
) -> Study:
    r"""Load a study from tidy tables in one directory.

    Parameters
    ----------
    root : str or Path
        Directory of the tables.
    factors : sequence of str
        Names of the experiment's factors, after columns were renamed by `columns`.
    tables : mapping of table to file name, optional
        File under `root` for each of "stimuli", "pairs", "distances", "judgements". By default
        these are ``<table>.csv``, ``.tsv`` or ``.parquet``, where they exist. A ``.zip`` file
        contains one CSV.
    columns : mapping of table to {column of the file: column of `make_study`}, optional
        New names of columns.
    identity, scales, metric, salt
        As in `make_study`, which also describes the columns of each table.
    name : str, optional
        Name of the study; by default the directory's name.

    Returns
    -------
    Study
        Ids are text as written in the files ("01" differs from "1"). ``/provenance`` records the
        type as which each column was read, and the number of its missing cells.

    Raises
    ------
    DataError
        If a table cannot be used. The error names file, column and row, and gives a hint.

    Examples
    --------
    >>> import causalbias as cb, tempfile, pathlib
    >>> root = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (root / "judgements.csv").write_text("who,q,pose,score\nann,alike,0,3\n")
    >>> study = cb.load("tidy", root, factors=["seed", "pose"], scales=(0, 4),
    ...                 columns={"judgements": {"who": "annotator", "q": "question"}})
    >>> cb.to_frame(study, "human")[["question", "pose", "score"]].values.tolist()
    [['alike', 0, 3.0]]
    """
    root = user_path(root)
    if not root.is_dir():
        raise DataError("no such directory", hint="check the path", file=str(root))
    _check_tables(columns or {})
    files = _files(root, tables)
    frames = {
        table: _read_renamed(path, (columns or {}).get(table, {}), {*IDS, identity})
        for table, path in files.items()
    }
    records = [
        file_record(path, len(frames[table]), described(frames[table], factors))
        for table, path in files.items()
    ]
    renamed = {
        files[table].name: {ours: theirs for theirs, ours in renames.items()}
        for table, renames in (columns or {}).items()
        if table in files
    }
    with in_file_terms(renamed):
        return make_study(
            factors=factors,
            identity=identity,
            scales=scales,
            metric=metric,
            salt=salt,
            name=name or root.name,
            files={table: path.name for table, path in files.items()},
            provenance=pd.DataFrame(records),
            stimuli=frames.get("stimuli"),
            pairs=frames.get("pairs"),
            distances=frames.get("distances"),
            judgements=frames.get("judgements"),
        )


def _read_renamed(path: Path, renames: Mapping[str, str], ids: set[str]) -> pd.DataFrame:
    """Read a table and rename its columns; those that are ids after renaming are read as text."""
    text = ids - set(renames) | {old for old, new in renames.items() if new in ids}
    frame = read_table(path, text=text)
    for column in renames:
        if column not in frame:
            raise DataError(
                f"the column map names a column that is not in the file; found "
                f"{', '.join(map(str, frame.columns))}",
                hint="correct the map",
                file=path.name,
                column=column,
            )
    renamed = frame.rename(columns=renames)
    twice = renamed.columns[renamed.columns.duplicated()]
    if len(twice):
        raise DataError(
            f"two columns are called {twice[0]!r} after the column map",
            hint="leave one out of the map, or rename it in the file",
            file=path.name,
        )
    return renamed


def _check_tables(names: Iterable[str]) -> None:
    for table in names:
        if table not in TABLES:
            raise DataError(f"no table is called {table!r}", hint=f"use {', '.join(TABLES)}")


def _files(root: Path, tables: Mapping[str, str] | None) -> dict[str, Path]:
    if tables is not None:
        _check_tables(tables)
        files = {table: root / name for table, name in tables.items()}
        return {table: check_inside(path, root) for table, path in files.items()}
    files = {}
    for path in sorted(root.iterdir()):
        table = path.stem.lower()
        if table not in TABLES or path.suffix.lower() not in SUFFIXES or is_hidden(path.name):
            continue
        if table in files:
            raise DataError(
                f"the directory holds both {files[table].name} and {path.name}",
                hint="state with tables={...} which file holds which table",
                file=str(root),
            )
        files[table] = check_inside(path, root)
    for path in sorted(root.iterdir()):
        table = path.name.lower().partition(".")[0]
        if table in TABLES and table not in files and path.suffix.lower() in NOT_READ:
            raise DataError(
                f"a file of this ending is not read as the table {table!r}",
                hint=f"write it as {table}.csv, .tsv or .parquet, or name it with tables={{...}}",
                file=path.name,
            )
    if not files:
        raise DataError(
            f"the directory holds none of {', '.join(TABLES)} (.csv, .tsv, .parquet)",
            hint="state with tables={...} which file holds which table",
            file=str(root),
        )
    return {table: files[table] for table in TABLES if table in files}
