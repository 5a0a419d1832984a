"""What is made of a fit that failed its diagnostics says so, whatever it is."""

import json

import pandas as pd
import pytest

import causalbias as cb

FAILED = json.dumps(["R-hat of x is 9 (limit 1.01)"])


@pytest.fixture(scope="module")
def fit():
    study = cb.simulate(seeds=4, levels={"pose": [-3, 0, 3]}, impostors=4, people=None, rng=1)
    found = cb.fit(
        "distance ~ race*gender + pose + (race|seed)", study, draws=100,
        subset="same_identity and system == 'ResNet-34'",
    )  # fmt: skip
    found.attrs["failures"] = FAILED
    return found


def effects(fit):
    return cb.effects(fit, "race")


# What a fit is turned into; a new case is a line.
MADE = {
    "predictions": lambda fit: cb.predictions(fit, "race"),
    "effects": effects,
    "by group": lambda fit: cb.effects(fit, "race", by="gender"),
    "counterfactual": lambda fit: cb.counterfactual(fit, {"race": "black"}, {"race": "white"}),
    "interaction": lambda fit: cb.interaction(fit, "race", "gender"),
    "dose": lambda fit: cb.dose(fit, "pose"),
    "heterogeneity": lambda fit: cb.heterogeneity(fit, "race"),
    "variance_shares": lambda fit: cb.variance_shares(fit),
    "separation": lambda fit: cb.separation(fit, fit),
    "compare": lambda fit: cb.compare(fit, fit, "race"),
    "equivalence": lambda fit: cb.equivalence(effects(fit), (-0.1, 0.1)),
    "hypotheses": lambda fit: cb.hypotheses(effects(fit), {"a": "effect['black'] / 2"}),
    "with_predictive": lambda fit: cb.with_predictive(fit),
    "with_log_likelihood": lambda fit: cb.with_log_likelihood(fit),
    "one variable": lambda fit: effects(fit)["effect"],
    "ranks": lambda fit: cb.rank_probabilities(effects(fit)["effect"], "race"),
}
TABLED = ("predictions", "effects", "compare", "equivalence", "hypotheses", "interaction")


@pytest.mark.parametrize("name", MADE)
def test_estimates_carry_the_mark(fit, name):
    assert MADE[name](fit).attrs["failures"] == FAILED


@pytest.mark.parametrize("name", TABLED)
def test_tables_carry_the_mark(fit, name):
    pytest.importorskip("great_tables")
    assert not cb.summarise(MADE[name](fit))["converged"].any()
    assert "NOT CONVERGED" in cb.table(MADE[name](fit)).as_raw_html()


def power(fit):
    return cb.design.power(fit, "gender", sizes=[4], simulations=1, draws=50)


FIGURES = {
    "forest": lambda fit: cb.plots.forest(effects(fit)),
    "comparison": lambda fit: cb.plots.comparison(MADE["compare"](fit)),
    "rank_heatmap": lambda fit: cb.plots.rank_heatmap(MADE["ranks"](fit)),
    "assurance": lambda fit: cb.plots.assurance(power(fit)),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_carry_the_mark(fit, name):
    fig = FIGURES[name](fit)
    assert any("NOT CONVERGED" in one.get_text() for one in fig.texts)


def test_what_is_said_of_the_fit_itself(fit):
    assert "R-hat of x" in repr(fit)
    table = cb.prior_sensitivity(fit, cb.effects(fit, "gender"))
    assert isinstance(table, pd.DataFrame)
    assert not table["converged"].any()
