"""Densities and distribution functions of the families are those of SciPy."""

import numpy as np
import pytest
from scipy import special, stats

from causalbias.models.families import FAMILIES, family_named

Y = np.array([0.05, 0.4, 0.9, 2.5, 7.0])
ETA = np.array([[0.3, 0.5, 1.1, 0.7, 1.9], [0.1, 0.9, 0.2, 1.3, 2.2]])
A, B = np.array([[1.3], [3.0]]), np.array([[4.0], [0.8]])


def skewed(mean, sd, alpha):
    """SciPy's skew-normal of a mean and a standard deviation."""
    unit = stats.skewnorm(alpha)
    scale = sd / unit.std()
    return stats.skewnorm(alpha, mean - scale * unit.mean(), scale)


KNOWN = {
    "gaussian": ({"sigma": A}, stats.norm(ETA, A)),
    "t": ({"sigma": A, "nu": B}, stats.t(B, ETA, A)),
    "skew_normal": ({"sigma": A, "alpha": 2 - B}, skewed(ETA, A, 2 - B)),
    "lognormal": ({"sigma": A}, stats.lognorm(A, scale=np.exp(ETA))),
    "gamma": ({"alpha": A}, stats.gamma(A, scale=np.exp(ETA) / A)),
    "exponential": ({}, stats.expon(scale=np.exp(ETA))),
    "weibull": ({"alpha": A}, stats.weibull_min(A, scale=np.exp(ETA) / special.gamma(1 + 1 / A))),
    "wald": ({"lam": A}, stats.invgauss(np.exp(ETA) / A, scale=A)),
    "laplace": ({"b": A}, stats.laplace(ETA, A)),
    "asymmetriclaplace": (
        {"b": A, "kappa": B},
        stats.laplace_asymmetric(B, ETA, 1 / A),
    ),
    "exgaussian": ({"sigma": A, "nu": B}, stats.exponnorm(B / A, ETA, A)),
}
COUNTS = np.array([0.0, 1.0, 2.0, 5.0, 9.0])
MEAN, TRIALS, PSI = np.exp(ETA), np.full(5, 9.0), np.array([[0.6], [0.9]])
NEGATIVE = stats.nbinom(B, B / (B + MEAN))
KNOWN_COUNTS = {
    "poisson": ({}, stats.poisson(MEAN)),
    "negativebinomial": ({"alpha": B}, NEGATIVE),
    "beta_binomial": (
        {"kappa": B, "trials": TRIALS},
        stats.betabinom(9, B * special.expit(ETA), B * special.expit(-ETA)),
    ),
}


@pytest.mark.parametrize("name", KNOWN_COUNTS)
def test_probability_mean_and_variance_of_counts_are_scipys(name):
    family, (parameters, known) = family_named(name), KNOWN_COUNTS[name]
    found = family.log_likelihood(COUNTS, ETA, parameters)
    np.testing.assert_allclose(found, known.logpmf(COUNTS), rtol=1e-9)
    standardised = (COUNTS - known.mean()) / known.std()
    np.testing.assert_allclose(family.residual(COUNTS, ETA, parameters), standardised, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "more", "known"),
    [
        ("poisson", {}, stats.poisson(MEAN)),
        ("negativebinomial", {"alpha": B}, NEGATIVE),
        ("binomial", {"trials": TRIALS}, stats.binom(9, special.expit(ETA))),
    ],
)
def test_zeros_are_those_of_two_sources_or_of_one(name, more, known):
    parameters, zero = more | {"psi": PSI}, COUNTS == 0
    found = family_named(f"zero_inflated_{name}").log_likelihood(COUNTS, ETA, parameters)
    np.testing.assert_allclose(np.exp(found), PSI * known.pmf(COUNTS) + (1 - PSI) * zero, rtol=1e-9)
    if name == "binomial":
        return
    found = family_named(f"hurdle_{name}").log_likelihood(COUNTS, ETA, parameters)
    wanted = np.where(zero, 1 - PSI, PSI * known.pmf(COUNTS) / known.sf(0))
    np.testing.assert_allclose(np.exp(found), wanted, rtol=1e-9)


@pytest.mark.parametrize("name", [n for n in FAMILIES if "hurdle" in n or "inflated" in n])
def test_residuals_with_more_zeros_have_mean_zero_and_variance_one(name):
    """Of many simulated responses, within five standard errors."""
    family, rng = family_named(name), np.random.default_rng(5)
    own = {"alpha": 6 + A, "sigma": A / 4, "psi": PSI, "kappa": B, "zoi": PSI / 3, "coi": PSI}
    eta = np.repeat(ETA[:, :1], 40_000, axis=1)
    parameters = {key: own[key] for key in family.parameters} | {"trials": np.full(40_000, 9.0)}
    y = family.simulate(rng, eta, parameters)
    residual = family.residual(y, eta, parameters)
    error = residual.std(axis=1) / 200
    assert (np.abs(residual.mean(axis=1)) < 5 * error).all()
    spread = (residual**2).std(axis=1) / 200
    assert (np.abs((residual**2).mean(axis=1) - 1) < 5 * spread).all()


def test_positive_counts_of_a_rate_near_zero_are_one():
    family = family_named("hurdle_negativebinomial")
    parameters = {"alpha": np.ones((1, 1)), "psi": np.ones((1, 1))}
    for eta in (-20.0, -100.0):
        drawn = family.simulate(np.random.default_rng(0), np.full((1, 50), eta), parameters)
        assert (drawn == 1).all()
        assert family.mean(np.full((1, 1), eta), parameters).item() == pytest.approx(1)


@pytest.mark.parametrize("name", KNOWN)
def test_density_distribution_function_and_mean_are_scipys(name):
    family, (parameters, known) = family_named(name), KNOWN[name]
    density = family.log_likelihood(Y, ETA, parameters)
    np.testing.assert_allclose(density, known.logpdf(Y), rtol=1e-9)
    np.testing.assert_allclose(family.cdf(Y, ETA, parameters), known.cdf(Y), rtol=1e-9)
    mean = np.broadcast_to(known.mean(), ETA.shape)
    finite = np.isfinite(mean)  # of t, where nu is above one
    np.testing.assert_allclose(family.mean(ETA, parameters)[finite], mean[finite], rtol=1e-9)


@pytest.mark.parametrize("name", KNOWN)
def test_parameters_may_differ_by_row(name):
    family, (parameters, _) = family_named(name), KNOWN[name]
    eta = ETA[:, :3]
    by_row = {key: np.hstack([one, 1.1 * one, 1.2 * one]) for key, one in parameters.items()}
    whole = family.log_likelihood(Y[:3], eta, by_row)
    for i in range(3):
        own = {key: one[:, [i]] for key, one in by_row.items()}
        at = Y[[i]], eta[:, [i]], own
        np.testing.assert_allclose(whole[:, [i]], family.log_likelihood(*at))
        for method in (family.cdf, family.residual):
            together = method(Y[:3], eta, by_row)
            np.testing.assert_allclose(together[:, [i]], method(*at))
    drawn = family.simulate(np.random.default_rng(0), eta, by_row)
    assert drawn.shape == (2, 3)


@pytest.mark.parametrize("name", [n for n in FAMILIES if "hurdle" in n or "inflated" in n])
def test_no_engine_of_the_family_without_zeros_takes_it_with_them(name):
    assert family_named(name).engines == ()
