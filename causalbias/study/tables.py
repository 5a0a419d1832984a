"""Check tidy frames; every failure raises one DataError with file, column, row and a hint.

pandera is imported where a frame is checked: it takes a third of a second, and models need none.
"""

import functools
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from causalbias.errors import DataError, at_first, shown
from causalbias.study.columns import (
    MINUS,
    SPREADSHEET_ERRORS,
    is_number,
    labels,
    looks,
    measured,
    typed,
)

if TYPE_CHECKING:
    import pandera.pandas as pa


UNNAMED = re.compile(r"|Unnamed: [0-9]+")  # as pandas calls a column without a name


def number_column(low: float | None = None, high: float | None = None) -> "pa.Column":
    """Make the schema of a column of finite numbers in [low, high]; missing cells are ignored."""
    import pandera.pandas as pa

    checks = []
    if low is not None:
        checks.append(pa.Check.ge(low, error=f"is below {low:g}"))
    if high is not None:
        checks.append(pa.Check.le(high, error=f"is above {high:g}"))
    checks.append(pa.Check(lambda values: np.isfinite(values), error="is not finite"))
    return pa.Column(float, checks, nullable=True)


def check_frame(
    frame: pd.DataFrame,
    numbers: Mapping[str, "pa.Column"],
    *,
    file: str,
    text: Sequence[str] = (),
    levels: Sequence[str] = (),
    factors: Sequence[str] = (),
    missing: Sequence[str] = (),
    unique: Sequence[str] = (),
) -> pd.DataFrame:
    """Check the columns of a frame and convert them to the types of a study.

    Parameters
    ----------
    frame : DataFrame
        One row per record.
    numbers : mapping of str to pandera Column
        Numeric columns and their ranges (see `measured`).
    file : str
        Name used in errors.
    text : sequence of str
        Columns of ids, which become text (see `labels`).
    levels : sequence of str
        Columns of labels, which become text and keep the order of levels.
    factors : sequence of str
        Columns that are numeric, or otherwise treated as `levels`.
    missing : sequence of str
        Columns among these that may have missing cells. All further columns may have them, and are
        converted by `typed`.
    unique : sequence of str
        Columns that together identify a row.

    Raises
    ------
    DataError
        If a value is invalid. The error names the first bad row and the number of others.
    """
    import pandera.pandas as pa

    if frame.empty:
        raise DataError("no rows", hint="give a table with at least one row", file=file)
    frame = named_columns(frame, file).reset_index(drop=True)
    known = [*numbers, *text, *levels, *factors]
    check_columns(frame, known, file=file)

    def read(name: str) -> pd.Series:
        if name in numbers:
            return measured(frame[name], file=file)
        if name in text:
            return labels(frame[name], file=file).astype("str")
        plain = typed(frame[name], file=file)
        is_label = name in levels or (name in factors and not is_number(plain))
        return labels(frame[name], file=file) if is_label else plain

    made = pd.DataFrame({name: read(name) for name in map(str, frame)}, index=frame.index)
    for name in known:
        gone = made[name].isna().to_numpy(bool)
        if name not in missing and gone.any():
            written = frame[name].iloc[int(gone.argmax())]
            damaged = isinstance(written, str) and written.strip() in SPREADSHEET_ERRORS
            problem = (
                f"{written!r} is an error value of a spreadsheet"
                if damaged
                else f"{written!r} stands for a missing value"
                if isinstance(written, str) and written.strip()
                else "the value is missing"
            )
            hint = "fill it in, or leave the row out"
            raise at_first(gone, problem, hint=hint, file=file, column=name)
    ranges = dict(numbers) | {name: number_column() for name in factors if _is_float(made[name])}
    try:
        checked = pa.DataFrameSchema(ranges).validate(made, lazy=True)
    except (pa.errors.SchemaErrors, pa.errors.SchemaError) as error:
        raise _translate(error, file) from None
    if unique:
        check_unique(checked, unique, file=file)
    return checked


def _is_float(values: pd.Series) -> bool:
    return pd.api.types.is_float_dtype(values)


def named_columns(frame: pd.DataFrame, file: str) -> pd.DataFrame:
    """Return the frame if its columns have different names.

    Raises
    ------
    DataError
        If two columns have the same name, or a name is not text.
    """
    for name in frame.columns:
        if not isinstance(name, str):
            raise DataError(
                f"a column is called {name!r}",
                hint="give every column a text as its name",
                file=file,
            )
    _check_distinct(frame, file)
    return frame


def _check_distinct(frame: pd.DataFrame, file: str) -> None:
    """Refuse two columns of one name: which of them is meant is not known."""
    if not frame.columns.is_unique:
        raise DataError(
            "two columns have this name",
            hint="rename one, or leave it out",
            file=file,
            column=str(frame.columns[frame.columns.duplicated()][0]),
        )


def with_index(frame: pd.DataFrame, file: str) -> pd.DataFrame:
    """Convert the named levels of a frame's index to columns, and reset the index.

    Raises
    ------
    DataError
        If a level contradicts a column with the same name, or two columns have the same name.

    Examples
    --------
    >>> faces = pd.DataFrame({"seed": ["1", "2"], "level": [0, 1]}).set_index("seed")
    >>> with_index(faces, "stimuli").columns.tolist()
    ['seed', 'level']
    """
    _check_distinct(frame, file)
    index = frame.index
    levels = {}
    for at, name in enumerate(index.names):
        values = index.get_level_values(at)
        if name is None:
            continue
        if name in levels or (name in frame and not values.equals(pd.Index(frame[name]))):
            raise DataError(
                "the index and a column have this name, or two of its levels",
                hint="rename one, or drop the index by frame.reset_index(drop=True)",
                file=file,
                column=str(name),
            )
        levels[name] = pd.Series(values).reset_index(drop=True)
    plain = frame.reset_index(drop=True)
    added = {name: values for name, values in levels.items() if name not in frame}
    return pd.concat([pd.DataFrame(added), plain], axis=1) if added else plain


def table_of(frame: pd.DataFrame, file: str) -> tuple[pd.DataFrame, int]:
    """Return a frame with its named index as columns, and the number of columns left out.

    A column without a name that numbers the rows, as R and pandas write it, is left out.

    Raises
    ------
    DataError
        If `frame` is not a DataFrame, or files cannot hold the name of a column.
    """
    if not isinstance(frame, pd.DataFrame):
        raise DataError(
            f"the table is a {type(frame).__name__}", hint="give a DataFrame", file=file
        )
    frame = named_columns(with_index(frame, file), file)
    unnamed = [name for name in frame if UNNAMED.fullmatch(str(name).strip())]
    for name in unnamed:
        values = typed(frame[name], file=file)
        if not (pd.api.types.is_integer_dtype(values) and values.is_unique):
            raise DataError(
                "a column has no name, and is not the rows' numbers",
                hint="give it a name, or leave it out",
                file=file,
            )
    frame = frame.drop(columns=unnamed)
    for name in map(str, frame):
        held = name.encode("utf-8", "replace").decode() == name
        if "/" in name or "\0" in name or name == "." or not held:
            raise DataError(
                f"a column is called {name!a}, which files of studies cannot hold",
                hint="rename it, without a slash, a NUL or half of a character",
                file=file,
            )
    return frame, len(unnamed)


def check_columns(frame: pd.DataFrame, names: Sequence[str], *, file: str) -> None:
    """Raise DataError unless every name is a column of `frame`."""
    for name in names:
        if name not in frame:
            raise DataError(
                f"the column is not there; found {', '.join(map(str, frame.columns))}",
                hint=f"add it, or map another column to {name!r}",
                file=file,
                column=name,
            )


def check_unique(
    frame: pd.DataFrame, columns: Sequence[str], *, file: str, hint: str = "keep one row for each"
) -> None:
    """Raise DataError if two rows agree in all of `columns`."""
    duplicated = frame.duplicated(list(columns)).to_numpy()
    if not duplicated.any():
        return
    position = int(duplicated.argmax())
    key = frame.iloc[position][list(columns)]
    first = int((frame[list(columns)] == key).all(axis=1).to_numpy().argmax())
    values_of_key = ", ".join(f"{name} {value}" for name, value in key.items())
    raise at_first(
        duplicated,
        f"{values_of_key} occurs again (first in row {first + 1})",
        hint=hint,
        file=file,
        column=" + ".join(columns),
    )


def check_known(
    values: pd.Series, known: Sequence[Any] | pd.Index, *, what: str, file: str, column: str
) -> None:
    """Raise DataError if a value of the column is not among the known ones."""
    distinct = pd.Index(values.dropna().unique())
    strangers = distinct[pd.Index(known).unique().get_indexer(distinct) < 0]
    if strangers.empty:
        return
    unknown = values.isin(strangers).to_numpy()
    value = values.iloc[int(unknown.argmax())]
    found = spelled_apart([value], known)
    like = [one for one in known if _digits(one) == _digits(value)]
    like = like or ([] if found is None else [found[1]])
    listed = ", ".join(map(str, list(known)[:12])) + (", ..." if len(known) > 12 else "")
    show = ascii if like and looks(str(like[0])) == looks(str(value)) else shown
    raise at_first(
        unknown,
        f"{show(value)} is not a known {what}" + (f" ({show(like[0])} is one)" if like else ""),
        hint=f"use one of {listed}",
        file=file,
        column=column,
    )


# What ids of two tables may differ in that are one, and how they are written without it.
_SPELLINGS: dict[str, Callable[[str], str]] = {
    "zeros at the start of a number": lambda one: re.sub(r"(?<![0-9.])0+(?=[0-9])", "", one),
    "spaces": lambda one: re.sub(r"[\s_-]+", " ", MINUS.sub("\N{MINUS SIGN}", one.strip())),
    "capitals": str.casefold,
    "how letters are composed": looks,
    "a decimal point": lambda one: re.sub(r"\.0+$", "", one),
    "the ending of a file's name": lambda one: re.sub(
        r"\.(?:jpe?g|png|webp|bmp|tiff?|gif)$", "", one, flags=re.IGNORECASE
    ),
}


def spelled_apart(first: Iterable[object], second: Iterable[object]) -> tuple[str, str, str] | None:
    """An id of each of two tables that is not in the other, but for its spelling, and in what.

    Examples
    --------
    >>> spelled_apart(["7", "8"], ["007", "008"])
    ('7', '007', 'zeros at the start of a number')
    >>> spelled_apart(["Ann 1", "bo"], ["ann_1", "bo"]), spelled_apart(["1"], ["1", "01"])
    (('Ann 1', 'ann_1', 'spaces and capitals'), None)
    >>> spelled_apart(["age_-2"], ["age_2"]) is None
    True
    """
    one, other = ({str(each) for each in ids} for ids in (first, second))
    alone, others = one - other, other - one
    if alone and others:  # most ids differ in more than spelling, and are tried no further
        plain = {_plainly(each, tuple(_SPELLINGS)) for each in alone}
        others = {each for each in others if _plainly(each, tuple(_SPELLINGS)) in plain}
        plain = {_plainly(each, tuple(_SPELLINGS)) for each in others}
        alone = {each for each in alone if _plainly(each, tuple(_SPELLINGS)) in plain}
    for number in range(1, len(_SPELLINGS) + 1) if alone and others else ():
        for some in combinations(_SPELLINGS, number):
            written = {_plainly(each, some): each for each in sorted(others)}
            for each in sorted(alone):
                if _plainly(each, some) in written:
                    return each, written[_plainly(each, some)], " and ".join(some)
    return None


def _plainly(one: str, spellings: Sequence[str]) -> str:
    return functools.reduce(lambda text, name: _SPELLINGS[name](text), spellings, one)


def check_spelling(
    ids: Iterable[object], known: Iterable[object], *, of: str, file: str, column: str | None = None
) -> None:
    """Refuse ids of which a table of ids has the same, but in another spelling.

    Rows would be joined to none of its rows, without a sign.

    Parameters
    ----------
    ids : iterable
        Ids that are to be found in the table.
    known : iterable
        Ids of the table.
    of : str
        Whose ids the first are: "the scores".
    file, column : str
        Of the table.
    """
    if (found := spelled_apart(ids, known)) is not None:
        raise DataError(
            f"id {found[0]!r} of {of} is {found[1]!r} here: they differ in {found[2]} only",
            hint="write ids alike, as text",
            file=file,
            column=column,
        )


def _digits(label: object) -> str:
    """Remove from a label what spreadsheets and pandas add to or remove from numbers."""
    return re.sub(r"\.0+$", "", str(label)).lstrip("0") or "0"


def one_path(path: str) -> str:
    r"""Write a path with forward slashes and without redundant steps.

    Examples
    --------
    >>> one_path(r"faces\.\old\..\a.png")
    'faces/a.png'
    """
    plain = posixpath.normpath(path.replace("\\", "/"))
    return "/" + plain.lstrip("/") if plain.startswith("/") else plain


def check_comparisons(frame: pd.DataFrame, image: pd.Series | None, file: str) -> None:
    """Refuse pairs of a face with itself, and pairs that occur twice.

    Parameters
    ----------
    frame : DataFrame
        `pair`, `stimulus_a`, `stimulus_b`.
    image : Series, optional
        Image of each stimulus, missing if it is unknown; stimuli with the same image are the same
        face.
    file : str
        Name used in errors.

    Raises
    ------
    DataError
        If there is such a pair. The error names the rows.
    """
    column = "stimulus_a + stimulus_b"
    faces = [frame["stimulus_a"], frame["stimulus_b"]]
    if image is not None:
        paths = image.map(one_path, na_action="ignore")
        of = paths.fillna(pd.Series(image.index, index=image.index))
        faces = [of.loc[one].reset_index(drop=True) for one in faces]
    codes = np.sort(pd.factorize(pd.concat(faces))[0].reshape(2, -1), axis=0)
    itself = codes[0] == codes[1]
    if itself.any():
        one, other = frame[["stimulus_a", "stimulus_b"]].iloc[int(itself.argmax())]
        what = f"{one!r} beside itself" if one == other else f"{one!r} and {other!r}, of one image,"
        what = f"{what} is no comparison" if one == other else f"{what} are no comparison"
        raise at_first(itself, what, hint="leave the row out", file=file, column=column)
    keys = pd.DataFrame(codes.T)
    again = keys.duplicated().to_numpy()
    if again.any():
        row = int(again.argmax())
        first = int((keys == keys.iloc[row]).all(axis=1).to_numpy().argmax())
        what = (
            f"{frame['stimulus_a'].iloc[row]!r} and {frame['stimulus_b'].iloc[row]!r} are compared "
            f"in row {first + 1} already, as pair "
            f"{frame['pair'].iloc[first]!r}, and here as {frame['pair'].iloc[row]!r}"
        )
        hint = "keep one pair of two faces, whichever comes first"
        raise at_first(again, what, hint=hint, file=file, column=column)


def checked_status(status: pd.Series, distance: pd.Series, *, file: str) -> pd.Series:
    """Check and normalise statuses: "ok", or the reason why there is no distance.

    Parameters
    ----------
    status, distance : Series
        Columns with the same index. "ok" may be written in upper case and with spaces around it.
    file : str
        Name used in errors.

    Returns
    -------
    Series
        Statuses as text. Missing cells stay missing.

    Raises
    ------
    DataError
        If a row has a distance and a status other than "ok", since the distance would be lost.

    Examples
    --------
    >>> both = pd.DataFrame({"status": ["OK ", "no face"], "distance": [0.3, None]})
    >>> checked_status(both["status"], both["distance"], file="distances").tolist()
    ['ok', 'no face']
    """

    def written(one: object) -> object:
        return "ok" if isinstance(one, str) and one.strip().casefold() == "ok" else one

    plain = status.astype(object).map(written).rename("status")
    found = labels(plain, file=file).astype("str")
    value = pd.to_numeric(distance.astype(object), errors="coerce").to_numpy(float, na_value=np.nan)
    lost = (found.notna() & (found != "ok")).to_numpy(bool) & np.isfinite(value)
    if lost.any():
        row = int(lost.argmax())
        raise at_first(
            lost,
            f"the status is {found.iloc[row]!r} although there is a distance, {value[row]:g}",
            hint='write "ok" as its status, or leave the distance blank',
            file=file,
            column="status",
            places=status.index,
        )
    return found


def _translate(error: Any, file: str) -> DataError:
    """Translate a report of pandera to a DataError for the first failing row."""
    cases: pd.DataFrame = error.failure_cases
    cases = cases[cases["index"].notna()] if cases["index"].notna().any() else cases
    case = cases.iloc[0]
    column, check = str(case["column"]), str(case["check"])
    same = cases[(cases["column"] == case["column"]) & (cases["check"] == case["check"])]
    row = int(case["index"]) + 1 if pd.notna(case["index"]) else None
    value = case["failure_case"]
    if "coerce" in check or "dtype" in check:
        problem, hint = f"{shown(value)} is not a number", "write a number"
    else:
        problem, hint = f"{value} {check}", "correct the value or the declared range"
    more = len(same) - 1
    if more:
        problem += f" (and {more:,} more like it)"
    return DataError(problem, hint=hint, file=file, column=column, row=row)
