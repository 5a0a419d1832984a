"""Equal rows of a problem as one row that counts several times; equal rows of a design once."""

from dataclasses import replace

import numpy as np
import pandas as pd

from causalbias.inference.problem import FloatArray, GroupTerm, IntArray, Problem
from causalbias.io.memory import chunks


def merge_equal_rows(problem: Problem) -> tuple[Problem, IntArray]:
    """Merge rows that agree in all but their number; the likelihood is the same.

    Worth it for ordinal and binary responses, of which many rows are equal; a Gaussian response
    seldom repeats.

    Parameters
    ----------
    problem : Problem
        Of n rows.

    Returns
    -------
    merged : Problem
        Of distinct rows, in order of first appearance; `row_weight` adds up.
    row_of : ndarray (n,)
        The merged row of each row: ``values[row_of]`` lays values of merged rows out again.

    Examples
    --------
    >>> y, x = np.array([1.0, 0.0, 1.0]), np.ones((3, 1))
    >>> merged, row_of = merge_equal_rows(Problem(y, x, np.zeros(1), np.ones(1), (), np.ones(3)))
    >>> merged.row_weight.tolist(), row_of.tolist()
    ([2.0, 1.0], [0, 1, 0])
    """
    shared = problem.design_code
    columns = [problem.y, *(problem.design.T if shared is None else [shared])]
    if problem.row_precision is not None:
        columns.append(problem.row_precision)
    if problem.offset is not None:
        columns.append(problem.offset)
    columns += [column for one in problem.further for column in one.design.T]
    for term in (*problem.terms, *(term for one in problem.further for term in one.terms)):
        columns += [*term.columns.T, *term.codes.T, *term.weights.T]
    row_of = np.zeros(len(problem.y), np.int64)
    for column in columns:
        codes = pd.factorize(column)[0]
        row_of = pd.factorize(row_of * (codes.max() + 1) + codes)[0].astype(np.int64)
    first = np.unique(row_of, return_index=True)[1]
    weight = np.bincount(row_of, problem.row_weight)
    return _rows(problem, first, weight), row_of


def share_design(problem: Problem) -> Problem:
    """Store equal rows of the design once, where that leaves fewer than half of them.

    In a factorial experiment few rows of the design differ, and judgements of one pair have all
    predictors in common: of many rows the design is else most of the problem.

    Parameters
    ----------
    problem : Problem
        Of n rows.

    Returns
    -------
    Problem
        With a ``design_code``, or as it was.

    Examples
    --------
    >>> x = np.repeat([[1.0, 0.0], [1.0, 2.0]], 3, axis=0)
    >>> made = share_design(Problem(np.zeros(6), x, np.zeros(2), np.ones(2), (), np.ones(6)))
    >>> made.design.shape, bool((made.design[made.design_code] == x).all())
    ((2, 2), True)
    """
    if problem.design_code is not None:
        return problem
    first, code = distinct_rows(problem.design)
    if len(first) > 0.5 * len(code):
        return problem
    return replace(problem, design=problem.design[first], design_code=code)


def distinct_rows(design: FloatArray) -> tuple[IntArray, IntArray]:
    """Return the first row of each distinct row of a design, and each row's place among them.

    Parameters
    ----------
    design : ndarray (n, p)

    Returns
    -------
    first : ndarray (m,)
    code : ndarray (n,)
        ``design[first][code]`` is the design.

    Examples
    --------
    >>> first, code = distinct_rows(np.array([[1.0], [3.0], [1.0]]))
    >>> np.array([[1.0], [3.0], [1.0]])[first][code].tolist()
    [[1.0], [3.0], [1.0]]
    """
    n, p = design.shape
    odd = np.random.default_rng(1).integers(0, 2**63, max(p, 1), dtype=np.uint64) | np.uint64(1)
    mixed = np.zeros(n, np.uint64)
    for j in range(p):
        mixed = (mixed ^ (design[:, j] + 0.0).view(np.uint64)) * odd[j]
        mixed ^= mixed >> np.uint64(29)
    _, first, code = np.unique(mixed, return_index=True, return_inverse=True)
    distinct = design[first]
    parts = chunks(n, 8 * p)
    if not all(np.array_equal(distinct[code[part]], design[part]) for part in parts):
        # two rows of one hash
        every = np.arange(n)
        return every, every
    return first, code


def _rows(problem: Problem, rows: IntArray, weight: FloatArray) -> Problem:
    def of(term: GroupTerm) -> GroupTerm:
        return replace(
            term, columns=term.columns[rows], codes=term.codes[rows], weights=term.weights[rows]
        )

    further = tuple(
        replace(one, design=one.design[rows], terms=tuple(map(of, one.terms)))
        for one in problem.further
    )
    return replace(
        problem,
        further=further,
        y=problem.y[rows],
        design=problem.design if problem.design_code is not None else problem.design[rows],
        design_code=None if problem.design_code is None else problem.design_code[rows],
        terms=tuple(map(of, problem.terms)),
        row_weight=weight,
        row_precision=None if problem.row_precision is None else problem.row_precision[rows],
        offset=None if problem.offset is None else problem.offset[rows],
    )
