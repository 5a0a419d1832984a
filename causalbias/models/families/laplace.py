"""Real numbers with heavy-tailed noise about their median."""

import numpy as np

from causalbias.models.families.base import Floats, Parameters
from causalbias.models.families.continuous import Continuous


class Laplace(Continuous):
    """y has density ``exp(-|y - mu| / b) / (2 b)`` about its mean and median mu."""

    name = "laplace"
    parameters = ("b",)
    noise = "the noise of single responses (b)"

    def sizes(self, y: Floats) -> dict[str, float]:
        """The standard deviation of the response over the root of two."""
        return {"b": float(np.std(y)) / 2**0.5}

    def default_priors(self, y: Floats) -> dict[str, str]:
        """B of that size."""
        return {"b": f"HalfStudentT(4, {self.sizes(y)['b']!r})"}

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``-log(2 b) - |y - mu| / b``."""
        b = parameters["b"]
        return np.asarray(-np.log(2 * b) - np.abs(y - self.mean(eta, parameters)) / b)

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """By the mean: ``sign(y - mu) / b`` and, but for y = mu, zero."""
        away = y - self.mean(eta, parameters)
        return self.by_eta(np.sign(away) / parameters["b"], np.zeros_like(away), eta)

    def cdf(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``exp(r) / 2`` below the median and ``1 - exp(-r) / 2`` above, r = (y - mu) / b."""
        r = (y - self.mean(eta, parameters)) / parameters["b"]
        tail = 0.5 * np.exp(-np.abs(r))
        return np.where(r < 0, tail, 1 - tail)

    def simulate(self, rng: np.random.Generator, eta: Floats, parameters: Parameters) -> Floats:
        """Real numbers."""
        return rng.laplace(self.mean(eta, parameters), parameters["b"])
