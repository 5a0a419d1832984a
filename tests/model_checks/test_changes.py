"""What `check` finds, it answers with a line that runs and heals."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.model_checks.changes import line, together
from causalbias.model_checks.statistics import kurtosis_of_spread

DRAWS = {"draws": 250, "chains": 2}
OF_DRAWS = ("R-hat", "bulk ESS", "tail ESS", "weights' ESS", "Pareto k", "divergences")


def rows(rng: np.random.Generator) -> pd.DataFrame:
    """15 seeds by 2 groups by 8 faces."""
    n = 240
    frame = pd.DataFrame({"seed": np.repeat(np.arange(15), 16), "g": np.tile(["a", "b"], n // 2)})
    frame["mean"] = 0.4 * (frame["g"] == "b") + rng.normal(0, 0.5, 15)[frame["seed"]]
    return frame


def spread(rng):
    frame = rows(rng)
    noise = np.where(frame["g"] == "b", 2.5, 1.0) * rng.normal(size=len(frame))
    return frame.assign(y=frame["mean"] + noise), "y ~ g + (1|seed)", {}


def people(rng):
    frame = rows(rng)
    noise = np.exp(rng.normal(0, 0.8, 15))[frame["seed"]] * rng.normal(size=len(frame))
    return frame.assign(y=frame["mean"] + noise), "y ~ g + (1|seed)", {}


def clusters(rng):
    frame = rows(rng)
    pair = frame["seed"].astype(str) + "-" + pd.Series(np.arange(len(frame)) // 2 % 4).astype(str)
    shared = rng.normal(0, 1, len(pair.unique()))[pd.factorize(pair)[0]]
    y = frame["mean"] + shared + 0.7 * rng.normal(size=len(frame))
    return frame.assign(y=y, pair=pair), "y ~ g + (1|seed)", {}


def crossed(rng):
    frame = rows(rng)
    frame["pose"] = np.arange(len(frame)) // 2 % 4
    y = frame["mean"] + 2.0 * ((frame["g"] == "b") & (frame["pose"] == 3))
    return frame.assign(y=y + rng.normal(size=len(frame))), "y ~ g + pose + (1|seed)", {}


CASES = {
    "unequal spread": (spread, 'cb.update(fit, sigma="~ g")'),
    "unequal people": (people, 'cb.update(fit, sigma="~ (1|seed)")'),
    "clusters": (clusters, 'cb.update(fit, formula=". ~ . + (1|pair)")'),
    "interaction": (crossed, 'cb.update(fit, formula=". ~ . + g*C(pose)")'),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_line_is_pasted_and_the_new_fit_passes(case):
    make, expected = CASES[case]
    frame, formula, given = make(np.random.default_rng(1))
    fit = cb.fit(formula, frame, **DRAWS, **given)
    found = cb.check(fit)
    assert found.attrs["verdict"] == "fail"
    assert found.attrs["update"] == expected, found
    assert expected in repr(found)
    healed = cb.check(eval(found.attrs["update"], {"cb": cb, "fit": fit}))
    bad = healed[(healed["verdict"] == "fail") & ~healed["check"].isin(OF_DRAWS)]
    assert bad.empty, healed


def test_a_check_that_passes_has_no_line():
    frame, formula, _ = clusters(np.random.default_rng(1))
    found = cb.check(cb.fit(formula + " + (1|pair)", frame, **DRAWS))
    assert found.attrs["update"] == ""
    assert not found["update"].any()


def test_lines_of_several_faults_are_one():
    parts = [{"sigma": "~ g"}, {"family": "t"}, {"sigma": "~ (1|who)"}, {"sigma": "~ g"}]
    assert together(parts) == {"sigma": "~ g + (1|who)", "family": "t"}
    assert line(together(parts)) == 'cb.update(fit, sigma="~ g + (1|who)", family="t")'
    assert together([{"sigma": "~ . + g"}, {"sigma": "~ . + h"}]) == {"sigma": "~ . + g + h"}


def test_spread_of_the_mean_is_left_to_a_family_that_has_it():
    assert together([{"family": "gamma"}, {"sigma": "~ g"}]) == {"family": "gamma"}


def test_kurtosis_of_a_mixture_of_normals():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(200), 50)
    sd = np.exp(rng.normal(0, 0.4, 200))
    found = kurtosis_of_spread(sd[codes] * rng.standard_normal(len(codes)), codes)
    assert found == pytest.approx(3 * (np.mean(sd**4) / np.mean(sd**2) ** 2 - 1), rel=0.1)
    assert abs(kurtosis_of_spread(rng.standard_normal(len(codes)), codes)) < 0.05
