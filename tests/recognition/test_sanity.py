"""Signs of a wrong preparation: seen where there is one, and not where there is none."""

import numpy as np
import pytest
import xarray as xr
from PIL import Image

import causalbias as cb
from causalbias.recognition.embedder import Embedder
from causalbias.recognition.sanity import preparation_warning
from tests.recognition.test_command_line import run
from tests.recognition.test_onnx_file import saved

RIGHT = {"normalise": None, "colour": "bgr"}


def cube_of(vectors, metric="euclidean", threshold=np.nan):
    names = [f"{n // 2}_{n % 2}" for n in range(len(vectors))]
    return xr.Dataset(
        {
            "embedding": (("system", "stimulus", "feature"), np.asarray(vectors)[None]),
            "status": (("system", "stimulus"), [["ok"] * len(vectors)]),
            "features": ("system", [np.shape(vectors)[1]]),
            "metric": ("system", [metric]),
            "threshold": ("system", [threshold]),
        },
        coords={"system": ["net"], "stimulus": names},
    ), {name: name.split("_")[0] for name in names}


def pairs_of_faces(spread, within=0.1, n=40):
    random = np.random.default_rng(0)
    return np.repeat(random.normal(0, spread, (n, 16)), 2, axis=0) + random.normal(
        0, within, (2 * n, 16)
    )


def test_usual_embeddings_raise_no_warning():
    cube, identity = cube_of(pairs_of_faces(1.0), threshold=2.0)
    assert cb.recognition.embedding_warnings(cube, identity) == []


def test_near_constant_embeddings_are_named():
    for metric in ("euclidean", "cosine"):
        cube, identity = cube_of(100 + pairs_of_faces(0.1), metric)
        (text,) = cb.recognition.embedding_warnings(cube, identity)
        assert text.startswith("net: the embeddings of 80 faces are almost equal")


def test_distances_out_of_range_of_the_threshold_are_named():
    vectors = pairs_of_faces(1.0)
    cube, identity = cube_of(vectors, threshold=6.0)
    (text,) = cb.recognition.embedding_warnings(cube, identity)
    assert "of 3,120 pairs of different identities are at or below the threshold 6" in text
    cube, identity = cube_of(vectors, threshold=0.2)
    (text,) = cb.recognition.embedding_warnings(cube, identity)
    assert "of 40 pairs of one identity are above the threshold 0.2" in text


def two_sided(images):
    """Red and blue of each quarter at full scale, saturated as a network is by a wrong scale."""
    values = images.astype(float).reshape(len(images), 2, 4, 2, 4, 3).mean((2, 4))
    return np.tanh((values[..., 0] - 128) / 40).reshape(len(images), -1)


@pytest.fixture
def faces(tmp_path):
    """Twelve identities of three pictures: blue tells them apart, red only these pictures."""
    random = np.random.default_rng(0)
    (tmp_path / "faces").mkdir()
    for who in range(12):
        blue = random.uniform(60, 200, (2, 2))
        for n in range(3):
            red = random.uniform(60, 200, (2, 2))
            quarters = np.stack([red, red, blue + random.normal(0, 6, (2, 2))], axis=-1)
            pixels = np.clip(quarters.repeat(4, 0).repeat(4, 1), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "faces" / f"{who}_{n}.png")
    return tmp_path / "faces"


def test_the_right_preparation_is_found_and_a_right_one_raises_no_warning(faces):
    identity = {path.stem: path.stem.split("_")[0] for path in faces.iterdir()}

    def compared(**known):
        net = Embedder("net", two_sided, size=(8, 8), weights="1", **known)
        table = cb.recognition.compare_preparations(faces, net, identity)
        assert (table["n"] == 36).all()
        assert (table["identities"] == 12).all()
        assert table["stated"].sum() == 1
        return table

    right = compared(**RIGHT)
    assert tuple(right.loc[0, ["normalise", "colour"]]) == ("none", "bgr")
    assert preparation_warning(right, "net") == ""
    wrong = compared(normalise=None, colour="rgb")
    assert tuple(wrong.loc[0, ["normalise", "colour"]]) == ("none", "bgr")
    assert "--normalise none --colour bgr separates" in preparation_warning(wrong, "net")
    # The same numbers, whichever of them was stated.
    by = ["normalise", "colour"]
    a, b = (one.set_index(by)["d_prime"].sort_index() for one in (right, wrong))
    assert a.equals(b)


def test_d_prime_is_that_of_the_formula(faces):
    identity = {path.stem: path.stem.split("_")[0] for path in faces.iterdir()}
    net = Embedder("net", two_sided, size=(8, 8), weights="1", **RIGHT)
    table = cb.recognition.compare_preparations(faces, net, identity)
    cube = cb.embed(faces, net)
    vectors = cube["embedding"].values[0]
    who = [identity[name] for name in cube["stimulus"].values]
    genuine, impostor = [], []
    for i in range(36):
        for j in range(i):
            distance = np.linalg.norm(vectors[i].astype(float) - vectors[j])
            (genuine if who[i] == who[j] else impostor).append(distance)
    d = (np.mean(impostor) - np.mean(genuine)) / np.sqrt((np.var(impostor) + np.var(genuine)) / 2)
    own = table[table["stated"]].iloc[0]
    assert own["d_prime"] == pytest.approx(d, rel=1e-6)
    wins = np.mean(np.subtract.outer(impostor, genuine) > 0)
    assert own["auc"] == pytest.approx(wins, abs=1e-9)


def test_too_few_faces_of_one_identity_are_an_error(faces):
    net = Embedder("net", two_sided, size=(8, 8), weights="1", **RIGHT)
    with pytest.raises(cb.DataError, match="0 identities have two usable images"):
        cb.recognition.compare_preparations(faces, net, {p.stem: p.stem for p in faces.iterdir()})


def test_the_command_line_warns_of_a_wrong_colour(faces, tmp_path):
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    nodes = [
        ("Slice", ["x", "from", "to", "axis"], ["first"], {}),
        ("AveragePool", ["first"], ["y"], {"kernel_shape": [4, 4], "strides": [4, 4]}),
        ("Reshape", ["y", "shape"], ["z"], {}),
    ]
    weights = {
        "from": np.array([0]),
        "to": np.array([1]),
        "axis": np.array([1]),
        "shape": np.array([0, 4]),
    }
    path = saved(tmp_path / "net.onnx", nodes, ["n", 3, 8, 8], outputs=("z",), weights=weights)
    assert onnx.load(path).graph.output[0].name == "z"
    command = ["embed", faces, "--embedder", path, "--names", "{seed}_{picture}", "--align", "none"]
    metric = ["--metric", "euclidean"]
    wrong = run(*command, *metric, "-o", tmp_path / "wrong")
    assert wrong.exit_code == 0, wrong.output
    assert "--colour bgr separates identities better" in " ".join(wrong.output.split())
    right = run(*command, *metric, "-o", tmp_path / "right", "--colour", "bgr")
    assert "warning" not in right.output
