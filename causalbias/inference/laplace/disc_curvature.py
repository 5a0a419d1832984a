"""Gradient and curvature where rows discriminate unequally, leading effects integrated out.

As `curvature`: for a level with rows i, ``Hessian = sum_i E f_i'' + Cov(sum_i f_i')``, of the
covariance the part that is linear or quadratic in the leading effect v: the slopes by log
discriminations hold its square, and add up where all of them rise together. A row's derivatives are
by its ends A and B and by its log discrimination w (`disc_quadrature`), which are linear in x: with
z the row of the effects and the design of eta and r that of w,

    dA/dx = e_c - z,    dB/dx = e_(c-1) - z,    dw/dx = r.

A row adds ``h zz' - g (zr' + rz') + ww rr'`` to the curvature of effects and coefficients, with
``h = AA + 2 AB + BB`` and ``g = Aw + Bw`` of its own curvature by (A, B, w).
"""

import numba
import numpy as np
from scipy import sparse

from causalbias.inference.laplace.rows import Disc, Rows
from causalbias.inference.problem import FloatArray, IntArray


def disc_gradient_of(rows: Rows, disc: Disc, moments: FloatArray) -> FloatArray:
    """Return the gradient (q,) by the dense effects (raw), the cuts, the coefficients.

    ``moments`` is the row output of `disc_level_moments`; the coefficients of eta come first.
    """
    k, m = rows.n_cuts, len(rows.design)
    slope, sharper = -(moments[:, 0] + moments[:, 1]), moments[:, 7]
    effects = np.zeros(rows.n_effects)
    for one, by_row in ((rows, slope), (disc, sharper)):
        effects += np.bincount(
            one.column, _repeat(one.indptr, by_row) * one.value, rows.n_effects
        ).astype(float)
    upper = np.bincount(rows.category, moments[:, 0], k + 1)[:k]
    lower = np.bincount(rows.category, moments[:, 1], k + 1)[1:]
    by_eta = rows.design.T @ np.bincount(rows.code, slope, m)
    by_disc = disc.design.T @ np.bincount(rows.code, sharper, m)
    return np.concatenate([effects, upper + lower, by_eta, by_disc])


def _repeat(indptr: IntArray, of_rows: FloatArray) -> FloatArray:
    return np.repeat(of_rows, np.diff(indptr))


def disc_curvature_of(
    rows: Rows,
    disc: Disc,
    moments: FloatArray,
    change: sparse.csr_matrix,
    *,
    bounded: bool,
) -> FloatArray:
    """Return minus the Hessian (q, q), its lower triangle; ``moments`` as in `disc_gradient_of`.

    It is by coordinates of the effects by which they have derivatives ``change`` (s, s).
    ``bounded`` leaves out what may make it negative: the slopes beside log discriminations, what
    is quadratic in the leading effects, and all that log discriminations share with the rest.
    """
    n, s, k = len(rows.code), rows.n_effects, rows.n_cuts
    p, own, m = rows.design.shape[1], disc.design.shape[1], len(rows.design)
    of_eta = sparse.csr_matrix((rows.value, rows.column, rows.indptr), (n, s)) @ change
    of_disc = sparse.csr_matrix((disc.value, disc.column, disc.indptr), (n, s)) @ change
    bent, slopes = _bent(moments, bounded), _slopes(moments, bounded)
    if rows.leading is None:
        slopes[:] = 0.0
    out, side = np.zeros((s + k + p + own, s + k + p + own)), np.zeros((s, p + own))
    by_cut = np.zeros((2, m, k))
    design = np.hstack([rows.design, disc.design])
    links = *_parts(of_eta), *_parts(of_disc)
    most = _most_held(rows.start, of_eta.indptr, of_disc.indptr, s)
    given = rows.start, rows.category, rows.code, design, p
    _assemble(*given, *links, bent, slopes, most, s, k, out, side, by_cut)
    among = out[s + k :, s + k :]
    weight = bent[:, 0] + 2.0 * bent[:, 1] + bent[:, 2], -(bent[:, 3] + bent[:, 4]), bent[:, 5]
    plain, mixed, sharp = (np.bincount(rows.code, one, m)[:, None] for one in weight)
    among[:p, :p] += rows.design.T @ (plain * rows.design)
    among[p:, :p] += disc.design.T @ (mixed * rows.design)
    among[p:, p:] += disc.design.T @ (sharp * disc.design)
    out[s + k :, :s] = side.T
    out[s + k : s + k + p, s : s + k] += rows.design.T @ by_cut[0]
    out[s + k + p :, s : s + k] += disc.design.T @ by_cut[1]
    return out


def _bent(moments: FloatArray, bounded: bool) -> FloatArray:
    """Each row's curvature (n, 6) by its ends and log discrimination: AA, AB, BB, Aw, Bw, ww."""
    bent = moments[:, [2, 3, 4, 8, 9, 10]]
    if bounded:
        bent[:, 3:5] = 0.0
    else:
        bent[:, 3:] -= moments[:, [0, 1, 7]]
    return bent


def _slopes(moments: FloatArray, bounded: bool) -> FloatArray:
    """Covariances (n, 2, 3) of a row's slopes by A, B and w with both polynomials of v."""
    slopes = moments[:, [5, 6, 11, 12, 13, 14]].reshape(-1, 2, 3)
    if bounded:
        slopes[:, 0, 2], slopes[:, 1] = 0.0, 0.0
    return slopes


def _parts(matrix: sparse.csr_matrix) -> tuple[IntArray, IntArray, FloatArray]:
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data


def _most_held(start: IntArray, of_eta: IntArray, of_disc: IntArray, s: int) -> int:
    """Return how many effects the rows of a level have at most."""
    both = of_eta[start] + of_disc[start]
    return int(min(np.diff(both).max(initial=0), s))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _held_at(effect: int, n_held: int, place: IntArray, held: IntArray) -> tuple[int, int]:
    """Where a level keeps an effect, and how many it has then."""
    at = place[effect]
    if at < 0:
        at = n_held
        place[effect], held[at] = at, effect
        n_held += 1
    return at, n_held


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_row(
    here: IntArray,
    x: FloatArray,
    n_eta: int,
    c: int,
    bent: FloatArray,
    slope: FloatArray,
    block: FloatArray,
    crossed: FloatArray,
    sums: FloatArray,
    times: FloatArray,
) -> None:
    """Add one row's curvature by its effects: ``here`` in the level's, ``n_eta`` of them of eta.

    ``block``, its lower triangle, is that of effects among themselves, ``crossed`` that with cuts,
    ``times`` what multiplies the design; ``sums`` are slopes.
    """
    k = crossed.shape[1]
    aa, ab, bb, aw, bw, ww = bent[0], bent[1], bent[2], bent[3], bent[4], bent[5]
    plain, mixed = aa + 2.0 * ab + bb, -(aw + bw)
    for m in range(len(here)):
        a, value, sharp = here[m], x[m], m >= n_eta
        for t in range(2):
            pull = slope[t, 2] if sharp else -(slope[t, 0] + slope[t, 1])
            sums[a, t] += pull * value
        times[a, 0] += (mixed if sharp else plain) * value
        times[a, 1] += (ww if sharp else mixed) * value
        if c < k:
            crossed[a, c] += (aw if sharp else -(aa + ab)) * value
        if c > 0:
            crossed[a, c - 1] += (bw if sharp else -(ab + bb)) * value
        for r in range(m + 1):
            b = here[r]
            weight = plain if not sharp else mixed if r < n_eta else ww
            # an effect of both eta and log disc meets itself twice
            twice = 2.0 if a == b and r < m else 1.0
            block[max(a, b), min(a, b)] += twice * weight * value * x[r]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _scatter(
    n_held: int,
    s: int,
    place: IntArray,
    held: IntArray,
    sums: FloatArray,
    crossed: FloatArray,
    block: FloatArray,
    shared: FloatArray,
    by_design: FloatArray,
    out: FloatArray,
    side: FloatArray,
) -> None:
    """Add a level's curvature, less the outer products of its slopes, each entry at one go.

    ``shared`` (2, k) and ``by_design`` (2, coefficients) are slopes by cuts and coefficients. What
    was added up is set to zero again.
    """
    k, p = crossed.shape[1], side.shape[1]
    for a in range(n_held):
        row, one, two = held[a], sums[a, 0], sums[a, 1]
        place[row] = -1
        for b in range(a + 1):
            other = held[b]
            found = block[a, b] - one * sums[b, 0] - two * sums[b, 1]
            out[max(row, other), min(row, other)] += found
            block[a, b] = 0.0
        for r in range(k):
            out[s + r, row] += crossed[a, r] - one * shared[0, r] - two * shared[1, r]
            crossed[a, r] = 0.0
        for r in range(p):
            side[row, r] -= one * by_design[0, r] + two * by_design[1, r]
    for t in range(2):
        for r in range(k):
            for u in range(r + 1):
                out[s + r, s + u] -= shared[t, r] * shared[t, u]
        for r in range(p):
            at = out[s + k + r, s:]
            for u in range(k):
                at[u] -= by_design[t, r] * shared[t, u]
            for u in range(r + 1):
                at[k + u] -= by_design[t, r] * by_design[t, u]
    sums[:n_held] = 0.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_cuts(
    c: int,
    s: int,
    bent: FloatArray,
    slope: FloatArray,
    shared: FloatArray,
    out: FloatArray,
    plain: FloatArray,
    sharp: FloatArray,
) -> None:
    """Add one row's curvature by its cuts, among themselves and with the design, and slopes."""
    k = shared.shape[1]
    if c < k:
        out[s + c, s + c] += bent[0]
        plain[c] -= bent[0] + bent[1]
        sharp[c] += bent[3]
        for t in range(2):
            shared[t, c] += slope[t, 0]
    if c > 0:
        out[s + c - 1, s + c - 1] += bent[2]
        plain[c - 1] -= bent[1] + bent[2]
        sharp[c - 1] += bent[4]
        for t in range(2):
            shared[t, c - 1] += slope[t, 1]
        if c < k:
            out[s + c, s + c - 1] += bent[1]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _assemble(
    start: IntArray,
    category: IntArray,
    code: IntArray,
    design: FloatArray,
    p: int,
    indptr: IntArray,
    column: IntArray,
    value: FloatArray,
    disc_indptr: IntArray,
    disc_column: IntArray,
    disc_value: FloatArray,
    bent: FloatArray,
    slopes: FloatArray,
    most: int,
    s: int,
    k: int,
    out: FloatArray,
    side: FloatArray,
    by_cut: FloatArray,
) -> None:
    """Add up all but what coefficients have among themselves and with cuts row by row.

    The first ``p`` coefficients of the design are of eta. ``side`` (s, coefficients) is that of
    effects with coefficients; ``by_cut`` (2, m, k) what multiplies rows of the design, of eta and
    of log disc, to give that of cuts with coefficients.
    """
    every = design.shape[1]
    place, held = np.full(s, -1, np.int64), np.empty(most, np.int64)
    here, x = np.empty(2 * s, np.int64), np.empty(2 * s)
    sums, times, crossed = np.zeros((most, 2)), np.zeros((most, 2)), np.zeros((most, k))
    block, shared, by_design = np.zeros((most, most)), np.zeros((2, k)), np.zeros((2, every))
    pull = np.zeros((2, 2))
    for j in range(len(start) - 1):
        lo, hi, n_held = start[j], start[j + 1], 0
        shared[:], by_design[:] = 0.0, 0.0
        for i in range(lo, hi):
            size = 0
            for m in range(indptr[i], indptr[i + 1]):
                here[size], n_held = _held_at(column[m], n_held, place, held)
                x[size] = value[m]
                size += 1
            n_eta = size
            for m in range(disc_indptr[i], disc_indptr[i + 1]):
                here[size], n_held = _held_at(disc_column[m], n_held, place, held)
                x[size] = disc_value[m]
                size += 1
            c, at = category[i], code[i]
            own, slope = bent[i], slopes[i]
            _add_row(here[:size], x, n_eta, c, own, slope, block, crossed, sums, times)
            _add_cuts(c, s, own, slope, shared, out, by_cut[0, at], by_cut[1, at])
            for t in range(2):
                pull[t, 0] -= slope[t, 0] + slope[t, 1]
                pull[t, 1] += slope[t, 2]
            if i + 1 < hi and code[i + 1] == at:
                continue
            for t in range(2):
                for r in range(p):
                    by_design[t, r] += pull[t, 0] * design[at, r]
                for r in range(p, every):
                    by_design[t, r] += pull[t, 1] * design[at, r]
            pull[:] = 0.0
            for a in range(n_held):  # all rows of one row of the design together
                into, plain, sharp = side[held[a]], times[a, 0], times[a, 1]
                if plain != 0.0 or sharp != 0.0:
                    for r in range(p):
                        into[r] += plain * design[at, r]
                    for r in range(p, every):
                        into[r] += sharp * design[at, r]
                    times[a] = 0.0
        _scatter(n_held, s, place, held, sums, crossed, block, shared, by_design, out, side)
