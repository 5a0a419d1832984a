"""Steps of the Gibbs samplers, against the distributions that they are of."""

import numpy as np
import pytest

from causalbias.inference.gibbs.steps import draw_normal, slice_draws


def test_a_normal_draw_has_the_mean_and_covariance_of_its_precision():
    rng = np.random.default_rng(0)
    precision = np.array([[2.0, 0.8], [0.8, 1.5]])
    right = np.array([1.0, -2.0])
    found = np.array([draw_normal(precision, right, rng) for _ in range(20_000)])
    covariance = np.linalg.inv(precision)
    assert found.mean(axis=0) == pytest.approx(covariance @ right, abs=0.02)
    assert np.cov(found.T) == pytest.approx(covariance, abs=0.02)


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_slices_leave_a_density_as_it_is_whatever_its_scale(scale):
    """Started from draws of a correlated normal they end in draws of the same, and forget."""
    rng = np.random.default_rng(1)
    covariance = scale**2 * np.array([[1.0, 0.6], [0.6, 2.0]])
    precision = np.linalg.inv(covariance)
    starts = rng.multivariate_normal([0.0, 0.0], covariance, 4000)
    ends = np.array(
        [slice_draws(lambda x: -0.5 * float(x @ precision @ x), one, rng) for one in starts]
    )
    assert abs(np.corrcoef(starts[:, 1], ends[:, 1])[0, 1]) < 0.4
    assert ends.mean(axis=0) / scale == pytest.approx([0.0, 0.0], abs=0.07)
    assert np.cov(ends.T) / scale**2 == pytest.approx(covariance / scale**2, abs=0.12)


def test_slices_of_a_skewed_density_are_of_it():
    """An exponential, whose support ends where draws are most likely."""
    rng = np.random.default_rng(2)
    at, found = np.ones(1), []
    for _ in range(8000):
        at = slice_draws(lambda x: -float(x[0]) if x[0] > 0 else -np.inf, at, rng)
        found.append(at[0])
    assert np.quantile(found, [0.1, 0.5, 0.9]) == pytest.approx(-np.log([0.9, 0.5, 0.1]), rel=0.12)
