"""Log densities of rows, their slopes, and integrals over the leading effect."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import special, stats

from causalbias.inference.problem import Problem
from causalbias.inference.rowwise.densities import (
    DENSITIES,
    constant_part,
    eta_part,
    known_parts,
    response_part,
    slopes,
)
from causalbias.inference.rowwise.expansion import (
    Given,
    expand,
    gradient_of,
    gradients_at,
    hessian_of,
    log_likelihoods,
    slopes_at,
)
from causalbias.inference.rowwise.proposal import drawn_about
from causalbias.inference.rowwise.target import Target, make_target
from tests.inference.gaussian_cases import half_normal, problem, term
from tests.inference.rowwise.cases import PARAMETERS, TRIALS, log_density, responses

FAMILIES = sorted(DENSITIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_has_the_density_of_scipy_and_its_slopes(family: str) -> None:
    rng, code = np.random.default_rng(1), DENSITIES[family].code
    y, eta = responses(family, 40, rng), rng.normal(0, 1.5, 40)
    known = known_parts(code, y, np.full(40, float(TRIALS)))
    for phi in PARAMETERS[family]:
        a, b = (*phi, 1.0, 1.0)[:2]

        def value(at: np.ndarray, a: float = a, b: float = b) -> np.ndarray:
            rows = zip(y, known, at, strict=True)
            return np.array(
                [
                    constant_part(code, a, b)
                    + response_part(code, one, parts, a)
                    + eta_part(code, one, parts, here, a, b)
                    for one, parts, here in rows
                ]
            )

        np.testing.assert_allclose(value(eta), log_density(family, y, eta, phi), rtol=1e-9)
        found = np.array(
            [
                slopes(code, one, parts, here, a, b)
                for one, parts, here in zip(y, known, eta, strict=True)
            ]
        )
        h = 1e-4
        up, mid, down = value(eta + h), value(eta), value(eta - h)
        np.testing.assert_allclose(found[:, 0], (up - down) / (2 * h), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found[:, 1], (up - 2 * mid + down) / h**2, rtol=1e-4, atol=2e-5)
        assert (found[:, 2] > 0).all()


@pytest.mark.parametrize("eta", [-60.0, 60.0])
def test_densities_far_out_are_finite_or_impossible(eta: float) -> None:
    for family in FAMILIES:
        y = responses(family, 5, np.random.default_rng(2))
        code, phi = DENSITIES[family].code, PARAMETERS[family][0]
        known = known_parts(code, y, np.full(5, float(TRIALS)))
        a, b = (*phi, 1.0, 1.0)[:2]
        for one, parts in zip(y, known, strict=True):
            assert eta_part(code, one, parts, eta, a, b) < 1e3


def one_term(family: str, seed: int = 3, per: int = 4, levels: int = 6) -> Problem:
    rng = np.random.default_rng(seed)
    n = per * levels
    y = responses(family, n, rng)
    if family == "t":
        y[:2] = 30.0, -20.0  # outliers of one level, to either side
    design = np.column_stack([np.ones(n), rng.normal(size=n)])
    codes = rng.permutation(np.repeat(np.arange(levels), per))
    return problem(y, design, [term("1|g", np.ones((n, 1)), codes, levels)], beta_sd=2.0)


def target_of(family: str, one: Problem) -> Target:
    priors = dict.fromkeys(DENSITIES[family].parameters, half_normal)
    return make_target(one, family, priors, np.full(len(one.y), float(TRIALS)))


def theta_of(family: str, phi: tuple[float, ...], sd: float) -> np.ndarray:
    names, real = DENSITIES[family].parameters, DENSITIES[family].real
    pairs = zip(names, phi, strict=True)
    return np.array([one if name in real else np.log(one) for name, one in pairs] + [np.log(sd)])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sd", [1e-8, 0.4, 6.0])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_leading_effect_is_integrated_out(family: str, sd: float, weighted: bool) -> None:
    one = one_term(family)
    weight = np.where(np.arange(len(one.y)) % 3, 1.0, 2.0) if weighted else np.ones(len(one.y))
    one = replace(one, row_weight=weight)
    target, phi = target_of(family, one), PARAMETERS[family][0]
    theta, x = theta_of(family, phi, sd), np.array([0.3, -0.5])
    nodes = slopes_at(target, theta, np.zeros(2)).nodes  # as placed at another point
    eta = target.linear_predictor(x[None])
    found = log_likelihoods(target, eta, np.array([sd]), target.phi(theta[None]), nodes)
    u = np.linspace(-9, 9, 20_001)
    log_u = -0.5 * u**2 - 0.5 * np.log(2 * np.pi) + np.log(u[1] - u[0])
    expected = 0.0
    for level in range(6):
        rows = one.terms[0].codes[:, 0] == level
        at = (one.design[rows] @ x)[:, None] + sd * u
        logs = log_density(family, one.y[rows][:, None], at, phi) * one.row_weight[rows][:, None]
        expected += special.logsumexp(log_u + logs.sum(axis=0))
    # six levels, of each an error of 2 exp(-2 pi^2 / step^2) at most
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=6 * 5e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_of_no_width_are_impossible(weighted: bool) -> None:
    """The step between nodes is then zero, and their number none: there are as many as may be."""
    one = one_term("t")
    one = replace(one, row_weight=np.full(len(one.y), 2.0)) if weighted else one
    target = target_of("t", one)
    nodes = slopes_at(target, theta_of("t", (0.6, 3.0), 1.0), np.zeros(2)).nodes
    phi = np.array([[[1e-200, 3.0]]])
    found = log_likelihoods(target, np.zeros((len(one.y), 1)), np.ones(1), phi, nodes)
    assert found[0] == -np.inf


@pytest.mark.parametrize("family", ["t", "gamma", "beta_binomial"])
def test_derivatives_are_those_of_the_integrated_likelihood(family: str) -> None:
    target, phi = target_of(family, one_term(family)), PARAMETERS[family][0]
    theta, x, h = theta_of(family, phi, 0.7), np.array([0.3, -0.5]), 1e-4
    found = slopes_at(target, theta, x)
    design = target.rows.design
    n = len(design)
    blocks = np.zeros((n, n))
    sizes = np.diff(target.rows.indptr)
    blocks[np.repeat(np.arange(n), sizes), target.rows.indices] = found.blocks
    by_x, bent = design.T @ found.slope, design.T @ blocks @ design
    for j in range(2):
        sides = [slopes_at(target, theta, x + sign * h * np.eye(2)[j]) for sign in (1, -1)]
        assert (sides[0].value - sides[1].value) / (2 * h) == pytest.approx(by_x[j], rel=1e-5)
        change = design.T @ (sides[0].slope - sides[1].slope) / (2 * h)
        np.testing.assert_allclose(-change, bent[j], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", ["t", "gamma", "beta_binomial"])
def test_curvature_moves_with_parameters_as_the_exact_one(family: str) -> None:
    target, phi = target_of(family, one_term(family, per=6)), PARAMETERS[family][0]
    point = expand(target, theta_of(family, phi, 0.7), np.zeros(2))
    for place, size in enumerate(point.theta):
        theta = point.theta + 0.03 * np.eye(len(point.theta))[place] * (1 + abs(size))
        there = slopes_at(target, theta, point.x, point.nodes)
        exact = hessian_of(target, there, point.hessian.share, point.hessian)
        moved, curved = point.curvature_at(theta, True)
        rest = 1e-5 * np.abs(exact.entries).max()  # what a derivative leaves is of second order
        change = np.abs(exact.entries - point.hessian.entries).max()
        np.testing.assert_allclose(moved.entries, exact.entries, atol=0.1 * change + rest)
        np.testing.assert_allclose(curved, moved.times(point.x - target.origin), rtol=1e-8)
        value, gradient = gradients_at(target, theta[None], point.x, point.nodes)
        assert value[0] == pytest.approx(there.value, rel=1e-7)
        expected = gradient_of(target, there.slope)
        np.testing.assert_allclose(gradient[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", ["skew_normal", "exgaussian"])
def test_nodes_see_the_sharp_side_of_rows_wherever_they_were_placed(family: str) -> None:
    """Rows of curvatures that differ a hundredfold, of nodes that were placed by flat ones."""
    rng = np.random.default_rng(4)
    one, far = one_term(family, per=3), {"skew_normal": (0.8, -12.0), "exgaussian": (0.05, 1.0)}
    target, sd = target_of(family, replace(one, y=rng.normal(size=18))), 0.7
    nodes = slopes_at(target, theta_of(family, (2.0, 0.1), sd), np.zeros(2)).nodes
    phi, eta = far[family], target.linear_predictor(np.zeros((1, 2)))
    found = log_likelihoods(target, eta, np.array([sd]), np.array([[phi]]), nodes)
    u = np.linspace(-9, 9, 40_001)
    log_u = -0.5 * u**2 - 0.5 * np.log(2 * np.pi) + np.log(u[1] - u[0])
    expected = sum(
        special.logsumexp(
            log_u + log_density(family, target.rows.y[first:last, None], sd * u, phi).sum(axis=0)
        )
        for first, last in zip(target.rows.start, target.rows.start[1:], strict=False)
    )
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_draws_of_two_widths_have_the_density_that_they_say() -> None:
    rng, precision = np.random.default_rng(5), np.array([[2.0, 0.6], [0.6, 1.0]])
    root = np.linalg.cholesky(precision)
    normal = Given(2 * np.log(np.diag(root)).sum(), 0.0, np.array([0.3, -1.0]), root, None)
    widths = np.array([[0.7, 1.6], [1.2, 0.8]])
    drawn = [drawn_about(normal, rng, widths) for _ in range(20_000)]
    w, log_q = np.array([one for one, _ in drawn]), np.array([log for _, log in drawn])
    law = stats.multivariate_normal(normal.mean, np.linalg.inv(precision))
    weight = np.exp(law.logpdf(w) - log_q)
    # weighed, they are of that normal distribution: its mass, its mean and its covariance
    assert weight.mean() == pytest.approx(1.0, abs=0.03)
    gap = w - normal.mean
    np.testing.assert_allclose((weight[:, None] * gap).mean(axis=0), 0.0, atol=0.05)
    np.testing.assert_allclose((weight[:, None] * gap).T @ gap / len(gap), law.cov, atol=0.1)
    z = gap @ root  # and as they are, a coordinate is above the mode as its upper width is wide
    share = widths[:, 1] / widths.sum(axis=1)
    np.testing.assert_allclose((z > 0).mean(axis=0), share, atol=0.02)
