"""Real numbers about a quantile: quantile regression."""

import numpy as np

from causalbias.models.families.base import Floats, Parameters
from causalbias.models.families.continuous import Continuous


class AsymmetricLaplace(Continuous):
    """The density falls from mu exponentially, at rate ``b kappa`` above, ``b / kappa`` below.

    The linear predictor is mu, the quantile of ``kappa^2 / (1 + kappa^2)`` (the median where kappa
    is one) and not the mean, which is ``mu + (1 / kappa - kappa) / b``.
    """

    name = "asymmetriclaplace"
    parameters = ("b", "kappa")
    noise = "the noise of single responses (b, kappa)"
    mean_by_parameters = True

    def sizes(self, y: Floats) -> dict[str, float]:
        """Of b, one over a unit of the response, that of a symmetric density."""
        return {"b": 2**0.5 / float(np.std(y))}

    def default_priors(self, y: Floats) -> dict[str, str]:
        """B of that size, or any other; kappa about one."""
        return {"b": f"HalfCauchy({self.sizes(y)['b']!r})", "kappa": "LogNormal(0, 1)"}

    def _rates(
        self, y: Floats, eta: Floats, parameters: Parameters
    ) -> tuple[Floats, Floats, Floats]:
        """Distance of y from mu, and the rate of the exponential fall on its side, with sign."""
        away, b, kappa = y - self.parent(eta), parameters["b"], parameters["kappa"]
        return away, b * kappa, b / kappa

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``log(b / (kappa + 1 / kappa)) - b kappa r``, with 1 / kappa for kappa below mu.

        r is the distance of y from mu, ``|y - mu|``.
        """
        away, above, below = self._rates(y, eta, parameters)
        kappa = parameters["kappa"]
        top = np.log(parameters["b"] / (kappa + 1 / kappa))
        return np.asarray(top - np.where(away > 0, above * away, -below * away))

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """By mu: ``b kappa`` above mu and ``-b / kappa`` below; the second is zero."""
        away, above, below = self._rates(y, eta, parameters)
        return self.by_eta(np.where(away > 0, above, -below), np.zeros_like(away), eta)

    def mean(self, eta: Floats, parameters: Parameters) -> Floats:
        """``mu + (1 / kappa - kappa) / b``."""
        kappa = parameters["kappa"]
        return np.asarray(self.parent(eta) + (1 / kappa - kappa) / parameters["b"])

    def cdf(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``q exp(b r / kappa)`` below mu, ``1 - (1 - q) exp(-b kappa r)`` above.

        ``q = kappa^2 / (1 + kappa^2)``.
        """
        away, above, below = self._rates(y, eta, parameters)
        q = parameters["kappa"] ** 2 / (1 + parameters["kappa"] ** 2)
        under = q * np.exp(below * np.minimum(away, 0.0))
        return np.where(away < 0, under, 1 - (1 - q) * np.exp(-above * np.maximum(away, 0.0)))

    def simulate(self, rng: np.random.Generator, eta: Floats, parameters: Parameters) -> Floats:
        """The difference of two exponential numbers of the two rates, about mu."""
        first, second = (rng.standard_exponential(eta.shape) for _ in range(2))
        _, above, below = self._rates(np.zeros(1), eta, parameters)
        return np.asarray(self.parent(eta) + first / above - second / below)
