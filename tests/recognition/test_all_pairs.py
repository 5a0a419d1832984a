"""All-pairs counts against SciPy's distances and NumPy's histogram."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

import causalbias as cb
from causalbias import DataError
from causalbias.rates import assembly
from causalbias.rates.dependence import ASSUMED, seed_correlation
from causalbias.recognition import blocks


def faces(rng, n=300, features=24):
    random = np.random.default_rng(rng)
    group = random.choice(["a", "b", "c"], n)
    vectors = random.normal(size=(n, features)) + 3  # a mean that rounding could suffer from
    return vectors.astype(np.float32), group, random.integers(0, n // 3, n)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("block", [64, 512])
def test_counts_are_those_of_brute_force(metric, block, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", block)
    vectors, group, identity = faces(1)
    first, second = np.triu_indices(len(vectors), 1)
    distance = pdist(vectors.astype(float), metric)
    # Thresholds in the tail and in the middle, and at distances that there are: below, not at.
    at = np.sort([*np.quantile(distance, [0.001, 0.3]), distance[7], distance[1000]])
    at = np.concatenate([at[:2], at[2:] * (1 + 1e-12)])  # SciPy's sums have another order
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
                wanted = [(part <= limit).sum() for limit in counts["threshold"].values]
                np.testing.assert_array_equal(own["matches"], wanted)
                # Float32 may put a distance on the other side of an edge, one bin away.
                moved = np.cumsum(own["histogram"].values - np.histogram(part, edges)[0])
                assert np.abs(moved).max() <= 2


def test_matches_of_each_face():
    vectors, group, identity = faces(2)
    limit = 5.5
    counts = cb.all_pairs(vectors, group, identity=identity, thresholds=limit)
    distance = np.sqrt(np.square(vectors[:, None].astype(float) - vectors).sum(axis=-1))
    match = (distance <= limit) & (identity[:, None] != identity)
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
            "seed_a": first,
            "seed_b": second,
            "distance": pdist(vectors.astype(float)),
            "group_a": group[first],
            "group_b": group[second],
            "same_identity": False,
        }
    )
    counts = cb.all_pairs(vectors, group, thresholds=[5.5, 6.5])
    ours = cb.rates.all_pairs_rates(counts).sel(threshold=5.5)

    def assumed(first, second, distance, weight):
        found = seed_correlation(first, second, distance, weight)
        return found._replace(correlation=ASSUMED, tail=0.0)

    monkeypatch.setattr(assembly, "seed_correlation", assumed)
    theirs = cb.rates.group_pair_rates(frame, "group", threshold=5.5).sel(system="system")
    for name in ("errors", "n", "n_effective", "disjoint", "smallest_rate", "supported"):
        np.testing.assert_allclose(ours[name], theirs[name])
    # The ends are the widest over thresholds: those given here, all distances there.
    np.testing.assert_allclose(ours["rate"], theirs["rate"], rtol=0.005)


@pytest.mark.parametrize(
    ("change", "options", "told"),
    [
        ({"embeddings": np.ones((3, 2, 2))}, {}, "shape"),
        ({"embeddings": np.ones((3, 2), dtype=complex)}, {}, "type complex"),
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
        cb.rates.all_pairs_rates(cb.all_pairs(np.eye(3), ["a", "a", "b"]))


# Embeddings and labels of any kind


def brute(vectors, metric, at):
    return (pdist(np.asarray(vectors, dtype=float), metric) <= at).sum()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 1000),
    st.sampled_from([1e-300, 1e-40, 1e-30, 1e-20, 1.0, 1e4, 1e20, 1e38, 1e300]),
    st.sampled_from(["euclidean", "cosine"]),
    st.sampled_from(["C", "F", "strided", "read-only"]),
)
def test_counts_do_not_depend_on_the_unit_or_the_layout(rng, unit, metric, layout):
    random = np.random.default_rng(rng)
    vectors = np.repeat(random.normal(size=(12, 6)), 2, axis=0)[:-1]
    distance = pdist(vectors, metric)
    at = np.unique(random.choice(distance[distance > 1e-9], 3)) * (1 + 1e-9)
    scale = 1.0 if metric == "cosine" else unit
    given_ = np.ascontiguousarray(vectors * unit)
    if layout == "F":
        given_ = np.asfortranarray(given_)
    elif layout == "strided":
        given_ = np.repeat(given_, 2, axis=0)[::2]
    elif layout == "read-only":
        given_.setflags(write=False)
    counts = cb.all_pairs(
        given_,
        ["a", "b", "a"] * 7 + ["a", "b"],
        thresholds=at * scale,
        metric=metric,
        bins=7,
        workers=1,
    )
    n = len(vectors) * (len(vectors) - 1) // 2
    matches = counts["matches"].sel(kind="impostor").values
    whole = matches[0, 0] + matches[1, 1] + matches[0, 1]
    assert whole.tolist() == [(distance <= one).sum() for one in at]
    histogram = counts["histogram"].sel(kind="impostor").values
    assert (histogram[0, 0] + histogram[1, 1] + histogram[0, 1]).sum() == n
    assert np.isfinite(counts["high"]).all()


@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.uint16, np.int64, np.longdouble, ">f4"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_numbers_of_any_type_are_counted(dtype, metric):
    vectors = np.random.default_rng(1).integers(1, 90, (20, 5)).astype(dtype)
    at = float(np.median(pdist(vectors.astype(float), metric)))
    counts = cb.all_pairs(vectors, ["a"] * 20, thresholds=at, metric=metric)
    assert int(counts["matches"].sel(kind="impostor").item()) == brute(vectors, metric, at)


def test_one_vector_for_all_faces_and_one_far_away_are_counted():
    for vectors in (np.ones((6, 3)), np.zeros((6, 3))):
        counts = cb.all_pairs(vectors, ["a"] * 6, thresholds=[0.0, 1.0])
        assert counts["matches"].sel(kind="impostor").values.ravel().tolist() == [15, 15]
    far = np.vstack([np.full((5, 3), 1e-30), np.full((1, 3), 1e30)])
    counts = cb.all_pairs(far, ["a"] * 6, thresholds=[0.0, 1e29])
    assert counts["matches"].sel(kind="impostor").values.ravel().tolist() == [10, 10]


def test_a_match_is_at_the_threshold_or_below_it():
    points = np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    counts = cb.all_pairs(points, ["a"] * 3, thresholds=[5.0, np.nextafter(5.0, 0), 10.0])
    assert counts["matches"].sel(kind="impostor").values.ravel().tolist() == [0, 2, 3]


def test_identities_are_text_and_groups_are_in_the_order_of_the_data():
    vectors = np.eye(6)
    options = {"thresholds": 2.0, "workers": 1}
    for identity, genuine in (
        (["01", "1", "1", "1.5", "x", "y"], 1),
        ([2**60 + 1, 2**60 + 2, 1, 2, 3, 4], 0),
        (pd.Series([1, 1, 2, 2, 2, 3], dtype="Int64"), 4),
        (np.array([2**63 + 1, 2**63 + 2, 1, 2, 3, 4], dtype=np.uint64), 0),
    ):
        counts = cb.all_pairs(vectors, ["a"] * 6, identity=identity, **options)
        assert counts["n"].sel(kind="genuine").item() == genuine
    group = pd.Categorical(["b", "a"] * 3, ["c", "b", "a"])
    assert cb.all_pairs(vectors, group, **options)["group"].values.tolist() == ["b", "a"]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, "", pd.NaT])
@pytest.mark.parametrize("column", ["group", "identity"])
def test_faces_without_identity_or_group_are_in_no_pair_and_counted(missing, column):
    labels = {"group": ["a", "a", "b", "b", "a"], "identity": ["x", "y", "x", "z", "x"]}
    known = [0, 3, 4]
    for row in (1, 2):
        labels[column][row] = missing
    vectors = np.random.default_rng(1).normal(size=(5, 3))
    counts = cb.all_pairs(vectors, labels["group"], identity=labels["identity"], thresholds=2.0)
    alone = cb.all_pairs(
        vectors[known],
        [labels["group"][row] for row in known],
        identity=[labels["identity"][row] for row in known],
        thresholds=2.0,
    )
    xr.testing.assert_equal(counts[["n", "matches"]], alone[["n", "matches"]])
    assert counts["face"].values.tolist() == known
    name = {"identity": "faces without an identity", "group": "faces without a group"}[column]
    assert json.loads(counts.attrs["left_out"]) == {name: 2}
    assert cb.rates.all_pairs_rates(counts).attrs["left_out"] == counts.attrs["left_out"]
    with pytest.raises(
        DataError, match="row 1: 1 of 3 faces have an embedding, a group and an identity"
    ):
        cb.all_pairs(np.eye(3), ["a"] * 3, identity=[missing, missing, "x"])


@pytest.mark.parametrize("given", [["a", "a "], ["a", "b"]])
def test_spaces_around_a_label_do_not_make_another_group_or_person(given):
    faces = np.eye(2)
    if given[1] == "a ":
        for labels in ({"group": given}, {"group": ["x", "x"], "identity": given}):
            with pytest.raises(DataError, match="look the same"):
                cb.all_pairs(faces, **labels)
    else:
        counts = cb.all_pairs(faces, [" b", "a "], identity=["p ", "p "])
        assert counts["group"].values.tolist() == ["a", "b"]
        assert int(counts["n"].sel(kind="genuine", group="a", other="b")) == 1


def test_groups_that_are_numbers_are_in_their_order():
    counts = cb.all_pairs(np.eye(4), [10, -1, 9, -2])
    assert counts["group"].values.tolist() == ["-2", "-1", "9", "10"]


@pytest.mark.parametrize(
    ("embeddings", "more"),
    [
        (np.zeros((3, 0)), {}),
        ([[1.0], [1.0, 2.0], [3.0]], {}),
        (np.eye(3), {"workers": -1}),
        (np.eye(3), {"workers": 0}),
        (np.eye(3), {"workers": 1.5}),
        (np.eye(3), {"largest": "2"}),
        (np.eye(3), {"file": __file__}),
        (xr.Dataset({"embedding": (("face", "feature"), np.eye(3))}), {}),
        ("faces.npy", {}),
    ],
)
def test_what_cannot_be_counted_is_one_error(embeddings, more):
    with pytest.raises(DataError):
        cb.all_pairs(embeddings, ["a", "a", "b"], **more)
