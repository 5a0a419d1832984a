"""Density, derivatives and curvature of the Laplace engine against brute force."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import linalg, special

from causalbias.inference.equal_rows import share_design
from causalbias.inference.laplace import drawn
from causalbias.inference.laplace.conditional import (
    all_cuts,
    coloured,
    curvature_at,
    evaluate,
    gradient_at,
    likelihood_at,
    linear_predictor,
    log_prior,
    node_places,
)
from causalbias.inference.laplace.curvature import curvature_of
from causalbias.inference.laplace.drawn import (
    DrawnRows,
    add_log_likelihoods,
    drawn_rows,
    log_likelihoods,
)
from causalbias.inference.laplace.likelihood import NodePlaces, draw_leading
from causalbias.inference.laplace.quadrature import (
    cell,
    cut_gaps,
    gauss_hermite,
    level_moments,
)
from causalbias.inference.laplace.rows import Answers
from causalbias.inference.laplace.target import LINKS
from causalbias.inference.problem import Predictor
from tests.inference.laplace_cases import (
    FAMILIES,
    LAYOUTS,
    V,
    leading,
    level_log_likelihood,
    log_cell,
    made,
    multi_member,
    none_leads,
    slopes,
    some_scales,
    some_x,
    target_of,
    without_effects,
)

MODELS = [
    pytest.param(family, link, layout, id=f"{family}-{link}-{layout.__name__}")
    for family in FAMILIES
    for link in LINKS
    for layout in LAYOUTS
]


@pytest.mark.parametrize(("family", "link", "layout"), MODELS)
def test_density_and_its_derivatives(family, link, layout):
    p, options = made(family, layout)
    target, rng = target_of(p, options, link), np.random.default_rng(1)
    sd, factors = some_scales(target, rng)
    x = some_x(target, rng)
    start = np.zeros(len(target.rows.level))

    def at(z):
        value, moments, _, _ = evaluate(target, sd, factors, z, start)
        return value, gradient_at(target, factors, z, moments), moments

    value, gradient, moments = at(x)
    assert value - log_prior(target, x) == pytest.approx(dense(target, link, sd, factors, x))
    h = 1e-5
    steps = h * np.eye(len(x))
    around = [(at(x + s), at(x - s)) for s in steps]
    slope = [(up[0] - down[0]) / (2 * h) for up, down in around]
    np.testing.assert_allclose(gradient, slope, rtol=1e-5, atol=1e-5)
    hessian = np.array([(up[1] - down[1]) / (2 * h) for up, down in around])
    lower = curvature_at(target, factors, moments)
    ours = np.tril(lower) + np.tril(lower, -1).T
    if target.rows.leading is None:
        np.testing.assert_allclose(ours, -hessian, rtol=1e-5, atol=1e-5)
        return
    # what is left out can only overstate it, and not by much
    ratio = linalg.eigvalsh(ours, -0.5 * (hessian + hessian.T))
    assert ratio.min() > 1 - 1e-5
    assert ratio.max() < 1.1


def dense(target, link, sd, factors, x):
    """Log likelihood by scipy's functions, one level after another."""
    rows = target.rows
    ends = all_cuts(target, x[rows.n_effects : rows.n_effects + target.n_free])
    eta = linear_predictor(target, coloured(rows, factors, x))
    if sd < 0:
        return rows.count @ log_cell(link, ends[rows.category + 1] - eta, ends[rows.category] - eta)
    total = 0.0
    for i, j in zip(rows.start[:-1], rows.start[1:], strict=True):
        own = eta[i:j], rows.category[i:j], rows.count[i:j]
        height = level_log_likelihood(link, ends[1:-1], sd, *own)
        total += np.logaddexp.reduce(height)
    return total


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
def test_linear_predictor_is_the_sum_of_its_terms(layout):
    p, options = made("cumulative", layout)
    target, rng = target_of(p, options), np.random.default_rng(1)
    x, rows = some_x(target, rng), target.rows
    expected = p.design @ x[rows.n_effects + target.n_free :]
    for t, slab in zip(rows.dense, rows.slabs, strict=True):
        u = x[slab].reshape(t.n_levels, -1)
        expected += np.einsum("nm,nk,nmk->n", t.weights, t.columns, u[t.codes])
    np.testing.assert_allclose(linear_predictor(target, x), expected[rows.source])


@pytest.mark.parametrize("layout", [leading, multi_member, slopes], ids=lambda f: f.__name__)
@pytest.mark.parametrize("family", FAMILIES)
def test_both_ways_of_assembling_agree(family, layout):
    p, options = made(family, layout)
    lead = max((t for t in p.terms if t.columns.shape[1] == 1), key=lambda t: t.n_levels)
    design = np.random.default_rng(2).standard_normal((lead.n_levels, p.design.shape[1]))
    target = target_of(replace(p, design=design[lead.codes[:, 0]]), options)
    assert target.rows.shared_code
    rng = np.random.default_rng(1)
    sd, factors = some_scales(target, rng)
    x, start = some_x(target, rng), np.zeros(len(target.rows.level))
    moments = evaluate(target, sd, factors, x, start)[1]
    one = curvature_of(target.rows, moments)
    other = curvature_of(replace(target.rows, shared_code=False), moments)
    np.testing.assert_allclose(np.tril(one), np.tril(other), atol=1e-10)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("eta", [-40.0, -9.0, -6.0, 0.0, 3.0, 9.0, 40.0])
def test_a_cell_far_out(link, eta):
    cuts = np.array([-np.inf, -1.0, 0.2, 0.21, np.inf])
    gaps = cut_gaps(cuts)
    for c in range(4):
        a, b = cuts[c + 1] - eta, cuts[c] - eta
        found = cell(LINKS[link], a, b, *gaps[c])
        h = 1e-4
        exact = log_cell(link, a, b)
        assert found[0] == pytest.approx(float(exact), rel=1e-9, abs=1e-12)
        up, down = log_cell(link, a + h, b + h), log_cell(link, a - h, b - h)
        slope, bend = (up - down) / (2 * h), (2 * exact - up - down) / h**2
        assert found[1] + found[2] == pytest.approx(float(slope), rel=1e-5, abs=1e-6)
        assert found[3] + 2 * found[4] + found[5] == pytest.approx(float(bend), rel=1e-2, abs=1e-3)


def levels_of(name):
    """Return eta, category, count, first row of each of a few levels."""
    rng = np.random.default_rng(3)
    if name == "one row":
        eta, sizes = np.array([-40.0, -3.0, 0.0, 3.0, 40.0, -40.0, 40.0]), [1] * 7
        category = np.array([0, 0, 1, 2, 2, 2, 0])
    elif name == "500 rows":
        sizes = [500, 500]
        eta = rng.choice([-1.0, 0.0, 2.0], 1000)
        category = np.digitize(eta + rng.logistic(size=1000), [-0.5, 1.0])
        category[500:] = 2  # all in the highest
    else:
        sizes = [2, 3, 1]
        eta, category = rng.normal(0, 2, 6), np.array([0, 2, 1, 1, 1, 2])
    count = np.full(len(eta), 1.0)
    if name == "counts":
        count = np.array([2.0, 30.0, 1.0, 7.0, 200.0, 3.0])
    return eta, category, count, np.concatenate([[0], np.cumsum(sizes)])


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("sd", [0.0, 1e-6, 0.7, 5.0])
@pytest.mark.parametrize("name", ["one row", "500 rows", "few rows", "counts"])
def test_levels_against_brute_force(name, sd, link):
    cuts = np.array([-0.5, 1.0])
    eta, category, count, start = levels_of(name)
    ends, (node, log_weight) = np.array([-np.inf, *cuts, np.inf]), gauss_hermite(61)
    expected = [
        np.logaddexp.reduce(
            level_log_likelihood(link, cuts, sd, eta[i:j], category[i:j], count[i:j])
        )
        for i, j in itertools.pairwise(start)
    ]
    levels, moments = np.zeros((len(start) - 1, 3)), np.zeros((len(eta), 7))
    mode = np.zeros(len(start) - 1)
    value = level_moments(
        LINKS[link],
        start,
        category,
        count,
        eta,
        ends,
        cut_gaps(ends),
        sd,
        node,
        log_weight,
        mode,
        levels,
        moments,
    )
    # the nodes of 61 that matter: what is left is least where a level is nearly normal
    assert value == pytest.approx(sum(expected), rel=1e-6, abs=1e-5)
    weight = moments[:, 2] + 2 * moments[:, 3] + moments[:, 4]
    curvature = np.add.reduceat(weight, start[:-1])
    pull = curvature * sd * mode + levels[:, 1] + np.add.reduceat(weight * eta, start[:-1])
    again = np.zeros(1)
    places = NodePlaces(curvature, pull, weight)
    log_likelihoods(
        LINKS[link],
        Answers(start, category, count),
        DrawnRows(without_effects(eta[None]), ends[None], None, np.arange(len(eta))),
        np.array([sd]),
        (node, log_weight),
        places,
        again,
    )
    assert again[0] == pytest.approx(sum(expected), rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("sd", [1e-6, 0.7, 5.0])
@pytest.mark.parametrize("name", ["one row", "500 rows", "few rows", "counts"])
def test_leading_effects_are_drawn_right(name, sd, link):
    """Mean, sd and skewness of many copies of each level, all as in one draw of the rest."""
    eta, category, count, start = levels_of(name)
    ends, rng, size = np.array([-np.inf, -0.5, 1.0, np.inf]), np.random.default_rng(4), 16
    for i, j in itertools.pairwise(start):
        if abs(eta[i]) > 30:
            continue
        times = 2000 if j - i == 500 else 20_000
        normal = special.ndtri((np.arange(size) + rng.random((times, 1))) / size)
        found = np.empty(times)
        draw_leading(
            LINKS[link],
            Answers(
                np.arange(times + 1) * (j - i),
                np.tile(category[i:j], times),
                np.tile(count[i:j], times),
            ),
            np.tile(eta[i:j], times),
            ends,
            cut_gaps(ends),
            sd,
            rng.standard_normal(times),
            normal,
            rng.random(times),
            found,
        )
        height = level_log_likelihood(link, ends[1:-1], sd, eta[i:j], category[i:j], count[i:j])
        mass = np.exp(height - np.logaddexp.reduce(height))
        mean = mass @ V
        spread = np.sqrt(mass @ (V - mean) ** 2)
        z, skew = (found / sd - mean) / spread, mass @ ((V - mean) / spread) ** 3
        error = 4 / np.sqrt(times)
        # resampling from 16 is close, not exact: least so where a level is all of one category
        # and the sd 5, whose density breaks off on one side
        assert abs(z.mean()) < error + 0.03
        assert abs(z.std() - 1) < error + 0.05
        assert abs((z**3).mean() - skew) < 6 * error + 0.25


@pytest.mark.parametrize("beside", ["nothing", "offset", "discriminations"])
def test_equal_rows_of_the_design_may_be_stored_once(beside):
    p, options = made("cumulative", leading)
    rng, x = np.random.default_rng(3), np.array([[0.5], [-1.0], [2.0]])
    p = replace(p, design=x[rng.integers(0, 3, len(p.y))])
    if beside == "offset":
        p = replace(p, offset=rng.integers(0, 2, len(p.y)) / 2.0)
    if beside == "discriminations":
        own = rng.integers(0, 2, (len(p.y), 1)) / 2.0
        p = replace(p, further=(Predictor("disc", own, np.zeros(1), np.ones(1)),))
    shared = share_design(p)
    assert shared.design.shape == (3, 1)
    targets = target_of(p, options), target_of(shared, options)
    sd, factors = some_scales(targets[0], np.random.default_rng(1))
    at = some_x(targets[0], np.random.default_rng(1))
    values = []
    for target in targets:
        value, moments, *_ = evaluate(target, sd, factors, at, np.zeros(len(target.rows.level)))
        values.append((value, gradient_at(target, factors, at, moments)))
    assert values[1][0] == pytest.approx(values[0][0], rel=1e-12)
    np.testing.assert_allclose(values[1][1], values[0][1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("layout", [leading, none_leads])
def test_how_many_draws_stand_side_by_side_changes_nothing(layout, monkeypatch):
    target = target_of(*made("cumulative", layout))
    sd, factors = some_scales(target, np.random.default_rng(1))
    x, rng = some_x(target, np.random.default_rng(1)), np.random.default_rng(2)
    raw, s = np.repeat(coloured(target.rows, factors, x)[:, None], 70, axis=1), len(x) - 4
    raw[:s] += 0.2 * rng.standard_normal((s, 70))
    start = np.zeros(len(target.rows.level))
    _, eta, moments, levels, modes = likelihood_at(target, sd, raw[:, 0].copy(), start)
    places = node_places(target.rows, sd, modes, eta, moments, levels)
    found = []
    for size in (64, 16):
        monkeypatch.setattr(drawn, "CHUNK_BYTES", 8 * size * len(target.rows.design))
        rows, values = drawn_rows(target, raw), np.zeros(70)
        assert rows.lanes == size
        add_log_likelihoods(target, rows, np.full(70, sd), places, values)
        found.append(values)
    assert np.ptp(found[0]) > 0.1
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12)
