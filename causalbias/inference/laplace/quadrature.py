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

import numba
import numpy as np

from causalbias.inference.problem import FloatArray, IntArray

LOGIT, PROBIT = 0, 1
_ROOT_HALF = math.sqrt(0.5)
LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)
_FAR = 30.0  # normal tails beyond are next to what underflows


def gauss_hermite(size: int) -> tuple[FloatArray, FloatArray]:
    """Return nodes z and log weights: ``sum exp(w) f(z)`` is the integral of f over the line."""
    x, w = np.polynomial.hermite.hermgauss(size)
    return np.sqrt(2.0) * x, np.log(w) + x**2 + 0.5 * np.log(2.0)


def cut_gaps(cuts: FloatArray) -> FloatArray:
    """Return what the logistic cell needs of each category's width (n_cuts + 1, 2).

    ``1 / (exp(gap) - 1)`` and ``log(1 - exp(-gap))``.
    """
    gap = np.diff(cuts)
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
    at: float,
    width: float,
    node: FloatArray,
    log_weight: FloatArray,
    v: FloatArray,
    height: FloatArray,
    kept: FloatArray,
) -> float:
    """Fill nodes v, the log integrand at each and rows' derivatives there; return the largest."""
    top = -np.inf
    for q in range(len(node)):
        v[q] = at + width * node[q]
        h = log_weight[q] - 0.5 * v[q] * v[q]
        for i in range(lo, hi):
            c, x = category[i], eta[i] + sd * v[q]
            f, ga, gb, aa, ab, bb = cell(link, cuts[c + 1] - x, cuts[c] - x, gaps[c, 0], gaps[c, 1])
            h += count[i] * f
            r = i - lo
            kept[r, q, 0], kept[r, q, 1] = ga, gb
            kept[r, q, 2], kept[r, q, 3], kept[r, q, 4] = aa, ab, bb
        height[q] = h
        top = max(top, h)
    return top


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _average(
    lo: int,
    hi: int,
    count: FloatArray,
    height: FloatArray,
    v: FloatArray,
    top: float,
    kept: FloatArray,
    row_out: FloatArray,
) -> tuple[float, float]:
    """Average rows' derivatives over v with weights ``p_q ~ exp(height_q)``, into ``row_out``.

    Returns the sum of ``exp(height_q - top)``, and the mean of v^2. ``height`` becomes p.
    """
    size = len(v)
    mass, mean, square = 0.0, 0.0, 0.0
    for q in range(size):
        height[q] = math.exp(height[q] - top)
        mass += height[q]
    for q in range(size):
        height[q] /= mass
        mean += height[q] * v[q]
        square += height[q] * v[q] * v[q]
    spread = math.sqrt(max(square - mean * mean, 1e-300))
    for i in range(lo, hi):
        r = i - lo
        for m in range(7):
            row_out[i, m] = 0.0
        for q in range(size):
            for m in range(5):
                row_out[i, m] += height[q] * kept[r, q, m]
            pull = height[q] * (v[q] - mean) / spread
            row_out[i, 5] += pull * kept[r, q, 0]
            row_out[i, 6] += pull * kept[r, q, 1]
        for m in range(7):
            row_out[i, m] *= count[i]
    return mass, square


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
        Cuts with minus and plus infinity at the ends.
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
    total, widest = 0.0, 0
    for j in range(len(start) - 1):
        widest = max(widest, start[j + 1] - start[j])
    kept = np.empty((widest, len(node), 5))
    height, v = np.empty(len(node)), np.empty(len(node))
    for j in range(len(start) - 1):
        lo, hi = start[j], start[j + 1]
        if sd < 0.0:
            total = _plain_level(total, link, lo, hi, category, count, eta, cuts, gaps, row_out)
            continue
        at, curvature, gradient = level_mode(
            link, lo, hi, category, count, eta, cuts, gaps, sd, mode[j], 1e-4
        )
        mode[j] = at
        width = 1.0 / math.sqrt(1.0 + sd * sd * curvature)
        top = _heights(
            link,
            lo,
            hi,
            category,
            count,
            eta,
            cuts,
            gaps,
            sd,
            at,
            width,
            node,
            log_weight,
            v,
            height,
            kept,
        )
        mass, square = _average(lo, hi, count, height, v, top, kept, row_out)
        total += top + math.log(mass) + math.log(width) - LOG_ROOT_2PI
        level_out[j, 0], level_out[j, 1], level_out[j, 2] = curvature, gradient, square
    return total
