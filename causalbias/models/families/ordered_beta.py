"""Bounded scores with both ends, in which an end is the last step of one scale."""

from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray
from scipy import special

from causalbias.models.families.base import ENDS, Floats, Parameters
from causalbias.models.families.beta import Beta


def _log_density(value: Any, mu: Any, kappa: Any, cutzero: Any, cutwidth: Any) -> Any:
    mu = pt.clip(mu, *ENDS)
    low = pt.log(mu) - pt.log1p(-mu) - cutzero
    high = low - cutwidth
    inside = pt.clip(value, 1e-300, 1 - 1e-16)  # of ends, the density is not looked at
    density = pm.logp(pm.Beta.dist(alpha=mu * kappa, beta=(1 - mu) * kappa), inside)
    between = pt.log1mexp(-cutwidth) - pt.softplus(-low) - pt.softplus(high)
    end = pt.switch(pt.eq(value, 1), -pt.softplus(-high), -pt.softplus(low))
    return pt.switch(pt.eq(value, 0) | pt.eq(value, 1), end, between + density)


def _variable(
    name: str, *, mu: Any, kappa: Any, cutzero: Any, cutwidth: Any, **options: Any
) -> Any:
    return pm.CustomDist(name, mu, kappa, cutzero, cutwidth, logp=_log_density, **options)


class OrderedBeta(Beta):
    """y is zero, between, or one as eta plus logistic noise is among two cuts; between it is beta.

    ``P(y = 0) = F(c - eta)`` and ``P(y = 1) = F(eta - c - w)`` with c = cutzero and w = cutwidth,
    F the logistic distribution function; between the ends the mean is F(eta) (Kubinec 2023,
    Political Analysis 31(4)). One linear predictor moves the ends and what is between, so that an
    effect is one number where `ZeroOneInflatedBeta` has three. In ordbetareg c is cutzero, and
    cutone is log(w); phi is kappa. bambi has no such family.
    """

    name = "ordered_beta"
    engines = ()
    response = "numbers from 0 to 1"
    links = ("logit",)
    parameters = ("kappa", "cutzero", "cutwidth")
    real = ("cutzero",)
    noise = "the noise of single answers (kappa, cutzero, cutwidth)"
    mean_by_parameters = True
    pymc = staticmethod(_variable)

    def impossible(self, values: pd.Series) -> NDArray[np.bool_]:
        """Numbers beyond the ends."""
        return ((values < 0) | (values > 1)).to_numpy()

    def default_priors(self, y: Floats) -> dict[str, str]:
        """Kappa as bambi's beta; cuts wide on the logit's scale, where 5 is a chance of 0.7%."""
        return {
            "kappa": "HalfCauchy(1)",
            "cutzero": "Normal(0, 5)",
            "cutwidth": "HalfNormal(10)",
        }

    def _chances(self, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats, Floats]:
        """Probabilities (draws, rows) of zero, of what is between, and of one."""
        low = eta - parameters["cutzero"]
        high = low - parameters["cutwidth"]
        between = -np.expm1(-parameters["cutwidth"]) * special.expit(low) * special.expit(-high)
        return special.expit(-low), between, special.expit(high)

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``log F(c - eta)`` of zero, ``log F(eta - c - w)`` of one.

        Else ``log(F(eta - c) - F(eta - c - w))`` plus the density of `Beta`.
        """
        low = eta - parameters["cutzero"]
        high = low - parameters["cutwidth"]
        between = np.log(-np.expm1(-parameters["cutwidth"]))
        between = between + special.log_expit(low) + special.log_expit(-high)
        inside = np.where((y > 0) & (y < 1), y, 0.5)
        density = between + super().log_likelihood(inside, eta, parameters)
        end = np.where(y == 1, special.log_expit(high), special.log_expit(-low))
        return np.where((y > 0) & (y < 1), density, end)

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """Of zero ``-g`` and ``-g (1 - g)``, of one ``1 - h`` and ``-h (1 - h)``.

        With ``g = F(eta - c)`` and ``h = F(eta - c - w)``. Between, those of `Beta` plus
        ``1 - g - h`` and ``-g (1 - g) - h (1 - h)``.
        """
        low = eta - parameters["cutzero"]
        g, h = special.expit(low), special.expit(low - parameters["cutwidth"])
        bend_g, bend_h = g * (1 - g), h * (1 - h)
        between = (y > 0) & (y < 1)
        first, second = super().derivatives(np.where(between, y, 0.5), eta, parameters)
        at_end = np.where(y == 1, 1 - h, -g), np.where(y == 1, -bend_h, -bend_g)
        return (
            np.where(between, first + 1 - g - h, at_end[0]),
            np.where(between, second - bend_g - bend_h, at_end[1]),
        )

    def mean(self, eta: Floats, parameters: Parameters) -> Floats:
        """``P(y = 1) + P(0 < y < 1) F(eta)``."""
        _, between, one = self._chances(eta, parameters)
        return np.asarray(one + between * self.parent(eta))

    def simulate(self, rng: np.random.Generator, eta: Floats, parameters: Parameters) -> Floats:
        """Numbers from zero to one."""
        inside = super().simulate(rng, eta, parameters)
        zero, between, _ = self._chances(eta, parameters)
        chance = rng.random(eta.shape)
        return np.where(chance < zero, 0.0, np.where(chance < zero + between, inside, 1.0))

    def residual(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """In standard deviations of the row."""
        kappa, mu = parameters["kappa"], self.parent(eta)
        _, between, one = self._chances(eta, parameters)
        square = one + between * (mu**2 + mu * (1 - mu) / (kappa + 1))
        mean = self.mean(eta, parameters)
        return np.asarray((y - mean) / np.sqrt(np.maximum(square - mean**2, 1e-300)))
