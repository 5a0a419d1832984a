"""Rows that are censored or truncated: their densities by SciPy, and what is integrated out."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import special, stats

from causalbias.inference.rowwise import LIMITED, sample_rowwise
from causalbias.inference.rowwise.densities import LIMITED_NORMAL, eta_part, slopes
from causalbias.inference.rowwise.expansion import log_likelihoods, slopes_at
from causalbias.inference.rowwise.limited import log_student_cdf
from causalbias.inference.rowwise.target import make_target
from tests.inference.gaussian_cases import half_normal, problem, term
from tests.inference.rowwise.cases import LIMITED_PARAMETERS, LIMITS, limited_log_density
from tests.inference.rowwise.test_rowwise_sample import close, moments


@pytest.mark.parametrize("nu", [0.7, 3.0, 40.0, 5000.0])
def test_the_tail_of_the_t_is_that_of_scipy(nu):
    for z in (-300.0, -8.0, -0.3, 0.0, 0.5, 7.0):
        with np.errstate(divide="ignore"):
            wanted = stats.t.logcdf(z, nu)
        if np.isfinite(wanted):  # SciPy's own is no logarithm far out
            assert log_student_cdf(z, nu) == pytest.approx(wanted, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("family", ["gaussian", "t"])
def test_a_row_with_limits_has_the_density_of_scipy_and_its_slopes(family, limits):
    eta, known, h = np.array([-4.0, -1.0, 0.2, 1.7, 5.0]), np.array(limits), 1e-4
    code = LIMITED[family].code
    for phi in LIMITED_PARAMETERS[family]:
        a, b = (*phi, 1.0)[:2]

        def value(at, a=a, b=b):
            return np.array([eta_part(code, 0.0, known, one, a, b) for one in at])

        wanted = limited_log_density(family, limits, eta, phi)
        np.testing.assert_allclose(value(eta), wanted, rtol=1e-8, atol=1e-7)

        def bent(at, a=a, b=b):
            return np.array([slopes(code, 0.0, known, one, a, b) for one in at])

        found, up, down = bent(eta), bent(eta + h), bent(eta - h)
        by_value = (value(eta + h) - value(eta - h)) / (2 * h)
        np.testing.assert_allclose(found[:, 0], by_value, rtol=1e-5, atol=1e-6)
        by_slope = (up[:, 0] - down[:, 0]) / (2 * h)
        np.testing.assert_allclose(found[:, 1], by_slope, rtol=1e-5, atol=1e-5)
        assert (found[:, 2] >= 0).all()
        if code == LIMITED_NORMAL:  # concave, bounds and all
            np.testing.assert_array_equal(found[:, 2], -found[:, 1])


@pytest.mark.parametrize("far", [-60.0, 60.0, 1e4])
@pytest.mark.parametrize("family", ["gaussian", "t"])
def test_slopes_far_out_are_finite(family, far):
    """Of a normal response the curvature is at most that of a density, whatever the bounds."""
    for limits in LIMITS:
        found = np.array(slopes(LIMITED[family].code, 0.0, np.array(limits), far, 0.7, 3.0))
        assert np.isfinite(found).all()
        if family == "gaussian":
            assert 0 <= found[2] <= 1 / 0.7**2


@pytest.mark.parametrize("sd", [1e-8, 0.4, 6.0])
@pytest.mark.parametrize("family", ["gaussian", "t"])
def test_the_leading_effect_of_rows_with_limits_is_integrated_out(family, sd):
    """Against a sum over a fine grid, rows of every kind in each level, some counted twice."""
    rng, n, phi = np.random.default_rng(3), 40, LIMITED_PARAMETERS[family][0]
    kinds = np.array(LIMITS)
    if family == "t":  # which the engine takes without bounds
        kinds = kinds[np.isinf(kinds[:, 2:]).all(axis=1)]
    limits = kinds[np.arange(n) % len(kinds)]
    code = rng.permutation(np.repeat(np.arange(8), 5))
    design = np.column_stack([np.ones(n), rng.normal(size=n)])
    y = np.where(np.isfinite(limits[:, 0]), limits[:, 0], limits[:, 1])
    one = problem(y, design, [term("1|g", np.ones((n, 1)), code, 8)], beta_sd=2.0)
    weight = np.where(np.arange(n) % 3, 1.0, 2.0)
    priors = dict.fromkeys(LIMITED[family].parameters, half_normal)
    target = make_target(replace(one, row_weight=weight), family, priors, limits=limits)
    theta, x = np.log([*phi, sd]), np.array([0.3, -0.5])
    nodes = slopes_at(target, theta, np.zeros(2)).nodes  # as placed at another point
    eta = target.linear_predictor(x[None])
    found = log_likelihoods(target, eta, np.array([sd]), target.phi(theta[None]), nodes)
    u = np.linspace(-9, 9, 4001)
    log_u = -0.5 * u**2 - 0.5 * np.log(2 * np.pi) + np.log(u[1] - u[0])
    expected = 0.0
    for level in range(8):
        total = log_u.copy()
        for i in np.flatnonzero(code == level):
            at = design[i] @ x + sd * u
            total += weight[i] * limited_log_density(family, tuple(limits[i]), at, phi)
        expected += special.logsumexp(total[~np.isnan(total)])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=8 * 5e-6)


def test_a_posterior_of_rows_truncated_on_both_sides_is_that_of_a_grid():
    """Rows fill their window, so that large sigmas, with steep slopes, are a long tail."""
    rng, n = np.random.default_rng(4), 100
    x = rng.normal(size=400)
    y = 0.5 * x + 0.6 * rng.normal(size=400)
    some = np.flatnonzero(np.abs(y) < 1)[:n]
    x, y, design = x[some], y[some], np.column_stack([np.ones(n), x[some]])
    limits = np.column_stack([y, y, np.full(n, -1.0), np.ones(n)])
    one = problem(y, design, [], beta_sd=1.0)
    found = sample_rowwise(one, "gaussian", {"sigma": half_normal}, limits=limits, draws=2000)
    grid = [np.linspace(-2, 2, 37), np.linspace(-0.3, 5, 37), np.linspace(-1.1, 1.4, 37)]
    b, slope, log_sd = (axis[..., None] for axis in np.meshgrid(*grid, indexing="ij"))
    mean, sd = b + slope * x, np.exp(log_sd)
    log = stats.norm.logpdf(b, 0, 1) + stats.norm.logpdf(slope, 0, 1) + half_normal(sd) + log_sd
    high, low = (special.log_ndtr((end - np.abs(mean)) / sd) for end in (1, -1))
    inside = high + np.log1p(-np.exp(low - high))
    rows = -0.5 * ((y - mean) / sd) ** 2 - log_sd - inside
    drawn = np.column_stack([found.beta, np.log(found.parameters["sigma"])])
    assert found.diagnostics.pareto_k < 0.7
    close(drawn, *moments(grid, log[..., 0] + rows.sum(axis=-1)))
