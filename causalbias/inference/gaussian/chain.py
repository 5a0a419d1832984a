"""Elimination of the chain's nodes and the way back, in compiled loops without allocation.

A node i is one level of one nested term, with k_i effects; its ancestors j are the levels that
hold it. Its blocks ``A_ij`` (k_i, k_j) with itself and its ancestors lie in the flat vector
``values`` from ``offset[i, a]`` on, a = 0 for the node itself; its rows ``c_i`` (k_i, n_dense)
against the dense part are ``cross[row[i] : row[i] + k_i]``. Nodes have no other links, so that
elimination fills in nothing. Other arrays, as in `records.Chain`: ``ks`` (nodes,) holds k_i,
``position`` (nodes,) the place of the node's term in ``factors`` (terms, k, k), the L of each term,
and ``ancestor`` (nodes, terms) the nodes j, -1 beyond the last.
"""

import numba
import numpy as np

from causalbias.inference.problem import FloatArray, IntArray

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


@_compiled
def whiten_chain(
    values: FloatArray,
    cross: FloatArray,
    position: IntArray,
    factors: FloatArray,
    ks: IntArray,
    row: IntArray,
    ancestor: IntArray,
    offset: IntArray,
) -> None:
    """Whiten in place: ``A_ij <- L_i' A_ij L_j`` (plus I where i = j), ``c_i <- L_i' c_i``."""
    n_nodes, width = ancestor.shape
    n_dense = cross.shape[1]
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


@_compiled
def factor_nodes(
    first: int,
    last: int,
    values: FloatArray,
    cross: FloatArray,
    ks: IntArray,
    row: IntArray,
    ancestor: IntArray,
    offset: IntArray,
) -> float:
    """Factor one term's nodes: ``A_ii = R R'``, ``A_ij <- R^-1 A_ij``, ``c_i <- R^-1 c_i``.

    Returns ``sum_i log |A_ii|``; NaN where a block is not positive definite.
    """
    width, n_dense = ancestor.shape[1], cross.shape[1]
    log_det = 0.0
    for i in range(first, last):
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
    return log_det


@_compiled
def subtract_nodes(
    first: int,
    last: int,
    values: FloatArray,
    cross: FloatArray,
    ks: IntArray,
    row: IntArray,
    ancestor: IntArray,
    offset: IntArray,
) -> None:
    """Take one term's factored nodes from their ancestors: the Schur complement.

    ``A_jm -= A_ij' A_im`` and ``c_j -= A_ij' c_i`` for ancestors j, m of each node i.
    """
    width, n_dense = ancestor.shape[1], cross.shape[1]
    for i in range(first, last):
        k = ks[i]
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


@_compiled
def eliminate_intercepts(
    first_node: IntArray,
    values: FloatArray,
    cross: FloatArray,
    factors: FloatArray,
    position: IntArray,
    ancestor: IntArray,
    offset: IntArray,
) -> float:
    """Whiten, factor and subtract the nodes of a chain of intercepts, whose rows are its nodes.

    The steps of `whiten_chain`, `factor_nodes` and `subtract_nodes`, and their numbers, with all
    k_i = 1: each node's row is read once while it is at hand. Returns ``sum_i log A_ii``; NaN where
    one is not positive.
    """
    n_nodes, width = ancestor.shape
    n_dense = cross.shape[1]
    for i in range(n_nodes):
        left = factors[position[i], 0, 0]
        for a in range(width):
            j = ancestor[i, a]
            if j < 0:
                break
            values[offset[i, a]] *= left * factors[position[j], 0, 0]
        values[offset[i, 0]] += 1.0
        if position[i] > 0:  # something is taken from it before its turn comes
            for d in range(n_dense):
                cross[i, d] *= left
    log_det = 0.0
    for t in range(len(first_node) - 1):
        of_term, left = 0.0, factors[0, 0, 0] if t == 0 else 1.0
        for i in range(first_node[t], first_node[t + 1]):
            pivot = values[offset[i, 0]]
            if not pivot > 0.0:
                return np.nan
            of_term += np.log(pivot)
            root = np.sqrt(pivot)
            inverse, own = 1.0 / root, cross[i]
            values[offset[i, 0]] = root
            for d in range(n_dense):
                own[d] = own[d] * left * inverse
            for a in range(1, width):
                if ancestor[i, a] < 0:
                    break
                values[offset[i, a]] /= root
            for a in range(1, width):
                j = ancestor[i, a]
                if j < 0:
                    break
                here, into = values[offset[i, a]], cross[j]
                for d in range(n_dense):
                    into[d] -= here * own[d]
                for b in range(a, width):
                    if ancestor[i, b] < 0:
                        break
                    values[offset[j, b - a]] -= here * values[offset[i, b]]
        log_det += of_term
    return log_det


@_compiled
def solve_chain(
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
    """Solve back from the last node to node ``skip``: ``rhs`` becomes u, ``effects`` b = L u.

    ``u_i = R_i'^-1 (rhs_i - sum_j A_ij u_j)`` over ancestors j, with R_i in the place of A_ii.
    """
    n_nodes, width = ancestor.shape
    for i in range(n_nodes - 1, skip - 1, -1):
        k = ks[i]
        if k == 1:
            left = rhs[row[i]]
            for a in range(1, width):
                j = ancestor[i, a]
                if j < 0:
                    break
                for c in range(ks[j]):
                    left -= values[offset[i, a] + c] * rhs[row[j] + c]
            left /= values[offset[i, 0]]
            rhs[row[i]] = left
            effects[row[i]] += factors[position[i], 0, 0] * left
            continue
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
