"""The density of distances as a quadratic form: its gradient, its moments, its prior."""

import numpy as np
import pytest

from causalbias.inference.squared_distance import (
    SCALARS,
    SquaredDistances,
    cholesky_of_partial,
    log_density,
    sample_metric,
)


def problem(seeds=4, pairs=5, attributes=3, error=0.3, floor=np.nan, random_seed=0):
    """Pairs of each seed's first face with the others; distances of no particular size."""
    rng = np.random.default_rng(random_seed)
    n = seeds * pairs
    change = rng.normal(size=(n, attributes))
    code = np.arange(n) // pairs
    faces = np.stack([code * (pairs + 1), code * (pairs + 1) + 1 + np.arange(n) % pairs], axis=1)
    cells = 2
    return SquaredDistances(
        rng.uniform(0.5, 1.5, n),
        np.full(n, 0.01),
        change,
        np.broadcast_to(0.1 * np.eye(attributes), (n, attributes, attributes)).copy(),
        rng.normal(0, 0.2, (n, attributes, attributes)),
        np.arange(n) % (cells + 1) - 1,
        error * np.linalg.cholesky(0.7 * np.eye(attributes) + 0.3),
        faces,
        np.arange(seeds + 1) * pairs,
        cells,
        floor,
    )


def density(given, theta):
    gradient = np.empty(given.size)
    return log_density(theta, *given.arrays, gradient), gradient


@pytest.mark.parametrize("floor", [np.nan, 0.3])
@pytest.mark.parametrize("attributes", [1, 2, 4])
def test_the_gradient_is_that_of_finite_differences(attributes, floor):
    given = problem(attributes=attributes, floor=floor)
    theta = np.random.default_rng(attributes).normal(0, 0.7, given.size)
    step = 1e-6
    numeric = [
        (density(given, theta + step * one)[0] - density(given, theta - step * one)[0]) / (2 * step)
        for one in np.eye(given.size)
    ]
    # Central differences: rounding of 1e-16 times a density of about 1e3, over the step.
    np.testing.assert_allclose(density(given, theta)[1], numeric, rtol=1e-5, atol=1e-6)


def test_the_likelihood_is_the_normal_density_written_out():
    given = problem(seeds=1, pairs=3, attributes=2)
    w, z = np.array([0.5, 0.3]), 0.4
    floor, a, c, t_0, t_1 = 0.6, 0.2, 0.1, 0.25, 0.15
    eta = np.array([[0.3, -0.5], [1.0, 0.2]])
    logits = np.log(a / (1 - a)), np.log(c / (1 - c))
    theta = np.r_[w, np.arctanh(z), floor, logits, t_0, t_1, eta.ravel()]
    moved = given.change.copy()  # the first pair has no cell
    moved[1:] += np.einsum("ijk,ik->ij", given.loading[1:], eta)
    moment = moved[:, :, None] * moved[:, None, :] + given.covariance
    m = np.outer(w, w) * np.array([[1, z], [z, 1]])
    part = np.einsum("jk,ijk->ij", m, moment)
    mu = floor**2 + part.sum(axis=1)
    g = np.sqrt(np.outer(mu, mu))
    slope = moved @ m @ given.error
    shared = np.ones((3, 3)) + np.eye(3)  # all have the first face, and each another one
    e = (
        t_0**2 * np.outer(part.sum(axis=1), part.sum(axis=1)) + t_1**2 * part @ part.T
    ) / g + shared * (slope @ slope.T) / g
    e += np.diag(a * floor**2 + c * part.sum(axis=1))
    k = e + np.diag(given.known)
    left = given.distance - np.sqrt(mu - np.diag(e))
    by_hand = -0.5 * np.linalg.slogdet(k)[1] - 0.5 * left @ np.linalg.solve(k, left)
    other = problem(seeds=1, pairs=3, attributes=2)
    far = SquaredDistances(**{**vars(other), "distance": other.distance + 1})
    left = far.distance - np.sqrt(mu - np.diag(e))
    by_hand -= -0.5 * np.linalg.slogdet(k)[1] - 0.5 * left @ np.linalg.solve(k, left)
    # Priors are the same in both.
    assert density(given, theta)[0] - density(far, theta)[0] == pytest.approx(by_hand, rel=1e-9)


def test_partial_correlations_make_a_correlation_matrix():
    partial = np.tanh(np.random.default_rng(3).normal(size=6))
    r = cholesky_of_partial(partial, 4) @ cholesky_of_partial(partial, 4).T
    np.testing.assert_allclose(np.diag(r), 1)
    # The partial correlation of the third and second given the first, by its formula.
    by_hand = (r[2, 1] - r[2, 0] * r[1, 0]) / np.sqrt((1 - r[2, 0] ** 2) * (1 - r[1, 0] ** 2))
    assert by_hand == pytest.approx(partial[2])


def test_draws_without_data_are_those_of_the_prior():
    given = problem(seeds=1, pairs=1)
    none = SquaredDistances(
        **{**vars(given), "known": np.full(1, 1e12)}
    )  # a distance that says nothing
    found, _ = sample_metric(none, draws=1000, tune=300, chains=2, random_seed=1)
    # Half-normal of scale one: mean sqrt(2 / pi). Uniform over correlation matrices of three: each
    # correlation is Beta(3/2, 3/2) on (-1, 1), of variance 1/4. Errors of about 1,000 draws.
    np.testing.assert_allclose(found["worth"].mean(["chain", "draw"]), np.sqrt(2 / np.pi), atol=0.1)
    r = found["correlation"].values[..., [1, 2, 2], [0, 0, 1]]
    np.testing.assert_allclose(r.mean(axis=(0, 1)), 0, atol=0.08)
    np.testing.assert_allclose(r.var(axis=(0, 1)), 0.25, atol=0.05)
    assert found["seed_sd"].mean().item() == pytest.approx(0.5 * np.sqrt(2 / np.pi), abs=0.05)


def test_the_same_seed_gives_the_same_draws():
    given = problem()
    one, two = (sample_metric(given, draws=20, tune=20, chains=2, random_seed=7)[0] for _ in "ab")
    assert one.identical(two)
    assert given.size == 3 + 3 + SCALARS + 2 * 3
