"""Studies that were changed in xarray: frames and checks of what they hold, or one clear error."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import causalbias as cb
from causalbias import DataError
from causalbias.study.frames import frame_between
from causalbias.study.tree import as_study

STUDY = cb.demo_study()
VERBS = {
    "validate": cb.validate,
    "repr": lambda study: repr(as_study(study)),
    "between": lambda study: frame_between(study, "machine", 2, 7),
    **{
        group: lambda study, group=group: cb.to_frame(study, group)
        for group in ("stimuli", "pairs", "machine", "human", "questions")
    },
}


def changed(group, change):
    """The study with one group changed, as xarray's methods make it."""
    groups = {name: node.to_dataset() for name, node in STUDY.children.items()}
    made = xr.DataTree.from_dict(groups | {group: change(groups[group])})
    made.attrs = dict(STUDY.attrs)
    return made


def with_values(name, values):
    """A change of a variable's values, which stays what it was: a coordinate, or none."""
    return lambda node: node.assign_coords({name: (node[name].dims, values(node[name].values))})


def first(value):
    """A change of the first value, of objects."""

    def change(values):
        made = values.astype(object)
        made.flat[0] = value
        return made

    return change


# What was changed, how, and what is said of it by `validate`, and by which frames.
WRONG = {
    "ids are numbers in /pairs": (
        "pairs", with_values("pair", lambda x: np.arange(len(x))),
        "is not in /pairs", {"machine", "between"},
    ),
    "ids are bytes": (
        "pairs", with_values("pair", lambda x: x.astype("S")),
        "is not in /pairs", {"between"},
    ),
    "an id is there twice": (
        "pairs", with_values("pair", lambda x: np.r_[x[:-1], x[:1]]),
        "occurs more than once", {"pairs", "machine"},
    ),
    "pairs were left out": (
        "pairs", lambda node: node.isel(pair=slice(5)),
        "is not in /pairs", {"machine", "between"},
    ),
    "distances are text": (
        "machine", with_values("distance", lambda x: x.astype(str)),
        "'distance': these are no numbers", {"machine", "between"},
    ),
    "one system was taken": (
        "machine", lambda node: node.isel(system=0),
        "no dim 'system'", {"machine", "between"},
    ),
    "one question was taken": (
        "questions", lambda node: node.isel(question=0), "no dim 'question'", {"questions"},
    ),
    "truth values are text": (
        "pairs", with_values("same_identity", lambda x: x.astype(str)),
        "'same_identity': these are no truth values", {"pairs", "machine", "between"},
    ),
    "faces that are there are numbers": (
        "stimuli", with_values("present", lambda x: x.astype(int)),
        "'present': these are no truth values", {"stimuli"},
    ),
    "an id of a face is missing": (
        "stimuli", with_values("stimulus", first(None)), "1 ids are missing values", set(),
    ),
    "a side of a pair is missing": (
        "pairs", with_values("stimulus_a", first(None)), "is not in /stimuli", set(),
    ),
    "a level is there twice": (
        "stimuli", with_values("seed", lambda x: np.r_[x[:-1], x[:1]]),
        "occurs more than once", {"stimuli"},
    ),
    "a factor has no labels": (
        "stimuli", lambda node: node.drop_vars("seed"), "no variable 'seed'", {"stimuli"},
    ),
    "a side has no factor": (
        "pairs", lambda node: node.drop_vars("seed_b"),
        "no variable 'seed_b'", {"pairs", "machine", "between"},
    ),
    "scores are text": (
        "human", with_values("score", lambda x: x.astype(str)),
        "'score': these are no numbers", {"human"},
    ),
    "a question is missing": (
        "human", with_values("question", first(None)), "is not in /questions", set(),
    ),
    "ends of a scale are text": (
        "questions", with_values("low", lambda x: x.astype(str)),
        "'low': these are no numbers", {"questions"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_read_is_one_clear_error_in_every_verb(case):
    group, change, message, refused = WRONG[case]
    study = changed(group, change)
    said = {}
    for verb, call in VERBS.items():
        try:
            call(study)
        except DataError as error:  # any other error is a failure of the test
            said[verb] = str(error)
    assert message in said["validate"]
    assert refused <= set(said)
    assert all(message in said[verb] for verb in refused)
    assert "repr" not in said


@pytest.mark.parametrize("lazy", [False, True])
def test_the_order_of_pairs_and_of_dims_changes_no_frame(lazy):
    order = np.random.default_rng(0).permutation(STUDY["pairs"].sizes["pair"])
    sorted_by = ["system", "pair"]
    whole = cb.to_frame(STUDY, "machine").sort_values(sorted_by, ignore_index=True)
    for change in (
        lambda node: node.isel(pair=order),
        lambda node: node.isel(pair=order).transpose("pair", "system"),
    ):
        study = changed(
            "machine", lambda node, change=change: change(node.chunk() if lazy else node)
        )
        cb.validate(study)
        found = [cb.to_frame(study, "machine")]
        size = len(order)
        pieces = [(0, 7), (7, size // 2), (size // 2, size)]
        found.append(pd.concat([frame_between(study, "machine", *ends) for ends in pieces]))
        for frame in found:
            pd.testing.assert_frame_equal(frame.sort_values(sorted_by, ignore_index=True), whole)


def test_a_wrong_distance_is_named_whatever_the_order_of_dims():
    study = changed("machine", lambda node: node.transpose("pair", "system").copy(deep=True))
    study["machine"]["distance"][3, 0] = -1.0
    pair = str(study["machine"]["pair"].values[3])
    with pytest.raises(DataError, match=f"pair {pair}: -1"):
        cb.validate(study)


@pytest.mark.parametrize("key", ["pair", "stimulus"])
def test_judgements_of_what_the_study_does_not_hold_are_refused(key):
    group = {"pair": "pairs", "stimulus": "stimuli"}[key]
    dims = STUDY["human"].to_dataset().sizes["judgement"]
    ids = np.resize(np.unique(STUDY[group][key].values), dims).astype("U40")

    def judged(node):
        kept = node.drop_vars([n for n in ("pair", "stimulus") if n in node.variables])
        return kept.assign_coords({key: ("judgement", ids)})

    cb.validate(changed("human", judged))
    ids[7] = "nobody"
    study = changed("human", judged)
    for verb in (cb.validate, lambda one: cb.to_frame(one, "human")):
        with pytest.raises(DataError, match=f"/human, column '{key}': 'nobody' is not in /{group}"):
            verb(study)
