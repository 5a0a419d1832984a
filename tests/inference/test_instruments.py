"""Effects by several instruments: beside linearmodels, by hand, where there is nothing to see."""

from dataclasses import replace

import numpy as np
import pytest

from causalbias.inference.instruments import (
    Moves,
    closest,
    closest_of_all,
    conditional_f,
    direct_to_doubt,
    overidentified,
    sample_effects,
)


def moves_of(x, y, df=None):
    """Moves from seeds' own, (n, K, J) and (n, K); a df of infinity does without shrinkage."""
    values = np.concatenate([x, y[..., None]], axis=2)
    n, k, width = values.shape
    away = (values - values.mean(axis=0)) / np.sqrt(n * (n - 1))
    none = np.zeros((width - 1, k, k))
    return Moves(values.mean(axis=0), away, none, df or n - 1.0, np.full(width - 1, np.inf))


def seeds(rng, n=40):
    """Four manipulations of two attributes; what moves the first also moves the outcome."""
    moves = np.array([[10.0, 0.0], [6.0, 8.0], [0.0, 9.0], [5.0, -4.0]])
    own = rng.normal(0, 3, (n, 4, 2))
    x = moves + own
    y = x @ [0.02, -0.01] + 0.02 * own[:, :, 0] + rng.normal(0, 0.1, (n, 4))
    return x, y + rng.normal(0, 0.05, (n, 1))


# linearmodels 7.1 on seeds(default_rng(20)) in long form, instruments the four manipulations, no
# constant: IVGMMCUE(weight_type="clustered", clusters=seed, center=True), params and j_stat;
# IVLIML(...).fit(cov_type="unadjusted"), params and std_errors.
CUE, J_STAT = [0.01878004, -0.01057366], 0.1917
LIML, LIML_ERROR = [0.01886964, -0.01058117], [0.00192894, 0.00177455]
# IV2SLS(...): params, and std_errors of fit(cov_type="clustered", clusters=seed).
TWO_STAGES, BY_SEED = [0.01887603, -0.01058078], [0.00221135, 0.00168817]


def test_the_least_criterion_is_that_of_the_continuously_updated_gmm():
    found = moves_of(*seeds(np.random.default_rng(20)), df=1e12)
    as_theirs = replace(found, units=found.units * np.sqrt(39 / 40))  # they divide by n
    effects, statistic, _ = closest_of_all(as_theirs)
    assert effects == pytest.approx(CUE, abs=2e-7)
    assert statistic == pytest.approx(J_STAT, abs=1e-3)


def test_draws_agree_with_limited_information_maximum_likelihood():
    """Its errors are taken to be equal and independent; ours are known by seeds."""
    found = moves_of(*seeds(np.random.default_rng(20)))
    draws = sample_effects(found, np.full(2, 1.0), 1000, 4, np.random.default_rng(1))
    flat = draws.reshape(-1, 2)
    assert np.median(flat, axis=0) == pytest.approx(LIML, abs=0.2 * max(LIML_ERROR))
    assert flat.std(axis=0) == pytest.approx(LIML_ERROR, rel=0.15)
    assert 0.05 < overidentified(found) < 0.999


def known(moved, y, moved_sd, y_sd):
    """Moves with known independent errors, as of summary statistics."""
    k, j = moved.shape
    sd = np.column_stack([np.full((k, j), moved_sd), np.full(k, y_sd)])
    units = np.zeros((k * (j + 1), k, j + 1))
    for at, (row, column) in enumerate(np.ndindex(k, j + 1)):
        units[at, row, column] = sd[row, column]
    mean = np.column_stack([moved, y])
    return Moves(mean, units, np.zeros((j, k, k)), 1e12, np.full(j, np.inf))


L = np.array([[1.0, 0.2], [0.3, 1.0], [0.8, -0.5], [0.1, 0.6], [0.5, 0.5]])
Y = np.array([0.52, -0.18, 0.61, -0.22, 0.11])


def test_two_stage_least_squares_is_that_of_moves_without_error():
    """With one error for all outcomes; with those of seeds, as far as theirs by seeds go."""
    found = moves_of(*seeds(np.random.default_rng(20)))
    alike = known(found.mean[:, :-1], found.mean[:, -1], 1e-9, 0.1)
    assert closest(alike)[0] == pytest.approx(TWO_STAGES, abs=2e-8)
    effects, cov = closest(found)
    assert effects == pytest.approx(TWO_STAGES, abs=0.25 * max(BY_SEED))
    assert np.sqrt(np.diag(cov)) == pytest.approx(BY_SEED, rel=0.15)


def test_exposures_without_error_give_the_weighted_regression_worked_by_hand():
    """Inverse-variance weighted multivariable Mendelian randomisation (Burgess, Thompson 2015)."""
    effects, cov = closest(known(L, Y, 1e-9, 0.1))
    inside = np.linalg.inv(L.T @ L)
    assert effects == pytest.approx(inside @ L.T @ Y, rel=1e-6)
    assert cov == pytest.approx(0.01 * inside, rel=1e-6)
    exact, rng = known(L, Y, 1e-9, 0.1), np.random.default_rng(2)
    draws = sample_effects(exact, np.full(2, 1e3), 2000, 4, rng)
    sd = np.sqrt(np.diag(cov))
    assert np.abs(draws.mean(axis=(0, 1)) - effects).max() < 0.1 * sd.max()
    assert draws.std(axis=(0, 1)) == pytest.approx(sd, rel=0.1)


def test_direct_effects_widen_as_random_effects_of_manipulations():
    """Additive random effects, worked by hand, and the sd at which an interval reaches zero."""
    found = known(L, Y, 1e-9, 0.1)
    _, cov = closest(replace(found, direct=0.2))
    assert cov == pytest.approx((0.1**2 + 0.2**2) * np.linalg.inv(L.T @ L), rel=1e-6)
    reached = direct_to_doubt(found, np.full(2, 1e6), 0.95)
    effects, _ = closest(found)
    by_hand = (effects / 1.959964) ** 2 / np.diag(np.linalg.inv(L.T @ L)) - 0.1**2
    assert reached**2 == pytest.approx(by_hand, rel=0.6)  # of a grid a quarter apart
    assert np.all(reached**2 >= by_hand)


def test_the_conditional_f_of_one_exposure_is_that_of_the_first_stage():
    found = known(L[:, :1], Y, 0.25, 0.1)
    assert conditional_f(found)[0] == pytest.approx([(L[:, 0] ** 2).sum() / 0.25**2 / 5])
    collinear = known(np.column_stack([L[:, 0], 2 * L[:, 0]]), Y, 0.1, 0.1)
    assert conditional_f(collinear)[0].max() < 1e-6


def alike(x):
    """Moves of exposures with one covariance of errors for all rows, as least squares take them."""
    n, k, j = x.shape
    left = (x - x.mean(axis=0)).reshape(-1, j)
    factor = np.linalg.cholesky(left.T @ left / (n * k - k) / n)
    units = np.zeros((k * j, k, j + 1))
    for at, (row, column) in enumerate(np.ndindex(k, j)):
        units[at, row, :j] = factor[:, column]
    mean = np.column_stack([x.mean(axis=0), np.zeros(k)])
    return Moves(mean, units, np.zeros((j, k, k)), float(n * k - k), np.full(j, np.inf))


# linearmodels 7.1 on seeds(default_rng(20)): IV2SLS of one exposure on the other by the four
# manipulations; what is left of it on the manipulations by statsmodels 0.15: explained sum of
# squares / (K - J + 1) / residual variance.
CONDITIONAL_F = [175.94342970435272, 202.5183161508186]


def test_the_conditional_f_is_that_of_sanderson_and_windmeijer():
    x, _ = seeds(np.random.default_rng(20))
    assert conditional_f(alike(x))[0] == pytest.approx(CONDITIONAL_F, rel=1e-9)


def test_the_conditional_f_says_which_exposures_cannot_be_told_apart():
    x, y = seeds(np.random.default_rng(20))
    third = x[:, :, :1] * 0.8 + np.random.default_rng(1).normal(0, 3, (40, 4, 1))
    found = moves_of(np.concatenate([x, third], axis=2), y)  # moves as the first, but for chance
    strength = conditional_f(found)[0]
    assert strength[1] > 3 * strength[[0, 2]].max()
    other = replace(found, mean=found.mean[:, [0, 2, 1, 3]], units=found.units[:, :, [0, 2, 1, 3]])
    assert conditional_f(other)[0] == pytest.approx(strength[[0, 2, 1]])


@pytest.mark.parametrize("push", [8.0, 0.0])
def test_the_p_of_the_conditional_f_holds_its_level(push):
    """Where one exposure moves as the other, and where nothing moves at all."""
    rng = np.random.default_rng(6)
    moves = push * np.outer([0.0, 1.0, 1.1, -0.5, 0.4], [0.8, 1.0])
    below = 0
    for _ in range(200):
        x = moves + rng.normal(0, 4, (30, 5, 2))
        below += conditional_f(moves_of(x, x[..., 0]))[1][0] < 0.05
    assert below <= 22  # Binomial(200, 0.05): more in one of 2,000


def test_moves_that_no_effects_explain_have_a_small_p():
    right = known(L, L @ [0.5, -0.3], 0.01, 0.02)
    wrong = known(L, L @ [0.5, -0.3] + [0.3, 0.3, -0.3, 0.3, -0.3], 0.01, 0.02)
    assert overidentified(right) > 0.99
    assert overidentified(wrong) < 1e-6
    assert np.isnan(overidentified(known(L[:2], Y[:2], 0.01, 0.02)))


def test_a_manipulation_that_moves_nothing_leaves_the_prior():
    """Errors that go together would else be taken for an effect of 0.95 sd of theirs."""
    rng = np.random.default_rng(3)
    shares, held = [], 0
    for _ in range(20):
        e = rng.normal(size=(12, 1, 1))
        also = 0.95 * e[..., 0] + np.sqrt(1 - 0.95**2) * rng.normal(size=(12, 1))
        draws = sample_effects(moves_of(e, also), np.array([10.0]), 200, 2, rng)
        ends = np.quantile(draws, [0.05, 0.95])
        held += ends[0] < 0 < ends[1]
        shares.append(draws.std() / 10)
    assert held >= 16  # Binomial(20, 0.9): fewer in one of 24
    assert np.median(shares) > 0.7


def test_effects_have_the_units_of_outcome_and_exposure():
    x, y = seeds(np.random.default_rng(4), n=12)
    one = sample_effects(moves_of(x, y), np.array([1.0, 1.0]), 400, 2, np.random.default_rng(5))
    other = sample_effects(
        moves_of(x * [10, 1], 3 * y), np.array([0.3, 3.0]), 400, 2, np.random.default_rng(5)
    )
    assert other == pytest.approx(one * [0.3, 3.0], rel=1e-6)
