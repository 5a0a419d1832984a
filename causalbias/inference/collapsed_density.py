"""The marginal posterior of the scales, and exact draws of effects and coefficients given them.

One evaluation eliminates the three parts of `collapsed_blocks` in turn and never touches the
rows of data. All effects are whitened (``b = L u``, ``u`` standard normal), as in Bates et al.
(2015, section 3), so that an sd of exactly zero is an ordinary value.
"""

from dataclasses import dataclass

import numba
import numpy as np
from scipy.linalg import blas, lapack

from causalbias.inference.collapsed_blocks import Blocks
from causalbias.inference.problem import FloatArray, IntArray

_LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True)
class Eliminated:
    """The factored normal matrix at one set of scales.

    Attributes
    ----------
    log_marginal : float
        Log density of the response, coefficients and effects integrated out; minus infinity
        where the scales are out of numerical range. With flat coefficients, up to no constant:
        the flat density is taken to be one.
    factors : list of ndarray (k, k), one a term
        ``diag(sd) @ chol(corr)``.
    chain_values, cross : ndarray
        Chain blocks after elimination, and the chain's whitened rows against the dense part.
    chol : ndarray (q, q)
        Lower factor of the dense part, the response left out.
    solved : ndarray (q,)
        ``chol`` solved for the response's column.
    """

    log_marginal: float
    factors: list[FloatArray]
    chain_values: FloatArray
    cross: FloatArray
    chol: FloatArray
    solved: FloatArray


def eliminate(
    blocks: Blocks, sigma: float, factors: list[FloatArray], work: FloatArray
) -> Eliminated | None:
    """Factor the normal matrix given sigma and each term's factor.

    ``work``, of the size of ``blocks.total``, is overwritten and the result refers to it.
    Returns None where the matrix is not numerically positive definite.
    """
    flat, log_det = _without_leading(blocks, sigma, factors, work)
    chain, n_dense = blocks.chain, blocks.n_dense
    cut = chain.n_values + chain.n_rows * n_dense
    values, dense = flat[: chain.n_values], flat[cut:].reshape(n_dense, n_dense)
    cross = flat[chain.n_values : cut].reshape(chain.n_rows, n_dense)
    if chain.terms:
        padded = _padded(factors, chain.terms)
        log_det += _eliminate_chain(
            values, cross, chain.k, chain.position, chain.row, chain.ancestor, chain.offset, padded
        )
        dense -= cross.T @ cross
    scale, q = blocks.beta_scale, n_dense - 1
    rhs = _whitened_rows(dense[:q, q:].copy(), blocks, factors, scale)[:, 0]
    matrix = _whitened_rows(dense[:q, :q].copy(), blocks, factors, scale)
    matrix = _whitened_rows(np.ascontiguousarray(matrix.T), blocks, factors, scale)
    matrix.flat[:: q + 1] += blocks.precision
    rhs[q - len(scale) :] += blocks.prior_rhs
    chol, info = lapack.dpotrf(matrix.T, lower=1, clean=1, overwrite_a=1)
    if info != 0 or not np.isfinite(log_det):
        return None
    solved = blas.dtrsv(chol, rhs, lower=1) if q else rhs
    log_det += 2.0 * float(np.log(np.diag(chol)).sum())
    quad = float(dense[q, q]) + blocks.prior_quad - float(solved @ solved)
    log_marginal = (
        blocks.half_log_weight
        - blocks.n * (float(np.log(sigma)) + 0.5 * _LOG_2PI)
        + 0.5 * (blocks.n_flat * _LOG_2PI - log_det - quad)
    )
    return Eliminated(log_marginal, factors, values, cross, chol, solved)


def draw_given(
    done: Eliminated, blocks: Blocks, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Draw, given the scales, everything but the leading term's effects.

    Returns
    -------
    beta : ndarray (p,)
    dense : ndarray
        Effects of the dense terms, level-major, one term after another.
    chain : ndarray
        Effects of the chain's nodes, level-major; the leading term's, if there, are not drawn.
    """
    q, chain = blocks.n_dense - 1, blocks.chain
    p = len(blocks.beta_scale)
    white = blas.dtrsv(done.chol, done.solved + rng.standard_normal(q), lower=1, trans=1)
    raw = _coloured(white, blocks, done.factors, blocks.beta_scale)
    skip = 0
    if blocks.leading is not None and not blocks.bucketed:
        skip = int(chain.first_node[1])
    rows = slice(int(chain.row[skip]) if skip < len(chain.row) else chain.n_rows, chain.n_rows)
    rhs = np.zeros(chain.n_rows)
    effects = np.zeros(chain.n_rows)
    rhs[rows] = done.cross[rows, q] - done.cross[rows, :q] @ raw
    rhs[rows] += rng.standard_normal(rows.stop - rows.start)
    if chain.terms:
        padded = _padded(done.factors, chain.terms)
        _solve_chain(
            done.chain_values, rhs, effects, skip, chain.k, chain.position, chain.row,
            chain.ancestor, chain.offset, padded,
        )  # fmt: skip
    return blocks.centre + raw[q - p :], raw[: q - p], effects[rows]


def _without_leading(
    blocks: Blocks, sigma: float, factors: list[FloatArray], work: FloatArray
) -> tuple[FloatArray, float]:
    """Return the flat Schur complement over sigma^2, and the leading part's log determinant."""
    if not blocks.bucketed or blocks.leading is None:
        return np.divide(blocks.total, sigma**2, out=work), 0.0
    factor = factors[blocks.leading.term] / sigma
    k = len(factor)
    inner = np.eye(k) + factor.T @ blocks.bucket_gram @ factor
    if k == 1:
        shrink = factor[0, 0] ** 2 / inner[:, 0, 0]
        log_det = blocks.bucket_count @ np.log(inner[:, 0, 0])
    else:
        full = factor @ np.linalg.solve(inner, np.broadcast_to(factor.T, inner.shape))
        upper = np.triu_indices(k)
        shrink = full[:, upper[0], upper[1]].ravel()
        log_det = blocks.bucket_count @ np.linalg.slogdet(inner)[1]
    np.dot(shrink, blocks.bucket_stack, out=work)
    np.subtract(blocks.total, work, out=work)
    work /= sigma**2
    return work, float(log_det)


def _padded(factors: list[FloatArray], terms: tuple[int, ...]) -> FloatArray:
    width = max(len(factors[i]) for i in terms)
    padded = np.zeros((len(terms), width, width))
    for t, i in enumerate(terms):
        padded[t, : len(factors[i]), : len(factors[i])] = factors[i]
    return padded


def _whitened_rows(
    matrix: FloatArray, blocks: Blocks, factors: list[FloatArray], scale: FloatArray
) -> FloatArray:
    """Multiply the dense part's rows by the transposed factors, in place."""
    for i, rows in zip(blocks.dense_terms, blocks.dense_rows, strict=True):
        factor = factors[i]
        if len(factor) == 1:
            matrix[rows] *= factor[0, 0]
        else:
            slab = matrix[rows].reshape(-1, len(factor), matrix.shape[1])
            matrix[rows] = (factor.T @ slab).reshape(-1, matrix.shape[1])
    matrix[len(matrix) - len(scale) :] *= scale[:, None]
    return matrix


def _coloured(
    white: FloatArray, blocks: Blocks, factors: list[FloatArray], scale: FloatArray
) -> FloatArray:
    raw = white.copy()
    for i, rows in zip(blocks.dense_terms, blocks.dense_rows, strict=True):
        raw[rows] = (white[rows].reshape(-1, len(factors[i])) @ factors[i].T).ravel()
    raw[len(raw) - len(scale) :] *= scale
    return raw


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _eliminate_chain(
    values: FloatArray,
    cross: FloatArray,
    ks: IntArray,
    position: IntArray,
    row: IntArray,
    ancestor: IntArray,
    offset: IntArray,
    factors: FloatArray,
) -> float:
    """Whiten and eliminate every node in place; return the log determinant (nan: failed)."""
    n_nodes, width = ancestor.shape
    n_dense = cross.shape[1]
    log_det = 0.0
    for i in range(n_nodes):
        k, left = ks[i], factors[position[i]]
        for a in range(width):
            j = ancestor[i, a]
            if j < 0:
                break
            kj, right = ks[j], factors[position[j]]
            if k == 1 and kj == 1:
                values[offset[i, a]] *= left[0, 0] * right[0, 0]
                if a == 0:
                    values[offset[i, a]] += 1.0
                continue
            block = values[offset[i, a] : offset[i, a] + k * kj].reshape(k, kj)
            for r in range(k):
                for c in range(kj):
                    total = 0.0
                    for s in range(r, k):
                        total += left[s, r] * block[s, c]
                    block[r, c] = total
            for r in range(k):
                for c in range(kj):
                    total = 0.0
                    for s in range(c, kj):
                        total += block[r, s] * right[s, c]
                    block[r, c] = total
            if a == 0:
                for r in range(k):
                    block[r, r] += 1.0
        for r in range(k):
            into = cross[row[i] + r]
            for d in range(n_dense):
                into[d] *= left[r, r]
            for s in range(r + 1, k):
                source, times = cross[row[i] + s], left[s, r]
                for d in range(n_dense):
                    into[d] += times * source[d]
    for i in range(n_nodes):
        k = ks[i]
        pivot = values[offset[i, 0] : offset[i, 0] + k * k].reshape(k, k)
        for r in range(k):
            for c in range(r + 1):
                total = pivot[r, c]
                for s in range(c):
                    total -= pivot[r, s] * pivot[c, s]
                if c < r:
                    pivot[r, c] = total / pivot[c, c]
                elif total > 0.0:
                    pivot[r, r] = np.sqrt(total)
                    log_det += np.log(total)
                else:
                    return np.nan
        for r in range(k):
            into = cross[row[i] + r]
            for s in range(r):
                source, times = cross[row[i] + s], pivot[r, s]
                for d in range(n_dense):
                    into[d] -= times * source[d]
            inverse = 1.0 / pivot[r, r]
            for d in range(n_dense):
                into[d] *= inverse
        for a in range(1, width):
            j = ancestor[i, a]
            if j < 0:
                break
            kj = ks[j]
            block = values[offset[i, a] : offset[i, a] + k * kj].reshape(k, kj)
            for c in range(kj):
                for r in range(k):
                    for s in range(r):
                        block[r, c] -= pivot[r, s] * block[s, c]
                    block[r, c] /= pivot[r, r]
        for a in range(1, width):
            j = ancestor[i, a]
            if j < 0:
                break
            kj = ks[j]
            here = values[offset[i, a] : offset[i, a] + k * kj].reshape(k, kj)
            for b in range(a, width):
                m = ancestor[i, b]
                if m < 0:
                    break
                km = ks[m]
                there = values[offset[i, b] : offset[i, b] + k * km].reshape(k, km)
                at = offset[j, b - a]
                for c in range(kj):
                    for d in range(km):
                        total = 0.0
                        for r in range(k):
                            total += here[r, c] * there[r, d]
                        values[at + c * km + d] -= total
            for c in range(kj):
                into = cross[row[j] + c]
                for r in range(k):
                    source, times = cross[row[i] + r], here[r, c]
                    for d in range(n_dense):
                        into[d] -= times * source[d]
    return log_det


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _solve_chain(
    values: FloatArray,
    rhs: FloatArray,
    effects: FloatArray,
    skip: int,
    ks: IntArray,
    position: IntArray,
    row: IntArray,
    ancestor: IntArray,
    offset: IntArray,
    factors: FloatArray,
) -> None:
    """Solve back from the last node to node ``skip``: ``rhs`` becomes u, ``effects`` L u."""
    n_nodes, width = ancestor.shape
    for i in range(n_nodes - 1, skip - 1, -1):
        k = ks[i]
        for a in range(1, width):
            j = ancestor[i, a]
            if j < 0:
                break
            kj = ks[j]
            block = values[offset[i, a] : offset[i, a] + k * kj].reshape(k, kj)
            for r in range(k):
                for c in range(kj):
                    rhs[row[i] + r] -= block[r, c] * rhs[row[j] + c]
        pivot = values[offset[i, 0] : offset[i, 0] + k * k].reshape(k, k)
        for r in range(k - 1, -1, -1):
            for s in range(r + 1, k):
                rhs[row[i] + r] -= pivot[s, r] * rhs[row[i] + s]
            rhs[row[i] + r] /= pivot[r, r]
        factor = factors[position[i]]
        for r in range(k):
            for s in range(r + 1):
                effects[row[i] + r] += factor[r, s] * rhs[row[i] + s]
