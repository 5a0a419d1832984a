"""Outcome scales and populations: identities, brute force, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import causalbias as cb
from causalbias import DataError
from causalbias.estimands.scales import _NORMAL, normal_cdf

DRAWS = 7


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    n = 60
    return pd.DataFrame(
        {
            "g": rng.integers(0, 6, n).astype(str),
            "h": rng.integers(0, 6, n).astype(str),
            "k": rng.choice(list("uvw"), n),
            "x": rng.normal(size=n).round(2),
            "mark": rng.integers(0, 4, n),
            "hit": rng.integers(0, 2, n),
            "distance": rng.normal(0.5, 0.1, n),
        }
    )


def levels(frame):
    return sorted(frame["g"].unique())


@pytest.fixture(scope="module")
def ordinal(rows, fit_at):
    """Made-up draws of correlated intercepts and slopes, for either link."""
    rng = np.random.default_rng(8)
    draws = {
        "threshold": np.sort(rng.normal(0, 1, (DRAWS, 3)), axis=1),
        "k": rng.normal(0, 1, (DRAWS, 2)),
        "x": rng.normal(0, 0.5, DRAWS),
        "1|g": rng.normal(0, 1, (DRAWS, 6)),
        "x|g": rng.normal(0, 1, (DRAWS, 6)),
        "1|g_sigma": rng.uniform(0.5, 2, DRAWS),
        "x|g_sigma": rng.uniform(0.2, 1, DRAWS),
        "cor|g": rng.uniform(-0.8, 0.8, (DRAWS, 1)),
    }

    def make(link):
        dims = {name: ("g__factor_dim", levels(rows)) for name in ("1|g", "x|g")}
        formula = "mark ~ k + x + (x|g)"
        return draws, fit_at(formula, rows, draws, family="cumulative", link=link, dims=dims)

    return make


def predictor(draws, rows, intercept, slope):
    x = rows["x"].to_numpy()
    effect = np.column_stack([np.zeros(DRAWS), draws["k"]])
    codes = pd.Categorical(rows["k"]).codes
    return effect[:, codes] + draws["x"][:, None] * x + intercept + slope * x


def test_normal_table_is_scipys():
    x = np.concatenate([np.linspace(-40, 40, 4001), [-9, 9, 0]])
    np.testing.assert_allclose(normal_cdf(x.copy(), _NORMAL), special.ndtr(x), atol=1e-12)


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
@pytest.mark.parametrize("population", ["these", "typical", "new"])
def test_scales_of_an_ordinal_model_are_one_distribution(ordinal, link, population):
    _, fit = ordinal(link)
    options = {"by": "k", "population": population}
    chance = cb.predictions(fit, scale="probability", **options)["prediction"]
    passed = cb.predictions(fit, scale="exceedance", **options)["prediction"]
    mean = cb.predictions(fit, **options)["prediction"]
    np.testing.assert_allclose(chance.sum("category"), 1, rtol=1e-12)
    assert (chance > 0).all()
    beyond = chance.isel(category=slice(None, None, -1)).cumsum("category")
    np.testing.assert_allclose(passed, beyond.sel(category=passed["category"]), rtol=1e-9)
    np.testing.assert_allclose((chance * chance["category"]).sum("category"), mean, rtol=1e-9)


@pytest.mark.parametrize(("link", "noise"), [("logit", stats.logistic), ("probit", stats.norm)])
def test_these_is_the_mean_over_rows(ordinal, rows, link, noise):
    draws, fit = ordinal(link)
    own = pd.Categorical(rows["g"], levels(rows)).codes
    eta = predictor(draws, rows, draws["1|g"][:, own], draws["x|g"][:, own])
    passed = noise.cdf(eta[:, :, None] - draws["threshold"][:, None, :])
    found = cb.predictions(fit, (), scale="exceedance", population="these")
    ours = found["prediction"].values[0]
    np.testing.assert_allclose(ours, passed.mean(axis=1), rtol=1e-9)


@pytest.mark.parametrize(("link", "noise"), [("logit", stats.logistic), ("probit", stats.norm)])
def test_new_groups_are_averaged_over(ordinal, rows, link, noise):
    """Against the mean over 20,000 groups drawn for every draw of the posterior."""
    draws, fit = ordinal(link)
    rng, many = np.random.default_rng(1), 20_000
    ours = cb.predictions(fit, "k", population="new", scale="exceedance")["prediction"]
    for draw in range(DRAWS):
        sd = np.array([draws["1|g_sigma"][draw], draws["x|g_sigma"][draw]])
        cor = draws["cor|g"][draw, 0]
        cov = np.outer(sd, sd) * [[1, cor], [cor, 1]]
        effects = rng.multivariate_normal([0, 0], cov, size=many)
        for k in "uvw":
            part = rows[rows["k"] == k]
            one = {name: values[[draw] * DRAWS] for name, values in draws.items()}
            fixed = predictor(one, part.assign(k=pd.Categorical(part["k"], list("uvw"))), 0, 0)[0]
            eta = fixed + effects[:, :1] + effects[:, 1:] * part["x"].to_numpy()
            passed = noise.cdf(eta[:, :, None] - draws["threshold"][draw]).mean(axis=1)
            error = passed.std(axis=0) / np.sqrt(many)
            away = ours.sel(k=k).values[0, draw] - passed.mean(axis=0)
            assert (np.abs(away) < 4.5 * error + 1e-6).all()


def test_members_that_differ_halve_the_variance(rows, fit_at):
    rng = np.random.default_rng(2)
    frame = rows.assign(g=rows["g"].where(rows.index % 3 > 0, rows["h"]))
    same = (frame["g"] == frame["h"]).to_numpy()
    assert 0 < same.sum() < len(same)
    every = sorted(set(frame["g"]) | set(frame["h"]))
    draws = {
        "Intercept": rng.normal(0.5, 0.05, DRAWS),
        "sigma": rng.uniform(0.05, 0.2, DRAWS),
        "1|mm(g, h)": rng.normal(0, 0.1, (DRAWS, len(every))),
        "1|mm(g, h)_sigma": rng.uniform(0.1, 0.3, DRAWS),
    }
    dims = {"1|mm(g, h)": ("g__factor_dim", every)}
    fit = fit_at("distance ~ 1 + (1|mm(g, h))", frame, draws, dims=dims)
    ours = cb.predictions(fit, (), scale="FMR", threshold=0.45, population="new")
    share = np.where(same, 1.0, 0.5)
    variance = draws["sigma"] ** 2 + draws["1|mm(g, h)_sigma"] ** 2 * share[:, None]
    rate = stats.norm.cdf(0.45, draws["Intercept"], np.sqrt(variance)).mean(axis=0)
    np.testing.assert_allclose(ours["prediction"].values[0], rate, rtol=1e-9)
    other = cb.predictions(fit, (), scale="FNMR", threshold=0.45, population="new")
    np.testing.assert_allclose(ours["prediction"] + other["prediction"], 1, rtol=1e-12)


@pytest.mark.parametrize("scale", ["response", "link", "latent", "probability", "exceedance"])
@pytest.mark.parametrize("population", ["these", "new"])
def test_contrasts_cancel_around_a_cycle(ordinal, scale, population):
    _, fit = ordinal("logit")
    options = {"scale": scale, "population": population}
    around = 0.0
    for level, reference in (("v", "u"), ("w", "v"), ("u", "w")):
        around = around + cb.effects(fit, "k", reference=reference, **options)["effect"].sel(
            k=level, drop=True
        )
    np.testing.assert_allclose(around, 0, atol=1e-12)


def test_latent_effects_are_the_links_in_units_of_its_noise(ordinal):
    for link, sd in (("logit", np.pi / np.sqrt(3)), ("probit", 1.0), ("cloglog", 1.28254983)):
        _, fit = ordinal(link)
        one, other = (cb.effects(fit, "k", scale=name)["effect"] for name in ("link", "latent"))
        np.testing.assert_allclose(one, other * sd, rtol=1e-7)


@pytest.mark.parametrize(
    ("family", "formula", "scale", "possible"),
    [
        ("gaussian", "distance ~ k", "probability", "response, link, latent, FMR, FNMR"),
        ("cumulative", "mark ~ k", "FMR", "response, link, latent, probability, exceedance"),
        ("bernoulli", "hit ~ k", "exceedance", "response, link, latent, probability"),
    ],
)
def test_impossible_scales_name_the_possible(rows, fit_at, family, formula, scale, possible):
    fit = fit_at(formula, rows, {"sigma": [1.0]}, family=family)
    with pytest.raises(DataError, match=f"Hint: use one of {possible}\\."):
        cb.effects(fit, "k", scale=scale)


def test_error_rates_need_a_threshold_and_nothing_else_has_one(rows, fit_at):
    fit = fit_at("distance ~ k", rows, {"sigma": [1.0]})
    for options in ({"scale": "FMR"}, {"threshold": 0.5}):
        with pytest.raises(DataError, match="threshold"):
            cb.effects(fit, "k", **options)


@pytest.fixture(scope="module")
def kinds(rows, fit_at):
    frame = rows.assign(same_identity=np.arange(len(rows)) % 3 > 0)
    draws = {
        "Intercept": [0.9],
        "k": [[0.1, 0.2]],
        "same_identity": [[-0.5]],
        "k:same_identity": [[-0.2, -0.1]],
        "sigma": [0.1],
    }
    return fit_at("distance ~ k*same_identity", frame, draws)


def test_genuine_and_impostor_pairs_are_not_pooled(kinds):
    for verb in (cb.effects, cb.predictions):
        with pytest.raises(DataError, match=r"pool distances.*by='same_identity'"):
            verb(kinds, "k")
    apart = cb.effects(kinds, "k", by="same_identity")["effect"]
    np.testing.assert_allclose(apart.sel(same_identity="False").values.ravel(), [0.1, 0.2])
    np.testing.assert_allclose(apart.sel(same_identity="True").values.ravel(), [-0.1, 0.1])
    assert cb.effects(kinds, "same_identity", by="k")["effect"].size == 3


def test_error_rates_are_of_their_kind_of_pairs(kinds, rows):
    false_match = cb.predictions(kinds, "k", scale="FMR", threshold=0.8)
    assert int(false_match["n"].sum()) == (np.arange(len(rows)) % 3 == 0).sum()
    expected = stats.norm.cdf(0.8, [0.9, 1.0, 1.1], 0.1)
    np.testing.assert_allclose(false_match["prediction"].values.ravel(), expected, rtol=1e-9)
    nonmatch = cb.predictions(kinds, "k", scale="FNMR", threshold=0.5)
    expected = stats.norm.sf(0.5, [0.4, 0.3, 0.5], 0.1)
    np.testing.assert_allclose(nonmatch["prediction"].values.ravel(), expected, rtol=1e-9)


def test_separation_of_known_normals(kinds):
    found = cb.discriminability(kinds, by="k")
    apart = np.array([0.5, 0.7, 0.6])
    np.testing.assert_allclose(found["d_prime"].values.ravel(), apart / 0.1, rtol=1e-9)
    overlap = 2 * stats.norm.cdf(-apart / 0.1 / 2)
    np.testing.assert_allclose(found["overlap"].values.ravel(), overlap, rtol=1e-9)
    auc = stats.norm.cdf(apart / 0.1 / np.sqrt(2))
    np.testing.assert_allclose(found["auc"].values.ravel(), auc, rtol=1e-9)


def test_separation_of_unequal_spreads(rows, fit_at):
    """Overlap of Normal(0.4, 0.1) and Normal(0.9, 0.3), by adaptive quadrature."""
    from scipy.integrate import quad

    fits = [
        fit_at("distance ~ 1", rows, {"Intercept": [mean] * 9, "sigma": [sd] * 9})
        for mean, sd in ((0.4, 0.1), (0.9, 0.3))
    ]
    found = cb.discriminability(*fits)
    area = quad(
        lambda d: min(stats.norm.pdf(d, 0.4, 0.1), stats.norm.pdf(d, 0.9, 0.3)),
        -2,
        4,
        points=[0.4, 0.6, 0.9],
        limit=200,
    )[0]
    np.testing.assert_allclose(found["overlap"], area, rtol=1e-7)
    np.testing.assert_allclose(found["d_prime"], 0.5 / np.sqrt((0.01 + 0.09) / 2), rtol=1e-9)


def test_pairs_are_not_pooled_where_the_formula_does_not_name_their_kind():
    study = cb.simulate(4, people=None, levels={"pose": [-3, 0, 3]}, impostors=4, random_seed=1)
    formula = "distance ~ race + pose"
    both = cb.fit(formula, study, draws=100)
    with pytest.raises(DataError, match=r"pool distances.*subset='same_identity'"):
        cb.effects(both, "race")
    one = cb.fit(formula, study, subset="same_identity", draws=100)
    assert cb.effects(one, "race")["effect"].dims == ("chain", "draw", "race")
