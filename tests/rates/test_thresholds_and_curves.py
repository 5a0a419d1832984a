"""Thresholds, DET curves and equal error rates: against scikit-learn and by their definitions."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import det_curve

import causalbias as cb
from causalbias import DataError

from .test_error_rates import both_kinds, random_faces


def test_equal_error_rate_is_that_of_scikit_learn():
    """`det_curve` of scikit-learn, scores being minus the distance."""
    frame = both_kinds(60, rng=1)
    ours = cb.equal_error_rate(frame, "race", draws=200).squeeze()
    for race in ("x", "y"):
        part = frame[(frame["race_a"] == race) & (frame["race_b"] == race)]
        false, missed, _ = det_curve(part["same_identity"], -part["distance"])
        best = np.abs(false - missed).argmin()
        point = float(ours["point"].sel(race=race))
        # Ties of the gap may fall on the neighbouring pair.
        step = 1 / part["same_identity"].value_counts().min()
        assert point == pytest.approx((false[best] + missed[best]) / 2, abs=step)
        low, high = np.quantile(ours["rate"].sel(race=race), [0.05, 0.95])
        assert low < point < high


def test_curves_go_through_the_points_of_scikit_learn():
    frame = both_kinds(60, rng=2)
    wanted = [0.05, 0.1, 0.3]
    ours = cb.det(frame, "race", fmr=wanted, draws=300)
    for race in ("x", "y"):
        part = frame[(frame["race_a"] == race) & (frame["race_b"] == race)]
        false, missed, _ = det_curve(part["same_identity"], -part["distance"])
        theirs = np.interp(wanted, false[::-1], missed[::-1])
        mine = ours["fnmr"].sel(race=race, system="system").squeeze("chain")
        spread = mine.std("draw").values
        assert np.abs(mine.median("draw").values - theirs).max() < 0.5 * spread.max()


def test_rates_at_a_threshold_are_those_of_scikit_learn():
    frame = both_kinds(40, rng=3)
    rates = cb.error_rates(frame, "race", threshold=2.4).squeeze()
    for race in ("x", "y"):
        part = frame[(frame["race_a"] == race) & (frame["race_b"] == race)]
        false, missed, at = det_curve(part["same_identity"], -part["distance"])
        # The last threshold of theirs that matches no more pairs than ours.
        place = np.flatnonzero(at > -2.4)[0]
        share = (rates["errors"] / rates["n"]).sel(race=race)
        assert share.sel(rate_of="FMR") == pytest.approx(false[place])
        assert share.sel(rate_of="FNMR") == pytest.approx(missed[place])


def test_curves_fall_and_stop_where_the_pairs_support_no_rate():
    frame = both_kinds(40, rng=4)
    curve = cb.det(frame, "race", draws=200)
    values = curve["fnmr"].squeeze(["chain", "system"])
    there = values.notnull().all("draw")
    assert not there.isel(fmr=0).any()
    assert there.sel(fmr=0.1, method="nearest").all()
    fall = values.diff("fmr").where(there)
    assert float(fall.max()) <= 1e-12
    # 3 over the number of pairs is the least that any could support.
    least = 3 / curve["n_impostor"].squeeze("system")
    lowest = values["fmr"].where(there).min("fmr")
    assert (lowest >= least).all()


def test_a_threshold_is_the_largest_at_its_target():
    frame = random_faces(60, rng=5)
    for cohort, rows in (
        ("all", frame["race_a"].notna()),
        ("same", frame["race_a"] == frame["race_b"]),
        ("cross", frame["race_a"] != frame["race_b"]),
    ):
        at = cb.threshold_at(frame, 0.05, by="race", cohort=cohort)["point"].item()
        distance = frame["distance"][rows]
        assert (distance <= at).mean() <= 0.05
        assert (distance <= distance[distance > at].min()).mean() > 0.05


def test_the_interval_of_a_threshold_covers_that_of_other_faces():
    """Thresholds from 40 faces against that of 400 of the same kind."""
    true = cb.threshold_at(random_faces(400, rng=100), 0.1)["point"].item()
    inside = []
    for rng in range(40):
        draws = cb.threshold_at(random_faces(40, rng=rng), 0.1, draws=400)["threshold"]
        low, high = np.quantile(draws, [0.05, 0.95])
        inside.append(low < true < high)
    # Of 40 intervals of 90%; fewer than 29 would have probability 0.001 (binomial), and the 400
    # faces have an error of their own, a third of that of 40.
    assert sum(inside) >= 29


def test_thresholds_are_carried_to_other_cohorts_and_groups():
    frame = random_faces(60, rng=6)
    same = cb.threshold_at(frame, 0.3, by="race", cohort="same", per_group=True)
    rates = cb.error_rates(frame, "race", threshold=same).squeeze()
    share = rates["errors"] / rates["n"]
    assert ((share <= 0.3) & (share > 0.28)).all()
    np.testing.assert_array_equal(rates["threshold"], same["point"].squeeze())
    cross = cb.error_rates(frame, "race", threshold=same, cohort="cross").squeeze()
    np.testing.assert_array_equal(cross["threshold"], same["point"].squeeze())
    assert not np.allclose(cross["errors"] / cross["n"], share, atol=0.005)
    one = cb.threshold_at(frame, 0.3, by="race", cohort="same")
    target = cb.error_rates(frame, "race", fmr=0.3)
    assert (target["threshold"] == one["point"].item()).all()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda one: cb.threshold_at(one, 1e-4), "are too few"),
        (lambda one: cb.error_rates(one, "race", fmr=1e-4), "are too few"),
        (lambda one: cb.threshold_at(one, 0), "fmr is 0"),
        (lambda one: cb.threshold_at(one[one["race_a"] == "none"], 0.1), "no pairs"),
        (lambda one: cb.det(one, "race"), "both genuine and impostor"),
        (lambda one: cb.det(one, "race", fmr=[0.0]), "above 0"),
        (lambda one: cb.equal_error_rate(one, "race"), "both genuine and impostor"),
        (
            lambda one: cb.error_rates(
                one,
                "gender",
                threshold=cb.threshold_at(one, 0.5, by="race", cohort="same", per_group=True),
            ),
            "no threshold for",
        ),
    ],
)
def test_bad_input_ends_in_one_error(call, told):
    with pytest.raises(DataError, match=told):
        call(random_faces(30, rng=7))


def test_a_single_pair_is_not_enough():
    frame = pd.DataFrame(
        {
            "seed_a": [1, 2],
            "seed_b": [2, 2],
            "same_identity": [False, True],
            "distance": [0.9, 0.1],
            "race": "x",
        }
    )
    table = cb.summarise(cb.error_rates(frame, "race", threshold=0.5))
    assert not table["supported"].any()
    # Clopper and Pearson's end for no error in one comparison, at the draws' even quantiles.
    np.testing.assert_allclose(table["upper"], 0.975, atol=1e-3)


def test_a_target_on_a_cohort_without_pairs_says_so():
    within = both_kinds(20, rng=1).query("race_a == race_b")
    with pytest.raises(DataError, match="no impostor pairs of the cohort 'cross'"):
        cb.error_rates(within, "race", fmr=0.1, cohort="cross")


def test_tables_name_the_cohort_of_rates_and_of_their_thresholds():
    frame = random_faces(60, rng=6)
    of_all = cb.threshold_at(frame, 0.3, by="race", cohort="all", per_group=True)
    table = cb.summarise(cb.error_rates(frame, "race", threshold=of_all))
    assert set(table["cohort"]) == {"same"}
    assert set(table["threshold_cohort"]) == {"all"}
    assert "threshold_cohort" not in cb.summarise(cb.error_rates(frame, "race", threshold=0.5))
