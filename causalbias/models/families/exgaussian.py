"""Real numbers with a tail to the right, such as times of answers."""

import numpy as np
from scipy import special

from causalbias.models.families.base import Floats, Parameters
from causalbias.models.families.continuous import Continuous


class ExGaussian(Continuous):
    """y is a normal number of mean mu and sd sigma plus an exponential one of mean nu.

    The linear predictor is mu, as in bambi; the mean of y is ``mu + nu``.
    """

    name = "exgaussian"
    parameters = ("sigma", "nu")
    noise = "the noise of single responses (sigma, nu)"
    engines = ("laplace",)
    mean_by_parameters = True

    def sizes(self, y: Floats) -> dict[str, float]:
        """The standard deviation of the response, for both parts."""
        return dict.fromkeys(self.parameters, float(np.std(y)))

    def default_priors(self, y: Floats) -> dict[str, str]:
        """Both of that size."""
        return {key: f"HalfStudentT(4, {size!r})" for key, size in self.sizes(y).items()}

    def _parts(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """``z = (y - mu) / sigma`` and the logarithm of the exponential part's factor."""
        sigma, nu = parameters["sigma"], parameters["nu"]
        z = (y - self.parent(eta)) / sigma
        return z, sigma / nu * (0.5 * sigma / nu - z)

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``-log(nu) + (sigma / nu)^2 / 2 - (y - mu) / nu + log Phi(z - sigma / nu)``."""
        nu, (z, factor) = parameters["nu"], self._parts(y, eta, parameters)
        return np.asarray(
            -np.log(nu) + factor + special.log_ndtr(z - parameters["sigma"] / parameters["nu"])
        )

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """By mu, with x = z - sigma / nu: ``1 / nu - m / sigma``, ``-m (x + m) / sigma^2``.

        m is ``phi(x) / Phi(x)``.
        """
        sigma, nu = parameters["sigma"], parameters["nu"]
        x = self._parts(y, eta, parameters)[0] - sigma / nu
        m = np.exp(-0.5 * x**2 - 0.5 * np.log(2 * np.pi) - special.log_ndtr(x))
        return self.by_eta(1 / nu - m / sigma, -m * (x + m) / np.square(sigma), eta)

    def mean(self, eta: Floats, parameters: Parameters) -> Floats:
        """``mu + nu``."""
        return np.asarray(self.parent(eta) + parameters["nu"])

    def cdf(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``Phi(z) - exp((sigma / nu)^2 / 2 - (y - mu) / nu) Phi(z - sigma / nu)``."""
        z, factor = self._parts(y, eta, parameters)
        second = factor + special.log_ndtr(z - parameters["sigma"] / parameters["nu"])
        return np.asarray(special.ndtr(z) - np.exp(second))

    def simulate(self, rng: np.random.Generator, eta: Floats, parameters: Parameters) -> Floats:
        """The sum of both parts."""
        normal = parameters["sigma"] * rng.standard_normal(eta.shape)
        tail = parameters["nu"] * rng.standard_exponential(eta.shape)
        return np.asarray(self.parent(eta) + normal + tail)
