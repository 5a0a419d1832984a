"""Small problems at many scales: densities and draws, in compiled loops over the scales.

What `density` does at one set of scales, where the dense part has so few columns that calls from
Python would take most of the time: one call here takes some thousand sets of scales.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np

from causalbias.inference.gaussian.blocks import Blocks
from causalbias.inference.gaussian.chain import (
    eliminate_intercepts,
    factor_nodes,
    solve_chain,
    subtract_nodes,
    whiten_chain,
)
from causalbias.inference.gaussian.dense import eliminate_buckets, solve_lower, whiten_dense
from causalbias.inference.problem import FloatArray, IntArray

# Columns of the dense part, and multiplications by which the chain is taken from it, up to which
# libraries of linear algebra gain less than their calls cost.
_SMALL, _SLIGHT = 64, 1_000_000
_MAX_BATCH = 2**23  # bytes of matrices at a time
_MAX_ROUNDING = 1.0  # largest rounding error of a log density
_LOG_2PI = float(np.log(2.0 * np.pi))

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
# Called by compiled code alone: what Python would call takes as long to compile as the loops.
_inner = numba.njit(cache=True, nogil=True, error_model="numpy", no_cpython_wrapper=True)


class _Layout(NamedTuple):
    """Arrays of `Blocks`, of their `Chain` and `Prior`, as compiled loops take them.

    ``widths`` are those of the dense terms' levels. Nodes are drawn from ``skip`` on, whose rows
    begin at ``drawn_from``.
    """

    first_node: IntArray
    k: IntArray
    position: IntArray
    row: IntArray
    ancestor: IntArray
    offset: IntArray
    n_values: int
    n_rows: int
    skip: int
    drawn_from: int
    dense_first: IntArray
    widths: IntArray
    scale: FloatArray
    precision: FloatArray
    prior_rhs: FloatArray
    prior_quad: float


def is_small(blocks: Blocks) -> bool:
    """Whether `at_scales` is for these blocks."""
    taken = blocks.chain.n_rows * blocks.n_dense**2
    return blocks.sparse is None and blocks.n_dense <= _SMALL and taken <= _SLIGHT


def n_drawn(blocks: Blocks) -> int:
    """Numbers of a draw: coefficients, and all effects but the leading term's."""
    return blocks.n_dense - 1 + blocks.chain.n_rows - _first_drawn(blocks)[1]


def at_scales(
    blocks: Blocks,
    sigma: FloatArray,
    factors: Sequence[FloatArray],
    noise: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Log densities of the response at N sets of scales, and a draw of the rest given each.

    Parameters
    ----------
    blocks : Blocks
        That are small.
    sigma : ndarray (N, cells)
    factors : sequence of ndarray (N, k, k), one a term
        ``diag(sd) @ chol(corr)``.
    noise : ndarray (N, n_drawn), optional
        Standard normal numbers. Without them nothing is drawn.

    Returns
    -------
    log_marginal : ndarray (N,)
        As of `Eliminated`; minus infinity where a matrix is not numerically positive definite, or
        sigma so small that rounding is all that is left of the density.
    drawn : ndarray (N, n_drawn)
        What `draw_given` gives, side by side; zero where there is no density. Of no columns where
        nothing is drawn.
    """
    prior, p = blocks.prior, len(blocks.centre)
    layout = _layout(blocks, factors)
    log_marginal = np.empty(len(sigma))
    drawn = np.zeros((len(sigma), 0 if noise is None else n_drawn(blocks)))
    size = max(1, _MAX_BATCH // (8 * sum(blocks.stack.shape)))
    for first in range(0, len(sigma), size):
        some = slice(first, min(first + size, len(sigma)))
        own = [one[some] for one in factors]
        weights, log_det = _first_weights(blocks, sigma[some], own)
        _evaluate(
            weights @ blocks.stack,
            log_det,
            _beside(own, blocks.chain.terms),
            _beside(own, blocks.dense_terms),
            layout,
            drawn[some] if noise is None else noise[some],
            log_marginal[some],
            drawn[some],
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        log_marginal -= np.log(sigma) @ blocks.cell_n
    log_marginal += blocks.half_log_weight + 0.5 * _LOG_2PI * (prior.n_flat - blocks.n)
    lost = ~np.isfinite(log_marginal) | (blocks.rounding > sigma**2).any(axis=1)
    log_marginal[lost] = -np.inf
    drawn[:, :p] += blocks.centre[: drawn.shape[1]]
    drawn[lost] = 0.0
    return log_marginal, drawn


def _first_drawn(blocks: Blocks) -> tuple[int, int]:
    """First node of the chain that is drawn, and its first row."""
    chain = blocks.chain
    first_is_leading = blocks.leading is not None and blocks.buckets is None
    skip = int(chain.first_node[1]) if chain.terms and first_is_leading else 0
    return skip, int(chain.row[skip]) if skip < len(chain.row) else chain.n_rows


def _layout(blocks: Blocks, factors: Sequence[FloatArray]) -> _Layout:
    chain, prior = blocks.chain, blocks.prior
    return _Layout(
        chain.first_node,
        chain.k,
        chain.position,
        chain.row,
        chain.ancestor,
        chain.offset,
        chain.n_values,
        chain.n_rows,
        *_first_drawn(blocks),
        blocks.dense_first,
        np.array([factors[i].shape[1] for i in blocks.dense_terms], np.int64),
        prior.scale,
        prior.precision,
        prior.rhs,
        prior.quad,
    )


def _beside(factors: Sequence[FloatArray], terms: tuple[int, ...]) -> FloatArray:
    """Factors of some terms in one array (N, terms, widest, widest)."""
    width = max((factors[i].shape[1] for i in terms), default=0)
    found = np.zeros((len(factors[0]) if factors else 0, len(terms), width, width))
    for t, i in enumerate(terms):
        k = factors[i].shape[1]
        found[:, t, :k, :k] = factors[i]
    return found


def _first_weights(
    blocks: Blocks, sigma: FloatArray, factors: Sequence[FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """`density.first_weights` of each set of scales, (N, cells + sums) and (N,)."""
    precision, buckets = np.ascontiguousarray(sigma) ** -2.0, blocks.buckets
    if buckets is None or blocks.leading is None:
        return precision, np.zeros(len(sigma))
    weights, log_det = np.empty((len(sigma), len(blocks.stack))), np.empty(len(sigma))
    factor = np.ascontiguousarray(factors[blocks.leading.term])
    where = buckets.gram, buckets.count, buckets.entry, buckets.cells
    _each_of_buckets(precision, *where, factor, weights, log_det)
    return weights, log_det


@_compiled
def _each_of_buckets(
    precision: FloatArray,
    gram: FloatArray,
    count: FloatArray,
    entry: IntArray,
    cells: IntArray,
    factor: FloatArray,
    weights: FloatArray,
    log_det: FloatArray,
) -> None:
    for i in range(len(weights)):
        log_det[i] = eliminate_buckets(
            precision[i], gram, count, entry, cells, factor[i], weights[i]
        )


@_compiled
def _evaluate(
    flats: FloatArray,
    log_det: FloatArray,
    of_chain: FloatArray,
    of_dense: FloatArray,
    layout: _Layout,
    noise: FloatArray,
    log_marginal: FloatArray,
    drawn: FloatArray,
) -> None:
    """Fill ``log_marginal`` but for what does not depend on the factors, and ``drawn``.

    ``flats`` are the Schur complements over sigma^2 once the leading term's buckets are eliminated,
    of log determinants ``log_det``; they are overwritten.
    """
    q, n_rows = len(layout.precision), layout.n_rows
    cut = layout.n_values + n_rows * (q + 1)
    upper, solved, right = np.empty((q, q)), np.empty(q), np.empty(n_rows)
    for i in range(len(flats)):
        values = flats[i, : layout.n_values]
        cross = flats[i, layout.n_values : cut].reshape(n_rows, q + 1)
        dense = flats[i, cut:].reshape(q + 1, q + 1)
        log_marginal[i], spent = -np.inf, log_det[i]
        if n_rows > 0:
            spent += _eliminate_chain(values, cross, of_chain[i], layout)
            _subtract_squares(cross, dense)
        whiten_dense(
            dense,
            layout.dense_first,
            layout.widths,
            of_dense[i],
            layout.scale,
            layout.precision,
            layout.prior_rhs,
            upper,
            solved,
        )
        if not np.isfinite(spent) or not _factor(upper):
            continue
        half_log_det, squared = solve_lower(upper, solved)
        quad = dense[q, q] + layout.prior_quad - squared
        if not quad > -_MAX_ROUNDING:
            continue
        log_marginal[i] = -0.5 * (spent + quad) - half_log_det
        if drawn.shape[1] > 0:
            _draw(values, cross, upper, solved, of_chain[i], of_dense[i], layout, noise[i], right)
            _lay_out(solved, right, layout, drawn[i])


@_inner
def _eliminate_chain(
    values: FloatArray, cross: FloatArray, factors: FloatArray, layout: _Layout
) -> float:
    """Whiten and eliminate the chain in place, term by term; its log determinant (nan: failed)."""
    first_node, k, position = layout.first_node, layout.k, layout.position
    row, ancestor, offset = layout.row, layout.ancestor, layout.offset
    if layout.n_rows == len(k):
        return eliminate_intercepts(first_node, values, cross, factors, position, ancestor, offset)
    whiten_chain(values, cross, position, factors, k, row, ancestor, offset)
    log_det = 0.0
    for t in range(len(first_node) - 1):
        first, last = first_node[t], first_node[t + 1]
        log_det += factor_nodes(first, last, values, cross, k, row, ancestor, offset)
        subtract_nodes(first, last, values, cross, k, row, ancestor, offset)
    return log_det


@_inner
def _subtract_squares(cross: FloatArray, dense: FloatArray) -> None:
    """``C -= c'c``, for c (rows, n) and C (n, n), of which both triangles are filled."""
    rows, n = cross.shape
    for r in range(0, rows - rows % 4, 4):  # four at a time: C is read and written less often
        one, two, three, four = cross[r], cross[r + 1], cross[r + 2], cross[r + 3]
        for i in range(n):
            into = dense[i]
            a, b, c, d = one[i], two[i], three[i], four[i]
            for j in range(i, n):
                into[j] -= a * one[j] + b * two[j] + c * three[j] + d * four[j]
    for r in range(rows - rows % 4, rows):
        own = cross[r]
        for i in range(n):
            into, times = dense[i], own[i]
            for j in range(i, n):
                into[j] -= times * own[j]
    for i in range(n):
        for j in range(i):
            dense[i, j] = dense[j, i]


@_inner
def _factor(matrix: FloatArray) -> bool:
    """``M = U'U``, U in the upper triangle of M; whether M is numerically positive definite."""
    q = len(matrix)
    for k in range(q):
        own = matrix[k]
        if not own[k] > 0.0:
            return False
        inverse = 1.0 / np.sqrt(own[k])
        for j in range(k, q):
            own[j] *= inverse
        for i in range(k + 1, q):
            times, into = own[i], matrix[i]
            for j in range(i, q):
                into[j] -= times * own[j]
    return True


@_inner
def _draw(
    values: FloatArray,
    cross: FloatArray,
    upper: FloatArray,
    solved: FloatArray,
    of_chain: FloatArray,
    of_dense: FloatArray,
    layout: _Layout,
    noise: FloatArray,
    right: FloatArray,
) -> None:
    """Draw as `density.draw_given`: ``solved`` becomes the dense part, ``right`` the chain."""
    q, first = len(solved), layout.drawn_from
    for i in range(q - 1, -1, -1):  # U x = s + z
        total = solved[i] + noise[i]
        for j in range(i + 1, q):
            total -= upper[i, j] * solved[j]
        solved[i] = total / upper[i, i]
    for t in range(len(layout.widths)):  # b = L u, from the last of a level's effects to the first
        k = layout.widths[t]
        for at in range(layout.dense_first[t], layout.dense_first[t + 1], k):
            for r in range(k - 1, -1, -1):
                total = 0.0
                for s in range(r + 1):
                    total += of_dense[t, r, s] * solved[at + s]
                solved[at + r] = total
    p = len(layout.scale)
    for a in range(p):
        solved[q - p + a] *= layout.scale[a]
    if first == layout.n_rows:
        return
    for r in range(first, layout.n_rows):
        total = cross[r, q] + noise[q + r - first]
        for c in range(q):
            total -= cross[r, c] * solved[c]
        right[r] = total
    effects = np.zeros(layout.n_rows)
    solve_chain(
        values,
        right,
        effects,
        layout.skip,
        layout.k,
        layout.position,
        layout.row,
        layout.ancestor,
        layout.offset,
        of_chain,
    )
    right[first:] = effects[first:]


@_inner
def _lay_out(solved: FloatArray, right: FloatArray, layout: _Layout, drawn: FloatArray) -> None:
    """Coefficients, dense effects, effects of the chain."""
    q, p, first = len(solved), len(layout.scale), layout.drawn_from
    drawn[:p], drawn[p:q] = solved[q - p :], solved[: q - p]
    drawn[q:] = right[first:]
