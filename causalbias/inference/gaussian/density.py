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
from itertools import pairwise
from math import isfinite

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
from causalbias.inference.gaussian.dense import eliminate_buckets, solve_lower, whiten_dense
from causalbias.inference.gaussian.records import Chain
from causalbias.inference.problem import FloatArray

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
    if not isfinite(log_det):
        return None
    chain, n_dense = blocks.chain, blocks.n_dense
    cut = chain.n_values + chain.n_rows * n_dense
    values, dense = flat[: chain.n_values], flat[cut:].reshape(n_dense, n_dense)
    cross = flat[chain.n_values : cut].reshape(chain.n_rows, n_dense)
    if chain.terms:
        log_det += _eliminate_chain(values, cross, chain, _padded(factors, chain.terms))
        dense -= cross.T @ cross
    prior, q = blocks.prior, n_dense - 1
    matrix, rhs = np.empty((q, q)), np.empty(q)
    whiten_dense(
        dense,
        blocks.dense_first,
        np.array([len(factors[i]) for i in blocks.dense_terms], np.int64),
        _padded(factors, blocks.dense_terms),
        prior.scale,
        prior.precision,
        prior.rhs,
        matrix,
        rhs,
    )
    chol, info = lapack.dpotrf(matrix.T, lower=1, clean=1, overwrite_a=1)
    if info != 0 or not isfinite(log_det) or at_rounding(blocks, sigma):
        return None
    half_log_det, squared = solve_lower(chol.T, rhs)
    quad = float(dense[q, q]) + prior.quad - squared
    if not quad > -_MAX_ROUNDING:
        return None
    log_marginal = (
        blocks.half_log_weight
        - float(blocks.cell_n @ np.log(sigma))
        - 0.5 * blocks.n * _LOG_2PI
        + 0.5 * (prior.n_flat * _LOG_2PI - log_det - quad)
        - half_log_det
    )
    return Eliminated(log_marginal, factors, values, cross, chol, rhs)


def at_rounding(blocks: Blocks, sigma: FloatArray) -> bool:
    """Whether at this sigma (cells,) the density is lost in the rounding of sums of squares."""
    return bool((blocks.rounding > sigma**2).any())


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
    if not chain.terms:
        return blocks.centre + raw[q - p :], raw[: q - p], np.empty(0)
    skip = 0
    if blocks.leading is not None and blocks.buckets is None:
        skip = int(chain.first_node[1])
    rows = slice(int(chain.row[skip]) if skip < len(chain.row) else chain.n_rows, chain.n_rows)
    rhs = np.zeros(chain.n_rows)
    effects = np.zeros(chain.n_rows)
    rhs[rows] = done.cross[rows, q] - done.cross[rows, :q] @ raw
    rhs[rows] += noise(rows.stop - rows.start)
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
        _padded(done.factors, chain.terms),
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
    weights = np.empty(len(blocks.stack))
    log_det = eliminate_buckets(
        precision, buckets.gram, buckets.count, buckets.entry, buckets.cells, factor, weights
    )
    return weights, log_det


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
    """Factors of some terms in one array (terms, widest, widest), for compiled loops."""
    width = max((len(factors[i]) for i in terms), default=0)
    padded = np.zeros((len(terms), width, width))
    for t, i in enumerate(terms):
        padded[t, : len(factors[i]), : len(factors[i])] = factors[i]
    return padded


def _coloured(white: FloatArray, blocks: Blocks, factors: list[FloatArray]) -> FloatArray:
    """The dense part on its own scale: ``b = L u``, and coefficients times their prior scales."""
    raw, scale = white.copy(), blocks.prior.scale
    for i, rows in zip(blocks.dense_terms, blocks.dense_rows, strict=True):
        raw[rows] = (white[rows].reshape(-1, len(factors[i])) @ factors[i].T).ravel()
    raw[len(raw) - len(scale) :] *= scale
    return raw
