"""Manifests of finished images: every malformed row is named."""

import json
import os

import pandas as pd
import pytest

import causalbias as cb


@pytest.fixture
def faces(tmp_path):
    frame = cb.design.one_at_a_time({"seed": [1, 2]}, {"age": [-1.5, 0], "pose": [0, 1]})
    frame["image"] = "p/" + frame["stimulus"] + ".png"
    frame["generator"] = "drawn 1"
    (tmp_path / "p").mkdir()
    for image in frame["image"]:
        (tmp_path / image).write_bytes(b"")
    return frame


def test_there_and_back_as_csv_and_json(faces, tmp_path):
    cb.stimuli.write_manifest(faces, tmp_path / "m.csv")
    found = cb.stimuli.read_manifest(tmp_path / "m.csv")
    expected = faces.assign(stimulus="p/" + faces["stimulus"], level=faces["level"].astype(float))
    expected["seed"] = expected["seed"].astype(str)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    rows = json.loads(faces.drop(columns="stimulus").to_json(orient="records"))
    (tmp_path / "m.json").write_text(json.dumps(rows))
    pd.testing.assert_frame_equal(cb.stimuli.read_manifest(tmp_path / "m.json"), found)
    study = cb.make_study(factors=["seed", "attribute", "level"], stimuli=found)
    assert int(study["stimuli"]["present"].sum()) == len(faces)


def test_every_malformed_row_is_named(faces, tmp_path):
    faces = faces.astype(object)
    faces.loc[1, "level"] = "high"
    faces.loc[2, "level"] = "inf"
    faces.loc[3, "level"] = "nan"
    faces.loc[4, "seed"] = ""
    faces.loc[5, "image"] = "../secret.png"
    faces.loc[6, "image"] = "p/lost.png"
    faces.loc[7, "image"] = faces.loc[0, "image"]
    cb.stimuli.write_manifest(faces, tmp_path / "m.csv")
    with pytest.raises(cb.DataError) as caught:
        cb.stimuli.read_manifest(tmp_path / "m.csv")
    told = str(caught.value)
    assert told.startswith("m.csv, column 'level', row 2: 'high' is not a number (2 rows: 2-3)")
    for part in (
        "'seed': the value is missing (1 row: 5)",
        "(1 row: 6)",
        "does not exist (1 row: 7)",
        "occurs twice (1 row: 8)",
        "'level': the value is missing (1 row: 4)",
    ):
        assert part in told
    assert (caught.value.column, caught.value.row) == ("level", 2)


def test_a_link_out_of_the_folder_is_no_image(faces, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    os.symlink(tmp_path / faces["image"][0], inner / "a.png")
    row = faces.iloc[:1].assign(image="a.png")
    cb.stimuli.write_manifest(row, inner / "m.csv")
    with pytest.raises(cb.DataError, match="does not exist"):
        cb.stimuli.read_manifest(inner / "m.csv")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("m.json", '{"image": 1}', "not a list of objects"),
        ("m.json", "[" * 100_000, "not a readable manifest"),
        ("m.json", "[]", "no rows"),
        ("m.csv", "", "not a readable manifest"),
        ("m.csv", "image,seed\na.png,1\n", "'attribute': the column is not there"),
        ("m.csv", 'a,b\n"x', "not a readable manifest"),
    ],
)
def test_broken_manifests_are_said_to_be(tmp_path, name, content, told):
    (tmp_path / name).write_text(content)
    with pytest.raises(cb.DataError, match=told):
        cb.stimuli.read_manifest(tmp_path / name)


def test_a_manifest_is_written_without_formulas(faces, tmp_path):
    with pytest.raises(cb.DataError, match=r"'generator', row 1.*run as a formula"):
        cb.stimuli.write_manifest(faces.assign(generator="=HYPERLINK()"), tmp_path / "m.csv")


HEADER = "image,seed,attribute,level,generator"


def read(tmp_path, *lines, name="m.csv"):
    (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return cb.stimuli.read_manifest(tmp_path / name, images=False)


def test_rows_with_too_many_values_are_named_with_the_other_faults(tmp_path):
    with pytest.raises(cb.DataError) as caught:
        read(
            tmp_path,
            HEADER,
            "a.png,1,age,0,g",
            "b.png,2,age,0,g,more",
            "c.png,3,age,x,g",
            "d.png,4,age,0,g,e,f",
            "e.png,5",
        )
    told = str(caught.value)
    assert "row 2: more values than the 5 columns (2 rows: 2, 4)" in told
    assert "'level': 'x' is not a number (1 row: 3)" in told
    assert "'generator': the value is missing (1 row: 5)" in told


def test_json_rows_that_are_no_objects_are_named(tmp_path):
    row = {"image": "a.png", "seed": 1, "attribute": "age", "level": 0, "generator": "g"}
    with pytest.raises(cb.DataError, match=r"row 2: not an object \(2 rows: 2-3\)"):
        read(tmp_path, json.dumps([row, 3, None]), name="m.json")


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (HEADER + ",seed", "'seed': two columns have this name"),
        (HEADER + ",", "a column without a name"),
    ],
)
def test_columns_have_names_of_their_own(tmp_path, header, told):
    with pytest.raises(cb.DataError, match=told):
        read(tmp_path, header, "a.png,1,age,0,g,2")


def test_marks_spaces_and_empty_lines_do_no_harm(tmp_path):
    found = read(
        tmp_path,
        "\ufeff" + HEADER.replace(",", ", "),
        "\u9762/\u00e9.png,1,age,0,g",
        "",
        "b.png,2,age,0,g",
    )
    assert found["stimulus"].tolist() == ["\u9762/\u00e9", "b"]
    assert found["seed"].tolist() == ["1", "2"]
