"""The Laplace engine as a whole: posteriors against grids, invariances, refusals."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from causalbias.inference.equal_rows import share_design
from causalbias.inference.laplace import sample as laplace
from causalbias.inference.laplace.nested import find_scales, mean_shift, start_scales
from causalbias.inference.laplace.sample import sample_laplace
from causalbias.inference.problem import EngineError, Problem
from tests.inference.gaussian_cases import half_normal, problem, taken, term, written_out
from tests.inference.laplace_cases import (
    leading,
    log_cell,
    made,
    multi_member,
    ones,
    slopes,
    target_of,
)

# successes and trials of each level
BINARY = {
    "plain": ([1, 7, 3, 9, 5, 4, 8, 2], [10] * 8),
    "separable groups": ([0, 6, 0, 6, 6, 0, 0, 6], [6] * 8),
    "groups seen once": ([0, 1, 1, 0, 1, 0, 1, 1, 1, 0], [1] * 10),
    "all of one category": ([0] * 6, [5] * 6),
    "sd near zero": ([5, 5, 6, 5, 4, 5], [10] * 6),
    "many rows": ([120, 300, 480, 40], [500] * 4),
}
BETA_SD = 2.5


def written(successes, trials, leads=True) -> Problem:
    """Return an intercept-only problem; the same model with a term that the engine can't lead."""
    g = np.repeat(np.arange(len(trials)), trials)
    y = np.concatenate([np.arange(n) < s for s, n in zip(successes, trials, strict=True)])
    one = ones(len(g))
    t = term("1|g", one, g, len(trials))
    if not leads:
        t = replace(t, columns=2 * one, weights=0.5 * one)
    return problem(y.astype(float), one, [t], beta_sd=BETA_SD)


def close(values, weight, grid, ess):
    """Check means, squares and products of draws (n, d) against a weighted grid (m, d)."""
    ess = 0.8 * min(ess, len(values))
    for i in range(values.shape[1]):
        columns = [values[:, i], values[:, i] ** 2, values[:, i] * values[:, 0]]
        expected = [grid[:, i], grid[:, i] ** 2, grid[:, i] * grid[:, 0]]
        for ours, theirs in zip(columns, expected, strict=True):
            error = ours.std() / np.sqrt(ess)
            assert abs(ours.mean() - weight @ theirs) < 4 * error, i


@pytest.mark.parametrize("leads", [True, False], ids=["leading", "dense"])
@pytest.mark.parametrize("name", list(BINARY))
def test_binary_against_a_grid(name, leads):
    """Either right, or its diagnostics say that it is not."""
    successes, trials = map(np.array, BINARY[name])
    found = sample_laplace(written(successes, trials, leads), draws=8000, random_seed=1)
    if name != "many rows":  # one level tells nothing of k here
        assert found.diagnostics.pareto_k < 0.7
    beta = np.linspace(-9, 9, 181)
    sd = np.linspace(0.0125, 7.5, 150)
    v = np.linspace(-7, 7, 281)
    if name == "many rows":
        beta, v = np.linspace(-5, 5, 101), np.linspace(-7, 7, 561)
    log = np.zeros((len(beta), len(sd)))
    for k, s in enumerate(sd):
        eta = beta[:, None] + s * v
        up, down = special.log_expit(eta), special.log_expit(-eta)
        for yes, n in zip(successes, trials, strict=True):
            height = -0.5 * v**2 + yes * up + (n - yes) * down
            log[:, k] += special.logsumexp(height, axis=1)
    log += -0.5 * (beta[:, None] / BETA_SD) ** 2 + half_normal(sd)
    mass = np.exp(log - log.max())
    grid = np.array([g.ravel() for g in np.meshgrid(beta, sd, indexing="ij")]).T
    draws = np.column_stack([found.beta[:, 0], found.sd["1|g"][:, 0]])
    close(draws, mass.ravel() / mass.sum(), grid, found.diagnostics.importance_ess)


@pytest.mark.parametrize("link", ["logit", "probit"])
@pytest.mark.parametrize("leads", [True, False], ids=["leading", "dense"])
def test_ordinal_against_a_grid(leads, link):
    rng = np.random.default_rng(3)
    counts = rng.multinomial(7, [0.3, 0.3, 0.4], size=6)
    counts[0], counts[1] = [7, 0, 0], [0, 1, 6]
    y = np.concatenate([np.repeat([0.0, 1.0, 2.0], c) for c in counts])
    g, one = np.repeat(np.arange(6), 7), ones(42)
    t = term("1|g", one, g, 6)
    if not leads:
        t = replace(t, columns=2 * one, weights=0.5 * one)
    p = problem(y, np.empty((42, 0)), [t])
    found = sample_laplace(
        p,
        link=link,
        threshold_mean=np.zeros(2),
        threshold_sd=np.full(2, 3.0),
        draws=8000,
        random_seed=1,
    )
    assert found.diagnostics.pareto_k < 0.7
    cut, sd, v = np.linspace(-7, 7, 71), np.linspace(0.05, 6.5, 66), np.linspace(-6, 6, 81)
    low, high = (c.ravel() for c in np.meshgrid(cut, cut, indexing="ij"))
    low, high = low[high > low], high[high > low]
    log = np.zeros((len(low), len(sd)))
    with np.errstate(divide="ignore"):
        for k, s in enumerate(sd):
            ends = [np.full(len(low), -np.inf), low, high, np.full(len(low), np.inf)]
            cells = [
                log_cell(link, ends[c + 1][:, None] - s * v, ends[c][:, None] - s * v)
                for c in range(3)
            ]
            for level in counts:
                height = sum(n * one for n, one in zip(level, cells, strict=True)) - 0.5 * v**2
                log[:, k] += special.logsumexp(height, axis=1)
    log += half_normal(sd) - ((low**2 + high**2) / 18)[:, None]
    mass = np.exp(log - log.max())
    grid = np.column_stack(
        [np.repeat(low, len(sd)), np.repeat(high, len(sd)), np.tile(sd, len(low))]
    )
    draws = np.column_stack([found.threshold, found.sd["1|g"]])
    close(draws, mass.ravel() / mass.sum(), grid, found.diagnostics.importance_ess)


def agree(a, b, share=0.25):
    """Check that two samples have the same means and sds; weights cost some of their draws."""
    for name in ("beta", "threshold"):
        pair(getattr(a, name), getattr(b, name), share)
    for name, sd in a.sd.items():
        pair(sd, b.sd[name], share)
        if name in a.effects and name in b.effects:
            pair(a.effects[name], b.effects[name], share)


def pair(ours, theirs, share):
    error = ours.std(axis=0) * np.sqrt(2 / (share * len(ours)))
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 4.5 * error).all()
    if ours.size:
        np.testing.assert_allclose(ours.std(axis=0), theirs.std(axis=0), rtol=0.15)


def test_leading_or_dense_is_one_model():
    """Effects too: drawn by quadrature's mode where leading, with all the rest where not."""
    a, b = (
        sample_laplace(written(*BINARY["plain"], leads), draws=4000, random_seed=1)
        for leads in (True, False)
    )
    agree(a, b)


@pytest.mark.parametrize("family", ["cumulative", "bernoulli"])
def test_counts_merged_rows_and_rows_written_out_agree(family, monkeypatch):
    p, options = made(family, leading, n=60)
    p = replace(p, design=np.round(p.design), row_weight=1.0 + np.arange(60) % 4)
    kw = options | {"draws": 4000}
    counted = sample_laplace(p, random_seed=1, **kw)
    merged = sample_laplace(written_out(p), random_seed=2, **kw)
    monkeypatch.setattr(laplace, "_merged", lambda given: given)
    rows = sample_laplace(written_out(p), random_seed=3, **kw)
    agree(counted, rows)
    agree(merged, rows)


def test_binomial_is_so_many_bernoulli():
    p, options = made("binomial", leading, n=40)
    trials = options["trials"].astype(int)
    rows = taken(p, np.repeat(np.arange(40), trials))
    y = np.concatenate([np.arange(n) < s for s, n in zip(p.y, trials, strict=True)])
    a = sample_laplace(p, draws=4000, random_seed=1, **options)
    b = sample_laplace(replace(rows, y=y.astype(float)), draws=4000, random_seed=2)
    agree(a, b)


@pytest.mark.parametrize("layout", [multi_member, slopes], ids=lambda f: f.__name__)
def test_row_order_is_immaterial(layout):
    p, options = made("cumulative", layout)
    order = np.random.default_rng(0).permutation(len(p.y))
    a = sample_laplace(p, draws=3000, random_seed=1, **options)
    b = sample_laplace(taken(p, order), draws=3000, random_seed=2, **options)
    agree(a, b)


def test_columns_of_very_different_scale():
    p, options = made("bernoulli", leading, n=200)
    times = np.array([1.0, 1e6])
    a = sample_laplace(p, draws=4000, random_seed=1, **options)
    b = sample_laplace(
        replace(p, design=p.design * times, beta_sd=p.beta_sd / times),
        draws=4000,
        random_seed=2,
        **options,
    )
    agree(a, replace(b, beta=b.beta * times))


def test_the_same_seed_the_same_draws():
    p, options = made("cumulative", leading)
    a, b, c = (sample_laplace(p, draws=200, random_seed=s, **options) for s in (7, 7, 8))
    np.testing.assert_array_equal(a.beta, b.beta)
    np.testing.assert_array_equal(a.effects["1|g"], b.effects["1|g"])
    assert not np.array_equal(a.beta, c.beta)


def test_terms_left_out_leave_the_rest_alone():
    p, options = made("cumulative", leading)
    whole = sample_laplace(p, draws=200, random_seed=7, **options)
    part = sample_laplace(p, draws=200, random_seed=7, keep=["1|h"], **options)
    assert set(whole.effects) == {"1|g", "1|h"}
    assert set(part.effects) == {"1|h"}
    np.testing.assert_array_equal(part.effects["1|h"], whole.effects["1|h"])
    np.testing.assert_array_equal(part.threshold, whole.threshold)
    none = sample_laplace(p, draws=200, random_seed=7, keep=[], **options)
    assert none.effects == {}
    assert none.thinned["1|h"].shape == (0, *whole.effects["1|h"].shape[1:])


def test_levels_without_rows_follow_their_prior():
    p, options = made("bernoulli", leading)
    more = tuple(replace(t, n_levels=t.n_levels + 5) for t in p.terms)
    found = sample_laplace(replace(p, terms=more), draws=4000, random_seed=0, **options)
    for t in p.terms:
        empty = found.effects[t.name][:, t.n_levels :, 0] / found.sd[t.name]
        assert abs(empty.mean()) < 4 / np.sqrt(0.25 * empty.size)
        assert abs(empty.std() - 1) < 0.05


def test_thresholds_ascend_and_correlations_are_such():
    p, options = made("cumulative", slopes)
    found = sample_laplace(p, draws=2000, random_seed=0, **options)
    assert (np.diff(found.threshold, axis=1) > 0).all()
    corr = found.corr["x|g"]
    np.testing.assert_allclose(np.diagonal(corr, axis1=1, axis2=2), 1)
    assert (np.abs(corr[:, 0, 1]) < 1).all()


def test_an_unused_last_category_is_left_to_the_prior():
    """The last threshold is above the others, and its prior says the rest."""
    p, options = made("cumulative", leading, n=150)
    given = options | {"threshold_mean": np.zeros(4), "threshold_sd": np.full(4, 3.0)}
    found = sample_laplace(p, draws=4000, random_seed=0, **given)
    assert found.diagnostics.pareto_k < 0.7
    assert (found.threshold[:, 3] > found.threshold[:, 2]).all()
    # beyond three or so, no data: the density falls as the prior's tail, times what the rows of
    # the highest category used say against it, which is next to nothing that far out
    far = found.threshold[:, 3]
    assert np.median(far) > np.median(found.threshold[:, 2]) + 1


BAD = {
    "link": ({"link": "cloglog"}, "no link"),
    "thresholds": ({"threshold_sd": None}, "threshold_mean and threshold_sd"),
    "draws": ({"draws": 0}, "draws must be positive"),
    "keep": ({"keep": ["1|x"]}, "keep names"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_what_it_is_told_wrongly(name):
    p, options = made("cumulative", leading)
    change, message = BAD[name]
    with pytest.raises(EngineError, match=message):
        sample_laplace(p, **(options | change))


@pytest.mark.parametrize(
    ("y", "message"),
    [(0.5, "whole numbers"), (-1.0, "whole numbers"), (4.0, "there are 4 categories")],
)
def test_responses_out_of_range(y, message):
    p, options = made("cumulative", leading)
    with pytest.raises(EngineError, match=message):
        sample_laplace(replace(p, y=np.where(np.arange(90) == 3, y, p.y)), **options)


def test_more_successes_than_trials():
    p, options = made("binomial", leading)
    with pytest.raises(EngineError, match="trials"):
        sample_laplace(p, trials=options["trials"] - 1)


def test_a_category_between_others_without_rows_is_refused():
    p, options = made("cumulative", leading)
    with pytest.raises(EngineError, match=r"category 1 .* no rows"):
        sample_laplace(replace(p, y=np.where(p.y == 1, 2.0, p.y)), **options)


def test_separation_with_a_flat_prior_is_refused():
    p, options = made("bernoulli", leading)
    apart = np.column_stack([np.ones(90), np.where(p.y > 0, 1.0, -1.0)])
    p = replace(p, design=apart, beta_sd=np.full(2, np.inf))
    with pytest.raises(EngineError, match="separation"):
        sample_laplace(p, **options)


@pytest.mark.parametrize("seed", [0, 13, 15, 22])
def test_a_rare_middle_category_leaves_the_mean_near_the_mode(seed):
    """Its cuts all but meet in some draws about the mode, where derivatives are without bound."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat([0.0, 1.0, 2.0, 3.0], [12, 31, 4, 1]))
    x = rng.standard_normal((48, 2))
    terms = [
        term("1|g", ones(48), rng.integers(0, 8, 48), 8),
        term("1|h", ones(48), rng.integers(0, 6, 48), 6),
    ]
    p = problem(y, x, terms, beta_sd=1.0)
    cuts = {"threshold_mean": np.zeros(3), "threshold_sd": np.full(3, 2.5)}
    target = target_of(p, cuts)
    with ThreadPoolExecutor(2) as pool:
        mode, _ = find_scales(target, p.terms, start_scales(p.terms), pool)
        shift = mean_shift(target, mode, np.random.default_rng(seed), pool)
    assert (np.abs(shift) < np.sqrt(np.diag(mode.cov))).all()
    found = sample_laplace(p, random_seed=seed, **cuts)
    assert found.diagnostics.importance_ess > 0.2 * found.diagnostics.n_weighed


def test_a_design_stored_once_gives_the_same_draws():
    p, options = made("cumulative", leading)
    p = replace(p, design=np.array([[0.5], [-1.0], [2.0]])[np.arange(len(p.y)) % 3])
    one, two = (
        sample_laplace(each, draws=200, random_seed=1, **options) for each in (p, share_design(p))
    )
    np.testing.assert_allclose(two.beta, one.beta, rtol=1e-7)
    np.testing.assert_allclose(two.threshold, one.threshold, rtol=1e-7)
    for name, effects in one.effects.items():
        np.testing.assert_allclose(two.effects[name], effects, rtol=1e-7)
