"""The report has one verdict, of draws and checks together, in the same words everywhere."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.analyses.manipulation.analysis import analyse_manipulation
from causalbias.analyses.manipulation.report import manipulation_content
from causalbias.model_checks.check import check
from causalbias.report.misfits import Misfit
from causalbias.report.page import render_page
from causalbias.report.verdicts import PASSED, Verdict, overall, verdict_of


def test_a_verdict_is_of_the_draws_first_then_of_the_checks():
    rng = np.random.default_rng(3)
    good = pd.DataFrame({"x": np.tile([0, 1], 100), "y": rng.normal(0, 1, 200)})
    fit = cb.fit("y ~ x", good)
    assert verdict_of(fit, check(fit)) == PASSED
    heavy = cb.fit("y ~ x", good.assign(y=rng.standard_t(1.2, 200)))
    assert cb.failures(heavy) == []
    verdict = verdict_of(heavy, check(heavy))
    assert verdict.level == "misfit"
    assert verdict.sentence.startswith("fails ")
    heavy.attrs["failures"] = '["R-hat is 1.3"]'
    expected = Verdict("unconverged", "not converged: R-hat is 1.3")
    assert verdict_of(heavy, check(heavy)) == expected


@pytest.mark.parametrize(
    ("levels", "level", "words"),
    [
        ([], "passed", "No model"),
        (["passed", "passed"], "passed", "Passed: all 2 models"),
        (["passed"], "passed", "Passed: the model"),
        (["passed", "misfit"], "misfit", "Do not report yet: 1 of 2 models does not"),
        (["unchecked", "passed"], "unchecked", "Not fully checked: some checks of 1 of 2 models"),
        (["misfit", "unchecked"], "misfit", "Do not report yet: 1 of 2 models"),
        (["misfit", "unconverged"], "unconverged", "do not use"),
    ],
)
def test_the_worst_of_all_verdicts_decides(levels, level, words):
    # The sentence on a model does not matter: it may begin with any word.
    found = overall([Verdict(each, "passed, not converged and fails") for each in levels])
    assert found.level == level
    assert words in found.sentence


def test_top_first_page_and_table_say_the_same():
    content = manipulation_content(analyse_manipulation(cb.demo_study(), draws=250))
    page = render_page(content)
    sentence = overall(content.record.verdicts.values()).sentence
    top, plain = page.split('<main id="main">')
    assert sentence in top
    assert sentence in " ".join(content.plain.certainty)
    assert sentence in plain.split("</section>")[0]
    passed = sentence.startswith("Passed")
    assert passed == (content.tables["fits"]["verdict"] == "passed").all()
    bad = content.tables["checks"]["verdict"].isin(["fail", "not run"])
    assert passed == (not bad.any())
    assert not re.search(r"\bconverged\b(?! did not)", top) or not passed
    name = next(iter(content.fits))
    record = replace(
        content.record,
        verdicts={name: Verdict("misfit", "fails 1 of 8 checks: tails")},
        misfits={name: Misfit("Not healed: <b>.", "cb.update(fit, family='t')")},
    )
    top = render_page(replace(content, record=record)).split('<main id="main">')[0]
    assert "fails 1 of 8 checks: tails. Not healed: &lt;b&gt;." in top
    assert "<code>cb.update(fit, family=&#39;t&#39;)</code>" in top
