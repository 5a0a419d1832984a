"""Several group terms of one factor, as in lme4: names of their own, right effects everywhere."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.errors import DataError

GROUPS, EACH = 24, 18
TERMS = {
    "(x|g) + (w|g)": ["1|g", "x|g", "1|g#2", "w|g"],
    "(1|g) + (0+x|g) + (w|g)": ["1|g", "x|g", "1|g#2", "w|g"],
}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(GROUPS), EACH)
    x, w = rng.normal(2, 1, (2, len(g)))
    effects = rng.normal(0, [[2], [1], [1]], (3, GROUPS))
    y = 1 + x + w + effects[0, g] + effects[1, g] * x + effects[2, g] * w
    return pd.DataFrame(
        {
            "y": y + rng.normal(0, 1, len(g)),
            "x": x,
            "w": w,
            "a": np.tile(list("pqr"), len(g) // 3),
            "g": [f"g{i:02d}" for i in g],
        }
    )


@pytest.mark.parametrize("terms", TERMS)
def test_each_has_its_own_effects(rows, terms, tmp_path):
    fit = cb.fit(f"y ~ x + w + {terms}", rows, draws=250)
    posterior = fit["posterior"].to_dataset()
    assert [name for name in posterior if str(name) in TERMS[terms]] == TERMS[terms]
    means = cb.predictions(fit, "g", population="these")["prediction"].mean(("chain", "draw"))
    gap = means.to_series() - rows.groupby("g")["y"].mean()
    assert np.sqrt((gap**2).mean()) < 0.1
    again = cb.open(cb.save(fit, tmp_path / "fit.nc"))
    assert again["posterior"].to_dataset().equals(posterior)
    assert "the split between them comes from the priors" in repr(again)
    assert "sd(1|g#2)" in cb.summary(again).index


def test_two_terms_are_two_bars(rows):
    """(1|g) + (0+x|g) is (x||g): the same draws, whatever the name."""
    two = cb.fit("y ~ a + x + (1|g) + (0+x|g)", rows)
    one = cb.fit("y ~ a + x + (x||g)", rows)
    for population in ("these", "new", "typical"):
        means, sds = [], []
        for fit in (two, one):
            found = cb.predictions(fit, "a", population=population)["prediction"]
            means.append(found.mean(("chain", "draw")).values)
            sds.append(found.std(("chain", "draw")).values)
        assert np.abs(means[0] - means[1]).max() < 0.1 * sds[0].min(), population
        np.testing.assert_allclose(sds[0], sds[1], rtol=0.08)
    for name in ("sd(1|g)", "sd(x|g)", "sigma"):
        first, second = (cb.summary(fit).loc[name] for fit in (two, one))
        assert abs(first["estimate"] - second["estimate"]) < 0.1 * first["sd"]


def test_intercepts_beside_a_factors_effects(rows):
    """The covariance of a new level is that of its own term: an error rate needs it."""
    fit = cb.fit("y ~ a + (1|g) + (0+a|g)", rows, draws=250)
    assert {"1|g", "a|g", "cor|g"} <= set(fit["posterior"].data_vars)
    found = cb.effects(fit, "a", scale="FMR", threshold=3.0, population="new")
    assert np.isfinite(found["effect"]).all()
    cb.variance_shares(fit)
    assert cb.check(fit).attrs["verdict"] in ("pass", "fail")


def test_priors_are_by_name(rows):
    given = {"1|g#2": "HalfNormal(0.001)"}
    fit = cb.fit("y ~ x + w + (x|g) + (w|g)", rows, priors=given, draws=250)
    assert float(fit["posterior"]["1|g#2_sigma"].max()) < 0.01
    assert float(fit["posterior"]["1|g_sigma"].mean()) > 0.5
    drawn = cb.prior_predictive("y ~ x + w + (x|g) + (w|g)", rows, priors=given, draws=50)
    assert float(drawn["prior"]["1|g#2_sigma"].max()) < 0.01


@pytest.mark.parametrize(
    "terms", ["(1|g) + (1|g)", "(1|g/a) + (1|g)", "(1|g:a) + (1|a:g)", "(x|g) + (x|g)"]
)
def test_the_same_term_twice_is_refused(rows, terms):
    with pytest.raises(DataError, match="in the formula twice"):
        cb.fit(f"y ~ x + {terms}", rows)


def test_one_effect_of_two_factors_has_two_lists_of_labels(rows):
    frame = rows.assign(h=np.arange(len(rows)) % 7)
    fit = cb.fit("y ~ a + (a|g) + (0+a|h)", frame, draws=100)
    posterior = fit["posterior"].to_dataset()
    assert posterior["a|g_sigma"].size // 400 == 2
    assert posterior["a|h_sigma"].size // 400 == 3


@pytest.mark.slow
def test_nuts_agrees(rows):
    formula = "y ~ x + w + (x|g) + (w|g)"
    exact = cb.summary(cb.fit(formula, rows))
    nuts = cb.summary(cb.fit(formula, rows, method="nuts", draws=1000, tune=800))
    assert set(exact.index) == set(nuts.index)
    nuts = nuts.reindex(exact.index)
    gap = (exact["estimate"] - nuts["estimate"]).abs() / exact["sd"]
    # sds of the two intercepts are known by the sum of their squares alone, and mix slowly
    error = np.sqrt(1 / nuts["ess_bulk"] + 1 / exact["ess_bulk"])
    assert (gap < 0.05 + 4 * error).all(), (gap, error)


def test_effects_too_many_to_keep_are_kept_at_fewer_draws(rows, monkeypatch):
    whole = cb.fit("y ~ x + w + (x|g)", rows, draws=250)
    monkeypatch.setattr("causalbias.models.engines.MAX_KEPT", 5_000)
    fit = cb.fit("y ~ x + w + (x|g)", rows, draws=250)
    assert "1|g" not in fit["posterior"]
    assert fit["thinned"].sizes["chain"] * fit["thinned"].sizes["draw"] >= 200
    found = cb.check(fit)
    assert "not run" not in set(found["verdict"])
    these = cb.predictions(fit, "g", population="these")["prediction"]
    assert these.sizes["draw"] == fit["thinned"].sizes["draw"]
    assert cb.effects(fit, "x", change=1, population="new")["effect"].sizes["draw"] == 250
    for name in ("1|g", "x|g"):
        few, all_of_them = (tree[name] for tree in (fit["thinned"], whole["posterior"]))
        gap = few.mean(("chain", "draw")) - all_of_them.mean(("chain", "draw"))
        assert float(np.abs(gap / all_of_them.std(("chain", "draw"))).max()) < 0.4
