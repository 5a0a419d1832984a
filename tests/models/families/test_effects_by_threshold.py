"""Adjacent categories, and effects that differ between thresholds: by hand, and in a fit."""

import numpy as np
import pandas as pd
import pytest
from scipy import special

import causalbias as cb
from causalbias import DataError
from causalbias.models.arrays import arrays_of
from causalbias.models.families import FAMILIES, family_named
from causalbias.models.fitted import ModelDesign
from causalbias.models.formula.parts import as_formula
from causalbias.models.nuts_model import nuts_model
from causalbias.models.specification import ModelSpec, model_frame
from tests.chains import mixed
from tests.models.test_shrinkage import natural

THRESHOLDS = np.array([[0.3, -0.8, 1.1]])  # in no order
SLOPES = (1.0, 0.2, -0.6)
EVERY = [(name, one) for name, own in FAMILIES.items() if own.by_threshold for one in own.links]


def of_rows(x):
    return {"threshold": THRESHOLDS} | {
        f"cs{k}": (slope * x)[None] for k, slope in enumerate(SLOPES, start=1)
    }


def test_adjacent_categories_with_effects_by_threshold_are_a_multinomial_logit():
    """Agresti 2010, section 4.1.2: its coefficients are the sums of theirs up to the category."""
    x, eta = np.linspace(-1, 1, 5), np.linspace(-0.5, 0.7, 5)
    steps = eta + np.outer(SLOPES, x) - THRESHOLDS.T
    logits = np.vstack([np.zeros(5), steps.cumsum(axis=0)])
    found = family_named("acat").chances(eta[None], of_rows(x))[0]
    np.testing.assert_allclose(found, special.softmax(logits, axis=0).T, rtol=1e-12)


def test_stopping_ratios_with_effects_by_threshold_are_logistic_regressions():
    """Of stopping there, one for each threshold, of those who came so far (Tutz 1991)."""
    x, eta, codes = np.linspace(-1, 1, 4), np.linspace(-0.5, 0.7, 4), np.arange(4)
    found = family_named("sratio").log_likelihood(codes, eta[None], of_rows(x))[0]
    for row, code in enumerate(codes):
        wanted = 0.0
        for k in range(min(code, 2) + 1):
            stop = special.expit(THRESHOLDS[0, k] - eta[row] - SLOPES[k] * x[row])
            wanted += np.log(stop if k == code else 1 - stop)
        assert found[row] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(("name", "link"), EVERY)
def test_nuts_has_the_likelihood_of_the_family(name, link):
    x = np.linspace(-1, 1, 8)
    rows = pd.DataFrame({"y": np.arange(8) % 4, "x": x, "z": x**2})
    written = as_formula("y ~ z + cs(x)")
    spec = ModelSpec(written.text, name, link, parts=written.parts)
    model = ModelDesign.of(spec, model_frame(spec, rows))
    inner = nuts_model(model, arrays_of(model, normal=False))
    point, values = natural(inner, np.random.default_rng(0))
    (observed,) = inner.observed_RVs
    found = inner.compile_logp(observed, sum=False)(values)[0]
    own = {f"cs{k}": (point[f"cs{k}_x"] * x)[None] for k in (1, 2, 3)}
    own = {"threshold": np.asarray(point["threshold"])[None]} | own
    eta = (point["z"] * x**2)[None]
    wanted = family_named(name, link).log_likelihood(rows["y"].to_numpy(), eta, own)
    np.testing.assert_allclose(found, wanted[0], rtol=1e-6)


REFUSED = {
    "cumulative probabilities would cross": ("y ~ cs(x)", "cumulative", "sratio"),
    "no thresholds": ("y ~ cs(x)", "poisson", "cs"),
    "in a product": ("y ~ cs(x):z", "acat", "term by itself"),
    "in a group term": ("y ~ z + (cs(1)|g)", "acat", "term by itself"),
    "a group term in it": ("y ~ cs(1|g)", "acat", "term by itself"),
    "written twice": ("y ~ x + cs(x)", "acat", "once"),
    "of the intercept": ("y ~ cs(1)", "acat", "no term"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_by_threshold_is_refused(case):
    formula, family, told = REFUSED[case]
    rows = pd.DataFrame({"y": np.arange(12) % 3, "x": np.arange(12.0), "z": np.arange(12) % 5.0})
    with pytest.raises(DataError, match=told):
        cb.fit(formula, rows.assign(g="a"), family=family)


def test_a_prior_is_of_all_thresholds_unless_one_has_its_own():
    rows = pd.DataFrame({"y": np.arange(12) % 3, "x": np.arange(12.0)})
    priors = {"cs_x": "Normal(0, 1)", "cs2_x": "Normal(0, 2)"}
    found = cb.get_prior("y ~ cs(x)", rows, family="acat", priors=priors).set_index("parameter")
    assert found.loc[["cs1_x", "cs2_x"], "prior"].tolist() == ["Normal(0, 1)", "Normal(0, 2)"]
    assert found.loc[["cs1_x", "cs2_x"], "source"].tolist() == ["given", "given"]


def test_thresholds_stay_free_where_a_column_is_far_from_zero():
    """As an intercept's prior does: it is wider by what the effects are at the column's mean."""
    rows = pd.DataFrame({"y": np.arange(12) % 3, "year": 2000 + np.arange(12.0)})
    found = []
    for formula in ("y ~ year", "y ~ cs(year)"):
        written = as_formula(formula)
        spec = ModelSpec(written.text, "acat", parts=written.parts)
        found.append(ModelDesign.of(spec, model_frame(spec, rows)).prior("threshold").args["sigma"])
    assert found[0] == pytest.approx(found[1])
    assert found[0] > 1000


@pytest.fixture(scope="module")
def fit():
    random = np.random.default_rng(1)
    annotator, x = np.repeat(np.arange(20), 20), random.normal(size=400)
    race = np.tile(["a", "b"], 200)
    eta = 0.8 * (race == "b") + random.normal(0, 0.5, 20)[annotator]
    score = family_named("acat").simulate(random, eta[None], of_rows(x))[0]
    rows = pd.DataFrame({"score": score, "x": x, "race": race, "annotator": annotator.astype(str)})
    settings = {"draws": 600, "tune": 400, "chains": 2, "random_seed": 1}
    return cb.fit("score ~ race + cs(x) + (1|annotator)", rows, family="acat", **settings)


@pytest.mark.slow
def test_the_truth_is_recovered(fit):
    assert mixed(fit)
    table = cb.summary(fit)
    truth = {"race[b]": 0.8, "cs1_x": 1.0, "cs2_x": 0.2, "cs3_x": -0.6}
    truth |= {f"threshold[{k}]": one for k, one in enumerate(THRESHOLDS[0])}
    for name, true in truth.items():
        assert abs(table.loc[name, "estimate"] - true) < 3.5 * table.loc[name, "sd"], name


@pytest.mark.slow
def test_verbs_take_the_effects_of_each_threshold(fit):
    """The slopes of chances by hand, at the fitted annotators and over them."""
    found = cb.predictions(
        fit,
        newdata=pd.DataFrame({"race": ["b"], "x": [1.5]}),
        by="x",
        scale="probability",
        population="typical",
    )["prediction"].squeeze()
    flat = fit["posterior"].to_dataset().stack(s=("chain", "draw"))
    at = {f"cs{k}": flat[f"cs{k}_x"].values[:, None] * 1.5 for k in (1, 2, 3)}
    at = {"threshold": flat["threshold"].transpose("s", ...).values} | at
    wanted = family_named("acat").chances(flat["race"].values.reshape(-1, 1), at)[:, 0]
    np.testing.assert_allclose(
        found.stack(s=("chain", "draw")).transpose("s", "category"), wanted, rtol=1e-6
    )
    step = cb.effects(fit, "x", parameter="cs1", change=1.0)["effect"].squeeze()
    assert float(step.mean()) == pytest.approx(float(flat["cs1_x"].mean()))
    with pytest.raises(DataError, match="differs between thresholds"):
        cb.effects(fit, "race", scale="link")


@pytest.mark.slow
def test_its_replicates_pass_and_it_survives_saving(fit, tmp_path):
    found = cb.check(fit).set_index("check")["verdict"]
    assert found["category shares"] == "ok"
    again = cb.open(cb.save(fit, tmp_path / "fit.nc"))
    assert again.identical(fit)
    assert "cs ~ x" in str(again)
    assert np.isfinite(cb.loo(again).elpd)
