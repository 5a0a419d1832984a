"""Differentials of error rates: worked by hand from the definitions in their papers."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

import causalbias as cb
from causalbias import DataError
from causalbias.rates.differentials import (
    fairness_discrepancy,
    garbe,
    gini,
    inequity,
    lower_ends,
    max_to_geometric_mean,
    max_to_min,
)
from causalbias.rates.intervals import quantiles

from .test_error_rates import both_kinds, random_faces

FMR, FNMR = np.array([0.001, 0.004, 0.016]), np.array([0.02, 0.02, 0.05])


def test_indices_by_hand():
    """Three groups. FDR: de Freitas Pereira and Marcel (2022), equations of A, B and FDR. Inequity
    rate, Gini coefficient and GARBE: Howard et al. (2022, arXiv 2203.05051). Maximum over the
    geometric mean: NIST IR 8429 (2022). The papers' own tables are of whole systems; these are
    small enough for pen and paper.
    """
    # A = 0.015, B = 0.03; 1 - (0.5 * 0.015 + 0.5 * 0.03).
    assert fairness_discrepancy(FMR, FNMR) == pytest.approx(0.9775)
    assert fairness_discrepancy(FMR, FNMR, 1.0) == pytest.approx(0.985)
    # Ratios 16 and 2.5.
    assert max_to_min(FMR) == pytest.approx(16)
    assert inequity(FMR, FNMR) == pytest.approx(np.sqrt(40))
    assert inequity(FMR, FNMR, 1.0) == pytest.approx(16)
    # The geometric mean is 0.004.
    assert max_to_geometric_mean(FMR) == pytest.approx(4)
    # Pairs of groups differ by 3, 15 and 12 thousandths, both ways 60; mean 7:
    # 3/2 * 60 / (2 * 9 * 7) = 5/7. FNMR: 0, 3, 3 hundredths, 12; mean 3: 3/2 * 12 / 54 = 1/3.
    assert gini(FMR) == pytest.approx(5 / 7)
    assert gini(FNMR) == pytest.approx(1 / 3)
    assert garbe(FMR, FNMR) == pytest.approx((5 / 7 + 1 / 3) / 2)


def test_equal_groups_are_fair_by_every_index():
    same = np.full(5, 0.03)
    assert fairness_discrepancy(same, same) == 1
    assert inequity(same, same) == pytest.approx(1)
    assert max_to_geometric_mean(same) == pytest.approx(1)
    assert garbe(same, same) == 0


rates = arrays(float, 4, elements=st.floats(1e-6, 0.9))


@given(rates, rates, st.permutations(range(4)), st.floats(0.01, 1))
def test_groups_have_no_order_and_ratios_no_unit(fmr, fnmr, order, scale):
    order = list(order)
    for index in (max_to_min, max_to_geometric_mean, gini):
        assert index(fmr) == pytest.approx(index(fmr[order]))
        assert index(fmr) == pytest.approx(index(scale * fmr))
    for both in (fairness_discrepancy, inequity, garbe):
        assert both(fmr, fnmr) == pytest.approx(both(fmr[order], fnmr[order]))
    assert 0 <= gini(fmr) <= 1 + 1e-12
    assert 1 - 1e-12 <= max_to_geometric_mean(fmr) <= max_to_min(fmr) + 1e-9


def test_indices_inherit_the_draws():
    frame = both_kinds(50, rng=1)
    rates = cb.error_rates(frame, "race", threshold=2.0)
    found = cb.rates.fairness_indices(rates, alpha=0.3).sel(system="system")
    fmr, fnmr = (
        rates["rate"].sel(rate_of=kind, system="system").values for kind in ("FMR", "FNMR")
    )
    for name, value in (
        ("FMR max/min", max_to_min(fmr)),
        ("FNMR Gini", gini(fnmr)),
        ("FDR", fairness_discrepancy(fmr, fnmr, 0.3)),
        ("inequity rate", inequity(fmr, fnmr, 0.3)),
        ("GARBE", garbe(fmr, fnmr, 0.3)),
    ):
        np.testing.assert_allclose(found["index_value"].sel(index=name), value)
    table = cb.summarise(cb.rates.fairness_indices(rates))
    assert len(table) == 9
    assert table["estimate"].notna().all()


def test_equal_groups_lie_where_they_are_said_to():
    """Groups of one distribution: the indices are not at equality, but near `if_equal`."""
    near = []
    for rng in range(12):
        rates = cb.error_rates(random_faces(90, rng=rng), "race", threshold=2.4)
        found = cb.rates.fairness_indices(rates).sel(index="FMR max/min", system="system")
        low, high = np.quantile(found["index_value"], [0.05, 0.95])
        assert low > 1
        near.append(low < found["if_equal"] < high)
    # Indices are convex: their draws lie beyond those of the truth even where groups are equal.
    assert sum(near) >= 9


def test_ratios_are_to_the_best_group_and_to_the_geometric_mean():
    rates = cb.error_rates(random_faces(80, rng=2), ["race", "gender"], threshold=2.6)
    share = (rates["errors"] / rates["n"]).squeeze()
    best = cb.rates.rate_ratios(rates, to="best")["ratio"].squeeze()
    lowest = share.stack(group=["race", "gender"]).idxmin("group").item()
    one = best.sel(race=lowest[0], gender=lowest[1])
    np.testing.assert_allclose(one, 1)
    mean = cb.rates.rate_ratios(rates)["ratio"]
    np.testing.assert_allclose(np.log(mean).mean(["race", "gender"]), 0, atol=1e-12)


@pytest.mark.parametrize("chosen", [{"system": "b"}, {"rate_of": "FMR"}])
@pytest.mark.parametrize("to", ["best", "geometric mean"])
def test_rates_of_one_system_or_kind_have_the_ratios_that_they_have_among_all(chosen, to):
    faces = [random_faces(30, rng=2 + i).assign(system=name) for i, name in enumerate("ab")]
    rates = cb.error_rates(pd.concat(faces, ignore_index=True), "race", threshold=2.6)
    alone = cb.rates.rate_ratios(rates.sel(chosen), to=to)["ratio"]
    among = cb.rates.rate_ratios(rates, to=to)["ratio"].sel(chosen)
    np.testing.assert_array_equal(alone.squeeze().transpose(*among.squeeze().dims), among.squeeze())
    with pytest.raises(DataError, match=f"no '{next(iter(chosen))}'"):
        cb.rates.rate_ratios(rates.sel(chosen, drop=True), to=to)


def test_a_group_without_errors_leaves_ratios_without_end():
    frame = random_faces(60, rng=3)
    spared = (frame["race_a"] == "x") & (frame["race_b"] == "x")
    frame.loc[spared, "distance"] = 9.0
    rates = cb.error_rates(frame, "race", threshold=2.6)
    for to in ("best", "geometric mean"):
        table = cb.summarise(cb.rates.rate_ratios(rates, to=to)).set_index("race")
        assert table["estimate"].isna().all()
        assert np.isinf(table.loc[["y", "z"], "upper"]).all()
        assert (table.loc[["y", "z"], "lower"] > 1).all()
        assert table.loc["x", "lower"] == 0
    assert table["interval"].tolist() == ["at most", "at least", "at least"]
    assert table.loc["x", "upper"] < 1
    indices = cb.summarise(cb.rates.fairness_indices(rates)).set_index("index")
    assert np.isinf(indices.loc["FMR max/min", "upper"])
    assert np.isfinite(indices.loc["FMR Gini", "upper"])
    assert indices["estimate"].isna().all()


def few_errors(rng, rates, n=200):
    """Disjoint impostor pairs of groups with the rates given."""
    random = np.random.default_rng(rng)
    parts = []
    for at, rate in enumerate(rates):
        seed = 2 * (np.arange(n) + at * n)
        wrong = random.random(n) < rate
        parts.append(
            pd.DataFrame(
                {
                    "seed_a": seed,
                    "seed_b": seed + 1,
                    "group": f"g{at}",
                    "same_identity": False,
                    "distance": np.where(wrong, 0.3, 0.9),
                }
            )
        )
    return cb.error_rates(pd.concat(parts), "group", threshold=0.6, draws=300)


def test_one_sided_ends_hold_the_truth_where_a_group_has_hardly_an_error():
    """Ratios 30, and 1: true values are above the lower ends, at the rate of 90%, or more often."""
    held = {"unequal": [], "equal": [], "indices": []}
    for rng in range(40):
        rates = few_errors(rng, [0.1, 0.1 / 30])
        table = cb.summarise(cb.rates.rate_ratios(rates, to="best"), prob=0.9)
        held["unequal"].append(table["lower"].iloc[0] <= 30)
        index = cb.summarise(cb.rates.fairness_indices(rates), prob=0.9).set_index("index")
        held["indices"].append(index.loc["FMR max/min", "lower"] <= 30)
        equal = few_errors(rng, [0.005] * 6)
        index = cb.summarise(cb.rates.fairness_indices(equal), prob=0.9).set_index("index")
        for name in ("FMR max/min", "FMR max/geometric mean"):
            held["equal"].append(index.loc[name, "lower"] <= 1 + 1e-9)
    # 0.8 is two standard errors below 0.9.
    assert {name: np.mean(one) > 0.8 for name, one in held.items()} == dict.fromkeys(held, True)


def cube_of(errors, n, rng, draws=200):
    """Rates of groups from counts of independent pairs, as `error_rates` gives them."""
    share = errors / n
    rank = (np.arange(draws)[:, None] + 0.5) / draws
    ends = quantiles(share, np.full(len(share), float(n)), np.full(len(share), 1e6), rank)
    rate = np.stack([rng.permutation(one) for one in ends.T], axis=-1)[None, :, None, None]
    facts = {
        "errors": errors,
        "n": np.full(len(share), float(n)),
        "supported": errors >= 3,
        "n_effective": np.full(len(share), float(n)),
    }
    dims = ("rate_of", "system", "group")
    return xr.Dataset(
        {"rate": (("chain", "draw", *dims), rate)}
        | {name: (dims, one[None, None]) for name, one in facts.items()},
        {
            "chain": [0],
            "draw": np.arange(draws),
            "rate_of": ["FMR"],
            "system": ["s"],
            "group": np.arange(len(share)),
        },
    )


@pytest.mark.parametrize("groups", [2, 6])
@pytest.mark.parametrize("n", [100, 1000])
def test_lower_ends_accuse_equal_groups_no_more_often_than_they_say(groups, n):
    """All rates 2%: few errors (one-sided ends) and many (two-sided ones), 90% intervals."""
    rng, above = np.random.default_rng(5), {"one": [], "two": [], "best": []}
    for _ in range(50):
        rates = cube_of(rng.binomial(n, 0.02, groups), n, rng)
        index = cb.summarise(cb.rates.fairness_indices(rates), prob=0.9).set_index("index")
        for name in ("FMR max/min", "FMR max/geometric mean"):
            kind = "two" if index.loc[name, "interval"] == "two-sided" else "one"
            above[kind].append(index.loc[name, "lower"] > 1 + 1e-9)
        best = cb.summarise(cb.rates.rate_ratios(rates, to="best"), prob=0.9)
        told = best[best["interval"].isin(["at least", "two-sided"])]
        above["best"] += (told["lower"] > 1 + 1e-9).tolist()
    # Two and a half standard errors above what each says, of 50 data sets.
    for name, wanted in {"one": 0.1, "two": 0.05, "best": 0.1}.items():
        error = np.sqrt(wanted * (1 - wanted) / 50)
        assert np.mean(above[name] or [False]) < wanted + 2.5 * error, name


def test_lower_ends_are_those_of_independent_normal_logarithms():
    """Against the normal quantile, with pairs as many as are compared; and with a correlation."""
    rng = np.random.default_rng(2)
    noise = rng.multivariate_normal([0, 0], [[0.01, 0.005], [0.005, 0.01]], 20_000)
    draws = np.exp(noise + np.log([0.04, 0.01]))[None]
    ends = lower_ends(draws, np.array([[1.0, -1.0]]), 2)
    wanted = np.log(4) - norm.ppf(1 - 0.05 / 2) * 0.1
    assert np.quantile(ends, 0.05) == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda one: cb.rates.rate_ratios(one, to="worst"), "not a reference"),
        (lambda one: cb.rates.fairness_indices(one, alpha=2), "alpha is 2"),
        (lambda one: cb.rates.fairness_indices(one.isel(race=[0])), "a single group"),
    ],
)
def test_bad_input_ends_in_one_error(call, told):
    rates: xr.Dataset = cb.error_rates(random_faces(30, rng=1), "race", threshold=2.6)
    with pytest.raises(DataError, match=told):
        call(rates)
