"""Simulation-based calibration: ranks of the truth among posterior draws are uniform."""

from dataclasses import replace

import numpy as np
import pytest

from causalbias.inference.gaussian.sample import sample_gaussian
from tests.inference.gaussian_cases import SD_SCALE, half_normal, problem, term
from tests.inference.ranks import DRAWS, SIMULATIONS, assert_uniform


@pytest.mark.slow
def test_ranks_are_uniform():
    """Talts et al. (2018), for correlated slopes, a crossed factor and two coefficients."""
    rng = np.random.default_rng(20)
    g, h = np.repeat(np.arange(8), 5), rng.integers(0, 5, 40)
    x = np.column_stack([np.ones(40), rng.standard_normal(40)])
    # LKJ(1.5) of a 2 x 2 matrix: the correlation is 2 Beta(1.5, 1.5) - 1
    shape = problem(x[:, 0], x, [term("x|g", x, g, 8), term("1|h", x[:, :1], h, 5)], beta_sd=2.0)
    ranks = []
    for simulation in range(SIMULATIONS):
        sigma, sd, other = np.split(SD_SCALE * np.abs(rng.standard_normal(4)), [1, 3])
        corr = 2 * rng.beta(1.5, 1.5) - 1
        chol = sd[:, None] * np.array([[1, 0], [corr, np.sqrt(1 - corr**2)]])
        u, v = rng.standard_normal((8, 2)) @ chol.T, other * rng.standard_normal(5)
        beta = 2.0 * rng.standard_normal(2)
        y = x @ beta + (x * u[g]).sum(axis=1) + v[h] + sigma * rng.standard_normal(40)
        found = sample_gaussian(
            replace(shape, y=y), half_normal, draws=DRAWS, random_seed=simulation
        )
        truth = np.r_[sigma, sd, other, corr, beta, u[0], v[0]]
        drawn = np.column_stack(
            [
                found.sigma,
                found.sd["x|g"],
                found.sd["1|h"],
                found.corr["x|g"][:, 1, 0],
                found.beta,
                found.effects["x|g"][:, 0],
                found.effects["1|h"][:, 0],
            ]
        )
        ranks.append((drawn < truth).sum(axis=0))
    assert_uniform(ranks)
