"""Where the posterior of theta has its mode, and expansions about it."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace

import numpy as np
from scipy import stats

from causalbias.inference.importance.adaptive import find_mode
from causalbias.inference.problem import EngineError, FloatArray, IntArray, Problem
from causalbias.inference.rowwise.densities import (
    BETA,
    EXGAUSSIAN,
    GAMMA,
    LIMITED_NORMAL,
    LIMITED_STUDENT,
    NEGATIVE_BINOMIAL,
    POISSON,
    SKEW_NORMAL,
    STUDENT,
)
from causalbias.inference.rowwise.expansion import (
    Expansion,
    Hessian,
    expand,
    find_mode_of_x,
    given,
    gradient_of,
    gradients_at,
    hessian_of,
    log_likelihoods,
    log_prior_of,
    normal_at,
    right_side,
    slopes_at,
)
from causalbias.inference.rowwise.proposal import distances, draws_together
from causalbias.inference.rowwise.target import Target

_MAX_ROUNDS, _CLOSE = 20, 0.2  # of the search, and its last step in standard deviations
_DIFFERENCE = 1e-3  # of theta in standard deviations; quadrature errs by 1e-7 of many levels
_SPREAD = 1.5  # of further expansions from the mode, in standard deviations
_SOME_LEVELS = 3000  # of the leading term, with which a search begins
_STARTS, _DEVIATES = 8, 60  # of searches for further modes, and of the first one's spread
_UNEVEN = 4  # power of the weights of rows with which these begin
_MOST_WORK = 3_000_000  # rows times effects above which modes are not looked for
_HIGH = 7.0  # of a further mode below the first, up to which it counts


def linked(target: Target) -> FloatArray:
    """A rough linear predictor of each row by itself."""
    code, y = target.density.code, target.rows.y
    if code in (STUDENT, SKEW_NORMAL, EXGAUSSIAN, LIMITED_NORMAL, LIMITED_STUDENT):
        return y
    if code in (GAMMA, NEGATIVE_BINOMIAL, POISSON):
        return np.asarray(np.log(y + (0.5 if code != GAMMA else 0.0)))
    share = y if code == BETA else (y + 0.5) / (target.rows.known[:, 0] + 1.0)
    share = np.clip(share, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(share / (1 - share)))


def start(target: Target, problem: Problem) -> tuple[FloatArray, FloatArray]:
    """Theta and x from which to climb: coefficients by least squares, half the spread to a term."""
    z, design = linked(target) - target.rows.offset, target.rows.design
    s, p = target.n_effects, target.rows.design.shape[1]
    precision = target.precision[s:] / target.scale[s:] ** 2
    x = target.origin.copy()
    weight = target.rows.weight
    centre = np.average(z, weights=weight)
    variance = max(float(np.average((z - centre) ** 2, weights=weight)), 1e-300)
    gram = (design * weight[:, None]).T @ design + np.diag(variance * precision)
    right = design.T @ (weight * z) + variance * precision * target.origin[s:]
    if p:
        x[s:] = np.linalg.lstsq(gram, right, rcond=1e-12)[0]
    residual = z - design @ x[s:]
    # quartiles, which outliers do not move
    low, high = np.quantile(residual, [0.25, 0.75])
    spread = float(max((high - low) / 1.35, 1e-3 * np.std(residual), 1e-12))
    guess = {"sigma": 0.7 * spread, "nu": 6.0, "alpha": 2.0 / spread**2, "kappa": 4.0 / spread**2}
    if target.density.code in (SKEW_NORMAL, EXGAUSSIAN):
        guess |= _skewed(target.density.code, residual, spread)
    theta: list[float] = []
    for one in target.parameters:
        value = guess[one.name]
        value = np.log(np.clip(value, 1e-6, 1e6)) if one.positive else value
        coefficients = np.linalg.lstsq(one.design, np.full(len(one.design), value), rcond=None)[0]
        theta.extend(coefficients)
    for term in problem.terms:
        own = np.zeros(term.n_theta)
        own[: term.k] = np.log(0.4 * spread / term.root_mean_squares())
        theta.extend(own)
    return np.array(theta), x


def _skewed(code: int, residual: FloatArray, spread: float) -> dict[str, float]:
    """Parameters of the skewness of residuals, by moments.

    A search that began on the other side would stop at no skewness, where the likelihood of a
    skew-normal alpha is flat.
    """
    skewness = float(np.clip(stats.skew(residual), -0.8, 0.8))
    if code == EXGAUSSIAN:  # 2 (nu / sd)^3
        share = (0.5 * max(skewness, 0.2)) ** (1 / 3)
        return {"sigma": 0.7 * spread * np.sqrt(1 - share**2), "nu": 0.7 * spread * share}
    root = np.cbrt(2 * abs(skewness) / (4 - np.pi))
    delta = np.sqrt(np.pi / 2 * root**2 / (1 + root**2))
    return {"sigma": 0.7 * spread, "alpha": np.copysign(delta / np.sqrt(1 - delta**2), skewness)}


def find_expansion(
    target: Target, problem: Problem, pool: Executor
) -> tuple[Expansion, FloatArray]:
    """Climb to the mode of theta, expand there; also the inverse curvature of its log density.

    The log density of theta about an expansion has the exact value and gradient at any theta, and
    the curvature that its derivatives lead to.

    Raises
    ------
    EngineError
        If x has several modes at the mode of theta.
    """
    theta, x = start(target, problem)
    root = np.eye(len(theta))
    levels = len(target.rows.level)
    if levels > 2 * _SOME_LEVELS and len(theta):
        # some of the rows say where to begin, at a fraction of the price
        some = np.sort(np.random.default_rng(5).choice(levels, _SOME_LEVELS, replace=False))
        few = replace(target, rows=target.rows.of_levels(some))
        theta, x, _, cov = _climb(few, theta, x, root, pool)
        root = np.linalg.cholesky(cov * _SOME_LEVELS / levels)
    theta, x, near, cov = _climb(target, theta, x, root, pool)
    expansion = expand(target, theta, x, near)
    check_one_mode(target, expansion, pool)
    return expansion, cov


def _climb(
    target: Target, theta: FloatArray, x: FloatArray, root: FloatArray, pool: Executor
) -> tuple[FloatArray, FloatArray, Hessian | None, FloatArray]:
    """Expand, climb to the mode of theta about that, and again: theta, x, curvatures by both.

    ``root`` is a factor of a guess of theta's covariance, by which steps are scaled.
    """
    near: Hessian | None = None
    cov = root @ root.T
    for _ in range(_MAX_ROUNDS):
        point = expand(target, theta, x, near)
        x, near = point.x, point.hessian
        if not len(theta):
            break
        density = density_about(target, point, pool)

        def scaled(
            z: FloatArray,
            density: Callable[[FloatArray], FloatArray] = density,
            theta: FloatArray = theta,
            root: FloatArray = root,
        ) -> FloatArray:
            return density(theta + z @ root.T)

        step, spread = find_mode(scaled, np.zeros(len(theta)), _DIFFERENCE)
        # a step too far leaves where the expansion holds
        theta = theta + np.clip(root @ step, -2.0, 2.0)
        cov = root @ spread @ root.T
        root = np.linalg.cholesky(cov)
        if (np.abs(step) < _CLOSE * np.sqrt(np.diag(spread))).all():
            break
    return theta, x, near, cov


def density_about(
    target: Target, point: Expansion, pool: Executor
) -> Callable[[FloatArray], FloatArray]:
    """The log density of theta (N, d), x integrated out by an expansion.

    Of `Density.uneven` rows the likelihood is that at the mean that the expansion leads to: where
    rows become sharp, the expansion promises heights that are not there.
    """
    gap, flat = point.x - target.origin, float((target.precision == 0).sum())

    def integrated(
        theta: FloatArray, factors: Sequence[FloatArray], value: float, gradient: FloatArray
    ) -> float:
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return -np.inf
        found = normal_at(target, point, theta, factors, gradient)
        if found is None:
            return -np.inf
        normal, curved = found
        height = normal.half_square - float(gradient @ gap) - 0.5 * float(curved @ gap) + value
        if target.density.uneven:
            w = normal.mean
            eta = target.linear_predictor(target.unwhiten(w, factors)[None])
            at = theta[None]
            sd, phi = target.lead_sd(target.scales(at)), target.phi(at)
            height = float(log_likelihoods(target, eta, sd, phi, point.nodes)[0])
            height -= 0.5 * float(target.precision @ w**2)
        return height - 0.5 * normal.log_det + 0.5 * flat * np.log(2 * np.pi)

    def log_density(points: FloatArray) -> FloatArray:
        scales = target.scales(points)
        found = np.full(len(points), -np.inf)

        def fill(part: IntArray) -> None:
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                both = gradients_at(target, points[part], point.x, point.nodes)
                for i, value, gradient in zip(part, *both, strict=True):
                    value = integrated(points[i], scales.factors(int(i)), float(value), gradient)
                    found[i] = scales.log_prior[i] + value

        usable = np.flatnonzero(np.isfinite(scales.log_prior))
        size = draws_together(len(target.rows.y)) if target.side_by_side else 1
        list(pool.map(fill, (usable[i : i + size] for i in range(0, len(usable), size))))
        return np.where(np.isnan(found), -np.inf, found)

    return log_density


def check_one_mode(target: Target, expansion: Expansion, pool: Executor) -> None:
    """Refuse t's whose effects have several modes, of which proposals would be about one only.

    They are looked for from fits by least squares with random weights, which few rows dominate.
    With very many rows modes are too far apart in height to matter.
    """
    theta, rng, q = expansion.theta, np.random.default_rng(3), len(expansion.x)
    rows = target.rows
    heavy = target.density.code in (STUDENT, LIMITED_STUDENT)
    if not heavy or not q or len(rows.y) * q > _MOST_WORK:
        return
    factors = target.scales(theta[None]).factors(0)
    right = expansion.gradient + right_side(target, expansion.hessian, expansion.x)
    normal = given(target, expansion.hessian, right, factors)
    if normal is None:
        return
    first = target.whiten(expansion.x, factors)
    best = expansion.value + log_prior_of(target, first)
    deviates = [normal.deviate(rng.standard_normal(q)) for _ in range(_DEVIATES)]
    sd, found = np.std(deviates, axis=0), slopes_at(target, theta, expansion.x)

    def climb(uneven: FloatArray) -> float:
        weight = uneven * found.safe.max()
        rough = replace(found, blocks=np.zeros_like(found.blocks), safe=weight)
        curved = hessian_of(target, rough, 1.0, None)
        pull = gradient_of(target, weight * (rows.y - rows.offset))
        pull -= curved.times(target.origin)
        begin = given(target, curved, pull, factors)
        if begin is None:
            return -np.inf
        try:
            x, there, _, at = find_mode_of_x(target, theta, target.unwhiten(begin.mean, factors))
        except EngineError:
            return -np.inf
        w = target.whiten(x, factors)
        if (np.abs(w - first) < sd).all():
            return -np.inf
        height = there.value + log_prior_of(target, w)
        return height - best + 0.5 * (normal.log_det - at.log_det)

    starts = rng.exponential(size=(_STARTS, len(rows.y))) ** _UNEVEN
    if max(pool.map(climb, starts)) > -_HIGH:
        raise EngineError("the posterior of the coefficients and effects has several modes")


def around(
    target: Target, first: Expansion, cov: FloatArray, most: int, pool: Executor
) -> list[Expansion]:
    """Expansions to either side of the first, along the longest principal axes of theta."""
    value, vector = np.linalg.eigh(cov)
    steps = (_SPREAD * np.sqrt(value) * vector).T[::-1]
    sides = np.stack([steps, -steps], axis=1).reshape(-1, len(value))
    return expansions_at(target, first.theta + sides[:most], [first], pool)


def farthest(
    theta: FloatArray, known: Sequence[Expansion], metric: FloatArray, count: int
) -> FloatArray:
    """Those of theta (N, d) farthest from the expansions, one at a time (Gonzalez 1985)."""
    distance, chosen = distances(theta, [one.theta for one in known], metric), []
    for _ in range(min(count, len(theta))):
        chosen.append(theta[distance.argmax()])
        distance = np.minimum(distance, distances(theta, [chosen[-1]], metric))
    return np.array(chosen)


def expansions_at(
    target: Target, theta: FloatArray, near: Sequence[Expansion], pool: Executor
) -> list[Expansion]:
    """Expansions at theta (N, d), each from the nearest of those there are; without failures."""

    def at(one: FloatArray) -> Expansion | None:
        known = min(near, key=lambda other: float(np.abs(other.theta - one).max()))
        try:
            return expand(target, one, known.x, known.hessian)
        except EngineError:
            return None

    return [one for one in pool.map(at, theta) if one is not None]
