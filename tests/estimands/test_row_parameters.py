"""Verbs and checks of fits whose noise differs by row, each beside its definition written out."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import causalbias as cb
from causalbias.estimands.predictor import noise_variance
from causalbias.model_checks.left_out import log_likelihoods
from causalbias.model_checks.prior_sensitivity import log_prior
from causalbias.model_checks.replicates import predictive_checks
from causalbias.model_checks.residuals import residuals_of
from causalbias.models.arrays import arrays_of
from causalbias.models.fitted import fitted

pytestmark = pytest.mark.slow  # NUTS compiles for seconds
RACES = ["a", "b", "c"]
THRESHOLD = 3.1
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(2)
    n = 200
    race, seed = rng.integers(0, 3, n), rng.integers(0, 10, n)
    sd = np.array([0.4, 0.8, 1.6])[race] * np.exp(rng.normal(0, 0.3, 10))[seed]
    distance = 3 + 0.3 * race + rng.normal(0, 0.5, 10)[seed] + sd * rng.standard_normal(n)
    return pd.DataFrame(
        {
            "distance": distance,
            "race": np.array(RACES)[race],
            "seed": seed,
            "w": rng.uniform(0.5, 2, n),
            "same_identity": True,
        }
    )


@pytest.fixture(scope="module")
def fit(rows):
    formula = cb.formula("distance ~ race + (1|seed)", sigma="~ race + (1|seed)")
    return cb.fit(formula, rows, weights="w", draws=60, tune=150, chains=2)


@pytest.fixture(scope="module")
def without_groups(fit):
    return cb.update(fit, sigma="~ race", weights=None)


@pytest.fixture(scope="module")
def by_hand(fit, rows):
    """Mean and log sigma (draws, rows) without effects of seeds, these effects, and their sds."""
    posterior = fit["posterior"].to_dataset().stack(d=("chain", "draw"))
    code = np.searchsorted(RACES, rows["race"])

    def fixed(prefix):
        steps = np.vstack([np.zeros(120), posterior[f"{prefix}race"].values])
        return (posterior[f"{prefix}Intercept"].values + steps[code]).T

    def effects(prefix):
        found = posterior[f"{prefix}1|seed"].transpose("d", ...)
        return found.sel(seed__factor_dim=rows["seed"].astype(str).to_numpy()).values

    sds = [posterior[f"{one}1|seed_sigma"].values for one in ("", "sigma_")]
    return fixed(""), fixed("sigma_"), effects(""), effects("sigma_"), *sds


def mean_by_race(values, rows):
    return np.column_stack([values[:, rows["race"] == one].mean(axis=1) for one in RACES])


def flat(values):
    return values.stack(d=("chain", "draw")).transpose("d", ...).values


def test_parameters_of_rows_have_the_effects_of_their_seeds(fit, rows, by_hand):
    _, log_sigma, _, own, _, _ = by_hand
    model = fitted(fit)
    assert model.parameters == {}
    found = model.parameters_at(model.frame)["sigma"]
    np.testing.assert_allclose(found, np.exp(log_sigma + own))
    with pytest.raises(cb.DataError, match="differs between rows"):
        _ = model.latent_sd


def test_the_log_likelihood_is_of_each_rows_own_noise(fit, rows, by_hand):
    mean, log_sigma, seeds, own, _, _ = by_hand
    found = cb.model_checks.with_log_likelihood(fit)["log_likelihood"]["distance"]
    sd = np.exp(log_sigma + own) / np.sqrt(rows["w"].to_numpy())
    wanted = stats.norm.logpdf(rows["distance"].to_numpy(), mean + seeds, sd)
    np.testing.assert_allclose(flat(found), wanted)


def test_new_data_have_the_noise_of_their_rows(fit, rows, by_hand):
    mean, log_sigma, seeds, own, _, _ = by_hand
    found = flat(cb.model_checks.with_predictive(fit)["posterior_predictive"]["distance"])
    sd = np.exp(log_sigma + own) / np.sqrt(rows["w"].to_numpy())
    white = ((found - mean - seeds) / sd).ravel()
    assert stats.kstest(white, "norm").pvalue > 1e-4


@pytest.mark.parametrize("population", ["these", "typical", "new"])
def test_error_rates_use_the_noise_of_each_row(fit, rows, by_hand, population):
    mean, log_sigma, seeds, own, sd_seed, sd_own = by_hand
    weight = rows["w"].to_numpy()

    def rate(mean, sd, variance=0.0):
        return special.ndtr((mean - THRESHOLD) / np.sqrt(sd**2 / weight + variance))

    if population == "these":
        wanted = rate(mean + seeds, np.exp(log_sigma + own))
    elif population == "typical":
        wanted = rate(mean, np.exp(log_sigma))
    else:
        wanted = sum(
            share * rate(mean, np.exp(log_sigma + node * sd_own[:, None]), sd_seed[:, None] ** 2)
            for node, share in zip(NODES, WEIGHTS, strict=True)
        )
    found = cb.predictions(fit, "race", scale="FNMR", threshold=THRESHOLD, population=population)
    np.testing.assert_allclose(flat(found["prediction"]), mean_by_race(wanted, rows), atol=2e-5)


def test_effects_on_error_rates_change_the_noise_with_the_level(fit, rows):
    posterior = fit["posterior"].to_dataset().stack(d=("chain", "draw"))
    weight = rows["w"].to_numpy()
    each = []
    for level in RACES:
        at = [
            posterior[f"{one}Intercept"].values
            + (0 if level == "a" else posterior[f"{one}race"].sel({f"{one}race_dim": level}).values)
            for one in ("", "sigma_")
        ]
        sd = np.exp(at[1])[:, None] / np.sqrt(weight)
        each.append(special.ndtr((at[0][:, None] - THRESHOLD) / sd).mean(axis=1))
    found = cb.effects(fit, "race", scale="FNMR", threshold=THRESHOLD, population="typical")
    wanted = np.column_stack([each[1] - each[0], each[2] - each[0]])
    np.testing.assert_allclose(flat(found["effect"]), wanted, atol=1e-8)


def test_latent_effects_are_in_units_of_the_mean_variance_of_the_cell(fit, rows, by_hand):
    _, log_sigma, _, _, _, sd_own = by_hand
    step = flat(fit["posterior"]["race"])
    typical = np.sqrt(np.exp(2 * log_sigma).mean(axis=1))
    found = cb.effects(fit, "race", scale="latent", population="typical")
    np.testing.assert_allclose(flat(found["effect"]), step / typical[:, None])
    new = np.sqrt(np.exp(2 * log_sigma + 2 * sd_own[:, None] ** 2).mean(axis=1))
    found = cb.effects(fit, "race", scale="latent")
    np.testing.assert_allclose(flat(found["effect"]), step / new[:, None], rtol=1e-5)


def test_sigma_itself_is_averaged_and_compared(fit, rows, by_hand):
    _, log_sigma, _, own, _, sd_own = by_hand
    found = cb.predictions(fit, "race", parameter="sigma", population="these")
    np.testing.assert_allclose(
        flat(found["prediction"]), mean_by_race(np.exp(log_sigma + own), rows)
    )
    found = cb.predictions(fit, "race", parameter="sigma")
    wanted = mean_by_race(np.exp(log_sigma + sd_own[:, None] ** 2 / 2), rows)
    np.testing.assert_allclose(flat(found["prediction"]), wanted, rtol=1e-6)
    found = cb.effects(fit, "race", parameter="sigma", scale="link")
    np.testing.assert_allclose(flat(found["effect"]), flat(fit["posterior"]["sigma_race"]))
    assert found.attrs["outcome"] == "sigma"
    by_seed = cb.predictions(fit, "seed", parameter="sigma")
    assert by_seed.attrs["population"] == "these"


def test_what_has_no_formula_has_no_effects_of_its_own(fit):
    with pytest.raises(cb.DataError, match="sigma has one"):
        cb.effects(fit, "race", parameter="nu")
    with pytest.raises(cb.DataError, match="no scale 'FMR'"):
        cb.effects(fit, "race", parameter="sigma", scale="FMR")
    with pytest.raises(cb.DataError, match="no threshold"):
        cb.effects(fit, "race", parameter="sigma", threshold=1.0)


def test_variances_of_noise_are_averaged_over_rows(fit, rows, by_hand):
    _, log_sigma, _, _, sd_seed, sd_own = by_hand
    square = np.exp(2 * log_sigma + 2 * sd_own[:, None] ** 2)
    model = fitted(fit)
    cells = np.searchsorted(RACES, rows["race"])
    for weighted in (False, True):
        found = noise_variance(
            model, model.frame, cells, np.ones(len(rows)), "new", weighted=weighted
        )
        each = square / rows["w"].to_numpy() if weighted else square
        np.testing.assert_allclose(found, mean_by_race(each, rows), rtol=1e-5)
    shares = cb.variance_shares(fit)["share"]
    ratio = flat(shares.sel(source="groups")) / flat(shares.sel(source="residual"))
    np.testing.assert_allclose(ratio, sd_seed**2 / square.mean(axis=1), rtol=1e-5)


def test_discriminability_has_the_variance_of_each_cell(fit, rows, by_hand):
    mean, log_sigma, _, _, sd_seed, sd_own = by_hand
    square = np.exp(2 * log_sigma + 2 * sd_own[:, None] ** 2) / rows["w"].to_numpy()
    variance = mean_by_race(square, rows) + sd_seed[:, None] ** 2
    far = fit.copy(deep=True)
    far["posterior"]["Intercept"] = far["posterior"]["Intercept"] + 2
    found = cb.discriminability(fit, far, by="race")["d_prime"]
    # draws of two fits are paired in a shuffled order: moments are compared, not draws
    pooled = np.sqrt((variance[:, None] + variance[None]) / 2)
    shift = mean_by_race(mean, rows)
    wanted = ((shift[None] + 2 - shift[:, None]) / pooled).mean(axis=(0, 1))
    np.testing.assert_allclose(flat(found).mean(axis=0), wanted, rtol=0.05)


def test_comparison_by_the_residual_is_that_on_the_latent_scale(fit):
    found = cb.compare(fit, fit, "race", names=("one", "other"))
    latent = cb.effects(fit, "race", scale="latent")
    ours = np.sort(flat(found["effect_a"].sel(unit="residual sd")), axis=0)
    np.testing.assert_allclose(ours, np.sort(flat(latent["effect"]), axis=0))


def test_the_prior_of_a_part_is_that_of_its_terms(without_groups):
    model = fitted(without_groups)
    posterior = without_groups["posterior"].to_dataset().stack(d=("chain", "draw"))
    arrays = arrays_of(model)
    total = 0.0
    for prefix, one in (("", arrays), ("sigma_", arrays.parts["sigma"])):
        race = posterior[f"{prefix}race"].values
        beta = np.vstack([posterior[f"{prefix}Intercept"].values + one.centre[1:] @ race, race])
        total = total + stats.norm.logpdf(beta.T, one.problem.beta_mean, one.problem.beta_sd).sum(
            axis=1
        )
    (density,) = arrays.problem.terms[0].sd_log_prior
    total = total + density(posterior["1|seed_sigma"].values)
    apart = log_prior(model) - total
    np.testing.assert_allclose(apart - apart[0], 0, atol=1e-8)


def test_weights_without_a_seed_have_each_rows_noise(without_groups, fit, rows):
    model = fitted(without_groups)
    found = log_likelihoods(without_groups, "seed")
    mean = model.coefficients @ model.design(model.frame).T
    sigma = model.parameters_at(model.frame)["sigma"]
    sd_seed = flat(without_groups["posterior"]["1|seed_sigma"])
    for at, level in enumerate(np.unique(rows["seed"].astype(str))):
        own = (rows["seed"].astype(str) == level).to_numpy()
        for draw in (0, 77):
            covariance = np.diag(sigma[draw, own] ** 2) + sd_seed[draw] ** 2
            wanted = stats.multivariate_normal.logpdf(
                rows["distance"][own], mean[draw, own], covariance
            )
            assert found[at, draw] == pytest.approx(wanted)
    with pytest.raises(cb.DataError, match="effects of groups"):
        log_likelihoods(fit, "seed")


def test_residuals_are_weighed_by_each_rows_noise(without_groups, rows):
    model = fitted(without_groups)
    sigma = model.parameters_at(model.frame)["sigma"].mean(axis=0)
    y = rows["distance"].to_numpy()
    x = pd.get_dummies(rows["race"], dtype=float).to_numpy()
    z = pd.get_dummies(rows["seed"], dtype=float).to_numpy()
    sd_seed = flat(without_groups["posterior"]["1|seed_sigma"]).mean()
    white = np.vstack([np.hstack([x, z * sd_seed]) / sigma[:, None], np.eye(13)[3:]])
    whole = np.concatenate([y / sigma, np.zeros(10)])
    wanted = (whole - white @ np.linalg.lstsq(white, whole)[0])[: len(y)]
    found = residuals_of(model, np.arange(len(rows)))(y[None])[0]
    np.testing.assert_allclose(found / found.std(), wanted / wanted.std(), atol=1e-6)


def test_check_of_spread_passes_where_sigma_has_what_spreads(without_groups, rows):
    plain = cb.fit("distance ~ race + (1|seed)", rows, draws=100)
    p = [
        {one.check: one.compared.p for one in predictive_checks(fit)}["spread by group"]
        for fit in (plain, without_groups)
    ]
    assert p[0] < 0.01 < p[1]


def test_prior_predictive_draws_the_noise_of_each_row(rows):
    used = rows.assign(x=np.linspace(-1, 1, len(rows)))
    point = {"Intercept": "Normal(0, 0.000001)", "sigma_Intercept": "Normal(0, 0.000001)"}
    found = cb.prior_predictive(
        cb.formula("distance ~ 1", sigma="~ x"),
        used,
        priors=point | {"sigma_x": "Normal(1.5, 0.000001)"},
        draws=40,
    )
    assert set(found["prior"].data_vars) == {"Intercept", "sigma_Intercept", "sigma_x"}
    white = found["prior_predictive"]["distance"].values[0] / np.exp(1.5 * used["x"].to_numpy())
    assert stats.kstest(white.ravel(), "norm").pvalue > 1e-4


def test_an_error_rate_of_a_cell_whose_noise_is_unknown_is_not_estimable(rows):
    used = rows.assign(sex=np.where(np.arange(len(rows)) % 2, "f", "m"))
    used = used[(used["race"] != "c") | (used["sex"] != "f")]
    formula = cb.formula("distance ~ race + sex", sigma="~ race*sex")
    fit = cb.fit(formula, used, draws=5, tune=20, chains=1)
    assert "sigma_race:sex[c, m]" in fit.attrs["left_out"]
    mean = cb.effects(fit, "race")
    assert "estimable" not in mean
    rate = cb.effects(fit, "race", scale="FNMR", threshold=THRESHOLD)
    assert rate["estimable"].values.tolist() == [True, False]
    by_sex = cb.predictions(fit, ["race", "sex"], parameter="sigma")
    assert np.isfinite(by_sex["prediction"].sel(race="c", sex="m")).all()


def test_a_pilot_with_a_formula_of_the_noise_is_refused(without_groups):
    with pytest.raises(cb.DataError, match="sigma=None"):
        cb.design.power(without_groups, "race", over="seed", sizes=[5, 10])


# By R 4.2.2: glmmTMB 1.1.5, glmmTMB(distance ~ race + (1|seed), dispformula = ~ race), whose
# dispersion is the log of the variance, here halved; nlme 3.1.162, lme(distance ~ race, random =
# ~ 1|seed, weights = varIdent(form = ~ 1|race), method = "ML"), gives the same estimates.
GLMMTMB = {
    "Intercept": (2.937241, 0.135777),
    "race[b]": (0.202045, 0.081510),
    "race[c]": (0.275148, 0.133295),
    "sigma_Intercept": (-1.81444 / 2, 0.135132 / 2),
    "sigma_race[b]": (1.46032 / 2, 0.185706 / 2),
    "sigma_race[c]": (2.61273 / 2, 0.181601 / 2),
}


def test_noise_by_group_agrees_with_glmmtmb_and_recovers_the_truth():
    """Estimates within a quarter of a standard error: of maximum likelihood, not of a posterior."""
    rng = np.random.default_rng(2)
    n = 400
    race, seed = rng.integers(0, 3, n), rng.integers(0, 20, n)
    sd = np.array([0.4, 0.8, 1.6])[race]
    y = 3 + 0.3 * race + rng.normal(0, 0.5, 20)[seed] + sd * rng.standard_normal(n)
    data = pd.DataFrame({"distance": y, "race": np.array(RACES)[race], "seed": seed})
    fit = cb.fit(["distance ~ race + (1|seed)", "sigma ~ race"], data, draws=400, tune=400)
    table = cb.summary(fit)
    for name, (estimate, error) in GLMMTMB.items():
        assert abs(table.loc[name, "estimate"] - estimate) < 0.25 * error, name
        assert table.loc[name, "sd"] == pytest.approx(error, rel=0.2), name
    assert table.loc["sd(1|seed)", "estimate"] == pytest.approx(0.582363, rel=0.15)
    for name, truth in {"sigma_Intercept": 0.4, "sigma_race[b]": 2, "sigma_race[c]": 4}.items():
        assert abs(table.loc[name, "estimate"] - np.log(truth)) < 3 * table.loc[name, "sd"]


def test_other_families_use_each_rows_parameters_too(rows):
    """The mean and the distribution function of a lognormal response depend on its sigma."""
    used = rows.assign(y=np.exp(rows["distance"] - 4))
    formula = cb.formula("y ~ race", sigma="~ race")
    fit = cb.fit(formula, used, family="lognormal", draws=10, tune=60, chains=1)
    mu, log_sigma = (
        flat(fit["posterior"][f"{one}Intercept"])[:, None]
        + np.hstack([np.zeros((10, 1)), flat(fit["posterior"][f"{one}race"])])
        for one in ("", "sigma_")
    )
    found = cb.predictions(fit, "race")
    wanted = np.exp(mu + np.exp(2 * log_sigma) / 2)
    np.testing.assert_allclose(flat(found["prediction"]), wanted)
    found = cb.predictions(fit, "race", scale="FNMR", threshold=0.5)
    rate = special.ndtr((mu - np.log(0.5)) / np.exp(log_sigma))
    np.testing.assert_allclose(flat(found["prediction"]), rate)


def test_effects_of_groups_on_a_parameter_are_those_of_its_formula(fit, rows):
    for parameter, name in ((None, "1|seed"), ("sigma", "sigma_1|seed")):
        found = cb.group_effects(fit, "seed", parameter=parameter)
        own = fit["posterior"][name].sel(seed__factor_dim=found["level"].values)
        np.testing.assert_array_equal(found["effect"].sel(term="1"), own)
        assert found["n"].to_series().to_dict() == rows["seed"].astype(str).value_counts().to_dict()
    assert found.attrs["outcome"] == "sigma"
    with pytest.raises(cb.DataError, match=r"mu.*no formula"):
        cb.group_effects(fit, "seed", parameter="mu")
