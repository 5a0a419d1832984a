"""Cholesky factors of large matrices and inverses from them, in several threads at once.

SciPy's wrappers of LAPACK hold Python's lock, so that threads with a matrix each would wait for one
another. The same routines are called here without it.
"""

import ctypes

import numpy as np
from numba.extending import get_cython_function_address

from causalbias.inference.problem import EngineError, FloatArray

_INT = ctypes.POINTER(ctypes.c_int)
_ROUTINE = ctypes.CFUNCTYPE(None, ctypes.c_char_p, _INT, ctypes.c_void_p, _INT, _INT)
_POTRF, _POTRI = (
    _ROUTINE(get_cython_function_address("scipy.linalg.cython_lapack", name))
    for name in ("dpotrf", "dpotri")
)


def factor_of(matrix: FloatArray) -> FloatArray:
    """Return the lower Cholesky factor of a matrix whose lower triangle is given; overwrite it."""
    factor = np.ascontiguousarray(matrix)
    if _in_place(_POTRF, factor) != 0:
        raise EngineError("the curvature is not positive: an effect is not determined")
    for i, row in enumerate(factor):
        row[i + 1 :] = 0.0
    return factor


def inverse_of(factor: FloatArray) -> FloatArray:
    """Return the inverse of the matrix that has this lower Cholesky factor."""
    inverse = factor.copy()
    _in_place(_POTRI, inverse)
    for i, row in enumerate(inverse):
        inverse[:i, i] = row[:i]
    return inverse


def _in_place(routine: "ctypes._CFunctionType", matrix: FloatArray) -> int:
    """Run a routine on the lower triangle of a row-major matrix: LAPACK's upper one."""
    size, info = ctypes.c_int(len(matrix)), ctypes.c_int()
    routine(b"U", size, matrix.ctypes.data, size, info)
    return info.value
