"""Adaptive importance sampling for a smooth density over a handful of parameters.

With proposals theta_s ~ q and log density ``log p`` up to a constant, weights are
``w_s = p(theta_s) / q(theta_s)``. Start from a Student t at the mode, refit a mixture of t's to all
weighted samples so far (Cappé et al., 2008; Cornuet et al., 2012), stop once a round's efficiency
is good, then draw afresh from the best mixture; where that falls short, refit and add to it,
weighing all by the mixture of the proposals used (Owen and Zhou, 2000). The weights' tail is judged
by the Pareto k of Vehtari et al. (2024). On the log scale a density of sds has at most exponential
tails, which a t covers: weights are bounded even where an sd piles up at zero.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln, logsumexp

from causalbias.inference.problem import FloatArray
from causalbias.progress import stage

BatchLogDensity = Callable[[FloatArray], FloatArray]

_LEAST_DF = 8.0
_MAX_ROUNDS = 14
_MAX_REST_BYTES = 2 * 2**30
_FIT_POINTS = 1500
# Of the draws asked for, that the estimate of each number is worth at the least: resampled draws
# then pass R-hat and effective sizes, of a thousand parameters too.
_LEAST_SHARE = 0.35
_TAIL = 0.05
_GRID = 256  # parts of a step to which a mode is rounded


@dataclass(frozen=True)
class Mixture:
    """Mixture of K Student t distributions in d dimensions with common degrees of freedom nu.

    ``q(x) = sum_s sum_k weight_k t(r_s x | mean_k, chol_k chol_k')`` over reflections r_s, with
    ``log t(x | m, S) = const - log |S| / 2 - (nu + d) / 2 log(1 + (x - m)' S^-1 (x - m) / nu)``.

    Attributes
    ----------
    weight : ndarray (K,)
    mean : ndarray (K, d)
    chol : ndarray (K, d, d)
        Lower Cholesky factors of the scale matrices.
    reflections : ndarray (S, d)
        Changes of sign under which points are the same; the identity first.
    """

    weight: FloatArray
    mean: FloatArray
    chol: FloatArray
    reflections: FloatArray

    def log_components(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return weighted log densities and squared distances, (S * N, K) each.

        Row ``s * N + i`` belongs to point i under reflection s.
        """
        x = reflected(x, self.reflections)
        d = x.shape[1]
        logs, squares = np.empty((len(x), len(self.weight))), np.empty((len(x), len(self.weight)))
        nu, norm = degrees(d), log_norm(d)
        for k in range(len(self.weight)):
            z = (x - self.mean[k]) @ np.linalg.inv(self.chol[k]).T
            squares[:, k] = np.einsum("ij,ij->i", z, z)
            log_det = np.log(np.diag(self.chol[k])).sum()
            logs[:, k] = np.log(self.weight[k]) + norm - log_det
        return logs - 0.5 * (nu + d) * np.log1p(squares / nu), squares

    def log_density(self, x: FloatArray) -> FloatArray:
        """Return the log density at each row of x, (N,)."""
        logs = self.log_components(x)[0].reshape(len(self.reflections), len(x), -1)
        return np.asarray(logsumexp(logs, axis=(0, 2)))

    def sample(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw n independent points, (n, d)."""
        d = self.mean.shape[1]
        which = rng.choice(len(self.weight), n, p=self.weight)
        nu = degrees(d)
        z = rng.standard_normal((n, d)) / np.sqrt(rng.chisquare(nu, n) / nu)[:, None]
        return self.mean[which] + np.einsum("nij,nj->ni", self.chol[which], z)


def degrees(d: int) -> float:
    """Degrees of freedom of a t in d dimensions, of which many tell its scale as well.

    Of 8 in 45 dimensions proposals of a normal density are worth 52% of its draws, of 45 86%.
    """
    return max(_LEAST_DF, float(d))


def log_norm(d: int) -> float:
    """Log density of that t of unit scale at its centre."""
    nu = degrees(d)
    return float(gammaln((nu + d) / 2) - gammaln(nu / 2) - 0.5 * d * np.log(nu * np.pi))


def reflected(x: FloatArray, reflections: FloatArray) -> FloatArray:
    """Return all reflections of all points, (S * N, d)."""
    return (reflections[:, None] * x).reshape(-1, x.shape[1])


def find_mode(
    log_density: BatchLogDensity, start: FloatArray, step: float = 1e-4
) -> tuple[FloatArray, FloatArray]:
    """Climb to a mode; return it and the inverse of minus the Hessian there, made positive.

    Gradients are central differences over ``step``: short against the density's width, and so long
    that what rounding does to the log density does not show. A climb that sees it goes on for ever.

    The way from the start is rounded to about a thousandth of the density's width, and steps to a
    power of two, so that a start in other units leads to the mode in those.
    Otherwise the climb, which divides small differences, would make of another order of summation
    (rows permuted, or added up in parts) another mode in the seventh digit, and so other draws.
    """
    d = len(start)
    steps = step * np.vstack([np.zeros(d), np.eye(d), -np.eye(d)])

    def minus(x: FloatArray) -> tuple[float, FloatArray]:
        values = -log_density(x + steps)
        values = np.where(np.isfinite(values), values, 1e12)
        return float(values[0]), (values[1 : d + 1] - values[d + 1 :]) / (2 * step)

    found = minimize(minus, start, jac=True, method="BFGS", options={"gtol": 1e-3, "maxiter": 300})
    grid = _steps(log_density, found.x) / _GRID
    mode = start + np.round((found.x - start) / grid) * grid
    return mode, _inverse_curvature(log_density, mode, _steps(log_density, mode))


def _steps(log_density: BatchLogDensity, mode: FloatArray) -> FloatArray:
    """A power of two (d,) about a third of the density's width along each axis."""
    d = len(mode)
    eye, top = np.eye(d), log_density(mode[None])[0]
    h = np.full(d, 1e-2)
    for _ in range(2):  # second pass: a step about a third of the posterior's own width
        both = log_density(np.vstack([mode + h[:, None] * eye, mode - h[:, None] * eye]))
        curvature = (2 * top - both[:d] - both[d:]) / h**2
        h = 0.3 / np.sqrt(np.clip(np.nan_to_num(curvature, nan=1.0), 0.25, 1e20))
    return np.exp2(np.round(np.log2(h)))


def _inverse_curvature(log_density: BatchLogDensity, mode: FloatArray, h: FloatArray) -> FloatArray:
    d = len(mode)
    eye = np.eye(d)
    pairs = [(i, j) for i in range(d) for j in range(i + 1)]
    corners = [
        mode + si * h[i] * eye[i] + sj * h[j] * eye[j]
        for i, j in pairs
        for si, sj in ((1, 1), (1, -1), (-1, 1), (-1, -1))
    ]
    values = log_density(np.array(corners)).reshape(-1, 4) @ np.array([1.0, -1.0, -1.0, 1.0])
    hessian = np.empty((d, d))
    for (i, j), value in zip(pairs, values, strict=True):
        hessian[i, j] = hessian[j, i] = -value / (4 * h[i] * h[j])
    hessian = np.where(np.isfinite(hessian), hessian, np.eye(d))
    scale = np.sqrt(np.clip(np.diag(hessian), 0.25, None))
    eigenvalue, vector = np.linalg.eigh(hessian / np.outer(scale, scale))
    inverse = (vector / np.clip(eigenvalue, 0.05, None)) @ vector.T
    return np.asarray(inverse / np.outer(scale, scale))


def adapt(
    log_density: BatchLogDensity,
    mode: FloatArray,
    cov: FloatArray,
    reflections: FloatArray,
    draws: int,
    rng: np.random.Generator,
    enough: float = 0.8,
    least: float = 0.0,
) -> tuple[Mixture, float]:
    """Return a well-fitting mixture and the efficiency it showed (0 to 1).

    No round is begun once the efficiency is ``enough``, or all ``draws`` would cost less than
    what was spent on adapting; nor after a first one of an efficiency below ``least``.
    """
    d = len(mode)
    chol = np.linalg.cholesky(cov)
    first = Mixture(
        np.array([0.9, 0.1]), np.array([mode, mode]), np.array([chol, 3 * chol]), reflections
    )
    proposals, points, values = [first], [], []
    best, best_efficiency, stale = first, 0.0, 0
    for number in range(_MAX_ROUNDS):
        count = 60 * (d + 1) * (1 + number // 2)
        points.append(proposals[-1].sample(count, rng))
        values.append(log_density(points[-1]))
        efficiency = kish(values[-1] - proposals[-1].log_density(points[-1])) / count
        stale = 0 if efficiency > 1.1 * best_efficiency else stale + 1
        if efficiency > best_efficiency:
            best, best_efficiency = proposals[-1], efficiency
        dear = best_efficiency * sum(map(len, points)) > draws
        if efficiency >= enough or dear or (stale >= 3 and best_efficiency > 0.3):
            break
        if best_efficiency < least:
            break
        x, log_weight = np.concatenate(points), balanced(proposals, points, values)
        proposals.append(refit(x, log_weight, 1 + number, first, rng))
    return best, best_efficiency


def sample_until_good(
    log_density: Callable[[FloatArray, FloatArray], FloatArray],
    mixture: Mixture,
    canonical: Callable[[FloatArray], FloatArray],
    width: int,
    draws: int,
    rng: np.random.Generator,
    share: float = 0.65,
    *,
    exact: bool = False,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Propose until the effective sample size is ``share`` of the draws and the tail is light.

    Of a heavier tail that can still be relied on, as many effective draws as were asked for. And
    until the mean and both tails of each number have a share of their own (`least_size`).

    Parameters
    ----------
    log_density : callable
        Of points (n, d), filling an array (n, width) with what was drawn along with each.
    mixture : Mixture
        The first proposal; it is refitted between rounds.
    canonical : callable
        Reflects points to where the density is computed.
    width : int
        Numbers drawn along with each point.
    draws : int
    rng : Generator
    share : float
    exact : bool
        Whether what is drawn along with a point is drawn from its very posterior given the point.
        Then its estimates are worth no less than the points', and are not judged.

    Returns
    -------
    points, rests, values, log_weight : ndarray (n, d), (n, width), (n,), (n,)
    """
    most = max(draws, min(max(10 * draws, 4000), _MAX_REST_BYTES // (8 * width + 8)))
    proposals, points, rests, values = [mixture], [], [], []
    count = total = max(draws, 400)
    while True:
        points.append(canonical(proposals[-1].sample(count, rng)))
        rests.append(np.zeros((count, width)))
        values.append(log_density(points[-1], rests[-1]))
        log_weight = balanced(proposals, points, values)
        effective = kish(log_weight)
        shape = pareto_k(log_weight)
        stage(f"{total:,} weighted draws, effective sample size {effective:,.0f}")
        good = (effective > share * draws and shape < 0.5) or (effective > draws and shape < 0.7)
        missing = int(total * (1.2 * share * draws / max(effective, 1.0) - 1))
        if good:
            judged = [points] if exact else [points, rests]
            columns = (np.concatenate(one) for parts in judged for one in _by_column(parts))
            least = least_size(columns, log_weight)
            good = least > _LEAST_SHARE * draws
            missing = int(total * (1.2 * _LEAST_SHARE * draws / least - 1))
        # in proportion to what there is: all of it is weighed again each round, and one large
        # weight among few says little of how many are missing
        count = min(max(missing, draws // 2, total // 2, 400), 2 * total, most - total)
        if good or count <= 0:
            break
        proposals.append(refit(np.concatenate(points), log_weight, 12, mixture, rng))
        total += count
    return np.concatenate(points), np.concatenate(rests), np.concatenate(values), log_weight


def balanced(
    proposals: Sequence[Mixture], points: Sequence[FloatArray], values: Sequence[FloatArray]
) -> FloatArray:
    """Return log weights of all points against the mixture of all proposals, by their counts.

    ``w(x) = p(x) / sum_j (n_j / n) q_j(x)``, n_j of the n points being of proposal q_j: the
    deterministic mixture (Veach and Guibas 1995; Owen and Zhou 2000).
    """
    x, sizes = np.concatenate(points), np.array([len(p) for p in points])
    logs = np.array([q.log_density(x) for q in proposals]) + np.log(sizes / len(x))[:, None]
    log_weight = np.concatenate(values) - logsumexp(logs, axis=0)
    return np.where(np.isfinite(log_weight), log_weight, -np.inf)


def kish(log_weight: FloatArray) -> float:
    """Return Kish's effective sample size of weights, ``(sum w)^2 / sum w^2``."""
    log_weight = np.where(np.isfinite(log_weight), log_weight, -np.inf)
    if not np.isfinite(log_weight.max()):
        return 0.0
    return float(np.exp(2 * logsumexp(log_weight) - logsumexp(2 * log_weight)))


def _by_column(parts: Sequence[FloatArray]) -> Iterator[list[FloatArray]]:
    """Each column of arrays (n, m) of one width, one after another: all at once may be large."""
    for j in range(parts[0].shape[1]):
        yield [part[:, j] for part in parts]


def least_size(columns: Iterable[FloatArray], log_weight: FloatArray) -> float:
    """Return the least effective sample size, over numbers x (n,), of a mean and two tails.

    That of the mean of f(x) is ``sum w (f - mean)^2 / sum w^2 (f - mean)^2``, ``sum w = 1``: the
    posterior variance of f over the variance of its estimate (Owen 2013, section 9.3). f is x, and
    whether x is below its 5% or its 95% quantile.
    """
    weight = np.exp(log_weight - logsumexp(log_weight))
    least = np.inf
    for column in columns:
        order = np.argsort(column)
        cumulative = np.cumsum(weight[order])
        below = np.empty(len(column))
        below[order] = cumulative
        for f in (column, below <= _TAIL, below <= 1 - _TAIL):
            square = (f - weight @ f) ** 2
            spread = float(weight**2 @ square)
            if spread > 0:
                least = min(least, float(weight @ square) / spread)
    return least


def pareto_k(log_weight: FloatArray) -> float:
    """Return the Pareto shape of the largest weights; below 0.7 the sample can be relied on.

    Excesses x of the largest weights over a cut point have density
    ``(1 + k x / s)^(-1 / k - 1) / s``. Fit by Zhang and Stephens (2009): k is the mean of
    ``log(1 - b x)`` over x, b averaged over its profile posterior; with the weak prior of Vehtari
    et al. (2024), ten observations of k = 0.5.
    """
    tail = int(min(0.2 * len(log_weight), 3 * np.sqrt(len(log_weight))))
    if tail < 5:
        return np.inf
    ordered = np.sort(np.exp(log_weight - log_weight.max()))
    x = ordered[-tail:] - ordered[-tail - 1]
    if x[-1] <= 0 or x[0] == x[-1]:
        return -np.inf
    x = np.maximum(x, x[-1] * 1e-12)
    m = 30 + int(np.sqrt(tail))
    quartile = x[int(tail / 4 + 0.5) - 1]
    b = (1 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))) / (3 * quartile) + 1 / x[-1]
    k = np.log1p(-b[:, None] * x).mean(axis=1)
    log_lik = tail * (np.log(-b / k) - k - 1)
    weight = np.exp(log_lik - logsumexp(log_lik))
    shape = float(np.log1p(-(weight @ b) * x).mean())
    return (tail * shape + 10 * 0.5) / (tail + 10)


def resample(log_weight: FloatArray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Choose n indices by systematic resampling, in order.

    Copies of one point stay side by side, so that an effective sample size computed from
    autocorrelation sees them.
    """
    cumulative = np.cumsum(np.exp(log_weight - logsumexp(log_weight)))
    at = (rng.random() + np.arange(n)) / n
    return np.searchsorted(cumulative / cumulative[-1], at)


def refit(
    x: FloatArray, log_weight: FloatArray, most: int, first: Mixture, rng: np.random.Generator
) -> Mixture:
    """Fit up to ``most`` t components to weighted points by EM, and blend in two wide ones.

    E step: the share h_ik of component k in point i, and ``u_ik = (nu + d) / (nu + D_ik)``, D the
    squared distance. M step: ``mean_k = sum_i w_i h_ik u_ik x_i / sum_i w_i h_ik u_ik`` and
    ``S_k = sum_i w_i h_ik u_ik (x_i - mean_k)(x_i - mean_k)' / sum_i w_i h_ik`` (Peel and McLachlan
    2000), with a part of the overall covariance added so that no component collapses.
    """
    d, nu = x.shape[1], degrees(x.shape[1])
    k = max(1, min(most, int(kish(log_weight) / (10 + 4 * d)), 12))
    if len(x) > _FIT_POINTS:
        x = x[resample(log_weight, _FIT_POINTS, rng)]
        log_weight = np.zeros(len(x))
    n = len(x)
    weight = np.exp(log_weight - logsumexp(log_weight))
    centre = weight @ x
    overall = (weight[:, None] * (x - centre)).T @ (x - centre)
    overall += 1e-6 * np.diag(np.diag(first.chol[0] @ first.chol[0].T))
    starts = x[rng.choice(n, k, p=weight)] if k > 1 else centre[None]
    chol = np.linalg.cholesky(overall / k ** (1 / d))
    signs = first.reflections
    mixture = Mixture(np.full(k, 1 / k), starts, np.tile(chol, (k, 1, 1)), signs)
    every = reflected(x, signs)
    for _ in range(12):
        logs, squares = mixture.log_components(x)
        point = logsumexp(logs.reshape(len(signs), n, k), axis=(0, 2))
        share = np.exp(logs - np.tile(point, len(signs))[:, None])
        share *= np.tile(weight, len(signs))[:, None]
        pull = share * (nu + d) / (nu + squares)
        mass = share.sum(axis=0)
        mean = (pull.T @ every) / np.maximum(pull.sum(axis=0), 1e-300)[:, None]
        chols = np.empty((k, d, d))
        for j in range(k):
            gap = every - mean[j]
            cov = (pull[:, j, None] * gap).T @ gap / max(mass[j], 1e-300)
            chols[j] = np.linalg.cholesky(cov + 0.02 / k * overall)
        mixture = Mixture(np.maximum(mass, 1e-3) / np.maximum(mass, 1e-3).sum(), mean, chols, signs)
    chol = np.linalg.cholesky(overall)
    return Mixture(
        np.concatenate([0.9 * mixture.weight, [0.07, 0.03]]),
        np.vstack([mixture.mean, centre, centre]),
        np.concatenate([mixture.chol, 1.6 * chol[None], 3.0 * chol[None]]),
        signs,
    )
