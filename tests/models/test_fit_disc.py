"""Ordinal models whose rows discriminate unequally: engines, verbs and refusals."""

import json

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import special, stats

import causalbias as cb
from causalbias.model_checks.prior_sensitivity import log_prior
from causalbias.models.families import family_named
from causalbias.models.families.cumulative import Cumulative
from causalbias.models.fitted import fitted

FORMULA = cb.formula("score ~ race + (1|annotator)", disc="~ (1|annotator)")
PRIORS = {"disc_1|annotator": "HalfNormal(0.5)", "1|annotator": "HalfNormal(1)"}
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def answers(pairs: int = 14) -> pd.DataFrame:
    """Answers of five annotators on five steps; the first is three times as noisy as the others."""
    rng = np.random.default_rng(1)
    annotator, pair = (one.ravel() for one in np.meshgrid(np.arange(5), np.arange(pairs)))
    noise = np.where(annotator == 0, 3.0, 1.0) * rng.logistic(size=len(pair))
    latent = 1.2 * (pair % 2) + rng.normal(0, 0.5, 5)[annotator] + noise
    steps = latent[:, None] > np.array([-1.5, -0.3, 0.8, 2.0])
    race = np.array(["a", "b"])[pair % 2]
    return pd.DataFrame(
        {"score": 1 + steps.sum(axis=1), "race": race, "annotator": annotator.astype(str)}
    )


@pytest.fixture(scope="module")
def fit():
    options = {"family": "cumulative", "priors": PRIORS, "draws": 400, "random_seed": 1}
    return cb.fit(FORMULA, answers(), **options)


@pytest.fixture(scope="module", params=["logit", "probit"])
def some(fit, request):
    """A few draws. As verbs take any draws, those of one link serve for both."""
    found = fit.isel(draw=slice(None, None, 20))
    spec = json.loads(found.attrs["spec"]) | {"link": request.param}
    found.attrs["spec"] = json.dumps(spec)
    return found


# R's ordinal 2022.11.16 (Debian 2022.11-16-1) on `unequal_groups`:
#   clm(score ~ race, scale = ~ who, link = "logit")
# disc is one over its scale, so that coefficients on the log scale have the other sign.
CLM = {
    "race": ([0.607023804], [0.126470876]),
    "threshold": ([-1.264522666, 0.054645762, 1.357403827], [0.1463254, 0.0918561, 0.1451740]),
    "disc_who": ([-0.520223603, 0.658165607], [0.1328373, 0.1084591]),
}


def unequal_groups() -> pd.DataFrame:
    rng, n = np.random.default_rng(7), 600
    race, who = rng.integers(0, 2, n), rng.integers(0, 3, n)
    latent = 0.8 * race + np.array([1.0, 2.0, 0.6])[who] * rng.logistic(size=n)
    score = 1 + (latent[:, None] > np.array([-1.5, 0.0, 1.5])).sum(axis=1)
    names = {"race": np.array(["a", "b"])[race], "who": np.array(["p", "q", "r"])[who]}
    return pd.DataFrame({"score": score, **names})


@pytest.mark.slow
def test_estimates_are_those_of_clm():
    formula = cb.formula("score ~ race", disc="~ who")
    fit = cb.fit(formula, unequal_groups(), family="cumulative", draws=1000, random_seed=1)
    assert fit.attrs["engine"].startswith("Laplace")
    for name, (estimate, error) in CLM.items():
        own = flat(fit["posterior"][name])
        z = (own.mean(axis=0) - np.array(estimate)) / np.array(error)
        # posterior means of a scale lie beside its mode: all of them by about 0.2 of an error here
        assert np.abs(z).max() < 0.3, (name, z)
        np.testing.assert_allclose(own.std(axis=0), error, rtol=0.08)


def flat(values):
    return values.stack(d=("chain", "draw")).transpose("d", ...).values


def by_hand(fit):
    """Draws: slope (d,), cuts (d, 4), effects and log disc (d, 5) of annotators, and their sds."""
    names = ["race", "threshold", "1|annotator", "disc_1|annotator"]
    slope, *rest = (flat(fit["posterior"][name]) for name in names)
    sds = [flat(fit["posterior"][f"{name}_sigma"])[:, None] for name in names[2:]]
    return slope[:, 0], *rest, *sds


def below(fit, x):
    normal = json.loads(fit.attrs["spec"])["link"] == "probit"
    return stats.norm.cdf(x) if normal else special.expit(x)


@pytest.mark.parametrize("link", Cumulative.links)
def test_the_likelihood_of_nuts_is_the_family_s(link):
    rng, n = np.random.default_rng(0), 30
    family, cuts, codes = family_named("cumulative", link), np.array([-1.0, 0.2, 1.5]), np.arange(4)
    eta, disc, y = rng.normal(0, 1, n), np.exp(rng.normal(0, 0.3, n)), np.resize(codes, n)
    with pm.Model() as model:
        parameters = {"disc": pm.Flat("disc", shape=n), "threshold": pm.Flat("cuts", shape=3)}
        family.pymc_of_rows("y", pm.Flat("eta", shape=n), parameters, observed=y)
    density = model.compile_fn(model.logp(vars=model.observed_RVs, sum=False)[0])
    of = {"threshold": cuts[None], "disc": disc[None]}
    own = family.log_likelihood(y, eta[None], of)[0]
    np.testing.assert_allclose(density({"eta": eta, "disc": disc, "cuts": cuts}), own, rtol=1e-6)
    slope = model.compile_fn(model.dlogp())
    assert np.isfinite(slope({"eta": 200 * eta, "disc": disc, "cuts": cuts})).all()


@pytest.mark.slow
def test_the_engine_is_laplace_and_the_summary_has_the_parts(fit):
    assert fit.attrs["engine"].startswith("Laplace")
    assert {"sd(disc_1|annotator)", "sd(1|annotator)"} <= set(cb.summary(fit).index)
    assert "disc ~ (1|annotator)" in str(fit)


@pytest.mark.slow
def test_a_group_four_times_as_noisy_is_found():
    rng, n = np.random.default_rng(3), 400
    who = rng.integers(0, 2, n)
    latent = np.array([1.0, 4.0])[who] * rng.logistic(size=n)
    score = 1 + (latent[:, None] > np.array([-1.5, 0.0, 1.5])).sum(axis=1)
    rows = pd.DataFrame({"score": score, "who": np.array(["p", "q"])[who]})
    found = cb.fit(cb.formula("score ~ 1", disc="~ who"), rows, family="cumulative", draws=250)
    low, high = np.quantile(np.exp(-found["posterior"]["disc_who"]), [0.005, 0.995])
    assert 1.5 < low < 4 < high


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_posterior_is_that_of_nuts(fit):
    options = {"draws": 1500, "tune": 1000, "chains": 2, "random_seed": 2, "priors": PRIORS}
    theirs = cb.fit(FORMULA, answers(), family="cumulative", method="nuts", **options)
    theirs = theirs["posterior"].to_dataset()
    ours = fit["posterior"].to_dataset()
    assert set(ours.data_vars) == set(theirs.data_vars)
    for name in ours.data_vars:
        a, b = flat(ours[name]), flat(theirs[name])
        gap = (a.mean(axis=0) - b.mean(axis=0)) / b.std(axis=0)
        assert np.abs(gap).max() < 0.25, (name, gap)


@pytest.mark.slow
def test_averages_have_each_row_s_own_discrimination(some):
    slope, cuts, effects, log_disc, *_ = by_hand(some)
    rows = fitted(some).frame
    who, race = rows["annotator"].astype(int), rows["race"].eq("b").to_numpy()
    for level in (False, True):
        at = np.flatnonzero(race == level)
        eta = slope[:, None] * level + effects[:, who.iloc[at]]
        ends = cuts[:, None] - eta[:, :, None]
        passed = 1 - below(some, np.exp(log_disc[:, who.iloc[at]])[:, :, None] * ends)
        passed = passed.mean(axis=1)
        cell = {"race": "ab"[level]}
        asked = {"by": "race", "population": "these"}
        found = cb.predictions(some, scale="exceedance", **asked)["prediction"].sel(cell)
        np.testing.assert_allclose(flat(found), passed, atol=1e-9)
        mean = cb.predictions(some, **asked)["prediction"].sel(cell)
        np.testing.assert_allclose(flat(mean), 1 + passed.sum(axis=1), atol=1e-8)


@pytest.mark.slow
def test_new_annotators_have_biases_and_discriminations_of_their_own(some):
    slope, cuts, _, _, sd, sd_of_disc = by_hand(some)
    found = cb.predictions(some, by="race", population="new", scale="exceedance")["prediction"]
    for level in (0, 1):
        total = 0.0
        for weight, node in zip(WEIGHTS, NODES, strict=True):
            disc = np.exp(node * sd_of_disc)[:, :, None]
            eta = slope[:, None] * level + sd * NODES
            passed = 1 - below(some, disc * (cuts[:, None] - eta[:, :, None]))
            total = total + weight * np.einsum("dnk,n->dk", passed, WEIGHTS)
        own = flat(found.sel(race="ab"[level]))
        np.testing.assert_allclose(own, total, atol=2e-3)
    plain = 1 - below(some, cuts)
    typical = cb.predictions(some, by="race", population="typical", scale="exceedance")
    np.testing.assert_allclose(flat(typical["prediction"].sel(race="a")), plain, atol=1e-9)


@pytest.mark.slow
def test_the_latent_unit_is_the_noise_of_the_rows(some):
    slope, *_, sd_of_disc = by_hand(some)
    effect = cb.effects(some, "race", scale="latent")["effect"]
    noise = family_named("cumulative", json.loads(some.attrs["spec"])["link"]).link.noise_sd
    # E[1 / disc^2] of a lognormal disc; 15 nodes give it to four digits where its sd is below one
    unit = noise * np.exp(np.square(sd_of_disc[:, 0]))
    near = sd_of_disc[:, 0] < 1
    assert near.sum() > 10
    np.testing.assert_allclose(flat(effect).ravel()[near], (slope / unit)[near], rtol=1e-3)


@pytest.mark.slow
def test_densities_and_replicates_are_of_each_row_s_discrimination(some):
    slope, cuts, effects, log_disc, *_ = by_hand(some)
    rows = fitted(some).frame
    who, code = rows["annotator"].astype(int), rows["score"].cat.codes.to_numpy()
    eta = slope[:, None] * rows["race"].eq("b").to_numpy() + effects[:, who]
    edge = np.full((len(cuts), 1), np.inf)
    ends = np.hstack([-edge, cuts, edge])
    disc = np.exp(log_disc[:, who])
    upper, lower = (below(some, disc * (ends[:, code + one] - eta)) for one in (1, 0))
    chance = upper - lower
    found = cb.model_checks.with_log_likelihood(some)["log_likelihood"]["score"]
    np.testing.assert_allclose(flat(found), np.log(chance), rtol=1e-6, atol=1e-9)
    at = fitted(some).parameters_at(rows)
    np.testing.assert_allclose(at["disc"], disc)


@pytest.mark.slow
def test_priors_and_other_verbs_know_the_formula(fit, tmp_path):
    model = fitted(fit)
    sds = [flat(fit["posterior"][f"{one}1|annotator_sigma"]) for one in ("", "disc_")]
    slope = flat(fit["posterior"]["race"])[:, 0]
    cuts = flat(fit["posterior"]["threshold"])
    table = cb.get_prior(FORMULA, answers(), family="cumulative").set_index("parameter")["prior"]
    assert table["disc_1|annotator"] == "HalfNormal(2.5)"
    assert table["race"] == "Normal(0, 5)"
    mean, sd = model.prior("threshold").args["mu"], model.prior("threshold").args["sigma"]
    own = stats.norm.logpdf(slope, 0, 5.0) + stats.norm.logpdf(cuts, mean, sd).sum(axis=1)
    own += stats.halfnorm.logpdf(sds[0], scale=1) + stats.halfnorm.logpdf(sds[1], scale=0.5)
    gap = log_prior(model) - own
    np.testing.assert_allclose(gap, gap[0], atol=0.01)
    cb.save(fit, tmp_path / "fit.nc")
    again = cb.open(tmp_path / "fit.nc")
    few = {"by": "race", "population": "these"}
    np.testing.assert_array_equal(
        cb.predictions(again, **few)["prediction"], cb.predictions(fit, **few)["prediction"]
    )
    itself = cb.predictions(fit, by="race", parameter="disc", population="typical")["prediction"]
    np.testing.assert_allclose(itself, 1.0)
    with pytest.raises(cb.DataError, match="formula of its own"):
        cb.loo(fit, by="annotator")
    with pytest.raises(cb.DataError, match="formula of disc"):
        cb.design.power(fit, "race", over="annotator", sizes=[5])


def test_formulas_of_disc_that_are_none_are_refused():
    rows = answers(4)

    def refused(match, part="~ (1|annotator)", **options):
        with pytest.raises(cb.DataError, match=match):
            cb.fit(cb.formula("score ~ race", disc=part), rows, family="cumulative", **options)

    refused("no term", part="~ 1")
    refused("no intercept", priors={"disc_Intercept": "Normal(0, 1)"})
    refused("no intercept", priors={"disc_threshold": "Normal(0, 1)"})
    refused("prior of 'disc'", priors={"disc": "Normal(0, 1)"})
    with pytest.raises(cb.DataError, match="no parameter 'disc'"):
        cb.fit(cb.formula("score ~ race", disc="~ race"), rows, family="gaussian")


def test_a_formula_of_disc_has_no_intercept_however_it_is_written():
    rows = answers(4)
    for part in ("~ race", "~ 0 + race"):
        table = cb.get_prior(cb.formula("score ~ 1", disc=part), rows, family="cumulative")
        labels = [one for one in table["parameter"] if one.startswith("disc_")]
        assert labels == ["disc_race"]


def test_priors_are_drawn_with_each_row_s_discrimination():
    rows = answers(4)
    priors = {"disc_1|annotator": "HalfNormal(0.001)", "threshold": "Normal(0, 1)"}
    options = {"family": "cumulative", "draws": 200, "random_seed": 1}
    drawn = cb.prior_predictive(FORMULA, rows, priors=priors, **options)
    assert np.abs(drawn["prior"]["disc_1|annotator"]).max() < 0.02
    wide = {**priors, "disc_1|annotator": "HalfNormal(50)"}
    spread = cb.prior_predictive(FORMULA, rows, priors=wide, **options)
    assert float(np.abs(spread["prior"]["disc_1|annotator"]).max()) > 50


@pytest.mark.slow
def test_unequal_annotators_are_answered_with_a_formula_of_disc():
    rng, n = np.random.default_rng(5), 300
    who = np.arange(n) % 6
    latent = np.where(who < 3, 0.4, 4.0) * rng.logistic(size=n)
    score = 1 + (latent[:, None] > np.array([-2.0, -0.5, 0.5, 2.0])).sum(axis=1)
    rows = pd.DataFrame({"score": score, "who": who.astype(str)})
    plain = cb.fit("score ~ 1 + (1|who)", rows, family="cumulative", method="laplace")
    assert 'cb.update(fit, disc="~ (1|who)")' in str(cb.check(plain))
