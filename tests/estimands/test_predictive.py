"""Log likelihood and posterior predictive: against bambi's own, and against the data's moments."""

import arviz_stats
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import causalbias as cb
from causalbias.errors import DataError
from causalbias.models.bambi_models import bambi_model
from causalbias.models.result import frame_of, spec_of

RESPONSES = {
    "gaussian": "y ~ x + (1|g)",
    "bernoulli": "hit ~ x + (1|g)",
    "binomial": "p(hits, tries) ~ x + (1|g)",
    "beta": "share ~ x + (1|g)",
    "cumulative": "mark ~ x + (1|g)",
}


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(8)
    n = 120
    g, x = rng.integers(0, 6, n), rng.normal(size=n)
    eta = 0.3 + 0.8 * x + rng.normal(0, 0.5, 6)[g]
    chance = 1 / (1 + np.exp(-eta))
    return pd.DataFrame(
        {
            "g": g.astype(str),
            "x": x,
            "y": eta + rng.normal(0, 0.7, n),
            "hit": rng.binomial(1, chance),
            "hits": rng.binomial(12, chance),
            "tries": 12,
            "share": np.clip(rng.beta(8 * chance, 8 * (1 - chance)), 1e-4, 1 - 1e-4),
            "mark": np.digitize(eta + rng.logistic(size=n), [-1, 0.5, 1.5]),
        }
    )


@pytest.fixture(scope="module")
def fits(frame):
    made: dict[str, cb.Fit] = {}

    def fit_of(family):
        if family not in made:
            made[family] = cb.fit(RESPONSES[family], frame, family=family, draws=300, tune=500)
        return made[family]

    return fit_of


@pytest.mark.slow
@pytest.mark.parametrize("family", list(RESPONSES))
def test_log_likelihood_is_bambis(family, fits):
    fit = fits(family)
    ours = next(iter(cb.model_checks.with_log_likelihood(fit)["log_likelihood"].data_vars.values()))
    model = bambi_model(spec_of(fit), frame_of(fit))
    model.build()
    tree = xr.DataTree.from_dict(
        {name: fit[name].to_dataset() for name in ("posterior", "observed_data")}
    )
    after = model.compute_log_likelihood(tree, inplace=False)
    theirs = next(iter(after["log_likelihood"].data_vars.values()))
    np.testing.assert_allclose(ours, theirs.transpose(*ours.dims), rtol=1e-4, atol=1e-4)


def test_loo_runs_on_it(fits):
    found = arviz_stats.loo(cb.model_checks.with_log_likelihood(fits("gaussian")))
    assert np.isfinite(found.elpd)


@pytest.mark.slow
@pytest.mark.parametrize("family", list(RESPONSES))
def test_new_data_look_like_the_old(family, fits, frame):
    fit = fits(family)
    new = next(
        iter(
            cb.model_checks.with_predictive(fit, random_seed=1)[
                "posterior_predictive"
            ].data_vars.values()
        )
    )
    old = frame[str(new.name)].to_numpy(float)
    means = new.mean("__obs__").values.ravel()
    low, high = np.quantile(means, [0.005, 0.995])
    assert low < old.mean() < high
    assert new.identical(
        next(
            iter(
                cb.model_checks.with_predictive(fit, random_seed=1)[
                    "posterior_predictive"
                ].data_vars.values()
            )
        )
    )


def test_too_many_numbers_are_refused_in_advance(fits, monkeypatch):
    monkeypatch.setattr("causalbias.io.memory.available", lambda: 8 * 4000.0)
    with pytest.raises(DataError, match=r"rows times .* draws would take"):
        cb.model_checks.with_log_likelihood(fits("gaussian"))
    thinned = fits("gaussian").isel(draw=slice(0, 2))
    assert cb.model_checks.with_log_likelihood(thinned)["log_likelihood"]["y"].sizes["draw"] == 2
