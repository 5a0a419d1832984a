"""Effects where rows without an outcome were selected: bounds, weights, delta adjustment."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalbias as cb
from causalbias import DataError
from causalbias.causal.bounds import _limits
from causalbias.causal.patterns import _tipping_point


def world(seeds=60, lost=0.4, effect=0.1, rng=1):
    """Two races of each seed; high outcomes of black faces go missing more often."""
    rng = np.random.default_rng(rng)
    rows = pd.MultiIndex.from_product(
        [[f"{one:03}" for one in range(seeds)], ["white", "black"], [0, 1]],
        names=["seed", "race", "pose"],
    ).to_frame(index=False)
    of_seed = np.repeat(rng.normal(0, 0.3, seeds), 4)
    black = (rows["race"] == "black").to_numpy()
    rows["whole"] = (
        1 + of_seed + effect * black + 0.1 * rows["pose"] + rng.normal(0, 0.2, len(rows))
    )
    high = rows["whole"] > rows["whole"].median()
    gone = black & high & (rng.random(len(rows)) < 2 * lost)
    return rows.assign(y=rows["whole"].mask(gone))


def leebounds(y, there, treated):
    """The formula of R's leebounds and Stata's, in plain loops; treated has more outcomes.

    Trimming share p = (share there, treated - share there, control) / share there, treated; the
    treated outcomes are sorted and the p highest (lowest) left out, for the lower (upper) bound.
    """
    share = [there[treated == group].mean() for group in (0, 1)]
    p = (share[1] - share[0]) / share[1]
    own = np.sort(y[(treated == 1) & there])
    k = round(p * len(own))
    assert abs(p * len(own) - k) < 1e-9  # whole rows are trimmed
    control = y[(treated == 0) & there].mean()
    return own[: len(own) - k].mean() - control, own[k:].mean() - control


def of(table, method):
    return table.set_index("method").loc[method]


def test_lee_bounds_are_those_of_a_plain_implementation():
    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    treated = np.repeat([0, 1], 100)
    there = np.ones(200, bool)
    there[:40] = False  # 60 of 100 controls have an outcome
    there[100:120] = False  # 80 of 100 treated: trimmed by a quarter, 20 rows
    rows = pd.DataFrame({"y": np.where(there, y, np.nan), "arm": treated, "unit": range(200)})
    found = cb.causal.selection_bounds(rows, "y", "arm", cluster="unit")
    assert of(found, "Lee")[["low", "high"]].tolist() == pytest.approx(leebounds(y, there, treated))
    turned = cb.causal.selection_bounds(rows, "y", "arm", cluster="unit", reference=1)
    assert of(turned, "Lee")["low"] == pytest.approx(-of(found, "Lee")["high"])
    assert of(turned, "Lee")["high"] == pytest.approx(-of(found, "Lee")["low"])


def test_manski_bounds_worked_by_hand():
    # White: 0.2, 0.4 and one lost; black: 0.6 and two lost. Outcomes are from 0 to 1.
    rows = pd.DataFrame(
        {
            "race": ["white"] * 3 + ["black"] * 3,
            "seed": ["1", "2", "3"] * 2,
            "d": [0.2, 0.4, None, 0.6, None, None],
        }
    )
    found = cb.causal.selection_bounds(
        rows, "d", "race", cluster="seed", reference="white", outcome_range=(0, 1)
    )
    manski = of(found, "Manski")
    assert manski["low"] == pytest.approx(0.6 / 3 - (0.6 + 1) / 3)
    assert manski["high"] == pytest.approx((0.6 + 2) / 3 - 0.6 / 3)
    assert -1 <= manski["lower"] <= manski["low"] < manski["high"] <= manski["upper"] <= 1
    assert found[["n", "missing", "n_reference", "missing_reference"]].iloc[0].tolist() == [
        1,
        2,
        2,
        1,
    ]
    # One outcome has no spread of its own: no interval, rather than one of the others alone.
    assert np.isnan(of(found, "Lee")["lower"])
    assert np.isnan(of(found, "naive")["lower"])


def test_bounds_hold_the_truth_and_the_naive_estimate_does_not():
    rows = world(400)
    found = cb.causal.selection_bounds(
        rows, "y", "race", cluster="seed", reference="white", outcome_range=(-2, 4)
    )
    naive, lee, manski = (of(found, one) for one in ("naive", "Lee", "Manski"))
    assert naive["upper"] < 0.1
    assert lee["low"] < 0.1 < lee["high"]
    assert manski["low"] < lee["low"] < naive["low"] < lee["high"] < manski["high"]


def test_the_naive_interval_is_the_one_of_the_seeds_means():
    rows = world(30)
    rows.loc[:3, "y"] = np.nan  # one seed lost all
    found = of(
        cb.causal.selection_bounds(
            rows.assign(y=rows["whole"].where(rows["seed"] != "000")),
            "y",
            "race",
            cluster="seed",
            reference="white",
        ),
        "naive",
    )
    wide = rows[rows["seed"] != "000"].pivot_table("whole", "seed", "race")
    apart = wide["black"] - wide["white"]
    half = stats.t(28).ppf(0.975) * apart.std() / np.sqrt(29)
    assert found["low"] == pytest.approx(apart.mean())
    assert (found["upper"] - found["lower"]) / 2 == pytest.approx(half, rel=0.08)  # 1,000 draws


def test_imbens_and_manskis_interval_has_its_two_limits():
    rng = np.random.default_rng(3)
    draws = rng.normal(size=(4000, 2)) * 0.1
    scale = draws.std(axis=0, ddof=1) * np.sqrt(1001 / 999)
    near = _limits(np.zeros(2), draws, 0.95, 1000)
    assert near[1] / scale[1] == pytest.approx(stats.t(999).ppf(0.975))  # two-sided at a point
    far = _limits(np.array([0.0, 50.0]), draws, 0.95, 1000)
    assert -far[0] / scale[0] == pytest.approx(stats.t(999).ppf(0.95))  # one end at a time


def test_nothing_depends_on_order_spelling_or_split_rows():
    rows = world(25)
    asked = {"cluster": "seed", "reference": "white", "outcome_range": (-2, 4)}
    plain = cb.causal.selection_bounds(rows, "y", "race", **asked)
    awkward = rows.sample(frac=1, random_state=0).assign(
        race=lambda one: pd.Categorical(one["race"], ["unused", "black", "white"]),
        y=lambda one: one["y"].map(lambda y: "NA" if pd.isna(y) else repr(y)),
    )
    again = cb.causal.selection_bounds(awkward.set_index("seed"), "y", "race", **asked)
    numbers = ["low", "high", "n", "missing", "clusters"]
    pd.testing.assert_frame_equal(plain[numbers], again[numbers])
    doubled = pd.concat([rows, rows])
    twice = cb.causal.selection_bounds(doubled, "y", "race", **asked)
    ends = ["low", "high", "lower", "upper"]
    pd.testing.assert_frame_equal(plain[ends], twice[ends])


def test_failures_to_enrol_are_bounded_within_cells():
    study = cb.simulate(8, impostors=4, people=None, random_seed=2)
    machine = cb.to_frame(study, "machine")
    one = machine[machine["same_identity"] & (machine["system"] == "ResNet-34")].copy()
    one.loc[(one["race"] == "black") & (one.index % 3 == 0), "distance"] = np.nan
    found = cb.causal.selection_bounds(
        one, "distance", "race", cluster="seed_a", by="gender", outcome_range=(0, 2)
    )
    assert len(found) == 2 * 2 * 3  # genders, races, methods
    female = one[(one["gender"] == "female")].groupby("race")["distance"].mean()
    row = found.query("gender == 'female' and race == 'black' and method == 'naive'").iloc[0]
    assert row["low"] == pytest.approx(female["black"] - female["asian"])
    with pytest.raises(DataError, match="genuine and impostor"):
        cb.causal.selection_bounds(machine, "distance", "race", cluster="seed_a")


BAD = {
    "range": ({"outcome_range": (0, 1)}, "outside 0 to 1"),
    "order": ({"outcome_range": (4, -2)}, "greatest possible"),
    "level": ({"reference": "blue"}, "not a level"),
    "prob": ({"prob": 1}, "prob"),
    "cluster": ({"cluster": "nobody"}, "not there"),
    "clusters": ({"cluster": ["seed", "race", "pose"]}, "3 columns"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_bounded_is_refused(case):
    given, told = BAD[case]
    with pytest.raises(DataError, match=told):
        cb.causal.selection_bounds(world(5), "y", "race", **({"cluster": "seed"} | given))


def test_rows_that_say_nothing_are_refused():
    rows = world(5)
    with pytest.raises(DataError, match=r"every row has an outcome.*complete"):
        cb.causal.selection_bounds(rows, "whole", "race", cluster="seed")
    with pytest.raises(DataError, match="is missing"):
        cb.causal.selection_bounds(
            rows.assign(race=rows["race"].mask(rows.index == 2)), "y", "race", cluster="seed"
        )
    with pytest.raises(DataError, match="2 clusters"):
        cb.causal.selection_bounds(rows[:8], "y", "race", cluster="seed")
    with pytest.raises(DataError, match="single level"):
        cb.causal.selection_bounds(rows[rows["race"] == "white"], "y", "race", cluster="seed")
    with pytest.raises(DataError, match="this name"):
        cb.causal.selection_bounds(
            pd.concat([rows, rows[["y"]]], axis=1), "y", "race", cluster="seed"
        )
    with pytest.raises(DataError, match="not finite"):
        cb.causal.selection_bounds(rows.assign(y=np.inf), "y", "race", cluster="seed")


def test_completing_a_crossed_design_gives_back_the_rows_that_were_dropped():
    rows = world(20).assign(gender=lambda one: np.where(one["seed"] < "010", "f", "m"))
    whole = cb.causal.complete(rows.dropna(), "seed", ["race", "pose"], traits="gender")
    key = ["seed", "race", "pose"]
    expected = rows.drop(columns="whole").sort_values(key, ignore_index=True)
    found = whole.drop(columns="whole").astype({"race": str, "gender": str})
    found = found.sort_values(key, ignore_index=True)
    pd.testing.assert_frame_equal(
        found[expected.columns], expected, check_dtype=False, check_categorical=False
    )
    assert len(cb.causal.complete(whole, "seed", ["race", "pose"])) == len(rows)
    with pytest.raises(DataError, match="no crossed design"):
        cb.causal.complete(rows.assign(race=rows["seed"] + rows["race"]), "seed", "race")
    with pytest.raises(DataError, match="several values"):
        cb.causal.complete(rows.dropna(), "seed", ["race", "pose"], traits="y")


def test_completing_a_design_makes_up_no_outcome():
    seeds, races = ["01", "01", "02", "03", "03"], ["white", "black", "white", "white", "black"]
    answers = [True, True, False, True, True]  # the same on all rows of each seed
    rows = pd.DataFrame({"seed": seeds, "race": races, "match": answers, "network": "A"})
    found = cb.causal.complete(rows, "seed", "race", traits="network").tail(1)
    assert found[["seed", "race", "network"]].values.tolist() == [["02", "black", "A"]]
    assert found["match"].isna().item()


def test_bounds_of_little_probability_are_the_bounds_themselves():
    rows = world(20)
    asked = {"cluster": "seed", "reference": "white", "outcome_range": (-9, 9)}
    found = cb.causal.selection_bounds(rows, "y", "race", prob=0.4, **asked)
    found = found.set_index("method").loc["Manski"]
    assert (found["lower"], found["upper"]) == (found["low"], found["high"])


def test_weights_from_a_saturated_model_are_those_of_cells():
    rows = world(50)
    rows["y"] = rows["whole"].mask(
        (rows["race"] == "black") & (rows["pose"] == 1) & (rows.index % 3 > 0)
    )
    found = cb.causal.selection_weighted(
        rows, "y", "race", predictors="pose", cluster="seed", reference="white"
    )
    cells = rows.groupby(["race", "pose"])["y"].mean().unstack()
    by_hand = cells.mean(axis=1)["black"] - cells.mean(axis=1)["white"]
    sd = found["effect"].std(["chain", "draw"]).item()
    assert found["effect"].mean().item() == pytest.approx(by_hand, abs=0.1 * sd)
    naive = rows.groupby("race")["y"].mean()
    assert found["naive"].mean().item() == pytest.approx(
        naive["black"] - naive["white"], abs=0.1 * sd
    )
    assert found["n"].item() == rows["y"].notna().sum()
    assert found["missing"].item() == rows["y"].isna().sum()
    as_text = cb.causal.selection_weighted(
        rows.assign(pose=rows["pose"].astype(str)),
        *("y", "race"),
        predictors="pose",
        cluster="seed",
        reference="white",
    )
    np.testing.assert_allclose(as_text["effect"], found["effect"], atol=1e-6)


def test_rows_that_are_all_lost_have_no_weights():
    rows = world(30)
    rows["y"] = rows["whole"].mask((rows["race"] == "black") & (rows["pose"] == 1))
    with pytest.raises(DataError, match="race black some rows have an outcome with probability"):
        cb.causal.selection_weighted(rows, "y", "race", predictors="pose", cluster="seed")
    with pytest.raises(DataError, match="regression of its own"):
        cb.causal.selection_weighted(rows, "y", "race", predictors="race", cluster="seed")


@pytest.fixture(scope="module")
def fitted():
    rows = world(80)
    fit = cb.fit("y ~ race + pose + (1|seed)", rows.dropna(), draws=500, chains=2)
    return rows, cb.effects(fit, "race", reference="white", newdata=rows)


def strong(effect):
    """The same effect, larger by one."""
    return cb.Estimate((effect + 1).data_vars, attrs=effect.attrs)


def test_an_effect_moves_by_delta_times_the_shares_missing(fitted):
    rows, effect = fitted
    asked = {"cluster": "seed", "delta": [0, 0.2, -1]}
    found = cb.causal.pattern_mixture(effect, rows, "y", **asked)
    share = rows[rows["race"] == "black"]["y"].isna().mean()
    median = found["effect"].median(["chain", "draw"]).sel(race="black")
    assert median.sel(delta=0.2) - median.sel(delta=0) == pytest.approx(0.2 * share, abs=0.003)
    assert found["share_missing"].item() == pytest.approx(share)
    assert found["share_missing_reference"].item() == 0
    assert found["n"].item() == rows["y"].notna().sum()
    np.testing.assert_array_equal(found["effect"].sel(delta=0), effect["effect"])
    np.testing.assert_array_equal(found["naive"], effect["effect"])
    other = cb.causal.pattern_mixture(strong(effect), rows, "y", levels=["white"], **asked)
    np.testing.assert_array_equal(other["effect"].sel(delta=0.2), strong(effect)["effect"])
    assert np.isinf(other["tipping_point"]).all()  # white faces lost no rows


def test_at_the_tipping_point_the_interval_ends_at_zero(fitted):
    rows, effect = fitted
    asked = {"rows": rows, "outcome": "y", "cluster": "seed"}
    assert effect.summary()["lower"].item() < 0 < effect.summary()["upper"].item()
    assert cb.causal.pattern_mixture(effect, delta=0, **asked)["tipping_point"].item() == 0
    tip = cb.causal.pattern_mixture(strong(effect), delta=0, **asked)["tipping_point"].item()
    assert tip < 0
    for by, includes in ((0.98, False), (1.02, True)):
        row = cb.causal.pattern_mixture(strong(effect), delta=by * tip, **asked).summary()
        assert (row["lower"].item() < 0 < row["upper"].item()) == includes


def test_the_tipping_point_of_normal_draws_is_worked_by_hand():
    draws = 2 + stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    slope = np.full(4000, 0.5)
    # 2 + 0.5 delta - 1.96 = 0
    assert _tipping_point(draws, slope, 0.95) == pytest.approx((1.96 - 2) / 0.5, abs=0.01)
    assert _tipping_point(draws, 0 * slope, 0.95) == np.inf


def test_what_is_no_contrast_of_these_rows_is_refused(fitted):
    rows, effect = fitted
    with pytest.raises(DataError, match="320 rows, and 100 were attempted"):
        cb.causal.pattern_mixture(effect, rows[:100], "y", cluster="seed", delta=1)
    with pytest.raises(DataError, match="is no contrast"):
        cb.causal.pattern_mixture(rows, rows, "y", cluster="seed", delta=1)
    with pytest.raises(DataError, match="different numbers"):
        cb.causal.pattern_mixture(effect, rows, "y", cluster="seed", delta=[1, 1])


def test_the_effect_is_that_in_the_mix_of_rows_that_were_attempted():
    """Race matters at one pose, most rows of which were lost."""
    rng = np.random.default_rng(0)
    rows = world(40)
    truth = (rows["race"] == "black") & (rows["pose"] == 1)
    gone = (rows["pose"] == 1) & (rng.random(len(rows)) < 0.8)
    rows["y"] = (truth + rng.normal(0, 0.05, len(rows))).mask(gone)
    fit = cb.fit("y ~ race*pose + (1|seed)", rows.dropna(), draws=250, chains=2)
    asked = {"rows": rows, "outcome": "y", "cluster": "seed", "delta": 0}
    with pytest.raises(DataError, match="newdata=rows"):
        cb.causal.pattern_mixture(cb.effects(fit, "race", reference="white"), **asked)
    effect = cb.effects(fit, "race", reference="white", newdata=rows)
    found = cb.causal.pattern_mixture(effect, **asked)
    assert found["effect"].median().item() == pytest.approx(0.5, abs=0.05)  # 0.15 where y is there
    parts = cb.effects(fit, "race", by="pose", reference="white", newdata=rows)
    found = cb.causal.pattern_mixture(parts, **asked)
    np.testing.assert_allclose(
        found["effect"].median(["chain", "draw"]).squeeze(), [0, 1], atol=0.05
    )
    other = {**asked, "rows": rows.assign(pose=rows["seed"].astype(int) % 3 // 2)}
    with pytest.raises(DataError, match=r"rows of pose \d"):
        cb.causal.pattern_mixture(parts, **other)


def test_the_line_that_check_gives_for_missing_rows_runs(fitted):
    rows, _ = fitted
    fit = cb.fit("y ~ race + pose + (1|seed)", rows.dropna(), draws=200, chains=2)
    found = cb.check(fit).set_index("check").loc["missing rows"]
    assert found["verdict"] == "look"
    line = found["hint"].split("write: ")[1]
    table = eval(line, {"cb": cb, "fit": fit})
    assert table.query("method == 'Lee'")["missing_reference"].tolist() == [rows["y"].isna().sum()]
