"""Arrange faces and pairs by manipulated attribute, level, and the unchanged face.

A study either has the factors attribute and level (one attribute changes at a time), or crosses its
factors. A numeric crossed factor is an attribute whose values are the levels. A crossed factor of
text has one attribute for each level except the first, such as ``race[black]``, with level 1 for
this level and 0 for the first.
"""

import json
from collections.abc import Sequence

import pandas as pd
import xarray as xr

from causalbias.datasets.causalface.layout import PROTOTYPE
from causalbias.errors import DataError
from causalbias.study.tree import factors_of

# Questions whose names differ from those of the attributes that they are about.
SEEN_AS = {"smiling": "expression"}


def one_at_a_time(study: xr.DataTree) -> bool:
    """Whether one attribute changes at a time in the study."""
    return {"attribute", "level"} <= set(factors_of(study))


def moved_faces(
    frame: pd.DataFrame, study: xr.DataTree, within: Sequence[str] = ()
) -> pd.DataFrame:
    """Arrange rows by `attribute`, `level` (a number) and `face` (the values of all other factors).

    Parameters
    ----------
    frame : DataFrame
        Rows with some of the study's factors. The result has a row for each of their attributes.
    study : DataTree
        The study.
    within : sequence of str
        Further columns within which levels are compared, such as the annotator.

    Raises
    ------
    DataError
        If levels are not numbers, or no factor has two levels.
    """
    identity = str(study.attrs["identity"])
    factors = [name for name in factors_of(study) if name in frame]
    if one_at_a_time(study):
        moved = frame["attribute"].notna() & (frame["attribute"] != PROTOTYPE)
        rows = pd.DataFrame(frame.loc[moved])
        rows["level"] = pd.to_numeric(rows["level"], errors="coerce")
        if rows["level"].isna().any():
            raise DataError(
                "levels are not numbers", hint="give the levels of attributes as numbers"
            )
        rest = [name for name in factors if name not in ("attribute", "level")]
        return rows.assign(face=_together(rows, [*within, *rest]))
    parts = []
    for name in factors:
        if name == identity:
            continue
        rest = [*within, *(other for other in factors if other != name)]
        for attribute, low, high in _contrasts(study, name):
            level = frame[name].astype(object)
            rows = frame if low is None else frame[level.isin([low, high])]
            number = rows[name].astype(float) if low is None else (rows[name] == high) * 1.0
            parts.append(rows.assign(attribute=attribute, level=number, face=_together(rows, rest)))
    if not parts:
        raise DataError(
            "no factor has two levels", hint="give a study that manipulates an attribute"
        )
    return pd.concat(parts, ignore_index=True)


def moved_pairs(pairs: pd.DataFrame, study: xr.DataTree) -> pd.DataFrame:
    """Select genuine pairs of a changed and the unchanged face: `attribute`, `moved_to` (level)."""
    same = pairs[pairs["same_identity"].astype(bool)]
    if one_at_a_time(study):
        rows = same[(same["varies"] == "level") & same["attribute"].notna()]
        ends = rows[["level_a", "level_b"]].astype(float)
        lowest = ends.min(axis=1).groupby(rows["attribute"]).transform("min")
        origin = rows["attribute"].map(references(study)).astype(float).fillna(lowest)
        return _from(rows, ends, origin)
    parts = [same.iloc[:0].assign(attribute="", moved_to=0.0)]
    for name in factors_of(study):
        for attribute, low, high in _contrasts(study, name):
            rows = same[same["varies"] == name].assign(attribute=attribute)
            ends = rows[[f"{name}_a", f"{name}_b"]]
            if low is None:
                ends = ends.astype(float)
                origin = pd.Series(float(study["stimuli"][name].min()), index=rows.index)
            else:
                kept = ends.isin([low, high]).all(axis=1)
                rows, ends = rows[kept], (ends[kept] == high) * 1.0
                origin = pd.Series(0.0, index=rows.index)
            parts.append(_from(rows, ends, origin))
    return pd.concat(parts, ignore_index=True)


def references(study: xr.DataTree) -> dict[str, float]:
    """Return the reference level of each attribute for which the study records it."""
    return dict(json.loads(study.attrs.get("references", "{}")))


def is_own(attribute: str, question: str) -> bool:
    """Whether a question is about the attribute.

    Examples
    --------
    >>> is_own("age", "age"), is_own("race[black]", "black"), is_own("race[black]", "white")
    (True, True, False)
    """
    factor, _, level = attribute.removesuffix("]").partition("[")
    return question in {attribute, factor, level or attribute, SEEN_AS.get(attribute)}


def _contrasts(study: xr.DataTree, name: str) -> list[tuple[str, object, object]]:
    """List the attributes of a crossed factor, with the two levels of each if they are text."""
    if name == str(study.attrs["identity"]):
        return []
    levels = study["stimuli"][name].to_numpy().tolist()
    if len(levels) < 2:
        return []
    if all(isinstance(level, int | float) and not isinstance(level, bool) for level in levels):
        return [(name, None, None)]
    return [(f"{name}[{level}]", levels[0], level) for level in levels[1:]]


def _together(rows: pd.DataFrame, names: list[str]) -> pd.Series:
    return rows.groupby(names).ngroup() if names else pd.Series(0, index=rows.index)


def _from(rows: pd.DataFrame, ends: pd.DataFrame, origin: pd.Series) -> pd.DataFrame:
    """Select pairs with one member at the origin, and return the level of the other member."""
    first, second = (ends[name] == origin for name in ends)
    moved_to = ends.iloc[:, 1].where(first, ends.iloc[:, 0])
    return rows.assign(moved_to=moved_to.astype(float))[first ^ second]
