"""Rows of data that a model may be fitted to: of a study or a table, and those of a condition."""

import pandas as pd
import xarray as xr

from causalbias.datasets.scores.values import same_person
from causalbias.errors import DataError
from causalbias.models.formula.conditions import condition_of, meets
from causalbias.models.formula.parse import formula_columns
from causalbias.study.frames import to_frame
from causalbias.study.tables import with_index

LABELS = ("dataset", "system", "question")  # columns that identify the source of rows
RESPONSES = {"distance": "machine", "score": "human"}


def frame_for(formula: str, data: xr.DataTree | pd.DataFrame) -> pd.DataFrame:
    """Return the frame of a formula; for a study, that of distances or of scores.

    Raises
    ------
    DataError
        If a study has no such response, or the columns of a frame have several levels.
    """
    if isinstance(data, pd.DataFrame):
        if isinstance(data.columns, pd.MultiIndex):
            raise DataError(
                "the columns have several levels of names",
                hint='join them: frame.columns = ["_".join(map(str, c)) for c in frame.columns]',
            )
        return with_index(data, "data")
    return to_frame(data, group_for(formula))


def group_for(formula: str) -> str:
    """Return the group of a study that has a formula's response."""
    response = formula_columns(formula)[0]
    if response not in RESPONSES:
        raise DataError(
            f"a study has no response {response!r}",
            hint="use distance or score, or give a frame (see to_frame)",
        )
    return RESPONSES[response]


def rows_of(frame: pd.DataFrame, subset: str | None, *, some: bool = True) -> pd.DataFrame:
    """Select the rows of a frame that meet a condition (`meets`); if `some`, there must be one.

    Raises
    ------
    DataError
        If the condition cannot be read or evaluated, has an unknown column, or no row meets it.
    """
    if subset is None:
        return frame
    condition = condition_of(subset)
    for name in condition.columns.values():
        if name not in frame:
            raise DataError(
                f"the subset uses {name!r}, but the data have only {', '.join(map(str, frame))}",
                hint="correct the name",
                column=name,
            )
    kept = frame[meets(frame, condition)]
    if some and kept.empty:
        raise DataError(f"no row meets {subset!r}", hint="loosen the condition")
    return kept


def kinds_of(kept: pd.DataFrame) -> list[str]:
    """Return the kinds of pairs among the rows; empty if the rows are not pairs.

    Raises
    ------
    DataError
        If `same_identity` says of a pair neither that it is genuine nor that it is an impostor's.
    """
    if "same_identity" not in kept:
        return []
    said = kept["same_identity"].drop_duplicates().dropna().reset_index(drop=True)
    try:
        same = set(same_person(said, "data", "same_identity").dropna())
    except DataError as error:  # its row is one of distinct values
        raise DataError(error.problem, hint=error.hint, column="same_identity") from error
    return [name for name, kind in (("genuine", True), ("impostor", False)) if kind in same]


def source_of(data: xr.DataTree | pd.DataFrame, kept: pd.DataFrame) -> dict[str, str]:
    """Return data set, network and question of the rows if there is a single one, for labels."""
    found = {}
    if isinstance(data, xr.DataTree) and "name" in data.attrs:
        found["dataset"] = str(data.attrs["name"])
    for name in LABELS:
        if name in kept and kept[name].notna().all() and kept[name].nunique() == 1:
            found[name] = str(kept[name].iloc[0])
    return found
