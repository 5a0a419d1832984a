"""What each column of data in pieces is.

A column is of levels, whose labels and order are those that `levels.canonical` gives the whole
column; of values, each of which makes cells of its own; or of moments, numbers that enter the model
linearly and have too many values for that. Answers, which are counted, are of values, or of the
levels of ordered categories.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from causalbias.errors import DataError, shown
from causalbias.models.formula.conditions import condition_of
from causalbias.models.levels import canonical
from causalbias.models.rows import rows_of
from causalbias.models.summaries.cells import occurring
from causalbias.study import columns as study_columns

LEVELS, VALUES, MOMENTS = "levels", "values", "moments"
MAX_VALUES = 50  # distinct numbers of a linear column above which only its moments are kept
NUMBERS = "numbers"


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
    if types.is_integer_dtype(kind) and _largest(values) > study_columns.EXACT:
        return "text"  # ids, as `typed` has them
    if types.is_numeric_dtype(kind):
        return NUMBERS
    if types.is_object_dtype(kind) and types.infer_dtype(values, skipna=True) == "boolean":
        return "truth values"
    if types.is_datetime64_any_dtype(kind) or isinstance(kind, pd.PeriodDtype):
        return "dates"
    return "text"


def _largest(values: pd.Series) -> int:
    """The largest size of whole numbers, not all of which are missing."""
    return max(abs(int(values.min())), abs(int(values.max())))


def _first_values(values: pd.Series) -> pd.Series:
    """Distinct numbers, up to one more than there may be without being moments."""
    distinct = pd.Series(values.iloc[:10_000].unique())
    if distinct.count() <= MAX_VALUES:
        distinct = pd.Series(values.unique())
    return distinct.dropna().iloc[: MAX_VALUES + 1]


def found_in(
    frame: pd.DataFrame,
    texts: Collection[str],
    numbers: Collection[str],
    names: Sequence[str],
    piece: str,
) -> dict[str, Found]:
    """What the columns of a piece are.

    Parameters
    ----------
    frame : DataFrame
        Its rows, without those that are left out.
    texts : collection of str
        Columns of texts that the file has numbered, as `read` gives them.
    numbers : collection of str
        Columns that are known to be of numbers, of which no values are needed.
    names : sequence of str
        Those that are asked for.
    piece : str
        Its name.
    """
    found: dict[str, Found] = {}
    for column in names:
        if column in numbers:
            found[column] = Found(NUMBERS, pd.Series([], dtype=float), (), piece)
            continue
        if column not in frame:
            continue
        values = frame[column]
        kind, order = kind_of_values(values, text=column in texts), ()
        ordered = False
        if isinstance(values.dtype, pd.CategoricalDtype):
            ordered = bool(values.cat.ordered)
            order = tuple(values.cat.categories.tolist()) if kind == "categories" else ()
            used = occurring(values.cat.codes.to_numpy(), len(values.cat.categories))
            distinct = pd.Series(values.cat.categories[used])
            if kind == "text" and distinct.empty:
                kind = ""
        elif kind == NUMBERS:
            distinct = _first_values(values)
        else:
            try:
                distinct = pd.Series(values.unique())
            except TypeError:  # lists and the like
                canonical(values)  # raises it with the row
                raise
        distinct = distinct.dropna().reset_index(drop=True)
        found[column] = Found(kind, distinct, order, piece, ordered)
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
    if one.kind == NUMBERS:
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


def columns_of(
    found: Mapping[str, Found],
    names: Sequence[str],
    declared: Mapping[str, Sequence[Any]],
    linear: Mapping[str, bool | None],
    answers: Collection[str] = (),
    *,
    ordinal: bool = False,
) -> dict[str, Column]:
    """What each column is.

    Parameters
    ----------
    found : mapping of str to Found
        Of the whole data.
    names : sequence of str
        Columns that make cells, or may.
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
    columns = {}
    for name in names:
        if name not in found:
            continue  # in no piece: what looks at the files says so
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
        if own.kind == NUMBERS or study_columns.is_number(told):
            many = len(values) > MAX_VALUES
            wanted = linear.get(name, False)
            kind = MOMENTS if wanted or (wanted is None and many) else VALUES
            columns[name] = Column(kind, (), values, np.zeros(0, np.int64))
        else:
            coded = told.cat if len(values) else pd.Series(pd.Categorical([])).cat
            labels = tuple(map(str, coded.categories))
            columns[name] = Column(LEVELS, labels, own.distinct, coded.codes.to_numpy(np.int64))
    return columns


def places_of(own: Found, whole: Found) -> np.ndarray:
    """The place (distinct,) of each value of a part among those of the whole, which has them."""
    some, every = pd.Index(own.distinct), pd.Index(whole.distinct)
    if some.dtype != every.dtype:
        some, every = some.astype(object), every.astype(object)
    return np.asarray(every.get_indexer(some))


def stands_for_missing(values: pd.Series) -> np.ndarray:
    """Whether each value is a text that stands for a missing cell, as `typed` has it."""
    return np.array(
        [isinstance(one, str) and one.strip() in study_columns.MISSING_TEXTS for one in values],
        dtype=bool,
    )


def _numbers(own: Found, name: str, *, ordinal: bool) -> Column:
    """A column of answers that are numbers, or no and yes; of ordered ones also their texts."""
    if ordinal and own.kind in ("text", "categories"):
        known = [one for one in own.distinct if one not in study_columns.MISSING_TEXTS]
        numbers = pd.to_numeric(pd.Series(known, dtype=object), errors="coerce")
        if (numbers == numbers.round()).all():
            return Column(VALUES, (), own.distinct, np.zeros(0, np.int64))
    if own.kind not in (NUMBERS, "truth values", ""):
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
    """A column whose levels were declared: others are refused by `coded`, with the row."""
    if own.kind == NUMBERS:
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
