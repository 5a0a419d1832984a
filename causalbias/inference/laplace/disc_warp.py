"""Coordinates in which effects and log discriminations are near normal.

The larger an annotator's log discrimination w, the better determined its bias u; and w itself has a
longer tail below. With x normal about m and ``delta = w - m_w``, a proposal is made of

    u -> exp(-power delta) (u + power m_u delta),    w -> m_w + g(delta),
    g(delta) = log(1 + skew delta) / skew,

exact changes of variables whose strengths `fit_warps` takes from the third derivatives at the mode:
of what is added up over many levels, the error of a normal proposal is of their squares.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from causalbias.inference.laplace.rows import Disc, Rows
from causalbias.inference.problem import FloatArray, GroupTerm, IntArray

_LEAST = 0.4  # of 1 + skew delta, below which g goes on as a line


@dataclass(frozen=True)
class Warp:
    """Effects of a term of eta that go with one log discrimination a level.

    Attributes
    ----------
    effects : slice
        Where they are in x, level-major.
    k : int
        Effects of a level.
    level : ndarray (levels with a discrimination,)
        Levels of the term.
    sharper : ndarray (levels with a discrimination,)
        Where the log discrimination of each is in x.
    place : int
        Of the discriminations' term among the dense ones.
    power : float
    """

    effects: slice
    k: int
    level: IntArray
    sharper: IntArray
    place: int
    power: float

    @property
    def places(self) -> IntArray:
        """Where the effects of its levels are in x (levels, k)."""
        first = self.effects.start + self.level * self.k
        return np.asarray(first[:, None] + np.arange(self.k))


@dataclass(frozen=True)
class Bend:
    """The log discriminations of a term, which is the one at ``place`` of the dense ones."""

    effects: slice
    place: int
    skew: float

    def parts(self, delta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """``g(delta)``, its slope, and its curvature."""
        if not self.skew:
            return delta, np.ones_like(delta), np.zeros_like(delta)
        t = 1 + self.skew * delta
        held = np.maximum(t, _LEAST)
        value = (np.log(held) + np.minimum(t - _LEAST, 0.0) / _LEAST) / self.skew
        return value, 1 / held, np.where(t > _LEAST, -self.skew / held**2, 0.0)


@dataclass(frozen=True)
class Warps:
    """All of a model's."""

    warps: tuple[Warp, ...] = ()
    bends: tuple[Bend, ...] = ()


def find_warps(rows: Rows, disc: Disc) -> Warps:
    """Warps, without strength, of all terms whose levels each lie in one level of a plain disc."""
    found, sharp = [], [term for term in disc.terms if _plain(term)]
    for term in rows.dense:
        if term.codes.shape[1] > 1 or any(term is one for one in disc.terms):
            continue
        for one in sharp:
            of = np.full(term.n_levels, -1)
            of[term.codes[:, 0]] = one.codes[:, 0]
            if np.array_equal(of[term.codes[:, 0]], one.codes[:, 0]):
                place, level = rows.place(one), np.flatnonzero(of >= 0)
                sharper = rows.slabs[place].start + of[level]
                slab = rows.slabs[rows.place(term)]
                found.append(Warp(slab, term.k, level, sharper, place, 0.0))
                break
    places = [rows.place(one) for one in sharp]
    return Warps(tuple(found), tuple(Bend(rows.slabs[one], one, 0.0) for one in places))


def _plain(term: GroupTerm) -> bool:
    one = term.codes.shape[1] == 1 and term.k == 1
    return one and bool((term.columns == 1).all() and (term.weights == 1).all())


def with_strengths(warps: Warps, precision: FloatArray, change: FloatArray) -> Warps:
    """Warps that take away third derivatives, on the average over levels.

    Parameters
    ----------
    warps : Warps
    precision : ndarray (q,)
        Diagonal of minus the Hessian by x, effects standardised.
    change : ndarray (q,)
        Its derivative by the (raw) log discrimination that an effect goes with.
    """

    def ratio(places: IntArray) -> float:
        return float(np.sum(change[places] * precision[places]) / np.sum(precision[places] ** 2))

    return Warps(
        tuple(replace(one, power=0.5 * ratio(one.places.ravel())) for one in warps.warps),
        tuple(
            replace(one, skew=ratio(np.arange(one.effects.start, one.effects.stop)) / 3)
            for one in warps.bends
        ),
    )


def warped(warps: Warps, x: FloatArray, centre: FloatArray, sds: Sequence[float]) -> FloatArray:
    """Warp draws x (q, n) about a centre (q, n), in place; return the log Jacobian (n,).

    ``sds`` are by dense term: what turns x into raw log discriminations.
    """
    log_det, bent = np.zeros(x.shape[1]), []
    for warp in warps.warps:
        delta = sds[warp.place] * (x[warp.sharper] - centre[warp.sharper])
        shrunk = np.exp(-warp.power * delta)
        for places in warp.places.T:
            x[places] = shrunk * (x[places] + warp.power * centre[places] * delta)
        log_det -= warp.k * warp.power * delta.sum(axis=0)
    for bend in warps.bends:
        sd = sds[bend.place]
        value, slope, _ = bend.parts(sd * (x[bend.effects] - centre[bend.effects]))
        bent.append(centre[bend.effects] + value / sd)
        log_det += np.log(slope).sum(axis=0)
    for bend, values in zip(warps.bends, bent, strict=True):
        x[bend.effects] = values
    return log_det


def unwarped(
    warps: Warps,
    gradient: FloatArray,
    x: FloatArray,
    centre: FloatArray,
    sds: Sequence[float],
) -> tuple[FloatArray, sparse.csr_matrix, sparse.csr_matrix]:
    """Return what makes derivatives of the log density of x before `warped` of those after it.

    With T the warp, J its Jacobian and g and C gradient and curvature after it, those before it are
    ``J' g + log|J|'`` and ``J' C J + K``, ``K = -sum_a g_a T_a'' - log|J|''``.

    Returns
    -------
    gradient : ndarray (q,)
    jacobian, bent : csr_matrix (q, q)
        J and K.
    """
    q = len(x)
    out, diagonal, scale = gradient.copy(), np.zeros(q), np.ones(q)
    beside: list[tuple[FloatArray, FloatArray, IntArray, IntArray]] = []
    for bend in warps.bends:
        sd, where = sds[bend.place], bend.effects
        _, slope, second = bend.parts(sd * (x[where] - centre[where]))
        diagonal[where] -= sd * gradient[where] * second
        # log g' has slope g'' / g', and its own slope is the square of that
        diagonal[where] -= (sd * second / slope) ** 2
        out[where] = slope * gradient[where] + sd * second / slope
        scale[where] = slope
    for warp in warps.warps:
        sd, power = sds[warp.place], warp.power
        delta = sd * (x[warp.sharper] - centre[warp.sharper])
        shrunk = np.exp(-power * delta)
        for places in warp.places.T:
            middle = centre[places]
            moved = x[places] + power * middle * delta
            by_delta = sd * power * shrunk * (middle - moved)
            pull = gradient[places] * shrunk * sd * power
            beside.append((by_delta, pull, places, warp.sharper))
            np.subtract.at(diagonal, warp.sharper, pull * sd * power * (moved - 2 * middle))
            np.add.at(out, warp.sharper, by_delta * gradient[places] - sd * power)
            out[places] = shrunk * gradient[places]
            scale[places] = shrunk
    jacobian, bent = sparse.diags(scale, format="csr"), sparse.diags(diagonal, format="csr")
    for by_delta, pull, places, sharper in beside:
        jacobian += sparse.csr_matrix((by_delta, (places, sharper)), (q, q))
        corner = sparse.csr_matrix((pull, (places, sharper)), (q, q))
        bent += corner + corner.T
    return out, jacobian, bent
