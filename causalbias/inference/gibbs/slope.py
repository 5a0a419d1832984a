"""Gibbs sampler of a line whose points are known in both directions up to correlated errors.

A structural errors-in-variables model (Carroll, Ruppert, Stefanski and Crainiceanu 2006, ch. 9)
whose error covariances are known. For n points,

    m ~ N(x, V),    x_i ~ N(mu, tau^2),
    y ~ N(a + b x, W + s^2 I),

with x latent; s is the scatter of true outcomes about the line. Priors, with ``sd(y)`` and
``sd(m)`` the standard deviations of the points: b is ``N(0, (2.5 sd(y) / sd(m))^2)``, a and mu are
flat, s and tau half-t with 3 degrees of freedom, of scales ``2.5 sd(y)`` and ``2.5 sd(m)``.
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from causalbias.inference.gibbs.steps import draw_normal
from causalbias.inference.problem import FloatArray

GRID = 80  # values of the scatter
NU = 3.0  # degrees of freedom of the half-t priors of standard deviations


@dataclass(frozen=True)
class _Line:
    """What does not change from one iteration to the next.

    Attributes
    ----------
    y, m : ndarray (n,)
    own, basis : ndarray (n,), (n, n)
        Eigenvalues and vectors of W: ``W + s^2 I = basis diag(own + s^2) basis'`` for every s.
    m_precision : ndarray (n, n)
        ``V^-1``.
    grid, log_prior : ndarray (GRID,)
        Values of s, evenly in the logarithm, and the log prior of s on that scale.
    prior_precision : ndarray (2, 2)
        Of (a, b).
    m_scale : float
        Scale of tau's prior.
    """

    y: FloatArray
    m: FloatArray
    own: FloatArray
    basis: FloatArray
    m_precision: FloatArray
    grid: FloatArray
    log_prior: FloatArray
    prior_precision: FloatArray
    m_scale: float


def sample_slope(
    y: FloatArray,
    y_cov: FloatArray,
    m: FloatArray,
    m_cov: FloatArray,
    *,
    draws: int,
    tune: int,
    rng: np.random.Generator,
) -> dict[str, FloatArray]:
    """One chain of the model above.

    Parameters
    ----------
    y, y_cov : ndarray (n,), (n, n)
        Estimated outcomes, and the covariance W of their errors.
    m, m_cov : ndarray (n,), (n, n)
        Estimated values of what the line is of, and the covariance V of their errors.
    draws, tune : int
        Iterations that are kept, after those that are not.
    rng : Generator

    Returns
    -------
    dict
        ``slope``, ``intercept``, ``scatter`` (draws,): b, a and s; ``latent`` (draws, n): x.
    """
    n = len(y)
    line = _laid_out(y, y_cov, m, m_cov)
    spread = np.std(m, ddof=1)
    x, mu, tau, mixing = m.copy(), m.mean(), spread * rng.uniform(0.5, 2), 1.0
    scatter = line.grid[GRID // 2]
    kept: dict[str, list[FloatArray]] = {k: [] for k in ("slope", "intercept", "scatter", "latent")}
    for step in range(tune + draws):
        a, b, scatter = _line_given(line, x, scatter, rng)
        x = _latent_given(line, a, b, scatter, mu, tau, rng)
        mu = rng.normal(x.mean(), tau / np.sqrt(n))
        # The half-t of tau is a mixture of inverse gammas (Wand et al. 2011).
        rate = np.square(x - mu).sum() / 2 + NU / mixing
        tau = np.sqrt(rate / rng.gamma((n + NU) / 2))
        mixing = (NU / tau**2 + 1 / line.m_scale**2) / rng.gamma((NU + 1) / 2)
        if step >= tune:
            for name, value in zip(kept, (b, a, scatter, x), strict=True):
                kept[name].append(np.asarray(value))
    return {name: np.stack(values) for name, values in kept.items()}


def _laid_out(y: FloatArray, y_cov: FloatArray, m: FloatArray, m_cov: FloatArray) -> _Line:
    own, basis = linalg.eigh(y_cov)
    spread_y, spread_m = np.std(y, ddof=1), np.std(m, ddof=1)
    grid = spread_y * np.geomspace(1e-3, 10, GRID)
    return _Line(
        y=y,
        m=m,
        own=np.maximum(own, 0.0),
        basis=basis,
        m_precision=linalg.inv(m_cov + 1e-12 * np.trace(m_cov) * np.eye(len(y))),
        grid=grid,
        # Half-t density times s, the Jacobian of log s.
        log_prior=np.log(grid) - (NU + 1) / 2 * np.log1p(np.square(grid / (2.5 * spread_y)) / NU),
        # A flat prior of b has no proper posterior: values all alike would bear any slope.
        prior_precision=np.diag([0.0, (spread_m / (2.5 * spread_y)) ** 2]),
        m_scale=2.5 * spread_m,
    )


def _line_given(
    line: _Line, x: FloatArray, scatter: float, rng: np.random.Generator
) -> tuple[float, float, float]:
    """(a, b) given x and s, then s on its grid given x and (a, b), by the Gumbel-max trick."""
    weights = 1 / (line.own + scatter**2)
    design = line.basis.T @ np.column_stack([np.ones(len(x)), x])
    right = design.T @ (weights * (line.basis.T @ line.y))
    precision = design.T @ (design * weights[:, None]) + line.prior_precision
    both = draw_normal(precision, right, rng)
    variance = line.own + np.square(line.grid)[:, None]
    away = np.square(line.basis.T @ line.y - design @ both)
    log_chance = line.log_prior - 0.5 * (np.log(variance) + away / variance).sum(axis=1)
    at = int(np.argmax(log_chance + rng.gumbel(size=GRID)))
    return both[0], both[1], line.grid[at]


def _latent_given(
    line: _Line,
    a: float,
    b: float,
    scatter: float,
    mu: float,
    tau: float,
    rng: np.random.Generator,
) -> FloatArray:
    """X given all else, of precision ``V^-1 + b^2 (W + s^2 I)^-1 + I / tau^2``."""
    inverse = (line.basis / (line.own + scatter**2)) @ line.basis.T
    return draw_normal(
        line.m_precision + b**2 * inverse + np.eye(len(line.y)) / tau**2,
        line.m_precision @ line.m + b * inverse @ (line.y - a) + mu / tau**2,
        rng,
    )
