"""Untidy tables in joint models, metrics, plans and analyses of a table."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalbias as cb
from causalbias import DataError
from causalbias.analyses.signal_detection.analysis import _counts
from causalbias.analyses.social.table import similarities_in
from causalbias.causal.metric import _in_one_order
from causalbias.design.services import judgements_of
from causalbias.recognition.crops import image_files
from tests.integration.test_untidy_data import FEW, groups

# pytensor raises Python's recursion limit when it compiles its first function.
pytestmark = pytest.mark.filterwarnings("ignore:The recursion limit")

# Ways in which a column may hold the same whole numbers.
WRITTEN = {
    "int": lambda one: one,
    "float": lambda one: one.astype(float),
    "Int64": lambda one: one.astype("Int64"),
    "text": lambda one: one.astype(str),
    "object": lambda one: one.astype(str).astype(object),
    "arrow": lambda one: one.astype(str).astype("string[pyarrow]"),
    "categorical": lambda one: pd.Series(pd.Categorical(one, range(30)), one.index),
    "spaces": lambda one: one.astype(str) + " ",
}
AS = st.sampled_from(sorted(WRITTEN))


@FEW
@given(groups(12), st.integers(-40, 40), st.integers(0, 20), st.integers(0, 99))
def test_next_items_know_no_zero_unit_or_order(grouped, power, zero, seed):
    rng = np.random.default_rng(3)
    items = pd.DataFrame({"item": range(12), "group": grouped.column, "year": np.arange(12) % 5.0})
    done = pd.DataFrame({"item": np.tile(np.arange(12), 3), "score": rng.integers(0, 5, 36)})
    target = {f"group[{grouped.order[1]}]": 1.0}

    def ask(items, done, scale):
        return cb.design.next_items(items, done, "group + year", target, scale=scale, count=1)[1]

    plain = ask(items, done, (0, 4))
    unit, base = 2.0**power, 2.0**zero
    moved = done.assign(score=(done["score"] + base) * unit).sample(frac=1, random_state=seed)
    years = items.assign(year=(items["year"] + 2000) * unit)
    found = ask(years, moved, (base * unit, (4 + base) * unit))
    for name, value in plain.items():
        assert found[name] / unit == pytest.approx(value, rel=1e-6, abs=1e-6)


def test_next_items_leave_items_with_enough_answers():
    items = pd.DataFrame({"item": list("abcd"), "x": [0, 0, 1, 1]})
    done = pd.DataFrame({"item": list("aaaaabbcd"), "score": [1, 2, 3, 4, 2, 2, 3, 0, 1]})
    asked = {"formula": "x", "target": {"x": 1.0}, "scale": (0, 4)}
    plan, _ = cb.design.next_items(items, done, **asked, count=5, limit=3)
    assert plan.set_index("item")["judgements"].to_dict() == {"b": 1, "c": 2, "d": 2}
    with pytest.raises(DataError, match="the limit allows 5 judgements"):
        cb.design.next_items(items, done, **asked, count=6, limit=3)


def judged_pairs():
    """Pairs of twelve seeds as `joint_rows` gives them."""
    rng = np.random.default_rng(0)
    a, b = (one[:48] for one in np.triu_indices(12, 1))
    rows = pd.DataFrame({"seed_a": a, "seed_b": b, "race": np.tile(["x", "y"], 24)})
    return rows.assign(
        score=rng.normal(2, 1, 48),
        answers=rng.integers(1, 4, 48),
        within=rng.random(48),
        distance=rng.random(48) + 0.5,
    )


def seeds_of(rows, first, second):
    return rows.assign(
        seed_a=WRITTEN[first](rows["seed_a"]), seed_b=WRITTEN[second](rows["seed_b"])
    )


def joint(rows, **more):
    more = {"groups": {"seed": ["seed_a", "seed_b"]}, "draws": 20, "tune": 10, "chains": 1} | more
    return cb.joint(rows, "race", **more)


@settings(FEW, max_examples=5)
@given(AS, AS)
def test_a_joint_model_knows_who_is_who(first, second):
    found, plain = joint(seeds_of(judged_pairs(), first, second)), joint(judged_pairs())
    for name in ("coefficient", "sd"):
        np.testing.assert_allclose(found.posterior[name], plain.posterior[name], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("distance", np.inf, "row 4: is infinite"),
        ("distance", "0,5", "row 4: '0,5' is not a number"),
        ("score", -np.inf, "row 4: is infinite"),
        ("answers", 1.5, "row 4: 1.5 is none of answers"),
        ("answers", 0, "row 4: 0 is none of answers"),
        ("within", -1, "row 4: -1 is none of answers"),
        ("within", np.nan, "row 4: is missing"),
        ("race", "X", "'X' and 'x'"),
    ],
)
def test_a_joint_model_refuses_what_is_no_number_of_answers(name, value, told):
    rows = judged_pairs().astype({name: object})
    rows.loc[3, name] = value
    with pytest.raises(DataError, match=told):
        joint(rows)


@pytest.mark.parametrize("missing", [None, np.nan, "", " ", "NA"])
def test_a_joint_model_counts_pairs_without_a_column(missing):
    rows = judged_pairs().astype({"race": object})
    rows.loc[3, "race"] = missing
    found = joint(rows)
    assert found.left_out.values.tolist() == [["a column is missing", 1]]
    assert len(found.rows) == 47


@pytest.mark.parametrize(
    ("rows", "more", "told"),
    [
        (judged_pairs(), {"groups": ["seed_a"]}, "groups is"),
        (judged_pairs(), {"groups": {"pair": "seed_a"}}, "groups has the name 'pair'"),
        ("rows.csv", {}, "a table is needed"),
        (pd.concat([judged_pairs()] * 2, axis=1), {}, "two columns have this name"),
    ],
)
def test_a_joint_model_says_what_it_takes(rows, more, told):
    with pytest.raises(DataError, match=told):
        joint(rows, **more)


@settings(FEW, max_examples=4)
@given(AS, AS)
def test_seeds_are_left_out_on_both_sides_of_pairs(first, second):
    rows = seeds_of(judged_pairs(), first, second)
    fit = cb.fit("distance ~ race + (1|mm(seed_a, seed_b))", rows, draws=100)
    found = cb.model_checks.influence(
        fit, lambda one: cb.effects(one, "race"), over=["seed_a", "seed_b"], refit="never"
    )
    assert found.sizes["left_out"] == 12
    both = judged_pairs()[["seed_a", "seed_b"]].stack().value_counts()
    for level, count in zip(found["left_out"].values, found["rows"].values, strict=True):
        assert count == both[int(level)]


def test_a_pair_of_faces_is_one_in_either_order():
    """Answers to a beside b, and to b beside a, are repeats of one pair."""
    rows = pd.DataFrame(
        {"stimulus_a": list("abacb"), "stimulus_b": list("bacba"), "m": list("xyzuy")}
    )
    found = _in_one_order(rows, ["m"])
    pairs = found[["stimulus_a", "stimulus_b"]].agg("".join, axis=1)
    assert pairs.tolist() == ["ab", "ab", "ac", "cb", "ab"]
    with pytest.raises(DataError, match=r"column 'm', row 5: 'x' is not what an earlier row"):
        _in_one_order(rows.assign(m=list("xyzux")), ["m"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda d, s: (d, s.assign(stimulus=s["stimulus"] + ".png")),
            "the ending of a file's name",
        ),
        (lambda d, s: (d, s.assign(question=s["question"].mask(s.index == 0, "AGE"))), "look like"),
        (lambda d, s: (d, s.assign(score=s["score"].mask(s.index == 0, 999))), "999 is far"),
        (
            lambda d, s: (d.assign(judge=d["judge"].mask(d.index == 0, "People")), s),
            "look like one",
        ),
    ],
)
def test_a_metric_refuses_what_looks_alike(change, told):
    distances, scores, _ = cb.simulation.simulate_metric(seeds=5, random_seed=3)
    with pytest.raises(DataError, match=told):
        cb.causal.perceived_metric(*change(distances, scores), by="judge")


def test_groups_of_tables_are_in_the_order_of_their_levels():
    table = cb.simulation.simulate_social_perception(seeds=4, prompts=1)
    codes = {"asian": "10", "black": "9", "white": "2"}
    columns = {"image": "image", "prompt": "prompt", "seed": "seed"}
    read = similarities_in(
        table.assign(race=table["race"].map(codes)), columns, "similarity", ["race"], []
    )
    assert read.frame["race"].cat.categories.tolist() == ["2", "9", "10"]
    trials = pd.DataFrame({"subject": list("abab"), "face": list("cdde"), "said": [1, 0, 1, 0]})
    trials = trials.assign(signal=[0.5, -0.5, -0.5, 0.5], face_group=["10", "9", "9", "10"])
    assert _counts(trials, ["face_group"])["face_group"].tolist() == ["9", "10"]


def test_an_image_with_two_values_names_its_row():
    table = cb.simulation.simulate_social_perception(seeds=3, prompts=1).reset_index(drop=True)
    columns = {"image": "image", "prompt": "prompt", "seed": "seed"}
    for changed, told in (
        (table.assign(race=table["race"].mask(table.index == 60, "white")), "row 61.*several"),
        (pd.concat([table, table.iloc[[4]]]), f"row {len(table) + 1}: .* is there twice"),
    ):
        with pytest.raises(DataError, match=told):
            similarities_in(changed, columns, "similarity", ["race"], [])


def test_ratings_of_faces_are_numbers_however_they_are_held():
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(60, 3))
    seen = pd.DataFrame({"age": np.round(3 + latent[:, 0]), "smile": np.round(3 + latent[:, 1])})
    seen.loc[[3, 7], "age"] = np.nan
    plain = cb.stimuli.fit_directions(latent, seen, draws=10)
    for held in ("Int64", "Float64", "string", object):
        kept = seen.astype("Int64").astype(held).set_axis([0] * 60)
        found = cb.stimuli.fit_directions(latent, kept, draws=10)
        np.testing.assert_allclose(found["weight"], plain["weight"])
        assert found["n"].values.tolist() == [58, 60]
    with pytest.raises(DataError, match="column 'age', row 2: the rating is infinite"):
        cb.stimuli.fit_directions(latent, seen.assign(age=np.where(seen.index == 1, np.inf, 3)))


def test_faces_that_are_not_there_are_in_no_pair():
    faces = cb.design.full({"seed": range(3), "pose": [0, 1]})
    pairs = cb.design.sample_pairs(faces)
    for yes in (True, 1, "TRUE", "yes"):
        assert cb.design.sample_pairs(faces.assign(present=yes)).equals(pairs)
    for no in (False, 0, "no", None):
        absent = faces.assign(present=[no if k == 2 else True for k in range(6)])
        with pytest.raises(DataError, match="column 'present', row 3: the face is marked as abs"):
            cb.design.sample_pairs(absent)


def test_one_seed_tells_no_precision():
    leaks = pd.DataFrame({"age": [12, 9], "smile": [9, 12]}, index=["age", "smile"])
    plan = cb.design.crossed_pushes({"seed": [0]}, ["age", "smile"], runs=2, leaks=leaks)
    with pytest.raises(DataError, match="the plan is of one seed"):
        cb.design.separability(plan, leaks, outcome_sd=0.02, score_sd=12, raters=8)


@pytest.mark.parametrize("columns", [["a"], ["level", "width", "found", "simulations"]])
def test_a_figure_of_assurance_needs_rows_of_power(columns):
    with pytest.raises(DataError, match=r"the table: no rows|the column is not there"):
        cb.plots.assurance(pd.DataFrame(columns=columns))


def test_trials_are_in_the_order_of_numbers():
    """An assignment that was read as text has the orders "10" and "9"."""
    plan = cb.design.assign(["x"], 1, each=1)
    plan = pd.concat([plan, plan], ignore_index=True).assign(task=["t1", "t2"], order=["10", "9"])
    answers = pd.DataFrame({"task": ["t1", "t2"], "annotator": "w", "score": [3, 4]})
    told = {name: name for name in ("task", "annotator", "score")}
    found, _ = judgements_of(answers.assign(cancelled=False), plan, "answers.csv", told)
    assert found["trial"].tolist() == [2, 1]


def test_a_folder_of_folders_says_where_tables_are(tmp_path):
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "scores.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"no table is in this folder.*hold tables: net"):
        cb.datasets.read_scores(tmp_path)


def test_an_error_describes_a_list_of_fits_in_a_line():
    rows = pd.DataFrame({"y": np.arange(12) % 5.0, "x": np.arange(12.0) % 7})
    fit = cb.fit("y ~ x", rows, draws=20)
    with pytest.raises(DataError, match=r"fits is a list of 2: a fit\. Hint"):
        cb.loo_compare([fit, fit])


@pytest.fixture(scope="module")
def curve():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"x": rng.uniform(0, 1, 60), "k": np.tile([0, 1, 2], 20)})
    return cb.fit("y ~ x + poly(k, 2)", rows.assign(y=rows["x"] + rng.normal(0, 0.1, 60)), draws=50)


@given(st.lists(st.sampled_from([0, 0.5, 1, 1.0, 2]), min_size=2, max_size=6))
@settings(FEW, max_examples=6)
def test_doses_are_taken_from_low_to_high_and_once(curve, grid):
    if len(set(grid)) < 2:
        return
    found, plain = (
        cb.dose(curve, "k", grid=one, monotone="increasing") for one in (grid, sorted(set(grid)))
    )
    assert found["k"].values.tolist() == sorted(set(grid))
    for name in ("prediction", "slope", "average_slope"):
        np.testing.assert_array_equal(found[name], plain[name])


def test_each_number_of_a_measurement_is_no_level(curve):
    for ask in (lambda: cb.effects(curve, "x"), lambda: cb.interaction(curve, "x", "k")):
        with pytest.raises(DataError, match=r"'x' has 60 different numbers.*change=1"):
            ask()
    assert cb.effects(curve, "k").sizes["k"] == 2
    assert cb.effects(curve, "x", change=1)["effect"].ndim == 2


def test_images_are_of_the_stimuli_of_a_study(tmp_path):
    path = tmp_path / "a.png"
    path.touch()

    def named(*names):
        return list(image_files(dict.fromkeys(names, path))[0])

    assert named(7.0, 12.0) == ["7", "12"]
    assert named("007", "7") == ["007", "7"]
    assert named(2**60, 2**60 + 1) == [str(2**60), str(2**60 + 1)]
    for names, told in (
        ((None, "b"), "row 1: None names no stimulus"),
        (("a", float("nan")), "row 2: nan names no stimulus"),
        (("a", " "), "row 2: ' ' names no stimulus"),
        (("a", "a "), "look the same"),
        (("\u00e9", "e\u0301"), "look the same"),
        ((1, "1"), "written alike"),
        ((b"a", "b"), "row 1: b'a'"),
        ((), "there are no images"),
    ):
        with pytest.raises(DataError, match=told):
            named(*names)
