"""Angles, such as hues of skin, directions of a gaze, or poses of a head."""

from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from causalbias.models.families.base import Family, Floats, Parameters

MAX_SPREAD = np.pi / 5  # so that the intercept's default prior has a standard deviation of pi / 2


def _turned(angle: Floats) -> Floats:
    """The same direction (any shape) within half a turn of zero."""
    return np.asarray(angle - 2 * np.pi * np.round(angle / (2 * np.pi)))


class VonMises(Family):
    """y is an angle of mean direction mu, the less spread the larger kappa.

    The mean direction is the linear predictor, in radians. Effects are differences of directions,
    which add up over rows as numbers do; a direction beyond half a turn is one a turn less.
    """

    name = "vonmises"
    response = "angles in radians, from -pi to pi"
    links = ("identity",)
    parameters: ClassVar[tuple[str, ...]] = ("kappa",)
    noise = "the noise of single responses (kappa)"
    statistics = ("means by group", "spread by group")
    continuous = True

    def impossible(self, values: pd.Series) -> NDArray[np.bool_]:
        """Numbers beyond half a turn."""
        return (values.abs() > np.pi).to_numpy()

    def way_out(self, values: pd.Series) -> str:
        """How degrees become radians."""
        return "of degrees: numpy.radians((degrees + 180) % 360 - 180)"

    def units(self, y: Floats) -> tuple[float, float]:
        """Mean direction and circular standard deviation ``sqrt(-2 log R)``, at most pi / 5.

        R is the length of the mean of unit vectors (Mardia and Jupp 2000, Directional Statistics,
        2.3). A wider prior of the intercept would have several modes, a turn apart.
        """
        mean = np.mean(np.exp(1j * np.asarray(y)))
        spread = float(np.sqrt(-2 * np.log(np.clip(np.abs(mean), 1e-12, 1.0))))
        return float(np.angle(mean)), min(max(spread, 1e-6), float(MAX_SPREAD))

    def sizes(self, y: Floats) -> dict[str, float]:
        """That of normal noise of the same spread: ``kappa = 1 / sd^2``."""
        return {"kappa": self.units(y)[1] ** -2}

    def default_priors(self, y: Floats) -> dict[str, str]:
        """As in brms, from concentrations of all angles alike to those of a degree."""
        return {"kappa": "Gamma(2, 0.01)"}

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``kappa cos(y - mu) - log(2 pi I_0(kappa))``, I_0 the modified Bessel function."""
        kappa = parameters["kappa"]
        whole = np.log(2 * np.pi) + np.log(special.i0e(kappa))
        return np.asarray(kappa * (np.cos(y - eta) - 1) - whole)

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """``kappa sin(y - mu)`` and ``-kappa cos(y - mu)``."""
        kappa = parameters["kappa"]
        return np.asarray(kappa * np.sin(y - eta)), np.asarray(-kappa * np.cos(y - eta))

    def simulate(self, rng: np.random.Generator, eta: Floats, parameters: Parameters) -> Floats:
        """Angles from -pi to pi."""
        return np.clip(rng.vonmises(_turned(eta), parameters["kappa"]), -np.pi, np.pi)

    def residual(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """The angle from the mean direction, times ``sqrt(kappa)``: about standard normal."""
        return np.asarray(_turned(y - eta) * np.sqrt(parameters["kappa"]))
