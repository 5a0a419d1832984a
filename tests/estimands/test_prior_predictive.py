"""Draws from priors: against bambi's own, against known moments, in bounded memory."""

import tracemalloc

import arviz_stats
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalbias as cb
from causalbias import DataError
from causalbias.models.bambi_models import bambi_model
from causalbias.models.specification import ModelSpec, model_frame

DRAWS = 3000
# Of a Kolmogorov-Smirnov test; about forty are made.
LOWEST_P = 2e-4


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(4)
    n = 60
    a = rng.integers(0, 8, n)
    return pd.DataFrame(
        {
            "y": rng.normal(3, 2, n),
            "x": rng.normal(5, 2, n),
            "kind": rng.choice(list("uvw"), n),
            "g": rng.integers(0, 6, n),
            "a": a,
            "b": (a + rng.integers(1, 8, n)) % 8,
            "hit": rng.integers(0, 2, n),
            "share": rng.uniform(0.1, 0.9, n),
            "hits": 3,
            "tries": 9,
            "mark": rng.integers(0, 4, n),
            "w": np.where(np.arange(n) < 30, 1.0, 25.0),
        }
    )


def same_distribution(ours, theirs, what):
    assert stats.ks_2samp(np.ravel(ours), np.ravel(theirs)).pvalue > LOWEST_P, what


CASES = {
    # Without products: the default priors of those are of centred columns, and not bambi's.
    "gaussian": ("y ~ x + kind + (x||g)", {}),
    "bernoulli": ("hit ~ x + (1|g)", {"x": "StudentT(4, 0, 1)", "1|g": "Exponential(1)"}),
    "binomial": ("p(hits, tries) ~ kind + (1|g)", {"1|g": "Uniform(0, 2)"}),
    "beta": ("share ~ x + (1|g)", {"kappa": "Gamma(4, 0.4)", "x": "Laplace(0, 0.2)"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("family", CASES)
def test_agrees_with_bambis(family, rows):
    formula, priors = CASES[family]
    ours = cb.prior_predictive(
        formula, rows, family=family, priors=priors, draws=DRAWS, random_seed=1
    )
    spec = ModelSpec(formula, family, priors=priors)
    model = bambi_model(spec, model_frame(spec, rows))
    model.build()
    theirs = model.prior_predictive(draws=DRAWS, random_seed=2)
    compared = 0
    for name, values in theirs["prior"].data_vars.items():
        # bambi's intercept is that of centred columns; mu is judged by the responses
        if name == "Intercept" or name not in ours["prior"]:
            continue
        one = ours["prior"][name].transpose(*values.dims)
        for index in range(int(np.prod(values.shape[2:], dtype=int))):
            first, second = (v.values.reshape(DRAWS, -1)[:, index] for v in (one, values))
            same_distribution(first, second, (name, index))
        compared += 1
    assert compared >= 3
    one = next(iter(ours["prior_predictive"].data_vars.values())).values[0].astype(float)
    other = next(iter(theirs["prior_predictive"].data_vars.values())).values[0].astype(float)
    for what in (
        lambda v: v[:, 0],
        lambda v: v[:, 30],
        lambda v: v.mean(axis=1),
        lambda v: v.std(axis=1),
    ):
        same_distribution(what(one), what(other), "responses")


def test_correlated_slopes_and_members_have_their_moments(rows):
    priors = {"1|g": "HalfNormal(1)", "x|g": "HalfNormal(0.5)", "1|mm(a, b)": "HalfNormal(2)"}
    drawn = cb.prior_predictive(
        "y ~ x + (x|g) + (1|mm(a, b))", rows, priors=priors, draws=DRAWS, random_seed=3
    )["prior"].to_dataset()
    corr = drawn["cor|g"].values.ravel()
    assert stats.kstest(corr, stats.uniform(-1, 2).cdf).pvalue > LOWEST_P  # LKJ(1) of two by two
    u = drawn["1|g"].isel(g__factor_dim=0) / drawn["1|g_sigma"]
    v = drawn["x|g"].isel(g__factor_dim=0) / drawn["x|g_sigma"]
    for z in (u, v, (u * corr - v) / np.sqrt(1 - corr**2)):
        assert stats.kstest(z.values.ravel(), "norm").pvalue > LOWEST_P
    same_distribution(
        drawn["1|mm(a, b)_sigma"], 2 * np.abs(stats.norm.rvs(size=DRAWS, random_state=1)), ""
    )


def test_members_share_their_effects(rows):
    priors = {"Intercept": "Normal(0, 0.001)", "sigma": "HalfNormal(0.001)"}
    drawn = cb.prior_predictive("y ~ 1 + (1|mm(a, b))", rows, priors=priors, draws=50)
    effects = drawn["prior"]["1|mm(a, b)"]
    dim = effects.dims[-1]
    y = drawn["prior_predictive"]["y"].values[0]
    one, other = (effects.sel({dim: rows[m].astype(str).to_numpy()}).values[0] for m in "ab")
    np.testing.assert_allclose(y, (one + other) / 2, atol=0.02)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_thresholds_ascend_and_are_the_priors_restricted(link, rows):
    drawn = cb.prior_predictive(
        "mark ~ x", rows, family="cumulative", link=link, draws=DRAWS, random_seed=5
    )
    cuts = drawn["prior"]["threshold"].values[0]
    assert (np.diff(cuts, axis=1) > 0).all()
    # by rejection: independent normals at -2, 0, 2, as wide as an intercept, kept where they ascend
    x = rows["x"].to_numpy()
    wide = np.hypot(2.5, 2.5 / x.std() * x.mean())
    free = np.random.default_rng(6).normal([-2, 0, 2], wide, (80_000, 3))
    kept = free[(np.diff(free, axis=1) > 0).all(axis=1)]
    for i in range(3):
        same_distribution(cuts[:, i], kept[:, i], i)
    same_distribution(cuts[:, 1] - cuts[:, 0], kept[:, 1] - kept[:, 0], "gap")
    inverse = stats.norm.cdf if link == "probit" else stats.logistic.cdf
    prior = drawn["prior"].to_dataset()
    linear = prior["x"].values.T * rows["x"].to_numpy()
    marks = drawn["prior_predictive"]["mark"].values[0]
    for k, chance in ((0, inverse(cuts[:, [0]] - linear)), (3, 1 - inverse(cuts[:, [2]] - linear))):
        gap = (marks == k).mean() - chance.mean()
        assert abs(gap) < 4 * 0.5 / np.sqrt(marks.size)


def test_one_prior_given_for_all_thresholds(rows):
    priors = {"threshold": "Normal(0, 1)"}
    drawn = cb.prior_predictive("mark ~ x", rows, family="cumulative", priors=priors, draws=DRAWS)
    cuts = drawn["prior"]["threshold"].values[0]
    # independent normals on condition that they ascend are order statistics
    order = np.sort(np.random.default_rng(7).standard_normal((20_000, 3)), axis=1)
    for i in range(3):
        same_distribution(cuts[:, i], order[:, i], i)


def test_weights_shrink_the_noise(rows):
    priors = {"Intercept": "Normal(0, 0.01)", "sigma": "Gamma(100, 100)"}
    drawn = cb.prior_predictive("y ~ 1", rows, priors=priors, weights="w", draws=200)
    y = drawn["prior_predictive"]["y"].values[0]
    assert y[:, :30].std() / y[:, 30:].std() == pytest.approx(5, rel=0.1)


def test_seeds_chunks_and_what_arviz_reads(rows, monkeypatch):
    def draw(seed):
        return cb.prior_predictive("y ~ x + (x|g)", rows, draws=50, random_seed=seed)

    one = draw(1)
    assert one.identical(draw(1))
    assert not one["prior"].equals(draw(2)["prior"])
    monkeypatch.setattr("causalbias.io.memory.CHUNK_BYTES", 10_000)
    # sums in blocks of another size round otherwise
    np.testing.assert_allclose(draw(1)["prior_predictive"]["y"], one["prior_predictive"]["y"])
    assert set(one.children) == {"prior", "prior_predictive", "observed_data", "constant_data"}
    assert np.isfinite(arviz_stats.summary(one["prior"].to_dataset(), kind="stats")).all(axis=None)


@pytest.mark.slow
def test_a_large_design_stays_in_bounds():
    pair = np.repeat(np.arange(48_000), 3)
    frame = pd.DataFrame({"pair": pair, "seed": pair // 480, "x": pair % 7})
    frame["y"] = np.random.default_rng(0).normal(size=len(frame))
    cb.prior_predictive("y ~ x + (1|seed)", frame, draws=2)  # compiles, and imports
    tracemalloc.start()
    drawn = cb.prior_predictive("y ~ x + (x|seed) + (1|pair)", frame, draws=200)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "1|pair" not in drawn["prior"]
    assert "1|pair_sigma" in drawn["prior"]
    result = drawn["prior_predictive"]["y"].nbytes
    assert peak < result + 400 * 2**20  # chunks of 64 MiB, a few at once, and the design
    with pytest.raises(DataError, match=r"144,000 rows times .* would take"):
        cb.prior_predictive("y ~ x", frame, draws=100_000)


def test_what_cannot_be_drawn_from(rows):
    for priors, term in (
        ({"x": "Flat()"}, "'x' is Flat"),
        ({"1|g": "HalfFlat()"}, r"1\|g"),
        ({"sigma": "HalfFlat()"}, "sigma"),
    ):
        with pytest.raises(DataError, match=term):
            cb.prior_predictive("y ~ x + (1|g)", rows, priors=priors)
    with pytest.raises(DataError, match="absent"):
        cb.prior_predictive("y ~ absent", rows)
