"""The nested Laplace engine under `fit`: names, agreement with NUTS, and what it declines."""

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


@pytest.mark.slow
@pytest.mark.parametrize("family", list(FORMULAS))
def test_agrees_with_nuts(family, frame):
    fast = cb.fit(FORMULAS[family], frame, family=family, method="laplace")
    nuts = cb.fit(FORMULAS[family], frame, family=family, method="nuts", draws=1500)
    assert cb.failures(fast) == []
    one, other = cb.summary(fast), cb.summary(nuts)
    assert set(one.index) == set(other.index)
    for name in one.index:
        error = abs(one.loc[name, "estimate"] - other.loc[name, "estimate"])
        # 0.1 posterior sd of approximation, and NUTS's own Monte Carlo error.
        allowed = (0.1 + 3 / np.sqrt(other.loc[name, "ess_bulk"])) * other.loc[name, "sd"]
        assert error < allowed, name
        assert one.loc[name, "sd"] == pytest.approx(other.loc[name, "sd"], rel=0.12), name
    for name in ("1|g", "x"):
        assert fast["posterior"][name].dims == nuts["posterior"][name].dims


def test_effects_work_on_its_fits(frame):
    fit = cb.fit(FORMULAS["bernoulli"], frame, family="bernoulli", method="laplace")
    table = cb.summarise(cb.effects(fit, "kind"))
    assert table["upper"].item() < 0
    assert "Laplace" in repr(fit)


def test_it_declines_what_it_does_not_know(frame):
    with pytest.raises(DataError, match="laplace engine declines: the family gaussian"):
        cb.fit("x ~ kind + (1|g)", frame, method="laplace")
