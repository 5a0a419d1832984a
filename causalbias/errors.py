"""The error for data and arguments that cannot be used."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np


class DataError(ValueError):
    """Error for data that cannot be used, with their place and a hint.

    Parameters
    ----------
    problem : str
        Description of the problem, with the invalid value.
    hint : str
        What the user can do about it.
    file : str, optional
        File (or frame, or group of a study) from which the data came.
    column : str, optional
        Column, variable or coordinate.
    row : int, optional
        Data row, counted from 1 below the header.

    Examples
    --------
    >>> print(DataError("140 is above 100", hint="correct the score", file="a.csv",
    ...                 column="score", row=3))
    a.csv, column 'score', row 3: 140 is above 100. Hint: correct the score.
    """

    def __init__(
        self,
        problem: str,
        *,
        hint: str,
        file: str | None = None,
        column: str | None = None,
        row: int | None = None,
    ) -> None:
        self.problem = problem
        self.hint = hint
        self.file = file
        self.column = column
        self.row = row
        place = ", ".join(
            part
            for part in (
                file,
                None if column is None else f"column {column!r}",
                None if row is None else f"row {row}",
            )
            if part
        )
        text = f"{place + ': ' if place else ''}{problem}. Hint: {hint}."
        # Half of a surrogate pair cannot be printed.
        super().__init__(text.encode("utf-8", "backslashreplace").decode())

    def __reduce__(self) -> tuple[Callable[..., DataError], tuple[str], dict[str, Any]]:
        """Pickle and copy all attributes; by default, exceptions keep only their message."""
        own = {name: getattr(self, name) for name in ("hint", "file", "column", "row")}
        more = {key: value for key, value in self.__dict__.items() if key not in own}
        return partial(type(self), **own), (self.problem,), more


class SamplingWarning(UserWarning):
    """Warning that a fit continues with NUTS, with the reason and an estimate of the time."""


def shown(value: object) -> str:
    """Format a value for a message: a NumPy scalar without its type."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def at_first(
    bad: Any,
    problem: str,
    *,
    hint: str,
    file: str | None,
    column: str | None,
    places: Any = None,
) -> DataError:
    """Make the error of the first row where `bad` is true, with the number of further rows.

    Parameters
    ----------
    bad : ndarray (row,) of bool
        Bad rows. If there are none, because the problem is the column's type, no row is named.
    problem, hint, file, column : str
        As in `DataError`.
    places : Index (row,) of int, optional
        Where the rows are in the file, from 0, if others of its rows were left out before.

    Examples
    --------
    >>> import numpy as np
    >>> bad = np.array([False, True, True])
    >>> print(at_first(bad, "'x' is no number", hint="write one", file="a.csv", column="age"))
    a.csv, column 'age', row 2: 'x' is no number (and 1 more row like it). Hint: write one.
    """
    count = int(bad.sum())
    also = "" if count < 2 else f" (and {count - 1:,} more row{'s' if count > 2 else ''} like it)"
    first = int(bad.argmax())
    row = 1 + (first if places is None else int(places[first])) if count else None
    return DataError(problem + also, hint=hint, file=file, column=column, row=row)


@contextmanager
def in_file_terms(columns: Mapping[str, Mapping[str, str]]) -> Iterator[None]:
    """Raise errors about renamed columns with their names in the file.

    Parameters
    ----------
    columns : mapping of file to {our column: the file's column}
        The columns that were renamed.
    """
    try:
        yield
    except DataError as error:
        theirs = columns.get(error.file or "", {})
        ours = error.column.split(" + ") if error.column else []
        raise DataError(
            error.problem,
            hint=error.hint,
            file=error.file,
            column=" + ".join(dict.fromkeys(theirs.get(name, name) for name in ours)) or None,
            row=error.row,
        ) from None


def user_path(path: str | os.PathLike[str]) -> Path:
    """Convert a path as users write it, in which ``~`` is the home directory.

    Raises
    ------
    DataError
        If the value is not a path, or the home directory is unknown.

    Examples
    --------
    >>> user_path("faces/a.png").as_posix()
    'faces/a.png'
    >>> user_path("~").is_absolute()
    True
    """
    if not isinstance(path, str | os.PathLike) or "\0" in os.fspath(path):
        raise DataError(f"{path!r} is not a path", hint="give a text or a pathlib.Path")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise DataError(
            f"no home directory is known for {str(path)!r}", hint="write the whole path"
        ) from error
