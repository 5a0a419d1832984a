"""Error rates of all groups in one model: what small groups borrow, and what large ones keep."""

import numpy as np
import pytest
import xarray as xr

import causalbias as cb
from causalbias.analyses.scores.pooling import crossed_formula, effective_counts
from causalbias.errors import DataError


def rates(errors, n, n_effective=None, dims=("race", "gender")):
    """Rates by counts, as `error_rates` gives them but for their draws, which are not used."""
    errors, n = np.asarray(errors, float), np.asarray(n, float)
    labels = [[f"{dim}{at}" for at in range(size)] for dim, size in zip(dims, n.shape, strict=True)]
    over = ("rate_of", "system", *dims)
    facts = {"errors": errors, "n": n, "n_effective": n if n_effective is None else n_effective}
    return xr.Dataset(
        {name: (over, one[None, None]) for name, one in (facts | {"supported": n > 0}).items()}
        | {"rate": (("chain", "draw", *over), np.full((1, 2, 1, 1, *n.shape), np.nan))},
        {"rate_of": ["FMR"], "system": ["s"]} | dict(zip(dims, labels, strict=True)),
        {"cohort": "same"},
    )


@pytest.fixture(scope="module")
def found():
    """Five groups of 1% with many pairs, and one of which 1 in 10 pairs is wrong."""
    errors, n = [[60, 61], [58, 1], [62, 59]], [[6000, 6000], [6000, 10], [6000, 6000]]
    return cb.analyses.pooled_rates(rates(errors, n))


def test_a_small_group_is_drawn_to_the_others_and_large_ones_stay(found):
    table = found.summary().set_index(["race", "gender"])
    small = table.loc[("race1", "gender1")]
    assert 0.007 < small["estimate"] < 0.03
    assert small["upper"] - small["lower"] > 0.005
    large = table.drop(index=[("race1", "gender1")])
    np.testing.assert_allclose(large["estimate"], 0.01, atol=0.0012)
    assert not found.attrs.get("failures", "[]").strip("[]")


def test_its_rates_have_ratios_with_both_ends(found):
    table = cb.rates.pairwise_rate_ratios(found).summary()
    assert (table["interval"] == "two-sided").all()
    assert len(table) == 30


def test_groups_that_differ_are_not_drawn_together_and_shared_persons_widen():
    errors, n = [[30, 60, 120, 240]], [[3000] * 4]
    sure = cb.analyses.pooled_rates(rates(errors, n), draws=250).summary()
    np.testing.assert_allclose(sure["estimate"], np.array(errors[0]) / 3000, rtol=0.1)
    few = cb.analyses.pooled_rates(
        rates(errors, n, n_effective=np.full((1, 4), 300.0)), draws=250
    ).summary()
    width = (few["upper"] - few["lower"]) / (sure["upper"] - sure["lower"])
    assert (width > 2).all()


def test_counts_are_never_more_than_the_effective_ones_and_formulas_have_the_factors_there_are():
    draw = np.random.default_rng(1)
    n = draw.integers(1, 5000, 200)
    errors, effective = draw.binomial(n, draw.random(200) ** 4), n * draw.random(200)
    wrong, trials = effective_counts(errors, n, effective)
    assert ((wrong >= 0) & (wrong <= trials) & (trials > 0)).all()
    assert (trials <= np.maximum(effective, 1) * (1 + 1e-6)).all()
    rarer = np.minimum(errors, n - errors) / n * effective
    some = rarer >= 1
    assert some.any()
    assert (np.abs(wrong - trials * errors / n)[some] <= 1).all()
    none = ~some & (errors < n / 2)
    assert (wrong[none] == 0).all()
    assert crossed_formula({"system": 3, "a": 3, "b": 1}) == "system + (1|a) + (1|system:a)"


def test_names_of_groups_are_split_into_their_factors_and_two_groups_are_refused():
    groups = {"x y": {"my race": "x", "errors": "y"}, "x z": {"my race": "x", "errors": "z"}}
    groups |= {"w y": {"my race": "w", "errors": "y"}, "w z": {"my race": "w", "errors": "z"}}
    flat = rates([10, 20, 15, 30], [900] * 4, dims=("group",))
    flat = flat.assign_coords(group=list(groups))
    table = cb.analyses.pooled_rates(flat, factors=groups, draws=250).summary()
    assert table["group"].tolist() == list(groups)
    assert table["errors"].tolist() == [10, 20, 15, 30]
    with pytest.raises(DataError, match="2 groups have pairs"):
        cb.analyses.pooled_rates(flat.isel(group=[0, 1]), factors=groups)
