"""Group terms by a sparse factor: the density, the effects and the fits of the dense one."""

from dataclasses import replace

import numpy as np
import pytest

from causalbias.inference.gaussian import effects_at, sample_gaussian
from causalbias.inference.gaussian import sparse_part as module
from causalbias.inference.gaussian.blocks import build_blocks
from causalbias.inference.gaussian.density import eliminate
from causalbias.inference.scales import n_theta, unpack
from tests.inference.gaussian_cases import (
    correlated_slopes,
    counted,
    crossed_unbalanced,
    dense_joint,
    dense_log_marginal,
    half_normal,
    multi_member,
    nested,
    problem,
    taken,
    term,
    three_slopes,
    written_out,
)

CASES = [crossed_unbalanced, multi_member, correlated_slopes, three_slopes, nested, counted]


@pytest.fixture
def always_sparse(monkeypatch):
    """Take the sparse factor however few the effects are."""
    monkeypatch.setattr(module, "_FEW", 0)
    monkeypatch.setattr(module, "_PRICE", 1e-9)
    monkeypatch.setattr(module, "_PRICE_OF_VALUE", 0.0)


def scales_of(p, rng, count=4):
    return unpack(0.5 * rng.normal(size=(count, n_theta(p.terms))), p.terms, half_normal)


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("case", CASES)
def test_the_density_is_that_of_the_joint_normal(case, always_sparse):
    p = case()
    blocks = build_blocks(p)
    assert blocks.sparse is not None
    scales = scales_of(p, np.random.default_rng(0))
    for i in range(4):
        factors = scales.factors(i)
        found = eliminate(blocks, scales.sigma[i], factors, np.empty_like(blocks.total))
        expected = dense_log_marginal(p, scales.sigma[i], factors)
        assert found.log_marginal == pytest.approx(expected, rel=1e-9, abs=1e-8)


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("case", CASES)
def test_effects_are_their_conditional_mean_and_covariance(case, always_sparse):
    p = case()
    blocks, rng = build_blocks(p), np.random.default_rng(1)
    scales = scales_of(p, rng, 1)
    sigma, factors = scales.sigma[0], scales.factors(0)
    beta = rng.normal(size=p.design.shape[1])
    part = blocks.sparse
    values, solved, _ = part.eliminate(sigma, factors)
    whole = written_out(p)
    columns, _, noise = dense_joint(whole, sigma, factors)
    z = columns[:, p.design.shape[1] :]
    precision = z.T @ (z / noise[:, None]) + np.eye(z.shape[1])
    white = np.linalg.solve(precision, z.T @ ((whole.y - whole.design @ beta) / noise))
    at = 0
    mean = part.effects(values, solved, factors, beta - blocks.centre, np.zeros(len(white)))
    for effects, factor in zip(mean, factors, strict=True):
        own = white[at : at + effects.size].reshape(effects.shape) @ factor.T
        np.testing.assert_allclose(effects, own, atol=1e-8)
        at += effects.size
    # as linear functions of the noise: their squares add up to the inverse of the precision
    whitened = [
        np.concatenate(
            [
                np.linalg.solve(factor, (effects - base).T).T.ravel()
                for effects, base, factor in zip(
                    part.effects(values, solved, factors, beta - blocks.centre, unit),
                    mean,
                    factors,
                    strict=True,
                )
            ]
        )
        for unit in np.eye(len(white))
    ]
    spread = np.transpose(whitened)
    np.testing.assert_allclose(spread @ spread.T, np.linalg.inv(precision), atol=1e-8)


@pytest.mark.parametrize("case", [multi_member, correlated_slopes])
def test_the_posterior_is_that_of_the_dense_factor(case, monkeypatch):
    p = case()
    dense = sample_gaussian(p, half_normal, draws=4000, random_seed=1)
    for name, value in (("_FEW", 0), ("_PRICE", 1e-9), ("_PRICE_OF_VALUE", 0.0)):
        monkeypatch.setattr(module, name, value)
    sparse = sample_gaussian(p, half_normal, draws=4000, random_seed=2)
    assert sparse.blocks.sparse is not None
    assert sparse.others == {}
    for name, effects in dense.effects.items():
        sd = effects.std(axis=0)
        gap = (sparse.effects[name].mean(axis=0) - effects.mean(axis=0)) / sd
        assert np.abs(gap).max() < 0.12  # means of 4,000 draws, each with an error of 0.016 sd
        np.testing.assert_allclose(sparse.effects[name].std(axis=0) / sd, 1, atol=0.1)
    for one, other in ((dense.sigma, sparse.sigma), (dense.beta[:, 0], sparse.beta[:, 0])):
        assert abs(one.mean() - other.mean()) < 0.12 * one.std()
        assert other.std() == pytest.approx(one.std(), rel=0.1)


def test_effects_not_kept_come_back_the_same(always_sparse):
    p = multi_member()
    whole = sample_gaussian(p, half_normal, draws=60, random_seed=3)
    part = sample_gaussian(p, half_normal, draws=60, random_seed=3, keep=[])
    assert part.effects == {}
    np.testing.assert_array_equal(part.beta, whole.beta)
    again = effects_at(p, part, np.arange(10, 20))
    for name, effects in whole.effects.items():
        np.testing.assert_array_equal(again[name], effects[10:20])


def test_row_order_and_rows_written_out_are_immaterial(always_sparse):
    p = counted()
    draws = [
        sample_gaussian(one, half_normal, draws=200, random_seed=4)
        for one in (p, taken(p, np.random.default_rng(0).permutation(len(p.y))), written_out(p))
    ]
    for other in draws[1:]:
        np.testing.assert_allclose(other.sigma, draws[0].sigma, rtol=1e-4)
        np.testing.assert_allclose(other.beta, draws[0].beta, rtol=1e-3, atol=1e-4)


def many_identities(n=3000, pairs=4200, seed=5):
    """Pairs of two identities among thousands, each in few pairs."""
    rng = np.random.default_rng(seed)
    codes = np.array([rng.choice(n, 2, replace=False) for _ in range(pairs)])
    u = 0.8 * rng.normal(size=n)
    y = 1.0 + u[codes].mean(axis=1) + 0.5 * rng.normal(size=pairs)
    ones = np.ones((pairs, 1))
    return problem(y, ones, [term("1|mm(a, b)", ones, codes, n)]), u


def test_thousands_of_identities_in_few_pairs_each():
    p, u = many_identities()
    found = sample_gaussian(p, half_normal, draws=1000, random_seed=6)
    assert found.blocks.sparse is not None
    assert found.diagnostics.pareto_k < 0.5
    for draws, truth in ((found.sigma, 0.5), (found.sd["1|mm(a, b)"][:, 0], 0.8)):
        assert abs(draws.mean() - truth) < 4 * draws.std()
    effects = found.effects["1|mm(a, b)"][:, :, 0]
    low, high = np.quantile(effects, [0.05, 0.95], axis=0)
    covered = ((low < u) & (u < high)).mean()
    assert 0.87 < covered < 0.93  # of 3,000: three standard errors are 0.016, and effects correlate


def test_levels_without_rows_have_their_prior(always_sparse):
    p = multi_member()
    more = replace(p, terms=(replace(p.terms[0], n_levels=p.terms[0].n_levels + 3), *p.terms[1:]))
    found = sample_gaussian(more, half_normal, draws=4000, random_seed=7)
    name = p.terms[0].name
    empty = found.effects[name][:, -3:, 0]
    ratio = (empty / found.sd[name]).std()
    assert abs(ratio - 1) < 0.03


def test_where_effects_share_many_rows_the_factor_is_dense():
    rng = np.random.default_rng(8)
    rows = 6000
    a, b = rng.integers(0, 400, rows), rng.integers(0, 390, rows)
    ones = np.ones((rows, 1))
    p = problem(rng.normal(size=rows), ones, [term("1|a", ones, a, 400), term("1|b", ones, b, 390)])
    assert build_blocks(p).sparse is None
