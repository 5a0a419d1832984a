"""What is computed from estimates says no more than they do: limits, unknown cells, labels."""

import numpy as np
import pytest
import xarray as xr

import causalbias as cb
from causalbias import DataError


@pytest.fixture(scope="module")
def rates():
    study = cb.simulate(seeds=20, people=None, levels={"pose": [-3, 0, 3]}, impostors=20)
    return cb.error_rates(study, ["race"], fmr=0.01, draws=400).isel(system=[0])


@pytest.fixture(scope="module")
def holes():
    """An effect that is not estimable in one of its cells, and has no rows in another."""
    rng = np.random.default_rng(1)
    draws = rng.normal([[2.0, 3.0], [1.0, 4.0]], 1, (2, 300, 2, 2))
    draws[:, :, 0, 1] = np.nan
    return cb.Estimate(
        {
            "effect": (("chain", "draw", "race", "sex"), draws),
            "n": (("race", "sex"), [[9, 9], [9, 9]]),
            "estimable": (("race", "sex"), [[True, False], [True, True]]),
        },
        {"race": ["black", "white"], "sex": ["f", "m"]},
        {"variable": "effect", "contrast": "race", "reference": "asian", "estimand": "effect"},
    )


@pytest.mark.parametrize(
    "change", [np.log, lambda one: 1 / one, lambda one: one - 1, lambda one: -one]
)
def test_one_sided_limits_of_ratios_are_not_those_of_what_is_computed_from_them(rates, change):
    ratios = cb.rates.rate_ratios(rates)
    table = change(ratios).summary()
    two_sided = int((ratios["interval"] == "two-sided").sum())
    assert (table["lower"].isna() | (table["lower"] <= table["upper"])).all()
    assert table["estimate"].notna().sum() <= two_sided
    assert table.loc[table["estimate"].isna(), ["lower", "upper"]].isna().all(axis=None)
    assert "p_above_one" not in table


def test_a_difference_of_rates_with_too_few_errors_is_not_reported(rates):
    supported = rates["supported"]
    assert not supported.all()
    table = (rates - rates.sel(race="white", drop=True)).summary()
    both = (supported & supported.sel(race="white", drop=True)).to_series()
    keys = [tuple(row) for row in table[list(both.index.names)].itertuples(index=False)]
    for key, value in zip(keys, table["estimate"], strict=True):
        assert np.isnan(value) == (not both[key])
    one_minus = (1 - rates).summary()
    assert one_minus["estimate"].isna().sum() == int((~supported).sum())


def test_means_over_cells_are_missing_where_a_cell_is(holes, rates):
    table = holes.mean("race").summary()
    assert table["estimate"].isna().tolist() == [False, True]
    assert table["estimable"].tolist() == [True, False]
    assert table["n"].tolist() == [18, 18]
    assert "reference" not in table
    known = rates["supported"].all("race").to_series()
    averaged = rates.mean("race").summary()
    assert averaged["estimate"].notna().sum() == int(known.sum())


def test_a_cell_that_one_side_does_not_know_stays_in_the_table(holes):
    found = holes.sel(race="black") - holes.sel(race="white")
    table = found.summary()
    assert table["estimable"].tolist() == [True, False]
    assert "against" not in str(found).split("\n")[1]


def test_what_is_computed_leaves_the_original_as_it_is(rates):
    alone = rates[["rate"]]
    for change in (lambda one: one.mean("race"), lambda one: -one, lambda one: one + 1):
        assert "quantity" not in change(alone)["rate"].attrs
        assert alone["rate"].attrs["quantity"] == "error rate"


def test_ratios_and_rates_apart_from_what_limits_them_are_refused(rates):
    with pytest.raises(DataError, match="without `supported`"):
        rates[["rate"]].summary()
    with pytest.raises(DataError, match="without `interval`"):
        cb.rates.rate_ratios(rates)[["ratio"]].summary()


@pytest.mark.parametrize("name", ["scale", "population", "converged", "estimate", "ci_bound"])
def test_a_dim_named_like_a_column_of_tables_is_refused(holes, name):
    with pytest.raises(DataError, match=f"a dim is named '{name}'"):
        holes.rename(sex=name).summary()


def test_a_cell_with_some_draws_missing_is_not_dropped(holes):
    draws = holes["effect"].values.copy()
    draws[0, 0, 1, 0] = np.nan
    table = holes.assign(effect=(holes["effect"].dims, draws)).summary()
    assert len(table) == 4
    assert table["estimate"].isna().sum() == 2


def test_one_chain_no_draws_and_truth_values_print(holes):
    assert len(holes.isel(chain=0).summary()) == 4
    assert "Estimate: effect" in str(holes.isel(draw=[]))
    assert (holes > 0).summary()["estimate"].tolist()[0] == 1.0
    assert isinstance(holes.mean(("chain", "draw")), xr.Dataset)
