"""Stopping ratios: by hand, beside a cumulative model that is the same, and in a fit."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import causalbias as cb
from causalbias.models.families import family_named
from tests.chains import mixed

THRESHOLDS = np.array([[0.3, -0.8, 1.1]])  # in no order


def test_chances_are_products_of_going_on_and_stopping():
    stop = special.expit(THRESHOLDS[0] - 0.6)
    wanted = [stop[0], (1 - stop[0]) * stop[1], (1 - stop[0]) * (1 - stop[1]) * stop[2]]
    found = family_named("sratio").chances(np.array([[0.6]]), {"threshold": THRESHOLDS})[0, 0]
    np.testing.assert_allclose(found, [*wanted, 1 - sum(wanted)], rtol=1e-12)


def test_with_cloglog_it_is_the_cumulative_model_of_summed_hazards():
    """Of proportional hazards: Laara and Matthews 1985, Biometrika 72(1)."""
    eta, codes = np.linspace(-2, 2, 4)[None], np.arange(4.0)
    summed = {"threshold": np.log(np.exp(THRESHOLDS).cumsum(axis=1))}
    one, other = family_named("sratio", "cloglog"), family_named("cumulative", "cloglog")
    np.testing.assert_allclose(
        one.log_likelihood(codes, eta, {"threshold": THRESHOLDS}),
        other.log_likelihood(codes, eta, summed),
        rtol=1e-9,
    )


@pytest.fixture(scope="module")
def fit():
    random = np.random.default_rng(1)
    annotator = np.repeat(np.arange(25), 16)
    race = np.tile(["x", "y"], 200)
    eta = 0.8 * (race == "y") + random.normal(0, 0.5, 25)[annotator]
    code = family_named("sratio").simulate(random, eta[None], {"threshold": THRESHOLDS})[0]
    rows = pd.DataFrame({"annotator": annotator.astype(str), "race": race, "score": code})
    settings = {"draws": 800, "tune": 400, "chains": 2, "random_seed": 1}
    return cb.fit("score ~ race + (1|annotator)", rows, family="sratio", **settings)


@pytest.mark.slow
def test_the_truth_is_recovered(fit):
    assert mixed(fit)
    effect = cb.effects(fit, "race", scale="link")["effect"].squeeze()
    assert abs(effect.mean() - 0.8) < 4 * effect.std() < 1.0
    found = fit["posterior"]["threshold"]
    away = (found.mean(("chain", "draw")) - THRESHOLDS[0]) / found.std(("chain", "draw"))
    assert float(np.abs(away).max()) < 4


@pytest.mark.slow
def test_effects_on_probabilities_are_averages_over_new_annotators(fit):
    found = cb.effects(fit, "race", scale="probability")["effect"].squeeze()
    assert found.sizes["category"] == 4
    np.testing.assert_allclose(found.sum("category"), 0, atol=1e-12)
    mean = cb.effects(fit, "race")["effect"].squeeze()
    np.testing.assert_allclose(mean, (found * found["category"]).sum("category"), atol=1e-9)
    posterior = fit["posterior"].to_dataset().stack(all=("chain", "draw"))
    z = stats.norm.ppf((np.arange(400) + 0.5) / 400)
    new = posterior["1|annotator_sigma"].values[:, None] * z
    step = posterior["race"].values.reshape(1, -1).T
    cuts = {"threshold": posterior["threshold"].transpose("all", ...).values}
    family = family_named("sratio")
    chances = [family.chances(new + one * step, cuts).mean(axis=1) for one in (0, 1)]
    wanted = (chances[1] - chances[0]).reshape(*found.shape[:2], 4)
    np.testing.assert_allclose(found.transpose("chain", "draw", "category"), wanted, atol=2e-4)


@pytest.mark.slow
def test_its_replicates_pass_and_it_survives_saving(fit, tmp_path):
    found = cb.check(fit).set_index("check")["verdict"]
    assert found["category shares"] == "ok"
    assert cb.open(cb.save(fit, tmp_path / "fit.nc")).identical(fit)


@pytest.mark.slow
def test_prior_draws_of_its_thresholds_are_in_any_order(fit):
    rows = fit["constant_data"].to_dataset().to_dataframe()
    drawn = cb.prior_predictive("score ~ race", rows, family="sratio", draws=50)
    steps = np.diff(drawn["prior"]["threshold"].values, axis=-1)
    assert (steps > 0).any()
    assert (steps < 0).any()
