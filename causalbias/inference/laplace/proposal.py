"""Proposals of effects, cuts and coefficients given any scales, and their exact weights.

Conditional modes are dear, so they are found at a few *anchors* only. At other scales the nearest
anchor's Student t is moved along the mode's derivative and widened coordinate by coordinate, as if
each effect's data were a normal observation of it: x ~ q(x | theta). Whatever is left of the error
is in the weights. As

    E_q [p(y, x | theta) / q(x | theta)] = p(y | theta),

the ratio is an unbiased estimate of the density of y given the scales, so that sampling theta by it
is exact (Andrieu and Roberts, 2009; Tran et al., 2013).
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import solve_triangular

from causalbias.inference.laplace.conditional import (
    Target,
    all_cuts,
    coloured,
    log_prior,
    quadrature,
)
from causalbias.inference.laplace.likelihood import log_likelihoods
from causalbias.inference.laplace.nested import ScalePoint, scales_of
from causalbias.inference.problem import FloatArray, GroupTerm, IntArray
from causalbias.inference.scales import Scales

_CHUNK = 256
_FAR = 1.0


@dataclass(frozen=True)
class Anchor:
    """A conditional posterior in raw coordinates.

    Attributes
    ----------
    point : ScalePoint
    mean : ndarray (q,)
    variance : ndarray (q,)
        Marginal variances of x.
    slopes : ndarray (q, d)
        Derivative of the mean by theta, less what the widening of each coordinate brings about.
    log_det : float
        Log determinant of the factor of the covariance.
    """

    point: ScalePoint
    mean: FloatArray
    variance: FloatArray
    slopes: FloatArray
    log_det: float


@dataclass
class Proposal:
    """Anchors, and what is needed to weigh draws about them."""

    target: Target
    terms: Sequence[GroupTerm]
    anchors: list[Anchor]
    metric: FloatArray  # inverse covariance of theta, by which distances to anchors are measured
    pool: Executor
    n_weighed: int = field(default=0)


def anchor_at(
    target: Target,
    terms: Sequence[GroupTerm],
    point: ScalePoint,
    shift: FloatArray,
    by_lead: FloatArray | None,
) -> Anchor:
    """Turn a point into an anchor.

    ``shift`` of the mean from the mode and ``by_lead``, the slope by the leading sd, are of
    whitened effects.
    """
    rows, found = target.rows, point.found
    slopes = point.slopes.copy()
    at, log_det = 0, -float(np.log(np.diag(found.chol)).sum())
    own = np.zeros_like(slopes)
    raw = coloured(rows, found.factors, found.x + shift)
    variance = _raw_variance(target, point)
    grown = np.zeros_like(slopes)
    for term in terms:
        k, count = term.k, term.n_theta
        if term is rows.leading:
            if by_lead is not None:
                slopes[:, at] = by_lead
            at += count
            continue
        place = rows.place(term)
        slab, factor = rows.slabs[place], found.factors[place]
        log_det += term.n_levels * float(np.log(np.diag(factor)).sum())
        sd = np.sqrt((factor**2).sum(axis=1))
        for c in range(k):
            where = np.arange(slab.start + c, slab.stop, k)
            own[where, at + c] = 2 * np.minimum(variance[where] / sd[c] ** 2, 1.0) * raw[where]
            # the factor itself changes: a whitened effect that stays put is a raw one that grows
            grown[where, at + c] = raw[where]
        at += count
    raw_slopes = coloured(rows, found.factors, slopes) + grown
    return Anchor(point, raw, variance, raw_slopes - own, log_det)


def _raw_variance(target: Target, point: ScalePoint) -> FloatArray:
    variance = np.diag(point.cov).copy()
    for slab, factor in zip(target.rows.slabs, point.found.factors, strict=True):
        k, n = len(factor), (slab.stop - slab.start) // len(factor)
        if k == 1:
            variance[slab] *= factor[0, 0] ** 2
            continue
        block = point.cov[slab, slab].reshape(n, k, n, k)
        each = np.array([factor @ block[i, :, i] @ factor.T for i in range(n)])
        variance[slab] = np.diagonal(each, axis1=1, axis2=2).ravel()
    return variance


def weigh(
    proposal: Proposal, theta: FloatArray, rng: np.random.Generator, rest: FloatArray | None = None
) -> FloatArray:
    """Draw x for each theta (N, d); return the estimates of the log density of theta.

    ``rest`` (N, q) is filled with the raw draws of x where given.
    """
    proposal.n_weighed += len(theta)
    scales = scales_of(theta, proposal.terms)
    values = np.full(len(theta), -np.inf)
    usable = np.flatnonzero(np.isfinite(scales.log_prior))
    gaps = np.array([theta[usable] - a.point.theta for a in proposal.anchors])
    nearest = np.einsum("anj,jk,ank->an", gaps, proposal.metric, gaps).argmin(axis=0)
    jobs, noise = [], []
    for a in range(len(proposal.anchors)):
        chosen = usable[nearest == a]
        for start in range(0, len(chosen), _CHUNK):
            part = chosen[start : start + _CHUNK]
            jobs.append((proposal.anchors[a], part))
            noise.append(_student(len(proposal.anchors[a].mean), len(part), rng))

    def run(job: tuple[Anchor, IntArray], z: FloatArray) -> None:
        anchor, part = job
        values[part], raw = _weigh_part(proposal, anchor, theta[part], scales, part, z)
        if rest is not None:
            rest[part] = raw.T

    list(proposal.pool.map(run, jobs, noise))
    return np.where(np.isnan(values), -np.inf, values)


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

    With ``z`` (q, part) standard t, the draw is ``m + r * (F z)``: F the factor of the anchor's
    covariance, r the coordinates' widening (`_widening`), m the anchor's mean moved along its
    slopes and shrunk by r^2. The estimate is ``log p(y, x, theta) - log q(x | theta)``.
    """
    target, rows, found = proposal.target, proposal.target.rows, anchor.point.found
    s = rows.n_effects
    ratio, lead_sd, log_scale = _widening(proposal, anchor, scales, part)
    deviate = solve_triangular(found.chol.T, z)
    raw = coloured(rows, found.factors, deviate) * ratio
    # far from the anchor, as where an sd is near zero, a line would leave the effects' own scale
    moved = anchor.slopes @ np.clip(theta - anchor.point.theta, -_FAR, _FAR).T
    raw += (anchor.mean[:, None] + moved) * ratio**2
    nu = _degrees(len(z))
    log_q = -0.5 * (nu + len(z)) * np.log1p((z**2).sum(axis=0) / nu)
    log_q -= np.log(ratio).sum(axis=0) + anchor.log_det
    white = _whiten(proposal, scales, part, raw)
    value = log_prior(target, white) - log_scale
    cuts = np.array([all_cuts(target, c) for c in raw[s : s + target.n_free].T])
    node, log_weight = quadrature(lead_sd[0], target.n_nodes)
    log_likelihoods(
        target.link,
        rows.start,
        rows.category,
        rows.count,
        rows.indptr,
        rows.column,
        rows.value,
        rows.code,
        np.ascontiguousarray(raw[:s].T),
        np.ascontiguousarray((rows.design @ raw[s + target.n_free :]).T),
        cuts,
        lead_sd,
        node,
        log_weight,
        found.lead_pull,
        found.lead_curvature,
        found.row_curvature,
        value,
    )
    return scales.log_prior[part] + value - log_q, raw


def _widening(
    proposal: Proposal, anchor: Anchor, scales: Scales, part: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """What other scales than the anchor's change: widening, leading sd, log scale of the effects.

    An effect of variance V at the anchor, where its sd is s0, is taken for one with a normal
    observation of information ``1 / V - 1 / s0^2``. At sd s its variance is ``r^2 V``, with
    ``r^2 = (1 / V) / (1 / V - 1 / s0^2 + 1 / s^2)``.

    Returns
    -------
    ratio : ndarray (q, part)
        r of each coordinate of x; one for cuts and coefficients.
    lead_sd : ndarray (part,)
        -1 where no term leads.
    log_scale : ndarray (part,)
        Log determinant of the factors by which effects are whitened.
    """
    rows, found, n = proposal.target.rows, anchor.point.found, len(part)
    ratio = np.ones((len(anchor.mean), n))
    lead_sd = np.full(n, -1.0)
    log_scale = np.zeros(n)
    for t, term in enumerate(proposal.terms):
        sd = scales.sd[t][part]
        if term is rows.leading:
            lead_sd = sd[:, 0]
            continue
        place = rows.place(term)
        slab, factor = rows.slabs[place], found.factors[place]
        k = len(factor)
        log_scale += term.n_levels * (
            np.log(sd).sum(axis=1)
            + np.log(np.diagonal(scales.corr_factor[t][part], axis1=1, axis2=2)).sum(axis=1)
        )
        for c in range(k):
            where = slice(slab.start + c, slab.stop, k)
            there = (factor[c] ** 2).sum()
            information = np.maximum(1 / anchor.variance[where] - 1 / there, 0.0)
            ratio[where] = np.sqrt(
                (information + 1 / there)[:, None] / (information[:, None] + 1 / sd[:, c] ** 2)
            )
    return ratio, lead_sd, log_scale


def _whiten(proposal: Proposal, scales: Scales, part: IntArray, raw: FloatArray) -> FloatArray:
    """Return x with effects standardised by each draw's own factors."""
    rows, white = proposal.target.rows, raw.copy()
    for t, term in enumerate(proposal.terms):
        if term is rows.leading:
            continue
        slab, k = rows.slabs[rows.place(term)], term.k
        factor = scales.sd[t][part][:, :, None] * scales.corr_factor[t][part]
        if k == 1:
            white[slab] /= factor[:, 0, 0]
            continue
        block = raw[slab].reshape(-1, k, len(part)).transpose(2, 1, 0)
        white[slab] = np.linalg.solve(factor, block).transpose(2, 1, 0).reshape(-1, len(part))
    return white
