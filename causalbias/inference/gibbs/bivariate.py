"""Gibbs sampler of a bivariate mixed model whose first outcome is measured with error.

For rows i (pairs of faces) with latent score t_i and distance d_i, factors k (seeds, say),

    (t_i, d_i) = x_i B + sum_k z_ki U_k + e_i,
    rows of U_k ~ N(0, S_k),    e_i ~ N(0, E),
    mean of n_i answers ~ N(t_i, noise^2 / n_i),

with x_i (p,) a row of the design, B (p, 2), z_ki (levels,) a row of the membership matrix of
factor k, U_k (levels, 2), S_k and E (2, 2). Standard deviations have half-t priors, correlations
uniform ones (the margins of Huang and Wand's 2013 prior), B and log noise flat ones.

What determines each other is not drawn in turn: latent scores are integrated out of all but the
noise, B and U_k out of S_k. If all pairs had n answers, rows would be independent of covariance
``W = E + diag(noise^2 / n, 0)``, and would part out into independent normals in two bases: the one
in which S_k and W are diagonal, and the eigenvectors of ``Z_k' P Z_k``, P being the projection off
the columns of the design. Answers that a pair lacks to the largest number are therefore drawn.
Covariances are drawn by slices, a coordinate at a time, and all else from its conditional.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse

from causalbias.inference.gibbs.steps import slice_draws
from causalbias.inference.problem import FloatArray

NU = 2.0  # degrees of freedom of the half-t priors
ROUNDING = 1e-9  # what of one less a correlation is told from rounding


@dataclass(frozen=True)
class BivariateData:
    """What the sampler sees.

    Attributes
    ----------
    mean, count : ndarray (n,)
        Mean and number of a pair's answers.
    within : float
        Sum over pairs of the squared deviations of answers from their mean.
    distance : ndarray (n,)
    design : ndarray (n, p)
    members : sequence of csr_matrix (n, levels)
        Membership matrix of each factor; rows add up to one.
    scale : ndarray (2,)
        Of the half-t prior of both outcomes' standard deviations.
    """

    mean: FloatArray
    count: FloatArray
    within: float
    distance: FloatArray
    design: FloatArray
    members: Sequence[sparse.csr_matrix]
    scale: FloatArray

    @property
    def outcomes(self) -> FloatArray:
        """Mean answers and distances (n, 2)."""
        return np.column_stack([self.mean, self.distance])


@dataclass
class _State:
    """Where the chain is.

    Attributes
    ----------
    coefficient : ndarray (p, 2)
        B.
    effects : list of ndarray (levels, 2)
        U_k.
    covariances : list of ndarray (2, 2)
        S_k of each factor, and last E.
    noise : float
    """

    coefficient: FloatArray
    effects: list[FloatArray]
    covariances: list[FloatArray]
    noise: float


@dataclass(frozen=True)
class _Factor:
    """What of a factor's membership the sampler needs.

    Attributes
    ----------
    members : csr_matrix (n, levels)
        Z.
    values, vectors : ndarray (levels,), (levels, levels)
        Of ``Z' P Z``.
    """

    members: sparse.csr_matrix
    values: FloatArray
    vectors: FloatArray


def sample_bivariate(
    data: BivariateData, *, draws: int, tune: int, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """One chain.

    Returns
    -------
    dict
        ``coefficient`` (draws, p, 2), ``covariance`` (draws, factors + 1, 2, 2) of each factor
        and last of pairs, ``noise`` (draws,): standard deviation of an answer.
    """
    basis, triangle = linalg.qr(data.design, mode="economic")
    factors = [_factor(one, basis) for one in data.members]
    state = _start(data, rng)
    kept: dict[str, list[FloatArray]] = {"coefficient": [], "covariance": [], "noise": []}
    for at in range(tune + draws):
        fixed = data.design @ state.coefficient + _total(data.members, state.effects)
        outcomes = _completed(data, state, fixed, rng)
        answered = np.diag([state.noise**2 / data.count.max(), 0.0])
        _update_pair_covariance(data, state, outcomes - fixed, answered, rng)
        rows = state.covariances[-1] + answered
        for k, factor in enumerate(factors):
            rest = outcomes - _total(data.members, state.effects, but=k)
            seen = factor.vectors.T @ (factor.members.T @ (rest - basis @ (basis.T @ rest)))
            state.covariances[k] = _factor_covariance(
                factor.values, seen, state.covariances[k], rows, data.scale, rng
            )
            state.effects[k] = _effects(factor, seen, state.covariances[k], rows, rng)
            rest = rest - factor.members @ state.effects[k]
            state.coefficient = _coefficients(basis, triangle, rest, rows, rng)
        if at >= tune:
            kept["coefficient"].append(state.coefficient.copy())
            kept["covariance"].append(np.stack(state.covariances))
            kept["noise"].append(np.array(state.noise))
    return {name: np.stack(values) for name, values in kept.items()}


def _factor(members: sparse.csr_matrix, basis: FloatArray) -> _Factor:
    """A factor's ``Z' P Z`` in its eigenvectors; `basis` (n, p) is orthonormal, of the design."""
    shared = members.T @ basis
    values, vectors = linalg.eigh((members.T @ members).toarray() - shared @ shared.T)
    return _Factor(members, np.clip(values, 0, None), vectors)


def _start(data: BivariateData, rng: np.random.Generator) -> _State:
    """No effects, least-squares coefficients, residuals' covariance in parts of a random size.

    Covariances are drawn a coordinate at a time: of a start far from where residuals are correlated
    the first draws would be farther yet.
    """
    n, sources = len(data.mean), len(data.members) + 1
    coefficient = linalg.lstsq(data.design, data.outcomes)[0]
    residual = data.outcomes - data.design @ coefficient
    start = residual.T @ residual / (n * sources)
    start[[0, 1], [0, 1]] *= 1 + ROUNDING
    answers = data.count.sum()
    return _State(
        coefficient=coefficient,
        effects=[np.zeros((one.shape[1], 2)) for one in data.members],
        covariances=[start * rng.uniform(0.3, 1.5) for _ in range(sources)],
        noise=np.sqrt(data.within / max(1.0, answers - n)) if data.within > 0 else 1.0,
    )


def _total(
    members: Sequence[sparse.csr_matrix], effects: Sequence[FloatArray], but: int = -1
) -> FloatArray:
    """What all factors, but one, add to the outcomes: ``sum_k Z_k U_k`` (n, 2)."""
    pairs = zip(members, effects, strict=True)
    return np.asarray(sum(z @ u for k, (z, u) in enumerate(pairs) if k != but))


def _completed(
    data: BivariateData, state: _State, fixed: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Mean scores of as many answers as the most answered pair has, and distances (n, 2).

    `fixed` (n, 2) is what population and effects make of both.
    Latent scores are drawn given distances and answers, ``N(m_i, v)`` times ``N(t_i, noise^2 /
    n_i)`` with ``slope = E_12 / E_22``, ``m_i`` the row's mean score at its distance and
    ``v = E_11 - slope E_12``; given these the noise, in place, and the answers that a pair lacks.
    """
    pair = state.covariances[-1]
    slope = pair[0, 1] / pair[1, 1]
    prior_mean = fixed[:, 0] + slope * (data.distance - fixed[:, 1])
    prior_precision = 1 / max(pair[0, 0] - slope * pair[0, 1], ROUNDING * pair[0, 0])
    precision = prior_precision + data.count / state.noise**2
    mean = (prior_precision * prior_mean + data.count / state.noise**2 * data.mean) / precision
    latent = mean + rng.standard_normal(len(mean)) / np.sqrt(precision)
    squares = data.within + data.count @ np.square(data.mean - latent)
    state.noise = float(np.sqrt(squares / rng.chisquare(data.count.sum())))
    lacking = data.count.max() - data.count
    added = lacking * latent + state.noise * np.sqrt(lacking) * rng.standard_normal(len(mean))
    return np.column_stack([(data.count * data.mean + added) / data.count.max(), data.distance])


def _update_pair_covariance(
    data: BivariateData,
    state: _State,
    residual: FloatArray,
    answered: FloatArray,
    rng: np.random.Generator,
) -> None:
    """E given all effects, in place: residuals of rows have the covariance ``E + answered``."""
    products = residual.T @ residual
    (one, cross), (_, two) = products.tolist()
    noise = float(answered[0, 0])

    def log_likelihood(covariance: FloatArray) -> float:
        (a, b), (_, c) = covariance.tolist()
        determinant = max(a * c - b * b, 0.0) + noise * c
        quadratic = (c * one - 2 * b * cross + (a + noise) * two) / determinant
        return -0.5 * (len(residual) * math.log(determinant) + quadratic)

    state.covariances[-1] = _sliced(
        log_likelihood, state.covariances[-1], products / len(residual), data.scale, rng
    )


def _factor_covariance(
    values: FloatArray,
    seen: FloatArray,
    group: FloatArray,
    rows: FloatArray,
    scale: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """A factor's covariance with the population's coefficients and its effects integrated out.

    `seen` (levels, 2) is ``V' Z' P R``, R being the outcomes less other factors' effects. With
    ``C' W C = I``, ``C' S C = diag(r)`` and eigenvalues l of ``Z' P Z`` the density of R is, up to
    what does not depend on S, the product over both columns k of ``Q = V' Z' P R C`` and all j of
    ``(1 + r_k l_j)^(-1/2) exp(r_k Q_jk^2 / (1 + r_k l_j) / 2)``.
    """
    whiten = linalg.inv(linalg.cholesky(rows, lower=True))
    white = seen @ whiten.T

    def log_likelihood(covariance: FloatArray) -> float:
        ratio, basis = np.linalg.eigh(whiten @ covariance @ whiten.T)
        grown = 1 + values[:, None] * ratio
        return float(0.5 * (ratio * np.square(white @ basis) / grown - np.log(grown)).sum())

    return _sliced(log_likelihood, group, rows, scale, rng)


def _sliced(
    log_likelihood: Callable[[FloatArray], float],
    covariance: FloatArray,
    unit: FloatArray,
    scale: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """A covariance S (2, 2) after a draw of each coordinate given the others.

    These are the log standard deviations and arctanh of the correlation of ``L^-1 S L'^-1``,
    ``unit = L L'``: of two outcomes that hardly differ the standard deviations alone would move
    together only. The prior's density of S is that of standard deviations s and correlation over
    the Jacobian ``4 s_1^2 s_2^2``, and the same factor leads on to the coordinates.
    """
    root = linalg.cholesky(unit, lower=True)
    widths = (NU * np.square(scale)).tolist()

    def matrix(at: FloatArray) -> FloatArray:
        one, two, r = math.exp(at[0]), math.exp(at[1]), math.tanh(at[2]) * (1 - ROUNDING)
        inner = np.array([[one * one, r * one * two], [r * one * two, two * two]])
        return np.asarray(root @ inner @ root.T)

    def log_density(at: FloatArray) -> float:
        proposed = matrix(at)
        variances = (float(proposed[0, 0]), float(proposed[1, 1]))
        if min(variances) <= 0:  # what rounding leaves of two parts that cancel
            return -math.inf
        prior = sum(
            -(NU + 1) / 2 * math.log1p(variance / width) - math.log(variance)
            for variance, width in zip(variances, widths, strict=True)
        )
        log_one, log_two, turned = at.tolist()
        jacobian = 3 * (log_one + log_two) - 2 * math.log(math.cosh(turned))
        return prior + jacobian + log_likelihood(proposed)

    inverse = linalg.inv(root)
    inner = inverse @ covariance @ inverse.T
    sd = np.sqrt(np.diag(inner))
    correlation = np.clip(inner[0, 1] / sd.prod(), ROUNDING - 1, 1 - ROUNDING)
    start = np.array([*np.log(sd), np.arctanh(correlation)])
    return matrix(slice_draws(log_density, start, rng))


def _effects(
    factor: _Factor,
    seen: FloatArray,
    group: FloatArray,
    rows: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Effects (levels, 2) of a factor, the population's coefficients integrated out.

    In the bases of `_factor_covariance` they are independent, of precision ``l_j + 1 / r_k`` and
    mean ``Q_jk / (l_j + 1 / r_k)``.
    """
    ratio, basis = linalg.eigh(group, rows)
    precision = factor.values[:, None] + 1 / np.maximum(ratio, 1e-12)
    drawn = seen @ basis / precision
    drawn += rng.standard_normal(drawn.shape) / np.sqrt(precision)
    return np.asarray(factor.vectors @ linalg.solve(basis.T, drawn.T).T)


def _coefficients(
    basis: FloatArray,
    triangle: FloatArray,
    rest: FloatArray,
    rows: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Coefficients B (p, 2) given all effects: with ``X = Q T``, ``T B ~ N(Q' rest, W)`` by row."""
    noise = rng.standard_normal((len(triangle), 2)) @ linalg.cholesky(rows)
    return np.asarray(linalg.solve_triangular(triangle, basis.T @ rest + noise))
