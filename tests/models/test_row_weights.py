"""`counts=` and `weights=` of a fit: what they mean, through every step that uses rows."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias import DataError
from causalbias.inference.gaussian.blocks import build_blocks
from causalbias.inference.gaussian.density import eliminate
from causalbias.models.arrays import arrays_of
from causalbias.models.fitted import ModelDesign
from causalbias.models.specification import ModelSpec, model_frame
from tests.inference.gaussian.test_gaussian_lme4 import REML

PRIORS = {
    "Intercept": "Flat()",
    "x": "Normal(0, 2)",
    "1|g": "HalfNormal(2)",
    "sigma": "HalfNormal(2)",
}
FORMULA = "y ~ x + (1|g)"


@pytest.fixture(scope="module")
def rows():
    """Rows of coarse responses, with their number and a precision."""
    rng = np.random.default_rng(0)
    g, x = rng.integers(0, 8, 60), rng.integers(0, 2, 60)
    y = np.round(1 + 0.5 * x + rng.normal(size=8)[g] + rng.normal(0, 0.7, 60), 1)
    frame = pd.DataFrame({"y": y, "x": x, "g": g, "n": rng.integers(1, 5, 60)})
    return frame.assign(w=rng.uniform(0.5, 3, 60))


def written_out(rows):
    return rows.loc[rows.index.repeat(rows["n"])]


def test_counts_are_rows_written_out(rows):
    short = cb.fit(FORMULA, rows, counts="n", priors=PRIORS, random_seed=1)
    long = cb.fit(FORMULA, written_out(rows), priors=PRIORS, random_seed=2)
    assert short.attrs["n_rows"] == 60
    assert short.attrs["n_observations"] == long.attrs["n_rows"] == rows["n"].sum()
    assert f"60 rows for {rows['n'].sum()} observations (n)" in repr(short)
    a, b = cb.summary(short), cb.summary(long)
    error = np.hypot(a["sd"] / np.sqrt(a["ess_bulk"]), b["sd"] / np.sqrt(b["ess_bulk"]))
    assert (np.abs(a["estimate"] - b["estimate"]) < 4 * error).all()
    np.testing.assert_allclose(a["sd"], b["sd"], rtol=0.08)
    assert not np.allclose(
        a["sd"], cb.summary(cb.fit(FORMULA, rows, priors=PRIORS))["sd"], rtol=0.1
    )


def test_estimands_and_log_likelihood_count_so_too(rows):
    short = cb.fit(FORMULA, rows, counts="n", priors=PRIORS, draws=100)
    long = cb.fit(FORMULA, written_out(rows), priors=PRIORS, draws=100)
    long["posterior"] = short["posterior"]  # the same draws: all else must agree exactly
    for of in (short, long):
        of.attrs["failures"] = "[]"
    a, b = (cb.predictions(of, "x") for of in (short, long))
    assert a["n"].values.tolist() == b["n"].values.tolist()
    np.testing.assert_allclose(a["prediction"], b["prediction"])
    np.testing.assert_allclose(*(cb.effects(of, "x")["effect"] for of in (short, long)))
    a, b = (cb.model_checks.with_log_likelihood(of)["log_likelihood"]["y"] for of in (short, long))
    np.testing.assert_allclose(a.sum("__obs__"), b.sum("__obs__"))
    with pytest.raises(DataError, match="not a variable of the model"):
        cb.predictions(short, "n")


def test_weights_are_lme4s():
    """The restricted likelihood of `lmer(weights=)` at its optimum, through formula and frame.

    Numbers and data: see test_gaussian_lme4.
    """
    make, sigma, factors, _, log_lik = REML["weighted"]
    p = make()
    pair, proto, seed = (t.codes[:, 0] for t in p.terms)
    frame = pd.DataFrame(
        {"y": p.y, "x": p.design[:, 1], "w": p.row_precision, "a": pair, "b": proto, "c": seed}
    )
    spec = ModelSpec(
        "y ~ x + (1|a) + (1|b) + (1|c)", priors={"Intercept": "Flat()", "x": "Flat()"}, weights="w"
    )
    used = model_frame(spec, frame)
    made = build_blocks(arrays_of(ModelDesign.of(spec, used)).problem)
    done = eliminate(made, sigma, [np.array(f) for f in factors], np.empty_like(made.total))
    assert done is not None
    assert done.log_marginal == pytest.approx(log_lik, abs=1e-7)


def test_weights_reach_likelihood_and_new_data(rows):
    fit = cb.fit(FORMULA, rows, weights="w", priors=PRIORS)
    assert "variance sigma^2/w" in repr(fit)
    posterior = fit["posterior"].to_dataset()
    level = posterior["1|g"].sel(g__factor_dim=str(rows.loc[0, "g"]), drop=True)
    eta = posterior["Intercept"] + posterior["x"] * rows.loc[0, "x"] + level
    sd = posterior["sigma"] / np.sqrt(rows.loc[0, "w"])
    by_hand = -0.5 * ((rows.loc[0, "y"] - eta) / sd) ** 2 - np.log(sd * np.sqrt(2 * np.pi))
    ours = cb.model_checks.with_log_likelihood(fit)["log_likelihood"]["y"].isel(__obs__=0)
    np.testing.assert_allclose(ours, by_hand, atol=1e-5)  # effects are kept in single precision
    new = cb.model_checks.with_predictive(fit, random_seed=1)["posterior_predictive"]["y"].isel(
        __obs__=0
    )
    z = ((new - eta) / sd).values.ravel()
    assert abs(z.std() - 1) < 4 / np.sqrt(2 * len(z))


def test_means_of_observations_take_weights_not_counts(rows):
    rng = np.random.default_rng(1)
    n = rng.integers(1, 20, 400)
    means = pd.DataFrame(
        {"y": 2 + rng.normal(size=400) / np.sqrt(n), "n": n, "x": rng.normal(size=400)}
    )
    right = cb.summary(cb.fit("y ~ x", means, weights="n")).loc["sigma"]
    wrong = cb.summary(cb.fit("y ~ x", means, counts="n")).loc["sigma"]
    assert right["lower"] < 1.0 < right["upper"]
    assert wrong["upper"] < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("how", [{"counts": "n"}, {"weights": "w"}], ids=["counts", "weights"])
def test_nuts_agrees(rows, how):
    """With both together: see test_nuts_model."""
    # A wider prior of the sd leaves dozens of divergent transitions, and NUTS short of its tail.
    priors = PRIORS | {"1|g": "HalfNormal(0.3)"}
    exact = cb.summary(cb.fit(FORMULA, rows, priors=priors, **how))
    fit = cb.fit(FORMULA, rows, priors=priors, method="nuts", draws=1500, tune=800, **how)
    nuts = cb.summary(fit).loc[exact.index]
    error = np.hypot(
        exact["sd"] / np.sqrt(exact["ess_bulk"]), nuts["sd"] / np.sqrt(nuts["ess_bulk"])
    )
    assert (np.abs(exact["estimate"] - nuts["estimate"]) < 4 * error).all()
    # three Monte Carlo errors of an sd of kurtosis six, of which NUTS has the fewer draws
    assert (np.abs(exact["sd"] / nuts["sd"] - 1) < 0.05 + 3.4 / np.sqrt(nuts["ess_bulk"])).all()


@pytest.mark.parametrize("family", ["bernoulli", "cumulative"])
def test_counts_of_other_families(family):
    """By the Laplace engine; NUTS has the density of rows with counts, see test_nuts_model."""
    rng = np.random.default_rng(2)
    x = np.tile([0, 1, 2], 100)
    latent = 0.8 * x + rng.logistic(size=300)
    y = np.digitize(latent, [1.0] if family == "bernoulli" else [0.0, 1.5])
    long = pd.DataFrame({"y": y, "x": x})
    short = long.value_counts(["y", "x"]).rename("n").reset_index()
    priors = {"x": "Normal(0, 2)"}
    a, b = (
        cb.summary(cb.fit("y ~ x", frame, family=family, priors=priors, counts=counts))
        for frame, counts in ((short, "n"), (long, None))
    )
    error = np.hypot(a["sd"] / np.sqrt(a["ess_bulk"]), b["sd"] / np.sqrt(b["ess_bulk"]))
    assert (np.abs(a["estimate"] - b["estimate"]) < 4.5 * error).all()
    np.testing.assert_allclose(a["sd"], b["sd"], rtol=0.1)


@pytest.mark.parametrize("value", [-1, 0, np.nan, 1.5, np.inf, "two", True])
def test_counts_that_are_none(rows, value):
    spoilt = rows.assign(n=rows["n"].astype(object))
    spoilt.loc[3, "n"] = value
    if not isinstance(value, str | bool):
        spoilt["n"] = spoilt["n"].astype(float)
    with pytest.raises(DataError) as caught:
        cb.fit(FORMULA, spoilt, counts="n")
    assert caught.value.column == "n"
    assert caught.value.row == (1 if isinstance(value, str | bool) else 4)
    assert caught.value.hint


@pytest.mark.parametrize("value", [-0.5, 0.0, np.nan, np.inf])
def test_weights_that_are_none(rows, value):
    spoilt = rows.copy()
    spoilt.loc[5, "w"] = value
    with pytest.raises(DataError) as caught:
        cb.fit(FORMULA, spoilt, weights="w")
    assert (caught.value.column, caught.value.row) == ("w", 6)


def test_what_weights_cannot_be(rows):
    with pytest.raises(DataError, match="only"):
        cb.fit(FORMULA, rows, counts="nobody")
    with pytest.raises(DataError, match="counts="):
        cb.fit("hit ~ x", rows.assign(hit=rows["x"]), family="bernoulli", weights="w")
    with pytest.raises(DataError, match="weighted"):
        cb.fit("weighted(y, n) ~ x", rows)


def test_a_saved_fit_is_not_taken_for_one_with_counts(rows, tmp_path):
    file = tmp_path / "fit.nc"
    plain = cb.fit(FORMULA, rows, draws=100, file=file)
    assert cb.fit(FORMULA, rows, draws=100, file=file).identical(plain)
    counted = cb.fit(FORMULA, rows, draws=100, counts="n", file=file)
    assert counted.attrs["n_observations"] == rows["n"].sum()
    assert "observations (n)" in repr(cb.open(file))
    other = cb.fit(FORMULA, rows.assign(n=1), draws=100, counts="n", file=file)
    assert other.attrs["n_observations"] == 60
