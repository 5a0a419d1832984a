"""Censored and truncated rows: the likelihood, by SciPy and by hand, and what their fits say."""

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
from causalbias.models.formula.limits import Limits, states_of
from causalbias.models.formula.parts import as_formula
from causalbias.models.limits import log_likelihood as likelihood_with
from causalbias.models.limits import simulate_between
from causalbias.models.nuts_model import nuts_model
from causalbias.models.specification import ModelSpec, limits_of_rows, model_frame
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


def log_likelihood(own, y, status, upper, lb=-np.inf, ub=np.inf):
    """Of rows, by the distribution function alone: `own` is a frozen distribution of SciPy."""
    low = np.select([status == "left", status == "none"], [lb, np.nan], y)
    high = np.select([status == "right", status == "interval"], [ub, upper], y)
    between = np.log(own.cdf(high) - own.cdf(low))
    inside = np.log(own.cdf(ub) - own.cdf(lb))
    return np.where(status == "none", own.logpdf(y), between) - inside


LIMITS = {
    "censored": Limits("status"),
    "intervals": Limits("status", "upper"),
    "truncated": Limits(lb=0.3, ub="cut"),
    "one bound": Limits(ub="cut"),
    "both": Limits("status", "upper", 0.35, "cut"),
}


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("family", DENSITIES)
def test_the_likelihood_is_that_of_what_is_known(rows, family, limits):
    """Difference of the log density to that without limits, against SciPy; counts as repeats."""
    at = np.arange(160)
    data = rows.assign(n=1 + at % 3, cut=np.where(at % 4, 1.5, np.inf), upper=np.nan)
    limits = LIMITS[limits]
    between = (data["status"] == "none") & (at % 2 == 0) & (limits.upper is not None)
    data.loc[between, "status"] = "interval"
    data.loc[between, "upper"] = data["y"] + 0.05
    found, by_draws = [], []
    for one in (limits, Limits()):
        spec = ModelSpec("y ~ x", family, counts="n", limits=one)
        frame = model_frame(spec, data)
        model = ModelDesign.of(spec, frame)
        inner = nuts_model(model, arrays_of(model, normal=False))
        point, values = natural(inner, np.random.default_rng(0))
        found.append(float(inner.compile_logp()(values)))
        x = rows["x"].to_numpy()
        eta = point["Intercept"] + point["x"] * (x - x.mean())
        own = family_named(family, None)
        draws = {name: np.full((2, 1), point[name]) for name in own.parameters}
        rowwise = np.tile(eta, (2, 1)), draws
        known = limits_of_rows(spec, frame)
        y = frame["y"].to_numpy()
        by_draws.append(
            own.log_likelihood(y, *rowwise)
            if known is None
            else likelihood_with(own, y, known, *rowwise)
        )
    law = DENSITIES[family](own.parent(eta), point)
    status = data["status"].to_numpy() if limits.status else np.full(160, "none")
    bounds = {
        name: data[one].to_numpy() if isinstance(one, str) else one
        for name, one in (("lb", limits.lb), ("ub", limits.ub))
        if one is not None
    }
    expected = log_likelihood(law, y, status, data["upper"].to_numpy(), **bounds)
    np.testing.assert_allclose(by_draws[0], np.tile(expected, (2, 1)), rtol=1e-8, atol=1e-8)
    added = data["n"].to_numpy() @ (expected - law.logpdf(y))
    assert abs(added) > 0.1
    assert found[0] - found[1] == pytest.approx(added, abs=1e-5)


@pytest.mark.parametrize("family", DENSITIES)
@pytest.mark.parametrize("bounds", [(0.5, 0.9), (0.9, np.inf), (-np.inf, 0.4), (6.0, 6.5)])
def test_new_responses_within_bounds_follow_the_distribution_given_these(family, bounds):
    """The quantiles of 4,000 draws, by Kolmogorov's test against SciPy; the last is far out."""
    own, many = family_named(family, None), 4000
    point = {"sigma": 0.5, "nu": 5.0, "alpha": 4.0}
    parameters = {name: np.full((many, 1), point[name]) for name in own.parameters}
    eta = np.full((many, 1), 0.1)
    ends = tuple(np.array([one]) for one in bounds)
    new = simulate_between(own, np.random.default_rng(3), ends, eta, parameters)[:, 0]
    assert new.min() >= bounds[0]
    assert new.max() <= bounds[1]
    law = DENSITIES[family](own.parent(eta)[0, 0], point)
    upper = law.sf(bounds[0]) - law.sf(bounds[1])  # of the upper tail: digits far out
    shares = (law.sf(bounds[0]) - law.sf(new)) / upper
    assert stats.kstest(shares, "uniform").pvalue > 0.001


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
def test_the_laplace_engine_and_nuts_have_one_posterior(rows):
    """Of rows that are observed, censored, in an interval and truncated, in groups.

    Errors of 2,000 effective draws are 0.03 posterior sds of a mean, and 2% of an sd.
    """
    data = rows[rows["y"] < LIMIT].assign(upper=lambda d: d["y"] + 0.1)
    data.loc[data.index[::7], "status"] = "interval"
    formula = "y | cens(status, upper) + trunc(ub=1.5) ~ x + (1|seed)"
    laplace, nuts = (
        cb.fit(formula, data, method=method, draws=1500, chains=2) for method in ("auto", "nuts")
    )
    assert laplace.attrs["engine"].startswith("Laplace, importance-weighted")
    assert not cb.failures(laplace)
    ours, theirs = cb.summary(laplace), cb.summary(nuts)
    theirs = theirs.loc[ours.index]
    assert ((ours["estimate"] - theirs["estimate"]).abs() < 0.1 * theirs["sd"]).all()
    assert (np.log(ours["sd"] / theirs["sd"]).abs() < 0.1).all()


@pytest.mark.slow
@pytest.mark.parametrize("family", ["lognormal", "t"])
def test_other_families_by_the_maximum_of_their_likelihood(family):
    """Rows censored from the left, of the lognormal distribution truncated too.

    The t's nu is all but given by its prior, and held at the prior's mean in the optimum.
    """
    rng = np.random.default_rng(2)
    x = rng.normal(size=400)
    y = (
        0.3
        + 0.5 * x
        + 0.4 * (rng.normal(size=400) if family == "lognormal" else rng.standard_t(8, 400))
    )
    low, ub = (0.9, 3.5) if family == "lognormal" else (-0.1, np.inf)
    y = np.exp(y) if family == "lognormal" else y
    y, x = y[y < ub], x[y < ub]
    left = y < low
    data = pd.DataFrame({"y": np.maximum(y, low), "x": x, "status": np.where(left, "left", "none")})
    bound, priors = ("", {"nu": "Gamma(80, 10)"}) if family == "t" else (f" + trunc(ub={ub})", None)
    settings = {"family": family, "draws": 500, "chains": 2, "priors": priors}
    fit = cb.fit(f"y | cens(status){bound} ~ x", data, **settings)
    assert fit.attrs["engine"].startswith("Laplace, importance-weighted")

    def loss(theta):
        mean, sd = theta[0] + theta[1] * x, np.exp(theta[2])
        own = stats.t(8, mean, sd) if family == "t" else stats.lognorm(sd, scale=np.exp(mean))
        return -(np.where(left, own.logcdf(low), own.logpdf(y)) - own.logcdf(ub)).sum()

    best, table = optimize.minimize(loss, [0.3, 0.5, -1.0]).x, cb.summary(fit)
    for name, value in zip(("Intercept", "x", "sigma"), best, strict=True):
        value = np.exp(value) if name == "sigma" else value
        assert abs(table.loc[name, "estimate"] - value) < 0.35 * table.loc[name, "sd"]


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
    ):
        with pytest.raises(DataError):
            refused()
    compared = cb.compare(fit, fit, "x")
    assert "censored" in compared.attrs["no_outcome_sd"]
    unknown = compared["difference"].isnull().all(["chain", "draw"]).squeeze()
    assert unknown.sel(unit="outcome sd").all()
    assert not unknown.sel(unit="residual sd").any()
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


@pytest.fixture(scope="module")
def truncated(rows):
    """Rows of which no response above 1.2 was reported, and those left known to a quarter."""
    rng = np.random.default_rng(9)
    x = rng.normal(size=400)
    y = 1 + 0.5 * x + rng.normal(0, 0.4, 400)
    reported = pd.DataFrame({"y": y, "x": x, "g": rng.choice(["a", "b"], 400)})[y < 1.2]
    lower = np.floor(reported["y"] * 4) / 4
    upper = np.minimum(lower + 0.25, 1.2)
    return reported.assign(lower=lower, upper=upper, known="interval").reset_index(drop=True)


@pytest.fixture(scope="module")
def truncated_fit(truncated):
    return cb.fit("y | trunc(ub=1.2) ~ x", truncated, chains=2)


@pytest.mark.slow
def test_truncation_and_intervals_by_the_maximum_of_their_likelihood(truncated, truncated_fit):
    """Posterior means against optima of likelihoods by hand; both near the truth of 1, 0.5, 0.4."""
    x, y, lower, upper = (truncated[name].to_numpy() for name in ("x", "y", "lower", "upper"))

    def law(theta):
        return stats.norm(theta[0] + theta[1] * x, np.exp(theta[2]))

    def seen(theta):
        return -(law(theta).logpdf(y) - law(theta).logcdf(1.2)).sum()

    def in_intervals(theta):
        within = law(theta).cdf(upper) - law(theta).cdf(lower)
        return -(np.log(within) - law(theta).logcdf(1.2)).sum()

    binned = cb.fit("lower | cens(known, upper) + trunc(ub=1.2) ~ x", truncated, chains=2)
    for fit, loss in ((truncated_fit, seen), (binned, in_intervals)):
        best = optimize.minimize(loss, [1.0, 0.5, -1.0], method="Nelder-Mead").x
        table = cb.summary(fit)
        assert not cb.failures(fit)
        for name, value, true in zip(
            ("Intercept", "x", "sigma"), [*best[:2], np.exp(best[2])], (1.0, 0.5, 0.4), strict=True
        ):
            # that of a standard deviation is skewed: its mean is a third of an sd above its mode
            assert abs(table.loc[name, "estimate"] - value) < 0.5 * table.loc[name, "sd"]
            assert abs(table.loc[name, "estimate"] - true) < 3.5 * table.loc[name, "sd"]
    ignored = cb.summary(cb.fit("y ~ x", truncated))
    assert ignored.loc["x", "upper"] < 0.5  # rows not reported hide a part of the slope
    assert f"censored: 0 from the left, 0 from the right, {len(y)} in intervals" in str(binned)


@pytest.mark.slow
def test_a_truncated_fit_is_checked_and_compared_and_kept(truncated, truncated_fit, tmp_path):
    fit = truncated_fit
    found = cb.check(fit).set_index("check")
    assert (found["verdict"] != "fails").all()
    assert "replicates" not in found.index  # that they were not run
    wrong = cb.fit("y ~ x", truncated)
    assert cb.loo(fit).elpd > cb.loo(wrong).elpd + 5
    new = cb.model_checks.with_predictive(fit)["posterior_predictive"]["y"]
    assert float(new.max()) <= 1.2
    above = cb.summarise(cb.predictions(fit, newdata=pd.DataFrame({"x": [2.0]})))
    assert float(above["estimate"].iloc[0]) > 1.5  # of all responses, those not reported too
    with pytest.raises(DataError, match="truncated"):
        cb.loo(fit, by="x")
    cb.save(fit, tmp_path / "fit.nc")
    assert str(cb.open(tmp_path / "fit.nc")) == str(fit)
    assert "Formula: y | trunc(ub=1.2) ~ x" in str(fit)
    drawn = cb.prior_predictive("y | trunc(lb=-1, ub=1.2) ~ x", truncated, draws=50)
    values = drawn["prior_predictive"]["y"]
    assert float(values.min()) >= -1
    assert float(values.max()) <= 1.2


@pytest.mark.slow
def test_an_update_keeps_what_is_censored(fit):
    again = cb.update(fit, ". ~ . + I(x**2)", draws=50, tune=50, chains=1)
    assert "cens(status)" in str(again)
    assert "cens(status)" in str(
        cb.update(fit, [". ~ .", "sigma ~ x"], draws=20, tune=20, chains=1)
    )


@pytest.mark.parametrize("kind", [int, float, str, "category", "Int64", "object"])
def test_the_codes_of_brms_say_what_its_words_say(rows, kind):
    """https://paulbuerkner.com/brms/reference/addition-terms.html: none 0, left -1, right 1."""
    codes = rows["status"].map({"none": 0, "left": -1, "right": 1}).astype(kind)
    limits = Limits("status")
    found, wanted = (
        limits_of_rows(spec, model_frame(spec, one))
        for spec in [ModelSpec("y ~ x", limits=limits)]
        for one in (rows.assign(status=codes), rows)
    )
    for name in ("censored", "low", "high"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    right = rows[rows["status"] != "left"]
    spec = ModelSpec("y ~ x", limits=limits)
    truths = limits_of_rows(spec, model_frame(spec, right.assign(status=right["y"] >= LIMIT)))
    assert truths.censored.tolist() == (right["status"] == "right").tolist()
    assert states_of(pd.Series([2])).tolist() == ["interval"]


def test_a_fast_engine_asked_for_by_name_declines(rows):
    with pytest.raises(DataError, match=r"declines: rows are censored \(status\)"):
        cb.fit("y | cens(status) ~ x", rows, method="collapsed")
    with pytest.raises(DataError, match=r"declines: rows are censored \(status\)"):
        cb.fit("y | cens(status) ~ x", rows, family="gamma", method="laplace")
    with pytest.raises(DataError, match=r"declines: .* incomplete beta function"):
        cb.fit("y | trunc(ub=2) ~ x", rows, family="t", method="laplace")


def test_a_formula_is_written_as_it_was():
    for text in (
        "y | cens(status) ~ x + (1|seed)",
        "`my y` | cens(`a b`) ~ x",
        "y | cens(status, upper) + trunc(lb=-0.5, ub=high) ~ x",
        "y | trunc(ub=2) ~ x",
    ):
        assert str(as_formula(text)) == text
    assert as_formula("`my y` | cens(`a b`) ~ x").limits == Limits("a b")
    assert as_formula("y|trunc(0,high)+cens(x=s, y2=u)~x").limits == Limits("s", "u", 0.0, "high")
    several = as_formula(["y | cens(status) ~ x", "sigma ~ x"])
    assert (several.text, several.limits) == ("y ~ x", Limits("status"))
    assert several.parts == {"sigma": "x"}
    assert "limits" not in ModelSpec("y ~ x").to_json()
    spec = ModelSpec("y ~ x", limits=Limits("status", "upper", 0.0, "high"))
    assert ModelSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("formula", "options", "message"),
    [
        ("log(y) | cens(status) ~ x", {}, 'family="lognormal"'),
        ("y | cens(status, y2) ~ x", {}, "the model uses 'y2'"),
        ("y | cens(between) ~ x", {}, "no column of upper ends"),
        ("y | cens(between, lower) ~ x", {}, "is not above the lower"),
        ("y | cens(status == 1) ~ x", {}, "a column as it is"),
        ("y | cens(status) + cens(every) ~ x", {}, "write it once"),
        ("y | cens(status) + se(x) ~ x", {}, "cannot read"),
        ("y | trunc(lb=0, by=1) ~ x", {}, "cannot read"),
        ("y | trunc(ub=inf) ~ x", {}, "the model uses 'inf'"),
        ("y | trunc(ub=0.3) ~ x", {}, "above the upper bound, where no row can be"),
        ("y | trunc(lb=0.3) ~ x", {}, "below the lower bound, where no row can be"),
        ("y | trunc(lb=lower, ub=-5) ~ x", {}, "the upper bound is not above the lower"),
        ("y | trunc(lb=y) ~ x", {}, "has it otherwise too"),
        ("y | trunc(lb=seed) ~ x", {}, "is no number"),
        ("y | trunc(lb=0) ~ x", {"family": "beta"}, "truncated rows of the family 'beta'"),
        ("y | cens(status) + trunc(ub=0.7) ~ x", {}, "no room for the response"),
        ("y | cens(x) ~ seed", {}, "does not say whether"),
        ("y | cens(nothing) ~ x", {}, "the model uses 'nothing'"),
        ("y | cens(status) ~ x + status", {}, "has it otherwise too"),
        ("y | cens(every) ~ x", {}, "every row is censored"),
        ("y | cens(status) ~ x", {"family": "beta"}, "have no likelihood here"),
        ("y | cens(status) ~ x", {"weights": "w"}, "no weights"),
    ],
)
def test_what_is_no_censoring_is_refused_in_words(rows, formula, options, message):
    more = rows.assign(w=1.5, every="left", y=rows["y"] / 2, between="interval", lower=-4.0)
    with pytest.raises(DataError, match=message):
        cb.get_prior(formula, more, **options)


def test_rows_that_lack_their_status_are_refused_or_counted(rows):
    lacking = rows.assign(status=rows["status"].mask(np.arange(160) < 3))
    with pytest.raises(DataError, match="missing in 3 of 160 rows"):
        cb.get_prior("y | cens(status) ~ x", lacking)


def test_censored_rows_are_not_summed_up(rows):
    with pytest.raises(DataError, match="sums of rows do not say"):
        cb.summarise_rows("y | cens(status) ~ seed", rows, min_rows=1)
