"""Counts that vary more than those of independent events."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import special

from causalbias.models.families.base import Floats, Parameters
from causalbias.models.families.counts import Counts


class NegativeBinomial(Counts):
    """y is of mean mu and variance ``mu + mu^2 / alpha``: Poisson of a gamma distributed mean."""

    name = "negativebinomial"
    parameters: ClassVar[tuple[str, ...]] = ("alpha",)
    engines: ClassVar[tuple[str, ...]] = ("laplace",)

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``log(y + alpha - 1 over y) + alpha log(1 - q) + y log(q)``, q = mu / (mu + alpha)."""
        rate, alpha = self.parent(eta), parameters["alpha"]
        ways = special.gammaln(y + alpha) - special.gammaln(np.add(y, 1.0)) - special.gammaln(alpha)
        of_zero = -alpha * np.log1p(rate / alpha)
        return np.asarray(ways + of_zero + special.xlogy(y, rate / (rate + alpha)))

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """By the mean: ``y / mu - (y + alpha) / (mu + alpha)``, ``-y / mu^2 + (..) / (..)^2``."""
        rate, alpha = self.parent(eta), parameters["alpha"]
        whole = (y + alpha) / (rate + alpha)
        return self.by_eta(y / rate - whole, -y / rate**2 + whole / (rate + alpha), eta)

    def variance(self, eta: Floats, parameters: Parameters) -> Floats:
        """``mu + mu^2 / alpha``."""
        rate = self.parent(eta)
        return np.asarray(rate + rate**2 / parameters["alpha"])

    def simulate(
        self, rng: np.random.Generator, eta: Floats, parameters: Parameters
    ) -> NDArray[Any]:
        """Counts."""
        rate, alpha = self.parent(eta), parameters["alpha"]
        return rng.poisson(rng.gamma(alpha, rate / alpha))
