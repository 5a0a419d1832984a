"""R-hat and effective sizes of all parameters at once are ArviZ's, one parameter at a time."""

import arviz_stats
import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from causalbias.inference.diagnostics import DIAGNOSTICS, TAILS, diagnose, diagnostics_of


def of_arviz(posterior):
    parts = [
        arviz_stats.rhat(posterior),
        arviz_stats.ess(posterior, method="bulk"),
        arviz_stats.ess(posterior, method="tail"),
    ]
    return xr.concat(parts, dim=xr.Variable("diagnostic", np.array(DIAGNOSTICS)), join="exact")


def chains_of(rng, chains, draws, q, kind):
    """Draws that mix well, hardly, in other places, in few values, or not at all."""
    x = rng.normal(size=(chains, draws, q))
    if kind == "slow":
        for t in range(1, draws):
            x[:, t] = 0.95 * x[:, t - 1] + 0.3 * x[:, t]
    elif kind == "alternating":
        for t in range(1, draws):
            x[:, t] = -0.8 * x[:, t - 1] + 0.6 * x[:, t]
    elif kind == "apart":
        x += 3 * np.arange(chains)[:, None, None]
    elif kind == "tied":
        x = np.round(x)
    elif kind == "constant":
        x[:] = 2.5
    elif kind == "heavy":
        x = rng.standard_cauchy(size=x.shape)
    elif kind == "missing":
        x[0, draws // 2, 0] = np.nan
    return x


def rounding_decides(x):
    """Whether Geyer's sequence of a tail ends at a sum of autocorrelations that is exactly zero.

    Of truth values the sums are fractions, and then rounding tells whether it goes on.
    """
    half = x.shape[1] // 2
    for end in np.quantile(x, TAILS, axis=(0, 1)):
        below = (x <= end).astype(float)
        split = np.concatenate([below[:, :half], below[:, -half:]])
        away = split - split.mean(axis=1, keepdims=True)
        covariance = np.stack(
            [
                (away[:, : half - t] * away[:, t:]).sum(axis=1).mean(axis=0) / half
                for t in range(half)
            ]
        )
        within = covariance[0] * half / (half - 1.0)
        total = covariance[0] + split.mean(axis=1).var(axis=0, ddof=1)
        rho = 1 - (within - covariance) / np.where(total > 0, total, 1.0)
        sums = rho[: half // 2 * 2].reshape(half // 2, 2, -1).sum(axis=1)
        if (np.abs(sums) < 1e-10).any():
            return True
    return False


KINDS = ["plain", "slow", "alternating", "apart", "tied", "constant", "heavy", "missing"]


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    chains=st.sampled_from([2, 3, 4]),
    draws=st.integers(4, 300),
    seed=st.integers(0, 10**6),
)
def test_numbers_are_those_of_arviz(kind, chains, draws, seed):
    x = chains_of(np.random.default_rng(seed), chains, draws, 3, kind)
    assume(not rounding_decides(x))
    expected = of_arviz(xr.Dataset({"v": (("chain", "draw", "at"), x)}))["v"].values
    np.testing.assert_allclose(diagnostics_of(x), expected, rtol=1e-8, equal_nan=True)


def test_variables_keep_their_dims_and_labels():
    rng = np.random.default_rng(1)
    posterior = xr.Dataset(
        {
            "b": (("chain", "draw"), rng.normal(size=(4, 100))),
            "u": (("chain", "draw", "seed", "effect"), rng.normal(size=(4, 100, 3, 2))),
        },
        coords={"seed": ["s1", "s2", "s3"], "effect": ["1", "pose"]},
    )
    found = diagnose(posterior)
    expected = of_arviz(posterior)
    xr.testing.assert_allclose(found, expected.transpose(*found.dims), rtol=1e-8)
    assert found["u"].dims == ("diagnostic", "seed", "effect")
    assert found["u"].sel(seed="s2", effect="pose", diagnostic="ess_bulk") > 100


def test_one_chain_has_no_r_hat_and_few_draws_have_nothing():
    x = np.random.default_rng(2).normal(size=(1, 400, 2))
    r_hat, bulk, tail = diagnostics_of(x)
    assert np.isnan(r_hat).all()
    assert (bulk > 200).all()
    assert (tail > 200).all()
    assert np.isnan(diagnostics_of(x[:, :3])).all()


def test_blocks_of_parameters_are_immaterial(monkeypatch):
    x = np.random.default_rng(3).normal(size=(4, 50, 23))
    whole = diagnostics_of(x)
    monkeypatch.setattr("causalbias.inference.diagnostics.BLOCK", 400)
    np.testing.assert_array_equal(diagnostics_of(x), whole)
