"""Doses: what no row tells of is said to be unknown, and groups may be named after their dose."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.errors import DataError


def _line(family="gaussian"):
    rng = np.random.default_rng(0)
    x = np.repeat([0, 1, 2], 60)
    y = 2 * x + rng.normal(0, 0.1, len(x))
    if family == "bernoulli":
        y = (rng.random(len(x)) < 1 / (1 + np.exp(1 - x))).astype(int)
    return pd.DataFrame({"x": x, "y": y})


@pytest.mark.parametrize(
    ("family", "right"),
    [
        ("gaussian", "bs(x, df=4)"),
        ("gaussian", "x + I(x**2) + I(x**3)"),
        ("bernoulli", "x + I(x**2) + I(x**3)"),
    ],
)
def test_between_doses_a_curve_with_more_bends_than_doses_is_not_estimable(right, family):
    fit = cb.fit(f"y ~ {right}", _line(family), family=family, draws=100)
    found = cb.dose(fit, "x", grid=[0, 0.5, 1, 2])
    assert found["estimable"].values.tolist() == [True, False, True, True]
    assert np.isnan(found["prediction"].sel(x=0.5)).all()
    truth = _line(family).groupby("x")["y"].mean()
    curve = found["prediction"].sel(x=[0, 1, 2]).mean(["chain", "draw"])
    np.testing.assert_allclose(curve, truth, atol=0.15 if family == "bernoulli" else 0.05)
    for of in ("slope", "average_slope"):
        table = cb.summarise(found, of=of)
        assert len(table) == found[of].squeeze().sizes.get("x", 1)
        assert not table["estimable"].any()
        assert table[["estimate", "sd", "p_positive"]].isna().all(axis=None)
    one_way = cb.dose(fit, "x", grid=[0, 0.5, 1, 2], monotone="increasing")
    assert not one_way["estimable"].any()
    assert np.isnan(one_way["average_slope"]).all()
    known = cb.dose(fit, "x", monotone="increasing")
    assert "estimable" not in known
    assert "slope_estimable" not in known


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_slopes_of_a_curve_that_the_doses_tell_are_estimable_in_any_unit(unit):
    rows = _line().assign(x=lambda rows: rows["x"] * unit)
    found = cb.dose(cb.fit("y ~ x + I(x**2)", rows, draws=100), "x", grid=[0, 0.5 * unit])
    assert not [name for name in found if "estimable" in str(name)]
    assert float(found["average_slope"].mean()) * unit == pytest.approx(2, abs=0.1)
    unknown = cb.dose(cb.fit("y ~ x + I(x**2) + I(x**3)", rows, draws=100), "x")
    assert not unknown["average_slope_estimable"]
    assert not unknown["slope_estimable"].any()


def test_cells_of_by_have_marks_of_their_own():
    rows = pd.concat([_line().assign(g="a"), _line().query("x < 2").assign(g="b")])
    fit = cb.fit("y ~ (x + I(x**2)) * g", rows, draws=100)
    found = cb.dose(fit, "x", by="g")
    assert found["average_slope_estimable"].sel(g=["a", "b"]).values.tolist() == [True, False]
    assert found["estimable"].sel(g="b").values.tolist() == [True, True, False]
    assert found["average_slope"].sel(g="a").mean() == pytest.approx(2, abs=0.1)


def _by_pose():
    rng = np.random.default_rng(1)
    pose = np.repeat([-3, 0, 3], 120)
    seed = np.array([f"s{i % 12}" for i in range(360)])
    return pd.DataFrame({"seed": seed, "pose": pose, "y": 0.2 * pose + rng.normal(0, 0.3, 360)})


@pytest.mark.parametrize("population", ["these", "new", "typical"])
@pytest.mark.parametrize("scale", ["response", "link"])
@pytest.mark.parametrize("groups", ["(1|seed) + (1|seed:pose)", "(1|pose)"])
def test_groups_named_after_the_dose_leave_a_curve_and_the_slopes_of_the_population(
    population, scale, groups
):
    rows = _by_pose()
    fit = cb.fit(f"y ~ pose + {groups}", rows, draws=100, random_seed=2)
    found = cb.dose(fit, "pose", grid=[-3, 0, 1.5, 3], population=population, scale=scale)
    curve = found["prediction"].mean(["chain", "draw"])
    truth = [-0.6, 0, 0.3, 0.6]
    np.testing.assert_allclose(curve, truth, atol=0.15)
    coefficient = fit["posterior"]["pose"]
    np.testing.assert_allclose(found["average_slope"], coefficient, rtol=1e-6)


def test_a_curve_of_these_groups_has_the_effects_fitted_at_each_dose():
    rows = _by_pose()
    rows["y"] += rows["pose"].eq(0) * 1.0
    fit = cb.fit("y ~ pose + (1|pose)", rows, draws=200, random_seed=2)
    found = cb.dose(fit, "pose", population="these")["prediction"].mean(["chain", "draw"])
    np.testing.assert_allclose(found, rows.groupby("pose")["y"].mean(), atol=0.1)


def test_many_doses_that_groups_are_named_after_are_drawn_at_doses_of_the_data():
    rng = np.random.default_rng(0)
    year = np.repeat(np.arange(1980, 2010), 10)
    rows = pd.DataFrame({"year": year, "y": 0.1 * (year - 1995) + rng.normal(0, 0.3, len(year))})
    found = cb.dose(cb.fit("y ~ year + (1|year)", rows, draws=100), "year")
    assert found.sizes["year"] == 21
    assert set(found["year"].values) <= set(year.tolist())


def test_cells_of_the_design_without_rows_have_a_mend_that_mends():
    rows = pd.concat([_by_pose().assign(g="a"), _by_pose().query("pose < 3").assign(g="b")])
    fit = cb.fit("y ~ pose + g + (1|g:pose)", rows, draws=100)
    with pytest.raises(DataError, match="'b:3' was fitted") as caught:
        cb.dose(fit, "pose")
    assert "population='typical'" in caught.value.hint
    assert "'new'" not in caught.value.hint
    assert cb.dose(fit, "pose", population="typical").sizes["pose"] == 3
