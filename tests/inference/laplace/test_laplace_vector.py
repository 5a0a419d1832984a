"""Vector exponentials and logarithms against NumPy's."""

import numpy as np
import pytest

from causalbias.inference.laplace.vector import exp_all, subtract_logs

EPS = np.finfo(float).eps


@pytest.mark.parametrize("width", [1e-300, 1e-8, 1.0, 30.0, 699.0])
def test_exponentials(width):
    x = np.concatenate([np.random.default_rng(1).uniform(-width, width, 10_001), [0.0, width]])
    found = np.empty(len(x))
    exp_all(x, len(x), found)
    np.testing.assert_allclose(found, np.exp(x), rtol=2 * EPS, atol=0)


def test_exponentials_are_held_to_what_a_double_holds_and_the_rest_is_left():
    found = np.zeros(6)
    exp_all(np.array([-np.inf, -1e9, 1e9, np.inf, 1.0, 2.0]), 5, found)
    np.testing.assert_allclose(found[:4], np.exp([-700.0, -700.0, 700.0, 700.0]), rtol=2 * EPS)
    assert found[4] == pytest.approx(np.e)
    assert found[5] == 0


@pytest.mark.parametrize("width", [1e-8, 0.3, 5.0, 600.0])
def test_logarithms(width):
    x = np.exp(np.random.default_rng(1).uniform(-width, width, 10_001))
    x = np.concatenate([x, [1.0, np.sqrt(0.5), np.sqrt(2.0), 1 - EPS, 1 + EPS]])
    found = np.zeros(len(x))
    subtract_logs(-1.0, x, found)
    np.testing.assert_allclose(found, np.log(x), rtol=3 * EPS, atol=0)


def test_logarithms_are_subtracted_so_many_times():
    found = np.array([1.0, 2.0])
    subtract_logs(3.0, np.array([2.0, 5.0]), found)
    np.testing.assert_allclose(found, [1 - 3 * np.log(2), 2 - 3 * np.log(5)])
