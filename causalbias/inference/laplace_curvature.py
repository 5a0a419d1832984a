"""Gradient and curvature of the log likelihood, leading effects integrated out, in all the rest.

The Hessian of a level is the mean of its rows' less the covariance of their slopes over the
leading effect (Louis, 1982); of the covariance the part that is linear in the effect is kept,
one outer product a level, which can only overstate the curvature.
"""

import numba
import numpy as np

from causalbias.inference.laplace_rows import Rows
from causalbias.inference.problem import FloatArray, IntArray


def gradient_and_curvature(rows: Rows, moments: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Assemble both from `level_moments`' row output.

    Returns
    -------
    gradient : ndarray (q,)
        By the dense effects (raw), the cuts, the coefficients.
    curvature : ndarray (q, q)
        Minus the Hessian; symmetric.
    """
    p, k, s = rows.design.shape[1], rows.n_cuts, rows.n_effects
    slope = -(moments[:, 0] + moments[:, 1])
    weight = moments[:, 2] + 2.0 * moments[:, 3] + moments[:, 4]
    side = np.zeros((s, k + p))
    rest = np.zeros((k + p, k + p))
    main = np.zeros((s, s))
    _assemble(
        rows.start, rows.category, rows.code, rows.design, rows.indptr, rows.column, rows.value,
        moments, rows.leading is not None, main, side, rest,
    )  # fmt: skip
    m = len(rows.design)
    by_code = np.bincount(rows.code, weight, m)
    rest[k:, k:] += rows.design.T @ (by_code[:, None] * rows.design)
    for cut in range(k):
        upper, lower = rows.category == cut, rows.category == cut + 1
        cross = np.bincount(rows.code[upper], -(moments[upper, 2] + moments[upper, 3]), m)
        cross += np.bincount(rows.code[lower], -(moments[lower, 3] + moments[lower, 4]), m)
        rest[k:, cut] += rows.design.T @ cross
    rest = np.tril(rest) + np.tril(rest, -1).T
    main = np.tril(main) + np.tril(main, -1).T
    gradient = np.concatenate([
        np.bincount(rows.column, rows.value * np.repeat(slope, np.diff(rows.indptr)), s)
        if s else np.zeros(0),
        np.bincount(rows.category, moments[:, 0], k + 1)[:k]
        + np.bincount(rows.category, moments[:, 1], k + 1)[1:],
        rows.design.T @ np.bincount(rows.code, slope, m),
    ])  # fmt: skip
    return gradient, np.block([[main, side], [side.T, rest]])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _assemble(
    start: IntArray, category: IntArray, code: IntArray, design: FloatArray, indptr: IntArray,
    column: IntArray, value: FloatArray, moments: FloatArray, leads: bool, main: FloatArray,
    side: FloatArray, rest: FloatArray,
) -> None:  # fmt: skip
    """Add up all but the design's own block: effects, effects by the rest, cuts (lower part)."""
    k, p = rest.shape[0] - design.shape[1], design.shape[1]
    place = np.full(main.shape[0], -1, np.int64)
    held, amount = np.empty(main.shape[0], np.int64), np.empty(main.shape[0])
    shared = np.empty(k + p)
    for j in range(len(start) - 1):
        n_held = 0
        shared[:] = 0.0
        for i in range(start[j], start[j + 1]):
            c, x = category[i], design[code[i]]
            aa, ab, bb = moments[i, 2], moments[i, 3], moments[i, 4]
            weight = aa + 2.0 * ab + bb
            for m in range(indptr[i], indptr[i + 1]):
                row, v = column[m], value[m]
                for r in range(indptr[i], m + 1):
                    other, u = column[r], weight * v * value[r]
                    if other <= row:
                        main[row, other] += u
                    else:
                        main[other, row] += u
                if c < k:
                    side[row, c] -= v * (aa + ab)
                if c > 0:
                    side[row, c - 1] -= v * (ab + bb)
                scaled = weight * v
                for r in range(p):
                    side[row, k + r] += scaled * x[r]
            if c < k:
                rest[c, c] += aa
            if c > 0:
                rest[c - 1, c - 1] += bb
                if c < k:
                    rest[c, c - 1] += ab
            if not leads:
                continue
            at_a, at_b = moments[i, 5], moments[i, 6]
            slope = -(at_a + at_b)
            if c < k:
                shared[c] += at_a
            if c > 0:
                shared[c - 1] += at_b
            for r in range(p):
                shared[k + r] += slope * x[r]
            for m in range(indptr[i], indptr[i + 1]):
                row = column[m]
                if place[row] < 0:
                    place[row] = n_held
                    held[n_held], amount[n_held] = row, 0.0
                    n_held += 1
                amount[place[row]] += slope * value[m]
        if not leads:
            continue
        for m in range(n_held):
            row = held[m]
            place[row] = -1
            for r in range(m + 1):
                other = held[r]
                if other <= row:
                    main[row, other] -= amount[m] * amount[r]
                else:
                    main[other, row] -= amount[m] * amount[r]
            for r in range(k + p):
                side[row, r] -= amount[m] * shared[r]
        for r in range(k + p):
            for t in range(r + 1):
                rest[r, t] -= shared[r] * shared[t]
