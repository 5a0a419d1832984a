"""Rows that discriminate unequally, beside brute force, differences and weighted prior draws."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from causalbias.inference.laplace import conditional as c
from causalbias.inference.laplace import nested, sample_laplace
from causalbias.inference.laplace.disc_warp import Bend, Warp, Warps, find_warps, unwarped, warped
from causalbias.inference.laplace.drawn import (
    DrawnRows,
    add_log_likelihoods,
    disc_leading_effects,
    drawn_rows,
)
from causalbias.inference.laplace.likelihood import NodePlaces
from causalbias.inference.laplace.rows import Answers
from causalbias.inference.problem import EngineError, FloatArray, Predictor, Problem
from causalbias.models.families import family_named
from tests.inference.gaussian_cases import problem, term
from tests.inference.laplace_cases import (
    LOG_V,
    V,
    log_cell,
    ones,
    some_scales,
    target_of,
    without_effects,
)

OPTIONS = {"threshold_mean": np.zeros(3), "threshold_sd": np.full(3, 3.0)}


def disc_problem(*, leads: bool, n: int = 90) -> Problem:
    """Effects and discriminations of four annotators, and a column that sharpens answers."""
    rng = np.random.default_rng(0)
    item, annotator = rng.integers(0, 15, n), rng.integers(0, 4, n)
    slopes = term("x|h", np.column_stack([np.ones(n), rng.standard_normal(n)]), annotator, 4)
    terms = (term("1|g", ones(n), item, 15), slopes) if leads else (slopes,)
    own = (term("disc_1|h", ones(n), annotator, 4),)
    disc = Predictor("disc", rng.standard_normal((n, 1)), np.zeros(1), np.ones(1), own)
    y = rng.integers(0, 4, n).astype(float)
    made = problem(y, rng.standard_normal((n, 2)), terms, beta_sd=2.5)
    return replace(made, further=(disc,), row_weight=rng.integers(1, 3, n).astype(float))


def point(target: c.Target, wide: float) -> tuple[float, list[FloatArray], FloatArray]:
    rng = np.random.default_rng(1)
    sd, factors = some_scales(target, rng)
    x, s = wide * rng.standard_normal(target.rows.width), target.rows.n_effects
    x[s : s + 3] = [-1.0, 0.2, 1.1]
    return sd, factors, x


@pytest.mark.parametrize("link", ["logit", "probit"])
@pytest.mark.parametrize("leads", [True, False])
@pytest.mark.parametrize("far", [False, True])
def test_the_density_is_that_of_brute_force(link: str, leads: bool, far: bool) -> None:
    target = target_of(disc_problem(leads=leads), OPTIONS, link, n_nodes=61)
    sd, factors, x = point(target, 0.3)
    if far:  # beyond what exponentials hold, of the logistic
        x[-3:-1] = [150.0, -90.0] if link == "logit" else [6.0, -4.0]
    value = c.evaluate(target, sd, factors, x, np.zeros(len(target.rows.level)))[0]
    rows, raw = target.rows, c.coloured(target.rows, factors, x)
    assert rows.disc is not None
    eta, disc = c.linear_predictor(target, raw), c.discriminations(target, rows.disc, raw)
    ends = c.all_cuts(target, x[rows.n_effects : rows.n_effects + 3])
    total = 0.0
    for lo, hi in zip(rows.start[:-1], rows.start[1:], strict=True):
        level = LOG_V.copy() if leads else np.zeros(1)
        for i in range(lo, hi):
            at = eta[i] + (sd * V if leads else 0.0)
            category = rows.category[i]
            upper, lower = (disc[i] * (ends[category + one] - at) for one in (1, 0))
            level += rows.count[i] * log_cell(link, upper, lower)
        total += level.max() + np.log(np.exp(level - level.max()).sum())
    assert value - float(c.log_prior(target, x)) == pytest.approx(total, abs=2e-4, rel=1e-6)


@pytest.mark.parametrize("link", ["logit", "probit"])
@pytest.mark.parametrize("leads", [True, False])
def test_gradient_and_curvature_are_those_of_differences(link: str, leads: bool) -> None:
    target = target_of(disc_problem(leads=leads), OPTIONS, link)
    sd, factors, x = point(target, 0.3)
    modes, steps = np.zeros(len(target.rows.level)), 1e-5 * np.eye(len(x))

    def gradient(at: FloatArray) -> FloatArray:
        return c.gradient_at(target, factors, at, c.evaluate(target, sd, factors, at, modes)[1])

    def height(at: FloatArray) -> float:
        return c.evaluate(target, sd, factors, at, modes)[0]

    slopes = [(height(x + one) - height(x - one)) / 2e-5 for one in steps]
    assert gradient(x) == pytest.approx(np.array(slopes), abs=1e-5)
    hessian = np.array([(gradient(x + one) - gradient(x - one)) / 2e-5 for one in steps])
    moments = c.evaluate(target, sd, factors, x, modes)[1]
    lower = np.tril(c.curvature_at(target, factors, moments))
    curvature = lower + np.tril(lower, -1).T
    # what is beyond quadratic in a leading effect is left out, and can only lack to the hessian
    missing = np.linalg.eigvalsh(curvature + hessian)
    assert missing[0] > -1e-5
    assert missing[-1] < (0.01 * np.abs(hessian).max() if leads else 1e-5)
    bound = np.tril(c.curvature_at(target, factors, moments, bounded=True))
    assert np.linalg.eigvalsh(bound + np.tril(bound, -1).T)[0] > 0


def test_the_curvature_in_other_coordinates_is_that_of_the_chain_rule() -> None:
    """Also where one effect is in both predictors, as a warped log discrimination is."""
    target = target_of(disc_problem(leads=True), OPTIONS)
    sd, factors, x = point(target, 0.3)
    moments = c.evaluate(target, sd, factors, x, np.zeros(len(target.rows.level)))[1]
    s, q = target.rows.n_effects, target.rows.width
    jacobian = sparse.random(s, s, 0.3, random_state=1, format="csr") + sparse.identity(s)
    whole = np.eye(q)
    whole[:s, :s] = jacobian.toarray()
    plain = c.curvature_at(target, factors, moments)
    plain = np.tril(plain) + np.tril(plain, -1).T
    found = c.curvature_at(target, factors, moments, jacobian=jacobian.tocsr())
    assert np.tril(found) == pytest.approx(np.tril(whole.T @ plain @ whole), abs=1e-9)


@pytest.mark.parametrize(("leads", "wide"), [(True, 0.01), (True, 0.2), (False, 1.0)])
def test_many_draws_at_once_have_the_density_of_each(leads: bool, wide: float) -> None:
    target = target_of(disc_problem(leads=leads), OPTIONS)
    sd, factors, x = point(target, 0.3)
    rng, modes = np.random.default_rng(2), np.zeros(len(target.rows.level))
    raw = c.coloured(target.rows, factors, x)
    s = target.rows.n_effects
    draws = np.repeat(raw[:, None], 5, axis=1)
    draws[:s] += wide * rng.standard_normal((s, 5))
    _, eta, moments, levels, modes = c.likelihood_at(target, sd, raw, modes)
    places, found = c.node_places(target.rows, sd, modes, eta, moments, levels), np.zeros(5)
    add_log_likelihoods(target, drawn_rows(target, draws), np.full(5, sd), places, found)
    each = [c.likelihood_at(target, sd, one, modes)[0] for one in draws.T.copy()]
    assert found == pytest.approx(np.array(each), abs=1e-3)


def test_a_warp_and_its_derivatives_agree() -> None:
    rng = np.random.default_rng(0)
    target = target_of(disc_problem(leads=True), OPTIONS)
    assert target.rows.disc is not None
    found = find_warps(target.rows, target.rows.disc)
    assert [(one.k, one.level.tolist()) for one in found.warps] == [(2, [0, 1, 2, 3])]
    warps = Warps(
        tuple(replace(one, power=0.7) for one in found.warps),
        tuple(replace(one, skew=0.4) for one in found.bends),
    )
    q = target.rows.width
    root, pull, centre = rng.standard_normal((q, q)), rng.standard_normal(q), rng.standard_normal(q)
    matrix, x, sds = root @ root.T, centre + 0.3 * rng.standard_normal(q), [0.8, 0.6]

    def after(at: FloatArray) -> tuple[FloatArray, float]:
        moved = at[:, None].copy()
        log_det = warped(warps, moved, centre[:, None], sds)
        return moved[:, 0], float(log_det[0])

    def height(at: FloatArray) -> float:
        moved, log_det = after(at)
        return float(pull @ moved - 0.5 * moved @ matrix @ moved) + log_det

    def derivatives(at: FloatArray) -> tuple[FloatArray, FloatArray]:
        moved = after(at)[0]
        slope, jacobian, bent = unwarped(warps, pull - matrix @ moved, at, centre, sds)
        return slope, jacobian.T @ matrix @ jacobian + bent.toarray()

    steps = 1e-5 * np.eye(q)
    gradient, curvature = derivatives(x)
    slopes = np.array([(height(x + one) - height(x - one)) / 2e-5 for one in steps])
    assert gradient == pytest.approx(slopes, abs=1e-4)
    bent = [(derivatives(x + one)[0] - derivatives(x - one)[0]) / 2e-5 for one in steps]
    assert -curvature == pytest.approx(np.array(bent), abs=1e-4)
    jacobian = np.array([(after(x + one)[0] - after(x - one)[0]) / 2e-5 for one in steps])
    assert after(x)[1] == pytest.approx(np.linalg.slogdet(jacobian)[1], abs=1e-6)


@pytest.mark.parametrize("link", ["logit", "probit"])
@pytest.mark.parametrize("sd", [0.05, 0.9, 4.0])
@pytest.mark.parametrize("category", [[2, 1, 2, 0], [2, 2, 2, 2]])
def test_leading_effects_are_drawn_from_their_posterior(
    link: str, sd: float, category: list[int]
) -> None:
    """Both answers that disagree and those all alike; shares are evenly spaced, not random."""
    cuts, count = np.array([-np.inf, -1.0, 0.5, np.inf]), np.array([1.0, 2.0, 1.0, 1.0])
    eta, disc, size = np.array([0.2, -0.4, 0.0, 0.3]), np.array([3.0, 0.5, 1.0, 0.2]), 400
    rows = DrawnRows(
        without_effects(np.tile(eta, (size, 1))),
        np.tile(cuts, (size, 1)),
        without_effects(np.tile(np.log(disc), (size, 1))),
        np.arange(4),
    )
    poor = NodePlaces(np.array([1.0]), np.array([2.0]), np.zeros(4))  # a guess of where the mode is
    uniform = (np.arange(size) + 0.5) / size
    answers = Answers(np.array([0, 4]), np.array(category), count)
    with ThreadPoolExecutor(1) as pool:
        drawn = disc_leading_effects(
            {"logit": 0, "probit": 1}[link],
            answers,
            rows,
            np.full(size, sd),
            poor,
            uniform[:, None],
            pool,
        )
    log = LOG_V.copy()
    for k, n, x, d in zip(category, count, eta, disc, strict=True):
        log += n * log_cell(link, d * (cuts[k + 1] - x - sd * V), d * (cuts[k] - x - sd * V))
    weight = np.exp(log - log.max())
    below = np.interp(drawn[:, 0] / sd, V, np.cumsum(weight) / weight.sum())
    assert below == pytest.approx(uniform, abs=3e-3)


def small() -> Problem:
    """Three annotators and eight items, so few that draws of the prior can be weighed."""
    rng = np.random.default_rng(3)
    n = 24
    annotator = np.tile(np.arange(3), 8)
    x, y = rng.standard_normal((n, 1)), rng.integers(0, 3, n).astype(float)
    y[x[:, 0] > 0.8] = 2.0
    own = term("1|annotator", ones(n), annotator, 3)
    made = problem(y, x, (own,), beta_sd=1.0)
    of_disc = (replace(own, name="disc_1|annotator"),)
    return replace(made, further=(Predictor("disc", np.empty((n, 0)), *np.empty((2, 0)), of_disc),))


@pytest.mark.slow
def test_the_posterior_is_that_of_weighted_draws_of_the_prior() -> None:
    """The likelihood is the family's, which shares no code with the engine's."""
    given, rng, size = small(), np.random.default_rng(5), 200_000
    found = sample_laplace(
        given, threshold_mean=np.zeros(2), threshold_sd=np.ones(2), draws=4000, random_seed=1
    )
    assert found.diagnostics.pareto_k < 0.7
    # the sd's prior, known to the engine as a density, is drawn from by inversion
    grid = np.linspace(1e-4, 30.0, 30_000)
    density = np.exp(given.terms[0].sd_log_prior[0](grid))
    cdf = np.cumsum(density) / density.sum()
    sds = np.interp(rng.random((2, size)), cdf, grid)
    cuts = np.sort(rng.standard_normal((size, 2)), axis=1)
    beta = rng.standard_normal((size, 1))
    bias, log_disc = sds[:, :, None] * rng.standard_normal((2, size, 3))
    family, level = family_named("cumulative"), given.terms[0].codes[:, 0]
    weight = np.zeros(size)
    for part in np.array_split(np.arange(size), 20):
        eta = beta[part] @ given.design.T + bias[part][:, level]
        parameters = {"threshold": cuts[part], "disc": np.exp(log_disc[part][:, level])}
        with np.errstate(divide="ignore", invalid="ignore"):
            each = family.log_likelihood(given.y, eta, parameters)
        weight[part] = np.where(np.isnan(each), -np.inf, each).sum(axis=1)
    weight = np.exp(weight - weight.max())
    weight /= weight.sum()
    own = {
        "cut": (found.threshold[:, 0], cuts[:, 0]),
        "upper cut": (found.threshold[:, 1], cuts[:, 1]),
        "beta": (found.beta[:, 0], beta[:, 0]),
        "log sd": (np.log(found.sd["1|annotator"][:, 0]), np.log(sds[0])),
        "log sd of disc": (np.log(found.sd["disc_1|annotator"][:, 0]), np.log(sds[1])),
        "log disc": (found.effects["disc_1|annotator"][:, 1, 0], log_disc[:, 1]),
    }
    error = np.sqrt((weight**2).sum() + 1 / found.diagnostics.importance_ess)
    for name, (ours, theirs) in own.items():
        mean = weight @ theirs
        spread = np.sqrt(weight @ (theirs - mean) ** 2)
        assert abs(ours.mean() - mean) < 5 * error * spread, name
        assert ours.std() == pytest.approx(spread, rel=0.15), name


def test_where_points_are_dear_a_search_ends_at_the_same_scales(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The way there is by gradients alone; near the mode both take differences."""
    rng = np.random.default_rng(4)
    n, item = 600, np.repeat(np.arange(100), 6)
    annotator, log_disc = rng.integers(0, 12, n), 0.4 * rng.standard_normal(12)
    eta = 0.8 * rng.standard_normal(100)[item] + 0.6 * rng.standard_normal(12)[annotator]
    noise = rng.logistic(size=n) * np.exp(-log_disc)[annotator]
    terms = term("1|g", ones(n), item, 100), term("1|h", ones(n), annotator, 12)
    own = Predictor(
        "disc", np.empty((n, 0)), *np.empty((2, 0)), (term("d|h", ones(n), annotator, 12),)
    )
    y = np.digitize(eta + noise, [-1.0, 0.3, 1.5]).astype(float)
    made = replace(problem(y, rng.standard_normal((n, 1)), terms, beta_sd=2.5), further=(own,))
    target, points, modes = target_of(made, OPTIONS), [], []
    at_theta = nested.scale_point

    def counted(*given) -> nested.ScalePoint:
        points.append(given)
        return at_theta(*given)

    monkeypatch.setattr(nested, "scale_point", counted)
    with ThreadPoolExecutor(1) as pool:
        for dear in (1000, 10):
            monkeypatch.setattr(nested, "DEAR", dear)
            points.clear()
            start = nested.start_scales(target.terms)
            modes.append((*nested.find_scales(target, target.terms, start, pool), len(points)))
    (usual, cov, many), (found, _, few) = modes
    assert few < many
    assert (np.abs(found.theta - usual.theta) < 0.3 * np.sqrt(np.diag(cov))).all()


def test_terms_of_disc_have_names_of_their_own() -> None:
    given = small()
    (disc,) = given.further
    with pytest.raises(EngineError, match="twice"):
        sample_laplace(
            replace(given, further=(replace(disc, terms=given.terms),)),
            threshold_mean=np.zeros(2),
            threshold_sd=np.ones(2),
        )


def test_two_answers_have_no_discriminations() -> None:
    given = disc_problem(leads=True)
    with pytest.raises(EngineError, match="two answers"):
        sample_laplace(replace(given, y=(given.y > 1).astype(float)))


def test_other_further_parameters_are_refused() -> None:
    given = disc_problem(leads=True)
    other = replace(given.further[0], name="sigma")
    with pytest.raises(EngineError, match="not sigma"):
        sample_laplace(replace(given, further=(other,)), **OPTIONS)


def test_a_bend_goes_on_as_a_line() -> None:
    bend, delta = Bend(slice(0, 1), 0, 0.5), np.linspace(-4.0, 4.0, 81)
    value, slope, _ = bend.parts(delta)
    assert (np.diff(value) > 0).all()
    assert value[40] == 0.0
    assert np.gradient(value, delta)[1:-1] == pytest.approx(slope[1:-1], rel=0.05)
    assert isinstance(Warp(slice(0, 2), 1, np.arange(2), np.arange(2), 0, 0.5).places, np.ndarray)
