"""Simulation-based calibration: ranks of the truth among posterior draws are uniform."""

from dataclasses import replace

import numpy as np
import pytest

from causalbias.inference.laplace.sample import sample_laplace
from tests.inference.gaussian_cases import SD_SCALE, problem, term
from tests.inference.ranks import DRAWS, SIMULATIONS, assert_uniform


@pytest.mark.slow
def test_ranks_are_uniform_ordinal_crossed():
    """Talts et al. (2018); thresholds drawn normal, and again until they ascend."""
    rng = np.random.default_rng(21)
    g, h = np.repeat(np.arange(8), 5), rng.integers(0, 5, 40)
    x, one = rng.standard_normal((40, 1)), np.ones((40, 1))
    shape = problem(x[:, 0], x, [term("1|g", one, g, 8), term("1|h", one, h, 5)], beta_sd=1.5)
    mean, sd = np.array([-0.7, 0.7]), np.full(2, 0.8)
    ranks, simulation = [], 0
    while len(ranks) < SIMULATIONS:
        simulation += 1
        cuts = mean + sd * rng.standard_normal(2)
        sds, beta = SD_SCALE * np.abs(rng.standard_normal(2)), 1.5 * rng.standard_normal(1)
        u, v = sds[0] * rng.standard_normal(8), sds[1] * rng.standard_normal(5)
        y = np.digitize(x @ beta + u[g] + v[h] + rng.logistic(size=40), cuts)
        if cuts[1] < cuts[0] or 1 not in y:  # the engine refuses what has no middle category
            continue
        found = sample_laplace(
            replace(shape, y=y.astype(float)),
            threshold_mean=mean,
            threshold_sd=sd,
            draws=DRAWS,
            random_seed=simulation,
        )
        truth = np.r_[cuts, sds, beta, u[0], v[0]]
        drawn = np.column_stack(
            [
                found.threshold,
                found.sd["1|g"],
                found.sd["1|h"],
                found.beta,
                found.effects["1|g"][:, 0],
                found.effects["1|h"][:, 0],
            ]
        )
        ranks.append((drawn < truth).sum(axis=0))
    assert_uniform(ranks)


@pytest.mark.slow
def test_ranks_are_uniform_binary_with_correlated_slopes():
    rng = np.random.default_rng(22)
    g = np.repeat(np.arange(8), 8)
    x = np.column_stack([np.ones(64), rng.standard_normal(64)])
    # LKJ(1.5) of a 2 x 2 matrix: the correlation is 2 Beta(1.5, 1.5) - 1
    shape = problem(x[:, 0], x, [term("x|g", x, g, 8)], beta_sd=1.5)
    ranks = []
    for simulation in range(SIMULATIONS):
        sd, corr = SD_SCALE * np.abs(rng.standard_normal(2)), 2 * rng.beta(1.5, 1.5) - 1
        chol = sd[:, None] * np.array([[1, 0], [corr, np.sqrt(1 - corr**2)]])
        u, beta = rng.standard_normal((8, 2)) @ chol.T, 1.5 * rng.standard_normal(2)
        eta = x @ beta + (x * u[g]).sum(axis=1)
        y = (eta + rng.logistic(size=64) > 0).astype(float)
        found = sample_laplace(replace(shape, y=y), draws=DRAWS, random_seed=simulation)
        truth = np.r_[sd, corr, beta, u[0]]
        drawn = np.column_stack(
            [
                found.sd["x|g"],
                found.corr["x|g"][:, 1, 0],
                found.beta,
                found.effects["x|g"][:, 0],
            ]
        )
        ranks.append((drawn < truth).sum(axis=0))
    assert_uniform(ranks)
