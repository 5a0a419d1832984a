"""What each column of data in pieces is: the first pass, which no cell depends on.

A column is of levels, whose labels and order are those that `levels.canonical` gives the whole
column; of values, each of which makes cells of its own; or of moments, numbers that enter the model
linearly and have too many values for that. Answers, which are counted, are of values, or of the
levels of ordered categories.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from causalbias.errors import DataError, shown
from causalbias.models.formula.conditions import condition_of
from causalbias.models.levels import canonical
from causalbias.models.rows import rows_of
from causalbias.models.summaries.pieces import Piece, numbers_in, over_pieces, read, texts_in
from causalbias.study import columns as study_columns

LEVELS, VALUES, MOMENTS = "levels", "values", "moments"
MAX_VALUES = 50  # distinct numbers of a linear column above which only its moments are kept
_NUMBERS = "numbers"


@dataclass(frozen=True)
class Found:
    """What a column is in some pieces.

    Attributes
    ----------
    kind : str
        "numbers", "truth values", "categories", "text" or "dates"; "" where all are missing.
    distinct : Series
        Its values as they are, each once; of numbers, the first few.
    order : tuple
        All categories in their order.
    piece : str
        Where it was seen first.
    ordered : bool
        Whether categories are marked as ordered in every piece.
    """

    kind: str
    distinct: pd.Series
    order: tuple[Any, ...]
    piece: str
    ordered: bool = False


@dataclass(frozen=True)
class Column:
    """What a column of the whole data is.

    Attributes
    ----------
    kind : {"levels", "values", "moments"}
    labels : tuple of str
        Its levels in order, as the model has them.
    raw : Series
        Distinct values as they are in the data; of numbers, the first few.
    codes : ndarray (distinct,) of int
        The level of each; -1 of what stands for a missing value, -2 of one not declared.
    """

    kind: str
    labels: tuple[str, ...]
    raw: pd.Series
    codes: np.ndarray


def kind_of_values(values: pd.Series, *, text: bool) -> str:
    """What values of a piece are, as `Found` has it; ``text``: a categorical is of text."""
    kind = values.dtype
    if isinstance(kind, pd.CategoricalDtype):
        return "text" if text else "categories"
    if values.isna().all():
        return ""
    if types.is_bool_dtype(kind):
        return "truth values"
    if types.is_integer_dtype(kind) and bool((values.abs() > study_columns.EXACT).any()):
        return "text"  # ids, as `typed` has them
    if types.is_numeric_dtype(kind):
        return _NUMBERS
    if types.is_object_dtype(kind) and types.infer_dtype(values, skipna=True) == "boolean":
        return "truth values"
    if types.is_datetime64_any_dtype(kind) or isinstance(kind, pd.PeriodDtype):
        return "dates"
    return "text"


def found_in(
    source: Any, name: str, names: Sequence[str], counted: Sequence[str], subset: str | None
) -> dict[str, Found]:
    """What the columns of a piece are; of numbers, some values where they are to be counted."""
    known = [one for one in numbers_in(source) if one in names and one not in counted]
    found = {one: Found(_NUMBERS, pd.Series([], dtype=float), (), name) for one in known}
    if len(known) == len(names):
        return found
    of_rows = conditioned(subset)
    if not of_rows:
        for one, texts in texts_in(source, [one for one in names if one not in found]).items():
            found[one] = Found("text" if len(texts) else "", texts, (), name)
    wanted = [one for one in names if one not in found]
    if not wanted:
        return found
    frame, numbered = read(source, name, [*wanted, *of_rows], of_rows)
    frame = met(frame, subset)
    for column in wanted:
        if column not in frame:
            continue
        values = frame[column]
        kind, order = kind_of_values(values, text=column in numbered), ()
        ordered = False
        if isinstance(values.dtype, pd.CategoricalDtype):
            ordered = bool(values.cat.ordered)
            order = tuple(values.cat.categories.tolist()) if kind == "categories" else ()
            used = np.zeros(len(values.cat.categories) + 1, bool)  # the last of missing ones, -1
            used[values.cat.codes.to_numpy()] = True
            distinct = pd.Series(values.cat.categories[used[:-1]])
            if kind == "text" and distinct.empty:
                kind = ""
        elif kind == _NUMBERS and values.iloc[:10_000].nunique() > MAX_VALUES:
            distinct = values.iloc[:10_000].drop_duplicates()
        else:
            try:
                distinct = values.drop_duplicates()
            except TypeError:  # lists and the like
                canonical(values)  # raises it with the row
                raise
        if kind == _NUMBERS:
            distinct = distinct.iloc[: MAX_VALUES + 1]
        distinct = distinct.dropna().reset_index(drop=True)
        found[column] = Found(kind, distinct, order, name, ordered)
    return found


def together(
    parts: Sequence[Mapping[str, Found]], declared: Collection[str] = ()
) -> dict[str, Found]:
    """What columns are in several pieces; the order of levels that were declared is known.

    Raises
    ------
    DataError
        If a column is of numbers in one and of text in another, or its categories are ordered
        otherwise.
    """
    found: dict[str, Found] = {}
    for part in parts:
        for name, own in part.items():
            in_order = name not in declared
            found[name] = _both(found[name], own, name, in_order) if name in found else own
    return found


def _both(one: Found, other: Found, name: str, in_order: bool) -> Found:
    if not other.kind or not one.kind:
        return one if one.kind else other
    if one.kind != other.kind:
        raise DataError(
            f"{name} is of {other.kind} here and of {one.kind} in {one.piece}",
            hint="write it alike in all files",
            file=other.piece,
            column=name,
        )
    distinct = pd.concat([one.distinct, other.distinct], ignore_index=True).drop_duplicates()
    if one.kind == _NUMBERS:
        distinct = distinct.iloc[: MAX_VALUES + 1]
    same = one.order == other.order or not in_order
    order = one.order if same else _order(one, other, name)
    ordered = one.ordered and other.ordered
    return Found(one.kind, distinct.reset_index(drop=True), order, one.piece, ordered)


def _order(one: Found, other: Found, name: str) -> tuple[Any, ...]:
    more, fewer = sorted((one.order, other.order), key=len, reverse=True)
    if [level for level in more if level in set(fewer)] != list(fewer):
        raise DataError(
            f"the categories of {name} are {_some(other.order)} here and {_some(one.order)} in "
            f"{one.piece}, so that their order is not known",
            hint=f"declare it: cb.summarise_rows(..., levels={{{name!r}: [...]}}), or write text",
            file=other.piece,
            column=name,
        )
    return more


def _some(levels: Sequence[Any]) -> str:
    return ", ".join(map(str, levels[:8])) + (", ..." if len(levels) > 8 else "")


def columns_of_pieces(
    pieces: Sequence[Piece],
    names: Sequence[str],
    subset: str | None,
    declared: Mapping[str, Sequence[Any]],
    linear: Mapping[str, bool | None],
    answers: Collection[str] = (),
    *,
    ordinal: bool = False,
) -> dict[str, Column]:
    """What each column is.

    Parameters
    ----------
    pieces : sequence of Piece
    names : sequence of str
        Columns that make cells, or may.
    subset : str, optional
    declared : mapping of str to sequence
        Levels of some columns, in their order.
    linear : mapping of str to bool
        Of columns that enter the model linearly, whether they are to be moments; None where they
        are if they have many values.
    answers : collection of str
        Columns of a response that is counted.
    ordinal : bool
        Whether answers are ordered, so that whole numbers that are written as text are numbers.

    Raises
    ------
    DataError
        If answers are neither numbers nor ordered categories, and as `canonical`.
    """
    counted = tuple(name for name, wanted in linear.items() if wanted is not False)
    add = partial(together, declared=tuple(declared))
    found = over_pieces(pieces, _Look(tuple(names), counted, subset), add, "levels")
    columns = {}
    for name in names:
        if name not in found:
            continue  # in no piece: the second pass says so with the file
        own = found[name]
        if name in declared:
            columns[name] = _declared(own, declared[name], name)
            continue
        if name in answers and not (own.kind == "categories" and own.ordered):
            columns[name] = _numbers(own, name, ordinal=ordinal)
            continue
        if own.kind == "categories":
            values = pd.Series(pd.Categorical(own.distinct, categories=_levels(own)))
        else:
            values = own.distinct
        values = values.rename(name)
        try:
            told = canonical(values) if len(values) else values
        except DataError as error:  # its row is one of distinct values
            raise DataError(error.problem, hint=error.hint, column=name) from error
        if own.kind == _NUMBERS or study_columns.is_number(told):
            many = len(values) > MAX_VALUES
            wanted = linear.get(name, False)
            kind = MOMENTS if wanted or (wanted is None and many) else VALUES
            columns[name] = Column(kind, (), values, np.zeros(0, np.int64))
        else:
            coded = told.cat if len(values) else pd.Series(pd.Categorical([])).cat
            labels = tuple(map(str, coded.categories))
            columns[name] = Column(LEVELS, labels, own.distinct, coded.codes.to_numpy(np.int64))
    return columns


@dataclass(frozen=True)
class _Look:
    """`found_in` of given columns, as a step that can be sent to a worker."""

    names: tuple[str, ...]
    counted: tuple[str, ...]
    subset: str | None

    def __call__(self, source: Any, name: str, _: int) -> dict[str, Found]:
        return found_in(source, name, self.names, self.counted, self.subset)


def _numbers(own: Found, name: str, *, ordinal: bool) -> Column:
    """A column of answers that are numbers, or no and yes; of ordered ones also their texts."""
    if ordinal and own.kind in ("text", "categories"):
        known = [one for one in own.distinct if one not in study_columns.MISSING_TEXTS]
        numbers = pd.to_numeric(pd.Series(known, dtype=object), errors="coerce")
        if (numbers == numbers.round()).all():
            return Column(VALUES, (), own.distinct, np.zeros(0, np.int64))
    if own.kind not in (_NUMBERS, "truth values", ""):
        raise DataError(
            f"the answers {name} are of {own.kind} without an order",
            hint="write them as whole numbers, or as ordered categories: "
            f"rows[{name!r}] = pd.Categorical(rows[{name!r}], levels, ordered=True)",
            file=own.piece,
            column=name,
        )
    return Column(VALUES, (), own.distinct, np.zeros(0, np.int64))


def _levels(own: Found) -> list[Any]:
    held = set(own.distinct)
    return [level for level in own.order if level in held]


def _declared(own: Found, levels: Sequence[Any], name: str) -> Column:
    """A column whose levels were declared: values of others are found in the second pass."""
    if own.kind == _NUMBERS:
        raise DataError(
            f"{name} is of numbers in {own.piece}, whose levels are not declared",
            hint="write it as text if it names levels, or leave it out of levels=",
            file=own.piece,
            column=name,
        )
    texts = [study_columns.label_of(one).strip() for one in levels]
    if lacking := [one for one in texts if one in study_columns.MISSING_TEXTS]:
        raise DataError(
            f"{lacking[0]!r} stands for a missing cell and is no level of {name}",
            hint="leave it out, or write the level in another way",
            column=name,
        )
    if len(set(texts)) < len(texts):
        raise DataError(f"the levels of {name} name one twice", hint="name each once", column=name)
    place = {text: at for at, text in enumerate(texts)}
    codes = []
    for value in own.distinct:
        text = study_columns.label_of(value).strip()
        missing = isinstance(value, str) and text in study_columns.MISSING_TEXTS
        codes.append(place.get(text, -1 if missing else -2))
    return Column(LEVELS, tuple(texts), own.distinct, np.array(codes, np.int64))


def coded(values: pd.Series, column: Column, name: str, first_row: int) -> np.ndarray:
    """The level (rows,) of each row of a piece; -1 of missing ones.

    Raises
    ------
    DataError
        If a level is not among those declared, with the row.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        rows, distinct = values.cat.codes.to_numpy(), pd.Index(values.cat.categories)
    else:
        rows, distinct = pd.factorize(values)
        distinct = pd.Index(distinct)
    known = pd.Index(column.raw)
    if known.dtype != distinct.dtype:
        known, distinct = known.astype(object), distinct.astype(object)
    at = known.get_indexer(distinct)
    own = np.append(np.where(at >= 0, column.codes[at] if len(known) else -2, -2), -1)
    found = own.astype(np.min_scalar_type(-len(column.labels) - 1))[rows]
    if (own == -2).any() and (found == -2).any():
        row = int((found == -2).argmax())
        raise DataError(
            f"{shown(values.iloc[row])} is not a level of {values.name!r}",
            hint=f"correct it, or declare it beside {_some(column.labels)}",
            file=name,
            column=str(values.name),
            row=first_row + int(values.index[row]) + 1,
        )
    return np.asarray(found)


def conditioned(subset: str | None) -> list[str]:
    """Columns that a condition uses."""
    return [] if subset is None else list(condition_of(subset).columns.values())


def met(frame: pd.DataFrame, subset: str | None) -> pd.DataFrame:
    """The rows that meet a condition, be it none."""
    if subset is None or not len(frame):
        return frame
    return rows_of(frame, subset, some=False)
