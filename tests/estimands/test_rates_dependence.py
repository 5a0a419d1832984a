"""The dependence of pairs that share a seed, and the least variance that it gives shares."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from causalbias.estimands.rates_dependence import copula_variance, moderated, seed_correlation
from causalbias.estimands.rates_intervals import shares_of


def distances(first, second, of_seed, rng):
    """Of variance one, `of_seed` of which is of each seed."""
    own = rng.normal(0, np.sqrt(of_seed), max(first.max(), second.max()) + 1)
    apart = first != second
    known = of_seed * np.where(apart, 2, 1)
    return own[first] + apart * own[second] + rng.normal(size=len(first)) * np.sqrt(1 - known)


@pytest.mark.parametrize("of_seed", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("kind", ["impostor", "genuine", "twice each pair"])
def test_the_correlation_is_the_share_of_variance_of_one_seed(kind, of_seed):
    found = []
    for replicate in range(20):
        rng = np.random.default_rng([1, replicate])
        if kind == "genuine":
            first = second = np.repeat(np.arange(80), 6)
        else:
            first, second = np.triu_indices(60, 1)
        if kind == "twice each pair":
            first, second = np.tile(first, 2), np.tile(second, 2)
        distance = distances(first, second, of_seed, rng)
        found.append(seed_correlation(first, second, distance, np.ones(len(first)))[0])
    # The estimate is cut at zero; 60 seeds' own variance has a standard error of 18%.
    assert np.mean(found) == pytest.approx(of_seed, abs=0.015 + 0.1 * of_seed)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_pairs_of_pairs_are_counted_as_one_by_one(rng, genuine):
    random = np.random.default_rng(rng)
    first = random.integers(0, 8, 40)
    second = first if genuine else (first + random.integers(1, 8, 40)) % 8
    weight = random.uniform(0.1, 1, 40)
    touch = (
        (first[:, None] == first) | (first[:, None] == second)
        | (second[:, None] == first) | (second[:, None] == second)
    )  # fmt: skip
    np.fill_diagonal(touch, False)
    _, shared = seed_correlation(first, second, random.normal(size=40), weight)
    assert shared == pytest.approx(weight @ touch @ weight / weight.sum() ** 2)


def test_no_seed_in_two_pairs_or_all_distances_equal_is_no_dependence():
    seeds = np.arange(20)
    assert (
        seed_correlation(seeds, seeds, np.random.default_rng(0).normal(size=20), np.ones(20))[0]
        == 0.0
    )
    first, second = np.triu_indices(20, 1)
    assert seed_correlation(first, second, np.ones(190), np.ones(190)) == (0.0, 0.0)


def test_only_the_order_of_distances_counts_and_failures_may_be_infinite():
    rng = np.random.default_rng(3)
    first, second = np.triu_indices(30, 1)
    distance = distances(first, second, 0.2, rng)
    distance[rng.random(len(distance)) < 0.05] = np.inf
    one = seed_correlation(first, second, distance, np.ones(len(first)))
    other = seed_correlation(second, first, np.exp(3 * distance), np.ones(len(first)))
    assert one == pytest.approx(other)
    assert 0.05 < one[0] < 0.4


@pytest.mark.parametrize("correlation", [0.0, 0.1, 0.4])
@pytest.mark.parametrize("rate", [0.01, 0.3])
def test_the_copula_variance_is_that_of_a_gaussian_copula(correlation, rate):
    """Against the bivariate normal distribution's own function."""
    at = norm.ppf(rate)
    both = multivariate_normal([0, 0], [[1, correlation], [correlation, 1]]).cdf([at, at])
    expected = rate * (1 - rate) / 500 + 0.05 * (both - rate**2)
    found = copula_variance(np.array([rate]), 500.0, correlation, 0.05)
    assert found[0] == pytest.approx(expected, rel=1e-4)


def test_matches_spread_evenly_by_chance_do_not_hide_that_seeds_matter():
    """Distances of a seed go together, but those of the matches happen to be spread evenly."""
    rng = np.random.default_rng(4)
    first, second = np.triu_indices(40, 1)
    distance = distances(first, second, 0.2, rng)
    even = (second - first) == 20  # each seed in one match
    distance[even] -= 10
    step = (~even).astype(int)
    dependence = seed_correlation(first, second, distance, np.ones(len(first)))
    alone = shares_of(first, second, step, np.ones(len(first)), 1)
    found = shares_of(first, second, step, np.ones(len(first)), 1, dependence)
    assert alone.n_effective[0] == pytest.approx(len(first))
    assert found.n_effective[0] < 0.8 * len(first)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_a_variance_moves_up_alone_and_never_beyond_what_is_expected(rng):
    random = np.random.default_rng(rng)
    own = random.exponential(size=(20, 5)) ** random.uniform(1, 4)
    variance, expected = random.uniform(0.5, 2, (2, 5))
    found = moderated(variance, own, expected)
    assert (found >= variance).all()
    assert (found <= np.maximum(variance, expected) + 1e-12).all()
    np.testing.assert_allclose(moderated(7 * variance, 3 * own, 7 * expected), 7 * found)
