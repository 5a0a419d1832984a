"""`causalbias design`."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from causalbias.cli.main import app


def run(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_design_writes_a_plan_that_reads_back(tmp_path):
    out = tmp_path / "plan"
    done = run(
        "design",
        "-o",
        out,
        "--factor",
        "seed=1..8",
        "--factor",
        "race=a,b",
        "--attribute",
        "pose=-2,0,2",
        "--genuine",
        4,
        "--impostors",
        6,
        "--annotators",
        12,
        "--each",
        3,
    )
    assert done.exit_code == 0, done.output
    assert "rank 4 of 4: all effects are estimable" in done.output
    faces, pairs = (pd.read_csv(out / f"{name}.csv") for name in ("faces", "pairs"))
    assert len(faces) == 8 * 2 * 3
    assert pairs["kind"].value_counts().to_dict() == {"impostor": 36, "genuine": 24}
    assignment = pd.read_csv(out / "assignment.csv")
    assert (assignment.query("role == 'normal'").groupby("item").size() == 3).all()
    tasks = json.loads((out / "label-studio.json").read_text())
    assert len(tasks) == len(assignment) == len(pd.read_csv(out / "mturk.csv"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--factor", "race=a,b"], "no factor seed"),
        (["--factor", "seed=1..999999"], "levels of 'seed'"),
        (["--factor", "seed"], "is no factor"),
        (["--factor", "seed=1..4", "--annotators", "2"], "5 judgements of each item by 2"),
        (["--factor", "seed=1..4", "--formula", "__import__('os')"], "cannot read"),
        (["--factor", "seed=1..4", "--formula", "open(kind)"], "calls 'open'"),
        (["--factor", "seed=1..4", "--base", "javascript:"], "base of the images"),
        (["--factor", "seed=4..1"], "write seed=1..4"),
        (["--factor", "seed=1..4", "--factor", "kind=a,b"], "a column of the plan"),
        (["--factor", "seed=1..4", "--factor", "race=a,b", "--factor", "race=c"], "given twice"),
        (["--factor", "seed=1..4", "--factor", "age=1,2", "--attribute", "age=0,1"], "given twice"),
        (["--factor", "seed=1..4", "--attribute", "hat=no,yes"], "no numbers"),
        (["--factor", "seed=1..4", "--genuine", "-3"], "genuine is -3"),
    ],
)
def test_design_says_in_one_line_what_is_wrong(tmp_path, arguments, told):
    done = run("design", "-o", tmp_path / "plan", *arguments)
    assert done.exit_code == 1
    assert told in done.output
    assert "Traceback" not in done.output


def test_a_design_without_attributes_is_planned_and_said_to_have_no_genuine_pairs(tmp_path):
    done = run(
        "design",
        "-o",
        tmp_path / "plan",
        "--factor",
        "seed=1..6",
        "--factor",
        "gr\u00f6\u00dfe=klein,gro\u00df",
        "--annotators",
        8,
    )
    assert done.exit_code == 0, done.output
    assert "0 genuine" in done.output
    assert "no --attribute" in done.output
    assert "gr\u00f6\u00dfe[klein]" in done.output
    lines = (tmp_path / "plan" / "ground-truth.manifest").read_text().splitlines()
    assert len(lines) == len(pd.read_csv(tmp_path / "plan" / "assignment.csv"))
