"""Specifications, and the checks on the rows that a model is given."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import causalbias as cb
from causalbias import DataError
from causalbias.models.bambi_models import bambi_model
from causalbias.models.families import FAMILIES
from causalbias.models.result import frame_of, spec_of
from causalbias.models.specification import ModelSpec, model_frame

FRAME = pd.DataFrame(
    {
        "y": [0.2, 0.4, 0.9, 0.5],
        "x": [1.0, 2.0, 3.0, 4.0],
        "flag": [True, False, True, False],
        "whole": pd.array([1, 2, 3, 1], dtype="Int64"),
        "g": ["a", "a", "b", "b"],
        "unused": [None, None, None, None],
    }
)


@given(
    st.text(max_size=30),
    st.sampled_from(sorted(FAMILIES)),
    st.none() | st.text(max_size=8),
    st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=3),
)
def test_specification_comes_back(formula, family, link, priors):
    spec = ModelSpec(formula, family, link, priors)
    assert ModelSpec.from_json(spec.to_json()) == spec


def refused(formula, frame, family="gaussian", **more) -> DataError:
    with pytest.raises(DataError) as caught:
        model_frame(ModelSpec(formula, family, **more), frame)
    assert type(caught.value) is DataError
    assert "np." not in str(caught.value)
    return caught.value


def test_columns_used_and_their_types():
    used = model_frame(ModelSpec("y ~ x + flag + whole + (1|g)"), FRAME)
    assert list(used) == ["y", "x", "flag", "whole", "g"]
    assert used["flag"].tolist() == ["True", "False", "True", "False"]
    assert used["g"].cat.categories.tolist() == ["a", "b"]
    assert used["whole"].dtype == int
    assert len(FRAME.columns) == 6, "the frame given is left alone"
    assert FRAME["flag"].dtype == bool


def test_missing_column():
    assert refused("y ~ absent", FRAME).column == "absent"


@pytest.mark.parametrize("column", ["y", "x", "g"])
def test_missing_value(column):
    frame = FRAME.copy()
    frame.loc[2, column] = None
    error = refused("y ~ x + (1|g)", frame)
    assert (error.column, error.row) == (column, 3)


def test_infinite_value():
    error = refused("y ~ x", FRAME.assign(x=[1, 2, 3, np.inf]))
    assert (error.column, error.row) == ("x", 4)


def test_unknown_family():
    assert "gaussian" in refused("y ~ x", FRAME, "poison").hint


RESPONSES = {
    "text": ("gaussian", ["a", "b", "c", "d"], 1),
    "constant": ("gaussian", [3.0] * 4, None),
    "two": ("bernoulli", [0, 1, 2, 1], 3),
    "half": ("bernoulli", [0, 0.5, 1, 1], 2),
    "yes": ("bernoulli", ["yes", "no", "no", "yes"], 1),
    "zero": ("beta", [0.2, 0.0, 0.4, 0.5], 2),
    "one": ("beta", [0.2, 0.3, 0.4, 1.0], 4),
    "not whole": ("cumulative", [1, 2, 2.5, 3], 3),
    "words": ("cumulative", ["low", "mid", "high", "low"], 1),
    "one category": ("cumulative", [2, 2, 2, 2], None),
}


@pytest.mark.parametrize("case", RESPONSES)
def test_response_of_another_family(case):
    family, values, row = RESPONSES[case]
    error = refused("y ~ x", FRAME.assign(y=values), family)
    assert (error.column, error.row) == ("y", row)


@pytest.mark.parametrize(
    ("hits", "trials", "column", "row"),
    [
        ([1, 2, 5, 0], [3, 3, 3, 3], "hits", 3),
        ([1, -1, 2, 0], [3, 3, 3, 3], "hits", 2),
        ([1, 2, 2.5, 0], [3, 3, 3, 3], "hits", 3),
        ([1, 1, 1, 0], [3, 3, 3, 1.5], "n", 4),
    ],
)
def test_more_successes_than_trials(hits, trials, column, row):
    error = refused("p(hits, n) ~ x", FRAME.assign(hits=hits, n=trials), "binomial")
    assert (error.column, error.row) == (column, row)


def test_binomial_without_trials():
    with pytest.raises(DataError):
        cb.fit("y ~ x", FRAME.assign(y=[1, 0, 2, 1]), family="binomial")


def test_ordered_words_are_categories():
    order = pd.CategoricalDtype(["low", "mid", "high", "never used"], ordered=True)
    frame = FRAME.assign(y=pd.Series(["low", "high", "mid", "low"]).astype(order))
    used = model_frame(ModelSpec("y ~ x", "cumulative"), frame)
    assert used["y"].cat.categories.tolist() == ["low", "mid", "high"]


@pytest.mark.parametrize(
    "spec",
    [
        ModelSpec("y ~ x", link="no-such-link"),
        ModelSpec("y ~ x", priors={"z": "Normal(0, 1)"}),
        ModelSpec("y ~ x", priors={"x": "Normal(0)"}),
        ModelSpec("y ~ x + x:(1|g):(x|g)"),
    ],
    ids=["link", "term", "prior", "terms"],
)
def test_models_that_cannot_be(spec):
    with pytest.raises(DataError):
        bambi_model(spec, model_frame(spec, FRAME))


def test_response_that_a_study_has_not():
    study = cb.demo_study()
    with pytest.raises(DataError, match="distance or score"):
        cb.fit("height ~ level", study)
    with pytest.raises(DataError, match="nope"):
        cb.fit("score ~ nope", study)
    with pytest.raises(DataError, match="method"):
        cb.fit("score ~ level", study, method="magic")


def test_rows_of_a_fit_come_back(slopes_fit, slopes_frame):
    found = frame_of(slopes_fit)
    assert {name for name in found if found[name].dtype == "category"} == {"kind", "g"}
    pd.testing.assert_frame_equal(
        found.astype(slopes_frame.dtypes.to_dict()), slopes_frame, check_like=True
    )
    assert spec_of(slopes_fit) == ModelSpec("y ~ x*kind + (x|g)")


@pytest.mark.parametrize("dtype", ["bool", "boolean", "object", "category"])
def test_truth_values_of_any_dtype_are_a_binary_response(dtype):
    rows = FRAME.assign(y=pd.Series([True, False, False, True]).astype(dtype))
    if dtype == "category":
        refused("y ~ x", rows, "bernoulli")
    else:
        assert model_frame(ModelSpec("y ~ x", "bernoulli"), rows)["y"].tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("option", ["weights", "counts"])
def test_decimals_weigh_rows_as_floats_do(option):
    rows = FRAME.assign(w=[Decimal(2), Decimal("1.0"), Decimal(3), Decimal(1)])
    used = model_frame(ModelSpec("y ~ x", **{option: "w"}), rows)
    assert used["w"].tolist() == [2.0, 1.0, 3.0, 1.0]
    gone = rows.assign(w=["2", "NA", "3", "1"])
    assert refused("y ~ x", gone, **{option: "w"}).row == 2


def test_rows_of_a_model_are_copied_once_and_no_block_of_them_again():
    a, b = np.arange(6.0), np.arange(6)
    rows = pd.DataFrame({"y": a[::-1], "a": a, "b": b}, copy=False)
    used = model_frame(ModelSpec("y ~ a + b"), rows)
    for name in ("a", "b"):
        assert not np.shares_memory(used[name].to_numpy(), rows[name].to_numpy())
        # as formulae takes the columns of a formula
        assert np.shares_memory(used[["y", "b", "a"]][name].to_numpy(), used[name].to_numpy())
    a[:], b[:] = 0.0, 0
    assert used["a"].tolist() == list(range(6))
    assert used["b"].tolist() == list(range(6))
