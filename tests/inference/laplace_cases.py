"""Small ordinal and binary problems, and brute-force references for them."""

import numpy as np
from scipy import special

from causalbias.inference.laplace.conditional import Target
from causalbias.inference.laplace.drawn import PredictorDraws
from causalbias.inference.laplace.target import make_target
from causalbias.inference.problem import FloatArray, GroupTerm, Problem
from tests.inference.gaussian_cases import problem, term

N_CUTS = 3
# log of the standard normal density over v on a grid, times the step
V = np.linspace(-30.0, 30.0, 120_001)
LOG_V = -0.5 * V**2 - 0.5 * np.log(2 * np.pi) + np.log(V[1] - V[0])


def log_cdf(link: str, x: FloatArray) -> FloatArray:
    return special.log_ndtr(x) if link == "probit" else special.log_expit(x)


def log_cell(link: str, a: FloatArray, b: FloatArray) -> FloatArray:
    """Return log(F(a) - F(b)) in the tail where it is accurate."""
    a, b = np.broadcast_arrays(np.asarray(a, float), np.asarray(b, float))
    flip = a + b > 0
    high, low = np.where(flip, -b, a), np.where(flip, -a, b)
    top = log_cdf(link, high)
    return top + np.log(-np.expm1(log_cdf(link, low) - top))


def level_log_likelihood(
    link: str,
    cuts: FloatArray,
    sd: float,
    eta: FloatArray,
    category: np.ndarray,
    count: FloatArray,
) -> FloatArray:
    """Return the log of prior times likelihood of one level on the grid V, times its step."""
    ends = np.concatenate([[-np.inf], cuts, [np.inf]])
    rows, first = np.unique(np.column_stack([eta, category]), axis=0, return_inverse=True)
    counts = np.bincount(first.ravel(), count)
    out = LOG_V.copy()
    for (at, c), times in zip(rows, counts, strict=True):
        x = at + sd * V
        out += times * log_cell(link, ends[int(c) + 1] - x, ends[int(c)] - x)
    return out


def ones(n: int) -> FloatArray:
    return np.ones((n, 1))


def leading(rng: np.random.Generator, n: int) -> tuple[GroupTerm, ...]:
    return (
        term("1|g", ones(n), rng.integers(0, 15, n), 15),
        term("1|h", ones(n), rng.integers(0, 4, n), 4),
    )


def none_leads(rng: np.random.Generator, n: int) -> tuple[GroupTerm, ...]:
    return (term("x|g", rng.standard_normal((n, 1)), rng.integers(0, 6, n), 6),)


def multi_member(rng: np.random.Generator, n: int) -> tuple[GroupTerm, ...]:
    pairs = np.array([(i, j) for i in range(6) for j in range(i)])
    pair = rng.integers(0, len(pairs), n)
    return term("1|mm", ones(n), pairs[pair], 6), term("1|pair", ones(n), pair, len(pairs))


def slopes(rng: np.random.Generator, n: int) -> tuple[GroupTerm, ...]:
    x = np.column_stack([np.ones(n), rng.standard_normal(n)])
    return (
        term("x|g", x, rng.integers(0, 5, n), 5),
        term("1|h", ones(n), rng.integers(0, 12, n), 12),
    )


FAMILIES = ("cumulative", "sets", "bernoulli", "binomial")
LAYOUTS = (leading, none_leads, multi_member, slopes)


def made(family: str, layout, seed: int = 0, n: int = 90) -> tuple[Problem, dict]:
    """Return a problem, and what else `sample_laplace` is told of it."""
    rng = np.random.default_rng(seed)
    terms = layout(rng, n)
    x = np.column_stack([np.ones(n), rng.standard_normal(n)])
    eta = x @ [0.3, 0.8] + 0.7 * rng.standard_normal(n)
    options: dict = {}
    if family == "cumulative":
        y = np.digitize(eta + rng.logistic(size=n), [-1.0, 0.3, 1.5]).astype(float)
        x = x[:, 1:]
        options |= {"threshold_mean": np.zeros(N_CUTS), "threshold_sd": np.full(N_CUTS, 3.0)}
    elif family == "sets":  # of four categories and of three
        y = np.digitize(eta + rng.logistic(size=n), [-1.0, 0.3, 1.5])
        second = rng.integers(0, 2, n) == 1
        y = np.where(second, 5 + np.minimum(y, 2), y).astype(float)
        x = x[:, 1:]
        options["threshold_mean"] = np.array([0.0, 0.0, 0.0, np.inf, -np.inf, 0.0, 0.0])
        options["threshold_sd"] = np.array([3.0, 3.0, 3.0, 0.0, 0.0, 3.0, 3.0])
    elif family == "bernoulli":
        y = (eta + rng.logistic(size=n) > 0).astype(float)
    else:
        options["trials"] = rng.integers(1, 6, n).astype(float)
        y = rng.binomial(options["trials"].astype(int), special.expit(eta)).astype(float)
    return problem(y, x, terms, beta_sd=2.5), options


def target_of(p: Problem, options: dict, link: str = "logit", n_nodes: int = 31) -> Target:
    given = {"trials": None, "threshold_mean": None, "threshold_sd": None} | options
    return make_target(
        p,
        link,
        given["trials"],
        given["threshold_mean"],
        given["threshold_sd"],
        n_nodes,
    )


def some_scales(target: Target, rng: np.random.Generator) -> tuple[float, list[FloatArray]]:
    """Return a leading sd (-1 where none leads) and factors of the dense terms."""
    factors = []
    for t in target.rows.dense:
        k = t.columns.shape[1]
        factors.append(np.tril(rng.uniform(0.3, 0.9, (k, k))))
    return (0.8 if target.rows.leading is not None else -1.0), factors


def some_x(target: Target, rng: np.random.Generator) -> FloatArray:
    cuts = np.sort(rng.normal(0, 1.5, target.n_free))
    s, p = target.rows.n_effects, len(target.beta_mean)
    return np.concatenate([0.7 * rng.standard_normal(s), cuts, 0.5 * rng.standard_normal(p)])


def without_effects(eta: FloatArray) -> PredictorDraws:
    """The predictor of rows without group effects, ``eta`` (draws, rows)."""
    draws, n = eta.shape
    links = np.zeros(n + 1, np.int64), np.zeros(0, np.int64), np.zeros(0)
    fixed = eta.T, np.zeros(n), np.zeros((draws, 0)), np.eye(draws)
    return PredictorDraws(*links, np.arange(n), *fixed)
