"""The log likelihood at many draws, leading effects integrated out; and draws of those effects.

No derivatives: nodes are placed by what an anchor knew, and a level's logistic probabilities are
multiplied before one log is taken. Several draws stand side by side, last in each array, so that
one vector instruction serves all of them.
"""

import math
from typing import NamedTuple

import numba
import numpy as np

from causalbias.inference.laplace.quadrature import (
    LOGIT,
    cell,
    level_mode,
    logistic_mode,
    most_rows,
    odds_of_cuts,
    odds_of_rows,
)
from causalbias.inference.laplace.rows import Answers
from causalbias.inference.laplace.vector import exp_all, subtract_logs
from causalbias.inference.problem import FloatArray, IntArray

_NO_PRODUCT = 300.0  # of the log of what is multiplied
_WIDTHS = 3  # rounds of fitting a level's widths
_SUM, _PRODUCT, _OFFSET, _GAP = range(4)  # of `_odds`

Rule = tuple[FloatArray, FloatArray]  # nodes z and log weights (Q,) of a quadrature


class DrawnPredictor(NamedTuple):
    """A linear predictor of n rows at several draws: ``fixed[code]`` and the dense effects.

    Attributes
    ----------
    indptr, column, value, code : ndarray
        As in `Rows`.
    effects : ndarray (s, draws)
        The dense effects.
    fixed : ndarray (m, draws)
        What coefficients and offsets add, by row of the design.
    """

    indptr: IntArray
    column: IntArray
    value: FloatArray
    code: IntArray
    effects: FloatArray
    fixed: FloatArray


class NodePlaces(NamedTuple):
    """Where quadrature places a level's nodes: at the mode of a linear model of the level.

    Its effect u has mode ``sd^2 (pull - sum row_curvature eta) / (1 + sd^2 curvature)``.

    Attributes
    ----------
    curvature, pull : ndarray (levels,)
    row_curvature : ndarray (n,)
    """

    curvature: FloatArray
    pull: FloatArray
    row_curvature: FloatArray


class Nodes(NamedTuple):
    """Work space at the nodes of one level: each (Q, draws).

    ``shift`` is what the nodes add to eta, ``height`` less the log of ``bottom`` the log density
    there; ``held`` is free.
    """

    shift: FloatArray
    held: FloatArray
    bottom: FloatArray
    height: FloatArray


class _LevelRows(NamedTuple):
    """Work space for the rows of one level: eta and `_raise`'s ``first``, ``second``, ``level``."""

    eta: FloatArray
    first: FloatArray
    second: FloatArray
    level: FloatArray


@numba.njit(cache=True, nogil=True, error_model="numpy")
def new_nodes(size: int, lanes: int) -> Nodes:
    """Return work space for so many nodes and draws."""
    return Nodes(
        np.empty((size, lanes)),
        np.empty((size, lanes)),
        np.empty((size, lanes)),
        np.empty((size, lanes)),
    )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _new_level_rows(rows: int, lanes: int) -> _LevelRows:
    eta, first, second = np.empty((rows, lanes)), np.empty((rows, lanes)), np.empty((rows, lanes))
    return _LevelRows(eta, first, second, np.empty(lanes))


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
            if cuts[c, d] > -np.inf:
                lower = math.exp(-cuts[c, d])
                if cuts[c + 1, d] < np.inf:
                    out[c, _GAP, d] = math.log(-math.expm1(cuts[c, d] - cuts[c + 1, d]))
                out[c, _OFFSET, d] = out[c, _GAP, d] - cuts[c, d]
            out[c, _SUM, d], out[c, _PRODUCT, d] = upper + lower, upper * lower
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def predict(lo: int, hi: int, drawn: DrawnPredictor, out: FloatArray) -> None:
    """Fill a linear predictor of a level's rows (rows at least, draws)."""
    lanes = out.shape[1]
    for i in range(lo, hi):
        own, start = out[i - lo], drawn.fixed[drawn.code[i]]
        for d in range(lanes):
            own[d] = start[d]
        for m in range(drawn.indptr[i], drawn.indptr[i + 1]):
            effect, x = drawn.effects[drawn.column[m]], drawn.value[m]
            for d in range(lanes):
                own[d] += x * effect[d]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def known_part(
    lo: int, hi: int, row_curvature: FloatArray, eta: FloatArray, known: FloatArray
) -> None:
    """Fill the sum (draws,) of a level's predictors, weighed by their rows' curvature."""
    known[:] = 0.0
    for i in range(lo, hi):
        own, weight = eta[i - lo], row_curvature[i]
        for d in range(len(known)):
            known[d] += weight * own[d]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def place_nodes(
    sd: FloatArray,
    rule: Rule,
    pull: float,
    curvature: float,
    known: FloatArray,
    width: FloatArray,
    nodes: Nodes,
) -> None:
    """Fill a level's shifts, nodes times sd, and as heights log weight times prior there.

    ``known`` is overwritten by the nodes' centres; ``width`` (draws,) is what z was multiplied by.
    """
    node, log_weight = rule
    shift, height = nodes.shift, nodes.height
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
    answers: Answers,
    cuts: FloatArray,
    odds: FloatArray,
    level_rows: _LevelRows,
) -> float:
    """Fill rows' ``sum e`` and ``product e^2``, and the sum of ``offset + eta`` (`_odds`).

    Returns how many rows have eta there.
    """
    eta, first, second, level = level_rows
    lanes = eta.shape[1]
    exp_all(eta.ravel(), (hi - lo) * lanes, first.ravel())
    slope = 0.0
    level[:] = 0.0
    for i in range(lo, hi):
        own, one, two, n = eta[i - lo], first[i - lo], second[i - lo], answers.counts[i]
        part = odds[answers.category[i]]
        for d in range(lanes):
            e = one[d]
            one[d] = part[_SUM, d] * e
            two[d] = part[_PRODUCT, d] * e * e
        if cuts[answers.category[i], 0] > -np.inf:
            slope += n
            for d in range(lanes):
                level[d] += n * (own[d] + part[_OFFSET, d])
    return slope


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _add_heights(
    link: int,
    lo: int,
    hi: int,
    answers: Answers,
    cuts: FloatArray,
    odds: FloatArray,
    edge: float,
    level_rows: _LevelRows,
    slope: float,
    nodes: Nodes,
) -> None:
    """Add to ``height``, less the log of ``bottom``, rows' log likelihood at shifts of eta.

    All of ``level_rows`` but eta, and ``slope``, are from `_raise`; ``edge`` is of `_widest_edge`.
    """
    category, count = answers.category, answers.counts
    eta, first, second, level = level_rows
    shift, held, bottom, height = nodes
    size, lanes = shift.shape
    bottom[:] = 1.0
    rows = hi - lo
    # a row's factor is at most (1 + e^(eta + shift - lowest cut))^2
    most = 2.0 * (_widest(eta, rows) + _widest(shift, size) + edge + 1.0)
    if link != LOGIT or not most < _NO_PRODUCT:
        for i in range(lo, hi):
            c = category[i]
            for q in range(size):
                for d in range(lanes):
                    x = eta[i - lo, d] + shift[q, d]
                    one = cell(link, cuts[c + 1, d] - x, cuts[c, d] - x, 0.0, odds[c, _GAP, d])
                    height[q, d] += count[i] * one[0]
        return
    exp_all(shift.ravel(), size * lanes, held.ravel())
    for q in range(size):
        for d in range(lanes):
            height[q, d] += level[d] + slope * shift[q, d]
    often, since = int(_NO_PRODUCT / most), 0
    for r in range(rows):
        n, one, two = count[lo + r], first[r], second[r]
        if since == often or (since > 0 and n != 1.0):
            subtract_logs(1.0, bottom.ravel(), height.ravel())
            bottom[:], since = 1.0, 0
        for q in range(size):
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


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _widest_edge(cuts: FloatArray) -> float:
    """Return the largest absolute number of the lowest cuts of all sets (categories + 1, draws)."""
    most = 0.0
    for c in range(len(cuts) - 1):
        if cuts[c, 0] == -np.inf:
            most = max(most, _widest(cuts[c + 1 : c + 2], 1))
    return most


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def add_mass(width: FloatArray, nodes: Nodes, mass: FloatArray, total: FloatArray) -> None:
    """Add ``log(width sum_q exp(height_q) / bottom_q)``; nodes and ``mass`` are overwritten."""
    held, bottom, height = nodes.held, nodes.bottom, nodes.height
    size, lanes = height.shape
    mass[:] = -np.inf
    for q in range(size):
        for d in range(lanes):
            mass[d] = max(mass[d], height[q, d])
    for q in range(size):
        for d in range(lanes):
            height[q, d] -= mass[d]
    exp_all(height.ravel(), size * lanes, held.ravel())
    for d in range(lanes):
        total[d] += mass[d]
        mass[d] = 0.0
    for q in range(size):
        for d in range(lanes):
            mass[d] += width[d] * held[q, d] / bottom[q, d]
    subtract_logs(-1.0, mass, total)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def integrate(
    link: int,
    answers: Answers,
    drawn: DrawnPredictor,
    cuts: FloatArray,
    sd: FloatArray,
    rule: Rule,
    places: NodePlaces,
    total: FloatArray,
) -> None:
    """Add each draw's log likelihood, leading effects integrated out, to ``total`` (draws,).

    Parameters
    ----------
    drawn : DrawnPredictor
        Of eta, draws last.
    cuts : ndarray (n_cuts + 2, draws)
        With minus and plus infinity at the ends.
    sd : ndarray (draws,)
        Of the leading effects; zero where no term leads.
    """
    lanes = cuts.shape[1]
    level_rows = _new_level_rows(most_rows(answers.start), lanes)
    nodes, known, width = new_nodes(len(rule[0]), lanes), np.empty(lanes), np.empty(lanes)
    odds, edge, slope = _odds(cuts), _widest_edge(cuts), 0.0
    for j in range(len(answers.start) - 1):
        lo, hi = answers.start[j], answers.start[j + 1]
        predict(lo, hi, drawn, level_rows.eta)
        known_part(lo, hi, places.row_curvature, level_rows.eta, known)
        place_nodes(sd, rule, places.pull[j], places.curvature[j], known, width, nodes)
        if link == LOGIT:
            slope = _raise(lo, hi, answers, cuts, odds, level_rows)
        _add_heights(link, lo, hi, answers, cuts, odds, edge, level_rows, slope, nodes)
        add_mass(width, nodes, known, total)


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
    answers: Answers,
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
    rows, size = most_rows(answers.start), normal.shape[1]
    odds, nodes = np.empty((3, rows)), np.empty((3, size))
    v, height = np.empty(size), np.empty(size)
    lower, farthest = odds_of_cuts(cuts)
    for j in range(len(answers.start) - 1):
        lo, hi = answers.start[j], answers.start[j + 1]
        own, times, base = answers.category[lo:hi], answers.counts[lo:hi], eta[lo:hi]
        reach = np.inf  # of odds: none are multiplied
        if link == LOGIT:
            reach = farthest + odds_of_rows(own, base, lower, odds)
        at, curvature, _ = logistic_mode(odds, times, sd, near[j], _NO_PRODUCT - reach)
        if math.isnan(at):
            at, curvature, _ = level_mode(
                link, lo, hi, answers.category, answers.counts, eta, cuts, gaps, sd, near[j], 1e-3
            )
        left = right = 1.0 / math.sqrt(1.0 + sd * sd * curvature)
        for _ in range(_WIDTHS):
            v[0], v[1], v[2] = at - 1.5 * left, at, at + 1.5 * right
            _log_density(
                link, own, times, base, cuts, gaps, odds, reach, sd, v[:3], nodes, height[:3]
            )
            left *= 1.5 / math.sqrt(2.0 * max(height[1] - height[0], 0.1))
            right *= 1.5 / math.sqrt(2.0 * max(height[1] - height[2], 0.1))
        for d in range(size):
            v[d] = at + (right if normal[j, d] > 0.0 else left) * normal[j, d]
        _log_density(link, own, times, base, cuts, gaps, odds, reach, sd, v, nodes, height)
        log_left, log_right = math.log(left), math.log(right)
        for d in range(size):
            z = normal[j, d]
            height[d] += 0.5 * z * z + (log_right if z > 0.0 else log_left)
        out[j] = sd * v[chosen(height, uniform[j])]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _log_density(
    link: int,
    category: IntArray,
    count: FloatArray,
    eta: FloatArray,
    cuts: FloatArray,
    gaps: FloatArray,
    odds: FloatArray,
    reach: float,
    sd: float,
    v: FloatArray,
    nodes: FloatArray,
    height: FloatArray,
) -> None:
    """Fill ``f(sd v) - v^2 / 2`` of a level, but for what is the same at all v.

    ``odds`` are from `odds_of_rows`, of which none is above ``exp(reach)``: a row's
    ``log(F(a) - F(b))`` is ``const + sd v - log((1 + a e) (1 + b e))``, ``e = exp(sd v)``, and for
    the lowest category ``-log(1 + a e)``. Where their product might overflow, and of another link,
    rows are added one at a time.
    """
    size, most, slope = len(v), reach, 0.0
    shift, held, bottom = nodes[0], nodes[1], nodes[2]
    for q in range(size):
        shift[q], height[q], bottom[q] = sd * v[q], -0.5 * v[q] * v[q], 1.0
        most = max(most, reach + abs(shift[q]))
    most = 2.0 * (most + 1.0)
    if not most < _NO_PRODUCT:
        for i in range(len(count)):
            c = category[i]
            for q in range(size):
                x = eta[i] + shift[q]
                one = cell(link, cuts[c + 1] - x, cuts[c] - x, gaps[c, 0], gaps[c, 1])
                height[q] += count[i] * one[0]
        return
    exp_all(shift, size, held)
    often, since = int(_NO_PRODUCT / most), 0
    for r in range(len(count)):
        n, one, two = count[r], odds[0, r] + odds[1, r], odds[0, r] * odds[1, r]
        slope += n * odds[2, r]
        if since == often or (since > 0 and n != 1.0):
            subtract_logs(1.0, bottom[:size], height)
            bottom[:size], since = 1.0, 0
        for q in range(size):
            bottom[q] *= 1.0 + held[q] * (one + held[q] * two)
        since += 1
        if n != 1.0:
            subtract_logs(n, bottom[:size], height)
            bottom[:size], since = 1.0, 0
    subtract_logs(1.0, bottom[:size], height)
    for q in range(size):
        height[q] += slope * shift[q]
