"""Any registered analysis runs by the command line and gives a report; studies choose among them.

docs/contributing/add-an-analysis.md leads through an analysis with models, which a test follows.
"""

import pandas as pd
import pytest
from typer.testing import CliRunner

import causalbias as cb
from causalbias.analyses.protocol import Analysis
from causalbias.analyses.registry import ANALYSES, choose_analysis
from causalbias.analyses.sentences import certainty, never_shown
from causalbias.cli.main import app
from causalbias.errors import DataError
from causalbias.report.content import Content, PlainSummary
from causalbias.report.record import record_of
from causalbias.report.wording import with_range


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


def require_distances(study):
    if "machine" not in study.children:
        raise DataError("the study has no distances", hint="give distances")


def mean_distances(study, *, prob=0.95, random_seed=0, progress=None, keep=None):
    """A trial analysis without a model: the mean distance by attribute."""
    progress("means")
    pairs = cb.to_frame(study, "machine")
    by = pairs[pairs["same_identity"]].groupby("attribute")["distance"]
    half = 2 * by.std() / by.size() ** 0.5
    table = pd.DataFrame({"estimate": by.mean(), "lower": by.mean() - half, "n": by.size()})
    return study, prob, table.assign(upper=by.mean() + half).reset_index()


def mean_content(result, *, images=None):
    study, prob, table = result
    record = record_of(study, {}, prob=prob, images=images)
    return Content(
        study=study,
        fits={},
        record=record,
        prob=prob,
        title="How far apart are two renders?",
        intro="Pairs are of one face.",
        plain=PlainSummary(
            asked="How far apart are two renders?",
            found={"": [f"{row['attribute']}: {with_range(row)}." for _, row in table.iterrows()]},
            certainty=certainty(record, {}, prob, clear="All are.", allowed_for="chance"),
            not_said=never_shown(simulated=True),
        ),
        findings=["See the table."],
        limits=["These are means."],
        pictures=[],
        results={"means": table},
        titles={"means": "Mean distances"},
        headline="means",
        glossary={"render": "A picture made by the generator."},
        columns={"n": "number of pairs"},
    )


def test_a_new_analysis_without_any_model_runs_by_the_command_line_and_gives_a_report(
    saved, tmp_path, monkeypatch
):
    trial = Analysis("means", "Trial.", require_distances, mean_distances, mean_content)
    monkeypatch.setitem(ANALYSES, "means", trial)
    assert choose_analysis(cb.demo_study()).name == "manipulation"  # the first that applies
    done = run("run", saved, "--analysis", "means", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "Mean distances" in done.output
    assert "No model was fitted" in done.output
    page = (tmp_path / "out" / "report.html").read_text()
    for text in (
        "How far apart are two renders?",
        "Mean distances",
        "A picture made by",
        "smiling",
    ):
        assert text in page
    assert "number of pairs" in page
    assert "Manipulation check" in page
    assert len(pd.read_csv(tmp_path / "out" / "tables" / "means.csv")) == 4
    assert "means: Trial." in " ".join(run("run", "--help").output.split())
