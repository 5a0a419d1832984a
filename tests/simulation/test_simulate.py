"""The simulator: its design, and its truth against large Monte Carlo and independent code."""

import json

import numpy as np
import pytest
from scipy.special import expit

import causalbias as cb
from causalbias.study.tree import group_of

LEVELS = {"pose": [0, 3], "smiling": [0, 2]}
BIASED = cb.simulation.System(
    "biased",
    biases=(
        cb.simulation.Bias("alike", -0.1, race="black", same_identity=False),
        cb.simulation.Bias("pose", 0.05, race="black", same_identity=True, attribute="pose"),
    ),
    failure=0.01,
)


@pytest.fixture(scope="module")
def big():
    """Some 50,000 pairs of few conditions, so that cell means are known to a few per mille."""
    people = cb.simulation.People(
        annotators=3000,
        judgements=4,
        missing=0.1,
        dropout=0.1,
        biases=(cb.simulation.Bias("seen", 0.5, race="black"),),
    )
    return cb.simulate(
        2000,
        random_seed=3,
        systems=(BIASED,),
        people=people,
        levels=LEVELS,
        races=["black", "white"],
        genders=["male"],
        impostors=10,
    )


def cell_means(frame, value, keys):
    grouped = frame.groupby(keys)[value]
    return grouped.mean(), grouped.sem()


def design_rows(frame):
    """Pairs of an attribute's reference with one of its levels."""
    return frame[frame["attribute"].notna()]


def looked_up(truth, variable, index, names, **fixed):
    cube = truth[variable].sel(**fixed)
    found = []
    for key in index:
        at = dict(zip(names, key, strict=True))
        here = (truth["attribute"] == at.pop("attribute")) & (truth["level"] == at.pop("level_b"))
        found.append(float(cube.sel(**at).isel(manipulation=int(here.values.argmax()))))
    return np.array(found)


KEYS = ["race", "gender", "same_identity", "attribute", "level_b"]


def test_the_default_is_the_published_size():
    study = cb.simulate(seeds=10, people=None, systems=(BIASED,))
    pairs = group_of(study, "pairs")
    assert pairs.sizes["pair"] * 10 == 48_000


@pytest.mark.parametrize("variable", ["distance", "match_rate"])
def test_machine_truth_is_what_many_pairs_show(big, variable):
    frame = design_rows(cb.to_frame(big, "machine"))
    frame = frame[frame["status"] == "ok"]
    frame = frame.assign(match_rate=(frame["distance"] < frame["threshold"]).astype(float))
    seen, error = cell_means(frame, variable, KEYS)
    truth = big["truth"].to_dataset().isel(system=0)
    names = KEYS
    these = looked_up(truth, variable, seen.index, names, population="these seeds")
    new = looked_up(truth, variable, seen.index, names, population="new seeds")
    # Impostor pairs are a sample of all pairs of seeds, so that seeds' effects add to the error.
    allowed = 4.5 * np.maximum(error, 1e-4) + np.where(variable == "distance", 0.001, 0.003)
    assert (np.abs(seen - these) < allowed).all()
    assert (np.abs(seen - new) < allowed + 0.003).all()
    assert seen.max() - seen.min() > 0.3


def test_human_truth_is_what_many_answers_show(big):
    human = cb.to_frame(big, "human")
    pairs = design_rows(human[human["question"] == "identity"])
    seen, error = cell_means(pairs.astype({"same_identity": bool}), "score", KEYS)
    truth = looked_up(big["truth"].to_dataset(), "score", seen.index, KEYS)
    # Seeds, faces and annotators are shared between answers, so the error is that of few of them.
    assert np.abs(seen - truth).max() < 0.06
    assert error.max() < 0.03
    assert seen.max() - seen.min() > 2


def test_score_probabilities_by_plain_monte_carlo(big):
    """One cell by code that shares nothing with the simulator but the documented formula."""
    people = cb.simulation.People()
    rng = np.random.default_rng(0)
    n = 400_000
    latent = (
        people.genuine
        - 0.35 * 3
        + 0.5  # pose 3, and the bias of `big`
        + rng.normal(0, people.sd_seed, n)
        + rng.normal(0, people.sd_face, n)
        + rng.normal(0, people.sd_pair, n)
    )
    seen = latent - rng.normal(0, people.sd_severity, n)
    sharp = np.exp(rng.normal(0, people.sd_discrimination, n))
    above = [expit(sharp * (seen - cut)).mean() for cut in people.cutpoints]
    chance = -np.diff([1.0, *above, 0.0])
    chance = 0.98 * chance + 0.02 / 5
    truth = big["truth"].to_dataset().sel(race="black", gender="male", same_identity=True)
    at = int(((truth["attribute"] == "pose") & (truth["level"] == 3)).values.argmax())
    assert truth["score_probability"].values[at] == pytest.approx(chance, abs=0.002)
    assert float(truth["latent"][at]) == pytest.approx(people.genuine - 1.05 + 0.5)


def test_perceived_truth_is_what_many_answers_show(big):
    human = cb.to_frame(big, "human")
    faces = human[human["question"] == "expression"]
    faces = faces[faces["attribute"] == "smiling"].rename(columns={"level": "level_"})
    seen = faces.groupby(["race", "level_"])["score"].mean()
    truth = big["truth"].to_dataset().sel(question="expression", gender="male")["perceived"]
    at = np.flatnonzero(truth["attribute"] == "smiling")
    assert seen.unstack("level_").to_numpy() == pytest.approx(truth.values[:, at], abs=0.05)


def test_distances_of_pairs_vary_as_documented(big):
    frame = cb.to_frame(big, "machine")
    frame = frame[(frame["status"] == "ok") & (frame["race"] == "white")]
    genuine = frame[frame["same_identity"] & (frame["pose"] == 0) & (frame["smiling"] == 0)]
    impostor = frame[~frame["same_identity"] & (frame["pose"] == 0) & (frame["smiling"] == 0)]
    total = {
        "genuine": np.sqrt(0.02**2 + 0.015**2 + 0.035**2),
        "impostor": np.sqrt(2 * 0.02**2 + 2 * 0.01**2 + 0.07**2),
    }
    assert genuine["distance"].std() == pytest.approx(total["genuine"], rel=0.06)
    assert impostor["distance"].std() == pytest.approx(total["impostor"], rel=0.06)
    # A render without a face fails all its pairs: about 2 of 100.
    status = group_of(big, "machine")["status"].values
    assert (status != "ok").mean() == pytest.approx(0.02, abs=0.005)


def test_same_seed_same_study():
    kind = {"levels": LEVELS, "impostors": 2}
    assert cb.simulate(3, random_seed=4, **kind).identical(cb.simulate(3, random_seed=4, **kind))
    assert not cb.simulate(3, random_seed=4, **kind).identical(
        cb.simulate(3, random_seed=5, **kind)
    )


@pytest.mark.parametrize("seeds", [2, 3, 4, 7])
def test_pairs_are_distinct_and_of_the_kinds_documented(seeds):
    most = 2 * (seeds - 1) + 2 * ((seeds - 1) // 2)
    study = cb.simulate(seeds, levels=LEVELS, impostors=most, people=None, missing_renders=0.3)
    pairs = cb.to_frame(study, "pairs")
    sides = [frozenset(pair) for pair in zip(pairs["stimulus_a"], pairs["stimulus_b"], strict=True)]
    assert len(set(sides)) == len(sides)
    impostor = pairs[~pairs["same_identity"]]
    for name in ("race", "gender", "attribute"):
        assert (impostor[f"{name}_a"] == impostor[f"{name}_b"]).all()
    assert (impostor["level_a"] == 0).all()
    with pytest.raises(cb.DataError, match=f"give only {most}"):
        cb.simulate(seeds, levels=LEVELS, impostors=most + 1, people=None)


def test_annotators_judge_an_item_once_and_as_often_as_asked():
    people = cb.simulation.People(annotators=9, judgements=9, missing=0.0, dropout=0.0)
    human = cb.to_frame(cb.simulate(3, levels=LEVELS, impostors=2, people=people), "human")
    assert (human["pair"].isna() != human["stimulus"].isna()).all()
    item = human["pair"].fillna(human["stimulus"])
    assert not human.assign(item=item).duplicated(["item", "annotator", "question"]).any()
    assert (human.groupby(["question", item]).size() == 9).all()


def expression_shift(study, attribute):
    """Change of perceived expression from prototypes to an attribute's highest level."""
    human = cb.to_frame(study, "human")
    asked = human[human["question"] == "expression"]
    top = asked[(asked["attribute"] == attribute) & (asked["level"] == asked["level"].max())]
    return top["score"].mean() - asked.loc[asked["attribute"] == "prototype", "score"].mean()


def test_a_leak_shows_in_perceived_attributes_and_parts_the_truths():
    kind = {"levels": {"pose": [0, 3], "smiling": [0, 3]}, "impostors": 2, "systems": (BIASED,)}
    clean, leaky = (
        cb.simulate(60, leak=leak, **kind) for leak in (None, {"pose": {"smiling": 0.5}})
    )
    assert abs(expression_shift(clean, "pose")) < 0.2
    assert expression_shift(leaky, "pose") > 0.3
    truths = [one["truth"].to_dataset() for one in (clean, leaky)]
    assert truths[0]["distance"].equals(truths[0]["distance_as_rendered"])
    assert truths[1]["distance"].equals(truths[0]["distance"].sel(population=truths[1].population))
    at = {"race": "white", "gender": "male", "same_identity": True, "population": "new seeds"}
    change = (truths[1]["distance_as_rendered"] - truths[1]["distance"]).sel(at).isel(system=0)
    # 3 units of pose move the smile by 1.5, at 0.05 of distance each.
    assert change.values == pytest.approx([0, 0.075, 0, 0], abs=1e-4)
    frame = design_rows(cb.to_frame(leaky, "machine"))
    seen = frame[(frame["race"] == "white") & frame["same_identity"] & (frame["pose"] == 3)]
    rendered = truths[1]["distance_as_rendered"].sel(at).isel(system=0, manipulation=1)
    assert seen["distance"].mean() == pytest.approx(float(rendered), abs=0.015)
    with pytest.raises(cb.DataError, match="the leak names 'hair'"):
        cb.simulate(3, levels=LEVELS, leak={"pose": {"hair": 1}}, impostors=2)


def test_annotator_bias_moves_scores_but_not_the_latent_truth():
    kind = {"levels": LEVELS, "impostors": 8, "systems": ()}
    fair, unfair = (
        cb.simulate(80, people=cb.simulation.People(annotator_bias=bias), **kind)
        for bias in ({}, {"black": 1.5})
    )
    truths = [one["truth"].to_dataset() for one in (fair, unfair)]
    assert truths[0]["latent"].equals(truths[1]["latent"])
    gain = (truths[1]["score"] - truths[0]["score"]).sel(same_identity=False)
    assert (gain.sel(race="black") > 0.2).all()
    assert (gain.sel(race=["asian", "white"]) == 0).all()
    scores = []
    for study in (fair, unfair):
        human = cb.to_frame(study, "human")
        human = human[(human["question"] == "identity") & (human["race"] == "black")]
        scores.append(human.loc[human["same_identity"] == False, "score"].mean())  # noqa: E712
    assert scores[1] - scores[0] == pytest.approx(float(gain.sel(race="black").mean()), abs=0.05)


def test_answers_missing_not_at_random_bias_the_mean():
    kind = {"levels": LEVELS, "impostors": 8, "systems": ()}
    study = cb.simulate(
        40, people=cb.simulation.People(missing=0.1, missing_slope=0.6, dropout=0.0), **kind
    )
    human = cb.to_frame(study, "human")
    pairs = set(human.loc[human["same_identity"].fillna(False).astype(bool), "pair"])
    lost = group_of(study, "unanswered")
    identity = lost["pair"].values[lost["question"].values == "identity"]
    genuine = np.isin(identity, list(pairs))
    total = group_of(study, "pairs")["same_identity"].values.mean()
    assert genuine.mean() > total + 0.2


def test_every_parameter_is_recorded():
    study = cb.simulate(3, levels=LEVELS, impostors=2, leak={"pose": {"smiling": 0.1}})
    told = json.loads(study["truth"].attrs["parameters"])
    assert told["leak"] == {"pose": {"smiling": 0.1}}
    assert told["systems"][0]["biases"][0]["name"] == "black impostors alike"
    assert told["people"]["sd_severity"] == 0.5


def test_other_attributes_do_without_the_default_biases():
    study = cb.simulate(3, levels={"glasses": [0, 1]}, races=["south_asian"], impostors=2)
    truth = study["truth"].to_dataset().sel(same_identity=True, population="new seeds")
    assert truth["distance"].sel(system="ResNet-34").values == pytest.approx(0.25)


def test_wrong_settings_end_in_one_error():
    for settings, message in (
        ({"seeds": 1}, "1 seeds"),
        ({"missing_renders": 1.0}, "missing_renders is 1.0"),
        ({"people": cb.simulation.People(annotators=3)}, "9 judgements per item by 3 annotators"),
        ({"references": {"pose": 7}, "levels": LEVELS}, "reference 7 of pose"),
    ):
        with pytest.raises(cb.DataError, match=message):
            cb.simulate(**({"seeds": 3} | settings))
