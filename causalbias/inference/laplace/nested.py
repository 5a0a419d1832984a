"""The scales' approximate posterior: mode and curvature of the nested Laplace density.

The nested approximation (Rue, Martino and Chopin 2009) of the scales' log density is

    log p(theta | y) ~ log p(theta) + log p(y, x* | theta) - log |C| / 2,

x* the mode of x given theta and C the curvature there (`conditional`). By Fisher's identity the
gradient of ``log p(y | theta)`` is the mean of that of ``log p(y, x | theta)`` over x; with x
normal about its mode this needs its covariance and nothing else. What the change of C itself adds
is left out: this only starts the importance sampler.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack, solve_triangular

from causalbias.inference.laplace.conditional import (
    Conditional,
    Target,
    cuts_apart,
    evaluate,
    find_conditional,
    gradient_at,
    start_of,
)
from causalbias.inference.problem import EngineError, FloatArray, GroupTerm
from causalbias.inference.scales import Scales, unpack

_STEP = 0.05
_PAIRS = 12
_MAX_ROUNDS = 25
_MAX_VARIANCE = 50.0  # of what flat coefficients add to the linear predictor


@dataclass(frozen=True)
class ScalePoint:
    """The conditional posterior at one theta, with the covariance it implies.

    Attributes
    ----------
    theta : ndarray (d,)
    found : Conditional
    cov : ndarray (q, q)
        Of x.
    slopes : ndarray (q, d)
        Derivative of the mode of x by theta; zero by the leading sd.
    log_density : float
        Nested Laplace approximation of the log density of theta.
    gradient : ndarray (d,)
        Of that, roughly.
    """

    theta: FloatArray
    found: Conditional
    cov: FloatArray
    slopes: FloatArray
    log_density: float
    gradient: FloatArray


def scales_of(theta: FloatArray, terms: Sequence[GroupTerm]) -> Scales:
    """Unpack theta (N, d), which here has no residual sd."""
    whole = np.column_stack([np.zeros(len(theta)), theta])
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return unpack(whole, terms, np.zeros_like)


def lead_sds(target: Target, terms: Sequence[GroupTerm], scales: Scales) -> FloatArray:
    """Return the leading sd of each of the scales (N,); -1 where no term leads."""
    for term, sd in zip(terms, scales.sd, strict=True):
        if term is target.rows.leading:
            return sd[:, 0]
    return np.full(len(scales.log_prior), -1.0)


def split_factors(
    target: Target, terms: Sequence[GroupTerm], scales: Scales, i: int
) -> tuple[float, list[FloatArray]]:
    """Return the leading sd (-1 where no term leads) and the dense terms' factors."""
    lead, dense = -1.0, []
    for term, factor in zip(terms, scales.factors(i), strict=True):
        if term is target.rows.leading:
            lead = float(factor[0, 0])
        else:
            dense.append(factor)
    return lead, dense


def scale_point(
    target: Target, terms: Sequence[GroupTerm], theta: FloatArray, near: ScalePoint | None
) -> ScalePoint:
    """Find the conditional mode at theta, starting from that at a point near it."""
    scales = scales_of(theta[None], terms)
    lead_sd, factors = split_factors(target, terms, scales, 0)
    start, modes, chol = start_of(target), np.zeros(len(target.rows.level)), None
    if near is not None:
        chol = near.found.chol
        start = near.found.x + near.slopes @ (theta - near.theta)
        modes = near.found.lead_mode
    try:
        found = find_conditional(target, lead_sd, factors, start, modes, chol)
    except EngineError:
        if near is None:
            raise
        found = find_conditional(target, lead_sd, factors, start_of(target), np.zeros_like(modes))
    inverse, _ = lapack.dpotri(found.chol.T, lower=0)  # column-major upper
    cov = inverse + np.triu(inverse, 1).T
    slopes, gradient = _by_theta(target, terms, theta, found, cov)
    log_density = float(scales.log_prior[0]) + found.log_marginal
    return ScalePoint(theta, found, cov, slopes, log_density, gradient)


def _by_theta(
    target: Target,
    terms: Sequence[GroupTerm],
    theta: FloatArray,
    found: Conditional,
    cov: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the derivative of the mode, and the gradient of the log density, by theta.

    With ``dL = L M`` the mode moves by ``cov (M + M') u - M u`` and the log density by the sum
    over levels of ``u' M u + tr(M cov) - tr(M)``.
    """
    h, d = 1e-5, len(theta)
    steps = np.vstack([theta + h * np.eye(d), theta - h * np.eye(d)])
    around = scales_of(steps, terms)
    gradient = (around.log_prior[:d] - around.log_prior[d:]) / (2 * h)
    slopes = np.zeros((len(found.x), d))
    at = 0
    for t, term in enumerate(terms):
        k, own = term.k, term.n_theta
        if term is target.rows.leading:
            gradient[at] += found.lead_square
            at += own
            continue
        place = target.rows.place(term)
        slab, factor = target.rows.slabs[place], found.factors[place]
        u = found.x[slab].reshape(-1, k)
        block = cov[slab, slab].reshape(len(u), k, len(u), k)
        spread = (
            np.einsum("niNj,nN->ij", block, np.eye(len(u)))
            if k > 1
            else (np.array([[np.trace(cov[slab, slab])]]))
        )
        for j in range(at, at + own):
            moved = (around.factors(j)[t] - around.factors(d + j)[t]) / (2 * h)
            m = solve_triangular(factor, moved, lower=True)
            gradient[j] += float(np.sum((u @ m.T) * u) + np.sum(m * spread.T))
            gradient[j] -= len(u) * float(np.trace(m))
            slopes[:, j] = cov[:, slab] @ (u @ (m + m.T)).ravel()
            slopes[slab, j] -= (u @ m.T).ravel()
        at += own
    return slopes, gradient


def lead_slope(target: Target, point: ScalePoint) -> FloatArray:
    """Return the derivative of the mode of x by the log of the leading sd.

    ``dx* / d log sd = C^-1 d(gradient) / d log sd``, by central differences of the gradient at x*.
    """
    found, gradients = point.found, []
    for sign in (1.0, -1.0):
        sd = found.lead_sd * np.exp(sign * _STEP)
        moments = evaluate(target, sd, found.factors, found.x, found.lead_mode)[1]
        gradients.append(gradient_at(target, found.factors, found.x, moments))
    return point.cov @ (gradients[0] - gradients[1]) / (2 * _STEP)


def mean_shift(
    target: Target, point: ScalePoint, rng: np.random.Generator, pool: Executor
) -> FloatArray:
    """Return how far the mean of x lies from its mode, by the mean gradient about the mode.

    ``E x - x* = C^-1 E g(x)`` to the first order, g the gradient and x normal about x*. A skewness
    too slight to see in any one of many effects moves the mean in all that they share. Draws come
    in pairs about the mode, whose linear parts cancel; those with cuts that all but meet are left
    out.
    """
    found = point.found
    z = rng.standard_normal((len(found.x), _PAIRS))
    steps = [
        step
        for step in solve_triangular(found.chol.T, z).T
        if all(cuts_apart(target, found.x + sign * step, found.x) for sign in (1, -1))
    ]

    def gradient(step: FloatArray) -> FloatArray:
        x = found.x + step
        moments = evaluate(target, found.lead_sd, found.factors, x, found.lead_mode)[1]
        return gradient_at(target, found.factors, x, moments)

    if not steps:
        return np.zeros_like(found.x)
    gradients = np.array(list(pool.map(gradient, [*steps, *(-step for step in steps)])))
    return point.cov @ gradients.mean(axis=0)


def find_scales(
    target: Target, terms: Sequence[GroupTerm], start: FloatArray, pool: Executor
) -> tuple[ScalePoint, FloatArray]:
    """Climb to the mode of theta by Newton steps.

    The curvature is that of the rough gradient's differences; the gradient itself comes from
    differences of the density, which has all that the rough one leaves out. Where that is much of
    the curvature, whole steps would go to and fro: they are shortened as the gradients at both ends
    of the last one ask for.

    Returns
    -------
    mode : ScalePoint
    cov : ndarray (d, d)
        Inverse curvature there, made positive.
    """
    point = scale_point(target, terms, start, None)
    d = len(start)
    inverse, h = np.eye(d), np.full(d, 0.1)
    size, moved, before = 1.0, np.zeros(d), np.zeros(d)
    for _ in range(_MAX_ROUNDS if d else 0):
        near = list(
            pool.map(
                lambda step, here=point: scale_point(target, terms, here.theta + step, here),
                np.diag(h),
            )
        )
        hessian = np.array([point.gradient - one.gradient for one in near]) / h[:, None]
        hessian = 0.5 * (hessian + hessian.T)
        rise = np.array([one.log_density - point.log_density for one in near])
        gradient = rise / h + 0.5 * h * np.diag(hessian)
        inverse = _positive_inverse(hessian)
        step, width = inverse @ gradient, np.sqrt(np.diag(inverse))
        if moved.any():
            fell = float(moved @ (before - gradient)) / max(float(moved @ before), 1e-12)
            size = min(1.0, size / np.clip(fell, 0.5, 4.0))
        step *= size
        if (np.abs(step) < 0.2 * width).all():
            break
        h = np.clip(0.5 * width, 1e-3, 0.1)
        step *= min(1.0, 1.5 / np.abs(step).max())
        moved, before = step, gradient
        point = scale_point(target, terms, point.theta + step, point)
    return point, inverse


def check_determined(target: Target, cov: FloatArray) -> None:
    """Refuse coefficients with flat priors that run away, by their covariance (p, p).

    Under separation the likelihood rises for ever, by ever less, so that a search stops somewhere;
    there it leaves the linear predictor all but free.
    """
    flat = np.flatnonzero(np.isinf(target.beta_sd))
    if not len(flat):
        return
    size = np.abs(target.rows.design[:, flat]).max(axis=0)
    if np.linalg.eigvalsh(cov[np.ix_(flat, flat)] * np.outer(size, size))[-1] > _MAX_VARIANCE:
        raise EngineError(
            "coefficients with flat priors are not determined: separation, as where a coefficient "
            "predicts the response without error; give them proper priors"
        )


def start_scales(terms: Sequence[GroupTerm]) -> FloatArray:
    """Start every sd at what moves the linear predictor by a half."""
    theta: list[float] = []
    for term in terms:
        theta += np.log(0.5 / term.root_mean_squares()).tolist()
        theta += [0.0] * term.n_corr
    return np.array(theta)


def _positive_inverse(hessian: FloatArray) -> FloatArray:
    scale = np.sqrt(np.clip(np.diag(hessian), 0.25, None))
    value, vector = np.linalg.eigh(hessian / np.outer(scale, scale))
    inverse = (vector / np.clip(value, 0.05, None)) @ vector.T
    return np.asarray(inverse / np.outer(scale, scale))
