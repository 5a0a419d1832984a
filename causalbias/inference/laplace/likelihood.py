"""The log likelihood at many draws, leading effects integrated out; and draws of those effects.

No derivatives: nodes are placed by what an anchor knew, and a level's logistic probabilities are
multiplied before one log is taken. Several draws stand side by side, last in each array, so that
one vector instruction serves all of them.
"""

import math

import numba
import numpy as np

from causalbias.inference.laplace.quadrature import LOG_ROOT_2PI, LOGIT, cell, level_mode
from causalbias.inference.laplace.vector import exp_all, subtract_logs
from causalbias.inference.problem import FloatArray, IntArray

LANES, FULL = 64, 16  # draws side by side at most; they are filled up to a multiple
_NO_PRODUCT = 300.0  # of the log of what is multiplied
_WIDTHS = 3  # rounds of fitting a level's widths
_SUM, _PRODUCT, _OFFSET, _GAP = range(4)  # of `_odds`


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
    """Return parts of each category's log probability (categories, 4, draws).

    With ``a = cut_c - eta``, ``b = cut_{c-1} - eta`` and ``e = exp(eta)``,

        log(F(a) - F(b)) = offset + eta - log(1 + sum e + product e^2),

    but for the lowest category, whose eta is missing. ``sum`` and ``product`` are of
    ``exp(-cut_c)`` and ``exp(-cut_{c-1})``; ``offset = gap - cut_{c-1}``,
    ``gap = log(1 - exp(cut_{c-1} - cut_c))``. ``cuts`` (n_cuts + 2, draws).
    """
    size, draws = len(cuts) - 1, cuts.shape[1]
    out = np.zeros((size, 4, draws))
    for c in range(size):
        for d in range(draws):
            upper, lower = math.exp(-cuts[c + 1, d]), 0.0
            if c > 0:
                lower = math.exp(-cuts[c, d])
                if c < size - 1:
                    out[c, _GAP, d] = math.log(-math.expm1(cuts[c, d] - cuts[c + 1, d]))
                out[c, _OFFSET, d] = out[c, _GAP, d] - cuts[c, d]
            out[c, _SUM, d], out[c, _PRODUCT, d] = upper + lower, upper * lower
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _predict(
    lo: int,
    hi: int,
    indptr: IntArray,
    column: IntArray,
    value: FloatArray,
    effects: FloatArray,
    code: IntArray,
    fixed: FloatArray,
    row_curvature: FloatArray,
    eta: FloatArray,
    known: FloatArray,
) -> None:
    """Fill the predictors of a level's rows (rows, draws), and their sum by curvature."""
    lanes = eta.shape[1]
    known[:] = 0.0
    for i in range(lo, hi):
        own, start, weight = eta[i - lo], fixed[code[i]], row_curvature[i]
        for d in range(lanes):
            own[d] = start[d]
        for m in range(indptr[i], indptr[i + 1]):
            effect, x = effects[column[m]], value[m]
            for d in range(lanes):
                own[d] += x * effect[d]
        for d in range(lanes):
            known[d] += weight * own[d]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def place_nodes(
    sd: FloatArray,
    node: FloatArray,
    log_weight: FloatArray,
    pull: float,
    curvature: float,
    known: FloatArray,
    shift: FloatArray,
    height: FloatArray,
    width: FloatArray,
) -> None:
    """Fill a level's nodes (Q, draws), times sd, and log weight times prior there.

    ``known`` is overwritten by their centres.
    """
    lanes = shift.shape[1]
    for d in range(lanes):
        inner = 1.0 + sd[d] * sd[d] * curvature
        known[d] = sd[d] * (pull - known[d]) / inner
        width[d] = 1.0 / math.sqrt(inner)
    for q in range(len(node)):
        for d in range(lanes):
            v = known[d] + width[d] * node[q]
            shift[q, d] = sd[d] * v
            height[q, d] = log_weight[q] - 0.5 * v * v


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _raise(
    lo: int,
    hi: int,
    category: IntArray,
    count: FloatArray,
    odds: FloatArray,
    eta: FloatArray,
    first: FloatArray,
    second: FloatArray,
    level: FloatArray,
) -> float:
    """Fill rows' ``sum e`` and ``product e^2``, and the sum of ``offset + eta`` (`_odds`).

    Returns how many rows have eta there.
    """
    lanes = eta.shape[1]
    exp_all(eta.ravel(), (hi - lo) * lanes, first.ravel())
    slope = 0.0
    level[:] = 0.0
    for i in range(lo, hi):
        own, one, two, n = eta[i - lo], first[i - lo], second[i - lo], count[i]
        part = odds[category[i]]
        for d in range(lanes):
            e = one[d]
            one[d] = part[_SUM, d] * e
            two[d] = part[_PRODUCT, d] * e * e
        if category[i] > 0:
            slope += n
            for d in range(lanes):
                level[d] += n * (own[d] + part[_OFFSET, d])
    return slope


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _add_heights(
    link: int,
    lo: int,
    hi: int,
    category: IntArray,
    count: FloatArray,
    eta: FloatArray,
    cuts: FloatArray,
    odds: FloatArray,
    first: FloatArray,
    second: FloatArray,
    slope: float,
    level: FloatArray,
    shift: FloatArray,
    held: FloatArray,
    bottom: FloatArray,
    height: FloatArray,
) -> None:
    """Add to ``height``, less the log of ``bottom``, rows' log likelihood at shifts of eta.

    ``first``, ``second``, ``slope`` and ``level`` are from `_raise`; shifts (Q, draws).
    """
    lanes = shift.shape[1]
    bottom[:] = 1.0
    rows, nodes = hi - lo, len(shift)
    # a row's factor is at most (1 + e^(eta + shift - lowest cut))^2
    most = 2.0 * (_widest(eta, rows) + _widest(shift, nodes) + _widest(cuts[1:2], 1) + 1.0)
    if link != LOGIT or not most < _NO_PRODUCT:
        for i in range(lo, hi):
            c = category[i]
            for q in range(nodes):
                for d in range(lanes):
                    x = eta[i - lo, d] + shift[q, d]
                    one = cell(link, cuts[c + 1, d] - x, cuts[c, d] - x, 0.0, odds[c, _GAP, d])
                    height[q, d] += count[i] * one[0]
        return
    exp_all(shift.ravel(), nodes * lanes, held.ravel())
    for q in range(nodes):
        for d in range(lanes):
            height[q, d] += level[d] + slope * shift[q, d]
    often, since = int(_NO_PRODUCT / most), 0
    for r in range(rows):
        n, one, two = count[lo + r], first[r], second[r]
        if since == often or (since > 0 and n != 1.0):
            subtract_logs(1.0, bottom.ravel(), height.ravel())
            bottom[:], since = 1.0, 0
        for q in range(nodes):
            for d in range(lanes):
                e = held[q, d]
                bottom[q, d] *= 1.0 + e * (one[d] + e * two[d])
        since += 1
        if n != 1.0:
            subtract_logs(n, bottom.ravel(), height.ravel())
            bottom[:], since = 1.0, 0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _widest(x: FloatArray, rows: int) -> float:
    """Return the largest absolute number of the first rows; infinity for one that is none."""
    lanes = x.shape[1]
    most = np.zeros(lanes)
    for r in range(rows):
        for d in range(lanes):
            most[d] = max(most[d], abs(x[r, d]))
    return most.max()


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def add_mass(
    width: FloatArray,
    height: FloatArray,
    bottom: FloatArray,
    held: FloatArray,
    mass: FloatArray,
    total: FloatArray,
) -> None:
    """Add ``log(width sum_q exp(height_q) / bottom_q)``; all but ``total`` is overwritten."""
    nodes, lanes = height.shape
    mass[:] = -np.inf
    for q in range(nodes):
        for d in range(lanes):
            mass[d] = max(mass[d], height[q, d])
    for q in range(nodes):
        for d in range(lanes):
            height[q, d] -= mass[d]
    exp_all(height.ravel(), nodes * lanes, held.ravel())
    for d in range(lanes):
        total[d] += mass[d]
        mass[d] = 0.0
    for q in range(nodes):
        for d in range(lanes):
            mass[d] += width[d] * held[q, d] / bottom[q, d]
    subtract_logs(-1.0, mass, total)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _integrate(
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
    total: FloatArray,
) -> None:
    """Add each draw's log likelihood to ``total``; draws are last in each array."""
    lanes = cuts.shape[1]
    rows = most_rows(start)
    eta, first, second = np.empty((rows, lanes)), np.empty((rows, lanes)), np.empty((rows, lanes))
    shift, held = np.empty((len(node), lanes)), np.empty((len(node), lanes))
    bottom, height = np.empty((len(node), lanes)), np.empty((len(node), lanes))
    known, width, level = np.empty(lanes), np.empty(lanes), np.empty(lanes)
    odds, slope = _odds(cuts), 0.0
    for j in range(len(start) - 1):
        lo, hi = start[j], start[j + 1]
        _predict(lo, hi, indptr, column, value, effects, code, fixed, row_curvature, eta, known)
        place_nodes(sd, node, log_weight, pull[j], curvature[j], known, shift, height, width)
        if link == LOGIT:
            slope = _raise(lo, hi, category, count, odds, eta, first, second, level)
        _add_heights(
            link,
            lo,
            hi,
            category,
            count,
            eta,
            cuts,
            odds,
            first,
            second,
            slope,
            level,
            shift,
            held,
            bottom,
            height,
        )
        add_mass(width, height, bottom, held, known, total)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def most_rows(start: IntArray) -> int:
    """Return the number of rows of the level that has most."""
    rows = 0
    for j in range(len(start) - 1):
        rows = max(rows, start[j + 1] - start[j])
    return rows


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
    """Add the log likelihood of each draw, leading effects integrated out, to ``out`` (draws,).

    Draws whose ``out`` is infinite are passed over. effects (draws, s), fixed (draws, m), cuts
    (draws, n_cuts + 2), sd (draws,), negative where no term leads. The nodes sit where a linear
    model of each level puts its mode: its effect u has mode
    ``sd^2 (pull - sum row_curvature eta) / (1 + sd^2 curvature)``.
    """
    finite = np.flatnonzero(np.isfinite(out))
    if sd[0] >= 0:
        log_weight = log_weight - LOG_ROOT_2PI
    for first in range(0, len(finite), LANES):
        part = finite[first : first + LANES]
        side = np.resize(part, -(-len(part) // FULL) * FULL)  # the first ones again
        total = np.zeros(len(side))
        _integrate(
            link,
            start,
            category,
            count,
            indptr,
            column,
            value,
            code,
            np.ascontiguousarray(effects[side].T),
            np.ascontiguousarray(fixed[side].T),
            np.ascontiguousarray(cuts[side].T),
            np.maximum(sd[side], 0.0),
            node,
            log_weight,
            pull,
            curvature,
            row_curvature,
            total,
        )
        out[part] += total[: len(part)]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def chosen(height: FloatArray, uniform: float) -> int:
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
    cuts: FloatArray,
    gaps: FloatArray,
    sd: float,
    near: FloatArray,
    normal: FloatArray,
    uniform: FloatArray,
    out: FloatArray,
) -> None:
    """Draw every level's effect ``u = sd v`` given y and all else, from ``exp(f(sd v) - v^2 / 2)``.

    Stratified proposals about the mode are resampled with weights of the density over theirs.
    They are normal, of another width to either side, which log concave densities are close to:
    so wide that the log density falls by ``1.5^2 / 2`` from the mode to 1.5 widths away.

    ``near`` (levels,) is about where the mode of v is. ``normal`` (levels, C) holds the standard
    normal proposals; ``uniform`` (levels,) the choice among them.
    """
    rows, lanes = most_rows(start), normal.shape[1]
    wide, first, second = np.empty((rows, lanes)), np.empty((rows, lanes)), np.empty((rows, lanes))
    v, shift, held = np.empty(lanes), np.empty((1, lanes)), np.empty((1, lanes))
    bottom, height, level = np.empty((1, lanes)), np.empty((1, lanes)), np.empty(lanes)
    ends = np.empty((len(cuts), lanes))
    for c in range(len(cuts)):
        ends[c] = cuts[c]
    odds, slope = _odds(ends), 0.0
    for j in range(len(start) - 1):
        lo, hi = start[j], start[j + 1]
        for i in range(lo, hi):
            wide[i - lo] = eta[i]
        if link == LOGIT:
            slope = _raise(lo, hi, category, count, odds, wide, first, second, level)
        at, curvature, _ = level_mode(
            link, lo, hi, category, count, eta, cuts, gaps, sd, near[j], 1e-3
        )
        left = right = 1.0 / math.sqrt(1.0 + sd * sd * curvature)
        for step in range(_WIDTHS + 1):
            for d in range(lanes):
                # below, at and above the mode, until the widths are known
                z = normal[j, d] if step == _WIDTHS else 1.5 * min(d - 1.0, 1.0)
                width = right if z > 0.0 else left
                v[d] = at + width * z
                shift[0, d] = sd * v[d]
                height[0, d] = -0.5 * v[d] * v[d]
                if step == _WIDTHS:
                    height[0, d] += 0.5 * z * z + math.log(width)
            _add_heights(
                link,
                lo,
                hi,
                category,
                count,
                wide,
                ends,
                odds,
                first,
                second,
                slope,
                level,
                shift,
                held,
                bottom,
                height,
            )
            subtract_logs(1.0, bottom.ravel(), height.ravel())
            if step < _WIDTHS:
                left *= 1.5 / math.sqrt(2.0 * max(height[0, 1] - height[0, 0], 0.1))
                right *= 1.5 / math.sqrt(2.0 * max(height[0, 1] - height[0, 2], 0.1))
        out[j] = sd * v[chosen(height[0], uniform[j])]
