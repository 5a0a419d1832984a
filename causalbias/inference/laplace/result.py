"""What the Laplace engine gives: draws, and how far they can be trusted."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from causalbias.inference.laplace.conditional import all_cuts, linear_predictor
from causalbias.inference.laplace.drawn import disc_leading_effects, drawn_rows
from causalbias.inference.laplace.expansion import ExpandedProposal
from causalbias.inference.laplace.likelihood import draw_leading
from causalbias.inference.laplace.nested import lead_sds, scales_of
from causalbias.inference.laplace.proposal import Proposal
from causalbias.inference.laplace.quadrature import cut_gaps
from causalbias.inference.problem import FloatArray, GroupTerm, IntArray
from causalbias.io.memory import chunks

# Proposals of a leading effect of a draw; half of them where levels have so many rows that their
# effects are next to normal.
_CANDIDATES, _MANY_ROWS = 16, 50


@dataclass(frozen=True)
class Diagnostics:
    """How far the draws can be trusted, and what they cost.

    Attributes
    ----------
    importance_ess : float
        Kish effective sample size of the importance weights.
    pareto_k : float
        Shape of their tail: up to 0.7 is fine, above it the draws are not to be relied on.
    n_weighed : int
        Proposals weighed, all stages.
    n_anchors : int
        Scales at which a conditional mode was found.
    seconds : dict
        Wall time by stage.
    """

    importance_ess: float
    pareto_k: float
    n_weighed: int
    n_anchors: int
    seconds: dict[str, float]


@dataclass(frozen=True)
class LaplaceDraws:
    """Posterior draws.

    Attributes
    ----------
    beta : ndarray (draws, p)
    threshold : ndarray (draws, K - 1)
        Cuts of a cumulative model, set after set; no columns otherwise.
    sd : dict of ndarray (draws, k)
    corr : dict of ndarray (draws, k, k)
        Of terms with correlated effects.
    effects : dict of ndarray (draws, n_levels, k)
        Of the terms that were kept.
    diagnostics : Diagnostics
    thinned : dict of ndarray (some draws, n_levels, k)
        Effects of the terms that were not kept, at the draws asked for.
    disc : ndarray (draws, p)
        Coefficients of the log discriminations; their terms are in the mappings with the others.
    """

    beta: FloatArray
    threshold: FloatArray
    sd: dict[str, FloatArray]
    corr: dict[str, FloatArray]
    effects: dict[str, FloatArray]
    diagnostics: Diagnostics
    thinned: dict[str, FloatArray]
    disc: FloatArray


def collect(
    proposal: Proposal | ExpandedProposal,
    theta: FloatArray,
    rest: FloatArray,
    keep: Collection[str],
    some: IntArray,
    rng: np.random.Generator,
    diagnostics: Diagnostics,
) -> LaplaceDraws:
    """Name the chosen draws, and draw the leading effects given them where they are kept.

    Of terms that are not kept, the effects at ``some`` of the draws. ``rest`` is what the proposal
    kept of each draw; it ends in cuts and coefficients.
    """
    target, terms = proposal.target, proposal.target.terms
    scales, free, p = scales_of(theta, terms), target.n_free, len(target.beta_mean)
    fixed, first = rest[:, rest.shape[1] - p :], target.rows.design.shape[1]
    kept = [t for t in terms if t.name in keep]
    dropped = [t for t in terms if t.name not in keep]
    every = np.arange(len(rest))
    pairs = list(zip(terms, scales.sd, scales.corr_factor, strict=True))
    return LaplaceDraws(
        beta=fixed[:, :first],
        threshold=rest[:, rest.shape[1] - p - free : rest.shape[1] - p],
        sd={t.name: sd for t, sd, _ in pairs},
        corr={t.name: c @ c.swapaxes(1, 2) for t, _, c in pairs if t.correlated},
        effects=_effects(proposal, terms, theta, rest, kept, every, rng),
        diagnostics=diagnostics,
        thinned=_effects(proposal, terms, theta, rest, dropped, some, rng),
        disc=fixed[:, first:],
    )


def _effects(
    proposal: Proposal | ExpandedProposal,
    terms: Sequence[GroupTerm],
    theta: FloatArray,
    rest: FloatArray,
    wanted: Sequence[GroupTerm],
    at: IntArray,
    rng: np.random.Generator,
) -> dict[str, FloatArray]:
    """Effects (draws, n_levels, k) of the terms wanted, at some of the draws."""
    rows = proposal.target.rows
    found = {t.name: np.empty((len(at), t.n_levels, t.k)) for t in wanted}
    lead_sd = lead_sds(proposal.target, terms, scales_of(theta, terms))
    for part in chunks(len(at), 8 * (rows.width + len(rows.level))) if wanted else ():
        some = at[part]
        raw = proposal.raw_at(theta[some], rest[some])
        for term in wanted:
            if term is rows.leading:
                found[term.name][part] = _leading(proposal, lead_sd[some], raw, rng)
            else:
                slab = rows.slabs[rows.place(term)]
                found[term.name][part] = raw[:, slab].reshape(len(raw), term.n_levels, term.k)
    return found


def _leading(
    proposal: Proposal | ExpandedProposal,
    sd: FloatArray,
    raw: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Draw the leading effects of each draw; levels without rows from their prior."""
    target, rows = proposal.target, proposal.target.rows
    n_levels = rows.leading.n_levels if rows.leading is not None else 0
    out = sd[:, None, None] * rng.standard_normal((len(raw), n_levels, 1))
    if rows.disc is not None:
        out[:, rows.level, 0] = _disc_leading(proposal, sd, raw, rng)
        return out
    many = len(rows.code) > _MANY_ROWS * len(rows.level)
    strata = np.arange(_CANDIDATES // 2 if many else _CANDIDATES)
    streams = rng.integers(0, 2**63, len(raw))
    places = proposal.node_places

    def draw(i: int) -> None:
        own = np.random.Generator(np.random.SFC64(int(streams[i])))
        shift, uniform = own.random((2, len(rows.level)))
        normal = special.ndtri((strata + shift[:, None]) / len(strata))
        cuts = all_cuts(target, raw[i, rows.n_effects : rows.n_effects + target.n_free])
        eta, some = linear_predictor(target, raw[i]), np.empty(len(rows.level))
        known = np.add.reduceat(places.row_curvature * eta, rows.start[:-1])
        near = sd[i] * (places.pull - known) / (1 + sd[i] ** 2 * places.curvature)
        given = target.link, rows.answers, eta, cuts, cut_gaps(cuts), sd[i]
        draw_leading(*given, near, normal, uniform, some)
        out[i, rows.level, 0] = some

    list(proposal.pool.map(draw, range(len(raw))))
    return out


def _disc_leading(
    proposal: Proposal | ExpandedProposal,
    sd: FloatArray,
    raw: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Draw the effects (draws, blocks) of the leading levels that have rows, unequal in disc."""
    target, rows = proposal.target, proposal.target.rows
    drawn, uniform = drawn_rows(target, raw.T), rng.random((len(raw), len(rows.level)))
    given = target.link, rows.answers, drawn, sd, proposal.node_places
    return disc_leading_effects(*given, uniform, proposal.pool)
