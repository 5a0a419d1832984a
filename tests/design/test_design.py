"""Designs: layouts against theory, pairs, assignments, reports, services."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalbias as cb
from causalbias.design.estimability import common_matrix

TWO = {name: [-1, 1] for name in "abcd"}


def test_fraction_finds_the_regular_half_of_two_to_the_fourth():
    half = cb.design.fraction(cb.design.full(TWO), "a + b + c + d", 8)
    x = np.column_stack([np.ones(8), half[list("abcd")]])
    assert np.array_equal(x.T @ x, 8 * np.eye(5))


def test_fraction_beats_random_ones_on_mixed_levels():
    cells = cb.design.full({"race": ["a", "b", "c"], "gender": ["f", "m"], "pose": [-1, 0, 1]})
    x, _ = common_matrix("race*gender + pose", cells)
    chosen = cb.design.fraction(cells, "race*gender + pose", 9)
    rows = cells["stimulus"].isin(chosen["stimulus"]).to_numpy()
    random = np.random.default_rng(0)
    others = [random.choice(len(x), 9, replace=False) for _ in range(300)]
    best = np.linalg.slogdet(x[rows].T @ x[rows])[1] + 1e-9  # rounding
    assert best >= max(np.linalg.slogdet(x[o].T @ x[o])[1] for o in others)


# Balanced incomplete designs exist for these (Fisher and Yates, table XVIII).
@pytest.mark.parametrize(("v", "b", "k", "together"), [(7, 7, 3, 1), (4, 6, 2, 1), (5, 10, 3, 3)])
def test_incomplete_blocks_are_balanced_where_that_can_be(v, b, k, together):
    plan = cb.design.incomplete_blocks(range(v), blocks=b, size=k)
    counts = pd.crosstab(plan["block"], plan["treatment"]).to_numpy()
    concurrence = counts.T @ counts
    assert (counts <= 1).all()
    assert (concurrence[np.triu_indices(v, 1)] == together).all()


@given(v=st.integers(3, 9), blocks=st.integers(1, 12), data=st.data())
@settings(max_examples=20, deadline=None)
def test_incomplete_blocks_use_treatments_equally_often(v, blocks, data):
    size = data.draw(st.integers(2, v))
    plan = cb.design.incomplete_blocks(range(v), blocks=blocks, size=size)
    counts = pd.crosstab(plan["block"], plan["treatment"]).reindex(columns=range(v), fill_value=0)
    used = counts.sum()
    assert used.max() - used.min() <= 1
    assert (counts.sum(axis=1) == size).all()


def test_one_at_a_time_has_each_face_at_each_level():
    faces = cb.design.one_at_a_time({"seed": [1, 2]}, {"age": [0, 1, 2], "pose": [-1, 0]})
    assert len(faces) == 2 * 5
    assert faces["stimulus"].is_unique


def test_errors_of_the_report_are_those_of_least_squares():
    random = np.random.default_rng(1)
    rows = pd.DataFrame({"a": random.choice(list("xyz"), 40), "b": random.normal(size=40)})
    found = cb.design.report(rows, "a*b").effects
    x, names = common_matrix("a*b", rows)
    assert found["term"].tolist() == names
    np.testing.assert_allclose(found["error"], np.sqrt(np.diag(np.linalg.inv(x.T @ x))), rtol=1e-8)


def test_errors_with_group_terms_are_those_of_generalised_least_squares():
    random = np.random.default_rng(2)
    rows = cb.design.full({"seed": range(6), "race": ["a", "b"], "pose": [0, 1, 2]})
    rows = rows.iloc[random.choice(36, 25, replace=False)]
    found = cb.design.report(rows, "race + pose + (pose|seed)", sds={"seed": 2.0}).effects
    x, _ = common_matrix("race + pose", rows)
    seed = (rows["seed"].to_numpy()[:, None] == np.arange(6)).astype(float)
    z = np.hstack([seed, seed * rows[["pose"]].to_numpy()])
    covariance = np.eye(25) + 4 * z @ z.T
    exact = np.linalg.inv(x.T @ np.linalg.solve(covariance, x))
    np.testing.assert_allclose(found["error"], np.sqrt(np.diag(exact)), rtol=1e-8)


def test_report_names_what_cannot_be_told_apart():
    cells = cb.design.full(TWO)
    half = cells[cells[list("abcd")].prod(axis=1) == 1]
    found = cb.design.report(half, "a*b + c*d")
    effects = found.effects.set_index("term")
    assert (found.rank, found.columns) == (6, 7)
    assert effects.loc["a:b", "with"] == "c:d"
    assert np.isinf(effects.loc["a:b", "error"])
    assert effects.loc["a", "error"] == pytest.approx(1 / np.sqrt(8))
    assert "NOT ALL EFFECTS ARE ESTIMABLE" in str(found)


def test_genuine_pairs_are_one_attribute_apart_and_impostors_matched():
    faces = cb.design.full({"seed": range(9), "race": ["a", "b"], "pose": [0, 1, 2], "age": [0, 1]})
    pairs = cb.design.sample_pairs(faces, group=["race"], genuine=5, impostors=6)
    about = faces.set_index("stimulus")
    a, b = about.loc[pairs["stimulus_a"]], about.loc[pairs["stimulus_b"]]
    differs = pd.DataFrame({n: a[n].to_numpy() != b[n].to_numpy() for n in about})
    genuine = (pairs["kind"] == "genuine").to_numpy()
    assert pairs["pair"].is_unique
    assert not differs["race"].any()
    assert (differs.loc[genuine, ["pose", "age"]].sum(axis=1) == 1).all()
    assert not differs.loc[genuine, "seed"].any()
    assert (differs.loc[~genuine].sum(axis=1) == 1).all()
    assert differs.loc[~genuine, "seed"].all()
    # 2 races x (3 + 1 ways to differ) x 5, and 2 x 6 cells x 6
    assert (genuine.sum(), (~genuine).sum()) == (40, 72)


@given(seeds=st.integers(2, 12), wanted=st.integers(1, 70))
@settings(max_examples=25, deadline=None)
def test_impostors_use_seeds_evenly(seeds, wanted):
    faces = cb.design.full({"seed": range(seeds), "pose": [0]})
    pairs = cb.design.sample_pairs(faces, genuine=0, impostors=wanted)
    assert len(pairs) == min(wanted, seeds * (seeds - 1) // 2)
    both = {frozenset(one) for one in pairs[["stimulus_a", "stimulus_b"]].to_numpy()}
    assert len(both) == len(pairs)
    used = pd.concat([pairs["stimulus_a"], pairs["stimulus_b"]]).value_counts()
    whole_rounds = wanted % seeds == 0 and wanted <= seeds * ((seeds - 1) // 2)
    assert used.max() - used.reindex(faces["stimulus"], fill_value=0).min() <= 2
    assert not whole_rounds or used.nunique() == 1


def test_attributes_moved_one_at_a_time_stay_matched():
    faces = cb.design.one_at_a_time({"seed": range(4)}, {"age": [0, 1], "pose": [0, 1]})
    pairs = cb.design.sample_pairs(faces)
    about = faces.set_index("stimulus")["attribute"]
    assert (about[pairs["stimulus_a"]].to_numpy() == about[pairs["stimulus_b"]].to_numpy()).all()


@given(n=st.integers(1, 40), people=st.integers(1, 9), data=st.data())
@settings(max_examples=25, deadline=None)
def test_assignment_is_balanced(n, people, data):
    each = data.draw(st.integers(1, people))
    items = [f"i{k}" for k in range(n)]
    plan = cb.design.assign(items, people, each=each, gold=["g1", "g2"], repeats=0.2)
    normal = plan[plan["role"] == "normal"]
    load = normal["annotator"].value_counts().reindex(plan["annotator"].unique(), fill_value=0)
    assert load.max() - load.min() <= 1
    assert (normal.groupby("item")["annotator"].agg(["size", "nunique"]) == each).all(axis=None)
    assert (plan[plan["role"] == "gold"].groupby("item").size() == people).all()
    assert plan["task"].is_unique
    for _, one in plan.groupby("annotator"):
        assert one["order"].tolist() == list(range(1, len(one) + 1))
        first = one[one["trial"] == 1].set_index("item")["order"]
        again = one[one["trial"] == 2].set_index("item")["order"]
        assert (again > first[again.index]).all()


def test_assignment_spreads_strata_over_annotators():
    strata = np.repeat(["a", "b", "c"], 40)
    plan = cb.design.assign([f"i{k}" for k in range(120)], 10, each=3, strata=strata)
    stratum = plan["item"].str[1:].astype(int).map(lambda k: strata[k])
    counts = pd.crosstab(plan["annotator"], stratum)
    assert counts.to_numpy().min() >= 10
    assert counts.to_numpy().max() <= 14


@pytest.fixture
def plan():
    pairs = ["a~b", "c~d", "e~f"]
    images = {pair: [f"{one}.png" for one in pair.split("~")] for pair in pairs}
    return cb.design.assign(pairs, 3, each=2, repeats=0.5), images


def answered(plan):
    return [3 if item == "a~b" else 1 for item in plan["item"]]


def as_study(judgements, excluded):
    names = {one for pair in judgements["item"] for one in pair.split("~")}
    return cb.make_study(
        factors=["seed"],
        stimuli=pd.DataFrame({"stimulus": sorted(names), "seed": range(len(names))}),
        pairs=pd.DataFrame(
            [one.split("~") for one in sorted(set(judgements["item"]))],
            columns=["stimulus_a", "stimulus_b"],
        ),
        judgements=judgements.rename(columns={"item": "pair"}),
        scales=(0, 4),
        excluded=excluded,
    )


def test_label_studio_there_and_back(plan, tmp_path):
    plan, images = plan
    path = cb.design.to_label_studio(plan, images, "https://faces.example/", tmp_path / "t.json")
    tasks = json.loads(path.read_text())
    assert not {"role", "trial", "item"} & set(tasks[0]["data"])
    for task, score in zip(tasks, answered(plan), strict=True):
        choice = {"from_name": "score", "type": "choices", "value": {"choices": [str(score)]}}
        person = {"id": task["data"]["annotator"] + "@x"}
        task["annotations"] = [{"completed_by": person, "result": [choice]}]
    tasks[0]["annotations"][0]["was_cancelled"] = True
    (tmp_path / "r.json").write_text(json.dumps(tasks))
    judgements, excluded = cb.design.from_label_studio(tmp_path / "r.json", plan)
    assert len(judgements) == len(plan) - 1
    assert excluded["count"].tolist() == [1, 1]
    study = as_study(judgements, excluded)
    assert cb.agreement.hcic(study)["mean"].loc["a~b"] == 3


def mturk(plan, tmp_path, **changes):
    rows = pd.DataFrame(
        {
            "HITId": plan["task"],
            "WorkerId": plan["annotator"] + "W",
            "AssignmentStatus": "Approved",
            "Input.task": plan["task"],
            "Answer.score": answered(plan),
        }
    ).astype(object)
    for column, (row, value) in changes.items():
        rows.loc[row, column.replace("__", ".")] = value
    rows.to_csv(tmp_path / "batch.csv", index=False)
    return cb.design.from_mturk(tmp_path / "batch.csv", plan)


def test_mturk_there_and_back(plan, tmp_path):
    plan, images = plan
    path = cb.design.to_manifest_csv(plan, images, "s3://bucket/", tmp_path / "m.csv")
    assert pd.read_csv(path).columns.tolist() == [
        *("task", "annotator", "question", "image_a", "image_b")
    ]
    judgements, excluded = mturk(plan, tmp_path, AssignmentStatus=(0, "Rejected"))
    assert len(judgements) == len(plan) - 1
    assert cb.agreement.hcic(as_study(judgements, excluded))["mean"].loc["a~b"] == 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"Answer__score": (1, "good")}, r"'Answer.score', row 2: 'good' is not a number"),
        ({"Input__task": (2, "zz")}, r"'Input.task', row 3: 'zz' is not a task"),
        ({"WorkerId": (0, " ")}, r"'WorkerId', row 1: the annotator is missing"),
    ],
)
def test_bad_results_name_their_rows(plan, tmp_path, change, told):
    with pytest.raises(cb.DataError, match=told):
        mturk(plan[0], tmp_path, **change)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_a_manifest_holds_no_formulas(plan, tmp_path, text):
    plan, images = plan
    plan.loc[2, "question"] = text
    with pytest.raises(cb.DataError, match="row 3"):
        cb.design.to_manifest_csv(plan, images, "https://x/", tmp_path / "m.csv")


@pytest.mark.parametrize("path", ["../a.png", "/etc/a.png", "a\\b.png", "http://x/a.png", ""])
def test_images_stay_in_their_folder(plan, tmp_path, path):
    plan, images = plan
    images["c~d"][0] = path
    with pytest.raises(cb.DataError, match="outside the folder"):
        cb.design.to_label_studio(plan, images, "https://x/", tmp_path / "t.json")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: cb.design.full({}), "no factors"),
        (lambda: cb.design.full({"a": ["x_y", "x"], "b": ["z", "y_z"]}), "two faces would"),
        (lambda: cb.design.full({"a": [1, None]}), "levels"),
        (lambda: cb.design.full({"stimulus": [1]}), "column of this name"),
        (lambda: cb.design.one_at_a_time({"seed": [1], "age": [1]}, {"age": [0]}), "'age'"),
        (lambda: cb.design.one_at_a_time({"seed": [1]}, {}), "no factors"),
    ],
)
def test_designs_whose_faces_could_not_be_told_apart(make, told):
    with pytest.raises(cb.DataError, match=told):
        make()


def test_treatments_keep_their_types():
    plan = cb.design.incomplete_blocks([1, "b", ("c", 2)], blocks=3, size=2)
    assert set(plan["treatment"]) == {1, "b", ("c", 2)}


def test_two_generators_are_never_in_one_pair():
    faces = cb.design.full({"seed": range(4), "pose": [0, 1]})
    faces["generator"] = np.where(faces["seed"] < 2, "g1", "g2")
    pairs = cb.design.sample_pairs(faces)
    of = faces.set_index("stimulus")["generator"]
    assert (of[pairs["stimulus_a"]].to_numpy() == of[pairs["stimulus_b"]].to_numpy()).all()
    assert (pairs["kind"] == "impostor").sum() == 2 * 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"genuine": -1}, "genuine is -1"),
        ({"faces": lambda f: f.assign(pose=f["pose"].where(f["seed"] > 0))}, "'pose', row 1"),
        ({"faces": lambda f: f.assign(note=range(len(f)))}, "factors seed, pose, note"),
    ],
)
def test_pairs_that_cannot_be_sampled(change, told):
    change = dict(change)
    faces = cb.design.full({"seed": range(3), "pose": [0.0, 1.0]})
    with pytest.raises(cb.DataError, match=told):
        cb.design.sample_pairs(change.pop("faces", lambda f: f)(faces), **change)


def test_all_items_can_be_repeated():
    plan = cb.design.assign([f"i{k}" for k in range(9)], 2, each=2, repeats=1.0)
    assert plan["role"].value_counts().to_dict() == {"normal": 18, "repeat": 18}
    first = plan[plan["trial"] == 1].set_index(["annotator", "item"])["order"]
    again = plan[plan["trial"] == 2].set_index(["annotator", "item"])["order"]
    assert (again > first[again.index]).all()


@pytest.mark.parametrize("gold", [[1], ["g", "g"]])
def test_gold_is_given_once(gold):
    with pytest.raises(cb.DataError, match="occurs twice"):
        cb.design.assign([1, 2], 2, each=1, gold=gold)


def test_a_word_with_one_level_is_no_effect():
    rows = cb.design.full({"race": ["a", "b"], "seed": [1, 2]}).assign(kind="impostor")
    with pytest.raises(cb.DataError, match=r"'kind': all rows have the level 'impostor'"):
        cb.design.report(rows, "kind*race")


@pytest.mark.parametrize("base", ["https://x", "s3://bucket", "javascript:", "/a b/"])
def test_the_base_of_images_is_a_folder(plan, tmp_path, base):
    plan, images = plan
    with pytest.raises(cb.DataError, match="base of the images"):
        cb.design.to_label_studio(plan, images, base, tmp_path / "t.json")
