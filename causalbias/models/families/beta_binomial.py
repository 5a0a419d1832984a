"""Numbers of successes that vary more than those of independent trials."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import special

from causalbias.models.families.base import Floats, Parameters
from causalbias.models.families.binomial import Binomial


class BetaBinomial(Binomial):
    """y successes out of n trials, of a probability that is Beta(mu kappa, (1 - mu) kappa)."""

    name = "beta_binomial"
    links: ClassVar[tuple[str, ...]] = ("logit", "probit", "cloglog")
    mean_name = "mu"
    parameters = ("kappa",)
    noise = "the noise of single rows (kappa)"
    engines = ("laplace",)
    binary = False

    @property
    def scales(self) -> tuple[str, ...]:
        """Probabilities."""
        return ("response", "link", "probability")

    def _shapes(self, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        mean, kappa = self.parent(eta), parameters["kappa"]
        return mean * kappa, (1 - mean) * kappa

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``log(n over y) + log(B(y + a, n - y + b) / B(a, b))``, a = mu kappa, b = kappa - a."""
        (a, b), n = self._shapes(eta, parameters), parameters["trials"]
        ways = -np.log1p(n) - special.betaln(n - y + 1, np.add(y, 1.0))
        return np.asarray(ways + special.betaln(y + a, n - y + b) - special.betaln(a, b))

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """By mu: ``kappa (psi(y + a) - psi(a) - psi(n - y + b) + psi(b))``.

        And ``kappa^2 (psi'(y + a) - psi'(a) + psi'(n - y + b) - psi'(b))``.
        """
        (a, b), n, kappa = self._shapes(eta, parameters), parameters["trials"], parameters["kappa"]
        of_a, of_b = (
            [special.polygamma(k, one + more) - special.polygamma(k, one) for k in (0, 1)]
            for one, more in ((a, y), (b, n - y))
        )
        return self.by_eta(kappa * (of_a[0] - of_b[0]), kappa**2 * (of_a[1] + of_b[1]), eta)

    def simulate(
        self, rng: np.random.Generator, eta: Floats, parameters: Parameters
    ) -> NDArray[Any]:
        """Numbers of successes."""
        a, b = (np.maximum(one, 1e-12) for one in self._shapes(eta, parameters))
        return rng.binomial(np.asarray(parameters["trials"], int), rng.beta(a, b))

    def residual(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """Of the share of successes, in standard deviations of the row's share.

        Its variance is ``mu (1 - mu) (1 + (n - 1) / (kappa + 1)) / n``.
        """
        wider = 1 + (parameters["trials"] - 1) / (parameters["kappa"] + 1)
        return np.asarray(super().residual(y, eta, parameters) / np.sqrt(wider))
