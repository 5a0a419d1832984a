"""Awkward sizes and scales at the level of `fit`: right, or refused with the reason."""

import json

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias import DataError


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    group = np.repeat(list("abcdef"), 10)
    kind = np.tile(["a", "b"], 30)
    return pd.DataFrame({"x": x, "g": group, "k": kind, "y": x + rng.normal(size=60)})


def estimates(frame, **given):
    return cb.summary(cb.fit("y ~ x + (1|g)", frame, draws=500, **given))["estimate"]


@pytest.mark.parametrize(("of_y", "of_x"), [(1e-8, 1e-8), (1e8, 1e8), (1e-8, 1e8), (1e8, 1e-8)])
def test_units_change_nothing_but_units(frame, of_y, of_x):
    """Default priors scale with the data, so the same draws come in other units."""
    plain = estimates(frame)
    found = estimates(frame.assign(y=frame["y"] * of_y, x=frame["x"] * of_x))
    unit = plain.index.map(lambda name: of_y / of_x if name == "x" else of_y).to_numpy()
    np.testing.assert_allclose(found / unit, plain, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "family", "reason"),
    [
        ({"y": 1.0}, "gaussian", "all responses are 1"),
        ({"y": 1}, "cumulative", "all responses are 1"),
        ({"y": np.nan}, "gaussian", "missing in 60 of 60 rows"),
        ({"x": np.nan}, "gaussian", "missing in 60 of 60 rows"),
        ({"y": np.inf}, "gaussian", "not finite"),
        ({"y": 1e300}, "gaussian", "beyond 1e"),
        ({"x": -1e300}, "gaussian", "beyond 1e"),
    ],
)
def test_refused_with_the_reason(frame, change, family, reason):
    with pytest.raises(DataError, match=reason):
        cb.fit("y ~ x + (1|g)", frame.assign(**change), family=family)


CLASH = {"g": np.repeat(["a:b", "a"], 30), "k": np.tile(np.repeat(["c", "b:c"], 15), 2)}
TWICE = {"g": np.repeat(["a, b", "a"], 30), "k": np.tile(np.repeat(["c", "b, c"], 15), 2)}


# formula, changes of the frame, what `fit` is told, reason; a new case is a line
@pytest.mark.parametrize(
    ("formula", "change", "given", "reason"),
    [
        ("y ~ C(z)", {"z": np.tile([0.0, -0.0], 30)}, {}, "one level only"),
        ("y ~ o", {"o": pd.Series([1, "1"] * 30, dtype=object)}, {}, "written alike"),
        ("y ~ x", {"x": 1j}, {}, "complex"),
        ("y ~ 1 + (1|g:k)", CLASH, {}, "both written 'a:b:c'"),
        ("y ~ 0 + g:k", TWICE, {}, "both written 'a, b, c'"),
        ("y ~ sigma", {"sigma": 1.0}, {}, "rename the column"),
        ("y ~ Intercept", {"Intercept": 1.0}, {}, "rename the column"),
        ("y ~ (1|chain)", {"chain": 1}, {}, "rename the column"),
        ("y ~ x", {"y": 0.5}, {"family": "beta"}, "all responses are 0.5"),
        ("p(s, t) ~ x", {"s": 0, "t": 0}, {"family": "binomial"}, "no row has a trial"),
        ("y ~ x", {}, {"draws": 0}, "draws is 0"),
        ("y ~ x", {}, {"chains": 1.5}, "chains is 1.5"),
        ("y ~ (0|g)", {}, {}, "no effect varies"),
        ("y ~ (2|g)", {}, {}, "2 is no term"),
        ("y ~ - log(x)", {}, {}, "minus"),
        ("y ~ 0 + poly( 2):g", {}, {}, "no model"),
        ("y ~ x", {}, {"subset": "x == 1 and not 'a'"}, "cannot compare"),
        # Memory: refused before anything is made, with the amount
        ("y ~ x", {}, {"draws": 10**10}, "GiB"),
        ("y ~ bs(x, df=1000000000)", {}, {}, "df of bs.. is 1,000,000,000"),
        ("y ~ k:z", {"z": np.arange(60)}, {"draws": 10**9}, "GiB"),
    ],
)
def test_refused_whatever_it_is(frame, formula, change, given, reason):
    with pytest.raises(DataError, match=reason):
        cb.fit(formula, frame.assign(**change), **given)


def test_two_columns_of_one_name_are_refused(frame):
    with pytest.raises(DataError, match="two columns"):
        cb.fit("y ~ x", pd.concat([frame, frame[["x"]]], axis=1))


@pytest.mark.parametrize(
    "change",
    [
        {"x": lambda frame: frame["x"].astype(object)},
        {"g": lambda frame: frame["g"].map({one: f"[{one}]: ,|é\n" for one in "abcdef"})},
        {"g": lambda frame: 2**53 + frame["g"].map(ord)},
        {"k": lambda frame: pd.Categorical(frame["k"], categories=["z", "a", "b"])},
    ],
    ids=["numbers as objects", "awkward labels", "huge labels", "unused levels"],
)
def test_the_same_in_another_guise(frame, change):
    """The slope, and what differs between levels, are those of the plain frame."""
    plain, found = (
        cb.summary(cb.fit("y ~ x + k + (1|g)", one, draws=500))["estimate"]
        for one in (frame, frame.assign(**change))
    )
    names = ["x", "k[b]", "sd(1|g)", "sigma"]
    np.testing.assert_allclose(found[names], plain[names], rtol=1e-5, atol=1e-8)


def test_a_huge_offset_of_a_predictor_leaves_its_slope(frame):
    """The default prior of the intercept widens with it, and no digits are lost."""
    slope = estimates(frame.assign(x=frame["x"] + 1e9))["x"]
    assert abs(slope - estimates(frame)["x"]) < 0.05


@pytest.mark.parametrize("name", ["n", "cell", "effect"])
def test_names_that_every_estimate_has_are_refused_before_sampling(frame, name):
    with pytest.raises(DataError, match="rename the column"):
        cb.fit(f"y ~ {name}", frame.rename(columns={"k": name}), draws=100)


def test_too_many_levels_for_memory_are_refused():
    rows = pd.DataFrame({"y": np.random.default_rng(0).normal(size=2 * 10**5)})
    rows["g"] = np.arange(len(rows)) // 2
    with pytest.raises(DataError, match="GiB"):
        cb.fit("y ~ 1 + (1|g)", rows, method="nuts", draws=10**5)
    with pytest.raises(DataError, match="GiB"):
        cb.fit("y ~ C(g)", rows)


ASKED = {  # what needs memory, refused with the amount before it is taken
    "simulate": lambda: cb.simulate(10**9),
    "full": lambda: cb.design.full({"seed": range(10**6), "pose": range(10**6)}),
    "one_at_a_time": lambda: cb.design.one_at_a_time({"seed": range(10**6)}, {"a": range(10**5)}),
    "assign": lambda: cb.design.assign(range(100), 10**9, each=10**8),
    "all_pairs": lambda: cb.all_pairs(np.eye(9000), range(9000), thresholds=range(10**5)),
    "error_rates": lambda: cb.error_rates(
        cb.simulate(3, people=None, impostors=1), by="race", threshold=0.6, draws=10**11
    ),
    "prior_predictive": lambda: cb.prior_predictive(
        "y ~ 1", pd.DataFrame({"y": [0.0, 1.0]}), draws=10**11
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_cannot_fit_is_refused_in_advance(name):
    with pytest.raises(DataError, match=r"would take [0-9,]+ GiB of memory, and [0-9.,]+ GiB"):
        ASKED[name]()


def test_a_constant_column_is_left_out_and_named(frame):
    """As by lm and lmer: beside the intercept, a constant says nothing."""
    fit = cb.fit("y ~ x + (1|g)", frame.assign(x=1.0), draws=50)
    assert json.loads(fit.attrs["left_out"]) == ["x"]
    assert "Not estimable" in str(fit)
    assert "x" not in cb.summary(fit).index


def test_no_rows_are_refused(frame):
    with pytest.raises(DataError, match="observation"):
        cb.fit("y ~ x", frame.iloc[:0])


def test_a_spread_lost_beside_the_mean_is_refused_for_that_reason(frame):
    with pytest.raises(DataError, match="subtract a constant"):
        cb.fit("y ~ x", frame.assign(y=frame["y"] + 1e8))


@pytest.mark.parametrize("formula", ["y ~ k", "y ~ 1 + (1|k)"])
def test_separable_groups_have_finite_effects_by_their_priors(frame, formula):
    fit = cb.fit(formula, frame.assign(y=(frame["k"] == "a").astype(int)), family="bernoulli")
    assert not cb.failures(fit)
    assert np.isfinite(cb.summary(fit)["estimate"]).all()
