"""Real numbers with heavy-tailed noise."""

from typing import Any

import numpy as np
import pymc as pm
from scipy import special, stats

from causalbias.models.families.base import SIGNS, Floats, Parameters
from causalbias.models.families.continuous import Continuous


class T(Continuous):
    """y is mu plus sigma times noise of Student's t with nu degrees of freedom.

    mu is the median, and the mean where nu is above one.
    """

    name = "t"
    parameters = ("sigma", "nu")
    noise = "the noise of single responses (sigma, nu)"
    engines = ("laplace",)
    has_tails = True

    def sizes(self, y: Floats) -> dict[str, float]:
        """The standard deviation of the response."""
        return {"sigma": float(np.std(y))}

    def default_priors(self, y: Floats) -> dict[str, str]:
        """Sigma as of a Gaussian model; nu after Juarez and Steel 2010, as in brms."""
        return {"sigma": f"HalfStudentT(4, {self.sizes(y)['sigma']!r})", "nu": "Gamma(2, 0.1)"}

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``log t_nu((y - mu) / sigma) - log(sigma)``."""
        mean = self.mean(eta, parameters)
        return np.asarray(stats.t.logpdf(y, parameters["nu"], mean, parameters["sigma"]))

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """By mu, with r = (y - mu) / sigma and v = nu + r^2.

        ``(nu + 1) r / (sigma v)`` and ``(nu + 1) (r^2 - nu) / (sigma v)^2``.
        """
        sigma, nu = parameters["sigma"], parameters["nu"]
        r = (y - self.mean(eta, parameters)) / sigma
        v = nu + r**2
        return self.by_eta(
            (nu + 1) * r / (sigma * v), (nu + 1) * (r**2 - nu) / (sigma * v) ** 2, eta
        )

    def cdf(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``T_nu((y - mu) / sigma)``."""
        r = (y - self.mean(eta, parameters)) / parameters["sigma"]
        return np.asarray(special.stdtr(parameters["nu"], r))

    def log_tail(self, y: Floats, eta: Floats, parameters: Parameters, side: str) -> Floats:
        """``log T_nu(r)`` and ``log T_nu(-r)``, r = (y - mu) / sigma."""
        r = (y - self.mean(eta, parameters)) / parameters["sigma"]
        return np.asarray(stats.t.logcdf(SIGNS[side] * r, parameters["nu"]))

    def tail_quantile(
        self, log_p: Floats, eta: Floats, parameters: Parameters, side: str
    ) -> Floats:
        """The median plus sigma times Student's quantile."""
        r = SIGNS[side] * special.stdtrit(parameters["nu"], np.exp(log_p))
        return np.asarray(self.mean(eta, parameters) + parameters["sigma"] * r)

    def pymc_tail(self, y: Any, parameters: list[Any], side: str) -> Any:
        """By PyMC's nu, mu and sigma; the upper tail as the lower one of its mirror image."""
        nu, mean, sigma = parameters
        sign = SIGNS[side]
        return pm.logcdf(pm.StudentT.dist(nu=nu, mu=sign * mean, sigma=sigma), sign * y)

    def simulate(self, rng: np.random.Generator, eta: Floats, parameters: Parameters) -> Floats:
        """The median plus scaled noise."""
        mean = self.mean(eta, parameters)
        return mean + parameters["sigma"] * rng.standard_t(parameters["nu"], mean.shape)
