"""Positive numbers such as times of answers: the first passage of a random walk with drift."""

import numpy as np
from scipy import special

from causalbias.models.families.base import Floats, Parameters
from causalbias.models.families.continuous import Positive


class Wald(Positive):
    """y is inverse Gaussian of mean mu and variance ``mu^3 / lam``."""

    name = "wald"
    parameters = ("lam",)
    noise = "the noise of single responses (lam)"

    def sizes(self, y: Floats) -> dict[str, float]:
        """The cubed mean over the variance, in the unit of the response."""
        return {"lam": float(np.mean(y) ** 3 / np.var(y))}

    def default_priors(self, y: Floats) -> dict[str, str]:
        """Lam of that size, or any other."""
        return {"lam": f"HalfCauchy({self.sizes(y)['lam']!r})"}

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``log(lam / (2 pi y^3)) / 2 - lam (y - mu)^2 / (2 mu^2 y)``."""
        mean, lam = self.mean(eta, parameters), parameters["lam"]
        square = lam * (y - mean) ** 2 / (2 * mean**2 * y)
        return np.asarray(0.5 * np.log(lam / (2 * np.pi)) - 1.5 * np.log(y) - square)

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """By the mean: ``lam (y - mu) / mu^3`` and ``lam (2 mu - 3 y) / mu^4``."""
        mean, lam = self.mean(eta, parameters), parameters["lam"]
        return self.by_eta(lam * (y - mean) / mean**3, lam * (2 * mean - 3 * y) / mean**4, eta)

    def cdf(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``Phi(r (y / mu - 1)) + exp(2 lam / mu) Phi(-r (y / mu + 1))``, ``r = sqrt(lam / y)``."""
        mean, lam = self.mean(eta, parameters), parameters["lam"]
        at = np.maximum(y, 1e-300)
        root = np.sqrt(lam / at)
        second = np.exp(2 * lam / mean + special.log_ndtr(-root * (at / mean + 1)))
        return np.where(y > 0, special.ndtr(root * (at / mean - 1)) + second, 0.0)

    def simulate(self, rng: np.random.Generator, eta: Floats, parameters: Parameters) -> Floats:
        """Positive numbers."""
        return rng.wald(self.mean(eta, parameters), parameters["lam"])
