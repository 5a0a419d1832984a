"""Leak-corrected effects from frames of scores and outcomes."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from benchmarks.calibration.cases_leaks import EFFECT, QUESTIONS, Leaks, world
from causalbias import DataError
from causalbias.manipulation_checks.perceived_moves import (
    check_outcomes,
    check_scores,
    moves_of,
    without_judges_levels,
)

FEW = {"draws": 200, "chains": 2}


@pytest.fixture(scope="module")
def leaky():
    """Age leaks 80% of its push into smile and so on; 60 seeds."""
    return world(Leaks(0.8, 60), np.random.default_rng(1))


def moves(outcomes, scores, errors=()):
    faces, left = without_judges_levels(check_scores(scores))
    return moves_of(check_outcomes(outcomes), faces, left, dict(errors))


def test_leaks_are_taken_out_of_effects(leaky):
    found = cb.leak_corrected(*leaky, draws=400)
    corrected = found["effect"].median(["chain", "draw"])
    sd = found["effect"].std(["chain", "draw"])
    assert (abs(corrected - EFFECT) < 3.5 * sd).all()
    # Age's push, by 12 points, also makes faces smile; smiling's adds weight, which has an effect.
    naive = found["naive"].median(["chain", "draw"])
    away = naive.values - (EFFECT + 0.8 * EFFECT[[1, 2, 0]])
    assert (abs(away) < 3.5 * found["naive"].std(["chain", "draw"])).all()
    assert (abs(naive.values - EFFECT) > 0.001).any()
    table = found.summary(0.9)
    assert {"conditional_f", "prior_share", "direct_to_doubt", "n"} <= set(table)
    assert table["n"].tolist() == [60] * 3
    assert (found["conditional_f"] > 10).all()


def test_direct_effects_widen_intervals_and_the_least_that_doubts_does(leaky):
    plain = cb.leak_corrected(*leaky, **FEW)
    reached = float(plain["direct_to_doubt"].sel(question="age"))
    assert 0 < reached < np.inf
    doubted = cb.leak_corrected(*leaky, direct=1.3 * reached, **FEW).summary()
    kept = cb.leak_corrected(*leaky, direct=0.5 * reached, **FEW).summary()
    assert doubted.set_index("question").loc["age", "lower"] < 0
    assert kept.set_index("question").loc["age", "lower"] > 0


def test_moves_are_the_means_of_seeds_slopes(leaky):
    outcomes, scores = leaky
    found, attributes, questions, n = moves(outcomes, scores)
    wide = outcomes.pivot_table("outcome", ["seed", "attribute"], "level")
    by_hand = (wide[1] - wide[0]).groupby("attribute").mean()
    assert found.mean[:, -1] == pytest.approx(by_hand[attributes].to_numpy())
    seen = scores.groupby(["seed", "attribute", "level", "question"])["score"].mean().unstack(2)
    by_hand = (seen[1] - seen[0]).groupby(["attribute", "question"]).mean().unstack()
    assert found.mean[:, :-1] == pytest.approx(by_hand.loc[attributes, questions].to_numpy())
    spread = (wide[1] - wide[0]).groupby("attribute").var() / n
    assert (found.units[:, :, -1] ** 2).sum(axis=0) == pytest.approx(spread[attributes].to_numpy())


def test_a_shared_unchanged_face_is_that_of_every_manipulation(leaky):
    outcomes, scores = leaky
    first = (outcomes["attribute"] == "age") | (outcomes["level"] == 1)
    shared = outcomes[first].assign(attribute=outcomes["attribute"].where(outcomes["level"] == 1))
    rated = scores[(scores["attribute"] == "age") | (scores["level"] == 1)]
    rated = rated.assign(attribute=rated["attribute"].where(rated["level"] == 1))
    copied = outcomes.drop(columns="outcome").merge(
        shared[shared["level"] == 0][["seed", "outcome"]], on="seed"
    )
    copied = copied.assign(
        outcome=copied["outcome"].where(copied["level"] == 0, outcomes["outcome"].to_numpy())
    )
    assert moves(shared, rated)[0].mean[:, -1] == pytest.approx(
        moves(copied, scores)[0].mean[:, -1]
    )


def test_raters_own_levels_and_the_order_of_rows_change_nothing(leaky):
    outcomes, scores = leaky
    shift = scores["annotator"].map(
        {name: 7.0 * i for i, name in enumerate(scores["annotator"].unique())}
    )
    # Each rater saw two faces of three: their levels would else count as the faces'.
    seen = (scores.groupby(["annotator", "question"]).cumcount() + shift // 7) % 3 > 0
    plain = moves(outcomes, scores[seen])[0]
    other = moves(
        outcomes.sample(frac=1, random_state=1),
        scores.assign(score=scores["score"] + shift)[seen].sample(frac=1, random_state=2),
    )[0]
    assert other.mean == pytest.approx(plain.mean, abs=1e-5)
    assert other.judges == pytest.approx(plain.judges, rel=1e-3)


def test_unequal_gains_of_raters_are_found():
    """Gains of variance 0.25^2, by 8 raters: the covariance is 0.25^2 / 8 L L' about that."""
    found = []
    for replicate in range(6):
        outcomes, scores = world(Leaks(0.0, 100), np.random.default_rng([5, replicate]))
        whole, attributes, questions, _ = moves(outcomes, scores)
        own = [attributes.index(one) for one in questions]
        found += [
            whole.judges[at, row, row] / whole.mean[row, at] ** 2 for at, row in enumerate(own)
        ]
    # 18 sample variances of 8 have a relative sd of about 0.13.
    assert np.mean(found) == pytest.approx(0.25**2 / 8, rel=0.45)


def test_an_error_of_a_classifier_is_carried(leaky):
    outcomes, scores = leaky
    plain = moves(outcomes, scores)[0]
    of_all = moves(outcomes, scores, {"age": 3.0}.items())[0]
    of_one = moves(outcomes, scores, {("smile", "age"): 3.0}.items())[0]
    at = sorted(QUESTIONS).index("age")
    assert of_all.judges[at] - plain.judges[at] == pytest.approx(9 * np.eye(3))
    assert np.trace(of_one.judges[at] - plain.judges[at]) == pytest.approx(9)


# Effects of five pushes on an outcome, with standard errors, and what they move age by, exactly.
# statsmodels 0.15, WLS(MOVED, add_constant(AGED), 1 / (ERROR**2 + direct**2)): params, and the
# root of the diagonal of cov_params() / scale. It is MR-Egger (Bowden, Davey Smith and Burgess
# 2015) without its scaling of standard errors, which is a heterogeneity in proportion to them.
AGED = np.array([1.0, 0.3, 0.8, 0.1, 0.5])
MOVED, ERROR = np.array([0.52, 0.25, 0.41, 0.22, 0.28]), np.array([0.05, 0.08, 0.04, 0.1, 0.06])
EGGER = {
    0.0: ([0.12914141, 0.36664398], [0.07043825, 0.09351577]),
    0.1: ([0.14715195, 0.34526848], [0.11406216, 0.16911361]),
}
WEIGHTED = 0.52662971  # WLS(MOVED, AGED, 1 / ERROR**2), without an intercept


def pushes(n=400):
    """Seeds whose means and errors are exactly those above, errors of pushes independent."""
    noise = np.random.default_rng(1).normal(size=(n, 5))
    noise = np.linalg.qr(noise - noise.mean(axis=0))[0] * np.sqrt(n * (n - 1)) * ERROR
    faces = pd.MultiIndex.from_product(
        [range(n), list("abcde"), [0, 1]], names=["seed", "attribute", "level"]
    ).to_frame(index=False)
    moved = 0.5 + np.stack([np.zeros((n, 5)), MOVED + noise], axis=2)
    aged = np.stack([0 * AGED, AGED], axis=1)
    scores = {"age": np.tile(aged.ravel(), n), "pushed": faces["level"].astype(float)}
    rated = [faces.assign(question=name, score=score) for name, score in scores.items()]
    return faces.assign(outcome=moved.ravel()), pd.concat(rated, ignore_index=True)


@pytest.mark.parametrize("direct", EGGER)
def test_a_question_of_whether_a_face_was_pushed_is_the_intercept_of_mr_egger(direct):
    """The direct effect that all pushes have; `direct` is that in which they differ."""
    outcomes, scores = pushes()
    found = cb.leak_corrected(outcomes, scores, direct=direct, prior_scale=1e3, draws=1000)
    table = found.summary().set_index("question").loc[["pushed", "age"]]
    effects, errors = EGGER[direct]
    assert table["estimate"].to_numpy() == pytest.approx(effects, abs=0.1 * min(errors))
    assert table["sd"].to_numpy() == pytest.approx(errors, rel=0.06)
    assert (table["conditional_f"] > 1e6).all()  # moves are known exactly
    if direct == 0:
        alone = cb.leak_corrected(outcomes, scores[scores["question"] == "age"], **FEW)
        assert alone.summary()["estimate"].item() == pytest.approx(WEIGHTED, abs=0.01)


def test_groups_have_effects_of_their_own():
    outcomes, scores = world(Leaks(0.4, 60), np.random.default_rng(2))
    young = outcomes["seed"] < 30
    turned = outcomes.assign(
        group=np.where(young, "a", "b"),
        outcome=outcomes["outcome"].where(young, -outcomes["outcome"]),
    )
    found = cb.leak_corrected(turned, scores, by="group", **FEW)
    assert found["n"].values.tolist() == [30, 30]
    age = found["effect"].sel(question="age").median(["chain", "draw"])
    assert float(age.sel(group="a")) > 0 > float(age.sel(group="b"))


def test_what_cannot_be_told_apart_is_refused(leaky):
    outcomes, scores = leaky
    with pytest.raises(DataError, match="2 manipulations"):
        cb.leak_corrected(outcomes[outcomes["attribute"] != "age"], scores)
    moved = outcomes["outcome"].where(outcomes["level"] > 0, 0.0)
    with pytest.raises(DataError, match="distance from the face itself"):
        cb.leak_corrected(outcomes.assign(outcome=moved), scores)
    with pytest.raises(DataError, match="2 seeds"):
        cb.leak_corrected(outcomes[outcomes["seed"] < 2], scores)
    with pytest.raises(DataError, match="outcome"):
        cb.leak_corrected(outcomes.drop(columns="outcome"), scores)
    with pytest.raises(DataError, match="score_error"):
        cb.leak_corrected(outcomes, scores, score_error=3.0)
    with pytest.raises(DataError, match="scores are"):
        cb.leak_corrected(outcomes, "ratings.csv")
    with pytest.raises(DataError, match="not a number"):
        cb.leak_corrected(outcomes.assign(level="high"), scores)
    same = scores.assign(score=scores["score"].where(scores["question"] != "age", 5.0))
    with pytest.raises(DataError, match="'score': all faces have the same age"):
        cb.leak_corrected(outcomes, same)
    with pytest.raises(DataError, match="all faces have the same outcome"):
        cb.leak_corrected(outcomes.assign(outcome=0.5), scores)


def test_an_empty_table_is_refused(leaky):
    outcomes, scores = leaky
    for frames in ((outcomes[:0], scores), (outcomes, scores[:0])):
        with pytest.raises(DataError):
            cb.leak_corrected(*frames)


def test_how_ids_are_written_and_rows_numbered_does_not_matter(leaky):
    outcomes, scores = leaky
    plain = cb.leak_corrected(outcomes, scores, **FEW)["effect"]
    texts = outcomes.astype({"seed": str, "outcome": str}), scores.astype({"question": "category"})
    np.testing.assert_allclose(cb.leak_corrected(*texts, **FEW)["effect"], plain, rtol=1e-9)
    some = scores.assign(score=scores["score"].where(scores["seed"] != scores["seed"].iloc[0]))
    fewer = cb.leak_corrected(outcomes, some.reset_index(drop=True), **FEW)
    same = cb.leak_corrected(outcomes, some.set_index(np.zeros(len(some), int)), **FEW)
    np.testing.assert_array_equal(fewer["effect"], same["effect"])
    numbers = {name: at for at, name in enumerate(QUESTIONS)}
    numbered = scores.assign(question=scores["question"].map(numbers))
    found = moves(outcomes, numbered)
    np.testing.assert_allclose(
        np.sort(found[0].mean[0, :-1]), np.sort(moves(outcomes, scores)[0].mean[0, :-1])
    )


def test_what_no_row_can_be_placed_by_is_refused(leaky):
    outcomes, scores = leaky
    first = outcomes["seed"] == outcomes["seed"].iloc[0]
    for call, told in (
        (lambda: (outcomes.assign(seed=outcomes["seed"].mask(first)), scores, {}), "'seed'"),
        (lambda: (outcomes.assign(outcome="high"), scores, {}), "'outcome', row 1"),
        (lambda: (outcomes, scores.assign(annotator=None), {}), "'annotator', row 1"),
        (lambda: (outcomes, scores, {"score_error": {"agee": 3}}), "of which there are no scores"),
        (lambda: ([1], scores, {"by": "race"}), "outcomes are"),
        (lambda: (outcomes, scores, {"by": ["race"]}), "by is"),
        (lambda: (outcomes.assign(g=outcomes["seed"].mask(~first)), scores, {"by": "g"}), "'g'"),
        (lambda: (outcomes.assign(g=first), scores, {"by": "g"}), "g True: 1 seeds"),
    ):
        one, other, options = call()
        with pytest.raises(DataError, match=told):
            cb.leak_corrected(one, other, **FEW, **options)
