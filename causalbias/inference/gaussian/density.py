"""The marginal posterior of the scales, and exact draws of effects and coefficients given them.

With A the matrix of the normal equations in `blocks` (``beta`` scaled by its prior), r their right
side and v their solution ``A^-1 r``, the response's marginal density given the scales is

    log p(y | theta) = -n (log sigma + log(2 pi) / 2) + sum_i log(w_i) / 2
                       - (log |A| + y'Wy / sigma^2 + |g0|^2 - r'v) / 2,

n being the number of observations, w_i their precisions and g0 the prior means of the scaled
coefficients; each flat coefficient adds ``log(2 pi) / 2``. Given the scales,
``(u, beta) ~ N(v, A^-1)``. One evaluation eliminates the three parts of `blocks` in turn and never
touches the rows of data. All effects are whitened (``b = L u``, ``u`` standard normal), as in Bates
et al. (2015, section 3), so that a standard deviation of exactly zero is an ordinary value.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.linalg import blas, lapack

from causalbias.inference.gaussian.blocks import Blocks
from causalbias.inference.gaussian.chain import (
    eliminate_intercepts,
    factor_nodes,
    solve_chain,
    subtract_nodes,
    whiten_chain,
)
from causalbias.inference.gaussian.records import Chain
from causalbias.inference.problem import FloatArray

_ROUNDING = 4 * float(np.finfo(float).eps)  # of a sum of squares, relative
_MAX_ROUNDING = 1.0  # largest rounding error of a log density
_LOG_2PI = float(np.log(2.0 * np.pi))

Noise = Callable[[int], FloatArray]


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
    Returns None where the matrix is not numerically positive definite, or sigma so small that
    rounding is all that is left of the density.
    """
    try:
        flat, log_det = _without_first(blocks, sigma, factors, work)
    except np.linalg.LinAlgError:  # singular: scales out of numerical range
        return None
    chain, n_dense = blocks.chain, blocks.n_dense
    cut = chain.n_values + chain.n_rows * n_dense
    values, dense = flat[: chain.n_values], flat[cut:].reshape(n_dense, n_dense)
    cross = flat[chain.n_values : cut].reshape(chain.n_rows, n_dense)
    if chain.terms:
        log_det += _eliminate_chain(values, cross, chain, _padded(factors, chain.terms))
        dense -= cross.T @ cross
    prior, q = blocks.prior, n_dense - 1
    rhs = _whitened_rows(dense[:q, q:].copy(), blocks, factors)[:, 0]
    matrix = _whitened_rows(dense[:q, :q].copy(), blocks, factors)
    matrix = _whitened_rows(np.ascontiguousarray(matrix.T), blocks, factors)
    matrix.flat[:: q + 1] += prior.precision
    rhs[q - len(prior.scale) :] += prior.rhs
    chol, info = lapack.dpotrf(matrix.T, lower=1, clean=1, overwrite_a=1)
    if info != 0 or not np.isfinite(log_det):
        return None
    solved = blas.dtrsv(chol, rhs, lower=1) if q else rhs
    log_det += 2.0 * float(np.log(np.diag(chol)).sum())
    quad = float(dense[q, q]) + prior.quad - float(solved @ solved)
    if not quad > -_MAX_ROUNDING or at_rounding(blocks, sigma):
        return None
    log_marginal = (
        blocks.half_log_weight
        - blocks.n * (float(np.log(sigma)) + 0.5 * _LOG_2PI)
        + 0.5 * (prior.n_flat * _LOG_2PI - log_det - quad)
    )
    return Eliminated(log_marginal, factors, values, cross, chol, solved)


def at_rounding(blocks: Blocks, sigma: float) -> bool:
    """Whether at this sigma the density is lost in the rounding of sums of squares."""
    return bool(_ROUNDING * blocks.total[-1] > _MAX_ROUNDING * sigma**2)


def draw_given(
    done: Eliminated, blocks: Blocks, noise: Noise
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Draw, given the scales, everything but the leading term's effects.

    With ``R R'`` the factored dense part and ``s = R^-1 r``, its effects and coefficients are
    ``R'^-1 (s + z)``, z standard normal; then the chain's, from the last node to the first
    (`solve_chain`).

    Parameters
    ----------
    done : Eliminated
    blocks : Blocks
    noise : callable
        Gives so many standard normal numbers, as ``rng.standard_normal``; where it is ``np.zeros``
        what is drawn is the mean.

    Returns
    -------
    beta : ndarray (p,)
    dense : ndarray
        Effects of the dense terms, level-major, one term after another.
    chain : ndarray
        Effects of the chain's nodes, level-major; the leading term's, if there, are not drawn.
    """
    q, chain = blocks.n_dense - 1, blocks.chain
    p = len(blocks.prior.scale)
    white = blas.dtrsv(done.chol, done.solved + noise(q), lower=1, trans=1)
    raw = _coloured(white, blocks, done.factors)
    skip = 0
    if blocks.leading is not None and not blocks.bucketed:
        skip = int(chain.first_node[1])
    rows = slice(int(chain.row[skip]) if skip < len(chain.row) else chain.n_rows, chain.n_rows)
    rhs = np.zeros(chain.n_rows)
    effects = np.zeros(chain.n_rows)
    rhs[rows] = done.cross[rows, q] - done.cross[rows, :q] @ raw
    rhs[rows] += noise(rows.stop - rows.start)
    if chain.terms:
        padded = _padded(done.factors, chain.terms)
        solve_chain(
            done.chain_values,
            rhs,
            effects,
            skip,
            chain.k,
            chain.position,
            chain.row,
            chain.ancestor,
            chain.offset,
            padded,
        )
    return blocks.centre + raw[q - p :], raw[: q - p], effects[rows]


def _without_first(
    blocks: Blocks, sigma: float, factors: list[FloatArray], work: FloatArray
) -> tuple[FloatArray, float]:
    """Return the flat Schur complement over sigma^2, and the first part's log determinant.

    Where all group terms have a sparse factor, ``C / sigma^2`` less what they take
    (`SparsePart.taken`), C being the cross-products over all rows. Else, of the leading term,
    ``(C - sum_b sum_{r<=s} F_brs S_brs) / sigma^2`` and ``sum_b n_b log |M_b|``, for buckets b of
    n_b levels with ``M_b = I + L'G_b L / sigma^2``, ``F_b = L M_b^-1 L' / sigma^2`` and S_b the
    cross-products of the bucket's links (`blocks`).
    """
    if blocks.sparse is not None:
        taken, sparse_det = blocks.sparse.taken(sigma, factors)
        np.divide(blocks.total, sigma**2, out=work)
        work -= taken.ravel()
        return work, sparse_det
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


def _eliminate_chain(
    values: FloatArray, cross: FloatArray, chain: Chain, factors: FloatArray
) -> float:
    """Whiten and eliminate the chain in place, term by term; its log determinant (nan: failed)."""
    if chain.n_rows == len(chain.k):
        place = (chain.position, chain.ancestor, chain.offset)
        return float(eliminate_intercepts(chain.first_node, values, cross, factors, *place))
    where = (chain.k, chain.row, chain.ancestor, chain.offset)
    whiten_chain(values, cross, chain.position, factors, *where)
    log_det = 0.0
    for first, last in pairwise(chain.first_node.tolist()):
        log_det += factor_nodes(first, last, values, cross, *where)
        subtract_nodes(first, last, values, cross, *where)
    return log_det


def _padded(factors: list[FloatArray], terms: tuple[int, ...]) -> FloatArray:
    """Factors of the chain's terms in one array (terms, widest, widest), for compiled loops."""
    width = max(len(factors[i]) for i in terms)
    padded = np.zeros((len(terms), width, width))
    for t, i in enumerate(terms):
        padded[t, : len(factors[i]), : len(factors[i])] = factors[i]
    return padded


def _whitened_rows(matrix: FloatArray, blocks: Blocks, factors: list[FloatArray]) -> FloatArray:
    """Multiply the dense part's rows by the transposed factors and prior scales, in place."""
    for i, rows in zip(blocks.dense_terms, blocks.dense_rows, strict=True):
        factor = factors[i]
        if len(factor) == 1:
            matrix[rows] *= factor[0, 0]
        else:
            slab = matrix[rows].reshape(-1, len(factor), matrix.shape[1])
            matrix[rows] = (factor.T @ slab).reshape(-1, matrix.shape[1])
    scale = blocks.prior.scale
    matrix[len(matrix) - len(scale) :] *= scale[:, None]
    return matrix


def _coloured(white: FloatArray, blocks: Blocks, factors: list[FloatArray]) -> FloatArray:
    """The dense part on its own scale: ``b = L u``, and coefficients times their prior scales."""
    raw, scale = white.copy(), blocks.prior.scale
    for i, rows in zip(blocks.dense_terms, blocks.dense_rows, strict=True):
        raw[rows] = (white[rows].reshape(-1, len(factors[i])) @ factors[i].T).ravel()
    raw[len(raw) - len(scale) :] *= scale
    return raw
