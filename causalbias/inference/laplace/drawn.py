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
from causalbias.io.memory import CHUNK_BYTES

LANES, _FULL = 64, 16  # draws side by side at most; they are filled up to a multiple


class PredictorDraws(NamedTuple):
    """A linear predictor of n rows, and several draws of what it is made of.

    Attributes
    ----------
    indptr, column, value, code : ndarray
        As in `Rows`.
    design : ndarray (m, p)
    offset : ndarray (m,)
    effects : ndarray (draws, s)
        The dense effects.
    beta : ndarray (draws, p)
        Coefficients of the design.
    """

    indptr: IntArray
    column: IntArray
    value: FloatArray
    code: IntArray
    design: FloatArray
    offset: FloatArray
    effects: FloatArray
    beta: FloatArray

    def at(self, side: slice | IntArray) -> DrawnPredictor:
        """The predictor at some of the draws, which are last in each array."""
        effects = np.ascontiguousarray(self.effects[side].T)
        fixed = self.design @ self.beta[side].T
        fixed += self.offset[:, None]
        return DrawnPredictor(self.indptr, self.column, self.value, self.code, effects, fixed)


class DrawnRows(NamedTuple):
    """What the probabilities of rows are made of, at several draws.

    Attributes
    ----------
    eta : PredictorDraws
    cuts : ndarray (draws, n_cuts + 2)
        With minus and plus infinity at the ends.
    log_disc : PredictorDraws or None
        Of the same effects, a row for each discrimination that differs; None where all rows
        discriminate equally.
    which : ndarray (n,)
        The row of ``log_disc`` that each row has.
    """

    eta: PredictorDraws
    cuts: FloatArray
    log_disc: PredictorDraws | None
    which: IntArray

    @property
    def lanes(self) -> int:
        """How many draws are to stand side by side.

        Each has a number for every row of the design, which where pairs are many would fill the
        memory: then there are fewer.
        """
        fit = CHUNK_BYTES // (8 * max(1, len(self.eta.design)))
        return min(LANES, max(_FULL, fit // _FULL * _FULL))


def drawn_rows(target: Target, raw: FloatArray) -> DrawnRows:
    """Return rows at draws x (q, n)."""
    rows, s = target.rows, target.rows.n_effects
    effects = np.ascontiguousarray(raw[:s].T)
    by_eta, by_disc = coefficients(target, raw)
    cuts = all_cuts(target, raw[s : s + target.n_free].T)
    links = rows.indptr, rows.column, rows.value, rows.code
    eta = PredictorDraws(*links, rows.design, rows.offset, effects, by_eta.T)
    if (disc := rows.disc) is None:
        return DrawnRows(eta, cuts, None, rows.code)
    code, design = rows.code[disc.distinct.row], disc.design
    if not design.shape[1]:  # one row of zeros, where there may be as many as pairs
        code, design = np.zeros_like(code), design[:1]
    links, none = (*disc.distinct.links, code), np.zeros(len(design))
    log_disc = PredictorDraws(*links, design, none, effects, by_disc.T)
    return DrawnRows(eta, cuts, log_disc, disc.distinct.which)


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
    lanes = drawn.lanes
    for first in range(0, len(finite), lanes):
        part = finite[first : first + lanes]
        side = np.resize(part, -(-len(part) // _FULL) * _FULL)  # the first ones again
        cuts = np.ascontiguousarray(drawn.cuts[side].T)
        given = cuts, np.maximum(sd[side], 0.0), (node, log_weight), places
        total = np.zeros(len(side))
        if drawn.log_disc is None:
            integrate(link, answers, drawn.eta.at(side), *given, total)
        else:
            eta, log_disc = drawn.eta.at(side), drawn.log_disc.at(side)
            integrate_disc(link, answers, eta, log_disc, drawn.which, *given, total)
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
    eta, cuts, log_disc, which = drawn
    assert log_disc is not None
    lanes = drawn.lanes

    def draw(first: int) -> FloatArray:
        side = slice(first, first + lanes)
        own, share = np.ascontiguousarray(cuts[side].T), np.ascontiguousarray(uniform[side].T)
        out = np.empty_like(share)
        predictors = eta.at(side), log_disc.at(side), which
        draw_leading_disc(link, answers, *predictors, own, sd[side], places, share, out)
        return out.T

    return np.concatenate(list(pool.map(draw, range(0, len(uniform), lanes))))
