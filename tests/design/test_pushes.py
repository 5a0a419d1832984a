"""Crossed pushes and what is foretold of leak-corrected effects: worked by hand, and recovered."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import causalbias as cb
from causalbias.errors import DataError

NOISE = {"outcome_sd": 0.02, "score_sd": 12, "raters": 8}
NAMES = ["age", "smile", "weight"]
# Each pushes its own attribute by 12 points and 80% of that into the next.
CHAIN = pd.DataFrame(12 * (np.eye(3) + 0.8 * np.roll(np.eye(3), 1, axis=1)), NAMES, NAMES)
ALIKE = pd.DataFrame({"age": [10, 6], "smile": [0, 8]}, index=["age", "smile"])


def seeds(n):
    return {"seed": range(n)}


def test_a_design_of_no_leaks_is_a_fractional_factorial():
    plan = cb.design.crossed_pushes(seeds(1), list("abcd"), runs=4, levels=[-1, 1])
    pushed = plan[list("abcd")].to_numpy()
    # Eight runs of four factors in both signs: a half fraction, orthogonal.
    assert pushed.T @ pushed == pytest.approx(8 * np.eye(4))


def test_a_face_is_pushed_by_its_level_along_its_direction():
    plan = cb.design.crossed_pushes(
        {"seed": [3, 4], "race": ["a"]}, NAMES, runs=5, levels=[-1, 0, 0.5]
    )
    assert len(plan) == 2 * (5 * 2 + 1)
    assert plan["stimulus"].is_unique
    unchanged = plan[plan["attribute"].isna()]
    assert unchanged[["level", *NAMES]].eq(0).all().all()
    assert unchanged["seed"].tolist() == [3, 4]
    for (_, level), part in plan.dropna().groupby(["attribute", "level"]):
        assert len(part[NAMES].drop_duplicates()) == 1
        assert part[NAMES].abs().max().max() == abs(level)
    age_less_smile = plan.query("attribute == 'age-smile' and level == 0.5")
    if len(age_less_smile):
        assert age_less_smile[NAMES].iloc[0].tolist() == [0.5, -0.5, 0]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_chosen_directions_are_as_good_as_any_of_so_many(random_seed):
    """Of all pairs of directions of two pushes, six, none has less variance of both effects."""
    rng = np.random.default_rng(random_seed)
    leaks = pd.DataFrame(rng.normal(0, 5, (2, 2)) + 10 * np.eye(2), list("ab"), list("ab"))
    size = np.sqrt((leaks.to_numpy() ** 2).sum(axis=0))

    def variance(pushed):
        moved = pushed @ leaks.to_numpy() / size
        return np.trace(np.linalg.inv(moved.T @ moved))

    plan = cb.design.crossed_pushes(
        seeds(1), list("ab"), runs=2, levels=[0, 1], leaks=leaks, random_seed=random_seed
    )
    every = np.array([[1, 0], [0, 1], [1, 1], [1, -1]])
    least = min(variance(every[[i, j]]) for i in range(4) for j in range(i))
    chosen = plan.loc[plan["level"] == 1, ["a", "b"]].to_numpy()
    assert variance(chosen) == pytest.approx(least, rel=1e-5)


def test_separability_is_that_worked_by_hand():
    """L'L = [[136, 48], [48, 64]]: its inverse is [[64, -48], [-48, 136]] / 6400."""
    plan = cb.design.one_at_a_time(seeds(30), {"age": [0, 1], "smile": [0, 1]})
    found = cb.design.separability(plan, ALIKE, **NOISE, prob=0.9).set_index("question")
    assert found["vif"].tolist() == pytest.approx([136 * 64 / 6400] * 2)
    variance = 2 * 0.02**2 / 30 * np.array([64, 136]) / 6400  # of a difference of two faces
    width = 2 * stats.t.ppf(0.95, 29) * np.sqrt(variance)
    assert found["width"].to_numpy() == pytest.approx(width, rel=1e-2)  # less by the prior
    # What smile leaves of age: d = 48/64, and errors of both, of variance 1 + d^2.
    error = 2 * 12**2 / 8 / 30
    f = [(136 - 48**2 / 64) / (1 + (48 / 64) ** 2), (64 - 48**2 / 136) / (1 + (48 / 136) ** 2)]
    assert found["conditional_f"].to_numpy() == pytest.approx(np.array(f) / error)
    assert found["moved"].to_numpy() == pytest.approx(np.sqrt([68, 32]))
    # The noise of scores counts by the square of the effects.
    known = cb.design.separability(plan, ALIKE, **NOISE, prob=0.9, effects={"age": 0.01})
    more = np.sqrt(1 + 0.01**2 * (12**2 / 8) / 0.02**2)
    assert known["width"].to_numpy() / width == pytest.approx([more] * 2, rel=1e-2)


def test_doses_count_by_their_spread():
    """A slope times its range has variance sigma^2 range^2 / sum of squares about the mean."""
    widths = {}
    for levels in ([0, 1], [-1, 1], [-1, 0, 1], [-1, -0.5, 0.5, 1]):
        plan = cb.design.one_at_a_time(seeds(30), {"age": levels, "smile": levels})
        found = cb.design.separability(plan, ALIKE, **NOISE)
        widths[len(levels), min(levels)] = found["width"][0]
    inside = {(2, 0): 0.5, (2, -1): 2, (3, -1): 2, (4, -1): 2.5}
    for key, squares in inside.items():
        assert widths[key] == pytest.approx(widths[2, 0] * np.sqrt(0.5 / squares), rel=1e-2)


def test_attributes_that_always_move_together_are_not_told_apart():
    both = pd.DataFrame({"age": [10, 5], "smile": [20, 10]}, index=["age", "smile"])
    plan = cb.design.one_at_a_time(seeds(30), {"age": [0, 1], "smile": [0, 1]})
    found = cb.design.separability(plan, both, **NOISE)
    assert np.isinf(found["vif"]).all()
    assert (found["conditional_f"] < 1e-3).all()
    apart = cb.design.separability(plan, ALIKE, **NOISE)
    assert (found["width"] > 4 * apart["width"]).all()  # the prior's
    with pytest.raises(DataError, match="tell the 2 attributes"):
        cb.design.crossed_pushes(seeds(1), ["age", "smile"], runs=2, leaks=both)


def test_crossing_tells_more_by_the_same_number_of_faces():
    alone = cb.design.one_at_a_time(seeds(30), {name: [-1, 1] for name in NAMES})
    crossed = cb.design.crossed_pushes(seeds(30), NAMES, runs=3, levels=[-1, 1], leaks=CHAIN)
    assert len(alone) == len(crossed)
    one, other = (cb.design.separability(plan, CHAIN, **NOISE) for plan in (alone, crossed))
    assert (other["vif"] < one["vif"]).all()
    assert (other["width"] < 0.65 * one["width"]).all()


def tables(plan, leaks, effects, rng, raters=8, gain_sd=0.0):
    """Outcomes and scores of the faces of a plan, as NOISE has them."""
    moved = plan[list(leaks.index)].to_numpy() @ leaks.to_numpy()
    of_seed = plan["seed"].map(dict(enumerate(rng.normal(0, 0.1, plan["seed"].nunique()))))
    outcome = of_seed + moved @ effects + rng.normal(0, NOISE["outcome_sd"], len(plan))
    faces = plan[["seed", "attribute", "level"]]
    scores = [
        faces.assign(
            question=name,
            annotator=f"r{rater}",
            score=rng.normal(1, gain_sd) * moved[:, at]
            + rng.normal(0, NOISE["score_sd"], len(plan)),
        )
        for at, name in enumerate(leaks.columns)
        for rater in range(raters)
    ]
    return faces.assign(outcome=outcome), pd.concat(scores, ignore_index=True)


def test_the_analysis_of_a_crossed_plan_finds_what_was_foretold():
    effects = np.array([0.004, 0.0, -0.002])
    plan = cb.design.crossed_pushes(seeds(30), NAMES, runs=4, leaks=CHAIN)
    table = tables(plan, CHAIN, effects, np.random.default_rng(4), 24, gain_sd=0.25)
    found = cb.leak_corrected(*table, draws=400)
    noise = NOISE | {"raters": 24, "gain_sd": 0.25}
    given = dict(zip(NAMES, effects, strict=True))
    told = cb.design.separability(plan, CHAIN, **noise, effects=given)
    summary = found.summary().set_index("question").loc[NAMES]
    width = (summary["upper"] - summary["lower"]).to_numpy()
    assert width == pytest.approx(told["width"].to_numpy(), rel=0.4)
    assert (abs(summary["estimate"].to_numpy() - effects) < width).all()
    change = found["change"].sel(attribute="age-smile-weight").to_numpy()
    assert change == pytest.approx(
        2 * (CHAIN.loc["age"] - CHAIN.loc["smile"] - CHAIN.loc["weight"]), rel=0.35, abs=2
    )
    assert 0.01 < float(found["overidentification_p"]) < 1


def test_power_is_what_was_foretold_and_intervals_hold_the_truth():
    effects = {"age": 0.0015, "weight": -0.001}
    plan = cb.design.crossed_pushes(seeds(20), NAMES, runs=4, leaks=CHAIN)
    table = cb.design.power_corrected(
        plan, CHAIN, effects, sizes=[20], **NOISE, move_sd=3, simulations=60, draws=300, prob=0.9
    ).set_index("question")
    told = cb.design.separability(plan, CHAIN, **NOISE, move_sd=3, effects=effects, prob=0.9)
    assert table["width"].to_numpy() == pytest.approx(told["width"].to_numpy(), rel=0.1)
    assert table["coverage"].mean() > 0.84  # 180 intervals of 90%, three a study
    # By hand: an effect of d widths of its error is found with probability Phi(d - 1.73).
    error = told["width"].to_numpy() / 2 / stats.t.ppf(0.95, 19)
    truth = np.array([0.0015, 0.0, -0.001])
    power = stats.norm.cdf(np.abs(truth) / error - stats.t.ppf(0.95, 19))
    assert table["found"].to_numpy()[[0, 2]] == pytest.approx(power[[0, 2]], abs=0.2)
    assert table["found"].to_numpy()[1] < 0.25  # false claims
    assert (table["rows"] == 20 * 9).all()


def test_more_noise_fewer_seeds_and_weaker_pushes_widen():
    plan = cb.design.crossed_pushes(seeds(30), NAMES, runs=4, leaks=CHAIN)
    given = {"effects": {"age": 0.004}, **NOISE}
    plain = cb.design.separability(plan, CHAIN, **given)["width"]
    fewer = plan[plan["seed"] < 15]
    for wider in (
        cb.design.separability(fewer, CHAIN, **given),
        cb.design.separability(plan, CHAIN / 2, **given),
        cb.design.separability(plan, CHAIN, **{**given, "outcome_sd": 0.03}),
        cb.design.separability(plan, CHAIN, **{**given, "score_sd": 20}),
        cb.design.separability(plan, CHAIN, **{**given, "raters": 3}),
    ):
        assert (wider["width"] > plain).all()
    gains = cb.design.separability(plan, CHAIN, **given, gain_sd=0.3)["width"]
    assert gains[0] > 1.1 * plain[0]
    unit = cb.design.separability(
        plan, 10 * CHAIN, outcome_sd=0.02, score_sd=120, raters=8, effects={"age": 0.0004}
    )
    assert unit["width"].to_numpy() == pytest.approx(plain.to_numpy() / 10)


def test_what_no_plan_can_be_made_of_is_refused():
    plan = cb.design.crossed_pushes(seeds(5), NAMES, runs=4)
    two = cb.design.one_at_a_time({"seed": range(5), "race": ["a", "b"]}, {"age": [0, 1]})
    long = pd.DataFrame({"attribute": ["age"], "question": ["age"], "estimate": [1.0]})

    def asked(plan=plan, leaks=CHAIN, **changed):
        return lambda: cb.design.separability(plan, leaks, **{**NOISE, **changed})

    def crossed(**changed):
        return lambda: cb.design.crossed_pushes(
            **{"groups": seeds(2), "pushes": NAMES, "runs": 4, **changed}
        )

    for call, told in (
        (crossed(runs=2), "2 runs"),
        (crossed(runs=14), "14 runs"),
        (crossed(levels=[1]), "levels"),
        (crossed(levels=[0, 1, 1]), "levels"),
        (crossed(pushes=["seed", "age"], runs=2), "seed"),
        (crossed(pushes=["level", "age"], runs=2), "level"),
        (crossed(pushes=["a", "b", "a-b"], runs=13), "two directions"),
        (crossed(leaks=CHAIN.drop(index="age")), "0 rows of 'age'"),
        (crossed(pushes=[f"a{i}" for i in range(13)], runs=13), "13 manipulations"),
        (asked(plan=two, leaks=CHAIN.loc[["age"], ["age"]]), "two faces"),
        (asked(plan=plan.drop(index=3)), "different faces"),
        (
            asked(plan=plan[(plan["level"] == 1) | (plan["attribute"] == "age+smile+weight")]),
            "one level",
        ),
        (asked(plan=plan[plan["attribute"] == "age+smile+weight"]), "directions"),
        (asked(leaks=long), "pivot"),
        (asked(leaks=CHAIN * np.nan), "leaks of age into age"),
        (asked(effects={"agee": 1}), "'agee'"),
        (asked(outcome_sd=0), "outcome_sd"),
        (asked(score_sd=-1), "score_sd"),
        (asked(raters=1, gain_sd=0.2), "one rater"),
        (asked(raters=2.5), "raters"),
        (asked(plan=[1]), "no table"),
        (lambda: cb.design.power_corrected(plan, CHAIN, {}, sizes=[2], **NOISE), "sizes"),
        (lambda: cb.design.power_corrected(plan, CHAIN, {}, sizes=[], **NOISE), "sizes is empty"),
        (
            lambda: cb.design.power_corrected(
                plan, CHAIN, {}, sizes=[20], **NOISE, rope=(0.1, -0.1)
            ),
            "is empty",
        ),
    ):
        with pytest.raises(DataError, match=told):
            call()
