"""The log likelihood at many draws, leading effects integrated out; and draws of those effects.

No derivatives: nodes are placed by what an anchor knew, and a level's logistic probabilities are
multiplied before one log is taken.
"""

import math

import numba
import numpy as np

from causalbias.inference.laplace.quadrature import LOG_ROOT_2PI, LOGIT, PROBIT, cell, level_mode
from causalbias.inference.problem import FloatArray, IntArray

_BATCH = 200_000  # rows, of several draws, that stay in the cache
_NO_PRODUCT = 150.0  # exponentials beyond are not multiplied
_WIDTHS = 3  # rounds of fitting a level's widths


@numba.njit(cache=True, nogil=True, error_model="numpy")
def predictor(
    indptr: IntArray,
    column: IntArray,
    value: FloatArray,
    effects: FloatArray,
    code: IntArray,
    fixed: FloatArray,
    out: FloatArray,
) -> None:
    """Fill the linear predictor: ``fixed[code]`` and the dense effects."""
    for i in range(len(code)):
        total = fixed[code[i]]
        for m in range(indptr[i], indptr[i + 1]):
            total += value[m] * effects[column[m]]
        out[i] = total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _odds(cuts: FloatArray) -> FloatArray:
    """Return by category exp(-cut) above and below, and parts of its log probability.

    What is constant, what is due to the gap between the cuts, and how often it counts eta.
    """
    n_cuts = len(cuts) - 2
    out = np.zeros((n_cuts + 1, 5))
    out[1:, 4] = 1.0
    for c in range(n_cuts + 1):
        if c < n_cuts:
            out[c, 0] = math.exp(-cuts[c + 1])
        if c > 0:
            out[c, 1] = math.exp(-cuts[c])
            out[c, 2] = -cuts[c]
            if c < n_cuts:
                out[c, 3] = math.log(-math.expm1(cuts[c] - cuts[c + 1]))
                out[c, 2] += out[c, 3]
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _add_heights(
    link: int,
    lo: int,
    hi: int,
    category: IntArray,
    count: FloatArray,
    eta: FloatArray,
    raised: FloatArray,
    cuts: FloatArray,
    odds: FloatArray,
    first: int,
    size: int,
    shift: FloatArray,
    held: FloatArray,
    bottom: FloatArray,
    out: FloatArray,
) -> None:
    """Add to ``out``, less the log of ``bottom``, the log likelihood of rows at shifts of eta.

    ``raised`` and ``held`` are the exponentials of ``eta`` and ``shift`` (which ascends). The
    level's nodes are the ``size`` from ``first`` on.
    """
    end = first + size
    bottom[first:end] = 1.0
    if link == PROBIT:
        for i in range(lo, hi):
            c = category[i]
            for q in range(first, end):
                x = eta[i] + shift[q]
                out[q] += count[i] * cell(link, cuts[c + 1] - x, cuts[c] - x, 0.0, 0.0)[0]
        return
    # log(F(a) - F(b)) = const + eta - log((1 + high e^eta)(1 + low e^eta)), but for the lowest
    # category, whose eta is missing: products need one log for many rows
    slope, level, most, far = 0.0, 0.0, 1.0, 0.0
    farthest = max(abs(shift[first]), abs(shift[end - 1]))
    limit = _NO_PRODUCT - farthest
    for i in range(lo, hi):
        c, size_of = category[i], abs(eta[i])
        times = count[i] if size_of < limit else 0.0
        most, far = max(most, count[i]), max(far, size_of)
        slope += times * odds[c, 4]
        level += times * (odds[c, 4] * eta[i] + odds[c, 2])
    plain = most == 1.0 and far < limit
    for q in range(first, end):
        out[q] += level + slope * shift[q]
    if plain:
        _multiply(lo, hi, category, raised, odds, first, end, held, bottom, out)
        return
    for i in range(lo, hi):
        c, near = category[i], abs(eta[i]) < limit
        up, down = odds[c, 0] * raised[i], odds[c, 1] * raised[i]
        for q in range(first, end):
            x = eta[i] + shift[q]
            if near:
                out[q] -= count[i] * math.log((1.0 + up * held[q]) * (1.0 + down * held[q]))
            else:
                out[q] += count[i] * cell(link, cuts[c + 1] - x, cuts[c] - x, 0.0, odds[c, 3])[0]


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _multiply(
    lo: int,
    hi: int,
    category: IntArray,
    raised: FloatArray,
    odds: FloatArray,
    first: int,
    end: int,
    held: FloatArray,
    bottom: FloatArray,
    out: FloatArray,
) -> None:
    """Fill ``bottom`` with the product over rows, four nodes at a time in registers."""
    fours = end - (end - first) % 4
    for q in range(first, fours, 4):
        h0, h1, h2, h3 = held[q], held[q + 1], held[q + 2], held[q + 3]
        b0, b1, b2, b3 = 1.0, 1.0, 1.0, 1.0
        for i in range(lo, hi):
            c = category[i]
            up, down = odds[c, 0] * raised[i], odds[c, 1] * raised[i]
            b0 *= (1.0 + up * h0) * (1.0 + down * h0)
            b1 *= (1.0 + up * h1) * (1.0 + down * h1)
            b2 *= (1.0 + up * h2) * (1.0 + down * h2)
            b3 *= (1.0 + up * h3) * (1.0 + down * h3)
            if b3 > 1e150:
                out[q] -= math.log(b0)
                out[q + 1] -= math.log(b1)
                out[q + 2] -= math.log(b2)
                out[q + 3] -= math.log(b3)
                b0, b1, b2, b3 = 1.0, 1.0, 1.0, 1.0
        bottom[q], bottom[q + 1], bottom[q + 2], bottom[q + 3] = b0, b1, b2, b3
    for q in range(fours, end):
        b0 = 1.0
        for i in range(lo, hi):
            c = category[i]
            e = raised[i] * held[q]
            b0 *= (1.0 + odds[c, 0] * e) * (1.0 + odds[c, 1] * e)
            if b0 > 1e150:
                out[q] -= math.log(b0)
                b0 = 1.0
        bottom[q] = b0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _place(
    start: IntArray,
    eta: FloatArray,
    sd: FloatArray,
    node: FloatArray,
    log_weight: FloatArray,
    pull: FloatArray,
    curvature: FloatArray,
    row_curvature: FloatArray,
    shift: FloatArray,
    height: FloatArray,
) -> None:
    """Fill each level's nodes (draws, levels, Q), times sd, and log weight times prior there."""
    for d in range(len(eta)):
        for j in range(len(start) - 1):
            known = 0.0
            for i in range(start[j], start[j + 1]):
                known += row_curvature[i] * eta[d, i]
            inner = 1.0 + sd[d] * sd[d] * curvature[j]
            at = sd[d] * (pull[j] - known) / inner
            width = 1.0 / math.sqrt(inner)
            least = math.log(width) - LOG_ROOT_2PI
            for q in range(len(node)):
                v = at + width * node[q]
                shift[d, j, q] = sd[d] * v
                height[d, j, q] = log_weight[q] - 0.5 * v * v + least


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_all(
    link: int,
    start: IntArray,
    category: IntArray,
    count: FloatArray,
    eta: FloatArray,
    raised: FloatArray,
    cuts: FloatArray,
    shift: FloatArray,
    held: FloatArray,
    bottom: FloatArray,
    height: FloatArray,
) -> None:
    for d in range(len(eta)):
        odds, size = _odds(cuts[d]), shift.shape[2]
        own = (eta[d], raised[d], cuts[d])
        nodes = (shift[d].ravel(), held[d].ravel(), bottom[d].ravel(), height[d].ravel())
        for j in range(len(start) - 1):
            _add_heights(
                link,
                start[j],
                start[j + 1],
                category,
                count,
                own[0],
                own[1],
                own[2],
                odds,
                j * size,
                size,
                nodes[0],
                nodes[1],
                nodes[2],
                nodes[3],
            )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _less_top(height: FloatArray, log_bottom: FloatArray, top: FloatArray) -> None:
    """Subtract what is to be, then each level's largest."""
    for d in range(height.shape[0]):
        for j in range(height.shape[1]):
            top[d, j] = -np.inf
            for q in range(height.shape[2]):
                height[d, j, q] -= log_bottom[d, j, q]
                top[d, j] = max(top[d, j], height[d, j, q])
            for q in range(height.shape[2]):
                height[d, j, q] -= top[d, j]


def log_likelihood(
    link: int,
    start: IntArray,
    category: IntArray,
    count: FloatArray,
    eta: FloatArray,
    cuts: FloatArray,
    sd: FloatArray,
    node: FloatArray,
    log_weight: FloatArray,
    pull: FloatArray,
    curvature: FloatArray,
    row_curvature: FloatArray,
) -> FloatArray:
    """Return the log likelihood of each draw, leading effects integrated out, no derivatives.

    eta (draws, n), cuts (draws, n_cuts + 2), sd (draws,). The nodes sit where a linear model of
    each level puts its mode: its effect u has mode
    ``sd^2 (pull - sum row_curvature eta) / (1 + sd^2 curvature)``. Exponentials and logs are
    taken of whole arrays, which NumPy does several at once.
    """
    shape = (len(eta), len(start) - 1, len(node))
    shift, height = np.zeros(shape), np.zeros(shape)
    if sd[0] >= 0:
        _place(start, eta, sd, node, log_weight, pull, curvature, row_curvature, shift, height)
    bottom, top = np.empty(shape), np.empty(shape[:2])
    raised, held = (np.exp(eta), np.exp(shift)) if link == LOGIT else (eta, shift)
    _add_all(link, start, category, count, eta, raised, cuts, shift, held, bottom, height)
    _less_top(height, np.log(bottom, out=bottom), top)
    mass = np.exp(height, out=height).reshape(-1, len(node)) @ np.ones(len(node))
    return np.asarray((top + np.log(mass).reshape(top.shape)).sum(axis=1))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _predictors(
    indptr: IntArray,
    column: IntArray,
    value: FloatArray,
    effects: FloatArray,
    code: IntArray,
    fixed: FloatArray,
    out: FloatArray,
) -> None:
    for d in range(len(out)):
        predictor(indptr, column, value, effects[d], code, fixed[d], out[d])


def log_likelihoods(
    link: int,
    start: IntArray,
    category: IntArray,
    count: FloatArray,
    indptr: IntArray,
    column: IntArray,
    value: FloatArray,
    code: IntArray,
    effects: FloatArray,
    fixed: FloatArray,
    cuts: FloatArray,
    sd: FloatArray,
    node: FloatArray,
    log_weight: FloatArray,
    pull: FloatArray,
    curvature: FloatArray,
    row_curvature: FloatArray,
    out: FloatArray,
) -> None:
    """Add `log_likelihood` of each draw to ``out``: effects (draws, s), fixed (draws, m).

    Draws whose ``out`` is infinite are passed over.
    """
    finite, n = np.flatnonzero(np.isfinite(out)), len(code)
    size = max(1, _BATCH // n)
    for first in range(0, len(finite), size):
        part = finite[first : first + size]
        eta = np.empty((len(part), n))
        _predictors(indptr, column, value, effects[part], code, fixed[part], eta)
        out[part] += log_likelihood(
            link,
            start,
            category,
            count,
            eta,
            cuts[part],
            sd[part],
            node,
            log_weight,
            pull,
            curvature,
            row_curvature,
        )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _widths(
    link: int,
    lo: int,
    hi: int,
    category: IntArray,
    count: FloatArray,
    eta: FloatArray,
    raised: FloatArray,
    cuts: FloatArray,
    odds: FloatArray,
    sd: float,
    at: float,
    width: float,
    work: FloatArray,
) -> tuple[float, float]:
    """Widths of a normal to either side of the mode that falls as the density does.

    By the fall of the log density from the mode to 1.5 widths away, which is 1.5^2 / 2 of a normal.
    """
    v3, shift3, height3, held3, bottom3 = work
    left, right = width, width
    for _ in range(_WIDTHS):
        # below, at and above the mode: each side as wide as its fall says
        v3[0], v3[1], v3[2] = at - 1.5 * left, at, at + 1.5 * right
        for q in range(3):
            shift3[q], height3[q] = sd * v3[q], -0.5 * v3[q] * v3[q]
            held3[q] = math.exp(shift3[q])
        _add_heights(
            link,
            lo,
            hi,
            category,
            count,
            eta,
            raised,
            cuts,
            odds,
            0,
            3,
            shift3,
            held3,
            bottom3,
            height3,
        )
        for q in range(3):
            height3[q] -= math.log(bottom3[q])
        left *= 1.5 / math.sqrt(2.0 * max(height3[1] - height3[0], 0.1))
        right *= 1.5 / math.sqrt(2.0 * max(height3[1] - height3[2], 0.1))
    return left, right


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _chosen(height: FloatArray, uniform: float) -> int:
    """Choose a proposal by its log weight; ``height`` is overwritten by the weights."""
    top = height.max()
    mass = 0.0
    for q in range(len(height)):
        height[q] = math.exp(height[q] - top)
        mass += height[q]
    rest = uniform * mass
    for q in range(len(height)):
        rest -= height[q]
        if rest <= 0.0:
            return q
    return len(height) - 1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def draw_leading(
    link: int,
    start: IntArray,
    category: IntArray,
    count: FloatArray,
    eta: FloatArray,
    raised: FloatArray,
    cuts: FloatArray,
    gaps: FloatArray,
    sd: float,
    normal: FloatArray,
    uniform: FloatArray,
    out: FloatArray,
) -> None:
    """Draw every level's effect ``u = sd v`` given y and all else, from ``exp(f(sd v) - v^2 / 2)``.

    Stratified proposals about the mode are resampled with weights of the density over theirs.

    They are normal, of another width to either side, which log concave densities are close to.

    ``normal`` (levels, C) holds the standard normal proposals, ascending; ``uniform`` (levels,)
    the choice among them.
    """
    size = normal.shape[1]
    shift, height, v = np.empty(size), np.empty(size), np.empty(size)
    held, bottom = np.empty(size), np.empty(size)
    work = np.empty((5, 3))
    odds = _odds(cuts)
    for j in range(len(start) - 1):
        lo, hi = start[j], start[j + 1]
        at, curvature, _ = level_mode(link, lo, hi, category, count, eta, cuts, gaps, sd, 0.0, 1e-3)
        width = 1.0 / math.sqrt(1.0 + sd * sd * curvature)
        left, right = _widths(
            link, lo, hi, category, count, eta, raised, cuts, odds, sd, at, width, work
        )
        for q in range(size):
            z = normal[j, q]
            width = right if z > 0.0 else left
            v[q] = at + width * z
            shift[q] = sd * v[q]
            held[q] = math.exp(shift[q])
            height[q] = 0.5 * (z * z - v[q] * v[q]) + math.log(width)
        _add_heights(
            link,
            lo,
            hi,
            category,
            count,
            eta,
            raised,
            cuts,
            odds,
            0,
            size,
            shift,
            held,
            bottom,
            height,
        )
        for q in range(size):
            height[q] -= math.log(bottom[q])
        out[j] = sd * v[_chosen(height, uniform[j])]
