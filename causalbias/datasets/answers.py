"""Tables of people's answers with columns of any name: what each holds, what is left out."""

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from causalbias.arguments import name_in, not_what
from causalbias.datasets.scores.values import numbers
from causalbias.errors import DataError, at_first, user_path
from causalbias.study.build import exclusions, file_record
from causalbias.study.columns import check_groups, check_missing_code, labels, unknown_groups
from causalbias.study.reading import read_table
from causalbias.study.tables import spelled_apart, with_index

TABLE = "answers"  # names a frame in errors


@dataclass(frozen=True)
class Answers:
    """A table of answers in the columns of an analysis.

    Attributes
    ----------
    frame : DataFrame
        One row per answer: texts (ids and groups; categoricals keep the order of their levels) and
        numbers (float64), none missing but in columns that are optional.
    columns : dict of str to str
        Column of the user's table for each of ours.
    name : str
        Of the file, or "answers".
    excluded : DataFrame
        `file`, `what`, `reason`, `count` of the rows that are left out.
    sources : DataFrame
        Files read; empty of a frame.
    rows : ndarray of int
        Row of the user's table of each row of `frame`, counted from 1 below the header.
    times : int
        How often each row of the user's table is there with all of its cells, where every row is
        there equally often: more than 1 where a table was joined to itself.
    notes : tuple of str
        Sentences on values such as "unknown", which are a group like others.
    """

    frame: pd.DataFrame
    columns: dict[str, str]
    name: str
    excluded: pd.DataFrame
    sources: pd.DataFrame
    rows: NDArray[np.int64]
    times: int = 1
    notes: tuple[str, ...] = ()

    @property
    def files(self) -> dict[str, pd.DataFrame]:
        """What a report records of the table: rows left out, and files."""
        return {"excluded": self.excluded, "sources": self.sources}

    def described(self, what: str, number: str, *more: str) -> str:
        """What was read in a few lines of text: numbers, columns, further lines, rows left out."""
        lines = [
            self.name,
            f"  {what:<11} {number}",
            *(f"  taken       {ours}: {theirs}" for ours, theirs in self.columns.items()),
            *more,
            *(f"  note        {one}" for one in self.notes),
            *(
                f"  left out    {row.count:,} {row.what}: {row.reason} ({row.file})"
                for row in self.excluded.itertuples(index=False)
            ),
        ]
        return "\n".join(lines)

    def check_sides(self, first: str, second: str) -> None:
        """Refuse ids of two columns, both of faces, say, that are one but for their spelling."""
        found = spelled_apart(self.frame[first], self.frame[second])
        if found is not None:
            one, other, what = found
            raise self.at_first(
                self.frame[second].astype("str") == other,
                f"id {other!a} is {one!a} in the column {self.columns[first]!r}: they differ in "
                f"{what} only",
                hint="write ids alike in both columns, as text",
                ours=second,
            )

    def copies(self, what: str, *keys: str) -> list[str]:
        """A sentence on rows that repeat another of equal keys, if none differs in its answer."""
        frame = self.frame
        again = int(frame.duplicated([one for one in keys if one in frame]).sum())
        if not again or frame.duplicated().sum() < again:
            return []
        of = " and ".join(keys[:2])
        return [
            f"{again:,} {what} repeat one of the same {of} with the same answer: if rows were "
            "copied, leave the copies out."
        ]

    def check_once(self) -> None:
        """Raise DataError where every row is there several times: answers would count so often."""
        if self.times > 1:
            raise DataError(
                f"every row is there {self.times} times with the same cells, as where a table was "
                "joined to itself",
                hint="keep one of each, data.drop_duplicates(); if people answered again, add a "
                "column that tells their answers apart, such as trial",
                file=self.name,
            )

    def at_first(self, bad: ArrayLike, problem: str, *, hint: str, ours: str = "") -> DataError:
        """Make the error of the first row of `frame` where `bad` is true, by the user's row."""
        in_table = np.zeros(int(self.rows.max()), bool)
        in_table[self.rows[np.asarray(bad, bool)] - 1] = True
        column = self.columns.get(ours)
        return at_first(in_table, problem, hint=hint, file=self.name, column=column)


def answers_in(
    data: pd.DataFrame | str | Path,
    text: Mapping[str, str],
    values: Mapping[str, str],
    *,
    optional: Collection[str] = (),
) -> Answers:
    """Read a table of answers, and rename its columns to those of an analysis.

    Parameters
    ----------
    data : DataFrame or path
        A table, or a CSV, TSV or Parquet file. Ids are text as written.
    text, values : mapping of our column to the user's
        Columns of ids and groups, and of numbers. Columns called "" are not there.
    optional : collection of str
        Those of ours in which a row may have a missing cell.

    Returns
    -------
    Answers
        Rows with a missing cell in another column are left out, and counted by column. Of values
        such as "unknown" and "-", which are a group like others, a warning says the number of rows.

    Raises
    ------
    DataError
        If a column is not there or has two uses, a cell is no number or a code such as -99, or no
        row is complete.

    Examples
    --------
    >>> table = pd.DataFrame({"face": ["01", "2"], "who": ["a", None], "att": [3, 4]})
    >>> found = answers_in(table, {"item": "face", "rater": "who"}, {"rating": "att"})
    >>> found.frame.values.tolist(), found.excluded["reason"].tolist()
    ([['01', 'a', 3.0]], ['who is missing'])
    """
    text = {ours: name_in(name, ours) for ours, name in text.items() if name}
    values = {ours: name_in(name, ours) for ours, name in values.items() if name}
    columns = {**text, **values}
    frame, name, sources = _read(data, list(text.values()))
    for ours, theirs in columns.items():
        if theirs not in frame:
            raise DataError(
                f"there is no column {theirs!r} for {ours}",
                hint=f"use one of {', '.join(map(str, frame.columns))}",
                file=name,
            )
        if list(columns.values()).count(theirs) > 1:
            both = " and ".join(one for one in columns if columns[one] == theirs)
            raise DataError(
                f"the column has two uses: {both}", hint="give one each", file=name, column=theirs
            )
    made = {ours: _labels(frame[theirs], name) for ours, theirs in text.items()}
    made |= {ours: _numbers(frame[theirs], name, theirs) for ours, theirs in values.items()}
    whole = pd.DataFrame({ours: one.reset_index(drop=True) for ours, one in made.items()})
    missing = whole.isna()
    missing[[one for one in made if one in optional]] = False
    first = missing.to_numpy().argmax(axis=1)[missing.any(axis=1).to_numpy()]
    notes = [
        (name, "answers", f"{columns[ours]} is missing", int(count))
        for ours, count in zip(made, np.bincount(first, minlength=whole.shape[1]), strict=True)
        if count
    ]
    complete = ~missing.any(axis=1).to_numpy()
    kept = whole[complete].reset_index(drop=True)
    if kept.empty:
        raise DataError(
            f"no row has all of {', '.join(columns[one] for one in made if one not in optional)}",
            hint="fill the cells in, or choose other columns",
            file=name,
        )
    rows = np.flatnonzero(complete) + 1
    unknown = [one for ours in text for one in unknown_groups(kept[ours], columns[ours])]
    for one in unknown:
        warnings.warn(f"{name}: {one}", UserWarning, stacklevel=3)
    left_out = exclusions(notes)
    return Answers(kept, columns, name, left_out, sources, rows, _times(frame), tuple(unknown))


def _read(
    data: pd.DataFrame | str | Path, ids: list[str]
) -> tuple[pd.DataFrame, str, pd.DataFrame]:
    """The table as it is, the name of its file, and the record of it."""
    if isinstance(data, pd.DataFrame):
        return with_index(data, TABLE), TABLE, pd.DataFrame()
    if not isinstance(data, str | Path):
        raise not_what(data, "a table or a path")
    path = user_path(data)
    frame = read_table(path, text=ids)
    return frame, path.name, pd.DataFrame([file_record(path, len(frame))])


def _numbers(values: pd.Series, file: str, column: str) -> pd.Series:
    """Numbers of a column, none of which is a code for a missing one."""
    found = numbers(values, file, column)
    check_missing_code(found.rename(column), file=file)
    return found


def _times(frame: pd.DataFrame) -> int:
    """How often each row is there, cell by cell, where it is the same number for all; else 1."""
    keys = pd.util.hash_pandas_object(frame.astype(str), index=False)
    times = keys.value_counts()
    return int(times.iloc[0]) if times.nunique() == 1 else 1


def _labels(values: pd.Series, file: str) -> pd.Series:
    """Texts of a column, of which no two look like one."""
    found = labels(values, file=file)
    check_groups(found, file=file)
    return found
