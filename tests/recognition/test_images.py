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
        "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "unreadable image"),
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
    with pytest.raises(cb.DataError, match="1 of 1 images do not exist"):
        cb.embed({"a": tmp_path / "gone.png"}, mean_colour())
    Image.fromarray(noise(0)).save(tmp_path / "outside.jpg")
    with pytest.raises(cb.DataError, match="one name"):
        list_images(tmp_path)


# Formats, and files of folders -------------------------------------------------------------------

LOSSLESS = {
    "a.png": "PNG",
    "b.bmp": "BMP",
    "c.tif": "TIFF",
    "d.TIFF": "TIFF",
    "e.ppm": "PPM",
    "f.jp2": "JPEG2000",
    "g.dib": "DIB",
    "h.apng": "PNG",
}
LOSSY = {
    "i.jpg": "JPEG",
    "j.jfif": "JPEG",
    "k.JPE": "JPEG",
    "l.gif": "GIF",
    "m.webp": "WEBP",
    "n.jpeg": "JPEG",
    "o.avif": "AVIF",
    "p.mpo": "JPEG",
}


def test_every_format_of_a_folder_is_read(tmp_path):
    smooth = Image.fromarray(noise(5, (4, 4))).resize((32, 32))
    Image.init()  # AVIF is not in every build of Pillow
    known = {name: form for name, form in (LOSSLESS | LOSSY).items() if form in Image.SAVE}
    for name, form in known.items():
        (tmp_path / name).write_bytes(encoded(smooth, form))
    found = list_images(tmp_path)
    assert list(found) == sorted(name.split(".")[0] for name in known)
    for path in found.values():
        pixels = decode(path.read_bytes()).pixels.astype(int)
        error = np.abs(pixels - np.asarray(smooth)).mean()
        assert error == 0 if path.name in LOSSLESS else error < 8, path.name


def test_pictures_that_are_not_read_have_a_status_and_other_files_are_counted(tmp_path):
    Image.fromarray(noise(0)).save(tmp_path / "a.png")
    for name in ("b.heic", "c.HEIF", "d.dng", "e.CR2", "f.psd", "g.jxl", "h.nef"):
        (tmp_path / name).write_bytes(b"\0\0\0\x18ftypheic")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "sub").mkdir()
    others = (
        "notes.txt",
        ".DS_Store",
        "._a.png",
        "Thumbs.db",
        "faces.csv",
        "__MACOSX/a.png",
        "sub/.hidden.jpg",
        "bmi.txt",
    )
    for name in others:
        (tmp_path / name).write_bytes(b"BM and other text")
    found = cb.embed(tmp_path, mean_colour(), align="none")
    assert found["stimulus"].values.tolist() == list("abcdefgh")
    assert found["status"].values.ravel().tolist() == ["ok"] + ["unreadable image"] * 7
    assert (found["note"].values.ravel()[1:] == "HEIC cannot be read").all()
    assert found.attrs["left_out"].startswith(f"{len(others)} that are no images, such as")


def test_an_image_without_an_image_s_ending_is_found_by_how_it_begins(tmp_path):
    """Such as the Yale faces: subject01.happy is a GIF."""
    for name in ("subject01.happy", "subject01.sad", "subject02"):
        (tmp_path / name).write_bytes(encoded(Image.fromarray(noise(1)), "GIF"))
    assert list(list_images(tmp_path)) == ["subject01.happy", "subject01.sad", "subject02"]


def test_a_raw_photograph_s_thumbnail_is_not_taken_for_it():
    picture = Image.fromarray(noise(0))
    for tags in ({254: 1}, {50706: b"\1\4\0\0"}):
        found = decode(encoded(picture, "TIFF", tiffinfo=tags))
        assert (found.status, found.note[:10]) == ("unreadable image", "camera raw")
    assert decode(encoded(picture, "TIFF", tiffinfo={254: 0})).status == "ok"


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_pictures_the_first_is_taken_and_noted(form):
    first, *more = (Image.fromarray(noise(seed)) for seed in range(3))
    moving = decode(encoded(first, form, save_all=True, append_images=more, lossless=True))
    still = decode(encoded(first, form, lossless=True))
    assert np.array_equal(moving.pixels, still.pixels)
    assert moving.note == "the first of several pictures in the file"


def test_transparency_of_palettes_and_colours_of_print_are_noted():
    palette = Image.fromarray(noise(0)).quantize(8)
    assert decode(encoded(palette)).note == ""
    assert decode(encoded(palette, transparency=3)).note == "transparency ignored"
    opaque = Image.fromarray(noise(0))
    opaque.putalpha(255)
    assert decode(encoded(opaque)).note == ""
    printed = decode(encoded(Image.fromarray(noise(0)).convert("CMYK"), "TIFF"))
    assert (printed.status, printed.note) == ("ok", "CMYK, without its colour profile")
    assert np.abs(printed.pixels.astype(int) - noise(0)).max() <= 1
    deep = Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64) * 16)
    assert decode(encoded(deep)).note == "pixel format I;16 cannot be read as 8-bit RGB"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_orientation_is_turned_upright(form):
    picture = Image.fromarray(noise(2, (4, 6))).resize((60, 40), Image.Resampling.NEAREST)
    turns = (None, 0, 3, 1, 5, 2, 6, 4)  # what makes the camera's picture of the upright one
    for orientation, turn in enumerate(turns, start=1):
        exif = Image.Exif()
        exif[0x0112] = orientation
        taken = picture if turn is None else picture.transpose(Image.Transpose(turn))
        content = encoded(taken, form, exif=exif, lossless=True, quality=100, subsampling=0)
        assert np.abs(decode(content).pixels.astype(int) - np.asarray(picture)).mean() < 4


def test_links_and_names_that_cannot_be_used(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
        Image.fromarray(noise(0)).save(folder / "a.png")
    (inside / "more").symlink_to(outside)
    with pytest.raises(cb.DataError, match=r"'more' leads out of the directory"):
        list_images(inside)
    (inside / "more").unlink()
    (inside / "b.jpg").symlink_to(inside / "gone.jpg")
    with pytest.raises(cb.DataError, match=r"'b.jpg' leads nowhere"):
        list_images(inside)
    (inside / "b.jpg").unlink()
    (inside / "notes").symlink_to(outside / "a.png")  # not called like an image: not opened
    assert list(list_images(inside)) == ["a"]
    Image.fromarray(noise(0)).save(inside / "a.webp")
    with pytest.raises(cb.DataError, match=r"'a.png' and 'a.webp' have one name"):
        list_images(inside)


def test_an_image_that_was_not_read_is_tried_again(noisy_folder, tmp_path, monkeypatch):
    """With another version of Pillow it may be read."""
    Image.fromarray(noise(20)).save(noisy_folder / "g.gif")
    store = tmp_path / "store"
    monkeypatch.setattr("causalbias.recognition.images.FORMATS", ("PNG",))
    found = cb.embed(noisy_folder, mean_colour(), store=store)
    assert found["status"].sel(stimulus="g") == "unreadable image"
    monkeypatch.undo()
    calls = []
    found = cb.embed(noisy_folder, mean_colour(calls), store=store)
    assert (found["status"] == "ok").all()
    assert calls == [1]
