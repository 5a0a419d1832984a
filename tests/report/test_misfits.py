"""What a report says of a model that fails its checks, by kind of failure."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.model_checks.check import COLUMNS, check
from causalbias.model_checks.replicates import STATISTICS
from causalbias.report.misfits import MEANINGS, misfit_of

# check, of (as `check` words it), value, and what the sentence says of it
FAILURES = [
    (
        "spread by group",
        "spread of residuals, race black",
        1.5,
        "black vary more .* up to 1.5 times too narrow",
    ),
    (
        "spread by group",
        "spread of residuals, level 1",
        0.5,
        "vary less .* up to 2.0 times too wide",
    ),
    (
        "means by group",
        "mean residual, race asian, step pose 3",
        -0.6,
        "race asian, step pose 3 is off by 0.60",
    ),
    ("means by group", "mean residual, all rows", 0.6, "mean of all rows is off"),
    ("tails", "share at or below 0.7, race black", 0.9, "rates that are counted, bear it"),
    ("skewness", "residuals", -0.6, "longer tail on the low side"),
    ("heavy tails", "excess kurtosis of residuals", 2.0, "intervals are wider than"),
    (
        "spread between groups",
        "size of residuals between levels of seed",
        0.1,
        "seed are unequally noisy",
    ),
    (
        "spread between groups",
        "residuals between levels of seed by smiling",
        0.2,
        "effect of smiling differs between levels of seed",
    ),
    ("effects of levels", "skewness of 1|seed", 1.0, "skewness of 1.seed"),
    (
        "clustering",
        "correlation of residuals within mm(seed_a, seed_b)",
        0.05,
        "share mm.seed_a, seed_b. .* too narrow",
    ),
    ("dispersion", "mean squared residual", 2.25, "about 1.5 times too narrow"),
    ("dispersion", "mean squared residual", 0.5, "too wide"),
    ("category shares", "share of category 2, race black", 0.4, "category 2, race black"),
    ("priors", "race", 0.4, "a prior holds race far"),
    ("R-hat", "race", 1.4, "no number of this model"),
]


def failed(*rows):
    found = pd.DataFrame(
        [(*row[:3], 0.0, 0.0, 0.0, "fail", "", "") for row in rows], columns=COLUMNS
    )
    found.attrs["update"] = 'cb.update(fit, family="t")'
    return found


@pytest.mark.parametrize("failure", FAILURES, ids=lambda one: f"{one[0]}: {one[2]}")
def test_a_failure_of_each_kind_has_its_sentence(failure):
    found = misfit_of(failed(failure))
    assert pd.Series([found.sentence]).str.contains(failure[3]).all(), found.sentence
    assert found.sentence.startswith("Not healed: ")
    assert found.update == 'cb.update(fit, family="t")'


def test_every_check_has_a_meaning():
    others = {"spread between groups", "effects of levels", "clustering", "priors"}
    assert set(MEANINGS) == set(STATISTICS) | others
    assert {one[0] for one in FAILURES} >= set(MEANINGS)


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
