"""Strips of faces: each image in its cell, and errors that name what is wrong."""

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

import causalbias as cb


@pytest.fixture
def faces(tmp_path):
    """Faces whose brightness tells attribute and level; one of the cells has none."""
    frame = pd.DataFrame(
        [(f"{a}{level}", a, level) for a in ("age", "pose") for level in (0, 1, 2)],
        columns=["stimulus", "attribute", "level"],
    ).drop(index=4)
    paths = {}
    for at, name in enumerate(frame["stimulus"]):
        paths[name] = tmp_path / f"{name}.png"
        matplotlib.image.imsave(paths[name], np.full((6, 6, 3), at / 10))
    return frame.sample(frac=1, random_state=1), paths


def test_each_face_is_in_its_cell(faces):
    frame, paths = faces
    axes = np.reshape(cb.plots.face_strip(frame, paths).axes, (2, 3))
    shown = [
        [one.images[0].get_array()[0, 0, 0] if one.images else None for one in row] for row in axes
    ]
    assert shown[0] == pytest.approx([0, 0.1, 0.2], abs=0.01)
    assert shown[1][0] == pytest.approx(0.3, abs=0.01)
    assert shown[1][1] is None
    assert shown[1][2] == pytest.approx(0.4, abs=0.01)
    assert [one.get_title() for one in axes[0]] == ["level 0", "1", "2"]
    assert [one.get_ylabel() for one in axes[:, 0]] == ["age", "pose"]


def test_what_cannot_be_shown_is_named(faces, tmp_path):
    frame, paths = faces
    with pytest.raises(cb.DataError, match="no light"):
        cb.plots.face_strip(frame, paths, rows="light")
    with pytest.raises(cb.DataError, match="several faces"):
        cb.plots.face_strip(frame, paths, rows="")
    with pytest.raises(cb.DataError, match="1 faces have no image"):
        cb.plots.face_strip(frame, {k: v for k, v in paths.items() if k != "age0"})
    with pytest.raises(cb.DataError, match="0 faces"):
        cb.plots.face_strip(frame[:0], paths)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not an image")
    with pytest.raises(cb.DataError, match="'age0' cannot be read"):
        cb.plots.face_strip(frame, paths | {"age0": broken})


def test_rows_and_columns_are_in_the_order_of_the_levels(tmp_path):
    sizes = pd.Categorical(["low", "high"], ["low", "high", "huge"], ordered=True)
    faces = pd.DataFrame({"stimulus": ["a", "b"], "size": sizes})
    path = tmp_path / "grey.png"
    matplotlib.image.imsave(path, np.full((8, 8, 3), 0.5))
    figure = cb.plots.face_strip(faces, {"a": path, "b": path}, rows="", columns="size")
    assert [axes.get_title() for axes in figure.axes] == ["size low", "high"]
