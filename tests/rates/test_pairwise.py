"""Ratios of error rates of each two groups: bounds where one has almost no errors."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalbias as cb
from causalbias.errors import DataError

N = 3000


def pairs(errors, *, genuine=False, n=N):
    """So many pairs a group of two persons each who are in no other, of which some are wrong."""
    parts = []
    for at, (group, wrong) in enumerate(errors.items()):
        who = np.arange(n) * 2 + at * 100_000
        far = np.full(n, 0.2 if genuine else 0.9)
        far[:wrong] = 0.9 if genuine else 0.2
        other = who if genuine else who + 1
        parts.append(pd.DataFrame({"seed_a": who, "seed_b": other, "race": group, "distance": far}))
    whole = pd.concat(parts, ignore_index=True).astype({"seed_a": str, "seed_b": str})
    spread = np.random.default_rng(1).uniform(-0.05, 0.05, len(whole))
    return whole.assign(same_identity=genuine, distance=whole["distance"] + spread)


def ratios(errors, **how):
    rates = cb.error_rates(pairs(errors, **how), "race", threshold=0.5)
    return cb.rates.pairwise_rate_ratios(rates).summary().set_index(["group", "other"])


@pytest.mark.parametrize("genuine", [False, True])
def test_a_group_almost_without_errors_bounds_the_ratio_on_one_side(genuine):
    """As the exact test of two Poisson rates does, given the number of errors of both."""
    table = ratios({"Asian": 59, "Caucasian": 1}, genuine=genuine)
    one = table.loc[("Asian", "Caucasian")]
    share = stats.beta.ppf(0.05, 59, 2)
    assert one["interval"] == "at least"
    assert one["lower"] == pytest.approx(share / (1 - share), rel=0.1)
    assert np.isinf(one["upper"])
    assert np.isnan(one["estimate"])
    assert one[["errors", "n", "errors_other", "n_other"]].tolist() == [59, N, 1, N]
    back = table.loc[("Caucasian", "Asian")]
    assert (back["interval"], back["lower"]) == ("at most", 0)
    assert back["upper"] == pytest.approx(1 / one["lower"], rel=1e-6)


def test_two_groups_with_errors_have_both_ends_and_two_without_have_none():
    table = ratios({"a": 60, "b": 30, "c": 1, "d": 0})
    log = np.log(table.loc[("a", "b"), ["lower", "upper"]].astype(float))
    wald = np.log(2) + np.array([-1.96, 1.96]) * np.sqrt(1 / 60 + 1 / 30 - 2 / N)
    np.testing.assert_allclose(log, wald, atol=0.08)
    none = table.loc[("c", "d")]
    assert (none["interval"], none["lower"], none["upper"]) == ("none", 0, np.inf)
    assert ("a", "a") not in table.index


def test_order_of_rows_and_names_of_groups_change_nothing():
    rows = pairs({"a": 20, "b": 5}, n=400)
    one = cb.rates.pairwise_rate_ratios(cb.error_rates(rows, "race", threshold=0.5))
    mixed = rows.sample(frac=1, random_state=1).replace({"race": {"a": "z z", "b": "y"}})
    two = cb.rates.pairwise_rate_ratios(cb.error_rates(mixed, "race", threshold=0.5))
    first = one.summary().set_index(["group", "other"]).loc[("a", "b")]
    second = two.summary().set_index(["group", "other"]).loc[("z z", "y")]
    for name in ("estimate", "lower", "upper"):
        assert first[name] == pytest.approx(second[name], rel=0.1)


def test_groups_of_several_factors_have_names_and_a_single_one_is_refused():
    rows = pairs({"a": 20, "b": 5}, n=400)
    rows["sex"] = np.where(np.arange(len(rows)) % 2, "f", "m")
    rates = cb.error_rates(rows, ["race", "sex"], threshold=0.5)
    found = cb.rates.pairwise_rate_ratios(rates)
    assert found["group"].values.tolist() == ["a f", "a m", "b f", "b m"]
    with pytest.raises(DataError, match="single group"):
        cb.rates.pairwise_rate_ratios(rates.sel(race=["a"], sex=["f"]))


def test_papers_indices_are_those_of_the_counted_shares():
    table = cb.rates.fairness_indices(
        cb.error_rates(pairs({"a": 59, "b": 1, "c": 0}), "race", threshold=0.5)
    ).summary()
    plug_in = table.set_index("index")["plug_in"]
    assert np.isinf(plug_in["FMR max/min"])
    assert plug_in["FMR Gini"] == pytest.approx(3 / 2 * (59 * 4 + 2 * 2 - 4) / (2 * 9 * 20))
