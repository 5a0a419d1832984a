"""Gaussian fits: priors, seeds, and what the summary says. Against NUTS: see test_nuts_model."""

import json

import numpy as np
import pytest

import causalbias as cb
from causalbias import DataError

FORMULA = "y ~ x*kind + (x|g)"


def moments(fit):
    """Mean, sd and Monte Carlo error of the mean of every parameter but the group effects."""
    table = cb.summary(fit)
    return table["estimate"], table["sd"], table["sd"] / np.sqrt(table["ess_bulk"])


@pytest.mark.slow
def test_few_draws_of_nuts_are_marked(slopes_frame):
    fit = cb.fit(FORMULA, slopes_frame, method="nuts", draws=20, tune=20, chains=2)
    assert cb.failures(fit)
    assert "NOT CONVERGED" in repr(fit)
    table = cb.summarise(cb.effects(fit, "kind"))
    assert not table["converged"].any()
    again = cb.fit(FORMULA, slopes_frame, method="nuts", draws=20, tune=20, chains=2)
    assert fit["posterior"].to_dataset().equals(again["posterior"].to_dataset())


def test_few_draws_are_marked(slopes_frame):
    fit = cb.fit(FORMULA, slopes_frame, draws=20, chains=2)
    assert any("ESS" in reason for reason in cb.failures(fit))
    text = repr(fit)
    assert "Status: NOT CONVERGED" in text
    assert "NOT CONVERGED. Do not use these estimates" in text
    assert "NOT CONVERGED" in fit._repr_html_()
    effect = cb.effects(fit, "kind")
    assert not cb.summarise(effect)["converged"].any()
    assert not cb.summarise(cb.predictions(fit, "kind"))["converged"].any()


def test_a_good_fit_is_not_marked(slopes_fit):
    assert cb.failures(slopes_fit) == []
    assert cb.summarise(cb.effects(slopes_fit, "kind"))["converged"].all()


def test_summary_says_what_was_fitted(slopes_fit, slopes_frame):
    text = repr(slopes_fit)
    assert "Formula: " + FORMULA in text
    assert "Family: gaussian" in text
    assert f"{len(slopes_frame):,} rows" in text
    assert "g: 14 levels" in text
    assert "Status: converged" in text
    assert "collapsed Gaussian (exact)" in text
    for name in ("sd(1|g)", "sd(x|g)", "Intercept", "kind[b]", "x:kind[c]", "sigma"):
        assert f"\n{name} " in text


def test_summary_says_why_nuts_ran_in_place(slopes_frame):
    with pytest.raises(DataError, match="Laplace"):
        cb.fit("y ~ x", slopes_frame, priors={"x": "Laplace(0, 1)"}, method="collapsed")


def test_summary_table_against_the_draws(slopes_fit):
    table = cb.summary(slopes_fit, prob=0.8)
    draws = slopes_fit["posterior"]["x"].values.ravel()
    row = table.loc["x"]
    assert row["estimate"] == pytest.approx(draws.mean())
    assert row["sd"] == pytest.approx(draws.std(ddof=1))
    assert [row["lower"], row["upper"]] == pytest.approx(np.quantile(draws, [0.1, 0.9]))
    everything = cb.summary(slopes_fit, effects=True)
    assert (everything["kind"] == "effect").sum() == 2 * 14
    with pytest.raises(ValueError, match="prob"):
        cb.summary(slopes_fit, prob=95)


def test_same_seed_same_draws(slopes_frame):
    one, two, other = (
        cb.fit("y ~ x + (1|g)", slopes_frame, draws=100, random_seed=seed)["posterior"].to_dataset()
        for seed in (1, 1, 2)
    )
    assert one.identical(two)
    assert not one.equals(other)


def test_order_of_rows_does_not_matter(slopes_frame):
    shuffled = slopes_frame.sample(frac=1, random_state=4)
    one = cb.fit("y ~ x + (1|g)", slopes_frame)
    other = cb.fit("y ~ x + (1|g)", shuffled)
    mean, sd, error = moments(one)
    assert (np.abs(mean - moments(other)[0]) < 6 * error).all()
    assert moments(other)[1].to_numpy() == pytest.approx(sd.to_numpy(), rel=0.1)


def test_flat_priors_give_least_squares(slopes_frame):
    priors = {"Intercept": "Flat()", "x": "Flat()", "kind": "Flat()"}
    table = cb.summary(cb.fit("y ~ x + kind", slopes_frame, priors=priors))
    design = np.column_stack(
        [np.ones(len(slopes_frame)), slopes_frame["x"], *(slopes_frame["kind"] == k for k in "bc")]
    ).astype(float)
    beta, rest, *_ = np.linalg.lstsq(design, slopes_frame["y"], rcond=None)
    se = np.sqrt(rest / (len(design) - 4) * np.diag(np.linalg.inv(design.T @ design)))
    ours = table.loc[["Intercept", "x", "kind[b]", "kind[c]"]]
    # The intercept is that of the rows as they are, not of centred ones.
    assert (np.abs(ours["estimate"] - beta) < 5 * se / np.sqrt(ours["ess_bulk"])).all()
    assert ours["sd"].to_numpy() == pytest.approx(se, rel=0.06)


def test_tight_priors_pull(slopes_frame):
    free = cb.summary(cb.fit("y ~ x + (1|g)", slopes_frame))
    held = cb.summary(
        cb.fit(
            "y ~ x + (1|g)",
            slopes_frame,
            priors={"x": "Normal(-2, 0.01)", "1|g": "HalfNormal(0.01)"},
        )
    )
    assert held.loc["x", "estimate"] == pytest.approx(-2, abs=0.03)
    assert abs(free.loc["x", "estimate"] + 2) > 1
    assert held.loc["sd(1|g)", "estimate"] < 0.05 < free.loc["sd(1|g)", "estimate"]


def test_priors_are_stated(slopes_frame):
    fit = cb.fit("y ~ x", slopes_frame, priors={"x": "Normal(0, 3)"})
    assert "x ~ Normal(0, 3)" in repr(fit)
    assert json.loads(fit.attrs["spec"])["priors"] == {"x": "Normal(0, 3)"}


def test_a_study_goes_in_and_the_subset_is_told():
    study = cb.demo_study()
    fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'", draws=100)
    assert fit.attrs["n_rows"] == 120
    assert fit.attrs["n_excluded"] == 360
    assert "360 left out by subset: question == 'age'" in repr(fit)
    machine = cb.fit(
        "distance ~ C(level_b)",
        study,
        draws=100,
        subset="same_identity and level_a == 0 and attribute == 'pose'",
    )
    assert machine.attrs["n_rows"] == 60


def test_html_of_a_hostile_label(slopes_frame):
    frame = slopes_frame.assign(kind=slopes_frame["kind"] + "<script>")
    page = cb.fit("y ~ kind", frame, draws=100)._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
