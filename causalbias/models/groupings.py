"""Columns of the data by which rows may belong together, though the formula has them not.

A fit keeps them beside its own columns, so that `check` can look for what the rows of one
annotator, face or pair have in common, and so that the term that is missing can be added.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from causalbias.models.levels import canonical
from causalbias.study.columns import MISSING_TEXTS

MIN_LEVELS = 5  # of fewer, the spread between levels is hardly known
MIN_ROWS = 1.25  # a level, on average: of fewer, hardly any two rows have one in common

PAIR = "pair"  # as studies name the column
# Words of names of columns that say something of rows; endings of files of tables; words of a text
# from which on it is a sentence.
REMARKS = frozenset(
    (
        *("comment", "comments", "remark", "remarks", "note", "notes", "reason", "feedback"),
        *("description", "explanation", "filename", "path", "url", "timestamp", "date", "time"),
    )
)
TABLES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet", ".xlsx", ".log", ".sav", ".rds")
WORDS = 4
# Names of columns of who answers, in lower case, without an ending such as "_id".
JUDGES = frozenset(
    ("annotator", "rater", "judge", "observer", "participant", "respondent", "worker", "labeler")
)

Codes = NDArray[np.int64]


def grouping_columns(kept: pd.DataFrame, used: Collection[str]) -> pd.DataFrame:
    """The columns by which rows could be grouped, of those that a model does not use.

    These are texts, categories and whole numbers without a missing cell that make a `candidate`,
    and no remarks (`is_remark`).
    Labels that are texts are numbered in the order of their first row ("#1", "#2", ...): a fit has
    no need of names that its formula does not use. ``x_a`` and ``x_b``, of the two members of a
    pair, are numbered together; beside a member that the formula has, the other keeps its labels.

    Parameters
    ----------
    kept : DataFrame
        The rows fitted with all columns of the data.
    used : collection of str
        Columns of the model.

    Returns
    -------
    DataFrame
        Columns as `canonical` makes them: whole numbers, or ordered categoricals of text.

    Examples
    --------
    >>> rows = pd.DataFrame({"y": 0.5, "seed": np.arange(30) % 6, "who": list("abcde") * 6})
    >>> found = grouping_columns(rows.assign(row=np.arange(30), kind="new"), ["y", "seed"])
    >>> list(found), found["who"].cat.categories.tolist()
    (['who'], ['#1', '#2', '#3', '#4', '#5'])
    """
    if len(kept) < MIN_LEVELS:
        return pd.DataFrame()
    texts = [name for name in kept if isinstance(name, str)]
    names = [name for name in texts if list(kept.columns).count(name) == 1]
    # Those of the model first: of columns that say the same, the first is taken.
    names.sort(key=lambda name: name not in used)
    known = {name: one for name in names if (one := levelled(kept[name])) is not None}
    known = {name: one for name, one in known.items() if name in used or not is_remark(kept[name])}
    wanted = {name for members in candidates(known) for name in members} - set(used)
    found: dict[str, pd.Series] = {}
    for name in (one for one in kept if one in wanted):
        members = members_of(known, name)
        one = known[name]
        if one.labels.dtype != object or set(members) & set(used):
            found[name] = canonical(pd.Series(one.labels[one.codes], name=name))
            continue
        numbers, levels = pd.factorize(member_codes(known, members)[:, members.index(name)])
        kind = pd.CategoricalDtype([f"#{level + 1}" for level in levels], ordered=True)
        found[name] = pd.Series(pd.Categorical.from_codes(numbers, dtype=kind), name=name)
    return pd.DataFrame(found)


@dataclass(frozen=True, eq=False)
class Levelled:
    """A column: its labels, texts (dtype object) or whole numbers, and which each row has."""

    codes: Codes
    labels: NDArray[np.object_] | NDArray[np.int64]


def levelled(values: pd.Series) -> Levelled | None:
    """The levels of a column; None where its values do not name groups of rows.

    Examples
    --------
    >>> levelled(pd.Series(["b", "a", "b"])).codes.tolist(), levelled(pd.Series([0.5, 1.0]))
    ([0, 1, 0], None)
    """
    kind = values.dtype
    named = isinstance(kind, pd.CategoricalDtype | pd.StringDtype)
    if types.is_object_dtype(kind):
        named = types.infer_dtype(values, skipna=False) == "string"
    if not (named or types.is_integer_dtype(kind)):
        return None
    codes, distinct = pd.factorize(values)
    labels = np.asarray(distinct, np.int64 if types.is_integer_dtype(kind) else object)
    unknown = (codes < 0).any() or not MISSING_TEXTS.isdisjoint(
        one.strip() for one in labels if isinstance(one, str)
    )
    return None if unknown else Levelled(codes.astype(np.int64), labels)


def is_remark(values: pd.Series) -> bool:
    """Whether a column says something of rows, such as a comment or the file that they are from.

    By its name, by file names of tables, or by sentences: four words or more in half of its texts.

    Examples
    --------
    >>> is_remark(pd.Series(["good"], name="Free Comment")), is_remark(pd.Series(["a"], name="who"))
    (True, False)
    >>> is_remark(pd.Series(["out/a.csv"], name="of")), is_remark(pd.Series(["a.png"], name="face"))
    (True, False)
    >>> is_remark(pd.Series(["I liked it a lot", "no"], name="q7"))
    True
    """
    if set(re.findall(r"[a-z]+", str(values.name).lower())) & REMARKS:
        return True
    kind = values.dtype
    if not (types.is_object_dtype(kind) or isinstance(kind, pd.StringDtype | pd.CategoricalDtype)):
        return False
    distinct = [one for one in values.unique() if isinstance(one, str)]
    files = [one.lower().endswith(TABLES) for one in distinct]
    long = [len(one.split()) >= WORDS for one in distinct]
    return bool(distinct) and (all(files) or 2 * sum(long) >= len(distinct))


def members_of(names: Collection[str], name: str) -> tuple[str, ...]:
    """The columns of both members of a pair of which this is one; else the column alone.

    Examples
    --------
    >>> members_of(["id_a", "id_b", "who_a"], "id_b"), members_of(["id_a", "who_a"], "who_a")
    (('id_a', 'id_b'), ('who_a',))
    """
    stem = name[:-2]
    if name[-2:] in ("_a", "_b") and f"{stem}_a" in names and f"{stem}_b" in names:
        return f"{stem}_a", f"{stem}_b"
    return (name,)


def candidates(known: Mapping[str, Levelled]) -> dict[tuple[str, ...], Codes]:
    """The ways in which columns could group rows: by one, or by those of a pair's members.

    There are five levels or more, and on average a quarter more rows than levels. Of two ways that
    put the same rows together there is the first. Members are taken together where that puts
    more rows together than each alone.

    Returns
    -------
    dict of tuple of str to ndarray (rows, members) of int
        Columns, and the level of each row's members.

    Examples
    --------
    >>> rows = pd.Series(range(30))
    >>> pairs = {"id_a": levelled(rows % 15), "id_b": levelled(rows // 2)}
    >>> list(candidates(pairs)), list(candidates(pairs | {"id_b": levelled(rows + 50)}))
    ([('id_a', 'id_b')], [('id_a',)])
    """
    ways = dict.fromkeys(one for name in known for one in ((name,), members_of(known, name)))
    found: dict[tuple[str, ...], Codes] = {}
    for members in ways:
        codes = member_codes(known, members)
        levels = codes.max() + 1
        enough = levels >= MIN_LEVELS and codes.size >= MIN_ROWS * levels
        if enough and not any(same_groups(codes, other) for other in found.values()):
            found[members] = codes
    for members in [one for one in found if len(one) > 1]:
        alone = [(name,) for name in members]
        shared = rows_shared(found[members])
        if any(one in found and rows_shared(found[one]) == shared for one in alone):
            del found[members]
        else:
            found = {one: codes for one, codes in found.items() if one not in alone}
    return found


def member_codes(known: Mapping[str, Levelled], members: tuple[str, ...]) -> Codes:
    """Level (rows, members) of each row's members, numbered by the first that has it."""
    labels = [known[name].labels.astype(object) for name in members]
    every = pd.factorize(np.concatenate(labels))[0]
    parts = np.split(every, np.cumsum([len(one) for one in labels])[:-1])
    return np.column_stack(
        [part[known[name].codes] for name, part in zip(members, parts, strict=True)]
    )


def same_groups(one: Codes, other: Codes) -> bool:
    """Whether two sets of codes put the same rows together."""
    one, other = (
        codes[:, :1] if (codes == codes[:, :1]).all() else codes for codes in (one, other)
    )
    if one.shape != other.shape or one.max() != other.max():
        return False
    first, second = one.ravel(), other.ravel()
    image = np.full(first.max() + 1, -1)
    image[first] = second
    return bool((image[first] == second).all()) and len(np.unique(image[image >= 0])) == (
        (image >= 0).sum()
    )


def rows_shared(codes: Codes) -> int:
    """Number of ordered pairs of rows that have a level in common, counted by level."""
    sizes = np.bincount(np.concatenate(distinct_members(codes)))
    return int((sizes * (sizes - 1)).sum())


def distinct_members(codes: Codes) -> list[Codes]:
    """Levels of the first members, and of each next those that no earlier one of a row has."""
    again = [(codes[:, :at] == codes[:, at : at + 1]).any(axis=1) for at in range(codes.shape[1])]
    return [codes[~one, at] for at, one in enumerate(again)]


def is_judge(column: str) -> bool:
    """Whether a column is named as those of who answers are.

    Examples
    --------
    >>> [is_judge(name) for name in ("annotator", "rater_id", "JudgeID", "seed", "integrator")]
    [True, True, True, False, False]
    """
    plain = re.sub(r"[^a-z]+", "", column.lower())
    return plain.removesuffix("s") in JUDGES or plain.removesuffix("id").removesuffix("s") in JUDGES
