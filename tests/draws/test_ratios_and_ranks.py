"""Draws to ratios and ranks."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

import causalbias as cb
from causalbias import per_unit, rank_probabilities, summarise

DIMS = ("chain", "draw", "what")


def draws_of(means, sd=1.0, seed=0):
    random = np.random.default_rng(seed)
    values = random.normal(means, sd, (4, 1000, len(means)))
    return xr.DataArray(values, dims=DIMS, coords={"what": [f"w{i}" for i in range(len(means))]})


def test_ratio_draw_by_draw():
    outcome, change = draws_of([3.0, 2.0]), draws_of([10.0, -8.0], seed=1)
    ratio = per_unit(outcome, change)
    np.testing.assert_array_equal(ratio["ratio"].values, outcome.values / change.values)
    assert ratio["p_sign"].values.tolist() == [1.0, 1.0]


# Where 2.5% of the draws of a Normal(m, 1) lie below zero: m = 1.96.
@pytest.mark.parametrize(
    ("mean", "prob", "bounded"),
    [
        (10, 0.95, True),
        (-10, 0.95, True),
        (2.3, 0.95, True),
        (-2.3, 0.95, True),
        (1.6, 0.95, False),
        (-1.6, 0.95, False),
        (0, 0.95, False),
        (1.6, 0.5, True),
        (2.3, 0.999, False),
    ],
)
def test_ratio_is_bounded_where_the_change_is_sure(mean, prob, bounded):
    ratio = per_unit(draws_of([5.0]), draws_of([float(mean)], seed=3), prob=prob)
    assert ratio["bounded"].values.tolist() == [bounded]
    sure = stats.norm.cdf(abs(mean))
    assert float(ratio["p_sign"][0]) == pytest.approx(sure, abs=0.02)


def test_table_of_ratios():
    ratio = per_unit(draws_of([5.0, 5.0]), draws_of([10.0, 0.5], seed=2))
    table = summarise(ratio)
    assert table["sd"].isna().all(), "a ratio has no standard deviation"
    assert np.isfinite(table.loc[0, ["lower", "upper"]].astype(float)).all()
    assert table.loc[1, ["lower", "upper"]].tolist() == [-np.inf, np.inf]
    values = ratio["ratio"].sel(what="w0").values
    assert table.loc[0, "estimate"] == pytest.approx(np.median(values))


@given(
    hnp.arrays(
        float,
        st.tuples(st.just(2), st.integers(1, 20), st.integers(1, 5)),
        elements=st.floats(-5, 5),
    )
)
@settings(max_examples=60, deadline=None)
def test_rank_probabilities_sum_to_one(values):
    ranks = rank_probabilities(xr.DataArray(values, dims=DIMS), "what")
    assert ranks.dims == ("what", "rank")
    np.testing.assert_allclose(ranks.sum("what"), 1.0)
    np.testing.assert_allclose(ranks.sum("rank"), 1.0)


def test_ranks_against_scipy():
    draws = draws_of([0.0, 1.0, 0.5, 3.0])
    ranks = rank_probabilities(draws, "what")
    theirs = stats.rankdata(-draws.values, axis=-1)
    for i in range(4):
        expected = [(theirs[..., i] == rank).mean() for rank in (1, 2, 3, 4)]
        assert ranks.isel(what=i).values.tolist() == pytest.approx(expected)
    assert ranks["rank"].values.tolist() == [1, 2, 3, 4]


def test_ranks_keep_further_dims():
    draws = xr.concat([draws_of([0.0, 5.0]), draws_of([5.0, 0.0])], "system")
    ranks = rank_probabilities(draws, "what")
    assert ranks.dims == ("what", "rank", "system")
    assert ranks.sel(rank=1).values == pytest.approx(np.array([[0, 1], [1, 0]]), abs=0.01)


@given(st.floats(0.5, 0.99))
@settings(max_examples=20, deadline=None)
def test_wider_intervals_hold_narrower_ones(prob):
    effect = xr.Dataset({"effect": draws_of([1.0, -2.0])})
    narrow, wide = summarise(effect, prob=prob), summarise(effect, prob=prob + 0.009)
    assert (wide["lower"] <= narrow["lower"]).all()
    assert (wide["upper"] >= narrow["upper"]).all()


def test_probability_must_be_one():
    with pytest.raises(ValueError, match="prob"):
        cb.summarise(xr.Dataset({"effect": draws_of([1.0])}), prob=95)
