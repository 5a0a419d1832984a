"""Exponentials and logarithms of many numbers, in loops that compile to vector instructions.

Numba calls the C library one number at a time, which takes most of the time of a likelihood. These
are the textbook reductions (Muller, Elementary Functions, 2016, ch. 11), right to 3 units in the
last place. What is read must not be what is written: the loops would run one number at a time.
"""

import math
from typing import Any

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic

from causalbias.inference.problem import FloatArray

_LOG2_E = 1 / math.log(2)
_LN2_HIGH = 6.93147180369123816490e-01  # ends in zeros: times a whole number it is exact
_LN2_LOW = 1.90821492927058770002e-10
_FACTOR = tuple(1 / math.factorial(k) for k in range(13, -1, -1))
_ODD = tuple(2 / (2 * k + 1) for k in range(10, -1, -1))
_ROUND = 1.5 * 2.0**52  # added to a small number, leaves its nearest whole one in the last bits
_ROUND_BITS = int(np.float64(_ROUND).view(np.int64))
_ROOT_HALF_BITS = int(np.float64(math.sqrt(0.5)).view(np.int64))
_MOST = 700.0


def _cast(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return builder.bitcast(args[0], context.get_value_type(signature.return_type))


@intrinsic
def _as_float(_context: Any, _bits: Any) -> Any:
    """Read the bits of an integer as those of a double."""
    return types.float64(types.int64), _cast


@intrinsic
def _as_bits(_context: Any, _number: Any) -> Any:
    """Read the bits of a double as those of an integer."""
    return types.int64(types.float64), _cast


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def exp_all(x: FloatArray, size: int, out: FloatArray) -> None:
    """Fill the exponentials of the first numbers, held to -700 .. 700.

    ``exp(x) = 2^k exp(r)``, k whole, ``r = x - k log 2`` within log(2) / 2 of zero, where the
    series of 14 terms is exact.
    """
    for i in range(size):
        bounded = min(max(x[i], -_MOST), _MOST)
        rounded = bounded * _LOG2_E + _ROUND
        k = rounded - _ROUND
        r = (bounded - k * _LN2_HIGH) - k * _LN2_LOW
        series = _FACTOR[0]
        for factor in numba.literal_unroll(_FACTOR[1:]):
            series = series * r + factor
        power = (_as_bits(rounded) - _ROUND_BITS + 1023) << 52
        out[i] = series * _as_float(power)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def subtract_logs(times: float, x: FloatArray, out: FloatArray) -> None:
    """Subtract the logarithms of x, so many times; x positive, finite and not subnormal.

    ``log(x) = k log 2 + log(m)``, k whole, m from root 1/2 to root 2, and
    ``log(m) = 2 (s + s^3 / 3 + s^5 / 5 + ...)`` with ``s = (m - 1) / (m + 1)``.
    """
    for i in range(len(x)):
        bits = _as_bits(x[i])
        whole = (bits - _ROOT_HALF_BITS) >> 52
        m = _as_float(bits - (whole << 52))
        k = _as_float(whole + _ROUND_BITS) - _ROUND
        s = (m - 1.0) / (m + 1.0)
        square = s * s
        series = _ODD[0]
        for odd in numba.literal_unroll(_ODD[1:]):
            series = series * square + odd
        out[i] -= times * (k * _LN2_HIGH + (s * series + k * _LN2_LOW))
