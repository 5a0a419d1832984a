"""The leading effects integrated out where rows discriminate unequally, with derivatives.

A row of category c has probability ``F(a) - F(b)``, ``a = d (cut_c - eta)``,
``b = d (cut_{c-1} - eta)``, d its discrimination. By its own ends ``A = cut_c - eta`` and
``B = cut_{c-1} - eta`` and by ``w = log d`` its log likelihood l has derivatives

    l_A = d l_a,    l_B = d l_b,    l_w = a l_a + b l_b,

and with J those of (a, b) by (A, B, w) and H minus the second derivatives of l by (a, b), which
are never negative,

    -l'' = J' H J - (0, 0, l_A; 0, 0, l_B; l_A, l_B, l_w).

l is not concave in w: the first part alone is a curvature that is never negative. What the
quadrature is, `quadrature` says.
"""

import math

import numba
import numpy as np

from causalbias.inference.laplace.quadrature import LOG_ROOT_2PI, LOGIT, cell, most_rows
from causalbias.inference.laplace.vector import exp_all, subtract_logs
from causalbias.inference.problem import FloatArray, IntArray

N_MOMENTS = 15
_MODE_ERROR = 1e-4
_NO_PRODUCT = 300.0  # exponentials beyond are not multiplied


@numba.njit(cache=True, nogil=True, error_model="numpy")
def gap_parts(gap: float) -> tuple[float, float]:
    """Return ``1 / (exp(gap) - 1)`` and ``log(1 - exp(-gap))``, as `cell` takes them."""
    return 1.0 / math.expm1(gap), math.log(-math.expm1(-gap))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _level_mode(
    link: int,
    lo: int,
    hi: int,
    category: IntArray,
    count: FloatArray,
    eta: FloatArray,
    disc: FloatArray,
    cuts: FloatArray,
    sd: float,
    at: float,
) -> tuple[float, float, float]:
    """Return the mode v* of a level's integrand, curvature W and slope G there.

    As `level_mode`; the integrand is log concave in v, whatever the discriminations are.
    """
    curvature, gradient, low, high = 0.0, 0.0, -np.inf, np.inf
    for _ in range(60):
        curvature, gradient = 0.0, 0.0
        for i in range(lo, hi):
            c, x, d = category[i], eta[i] + sd * at, disc[i]
            if link == LOGIT:
                # probabilities above and below the cell
                above = 1.0 / (1.0 + math.exp(min(d * (cuts[c + 1] - x), 700.0)))
                below = 1.0 / (1.0 + math.exp(min(d * (x - cuts[c]), 700.0)))
                gradient += count[i] * d * (below - above)
                curvature += count[i] * d * d * (above * (1.0 - above) + below * (1.0 - below))
            else:
                _, ga, gb, aa, ab, bb = cell(
                    link, d * (cuts[c + 1] - x), d * (cuts[c] - x), 0.0, 0.0
                )
                gradient -= count[i] * d * (ga + gb)
                curvature += count[i] * d * d * (aa + 2.0 * ab + bb)
        step = (sd * gradient - at) / (1.0 + sd * sd * curvature)
        if abs(step) < _MODE_ERROR:
            break
        if step > 0.0:
            low = at
        else:
            high = at
        at += min(max(step, -3.0), 3.0)
        if not low < at < high:
            at = 0.5 * (low + high)
    return at, curvature, gradient


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _near_heights(
    lo: int,
    category: IntArray,
    count: FloatArray,
    eta: FloatArray,
    disc: FloatArray,
    cuts: FloatArray,
    shift: FloatArray,
    work: FloatArray,
    height: FloatArray,
    kept: FloatArray,
) -> None:
    """Add rows' logistic log likelihood at shifts of eta to ``height``; keep what derivatives need.

    ``kept`` (rows, 4, Q): a, b, the probability above the cell, that below it; a and b are zero
    where they are infinite. With ``E_a = exp(-a)`` and ``E_b = exp(-b)`` the log likelihood is
    ``-b + log(1 - exp(b - a)) - log((1 + E_a) (1 + E_b))``, E zero where its end is infinite.
    """
    size, last = len(shift), len(cuts) - 2
    for r in range(len(kept)):
        i = lo + r
        c, d, n = category[i], disc[i], count[i]
        a, b, above, below = kept[r, 0], kept[r, 1], kept[r, 2], kept[r, 3]
        for q in range(size):
            above[q], below[q], a[q], b[q] = 0.0, 0.0, 0.0, 0.0
        if c < last:
            upper = d * (cuts[c + 1] - eta[i])
            for q in range(size):
                a[q] = upper - d * shift[q]
                work[0, q] = -a[q]
            exp_all(work[0], size, above)
        if c > 0:
            lower = d * (cuts[c] - eta[i])
            log_gap = math.log(-math.expm1(-d * (cuts[c + 1] - cuts[c]))) if c < last else 0.0
            for q in range(size):
                b[q] = lower - d * shift[q]
                work[0, q] = -b[q]
                height[q] += n * (log_gap - b[q])
            exp_all(work[0], size, below)
        for q in range(size):
            work[1, q] = (1.0 + above[q]) * (1.0 + below[q])
            above[q] = above[q] / (1.0 + above[q])
            below[q] = 1.0 / (1.0 + below[q]) if c > 0 else 0.0
        subtract_logs(n, work[1], height)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _near_average(
    ratio: float,
    d: float,
    n: float,
    p: FloatArray,
    pull: FloatArray,
    kept: FloatArray,
    out: FloatArray,
) -> None:
    """Average one row's derivatives with weights p, and its slopes with both of ``pull``."""
    a, b, above, below = kept[0], kept[1], kept[2], kept[3]
    both = ratio * (1.0 + ratio)
    out[:] = 0.0
    for q in range(len(p)):
        la, lb = ratio + above[q], -ratio - below[q]
        aa = both + above[q] * (1.0 - above[q])
        bb = both + below[q] * (1.0 - below[q])
        by_a, by_b = a[q] * aa - b[q] * both, b[q] * bb - a[q] * both
        lw = a[q] * la + b[q] * lb
        out[0] += p[q] * la
        out[1] += p[q] * lb
        out[2] += p[q] * aa
        out[4] += p[q] * bb
        out[5] += pull[0, q] * la
        out[6] += pull[0, q] * lb
        out[7] += p[q] * lw
        out[8] += p[q] * by_a
        out[9] += p[q] * by_b
        out[10] += p[q] * (a[q] * by_a + b[q] * by_b)
        out[11] += pull[0, q] * lw
        out[12] += pull[1, q] * la
        out[13] += pull[1, q] * lb
        out[14] += pull[1, q] * lw
    out[3] = -both
    _scale(d, n, out)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _scale(d: float, n: float, out: FloatArray) -> None:
    """Turn derivatives by (a, b) into those by (A, B), n times over."""
    for m in (0, 1, 5, 6, 8, 9, 12, 13):
        out[m] *= n * d
    for m in (2, 3, 4):
        out[m] *= n * d * d
    for m in (7, 10, 11, 14):
        out[m] *= n


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_row(
    link: int,
    c: int,
    x: float,
    d: float,
    cuts: FloatArray,
    ratio: float,
    log_gap: float,
    p: float,
    pull: tuple[float, float],
    out: FloatArray,
) -> None:
    """Add one row's derivatives at eta = x with weight p, and its slopes with those of ``pull``."""
    a, b = d * (cuts[c + 1] - x), d * (cuts[c] - x)
    _, la, lb, aa, ab, bb = cell(link, a, b, ratio, log_gap)
    if a == np.inf:
        a = 0.0
    if b == -np.inf:
        b = 0.0
    lw, by_a, by_b = a * la + b * lb, a * aa + b * ab, a * ab + b * bb
    out[0] += p * la
    out[1] += p * lb
    out[2] += p * aa
    out[3] += p * ab
    out[4] += p * bb
    out[5] += pull[0] * la
    out[6] += pull[0] * lb
    out[7] += p * lw
    out[8] += p * by_a
    out[9] += p * by_b
    out[10] += p * (a * by_a + b * by_b)
    out[11] += pull[0] * lw
    out[12] += pull[1] * la
    out[13] += pull[1] * lb
    out[14] += pull[1] * lw


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _weights(v: FloatArray, height: FloatArray, pull: FloatArray) -> tuple[float, float]:
    """Turn log heights into weights p that sum to one; fill p times two polynomials of v.

    Of the first and second degree, orthonormal under p: a covariance with them is that of what is
    linear and quadratic in v. Returns the log of the heights' sum, and the mean of v^2.
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
    third, fourth = 0.0, 0.0
    for q in range(len(v)):
        z = (v[q] - mean) / spread
        third += height[q] * z**3
        fourth += height[q] * z**4
    # z^2 less what of it is constant and linear
    size = math.sqrt(max(fourth - 1.0 - third * third, 1e-300))
    for q in range(len(v)):
        z = (v[q] - mean) / spread
        pull[0, q] = height[q] * z
        pull[1, q] = height[q] * (z * z - 1.0 - third * z) / size
    return top + math.log(mass), square


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _farthest(
    lo: int, hi: int, category: IntArray, eta: FloatArray, disc: FloatArray, cuts: FloatArray
) -> tuple[float, float]:
    """Return the largest absolute end of a level's cells, and the largest discrimination."""
    most, sharpest = 0.0, 0.0
    for i in range(lo, hi):
        c, d = category[i], disc[i]
        sharpest = max(sharpest, d)
        if c < len(cuts) - 2:
            most = max(most, d * abs(cuts[c + 1] - eta[i]))
        if c > 0:
            most = max(most, d * abs(cuts[c] - eta[i]))
    return most, sharpest


@numba.njit(cache=True, nogil=True, error_model="numpy")
def disc_level_moments(
    link: int,
    start: IntArray,
    category: IntArray,
    count: FloatArray,
    eta: FloatArray,
    disc: FloatArray,
    cuts: FloatArray,
    sd: float,
    node: FloatArray,
    log_weight: FloatArray,
    mode: FloatArray,
    level_out: FloatArray,
    row_out: FloatArray,
) -> float:
    """Integrate every level; return the log likelihood, with derivatives averaged over v.

    As `level_moments`, with each row's discrimination ``disc`` (n,). The columns of ``row_out``
    (n, 15) are posterior means, times the row's count, of l_A, l_B, and ``(J' H J)_AA, _AB, _BB``;
    the covariances of l_A and l_B with v, over the sd of v; the means of l_w and
    ``(J' H J)_Aw, _Bw, _ww``; the covariance of l_w with v, over the sd of v; and those of l_A, l_B
    and l_w with the second polynomial of `_weights`.
    """
    total, widest, size = 0.0, most_rows(start), len(node)
    kept, work = np.empty((widest, 4, size)), np.empty((2, size))
    height, v, pull, shift = np.empty(size), np.empty(size), np.empty((2, size)), np.empty(size)
    for j in range(len(start) - 1):
        lo, hi = start[j], start[j + 1]
        at, width = 0.0, 1.0
        curvature, gradient = 0.0, 0.0
        if sd >= 0.0:
            at, curvature, gradient = _level_mode(
                link, lo, hi, category, count, eta, disc, cuts, sd, mode[j]
            )
            width = 1.0 / math.sqrt(1.0 + sd * sd * curvature)
        for q in range(size):
            v[q] = at + width * node[q]
            shift[q] = max(sd, 0.0) * v[q]
            height[q] = log_weight[q] - 0.5 * v[q] * v[q] if sd >= 0.0 else 0.0
        most, sharpest = _farthest(lo, hi, category, eta, disc, cuts)
        near = link == LOGIT and most + sharpest * np.abs(shift).max() < _NO_PRODUCT
        if near:
            _near_heights(
                lo, category, count, eta, disc, cuts, shift, work, height, kept[: hi - lo]
            )
        else:
            for i in range(lo, hi):
                c, d = category[i], disc[i]
                ratio, log_gap = gap_parts(d * (cuts[c + 1] - cuts[c]))
                for q in range(size):
                    x = eta[i] + shift[q]
                    ends = (d * (cuts[c + 1] - x), d * (cuts[c] - x))
                    height[q] += count[i] * cell(link, ends[0], ends[1], ratio, log_gap)[0]
        if sd >= 0.0:
            log_mass, square = _weights(v, height, pull)
            total += log_mass + math.log(width) - LOG_ROOT_2PI
            level_out[j, 0], level_out[j, 1], level_out[j, 2] = curvature, gradient, square
            mode[j] = at
        else:  # nothing is integrated: one node of weight one
            total += height[0]
            height[0], pull[:] = 1.0, 0.0
        for i in range(lo, hi):
            c, d = category[i], disc[i]
            ratio, log_gap = gap_parts(d * (cuts[c + 1] - cuts[c]))
            if near:
                _near_average(ratio, d, count[i], height, pull, kept[i - lo], row_out[i])
                continue
            row_out[i] = 0.0
            for q in range(size):
                x = eta[i] + shift[q]
                pulls = pull[0, q], pull[1, q]
                _add_row(link, c, x, d, cuts, ratio, log_gap, height[q], pulls, row_out[i])
            _scale(d, count[i], row_out[i])
    return total
