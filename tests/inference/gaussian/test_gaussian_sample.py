"""The sampler as a whole: invariances, refusals, what is kept, helpers."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from causalbias.inference.gaussian.sample import leading_effects, sample_gaussian
from causalbias.inference.importance.adaptive import pareto_k, resample
from causalbias.inference.problem import EngineError, FloatArray, Problem
from tests.inference.gaussian_cases import (
    correlated_slopes,
    counted,
    crossed_unbalanced,
    dense_log_marginal,
    half_normal,
    multi_member,
    nested,
    one_member,
    problem,
    saturated,
    taken,
    term,
    written_out,
)


@pytest.mark.parametrize("case", [nested, multi_member, correlated_slopes])
def test_row_order_is_immaterial(case):
    p = case()
    order = np.random.default_rng(0).permutation(len(p.y))
    a = sample_gaussian(p, half_normal, draws=500, random_seed=1)
    b = sample_gaussian(taken(p, order), half_normal, draws=500, random_seed=1)
    # the search for the mode stops within rounding of the same point
    np.testing.assert_allclose(a.sigma.mean(), b.sigma.mean(), rtol=0.05)
    for t in p.terms:
        error = a.effects[t.name].std(axis=0) * np.sqrt(2 / 250)
        gap = np.abs(a.effects[t.name].mean(axis=0) - b.effects[t.name].mean(axis=0))
        assert (gap < 4.5 * error).all()


def test_relabelled_levels_move_with_their_labels():
    p = crossed_unbalanced()
    label = np.random.default_rng(0).permutation(12)
    first = replace(p.terms[0], codes=label[p.terms[0].codes])
    a = sample_gaussian(p, half_normal, draws=4000, random_seed=1)
    b = sample_gaussian(
        replace(p, terms=(first, p.terms[1])), half_normal, draws=4000, random_seed=1
    )
    np.testing.assert_allclose(a.sd["1|a"].mean(), b.sd["1|a"].mean(), rtol=0.03)
    np.testing.assert_allclose(
        a.effects["1|a"].mean(axis=0), b.effects["1|a"].mean(axis=0)[label], atol=0.05
    )


def test_scaling_the_response_and_its_priors_scales_everything():
    p, times = nested(), 1e6

    def scaled_prior(sd: FloatArray) -> FloatArray:
        return half_normal(sd / times)

    scaled = replace(
        p,
        y=p.y * times,
        beta_sd=p.beta_sd * times,
        terms=tuple(
            replace(t, sd_log_prior=(scaled_prior,) * len(t.sd_log_prior)) for t in p.terms
        ),
    )
    a = sample_gaussian(p, half_normal, draws=1000, random_seed=1)
    b = sample_gaussian(scaled, scaled_prior, draws=1000, random_seed=1)
    np.testing.assert_allclose(b.sigma.mean() / times, a.sigma.mean(), rtol=0.02)
    np.testing.assert_allclose(b.beta.mean(axis=0) / times, a.beta.mean(axis=0), atol=0.1)
    assert b.diagnostics.pareto_k < 0.7


def test_columns_of_very_different_scale():
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(200), 1e6 * rng.normal(size=200), 1e-6 * rng.normal(size=200)])
    beta = np.array([2.0, 3e-6, -1e6])
    y = x @ beta + 0.1 * rng.normal(size=200)
    p = replace(problem(y, x, []), beta_sd=np.full(3, np.inf))
    found = sample_gaussian(p, half_normal, draws=2000, random_seed=0)
    fit, *_ = np.linalg.lstsq(x / [1, 1e6, 1e-6], y, rcond=None)
    error = found.beta.std(axis=0) / np.sqrt(1000)
    assert (np.abs(found.beta.mean(axis=0) - fit / [1, 1e6, 1e-6]) < 4 * error).all()


def few_of_one_member() -> Problem:
    return taken(one_member(), np.r_[np.arange(9), np.arange(30, 36)])


@pytest.mark.parametrize("case", [few_of_one_member, saturated], ids=lambda c: c.__name__)
def test_scales_against_quadrature(case):
    """Two scales: integrate the dense marginal likelihood over them."""
    p = case()
    node, weight = np.polynomial.legendre.leggauss(50)
    grid = 3.0 * (node + 1) + 1e-4
    group_sd, sigma = np.meshgrid(grid, grid)
    value = [
        dense_log_marginal(p, s, [np.array([[g]])])
        for s, g in zip(sigma.ravel(), group_sd.ravel(), strict=True)
    ]
    value += half_normal(sigma.ravel()) + half_normal(group_sd.ravel())
    mass = np.exp(value - np.max(value)).reshape(sigma.shape) * np.outer(weight, weight)
    mass /= mass.sum()

    found = sample_gaussian(p, half_normal, draws=20_000, random_seed=0)
    for moment in (
        lambda g, s: s + 0 * g,
        lambda g, s: g + 0 * s,
        lambda g, s: g**2 + 0 * s,
        np.multiply,
        lambda g, s: s / np.hypot(g, s),
    ):
        values = moment(found.sd["1|g"][:, 0], found.sigma)
        error = values.std() / np.sqrt(8000)
        assert abs(values.mean() - np.sum(mass * moment(group_sd, sigma))) < 4 * error


def test_no_group_terms_is_conjugate_regression():
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(60), rng.normal(size=60)])
    y = x @ [1.0, 2.0] + rng.normal(size=60)
    p = replace(problem(y, x, []), beta_sd=np.full(2, np.inf))
    found = sample_gaussian(p, lambda s: -np.log(s), draws=8000, random_seed=0)
    fit, rss, *_ = np.linalg.lstsq(x, y, rcond=None)
    # Jeffreys' prior: sigma^2 is scaled inverse chi-squared on n - p degrees of freedom
    pit = stats.chi2(58).cdf(rss[0] / found.sigma**2)
    assert stats.kstest(pit[::2], "uniform").pvalue > 1e-3
    cov = np.linalg.inv(x.T @ x) * rss[0] / 58
    t = (found.beta - fit) / np.sqrt(np.diag(cov))
    assert stats.kstest(t[::2, 1], stats.t(58).cdf).pvalue > 1e-3


def test_precision_weights_equal_means_of_rows():
    """A mean of c rows with weight c and the c rows agree on coefficients given sigma."""
    rng = np.random.default_rng(0)
    g, count = np.repeat(np.arange(15), 4), rng.integers(1, 5, 60)
    y = rng.normal(size=15)[g] + rng.normal(size=60) / np.sqrt(count)
    one = np.ones((60, 1))
    p = replace(problem(y, one, [term("1|g", one, g, 15)]), row_precision=count.astype(float))
    wrong = replace(p, row_precision=None)
    values = [
        sample_gaussian(q, half_normal, draws=2000, random_seed=0).sigma.mean() for q in (p, wrong)
    ]
    assert abs(values[0] - 1.0) < 0.25
    assert values[1] < values[0]


def test_a_count_is_so_many_equal_rows():
    p = replace(counted(), row_precision=None)
    a = sample_gaussian(p, half_normal, draws=8000, random_seed=0)
    b = sample_gaussian(written_out(p), half_normal, draws=8000, random_seed=1)
    for ours, theirs in ((a.sigma, b.sigma), (a.sd["1|g"], b.sd["1|g"]), (a.beta, b.beta)):
        error = ours.std(axis=0) * np.sqrt(2 / 5000)  # importance weights cost some of the 8,000
        assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 4 * error).all()
        np.testing.assert_allclose(ours.std(axis=0), theirs.std(axis=0), rtol=0.06)
    # a precision is another thing: it leaves the number of observations alone
    c = sample_gaussian(
        replace(p, row_weight=np.ones(60), row_precision=p.row_weight), half_normal, draws=2000
    )
    assert c.sigma.std() > 1.2 * a.sigma.std()


def test_same_seed_same_draws():
    p = nested()
    a, b = (sample_gaussian(p, half_normal, draws=200, random_seed=7) for _ in range(2))
    c = sample_gaussian(p, half_normal, draws=200, random_seed=8)
    np.testing.assert_array_equal(a.beta, b.beta)
    np.testing.assert_array_equal(a.effects["1|pair"], b.effects["1|pair"])
    assert not np.array_equal(a.beta, c.beta)


def test_effects_left_out_come_back_the_same():
    p = nested()
    whole = sample_gaussian(p, half_normal, draws=100, random_seed=7)
    part = sample_gaussian(p, half_normal, draws=100, random_seed=7, keep=["1|seed"])
    assert set(part.effects) == {"1|seed"}
    np.testing.assert_array_equal(part.beta, whole.beta)
    lead = p.terms[part.blocks.leading.term].name
    again = leading_effects(p, part, slice(30, 50))
    np.testing.assert_allclose(again, whole.effects[lead][30:50], rtol=1e-6, atol=1e-6)


def test_levels_without_rows_follow_their_prior():
    p = nested()
    more = replace(p, terms=(replace(p.terms[0], n_levels=45), *p.terms[1:]))
    found = sample_gaussian(more, half_normal, draws=4000, random_seed=0)
    empty = found.effects["1|pair"][:, 40:, 0]
    assert np.abs(empty.mean() / empty.std() * np.sqrt(20_000)) < 4
    ratio = (empty / found.sd["1|pair"]).std()
    assert abs(ratio - 1) < 0.03


BAD = {
    "constant": (lambda p: replace(p, y=np.full_like(p.y, 3.0)), "constant"),
    "nan": (lambda p: replace(p, y=np.where(np.arange(len(p.y)) == 3, np.nan, p.y)), r"y .*\[3\]"),
    "weight": (lambda p: replace(p, row_weight=np.zeros(len(p.y))), "row_weight"),
    "precision": (lambda p: replace(p, row_precision=np.zeros(len(p.y))), "row_precision"),
    "design": (lambda p: replace(p, design=p.design[:-1]), "design has shape"),
    "prior": (lambda p: replace(p, beta_sd=-p.beta_sd), "beta_sd"),
    "codes": (
        lambda p: replace(p, terms=(replace(p.terms[0], n_levels=3), *p.terms[1:])),
        "0 .. 2",
    ),
    "twice": (lambda p: replace(p, terms=(p.terms[0], p.terms[0])), "must differ"),
    "collinear": (
        lambda p: replace(
            p,
            design=np.column_stack([p.design, p.design[:, 1]]),
            beta_mean=np.zeros(3),
            beta_sd=np.full(3, np.inf),
        ),
        "linear combinations",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_unanswerable_problems_are_refused_by_name(name):
    spoil, message = BAD[name]
    with pytest.raises(EngineError, match=message):
        sample_gaussian(spoil(crossed_unbalanced()), half_normal, draws=10)


def test_response_constant_within_groups_is_refused():
    g = np.repeat(np.arange(10), 4)
    one = np.ones((40, 1))
    p = problem(np.random.default_rng(0).normal(size=10)[g], one, [term("1|g", one, g, 10)])
    with pytest.raises(EngineError, match="constant within groups"):
        sample_gaussian(p, half_normal, draws=10)


def test_unknown_terms_to_keep_are_refused():
    with pytest.raises(EngineError, match="nope"):
        sample_gaussian(nested(), half_normal, draws=10, keep=["nope"])


def test_pareto_k_of_known_tails():
    rng = np.random.default_rng(0)
    assert pareto_k(np.log(rng.pareto(1.0, 20_000))) == pytest.approx(1.0, abs=0.15)
    assert pareto_k(np.log(rng.uniform(size=20_000))) < 0


def test_resampling_is_proportional():
    rng = np.random.default_rng(0)
    chosen = resample(np.log([0.1, 0.2, 0.7]), 1000, rng)
    np.testing.assert_allclose(np.bincount(chosen), [100, 200, 700], atol=1)
