"""Gaussian models whose sigma has a formula over few cells, by the exact engine."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.models.families import FAMILIES
from tests.inference.gaussian.nuts_reference import summary
from tests.inference.gaussian.test_gaussian_nuts import compare

# glmmTMB 1.1.5 (Debian 1.1.5+dfsg-4) on `noisy_systems`:
#   glmmTMB(y ~ system*kind + (1|seed), dispformula = ~ system*kind, REML = TRUE)
# Its dispersion model is of the log variance: estimates and standard errors are halved here. nlme
# 3.1-162, lme(weights = varIdent(form = ~ 1 | system*kind)), has the same restricted likelihood
# (-1816.01442), a residual sd of 0.7055845 * 0.7387071 = 0.521 of (a, genuine), and sds alike.
MEAN = {
    "Intercept": ([1.891097547], [0.05824355]),
    "system": ([0.027387197, 0.001087089], [0.06500774, 0.03605063]),
    "kind": ([0.275772175], [0.05351193]),
    "system:kind": ([0.030576637, 0.049745225], [0.08597655, 0.07646939]),
}
LOG_VARIANCE = {
    "Intercept": ([-1.3031719], [0.08438462]),
    "system": ([1.2912987, -1.0244241], [0.11775123, 0.12286487]),
    "kind": ([0.6057466], [0.12204415]),
    "system:kind": ([-1.6267014, 1.5569511], [0.17094674, 0.17053809]),
}
SD_OF_SEEDS = 0.3830932


def noisy_systems(n: int = 1800) -> pd.DataFrame:
    """Distances of three systems and two kinds of pairs, each cell with a noise of its own."""
    rng = np.random.default_rng(19)
    system, kind = rng.choice(["a", "b", "c"], n), rng.choice(["genuine", "impostor"], n)
    seed = rng.integers(0, 60, n)
    cell = 2 * np.unique(system, return_inverse=True)[1] + (kind == "impostor")
    sd = np.array([0.5, 0.7, 1.0, 0.6, 0.3, 0.9])[cell]
    y = 2 + 0.3 * (kind == "impostor") + 0.4 * rng.standard_normal(60)[seed]
    y += sd * rng.standard_normal(n)
    return pd.DataFrame({"y": y.round(4), "system": system, "kind": kind, "seed": seed})


def test_estimates_are_those_of_glmmtmb_and_nlme():
    model = cb.formula("y ~ system*kind + (1|seed)", sigma="~ system*kind")
    fit = cb.fit(model, noisy_systems(), draws=1000, random_seed=1)
    assert fit.attrs["engine"].startswith("collapsed Gaussian (exact)")
    draws = fit["posterior"].to_dataset()
    for prefix, by, numbers in (("", 1.0, MEAN), ("sigma_", 0.5, LOG_VARIANCE)):
        for name, (estimate, error) in numbers.items():
            own = draws[prefix + name].values.reshape(4000, -1)
            z = (own.mean(axis=0) - by * np.array(estimate)) / (by * np.array(error))
            # of 2,800 draws at the least a mean is known to 0.02 standard errors, an sd to 1.4%;
            # beside the likelihood's the prior is wide, and group sds are known to 10%
            assert np.abs(z).max() < 0.1, (prefix + name, z)
            np.testing.assert_allclose(own.std(axis=0), by * np.array(error), rtol=0.06)
    assert float(draws["1|seed_sigma"].mean()) == pytest.approx(SD_OF_SEEDS, rel=0.05)


def test_a_formula_of_sigma_that_is_constant_is_the_plain_model():
    rows = noisy_systems(240)
    plain = cb.fit("y ~ kind + (1|seed)", rows, priors={"sigma": "HalfNormal(50)"}, draws=1000)
    prior = {"sigma_Intercept": "Normal(0, 3)"}
    other = cb.fit(cb.formula("y ~ kind + (1|seed)", sigma="~ 1"), rows, priors=prior, draws=1000)
    a, b = plain["posterior"]["sigma"], np.exp(other["posterior"]["sigma_Intercept"])
    # flat priors of sigma and of its log differ by 1 / sigma, which moves the mean by 1 / 480 of it
    assert float(a.mean() / b.mean()) == pytest.approx(1.0, abs=0.01)
    assert float(a.std() / b.std()) == pytest.approx(1.0, abs=0.08)


def test_what_the_exact_engine_does_not_take_is_said():
    rows = noisy_systems(240).assign(x=np.linspace(0.0, 1.0, 240))
    for part, reason in (("~ x", "240 distinct rows"), ("~ (kind|seed)", r"\(1\|g\)")):
        with pytest.raises(cb.DataError, match=reason):
            cb.fit(cb.formula("y ~ kind", sigma=part), rows, method="collapsed")
    with pytest.raises(cb.DataError, match="declines"):
        cb.fit(
            cb.formula("y ~ kind", sigma="~ kind"),
            rows,
            priors={"sigma_kind": "StudentT(3, 0, 1)"},
            method="collapsed",
        )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_posterior_is_that_of_nuts():
    """Weights, counts, and few rows in each cell; of group terms see the engine's own tests."""
    rng = np.random.default_rng(4)
    rows = noisy_systems(40).assign(
        x=rng.normal(size=40), w=rng.uniform(0.5, 2.0, 40), n=rng.integers(1, 3, 40)
    )
    model = cb.formula("y ~ x + kind", sigma="~ kind + system")
    options = {"weights": "w", "counts": "n", "random_seed": 2, "draws": 1000, "tune": 500}
    ours, theirs = (
        cb.fit(model, rows, method=method, **options)["posterior"].to_dataset()
        for method in ("collapsed", "nuts")
    )
    for name in ("Intercept", "x", "kind", "sigma_Intercept", "sigma_kind", "sigma_system"):
        a, b = (one[name].transpose("chain", "draw", ...).values for one in (ours, theirs))
        compare(name, a.reshape(4000, -1), summary(b.reshape(4000, -1)))


def noisy_annotators(levels: int = 12, n: int = 96) -> pd.DataFrame:
    """Distances whose noise has a standard deviation by annotator and by kind of pair."""
    rng = np.random.default_rng(31)
    annotator, seed = np.arange(n) % levels, rng.integers(0, 10, n)
    kind = rng.choice(["genuine", "impostor"], n)
    log_sd = 0.5 * rng.standard_normal(levels)[annotator] - 0.7 * (kind == "impostor")
    y = 1 + 0.4 * rng.standard_normal(10)[seed] + np.exp(log_sd) * rng.standard_normal(n)
    return pd.DataFrame({"y": y, "kind": kind, "annotator": annotator, "seed": seed})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_annotators_of_unequal_noise_have_the_posterior_of_nuts():
    model = cb.formula("y ~ kind + (1|seed)", sigma="~ kind + (1|annotator)")
    rows = noisy_annotators()
    ours, theirs = (
        cb.fit(model, rows, method=method, random_seed=3)["posterior"].to_dataset()
        for method in ("auto", "nuts")
    )
    assert set(ours.data_vars) == set(theirs.data_vars)
    for name in ours.data_vars:
        a, b = (one[name].transpose("chain", "draw", ...).values for one in (ours, theirs))
        compare(name, a.reshape(4000, -1), summary(b.reshape(4000, -1)))


def test_noise_of_annotators_is_recovered_exactly_and_verbs_have_it():
    rows = noisy_annotators(20, 2000)
    fit = cb.fit(cb.formula("y ~ kind + (1|seed)", sigma="~ kind + (1|annotator)"), rows)
    assert fit.attrs["engine"].startswith("collapsed Gaussian (exact)")
    draws = fit["posterior"].to_dataset()
    residual = rows["y"] - rows.groupby("seed")["y"].transform("mean")
    seen = np.log(residual[rows["kind"] == "genuine"].groupby(rows["annotator"]).std())
    of_level = draws["sigma_1|annotator"].mean(("chain", "draw")).to_series()
    seen = seen.set_axis(seen.index.astype(str)).loc[of_level.index.astype(str)]
    assert np.corrcoef(of_level, seen)[0, 1] > 0.95
    assert 0.3 < float(draws["sigma_1|annotator_sigma"].mean()) < 0.8
    assert abs(float(draws["sigma_kind"].mean()) + 0.7) < 0.15
    of_new = cb.predictions(fit, "kind", parameter="sigma")
    seen, other = (
        float(of_new["prediction"].mean(("chain", "draw")).sel(kind=kind))
        for kind in ("impostor", "genuine")
    )
    assert seen / other == pytest.approx(np.exp(float(draws["sigma_kind"].mean())), rel=0.03)


def test_a_lognormal_model_is_a_gaussian_one_of_the_logarithm():
    rows = noisy_systems(200)
    rows = rows.assign(z=np.exp(rows["y"]))
    formula = cb.formula("z ~ kind + (1|seed)", sigma="~ kind")
    fit = cb.fit(formula, rows, family="lognormal", draws=100)
    assert fit.attrs["engine"].startswith("collapsed Gaussian (exact)")
    of_log = cb.fit(cb.formula("y ~ kind + (1|seed)", sigma="~ kind"), rows, draws=100)
    for name, draws in of_log["posterior"].data_vars.items():
        np.testing.assert_allclose(fit["posterior"][name], draws, rtol=1e-3, atol=1e-3)
    gap = (
        cb.model_checks.with_log_likelihood(fit)["log_likelihood"]["z"]
        - cb.model_checks.with_log_likelihood(of_log)["log_likelihood"]["y"]
    )
    np.testing.assert_allclose(gap.mean(("chain", "draw")), -rows["y"], atol=1e-3)


def test_the_exact_engine_takes_no_mixture_with_a_lognormal():
    exact = {name for name, family in FAMILIES.items() if "collapsed" in family.engines}
    assert exact == {"gaussian", "lognormal"}
