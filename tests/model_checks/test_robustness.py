"""Influence, leaks and prior sensitivity: planted causes are found, closed forms are met."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

import causalbias as cb
from causalbias import DataError
from causalbias.model_checks.left_out import log_likelihoods
from causalbias.model_checks.prior_sensitivity import log_prior
from causalbias.models.fitted import fitted


def rows(rng, seeds=6, each=8):
    seed = np.repeat(np.arange(seeds), each)
    x = np.tile([0, 1], seeds * each // 2)
    y = 1.0 * x + rng.normal(0, 0.5, seeds)[seed] + rng.normal(0, 0.6, seeds * each)
    return pd.DataFrame({"y": y, "x": x, "seed": seed})


def effect(fit):
    return cb.effects(fit, "x", population="typical")


# Influence --------------------------------------------------------------------------------------


def test_the_seed_that_makes_the_claim_is_found():
    frame = rows(np.random.default_rng(1))
    frame.loc[(frame["seed"] == 3) & (frame["x"] == 1), "y"] += 8
    frame.loc[(frame["seed"] != 3) & (frame["x"] == 1), "y"] -= 1
    fit = cb.fit("y ~ x + (1|seed)", frame, draws=250)
    found = cb.influence(fit, effect, draws=250)
    shift = abs(found["shift"]).squeeze()
    assert str(shift["left_out"][int(shift.argmax())].item()) == "3"
    assert found["rows"].values.tolist() == [8] * 6
    own = cb.summarise(effect(cb.fit("y ~ x + (1|seed)", frame[frame["seed"] != 3])))
    ours = found.sel(left_out="3")
    monte_carlo = 6 * 1.3 * own["sd"][0] / np.sqrt(1000)
    assert float(ours["estimate"].squeeze()) == pytest.approx(own["estimate"][0], abs=monte_carlo)


def test_overturned_is_a_change_of_verdict():
    rng = np.random.default_rng(2)
    frame = rows(rng, seeds=4)
    only = frame["seed"] == 0
    frame["y"] = rng.normal(0, 0.1, len(frame)) + frame["x"] * np.where(only, 1.2, 0.0)
    fit = cb.fit("y ~ x + (1|seed)", frame, draws=250)
    found = cb.influence(fit, effect, draws=250)["overturned"].squeeze()
    assert float(cb.summarise(effect(fit))["lower"][0]) > 0
    assert bool(found.sel(left_out="0"))


def test_a_pair_is_left_out_with_either_member():
    frame = pd.DataFrame({"y": np.random.default_rng(3).normal(size=60), "x": np.arange(60) % 2})
    frame = frame.assign(a=np.arange(60) % 5, b=(np.arange(60) // 5) % 5)
    fit = cb.fit("y ~ x + (1|mm(a, b))", frame, draws=100)
    found = cb.influence(fit, effect, over=["a", "b"], draws=100)
    for seed in range(5):
        expected = ((frame["a"] == seed) | (frame["b"] == seed)).sum()
        assert int(found["rows"].sel(left_out=str(seed))) == expected


def test_influence_refuses_what_it_cannot_leave_out():
    fit = cb.fit("y ~ x + (1|seed)", rows(np.random.default_rng(4), seeds=2), draws=50)
    with pytest.raises(DataError, match="has 2 levels"):
        cb.influence(fit, effect)
    with pytest.raises(DataError, match="use one of x, seed"):
        cb.influence(fit, effect, over="annotator")


# Leaks ------------------------------------------------------------------------------------------


def normal(mean, sd, n=200_000):
    values = mean + sd * stats.norm.ppf((np.arange(n) + 0.5) / n)
    return xr.DataArray(np.random.default_rng(0).permutation(values)[None], dims=("chain", "draw"))


@pytest.mark.parametrize("sign", [1, -1])
def test_leak_of_a_known_slope(sign):
    """Effect N(2, 0.5), slope 0.4: doubt begins where 2 - 0.4 leak is 1.96 * 0.5."""
    found = cb.manipulation_checks.leak_to_overturn(normal(2, 0.5), sign * normal(0.4, 1e-9))
    assert float(found["to_zero"]) == pytest.approx(sign * 5, rel=1e-4)
    assert float(found["to_doubt"]) == pytest.approx(sign * (2 - 1.96 * 0.5) / 0.4, rel=1e-3)


def test_leak_with_an_uncertain_slope():
    """Independent normals: (2 - 0.4 k)^2 = 1.96^2 (0.5^2 + 0.1^2 k^2), the lesser root."""
    found = cb.manipulation_checks.leak_to_overturn(
        normal(2, 0.5), normal(0.4, 0.1).isel(draw=slice(None, None, -1))
    )
    z = 1.959964**2
    roots = np.roots([0.16 - z * 0.01, -1.6, 4 - z * 0.25])
    assert float(found["to_doubt"]) == pytest.approx(min(roots), rel=0.01)


def test_a_doubtful_effect_needs_no_leak():
    assert (
        float(cb.manipulation_checks.leak_to_overturn(normal(0.1, 1), normal(1, 0.1))["to_doubt"])
        == 0
    )
    with pytest.raises(DataError, match="zero in every draw"):
        cb.manipulation_checks.leak_to_overturn(normal(1, 1), 0 * normal(1, 1))


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("y ~ x + (1|seed)", {}),
        ("y ~ x + (x|seed) + (1|seed:x)", {"weights": "w"}),
        ("y ~ x + (1|seed)", {"counts": "n"}),
    ],
)
def test_a_seeds_likelihood_is_that_of_its_normal_distribution(formula, options):
    """Against scipy's multivariate normal of the rows written out, effects integrated out."""
    rng = np.random.default_rng(8)
    frame = rows(rng).assign(w=rng.uniform(0.5, 3, 48), n=rng.integers(1, 4, 48))
    fit = cb.fit(formula, frame, draws=30, **options)
    model = fitted(fit)
    used, sigma = model.frame, model.posterior["sigma"].values.ravel()
    written = used.loc[used.index.repeat(used["n"])] if "counts" in options else used
    written = written.reset_index(drop=True)
    found = log_likelihoods(fit, "seed")
    assert found.shape == (6, 120)
    for level, at in ((2, 0), (5, 77)):
        own = written[written["seed"] == level]
        covariance = (
            np.diag(sigma[at] ** 2 / own["w"])
            if "weights" in options
            else (sigma[at] ** 2 * np.eye(len(own)))
        )
        for one in model.groups:
            z = one.matrix(own).toarray()
            levels = z.shape[1] // sum(one.sizes())
            of_level = model.group_covariance(one)[at]
            covariance = covariance + z @ np.kron(np.eye(levels), of_level) @ z.T
        mean = model.design(own) @ model.coefficients[at]
        expected = stats.multivariate_normal(mean, covariance).logpdf(own["y"])
        assert found[level, at] == pytest.approx(expected, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("formula", ["y ~ x + (1|seed)", "y ~ x + (x|seed)"])
def test_weights_tell_what_refits_tell(formula):
    fit = cb.fit(formula, rows(np.random.default_rng(7), seeds=10))
    quick, slow = (cb.influence(fit, effect, refit=how) for how in ("never", "always"))
    told = quick["pareto_k"] <= 0.7
    assert int(told.sum()) >= 7
    assert not quick["refitted"].any()
    assert bool(slow["refitted"].all())
    whole = effect(fit)["effect"].std()
    for name in ("estimate", "lower", "upper"):
        gap = (quick[name] - slow[name]).where(told) / whole
        assert abs(gap).max() < (0.12 if name == "estimate" else 0.4)
    assert np.isnan(quick["estimate"].where(~told)).all()


def test_what_weights_cannot_tell_is_fitted_again():
    """Effects of "these" seeds, and seeds that share annotators."""
    frame = rows(np.random.default_rng(9), seeds=4)
    fit = cb.fit("y ~ x + (1|seed)", frame, draws=250)
    own = lambda one: cb.effects(one, "x", population="these")  # noqa: E731
    these = cb.influence(fit, own, draws=100)
    assert bool(these["refitted"].all())
    shared = cb.fit(
        "y ~ x + (1|seed) + (1|rater)", frame.assign(rater=np.arange(32) % 5), draws=100
    )
    assert bool(np.isnan(cb.influence(shared, effect, refit="never")["estimate"]).all())
    with pytest.raises(DataError, match="needed, always, never"):
        cb.influence(fit, effect, refit="no")


def test_the_table_of_sensitivity_names_the_seed_and_the_prior():
    frame = rows(np.random.default_rng(1))
    frame.loc[(frame["seed"] == 3) & (frame["x"] == 1), "y"] += 8
    fit = cb.fit("y ~ x + (1|seed)", frame, priors={"x": "Normal(0, 0.2)"}, draws=500)
    table = cb.sensitivity(fit, effect)
    assert table[["x", "most", "tried", "groups"]].values.tolist() == [[1, "3", 6, 6]]
    assert "conflict" in table["diagnosis"][0]
    without = cb.influence(fit, effect)
    assert table["least"][0] == pytest.approx(float(without["estimate"].min()))
    assert table["shift"][0] == pytest.approx(float(without["shift"].sel(left_out="3").item()))


# Priors -----------------------------------------------------------------------------------------


def test_log_prior_is_the_priors_own_density():
    frame = rows(np.random.default_rng(5)).assign(z=lambda one: one["x"] * 2.0 + 3)
    priors = {
        "Intercept": "Normal(1, 3)",
        "x": "Normal(0.5, 2)",
        "z": "Normal(0, 1)",
        "1|seed": "HalfNormal(0.7)",
        "sigma": "HalfStudentT(4, 1.5)",
    }
    fit = cb.fit("y ~ x + z + (1|seed)", frame, priors=priors, draws=50)
    draws = {name: fit["posterior"][name].values.ravel() for name in ("Intercept", "x", "z")}
    level = draws["Intercept"] + frame["x"].mean() * draws["x"] + frame["z"].mean() * draws["z"]
    expected = (
        stats.norm(1, 3).logpdf(level)
        + stats.norm(0.5, 2).logpdf(draws["x"])
        + stats.norm(0, 1).logpdf(draws["z"])
        + stats.halfnorm(scale=0.7).logpdf(fit["posterior"]["1|seed_sigma"].values.ravel())
        + stats.t(4, scale=1.5).logpdf(fit["posterior"]["sigma"].values.ravel())
    )
    ours = log_prior(fitted(fit))
    np.testing.assert_allclose(ours - ours[0], expected - expected[0], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("family", ["bernoulli", "cumulative"])
def test_log_prior_of_other_families(family):
    frame = rows(np.random.default_rng(5), seeds=10)
    frame["k"] = np.digitize(frame["y"], [0.3] if family == "bernoulli" else [0, 1])
    first = "Intercept" if family == "bernoulli" else "threshold"
    priors = {"x": "Normal(0.5, 2)", "1|seed": "HalfNormal(0.7)"}
    fit = cb.fit("k ~ x + (1|seed)", frame, family=family, priors=priors, draws=50)
    draws = fit["posterior"].to_dataset()
    own = fitted(fit).bambi
    prior = (
        own.parameters["p"].intercept_term.prior
        if family == "bernoulli"
        else own.parameters["threshold"].prior
    )
    level = draws[first] + (draws["x"] * frame["x"].mean() if family == "bernoulli" else 0)
    expected = (
        stats.norm(prior.args["mu"], prior.args["sigma"])
        .logpdf(level.values.reshape(200, -1))
        .sum(axis=1)
        + stats.norm(0.5, 2).logpdf(draws["x"].values.ravel())
        + stats.halfnorm(scale=0.7).logpdf(draws["1|seed_sigma"].values.ravel())
    )
    ours = log_prior(fitted(fit))
    np.testing.assert_allclose(ours - ours[0], expected - expected[0], rtol=1e-7, atol=1e-9)
    assert len(cb.model_checks.prior_sensitivity(fit, cb.effects(fit, "x"))) == 1


def test_a_prior_at_odds_with_the_data_is_told_from_a_weak_one():
    frame = rows(np.random.default_rng(6))
    weak = cb.fit("y ~ x + (1|seed)", frame)
    tight = cb.fit("y ~ x + (1|seed)", frame, priors={"x": "Normal(0, 0.1)"})
    assert cb.model_checks.prior_sensitivity(weak, effect(weak))["diagnosis"].tolist() == ["✓"]
    found = cb.model_checks.prior_sensitivity(tight, effect(tight))
    assert found["diagnosis"].tolist() == ["potential prior-data conflict"]
    with pytest.raises(DataError, match="not of this fit"):
        cb.model_checks.prior_sensitivity(weak, effect(tight).isel(draw=slice(5)))


@pytest.mark.parametrize("name", ["prior", "most", "shift", "groups", "left_out"])
def test_a_label_called_as_a_column_of_the_table_is_refused(name):
    rng = np.random.default_rng(0)
    frame = rows(rng).rename(columns={"x": name})
    fit = cb.fit(f"y ~ {name} + (1|seed)", frame, draws=50)
    with pytest.raises(DataError, match=f"something else called '{name}'"):
        cb.sensitivity(fit, lambda one: cb.effects(one, name), refit="never")
