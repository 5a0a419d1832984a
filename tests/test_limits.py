"""Numerical limits beyond `fit`'s own (tests/models/test_numerical_limits.py): right, or refused.

A new case is a line: what is done, and the reason of the refusal, or a check of what comes out.
"""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import causalbias as cb
from causalbias import DataError
from causalbias.plots import render

FAMILIES = ("gaussian", "cumulative", "bernoulli", "binomial")


@pytest.fixture(scope="module")
def study():
    return cb.simulate(
        seeds=6,
        levels={"pose": [-3, 0, 3]},
        impostors=4,
        people=cb.simulation.People(annotators=40),
        random_seed=1,
    )


def human(study, change):
    """The study with its judgements changed."""
    found = study.copy()
    found["human"] = xr.DataTree(change(study["human"].to_dataset()))
    return found


def scaled(study, unit):
    found, machine = study.copy(), study["machine"].to_dataset()
    machine["distance"] = machine["distance"] * unit
    machine["threshold"] = machine["threshold"] * unit
    found["machine"] = xr.DataTree(machine)
    return found


def distances(study, change):
    """The rows of distances, changed, as error rates take them."""
    frame = cb.to_frame(study, "machine")
    return change(frame)


def one_seed(frame):
    return frame[(frame["seed_a"] == frame["seed_a"].iloc[0]) & frame["same_identity"]]


def pairs(study, change):
    return cb.joint(
        change(cb.joint_model.joint_rows(study, "ResNet-34")),
        "race",
        groups={"seed": "seed"},
        subset="same_identity",
        draws=20,
        tune=20,
        chains=1,
    )


def one_annotator(one):
    names = np.repeat(one["annotator"].values[:1], one.sizes["judgement"])
    return one.assign_coords(annotator=("judgement", names))


def one_category(one):
    return one.assign(score=one["score"] * 0 + 1)


def two_answers(one):
    """Of two annotators, about two pairs."""
    asked = (one["question"] == "identity").values
    _, first = np.unique(one["pair"].values[asked], return_index=True)
    some = one.isel(judgement=np.flatnonzero(asked)[first[:2]])
    return some.assign_coords(annotator=("judgement", one["annotator"].values[:2]))


def none(one):
    return one.isel(judgement=slice(0))


def same(one):
    return one.assign(distance=0.5)


def missing(one):
    return one.assign(distance=np.nan)


REFUSED = {
    "simulate, one seed": (lambda _: cb.simulate(1), "1 seeds"),
    "reliability, one annotator": (lambda s: cb.reliability(human(s, one_annotator)), "annotator"),
    "reliability, one category": (lambda s: cb.reliability(human(s, one_category)), "the same"),
    "reliability, one answer": (lambda s: cb.reliability(human(s, two_answers)), "two answers"),
    "reliability, none": (lambda s: cb.reliability(human(s, none)), "has no answers"),
    "hcic, none": (lambda s: cb.agreement.hcic(human(s, none)), "has no answers"),
    "consensus, none": (lambda s: cb.agreement.consensus(human(s, none)), "has no answers"),
    "graded_response, none": (lambda s: cb.agreement.graded_response(human(s, none)), "no answer"),
    "rates, one seed": (
        lambda s: cb.error_rates(distances(s, one_seed), by="race", fmr=0.05),
        "no impostor pairs",
    ),
    "det, one seed": (lambda s: cb.det(distances(s, one_seed), "race"), "no group has both"),
    "rates, few pairs": (lambda s: cb.error_rates(s, by="race", fmr=1e-4), "are too few"),
    "threshold, no spread": (
        lambda s: cb.threshold_at(distances(s, same), 0.01),
        "are too few for a false match rate",
    ),
    "equal error rate, no spread": (
        lambda s: cb.equal_error_rate(distances(s, same), "race"),
        "all distances are the same",
    ),
    "curves, too few errors": (
        lambda s: cb.plots.det_curves(cb.det(s, "race", draws=50)),
        "all groups have too few errors",
    ),
    "joint, no spread of distances": (lambda s: pairs(s, same), "every distance is 0.5"),
    "joint, no spread of scores": (
        lambda s: pairs(s, lambda one: one.assign(score=2.0)),
        "every score is 2",
    ),
    "joint, one pair": (
        lambda s: pairs(s, lambda one: one[one["same_identity"] & (one["answers"] > 1)][:1]),
        "so nothing can be estimated",
    ),
    "joint, one level": (
        lambda s: pairs(s, lambda one: one[one["race"] == "white"]),
        "one level only",
    ),
    "joint, all missing": (lambda s: pairs(s, missing), "no pair has distance, answers"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_reason(study, case):
    attempt, reason = REFUSED[case]
    with pytest.raises(DataError, match=reason):
        attempt(study)


@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_error_rates_know_no_units(study, unit):
    """Rates at a threshold and curves are those of distances in any unit."""
    other = scaled(study, unit)
    for make in (
        lambda one, u: cb.error_rates(one, by="race", threshold=0.6 * u, draws=50)["rate"],
        lambda one, _: cb.det(one, "race", draws=50)["fnmr"],
        lambda one, _: cb.equal_error_rate(one, "race", draws=50)["rate"],
        lambda one, u: cb.threshold_at(one, 0.5, draws=50)["threshold"] / u,
    ):
        np.testing.assert_allclose(make(other, unit), make(study, 1.0), rtol=1e-6)
    counts = cb.rates.score_histograms(other, "race").sel(system="ResNet-34")
    assert render(cb.plots.score_distributions(counts), "png")


@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_a_joint_model_knows_no_units(study, unit):
    plain = pairs(study, lambda one: one).posterior
    found = pairs(study, lambda one: one.assign(distance=one["distance"] * unit)).posterior
    np.testing.assert_allclose(found["correlation"], plain["correlation"], rtol=1e-4)
    distance = {"outcome": "distance"}
    np.testing.assert_allclose(found["sd"].sel(distance) / unit, plain["sd"].sel(distance), 1e-4)


def test_answers_all_alike_say_nothing_of_differences(study):
    with pytest.raises(cb.DataError, match="all answers are the same"):
        cb.agreement.graded_response(human(study, one_category))
    assert (cb.agreement.hcic(human(study, one_category))["mean"] == 1).all()


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    x, group = rng.normal(size=60), np.repeat(list("abcdef"), 10)
    frame = pd.DataFrame({"x": x, "g": group, "k": np.tile(["a", "b"], 30), "trials": 8})
    chance = 1 / (1 + np.exp(-x))
    return frame.assign(
        gaussian=x + rng.normal(size=60),
        bernoulli=rng.binomial(1, chance),
        binomial=rng.binomial(8, chance),
        cumulative=rng.integers(0, 4, 60),
    )


def response(family):
    return "p(binomial, trials)" if family == "binomial" else family


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_a_predictor_in_any_unit(rows, family, unit):
    """Slopes change their unit, and averages not at all."""
    formula = f"{response(family)} ~ x"
    plain, found = (
        cb.dose(cb.fit(formula, one, family=family, draws=200), "x", grid=[float(one["x"][0])])
        for one in (rows, rows.assign(x=rows["x"] * unit))
    )
    np.testing.assert_allclose(found["prediction"], plain["prediction"], rtol=1e-4)
    np.testing.assert_allclose(found["average_slope"] * unit, plain["average_slope"], rtol=1e-3)


@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_a_predictor_of_shares_in_any_unit(rows, unit):
    """NUTS, whose draws are others in another unit: equal up to its Monte Carlo error."""
    share = np.clip(1 / (1 + np.exp(-rows["x"] - rows["gaussian"])), 1e-3, 1 - 1e-3)
    plain, found = (
        cb.dose(cb.fit("y ~ x", one.assign(y=share), family="beta", draws=500), "x", grid=[0.0])
        for one in (rows, rows.assign(x=rows["x"] * unit))
    )
    for name, scale in (("prediction", 1.0), ("average_slope", unit)):
        one, other = plain[name], found[name] * scale
        assert abs(float(one.mean() - other.mean())) < 0.2 * float(one.std())
        assert float(other.std() / one.std()) == pytest.approx(1, abs=0.15)


def test_a_panic_of_the_sampler_is_an_error_with_a_mend(rows, monkeypatch):
    """nutpie's exception is caught by no `except Exception`."""

    class PanicException(BaseException):
        """As pyo3 names it."""

    def panics(*_, **__):
        raise PanicException("Poisoned sampler state mutex")

    monkeypatch.setattr("pymc.sample", panics)
    with pytest.raises(DataError, match=r"nowhere to start.*narrow the priors"):
        cb.fit("gaussian ~ x", rows, method="nuts", draws=20)


@pytest.mark.parametrize("family", FAMILIES)
def test_one_seed_or_one_row(rows, family):
    formula = f"{response(family)} ~ x"
    with pytest.raises(DataError, match="one level, 'only'"):  # as lme4 does
        cb.fit(f"{formula} + (1|g)", rows.assign(g="only"), family=family, draws=500)
    with pytest.raises(DataError, match=r"one row|all responses are"):
        cb.fit(formula, rows[:1], family=family)


@pytest.mark.parametrize("family", FAMILIES[1:])
def test_perfectly_separated_groups_have_a_finite_effect(rows, family):
    """Of the prior's scale, in the right direction, by a fit that passes its diagnostics."""
    apart = {"bernoulli": 1, "binomial": 8, "cumulative": 3}[family] * (rows["k"] == "a")
    formula = f"{response(family)} ~ k"
    fit = cb.fit(formula, rows.assign(**{family: apart}), family=family, draws=500)
    assert not cb.failures(fit)
    table = cb.summarise(cb.effects(fit, "k", scale="link"))
    assert np.isfinite(table[["lower", "upper"]]).all(axis=None)
    assert (table["upper"] < 0).all()
    assert render(cb.plots.forest(cb.effects(fit, "k", scale="link")), "png")


def test_sixty_categories_end_in_seconds_where_they_have_rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=3000)
    mark = pd.qcut(x + rng.logistic(size=3000), 60, labels=False)
    fit = cb.fit("y ~ x", pd.DataFrame({"y": mark, "x": x}), family="cumulative", draws=500)
    assert "Laplace" in fit.attrs["engine"]
    slope = cb.summary(fit).loc["x"]
    assert slope["lower"] < 1 < slope["upper"]


def test_more_categories_than_rows_tell_of_are_refused():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"y": np.repeat(np.arange(90), 2), "x": rng.normal(size=180)})
    with pytest.raises(DataError, match=r"90 categories of 180 rows.*fit it as gaussian"):
        cb.fit("y ~ x", frame, family="cumulative")
