"""The log likelihood at many draws where rows discriminate unequally; and draws of leading effects.

As `likelihood`, but that a row's ``P = F(d (cut_c - eta)) - F(d (cut_{c-1} - eta))`` has an
exponential of its own at every node, since d differs by row and by draw.
"""

import math

import numba
import numpy as np

from causalbias.inference.laplace.disc_quadrature import disc_level_mode, gap_parts
from causalbias.inference.laplace.likelihood import FULL, LANES, add_mass, chosen, place_nodes
from causalbias.inference.laplace.quadrature import LOG_ROOT_2PI, LOGIT, cell
from causalbias.inference.laplace.vector import exp_all, subtract_logs
from causalbias.inference.problem import FloatArray, IntArray

_NO_PRODUCT = 300.0  # of the log of what is multiplied
_WIDTHS = 3  # rounds of fitting a level's widths


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
    out: FloatArray,
) -> None:
    """Fill a linear predictor of a level's rows (rows, draws)."""
    lanes = out.shape[1]
    for i in range(lo, hi):
        own, start = out[i - lo], fixed[code[i]]
        for d in range(lanes):
            own[d] = start[d]
        for m in range(indptr[i], indptr[i + 1]):
            effect, x = effects[column[m]], value[m]
            for d in range(lanes):
                own[d] += x * effect[d]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _known(lo: int, row_curvature: FloatArray, eta: FloatArray, known: FloatArray) -> None:
    """Fill the sum (draws,) of a level's predictors by curvature."""
    known[:] = 0.0
    for r in range(len(eta)):
        own, weight = eta[r], row_curvature[lo + r]
        for d in range(eta.shape[1]):
            known[d] += weight * own[d]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _add_row(
    c: int,
    n: float,
    eta: FloatArray,
    disc: FloatArray,
    cuts: FloatArray,
    work: FloatArray,
    level: FloatArray,
    slope: FloatArray,
) -> None:
    """Prepare a row: fill ``work[0] = exp(-a)`` and ``work[1] = exp(-b)`` before any shift.

    Adds ``log(1 - exp(b - a)) - b`` to ``level`` and d to ``slope``, by which the log likelihood
    rises with a shift; what belongs to an infinite end is left out.
    """
    lanes, last = len(eta), len(cuts) - 2
    one, two, held, gap = work[0], work[1], work[2], work[3]
    one[:], two[:] = 0.0, 0.0
    if c < last:
        for d in range(lanes):
            held[d] = disc[d] * (eta[d] - cuts[c + 1, d])
        exp_all(held, lanes, one)
    if c > 0:
        for d in range(lanes):
            held[d] = disc[d] * (eta[d] - cuts[c, d])
            level[d] += n * held[d]
            slope[d] += n * disc[d]
        exp_all(held, lanes, two)
        if c < last:
            for d in range(lanes):
                held[d] = disc[d] * (cuts[c, d] - cuts[c + 1, d])
            exp_all(held, lanes, gap)
            for d in range(lanes):
                held[d] = 1.0 - gap[d]
            subtract_logs(-n, held, level)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _add_heights(
    link: int,
    lo: int,
    hi: int,
    category: IntArray,
    count: FloatArray,
    eta: FloatArray,
    disc: FloatArray,
    cuts: FloatArray,
    shift: FloatArray,
    held: FloatArray,
    work: FloatArray,
    bottom: FloatArray,
    height: FloatArray,
) -> None:
    """Add to ``height``, less the log of ``bottom``, rows' log likelihood at shifts of eta.

    ``eta`` and ``disc`` (rows at least, draws), ``cuts`` (n_cuts + 2, draws), ``shift``, ``held``,
    ``bottom`` and ``height`` (Q, draws), ``work`` (6, draws).
    """
    nodes, lanes = shift.shape
    level, slope = work[4], work[5]
    level[:], slope[:] = 0.0, 0.0
    bottom[:] = 1.0
    farthest, since = np.abs(shift).max(), 0.0
    for r in range(hi - lo):
        c, n, own = category[lo + r], count[lo + r], disc[r]
        sharpest = own.max()
        # of the log of the product of 1 + exp(-a) and 1 + exp(-b)
        most = 2.0 * sharpest * (_most(eta[r]) + farthest + _most_of(cuts, c)) + 2.0
        if link != LOGIT or not most < _NO_PRODUCT:
            _add_far(link, c, n, eta[r], own, cuts, shift, height)
            continue
        if since > 0.0 and (since + most > _NO_PRODUCT or n != 1.0):
            subtract_logs(1.0, bottom.ravel(), height.ravel())
            bottom[:], since = 1.0, 0.0
        _add_row(c, n, eta[r], own, cuts, work, level, slope)
        one, two = work[0], work[1]
        for q in range(nodes):
            for d in range(lanes):
                held[0, q * lanes + d] = own[d] * shift[q, d]
        exp_all(held[0], nodes * lanes, held[1])
        for q in range(nodes):
            for d in range(lanes):
                e = held[1, q * lanes + d]
                bottom[q, d] *= (1.0 + e * one[d]) * (1.0 + e * two[d])
        since += most
        if n != 1.0:
            subtract_logs(n, bottom.ravel(), height.ravel())
            bottom[:], since = 1.0, 0.0
    for q in range(nodes):
        for d in range(lanes):
            height[q, d] += level[d] + slope[d] * shift[q, d]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _most(x: FloatArray) -> float:
    """Return the largest absolute number."""
    most = 0.0
    for d in range(len(x)):
        most = max(most, abs(x[d]))
    return most


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _most_of(cuts: FloatArray, c: int) -> float:
    """Return the largest absolute finite end of a category at any draw."""
    most = 0.0
    for end in (c, c + 1):
        if 0 < end < len(cuts) - 1:
            most = max(most, _most(cuts[end]))
    return most


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_far(
    link: int,
    c: int,
    n: float,
    eta: FloatArray,
    disc: FloatArray,
    cuts: FloatArray,
    shift: FloatArray,
    height: FloatArray,
) -> None:
    """Add one row's log likelihood to ``height``, wherever its cell is."""
    for d in range(len(eta)):
        _, log_gap = gap_parts(disc[d] * (cuts[c + 1, d] - cuts[c, d]))
        for q in range(len(shift)):
            x = eta[d] + shift[q, d]
            a, b = disc[d] * (cuts[c + 1, d] - x), disc[d] * (cuts[c, d] - x)
            height[q, d] += n * cell(link, a, b, 0.0, log_gap)[0]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _most_rows(start: IntArray) -> int:
    rows = 0
    for j in range(len(start) - 1):
        rows = max(rows, start[j + 1] - start[j])
    return rows


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
    disc_indptr: IntArray,
    disc_column: IntArray,
    disc_value: FloatArray,
    disc_fixed: FloatArray,
    sd: FloatArray,
    node: FloatArray,
    log_weight: FloatArray,
    pull: FloatArray,
    curvature: FloatArray,
    row_curvature: FloatArray,
    total: FloatArray,
) -> None:
    """Add each draw's log likelihood to ``total``; draws are last in each array."""
    lanes, rows, nodes = cuts.shape[1], _most_rows(start), len(node)
    eta, log_disc, disc = (
        np.empty((rows, lanes)),
        np.empty((rows, lanes)),
        np.empty((rows, lanes)),
    )
    shift, height, bottom = (
        np.empty((nodes, lanes)),
        np.empty((nodes, lanes)),
        np.empty((nodes, lanes)),
    )
    held, work = np.empty((2, nodes * lanes)), np.empty((6, lanes))
    known, width = np.empty(lanes), np.empty(lanes)
    for j in range(len(start) - 1):
        lo, hi = start[j], start[j + 1]
        size = hi - lo
        _predict(lo, hi, indptr, column, value, effects, code, fixed, eta)
        _predict(lo, hi, disc_indptr, disc_column, disc_value, effects, code, disc_fixed, log_disc)
        exp_all(log_disc.ravel(), size * lanes, disc.ravel())
        _known(lo, row_curvature, eta[:size], known)
        place_nodes(sd, node, log_weight, pull[j], curvature[j], known, shift, height, width)
        _add_heights(
            link,
            lo,
            hi,
            category,
            count,
            eta,
            disc,
            cuts,
            shift,
            held,
            work,
            bottom,
            height,
        )
        add_mass(width, height, bottom, held[0].reshape(nodes, lanes), known, total)


def disc_log_likelihoods(
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
    disc_indptr: IntArray,
    disc_column: IntArray,
    disc_value: FloatArray,
    disc_fixed: FloatArray,
    sd: FloatArray,
    node: FloatArray,
    log_weight: FloatArray,
    pull: FloatArray,
    curvature: FloatArray,
    row_curvature: FloatArray,
    out: FloatArray,
) -> None:
    """Add the log likelihood of each draw, leading effects integrated out, to ``out`` (draws,).

    As `log_likelihoods`; ``disc_*`` make the linear predictor of the log discriminations, of the
    same effects, with ``disc_fixed`` (draws, m).
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
            disc_indptr,
            disc_column,
            disc_value,
            np.ascontiguousarray(disc_fixed[side].T),
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
def disc_draw_leading(
    link: int,
    start: IntArray,
    category: IntArray,
    count: FloatArray,
    eta: FloatArray,
    disc: FloatArray,
    cuts: FloatArray,
    sd: float,
    near: FloatArray,
    normal: FloatArray,
    uniform: FloatArray,
    out: FloatArray,
) -> None:
    """Draw every level's effect ``u = sd v`` given y and all else: as `draw_leading`."""
    rows, lanes = _most_rows(start), normal.shape[1]
    wide, sharp = np.empty((rows, lanes)), np.empty((rows, lanes))
    v, shift, held = np.empty(lanes), np.empty((1, lanes)), np.empty((2, lanes))
    bottom, height, work = np.empty((1, lanes)), np.empty((1, lanes)), np.empty((6, lanes))
    ends = np.empty((len(cuts), lanes))
    for c in range(len(cuts)):
        ends[c] = cuts[c]
    for j in range(len(start) - 1):
        lo, hi = start[j], start[j + 1]
        for i in range(lo, hi):
            wide[i - lo], sharp[i - lo] = eta[i], disc[i]
        at, curvature, _ = disc_level_mode(
            link, lo, hi, category, count, eta, disc, cuts, sd, near[j], 1e-3
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
                sharp,
                ends,
                shift,
                held,
                work,
                bottom,
                height,
            )
            subtract_logs(1.0, bottom.ravel(), height.ravel())
            if step < _WIDTHS:
                left *= 1.5 / math.sqrt(2.0 * max(height[0, 1] - height[0, 0], 0.1))
                right *= 1.5 / math.sqrt(2.0 * max(height[0, 1] - height[0, 2], 0.1))
        out[j] = sd * v[chosen(height[0], uniform[j])]
