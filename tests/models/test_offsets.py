"""Offsets: known parts of the linear predictor, in every engine and every verb."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import causalbias as cb
from causalbias.errors import DataError
from causalbias.estimands.predictive import with_log_likelihood
from causalbias.inference.gaussian import sample_gaussian
from causalbias.inference.laplace import sample, sample_laplace
from causalbias.inference.laplace.conditional import coloured, find_conditional, start_of
from causalbias.inference.laplace.expansion import find_mode_of_x, split_factors
from causalbias.inference.laplace.nested import scales_of, start_scales
from causalbias.inference.laplace.target import make_target
from causalbias.model_checks.left_out import log_likelihoods
from tests.inference.gaussian_cases import problem, term

N = 240


@pytest.fixture(scope="module")
def rows():
    """An offset that is far from zero, correlated with x, and counts for itself in every answer."""
    rng = np.random.default_rng(4)
    group = np.repeat(np.arange(12), N // 12)
    x = rng.normal(size=N)
    w = 30 + x + rng.normal(size=N)
    eta = 0.5 * x + (w - 30) + rng.normal(0, 0.7, 12)[group]
    return pd.DataFrame(
        {
            "x": x,
            "w": w,
            "near": w - 30,
            "race": np.where(rng.random(N) < 0.5, "black", "white"),
            "g": [f"g{one}" for one in group],
            "y": 2 + eta + 30 + rng.normal(size=N),
            "less": 0.0,
            "yes": rng.binomial(1, special.expit(eta)),
            "rating": np.digitize(eta + rng.logistic(size=N), [-1, 1]),
            "hits": rng.binomial(5, special.expit(eta)),
        }
    ).assign(less=lambda d: d["y"] - d["w"])


@pytest.fixture(scope="module")
def gaussian(rows):
    return cb.fit("y ~ x + race + offset(w) + (1|g)", rows, draws=200)


@pytest.fixture(scope="module")
def binary(rows):
    return cb.fit("yes ~ x + offset(w) + (1|g)", rows, family="bernoulli", draws=500)


def test_a_gaussian_offset_is_the_model_of_the_difference(rows, gaussian):
    difference = cb.fit("less ~ x + race + (1|g)", rows, draws=200)
    assert gaussian.attrs["engine"].startswith("collapsed")
    for name, values in difference.posterior.data_vars.items():
        np.testing.assert_allclose(gaussian.posterior[name], values, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_a_binary_offset_against_the_posterior_on_a_grid(rows, link):
    """Two coefficients with known priors, brute force."""
    priors = {"Intercept": "Normal(0, 2)", "x": "Normal(0, 1)"}
    fit = cb.fit(
        "yes ~ x + offset(near)", rows, family="bernoulli", link=link, priors=priors, draws=2000
    )
    beta = np.linspace(-1.5, 3, 81)
    a, b = np.meshgrid(np.linspace(-3, 3, 81), beta, indexing="ij")
    x = rows["x"].to_numpy()
    eta = a[..., None] + b[..., None] * (x - x.mean()) + rows["near"].to_numpy()
    log_cdf = special.log_expit if link == "logit" else special.log_ndtr
    value = np.where(rows["yes"] == 1, log_cdf(eta), log_cdf(-eta)).sum(axis=-1)
    value += stats.norm.logpdf(a, 0, 2) + stats.norm.logpdf(b, 0, 1)
    chance = np.exp(value - value.max())
    chance = chance.sum(axis=0) / chance.sum()
    mean = chance @ beta
    sd = np.sqrt(chance @ (beta - mean) ** 2)
    found = fit.posterior["x"]
    assert float(found.mean()) == pytest.approx(mean, abs=5 * sd / np.sqrt(8000))
    assert float(found.std()) == pytest.approx(sd, rel=0.05)


@pytest.mark.parametrize("family", ["bernoulli", "binomial", "cumulative"])
def test_a_constant_added_to_an_offset_is_taken_from_the_intercept(rows, family):
    response = {"bernoulli": "yes", "binomial": "p(hits, 5)", "cumulative": "rating"}[family]
    one = cb.fit(f"{response} ~ x + offset(near)", rows, family=family, draws=200)
    other = cb.fit(f"{response} ~ x + offset(w)", rows, family=family, draws=200)
    name, sign = ("threshold", -1) if family == "cumulative" else ("Intercept", 1)
    pairs = [(one.posterior["x"], other.posterior["x"])]
    pairs += [(one.posterior[name] - sign * 30, other.posterior[name])]
    for left, right in pairs:  # of the same random numbers, but for ties in their resampling
        apart = left.mean(("chain", "draw")) - right.mean(("chain", "draw"))
        assert (abs(apart) < 0.1 * right.std(("chain", "draw"))).all()


def known_and_column(kind):
    """A problem with an offset, the same with it as a column of known coefficient, and options."""
    rng = np.random.default_rng(8)
    n = 200
    x, w = rng.normal(size=n), rng.normal(0, 1.5, n)
    codes = [rng.integers(0, 15, n), rng.integers(0, 4, n)]
    eta = x + w + rng.normal(size=15)[codes[0]]
    y = np.digitize(eta + rng.logistic(size=n), [-1.0, 0.5, 2.0]).astype(float)
    trials, mean, sd = None, np.zeros(3), np.full(3, 3.0)
    if kind == "binary":
        y, mean, sd = (y > 1).astype(float), None, None
    if kind == "binomial":
        trials, mean, sd = np.full(n, 4.0), None, None
        y = rng.binomial(4, special.expit(eta)).astype(float)
    groups = tuple(
        term(name, np.ones((n, 1)), one, size)
        for name, one, size in zip(("1|g", "1|h"), codes, (15, 4), strict=True)
    )
    column = problem(y, np.column_stack([x, w]), groups)
    column = replace(column, beta_mean=np.array([0.0, 1.0]), beta_sd=np.array([3.0, 1e-6]))
    known = problem(y, x[:, None], groups, beta_sd=3.0)
    return replace(known, offset=w), column, (trials, mean, sd)


@pytest.mark.parametrize("kind", ["binary", "ordinal", "binomial"])
def test_modes_of_the_laplace_engine_and_its_expansions_have_the_offset(kind):
    known, column, options = known_and_column(kind)
    theta = start_scales(known.terms)
    found = []
    for one in (known, column):
        target = make_target(one, "logit", *options, 16)
        start, levels = start_of(target), np.zeros(len(target.rows.level))
        start[-len(one.beta_mean) :] = one.beta_mean
        sd, factors = split_factors(target, one.terms, scales_of(theta[None], one.terms), 0)
        mode = find_conditional(target, sd, factors, start, levels, tolerance=1e-8)
        expanded = find_mode_of_x(target, one, theta, start, levels)
        end = target.rows.n_effects + target.n_free + 1
        found += [coloured(target.rows, factors, mode.x)[:end], expanded.raw[:end]]
    for one in found[1:]:
        np.testing.assert_allclose(one, found[0], atol=0.02)  # expansions stop at gains of 0.01
    np.testing.assert_allclose(found[2], found[0], atol=1e-5)


@pytest.mark.slow
def test_proposals_from_expansions_are_weighed_with_the_offset(monkeypatch):
    monkeypatch.setattr(sample, "_MAX_DENSE", 0)
    known, column, (_, mean, sd) = known_and_column("ordinal")
    options = {"threshold_mean": mean, "threshold_sd": sd, "draws": 1000}
    one, other = (sample_laplace(each, random_seed=1, **options) for each in (known, column))
    assert one.diagnostics.pareto_k < 0.7
    for left, right in (
        (one.beta[:, 0], other.beta[:, 0]),
        (one.threshold[:, 1], other.threshold[:, 1]),
        (one.effects["1|g"][:, 3, 0], other.effects["1|g"][:, 3, 0]),
    ):
        assert abs(left.mean() - right.mean()) < 0.2 * right.std()
        assert left.std() == pytest.approx(right.std(), rel=0.15)


def test_the_gaussian_engine_returns_the_same_effects_later():
    rng = np.random.default_rng(2)
    n = 80
    codes, w = np.repeat(np.arange(20), 4), rng.normal(size=n)
    y = w + rng.normal(size=20)[codes] + rng.normal(size=n)
    groups = (term("1|g", np.ones((n, 1)), codes, 20),)
    known = replace(problem(y, np.ones((n, 1)), groups), offset=w)
    found = sample_gaussian(known, lambda sd: -0.5 * sd**2, draws=50)
    other = sample_gaussian(
        problem(y - w, np.ones((n, 1)), groups), lambda sd: -0.5 * sd**2, draws=50
    )
    np.testing.assert_array_equal(found.effects["1|g"], other.effects["1|g"])


def test_verbs_move_the_offset_with_the_row(rows, gaussian, binary):
    """The effect of a variable that is only an offset is known; means are those of its rows."""
    assert cb.predictions(gaussian, ())["prediction"].mean() == pytest.approx(
        rows["y"].mean(), abs=0.2
    )
    high, low = rows["w"][7], rows["w"][11]
    effect = cb.counterfactual(gaussian, {"w": high}, {"w": low})["effect"]
    np.testing.assert_allclose(effect, high - low, rtol=1e-9)
    dosed = cb.dose(gaussian, "w", grid=[29.0, 31.0])
    np.testing.assert_allclose(dosed["average_slope"], 1.0, rtol=1e-6)
    typical = cb.predictions(binary, (), population="typical")["prediction"]
    draws = binary.posterior
    eta = (
        draws["Intercept"].values[..., None]
        + draws["x"].values[..., None] * rows["x"].to_numpy()
        + rows["w"].to_numpy()
    )
    np.testing.assert_allclose(typical, special.expit(eta).mean(axis=-1), rtol=1e-9)


def test_predictive_draws_and_densities_have_the_offset(rows, gaussian):
    with_density = with_log_likelihood(gaussian)["log_likelihood"]["y"]
    draws = gaussian.posterior
    mean = (
        draws["Intercept"]
        + draws["x"] * rows["x"][7]
        + rows["w"][7]
        + draws["1|g"].sel(g__factor_dim=rows["g"][7])
    )
    if rows["race"][7] == "white":
        mean = mean + draws["race"].sel(race_dim="white")
    expected = stats.norm.logpdf(rows["y"][7], mean, draws["sigma"])
    np.testing.assert_allclose(with_density[..., 7], expected, rtol=1e-9)
    assert str(cb.check(gaussian)).startswith("pass")


def test_priors_are_of_what_is_left_beside_the_offset(rows):
    drawn = cb.prior_predictive("y ~ x + offset(w)", rows, draws=50)
    less = cb.prior_predictive("less ~ x", rows, draws=50)
    one, other = (tree["prior_predictive"].to_dataset() for tree in (drawn, less))
    np.testing.assert_allclose(one["y"] - rows["w"].to_numpy(), other["less"], atol=1e-9)


def test_a_saved_fit_keeps_its_offset(tmp_path, gaussian):
    cb.save(gaussian, tmp_path / "fit.nc")
    again = cb.open(tmp_path / "fit.nc")
    np.testing.assert_array_equal(
        cb.predictions(again, "race")["prediction"], cb.predictions(gaussian, "race")["prediction"]
    )


def test_seeds_left_out_have_the_offset_too(rows, gaussian):
    difference = cb.fit("less ~ x + race + (1|g)", rows, draws=200)
    np.testing.assert_allclose(
        log_likelihoods(gaussian, "g"), log_likelihoods(difference, "g"), rtol=1e-7
    )


@pytest.mark.parametrize(
    "formula", ["y ~ x*offset(w)", "y ~ x + (offset(w)|g)", "y ~ log(offset(w))", "offset(y) ~ x"]
)
def test_an_offset_stands_by_itself(rows, formula):
    with pytest.raises(DataError, match="offset"):
        cb.fit(formula, rows)


def test_nothing_beside_the_offset_is_an_error(rows):
    with pytest.raises(DataError, match="offset"):
        cb.fit("y ~ x + offset(w)", rows.assign(y=rows["w"] + 3))
