"""What a report says of a model that fails its checks, by kind of failure."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.model_checks.check import COLUMNS, check
from causalbias.model_checks.replicates import STATISTICS
from causalbias.model_checks.statistics import Subject
from causalbias.report.misfits import MEANINGS, misfit_of

BLACK = {"columns": ("race",), "levels": ("black",)}
# what the check is of, value, and what the sentence says of it
FAILURES = [
    (
        Subject("spread by group", **BLACK),
        1.5,
        "rows with race black vary more .* up to 1.5 times too narrow",
    ),
    (
        Subject("spread by group", columns=("level",), levels=("1",)),
        0.5,
        "vary less .* up to 2.0 times too wide",
    ),
    (
        Subject("means by group", columns=("race", "step"), levels=("asian", "pose 3")),
        -0.6,
        "race asian, step pose 3 is off by 0.60",
    ),
    (Subject("means by group"), 0.6, "mean of all rows is off"),
    (Subject("tails", **BLACK), 0.9, "rates that are counted, bear it"),
    (Subject("skewness"), -0.6, "longer tail on the low side"),
    (Subject("heavy tails"), 2.0, "intervals are wider than"),
    (Subject("noise between groups", "seed"), 0.1, "seed are unequally noisy"),
    (
        Subject("effects between groups", "seed", ("smiling",)),
        0.2,
        "effect of smiling differs between levels of seed",
    ),
    (Subject("effects of levels", "seed"), 1.0, "normal distribution .any words."),
    (
        Subject("clustering", "mm(seed_a, seed_b)", ("seed_a", "seed_b")),
        0.05,
        "share mm.seed_a, seed_b. .* too narrow",
    ),
    (Subject("dispersion"), 2.25, "about 1.5 times too narrow"),
    (Subject("dispersion"), 0.5, "too wide"),
    (Subject("category shares", **BLACK), 0.4, "model says .any words."),
    (Subject("priors"), 0.4, "a prior holds any words far"),
    (Subject("R-hat"), 1.4, "no number of this model"),
]


def failed(*rows):
    found = pd.DataFrame(
        [
            ("any name", "any words", value, 0.0, 0.0, 0.0, "fail", "", *subject, "")
            for subject, value, _ in rows
        ],
        columns=COLUMNS,
    )
    found.attrs["update"] = 'cb.update(fit, family="t")'
    return found


@pytest.mark.parametrize("failure", FAILURES, ids=lambda one: f"{one[0].kind}: {one[1]}")
def test_a_failure_of_each_kind_has_its_sentence_whatever_check_words_it(failure):
    found = misfit_of(failed(failure))
    assert pd.Series([found.sentence]).str.contains(failure[2]).all(), found.sentence
    assert found.sentence.startswith("Not healed: ")
    assert found.update == 'cb.update(fit, family="t")'


def test_every_check_has_a_meaning():
    between = {"noise between groups", "effects between groups"}
    others = between | {"effects of levels", "clustering", "priors"}
    assert set(MEANINGS) == set(STATISTICS) | others
    assert {one[0].kind for one in FAILURES} >= set(MEANINGS)


def test_failures_of_one_model_are_one_sentence():
    found = misfit_of(failed(FAILURES[0], FAILURES[4], FAILURES[4]))
    assert found.sentence.count("Not healed") == 1
    assert found.sentence.count("extreme values") == 1


def test_it_is_said_where_no_model_is_known():
    checks = failed(FAILURES[4])
    checks.attrs["update"] = ""
    assert misfit_of(checks).sentence.endswith("No model of this package is known to answer it.")


def test_a_model_that_passes_has_no_misfit_and_one_that_fails_its_line():
    rng = np.random.default_rng(3)
    good = pd.DataFrame({"x": np.tile([0, 1], 100), "y": rng.normal(0, 1, 200)})
    assert misfit_of(check(cb.fit("y ~ x", good, draws=250))) is None
    wide = good.assign(y=good["y"] * np.where(good["x"] == 1, 4.0, 1.0))
    found = misfit_of(check(cb.fit("y ~ x", wide, draws=250)))
    assert "vary" in found.sentence
    assert found.update == 'cb.update(fit, sigma="~ C(x)")'


def test_checks_say_as_data_what_they_are_of():
    rng = np.random.default_rng(4)
    rows = pd.DataFrame({"x": np.tile(["a", "b"], 120), "who": np.repeat(np.arange(24), 10)})
    rows["face"] = [f"face {one}" for one in np.arange(240) // 4]
    rows["y"] = np.where(rows["x"] == "b", 4, 1) * rng.normal(size=240)
    found = check(cb.fit("y ~ x + (1|who)", rows, draws=250)).set_index("kind")
    spread = found.loc["spread by group"]
    assert (spread["columns"], spread["levels"][0] in "ab") == (("x",), True)
    assert f"x {spread['levels'][0]}" in spread["of"]
    between = found.loc[found.index.isin(["noise between groups", "effects between groups"])]
    assert between["factor"].tolist() == ["who"]
    assert found.loc["effects of levels", "factor"] == "who"
    assert found.loc["priors", "columns"] == ()
