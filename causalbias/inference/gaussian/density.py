"""The marginal posterior of the scales, and exact draws of effects and coefficients given them.

With A the matrix of the normal equations in `blocks` (``beta`` scaled by its prior), r their right
side and v their solution ``A^-1 r``, the response's marginal density given the scales is

    log p(y | theta) = -n (log sigma + log(2 pi) / 2) + sum_i log(w_i) / 2
                       - (log |A| + y'Wy / sigma^2 + |g0|^2 - r'v) / 2,

n being the number of observations, w_i their precisions and g0 the prior means of the scaled
coefficients; each flat coefficient adds ``log(2 pi) / 2``. Where sigma differs by cell (`noise`),
``n log sigma`` and what is over sigma^2 are sums over cells. Given the scales,
``(u, beta) ~ N(v, A^-1)``. One evaluation eliminates the three parts of `blocks` in turn and never
touches the rows of data. All effects are whitened (``b = L u``, ``u`` standard normal), as in Bates
et al. (2015, section 3), so that a standard deviation of exactly zero is an ordinary value.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
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
    blocks: Blocks, sigma: float | FloatArray, factors: list[FloatArray], work: FloatArray
) -> Eliminated | None:
    """Factor the normal matrix given sigma, one of each cell, and each term's factor.

    ``work``, of the size of ``blocks.total``, is overwritten and the result refers to it.
    Returns None where the matrix is not numerically positive definite, or sigma so small that
    rounding is all that is left of the density.
    """
    sigma = np.atleast_1d(sigma)
    weights, log_det = first_weights(blocks, sigma, factors)
    flat = np.dot(weights, blocks.stack, out=work)
    if blocks.sparse is not None:
        taken, log_det = blocks.sparse.taken(sigma, factors)
        flat -= taken.ravel()
    return eliminate_rest(blocks, sigma, factors, flat, log_det)


def eliminate_rest(
    blocks: Blocks, sigma: FloatArray, factors: list[FloatArray], flat: FloatArray, log_det: float
) -> Eliminated | None:
    """Factor what is left once the leading term, or all group terms together, are eliminated.

    Parameters
    ----------
    blocks : Blocks
    sigma : ndarray (cells,)
    factors : list of ndarray (k, k), one a term
    flat : ndarray (size,)
        The Schur complement over sigma^2; it is overwritten and the result refers to it.
    log_det : float
        Of the part that is eliminated.
    """
    if not np.isfinite(log_det):
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
        - float(blocks.cell_n @ np.log(sigma))
        - 0.5 * blocks.n * _LOG_2PI
        + 0.5 * (prior.n_flat * _LOG_2PI - log_det - quad)
    )
    return Eliminated(log_marginal, factors, values, cross, chol, solved)


def at_rounding(blocks: Blocks, sigma: FloatArray) -> bool:
    """Whether at this sigma (cells,) the density is lost in the rounding of sums of squares."""
    return bool((_ROUNDING * blocks.by_cell[:, -1] > _MAX_ROUNDING * sigma**2).any())


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
    if blocks.leading is not None and blocks.buckets is None:
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


def first_weights(
    blocks: Blocks, sigma: FloatArray, factors: list[FloatArray]
) -> tuple[FloatArray, float]:
    """Return weights of the stack's rows, whose sum is the Schur complement over sigma^2.

    With ``w_c = 1 / sigma_c^2`` and C_c the cross-products over the rows of cell c these are the
    ``w_c``, and of what the levels of the leading term take the negative weights of `Buckets`,
    whose log determinant ``sum_b n_b log |I + L'G_b L|``, over buckets b of n_b levels, is returned
    too. What group terms take that are eliminated together is not in the stack.
    """
    precision = sigma**-2.0
    if blocks.buckets is None or blocks.leading is None:
        return precision, 0.0
    buckets, factor = blocks.buckets, factors[blocks.leading.term]
    k = len(factor)
    inner = np.eye(k) + factor.T @ np.tensordot(precision, buckets.gram, 1) @ factor
    if k == 1:
        shrink = factor[0, 0] ** 2 / inner[:, 0, 0]
        log_det = buckets.count @ np.log(inner[:, 0, 0])
    else:
        try:
            full = factor @ np.linalg.solve(inner, factor.T[None])
        except np.linalg.LinAlgError:  # singular: scales out of numerical range
            return np.full(len(blocks.stack), np.nan), np.nan
        upper = _upper(k)
        shrink = full[:, upper[0], upper[1]].ravel()
        log_det = buckets.count @ np.linalg.slogdet(inner)[1]
    both = precision[buckets.cells[:, 0]] * precision[buckets.cells[:, 1]]
    return np.concatenate([precision, -shrink[buckets.entry] * both]), float(log_det)


@cache  # for each of some thousand evaluations
def _upper(k: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the upper triangle."""
    return np.triu_indices(k)


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
