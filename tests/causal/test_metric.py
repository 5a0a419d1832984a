"""The metric of distances in perceived changes: known truth, error of scores, what is refused."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias import DataError
from causalbias.causal.perceived_changes import changes_of, read_scores

DRAWS = ["chain", "draw"]
FEW = {"draws": 200, "tune": 200, "chains": 2}
MOVED = ["attribute", "level"]


@pytest.fixture(scope="module")
def simulated():
    """Twelve seeds, nine pairs each, two judges; ratings with little error."""
    return cb.simulation.simulate_metric(12, noise=4, random_seed=4)


@pytest.fixture(scope="module")
def found(simulated):
    distances, scores, _ = simulated
    return cb.causal.perceived_metric(
        distances, scores, by="judge", reference="people", moved=MOVED, **FEW
    )


def network(distances):
    return distances[distances["judge"] == "network"]


def in_sds(found, name, truth):
    """How far an estimate is from the truth, in posterior standard deviations."""
    values = found[name]
    return (abs(values.median(DRAWS) - truth) / values.std(DRAWS)).values


def test_worths_cosines_and_floors_are_those_simulated(simulated, found):
    truth = simulated[2]
    assert (in_sds(found, "worth", truth["worth"]) < 3.5).all()
    assert (in_sds(found, "floor", truth["floor"]) < 3.5).all()
    two = {"question": ["age", "age", "gender"], "other": ["gender", "smiling", "smiling"]}
    for one, other in zip(two["question"], two["other"], strict=True):
        cosine = found["correlation"].sel(question=one, other=other)
        away = abs(cosine.median(DRAWS) - truth["correlation"].sel(question=one, other=other))
        assert (away < 3.5 * cosine.std(DRAWS)).all()
    # Known well enough for that to say something.
    assert (found["worth"].std(DRAWS) < 0.3 * truth["worth"] + 0.001).all()


def test_relative_worths_have_no_unit_and_are_compared_with_the_references(simulated, found):
    truth = simulated[2]
    np.testing.assert_allclose(np.log(found["relative"]).mean("question"), 0, atol=1e-12)
    table = found.summary(of="ratio").set_index(["judge", "question"])
    assert list(table.index.get_level_values("judge")) == ["network"] * 3
    relative = truth["worth"] / np.exp(np.log(truth["worth"]).mean("question"))
    true = (relative.sel(judge="network") / relative.sel(judge="people")).to_series()
    assert (table.loc["network", "lower"] < true).all()
    assert (true < table.loc["network", "upper"]).all()


def test_another_unit_of_distances_or_scores_scales_worths_and_nothing_else(simulated):
    distances, scores, _ = simulated
    one = network(distances)
    plain = cb.causal.perceived_metric(one, scores, **FEW)
    other = cb.causal.perceived_metric(
        one.assign(distance=8 * one["distance"]), scores.assign(score=scores["score"] / 4), **FEW
    )
    np.testing.assert_allclose(other["worth"], 32 * plain["worth"], rtol=1e-6)
    np.testing.assert_allclose(other["floor"], 8 * plain["floor"], rtol=1e-6)
    np.testing.assert_allclose(other["correlation"], plain["correlation"], rtol=1e-6, atol=1e-9)
    assert plain["n"].item() == 108
    assert plain["clusters"].item() == 12


def test_error_of_scores_does_not_flatten_worths():
    distances, scores, truth = cb.simulation.simulate_metric(
        30, noise=14, raters=4, answers=1, random_seed=2
    )
    one, true = network(distances), truth["worth"].sel(judge="network")
    corrected = cb.causal.perceived_metric(one, scores, moved=MOVED, **FEW)
    means = scores.groupby(["stimulus", "question"], as_index=False)["score"].mean()
    naive = cb.causal.perceived_metric(one, means, moved=MOVED, score_error=0, **FEW)
    assert (in_sds(corrected, "worth", true) < 3.5).all()
    largest = {"question": "age"}
    assert naive["worth"].sel(largest).median() < 0.85 * true.sel(largest)
    assert naive["worth"].sel(largest).median() < 0.9 * corrected["worth"].sel(largest).median()
    # The error's variance from annotators is that of the simulation, 14^2 / 4 a face.
    given = cb.causal.perceived_metric(one, means, moved=MOVED, score_error=7, **FEW)
    ratio = given["worth"].median(DRAWS) / corrected["worth"].median(DRAWS)
    assert abs(np.log(ratio)).sel(largest) < 0.1


def test_changes_are_the_posterior_of_a_normal_mean():
    """One cell, one attribute: shrunken by T / (T + S), and what is left of T."""
    rng = np.random.default_rng(1)
    names = [f"f{at}" for at in range(400)]
    pairs = pd.DataFrame({"stimulus_a": names[::2], "stimulus_b": names[1::2]})
    scores = pd.DataFrame({"stimulus": names, "question": "age", "score": rng.normal(0, 3, 400)})
    faces, errors, questions = read_scores(scores, 1.0)
    changes = changes_of(pairs, (), faces, errors)
    seen = scores["score"].to_numpy()[::2] - scores["score"].to_numpy()[1::2]
    true = (seen**2).mean() - 2
    assert questions == ["age"]
    np.testing.assert_allclose(changes.mean[:, 0], seen * true / (true + 2))
    np.testing.assert_allclose(changes.covariance[:, 0, 0], true - true**2 / (true + 2))
    assert changes.reliability[0] == pytest.approx(true / (true + 2))


def test_errors_of_questions_that_one_annotator_answered_go_together():
    rng = np.random.default_rng(2)
    halo = rng.normal(0, 2, (300, 4))
    scores = pd.concat(
        pd.DataFrame(
            {
                "stimulus": np.repeat([f"f{at}" for at in range(300)], 4),
                "annotator": np.tile(list("abcd"), 300),
                "question": question,
                "score": (rng.normal(0, 5, (300, 1)) + halo + rng.normal(0, 1, (300, 4))).ravel(),
            }
        )
        for question in ("smart", "warm")
    )
    _, errors, _ = read_scores(scores, None)
    # A score's error has the variance 5, of which both share 4; a mean's, a quarter of that.
    np.testing.assert_allclose(errors["f7"], [[1.25, 1.0], [1.0, 1.25]], rtol=0.15)


def test_what_nobody_moved_is_refused_and_the_rest_is_estimated(simulated):
    distances, scores, _ = simulated
    rng = np.random.default_rng(0)
    still = scores[scores["question"] == "age"].assign(question="height")
    still["score"] = 50 + rng.normal(0, 4, len(still))
    found = cb.causal.perceived_metric(network(distances), pd.concat([scores, still]), **FEW)
    table = found.summary().set_index("question")
    assert not table.loc["height", "estimable"]
    assert np.isnan(table.loc["height", "estimate"])
    assert np.isfinite(table.loc[["age", "gender", "smiling"], "estimate"]).all()


def test_two_that_always_move_together_have_wide_intervals(simulated):
    distances, scores, truth = simulated
    twin = scores[scores["question"] == "age"].assign(question="wrinkles")
    found = cb.causal.perceived_metric(
        network(distances), pd.concat([scores, twin]), score_error=0.01, **FEW
    )
    together = found["worth"].sel(question=["age", "wrinkles"])
    true = truth["worth"].sel(judge="network", question="age").item()
    ends = together.quantile([0.025, 0.975], DRAWS)
    assert (ends.sel(quantile=0.025) < 0.3 * true).all()
    assert (ends.sel(quantile=0.975) > 0.9 * true).all()
    assert (found["tolerance"].sel(question=["age", "wrinkles"]) < 0.01).all()


def test_renderings_again_tell_the_floor(simulated):
    distances, scores, _ = simulated
    one = network(distances)
    again = one.drop_duplicates("stimulus_a").assign(
        stimulus_b=lambda rows: rows["stimulus_a"], distance=0.1
    )
    found = cb.causal.perceived_metric(pd.concat([one, again]), scores, **FEW)
    assert found["floor"].std() < 0.01
    assert found["n"].item() == 120
    fixed = cb.causal.perceived_metric(one, scores, floor=0.1, **FEW)
    np.testing.assert_allclose(fixed["floor"], 0.1)


def test_rows_left_out_are_counted_and_ids_may_be_numbers(simulated):
    distances, scores, _ = simulated
    one = network(distances)
    number = {name: at for at, name in enumerate(scores["stimulus"].unique())}
    fewer = one.assign(distance=one["distance"].where(np.arange(len(one)) != 5))
    fewer = fewer.assign(**{name: fewer[name].map(number) for name in ("stimulus_a", "stimulus_b")})
    unseen = scores[scores["stimulus"] != one["stimulus_b"].iloc[7]]
    unseen = unseen.assign(stimulus=unseen["stimulus"].map(number).astype(float))
    found = cb.causal.perceived_metric(fewer, unseen, **FEW)
    assert (found["n"].item(), found["left_out"].item()) == (106, 2)


def test_a_sampler_that_did_not_converge_says_so(simulated):
    distances, scores, _ = simulated
    found = cb.causal.perceived_metric(
        network(distances), scores, draws=8, tune=10, chains=2, random_seed=1
    )
    assert not found.summary()["converged"].any()
    assert "NOT CONVERGED" in repr(found)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda d, s: (d.drop(columns="seed"), s), "seed"),
        (lambda d, s: (d.assign(distance=-d["distance"]), s), "below 0"),
        (lambda d, s: (d.assign(distance=1.0), s), "all distances are 1"),
        (lambda d, s: (d.assign(same_identity=[True, False] * (len(d) // 2)), s), "pooled"),
        (lambda d, s: (d.assign(seed=np.arange(len(d))), s), "belongs to two clusters"),
        (lambda d, s: (d[d["seed"] < "s003"], s), "3 clusters"),
        (lambda d, s: (d.assign(stimulus_b=d["stimulus_a"], distance=0), s), "the same image"),
        (lambda d, s: (d, s[s["annotator"] == "r00"]), "error of scores of 'age' is not known"),
        (lambda d, s: (d, s.assign(stimulus="x" + s["stimulus"])), "no pair of two faces"),
        (lambda d, s: (d, s.assign(score=7.0)), "no attribute changed"),
        (lambda d, s: (d, s.drop(columns="score")), "score"),
        (lambda d, _: (d, None), "no table"),
        (lambda _, s: ([1], s), "distances are"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(simulated, change, what):
    distances, scores, _ = simulated
    with pytest.raises(DataError, match=what):
        cb.causal.perceived_metric(*change(network(distances), scores), **FEW)


def test_a_judge_or_error_that_does_not_exist_is_named(simulated):
    distances, scores, _ = simulated
    with pytest.raises(DataError, match="judges"):
        cb.causal.perceived_metric(distances, scores, by="judges", **FEW)
    with pytest.raises(DataError, match="dog"):
        cb.causal.perceived_metric(distances, scores, by="judge", reference="dog", **FEW)
    with pytest.raises(DataError, match="score_error of 'height'"):
        cb.causal.perceived_metric(distances, scores, score_error={"height": 1}, **FEW)
    with pytest.raises(DataError, match="level"):
        cb.causal.perceived_metric(distances, scores, moved="levels", **FEW)
