"""Cross-products of a Gaussian problem, laid out for block elimination.

With effects ``b_t = L_t u_t``, u standard normal, Z the membership matrices side by side, X the
design, W the rows' weights and P the prior precisions of the coefficients, the normal equations of
u and beta given the scales are (Bates et al. 2015, section 3)

    [ L'Z'WZL / sigma^2 + I    L'Z'WX / sigma^2      ] [ u    ]   [ L'Z'Wy / sigma^2         ]
    [ X'WZL / sigma^2          X'WX / sigma^2 + P    ] [ beta ] = [ X'Wy / sigma^2 + P beta0 ]

The cross-products ``(Z, X, y)' W (Z, X, y)`` do not depend on the scales and are formed once, here.
Where sigma differs by row, rows of one sigma are a cell (`noise`), and what is over sigma^2 is a
sum ``sum_c C_c / sigma_c^2`` of the cross-products within each cell. The matrix is cut into three
parts, eliminated in turn:

1. the *leading* term, the largest with one level a row: block-diagonal. Levels with equal
   k x k blocks in each cell form a bucket; a bucket's share of the Schur complement is a small
   function of the scales times matrices that are summed over its levels once, here.
2. the *chain*: terms in which the leading one is nested, each nested in the next (pair in
   prototype in seed). Every level has one ancestor in each later term and no other link, so
   eliminating in order fills in nothing. Where buckets are too many to pay, the leading term
   is the chain's first.
3. the *dense* rest: crossed and multi-membership terms, coefficients, and the response as the
   last column.

Where the dense rest would be too large and the effects share few rows, all group terms are
eliminated together instead, by a sparse factor (`sparse_part`), and the dense part holds the
coefficients and the response alone. So they are where there is one term only whose effects share
many rows, by its eigenvalues where sigma is constant (`one_term`, `lanczos`).

Cross-products live in one flat vector ``[chain blocks | chain x dense | dense x dense]``, so
that the Schur complement of part 1 is a single product of a vector of weights and a matrix.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalbias.inference.gaussian.lanczos import LanczosTerm
from causalbias.inference.gaussian.one_term import EigenTerm, one_term_part
from causalbias.inference.gaussian.records import (
    Chain,
    Records,
    contract,
    cross_products,
    gram_of_records,
    row_records,
    scaled,
    take,
)
from causalbias.inference.gaussian.sparse_part import SparsePart, sparse_part
from causalbias.inference.membership import slabs
from causalbias.inference.problem import EngineError, FloatArray, GroupTerm, IntArray, Problem

EffectsPart = SparsePart | EigenTerm | LanczosTerm

_ROUNDING = 4 * float(np.finfo(float).eps)  # of a sum of squares, relative
_MAX_BYTES = 4 * 2**30
_SLIGHT = 200_000  # flops of an evaluation (some 50 us), about what goes on besides


@dataclass(frozen=True)
class Leading:
    """The term eliminated first, with what its levels share with the later parts, cell by cell.

    A record is a level in one of the cells in which it has rows.

    Attributes
    ----------
    term : int
    n_levels : int
    level, cell : ndarray (records,)
        Of each record, in this order.
    gram : ndarray (records, k, k)
        Weighted cross-products of the term's own columns.
    links : tuple of Records, one a coefficient
        Their chain is the problem's without the leading term itself.
    """

    term: int
    n_levels: int
    level: IntArray
    cell: IntArray
    gram: FloatArray
    links: tuple[Records, ...]

    @property
    def starts(self) -> IntArray:
        """Where each level's records begin (levels + 1,)."""
        return np.searchsorted(self.level, np.arange(self.n_levels + 1))


@dataclass(frozen=True)
class Buckets:
    """Levels of the leading term with equal blocks in equal cells.

    Eliminating a level with block ``G_c`` and links ``l_c`` (k, width) in cell c takes
    ``sum_cd w_c w_d l_c' F l_d`` from the Schur complement, with ``w_c = 1 / sigma_c^2``,
    ``F = L (I + L'GL)^-1 L'`` and ``G = sum_c w_c G_c``. F is the same throughout a bucket, so that
    its levels together take ``sum_{c<=d} w_c w_d sum_{r<=s} F_rs S_cdrs``: S_cdrs sums over them
    the products of rows r and s of the links in cells c and d, whichever has which.

    Attributes
    ----------
    gram : ndarray (cells, buckets, k, k)
    count : ndarray (buckets,)
        Number of levels.
    entry : ndarray (sums,)
        Of each S, where its F_rs is in the upper triangles of all buckets' F, one after another.
    cells : ndarray (sums, 2)
        Its c and d.
    """

    gram: FloatArray
    count: FloatArray
    entry: IntArray
    cells: IntArray


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
    cell_n : ndarray (cells,)
        Number of observations in each cell.
    stack : ndarray (cells + sums, size)
        Flat cross-products over the rows of each cell, then the sums S of the buckets.
    buckets : Buckets or None
        None where there is no leading term, or where it is the chain's first.
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
    cell_n: FloatArray
    stack: FloatArray
    buckets: Buckets | None
    chain: Chain
    dense_terms: tuple[int, ...]
    dense_rows: tuple[slice, ...]
    n_dense: int
    centre: FloatArray
    prior: Prior
    leading: Leading | None
    sparse: EffectsPart | None = None

    @cached_property
    def dense_first(self) -> IntArray:
        """First row of each dense term's effects, and the row after the last (terms + 1,)."""
        return np.array([0, *(rows.stop for rows in self.dense_rows)])

    @cached_property
    def rounding(self) -> FloatArray:
        """Rounding errors of the response's sums of squares (cells,)."""
        return np.asarray(_ROUNDING * self.by_cell[:, -1])

    @property
    def by_cell(self) -> FloatArray:
        """Flat cross-products over the rows of each cell (cells, size)."""
        return self.stack[: len(self.cell_n)]

    @property
    def total(self) -> FloatArray:
        """Flat cross-products over all rows (size,)."""
        cells = self.by_cell
        return cells[0] if len(cells) == 1 else np.asarray(cells.sum(axis=0))


def build_blocks(
    problem: Problem, cell: IntArray | None = None, *, factored: bool = False
) -> Blocks:
    """Form every cross-product of a checked problem; the only pass over its rows.

    Parameters
    ----------
    problem : Problem
    cell : ndarray (n,) of int, optional
        The cell of each row, within which sigma is the same; all are of one by default.
    factored : bool
        Whether effects are drawn at most evaluations. Then they are eliminated by a factor at any
        price, since eigenvalues and quadrature give densities fast, and draws slowly.
    """
    terms, weight = problem.terms, problem.total_weight
    lead = _leading_term(terms)
    upper = _nested_chain(terms, lead)
    dense_terms = tuple(i for i in range(len(terms)) if i != lead and i not in upper)
    centre = _least_squares(problem)
    cell = np.zeros(len(problem.y), np.int64) if cell is None else cell
    part = _together(problem, cell, dense_terms, centre, factored=factored)
    if part is not None:
        lead, upper, dense_terms = None, (), ()
    rows = row_records(problem, upper, dense_terms, centre)
    n_dense = rows.sparse.shape[1] + rows.x.shape[1]
    chain, leading, bucket_of = _chain(terms, upper), None, None
    cell_n = np.bincount(cell, problem.row_weight)
    if lead is not None:
        leading = _leading(problem, rows, cell, lead, _parents(terms, lead, upper))
        bucket_of = _bucket_of(leading, len(cell_n), chain.size(n_dense), n_dense)
    if leading is not None and bucket_of is None:
        chain = _chain(terms, (leading.term, *upper))
        rows = row_records(problem, chain.terms, dense_terms, centre)
    _check_size(chain, n_dense, len(cell_n))
    stack = _by_cell(rows, weight, cell, chain, n_dense)
    buckets = None
    if leading is not None and bucket_of is not None:
        buckets, sums = _bucket_sums(leading, bucket_of, len(cell_n), chain, n_dense)
        stack = np.vstack([stack, sums])
    return Blocks(
        n_rows=len(problem.y),
        n=float(problem.row_weight.sum()),
        half_log_weight=problem.half_log_weight,
        cell_n=cell_n,
        stack=stack,
        buckets=buckets,
        chain=chain,
        dense_terms=dense_terms,
        dense_rows=slabs([terms[i] for i in dense_terms]),
        n_dense=n_dense,
        centre=centre,
        prior=_prior(problem, centre, n_dense),
        leading=leading,
        sparse=part,
    )


def _check_size(chain: Chain, n_dense: int, cells: int) -> None:
    size = 8 * cells * chain.size(n_dense)
    if size > _MAX_BYTES:
        raise EngineError(
            f"the collapsed engine would need {size / 2**30:.0f} GiB for cross-products of "
            f"{chain.n_rows} nested effects with {n_dense} crossed ones"
            + (f" in {cells} cells of sigma" if cells > 1 else "")
            + "; sample this model by MCMC"
        )


def _by_cell(
    rows: Records, weight: FloatArray, cell: IntArray, chain: Chain, n_dense: int
) -> FloatArray:
    """Flat weighted cross-products (cells, size) over the rows of each cell."""
    found = []
    for one in range(int(cell.max()) + 1):
        some = rows if not cell.any() else take(rows, np.flatnonzero(cell == one))
        own = weight if not cell.any() else weight[cell == one]
        found.append(cross_products(some, scaled(some, own), chain, n_dense))
    return np.array(found)


def _prior(problem: Problem, centre: FloatArray, n_dense: int) -> Prior:
    flat = np.isinf(problem.beta_sd)
    scale = np.where(flat, 1.0, problem.beta_sd)
    mean = np.where(flat, 0.0, (problem.beta_mean - centre) / scale)
    precision = np.concatenate([np.ones(n_dense - 1 - len(flat)), np.where(flat, 0.0, 1.0)])
    return Prior(scale, precision, mean, float(mean @ mean), int(flat.sum()))


def _together(
    problem: Problem,
    cell: IntArray,
    dense_terms: Sequence[int],
    centre: FloatArray,
    *,
    factored: bool,
) -> EffectsPart | None:
    """All group terms at once, where that is cheaper than with some of them in the dense part."""
    sizes = [t.n_effects for t in problem.terms]
    crossed = sum(sizes[i] for i in dense_terms)
    n_dense = crossed + problem.design.shape[1] + 1
    cost = n_dense**3 / 6 + (sum(sizes) - crossed) * n_dense**2 / 2
    residual = problem.y - problem.design @ centre
    # eigenvalues are those of one matrix, whatever its scale: not of a sum by sigmas of several
    factored = factored or bool(cell.any())
    part = sparse_part(problem, cell, residual, crossed, cost, at_any_price=factored)
    return part if factored else part or one_term_part(problem, residual, crossed)


def _leading(
    problem: Problem, rows: Records, cell: IntArray, lead: int, parents: tuple[IntArray, ...]
) -> Leading:
    """The leading term's records, of the levels and cells that occur together."""
    term, weight, cells = problem.terms[lead], problem.total_weight, int(cell.max()) + 1
    keys, record = np.unique(term.codes[:, 0] * cells + cell, return_inverse=True)
    level, of_record = np.divmod(keys, cells)
    above = tuple(one[level] for one in parents)
    links = (contract(rows, term, c, weight, record, above) for c in range(term.k))
    gram = gram_of_records(term, weight, record)
    return Leading(lead, term.n_levels, level, of_record, gram, tuple(links))


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


def _bucket_of(leading: Leading, cells: int, size: int, n_dense: int) -> IntArray | None:
    """Return the bucket of each record's level; None where single levels are cheaper.

    Levels without rows are in none: given the scales they add nothing to the density.
    """
    records, k = leading.gram.shape[:2]
    flat = leading.gram.reshape(records, -1)
    scale = np.abs(flat).max(axis=0)
    levels, row = np.unique(leading.level, return_inverse=True)
    key = np.zeros((len(levels), cells, 1 + flat.shape[1]))
    # equal but for rounding: sums of the same numbers in another order count as equal
    key[row, leading.cell, 1:] = np.rint(flat / np.where(scale > 0, scale, 1.0) * 1e12)
    key[row, leading.cell, 0] = 1.0
    every, bucket = np.unique(key.reshape(len(levels), -1), axis=0, return_inverse=True)
    used = every.reshape(len(every), cells, -1)[:, :, 0].sum(axis=1)
    matrices = cells + int((used * (used + 1) / 2).sum()) * (k * (k + 1) // 2)
    alone = len(levels) * k * n_dense * (n_dense + 10 + cells)
    worth = 2 * matrices * size <= alone + _SLIGHT
    return bucket.ravel()[row] if worth and 8 * matrices * size <= _MAX_BYTES // 4 else None


def _bucket_sums(
    leading: Leading, bucket_of: IntArray, cells: int, chain: Chain, n_dense: int
) -> tuple[Buckets, FloatArray]:
    """The buckets, and the sums S (sums, size) of `Buckets`."""
    k, many = len(leading.links), int(bucket_of.max()) + 1
    gram, count = np.zeros((cells, many, k, k)), np.zeros(many)
    triangle = [(r, s) for r in range(k) for s in range(r, k)]
    entry, pairs, sums = [], [], []
    for bucket in range(many):
        inside = bucket_of == bucket
        some = {c: np.flatnonzero(inside & (leading.cell == c)) for c in range(cells)}
        some = {c: members for c, members in some.items() if len(members)}
        links = {
            (c, r): take(link, members)
            for c, members in some.items()
            for r, link in enumerate(leading.links)
        }
        for c, members in some.items():
            gram[c, bucket], count[bucket] = leading.gram[members].mean(axis=0), len(members)
            for d in (d for d in some if d >= c):
                for at, (r, s) in enumerate(triangle):
                    ways = {((c, r), (d, s)), ((c, s), (d, r)), ((d, r), (c, s)), ((d, s), (c, r))}
                    products = [
                        cross_products(links[a], links[b], chain, n_dense) for a, b in sorted(ways)
                    ]
                    sums.append(sum(products[1:], products[0]))
                    entry.append(bucket * len(triangle) + at)
                    pairs.append((c, d))
    return Buckets(gram, count, np.array(entry), np.array(pairs)), np.array(sums)
