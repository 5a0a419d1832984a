"""Checks of tables that people write by hand: one error lists every bad row."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from causalbias.errors import DataError, at_first
from causalbias.study.columns import MISSING_TEXTS, labels
from causalbias.study.reading import printable

PRESENT = ("true", "1", "yes")  # what a column `present` says of faces that are there

Fault = tuple[str, str, np.ndarray, str]


def check_rows(faults: Sequence[Fault], *, file: str) -> None:
    """Raise one DataError that lists every bad row of a table.

    Parameters
    ----------
    faults : sequence of (column, problem, bad, hint)
        `bad` is a boolean array (row,). Faults without bad rows are ignored. `column` is "" if the
        fault concerns the row as a whole.
    file : str
        Name used in the error.

    Raises
    ------
    DataError
        Its `row` and `column` are those of the first bad row; its message lists all bad rows.

    Examples
    --------
    >>> bad = np.array([False, True, True, True, False, True])
    >>> try:
    ...     check_rows([("level", "not a number", bad, "write a number")], file="a.csv")
    ... except DataError as error:
    ...     print(error)
    a.csv, column 'level', row 2: not a number (4 rows: 2-4, 6). Hint: write a number.
    """
    found = [fault for fault in faults if fault[2].any()]
    if not found:
        return
    found.sort(key=lambda fault: int(fault[2].argmax()))
    problems = [f"{problem} ({_counted(bad)})" for _, problem, bad, _ in found]
    for at, (column, *_) in enumerate(found[1:], 1):
        problems[at] = f"column {column!r}: {problems[at]}" if column else problems[at]
    raise DataError(
        "; ".join(problems),
        hint="; ".join(dict.fromkeys(fault[3] for fault in found)),
        file=file,
        column=found[0][0] or None,
        row=int(found[0][2].argmax()) + 1,
    )


def blank(values: pd.Series) -> np.ndarray:
    """Which values are missing, or texts that stand for a missing value."""
    texts = values.astype(object).map(str).str.strip()
    return (values.isna() | texts.isin(MISSING_TEXTS)).to_numpy(bool)


def check_present(values: pd.Series, *, file: str) -> None:
    """Refuse a row whose column `present` does not say that its face is there.

    Raises
    ------
    DataError
        With the first such row.

    Examples
    --------
    >>> check_present(pd.Series([True, False]), file="stimuli")
    Traceback (most recent call last):
    causalbias.errors.DataError: stimuli, column 'present', row 2: the face is marked as absent. \
Hint: leave the row out, or rename the column.
    """
    said = labels(values, file=file).astype(object).map(lambda one: str(one).casefold())
    absent = ~said.isin(PRESENT).to_numpy(bool)
    if absent.any():
        hint = "leave the row out, or rename the column"
        problem = "the face is marked as absent"
        raise at_first(absent, problem, hint=hint, file=file, column="present")


def repeated(frame: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """Which rows repeat an earlier one in `columns`."""
    return frame.duplicated(list(columns)).to_numpy(bool)


def sample(values: pd.Series, bad: np.ndarray) -> str:
    """Return the first bad value in printable form."""
    return repr(printable(str(values.iloc[int(bad.argmax())]))) if bad.any() else ""


def _counted(bad: np.ndarray) -> str:
    rows = np.flatnonzero(bad) + 1
    starts = np.flatnonzero(np.diff(rows, prepend=-1) > 1)
    ends = np.append(starts[1:], len(rows)) - 1
    ranges = [
        str(rows[a]) if a == b else f"{rows[a]}-{rows[b]}"
        for a, b in zip(starts, ends, strict=True)
    ]
    return f"{len(rows):,} row{'s' if len(rows) > 1 else ''}: {', '.join(ranges)}"
