"""Families beside maximum likelihood by others: the likelihood, its maximum, and flat posteriors.

The numbers are of `responses` below, by `X = sm.add_constant(rows[["x", "race"]])` and statsmodels
0.15.0: `NegativeBinomial(y, X)` (its alpha is one over ours), `Poisson(y, X)`,
`ZeroInflatedPoisson(y, X)`, `BetaModel(y, X)`, `TLinearModel(y, X)`, `OrderedModel(y, X[:, 1:],
distr)` with "logit", "probit" and `scipy.stats.gumbel_l`, `GLM(y, X, family)` with `Binomial`, and
with `Gamma` and `InverseGaussian` with a log link, whose `loglike` was maximised over `scale`;
stopping ratios by the binomial `GLM` of a row for each category that was reached. SciPy 1.17.1,
`optimize.minimize` of the sum of `logpdf` or `logpmf`: `skewnorm`, `betabinom`, `vonmises` and
`weibull_min`. They need no statsmodels here.
"""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalbias as cb
from causalbias.models.families import family_named

# Of each family and link: the largest log likelihood; coefficients (Intercept, where there is one,
# x, race); parameters; standard errors of coefficients.
ESTIMATES = {
    ("t", "identity"): (
        -174.6652635,
        [0.4279619, 0.4968269, -0.3453538],
        {"sigma": [0.6035424], "nu": [4.190443]},
        [0.082194, 0.081896, 0.115924],
    ),
    ("skew_normal", "identity"): (
        -101.2982028,
        [1.0436935, 0.4995291, -0.3307879],
        {"sigma": [np.exp(-0.6709419)], "alpha": [4.6065424]},
        [0.05244, 0.046774, 0.065048],
    ),
    ("gamma", "log"): (
        -150.6951410,
        [0.4393723, 0.4846933, -0.3588089],
        {"alpha": [3.0548685]},
        [0.066071, 0.066037, 0.093437],
    ),
    ("wald", "log"): (
        -159.2102705,
        [0.4575726, 0.4671044, -0.392318],
        {"lam": [2.0512118]},
        [0.100971, 0.092424, 0.127882],
    ),
    ("weibull", "log"): (
        -156.9168020,
        [0.3452898, 0.4776327, -0.3710443],
        {"alpha": [np.exp(0.4123276)]},
        [0.077239, 0.075014, 0.108137],
    ),
    ("beta", "logit"): (
        47.5829899,
        [0.4515299, 0.4869803, -0.3723435],
        {"kappa": [np.exp(1.8038933)]},
        [0.088881, 0.088322, 0.124206],
    ),
    ("vonmises", "identity"): (
        -148.3799584,
        [0.4290271, 0.5007108, -0.3450635],
        {"kappa": [np.exp(1.1046716)]},
        [0.07412, 0.073972, 0.104377],
    ),
    ("poisson", "log"): (
        -275.9890207,
        [1.1417246, 0.4869693, -0.3442604],
        {},
        [0.065689, 0.071398, 0.098333],
    ),
    ("negativebinomial", "log"): (
        -315.3146484,
        [1.159659, 0.4716151, -0.3981902],
        {"alpha": [1 / 0.4913495]},
        [0.104392, 0.107878, 0.153464],
    ),
    ("zero_inflated_poisson", "log"): (
        -270.8536043,
        [1.1025401, 0.5274124, -0.3379166],
        {"psi": [1 / (1 + np.exp(-1.4066182))]},
        [0.080278, 0.08794, 0.118693],
    ),
    ("beta_binomial", "logit"): (
        -254.6170266,
        [0.4344969, 0.5381385, -0.3635082],
        {"kappa": [np.exp(1.8659962)]},
        [0.134602, 0.130885, 0.183674],
    ),
    ("binomial", "logit"): (
        -224.1672772,
        [0.4689547, 0.4915202, -0.4020259],
        {},
        [0.107677, 0.102033, 0.144026],
    ),
    ("binomial", "probit"): (
        -224.1605377,
        [0.2909602, 0.3056728, -0.2492378],
        {},
        [0.066311, 0.062999, 0.089145],
    ),
    ("binomial", "cloglog"): (
        -224.1649850,
        [-0.0586368, 0.3336433, -0.2671481],
        {},
        [0.069179, 0.0687, 0.096334],
    ),
    ("cumulative", "logit"): (
        -203.3135947,
        [0.5300157, -0.4597475],
        {"threshold": [-1.5087146, -0.285728, 0.9011388]},
        [0.212052, 0.29544],
    ),
    ("cumulative", "probit"): (
        -203.3891132,
        [0.313924, -0.2739464],
        {"threshold": [-0.9120124, -0.1713501, 0.5519134]},
        [0.125764, 0.176731],
    ),
    ("cumulative", "cloglog"): (
        -203.7295969,
        [0.3260814, -0.2757369],
        {"threshold": [-1.5189001, -0.5479836, 0.1975565]},
        [0.134796, 0.191812],
    ),
    ("sratio", "logit"): (
        -203.5135764,
        [0.4204815, -0.35773],
        {"threshold": [-1.4369284, -0.8451503, -0.0746352]},
        [0.170769, 0.240567],
    ),
    ("sratio", "probit"): (
        -203.4606419,
        [0.254944, -0.2173655],
        {"threshold": [-0.8750254, -0.5214593, -0.0453032]},
        [0.102377, 0.144618],
    ),
    ("sratio", "cloglog"): (
        -203.7295969,
        [0.3260814, -0.2757369],
        {"threshold": [-1.5189001, -1.0239824, -0.4458067]},
        [0.135717, 0.192079],
    ),
}


@cache
def responses(n: int = 150) -> pd.DataFrame:
    """Quantiles at evenly spread probabilities: no random numbers, so that others have the same."""
    at = np.arange(n)
    x, race = np.cos(1.7 * at).round(2), at % 2
    u = (0.5 + at * (np.sqrt(5) - 1) / 2) % 1
    eta = 0.4 + 0.5 * x - 0.3 * race
    share, rate, trials = 1 / (1 + np.exp(-eta)), np.exp(eta + 0.7), 3 + at % 6
    shapes = 6 * share, 6 * (1 - share)
    found = {
        "t": eta + 0.6 * stats.t.ppf(u, 4),
        "skew_normal": eta + 0.8 * stats.skewnorm.ppf(u, 4),
        "gamma": stats.gamma.ppf(u, 3, scale=np.exp(eta) / 3),
        "wald": stats.invgauss.ppf(u, np.exp(eta) / 2, scale=2),
        "weibull": stats.weibull_min.ppf(u, 1.5, scale=np.exp(eta)),
        "beta": stats.beta.ppf(u, *shapes),
        "vonmises": np.angle(np.exp(1j * (eta + stats.vonmises.ppf(u, 3)))),
        "poisson": stats.poisson.ppf(u, rate),
        "negativebinomial": stats.nbinom.ppf(u, 2, 2 / (2 + rate)),
        "zero_inflated_poisson": np.where(at % 5 == 2, 0, stats.poisson.ppf(u, rate)),
        "beta_binomial": stats.betabinom.ppf(u, trials, *shapes),
        "binomial": stats.binom.ppf(u, trials, share),
        "cumulative": np.digitize(eta + np.log(u / (1 - u)), [-1.0, 0.2, 1.4]),
    }
    found = {name: np.round(np.asarray(one, float), 3) for name, one in found.items()}
    return pd.DataFrame({"x": x, "race": race, "n": trials, **found, "sratio": found["cumulative"]})


@pytest.mark.parametrize(("name", "link"), ESTIMATES)
def test_the_likelihood_is_largest_where_others_find_it(name: str, link: str) -> None:
    known, coefficients, parameters, errors = ESTIMATES[name, link]
    family, rows = family_named(name, link), responses()
    design = np.column_stack([np.ones(len(rows)), rows["x"], rows["race"]])
    design = design[:, 3 - len(coefficients) :]
    names = list(parameters)
    sizes = np.cumsum([len(parameters[one]) for one in names])[:-1]
    further = np.concatenate([[], *parameters.values()])
    y, trials = rows[name].to_numpy(), rows["n"].to_numpy(float)

    def at(values: np.ndarray) -> dict:
        drawn = {one: part[None] for one, part in zip(names, np.split(values, sizes), strict=False)}
        return family.of_rows(drawn, trials=trials if family.has_trials else None)

    eta = (design @ coefficients)[None]
    assert family.log_likelihood(y, eta, at(further)).sum() == pytest.approx(known, abs=2e-6)
    slope = family.derivatives(y, eta, at(further))[0][0] @ design
    np.testing.assert_allclose(slope * errors, 0, atol=1e-3)  # in standard errors
    for step in 1e-4 * np.diag(further):
        sides = [family.log_likelihood(y, eta, at(further + s * step)).sum() for s in (1, -1)]
        # per relative change of the parameter
        assert (sides[0] - sides[1]) / 2e-4 == pytest.approx(0, abs=1e-2)


WIDE = {
    "sigma": "HalfNormal(50)",
    "nu": "Gamma(2, 0.1)",
    "alpha": "Gamma(1, 0.01)",
    "kappa": "Gamma(1, 0.01)",
    "threshold": "Normal(0, 50)",
}


@pytest.mark.parametrize(
    ("name", "link"),
    [one for one in ESTIMATES if "laplace" in family_named(one[0]).engines and one[1] != "cloglog"],
)
def test_a_posterior_of_flat_priors_is_about_the_maximum(name: str, link: str) -> None:
    """Of 1,500 effective draws a mean is known to 0.03 standard errors, an sd to 2%."""
    _, coefficients, parameters, errors = ESTIMATES[name, link]
    terms = ["Intercept", "x", "race"][3 - len(coefficients) :]
    priors = dict.fromkeys(terms, "Flat()") | {one: WIDE[one] for one in parameters}
    if name == "skew_normal":
        priors["alpha"] = "Normal(0, 20)"  # any real number
    response = f"p({name}, n)" if family_named(name).has_trials else name
    fit = cb.fit(
        f"{response} ~ x + race",
        responses(),
        family=name,
        link=link,
        priors=priors,
        method="laplace",
        draws=500,
        random_seed=3,
    )
    drawn = fit["posterior"].to_dataset()[terms].to_array().values.reshape(len(terms), -1)
    away = (drawn.mean(axis=1) - coefficients) / errors
    np.testing.assert_allclose(away, 0, atol=0.12)
    np.testing.assert_allclose(drawn.std(axis=1), errors, rtol=0.1)
