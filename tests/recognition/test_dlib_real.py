"""dlib's network on real generated faces: the stored embeddings and distances come out again."""

import numpy as np
import pytest
from PIL import Image

import causalbias as cb

pytest.importorskip("dlib")


def sample(chips, seeds):
    names = sorted(path.stem for path in chips.glob("*.jpg"))
    wanted = sorted({name.split("_")[0] for name in names})[:seeds]
    return {name: chips / f"{name}.jpg" for name in names if name.split("_")[0] in wanted}


def check_against_stored(found, stored):
    names, embedding = stored
    place = [names.index(name) for name in found["stimulus"].values]
    assert (found["status"] == "ok").all()
    # dlib 20.0 and 20.0.1 on different processors: single precision, 128 sums of thousands.
    np.testing.assert_allclose(found["embedding"].values[0], embedding[place], atol=1e-4)


def test_dlib_reproduces_stored_embeddings_and_distances(chips, stored, omi):
    files = sample(chips, 1)
    found = cb.embed(files, "dlib", align="none")
    check_against_stored(found, stored)
    reference = cb.load("omi", omi)
    before = reference["machine"].to_dataset()
    after = cb.recognition.with_distances(reference, found)["machine"].to_dataset()
    measured = after["status"] == "ok"
    a, b = (reference["pairs"][f"stimulus_{side}"].isin(list(files)) for side in ("a", "b"))
    assert np.array_equal(measured.values[0], (a & b).values)
    difference = abs(after["distance"] - before["distance"]).where(measured)
    assert int(measured.sum()) == 30  # ten attributes, three pairs of levels
    assert float(difference.max()) < 1e-4
    assert float(after["threshold"].sel(system="dlib")) == 0.6


@pytest.mark.slow
def test_dlib_reproduces_every_tenth_stored_embedding(chips, stored):
    names = sorted(path.stem for path in chips.glob("*.jpg"))[::10]
    found = cb.embed({name: chips / f"{name}.jpg" for name in names}, "dlib", align="none")
    check_against_stored(found, stored)


def test_alignment_of_a_moved_face_finds_it_again(chips):
    """A crop turned by 12 degrees, on a larger canvas, is brought back to nearly the same face."""
    path = next(iter(sample(chips, 1).values()))
    upright = Image.open(path).convert("RGB")
    canvas = Image.new("RGB", (400, 360), (90, 110, 100))
    canvas.paste(upright.resize((200, 200)), (120, 70))
    turned = canvas.rotate(12, resample=Image.Resampling.BICUBIC, fillcolor=(90, 110, 100))
    crops = [
        cb.recognition.align_face(np.asarray(picture), "dlib", (150, 150)).pixels
        for picture in (upright, canvas, turned)
    ]
    vectors = cb.embedder("dlib")(np.stack(crops))
    # Different persons of this set are 0.44 apart at the least.
    assert np.linalg.norm(vectors[1:] - vectors[0], axis=1).max() < 0.25


def test_arcface_alignment_puts_the_landmarks_on_the_template(chips):
    from causalbias.recognition.alignment import ARCFACE
    from causalbias.recognition.detection import find_faces
    from causalbias.recognition.dlib_faces import five_points

    path = next(iter(sample(chips, 1).values()))
    canvas = Image.new("RGB", (400, 360), (90, 110, 100))
    canvas.paste(Image.open(path).resize((200, 200)), (120, 70))
    crop = cb.recognition.align_face(np.asarray(canvas.rotate(-9)), "arcface", (224, 224)).pixels
    points = five_points(crop, find_faces(crop)[0]) / 2
    # Five points of one face are not the template's mean face: a few pixels of 112.
    assert np.abs(points - ARCFACE).max() < 8
    assert np.abs((points - ARCFACE).mean(axis=0)).max() < 3


def test_two_faces_the_largest_is_taken_and_noted(chips, tmp_path):
    first, *_, second = sample(chips, 2).values()
    canvas = Image.new("RGB", (600, 320), (100, 100, 100))
    canvas.paste(Image.open(first).resize((260, 260)), (20, 30))
    canvas.paste(Image.open(second).resize((160, 160)), (400, 80))
    canvas.save(tmp_path / "two.png")
    Image.open(first).save(tmp_path / "one.png")
    found = cb.embed(tmp_path, "dlib").isel(system=0)
    assert found["note"].sel(stimulus="two") == "2 faces, the largest taken"
    vectors = found["embedding"]
    apart = float(np.linalg.norm(vectors.sel(stimulus="one") - vectors.sel(stimulus="two")))
    assert apart < 0.3
