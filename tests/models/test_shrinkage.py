"""Priors of many coefficients together: their density, their draws, and what they find."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import stats

import causalbias as cb
from causalbias import DataError
from causalbias.errors import SamplingWarning
from causalbias.models.arrays import arrays_of
from causalbias.models.fitted import ModelDesign
from causalbias.models.nuts_model import nuts_model
from causalbias.models.shrinkage import horseshoe_scale, r2d2_scale
from causalbias.models.specification import ModelSpec, model_frame

COLUMNS = [f"x{k}" for k in range(12)]
TRUE = np.array([1.0, -0.8] + [0.0] * 10)
FORMULA = f"y ~ {' + '.join(COLUMNS)}"


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(120, 12))
    y = 2 + x @ TRUE + rng.normal(0, 0.6, 120)
    return pd.DataFrame(x, columns=COLUMNS).assign(y=y, race=np.tile(["a", "b", "c"], 40))


@pytest.fixture(scope="module", params=["Horseshoe(1)", "R2D2()"])
def fit(request, rows):
    with pytest.warns(SamplingWarning, match="by NUTS"):
        return cb.fit(FORMULA, rows, priors={"b": request.param}, draws=1000, tune=700, chains=2)


def built(spec, rows):
    model = ModelDesign.of(spec, model_frame(spec, rows))
    arrays = arrays_of(model, normal=False)
    return arrays, nuts_model(model, arrays)


def natural(inner, rng):
    """A point of a model's parameters, and its value on their unconstrained scale."""
    values, given = {}, {}
    for one in inner.free_RVs:
        shape = inner.initial_point()[inner.rvs_to_values[one].name].shape
        change = inner.rvs_to_transforms[one]
        unconstrained = rng.normal(0, 0.5, shape)
        values[inner.rvs_to_values[one].name] = unconstrained
        own = unconstrained
        if change is not None:
            own = change.backward(unconstrained, *one.owner.inputs).eval()
        given[one.name] = np.asarray(own)
    return given, values


@pytest.mark.slow
def test_the_horseshoe_is_that_of_brms_on_standardised_columns(rows):
    """Against brms' Stan code (`scales_horseshoe`, autoscale), with other numbers than defaults.

    lambda_tilde = sqrt(c2 lambda^2 / (c2 + tau^2 lambda^2)), b = z lambda_tilde tau, where
    tau ~ half t(df_global, scale_global sigma), c2 = scale_slab^2 inverse gamma(df_slab / 2, ...).
    """
    rows = (rows[[*COLUMNS, "y"]] - rows[[*COLUMNS, "y"]].mean()) / rows[[*COLUMNS, "y"]].std(
        ddof=0
    )
    spec = ModelSpec(FORMULA, priors={"b": "Horseshoe(3, 0.2, 2, 1.5, 5)"})
    arrays, inner = built(spec, rows)
    given, values = natural(inner, np.random.default_rng(0))
    local, z = given["shrinkage: local"], given["shrinkage: z"]
    sigma, c2 = given["sigma"], 1.5**2 * given["shrinkage: slab"]
    tau = 0.2 * sigma * given["shrinkage: global"]
    tilde = np.sqrt(c2 * local**2 / (c2 + tau**2 * local**2))
    outputs = [inner[one] for one in (*COLUMNS, "horseshoe_global", "horseshoe_slab")]
    outputs = inner.replace_rvs_by_values(outputs)
    used = {name: one for name, one in values.items() if name != "Intercept"}
    found = inner.compile_fn(outputs, inputs=[one for one in inner.value_vars if one.name in used])(
        used
    )
    beta = np.concatenate([np.ravel(one) for one in found[:12]])
    np.testing.assert_allclose(beta, z * tilde * tau, rtol=1e-10)
    np.testing.assert_allclose(found[12:], [tau, np.sqrt(c2)], rtol=1e-10)
    eta = arrays.problem.design @ np.concatenate([[given["Intercept"].item()], beta])
    expected = (
        stats.norm.logpdf(arrays.problem.y, eta, sigma).sum()
        + stats.norm.logpdf(z).sum()
        + (np.log(2) + stats.t.logpdf(local, 3)).sum()
        + np.log(2)
        + stats.t.logpdf(given["shrinkage: global"], 2)
        + stats.invgamma.logpdf(given["shrinkage: slab"], 2.5, scale=2.5)
        + stats.norm.logpdf(given["Intercept"], *(p[0] for p in _moments(arrays))).sum()
        + np.log(2)
        + stats.t.logpdf(sigma, 4, scale=1.0)
    )
    logps = inner.compile_logp(jacobian=False)(values)
    assert float(logps) == pytest.approx(float(expected), rel=1e-9)


def _moments(arrays):
    return arrays.problem.beta_mean, arrays.problem.beta_sd


def test_a_local_scale_of_one_degree_of_freedom_is_half_cauchy(rows):
    _, inner = built(ModelSpec(FORMULA, priors={"b": "Horseshoe()"}), rows)
    drawn = pm.draw(inner["horseshoe_global"] / inner["sigma"], 4000, random_seed=1)
    assert stats.kstest(drawn, stats.halfcauchy.cdf).pvalue > 1e-4


def test_r2d2_explains_the_share_of_the_variance_that_it_says(rows):
    """Of orthogonal columns the explained variance is sum (beta spread)^2; its share is R2."""
    drawn = cb.prior_predictive(FORMULA, rows, priors={"b": "R2D2(0.3, 5, 0.4)"}, draws=20_000)
    prior = drawn["prior"].to_dataset()
    r2 = prior["R2D2_R2"].values.ravel()
    assert stats.kstest(r2, stats.beta(1.5, 3.5).cdf).pvalue > 1e-4
    of_columns = rows[COLUMNS].std(ddof=0).to_numpy()
    beta = np.stack([prior[name].values.ravel() for name in COLUMNS])
    sigma = prior["sigma"].values.ravel()
    scaled = beta * of_columns[:, None] / (sigma * np.sqrt(r2 / (1 - r2)))
    # The sum of z^2 phi, z standard normal and phi Dirichlet(a, ...) of k: its mean is one, and
    # its variance 2 E[sum phi^2] = 2 (a + 1) / (k a + 1).
    total = np.square(scaled).sum(axis=0)
    spread = np.sqrt(2 * 1.4 / 5.8)
    assert total.mean() == pytest.approx(1.0, abs=5 * spread / np.sqrt(20_000))


def test_draws_of_the_prior_are_those_of_what_nuts_samples(rows):
    for prior in ("Horseshoe(1, 0.5)", "R2D2(0.5, 2, 1)"):
        formula = "y ~ x0 + x1 + x2"
        drawn = cb.prior_predictive(formula, rows, priors={"b": prior}, draws=4000)
        own = drawn["prior"]["x1"].values.ravel()
        _, inner = built(ModelSpec(formula, priors={"b": prior}), rows)
        other = np.ravel(pm.draw(inner["x1"], 4000, random_seed=2))
        assert stats.ks_2samp(own, other).pvalue > 1e-4


def test_scales_are_those_of_the_equations():
    np.testing.assert_allclose(horseshoe_scale(2.0, 0.5, 1.0), np.sqrt(0.5))
    np.testing.assert_allclose(r2d2_scale(0.5, 0.8, 3.0), 3 * np.sqrt(2.0))


@pytest.mark.slow
def test_a_sparse_truth_is_recovered_and_the_rest_is_shrunk(fit, rows):
    assert not cb.failures(fit)
    table = cb.summary(fit)
    flat = cb.summary(cb.fit(FORMULA, rows))
    at = table.loc[COLUMNS]
    assert ((at["lower"] < TRUE) & (at["upper"] > TRUE)).sum() >= 11
    assert (at["sd"].iloc[2:] < flat.loc[COLUMNS[2:], "sd"]).all()
    moved = np.abs(at["estimate"] - flat.loc[COLUMNS, "estimate"])
    assert (moved.iloc[:2] < 0.5 * flat.loc[COLUMNS[:2], "sd"]).all()
    away = np.abs(flat.loc[COLUMNS[2:], "estimate"]).sum()
    assert np.abs(at["estimate"].iloc[2:]).sum() < 0.8 * away


@pytest.mark.slow
def test_everything_that_a_fit_is_for_knows_of_it(fit, rows, tmp_path):
    text, given = str(fit), next(iter(cb.get_prior(FORMULA, rows)["prior"]))
    assert "Priors: b ~ " in text
    assert "Further parameters" in text
    assert given.startswith("Normal")
    kinds = cb.summary(fit)["kind"]
    assert set(kinds[kinds == "further"].index) - {"sigma"} <= {
        "horseshoe_global",
        "horseshoe_slab",
        "R2D2_R2",
    }
    assert cb.coefficients(fit)["term"].values.tolist() == ["Intercept", *COLUMNS]
    checks = cb.check(fit).set_index("check")
    assert checks.loc["priors", "verdict"] == "ok"
    assert cb.dose(fit, "x0", grid=[-1, 1]).sizes["draw"] == 1000
    cb.save(fit, tmp_path / "fit.nc")
    again = cb.open(tmp_path / "fit.nc")
    assert cb.summary(again).equals(cb.summary(fit))
    with pytest.raises(DataError, match=r"prior is not known.*Horseshoe|R2D2"):
        cb.model_checks.prior_sensitivity(fit, cb.dose(fit, "x0", grid=[0, 1]))


def test_a_change_of_units_changes_the_prior_of_nothing(rows):
    other = rows.assign(y=1000 * rows["y"] + 7, x0=rows["x0"] / 60)
    formula = "y ~ x0 + race"
    for prior in ("Horseshoe(1)", "R2D2()"):
        drawn = [
            cb.prior_predictive(formula, one, priors={"b": prior}, draws=50)["prior"]
            for one in (rows, other)
        ]
        np.testing.assert_allclose(drawn[1]["x0"], 60_000 * drawn[0]["x0"], rtol=1e-9)
        np.testing.assert_allclose(drawn[1]["race"], 1000 * drawn[0]["race"], rtol=1e-9)


def test_the_class_b_is_of_all_coefficients_without_a_prior_of_their_own(rows):
    table = cb.get_prior("y ~ x0 + race", rows, priors={"b": "R2D2()", "x0": "Normal(0, 3)"})
    table = table.set_index("parameter")
    assert table["prior"].to_dict() == {
        "Intercept": table.loc["Intercept", "prior"],
        "x0": "Normal(0, 3)",
        "race[b]": "R2D2(0.5, 2, 0.5)",
        "race[c]": "R2D2(0.5, 2, 0.5)",
        "sigma": table.loc["sigma", "prior"],
    }
    assert set(table.index[table["source"] == "given"]) == {"x0", "race[b]", "race[c]"}
    again = cb.get_prior("y ~ x0 + race", rows, priors={"b": "Normal(0, 1)"})
    assert again["prior"].tolist()[1:4] == ["Normal(0, 1)"] * 3
    called_b = rows.rename(columns={"x0": "b"})
    own = cb.get_prior("y ~ b + x1", called_b, priors={"b": "Normal(0, 7)"}).set_index("parameter")
    assert own.loc["b", "prior"] == "Normal(0, 7)" != own.loc["x1", "prior"]
    assert own.loc["x1", "source"] == "default"


def test_a_part_has_a_class_of_its_own(rows):
    formula = cb.formula("y ~ x0 + race", sigma="~ x1 + x2")
    table = cb.get_prior(formula, rows, priors={"sigma_b": "Horseshoe(1)"})
    table = table.set_index("parameter")
    assert table.loc["sigma_x1", "prior"] == "Horseshoe(1, 1, 1, 2, 4)"
    assert set(table.index[table["source"] == "given"]) == {"sigma_x1", "sigma_x2"}
    drawn = cb.prior_predictive(formula, rows, priors={"sigma_b": "Horseshoe(1)"}, draws=10)
    assert {"sigma_horseshoe_global", "sigma_x1", "x0"} <= set(drawn["prior"].data_vars)
    spec = ModelSpec(
        formula.text, priors={"sigma_b": "R2D2()", "b": "R2D2()"}, parts=dict(formula.parts)
    )
    arrays, inner = built(spec, rows)
    assert not arrays.shrinkage.of_noise  # there is no one sigma
    assert {"R2D2_R2", "sigma_R2D2_R2"} <= set(inner.named_vars)


def test_more_columns_than_rows_are_kept_and_empty_cells_are_left_out(rows):
    few = rows.head(9)
    spec = ModelSpec(FORMULA, priors={"b": "Horseshoe(1)"})
    arrays, _ = built(spec, few)
    assert arrays.problem.design.shape[1] == 13
    empty = rows.assign(sex=np.where(rows["race"] == "c", "f", np.tile(["f", "m", "m"], 40)))
    spec = ModelSpec("y ~ race*sex", priors={"b": "Horseshoe(1)"})
    model = ModelDesign.of(spec, model_frame(spec, empty))
    assert "race:sex[c, m]" in model.estimable.left_out
    assert np.isfinite(arrays_of(model, normal=False).shrinkage.of_columns).all()


@pytest.mark.parametrize(
    ("priors", "message"),
    [
        ({"b": "horseshoe(1)"}, "it is called Horseshoe here"),
        ({"b": "Horseshoe(-1)"}, "its numbers are positive"),
        ({"b": "R2D2(1.5)"}, "mean_R2 is below one"),
        ({"b": "R2D2(slab=1)"}, "cannot read the prior"),
        ({"Intercept": "Horseshoe(1)"}, "is of coefficients"),
        ({"sigma": "Horseshoe(1)"}, "is of coefficients"),
        ({"1|race": "Horseshoe(1)"}, "is of coefficients"),
        ({"x0": "Horseshoe(1)", "x1": "R2D2()"}, "two different ones"),
        ({"b": "Horseshoe(1)", "x1": "Horseshoe(2)"}, "two different ones"),
        ({"b": "Horseshoe(1)", "race[b]": "Normal(0, 1)"}, "a prior of one column is Normal"),
    ],
)
def test_what_is_no_such_prior_is_refused_in_words(rows, priors, message):
    with pytest.raises(DataError, match=message):
        cb.get_prior("y ~ x0 + x1 + race + (1|race)", rows, priors=priors)


def test_a_prior_of_coefficients_without_any_is_refused(rows):
    with pytest.raises(DataError, match="it is of all coefficients, and the formula has none"):
        cb.get_prior("y ~ 1", rows, priors={"b": "Normal(0, 1)"})


@pytest.mark.parametrize("method", ["collapsed", "laplace"])
def test_a_fast_engine_asked_for_by_name_declines(rows, method):
    family = "gaussian" if method == "collapsed" else "t"
    with pytest.raises(DataError, match="the prior of 'x0' is Horseshoe"):
        cb.fit("y ~ x0 + x1", rows, family=family, priors={"b": "Horseshoe(1)"}, method=method)
