"""Proposals from an expansion of the likelihood: the posterior is that by anchors, at any size."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp

from causalbias.inference.gaussian.blocks import build_blocks
from causalbias.inference.gaussian.conditional import draw_all, n_noise
from causalbias.inference.laplace import sample as engine
from causalbias.inference.laplace.conditional import coloured
from causalbias.inference.laplace.disc_warp import Warps
from causalbias.inference.laplace.expansion import (
    ExpandedProposal,
    averaged,
    expand,
    find_mode_of_x,
)
from causalbias.inference.laplace.nested import find_scales, start_scales
from causalbias.inference.laplace.proposal import Proposal, anchor_at
from causalbias.inference.laplace.sample import sample_laplace
from causalbias.inference.membership import effects_design
from causalbias.inference.problem import EngineError
from tests.inference.gaussian_cases import problem, term
from tests.inference.laplace_cases import FAMILIES, LAYOUTS, made, multi_member, slopes, target_of


@pytest.fixture(scope="module")
def pool():
    with ThreadPoolExecutor(2) as one:
        yield one


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_mode_of_x_is_that_of_the_dense_climb(family, layout, pool):
    p, options = made(family, layout)
    target = target_of(p, options)
    point, _ = find_scales(target, p.terms, start_scales(p.terms), pool)
    raw = coloured(target.rows, point.found.factors, point.found.x)
    start = np.zeros_like(raw)
    start[target.rows.n_effects :] = raw[target.rows.n_effects :]
    found = find_mode_of_x(target, p, point.theta, start, np.zeros(len(target.rows.level)))
    width = np.sqrt(np.diag(point.cov)).max()
    assert np.abs(found.raw - raw).max() < 0.15 * width


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("family", FAMILIES)
def test_both_kinds_of_proposals_estimate_one_density(family, layout, pool):
    p, options = made(family, layout)
    target = target_of(p, options)
    point, cov = find_scales(target, p.terms, start_scales(p.terms), pool)
    rng, metric = np.random.default_rng(0), np.linalg.inv(cov)
    anchor = anchor_at(target, p.terms, point, np.zeros(len(point.found.x)), None, Warps())
    raw = coloured(target.rows, point.found.factors, point.found.x)
    first = expand(target, p, point.theta, raw, point.found.lead_mode)
    proposals = (
        Proposal(target, p.terms, [anchor], metric, pool),
        ExpandedProposal(target, p.terms, [averaged(target, p, first)], metric, pool),
    )
    steps = np.vstack([np.zeros(len(cov)), 0.4 * np.linalg.cholesky(cov).T])
    draws, found = 2000, []
    for proposal in proposals:
        values = np.array(
            [proposal.weigh(np.tile(point.theta + s, (draws, 1)), rng) for s in steps]
        )
        estimate = logsumexp(values, axis=1) - np.log(draws)
        share = np.exp(values - estimate[:, None])
        found.append((estimate, share.std(axis=1) / np.sqrt(draws)))
    (one, error), (two, other) = found
    # the constants differ, and cancel
    gap = (one - one[0]) - (two - two[0])
    assert (np.abs(gap) < 5 * (error + other + error[0] + other[0]) + 1e-3).all()


@pytest.mark.parametrize("layout", [multi_member, slopes], ids=lambda f: f.__name__)
@pytest.mark.parametrize("family", ["sets", "bernoulli"])
def test_the_engine_gives_one_posterior_by_either(family, layout, monkeypatch):
    p, options = made(family, layout, n=200)
    one = sample_laplace(p, random_seed=1, **options)
    monkeypatch.setattr(engine, "_MAX_DENSE", 0)
    two = sample_laplace(p, random_seed=2, **options)
    assert two.diagnostics.pareto_k < 0.7
    pairs = [(one.beta, two.beta), (one.threshold, two.threshold)]
    for name in one.sd:
        pairs += [(np.log(one.sd[name]), np.log(two.sd[name]))]
        pairs += [(one.effects[name], two.effects[name])]
    for a, b in pairs:
        sd = a.std(axis=0)
        assert (np.abs(a.mean(axis=0) - b.mean(axis=0)) < 0.15 * sd).all()
        assert (np.abs(b.std(axis=0) / sd - 1) < 0.15).all()


def test_separation_with_a_flat_prior_is_refused(monkeypatch):
    monkeypatch.setattr(engine, "_MAX_DENSE", 0)
    p, options = made("bernoulli", multi_member)
    apart = np.column_stack([np.ones(90), np.where(p.y > 0, 1.0, -1.0)])
    p = replace(p, design=apart, beta_sd=np.full(2, np.inf))
    with pytest.raises(EngineError, match="separation"):
        sample_laplace(p, **options)


def test_the_same_seed_the_same_draws_and_terms_left_out(monkeypatch):
    monkeypatch.setattr(engine, "_MAX_DENSE", 0)
    p, options = made("cumulative", multi_member)
    one = sample_laplace(p, draws=200, random_seed=3, **options)
    two = sample_laplace(p, draws=200, random_seed=3, keep=["1|mm"], some=[0, 7], **options)
    np.testing.assert_array_equal(one.beta, two.beta)
    np.testing.assert_array_equal(one.effects["1|mm"], two.effects["1|mm"])
    assert set(two.effects) == {"1|mm"}
    assert two.thinned["1|pair"].shape == (2, 15, 1)


@pytest.mark.slow
def test_thousands_of_identities_in_pairs(monkeypatch):
    """Binary answers to pairs of 3,000 identities, by a sparse factor."""
    monkeypatch.setattr(engine, "_MAX_DENSE", 2000)
    rng = np.random.default_rng(5)
    n, identities = 3500, 3000
    pairs = np.array([rng.choice(identities, 2, replace=False) for _ in range(n)])
    x = np.column_stack([np.ones(n), rng.integers(0, 2, n)])
    effects = 1.2 * rng.normal(size=identities)
    eta = x @ [-0.5, 0.8] + effects[pairs].mean(axis=1)
    y = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(float)
    members = term("1|mm", np.ones((n, 1)), pairs, identities)
    p = problem(y, x, [members], beta_sd=2.5)
    # k differs between seeds here (0.74, 0.30, 0.42 with 1, 2, 3): of a poor one, `fit` goes on
    found = sample_laplace(p, draws=1000, random_seed=3, keep=[])
    assert found.diagnostics.pareto_k < 0.7
    for draws, truth in ((found.beta[:, 1], 0.8), (found.sd["1|mm"][:, 0], 1.2)):
        assert abs(draws.mean() - truth) < 3 * draws.std()
        assert draws.std() < 0.4


def test_draws_of_all_effects_of_a_gaussian_problem_have_the_dense_mean():
    rng, n = np.random.default_rng(0), 60
    x = rng.normal(size=(n, 2))
    terms = [
        term("a", x, rng.integers(0, 7, n), 7),
        term("b", np.ones((n, 1)), rng.integers(0, 5, (n, 2)), 5),
    ]
    p = problem(rng.normal(size=n), x, terms)
    factors = [np.array([[0.8, 0.0], [0.3, 0.6]]), np.array([[0.5]])]
    made = build_blocks(p, factored=True)
    still = np.zeros((1, n_noise(p.terms, made)))
    given = draw_all(p.terms, made, [one[None] for one in factors], still)
    assert np.isfinite(given.log_marginal).all()
    z = np.hstack([effects_design(t).toarray() for t in p.terms] + [p.design])
    prior = np.zeros((z.shape[1],) * 2)
    for j in range(7):
        prior[2 * j : 2 * j + 2, 2 * j : 2 * j + 2] = np.linalg.inv(factors[0] @ factors[0].T)
    prior[14:19, 14:19] = np.eye(5) / 0.25
    prior[19:, 19:] = np.diag(1 / p.beta_sd**2)
    right = z.T @ p.y
    right[19:] += p.beta_mean / p.beta_sd**2
    expected = np.linalg.solve(z.T @ z + prior, right)
    drawn = np.concatenate([*(one.ravel() for one in given.effects), given.beta[0]])
    # effects of the leading term are kept in single precision
    np.testing.assert_allclose(drawn, expected, atol=2e-6)
