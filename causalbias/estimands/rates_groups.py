"""Labels of identities and groups: text, in the data's order, and missing where they are."""

from typing import Any

import numpy as np
import pandas as pd

from causalbias.errors import DataError, shown
from causalbias.study.columns import EXACT, MISSING_TEXTS


def as_series(values: Any) -> pd.Series:
    """Labels as a Series that has lost nothing: a list that holds None stays whole numbers."""
    if isinstance(values, (pd.Series, pd.Index, pd.api.extensions.ExtensionArray)):
        return pd.Series(values).reset_index(drop=True)
    if hasattr(values, "__array__"):
        return pd.Series(np.asarray(values))
    return pd.Series(list(values), dtype=object)


def text_of(values: pd.Series) -> pd.Series:
    """Labels as text, missing where they are missing, or are a text that says so (as in files).

    ``1``, ``1.0`` and ``"1"`` are one label, ``"01"`` another: a column of whole numbers becomes
    one of floats where a cell is missing.

    Raises
    ------
    DataError
        If whole numbers beyond 2^53 came as floats, in which neighbours are one.

    Examples
    --------
    >>> text_of(pd.Series([1.0, 2.0, np.nan])).tolist()
    ['1', '2', nan]
    >>> text_of(pd.Series(["01", "1", ""], dtype=object)).tolist()
    ['01', '1', nan]
    """
    distinct = values.dropna().unique()
    names = {one: _text(one, str(values.name)) for one in distinct}
    found = values.astype(object).map(names)
    return found.where(found.notna() & ~found.isin(MISSING_TEXTS), np.nan).astype(object)


def _text(one: object, column: str) -> str:
    if isinstance(one, (bool, np.bool_)):
        return str(bool(one))
    if isinstance(one, (float, np.floating)) and float(one).is_integer():
        if abs(float(one)) >= EXACT:
            raise DataError(
                f"{shown(one)} is a float, in which whole numbers beyond 2^53 are not told apart",
                mend="give such labels as text or whole numbers", column=column,
            )  # fmt: skip
        return str(int(one))
    return str(one)


def coded(values: pd.Series) -> tuple[np.ndarray, list[object]]:
    """Code of each label, -1 where it is missing, and the labels that occur, in their order.

    The order is that of the categories of a categorical, of size of numbers, intervals and dates,
    and of the alphabet of text. Labels are numbers or truths where all are, else text.

    Raises
    ------
    DataError
        If labels are numbers and text together.

    Examples
    --------
    >>> sizes = pd.Series(pd.Categorical(["big", "small", None], ["tiny", "small", "big"]))
    >>> codes, labels = coded(sizes)
    >>> codes.tolist(), labels
    ([1, 0, -1], ['small', 'big'])
    """
    order = _ordered(values)
    text = text_of(values)
    names = text_of(pd.Series(order, dtype=object)).tolist()
    place = {name: at for at, name in enumerate(dict.fromkeys(names))}
    codes = np.array(text.map(place).fillna(-1), dtype=int)
    used, inverse = np.unique(codes[codes >= 0], return_inverse=True)
    codes[codes >= 0] = inverse
    first = dict(zip(names[::-1], order[::-1], strict=True))
    kept = list(place)
    labels = [first[kept[at]] for at in used]
    if not all(isinstance(one, (bool, int, float, np.bool_, np.number)) for one in labels):
        return codes, [kept[at] for at in used]
    if all(isinstance(one, float) and one.is_integer() for one in labels):
        labels = [int(one) for one in labels]  # floats for the sake of a missing one
    return codes, labels


def _ordered(values: pd.Series) -> list[object]:
    """Distinct labels that are there, in the order that their column has."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.cat.categories.tolist()
    there = values.dropna()
    distinct = [one for one in there.unique().tolist() if one not in MISSING_TEXTS]
    try:
        return sorted(distinct)
    except TypeError as error:
        raise DataError(
            f"labels of several types ({error})", mend="make all text, or all numbers",
            column=str(values.name),
        ) from None  # fmt: skip
