"""Log densities of one row, with slopes by the linear predictor eta, compiled.

A log density is a sum of three parts, so that what eta does not enter is computed once: one of the
distribution's parameters alone, one of the row's response with them, and one of eta. Each family's
equation stands at its code. Parameters a and b are those of `DENSITIES`, in order.
"""

import math
from dataclasses import dataclass

import numba
import numpy as np

from causalbias.inference.problem import FloatArray
from causalbias.inference.rowwise.limited import limited_density, limited_slopes, log_normal_cdf

STUDENT, GAMMA, BETA, SKEW_NORMAL, NEGATIVE_BINOMIAL, POISSON, BETA_BINOMIAL = range(7)
LIMITED_NORMAL, LIMITED_STUDENT, EXGAUSSIAN = 7, 8, 9
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


@dataclass(frozen=True)
class Density:
    """A family as the kernels know it.

    Attributes
    ----------
    code : int
    link : str
        Of the mean; the only one that the kernels have.
    parameters : tuple of str
        The distribution's further parameters.
    real : tuple of str
        Those of them that may be negative; the others are sampled on the log scale.
    uneven : bool
        Whether a row may be far sharper on one side of its mode than on the other.
    """

    code: int
    link: str
    parameters: tuple[str, ...]
    real: tuple[str, ...] = ()
    uneven: bool = False


DENSITIES = {
    "t": Density(STUDENT, "identity", ("sigma", "nu")),
    "gamma": Density(GAMMA, "log", ("alpha",)),
    "beta": Density(BETA, "logit", ("kappa",)),
    "skew_normal": Density(SKEW_NORMAL, "identity", ("sigma", "alpha"), ("alpha",), True),
    "negativebinomial": Density(NEGATIVE_BINOMIAL, "log", ("alpha",)),
    "poisson": Density(POISSON, "log", ()),
    "beta_binomial": Density(BETA_BINOMIAL, "logit", ("kappa",)),
    "exgaussian": Density(EXGAUSSIAN, "identity", ("sigma", "nu"), uneven=True),
}
# Where rows are censored or truncated (`limited`). Of a lognormal response the rows are logarithms.
LIMITED = {
    "gaussian": Density(LIMITED_NORMAL, "identity", ("sigma",)),
    "lognormal": Density(LIMITED_NORMAL, "identity", ("sigma",)),
    "t": Density(LIMITED_STUDENT, "identity", ("sigma", "nu")),
}


def known_parts(code: int, y: FloatArray, trials: FloatArray | None) -> FloatArray:
    """What rows' log densities need of the response beside y itself, (n, 2).

    Of rows with limits that is what `limited` says, (n, 4).
    """
    known = np.zeros((len(y), 2))
    if code == GAMMA:
        known[:, 0] = np.log(y)
    elif code == BETA:
        known[:, 0], known[:, 1] = np.log(y), np.log1p(-y)
    elif code == BETA_BINOMIAL and trials is not None:
        known[:, 0] = trials
    return known


@_compiled
def constant_part(code: int, a: float, b: float) -> float:
    """The part of the parameters alone."""
    if code == STUDENT:
        normal = math.lgamma((b + 1) / 2) - math.lgamma(b / 2) - 0.5 * math.log(b * math.pi)
        return normal - math.log(a)
    if code in (GAMMA, NEGATIVE_BINOMIAL):
        return a * math.log(a) - math.lgamma(a)
    if code in (BETA, BETA_BINOMIAL):
        return math.lgamma(a)
    if code == SKEW_NORMAL:
        return math.log(2.0) - _HALF_LOG_2PI - math.log(skew_scale(a, b)[0])
    if code == EXGAUSSIAN:
        return 0.5 * (a / b) ** 2 - math.log(b)
    return 0.0


@_compiled
def response_part(code: int, y: float, known: FloatArray, a: float) -> float:
    """The part of the response and the parameters; ``known`` is the row's of `known_parts`."""
    if code == GAMMA:
        return (a - 1.0) * known[0]
    if code == BETA:
        return -known[0] - known[1]
    if code == NEGATIVE_BINOMIAL:
        return math.lgamma(y + a) - math.lgamma(y + 1.0)
    if code == POISSON:
        return -math.lgamma(y + 1.0)
    if code == BETA_BINOMIAL:
        ways = math.lgamma(known[0] + 1) - math.lgamma(y + 1) - math.lgamma(known[0] - y + 1)
        return ways - math.lgamma(known[0] + a)
    return 0.0


@_compiled
def eta_part(code: int, y: float, known: FloatArray, eta: float, a: float, b: float) -> float:
    """The part of eta.

    - Student t, ``z = (y - eta) / sigma``: ``-(nu + 1) / 2 log(1 + z^2 / nu)``.
    - gamma of mean ``mu = exp(eta)`` and shape a: ``-a (eta + y / mu)``.
    - beta of mean mu = expit(eta): ``s log y + (a - s) log(1 - y) - log Gamma(s) Gamma(a - s)``,
      ``s = mu a``.
    - skew-normal of mean eta, ``z = (y - eta) / omega + shift`` (`skew_scale`):
      ``-z^2 / 2 + log Phi(b z)``.
    - normal of sd sigma plus exponential of mean nu, ``z = (y - eta) / sigma``:
      ``-(y - eta) / nu + log Phi(z - sigma / nu)``.
    - negative binomial: ``y eta - (y + a) log(a + exp(eta))``.
    - Poisson: ``y eta - exp(eta)``.
    - beta-binomial, of m trials:
      ``log Gamma(y + s) Gamma(m - y + a - s) / (Gamma(s) Gamma(a - s))``.
    - normal and t of rows with limits: the whole (`limited`).
    """
    if code in (LIMITED_NORMAL, LIMITED_STUDENT):
        return limited_density(code == LIMITED_NORMAL, known, eta, a, b)
    if code == STUDENT:
        z = (y - eta) / a
        return -0.5 * (b + 1.0) * math.log1p(z * z / b)
    if code == GAMMA:
        return -a * (eta + y * math.exp(-eta))
    if code == SKEW_NORMAL:
        omega, shift = skew_scale(a, b)
        z = (y - eta) / omega + shift
        return -0.5 * z * z + log_normal_cdf(b * z)
    if code == EXGAUSSIAN:
        r = y - eta
        return log_normal_cdf(r / a - a / b) - r / b
    if code == NEGATIVE_BINOMIAL:
        # log(a + exp(eta)) from the larger of both
        top = max(eta, math.log(a))
        return y * eta - (y + a) * (top + math.log1p(math.exp(min(eta, math.log(a)) - top)))
    if code == POISSON:
        return y * eta - math.exp(eta)
    s, rest = _shapes(eta, a)
    if code == BETA:
        return s * known[0] + rest * known[1] - math.lgamma(s) - math.lgamma(rest)
    least = math.lgamma(y + s) - math.lgamma(s)
    return least + math.lgamma(known[0] - y + rest) - math.lgamma(rest)


@_compiled
def slopes(
    code: int, y: float, known: FloatArray, eta: float, a: float, b: float
) -> tuple[float, float, float]:
    """First and second derivative by eta, and a curvature that is positive everywhere.

    The last is ``(nu + 1) / (nu sigma^2 + (y - eta)^2)`` of the t, the weight of its EM algorithm
    (Lange, Little and Taylor 1989); of the beta and beta-binomial what is left of the curvature
    where the slope by the mean is zero, at least in part; of a t with limits the weight or, of a
    censored row, none; else the curvature itself.
    """
    if code in (LIMITED_NORMAL, LIMITED_STUDENT):
        return limited_slopes(code == LIMITED_NORMAL, known, eta, a, b)
    if code == STUDENT:
        r = y - eta
        whole = b * a * a + r * r
        weight = (b + 1.0) / whole
        return weight * r, -weight * (b * a * a - r * r) / whole, weight
    if code == GAMMA:
        ratio = a * y * math.exp(-eta)
        return ratio - a, -ratio, ratio
    if code == SKEW_NORMAL:
        omega, shift = skew_scale(a, b)
        z = (y - eta) / omega + shift
        mills, share = _mills(b * z)
        bent = (1.0 + b * b * share) / (omega * omega)
        return (z - b * mills) / omega, -bent, bent
    if code == EXGAUSSIAN:
        mills, share = _mills((y - eta) / a - a / b)
        bent = max(share / (a * a), 1e-300)
        return 1.0 / b - mills / a, -bent, bent
    if code == NEGATIVE_BINOMIAL:
        share = 1.0 / (1.0 + a * math.exp(-eta))
        bent = (y + a) * share * (1.0 - share)
        return y - (y + a) * share, -bent, bent
    if code == POISSON:
        mean = math.exp(eta)
        return y - mean, -mean, mean
    s, rest = _shapes(eta, a)
    slope = s * rest / a  # of s by eta
    bend = slope * (rest - s) / a
    if code == BETA:
        by_s = known[0] - known[1] - _digamma(s) + _digamma(rest)
        twice = -_trigamma(s) - _trigamma(rest)
        return slope * by_s, slope * slope * twice + bend * by_s, -slope * slope * twice
    misses = known[0] - y
    by_s = _digamma(y + s) - _digamma(s) - _digamma(misses + rest) + _digamma(rest)
    twice = _trigamma(y + s) - _trigamma(s) + _trigamma(misses + rest) - _trigamma(rest)
    return slope * by_s, slope * slope * twice + bend * by_s, max(-slope * slope * twice, 1e-12)


@_compiled
def skew_scale(a: float, b: float) -> tuple[float, float]:
    """Of a skew-normal of sd a and slant b: its scale omega, and its mean less location over it.

    ``shift = b / sqrt(1 + b^2) sqrt(2 / pi)``, ``omega = a / sqrt(1 - shift^2)``.
    """
    shift = b / math.sqrt(1.0 + b * b) * math.sqrt(2.0 / math.pi)
    return a / math.sqrt(1.0 - shift * shift), shift


@_compiled
def _mills(x: float) -> tuple[float, float]:
    """``m = phi(x) / Phi(x)``, and ``m (m + x)``, which is between zero and one.

    The latter is minus the second derivative of ``log Phi``: a difference of large numbers where x
    is far below zero, and so held in its bounds.
    """
    mills = math.exp(-0.5 * x * x - _HALF_LOG_2PI - log_normal_cdf(x))
    return mills, min(max(mills * (mills + x), 0.0), 1.0)


@_compiled
def _shapes(eta: float, a: float) -> tuple[float, float]:
    """The shapes ``a mu`` and ``a (1 - mu)`` at ``mu = expit(eta)``; never exactly zero."""
    small = math.exp(-abs(eta))
    less, more = a * small / (1.0 + small), a / (1.0 + small)
    less = max(less, 1e-300)
    return (more, less) if eta >= 0 else (less, more)


@_compiled
def _digamma(x: float) -> float:
    """By recurrence up to 8, and the asymptotic series from there."""
    total = 0.0
    while x < 8.0:
        total -= 1.0 / x
        x += 1.0
    u = 1.0 / (x * x)
    series = u * (1 / 12 - u * (1 / 120 - u * (1 / 252 - u * (1 / 240 - u * (1 / 132)))))
    return total + math.log(x) - 0.5 / x - series


@_compiled
def _trigamma(x: float) -> float:
    """By recurrence up to 8, and the asymptotic series from there."""
    total = 0.0
    while x < 8.0:
        total += 1.0 / (x * x)
        x += 1.0
    u = 1.0 / (x * x)
    series = u * (1 / 6 - u * (1 / 30 - u * (1 / 42 - u * (1 / 30 - u * (5 / 66)))))
    return total + 1.0 / x + 0.5 * u + series / x
