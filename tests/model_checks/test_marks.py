"""What is made of a fit that failed its diagnostics says so, whatever it is.

A new verb or figure is a line; one that is in no table fails `test_every_public_name_is_looked_at`.
"""

import json
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import causalbias as cb
from causalbias.draws.marks import failed, mark
from causalbias.models.result import frame_of

GENUINE = "same_identity and system == 'ResNet-34'"
SHORT = {"draws": 60, "chains": 2}  # too few draws for any limit


@pytest.fixture(scope="module")
def study():
    return cb.simulate(seeds=6, levels={"pose": [-3, 0, 3]}, impostors=4, random_seed=1)


@pytest.fixture(scope="module")
def fit(study):
    found = cb.fit("distance ~ race*gender + pose + (race|seed)", study, subset=GENUINE, **SHORT)
    assert cb.failures(found)
    return found


@pytest.fixture(scope="module")
def joint(study):
    rows = cb.joint_model.joint_rows(study, "ResNet-34")
    return cb.joint(rows, "race", groups={"seed": "seed"}, subset="same_identity", **SHORT)


def effects(fit):
    return cb.effects(fit, "race", population="typical")


def by_seed(fit):
    return cb.predictions(fit, "seed")["prediction"]


def slope(fit):
    return cb.dose(fit, "pose")["average_slope"]


def another(fit, formula):
    """A model of the same rows."""
    return cb.fit(formula, frame_of(fit), **SHORT)


def delta_adjusted(fit):
    rows = frame_of(fit).astype({"distance": float})
    rows.loc[rows.index[:2], "distance"] = np.nan
    kept = cb.fit("distance ~ race + (1|seed)", rows.iloc[2:], **SHORT)
    effect = cb.effects(kept, "race", newdata=rows)
    return cb.causal.pattern_mixture(effect, rows, "distance", cluster="seed", delta=[0.1])


CROSSED = "distance ~ (1|seed) + (1|race)"
# Draws: the mark is on the whole and on each variable that is taken out.
DRAWS = {
    "predictions": lambda fit: cb.predictions(fit, "race"),
    "effects": effects,
    "effects, by": lambda fit: cb.effects(fit, "race", by="gender"),
    "counterfactual": lambda fit: cb.counterfactual(fit, {"race": "black"}, {"race": "white"}),
    "interaction": lambda fit: cb.interaction(fit, "race", "gender"),
    "predictions, at new rows": lambda fit: cb.predictions(fit, newdata=cb.datagrid(fit)),
    "effects, of a change": lambda fit: cb.effects(fit, "pose", change="sd"),
    "coefficients": cb.coefficients,
    "group_effects, of levels": lambda fit: cb.group_effects(fit, "seed"),
    "pool": lambda fit: cb.pool([effects(fit), effects(fit)]),
    "dose": lambda fit: cb.dose(fit, "pose"),
    "dose, monotone": lambda fit: cb.dose(fit, "pose", monotone="increasing"),
    "heterogeneity": lambda fit: cb.heterogeneity(fit, "race"),
    "variance_shares": cb.variance_shares,
    "discriminability": lambda fit: cb.discriminability(fit, fit),
    "compare": lambda fit: cb.compare(fit, fit, "race"),
    "equivalence": lambda fit: cb.equivalence(effects(fit), (-0.1, 0.1)),
    "hypotheses": lambda fit: cb.hypotheses(effects(fit), {"a": "effect['black'] / 2"}),
    "per_unit": lambda fit: cb.per_unit(effects(fit)["effect"], slope(fit)),
    "per_perceived": lambda fit: cb.joint_model.per_perceived(
        by_seed(fit), by_seed(fit), "seed", draws=50
    ),
    "leak_to_overturn": lambda fit: cb.manipulation_checks.leak_to_overturn(
        effects(fit)["effect"], slope(fit)
    ),
    "influence": lambda fit: cb.influence(fit, effects, refit="never"),
    "influence, refit": lambda fit: cb.influence(fit, effects, refit="always", draws=10),
    "variance_components": lambda fit: cb.agreement.variance_components(another(fit, CROSSED)),
    "generalisability": lambda fit: cb.agreement.generalisability(
        another(fit, CROSSED), "seed", "race"
    ),
    "mediation": lambda fit: cb.causal.mediation(
        another(fit, "distance ~ race*pose + (1|seed)"),
        another(fit, "pose ~ race + (1|seed)"),
        "race",
    ),
    "poststratify": lambda fit: cb.causal.poststratify(
        cb.predictions(fit, "race"),
        pd.DataFrame({"race": ["asian", "black", "white"], "weight": [1, 2, 3]}),
        weight="weight",
    ),
    "pattern_mixture": delta_adjusted,
    "rank_probabilities": lambda fit: cb.rank_probabilities(effects(fit)["effect"], "race"),
    "with_predictive": cb.model_checks.with_predictive,
    "with_log_likelihood": cb.model_checks.with_log_likelihood,
}
# Frames: every row says that it did not converge.
FRAMES = {
    "summary": cb.summary,
    "summarise": lambda fit: cb.summarise(effects(fit)),
    "prior_sensitivity": lambda fit: cb.model_checks.prior_sensitivity(fit, effects(fit)),
    "sensitivity": lambda fit: cb.sensitivity(fit, effects, refit="never"),
}
TABLED = ("predictions", "effects", "compare", "equivalence", "hypotheses", "interaction")


def power(fit):
    return cb.design.power(fit, "gender", sizes=[4], simulations=1, draws=50)


def curve(fit, name):
    """An effect by level and attribute, as figures of manipulations take it."""
    found = cb.effects(fit, "pose").rename({"pose": "level", "effect": name})
    return found.expand_dims(attribute=["pose"]).transpose("chain", "draw", ...)


def ranks(fit):
    return cb.rank_probabilities(effects(fit)["effect"], "race")


FIGURES = {
    "forest": lambda fit: cb.plots.forest(effects(fit)),
    "dose_curve": lambda fit: cb.plots.dose_curve(cb.dose(fit, "pose")),
    "conditional_effects": lambda fit: cb.plots.conditional_effects(effects(fit)),
    "pp_check": lambda fit: cb.plots.pp_check(fit, draws=5),
    "trace": lambda fit: cb.plots.trace(fit, parameters=["sigma"]),
    "rank": lambda fit: cb.plots.rank(fit, parameters=["sigma"]),
    "comparison": lambda fit: cb.plots.comparison(cb.compare(fit, fit, "race")),
    "rank_heatmap": lambda fit: cb.plots.rank_heatmap(ranks(fit)),
    "assurance": lambda fit: cb.plots.assurance(power(fit)),
    "group_effects": lambda fit: cb.plots.group_effects(
        xr.concat([cb.effects(fit, "race", by="gender")], pd.Index(["genuine"], name="pairs"))
    ),
    "dose_response": lambda fit: cb.plots.dose_response(
        curve(fit, "effect"), curve(fit, "prediction")
    ),
    "perceived_against_distance": lambda fit: cb.plots.perceived_against_distance(
        curve(fit, "effect"), curve(fit, "prediction")
    ),
}
# What takes neither a fit nor draws of one.
NEVER_OF_A_FIT = (
    "Bias Classifier DataError Embedder Estimate Fit Joint Loo People Photos Question Scores "
    "Study System "
    "align_face all_pairs all_pairs_rates classifier classify compare_preparations consensus "
    "datagrid leak_corrected photo_faces photo_scores read_scores "
    "demo_study det "
    "det_curves eigenfaces embed "
    "embedder embedding_warnings enrolment "
    "equal_error_rate error_consistency error_rates face_strip fairness_discrepancy "
    "fairness_indices fit formula garbe get_prior gini graded_response group_pair_rates "
    "group_rates hcic images_of inequity joint_rows leak_matrix load load_causalface load_omi "
    "load_omi_ratings load_tidy make_study max_to_geometric_mean max_to_min open_image "
    "prior_predictive rate_differentials rate_heatmap rate_ratios reliability render retest "
    "score_distributions score_histograms simulate stimuli_from_names text_embeddings "
    "text_scores threshold_at to_frame to_release validate with_distances with_embeddings "
    "with_pairs write "
    "Diagram accuracy_indices add_counts association_test associations complete diagram intraclass "
    "ndkl pairwise_rate_ratios perceived_metric ranking_indices ratio_intervals read_facesim3d "
    "selection_bounds selection_weighted simulate_editing simulate_human_machine simulate_metric "
    "simulate_ratings simulate_recognition simulate_scores "
    "simulate_similarity simulate_social_perception simulate_triplets site_counts skew_at_k "
    "summarise_rows verification_accuracy"
)
# Packages of which nothing takes a fit or draws, but for what is looked at by name.
OF_STUDIES = {"analyses", "design", "manipulation_checks", "stimuli"}
# Looked at in tests of their own, below or where named; heal and update give fits.
ELSEWHERE = {
    "check",
    "conditional_bias",
    "failures",
    "heal",
    "joint",
    "loo",
    "loo_compare",
    "open",
    "rerun",
    "save",
    "table",
    "update",
}


@pytest.mark.parametrize("name", DRAWS)
def test_draws_carry_the_mark(fit, name):
    found = DRAWS[name](fit)
    assert json.loads(found.attrs["failures"])
    assert failed(found)
    if isinstance(found, xr.Dataset):
        assert [one for one in found.data_vars if not failed(found[one])] == []


@pytest.mark.parametrize("name", FRAMES)
def test_frames_carry_the_mark(fit, name):
    found = FRAMES[name](fit)
    assert len(found)
    assert not found["converged"].any()


@pytest.mark.parametrize("name", TABLED)
def test_tables_carry_the_mark(fit, name):
    pytest.importorskip("great_tables")
    assert not cb.summarise(DRAWS[name](fit))["converged"].any()
    page = cb.table(DRAWS[name](fit)).as_raw_html()
    assert "NOT CONVERGED" in page
    assert "bulk ESS of" in page


@pytest.mark.parametrize("name", FIGURES)
def test_figures_carry_the_mark(fit, name):
    fig = FIGURES[name](fit)
    assert any("NOT CONVERGED" in one.get_text() for one in fig.texts)


def test_every_public_name_is_looked_at():
    looked_at = {name.split(",")[0] for name in (*DRAWS, *FRAMES, *FIGURES)}
    packages = {name for name in cb.__all__ if isinstance(getattr(cb, name), ModuleType)}
    homes = [cb, *(getattr(cb, name) for name in packages - OF_STUDIES)]
    public = {name for home in homes for name in home.__all__} - packages
    assert public - looked_at - set(NEVER_OF_A_FIT.split()) == ELSEWHERE


def test_what_observations_left_out_say_carries_the_mark(fit):
    found = cb.loo(fit)
    assert any("did not converge" in one for one in found.failures)
    assert "did not converge" in repr(found)
    compared = cb.loo_compare({"one": found, "other": found})
    assert compared["failures"].str.contains("did not converge").all()


def test_a_joint_model_carries_the_mark(joint):
    for found in (joint.posterior.to_dataset(), cb.joint_model.conditional_bias(joint, "race")):
        assert [one for one in found.data_vars if not failed(found[one])] == []
        assert failed(found)
        assert not cb.summarise(found)["converged"].any()


def test_what_is_said_of_the_fit_itself(fit, tmp_path):
    for one in (fit, cb.open(cb.save(fit, tmp_path / "fit.nc"))):
        assert "NOT CONVERGED. Do not use these estimates: R-hat of" in repr(one)


@pytest.mark.parametrize("other", ["converged", "failed for another reason"])
def test_arithmetic_of_draws_keeps_the_mark(fit, study, other):
    """xarray drops attributes that differ, so reasons may be lost; that there is one, never."""
    given = SHORT | {"random_seed": 1} if other != "converged" else {}
    second = cb.fit("distance ~ race", study, subset=GENUINE, **given)
    assert bool(cb.failures(second)) is (other != "converged")
    bad, good = (effects(one)["effect"] for one in (fit, second))
    if other == "converged":
        assert not failed(good)
        bad = bad.isel(chain=0, drop=True)
        good = good.isel(chain=0, draw=slice(0, 60), drop=True)
    for found in (bad - good, good - bad, abs(good) * bad, (good - bad).mean("draw")):
        assert failed(found)
        assert failed(xr.Dataset({"difference": found}))
        assert json.loads(mark(found))


def test_a_fit_that_converged_carries_none(study):
    fit = cb.fit("distance ~ race*gender + pose + (1|seed)", study, subset=GENUINE)
    for found in (effects(fit), cb.compare(fit, fit, "race"), cb.variance_shares(fit)):
        assert found.attrs["failures"] == "[]"
        assert not failed(found)
    assert cb.summary(fit)["converged"].all()
    assert "NOT CONVERGED" not in str(cb.plots.forest(effects(fit)).texts)


@pytest.mark.parametrize(
    ("method", "family", "formula"),
    [
        ("collapsed", "gaussian", "y ~ x"),
        ("laplace", "bernoulli", "b ~ x"),
        pytest.param("nuts", "gaussian", "y ~ x", marks=pytest.mark.slow),
    ],
)
def test_check_fails_what_the_diagnostics_fail(method, family, formula):
    """One list of limits: of R-hat, sizes, divergences and weights."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": np.tile([0, 1], 30), "y": rng.normal(size=60)})
    frame["b"] = rng.integers(0, 2, 60)
    for draws in (40, 400):
        fit = cb.fit(formula, frame, family=family, draws=draws, tune=100, chains=2, method=method)
        found = cb.check(fit)
        sampling = found["check"].str.contains("R-hat|ESS|divergences|Pareto")
        assert len(cb.failures(fit)) == (found["verdict"][sampling] == "fail").sum()
