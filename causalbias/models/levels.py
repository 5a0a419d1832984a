"""What a column is to a model: numbers, or a factor whose levels are text in the data's own order.

A factor's first level is its reference, in the formula as in every verb, table and figure.
"""

import datetime
import numbers
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from causalbias.errors import DataError

Level = str | int | float
EXACT = 2**53  # beyond it a float64 does not hold every whole number
LEVELS = "__levels"  # after a factor's name: where a fit keeps its levels


def canonical(values: pd.Series) -> pd.Series:
    """A column as float64 or int64 numbers, or as an ordered categorical of text labels.

    Numbers of any dtype (NumPy's, nullable, Arrow's, decimals) are numbers. All else is a factor:
    a categorical keeps its order and loses unused levels, whatever its categories are; intervals,
    dates, periods and booleans have their natural order; text is sorted. Whole numbers beyond
    2^53 are a factor too, ordered by size, since a float64 would merge neighbours.

    Parameters
    ----------
    values : Series (rows,)

    Returns
    -------
    Series (rows,)
        Missing values stay missing (NaN). A factor is marked as ordered, whether or not the data
        are: formulae sorts the categories of others anew.

    Raises
    ------
    DataError
        If values are complex, not text in UTF-8, or differ and are written alike (1 and "1").

    Examples
    --------
    >>> canonical(pd.Series([True, False])).cat.categories.tolist()
    ['False', 'True']
    >>> canonical(pd.Series([10, 2], dtype="category")).cat.categories.tolist()
    ['2', '10']
    """
    values = _plain(values)
    if isinstance(values.dtype, pd.CategoricalDtype):
        used = values.cat.remove_unused_categories()
        return _factor(values, used.cat.codes.to_numpy(), used.cat.categories.tolist())
    if types.is_bool_dtype(values.dtype) or not types.is_numeric_dtype(values.dtype):
        codes, found = pd.factorize(values)
        order = _in_order(list(found))
        place = np.empty(len(order) + 1, np.int64)
        place[order], place[-1] = np.arange(len(order)), -1  # the last: of missing ones
        return _factor(values, place[codes], [found[k] for k in order])
    return _number(values)


def _plain(values: pd.Series) -> pd.Series:
    """The column in a dtype of NumPy or pandas that says what it holds."""
    dtype: Any = values.dtype
    if isinstance(dtype, pd.SparseDtype):
        return _plain(values.astype(dtype.subtype))
    if isinstance(dtype, pd.ArrowDtype) and dtype.kind not in "iufb":
        whole = values.array.__arrow_array__().to_pandas().set_axis(values.index)
        if isinstance(whole.dtype, pd.CategoricalDtype) and not whole.cat.ordered:
            whole = whole.astype(object)  # a dictionary is in the order of first appearance
        return _plain(whole.rename(values.name))
    if dtype.kind == "c":
        raise DataError("complex numbers", mend="give real ones", column=str(values.name))
    if types.is_object_dtype(dtype):
        try:
            values = values.infer_objects()
        except UnicodeEncodeError:
            raise DataError(
                "a text that holds half of a character",
                mend="write it again as text in UTF-8",
                column=str(values.name),
            ) from None
        known = values[values.notna()]
        if types.is_object_dtype(values.dtype) and len(known):
            if known.map(lambda one: isinstance(one, Decimal | Fraction)).all():
                return values.astype(float)
            if known.map(lambda one: isinstance(one, bool | np.bool_)).all():
                return values.astype("boolean")
    return values


def _number(values: pd.Series) -> pd.Series:
    dtype: Any = values.dtype
    whole = dtype.kind in "iu" and not values.isna().any()
    if whole and len(values) and max(abs(int(values.max())), abs(int(values.min()))) > EXACT:
        found = sorted(values.unique().tolist())
        return _factor(values, pd.Index(found).get_indexer(pd.Index(values)), found)
    if whole:
        numbers_ = values.to_numpy(np.int64)
    else:
        # -0.0 is written otherwise than 0.0, and is no other value.
        numbers_ = values.to_numpy(np.float64, na_value=np.nan) + 0.0
    return pd.Series(numbers_, index=values.index, name=values.name)


def _in_order(found: Sequence[Any]) -> list[int]:
    """Positions of distinct values in their natural order; of mixed ones, in that of their text."""
    try:
        return sorted(range(len(found)), key=lambda k: found[k])
    except TypeError:
        return sorted(range(len(found)), key=lambda k: str(found[k]))


def _factor(values: pd.Series, codes: np.ndarray, found: Sequence[Any]) -> pd.Series:
    labels = level_labels(found)
    if len(set(labels)) < len(labels):
        raise DataError(
            "values that differ are written alike, such as 1 and '1'",
            mend="make them all numbers, or all text",
            column=str(values.name),
        )
    kind = pd.CategoricalDtype(pd.Index(labels, dtype=object), ordered=True)
    factor = pd.Categorical.from_codes(codes, dtype=kind)
    return pd.Series(factor, index=values.index, name=values.name)


def level_labels(found: Sequence[Any]) -> list[str]:
    """Levels as text: days without their midnight, all else as Python writes it.

    Examples
    --------
    >>> level_labels([pd.Timestamp("2020-01-01"), pd.Timestamp("2020-02-01")])
    ['2020-01-01', '2020-02-01']
    """
    days = all(isinstance(one, datetime.datetime) and _midnight(one) for one in found)
    return [str(one.date()) if days else str(one) for one in found]


def _midnight(one: datetime.datetime) -> bool:
    return (
        one.tzinfo is None and one.time() == datetime.time() and not getattr(one, "nanosecond", 0)
    )


def levels_of(values: pd.Series) -> list[Level]:
    """Levels of a column of a model, in order: those of a factor, or numbers by size.

    Examples
    --------
    >>> levels_of(canonical(pd.Series(["b", "a", "b"]))), levels_of(pd.Series([3, 1]))
    (['a', 'b'], [1, 3])
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        return list(values.cat.remove_unused_categories().cat.categories.tolist())
    return list(np.unique(values.to_numpy()).tolist())


def same(values: pd.Series, value: object) -> pd.Series:
    """A column that is one value on every row, with the levels that the column has.

    Examples
    --------
    >>> same(canonical(pd.Series(["b", "a"])), "b").cat.categories.tolist()
    ['a', 'b']
    """
    return pd.Series(value, index=values.index, name=values.name).astype(values.dtype)


def find_level(levels: Sequence[Level], asked: object) -> Level | None:
    """The level that is asked for by its text or by the user's own value; None where there is none.

    Examples
    --------
    >>> find_level(["False", "True"], True), find_level([1, 2], "2"), find_level(["1", "2"], 3)
    ('True', 2, None)
    """
    texts = {str(asked)}
    if isinstance(asked, datetime.datetime | np.datetime64):
        texts |= {str(pd.Timestamp(asked)), str(pd.Timestamp(asked).date())}
    for level in levels:
        if str(level) in texts:
            return level
    if isinstance(asked, bool | np.bool_):
        return None
    number = _as_number(asked)
    for level in levels:
        # "1" is not the text "1.0", and the number 1 is neither "01" nor "001".
        written = isinstance(level, str)
        if written and (isinstance(asked, str) or str(_as_number(level)) != level):
            continue
        if number is not None and _as_number(level) == number:
            return level
    return None


def _as_number(value: object) -> float | None:
    """The number that a value is or is written as."""
    if not isinstance(value, numbers.Real | Decimal | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None
