"""Positive numbers such as waiting times."""

import numpy as np

from causalbias.models.families.base import Floats, Parameters
from causalbias.models.families.continuous import Positive


class Exponential(Positive):
    """y is exponential of mean mu, which is its standard deviation, too."""

    name = "exponential"
    noise = "the noise of single responses"

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``-log(mu) - y / mu``."""
        mean = self.mean(eta, parameters)
        return np.asarray(-np.log(mean) - y / mean)

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """By the mean: ``(y - mu) / mu^2`` and ``(mu - 2 y) / mu^3``."""
        mean = self.mean(eta, parameters)
        return self.by_eta((y - mean) / mean**2, (mean - 2 * y) / mean**3, eta)

    def cdf(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``1 - exp(-y / mu)``."""
        return np.asarray(-np.expm1(-np.maximum(y, 0.0) / self.mean(eta, parameters)))

    def simulate(self, rng: np.random.Generator, eta: Floats, parameters: Parameters) -> Floats:
        """Positive numbers."""
        return rng.exponential(self.mean(eta, parameters))
