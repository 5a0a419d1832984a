"""Group terms beyond bambi's: correlated slopes, two bars, multi-membership, many levels."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.errors import DataError
from causalbias.models.formula.group_terms import common_formula, group_parts
from causalbias.models.group_design import group_designs

LEVELS = 60
SD, SLOPE_SD, CORRELATION, RESIDUAL = 0.5, 0.4, 0.7, 0.4


@pytest.fixture(scope="module")
def rows():
    """Rows whose groups have correlated intercepts and slopes, and pairs of members."""
    rng = np.random.default_rng(3)
    covariance = CORRELATION * SD * SLOPE_SD
    effects = rng.multivariate_normal(
        [0, 0], [[SD**2, covariance], [covariance, SLOPE_SD**2]], LEVELS
    )
    member = rng.normal(0, 0.8, LEVELS)
    n = 3000
    g, a, b = rng.integers(0, LEVELS, (3, n))
    x = rng.normal(size=n)
    y = 1 + 0.3 * x + effects[g, 0] + effects[g, 1] * x + (member[a] + member[b]) / 2
    y += rng.normal(0, RESIDUAL, n)
    return pd.DataFrame({"y": y, "x": x, "g": g, "a": a + 100, "b": b + 100})


@pytest.fixture(scope="module")
def fit(rows):
    return cb.fit("y ~ x + (x|g) + (1|mm(a, b))", rows)


def test_truth_is_recovered(fit):
    table = cb.summary(fit, prob=0.99)
    truth = {
        "sd(1|g)": SD,
        "sd(x|g)": SLOPE_SD,
        "cor(1, x|g)": CORRELATION,
        "sd(1|mm(a, b))": 0.8,
        "Intercept": 1.0,
        "x": 0.3,
        "sigma": RESIDUAL,
    }
    for name, value in truth.items():
        assert table.loc[name, "lower"] < value < table.loc[name, "upper"], name


def test_one_bar_correlates_and_two_do_not(rows):
    both = cb.fit("y ~ x + (x||g)", rows)
    assert not [name for name in both["posterior"].data_vars if name.startswith("cor|")]
    single = cb.fit("y ~ x + (1|g) + (0 + x|g)", rows)
    for name in ("1|g_sigma", "x|g_sigma", "sigma"):
        first, second = (one["posterior"][name].mean().item() for one in (both, single))
        assert abs(first - second) < 0.01


def test_ignoring_shared_members_makes_intervals_too_narrow(rows):
    with_members = cb.summary(cb.fit("y ~ x + (x|g) + (1|mm(a, b))", rows))
    without = cb.summary(cb.fit("y ~ x + (x|g)", rows))
    assert without.loc["Intercept", "sd"] < 0.9 * with_members.loc["Intercept", "sd"]


def test_membership_is_symmetric(rows, fit):
    swapped = rows.rename(columns={"a": "b", "b": "a"})
    other = cb.fit("y ~ x + (x|g) + (1|mm(a, b))", swapped)
    first, second = (one["posterior"]["1|mm(a, b)"].mean(["chain", "draw"]) for one in (fit, other))
    np.testing.assert_allclose(first, second, atol=0.05)


def test_a_prior_of_a_member_term_is_honoured_and_a_wrong_name_refused(rows):
    tight = cb.fit("y ~ x + (1|mm(a, b))", rows, priors={"1|mm(a, b)": "HalfNormal(0.01)"})
    assert cb.summary(tight).loc["sd(1|mm(a, b))", "estimate"] < 0.3
    with pytest.raises(DataError, match=r"use one of 1\|mm\(a, b\)"):
        cb.fit("y ~ x + (1|mm(a, b))", rows, priors={"1|mm(b, a)": "HalfNormal(0.01)"})


def test_predictions_of_these_seeds_use_all_their_effects(rows, fit):
    posterior = fit["posterior"].to_dataset()
    row = rows.iloc[[0]]
    g, a, b = (str(row[name].item()) for name in ("g", "a", "b"))
    x = row["x"].item()
    members = posterior["1|mm(a, b)"]
    dim = "mm(a, b)__factor_dim"
    by_hand = (
        posterior["Intercept"]
        + posterior["x"] * x
        + posterior["1|g"].sel(g__factor_dim=g, drop=True)
        + posterior["x|g"].sel(g__factor_dim=g, drop=True) * x
        + (members.sel({dim: a}, drop=True) + members.sel({dim: b}, drop=True)) / 2
    )
    from causalbias.estimands.predictor import average_prediction
    from causalbias.models.fitted import fitted

    model = fitted(fit)
    found = average_prediction(
        model, model.frame.iloc[[0]], np.zeros(1, int), scale="response", population="these"
    )
    np.testing.assert_allclose(found[:, 0], by_hand.values.ravel(), rtol=1e-5)


def test_many_levels_need_no_indicator_matrix():
    # 30,000 levels x 60,000 rows would be 14 GB of indicators.
    rng = np.random.default_rng(0)
    pair = np.repeat(np.arange(30_000), 2)
    u = rng.normal(0, 1.0, 30_000)
    frame = pd.DataFrame({"y": u[pair] + rng.normal(0, 0.5, 60_000), "pair": pair})
    frame["group"] = np.where(pair % 2, "u", "v")
    fit = cb.fit("y ~ group + (1|pair)", frame, draws=250)
    table = cb.summary(fit)
    assert abs(table.loc["sd(1|pair)", "estimate"] - 1.0) < 0.03
    assert abs(table.loc["sigma", "estimate"] - 0.5) < 0.02
    assert cb.effects(fit, "group")["effect"].sizes["group"] == 1


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y ~ (1|mm(a))", "name two or more"),
        ("y ~ (1|mm(a, os.system))", "name two or more"),
        ("y ~ (1|mm(a, b)", "unmatched"),
        ("y ~ x) + (1|g)", "unmatched"),
        ("y ~ (1|mm(a, nobody))", "nobody"),
    ],
)
def test_malformed_terms_end_in_one_error(rows, formula, message):
    with pytest.raises(DataError, match=message):
        cb.fit(formula, rows)


@pytest.mark.parametrize(
    ("formula", "rest"),
    [
        ("y ~ 0 + x + (1|g)", "y ~ 0 + x"),
        ("y ~ (1|g) + x", "y ~ x"),
        ("y ~ (1|g) + (x||h)", "y ~ 1"),
        ("y ~ a*(b + c) + (poly(x, 2)|g)", "y ~ a*(b + c)"),
    ],
)
def test_the_rest_of_a_formula_without_its_group_terms(formula, rest):
    assert common_formula(formula) == rest


def test_parts_and_designs_of_nested_and_categorical_terms():
    assert [p.factor for p in group_parts("y ~ (log(x + 1)|g) + (1|s/p)")] == ["g", "s/p"]
    frame = pd.DataFrame(
        {"y": np.arange(6.0), "k": list("uvwuvw"), "s": list("aabbcc"), "p": list("121212")}
    )
    first, second, third = group_designs("y ~ (k|s) + (1|s/p)", frame)
    assert first.names() == ["1|s", "k|s"]
    assert first.effects["k"] == ("v", "w")
    assert second.levels.tolist() == ["a", "b", "c"]
    assert third.names() == ["1|s:p"]
    assert third.levels.tolist() == ["a:1", "a:2", "b:1", "b:2", "c:1", "c:2"]
    np.testing.assert_array_equal(
        first.matrix(frame).toarray() @ np.arange(9.0),
        [
            3 * s + {"u": 0, "v": 3 * s + 1, "w": 3 * s + 2}[k]
            for s, k in zip([0, 0, 1, 1, 2, 2], "uvwuvw", strict=True)
        ],
    )


def test_a_factor_that_members_do_not_share_is_refused_with_both_of_them_named(rows):
    pairs = rows.rename(columns={"a": "seed_a", "b": "seed_b"}).assign(seed=None)
    with pytest.raises(DataError, match=r"mm\(seed_a, seed_b\)"):
        cb.fit("y ~ x + (1|seed)", pairs)


@pytest.mark.parametrize("terms", ["(1|g) + (1|g_sigma)", "(1|g_sigma) + (1|g)"])
def test_a_factor_that_is_called_as_the_sds_of_another_is_refused(terms):
    rows = pd.DataFrame({"y": np.arange(30.0), "g": list("abc") * 10, "g_sigma": list("vwxyz") * 6})
    with pytest.raises(DataError, match="column 'g_sigma': the effects of the factor g_sigma have"):
        cb.fit(f"y ~ {terms}", rows)


def test_a_slope_that_is_called_as_correlations_are_is_refused():
    rows = pd.DataFrame({"y": np.arange(30.0), "g": list("abc") * 10, "cor": np.arange(30.0) % 7})
    with pytest.raises(DataError, match="column 'cor': the effects of 'cor' would be called"):
        cb.fit("y ~ cor + (cor|g)", rows)


@pytest.mark.parametrize("factor", ["g_sigma", "cor", "sigma_g"])
def test_parameters_of_any_factor_are_read_as_what_they_are(factor):
    """Names end like those of standard deviations, or begin like those of correlations."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"x": rng.normal(size=200), factor: np.arange(200) % 8})
    rows["y"] = rng.normal(size=200)
    fit = cb.fit(f"y ~ x + (x|{factor})", rows, draws=20)
    listed = cb.summary(fit, effects=True)["kind"]
    assert listed.index.is_unique
    of = listed[listed == "group"].index.tolist()
    assert of == [f"sd(1|{factor})", f"sd(x|{factor})", f"cor(1, x|{factor})"]
    assert (listed == "effect").sum() == 16
