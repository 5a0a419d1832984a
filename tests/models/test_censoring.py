"""Censored rows: the likelihood, by SciPy and by hand, and what is said of their fits."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special, stats

import causalbias as cb
from causalbias import DataError
from causalbias.estimands.predictive import replicated
from causalbias.models.arrays import arrays_of
from causalbias.models.families import family_named
from causalbias.models.fitted import ModelDesign
from causalbias.models.formula.parts import as_formula
from causalbias.models.nuts_model import nuts_model
from causalbias.models.specification import ModelSpec, model_frame
from tests.models.test_shrinkage import natural

LIMIT = 1.4


@pytest.fixture(scope="module")
def rows():
    """y = 1 + 0.5 x + noise of 0.4, cut at 1.4 from above and at 0.4 from below."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=160)
    y = np.clip(1 + 0.5 * x + rng.normal(0, 0.4, 160), 0.4, LIMIT)
    status = np.select([y >= LIMIT, y <= 0.4], ["right", "left"], "none")
    seed = rng.integers(0, 8, 160).astype(str)
    return pd.DataFrame({"y": y, "x": x, "status": status, "seed": seed})


@pytest.fixture(scope="module")
def fit(rows):
    return cb.fit("y | cens(status) ~ x", rows, chains=2)


DENSITIES = {
    "gaussian": lambda mean, p: stats.norm(mean, p["sigma"]),
    "t": lambda mean, p: stats.t(p["nu"], mean, p["sigma"]),
    "lognormal": lambda mean, p: stats.lognorm(p["sigma"], scale=np.exp(mean)),
    "gamma": lambda mean, p: stats.gamma(p["alpha"], scale=mean / p["alpha"]),
}


@pytest.mark.parametrize("family", DENSITIES)
def test_the_likelihood_is_density_or_tail(rows, family):
    """Difference of the log density to that without censoring, against SciPy; counts as repeats."""
    counted = rows.assign(n=1 + np.arange(160) % 3)
    found = []
    for censored in ("status", None):
        spec = ModelSpec("y ~ x", family, counts="n", censored=censored)
        model = ModelDesign.of(spec, model_frame(spec, counted))
        inner = nuts_model(model, arrays_of(model, normal=False))
        point, values = natural(inner, np.random.default_rng(0))
        found.append(float(inner.compile_logp()(values)))
    x = rows["x"].to_numpy()
    eta = point["Intercept"] + point["x"] * (x - x.mean())
    own = DENSITIES[family](family_named(family, None).parent(eta), point)
    y, status, n = rows["y"].to_numpy(), rows["status"].to_numpy(), counted["n"].to_numpy()
    left, right = status == "left", status == "right"
    assert left.sum() > 8
    assert right.sum() > 8
    expected = (n * (own.logcdf(y) - own.logpdf(y)))[left].sum()
    expected += (n * (own.logsf(y) - own.logpdf(y)))[right].sum()
    assert found[0] - found[1] == pytest.approx(expected, abs=1e-5)


def test_tails_keep_their_digits_far_out():
    """At 30 standard deviations, by the asymptotic series of Mills' ratio to its third term.

    log Q(z) = -z^2/2 - log(z sqrt(2 pi)) + log(1 - 1/z^2 + 3/z^4) (Abramowitz and Stegun 26.2.12).
    """
    z, one = 30.0, {"sigma": np.ones((1, 1))}
    by_hand = -450 - np.log(30 * np.sqrt(2 * np.pi)) + np.log(1 - 1 / 900 + 3 / 810_000)
    for side, at in (("left", -z), ("right", z)):
        found = family_named("gaussian").log_tail(np.array([at]), np.zeros((1, 1)), one, side)
        assert found[0, 0] == pytest.approx(by_hand, rel=1e-9)
    log = family_named("lognormal").log_tail(np.exp([z]), np.zeros((1, 1)), one, "right")
    assert log[0, 0] == pytest.approx(by_hand, rel=1e-9)
    # the exponential distribution, a gamma of shape one, has log Q(y) = -y / mean
    shape = {"alpha": np.ones((1, 1))}
    gamma = family_named("gamma").log_tail(np.array([500.0]), np.zeros((1, 1)), shape, "right")
    assert gamma[0, 0] == pytest.approx(-500)


@pytest.mark.slow
def test_it_is_the_tobit_model(fit, rows):
    """Against the maximum of Tobin's likelihood: weak priors, so that the posterior is about it."""
    x, y = rows["x"].to_numpy(), rows["y"].to_numpy()
    left, right = ((rows["status"] == side).to_numpy() for side in ("left", "right"))

    def loss(theta):
        z = (y - theta[0] - theta[1] * x) / np.exp(theta[2])
        return -np.select(
            [left, right],
            [special.log_ndtr(z), special.log_ndtr(-z)],
            stats.norm.logpdf(z) - theta[2],
        ).sum()

    best = optimize.minimize(loss, [1.0, 0.0, 0.0])
    table = cb.summary(fit)
    assert not cb.failures(fit)
    for name, value in zip(("Intercept", "x", "sigma"), best.x, strict=True):
        value = np.exp(value) if name == "sigma" else value
        assert abs(table.loc[name, "estimate"] - value) < 0.3 * table.loc[name, "sd"]
    cut = cb.summary(cb.fit("y ~ x", rows))
    truth = (1.0, 0.5, 0.4)
    for name, true in zip(("Intercept", "x", "sigma"), truth, strict=True):
        assert abs(table.loc[name, "estimate"] - true) < 3.5 * table.loc[name, "sd"]
    assert cut.loc["x", "upper"] < 0.5  # limits taken for responses hide a third of the slope


@pytest.mark.slow
def test_loo_takes_the_tail_of_a_censored_row(fit, rows):
    whole = cb.model_checks.with_log_likelihood(fit)
    values = whole["log_likelihood"]["y"].stack(s=("chain", "draw")).transpose("s", ...).values
    flat = {n: fit["posterior"][n].values.ravel()[:, None] for n in ("Intercept", "x", "sigma")}
    z = (rows["y"].to_numpy() - flat["Intercept"] - flat["x"] * rows["x"].to_numpy()) / flat[
        "sigma"
    ]
    expected = stats.norm.logpdf(z) - np.log(flat["sigma"])
    left, right = ((rows["status"] == side).to_numpy() for side in ("left", "right"))
    expected[:, left], expected[:, right] = (
        stats.norm.logcdf(z[:, left]),
        stats.norm.logsf(z[:, right]),
    )
    np.testing.assert_allclose(values, expected, rtol=1e-9)
    assert np.isfinite(cb.loo(fit).elpd)


@pytest.mark.slow
def test_what_compares_responses_says_that_some_were_not_seen(fit, tmp_path):
    found = cb.check(fit)
    row = found.set_index("check").loc["replicates"]
    assert row["verdict"] == "not run"
    assert "censored" in row["of"]
    assert found.attrs["verdict"].startswith("incomplete")
    for refused in (
        lambda: replicated(fit, draws=10, random_seed=0),
        lambda: cb.plots.pp_check(fit),
        lambda: cb.model_checks.prior_sensitivity(fit, cb.dose(fit, "x")),
        lambda: cb.compare({"a": cb.dose(fit, "x")}, fit),
    ):
        with pytest.raises(DataError):
            refused()
    text = str(fit)
    assert "Formula: y | cens(status) ~ x" in text
    assert "censored: " in text
    assert "from the left" in text
    cb.save(fit, tmp_path / "fit.nc")
    again = cb.open(tmp_path / "fit.nc")
    assert str(again) == text
    np.testing.assert_array_equal(
        cb.model_checks.with_predictive(fit)["posterior_predictive"]["y"],
        cb.model_checks.with_predictive(again)["posterior_predictive"]["y"],
    )
    assert float(cb.model_checks.with_predictive(fit)["posterior_predictive"]["y"].max()) > LIMIT


@pytest.mark.slow
def test_an_update_keeps_what_is_censored(fit):
    again = cb.update(fit, ". ~ . + I(x**2)", draws=50, tune=50, chains=1)
    assert "cens(status)" in str(again)
    assert "cens(status)" in str(
        cb.update(fit, [". ~ .", "sigma ~ x"], draws=20, tune=20, chains=1)
    )


def test_a_fast_engine_asked_for_by_name_declines(rows):
    with pytest.raises(DataError, match=r"declines: rows are censored \(status\)"):
        cb.fit("y | cens(status) ~ x", rows, method="collapsed")
    with pytest.raises(DataError, match=r"declines: rows are censored \(status\)"):
        cb.fit("y | cens(status) ~ x", rows, family="t", method="laplace")


def test_a_formula_is_written_as_it_was():
    for text in ("y | cens(status) ~ x + (1|seed)", "`my y` | cens(`a b`) ~ x"):
        assert str(as_formula(text)) == text
    assert as_formula("`my y` | cens(`a b`) ~ x").censored == "a b"
    several = as_formula(["y | cens(status) ~ x", "sigma ~ x"])
    assert (several.text, several.censored, several.parts) == ("y ~ x", "status", {"sigma": "x"})
    assert "cens" not in ModelSpec("y ~ x").to_json()
    spec = ModelSpec("y ~ x", censored="status")
    assert ModelSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("formula", "options", "message"),
    [
        ("log(y) | cens(status) ~ x", {}, 'family="lognormal"'),
        ("y | cens(status, y2) ~ x", {}, "of intervals"),
        ("y | cens(status == 1) ~ x", {}, "a column as it is"),
        ("y | trunc(0, 1) ~ x", {}, "no truncated responses"),
        ("y | cens(x) ~ seed", {}, "does not say whether"),
        ("y | cens(nothing) ~ x", {}, "the model uses 'nothing'"),
        ("y | cens(status) ~ x + status", {}, "has it otherwise too"),
        ("y | cens(every) ~ x", {}, "every row is censored"),
        ("y | cens(status) ~ x", {"family": "beta"}, "have no likelihood here"),
        ("y | cens(status) ~ x", {"weights": "w"}, "no weights"),
    ],
)
def test_what_is_no_censoring_is_refused_in_words(rows, formula, options, message):
    more = rows.assign(w=1.5, every="left", y=rows["y"] / 2)
    with pytest.raises(DataError, match=message):
        cb.get_prior(formula, more, **options)


def test_rows_that_lack_their_status_are_refused_or_counted(rows):
    lacking = rows.assign(status=rows["status"].mask(np.arange(160) < 3))
    with pytest.raises(DataError, match="missing in 3 of 160 rows"):
        cb.get_prior("y | cens(status) ~ x", lacking)


def test_censored_rows_are_not_summed_up(rows):
    with pytest.raises(DataError, match="sums of rows do not say"):
        cb.summarise_rows("y | cens(status) ~ seed", rows, min_rows=1)
