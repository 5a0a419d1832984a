"""The calibration suite in small: its cases run, and gross miscalibration fails.

Bounds are those that a right model passes with all but one chance in 10,000 (binomial).
"""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.calibration import coverage, records, sbc, uniform
from benchmarks.calibration.intervals import PROBS, of_table
from benchmarks.calibration.intervals import coverage as coverage_of

CHANCE = 1e-4


def too_many(missed, n, chance):
    """Whether so many misses of n would be seen less than once in 10,000."""
    return stats.binom.sf(missed - 1, n, chance) < CHANCE


def share_outside(cases, replicates):
    """Ranks in the outer tenth, pooled over the parameters of some cases."""
    ranks = [
        rank
        for name in cases
        for replicate in range(replicates)
        for quantity, rank in sbc.CASES[name](10_000 + replicate).items()
        if quantity not in sbc.TOLD
    ]
    outside = (np.array(ranks) < 5) | (np.array(ranks) > 94)
    return int(outside.sum()), len(ranks)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", ["collapsed, gaussian, correlated slopes", "laplace, cumulative, logit"]
)
def test_ranks_of_the_truth_are_not_piled_up_at_the_ends(case):
    outside, n = share_outside([case], 15)
    assert not too_many(outside, n, 0.1), (outside, n)
    assert not too_many(n - outside, n, 0.9), (outside, n)


@pytest.mark.slow
def test_every_other_case_of_ranks_runs():
    seen = ("slopes", "laplace, cumulative, logit", "NUTS")  # NUTS compiles for seconds: one of it
    alike = {f"laplace, {name}" for name in sbc.OWN} - {"laplace, t"}  # one code, other densities
    cases = [name for name in sbc.CASES if name not in alike and not any(s in name for s in seen)]
    outside, n = share_outside([*cases, "NUTS, beta"], 1)
    assert n > 80
    assert not too_many(outside, n, 0.1), (outside, n)


REPLICATES = {
    "gaussian": 3,
    "ordinal": 3,
    "binary": 4,
    "joint": 2,
    "release": 1,
    "wrong": 1,
    "remedied skewness": 1,
    "rates": 4,
}


@pytest.mark.slow
@pytest.mark.parametrize("case", [one for one in coverage.CASES if one != "healed"])
def test_intervals_of_every_case_hold_the_truth(case):
    """99% intervals, for which three studies tell something; estimands at their end left out."""
    found = [
        one
        for replicate in range(REPLICATES.get(case, 8))
        for one in coverage.CASES[case].one(10_000 + replicate)
        if "equal rates" not in one[0] and "noticed" not in one[0]
    ]
    missed = sum(one[3][PROBS.index(0.99)] == "0" for one in found)
    # Intervals of one study go together: as if there were a third as many.
    assert not too_many(missed // 3, len(found) // 3, 0.01), (missed, len(found))


def test_the_ecdf_test_has_its_level():
    rng = np.random.default_rng(3)
    p_values = [uniform.uniformity(rng.integers(0, 100, 50))[1] for _ in range(2000)]
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


def test_the_envelope_is_left_as_often_as_it_says():
    low, high = uniform.envelope(80)
    rng, left = np.random.default_rng(4), 0
    for _ in range(2000):
        ecdf = uniform.binned(rng.integers(0, 100, 80)).cumsum()[:-1] / 80
        left += bool(((ecdf < low) | (ecdf > high)).any())
    assert left / 2000 < 0.05  # seen at 19 of the 99 ranks that it is for


def test_wrong_ranks_are_found_and_right_ones_pass():
    rng = np.random.default_rng(2)
    right = rng.integers(0, 100, 200)
    normal = rng.standard_normal((200, 100))
    narrow = (0.7 * normal[:, 1:] < normal[:, :1]).sum(axis=1)
    shifted = (normal[:, 1:] + 0.4 < normal[:, :1]).sum(axis=1)
    assert min(uniform.uniformity(right)) > 0.01
    assert max(uniform.uniformity(narrow)) < 0.001
    assert uniform.uniformity(shifted)[1] < 0.001


def test_coverage_counts_and_its_interval_grows_with_dependence():
    table = pd.DataFrame({"estimate": [0.0], "lower": [-1.0], "upper": [1.0]})
    held = of_table("x", lambda prob: table * stats.norm.ppf((1 + prob) / 2), lambda _: 1.0)
    assert held == [("x", 1.0, 0.0, "0111", 0)]
    apart = pd.DataFrame({"study": range(100), "held": ["0111"] * 90 + ["0001"] * 10})
    together = apart.assign(study=np.repeat(range(10), 10))
    one, other = coverage_of(apart), coverage_of(together)
    assert one["90"] == other["90"] == 0.9
    assert other["90 low"] < one["90 low"] < 0.9 < one["90 high"] < other["90 high"]


def test_a_run_that_was_killed_goes_on(tmp_path):
    path, asked = tmp_path / "case.jsonl", []

    def one(replicate):
        asked.append(replicate)
        return [replicate]

    records.run(path, 3, one)
    whole = path.read_text()
    path.write_text(whole[:-4])  # killed while it wrote the last
    assert records.run(path, 5, one) == {k: [k] for k in range(5)}
    assert sorted(asked) in ([0, 0, 1, 2, 3, 4], [0, 1, 1, 2, 3, 4], [0, 1, 2, 2, 3, 4])
    assert len([json.loads(line) for line in path.read_text().splitlines() if line[-1] == "]"]) == 5


@pytest.mark.slow
def test_intervals_of_the_consensus_hold_the_items_means():
    """They held 80% of them when the items' distribution was the likeliest one, a few points."""
    held = [
        one[3][PROBS.index(0.9)] == "1"
        for replicate in range(10)
        for one in coverage.CASES["people"].one(replicate)
        if one[0].startswith("graded_response")
    ]
    assert 0.86 < np.mean(held) < 0.96


def test_cases_that_were_run_elsewhere_keep_their_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    records.write(pd.DataFrame({"case": ["b", "c"], "studies": [1, 1]}), "few", "abc")
    records.write(pd.DataFrame({"case": ["c", "a"], "studies": [2, 2]}), "few", "abc")
    found = pd.read_csv(tmp_path / "few.csv")
    assert found.to_dict("list") == {"case": ["a", "b", "c"], "studies": [2, 1, 2]}
