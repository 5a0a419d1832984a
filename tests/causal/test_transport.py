"""Estimates for a target population: weighted by hand, and cells without faces refused."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import causalbias as cb
from causalbias import DataError
from causalbias.draws.estimate import estimate

SAMPLE = ["chain", "draw"]


def cells(quantity=None, **more):
    """Effects of race by gender and age, of so many rows."""
    rng = np.random.default_rng(0)
    found = xr.Dataset(
        {
            "effect": (
                ("chain", "draw", "race", "gender", "age"),
                rng.normal(size=(2, 50, 1, 2, 2)),
            ),
            "n": (("race", "gender", "age"), np.array([[[10, 20], [30, 40]]])),
        },
        {"race": ["black"], "gender": ["f", "m"], "age": [20, 60]},
    ).assign(more)
    if quantity:
        found["effect"].attrs["quantity"] = quantity
    return estimate(found, of=[], contrast="race", reference="white", estimand="effect of race")


USERS = pd.DataFrame(
    {"gender": ["f", "f", "m", "m"], "age": [20, 60, 20, 60], "people": [1, 2, 3, 4]}
)


def test_cells_are_weighted_by_their_share_of_the_population():
    one = cells()
    found = cb.causal.poststratify(one, USERS, weight="people")
    e = one["effect"].values
    by_hand = (e[..., 0, 0] + 2 * e[..., 0, 1] + 3 * e[..., 1, 0] + 4 * e[..., 1, 1]) / 10
    np.testing.assert_allclose(found["effect"], by_hand)
    assert found["n"].item() == 100
    np.testing.assert_allclose(found["in_sample"], found["effect"])  # in proportion, here
    assert found["effective_n"].item() == pytest.approx(100)
    assert found.attrs["reference"] == "white"
    assert "weights are right" in repr(found)
    uneven = cb.causal.poststratify(one, USERS.assign(people=[1, 0, 0, 0]), weight="people")
    assert (uneven["n"].item(), uneven["effective_n"].item()) == (10, pytest.approx(10))
    np.testing.assert_allclose(uneven["effect"], e[..., 0, 0])


def test_nothing_depends_on_order_spelling_or_the_sum_of_weights():
    expected = cb.causal.poststratify(cells(), USERS, weight="people")["effect"]
    spelled = USERS[::-1].assign(
        age=lambda one: pd.Categorical(one["age"].astype(str), ["99", "60", "20"]),
        gender=lambda one: pd.Categorical(one["gender"], ["m", "x", "f"]),
        people=lambda one: (one["people"] / 10).astype(str),
    )
    again = cb.causal.poststratify(cells(), spelled.set_index("gender"), weight="people")
    np.testing.assert_allclose(again["effect"], expected)


def test_several_populations_and_columns_that_are_kept():
    two = pd.concat([USERS.assign(land="a"), USERS.assign(land="b", people=[0, 0, 1, 1])])
    found = cb.causal.poststratify(cells(), two, weight="people", by="land")
    assert found["effect"].dims == ("chain", "draw", "race", "land")
    alone = cb.causal.poststratify(cells(), USERS, weight="people")
    np.testing.assert_allclose(found["effect"].sel(land="a"), alone["effect"])
    assert found["n"].sel(land="b").item() == 70
    by_age = cb.causal.poststratify(cells(), USERS, weight="people", by="age")
    e = cells()["effect"]
    expected = (e.sel(gender="f", age=60) * 2 + e.sel(gender="m", age=60) * 4) / 6
    np.testing.assert_allclose(by_age["effect"].sel(age=60), expected)
    assert by_age["n"].sel(age=60).item() == 60
    margin = USERS.groupby("gender", as_index=False)["people"].sum()
    kept = cb.causal.poststratify(cells(), margin, weight="people")
    assert kept["effect"].dims == ("chain", "draw", "race", "age")


def test_cells_without_faces_are_named():
    older = pd.concat([USERS, pd.DataFrame({"gender": ["f"], "age": [90], "people": [1]})])
    with pytest.raises(DataError, match="gender f, age 90"):
        cb.causal.poststratify(cells(), older, weight="people")
    cb.causal.poststratify(cells(), older.assign(people=[1, 1, 1, 1, 0]), weight="people")
    lost = cells()
    lost["effect"].loc[{"gender": "m", "age": 60}] = np.nan
    with pytest.raises(DataError, match="gender m, age 60"):
        cb.causal.poststratify(lost, USERS, weight="people")
    kept = cb.causal.poststratify(lost, USERS.assign(people=[1, 2, 3, 0]), weight="people")
    assert kept["effect"].notnull().all()
    few = cells(
        "error rate", supported=(("race", "gender", "age"), np.array([[[1, 1], [1, 0]]], bool))
    )
    with pytest.raises(DataError, match="gender m, age 60"):
        cb.causal.poststratify(few, USERS, weight="people")


BAD = {
    "negative": (USERS.assign(people=[1, -1, 1, 1]), "row 2: is no weight"),
    "missing": (USERS.assign(people=[1, None, 1, 1]), "row 2: is no weight"),
    "zero": (USERS.assign(people=0), "no weight above zero at all"),
    "twice": (pd.concat([USERS, USERS[:1]]), "there already"),
    "twice told": (pd.concat([USERS.assign(land=1), USERS.assign(land=2)]), "by='land'"),
    "no dim": (USERS[["people"]], "no column of the target"),
    "gone": (USERS.assign(gender=["f", None, "m", "m"]), "is missing"),
    "contrasted": (USERS.assign(race="black"), "whose levels the effects contrast"),
    "no weight": (USERS.rename(columns={"people": "count"}), "not there"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_target_that_cannot_be_used_is_refused(case):
    table, told = BAD[case]
    with pytest.raises(DataError, match=told):
        cb.causal.poststratify(cells(), table, weight="people")


def test_a_population_without_weights_is_named():
    with pytest.raises(DataError, match="no weight above zero at age 60"):
        cb.causal.poststratify(cells(), USERS[USERS["age"] == 20], weight="people", by="age")


def test_a_mean_of_ratios_is_refused():
    with pytest.raises(DataError, match="mean of ratios"):
        cb.causal.poststratify(cells("ratio of effects"), USERS, weight="people")


def test_partially_pooled_cells_are_nearer_the_truth_of_the_population():
    """MRP: twelve cells of few rows, whose outcomes vary; weights from 1 to 12."""
    rng = np.random.default_rng(4)
    grid = pd.MultiIndex.from_product([list("abc"), list("wxyz")], names=["age", "skin"])
    grid = grid.to_frame(index=False)
    truth = rng.normal(0, 0.5, 12)
    rows = grid.loc[np.repeat(np.arange(12), 3)].assign(
        y=lambda one: truth[one.index] + rng.normal(0, 1, len(one))
    )
    fit = cb.fit("y ~ 1 + (1|age:skin)", rows, draws=300, chains=2)
    users = grid.assign(people=np.arange(1, 13))
    by_cell = cb.predictions(fit, ["age", "skin"])
    found = cb.causal.poststratify(by_cell, users, weight="people")
    wanted = truth @ users["people"] / 78
    assert found.summary()["lower"].item() < wanted < found.summary()["upper"].item()
    weights = users.set_index(["age", "skin"])["people"].to_xarray() / 78
    by_hand = (by_cell["prediction"] * weights).sum(["age", "skin"])
    np.testing.assert_allclose(found["prediction"], by_hand)
    raw = rows.groupby(["age", "skin"])["y"].mean()
    pooled = by_cell["prediction"].median(SAMPLE).to_series().reindex(raw.index)
    assert ((pooled - truth) ** 2).mean() < ((raw - truth) ** 2).mean()
