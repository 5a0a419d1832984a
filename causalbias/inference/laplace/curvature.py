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
def _most_held(start: IntArray, indptr: IntArray, s: int) -> int:
    """Return how many effects the rows of a level have at most."""
    most = 0
    for j in range(len(start) - 1):
        most = max(most, indptr[start[j + 1]] - indptr[start[j]])
    return min(most, s)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _gather(
    lo: int,
    hi: int,
    k: int,
    s: int,
    category: IntArray,
    indptr: IntArray,
    column: IntArray,
    value: FloatArray,
    moments: FloatArray,
    place: IntArray,
    held: IntArray,
    sums: FloatArray,
    crossed: FloatArray,
    block: FloatArray,
    shared: FloatArray,
    out: FloatArray,
) -> tuple[int, float]:
    """Add up a level's curvature by its own effects, of which there are few.

    A row's is ``aa da da' + ab (da db' + db da') + bb db db'``; that of cuts among themselves is
    added to ``out``. Returns how many effects there are, and the sum of slopes. ``held`` says
    which; ``sums`` their c and the rows' weights, ``crossed`` their curvature with the cuts,
    ``block`` that among themselves, its lower triangle; ``shared`` is c of the cuts.
    """
    n_held, total = 0, 0.0
    shared[:] = 0.0
    for i in range(lo, hi):
        c, aa, ab, bb = category[i], moments[i, 2], moments[i, 3], moments[i, 4]
        weight, slope = aa + 2.0 * ab + bb, -(moments[i, 5] + moments[i, 6])
        total += slope
        for m in range(indptr[i], indptr[i + 1]):
            x, a = value[m], place[column[m]]
            if a < 0:
                a = n_held
                place[column[m]], held[a] = a, column[m]
                sums[a], crossed[a], block[a, : a + 1] = 0.0, 0.0, 0.0
                n_held += 1
            sums[a, 0] += slope * x
            sums[a, 1] += weight * x
            for r in range(indptr[i], m + 1):
                b = place[column[r]]
                block[max(a, b), min(a, b)] += weight * x * value[r]
            if c < k:
                crossed[a, c] -= x * (aa + ab)
            if c > 0:
                crossed[a, c - 1] -= x * (ab + bb)
        if c < k:
            shared[c] += moments[i, 5]
            out[s + c, s + c] += aa
        if c > 0:
            shared[c - 1] += moments[i, 6]
            out[s + c - 1, s + c - 1] += bb
            if c < k:
                out[s + c, s + c - 1] += ab
    return n_held, total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _scatter(
    n_held: int,
    leads: bool,
    k: int,
    s: int,
    place: IntArray,
    held: IntArray,
    sums: FloatArray,
    crossed: FloatArray,
    block: FloatArray,
    shared: FloatArray,
    out: FloatArray,
) -> None:
    """Add what `_gather` found, less the outer product c c', each entry at one go."""
    for a in range(n_held):
        row = held[a]
        place[row] = -1
        c = sums[a, 0] if leads else 0.0
        for b in range(a + 1):
            other = held[b]
            out[max(row, other), min(row, other)] += block[a, b] - c * sums[b, 0]
        for r in range(k):
            out[s + r, row] += crossed[a, r] - c * shared[r]
    if leads:
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
    p, most = design.shape[1], _most_held(start, indptr, s)
    place, held = np.full(s, -1, np.int64), np.empty(most, np.int64)
    sums, crossed, block = np.empty((most, 2)), np.empty((most, k)), np.empty((most, most))
    shared, side = np.empty(k), np.zeros((s, p))
    for j in range(len(start) - 1):
        lo, hi, here = start[j], start[j + 1], code[start[j]]
        n_held, total = _gather(
            lo,
            hi,
            k,
            s,
            category,
            indptr,
            column,
            value,
            moments,
            place,
            held,
            sums,
            crossed,
            block,
            shared,
            out,
        )
        _scatter(n_held, leads, k, s, place, held, sums, crossed, block, shared, out)
        if not leads:
            total = 0.0
        for a in range(n_held):
            own, scaled = side[held[a]], sums[a, 1] - sums[a, 0] * total
            for r in range(p):
                own[r] += scaled * design[here, r]
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
    p, most = design.shape[1], _most_held(start, indptr, s)
    place, held = np.full(s, -1, np.int64), np.empty(most, np.int64)
    sums, crossed, block = np.empty((most, 2)), np.empty((most, k)), np.empty((most, most))
    shared, by_design, side = np.empty(k), np.empty(p), np.zeros((s, p))
    for j in range(len(start) - 1):
        lo, hi = start[j], start[j + 1]
        n_held, _ = _gather(
            lo,
            hi,
            k,
            s,
            category,
            indptr,
            column,
            value,
            moments,
            place,
            held,
            sums,
            crossed,
            block,
            shared,
            out,
        )
        _scatter(n_held, leads, k, s, place, held, sums, crossed, block, shared, out)
        by_design[:] = 0.0
        for i in range(lo, hi):
            here = code[i]
            weight = moments[i, 2] + 2.0 * moments[i, 3] + moments[i, 4]
            slope = -(moments[i, 5] + moments[i, 6])
            for m in range(indptr[i], indptr[i + 1]):
                own, scaled = side[column[m]], weight * value[m]
                for r in range(p):
                    own[r] += scaled * design[here, r]
            if leads:
                for r in range(p):
                    by_design[r] += slope * design[here, r]
        if leads:
            for a in range(n_held):
                for r in range(p):
                    side[held[a], r] -= sums[a, 0] * by_design[r]
            for r in range(p):
                for t in range(r + 1):
                    out[s + k + r, s + k + t] -= by_design[r] * by_design[t]
                for t in range(k):
                    out[s + k + r, s + t] -= by_design[r] * shared[t]
    for row in range(s):
        for r in range(p):
            out[s + k + r, row] += side[row, r]
