"""All effects and coefficients given the scales: draws of them, or their mean."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from causalbias.inference.gaussian.blocks import Blocks
from causalbias.inference.gaussian.density import draw_given, eliminate
from causalbias.inference.gaussian.effects import leading_given
from causalbias.inference.gaussian.small import at_scales, is_small, n_drawn
from causalbias.inference.gaussian.sparse_part import SparsePart
from causalbias.inference.problem import FloatArray, GroupTerm


@dataclass(frozen=True)
class Given:
    """Draws at N sets of scales.

    Attributes
    ----------
    log_marginal : ndarray (N,)
        As of `Eliminated`; minus infinity where the scales are out of numerical range. What is
        drawn there has no meaning.
    beta : ndarray (N, p)
    effects : list of ndarray (N, n_levels, k), one a term
    """

    log_marginal: FloatArray
    beta: FloatArray
    effects: list[FloatArray]


def n_noise(terms: Sequence[GroupTerm], blocks: Blocks) -> int:
    """Standard normal numbers that a draw takes."""
    return len(blocks.centre) + sum(term.n_effects for term in terms)


def draw_all(
    terms: Sequence[GroupTerm], blocks: Blocks, factors: Sequence[FloatArray], noise: FloatArray
) -> Given:
    """Draw everything at scales with sigma 1.

    Parameters
    ----------
    terms : sequence of GroupTerm
    blocks : Blocks
        Built to be factored.
    factors : sequence of ndarray (N, k, k), one a term
        ``diag(sd) @ chol(corr)``.
    noise : ndarray (N, n_noise)
        Standard normal; where it is zero what is drawn is the mean.
    """
    if blocks.sparse is not None:
        return _together(terms, blocks, factors, noise)
    log_marginal, drawn = _but_leading(blocks, factors, noise)
    p, q = len(blocks.centre), blocks.n_dense - 1
    beta, dense, chain = drawn[:, :p], drawn[:, p:q], drawn[:, q:]
    lead = blocks.leading
    nested = [i for i in blocks.chain.terms if lead is None or i != lead.term]
    found: dict[int, FloatArray] = {}
    for members, flat in ((blocks.dense_terms, dense), (nested, chain)):
        at = 0
        for i in members:
            size = terms[i].n_effects
            own = np.ascontiguousarray(flat[:, at : at + size])
            found[i] = own.reshape(len(own), -1, terms[i].k)
            at += size
    if lead is not None:
        above = [found[i] for i in nested]
        centred, rest = beta - blocks.centre, noise[:, drawn.shape[1] :]
        found[lead.term] = leading_given(lead, factors[lead.term], centred, above, dense, rest)
    return Given(log_marginal, beta, [found[i] for i in range(len(terms))])


def log_marginal(blocks: Blocks, factors: Sequence[FloatArray]) -> FloatArray:
    """Log densities (N,) of the response at scales with sigma 1, as of `Eliminated`."""
    many = len(factors[0])
    if is_small(blocks):
        return at_scales(blocks, np.ones((many, 1)), factors)[0]
    work = np.empty_like(blocks.total)
    done = (eliminate(blocks, 1.0, [one[i] for one in factors], work) for i in range(many))
    return np.array([-np.inf if one is None else one.log_marginal for one in done])


def _but_leading(
    blocks: Blocks, factors: Sequence[FloatArray], noise: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """As `at_scales`, of blocks of any size, at scales with sigma 1."""
    width = n_drawn(blocks)
    if is_small(blocks):
        return at_scales(blocks, np.ones((len(noise), 1)), factors, noise[:, :width])
    log_marginal, drawn = np.full(len(noise), -np.inf), np.zeros((len(noise), width))
    work = np.empty_like(blocks.total)
    for i, numbers in enumerate(map(iter, noise)):
        done = eliminate(blocks, 1.0, [one[i] for one in factors], work)
        if done is not None and np.isfinite(done.log_marginal):
            log_marginal[i] = done.log_marginal
            drawn[i] = np.concatenate(draw_given(done, blocks, partial(_first_of, numbers)))
    return log_marginal, drawn


def _first_of(numbers: Iterator[float], n: int) -> FloatArray:
    return np.fromiter(numbers, float, n)


def _together(
    terms: Sequence[GroupTerm],
    blocks: Blocks,
    factors: Sequence[FloatArray],
    noise: FloatArray,
) -> Given:
    """`draw_all` where all group terms are eliminated by one sparse factor."""
    part = blocks.sparse
    assert isinstance(part, SparsePart)
    log_marginal, beta = _but_leading(blocks, factors, noise)
    effects = [np.empty((len(noise), term.n_levels, term.k)) for term in terms]
    for i, numbers in enumerate(noise):
        own = [one[i] for one in factors]
        values, solved, _ = part.eliminate(1.0, own)
        rest = numbers[beta.shape[1] :]
        drawn = part.effects(values, solved, own, beta[i] - blocks.centre, rest)
        for into, one in zip(effects, drawn, strict=True):
            into[i] = one
    return Given(log_marginal, beta, effects)
