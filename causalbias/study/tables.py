"""Checks on tidy frames: every failure is one DataError that names file, column, row and mend."""

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaError, SchemaErrors

from causalbias.errors import DataError, shown


def text_column(*, required: bool = True) -> pa.Column:
    """Schema of a column of non-empty labels; numbers become their text."""
    non_empty = pa.Check(lambda s: s.str.strip() != "", name="non_empty", error="is empty")
    no_nul = pa.Check(
        lambda s: ~s.str.contains("\0", regex=False), name="no_nul", error="holds a NUL"
    )
    return pa.Column(str, [non_empty, no_nul], required=required, coerce=True)


def number_column(
    low: float | None = None,
    high: float | None = None,
    *,
    required: bool = True,
    nullable: bool = False,
) -> pa.Column:
    """Schema of a column of finite numbers within [low, high]; missing ones if `nullable`."""
    checks = []
    if low is not None:
        checks.append(pa.Check.ge(low, error=f"is below {low:g}"))
    if high is not None:
        checks.append(pa.Check.le(high, error=f"is above {high:g}"))
    checks.append(pa.Check(lambda values: np.isfinite(values), error="is not finite"))
    return pa.Column(float, checks, required=required, nullable=nullable, coerce=True)


def check_frame(
    frame: pd.DataFrame, columns: dict[str, pa.Column], *, file: str, unique: Sequence[str] = ()
) -> pd.DataFrame:
    """Return `frame` with the schema's columns coerced to their types, or raise.

    Parameters
    ----------
    frame : DataFrame
        One row a record.
    columns : dict of str to pandera Column
        Schema; columns of the frame that it does not name pass through untouched.
    file : str
        Name used in errors.
    unique : sequence of str
        Columns that together identify a row.

    Raises
    ------
    DataError
        Naming the first bad row, and how many more are like it.
    """
    if frame.empty:
        raise DataError("no rows", mend="give a table with at least one row", file=file)
    frame = frame.reset_index(drop=True)
    check_columns(frame, [name for name, column in columns.items() if column.required], file=file)
    for name, column in columns.items():
        if name in frame:
            missing = frame[name].isna().to_numpy()
            if missing.any() and not column.nullable:
                raise _at_first(
                    missing,
                    name,
                    file,
                    "the value is missing",
                    "fill it in or leave the row out of the file",
                )
        if name in frame and str(column.dtype).startswith("str"):
            check_label_texts(frame[name], file)
    try:
        checked = pa.DataFrameSchema(columns).validate(frame, lazy=True)
    except (SchemaErrors, SchemaError) as error:
        raise _translate(error, file) from None
    if unique:
        check_unique(checked, unique, file=file)
    return checked


def check_label_texts(values: pd.Series, file: str) -> None:
    """Refuse labels that no file can hold, and two that differ and look the same.

    The same word may be written with composed and with decomposed letters, or with a mark that is
    not seen; as levels they would be two groups.
    """
    labels = [str(one) for one in values.unique()]
    if all(map(str.isascii, labels)):
        return
    seen: dict[str, str] = {}
    for one in labels:
        try:
            one.encode()
        except UnicodeEncodeError:
            problem, mend = f"{one!a} holds half of a character", "write it again as text in UTF-8"
        else:
            plain = "".join(c for c in one if c.isascii() or unicodedata.category(c) != "Cf")
            other = seen.setdefault(unicodedata.normalize("NFC", plain), one)
            if other == one:
                continue
            problem = f"{one!a} and {other!a} look the same and are two labels"
            mend = "write them alike"
        where = np.array([str(value) == one for value in values])
        raise _at_first(where, str(values.name), file, problem, mend)


def check_columns(frame: pd.DataFrame, names: Sequence[str], *, file: str) -> None:
    """Raise DataError unless every name is a column of `frame`."""
    for name in names:
        if name not in frame:
            raise DataError(
                f"the column is not there; found {', '.join(map(str, frame.columns))}",
                mend=f"add it, or map another column to {name!r}",
                file=file,
                column=name,
            )


def check_unique(frame: pd.DataFrame, columns: Sequence[str], *, file: str) -> None:
    """Raise DataError if two rows agree in all of `columns`."""
    duplicated = frame.duplicated(list(columns)).to_numpy()
    if not duplicated.any():
        return
    position = int(duplicated.argmax())
    key = frame.iloc[position][list(columns)]
    first = int((frame[list(columns)] == key).all(axis=1).to_numpy().argmax())
    told = ", ".join(f"{name} {value}" for name, value in key.items())
    raise _at_first(
        duplicated,
        " + ".join(columns),
        file,
        f"{told} occurs again (first in row {first + 1})",
        "keep one row for each",
    )


def check_known(
    values: pd.Series, known: Sequence[Any] | pd.Index, *, what: str, file: str, column: str
) -> None:
    """Raise DataError if a value of the column is not among the known ones."""
    distinct = pd.Index(values.unique())
    strangers = distinct[pd.Index(known).unique().get_indexer(distinct) < 0]
    if strangers.empty:
        return
    unknown = values.isin(strangers).to_numpy()
    value = values.iloc[int(unknown.argmax())]
    listed = ", ".join(map(str, list(known)[:12])) + (", ..." if len(known) > 12 else "")
    raise _at_first(
        unknown,
        column,
        file,
        f"{shown(value)} is not a known {what}",
        f"use one of {listed}",
    )


def _at_first(bad: Any, column: str, file: str, problem: str, mend: str) -> DataError:
    """The error for the first row where `bad` holds, telling how many more there are."""
    more = int(bad.sum()) - 1
    also = "" if more == 0 else f" (and {more:,} more row{'s' if more > 1 else ''} like it)"
    row = int(bad.argmax()) + 1
    return DataError(problem + also, mend=mend, file=file, column=column, row=row)


def _translate(error: SchemaErrors | SchemaError, file: str) -> DataError:
    """Turn pandera's report into one DataError for its first failing row."""
    cases: pd.DataFrame = error.failure_cases
    cases = cases[cases["index"].notna()] if cases["index"].notna().any() else cases
    case = cases.iloc[0]
    column, check = str(case["column"]), str(case["check"])
    same = cases[(cases["column"] == case["column"]) & (cases["check"] == case["check"])]
    row = int(case["index"]) + 1 if pd.notna(case["index"]) else None
    value = case["failure_case"]
    if "coerce" in check or "dtype" in check:
        problem, mend = f"{shown(value)} is not a number", "write a number"
    else:
        problem, mend = f"{value} {check}", "correct the value or the declared range"
    more = len(same) - 1
    if more:
        problem += f" (and {more:,} more like it)"
    return DataError(problem, mend=mend, file=file, column=column, row=row)
