"""What a user gives first where something else is needed: the error says what to give."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias import DataError
from causalbias.models.families import family_named

ANSWERS = pd.Series(["similar", "not similar", "very similar"], name="answer")


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"g": rng.choice(["a", "b"], 60), "w": rng.integers(1, 4, 60)})
    rows["p"], rows["q"] = (rng.choice(["s1", "s2", "s3", "s4"], 60) for _ in "pq")
    return rows.assign(y=rng.normal(size=60))


@pytest.mark.parametrize("argument", ["weights", "counts"])
def test_values_of_rows_in_place_of_the_name_of_their_column(rows, argument):
    with pytest.raises(DataError, match=f"{argument} is a Series.*give the name of a column"):
        cb.fit("y ~ g", rows, **{argument: rows["w"]})


def test_a_mask_in_place_of_a_condition(rows):
    with pytest.raises(DataError, match=r"and a Series was given.*data\[chosen\]"):
        cb.fit("y ~ g", rows, subset=rows["w"] > 1)


@pytest.mark.parametrize(
    ("family", "values", "way"),
    [
        ("bernoulli", pd.Series(["yes", "no"], name="z"), r"data.assign\(z=data\['z'\] == 'yes'\)"),
        ("bernoulli", pd.Series([1, 2], name="z"), r"which of 1 and 2 is 1.*data\['z'\] == 2"),
        (
            "cumulative",
            ANSWERS,
            r"\(data\['answer'\], \['not similar', 'similar', 'very",
        ),
        ("cumulative", pd.Series([2.5, 5.0]), "in their order, from low to high"),
        ("sratio", ANSWERS, "in their order, from low to high"),
        ("beta", pd.Series([0.0, 75.0]), r"\(y - low\) / \(high - low\)"),
        ("gaussian", ANSWERS, "code it as numbers, or choose a family of answers"),
    ],
)
def test_a_response_of_another_kind_is_told_how_to_become_one(family, values, way):
    with pytest.raises(DataError, match=way):
        family_named(family).validate_response(values)


def test_groups_are_named_as_they_are_written_in_the_formula(rows):
    fit = cb.fit("y ~ g + (1|mm(p,q))", rows, draws=100)
    one, other = (cb.group_effects(fit, name) for name in ("mm(p,q)", "mm(p, q)"))
    assert one["effect"].equals(other["effect"])
    with pytest.raises(DataError, match=r"no effects of 'seed'.*over='p' or 'q'"):
        cb.heterogeneity(fit, "g")
