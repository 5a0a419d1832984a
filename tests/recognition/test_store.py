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
from causalbias.recognition.store import open_store, read_records
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
