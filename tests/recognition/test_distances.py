"""The machine side of a study from embeddings, and failures to enrol."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import beta

import causalbias as cb
from causalbias.rates.enrolment import rate_interval
from causalbias.recognition.distances import BLOCK, pair_distances
from tests.recognition.recognition_cases import mean_colour


def cube(names, embedding, status=None, *, metric="euclidean", system="net", threshold=np.nan):
    return xr.Dataset(
        {
            "embedding": (("system", "stimulus", "feature"), np.asarray(embedding)[None]),
            "status": (("system", "stimulus"), [status or ["ok"] * len(names)]),
            "metric": ("system", [metric]),
            "threshold": ("system", [threshold]),
        },
        coords={"system": [system], "stimulus": list(names)},
        attrs={"kind": "embeddings"},
    )


@pytest.fixture
def design():
    """Six seeds of two groups at three levels; all pairs of a seed, and of a level."""
    names = [f"{seed}_{'ab'[seed % 2]}_{level}" for seed in range(6) for level in range(3)]
    faces = cb.datasets.stimuli_from_names(names, "{seed}_{group}_{level}")
    study = cb.make_study(factors=["seed", "group", "level"], stimuli=faces)
    return cb.with_pairs(study, [["seed"], ["level"]]), names


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_distances_are_scipy_s(metric):
    random = np.random.default_rng(0)
    points = random.normal(size=(300, 7)).astype(np.float32)
    first, second = random.integers(0, 300, (2, 2 * BLOCK + 5))
    expected = cdist(points.astype(float), points.astype(float), metric)[first, second]
    found = pair_distances(points, first, second, metric)
    assert found == pytest.approx(expected, abs=1e-9)
    assert (found >= 0).all()


@given(st.integers(0, 1000), st.sampled_from(["euclidean", "cosine"]))
def test_distances_do_not_depend_on_order_or_padding(seed, metric):
    random = np.random.default_rng(seed)
    points = random.normal(size=(5, 3))
    first, second = random.integers(0, 5, (2, 8))
    found = pair_distances(points, first, second, metric)
    assert np.array_equal(found, pair_distances(points, second, first, metric))
    padded = np.pad(points, ((0, 0), (0, 4)))
    assert pair_distances(padded, first, second, metric) == pytest.approx(found, abs=1e-12)


def test_pairs_get_distance_or_the_reason_why_not(design):
    study, names = design
    random = np.random.default_rng(1)
    embedding = random.normal(size=(len(names), 4))
    status = ["ok"] * len(names)
    status[4] = "face not detected"
    embedding[4] = np.nan
    keep = [n for n in range(len(names)) if n != 7]
    filled = cb.recognition.with_distances(
        study, cube([names[n] for n in keep], embedding[keep], [status[n] for n in keep])
    )
    cb.validate(filled)
    rows = cb.to_frame(filled, "machine")
    for row in rows.itertuples():
        members = {row.stimulus_a, row.stimulus_b}
        if names[4] in members:
            assert row.status in ("face not detected", "no image")
        elif names[7] in members:
            assert row.status == "no image"
        else:
            a, b = (embedding[names.index(name)] for name in (row.stimulus_a, row.stimulus_b))
            assert row.distance == pytest.approx(np.linalg.norm(a - b))
    lost = rows["stimulus_a"].isin([names[4], names[7]]) | rows["stimulus_b"].isin(
        [names[4], names[7]]
    )
    assert ((rows["status"] != "ok") == lost).all()
    assert lost.any()
    assert "failed to enrol" in repr(filled)


def test_systems_are_added_and_replaced(design):
    study, names = design
    random = np.random.default_rng(2)
    one = cb.recognition.with_distances(
        study, cube(names, random.normal(size=(18, 4)), threshold=0.6)
    )
    both = cb.recognition.with_distances(
        one, cube(names, random.normal(size=(18, 6)), metric="cosine", system="other")
    )
    machine = both["machine"].to_dataset()
    assert machine["system"].values.tolist() == ["net", "other"]
    assert machine["distance"].attrs["metric"] == "net: euclidean; other: cosine"
    assert machine["threshold"].sel(system="net") == 0.6
    kept = machine["distance"].sel(system="net").values
    assert np.array_equal(kept, one["machine"]["distance"].sel(system="net").values)
    again = cb.recognition.with_distances(
        both, cube(names, random.normal(size=(18, 4)), threshold=0.5)
    )
    assert sorted(again["machine"]["system"].values) == ["net", "other"]
    assert again["machine"]["threshold"].sel(system="net") == 0.5
    assert not np.array_equal(again["machine"]["distance"].sel(system="net").values, kept)
    assert np.array_equal(
        again["machine"]["distance"].sel(system="other").values,
        machine["distance"].sel(system="other").values,
    )


def test_studies_and_embeddings_that_do_not_fit(design):
    study, _ = design
    strangers = cube(["x", "y"], np.ones((2, 2)))
    with pytest.raises(cb.DataError, match="such as 'x', is an image"):
        cb.recognition.with_distances(study, strangers)
    bare = cb.make_study(
        factors=["seed"], stimuli=cb.datasets.stimuli_from_names(["x", "y"], "{seed}"), name="bare"
    )
    with pytest.raises(cb.DataError, match="no pairs"):
        cb.recognition.with_distances(bare, strangers)
    with pytest.raises(cb.DataError, match="no embeddings"):
        cb.rates.enrolment(bare)
    with pytest.raises(cb.DataError, match="no two faces share level"):
        cb.with_pairs(
            cb.make_study(
                factors=["seed", "level"],
                stimuli=cb.datasets.stimuli_from_names(["1_0", "2_1"], "{seed}_{level}"),
            ),
            [["level"]],
        )


def test_saved_and_opened(design, tmp_path, noisy_folder):
    study, names = design
    filled = cb.recognition.with_distances(study, cube(names, np.ones((18, 3), np.float32)))
    assert cb.open(cb.save(filled, tmp_path / "study.nc")).identical(filled)
    found = cb.embed(noisy_folder, [mean_colour(), mean_colour(name="grey", colour="grey")])
    xr.testing.assert_identical(cb.open(cb.save(found, tmp_path / "embeddings.nc")), found)


def test_systems_of_different_length_share_a_cube(noisy_folder):
    found = cb.embed(noisy_folder, [mean_colour(), mean_colour(name="grey", colour="grey")])
    assert found["embedding"].dims == ("system", "stimulus", "feature")
    assert found["features"].values.tolist() == [3, 1]
    assert (found["embedding"].sel(system="grey").isel(feature=slice(1, None)) == 0).all()
    with pytest.raises(cb.DataError, match="each with its own name"):
        cb.embed(noisy_folder, [mean_colour(), mean_colour()])


def test_text_scores_are_cosines_and_missing_faces_stay_missing():
    random = np.random.default_rng(5)
    embedding, texts = random.normal(size=(4, 6)), random.normal(size=(2, 6))
    embedding[2] = np.nan
    padded = np.pad(embedding, ((0, 0), (0, 3)))
    images = cube("abcd", padded).assign(features=("system", [6]))
    found = cb.recognition.text_scores(
        images, "net", dict(zip(["old", "young"], texts, strict=True))
    )
    expected = 1 - cdist(embedding, texts, "cosine")
    assert found.values == pytest.approx(expected, abs=1e-12, nan_ok=True)
    with pytest.raises(cb.DataError, match="give 6 numbers"):
        cb.recognition.text_scores(images, "net", {"old": texts[0][:5]})
    with pytest.raises(cb.DataError, match="no system is called 'clip'"):
        cb.recognition.text_scores(images, "clip", {"old": texts[0]})


# Names -------------------------------------------------------------------------------------------


def test_factors_from_names():
    frame = cb.datasets.stimuli_from_names(
        ["set1/007_black-male_+2", "set1/012_x_-1"], "set1/{seed}_{group}_{step}"
    )
    assert frame["seed"].tolist() == ["007", "012"]  # leading zeros: not numbers
    assert frame["group"].tolist() == ["black-male", "x"]
    for name, pattern, why in (
        ("a_b_c", "{seed}_{level}", "does not match"),
        ("a", "plain", "once in braces"),
        ("a_a", "{x}_{x}", "once in braces"),
        ("a/b_c", "{seed}_{level}", "does not match"),
    ):
        with pytest.raises(cb.DataError, match=why):
            cb.datasets.stimuli_from_names([name], pattern)


# Failure to enrol --------------------------------------------------------------------------------


def test_failures_to_enrol_are_counted_by_group(design):
    study, names = design
    status = ["ok"] * 18
    for lost in (0, 1, 6):  # two faces of seed 0 and one of seed 2, both of group a
        status[lost] = "face not detected"
    status[3] = "unreadable image"  # seed 1, group b
    embedding = np.ones((18, 2))
    embedding[[0, 1, 3, 6]] = np.nan
    filled = cb.recognition.with_embeddings(study, cube(names[:-1], embedding[:-1], status[:-1]))
    table = cb.rates.enrolment(filled, ["group"]).set_index("group")
    assert table[["faces", "identities", "failed"]].values.tolist() == [[9, 3, 3], [9, 3, 2]]
    assert table["reasons"].tolist() == [
        "3 face not detected",
        "1 no image; 1 unreadable image",
    ]
    assert table["rate"].tolist() == pytest.approx([3 / 9, 2 / 9])
    assert ((table["lower"] < table["rate"]) & (table["rate"] < table["upper"])).all()
    assert int(cb.rates.enrolment(filled)["failed"].sum()) == 5
    with pytest.raises(cb.DataError, match="race"):
        cb.rates.enrolment(filled, ["race"])


@given(st.integers(1, 40), st.integers(0, 40), st.integers(1, 3))
def test_enrolment_interval_allows_for_identities(bad, good, copies):
    """Copies of each face add no information; with one face an identity it is exact."""
    failed = np.array([True] * bad + [False] * good)
    identity = np.arange(len(failed))
    single = rate_interval(failed, identity)
    repeated = rate_interval(np.repeat(failed, copies), np.repeat(identity, copies))
    assert repeated[0] == pytest.approx(single[0], abs=1e-9)
    assert repeated[1] == pytest.approx(single[1], abs=1e-9)
    low, high = beta(bad, good + 1).ppf(0.025), beta(bad + 1, max(good, 1)).ppf(0.975)
    assert single == pytest.approx((low, 1.0 if good == 0 else high), abs=1e-6)


@pytest.mark.slow
def test_enrolment_interval_covers_with_failures_that_cluster():
    """80 identities of 10 faces, failure rates of identities spread about 0.1."""
    random = np.random.default_rng(3)
    covered = naive = 0
    identity = np.repeat(np.arange(80), 10)
    for _ in range(1000):
        chance = random.beta(0.5, 4.5, 80)
        failed = random.random(800) < chance[identity]
        low, high = rate_interval(failed, identity, 0.9)
        covered += low < 0.1 < high
        low, high = beta(failed.sum() + 0.5, 800 - failed.sum() + 0.5).ppf([0.05, 0.95])
        naive += low < 0.1 < high
    # 1,000 trials: two standard errors are 0.02; the interval is an approximation besides.
    assert 0.86 < covered / 1000 < 0.94
    assert naive / 1000 < 0.75
