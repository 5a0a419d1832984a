"""Cells of a table of scores: which pairs show one person, and scores as numbers."""

import re
from collections.abc import Collection

import numpy as np
import pandas as pd

from causalbias.datasets.scores.names import REVERSED, words
from causalbias.errors import DataError, at_first
from causalbias.study.columns import MISSING_TEXTS, is_number, labels, number_hint

YES, NO = {"true", "t", "yes", "y", "1"}, {"false", "f", "no", "n", "0", "-1"}
ONE = (
    YES
    | {"sameperson", "samesubject", "sameidentity"}
    | {"genuine", "mated", "mate", "same", "match", "matched", "client", "target", "positive"}
)
TWO = (
    NO
    | {"impostor", "imposter", "nonmated", "different", "diff", "nonmatch", "mismatch"}
    | {*("unmatched", "nontarget", "negative", "nonmate", "nomatch", "notmatch", "notsame")}
    | {f"different{one}" for one in ("person", "persons", "people", "subjects", "identities")}
)
DECIMAL_COMMA = re.compile(r"\s*-?[0-9]+,[0-9]+\s*")


def truths(values: pd.Series, file: str) -> pd.Series:
    """Whether each pair shows one person, missing where the cell is; None for other cells.

    Examples
    --------
    >>> truths(pd.Series(["Genuine", "non-mated", None]), "a.csv").tolist()
    [True, False, <NA>]
    """
    plain = _plain(values, file)
    found = plain.map(lambda one: True if one in ONE else False if one in TWO else None)
    return found.where(plain != "", pd.NA)


def _plain(values: pd.Series, file: str) -> pd.Series:
    """Cells in small letters without spaces and hyphens between them; "" where missing."""
    text = labels(values, file=file).astype(object)
    plain = text.map(lambda one: re.sub(r"[^a-z0-9.-]|(?<=[a-z])-", "", str(one).lower()))
    return plain.map(lambda one: one.removesuffix(".0")).where(text.notna(), "")


def is_truth(name: str, values: pd.Series, file: str) -> bool:
    """Whether a column may say which pairs show one person."""
    some = values.dropna()
    if some.empty or some.nunique() > 4 or is_reversed(name, some, file):
        return False
    return bool(truths(some, file).map(lambda one: one is not None).all())


def is_reversed(
    name: str, values: pd.Series, file: str, reverse: Collection[str] = frozenset(REVERSED)
) -> bool:
    """Whether a column such as ``is_impostor`` says by yes that a pair shows two persons.

    Examples
    --------
    >>> is_reversed("is_impostor", pd.Series([1, 0]), "a.csv")
    True
    >>> is_reversed("is_impostor", pd.Series(["impostor", "genuine"]), "a.csv")
    False
    """
    said = set(_plain(values.dropna().drop_duplicates(), file))
    return bool(set(words(name)) & set(reverse)) and said <= YES | NO


def same_person(values: pd.Series, file: str, name: str) -> pd.Series:
    """Truth values (boolean, missing where the cell is) of a column that says them.

    Raises
    ------
    DataError
        If a cell says neither, or the column's name says that it is about different persons.
    """
    found = truths(values, file)
    odd = found.map(lambda one: one is None).to_numpy(bool)
    if odd.any():
        raise at_first(
            odd,
            f"{values.iloc[int(odd.argmax())]!r} does not say whether a pair shows one person",
            hint="write true or false, 1 or 0, genuine or impostor",
            file=file,
            column=name,
        )
    if is_reversed(name, values, file):
        raise DataError(
            "by its name the column is true where a pair shows two persons",
            hint="add a column that is true where it shows one, such as same",
            file=file,
            column=name,
        )
    return found.astype("boolean").reset_index(drop=True)


def numbers(values: pd.Series, file: str, name: str) -> pd.Series:
    """Scores as float64 (float32 stays), missing where the cell is.

    Raises
    ------
    DataError
        If a cell holds no finite number; a decimal comma in a file without semicolons is named.
    """
    if is_number(values):
        found = values
        if values.dtype != np.float32:
            found = pd.Series(values.astype("Float64").to_numpy(float, na_value=np.nan))
    else:
        gone = values.map(lambda one: isinstance(one, str) and one.strip() in MISSING_TEXTS)
        values = values.astype(object).mask(gone.astype(bool), None)
        found = pd.to_numeric(values.astype(object), errors="coerce").astype(float)
    lost = (values.notna().to_numpy() & ~np.isfinite(found.to_numpy(float))) | np.isinf(found)
    if lost.any():
        cell = str(values.iloc[int(np.argmax(lost))])
        hint = f"{number_hint(cell)}, or leave the cell empty"
        if DECIMAL_COMMA.fullmatch(cell) and "thousands" not in hint:
            hint = (
                "write decimal points, or separate the cells by semicolons and write decimal "
                "commas in all of them"
            )
        problem = f"{cell!r} is no number"
        raise at_first(np.asarray(lost, bool), problem, hint=hint, file=file, column=name)
    return found.reset_index(drop=True)
