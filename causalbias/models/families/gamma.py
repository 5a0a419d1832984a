"""Positive numbers whose spread grows with their mean."""

from typing import Any, ClassVar

import numpy as np
import pytensor.tensor as pt
from scipy import special, stats

from causalbias.models.families.base import Floats, Parameters
from causalbias.models.families.continuous import Positive


class Gamma(Positive):
    """y is of mean mu and shape alpha: its standard deviation is mu / sqrt(alpha)."""

    name = "gamma"
    parameters: ClassVar[tuple[str, ...]] = ("alpha",)
    engines: ClassVar[tuple[str, ...]] = ("laplace",)
    noise = "the noise of single responses (alpha)"
    has_tails = True

    def sizes(self, y: Floats) -> dict[str, float]:
        """The squared mean over the variance."""
        return {"alpha": float(np.mean(y) ** 2 / np.var(y))}

    def default_priors(self, y: Floats) -> dict[str, str]:
        """Alpha of that size, or any other."""
        return {"alpha": f"HalfCauchy({self.sizes(y)['alpha']!r})"}

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``alpha log(alpha / mu) - log Gamma(alpha) + (alpha - 1) log(y) - alpha y / mu``."""
        mean, alpha = self.parent(eta), parameters["alpha"]
        whole = alpha * np.log(alpha / mean) - special.gammaln(alpha)
        return np.asarray(whole + (alpha - 1) * np.log(y) - alpha * y / mean)

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """By the mean: ``alpha (y - mu) / mu^2`` and ``alpha (mu - 2 y) / mu^3``."""
        mean, alpha = self.parent(eta), parameters["alpha"]
        return self.by_eta(alpha * (y - mean) / mean**2, alpha * (mean - 2 * y) / mean**3, eta)

    def cdf(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """The regularised incomplete gamma function of alpha at ``alpha y / mu``."""
        alpha = parameters["alpha"]
        scaled = alpha * np.maximum(y, 0.0) / self.parent(eta)
        return np.asarray(special.gammainc(alpha, scaled))

    def log_tail(self, y: Floats, eta: Floats, parameters: Parameters, side: str) -> Floats:
        """``log P(alpha, alpha y / mu)`` and ``log Q(alpha, alpha y / mu)``."""
        alpha = parameters["alpha"]
        log = stats.gamma.logcdf if side == "left" else stats.gamma.logsf
        return np.asarray(log(y, alpha, scale=self.parent(eta) / alpha))

    def tail_quantile(
        self, log_p: Floats, eta: Floats, parameters: Parameters, side: str
    ) -> Floats:
        """By the inverse of the incomplete gamma function or of its complement."""
        alpha = parameters["alpha"]
        inverse = special.gammaincinv if side == "left" else special.gammainccinv
        return np.asarray(inverse(alpha, np.exp(log_p)) * self.parent(eta) / alpha)

    def pymc_tail(self, y: Any, parameters: list[Any], side: str) -> Any:
        """By PyMC's alpha and scale, mu / alpha."""
        alpha, scale = parameters
        share = pt.gammainc if side == "left" else pt.gammaincc
        return pt.log(share(alpha, y / scale))

    def simulate(self, rng: np.random.Generator, eta: Floats, parameters: Parameters) -> Floats:
        """Positive numbers."""
        mean, alpha = self.parent(eta), parameters["alpha"]
        return rng.gamma(alpha, mean / alpha)
