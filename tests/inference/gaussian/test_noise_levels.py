"""Effects of a grouping factor on log sigma."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from causalbias.inference.gaussian.noise import noise_of
from causalbias.inference.gaussian.noise_draws import GivenScales
from causalbias.inference.problem import EngineError, GroupTerm, Predictor, Problem
from tests.inference.gaussian_cases import half_normal


def problem(levels: int = 4, n: int = 40, **term: object) -> Problem:
    """Rows of two kinds and of annotators, each of whose noise has a size of its own."""
    rng = np.random.default_rng(3)
    code, kind = rng.integers(0, levels, n), rng.integers(0, 2, n)
    ones = np.ones((n, 1))
    options = {"columns": ones, "codes": code[:, None], "weights": ones, "n_levels": levels}
    of_sigma = GroupTerm("sigma_1|a", ("1",), **(options | term), correlated=False,
                         sd_log_prior=(half_normal,))  # fmt: skip
    design = np.column_stack([np.ones(n), kind])
    predictor = Predictor("sigma", design, np.zeros(2), np.array([1.0, 0.5]), (of_sigma,))
    y = np.exp(0.5 * rng.standard_normal(levels))[code] * rng.standard_normal(n)
    return Problem(y, np.ones((n, 1)), np.zeros(1), np.full(1, 9.0), (), np.ones(n),
                   further=(predictor,))  # fmt: skip


@pytest.fixture
def noise():
    made = noise_of(problem(), None)
    return replace(made, levels=replace(made.levels, seen=np.array([0.4, -0.9, 0.1, 1.2])))


def effects(noise, theta):
    return noise.effects(theta[None])[1][0]


@pytest.mark.parametrize("log_tau", [-6.0, -0.7, 1.5])
def test_the_density_is_that_of_normal_effects(noise, log_tau):
    """log p(log tau, z) = log p(tau) + log tau + sum log N(w; 0, tau^2) |dw / dz|."""
    q, rng = noise.n_coefficients, np.random.default_rng(8)
    theta = np.concatenate([rng.normal(size=q), [log_tau], 2.5 * rng.normal(size=4)])
    gamma, tau, z = noise.coefficients(theta[None]), np.exp(log_tau), theta[-4:]
    found = noise.levels.effects(np.array([tau]), gamma, z[None])[1][0]
    h = 1e-5 * np.eye(len(theta))[-4:]
    jacobian = [(effects(noise, theta + s) - effects(noise, theta - s)) / 2e-5 for s in h]
    w = effects(noise, theta)
    expected = half_normal(tau) + log_tau + stats.norm(0, tau).logpdf(w).sum()
    expected += np.linalg.slogdet(np.array(jacobian))[1]
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_sign_of_tau_and_of_all_z_changes_nothing(noise):
    """By which sds about zero can be folded: w is an odd function of (tau, z) about its centre."""
    tells = noise.levels.tells
    for tau in (1e-4, 1e-3):  # where the centre is of the order of tau squared
        z = np.array([0.3, -2.0, 1.0, 0.1])
        at = np.concatenate([np.zeros(2), [np.log(tau)], z])
        other = np.concatenate([np.zeros(2), [np.log(tau)], -z])
        gap = effects(noise, at) + effects(noise, other)
        assert np.abs(gap).max() < 5 * tau**2 * tells.max()


def test_what_a_search_finds_is_kept_when_levels_are_seen_anew(noise):
    theta = np.concatenate([[0.1, -0.2, np.log(0.6)], [0.2, -0.3, 0.4, 0.1]])
    cov = np.diag(np.array([1.0, 1, 1, 0.7, 1.4, 1.0, 1.1]))
    better, moved = noise.refined(theta, cov)
    np.testing.assert_allclose(effects(better, moved), effects(noise, theta), atol=1e-9)
    assert np.abs(moved[-4:]).max() < 1e-6  # each is seen where it was found
    assert (better.levels.tells != noise.levels.tells).any()


def test_a_level_without_rows_has_its_prior():
    p = problem()
    term = p.further[0].terms[0]
    more = replace(p.further[0], terms=(replace(term, n_levels=6),))
    noise = noise_of(replace(p, further=(more,)), None)
    theta = np.concatenate([[0.0, 0.0, np.log(0.5)], np.linspace(-1, 1, 6)])
    np.testing.assert_allclose(effects(noise, theta)[-2:], 0.5 * theta[-2:], rtol=1e-6)


def test_effects_are_integrated_out_without_bias():
    """Beside a sum over a grid: a density that is far from normal given x."""
    mode, cov = np.array([0.2, 0.5, -0.3]), np.array([[1, 0.4, 0], [0.4, 1.2, 0.2], [0, 0.2, 0.8]])
    given, rng = GivenScales.at(mode, cov, 2), np.random.default_rng(1)

    def joint(both):
        gap = both - mode
        square = np.einsum("ni,ij,nj->n", gap, np.linalg.inv(cov), gap)
        return -0.5 * square + 0.4 * np.tanh(gap[:, 1]) * gap[:, 0] - 0.1 * np.abs(gap[:, 2]) ** 3

    x, side = np.array([[-0.6]]), np.linspace(-9, 9, 301)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    values = joint(np.column_stack([np.full(len(grid), x[0, 0]), grid]))
    exact = logsumexp(values) + 2 * np.log(side[1] - side[0])
    mean = np.exp(values - logsumexp(values)) @ grid
    estimate, z = given.marginal(joint, np.repeat(x, 4000, axis=0), rng)
    assert logsumexp(estimate) - np.log(4000) == pytest.approx(exact, abs=0.01)
    weight = np.exp(estimate - logsumexp(estimate))
    np.testing.assert_allclose(weight @ z, mean, atol=0.06)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"columns": np.full((40, 1), 2.0)}, r"it takes \(1\|g\)"),
        ({"codes": np.zeros((40, 2), int), "weights": np.ones((40, 2))}, r"it takes \(1\|g\)"),
        ({"n_levels": 201}, "201 levels, more than 200"),
    ],
)
def test_other_group_terms_are_refused(change, reason):
    with pytest.raises(EngineError, match=reason):
        noise_of(problem(**change) if "n_levels" not in change else problem(201), None)
