"""Bounded scores with ends: chances and means by hand, and slider ratings with many ends."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import causalbias as cb
from causalbias.models.families import family_named
from tests.chains import mixed

ORDERED = family_named("ordered_beta")
ETA, KAPPA, LOW, HIGH = 0.4, 3.0, -1.5, 0.9
OF_ONE = {
    "kappa": np.array([[KAPPA]]),
    "cutzero": np.array([[LOW]]),
    "cutwidth": np.array([[HIGH - LOW]]),
}


def test_ends_have_the_chances_of_an_ordinal_model_and_the_rest_is_beta():
    y = np.array([0.0, 0.25, 0.8, 1.0])
    found = np.exp(ORDERED.log_likelihood(y, np.array([[ETA]]), OF_ONE))[0]
    zero, one = 1 - special.expit(ETA - LOW), special.expit(ETA - HIGH)
    mu = special.expit(ETA)
    inside = stats.beta.pdf(y[1:3], mu * KAPPA, (1 - mu) * KAPPA) * (1 - zero - one)
    np.testing.assert_allclose(found, [zero, *inside, one], rtol=1e-12)
    assert ORDERED.mean(np.array([[ETA]]), OF_ONE).item() == pytest.approx(
        one + (1 - zero - one) * mu
    )


@pytest.fixture(scope="module")
def rated():
    """Ratings of 30 annotators, of whom a fifth of answers is at an end."""
    random = np.random.default_rng(3)
    annotator = np.repeat(np.arange(30), 20)
    race = np.tile(["x", "y"], 300)
    eta = -0.2 + 0.7 * (race == "y") + random.normal(0, 0.5, 30)[annotator]
    parameters = {"kappa": 6.0, "cutzero": -2.2, "cutwidth": 4.0}
    score = ORDERED.simulate(random, eta[None], parameters)[0]
    return pd.DataFrame({"annotator": annotator.astype(str), "race": race, "score": score})


@pytest.fixture(scope="module")
def fit(rated):
    assert 0.1 < rated["score"].isin([0, 1]).mean() < 0.4
    settings = {"draws": 800, "tune": 400, "chains": 2, "random_seed": 1}
    return cb.fit("score ~ race + (1|annotator)", rated, family="ordered_beta", **settings)


@pytest.mark.slow
def test_the_truth_is_recovered(fit):
    assert mixed(fit)
    table = cb.summary(fit)
    truth = {"race[y]": 0.7, "kappa": 6.0, "cutzero": -2.2, "cutwidth": 4.0}
    for name, value in truth.items():
        row = table.loc[name]
        assert abs(row["estimate"] - value) < 4 * row["sd"] < 2, name


@pytest.mark.slow
def test_effects_on_the_mean_are_averages_over_new_annotators(fit):
    """Beside draws of new annotators, at the posterior's draws."""
    found = cb.effects(fit, "race")["effect"].squeeze().values.ravel()
    posterior = fit["posterior"].to_dataset().stack(all=("chain", "draw"))
    z = stats.norm.ppf((np.arange(400) + 0.5) / 400)  # quantiles of the standard normal
    names = ("kappa", "cutzero", "cutwidth")
    parameters = {name: posterior[name].values[:, None] for name in names}
    base = (
        posterior["Intercept"].values[:, None] + posterior["1|annotator_sigma"].values[:, None] * z
    )
    step = posterior["race"].values.reshape(1, -1).T
    means = [ORDERED.mean(base + one * step, parameters).mean(axis=1) for one in (0, 1)]
    np.testing.assert_allclose(found, means[1] - means[0], atol=2e-4)


@pytest.mark.slow
def test_its_replicates_pass_and_it_survives_saving(fit, tmp_path):
    found = cb.check(fit).set_index("check")["verdict"]
    assert (found[["means by group", "tails", "spread by group"]] == "ok").all()
    assert cb.open(cb.save(fit, tmp_path / "fit.nc")).identical(fit)


def test_scores_beyond_the_ends_are_refused():
    rows = pd.DataFrame({"score": [0.0, 1.0, 1.2], "x": [0.0, 1.0, 2.0]})
    with pytest.raises(cb.DataError, match="numbers from 0 to 1") as found:
        cb.fit("score ~ x", rows, family="ordered_beta")
    assert found.value.row == 3
