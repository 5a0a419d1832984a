"""From images to a cube: what each image and each kind of network ends in."""

import shutil

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

import causalbias as cb
from causalbias.errors import DataError
from causalbias.recognition.alignment import ARCFACE, align_face, arcface_template
from causalbias.recognition.embedder import Embedder
from causalbias.recognition.photos import Photos, photo_scores
from tests.recognition.recognition_cases import mean_colour, noise

SIZE = (16, 16)


def function(forward, **known):
    return Embedder(**({"name": "mine", "forward": forward, "size": SIZE, "weights": "1"} | known))


def colours(images):
    return images.mean((1, 2))


def embedded(folder, forward, **known):
    return cb.embed(folder, function(forward, **known), align="none").isel(system=0)


def drawing(images):
    return colours(images) + np.random.default_rng().normal(size=(len(images), 3))


def dropout(images):
    return colours(images) * np.random.default_rng().integers(0, 2, (len(images), 3))


class Counting:
    """Keeps something from one call to the next."""

    def __init__(self):
        self.calls = 0

    def __call__(self, images):
        self.calls += 1
        return colours(images) + self.calls


@pytest.mark.parametrize("forward", [drawing, dropout, Counting()])
def test_two_embeddings_for_one_image_are_refused(noisy_folder, forward):
    with pytest.raises(cb.DataError, match=r"mine: an image has two .*by the images alone"):
        embedded(noisy_folder, forward)
    with pytest.raises(cb.DataError, match="an image has two embeddings"):
        cb.embedder(forward, name="mine", version="1", size=SIZE)


@pytest.mark.parametrize(
    "forward",
    [
        lambda images: colours(images) - colours(images).mean(0),
        lambda images: np.sort(colours(images), axis=0),
        lambda images: colours(images) / (1e-9 + colours(images).std(0)),
    ],
)
def test_embeddings_that_depend_on_the_batch_are_refused(noisy_folder, forward):
    with pytest.raises(cb.DataError, match="depends on the other images"):
        embedded(noisy_folder, forward)
    with pytest.raises(cb.DataError, match="depends on the other images"):
        cb.embedder(forward, name="mine", version="1", size=SIZE)


def test_an_embedding_that_is_not_finite_is_a_status(noisy_folder):
    black = np.zeros((*SIZE, 3), np.uint8)
    black[0, 0] = 255
    Image.fromarray(black).save(noisy_folder / "dark.png")

    def forward(images):
        found = colours(images)
        found[found.mean(1) < 10] = np.nan
        return found

    found = embedded(noisy_folder, forward)
    assert found["status"].sel(stimulus="dark") == "embedding not finite"
    assert found["embedding"].sel(stimulus="dark").isnull().all()
    assert (found["status"] == "ok").sum() == 10
    large = embedded(
        noisy_folder,
        lambda images: (
            colours(images) * np.where(colours(images).mean(1, keepdims=True) < 10, 1e300, 1.0)
        ),
    )
    assert large["status"].sel(stimulus="dark") == "embedding not finite"
    with pytest.raises(cb.DataError, match=r"none of 11 .*11 embedding not finite"):
        embedded(noisy_folder, lambda images: colours(images) * np.nan)


def test_a_vector_of_zeros_has_no_direction(noisy_folder, tmp_path):
    dark = noise(0, SIZE)
    dark[0, 0] = 0
    Image.fromarray(dark).save(noisy_folder / "f0.png")
    forward = lambda images: colours(images) * (images[:, 0, 0, :1] > 0)  # noqa: E731
    counts = {}
    for metric, unit in (("euclidean", False), ("cosine", False), ("euclidean", True)):
        system = function(forward, metric=metric, unit=unit)
        found = cb.embed(
            {"f0": noisy_folder / "f0.png", "f1": noisy_folder / "f1.png"},
            system,
            align="none",
            store=tmp_path / "store",
        )
        counts[metric, unit] = found["status"].values.ravel().tolist()
    none = "embedding of length zero"
    assert counts["euclidean", False] == ["ok", "ok"]
    assert counts["cosine", False] == counts["euclidean", True] == [none, "ok"]


def test_as_many_numbers_for_every_image(noisy_folder, tmp_path):
    dark = noise(0, SIZE) // 8
    Image.fromarray(dark).save(noisy_folder / "z.png")

    def forward(images):
        found = colours(images)
        return found[:, :2] if found.min() < 40 else found

    with pytest.raises(cb.DataError, match="mine: the network returned 3 features, and then 2"):
        cb.embed(noisy_folder, function(forward), align="none", batch=10)
    store = tmp_path / "store"
    only = {"a": noisy_folder / "f0.png"}
    cb.embed(only, function(colours), align="none", store=store)
    with pytest.raises(cb.DataError, match=r"3 features, and then 2.*change the version"):
        cb.embed({"z": noisy_folder / "z.png"}, function(forward), align="none", store=store)


@pytest.mark.parametrize("error", [RuntimeError, KeyError, MemoryError, AssertionError])
def test_whatever_a_network_raises_is_one_error(noisy_folder, error):
    def forward(images):
        raise error("inside\nand more")

    with pytest.raises(cb.DataError, match=r"mine: (it fails|memory does not suffice)"):
        embedded(noisy_folder, forward)


@pytest.mark.parametrize("n", [1, 4])
def test_a_function_made_for_one_size_of_batch(noisy_folder, n):
    def fixed(images):
        assert len(images) == n
        return images.reshape(n, -1)[:, :7]

    found = cb.embed(noisy_folder, cb.embedder(fixed, name="fixed", version="1", size=(64, 64)))
    pixels = np.stack([noise(seed) for seed in range(10)]).reshape(10, -1)[:, :7]
    assert np.array_equal(found["embedding"].values[0], pixels.astype(np.float32))


def test_order_and_batch_change_no_embedding(noisy_folder):
    files = {f"f{n}": noisy_folder / f"f{n}.png" for n in range(10)}
    whole = cb.embed(files, "wavelets", align="none")
    for batch, names in ((1, list(files)), (3, list(files)[::-1]), (10, list(files)[::3])):
        part = cb.embed(
            {name: files[name] for name in names}, "wavelets", align="none", batch=batch
        )
        xr.testing.assert_equal(part, whole.sel(stimulus=names))


def test_paths_begin_at_home_and_ids_are_text(noisy_folder, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.move(noisy_folder, tmp_path / "faces")
    found = cb.embed("~/faces", mean_colour(), store="~/kept")
    assert (tmp_path / "kept" / "embeddings.sqlite").is_file()
    numbered = cb.embed({7: "~/faces/f0.png", 8: "~/faces/f1.png"}, mean_colour())
    assert numbered["stimulus"].values.tolist() == ["7", "8"]
    assert np.array_equal(numbered["embedding"][0, 0], found["embedding"][0, 0])
    with pytest.raises(cb.DataError, match="of another type are written alike"):
        cb.embed({7: "~/faces/f0.png", "7": "~/faces/f1.png"}, mean_colour())
    for missing in (None, np.nan, "", " "):
        with pytest.raises(cb.DataError, match=r"1 stimuli have no path, such as 'b'"):
            cb.embed({"a": "~/faces/f0.png", "b": missing}, mean_colour())


def test_arguments_without_effect_are_refused():
    with pytest.raises(cb.DataError, match="is a function"):
        cb.embedder(colours, name="a", version="1", size=SIZE, device="cuda")
    with pytest.raises(cb.DataError, match="run on the CPU only"):
        cb.embedder("lbp", device="cuda")
    with pytest.raises(cb.DataError, match="ready-made"):
        cb.embedder("lbp", architecture="iresnet50")
    with pytest.raises(cb.DataError, match="for functions only"):
        cb.embedder("net.onnx", version="2")
    for size in (112, (112,), (1.5, 2), (0, 4), "ab", (4, 4, 3)):
        with pytest.raises(cb.DataError, match="size"):
            cb.embedder(colours, name="a", version="1", size=size)
    assert cb.embedder(colours, name="a", version="1", size=np.array(SIZE)).fingerprint


def test_arguments_of_another_kind_are_one_error(noisy_folder):
    for wrong in (None, 5, colours, [colours], []):
        with pytest.raises(cb.DataError, match=r"is no embedder|at least one"):
            cb.embed(noisy_folder, wrong)
    for wrong in ([noisy_folder / "f0.png"], None, 5):
        with pytest.raises(cb.DataError, match="a mapping of stimulus to path"):
            cb.embed(wrong, mean_colour())
    with pytest.raises(cb.DataError, match="images do not exist"):
        cb.embed({"a": noisy_folder}, mean_colour())


def test_noise_of_one_seed_is_noise_all_the_same(noisy_folder):
    """It differs between the places of a batch."""

    def forward(images):
        noise = np.random.default_rng(0).normal(size=(len(images), 3))
        return colours(images) + 0.1 * noise

    with pytest.raises(cb.DataError, match="an image has two embeddings"):
        embedded(noisy_folder, forward)


# Crops -------------------------------------------------------------------------------------------


def test_the_template_of_112_by_96_is_sphereface_s():
    """Published with SphereFace's preprocessing, as x, y of 96 x 112 pixels."""
    published = [
        [30.2946, 51.6963],
        [65.5318, 51.5014],
        [48.0252, 71.7366],
        [33.5493, 92.3655],
        [62.7299, 92.2041],
    ]
    assert arcface_template((112, 96)) == pytest.approx(np.array(published), abs=1e-3)
    assert np.array_equal(arcface_template((112, 112)), ARCFACE)
    assert arcface_template((224, 224)) == pytest.approx(2 * ARCFACE)
    with pytest.raises(cb.DataError, match="112 x 30"):
        arcface_template((112, 30))


def test_a_crop_keeps_the_proportions_of_a_face():
    """A circle stays one, whatever the sides."""
    y, x = np.mgrid[:200, :150]
    disc = np.repeat((np.hypot(y - 99.5, x - 74.5) < 40)[..., None] * np.uint8(255), 3, axis=2)
    for size in ((100, 75), (112, 96), (50, 100), (90, 30)):
        found = align_face(disc, "none", size)
        high, wide = (np.flatnonzero((found.pixels[..., 0] > 127).any(axis)) for axis in (1, 0))
        if len(wide) < size[1] and len(high) < size[0]:
            assert len(high) == pytest.approx(len(wide), abs=2)
        assert ("middle" in found.note) == (size != (100, 75))


def test_chips_for_a_network_that_is_not_square(chips):
    pytest.importorskip("dlib")
    image = np.asarray(Image.open(sorted(chips.iterdir())[0]).convert("RGB"))
    for method in ("dlib", "arcface"):
        square, narrow = (align_face(image, method, (112, side)) for side in (112, 96))
        assert narrow.pixels.shape == (112, 96, 3)
        difference = narrow.pixels.astype(int) - square.pixels[:, 8:104]
        assert np.abs(difference).mean() < 1


def test_photographs_without_an_embedding_are_named():
    people = pd.DataFrame({"person": ["p", "p", "q"], "race": "x"}, index=["a", "b", "c"])
    empty = pd.DataFrame()
    photos = Photos({}, people, ["race"], "faces", empty, empty, empty, [])
    cube = xr.Dataset(
        {
            "embedding": (("system", "stimulus", "feature"), [[[0.0], [1.0]]]),
            "status": (("system", "stimulus"), [["ok", "ok"]]),
            "metric": ("system", ["euclidean"]),
        },
        coords={"system": ["net"], "stimulus": ["a", "b"]},
    )
    with pytest.raises(DataError, match="photographs have no embedding: 'c'"):
        photo_scores(photos, cube)
