"""Levels: their order, reference and text are the data's, from the formula to the kept fit."""

import datetime
import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xarray as xr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import causalbias as cb
from causalbias import DataError
from causalbias.models.group_design import group_designs
from causalbias.models.levels import canonical, find_level, levels_of
from causalbias.models.result import frame_of, pack_frame
from causalbias.models.specification import ModelSpec, model_frame
from causalbias.study.columns import labels
from causalbias.study.columns import levels_of as study_levels_of

RNG = np.random.default_rng(5)
CODES = RNG.integers(0, 3, 240)
Y = np.array([0.0, 1.0, 3.0])[CODES] + RNG.normal(0, 0.5, 240)
DAYS = [datetime.date(2019, 12, 31), datetime.date(2020, 1, 2), datetime.date(2020, 11, 1)]


def arrow(values):
    return pd.arrays.ArrowExtensionArray(pa.chunked_array([values]))


def categorical(categories, **more):
    return pd.Categorical.from_codes(CODES + more.pop("skip", 0), categories, **more)


# dtype: (the column, its three levels in order)
COLUMNS = {
    "text": (np.array(["a", "b", "c"])[CODES], ["a", "b", "c"]),
    "objects": (np.array(["a", "b", "c"], dtype=object)[CODES], ["a", "b", "c"]),
    "string[python]": (pd.array(np.array(["a", "b", "c"])[CODES], "string[python]"), list("abc")),
    "string[pyarrow]": (pd.array(np.array(["a", "b", "c"])[CODES], "string[pyarrow]"), list("abc")),
    "Arrow dictionary": (
        arrow(pa.array(np.array(["a", "b", "c"])[CODES]).dictionary_encode()),
        ["a", "b", "c"],
    ),
    "categorical": (categorical(["low", "mid", "high"]), ["low", "mid", "high"]),
    "ordered": (categorical(["low", "mid", "high"], ordered=True), ["low", "mid", "high"]),
    "unused": (categorical(["?", "z", "y", "x", "!"], skip=1), ["z", "y", "x"]),
    "numbers": (categorical([2, 10, 100]), ["2", "10", "100"]),
    "decimals": (categorical([0.5, 1.0, 10.25]), ["0.5", "1", "10.25"]),
    "intervals": (pd.cut(CODES, [-1, 0, 1, 2]), ["(-1, 0]", "(0, 1]", "(1, 2]"]),
    "interval array": (
        pd.arrays.IntervalArray.from_breaks([-1, 0, 9, 10]).take(CODES),
        ["(-1, 0]", "(0, 9]", "(9, 10]"],
    ),
    "days": (pd.to_datetime(np.array(DAYS, "datetime64[ns]")[CODES]), list(map(str, DAYS))),
    "dates": (np.array(DAYS, dtype=object)[CODES], list(map(str, DAYS))),
    "Arrow dates": (arrow(pa.array(np.array(DAYS, dtype=object)[CODES])), list(map(str, DAYS))),
    "months": (
        pd.PeriodIndex(["2019-09", "2019-10", "2020-01"], freq="M").take(CODES),
        ["2019-09", "2019-10", "2020-01"],
    ),
    "long": (np.array(["a" * 300, "b", "c" * 80])[CODES], ["a" * 300, "b", "c" * 80]),
}


def frame(column):
    return pd.DataFrame({"y": Y, "f": COLUMNS[column][0]})


@pytest.fixture(scope="module")
def expected():
    """Draws of the effects of a plain text column whose alphabet is its order."""
    fit = cb.fit("y ~ f", frame("text"), draws=100)
    return cb.effects(fit, "f")["effect"].values


@pytest.mark.parametrize("formula", ["y ~ f", "y ~ C(f)"])
@pytest.mark.parametrize("column", COLUMNS)
def test_one_factor_in_any_dtype_is_one_model(column, formula, expected):
    levels = COLUMNS[column][1]
    found = cb.effects(cb.fit(formula, frame(column), draws=100), "f")
    assert found["f"].values.tolist() == levels[1:]
    assert found.attrs["reference"] == levels[0]
    np.testing.assert_array_equal(found["effect"].values, expected)
    assert set(cb.summarise(found)["reference"]) == {levels[0]}


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("end", [".nc", ".zarr"])
def test_rows_of_a_fit_come_back_from_a_file_with_their_levels(column, end, tmp_path):
    fit = cb.fit("y ~ f", frame(column), draws=10)
    opened = cb.open(cb.save(fit, tmp_path / f"fit{end}"))
    pd.testing.assert_frame_equal(frame_of(opened), frame_of(fit), check_like=True)
    assert levels_of(frame_of(opened)["f"]) == COLUMNS[column][1]


BOOLEANS = ["bool", "boolean", "bool[pyarrow]", "object"]


@pytest.mark.parametrize("dtype", BOOLEANS)
def test_false_is_the_reference_of_true(dtype):
    rows = pd.DataFrame({"y": Y, "b": pd.Series(CODES == 2).astype(dtype)})
    found = cb.effects(cb.fit("y ~ b", rows, draws=100), "b")
    assert (found.attrs["reference"], found["b"].values.tolist()) == ("False", ["True"])
    assert float(found["effect"].mean()) > 2
    turned = cb.effects(cb.fit("y ~ b", rows, draws=100), "b", reference=True)
    np.testing.assert_allclose(turned["effect"].values, -found["effect"].values)


@pytest.mark.parametrize(
    ("dtype", "whole"),
    [
        ("int8", 1),
        ("uint64", 1),
        ("Int64", 1),
        ("int32[pyarrow]", 1),
        ("float32", 0),
        ("Float64", 0),
        ("double[pyarrow]", 0),
        ("object", 1),
        ("Sparse[int]", 1),
    ],
)
def test_numbers_of_any_dtype_are_numbers(dtype, whole):
    found = canonical(pd.Series(CODES).astype(dtype))
    assert found.dtype == (np.int64 if whole else np.float64)
    assert found.tolist() == CODES.tolist()


@pytest.mark.parametrize("dtype", ["uint64", "int64", "Int64", "uint64[pyarrow]"])
def test_neighbouring_numbers_beyond_those_of_floats_stay_apart(dtype):
    ids = [2**63 - 1, 2**53 + 1, 2**53 + 2]
    if "uint" in dtype:
        ids = [2**64 - 1, 2**63 + 1, 2**63 + 2]
    found = canonical(pd.Series(ids, dtype=dtype))
    assert levels_of(found) == [str(one) for one in sorted(ids)]
    assert found.tolist() == [str(one) for one in ids]


@pytest.mark.parametrize(
    "values", [[1, "1"], [None, 1, "1"], [True, "True"], ["2020-01-01", datetime.date(2020, 1, 1)]]
)
def test_values_that_are_written_alike_are_refused(values):
    with pytest.raises(DataError, match="written alike"):
        canonical(pd.Series(values, dtype=object, name="x"))


@pytest.mark.parametrize(
    ("levels", "asked", "found"),
    [
        (["False", "True"], np.True_, "True"),
        (["False", "True"], 1, None),
        (["(0, 35]", "(35, 50]"], pd.Interval(35, 50), "(35, 50]"),
        (["2020-01-01", "2020-02-01"], pd.Timestamp("2020-02-01"), "2020-02-01"),
        (["2020-01-01"], np.datetime64("2020-01-01"), "2020-01-01"),
        (["2020-01-01"], datetime.date(2020, 1, 1), "2020-01-01"),
        (["1", "2"], 2, "2"),
        (["1.0", "2.0"], 2, "2.0"),
        (["1", "2"], 2.0, "2"),
        (["0.5", "2"], Decimal("0.50"), "0.5"),
        (["0.0000001"], 1e-7, "0.0000001"),
        (["a"], "a ", "a"),
        (["2020-01-01T08:00:00"], pd.Timestamp("2020-01-01 08:00"), "2020-01-01T08:00:00"),
        (["01", "001"], 1, None),
        (["1", "2"], "2.0", None),
        ([1, 2], "2", 2),
        ([0.5, 1.0], 1, 1.0),
        ([0, 1], True, None),
        (["a"], None, None),
    ],
)
def test_a_level_is_found_by_the_users_own_value(levels, asked, found):
    assert find_level(levels, asked) == found


MISSING_OR_ALIKE = {
    "nan": ["a", "b", "nan"],
    "NA": ["a", "b", "NA"],
    "empty": ["a", "b", ""],
    "blank": ["a", "b", "  "],
    "a category": pd.Categorical(["a", "b", "NA"]),
    "a space": ["a", "b", "a "],
    "decomposed": ["é", "b", "e\u0301"],
    "a whole number with a point": ["7", "b", "7.0"],
}


@pytest.mark.parametrize("case", MISSING_OR_ALIKE)
@pytest.mark.parametrize("formula", ["y ~ g", "y ~ 1 + (1|g)", "y ~ C(g)", "y ~ 1 + (1|mm(g, h))"])
def test_missing_texts_and_labels_that_look_alike_are_no_levels(case, formula):
    g = pd.Series(MISSING_OR_ALIKE[case])
    rows = pd.DataFrame({"g": pd.concat([g, g], ignore_index=True), "h": list("ababab")})
    rows = rows.assign(y=[1.0, 2, 3, 5, 4, 6])
    with pytest.raises(DataError, match=r"missing in 2 of 6 rows|look the same") as caught:
        cb.fit(formula, rows)
    assert caught.value.column == "g"
    assert caught.value.row in (1, 3)


def test_labels_that_look_alike_in_two_columns_of_members_are_refused():
    rows = pd.DataFrame({"y": [1.0, 2, 3, 5], "g": list("abéa"), "h": ["b", "e\u0301", "a", "b"]})
    with pytest.raises(DataError, match="look the same"):
        cb.fit("y ~ 1 + (1|mm(g, h))", rows)


@pytest.mark.parametrize("dtype", ["int64", "float64", "Int64", "str", "object", "category"])
def test_whole_numbers_group_rows_by_one_label_in_any_dtype(dtype):
    rows = pd.DataFrame({"y": Y, "g": pd.Series(CODES * 9 + 1).astype(dtype)})
    design = group_designs("y ~ 1 + (1|g)", model_frame(ModelSpec("y ~ 1 + (1|g)"), rows))[0]
    assert design.levels.tolist() == ["1", "10", "19"]


TEXTS = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=9),
    min_size=2,
    max_size=6,
    unique=True,
)


@settings(deadline=None)
@given(TEXTS)
def test_a_fit_and_a_study_have_the_same_levels(levels):
    values = pd.Series(levels, name="f")
    try:
        known = labels(values, file="data")
    except DataError as error:
        with pytest.raises(DataError, match=re.escape(error.problem)):
            canonical(values)
        return
    assert levels_of(canonical(values)) == study_levels_of(known).tolist()
    assert canonical(values).isna().tolist() == known.isna().tolist()


@settings(deadline=None)
@given(TEXTS, st.data())
def test_packed_rows_come_back_whatever_their_levels(levels, data):
    codes = data.draw(st.lists(st.integers(0, len(levels) - 1), min_size=1, max_size=20))
    given_order = pd.Categorical.from_codes(codes, levels, ordered=data.draw(st.booleans()))
    try:
        found = canonical(pd.Series(given_order))
    except DataError:  # levels that look alike
        assume(False)
    assume(found.notna().all())  # texts that stand for a missing cell
    used = pd.DataFrame({"f": found, "x": np.arange(len(codes))})
    again = frame_of(xr.DataTree.from_dict({"constant_data": pack_frame(used)}))
    pd.testing.assert_frame_equal(again, used)
    there = [one.strip() for k, one in enumerate(levels) if k in set(codes)]
    assert levels_of(again["f"]) == there


@settings(deadline=None, max_examples=8)
@given(st.permutations(range(3)), st.permutations(["kiwi", "fig", "apple"]))
def test_order_and_names_of_levels_change_no_effect(order, names):
    """Against one level, whichever is the model's reference: to Monte Carlo error."""
    plain = cb.effects(cb.fit("y ~ f", frame("text")), "f", reference="b")["effect"]
    kind = pd.CategoricalDtype([names[k] for k in order])
    renamed = pd.Series(np.array(names)[CODES]).astype(kind)
    found = cb.effects(cb.fit("y ~ f", frame("text").assign(f=renamed)), "f", reference=names[1])
    assert found["f"].values.tolist() == [names[k] for k in order if k != 1]
    for old, new in (("a", names[0]), ("c", names[2])):
        one, other = plain.sel(f=old), found["effect"].sel(f=new)
        # Two means of 4,000 independent draws. Default priors are wide enough to be forgotten.
        error = float(np.hypot(one.std(), other.std())) / np.sqrt(4000)
        assert abs(float(one.mean() - other.mean())) < 5 * error


def test_cells_are_in_the_order_of_the_levels():
    rows = frame("ordered").assign(s=np.where(np.arange(240) % 2, "m", "f"))
    fit = cb.fit("y ~ f*s", rows, draws=50)
    found = cb.predictions(fit, ["s", "f"])
    assert found["f"].values.tolist() == ["low", "mid", "high"]
    table = cb.summarise(found)
    assert table["f"].tolist() == ["low", "mid", "high"] * 2
    mean = rows.groupby(["s", "f"], observed=True)["y"].mean()
    np.testing.assert_allclose(table["estimate"], mean.to_numpy(), atol=0.3)
    by = cb.effects(fit, "s", by="f")
    assert by["f"].values.tolist() == ["low", "mid", "high"]


def test_a_level_lost_by_a_subset_leaves_nothing():
    rows = frame("categorical").assign(g=pd.Categorical.from_codes(CODES, list("uvw")))
    fit = cb.fit("y ~ f + (1|g)", rows, subset="f != 'mid'", draws=50)
    posterior = fit["posterior"]
    assert posterior["f"].sizes["f_dim"] == 1
    assert posterior["g__factor_dim"].values.tolist() == ["u", "w"]


def changes():
    k = np.random.default_rng(0).integers(1, 5, 120)
    rows = pd.DataFrame({"y": k + 0.0, "f": pd.Categorical(k, [1, 2, 3, 4]), "x": k % 3})
    rows["y"] += np.random.default_rng(1).normal(0, 1, 120)
    yield "as it was", rows, rows.copy(), True
    yield "order", rows, rows.assign(f=rows["f"].cat.reorder_categories([4, 3, 2, 1])), False
    yield "names", rows, rows.assign(f=rows["f"].cat.rename_categories(list("abcd"))), False
    yield "numbers", rows, rows.assign(f=rows["f"].astype(int)), False
    yield "text", rows.assign(f=k), rows.assign(f=k.astype(str)), False
    yield "dtype of numbers", rows, rows.assign(x=rows["x"].astype("Int8")), True
    yield "unused", rows, rows.assign(f=rows["f"].cat.add_categories([9])), True
    yield "values", rows, rows.assign(x=rows["x"] * 2), False


@pytest.mark.parametrize("case", changes(), ids=lambda case: case[0])
def test_a_kept_fit_is_of_the_same_model_or_fitted_again(case, tmp_path):
    _, before, after, kept = case
    path = tmp_path / "kept.nc"
    first = cb.fit("y ~ f + x", before, draws=20, file=path)
    second = cb.fit("y ~ f + x", after, draws=20, file=path)
    assert bool(first.attrs["seconds"] == second.attrs["seconds"]) is kept


def test_reversed_categories_of_a_response_are_another_model(tmp_path):
    rng = np.random.default_rng(0)
    k = rng.integers(1, 5, 240)
    o = pd.Categorical(k, [1, 2, 3, 4], ordered=True)
    rows = pd.DataFrame({"x": k + rng.normal(0, 1, 240), "o": o})
    turned = rows.assign(o=rows["o"].cat.reorder_categories([4, 3, 2, 1]))
    slopes = [
        float(
            cb.fit("o ~ x", one, family="cumulative", draws=100, file=tmp_path / "o.nc")[
                "posterior"
            ]["x"].mean()
        )
        for one in (rows, turned)
    ]
    assert slopes[0] > 1
    assert slopes[1] == pytest.approx(-slopes[0], rel=0.1)


def test_a_printed_fit_names_the_reference_of_each_factor():
    frame = pd.DataFrame(
        {"race": list("bawbaw") * 4, "age": np.arange(24) % 4 // 2 + 1, "x": range(24)}
    )
    frame["y"] = np.random.default_rng(0).normal(size=24)
    printed = str(cb.fit("y ~ race + C(age) + x", frame, draws=50))
    assert "Population-level effects (race against a; age against 1):" in printed
