"""Posteriors beside sums over grids, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import special, stats

from causalbias.inference.problem import EngineError, FloatArray, Predictor
from causalbias.inference.protocol import Draws
from causalbias.inference.rowwise import sample, sample_rowwise
from tests.inference.gaussian_cases import half_normal, problem, term
from tests.inference.rowwise.cases import log_density
from tests.inference.rowwise.test_rowwise_density import one_term


def of_nu(nu: FloatArray) -> FloatArray:
    return np.asarray(stats.gamma.logpdf(nu, 2, scale=10))


def wide(alpha: FloatArray) -> FloatArray:
    return np.asarray(-0.5 * (alpha / 4) ** 2)


def moments(grid: list[FloatArray], log: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means and sds of the axes of a grid of log densities."""
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    axes = np.meshgrid(*grid, indexing="ij")
    mean = np.array([(weight * axis).sum() for axis in axes])
    square = np.array([(weight * axis**2).sum() for axis in axes])
    return mean, np.sqrt(square - mean**2)


def close(draws: FloatArray, mean: FloatArray, sd: FloatArray) -> None:
    """Whether means are within 4 standard errors of a thousand draws, and sds within a tenth."""
    np.testing.assert_allclose((draws.mean(axis=0) - mean) / sd, 0.0, atol=4 / np.sqrt(1000))
    np.testing.assert_allclose(draws.std(axis=0) / sd, 1.0, atol=0.1)


@pytest.mark.slow
def test_a_gamma_posterior_with_groups_is_that_of_a_grid() -> None:
    one = one_term("gamma", per=3, levels=5)
    one = replace(one, design=np.ones((15, 1)), beta_mean=np.zeros(1), beta_sd=np.full(1, 2.0))
    grid = [np.linspace(-2.5, 4, 36), np.linspace(-1.7, 2.7, 36), np.linspace(-6, 1.6, 40)]
    u = np.linspace(-5, 5, 61)
    log_u = stats.norm.logpdf(u) + np.log(u[1] - u[0])
    b, log_alpha, log_sd = (axis[..., None] for axis in np.meshgrid(*grid, indexing="ij"))
    alpha, sd = np.exp(log_alpha), np.exp(log_sd)
    log = stats.norm.logpdf(b, 0, 2) + half_normal(alpha) + log_alpha
    log = (log + half_normal(sd) + log_sd)[..., 0]
    for level in range(5):
        y, at = one.y[one.terms[0].codes[:, 0] == level], b + sd * u
        # the three rows of a level enter by their sums
        rows = 3 * (alpha * log_alpha - special.gammaln(alpha) - alpha * at)
        rows = rows + (alpha - 1) * np.log(y).sum() - alpha * y.sum() * np.exp(-at)
        log += special.logsumexp(rows + log_u, axis=-1)
    found = sample_rowwise(one, "gamma", {"alpha": half_normal}, draws=4000, random_seed=2)
    drawn = np.column_stack(
        [found.beta[:, 0], np.log(found.parameters["alpha"]), np.log(found.sd["1|g"][:, 0])]
    )
    assert isinstance(found, Draws)
    assert found.diagnostics.pareto_k < 0.7
    close(drawn, *moments(grid, log))


def test_a_scale_of_its_own_by_group_is_that_of_a_grid() -> None:
    rng = np.random.default_rng(4)
    y, second = 1 + rng.standard_t(3, 40) * np.repeat([0.5, 1.5], 20), np.repeat([0.0, 1.0], 20)
    design = np.column_stack([np.ones(40), second])
    sigma = Predictor("sigma", design, np.zeros(2), np.array([1.0, np.inf]))
    one = replace(problem(y, np.ones((40, 1)), []), further=(sigma,))
    grid = [
        np.linspace(0, 2, 24),
        np.linspace(-2.4, 0.6, 24),
        np.linspace(-0.8, 2.8, 24),
        np.linspace(-0.5, 4.5, 24),
    ]
    b, first, change, log_nu = np.meshgrid(*grid, indexing="ij")
    log = stats.norm.logpdf(b, 0, 5) + stats.norm.logpdf(first) + of_nu(np.exp(log_nu)) + log_nu
    for value, of_second in zip(y, second, strict=True):
        log += log_density("t", value, b, (np.exp(first + of_second * change), np.exp(log_nu)))
    found = sample_rowwise(one, "t", {"nu": of_nu}, draws=4000, random_seed=2)
    drawn = np.column_stack(
        [found.beta[:, 0], found.further["sigma"], np.log(found.parameters["nu"])]
    )
    close(drawn, *moments(grid, log))


@pytest.mark.slow
def test_effects_of_a_level_are_drawn_given_all_else() -> None:
    one = one_term("t", seed=8, per=5, levels=8)
    priors = {"sigma": half_normal, "nu": of_nu}
    found = sample_rowwise(one, "t", priors, draws=3000, random_seed=1, some=[5, 7])
    again = sample_rowwise(one, "t", priors, draws=3000, random_seed=1, keep=[], some=[5, 7])
    np.testing.assert_array_equal(found.beta, again.beta)
    # but for rounding, which depends on the draws that are computed beside it
    some = found.effects["1|g"][[5, 7]]
    np.testing.assert_allclose(some, again.thinned["1|g"], rtol=1e-9, atol=1e-12)
    # each row's residual has the posterior that its level's effect implies: by weights of the
    # other rows' fit, the mean of the score of all effects is zero (an identity of posteriors)
    eta = found.beta @ one.design.T + found.effects["1|g"][:, one.terms[0].codes[:, 0], 0]
    sigma, nu = found.parameters["sigma"][:, None], found.parameters["nu"][:, None]
    r = one.y - eta
    score = (nu + 1) * r / (nu * sigma**2 + r**2)
    level = np.zeros((3000, 8))
    np.add.at(level.T, one.terms[0].codes[:, 0], score.T)
    level -= found.effects["1|g"][:, :, 0] / found.sd["1|g"] ** 2
    error = level.std(axis=0) / np.sqrt(1000)
    np.testing.assert_allclose(level.mean(axis=0) / error, 0.0, atol=4.5)


def test_what_no_normal_proposal_is_good_for_is_refused() -> None:
    one = one_term("t")
    priors = {"sigma": half_normal, "nu": of_nu}
    with pytest.raises(EngineError, match="no family"):
        sample_rowwise(one, "cauchy", priors)
    with pytest.raises(EngineError, match="neither a prior"):
        sample_rowwise(one, "t", {"sigma": half_normal})
    further = Predictor("sigma", np.ones((24, 1)), np.zeros(1), np.ones(1), one.terms)
    with pytest.raises(EngineError, match="has group terms"):
        sample_rowwise(replace(one, further=(further,)), "t", priors)
    with pytest.raises(EngineError, match="row_precision"):
        sample_rowwise(replace(one, row_precision=np.ones(24)), "t", priors)


def test_poor_weights_of_very_many_rows_are_refused_after_one_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, priors = one_term("gamma"), {"alpha": half_normal}
    monkeypatch.setattr(sample, "_HOPELESS", 0.99)
    found = sample_rowwise(one, "gamma", priors, draws=400)  # few rows: each draw is cheap
    assert found.diagnostics.importance_ess > 260
    monkeypatch.setattr(sample, "_DEAR", 0)
    # one round of 60 for each of two parameters and one more
    with pytest.raises(EngineError, match=r"weights of 180 proposals are worth \d+\.\d% of"):
        sample_rowwise(one, "gamma", priors, draws=400)


def test_several_modes_are_refused() -> None:
    # two clusters of one group of a coefficient with a flat prior: either may be the outliers
    y = np.concatenate([np.zeros(8), 0.01 * np.arange(4), 8 + 0.01 * np.arange(4)])
    second = np.repeat([0.0, 1.0], 8)
    design = np.column_stack([np.ones(16), second])
    one = problem(y + 0.1 * np.sin(np.arange(16)), design, [], beta_sd=50.0)
    with pytest.raises(EngineError, match="modes"):
        sample_rowwise(
            one,
            "t",
            {
                "sigma": lambda s: stats.lognorm.logpdf(s, 0.1, scale=0.1),
                "nu": lambda v: stats.lognorm.logpdf(v, 0.1, scale=1.5),
            },
        )


def test_a_coefficient_of_crossed_terms_is_found_where_it_is() -> None:
    rng = np.random.default_rng(9)
    n, x = 480, rng.normal(size=480)
    codes = [rng.integers(0, size, n) for size in (80, 12)]
    effects = [0.5 * rng.normal(size=size) for size in (80, 12)]
    y = 1 + 0.5 * x + effects[0][codes[0]] + effects[1][codes[1]] + 0.4 * rng.standard_t(4, n)
    terms = [
        term(f"1|{name}", np.ones((n, 1)), code, size)
        for name, code, size in zip("gh", codes, (80, 12), strict=True)
    ]
    one = problem(y, np.column_stack([np.ones(n), x]), terms)
    found = sample_rowwise(one, "t", {"sigma": half_normal, "nu": of_nu}, draws=1000)
    assert found.diagnostics.pareto_k < 0.5
    assert found.diagnostics.importance_ess > 600
    assert abs(found.beta[:, 1].mean() - 0.5) < 4 * found.beta[:, 1].std()
    assert abs(np.corrcoef(found.effects["1|h"].mean(axis=0)[:, 0], effects[1])[0, 1]) > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("family", ["skew_normal", "exgaussian"])
def test_very_uneven_noise_with_nested_terms_has_light_weights(family: str) -> None:
    """Slant -6, of which normal proposals about one mode had a Pareto k above one."""
    rng = np.random.default_rng(11)
    seed, n = np.repeat(np.arange(24), 9), 216
    cell = np.repeat(np.arange(72), 3)
    x = rng.normal(size=n)
    mean = 0.5 + 0.4 * x + 0.5 * rng.normal(size=24)[seed] + 0.3 * rng.normal(size=72)[cell]
    if family == "skew_normal":
        noise, priors = stats.skewnorm(-6), {"sigma": half_normal, "alpha": wide}
    else:
        noise, priors = stats.exponnorm(5), {"sigma": half_normal, "nu": half_normal}
    y = mean + 0.8 * (noise.rvs(n, random_state=rng) - noise.mean()) / noise.std()
    ones = np.ones((n, 1))
    terms = [term("1|seed", ones, seed, 24), term("1|cell", ones, cell, 72)]
    one = problem(y, np.column_stack([np.ones(n), x]), terms)
    found = sample_rowwise(one, family, priors, draws=1000, random_seed=2)
    assert found.diagnostics.pareto_k < 0.7
    assert found.diagnostics.importance_ess > 400
    assert abs(found.beta[:, 1].mean() - 0.4) < 4 * found.beta[:, 1].std()
    spread = np.sqrt(sum(found.parameters[name] ** 2 for name in ("sigma", "nu") if name in priors))
    assert abs(spread.mean() - 0.8) < 4 * spread.std()
