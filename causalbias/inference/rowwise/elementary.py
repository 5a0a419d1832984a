"""Logarithm and exponential of one number, as arithmetic: loops over them are vectorised.

Those of the C library are calls, one after another. They are right to 2e-11, of which a log
likelihood of a million terms notices nothing.
"""

import math

import numba
import numpy as np

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
_LOG_2, _LOG_2E = math.log(2.0), 1.0 / math.log(2.0)
_MAGIC = 6755399441055744.0  # 1.5 * 2^52: added to a small number, it rounds it to a whole one


@_compiled
def _split(x: float) -> tuple[float, float]:
    """``e`` and ``s = (m - 1) / (m + 1)`` with ``x = 2^e m``, m between 1/sqrt(2) and sqrt(2)."""
    bits = np.float64(x).view(np.int64)
    m = np.int64((bits & 0xFFFFFFFFFFFFF) | 0x3FF0000000000000).view(np.float64)
    # a whole number e below 2^52 is the double of bits e | 2^52, less 2^52
    e = np.int64((bits >> 52) | 0x4330000000000000).view(np.float64) - 4503599627371519.0
    large = m > 1.4142135623730951
    m = 0.5 * m if large else m
    e = e + 1.0 if large else e
    return e, (m - 1.0) / (m + 1.0)


@_compiled
def logarithm(x: float) -> float:
    """``log x`` of a positive number that is not subnormal: ``e log 2 + 2 atanh(s)``."""
    e, s = _split(x)
    q = s * s
    series = 1 / 7 + q * (1 / 9 + q * (1 / 11))
    return e * _LOG_2 + 2.0 * s * (1.0 + q * (1 / 3 + q * (1 / 5 + q * series)))


@_compiled
def precise_logarithm(x: float) -> float:
    """As `logarithm`, to rounding: for one that is multiplied by a large number."""
    e, s = _split(x)
    q = s * s
    series = 1 / 13 + q * (1 / 15 + q * (1 / 17 + q * (1 / 19)))
    series = 1 / 7 + q * (1 / 9 + q * (1 / 11 + q * series))
    return e * _LOG_2 + 2.0 * s * (1.0 + q * (1 / 3 + q * (1 / 5 + q * series)))


@_compiled
def exponential(x: float) -> float:
    """``exp x`` of a number that is at most 700, and next to zero below -700.

    ``x = k log 2 + r``, k whole and r at most log(2) / 2: ``2^k exp r``.
    """
    x = max(x, -700.0) * _LOG_2E
    shifted = x + _MAGIC
    r = (x - (shifted - _MAGIC)) * _LOG_2
    # the low bits of the shifted number are those of k
    power = np.int64((np.float64(shifted).view(np.int64) + 1023) << 52).view(np.float64)
    series = 1 / 720 + r * (1 / 5040 + r * (1 / 40320 + r * (1 / 362880)))
    series = 0.5 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * series)))
    return power * (1.0 + r * (1.0 + r * series))
