"""Agreement against published examples, an independent package, hand-worked cases, known truth."""

import krippendorff
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import causalbias as cb
from causalbias.agreement.consensus import dirichlet_mean
from causalbias.agreement.counts import first_answers
from causalbias.agreement.reliability import LEVELS, alpha, bootstrap_alpha, icc

# 3 coders by 15 units, in the README of the krippendorff package 0.9.0 (and in its tests):
# alpha 0.691 nominal, 0.811 interval. * is no answer.
CODERS = """
* * * * * 3 4 1 2 1 1 3 3 * 3
1 * 2 1 3 3 4 3 * * * * * * *
* * 2 1 3 4 4 * 2 1 1 3 3 * 4
"""
# 6 targets by 4 judges: Shrout and Fleiss (1979), Psychological Bulletin 86(2), table 2;
# ICC(1,1) = .17 and ICC(1,4) = .44 in table 4.
JUDGES = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
)


def counts_of(answers, categories):
    """Counts (item, category) of answers (annotator, item), NaN for none."""
    return np.stack([(answers == one).sum(axis=0) for one in categories], axis=1)


def coders():
    cells = [line.split() for line in CODERS.split("\n") if line]
    return np.array([[np.nan if one == "*" else float(one) for one in row] for row in cells])


def study_of(rows, scale=(0, 4)):
    judgements = pd.DataFrame(rows, columns=["stimulus", "annotator", "score"])
    return cb.make_study(factors=["seed"], judgements=judgements.assign(question="q"), scales=scale)


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.691), ("interval", 0.811)])
def test_alpha_of_the_published_example(level, published):
    assert alpha(counts_of(coders(), [1, 2, 3, 4]), level) == pytest.approx(published, abs=5e-4)


@settings(deadline=None)
@given(
    arrays(
        float,
        st.tuples(st.integers(2, 6), st.integers(2, 12)),
        elements=st.sampled_from([np.nan, 1.0, 2.0, 3.0, 7.0]),
    )
)
def test_alpha_agrees_with_the_krippendorff_package(answers):
    values = np.array([1.0, 2.0, 3.0, 7.0])
    counts = counts_of(answers, values)
    pairable = counts[counts.sum(axis=1) > 1]
    if (pairable.sum(axis=0) > 0).sum() < 2:
        with pytest.raises(cb.DataError, match=r"two answers|all answers are the same"):
            alpha(counts, "nominal")
        return
    for level in LEVELS:
        theirs = krippendorff.alpha(
            value_counts=counts, value_domain=values, level_of_measurement=level
        )
        assert alpha(counts, level, values) == pytest.approx(theirs, abs=1e-9)


def test_alpha_by_hand():
    # Two annotators, items aa, ab, bb, bb: o_ab = 2 of n = 8 answers, 3 a and 5 b:
    # 1 - (8 - 1) * 2 / (2 * 3 * 5) = 1 - 14/30.
    counts = np.array([[2, 0], [1, 1], [0, 2], [0, 2]])
    assert alpha(counts, "nominal") == pytest.approx(1 - 14 / 30)


def test_alpha_bootstrap_is_that_of_single_items():
    rng = np.random.default_rng(0)
    latent = rng.normal(size=120)[:, None]
    answers = np.digitize(latent + rng.normal(size=(120, 5)), [-1, 0, 1]).T.astype(float)
    counts = counts_of(answers, range(4))
    fast = bootstrap_alpha(counts, "ordinal", None, 4000, random_seed=1)
    slow = [alpha(counts[rng.integers(120, size=120)], "ordinal") for _ in range(1000)]
    assert fast.mean() == pytest.approx(np.mean(slow), abs=0.005)
    assert fast.std() == pytest.approx(np.std(slow), rel=0.1)


def test_icc_of_the_published_example():
    single, average = icc(counts_of(JUDGES.T, range(11)))
    assert single[0] == pytest.approx(0.17, abs=0.005)
    assert average[0] == pytest.approx(0.44, abs=0.005)
    # Their interval, by the published formula with F(.975; 5, 18) and F(.975; 18, 5) from tables:
    # F0 = 11.24 / 6.26 = 1.79, FL = 1.79 / 3.38, FU = 1.79 * 6.36.
    assert single[1:] == pytest.approx(
        ((1.79 / 3.38 - 1) / (1.79 / 3.38 + 3), (1.79 * 6.36 - 1) / (1.79 * 6.36 + 3)), abs=0.01
    )


def test_icc_recovers_and_covers_a_known_value():
    rng = np.random.default_rng(3)
    inside = []
    for _ in range(200):
        score = np.round(20 + 3 * rng.normal(size=(60, 1)) + 4 * rng.normal(size=(60, 4)))
        score[rng.random((60, 4)) < 0.15] = np.nan
        single, _ = icc(counts_of(np.clip(score, 0, 40).T, range(41)), prob=0.9)
        inside.append(single[1] < 9 / 25 < single[2])
    assert 0.84 < np.mean(inside) < 0.96  # 4 standard errors


def test_reliability_of_a_study_and_its_errors():
    study = study_of([(s, a, (s + a) % 5 if s < 3 else s) for s in range(5) for a in range(3)])
    table = cb.reliability(study, "q")
    assert (table["lower"] <= table["estimate"]).all()
    assert (table["estimate"] <= table["upper"]).all()
    assert (table["items"] == 5).all()
    pd.testing.assert_frame_equal(table, cb.reliability(study, "q"))
    with pytest.raises(cb.DataError, match=r"question 'w' has no answers.*ask for one of q"):
        cb.reliability(study, "w")
    with pytest.raises(cb.DataError, match="no item has two answers"):
        cb.reliability(study_of([(s, 1, s) for s in range(3)]), "q")
    with pytest.raises(cb.DataError, match="all answers are the same"):
        cb.reliability(study_of([(s, a, 2) for s in range(3) for a in range(3)]), "q")
    with pytest.raises(cb.DataError, match="not whole numbers"):
        cb.agreement.hcic(study_of([("s", "a", 1.5)]), "q")


def test_hcic_by_hand():
    table = cb.agreement.hcic(study_of([("x", 1, 4), ("x", 2, 3), ("x", 3, 2), ("y", 1, 0)]), "q")
    assert table.loc["x", ["n", "mean", "spread"]].tolist() == [3, 3.0, 1.0]
    assert table.loc["y", ["n", "mean"]].tolist() == [1, 0.0]
    assert np.isnan(table.loc["y", "spread"])
    # Prior: shares (2, 1, 2, 2, 2) / 9. Posterior of x: (2/9, 1/9, 11/9, 11/9, 11/9) of weight 4.
    mean = (1 * 1 + 2 * 11 + 3 * 11 + 4 * 11) / 36
    square = (1 * 1 + 4 * 11 + 9 * 11 + 16 * 11) / 36
    expected, error = dirichlet_mean(np.array([[0, 0, 1, 1, 1], [1, 0, 0, 0, 0]]), np.arange(5.0))
    assert expected[0] == pytest.approx(mean)
    assert error[0] == pytest.approx(np.sqrt((square - mean**2) / 5))
    assert table.loc["x", "error"] == pytest.approx(error[0])
    assert table.loc["x", "lower"] < 3 < table.loc["x", "upper"]


def simulated(**people):
    settings = {
        "sd_severity": 0.0,
        "sd_discrimination": 0.0,
        "careless": 0.0,
        "missing": 0.0,
        "dropout": 0.0,
        "annotators": 60,
        "questions": (),
    }
    people = cb.simulation.People(**(settings | people))
    levels = {"pose": [-3, -1.5, 0, 1.5, 3]}
    return cb.simulate(30, levels=levels, impostors=8, people=people, systems=(), random_seed=11)


def reference_mean(**people):
    """What the same items score with 400 annotators each: their true mean, near enough."""
    return cb.agreement.hcic(simulated(judgements=400, annotators=400, **people))["mean"]


def test_hcic_intervals_and_label_probabilities_are_calibrated():
    truth = reference_mean()
    study = simulated(judgements=5)
    table = cb.agreement.hcic(study, prob=0.9)
    assert 0.86 < ((table["lower"] <= truth) & (truth <= table["upper"])).mean() < 0.97
    labels = cb.agreement.consensus(study, 2.0)
    right = labels["label"] == (truth >= 2.0)
    doubtful = labels["probability"] < 0.8
    assert doubtful.sum() > 50
    for part in (doubtful, ~doubtful):
        assert right[part].mean() == pytest.approx(labels["probability"][part].mean(), abs=0.08)
    with pytest.raises(cb.DataError, match="threshold is 9"):
        cb.agreement.consensus(study, 9.0)


NOISY = {"sd_severity": 1.0, "sd_discrimination": 0.6, "careless": 0.1, "annotators": 80}


def test_graded_response_beats_the_mean_where_annotators_differ():
    study = simulated(**NOISY, judgements=6)
    model, plain = cb.agreement.graded_response(study), cb.agreement.hcic(study)["mean"]
    assert model.attrs["converged"]
    truth = reference_mean()
    order = model["pair"].values
    rank = {
        name: np.corrcoef(truth.loc[order].rank(), pd.Series(values).rank())[0, 1]
        for name, values in (("model", model["latent"].values), ("mean", plain.loc[order].values))
    }
    assert rank["model"] > rank["mean"] + 0.005
    assert (model["lower"] <= model["mean"]).all()
    assert (model["mean"] <= model["upper"]).all()


def test_graded_response_recovers_annotators():
    # Their traits again, from the answers: harsher ones score lower on the same items.
    study = simulated(**NOISY, judgements=20)
    model = cb.agreement.graded_response(study)
    human = study["human"].to_dataset().reset_coords().to_dataframe()
    residual = human["score"] - human.groupby("pair")["score"].transform("mean")
    harsh = -residual.groupby(human["annotator"]).mean().loc[model["annotator"].values]
    assert np.corrcoef(harsh, model["severity"])[0, 1] > 0.9
    assert model["severity"].std() == pytest.approx(1.0, abs=0.3)


def test_a_random_clicker_counts_little():
    rng = np.random.default_rng(2)
    items = np.repeat(np.arange(80), 6)
    who = np.tile(np.arange(6), 80)
    level = rng.integers(5, size=80)[items]
    good = np.clip(level + rng.integers(-1, 2, size=len(items)), 0, 4)
    score = np.where(who == 5, rng.integers(5, size=len(items)), good)
    study = study_of(list(zip(items, who, score, strict=True)))
    model = cb.agreement.graded_response(study, "q")
    names = study["human"].to_dataset()["annotator"].values[:6]
    sharp = model["discrimination"].sel(annotator=names).values
    assert sharp[5] < 0.5 * sharp[:5].min()


def test_graded_response_does_not_depend_on_the_order_of_rows():
    study = simulated(**NOISY, judgements=4)
    shuffled = cb.Study(
        children={
            name: xr.DataTree(
                node.to_dataset()
                if name != "human"
                else node.to_dataset().isel(
                    judgement=np.random.default_rng(0).permutation(node.sizes["judgement"])
                )
            )
            for name, node in study.children.items()
        }
    )
    shuffled.attrs = study.attrs
    one, other = (
        cb.agreement.graded_response(each)["mean"].to_series() for each in (study, shuffled)
    )
    pd.testing.assert_series_equal(one.sort_index(), other.sort_index(), atol=1e-6)


# An annotator's repeats


def repeated(rng, *, items=60, annotators=8, each=4, share=0.5):
    """Answers of annotators who agree with themselves alone, some asked again."""
    random = np.random.default_rng(rng)
    own = random.integers(0, 5, (annotators, items))
    rows = [
        (f"s{item}", f"a{who}", trial, own[who, item])
        for item in range(items)
        for who in random.choice(annotators, each, replace=False)
        for trial in range(1, 2 + (random.random() < share))
    ]
    return pd.DataFrame(rows, columns=["stimulus", "annotator", "trial", "score"])


def repeats_study(rows):
    return cb.make_study(
        factors=["seed"],
        judgements=rows.assign(question="q"),
        scales=(0, 4),
        salt=b"1234567890123456",
    )


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_repeats_do_not_enter_agreement_and_their_order_in_the_file_does_not_matter(rng):
    rows = repeated(rng)
    first = rows[rows["trial"] == 1]
    mixed = rows.sample(frac=1, random_state=rng)
    one, other = repeats_study(first), repeats_study(mixed)
    tables = [cb.reliability(each, "q", resamples=20) for each in (one, other)]
    np.testing.assert_allclose(tables[0]["estimate"], tables[1]["estimate"])
    assert tables[1]["repeats"].tolist() == [len(rows) - len(first)] * 5
    for verb in (cb.agreement.hcic, lambda study, q: cb.agreement.consensus(study, question=q)):
        here, there = verb(one, "q"), verb(other, "q")
        pd.testing.assert_frame_equal(here.sort_index(), there.sort_index())
        assert there.attrs["repeats"] == len(rows) - len(first)
    graded = [cb.agreement.graded_response(each, "q")["mean"].to_series() for each in (one, other)]
    pd.testing.assert_series_equal(*(each.sort_index() for each in graded), atol=1e-5)


@pytest.mark.parametrize(
    "names",
    [
        pd.Categorical.from_codes([0, 1], ["test", "retest"], ordered=True),
        pd.Categorical.from_codes([0, 1], ["wave 9", "wave 10"]),
        pd.Series(["9", "10"]),
        pd.Series([9.0, 10.0]),
    ],
)
def test_the_first_trial_is_that_of_the_first_level_or_the_lowest_number(names):
    rows = repeated(3, items=20)
    kind = names.dtype
    trial = pd.Series(names)[(rows["trial"] - 1).to_numpy()].astype(kind).reset_index(drop=True)
    later = rows["trial"] == 2
    rows["score"] = np.where(later, 4 - rows["score"], rows["score"])
    mixed = rows.assign(trial=trial).sample(frac=1, random_state=1)
    one, other = repeats_study(rows[~later]), repeats_study(mixed)
    for verb in (cb.agreement.hcic, lambda study, q: cb.agreement.consensus(study, question=q)):
        here, there = verb(one, "q"), verb(other, "q")
        pd.testing.assert_frame_equal(here.sort_index(), there.sort_index())
    tables = [cb.reliability(each, "q", resamples=20)["estimate"] for each in (one, other)]
    np.testing.assert_allclose(*tables)


@pytest.mark.parametrize(
    ("trial", "told"),
    [
        (["test", "retest", "third"], "'test' is neither a number"),
        ([2, None, 1], "missing, although others are known"),
        (pd.Categorical(["a", None, "b"], ["a", "b"]), "missing, although others are known"),
    ],
)
def test_trials_without_order_end_in_one_error(trial, told):
    rows = pd.DataFrame({"stimulus": "x", "annotator": "a", "score": [1, 2, 3], "trial": trial})
    with pytest.raises(cb.DataError, match=told) as caught:
        first_answers(rows)
    assert "trial" in str(caught.value)
    with pytest.raises(cb.DataError, match=told):
        cb.reliability(repeats_study(rows), "q")


def test_retest_is_of_annotators_with_themselves():
    """Who agrees with nobody but always with themselves: no reliability, a perfect retest."""
    study = repeats_study(repeated(1, items=150))
    assert cb.reliability(study, "q", resamples=50)["estimate"].abs().max() < 0.15
    again = cb.agreement.retest(study, "q", resamples=50)
    np.testing.assert_allclose(again["estimate"], 1.0)
    with pytest.raises(cb.DataError, match="no annotator answered an item twice"):
        cb.agreement.retest(study_of([(s, a, s) for s in range(3) for a in range(3)]), "q")


def test_one_annotator_with_repeats_is_no_agreement():
    rows = repeated(2, annotators=1, each=1)
    with pytest.raises(cb.DataError, match="one annotator"):
        cb.reliability(repeats_study(rows), "q")


def test_icc_against_the_analysis_of_variance():
    """Against mean squares written out (McGraw and Wong 1996), of items with one k."""
    rng = np.random.default_rng(5)
    score = rng.integers(0, 5, (40, 3)) + rng.integers(0, 3, (40, 1))
    between = 3 * score.mean(axis=1).var(ddof=1)
    within = score.var(axis=1, ddof=1).mean()
    single, average = icc(counts_of(score.T, range(8)))
    assert single[0] == pytest.approx((between - within) / (between + 2 * within))
    assert average[0] == pytest.approx((between - within) / between)


@pytest.mark.parametrize("scale", [(0.5, 5), (0, 5.5)])
def test_a_scale_whose_ends_are_no_answers_is_refused(scale):
    answers = pd.DataFrame(
        {"annotator": ["p", "q"], "stimulus": "a", "question": "q", "score": [4, 5]}
    )
    study = cb.make_study(factors=["seed"], judgements=answers, scales=scale)
    for verb in (cb.agreement.hcic, cb.reliability):
        with pytest.raises(cb.DataError, match="lowest and the highest possible whole number"):
            verb(study, "q")
