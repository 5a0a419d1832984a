"""Gradient and curvature of the log likelihood, leading effects integrated out, in all the rest.

For a level with rows i of log likelihood f_i(v, x), v its leading effect and E the mean over v
given y,

    gradient = sum_i E f_i',    Hessian = sum_i E f_i'' + Cov(sum_i f_i')

(Louis, 1982). Of the covariance the part that is linear in v is kept, one outer product c c' a
level with ``c = sum_i Cov(f_i', v) / sd(v)``, which can only overstate the curvature.

A row's derivatives are by its cell's upper end a and lower end b; with d the row of (Z, X), those
by x are ``da/dx = e_c - d``, ``db/dx = e_(c-1) - d``, e_c the unit vector of cut c.
"""

import numba
import numpy as np

from causalbias.inference.laplace.rows import Rows
from causalbias.inference.problem import FloatArray, IntArray


def gradient_of(rows: Rows, moments: FloatArray) -> FloatArray:
    """Return the gradient (q,) by the dense effects (raw), the cuts, the coefficients.

    ``moments`` is the row output of `level_moments`.
    """
    k, s = rows.n_cuts, rows.n_effects
    slope = -(moments[:, 0] + moments[:, 1])
    effects = np.zeros(s)
    _sum_columns(rows.indptr, rows.column, rows.value, slope, effects)
    upper = np.bincount(rows.category, moments[:, 0], k + 1)[:k]
    lower = np.bincount(rows.category, moments[:, 1], k + 1)[1:]
    by_code = np.bincount(rows.code, slope, len(rows.design))
    return np.concatenate([effects, upper + lower, rows.design.T @ by_code])


def curvature_of(rows: Rows, moments: FloatArray) -> FloatArray:
    """Return minus the Hessian (q, q), its lower triangle; ``moments`` as in `gradient_of`."""
    p, k, s, m = rows.design.shape[1], rows.n_cuts, rows.n_effects, len(rows.design)
    weight = moments[:, 2] + 2.0 * moments[:, 3] + moments[:, 4]
    curvature = np.zeros((s + k + p, s + k + p))
    # by row of the design: coefficients with themselves, and with each cut
    by_code = np.bincount(rows.code, weight, m)
    by_cut = np.zeros((m, k))
    _add_cuts(rows.category, rows.code, moments, by_cut)
    given = (
        rows.start,
        rows.category,
        rows.code,
        rows.design,
        rows.indptr,
        rows.column,
        rows.value,
        moments,
        rows.leading is not None,
        s,
        k,
        curvature,
    )
    if rows.shared_code:
        _assemble_shared(*given, by_code, by_cut)
    else:
        _assemble(*given)
    curvature[s + k :, s + k :] += rows.design.T @ (by_code[:, None] * rows.design)
    curvature[s + k :, s : s + k] += rows.design.T @ by_cut
    return curvature


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sum_columns(
    indptr: IntArray, column: IntArray, value: FloatArray, slope: FloatArray, out: FloatArray
) -> None:
    for i in range(len(slope)):
        for m in range(indptr[i], indptr[i + 1]):
            out[column[m]] += value[m] * slope[i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_cuts(category: IntArray, code: IntArray, moments: FloatArray, by_cut: FloatArray) -> None:
    k = by_cut.shape[1]
    for i in range(len(category)):
        c = category[i]
        if c < k:
            by_cut[code[i], c] -= moments[i, 2] + moments[i, 3]
        if c > 0:
            by_cut[code[i], c - 1] -= moments[i, 3] + moments[i, 4]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_row(
    i: int,
    c: int,
    k: int,
    s: int,
    indptr: IntArray,
    column: IntArray,
    value: FloatArray,
    moments: FloatArray,
    out: FloatArray,
) -> None:
    """Add a row's curvature ``aa da da' + ab (da db' + db da') + bb db db'``, effects and cuts."""
    aa, ab, bb = moments[i, 2], moments[i, 3], moments[i, 4]
    weight = aa + 2.0 * ab + bb
    for m in range(indptr[i], indptr[i + 1]):
        row, v = column[m], value[m]
        for r in range(indptr[i], m + 1):
            other = column[r]
            out[max(row, other), min(row, other)] += weight * v * value[r]
        if c < k:
            out[s + c, row] -= v * (aa + ab)
        if c > 0:
            out[s + c - 1, row] -= v * (ab + bb)
    if c < k:
        out[s + c, s + c] += aa
    if c > 0:
        out[s + c - 1, s + c - 1] += bb
        if c < k:
            out[s + c, s + c - 1] += ab


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _less_outer(
    n_held: int,
    held: IntArray,
    amount: FloatArray,
    shared: FloatArray,
    k: int,
    s: int,
    out: FloatArray,
) -> None:
    """Subtract a level's outer product c c' among effects (``amount``) and cuts (``shared``)."""
    for m in range(n_held):
        row = held[m]
        for r in range(m + 1):
            other = held[r]
            out[max(row, other), min(row, other)] -= amount[m] * amount[r]
        for r in range(k):
            out[s + r, row] -= amount[m] * shared[r]
    for r in range(k):
        for t in range(r + 1):
            out[s + r, s + t] -= shared[r] * shared[t]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _assemble_shared(
    start: IntArray,
    category: IntArray,
    code: IntArray,
    design: FloatArray,
    indptr: IntArray,
    column: IntArray,
    value: FloatArray,
    moments: FloatArray,
    leads: bool,
    s: int,
    k: int,
    out: FloatArray,
    by_code: FloatArray,
    by_cut: FloatArray,
) -> None:
    """Add up what concerns effects and cuts, where a level's rows have one row of the design."""
    p = design.shape[1]
    place = np.full(s, -1, np.int64)
    held, amount, weighed = np.empty(s, np.int64), np.empty(s), np.empty(s)
    shared = np.empty(k)
    side = np.zeros((s, p))
    for j in range(len(start) - 1):
        n_held, total = 0, 0.0
        shared[:] = 0.0
        for i in range(start[j], start[j + 1]):
            c = category[i]
            _add_row(i, c, k, s, indptr, column, value, moments, out)
            weight = moments[i, 2] + 2.0 * moments[i, 3] + moments[i, 4]
            slope = -(moments[i, 5] + moments[i, 6])
            total += slope
            if c < k:
                shared[c] += moments[i, 5]
            if c > 0:
                shared[c - 1] += moments[i, 6]
            for m in range(indptr[i], indptr[i + 1]):
                row = column[m]
                if place[row] < 0:
                    place[row] = n_held
                    held[n_held], amount[n_held], weighed[n_held] = row, 0.0, 0.0
                    n_held += 1
                amount[place[row]] += slope * value[m]
                weighed[place[row]] += weight * value[m]
        here = code[start[j]]
        for m in range(n_held):
            row = held[m]
            place[row] = -1
            scaled = weighed[m] - amount[m] * total
            for r in range(p):
                side[row, r] += scaled * design[here, r]
        if leads:
            _less_outer(n_held, held, amount, shared, k, s, out)
            by_code[here] -= total * total
            for r in range(k):
                by_cut[here, r] -= total * shared[r]
    for row in range(s):
        for r in range(p):
            out[s + k + r, row] += side[row, r]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _assemble(
    start: IntArray,
    category: IntArray,
    code: IntArray,
    design: FloatArray,
    indptr: IntArray,
    column: IntArray,
    value: FloatArray,
    moments: FloatArray,
    leads: bool,
    s: int,
    k: int,
    out: FloatArray,
) -> None:
    """As `_assemble_shared`, for rows of any design."""
    p = design.shape[1]
    place = np.full(s, -1, np.int64)
    held, amount = np.empty(s, np.int64), np.empty(s)
    shared, by_design = np.empty(k), np.empty(p)
    side = np.zeros((s, p))
    for j in range(len(start) - 1):
        n_held = 0
        shared[:] = 0.0
        by_design[:] = 0.0
        for i in range(start[j], start[j + 1]):
            c, here = category[i], code[i]
            _add_row(i, c, k, s, indptr, column, value, moments, out)
            weight = moments[i, 2] + 2.0 * moments[i, 3] + moments[i, 4]
            slope = -(moments[i, 5] + moments[i, 6])
            for m in range(indptr[i], indptr[i + 1]):
                row, scaled = column[m], weight * value[m]
                for r in range(p):
                    side[row, r] += scaled * design[here, r]
                if place[row] < 0:
                    place[row] = n_held
                    held[n_held], amount[n_held] = row, 0.0
                    n_held += 1
                amount[place[row]] += slope * value[m]
            if c < k:
                shared[c] += moments[i, 5]
            if c > 0:
                shared[c - 1] += moments[i, 6]
            if leads:
                for r in range(p):
                    by_design[r] += slope * design[here, r]
        for m in range(n_held):
            row = held[m]
            place[row] = -1
            if leads:
                for r in range(p):
                    side[row, r] -= amount[m] * by_design[r]
        if leads:
            _less_outer(n_held, held, amount, shared, k, s, out)
            for r in range(p):
                for t in range(r + 1):
                    out[s + k + r, s + k + t] -= by_design[r] * by_design[t]
                for t in range(k):
                    out[s + k + r, s + t] -= by_design[r] * shared[t]
    for row in range(s):
        for r in range(p):
            out[s + k + r, row] += side[row, r]
