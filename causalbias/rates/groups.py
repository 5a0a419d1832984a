"""Labels of identities and groups: text, in the data's order, and missing where they are.

Columns are converted by `study.columns`, as everywhere: labels without the spaces around
them, two that look alike refused, whole numbers written as text in the order of numbers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from causalbias.errors import DataError
from causalbias.study.columns import check_groups, is_number, labels, levels_of, typed

FILE = "comparisons"


def as_series(values: Any) -> pd.Series:
    """Labels as a Series that has lost nothing: a list that holds None stays whole numbers."""
    if isinstance(values, (pd.Series, pd.Index, pd.api.extensions.ExtensionArray)):
        return pd.Series(values).reset_index(drop=True)
    if hasattr(values, "__array__"):
        return pd.Series(np.asarray(values))
    return pd.Series(list(values), dtype=object)


def text_of(values: pd.Series, *others: pd.Series, file: str = FILE) -> pd.Series:
    """Labels as text, missing where they are missing, or are a text that says so (as in files).

    ``1``, ``1.0`` and ``"1"`` in columns of their own are one label, ``"01"`` is another: a column
    of whole numbers becomes one of floats where a cell is missing.

    Parameters
    ----------
    values, *others : Series
        The further columns, such as those of the pairs' second members, follow on the first.
    file : str
        Named in errors.

    Raises
    ------
    DataError
        As `study.columns.labels`, of all columns together.

    Examples
    --------
    >>> text_of(pd.Series([1.0, 2.0, np.nan])).tolist()
    ['1', '2', nan]
    >>> text_of(pd.Series(["01", "1 ", ""], dtype=object)).tolist()
    ['01', '1', nan]
    """
    found = labels(values, file=file).astype(object)
    if others:
        rest = [labels(one, file=file).astype(object) for one in others]
        every = pd.concat([found, *rest]).rename(values.name).astype("str")  # objects are slow
        try:
            found = labels(every, file=file).astype(object)
        except DataError as error:  # of two columns: the row of its own column
            row = (error.row - 1) % len(values) + 1 if error.row else None
            raise DataError(
                error.problem, hint=error.hint, file=file, column=error.column, row=row
            ) from None
    return found.where(found.notna(), np.nan)


def coded(values: pd.Series, *, file: str = FILE) -> tuple[np.ndarray, list[object]]:
    """Code of each label, -1 where it is missing, and the labels that occur, in their order.

    The order is that of the categories of a categorical, of size of numbers, intervals, dates and
    of whole numbers written as text, and of the alphabet of other text. Labels are numbers or
    truths where all are, else text.

    Raises
    ------
    DataError
        As `study.columns.typed` and `labels`, or if two labels look like one group.

    Examples
    --------
    >>> sizes = pd.Series(pd.Categorical(["big", "small", None], ["tiny", "small", "big"]))
    >>> codes, found = coded(sizes)
    >>> codes.tolist(), found
    ([1, 0, -1], ['small', 'big'])
    >>> coded(pd.Series(["10", "2"]))[1]
    ['2', '10']
    """
    found = typed(values, file=file)
    truth = pd.api.types.is_bool_dtype(found)
    if not (truth or is_number(found)):
        found = labels(values, file=file)
        check_groups(found, file=file)
        order = levels_of(found).tolist()
        return pd.Index(order).get_indexer(found.astype(object)), order
    known = found.dropna()
    order = sorted(known.astype(bool if truth else found.dtype).unique().tolist())
    plain = found.astype("Float64").to_numpy(float, na_value=np.nan)
    codes = pd.Index(np.array(order, dtype=float)).get_indexer(plain)
    codes[np.isnan(plain)] = -1
    if not truth and all(float(one).is_integer() for one in order):
        order = [int(one) for one in order]  # floats for the sake of a missing one
    return codes, order


def in_words(groups: Sequence[tuple[object, ...]]) -> list[str]:
    """Groups in words, no two alike: their values in the order of `by`, as plainly as may be.

    Examples
    --------
    >>> in_words([("black", "male"), ("white", "male")])
    ['black male', 'white male']
    >>> in_words([("south", "asian male"), ("south asian", "male")])
    ['south, asian male', 'south asian, male']
    """
    for between in (" ", ", "):
        found = [between.join(map(str, group)) for group in groups]
        if len(set(found)) == len(set(groups)):
            return found
    return [", ".join(repr(str(one)) for one in group) for group in groups]
