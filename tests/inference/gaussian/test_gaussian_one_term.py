"""One plain term by its eigenvalues, exact and by Lanczos' recurrence."""

from dataclasses import replace

import numpy as np
import pytest

from causalbias.inference.gaussian import (
    effects_at,
    lanczos,
    one_term,
    sample_gaussian,
    sparse_part,
)
from causalbias.inference.gaussian.blocks import build_blocks
from causalbias.inference.gaussian.density import eliminate
from causalbias.inference.gaussian.lanczos import LanczosTerm
from causalbias.inference.gaussian.one_term import EigenTerm
from causalbias.inference.problem import EngineError
from tests.inference.gaussian.test_gaussian_sparse import many_identities
from tests.inference.gaussian_cases import dense_log_marginal, half_normal, problem, term

KINDS = [EigenTerm, LanczosTerm]
NAME = "1|mm(a, b)"


def pairs_of_few(levels=40, pairs=90, seed=3):
    """Counted and precise pairs, with a covariate; three identities have no rows."""
    rng = np.random.default_rng(seed)
    codes = np.array([rng.choice(levels - 3, 2, replace=False) for _ in range(pairs)])
    x = np.column_stack([np.ones(pairs), rng.normal(size=pairs)])
    u = 0.8 * rng.normal(size=levels)
    y = x @ [1.0, 0.4] + u[codes].mean(axis=1) + 0.5 * rng.normal(size=pairs)
    p = problem(y, x, [term(NAME, np.ones((pairs, 1)), codes, levels)])
    return replace(
        p,
        row_weight=rng.integers(1, 4, pairs) + 0.0,
        row_precision=rng.choice([0.5, 1.0, 2.0], pairs),
    )


def random_pairs():
    return many_identities(n=800, pairs=2400)[0]


def ring(levels=60):
    """Each identity is in two pairs: the design is an eigenvector, and the recurrence ends."""
    codes = np.column_stack([np.arange(levels), (np.arange(levels) + 1) % levels])
    rng = np.random.default_rng(4)
    y = 2 + rng.normal(size=levels)[codes].mean(axis=1) + 0.5 * rng.normal(size=levels)
    ones = np.ones((levels, 1))
    return problem(y, ones, [term(NAME, ones, codes, levels)])


@pytest.fixture
def built(monkeypatch):
    """Blocks of a problem whose term is of the kind wanted, however few its levels are."""

    def build(p, kind):
        monkeypatch.setattr(sparse_part, "_MOST_OF_ONE", 0)
        monkeypatch.setattr(one_term, "_FEW", 0)
        monkeypatch.setattr(one_term, "_MAX_DENSE", 10**9 if kind is EigenTerm else 0)
        blocks = build_blocks(p)
        assert isinstance(blocks.sparse, kind)
        return blocks

    return build


@pytest.mark.parametrize("make", [pairs_of_few, ring])
@pytest.mark.parametrize("ratio", [0.0, 0.1, 1.0, 3.0])
def test_eigenvalues_give_the_density_of_the_joint_normal(make, ratio, built):
    p = make()
    blocks, factors = built(p, EigenTerm), [np.array([[0.6 * ratio]])]
    found = eliminate(blocks, 0.6, factors, np.empty_like(blocks.total))
    assert found.log_marginal == pytest.approx(dense_log_marginal(p, 0.6, factors), rel=1e-10)


@pytest.mark.parametrize("make", [pairs_of_few, ring, random_pairs])
def test_quadratures_are_exact_and_log_determinants_within_their_error(make, built):
    p = make()
    exact, estimated = built(p, EigenTerm).sparse, built(p, LanczosTerm).sparse
    for ratio in (0.0, 0.05, 0.3, 1.0):
        factors = [np.array([[0.4 * ratio]])]
        taken, log_det = exact.taken(np.array([0.4]), factors)
        found, about = estimated.taken(np.array([0.4]), factors)
        np.testing.assert_allclose(found, taken, atol=1e-11 * max(np.abs(taken).max(), 1e-300))
        assert about == pytest.approx(log_det, rel=2e-3, abs=1e-12)


def test_the_error_is_that_of_estimates_from_other_probes(built, monkeypatch):
    p, _ = many_identities(n=600, pairs=2400)
    exact, first = built(p, EigenTerm).sparse, built(p, LanczosTerm).sparse
    ratios = np.exp(np.random.default_rng(0).normal(0.0, 0.2, 150))
    whole = replace(first, traces=first.traces[:2])._advanced(40)  # an error that is not small

    def off(estimated):
        gaps = [
            estimated.taken(np.ones(1), [one])[1] - exact.taken(np.ones(1), [one])[1]
            for one in ratios[:, None, None]
        ]
        return 0.5 * np.std(gaps)

    squares, errors = [], []
    true_generator = np.random.default_rng
    for seed in range(30):
        monkeypatch.setattr(
            lanczos.np.random, "default_rng", lambda block, s=seed: true_generator([s, block])
        )
        probes = lanczos._probes(p.terms[0].n_levels, 32, ())
        estimated = replace(whole, probes=probes, steps=0)._advanced(40)
        squares.append(off(estimated) ** 2)
        errors.append(estimated.error(ratios, np.ones(len(ratios))) ** 2)
    ratio = np.mean(squares) / np.mean(errors)
    # a mean of 30 squares, each of one degree of freedom: within a factor of exp(3 * 0.26)
    assert 0.45 < ratio < 2.2


def test_steps_and_probes_are_added_until_the_error_is_small(built):
    p, _ = many_identities(n=600, pairs=2400)
    term_ = built(p, LanczosTerm).sparse
    ratio, even = np.exp(np.random.default_rng(1).normal(0.7, 0.5, 400)), np.ones(400)
    found, rounds = term_, 0
    while (better := found.refined(ratio, even)) is not None:
        found, rounds = better, rounds + 1
    assert 0 < rounds < 6
    assert found.steps > term_.steps
    assert found.error(ratio, even) <= lanczos.MAX_ERROR
    with pytest.raises(EngineError, match="iterations"):
        term_.refined(1e4 * ratio, even)


def test_more_steps_are_those_taken_at_once(built):
    term_ = built(many_identities(n=300, pairs=900)[0], LanczosTerm).sparse
    slow, fast = term_._advanced(30)._advanced(37), term_._advanced(37)
    for one, other in zip(slow.probes, fast.probes, strict=True):
        np.testing.assert_array_equal(one.alpha, other.alpha)
        np.testing.assert_array_equal(one.last, other.last)


@pytest.mark.parametrize("kind", KINDS)
def test_effects_have_their_conditional_mean_and_covariance(kind, built):
    p = pairs_of_few(levels=12, pairs=30)
    blocks = built(p, kind)
    sigma, sd, beta, many = 0.5, 0.9, np.array([0.8, 0.2]), 20_000
    found = blocks.sparse.draw(
        np.full((many, 1), sigma),
        [np.full((many, 1, 1), sd)],
        np.tile(beta - blocks.centre, (many, 1)),
        np.arange(many, dtype=np.uint64),
    )[0][:, :, 0]
    z = np.zeros((len(p.y), 12))
    for m in range(2):
        np.add.at(z, (np.arange(len(p.y)), p.terms[0].codes[:, m]), 0.5)
    precision = (z.T * p.total_weight) @ z / sigma**2 + np.eye(12) / sd**2
    cov = np.linalg.inv(precision)
    mean = cov @ (z.T @ (p.total_weight * (p.y - p.design @ beta))) / sigma**2
    spread = np.sqrt(np.diag(cov))
    assert np.abs((found.mean(axis=0) - mean) / spread).max() < 4.5 / np.sqrt(many)
    gap = (np.cov(found.T) - cov) / np.outer(spread, spread)
    assert np.abs(gap).max() < 4.5 * np.sqrt(2 / many)


@pytest.mark.parametrize("kind", KINDS)
def test_the_posterior_is_that_of_a_sparse_factor(kind, built):
    p, _ = many_identities(n=500, pairs=900)
    expected = sample_gaussian(p, half_normal, draws=4000, random_seed=1, keep=[])
    built(p, kind)
    found = sample_gaussian(p, half_normal, draws=4000, random_seed=1, keep=[])
    assert isinstance(found.blocks.sparse, kind)
    assert found.diagnostics.density_error <= lanczos.MAX_ERROR
    assert (found.diagnostics.density_error > 0) == (kind is LanczosTerm)
    for one, other in (
        (expected.sigma, found.sigma),
        (expected.sd[NAME][:, 0], found.sd[NAME][:, 0]),
        (expected.beta[:, 0], found.beta[:, 0]),
    ):
        assert abs(one.mean() - other.mean()) < 0.1 * one.std()
        assert other.std() == pytest.approx(one.std(), rel=0.08)


@pytest.mark.parametrize("kind", KINDS)
def test_effects_do_not_depend_on_how_draws_are_cut(kind, built):
    p = pairs_of_few()
    built(p, kind)
    found = sample_gaussian(p, half_normal, draws=60, random_seed=3, keep=[])
    whole = effects_at(p, found, slice(None))[NAME]
    np.testing.assert_array_equal(effects_at(p, found, np.arange(17, 40))[NAME], whole[17:40])
