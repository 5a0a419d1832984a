"""Densities of single rows by SciPy, and problems of them."""

import numpy as np
from scipy import special, stats

from causalbias.inference.problem import FloatArray

# Of each family: its response and trials at random, and two values of its parameters.
PARAMETERS = {
    "t": ((0.6, 3.0), (2.0, 40.0)),
    "gamma": ((0.7,), (12.0,)),
    "beta": ((1.5,), (40.0,)),
    "skew_normal": ((0.8, -3.0), (1.5, 0.5)),
    "negativebinomial": ((0.4,), (9.0,)),
    "poisson": ((), ()),
    "beta_binomial": ((1.2,), (30.0,)),
    "exgaussian": ((0.4, 1.5), (1.5, 0.3)),
}
TRIALS = 7


def responses(family: str, n: int, rng: np.random.Generator) -> FloatArray:
    """Some responses (n,) of the family."""
    if family in ("t", "skew_normal", "exgaussian"):
        return rng.standard_t(3, n)
    if family == "gamma":
        return rng.gamma(2.0, 1.0, n)
    if family == "beta":
        return rng.beta(2.0, 3.0, n)
    if family == "beta_binomial":
        return rng.integers(0, TRIALS + 1, n).astype(float)
    return rng.poisson(3.0, n).astype(float)


def log_density(family: str, y: FloatArray, eta: FloatArray, phi: tuple) -> FloatArray:
    """By SciPy."""
    if family == "t":
        return stats.t.logpdf(y, phi[1], eta, phi[0])
    if family == "gamma":
        return stats.gamma.logpdf(y, phi[0], scale=np.exp(eta) / phi[0])
    if family == "skew_normal":
        shift = phi[1] / np.sqrt(1 + phi[1] ** 2) * np.sqrt(2 / np.pi)
        omega = phi[0] / np.sqrt(1 - shift**2)
        z = (y - eta) / omega + shift  # SciPy's own is not a number far out
        return np.log(2 / omega) + stats.norm.logpdf(z) + special.log_ndtr(phi[1] * z)
    if family == "exgaussian":
        return stats.exponnorm.logpdf(y, phi[1] / phi[0], eta, phi[0])
    if family == "negativebinomial":
        return stats.nbinom.logpmf(y, phi[0], phi[0] / (phi[0] + np.exp(eta)))
    if family == "poisson":
        return stats.poisson.logpmf(y, np.exp(eta))
    a, b = phi[0] * special.expit(eta), phi[0] * special.expit(-eta)
    if family == "beta":
        return stats.beta.logpdf(y, a, b)
    return stats.betabinom.logpmf(y, TRIALS, a, b)


# Of rows with limits: values of the parameters, and what is known of rows: low, high, lb, ub.
LIMITED_PARAMETERS = {
    "gaussian": ((0.7,), (2.0,)),
    "lognormal": ((0.7,), (2.0,)),
    "t": ((0.6, 3.0), (2.0, 40.0)),
}
_INF = np.inf
LIMITS = (
    (0.4, 0.4, -_INF, _INF),
    (0.2, _INF, -_INF, _INF),
    (-_INF, 0.3, -_INF, _INF),
    (2.0, 2.5, -_INF, _INF),
    (0.4, 0.4, -_INF, 1.1),
    (0.4, 0.4, -0.5, _INF),
    (0.4, 0.4, -0.5, 0.6),
    (0.2, 1.1, -_INF, 1.1),
    (-0.5, 0.1, -0.5, 0.6),
    (0.1, 0.2, -0.5, 0.6),
    (0.1, 0.1001, -0.5, 0.6),
)


def limited_log_density(
    family: str, known: tuple[float, ...], eta: FloatArray, phi: tuple
) -> FloatArray:
    """By SciPy, of a row with limits; of a lognormal response that of its logarithm."""
    law = stats.t(phi[1], eta, phi[0]) if family == "t" else stats.norm(eta, phi[0])

    def log_mass(low: float, high: float) -> FloatArray:
        near = law.cdf(low) < 0.5  # of whichever tail is small
        with np.errstate(divide="ignore"):
            large = np.where(near, law.logcdf(high), law.logsf(low))
            small = np.where(near, law.logcdf(low), law.logsf(high))
            return np.asarray(large + np.log(-np.expm1(small - large)))

    low, high, lb, ub = known
    own = law.logpdf(low) if low == high else log_mass(low, high)
    return np.asarray(own - log_mass(lb, ub))
