"""Gibbs sampler of a bivariate mixed model whose first outcome is measured with error.

``(t_i, d_i) = x_i B + sum_k sum_m w s_k[member m of i] + e_i``, with seeds' effects ``s ~ N(0,
S_k)`` and pairs' ``e ~ N(0, E)``; of t only means of n_i answers are seen, ``N(t_i, noise^2 /
n_i)``. Every step is exact: t, then B with one factor's effects at a time (by the basis in which
both covariance matrices are diagonal), then the covariances under Huang and Wand's (2013) prior
(half-t standard deviations, uniform correlations), then the noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

Floats = NDArray[np.float64]
NU = 2.0  # degrees of freedom of the half-t; correlations are then uniform


@dataclass(frozen=True)
class JointData:
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
        Of each factor; rows add up to one.
    scale : ndarray (2,)
        Of the half-t prior of both outcomes' standard deviations.
    """

    mean: Floats
    count: Floats
    within: float
    distance: Floats
    design: Floats
    members: Sequence[sparse.csr_matrix]
    scale: Floats


def sample_joint(
    data: JointData, *, draws: int, tune: int, rng: np.random.Generator
) -> dict[str, Floats]:
    """One chain.

    Returns
    -------
    dict
        ``coefficient`` (draws, p, 2), ``covariance`` (draws, factors + 1, 2, 2) of each factor
        and last of pairs, ``noise`` (draws,): standard deviation of an answer.
    """
    n, p = data.design.shape
    scale = data.scale
    total_answers = data.count.sum()
    blocks = [sparse.hstack([sparse.csr_matrix(data.design), z], "csr") for z in data.members]
    grams = [np.asarray((one.T @ one).todense()) for one in blocks]
    start = np.diag(np.square(scale / 2.5)) / (len(blocks) + 1)
    covariances = [start * rng.uniform(0.3, 1.5) for _ in range(len(blocks) + 1)]
    mixing = [np.ones(2) for _ in covariances]
    effects = [np.zeros((one.shape[1], 2)) for one in data.members]
    coefficient = linalg.lstsq(data.design, np.column_stack([data.mean, data.distance]))[0]
    noise = np.sqrt(data.within / max(1.0, total_answers - n)) if data.within > 0 else 1.0
    latent = np.column_stack([data.mean, data.distance])
    answers, of_row = np.unique(data.count, return_inverse=True)
    kept: dict[str, list[Floats]] = {"coefficient": [], "covariance": [], "noise": []}
    for at in range(tune + draws):
        fixed = data.design @ coefficient + sum(
            z @ s for z, s in zip(data.members, effects, strict=True)
        )
        observed = np.column_stack([data.mean, data.distance]) - fixed
        covariances[-1] = _pair_covariance(
            observed, answers, of_row, covariances[-1], mixing[-1], noise, rng
        )
        latent[:, 0] = _latent(data, fixed, latent[:, 1], covariances[-1], noise, rng)
        for k, block in enumerate(blocks):
            rest = latent - sum(data.members[j] @ effects[j] for j in range(len(blocks)) if j != k)
            both = _effects(block, grams[k], rest, covariances[k], covariances[-1], p, rng)
            coefficient, effects[k] = both[:p], both[p:]
            covariances[k] = _covariance(effects[k], mixing[k], scale, rng)
            moved = data.members[k] @ effects[k]
            scales = _rescaling(
                moved,
                rest - data.design @ coefficient,
                covariances[k],
                covariances[-1],
                mixing[k],
                rng,
            )
            effects[k] = effects[k] * scales
            covariances[k] = covariances[k] * np.outer(scales, scales)
        residual = latent - data.design @ coefficient
        residual -= sum(z @ s for z, s in zip(data.members, effects, strict=True))
        covariances[-1] = _covariance(residual, mixing[-1], scale, rng)
        squares = data.within + data.count @ np.square(data.mean - latent[:, 0])
        noise = float(np.sqrt(squares / rng.chisquare(total_answers)))
        if at >= tune:
            kept["coefficient"].append(coefficient.copy())
            kept["covariance"].append(np.stack(covariances))
            kept["noise"].append(np.array(noise))
    return {name: np.stack(values) for name, values in kept.items()}


def _latent(
    data: JointData,
    fixed: Floats,
    distance: Floats,
    pair: Floats,
    noise: float,
    rng: np.random.Generator,
) -> Floats:
    """What pairs' answers would average to, given their distances and the answers there are."""
    slope = pair[0, 1] / pair[1, 1]
    prior_mean = fixed[:, 0] + slope * (distance - fixed[:, 1])
    prior_precision = 1 / (pair[0, 0] - slope * pair[0, 1])
    precision = prior_precision + data.count / noise**2
    mean = (prior_precision * prior_mean + data.count / noise**2 * data.mean) / precision
    return np.asarray(mean + rng.standard_normal(len(mean)) / np.sqrt(precision))


def _pair_covariance(
    residual: Floats,
    answers: Floats,
    of_row: NDArray[np.int64],
    pair: Floats,
    mixing: Floats,
    noise: float,
    rng: np.random.Generator,
) -> Floats:
    """Pairs' covariance with their latent scores integrated out, by Metropolis steps.

    Given the latent scores it hardly moves where a pair has few answers. Steps are in the log
    standard deviations and the inverse hyperbolic tangent of the correlation; pairs with equally
    many `answers` share a covariance, so that sums of products (2, 2) are all that is needed.
    """
    n = np.bincount(of_row).astype(float)
    one, two = residual.T
    sums = [np.bincount(of_row, product) for product in (one * one, one * two, two * two)]
    extra = noise**2 / answers

    def log_density(at: Floats) -> float:
        (s1, s2), r = np.exp(at[:2]), np.tanh(at[2])
        a, b, c = s1 * s1, r * s1 * s2, s2 * s2
        inner = a * c * (1 - r * r)
        whole = inner + extra * c  # determinant of pair + diag(extra, 0)
        quadratic = (c * sums[0] - 2 * b * sums[1] + (a + extra) * sums[2]) / whole
        fit = -0.5 * (n * np.log(whole) + quadratic).sum()
        prior = -(NU + 4) / 2 * np.log(inner) - NU * (c / mixing[0] + a / mixing[1]) / inner
        return float(fit + prior + 3 * (at[0] + at[1]) + np.log(1 - r * r))

    sd = np.sqrt(np.diag(pair))
    start = np.clip(pair[0, 1] / sd.prod(), -1 + 1e-9, 1 - 1e-9)
    at = np.array([*np.log(sd), np.arctanh(start)])
    now = log_density(at)
    for step in (0.3, 0.1, 0.03, 0.01):
        for axis in (0, 1, 2):
            new = at.copy()
            new[axis] += step * rng.standard_normal()
            proposed = log_density(new)
            if np.log(rng.random()) < proposed - now:
                at, now = new, proposed
    (s1, s2), r = np.exp(at[:2]), np.tanh(at[2])
    return np.array([[s1 * s1, r * s1 * s2], [r * s1 * s2, s2 * s2]])


def _effects(
    block: sparse.csr_matrix,
    gram: Floats,
    outcome: Floats,
    group: Floats,
    pair: Floats,
    p: int,
    rng: np.random.Generator,
) -> Floats:
    """Coefficients (p) and effects of one factor, both outcomes (p + levels, 2)."""
    # basis' pair basis = 1 and basis' group basis = diag(ratio): two independent regressions.
    ratio, basis = linalg.eigh(group, pair)
    right = block.T @ (outcome @ basis)
    found = np.empty((gram.shape[0], 2))
    for k in range(2):
        precision = gram.copy()
        diagonal = np.arange(p, len(gram))
        precision[diagonal, diagonal] += 1 / max(ratio[k], 1e-12)
        factor = linalg.cholesky(precision, lower=True)
        half = linalg.solve_triangular(factor, right[:, k], lower=True)
        half += rng.standard_normal(len(gram))
        found[:, k] = linalg.solve_triangular(factor, half, lower=True, trans="T")
    return np.asarray(found @ linalg.inv(basis))


def _rescaling(
    moved: Floats,
    outcome: Floats,
    group: Floats,
    pair: Floats,
    mixing: Floats,
    rng: np.random.Generator,
) -> Floats:
    """Factors (2,) by which to scale a factor's effects and standard deviations together.

    Given its effects a small variance hardly moves, and the effects hardly given it. Here both
    do, by Metropolis steps on the scale of standardised effects (the interweaving of Yu and Meng
    2011), which cost nothing once the sums of products (2, 2) are known.
    """
    both, own = outcome.T @ moved, moved.T @ moved
    precision, inverse = linalg.inv(pair), linalg.inv(group)

    def log_density(log_scale: Floats) -> float:
        d = np.exp(log_scale)
        fit = np.sum(precision * (both * d)) - 0.5 * np.sum(precision * own * np.outer(d, d))
        # Inverse Wishart of NU + 1 degrees of freedom at the scaled matrix, with the Jacobian.
        prior = -(NU + 4) * log_scale.sum() - np.sum(NU / mixing * np.diag(inverse) / d**2)
        return float(fit + prior + 3 * log_scale.sum())

    at = np.zeros(2)
    now = log_density(at)
    for step in (1.0, 0.3, 0.1, 0.03, 0.01):
        for axis in (0, 1):
            new = at.copy()
            new[axis] += step * rng.standard_normal()
            proposed = log_density(new)
            if np.log(rng.random()) < proposed - now:
                at, now = new, proposed
    return np.exp(at)


def _covariance(effects: Floats, mixing: Floats, scale: Floats, rng: np.random.Generator) -> Floats:
    """Covariance matrix (2, 2) given effects (levels, 2); `mixing` is updated in place."""
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
