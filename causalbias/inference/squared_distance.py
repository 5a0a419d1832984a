"""Squared distances as a quadratic form in changes that are known with error.

The distance D of two faces is the length of a sum: what changed, weighed by a metric, and noise.
For a change d (J attributes)

    E[D^2 | d] = floor^2 + d' M d,    M = diag(w) R diag(w),

with w the worth of each attribute and R a correlation matrix. Given what was measured, the change
has the mean m and the covariance V, and since the form is quadratic

    E[D^2 | m, V] = mu = floor^2 + q,    q = tr(M (m m' + V)):

errors of measurement enter by the second moment ``m m' + V`` alone. What pairs in which the same
was manipulated have in common is known with an error that seeds share: ``m = m_0 + B eta``, with
eta standard normal, one vector a cell of the design, and sampled. The distances of a seed's
pairs are taken as normal with the means that keep this equation whatever their variance is,

    D ~ N(sqrt(mu - e), K),    K = diag(known) + e on the diagonal, and with covariances

of four parts: ``a floor^2`` and ``c q``, noise of the same size in all pairs (as that of answers)
and noise that grows with the distance (as that of changes that nobody measured), 0 < a, c < 1; and,
to first order, what all pairs of a seed share. Its metric is not the mean one: log worths differ by
``t_0 z_0 + t_1 z_j``, z standard normal, for all attributes and for each. Its faces were measured
with error: pairs that share a face share the error of that face, V / 2. With p_ij the part of
attribute j in q_i, and s_ik the sum of products of the signs of shared faces (2 for i = k):

    e_ik = t_0^2 q_i q_k / g + t_1^2 sum_j p_ij p_kj / g + s_ik (M m_i)' V/2 (M m_k) / g,
    g = sqrt(mu_i mu_k).

Priors, with distances in units of their root mean square and changes in units of their own: w_j and
floor half-normal of scale 1, R uniform over correlation matrices (LKJ of shape 1, in terms of
partial correlations: Lewandowski, Kurowicka and Joe 2009), t_0 and t_1 half-normal of scale 1/2, a
and c uniform. Whatever enters by its square is sampled with a sign, which is then dropped.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
import nutpie
import xarray as xr
from nutpie.compiled_pyfunc import from_pyfunc

from causalbias.arguments import generator
from causalbias.inference.nuts import STATISTICS
from causalbias.inference.problem import FloatArray, IntArray

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")

SPREAD = 0.5  # scale of the priors of t_0 and t_1
LEAST = 0.2  # share of mu below which the squared mean is bent, so that it stays positive
SCALARS = 5  # floor, logit a, logit c, t_0, t_1


@dataclass(frozen=True)
class SquaredDistances:
    """Distances, the changes behind them, and which pairs belong together; sorted by seed.

    Attributes
    ----------
    distance : ndarray (n,)
        In units of their root mean square.
    known : ndarray (n,)
        Variance of the distance that is known: of a mean of answers.
    change : ndarray (n, J)
        Mean m_0 of the change, each attribute in units of its own root mean square.
    covariance : ndarray (n, J, J)
        Its covariance, V.
    loading : ndarray (n, J, J)
        B: how the error of the cell's mean enters the change.
    cell : ndarray (n,) of int
        The cell of each pair; -1 where its change is known without.
    error : ndarray (J, J)
        Factor L of the error of one face: ``L L' = V / 2``, the mean over pairs.
    faces : ndarray (n, 2) of int
        Both faces of each pair.
    starts : ndarray (seeds + 1,) of int
        First pair of each seed.
    cells : int
        Number of cells.
    floor : float
        Where it is known; else NaN.
    """

    distance: FloatArray
    known: FloatArray
    change: FloatArray
    covariance: FloatArray
    loading: FloatArray
    cell: IntArray
    error: FloatArray
    faces: IntArray
    starts: IntArray
    cells: int = 0
    floor: float = np.nan

    @property
    def size(self) -> int:
        """Return the number of parameters: w, partial correlations, scalars, and eta by cell."""
        j = self.change.shape[1]
        return j + j * (j - 1) // 2 + SCALARS + self.cells * j

    @property
    def arrays(self) -> tuple[FloatArray | IntArray | float, ...]:
        """Return what `log_density` takes between parameters and gradient."""
        return (
            *(self.distance, self.known, self.change, self.covariance, self.loading, self.cell),
            *(self.error, self.faces, self.starts, self.floor),
        )


@_compiled
def log_density(
    theta: FloatArray,
    distance: FloatArray,
    known: FloatArray,
    change: FloatArray,
    covariance: FloatArray,
    loading: FloatArray,
    cell: IntArray,
    error: FloatArray,
    faces: IntArray,
    starts: IntArray,
    floor: float,
    gradient: FloatArray,
) -> float:
    """Log density of parameters (see `SquaredDistances.size`), and its gradient into an array.

    The gradient by an entry of K is ``(alpha alpha' - K^-1) / 2`` with ``alpha = K^-1 (D - mean)``.
    """
    j = change.shape[1]
    at = j + j * (j - 1) // 2
    found = _log_prior(theta, j, gradient)
    eta = theta[at + 5 :].copy().reshape(-1, j)
    of_eta = np.zeros_like(eta)
    a, c = 1.0 / (1.0 + np.exp(-theta[at + 1])), 1.0 / (1.0 + np.exp(-theta[at + 2]))
    w, partial = theta[:j], np.tanh(theta[j:at])
    factor = cholesky_of_partial(partial, j)
    r = factor @ factor.T
    m = r * np.outer(w, w)
    of_m = np.zeros((j, j))
    f2 = theta[at] ** 2 if np.isnan(floor) else floor**2
    numbers = np.array([f2, a, c, theta[at + 3] ** 2, theta[at + 4] ** 2])
    by_numbers = np.zeros(SCALARS)
    moved, of_moved = change.copy(), np.zeros_like(change)
    for i in range(change.shape[0]):
        if cell[i] >= 0:
            moved[i] += loading[i] @ eta[cell[i]]
    for seed in range(starts.shape[0] - 1):
        rows = slice(starts[seed], starts[seed + 1])
        found += _of_seed(
            distance[rows],
            known[rows],
            moved[rows],
            covariance[rows],
            error,
            faces[rows],
            m,
            numbers,
            of_m,
            by_numbers,
            of_moved[rows],
        )
    for i in range(change.shape[0]):
        if cell[i] >= 0:
            of_eta[cell[i]] += loading[i].T @ of_moved[i]
    gradient[at + 5 :] += of_eta.ravel()
    if np.isnan(floor):
        gradient[at] += 2 * by_numbers[0] * theta[at]
    gradient[at + 1] += by_numbers[1] * a * (1 - a)
    gradient[at + 2] += by_numbers[2] * c * (1 - c)
    gradient[at + 3] += 2 * by_numbers[3] * theta[at + 3]
    gradient[at + 4] += 2 * by_numbers[4] * theta[at + 4]
    of_r = np.zeros((j, j))
    for p in range(j):
        for o in range(j):
            both = of_m[p, o] + of_m[o, p]
            gradient[p] += both * w[o] * r[p, o]
            of_r[p, o] = both * w[p] * w[o]
    _gradient_by_partial(partial, factor, of_r @ factor, gradient[j:at])
    one = 0
    for p in range(1, j):
        for o in range(p - 1, -1, -1):
            # Of a uniform R they are beta, with the exponent (J - o) / 2 that has tanh's own in it.
            found += 0.5 * (j - o) * np.log(1.0 - partial[one + o] * partial[one + o] + 1e-300)
        one += p
    return found


@_compiled
def _log_prior(theta: FloatArray, j: int, gradient: FloatArray) -> float:
    """Log density of all but the correlations' prior; its gradient in place of what is there."""
    at = j + j * (j - 1) // 2
    gradient[:] = -theta
    gradient[at + 3 : at + 5] /= SPREAD**2
    a, c = 1.0 / (1.0 + np.exp(-theta[at + 1])), 1.0 / (1.0 + np.exp(-theta[at + 2]))
    gradient[at + 1], gradient[at + 2] = 1.0 - 2.0 * a, 1.0 - 2.0 * c  # uniform in (0, 1)
    found = np.log(a * (1.0 - a) * c * (1.0 - c) + 1e-300)
    found -= 0.5 * ((theta[:j] ** 2).sum() + theta[at] ** 2)
    found -= (
        0.5 * (theta[at + 3 : at + 5] ** 2).sum() / SPREAD**2 + 0.5 * (theta[at + 5 :] ** 2).sum()
    )
    return float(found)


@_compiled
def _gradient_by_partial(
    partial: FloatArray, factor: FloatArray, of_factor: FloatArray, gradient: FloatArray
) -> None:
    """Gradient by the partial correlations' arctanh, their prior's part with it.

    ``of_factor`` (J, J) is the gradient by the Cholesky factor of R.
    """
    j, one = len(factor), 0
    for p in range(1, j):
        before = np.ones(p)  # L_po = z_po times this
        for o in range(1, p):
            before[o] = before[o - 1] * np.sqrt(1.0 - partial[one + o - 1] ** 2)
        later = of_factor[p, p] * factor[p, p]  # by the entries after o, times these
        for o in range(p - 1, -1, -1):
            z = partial[one + o]
            rest = 1.0 - z * z
            gradient[one + o] = of_factor[p, o] * before[o] * rest - z * (later + j - o)
            later += of_factor[p, o] * factor[p, o]
        one += p


@_compiled
def cholesky_of_partial(partial: FloatArray, j: int) -> FloatArray:
    """Cholesky factor (J, J) of the correlation matrix of partial correlations, row by row.

    Row p has ``L_po = z_po sqrt(1 - sum_{e<o} L_pe^2)``, and on the diagonal what is left.
    """
    factor = np.zeros((j, j))
    factor[0, 0] = 1.0
    one = 0
    for p in range(1, j):
        rest = 1.0
        for o in range(p):
            factor[p, o] = partial[one] * rest
            rest *= np.sqrt(1.0 - partial[one] ** 2)
            one += 1
        factor[p, p] = rest
    return factor


@_compiled
def _shared(pair: IntArray, other: IntArray) -> int:
    """Sum over shared faces of the product of their signs in both pairs' changes."""
    found = 0
    for one in range(2):
        for two in range(2):
            if pair[one] == other[two]:
                found += 1 if one == two else -1
    return found


@_compiled
def _inverse(k: FloatArray, inverse: FloatArray) -> float:
    """Inverse of a positive definite matrix into another; returns its log determinant.

    By Cholesky in loops: LAPACK takes ten times as long to be called for eight rows.
    """
    n, log_det = k.shape[0], 0.0
    for i in range(n):
        for o in range(i + 1):
            total = k[i, o]
            for e in range(o):
                total -= k[i, e] * k[o, e]
            if i == o:
                k[i, i] = np.sqrt(max(total, 1e-300))
                log_det += 2 * np.log(k[i, i])
            else:
                k[i, o] = total / k[o, o]
    for o in range(n):  # the factor's inverse, below the diagonal of `k` from above
        inverse[o, o] = 1.0 / k[o, o]
        for i in range(o + 1, n):
            total = 0.0
            for e in range(o, i):
                total -= k[i, e] * inverse[e, o]
            inverse[i, o] = total / k[i, i]
    for i in range(n):
        for o in range(i + 1):
            total = 0.0
            for e in range(i, n):
                total += inverse[e, i] * inverse[e, o]
            k[i, o] = total
    for i in range(n):
        for o in range(i + 1):
            inverse[i, o] = inverse[o, i] = k[i, o]
    return log_det


class _Squares(NamedTuple):
    """Squared lengths of the changes of a seed's pairs, and what pairs share of them.

    Attributes
    ----------
    weighed : ndarray (n, J)
        M m.
    part : ndarray (n, J)
        p_ij, which add up to q_i.
    total : ndarray (n,)
        q.
    root : ndarray (n,)
        1 / sqrt(mu).
    shared : ndarray (n, 1 + 2 J)
        With others of the seed: by all worths, by each one, by faces' errors.
    """

    weighed: FloatArray
    part: FloatArray
    total: FloatArray
    root: FloatArray
    shared: FloatArray


@_compiled
def _squares(
    change: FloatArray, covariance: FloatArray, error: FloatArray, m: FloatArray, f2: float
) -> _Squares:
    n, j = change.shape
    part, q, root = np.zeros((n, j)), np.zeros(n), np.empty(n)
    weighed, shared = np.zeros((n, j)), np.zeros((n, 1 + 2 * j))
    for i in range(n):
        for p in range(j):
            for o in range(j):
                weighed[i, p] += m[p, o] * change[i, o]
                part[i, p] += m[p, o] * covariance[i, p, o]
            part[i, p] += weighed[i, p] * change[i, p]
            q[i] += part[i, p]
            for o in range(j):
                shared[i, 1 + j + o] += weighed[i, p] * error[p, o]
        root[i] = 1.0 / np.sqrt(f2 + q[i] + 1e-12)
        shared[i, 0] = q[i] * root[i]
        for p in range(j):
            shared[i, 1 + p] = part[i, p] * root[i]
            shared[i, 1 + j + p] *= root[i]
    return _Squares(weighed, part, q, root, shared)


@_compiled
def _shared_covariance(shared: FloatArray, sign: FloatArray, numbers: FloatArray) -> FloatArray:
    """What pairs have in common of K, below and on its diagonal: e_ik."""
    n, j = len(shared), shared.shape[1] // 2
    t0, t1, k = numbers[3], numbers[4], np.empty((n, n))
    for i in range(n):
        for o in range(i + 1):
            total = t0 * shared[i, 0] * shared[o, 0]
            for p in range(1, j + 1):
                total += t1 * shared[i, p] * shared[o, p]
                total += sign[i, o] * shared[i, j + p] * shared[o, j + p]
            k[i, o] = total
    return k


@_compiled
def _of_seed(
    distance: FloatArray,
    known: FloatArray,
    change: FloatArray,
    covariance: FloatArray,
    error: FloatArray,
    faces: IntArray,
    m: FloatArray,
    numbers: FloatArray,
    of_m: FloatArray,
    by_numbers: FloatArray,
    by_change: FloatArray,
) -> float:
    """Log likelihood of a seed's pairs; adds its derivatives by M, numbers and mean changes."""
    n, (f2, a, c, _, _) = len(change), numbers
    squares = _squares(change, covariance, error, m, f2)
    q, sign = squares.total, np.empty((n, n))
    for i in range(n):
        for o in range(i + 1):
            sign[i, o] = sign[o, i] = _shared(faces[i], faces[o])
    k, inverse = _shared_covariance(squares.shared, sign, numbers), np.empty((n, n))
    mean, by_squared = np.empty(n), np.empty(n)
    by_mu, by_e = np.empty(n), np.empty(n)
    for i in range(n):
        mu = f2 + q[i] + 1e-12
        e = k[i, i] + a * f2 + c * q[i] + 1e-12
        k[i, i] = e + known[i]
        bent, bend = 1.0 - e / mu, 1.0
        if bent < LEAST:
            bend = np.exp((bent - LEAST) / LEAST)
            bent = LEAST * bend
        mean[i] = np.sqrt(mu * bent)
        by_mu[i], by_e[i] = bent + bend * e / mu, -bend
    found = -0.5 * _inverse(k, inverse)
    alpha = np.zeros(n)
    for i in range(n):
        for o in range(n):
            alpha[i] += inverse[i, o] * (distance[o] - mean[o])
        found -= 0.5 * alpha[i] * (distance[i] - mean[i])
        by_squared[i] = alpha[i] / (2 * mean[i])
    by_k = inverse  # in its place
    for i in range(n):
        for o in range(n):
            by_k[i, o] = 0.5 * (alpha[i] * alpha[o] - inverse[i, o])
        by_k[i, i] += by_squared[i] * by_e[i]
    of_mu = by_squared * by_mu
    _add_derivatives(
        squares,
        change,
        covariance,
        error,
        m,
        numbers,
        sign,
        by_k,
        of_mu,
        of_m,
        by_numbers,
        by_change,
    )
    return found


@_compiled
def _add_derivatives(
    squares: _Squares,
    change: FloatArray,
    covariance: FloatArray,
    error: FloatArray,
    m: FloatArray,
    numbers: FloatArray,
    sign: FloatArray,
    by_k: FloatArray,
    by_mu: FloatArray,
    of_m: FloatArray,
    by_numbers: FloatArray,
    by_change: FloatArray,
) -> None:
    """Add derivatives by M, numbers and mean changes, from those by K (n, n) and by mu (n,)."""
    (n, j), (f2, a, c, t0, t1) = change.shape, numbers
    q, root, shared = squares.total, squares.root, squares.shared
    of_shared = np.zeros((n, 1 + 2 * j))  # K times `shared`, which is half of the derivative
    for i in range(n):
        for o in range(n):
            for p in range(j + 1):
                of_shared[i, p] += by_k[i, o] * shared[o, p]
            for p in range(j + 1, 1 + 2 * j):
                of_shared[i, p] += by_k[i, o] * sign[i, o] * shared[o, p]
    for i in range(n):
        own, of_mu = by_k[i, i], by_mu[i]
        for p in range(1 + 2 * j):
            product = of_shared[i, p] * shared[i, p]
            weight = 1.0
            if p == 0:
                by_numbers[3] += product
                weight = t0
            elif p <= j:
                by_numbers[4] += product
                weight = t1
            of_mu -= weight * product * root[i] ** 2
            of_shared[i, p] *= 2 * weight * root[i]
        by_numbers[0] += a * own + of_mu
        by_numbers[1] += f2 * own
        by_numbers[2] += own * q[i]
        of_q = c * own + of_shared[i, 0] + of_mu
        for p in range(j):
            of_part = of_shared[i, 1 + p] + of_q
            of_weighed = of_part * change[i, p]
            for o in range(j):
                of_weighed += of_shared[i, 1 + j + o] * error[p, o]
            for o in range(j):
                of_m[p, o] += of_part * covariance[i, p, o] + of_weighed * change[i, o]
                by_change[i, o] += of_weighed * m[p, o]
            by_change[i, p] += of_part * squares.weighed[i, p]


def sample_metric(
    problem: SquaredDistances, *, draws: int, tune: int, chains: int, random_seed: int
) -> tuple[xr.Dataset, xr.Dataset]:
    """Draw from the posterior of the module's docstring by NUTS.

    Returns
    -------
    tuple of Dataset
        Posterior, dims (chain, draw, ...): ``worth`` (attribute), ``correlation`` (attribute,
        other), ``floor``, ``seed_sd`` and ``own_sd`` (t_0 and t_1). And the sampler's
        statistics.
    """
    j = problem.change.shape[1]
    arrays = problem.arrays

    def density(theta: FloatArray) -> tuple[float, FloatArray]:
        gradient = np.empty(problem.size)
        return log_density(theta, *arrays, gradient), gradient

    def start(seed: int) -> FloatArray:
        rng = generator(seed)
        theta = rng.normal(0, 0.1, problem.size)
        theta[:j] += 0.7 / np.sqrt(j)
        at = j + j * (j - 1) // 2
        theta[at : at + SCALARS] += [0.4, -2.0, -2.0, 0.2, 0.2]
        return theta

    model = from_pyfunc(
        problem.size,
        lambda: density,
        lambda *_: lambda theta: {"theta": theta.copy()},
        [np.dtype(float)],
        [(problem.size,)],
        ["theta"],
        make_initial_point_fn=start,
    )
    tree = nutpie.sample(
        model,
        draws=draws,
        tune=tune,
        chains=chains,
        seed=random_seed,
        progress_bar=False,
        save_warmup=False,
        adaptation="low_rank",
    )
    statistics = tree["sample_stats"].to_dataset()
    theta = tree["posterior"]["theta"].values
    kept = [name for name in STATISTICS if name in statistics]
    return _reported(theta, j, problem.floor), statistics[kept]


def _reported(theta: FloatArray, j: int, floor: float) -> xr.Dataset:
    """Worths, correlations, floor and spreads of draws of parameters (chain, draw, size)."""
    at = j + j * (j - 1) // 2
    flat = np.tanh(theta[..., j:at]).reshape(-1, at - j)
    factors = np.array([cholesky_of_partial(one, j) for one in flat])
    unit = factors.reshape(*theta.shape[:2], j, j)
    unit = unit * np.where(theta[..., :j] < 0, -1.0, 1.0)[..., None]
    sample = ("chain", "draw")
    scalars = np.abs(theta[..., at:])
    known = np.full(theta.shape[:2], floor)
    return xr.Dataset(
        {
            "worth": ((*sample, "attribute"), np.abs(theta[..., :j])),
            "correlation": (
                (*sample, "attribute", "other"),
                unit @ np.swapaxes(unit, -1, -2),
            ),
            "floor": (sample, scalars[..., 0] if np.isnan(floor) else known),
            "seed_sd": (sample, scalars[..., 3]),
            "own_sd": (sample, scalars[..., 4]),
        }
    )
