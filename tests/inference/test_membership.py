"""The membership matrix, against sums written out."""

import numpy as np
import pytest

from causalbias.inference.membership import membership


@pytest.mark.parametrize("members", [1, 2, 3])
def test_it_gives_each_row_the_weighted_sum_of_its_levels_effects(members):
    rng = np.random.default_rng(members)
    codes, weights = rng.integers(0, 5, (40, members)), rng.random((40, members))
    columns, effects = rng.normal(size=(40, 2)), rng.normal(size=(5, 2))
    expected = [
        sum(w * columns[i] @ effects[c] for w, c in zip(weights[i], codes[i], strict=True))
        for i in range(40)
    ]
    found = membership(columns, codes, 5, weights) @ effects.ravel()
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_members_count_equally_where_no_weights_are_given():
    codes = np.array([[0, 1, 1], [2, 2, 2]])
    found = membership(np.ones((2, 1)), codes, 3).toarray()
    np.testing.assert_allclose(found, [[1 / 3, 2 / 3, 0], [0, 0, 1]])
