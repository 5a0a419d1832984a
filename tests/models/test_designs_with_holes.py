"""Cells without rows and aliased columns: what can be estimated is, the rest is named."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalbias as cb
from causalbias import DataError
from causalbias.models.bambi_models import common_model
from causalbias.models.estimable import UNKNOWN
from causalbias.models.specification import ModelSpec, model_frame


@pytest.fixture(scope="module")
def rows():
    """No row of (q, w); effects of a: 1, of b: 0, 0.5 and -0.5; z and one are aliased."""
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"a": rng.choice(list("pq"), 900), "b": rng.choice(list("uvw"), 900)})
    frame = frame[~((frame["a"] == "q") & (frame["b"] == "w"))].reset_index(drop=True)
    level = frame["b"].map({"u": 0.0, "v": 0.5, "w": -0.5})
    frame["x"] = rng.normal(size=len(frame))
    frame["y"] = (frame["a"] == "q") + level + rng.normal(0, 1, len(frame))
    return frame.assign(z=2 * frame["x"] + 5, one=3, k=np.digitize(frame["y"], [-0.5, 0.5, 1.5]))


ENGINES = [
    ("y", "collapsed", "gaussian"),
    ("k", "laplace", "cumulative"),
    ("y", "nuts", "gaussian"),
]


@pytest.mark.parametrize(("response", "method", "family"), ENGINES)
def test_an_empty_cell_is_not_estimated_and_all_else_is(rows, response, method, family):
    fit = cb.fit(f"{response} ~ a*b", rows, method=method, family=family, draws=250, tune=250)
    assert "a:b[q, w]" not in cb.summary(fit).index
    assert "Not estimable, left out (no rows, or the same as other columns): a:b[q, w]." in repr(
        fit
    )
    with pytest.raises(DataError, match=r"not estimable.*a:b\[q, w\]"):
        cb.effects(fit, "a")
    found = cb.effects(fit, "a", by="b", scale="link")
    table = cb.summarise(found).set_index("b")
    assert table["estimable"].tolist() == [True, True, False]
    assert table.loc["w", ["estimate", "sd", "lower", "upper", "p_positive"]].isna().all()
    assert found["effect"].sel(b="w").isnull().all()
    assert "a:b[q, w]" in found.attrs["not_estimable"]
    if family == "gaussian":
        means = rows.groupby(["b", "a"])["y"].mean()
        for level in "uv":
            expected = means[level, "q"] - means[level, "p"]
            assert table.loc[level, "estimate"] == pytest.approx(expected, abs=0.05)
    # cells that have rows are predicted, and no others
    assert len(cb.summarise(cb.predictions(fit, ["a", "b"]))) == 5


def test_the_additive_effect_is_that_of_the_rows(rows):
    table = cb.summarise(cb.effects(cb.fit("y ~ a + b", rows), "a"))
    assert "estimable" not in table
    assert table["sd"].iloc[0] < 0.1


def test_a_given_prior_identifies_and_says_so(rows):
    fit = cb.fit("y ~ a*b", rows, priors={"a:b": "Normal(0, 1)"}, draws=500)
    assert "Identified by the priors given, not by rows: a:b[q, w]." in repr(fit)
    assert float(fit["posterior"]["a:b"].sel({"a:b_dim": "q, w"}).std()) == pytest.approx(
        1, rel=0.1
    )
    table = cb.summarise(cb.effects(fit, "a", by="b"))
    assert table["by_prior"].tolist() == [False, False, True]


@pytest.mark.parametrize("formula", ["y ~ a + x + z", "y ~ a + x + one", "y ~ 0 + a + x + one"])
def test_aliased_numbers_leave_other_effects_as_they_are(rows, formula):
    plain = cb.summarise(cb.effects(cb.fit("y ~ a + x", rows), "a")).iloc[0]
    fit = cb.fit(formula, rows)
    found = cb.summarise(cb.effects(fit, "a")).iloc[0]
    # two means of 4,000 draws
    assert abs(found["estimate"] - plain["estimate"]) < 5 * plain["sd"] * np.sqrt(2 / 4000)
    assert found["sd"] == pytest.approx(plain["sd"], rel=0.08)
    assert "left out" in repr(fit)


def test_the_slope_of_an_aliased_number_is_refused(rows):
    fit = cb.fit("y ~ x + z", rows, draws=100)
    with pytest.raises(DataError, match="not estimable"):
        cb.dose(fit, "x")


def test_shares_of_variance_over_an_empty_cell_are_refused(rows):
    with pytest.raises(DataError, match="have no rows"):
        cb.variance_shares(cb.fit("y ~ a*b", rows, draws=100))


@pytest.mark.parametrize("end", [".nc", ".zarr"])
def test_a_saved_fit_remembers_what_was_left_out(rows, end, tmp_path):
    fit = cb.fit("y ~ a*b + I(x/2)", rows, draws=100, file=tmp_path / f"fit{end}")
    opened = cb.open(tmp_path / f"fit{end}")
    assert sorted(repr(opened).splitlines()) == sorted(repr(fit).splitlines())
    assert cb.effects(opened, "a", by="b").identical(cb.effects(fit, "a", by="b"))


# factors, and products of them, whose cells each have a mean of their own
PRODUCTS = {
    "y ~ a*b": "a b ab",
    "y ~ a*b*c": "a b c ab ac bc abc",
    "y ~ a*b + c": "a b c ab",
    "y ~ a/b": "a ab",
    "y ~ 0 + a*b": "a b ab",
    "y ~ a:b": "ab",
    "y ~ a*x + b": "a b",
}


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(PRODUCTS)), st.integers(0, 2**32 - 1), st.integers(3, 30), st.booleans()
)
def test_what_is_estimable_is_what_least_squares_determines(formula, seed, size, aliased):
    """L is estimable where L X^+ X = L: by the pseudoinverse of a design made here, by hand."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: rng.choice(list("uvw"), size) for name in "abc"})
    frame = frame.assign(y=rng.normal(size=size), x=rng.normal(size=size).round(1))
    if aliased:
        frame["c"] = frame["b"].map({"u": "1", "v": "1", "w": "2"})
    if (frame[list("abc")].nunique() < 2).any() or frame["x"].nunique() < 2:
        return  # refused: a factor of one level
    spec = ModelSpec(formula)
    used = model_frame(spec, frame)
    known = common_model(spec, used).estimable
    design = by_hand(formula, frame, frame)
    new = pd.DataFrame({name: rng.choice(frame[name].unique(), 40) for name in "abc"})
    new = new.assign(x=rng.normal(size=40))
    like = {name: used[name].dtype for name in used if name != "y"}
    expected = by_hand(formula, frame, new)
    away = np.abs(expected @ np.linalg.pinv(design) @ design - expected).max(axis=1)
    found = known.judge(known.rows(new.astype(like)))
    assert ((found == UNKNOWN) == (away > 1e-6)).all()


def by_hand(formula, frame, new):
    """Indicators of every cell of every product of the formula: its whole column space."""
    columns = [np.ones(len(new))]
    for product in PRODUCTS[formula].split():
        cells = np.array(np.meshgrid(*(np.unique(frame[one]) for one in product))).T
        values = new[list(product)].to_numpy()
        columns += [(values == cell).all(axis=1) for cell in cells.reshape(-1, len(product))]
    if "x" in formula:
        columns += [new["x"] * (new["a"] == one) for one in np.unique(frame["a"])]
    return np.column_stack(columns).astype(float)


def test_random_slopes_of_an_empty_cell_are_left_out(rows):
    g = np.random.default_rng(1).integers(0, 12, len(rows)).astype(str)
    fit = cb.fit("y ~ a*b + (a:b||g) + (I(x/2)||g)", rows.assign(g=g), draws=100)
    terms = [name for name in cb.summary(fit).index if name.startswith("sd(")]
    assert not any("q" in name and "w" in name for name in terms)
    assert "sd(I(x ÷ 2)|g)" in terms
    found = cb.summarise(cb.effects(fit, "a", by="b", population="these"))
    assert found["estimable"].tolist() == [True, True, False]


def test_a_flat_prior_tells_nothing_of_a_cell_without_rows():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"a": rng.choice(list("pqr"), 200), "b": rng.choice(list("uv"), 200)})
    rows = rows[~((rows["a"] == "r") & (rows["b"] == "v"))].assign(
        y=lambda d: rng.normal(size=len(d))
    )
    flat = dict.fromkeys(("Intercept", "a", "b", "a:b"), "Flat()")
    fit = cb.fit("y ~ a*b", rows, priors=flat, draws=500)
    assert json.loads(fit.attrs["left_out"]) == ["a:b[r, v]"]
    table = cb.summarise(cb.effects(fit, "a", by="b")).set_index(["a", "b"])
    means = rows.groupby(["a", "b"])["y"].mean()
    assert table.loc[("q", "v"), "estimate"] == pytest.approx(
        means["q", "v"] - means["p", "v"], abs=0.05
    )
    assert not table.loc[("r", "v"), "estimable"]


def test_a_spline_of_few_doses_is_fitted_in_a_binary_model():
    # Three doses tell of two of five columns, each of which has a default prior of its own.
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"x": np.tile([0.0, 1.0, 2.0], 30)})
    frame["y"] = rng.random(90) < 0.3 + 0.2 * frame["x"]
    fit = cb.fit("y ~ bs(x, df=5)", frame, family="bernoulli", method="laplace", draws=50)
    assert fit["posterior"].sizes["bs(x, df=5)_dim"] == 2
    dose = cb.dose(fit, "x", population="typical")
    share = frame.groupby("x")["y"].mean()
    np.testing.assert_allclose(dose["prediction"].mean(("chain", "draw")), share, atol=0.1)
