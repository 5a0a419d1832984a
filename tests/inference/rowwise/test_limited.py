"""Rows that are censored or truncated: their densities by SciPy, and what is integrated out."""

import numpy as np
import pytest
from scipy import special, stats

from causalbias.inference.rowwise import LIMITED, Ends
from causalbias.inference.rowwise.densities import _log_student_cdf, eta_part, slopes
from causalbias.inference.rowwise.expansion import log_likelihoods, slopes_at
from causalbias.inference.rowwise.limited import rows_of_masses
from causalbias.inference.rowwise.target import make_target
from tests.inference.gaussian_cases import half_normal, problem, term
from tests.inference.rowwise.cases import ENDS, LIMITED_PARAMETERS, limited_density, log_mass


@pytest.mark.parametrize("nu", [0.7, 3.0, 40.0, 5000.0])
def test_the_tail_of_the_t_is_that_of_scipy(nu):
    for z in (-300.0, -8.0, -0.3, 0.0, 0.5, 7.0):
        with np.errstate(divide="ignore"):
            wanted = stats.t.logcdf(z, nu)
        if np.isfinite(wanted):  # SciPy's own is no logarithm far out
            assert _log_student_cdf(z, nu) == pytest.approx(wanted, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("family", ["gaussian", "t"])
def test_a_density_or_mass_is_that_of_scipy_with_its_slopes(family, ends):
    eta, y, h = np.array([-4.0, -1.0, 0.2, 1.7, 5.0]), 0.4, 1e-4
    for phi in LIMITED_PARAMETERS[family]:
        a, b = (*phi, 1.0)[:2]

        def value(at, a=a, b=b):
            return np.array([eta_part(LIMITED[family].code, y, *ends, e, a, b) for e in at])

        observed = ends[0] > ends[1]
        wanted = (
            limited_density(family, y, eta, phi) if observed else log_mass(family, *ends, eta, phi)
        )
        np.testing.assert_allclose(value(eta), wanted, rtol=1e-8, atol=1e-14)
        found = np.array([slopes(LIMITED[family].code, y, *ends, e, a, b) for e in eta])
        up, mid, down = value(eta + h), value(eta), value(eta - h)
        np.testing.assert_allclose(found[:, 0], (up - down) / (2 * h), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found[:, 1], (up - 2 * mid + down) / h**2, rtol=1e-4, atol=2e-5)
        assert (found[:, 2] >= 0).all()


@pytest.mark.parametrize("sd", [1e-8, 0.4, 6.0])
@pytest.mark.parametrize("family", ["gaussian", "t"])
def test_the_leading_effect_of_rows_with_limits_is_integrated_out(family, sd):
    """Against a sum over a fine grid, rows that are censored and truncated among them."""
    rng, n, phi = np.random.default_rng(3), 24, LIMITED_PARAMETERS[family][0]
    y, code = rng.uniform(-1.0, 1.0, n), rng.permutation(np.repeat(np.arange(6), 4))
    censored = np.arange(n) % 3 == 0
    low, high = np.where(np.arange(n) % 2, y, -2.0), np.where(np.arange(n) % 2, 1.5, y)
    ends = Ends(censored, low, high, np.full(n, -2.0), np.where(np.arange(n) % 4, 1.5, np.inf))
    design = np.column_stack([np.ones(n), rng.normal(size=n)])
    plain = problem(y, design, [term("1|g", np.ones((n, 1)), code, 6)], beta_sd=2.0)
    made, known = rows_of_masses(plain, ends)
    priors = dict.fromkeys(LIMITED[family].parameters, half_normal)
    target = make_target(made, family, priors, None, known)
    theta, x = np.log([*phi, sd]), np.array([0.3, -0.5])
    nodes = slopes_at(target, theta, np.zeros(2)).nodes
    eta = target.linear_predictor(x[None])
    found = log_likelihoods(target, eta, np.array([sd]), target.phi(theta[None]), nodes)
    u = np.linspace(-9, 9, 20_001)
    log_u = -0.5 * u**2 - 0.5 * np.log(2 * np.pi) + np.log(u[1] - u[0])
    expected = 0.0
    for level in range(6):
        total = log_u.copy()
        for i in np.flatnonzero(code == level):
            at = design[i] @ x + sd * u
            total += (
                log_mass(family, low[i], high[i], at, phi)
                if censored[i]
                else limited_density(family, y[i], at, phi)
            )
            total -= log_mass(family, ends.lb[i], ends.ub[i], at, phi)
        expected += special.logsumexp(total[np.isfinite(total)])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=6 * 5e-6)
