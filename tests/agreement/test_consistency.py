"""Error consistency: known values, invariances, coverage over seeds."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalbias as cb
from causalbias import DataError


def frame_of(first, second, seeds):
    return pd.DataFrame({"one": np.array(first, bool), "two": np.array(second, bool), "s": seeds})


def test_a_table_by_hand():
    """By hand: observed (60 + 10)/100, expected 0.7 * 0.8 + 0.3 * 0.2."""
    counts = {(1, 1): 60, (1, 0): 10, (0, 1): 20, (0, 0): 10}
    one = np.repeat([key[0] for key in counts], list(counts.values()))
    two = np.repeat([key[1] for key in counts], list(counts.values()))
    found = cb.agreement.error_consistency(
        frame_of(one, two, range(100)), "one", "two", clusters="s"
    ).iloc[0]
    expected = 0.7 * 0.8 + 0.3 * 0.2
    assert found["observed"] == pytest.approx(0.70)
    assert found["kappa"] == pytest.approx((0.70 - expected) / (1 - expected))


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_kappa_is_symmetric_at_most_one_and_blind_to_what_is_right(seed):
    rng = np.random.default_rng(seed)
    rows = frame_of(rng.random(60) < 0.7, rng.random(60) < 0.5, np.arange(60) % 12)
    one = cb.agreement.error_consistency(rows, "one", "two", clusters="s")["kappa"][0]
    other = cb.agreement.error_consistency(rows, "two", "one", clusters="s")["kappa"][0]
    turned = rows.assign(one=~rows["one"], two=~rows["two"])
    again = cb.agreement.error_consistency(turned, "one", "two", clusters="s")["kappa"][0]
    assert one == pytest.approx(other)
    assert one == pytest.approx(again)
    assert one <= 1
    assert cb.agreement.error_consistency(rows, "one", "one", clusters="s")["kappa"][
        0
    ] == pytest.approx(1)


@pytest.mark.slow
def test_intervals_hold_the_truth_at_their_rate():
    """Errors shared through seeds: intervals that resample seeds cover, those of pairs do not."""
    rng = np.random.default_rng(3)
    hit = {"seeds": 0, "pairs": 0}
    studies, seeds, each = 100, 40, 10

    def draw(many):
        of_seed = np.repeat(rng.normal(0, 1, many), each)
        one, two = (of_seed + rng.normal(0, 0.6, many * each) < 0.8 for _ in "ab")
        return frame_of(one, two, np.repeat(np.arange(many), each))

    large = draw(20_000)
    same = (large["one"] == large["two"]).mean()
    chance = sum((large["one"] == v).mean() * (large["two"] == v).mean() for v in (True, False))
    truth = (same - chance) / (1 - chance)
    for _ in range(studies):
        rows = draw(seeds).assign(row=np.arange(seeds * each))
        for name, column in (("seeds", "s"), ("pairs", "row")):
            found = cb.agreement.error_consistency(
                rows, "one", "two", clusters=column, prob=0.9
            ).iloc[0]
            hit[name] += found["lower"] <= truth <= found["upper"]
    # Binomial(100, 0.9) is 90, sd 3; percentile intervals of 40 clusters fall a little short.
    assert hit["seeds"] >= 79
    assert hit["pairs"] < hit["seeds"] - 8


def test_of_a_pair_of_two_seeds_both_are_resampled():
    rng = np.random.default_rng(4)
    rows = pd.DataFrame(rng.integers(0, 15, (300, 2)), columns=["a", "b"])
    rows = rows.assign(one=rng.random(300) < 0.8, two=rng.random(300) < 0.8, k=np.arange(300) % 2)
    found = cb.agreement.error_consistency(rows, "one", "two", clusters=["a", "b"], by="k")
    assert found["k"].tolist() == [0, 1]
    assert found["n"].tolist() == [150, 150]
    assert (found["lower"] < found["kappa"]).all()
    assert (found["kappa"] < found["upper"]).all()


def test_a_pair_of_one_seed_counts_as_often_as_its_seed():
    rng = np.random.default_rng(5)
    rows = frame_of(rng.random(120) < 0.6, rng.random(120) < 0.6, np.repeat(np.arange(30), 4))
    rows = rows.assign(again=rows["s"])
    one, two = (
        cb.agreement.error_consistency(rows, "one", "two", clusters=each)
        for each in ("s", ["s", "again"])
    )
    pd.testing.assert_frame_equal(one, two)


def test_no_error_leaves_nothing_to_agree_on():
    rows = frame_of([1] * 6, [1] * 6, range(6))
    assert np.isnan(cb.agreement.error_consistency(rows, "one", "two", clusters="s")["kappa"][0])


def test_refusals():
    rows = frame_of([1, 0], [1, 1], [0, 1])
    with pytest.raises(DataError, match="use one of one, two, s"):
        cb.agreement.error_consistency(rows, "one", "nope", clusters="s")
    with pytest.raises(DataError, match="True where the judge was right"):
        cb.agreement.error_consistency(rows.assign(two=[1.0, 0.0]), "one", "two", clusters="s")


def test_missing_groups_are_nobody_and_missing_seeds_are_refused():
    rows = frame_of([1, 0, 1, 1] * 3, [1, 0, 0, 1] * 3, ["01", "1", "2"] * 4)
    rows = rows.assign(g=pd.Categorical(["x", None, "x", "y"] * 3, ["z", "y", "x"], ordered=True))
    found = cb.agreement.error_consistency(rows, "one", "two", clusters="s", by="g")
    assert found["g"].tolist() == ["y", "x"]
    assert found.attrs["left_out"] == 3
    assert found["n"].tolist() == [3, 6]
    assert cb.agreement.error_consistency(rows, "one", "two", clusters="s")["clusters"][0] == 3
    with pytest.raises(DataError, match="row 2: the seed is missing"):
        cb.agreement.error_consistency(rows.assign(s=["a", None] * 6), "one", "two", clusters="s")


@pytest.mark.parametrize("kind", ["boolean", "bool[pyarrow]", object])
def test_truths_of_any_type_are_truths_and_a_missing_one_is_named(kind):
    plain = pd.DataFrame({"seed": range(8), "human": [1, 1, 0, 0] * 2, "net": [1, 1, 0, 1] * 2})
    plain = plain.astype({"human": bool, "net": bool})
    told = cb.agreement.error_consistency(plain, "human", "net", clusters="seed")
    other = plain.astype({"human": kind, "net": kind})
    again = cb.agreement.error_consistency(other, "human", "net", clusters="seed")
    pd.testing.assert_frame_equal(again, told)
    other.loc[2, "net"] = None
    with pytest.raises(cb.DataError, match="column 'net', row 3"):
        cb.agreement.error_consistency(other, "human", "net", clusters="seed")
