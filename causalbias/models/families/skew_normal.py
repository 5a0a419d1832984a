"""Real numbers with skewed noise."""

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from scipy import special

from causalbias.models.families.base import Floats, Parameters
from causalbias.models.families.continuous import Continuous


def _variable(name: str, *, mu: Any, sigma: Any, alpha: Any, **options: Any) -> Any:
    """PyMC's variable, which has location and scale in place of mean and standard deviation."""
    shift = alpha / pt.sqrt(1 + alpha**2) * np.sqrt(2 / np.pi)
    scale = sigma / pt.sqrt(1 - shift**2)
    return pm.SkewNormal(name, mu=mu - scale * shift, sigma=scale, alpha=alpha, **options)


class SkewNormal(Continuous):
    """y is skew-normal of mean mu, standard deviation sigma and slant alpha, as in brms.

    The linear predictor is the mean. Alpha below zero is a tail to the left; the skewness is at
    most 0.995. bambi has no such family.
    """

    name = "skew_normal"
    parameters = ("sigma", "alpha")
    real = ("alpha",)
    noise = "the noise of single responses (sigma, alpha)"
    engines = ("laplace",)
    pymc = staticmethod(_variable)

    def sizes(self, y: Floats) -> dict[str, float]:
        """The standard deviation of the response."""
        return {"sigma": float(np.std(y))}

    def default_priors(self, y: Floats) -> dict[str, str]:
        """Sigma as of a Gaussian model; alpha as in brms."""
        return {"sigma": f"HalfStudentT(4, {self.sizes(y)['sigma']!r})", "alpha": "Normal(0, 4)"}

    def _standardised(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, ...]:
        """``(y - xi) / omega`` of location xi and scale omega, and omega."""
        sigma, alpha = parameters["sigma"], parameters["alpha"]
        shift = alpha / np.sqrt(1 + alpha**2) * np.sqrt(2 / np.pi)
        omega = sigma / np.sqrt(1 - shift**2)
        return (y - self.mean(eta, parameters)) / omega + shift, omega

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``log(2 / omega) + log phi(z) + log Phi(alpha z)``, z = (y - xi) / omega.

        ``delta = alpha / sqrt(1 + alpha^2)``, ``omega = sigma / sqrt(1 - 2 delta^2 / pi)`` and
        ``xi = mu - omega delta sqrt(2 / pi)`` (Azzalini 1985, Scandinavian Journal of Statistics
        12(2)).
        """
        z, omega = self._standardised(y, eta, parameters)
        whole = 0.5 * np.log(2 / np.pi) - np.log(omega) - 0.5 * z**2
        return np.asarray(whole + special.log_ndtr(parameters["alpha"] * z))

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """By mu: ``(z - alpha m) / omega`` and ``-(1 + alpha^2 m (alpha z + m)) / omega^2``.

        m is ``phi(alpha z) / Phi(alpha z)``.
        """
        z, omega = self._standardised(y, eta, parameters)
        alpha = parameters["alpha"]
        x = alpha * z
        m = np.exp(-0.5 * x**2 - 0.5 * np.log(2 * np.pi) - special.log_ndtr(x))
        return self.by_eta(
            (z - alpha * m) / omega, -(1 + alpha**2 * m * (x + m)) / np.square(omega), eta
        )

    def cdf(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``Phi(z) - 2 T(z, alpha)``, T of Owen."""
        z, _ = self._standardised(y, eta, parameters)
        return np.asarray(special.ndtr(z) - 2 * special.owens_t(z, parameters["alpha"]))

    def simulate(self, rng: np.random.Generator, eta: Floats, parameters: Parameters) -> Floats:
        """``xi + omega (delta |u| + sqrt(1 - delta^2) v)`` of two standard normals u and v."""
        first, omega = self._standardised(np.zeros(1), eta, parameters)
        delta = parameters["alpha"] / np.sqrt(1 + parameters["alpha"] ** 2)
        u, v = (rng.standard_normal(eta.shape) for _ in range(2))
        return np.asarray(omega * (delta * np.abs(u) + np.sqrt(1 - delta**2) * v - first))
