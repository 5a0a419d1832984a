"""All pairs of embeddings that are not in memory, by tasks, and resumed: always the same counts."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings

import dask
import dask.array
import numpy as np
import pytest
import xarray as xr
import zarr

import causalbias as cb
from causalbias import DataError
from causalbias.recognition import kept_counts, pair_counts, tiles
from tests.recognition.test_all_pairs import faces

AT = [5.0, 5.5]


@pytest.fixture
def small_tiles(monkeypatch):
    monkeypatch.setattr(tiles, "TILE", 64)
    monkeypatch.setattr(tiles, "OF_GROUP", 1)


def counts_of(vectors, group, identity, **more):
    return cb.all_pairs(vectors, group, identity=identity, thresholds=AT, **more)


def mapped(vectors, path, order="C"):
    np.save(path, np.asarray(vectors, order=order))
    return np.load(path, mmap_mode="r")


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_counts_do_not_depend_on_where_the_embeddings_are(metric, tmp_path):
    vectors, group, identity = faces(1)
    inside = counts_of(vectors, group, identity, metric=metric)
    on_disk = zarr.create_array(str(tmp_path / "z.zarr"), data=vectors, chunks=(50, 24))
    whole = mapped(np.vstack([vectors[:7] + 1, vectors]), tmp_path / "more.npy")
    for source in (
        mapped(vectors, tmp_path / "c.npy"),
        mapped(vectors, tmp_path / "f.npy", order="F"),
        whole[7:],  # a part of a map
        on_disk,
        dask.array.from_zarr(on_disk),
        xr.DataArray(dask.array.from_array(vectors, chunks=(33, 24)), dims=("face", "feature")),
        vectors.tolist() if metric == "cosine" else vectors[::1],
    ):
        found = counts_of(source, group, identity, metric=metric)
        if isinstance(source, list):  # read as float64: an edge of a bin may fall elsewhere
            xr.testing.assert_equal(found["matches"], inside["matches"])
        else:
            xr.testing.assert_identical(found, inside)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("kind", ["memory", "mapped", "zarr", "dask"])
def test_tasks_of_dask_give_the_counts_of_threads(kind, tmp_path):
    vectors, group, identity = faces(2)
    vectors[5] = np.nan
    wanted = counts_of(vectors, group, identity, workers=2)
    on_disk = zarr.create_array(str(tmp_path / "z.zarr"), data=vectors, chunks=(50, 24))
    source = {
        "memory": vectors,
        "mapped": mapped(vectors, tmp_path / "c.npy"),
        "zarr": on_disk,
        "dask": dask.array.from_zarr(on_disk),
    }[kind]
    for scheduler in ("threads", "synchronous"):
        with dask.config.set(scheduler=scheduler):
            xr.testing.assert_identical(counts_of(source, group, identity), wanted)
            found = counts_of(source, group, identity, file=tmp_path / f"{scheduler}.nc")
            xr.testing.assert_identical(found.drop_attrs(), wanted.drop_attrs())


@pytest.mark.slow
@pytest.mark.usefixtures("small_tiles")
def test_processes_read_rows_themselves(tmp_path):
    vectors, group, identity = faces(3)
    wanted = counts_of(vectors, group, identity, workers=1)
    source = mapped(vectors, tmp_path / "c.npy")
    assert isinstance(tiles.source_of(source), tiles.Mapped)
    with dask.config.set(scheduler="processes", num_workers=1):
        found = counts_of(source, group, identity)
    xr.testing.assert_identical(found, wanted)


def test_counts_do_not_depend_on_the_size_of_tiles(monkeypatch):
    vectors, group, identity = faces(4)
    wanted = counts_of(vectors, group, identity)
    for size in (9, 37, 299):
        monkeypatch.setattr(tiles, "TILE", size)
        monkeypatch.setattr(tiles, "OF_GROUP", 1)
        found = counts_of(vectors, group, identity)
        for name in ("matches", "n", "face_matches", "face_genuine_matches"):
            xr.testing.assert_equal(found[name], wanted[name])
        moved = np.cumsum((found["histogram"] - wanted["histogram"]).values, axis=-1)
        assert np.abs(moved).max() <= 2


def test_genuine_matches_of_each_face():
    vectors, group, identity = faces(2)
    counts = cb.all_pairs(vectors, group, identity=identity, thresholds=6.5)
    distance = np.sqrt(np.square(vectors[:, None].astype(float) - vectors).sum(axis=-1))
    match = (distance <= 6.5) & (identity[:, None] == identity) & ~np.eye(len(group), dtype=bool)
    for other in "abc":
        own = counts["face_genuine_matches"].sel(threshold=6.5, other=other)
        np.testing.assert_array_equal(own, match[:, group == other].sum(axis=1))
    assert match.any()


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("name", ["counts.nc", "counts.zarr"])
def test_a_run_that_was_stopped_goes_on(name, tmp_path, monkeypatch):
    vectors, group, identity = faces(5)
    vectors[17] = np.nan
    wanted = counts_of(vectors, group, identity)
    monkeypatch.setattr(pair_counts, "KEEP_EVERY", 0.0)
    monkeypatch.setattr(pair_counts, "KEEP_COST", 0.0)
    file = tmp_path / name
    pairs = []

    def stops(text):
        pairs.append(text)
        if len(pairs) == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        counts_of(vectors, group, identity, file=file, progress=stops)
    with pytest.raises(DataError, match=r"the counts are not finished \(\d+% of the pairs"):
        cb.open(file)
    later = []
    found = counts_of(
        mapped(vectors, tmp_path / "c.npy"), group, identity, file=file, progress=later.append
    )
    # Of 5 tiles there are 15 pairs; the seventh was counted and not kept.
    assert (len(pairs), len(later)) == (7, 15 - 6)
    assert later[-1] == "44,551 of 44,551 pairs"
    xr.testing.assert_identical(found.drop_attrs(), wanted.drop_attrs())
    again = counts_of(vectors, group, identity, file=file, progress=later.append)
    assert len(later) == 9
    xr.testing.assert_identical(again, found)
    xr.testing.assert_identical(cb.open(file), found)
    assert "fingerprint" not in wanted.attrs


KILLED = """
import os, signal, sys, time
import numpy as np
import causalbias as cb
from causalbias.recognition import pair_counts, tiles
from tests.recognition.test_all_pairs import faces

tiles.TILE, tiles.OF_GROUP = 64, 1
pair_counts.KEEP_EVERY = pair_counts.KEEP_COST = 0.0
seen = []

def progress(text):
    seen.append(text)
    if len(seen) == 5:
        os.kill(os.getpid(), signal.SIGKILL)

vectors, group, identity = faces(6)
cb.all_pairs(vectors, group, identity=identity, thresholds=[5.0, 5.5], file=sys.argv[1],
             progress=progress)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("small_tiles")
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal")
def test_a_run_that_was_killed_goes_on(tmp_path):
    file = tmp_path / "counts.nc"
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", KILLED, str(file)], env=env, check=False)
    assert done.returncode == -signal.SIGKILL
    vectors, group, identity = faces(6)
    later = []
    found = counts_of(vectors, group, identity, file=file, progress=later.append)
    assert len(later) == 15 - 4
    wanted = counts_of(vectors, group, identity)
    xr.testing.assert_identical(found.drop_attrs(), wanted.drop_attrs())


@pytest.mark.parametrize(
    "change",
    [
        {"embeddings": 0},
        {"group": 0},
        {"identity": 0},
        {"thresholds": [5.0]},
        {"metric": "cosine"},
        {"bins": 10},
        {"largest": 30.0},
    ],
)
def test_a_file_of_other_counts_is_refused(change, tmp_path):
    vectors, group, identity = faces(7, n=40)
    given = {"embeddings": vectors, "group": group, "identity": identity, "thresholds": AT}
    file = tmp_path / "counts.nc"
    cb.all_pairs(**given, file=file)
    for name, value in change.items():
        if value == 0:
            value = given[name].copy()
            value[[3, 4]] = value[[4, 3]] if name == "embeddings" else value[[5, 6]]
        given[name] = value
    kept = file.read_bytes()
    with pytest.raises(DataError, match="begun with other embeddings"):
        cb.all_pairs(**given, file=file)
    assert file.read_bytes() == kept


def test_a_file_of_something_else_or_damaged_is_refused(tmp_path):
    vectors, group, identity = faces(7, n=40)
    study = tmp_path / "study.nc"
    cb.save(cb.demo_study(), study)
    with pytest.raises(DataError, match="holds no counts of all pairs"):
        counts_of(vectors, group, identity, file=study)
    damaged = tmp_path / "damaged.nc"
    damaged.write_bytes(study.read_bytes()[:2000])
    with pytest.raises(DataError, match="delete it, and the pairs are counted again"):
        counts_of(vectors, group, identity, file=damaged)
    with pytest.raises(DataError, match="format"):
        counts_of(vectors, group, identity, file=tmp_path / "counts.csv")


def test_faces_without_an_embedding_are_left_out_and_counted():
    vectors, group, identity = faces(8, n=50)
    vectors[[3, 9]] = np.nan
    there = np.setdiff1d(np.arange(50), [3, 9])
    for metric in ("euclidean", "cosine"):
        counts = counts_of(vectors, group, identity, metric=metric)
        alone = counts_of(vectors[there], group[there], identity[there], metric=metric)
        assert json.loads(counts.attrs["left_out"]) == {"faces without an embedding": 2}
        np.testing.assert_array_equal(counts["face"], there)
        xr.testing.assert_equal(counts[["matches", "n"]], alone[["matches", "n"]])
    vectors[12, 3] = np.inf
    with pytest.raises(DataError, match="row 13: the embedding is not finite"):
        counts_of(vectors, group, identity)
    with pytest.raises(DataError, match="1 of 50 faces have an embedding"):
        counts_of(np.where(np.arange(50)[:, None] == 1, vectors, np.nan), group, identity)


def test_one_identity_has_genuine_pairs_only_and_zeros_in_front_make_another():
    vectors = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)
    counts = cb.all_pairs(vectors, ["a"] * 6, identity=["x"] * 6, thresholds=1.0)
    assert counts["n"].values.ravel().tolist() == [0, 15]
    counts = cb.all_pairs(vectors, ["a"] * 6, identity=["01", "1"] * 3, thresholds=1.0)
    assert counts["n"].values.ravel().tolist() == [9, 6]


def test_histograms_end_where_they_are_told():
    vectors, group, _ = faces(9, n=60)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    counts = cb.all_pairs(unit, group, bins=20, largest=2.0)
    np.testing.assert_allclose(counts["high"][-1], 2.0)
    np.testing.assert_allclose(counts["high"] - counts["low"], 0.1)
    scaled = cb.all_pairs(unit * 1000, group, bins=20, largest=2000.0)
    np.testing.assert_array_equal(scaled["histogram"], counts["histogram"])
    with pytest.raises(DataError, match=r"largest=0.5, but distances .* up to"):
        cb.all_pairs(unit, group, largest=0.5)
    with pytest.raises(DataError, match="largest is -1"):
        cb.all_pairs(unit, group, largest=-1)


@pytest.mark.usefixtures("small_tiles")
def test_what_does_not_fit_is_refused_and_what_takes_long_is_announced(monkeypatch):
    vectors, group, identity = faces(10)
    with pytest.raises(DataError, match=r"300 faces in 300 groups at 2 thresholds would take"):
        counts_of(vectors, np.arange(300).astype(str), identity, bins=10**9)
    monkeypatch.setattr(pair_counts, "MEASURED", 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        counts_of(vectors, group, identity)
    monkeypatch.setattr(pair_counts, "LONG", 0.0)
    with pytest.warns(UserWarning, match=r"44,850 pairs will take about 0.0 hours.* GiB .*file="):
        counts_of(vectors, group, identity)


def test_embeddings_of_unknown_size_are_refused():
    vectors = dask.array.from_array(np.eye(4), chunks=2)
    with pytest.raises(DataError, match="shape"):
        cb.all_pairs(vectors[vectors[:, 0] >= 0], list("aabb"))


def test_kept_counts_are_written_as_often_as_time_allows(tmp_path, monkeypatch):
    """Not after every pair of tiles, but for the first, which finds out whether it can be."""
    monkeypatch.setattr(tiles, "TILE", 64)
    written = []
    keep = kept_counts.keep
    monkeypatch.setattr(pair_counts, "keep", lambda *given: written.append(keep(*given)))
    started = time.monotonic()
    counts_of(*faces(11), file=tmp_path / "counts.nc")
    assert len(written) == 1 or time.monotonic() - started > pair_counts.KEEP_EVERY
