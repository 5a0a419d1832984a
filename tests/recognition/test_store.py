"""The store: nothing is computed twice or lost, whatever stops a run."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest
import xarray as xr
from PIL import Image

import causalbias as cb
from causalbias.recognition.images import UNREADABLE
from causalbias.recognition.store import Record, add_records, open_store, read_records
from tests.recognition.recognition_cases import mean_colour, noise

# Embeds the folder in batches of three, a quarter of a second each, and logs new images' numbers.
SLOW = """
import sys, time
import causalbias as cb
from causalbias.recognition.embedder import Embedder

seen = set()

def forward(images):
    new = {image.tobytes() for image in images} - seen
    if new:
        with open(sys.argv[3], "a") as log:
            log.write(f"{len(new)}\\n")
        time.sleep(0.25)
    seen.update(new)
    return images.reshape(len(images), -1, 3).mean(axis=1)

slow = Embedder("mean", forward, size=(16, 16), weights="mean 1")
cb.embed(sys.argv[1], slow, store=sys.argv[2], batch=3)
"""


def computed(log):
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def test_a_killed_run_resumes_without_recomputing_or_losing(noisy_folder, tmp_path):
    log, store = tmp_path / "log", tmp_path / "store"
    command = [sys.executable, "-c", SLOW, str(noisy_folder), str(store), str(log)]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.Popen(command, env=env)
    deadline = time.monotonic() + 60
    while len(computed(log)) < 3 and time.monotonic() < deadline:  # the third batch has begun
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert computed(log) == [3, 3, 3]
    with open_store(store / "embeddings.sqlite") as opened:
        kept = opened.execute("SELECT count(*) FROM embeddings").fetchone()[0]
    assert kept == 6  # two whole batches; the third was not finished
    subprocess.run(command, env=env, check=True)
    assert sum(computed(log)[3:]) == 10 - kept
    resumed = cb.embed(noisy_folder, mean_colour(), store=store)
    xr.testing.assert_identical(resumed, cb.embed(noisy_folder, mean_colour()))
    assert sum(computed(log)) == 13


def test_the_key_is_content_embedder_and_alignment(noisy_folder, tmp_path):
    calls = []
    embed = lambda folder, **known: cb.embed(  # noqa: E731
        folder, mean_colour(calls, **known), store=tmp_path / "store"
    )
    first = embed(noisy_folder)
    assert sum(calls) == 10
    moved = tmp_path / "moved"
    shutil.copytree(noisy_folder, moved)
    (moved / "f0.png").rename(moved / "g0.png")
    again = embed(moved)
    embed(noisy_folder, name="other name", threshold=0.3, metric="cosine")
    assert sum(calls) == 10
    same = again["embedding"].sel(stimulus="g0").values
    assert np.array_equal(same, first["embedding"].sel(stimulus="f0").values)
    Image.fromarray(noise(99)).save(noisy_folder / "f0.png")
    changed = embed(noisy_folder)
    assert sum(calls) == 11
    assert not np.array_equal(changed["embedding"].values[:, 0], first["embedding"].values[:, 0])
    for known in (
        {"weights": "mean 2"},
        {"colour": "bgr"},
        {"normalise": (127.5, 127.5)},
        {"unit": True},
        {"size": (8, 8)},
    ):
        embed(noisy_folder, **known)
    assert sum(calls) == 11 + 5 * 10


def test_two_images_of_one_content_are_computed_once(tmp_path):
    for name in "ab":
        Image.fromarray(noise(0)).save(tmp_path / f"{name}.png")
    calls = []
    found = cb.embed(tmp_path, mean_colour(calls))
    assert calls == [1]
    assert found["sha256"].values[0] == found["sha256"].values[1]


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_batches_change_nothing(noisy_folder, batch):
    found = cb.embed(noisy_folder, mean_colour(), batch=batch)
    xr.testing.assert_identical(found, cb.embed(noisy_folder, mean_colour()))
    with pytest.raises(cb.DataError, match="batch 0"):
        cb.embed(noisy_folder, mean_colour(), batch=0)


def test_progress_ends_at_all_images(noisy_folder):
    told = []
    cb.embed(noisy_folder, mean_colour(), batch=4, progress=lambda *now: told.append(now))
    done = [n for _, n, _ in told]
    assert done == sorted(done)
    assert told[-1] == ("mean", 10, 10)


def test_a_damaged_store_is_one_error(noisy_folder, tmp_path):
    cb.embed(noisy_folder, mean_colour(), store=tmp_path)
    file = tmp_path / "embeddings.sqlite"
    with sqlite3.connect(file) as store:
        store.execute("UPDATE embeddings SET vector = x'0000'")
    with pytest.raises(cb.DataError, match=r"does not match its checksum.*delete the store"):
        cb.embed(noisy_folder, mean_colour(), store=tmp_path)
    file.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with pytest.raises(cb.DataError, match="cannot use the store"):
        cb.embed(noisy_folder, mean_colour(), store=tmp_path)


def test_another_program_s_file_is_left_alone(noisy_folder, tmp_path):
    with sqlite3.connect(tmp_path / "embeddings.sqlite") as other:
        other.execute("CREATE TABLE theirs (x)")
    with pytest.raises(cb.DataError, match="another kind"):
        cb.embed(noisy_folder, mean_colour(), store=tmp_path)


def test_vectors_are_kept_bit_for_bit(noisy_folder, tmp_path):
    embedder = mean_colour(normalise=(3.0, 7.0))
    found = cb.embed(noisy_folder, embedder, store=tmp_path)
    again = cb.embed(noisy_folder, embedder, store=tmp_path)
    assert np.array_equal(found["embedding"], again["embedding"])
    with open_store(tmp_path / "embeddings.sqlite") as store:
        assert read_records(store, "no such key", ["x"]) == {}


def shards(folder, tmp_path, calls=None, n=3):
    """Embed a part of the images into a store of its own each, as machines of a cluster do."""
    files = sorted(folder.iterdir())
    places = [tmp_path / f"shard_{i}" for i in range(n)]
    for i, place in enumerate(places):
        part = {path.stem: path for path in files[i::n]}
        cb.embed(part, mean_colour(calls), store=place)
    return places


def test_stores_of_parts_are_read_as_one(noisy_folder, tmp_path):
    calls = []
    places = shards(noisy_folder, tmp_path, calls)
    assert sum(calls) == 10
    whole = cb.embed(noisy_folder, mean_colour(calls), store=places)
    assert sum(calls) == 10
    xr.testing.assert_identical(whole, cb.embed(noisy_folder, mean_colour()))
    Image.fromarray(noise(77)).save(noisy_folder / "new.png")
    for order in (places, places[:1], places[::-1]):
        if order == places[:1]:  # the new one was stored in the first
            found = cb.embed({"new": noisy_folder / "new.png"}, mean_colour(calls), store=order)
            assert found["status"].values.item() == "ok"
        else:
            cb.embed(noisy_folder, mean_colour(calls), store=order)
        assert sum(calls) == 11


def test_an_image_that_one_store_could_not_read_is_taken_from_another(noisy_folder, tmp_path):
    places = shards(noisy_folder, tmp_path)
    whole = cb.embed(noisy_folder, mean_colour(), store=places)
    hashed = str(whole["sha256"].sel(stimulus="f4").values)
    with open_store(places[0] / "embeddings.sqlite") as opened:
        key = opened.execute("SELECT key FROM embeddings").fetchone()[0]
        add_records(opened, key, {hashed: Record(UNREADABLE, "", None)})
    calls = []
    found = cb.embed(noisy_folder, mean_colour(calls), store=places)
    assert calls == []
    xr.testing.assert_identical(found, whole)


@pytest.mark.parametrize("stores", [[], ["a", "a"], ["a", "./a"], ["a", "nowhere"]])
def test_stores_that_are_none_or_there_twice_are_refused(noisy_folder, tmp_path, stores):
    given = [f"{tmp_path}/{name}" for name in stores]
    with pytest.raises(cb.DataError, match=r"no store|the same|no embeddings are stored"):
        cb.embed(noisy_folder, mean_colour(), store=given)


def test_embeddings_of_parts_in_files_are_counted_without_reading_them_whole(
    noisy_folder, tmp_path
):
    """As for millions of images: each part is saved, and all are opened lazily and joined."""
    files = sorted(noisy_folder.iterdir())
    parts = [
        cb.save(
            cb.embed({path.stem: path for path in files[i::3]}, mean_colour()),
            tmp_path / f"part_{i}.zarr",
        )
        for i in range(3)
    ]
    opened = [cb.open(part, lazy=True)["embedding"] for part in parts]
    joined = xr.concat(opened, "stimulus").sel(system="mean")
    group = ["a", "b"] * 5
    lazy = cb.all_pairs(joined, group, thresholds=30.0)
    inside = cb.all_pairs(joined.values, group, thresholds=30.0)
    xr.testing.assert_identical(lazy, inside)
    assert joined.sizes["stimulus"] == 10
