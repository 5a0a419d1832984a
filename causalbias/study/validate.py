"""Check that a DataTree has the groups, dimensions and values of a study."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.errors import DataError, shown
from causalbias.study.tables import check_comparisons
from causalbias.study.tree import group_of

# group: (required dims, required coordinates and variables)
CONTRACT: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "stimuli": ((), ("stimulus", "present")),
    "pairs": (("pair",), ("pair", "stimulus_a", "stimulus_b", "same_identity", "varies")),
    "machine": (("system", "pair"), ("system", "pair", "distance", "status")),
    "embeddings": (
        ("system", "stimulus", "feature"),
        ("system", "stimulus", "embedding", "status"),
    ),
    "human": (("judgement",), ("score", "question")),
    "questions": (("question",), ("question", "low", "high")),
}


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
    for group, (dims, variables) in CONTRACT.items():
        if group in study.children:
            _check_contents(group_of(study, group), group, dims, variables)
    if "pairs" in study.children:
        _check_pairs(study)
    if "machine" in study.children:
        _check_machine(study)
    if "human" in study.children:
        _check_human(study)


def _check_contents(
    node: xr.Dataset, group: str, dims: Sequence[str], variables: Sequence[str]
) -> None:
    for kind, wanted, found in (
        ("dim", dims, list(node.sizes)),
        ("variable", variables, [str(name) for name in node.variables]),
    ):
        for name in wanted:
            if name not in found:
                raise DataError(
                    f"there is no {kind} {name!r}; found {', '.join(map(str, found))}",
                    hint=f"the group /{group} needs {kind}s {', '.join(wanted)}",
                    file=f"/{group}",
                )
    for name in dims:
        if name in node.coords and not node.indexes[name].is_unique:
            again = node.indexes[name][node.indexes[name].duplicated()][0]
            raise DataError(
                f"{shown(again)} occurs more than once",
                hint="give every label once",
                file=f"/{group}",
                column=name,
            )


def _check_pairs(study: xr.DataTree) -> None:
    if "stimuli" not in study.children:
        raise DataError("pairs without stimuli", hint="add the /stimuli group", file="/pairs")
    known = np.unique(group_of(study, "stimuli")["stimulus"].values)
    for side in ("stimulus_a", "stimulus_b"):
        _check_labels(group_of(study, "pairs")[side].values, known, "/pairs", side, "/stimuli")
    stimuli, pairs = group_of(study, "stimuli"), group_of(study, "pairs")
    names = stimuli["stimulus"].values.ravel()
    there = names != ""
    faces = pd.Index(names[there])
    if not faces.is_unique:
        raise DataError(
            f"{shown(faces[faces.duplicated()][0])} occurs more than once",
            hint="give every face a unique id",
            file="/stimuli",
            column="stimulus",
        )
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
    _check_labels(
        machine["pair"].values,
        group_of(study, "pairs")["pair"].values,
        "/machine",
        "pair",
        "/pairs",
    )
    distance, status = machine["distance"].values, machine["status"].values
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
    _check_labels(
        human["question"].values, questions["question"].values, "/human", "question", "/questions"
    )
    place = questions.indexes["question"].get_indexer(pd.Index(human["question"].values))
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


def _check_labels(
    values: np.ndarray, known: np.ndarray, group: str, column: str, other: str
) -> None:
    unknown = ~np.isin(values, known)
    if unknown.any():
        raise DataError(
            f"{shown(values[unknown][0])} is not in {other} ({int(unknown.sum()):,} such labels)",
            hint=f"add it to {other} or remove it here",
            file=group,
            column=column,
        )
