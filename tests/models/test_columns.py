"""Columns of designs: side by side, and their triangle."""

import numpy as np
import pytest

from causalbias.io import memory
from causalbias.models.columns import side_by_side, triangle, triangle_of


@pytest.mark.parametrize(("rows", "p"), [(0, 3), (2, 3), (3, 3), (1024, 2), (1025, 2), (9000, 7)])
def test_products_of_columns_are_those_of_their_triangle(rows, p):
    x = np.random.default_rng(rows).normal(size=(rows, p)) + 5
    root = triangle(x)
    assert root.shape == (min(rows, p), p)
    np.testing.assert_array_equal(root, np.triu(root))
    np.testing.assert_allclose(root.T @ root, x.T @ x, rtol=1e-12, atol=1e-12)


def test_a_spread_of_a_millionth_of_the_mean_keeps_ten_digits():
    x = 2000 + 1e-3 * np.random.default_rng(0).normal(size=(144_000, 1))
    root = triangle(side_by_side([np.ones(len(x)), x], len(x)))
    assert abs(root[1, 1]) / np.sqrt(len(x)) == pytest.approx(np.std(x), rel=1e-9)


def test_more_columns_than_a_block_has_rows():
    x = np.random.default_rng(1).normal(size=(20_000, 600))
    root = triangle(x)
    np.testing.assert_allclose(root.T @ root, x.T @ x, rtol=1e-9, atol=1e-8)


def test_vectors_and_matrices_stand_side_by_side():
    x = np.arange(6.0).reshape(3, 2)
    found = side_by_side([np.ones(3), x, np.array([True, False, True])], 3)
    np.testing.assert_array_equal(found, [[1, 0, 1, 1], [1, 2, 3, 0], [1, 4, 5, 1]])
    assert side_by_side([], 3).shape == (3, 0)


@pytest.mark.parametrize("rows", [3, 5000])
def test_parts_have_the_triangle_of_the_columns_side_by_side(rows, monkeypatch):
    monkeypatch.setattr(memory, "CHUNK_BYTES", 50_000)  # some chunks
    rng = np.random.default_rng(2)
    parts, often = [np.ones(rows), rng.normal(size=(rows, 2))], rng.uniform(1, 3, rows)
    x = side_by_side(parts, rows)
    for repeats, whole in ((None, x), (often, x * np.sqrt(often)[:, None])):
        root = triangle_of(parts, repeats)
        assert root.shape == (min(rows, 3), 3)
        np.testing.assert_allclose(root.T @ root, whole.T @ whole, rtol=1e-11, atol=1e-11)
    assert triangle_of([np.ones(0), np.ones((0, 2))]).shape == (0, 3)
