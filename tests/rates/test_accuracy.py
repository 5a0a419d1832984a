"""Verification accuracy by group, and the indices of papers that report it."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import causalbias as cb
from causalbias.errors import DataError
from causalbias.rates.accuracy import best_threshold, sd_of
from causalbias.rates.differentials import max_to_min

# Wang and Deng (2020), CVPR, table 4: accuracies on RFW in percent (Caucasian, Indian, Asian,
# African) with the STD and SER printed beside them. First row ArcFace, second RL-RBN of it.
PRINTED = [
    ([97.37, 95.68, 94.55, 93.87], 1.53, 2.33),
    ([97.08, 95.63, 95.57, 94.87], 0.93, 1.76),
]


def pairs(seed=1, n=400, shift=(0.0, 0.5), sides=("A", "B")):
    """Genuine pairs at N(0, 1) and impostors at N(3 - shift, 1), of persons in one pair each."""
    draw = np.random.default_rng(seed)
    parts = []
    for group, less in zip(sides, shift, strict=True):
        same = np.repeat([True, False], n)
        far = draw.normal(np.where(same, 0.0, 3.0 - less), 1) + 10
        who = [f"{group}{at}" for at in range(2 * n)]
        other = [one if own else f"{one}x" for one, own in zip(who, same, strict=True)]
        parts.append(
            pd.DataFrame(
                {"seed_a": who, "seed_b": other, "same_identity": same, "distance": far}
            ).assign(race=group)
        )
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize(("accuracy", "sd", "ratio"), PRINTED)
def test_printed_indices_follow_from_printed_accuracies(accuracy, sd, ratio):
    errors = 1 - np.array(accuracy) / 100
    assert 100 * sd_of(errors) == pytest.approx(sd, abs=0.005)
    assert max_to_min(errors) == pytest.approx(ratio, abs=0.005)


def test_accuracy_is_that_of_the_best_threshold_whatever_the_order_of_the_rows():
    rows = pairs()
    truth = norm.cdf((3 - np.array([0.0, 0.5])) / 2)
    # Files may be sorted by score, as those of RFW's pairs are: folds in their order mislead.
    ordered = rows.sort_values("distance", ignore_index=True)
    for one in (rows, ordered):
        found = cb.rates.verification_accuracy(one, "race")
        np.testing.assert_allclose(found["plug_in"].values[0], truth, atol=0.025)
        table = found.summary()
        assert ((table["lower"] < truth) & (truth < table["upper"])).all()
        sd = np.sqrt(truth * (1 - truth) / 800)
        np.testing.assert_allclose(table["sd"], sd, rtol=0.25)
        assert table[["n_genuine", "n_impostor"]].to_numpy().ravel().tolist() == [400] * 4


def test_the_best_threshold_is_that_of_trying_all():
    draw = np.random.default_rng(3)
    far, same = draw.integers(0, 30, 200) / 7, draw.random(200) < 0.3
    tried = {
        at: ((far <= at) & same).sum() / same.sum() - ((far <= at) & ~same).sum() / (~same).sum()
        for at in np.unique(far)
    }
    assert best_threshold(far, same) == max(tried, key=tried.get)
    backwards = np.array([0.1, 0.9]), np.array([False, True])
    assert best_threshold(*backwards) in (0.9, np.nextafter(0.1, -1))


def test_unequal_numbers_of_pairs_do_not_favour_the_more_frequent_kind():
    rows = pairs()
    few = rows.drop(rows.index[(~rows["same_identity"]) & (rows.index % 10 > 0)])
    found = cb.rates.verification_accuracy(few, "race")["plug_in"].values[0]
    np.testing.assert_allclose(found, norm.cdf([1.5, 1.25]), atol=0.05)


def test_failed_pairs_and_groups_without_a_kind_have_no_accuracy():
    rows = pairs()
    rows.loc[::50, "distance"] = np.nan
    rows["status"] = np.where(rows["distance"].isna(), "no face", "ok")
    rows = rows[(rows["race"] == "A") | rows["same_identity"]]
    found = cb.rates.verification_accuracy(rows, "race")
    assert found["race"].values.tolist() == ["A"]
    assert found["n_genuine"].sel(race="A").item() == 392
    with pytest.raises(DataError, match="single group"):
        cb.rates.accuracy_indices(found)
    with pytest.raises(DataError, match="two genuine and two impostor"):
        cb.rates.verification_accuracy(rows[rows["same_identity"]], "race")


def test_indices_of_accuracy_say_what_chance_alone_would_give():
    alike = cb.rates.accuracy_indices(
        cb.rates.verification_accuracy(pairs(shift=(0.0, 0.0)), "race")
    )
    table = alike.summary().set_index("index")
    assert table.loc["skewed error ratio", "lower"] < 1.2
    assert table["if_equal"].notna().all()
    apart = cb.rates.accuracy_indices(cb.rates.verification_accuracy(pairs(shift=(0, 1.5)), "race"))
    assert apart.summary().set_index("index").loc["skewed error ratio", "lower"] > 1.5
