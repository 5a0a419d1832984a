"""The leading effects integrated out: adaptive Gauss-Hermite quadrature, level by level.

A row of category c has probability ``F(a) - F(b)``, ``a = cut_c - eta``, ``b = cut_{c-1} - eta``
(cuts of minus and plus infinity at the ends), F logistic or standard normal. The standardised
leading effect v of a level adds ``sd v`` to eta of its rows i, which count n_i times:

    p(y) = int phi(v) exp(f(sd v)) dv,    f(u) = sum_i n_i log(F(a_i - u) - F(b_i - u)),
         ~ s / sqrt(2 pi) sum_q exp(w_q - v_q^2 / 2 + f(sd v_q))

at nodes ``v_q = v* + s z_q`` of log weight w_q about the integrand's mode v*, on the scale
``s = (1 + sd^2 W)^(-1/2)`` of the curvature there, with ``W = -f''`` (Pinheiro and Bates, 1995;
Rabe-Hesketh et al., 2005).
"""

import math
from functools import cache

import numba
import numpy as np

from causalbias.inference.laplace.vector import exp_all, subtract_logs
from causalbias.inference.problem import FloatArray, IntArray

LOGIT, PROBIT = 0, 1
_ROOT_HALF = math.sqrt(0.5)
LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)
_MODE_ERROR = 1e-4
_NO_PRODUCT = 300.0  # exponentials beyond are not multiplied
_FAR = 30.0  # normal tails beyond are next to what underflows


@cache  # asked hundreds of times a fit, a fifth of the time of a small one
def gauss_hermite(size: int) -> tuple[FloatArray, FloatArray]:
    """Return nodes z and log weights: ``sum exp(w) f(z)`` is the integral of f over the line.

    Later calls return the same arrays, which nobody may change. They are not marked read-only:
    numba would compile every kernel once more for such arrays.
    """
    x, w = np.polynomial.hermite.hermgauss(size)
    return np.sqrt(2.0) * x, np.log(w) + x**2 + 0.5 * np.log(2.0)


def cut_gaps(cuts: FloatArray) -> FloatArray:
    """Return what the logistic cell needs of each category's width (n_cuts + 1, 2).

    ``1 / (exp(gap) - 1)`` and ``log(1 - exp(-gap))``; of what is between two sets, zeros.
    """
    gap = np.abs(np.diff(cuts))
    return np.column_stack([1 / np.expm1(gap), np.log(-np.expm1(-gap))])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def cell(
    link: int, a: float, b: float, ratio: float, log_gap: float
) -> tuple[float, float, float, float, float, float]:
    """Return log(F(a) - F(b)), its derivatives by a and b, and minus its second ones.

    In the order value, d/da, d/db, -d2/da2, -d2/dadb, -d2/db2; ``ratio`` and ``log_gap`` from
    `cut_gaps`.
    """
    if link == LOGIT:
        tail_a, tail_b = math.exp(-abs(a)), math.exp(-abs(b))
        share_a, share_b = 1.0 / (1.0 + tail_a), 1.0 / (1.0 + tail_b)
        at, above = share_a, tail_a * share_a
        if a < 0.0:
            at, above = above, at
        below, under = tail_b * share_b, share_b
        if b < 0.0:
            below, under = under, below
        product = at * below
        if product > 1e-280:
            value = math.log(product) + log_gap
        else:
            value = min(a, 0.0) - math.log1p(tail_a) - max(b, 0.0) - math.log1p(tail_b) + log_gap
        both = ratio * (1.0 + ratio)
        return (
            value,
            ratio + above,
            below - 1.0 - ratio,
            both + above * at,
            -both,
            both + below * under,
        )
    log_p = _log_normal_cell(a, b)
    at_a = math.exp(-0.5 * a * a - LOG_ROOT_2PI - log_p)
    at_b = math.exp(-0.5 * b * b - LOG_ROOT_2PI - log_p)
    slope_a = a * at_a if at_a > 0.0 else 0.0
    slope_b = b * at_b if at_b > 0.0 else 0.0
    return log_p, at_a, -at_b, slope_a + at_a * at_a, -at_a * at_b, -slope_b + at_b * at_b


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _log_normal_cell(a: float, b: float) -> float:
    """Return the log of the normal probability between b and a, b < a."""
    near, far = (b, a) if a + b > 0.0 else (-a, -b)  # the upper tail is the accurate one
    if near < _FAR:
        return math.log(0.5 * (math.erfc(near * _ROOT_HALF) - math.erfc(far * _ROOT_HALF)))
    value = _log_tail(near)
    return value if far == math.inf else value + math.log(-math.expm1(_log_tail(far) - value))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _log_tail(x: float) -> float:
    """Return the log of the normal probability above a large x, by its asymptotic series.

    ``log(phi(x) / x) + log(1 - x^-2 + 3 x^-4 - 15 x^-6)`` (Abramowitz and Stegun 26.2.12).
    """
    z = 1.0 / (x * x)
    return -0.5 * x * x - LOG_ROOT_2PI - math.log(x) + math.log1p(z * (-1 + z * (3 - 15 * z)))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def most_rows(start: IntArray) -> int:
    """Return the number of rows of the level that has most."""
    rows = 0
    for j in range(len(start) - 1):
        rows = max(rows, start[j + 1] - start[j])
    return rows


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def level_mode(
    link: int,
    lo: int,
    hi: int,
    category: IntArray,
    count: FloatArray,
    eta: FloatArray,
    cuts: FloatArray,
    gaps: FloatArray,
    sd: float,
    at: float,
    tolerance: float,
) -> tuple[float, float, float]:
    """Return the mode v* of the integrand, curvature W and slope G of the log likelihood there.

    Of ``f(sd v) - v^2 / 2``, where ``G = f'`` and ``W = -f''``.

    Newton steps from ``at``, halved where they leave what is known to hold the mode: far from it
    a logistic log likelihood has next to no curvature, and bare steps go to and fro.
    """
    curvature, gradient, low, high = 0.0, 0.0, -np.inf, np.inf
    for _ in range(60):
        curvature, gradient = 0.0, 0.0
        for i in range(lo, hi):
            c, x = category[i], eta[i] + sd * at
            _, ga, gb, aa, ab, bb = cell(link, cuts[c + 1] - x, cuts[c] - x, gaps[c, 0], gaps[c, 1])
            gradient -= count[i] * (ga + gb)
            curvature += count[i] * (aa + 2.0 * ab + bb)
        step = (sd * gradient - at) / (1.0 + sd * sd * curvature)
        if abs(step) < tolerance:
            break
        if step > 0.0:
            low = at
        else:
            high = at
        at += min(max(step, -3.0), 3.0)
        if not low < at < high:
            at = 0.5 * (low + high)
    return at, curvature, gradient


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _plain_level(
    total: float,
    link: int,
    lo: int,
    hi: int,
    category: IntArray,
    count: FloatArray,
    eta: FloatArray,
    cuts: FloatArray,
    gaps: FloatArray,
    row_out: FloatArray,
) -> float:
    """Add to `total` the log likelihood of rows without a leading effect; fill ``row_out``."""
    for i in range(lo, hi):
        c = category[i]
        f, ga, gb, aa, ab, bb = cell(
            link, cuts[c + 1] - eta[i], cuts[c] - eta[i], gaps[c, 0], gaps[c, 1]
        )
        total += count[i] * f
        row_out[i, 0], row_out[i, 1] = count[i] * ga, count[i] * gb
        row_out[i, 2], row_out[i, 3] = count[i] * aa, count[i] * ab
        row_out[i, 4], row_out[i, 5], row_out[i, 6] = count[i] * bb, 0.0, 0.0
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _heights(
    link: int,
    lo: int,
    hi: int,
    category: IntArray,
    count: FloatArray,
    eta: FloatArray,
    cuts: FloatArray,
    gaps: FloatArray,
    sd: float,
    log_weight: FloatArray,
    v: FloatArray,
    height: FloatArray,
    kept: FloatArray,
) -> None:
    """Fill the log integrand at each node v, and rows' derivatives there."""
    for q in range(len(v)):
        h = log_weight[q] - 0.5 * v[q] * v[q]
        for i in range(lo, hi):
            c, x = category[i], eta[i] + sd * v[q]
            f, ga, gb, aa, ab, bb = cell(link, cuts[c + 1] - x, cuts[c] - x, gaps[c, 0], gaps[c, 1])
            h += count[i] * f
            r = i - lo
            kept[r, q, 0], kept[r, q, 1] = ga, gb
            kept[r, q, 2], kept[r, q, 3], kept[r, q, 4] = aa, ab, bb
        height[q] = h


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _weights(v: FloatArray, height: FloatArray, pull: FloatArray) -> tuple[float, float]:
    """Turn log heights into weights p that sum to one, and fill those of a covariance with v.

    ``pull_q = p_q (v_q - mean) / sd(v)``. Returns the log of the heights' sum, and the mean of v^2.
    """
    top = height.max()
    mass, mean, square = 0.0, 0.0, 0.0
    for q in range(len(v)):
        height[q] = math.exp(height[q] - top)
        mass += height[q]
    for q in range(len(v)):
        height[q] /= mass
        mean += height[q] * v[q]
        square += height[q] * v[q] * v[q]
    spread = math.sqrt(max(square - mean * mean, 1e-300))
    for q in range(len(v)):
        pull[q] = height[q] * (v[q] - mean) / spread
    return top + math.log(mass), square


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _average(
    lo: int,
    hi: int,
    count: FloatArray,
    p: FloatArray,
    pull: FloatArray,
    kept: FloatArray,
    row_out: FloatArray,
) -> None:
    """Average rows' derivatives with weights p, and with ``pull`` those by the cell's ends."""
    for i in range(lo, hi):
        r = i - lo
        for m in range(7):
            row_out[i, m] = 0.0
        for q in range(len(p)):
            for m in range(5):
                row_out[i, m] += p[q] * kept[r, q, m]
            row_out[i, 5] += pull[q] * kept[r, q, 0]
            row_out[i, 6] += pull[q] * kept[r, q, 1]
        for m in range(7):
            row_out[i, m] *= count[i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def odds_of_cuts(cuts: FloatArray) -> tuple[FloatArray, float]:
    """Return ``exp(-cut)``, zero for infinite cuts, and the largest absolute finite cut."""
    lower, farthest = np.zeros(len(cuts)), 0.0
    for c in range(len(cuts)):
        if abs(cuts[c]) < np.inf:
            lower[c] = math.exp(-cuts[c])
            farthest = max(farthest, abs(cuts[c]))
    return lower, farthest


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def odds_of_rows(category: IntArray, eta: FloatArray, lower: FloatArray, odds: FloatArray) -> float:
    """Fill a level's ``a = exp(eta - cut_c)``, ``b = exp(eta - cut_{c-1})``, and whether b is any.

    ``lower`` is from `odds_of_cuts`; odds (3, rows at least). Returns the largest absolute eta.
    """
    exp_all(eta, len(eta), odds[0])
    farthest = 0.0
    for r in range(len(eta)):
        c, e = category[r], odds[0, r]
        odds[0, r], odds[1, r] = lower[c + 1] * e, lower[c] * e
        odds[2, r] = 1.0 if lower[c] > 0.0 else 0.0
        farthest = max(farthest, abs(eta[r]))
    return farthest


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def logistic_mode(
    odds: FloatArray, count: FloatArray, sd: float, at: float, limit: float
) -> tuple[float, float, float]:
    """As `level_mode`, from `odds_of_rows`; NaN where ``sd v`` goes beyond the limit.

    With ``e = exp(sd v)`` the slope is the sum of ``B - A`` and the curvature that of
    ``A (1 - A) + B (1 - B)``, A the probability above a cell and B that below it:
    ``A = 1 - F(cut_c - eta - sd v) = a e / (1 + a e)`` and
    ``B = F(cut_{c-1} - eta - sd v) = 1 / (1 + b e)``.
    """
    low, high = -np.inf, np.inf
    for _ in range(60):
        curvature, gradient = 0.0, 0.0
        if not abs(sd * at) < limit:
            break
        e = math.exp(sd * at)
        for r in range(len(count)):
            above = odds[0, r] * e / (1.0 + odds[0, r] * e)
            below = odds[2, r] / (1.0 + odds[1, r] * e)
            gradient += count[r] * (below - above)
            curvature += count[r] * (above - above * above + below - below * below)
        step = (sd * gradient - at) / (1.0 + sd * sd * curvature)
        if abs(step) < _MODE_ERROR:
            return at, curvature, gradient
        if step > 0.0:
            low = at
        else:
            high = at
        at += min(max(step, -3.0), 3.0)
        if not low < at < high:
            at = 0.5 * (low + high)
    return np.nan, np.nan, np.nan


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _logistic_heights(
    odds: FloatArray,
    count: FloatArray,
    sd: float,
    log_weight: FloatArray,
    v: FloatArray,
    nodes: FloatArray,
    height: FloatArray,
    kept: FloatArray,
) -> None:
    """Fill each row's A and B (rows, 2, Q), and the log integrand, at the nodes v.

    But for what is the same at all nodes: a row's ``log(F(a) - F(b))`` is ``const + sd v -
    log((1 + a e) (1 + b e))``, and for the lowest category ``-log(1 + a e)``.
    """
    size, slope = len(v), 0.0
    shift, held, factor = nodes[0], nodes[1], nodes[2]
    for q in range(size):
        shift[q] = sd * v[q]
        height[q] = log_weight[q] - 0.5 * v[q] * v[q]
    exp_all(shift, size, held)
    for r in range(len(count)):
        one, two, some = odds[0, r], odds[1, r], odds[2, r]
        above, below = kept[r, 0], kept[r, 1]
        slope += count[r] * some
        for q in range(size):
            up, down = 1.0 + one * held[q], 1.0 + two * held[q]
            factor[q] = up * down
            above[q] = one * held[q] * down / factor[q]
            below[q] = some * up / factor[q]
        subtract_logs(count[r], factor, height)
    for q in range(size):
        height[q] += slope * shift[q]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _logistic_average(
    category: IntArray,
    count: FloatArray,
    gaps: FloatArray,
    p: FloatArray,
    pull: FloatArray,
    kept: FloatArray,
    row_out: FloatArray,
) -> None:
    """Average rows' derivatives with weights p, and with ``pull`` those by the cell's ends.

    ``d/da = ratio + A``, ``d/db = -ratio - B``, ``-d2/da2 = both + A (1 - A)``,
    ``-d2/dadb = -both`` and ``-d2/db2 = both + B (1 - B)``, ``both = ratio (1 + ratio)``.
    """
    for r in range(len(count)):
        above, below, n = kept[r, 0], kept[r, 1], count[r]
        ratio = gaps[category[r], 0]
        both = ratio * (1.0 + ratio)
        a, aa, b, bb, a_pull, b_pull = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for q in range(len(p)):
            a += p[q] * above[q]
            b += p[q] * below[q]
            aa += p[q] * (above[q] - above[q] * above[q])
            bb += p[q] * (below[q] - below[q] * below[q])
            a_pull += pull[q] * above[q]
            b_pull += pull[q] * below[q]
        row_out[r, 0], row_out[r, 1] = n * (ratio + a), -n * (ratio + b)
        row_out[r, 2], row_out[r, 3], row_out[r, 4] = n * (both + aa), -n * both, n * (both + bb)
        row_out[r, 5], row_out[r, 6] = n * a_pull, -n * b_pull


@numba.njit(cache=True, nogil=True, error_model="numpy")
def level_moments(
    link: int,
    start: IntArray,
    category: IntArray,
    count: FloatArray,
    eta: FloatArray,
    cuts: FloatArray,
    gaps: FloatArray,
    sd: float,
    node: FloatArray,
    log_weight: FloatArray,
    mode: FloatArray,
    level_out: FloatArray,
    row_out: FloatArray,
) -> float:
    """Integrate every level; return the log likelihood, with derivatives averaged over v.

    Parameters
    ----------
    start, category, count
        As in `Rows`.
    eta : ndarray (n,)
        Linear predictor without the leading effect.
    cuts : ndarray (n_cuts + 2,)
        Cuts with minus and plus infinity at the ends, of each set where there are several.
    gaps : ndarray (n_cuts + 1, 2)
        From `cut_gaps`.
    sd : float
        Of the leading effects; negative where no term leads, and nothing is integrated.
    node, log_weight : ndarray (Q,)
        From `gauss_hermite`.
    mode : ndarray (levels,)
        Start for each level's mode of v; overwritten by the mode.
    level_out : ndarray (levels, 3)
        Curvature W and gradient G of the level's log likelihood in its effect at the mode, and
        the posterior mean of v^2.
    row_out : ndarray (n, 7)
        Posterior means of d/da, d/db, -d2/da2, -d2/dadb, -d2/db2 (each times the count), and
        the covariances of the first two with v, over the sd of v.
    """
    total, widest, size = 0.0, most_rows(start), len(node)
    kept, shares = np.empty((widest, size, 5)), np.empty((widest, 2, size))
    height, v, pull = np.empty(size), np.empty(size), np.empty(size)
    odds, nodes = np.empty((3, widest)), np.empty((3, size))
    lower, farthest = odds_of_cuts(cuts)
    for j in range(len(start) - 1):
        lo, hi = start[j], start[j + 1]
        if sd < 0.0:
            total = _plain_level(total, link, lo, hi, category, count, eta, cuts, gaps, row_out)
            continue
        at = np.nan
        if link == LOGIT:
            own, times = category[lo:hi], count[lo:hi]
            limit = _NO_PRODUCT - farthest - odds_of_rows(own, eta[lo:hi], lower, odds)
            at, curvature, gradient = logistic_mode(odds, times, sd, mode[j], limit)
            width = 1.0 / math.sqrt(1.0 + sd * sd * curvature)
            if not sd * (abs(at) + width * node[-1]) < limit:
                at = np.nan
        near = not math.isnan(at)
        if not near:
            at, curvature, gradient = level_mode(
                link, lo, hi, category, count, eta, cuts, gaps, sd, mode[j], _MODE_ERROR
            )
            width = 1.0 / math.sqrt(1.0 + sd * sd * curvature)
        for q in range(size):
            v[q] = at + width * node[q]
        if near:
            _logistic_heights(odds, times, sd, log_weight, v, nodes, height, shares)
            for i in range(lo, hi):
                c = category[i]
                if cuts[c] > -np.inf:
                    total += count[i] * (eta[i] + gaps[c, 1] - cuts[c])
        else:
            _heights(
                link, lo, hi, category, count, eta, cuts, gaps, sd, log_weight, v, height, kept
            )
        log_mass, square = _weights(v, height, pull)
        if near:
            _logistic_average(own, times, gaps, height, pull, shares, row_out[lo:hi])
        else:
            _average(lo, hi, count, height, pull, kept, row_out)
        mode[j] = at
        total += log_mass + math.log(width) - LOG_ROOT_2PI
        level_out[j, 0], level_out[j, 1], level_out[j, 2] = curvature, gradient, square
    return total
