"""Frames to study and back; the contract; pseudonyms; what it prints."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import causalbias as cb
from causalbias import DataError
from causalbias.study.tree import as_study

FACTORS = ["seed", "race", "level"]


@st.composite
def experiments(draw):
    """Frames of a random incomplete design: stimuli, pairs, distances, judgements."""
    seeds = draw(st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True))
    cells = [(s, r, v) for s in seeds for r in ("x", "yy") for v in (0, 2, 5)]
    present = draw(st.lists(st.sampled_from(cells), min_size=2, max_size=len(cells), unique=True))
    stimuli = pd.DataFrame(present, columns=FACTORS).astype({"seed": str})
    stimuli["stimulus"] = [f"face{i}" for i in range(len(present))]
    possible = [(a, b) for a in stimuli["stimulus"] for b in stimuli["stimulus"] if a < b]
    chosen = draw(st.lists(st.sampled_from(possible), min_size=1, max_size=12, unique=True))
    pairs = pd.DataFrame(chosen, columns=["stimulus_a", "stimulus_b"])
    distances = pd.DataFrame(
        {
            "system": "net",
            "pair": pairs["stimulus_a"] + "~" + pairs["stimulus_b"],
            "distance": [
                draw(st.floats(0, 2, allow_nan=False, allow_subnormal=False)) for _ in chosen
            ],
        }
    )
    judgements = pd.DataFrame(
        {
            "annotator": [f"rater-{i}" for i in range(len(chosen))],
            "question": "alike",
            "pair": distances["pair"],
            "score": [float(draw(st.integers(0, 4))) for _ in chosen],
        }
    )
    return {
        "stimuli": stimuli,
        "pairs": pairs,
        "distances": distances,
        "judgements": judgements,
    }


def build(frames, **more):
    return cb.make_study(factors=FACTORS, scales=(0, 4), salt=b"s", **frames, **more)


def table(study, group, key):
    frame = cb.to_frame(study, group)
    return frame.sort_values(key).reset_index(drop=True)


@given(experiments())
@settings(max_examples=25, deadline=None)
def test_columns_of_pairs_say_what_the_stimuli_say(frames):
    study = build(frames)
    of = frames["stimuli"].set_index("stimulus")
    pairs = cb.to_frame(study, "pairs")
    assert len(pairs) == len(frames["pairs"])
    for row in pairs.to_dict("records"):
        a, b = of.loc[row["stimulus_a"]], of.loc[row["stimulus_b"]]
        assert row["same_identity"] == (a["seed"] == b["seed"])
        others = [name for name in ("race", "level") if a[name] != b[name]]
        assert row["varies"] == "+".join(others)
        for name in FACTORS:
            assert row[f"{name}_a"] == a[name]
            assert row[f"{name}_b"] == b[name]
            assert (row[name] == a[name]) if a[name] == b[name] else pd.isna(row[name])
    back = table(study, "stimuli", "stimulus")
    wanted = frames["stimuli"].sort_values("stimulus").reset_index(drop=True)
    pd.testing.assert_frame_equal(back, wanted[back.columns], check_dtype=False)
    assert int(study["stimuli"]["present"].sum()) == len(wanted)


@given(experiments(), st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_order_of_rows_does_not_matter(frames, random):
    shuffled = {
        name: frame.iloc[random.sample(range(len(frame)), len(frame))]
        for name, frame in frames.items()
    }
    one, other = build(frames), build(shuffled)
    keys = {"stimuli": "stimulus", "pairs": "pair", "machine": "pair", "human": "annotator"}
    for group, key in keys.items():
        pd.testing.assert_frame_equal(table(one, group, key), table(other, group, key))


@given(experiments())
@settings(max_examples=20, deadline=None)
def test_relabelled_seeds_are_relabelled(frames):
    names = {seed: f"person {1000 - int(seed)}" for seed in frames["stimuli"]["seed"]}
    stimuli = frames["stimuli"].assign(seed=frames["stimuli"]["seed"].map(names))
    one, other = build(frames), build(frames | {"stimuli": stimuli})
    expected, found = table(one, "machine", "pair"), table(other, "machine", "pair")
    for column in ("seed_a", "seed_b", "seed"):
        old = expected[column].map(names, na_action="ignore")
        assert old.dropna().tolist() == found[column].dropna().tolist()
    rest = expected.columns.difference(["seed_a", "seed_b", "seed"])
    pd.testing.assert_frame_equal(expected[rest], found[rest])


@given(experiments())
@settings(max_examples=10, deadline=None)
def test_selecting_by_xarray_leaves_a_study(frames):
    study = build(frames)
    pairs = study["pairs"].to_dataset().isel(pair=slice(0, 1))
    kept = xr.DataTree.from_dict(
        {
            "stimuli": study["stimuli"].to_dataset(),
            "pairs": pairs,
            "machine": study["machine"].to_dataset().isel(pair=slice(0, 1)),
        }
    )
    kept.attrs = study.attrs
    cb.validate(kept)
    assert len(cb.to_frame(kept, "machine")) == 1


def test_inputs_are_left_alone():
    frames = one_pair()
    before = {name: frame.copy() for name, frame in frames.items()}
    build(frames)
    for name, frame in frames.items():
        pd.testing.assert_frame_equal(frame, before[name])


def one_pair():
    return {
        "stimuli": pd.DataFrame(
            {"stimulus": ["f1", "f2"], "seed": [1, 1], "race": ["x", "x"], "level": [0, 1]}
        ),
        "pairs": pd.DataFrame({"stimulus_a": ["f1"], "stimulus_b": ["f2"]}),
        "distances": pd.DataFrame({"system": ["n"], "pair": ["f1~f2"], "distance": [0.5]}),
        "judgements": pd.DataFrame(
            {"annotator": ["ann"], "question": ["q"], "pair": ["f1~f2"], "score": [2.0]}
        ),
    }


# Contract -----------------------------------------------------------------------------------


def without(group, variable):
    def change(study):
        study[group] = xr.DataTree(study[group].to_dataset().drop_vars(variable))

    return change


def with_values(group, variable, values):
    def change(study):
        dataset = study[group].to_dataset()
        dims = dataset[variable].dims
        study[group] = xr.DataTree(dataset.assign({variable: (dims, values)}))

    return change


def drop_group(group):
    def change(study):
        del study[group]

    return change


CONTRACT_BREAKS = {
    "no distance": (without("machine", "distance"), "/machine", None),
    "no score": (without("human", "score"), "/human", None),
    "no scales": (drop_group("questions"), "/human", None),
    "no stimuli": (drop_group("stimuli"), "/pairs", None),
    "no pairs": (drop_group("pairs"), "/machine", None),
    "distance nan": (with_values("machine", "distance", [[np.nan]]), "/machine", "distance"),
    "distance below": (with_values("machine", "distance", [[-1.0]]), "/machine", "distance"),
    "score outside": (with_values("human", "score", [9.0]), "/human", "score"),
    "score nan": (with_values("human", "score", [np.nan]), "/human", "score"),
    "stimulus unknown": (with_values("pairs", "stimulus_b", ["f7"]), "/pairs", "stimulus_b"),
    "question unknown": (with_values("human", "question", ["zz"]), "/human", "question"),
}


@pytest.mark.parametrize("case", CONTRACT_BREAKS)
def test_validate_refuses(case):
    change, group, column = CONTRACT_BREAKS[case]
    study = build(one_pair())
    cb.validate(study)
    change(study)
    with pytest.raises(DataError) as caught:
        cb.validate(study)
    assert (caught.value.file, caught.value.column) == (group, column)


def test_validate_refuses_what_is_no_study():
    with pytest.raises(DataError, match="not a study"):
        cb.validate(xr.DataTree())
    with pytest.raises(DataError, match="neither faces nor judgements"):
        cb.make_study(factors=["seed"])


def test_a_distance_may_be_absent_with_a_status():
    frames = one_pair()
    frames["distances"] = frames["distances"].assign(distance=np.nan, status="no face")
    machine = cb.to_frame(build(frames), "machine")
    assert machine["status"].tolist() == ["no face"]
    assert machine["distance"].isna().all()


def test_no_such_group():
    with pytest.raises(DataError, match="stimuli, pairs"):
        cb.to_frame(build(one_pair()), "faces")


# Pseudonyms ----------------------------------------------------------------------------------


def raters_of(salt, ids=("ann", "bob", "ann")):
    judgements = pd.DataFrame(
        {"annotator": ids, "question": "q", "seed": [1, 2, 3][: len(ids)], "score": 1.0}
    )
    study = cb.make_study(factors=["seed"], judgements=judgements, scales=(0, 4), salt=salt)
    return cb.to_frame(study, "human")["annotator"].tolist()


def test_pseudonyms_follow_from_salt_and_id_alone():
    one = raters_of(b"pepper")
    assert one == raters_of(b"pepper")
    assert one[0] == one[2] != one[1]
    assert raters_of(b"pepper", ("bob",)) == [one[1]]
    assert not set(one) & set(raters_of(b"thyme"))
    assert not set(one) & {"ann", "bob"}


def test_pseudonyms_without_a_salt_are_reproducible():
    assert raters_of(None) == raters_of(None)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_no_original_id_in_the_saved_file(tmp_path, suffix):
    ids = ("jane.doe@example.org", "worker-A1B2C3", "jane.doe@example.org")
    judgements = pd.DataFrame(
        {"annotator": ids, "question": "q", "seed": [1, 2, 3], "score": 1.0, "trial": [0, 0, 1]}
    )
    study = cb.make_study(
        factors=["seed"], judgements=judgements, scales=(0, 4), salt=b"the secret salt"
    )
    path = cb.save(study, tmp_path / f"s{suffix}")
    files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
    content = b"".join(f.read_bytes() for f in files)
    for secret in (*ids, "the secret salt"):
        for encoding in ("utf-8", "utf-16-le", "utf-32-le"):
            assert secret.encode(encoding) not in content
    text = repr(cb.open(path)) + cb.open(path)._repr_html_()
    assert "jane" not in text


# What it prints -------------------------------------------------------------------------------


def test_repr_counts_what_is_there():
    frames = one_pair()
    frames["stimuli"] = pd.concat(
        [frames["stimuli"], pd.DataFrame([["f3", 2, "x", 0]], columns=list(frames["stimuli"]))]
    )
    frames["pairs"] = pd.DataFrame({"stimulus_a": ["f1", "f1"], "stimulus_b": ["f2", "f3"]})
    text = repr(build(frames, name="mine", title="a title"))
    assert "'mine'" in text
    assert "a title" in text
    assert "seed (2) x race (1) x level (2)" in text
    assert "3 of 4 cells present" in text
    assert "2: 1 genuine, 1 impostor" in text
    assert "1 judgements by 1 annotators on 1 questions, scored 0 to 4" in text
    assert "\x1b" not in text


def test_html_escapes_a_hostile_name():
    hostile = "<script>alert('x')</script>"
    study = build(one_pair(), name=hostile, title=hostile)
    page = study._repr_html_()
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_html_escapes_hostile_labels():
    hostile = "<img src=x onerror=alert(1)>"
    frames = one_pair()
    frames["stimuli"] = frames["stimuli"].assign(race=hostile)
    frames["distances"] = frames["distances"].assign(system=hostile)
    assert hostile not in build(frames)._repr_html_()


def test_plain_tree_prints_as_a_study_again():
    study = build(one_pair())
    plain = study.map_over_datasets(lambda dataset: dataset)
    assert repr(as_study(plain)) == repr(study)


def test_distances_that_are_text_are_read_beside_rows_that_failed():
    faces = pd.DataFrame({"stimulus": list("abc"), "seed": list("abc")})
    pairs = pd.DataFrame({"stimulus_a": list("aab"), "stimulus_b": list("bcc")})
    rows = {"system": "net", "pair": ["a~b", "a~c", "b~c"], "status": ["ok", "no face", "ok"]}
    for failed in (None, "", "NA", "failed", np.nan):
        distances = pd.DataFrame(rows | {"distance": ["0", failed, "0.5"]})
        study = cb.make_study(factors=["seed"], stimuli=faces, pairs=pairs, distances=distances)
        np.testing.assert_array_equal(study["machine"]["distance"].values, [[0.0, np.nan, 0.5]])
    gone = pd.DataFrame(rows | {"distance": ["0", None, "NA"]})
    with pytest.raises(DataError, match="row 3"):
        cb.make_study(factors=["seed"], stimuli=faces, pairs=pairs, distances=gone)


def test_rows_may_name_both_faces_in_place_of_the_pair_in_either_order():
    stimuli = pd.DataFrame({"stimulus": ["s1", "s2", "s3"], "seed": ["1", "2", "3"]})
    pairs = pd.DataFrame({"stimulus_a": ["s1", "s3"], "stimulus_b": ["s2", "s1"]})
    faces = pd.DataFrame({"stimulus_a": ["s2", "s3"], "stimulus_b": ["s1", "s1"]})
    tables = {"factors": ["seed"], "stimuli": stimuli, "pairs": pairs, "scales": (0, 4)}
    asked = {"question": "alike", "annotator": "ann", "score": [1, 3]}
    study, expected = (
        cb.make_study(
            **tables,
            distances=named.assign(system="net", distance=[0.2, 0.6]),
            judgements=named.assign(**asked),
            salt=b"salt",
        )
        for named in (faces, pd.DataFrame({"pair": ["s1~s2", "s3~s1"]}))
    )
    xr.testing.assert_identical(study, expected)
    with pytest.raises(DataError, match="'s2' and 's3' are no pair of the study"):
        cb.make_study(
            **tables, distances=faces.assign(stimulus_b="s3", system="net", distance=0.1)[:1]
        )


def test_similarities_are_not_taken_for_distances():
    stimuli = pd.DataFrame({"stimulus": ["s1", "s2"], "seed": ["1", "2"]})
    pairs = pd.DataFrame({"stimulus_a": ["s1"], "stimulus_b": ["s2"]})
    given = pd.DataFrame({"system": ["net"], "pair": ["s1~s2"], "similarity": [0.9]})
    with pytest.raises(DataError, match="distance = 1 - similarity"):
        cb.make_study(factors=["seed"], stimuli=stimuli, pairs=pairs, distances=given)
