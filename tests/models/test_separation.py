"""Responses that a column predicts without error: said, and answered as the priors allow."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalbias as cb
from causalbias.errors import SamplingWarning
from causalbias.models.fitted import ModelDesign
from causalbias.models.separated import separation
from causalbias.models.specification import ModelSpec, model_frame


def said(formula, frame, family="bernoulli"):
    spec = ModelSpec(formula, family)
    return separation(ModelDesign.of(spec, model_frame(spec, frame)))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["bernoulli", "binomial", "cumulative"]))
def test_cells_of_one_response_are_said_and_no_others(seed, family):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": rng.choice(list("pqr"), 12), "b": rng.choice(list("uv"), 12)})
    frame["y"] = rng.integers(0, 3 if family == "cumulative" else 2, 12)
    if frame["y"].nunique() < 2 or frame["a"].nunique() < 2 or frame["b"].nunique() < 2:
        return
    top = frame["y"].max()
    ends = frame["y"].isin([frame["y"].min(), top])
    of = "p(y, 1)" if family == "binomial" else "y"
    notes = said(f"{of} ~ a + b", frame, family)
    separated = {
        f"{name} {level}"
        for name in "ab"
        for level, rows in frame.groupby(name).groups.items()
        if frame["y"][rows].nunique() == 1 and ends[rows].all()
    }
    assert {one.split(" of ")[1].split(" have")[0] for one in notes[:3]} <= separated
    assert min(len(separated), 3) == len([one for one in notes if " have " in one])


def test_a_number_that_orders_responses_is_said():
    frame = pd.DataFrame({"x": np.arange(8.0), "y": [0, 0, 0, 1, 1, 1, 1, 1]})
    assert said("y ~ x", frame)[0].startswith("x is larger in all rows of response 1 than in any")
    assert said("y ~ x", frame.assign(x=-frame["x"]))[0].startswith("x is smaller")
    assert not said("y ~ x", frame.assign(y=[0, 0, 1, 0, 1, 1, 1, 1]))


def test_groups_of_one_response_each_are_answered_without_a_chain():
    """The reference is NUTS, 2 chains of 1,000: sd 8.22, Intercept -1.25, sds 1.51 and 1.11."""
    group = np.repeat(np.arange(60), 3)
    frame = pd.DataFrame({"g": group, "race": np.where(group % 2, "a", "b")})
    frame["y"] = (group * 7 % 5 < 2).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("error", SamplingWarning)
        fit = cb.fit("y ~ race + (1|g)", frame, family="bernoulli")
    table = cb.summary(fit)
    assert table["estimate"][["sd(1|g)", "Intercept"]].tolist() == pytest.approx(
        [8.22, -1.25], abs=0.2
    )
    assert table["sd"][["sd(1|g)", "Intercept"]].tolist() == pytest.approx([1.51, 1.11], abs=0.15)


def test_a_separated_fit_says_it():
    frame = pd.DataFrame({"race": list("ab") * 20, "y": [0, 1, 1, 1] * 10})
    fit = cb.fit("y ~ race", frame, family="bernoulli", draws=100)
    assert "all 20 rows of race b have the response 1" in json.loads(fit.attrs["notes"])[0]
    assert "Note: all 20 rows of race b" in str(fit)
