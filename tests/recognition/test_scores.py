"""All-pairs counts against SciPy's distances and NumPy's histogram."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

import causalbias as cb
from causalbias import DataError
from causalbias.estimands import rates_labels
from causalbias.recognition import scores


def faces(rng, n=300, features=24):
    random = np.random.default_rng(rng)
    group = random.choice(["a", "b", "c"], n)
    vectors = random.normal(size=(n, features)) + 3  # a mean that rounding could suffer from
    return vectors.astype(np.float32), group, random.integers(0, n // 3, n)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("block", [64, 512])
def test_counts_are_those_of_brute_force(metric, block, monkeypatch):
    monkeypatch.setattr(scores, "BLOCK", block)
    vectors, group, identity = faces(1)
    first, second = np.triu_indices(len(vectors), 1)
    distance = pdist(vectors.astype(float), metric)
    # Thresholds in the tail and in the middle, and at distances that there are: below, not at.
    at = np.sort([*np.quantile(distance, [0.001, 0.3]), distance[7], distance[1000]])
    at = np.concatenate([at[:2], np.nextafter(at[2:], np.inf)])
    counts = cb.all_pairs(
        vectors, group, identity=identity, thresholds=at, metric=metric, workers=2
    )
    same = identity[first] == identity[second]
    edges = np.append(counts["low"], counts["high"][-1])
    for one in "abc":
        for other in "abc":
            rows = ((group[first] == one) & (group[second] == other)) | (
                (group[first] == other) & (group[second] == one)
            )
            for kind, of_kind in (("genuine", same), ("impostor", ~same)):
                own = counts.sel(kind=kind, group=one, other=other)
                part = distance[rows & of_kind]
                assert int(own["n"]) == len(part)
                wanted = [(part < limit).sum() for limit in counts["threshold"].values]
                np.testing.assert_array_equal(own["matches"], wanted)
                # Float32 may put a distance on the other side of an edge, one bin away.
                moved = np.cumsum(own["histogram"].values - np.histogram(part, edges)[0])
                assert np.abs(moved).max() <= 2


def test_matches_of_each_face():
    vectors, group, identity = faces(2)
    limit = 5.5
    counts = cb.all_pairs(vectors, group, identity=identity, thresholds=limit)
    distance = np.sqrt(np.square(vectors[:, None].astype(float) - vectors).sum(axis=-1))
    match = (distance < limit) & (identity[:, None] != identity)
    for other in "abc":
        own = counts["face_matches"].sel(threshold=limit, other=other)
        np.testing.assert_array_equal(own, match[:, group == other].sum(axis=1))
    np.testing.assert_array_equal(counts["face_group"], group)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 40))
def test_order_of_faces_does_not_matter(rng, n):
    vectors, group, identity = faces(rng, n=n + 4, features=5)
    order = np.random.default_rng(rng).permutation(len(group))
    one = cb.all_pairs(vectors, group, identity=identity, thresholds=[2.0, 3.0])
    two = cb.all_pairs(
        vectors[order], group[order], identity=identity[order], thresholds=[2.0, 3.0]
    )
    np.testing.assert_array_equal(one["matches"], two["matches"])
    assert int(one["n"].sum()) == int(two["n"].sum())


def test_identical_faces_are_at_no_distance():
    vectors = np.repeat(faces(3, n=5)[0], 3, axis=0)
    counts = cb.all_pairs(vectors, ["a"] * 15, thresholds=1e-12)
    # Five faces thrice: three pairs each.
    assert int(counts["matches"].sel(kind="impostor").sum()) == 15


def test_rates_of_all_pairs_are_those_of_the_pairs(monkeypatch):
    """The same counts, and the same effective numbers but for what distances tell of them."""
    vectors, group, _ = faces(4, n=120)
    first, second = np.triu_indices(len(vectors), 1)
    frame = pd.DataFrame(
        {
            "seed_a": first, "seed_b": second, "distance": pdist(vectors.astype(float)),
            "group_a": group[first], "group_b": group[second], "same_identity": False,
        }
    )  # fmt: skip
    counts = cb.all_pairs(vectors, group, thresholds=[5.5, 6.5])
    ours = cb.all_pairs_rates(counts).sel(threshold=5.5)
    fewer = cb.group_pair_rates(frame, "group", threshold=5.5).sel(system="system")
    assert (fewer["n_effective"] <= ours["n_effective"] + 1e-9).all()
    monkeypatch.setattr(rates_labels, "seed_correlation", lambda *_: (0.0, 0.0))
    theirs = cb.group_pair_rates(frame, "group", threshold=5.5).sel(system="system")
    for name in ("errors", "n", "n_effective", "disjoint", "smallest_rate", "supported"):
        np.testing.assert_allclose(ours[name], theirs[name])
    np.testing.assert_allclose(ours["rate"], theirs["rate"])


@pytest.mark.parametrize(
    ("change", "options", "told"),
    [
        ({"embeddings": np.ones((3, 2, 2))}, {}, "shape"),
        ({"embeddings": np.ones((3, 2), dtype=int)}, {}, "type int"),
        ({"embeddings": np.array([[0.0, 1], [np.nan, 0], [1, 1]])}, {}, "row 2"),
        ({"embeddings": np.zeros((3, 2))}, {"metric": "cosine"}, "row 1"),
        ({"group": ["a", "b"]}, {}, "2 labels for 3 faces"),
        ({}, {"identity": [1]}, "1 labels for 3 faces"),
        ({}, {"metric": "city"}, "metric"),
        ({}, {"thresholds": [np.nan]}, "thresholds"),
        ({}, {"thresholds": -0.1}, "thresholds"),
        ({}, {"bins": 0}, "0 bins"),
    ],
)
def test_bad_input_ends_in_one_error(change, options, told):
    given = {"embeddings": np.eye(3), "group": ["a", "a", "b"]} | change
    with pytest.raises(DataError, match=told):
        cb.all_pairs(given["embeddings"], given["group"], **options)


def test_counts_at_no_threshold_give_no_rates():
    with pytest.raises(DataError, match="no threshold"):
        cb.all_pairs_rates(cb.all_pairs(np.eye(3), ["a", "a", "b"]))
