"""Steps of the Gibbs samplers, against the distributions that they are of."""

import numpy as np
import pytest

from causalbias.inference.gibbs.steps import draw_normal, walk


def test_a_normal_draw_has_the_mean_and_covariance_of_its_precision():
    rng = np.random.default_rng(0)
    precision = np.array([[2.0, 0.8], [0.8, 1.5]])
    right = np.array([1.0, -2.0])
    found = np.array([draw_normal(precision, right, rng) for _ in range(20_000)])
    covariance = np.linalg.inv(precision)
    assert found.mean(axis=0) == pytest.approx(covariance @ right, abs=0.02)
    assert np.cov(found.T) == pytest.approx(covariance, abs=0.02)


def test_a_walk_leaves_its_density_as_it_is():
    """Started from draws of a correlated normal it ends in draws of the same."""
    rng = np.random.default_rng(1)
    covariance = np.array([[1.0, 0.6], [0.6, 2.0]])
    precision = np.linalg.inv(covariance)
    starts = rng.multivariate_normal([0.0, 0.0], covariance, 4000)
    ends = np.array(
        [walk(lambda x: -0.5 * float(x @ precision @ x), one, (1.0, 0.3), rng) for one in starts]
    )
    assert (ends != starts).mean() > 0.8
    assert ends.mean(axis=0) == pytest.approx([0.0, 0.0], abs=0.07)
    assert np.cov(ends.T) == pytest.approx(covariance, abs=0.12)
