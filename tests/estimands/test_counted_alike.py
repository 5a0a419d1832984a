"""Rows, their counts and binomial cells are one data set; levels are matched by label."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import special

import causalbias as cb
from causalbias.arguments import described, flag_in
from causalbias.errors import DataError


@pytest.fixture(scope="module")
def fits():
    """One data set thrice: rows, counts of rows, binomial cells; levels unequally frequent."""
    rng = np.random.default_rng(0)
    k = np.repeat([0, 1], [540, 60])
    hit = (rng.random(600) < special.expit(-1 + 2 * k)).astype(int)
    rows = pd.DataFrame({"k": k, "hit": hit})
    counted = rows.groupby(["k", "hit"]).size().rename("many").reset_index()
    cells = rows.groupby("k")["hit"].agg(["sum", "size"]).reset_index()
    cells = cells.rename(columns={"sum": "hits", "size": "of"})
    return {
        "rows": cb.fit("hit ~ k", rows, family="bernoulli", draws=300),
        "counts": cb.fit("hit ~ k", counted, family="bernoulli", counts="many", draws=300),
        "binomial": cb.fit("p(hits, of) ~ k", cells, family="binomial", draws=300),
    }, rows


def test_shares_of_variance_are_the_same_of_rows_and_of_their_counts(fits):
    shares = {
        name: float(cb.variance_shares(fit)["share"].sel(source="k").median())
        for name, fit in fits[0].items()
    }
    assert shares["counts"] == pytest.approx(shares["rows"], abs=0.01)
    assert shares["binomial"] == pytest.approx(shares["rows"], abs=0.01)


@pytest.mark.parametrize("name", ["rows", "counts", "binomial"])
def test_the_outcomes_sd_is_over_observations(fits, name):
    every, rows = fits
    found = cb.compare(every["rows"], every[name], "k", names=("a", "b")).sel(unit="outcome sd")
    rates = rows.groupby("k")["hit"].mean()
    truth = (rates[1] - rates[0]) / rows["hit"].std()
    assert float(found["effect_b"].median()) == pytest.approx(truth, abs=0.05)


def test_the_outcomes_sd_of_a_transformed_response_is_its_columns():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"k": np.arange(400) % 2})
    rows["y"] = np.exp(0.3 * rows["k"] + rng.normal(0, 0.3, 400))
    logs = cb.fit("log(y) ~ k", rows, draws=200)
    plain = cb.fit("y ~ k", rows, draws=200)
    found = cb.compare(plain, logs, "k").sel(unit="outcome sd", k=1).median(["chain", "draw"])
    assert float(found["effect_b"]) == pytest.approx(float(found["effect_a"]), abs=0.1)


@pytest.mark.parametrize("by", [(), "g"])
def test_levels_are_matched_by_label_whatever_their_type(by):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"k": np.arange(300) % 3, "g": np.arange(300) // 3 % 2})
    rows["y"] = rows["k"] + rng.normal(0, 0.5, 300)
    texts = rows.assign(k=rows["k"].astype(str), g=rows["g"].astype(str))
    numbers, factors = (cb.fit("y ~ C(k)*g", one, draws=200) for one in (rows, texts))
    same = cb.compare(numbers, numbers, "k", by=by, names=("a", "b"))
    for a, b in ((numbers, factors), (factors, numbers)):
        found = cb.compare(a, b, "k", by=by, names=("a", "b"))
        assert list(map(str, found["k"].values)) == ["1", "2"]
        np.testing.assert_allclose(
            found["effect_b"].median(["chain", "draw"]),
            same["effect_b"].median(["chain", "draw"]),
            atol=0.15,
        )


def test_categories_that_are_texts_lack_the_outcomes_sd_alone():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"k": np.arange(300) % 2})
    latent = rows["k"] + rng.logistic(size=300)
    rows["number"] = np.digitize(latent, [-0.5, 1.0])
    rows["text"] = pd.Categorical.from_codes(
        rows["number"], ["low", "middle", "high"], ordered=True
    )
    number, text = (
        cb.fit(f"{name} ~ k", rows, family="cumulative", draws=200) for name in ("number", "text")
    )
    found = cb.compare(number, text, "k")
    missing = found["effect_b"].isnull().all(["chain", "draw", "k"])
    lacking = missing.sel(unit=missing).coords["unit"].values.tolist()
    assert lacking == ["pair sd", "outcome sd"]  # of pairs neither model says anything
    assert not found["effect_a"].drop_sel(unit="pair sd").isnull().any()
    assert "low, middle, high have no mean" in found.attrs["no_outcome_sd"]
    rest = found.sel(unit="residual sd")
    assert float(rest["effect_b"].median()) == pytest.approx(
        float(rest["effect_a"].median()), abs=0.1
    )


@pytest.mark.parametrize("value", ["no", "False", 0, 1, None, [True]])
def test_switches_are_true_or_false(fits, value):
    fit = fits[0]["rows"]
    for call in (
        lambda: flag_in(value, "opposite"),
        lambda: cb.compare(fit, fit, "k", opposite=value),
        lambda: cb.summary(fit, effects=value),
        lambda: cb.recognition.Embedder("name", len, (1, 1), "hash", unit=value),
        lambda: cb.open("nothing.nc", lazy=value),
        lambda: cb.error_rates(pd.DataFrame(), "race", threshold=1, generalised=value),
        lambda: cb.det(pd.DataFrame(), "race", generalised=value),
        lambda: cb.threshold_at(pd.DataFrame(), 0.01, per_group=value),
        lambda: cb.stimuli.predicted_leaks(None, orthogonalised=value),
        lambda: cb.design.label_studio_config("identity", 0, 1, pair=value),
        lambda: cb.datasets.to_release(None, "nowhere", archive=value),
        lambda: cb.stimuli.read_manifest("nothing.csv", images=value),
    ):
        with pytest.raises(DataError, match=f"is {re.escape(described(value))}.*=True or"):
            call()
