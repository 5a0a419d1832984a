"""Signal detection: hand-worked numbers, a known truth, untidy tables, the report."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import norm

import causalbias as cb
from causalbias.analyses.own_group import own_group_contrast
from causalbias.analyses.signal_detection.analysis import (
    _by_hand,
    _coded,
    _counts,
    _threshold,
    formula_of,
    in_both_noises,
)
from causalbias.datasets.answers import answers_in

COLUMNS = {"subject": "subject", "face": "face", "signal": "old", "answer": "answer"}
GROUPS = {"face_group": "face_group", "subject_group": "subject_group"}
BY = ["face_group", "subject_group"]


def coded(frame, old_from=None, **more):
    text = {**COLUMNS, **GROUPS} | more
    values = {"confidence": text.pop("confidence")} if "confidence" in text else {}
    return _coded(answers_in(frame, text, values), old_from)


@pytest.fixture(scope="module")
def trials():
    return cb.simulation.simulate_recognition(16, 24, own_group=0.8, random_seed=4)


def test_log_linear_sensitivity_is_that_worked_by_hand():
    # 18 of 20 old faces called old, 2 of 20 new ones: rates 18.5/21 and 2.5/21.
    rows = pd.DataFrame(
        {
            "subject": ["a"] * 40 + ["b"] * 40,
            "face": [f"f{at}" for at in range(40)] * 2,
            "old": ([True] * 20 + [False] * 20) * 2,
            "answer": (["old"] * 18 + ["new"] * 2 + ["old"] * 2 + ["new"] * 18) + ["old"] * 40,
        }
    )
    found = _counts(coded(rows, face_group="", subject_group=""), []).iloc[0]
    assert found[["hits", "misses", "false_alarms", "correct_rejections"]].tolist() == [
        38,
        2,
        22,
        18,
    ]
    first = norm.ppf(18.5 / 21) - norm.ppf(2.5 / 21)
    assert first == pytest.approx(2 * 1.1798, abs=0.001)  # z of 0.881, of tables
    assert found["d_prime"] == pytest.approx((first + 0) / 2)  # who says always old: d' of 0
    always = norm.ppf(20.5 / 21)
    assert found["criterion"] == pytest.approx(-always / 2)


def test_sensitivity_of_unequal_variances_is_that_of_hits_and_false_alarms():
    """Normal evidence of means -1 and 2, standard deviations 1 and 1.6, cut at 0.4."""
    hits, alarms, slope = norm.sf(0.4, 2, 1.6), norm.sf(0.4, -1, 1), 1 / 1.6
    z_hit, z_alarm = norm.ppf(hits), norm.ppf(alarms)
    d_a = np.sqrt(2 / (1 + slope**2)) * (z_hit - slope * z_alarm)
    assert d_a == pytest.approx(3 / np.sqrt((1 + 1.6**2) / 2))  # in root mean squares
    unit = np.sqrt(1.6)  # the noise's and the signals' sd are sqrt(slope), 1/sqrt(slope)
    found = in_both_noises(
        *(xr.DataArray(one) for one in (1.6 / unit, -1.4 / unit, slope))  # above the cut
    )
    assert float(found[0]) == pytest.approx(d_a)
    area = norm.cdf(d_a / np.sqrt(2))  # d_a gives the area under the ROC
    assert area == pytest.approx(norm.sf(0, 3, np.hypot(1, 1.6)))
    # The optimal point of equal z, of hits and correct rejections, has a criterion of 0.
    middle = -1 + 3 / 2.6
    equal = in_both_noises(
        *(xr.DataArray(one) for one in ((2 - middle) / unit, (-1 - middle) / unit, slope))
    )
    assert float(equal[1]) == pytest.approx(0, abs=1e-12)


def test_two_kinds_of_answers_do_not_tell_two_variances(trials):
    with pytest.raises(cb.DataError, match="do not tell two variances apart"):
        cb.analyses.analyse_signal_detection(trials, **COLUMNS, unequal_variance=True)
    halves = trials.assign(confidence=(trials["confidence"] > 3).astype(int))
    with pytest.raises(cb.DataError, match="give three steps or more"):
        cb.analyses.analyse_signal_detection(
            halves, **{**COLUMNS, "answer": ""}, confidence="confidence", unequal_variance=True
        )


@pytest.mark.slow
def test_unequal_variances_are_those_of_the_simulation():
    trials = cb.simulation.simulate_recognition(24, 32, zroc_slope=0.6, random_seed=3)
    truth = trials.attrs["truth"]
    found = cb.analyses.analyse_signal_detection(
        trials,
        **{**COLUMNS, "answer": ""},
        confidence="confidence",
        unequal_variance=True,
        draws=300,
    )
    slope = found.zroc_slope.summary(0.99).iloc[0]
    assert slope["lower"] < 0.6 < slope["upper"] < 1
    for name, true in (("d_a", truth["d_a"]), ("criterion", truth["c_a"])):
        row = found.found.summary(0.99, of=name).iloc[0]
        assert row["lower"] < true < row["upper"]
    content = cb.analyses.signal_detection_content(found)
    assert any("slope of the zROC" in one for one in content.findings)
    assert any("may differ" in one for one in content.limits)
    assert "zroc_slope" in content.results
    assert "“old or new” on “answer” nothing needs" in content.pictures[-1].caption


def test_own_group_effects_by_hand_are_means_of_differences_within_subjects(trials):
    rows = coded(trials)
    found = _by_hand(rows, 0.95).set_index("measure").loc["d_prime"]
    values = []
    for (_, group), part in rows.groupby(["subject", "subject_group"]):
        own = part["face_group"] == group
        d = []
        for one in (own, ~own):
            hit = part[one & (part["signal"] > 0)]["said"]
            alarm = part[one & (part["signal"] < 0)]["said"]
            rates = [(each.sum() + 0.5) / (len(each) + 1) for each in (hit, alarm)]
            d.append(norm.ppf(rates[0]) - norm.ppf(rates[1]))
        values.append({"group": group, "difference": d[0] - d[1]})
    by_group = pd.DataFrame(values).groupby("group")["difference"]
    assert found["estimate"] == pytest.approx(by_group.mean().mean())
    error = np.sqrt((by_group.var() / by_group.size()).sum()) / 2
    width = (found["upper"] - found["lower"]) / 2
    assert 1.96 * error < width < 2.3 * error


def test_the_contrast_leaves_out_main_effects_and_missing_cells():
    labels = {"face": ["a", "b", "c"], "people": ["b", "a", "d"]}
    values = np.array([[5.0, 7.0, 0.0], [6.0, 4.0, 0.0], [9.0, 9.0, 9.0]])
    cells = xr.DataArray(values, dims=("face", "people"), coords=labels)
    # Own: (a, a) 7 and (b, b) 6; others: (a, b) 5 and (b, a) 4.
    assert float(own_group_contrast(cells, "face", "people")) == 2.0
    moved = cells + xr.DataArray([3.0, -1, 0], dims="face", coords={"face": labels["face"]})
    assert float(own_group_contrast(moved, "face", "people")) == 2.0
    missing = cells.where(cells != 5)
    assert np.isnan(float(own_group_contrast(missing, "face", "people")))
    assert own_group_contrast(cells.sel(people=["d", "a"]), "face", "people") is None


def test_words_for_old_and_new_of_any_kind_are_read_alike(trials):
    first = coded(trials)
    numbered = trials.assign(old=trials["old"].astype(float), answer=trials["answer"] == "old")
    worded = trials.assign(
        old=trials["old"].map({True: "Same", False: "different"}).astype("category")
    )
    for frame in (numbered, worded):
        pd.testing.assert_frame_equal(coded(frame), first)


def test_formulas_have_slopes_where_faces_were_old_and_new(trials):
    assert formula_of(coded(trials), BY).endswith("(signal|subject) + (signal|face)")
    fixed = trials.assign(old=trials["face"].str[-1].isin(list("02468")))
    assert formula_of(coded(fixed), BY).endswith("(signal|subject) + (1|face)")
    one = trials[trials["face_group"] == "black"]
    assert formula_of(coded(one), BY).startswith("said ~ signal*subject_group +")


def test_untidy_tables_are_refused(trials):
    broken = {
        "says neither": trials.assign(answer=trials["answer"].replace("new", "maybe")),
        "all answers are of one kind": trials.assign(answer="old"),
        "all faces are of one kind": trials.assign(old=True),
        "is in several groups": trials.assign(face_group=np.arange(len(trials)) // 24 % 2),
        "of one subject": trials[trials["subject"] == "s001"],
    }
    for said, frame in broken.items():
        with pytest.raises(cb.DataError, match=said):
            coded(frame)
    with pytest.raises(cb.DataError, match="whole number"):
        coded(
            trials.assign(confidence=trials["confidence"] + 0.5), confidence="confidence", answer=""
        )
    with pytest.raises(cb.DataError, match="either answer= or confidence="):
        cb.analyses.analyse_signal_detection(trials, **COLUMNS, confidence="confidence")


def test_columns_named_for_new_faces_are_refused_unless_their_cells_say_what_is_old(trials):
    new = ~trials["old"].astype(bool)
    for name in ("is_new", "isDifferent", "mismatch", "foil", "not_old"):
        for values in (new, new.astype(int), new.map({True: "yes", False: "no"})):
            with pytest.raises(cb.DataError, match=r"by its name.*new faces"):
                coded(trials.assign(**{name: values}), signal=name)
    with pytest.raises(cb.DataError, match="by its name"):
        coded(trials.assign(said_new=trials["answer"] == "new"), answer="said_new")
    worded = trials.assign(is_new=new.map({True: "new", False: "old"}))
    assert (coded(worded, signal="is_new")["signal"] == coded(trials)["signal"]).all()


def test_confidence_is_cut_where_the_scale_is_and_not_where_its_use_is(trials):
    steps = trials["confidence"].to_numpy()
    assert set(steps) == set(range(1, 7))

    def cut(values, **more):
        table = trials.assign(confidence=values)
        rows = coded(table, confidence="confidence", answer="", **more)
        return rows, _counts(rows, []).iloc[0]

    whole = cut(steps)[1]
    for merged in (np.where(steps == 1, 2, steps), np.where(steps == 3, 2, steps)):
        with pytest.raises(cb.DataError, match="old_from=4"):
            cut(merged)
        pd.testing.assert_series_equal(cut(merged, old_from=4)[1], whole)
    for moved in (steps - 1, np.where(steps < 4, steps - 4, steps - 3)):  # 0 to 5; -3 to 3
        pd.testing.assert_series_equal(cut(moved)[1], whole)
    with pytest.raises(cb.DataError, match="not clear"):
        cut(steps - 4)  # 0 is in the middle
    with pytest.raises(cb.DataError, match="all answers are of one kind"):
        cut(steps, old_from=7)
    # The model's threshold at this cut: of categories in use, 2 and 3 say new.
    rows = cut(np.where(steps == 1, 2, steps), old_from=4)[0]
    thresholds = xr.DataArray(np.arange(4.0)[None, None], dims=("chain", "draw", "cut"))
    fit = xr.DataTree.from_dict({"posterior": xr.Dataset({"threshold": thresholds})})
    assert _threshold(fit, rows).item() == 1


def test_groups_of_faces_and_subjects_that_are_written_otherwise_are_refused(trials):
    upper = trials["subject_group"].str.upper()
    with pytest.raises(cb.DataError, match="none is in both"):
        coded(trials.assign(subject_group=upper))
    first = trials["subject_group"] == trials["subject_group"].iloc[0]
    with pytest.raises(cb.DataError, match="look like one"):
        coded(trials.assign(subject_group=upper.where(first, trials["subject_group"])))


def test_errors_name_the_row_of_the_table_and_not_of_what_is_left(trials):
    gone = trials.assign(
        answer=trials["answer"].where(trials.index > 2).where(trials.index != 9, "maybe")
    )
    with pytest.raises(cb.DataError, match="row 10: 'maybe' says neither"):
        coded(gone)


@pytest.mark.slow
def test_the_criterion_of_confidence_does_not_depend_on_steps_that_nobody_used(trials):
    """Merged steps 2 and 3 leave the cut at 4 where it was, in the model as in the counts."""
    steps = trials["confidence"]
    found = [
        cb.analyses.analyse_signal_detection(
            trials.assign(confidence=one),
            **{**COLUMNS, "answer": ""},
            confidence="confidence",
            old_from=4,
            draws=300,
        )
        for one in (steps, steps.where(steps != 3, 2))
    ]
    first, second = (one.found["criterion"].mean().item() for one in found)
    assert first == pytest.approx(second, abs=0.1)
    assert np.sign(first) == np.sign(found[0].counts["criterion"].item())
    assert [one.old_from for one in found] == [4, 4]


@pytest.mark.slow
def test_sensitivity_and_criterion_are_those_of_the_simulation(trials):
    found = cb.analyses.analyse_signal_detection(trials, **COLUMNS, **GROUPS, draws=500)
    truth = trials.attrs["truth"]
    for name, own in (("d_prime", "own_group"), ("criterion", "own_criterion")):
        mean = found.found[name].mean(("face_group", "subject_group"))
        low, high = mean.quantile([0.005, 0.995])
        assert low < truth[name] < high
        effect = found.own_group.summary(0.99, of=name).iloc[0]
        assert effect["lower"] < truth[own] < effect["upper"]
        assert effect["n"] == len(trials)
    content = cb.analyses.signal_detection_content(found)
    assert "own-group effect on d'" in content.findings[0]  # of so few subjects, none is clear
    assert set(content.results) == {"own_group", "sensitivity", "counts", "by_hand", "diagram"}


def test_a_table_in_which_every_row_is_twice_is_refused():
    rows = pd.DataFrame(
        {"who": list("aabb"), "face": list("xyxy"), "old": [1, 0, 1, 0], "said": [1, 0, 0, 0]}
    )
    whole = {"subject": "who", "face": "face", "signal": "old", "answer": "said"}
    with pytest.raises(cb.DataError, match="every row is there 2 times"):
        cb.analyses.analyse_signal_detection(pd.concat([rows, rows]), **whole)
