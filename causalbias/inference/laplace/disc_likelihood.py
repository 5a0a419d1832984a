"""The log likelihood at many draws where rows discriminate unequally; and draws of leading effects.

As `likelihood`, but for the nodes. A row of category c has probability

    P = F(d (cut_c - eta)) - F(d (cut_{c-1} - eta)) = (t - o) / ((1 + o) (1 + t)),
    o = exp(d (eta - cut_c)),    t = exp(d (eta - cut_{c-1})),

F logistic, and its d differs by row and by draw. At nodes in equal steps of eta both o and t are
multiplied by the same number from node to node, ``exp(d step)``: exponentials are few. Such nodes
are those of the trapezoidal rule, which for a density on the line is as exact as Gauss-Hermite's
(Trefethen and Weideman, 2014).
"""

import math
from functools import cache
from typing import NamedTuple

import numba
import numpy as np

from causalbias.inference.laplace.disc_quadrature import gap_parts
from causalbias.inference.laplace.likelihood import (
    DrawnPredictor,
    NodePlaces,
    Nodes,
    Rule,
    add_mass,
    known_part,
    new_nodes,
    place_nodes,
    predict,
)
from causalbias.inference.laplace.quadrature import LOGIT, cell, most_rows
from causalbias.inference.laplace.rows import Answers
from causalbias.inference.laplace.vector import exp_all, subtract_logs
from causalbias.inference.problem import FloatArray

_NO_PRODUCT = 600.0  # of the log of what is multiplied
_ROUNDS = 3  # of centring a level's grid, the draw's own included
_GRID = 0.375 * np.arange(-16, 17)  # of a level's effect, in standard deviations


class _LevelRows(NamedTuple):
    """Work space for the rows of one level: (rows at least, draws), and ``work`` (8, draws)."""

    eta: FloatArray
    log_disc: FloatArray
    disc: FloatArray
    work: FloatArray


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _new_level_rows(rows: int, lanes: int) -> _LevelRows:
    eta, log_disc, disc = np.empty((rows, lanes)), np.empty((rows, lanes)), np.empty((rows, lanes))
    return _LevelRows(eta, log_disc, disc, np.empty((8, lanes)))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill_level(
    lo: int, hi: int, of_eta: DrawnPredictor, of_disc: DrawnPredictor, level_rows: _LevelRows
) -> None:
    """Fill eta and the discriminations of a level's rows."""
    predict(lo, hi, of_eta, level_rows.eta)
    predict(lo, hi, of_disc, level_rows.log_disc)
    size = (hi - lo) * level_rows.eta.shape[1]
    exp_all(level_rows.log_disc.ravel(), size, level_rows.disc.ravel())


@cache
def equal_steps(size: int) -> Rule:
    """Return nodes z and log weights of the trapezoidal rule, for densities close to the normal.

    The step h and the ends ``size h / 2`` are those at which both errors of the integral of a
    normal density are alike: ``exp(-2 pi^2 / h^2) = exp(-(size h / 2)^2 / 2)``.
    """
    step = 2.0 * math.sqrt(math.pi / size)
    node = step * (np.arange(0.0, size) - 0.5 * (size - 1))
    return node, np.full(size, math.log(step))


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _raise(
    c: int,
    n: float,
    eta: FloatArray,
    disc: FloatArray,
    cuts: FloatArray,
    first: FloatArray,
    step: FloatArray,
    work: FloatArray,
    top: FloatArray,
    level: FloatArray,
    slope: FloatArray,
) -> None:
    """Fill a row's o, t and ``exp(d step)``, the first rows of ``work``, at the first node.

    Multiplies ``top`` by ``t - o``, and adds d to ``slope``, by which the log likelihood rises with
    eta; the highest category's log t goes to ``level`` as it is.
    """
    lanes, last = len(eta), len(cuts) - 2
    one, two, rate, held = work[0], work[1], work[2], work[3]
    for d in range(lanes):
        held[d] = disc[d] * step[d]
    exp_all(held, lanes, rate)
    if c < last:
        for d in range(lanes):
            held[d] = disc[d] * (eta[d] + first[d] - cuts[c + 1, d])
        exp_all(held, lanes, one)
    if c == 0:
        return
    for d in range(lanes):
        held[d] = disc[d] * (eta[d] + first[d] - cuts[c, d])
        slope[d] += n * disc[d]
    exp_all(held, lanes, two)
    if c == last:
        for d in range(lanes):
            level[d] += n * held[d]
    elif n == 1.0:
        for d in range(lanes):
            top[d] *= two[d] - one[d]
    else:
        for d in range(lanes):
            held[d] = two[d] - one[d]
        subtract_logs(-n, held, level)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _multiply(c: int, last: int, work: FloatArray, bottom: FloatArray) -> None:
    """Multiply ``bottom`` (Q, draws) by a row's ``(1 + o) (1 + t)``; ``work`` is from `_raise`."""
    one, two, rate = work[0], work[1], work[2]
    for q in range(len(bottom)):
        own = bottom[q]
        if 0 < c < last:
            for d in range(len(own)):
                own[d] *= (1.0 + one[d]) * (1.0 + two[d])
                one[d] *= rate[d]
                two[d] *= rate[d]
        elif c > 0:
            for d in range(len(own)):
                own[d] *= 1.0 + two[d]
                two[d] *= rate[d]
        else:
            for d in range(len(own)):
                own[d] *= 1.0 + one[d]
                one[d] *= rate[d]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _most_of_a_row(
    rows: int, eta: FloatArray, disc: FloatArray, cuts: FloatArray, shift: FloatArray
) -> float:
    """Return a bound of the log of any row's ``(1 + o) (1 + t)`` at any node."""
    lanes = eta.shape[1]
    far, sharp = np.zeros(lanes), np.zeros(lanes)
    for r in range(rows):
        own, by = eta[r], disc[r]
        for d in range(lanes):
            far[d] = max(far[d], abs(own[d]))
            sharp[d] = max(sharp[d], by[d])
    most = 0.0
    for d in range(lanes):
        end = max(abs(cuts[1, d]), abs(cuts[-2, d]))
        reach = far[d] + max(abs(shift[0, d]), abs(shift[-1, d])) + end
        if not sharp[d] * reach < _NO_PRODUCT:
            return np.inf
        most = max(most, sharp[d] * reach)
    return 2.0 * most + 1.4


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _add_heights(
    link: int,
    lo: int,
    hi: int,
    answers: Answers,
    cuts: FloatArray,
    level_rows: _LevelRows,
    nodes: Nodes,
) -> None:
    """Add to ``height``, less the log of ``bottom``, rows' log likelihood at equal shifts of eta.

    ``level_rows`` are from `_fill_level`; ``cuts`` (n_cuts + 2, draws).
    """
    category, count = answers.category, answers.counts
    eta, disc, work = level_rows.eta, level_rows.disc, level_rows.work
    shift, bottom, height = nodes.shift, nodes.bottom, nodes.height
    size, lanes = shift.shape
    last, since = len(cuts) - 2, 0
    bottom[:] = 1.0
    most = _most_of_a_row(hi - lo, eta, disc, cuts, shift)
    if link != LOGIT or not most < _NO_PRODUCT:
        for i in range(lo, hi):
            _add_far(link, category[i], count[i], eta[i - lo], disc[i - lo], cuts, shift, height)
        return
    often = int(_NO_PRODUCT / most)
    top, level, slope, step = work[4], work[5], work[6], work[7]
    top[:], level[:], slope[:] = 1.0, 0.0, 0.0
    for d in range(lanes):
        step[d] = shift[min(1, size - 1), d] - shift[0, d]
    for r in range(hi - lo):
        c, n = category[lo + r], count[lo + r]
        if since == often or (since > 0 and n != 1.0):
            subtract_logs(1.0, bottom.ravel(), height.ravel())
            subtract_logs(-1.0, top, level)
            bottom[:], top[:], since = 1.0, 1.0, 0
        _raise(c, n, eta[r], disc[r], cuts, shift[0], step, work, top, level, slope)
        _multiply(c, last, work, bottom)
        since += 1
        if n != 1.0:
            subtract_logs(n, bottom.ravel(), height.ravel())
            bottom[:], since = 1.0, 0
    subtract_logs(-1.0, top, level)
    for q in range(size):
        for d in range(lanes):
            height[q, d] += level[d] + slope[d] * (shift[q, d] - shift[0, d])


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
def integrate_disc(
    link: int,
    answers: Answers,
    of_eta: DrawnPredictor,
    of_disc: DrawnPredictor,
    cuts: FloatArray,
    sd: FloatArray,
    rule: Rule,
    places: NodePlaces,
    total: FloatArray,
) -> None:
    """As `integrate`, with a predictor of the rows' log discriminations, of the same effects.

    The rule's nodes are in equal steps (`equal_steps`).
    """
    lanes = cuts.shape[1]
    level_rows = _new_level_rows(most_rows(answers.start), lanes)
    nodes, known, width = new_nodes(len(rule[0]), lanes), np.empty(lanes), np.empty(lanes)
    for j in range(len(answers.start) - 1):
        lo, hi = answers.start[j], answers.start[j + 1]
        _fill_level(lo, hi, of_eta, of_disc, level_rows)
        known_part(lo, hi, places.row_curvature, level_rows.eta, known)
        place_nodes(sd, rule, places.pull[j], places.curvature[j], known, width, nodes)
        _add_heights(link, lo, hi, answers, cuts, level_rows, nodes)
        add_mass(width, nodes, known, total)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _standardise(
    mean: FloatArray, spread: FloatArray, grid: FloatArray, height: FloatArray, mass: FloatArray
) -> None:
    """Turn mean and sd of a level's grid into those of the density; ``mass`` is overwritten.

    ``height`` (Q, draws) is the log density at ``mean + spread grid``. An sd far below the grid's
    step is not seen from there: half a step is the least.
    """
    nodes, lanes = height.shape
    for d in range(lanes):
        top = height[0, d]
        for q in range(nodes):
            top = max(top, height[q, d])
        total, first, second = 0.0, 0.0, 0.0
        for q in range(nodes):
            mass[q, d] = math.exp(height[q, d] - top)
            total += mass[q, d]
            first += mass[q, d] * grid[q]
        first /= total
        for q in range(nodes):
            second += mass[q, d] * (grid[q] - first) ** 2
        mean[d] += spread[d] * first
        spread[d] *= max(math.sqrt(second / total), 0.5 * (grid[1] - grid[0]))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _inverse(
    height: FloatArray, grid: FloatArray, uniform: FloatArray, mass: FloatArray, out: FloatArray
) -> None:
    """Fill the points (draws,) of the grid's axis below which a share ``uniform`` of it lies.

    Between nodes the log density (Q, draws) is taken for linear, but for the mass: a density of
    ends f and g has mean ``(g - f) / log(g / f)``, times ``exp(-c / 12)`` where c is the second
    difference of its log.
    """
    nodes, lanes = height.shape
    for d in range(lanes):
        top = height[0, d]
        for q in range(nodes):
            top = max(top, height[q, d])
        total, below = 0.0, math.exp(height[0, d] - top)
        for q in range(nodes - 1):
            above, rise = math.exp(height[q + 1, d] - top), height[q + 1, d] - height[q, d]
            mass[q, d] = (above - below) / rise if abs(rise) > 1e-6 else 0.5 * (above + below)
            if 0 < q < nodes - 2:
                bend = height[q + 2, d] - height[q + 1, d] - height[q, d] + height[q - 1, d]
                mass[q, d] *= math.exp(-min(max(bend, -6.0), 6.0) / 24.0)
            total += mass[q, d]
            below = above
        rest, q = uniform[d] * total, 0
        while q < nodes - 2 and rest > mass[q, d]:
            rest -= mass[q, d]
            q += 1
        rise, share = height[q + 1, d] - height[q, d], min(rest / mass[q, d], 1.0)
        if abs(rise) > 1e-6:
            share = math.log1p(share * math.expm1(rise)) / rise
        out[d] = grid[q] + share * (grid[q + 1] - grid[q])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def draw_leading_disc(
    link: int,
    answers: Answers,
    of_eta: DrawnPredictor,
    of_disc: DrawnPredictor,
    cuts: FloatArray,
    sd: FloatArray,
    places: NodePlaces,
    uniform: FloatArray,
    out: FloatArray,
) -> None:
    """Fill ``out`` (levels, draws) with leading effects ``u = sd v`` given y and all else.

    Arguments are those of `integrate_disc`; ``uniform`` (levels, draws). A level's density,
    ``exp(f(sd v) - v^2 / 2)``, is computed on a grid about its mean and inverted. The grid is
    centred at first where a linear model of the level puts its mode, then where the density's own
    mean is.
    """
    lanes, size = cuts.shape[1], len(_GRID)
    level_rows = _new_level_rows(most_rows(answers.start), lanes)
    nodes, mean, spread = new_nodes(size, lanes), np.empty(lanes), np.empty(lanes)
    shift, height, bottom, found = nodes.shift, nodes.height, nodes.bottom, np.empty(lanes)
    for j in range(len(answers.start) - 1):
        lo, hi = answers.start[j], answers.start[j + 1]
        _fill_level(lo, hi, of_eta, of_disc, level_rows)
        known_part(lo, hi, places.row_curvature, level_rows.eta, mean)
        for d in range(lanes):
            inner = 1.0 + sd[d] * sd[d] * places.curvature[j]
            mean[d] = sd[d] * (places.pull[j] - mean[d]) / inner
            spread[d] = 1.0 / math.sqrt(inner)
        for step in range(_ROUNDS):
            for q in range(size):
                for d in range(lanes):
                    v = mean[d] + spread[d] * _GRID[q]
                    shift[q, d], height[q, d] = sd[d] * v, -0.5 * v * v
            _add_heights(link, lo, hi, answers, cuts, level_rows, nodes)
            subtract_logs(1.0, bottom.ravel(), height.ravel())
            if step < _ROUNDS - 1:
                _standardise(mean, spread, _GRID, height, bottom)
        _inverse(height, _GRID, uniform[j], bottom, found)
        for d in range(lanes):
            out[j, d] = sd[d] * (mean[d] + spread[d] * found[d])
