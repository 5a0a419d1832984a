"""The marginal density against lme4's REML and ML fits.

With flat coefficients the collapsed density at fixed scales is lme4's restricted likelihood, and
with no coefficients, on the residual of its fixed effects, its likelihood: values must agree and
lme4's optimum must be ours. Numbers are by lme4 1.1-31, R 4.2.2, run as::

    library(lme4)
    lehmer <- function(n, x) { u <- numeric(n)
      for (i in seq_len(n)) { x <- (16807 * x) %% 2147483647; u[i] <- x / 2147483647 }; u }
    ctl <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-11, maxfun = 1e5),
                       calc.derivs = FALSE)
    # slopes (the shape of sleepstudy)
    z <- qnorm(lehmer(18*2 + 180, 1)); g <- rep(1:18, each = 10); x <- rep(0:9, 18)
    y <- 250 + 10*x + 25*z[g] + (2*z[g] + 5*z[18+g])*x + 25*z[37:216]
    lmer(y ~ x + (x | g), control = ctl)                     # and REML = FALSE
    # crossed (the shape of Penicillin)
    z <- qnorm(lehmer(24 + 6 + 144, 2)); a <- rep(1:24, each = 6); b <- rep(1:6, 24)
    y <- 23 + 0.85*z[a] + 1.8*z[24+b] + 0.55*z[31:174]
    lmer(y ~ 1 + (1 | a) + (1 | b), control = ctl)
    # nested, unbalanced, weighted
    u <- lehmer(200*2 + 60 + 12 + 4 + 200, 3); z <- qnorm(u[201:length(u)])
    pair <- floor(60*u[1:200]^1.3); proto <- pair %/% 5; seed <- proto %/% 3
    w <- 0.5 + (0:199 %% 4); x <- z[1:200]
    y <- 1 - 0.5*x + 0.8*z[200+1+pair] + 0.6*z[260+1+proto] + z[272+1+seed] +
      0.7*z[277:476]/sqrt(w)
    lmer(y ~ x + (1 | pair) + (1 | proto) + (1 | seed), weights = w, control = ctl)
    # ratings (the shape of InstEval)
    u <- lehmer(9000 + 200 + 80 + 16 + 3000, 4); k <- 1:3000; z <- qnorm(u[9001:length(u)])
    s <- floor(200*u[k]^1.5); d <- floor(80*u[3000+k]^1.2); x <- as.numeric(u[6000+k] < 0.4)
    ds <- 2*(d %/% 10) + x
    y <- 3.2 - 0.1*x + 0.35*z[1+s] + 0.5*z[200+1+d] + 0.15*z[280+1+ds] + 1.2*z[296+k]
    y <- pmin(5, pmax(1, round(y)))
    lmer(y ~ x + (1 | s) + (1 | d) + (1 | ds), control = ctl)
    # counted: 300 rows, of which 100 are distinct
    u <- lehmer(910, 5); g <- floor(10*u[1:300]); x <- floor(3*u[301:600]); z <- qnorm(u[601:910])
    y <- round(1 + 0.4*x + 0.6*z[1+g] + 0.8*z[10+1:300])
    lmer(y ~ x + (1 | g), control = ctl)
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from causalbias.inference.equal_rows import merge_equal_rows
from causalbias.inference.gaussian.blocks import build_blocks
from causalbias.inference.gaussian.density import draw_given, eliminate
from causalbias.inference.gaussian.sample import sample_gaussian
from causalbias.inference.problem import FloatArray, Problem
from tests.inference.gaussian_cases import problem, term


def lehmer(n: int, x: int) -> FloatArray:
    u = np.empty(n)
    for i in range(n):
        x = 16807 * x % 2147483647
        u[i] = x / 2147483647
    return u


def flat(p: Problem) -> Problem:
    return replace(p, beta_sd=np.full(len(p.beta_sd), np.inf))


def slopes() -> Problem:
    z, g = norm.ppf(lehmer(216, 1)), np.repeat(np.arange(18), 10)
    x = np.tile(np.arange(10.0), 18)
    y = 250 + 10 * x + 25 * z[g] + (2 * z[g] + 5 * z[18 + g]) * x + 25 * z[36:]
    design = np.column_stack([np.ones(180), x])
    return flat(problem(y, design, [term("x|g", design, g, 18)]))


def crossed() -> Problem:
    z, a, b = norm.ppf(lehmer(174, 2)), np.repeat(np.arange(24), 6), np.tile(np.arange(6), 24)
    y = 23 + 0.85 * z[a] + 1.8 * z[24 + b] + 0.55 * z[30:]
    one = np.ones((144, 1))
    return flat(problem(y, one, [term("1|a", one, a, 24), term("1|b", one, b, 6)]))


def weighted() -> Problem:
    u = lehmer(676, 3)
    z = norm.ppf(u[200:])
    pair = np.floor(60 * u[:200] ** 1.3).astype(int)
    proto, seed = pair // 5, pair // 15
    w, x = 0.5 + np.arange(200) % 4, z[:200]
    y = 1 - 0.5 * x + 0.8 * z[200 + pair] + 0.6 * z[260 + proto] + z[272 + seed]
    y += 0.7 * z[276:] / np.sqrt(w)
    one = np.ones((200, 1))
    terms = [term("1|pair", one, pair, 60), term("1|proto", one, proto, 12)]
    made = problem(y, np.column_stack([one, x]), [*terms, term("1|seed", one, seed, 4)])
    return replace(flat(made), row_precision=w)


def ratings() -> Problem:
    u = lehmer(12_296, 4)
    z = norm.ppf(u[9000:])
    s, d = np.floor(200 * u[:3000] ** 1.5).astype(int), np.floor(80 * u[3000:6000] ** 1.2)
    x, d = (u[6000:9000] < 0.4).astype(int), d.astype(int)
    ds = 2 * (d // 10) + x
    y = 3.2 - 0.1 * x + 0.35 * z[s] + 0.5 * z[200 + d] + 0.15 * z[280 + ds] + 1.2 * z[296:]
    one = np.ones((3000, 1))
    terms = [term("1|s", one, s, 200), term("1|d", one, d, 80), term("1|ds", one, ds, 16)]
    return flat(problem(np.round(y).clip(1, 5), np.column_stack([one, x]), terms))


def counted() -> Problem:
    u = lehmer(910, 5)
    z, g, x = norm.ppf(u[600:]), np.floor(10 * u[:300]).astype(int), np.floor(3 * u[300:600])
    y = np.round(1 + 0.4 * x + 0.6 * z[g] + 0.8 * z[10:])
    one = np.ones((300, 1))
    made = flat(problem(y, np.column_stack([one, x]), [term("1|g", one, g, 10)]))
    merged, _ = merge_equal_rows(made)
    assert len(merged.y) == 100
    return merged


def correlated(sd: tuple[float, float], corr: float) -> FloatArray:
    chol = np.array([[1.0, 0.0], [corr, np.sqrt(1 - corr**2)]])
    return np.array(sd)[:, None] * chol


SLOPES_SD, SLOPES_BETA = (32.052511286469, 5.572513280442), [240.0444896862, 8.9075971875]
REML = {
    "slopes": (
        slopes,
        24.254570597394,
        [correlated(SLOPES_SD, 0.843339990793)],
        SLOPES_BETA,
        -863.4787016424,
    ),
    "crossed": (
        crossed,
        0.617951507809,
        [[[1.084274509441]], [[1.678741704237]]],
        [22.0466855153],
        -183.6603172609,
    ),
    "weighted": (
        weighted,
        0.677937457836,
        [[[0.884313866736]], [[0.410902475677]], [[1.222787932438]]],
        [0.5293296656, -0.4346104494],
        -234.8316740009,
    ),
    "ratings": (
        ratings,
        1.0751203997037,
        [[[0.3217943535321]], [[0.4532896310475]], [[0.1136585602599]]],
        [3.261433819292, -0.032384201938],
        -4642.132014637,
    ),
    "counted": (
        counted,
        0.8265960387641,
        [[[0.4929891822092]]],
        [0.77263291006, 0.44952951069],
        -382.5726121048,
    ),
}


def log_marginal(p: Problem, sigma: float, factors: list[FloatArray]) -> float:
    made = build_blocks(p)
    done = eliminate(made, sigma, factors, np.empty_like(made.total))
    assert done is not None
    return done.log_marginal


@pytest.mark.parametrize("name", REML)
def test_restricted_likelihood_and_its_optimum(name):
    make, sigma, raw, beta, log_lik = REML[name]
    p, factors = make(), [np.array(f) for f in raw]
    best = log_marginal(p, sigma, factors)
    assert best == pytest.approx(log_lik, abs=1e-7)
    for step in (1e-3, -1e-3):
        assert log_marginal(p, sigma * (1 + step), factors) < best
        for i, factor in enumerate(factors):
            for at in zip(*np.tril_indices(len(factor)), strict=True):
                moved = [f.copy() for f in factors]
                moved[i][at] += step * abs(factor[at])
                assert log_marginal(p, sigma, moved) < best

    made, rng = build_blocks(p), np.random.default_rng(0)
    done = eliminate(made, sigma, factors, np.empty_like(made.total))
    drawn = np.array([draw_given(done, made, rng.standard_normal)[0] for _ in range(4000)])
    error = drawn.std(axis=0) / np.sqrt(4000)
    assert (np.abs(drawn.mean(axis=0) - beta) < 4 * error).all()


def test_likelihood_at_the_ml_fit():
    p = slopes()
    residual = p.y - p.design @ SLOPES_BETA
    bare = replace(
        p, y=residual, design=np.empty((180, 0)), beta_mean=np.empty(0), beta_sd=np.empty(0)
    )
    factor = correlated((30.967681114283, 5.378809867214), 0.864779958741)
    assert log_marginal(bare, 24.254570452572, [factor]) == pytest.approx(-867.5985136889, abs=1e-7)


@pytest.mark.parametrize("name", REML)
def test_posterior_surrounds_the_reml_fit(name):
    """Under flat priors on all scales the REML fit is the mode: draws must surround it."""
    make, sigma, raw, beta, _ = REML[name]
    p = make()
    p = replace(
        p, terms=tuple(replace(t, sd_log_prior=(wide,) * t.columns.shape[1]) for t in p.terms)
    )
    found = sample_gaussian(p, wide, draws=2000, random_seed=0)
    assert found.diagnostics.pareto_k < 0.7
    assert abs(np.median(found.sigma) - sigma) < found.sigma.std()
    for t, factor in zip(p.terms, raw, strict=True):
        sds = np.sqrt((np.array(factor) ** 2).sum(axis=1))
        assert (np.quantile(found.sd[t.name], 0.02, axis=0) < sds).all()
        assert (np.quantile(found.sd[t.name], 0.98, axis=0) > sds).all()
    assert (np.abs(found.beta.mean(axis=0) - beta) < 0.3 * found.beta.std(axis=0)).all()


def wide(sd: FloatArray) -> FloatArray:
    """Half-normal of scale 100, up to a constant."""
    return -0.5 * (sd / 100) ** 2
