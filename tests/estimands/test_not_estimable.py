"""What no row tells of stays unknown in every verb: missing, marked or refused, and no certainty.

By a pair of cells without rows the effect of race c is not estimable; the others are.
"""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import causalbias as cb
from causalbias import DataError
from causalbias.draws.summaries import probability


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"race": rng.choice(list("abc"), 600), "sex": rng.choice(list("fm"), 600)})
    frame = frame[~((frame["race"] == "c") & (frame["sex"] == "m"))].reset_index(drop=True)
    frame["seed"] = [f"s{at % 20:02d}" for at in range(len(frame))]
    effect = frame["race"].map({"a": 0.0, "b": 1.0, "c": 2.0})
    frame["z"] = effect + rng.normal(0, 1, len(frame))
    return frame


@pytest.fixture(scope="module")
def fit(rows):
    return cb.fit("z ~ race*sex", rows, draws=200)


@pytest.fixture(scope="module")
def effect(fit):
    return cb.effects(fit, "race")


NUMBERS = ["estimate", "sd", "lower", "upper", "p_positive"]


def only_c_is_unknown(table, label="race"):
    rows = table.set_index(label)
    assert not rows.loc["c", "estimable"]
    assert rows.loc["c", [name for name in NUMBERS if name in rows]].isna().all()
    assert rows.loc["b", "estimable"]
    assert np.isfinite(rows.loc["b", "estimate"])


def test_an_effect_that_is_not_estimable_is_not_equivalent_to_anything(effect):
    found = cb.equivalence(effect, (-0.1, 0.1))
    for name in ("p_below", "p_rope", "p_above"):
        assert np.isnan(float(found[name].sel(race="c")))
        assert 0 <= float(found[name].sel(race="b")) <= 1
    assert str(found["verdict"].sel(race="c").item()) == "not estimable"
    only_c_is_unknown(cb.summarise(found))


def test_levels_that_are_not_estimable_have_no_rank(effect):
    with pytest.raises(DataError, match="race c cannot be ranked"):
        cb.rank_probabilities(effect["effect"], "race")
    found = cb.rank_probabilities(effect["effect"].sel(race=["b"]), "race")
    assert float(found.sum()) == 1


def test_hypotheses_of_what_is_not_estimable_stay_in_the_table_marked(effect):
    found = cb.hypotheses(
        effect, {"known": "2 * effect['b']", "unknown": "effect['c'] - effect['b']"}
    )
    table = cb.summarise(found).set_index("hypothesis")
    assert table["estimable"].tolist() == [True, False]
    assert table.loc["unknown", NUMBERS].isna().all()
    assert table.loc["known", "estimate"] == pytest.approx(2, abs=0.5)


def test_a_hypothesis_that_some_draws_have_no_value_for_is_refused(effect):
    with pytest.raises(DataError, match=r"has no value in [\d,]+ of"):
        cb.hypotheses(effect, {"root": "log(effect['b'] - 1)"})


@pytest.mark.parametrize("swapped", [False, True])
def test_comparisons_keep_levels_that_are_not_estimable_in_one_fit(rows, fit, swapped):
    whole = cb.fit("z ~ race + sex", rows, draws=200)
    pair = (whole, fit) if swapped else (fit, whole)
    found = cb.compare(*pair, "race")
    assert found["p_larger"].sel(race="c").isnull().all()
    for name in ("difference", "excess", "ratio"):
        for _, table in cb.summarise(found, of=name).groupby("unit"):
            only_c_is_unknown(table.drop(columns="sd") if name == "ratio" else table)
    known = cb.summarise(found, of="effect_a" if swapped else "effect_b")
    assert known["estimable"].all()
    assert known["estimate"].notna().all()


def test_interactions_keep_groups_that_are_not_estimable(rows):
    frame = rows.assign(sex=rows["sex"].where(rows.index % 7 > 0, "x"))
    found = cb.interaction(cb.fit("z ~ race*sex", frame, draws=200), "race", "sex")
    table = cb.summarise(found).set_index(["race", "sex"])
    assert table["estimable"].to_dict() == {
        ("b", "m"): True,
        ("b", "x"): True,
        ("c", "m"): False,
        ("c", "x"): True,
    }


def test_shares_of_groups_count_those_alone_whose_effect_is_estimable(rows):
    # Group terms have priors of their own: what leaves groups out is the population's interaction.
    frame = rows.assign(sex=np.where(rows["seed"] < "s10", "f", "m"))
    frame = frame[~((frame["race"] == "c") & (frame["sex"] == "m"))]
    fit = cb.fit("z ~ race*sex + (race|seed)", frame, draws=200)
    found = cb.heterogeneity(fit, "race", over="seed")
    alone = cb.effects(fit, "race", by="seed", population="these")["effect"]
    known = alone.sel(race="c").dropna("seed", how="any")
    assert found["groups"].to_series().to_dict() == {"b": 20, "c": known.sizes["seed"]}
    assert found["groups_left_out"].to_series().to_dict() == {"b": 0, "c": 10}
    flipped = (np.sign(known) == -np.sign(known.mean("seed"))).mean("seed")
    np.testing.assert_allclose(found["share_flipped"].sel(race="c"), flipped)
    assert (found["sd"].sel(race="c") > 0).all()


def test_a_level_without_any_estimable_group_has_no_share_of_flipped_ones(rows):
    fit = cb.fit("z ~ race*sex + (race|seed)", rows, draws=200)
    found = cb.heterogeneity(fit, "race", over="seed")
    assert found["estimable"].to_series().to_dict() == {"b": True, "c": False}
    assert found["share_flipped"].sel(race="c").isnull().all()
    assert int(found["groups"].sel(race="c")) == 0
    for name in ("share_flipped", "sd", "mean"):
        only_c_is_unknown(cb.summarise(found, of=name))


def test_ratios_to_a_change_that_is_not_estimable_are_missing_not_unbounded(effect):
    found = cb.per_unit(effect["effect"], effect["effect"])
    assert np.isnan(float(found["p_sign"].sel(race="c")))
    found["estimable"] = effect["estimable"]
    only_c_is_unknown(cb.summarise(found).drop(columns="sd"))


def test_sensitivity_keeps_what_is_not_estimable_and_the_rest_in_their_rows(rows, effect):
    fit = cb.fit("z ~ race*sex + (1|seed)", rows, draws=200)
    found = cb.sensitivity(fit, lambda one: cb.effects(one, "race"), refit="never")
    only_c_is_unknown(found)
    cells = found.set_index("race")
    assert cells["tried"].to_dict() == {"b": 20, "c": 0}
    assert cells.loc["c", ["least", "greatest", "shift", "overturned", "prior"]].isna().all()
    assert cells.loc["b", ["least", "greatest", "shift", "overturned", "prior"]].notna().all()


def test_no_experiment_is_planned_for_an_effect_that_the_pilot_does_not_tell(rows):
    pilot = cb.fit("z ~ race*sex + (1|seed)", rows, draws=200)
    with pytest.raises(DataError, match="tells of no effect of race c"):
        cb.design.power(pilot, "race", over="seed", sizes=[10], simulations=1)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.data())
def test_a_probability_of_missing_draws_is_missing_and_else_their_share(seed, many, data):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(2, 10, many))
    lost = data.draw(st.sets(st.integers(0, many - 1)))
    values[0, :, list(lost)] = np.nan
    draws = xr.DataArray(values, dims=("chain", "draw", "level"))
    found = probability(draws > 0.3, draws)
    for at in range(many):
        if at in lost:
            assert np.isnan(found[at])
        else:
            assert found[at] == np.mean(values[..., at] > 0.3)


def test_doses_of_cells_that_are_not_estimable_are_marked_and_the_rest_given(rows):
    rng = np.random.default_rng(1)
    x = rng.integers(0, 4, len(rows)).astype(float)
    frame = rows.assign(x=np.where(rows["race"] == "c", 1.0, x))  # of c one dose was tried
    frame["y"] = frame["z"] + 0.5 * frame["x"]
    fit = cb.fit("y ~ race*x", frame, draws=200)
    for monotone in (None, "increasing"):
        found = cb.dose(fit, "x", by="race", monotone=monotone)
        only_c_is_unknown(cb.summarise(found, of="average_slope"))
        for _, part in cb.summarise(found, of="slope").groupby("x"):
            only_c_is_unknown(part)
        if monotone:
            assert found["p_monotone"].isnull().to_series().to_dict() == {
                "a": False,
                "b": False,
                "c": True,
            }
    with pytest.raises(DataError, match="not estimable"):
        cb.dose(cb.fit("y ~ x + w", frame.assign(w=2 * frame["x"] + 1), draws=100), "x")


def texts_of(figure):
    return [one.get_text() for panel in figure.axes for one in panel.texts]


def test_figures_name_what_is_not_estimable(rows, fit, effect):
    figure = cb.plots.forest(effect)
    assert texts_of(figure) == ["not estimable"]
    labels = [one.get_text() for one in figure.axes[0].get_yticklabels()]
    assert labels == ["c − a", "b − a"]
    compared = cb.compare(fit, cb.fit("z ~ race + sex", rows, draws=200), "race")
    assert "not estimable" in texts_of(cb.plots.comparison(compared))
    by_sex = cb.effects(fit, "race", by="sex")
    assert texts_of(cb.plots.forest(by_sex, rows="race")) == ["not estimable"]
