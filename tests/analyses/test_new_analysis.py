"""A new analysis is a package and a line of the registry: the command line and the report take it.

docs/contributing/add-an-analysis.md leads through it.
"""

import pandas as pd
import pytest
from typer.testing import CliRunner

import causalbias as cb
from causalbias.analyses.registry import ANALYSES, choose_analysis
from causalbias.cli.main import app
from causalbias.errors import DataError


def run(*arguments):
    return CliRunner().invoke(app, [str(part) for part in arguments])


@pytest.fixture
def saved(tmp_path):
    return cb.save(cb.demo_study(), tmp_path / "demo.nc")


def small_identity_study():
    return cb.simulate(4, people=None, levels={"pose": [-3, 0, 3]}, impostors=2)


def test_each_study_gets_the_first_analysis_that_applies():
    assert choose_analysis(cb.demo_study()).name == "manipulation"
    assert choose_analysis(small_identity_study()).name == "identity"


def test_an_analysis_that_is_not_there_or_does_not_apply_is_one_error_that_lists_the_others():
    with pytest.raises(DataError, match=r"no analysis 'doses'.* no gender, race.*: choose manip"):
        choose_analysis(cb.demo_study(), "doses")
    with pytest.raises(
        DataError, match=r"'identity' does not apply.*no gender, race.*: choose man"
    ):
        choose_analysis(cb.demo_study(), "identity")
    with pytest.raises(
        DataError, match=r"'manipulation' does not apply.*would pool.*: choose ident"
    ):
        choose_analysis(small_identity_study(), "manipulation")


def test_a_study_for_no_analysis_is_one_error_with_every_reason():
    judgements = pd.DataFrame({"question": "q", "seed": [1, 2], "score": [0.0, 1.0]})
    study = cb.make_study(factors=["seed"], judgements=judgements, scales=(0, 1))
    with pytest.raises(DataError, match=r"no analysis applies.*identity: .*; manipulation: "):
        choose_analysis(study)


def test_the_command_line_names_what_was_wrong_with_the_choice_and_lists_all(saved, tmp_path):
    done = run("run", saved, "--analysis", "doses", "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert "no analysis 'doses'" in done.output
    assert "choose manipulation" in done.output
    assert not (tmp_path / "out" / "report.html").exists()
    listed = " ".join(run("run", "--help").output.split())
    for analysis in ANALYSES.values():
        assert f"{analysis.name}: {analysis.description[:20]}" in listed
