"""Slope on perceived change: the plug-in is biased, the latent-variable model is not."""

import numpy as np
import pytest
import xarray as xr

import causalbias as cb
from causalbias import DataError

SLOPE, N = 0.02, 20


def draws_about(mean, cov, rng, n=400):
    values = rng.multivariate_normal(mean, cov, size=n)
    values += mean - values.mean(axis=0)
    return xr.DataArray(
        values[None], dims=("chain", "draw", "what"), coords={"what": np.arange(len(mean))}
    )


def study(rng):
    """20 manipulations seen with sd 6 (raters share part of it); few raters err by as much."""
    x = rng.normal(12, 6, N)
    y = 0.3 + SLOPE * x + rng.normal(0, 0.03, N)
    m_cov = 36 * (0.8 * np.eye(N) + 0.2)
    y_cov = 0.02**2 * (0.7 * np.eye(N) + 0.3)
    m, y_seen = rng.multivariate_normal(x, m_cov), rng.multivariate_normal(y, y_cov)
    return draws_about(y_seen, y_cov, rng), draws_about(m, m_cov, rng)


@pytest.mark.slow
def test_plug_in_is_flattened_and_this_is_not():
    rng = np.random.default_rng(1)
    ours, plugged, hits, studies = [], [], 0, 60
    for _ in range(studies):
        outcome, change = study(rng)
        found = cb.joint_model.per_perceived(outcome, change, "what", draws=300, tune=150, chains=2)
        slope = found["slope"].values
        ends = np.quantile(slope, [0.05, 0.95])
        hits += ends[0] <= SLOPE <= ends[1]
        ours.append(np.median(slope))
        means = [values.mean(["chain", "draw"]).values for values in (change, outcome)]
        plugged.append(np.polyfit(*means, 1)[0])
    error = np.std(plugged) / np.sqrt(studies)
    # Half the variance of the estimates is raters' (0.8 * 36 about 36): a slope near 0.0111.
    assert np.mean(plugged) == pytest.approx(SLOPE * 36 / (36 + 0.8 * 36), abs=4 * error)
    assert np.mean(plugged) < 0.7 * SLOPE
    assert np.median(ours) == pytest.approx(SLOPE, rel=0.2)
    assert hits >= 47  # Binomial(60, 0.9) is 54, sd 2.3


def test_without_noise_it_is_the_regression_line():
    rng = np.random.default_rng(2)
    x = rng.normal(10, 5, 30)
    y = 1 + 0.5 * x + rng.normal(0, 0.4, 30)
    tiny = 1e-8 * np.eye(30)
    found = cb.joint_model.per_perceived(
        draws_about(y, tiny, rng), draws_about(x, tiny, rng), "what", draws=1000
    )
    design = np.column_stack([np.ones(30), x])
    line, rss = np.linalg.lstsq(design, y, rcond=None)[:2]
    sd = np.sqrt(rss[0] / 28 * np.linalg.inv(design.T @ design)[1, 1])
    assert float(found["slope"].mean()) == pytest.approx(line[1], abs=6 * sd / np.sqrt(4000))
    # Flat prior on the line, half-t on the scatter: Student's t of 28 degrees of freedom or so.
    assert float(found["slope"].std()) == pytest.approx(sd * np.sqrt(28 / 26), rel=0.08)
    assert float(found["scatter"].median()) == pytest.approx(np.sqrt(rss[0] / 28), rel=0.1)


def test_units_go_through():
    outcome, change = study(np.random.default_rng(3))
    options = {"dim": "what", "draws": 200, "tune": 50, "chains": 1}
    one = cb.joint_model.per_perceived(outcome, change, **options)
    other = cb.joint_model.per_perceived(100 * outcome, 10 * change, **options)
    np.testing.assert_allclose(other["slope"], 10 * one["slope"], rtol=1e-5)
    np.testing.assert_allclose(other["scatter"], 100 * one["scatter"], rtol=1e-5)


def test_refusals():
    outcome, change = study(np.random.default_rng(4))
    with pytest.raises(DataError, match="3 manipulations in both"):
        cb.joint_model.per_perceived(outcome.isel(what=slice(3)), change, "what")
    with pytest.raises(DataError, match="give \\(chain, draw, what\\)"):
        cb.joint_model.per_perceived(outcome.expand_dims(k=2), change, "what")


def test_changes_that_may_all_be_alike_leave_the_slope_bounded():
    """Seen changes differ no more than raters err, so that any slope would fit them."""
    for replicate in range(6):
        rng = np.random.default_rng([3, replicate])
        change = draws_about(rng.normal(10, 4, 8), 16 * np.eye(8), rng)
        outcome = draws_about(rng.normal(0, 0.1, 8), 0.02**2 * np.eye(8), rng)
        found = cb.joint_model.per_perceived(outcome, change, "what", draws=500, chains=2)
        scale = outcome.mean("draw").std() / change.mean("draw").std()
        low, high = np.quantile(found["slope"] / scale, [0.01, 0.99])
        assert -10 < low < 0 < high < 10  # the prior's own 98% are -6 to 6
