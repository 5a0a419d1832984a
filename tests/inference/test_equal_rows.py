"""Equal rows merged to counts: nothing is lost, and nothing merged that differs."""

from dataclasses import replace

import numpy as np
import pytest

from causalbias.inference.checks import check_problem
from causalbias.inference.equal_rows import merge_equal_rows, share_design
from causalbias.inference.gaussian.blocks import build_blocks
from causalbias.inference.gaussian.density import eliminate
from causalbias.inference.problem import EngineError, Problem
from causalbias.inference.scales import n_theta, unpack
from tests.inference.gaussian_cases import (
    counted,
    crossed_unbalanced,
    half_normal,
    multi_member,
    problem,
    taken,
    term,
    written_out,
)


def log_marginals(p: Problem) -> list[float]:
    made = build_blocks(p)
    scales = unpack(
        np.random.default_rng(1).normal(size=(3, n_theta(p.terms))), p.terms, half_normal
    )
    found = [
        eliminate(made, scales.sigma[i], scales.factors(i), np.empty_like(made.total))
        for i in range(3)
    ]
    return [one.log_marginal for one in found if one is not None]


def test_the_marginal_likelihood_stays():
    p = written_out(counted())
    merged, row_of = merge_equal_rows(p)
    assert len(merged.y) <= 60 < len(p.y)
    assert merged.row_weight.sum() == len(p.y)
    assert log_marginals(merged) == pytest.approx(log_marginals(p), abs=1e-8)
    np.testing.assert_array_equal(merged.y[row_of], p.y)
    np.testing.assert_array_equal(merged.design[row_of], p.design)
    np.testing.assert_array_equal(merged.terms[0].codes[row_of], p.terms[0].codes)


@pytest.mark.parametrize("case", [crossed_unbalanced, multi_member])
def test_rows_that_differ_stay_apart(case):
    p = case()
    order = np.random.default_rng(0).permutation(np.tile(np.arange(len(p.y)), 3))
    merged, row_of = merge_equal_rows(taken(p, order))
    assert len(merged.y) == len(p.y)
    assert (merged.row_weight == 3).all()
    np.testing.assert_array_equal(merged.y[row_of], p.y[order])


DIFFERENCES = {
    "response": lambda p: replace(p, y=np.array([0.0, 1.0])),
    "design": lambda p: replace(p, design=np.array([[0.0], [1.0]])),
    "precision": lambda p: replace(p, row_precision=np.array([1.0, 2.0])),
    "level": lambda p: replace(p, terms=(replace(p.terms[0], codes=np.array([[0], [1]])),)),
    "column": lambda p: replace(p, terms=(replace(p.terms[0], columns=np.array([[1.0], [2.0]])),)),
    "weights": lambda p: replace(p, terms=(replace(p.terms[0], weights=np.array([[1.0], [2.0]])),)),
}


@pytest.mark.parametrize("what", DIFFERENCES)
def test_one_difference_is_enough(what):
    ones = np.ones((2, 1))
    p = problem(np.zeros(2), ones, [term("1|g", ones, np.zeros(2), 2)])
    assert merge_equal_rows(p)[0].row_weight.tolist() == [2.0]
    assert merge_equal_rows(DIFFERENCES[what](p))[0].row_weight.tolist() == [1.0, 1.0]


def test_a_design_stored_once_merges_the_same_rows():
    p = written_out(counted())
    merged, row_of = merge_equal_rows(p)
    shared = share_design(p)
    again, of_shared = merge_equal_rows(shared)
    np.testing.assert_array_equal(of_shared, row_of)
    np.testing.assert_array_equal(again.design[again.design_code], merged.design)
    np.testing.assert_array_equal(again.row_weight, merged.row_weight)


def test_a_design_of_rows_that_differ_stays():
    p = crossed_unbalanced()
    p = replace(p, design=np.arange(len(p.y), dtype=float)[:, None])
    assert share_design(p) is p


def test_an_engine_of_whole_designs_refuses_codes():
    with pytest.raises(EngineError, match="row of the design for each row"):
        check_problem(share_design(written_out(counted())))
