"""The dependence of pairs that share a seed, and the least variance that it gives shares."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, multivariate_normal, norm

from causalbias.rates.dependence import (
    Dependence,
    both_match,
    design_effect,
    expected_effect,
    seed_correlation,
)
from causalbias.rates.intervals import quantiles, shares_of


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
        (first[:, None] == first)
        | (first[:, None] == second)
        | (second[:, None] == first)
        | (second[:, None] == second)
    )
    np.fill_diagonal(touch, False)
    shared = seed_correlation(first, second, random.normal(size=40), weight).shared
    assert shared == pytest.approx(weight @ touch @ weight / weight.sum() ** 2)


def test_no_seed_in_two_pairs_or_all_distances_equal_is_no_dependence():
    seeds = np.arange(20)
    assert (
        seed_correlation(seeds, seeds, np.random.default_rng(0).normal(size=20), np.ones(20))[0]
        == 0.0
    )
    first, second = np.triu_indices(20, 1)
    assert seed_correlation(first, second, np.ones(190), np.ones(190)) == Dependence()


def test_only_the_order_of_distances_counts_and_failures_may_be_infinite():
    rng = np.random.default_rng(3)
    first, second = np.triu_indices(30, 1)
    distance = distances(first, second, 0.2, rng)
    distance[rng.random(len(distance)) < 0.05] = np.inf
    one = seed_correlation(first, second, distance, np.ones(len(first)))
    other = seed_correlation(second, first, np.exp(3 * distance), np.ones(len(first)))
    assert one == pytest.approx(other)
    assert 0.05 < one[0] < 0.4


@pytest.mark.parametrize("correlation", [0.05, 0.1, 0.4])
@pytest.mark.parametrize("rate", [0.001, 0.01, 0.3])
@pytest.mark.parametrize("two_seeds", [True, False])
def test_normal_effects_of_seeds_give_a_gaussian_copula(correlation, rate, two_seeds):
    """Against the bivariate normal distribution's own function."""
    n, shared = 500.0, 0.05
    dependence = Dependence(correlation, shared, 0.0, two_seeds)
    end = beta.ppf(0.9, rate * n + 1, n - rate * n)
    both = multivariate_normal([0, 0], [[1, correlation], [correlation, 1]]).cdf(
        [norm.ppf(end)] * 2
    )
    wanted = 1 + n * shared * (both - end**2) / (end * (1 - end))
    found = expected_effect(np.array([rate]), n, dependence)
    assert found[0] - 1 == pytest.approx(wanted - 1, rel=1e-4)


def test_heavy_tails_tie_rare_matches_more():
    rare = np.geomspace(1e-4, 0.05, 20)
    normal, heavy = (both_match(rare, Dependence(0.2, 0.05, tail)) for tail in (0.0, 1.0))
    assert (heavy > 1.1 * normal).all()
    rng = np.random.default_rng(1)
    first, second = np.triu_indices(80, 1)
    tails = {"normal": [], "t": []}
    for _ in range(12):
        for name, own in (("normal", rng.normal(size=80)), ("t", rng.standard_t(3, size=80) / 1.7)):
            distance = own[first] + own[second] + rng.normal(0, 1.5, len(first))
            tails[name].append(seed_correlation(first, second, distance, np.ones(3160)).tail)
    assert np.mean(tails["normal"]) < 0.15 < 0.35 < np.mean(tails["t"])


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
def test_a_design_effect_is_between_what_was_seen_and_expected(rng):
    random = np.random.default_rng(rng)
    own = random.exponential(size=(20, 5)) ** random.uniform(1, 4)
    seen, expected = random.uniform(0.5, 3, (2, 5))
    least, rare = np.ones(5), random.uniform(0, 50, 5)
    found, degrees = design_effect(seen, least, np.maximum(expected, 1), own, rare)
    assert (found >= 1).all()
    assert (found <= np.maximum(np.maximum(seen, expected), 1) + 1e-12).all()
    assert (degrees >= 4).all()


def ends(first, second, wrong, distance, prob):
    dependence = seed_correlation(first, second, distance, np.ones(len(first)))
    found = shares_of(first, second, (~wrong).astype(int), np.ones(len(first)), 1, dependence)
    tails = np.array([[(1 - prob) / 2], [(1 + prob) / 2]])
    return quantiles(found.share, found.n_effective, found.degrees, tails).ravel()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(20, 60),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0.8, 0.9, 0.95, 0.99]),
)
def test_ends_of_intervals_rise_with_the_number_of_errors(rng, seeds, genuine, known, prob):
    """Of errors wherever, from none to six, and from all to all but six."""
    random = np.random.default_rng(rng)
    if genuine:
        first = second = np.repeat(np.arange(seeds), 4)
    else:
        first, second = np.triu_indices(seeds, 1)
    n, order = len(first), random.permutation(len(first))
    before = (0.0, 0.0)
    for errors in range(7):
        wrong = np.zeros(n, dtype=bool)
        wrong[order[:errors]] = True
        distance = np.where(wrong, 0.3, distances(first, second, 0.1, random) + 9 if known else 1.0)
        random = np.random.default_rng(rng)  # the others' distances stay
        random.permutation(n)
        low, high = ends(first, second, wrong, distance, prob)
        assert low >= before[0] - 1e-12
        # Of other pairs than before: how much they tell moves too. Over the thresholds of the same
        # pairs the ends of tables rise without exception (test_rates_monotone.py).
        assert high > 0.95 * before[1]
        # Never narrower than Clopper and Pearson's, of intervals of 90% or more.
        if prob >= 0.9:
            exact = beta.ppf(
                [(1 - prob) / 2, (1 + prob) / 2], [errors, errors + 1], [n - errors + 1, n - errors]
            )
            assert low <= np.nan_to_num(exact[0]) + 1e-9
            assert high >= exact[1] - 1e-9
        turned = ends(first, second, ~wrong, -distance, prob)
        np.testing.assert_allclose(turned, [1 - high, 1 - low], atol=1e-9)
        before = low, high
