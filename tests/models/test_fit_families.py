"""Every other family: known truth recovered from a few hundred rows, by what auto takes."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("family", ["bernoulli", "binomial", "beta", "cumulative"])
def test_truth_is_recovered(family, family_fit, family_truth):
    fit = family_fit(family)
    assert not cb.failures(fit)
    assert fit.attrs["engine"].startswith("Laplace")
    table = cb.summary(fit, prob=0.999)
    for name, value in family_truth.items():
        if name == "threshold":
            if family != "cumulative":
                continue
            rows = table[table.index.str.startswith("threshold")]
            values = value
        elif name == "Intercept" and family == "cumulative":
            assert name not in table.index
            continue
        else:
            rows, values = table.loc[[name]], [value]
        assert len(rows) == len(values)
        assert ((rows["lower"] < values) & (values < rows["upper"])).all(), name
        assert (rows["sd"] < 0.5).all(), "an interval that holds everything would prove nothing"
    assert f"Family: {family}" in repr(fit)


def test_spread_of_groups(family_fit):
    for family in ("bernoulli", "cumulative"):
        row = cb.summary(family_fit(family), prob=0.999).loc["sd(1|g)"]
        assert row["lower"] < 0.5 < row["upper"]
        assert row["upper"] < 2


def test_thresholds_ascend(family_fit):
    cuts = family_fit("cumulative")["posterior"]["threshold"].values
    assert (np.diff(cuts, axis=-1) > 0).all()


@pytest.mark.parametrize("basis", ["bs(x, df=4)", "poly(x, 2)"])
def test_bases_in_binary_models(basis):
    """bambi's scaling of their default priors fails; ours is what it means."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-2, 2, 400)
    rows = pd.DataFrame({"x": x, "hit": rng.random(400) < 1 / (1 + np.exp(1 - x**2))})
    fit = cb.fit(f"hit ~ {basis}", rows, family="bernoulli", draws=300)
    curve = cb.dose(fit, "x", grid=[-1.9, 0.0, 1.9])["prediction"].mean(("chain", "draw"))
    assert curve.values[0] > 0.8
    assert curve.values[1] < 0.45
    assert curve.values[2] > 0.8
