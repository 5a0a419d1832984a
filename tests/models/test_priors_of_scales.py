"""Priors of standard deviations: over positive numbers, and said so."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalbias as cb
from causalbias.errors import DataError
from causalbias.models.priors import log_density, parse_prior, scaled_prior


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(24), 10)
    x = rng.normal(size=240)
    y = 0.5 * x + rng.normal(0, 0.5, 24)[g] + rng.normal(0, 0.6, 240)
    return pd.DataFrame({"y": y, "x": x, "g": g})


@pytest.mark.parametrize(
    ("given", "half"),
    [
        ("Normal(0, 1)", "HalfNormal(1)"),
        ("StudentT(3, 0, 2.5)", "HalfStudentT(3, 2.5)"),
        ("Cauchy(0, 1)", "HalfCauchy(1)"),
    ],
)
@pytest.mark.parametrize("term", ["1|g", "sigma"])
def test_what_is_symmetric_is_read_as_its_half(rows, given, half, term):
    first, second = (
        cb.fit("y ~ x + (1|g)", rows, priors={term: text}, draws=100) for text in (given, half)
    )
    assert first["posterior"].to_dataset().equals(second["posterior"].to_dataset())
    assert float(first["posterior"]["1|g_sigma"].min()) > 0
    assert f"{term} ~ {given}, its positive half: {half}" in repr(first)


@pytest.mark.parametrize(
    "given",
    [
        "Normal(1, 1)",
        "StudentT(3, 1, 2)",
        "Cauchy(-1, 1)",
        "Uniform(-1, 1)",
        "Flat()",
        "HalfFlat()",
        "Laplace(0, 1)",
    ],
)
@pytest.mark.parametrize("term", ["1|g", "sigma"])
def test_what_reaches_below_zero_otherwise_is_refused(rows, given, term):
    with pytest.raises(DataError, match=r"positive|flat"):
        cb.fit("y ~ x + (1|g)", rows, priors={term: given})


@pytest.mark.parametrize(
    "text",
    [
        "HalfNormal(2)",
        "HalfStudentT(3, 2)",
        "HalfCauchy(2)",
        "Exponential(0.5)",
        "Gamma(2, 3)",
        "InverseGamma(3, 2)",
        "LogNormal(0.3, 0.7)",
        "Uniform(1, 4)",
    ],
)
def test_a_scaled_prior_is_that_of_the_scaled_number(text):
    prior = parse_prior(text, "sigma", positive=True)
    at, factor = np.array([1.3, 2.2, 3.1]), 2.5
    expected = log_density(prior, "sigma")(at) - np.log(factor)
    found = log_density(scaled_prior(prior, factor), "sigma")(at * factor)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_the_half_is_drawn_from(rows):
    drawn = cb.prior_predictive("y ~ x + (1|g)", rows, priors={"1|g": "Normal(0, 2)"}, draws=2000)
    values = drawn["prior"]["1|g_sigma"].values.ravel()
    assert stats.kstest(values, stats.halfnorm(scale=2).cdf).pvalue > 1e-3
