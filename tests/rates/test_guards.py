"""What tables of pairs show to be wrong: pairs twice, one group turned, names that are alike."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias import DataError
from tests.rates.test_monotone import few_seeds


def both_kinds(seeds=12, faces=4):
    impostor = few_seeds(0, seeds, 0.1)
    genuine = few_seeds(1, seeds, 0.1, genuine=True)
    genuine = genuine[genuine.index % 6 < faces]
    genuine = genuine.assign(distance=genuine["distance"] - 3)
    return pd.concat([impostor, genuine], ignore_index=True)


def turned_round(frame):
    return frame.rename(columns={"seed_a": "seed_b", "seed_b": "seed_a"})


def impostors(frame):
    return frame[~frame["same_identity"]]


TWICE = {
    "in both orders": lambda one: turned_round(impostors(one)),
    "in both orders but for one": lambda one: turned_round(impostors(one)).iloc[1:],
    "in both orders to the last bit": lambda one: turned_round(impostors(one)).assign(
        distance=np.nextafter(impostors(one)["distance"], 9)
    ),
    "every row": lambda one: one,
    "impostors": impostors,
    "faces beside themselves": lambda one: one[one["same_identity"]].iloc[::4].assign(distance=0.0),
}


@pytest.mark.parametrize("what", list(TWICE))
@pytest.mark.parametrize("pair", [True, False])
def test_pairs_that_are_there_again_are_refused(what, pair):
    frame = both_kinds()
    again = pd.concat([frame, TWICE[what](frame)], ignore_index=True)
    if pair:
        again["pair"] = [f"p{row}" for row in range(len(again))]
    with pytest.raises(DataError, match=r"again|both orders|beside itself"):
        cb.error_rates(again, "race", threshold=3.5)


@pytest.mark.parametrize("digits", [None, 3, 2, 1, 0])
def test_distances_that_are_alike_by_rounding_are_no_pair_twice(digits):
    frame = both_kinds()
    if digits is not None:
        frame = frame.assign(distance=frame["distance"].round(digits))
    assert cb.error_rates(frame, "race", threshold=3.5)["n"].sum() == len(frame)


def test_one_group_that_is_turned_stops():
    frame = both_kinds(30)
    other = frame.assign(
        seed_a=frame["seed_a"] + 100,
        seed_b=frame["seed_b"] + 100,
        race="b",
        distance=8 - frame["distance"],
    )
    with pytest.raises(DataError, match="group 'b': genuine pairs are further apart"):
        cb.equal_error_rate(pd.concat([frame, other], ignore_index=True), "race")


def test_groups_whose_values_join_to_the_same_words_are_two():
    one, other = few_seeds(0, 8, 0.1), few_seeds(1, 9, 0.1)
    other[["seed_a", "seed_b"]] += 100
    frame = pd.concat(
        [one.assign(r="south", s="asian male"), other.assign(r="south asian", s="male")],
        ignore_index=True,
    )
    rates = cb.rates.group_pair_rates(frame, ["r", "s"], threshold=4)
    assert rates["group"].values.tolist() == ["south, asian male", "south asian, male"]
    assert np.diag(rates["n"].squeeze()).tolist() == [28, 36]
    counts = cb.rates.score_histograms(frame, ["r", "s"])
    assert counts["n"].squeeze().values.tolist() == [28, 36]


def test_a_group_whose_name_begins_with_an_underscore_is_in_the_legend():
    frame = both_kinds(30)
    other = frame.assign(seed_a=frame["seed_a"] + 100, seed_b=frame["seed_b"] + 100, race="_x")
    other["distance"] += 0.01
    curve = cb.det(pd.concat([frame, other]), "race", fmr=[0.1, 0.2, 0.5], draws=50)
    curve["supported"][:] = True
    shown = cb.plots.det_curves(curve).legends[0].get_texts()
    assert [one.get_text().strip() for one in shown] == ["_x", "w"]


def two_groups(seeds=40):
    """Pairs of all seeds, of groups "p" and "q"; genuine ones too."""
    one = few_seeds(0, seeds, 0.1)
    sides = {f"race_{side}": np.where(one[f"seed_{side}"] % 2, "p", "q") for side in "ab"}
    return one.drop(columns="race", errors="ignore").assign(**sides)


@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize("row", [0, 5, -1])
def test_a_person_of_two_groups_is_named_with_both_rows(row, side):
    frame = two_groups()
    at = frame.index[row]
    frame.loc[at, f"race_{side}"] = "q" if frame.loc[at, f"race_{side}"] == "p" else "p"
    who = frame.loc[at, f"seed_{side}"]
    with pytest.raises(DataError, match=f"seed '{who}' is '[pq]' in race_[ab] of row") as error:
        cb.error_rates(frame, "race", threshold=3.5)
    assert str(error.value).count("of row") == 2


def test_faces_of_seeds_in_several_groups_are_a_design_that_is_said():
    frame = two_groups()
    frame["race_b"] = np.where(np.arange(len(frame)) % 2, "p", "q")
    assert "of race by design" in cb.error_rates(frame, "race", threshold=3.5).attrs["assumes"]
    faces = {
        f"stimulus_{side}": frame[f"seed_{side}"].astype(str) + frame[f"race_{side}"] + side
        for side in "ab"
    }
    frame = frame.assign(**faces)
    assert "by design" in cb.error_rates(frame, "race", threshold=3.5).attrs["assumes"]
    frame.loc[7, "race_a"] = "q" if frame.loc[7, "race_a"] == "p" else "p"
    with pytest.raises(DataError, match=r"face '.*' is '[pq]' in race_a of row .* of row 8"):
        cb.error_rates(frame, "race", threshold=3.5)


@pytest.mark.parametrize(
    "verb", [cb.rates.rate_ratios, cb.rates.fairness_indices, cb.rates.pairwise_rate_ratios]
)
def test_what_is_no_rate_is_refused_by_what_needs_rates(verb):
    rates = cb.error_rates(two_groups(), "race", threshold=3.5, draws=20)
    of_one = verb(rates.isel(chain=0))
    name = of_one.attrs["variable"]
    np.testing.assert_array_equal(of_one[name].values, verb(rates)[name].values)
    for other in (rates.isel(draw=0), rates.rename(rate="effect"), rates["rate"]):
        with pytest.raises(DataError, match="error rates are needed here"):
            verb(other)


@pytest.mark.parametrize("times", [100, 0.01])
def test_a_threshold_in_another_unit_than_the_distances_is_refused(times):
    frame = both_kinds()
    for given in ({"threshold": 3.5 * times}, {"threshold": {"system": 3.5 * times}}):
        with pytest.raises(DataError, match="far from all of its numbers"):
            cb.error_rates(frame, "race", **given)
    with pytest.raises(DataError, match="far from all of its numbers"):
        cb.error_rates(frame.assign(threshold=3.5 * times), "race")


def test_a_threshold_that_is_no_number_is_named_with_its_row():
    given = pd.Series(["3.5"] * len(both_kinds()), dtype=object)
    given[7] = "3,6"
    frame = both_kinds().assign(threshold=given)
    with pytest.raises(DataError, match=r"column 'threshold', row 8: '3,6'.*decimal point: 3.6"):
        cb.error_rates(frame, "race")
    given[7] = "NA"
    rates = cb.error_rates(frame.assign(threshold=given), "race")
    assert set(rates["threshold"].values.ravel()) == {3.5}
