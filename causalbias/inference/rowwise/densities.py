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

STUDENT, GAMMA, BETA, SKEW_NORMAL, NEGATIVE_BINOMIAL, POISSON, BETA_BINOMIAL = range(7)
LIMITED_NORMAL, LIMITED_STUDENT = 7, 8
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
    """

    code: int
    link: str
    parameters: tuple[str, ...]
    real: tuple[str, ...] = ()


DENSITIES = {
    "t": Density(STUDENT, "identity", ("sigma", "nu")),
    "gamma": Density(GAMMA, "log", ("alpha",)),
    "beta": Density(BETA, "logit", ("kappa",)),
    "skew_normal": Density(SKEW_NORMAL, "identity", ("sigma", "alpha"), ("alpha",)),
    "negativebinomial": Density(NEGATIVE_BINOMIAL, "log", ("alpha",)),
    "poisson": Density(POISSON, "log", ()),
    "beta_binomial": Density(BETA_BINOMIAL, "logit", ("kappa",)),
}
# Of families some of whose rows are censored or truncated (`limited`). The lognormal distribution's
# response is its logarithm.
LIMITED = {
    "gaussian": Density(LIMITED_NORMAL, "identity", ("sigma",)),
    "lognormal": Density(LIMITED_NORMAL, "identity", ("sigma",)),
    "t": Density(LIMITED_STUDENT, "identity", ("sigma", "nu")),
}


def known_parts(
    code: int, y: FloatArray, trials: FloatArray | None, ends: FloatArray | None = None
) -> FloatArray:
    """What rows' log densities need of the response beside y itself, (n, 2)."""
    if ends is not None:
        return ends
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
    return 0.0


@_compiled
def response_part(code: int, y: float, first: float, second: float, a: float) -> float:
    """The part of the response and the parameters; ``first``, ``second`` from `known_parts`."""
    if code == GAMMA:
        return (a - 1.0) * first
    if code == BETA:
        return -first - second
    if code == NEGATIVE_BINOMIAL:
        return math.lgamma(y + a) - math.lgamma(y + 1.0)
    if code == POISSON:
        return -math.lgamma(y + 1.0)
    if code == BETA_BINOMIAL:
        ways = math.lgamma(first + 1) - math.lgamma(y + 1) - math.lgamma(first - y + 1)
        return ways - math.lgamma(first + a)
    return 0.0


@_compiled
def eta_part(
    code: int, y: float, first: float, second: float, eta: float, a: float, b: float
) -> float:
    """The part of eta.

    - Student t, ``z = (y - eta) / sigma``: ``-(nu + 1) / 2 log(1 + z^2 / nu)``.
    - gamma of mean ``mu = exp(eta)`` and shape a: ``-a (eta + y / mu)``.
    - beta of mean mu = expit(eta): ``s log y + (a - s) log(1 - y) - log Gamma(s) Gamma(a - s)``,
      ``s = mu a``.
    - skew-normal of mean eta, ``z = (y - eta) / omega + shift`` (`skew_scale`):
      ``-z^2 / 2 + log Phi(b z)``.
    - negative binomial: ``y eta - (y + a) log(a + exp(eta))``.
    - Poisson: ``y eta - exp(eta)``.
    - beta-binomial, of m trials:
      ``log Gamma(y + s) Gamma(m - y + a - s) / (Gamma(s) Gamma(a - s))``.
    - normal and t of rows with limits: the whole log density, or ``log(F(second) - F(first))``.
    """
    if code in (LIMITED_NORMAL, LIMITED_STUDENT):
        return _limited(code, y, first, second, eta, a, b)
    if code == STUDENT:
        z = (y - eta) / a
        return -0.5 * (b + 1.0) * math.log1p(z * z / b)
    if code == GAMMA:
        return -a * (eta + y * math.exp(-eta))
    if code == SKEW_NORMAL:
        omega, shift = skew_scale(a, b)
        z = (y - eta) / omega + shift
        return -0.5 * z * z + _log_normal_cdf(b * z)
    if code == NEGATIVE_BINOMIAL:
        # log(a + exp(eta)) from the larger of both
        top = max(eta, math.log(a))
        return y * eta - (y + a) * (top + math.log1p(math.exp(min(eta, math.log(a)) - top)))
    if code == POISSON:
        return y * eta - math.exp(eta)
    s, rest = _shapes(eta, a)
    if code == BETA:
        return s * first + rest * second - math.lgamma(s) - math.lgamma(rest)
    least = math.lgamma(y + s) - math.lgamma(s)
    return least + math.lgamma(first - y + rest) - math.lgamma(rest)


@_compiled
def slopes(
    code: int, y: float, first: float, second: float, eta: float, a: float, b: float
) -> tuple[float, float, float]:
    """First and second derivative by eta, and a curvature that is positive everywhere.

    The last is ``(nu + 1) / (nu sigma^2 + (y - eta)^2)`` of the t, the weight of its EM algorithm
    (Lange, Little and Taylor 1989); of the beta and beta-binomial what is left of the curvature
    where the slope by the mean is zero, at least in part; of a mass between ends the curvature
    where that is not negative, or none of a t's; else the curvature itself.
    """
    if code in (LIMITED_NORMAL, LIMITED_STUDENT):
        return _limited_slopes(code, y, first, second, eta, a, b)
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
        mills = math.exp(-0.5 * (b * z) ** 2 - _HALF_LOG_2PI - _log_normal_cdf(b * z))
        bent = (1.0 + b * b * mills * (mills + b * z)) / (omega * omega)
        return (z - b * mills) / omega, -bent, bent
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
        by_s = first - second - _digamma(s) + _digamma(rest)
        twice = -_trigamma(s) - _trigamma(rest)
        return slope * by_s, slope * slope * twice + bend * by_s, -slope * slope * twice
    by_s = _digamma(y + s) - _digamma(s) - _digamma(first - y + rest) + _digamma(rest)
    twice = _trigamma(y + s) - _trigamma(s) + _trigamma(first - y + rest) - _trigamma(rest)
    return slope * by_s, slope * slope * twice + bend * by_s, max(-slope * slope * twice, 1e-12)


@_compiled
def _limited(
    code: int, y: float, first: float, second: float, eta: float, a: float, b: float
) -> float:
    """Log density at y where the ends are in the wrong order; else log mass between these."""
    if first > second:
        return _log_standard(code, (y - eta) / a, b) - math.log(a)
    return _log_mass(code, (first - eta) / a, (second - eta) / a, b)


@_compiled
def _log_standard(code: int, z: float, b: float) -> float:
    """Log density of the standard normal distribution, or of Student's t with b degrees."""
    if code == LIMITED_NORMAL:
        return -0.5 * z * z - _HALF_LOG_2PI
    normal = math.lgamma((b + 1) / 2) - math.lgamma(b / 2) - 0.5 * math.log(b * math.pi)
    return normal - 0.5 * (b + 1.0) * math.log1p(z * z / b)


@_compiled
def _log_mass(code: int, low: float, high: float, b: float) -> float:
    """``log(F(high) - F(low))``, of the tails on the side on which they are small."""
    if low > 0.0:
        low, high = -high, -low
    if code == LIMITED_NORMAL:
        large, small = _log_normal_cdf(high), _log_normal_cdf(low)
    else:
        large, small = _log_student_cdf(high, b), _log_student_cdf(low, b)
    if small == -math.inf:
        return large
    return large + math.log(-math.expm1(min(small - large, -1e-300)))


@_compiled
def _limited_slopes(
    code: int, y: float, first: float, second: float, eta: float, a: float, b: float
) -> tuple[float, float, float]:
    """Of a mass P between ends: ``-(f_1 - f_0) / (a P)``, ``(f'_1 - f'_0) / (a^2 P) - l'^2``.

    f is the standard density at the upper (1) and lower end (0), in standard deviations from eta;
    ``f' = -z f`` of the normal distribution, ``-(b + 1) z / (b + z^2) f`` of the t.
    """
    if first > second:
        r = y - eta
        if code == LIMITED_NORMAL:
            return r / (a * a), -1.0 / (a * a), 1.0 / (a * a)
        whole = b * a * a + r * r
        weight = (b + 1.0) / whole
        return weight * r, -weight * (b * a * a - r * r) / whole, weight
    log_p = _log_mass(code, (first - eta) / a, (second - eta) / a, b)
    slope, bend = 0.0, 0.0
    for sign, end in ((1.0, second), (-1.0, first)):
        z = (end - eta) / a
        if abs(z) < 1e150:  # at infinity both are zero
            share = sign * math.exp(_log_standard(code, z, b) - log_p)
            pull = z if code == LIMITED_NORMAL else (b + 1.0) * z / (b + z * z)
            slope -= share / a
            bend -= pull * share / (a * a)
    bend -= slope * slope
    return slope, bend, max(-bend, 0.0) if code == LIMITED_NORMAL else 0.0


@_compiled
def _log_student_cdf(z: float, nu: float) -> float:
    """``log T_nu(z)``: below zero ``T = I_x(nu / 2, 1 / 2) / 2``, ``x = nu / (nu + z^2)``.

    (Abramowitz and Stegun 26.7.1.) I is the incomplete beta function by its continued fraction
    (26.5.8), or one less that of the other side, whichever converges faster.
    """
    if z > 0.0:
        return math.log1p(-math.exp(_log_student_cdf(-z, nu)))
    if z == 0.0:
        return -math.log(2.0)
    if z == -math.inf:
        return -math.inf
    p, square = 0.5 * nu, z * z / nu
    log_x = -math.log1p(square)
    log_rest = math.log(square) + log_x
    front = math.lgamma(p + 0.5) - math.lgamma(p) - 0.5 * math.log(math.pi)
    front += p * log_x + 0.5 * log_rest
    if math.exp(log_x) < (p + 1.0) / (p + 2.5):
        return front + math.log(_beta_fraction(p, 0.5, math.exp(log_x)) / p) - math.log(2.0)
    other = math.exp(front) * _beta_fraction(0.5, p, math.exp(log_rest)) / 0.5
    return math.log(0.5 * (1.0 - other))


@_compiled
def _beta_fraction(p: float, q: float, x: float) -> float:
    """The continued fraction, by the modified method of Lentz (1976, Applied Optics 15(3))."""
    tiny = 1e-300
    c, d = 1.0, 1.0 - (p + q) * x / (p + 1.0)
    d = 1.0 / (d if abs(d) > tiny else tiny)
    found = d
    for m in range(1, 1000):
        even = m * (q - m) * x / ((p + 2 * m - 1.0) * (p + 2 * m))
        odd = -(p + m) * (p + q + m) * x / ((p + 2 * m) * (p + 2 * m + 1.0))
        change = 1.0
        for step in (even, odd):
            d, c = 1.0 + step * d, 1.0 + step / c
            d = 1.0 / (d if abs(d) > tiny else tiny)
            c = c if abs(c) > tiny else tiny
            change = d * c
            found *= change
        if abs(change - 1.0) < 1e-14:
            break
    return found


@_compiled
def skew_scale(a: float, b: float) -> tuple[float, float]:
    """Of a skew-normal of sd a and slant b: its scale omega, and its mean less location over it.

    ``shift = b / sqrt(1 + b^2) sqrt(2 / pi)``, ``omega = a / sqrt(1 - shift^2)``.
    """
    shift = b / math.sqrt(1.0 + b * b) * math.sqrt(2.0 / math.pi)
    return a / math.sqrt(1.0 - shift * shift), shift


@_compiled
def _shapes(eta: float, a: float) -> tuple[float, float]:
    """The shapes ``a mu`` and ``a (1 - mu)`` at ``mu = expit(eta)``; never exactly zero."""
    small = math.exp(-abs(eta))
    less, more = a * small / (1.0 + small), a / (1.0 + small)
    less = max(less, 1e-300)
    return (more, less) if eta >= 0 else (less, more)


@_compiled
def _log_normal_cdf(x: float) -> float:
    """``log Phi(x)``; below -25 by its asymptotic series, ``phi(x) / -x (1 - x^-2 + 3 x^-4)``."""
    if x > -25.0:
        return math.log(0.5 * math.erfc(-x / math.sqrt(2.0)))
    square = x * x
    series = math.log1p(-1 / square + 3 / square**2 - 15 / square**3)
    return -0.5 * square - _HALF_LOG_2PI - math.log(-x) + series


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
