"""Links: from the linear predictor eta to the mean mu of the response, with derivatives."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Curve = Callable[[Floats], Floats]
EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Link:
    """The inverse h of a link, mu = h(eta).

    Attributes
    ----------
    name : str
    inverse, slope, curvature : callable
        h, and its first and second derivative, of arrays of any shape.
    noise_sd : float or None
        Standard deviation of the noise of which h is the distribution function, as the logistic
        distribution's is that of the logit; None where h is no distribution function.
    """

    name: str
    inverse: Curve
    slope: Curve
    curvature: Curve
    noise_sd: float | None = None


def _between_0_and_1(chance: Floats) -> Floats:
    """Probabilities that rounding made 0 or 1, moved by one machine epsilon, as bambi does."""
    chance[chance == 0] = EPS
    chance[chance == 1] = 1 - EPS
    return chance


def _logistic(eta: Floats) -> Floats:
    return _between_0_and_1(np.asarray(special.expit(eta)))


def _logistic_slope(eta: Floats) -> Floats:
    return np.asarray(special.expit(eta) * special.expit(-eta))


def _logistic_curvature(eta: Floats) -> Floats:
    return np.asarray(_logistic_slope(eta) * (special.expit(-eta) - special.expit(eta)))


def _normal(eta: Floats) -> Floats:
    return _between_0_and_1(np.asarray(0.5 + 0.5 * special.erf(eta / 2**0.5)))


def _normal_slope(eta: Floats) -> Floats:
    return np.asarray(np.exp(-0.5 * np.square(eta)) / np.sqrt(2 * np.pi))


def _normal_curvature(eta: Floats) -> Floats:
    # eta is infinite at the ends of ordered categories, where the density is zero
    return np.asarray(-np.clip(eta, -1e3, 1e3) * _normal_slope(eta))


def _gumbel(eta: Floats) -> Floats:
    return _between_0_and_1(np.asarray(1 - np.exp(-np.exp(eta))))


def _gumbel_slope(eta: Floats) -> Floats:
    eta = np.clip(eta, -1e3, 1e2)
    return np.asarray(np.exp(eta - np.exp(eta)))


def _gumbel_curvature(eta: Floats) -> Floats:
    eta = np.clip(eta, -1e3, 1e2)
    return np.asarray((1 - np.exp(eta)) * np.exp(eta - np.exp(eta)))


LINKS = {
    link.name: link
    for link in (
        Link("identity", np.asarray, np.ones_like, np.zeros_like),
        Link("log", np.exp, np.exp, np.exp),
        Link("inverse", lambda eta: 1 / eta, lambda eta: -1 / eta**2, lambda eta: 2 / eta**3),
        Link("logit", _logistic, _logistic_slope, _logistic_curvature, np.pi / np.sqrt(3)),
        Link("probit", _normal, _normal_slope, _normal_curvature, 1.0),
        Link("cloglog", _gumbel, _gumbel_slope, _gumbel_curvature, np.pi / np.sqrt(6)),
    )
}
