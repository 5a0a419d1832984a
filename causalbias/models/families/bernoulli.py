"""Answers that are no or yes."""

from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from causalbias.models.families.base import Family, Floats, Parameters


class Bernoulli(Family):
    """y is 1 with probability p, else 0: binomial with n = 1 trial."""

    name = "bernoulli"
    response = "0 or 1"
    links: ClassVar[tuple[str, ...]] = ("logit", "probit", "cloglog", "identity")
    mean_name = "p"
    noise = "the chance of the answer itself"
    engines: ClassVar[tuple[str, ...]] = ("laplace",)
    statistics: ClassVar[tuple[str, ...]] = ("category shares",)
    binary = True

    @property
    def scales(self) -> tuple[str, ...]:
        """Probabilities, and the latent scale where the link is a distribution function."""
        latent = () if self.link.noise_sd is None else ("latent",)
        return ("response", "link", *latent, "probability")

    def impossible(self, values: pd.Series) -> NDArray[np.bool_]:
        """Numbers that are neither 0 nor 1."""
        return np.asarray(~values.isin([0, 1]))

    def way_out(self, values: pd.Series) -> str:
        """Of two answers, how to say which of them is 1."""
        known = sorted(values.unique().tolist(), key=str)
        if len(known) != 2:
            return super().way_out(values)
        return (
            f"say which of {known[0]!r} and {known[1]!r} is 1: "
            f"data.assign({values.name}=data[{str(values.name)!r}] == {known[1]!r})"
        )

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``y log(p) + (1 - y) log(1 - p)``."""
        return np.asarray(stats.bernoulli.logpmf(y, self.parent(eta)))

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """By the mean: ``y / p - (n - y) / (1 - p)`` and ``-y / p^2 - (n - y) / (1 - p)^2``."""
        chance, failures = self.parent(eta), parameters.get("trials", 1.0) - y
        first = y / chance - failures / (1 - chance)
        return self.by_eta(first, -y / chance**2 - failures / (1 - chance) ** 2, eta)

    def simulate(
        self, rng: np.random.Generator, eta: Floats, parameters: Parameters
    ) -> NDArray[Any]:
        """Zeros and ones."""
        return rng.binomial(1, self.parent(eta))
