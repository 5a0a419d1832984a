"""Effective sizes of what weights estimate."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from causalbias.inference.importance.adaptive import kish, least_size


def test_equal_weights_are_worth_their_number():
    x = np.random.default_rng(0).normal(size=(500, 3))
    assert np.isclose(least_size(x.T, np.zeros(500)), 500)


@given(st.floats(-3, 3), st.floats(0.01, 100), st.integers(0, 100))
def test_shift_scale_and_order_are_immaterial(shift, scale, seed):
    rng = np.random.default_rng(seed)
    x, log_weight = rng.normal(size=(200, 2)), rng.normal(size=200)
    order = rng.permutation(200)
    expected = least_size(x.T, log_weight)
    assert np.isclose(
        least_size(shift + scale * x[order].T, log_weight[order]), expected, rtol=1e-6
    )


def test_it_is_the_variance_of_an_estimated_mean():
    """Of many repetitions, by a normal proposal that is too narrow or too wide."""
    rng, n = np.random.default_rng(1), 2000
    for sd in (0.8, 1.6):
        sizes, means = [], []
        for _ in range(400):
            x = sd * rng.normal(size=n)
            log_weight = -0.5 * x**2 + 0.5 * (x / sd) ** 2
            weight = np.exp(log_weight - log_weight.max())
            means.append(weight @ x / weight.sum())
            square = (x - means[-1]) ** 2 * weight
            sizes.append(weight.sum() * square.sum() / (square @ (weight * 1.0)))
        assert np.isclose(1 / np.var(means), np.mean(sizes), rtol=0.25)
        # a tail is estimated worse than the mean by a narrow proposal
        assert least_size([x], log_weight) <= sizes[-1] * 1.001


def test_a_number_of_which_heavy_weights_know_one_side_is_worth_little():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(1000, 2))
    log_weight = np.where(x[:, 1] > 2.0, 2.0, 0.0)
    assert least_size(x.T, log_weight) < 0.6 * kish(log_weight)
