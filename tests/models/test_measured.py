"""Covariates measured with error: the density by hand, attenuation healed, and what verbs say."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import stats

import causalbias as cb
from causalbias import DataError
from causalbias.models.arrays import arrays_of
from causalbias.models.fitted import ModelDesign
from causalbias.models.formula.measured import measured
from causalbias.models.measured import repeated
from causalbias.models.nuts_model import nuts_model
from causalbias.models.specification import ModelSpec, model_frame
from tests.models.test_shrinkage import natural

SLOPE = 0.8


@pytest.fixture(scope="module")
def rows():
    """60 faces of true age about 30, rated with error, three distances each; slope 0.8."""
    rng = np.random.default_rng(11)
    faces, at = 80, np.repeat(np.arange(80), 3)
    true, se = rng.normal(30, 1.0, faces), rng.uniform(0.6, 1.0, faces)
    age = true + rng.normal(0, se)
    race = rng.choice(["a", "b"], len(at))
    y = SLOPE * true[at] + 0.5 * (race == "b") + rng.normal(0, 0.4, len(at))
    face = np.array([f"f{one:02}" for one in at])
    return pd.DataFrame({"y": y, "age": age[at], "se": se[at], "face": face, "race": race})


@pytest.fixture(scope="module")
def fit(rows):
    return cb.fit("y ~ me(age, se, gr=face) + race", rows, chains=2)


@pytest.mark.parametrize("formula", ["y ~ me(age, se, gr=face)*race", "y ~ race + me(age, 0.7)"])
def test_the_density_is_that_of_measurements_about_true_values(rows, formula):
    """The whole log density by hand, less the change of variables from x to z, of log slope r/(st).

    ``sum_g log N(w; x, s) + log N(x; m, t)  +  sum_i log N(y; eta(x), sigma)``, and priors.
    """
    spec = ModelSpec(formula)
    model = ModelDesign.of(spec, model_frame(spec, rows))
    arrays = arrays_of(model, normal=False)
    inner = nuts_model(model, arrays)
    point, values = natural(inner, np.random.default_rng(2))
    point = {name.replace(";", ","): one for name, one in point.items()}
    (one,) = model.measured
    w, s, z = one.values, one.errors, point[f"{one.name}: z"]
    m, t = point[f"meanme_{one.name}"], point[f"sdme_{one.name}"]
    r = np.hypot(s, t)
    x = (m * s**2 + w * t**2) / r**2 + s * t / r * z
    assert len(w) == (80 if "gr=" in formula else 240)
    at = model.frame.assign(age=x[one.codes])
    beta = np.concatenate([np.atleast_1d(point[name]).ravel() for name in model.terms])
    about = model.design(model.frame).mean(axis=0)
    about[0] = 0.0  # of the intercept
    eta = (model.design(at) - about) @ beta
    expected = stats.norm.logpdf(w, x, s).sum() + stats.norm.logpdf(x, m, t).sum()
    expected += np.log(s * t / r).sum()
    expected += stats.norm.logpdf(rows["y"], eta, point["sigma"]).sum()
    problem = arrays.problem
    expected += stats.norm.logpdf(beta, problem.beta_mean, problem.beta_sd).sum()
    expected += np.log(2) + stats.t.logpdf(point["sigma"], 4, scale=rows["y"].std(ddof=0))
    expected += stats.norm.logpdf(m, w.mean(), 2.5 * w.std())
    expected += np.log(2) + stats.t.logpdf(t, 4, scale=w.std())
    found = inner.compile_logp(jacobian=False)(values)
    assert float(found) == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.slow
def test_attenuation_is_healed_as_by_a_model_in_pymc(fit, rows):
    faces = rows.groupby("face").first()
    codes = rows["face"].astype("category").cat.codes.to_numpy()
    b, y = (rows["race"] == "b").to_numpy(float), rows["y"].to_numpy()
    with pm.Model():
        mean = pm.Normal("mean", 30, 5)
        spread = pm.HalfNormal("spread", 5)
        true = pm.Normal("true", mean, spread, shape=len(faces))
        pm.Normal("age", true, faces["se"].to_numpy(), observed=faces["age"].to_numpy())
        slope, race = pm.Normal("slope", 0, 5), pm.Normal("race", 0, 5)
        sigma = pm.HalfNormal("sigma", 5)
        level = pm.Normal("level", y.mean(), 10)
        pm.Normal("y", level + slope * (true[codes] - 30) + race * b, sigma, observed=y)
        drawn = pm.sample(
            1500, tune=1500, chains=2, random_seed=3, nuts_sampler="nutpie", progressbar=False
        )["posterior"]
    table = cb.summary(fit)
    assert not cb.failures(fit)
    names = {"slope": "me(age, se, gr=face)", "race": "race[b]", "sigma": "sigma"}
    names |= {"mean": "meanme_me(age, se, gr=face)", "spread": "sdme_me(age, se, gr=face)"}
    for other, own in names.items():
        mean, sd = float(drawn[other].mean()), float(drawn[other].std())
        assert abs(table.loc[own, "estimate"] - mean) < 0.15 * sd
        assert table.loc[own, "sd"] == pytest.approx(sd, rel=0.15)
    truth = table.loc["me(age, se, gr=face)"]
    assert truth["lower"] < SLOPE < truth["upper"]
    naive = cb.summary(cb.fit("y ~ age + race + (1|face)", rows))
    assert naive.loc["age", "upper"] < SLOPE  # a reliability of about 0.6


@pytest.mark.slow
def test_verbs_checks_and_files_know_true_values(fit, rows, tmp_path):
    slope = float(fit["posterior"]["me(age, se, gr=face)"].median())
    change = cb.summarise(cb.effects(fit, "age", change=1))
    assert float(change["estimate"].iloc[0]) == pytest.approx(slope, rel=1e-6)
    curve = cb.summarise(cb.dose(fit, "age", grid=[29.0, 31.0]), of="slope")
    np.testing.assert_allclose(curve["estimate"], slope, rtol=1e-6)
    effect = cb.summarise(cb.effects(fit, "race"))
    assert 0.3 < float(effect["estimate"].iloc[-1]) < 0.7
    # log likelihood by hand, of rows about their true values
    flat = {
        name: one.stack(s=("chain", "draw")).transpose("s", ...).values
        for name, one in fit["posterior"].to_dataset().items()
    }
    faces = sorted(rows["face"].unique())
    true = flat["Xme_me(age, se, gr=face)"][:, [faces.index(one) for one in rows["face"]]]
    eta = flat["Intercept"][:, None] + flat["me(age, se, gr=face)"][:, None] * true
    eta = eta + flat["race"] * (rows["race"] == "b").to_numpy()
    expected = stats.norm.logpdf(rows["y"].to_numpy(), eta, flat["sigma"][:, None])
    own = cb.model_checks.with_log_likelihood(fit)["log_likelihood"]["y"]
    values = own.stack(s=("chain", "draw")).transpose("s", ...).values
    np.testing.assert_allclose(values, expected, rtol=1e-8)
    found = cb.check(fit)
    assert (found["verdict"] != "fails").all()
    with pytest.raises(DataError, match="covariates without error"):
        cb.loo(fit, by="face")
    cb.save(fit, tmp_path / "fit.nc")
    again = cb.open(tmp_path / "fit.nc")
    assert str(again) == str(fit)
    assert "Xme_" not in str(fit)
    assert "sdme_me(age, se, gr=face)" in str(fit)
    np.testing.assert_array_equal(
        cb.model_checks.with_log_likelihood(again)["log_likelihood"]["y"], own
    )


def test_priors_of_true_values_are_listed_and_given(rows):
    given = {"sdme_me(age,se)": "Normal(0, 3)", "me(age, se)": "Normal(0, 1)"}
    table = cb.get_prior("y ~ me(age, se)*race", rows, priors=given).set_index("parameter")
    assert table.loc["sdme_me(age, se)", ["class", "prior", "source"]].tolist() == [
        "sdme",
        "HalfNormal(3)",
        "given",
    ]
    assert table.loc["meanme_me(age, se)", "source"] == "default"
    with pytest.raises(DataError, match="which the model has not"):
        cb.get_prior("y ~ me(age, se)", rows, priors={"sdme_me(age)": "HalfNormal(1)"})
    with pytest.raises(DataError, match="is of coefficients"):
        cb.get_prior("y ~ me(age, se)", rows, priors={"meanme_me(age, se)": "Horseshoe(1)"})


def test_measurements_that_rows_repeat_are_named(rows):
    def notes(formula):
        spec = ModelSpec(formula)
        return repeated(ModelDesign.of(spec, model_frame(spec, rows)).measured)

    (note,) = notes("y ~ me(age, se)")
    assert "80 different measurements in 240 rows" in note
    assert notes("y ~ me(age, se, gr=face)") == []


def test_a_formula_names_what_was_measured():
    found = measured("y ~ me(age,se)*race + me(`a b`, sdx = 0.5, gr = face):race")
    assert [str(one) for one in found] == ["me(age, se)", "me(a b, 0.5, gr=face)"]
    assert measured("y ~ some(age, se) + `me(x)`") == []


@pytest.mark.parametrize(
    ("formula", "options", "message"),
    [
        ("y ~ me(age)", {}, "cannot read me"),
        ("y ~ me(age + 1, se)", {}, "cannot read me"),
        ("y ~ me(age, se, face)", {}, "cannot read me"),
        ("y ~ me(age, se) + age", {}, "with one error and with another, or without"),
        ("y ~ me(age, se) + me(age, 2)", {}, "with one error and with another"),
        ("y ~ race + (me(age, se)|face)", {}, "in the group term"),
        ("y ~ np.exp(me(age, se))", {}, "inside of a function"),
        ("y ~ me(age, se)*me(other, se)", {}, "a product of"),
        ("y ~ me(age, zero)", {}, "all its standard errors are zero"),
        ("y ~ me(age, less)", {}, "a standard error that is negative"),
        ("y ~ me(race, se)", {}, "is of numbers"),
        ("y ~ me(age, se, gr=race)", {}, "has two values of age"),
        ("me(y, se) ~ age", {}, "is no response"),
        (["y ~ race", "sigma ~ me(age, se)"], {}, "the formula of sigma has a covariate"),
        # Copies of a row are measurements of their own, and would have one true value.
        ("y ~ me(age, se)", {"counts": "twice"}, "a measurement of its own, and a row with counts"),
    ],
)
def test_what_is_no_measurement_is_refused_in_words(rows, formula, options, message):
    more = rows.assign(zero=0.0, less=-0.1, other=rows["y"] + rows["age"], twice=2)
    with pytest.raises(DataError, match=message):
        cb.get_prior(formula, more, **options)


def test_engines_of_rows_without_error_decline(rows):
    with pytest.raises(DataError, match=r"measured with error \(me\(age, se\)\)"):
        cb.fit("y ~ me(age, se)", rows, method="collapsed")
    with pytest.raises(DataError, match="have no prior without its measurements"):
        cb.prior_predictive("y ~ me(age, se)", rows)
    with pytest.raises(DataError, match="what the true values"):
        cb.summarise_rows("y ~ me(age, se)", rows, min_rows=1)
