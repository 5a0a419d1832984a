"""Ends of intervals rise with the number of errors, as a threshold moves over the same pairs."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalbias as cb
from causalbias.rates.intervals import ShareCurve, monotone_quantiles, quantiles


def few_seeds(rng, seeds, spread, *, genuine=False, noise=0.05):
    """All pairs of few seeds, or six genuine pairs of each, whose distances go with the seeds."""
    random = np.random.default_rng(rng)
    pairs = (
        [(a, a) for a in range(seeds) for _ in range(6)]
        if genuine
        else list(combinations(range(seeds), 2))
    )
    own = random.normal(0, spread, seeds)
    frame = pd.DataFrame(pairs, columns=["seed_a", "seed_b"])
    distance = 4 + own[frame["seed_a"]] + own[frame["seed_b"]] + random.normal(0, noise, len(frame))
    return frame.assign(race="w", same_identity=genuine, distance=distance)


def ends(frame, threshold, rates=cb.error_rates, **options):
    table = cb.summarise(rates(frame, by="race", threshold=threshold, draws=100), **options)
    return table[["lower", "upper"]].iloc[0].to_numpy(float)


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(4, 14),
    st.sampled_from([0.0, 0.1, 0.3]),
    st.booleans(),
    st.sampled_from([cb.error_rates, cb.rates.group_pair_rates]),
    st.sampled_from([0.8, 0.9, 0.95]),
)
def test_ends_rise_with_the_errors_of_few_seeds_with_effects_in_common(
    rng, seeds, spread, genuine, rates, prob
):
    genuine = genuine and rates is cb.error_rates
    frame = few_seeds(rng, seeds, spread, genuine=genuine)
    at = np.sort(frame["distance"])
    at = np.concatenate([[at[0] - 1e-9], at[np.unique(np.linspace(0, len(at) - 1, 8, dtype=int))]])
    found = np.array([ends(frame, one, rates, prob=prob) for one in at])
    rising = -found if genuine else found
    assert (np.diff(rising, axis=0) >= -1e-9).all()


@pytest.mark.parametrize("seed", range(6))
def test_no_error_is_never_worse_than_one(seed):
    frame = few_seeds(seed, 12, 0.1)
    at = np.sort(frame["distance"])[:6] - 1e-9
    upper = [ends(frame, one)[1] for one in at]
    assert (np.diff(upper) >= 0).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 30))
def test_monotone_quantiles_rise_with_rank_and_threshold_and_hold_the_plain_ones(rng, n):
    random = np.random.default_rng(rng)
    share = np.sort(random.choice(40, n)) / 40
    curve = ShareCurve(share, random.uniform(2, 60, n), random.uniform(4, 60, n))
    rank = (np.arange(200) + 0.5) / 200
    found = monotone_quantiles(curve, np.arange(n), rank)
    plain = quantiles(curve.share, curve.n_effective, curve.degrees, rank[:, None])
    assert (np.diff(found, axis=0) >= -1e-12).all()
    for end in (0.025, 0.05, 0.1, 0.9, 0.95, 0.975):
        at = np.searchsorted(rank, end)
        for row in (at - 1, at):
            assert (np.diff(found[row]) >= -1e-12).all()
            wider = found[row] - plain[row] if end > 0.5 else plain[row] - found[row]
            assert (wider >= -1e-12).all()


def test_counts_of_all_pairs_rise_with_the_threshold():
    faces = np.random.default_rng(3).normal(size=(12, 3))
    at = np.linspace(0.2, 5, 12)
    counts = cb.all_pairs(faces, ["w"] * 12, thresholds=at)
    table = cb.summarise(cb.rates.all_pairs_rates(counts, draws=200)).sort_values("threshold")
    assert (np.diff(table["upper"]) >= 0).all()
    assert (np.diff(table["lower"]) >= 0).all()
