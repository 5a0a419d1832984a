"""Predictions at new rows, grids, pairwise contrasts, changes; coefficients and group effects."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias import DataError

KEYS = ["estimate", "lower", "upper"]


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(2)
    race = rng.choice(["white", "black", "asian"], 150, p=[0.5, 0.3, 0.2])
    seed = rng.integers(0, 10, 150)
    x = rng.integers(0, 4, 150)
    y = 0.5 * (race == "black") + 0.2 * x + rng.normal(0, 0.3, 10)[seed] + rng.normal(size=150)
    kind = pd.CategoricalDtype(["white", "black", "asian", "unused"])
    return pd.DataFrame(
        {
            "race": pd.Series(race).astype(kind),
            "seed": [f"{k:03d}" for k in seed],
            "x": x,
            "y": y,
            "near": (y > 0).astype(int),
        }
    )


@pytest.fixture(scope="module")
def fit(rows):
    return cb.fit("y ~ race*x + (1|seed)", rows, draws=200)


@pytest.fixture(scope="module")
def binary(rows):
    return cb.fit("near ~ race + x + (1|seed)", rows, family="bernoulli", draws=200)


def test_the_fits_own_rows_as_new_data_give_what_the_fit_gives(fit, binary, rows):
    for one in (fit, binary):
        for population in ("new", "typical", "these"):
            own = cb.predictions(one, "race", population=population)
            new = cb.predictions(one, "race", population=population, newdata=rows)
            np.testing.assert_allclose(new["prediction"], own["prediction"], rtol=1e-9)
            assert new["n"].equals(own["n"])
            own = cb.effects(one, "race", population=population)
            new = cb.effects(one, "race", population=population, newdata=rows)
            np.testing.assert_allclose(new["effect"], own["effect"], rtol=1e-9, atol=1e-12)


def test_order_and_types_of_new_rows_do_not_matter(binary, rows):
    asked = {"population": "new", "by": "race"}
    first = cb.predictions(binary, newdata=rows, **asked)
    turned = rows[::-1].assign(
        x=rows["x"].astype(float), race=rows["race"].astype(str).astype("string")
    )
    other = cb.predictions(binary, newdata=turned.drop(columns=["seed", "y", "near"]), **asked)
    assert other["race"].values.tolist() == ["white", "black", "asian"]
    np.testing.assert_allclose(first["prediction"], other["prediction"], rtol=1e-9)


def test_a_grid_holds_the_rest_at_mean_and_mode(fit, rows):
    grid = cb.datagrid(fit, x=[0, 2])
    assert grid.to_dict("list") == {"x": [0, 2], "race": ["white", "white"]}
    grid = cb.datagrid(fit, race=["asian", "black"])
    assert grid["race"].tolist() == ["asian", "black"]
    assert grid["x"].tolist() == pytest.approx([rows["x"].mean()] * 2)
    assert len(cb.datagrid(fit, race=["asian", "black"], x=range(3))) == 6
    assert len(cb.datagrid(fit)) == 1
    found = cb.predictions(fit, newdata=cb.datagrid(fit, race=["asian", "white"], x=1.5))
    draws = fit["posterior"]
    expected = draws["Intercept"] + 1.5 * draws["x"]
    np.testing.assert_allclose(found["prediction"].sel(race="white", x=1.5), expected, rtol=1e-9)


def test_pairwise_contrasts_are_differences_of_each_two(fit):
    found = cb.effects(fit, "race", reference="pairwise")
    against = cb.effects(fit, "race")["effect"]
    assert found["race"].values.tolist() == ["black - white", "asian - white", "asian - black"]
    for label, expected in (
        ("black - white", against.sel(race="black")),
        ("asian - black", against.sel(race="asian") - against.sel(race="black")),
    ):
        np.testing.assert_allclose(found["effect"].sel(race=label), expected, atol=1e-12)


def test_a_change_is_from_each_rows_own_value(fit, binary, rows):
    draws = fit["posterior"].to_dataset()
    share = rows["race"].value_counts(normalize=True)
    slopes = draws["race:x"].sel({draws["race:x"].dims[-1]: ["black", "asian"]}).values
    expected = draws["x"].values + slopes @ share[["black", "asian"]].to_numpy()
    one = cb.effects(fit, "x", change=1)["effect"]
    np.testing.assert_allclose(one, expected, rtol=1e-9)
    sd = cb.effects(fit, "x", change="sd")["effect"]
    np.testing.assert_allclose(sd, expected * rows["x"].std(ddof=0), rtol=1e-9)
    shifted = rows.assign(x=rows["x"] + 1)
    more, own = (cb.predictions(binary, (), newdata=one)["prediction"] for one in (shifted, rows))
    np.testing.assert_allclose(cb.effects(binary, "x", change=1)["effect"], more - own, atol=1e-12)
    for change, told in ((1, "levels and no numbers"), ("sd", "levels and no numbers")):
        with pytest.raises(DataError, match=told):
            cb.effects(fit, "race", change=change)
    with pytest.raises(DataError, match="change"):
        cb.effects(fit, "x", change="iqr")


@pytest.mark.parametrize(
    ("newdata", "options", "told"),
    [
        ({"race": ["purple"], "x": [1]}, {}, "'purple' is not a level of 'race'.*white, black"),
        ({"race": ["white"]}, {}, "lack the column 'x'"),
        ({"race": ["white"], "x": [None]}, {}, "newdata, column 'x', row 1: missing in 1 of 1"),
        (
            {"race": ["white"], "x": ["high"]},
            {},
            "newdata, column 'x', row 1: 'high' is not",
        ),
        ({"race": ["white"], "x": [1]}, {"population": "these"}, "lack the column 'seed'"),
        ({"race": ["white"], "x": [1], "seed": [7]}, {}, "7 is not a level of 'seed'"),
        ({"race": [], "x": []}, {}, "no rows"),
    ],
)
def test_new_rows_that_the_fit_cannot_know(fit, newdata, options, told):
    with pytest.raises(DataError, match=told):
        cb.predictions(fit, newdata=pd.DataFrame(newdata), **options)


def test_no_new_data_and_no_columns_is_no_question(fit):
    with pytest.raises(DataError, match="no columns are named"):
        cb.predictions(fit)
    with pytest.raises(DataError, match="give a DataFrame"):
        cb.predictions(fit, newdata={"race": "white"})


def test_coefficients_are_the_tables_of_summary(fit, binary):
    for one in (fit, binary):
        table = cb.summary(one)
        table = table[table["kind"] == "population"]
        found = cb.coefficients(one)
        assert found["term"].values.tolist() == table.index.tolist()
        means = found["coefficient"].mean(["chain", "draw"])
        np.testing.assert_allclose(means, table["estimate"], rtol=1e-9)
    test = {"h": 'coefficient["race[black]"] - coefficient["race[asian]"]'}
    value = cb.hypotheses(cb.coefficients(fit), test)["value"].sel(hypothesis="h")
    draws = fit["posterior"]["race"]
    expected = draws.sel(race_dim="black") - draws.sel(race_dim="asian")
    np.testing.assert_allclose(value, expected.transpose("chain", "draw"), rtol=1e-9)


def test_effects_of_groups_are_those_of_the_posterior(fit, rows):
    found = cb.group_effects(fit, "seed")
    own = fit["posterior"]["1|seed"]
    np.testing.assert_array_equal(
        found["effect"].sel(term="1"), own.sel(seed__factor_dim=found["level"].values)
    )
    counts = rows["seed"].value_counts()
    assert found["n"].to_series().to_dict() == counts.to_dict()
    with pytest.raises(DataError, match="seed"):
        cb.group_effects(fit, "face")


def test_slopes_and_members_of_groups():
    rng = np.random.default_rng(3)
    pairs = pd.DataFrame(rng.integers(0, 8, (200, 2)), columns=["a", "b"]).astype(str)
    pairs = pairs.assign(x=rng.normal(size=200), y=rng.normal(size=200))
    fit = cb.fit("y ~ x + (x|mm(a, b))", pairs, draws=100)
    found = cb.group_effects(fit, "mm(a, b)")
    assert found["term"].values.tolist() == ["1", "x"]
    either = [(pairs[["a", "b"]] == level).any(axis=1).sum() for level in found["level"].values]
    assert found["n"].values.tolist() == either


def test_new_rows_that_name_no_group_are_of_new_groups():
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"g": np.repeat(list("abcdefgh"), 10), "x": rng.normal(size=80)})
    data["y"] = rng.normal(size=80)
    fit = cb.fit("y ~ 1 + (x|g)", data, draws=100)
    new = pd.DataFrame({"x": [0.0, 1.0]})
    found = cb.predictions(fit, "x", newdata=new)
    assert found.attrs["population"] == "new"
    np.testing.assert_allclose(
        found["prediction"], cb.predictions(fit, "x", newdata=new, population="new")["prediction"]
    )
    of_group = cb.predictions(fit, "x", newdata=new.assign(g="a"))
    assert of_group.attrs["population"] == "these"


def test_rows_with_missing_values_are_left_out_on_request_and_counted(rows):
    untidy = rows.assign(
        y=rows["y"].where(rows.index % 10 > 0),
        race=rows["race"].astype(object).where(rows.index % 7 > 0, "NA"),
    )
    lacks = untidy["y"].isna() | (rows.index % 7 == 0)
    asked = {"draws": 100, "random_seed": 1}
    with pytest.raises(DataError, match=r"missing in .*missing='drop'"):
        cb.fit("y ~ race", untidy, **asked)
    found = cb.fit("y ~ race", untidy, missing="drop", **asked)
    kind = pd.CategoricalDtype(sorted(set(untidy["race"]) - {"NA"}))
    tidy = untidy[~lacks].assign(race=lambda d: d["race"].astype(kind))
    by_hand = cb.fit("y ~ race", tidy, **asked)
    np.testing.assert_array_equal(found["posterior"]["race"], by_hand["posterior"]["race"])
    assert found.attrs["n_rows"] == (~lacks).sum()
    assert f"left out for missing values: y ({untidy['y'].isna().sum()}), race (22)" in str(found)
    more = cb.update(found, ". ~ . + x", untidy)
    assert more.attrs["n_rows"] == found.attrs["n_rows"]
    whole = cb.fit("y ~ race", rows, missing="drop", **asked)
    assert cb.update(whole, data=untidy).attrs["n_rows"] == found.attrs["n_rows"]
    with pytest.raises(DataError, match="every row lacks a value"):
        cb.fit("y ~ x", rows.assign(x=np.nan), missing="drop")
    with pytest.raises(DataError, match="missing is"):
        cb.fit("y ~ x", rows, missing="ignore")


def test_a_prior_of_one_level_is_of_that_level_alone(rows):
    asked = {"draws": 250, "random_seed": 1}
    free = cb.fit("y ~ race + x", rows, **asked)
    tied = cb.fit("y ~ race + x", rows, priors={"race[asian]": "Normal(0, 0.001)"}, **asked)
    table, plain = cb.summary(tied), cb.summary(free)
    assert table.loc["race[asian]", "estimate"] == pytest.approx(0, abs=0.01)
    apart = table.loc["race[black]", "estimate"] - plain.loc["race[black]", "estimate"]
    assert abs(apart) < 3 * plain.loc["race[black]", "sd"]
    listed = cb.get_prior("y ~ race + x", rows, priors={"race[asian]": "Normal(0, 0.001)"})
    source = listed.set_index("parameter")["source"]
    assert source[["race[black]", "race[asian]"]].tolist() == ["default", "given"]
    for priors, told in (
        ({"race[asian]": "StudentT(3, 0, 1)"}, "a prior of one column is Normal"),
        ({"race": "StudentT(3, 0, 1)", "race[asian]": "Normal(0, 1)"}, "is Normal"),
        ({"x[1]": "Normal(0, 1)"}, "the model has not"),
    ):
        with pytest.raises(DataError, match=told):
            cb.fit("y ~ race + x", rows, priors=priors, method="nuts", draws=50)


def test_pooled_estimates_hold_the_draws_of_all(fit, rows):
    others = [cb.fit("y ~ race*x + (1|seed)", rows, draws=200, random_seed=k) for k in (1, 2)]
    found = [cb.effects(one, "race") for one in (fit, *others)]
    pooled = cb.pool(found)
    assert pooled["effect"].sizes["chain"] == 12
    every = np.concatenate([one["effect"].values for one in found])
    np.testing.assert_array_equal(pooled["effect"].values, every)
    assert cb.summarise(pooled)["n"].tolist() == cb.summarise(found[0])["n"].tolist()
    for wrong, told in (
        (found[:1], "give two or more"),
        ([found[0], cb.effects(fit, "x", change=1)], "estimand"),
        ([found[0], cb.effects(fit, "race", by="x")], "different cells"),
        ([fit, *others], "draws of an estimate is needed"),
    ):
        with pytest.raises(DataError, match=told):
            cb.pool(wrong)


def test_new_rows_without_weights_have_weight_one(rows):
    rows = rows.assign(w=np.where(rows.index % 2, 4.0, 9.0), up=np.exp(rows["y"]))
    fit = cb.fit("np.log(up) ~ race", rows, weights="w", draws=100)
    grid = cb.datagrid(fit, race=["white", "black"])
    plain = cb.predictions(fit, newdata=grid)["prediction"]
    at_one = cb.predictions(fit, "race", newdata=grid.assign(w=1))["prediction"]
    np.testing.assert_array_equal(plain, at_one)
    draws = fit["posterior"].to_dataset()
    expected = np.exp(draws["Intercept"] + draws["sigma"] ** 2 / 2)
    np.testing.assert_allclose(plain.sel(race="white"), expected, rtol=1e-9)
    at_four = cb.predictions(fit, "race", newdata=grid.assign(w=4))["prediction"]
    expected = np.exp(draws["Intercept"] + draws["sigma"] ** 2 / 8)
    np.testing.assert_allclose(at_four.sel(race="white"), expected, rtol=1e-9)
    with pytest.raises(DataError, match=r"newdata, column 'w', row 1: .* is not a positive"):
        cb.predictions(fit, newdata=grid.assign(w=0))


def test_what_new_rows_do_not_need_is_not_looked_at(fit, rows):
    own = cb.predictions(fit, "race", newdata=rows)["prediction"]
    strangers = rows.assign(seed="of another study", y=np.nan)
    new = cb.predictions(fit, "race", newdata=strangers)["prediction"]
    np.testing.assert_array_equal(own, new)


def test_a_change_of_new_rows_is_by_the_fits_sd_from_their_own_values(fit, rows):
    one = cb.datagrid(fit, race="white")
    found = cb.effects(fit, "x", change="sd", newdata=one)["effect"]
    np.testing.assert_allclose(found, fit["posterior"]["x"] * rows["x"].std(ddof=0), rtol=1e-9)
    with pytest.raises(DataError, match="lack the column 'x'"):
        cb.effects(fit, "x", change=1, newdata=one.drop(columns="x"))
    with pytest.raises(DataError, match="two contrasts"):
        cb.effects(fit, "x", change=1, reference=0)


def test_numbers_that_are_levels_have_no_mean(rows):
    fit = cb.fit("y ~ C(x) + race", rows, draws=100)
    grid = cb.datagrid(fit, race="white")
    assert grid["x"].tolist() == [rows["x"].mode()[0]]
    assert cb.predictions(fit, newdata=grid)["prediction"].notnull().all()
    for ask in (
        lambda: cb.predictions(fit, newdata=grid.assign(x=0.5)),
        lambda: cb.effects(fit, "x", change=1),
    ):
        with pytest.raises(DataError, match="numbers that the formula takes for levels"):
            ask()


def test_durations_are_seconds_in_new_rows_as_in_the_fit(rows):
    lasting = rows.assign(x=pd.to_timedelta(rows["x"], unit="s"))
    fit = cb.fit("y ~ x", lasting, draws=100)
    found = [cb.predictions(fit, (), newdata=one)["prediction"] for one in (lasting, rows)]
    np.testing.assert_array_equal(*found)


def test_grids_take_what_pandas_and_python_hold_values_in(fit, rows):
    for held in (
        rows["race"].unique(),
        rows["race"].astype("string").unique(),
        {"white": 1}.keys(),
    ):
        listed = list(held)
        assert cb.datagrid(fit, race=held)["race"].tolist() == listed
    assert cb.datagrid(fit, x={0, 2})["x"].tolist() == [0, 2]


def test_pooled_cells_are_known_if_they_are_in_every_data_set(fit, rows):
    lacking = rows[(rows["race"] != "asian") | (rows["x"] == 0)]
    other = cb.fit("y ~ race*x + (1|seed)", lacking, draws=200)
    found = [cb.effects(one, "race") for one in (fit, other)]
    assert "estimable" not in found[0]
    for both in (found, found[::-1]):
        pooled = cb.pool(one for one in both)
        assert pooled["estimable"].to_series().to_dict() == {"black": True, "asian": False}
        assert pooled.summary().set_index("race").loc["asian", "estimate"] is not None
        assert np.isnan(pooled.summary().set_index("race").loc["asian", "estimate"])


def test_pooled_comparisons_speak_of_all_draws(rows):
    low = cb.fit("y ~ race", rows, draws=100)
    turned = cb.fit("y ~ race", rows.assign(y=-rows["y"]), draws=100)
    found = [cb.compare(a, a, "race", names=("a", "b")) for a in (low, turned)]
    pooled = cb.pool(found)
    both = pooled["effect_a"].sel(race="black", unit="residual sd")
    assert bool(found[0]["bounded"].sel(race="black", unit="residual sd"))
    assert 0.4 < float((both > 0).mean()) < 0.6
    assert not pooled["bounded"].sel(race="black", unit="residual sd")  # of either sign
    of_draws = (abs(pooled["effect_b"]) > abs(pooled["effect_a"])).mean(["chain", "draw"])
    np.testing.assert_allclose(pooled["p_larger"], of_draws, atol=1e-12)
    assert pooled.attrs["figure"] == "comparison"
    ratio = cb.per_unit(both, both)
    with pytest.raises(DataError, match="pool both effects"):
        cb.pool([ratio, ratio])


@pytest.mark.parametrize("curve", ["bs(x, df=4)", "poly(x, 2)"])
def test_curves_do_not_go_on_where_no_row_is(rows, curve):
    fit = cb.fit(f"y ~ {curve}", rows, draws=50)
    inside = cb.predictions(fit, newdata=pd.DataFrame({"x": [0, 3]}))
    assert inside.sizes["x"] == 2
    beyond = pd.DataFrame({"x": [1, 3.1]})
    for ask in (
        lambda: cb.predictions(fit, newdata=beyond),
        lambda: cb.effects(fit, "x", change=1),
    ):
        with pytest.raises(DataError, match="nothing in the data says how the curve goes on"):
            ask()
    low = rows[rows["x"] < 3]
    assert np.isfinite(cb.effects(fit, "x", change=1, newdata=low)["effect"]).all()
