"""Numbers strictly between zero and one, such as shares and ratings with two ends."""

from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from causalbias.models.families.base import Family, Floats, Parameters


class Beta(Family):
    """y is Beta(mu kappa, (1 - mu) kappa): of mean mu, the less spread the larger kappa."""

    name = "beta"
    response = "numbers strictly between 0 and 1"
    links: ClassVar[tuple[str, ...]] = ("logit", "probit", "cloglog")
    parameters: ClassVar[tuple[str, ...]] = ("kappa",)
    engines: ClassVar[tuple[str, ...]] = ("laplace",)
    noise = "the noise of single answers (kappa)"
    statistics = ("means by group", "tails", "spread by group")
    continuous = True

    def way_out(self, values: pd.Series) -> str:
        """What to do with another scale, and with its ends."""
        if not pd.api.types.is_numeric_dtype(values):
            return super().way_out(values)
        return (
            "make another scale one from 0 to 1, (y - low) / (high - low); where its ends occur, "
            "choose a family that has them"
        )

    def impossible(self, values: pd.Series) -> NDArray[np.bool_]:
        """Numbers at or beyond the ends."""
        return ((values <= 0) | (values >= 1)).to_numpy()

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``(a - 1) log(y) + (b - 1) log(1 - y) - log B(a, b)``, a = mu kappa, b = kappa - a."""
        mean, kappa = self.parent(eta), parameters["kappa"]
        return np.asarray(stats.beta.logpdf(y, mean * kappa, (1 - mean) * kappa))

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """By the mean: ``kappa (logit(y) - psi(a) + psi(b))``, ``-kappa^2 (psi'(a) + psi'(b))``."""
        mean, kappa = self.parent(eta), parameters["kappa"]
        a, b = mean * kappa, (1 - mean) * kappa
        first = kappa * (special.logit(y) - special.digamma(a) + special.digamma(b))
        second = -(kappa**2) * (special.polygamma(1, a) + special.polygamma(1, b))
        return self.by_eta(first, second, eta)

    def simulate(self, rng: np.random.Generator, eta: Floats, parameters: Parameters) -> Floats:
        """Numbers between zero and one."""
        mean, kappa = self.parent(eta), parameters["kappa"]
        shapes = (mean * kappa, (1 - mean) * kappa)
        # shapes that underflow put all mass on the ends of (0, 1)
        return rng.beta(*(np.maximum(shape, 1e-12) for shape in shapes))
