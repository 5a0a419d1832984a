"""Untrusted images: each ends in pixels, or in a status that is counted."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import causalbias as cb
from causalbias.recognition.images import decode, list_images
from tests.recognition.recognition_cases import mean_colour, noise


def encoded(picture, form="PNG", **options):
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def png_header(width, height):
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind, body):
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def broken_images():
    whole = encoded(Image.fromarray(noise(0)), "JPEG")
    return {
        "truncated": (whole[: len(whole) // 2], "unreadable image"),
        "text": (b"not an image at all", "unreadable image"),
        "empty": (b"", "unreadable image"),
        "gif": (encoded(Image.fromarray(noise(0)), "GIF"), "unreadable image"),
        "bomb": (png_header(60_000, 60_000), "image too large"),
        "large": (png_header(9_000, 9_000), "image too large"),
        "larger": (png_header(11_000, 11_000), "image too large"),
        "deep": (
            encoded(Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64) * 16)),
            "unreadable image",
        ),
        "plain": (encoded(Image.new("RGB", (64, 64), (128, 128, 128))), "blank image"),
    }


@pytest.mark.parametrize("kind", broken_images())
def test_what_cannot_be_used_gets_a_status(kind):
    content, status = broken_images()[kind]
    found = decode(content)
    assert (found.pixels, found.status) == (None, status)


def test_a_grey_image_is_used_and_noted():
    grey = Image.fromarray(noise(1)[..., 0])
    found = decode(encoded(grey))
    assert (found.status, found.note) == ("ok", "grey image")
    assert np.array_equal(found.pixels, np.repeat(np.asarray(grey)[..., None], 3, axis=2))


def test_transparency_is_noted_and_colour_is_not_grey():
    opaque = Image.fromarray(noise(1))
    assert decode(encoded(opaque)).note == ""
    opaque.putalpha(Image.fromarray(noise(2)[..., 0]))
    found = decode(encoded(opaque))
    assert (found.status, found.note) == ("ok", "transparency ignored")
    assert np.array_equal(found.pixels, noise(1))


def test_exif_orientation_is_applied():
    picture = Image.fromarray(noise(2, (40, 60)))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    assert decode(encoded(picture, exif=exif)).pixels.shape == (60, 40, 3)


def test_bad_images_are_counted_and_the_others_embedded(noisy_folder):
    for name, (content, _) in broken_images().items():
        (noisy_folder / f"{name}.png").write_bytes(content)
    found = cb.embed(noisy_folder, mean_colour()).isel(system=0)
    counts = found["status"].to_series().value_counts().to_dict()
    assert counts == {"ok": 10, "unreadable image": 5, "image too large": 3, "blank image": 1}
    assert np.isfinite(found["embedding"].where(found["status"] == "ok", drop=True)).all()
    assert found["embedding"].where(found["status"] != "ok").isnull().all()


def test_no_face_is_a_status_and_none_at_all_an_error(noisy_folder):
    pytest.importorskip("dlib")
    with pytest.raises(cb.DataError, match=r"none of 10 images .*10 face not detected"):
        cb.embed(noisy_folder, "dlib")


def test_a_folder_that_cannot_be_used(tmp_path):
    with pytest.raises(cb.DataError, match="no such directory"):
        list_images(tmp_path / "nowhere")
    with pytest.raises(cb.DataError, match="no images"):
        list_images(tmp_path)
    outside = tmp_path / "outside.png"
    Image.fromarray(noise(0)).save(outside)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.png").symlink_to(outside)
    with pytest.raises(cb.DataError, match="leads out"):
        list_images(inside)
    with pytest.raises(cb.DataError, match="1 of 1 images are not there"):
        cb.embed({"a": tmp_path / "gone.png"}, mean_colour())
    Image.fromarray(noise(0)).save(tmp_path / "outside.jpg")
    with pytest.raises(cb.DataError, match="one name"):
        list_images(tmp_path)
