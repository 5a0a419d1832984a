"""A new family is one class and one entry of the registry: nothing else knows families by name."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalbias as cb
from causalbias.models.families import FAMILIES, Family, Floats, Parameters
from tests.chains import mixed


class Laplace(Family):
    """y has density ``exp(-|y - mu| / b) / (2 b)`` about its mean and median mu."""

    name = "laplace"
    response = "real numbers"
    links = ("identity", "log", "inverse")
    parameters = ("b",)
    noise = "the noise of single answers (b)"
    statistics = ("means by group", "tails", "spread by group")
    continuous = True

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``-log(2 b) - |y - mu| / b``."""
        return np.asarray(stats.laplace.logpdf(y, self.mean(eta, parameters), parameters["b"]))

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """By the mean: ``sign(y - mu) / b`` and, but for y = mu, zero."""
        away = y - self.mean(eta, parameters)
        return self.by_eta(np.sign(away) / parameters["b"], np.zeros_like(away), eta)

    def simulate(self, rng: np.random.Generator, eta: Floats, parameters: Parameters) -> Floats:
        """Real numbers."""
        return rng.laplace(self.mean(eta, parameters), parameters["b"])


@pytest.fixture(scope="module", autouse=True)
def registered():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, "laplace", Laplace)
        yield


@pytest.fixture(scope="module")
def fit(registered):
    rng = np.random.default_rng(1)
    race = np.tile(["x", "y"], 120)
    annotator = np.repeat(np.arange(24).astype(str), 10)
    mean = 0.8 * (race == "y") + 0.5 * rng.standard_normal(24)[annotator.astype(int)]
    rows = pd.DataFrame({"score": rng.laplace(mean, 0.4), "race": race, "annotator": annotator})
    return cb.fit(
        "score ~ race + (1|annotator)", rows, family="laplace", method="nuts", random_seed=2
    )


def test_the_truth_is_recovered(fit):
    assert mixed(fit)
    found = cb.effects(fit, "race")["effect"].sel(race="y")
    assert found.mean() == pytest.approx(0.8, abs=0.15)
    row = cb.summary(fit).loc["b"]
    assert row["kind"] == "further"
    assert row["lower"] < 0.4 < row["upper"]


def test_predictions_are_means_and_log_likelihoods_scipys(fit):
    found = cb.predictions(fit, by="race", population="typical")["prediction"]
    np.testing.assert_allclose(found.sel(race="x"), fit["posterior"]["Intercept"])
    known = cb.model_checks.with_log_likelihood(fit)["log_likelihood"]["score"]
    first = fit["constant_data"].to_dataset().isel(__obs__=0)
    effect = fit["posterior"]["1|annotator"].sel(annotator__factor_dim="0", drop=True)
    mean = fit["posterior"]["Intercept"] + effect
    wanted = stats.laplace.logpdf(first["score"].item(), mean, fit["posterior"]["b"])
    np.testing.assert_allclose(known.isel(__obs__=0), wanted)


def test_replicates_pass_the_check(fit):
    table = cb.check(fit)
    assert {"means by group", "tails", "spread by group"} <= set(table["check"])
    failed = set(table.loc[table["verdict"] == "fail", "check"])
    assert failed <= {"R-hat", "divergences"}, table  # by chance; see `mixed`


def test_new_data_have_the_spread_of_the_distribution(fit):
    drawn = cb.model_checks.with_predictive(fit)["posterior_predictive"]["score"]
    seen = float(fit["observed_data"]["score"].std())
    assert float(drawn.std()) == pytest.approx(seen, rel=0.1)
    rows = fit["constant_data"].to_dataset().to_dataframe()
    prior = cb.prior_predictive("score ~ race", rows, family="laplace", draws=50)
    assert prior["prior_predictive"]["score"].sizes["draw"] == 50


def test_a_saved_fit_is_the_fit(fit, tmp_path):
    cb.save(fit, tmp_path / "fit.nc")
    again = cb.open(tmp_path / "fit.nc")
    assert cb.summary(again).equals(cb.summary(fit))
    np.testing.assert_array_equal(
        cb.effects(again, "race")["effect"], cb.effects(fit, "race")["effect"]
    )


def test_its_parameter_is_positive_and_no_column_may_be_called_so(fit):
    rows = fit["constant_data"].to_dataset().to_dataframe()
    options = {"family": "laplace", "method": "nuts", "draws": 50, "tune": 50, "chains": 1}
    with pytest.raises(cb.DataError, match="reaches below zero"):
        cb.fit("score ~ race", rows, priors={"b": "Uniform(-1, 1)"}, **options)
    with pytest.raises(cb.DataError, match="every fit has something of this name"):
        cb.fit("score ~ b", rows.assign(b=np.arange(len(rows))), **options)


def test_what_needs_another_family_is_refused(fit):
    with pytest.raises(cb.DataError, match="laplace model with link identity has no scale 'FMR'"):
        cb.effects(fit, "race", scale="FMR", threshold=0.5)
    with pytest.raises(cb.DataError, match="too slow to simulate from"):
        cb.design.power(fit, "race", over="annotator", sizes=[10])
    with pytest.raises(cb.DataError, match="the laplace engine declines"):
        cb.fit(
            "score ~ race",
            fit["constant_data"].to_dataset().to_dataframe(),
            family="laplace",
            method="laplace",
        )
