"""Designs smaller than the published one: one attribute, two levels, no network."""

import numpy as np
import pytest

import causalbias as cb
from causalbias.analyses.manipulation.analysis import analyse_manipulation, edits_of
from causalbias.errors import DataError


def part_of_demo(attributes, levels, groups=("stimuli", "pairs", "machine", "human", "questions")):
    """The demo study with these attributes and levels only."""
    study = cb.demo_study()
    parts = {name: study[name].to_dataset() for name in groups}
    parts["human"] = parts["human"].isel(
        judgement=np.isin(parts["human"]["attribute"], attributes)
        & np.isin(parts["human"]["level"], levels)
    )
    if "pairs" in parts:
        pairs = parts["pairs"]
        keep = np.isin(pairs["attribute_a"], attributes)
        keep &= np.isin(pairs["level_a"], levels) & np.isin(pairs["level_b"], levels)
        parts |= {name: parts[name].isel(pair=keep) for name in ("pairs", "machine")}
    tree = type(study).from_dict({f"/{name}": dataset for name, dataset in parts.items()})
    tree.attrs = dict(study.attrs)
    return tree


@pytest.mark.parametrize(
    ("attributes", "levels"), [(["age"], [0, 1, 2]), (["age", "pose"], [0, 2]), (["age"], [0, 2])]
)
def test_the_numbers_are_those_of_the_plain_means(attributes, levels):
    study = part_of_demo(attributes, levels)
    result = analyse_manipulation(study, draws=500)
    rows = cb.to_frame(study, "machine").query("same_identity and level_a == 0")
    plain = rows.groupby(["attribute", "level_b"])["distance"].mean()
    table = cb.summarise(result.machine).set_index(["attribute", "level"])
    assert len(table) == len(plain)
    # 30 seeds each, no missing pair: the model's means are the plain ones.
    np.testing.assert_allclose(table["estimate"], plain.loc[table.index], atol=0.003)
    assert result.ratio["n_edits"].values.ravel().tolist() == [30] * len(attributes)


def test_without_a_network_there_is_a_human_side_only():
    study = part_of_demo(["age", "pose"], [0, 1, 2], groups=("human", "questions"))
    result = analyse_manipulation(study, draws=250)
    assert result.machine is None
    assert sorted(result.ranks) == ["human"]


def test_an_attribute_that_cannot_be_fitted_is_named():
    study = part_of_demo(["age", "pose"], [0, 1, 2])
    human = study["human"].to_dataset()
    human["score"] = human["score"].where(human["attribute"] != "pose", 50.0)
    study["human"] = type(study["human"])(human)
    with pytest.raises(DataError, match="people: pose: all responses are 50"):
        analyse_manipulation(study, draws=250)


def test_the_order_of_a_pairs_members_does_not_matter():
    study = cb.demo_study()
    turned = study.copy()
    pairs = study["pairs"].to_dataset()
    swap = {}
    for name in pairs.variables:
        if str(name).endswith("_a"):
            other = f"{str(name)[:-2]}_b"
            some = np.arange(pairs.sizes["pair"]) % 3 == 0
            a, b = pairs[name].values, pairs[other].values
            swap |= {
                name: ("pair", np.where(some, b, a)),
                other: ("pair", np.where(some, a, b)),
            }
    turned["pairs"] = type(study["pairs"])(pairs.assign(swap))
    for found in (edits_of(study), edits_of(turned)):
        assert (found["level_a"] == 0).all()
    columns = ["system", "seed", "attribute", "level_a", "level_b", "distance"]
    assert edits_of(study)[columns].equals(edits_of(turned)[columns])
