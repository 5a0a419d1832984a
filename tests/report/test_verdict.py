"""The report has one verdict, of draws and checks together, in the same words everywhere."""

import re

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.analyses.manipulation.analysis import analyse_manipulation
from causalbias.analyses.manipulation.report import manipulation_content
from causalbias.model_checks.check import check
from causalbias.report.page import render_page
from causalbias.report.tables import PASSED, overall, verdict_of


def test_a_verdict_is_of_the_draws_first_then_of_the_checks():
    rng = np.random.default_rng(3)
    good = pd.DataFrame({"x": np.tile([0, 1], 100), "y": rng.normal(0, 1, 200)})
    fit = cb.fit("y ~ x", good)
    assert verdict_of(fit, check(fit)) == PASSED
    heavy = cb.fit("y ~ x", good.assign(y=rng.standard_t(1.2, 200)))
    assert cb.failures(heavy) == []
    assert verdict_of(heavy, check(heavy)).startswith("fails ")
    heavy.attrs["failures"] = '["R-hat is 1.3"]'
    assert verdict_of(heavy, check(heavy)) == "not converged: R-hat is 1.3"


@pytest.mark.parametrize(
    ("verdicts", "level", "words"),
    [
        (["passed", "passed"], "passed", "Passed: all 2"),
        (["passed"], "passed", "Passed: the calculation"),
        (["passed", "fails 1 of 9 checks: tails"], "doubt", "Do not report yet: 1 of 2"),
        (["not fully checked: priors did not run"], "doubt", "Not fully checked"),
        (["fails 1 of 9 checks: tails", "not converged: R-hat"], "alarm", "do not use"),
    ],
)
def test_the_worst_of_all_verdicts_decides(verdicts, level, words):
    found, sentence = overall(pd.Series(verdicts))
    assert found == level
    assert words in sentence


def test_top_first_page_and_table_say_the_same():
    content = manipulation_content(analyse_manipulation(cb.demo_study(), draws=250))
    page = render_page(content)
    _, sentence = overall(content.tables["fits"]["verdict"])
    top, plain = page.split('<main id="main">')
    assert sentence in top
    assert sentence in " ".join(content.plain.sure)
    assert sentence in plain.split("</section>")[0]
    passed = sentence.startswith("Passed")
    assert passed == (content.tables["fits"]["verdict"] == PASSED).all()
    bad = content.tables["checks"]["verdict"].isin(["fail", "not run"])
    assert passed == (not bad.any())
    assert not re.search(r"\bconverged\b(?! did not)", top) or not passed
