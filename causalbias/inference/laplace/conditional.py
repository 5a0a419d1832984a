"""The conditional mode of effects, cuts and coefficients given the scales, and curvature there.

x = (u, cuts, beta), u the dense terms' whitened effects. Its log density is

    log p(y, x | theta) = sum_j log p(y_j | x, sd) - |u|^2 / 2 - sum ((cut - m) / s)^2 / 2
                          - sum ((beta - m) / s)^2 / 2,    cuts ascending,

with ``p(y_j | x, sd)`` the likelihood of level j of the leading term, whose effect is integrated
out (`quadrature`). Newton steps are ``C^-1 g``, g the gradient and C minus the Hessian
(`curvature`).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import solve_triangular

from causalbias.inference.laplace.cholesky import factor_of
from causalbias.inference.laplace.curvature import curvature_of, gradient_of
from causalbias.inference.laplace.disc_curvature import disc_curvature_of, disc_gradient_of
from causalbias.inference.laplace.disc_quadrature import N_MOMENTS, disc_level_moments
from causalbias.inference.laplace.likelihood import NodePlaces, Rule, predictor
from causalbias.inference.laplace.quadrature import (
    cut_gaps,
    gauss_hermite,
    level_moments,
)
from causalbias.inference.laplace.rows import Disc, Rows
from causalbias.inference.problem import EngineError, FloatArray, GroupTerm

_MAX_STEPS = 60
_NEAR = 0.25  # twice what a step gains where the mode is within half a posterior sd
DEAR = 1000  # effects of which a factor takes much longer than a gradient


@dataclass(frozen=True)
class Target:
    """An ordinal or binary posterior.

    Attributes
    ----------
    rows : Rows
    terms : tuple of GroupTerm
        All of them, the leading one too, in the order of theta; those of the log discriminations
        last, under the name ``disc_<term>``.
    link : int
        LOGIT or PROBIT.
    cut_mean, cut_sd : ndarray (n_cuts,)
        Normal prior of the cuts, which increase. A cut of sd zero is at its mean: the one of a
        binary model, at zero, and the infinite ones between sets of cuts.
    beta_mean, beta_sd : ndarray (p,)
        ``inf`` for a flat prior; coefficients of the log discriminations last.
    n_nodes : int
        Of the quadrature.
    """

    rows: Rows
    terms: tuple[GroupTerm, ...]
    link: int
    cut_mean: FloatArray
    cut_sd: FloatArray
    beta_mean: FloatArray
    beta_sd: FloatArray
    n_nodes: int

    @cached_property
    def free(self) -> NDArray[np.bool_]:
        """Which cuts (n_cuts,) are to be estimated."""
        return np.asarray(self.cut_sd > 0)

    @cached_property
    def n_free(self) -> int:
        """Number of cuts to be estimated."""
        return int(self.free.sum())

    @cached_property
    def _in_one_set(self) -> NDArray[np.bool_]:
        """Whether each free cut but the first is of the set of the one before it."""
        return np.diff(np.flatnonzero(self.free)) == 1

    def gaps(self, free: FloatArray) -> FloatArray:
        """Distances between neighbouring cuts of a set, for free cuts (n_free, ...)."""
        return np.asarray(np.diff(free, axis=0)[self._in_one_set])


@dataclass(frozen=True)
class Conditional:
    """The posterior of x given the scales, about its mode.

    x holds the dense effects, whitened (``b = L u``), the free cuts, and the coefficients.

    Attributes
    ----------
    x : ndarray (q,)
    lead_sd : float
        Negative where no term leads.
    factors : list of ndarray (k, k), one a dense term
    log_joint : float
        Log density of y and x at the mode, leading effects integrated out.
    chol : ndarray (q, q)
        Lower Cholesky factor of the curvature.
    lead_mode : ndarray (levels,)
    places : NodePlaces
        Of the quadrature, near the mode.
    lead_square : float
        Sum over levels of E[v^2] - 1.
    """

    x: FloatArray
    lead_sd: float
    factors: list[FloatArray]
    log_joint: float
    chol: FloatArray
    lead_mode: FloatArray
    places: NodePlaces
    lead_square: float

    @property
    def log_marginal(self) -> float:
        """Laplace's approximation of the log density of y given the scales, up to a constant."""
        return self.log_joint - float(np.log(np.diag(self.chol)).sum())


def coloured(rows: Rows, factors: list[FloatArray], x: FloatArray) -> FloatArray:
    """Return x with raw effects ``b = L u``, for x (q,) or (q, draws)."""
    raw = x.copy()
    for slab, factor in zip(rows.slabs, factors, strict=True):
        block = x[slab].reshape(-1, len(factor), *x.shape[1:])
        raw[slab] = np.einsum("ij,nj...->ni...", factor, block).reshape(x[slab].shape)
    return raw


def whitened(rows: Rows, factors: list[FloatArray], x: FloatArray) -> FloatArray:
    """Return x with each slab of effects multiplied by the transposed factors."""
    return coloured(rows, [f.T for f in factors], x)


def all_cuts(target: Target, free: FloatArray) -> FloatArray:
    """Return the cuts (..., n_cuts + 2) with infinities at both ends, for free ones (..., n_free).

    Where there are several sets of cuts, infinity and minus infinity stand between two of them too.
    """
    cuts = np.empty((*free.shape[:-1], len(target.free) + 2))
    cuts[..., 0], cuts[..., -1] = -np.inf, np.inf
    cuts[..., 1:-1] = target.cut_mean
    cuts[..., 1:-1][..., target.free] = free
    return cuts


def cuts_apart(target: Target, x: FloatArray, centre: FloatArray) -> bool:
    """Whether no cuts of x are nearer to each other than a third of their distance at a centre.

    Where they all but meet, derivatives grow without bound, and say nothing of the centre.
    """
    free = slice(target.rows.n_effects, target.rows.n_effects + target.n_free)
    return bool((target.gaps(x[free]) > target.gaps(centre[free]) / 3).all())


def start_of(target: Target) -> FloatArray:
    """Return a start: no effects, cuts where the categories' shares put them."""
    rows = target.rows
    x = np.zeros(rows.n_effects + target.n_free + len(target.beta_mean))
    if target.n_free:
        shares = np.bincount(rows.category, rows.count, rows.n_cuts + 1) + 0.5
        sets = np.split(shares, 1 + np.flatnonzero(np.isneginf(target.cut_mean)))
        sets[:-1] = [one[:-1] for one in sets[:-1]]  # without what is between two sets
        below = np.concatenate([np.cumsum(one)[:-1] / one.sum() for one in sets])
        x[rows.n_effects : rows.n_effects + target.n_free] = np.log(below / (1 - below))
    return x


def find_conditional(
    target: Target,
    lead_sd: float,
    factors: list[FloatArray],
    start: FloatArray,
    lead_mode: FloatArray,
    near: FloatArray | None = None,
    tolerance: float = 1e-2,
) -> Conditional:
    """Climb to the mode by Newton steps until the next one gains less than ``tolerance / 2``.

    With ``near``, the factor of the curvature at a mode close by, it stands for that here until
    the last step, as long as each step gains a quarter of what the one before did at most:
    curvatures cost several times as much as gradients. Where factors are dear, so does the factor
    of the last exact step.

    Raises
    ------
    EngineError
        If the mode is not found: as a rule because the posterior has none.
    """
    x, best, size = start, None, 1.0
    direction, decrement = np.zeros(len(x)), np.inf
    for _ in range(_MAX_STEPS):
        found = evaluate(target, lead_sd, factors, x, lead_mode)
        if best is None and not np.isfinite(found[0]):
            raise EngineError("the density is not finite at the start")
        if best is not None and not found[0] >= best[0] - 1e-6:
            size *= 0.5
            if size < 1e-6:
                break
            x = best[1] + size * direction
            continue
        value, moments, level_out, modes = found
        gradient = gradient_at(target, factors, x, moments)
        if near is not None:
            direction, gain = _step(near.T, gradient)
            if gain >= 0.25 * decrement:
                near = None
            decrement = gain
        exact = near is None or decrement < tolerance
        if exact:
            chol = factored_curvature(target, factors, moments)
            direction, decrement = _step(chol.T, gradient)
            if len(x) > DEAR and decrement < len(x):  # within about an sd of each
                near = chol
        best, lead_mode, size = (value, x), modes, 1.0
        if exact and decrement < tolerance:
            # the density is that of x, and the last step adds what a quadratic adds
            top = value + 0.5 * decrement
            return _conditional(
                target, lead_sd, factors, x, direction, top, chol, modes, moments, level_out
            )
        x = x + direction
    if best is not None and decrement < _NEAR:
        # Where levels vary much and have few rows, the error of quadrature is larger than what is
        # left to gain. This is where proposals are made, whose weights are exact.
        value, moments, level_out, modes = evaluate(target, lead_sd, factors, best[1], lead_mode)
        chol = factored_curvature(target, factors, moments)
        still = np.zeros(len(best[1]))
        return _conditional(
            target, lead_sd, factors, best[1], still, value, chol, modes, moments, level_out
        )
    raise EngineError(
        "no mode was found: a coefficient or cut runs away (separation, or a category that a "
        "coefficient predicts without error); give it a tighter prior"
    )


def _step(upper: FloatArray, gradient: FloatArray) -> tuple[FloatArray, float]:
    """Return the Newton step and twice what it gains, by the upper factor of the curvature."""
    half = solve_triangular(upper, gradient, trans=1)
    return solve_triangular(upper, half), float(half @ half)


def _conditional(
    target: Target,
    lead_sd: float,
    factors: list[FloatArray],
    x: FloatArray,
    direction: FloatArray,
    log_joint: float,
    chol: FloatArray,
    modes: FloatArray,
    moments: FloatArray,
    level_out: FloatArray,
) -> Conditional:
    """The posterior about ``x + direction``, the last step being small, from moments at x."""
    rows = target.rows
    # about the point evaluated, whose curvature this is; x goes on the last small step
    eta = linear_predictor(target, coloured(rows, factors, x))
    return Conditional(
        x=x + direction,
        lead_sd=lead_sd,
        factors=factors,
        log_joint=log_joint,
        chol=chol,
        lead_mode=modes,
        places=node_places(rows, lead_sd, modes, eta, moments, level_out),
        lead_square=float((level_out[:, 2] - 1).sum()),
    )


def node_places(
    rows: Rows,
    lead_sd: float,
    modes: FloatArray,
    eta: FloatArray,
    moments: FloatArray,
    level_out: FloatArray,
) -> NodePlaces:
    """Where the quadrature places its nodes, near a point.

    A level's log likelihood in its effect u is about quadratic, of curvature ``W = sum_i w_i`` and
    slope ``pull - sum_i w_i eta_i - W u`` at any eta: ``pull = W sd v* + G + sum_i w_i eta_i``, G
    the slope at the mode v*.
    """
    weight = moments[:, 2] + 2 * moments[:, 3] + moments[:, 4]
    level_weight = np.add.reduceat(weight, rows.start[:-1])
    pull = level_weight * lead_sd * modes + level_out[:, 1]
    pull += np.add.reduceat(weight * eta, rows.start[:-1])
    return NodePlaces(level_weight, pull, weight)


def quadrature(lead_sd: float, n_nodes: int) -> Rule:
    """Return nodes and log weights; one node of no weight where no term leads."""
    return gauss_hermite(n_nodes) if lead_sd >= 0 else (np.zeros(1), np.zeros(1))


def linear_predictor(target: Target, raw: FloatArray) -> FloatArray:
    """Return the rows' linear predictor, leading effects left out, for raw x (q,)."""
    rows = target.rows
    eta = np.empty(len(rows.code))
    fixed = rows.fixed(coefficients(target, raw)[0])
    predictor(rows.indptr, rows.column, rows.value, raw[: rows.n_effects], rows.code, fixed, eta)
    return eta


def coefficients(target: Target, raw: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the coefficients of eta and of the log discriminations, for x (q,) or (q, draws)."""
    first = target.rows.n_effects + target.n_free
    last = first + target.rows.design.shape[1]
    return raw[first:last], raw[last:]


def discriminations(target: Target, disc: Disc, raw: FloatArray) -> FloatArray:
    """Return the rows' discriminations for raw x (q,)."""
    rows = target.rows
    log_disc = np.empty(len(rows.code))
    fixed = disc.design @ coefficients(target, raw)[1]
    effects = raw[: rows.n_effects]
    predictor(disc.indptr, disc.column, disc.value, effects, rows.code, fixed, log_disc)
    return np.exp(log_disc)


def evaluate(
    target: Target,
    lead_sd: float,
    factors: list[FloatArray],
    x: FloatArray,
    lead_mode: FloatArray,
) -> tuple[float, FloatArray, FloatArray, FloatArray]:
    """Return log joint density, row moments, level moments, modes; minus infinity off the range."""
    raw = coloured(target.rows, factors, x)
    value, _, moments, levels, modes = likelihood_at(target, lead_sd, raw, lead_mode)
    return value + float(log_prior(target, x)), moments, levels, modes


def likelihood_at(
    target: Target, lead_sd: float, raw: FloatArray, lead_mode: FloatArray
) -> tuple[float, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return log likelihood, linear predictor, row moments, level moments, modes, at raw x (q,).

    Minus infinity off the range.
    """
    node, log_weight = quadrature(lead_sd, target.n_nodes)
    rows, s = target.rows, target.rows.n_effects
    cuts = all_cuts(target, raw[s : s + target.n_free])
    width = 7 if rows.disc is None else N_MOMENTS
    moments, levels = np.empty((len(rows.code), width)), np.zeros((len(rows.level), 3))
    modes, eta = lead_mode.copy(), linear_predictor(target, raw)
    if not (target.gaps(raw[s : s + target.n_free]) > 0).all() or not np.isfinite(raw).all():
        return -np.inf, eta, moments, levels, modes
    if rows.disc is not None:
        value = disc_level_moments(
            target.link,
            rows.start,
            rows.category,
            rows.count,
            eta,
            discriminations(target, rows.disc, raw),
            cuts,
            lead_sd,
            node,
            log_weight,
            modes,
            levels,
            moments,
        )
        return value, eta, moments, levels, modes
    value = level_moments(
        target.link,
        rows.start,
        rows.category,
        rows.count,
        eta,
        cuts,
        cut_gaps(cuts),
        lead_sd,
        node,
        log_weight,
        modes,
        levels,
        moments,
    )
    return value, eta, moments, levels, modes


def log_prior(target: Target, x: FloatArray) -> FloatArray:
    """Return the log prior of x (q,) or (q, draws), up to a constant."""
    s, k = target.rows.n_effects, target.n_free
    mean, sd = _prior(target)
    z = (x[s:].T - mean) / sd
    value = -0.5 * ((x[:s] ** 2).sum(axis=0) + (z**2).sum(axis=-1))
    ordered = (target.gaps(x[s : s + k]) > 0).all(axis=0)
    return np.where(ordered, value, -np.inf)


def _prior(target: Target) -> tuple[FloatArray, FloatArray]:
    return (
        np.concatenate([target.cut_mean[target.free], target.beta_mean]),
        np.concatenate([target.cut_sd[target.free], target.beta_sd]),
    )


def gradient_at(
    target: Target, factors: list[FloatArray], x: FloatArray, moments: FloatArray
) -> FloatArray:
    """Return the gradient of the log joint density by x."""
    s, disc = target.rows.n_effects, target.rows.disc
    if disc is None:
        gradient = gradient_of(target.rows, moments)
    else:
        gradient = disc_gradient_of(target.rows, disc, moments)
    if len(fixed := s + np.flatnonzero(~target.free)):
        gradient = np.delete(gradient, fixed)
    mean, sd = _prior(target)
    pull = np.concatenate([x[:s], (x[s:] - mean) / sd**2])
    return whitened(target.rows, factors, gradient) - pull


def factored_curvature(
    target: Target, factors: list[FloatArray], moments: FloatArray
) -> FloatArray:
    """Return the lower Cholesky factor of minus the Hessian of the log joint density by x.

    Where that is not positive, as it may be where rows discriminate unequally, of its bound.
    """
    if target.rows.disc is None:
        return factor_of(curvature_at(target, factors, moments))
    try:
        return factor_of(curvature_at(target, factors, moments))
    except EngineError:
        return factor_of(curvature_at(target, factors, moments, bounded=True))


def curvature_at(
    target: Target,
    factors: list[FloatArray],
    moments: FloatArray,
    *,
    bounded: bool = False,
    jacobian: sparse.csr_matrix | None = None,
) -> FloatArray:
    """Return minus the Hessian of the log joint density by x, its lower triangle.

    Where rows discriminate unequally, ``jacobian`` (s, s) is that of the whitened effects by other
    coordinates: the curvature C is then ``J' C J``.
    """
    s, rows = target.rows.n_effects, target.rows
    prior = 1 / _prior(target)[1] ** 2
    if rows.disc is not None:
        change = _colours(rows, factors)
        eye = sparse.identity(s, format="csr") if jacobian is None else jacobian
        curvature = disc_curvature_of(rows, rows.disc, moments, change @ eye, bounded=bounded)
        add_lower(curvature, sparse.block_diag([eye.T @ eye, sparse.diags(prior)]))
        return curvature
    curvature = curvature_of(rows, moments)
    if len(fixed := s + np.flatnonzero(~target.free)):
        curvature = np.delete(np.delete(curvature, fixed, axis=0), fixed, axis=1)
    if all(len(f) == 1 for f in factors):
        scale = whitened(rows, factors, np.ones(len(curvature)))
        curvature *= scale[:, None]
        curvature *= scale
    else:
        curvature = np.tril(curvature) + np.tril(curvature, -1).T
        curvature = whitened(rows, factors, curvature)
        curvature = whitened(rows, factors, np.ascontiguousarray(curvature.T))
    curvature.flat[:: len(curvature) + 1] += np.concatenate([np.ones(s), prior])
    return curvature


def _colours(rows: Rows, factors: list[FloatArray]) -> sparse.csr_matrix:
    """The matrix (s, s) that makes raw effects of whitened ones, as `coloured` does."""
    if not factors:
        return sparse.csr_matrix((rows.n_effects, rows.n_effects))
    pairs = zip(rows.dense, factors, strict=True)
    blocks = [sparse.kron(sparse.identity(term.n_levels), factor) for term, factor in pairs]
    return sparse.csr_matrix(sparse.block_diag(blocks))


def add_lower(matrix: FloatArray, symmetric: sparse.spmatrix) -> None:
    """Add a sparse symmetric matrix to the first rows and columns of a lower triangle."""
    found = sparse.tril(symmetric, format="coo")
    matrix[found.row, found.col] += found.data
