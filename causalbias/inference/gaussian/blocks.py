"""Cross-products of a Gaussian problem, laid out for block elimination.

With effects ``b_t = L_t u_t``, u standard normal, Z the membership matrices side by side, X the
design, W the rows' weights and P the prior precisions of the coefficients, the normal equations of
u and beta given the scales are (Bates et al. 2015, section 3)

    [ L'Z'WZL / sigma^2 + I    L'Z'WX / sigma^2      ] [ u    ]   [ L'Z'Wy / sigma^2         ]
    [ X'WZL / sigma^2          X'WX / sigma^2 + P    ] [ beta ] = [ X'Wy / sigma^2 + P beta0 ]

The cross-products ``(Z, X, y)' W (Z, X, y)`` do not depend on the scales and are formed once, here.
The matrix is cut into three parts, eliminated in turn:

1. the *leading* term, the largest with one level a row: block-diagonal. Levels with equal
   k x k blocks form a bucket; a bucket's share of the Schur complement is a small function of
   the scales times matrices that are summed over its levels once, here.
2. the *chain*: terms in which the leading one is nested, each nested in the next (pair in
   prototype in seed). Every level has one ancestor in each later term and no other link, so
   eliminating in order fills in nothing. Where buckets are too many to pay, the leading term
   is the chain's first.
3. the *dense* rest: crossed and multi-membership terms, coefficients, and the response as the
   last column.

Where the dense rest would be too large and the effects share few rows, all group terms are
eliminated together instead, by a sparse factor (`sparse_part`), and the dense part holds the
coefficients and the response alone. So they are where there is one term only whose effects share
many rows, by its eigenvalues (`one_term`, `lanczos`).

Cross-products live in one flat vector ``[chain blocks | chain x dense | dense x dense]``, so
that the Schur complement of part 1 is a single matrix-vector product.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalbias.inference.gaussian.lanczos import LanczosTerm
from causalbias.inference.gaussian.one_term import EigenTerm, one_term_part
from causalbias.inference.gaussian.records import (
    Chain,
    Records,
    contract,
    cross_products,
    gram_of_levels,
    row_records,
    scaled,
    take,
)
from causalbias.inference.gaussian.sparse_part import SparsePart, sparse_part
from causalbias.inference.membership import slabs
from causalbias.inference.problem import EngineError, FloatArray, GroupTerm, IntArray, Problem

EffectsPart = SparsePart | EigenTerm | LanczosTerm

_MAX_BYTES = 4 * 2**30


@dataclass(frozen=True)
class Leading:
    """The term eliminated first, with what each of its levels shares with the later parts.

    Attributes
    ----------
    term : int
    gram : ndarray (levels, k, k)
        Weighted cross-products of the term's own columns.
    links : tuple of Records, one a coefficient
        One record a level. Their chain is the problem's without the leading term itself.
    """

    term: int
    gram: FloatArray
    links: tuple[Records, ...]


@dataclass(frozen=True)
class Prior:
    """Normal priors of the whitened coefficients ``g = (beta - centre) / scale``.

    Attributes
    ----------
    scale : ndarray (p,)
        Prior standard deviations; one where the prior is flat.
    precision : ndarray (n_dense - 1,)
        Of the dense part: one for effects and coefficients, zero where the prior is flat.
    rhs : ndarray (p,)
        Prior means of g, zero where flat: what they add to the right-hand side.
    quad : float
        Squared length of these means.
    n_flat : int
    """

    scale: FloatArray
    precision: FloatArray
    rhs: FloatArray
    quad: float
    n_flat: int


@dataclass(frozen=True)
class Blocks:
    """All that an evaluation needs; nothing in it grows with the number of rows but ``leading``.

    Attributes
    ----------
    n_rows : int
        Number of rows.
    n : float
        Number of observations: the sum of the row weights.
    half_log_weight : float
        Half the sum over observations of the log of the row's precision.
    total : ndarray
        Flat cross-products over all rows.
    bucket_gram : ndarray (buckets, k, k)
    bucket_count : ndarray (buckets,)
    bucket_stack : ndarray (buckets * k (k + 1) / 2, len(total))
        Flat cross-products of the leading term's links by bucket and coefficient pair.
    bucketed : bool
        False where there is no leading term, or where it is the chain's first.
    chain : Chain
    dense_terms : tuple of int
    dense_rows : tuple of slice
        Where each dense term's effects are, level-major.
    n_dense : int
        Width of the dense part: its terms' effects, p coefficients and the response.
    centre : ndarray (p,)
        Coefficients subtracted from the response beforehand, for accuracy only.
    prior : Prior
        Of the coefficients less the centre.
    leading : Leading or None
    sparse : SparsePart, EigenTerm, LanczosTerm or None
        All group terms, where they are eliminated together.
    """

    n_rows: int
    n: float
    half_log_weight: float
    total: FloatArray
    bucket_gram: FloatArray
    bucket_count: FloatArray
    bucket_stack: FloatArray
    bucketed: bool
    chain: Chain
    dense_terms: tuple[int, ...]
    dense_rows: tuple[slice, ...]
    n_dense: int
    centre: FloatArray
    prior: Prior
    leading: Leading | None
    sparse: EffectsPart | None = None


def build_blocks(problem: Problem, *, factored: bool = False) -> Blocks:
    """Form every cross-product of a checked problem; the only pass over its rows.

    Parameters
    ----------
    problem : Problem
    factored : bool
        Whether effects are drawn at most evaluations. Then they are eliminated by a factor at any
        price, since eigenvalues and quadrature give densities fast, and draws slowly.
    """
    terms, weight = problem.terms, problem.total_weight
    lead = _leading_term(terms)
    upper = _nested_chain(terms, lead)
    dense_terms = tuple(i for i in range(len(terms)) if i != lead and i not in upper)
    centre = _least_squares(problem)
    part = _together(problem, dense_terms, centre, factored=factored)
    if part is not None:
        lead, upper, dense_terms = None, (), ()
    rows = row_records(problem, upper, dense_terms, centre)
    n_dense = rows.sparse.shape[1] + rows.x.shape[1]
    chain, leading, bucket_of = _chain(terms, upper), None, None
    if lead is not None:
        above = _parents(terms, lead, upper)
        k = terms[lead].k
        links = tuple(contract(rows, terms[lead], c, weight, above) for c in range(k))
        leading = Leading(lead, gram_of_levels(terms[lead], weight), links)
        bucket_of = _buckets(leading.gram, chain.size(n_dense), n_dense)
    if leading is not None and bucket_of is None:
        chain = _chain(terms, (leading.term, *upper))
        rows = row_records(problem, chain.terms, dense_terms, centre)
    _check_size(chain, n_dense)
    total = cross_products(rows, scaled(rows, weight), chain, n_dense)
    gram, count, stack = _bucket_stack(leading, bucket_of, chain, n_dense)
    return Blocks(
        n_rows=len(problem.y),
        n=float(problem.row_weight.sum()),
        half_log_weight=problem.half_log_weight,
        total=total,
        bucket_gram=gram,
        bucket_count=count,
        bucket_stack=stack,
        bucketed=bucket_of is not None,
        chain=chain,
        dense_terms=dense_terms,
        dense_rows=slabs([terms[i] for i in dense_terms]),
        n_dense=n_dense,
        centre=centre,
        prior=_prior(problem, centre, n_dense),
        leading=leading,
        sparse=part,
    )


def _check_size(chain: Chain, n_dense: int) -> None:
    size = 8 * chain.size(n_dense)
    if size > _MAX_BYTES:
        raise EngineError(
            f"the collapsed engine would need {size / 2**30:.0f} GiB for cross-products of "
            f"{chain.n_rows} nested effects with {n_dense} crossed ones; sample this model by MCMC"
        )


def _prior(problem: Problem, centre: FloatArray, n_dense: int) -> Prior:
    flat = np.isinf(problem.beta_sd)
    scale = np.where(flat, 1.0, problem.beta_sd)
    mean = np.where(flat, 0.0, (problem.beta_mean - centre) / scale)
    precision = np.concatenate([np.ones(n_dense - 1 - len(flat)), np.where(flat, 0.0, 1.0)])
    return Prior(scale, precision, mean, float(mean @ mean), int(flat.sum()))


def _together(
    problem: Problem, dense_terms: Sequence[int], centre: FloatArray, *, factored: bool
) -> EffectsPart | None:
    """All group terms at once, where that is cheaper than with some of them in the dense part."""
    sizes = [t.n_effects for t in problem.terms]
    crossed = sum(sizes[i] for i in dense_terms)
    n_dense = crossed + problem.design.shape[1] + 1
    cost = n_dense**3 / 6 + (sum(sizes) - crossed) * n_dense**2 / 2
    residual = problem.y - problem.design @ centre
    part = sparse_part(problem, residual, crossed, cost, at_any_price=factored)
    return part if factored else part or one_term_part(problem, residual, crossed)


def _leading_term(terms: Sequence[GroupTerm]) -> int | None:
    """The term with most effects among those with one level a row; None where there is none."""
    single = [i for i, t in enumerate(terms) if t.codes.shape[1] == 1]
    return max(single, key=lambda i: terms[i].n_effects, default=None)


def _parent(child: GroupTerm, of: GroupTerm) -> IntArray | None:
    """Return the level of ``of`` that holds each level of ``child``; None where not nested."""
    below, above = child.codes[:, 0], of.codes[:, 0]
    parent = np.zeros(child.n_levels, dtype=np.int64)
    parent[below] = above
    return parent if np.array_equal(parent[below], above) else None


def _nested_chain(terms: Sequence[GroupTerm], lead: int | None) -> tuple[int, ...]:
    """Terms in which the leading one is nested, each nested in the next."""
    if lead is None:
        return ()
    chain = [lead]
    others = [i for i, t in enumerate(terms) if i != lead and t.codes.shape[1] == 1]
    for i in sorted(others, key=lambda i: -terms[i].n_levels):
        if _parent(terms[chain[-1]], terms[i]) is not None:
            chain.append(i)
    return tuple(chain[1:])


def _parents(terms: Sequence[GroupTerm], child: int, of: Sequence[int]) -> tuple[IntArray, ...]:
    found = (_parent(terms[child], terms[i]) for i in of)
    return tuple(p for p in found if p is not None)


def _chain(terms: Sequence[GroupTerm], members: tuple[int, ...]) -> Chain:
    """Where each node of the chain has its blocks in the flat vector."""
    levels = [terms[i].n_levels for i in members]
    ks = [terms[i].k for i in members]
    first = np.concatenate([[0], np.cumsum(levels)]).astype(np.int64)
    k = np.repeat(np.array(ks, dtype=np.int64), levels)
    width = max(1, len(members))
    ancestor = np.full((first[-1], width), -1, dtype=np.int64)
    offset = np.full((first[-1], width), -1, dtype=np.int64)
    at = 0
    for t, i in enumerate(members):
        nodes = slice(first[t], first[t + 1])
        parents = (np.arange(levels[t]), *_parents(terms, i, members[t + 1 :]))
        for a, parent in enumerate(parents):
            ancestor[nodes, a] = parent + first[t + a]
            block = ks[t] * ks[t + a]
            offset[nodes, a] = at + block * np.arange(levels[t])
            at += block * levels[t]
    return Chain(
        terms=members,
        first_node=first,
        k=k,
        position=np.repeat(np.arange(len(members)), levels).astype(np.int64),
        row=(np.cumsum(k) - k).astype(np.int64),
        ancestor=ancestor,
        offset=offset,
        n_values=at,
        n_rows=int(k.sum()),
    )


def _least_squares(problem: Problem) -> FloatArray:
    """Return a rough weighted least-squares fit; any answer is valid, a good one is accurate."""
    weighted = problem.design * problem.total_weight[:, None]
    gram, rhs = weighted.T @ problem.design, weighted.T @ problem.y
    scale = np.sqrt(np.where(np.diag(gram) > 0, np.diag(gram), 1.0))
    solution = np.linalg.lstsq(gram / np.outer(scale, scale), rhs / scale, rcond=1e-10)[0]
    return np.asarray(solution / scale)


def _buckets(gram: FloatArray, size: int, n_dense: int) -> IntArray | None:
    """Return each level's bucket of equal blocks; None where single levels are cheaper."""
    levels, k = gram.shape[:2]
    flat = gram.reshape(levels, -1)
    scale = np.abs(flat).max(axis=0)
    # equal but for rounding: sums of the same numbers in another order count as equal
    key = np.rint(flat / np.where(scale > 0, scale, 1.0) * 1e12)
    _, bucket = np.unique(key, axis=0, return_inverse=True)
    matrices = (int(bucket.max()) + 1) * (k * (k + 1) // 2)
    worth = 2 * matrices * size <= levels * k * n_dense * (n_dense + 10) + 10_000_000
    return bucket.ravel() if worth and 8 * matrices * size <= _MAX_BYTES // 4 else None


def _bucket_stack(
    leading: Leading | None, bucket_of: IntArray | None, chain: Chain, n_dense: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Each bucket's block G (k, k), number of levels, and summed cross-products of links.

    Eliminating level j with block G_j and links ``c_j`` (k, width) takes ``c_j' F c_j`` from the
    Schur complement, ``F = L (I + L'G_j L)^-1 L'`` (sigma aside). F is the same throughout a
    bucket, so that ``sum_j c_j' F c_j = sum_{r<=s} F_rs S_rs``, S_rs being the sum over its levels
    of ``c_jr' c_js`` (and its transpose where r < s): the rows of the stack.
    """
    if leading is None or bucket_of is None:
        return np.empty((0, 1, 1)), np.empty(0), np.empty((0, chain.size(n_dense)))
    k = len(leading.links)
    stack, gram = [], []
    order = np.argsort(bucket_of, kind="stable")
    count = np.bincount(bucket_of)
    for members in np.split(order, np.cumsum(count)[:-1]):
        gram.append(leading.gram[members].mean(axis=0))
        parts = [take(link, members) for link in leading.links]
        for i in range(k):
            stack.append(cross_products(parts[i], parts[i], chain, n_dense))
            for j in range(i + 1, k):
                there = cross_products(parts[i], parts[j], chain, n_dense)
                stack.append(there + cross_products(parts[j], parts[i], chain, n_dense))
    return np.array(gram), count.astype(float), np.array(stack)
