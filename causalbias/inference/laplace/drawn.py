"""Rows at several draws of effects, cuts and coefficients: likelihoods and leading effects there.

What proposals weigh by. Draws are cut into parts that stand side by side in the kernels.
"""

from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np

from causalbias.inference.laplace.conditional import Target, all_cuts, coefficients, quadrature
from causalbias.inference.laplace.disc_likelihood import (
    draw_leading_disc,
    equal_steps,
    integrate_disc,
)
from causalbias.inference.laplace.likelihood import (
    DrawnPredictor,
    NodePlaces,
    Rule,
    integrate,
)
from causalbias.inference.laplace.quadrature import LOG_ROOT_2PI
from causalbias.inference.laplace.rows import Answers
from causalbias.inference.problem import FloatArray, IntArray

LANES, _FULL = 64, 16  # draws side by side at most; they are filled up to a multiple


class DrawnRows(NamedTuple):
    """What the probabilities of rows are made of, at several draws.

    Attributes
    ----------
    eta : DrawnPredictor
    cuts : ndarray (draws, n_cuts + 2)
        With minus and plus infinity at the ends.
    log_disc : DrawnPredictor or None
        Of the same effects; None where all rows discriminate equally.
    """

    eta: DrawnPredictor
    cuts: FloatArray
    log_disc: DrawnPredictor | None


def drawn_rows(target: Target, raw: FloatArray) -> DrawnRows:
    """Return rows at draws x (q, n)."""
    rows, s = target.rows, target.rows.n_effects
    effects = np.ascontiguousarray(raw[:s].T)
    by_eta, by_disc = coefficients(target, raw)
    fixed = np.ascontiguousarray(rows.fixed(by_eta).T)
    cuts = np.array([all_cuts(target, one) for one in raw[s : s + target.n_free].T])
    eta = DrawnPredictor(rows.indptr, rows.column, rows.value, rows.code, effects, fixed)
    if (disc := rows.disc) is None:
        return DrawnRows(eta, cuts, None)
    fixed = np.ascontiguousarray((disc.design @ by_disc).T)
    links = disc.indptr, disc.column, disc.value, rows.code
    return DrawnRows(eta, cuts, DrawnPredictor(*links, effects, fixed))


def _draws_last(drawn: DrawnRows, side: slice | IntArray) -> DrawnRows:
    """Return rows at some of the draws, as kernels take them: draws last in each array."""
    eta, cuts, log_disc = drawn
    effects = np.ascontiguousarray(eta.effects[side].T)
    eta = eta._replace(effects=effects, fixed=np.ascontiguousarray(eta.fixed[side].T))
    if log_disc is not None:
        fixed = np.ascontiguousarray(log_disc.fixed[side].T)
        log_disc = log_disc._replace(effects=effects, fixed=fixed)
    return DrawnRows(eta, np.ascontiguousarray(cuts[side].T), log_disc)


def add_log_likelihoods(
    target: Target, drawn: DrawnRows, lead_sd: FloatArray, places: NodePlaces, out: FloatArray
) -> None:
    """Add the log likelihood at each draw, leading effects integrated out, where ``out`` is finite.

    ``lead_sd`` and ``out`` (draws,); sds are negative where no term leads.
    """
    rule = quadrature(lead_sd[0], target.n_nodes)
    if drawn.log_disc is not None and lead_sd[0] >= 0:
        rule = equal_steps(target.n_nodes)
    log_likelihoods(target.link, target.rows.answers, drawn, lead_sd, rule, places, out)


def log_likelihoods(
    link: int,
    answers: Answers,
    drawn: DrawnRows,
    sd: FloatArray,
    rule: Rule,
    places: NodePlaces,
    out: FloatArray,
) -> None:
    """As `add_log_likelihoods`, with the nodes and log weights of a quadrature."""
    finite = np.flatnonzero(np.isfinite(out))
    node, log_weight = rule
    if sd[0] >= 0:
        log_weight = log_weight - LOG_ROOT_2PI
    for first in range(0, len(finite), LANES):
        part = finite[first : first + LANES]
        side = np.resize(part, -(-len(part) // _FULL) * _FULL)  # the first ones again
        eta, cuts, log_disc = _draws_last(drawn, side)
        given = cuts, np.maximum(sd[side], 0.0), (node, log_weight), places
        total = np.zeros(len(side))
        if log_disc is None:
            integrate(link, answers, eta, *given, total)
        else:
            integrate_disc(link, answers, eta, log_disc, *given, total)
        out[part] += total[: len(part)]


def disc_leading_effects(
    link: int,
    answers: Answers,
    drawn: DrawnRows,
    sd: FloatArray,
    places: NodePlaces,
    uniform: FloatArray,
    pool: Executor,
) -> FloatArray:
    """Draw the leading effects (draws, levels) given y and all else, of rows unequal in disc.

    ``uniform`` (draws, levels) says below which share of its density each effect lies.
    """

    def draw(first: int) -> FloatArray:
        side = slice(first, first + LANES)
        eta, cuts, log_disc = _draws_last(drawn, side)
        share = np.ascontiguousarray(uniform[side].T)
        out = np.empty_like(share)
        draw_leading_disc(link, answers, eta, log_disc, cuts, sd[side], places, share, out)
        return out.T

    return np.concatenate(list(pool.map(draw, range(0, len(uniform), LANES))))
