"""The scales' approximate posterior: mode and curvature of the nested Laplace density.

The nested approximation (Rue, Martino and Chopin 2009) of the scales' log density is

    log p(theta | y) ~ log p(theta) + log p(y, x* | theta) - log |C| / 2,

x* the mode of x given theta and C the curvature there (`conditional`). By Fisher's identity the
gradient of ``log p(y | theta)`` is the mean of that of ``log p(y, x | theta)`` over x; with x
normal about its mode this needs its covariance and nothing else. What the change of C itself adds
is left out (but see `_means`): this only starts the importance sampler.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from causalbias.inference.laplace.cholesky import inverse_of
from causalbias.inference.laplace.conditional import (
    DEAR,
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
_PAIRS, _FEW_PAIRS = 12, 3
_MAX_ROUNDS = 25
_MAX_ALONE, _REACH = 12, 0.75  # steps of one point each, where points are dear; and how long
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
    information : ndarray (d,)
        About minus its second derivatives: what levels say of their own covariance, each in the
        part that the data determine.
    """

    theta: FloatArray
    found: Conditional
    cov: FloatArray
    slopes: FloatArray
    log_density: float
    gradient: FloatArray
    information: FloatArray


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
    cov = inverse_of(found.chol)
    about, square = found.x, found.lead_square
    if target.rows.disc is not None and len(found.x) > DEAR:
        about, square = _means(target, found, cov)
    slopes, gradient, information = _by_theta(target, terms, theta, found, cov, about, square)
    log_density = float(scales.log_prior[0]) + found.log_marginal
    return ScalePoint(theta, found, cov, slopes, log_density, gradient, information)


def _by_theta(
    target: Target,
    terms: Sequence[GroupTerm],
    theta: FloatArray,
    found: Conditional,
    cov: FloatArray,
    about: FloatArray,
    lead_square: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the derivative of the mode, gradient and information of the log density, by theta.

    With ``dL = L M`` the mode moves by ``cov (M + M') u - M u`` and the log density by the sum
    over levels of ``m' M m + tr(M cov) - tr(M)``, m their mean, ``about`` (q,); by the log of the
    leading sd by ``lead_square``. With R the part of a level's effects that the data determine,
    ``1 - cov``, its information is ``tr((R (M + M') R)^2) / 2``.
    """
    h, d = 1e-5, len(theta)
    steps = np.vstack([theta + h * np.eye(d), theta - h * np.eye(d)])
    around = scales_of(steps, terms)
    gradient = (around.log_prior[:d] - around.log_prior[d:]) / (2 * h)
    slopes, information = np.zeros((len(found.x), d)), np.ones(d)
    at = 0
    for t, term in enumerate(terms):
        k, own = term.k, term.n_theta
        if term is target.rows.leading:
            gradient[at] += lead_square
            pulled = found.lead_sd**2 * found.places.curvature
            information[at] += 2 * float(((pulled / (1 + pulled)) ** 2).sum())
            at += own
            continue
        place = target.rows.place(term)
        slab, factor = target.rows.slabs[place], found.factors[place]
        u, mean = found.x[slab].reshape(-1, k), about[slab].reshape(-1, k)
        block = cov[slab, slab].reshape(len(u), k, len(u), k)
        known = np.eye(k) - block[np.arange(len(u)), :, np.arange(len(u)), :]
        spread = (
            np.einsum("niNj,nN->ij", block, np.eye(len(u)))
            if k > 1
            else (np.array([[np.trace(cov[slab, slab])]]))
        )
        for j in range(at, at + own):
            moved = (around.factors(j)[t] - around.factors(d + j)[t]) / (2 * h)
            m = solve_triangular(factor, moved, lower=True)
            gradient[j] += float(np.sum((mean @ m.T) * mean) + np.sum(m * spread.T))
            gradient[j] -= len(u) * float(np.trace(m))
            information[j] += 0.5 * float(((known @ (m + m.T) @ known) ** 2).sum())
            slopes[:, j] = cov[:, slab] @ (u @ (m + m.T)).ravel()
            slopes[slab, j] -= (u @ m.T).ravel()
        at += own
    return slopes, gradient, information


def _means(target: Target, found: Conditional, cov: FloatArray) -> tuple[FloatArray, float]:
    """Return the mean of x, and that of ``lead_square``, by pairs of draws about the mode.

    Where rows discriminate unequally these are far from what they are at the mode, and so is the
    gradient by theta. The draws are the same at each theta, so that it is smooth.
    """
    z = np.random.default_rng(1).standard_normal((len(found.x), _FEW_PAIRS))
    gradients, squares = [], []
    for step in solve_triangular(found.chol.T, z).T:
        if not all(cuts_apart(target, found.x + sign * step, found.x) for sign in (1, -1)):
            continue
        for x in (found.x + step, found.x - step):
            _, moments, levels, _ = evaluate(
                target, found.lead_sd, found.factors, x, found.lead_mode
            )
            gradients.append(gradient_at(target, found.factors, x, moments))
            squares.append(float((levels[:, 2] - 1).sum()))
    if not gradients:
        return found.x, found.lead_square
    mean = found.x + cov @ np.mean(gradients, axis=0)
    if not cuts_apart(target, mean, found.x):
        return found.x, found.lead_square
    levels = evaluate(target, found.lead_sd, found.factors, mean, found.lead_mode)[2]
    moved = float((levels[:, 2] - 1).sum()) - found.lead_square
    return mean, float(np.mean(squares)) + moved


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
    of the last one ask for. Where points are dear and their gradients good (`_means`),
    `_climb` goes most of the way without differences.

    Returns
    -------
    mode : ScalePoint
    cov : ndarray (d, d)
        Inverse curvature there, made positive.
    """
    point = scale_point(target, terms, start, None)
    d, dear = len(start), target.rows.disc is not None and len(point.found.x) > DEAR
    inverse, h = np.eye(d), np.full(d, 0.1)
    hessian, beside = np.diag(point.information), np.zeros(d)
    size, moved, before = 1.0, np.zeros(d), np.zeros(d)
    for _ in range(_MAX_ROUNDS if d else 0):
        if dear:
            point = _climb(target, terms, point, hessian, beside)
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
        if dear:
            beside = gradient - point.gradient
            continue
        step *= min(1.0, 1.5 / np.abs(step).max())
        moved, before = step, gradient
        point = scale_point(target, terms, point.theta + step, point)
    return point, inverse


def _climb(
    target: Target,
    terms: Sequence[GroupTerm],
    point: ScalePoint,
    hessian: FloatArray,
    beside: FloatArray,
) -> ScalePoint:
    """Climb without differences until steps are short.

    ``hessian`` (d, d), about minus that of the log density, is brought up to date by the gradients
    along the way (BFGS); what these leave out, ``beside`` (d,), is taken to stay as it is. Of a
    step that leads down only the curvature is kept.
    """
    reach = _REACH
    for _ in range(_MAX_ALONE):
        inverse = _positive_inverse(hessian)
        step = inverse @ (point.gradient + beside)
        if (np.abs(step) < 0.1 * np.sqrt(np.diag(inverse))).all():
            break
        step *= min(1.0, reach / np.abs(step).max())
        ahead = scale_point(target, terms, point.theta + step, point)
        fell, pulled = point.gradient - ahead.gradient, hessian @ step
        if min(step @ fell, step @ pulled) > 0:
            hessian = hessian - np.outer(pulled, pulled) / (step @ pulled)
            hessian += np.outer(fell, fell) / (step @ fell)
        reach = _REACH if ahead.log_density > point.log_density else 0.25 * np.abs(step).max()
        point = max(point, ahead, key=lambda one: one.log_density)
    return point


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
