"""Smooth terms: mgcv's splines as effects, in the engines and the verbs."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import causalbias as cb
from causalbias.errors import DataError
from causalbias.models import smooth_design
from causalbias.models.arrays import arrays_of
from causalbias.models.fitted import ModelDesign
from causalbias.models.formula.smooths import smooths, without_smooths
from causalbias.models.naming import name_draws
from causalbias.models.nuts_model import NutsDraws
from causalbias.models.smooth_design import Basis, smooth_designs
from causalbias.models.specification import ModelSpec


def rows_of_mgcv():
    """The rows that mgcv's numbers are of: no random numbers, so that R has the same."""
    i = np.arange(60)
    x = ((i * 37) % 60) / 10.0
    white = i % 2 == 1
    noise = np.sin(i * 12.9898) * 43758.5453
    noise -= np.floor(noise)
    y = np.sin(1.3 * x) + np.where(white, 0.4 * np.cos(2 * x) + 0.5, 0) + 0.8 * (noise - 0.5)
    return pd.DataFrame({"x": x, "race": np.where(white, "white", "black"), "y": y})


AT = pd.DataFrame(
    {
        "x": [0.05, 1.33, 2.5, 4.47, 5.6],
        "race": ["black", "white", "black", "white", "white"],
    }
)
# R 4.2.2, mgcv 1.8-41: m <- gam(y ~ s(x), data = d, method = "REML"); predict(m, at); m$sig2;
# sum(m$edf). gamm(y ~ s(x)) agrees to six digits.
ONE = ([0.5900399608, 1.0327323015, 0.0839408695, -0.3293759863, 1.1161011389], 0.143133, 6.79203)
# gam(y ~ race + s(x, by = race, k = 7), method = "REML"), race a factor
BY_RACE = (
    [-0.0927208268, 1.0410646408, -0.1749377758, -0.1120096729, 1.4292919937],
    0.0465947,
    12.661008,
)


@pytest.fixture(scope="module")
def rows():
    return rows_of_mgcv()


@pytest.fixture(scope="module")
def curve(rows):
    return cb.fit("y ~ s(x)", rows, draws=1000)


@pytest.fixture(scope="module")
def curves(rows):
    return cb.fit("y ~ race + s(x, by=race, k=7)", rows, draws=1000)


def reml(y, fixed, blocks):
    """Restricted maximum likelihood with a variance a block, by brute force.

    Returns covariance of y by that of the noise, its variance, and the trace of the hat matrix.
    """

    def criterion(log_ratio, whole=False):
        v = np.eye(len(y))
        for value, z in zip(np.exp(log_ratio), blocks, strict=True):
            v += value * z @ z.T
        inverse = np.linalg.inv(v)
        a = fixed.T @ inverse @ fixed
        beta = np.linalg.solve(a, fixed.T @ inverse @ y)
        rest = y - fixed @ beta
        df = len(y) - fixed.shape[1]
        variance = rest @ inverse @ rest / df
        if whole:
            return v, beta, rest, inverse, variance
        return 0.5 * (df * np.log(variance) + np.linalg.slogdet(v)[1] + np.linalg.slogdet(a)[1])

    starts = ([0.0] * len(blocks), [4.0] * len(blocks))
    options = {"xatol": 1e-8, "fatol": 1e-12, "maxiter": 4000}
    found = [
        optimize.minimize(criterion, one, method="Nelder-Mead", options=options) for one in starts
    ]
    best = min(found, key=lambda one: one.fun).x
    return best, criterion(best, whole=True)


@pytest.mark.parametrize(
    ("formula", "expected"), [("y ~ s(x)", ONE), ("y ~ race + s(x, by=race, k=7)", BY_RACE)]
)
def test_restricted_likelihood_on_our_columns_gives_mgcvs_fit(rows, formula, expected):
    def fixed_of(d):
        white = (d["race"] == "white").to_numpy(float)
        x = d["x"].to_numpy()
        if "by" not in formula:
            return np.column_stack([np.ones(len(d)), x])
        return np.column_stack([np.ones(len(d)), white, (1 - white) * x, white * x])

    designs = smooth_designs(formula, rows)
    blocks, y = [one.functions(rows) for one in designs], rows["y"].to_numpy()
    fixed = fixed_of(rows)
    log_ratio, (_, beta, rest, inverse, variance) = reml(y, fixed, blocks)
    at = fixed_of(AT) @ beta
    for value, one, z in zip(np.exp(log_ratio), designs, blocks, strict=True):
        at += one.functions(AT) @ (value * z.T @ inverse @ rest)
    a = np.linalg.solve(fixed.T @ inverse @ fixed, fixed.T @ inverse)
    hat = np.eye(len(y)) - inverse @ (np.eye(len(y)) - fixed @ a)
    values, sigma2, edf = expected
    np.testing.assert_allclose(at, values, atol=2e-4)
    assert variance == pytest.approx(sigma2, rel=1e-3)
    assert np.trace(hat) == pytest.approx(edf, abs=0.01)


def test_the_posterior_is_about_mgcvs_curve(rows, curve):
    """Of a doubt of its own about the standard deviation, and weak priors of its coefficients."""
    assert curve.attrs["engine"].startswith("collapsed")
    found = cb.dose(curve, "x", grid=AT["x"].tolist())["prediction"]
    apart = found.mean(("chain", "draw")) - ONE[0]
    assert (abs(apart) < 0.35 * found.std(("chain", "draw"))).all()


def test_curves_by_a_factor_follow_each_of_its_levels(rows, curves):
    found = cb.dose(curves, "x", by="race", grid=[0.05, 1.33, 2.5, 4.47, 5.6])["prediction"]
    for number, (race, expected) in enumerate(zip(AT["race"], BY_RACE[0], strict=True)):
        one = found.isel(x=number).sel(race=race)
        assert abs(float(one.mean()) - expected) < 0.5 * float(one.std())


def test_functions_have_no_line_and_a_mean_square_of_one(rows):
    values = 1950 + 40 * rows["x"].to_numpy()  # of any unit and origin
    basis, other = Basis.of(values, 10, "x"), Basis.of(rows["x"].to_numpy(), 10, "x")
    functions = basis.at(values)
    lines = np.column_stack([np.ones(60), rows["x"]])
    np.testing.assert_allclose(functions.T @ lines, 0, atol=1e-8)
    assert (functions**2).sum(axis=1).mean() == pytest.approx(1)
    product = other.at(rows["x"].to_numpy())
    np.testing.assert_allclose(functions @ functions.T, product @ product.T, atol=1e-8)


def test_many_values_have_fewer_knots_and_are_worked_on_in_blocks(monkeypatch, rows):
    x = rows["x"].to_numpy()
    whole = Basis.of(x, 10, "x").at(x)
    monkeypatch.setattr(smooth_design, "BLOCK", 7)
    np.testing.assert_allclose(Basis.of(x, 10, "x").at(x), whole, atol=1e-9)
    monkeypatch.setattr(smooth_design, "MAX_KNOTS", 30)
    fewer = Basis.of(x, 10, "x").at(x)
    # the same curves, but for what half of the knots leave out
    for one in np.linalg.svd(whole, full_matrices=False)[0].T[:4]:
        rest = one - fewer @ np.linalg.lstsq(fewer, one)[0]
        assert np.linalg.norm(rest) < 0.05


def test_a_shift_of_the_variable_and_the_response_shifts_the_curve(rows, curve):
    moved = rows.assign(x=2000 + 10 * rows["x"], y=5 + 3 * rows["y"])
    other = cb.fit("y ~ s(x)", moved, draws=1000)
    one = cb.dose(curve, "x", grid=[1.5, 4.0])
    two = cb.dose(other, "x", grid=[2015, 2040])
    for name, scale, shift in (("prediction", 3, 5), ("slope", 0.3, 0)):
        left = shift + scale * one[name].mean(("chain", "draw")).values
        right = two[name].mean(("chain", "draw")).values
        width = two[name].std(("chain", "draw")).values
        assert (abs(left - right) < 0.15 * width).all()


def test_predictions_of_rows_are_line_and_functions(rows, curve):
    draws = curve.posterior
    (design,) = smooth_designs("y ~ s(x)", rows)
    eta = draws["Intercept"].values[..., None] + draws["x"].values[..., None] * rows["x"].to_numpy()
    eta = eta + draws["1|s(x)"].values @ design.functions(rows).T
    for population in ("new", "typical", "these"):  # a curve is of all of them
        found = cb.predictions(curve, (), population=population)["prediction"]
        np.testing.assert_allclose(found, eta.mean(axis=-1), rtol=1e-9)


def test_the_laplace_engine_and_ordinal_verbs_take_a_curve(rows):
    rng = np.random.default_rng(7)
    x = np.round(rng.uniform(-3, 3, 500), 1)
    chance = 1 / (1 + np.exp(-(1.5 * np.sin(1.2 * x))))
    data = pd.DataFrame({"x": x, "yes": rng.binomial(1, chance), "g": np.arange(500) % 20})
    fit = cb.fit("yes ~ s(x) + (1|g)", data, family="bernoulli", draws=500)
    assert fit.attrs["engine"].startswith("Laplace")
    found = cb.dose(fit, "x", grid=[-1.3, 0.0, 1.3], scale="link", population="typical")
    mean = found["prediction"].mean(("chain", "draw"))
    sd = found["prediction"].std(("chain", "draw"))
    truth = 1.5 * np.sin(1.2 * np.array([-1.3, 0.0, 1.3]))
    assert (abs(mean - truth) < 3 * sd).all()
    assert (sd < 0.5).all()


def test_a_curve_is_checked_saved_and_drawn_from_its_prior(tmp_path, rows, curves):
    assert not str(cb.check(curves)).startswith("fail")
    cb.save(curves, tmp_path / "fit.nc")
    again = cb.open(tmp_path / "fit.nc")
    np.testing.assert_array_equal(
        cb.predictions(again, "race")["prediction"], cb.predictions(curves, "race")["prediction"]
    )
    drawn = cb.prior_predictive("y ~ s(x)", rows, draws=20, priors={"1|s(x)": "HalfNormal(1)"})
    assert drawn["prior"]["1|s(x)"].sizes["s(x)__factor_dim"] == 8


def test_a_parameter_with_a_formula_may_be_a_curve(rows):
    """Of another basis than that of the mean's curve of the same variable."""
    spec = ModelSpec("y ~ s(x)", parts={"sigma": "s(x, k=4)"})
    model = ModelDesign.of(spec, rows)
    arrays = arrays_of(model, normal=False)
    (mean,), (sigma,) = arrays.problem.terms, arrays.parts["sigma"].problem.terms
    one, two = (
        NutsDraws(np.ones((2, 2)), {t.name: np.ones((2, 1))}, {}, {t.name: np.ones((2, size, 1))})
        for t, size in ((mean, 8), (sigma, 2))
    )
    named = name_draws(model, arrays, one, {}, 1, {"sigma": two})
    assert named["1|s(x)"].shape == (1, 2, 8)
    assert named["sigma_1|s(x)"].shape == (1, 2, 2)
    functions = model.parts["sigma"].design(rows)[:, 2:]
    np.testing.assert_array_equal(functions, sigma.weights)


@pytest.mark.parametrize(
    ("formula", "match"),
    [
        ("y ~ s(log(x))", "cannot read"),
        ("y ~ s(x, k=2)", "k of"),
        ("y ~ s(x, bs='cr')", "cannot read"),
        ("y ~ s(x)*race", "by itself|inside another"),
        ("y ~ x + (s(x)|race)", "inside another"),
        ("y ~ s(x) + s(x, k=4)", "two smooth"),
        ("y ~ s(race)", "not a number"),
        ("y ~ s(x, by=z)", "a number"),
        ("y ~ s(x, k=61)", "60 distinct"),
        ("y ~ s(absent)", "absent"),
        ("s(y) ~ x", "no response"),
    ],
)
def test_what_is_no_smooth_term_is_refused(rows, formula, match):
    with pytest.raises(DataError, match=match):
        cb.fit(formula, rows.assign(z=np.arange(60.0)))


def test_the_text_of_smooth_terms():
    assert without_smooths("y ~ a + s(x, k=5) + s(w, by=a)") == "y ~ a + x + a:w"
    assert smooths("y ~ `s(x)` + np.s(x) + bs(x)") == []
