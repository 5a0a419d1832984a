"""Skew@k, NDKL and association tests: by hand, their invariances, untidy input."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.rates import association_test, associations, ndkl, ranking_indices, skew_at_k


def test_skew_is_the_one_by_hand():
    # First four: a a b a. All: three of each.
    scores, groups = [9, 8, 7, 6, 5, 4], list("aababb")
    found = skew_at_k(scores, groups, 4)
    np.testing.assert_allclose(found[["a", "b"]], np.log([0.75 / 0.5, 0.25 / 0.5]))
    assert skew_at_k(scores, groups, 2)["b"] == -np.inf
    np.testing.assert_allclose(skew_at_k(scores, groups, 6), 0)


def test_ndkl_is_the_one_by_hand():
    # Shares of a: 1, 1, 2/3, 1/2; of all one half; weights 1, 1/log2(3), 1/2, 1/log2(5).
    weight = np.array([1, 1 / np.log2(3), 1 / 2, 1 / np.log2(5)])
    third = 2 / 3 * np.log(4 / 3) + 1 / 3 * np.log(2 / 3)
    wanted = weight @ [np.log(2), np.log(2), third, 0] / weight.sum()
    assert ndkl([4, 3, 2, 1], list("aabb")) == pytest.approx(wanted)


def test_equal_scores_and_the_order_of_rows_are_no_matter():
    assert ndkl([1, 1, 1, 1], list("abab")) == pytest.approx(0)
    half = skew_at_k([2, 1, 1, 0], list("abab"), 2)  # 1 a, and half of each of the tied
    np.testing.assert_allclose(half[["a", "b"]], np.log([1.5 / 2 / 0.5, 0.5 / 2 / 0.5]))
    random = np.random.default_rng(1)
    scores, groups = random.integers(0, 9, 40), random.choice(list("abc"), 40)
    order = random.permutation(40)
    assert ndkl(scores, groups) == pytest.approx(ndkl(scores[order], groups[order]))
    named = pd.Categorical(groups, list("cdba"))
    again = skew_at_k(scores, pd.Series(named, index=range(5, 45)), 9)
    assert list(again.index) == ["c", "b", "a"]  # the unused level is none
    np.testing.assert_allclose(again[list("abc")], skew_at_k(scores, groups, 9))


def test_intervals_of_rankings_are_over_seeds():
    random = np.random.default_rng(2)
    seeds, groups = np.repeat(np.arange(30), 4), np.tile(list("aabb"), 30)
    scores = random.normal(size=30)[seeds] + 1.5 * (groups == "a") + random.normal(size=120)
    found = ranking_indices(scores, groups, seeds, 30).set_index(["measure", "group"])
    skew = found.loc[("skew@30", "a")]
    assert 0 < skew["lower"] < skew["estimate"] < skew["upper"]
    assert skew["estimate"] == pytest.approx(skew_at_k(scores, groups, 30)["a"])
    assert found.loc[("NDKL", ""), "estimate"] > found.loc[("NDKL", ""), "chance"]
    # A group that is of whole seeds is known less well than if each image were a seed.
    whole = np.where(seeds % 2, "a", "b")
    of_seeds, of_images = (
        ranking_indices(np.floor(3 * scores), whole, one, 30) for one in (seeds, np.arange(120))
    )
    width = [(one["upper"] - one["lower"])[0] for one in (of_seeds, of_images)]
    assert width[0] > 1.2 * width[1]
    assert (of_seeds["seeds"] == 30).all()
    assert (of_images["seeds"] == 120).all()


def test_an_association_test_is_the_one_by_hand():
    # s = 3, 4 | 1, 2: difference 2, sd sqrt(5/3); of six divisions one is as large.
    found = association_test([3, 4], [1, 2])
    assert found["effect_size"] == pytest.approx(2 / np.sqrt(5 / 3))
    assert found["p"] == pytest.approx(1 / 6)
    assert found["exact"]
    reverse = association_test([1, 2], [3, 4])
    assert reverse["effect_size"] == pytest.approx(-found["effect_size"])
    assert reverse["p"] == 1
    # s(w) = cos(w, a) - mean of cos(w, b): b at 90 and at 0 degrees from a.
    root = np.sqrt(0.5)
    made = associations([[5, 5], [0, 2]], a=[[1, 0]], b=[[0, 1], [3, 0]])
    np.testing.assert_allclose(made, [root - root, 0 - 0.5], atol=1e-12)


def test_sampled_divisions_agree_with_all():
    random = np.random.default_rng(3)
    x, y = random.normal(0.6, 1, 8), random.normal(0, 1, 6)
    whole, part = (association_test(x, y, permutations=many) for many in (4000, 2000))
    assert whole["exact"]
    assert whole["divisions"] == 3003
    assert not part["exact"]
    assert part["p"] == pytest.approx(whole["p"], abs=0.04)
    assert whole["lower"] < whole["effect_size"] < whole["upper"]


def test_untidy_input_is_refused():
    for said, call in (
        ("missing", lambda: ndkl([1, np.nan], ["a", "b"])),
        ("missing", lambda: ndkl([1, 2], ["a", None])),
        ("length", lambda: ndkl([1, 2, 3], ["a", "b"])),
        ("one group", lambda: ndkl([1, 2], ["a", "a"])),
        ("no numbers", lambda: ndkl(["x", "y"], ["a", "b"])),
        ("k is 3", lambda: skew_at_k([1, 2], ["a", "b"], 3)),
        ("2 seeds", lambda: ranking_indices([1, 2], ["a", "b"], ["s", "t"], 1)),
        ("all associations are equal", lambda: association_test([1, 1], [1, 1])),
        ("shape", lambda: association_test([1], [1, 2])),
        ("infinite", lambda: association_test([1, np.inf], [1, 2])),
        ("features", lambda: associations([[1, 0]], [[1, 0, 0]], [[0, 1]])),
        ("is zero", lambda: associations([[0, 0]], [[1, 0]], [[0, 1]])),
    ):
        with pytest.raises(cb.DataError, match=said):
            call()
