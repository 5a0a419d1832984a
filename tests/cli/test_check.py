"""`causalbias check-manipulations`."""

import pandas as pd
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
