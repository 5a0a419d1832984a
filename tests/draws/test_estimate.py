"""Estimates: what they know, how they print, and that marks of failed fits outlive arithmetic."""

import json
import operator

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import causalbias as cb
from causalbias.draws.estimate import ATTRIBUTES, Estimate, estimate
from causalbias.draws.marks import failed, mark
from causalbias.draws.summaries import summarise


def draws_of(failures="[]", *, name="effect", random_seed=1, **what):
    """An estimate by race and pose of a fit that failed these diagnostics."""
    rng = np.random.default_rng(random_seed)
    found = xr.Dataset(
        {
            name: (("chain", "draw", "race", "pose"), rng.normal(1, 1, (2, 10, 3, 2))),
            "n": (("race", "pose"), np.full((3, 2), 12)),
        },
        {"chain": [0, 1], "draw": np.arange(10), "race": ["a", "b", "c"], "pose": [-1.0, 1.0]},
    )
    fit = xr.DataTree(xr.Dataset(attrs={"failures": failures}))
    return estimate(found, of=[fit], **({"estimand": "effect of race"} | what))


def joined(one, other):
    """Draws of both, numbered anew: a number twice could not be aligned with others."""
    found = xr.concat(
        [one, other], "draw", data_vars="all", coords="different", compat="equals", join="inner"
    )
    return found.assign_coords(draw=np.arange(found.sizes["draw"]))


BAD = draws_of('["R-hat of 1.2"]')
GOOD = draws_of(random_seed=2)
STEPS = {
    "a number added": lambda one: 1 + one,
    "a difference": lambda one: one - GOOD,
    "a difference, turned": lambda one: GOOD - one,
    "a ratio": lambda one: one / (2 + abs(GOOD)),
    "a power": lambda one: one**2,
    "of numbers": lambda one: np.arctan(one),
    "of two": lambda one: np.maximum(one, GOOD),
    "an array": lambda one: one * xr.DataArray([1.0, 2.0], dims="pose"),
    "a comparison": lambda one: (one > 0) * 1.0,
    "the sign": lambda one: -one,
    "one level": lambda one: one.isel(race=slice(0, 2)),
    "where": lambda one: one.where(one["effect"] > -9),
    "filled": lambda one: one.fillna(0.0),
    "between": lambda one: one.clip(-5, 5),
    "thinned": lambda one: one.isel(draw=slice(0, None, 2)),
    "mapped": lambda one: one.map(np.abs),
    "an assignment": lambda one: one.assign(twice=one["effect"] * 2)[["effect"]],
    "joined": lambda one: joined(one, GOOD),
    "as numbers": lambda one: one.astype(float),
    "averaged": lambda one: one.mean("pose") if "pose" in one.dims else one,
    "grouped": lambda one: one.groupby("race").map(lambda part: part),
    "copied": lambda one: one.copy(deep=True),
    "turned": lambda one: one.transpose(..., "draw"),
}
REDUCTIONS = {
    "all draws": lambda one: one,
    "their mean": lambda one: one.mean(("chain", "draw")),
    "a quantile": lambda one: one.quantile(0.5, ("chain", "draw")),
    "a variable": lambda one: one["effect"],
    "a variable, averaged": lambda one: one["effect"].mean("draw") - 1,
    "a plain dataset": lambda one: one.dataset,
    "a dataset of a variable": lambda one: xr.Dataset({"other": one["effect"]}),
}


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=5), st.sampled_from(sorted(REDUCTIONS)))
def test_the_mark_outlives_any_chain_of_arithmetic_selection_and_reduction(steps, last):
    bad, good = BAD, GOOD
    for step in steps:
        bad, good = STEPS[step](bad), STEPS[step](good)
        assert isinstance(bad, Estimate)
    assert failed(REDUCTIONS[last](bad))
    assert "R-hat" in mark(REDUCTIONS[last](bad))
    assert not failed(REDUCTIONS[last](good))


def test_an_estimate_of_two_failed_fits_gives_the_reasons_of_both():
    other = draws_of('["an effective sample size of 9"]')
    assert json.loads(mark(BAD - other)) == ["R-hat of 1.2", "an effective sample size of 9"]


@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "pow", "lt", "ge", "floordiv"])
def test_arithmetic_gives_the_numbers_that_xarray_gives(name):
    function = getattr(operator, name)
    for left, right in ((GOOD, BAD), (GOOD, 2.0), (GOOD, BAD["effect"].isel(race=0))):
        plain = [one["effect"] if isinstance(one, Estimate) else one for one in (left, right)]
        xr.testing.assert_equal(function(left, right)["effect"], function(*plain))


def test_arithmetic_is_of_the_draws_and_not_of_what_is_said_of_cells():
    assert (GOOD * 2)["n"].values.tolist() == GOOD["n"].values.tolist()
    assert (GOOD - BAD)["n"].values.tolist() == GOOD["n"].values.tolist()
    assert "n" not in GOOD - BAD.assign(n=BAD["n"] + 1)
    assert (GOOD - BAD).attrs["estimand"] == "computed from: effect of race"


def test_what_has_no_variable_in_common_is_not_subtracted():
    with pytest.raises(cb.DataError, match="no variable in common"):
        GOOD - draws_of(name="prediction")


def test_an_estimate_says_only_what_is_listed():
    with pytest.raises(TypeError, match="no attributes of an estimate: populations"):
        draws_of(populations="new")
    assert set(GOOD.attrs) <= set(ATTRIBUTES)


def test_it_prints_what_it_is_its_table_and_the_mark():
    shown = repr(draws_of('["R-hat of 1.2"]', scale="response", population="new", reference="w"))
    assert shown.startswith("Estimate: effect of race\nscale: response; population: new (mean")
    assert "against: w" in shown
    assert "95% equal-tailed intervals" in shown
    assert shown.endswith("NOT CONVERGED. Do not use these estimates: R-hat of 1.2.")
    assert "NOT CONVERGED" not in repr(GOOD)
    assert "NOT CONVERGED" in repr(BAD.mean("draw"))


def test_a_long_table_is_cut_and_says_so():
    many = GOOD.isel(race=[0] * 30).assign_coords(race=np.arange(30))
    assert "... 40 more rows: .summary() has all" in repr(many)
    assert len(many.summary()) == 60


def test_a_notebook_shows_labels_as_text():
    named = GOOD.assign_coords(race=["<script>", "b", "c"]).assign_attrs(estimand="<b>race</b>")
    page = named._repr_html_()
    assert "<script>" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;" in page


def test_summaries_give_either_kind_of_interval():
    skewed = GOOD.copy(data={"effect": np.exp(3 * GOOD["effect"].values), "n": GOOD["n"].values})
    narrow, equal = skewed.summary(0.8, interval="hdi"), cb.summarise(skewed, prob=0.8)
    assert (narrow["upper"] - narrow["lower"] < equal["upper"] - equal["lower"]).all()
    assert skewed.summary(0.8).equals(equal)
    with pytest.raises(cb.DataError, match="interval"):
        skewed.summary(interval="widest")


def test_what_may_be_unbounded_has_no_highest_density_interval():
    ratio = cb.per_unit(GOOD["effect"], BAD["effect"])
    with pytest.raises(cb.DataError, match="no highest-density interval of a ratio of effects"):
        ratio.summary(interval="hdi")


def test_a_missing_cell_has_neither_kind_of_interval():
    holed = GOOD.where(GOOD["race"] != "a")
    holed["estimable"] = holed["effect"].notnull().all(("chain", "draw"))
    for interval in ("eti", "hdi"):
        table = holed.summary(interval=interval)
        assert (
            table.set_index("race").loc["a", ["estimate", "lower", "upper"]].isna().all(axis=None)
        )
        assert len(table) == 6
    assert "Not estimable where estimable is False" in repr(holed)


def test_draws_in_long_form_are_those_of_the_cells():
    long = GOOD.frame()
    assert long.columns.tolist() == ["race", "pose", ".chain", ".draw", "effect"]
    assert len(long) == GOOD["effect"].size
    cell = long.query("race == 'b' and pose == 1 and `.chain` == 1")["effect"]
    assert cell.tolist() == GOOD["effect"].sel(race="b", pose=1, chain=1).values.tolist()


def test_the_plain_dataset_is_equal_and_plain():
    assert type(GOOD.dataset) is xr.Dataset
    assert GOOD.dataset.identical(GOOD)


@pytest.mark.parametrize("ending", [".nc", ".zarr"])
def test_an_estimate_is_saved_and_opened_as_one(tmp_path, ending):
    if ending == ".zarr":
        pytest.importorskip("zarr")
    for one in (GOOD, BAD, cb.per_unit(GOOD["effect"], BAD["effect"])):
        again = cb.open(cb.save(one, tmp_path / f"one{ending}"))
        assert isinstance(again, Estimate)
        assert again.identical(one)
        assert repr(again) == repr(one)


def test_a_file_cannot_name_any_function_as_its_figure(tmp_path):
    again = cb.open(cb.save(GOOD.assign_attrs(figure="os:system"), tmp_path / "one.nc"))
    with pytest.raises(cb.DataError, match="no figure"):
        again.plot()
    with pytest.raises(cb.DataError, match="cannot be read"):
        cb.open(cb.save(GOOD.assign_attrs(failures="["), tmp_path / "two.nc"))


def test_its_figure_is_the_one_that_it_names():
    drawn = GOOD.plot(xlabel="effect of race")
    assert drawn.axes[0].get_xlabel() == "effect of race"


def of_scale(scale, reference, failures=()):
    draws = xr.Dataset({"effect": (("chain", "draw", "race"), np.arange(24.0).reshape(2, 6, 2))})
    fit = xr.DataTree(xr.Dataset(attrs={"failures": json.dumps(list(failures))}))
    draws = draws.assign_coords(race=["b", "c"])
    return estimate(draws, of=[fit], scale=scale, reference=reference, contrast="race")


@pytest.mark.parametrize("bad", [0, 1])
def test_estimates_put_together_keep_what_each_is_of(bad):
    """xarray gives a combination the attributes of the first; its cells keep their own."""
    parts = [
        of_scale(scale, reference, ["R-hat"] * (at == bad))
        for at, (scale, reference) in enumerate([("response", "a"), ("latent", "d")])
    ]
    models = xr.Variable("model", ["one", "two"])
    whole = xr.concat(parts, models, coords="different", compat="equals")
    table = whole.summary().set_index(["model", "race"])
    for at, name in enumerate(["one", "two"]):
        alone = parts[at].summary().set_index("race")
        columns = ["scale", "reference", "converged", "estimate"]
        pd.testing.assert_frame_equal(
            table.loc[name][columns], alone[columns], check_dtype=False, check_index_type=False
        )
        one = whole.sel(model=name)
        assert one.summary()["scale"].tolist() == [parts[at].attrs["scale"]] * 2
        assert one.summary()["reference"].tolist() == [parts[at].attrs["reference"]] * 2
    assert failed(whole)
    assert "R-hat" in str(whole)
    assert "scale" not in (whole.sel(model="two") - whole.sel(model="one")).attrs
    again = summarise(whole.dataset).set_index(["model", "race"])
    assert again["converged"].tolist() == table["converged"].tolist()


def test_draws_put_together_are_marked_if_some_are_of_a_failed_fit():
    parts = [of_scale("response", "a"), of_scale("response", "a", ["R-hat"])]
    whole = xr.concat(parts, "draw", coords="different", compat="equals")
    assert whole.summary()["converged"].tolist() == [False, False]
    assert whole.summary()["scale"].tolist() == ["response"] * 2


def test_variables_of_two_estimates_make_one_dataset():
    one, two = of_scale("response", "a"), of_scale("latent", "a")
    assert set(xr.Dataset({"one": one["effect"], "two": two["effect"]})) == {"one", "two"}


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("averaged", [False, True])
def test_single_variables_put_together_are_marked_whichever_comes_first(order, averaged):
    """xarray drops the attributes of all but the first."""
    parts = [of_scale("response", "a"), of_scale("response", "a", ["R-hat"])][::order]
    parts = [one.mean(("chain", "draw")) for one in parts] if averaged else parts
    whole = xr.concat([one["effect"] for one in parts], "model")
    assert mark(whole) == '["R-hat"]'
    assert failed(whole * 2)
    assert failed(xr.Dataset({"effect": whole}))
    good = xr.concat([parts[::order][0]["effect"]] * 2, "model")
    assert not failed(good)
    if not averaged:
        assert not summarise(whole)["converged"].any()
        assert "_not_converged" not in summarise(whole)


def test_one_draw_selected_by_its_number_is_subtracted_as_draws_are():
    """What is said of cells, such as truth values, is no part of the arithmetic."""
    whole = GOOD.assign(supported=GOOD["n"] > 0)
    one = whole.isel(draw=0)
    assert float(abs((one - one)["effect"]).max()) == 0
    xr.testing.assert_equal((whole - 1).isel(draw=0)["effect"], (one - 1)["effect"])
