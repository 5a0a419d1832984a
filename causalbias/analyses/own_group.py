"""Own-group effects: what a design can tell of them, and the contrast of cells by both groups."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.datasets.answers import Answers
from causalbias.errors import DataError
from causalbias.study.columns import ALIKE, both_shown, groups_alike


def check_groups(answers: Answers, pairs: Mapping[str, str]) -> None:
    """Refuse members of several groups, and groups of faces and of people of no common name.

    Parameters
    ----------
    answers : Answers
    pairs : mapping of str to str
        Column of the group of each column of members, such as ``{"item": "item_group"}``.

    Raises
    ------
    DataError
    """
    frame = answers.frame
    known = {one: group for one, group in pairs.items() if group in frame}
    for one, group in known.items():
        first = frame.groupby(one, observed=True)[group].transform("first")
        if (odd := first.astype(str) != frame[group].astype(str)).any():
            raise answers.at_first(
                odd,
                f"{one} {frame[one][odd].iloc[0]!r} is in several groups",
                hint="give each one group",
                ours=group,
            )
    if len(known) < 2:
        return
    (one, faces), (other, people) = (
        (name, sorted(set(frame[group].astype(str)))) for name, group in known.items()
    )
    if not set(faces) & set(people):
        raise DataError(
            f"groups of {one}s are {', '.join(faces)}, and those of {other}s "
            f"{', '.join(people)}: none is in both",
            hint=f"write groups of both alike, or leave the {other}s' groups out",
            file=answers.name,
        )
    if (alike := groups_alike([*faces, *people])) is not None:
        group = known[other] if alike[1] in people else known[one]
        raise answers.at_first(
            frame[group].astype(str) == alike[1],
            f"{both_shown(*alike)} look like one",
            hint=ALIKE,
            ours=group,
        )


def several(rows: pd.DataFrame, column: str) -> bool:
    """Whether rows have a column, and it several values."""
    return column in rows and rows[column].nunique() > 1


def crossed(rows: pd.DataFrame, one: str, group: str) -> bool:
    """Whether levels of one are seen in several groups, more than once in each."""
    size = rows.groupby([one, group], observed=True).size()
    often = size[size > 1].groupby(level=0, observed=True).size()
    return bool((often > 1).sum() > 1)


def own_group_contrast(cells: xr.DataArray, of_face: str, of_people: str) -> xr.DataArray | None:
    """Mean of the cells in which face and person are of one group, minus the mean of the others.

    Differences between groups of faces, and between groups of people, cancel. Groups that are not
    in both dims are left out; None if fewer than two are.

    Examples
    --------
    >>> cells = xr.DataArray([[3.0, 1.0], [2.0, 4.0]], dims=("face", "people"),
    ...                      coords={"face": ["a", "b"], "people": ["a", "b"]})
    >>> float(own_group_contrast(cells, "face", "people"))
    2.0
    """
    people = cells[of_people].values
    shared = [one for one in cells[of_face].values if one in people]
    if len(shared) < 2:
        return None
    square = cells.sel({of_face: shared, of_people: shared})
    own = xr.DataArray(np.eye(len(shared), dtype=bool), dims=(of_face, of_people))
    both = (of_face, of_people)
    dims = {"skipna": False}
    count = len(shared)
    within = xr.where(own, square, 0.0).sum(both, **dims) / count
    across = xr.where(own, 0.0, square).sum(both, **dims) / (count * (count - 1))
    # A cell without an estimate leaves the contrast without one.
    return (within - across).where(square.notnull().all(both))


def answers_contrasted(number: xr.DataArray, of_face: str, of_people: str) -> xr.DataArray:
    """How many answers the cells of `own_group_contrast` have.

    Examples
    --------
    >>> number = xr.DataArray([[3, 1], [2, 4]], dims=("face", "people"),
    ...                       coords={"face": ["a", "b"], "people": ["b", "c"]})
    >>> int(answers_contrasted(number, "face", "people"))
    2
    """
    shared = [one for one in number[of_face].values if one in number[of_people].values]
    return number.sel({of_face: shared, of_people: shared}).sum((of_face, of_people))
