"""Densities and distribution functions of the families are those of SciPy."""

import numpy as np
import pytest
from scipy import stats

from causalbias.models.families import family_named

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
}


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
    by_row = {key: np.hstack([one, 1.1 * one, 1.2 * one]) for key, one in parameters.items()}
    whole = family.log_likelihood(Y[:3], ETA[:, :3], by_row)
    for i in range(3):
        own = {key: one[:, [i]] for key, one in by_row.items()}
        at = Y[[i]], ETA[:, [i]], own
        np.testing.assert_allclose(whole[:, [i]], family.log_likelihood(*at))
        for method in (family.cdf, family.residual):
            together = method(Y[:3], ETA[:, :3], by_row)
            np.testing.assert_allclose(together[:, [i]], method(*at))
    drawn = family.simulate(np.random.default_rng(0), ETA[:, :3], by_row)
    assert drawn.shape == (2, 3)
