"""Sigma by a linear predictor over few distinct rows: the exact engine, by cell of these."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import causalbias.inference.gaussian.blocks as blocks_module
from causalbias.inference.gaussian import effects_at, sample_gaussian
from causalbias.inference.gaussian import sparse_part as sparse_module
from causalbias.inference.gaussian.blocks import build_blocks
from causalbias.inference.gaussian.density import draw_given, eliminate
from causalbias.inference.gaussian.effects import draw_leading
from causalbias.inference.gaussian.noise import distinct_in_order, noise_of
from causalbias.inference.gaussian.sparse_part import SparsePart
from causalbias.inference.problem import EngineError, Predictor, Problem
from causalbias.inference.scales import n_theta, unpack
from tests.inference.gaussian.test_gaussian_density import all_parts
from tests.inference.gaussian.test_gaussian_sparse import many_identities
from tests.inference.gaussian_cases import (
    CASES,
    counted,
    dense_log_marginal,
    half_normal,
    indicator,
    nested,
    problem,
    term,
    written_out,
)

SIGMAS = np.array([0.5, 1.3, 0.2, 2.0])


def cells_of(p: Problem) -> np.ndarray:
    """Four cells: within levels of most terms, and across them."""
    return np.random.default_rng(5).integers(0, 4, len(p.y))


def as_precisions(p: Problem, cell: np.ndarray, sigma: np.ndarray) -> Problem:
    """The same model with sigma one: what differs by row are the rows' precisions."""
    own = np.ones(len(p.y)) if p.row_precision is None else p.row_precision
    return replace(p, row_precision=own / sigma[cell] ** 2)


@pytest.fixture(params=["buckets", "no-buckets", "sparse"])
def way(request, monkeypatch):
    """Each way in which group terms are eliminated."""
    if request.param == "no-buckets":
        monkeypatch.setattr(blocks_module, "_bucket_of", lambda *_: None)
    if request.param == "sparse":
        monkeypatch.setattr(sparse_module, "_FEW", 0)
        monkeypatch.setattr(sparse_module, "_PRICE", 1e-9)
        monkeypatch.setattr(sparse_module, "_PRICE_OF_VALUE", 0.0)
    return request.param


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("case", [*CASES, all_parts], ids=lambda c: c.__name__)
def test_the_density_is_that_of_the_joint_normal(case, way):
    p = case()
    cell = cells_of(p)
    made = build_blocks(p, cell)
    scales = unpack(
        np.random.default_rng(1).normal(size=(2, n_theta(p.terms))), p.terms, half_normal
    )
    for i in range(2):
        sigma, factors = (1 + i) * SIGMAS, scales.factors(i)
        done = eliminate(made, sigma, factors, np.empty_like(made.total))
        expected = dense_log_marginal(as_precisions(p, cell, sigma), 1.0, factors)
        assert done.log_marginal == pytest.approx(expected, rel=1e-9, abs=1e-8)


@pytest.mark.parametrize("case", [all_parts, nested], ids=lambda c: c.__name__)
def test_draws_given_scales_are_those_with_the_rows_precisions(case, way):
    """Beside a constant sigma of one, whose draws are compared with a dense normal elsewhere."""
    p = case()
    cell = cells_of(p)
    scales = unpack(
        0.3 * np.random.default_rng(2).normal(size=(1, n_theta(p.terms))), p.terms, half_normal
    )
    draws = [
        everything(one, build_blocks(one, of), sigma, scales.factors(0))
        for one, of, sigma in (
            (p, cell, SIGMAS),
            (as_precisions(p, cell, SIGMAS), None, np.ones(1)),
        )
    ]
    for found, expected in zip(*draws, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def everything(p, made, sigma, factors):
    """Coefficients and effects, drawn with one seed, or their means where a factor has them all."""
    if made.sparse is not None:
        values, solved, _ = made.sparse.eliminate(sigma, factors)
        beta = np.zeros(p.design.shape[1]) - made.centre
        noise = np.random.default_rng(3).standard_normal(len(solved))
        return made.sparse.effects(values, solved, factors, beta, noise)
    done = eliminate(made, sigma, factors, np.empty_like(made.total))
    # the draw is standard normal noise through the factor: means alone do not depend on the order
    beta, dense, chain = draw_given(done, made, np.zeros)
    lead, at, above = made.leading, 0, []
    for i in (i for i in made.chain.terms if i != lead.term):
        above.append(chain[at : at + p.terms[i].n_effects].reshape(1, -1, p.terms[i].k))
        at += p.terms[i].n_effects
    leading = draw_leading(
        lead,
        sigma[None],
        factors[lead.term][None],
        (beta - made.centre)[None],
        above,
        dense[None],
        np.arange(1).astype(np.uint64),
    )
    return [beta, dense, chain, leading]


def two_cells() -> Problem:
    """Eight groups of three rows, of which every third has a larger sigma."""
    rng = np.random.default_rng(11)
    g, loud = np.repeat(np.arange(8), 3), np.tile([0.0, 0.0, 1.0], 8)
    y = 1 + 0.7 * rng.normal(size=8)[g] + np.exp(-0.7 + 1.2 * loud) * rng.normal(size=24)
    ones = np.ones((24, 1))
    p = problem(y, ones, [term("1|g", ones, g, 8)])
    design = np.column_stack([ones, loud])
    return replace(p, further=(Predictor("sigma", design, np.array([-0.5, 0.0]), np.ones(2)),))


def test_the_posterior_is_that_of_numerical_integration():
    p = two_cells()
    predictor = p.further[0]
    axes = np.linspace(-2.2, 0.8, 34), np.linspace(-0.8, 3.0, 34), np.linspace(-4.0, 1.6, 44)
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    sigma = np.exp(grid[:, :2] @ predictor.design.T)
    z, x = indicator(p.terms[0])[:, :, 0], p.design
    cov = 25.0 * x @ x.T + np.exp(2 * grid[:, 2])[:, None, None] * (z @ z.T)
    cov[:, np.arange(24), np.arange(24)] += sigma**2
    solved = np.linalg.solve(cov, np.column_stack([p.y, x])[None])
    log_p = -0.5 * (np.linalg.slogdet(cov)[1] + solved[:, :, 0] @ p.y)
    log_p += half_normal(np.exp(grid[:, 2])) + grid[:, 2]
    log_p += stats.norm.logpdf(grid[:, 0], -0.5) + stats.norm.logpdf(grid[:, 1])
    weight = np.exp(log_p - log_p.max())
    weight /= weight.sum()
    beta = 25.0 * solved[:, :, 0].sum(axis=1)
    found = sample_gaussian(p, None, draws=8000, random_seed=1)
    ours = np.column_stack([found.noise_coefficients, found.sd["1|g"], found.beta])
    theirs = np.column_stack([grid[:, :2], np.exp(grid[:, 2]), beta])
    mean = weight @ theirs
    sd = np.sqrt(weight @ (theirs - mean) ** 2)
    sd[3] = np.sqrt(sd[3] ** 2 + weight @ (25.0 - 625.0 * solved[:, :, 1].sum(axis=1)))
    assert np.abs((ours.mean(axis=0) - mean) / sd).max() < 0.05
    np.testing.assert_allclose(ours.std(axis=0), sd, rtol=0.05)
    np.testing.assert_allclose(
        found.cell_sigma[:, found.noise.cell],
        np.exp(found.noise_coefficients @ predictor.design.T),
        rtol=1e-12,
    )


def test_an_intercept_alone_is_a_constant_sigma():
    p = replace(two_cells(), further=())
    constant = Predictor("sigma", np.ones((len(p.y), 1)), np.array([-0.3]), np.array([0.4]))
    one = sample_gaussian(replace(p, further=(constant,)), None, draws=4000, random_seed=1)

    def log_normal(sigma):
        return stats.norm.logpdf(np.log(sigma), -0.3, 0.4) - np.log(sigma)

    other = sample_gaussian(p, log_normal, draws=4000, random_seed=2)
    for name in ("sigma", "beta"):
        a, b = getattr(one, name), getattr(other, name)
        assert (np.abs(a.mean(axis=0) - b.mean(axis=0)) < 0.1 * a.std(axis=0)).all()
        np.testing.assert_allclose(a.std(axis=0), b.std(axis=0), rtol=0.1)


def test_the_units_of_a_column_of_sigma_do_not_matter():
    p = two_cells()
    predictor = p.further[0]
    degrees = replace(
        predictor,
        design=predictor.design * [1.0, 900.0],
        beta_sd=predictor.beta_sd / [1.0, 900.0],
    )
    one, other = (
        sample_gaussian(replace(p, further=(each,)), None, draws=500, random_seed=3)
        for each in (predictor, degrees)
    )
    np.testing.assert_allclose(
        one.noise_coefficients, other.noise_coefficients * [1.0, 900.0], rtol=1e-6
    )


def test_counts_are_rows_written_out_and_effects_come_back():
    p = counted()
    out, count = written_out(p), p.row_weight.astype(int)
    predictor = Predictor("sigma", p.design, np.zeros(2), np.ones(2))
    one = sample_gaussian(replace(p, further=(predictor,)), None, draws=400, random_seed=4, keep=[])
    predictor = replace(predictor, design=np.repeat(p.design, count, axis=0))
    other = sample_gaussian(replace(out, further=(predictor,)), None, draws=400, random_seed=4)
    np.testing.assert_allclose(one.noise_coefficients, other.noise_coefficients, atol=1e-5)
    np.testing.assert_allclose(
        effects_at(p, one, slice(20, 30))["1|g"], other.effects["1|g"][20:30], atol=1e-4
    )


def test_eigenvalues_serve_a_constant_sigma_only():
    p, _ = many_identities(n=400, pairs=560)
    cell = np.arange(len(p.y)) % 2
    assert build_blocks(p).sparse.largest is not None
    made = build_blocks(p, cell).sparse
    assert isinstance(made, SparsePart)
    assert made.largest is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"design": np.column_stack([np.ones(24), np.arange(24.0)])}, None),
        ({"name": "nu"}, "sigma alone"),
        ({"terms": 2 * two_cells().terms[:1]}, "several group terms"),
        ({"beta_sd": np.array([1.0, np.inf])}, "flat"),
        ({"design": np.full((24, 2), np.nan)}, "finite"),
        ({"design": np.ones((3, 2))}, "24 rows"),
    ],
)
def test_what_cannot_be_sampled_is_refused(change, reason, monkeypatch):
    p = two_cells()
    p = replace(p, further=(replace(p.further[0], **change),))
    if reason is None:
        monkeypatch.setattr("causalbias.inference.gaussian.noise.MAX_CELLS", 20)
        reason = "24 distinct rows, more than 20"
    with pytest.raises(EngineError, match=reason):
        sample_gaussian(p, None, draws=10)


def test_sigma_has_one_prior():
    with pytest.raises(EngineError, match="no prior"):
        sample_gaussian(nested(), None, draws=10)
    with pytest.raises(EngineError, match="of its own"):
        sample_gaussian(two_cells(), half_normal, draws=10)


def test_a_sigma_that_differs_has_no_single_number():
    found = sample_gaussian(two_cells(), None, draws=10)
    with pytest.raises(EngineError, match="differs by row"):
        _ = found.sigma


def test_distinct_rows_are_those_of_the_matrix():
    rng = np.random.default_rng(0)
    matrix = rng.integers(0, 3, (200, 4)).astype(float)
    rows, which = distinct_in_order(matrix)
    np.testing.assert_array_equal(rows[which], matrix)
    assert len(rows) == len(np.unique(matrix, axis=0))


def test_a_step_beyond_all_numbers_has_no_density_and_is_no_error():
    noise = noise_of(two_cells(), None)
    theta = np.array([[np.inf, 0.0, 0.0], [0.0, 0.0, 0.0]])
    with np.errstate(all="ignore"):
        scales = noise.scales(theta, two_cells())
    assert not np.isfinite(scales.log_prior[0])
    assert np.isfinite(scales.log_prior[1])
