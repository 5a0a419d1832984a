"""The report and the command line, end to end on the demo and on hostile labels."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import causalbias as cb
from benchmarks.calibration.cases_leaks import Leaks, world
from causalbias.analyses import fitting
from causalbias.analyses.manipulation.analysis import analyse_manipulation
from causalbias.analyses.manipulation.report import (
    findings,
    limits,
    manipulation_content,
    tables_of,
)
from causalbias.cli.main import app
from causalbias.models.fit import fit as real_fit
from causalbias.report.page import render_page
from causalbias.report.tables import rounded, write_csv

runner = CliRunner()


@pytest.fixture(scope="module")
def result():
    return analyse_manipulation(cb.demo_study(), draws=500)


def test_demo_leaves_a_report_that_shows_estimates_beside_truth(tmp_path):
    done = runner.invoke(app, ["demo", "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    page = (tmp_path / "out" / "report.html").read_text()
    truth = pd.read_csv(tmp_path / "out" / "tables" / "truth.csv")
    assert "Estimate beside truth" in page
    assert len(truth) == 16
    # 16 intervals of 95%: fewer than 12 within has probability 1e-4 where the model is right.
    assert truth["covered"].sum() >= 12
    # The manipulation checks are in every report, and so is what could not be checked.
    checked = pd.read_csv(tmp_path / "out" / "tables" / "check_leaks.csv")
    assert set(checked["attribute"]) == set(truth["attribute"])
    assert "Manipulation check: what each manipulation changes" in page
    assert "enrolment: NOT CHECKED" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page), "the page needs another file"
    assert (tmp_path / "out" / "study.nc").exists()
    assert {p.suffix for p in (tmp_path / "out" / "figures").iterdir()} == {".pdf"}


def test_a_second_run_reads_the_fits_of_the_first(tmp_path, monkeypatch):
    study = cb.demo_study()
    first = analyse_manipulation(study, draws=250, keep=tmp_path)
    monkeypatch.delattr("causalbias.models.fit.sample")  # sampling again would raise
    again = analyse_manipulation(study, draws=250, keep=tmp_path)
    assert first.human.identical(again.human)


def test_a_kept_fit_of_other_data_is_not_reused(tmp_path):
    analyse_manipulation(cb.demo_study(1), draws=250, keep=tmp_path)
    other = analyse_manipulation(cb.demo_study(2), draws=250, keep=tmp_path)
    fresh = analyse_manipulation(cb.demo_study(2), draws=250)
    assert other.human.identical(fresh.human)


def test_labels_from_the_data_are_escaped(result):
    hostile = "<script>alert(1)</script>"
    study = result.study.copy()
    study.attrs["title"] = hostile
    page = render_page(manipulation_content(replace(result, study=study)))
    assert hostile not in page
    assert "&lt;script&gt;" in page


def test_csv_cells_that_a_spreadsheet_would_run_are_quoted(tmp_path):
    table = pd.DataFrame({"attribute": ["=cmd|'/c calc'!A1", "age"], "estimate": [-1.5, 2.0]})
    write_csv(table, tmp_path / "t.csv")
    back = pd.read_csv(tmp_path / "t.csv")
    assert back["attribute"].tolist() == ["'=cmd|'/c calc'!A1", "age"]
    assert back["estimate"].tolist() == [-1.5, 2.0]


def test_the_report_says_what_the_study_cannot_show(result):
    said = " ".join(limits(result))
    assert "supports no claim" in said
    assert "Race was not manipulated" in said
    assert "Failures to enrol: not measured." in said


def test_findings_name_the_unbounded_ratio(result):
    said = " ".join(findings(result, tables_of(result)))
    assert "lighting" in said
    assert "unbounded" in said


def test_naive_and_corrected_effects_stand_side_by_side(result):
    """They are of other tables than the study's, and as they are given."""
    found = cb.leak_corrected(*world(Leaks(0.8, 20), np.random.default_rng(1)), draws=100, chains=2)
    content = manipulation_content(replace(result, corrected=found))
    table = content.results["corrected"].set_index(["question", "leaks"])
    for of, name in (("naive", "ignored"), ("effect", "taken out")):
        own = found.summary(result.prob, of=of).set_index("question")["estimate"]
        assert table.xs(name, level="leaks")["estimate"].equals(own)
    assert table["conditional_f"].notna().groupby("leaks").all().tolist() == [False, True]
    assert "corrected" in {one.name for one in content.pictures}
    assert content.titles["corrected"] in render_page(content)


def test_a_failed_fit_is_shouted(tmp_path, monkeypatch):
    def worthless(*args, **kwargs):
        options = {"method": "nuts", "draws": 10, "tune": 10, "chains": 2, "random_seed": 1}
        return real_fit(*args, **(kwargs | options))

    monkeypatch.setattr(fitting, "fit", worthless)
    study = cb.demo_study()
    keep = study["human"].to_dataset()
    keep = keep.isel(judgement=(keep["attribute"] == "age").values)
    only = cb.Study(children={"human": type(study["human"])(keep)}, dataset=study.to_dataset())
    only["questions"] = study["questions"]
    bad = analyse_manipulation(only)
    page = render_page(manipulation_content(bad))
    assert "Not converged: do not use these estimates." in page
    assert not cb.summarise(bad.human)["converged"].any()


def test_validate_prints_the_study_and_bad_data_end_in_one_line(tmp_path):
    path = cb.save(cb.demo_study(), tmp_path / "demo.nc")
    done = runner.invoke(app, ["validate", str(path)])
    assert done.exit_code == 0
    assert "480 judgements" in done.output
    (tmp_path / "validation_x.csv").write_text("anon_id,condition\na,age\n")
    done = runner.invoke(app, ["validate", str(tmp_path)])
    assert done.exit_code == 1
    assert "validation_x.csv" in done.output
    assert "Hint:" in done.output
    assert "Traceback" not in done.output


def test_rounded_shows_infinity_in_words():
    table = pd.DataFrame({"a": [float("inf"), 0.12345], "b": [True, False], "c": [12345, 1]})
    assert rounded(table) == [["unbounded", "yes", "12,345"], ["0.123", "no", "1"]]
