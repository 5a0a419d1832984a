"""Effects that are eliminated all together, by a sparse factor of their normal matrix.

Where crossed and multi-membership terms have many levels, of which a row has few, such as the two
identities of a pair among thousands. With effects ``b = L u`` of a term's levels (u standard
normal, ``L = diag(sd) @ chol(corr)``), the normal matrix of the u is, whatever the scales, of one
sparse pattern: ``A = L' Z'WZ L / sigma^2 + I``, where ``Z'WZ / sigma^2`` is a sum over the cells of
sigma (`noise`).
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from causalbias.inference.gaussian.ratio import OfRatio
from causalbias.inference.membership import effects_design, slabs
from causalbias.inference.problem import FloatArray, IntArray, Problem
from causalbias.inference.sparse import Analysis, analyse, factor, solve_lower, solve_upper

# Crossed effects below which a dense factor is always taken; and the price of a multiplication in
# the sparse kernels, and of a stored value, in multiplications of dense linear algebra.
_FEW, _PRICE, _PRICE_OF_VALUE = 300, 10.0, 50.0
# Multiplications of a factor of one plain term, whose eigenvalues are the other way: a draw of its
# effects takes a factor here, and some twenty products with a sparse matrix there.
_MOST_OF_ONE = 3e7
_MAX_RATIO = 1e100  # of sds, whose square is far from overflow


@dataclass(frozen=True)
class PairBlocks:
    """Cross-products of two terms' columns, of each two levels that occur in one row.

    Attributes
    ----------
    terms : (int, int)
        Positions of the terms, the first not before the second.
    values : ndarray (cells, pairs, k_first, k_second)
        ``sum over rows of weight * x_first x_second'``, by cell.
    entries : ndarray (pairs, k_first, k_second) of bool, or None
        Which of them are in the lower triangle of the matrix; None where all are.
    diagonal : ndarray of int
        Pairs of a level with itself.
    """

    terms: tuple[int, int]
    values: FloatArray
    entries: np.ndarray | None
    diagonal: IntArray


@dataclass(frozen=True)
class SparsePart:
    """The group terms' part of the normal equations.

    Attributes
    ----------
    pairs : tuple of PairBlocks
    analysis : Analysis
        Of the matrix of all effects, level-major, one term after another.
    link : ndarray (cells, effects, p + 1)
        Cross-products ``Z'W [X, y]``, by cell.
    slabs : tuple of slice
        Where each term's effects are.
    largest : float or None
        Where there is one term only, of one effect a level, and sigma is constant, a bound of the
        eigenvalues of Z'WZ: all is then a smooth function of the ratio of its sd to sigma, and
        interpolated. Else None.
    """

    pairs: tuple[PairBlocks, ...]
    analysis: Analysis
    link: FloatArray
    slabs: tuple[slice, ...]
    largest: float | None

    def taken(self, sigma: FloatArray, factors: Sequence[FloatArray]) -> tuple[FloatArray, float]:
        """What the effects take from the cross-products of coefficients and response, given scales.

        Parameters
        ----------
        sigma : ndarray (cells,)
        factors : sequence of ndarray (k, k)
            ``diag(sd) @ chol(corr)`` of each term.

        Returns
        -------
        taken : ndarray (p + 1, p + 1)
            ``(L'Z'W [X, y])' A^-1 (L'Z'W [X, y]) / sigma^4``.
        log_det : float
            Log determinant of A; NaN where it is not numerically positive definite.
        """
        if self.largest is None:
            _, solved, log_det = self.eliminate(sigma, factors)
            return solved.T @ solved, log_det
        width = self.link.shape[2]
        ratio = float(factors[0][0, 0]) / float(sigma[0])
        if not ratio < _MAX_RATIO:
            return np.full((width, width), np.nan), np.nan
        found = self._of_ratio(ratio)
        return found[1:].reshape(width, width) / sigma[0] ** 2, float(found[0])

    @cached_property
    def _of_ratio(self) -> OfRatio:
        """Log determinant and what is taken at sigma = 1, as one vector, by the term's sd."""

        def compute(ratio: float) -> FloatArray:
            _, solved, log_det = self.eliminate(1.0, [np.array([[ratio]])])
            return np.concatenate([[log_det], (solved.T @ solved).ravel()])

        return OfRatio(compute, self.largest or 0.0)

    def eliminate(
        self, sigma: float | FloatArray, factors: Sequence[FloatArray]
    ) -> tuple[FloatArray, FloatArray, float]:
        """Factor the matrix at given scales.

        Parameters
        ----------
        sigma : float or ndarray (cells,)
        factors : sequence of ndarray (k, k)
            ``diag(sd) @ chol(corr)`` of each term.

        Returns
        -------
        values : ndarray
            Of the factor ``C C' = A``.
        solved : ndarray (effects, p + 1)
            ``C^-1 L' Z'W [X, y] / sigma^2``, in the factor's order: its cross-products are what the
            effects take from those of the coefficients and the response.
        log_det : float
            Log determinant of A; NaN where it is not numerically positive definite.
        """
        precision = np.atleast_1d(sigma) ** -2.0
        parts = []
        for block in self.pairs:
            first, second = (factors[term] for term in block.terms)
            values = np.tensordot(precision, block.values, 1)
            if len(first) == len(second) == 1:
                white = values * (first[0, 0] * second[0, 0])
            else:
                white = first.T @ values @ second
            if len(block.diagonal):
                white[block.diagonal] += np.eye(white.shape[1])
            parts.append(white.ravel() if block.entries is None else white[block.entries])
        values, log_det = factor(self.analysis, np.concatenate(parts))
        solved = solve_lower(self.analysis, values, self.whitened(precision, factors))
        return values, solved, log_det

    def whitened(self, precision: FloatArray, factors: Sequence[FloatArray]) -> FloatArray:
        """``L' Z'W [X, y] / sigma^2`` (effects, p + 1)."""
        link = np.tensordot(precision, self.link, 1)
        width, parts = link.shape[1], []
        for own, rows in zip(factors, self.slabs, strict=True):
            levels = link[rows].reshape(-1, len(own), width)
            parts.append((own.T @ levels).reshape(-1, width))
        return np.concatenate(parts)

    def effects(
        self,
        values: FloatArray,
        solved: FloatArray,
        factors: Sequence[FloatArray],
        beta: FloatArray,
        noise: FloatArray,
    ) -> list[FloatArray]:
        """Effects (levels, k) of each term given coefficients: ``L C^-T (s_y - s_X beta + z)``.

        Parameters
        ----------
        values, solved
            From `eliminate`.
        factors : sequence of ndarray (k, k)
        beta : ndarray (p,)
        noise : ndarray (effects,)
            Standard normal.
        """
        right = solved[:, -1] - solved[:, :-1] @ beta + noise
        white = solve_upper(self.analysis, values, right[:, None])[:, 0]
        return [
            white[rows].reshape(-1, len(one)) @ one.T
            for one, rows in zip(factors, self.slabs, strict=True)
        ]

    def draw(
        self,
        sigma: FloatArray,
        factors: Sequence[FloatArray],
        beta: FloatArray,
        streams: NDArray[np.uint64],
    ) -> list[NDArray[np.float32]]:
        """Draw the effects of each term, (draws, levels, k), given all else.

        Parameters
        ----------
        sigma : ndarray (draws, cells)
        factors : sequence of ndarray (draws, k, k)
        beta : ndarray (draws, p)
            Coefficients, less those subtracted beforehand.
        streams : ndarray (draws,)
            Seed of each draw: the same numbers come back each time.
        """
        ks = [one.shape[1] for one in factors]
        found = [
            np.empty((len(sigma), (rows.stop - rows.start) // k, k), np.float32)
            for rows, k in zip(self.slabs, ks, strict=True)
        ]

        def draw(i: int) -> None:
            own = [one[i] for one in factors]
            values, solved, _ = self.eliminate(sigma[i], own)
            stream = np.random.Generator(np.random.SFC64(int(streams[i])))
            noise = stream.standard_normal(len(solved))
            for out, effects in zip(
                found, self.effects(values, solved, own, beta[i], noise), strict=True
            ):
                out[i] = effects

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(draw, range(len(sigma))))
        return found


def sparse_part(
    problem: Problem,
    cell: IntArray,
    residual: FloatArray,
    crossed: int,
    dense_cost: float,
    *,
    at_any_price: bool = False,
) -> SparsePart | None:
    """The sparse part of a problem, where it is cheaper than a dense factor; else None.

    Parameters
    ----------
    problem : Problem
    cell : ndarray (n,) of int
        The cell of each row, within which sigma is the same.
    residual : ndarray (n,)
        The response less the fit of the coefficients subtracted beforehand.
    crossed : int
        Effects that would be in the dense factor.
    dense_cost : float
        Multiplications that one evaluation with it would take.
    at_any_price : bool
        Whether the factor of one plain term may take more than its eigenvalues.
    """
    if crossed < _FEW:
        return None
    terms = problem.terms
    where = slabs(terms)
    pairs = [
        _pair_blocks(problem, cell, where, i, j) for i in range(len(terms)) for j in range(i + 1)
    ]
    rows, columns = (np.concatenate([places[side] for _, places in pairs]) for side in (0, 1))
    plain = len(terms) == 1 and terms[0].k == 1
    most = min(dense_cost / _PRICE, _MOST_OF_ONE if plain and not at_any_price else np.inf)
    analysis = analyse(rows, columns, where[-1].stop, most_flops=most)
    if analysis is None or _PRICE_OF_VALUE * analysis.size > dense_cost:
        return None
    weighted = np.column_stack([problem.design, residual]) * problem.total_weight[:, None]
    link = np.array(
        [
            np.concatenate([effects_design(term).T @ (weighted * one) for term in terms])
            for one in np.equal.outer(np.arange(int(cell.max()) + 1), cell)[:, :, None]
        ]
    )
    largest = None
    if plain and len(link) == 1:
        size = np.abs(pairs[0][0].values[0, :, 0, 0])
        off = rows != columns
        sums = np.bincount(rows, size) + np.bincount(columns[off], size[off], where[-1].stop)
        largest = float(sums.max())  # of a row: a bound by Gershgorin's theorem
    return SparsePart(tuple(blocks for blocks, _ in pairs), analysis, link, where, largest)


def _pair_blocks(
    problem: Problem, cell: IntArray, where: Sequence[slice], first: int, second: int
) -> tuple[PairBlocks, tuple[IntArray, IntArray]]:
    """Cross-products of two terms, and the places of their entries in the lower triangle."""
    one, two = problem.terms[first], problem.terms[second]
    k, m = one.k, two.k
    codes, weights = [], []
    for a in range(one.codes.shape[1]):
        for b in range(two.codes.shape[1]):
            codes.append(one.codes[:, a] * two.n_levels + two.codes[:, b])
            weights.append(problem.total_weight * one.weights[:, a] * two.weights[:, b])
    keys, index = np.unique(np.concatenate(codes), return_inverse=True)
    many, cells, pairs = len(codes), int(cell.max()) + 1, len(keys)
    products = np.empty((cells, pairs, k, m))
    index += np.tile(cell, many) * pairs
    for i in range(k):
        for j in range(m):
            times = np.concatenate(weights) * np.tile(one.columns[:, i] * two.columns[:, j], many)
            sums = np.bincount(index, times, cells * pairs)
            products[:, :, i, j] = sums.reshape(cells, pairs)
    level, other = np.divmod(keys, two.n_levels)
    if first == second:  # each two levels once
        kept = level >= other
        level, other, products = level[kept], other[kept], products[:, kept]
        diagonal = np.flatnonzero(level == other)
        empty = np.setdiff1d(np.arange(one.n_levels), level[diagonal])  # effects without rows
        level, other = (np.concatenate([each, empty]) for each in (level, other))
        products = np.concatenate([products, np.zeros((cells, len(empty), k, m))], axis=1)
        diagonal = np.flatnonzero(level == other)
    else:
        diagonal = np.zeros(0, np.int64)
    rows = where[first].start + level[:, None, None] * k + np.arange(k)[:, None]
    columns = where[second].start + other[:, None, None] * m + np.arange(m)
    rows, columns = np.broadcast_arrays(rows, columns)
    entries = rows >= columns
    lower = None if entries.all() else entries
    blocks = PairBlocks((first, second), products, lower, diagonal)
    return blocks, (rows[entries], columns[entries])
