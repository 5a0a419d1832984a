"""The normal distribution nearest to a conditional posterior with unequal discriminations.

All log discriminations have a skewness of one sign, which adds up in what they share: the mean of x
may lie more than a standard deviation from its mode. The normal N(m, C^-1) of least divergence from
the posterior has ``E g(x) = 0`` and ``C = -E g'(x)`` under itself, g the gradient (Opper and
Archambeau, 2009), here in the coordinates of `disc_warp`.
"""

from concurrent.futures import Executor
from dataclasses import replace

import numpy as np
from scipy import sparse
from scipy.linalg import solve_triangular

from causalbias.inference.laplace.cholesky import factor_of, inverse_of
from causalbias.inference.laplace.conditional import (
    Conditional,
    Target,
    add_lower,
    curvature_at,
    cuts_apart,
    evaluate,
    gradient_at,
)
from causalbias.inference.laplace.disc_warp import (
    Warps,
    find_warps,
    unwarped,
    warped,
    with_strengths,
)
from causalbias.inference.laplace.nested import ScalePoint
from causalbias.inference.laplace.rows import Disc
from causalbias.inference.problem import EngineError, FloatArray

_ROUNDS = 4  # of a search for the mean
_CLOSE, _CLOSE_EACH = 0.05, 3e-4  # what its last step gains at most: in all, or of each effect
_NOISE = 0.1  # of the mean: what it adds to the variance of log weights
_BATCH, _MOST_BATCHES = 8, 8  # pairs of gradients for it, a batch at least
_STEP, _SIGNS = 0.05, 4  # of log discriminations, for third derivatives; and how many times
_EVALUATED = 200_000  # rows of all pairs of draws
_FEW, _PAIRS = 4, 24  # most pairs, where the mean is known and where it is not


def _sds(found: Conditional) -> list[float]:
    return [float(factor[0, 0]) for factor in found.factors]


def fit_warps(
    target: Target, disc: Disc, point: ScalePoint, rng: np.random.Generator, pool: Executor
) -> Warps:
    """Warps of a strength that third derivatives at a mode ask for.

    Those of each level's own precisions, by differences: all log discriminations move at once, to
    sides chosen at random, so that what the others do to a level cancels on the average.
    """
    found, warps = point.found, find_warps(target.rows, disc)
    sds = _sds(found)
    change, step = np.zeros_like(found.x), np.zeros_like(found.x)

    def precision(x: FloatArray) -> FloatArray:
        moments = evaluate(target, found.lead_sd, found.factors, x, found.lead_mode)[1]
        return np.diag(curvature_at(target, found.factors, moments))

    signs = rng.choice([-1.0, 1.0], (_SIGNS, len(found.x)))
    steps = []
    for sign in signs:
        step = np.zeros_like(found.x)
        for bend in warps.bends:
            step[bend.effects] = _STEP / sds[bend.place] * sign[bend.effects]
        steps += [step, -step]
    ends = list(pool.map(lambda one: precision(found.x + one), steps))
    for sign, up, down in zip(signs, ends[::2], ends[1::2], strict=True):
        slope = (up - down) / (2 * _STEP * _SIGNS)
        for bend in warps.bends:
            change[bend.effects] += sign[bend.effects] * slope[bend.effects]
        for warp in warps.warps:
            change[warp.places] += (sign[warp.sharper])[:, None] * slope[warp.places]
    return with_strengths(warps, precision(found.x), change)


def averaged_point(
    target: Target,
    warps: Warps,
    point: ScalePoint,
    shift: FloatArray | None,
    rng: np.random.Generator,
    pool: Executor,
) -> ScalePoint:
    """Return the point with the mean and the mean curvature in the place of mode and curvature.

    The mean is ``shift`` from the mode; where that is None it is looked for.
    """
    found = point.found
    most = _PAIRS if shift is None else _FEW
    pairs = int(np.clip(_EVALUATED / len(target.rows.code), 3, most))
    centre, chol = found.x + (0.0 if shift is None else shift), found.chol
    for _ in range(_ROUNDS if shift is None else 1):
        steps = _steps(target, centre, chol, pairs, rng)
        gradient, curvature = _averages(target, warps, found, centre, steps, pool)
        try:
            chol = factor_of(curvature)
        except EngineError:
            break
        half = solve_triangular(chol, gradient, lower=True)
        if shift is None:
            centre = centre + solve_triangular(chol.T, half)
        if half @ half < max(_CLOSE, _CLOSE_EACH * len(centre)):
            break
    if shift is None:
        centre = _mean(target, warps, found, centre, chol, max(pairs, _BATCH), rng, pool)
    return replace(point, found=replace(found, x=centre, chol=chol), cov=inverse_of(chol))


def _steps(
    target: Target, centre: FloatArray, chol: FloatArray, pairs: int, rng: np.random.Generator
) -> list[FloatArray]:
    """Draw steps from a centre, one of each pair, without those whose cuts all but meet."""
    steps = solve_triangular(chol.T, rng.standard_normal((len(centre), pairs))).T
    return [
        step
        for step in steps
        if all(cuts_apart(target, centre + sign * step, centre) for sign in (1, -1))
    ]


def _mean(
    target: Target,
    warps: Warps,
    found: Conditional,
    centre: FloatArray,
    chol: FloatArray,
    batch: int,
    rng: np.random.Generator,
    pool: Executor,
) -> FloatArray:
    """Return the mean, by gradients about a centre close to it until their noise does no harm.

    An error e of the mean adds ``e' C e`` to the variance of log weights. Of many effects each has
    its share, and curvatures of as many draws would be dear.
    """

    def at(step: FloatArray) -> FloatArray:
        both = [_derivatives(target, warps, found, centre, one)[0] for one in (step, -step)]
        return 0.5 * solve_triangular(chol, both[0] + both[1], lower=True)

    halves: list[FloatArray] = []
    for _ in range(_MOST_BATCHES):
        halves += pool.map(at, _steps(target, centre, chol, batch, rng))
        if len(halves) > 1 and np.var(halves, axis=0, ddof=1).sum() / len(halves) < _NOISE:
            break
    if not halves:
        return centre
    return np.asarray(centre + solve_triangular(chol.T, np.mean(halves, axis=0)))


def _derivatives(
    target: Target, warps: Warps, found: Conditional, centre: FloatArray, step: FloatArray
) -> tuple[FloatArray, FloatArray, sparse.csr_matrix, sparse.csr_matrix]:
    """Gradient (q,) a step from the centre before the warp; and what the curvature is made of."""
    moved = (centre + step)[:, None]
    warped(warps, moved, centre[:, None], _sds(found))
    x, factors = moved[:, 0], found.factors
    moments = evaluate(target, found.lead_sd, factors, x, found.lead_mode)[1]
    slope = gradient_at(target, factors, x, moments)
    slope, jacobian, bent = unwarped(warps, slope, centre + step, centre, _sds(found))
    return slope, moments, jacobian, bent


def _averages(
    target: Target,
    warps: Warps,
    found: Conditional,
    centre: FloatArray,
    steps: list[FloatArray],
    pool: Executor,
) -> tuple[FloatArray, FloatArray]:
    """Gradient (q,) and curvature (q, q) averaged over steps to both sides of a centre.

    What is linear cancels between the sides.
    """
    both, s = [*steps, *(-step for step in steps)] or [np.zeros_like(centre)], target.rows.n_effects

    def at(step: FloatArray) -> tuple[FloatArray, FloatArray]:
        slope, moments, jacobian, bent = _derivatives(target, warps, found, centre, step)
        whole = curvature_at(target, found.factors, moments, jacobian=jacobian[:s, :s])
        add_lower(whole, bent)
        return slope, whole

    gradient, curvature = np.zeros_like(centre), np.zeros((len(centre), len(centre)))
    for first in range(0, len(both), 2):  # few at a time: each is a matrix
        for slope, bent in pool.map(at, both[first : first + 2]):
            gradient += slope / len(both)
            curvature += bent / len(both)
    return gradient, curvature
