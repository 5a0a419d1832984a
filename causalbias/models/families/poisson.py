"""Counts of independent events."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import special

from causalbias.models.families.base import Floats, Parameters
from causalbias.models.families.counts import Counts


class Poisson(Counts):
    """y is Poisson of mean mu, which is its variance, too."""

    name = "poisson"
    engines: ClassVar[tuple[str, ...]] = ("laplace",)

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``y log(mu) - mu - log(y!)``."""
        rate = self.parent(eta)
        return np.asarray(special.xlogy(y, rate) - rate - special.gammaln(np.add(y, 1.0)))

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """By the mean: ``y / mu - 1`` and ``-y / mu^2``."""
        rate = self.parent(eta)
        return self.by_eta(y / rate - 1, -y / rate**2, eta)

    def variance(self, eta: Floats, parameters: Parameters) -> Floats:
        """The mean."""
        return self.parent(eta)

    def simulate(
        self, rng: np.random.Generator, eta: Floats, parameters: Parameters
    ) -> NDArray[Any]:
        """Counts."""
        return rng.poisson(self.parent(eta))
