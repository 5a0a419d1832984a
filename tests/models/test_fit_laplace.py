"""The nested Laplace engine under `fit`: truth, verbs, and what it declines."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.errors import DataError

FORMULAS = {
    "cumulative": "mark ~ x + kind + (1|g)",
    "bernoulli": "hit ~ x + kind + (1|g)",
    "binomial": "p(hits, tries) ~ x + kind + (1|g)",
}


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(11)
    n = 800
    g, x = rng.integers(0, 25, n), rng.normal(size=n)
    kind = rng.choice(["a", "b"], n)
    eta = 0.2 + 0.7 * x - 0.6 * (kind == "b") + rng.normal(0, 0.8, 25)[g]
    chance = 1 / (1 + np.exp(-eta))
    return pd.DataFrame(
        {
            "g": g.astype(str),
            "x": x,
            "kind": kind,
            "hit": rng.binomial(1, chance),
            "hits": rng.binomial(8, chance),
            "tries": rng.integers(8, 10, n),
            "mark": np.digitize(eta + rng.logistic(size=n), [-1.0, 0.5, 1.5]),
        }
    )


@pytest.mark.parametrize("family", list(FORMULAS))
def test_truth_is_recovered_without_a_failed_check(family, frame):
    """That its draws are those of NUTS is tested in test_nuts_model."""
    fit = cb.fit(FORMULAS[family], frame, family=family, method="laplace")
    assert cb.failures(fit) == []
    table = cb.summary(fit, prob=0.999)
    for name, truth in {"x": 0.7, "kind[b]": -0.6, "sd(1|g)": 0.8}.items():
        assert table.loc[name, "lower"] < truth < table.loc[name, "upper"], name
        assert table.loc[name, "sd"] < 0.25, "an interval that holds everything proves nothing"


def test_effects_work_on_its_fits(frame):
    fit = cb.fit(FORMULAS["bernoulli"], frame, family="bernoulli", method="laplace")
    table = cb.summarise(cb.effects(fit, "kind"))
    assert table["upper"].item() < 0
    assert "Laplace" in repr(fit)


def test_it_declines_what_it_does_not_know(frame):
    with pytest.raises(DataError, match="laplace engine declines: the family gaussian"):
        cb.fit("x ~ kind + (1|g)", frame, method="laplace")


def test_thresholds_far_from_zero_do_not_drag_coefficients():
    """Most answers of one kind, a predictor far from zero: the default is as good as flat."""
    rng = np.random.default_rng(0)
    turn, g = rng.choice([1.0, 3.0], 1000), rng.integers(0, 30, 1000)
    latent = -0.4 * turn + rng.normal(0, 0.5, 30)[g] + rng.logistic(size=1000)
    frame = pd.DataFrame({"k": np.searchsorted([-6, -5, -4, -2.5], latent), "turn": turn, "g": g})
    wide = {"threshold": "Normal(0, 100)", "turn": "Normal(0, 100)"}
    default, flat, narrow = (
        cb.summary(cb.fit("k ~ turn + (1|g)", frame, family="cumulative", priors=priors, draws=500))
        for priors in (None, wide, {"threshold": "Normal(0, 1)"})
    )
    for name in ("turn", "threshold[0]", "threshold[3]"):
        away = abs(default.loc[name, "estimate"] - flat.loc[name, "estimate"])
        assert away < 0.35 * flat.loc[name, "sd"]
    assert (
        abs(narrow.loc["turn", "estimate"] - flat.loc["turn", "estimate"]) > flat.loc["turn", "sd"]
    )
