"""Small Gaussian problems, awkward in one way each, and a dense reference for them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from causalbias.inference.problem import FloatArray, GroupTerm, LogDensity, Problem

SD_SCALE = 1.5


def half_normal(sd: FloatArray) -> FloatArray:
    """Log density of a half-normal of scale 1.5."""
    return np.asarray(stats.halfnorm.logpdf(sd, scale=SD_SCALE))


def term(
    name: str,
    columns: FloatArray,
    codes: np.ndarray,
    n_levels: int,
    *,
    correlated: bool = True,
    eta: float = 1.5,
    prior: LogDensity = half_normal,
) -> GroupTerm:
    """Make a term; equal membership weights, correlated where it has several columns."""
    codes = np.asarray(codes, dtype=np.int64).reshape(len(columns), -1)
    k = columns.shape[1]
    return GroupTerm(
        name,
        tuple(f"x{j}" for j in range(k)),
        columns,
        codes,
        np.full(codes.shape, 1 / codes.shape[1]),
        n_levels,
        correlated and k > 1,
        (prior,) * k,
        eta,
    )


def problem(
    y: FloatArray, design: FloatArray, terms: Sequence[GroupTerm], *, beta_sd: float = 5.0
) -> Problem:
    """Make a problem of unit weights with Normal(0, beta_sd) coefficients."""
    p = design.shape[1]
    return Problem(y, design, np.zeros(p), np.full(p, beta_sd), tuple(terms), np.ones(len(y)))


def taken(p: Problem, rows: np.ndarray) -> Problem:
    """Return the problem of these rows, in this order, repeats allowed."""

    def of(t: GroupTerm) -> GroupTerm:
        return replace(t, columns=t.columns[rows], codes=t.codes[rows], weights=t.weights[rows])

    return replace(
        p,
        y=p.y[rows],
        design=p.design[rows],
        terms=tuple(map(of, p.terms)),
        row_weight=p.row_weight[rows],
        row_precision=None if p.row_precision is None else p.row_precision[rows],
    )


def written_out(p: Problem) -> Problem:
    """Return the problem with every row repeated as often as it counts."""
    out = taken(p, np.repeat(np.arange(len(p.y)), p.row_weight.astype(int)))
    return replace(out, row_weight=np.ones(len(out.y)))


def indicator(t: GroupTerm) -> FloatArray:
    """Return the dense (n, levels, k) design of a term."""
    n, k = t.columns.shape
    z = np.zeros((n, t.n_levels, k))
    for m in range(t.codes.shape[1]):
        for i in range(n):
            z[i, t.codes[i, m]] += t.weights[i, m] * t.columns[i]
    return z


def dense_joint(
    p: Problem, sigma: float, factors: Sequence[FloatArray]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return all columns (n, q), their prior variances whitened in, and the noise variances.

    Of a problem that was written out.
    """
    parts = [p.design * p.beta_sd]
    for t, f in zip(p.terms, factors, strict=True):
        parts.append((indicator(t) @ f).reshape(len(p.y), -1))
    noise = np.broadcast_to(p.noise_sd(np.array([sigma]))[0] ** 2, len(p.y))
    return np.hstack(parts), p.design @ p.beta_mean, noise


def dense_log_marginal(p: Problem, sigma: float, factors: Sequence[FloatArray]) -> float:
    """Multivariate normal log density of y given the scales, by scipy, with n x n matrices."""
    p = written_out(p)
    columns, mean, noise = dense_joint(p, sigma, factors)
    return float(stats.multivariate_normal.logpdf(p.y, mean, columns @ columns.T + np.diag(noise)))


def _noise(rng: np.random.Generator, n: int) -> FloatArray:
    return 0.7 * rng.standard_normal(n)


def crossed_unbalanced() -> Problem:
    """Cross two factors of very unequal counts, rows of unequal precision."""
    rng = np.random.default_rng(1)
    n = 120
    a, b = rng.binomial(11, 0.3, n), rng.geometric(0.3, n).clip(max=7) - 1
    x = np.column_stack([np.ones(n), rng.standard_normal(n)])
    y = x @ [1.0, -0.5] + rng.normal(size=12)[a] + 0.4 * rng.normal(size=7)[b] + _noise(rng, n)
    ones = np.ones((n, 1))
    made = problem(y, x, [term("1|a", ones, a, 12), term("1|b", ones, b, 7)])
    return replace(made, row_precision=rng.uniform(0.5, 2, n))


def one_member() -> Problem:
    """Make most groups one row: sigma and the group sd are told apart by a few pairs."""
    rng = np.random.default_rng(2)
    g = np.concatenate([np.arange(30), np.arange(6)])
    y = 2.0 + 0.6 * rng.normal(size=30)[g] + _noise(rng, 36)
    ones = np.ones((36, 1))
    return problem(y, ones, [term("1|g", ones, g, 30)])


def saturated() -> Problem:
    """Give one row a group throughout: only the sum of the variances is known."""
    rng = np.random.default_rng(3)
    y = 1.0 + rng.standard_normal(40)
    ones = np.ones((40, 1))
    return problem(y, ones, [term("1|g", ones, np.arange(40), 40)])


def multi_member() -> Problem:
    """Make pairs of two seeds each, and replicates of the pair."""
    rng = np.random.default_rng(4)
    seeds = np.array([(i, j) for i in range(8) for j in range(i)])
    pair = np.repeat(np.arange(len(seeds)), 3)
    u, v = rng.normal(size=8), 0.5 * rng.normal(size=len(seeds))
    x = np.column_stack([np.ones(len(pair)), np.tile([0.0, 1.0, 2.0], len(seeds))])
    y = x @ [0.5, 0.3] + u[seeds].mean(axis=1)[pair] + v[pair] + _noise(rng, len(pair))
    ones = np.ones((len(pair), 1))
    return problem(
        y, x, [term("1|seed", ones, seeds[pair], 8), term("1|pair", ones, pair, len(seeds))]
    )


def sd_near_zero() -> Problem:
    """Make a grouping that does nothing, and one with three levels."""
    rng = np.random.default_rng(5)
    n = 90
    g, h = rng.integers(0, 15, n), rng.integers(0, 3, n)
    y = 1.0 + np.array([-1.0, 0.0, 1.2])[h] + _noise(rng, n)
    ones = np.ones((n, 1))
    return problem(y, ones, [term("1|g", ones, g, 15), term("1|h", ones, h, 3)])


def correlated_slopes() -> Problem:
    """Make intercepts and slopes with correlation 0.95."""
    rng = np.random.default_rng(6)
    g = np.repeat(np.arange(18), 6)
    x = np.column_stack([np.ones(108), rng.standard_normal(108)])
    chol = np.array([[1.0, 0.0], [0.95 * 0.8, np.sqrt(1 - 0.95**2) * 0.8]])
    u = rng.standard_normal((18, 2)) @ chol.T
    y = x @ [1.0, 0.5] + (x * u[g]).sum(axis=1) + _noise(rng, 108)
    return problem(y, x, [term("x|g", x, g, 18)])


def three_slopes() -> Problem:
    """Make three correlated effects of few levels, two of them nearly nil."""
    rng = np.random.default_rng(7)
    g = np.repeat(np.arange(9), 8)
    x = np.column_stack([np.ones(72), rng.standard_normal((72, 2))])
    u = rng.standard_normal((9, 3)) * [1.0, 0.1, 0.05]
    y = x @ [1.0, 0.5, 0.0] + (x * u[g]).sum(axis=1) + _noise(rng, 72)
    return problem(y, x, [term("x|g", x, g, 9)])


def collinear() -> Problem:
    """Make two equal columns and their sum, all with proper priors."""
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(10), 5)
    x = rng.standard_normal(50)
    design = np.column_stack([np.ones(50), x, x, 2 * x])
    y = 1 + x + 0.8 * rng.normal(size=10)[g] + _noise(rng, 50)
    ones = np.ones((50, 1))
    return problem(y, design, [term("1|g", ones, g, 10)], beta_sd=2.0)


def nested() -> Problem:
    """Nest three levels, slopes in the middle one, uneven."""
    rng = np.random.default_rng(9)
    pair = rng.integers(0, 40, 150)
    proto, seed = pair // 4, pair // 4 % 5
    x = np.column_stack([np.ones(150), rng.standard_normal(150)])
    y = x @ [1.0, -1.0] + rng.normal(size=5)[seed] + 0.5 * rng.normal(size=10)[proto]
    y += 0.3 * rng.normal(size=10)[proto] * x[:, 1] + _noise(rng, 150)
    ones = np.ones((150, 1))
    return problem(
        y,
        x,
        [
            term("1|pair", ones, pair, 40),
            term("x|proto", x, proto, 10),
            term("1|seed", ones, seed, 5),
        ],
    )


def counted() -> Problem:
    """Make coarse responses, so that rows are equal and stand for several; half of them precise."""
    rng = np.random.default_rng(10)
    g, x = rng.integers(0, 6, 60), rng.integers(0, 2, 60)
    y = np.round(1 + 0.5 * x + 0.7 * rng.normal(size=6)[g] + _noise(rng, 60), 1)
    ones = np.ones((60, 1))
    made = problem(y, np.column_stack([ones, x]), [term("1|g", ones, g, 6)])
    return replace(made, row_weight=rng.integers(1, 4, 60) + 0.0, row_precision=1.0 + g % 2)


CASES = (
    crossed_unbalanced,
    one_member,
    saturated,
    multi_member,
    sd_near_zero,
    correlated_slopes,
    three_slopes,
    collinear,
    nested,
    counted,
)
