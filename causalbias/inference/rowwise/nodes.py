"""Log likelihoods of a level's rows at many values of its effect, side by side.

Loops over the values are the innermost ones, without branches and without calls, so that they are
vectorised. What each family's part of eta is, `densities.eta_part` says. Those of the gamma and
Poisson distributions need no loop over rows and values at all: with v added to eta of each row they
are ``base + linear v + wave exp(-v)`` and ``base + linear v + wave exp(v)``.
"""

import math

import numba
import numpy as np
from numpy.polynomial import chebyshev
from scipy import special

from causalbias.inference.problem import FloatArray, IntArray
from causalbias.inference.rowwise.densities import (
    BETA,
    EXGAUSSIAN,
    GAMMA,
    LIMITED_NORMAL,
    LIMITED_STUDENT,
    NEGATIVE_BINOMIAL,
    POISSON,
    SKEW_NORMAL,
    STUDENT,
    eta_part,
    skew_scale,
)
from causalbias.inference.rowwise.elementary import exponential, logarithm, precise_logarithm
from causalbias.inference.rowwise.limited import NARROW, log_mass, log_standard

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
# Sums keep their order: another one would undo the rounding in `exponential`.
_vectorised = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
_inline = numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
_FAR = 300.0  # of eta, beyond which exponentials are not multiplied
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_LOG_2, _ROOT_HALF = math.log(2.0), math.sqrt(0.5)


def _of_tail(z: FloatArray) -> FloatArray:
    """``log(exp(x^2) erfc(x) / t)``, x and ``t = 2 / (2 + x)`` from ``z = 2 t - 1``."""
    t = np.maximum(0.5 * (z + 1.0), 1e-12)
    return np.asarray(np.log(special.erfcx(2.0 / t - 2.0) / t))


# Of powers of z, the highest first, to 1e-12.
_POINTS = chebyshev.chebpts1(19)
_TAIL = chebyshev.cheb2poly(chebyshev.chebfit(_POINTS, _of_tail(_POINTS), 18))[::-1].copy()


@_inline
def log_gamma(x: float) -> float:
    """``log Gamma(x)``: Stirling's series at x + 8, less ``log(x (x + 1) ... (x + 7))``.

    (Abramowitz and Stegun 6.1.41.) x is positive and at most 1e38.
    """
    lifted = x + 8.0
    u = 1.0 / lifted
    q = u * u
    series = u * (1 / 12 - q * (1 / 360 - q * (1 / 1260 - q * (1 / 1680 - q * (1 / 1188)))))
    pairs = (x * (x + 7.0), (x + 1.0) * (x + 6.0), (x + 2.0) * (x + 5.0), (x + 3.0) * (x + 4.0))
    product = (pairs[0] * pairs[1]) * (pairs[2] * pairs[3])
    whole = (lifted - 0.5) * precise_logarithm(lifted) - lifted + _HALF_LOG_2PI + series
    return whole - precise_logarithm(product)


@_compiled
def add_rows(
    code: int,
    first: int,
    last: int,
    y: FloatArray,
    known: FloatArray,
    weight: FloatArray,
    cell: IntArray,
    eta: FloatArray,
    phi: FloatArray,
    shift: FloatArray,
    grown: FloatArray,
    spare: FloatArray,
    logs: FloatArray,
) -> None:
    """Add to ``logs`` (values,) the sum over a level's rows of the part of eta at ``eta + shift``.

    ``grown`` and ``spare`` are overwritten. Rows with an eta so large that its exponential
    overflows are added one by one.
    """
    if code in (LIMITED_NORMAL, LIMITED_STUDENT):
        rows = first, last, known, weight, cell, eta, phi
        _add_limited(code == LIMITED_NORMAL, *rows, shift, grown, spare, logs)
        return
    reach = 0.0
    for k in range(len(shift)):
        reach = max(reach, abs(shift[k]))
    most = 0.0
    for i in range(first, last):
        most = max(most, abs(eta[i]))
    if not reach + most < _FAR and code not in (STUDENT, SKEW_NORMAL, EXGAUSSIAN):
        for i in range(first, last):
            a, b = phi[cell[i], 0], phi[cell[i], 1]
            for k in range(len(shift)):
                at = eta[i] + shift[k]
                logs[k] += weight[i] * eta_part(code, y[i], known[i], at, a, b)
        return
    if code in (GAMMA, POISSON):
        _add_waves(code == GAMMA, first, last, y, weight, cell, eta, phi, shift, logs)
        return
    _grow(shift, grown)
    for i in range(first, last):
        n, a, b, here = weight[i], phi[cell[i], 0], phi[cell[i], 1], known[i]
        if code == STUDENT:
            _add_student(n, y[i] - eta[i], a, b, shift, logs)
        elif code == SKEW_NORMAL:
            omega, middle = skew_scale(a, b)
            middle += (y[i] - eta[i]) / omega
            _add_normal(n, middle, 1.0 / omega, shift, logs)
            _tails(b * middle, -b / omega, shift, grown, spare)
            _add_tail(n, b * middle, -b / omega, shift, spare, logs)
        elif code == EXGAUSSIAN:
            gap = y[i] - eta[i]
            for k in range(len(shift)):
                logs[k] += n * (shift[k] - gap) / b
            _tails(gap / a - a / b, -1.0 / a, shift, grown, spare)
            _add_tail(n, gap / a - a / b, -1.0 / a, shift, spare, logs)
        elif code == NEGATIVE_BINOMIAL:
            _add_negative_binomial(n, y[i], eta[i], a, shift, grown, logs)
        elif code == BETA:
            _add_beta(n, here[0], here[1], math.exp(eta[i]), a, grown, logs)
        else:
            _add_beta_binomial(n, y[i], here[0], math.exp(eta[i]), a, grown, logs)


@_compiled
def _add_limited(  # type: ignore[no-untyped-def]
    normal, first, last, known, weight, cell, eta, phi, shift, place, tail, logs
):
    """Rows with limits (`limited`); ``place`` and ``tail`` are overwritten."""
    room = shift, place, tail, np.empty(len(shift)), logs
    for i in range(first, last):
        n, a, b = weight[i], phi[cell[i], 0], phi[cell[i], 1]
        low, high, lb, ub = known[i, 0], known[i, 1], known[i, 2], known[i, 3]
        if low < high:
            _add_mass(normal, n, low - eta[i], high - eta[i], a, b, *room)
        else:
            greatest = n * (log_standard(normal, 0.0, b) - math.log(a))
            for k in range(len(shift)):
                logs[k] += greatest
            if normal:
                _add_normal(n, (low - eta[i]) / a, 1.0 / a, shift, logs)
            else:
                _add_student(n, low - eta[i], a, b, shift, logs)
        if lb > -math.inf or ub < math.inf:
            _add_mass(normal, -n, lb - eta[i], ub - eta[i], a, b, *room)


@_compiled
def _add_mass(normal, n, low, high, a, b, shift, place, tail, other, logs):  # type: ignore[no-untyped-def]
    """``n log(F(high - shift) - F(low - shift))``."""
    if normal and low == -math.inf:
        _tails(high / a, -1.0 / a, shift, place, tail)
        _add_tail(n, high / a, -1.0 / a, shift, tail, logs)
    elif normal and high == math.inf:
        _tails(-low / a, 1.0 / a, shift, place, tail)
        _add_tail(n, -low / a, 1.0 / a, shift, tail, logs)
    elif normal and high - low > NARROW * a:
        _tails(low / a, -1.0 / a, shift, place, tail)
        _tails(high / a, -1.0 / a, shift, place, other)
        _add_between(n, low, high, shift, tail, other, logs)
    else:
        for k in range(len(shift)):
            logs[k] += n * log_mass(normal, (low - shift[k]) / a, (high - shift[k]) / a, b)


@_vectorised
def _tails(x, rate, shift, place, tail):  # type: ignore[no-untyped-def]
    """``log Phi(-abs(x + rate shift))``, of which ``place`` is overwritten.

    By ``erfc(y) = t exp(p(2 t - 1) - y^2)``, ``t = 2 / (2 + y)``, p of `_TAIL` (Hastings 1955, for
    its form).
    """
    for k in range(len(shift)):
        y = abs(x + rate * shift[k]) * _ROOT_HALF
        place[k], tail[k] = 4.0 / (2.0 + y) - 1.0, _TAIL[0]
    for c in range(1, len(_TAIL)):
        for k in range(len(shift)):
            tail[k] = tail[k] * place[k] + _TAIL[c]
    for k in range(len(shift)):
        y = abs(x + rate * shift[k]) * _ROOT_HALF
        tail[k] += logarithm(1.0 + place[k]) - y * y - 2.0 * _LOG_2


@_vectorised
def _add_tail(n, x, rate, shift, tail, logs):  # type: ignore[no-untyped-def]
    """``n log Phi(x + rate shift)``."""
    for k in range(len(shift)):
        rest = logarithm(1.0 - exponential(tail[k]))
        logs[k] += n * (tail[k] if x + rate * shift[k] < 0.0 else rest)


@_vectorised
def _add_between(n, low, high, shift, below, above, logs):  # type: ignore[no-untyped-def]
    """What lies between two ends, of the tails beyond each, on the side of either."""
    for k in range(len(shift)):
        large, small = max(below[k], above[k]), min(below[k], above[k])
        beside = large + logarithm(1.0 - exponential(small - large))
        within = logarithm(max(1.0 - exponential(large) - exponential(small), 1e-300))
        logs[k] += n * (within if (low - shift[k]) * (high - shift[k]) < 0.0 else beside)


@_vectorised
def _add_normal(n, z, rate, shift, logs):  # type: ignore[no-untyped-def]
    for k in range(len(shift)):
        here = z - rate * shift[k]
        logs[k] -= 0.5 * n * here * here


@_vectorised
def _grow(shift: FloatArray, grown: FloatArray) -> None:
    for k in range(len(shift)):
        grown[k] = exponential(min(shift[k], 700.0))


@_vectorised
def _add_waves(  # type: ignore[no-untyped-def]
    falls, first, last, y, weight, cell, eta, phi, shift, logs
):
    """The gamma's ``-a (eta + y exp(-eta))`` or the Poisson's ``y eta - exp(eta)`` of all rows."""
    base, linear, wave = 0.0, 0.0, 0.0
    for i in range(first, last):
        if falls:
            times = weight[i] * phi[cell[i], 0]
            base -= times * eta[i]
            linear -= times
            wave += times * y[i] * math.exp(-eta[i])
        else:
            base += weight[i] * y[i] * eta[i]
            linear += weight[i] * y[i]
            wave += weight[i] * math.exp(eta[i])
    sign = -1.0 if falls else 1.0
    for k in range(len(shift)):
        logs[k] += base + linear * shift[k] - wave * exponential(sign * shift[k])


@_vectorised
def _add_student(n, gap, a, b, shift, logs):  # type: ignore[no-untyped-def]
    inverse, half = 1.0 / (b * a * a), 0.5 * n * (b + 1.0)
    for k in range(len(shift)):
        r = gap - shift[k]
        logs[k] -= half * logarithm(1.0 + r * r * inverse)


@_vectorised
def _add_negative_binomial(n, y, eta, a, shift, grown, logs):  # type: ignore[no-untyped-def]
    mean = math.exp(eta)
    for k in range(len(shift)):
        log = precise_logarithm(a + mean * grown[k])
        logs[k] += n * (y * (eta + shift[k]) - (y + a) * log)


@_vectorised
def _add_beta(n, log_y, log_rest, odds, a, grown, logs):  # type: ignore[no-untyped-def]
    for k in range(len(grown)):
        rest = a / (1.0 + odds * grown[k])
        s = odds * grown[k] * rest
        logs[k] += n * (s * log_y + rest * log_rest - log_gamma(s) - log_gamma(rest))


@_vectorised
def _add_beta_binomial(n, y, trials, odds, a, grown, logs):  # type: ignore[no-untyped-def]
    for k in range(len(grown)):
        rest = a / (1.0 + odds * grown[k])
        s = odds * grown[k] * rest
        hits = log_gamma(y + s) - log_gamma(s)
        logs[k] += n * (hits + log_gamma(trials - y + rest) - log_gamma(rest))
