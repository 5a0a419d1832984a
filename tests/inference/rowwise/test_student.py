"""Levels of t's at many draws side by side."""

import numpy as np
from scipy import integrate

from causalbias.inference.rowwise.elementary import exponential, logarithm
from causalbias.inference.rowwise.expansion import log_likelihoods, slopes_at
from causalbias.inference.rowwise.student import draw_student
from tests.inference.rowwise.cases import log_density
from tests.inference.rowwise.test_rowwise_density import one_term, target_of

# sigma, nu, sd of the leading effects: beside ordinary ones, some that need many nodes
DRAWS = np.array([[0.6, 3.0, 0.5], [1.0, 30.0, 0.01], [0.02, 2.0, 4.0], [3.0, 1.0, 1e-12]])


def test_logarithms_and_exponentials_are_those_of_the_library() -> None:
    x = np.concatenate([np.geomspace(1e-300, 1e300, 999), np.linspace(0.5, 2.0, 999)])
    np.testing.assert_allclose([logarithm(one) for one in x], np.log(x), atol=3e-11, rtol=3e-13)
    x = np.linspace(-690.0, 5.0, 999)
    np.testing.assert_allclose([exponential(one) for one in x], np.exp(x), rtol=3e-11)
    assert exponential(-1e9) < 1e-300


def test_draws_side_by_side_have_the_likelihoods_of_each_alone() -> None:
    target, rng = target_of("t", one_term("t", per=11)), np.random.default_rng(4)
    theta = np.log(np.tile(DRAWS, (5, 1)))
    eta = target.linear_predictor(rng.normal(0, 3.0, (len(theta), 2)))
    nodes = slopes_at(target, theta[0], np.zeros(2)).nodes
    sd, phi = np.exp(theta[:, 2]), target.phi(theta)
    together = log_likelihoods(target, eta, sd, phi, nodes)
    for d in range(len(theta)):
        alone = log_likelihoods(
            target, eta[:, d : d + 1].copy(), sd[d : d + 1], phi[d : d + 1], nodes
        )
        # a level's error is 2 exp(-2 pi^2 / step^2) at most, of six levels
        np.testing.assert_allclose(together[d], alone[0], rtol=1e-9, atol=6 * 5e-6)


def test_effects_are_quantiles_of_their_density_given_all_else() -> None:
    one = one_term("t", per=3, levels=4)
    target, phi, sd = target_of("t", one), (0.6, 3.0), 1.5
    theta, rows = np.log(np.array([[*phi, sd]])), target.rows
    nodes = slopes_at(target, theta[0], np.zeros(2)).nodes
    share = np.linspace(0.01, 0.99, 25)
    eta = np.repeat(target.linear_predictor(np.zeros((1, 2))), len(share), axis=1)
    drawn = np.empty((4, len(share)))
    draw_student(
        rows.start,
        rows.y,
        eta,
        np.full(len(share), sd),
        np.tile(phi, (len(share), 1)),
        nodes.bent,
        nodes.pull,
        target.step,
        target.cut,
        np.tile(share, (4, 1)),
        drawn,
    )
    grid = np.linspace(-30, 40, 200_001)
    for level in range(4):
        own = rows.y[rows.start[level] : rows.start[level + 1]]
        log = log_density("t", own[:, None], grid, phi).sum(axis=0) - 0.5 * (grid / sd) ** 2
        below = integrate.cumulative_trapezoid(np.exp(log - log.max()), grid, initial=0.0)
        # linear between points an eighth of a width apart: 0.12^2 / 12 of the shares at most
        np.testing.assert_allclose(
            np.interp(drawn[level], grid, below / below[-1]), share, atol=2e-3
        )
