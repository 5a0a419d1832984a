"""Gradient and curvature where rows discriminate unequally, leading effects integrated out.

As `curvature`: for a level with rows i, ``Hessian = sum_i E f_i'' + Cov(sum_i f_i')``, of the
covariance the part that is linear or quadratic in the leading effect v: the slopes by log
discriminations hold its square, and add up where all of them rise together. A row's derivatives are
by its ends A and B and by its log discrimination w (`disc_quadrature`), which are linear in x: with
z the row of the effects and the design of eta and r that of w,

    dA/dx = e_c - z,    dB/dx = e_(c-1) - z,    dw/dx = r.
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


def disc_curvature_of(rows: Rows, disc: Disc, moments: FloatArray, *, bounded: bool) -> FloatArray:
    """Return minus the Hessian (q, q), its lower triangle; ``moments`` as in `disc_gradient_of`.

    ``bounded`` leaves out what may make it negative: the slopes beside log discriminations, what
    is quadratic in the leading effects, and all that log discriminations share with the rest.
    """
    n, s, k = len(rows.code), rows.n_effects, rows.n_cuts
    p, own, m = rows.design.shape[1], disc.design.shape[1], len(rows.design)
    ends = _ends(rows)
    by_disc = sparse.csr_matrix((disc.value, disc.column, disc.indptr), (n, s + k))
    bent = _bent(moments, bounded)
    # each row's curvature times its derivatives by effects and cuts: by A, B and w
    times = [
        sum(sparse.diags(bent[:, a, b]) @ one for b, one in enumerate([*ends, by_disc]))
        for a in range(3)
    ]
    out = np.zeros((s + k + p + own, s + k + p + own))
    for left, right in zip([*ends, by_disc], times, strict=True):
        right = right.tocsr()
        _add_products(*_parts(left), *_parts(right), 1.0, out)
    # coefficients: eta's enter A and B alike, with the sign changed
    by_code = sparse.csr_matrix((np.ones(n), rows.code, np.arange(n + 1)), (n, m)).T.tocsr()
    side = np.zeros((p + own, s + k))
    side[:p] = -((by_code @ (times[0] + times[1])).T @ rows.design).T
    side[p:] = ((by_code @ times[2]).T @ disc.design).T
    design = np.zeros((m, p + own)), np.zeros((m, p + own))
    design[0][:, :p], design[1][:, p:] = -rows.design, disc.design
    among = np.zeros((p + own, p + own))
    weights = bent[:, :2, :2].sum(axis=(1, 2)), bent[:, :2, 2].sum(axis=1), bent[:, 2, 2]
    for (a, b), weight in zip(((0, 0), (0, 1), (1, 1)), weights, strict=True):
        block = design[a].T @ (np.bincount(rows.code, weight, m)[:, None] * design[b])
        among += block if a == b else block + block.T
    if rows.leading is not None:
        by_level = sparse.csr_matrix((np.ones(n), np.arange(n), rows.start))
        for columns in ([5, 6, 11],) if bounded else ([5, 6, 11], [12, 13, 14]):
            slopes = moments[:, columns].T.copy()
            if bounded:
                slopes[2] = 0.0
            pulls = [sparse.diags(c) @ one for c, one in zip(slopes, [*ends, by_disc], strict=True)]
            pull = (by_level @ sum(pulls)).tocsr()
            coded = by_level @ sparse.diags(slopes[0] + slopes[1]) @ by_code.T
            dense = coded @ design[0] + by_level @ sparse.diags(slopes[2]) @ by_code.T @ design[1]
            _add_products(*_parts(pull), *_parts(pull), -1.0, out)
            side -= (pull.T @ dense).T
            among -= dense.T @ dense
    out[s + k :, : s + k] = side
    out[s + k :, s + k :] = among
    return out


def _bent(moments: FloatArray, bounded: bool) -> FloatArray:
    """Each row's curvature (n, 3, 3) by (A, B, w)."""
    columns = [[2, 3, 8], [3, 4, 9], [8, 9, 10]]
    bent = moments[:, columns]
    if bounded:
        bent[:, :2, 2] = bent[:, 2, :2] = 0.0
    else:
        slope = moments[:, [0, 1, 7]]
        bent[:, :2, 2] -= slope[:, :2]
        bent[:, 2] -= slope
    return bent


def _ends(rows: Rows) -> list[sparse.csr_matrix]:
    """Derivatives (n, effects and cuts) of each row's upper and lower end."""
    n, s, k = len(rows.code), rows.n_effects, rows.n_cuts
    effects = sparse.csr_matrix((rows.value, rows.column, rows.indptr), (n, s + k))
    found = []
    for cut in (rows.category, rows.category - 1):
        row = np.flatnonzero((cut >= 0) & (cut < k))
        unit = sparse.csr_matrix((np.ones(len(row)), (row, s + cut[row])), (n, s + k))
        found.append((unit - effects).tocsr())
    return found


def _parts(matrix: sparse.csr_matrix) -> tuple[IntArray, IntArray, FloatArray]:
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_products(
    left_start: IntArray,
    left_column: IntArray,
    left_value: FloatArray,
    right_start: IntArray,
    right_column: IntArray,
    right_value: FloatArray,
    times: float,
    out: FloatArray,
) -> None:
    """Add ``times * left' right`` of two matrices in compressed rows; the lower triangle alone."""
    for i in range(len(left_start) - 1):
        for a in range(left_start[i], left_start[i + 1]):
            row, x = left_column[a], times * left_value[a]
            for b in range(right_start[i], right_start[i + 1]):
                if right_column[b] <= row:
                    out[row, right_column[b]] += x * right_value[b]
