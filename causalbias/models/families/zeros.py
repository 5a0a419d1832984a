"""More zeros than a distribution has: those of a second source, or all of them."""

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from causalbias.models.families.base import Family, Floats, Parameters
from causalbias.models.families.binomial import Binomial
from causalbias.models.families.counts import Counts
from causalbias.models.families.gamma import Gamma
from causalbias.models.families.lognormal import LogNormal
from causalbias.models.families.negativebinomial import NegativeBinomial
from causalbias.models.families.poisson import Poisson


class ZeroInflated(Family):
    """With probability psi as of the family that it is mixed with, else zero.

    The linear predictor is that of the family without the additional zeros.
    """

    probabilities: ClassVar[tuple[str, ...]] = ("psi",)
    engines: ClassVar[tuple[str, ...]] = ()  # not those of the family without the mixture
    mean_by_parameters = True

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``log(psi) + log p(y)``, of zeros ``log(1 - psi + psi p(0))``."""
        psi = parameters["psi"]
        plain = super().log_likelihood(y, eta, parameters)  # type: ignore[safe-super]
        positive = np.log(psi) + plain
        return np.where(y > 0, positive, np.logaddexp(np.log1p(-psi), positive))

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """Of zeros, with w = psi p(0) / (1 - psi + psi p(0)): ``w l'``, ``w l'' + w (1 - w) l'^2``.

        Of others those of the family, l' and l''.
        """
        first, second = super().derivatives(y, eta, parameters)  # type: ignore[safe-super]
        own = np.log(parameters["psi"]) + super().log_likelihood(y, eta, parameters)  # type: ignore[safe-super]
        share = np.where(y > 0, 1.0, np.exp(own - np.logaddexp(np.log1p(-parameters["psi"]), own)))
        return share * first, share * second + share * (1 - share) * first**2

    def mean(self, eta: Floats, parameters: Parameters) -> Floats:
        """``psi mu``."""
        return np.asarray(parameters["psi"] * super().mean(eta, parameters))

    def simulate(
        self, rng: np.random.Generator, eta: Floats, parameters: Parameters
    ) -> NDArray[Any]:
        """Responses, some of which become zero."""
        plain = super().simulate(rng, eta, parameters)  # type: ignore[safe-super]
        return np.where(rng.random(eta.shape) < parameters["psi"], plain, 0)


class _InflatedCounts(ZeroInflated, Counts):
    def variance(self, eta: Floats, parameters: Parameters) -> Floats:
        """``psi v + psi (1 - psi) mu^2`` of the family's mean mu and variance v."""
        psi, rate = parameters["psi"], self.parent(eta)
        spread = super().variance(eta, parameters)  # type: ignore[safe-super]
        return np.asarray(psi * spread + psi * (1 - psi) * rate**2)


class ZeroInflatedPoisson(_InflatedCounts, Poisson):
    """Poisson counts with additional zeros."""

    name = "zero_inflated_poisson"
    parameters = ("psi",)


class ZeroInflatedNegativeBinomial(_InflatedCounts, NegativeBinomial):
    """Overdispersed counts with additional zeros."""

    name = "zero_inflated_negativebinomial"
    parameters = ("alpha", "psi")


class ZeroInflatedBinomial(ZeroInflated, Binomial):
    """Numbers of successes with additional rows of no success."""

    name = "zero_inflated_binomial"
    links = ("logit", "probit", "cloglog")
    parameters = ("psi",)
    binary = False

    @property
    def scales(self) -> tuple[str, ...]:
        """The expected share of successes."""
        return ("response", "link")

    def residual(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """Of the share of successes, in standard deviations of the row's share.

        Its variance is ``psi p (1 - p) / n + psi (1 - psi) p^2``.
        """
        psi, n, p = parameters["psi"], parameters["trials"], self.parent(eta)
        variance = psi * p * (1 - p) / n + psi * (1 - psi) * p**2
        return np.asarray((y / n - psi * p) / np.sqrt(np.maximum(variance, 1e-12)))


class Hurdle(Family):
    """With probability psi positive, as of the family on condition that it is; else zero.

    The linear predictor is that of the family without the condition.
    """

    probabilities = ("psi",)
    engines: ClassVar[tuple[str, ...]] = ()
    has_tails = False
    mean_by_parameters = True

    def _log_zero(self, eta: Floats, parameters: Parameters) -> Floats:
        """Log probability of a zero in the family itself."""
        return super().log_likelihood(np.zeros(1), eta, parameters)  # type: ignore[safe-super]

    def _positive(self, eta: Floats, parameters: Parameters) -> Floats:
        """Probability that the family's response is positive."""
        return np.asarray(-np.expm1(self._log_zero(eta, parameters)))

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``log(psi) + log p(y) - log(1 - p(0))``, of zeros ``log(1 - psi)``."""
        psi, positive = parameters["psi"], self._positive(eta, parameters)
        plain = super().log_likelihood(np.where(y > 0, y, 1.0), eta, parameters)  # type: ignore[safe-super]
        return np.where(y > 0, np.log(psi) + plain - np.log(positive), np.log1p(-psi))

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """Of positive ones ``l' + o g'`` and ``l'' + o (g'' + (1 + o) g'^2)``; of zeros none.

        g is log p(0), and o the odds of a zero, p(0) / (1 - p(0)).
        """
        odds = np.exp(self._log_zero(eta, parameters)) / self._positive(eta, parameters)
        slope, curvature = super().derivatives(np.zeros(1), eta, parameters)  # type: ignore[safe-super]
        first, second = super().derivatives(np.where(y > 0, y, 1.0), eta, parameters)  # type: ignore[safe-super]
        first = first + odds * slope
        second = second + odds * (curvature + (1 + odds) * slope**2)
        return np.where(y > 0, first, 0.0), np.where(y > 0, second, 0.0)

    def mean(self, eta: Floats, parameters: Parameters) -> Floats:
        """``psi mu / (1 - p(0))``."""
        positive = self._positive(eta, parameters)
        return np.asarray(parameters["psi"] * super().mean(eta, parameters) / positive)


class _HurdleCounts(Hurdle, Counts):
    def variance(self, eta: Floats, parameters: Parameters) -> Floats:
        """``E[y^2] - E[y]^2``, the moments of the family times ``psi / (1 - p(0))``."""
        rate = self.parent(eta)
        factor = parameters["psi"] / self._positive(eta, parameters)
        square = super().variance(eta, parameters) + rate**2  # type: ignore[safe-super]
        return np.asarray(factor * square - (factor * rate) ** 2)

    def simulate(
        self, rng: np.random.Generator, eta: Floats, parameters: Parameters
    ) -> NDArray[Any]:
        """Zeros, and counts by inversion of their probability of being exceeded."""
        beyond = rng.random(eta.shape) * self._positive(eta, parameters)
        found = self.exceeded(beyond, eta, parameters)
        # A rate so small that no count can be told from zero: then a positive one is one.
        found = np.where(np.isfinite(found), np.maximum(found, 1.0), 1.0)
        return np.where(rng.random(eta.shape) < parameters["psi"], found, 0.0).astype(int)

    @abstractmethod
    def exceeded(self, chance: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """The count (draws, rows) that the family exceeds with that probability."""


class HurdlePoisson(_HurdleCounts, Poisson):
    """Zeros of their own, and positive Poisson counts."""

    name = "hurdle_poisson"
    parameters = ("psi",)

    def exceeded(self, chance: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """Of the Poisson distribution."""
        return np.asarray(stats.poisson.isf(chance, self.parent(eta)))


class HurdleNegativeBinomial(_HurdleCounts, NegativeBinomial):
    """Zeros of their own, and positive overdispersed counts."""

    name = "hurdle_negativebinomial"
    parameters = ("alpha", "psi")

    def exceeded(self, chance: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """Of the negative binomial distribution."""
        alpha = parameters["alpha"]
        return np.asarray(stats.nbinom.isf(chance, alpha, alpha / (alpha + self.parent(eta))))


class _HurdleOfPositive(Hurdle):
    """Of a family with a density, in which zeros have probability zero."""

    response = "numbers from 0"
    statistics: ClassVar[tuple[str, ...]] = ("means by group", "tails", "spread by group")

    def impossible(self, values: pd.Series) -> NDArray[np.bool_]:
        """Negative numbers."""
        return (values < 0).to_numpy()

    def _log_zero(self, eta: Floats, parameters: Parameters) -> Floats:
        return np.full(1, -np.inf)

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """Of positive ones those of the family; of zeros none."""
        found = super(Hurdle, self).derivatives(np.where(y > 0, y, 1.0), eta, parameters)  # type: ignore[safe-super]
        first, second = (np.where(y > 0, one, 0.0) for one in found)
        return first, second

    def units(self, y: Floats) -> tuple[float, float]:
        """Those of the positive responses."""
        return super().units(y[y > 0])

    def sizes(self, y: Floats) -> dict[str, float]:
        """Those of the positive responses."""
        return super().sizes(y[y > 0])

    def cdf(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``1 - psi + psi F(y)``, zero below zero."""
        psi = parameters["psi"]
        return np.where(y < 0, 0.0, 1 - psi + psi * super().cdf(y, eta, parameters))

    def simulate(
        self, rng: np.random.Generator, eta: Floats, parameters: Parameters
    ) -> NDArray[Any]:
        """Zeros and positive numbers."""
        found = super().simulate(rng, eta, parameters)  # type: ignore[safe-super]
        return np.where(rng.random(eta.shape) < parameters["psi"], found, 0.0)

    def _standardised(self, y: Floats, mean: Floats, square: Floats, psi: Floats) -> Floats:
        """Distance from ``psi m`` in standard deviations, of mean m and mean square of the rest."""
        variance = psi * square - (psi * mean) ** 2
        return np.asarray((y - psi * mean) / np.sqrt(np.maximum(variance, 1e-300)))


class HurdleGamma(_HurdleOfPositive, Gamma):
    """Zeros of their own, and gamma distributed positive numbers."""

    name = "hurdle_gamma"
    parameters = ("alpha", "psi")

    def residual(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """In standard deviations of the row."""
        mean = self.parent(eta)
        square = mean**2 * (1 + 1 / parameters["alpha"])
        return self._standardised(y, mean, square, parameters["psi"])


class HurdleLogNormal(_HurdleOfPositive, LogNormal):
    """Zeros of their own, and positive numbers whose logarithm is normal."""

    name = "hurdle_lognormal"
    parameters = ("sigma", "psi")
    engines = ()

    @property
    def scales(self) -> tuple[str, ...]:
        """Without the latent one: zeros have no logarithm."""
        return ("response", "link", "FMR", "FNMR")

    def residual(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """In standard deviations of the row."""
        mean = LogNormal.mean(self, eta, parameters)
        square = mean**2 * np.exp(np.square(parameters["sigma"]))
        return self._standardised(y, mean, square, parameters["psi"])
