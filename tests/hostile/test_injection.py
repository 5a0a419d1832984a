"""Names from data in what the package writes: no page runs them, no spreadsheet; and pictures."""

import io
import struct
import xml.etree.ElementTree as ElementTree
import zlib

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

import causalbias as cb
from causalbias import DataError
from causalbias.design.services import label_studio_config
from causalbias.recognition.images import decode

STARTS = ["=", "+", "-", "@", "\t", "\r", "\n", " =", "\t=", "\uff1d", "\uff0b", "\uff0d", "\uff20"]
MARKUP = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</pre><script>alert(1)</script>",
    "javascript:alert(1)",
    "&lt;script&gt;",
    "<!--",
    "]]>",
]


# -- tables ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("start", STARTS)
def test_no_task_of_an_annotator_is_a_formula(start, tmp_path):
    trials = cb.design.assign(["p"], 1, each=1).assign(question=f"{start}1+cmd|' /C calc'!A1")
    with pytest.raises(DataError, match="run by a spreadsheet"):
        cb.design.to_manifest_csv(trials, {"p": "a.png"}, "https://x.org/", tmp_path / "t.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("place", ["cell", "name"])
def test_no_cell_of_a_manifest_is_a_formula(start, place, tmp_path):
    evil = f"{start}HYPERLINK(1)"
    faces = pd.DataFrame(
        {"image": ["a.png"], "seed": [1], "attribute": ["x"], "level": [-1.0], "generator": ["g"]}
    )
    if place == "cell":
        faces["generator"] = evil
    else:
        faces[evil] = "a"
    with pytest.raises(DataError, match="run as a formula"):
        cb.stimuli.write_manifest(faces, tmp_path / "m.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("start", STARTS)
def test_no_cell_of_a_release_is_a_formula(start, tmp_path):
    study = cb.simulate(seeds=2, levels={"pose": [-3, 0, 3]}, impostors=2)
    machine = study["machine"].to_dataset()
    machine["status"] = machine["status"].astype(object)
    machine["status"][0, 0] = f"{start}1+1"
    study["machine"] = xr.DataTree(machine)
    with pytest.raises(DataError, match="a spreadsheet would run"):
        cb.datasets.to_release(study, tmp_path / "release")
    assert not list(tmp_path.iterdir())


# -- markup ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("evil", MARKUP)
def test_names_of_levels_variables_and_groups_in_notebooks(evil):
    """Every text of a study that comes from data is escaped where a notebook shows it."""
    group = evil.replace("/", "|")  # no group can hold a slash
    study = cb.demo_study()
    machine = study["machine"].to_dataset()
    machine = machine.assign_coords(system=[evil]).assign({group: 1.0})
    machine.attrs[evil] = machine["distance"].attrs[evil] = evil
    study["machine"] = xr.DataTree(machine)
    study[group] = xr.DataTree(xr.Dataset({group: 1.0}))
    study.attrs |= {"name": evil, "title": evil}
    page = study._repr_html_()
    if "<" in evil:
        assert evil not in page
        assert group not in page
    elif evil.startswith("'"):
        assert f"='{evil}" not in page
    fit = cb.fit("y ~ g", pd.DataFrame({"y": [0.1, 0.4, 0.2, 0.9], "g": [evil, "b"] * 2}), draws=50)
    fit.attrs["engine"] = evil
    if "<" in evil:
        assert evil not in fit._repr_html_()


@pytest.mark.parametrize("evil", MARKUP)
def test_questions_in_label_studio(evil):
    """The question comes back from the XML as it was, and adds no element."""
    tree = ElementTree.fromstring(label_studio_config(evil, 0, 1, pair=True))
    assert tree.find("Header").get("value") == evil
    assert {one.tag for one in tree.iter()} == {"View", "Header", "Image", "Choices", "Choice"}


@pytest.mark.parametrize(
    "base",
    [
        "javascript:alert(1)//",
        "data:text/html,<script>/",
        "//evil.org/",
        "https://x/\"onload='a/",
        "file:///etc/",
        " https://x/",
        "vbscript:a/",
    ],
)
def test_images_come_from_the_web_or_from_s3(base, tmp_path):
    trials = cb.design.assign(["p"], 1, each=1)
    for write in (cb.design.to_label_studio, cb.design.to_ground_truth, cb.design.to_manifest_csv):
        with pytest.raises(DataError, match="base"):
            write(trials, {"p": "a.png"}, base, tmp_path / "t")
        with pytest.raises(DataError, match="outside"):
            write(trials, {"p": "javascript:alert(1)"}, "https://x.org/", tmp_path / "t")
    assert not list(tmp_path.iterdir())


# -- pictures that claim to be large ---------------------------------------------------------------
def claims_to_be_large(kind: str) -> bytes:
    """A small file whose header says 60,000 x 60,000."""
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    Image.fromarray(noise).save(stream, kind, **({"lossless": True} if kind == "WEBP" else {}))
    content = bytearray(stream.getvalue())
    side = 60_000 if kind != "WEBP" else 16_383  # the most that WebP can say
    if kind == "PNG":
        content[16:24] = struct.pack(">II", side, side)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    elif kind == "BMP":
        content[18:26] = struct.pack("<II", side, side)
    elif kind == "JPEG":
        at = content.index(b"\xff\xc0") + 5
        content[at : at + 4] = struct.pack(">HH", side, side)
    elif kind == "WEBP":
        content[21:25] = struct.pack("<I", (side - 1) | (side - 1) << 14)
    else:
        start = struct.unpack("<I", content[4:8])[0]
        for at in range(start + 2, len(content) - 11, 12):
            if struct.unpack("<H", content[at : at + 2])[0] in (256, 257):
                content[at + 2 : at + 12] = struct.pack("<HII", 4, 1, side)
    return bytes(content)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "JPEG", "TIFF", "WEBP"])
def test_pictures_that_claim_to_be_large(kind, tmp_path):
    content = claims_to_be_large(kind)
    assert decode(content).status == "image too large"
    (tmp_path / "a.png").write_bytes(content)
    faces = pd.DataFrame({"stimulus": ["a"], "level": [0]})
    with pytest.raises(DataError, match="cannot be read"):
        cb.plots.face_strip(faces, {"a": str(tmp_path / "a.png")}, columns="level", rows="")


@pytest.mark.parametrize("size", [0, 1, 64 * 1024**2 + 1])
def test_pictures_of_any_length(size):
    assert decode(b"\x89PNG" * (size // 4)).status in ("unreadable image", "image too large")
