"""Monotone effects: their density, their draws, and what the verbs make of them."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalbias as cb
from causalbias import DataError
from causalbias.models.arrays import arrays_of
from causalbias.models.fitted import ModelDesign
from causalbias.models.nuts_model import nuts_model
from causalbias.models.specification import ModelSpec, model_frame
from tests.models.test_shrinkage import natural

WORDS = ["none", "weak", "strong", "full"]


@pytest.fixture(scope="module")
def rows():
    """Doses 0 to 3; a step of 0.9, one of 0.1 and none; twice as large for race b."""
    rng = np.random.default_rng(7)
    dose, race = rng.integers(0, 4, 200), rng.integers(0, 2, 200)
    curve = np.array([0.0, 0.9, 1.0, 1.0])[dose] * (1 + race)
    return pd.DataFrame(
        {
            "dose": dose,
            "race": np.array(["a", "b"])[race],
            "word": pd.Categorical(np.array(WORDS)[dose], WORDS, ordered=True),
            "z": rng.normal(size=200),
            "seed": rng.integers(0, 12, 200).astype(str),
            "y": 2 + 0.3 * race + curve + rng.normal(0, 0.3, 200),
        }
    )


@pytest.fixture(scope="module")
def fit(rows):
    return cb.fit("y ~ mo(dose)*race", rows, draws=1000, chains=2, method="nuts")


def built(formula, rows, **priors):
    model = ModelDesign.of(ModelSpec(formula, priors=priors), model_frame(ModelSpec(formula), rows))
    arrays = arrays_of(model, normal=False)
    return arrays, nuts_model(model, arrays)


@pytest.mark.parametrize("column", ["dose", "word"])
def test_its_density_is_that_of_brms(rows, column):
    """mo(x) = D b sum_{i <= x} zeta_i, a simplex for each coefficient, as in brms' Stan code."""
    formula = f"y ~ mo({column})*race + z"
    names = f"mo({column})", f"mo({column}):race"
    given = {names[0]: "Normal(0.2, 0.5)", f"simo_{names[0]}": "Dirichlet(2, 1, 3)"}
    arrays, inner = built(formula, rows, **given)
    point, values = natural(inner, np.random.default_rng(0))
    dose, race = rows["dose"].to_numpy(), (rows["race"] == "b").to_numpy(float)
    eta, total = point["z"] * (rows["z"] - rows["z"].mean()).to_numpy(), 0.0
    eta = eta + point["race"] * (race - race.mean())
    sizes = (0.5, 2.5 * rows["y"].std(ddof=0) / (dose * race).std())
    weights = ([2, 1, 3], [1, 1, 1])
    for name, times, mu, sd, alpha in zip(
        names, (1.0, race), (0.2, 0), sizes, weights, strict=True
    ):
        average, share = point[f"{name}: average step"], point[f"{name}: shares"][0]
        own = 3 * average * np.array([0, *np.cumsum(share)])[dose] * times
        eta = eta + own - own.mean()
        total += stats.norm.logpdf(average, mu, sd).sum() + stats.dirichlet.logpdf(share, alpha)
    eta = eta + point["Intercept"]
    mean, sd = arrays.problem.beta_mean, arrays.problem.beta_sd
    columns = list(inner.named_vars)
    assert f"{names[0]}: shares" in columns
    plain = ~np.isnan(sd)
    beta = np.concatenate([point[one].ravel() for one in ("Intercept", "race", "z")])
    total += stats.norm.logpdf(beta, mean[plain], sd[plain]).sum()
    total += np.log(2) + stats.t.logpdf(point["sigma"], 4, scale=rows["y"].std(ddof=0))
    total += stats.norm.logpdf(rows["y"], eta, point["sigma"]).sum()
    found = inner.compile_logp(jacobian=False)(values)
    assert float(found) == pytest.approx(float(total), rel=1e-9)


def test_a_product_with_several_columns_has_a_simplex_for_each(rows):
    """By the columns of the design: labels and places of the steps of each curve."""
    more = rows.assign(race=np.array(["a", "b", "c"])[np.arange(200) % 3])
    formulas = ("y ~ mo(dose)*race", "y ~ race*mo(dose)", "y ~ race*mo(dose)*z + mo(word)")
    for formula in formulas:
        arrays, _ = built(formula, more)
        for name, one in arrays.monotone.items():
            design = np.asarray(arrays.problem.design + arrays.centre)
            start = 0
            model = ModelDesign.of(ModelSpec(formula), model_frame(ModelSpec(formula), more))
            for term, own in model.coefficient_terms.items():
                if term == name:
                    break
                start += np.size(own.data) // 200
            for label, at in zip(one.curves, one.at, strict=True):
                times = (more["race"] == label).to_numpy(float) if label else np.ones(200)
                times = times * more["z"].to_numpy() if "z" in name else times
                number = design[:, start + at].sum(axis=1)
                np.testing.assert_allclose(number, more["dose"] * times, atol=1e-12)
                least = design[:, start + at[0]]
                np.testing.assert_allclose(least, (more["dose"] >= 1) * times, atol=1e-12)


@pytest.mark.slow
def test_the_truth_is_recovered_in_the_average_and_in_the_shares(fit):
    assert not cb.failures(fit)
    table = cb.summary(fit)
    average = table.loc["bsp_mo(dose)"]
    assert average["lower"] < 1 / 3 < average["upper"]
    assert average["sd"] < 0.05
    assert table.loc["simo_mo(dose)[1]", "estimate"] == pytest.approx(0.9, abs=0.12)
    further = table.index[table["kind"] == "further"].tolist()
    assert further == [
        "bsp_mo(dose)",
        *[f"simo_mo(dose)[{k}]" for k in (1, 2, 3)],
        "bsp_mo(dose):race[b]",
        *[f"simo_mo(dose):race[b, {k}]" for k in (1, 2, 3)],
        "sigma",
    ]
    shares = fit["posterior"]["simo_mo(dose)"].sum("mo(dose)__step_dim")
    np.testing.assert_allclose(shares, 1.0)


@pytest.mark.slow
def test_verbs_evaluate_it_at_the_levels(fit, rows):
    """Against the definition on the draws: a + b_race + D b sum of the simplex."""
    posterior = fit["posterior"].to_dataset()
    shape = posterior["simo_mo(dose)"].cumsum("mo(dose)__step_dim")
    curve = 3 * posterior["bsp_mo(dose)"] * shape
    expected = (posterior["Intercept"] + curve.isel({"mo(dose)__step_dim": 1})).values
    grid = cb.datagrid(fit, dose=[2], race=["a"])
    np.testing.assert_allclose(
        cb.predictions(fit, newdata=grid)["prediction"].values.squeeze(), expected
    )
    effect = cb.effects(fit, "dose", by="race", reference=0)
    of_a = effect["effect"].sel(race="a").transpose("chain", "draw", ...)
    np.testing.assert_allclose(of_a, curve.transpose("chain", "draw", ...))
    curves = cb.dose(fit, "dose", by="race")
    assert curves["dose"].values.tolist() == [0, 1, 2, 3]
    steps = curves["prediction"].sel(race="a").diff("dose")
    assert ((steps >= 0).all("dose") | (steps <= 0).all("dose")).all()
    ends = curves["slope"].sel(race="a", dose=0).values
    np.testing.assert_allclose(ends, steps.isel(dose=0).values)


@pytest.mark.slow
def test_between_levels_there_is_nothing(fit):
    with pytest.raises(DataError, match=r"at the doses of the data only.*give two or more of 0, 1"):
        cb.dose(fit, "dose", grid=[0, 0.5])
    with pytest.raises(DataError, match=r"not a level|none of the fit's|outside"):
        cb.predictions(fit, newdata=pd.DataFrame({"dose": [1.5], "race": ["a"]}))


@pytest.mark.slow
def test_a_fit_is_checked_saved_and_printed(fit, tmp_path):
    assert "simo_mo(dose)[1]" in str(fit)
    verdicts = cb.check(fit).set_index("check")["verdict"]
    assert verdicts["priors"] == "ok"
    cb.save(fit, tmp_path / "fit.nc")
    again = cb.open(tmp_path / "fit.nc")
    assert cb.summary(again).equals(cb.summary(fit))
    left, right = (cb.effects(one, "dose")["effect"] for one in (fit, again))
    np.testing.assert_array_equal(left, right)
    with pytest.raises(DataError, match="the prior is not known"):
        cb.model_checks.prior_sensitivity(fit, cb.effects(fit, "dose"))


def test_the_table_of_priors_has_the_average_step_and_the_shares(rows):
    given = {"mo(dose)": "HalfNormal(1)", "simo_mo(dose)": "Dirichlet(2)"}
    table = cb.get_prior("y ~ mo(dose) + mo(dose):z", rows, priors=given).set_index("parameter")
    assert table.loc["mo(dose)", ["class", "prior", "source"]].tolist() == [
        "b",
        "HalfNormal(1)",
        "given",
    ]
    assert table.loc["simo_mo(dose)", ["class", "prior", "source"]].tolist() == [
        "simo",
        "Dirichlet(2)",
        "given",
    ]
    sd = 2.5 * rows["y"].std(ddof=0) / (rows["dose"] * rows["z"]).std(ddof=0)
    assert table.loc["mo(dose):z", "prior"] == f"Normal(0, {sd:.4g})"
    shrunk = cb.get_prior("y ~ mo(dose) + race", rows, priors={"b": "Horseshoe(1)"})
    assert shrunk.set_index("parameter")["source"].to_dict() == {
        "Intercept": "default",
        "mo(dose)": "default",
        "simo_mo(dose)": "default",
        "race": "given",
        "sigma": "default",
    }


def test_draws_of_the_prior_are_of_one_sign_with_dirichlet_shares(rows):
    given = {"mo(dose)": "HalfNormal(1)", "simo_mo(dose)": "Dirichlet(2, 1, 1)"}
    drawn = cb.prior_predictive("y ~ mo(dose)", rows, priors=given, draws=4000)["prior"]
    assert (drawn["mo(dose)"] >= 0).all()
    first = drawn["simo_mo(dose)"].values[0, :, 0]
    assert stats.kstest(first, stats.beta(2, 2).cdf).pvalue > 1e-4
    assert stats.kstest(drawn["bsp_mo(dose)"].values[0], stats.halfnorm.cdf).pvalue > 1e-4


def test_with_two_levels_it_is_a_coefficient(rows):
    two = rows.assign(dose=(rows["dose"] > 1).astype(int))
    arrays, inner = built("y ~ mo(dose)", two)
    assert "mo(dose): shares" not in inner.named_vars
    plain, _ = built("y ~ dose", two)
    np.testing.assert_allclose(arrays.problem.design, plain.problem.design)
    sd = float(np.ravel(arrays.monotone["mo(dose)"].prior.args["sigma"])[0])
    assert sd == pytest.approx(plain.problem.beta_sd[1])


def test_a_formula_of_sigma_has_one_too(rows):
    formula = cb.formula("y ~ race", sigma="~ mo(dose)")
    given = {"sigma_mo(dose)": "Normal(0, 0.3)", "sigma_simo_mo(dose)": "Dirichlet(3)"}
    table = cb.get_prior(formula, rows, priors=given).set_index("parameter")
    assert set(table.index[table["source"] == "given"]) == set(given)
    drawn = cb.prior_predictive(formula, rows, priors=given, draws=20)["prior"]
    assert {"sigma_bsp_mo(dose)", "sigma_simo_mo(dose)", "sigma_mo(dose)"} <= set(drawn)


@pytest.mark.parametrize(
    ("formula", "priors", "message"),
    [
        ("y ~ mo(text)", {}, "in no order"),
        ("y ~ mo(z)", {}, "200 levels"),
        ("y ~ mo(log(dose))", {}, "is of one column"),
        ("y ~ mo(dose, 2)", {}, "is of one column"),
        ("y ~ race + (mo(dose)|seed)", {}, "in the group term"),
        ("y ~ mo(dose):mo(word)", {}, "a product of two"),
        ("y ~ mo(dose)", {"mo(dose)[1]": "Normal(0, 1)"}, "a prior of one step"),
        ("y ~ mo(dose)", {"simo_mo(dose)": "Dirichlet(1, 2)"}, "cannot read the prior"),
        ("y ~ mo(dose)", {"simo_mo(dose)": "Dirichlet(0)"}, "cannot read the prior"),
        ("y ~ dose", {"simo_mo(dose)": "Dirichlet(1)"}, "which the model has not"),
        ("y ~ mo(dose)", {"mo(dose)": "Horseshoe(1)"}, "is of coefficients"),
    ],
)
def test_what_is_no_monotone_effect_is_refused_in_words(rows, formula, priors, message):
    texts = rows.assign(text=rows["word"].astype(str))
    with pytest.raises(DataError, match=message):
        cb.get_prior(formula, texts, priors=priors)


def test_a_fast_engine_asked_for_by_name_declines(rows):
    with pytest.raises(DataError, match=r"the prior of 'mo\(dose\)' is Monotone"):
        cb.fit("y ~ mo(dose)", rows, method="collapsed")
