"""Fits with fewer draws than were sampled: levels too many to keep at all draws, and `isel`."""

import warnings

import arviz_stats
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import causalbias as cb
from causalbias import DataError
from causalbias.models import engines

FORMULA = "score ~ sex + (1|rater) + (1|face)"
OPTIONS = {"family": "cumulative", "draws": 250}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    rater, face = np.repeat(np.arange(60), 10), np.tile(np.arange(20), 30)
    eta = 0.6 * (face % 2) + rng.normal(size=60)[rater] + rng.normal(0, 0.5, 20)[face]
    score = np.digitize(eta + rng.logistic(size=600), [-1.0, 0.0, 1.0])
    sex = np.where(face % 2, "f", "m")
    return pd.DataFrame({"score": score, "sex": sex, "rater": rater, "face": face})


@pytest.fixture(scope="module")
def whole(rows):
    return cb.fit(FORMULA, rows, **OPTIONS)


@pytest.fixture(scope="module")
def thinned(whole):
    """The same draws, with the effects of raters kept at half of them."""
    found = whole.copy()
    posterior = whole["posterior"].to_dataset()
    found["posterior"] = xr.DataTree(posterior.drop_vars("1|rater"))
    found["thinned"] = xr.DataTree(posterior.isel(draw=slice(0, None, 2)))
    return found


def test_effects_are_kept_at_as_many_draws_as_the_limit_allows(rows, whole, monkeypatch):
    assert "thinned" not in whole.children
    monkeypatch.setattr(engines, "MAX_KEPT", 60 * 600)
    fit = cb.fit(FORMULA, rows, **OPTIONS)
    assert fit["thinned"]["1|rater"].sizes["draw"] == 125
    assert "1|rater" not in fit["posterior"]
    assert "effects of 1|rater kept at 500 of them" in fit.attrs["engine"]


VERBS = {
    "effects of these": lambda fit: cb.effects(fit, "sex", population="these"),
    "predictions by rater": lambda fit: cb.predictions(fit, "rater"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_of_levels_say_at_how_many_draws(whole, thinned, verb):
    found, wanted = VERBS[verb](thinned), VERBS[verb](whole)
    assert found.attrs["draws"] == "500 of 1,000"
    assert "draws" not in wanted.attrs
    assert "draws: 500 of 1,000" in repr(found)
    name = found.attrs["variable"]
    same = wanted[name].sel(draw=found["draw"])
    assert float(abs(found[name] - same).max()) == 0


def test_new_levels_have_all_draws(thinned):
    assert cb.effects(thinned, "sex").sizes["draw"] == 250


def test_likelihood_and_new_data_are_at_the_draws_that_have_effects(whole, thinned):
    found = cb.model_checks.with_log_likelihood(thinned)
    wanted = cb.model_checks.with_log_likelihood(whole)["log_likelihood"]["score"]
    values = found["log_likelihood"]["score"]
    assert values.sizes["draw"] == found["posterior"].sizes["draw"] == 125
    same = wanted.sel(draw=values["draw"])
    assert float(abs(values - same).max()) == 0
    assert "Draws: 500 of 1,000" in repr(found)
    with warnings.catch_warnings():  # of 500 draws, the tails of a row or two may be too few
        warnings.simplefilter("ignore", UserWarning)
        one = arviz_stats.loo(found)
        other = arviz_stats.loo(cb.model_checks.with_log_likelihood(whole))
    assert abs(one.elpd - other.elpd) < 0.1 * other.se
    new = cb.model_checks.with_predictive(thinned)["posterior_predictive"]["score"]
    assert new.sizes["draw"] == 125


def test_portions_of_rows_change_nothing(whole, monkeypatch):
    once = cb.model_checks.with_log_likelihood(whole)["log_likelihood"]["score"]
    monkeypatch.setattr("causalbias.estimands.predictive.AT_ONCE", 1000 * 9 * 7)
    parts = cb.model_checks.with_log_likelihood(whole)["log_likelihood"]["score"]
    np.testing.assert_allclose(parts, once, rtol=1e-12)


def test_of_many_rows_likelihoods_are_at_fewer_draws(whole, monkeypatch):
    monkeypatch.setattr("causalbias.estimands.predictive.MAX_NUMBERS", 600 * 100)
    found = cb.model_checks.with_log_likelihood(whole)
    assert found["log_likelihood"]["score"].sizes["draw"] == 250 // 3 + 1  # at least 400 of 1,000
    assert "Draws: 336 of 1,000" in repr(found)


def test_prior_sensitivity_is_of_the_draws_with_effects(whole, thinned):
    found, wanted = (
        cb.model_checks.prior_sensitivity(fit, cb.effects(fit, "sex")) for fit in (thinned, whole)
    )
    assert (found["diagnosis"] == wanted["diagnosis"]).all()


def test_checks_say_how_many_replicates_there_were(thinned):
    found = cb.check(thinned)
    assert not (found["verdict"] == "not run").any()
    assert found.attrs["replicates"] == 500
    assert "500 replicates" in repr(found)


def test_chains_one_by_one_where_rows_are_many(whole, monkeypatch):
    monkeypatch.setattr("causalbias.model_checks.replicates.HELD", 600)
    found = cb.check(whole)
    assert found.attrs["replicates"] == 200
    assert not (found["verdict"] == "not run").any()


def test_many_different_rows_are_predicted_in_parts(rows, monkeypatch):
    """A number that differs in all rows, on a scale that is not linear."""
    rng = np.random.default_rng(1)
    fit = cb.fit("score ~ sex + z + (1|rater)", rows.assign(z=rng.normal(size=600)), **OPTIONS)
    once = cb.effects(fit, "sex")["effect"]
    monkeypatch.setattr("causalbias.estimands.predictor.MAX_FIXED", 0)
    np.testing.assert_allclose(cb.effects(fit, "sex")["effect"], once, rtol=1e-10)


def test_a_thinned_fit_has_diagnostics_of_its_draws(whole):
    few = whole.isel(draw=slice(0, None, 5))
    assert "Draws: 200 of 1,000" in repr(few)
    assert "Draws" not in repr(whole)
    table = cb.summary(few)
    assert table["ess_bulk"].max() < 400
    assert cb.summary(whole)["ess_bulk"].min() > 400
    assert cb.effects(few, "sex").attrs["draws"] == "200 of 1,000"


def test_draws_of_which_none_has_effects(thinned):
    with pytest.raises(DataError, match="none of these draws"):
        cb.predictions(thinned.isel(draw=slice(249, 250)), "rater")
