"""Equal rows of a problem as one row that counts several times."""

from dataclasses import replace

import numpy as np
import pandas as pd

from causalbias.inference.problem import FloatArray, GroupTerm, IntArray, Problem


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
    columns = [problem.y, *problem.design.T]
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
        design=problem.design[rows],
        terms=tuple(map(of, problem.terms)),
        row_weight=weight,
        row_precision=None if problem.row_precision is None else problem.row_precision[rows],
        offset=None if problem.offset is None else problem.offset[rows],
    )
