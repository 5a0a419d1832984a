"""All effects and coefficients given the scales: one draw of them, or their mean."""

from dataclasses import dataclass

import numpy as np

from causalbias.inference.gaussian.blocks import Blocks
from causalbias.inference.gaussian.density import Eliminated, Noise, draw_given, eliminate
from causalbias.inference.gaussian.effects import leading_given
from causalbias.inference.gaussian.sparse_part import SparsePart
from causalbias.inference.problem import FloatArray, GroupTerm


@dataclass(frozen=True)
class Given:
    """A draw at one set of scales.

    Attributes
    ----------
    log_marginal : float
        As of `Eliminated`.
    beta : ndarray (p,)
    effects : list of ndarray (n_levels, k), one a term
    """

    log_marginal: float
    beta: FloatArray
    effects: list[FloatArray]


def draw_all(
    terms: tuple[GroupTerm, ...], blocks: Blocks, factors: list[FloatArray], noise: Noise
) -> Given | None:
    """Draw everything at scales with sigma 1; None where these are out of numerical range.

    Parameters
    ----------
    terms : tuple of GroupTerm
    blocks : Blocks
        Built to be factored.
    factors : list of ndarray (k, k), one a term
        ``diag(sd) @ chol(corr)``.
    noise : callable
        As for `draw_given`.
    """
    done = eliminate(blocks, 1.0, factors, np.empty_like(blocks.total))
    if done is None or not np.isfinite(done.log_marginal):
        return None
    beta, dense, chain = draw_given(done, blocks, noise)
    if blocks.sparse is not None:
        effects = _together(blocks, factors, beta, noise)
    else:
        effects = _in_turn(terms, blocks, done, beta, dense, chain, noise)
    return Given(done.log_marginal, beta, effects)


def _together(
    blocks: Blocks, factors: list[FloatArray], beta: FloatArray, noise: Noise
) -> list[FloatArray]:
    part = blocks.sparse
    assert isinstance(part, SparsePart)
    values, solved, _ = part.eliminate(1.0, factors)
    return part.effects(values, solved, factors, beta - blocks.centre, noise(len(solved)))


def _in_turn(
    terms: tuple[GroupTerm, ...],
    blocks: Blocks,
    done: Eliminated,
    beta: FloatArray,
    dense: FloatArray,
    chain: FloatArray,
    noise: Noise,
) -> list[FloatArray]:
    """Effects of the dense part and of the chain, cut by term, and the leading term's."""
    lead = blocks.leading
    nested = [i for i in blocks.chain.terms if lead is None or i != lead.term]
    found: dict[int, FloatArray] = {}
    for members, flat in ((blocks.dense_terms, dense), (nested, chain)):
        at = 0
        for i in members:
            size = terms[i].n_effects
            found[i] = flat[at : at + size].reshape(-1, terms[i].k)
            at += size
    if lead is not None:
        above = [found[i] for i in nested]
        factor = done.factors[lead.term]
        centred = beta - blocks.centre
        found[lead.term] = leading_given(lead, factor, centred, above, dense, noise)
    return [found[i] for i in range(len(terms))]
