"""Rows of an ordinal or binary problem, laid out for passes over the leading term's levels.

The *leading* term, the one with most levels among the plain intercepts (pairs, as a rule), is
integrated out level by level; its levels' rows stand side by side. What is left of the linear
predictor is sparse (the other terms' effects, one column a level and coefficient) plus a row of
the design, of which few differ in a factorial experiment: equal ones are stored once. The linear
predictor of rows' log discriminations, where there is one, is laid out beside it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse

from causalbias.inference.equal_rows import distinct_rows
from causalbias.inference.membership import effects_design, slabs
from causalbias.inference.problem import FloatArray, GroupTerm, IntArray, Predictor, Problem

_BLOCK = 64  # rows a block where no term leads


class Answers(NamedTuple):
    """What was observed, in blocks of one leading level each, as kernels take it.

    Attributes
    ----------
    start : ndarray (blocks + 1,)
    category : ndarray (n,)
    counts : ndarray (n,)
        ``count`` of `Rows`, a name that tuples have for another thing.
    """

    start: IntArray
    category: IntArray
    counts: FloatArray


class Distinct(NamedTuple):
    """The rows of a predictor that differ.

    Attributes
    ----------
    row : ndarray (distinct,)
        A row that has each.
    which : ndarray (n,)
        Which of them each row has.
    links : tuple of ndarray
        Their effects in compressed rows: starts, columns, values.
    """

    row: IntArray
    which: IntArray
    links: tuple[IntArray, IntArray, FloatArray]


@dataclass(frozen=True)
class Disc:
    """Linear predictor of the rows' log discriminations.

    Attributes
    ----------
    indptr, column, value : ndarray
        Its effects in compressed rows; columns are places among all dense effects.
    design : ndarray (m, p)
        Its rows of the design, by the code of `Rows`.
    terms : tuple of GroupTerm
    distinct : Distinct
        Its rows that differ: few, where annotators discriminate unequally.
    """

    indptr: IntArray
    column: IntArray
    value: FloatArray
    design: FloatArray
    terms: tuple[GroupTerm, ...]
    distinct: Distinct


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
        Number of the dense effects, those of the log discriminations last.
    dense : tuple of GroupTerm
        All terms but the leading one, those of the log discriminations last.
    slabs : tuple of slice
        Where each dense term's effects are, level-major.
    leading : GroupTerm or None
    n_cuts : int
        Number of categories less one.
    disc : Disc or None
        None where all rows discriminate equally.
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
    disc: Disc | None = None

    def fixed(self, beta: FloatArray) -> FloatArray:
        """Predictors (m,) or (m, draws) without effects, of coefficients (p,) or (p, draws)."""
        product = self.design @ beta
        return product + self.offset.reshape(-1, *[1] * (product.ndim - 1))

    @property
    def answers(self) -> Answers:
        """What was observed, as kernels take it."""
        return Answers(self.start, self.category, self.count)

    @property
    def width(self) -> int:
        """Number of effects that do not lead, cuts and coefficients."""
        own = 0 if self.disc is None else self.disc.design.shape[1]
        return self.n_effects + self.n_cuts + self.design.shape[1] + own

    def place(self, term: GroupTerm) -> int:
        """The place of a term among the dense ones."""
        return next(i for i, one in enumerate(self.dense) if one is term)


def build_rows(
    problem: Problem,
    n_cuts: int,
    trials: FloatArray | None = None,
    disc: Predictor | None = None,
) -> Rows:
    """Lay out a checked problem.

    Parameters
    ----------
    problem : Problem
        ``y`` in 0 .. n_cuts; successes, where ``trials`` are given.
    n_cuts : int
    trials : ndarray (n,), optional
        Of a binomial problem.
    disc : Predictor, optional
        Of the log discriminations.
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
    indptr, column, value, n_effects = _links(dense, source)
    offset, shared = problem.offset, problem.design_code
    first, code = _distinct(problem, disc)
    own = None
    if disc is not None:
        dense += disc.terms
        starts, columns, values, more = _links(disc.terms, source)
        design = np.ascontiguousarray(disc.design[first])
        distinct = _distinct_rows(disc, source, n_effects)
        own = Disc(starts, columns + n_effects, values, design, disc.terms, distinct)
        n_effects += more
    code = code[source]
    start = np.append(start, len(source)).astype(np.int64)
    return Rows(
        start=start,
        level=level.astype(np.int64),
        source=source,
        category=category,
        count=count,
        code=code,
        design=np.ascontiguousarray(problem.design[first if shared is None else shared[first]]),
        offset=np.zeros(len(first)) if offset is None else offset[first],
        shared_code=bool((code == np.repeat(code[start[:-1]], np.diff(start))).all()),
        indptr=indptr,
        column=column,
        value=value,
        n_effects=n_effects,
        dense=dense,
        slabs=slabs(dense),
        leading=leading,
        n_cuts=n_cuts,
        disc=own,
    )


def _links(
    terms: tuple[GroupTerm, ...], source: IntArray
) -> tuple[IntArray, IntArray, FloatArray, int]:
    """Effects of terms in rows, as compressed rows (starts, columns, values), and their number."""
    if not terms:
        return np.zeros(len(source) + 1, np.int64), np.zeros(0, np.int64), np.zeros(0), 0
    links = sparse.hstack([effects_design(t) for t in terms], format="csr")[source]
    column, value = links.indices.astype(np.int64), links.data.astype(float)
    return links.indptr.astype(np.int64), column, value, int(links.shape[1])


def _distinct_rows(predictor: Predictor, source: IntArray, n_before: int) -> Distinct:
    """The rows of a predictor that differ, whose effects come after others."""
    parts = [part for t in predictor.terms for part in (t.codes, t.columns, t.weights)]
    row, which = distinct_rows(np.column_stack([predictor.design, *parts])[source].astype(float))
    starts, columns, values, _ = _links(predictor.terms, source[row])
    return Distinct(row, which, (starts, columns + n_before, values))


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


def _distinct(problem: Problem, disc: Predictor | None) -> tuple[IntArray, IntArray]:
    """Return the first row of each distinct row of the designs, and each row's place among them.

    Of rows of the design with their offsets and with what log discriminations depend on.
    """
    beside = [] if problem.offset is None else [problem.offset]
    beside += [] if disc is None else [disc.design]
    shared = problem.design_code
    if beside:
        mean = problem.design if shared is None else shared
        return distinct_rows(np.column_stack([mean, *beside]))
    if shared is None:
        return distinct_rows(problem.design)
    _, first, code = np.unique(shared, return_index=True, return_inverse=True)
    return first, code
