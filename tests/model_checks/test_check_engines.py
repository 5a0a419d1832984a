"""`check` of every engine with every family: it runs, and a right model passes."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb


@pytest.fixture(scope="module")
def frame():
    """Responses of every family on one linear predictor, by what the models below assume."""
    rng = np.random.default_rng(11)
    kind, group = np.tile(["a", "b"], 150), np.repeat(np.arange(15), 20)
    eta = 0.7 * (kind == "b") - 0.3 + rng.normal(0, 0.5, 15)[group]
    chance = 1 / (1 + np.exp(-eta))
    return pd.DataFrame(
        {
            "kind": kind,
            "g": [f"g{i:02d}" for i in group],
            "trials": 8,
            "gaussian": eta + rng.normal(size=300),
            "bernoulli": rng.binomial(1, chance),
            "binomial": rng.binomial(8, chance),
            "beta": rng.beta(8 * chance, 8 * (1 - chance)),
            "cumulative": np.searchsorted([-1.0, 0.2, 1.5], eta + rng.logistic(size=300)),
        }
    )


def chance(method):
    """Checks that one right run of NUTS may fail by chance; see `tests.chains.mixed`."""
    return {"R-hat", "divergences"} if method == "nuts" else set()


@pytest.mark.parametrize(
    ("family", "method"),
    [
        ("gaussian", "collapsed"),
        ("bernoulli", "laplace"),
        ("binomial", "laplace"),
        ("cumulative", "laplace"),
        pytest.param("beta", "laplace", marks=pytest.mark.slow),
        *(
            pytest.param(family, "nuts", marks=pytest.mark.slow)
            for family in ("gaussian", "cumulative")  # each compiles; draws and rows are as above
        ),
    ],
)
def test_a_right_model_passes(frame, family, method):
    response = "p(binomial, trials)" if family == "binomial" else family
    fit = cb.fit(f"{response} ~ kind + (1|g)", frame, family=family, method=method, draws=1000)
    found = cb.check(fit)
    assert set(found.loc[found["verdict"] == "fail", "check"]) <= chance(method), found
    assert {"R-hat", "bulk ESS", "priors"} <= set(found["check"])
    weighed = {"Pareto k", "weights' ESS"} <= set(found["check"])
    assert weighed is (method != "nuts")
