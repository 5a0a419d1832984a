"""Real numbers with normal noise."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from causalbias.errors import DataError
from causalbias.models.families.base import SIGNS, Floats, Parameters
from causalbias.models.families.continuous import Continuous, normal_tail

MIN_SPREAD = 1e-6  # sd over mean below which squares lose all digits of the spread


class Gaussian(Continuous):
    """y is normal about its mean mu with standard deviation sigma, or sigma / sqrt(weight)."""

    name = "gaussian"
    parameters = ("sigma",)
    noise = "sigma"
    engines = ("collapsed",)
    normal = True
    has_tails = True

    @property
    def scales(self) -> tuple[str, ...]:
        """Error rates and the latent scale are of normal noise about eta itself."""
        of_noise = ("latent", "FMR", "FNMR") if self.linear else ()
        return ("response", "link", *of_noise)

    def validate_response(self, values: pd.Series, trials: pd.Series | None = None) -> pd.Series:
        """Numbers that are not all the same, nor vary too little beside their mean."""
        values = super().validate_response(values, trials)
        if values.std() < MIN_SPREAD * abs(values.mean()):
            raise DataError(
                f"responses vary by {values.std():.3g} about {values.mean():.6g}: too little "
                "beside it for numbers of 16 digits",
                hint="subtract a constant from them",
                file="data",
                column=str(values.name),
            )
        return values

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``-log(sigma) - log(2 pi) / 2 - (y - mu)^2 / (2 sigma^2)``."""
        mean = self.mean(eta, parameters)
        return np.asarray(stats.norm.logpdf(y, mean, parameters["sigma"]))

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """By the mean: ``(y - mu) / sigma^2`` and ``-1 / sigma^2``."""
        variance = np.square(parameters["sigma"])
        return self.by_eta((y - self.mean(eta, parameters)) / variance, -1 / variance, eta)

    def simulate(self, rng: np.random.Generator, eta: Floats, parameters: Parameters) -> Floats:
        """Normal numbers."""
        return rng.normal(self.mean(eta, parameters), parameters["sigma"])

    def sizes(self, y: Floats) -> dict[str, float]:
        """The standard deviation of the response."""
        return {"sigma": float(np.std(y))}

    def default_priors(self, y: Floats) -> dict[str, str]:
        """Sigma of the size of the response's standard deviation, whatever the link."""
        return {"sigma": f"HalfStudentT(4, {self.sizes(y)['sigma']!r})"}

    def cdf(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``Phi((y - mu) / sigma)``."""
        return np.asarray(special.ndtr(self.residual(y, eta, parameters)))

    def log_tail(self, y: Floats, eta: Floats, parameters: Parameters, side: str) -> Floats:
        """``log Phi(r)`` and ``log Phi(-r)``, r = (y - mu) / sigma: Tobin's, of the Tobit model.

        Source: Tobin (1958), Econometrica 26(1).
        """
        return np.asarray(special.log_ndtr(SIGNS[side] * self.residual(y, eta, parameters)))

    def tail_quantile(
        self, log_p: Floats, eta: Floats, parameters: Parameters, side: str
    ) -> Floats:
        """The mean plus sigma times the normal quantile."""
        z = SIGNS[side] * special.ndtri_exp(log_p)
        return np.asarray(self.mean(eta, parameters) + parameters["sigma"] * z)

    def pymc_tail(self, y: Any, parameters: list[Any], side: str) -> Any:
        """By PyMC's mu and sigma."""
        mean, sigma = parameters
        return normal_tail(y, mean, sigma, side)

    def residual(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """In standard deviations of the row."""
        return np.asarray((y - self.mean(eta, parameters)) / parameters["sigma"])

    def replicate(
        self, rng: np.random.Generator, eta: Floats, parameters: Parameters
    ) -> tuple[Floats, Floats]:
        """The noise drawn is the residual, without rounding."""
        noise = rng.standard_normal(eta.shape)
        return self.mean(eta, parameters) + parameters["sigma"] * noise, noise

    def latent_sd(self, parameters: Parameters, draws: int) -> Floats:
        """Sigma, that of a row of weight one."""
        return np.asarray(parameters["sigma"]).ravel()
