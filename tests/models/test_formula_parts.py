"""Formulas of several parts: how they are written, checked and kept; the density that they are."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalbias as cb
from causalbias.estimands.averaging import averaging
from causalbias.models.arrays import arrays_of
from causalbias.models.fitted import ModelDesign
from causalbias.models.formula.parts import as_formula
from causalbias.models.nuts_model import nuts_model
from causalbias.models.result import spec_of
from causalbias.models.specification import ModelSpec, model_frame


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    n = 240
    race, g = rng.choice(["a", "b", "c"], n), rng.integers(0, 8, n)
    noise = np.array([0.5, 1.0, 2.0])[np.unique(race, return_inverse=True)[1]]
    y = 3 + rng.normal(0, 0.4, 8)[g] + noise * rng.standard_normal(n)
    return pd.DataFrame({"y": y, "race": race, "g": g, "x": rng.normal(50, 2, n)})


@pytest.fixture(scope="module")
def plain(rows):
    return cb.fit("y ~ race + (1|g)", rows, draws=100)


def design_of(spec, rows):
    return ModelDesign.of(spec, model_frame(spec, rows))


def test_a_formula_is_the_same_as_keywords_and_as_texts():
    found = cb.formula("y ~ race", sigma="~ race + (1|g)")
    assert found.parts == {"sigma": "race + (1|g)"}
    assert str(found) == "y ~ race\nsigma ~ race + (1|g)"
    from_texts = as_formula(["y ~ race", "sigma ~ race + (1|g)"])
    assert from_texts == found


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (["y ~ race", "kappa ~ race"], "one for sigma"),
        (["y ~ race", "sigma ~ y"], "response among its terms"),
        (["y ~ race", "sigma ~ offset(x)"], "has an offset"),
        (["y ~ race", "sigma ~ __import__('os')"], "cannot read"),
        (["y ~ race", "sigma ~ {x}"], "braces"),
        (["y ~ race", "sigma ~ x ~ race"], "two tildes"),
        (["y ~ race", "sigma ~ system(x)"], "calls 'system'"),
        (["y ~ race", "sigma ~ x", "sigma ~ race"], "two formulas of sigma"),
        (["y ~ race", "race"], "no tilde"),
        (["y ~ race", "sigma ~ age"], "uses 'age'"),
        (["y ~ race", "sigma ~ (1|constant)"], "one level"),
        ([], "a formula is needed"),
        (["y ~ race", 3], "a formula is needed"),
        (7, "a formula is needed"),
    ],
)
def test_a_part_that_is_none_is_refused_with_the_reason(rows, written, told):
    with pytest.raises(cb.DataError, match=told):
        cb.fit(written, rows.assign(constant="k"), draws=10)


def test_a_part_of_another_family_names_those_that_may_have_one(rows):
    with pytest.raises(cb.DataError, match="leave it out"):
        cb.fit(cb.formula("hit ~ race", sigma="~ race"), rows.assign(hit=1), family="bernoulli")


def test_a_constant_prior_of_a_parameter_with_a_formula_is_refused(rows):
    with pytest.raises(cb.DataError, match="sigma_Intercept"):
        cb.fit(cb.formula("y ~ race", sigma="~ race"), rows, priors={"sigma": "HalfNormal(1)"})


def test_a_column_named_like_a_term_of_a_part_is_refused(rows):
    with pytest.raises(cb.DataError, match="rename the column"):
        cb.fit(
            cb.formula("y ~ sigma_race", sigma="~ race"),
            rows.rename(columns={"x": "sigma_race"}),
            draws=10,
        )


def test_missing_values_in_a_column_of_a_part_are_refused(rows):
    broken = rows.assign(race=rows["race"].where(rows["x"] > 48))
    with pytest.raises(cb.DataError, match="missing in") as caught:
        cb.fit(cb.formula("y ~ x", sigma="~ race"), broken)
    assert caught.value.column == "race"


@pytest.mark.parametrize("by", [1.0, 1000.0])
def test_default_priors_of_a_part_do_not_depend_on_the_units(rows, by):
    spec = ModelSpec("y ~ 1", parts={"sigma": "race + x"})
    used = rows.assign(y=by * rows["y"], x=rows["x"] * 7 - 3)
    (part,) = arrays_of(design_of(spec, used)).problem.further
    means = np.column_stack([rows["race"] == "b", rows["race"] == "c"]).mean(axis=0)
    shares = np.sqrt(means * (1 - means))
    assert part.beta_mean[0] == pytest.approx(np.log(by * rows["y"].std(ddof=0)))
    assert part.beta_sd[1:3] == pytest.approx(2.5 / shares)
    assert part.beta_sd[3] == pytest.approx(2.5 / (7 * rows["x"].std(ddof=0)))


def test_columns_that_rows_do_not_tell_apart_are_left_out_of_a_part(rows):
    used = rows.assign(twice=2 * rows["x"])
    model = design_of(ModelSpec("y ~ 1", parts={"sigma": "x + twice"}), used)
    assert model.parts["sigma"].estimable.left_out == ("twice",)
    assert arrays_of(model).problem.further[0].design.shape[1] == 2


def test_what_nuts_samples_has_the_density_written_out(rows):
    """Mean, noise, priors and effects of both predictors, with weights, at a point."""
    spec = ModelSpec(
        "y ~ race + (1|g)",
        weights="w",
        counts="n",
        parts={"sigma": "race + (x|g)"},
        priors={"sigma_race": "Normal(0.1, 0.7)", "sigma_1|g": "HalfNormal(0.3)"},
    )
    rng = np.random.default_rng(1)
    used = rows.assign(w=rng.uniform(0.5, 2, len(rows)), n=rng.integers(1, 4, len(rows)))
    model = design_of(spec, used)
    arrays = arrays_of(model)
    built = nuts_model(model, arrays)
    point = built.initial_point()
    point = {name: value + 0.3 * rng.normal(size=value.shape) for name, value in point.items()}
    names = {one.name for one in built.free_RVs}
    assert {"sigma_Intercept", "sigma_race", "sigma_1 + x|g: z"} <= names

    def predictor(of, prefix):
        own = [name for name in names if name.startswith("sigma_") == bool(prefix)]
        beta = [np.atleast_1d(point[prefix + one]) for one in ("Intercept", "race")]
        eta, total = of.design @ np.concatenate(beta), 0.0
        total += stats.norm.logpdf(np.concatenate(beta), of.beta_mean, of.beta_sd).sum()
        (term,) = of.terms
        sds, z = [], point[f"{term.name}: z"]
        for one, density in zip(term.coefficients, term.sd_log_prior, strict=True):
            log_sd = point[f"{term.name}: sd of {one}_log__"]
            sds.append(np.exp(log_sd))
            total += density(np.exp(log_sd)) + log_sd
        total += stats.norm.logpdf(z).sum()
        root = np.eye(term.k)
        if term.correlated:
            logit = point[f"{term.name}: partial correlations_logodds__"]
            share = 1 / (1 + np.exp(-logit))
            r = (2 * share - 1).item()
            root = np.array([[1, 0], [r, np.sqrt(1 - r**2)]])
            total += (stats.beta.logpdf(share, 1, 1) + np.log(share * (1 - share))).sum()
        effects = z @ root.T * np.array(sds)
        assert own
        return eta + (term.columns * effects[term.codes[:, 0]]).sum(axis=1), total

    mean, prior = predictor(arrays.problem, "")
    log_sigma, prior_of_part = predictor(arrays.problem.further[0], "sigma_")
    sd = np.exp(log_sigma) / np.sqrt(used["w"])
    likelihood = (used["n"] * stats.norm.logpdf(used["y"], mean, sd)).sum()
    assert float(built.compile_logp()(point)) == pytest.approx(prior + prior_of_part + likelihood)
    sds = arrays.problem.further[0].terms[0].sd_log_prior
    assert sds[0](np.array(0.3)) == pytest.approx(stats.halfnorm(scale=0.3).logpdf(0.3))


def test_update_changes_what_it_is_told_and_keeps_the_rest(rows, plain):
    again = cb.update(plain, draws=50)
    assert again["posterior"].sizes["draw"] == 50
    assert again.attrs["spec"] == plain.attrs["spec"]
    assert again.attrs["data_sha256"] == plain.attrs["data_sha256"]
    more = cb.update(plain, ". ~ . + x", rows)
    assert spec_of(more).formula == "y ~ race + (1|g) + x"
    less = cb.update(plain, ". ~ . - (1|g)")
    assert spec_of(less).formula == "y ~ 1 + race"
    other = cb.update(plain, "exp(y) ~ .")
    assert spec_of(other).formula == "exp(y) ~ race + (1|g)"


def test_update_says_what_the_rows_of_the_fit_lack(plain):
    with pytest.raises(cb.DataError, match="data=study"):
        cb.update(plain, ". ~ . + x")
    with pytest.raises(cb.DataError, match="is not in the formula"):
        cb.update(plain, ". ~ . - (1|h)")
    with pytest.raises(cb.DataError, match="one for sigma"):
        cb.update(plain, drawz="~ race")
    with pytest.raises(cb.DataError, match="give the data too"):
        cb.update(plain, subset="race == 'a'")


def test_update_keeps_the_kinds_of_pairs_that_the_formula_does_not_name(rows):
    both = rows.assign(distance=rows["y"], same_identity=rows["x"] > 50)
    fit = cb.fit("distance ~ race", both, draws=50)
    assert cb.update(fit, draws=60).attrs["kinds"] == fit.attrs["kinds"] == "genuine,impostor"


def test_update_uses_the_subset_of_the_fit_on_new_rows(rows):
    fit = cb.fit("y ~ x", rows, subset="race == 'a'", draws=50)
    again = cb.update(fit, ". ~ . + (1|g)", rows)
    assert int(again.attrs["n_rows"]) == (rows["race"] == "a").sum()


def test_rows_are_averaged_by_columns_of_a_part_alone():
    """They differ in what the part makes of them, so that they may be asked for, and not merged."""
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"x": np.repeat([0.0, 1.0], 60), "race": ["a", "b"] * 60})
    rows["y"] = rows["x"] + rng.normal(0, np.where(rows["race"] == "a", 0.3, 1.0))
    fit = cb.fit(cb.formula("y ~ x", sigma="~ race"), rows, draws=50)
    found = cb.predictions(fit, "race")
    assert found["race"].values.tolist() == ["a", "b"]
    assert len(averaging(fit, ()).frame) == 4


FORMS = {
    "texts": lambda x: x,
    "objects": lambda x: x.astype(object),
    "strings": lambda x: x.astype("string"),
    "a categorical": lambda x: x.astype("category"),
    "one with an unused level": lambda x: x.astype(pd.CategoricalDtype(["a", "b", "c", "z"])),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_column_of_a_part_is_the_same_model_whatever_its_dtype(rows, form):
    spec = ModelSpec("y ~ 1", parts={"sigma": "race*x + (1|g)"})
    used = rows.assign(race=FORMS[form](rows["race"]), g=rows["g"].astype(str))
    found, wanted = (arrays_of(design_of(spec, one)).problem.further[0] for one in (used, rows))
    np.testing.assert_allclose(found.design, wanted.design)
    np.testing.assert_allclose(found.beta_sd, wanted.beta_sd)
    np.testing.assert_array_equal(found.terms[0].codes, wanted.terms[0].codes)


def test_the_first_level_of_a_column_of_a_part_is_its_reference(rows):
    levels = pd.CategoricalDtype(["c", "a", "b"], ordered=True)
    spec = ModelSpec("y ~ 1", parts={"sigma": "race"})
    model = design_of(spec, rows.assign(race=rows["race"].astype(levels)))
    terms = model.parts["sigma"].coefficient_terms
    assert terms["race"].coords == {"race_dim": ["a", "b"]}


@pytest.mark.parametrize("dtype", [bool, "boolean", "Int64", "float32", "uint8"])
def test_numbers_and_truth_values_are_columns_of_parts(rows, dtype):
    flag = (rows["x"] > 50).astype(int)
    spec = ModelSpec("y ~ 1", parts={"sigma": "flag"})
    part = design_of(spec, rows.assign(flag=flag.astype(dtype))).parts["sigma"]
    found = part.design(part.frame)
    np.testing.assert_array_equal(found, np.column_stack([np.ones(len(rows)), flag]))
