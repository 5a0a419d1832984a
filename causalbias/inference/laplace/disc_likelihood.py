"""The log likelihood at many draws where rows discriminate unequally; and draws of leading effects.

As `likelihood`, but for the nodes. A row of category c has probability

    P = F(d (cut_c - eta)) - F(d (cut_{c-1} - eta)) = (t - o) / ((1 + o) (1 + t)),
    o = exp(d (eta - cut_c)),    t = exp(d (eta - cut_{c-1})),

F logistic, and its d differs by row and by draw. With ``g = exp(d (cut_c - cut_{c-1}))`` it is
``t = g o``, so that the denominator is ``1 + o ((1 + g) + o g)``. At nodes in equal steps of eta,
o is multiplied by the same number from node to node, ``exp(d step)``: exponentials are few. Such
nodes are those of the trapezoidal rule, which for a density on the line is as exact as
Gauss-Hermite's (Trefethen and Weideman, 2014).
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
from causalbias.inference.problem import FloatArray, IntArray

_NO_PRODUCT = 600.0  # of the log of what is multiplied
_ROUNDS = 3  # of centring a level's grid, the draw's own included
_GRID = 0.375 * np.arange(-16, 17)  # of a level's effect, in standard deviations


class _LevelRows(NamedTuple):
    """The rows of one level.

    Attributes
    ----------
    eta : ndarray (rows at least, draws)
        Filled level by level.
    disc : ndarray (distinct rows, draws)
        All discriminations there are.
    which : ndarray (n,)
        Each row's place among them.
    work : ndarray (9, draws)
    """

    eta: FloatArray
    disc: FloatArray
    which: IntArray
    work: FloatArray


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _new_level_rows(rows: int, lanes: int, log_disc: DrawnPredictor, which: IntArray) -> _LevelRows:
    """Return work space; discriminations are computed once, many rows have the same."""
    disc, held = np.empty((len(log_disc.code), lanes)), np.empty((1, lanes))
    for i in range(len(disc)):
        predict(i, i + 1, log_disc, held)
        exp_all(held[0], lanes, disc[i])
    return _LevelRows(np.empty((rows, lanes)), disc, which, np.empty((9, lanes)))


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
    """Fill a row's o at the first node, ``1 + g``, g and ``exp(d step)``, first rows of ``work``.

    Of the highest category t is in the place of o. Multiplies ``top`` by ``t - o``, and adds d to
    ``slope``, by which the log likelihood rises with eta; the highest category's log t goes to
    ``level`` as it is.
    """
    lanes, last = len(eta), len(cuts) - 2
    one, linear, gap, rate, held = work[0], work[1], work[2], work[3], work[4]
    for d in range(lanes):
        held[d] = disc[d] * step[d]
    exp_all(held, lanes, rate)
    cut = cuts[min(c + 1, last)]
    for d in range(lanes):
        held[d] = disc[d] * (eta[d] + first[d] - cut[d])
    exp_all(held, lanes, one)
    if c == 0:
        return
    for d in range(lanes):
        slope[d] += n * disc[d]
    if c == last:
        for d in range(lanes):
            level[d] += n * held[d]
        return
    for d in range(lanes):
        held[d] = disc[d] * (cuts[c + 1, d] - cuts[c, d])
    exp_all(held, lanes, gap)
    for d in range(lanes):
        linear[d] = 1.0 + gap[d]
    if n == 1.0:
        for d in range(lanes):
            top[d] *= one[d] * (gap[d] - 1.0)
    else:
        for d in range(lanes):
            held[d] = one[d] * (gap[d] - 1.0)
        subtract_logs(-n, held, level)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _multiply(c: int, last: int, work: FloatArray, bottom: FloatArray) -> None:
    """Multiply ``bottom`` (Q, draws) by a row's ``(1 + o) (1 + t)``; ``work`` is from `_raise`."""
    one, linear, gap, rate = work[0], work[1], work[2], work[3]
    for q in range(len(bottom)):
        own = bottom[q]
        if 0 < c < last:
            for d in range(len(own)):
                own[d] *= 1.0 + one[d] * (linear[d] + one[d] * gap[d])
                one[d] *= rate[d]
        else:
            for d in range(len(own)):
                own[d] *= 1.0 + one[d]
                one[d] *= rate[d]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _most_of_a_row(
    lo: int, hi: int, level_rows: _LevelRows, cuts: FloatArray, shift: FloatArray
) -> float:
    """Return a bound of the log of any row's ``(1 + o) (1 + t)`` at any node."""
    lanes = cuts.shape[1]
    far, sharp = np.zeros(lanes), np.zeros(lanes)
    for i in range(lo, hi):
        own, by = level_rows.eta[i - lo], level_rows.disc[level_rows.which[i]]
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

    ``cuts`` (n_cuts + 2, draws).
    """
    category, count = answers.category, answers.counts
    eta, disc, which, work = level_rows
    shift, bottom, height = nodes.shift, nodes.bottom, nodes.height
    size, lanes = shift.shape
    last, since = len(cuts) - 2, 0
    bottom[:] = 1.0
    most = _most_of_a_row(lo, hi, level_rows, cuts, shift)
    if link != LOGIT or not most < _NO_PRODUCT:
        for i in range(lo, hi):
            own = disc[which[i]]
            _add_far(link, category[i], count[i], eta[i - lo], own, cuts, shift, height)
        return
    often = int(_NO_PRODUCT / most)
    top, level, slope, step = work[5], work[6], work[7], work[8]
    top[:], level[:], slope[:] = 1.0, 0.0, 0.0
    for d in range(lanes):
        step[d] = shift[min(1, size - 1), d] - shift[0, d]
    for r in range(hi - lo):
        c, n = category[lo + r], count[lo + r]
        if since == often or (since > 0 and n != 1.0):
            subtract_logs(1.0, bottom.ravel(), height.ravel())
            subtract_logs(-1.0, top, level)
            bottom[:], top[:], since = 1.0, 1.0, 0
        own = disc[which[lo + r]]
        _raise(c, n, eta[r], own, cuts, shift[0], step, work, top, level, slope)
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
    log_disc: DrawnPredictor,
    which: IntArray,
    cuts: FloatArray,
    sd: FloatArray,
    rule: Rule,
    places: NodePlaces,
    total: FloatArray,
) -> None:
    """As `integrate`, with the predictor of all log discriminations there are, and each row's.

    The rule's nodes are in equal steps (`equal_steps`).
    """
    lanes = cuts.shape[1]
    level_rows = _new_level_rows(most_rows(answers.start), lanes, log_disc, which)
    nodes, known, width = new_nodes(len(rule[0]), lanes), np.empty(lanes), np.empty(lanes)
    for j in range(len(answers.start) - 1):
        lo, hi = answers.start[j], answers.start[j + 1]
        predict(lo, hi, of_eta, level_rows.eta)
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
    log_disc: DrawnPredictor,
    which: IntArray,
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
    level_rows = _new_level_rows(most_rows(answers.start), lanes, log_disc, which)
    nodes, mean, spread = new_nodes(size, lanes), np.empty(lanes), np.empty(lanes)
    shift, height, bottom, found = nodes.shift, nodes.height, nodes.bottom, np.empty(lanes)
    for j in range(len(answers.start) - 1):
        lo, hi = answers.start[j], answers.start[j + 1]
        predict(lo, hi, of_eta, level_rows.eta)
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
