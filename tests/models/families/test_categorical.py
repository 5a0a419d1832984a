"""Categories in no order: by hand, as a binary model, and which group faces are seen as of."""

import numpy as np
import pandas as pd
import pytensor
import pytest
from scipy import special, stats

import causalbias as cb
from causalbias.estimands.predictor import _points
from causalbias.models.arrays import arrays_of
from causalbias.models.families import family_named
from causalbias.models.fitted import ModelDesign
from causalbias.models.nuts_model import nuts_model
from causalbias.models.specification import ModelSpec, model_frame
from tests.chains import mixed

CATEGORICAL = family_named("categorical")
SEEN = ["asian", "black", "white"]


def test_chances_are_shares_of_exponentials():
    parameters = {"mu_b": np.array([[0.5]]), "mu_c": np.array([[-1.0]])}
    odds = np.exp([0.0, 0.5, -1.0])
    found = CATEGORICAL.log_likelihood(np.arange(3.0), np.zeros((1, 3)), parameters)
    np.testing.assert_allclose(np.exp(found[0]), odds / odds.sum(), rtol=1e-12)


def test_of_two_categories_it_is_the_binary_model():
    mu, y = np.linspace(-3, 3, 5)[None], np.array([0.0, 1, 1, 0, 1])
    one = CATEGORICAL.log_likelihood(y, np.zeros((1, 5)), {"mu_yes": mu})
    other = family_named("bernoulli").log_likelihood(y, mu, {})
    np.testing.assert_allclose(one, other, rtol=1e-12)


def test_averages_over_three_predictors_are_those_of_a_product_of_quadratures():
    mean, sd = np.array([0.5, -1.0, 0.2]), np.array([1.2, 0.5, 0.9])

    def chances(z):
        return special.softmax(np.concatenate([[0.0], mean + sd * z]))

    nodes, weights = np.polynomial.hermite_e.hermegauss(25)
    grid = np.stack(np.meshgrid(nodes, nodes, nodes), -1).reshape(-1, 3)
    share = np.prod(np.stack(np.meshgrid(*[weights] * 3), -1).reshape(-1, 3), axis=1)
    wanted = np.average([chances(z) for z in grid], axis=0, weights=share)
    found = sum(weight * chances(z) for weight, z in _points(3))
    np.testing.assert_allclose(found, wanted, atol=1e-3)


def rows_of(random, annotators=30, each=24):
    annotator = np.repeat(np.arange(annotators), each)
    level = np.tile(["low", "high"], annotators * each // 2)
    own = random.normal(0, 0.8, (2, annotators))[:, annotator]
    logits = np.array([[0.3], [-0.4]]) + np.array([[1.0], [-0.5]]) * (level == "high") + own
    parameters = {"mu_black": logits[:1], "mu_white": logits[1:]}
    code = CATEGORICAL.simulate(random, np.zeros((1, len(level))), parameters)[0]
    seen = pd.Categorical.from_codes(code, SEEN)
    return pd.DataFrame({"annotator": annotator.astype(str), "level": level, "seen": seen})


def test_the_likelihood_that_nuts_samples_is_that_of_the_family():
    spec = ModelSpec("seen ~ level", "categorical")
    model = ModelDesign.of(spec, model_frame(spec, rows_of(np.random.default_rng(2), 2, 4)))
    built = nuts_model(model, arrays_of(model, normal=False))
    point = {key: value + 0.1 for key, value in built.initial_point(random_seed=1).items()}
    with pytensor.config.change_flags(mode="FAST_COMPILE"):
        (found,) = built.compile_logp(vars=built.observed_RVs, sum=False)(point)
    parameters = {}
    for name, part in model.parts.items():
        beta = np.concatenate([np.ravel(point[f"{name}_{t}"]) for t in part.coefficient_terms])
        parameters[name] = (arrays_of(part, normal=False).problem.design @ beta)[None]
    zero = np.zeros((1, len(model.frame)))
    wanted = CATEGORICAL.log_likelihood(model.response_values, zero, parameters)
    np.testing.assert_allclose(found, wanted[0], rtol=1e-8)


@pytest.fixture(scope="module")
def fit():
    settings = {"draws": 1000, "tune": 500, "chains": 2, "random_seed": 1}
    rows = rows_of(np.random.default_rng(1))
    return cb.fit("seen ~ level + (1|annotator)", rows, family="categorical", **settings)


@pytest.mark.slow
def test_the_truth_is_recovered(fit):
    assert mixed(fit)
    table = cb.summary(fit)
    for name, value in {"black": -1.0, "white": 0.5}.items():  # of low against high
        row = table.loc[f"mu_{name}_level[low]"]
        assert abs(row["estimate"] - value) < 4 * row["sd"] < 2
        spread = table.loc[f"sd(mu_{name}_1|annotator)"]
        assert spread["lower"] < 0.8 < spread["upper"]
    assert "seen against asian" in str(fit)


@pytest.mark.slow
def test_effects_on_probabilities_are_averages_over_new_annotators(fit):
    found = cb.effects(fit, "level", reference="high")["effect"].squeeze()
    assert found["category"].values.tolist() == SEEN
    np.testing.assert_allclose(found.sum("category"), 0, atol=1e-12)
    posterior = fit["posterior"].to_dataset().stack(all=("chain", "draw"))
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    grid = np.stack(np.meshgrid(nodes, nodes, indexing="ij")).reshape(2, 1, -1)
    share = np.outer(weights, weights).ravel() / weights.sum() ** 2
    means = []
    for low in (0, 1):
        logits = [
            posterior[f"mu_{name}_Intercept"].values[:, None]
            + low * posterior[f"mu_{name}_level"].values.reshape(1, -1).T
            + posterior[f"mu_{name}_1|annotator_sigma"].values[:, None] * z
            for name, z in zip(SEEN[1:], grid, strict=True)
        ]
        means.append(special.softmax([0 * logits[0], *logits], axis=0) @ share)
    wanted = (means[1] - means[0]).T.reshape(*found.shape[:2], 3)
    np.testing.assert_allclose(found.transpose("chain", "draw", "category"), wanted, atol=1e-4)


@pytest.mark.slow
def test_the_log_odds_of_a_category_have_effects_of_their_own(fit):
    effect = cb.effects(fit, "level", reference="high", parameter="mu_white")["effect"]
    np.testing.assert_allclose(effect.squeeze(), fit["posterior"]["mu_white_level"].squeeze())
    with pytest.raises(cb.DataError, match="no scale 'link'"):
        cb.effects(fit, "level", scale="link")


@pytest.mark.slow
def test_its_replicates_pass_and_it_survives_saving(fit, tmp_path):
    found = cb.check(fit).set_index("check")["verdict"]
    assert found["category shares"] == "ok"
    assert "unmodelled clustering" not in found or found["unmodelled clustering"] == "ok"
    again = cb.open(cb.save(fit, tmp_path / "fit.nc"))
    assert again.identical(fit)
    known = cb.model_checks.with_log_likelihood(again)["log_likelihood"]["seen"]
    assert -1.1 < float(known.mean()) < -0.7  # log(1/3) is -1.1


def test_a_prior_of_a_term_is_that_of_every_category_but_those_with_their_own():
    rows = rows_of(np.random.default_rng(1), 4, 6)
    priors = {"level": "Normal(0, 3)", "mu_white_level": "Normal(1, 0.001)"}
    drawn = cb.prior_predictive(
        "seen ~ level", rows, family="categorical", priors=priors, draws=400
    )["prior"]
    assert float(drawn["mu_black_level"].std()) == pytest.approx(3, rel=0.2)
    assert float(drawn["mu_white_level"].mean()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("changes", "formula", "told"),
    [
        ({"seen": ["a b", "a-b"] * 12}, "seen ~ level", "no letters or digits of its own"),
        ({"seen": ["x"] * 24}, "seen ~ level", "all responses are x"),
        ({"seen": np.arange(24) / 2}, "seen ~ level", "needs categories"),
        ({"mu_black_x": np.arange(24.0)}, "seen ~ mu_black_x", "something of this name"),
        ({}, "seen ~ offset(level2) + level", "offset"),
        ({"row": np.arange(24).astype(str)}, "seen ~ level + (1|row)", "has one observation"),
    ],
)
def test_what_it_cannot_be_made_of_is_refused(changes, formula, told):
    rows = rows_of(np.random.default_rng(1), 4, 6).assign(level2=1.0, **changes)
    with pytest.raises(cb.DataError, match=told):
        cb.fit(formula, rows, family="categorical")


def test_a_formula_of_one_category_is_refused():
    rows = rows_of(np.random.default_rng(1), 4, 6)
    with pytest.raises(cb.DataError, match="no parameter 'mu_black' that may have a formula"):
        cb.fit(cb.formula("seen ~ level", mu_black="~ 1"), rows, family="categorical")


def test_points_of_an_average_are_spread_as_normal_numbers():
    """Points for many predictors have the moments of normal numbers."""
    weights, points = zip(*_points(5), strict=True)
    assert sum(weights) == pytest.approx(1)
    np.testing.assert_allclose(np.mean(points, axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.cov(np.array(points).T), np.eye(5), atol=0.04)
    assert stats.kstest(np.array(points)[:, 0], "norm").statistic < 0.01
