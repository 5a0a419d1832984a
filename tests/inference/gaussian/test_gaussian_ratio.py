"""Functions of one ratio of standard deviations: interpolated as accurately as computed."""

import numpy as np
import pytest

from causalbias.inference.gaussian.blocks import build_blocks
from causalbias.inference.gaussian.ratio import OfRatio
from tests.inference.gaussian.test_gaussian_sparse import many_identities

RATIOS = [0.0, 1e-9, 1e-3, 0.05, 0.3, 1.0, 7.0, 90.0, 4e3]


@pytest.mark.parametrize("eigenvalues", [[2.0], [1e-6, 1e-3, 1.0, 40.0], [0.0, 0.5, 0.5001, 6.0]])
def test_the_series_is_the_function(eigenvalues):
    mu = np.array(eigenvalues)

    def compute(ratio):
        return np.array([np.log1p(ratio**2 * mu).sum(), (ratio**2 / (1 + ratio**2 * mu)).sum()])

    found = OfRatio(compute, float(mu.max()))
    for ratio in RATIOS:
        np.testing.assert_allclose(found(ratio), compute(ratio), rtol=1e-12, atol=1e-13)


def test_few_points_are_computed():
    seen = []

    def compute(ratio):
        seen.append(ratio)
        return np.array([np.log1p(ratio**2)])

    found = OfRatio(compute, 1.0)
    for ratio in np.exp(np.linspace(-20, 2, 1000)):
        found(ratio)
    assert len(seen) <= 3 * 28


def test_what_effects_take_is_what_a_factor_gives():
    p, _ = many_identities(n=400, pairs=560)
    blocks = build_blocks(p)
    part = blocks.sparse
    assert part.largest is not None
    for ratio in RATIOS:
        for sigma in (0.03, 1.0, 20.0):
            factors = [np.array([[ratio * sigma]])]
            _, solved, log_det = part.eliminate(sigma, factors)
            taken, found = part.taken(np.array([sigma]), factors)
            assert found == pytest.approx(log_det, rel=1e-10, abs=1e-10)
            expected = solved.T @ solved
            atol = 1e-13 * blocks.total.max() / sigma**2  # of the sums they are taken from
            np.testing.assert_allclose(taken, expected, rtol=1e-9, atol=atol)


def test_a_ratio_beyond_all_numbers_has_no_answer():
    p, _ = many_identities(n=400, pairs=560)
    part = build_blocks(p).sparse
    assert np.isnan(part.taken(np.array([1e-200]), [np.array([[1e200]])])[1])
