"""Leave-one-out: against arviz, against fits without what is left out, and what is refused."""

import arviz_stats
import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import causalbias as cb
from causalbias.model_checks.left_out import log_likelihoods
from causalbias.model_checks.loo import _by_quadrature
from causalbias.models.fitted import fitted


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(4)
    seed = np.repeat(np.arange(14), 8)
    x = np.tile([0.0, 1.0], 56)
    y = np.exp(0.4 * x + 0.3 * rng.standard_normal(14)[seed] + 0.5 * rng.standard_normal(112))
    return pd.DataFrame({"y": y, "x": x, "seed": [f"s{one:02d}" for one in seed]})


@pytest.fixture(scope="module")
def fit(rows):
    return cb.fit("y ~ x + (1|seed)", rows, random_seed=1)


@pytest.fixture(scope="module")
def of_log(rows):
    return cb.fit("log(y) ~ x + (1|seed)", rows, random_seed=2)


def test_of_rows_it_is_that_of_arviz(fit):
    found = cb.loo(fit)
    known = arviz_stats.loo(cb.model_checks.with_log_likelihood(fit), reff=1.0)
    assert found.elpd == pytest.approx(known.elpd)
    assert found.se == pytest.approx(known.se, rel=0.01)
    assert found.p_loo == pytest.approx(known.p)
    np.testing.assert_allclose(found.pointwise["pareto_k"], known.pareto_k)
    assert (found.n, found.failures) == (112, [])
    assert repr(found).startswith("elpd -")


def test_left_out_levels_are_predicted_as_by_fits_without_them(rows, fit):
    found = cb.loo(fit, by="seed").pointwise["elpd"]
    for level in ("s00", "s05"):
        out = rows["seed"] == level
        again = cb.fit("y ~ x + (1|seed)", rows[~out], random_seed=3)["posterior"].to_dataset()
        draws = again.isel(draw=slice(0, None, 10)).stack(d=["chain", "draw"])
        total = draws["1|seed_sigma"].values ** 2 * np.ones((8, 8))[..., None]
        total = total + np.eye(8)[..., None] * draws["sigma"].values ** 2
        mean = draws["Intercept"].values + np.outer(rows["x"][out], draws["x"].values)
        each = [
            stats.multivariate_normal.logpdf(rows["y"][out], mean[:, i], total[..., i])
            for i in range(mean.shape[1])
        ]
        wanted = special.logsumexp(each) - np.log(len(each))
        assert found[level] == pytest.approx(wanted, abs=0.15)


def test_the_quadrature_over_one_effect_is_the_exact_integral(fit):
    some = fit.isel(draw=slice(0, None, 20))
    found = _by_quadrature(fitted(some), "seed")
    np.testing.assert_allclose(found, log_likelihoods(some, "seed"), atol=1e-8)


def test_levels_of_other_families_are_left_out_by_quadrature(rows):
    hits = rows.assign(hit=(rows["y"] > 1).astype(int))
    fit = cb.fit("hit ~ x + (1|seed)", hits, family="bernoulli", random_seed=1)
    found = cb.loo(fit, by="seed")
    assert (found.n, found.failures) == (14, [])
    # About the log probability of 112 answers, with which no fit can do much better than chance.
    assert 112 * np.log(0.5) - 5 < found.elpd < 0


def test_counted_rows_count_as_often_as_if_they_were_written_out():
    rng = np.random.default_rng(2)
    rows = pd.DataFrame({"y": rng.integers(0, 4, 12).astype(float), "x": np.arange(12) % 2})
    rows["n"] = rng.integers(1, 6, 12)
    whole = rows.loc[rows.index.repeat(rows["n"])].reset_index(drop=True)
    counted = cb.loo(cb.fit("y ~ x", rows, counts="n", priors={"x": "Normal(0, 5)"}))
    written = cb.loo(cb.fit("y ~ x", whole, priors={"x": "Normal(0, 5)"}))
    assert counted.n == written.n == len(whole)
    assert counted.elpd == pytest.approx(written.elpd, abs=0.3)
    assert counted.se == pytest.approx(written.se, rel=0.05)
    assert counted.p_loo == pytest.approx(written.p_loo, abs=0.3)


def test_a_surprising_row_is_a_failure_that_is_named(rows):
    odd = rows.assign(y=rows["y"].where(rows.index != 17, 60.0))
    found = cb.loo(cb.fit("y ~ x + (1|seed)", odd))
    assert "Pareto k above 0.7 at" in found.failures[0]
    assert "at 18)" in found.failures[0]
    assert "FAIL" in repr(found)


def test_models_of_the_column_and_of_its_logarithm_are_compared_on_one_scale(fit, of_log):
    table = cb.loo_compare({"plain": fit, "log": of_log})
    assert table.index.tolist() == ["log", "plain"]
    away = cb.loo(of_log).pointwise["elpd"] - cb.loo(fit).pointwise["elpd"]
    row = table.loc["plain"]
    assert row["difference"] == pytest.approx(-away.sum())
    assert row["se_difference"] == pytest.approx(away.std(ddof=0) * 112**0.5)
    assert row["difference"] < -2 * row["se_difference"], "the data are lognormal"
    assert (table["n"] == 112).all()


def test_stacking_is_that_of_arviz(fit, of_log, rows):
    none = cb.fit("log(y) ~ 1", rows, random_seed=5)
    fits = {"plain": fit, "log": of_log, "none": none}
    known = arviz_stats.compare(
        {name: cb.model_checks.with_log_likelihood(one) for name, one in fits.items()},
        round_to="none",
    )
    found = cb.loo_compare(fits)
    np.testing.assert_allclose(found["weight"], known["weight"].loc[found.index], atol=0.02)
    assert found["weight"].sum() == pytest.approx(1)


def test_by_level_models_of_new_levels_are_compared(of_log, rows):
    none = cb.fit("log(y) ~ 1 + (1|seed)", rows, random_seed=5)
    table = cb.loo_compare({"none": none, "slope": of_log}, by="seed")
    assert table.index[0] == "slope"
    assert (table["n"] == 14).all()


def test_what_cannot_be_compared_is_refused(fit, rows):
    with pytest.raises(cb.DataError, match="1 models"):
        cb.loo_compare({"one": fit})
    fewer = cb.fit("y ~ x", rows.iloc[1:])
    with pytest.raises(cb.DataError, match="not of the same rows"):
        cb.loo_compare({"all": fit, "fewer": fewer})
    other = cb.fit("z ~ x", rows.assign(z=rows["y"]))
    with pytest.raises(cb.DataError, match="different responses"):
        cb.loo_compare({"y": fit, "z": other})
    with pytest.raises(cb.DataError, match="leave out different units"):
        cb.loo_compare({"rows": cb.loo(fit), "seeds": cb.loo(fit, by="seed")})
    scores = rows.assign(y=np.minimum(rows["y"].round(), 3).astype(int))
    pair = [cb.fit("y ~ x", scores, family=name) for name in ("gaussian", "cumulative")]
    with pytest.raises(cb.DataError, match=r"densities and .* probabilities"):
        cb.loo_compare(dict(zip(("normal", "ordinal"), pair, strict=True)))
    with pytest.raises(cb.DataError, match="use one of"):
        cb.loo(fit, by="face")
