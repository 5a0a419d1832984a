"""Passes over rows: log likelihoods, derivatives and draws, the leading effects integrated out.

The rows of a level of the leading term share its effect ``v = sd u``, u standard normal, so that
the level's likelihood is

    I = integral N(u | 0, 1) prod_i p(y_i | eta_i + sd u)^w_i du.

By the trapezoidal rule with step h, whose error for a smooth integrand of width s falls like
``2 exp(-2 pi^2 s^2 / h^2)``: the step is a multiple of ``(1 + sd^2 J)^(-1/2)``, J a bound of the
rows' curvature, and nodes go on to either side until what they add is negligible. A t may have
several modes, each near zero or where a row's residual is: between these no node is left out.
"""

import math

import numba
import numpy as np

from causalbias.inference.problem import FloatArray, IntArray
from causalbias.inference.rowwise.densities import (
    EXGAUSSIAN,
    LIMITED_NORMAL,
    LIMITED_STUDENT,
    SKEW_NORMAL,
    STUDENT,
    constant_part,
    eta_part,
    response_part,
    skew_scale,
    slopes,
)
from causalbias.inference.rowwise.nodes import add_rows

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
# Sums and products in any order, so that loops over nodes are vectorised.
_vectorised = numba.njit(
    cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"}
)
MOST_NODES = 2048
FAR = 6.0  # prior standard deviations, beyond which a mode of its own is not looked for
FINE = 0.12  # step of the grid by which effects are drawn, in widths
TOGETHER, LARGEST = 8, 1e37  # factors of a product that has not overflowed, and each of them
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_LANES = 8  # nodes, a multiple of
_LOG_2, _LOG_2E = math.log(2.0), 1.0 / math.log(2.0)
_MAGIC = 6755399441055744.0  # 1.5 * 2^52: added to a small number, it rounds it to a whole one


@_compiled
def _log_level(code, plain, first, last, shift, y, known, weight, cell, eta, phi):  # type: ignore[no-untyped-def]
    """Sum over a level's rows of the part of eta at ``eta + shift``.

    ``plain``: rows of weight one with common parameters; of t's, then, one logarithm of a product.
    """
    total = 0.0
    if code == STUDENT and plain:
        a, b = phi[0, 0], phi[0, 1]
        product, inverse = 1.0, 1.0 / (b * a * a)
        for i in range(first, last):
            r = y[i] - eta[i] - shift
            product *= 1.0 + r * r * inverse
            if product > 1e200:
                total += math.log(product)
                product = 1.0
        return -0.5 * (b + 1.0) * (total + math.log(product))
    for i in range(first, last):
        a, b = phi[cell[i], 0], phi[cell[i], 1]
        total += weight[i] * eta_part(code, y[i], known[i], eta[i] + shift, a, b)
    return total


@_compiled
def whole(x: float, most: int) -> int:
    """The whole part of x, at most so many; the most of what is no number, and of infinity."""
    return int(x) if x < most else most


@_compiled
def _place(code, first, last, y, weight, cell, eta, sd, phi, bent, pull):  # type: ignore[no-untyped-def]
    """Centre and width of a level's integrand in u, roughly, and the hull of its modes."""
    curvature, bound, right, low, high = 0.0, 0.0, pull, 0.0, 0.0
    for i in range(first, last):
        curvature += bent[i]
        right -= bent[i] * eta[i]
        a, b = phi[cell[i], 0], phi[cell[i], 1]
        if code in (LIMITED_NORMAL, EXGAUSSIAN):  # log Phi bends at most as log phi does
            bound += weight[i] / (a * a)
        elif code == SKEW_NORMAL:  # sharper on one side of a row's mode than at it
            bound += weight[i] * (1.0 + b * b) / skew_scale(a, b)[0] ** 2
        elif code in (STUDENT, LIMITED_STUDENT):
            bound += weight[i] * (b + 1.0) / (b * a * a)
            low, high = min(low, y[i] - eta[i]), max(high, y[i] - eta[i])
        else:
            bound += bent[i]
    centre = sd * right / (1.0 + sd * sd * curvature)
    width = 1.0 / math.sqrt(1.0 + sd * sd * bound)
    low, high = max(low, -FAR * sd), min(high, FAR * sd)
    if sd > 0:
        low, high = low / sd, high / sd
    if not abs(centre) < 50.0:
        centre = 0.0
    return centre, width, min(low, centre), max(high, centre)


@_vectorised
def _logarithms(values, bits, powers, exponents, count, out):  # type: ignore[no-untyped-def]
    """Add the logarithm of each of the values, all at least one, to ``out``.

    ``2^e m``, m between 1/sqrt(2) and sqrt(2): ``e log 2 + 2 atanh((m - 1) / (m + 1))`` by its
    series, to 1e-11. ``bits`` are those of the values, and are overwritten with them.
    """
    for k in range(count):
        whole = bits[k]
        bits[k] = (whole & 0xFFFFFFFFFFFFF) | 0x3FF0000000000000
        # a whole number e below 2^52 is the double of bits e | 2^52, less 2^52
        exponents[k] = (whole >> 52) | 0x4330000000000000
    for k in range(count):
        m, e = values[k], powers[k] - 4503599627371519.0
        half = m > 1.4142135623730951
        m = 0.5 * m if half else m
        e = e + 1.0 if half else e
        s = (m - 1.0) / (m + 1.0)
        q = s * s
        series = 1 / 7 + q * (1 / 9 + q * (1 / 11))
        series = s * (1.0 + q * (1 / 3 + q * (1 / 5 + q * series)))
        out[k] += e * _LOG_2 + 2.0 * series


@_vectorised
def _exponentials(log, count, greatest, scratch, bits):  # type: ignore[no-untyped-def]
    """Sum of ``exp(log - greatest)``, to 1e-11: ``2^k exp(r)``, r at most log(2) / 2."""
    for i in range(count):
        x = max(log[i] - greatest, -700.0) * _LOG_2E
        shifted = x + _MAGIC
        scratch[i] = shifted
        r = (x - (shifted - _MAGIC)) * _LOG_2
        series = 1 / 720 + r * (1 / 5040 + r * (1 / 40320 + r * (1 / 362880)))
        series = 0.5 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * series)))
        log[i] = 1.0 + r * (1.0 + r * series)
    total = 0.0
    for i in range(count):  # the low bits of a shifted number are those of the whole one
        bits[i] = (bits[i] + 1023) << 52
    for i in range(count):
        log[i] *= scratch[i]
        total += log[i]
    return total


@_vectorised
def _student_nodes(  # type: ignore[no-untyped-def]
    y, eta, first, last, sd, a, b, low, h, count, u, log, at, work, bits, powers, exponents,
    logs, nodes,
):  # fmt: skip
    """Fill ``u[at:at + count]`` from ``low`` on, and the t's log integrand there."""
    inverse = 1.0 / (b * a * a)
    for k in range(count):
        nodes[k] = low + k * h
        logs[k] = 0.0
    for begin in range(first, last, TOGETHER):
        for k in range(count):
            work[k] = 1.0
        for i in range(begin, min(last, begin + TOGETHER)):
            r = y[i] - eta[i]
            for k in range(count):
                gap = r - sd * nodes[k]
                work[k] *= min(1.0 + gap * gap * inverse, LARGEST)
        _logarithms(work, bits, powers, exponents, count, logs)
    for k in range(count):
        logs[k] = -0.5 * (b + 1.0) * logs[k] - 0.5 * nodes[k] * nodes[k]
    greatest = -np.inf
    for k in range(count):
        u[at + k], log[at + k] = nodes[k], logs[k]
        greatest = max(greatest, logs[k])
    return greatest


@_compiled
def _level_nodes(  # type: ignore[no-untyped-def]
    code, plain, first, last, y, known, weight, cell, eta, sd, phi, low, h, count, u, log, at, work,
    bits, powers, exponents, logs, nodes,
):  # fmt: skip
    """Fill ``u[at:at + count]`` from ``low`` on, and the log integrand; return the greatest."""
    if code == STUDENT and plain:
        return _student_nodes(
            y, eta, first, last, sd, phi[0, 0], phi[0, 1], low, h, count, u, log, at, work, bits,
            powers, exponents, logs, nodes,
        )  # fmt: skip
    own, here, shift = log[at : at + count], u[at : at + count], nodes[:count]
    for k in range(count):
        here[k] = low + k * h
        shift[k] = sd * here[k]
        own[k] = -0.5 * here[k] * here[k]
    spare = work[:count], logs[:count]
    add_rows(code, first, last, y, known, weight, cell, eta, phi, shift, *spare, own)
    greatest = -np.inf
    for k in range(count):
        greatest = max(greatest, own[k])
    return greatest


@_compiled
def _fill(  # type: ignore[no-untyped-def]
    code, plain, first, last, y, known, weight, cell, eta, sd, phi, bent, pull, step, cut, u, log,
    work, bits, powers, exponents, logs, nodes,
):  # fmt: skip
    """Nodes u and logarithms of the integrand there; their number, the greatest one, the step.

    By the nodes of a range, then of more.
    """
    centre, width, low, high = _place(code, first, last, y, weight, cell, eta, sd, phi, bent, pull)
    h = step * width
    curvature = 0.0
    for i in range(first, last):
        curvature += bent[i]
    reach = 1.1 * math.sqrt(2.0 * cut / (1.0 + sd * sd * curvature))
    low, high = min(low, centre - reach), max(high, centre + reach)
    # as many as loops take at a time: a finer step costs nothing then
    count = _LANES * whole((high - low) / (h * _LANES) + 1.0, len(u) // (2 * _LANES))
    h = (high - low) / (count - 1)
    rows = (code, plain, first, last, y, known, weight, cell, eta, sd, phi)
    room = (work, bits, powers, exponents, logs, nodes)
    greatest = _level_nodes(*rows, low, h, count, u, log, 0, *room)
    left, right = log[0], log[count - 1]
    while count + _LANES <= len(u) and left > greatest - cut:
        low -= _LANES * h
        greatest = max(greatest, _level_nodes(*rows, low, h, _LANES, u, log, count, *room))
        left = log[count]
        count += _LANES
    while count + _LANES <= len(u) and right > greatest - cut:
        more = _level_nodes(*rows, high + h, h, _LANES, u, log, count, *room)
        greatest = max(greatest, more)
        high += _LANES * h
        count += _LANES
        right = log[count - 1]
    return count, greatest, h


@_compiled
def add_log_likelihoods(
    code: int,
    plain: bool,
    start: IntArray,
    y: FloatArray,
    known: FloatArray,
    weight: FloatArray,
    cell: IntArray,
    cell_weight: FloatArray,
    eta: FloatArray,
    sd: FloatArray,
    phi: FloatArray,
    bent: FloatArray,
    pull: FloatArray,
    step: float,
    cut: float,
    out: FloatArray,
) -> None:
    """Add ``log p(y | x, theta)`` to ``out`` (draws,).

    Parameters
    ----------
    start : ndarray (levels + 1,)
        First row of each level.
    cell : ndarray (n,)
        The row's row of parameters; ``cell_weight`` (cells,) are sums of weights.
    eta : ndarray (draws, n)
    sd : ndarray (draws,)
        Of the leading effects; negative where none are.
    phi : ndarray (draws, cells, 2)
    bent, pull : ndarray (n,), (levels,)
        Where nodes are placed: rows' curvatures, and sums of these times working responses.
    step, cut : float
        Step in widths, and below which part of the greatest log integrand nodes end.
    """
    u, log, work = np.empty(MOST_NODES), np.empty(MOST_NODES), np.empty(MOST_NODES)
    powers, logs, nodes = np.empty(MOST_NODES), np.empty(MOST_NODES), np.empty(MOST_NODES)
    bits, exponents = work.view(np.int64), powers.view(np.int64)
    for d in range(len(out)):
        total = 0.0
        for c in range(phi.shape[1]):
            total += cell_weight[c] * constant_part(code, phi[d, c, 0], phi[d, c, 1])
        if code != STUDENT:
            for i in range(len(y)):
                a = phi[d, cell[i], 0]
                total += weight[i] * response_part(code, y[i], known[i], a)
        for j in range(len(start) - 1):
            first, last = start[j], start[j + 1]
            if sd[d] < 0:
                rows = (y, known, weight, cell, eta[d], phi[d])
                total += _log_level(code, plain, first, last, 0.0, *rows)
                continue
            count, greatest, h = _fill(
                code, plain, first, last, y, known, weight, cell, eta[d], sd[d], phi[d],
                bent, pull[j], step, cut, u, log, work, bits,
                powers, exponents, logs, nodes,
            )  # fmt: skip
            part = _exponentials(log, count, greatest, work, bits)
            total += greatest + math.log(part * h) - _HALF_LOG_2PI
        out[d] += total


@_compiled
def derivatives(
    code: int,
    plain: bool,
    start: IntArray,
    y: FloatArray,
    known: FloatArray,
    weight: FloatArray,
    cell: IntArray,
    eta: FloatArray,
    sd: float,
    phi: FloatArray,
    bent: FloatArray,
    pull: FloatArray,
    step: float,
    cut: float,
    widest: int,
    slope: FloatArray,
    blocks: FloatArray,
    safe: FloatArray,
    centre: FloatArray,
) -> float:
    """Log likelihood and derivatives by eta at one point, the leading effects integrated out.

    With means and covariances over a level's effect given its rows, and l of a row times its
    weight: ``slope_i = E l_i'``, and minus the second derivative by eta_i and eta_m is
    ``-E l_i'' [i = m] - Cov(l_i', l_m')``.

    Parameters
    ----------
    widest : int
        Rows of a level, at most.
    slope, safe : ndarray (n,)
        Filled: the slopes, and the rows' curvatures of `slopes` that are positive everywhere.
    blocks : ndarray
        Filled: minus the second derivatives of each level, row by row.
    centre : ndarray (levels,)
        Filled: mean of each leading effect.
    """
    u, log, work = np.empty(MOST_NODES), np.empty(MOST_NODES), np.empty(MOST_NODES)
    powers, logs, nodes = np.empty(MOST_NODES), np.empty(MOST_NODES), np.empty(MOST_NODES)
    bits, exponents = work.view(np.int64), powers.view(np.int64)
    by_node = np.empty((widest, MOST_NODES))
    at, value, part = 0, 0.0, 0.0
    for i in range(len(y)):
        a, b = phi[cell[i], 0], phi[cell[i], 1]
        if i == 0 or not plain:
            part = constant_part(code, a, b)
        value += weight[i] * (part + response_part(code, y[i], known[i], a))
    for j in range(len(start) - 1):
        first, last = start[j], start[j + 1]
        count = 1
        if sd < 0:
            u[0], log[0] = 0.0, 1.0
            value += _log_level(code, plain, first, last, 0.0, y, known, weight, cell, eta, phi)
        else:
            count, greatest, h = _fill(
                code, plain, first, last, y, known, weight, cell, eta, sd, phi,
                bent, pull[j], step, cut, u, log, work, bits,
                powers, exponents, logs, nodes,
            )  # fmt: skip
            total = _exponentials(log, count, greatest, work, bits)
            for k in range(count):
                log[k] /= total
            value += greatest + math.log(total * h) - _HALF_LOG_2PI
        centre[j] = 0.0
        for k in range(count):
            centre[j] += log[k] * u[k] * max(sd, 0.0)
        size = last - first
        for i in range(first, last):
            a, b, here = phi[cell[i], 0], phi[cell[i], 1], known[i]
            mean, second, positive = 0.0, 0.0, 0.0
            for k in range(count):
                one, two, three = slopes(code, y[i], here, eta[i] + max(sd, 0.0) * u[k], a, b)
                by_node[i - first, k] = weight[i] * one
                mean += log[k] * weight[i] * one
                second += log[k] * weight[i] * two
                positive += log[k] * weight[i] * three
            slope[i], safe[i] = mean, positive
            for k in range(count):
                by_node[i - first, k] -= mean
            for m in range(i - first + 1):
                together = 0.0
                for k in range(count):
                    together -= log[k] * by_node[i - first, k] * by_node[m, k]
                if m == i - first:
                    together -= second
                blocks[at + (i - first) * size + m] = together
                blocks[at + m * size + i - first] = together
        at += size * size
    return value


@_compiled
def draw_leading(
    code: int,
    plain: bool,
    start: IntArray,
    y: FloatArray,
    known: FloatArray,
    weight: FloatArray,
    cell: IntArray,
    eta: FloatArray,
    sd: float,
    phi: FloatArray,
    bent: FloatArray,
    pull: FloatArray,
    step: float,
    cut: float,
    uniform: FloatArray,
    out: FloatArray,
) -> None:
    """Draw each level's effect given all else: its density, linear between points of a fine grid.

    ``uniform`` (levels,) are random numbers between zero and one; ``out`` (levels,) is filled.
    """
    u, log, work = np.empty(MOST_NODES), np.empty(MOST_NODES), np.empty(MOST_NODES)
    powers, logs, nodes = np.empty(MOST_NODES), np.empty(MOST_NODES), np.empty(MOST_NODES)
    bits, exponents = work.view(np.int64), powers.view(np.int64)
    for j in range(len(start) - 1):
        first, last = start[j], start[j + 1]
        count, greatest, h = _fill(
            code, plain, first, last, y, known, weight, cell, eta, sd, phi,
            bent, pull[j], step, cut, u, log, work, bits, powers,
            exponents, logs, nodes,
        )  # fmt: skip
        low, high = u[:count].min() - h, u[:count].max() + h
        points = whole((high - low) / (FINE * h / step) + 2.0, MOST_NODES)
        gap, total = (high - low) / (points - 1), 0.0
        _level_nodes(
            code, plain, first, last, y, known, weight, cell, eta, sd, phi, low, gap, points, u,
            log, 0, work, bits, powers, exponents, logs, nodes,
        )  # fmt: skip
        for k in range(points):
            u[k] = math.exp(log[k] - greatest)
            total += u[k]
        wanted, k = uniform[j] * (total - 0.5 * (u[0] + u[points - 1])), 0
        while k < points - 2 and wanted > 0.5 * (u[k] + u[k + 1]):
            wanted -= 0.5 * (u[k] + u[k + 1])
            k += 1
        # the density rises from u_k to u_k+1: u_k x + (u_k+1 - u_k) x^2 / 2 = wanted
        rise = u[k + 1] - u[k]
        root = math.sqrt(max(u[k] * u[k] + 2.0 * rise * wanted, 0.0))
        share = 2.0 * wanted / max(u[k] + root, 1e-300)
        out[j] = sd * (low + (k + min(share, 1.0)) * gap)
