"""Log densities of rows that are censored or truncated, with slopes by eta, compiled.

Of a row four numbers are known: its response lies between ``low`` and ``high``, which are equal
where it was observed, and no row outside of ``lb`` and ``ub`` was reported. With f the density and
F the distribution function about eta, of scale a, the log density of an observed row y is

    log f(y) - log(F(ub) - F(lb)),

and that of a censored one ``log(F(high) - F(low)) - log(F(ub) - F(lb))``. Of normal responses both
are concave: minus the second derivative is ``(Var(Y | lb, ub) - Var(Y | low, high)) / a^4``, and a
variance within ends shrinks with these where the density is log-concave (Burdett 1996, Economics
Letters 52(3)). Distributions are the standard normal one, or Student's t with b degrees of freedom.
"""

import math

import numba

from causalbias.inference.problem import FloatArray

NARROW = 1e-3  # width, in standard deviations, up to which a mass is width times density, to 1e-7
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


@_compiled
def limited_density(normal: bool, known: FloatArray, eta: float, a: float, b: float) -> float:
    """The log density of a row; ``known`` is low, high, lb, ub."""
    low, high, lb, ub = known[0], known[1], known[2], known[3]
    if low < high:
        found = log_mass(normal, (low - eta) / a, (high - eta) / a, b)
    else:
        found = log_standard(normal, (low - eta) / a, b) - math.log(a)
    return found - log_mass(normal, (lb - eta) / a, (ub - eta) / a, b)


@_compiled
def limited_slopes(
    normal: bool, known: FloatArray, eta: float, a: float, b: float
) -> tuple[float, float, float]:
    """First and second derivative, and a curvature that is never negative.

    The last is that of a normal response; of a t which was observed the weight of its EM
    algorithm, and zero of one that is censored.
    """
    low, high, lb, ub = known[0], known[1], known[2], known[3]
    inside, bent = _slopes_of_mass(normal, (lb - eta) / a, (ub - eta) / a, b)
    if low < high:
        one, two = _slopes_of_mass(normal, (low - eta) / a, (high - eta) / a, b)
    else:
        one, two = _slopes_of_density(normal, (low - eta) / a, b)
    slope, bend = (one - inside) / a, (two - bent) / (a * a)
    if not normal:
        r = low - eta
        return slope, bend, 0.0 if low < high else (b + 1.0) / (b * a * a + r * r)
    curvature = min(max(-bend, 0.0), 1.0 / (a * a))  # far out a difference of large numbers
    return slope, -curvature, curvature


@_compiled
def _slopes_of_density(normal: bool, z: float, b: float) -> tuple[float, float]:
    """Derivatives by eta of the standard log density at z."""
    if normal:
        return z, -1.0
    weight = (b + 1.0) / (b + z * z)
    return weight * z, -weight * (b - z * z) / (b + z * z)


@_compiled
def _slopes_of_mass(normal: bool, low: float, high: float, b: float) -> tuple[float, float]:
    """Derivatives by eta, a being one, of the log of the mass P between two ends.

    ``(f(low) - f(high)) / P`` and ``(f'(high) - f'(low)) / P`` less the square of the first, with
    ``f' = -z f`` of the normal distribution and ``-(b + 1) z / (b + z^2) f`` of the t.
    """
    if low == -math.inf and high == math.inf:
        return 0.0, 0.0
    if high - low < NARROW:
        return _slopes_of_density(normal, 0.5 * (low + high), b)
    log_p, slope, bend = log_mass(normal, low, high, b), 0.0, 0.0
    for sign, z in ((1.0, high), (-1.0, low)):
        if abs(z) < 1e150:  # at infinity both are zero
            share = sign * math.exp(log_standard(normal, z, b) - log_p)
            slope -= share
            bend -= share * (z if normal else (b + 1.0) * z / (b + z * z))
    return slope, bend - slope * slope


@_compiled
def log_standard(normal: bool, z: float, b: float) -> float:
    """Log density of the standard normal distribution, or of Student's t with b degrees."""
    if normal:
        return -0.5 * z * z - _HALF_LOG_2PI
    greatest = math.lgamma((b + 1) / 2) - math.lgamma(b / 2) - 0.5 * math.log(b * math.pi)
    return greatest - 0.5 * (b + 1.0) * math.log1p(z * z / b)


@_compiled
def log_mass(normal: bool, low: float, high: float, b: float) -> float:
    """``log(F(high) - F(low))``, of the tails on the side on which they are small."""
    if high - low < NARROW:
        return log_standard(normal, 0.5 * (low + high), b) + math.log(high - low)
    if low > 0.0:
        low, high = -high, -low
    if normal:
        large, small = log_normal_cdf(high), log_normal_cdf(low)
    else:
        large, small = log_student_cdf(high, b), log_student_cdf(low, b)
    if small == -math.inf:
        return large
    return large + math.log(-math.expm1(min(small - large, -1e-300)))


@_compiled
def log_normal_cdf(x: float) -> float:
    """``log Phi(x)``; below -25 by its asymptotic series, ``phi(x) / -x (1 - x^-2 + 3 x^-4)``."""
    if x > -25.0:
        return math.log(0.5 * math.erfc(-x / math.sqrt(2.0)))
    square = x * x
    series = math.log1p(-1 / square + 3 / square**2 - 15 / square**3)
    return -0.5 * square - _HALF_LOG_2PI - math.log(-x) + series


@_compiled
def log_student_cdf(z: float, nu: float) -> float:
    """``log T_nu(z)``: below zero ``T = I_x(nu / 2, 1 / 2) / 2``, ``x = nu / (nu + z^2)``.

    (Abramowitz and Stegun 26.7.1.) I is the incomplete beta function by its continued fraction
    (26.5.8), or one less that of the other side, whichever converges faster.
    """
    if z > 0.0:
        return math.log1p(-math.exp(log_student_cdf(-z, nu)))
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
