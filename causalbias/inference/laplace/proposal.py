"""Proposals of effects, cuts and coefficients given any scales, and their exact weights.

Conditional modes are dear, so they are found at a few *anchors* only. At other scales the nearest
anchor's Student t is moved along the mode's derivative and widened level by level, as if the data
of a level were a normal observation of its effects: x ~ q(x | theta). Whatever is left of the error
is in the weights. As

    E_q [p(y, x | theta) / q(x | theta)] = p(y | theta),

the ratio is an unbiased estimate of the density of y given the scales, so that sampling theta by it
is exact (Andrieu and Roberts, 2009; Tran et al., 2013).
"""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numba
import numpy as np
from scipy.linalg import solve_triangular

from causalbias.inference.laplace.conditional import Conditional, Target, coloured, log_prior
from causalbias.inference.laplace.disc_warp import Warps, warped
from causalbias.inference.laplace.drawn import add_log_likelihoods, drawn_rows
from causalbias.inference.laplace.likelihood import NodePlaces
from causalbias.inference.laplace.nested import ScalePoint, lead_sds, scales_of
from causalbias.inference.laplace.rows import Rows
from causalbias.inference.problem import FloatArray, GroupTerm, IntArray
from causalbias.inference.scales import Scales

_CHUNK = 256
_FAR = 1.0
_STEP = 1e-5  # of theta, for derivatives


@dataclass(frozen=True)
class Anchor:
    """A conditional posterior in raw coordinates.

    Attributes
    ----------
    theta : ndarray (d,)
    found : Conditional
    mean : ndarray (q,)
    slopes : ndarray (q, d)
        Derivative of the mean by theta, less what `_regress` brings about.
    log_det : float
        Log determinant of the factor of the covariance.
    information : tuple of ndarray (levels, k, k), one a dense term
        What the data say of each level's effects: the inverse of their covariance, less that of
        their prior.
    root : tuple of ndarray (levels, k, k)
        Lower Cholesky factors of those inverse covariances.
    warps : Warps
        Of log discriminations, and of effects that go with them.
    """

    theta: FloatArray
    found: Conditional
    mean: FloatArray
    slopes: FloatArray
    log_det: float
    information: tuple[FloatArray, ...]
    root: tuple[FloatArray, ...]
    warps: Warps


@dataclass
class Proposal:
    """Anchors, and what is needed to weigh draws about them.

    Attributes
    ----------
    points : list of Anchor
    metric : ndarray (d, d)
        Inverse covariance of theta, by which distances to anchors are measured.
    """

    target: Target
    terms: Sequence[GroupTerm]
    points: list[Anchor]
    metric: FloatArray
    pool: Executor
    n_weighed: int = field(default=0)

    @property
    def node_places(self) -> NodePlaces:
        """Where the quadrature places its nodes, at the first anchor."""
        return self.points[0].found.places

    @property
    def width(self) -> int:
        """Numbers of a draw."""
        return len(self.points[0].mean)

    def weigh(
        self, theta: FloatArray, rng: np.random.Generator, rest: FloatArray | None = None
    ) -> FloatArray:
        """Draw x for each theta (N, d); return the estimates of the log density of theta.

        ``rest`` (N, q) is filled with the raw draws of x where given.
        """
        self.n_weighed += len(theta)
        scales = scales_of(theta, self.terms)
        values = np.full(len(theta), -np.inf)
        places = [anchor.theta for anchor in self.points]
        usable = np.isfinite(scales.log_prior)
        jobs = nearest_parts(theta, usable, places, self.metric, _CHUNK)
        noise = [_student(self.width, len(part), rng) for _, part in jobs]

        def run(job: tuple[int, IntArray], z: FloatArray) -> None:
            number, part = job
            values[part], raw = _weigh_part(self, self.points[number], theta, scales, part, z)
            if rest is not None:
                rest[part] = raw.T

        list(self.pool.map(run, jobs, noise))
        return np.where(np.isnan(values), -np.inf, values)

    def raw_at(self, _: FloatArray, rest: FloatArray) -> FloatArray:
        """Return the x (N, q) that were drawn: here, all that was kept."""
        return rest


def nearest_parts(
    theta: FloatArray, usable: np.ndarray, places: list[FloatArray], metric: FloatArray, most: int
) -> list[tuple[int, IntArray]]:
    """Divide the usable theta (N, d) by the nearest of some places, in parts of ``most`` at most.

    Returns
    -------
    list of (int, ndarray of int)
        Number of the place, and rows of theta.
    """
    which = np.flatnonzero(usable)
    gaps = np.array([theta[which] - place for place in places])
    nearest = np.einsum("anj,jk,ank->an", gaps, metric, gaps).argmin(axis=0)
    parts = []
    for number in range(len(places)):
        chosen = which[nearest == number]
        starts = range(0, len(chosen), most)
        parts += [(number, chosen[start : start + most]) for start in starts]
    return parts


def anchor_at(
    target: Target,
    terms: Sequence[GroupTerm],
    point: ScalePoint,
    shift: FloatArray,
    by_lead: FloatArray | None,
    warps: Warps,
) -> Anchor:
    """Turn a point into an anchor.

    ``shift`` of the mean from the mode and ``by_lead``, the slope by the leading sd, are of
    whitened effects.
    """
    rows, found, d = target.rows, point.found, len(point.theta)
    slopes = point.slopes.copy()
    log_det = -float(np.log(np.diag(found.chol)).sum())
    white = found.x + shift
    raw = coloured(rows, found.factors, white)
    steps = _STEP * np.eye(d)
    around = scales_of(np.vstack([point.theta + steps, point.theta - steps]), terms)
    information, root = [], []
    own, grown, at = np.zeros_like(slopes), np.zeros_like(slopes), 0
    for t, term in enumerate(terms):
        every = range(at, at + term.n_theta)
        at += term.n_theta
        if term is rows.leading:
            if by_lead is not None:
                slopes[:, every.start] = by_lead
            continue
        place = rows.place(term)
        slab, factor = rows.slabs[place], found.factors[place]
        log_det += term.n_levels * float(np.log(np.diag(factor)).sum())
        data = _information(point.cov[slab, slab], factor)
        precision = data + _precision(factor)
        information.append(data)
        root.append(np.linalg.cholesky(precision))
        means, deviates = raw[slab].reshape(-1, term.k, 1), white[slab].reshape(-1, term.k)
        for j in every:
            up, down = around.factors(j)[t], around.factors(d + j)[t]
            pull = (_precision(up) - _precision(down)) / (2 * _STEP) @ means
            own[slab, j] = -np.linalg.solve(precision, pull).ravel()
            # the factor itself changes: a whitened effect that stays put is a raw one that grows
            grown[slab, j] = (deviates @ (up - down).T / (2 * _STEP)).ravel()
    raw_slopes = coloured(rows, found.factors, slopes) + grown
    parts = tuple(information), tuple(root), warps
    return Anchor(point.theta, found, raw, raw_slopes - own, log_det, *parts)


def _precision(factor: FloatArray) -> FloatArray:
    """Return ``(L L')^-1`` of factors L (..., k, k)."""
    inverse = np.linalg.inv(factor)
    return np.asarray(inverse.swapaxes(-1, -2) @ inverse)


def _information(cov: FloatArray, factor: FloatArray) -> FloatArray:
    """What the data say of each level's k effects (levels, k, k), from their whitened covariance.

    ``L^-T (C_j^-1 - 1) L^-1``, C_j the level's block of the covariance of ``L^-1 b``: no less than
    zero but for rounding, since data only narrow the prior.
    """
    k = len(factor)
    each = np.arange(len(cov) // k)
    block = cov.reshape(len(each), k, len(each), k)[each, :, each, :]
    value, vector = np.linalg.eigh(block)
    gained = np.maximum(1 / np.clip(value, 1e-12, None) - 1, 0.0)
    side = np.linalg.inv(factor).T @ vector
    return np.asarray((side * gained[:, None]) @ side.swapaxes(1, 2))


def _degrees(q: int) -> float:
    """Degrees of freedom: tails heavier than a posterior's, hardly felt in many dimensions.

    The divergence of the normal from a t is about ``q (q + 2) / (4 nu^2)``: a sixteenth here.
    """
    return max(8.0, 2.0 * q)


def _student(q: int, n: int, rng: np.random.Generator) -> FloatArray:
    nu = _degrees(q)
    return rng.standard_normal((q, n)) * np.sqrt(nu / rng.chisquare(nu, n))


def _weigh_part(
    proposal: Proposal,
    anchor: Anchor,
    theta: FloatArray,
    scales: Scales,
    part: IntArray,
    z: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Log estimates (part,) of the density of theta, and draws of x (q, part), about one anchor.

    The draws are made of ``z`` (q, part), standard t. The estimate is
    ``log p(y, x, theta) - log q(x | theta)``.
    """
    target, rows = proposal.target, proposal.target.rows
    factors = {
        term.name: scales.sd[t][part][:, :, None] * scales.corr_factor[t][part]
        for t, term in enumerate(proposal.terms)
    }
    raw, white, log_det = _carried(anchor, rows, theta[part], factors, z)
    nu = _degrees(len(z))
    log_q = -0.5 * (nu + len(z)) * np.log1p((z**2).sum(axis=0) / nu) - log_det
    value = log_prior(target, white)
    for term in rows.dense:
        value -= term.n_levels * _log_det(factors[term.name])
    lead_sd = lead_sds(target, proposal.terms, scales)[part]
    places = anchor.found.places
    add_log_likelihoods(target, drawn_rows(target, raw), lead_sd, places, value)
    return scales.log_prior[part] + value - log_q, raw


def _log_det(factor: FloatArray) -> FloatArray:
    """Return the log determinants of lower triangular factors (n, k, k)."""
    return np.asarray(np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1))


def _carried(
    anchor: Anchor,
    rows: Rows,
    theta: FloatArray,
    factors: Mapping[str, FloatArray],
    z: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Draws of x, carried from the anchor to other scales level by level.

    They are ``W m + R F z``: F the factor of the anchor's covariance, m its mean moved along its
    slopes, W and R from `_regress`.

    Returns
    -------
    raw, white : ndarray (q, n)
        The draws, with effects as they are and standardised by their prior.
    log_det : ndarray (n,)
        Log determinants of the factor by which z is multiplied.
    """
    found, s = anchor.found, rows.n_effects
    raw = coloured(rows, found.factors, solve_triangular(found.chol.T, z))
    # far from the anchor, as where an sd is near zero, a line would leave the effects' own scale
    mean = anchor.slopes @ np.clip(theta - anchor.theta, -_FAR, _FAR).T
    mean += anchor.mean[:, None]
    white, log_det = np.empty_like(raw), np.full(len(theta), anchor.log_det)
    for place, (term, slab) in enumerate(zip(rows.dense, rows.slabs, strict=True)):
        _regress(
            anchor.information[place],
            anchor.root[place],
            factors[term.name],
            mean[slab],
            raw[slab],
            white[slab],
            log_det,
        )
    if anchor.warps.bends:
        log_det += warped(anchor.warps, raw[:s], mean[:s], [1.0] * len(rows.dense))
        for term, slab in zip(rows.dense, rows.slabs, strict=True):
            white[slab] = _whitened(factors[term.name], raw[slab])
    raw[s:] += mean[s:]
    white[s:] = raw[s:]
    return raw, white, log_det


def _whitened(factor: FloatArray, raw: FloatArray) -> FloatArray:
    """Effects (levels * k, n) standardised by their prior, of factors (n, k, k)."""
    block = raw.reshape(-1, factor.shape[1], len(factor))
    return np.einsum("nij,ljn->lin", np.linalg.inv(factor), block).reshape(raw.shape)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _regress(
    information: FloatArray,
    root: FloatArray,
    factor: FloatArray,
    mean: FloatArray,
    raw: FloatArray,
    white: FloatArray,
    log_det: FloatArray,
) -> None:
    """Carry a term's effects from an anchor's scales to others, level by level.

    A level's effects of covariance V at the anchor, where their prior is N(0, S0), are taken for
    ones with a normal observation of information ``I = V^-1 - S0^-1``. Under N(0, S) the inverse
    of their covariance is ``Q = I + S^-1``, their mean is ``W m`` with ``W = Q^-1 Q0``, and a
    deviation becomes ``R`` times itself, ``R = K^-T K0'``, with ``Q = K K'`` and ``Q0 = K0 K0'``.

    Parameters
    ----------
    information, root : ndarray (levels, k, k)
        I and K0.
    factor : ndarray (draws, k, k)
        Lower Cholesky factors of S.
    mean, raw : ndarray (levels * k, draws)
        m, and deviations at the anchor; these become the effects.
    white : ndarray (levels * k, draws)
        Becomes the effects standardised by their prior.
    log_det : ndarray (draws,)
        The log determinants of R are added.
    """
    levels, k, _ = information.shape
    own, pulled, pushed = np.empty((k, k)), np.empty(k), np.empty(k)
    inverse, prior = np.zeros((k, k)), np.zeros((k, k))
    for i in range(raw.shape[1]):
        _invert(factor[i], inverse)
        for a in range(k):
            for b in range(a + 1):
                total = 0.0
                for c in range(a, k):
                    total += inverse[c, a] * inverse[c, b]
                prior[a, b] = total
        change = 0.0
        for j in range(levels):
            at = j * k
            # K0' of the deviation, and K0 K0' of the mean
            for a in range(k):
                pushed[a], pulled[a] = 0.0, 0.0
                for b in range(a, k):
                    pushed[a] += root[j, b, a] * raw[at + b, i]
                    pulled[a] += root[j, b, a] * mean[at + b, i]
            for a in range(k - 1, -1, -1):
                total = 0.0
                for b in range(a + 1):
                    total += root[j, a, b] * pulled[b]
                pulled[a] = total
            for a in range(k):
                for b in range(a + 1):
                    total = information[j, a, b] + prior[a, b]
                    for c in range(b):
                        total -= own[a, c] * own[b, c]
                    own[a, b] = math.sqrt(total) if a == b else total / own[b, b]
                change += math.log(root[j, a, a] / own[a, a])
                total = pulled[a]
                for b in range(a):
                    total -= own[a, b] * pulled[b]
                pulled[a] = total / own[a, a]
            # K^-T of both at once
            for a in range(k - 1, -1, -1):
                total = pulled[a] + pushed[a]
                for b in range(a + 1, k):
                    total -= own[b, a] * raw[at + b, i]
                raw[at + a, i] = total / own[a, a]
            for a in range(k):
                total = 0.0
                for b in range(a + 1):
                    total += inverse[a, b] * raw[at + b, i]
                white[at + a, i] = total
        log_det[i] += change


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _invert(factor: FloatArray, out: FloatArray) -> None:
    """Fill the inverse of a lower triangular matrix; not finite where there is none."""
    for a in range(len(factor)):
        out[a, a] = 1.0 / factor[a, a]
        for b in range(a):
            total = 0.0
            for c in range(b, a):
                total += factor[a, c] * out[c, b]
            out[a, b] = -total / factor[a, a]
