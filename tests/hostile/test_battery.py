"""Every broken file of the battery ends in its named error, and sound ones load."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import causalbias as cb
from causalbias import DataError
from causalbias.models.fit import rows_of
from causalbias.models.formula.parse import FUNCTIONS, formula_columns
from causalbias.models.priors import parse_prior
from causalbias.report.tables import write_csv
from tests.hostile import battery, battery_stored


@pytest.mark.parametrize("name", battery_stored.CASES)
def test_each_ends_in_its_error(name, tmp_path):
    pattern, act = battery_stored.CASES[name]
    with pytest.raises(DataError) as caught:
        act(tmp_path)
    assert re.search(pattern, str(caught.value))
    assert caught.value.hint


def test_there_are_enough():
    assert len(battery_stored.CASES) >= 400


@pytest.mark.parametrize("layout", battery.LAYOUTS)
@pytest.mark.parametrize(
    "change", ["as it is", "byte order mark", "Windows line ends", "UTF-16", "semicolons"]
)
def test_sound_files_load(layout, change, tmp_path):
    """The battery's own files are not what is wrong."""
    build, load, files = battery.LAYOUTS[layout]
    build(tmp_path)
    for file in files:
        content = (tmp_path / file).read_bytes()
        if change == "byte order mark":
            content = b"\xef\xbb\xbf" + content
        elif change == "Windows line ends":
            content = content.replace(b"\n", b"\r\n")
        elif change == "UTF-16" and file.endswith(".csv"):
            content = content.decode().encode("utf-16")
        elif change == "semicolons" and file.endswith(".csv"):
            content = content.replace(b",", b";")
        (tmp_path / file).write_bytes(content)
    cb.validate(load(tmp_path))


@pytest.mark.parametrize("value", ["often", "=1+1", "1\0", "\u202e1"])
def test_answers_that_are_no_numbers_are_counted(value, tmp_path):
    battery.release(tmp_path)
    path = tmp_path / "annotations" / "age.csv"
    path.write_bytes(battery.last_cell(value)(path.read_bytes()))
    excluded = cb.to_frame(cb.load("causalface", tmp_path), "excluded").set_index("reason")
    assert excluded.loc["score is not a number", "count"] == 1


def image(kind: str) -> bytes:
    import io
    import struct
    import zlib

    from PIL import Image

    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    Image.fromarray(noise).save(stream, "PNG")
    content = stream.getvalue()
    if kind == "huge dimensions":
        head = struct.pack(">II", 60_000, 60_000) + content[24:29]
        check = struct.pack(">I", zlib.crc32(b"IHDR" + head))
        return content[:16] + head + check + content[33:]
    return {
        "empty": b"",
        "text": b"GIF89a not",
        "cut off": content[:200],
        "script": b"<svg onload=alert(1)>",
        "flipped": content[:60] + b"\xff" * 40 + content[100:],
        "sound": content,
    }[kind]


def test_broken_images_are_counted_with_their_reason(tmp_path):
    kinds = ("empty", "text", "cut off", "script", "flipped", "huge dimensions", "sound")
    for kind in kinds:
        (tmp_path / f"{kind}.png").write_bytes(image(kind))
    status = cb.embed(tmp_path, "lbp", align="none")["status"].squeeze("system").to_series()
    assert status["sound"] == "ok"
    assert status["huge dimensions"] == "image too large"
    assert set(status.drop(["sound", "huge dimensions"])) == {"unreadable image"}


STARTS = ["=", "+", "-", "@", "\t=", "\r=", " =", "\n=", "\uff1d", "\uff20"]


@pytest.mark.parametrize("start", STARTS)
def test_no_cell_of_a_table_is_a_formula(start, tmp_path):
    table = pd.DataFrame({f"{start}HYPERLINK(1)": [f"{start}cmd|'/c calc'!A1"], "n": [-1.0]})
    write_csv(table, tmp_path / "t.csv")
    back = pd.read_csv(tmp_path / "t.csv", keep_default_na=False)
    assert back.columns[0].startswith("'")
    assert back.iloc[0, 0].startswith("'")
    assert back["n"].tolist() == [-1.0]


def test_names_from_files_are_escaped_in_notebooks(tmp_path):
    evil = "<script>alert(1)</script>"
    battery.tidy(tmp_path)
    path = tmp_path / "distances.csv"
    path.write_text(path.read_text().replace("net", evil))
    study = battery.load_tidy(tmp_path)
    study.attrs["title"] = study.attrs["name"] = evil
    assert evil not in study._repr_html_()


# -- fuzzing: nothing but a DataError, and nothing accepted that is not listed -----------------
WORDS = st.sampled_from(
    [
        *"~+-*/:|()[]{}`'\"\\,.0123456789=<>!@#%^&; \n\t\0",
        "y",
        "x",
        "g",
        "1|g",
        "mm(",
        "C(",
        "np.",
        "p(",
        "log(",
        "__class__",
        "import",
        "lambda",
        "\u202e",
        "é",
        "1e999",
        "==",
        " and ",
        " in ",
    ]
)
TEXTS = st.one_of(st.text(max_size=40), st.lists(WORDS, max_size=15).map("".join))
FUZZ = settings(max_examples=300, deadline=None, derandomize=True)


@FUZZ
@given(TEXTS)
def test_any_formula(text):
    try:
        formula_columns("y ~ " + text)
    except DataError:
        return
    assert not re.search(r"__import__|eval|exec|open\(", text)
    for called in re.findall(r"([A-Za-z_.]+)\(", text):
        assert called in FUNCTIONS or called == "mm" or set("`'\"") & set(text)


@FUZZ
@given(TEXTS)
def test_any_condition_and_prior(text):
    frame = pd.DataFrame({"x": [1.0, 2.0], "g": ["a", "b"], "y": [1, 2]})
    for read in (lambda: rows_of(frame, text), lambda: parse_prior(text, "x")):
        try:
            read()
        except DataError:
            continue


@pytest.mark.parametrize("layout", battery.LAYOUTS)
def test_any_bytes_in_any_table(layout, tmp_path_factory):
    """Splices of garbage into sound files load as a valid study or end in a DataError."""
    build, load, files = battery.LAYOUTS[layout]
    root = tmp_path_factory.mktemp("fuzz")
    build(root)
    sound = {file: (root / file).read_bytes() for file in files}

    @settings(FUZZ, max_examples=60, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(files), st.integers(0, 400), st.integers(0, 9), TEXTS | st.binary())
    def splice(file, at, gone, put):
        put = put if isinstance(put, bytes) else put.encode("utf-8", "surrogatepass")
        content = sound[file]
        at = min(at, len(content))
        (root / file).write_bytes(content[:at] + put + content[at + gone :])
        try:
            cb.validate(load(root))
        except DataError:
            pass
        finally:
            (root / file).write_bytes(content)

    splice()
