"""Check that a DataTree has the groups, dimensions and values of a study."""

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.errors import DataError, shown
from causalbias.study.contents import CONTRACT, check_contents, check_labels, check_once
from causalbias.study.tables import check_comparisons
from causalbias.study.tree import group_of


def validate(study: xr.DataTree) -> None:
    """Raise an error unless the tree is a valid study.

    The function checks groups, dims, coordinates, ranges, missing values, and that labels by which
    one group refers to another exist there. `make_study` describes what a study contains.

    Raises
    ------
    DataError
        If the tree is not a valid study. The error names the group and the variable, states what
        was expected, and gives a hint.

    Examples
    --------
    >>> import causalbias as cb
    >>> cb.validate(cb.demo_study())
    """
    for key in ("factors", "identity"):
        if key not in study.attrs:
            raise DataError(
                f"the tree has no attribute {key!r}, so it is not a study",
                hint="build it with make_study, or open a file that save wrote",
            )
    if not {"stimuli", "human"} & set(study.children):
        raise DataError(
            "the study has neither faces nor judgements",
            hint="give stimuli (with pairs and distances, where measured), judgements, or both",
        )
    for group in CONTRACT:
        if group in study.children:
            check_contents(study, group)
    if "pairs" in study.children:
        _check_pairs(study)
    if "machine" in study.children:
        _check_machine(study)
    if "human" in study.children:
        _check_human(study)


def _check_pairs(study: xr.DataTree) -> None:
    if "stimuli" not in study.children:
        raise DataError("pairs without stimuli", hint="add the /stimuli group", file="/pairs")
    stimuli, pairs = group_of(study, "stimuli"), group_of(study, "pairs")
    names = stimuli["stimulus"].values.ravel()
    there = names != ""
    if pd.isna(names).any():
        raise DataError(
            f"{int(pd.isna(names).sum()):,} ids are missing values",
            hint='write "" in cells without a face',
            file="/stimuli",
            column="stimulus",
        )
    faces = pd.Index(names[there])
    check_once(faces, "stimuli", "stimulus")
    for side in ("stimulus_a", "stimulus_b"):
        check_labels(pairs[side].values, faces, "pairs", side, "stimuli")
    image = None
    if "image" in stimuli:
        paths = stimuli["image"].broadcast_like(stimuli["stimulus"])
        images = paths.transpose(*stimuli["stimulus"].dims).values.ravel()[there]
        image = pd.Series(images, index=faces, dtype="str").replace("", np.nan)
    columns = ("pair", "stimulus_a", "stimulus_b")
    frame = pd.DataFrame({name: pairs[name].values for name in columns})
    check_comparisons(frame, image, "/pairs")


def _check_machine(study: xr.DataTree) -> None:
    machine = group_of(study, "machine")
    if "pairs" not in study.children:
        raise DataError("distances without pairs", hint="add the /pairs group", file="/machine")
    known = pd.Index(group_of(study, "pairs")["pair"].values)
    check_labels(machine["pair"].values, known, "machine", "pair", "pairs")
    for name in ("distance", "status"):
        if set(machine[name].dims) != {"system", "pair"}:
            raise DataError(
                f"its dims are {', '.join(map(str, machine[name].dims))}",
                hint="a distance and its status are by system and pair",
                file="/machine",
                column=name,
            )
    distance, status = (
        machine[name].transpose("system", "pair").values for name in ("distance", "status")
    )
    lost = (status != "ok") & np.isfinite(distance)
    if lost.any():
        system, pair = (int(index[0]) for index in np.nonzero(lost))
        raise DataError(
            f"system {machine['system'].values[system]}, pair {machine['pair'].values[pair]}: "
            f"the status is {shown(status[system, pair])} although there is a distance, "
            f"{distance[system, pair]:g} ({int(lost.sum()):,} such values)",
            hint='write "ok" as the status, or make the distance NaN',
            file="/machine",
            column="status",
        )
    bad = (status == "ok") & ~(np.isfinite(distance) & (distance >= 0))
    if bad.any():
        system, pair = (int(index[0]) for index in np.nonzero(bad))
        raise DataError(
            f"system {machine['system'].values[system]}, pair {machine['pair'].values[pair]}: "
            f"{distance[system, pair]} ({int(bad.sum()):,} such values)",
            hint="distances are finite and not negative; give failures a status instead",
            file="/machine",
            column="distance",
        )


def _check_human(study: xr.DataTree) -> None:
    if "questions" not in study.children:
        raise DataError("no scales", hint="add the /questions group", file="/human")
    human, questions = group_of(study, "human"), group_of(study, "questions")
    known = pd.Index(questions["question"].values)
    check_labels(human["question"].values, known, "human", "question", "questions")
    for key, group in (("pair", "pairs"), ("stimulus", "stimuli")):
        if key in human and group in study.children:
            judged = pd.Index(human[key].values)
            judged = judged[(judged != "") & judged.notna()]
            labels = pd.Index(group_of(study, group)[key].values.ravel())
            check_labels(judged.to_numpy(), labels, "human", key, group)
    place = known.get_indexer(pd.Index(human["question"].values))
    score = human["score"].values
    inside = (score >= questions["low"].values[place]) & (score <= questions["high"].values[place])
    if not inside.all():
        row = int(np.argmin(inside))
        raise DataError(
            f"{score[row]} is missing or outside the question's scale",
            hint="correct the score or the scale",
            file="/human",
            column="score",
            row=row + 1,
        )
