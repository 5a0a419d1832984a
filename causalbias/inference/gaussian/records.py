"""Records of a Gaussian problem, and sums over them: the only passes over rows of data.

A record is a row of data, or a level of the leading term in one cell of sigma (`noise`) to which
its rows are summed; where sigma is constant, the level. All sums are of the form
``sum_i w_i a_i b_i'``, a and b being what a record shares with two blocks of effects.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import sparse

from causalbias.inference.membership import effects_design
from causalbias.inference.problem import FloatArray, GroupTerm, IntArray, Problem


@dataclass(frozen=True)
class Records:
    """n weighted records (rows of data, or of the leading term's levels) seen by the later parts.

    Attributes
    ----------
    codes : tuple of ndarray (n,)
        The record's level in each chain term.
    values : tuple of ndarray (n, k_t)
        Its covariates there.
    sparse : csr_matrix (n, q)
        Columns of the dense part that come from group terms (level-major).
    x : ndarray (n, p + 1)
        Design columns, then the response.
    """

    codes: tuple[IntArray, ...]
    values: tuple[FloatArray, ...]
    sparse: sparse.csr_matrix
    x: FloatArray


@dataclass(frozen=True)
class Chain:
    """Nodes of the nested terms in elimination order.

    Attributes
    ----------
    terms : tuple of int
    first_node : ndarray (T + 1,)
        Where each term's nodes begin.
    k : ndarray (nodes,)
    position : ndarray (nodes,)
        The node's place in ``terms``.
    row : ndarray (nodes,)
        The node's first row in the chain x dense block.
    ancestor : ndarray (nodes, T)
        Column 0 is the node itself, column a its ancestor a terms on.
    offset : ndarray (nodes, T)
        Where the (node, ancestor) block starts in the flat vector.
    n_values, n_rows : int
    """

    terms: tuple[int, ...]
    first_node: IntArray
    k: IntArray
    position: IntArray
    row: IntArray
    ancestor: IntArray
    offset: IntArray
    n_values: int
    n_rows: int

    def size(self, n_dense: int) -> int:
        """Length of the flat vector of cross-products."""
        return self.n_values + self.n_rows * n_dense + n_dense**2


def row_records(
    problem: Problem, chain: Sequence[int], dense_terms: Sequence[int], centre: FloatArray
) -> Records:
    """The rows of a problem, their response less the fit of ``centre``."""
    terms, n = problem.terms, len(problem.y)
    residual = problem.y - problem.design @ centre
    pieces = [effects_design(terms[i]) for i in dense_terms]
    empty = sparse.csr_matrix((n, 0))
    return Records(
        codes=tuple(terms[i].codes[:, 0] for i in chain),
        values=tuple(terms[i].columns * terms[i].weights for i in chain),
        sparse=sparse.hstack(pieces, format="csr") if pieces else empty,
        x=np.column_stack([problem.design, residual]),
    )


def _indicator(codes: IntArray, values: FloatArray, n_levels: int) -> sparse.csr_matrix:
    """Return the (n_levels, n) matrix that sums ``values`` times a record's entries by level."""
    n = len(codes)
    return sparse.csr_matrix((values, codes, np.arange(n + 1)), (n, n_levels)).T.tocsr()


def contract(
    rows: Records,
    term: GroupTerm,
    c: int,
    weight: FloatArray,
    record: IntArray,
    parents: tuple[IntArray, ...],
) -> Records:
    """Sum rows to records of the leading term, each row times its weight and covariate ``c``."""
    times = weight * term.weights[:, 0] * term.columns[:, c]
    to_record = _indicator(record, times, int(record.max()) + 1)
    return Records(
        codes=parents,
        values=tuple(np.asarray(to_record @ v) for v in rows.values),
        sparse=(to_record @ rows.sparse).tocsr(),
        x=np.asarray(to_record @ rows.x),
    )


def gram_of_records(term: GroupTerm, weight: FloatArray, record: IntArray) -> FloatArray:
    """Weighted cross-products (records, k, k) of a term's own columns."""
    k, many = term.k, int(record.max()) + 1
    times = weight * term.weights[:, 0] ** 2
    gram = np.empty((many, k, k))
    for a in range(k):
        for b in range(a, k):
            values = times * term.columns[:, a] * term.columns[:, b]
            gram[:, a, b] = gram[:, b, a] = np.bincount(record, values, many)
    return gram


def scaled(records: Records, weight: FloatArray) -> Records:
    """The records, each times its weight."""
    if np.all(weight == 1.0):
        return records
    return Records(
        records.codes,
        tuple(v * weight[:, None] for v in records.values),
        sparse.diags_array(weight).tocsr() @ records.sparse,
        records.x * weight[:, None],
    )


def take(records: Records, which: IntArray) -> Records:
    """Some of the records."""
    return Records(
        tuple(c[which] for c in records.codes),
        tuple(v[which] for v in records.values),
        records.sparse[which] if records.sparse.shape[1] else _no_columns(len(which)),
        records.x[which],
    )


@cache
def _no_columns(n: int) -> sparse.csr_matrix:
    return sparse.csr_matrix((n, 0))


def cross_products(a: Records, b: Records, chain: Chain, n_dense: int) -> FloatArray:
    """Return the flat sum over records of ``a_i b_i'`` (chain blocks: ancestor side from b)."""
    out = np.empty(chain.size(n_dense))
    cross = out[chain.n_values : out.size - n_dense**2].reshape(chain.n_rows, n_dense)
    dense = out[out.size - n_dense**2 :].reshape(n_dense, n_dense)
    q, at = a.sparse.shape[1], 0
    for t in range(len(chain.terms)):
        levels = int(chain.first_node[t + 1] - chain.first_node[t])
        k = a.values[t].shape[1]
        row = int(chain.row[chain.first_node[t]])
        for j in range(t, len(chain.terms)):
            product = a.values[t][:, :, None] * b.values[j][:, None, :]
            flat = product.reshape(len(product), -1)
            sums = [np.bincount(a.codes[t], f, levels) for f in flat.T]
            out[at : at + levels * len(sums)] = np.column_stack(sums).ravel()
            at += levels * len(sums)
        for c in range(k):
            to_level = _indicator(a.codes[t], a.values[t][:, c], levels)
            rows = slice(row + c, row + levels * k, k)
            cross[rows, q:] = to_level @ b.x
            if q:
                cross[rows, :q] = (to_level @ b.sparse).toarray()
    dense[q:, q:] = a.x.T @ b.x
    if q:  # a matrix of no columns takes SciPy as long as one of many
        dense[:q, :q] = (a.sparse.T @ b.sparse).toarray()
        dense[:q, q:] = a.sparse.T @ b.x
        dense[q:, :q] = (b.sparse.T @ a.x).T
    return out
