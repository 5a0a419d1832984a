"""Rows that are censored or truncated, as rows of one kind: log masses between two ends.

With F the distribution function given eta, a row that was observed has the log density
``log f(y)``, one that is censored ``log(F(high) - F(low))``, and either, where no row outside of
``lb`` and ``ub`` was reported, less ``log(F(ub) - F(lb))``. The last is a row of weight minus one:
log likelihoods are sums over rows of their weight times a function of eta.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from causalbias.inference.problem import FloatArray, GroupTerm, IntArray, Problem


@dataclass(frozen=True)
class Ends:
    """What is known of the responses of rows, all (rows,).

    Attributes
    ----------
    censored : ndarray of bool
    low, high : ndarray
        Ends between which the response of a censored row lies; not read of others.
    lb, ub : ndarray
        Bounds beyond which no row was reported; infinite where there are none.
    """

    censored: NDArray[np.bool_]
    low: FloatArray
    high: FloatArray
    lb: FloatArray
    ub: FloatArray


def rows_of_masses(problem: Problem, ends: Ends) -> tuple[Problem, FloatArray]:
    """The problem with a row for each density or mass, and the ends (rows, 2) of masses.

    Ends of a row that was observed are in the wrong order: above infinity, and below minus
    infinity. The response of a mass is an end of it.

    Examples
    --------
    >>> one = np.ones(2)
    >>> plain = Problem(np.array([0.3, 1.0]), one[:, None], one[:0], one[:0], (), one)
    >>> right = Ends(np.array([False, True]), one, np.inf * one, -np.inf * one, 2 * one)
    >>> found, known = rows_of_masses(plain, right)
    >>> found.y.tolist(), found.row_weight.tolist(), known.tolist()[:2]
    ([0.3, 1.0, 0.3, 1.0], [1.0, 1.0, -1.0, -1.0], [[inf, -inf], [1.0, inf]])
    """
    bounded = np.flatnonzero(np.isfinite(ends.lb) | np.isfinite(ends.ub))
    at = np.concatenate([np.arange(len(problem.y)), bounded])
    sign = np.repeat([1.0, -1.0], [len(problem.y), len(bounded)])
    low = np.concatenate([np.where(ends.censored, ends.low, np.inf), ends.lb[bounded]])
    high = np.concatenate([np.where(ends.censored, ends.high, -np.inf), ends.ub[bounded]])
    y = problem.y[at]
    own = (low <= high) & (sign > 0)
    y = np.where(own, np.where(np.isfinite(low), low, high), y)
    made = replace(
        problem,
        y=y,
        design=problem.design[at],
        terms=tuple(_of_rows(term, at) for term in problem.terms),
        row_weight=sign * problem.row_weight[at],
        further=tuple(replace(one, design=one.design[at]) for one in problem.further),
        offset=None if problem.offset is None else problem.offset[at],
    )
    return made, np.column_stack([low, high])


def _of_rows(term: GroupTerm, at: IntArray) -> GroupTerm:
    return replace(term, columns=term.columns[at], codes=term.codes[at], weights=term.weights[at])
