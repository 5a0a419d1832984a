"""The marginal density and the conditional draws against dense brute force."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalbias.inference.gaussian.blocks as blocks_module
from causalbias.inference.gaussian.blocks import build_blocks
from causalbias.inference.gaussian.chain import factor_nodes, subtract_nodes, whiten_chain
from causalbias.inference.gaussian.density import _eliminate_chain, draw_given, eliminate
from causalbias.inference.gaussian.effects import draw_leading
from causalbias.inference.gaussian.small import at_scales, is_small, n_drawn
from causalbias.inference.problem import Problem
from causalbias.inference.scales import n_theta, unpack
from tests.inference.gaussian_cases import (
    CASES,
    dense_joint,
    dense_log_marginal,
    half_normal,
    indicator,
    nested,
    problem,
    term,
    written_out,
)


@pytest.fixture(params=[True, False], ids=["buckets", "no-buckets"])
def buckets(request, monkeypatch):
    """Run both ways of treating the leading term."""
    if not request.param:
        monkeypatch.setattr(blocks_module, "_bucket_of", lambda *_: None)


def all_parts() -> Problem:
    """Every part at once: leading and chain terms with slopes, crossed and multi-membership."""
    rng = np.random.default_rng(0)
    n = 70
    x = np.column_stack([np.ones(n), rng.normal(size=(n, 2))])
    pair = rng.integers(0, 21, n)
    made = problem(
        rng.normal(size=n) + 3,
        x,
        [
            term("x|pair", x, pair, 22),
            term("x|proto", x[:, :2], pair % 8, 8),
            term("x|mm", x, rng.integers(0, 6, (n, 3)), 6, correlated=False),
            term("1|seed", x[:, :1], pair % 8 % 3, 4),
            term("x|c", x[:, 1:], np.arange(n) % 5, 5),
        ],
    )
    return replace(
        made,
        beta_mean=np.array([1.0, -1.0, 0.3]),
        beta_sd=np.array([3.0, 0.5, 30.0]),
        row_weight=rng.integers(1, 4, n) + 0.0,
        row_precision=rng.uniform(0.5, 2, n),
    )


def test_a_chain_of_intercepts_is_eliminated_in_one_pass_to_the_same_numbers():
    rng = np.random.default_rng(0)
    pair = rng.integers(0, 40, 300)
    ones = np.ones((300, 1))
    terms = [
        term(f"1|{n}", ones, pair % size, size)
        for n, size in (("pair", 40), ("proto", 8), ("s", 4))
    ]
    made = build_blocks(problem(rng.normal(size=300), ones, terms))
    chain, total = made.chain, made.total
    assert chain.n_rows == len(chain.k) > 8
    factors = np.array([[[0.7]], [[0.0]], [[1.3]]])[: len(chain.terms)]
    cut = chain.n_values + chain.n_rows * made.n_dense
    results = []
    for step in (_eliminate_chain, general_elimination):
        values = total[: chain.n_values].copy()
        cross = total[chain.n_values : cut].reshape(chain.n_rows, -1).copy()
        results.append((step(values, cross, chain, factors), values, cross))
    for fast, general in zip(*results, strict=True):
        np.testing.assert_array_equal(fast, general)


def general_elimination(values, cross, chain, factors):
    """By the steps for nodes of any number of effects."""
    where = (chain.k, chain.row, chain.ancestor, chain.offset)
    whiten_chain(values, cross, chain.position, factors, *where)
    log_det = 0.0
    for first, last in pairwise(chain.first_node.tolist()):
        log_det += factor_nodes(first, last, values, cross, *where)
        subtract_nodes(first, last, values, cross, *where)
    return log_det


@pytest.mark.usefixtures("buckets")
@pytest.mark.parametrize("case", [*CASES, all_parts], ids=lambda c: c.__name__)
def test_log_marginal_equals_dense_normal(case):
    p = case()
    made = build_blocks(p)
    theta = np.random.default_rng(1).normal(size=(4, n_theta(p.terms)))
    scales = unpack(theta, p.terms, half_normal)
    for i in range(4):
        done = eliminate(made, scales.sigma[i], scales.factors(i), np.empty_like(made.total))
        assert done is not None
        expected = dense_log_marginal(p, scales.sigma[i], scales.factors(i))
        assert done.log_marginal == pytest.approx(expected, abs=1e-8)


def one_by_one(made, sigma, factors, noise):
    """What `at_scales` gives, by a factor of each matrix."""
    values, drawn = np.full(len(sigma), -np.inf), np.zeros(noise.shape)
    for i, numbers in enumerate(map(iter, noise)):
        own = [one[i] for one in factors]
        done = eliminate(made, sigma[i], own, np.empty(made.stack.shape[1]))
        if done is not None:
            values[i] = done.log_marginal
            parts = draw_given(done, made, lambda n, of=numbers: np.fromiter(of, float, n))
            drawn[i] = np.concatenate(parts)
    return values, drawn


@pytest.mark.usefixtures("buckets")
@pytest.mark.parametrize("case", [*CASES, all_parts], ids=lambda c: c.__name__)
@pytest.mark.parametrize("cells", [1, 3])
def test_many_scales_at_once_are_as_one_by_one(case, cells):
    p, rng = case(), np.random.default_rng(4)
    made = build_blocks(p, np.arange(len(p.y)) % cells)
    scales = unpack(rng.normal(size=(5, n_theta(p.terms))), p.terms, half_normal)
    sigma, factors = np.exp(rng.normal(size=(5, cells))), scales.factors(np.arange(5))
    sigma[3, cells - 1] = 1e-12  # where rounding is all that is left
    noise = rng.standard_normal((5, n_drawn(made)))
    assert is_small(made)
    value, drawn = at_scales(made, sigma, factors, noise)
    expected, there = one_by_one(made, sigma, factors, noise)
    assert np.isneginf(value).tolist() == [False, False, False, True, False]
    np.testing.assert_allclose(value, expected, rtol=1e-11)
    np.testing.assert_allclose(drawn, there, rtol=1e-8, atol=1e-10)
    np.testing.assert_array_equal(at_scales(made, sigma, factors)[0], value)


def test_sd_of_exactly_zero_is_ordinary():
    p = all_parts()
    made = build_blocks(p)
    factors = [np.zeros((t.columns.shape[1],) * 2) for t in p.terms]
    done = eliminate(made, 0.8, factors, np.empty_like(made.total))
    assert done is not None
    assert done.log_marginal == pytest.approx(dense_log_marginal(p, 0.8, factors), abs=1e-8)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 25), st.booleans())
def test_random_structures_equal_dense_normal(seed, k, levels, members):
    rng = np.random.default_rng(seed)
    n = 30
    x = rng.normal(size=(n, 3))
    g = rng.integers(0, levels, n)
    other = rng.integers(0, 4, (n, 2 if members else 1))
    p = problem(
        rng.normal(size=n),
        x,
        [
            term("a", x[:, :k], g, levels),
            term("b", x[:, :1], other, 4),
            term("c", x[:, 1:], g // 3, levels),
        ],
    )
    made = build_blocks(p)
    scales = unpack(rng.normal(size=(1, n_theta(p.terms))), p.terms, half_normal)
    done = eliminate(made, scales.sigma[0], scales.factors(0), np.empty_like(made.total))
    assert done is not None
    expected = dense_log_marginal(p, scales.sigma[0], scales.factors(0))
    # A small sigma makes the density thousands, and SciPy's n x n matrix ill-conditioned: of seed
    # 21331 it errs by 1.3e-8 beside 60 digits, and the engine by 2e-12.
    assert done.log_marginal == pytest.approx(expected, abs=1e-8, rel=1e-10)
    sigma, factors = scales.sigma[:, None], scales.factors(np.arange(1))
    assert at_scales(made, sigma, factors)[0] == pytest.approx(expected, abs=1e-8, rel=1e-10)


@pytest.mark.usefixtures("buckets")
@pytest.mark.parametrize("case", [all_parts, nested], ids=lambda c: c.__name__)
def test_draws_given_scales_have_the_dense_mean_and_covariance(case):
    p, draws = case(), 8000
    made, rng = build_blocks(p), np.random.default_rng(2)
    scales = unpack(0.3 * rng.normal(size=(1, n_theta(p.terms))), p.terms, half_normal)
    sigma, factors = scales.sigma[0], scales.factors(0)
    done = eliminate(made, sigma, factors, np.empty_like(made.total))
    assert done is not None
    rest = [draw_given(done, made, rng.standard_normal) for _ in range(draws)]
    beta, dense, chain = (np.array(part) for part in zip(*rest, strict=True))
    lead = made.leading
    assert lead is not None
    effects, at = {}, 0
    members = [i for i in made.chain.terms if i != lead.term]
    for i in members:
        size = p.terms[i].n_levels * p.terms[i].columns.shape[1]
        effects[i] = chain[:, at : at + size].reshape(draws, p.terms[i].n_levels, -1)
        at += size
    for i, rows in zip(made.dense_terms, made.dense_rows, strict=True):
        effects[i] = dense[:, rows].reshape(draws, p.terms[i].n_levels, -1)
    effects[lead.term] = draw_leading(
        lead,
        np.full((draws, 1), sigma),
        np.tile(factors[lead.term], (draws, 1, 1)),
        beta - made.centre,
        [effects[i] for i in members],
        dense,
        np.arange(draws).astype(np.uint64),
    )
    drawn = np.hstack([beta, *(effects[i].reshape(draws, -1) for i in range(len(p.terms)))])

    p = written_out(p)
    columns, mean, noise = dense_joint(p, sigma, factors)
    precision = np.eye(columns.shape[1]) + columns.T @ (columns / noise[:, None])
    white_mean = np.linalg.solve(precision, columns.T @ ((p.y - mean) / noise))
    colour = [np.diag(p.beta_sd)]
    colour += [np.kron(np.eye(t.n_levels), f) for t, f in zip(p.terms, factors, strict=True)]
    full = np.zeros(precision.shape)
    at = 0
    for block in colour:
        full[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    expected = full @ white_mean
    expected[: len(p.beta_mean)] += p.beta_mean
    cov = full @ np.linalg.solve(precision, full.T)
    sd = np.sqrt(np.diag(cov))
    z = (drawn.mean(axis=0) - expected) / sd * np.sqrt(draws)
    assert np.abs(z).max() < 4.5
    gap = (np.cov(drawn.T) - cov) / np.outer(sd, sd)
    assert np.abs(gap).max() < 6 / np.sqrt(draws)


def test_indicator_reference_adds_repeated_memberships():
    t = term("mm", np.ones((1, 1)), np.array([[2, 2]]), 3)
    np.testing.assert_allclose(indicator(t)[0, :, 0], [0, 0, 1.0])


def test_prior_of_correlations_is_lkj():
    # det(R)^(eta - 1) over correlation matrices; in the unconstrained space its Jacobian is
    # found by finite differences
    rng = np.random.default_rng(3)
    t = term("x|g", np.ones((4, 3)), np.zeros(4), 1, eta=2.5, prior=np.zeros_like)
    below = np.tril_indices(3, -1)

    def corr(x):
        factor = unpack(np.r_[0, 0, 0, 0, x][None], [t], np.zeros_like).corr_factor[0][0]
        return factor @ factor.T

    values = []
    for _ in range(6):
        x = rng.normal(size=3)
        h = 1e-5
        jacobian = [(corr(x + h * e)[below] - corr(x - h * e)[below]) / (2 * h) for e in np.eye(3)]
        log_prior = unpack(np.r_[0, 0, 0, 0, x][None], [t], np.zeros_like).log_prior[0]
        log_jacobian = np.linalg.slogdet(np.array(jacobian))[1]
        values.append(log_prior - log_jacobian - 1.5 * np.linalg.slogdet(corr(x))[1])
    np.testing.assert_allclose(values, values[0], atol=1e-6)
