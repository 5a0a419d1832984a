"""Multi-membership with weights, and factors whose levels have variances by another column."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalbias as cb
from causalbias.errors import DataError
from causalbias.model_checks.left_out import log_likelihoods
from causalbias.models.formula.group_terms import group_parts
from causalbias.models.group_design import group_designs

PRIORS = {
    "Intercept": "Normal(0, 2)",
    "sigma": "HalfNormal(2)",
}
OF_MEMBERS = PRIORS | {"1|mm(a, b)": "HalfNormal(2)"}
OF_ONE = PRIORS | {"1|a": "HalfNormal(2)"}


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(3)
    n = 90
    a, b = rng.integers(0, 8, n), rng.integers(0, 8, n)
    w = rng.uniform(0.2, 3, n)
    v = rng.uniform(0.2, 3, n)
    effects = rng.normal(0, 1.2, 8)
    return pd.DataFrame(
        {
            "y": (w * effects[a] + v * effects[b]) / (w + v) + rng.normal(0, 0.5, n),
            "a": [f"g{one}" for one in a],
            "b": [f"g{one}" for one in b],
            "w": w,
            "v": v,
            "one": 1.0,
            "none": 0.0,
        }
    )


@pytest.fixture(scope="module")
def seeds():
    """Seeds of two races, effects of which vary thrice as much in one."""
    rng = np.random.default_rng(5)
    seed = np.repeat(np.arange(24), 6)
    race = np.where(seed % 2 == 0, "black", "white")
    sd = np.where(race == "black", 1.5, 0.5)
    pose = np.tile(np.linspace(-1, 1, 6), 24)
    return pd.DataFrame(
        {
            "y": 1 + 0.5 * pose + sd * rng.normal(size=24)[seed] + rng.normal(0, 0.6, len(seed)),
            "pose": pose,
            "race": race,
            "seed": [f"s{one:02d}" for one in seed],
        }
    )


@pytest.fixture(scope="module")
def weighted(pairs):
    return cb.fit("y ~ 1 + (1|mm(a, b, weights=cbind(w, v)))", pairs, priors=OF_MEMBERS, draws=1000)


@pytest.fixture(scope="module")
def divided(seeds):
    return cb.fit("y ~ pose + race + (1|gr(seed, by=race))", seeds, draws=1000)


def test_terms_are_read_with_weights_and_divisions():
    parts = group_parts(
        "y ~ (1|mm(a,b, weights = cbind(w, v), scale=FALSE)) + (x|gr(seed, by=race)) + (1|gr(g))"
    )
    assert [(one.factor, one.weights, one.scaled, one.by) for one in parts] == [
        ("mm(a, b)", ("w", "v"), False, ""),
        ("seed", (), True, "race"),
        ("g", (), True, ""),
    ]


def test_weighted_members_against_the_posterior_on_a_grid(pairs, weighted):
    """Dense covariances, coefficients integrated out; priors as given."""
    share = pairs[["w", "v"]].to_numpy() / pairs[["w", "v"]].sum(axis=1).to_numpy()[:, None]
    z = np.zeros((len(pairs), 8))
    for side, name in enumerate("ab"):
        z[np.arange(len(pairs)), pairs[name].str[1:].astype(int)] += share[:, side]
    tau, sigma = np.linspace(0.3, 3.5, 40), np.linspace(0.35, 0.75, 40)
    log = np.empty((40, 40))
    for i, t in enumerate(tau):
        for j, s in enumerate(sigma):
            cov = t**2 * z @ z.T + s**2 * np.eye(len(z)) + 4.0
            log[i, j] = stats.multivariate_normal.logpdf(pairs["y"], np.zeros(len(z)), cov)
    log += stats.halfnorm.logpdf(tau, scale=2)[:, None] + stats.halfnorm.logpdf(sigma, scale=2)
    chance = np.exp(log - log.max())
    chance /= chance.sum()
    for name, grid, share in (
        ("1|mm(a, b)_sigma", tau, chance.sum(axis=1)),
        ("sigma", sigma, chance.sum(axis=0)),
    ):
        mean = share @ grid
        sd = np.sqrt(share @ (grid - mean) ** 2)
        found = weighted.posterior[name]
        assert float(found.mean()) == pytest.approx(mean, abs=0.1 * sd)
        assert float(found.std()) == pytest.approx(sd, rel=0.08)


def test_all_the_weight_on_one_member_is_a_plain_term(pairs):
    one = cb.fit(
        "y ~ 1 + (1|mm(a, b, weights=cbind(one, none)))", pairs, priors=OF_MEMBERS, draws=100
    )
    plain = cb.fit("y ~ 1 + (1|a)", pairs, priors=OF_ONE, draws=100)
    apart = one.posterior["1|mm(a, b)_sigma"].mean() - plain.posterior["1|a_sigma"].mean()
    assert abs(float(apart)) < 0.2 * float(plain.posterior["1|a_sigma"].std())


def test_weights_are_scaled_to_a_sum_of_one_unless_told(pairs):
    (scaled,) = group_designs("y ~ (1|mm(a, b, weights=cbind(w, v)))", pairs)
    (plain,) = group_designs("y ~ (1|mm(a, b, weights=cbind(w, v), scale=FALSE))", pairs)
    np.testing.assert_allclose(scaled.shares(pairs).sum(axis=1), 1)
    np.testing.assert_array_equal(plain.shares(pairs), pairs[["w", "v"]])
    # the variance of a new row's own part, by the matrix of its effects
    for design in (scaled, plain):
        square = (design.matrix(pairs).toarray() ** 2).sum(axis=1)
        np.testing.assert_allclose(design.concentration(pairs), square)


def test_predictions_of_these_members_have_their_weights(pairs, weighted):
    found = cb.predictions(weighted, ["a", "b", "w"], population="these")["prediction"]
    row = pairs.iloc[4]
    effects = weighted.posterior["1|mm(a, b)"]
    dim = effects.dims[-1]
    share = row["w"] / (row["w"] + row["v"])
    expected = weighted.posterior["Intercept"] + share * effects.sel({dim: row["a"]})
    expected = expected + (1 - share) * effects.sel({dim: row["b"]})
    own = found.sel(a=row["a"], b=row["b"], w=row["w"])
    np.testing.assert_allclose(own, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("term", "match"),
    [
        ("(1|mm(a, b, weights=cbind(w)))", "1 weights"),
        ("(1|mm(a, b, weights=w))", "cannot read"),
        ("(1|mm(a, b, weights=cbind(none, none)))", "zero"),
        ("(1|mm(a, b, weights=cbind(absent, w)))", "absent"),
        ("(1|gr(a, by=b))", "has rows of b"),
        ("(1|gr(a, by=f(b)))", "cannot read"),
        ("(1|gr(a, b))", "cannot read"),
    ],
)
def test_what_cannot_be_weighed_or_divided_is_refused(pairs, term, match):
    with pytest.raises(DataError, match=match):
        cb.fit(f"y ~ 1 + {term}", pairs)


def test_each_division_has_its_own_sd_and_levels(seeds, divided):
    posterior = divided.posterior
    black, white = (posterior[f"1|gr(seed, race={one})_sigma"] for one in ("black", "white"))
    assert float((black > white).mean()) > 0.8
    assert posterior["1|gr(seed, race=black)"].sizes["gr(seed, race=black)__factor_dim"] == 12


def test_divided_effects_are_those_of_a_slope_for_each_division(seeds, divided):
    """``(0 + race||seed)`` is the same model, with effects that no row has."""
    same = cb.fit("y ~ pose + race + (0 + race||seed)", seeds, draws=1000)
    for at, one in enumerate(("black", "white")):
        found = divided.posterior[f"1|gr(seed, race={one})_sigma"]
        other = same.posterior["race|seed_sigma"][..., at]
        assert abs(float(found.mean() - other.mean())) < 0.15 * float(other.std())
        level = "s04" if one == "black" else "s07"
        effect = divided.posterior[f"1|gr(seed, race={one})"]
        other = same.posterior["race|seed"].sel(seed__factor_dim=level)[..., at]
        found = effect.sel({effect.dims[-1]: level})
        assert abs(float(found.mean() - other.mean())) < 0.15 * float(other.std())


def test_priors_and_slopes_of_a_division(seeds):
    fit = cb.fit(
        "y ~ pose + (pose|gr(seed, by=race))",
        seeds,
        priors={"1|gr(seed, race=black)": "HalfNormal(0.001)"},
        draws=100,
    )
    assert float(fit.posterior["1|gr(seed, race=black)_sigma"].mean()) < 0.01
    assert float(fit.posterior["1|gr(seed, race=white)_sigma"].mean()) > 0.1
    assert "cor|gr(seed, race=white)" in fit.posterior


def test_verbs_know_divided_effects(tmp_path, seeds, divided):
    assert str(cb.check(divided)).startswith("pass")
    by_seed = cb.predictions(divided, "seed")["prediction"]  # of these seeds
    means = seeds.groupby("seed")["y"].mean()
    assert np.corrcoef(by_seed.mean(("chain", "draw")), means)[0, 1] > 0.98
    new = cb.predictions(divided, "race")
    np.testing.assert_allclose(
        new["prediction"].sel(race="white") - new["prediction"].sel(race="black"),
        divided.posterior["race"].sel(race_dim="white"),
        atol=1e-9,
    )
    assert log_likelihoods(divided, "seed").shape == (24, 4000)
    cb.save(divided, tmp_path / "fit.nc")
    again = cb.open(tmp_path / "fit.nc")
    np.testing.assert_array_equal(cb.predictions(again, "seed")["prediction"], by_seed)
    drawn = cb.prior_predictive("y ~ pose + (1|gr(seed, by=race))", seeds, draws=20)
    assert drawn["prior"]["1|gr(seed, race=white)"].sizes["gr(seed, race=white)__factor_dim"] == 12
    with pytest.raises(DataError, match="seed"):  # nothing is known of a black seed as a white one
        cb.effects(divided, "race", population="these")
