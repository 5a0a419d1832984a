"""What a column is to a model: numbers, or a factor whose levels are text in the data's own order.

A factor's first level is its reference, in the formula as in every verb, table and figure.
"""

import datetime
import numbers
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pandas as pd
from pandas.api import types

from causalbias.errors import DataError, shown
from causalbias.study import columns

Level = str | int | float
LEVELS = "__levels"  # after a factor's name: where a fit keeps its levels


def canonical(values: pd.Series) -> pd.Series:
    """A column as float64 or int64 numbers, or as an ordered categorical of text labels.

    What it is, `study.columns` says, for models as for studies: numbers are what `typed` makes
    numbers; all else is a factor, written as `labels` writes it, in the order of its `levels_of`.

    Parameters
    ----------
    values : Series (rows,)

    Returns
    -------
    Series (rows,)
        Missing values, and texts that stand for them, are NaN. A factor has no unused levels, and
        is marked as ordered whether or not the data are: formulae sorts the categories of others
        anew.

    Raises
    ------
    DataError
        If values are no numbers, texts, dates or intervals, or differ and are written alike or
        look alike (1 and "1", "a" and "a ").

    Examples
    --------
    >>> canonical(pd.Series([True, False])).cat.categories.tolist()
    ['False', 'True']
    >>> canonical(pd.Series(["10", "2", "NA"])).cat.categories.tolist()
    ['2', '10']
    """
    found = columns.typed(values, file="data")
    if columns.is_number(found):
        whole = types.is_integer_dtype(found.dtype) and not found.isna().any()
        return found if whole else columns.measured(found, file="data")
    in_order = isinstance(found.dtype, pd.CategoricalDtype)
    if not in_order:  # so that each value is looked at once, and not each row
        codes, distinct = pd.factorize(found)
        found = pd.Series(pd.Categorical.from_codes(codes, distinct), found.index, name=found.name)
    told = columns.labels(found, file="data")
    texts = told.cat.categories
    of_levels = columns.levels_of(told if in_order else texts.to_series())
    # As objects: categories of another dtype would be compared by their dtype.
    levels = pd.Index(of_levels.tolist(), dtype=object)
    place = np.append(levels.get_indexer(texts.astype(object)), -1)  # the last: of missing ones
    kind = pd.CategoricalDtype(levels, ordered=True)
    of_rows = pd.Categorical.from_codes(place[told.cat.codes.to_numpy()], dtype=kind)
    return pd.Series(of_rows, told.index, name=told.name)


def levels_of(values: pd.Series) -> list[Level]:
    """Levels of a column of a model, in order: those of a factor, or numbers by size.

    Examples
    --------
    >>> levels_of(canonical(pd.Series(["b", "a", "b"]))), levels_of(pd.Series([3, 1]))
    (['a', 'b'], [1, 3])
    """
    return list(columns.levels_of(values).tolist())


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
    >>> find_level(["False", "True"], True), find_level([1, 2], "2"), find_level(["1", "2"], 2.0)
    ('True', 2, '2')
    """
    texts = {str(asked).strip(), columns.label_of(asked)}
    if isinstance(asked, datetime.datetime | np.datetime64):
        moment = pd.Timestamp(asked)
        texts |= {str(moment), moment.isoformat(), str(moment.date())}
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


def level_of(levels: Sequence[Level], asked: object, variable: str, where: str = "") -> Level:
    """The level of a variable that is asked for; see `find_level`.

    ``where``: what the levels are of, for the error, such as " in both fits".

    Raises
    ------
    DataError
        If there is no such level, with those that there are.
    """
    found = find_level(levels, asked)
    if found is None:
        raise DataError(
            f"{shown(asked)} is not a level of {variable!r}{where}",
            hint=f"use one of {', '.join(map(str, levels))}",
        )
    return found


def reference_of(levels: Sequence[Level], asked: object, variable: str, where: str = "") -> Level:
    """The level that others are compared with: by default the first; as `level_of`."""
    return levels[0] if asked is None else level_of(levels, asked, variable, where)


def _as_number(value: object) -> float | None:
    """The number that a value is or is written as."""
    if not isinstance(value, numbers.Real | Decimal | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None
