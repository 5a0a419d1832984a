"""The real files against what their README says of them, counted there by other means."""

import re

import numpy as np
import pandas as pd
import pytest

import causalbias as cb

ATTRIBUTES = [
    "age",
    "attractive",
    "dominant",
    "familiar",
    "gender",
    "memorable",
    "outgoing",
    "smart",
    "trustworthy",
    "weight",
]


@pytest.fixture(scope="module")
def study(omi):
    return cb.load("omi", omi)


@pytest.fixture(scope="module")
def machine(study):
    return cb.to_frame(study, "machine")


@pytest.fixture(scope="module")
def ratings(omi):
    return cb.load("omi-ratings", omi)


def test_shapes(study, omi):
    stimuli = study["stimuli"]
    assert dict(stimuli.sizes) == {"seed": 50, "attribute": 10, "level": 3}
    assert bool(stimuli["present"].all())
    assert stimuli["attribute"].values.tolist() == ATTRIBUTES
    # 50 seeds x 10 attributes x 3 pairs of levels; 50 * 49 / 2 x 10 attributes x 3 levels.
    same = study["pairs"]["same_identity"]
    assert int(same.sum()) == 1_500
    assert int((~same).sum()) == 36_750
    assert study["machine"]["distance"].dims == ("system", "pair")
    assert study["machine"]["system"].values.tolist() == ["dlib"]
    assert study["machine"]["threshold"].values.tolist() == [0.6]
    human = cb.to_frame(study, "human")
    assert len(human) == 1_500
    assert human["annotator"].nunique() == 500
    assert (human.groupby("question")["annotator"].nunique() == 50).all()
    left_out = cb.to_frame(study, "excluded")
    assert left_out["what"].tolist() == ["columns"]
    raw = pd.read_csv(omi / "validation_artificial.csv")
    kept = {"anon_id", "condition", "stimulus_level", "response", "pearson_reliability"}
    assert left_out["count"].tolist() == [len(set(raw) - kept)]
    assert human["pearson_reliability"].tolist() == raw["pearson_reliability"].tolist()
    assert set(human["attribute"]) == set(ATTRIBUTES)
    assert cb.to_frame(study, "stimuli")["seed"].map(type).eq(str).all()
    assert human["score"].to_numpy() == pytest.approx(raw["response"].to_numpy(), abs=0)
    assert human["level"].tolist() == raw["stimulus_level"].tolist()


def test_pseudonyms_keep_who_is_who(study, omi):
    raw = pd.read_csv(omi / "validation_artificial.csv")
    ours = cb.to_frame(study, "human")["annotator"]
    assert not set(ours) & set(raw["anon_id"])
    together = pd.crosstab(ours.to_numpy(), raw["anon_id"].to_numpy()).to_numpy()
    assert ((together > 0).sum(axis=0) == 1).all()
    assert ((together > 0).sum(axis=1) == 1).all()


def test_mean_distances_are_those_of_the_readme(machine, data_root):
    text = (data_root / "README.md").read_text()
    table = text.split("| attribute | 0 to 1 | 1 to 2 | 0 to 2 |")[1].split("\n\n")[0]
    rows = re.findall(r"\| ([a-z]+) \| ([0-9.]+) \| ([0-9.]+) \| ([0-9.]+) \|", table)
    assert len(rows) == len(ATTRIBUTES)
    same = machine[machine["same_identity"]]
    means = same.groupby(["attribute_a", "level_a", "level_b"])["distance"].agg(["mean", "size"])
    assert (means["size"] == 50).all()
    for attribute, *expected in rows:
        for levels, value in zip([(0, 1), (1, 2), (0, 2)], expected, strict=True):
            assert means.loc[(attribute, *levels), "mean"] == pytest.approx(
                float(value), abs=0.0005 + 1e-9
            ), (attribute, levels)


def test_different_seeds_are_far_apart(machine):
    # README: "Between different seeds (age, level 1) the mean distance is 0.803, the least 0.440."
    impostor = machine[
        ~machine["same_identity"] & (machine["attribute"] == "age") & (machine["level"] == 1)
    ]
    assert len(impostor) == 50 * 49 // 2
    assert impostor["distance"].mean() == pytest.approx(0.803, abs=0.0005)
    assert impostor["distance"].min() == pytest.approx(0.440, abs=0.0005)


def test_distances_against_the_embeddings(machine, omi):
    with np.load(omi / "embeddings_dlib_validation_artificial.npz") as file:
        of = dict(zip(file["name"].tolist(), file["embedding"].astype(float), strict=True))
    for row in machine.sample(200, random_state=1).itertuples():
        difference = of[f"{row.stimulus_a}.jpg"] - of[f"{row.stimulus_b}.jpg"]
        assert row.distance == pytest.approx(np.sqrt((difference**2).sum()), rel=1e-6)


def test_ratings_average_to_the_published_means(ratings, omi):
    human = cb.to_frame(ratings, "human")
    assert set(human["rating_type"]) == {"normal", "repeat", "fill-in"}
    ours = human.groupby(["seed", "question"])["score"].mean().unstack()
    published = pd.read_csv(omi / "attribute_means.csv", index_col="stimulus")
    assert ours.shape == published.shape == (1_004, 34)
    published.index = published.index.astype(str)
    published = published.loc[ours.index, ours.columns]
    assert np.abs(ours.to_numpy() - published.to_numpy()).max() < 1e-6


def test_ratings_left_out_are_counted(ratings, omi):
    excluded = cb.to_frame(ratings, "excluded")
    assert excluded["count"].tolist() == [74_280]
    assert excluded["file"].tolist() == ["attribute_ratings.zip"]
    # README: 1,398,480 rows.
    assert ratings["human"].sizes["judgement"] == 1_398_480 - 74_280
    rows = cb.to_frame(ratings, "provenance").set_index("file")["rows"]
    assert rows["attribute_ratings.zip"] == 1_398_480
    assert "74,280" in repr(ratings)
