"""Every engine gives what the protocol says."""

import numpy as np
import pytest

from causalbias.inference.gaussian import sample_gaussian
from causalbias.inference.laplace import sample_laplace
from causalbias.inference.problem import EngineError
from causalbias.inference.protocol import Draws
from tests.inference.gaussian_cases import half_normal, problem, term


def gaussian(data, **settings):
    return sample_gaussian(data, half_normal, **settings)


def laplace(data, **settings):
    return sample_laplace(data, **settings)


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(12), 10)
    ones = np.ones((120, 1))
    y = rng.integers(0, 2, 120).astype(float)
    return problem(y, ones, [term("1|g", ones, codes, 12)])


@pytest.mark.parametrize("engine", [gaussian, laplace])
def test_an_engine_gives_draws_with_diagnostics_and_the_same_for_the_same_seed(engine, rows):
    found, again = (engine(rows, draws=100, random_seed=3) for _ in range(2))
    assert isinstance(found, Draws)
    assert found.beta.shape == (100, 1)
    assert found.sd["1|g"].shape == (100, 1)
    assert found.effects["1|g"].shape == (100, 12, 1)
    assert np.isfinite([found.diagnostics.pareto_k, found.diagnostics.importance_ess]).all()
    np.testing.assert_array_equal(found.beta, again.beta)


@pytest.mark.parametrize("engine", [gaussian, laplace])
def test_an_engine_keeps_the_effects_it_is_asked_for(engine, rows):
    whole, part = (engine(rows, draws=100, random_seed=3, keep=keep) for keep in (None, []))
    assert not part.effects
    np.testing.assert_array_equal(whole.beta, part.beta)


@pytest.mark.parametrize("engine", [gaussian, laplace])
def test_an_engine_refuses_what_it_cannot_sample(engine, rows):
    with pytest.raises(EngineError, match="draws must be positive"):
        engine(rows, draws=0)
    with pytest.raises(EngineError, match="keep names"):
        engine(rows, draws=10, keep=["no such term"])
