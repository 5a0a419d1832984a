"""A new family is one class and one entry of the registry: nothing else knows families by name."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import special, stats

import causalbias as cb
from causalbias.models.families import FAMILIES, Family, Floats, Parameters
from tests.chains import mixed


class Logistic(Family):
    """y is mu plus s times standard logistic noise. bambi has no such family."""

    name = "logistic"
    response = "real numbers"
    links = ("identity", "log", "inverse")
    parameters = ("s",)
    noise = "the noise of single answers (s)"
    statistics = ("means by group", "tails", "spread by group")
    continuous = True
    pymc = pm.Logistic

    def default_priors(self, y: Floats) -> dict[str, str]:
        """Wide."""
        return {"s": f"HalfNormal({float(np.std(y))!r})"}

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """That of SciPy."""
        return np.asarray(stats.logistic.logpdf(y, self.mean(eta, parameters), parameters["s"]))

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """By the mean: ``(2 p - 1) / s`` and ``-2 p (1 - p) / s^2``, p = F(y)."""
        s = parameters["s"]
        p = special.expit((y - self.mean(eta, parameters)) / s)
        return self.by_eta((2 * p - 1) / s, -2 * p * (1 - p) / s**2, eta)

    def simulate(self, rng: np.random.Generator, eta: Floats, parameters: Parameters) -> Floats:
        """Real numbers."""
        return rng.logistic(self.mean(eta, parameters), parameters["s"])


@pytest.fixture(scope="module", autouse=True)
def registered():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, "logistic", Logistic)
        yield


@pytest.fixture(scope="module")
def fit(registered):
    rng = np.random.default_rng(1)
    race = np.tile(["x", "y"], 120)
    annotator = np.repeat(np.arange(24).astype(str), 10)
    mean = 0.8 * (race == "y") + 0.5 * rng.standard_normal(24)[annotator.astype(int)]
    rows = pd.DataFrame({"score": rng.logistic(mean, 0.4), "race": race, "annotator": annotator})
    return cb.fit(
        "score ~ race + (1|annotator)", rows, family="logistic", method="nuts", random_seed=2
    )


def test_the_truth_is_recovered(fit):
    assert mixed(fit)
    found = cb.effects(fit, "race")["effect"].sel(race="y")
    assert found.mean() == pytest.approx(0.8, abs=0.3)
    row = cb.summary(fit).loc["s"]
    assert row["kind"] == "further"
    assert row["lower"] < 0.4 < row["upper"]


def test_predictions_are_means_and_log_likelihoods_scipys(fit):
    found = cb.predictions(fit, by="race", population="typical")["prediction"]
    np.testing.assert_allclose(found.sel(race="x"), fit["posterior"]["Intercept"])
    known = cb.model_checks.with_log_likelihood(fit)["log_likelihood"]["score"]
    first = fit["constant_data"].to_dataset().isel(__obs__=0)
    effect = fit["posterior"]["1|annotator"].sel(annotator__factor_dim="0", drop=True)
    mean = fit["posterior"]["Intercept"] + effect
    wanted = stats.logistic.logpdf(first["score"].item(), mean, fit["posterior"]["s"])
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
    prior = cb.prior_predictive("score ~ race", rows, family="logistic", draws=50)
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
    options = {"family": "logistic", "method": "nuts", "draws": 50, "tune": 50, "chains": 1}
    with pytest.raises(cb.DataError, match="reaches below zero"):
        cb.fit("score ~ race", rows, priors={"s": "Uniform(-1, 1)"}, **options)
    with pytest.raises(cb.DataError, match="every fit has something of this name"):
        cb.fit("score ~ s", rows.assign(s=np.arange(len(rows))), **options)


def test_what_needs_another_family_is_refused(fit):
    with pytest.raises(cb.DataError, match="logistic model with link identity has no scale 'FMR'"):
        cb.effects(fit, "race", scale="FMR", threshold=0.5)
    with pytest.raises(cb.DataError, match="too slow to simulate from"):
        cb.design.power(fit, "race", over="annotator", sizes=[10])
    with pytest.raises(cb.DataError, match="the laplace engine declines"):
        cb.fit(
            "score ~ race",
            fit["constant_data"].to_dataset().to_dataframe(),
            family="logistic",
            method="laplace",
        )
