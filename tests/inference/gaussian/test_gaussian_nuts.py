"""Collapsed draws against long NUTS runs of the uncollapsed model, by an independent tool."""

import numpy as np
import pytest
from scipy import stats

from causalbias.inference.gaussian.sample import sample_gaussian
from causalbias.inference.problem import FloatArray
from tests.inference.gaussian.nuts_reference import (
    DECILES,
    JUDGED,
    Summary,
    ess_below,
    reference,
    summary,
)
from tests.inference.gaussian_cases import half_normal


def compare(name: str, ours: FloatArray, theirs: Summary) -> None:
    """Means within four Monte Carlo errors, sds within 5%, equal quantiles.

    About 300 means are compared: of right ones, the largest is beyond four errors once in fifty
    runs of all cases, and beyond 3.5 once in eight.
    """
    ours = np.asarray(ours, dtype=float).reshape(len(ours), -1)
    own = summary(ours)
    error = np.sqrt(own.sd**2 / own.ess + theirs.sd**2 / theirs.ess)
    gap = np.abs(own.mean - theirs.mean) / error
    noise = np.sqrt((theirs.kurtosis - 1) / 4 * (1 / own.ess + 1 / theirs.ess))
    assert gap.max() < 4, (name, gap.round(2))
    ratio = own.sd / theirs.sd
    assert (np.abs(ratio - 1) < 0.05 + 2 * noise).all(), (name, ratio.round(3), noise.round(3))
    # Shares of our draws below their deciles, in Monte Carlo errors of both
    below = (ours[:, :, None] < theirs.deciles).mean(axis=0)
    worth = 1 / (1 / ess_below(ours, theirs.deciles) + 1 / theirs.ess_of_deciles)
    away = np.abs(below - DECILES) / np.sqrt(DECILES * (1 - DECILES) / worth)
    # about forty groups are compared, by ESS that are themselves estimates
    assert away.max() < stats.norm.isf(0.5e-4 / below.size), (name, away.round(2))


@pytest.mark.parametrize("case", JUDGED, ids=lambda c: c.__name__)
def test_agrees_with_long_nuts(case):
    p = case()
    found = sample_gaussian(p, half_normal, draws=10_000, random_seed=3)
    assert found.diagnostics.pareto_k < 0.7
    ours = {"beta": found.beta, "sigma": found.sigma}
    for t in p.terms:
        ours |= {f"sd {t.name}": found.sd[t.name], f"effects {t.name}": found.effects[t.name]}
        if t.correlated:
            below = np.tril_indices(t.columns.shape[1], -1)
            ours[f"corr {t.name}"] = found.corr[t.name][:, *below]
    theirs = reference(p, case.__name__)
    assert set(theirs) == set(ours)
    for name, draws in ours.items():
        compare(name, draws, theirs[name])


def test_a_posterior_that_is_a_little_off_is_found():
    rng = np.random.default_rng(0)
    theirs, own = summary(rng.standard_normal((10_000, 3))), rng.standard_normal((10_000, 3))
    compare("right", own, theirs)
    flat = rng.uniform(-np.sqrt(3), np.sqrt(3), (10_000, 3))  # its mean and sd are right
    for wrong in (own + 0.07, own * 0.9, flat):
        with pytest.raises(AssertionError):
            compare("wrong", wrong, theirs)
