"""The one error that bad data ends in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np


class DataError(ValueError):
    """Data that cannot be used as they are, with the place and a hint.

    Parameters
    ----------
    problem : str
        What was found, with the offending value.
    hint : str
        What the user can do about it.
    file : str, optional
        File (or frame, or group of a study) the data came from.
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
        """Pickled and copied by its parts: an exception's own way knows its text alone."""
        own = {name: getattr(self, name) for name in ("hint", "file", "column", "row")}
        more = {key: value for key, value in self.__dict__.items() if key not in own}
        return partial(type(self), **own), (self.problem,), more


class SamplingWarning(UserWarning):
    """That a fit goes on to Markov chains, why, and how long that may take."""


def shown(value: object) -> str:
    """A value as a person writes it: a NumPy scalar without its type."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def at_first(bad: Any, problem: str, *, hint: str, file: str, column: str) -> DataError:
    """The error of the first row where `bad` holds, with how many more there are.

    Parameters
    ----------
    bad : ndarray (row,) of bool
        Where none holds, as where the problem is of the column's type, no row is named.
    problem, hint, file, column : str
        As in `DataError`.

    Examples
    --------
    >>> import numpy as np
    >>> bad = np.array([False, True, True])
    >>> print(at_first(bad, "'x' is no number", hint="write one", file="a.csv", column="age"))
    a.csv, column 'age', row 2: 'x' is no number (and 1 more row like it). Hint: write one.
    """
    count = int(bad.sum())
    also = "" if count < 2 else f" (and {count - 1:,} more row{'s' if count > 2 else ''} like it)"
    row = int(bad.argmax()) + 1 if count else None
    return DataError(problem + also, hint=hint, file=file, column=column, row=row)


@contextmanager
def in_file_terms(columns: Mapping[str, Mapping[str, str]]) -> Iterator[None]:
    """Raise a DataError about a renamed column under the name that it has in its file.

    Parameters
    ----------
    columns : mapping of file to {our column: the file's column}
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
    """A path as a user writes it: ``~`` is the home directory.

    Raises
    ------
    DataError
        If it is no path, or names the home of a user that is not known.

    Examples
    --------
    >>> user_path("faces/a.png").as_posix()
    'faces/a.png'
    >>> user_path("~").is_absolute()
    True
    """
    if not isinstance(path, str | os.PathLike) or "\0" in os.fspath(path):
        raise DataError(f"{path!r} is no path", hint="give a text or a pathlib.Path")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise DataError(
            f"no home directory is known for {str(path)!r}", hint="write the whole path"
        ) from error
