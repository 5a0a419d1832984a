"""From a simulated release to its report, through the command line."""

import re

import pandas as pd
import pytest
from typer.testing import CliRunner

import causalbias as cb
from causalbias.analyses.identity.analysis import analyse_identity
from causalbias.analyses.identity.report import identity_content
from causalbias.cli.main import app
from causalbias.report.page import render_page

LEVELS = {"pose": [-3.0, 0.0, 3.0]}
runner = CliRunner()


@pytest.mark.slow
def test_a_release_becomes_a_report(tmp_path):
    system = cb.simulation.System(
        "net", biases=(cb.simulation.Bias("alike", -0.1, race="black", same_identity=False),)
    )
    people = cb.simulation.People(annotators=60, judgements=4, questions=())
    study = cb.simulate(
        10, random_seed=2, systems=(system,), people=people, levels=LEVELS, impostors=10
    )
    root = cb.datasets.to_release(study, tmp_path / "release")
    out = tmp_path / "out"
    done = runner.invoke(app, ["run", str(root), "--dataset", "causalface", "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert " 5 models" in " ".join(done.output.split())
    page = (out / "report.html").read_text()
    assert not re.search(r'(src|href)="(?!data:|#)', page), "the page needs another file"
    assert "black" in page.split(">Findings</h2>")[1].split("<h2")[0]
    truth = pd.read_csv(out / "tables" / "truth.csv")
    assert len(truth) == 16
    # 16 intervals of 95%, those of one fit dependent.
    assert truth["covered"].sum() >= 12
    assert len(pd.read_csv(out / "tables" / "rates.csv")) == 12
    figures = {path.name for path in (out / "figures").iterdir()}
    assert figures == {
        "race-networks.pdf",
        "race-people.pdf",
        "race-against-people.pdf",
        "rates.pdf",
        "diagram.pdf",
    }


def test_simulate_writes_what_validate_and_load_accept(tmp_path):
    root = tmp_path / "release"
    done = runner.invoke(app, ["simulate", str(root), "--seeds", "3", "--archive"])
    assert done.exit_code == 0, done.output
    assert (root / "data.zip").exists()
    done = runner.invoke(app, ["validate", str(root), "--dataset", "causalface"])
    assert done.exit_code == 0, done.output
    assert "valid" in done.output
    again = runner.invoke(app, ["simulate", str(root), "--seeds", "3"])
    assert again.exit_code == 1
    assert "is not empty" in again.output


@pytest.mark.parametrize("command", ["run", "validate"])
def test_an_unknown_layout_ends_in_one_line(tmp_path, command):
    done = runner.invoke(app, [command, str(tmp_path), "--dataset", "nonsense"])
    assert done.exit_code == 1
    assert len(done.output.strip().splitlines()) == 1
    assert "'nonsense'" in done.output
    assert "causalface" in done.output


def test_what_a_study_without_people_cannot_show():
    hostile = "<script>alert(1)</script>{0}"
    system = cb.simulation.System(hostile, failure=0.1)
    study = cb.simulate(5, systems=(system,), people=None, levels=LEVELS, impostors=5)
    content = identity_content(analyse_identity(study, draws=250))
    said = " ".join(content.limits)
    assert "supports no claim" in said
    assert "distances are missing" in said
    assert content.tables["left_out"]["reason"].str.contains("no distance").any()
    assert "no effect of race is clear" in " ".join(content.findings)
    page = render_page(content)
    assert hostile not in page
    assert "&lt;script&gt;" in page
