"""Effects that are correlated across formulas, ``(1|p|seed)``: read, drawn, averaged, recovered."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalbias as cb
from causalbias.models.arrays import arrays_of
from causalbias.models.fitted import ModelDesign
from causalbias.models.formula.group_terms import group_parts
from causalbias.models.formula.parse import formula_columns
from causalbias.models.nuts_model import nuts_model
from causalbias.models.specification import ModelSpec, model_frame
from causalbias.models.updating import _with_dots

RHO = -0.7
FORMULA = cb.formula("distance ~ race + (1|p|seed)", sigma="~ race + (1|p|seed)")


def rows_of(seeds=50, each=8):
    """Seeds of which the more distant ones have less noise."""
    random = np.random.default_rng(1)
    seed = np.repeat(np.arange(seeds), each)
    race = np.tile(["x", "y"], seeds * each // 2)
    spread = np.array([[0.25**2, RHO * 0.25 * 0.5], [RHO * 0.25 * 0.5, 0.5**2]])
    own = random.multivariate_normal([0, 0], spread, seeds)[seed]
    mean = 1 + 0.3 * (race == "y") + own[:, 0]
    rows = pd.DataFrame(
        {"seed": seed.astype(str), "race": race, "pose": np.tile([0.0, 1, 2, 3], 100)}
    )
    rows["distance"] = random.normal(mean, np.exp(-1.5 + own[:, 1]))
    return rows


@pytest.fixture(scope="module")
def rows():
    return rows_of()


def design_of(rows, mean, **parts):
    spec = ModelSpec(mean, parts=parts)
    return ModelDesign.of(spec, model_frame(spec, rows))


def test_the_name_between_two_bars_is_neither_a_column_nor_a_factor():
    (part,) = group_parts("y ~ x + (1 + x | p | seed)")
    assert (part.effects, part.shared, part.factor, part.correlated) == ("1 + x", "p", "seed", True)
    assert formula_columns("y ~ x + (1|p|mm(a, b))") == ("y", ["y", "x", "a", "b"])


@pytest.mark.parametrize("text", ["(1||p|seed)", "(1|p||seed)", "(1|p|q|seed)", "(1|p q|seed)"])
def test_what_else_has_two_bars_is_refused(text):
    with pytest.raises(cb.DataError, match="cannot read"):
        formula_columns(f"y ~ {text}")


def test_a_name_that_is_used_once_is_an_ordinary_term(rows):
    one = design_of(rows, "distance ~ race + (1|p|seed)")
    assert one.shared == ()
    fits = [
        cb.fit(f"distance ~ race + {term}", rows, draws=100, random_seed=1)
        for term in ("(1|seed)", "(1|p|seed)")
    ]
    assert fits[0]["posterior"].identical(fits[1]["posterior"])


@pytest.mark.parametrize(
    ("mean", "sigma", "told"),
    [
        ("(1|p|seed)", "(1|p|race)", "different factors"),
        ("(1|p|seed) + (0 + pose|p|seed)", "(1|p|seed)", "two terms of one formula"),
    ],
)
def test_what_has_no_correlation_is_refused(rows, mean, sigma, told):
    with pytest.raises(cb.DataError, match=told):
        cb.fit(cb.formula(f"distance ~ 1 + {mean}", sigma=f"~ {sigma}"), rows)


def test_engines_of_independent_effects_decline(rows):
    with pytest.raises(cb.DataError, match=r"correlated across formulas \(p\|seed\)"):
        cb.fit(FORMULA, rows, method="collapsed")


def test_priors_are_of_the_one_matrix(rows):
    found = cb.get_prior(FORMULA, rows, priors={"cor|p|seed": "LKJ(3)"})
    assert found.loc[found["class"] == "cor", "prior"].tolist() == ["LKJ(3)"]
    slopes = cb.formula("distance ~ pose + (pose|p|seed)", sigma="~ (1|p|seed)")
    with pytest.raises(cb.DataError, match=r"cor\|p\|seed"):
        cb.get_prior(slopes, rows, priors={"cor|seed": "LKJ(3)"})


def test_prior_draws_of_effects_have_the_correlations_that_were_drawn(rows):
    slopes = cb.formula("distance ~ pose + (pose|p|seed)", sigma="~ (1|p|seed)")
    drawn = cb.prior_predictive(slopes, rows, draws=200)["prior"].to_dataset().isel(chain=0)
    effects = [drawn[name].values for name in ("1|seed", "pose|seed", "sigma_1|seed")]
    seen = np.array([np.corrcoef(one) for one in zip(*effects, strict=True)])
    named = drawn["cor|p|seed"]
    assert named["p|seed__pair_dim"].values.tolist() == ["1, sigma_1", "pose, sigma_1"]
    for at, pair in enumerate([(0, 2), (1, 2)]):
        assert np.corrcoef(named.values[:, at], seen[:, *pair])[0, 1] > 0.95
    assert np.corrcoef(drawn["cor|seed"].values[:, 0], seen[:, 0, 1])[0, 1] > 0.95


def test_nuts_has_one_block_of_standard_normal_numbers_for_both_terms(rows):
    model = design_of(rows, "distance ~ race + (1|p|seed)", sigma="1 + (1|p|seed)")
    built = nuts_model(model, arrays_of(model, normal=False))
    names = {one.name for one in built.free_RVs}
    assert {"p|seed: z", "p|seed: partial correlations"} <= names
    assert not names & {"1|seed: z", "sigma_1|seed: z"}
    assert built["p|seed: z"].type.shape == (50, 2)


def test_a_term_is_taken_out_as_it_is_written():
    assert _with_dots(". - x", "x + (1|p|g)") == "1 + (1|p|g)"
    assert _with_dots(". - x", "x + (1|gr(g, by=r))") == "1 + (1|gr(g, by=r))"
    weighed = "(1|mm(a, b, weights=cbind(v, w)))"
    assert _with_dots(". - x", f"x + {weighed}") == f"1 + {weighed}"
    assert _with_dots(". - (1 | g)", "x + (1|g)") == "1 + x"


def test_predictors_of_categories_and_of_discrimination_take_part(rows):
    seen = rows.assign(seen=np.tile(["black", "asian", "white", "other"], 100))
    spec = ModelSpec("seen ~ race + (1|p|seed)", "categorical", priors={"cor|p|seed": "LKJ(2)"})
    (shared,) = ModelDesign.of(spec, model_frame(spec, seen)).shared
    assert shared.labels == ["mu_black_1", "mu_other_1", "mu_white_1"]
    ordinal = cb.formula("score ~ race + (1|p|seed)", disc="~ (1|p|seed)")
    drawn = cb.prior_predictive(
        ordinal, rows.assign(score=np.tile([1, 2, 3, 2], 100)), family="cumulative", draws=100
    )["prior"]
    seen = [
        np.corrcoef(one, other)[0, 1]
        for one, other in zip(drawn["1|seed"][0], drawn["disc_1|seed"][0], strict=True)
    ]
    assert np.corrcoef(drawn["cor|p|seed"].values.ravel(), seen)[0, 1] > 0.95


@pytest.fixture(scope="module")
def fit(rows):
    settings = {"draws": 1000, "tune": 500, "chains": 2, "random_seed": 1}
    return cb.fit(FORMULA, rows, **settings)


@pytest.mark.slow
def test_the_correlation_is_found_and_named(fit, tmp_path):
    row = cb.summary(fit).loc["cor(1, sigma_1|p|seed)"]
    assert row["kind"] == "group"
    assert row["r_hat"] < 1.05
    assert row["lower"] < RHO < row["upper"] < 0
    effect = cb.effects(fit, "race")["effect"]
    assert abs(effect.mean() - 0.3) < 4 * effect.std() < 0.2
    assert cb.open(cb.save(fit, tmp_path / "fit.nc")).identical(fit)


@pytest.mark.slow
def test_error_rates_are_averages_over_new_seeds_with_both_effects(fit):
    found = cb.predictions(fit, "race", scale="FMR", threshold=0.8)["prediction"]
    posterior = fit["posterior"].to_dataset()
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    z, w = np.stack(np.meshgrid(nodes, nodes, indexing="ij")).reshape(2, -1)
    share = np.outer(weights, weights).ravel() / weights.sum() ** 2
    rho = posterior["cor|p|seed"].values[..., 0, None]
    for level in ("x", "y"):
        names = [("", 0), ("sigma_", 1)]
        eta = [
            (
                posterior[f"{prefix}Intercept"]
                + (posterior[f"{prefix}race"].squeeze() if level == "y" else 0)
            ).values[..., None]
            for prefix, _ in names
        ]
        mean = eta[0] + posterior["1|seed_sigma"].values[..., None] * z
        noise = rho * z + np.sqrt(1 - rho**2) * w
        sd = np.exp(eta[1] + posterior["sigma_1|seed_sigma"].values[..., None] * noise)
        wanted = stats.norm.cdf((0.8 - mean) / sd) @ share
        np.testing.assert_allclose(found.sel(race=level), wanted, atol=2e-4)


@pytest.mark.slow
def test_independent_effects_would_have_other_error_rates(fit):
    """The correlation is in the answer: without it the rate far from the mean is another."""
    none = fit.copy()
    posterior = fit["posterior"].to_dataset()
    none["posterior"] = posterior.assign({"cor|p|seed": 0 * posterior["cor|p|seed"]})
    rates = [
        cb.predictions(one, "race", scale="FMR", threshold=0.3)["prediction"].mean()
        for one in (fit, none)
    ]
    assert abs(rates[0] - rates[1]) > 0.005
