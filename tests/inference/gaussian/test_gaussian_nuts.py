"""Collapsed draws against long NUTS runs of the uncollapsed model, by an independent tool."""

import numpy as np
import pytest
from scipy import stats

from causalbias.inference.diagnostics import split_ess
from causalbias.inference.gaussian.sample import sample_gaussian
from causalbias.inference.problem import FloatArray, Problem
from tests.inference.gaussian_cases import (
    CASES,
    SD_SCALE,
    half_normal,
    indicator,
    saturated,
    written_out,
)

pytestmark = pytest.mark.slow

# `saturated` is judged by quadrature (test_collapsed): NUTS does not mix on it, its 20,000 draws
# are worth 300 and off by several of their errors.
JUDGED = [case for case in CASES if case is not saturated]


def nuts(p: Problem, *, draws: int = 5000, seed: int = 1) -> dict[str, FloatArray]:
    """Sample the full model, effects non-centred, by nutpie: name -> (chains, draws, ...)."""
    p = written_out(p)
    pm = pytest.importorskip("pymc")
    nutpie = pytest.importorskip("nutpie")
    with pm.Model() as model:
        beta = pm.Normal("beta", p.beta_mean, p.beta_sd)
        sigma = pm.HalfNormal("sigma", SD_SCALE)
        eta = p.design @ beta
        for i, t in enumerate(p.terms):
            k = t.columns.shape[1]
            z = pm.Normal(f"z{i}", shape=(t.n_levels, k))
            if t.correlated:
                chol, _, _ = pm.LKJCholeskyCov(
                    f"chol{i}", n=k, eta=t.lkj_eta, sd_dist=pm.HalfNormal.dist(SD_SCALE, shape=k)
                )
                pm.Deterministic(f"used{i}", pm.math.sqrt((chol**2).sum(axis=1)))
                u = pm.Deterministic(f"u{i}", z @ chol.T)
            else:
                u = pm.Deterministic(f"u{i}", z * pm.HalfNormal(f"sd{i}", SD_SCALE, shape=k))
            flat = indicator(t).reshape(len(p.y), -1)
            eta = eta + flat @ u.reshape((-1,))
        pm.Normal("y", eta, p.noise_sd(sigma[None])[0], observed=p.y)
    trace = nutpie.sample(
        nutpie.compile_pymc_model(model),
        draws=draws,
        tune=2000,
        chains=4,
        cores=1,
        seed=seed,
        target_accept=0.98,
        progress_bar=False,
    )
    return {str(k): np.asarray(v) for k, v in trace["posterior"].data_vars.items()}


def compare(name: str, ours: FloatArray, theirs: FloatArray) -> None:
    """Means within Monte Carlo error, sds within 5%, ranks uniform.

    About forty groups of q numbers are compared: a right one fails once in ten thousand groups.
    """
    flat = theirs.reshape(*theirs.shape[:2], -1)
    pooled = flat.reshape(-1, flat.shape[2])
    ours = np.asarray(ours, dtype=float).reshape(len(ours), -1)
    ess_ours, ess_theirs = effective_sizes(ours), effective_sizes(pooled)
    sd_ours, sd_theirs = ours.std(axis=0), pooled.std(axis=0)
    error = np.sqrt(sd_ours**2 / ess_ours + sd_theirs**2 / ess_theirs)
    gap = np.abs(ours.mean(axis=0) - pooled.mean(axis=0)) / error
    kurtosis = ((pooled - pooled.mean(axis=0)) ** 4).mean(axis=0) / sd_theirs**4
    noise = np.sqrt((kurtosis - 1) / 4 * (1 / ess_ours + 1 / ess_theirs))
    assert gap.max() < stats.norm.isf(0.5e-4 / len(gap)), (name, gap.round(2))
    ratio = sd_ours / sd_theirs
    assert (np.abs(ratio - 1) < 0.05 + 2 * noise).all(), (name, ratio.round(3), noise.round(3))
    for j in range(ours.shape[1]):
        p_value = stats.ks_2samp(thinned(ours[:, j]), thinned(pooled[:, j])).pvalue
        assert p_value > 1e-4 / ours.shape[1], (name, j)


def effective_sizes(draws: FloatArray) -> FloatArray:
    """Effective sample size of each column of (draws, q), cut into four runs."""
    return split_ess(draws[: len(draws) // 4 * 4].T.reshape(draws.shape[1], 4, -1))


def thinned(draws: FloatArray) -> FloatArray:
    """Every so manyth draw, until on which side of any quantile they fall is independent."""
    sides = draws[:, None] < np.quantile(draws, [0.1, 0.3, 0.5, 0.7, 0.9])
    return draws[:: max(1, int(np.ceil(len(draws) / effective_sizes(sides + 0.0).min())))]


@pytest.mark.parametrize("case", JUDGED, ids=lambda c: c.__name__)
def test_agrees_with_long_nuts(case):
    p = case()
    found = sample_gaussian(p, half_normal, draws=10_000, random_seed=3)
    assert found.diagnostics.pareto_k < 0.7
    reference = nuts(p)
    compare("beta", found.beta, reference["beta"])
    compare("sigma", found.sigma, reference["sigma"])
    for i, t in enumerate(p.terms):
        sds = reference[f"used{i}"] if t.correlated else reference[f"sd{i}"]
        compare(f"sd {t.name}", found.sd[t.name], sds)
        compare(f"effects {t.name}", found.effects[t.name], reference[f"u{i}"])
        if t.correlated:
            corr = reference[f"chol{i}_corr"]
            below = np.tril_indices(t.columns.shape[1], -1)
            compare(f"corr {t.name}", found.corr[t.name][:, *below], corr[:, :, *below])
