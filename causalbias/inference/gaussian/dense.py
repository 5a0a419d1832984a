"""The leading term's buckets and the dense part, in compiled loops.

They run at some thousand sets of scales, on matrices that are mostly small, where calls of NumPy
would take most of the time.
"""

import numba
import numpy as np

from causalbias.inference.problem import FloatArray, IntArray

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


@_compiled
def eliminate_buckets(
    precision: FloatArray,
    gram: FloatArray,
    count: FloatArray,
    entry: IntArray,
    cells: IntArray,
    factor: FloatArray,
    weights: FloatArray,
) -> float:
    """Fill the weights (cells + sums,) of the stack's rows; return the log determinant.

    With ``G_b = sum_c w_c G_cb`` and ``R R' = I + L'G_b L``, what a bucket takes is
    ``F_b = L R'^-1 R^-1 L'``, and the log determinant ``sum_b n_b log |I + L'G_b L|``. The weights
    are the w_c, then ``-F_rs w_c w_d`` of each sum; NaN where a matrix is not numerically positive
    definite. Arguments as in `blocks.Buckets`: precision (cells,), gram (cells, buckets, k, k).
    """
    n_cells, n_buckets, k = len(precision), len(count), len(factor)
    taken = np.empty(n_buckets * (k * (k + 1) // 2))
    inner, half = np.empty((k, k)), np.empty((k, k))
    log_det, at = 0.0, 0
    for b in range(n_buckets):
        for r in range(k):
            for c in range(k):
                total = 0.0
                for cell in range(n_cells):
                    total += precision[cell] * gram[cell, b, r, c]
                half[r, c] = total
        for r in range(k):  # G L, then L'G L + I; L is lower triangular
            for c in range(k):
                total = 0.0
                for s in range(c, k):
                    total += half[r, s] * factor[s, c]
                half[r, c] = total
        for r in range(k):
            for c in range(r + 1):
                total = 1.0 if r == c else 0.0
                for s in range(r, k):
                    total += factor[s, r] * half[s, c]
                inner[r, c] = total
        for r in range(k):  # its Cholesky factor R, in its place
            for c in range(r + 1):
                total = inner[r, c]
                for s in range(c):
                    total -= inner[r, s] * inner[c, s]
                if c < r:
                    inner[r, c] = total / inner[c, c]
                elif total > 0.0:
                    inner[r, r] = np.sqrt(total)
                    log_det += count[b] * np.log(total)
                else:
                    weights[:] = np.nan
                    return np.nan
        for c in range(k):  # R^-1 L', whose column c is that of L's row c
            for r in range(k):
                total = factor[c, r]
                for s in range(r):
                    total -= inner[r, s] * half[s, c]
                half[r, c] = total / inner[r, r]
        for r in range(k):
            for c in range(r, k):
                total = 0.0
                for s in range(k):
                    total += half[s, r] * half[s, c]
                taken[at] = total
                at += 1
    weights[:n_cells] = precision
    for i in range(len(entry)):
        weights[n_cells + i] = -taken[entry[i]] * precision[cells[i, 0]] * precision[cells[i, 1]]
    return log_det


@_compiled
def whiten_dense(
    dense: FloatArray,
    first: IntArray,
    widths: IntArray,
    factors: FloatArray,
    scale: FloatArray,
    precision: FloatArray,
    prior: FloatArray,
    matrix: FloatArray,
    rhs: FloatArray,
) -> None:
    """Fill the dense part's normal matrix (q, q) and right side (q,) at some scales.

    With S the factors of the dense terms' levels and the prior scales of the coefficients, one
    block after another on a diagonal, these are ``S'CS + P`` and ``S'c`` plus the prior's. C and c
    are in dense (q + 1, q + 1); the levels of dense term t have rows from ``first[t]`` to
    ``first[t + 1]``, ``widths[t]`` each, and L in ``factors[t]``.
    """
    q, p = len(rhs), len(scale)
    for i in range(q):
        rhs[i] = dense[i, q]
        for j in range(q):
            matrix[i, j] = dense[i, j]
    for t in range(len(widths)):
        k, left = widths[t], factors[t]
        for at in range(first[t], first[t + 1], k):
            for r in range(k):  # rows after r are as they were
                rhs[at + r] *= left[r, r]
                for j in range(q):
                    matrix[at + r, j] *= left[r, r]
                for s in range(r + 1, k):
                    rhs[at + r] += left[s, r] * rhs[at + s]
                    for j in range(q):
                        matrix[at + r, j] += left[s, r] * matrix[at + s, j]
    for a in range(p):
        rhs[q - p + a] = rhs[q - p + a] * scale[a] + prior[a]
        for j in range(q):
            matrix[q - p + a, j] *= scale[a]
    for i in range(q):
        for t in range(len(widths)):
            k, right = widths[t], factors[t]
            for at in range(first[t], first[t + 1], k):
                for c in range(k):
                    total = 0.0
                    for s in range(c, k):
                        total += matrix[i, at + s] * right[s, c]
                    matrix[i, at + c] = total
        for a in range(p):
            matrix[i, q - p + a] *= scale[a]
        matrix[i, i] += precision[i]


@_compiled
def solve_lower(upper: FloatArray, rhs: FloatArray) -> tuple[float, float]:
    """Solve ``R s = rhs`` in place, for R (q, q) of which ``upper`` is the transpose.

    Returns half the log determinant of ``R R'``, and ``|s|^2``.
    """
    half_log_det, squared = 0.0, 0.0
    for i in range(len(rhs)):
        rhs[i] /= upper[i, i]
        half_log_det += np.log(upper[i, i])
        squared += rhs[i] ** 2
        for j in range(i + 1, len(rhs)):
            rhs[j] -= upper[i, j] * rhs[i]
    return half_log_det, squared
