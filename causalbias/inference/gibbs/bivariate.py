"""Gibbs sampler of a bivariate mixed model whose first outcome is measured with error.

For rows i (pairs of faces) with latent score t_i and distance d_i, factors k (seeds, say),

    (t_i, d_i) = x_i B + sum_k z_ki U_k + e_i,
    rows of U_k ~ N(0, S_k),    e_i ~ N(0, E),
    mean of n_i answers ~ N(t_i, noise^2 / n_i),

with x_i (p,) a row of the design, B (p, 2), z_ki (levels,) a row of the membership matrix of
factor k, U_k (levels, 2), S_k and E (2, 2). Every step draws from an exact conditional or is a
Metropolis step: E with t integrated out, t, then B with one factor's effects at a time (in the
basis in which S_k and E are diagonal), then S_k and E under Huang and Wand's (2013) prior (half-t
standard deviations, uniform correlations), then the noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse

from causalbias.inference.gibbs.steps import draw_normal, walk
from causalbias.inference.problem import FloatArray, IntArray

NU = 2.0  # degrees of freedom of the half-t; correlations are then uniform


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
    mixing : list of ndarray (2,)
        Auxiliary variables of the covariances' priors.
    latent : ndarray (n, 2)
        t and d.
    noise : float
    """

    coefficient: FloatArray
    effects: list[FloatArray]
    covariances: list[FloatArray]
    mixing: list[FloatArray]
    latent: FloatArray
    noise: float


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
    blocks = [sparse.hstack([sparse.csr_matrix(data.design), z], "csr") for z in data.members]
    grams = [np.asarray((one.T @ one).todense()) for one in blocks]
    state = _start(data, rng)
    answers, of_row = np.unique(data.count, return_inverse=True)
    kept: dict[str, list[FloatArray]] = {"coefficient": [], "covariance": [], "noise": []}
    for at in range(tune + draws):
        fixed = data.design @ state.coefficient + _total(data.members, state.effects)
        state.covariances[-1] = _pair_covariance(
            data.outcomes - fixed,
            answers,
            of_row,
            state.covariances[-1],
            state.mixing[-1],
            state.noise,
            rng,
        )
        pair = state.covariances[-1]
        state.latent[:, 0] = _latent(data, fixed, state.latent[:, 1], pair, state.noise, rng)
        for k in range(len(blocks)):
            _update_factor(data, state, k, blocks[k], grams[k], rng)
        residual = state.latent - data.design @ state.coefficient
        residual -= _total(data.members, state.effects)
        state.covariances[-1] = _covariance(residual, state.mixing[-1], data.scale, rng)
        squares = data.within + data.count @ np.square(data.mean - state.latent[:, 0])
        state.noise = float(np.sqrt(squares / rng.chisquare(data.count.sum())))
        if at >= tune:
            kept["coefficient"].append(state.coefficient.copy())
            kept["covariance"].append(np.stack(state.covariances))
            kept["noise"].append(np.array(state.noise))
    return {name: np.stack(values) for name, values in kept.items()}


def _start(data: BivariateData, rng: np.random.Generator) -> _State:
    """No effects, least-squares coefficients, covariances of a random size."""
    n, sources = len(data.mean), len(data.members) + 1
    start = np.diag(np.square(data.scale / 2.5)) / sources
    answers = data.count.sum()
    return _State(
        coefficient=linalg.lstsq(data.design, data.outcomes)[0],
        effects=[np.zeros((one.shape[1], 2)) for one in data.members],
        covariances=[start * rng.uniform(0.3, 1.5) for _ in range(sources)],
        mixing=[np.ones(2) for _ in range(sources)],
        latent=data.outcomes,
        noise=np.sqrt(data.within / max(1.0, answers - n)) if data.within > 0 else 1.0,
    )


def _total(
    members: Sequence[sparse.csr_matrix], effects: Sequence[FloatArray], but: int = -1
) -> FloatArray:
    """What all factors, but one, add to the outcomes: ``sum_k Z_k U_k`` (n, 2)."""
    pairs = zip(members, effects, strict=True)
    return np.asarray(sum(z @ u for k, (z, u) in enumerate(pairs) if k != but))


def _update_factor(
    data: BivariateData,
    state: _State,
    k: int,
    block: sparse.csr_matrix,
    gram: FloatArray,
    rng: np.random.Generator,
) -> None:
    """B, U_k and S_k given all else, in place; ``block`` is (X, Z_k), ``gram`` its product."""
    p, pair = data.design.shape[1], state.covariances[-1]
    rest = state.latent - _total(data.members, state.effects, but=k)
    both = _effects(block, gram, rest, state.covariances[k], pair, p, rng)
    state.coefficient, state.effects[k] = both[:p], both[p:]
    state.covariances[k] = _covariance(state.effects[k], state.mixing[k], data.scale, rng)
    scales = _rescaling(
        data.members[k] @ state.effects[k],
        rest - data.design @ state.coefficient,
        state.covariances[k],
        pair,
        state.mixing[k],
        rng,
    )
    state.effects[k] = state.effects[k] * scales
    state.covariances[k] = state.covariances[k] * np.outer(scales, scales)


def _latent(
    data: BivariateData,
    fixed: FloatArray,
    distance: FloatArray,
    pair: FloatArray,
    noise: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Latent scores t given d and the answers: ``N(m_i, v)`` times ``N(t_i, noise^2 / n_i)``.

    With ``slope = E_12 / E_22``, ``m_i = fixed_i1 + slope (d_i - fixed_i2)`` and
    ``v = E_11 - slope E_12``.
    """
    slope = pair[0, 1] / pair[1, 1]
    prior_mean = fixed[:, 0] + slope * (distance - fixed[:, 1])
    prior_precision = 1 / (pair[0, 0] - slope * pair[0, 1])
    precision = prior_precision + data.count / noise**2
    mean = (prior_precision * prior_mean + data.count / noise**2 * data.mean) / precision
    return np.asarray(mean + rng.standard_normal(len(mean)) / np.sqrt(precision))


def _pair_covariance(
    residual: FloatArray,
    answers: FloatArray,
    of_row: IntArray,
    pair: FloatArray,
    mixing: FloatArray,
    noise: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Pairs' covariance with their latent scores integrated out, by Metropolis steps.

    Given the latent scores it hardly moves where a pair has few answers. Steps are in the log
    standard deviations and the inverse hyperbolic tangent of the correlation; pairs with equally
    many `answers` share a covariance, so that sums of products (2, 2) are all that is needed.
    """
    n = np.bincount(of_row).astype(float)
    one, two = residual.T
    sums = [np.bincount(of_row, product) for product in (one * one, one * two, two * two)]
    extra = noise**2 / answers

    def log_density(at: FloatArray) -> float:
        (s1, s2), r = np.exp(at[:2]), np.tanh(at[2])
        a, b, c = s1 * s1, r * s1 * s2, s2 * s2
        inner = a * c * (1 - r * r)
        whole = inner + extra * c  # determinant of pair + diag(extra, 0)
        quadratic = (c * sums[0] - 2 * b * sums[1] + (a + extra) * sums[2]) / whole
        fit = -0.5 * (n * np.log(whole) + quadratic).sum()
        prior = -(NU + 4) / 2 * np.log(inner) - NU * (c / mixing[0] + a / mixing[1]) / inner
        return float(fit + prior + 3 * (at[0] + at[1]) + np.log(1 - r * r))

    sd = np.sqrt(np.diag(pair))
    correlation = np.clip(pair[0, 1] / sd.prod(), -1 + 1e-9, 1 - 1e-9)
    start = np.array([*np.log(sd), np.arctanh(correlation)])
    at = walk(log_density, start, (0.3, 0.1, 0.03, 0.01), rng)
    (s1, s2), r = np.exp(at[:2]), np.tanh(at[2])
    return np.array([[s1 * s1, r * s1 * s2], [r * s1 * s2, s2 * s2]])


def _effects(
    block: sparse.csr_matrix,
    gram: FloatArray,
    outcome: FloatArray,
    group: FloatArray,
    pair: FloatArray,
    p: int,
    rng: np.random.Generator,
) -> FloatArray:
    """Coefficients (p) and effects of one factor, both outcomes (p + levels, 2).

    With ``C' E C = I`` and ``C' S C = diag(r)`` the columns of ``outcome C`` are two independent
    regressions, of precisions ``M'M + diag(0, .., 1 / r_k)``, M being ``block`` (n, p + levels).
    """
    ratio, basis = linalg.eigh(group, pair)
    right = block.T @ (outcome @ basis)
    found = np.empty((gram.shape[0], 2))
    for k in range(2):
        precision = gram.copy()
        diagonal = np.arange(p, len(gram))
        precision[diagonal, diagonal] += 1 / max(ratio[k], 1e-12)
        found[:, k] = draw_normal(precision, right[:, k], rng)
    return np.asarray(found @ linalg.inv(basis))


def _rescaling(
    moved: FloatArray,
    outcome: FloatArray,
    group: FloatArray,
    pair: FloatArray,
    mixing: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Factors (2,) by which to scale a factor's effects and standard deviations together.

    Given its effects a small variance hardly moves, and the effects hardly given it. Here both
    do, by Metropolis steps on the scale of standardised effects (the interweaving of Yu and Meng
    2011), which cost nothing once the sums of products (2, 2) are known.
    """
    both, own = outcome.T @ moved, moved.T @ moved
    precision, inverse = linalg.inv(pair), linalg.inv(group)

    def log_density(log_scale: FloatArray) -> float:
        d = np.exp(log_scale)
        fit = np.sum(precision * (both * d)) - 0.5 * np.sum(precision * own * np.outer(d, d))
        # Inverse Wishart of NU + 1 degrees of freedom at the scaled matrix, with the Jacobian.
        prior = -(NU + 4) * log_scale.sum() - np.sum(NU / mixing * np.diag(inverse) / d**2)
        return float(fit + prior + 3 * log_scale.sum())

    return np.exp(walk(log_density, np.zeros(2), (1.0, 0.3, 0.1, 0.03, 0.01), rng))


def _covariance(
    effects: FloatArray, mixing: FloatArray, scale: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Covariance S (2, 2) given effects U (levels, 2); `mixing` a is updated in place.

    ``S | U, a ~ inverse Wishart(nu + 1 + levels, U'U + 2 nu diag(1 / a))`` and
    ``a_j | S ~ inverse gamma((nu + 2) / 2, nu (S^-1)_jj + 1 / scale_j^2)`` (Huang and Wand 2013).
    """
    matrix = effects.T @ effects + 2 * NU * np.diag(1 / mixing)
    degrees = NU + 1 + len(effects)
    # Inverse Wishart: the inverse of a Wishart by Bartlett's decomposition.
    root = linalg.cholesky(linalg.inv(matrix), lower=True)
    bartlett = np.array(
        [
            [np.sqrt(rng.chisquare(degrees)), 0.0],
            [rng.standard_normal(), np.sqrt(rng.chisquare(degrees - 1))],
        ]
    )
    half = root @ bartlett
    precision = half @ half.T
    rate = NU * np.diag(precision) + 1 / np.square(scale)
    mixing[:] = rate / rng.gamma((NU + 2) / 2, size=2)
    covariance = linalg.inv(precision)
    return np.asarray((covariance + covariance.T) / 2)
