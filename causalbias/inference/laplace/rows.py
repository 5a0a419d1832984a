"""Rows of an ordinal or binary problem, laid out for passes over the leading term's levels.

The *leading* term, the one with most levels among the plain intercepts (pairs, as a rule), is
integrated out level by level; its levels' rows stand side by side. What is left of the linear
predictor is sparse (the other terms' effects, one column a level and coefficient) plus a row of
the design, of which few differ in a factorial experiment: equal ones are stored once.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from causalbias.inference.membership import effects_design, slabs
from causalbias.inference.problem import FloatArray, GroupTerm, IntArray, Problem

_BLOCK = 64  # rows a block where no term leads


@dataclass(frozen=True)
class Rows:
    """n rows in blocks of one leading level each.

    Attributes
    ----------
    start : ndarray (blocks + 1,)
        First row of each block.
    level : ndarray (blocks,)
        The leading term's level of each block.
    source : ndarray (n,)
        Where each row stood in the problem; a binomial row stands here once for its successes
        and once for its failures.
    category : ndarray (n,)
        0 .. n_cuts.
    count : ndarray (n,)
        Equal observations the row stands for.
    code : ndarray (n,)
        The row's row of ``design``.
    design : ndarray (m, p)
        The rows of the design that differ, or whose offsets do.
    offset : ndarray (m,)
        What is added to each.
    shared_code : bool
        Whether all rows of a block have one code, as where a pair is one cell of the design.
    indptr, column, value : ndarray
        The dense terms' effects in the linear predictor, in compressed rows.
    n_effects : int
        Number of these effects.
    dense : tuple of GroupTerm
    slabs : tuple of slice
        Where each dense term's effects are, level-major.
    leading : GroupTerm or None
    n_cuts : int
        Number of categories less one.
    """

    start: IntArray
    level: IntArray
    source: IntArray
    category: IntArray
    count: FloatArray
    code: IntArray
    design: FloatArray
    offset: FloatArray
    shared_code: bool
    indptr: IntArray
    column: IntArray
    value: FloatArray
    n_effects: int
    dense: tuple[GroupTerm, ...]
    slabs: tuple[slice, ...]
    leading: GroupTerm | None
    n_cuts: int

    def fixed(self, beta: FloatArray) -> FloatArray:
        """Predictors (m,) or (m, draws) without effects, of coefficients (p,) or (p, draws)."""
        product = self.design @ beta
        return product + self.offset.reshape(-1, *[1] * (product.ndim - 1))

    @property
    def width(self) -> int:
        """Number of effects that do not lead, cuts and coefficients."""
        return self.n_effects + self.n_cuts + self.design.shape[1]

    def place(self, term: GroupTerm) -> int:
        """The place of a term among the dense ones."""
        return next(i for i, one in enumerate(self.dense) if one is term)


def build_rows(problem: Problem, n_cuts: int, trials: FloatArray | None = None) -> Rows:
    """Lay out a checked problem.

    Parameters
    ----------
    problem : Problem
        ``y`` in 0 .. n_cuts; successes, where ``trials`` are given.
    n_cuts : int
    trials : ndarray (n,), optional
        Of a binomial problem.
    """
    lead = _leading_term(problem.terms)
    leading = None if lead is None else problem.terms[lead]
    dense = tuple(t for i, t in enumerate(problem.terms) if i != lead)
    source, category, count = _observations(problem, trials)
    if leading is not None:
        source_level = leading.codes[source, 0]
        order = np.argsort(source_level, kind="stable")
        level, start = np.unique(source_level[order], return_index=True)
    else:
        order, start = np.arange(len(source)), np.arange(0, len(source), _BLOCK)
        level = np.arange(len(start))
    source, category, count = source[order], category[order], count[order]
    pieces = [effects_design(t) for t in dense]
    links = sparse.hstack(pieces, format="csr")[source] if pieces else None
    offset = problem.offset
    first, code = _distinct(
        problem.design if offset is None else np.column_stack([problem.design, offset])
    )
    code = code[source]
    start = np.append(start, len(source)).astype(np.int64)
    return Rows(
        start=start,
        level=level.astype(np.int64),
        source=source,
        category=category,
        count=count,
        code=code,
        design=np.ascontiguousarray(problem.design[first]),
        offset=np.zeros(len(first)) if offset is None else offset[first],
        shared_code=bool((code == np.repeat(code[start[:-1]], np.diff(start))).all()),
        indptr=np.zeros(len(source) + 1, np.int64)
        if links is None
        else links.indptr.astype(np.int64),
        column=np.zeros(0, np.int64) if links is None else links.indices.astype(np.int64),
        value=np.zeros(0) if links is None else links.data.astype(float),
        n_effects=0 if links is None else int(links.shape[1]),
        dense=dense,
        slabs=slabs(dense),
        leading=leading,
        n_cuts=n_cuts,
    )


def _leading_term(terms: tuple[GroupTerm, ...]) -> int | None:
    """The term with most levels among plain intercepts; None where there is none."""
    plain = [
        i
        for i, t in enumerate(terms)
        if t.codes.shape[1] == 1
        and t.k == 1
        and bool((t.columns == 1).all() and (t.weights == 1).all())
    ]
    return max(plain, key=lambda i: terms[i].n_levels, default=None)


def _observations(
    problem: Problem, trials: FloatArray | None
) -> tuple[IntArray, IntArray, FloatArray]:
    """Return source row, category and count of every row that stands for an observation."""
    every = np.arange(len(problem.y))
    if trials is None:
        return every, problem.y.astype(np.int64), problem.row_weight.astype(float)
    counts = np.column_stack([trials - problem.y, problem.y]) * problem.row_weight[:, None]
    source, category = np.nonzero(counts)
    return source, category, counts[source, category]


def _distinct(design: FloatArray) -> tuple[IntArray, IntArray]:
    """Return the first row of each distinct row of the design, and each row's place among them."""
    n, p = design.shape
    odd = np.random.default_rng(1).integers(0, 2**63, max(p, 1), dtype=np.uint64) | np.uint64(1)
    bits = (np.ascontiguousarray(design) + 0.0).view(np.uint64)
    mixed = np.zeros(n, np.uint64)
    for j in range(p):
        mixed = (mixed ^ bits[:, j]) * odd[j]
        mixed ^= mixed >> np.uint64(29)
    _, first, code = np.unique(mixed, return_index=True, return_inverse=True)
    if not np.array_equal(design[first][code], design):  # two rows of one hash
        first = code = every = np.arange(n)
        return every, every
    return first, code
