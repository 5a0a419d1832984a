"""What cannot be asked of a fit, and says so."""

import pandas as pd
import pytest

import causalbias as cb
from causalbias import DataError


@pytest.fixture(scope="module")
def fit():
    frame = pd.DataFrame({"y": range(12), "a": [0, 1, 2] * 4, "b": ["u", "v"] * 6, "one": "k"})
    return cb.fit("y ~ C(a) + b", frame.assign(y=frame["y"] % 5), draws=50)


@pytest.fixture(scope="module")
def one_level():
    frame = pd.DataFrame({"y": [1.0, 2, 4, 3], "a": 7, "x": [0, 1, 1, 0]})
    return cb.fit("y ~ x:a", frame, draws=50)


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda fit: cb.effects(fit, "nope"), "'nope' is not a variable"),
        (lambda fit: cb.effects(fit, "one"), "'one' is not a variable"),
        (lambda fit: cb.effects(fit, "y"), "'y' is not a variable"),
        (lambda fit: cb.effects(fit, "a", by="nope"), "'nope' is not a variable"),
        (lambda fit: cb.effects(fit, "a", by="a"), "both contrasted and in by"),
        (lambda fit: cb.effects(fit, "a", by=["b", "a"]), "both contrasted and in by"),
        (lambda fit: cb.effects(fit, "a", reference=9), "9 is not a level"),
        (lambda fit: cb.effects(fit, "a", reference="x"), "'x' is not a level"),
        (lambda fit: cb.effects(fit, "b", reference="w"), "use one of u, v"),
        (lambda fit: cb.effects(fit, "a", scale="odds"), "no scale 'odds'"),
        (lambda fit: cb.effects(fit, "a", population="all"), "no population 'all'"),
        (lambda fit: cb.predictions(fit, "nope"), "'nope' is not a variable"),
        (lambda fit: cb.predictions(fit, ["a", "y"]), "'y' is not a variable"),
    ],
)
def test_refused(fit, ask, told):
    with pytest.raises(DataError, match=told) as caught:
        ask(fit)
    assert type(caught.value) is DataError


def test_factor_of_one_level(one_level):
    with pytest.raises(DataError, match="single level 7"):
        cb.effects(one_level, "a")


@pytest.mark.slow
def test_ordered_words_have_no_mean_category():
    order = pd.CategoricalDtype(["low", "mid", "high"], ordered=True)
    frame = pd.DataFrame({"y": ["low", "mid", "high", "mid"] * 5, "a": [0, 1] * 10})
    fit = cb.fit(
        "y ~ C(a)", frame.astype({"y": order}), family="cumulative", draws=20, tune=20, chains=1
    )
    with pytest.raises(DataError, match="whole numbers"):
        cb.effects(fit, "a")
    assert cb.effects(fit, "a", scale="link")["effect"].sizes["a"] == 1


@pytest.mark.parametrize(("same", "scale", "use"), [(True, "FMR", "FNMR"), (False, "FNMR", "FMR")])
def test_no_error_rate_of_the_other_kind_of_pairs(same, scale, use):
    """The kind is known where the formula does not name it: rows were selected by it."""
    rows = pd.DataFrame(
        {
            "distance": [0.2, 0.4, 0.3, 0.6, 0.5, 0.1] * 4,
            "race": ["a", "b"] * 12,
            "same_identity": [True, True, False, False] * 6,
        }
    )
    fit = cb.fit("distance ~ race", rows, subset=f"same_identity == {same}", draws=50)
    with pytest.raises(DataError, match=f"use {use}"):
        cb.predictions(fit, "race", scale=scale, threshold=0.3)
    assert cb.predictions(fit, "race", scale=use, threshold=0.3)["prediction"].sizes["race"] == 2
