"""The layout of data is found by what is in them, or the command for them is named."""

import re

import pytest
import typer

from causalbias.cli.main import app
from causalbias.datasets.guess import layout_of
from causalbias.errors import DataError


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["validation_artificial.csv", "chips/1_age_0.jpg"], "omi"),
        (["attribute_ratings.zip", "attribute_means.csv"], "omi-ratings"),
        (["final_picked_age/seed_1/a.png"], "causalface"),
        (["data/final_picked_age/seed_1/a.png"], "causalface"),
        (["data.zip", "annotations/q.csv"], "causalface"),
        (["stimuli.csv", "distances.parquet"], "tidy"),
    ],
)
def test_a_folder_is_of_the_layout_whose_files_it_has(files, expected, tmp_path):
    for name in files:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    assert layout_of(tmp_path) == expected


def test_the_real_experiment_is_found_as_folder_and_as_file(omi):
    assert layout_of(omi) == "omi"
    assert layout_of(omi / "validation_artificial.csv") == "omi"
    assert layout_of(omi / "attribute_ratings.zip") == "omi-ratings"


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("faces/ann/ann_1.JPG", "causalbias photos"),
        ("export.csv", "causalbias rates "),
        ("notes.txt", "--dataset"),
    ],
)
def test_a_folder_of_another_kind_is_sent_to_its_command(name, command, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=command):
        layout_of(tmp_path)


def test_a_folder_of_folders_is_said_to_be_one_and_its_folders_are_named(tmp_path):
    for name in ("east", "west"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "export.csv").write_text("a\n1\n")
    told = r"a folder of folders \(east, west\).*give the folder that holds the data"
    with pytest.raises(DataError, match=told):
        layout_of(tmp_path)


def test_commands_that_a_table_may_be_for_are_commands(tmp_path):
    (tmp_path / "raw.csv").write_text("face,rater,rating\na,b,5\n")
    known = set(typer.main.get_command(app).commands)
    for path in (tmp_path, tmp_path / "raw.csv"):
        with pytest.raises(DataError) as error:
            layout_of(path)
        named = re.search(r"people's answers: causalbias ([\w, -]+)", str(error.value))[1]
        assert set(re.split(", | or ", named.removesuffix(";"))) <= known


def test_a_table_of_scores_is_sent_to_rates(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("reference,probe,score\na,b,0.5\n")
    with pytest.raises(DataError, match=r"causalbias rates scores\.csv"):
        layout_of(path)
    with pytest.raises(DataError, match="no such file or folder"):
        layout_of(tmp_path / "gone")
