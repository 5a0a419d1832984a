"""The CausalFace loader: round trip of a simulated release, and everything that can be wrong."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import causalbias as cb
from causalbias.datasets.causalface.layout import (
    Design,
    annotation_names,
    parse_names,
    render_paths,
)
from causalbias.datasets.causalface.tables import read_answers
from causalbias.study.tree import group_of
from tests.datasets.causalface.release_files import LEVELS, edit_cells, load_release, small_study


@pytest.mark.parametrize("archive", [False, True])
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_simulate_write_load_gives_the_same_study(tmp_path, archive, missing):
    study = small_study(missing_renders=missing)
    read = load_release(cb.datasets.to_release(study, tmp_path / "r", archive=archive))
    assert set(read.children) == set(study.children) | {"provenance"}
    for name in set(study.children) - {"excluded", "human", "unanswered"}:
        assert group_of(read, name).identical(group_of(study, name)), name
    for name in ("human", "unanswered"):
        ours, theirs = group_of(study, name), group_of(read, name)
        assert theirs.drop_vars("annotator").identical(ours.drop_vars("annotator"))
        both = set(zip(ours["annotator"].values, theirs["annotator"].values, strict=True))
        names = [set(side) for side in zip(*both, strict=True)]
        # Pseudonyms change, but who is who does not.
        assert len(both) == len(names[0]) == len(names[1])
    assert read.attrs["references"] == study.attrs["references"]
    counted = [group_of(one, "excluded").to_dataframe() for one in (study, read)]
    totals = [frame.groupby(["what", "reason"])["count"].sum() for frame in counted]
    pd.testing.assert_series_equal(*totals)


def test_saved_and_opened_again(root, tmp_path):
    study = load_release(root)
    assert cb.open(cb.save(study, tmp_path / "study.nc")).identical(study)


def test_frames_say_how_far_each_attribute_was_moved(root):
    study = load_release(root)
    human = cb.to_frame(study, "human")
    pairs = human[human["question"] == "identity"]
    faces = human[human["question"] == "expression"]
    assert pairs["same_identity"].notna().all()
    assert faces["same_identity"].isna().all()
    moved = pairs["level_b"] - pairs["level_a"]
    at_pose = (pairs["attribute_a"] == "pose") & (pairs["attribute_b"] == "pose")
    assert (pairs["pose"] == moved.where(at_pose, 0.0)).all()
    smile = faces[faces["attribute"] == "smiling"]
    assert (smile["smiling"] == smile["level"]).all()
    assert (smile["pose"] == 0).all()
    assert faces["race"].notna().all()


def test_annotators_are_pseudonyms_and_the_salt_decides_which(root):
    file = root / "annotations" / "identity.csv"
    file.write_text(file.read_text().replace(",a", ",WORKER"))
    one, same, other = (load_release(root, salt=salt) for salt in (b"1", b"1", b"2"))
    names = [group_of(study, "human")["annotator"].values for study in (one, same, other)]
    assert not any(name.startswith("WORKER") for name in names[0])
    assert (names[0] == names[1]).all()
    assert (names[0] != names[2]).all()


VARIANTS = {
    "asian_female_smiling_2_o2.png": "plain",
    "asian_female_smiling_2_o2_corrected.png": "corrected",
    "asian_female_smiling_2_o2_rm_bg.png": "removed",
}


def test_variants_are_understood_and_counted(root):
    folder = sorted((root / "final_picked_smiling").iterdir())[0]
    content = (folder / "asian_female_smiling_2_o2.png").read_bytes()
    for name in VARIANTS:
        (folder / name).write_bytes(content)
    (folder / ".DS_Store").write_bytes(b"x")
    study = load_release(root)
    image = cb.to_frame(study, "stimuli").set_index("stimulus")["image"]
    seed = folder.name.removeprefix("seed_")
    assert image[f"{seed}_asian_female_smiling_2"].endswith("_o2_corrected.png")
    left_out = cb.to_frame(study, "excluded").set_index("reason")["count"]
    assert left_out["a corrected render replaces it"] == 1
    assert left_out["background not kept"] == 1
    assert left_out["not a PNG render"] == 1


def test_lighting_without_background_spells_its_tag_out():
    names = pd.Series(
        [
            "final_picked_lighting/seed_30087/asian_male_l_-1.png",
            "data/final_picked_lighting/seed_30087/asian_male_lighting_-1_o2_rm_bg.png",
            "seed_30087_race_asian_gender_male_age_0.png",
            "final_picked_age/seed_30087/asian_male_age_2_o2.png",
            "final_picked_smiling/seed_30087/asian_male_smiling_-0_o2.png",
        ]
    )
    parsed = parse_names(names, Design(), file="f", column="c")
    assert parsed["attribute"].tolist() == ["lighting", "lighting", "prototype", "age", "smiling"]
    assert parsed["level"].tolist() == [-1, -1, 0, 2, 0]
    assert parsed["stimulus"][0] == parsed["stimulus"][1] == "30087_asian_male_lighting_-1"
    assert parsed["stimulus"][4] == "30087_asian_male_smiling_0"


def test_other_races_levels_systems_and_numbers_of_annotators(tmp_path):
    levels = {"glasses": [0, 1], "age": [0.8, 2.6, 4.4]}
    people = cb.simulation.People(judgements=4, annotators=12)
    study = cb.simulate(
        3,
        levels=levels,
        races=["south_asian", "black"],
        genders=["female"],
        systems=[cb.simulation.System("mine"), cb.simulation.System("ours, second")],
        people=people,
        impostors=2,
    )
    path = cb.datasets.to_release(study, tmp_path / "r")
    read = cb.load(
        "causalface", path, levels=levels, races=["south_asian", "black"], genders=["female"]
    )
    for name in ("stimuli", "pairs", "machine", "truth"):
        assert group_of(read, name).identical(group_of(study, name)), name
    assert cb.agreement.hcic(read)["n"].max() == 4


def test_a_column_map_states_another_layout(root):
    file = root / "annotations" / "gender.csv"
    rows = [line.split(",") for line in file.read_text().splitlines()[1:]]
    long = ["worker,answer,file"]
    for row in rows:
        long += [f"{who},{score},{row[0]}" for who, score in zip(row[1::2], row[2::2], strict=True)]
    wide = load_release(root)
    file.write_text("\n".join(long) + "\n")
    columns = {"gender": {"image": "file", "annotator": "worker", "score": "answer"}}
    read = load_release(root, columns=columns)
    before, after = (cb.agreement.hcic(study, "gender") for study in (wide, read))
    pd.testing.assert_frame_equal(before, after)
    with pytest.raises(cb.DataError, match="found the header worker, answer, file; expected image"):
        load_release(root)


def test_a_pair_written_the_other_way_round_is_the_same_pair(root):
    whole = load_release(root)
    distances = root / "distances" / "SFNet-20.csv"

    def swap(rows):
        for row in rows[1:]:
            row[0], row[1] = row[1], row[0]

    edit_cells(distances, swap)
    assert group_of(load_release(root), "machine").identical(group_of(whole, "machine"))


def test_answers_that_are_missing_are_kept_as_such_and_counted(root):
    file = root / "annotations" / "identity.csv"
    before = group_of(load_release(root), "unanswered").sizes["request"]

    def blank(rows):
        rows[1][3], rows[2][3], rows[3][2], rows[3][3] = "", "no idea", "", ""

    had = [row.split(",")[3] for row in file.read_text().splitlines()[1:4]]
    assert "" not in had
    edit_cells(file, blank)
    study = load_release(root)
    assert group_of(study, "unanswered").sizes["request"] == before + 2
    left_out = cb.to_frame(study, "excluded").set_index(["file", "reason"])["count"]
    assert left_out["identity.csv", "score is not a number"] == 1
    assert left_out["identity.csv", "empty"] == 1


def test_failed_measurements_keep_their_status(root):
    def fail(rows):
        rows[1][2], rows[1][3] = "", "face not detected"

    edit_cells(root / "distances" / "ResNet-34.csv", fail)
    machine = group_of(load_release(root), "machine").sel(system="ResNet-34")
    assert machine["status"].values[0] == "face not detected"
    assert np.isnan(machine["distance"].values[0])


def _cell(row, column, value):
    def edit(rows):
        rows[row][column] = value(rows[row][column]) if callable(value) else value

    return edit


def _cut_last_column(rows):
    for row in rows:
        row.pop()


def _same_annotator_again(rows):
    rows[2][4] = rows[2][2]


def _short_row(rows):
    rows[4] = rows[4][:-2]


IDENTITY, GENDER = "annotations/identity.csv", "annotations/gender.csv"
BROKEN_TABLES = {
    "bad name": (
        IDENTITY,
        _cell(2, 0, "holiday.png"),
        r"identity.csv, column 'image_a', row 2: 'holiday.png' is not the name of a render",
    ),
    "unknown race": (
        GENDER,
        _cell(3, 0, lambda name: name.replace("asian", "martian")),
        r"gender.csv, column 'image', row 3: .*martian.* unknown race.*known: asian, black, white",
    ),
    "unknown gender": (
        GENDER,
        _cell(3, 0, lambda name: name.replace("female", "fem")),
        r"row 3: .* unknown gender",
    ),
    "level not in the design": (
        IDENTITY,
        _cell(1, 1, lambda name: name.rsplit("_", 1)[0] + "_7.5.png"),
        r"identity.csv, column 'image_b', row 1: .*level that is not in the design.*pose -3, 0, 3",
    ),
    "odd annotator columns": (
        IDENTITY,
        _cut_last_column,
        r"the file has 19 columns, 2 of names and 17 .* found the header image_a.*expected",
    ),
    "score outside its scale": (
        IDENTITY,
        _cell(5, 3, "9"),
        r"identity.csv, column '4 \(score\)', row 5: 9: not one of the scores 0 to 4",
    ),
    "score between the categories": (
        IDENTITY,
        _cell(5, 3, "2.5"),
        r"row 5: 2.5: not one of the scores 0 to 4",
    ),
    "endless score": (IDENTITY, _cell(5, 3, "inf"), r"row 5: inf: not one of the scores"),
    "score without annotator": (
        IDENTITY,
        lambda rows: (_cell(6, 2, "")(rows), _cell(6, 3, "1")(rows)),
        r"identity.csv, column '4 \(score\)', row 6: 1: the score has no annotator",
    ),
    "same annotator twice on a pair": (
        IDENTITY,
        _same_annotator_again,
        r"identity.csv, column '6 \(score\)', row 2: the annotator has judged seed_\d+.* already",
    ),
    "pair named twice by one annotator": (
        IDENTITY,
        lambda rows: rows.append([rows[1][1], rows[1][0], *rows[1][2:]]),
        r"the annotator has judged .* already \(row 1;",
    ),
    "image that does not exist": (
        IDENTITY,
        _cell(2, 0, "seed_123_race_black_gender_male_pose_0.png"),
        r"identity.csv, column 'image_a', row 2: .*seed_123_.* names an image that does not exist",
    ),
    "ragged rows": (IDENTITY, _short_row, r"identity.csv: not a readable CSV .*Expected 20 col"),
    "unknown layout": (
        IDENTITY,
        _cell(1, 0, "17"),
        r"column 'image_a', row 1: '17' is not .* found the header image_a, .*; expected image_a",
    ),
    "negative distance": (
        "distances/SFNet-20.csv",
        _cell(3, 2, "-0.1"),
        r"SFNet-20.csv, column 'distance', row 3: -0.1 is below 0",
    ),
    "distance of a pair unknown": (
        "distances/SFNet-20.csv",
        _cell(3, 0, "seed_9_race_black_gender_male_pose_0.png"),
        r"SFNet-20.csv, column 'image_a', row 3: .* names an image that does not exist",
    ),
}


@pytest.mark.parametrize("what", BROKEN_TABLES)
def test_a_broken_table_ends_in_one_error(root, what):
    file, edit, message = BROKEN_TABLES[what]
    edit_cells(root / file, edit)
    with pytest.raises(cb.DataError, match=message) as caught:
        load_release(root)
    assert "Hint: " in str(caught.value)
    assert caught.value.__cause__ is None or not isinstance(caught.value.__cause__, cb.DataError)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no rows below the header"),
        (b"image_a,image_b,annotator,score\n", "no rows below the header"),
        (b"\xff\xfe\x00\x01\n\xff\n", "not a readable CSV"),
        (b"a,b,c\n1\n", "1 columns|header has 3 cells"),
    ],
)
def test_a_table_of_rubbish_ends_in_one_error(root, content, message):
    (root / IDENTITY).write_bytes(content)
    with pytest.raises(cb.DataError, match=f"identity.csv.*{message}"):
        load_release(root)


def test_unknown_questions_need_a_scale(root):
    (root / "annotations" / "gender.csv").rename(root / "annotations" / "charm.csv")
    with pytest.raises(cb.DataError, match="no scale is known for the question 'charm'"):
        load_release(root)
    questions = group_of(load_release(root, scales={"charm": (0, 4)}), "questions")
    assert "charm" in questions["question"]


def test_files_outside_the_root_are_not_read(root, tmp_path):
    (tmp_path / "elsewhere.csv").write_text("x")
    with pytest.raises(cb.DataError, match="lies outside the directory"):
        load_release(root, files={"gender": "../elsewhere.csv"})


def test_an_empty_directory_says_what_is_missing(tmp_path):
    with pytest.raises(cb.DataError, match="neither folders final_picked_"):
        cb.load("causalface", tmp_path)
    with pytest.raises(cb.DataError, match="no such directory"):
        cb.load("causalface", tmp_path / "nowhere")


def test_images_alone_are_a_study_that_waits_for_an_embedder(tmp_path):
    root = cb.datasets.to_release(small_study(people=None), tmp_path / "r")
    assert "human" not in load_release(root).children
    for file in (root / "distances").iterdir():
        file.unlink()
    study = load_release(root)
    assert set(study.children) == {"stimuli", "provenance", "truth"}
    with pytest.raises(cb.DataError, match="no pairs"):
        cb.recognition.with_distances(study, cb.demo_study()["machine"].to_dataset())


def test_writing_refuses_other_studies_and_existing_files(root):
    with pytest.raises(cb.DataError, match="is not empty"):
        cb.datasets.to_release(small_study(), root)
    with pytest.raises(cb.DataError, match="factors are seed, attribute, level"):
        cb.datasets.to_release(cb.demo_study(), root / "x")


def test_references_must_be_levels(root):
    with pytest.raises(cb.DataError, match="reference 1 of pose is not among its levels"):
        load_release(root, references={"pose": 1.0})
    moved = cb.to_frame(load_release(root, references={"pose": 3.0}), "stimuli")
    assert set(moved.loc[moved["attribute"] == "pose", "pose"]) == {-6.0, -3.0, 0.0}


def test_settings_for_what_is_not_there_are_errors(root):
    with pytest.raises(cb.DataError, match="a reference for 'hair', which has no levels"):
        load_release(root, references={"hair": 1.0})
    with pytest.raises(cb.DataError, match="a column map for 'gendr', which has no file"):
        load_release(root, columns={"gendr": {"image": "x"}})
    with pytest.raises(cb.DataError, match="background is 'gone'"):
        load_release(root, background="gone")
    with pytest.raises(cb.DataError, match="no render with its background removed"):
        load_release(root, background="removed")


NAMES = st.builds(
    lambda seed, race, gender, at: (seed, race, gender, *at),
    st.integers(0, 10**17),
    st.sampled_from(["asian", "black", "south_asian"]),
    st.sampled_from(["female", "male"]),
    st.sampled_from([(name, float(x)) for name, levels in Design().levels.items() for x in levels]),
)


@given(st.lists(NAMES, min_size=1, max_size=5))
def test_names_written_are_names_read(rows):
    design = Design(races=("asian", "black", "south_asian"))
    faces = pd.DataFrame(rows, columns=["seed", "race", "gender", "attribute", "level"])
    faces["seed"] = faces["seed"].astype(str)
    for write in (render_paths, annotation_names):
        read = parse_names(write(faces), design, file="f", column="c")
        pd.testing.assert_frame_equal(read[faces.columns], faces, check_dtype=False)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(
            st.one_of(
                st.sampled_from(
                    [
                        "seed_1_race_black_gender_male_pose_3.png",
                        "",
                        "0",
                        "4",
                        "-1",
                        "nan",
                        '"',
                        "w",
                    ]
                ),
                st.text(max_size=6),
            ),
            max_size=8,
        ),
        max_size=6,
    ),
    st.sampled_from(["identity", "gender"]),
)
def test_any_table_is_read_or_ends_in_a_data_error(tmp_path, rows, question):
    file = tmp_path / "table.csv"
    file.write_bytes("\n".join(",".join(row) for row in rows).encode("utf-8", "replace"))
    try:
        answers, _ = read_answers(file, question, (0, 4))
    except cb.DataError:
        return
    assert answers["score"].dropna().isin(range(5)).all()
    assert (answers["annotator"] != "").all()


def test_levels_of_the_tests_are_in_the_published_design():
    assert all(set(levels) <= set(Design().levels[name]) for name, levels in LEVELS.items())
