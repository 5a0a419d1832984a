"""Sparse factors: against dense linear algebra, for any pattern, and in bounded memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from causalbias.inference.sparse import analyse, factor, solve_lower, solve_upper


def matrix_of(n, density, rng):
    """A sparse positive definite matrix, and the entries of its lower triangle."""
    some = sparse.random(n, n, density, random_state=rng)
    matrix = (some @ some.T + sparse.eye(n)).toarray()
    rows, columns = np.nonzero(np.tril(matrix))
    return matrix, rows, columns


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 70),
    density=st.sampled_from([0.0, 0.02, 0.1, 0.4]),
    seed=st.integers(0, 10**6),
)
def test_factors_are_those_of_dense_algebra(n, density, seed):
    rng = np.random.default_rng(seed)
    matrix, rows, columns = matrix_of(n, density, rng)
    found = analyse(rows, columns, n)
    assert sorted(found.order) == list(range(n))
    values, log_det = factor(found, matrix[rows, columns])
    assert log_det == pytest.approx(np.linalg.slogdet(matrix)[1], rel=1e-9, abs=1e-9)
    right = rng.normal(size=(n, 2))
    half = solve_lower(found, values, right)
    np.testing.assert_allclose(half.T @ half, right.T @ np.linalg.solve(matrix, right), atol=1e-8)
    np.testing.assert_allclose(matrix @ solve_upper(found, values, half), right, atol=1e-8)
    # another matrix of the same pattern, by the same analysis
    again = factor(found, (matrix + 3 * np.eye(n))[rows, columns])[1]
    assert again == pytest.approx(np.linalg.slogdet(matrix + 3 * np.eye(n))[1], rel=1e-9, abs=1e-9)


def test_the_order_of_a_tree_fills_in_nothing():
    n = 500
    parent = np.array([0, *(np.random.default_rng(1).integers(0, np.arange(1, n)))])
    rows = np.concatenate([np.arange(n), np.arange(1, n)])
    columns = np.concatenate([np.arange(n), parent[1:]])
    found = analyse(rows, columns, n)
    in_pattern = 2 * n - 1
    assert found.size < 2 * in_pattern  # panels hold a few zeros
    assert found.flops < 10 * n


def test_an_order_beats_that_of_scipy_or_is_near_it():
    """SuperLU's multiple minimum degree order is the usual yardstick."""
    from scipy.sparse.linalg import splu

    rng = np.random.default_rng(2)
    n, pairs = 2000, 2800
    a, b = rng.integers(0, n, (2, pairs))
    z = sparse.csr_matrix((np.ones(2 * pairs), (np.tile(np.arange(pairs), 2), np.r_[a, b])))
    matrix = (z.T @ z + sparse.eye(z.shape[1])).tocsc()
    theirs = splu(
        matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    ).L
    lower = sparse.tril(matrix).tocoo()
    ours = analyse(lower.row.astype(np.int64), lower.col.astype(np.int64), matrix.shape[0])
    counts = np.diff(theirs.indptr).astype(float)
    assert ours.flops < 1.5 * 0.5 * np.square(counts).sum()


def test_a_matrix_that_is_not_positive_definite_has_no_log_determinant():
    found = analyse(np.array([0, 1, 1]), np.array([0, 0, 1]), 2)
    assert np.isnan(factor(found, np.array([1.0, 2.0, 1.0]))[1])


def test_a_factor_that_takes_too_much_is_not_laid_out():
    rng = np.random.default_rng(3)
    n = 20_000
    a, b = rng.integers(0, n, (2, 5 * n))
    rows = np.concatenate([np.arange(n), np.maximum(a, b)[a != b]])
    columns = np.concatenate([np.arange(n), np.minimum(a, b)[a != b]])
    keys = np.unique(rows * n + columns)
    assert analyse(keys // n, keys % n, n, most_flops=1e9) is None
