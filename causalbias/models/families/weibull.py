"""Positive numbers such as times to an event whose risk rises or falls."""

import numpy as np
from scipy import special

from causalbias.models.families.base import Floats, Parameters
from causalbias.models.families.continuous import Positive


class Weibull(Positive):
    """y is of mean mu and shape alpha: (y / beta)^alpha is exponential of mean one."""

    name = "weibull"
    parameters = ("alpha",)
    noise = "the noise of single responses (alpha)"

    def sizes(self, y: Floats) -> dict[str, float]:
        """About the mean over the standard deviation."""
        return {"alpha": float(np.mean(y) / np.std(y))}

    def default_priors(self, y: Floats) -> dict[str, str]:
        """Alpha of that size, or any other."""
        return {"alpha": f"HalfCauchy({self.sizes(y)['alpha']!r})"}

    def _scaled(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """``(y / beta)^alpha`` and beta."""
        alpha = parameters["alpha"]
        scale = self.mean(eta, parameters) * np.exp(-special.gammaln(1 + 1 / alpha))
        return (np.maximum(y, 0.0) / scale) ** alpha, scale

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``log(alpha / beta) + (alpha - 1) log(y / beta) - u``, ``u = (y / beta)^alpha``.

        ``beta = mu / Gamma(1 + 1 / alpha)``.
        """
        alpha, (u, scale) = parameters["alpha"], self._scaled(y, eta, parameters)
        return np.asarray(np.log(alpha / scale) + (alpha - 1) * np.log(y / scale) - u)

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """By the mean: ``alpha (u - 1) / mu`` and ``alpha (1 - u - alpha u) / mu^2``."""
        alpha, (u, _) = parameters["alpha"], self._scaled(y, eta, parameters)
        mean = self.mean(eta, parameters)
        return self.by_eta(alpha * (u - 1) / mean, alpha * (1 - u - alpha * u) / mean**2, eta)

    def cdf(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``1 - exp(-u)``."""
        return np.asarray(-np.expm1(-self._scaled(y, eta, parameters)[0]))

    def simulate(self, rng: np.random.Generator, eta: Floats, parameters: Parameters) -> Floats:
        """Positive numbers."""
        alpha, noise = parameters["alpha"], np.log(rng.standard_exponential(eta.shape))
        scale = np.log(self.mean(eta, parameters)) - special.gammaln(1 + 1 / alpha)
        with np.errstate(over="ignore"):  # where a prior allows shapes near zero
            return np.exp(scale + noise / alpha)
