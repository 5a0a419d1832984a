"""Images are read and aligned in threads: nothing changes but the time that a network waits."""

import threading
import time
import warnings

import numpy as np
import pytest
import xarray as xr
from PIL import Image, TiffImagePlugin

import causalbias as cb
from causalbias.recognition import embedding
from causalbias.recognition.embedder import Embedder
from causalbias.recognition.threads import in_order, lent
from tests.recognition.recognition_cases import noise

SIZE = (16, 16)


def colours(images):
    return images.mean((1, 2))


def system(forward=colours, **known):
    return Embedder(name="mine", forward=forward, size=SIZE, weights="1", **known)


@pytest.fixture
def threads_that_read():
    """Threads of pools that were not there before: other libraries keep theirs for good."""
    before = set(threading.enumerate())
    return lambda: [
        one
        for one in threading.enumerate()
        if one not in before and "ThreadPoolExecutor" in one.name
    ]


def test_any_number_of_threads_gives_one_result(noisy_folder, tmp_path, threads_that_read):
    (noisy_folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(noisy_folder / "blank.png")
    Image.fromarray(noise(3)).convert("L").save(noisy_folder / "grey.png")
    Image.fromarray(noise(4)).save(noisy_folder / "twice.png")  # the content of f4
    alone = cb.embed(noisy_folder, system(), batch=3, workers=1)
    assert alone["status"].values.ravel().tolist().count("ok") == 12
    for workers in (2, 5, None):
        steps = []
        found = cb.embed(
            noisy_folder,
            system(),
            batch=3,
            workers=workers,
            store=tmp_path / str(workers),
            progress=lambda *step, steps=steps: steps.append(step[1]),
        )
        xr.testing.assert_identical(found, alone)
        assert steps == sorted(steps)
        assert steps[-1] == 14
    assert not threads_that_read()


@pytest.mark.parametrize(("align", "detector"), [("dlib", "hog"), ("arcface", "yunet")])
def test_threads_do_not_share_a_detector(chips, tmp_path, align, detector):
    pytest.importorskip("dlib" if detector == "hog" else "cv2")
    # Of several sizes: a detector that two threads used at once would search a wrong image.
    for n, path in enumerate(sorted(chips.iterdir())[::100]):
        side = 100 + 10 * (n % 7)
        Image.open(path).resize((side, side)).save(tmp_path / f"{path.stem}.png")
    one = system(align=align, detector=detector)
    alone = cb.embed(tmp_path, one, workers=1)
    assert (alone["status"] == "ok").sum() > 10
    xr.testing.assert_identical(cb.embed(tmp_path, one, workers=4, batch=5), alone)


def test_the_next_images_are_read_while_the_network_runs(noisy_folder, monkeypatch):
    read, seen = threading.Event(), []
    crop_of = embedding.crop_of

    def counted(content, *how):
        seen.append(len(content))
        if len(seen) == 6:  # of the second batch
            read.set()
        return crop_of(content, *how)

    monkeypatch.setattr(embedding, "crop_of", counted)

    def forward(images):
        assert read.wait(30)
        return colours(images)

    cb.embed(noisy_folder, system(forward), batch=5, workers=2)


def test_not_more_images_are_read_in_advance_than_said(threads_that_read):
    begun = []

    def work(item):
        begun.append(item)
        return item

    results = in_order(work, range(100), workers=3, ahead=7)
    assert next(results) == 0
    results.close()
    assert len(begun) <= 8
    assert not threads_that_read()


def test_an_error_of_reading_comes_in_its_turn(
    noisy_folder, monkeypatch, tmp_path, threads_that_read
):
    """What was read before it is embedded and kept, as without threads."""
    read_image = embedding.read_image

    def gone(path):
        if path.stem == "f7":
            raise cb.DataError("the image cannot be read", hint="look", file=str(path))
        return read_image(path)

    monkeypatch.setattr(embedding, "read_image", gone)
    kept = []
    for workers in (1, 4):
        done = []
        with pytest.raises(cb.DataError, match=r"f7.png: the image cannot be read"):
            cb.embed(
                noisy_folder,
                system(lambda images, done=done: done.append(len(images)) or colours(images)),
                batch=3,
                workers=workers,
            )
        kept.append(done)
    assert kept[0] == kept[1]
    assert not threads_that_read()


def test_an_interrupted_run_ends_its_threads_and_resumes(noisy_folder, tmp_path, threads_that_read):
    how = {"batch": 4, "workers": 3, "store": tmp_path / "store"}
    done = []

    def interrupted(images):
        if done:  # the first batch is stored
            raise KeyboardInterrupt
        return colours(images)

    with pytest.raises(KeyboardInterrupt):
        cb.embed(
            noisy_folder,
            system(interrupted),
            progress=lambda _, n, __: done.append(n) if n == 4 else None,
            **how,
        )
    assert not threads_that_read()
    rows = []
    found = cb.embed(
        noisy_folder, system(lambda images: rows.append(len(images)) or colours(images)), **how
    )
    assert rows[0] == 4  # of the six that were left
    assert rows[-1] == 2
    xr.testing.assert_identical(found, cb.embed(noisy_folder, system(), workers=1))


def test_filters_of_warnings_are_left_as_they_were(tmp_path):
    """They are the process's: threads that each set and restored them would leave wrong ones."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[36867] = "2020"  # a date as a tag of its own, which Pillow reads
    for n in range(12):
        Image.fromarray(noise(n)).save(tmp_path / f"{n}.tif", tiffinfo=tags)
    before = list(warnings.filters)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cb.embed(tmp_path, system(), batch=2, workers=4)
        assert warnings.filters[0][0] == "error"
    assert list(warnings.filters) == before


def test_no_two_threads_are_lent_the_same_and_what_comes_back_is_kept():
    made, in_use = [], []

    @lent
    def tool():
        made.append(object())
        return made[-1]

    def work(_):
        with tool() as one:
            in_use.append(one)
            assert in_use.count(one) == 1
            time.sleep(0.001)
            in_use.remove(one)

    list(in_order(work, range(60), workers=4, ahead=60))
    assert 1 <= len(made) <= 4
    with pytest.raises(ZeroDivisionError), tool():
        1 / 0  # noqa: B018
    before = len(made)
    with tool() as one:
        assert one in made
    assert len(made) == before


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "2"])
def test_a_number_of_threads_that_is_none(noisy_folder, workers):
    with pytest.raises(cb.DataError, match=r"workers\. Hint: give one or more"):
        cb.embed(noisy_folder, system(), workers=workers)
