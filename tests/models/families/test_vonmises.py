"""Angles: their density beside SciPy's, means of directions, and a model across half a turn."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalbias as cb
from causalbias.models.families import family_named
from tests.chains import mixed

VON_MISES = family_named("vonmises")


def test_its_density_is_that_of_scipy():
    y, eta = np.linspace(-3, 3, 7), np.array([[-2.0], [0.4], [9.0]])
    parameters = {"kappa": np.array([[0.1], [3.0], [900.0]])}
    wanted = stats.vonmises.logpdf(y, loc=eta, kappa=parameters["kappa"])
    np.testing.assert_allclose(VON_MISES.log_likelihood(y, eta, parameters), wanted, rtol=1e-9)


def test_simulated_angles_point_where_the_family_says():
    eta = np.repeat([[0.3], [3.0], [-8.0]], 20_000, axis=1)
    parameters = {"kappa": np.array([[0.8], [3.0], [2e6]])}
    y = VON_MISES.simulate(np.random.default_rng(1), eta, parameters)
    assert np.abs(y).max() <= np.pi
    away = np.angle(np.exp(1j * (y - eta)).mean(axis=1))
    np.testing.assert_allclose(away, 0, atol=0.04)
    residual = VON_MISES.residual(y, eta, parameters)
    assert residual[2].std() == pytest.approx(1, rel=0.02)  # normal where concentrated


@pytest.fixture(scope="module")
def fit():
    """Two groups whose directions are on either side of half a turn."""
    random = np.random.default_rng(1)
    seed = np.repeat(np.arange(20), 10)
    race = np.tile(["x", "y"], 100)
    mean = 2.9 + 0.6 * (race == "y") + random.normal(0, 0.2, 20)[seed]
    rows = pd.DataFrame({"seed": seed.astype(str), "race": race})
    rows["hue"] = random.vonmises(np.angle(np.exp(1j * mean)), 10)
    settings = {"draws": 800, "tune": 400, "chains": 2, "random_seed": 1}
    return cb.fit("hue ~ race + (1|seed)", rows, family="vonmises", **settings)


@pytest.mark.slow
def test_it_finds_a_difference_across_half_a_turn(fit):
    assert mixed(fit)
    effect = cb.effects(fit, "race")["effect"].squeeze()
    assert abs(effect.mean() - 0.6) < 4 * effect.std() < 0.3
    row = cb.summary(fit).loc["kappa"]
    assert row["lower"] < 10 < row["upper"]


@pytest.mark.slow
def test_its_replicates_pass_and_it_survives_saving(fit, tmp_path):
    found = cb.check(fit).set_index("check")["verdict"]
    assert (found[["means by group", "spread by group"]] == "ok").all()
    assert cb.open(cb.save(fit, tmp_path / "fit.nc")).identical(fit)
    drawn = cb.model_checks.with_predictive(fit)["posterior_predictive"]["hue"]
    assert float(np.abs(drawn).max()) <= np.pi


def test_degrees_are_refused_with_the_way_to_radians():
    rows = pd.DataFrame({"hue": [10.0, 45.0, 300.0], "x": [0.0, 1.0, 2.0]})
    with pytest.raises(cb.DataError, match="radians") as found:
        cb.fit("hue ~ x", rows, family="vonmises")
    assert (found.value.column, found.value.row) == ("hue", 1)
    assert "numpy.radians" in found.value.hint
