"""Two systems' distances of the same pairs, one row a distance: the recipe of group-terms.md."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb

RHO = 0.5  # of the residuals of one pair


@pytest.fixture(scope="module")
def wide():
    random = np.random.default_rng(1)
    seed = np.repeat(np.arange(50), 8)
    race = np.tile(["x", "y"], 200)
    own = random.multivariate_normal([0, 0], [[0.04, 0.03], [0.03, 0.0625]], 50)[seed]
    noise = random.multivariate_normal([0, 0], [[0.01, RHO * 0.012], [RHO * 0.012, 0.0144]], 400)
    rows = pd.DataFrame(
        {"seed": seed.astype(str), "pair": np.arange(400).astype(str), "race": race}
    )
    rows["A"] = 1.0 + 0.1 * (race == "y") + own[:, 0] + noise[:, 0]
    rows["B"] = 1.5 + 0.2 * (race == "y") + own[:, 1] + noise[:, 1]
    return rows


@pytest.fixture(scope="module")
def fit(wide):
    rows = wide.melt(["seed", "pair", "race"], ["A", "B"], "system", "distance")
    formula = "distance ~ system*race + (0 + system|seed) + (1|pair)"
    return cb.fit(cb.formula(formula, sigma="~ system"), rows, random_seed=1)


def test_the_residual_correlation_of_a_pair_is_found(fit):
    posterior = fit["posterior"]
    of_a = posterior["sigma_Intercept"]
    of_b = of_a + posterior["sigma_system"].squeeze(drop=True)
    of_pair = posterior["1|pair_sigma"] ** 2
    total = (of_pair + np.exp(2 * of_a)) * (of_pair + np.exp(2 * of_b))
    low, high = np.quantile(of_pair / np.sqrt(total), [0.005, 0.995])
    assert low < RHO < high < low + 0.4


def test_a_difference_between_systems_is_that_of_the_pairs_differences(fit, wide):
    """As sure as a model of the differences, and surer than two models that know of no pairs."""
    effect = cb.effects(fit, "race", by="system")["effect"].squeeze()
    found = effect.sel(system="B") - effect.sel(system="A")
    paired = cb.fit(
        "difference ~ race + (1|seed)", wide.assign(difference=wide["B"] - wide["A"]), random_seed=1
    )
    wanted = cb.effects(paired, "race")["effect"]
    assert float(found.mean()) == pytest.approx(float(wanted.mean()), abs=0.2 * float(wanted.std()))
    assert float(found.std()) == pytest.approx(float(wanted.std()), rel=0.1)
    assert float(found.std()) < 0.85 * float(np.hypot(*(effect.sel(system=s).std() for s in "AB")))
