"""Rows with weights on scales that are not linear: each row's noise is that of its own weight."""

import numpy as np
import pandas as pd
import pytest
from scipy import special

import causalbias as cb


@pytest.fixture(scope="module")
def rows():
    """Women's rows have weight 16, men's 16 or 1, in the ratio of one to two."""
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"sex": np.repeat(["f", "m"], 600)})
    frame["w"] = np.where((frame["sex"] == "f") | (np.arange(len(frame)) % 3 == 0), 16.0, 1.0)
    frame["seed"] = [f"s{at % 24:02d}" for at in range(len(frame))]
    frame["logged"] = rng.normal(0, 0.8 / np.sqrt(frame["w"]))
    return frame.assign(dist=np.exp(frame["logged"]))


def draws_of(fit, name):
    return fit["posterior"][name].values.ravel()


@pytest.mark.parametrize("formula", ["log(dist) ~ sex", "log(dist) ~ sex + (1|seed)"])
def test_predictions_agree_with_new_data_and_with_the_means_of_the_rows(rows, formula):
    fit = cb.fit(formula, rows, weights="w", draws=500)
    found = cb.predictions(fit, "sex", population="these")["prediction"].mean(("chain", "draw"))
    again = next(
        iter(cb.model_checks.with_predictive(fit)["posterior_predictive"].data_vars.values())
    )
    again = again.mean(("chain", "draw")).values
    for sex in "fm":
        own = (rows["sex"] == sex).to_numpy()
        assert float(found.sel(sex=sex)) == pytest.approx(again[own].mean(), rel=0.01)
        assert float(found.sel(sex=sex)) == pytest.approx(rows["dist"][own].mean(), rel=0.08)


@pytest.mark.parametrize("scale", ["FMR", "FNMR"])
@pytest.mark.parametrize("response", ["logged", "log(dist)"])
def test_error_rates_are_averages_of_rows_each_with_its_own_noise(rows, response, scale):
    threshold = 0.4 if response == "logged" else np.exp(0.4)
    fit = cb.fit(f"{response} ~ sex", rows, weights="w", draws=300)
    found = cb.predictions(fit, "sex", scale=scale, threshold=threshold)["prediction"]
    mean = draws_of(fit, "Intercept") + draws_of(fit, "sex")
    sigma = draws_of(fit, "sigma")
    below = [special.ndtr((0.4 - mean) / (sigma / np.sqrt(w))) for w in (16.0, 1.0)]
    expected = below[0] / 3 + below[1] * 2 / 3
    expected = expected if scale == "FMR" else 1 - expected
    np.testing.assert_allclose(found.sel(sex="m").values.ravel(), expected, atol=1e-9)


def test_weights_of_one_change_nothing(rows):
    frame = rows.assign(w=1.0)
    plain, weighed = (
        cb.fit("log(dist) ~ sex + (1|seed)", frame, weights=name, draws=200) for name in (None, "w")
    )
    one, other = (cb.predictions(fit, "sex")["prediction"] for fit in (plain, weighed))
    np.testing.assert_allclose(one, other, rtol=1e-9)


def test_separation_takes_the_mean_variance_of_the_rows_of_a_cell(rows):
    frame = rows.assign(same_identity=rows["sex"] == "f")
    fit = cb.fit("logged ~ same_identity", frame, weights="w", draws=200)
    found = cb.discriminability(fit)["d_prime"].values.ravel()
    sigma, slope = draws_of(fit, "sigma"), draws_of(fit, "same_identity")
    variances = sigma**2 / 16, sigma**2 * (1 / 16 + 2) / 3
    np.testing.assert_allclose(abs(found), abs(slope) / np.sqrt(sum(variances) / 2), rtol=1e-9)
