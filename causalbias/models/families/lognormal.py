"""Positive numbers whose logarithm is normal."""

from typing import Any, ClassVar

import numpy as np
import pytensor.tensor as pt
from scipy import special

from causalbias.models.families.base import SIGNS, Floats, Parameters
from causalbias.models.families.continuous import Positive, normal_tail


class LogNormal(Positive):
    """log(y) is normal about eta with standard deviation sigma.

    eta is the mean of the logarithm, so that exp(eta) is the median of y; the mean of y is
    ``exp(eta + sigma^2 / 2)``. Default priors are those of a Gaussian model of log(y).
    """

    name = "lognormal"
    links = ("identity",)
    parameters: ClassVar[tuple[str, ...]] = ("sigma",)
    noise = "sigma"
    engines: ClassVar[tuple[str, ...]] = ("collapsed",)
    mean_by_parameters = True
    has_tails = True

    @property
    def scales(self) -> tuple[str, ...]:
        """With the latent scale, on which the noise of the logarithm is one."""
        return ("response", "link", "latent", "FMR", "FNMR")

    def beside(self, y: Floats, offset: Floats) -> Floats:
        """The quotient by the offset's exponential: the offset is of the logarithm."""
        return y * np.exp(-offset)

    def units(self, y: Floats) -> tuple[float, float]:
        """Mean and standard deviation of the logarithm."""
        return float(np.mean(np.log(y))), float(np.std(np.log(y)))

    def sizes(self, y: Floats) -> dict[str, float]:
        """The standard deviation of the logarithm."""
        return {"sigma": self.units(y)[1]}

    def default_priors(self, y: Floats) -> dict[str, str]:
        """Sigma as of a Gaussian model of the logarithm."""
        return {"sigma": f"HalfStudentT(4, {self.sizes(y)['sigma']!r})"}

    def normal_response(self, y: Floats) -> Floats:
        """The logarithm."""
        return np.asarray(np.log(y))

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``-log(y) - log(sigma) - log(2 pi) / 2 - (log(y) - eta)^2 / (2 sigma^2)``."""
        sigma = parameters["sigma"]
        r = (np.log(y) - eta) / sigma
        return np.asarray(-np.log(y) - np.log(sigma) - 0.5 * np.log(2 * np.pi) - 0.5 * r**2)

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """``(log(y) - eta) / sigma^2`` and ``-1 / sigma^2``."""
        variance = np.square(parameters["sigma"])
        first = (np.log(y) - eta) / variance
        return first, np.broadcast_to(-1 / variance, first.shape)

    def mean(self, eta: Floats, parameters: Parameters) -> Floats:
        """``exp(eta + sigma^2 / 2)``."""
        return np.asarray(np.exp(eta + 0.5 * np.square(parameters["sigma"])))

    def cdf(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``Phi((log(y) - eta) / sigma)``, zero at and below zero."""
        with np.errstate(divide="ignore"):
            z = (np.log(np.maximum(y, 0.0)) - eta) / parameters["sigma"]
        return np.asarray(special.ndtr(z))

    def log_tail(self, y: Floats, eta: Floats, parameters: Parameters, side: str) -> Floats:
        """``log Phi(r)`` and ``log Phi(-r)``, r = (log(y) - eta) / sigma."""
        return np.asarray(special.log_ndtr(SIGNS[side] * self.residual(y, eta, parameters)))

    def tail_quantile(
        self, log_p: Floats, eta: Floats, parameters: Parameters, side: str
    ) -> Floats:
        """``exp(eta + sigma z)`` with z the normal quantile."""
        z = SIGNS[side] * special.ndtri_exp(log_p)
        return np.asarray(np.exp(eta + parameters["sigma"] * z))

    def pymc_tail(self, y: Any, parameters: list[Any], side: str) -> Any:
        """By PyMC's mu and sigma."""
        mean, sigma = parameters
        return normal_tail(pt.log(y), mean, sigma, side)

    def residual(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """Of the logarithm, in units of sigma."""
        return np.asarray((np.log(y) - eta) / parameters["sigma"])

    def simulate(self, rng: np.random.Generator, eta: Floats, parameters: Parameters) -> Floats:
        """Positive numbers."""
        return np.exp(eta + parameters["sigma"] * rng.standard_normal(eta.shape))

    def latent_sd(self, parameters: Parameters, draws: int) -> Floats:
        """Sigma, the standard deviation of the logarithm."""
        return np.asarray(parameters["sigma"]).ravel()
