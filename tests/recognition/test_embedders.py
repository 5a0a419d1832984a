"""The protocol, the baselines and ONNX files: facts about vectors, not their values."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalbias as cb
from causalbias.recognition.embedder import prepare
from tests.recognition.recognition_cases import mean_colour, noise


def test_preparation_orders_and_scales_the_channels():
    image = np.zeros((1, 2, 2, 3), np.uint8)
    image[..., 0], image[..., 2] = 255, 51
    assert prepare(image, "bgr", None)[0, 0, 0].tolist() == [51, 0, 255]
    scaled = prepare(image, "rgb", (127.5, 127.5))
    assert scaled[0, 0, 0] == pytest.approx([1, -1, -0.6])
    by_channel = prepare(image, "rgb", ((255.0, 0.0, 50.0), (1.0, 1.0, 2.0)))
    assert by_channel[0, 0, 0] == pytest.approx([0, 0, 0.5])
    from PIL import Image

    picture = noise(4)
    grey = np.asarray(Image.fromarray(picture).convert("L"))
    ours = prepare(picture[None], "grey", None)[0, ..., 0]
    assert np.abs(ours.astype(int) - grey).max() <= 1  # Pillow rounds its weights to 16 bits


def test_unit_length_and_fingerprint():
    assert np.linalg.norm(mean_colour(unit=True)(noise(0, (16, 16))[None])) == pytest.approx(1)
    base = mean_colour()
    assert base.fingerprint == mean_colour(name="other", threshold=1.0).fingerprint
    different = [
        mean_colour(weights="b"),
        mean_colour(unit=True),
        mean_colour(colour="grey"),
        mean_colour(normalise=(0.0, 1.0)),
        mean_colour(size=(16, 17)),
    ]
    prints = {one.fingerprint for one in [base, *different]}
    assert len(prints) == 6


@pytest.mark.parametrize(
    "returns",
    [
        lambda x: x.mean(axis=(1, 2))[0],
        lambda x: x.mean(axis=(1, 2))[:-1],
        lambda x: x.mean(axis=(1, 2)) * np.nan,
        lambda x: np.array([["a"]] * len(x)),
    ],
)
def test_an_embedder_that_returns_no_vectors(returns):
    with pytest.raises(cb.DataError, match="broken: "):
        cb.embedder(returns, name="broken", version="1", size=(8, 8))


def test_a_function_that_raises_and_one_without_a_version():
    with pytest.raises(cb.DataError, match="ZeroDivisionError"):
        cb.embedder(lambda x: len(x) / 0, name="broken", version="1", size=(8, 8))
    with pytest.raises(cb.DataError, match="version='1'"):
        cb.embedder(lambda x: x, name="no version", size=(8, 8))
    with pytest.raises(cb.DataError, match="no embedder is called 'arcface'"):
        cb.embedder("arcface")
    with pytest.raises(cb.DataError, match=r"an architecture is given for 'net.onnx'"):
        cb.embedder("net.onnx", architecture="iresnet50")
    with pytest.raises(cb.DataError, match="metric 'manhattan'"):
        cb.embedder(np.mean, name="a", version="1", size=(8, 8), metric="manhattan")


def test_images_of_another_size_are_refused():
    with pytest.raises(cb.DataError, match=r"\(n, 16, 16, 3\)"):
        mean_colour()(noise(0)[None])


@pytest.mark.parametrize("name", ["lbp", "wavelets"])
@settings(deadline=None, max_examples=30)
@given(gain=st.integers(40, 100), lift=st.integers(0, 60))
def test_baselines_stand_above_lighting(name, gain, lift):
    """Brightness and contrast move an embedding less than another face does."""
    pytest.importorskip("skimage")
    embedder = cb.embedder(name)
    first, second = smooth(1, embedder.size), smooth(2, embedder.size)
    lit = np.rint(first * (gain / 100.0) + lift).clip(0, 255).astype(np.uint8)
    a, b, c = embedder(np.stack([first, lit, second]).astype(np.uint8))
    assert np.linalg.norm(a - b) < np.linalg.norm(a - c)


def smooth(seed, size):
    from skimage.filters import gaussian

    picture = gaussian(noise(seed, size), sigma=4, channel_axis=2)
    low, high = picture.min(), picture.max()
    return ((picture - low) / (high - low) * 200).astype(np.uint8)


def test_wavelet_distance_is_that_of_blockwise_means():
    """Haar's coarsest coefficients span the means over 4 x 4 pixels: same distances."""
    pytest.importorskip("pywt")
    embedder = cb.embedder("wavelets")
    pair = np.stack([noise(1), noise(2)])
    grey = prepare(pair, "grey", None)[..., 0].astype(float)
    grey = (grey - grey.mean((1, 2), keepdims=True)) / grey.std((1, 2), keepdims=True)
    means = grey.reshape(2, 16, 4, 16, 4).mean((2, 4))
    a, b = embedder(pair)
    expected = np.sqrt(((means[0] - means[1]) ** 2).mean())
    assert np.linalg.norm(a - b) == pytest.approx(expected, rel=1e-4)


def test_lbp_is_a_histogram_in_each_cell():
    pytest.importorskip("skimage")
    vector = cb.embedder("lbp")(noise(1, (112, 112))[None])[0]
    shares = (vector.astype(float) ** 2).reshape(49, 59)
    assert shares.sum(axis=1) == pytest.approx(np.full(49, 1 / 49), rel=1e-4)


def test_eigenfaces_keep_distances_within_the_training_set(noisy_folder):
    """With all components, the projection of training faces is an isometry."""
    nine = cb.recognition.eigenfaces(noisy_folder, components=9, align="none")
    images = np.stack([noise(n) for n in range(10)])
    grey = prepare(images, "grey", None).reshape(10, -1).astype(float)
    grey = (grey - grey.mean(1, keepdims=True)) / grey.std(1, keepdims=True)
    vectors = nine(images)
    for other in range(1, 10):
        expected = np.linalg.norm(grey[0] - grey[other]) / 64
        assert np.linalg.norm(vectors[0] - vectors[other]) == pytest.approx(expected, rel=1e-4)
    again = cb.recognition.eigenfaces(noisy_folder, components=9, align="none")
    assert again.fingerprint == nine.fingerprint
    assert (
        cb.recognition.eigenfaces(noisy_folder, components=8, align="none").fingerprint
        != nine.fingerprint
    )
    with pytest.raises(cb.DataError, match="10 components cannot be computed from 10"):
        cb.recognition.eigenfaces(noisy_folder, components=10, align="none")


# ONNX --------------------------------------------------------------------------------------------


@pytest.fixture
def write_onnx(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    def write(matrix, *, inputs=1, shape=("n", 3, 4, 4), external=False):
        weights = numpy_helper.from_array(matrix.astype(np.float32), "w")
        if external:
            onnx.external_data_helper.set_external_data(weights, location="../secret.bin")
            weights.ClearField("raw_data")
        nodes = [
            helper.make_node("Sum", list("xz"[:inputs]), ["sum"]),
            helper.make_node("Flatten", ["sum"], ["flat"]),
            helper.make_node("MatMul", ["flat", "w"], ["y"]),
        ]
        given = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
            for name in "xz"[:inputs]
        ]
        out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", matrix.shape[1]])
        graph = helper.make_graph(nodes, "net", given, [out], [weights])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        path = tmp_path / "net.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return write


def test_an_onnx_file_gives_the_product_it_holds(write_onnx):
    matrix = np.random.default_rng(0).normal(size=(48, 5))
    path = write_onnx(matrix)
    found = cb.embedder(path)
    assert (found.name, found.size, found.metric, found.align) == (
        "net",
        (4, 4),
        "cosine",
        "arcface",
    )
    assert found.weights == hashlib.sha256(path.read_bytes()).hexdigest()
    images = noise(3, (4, 4))[None]
    flat = ((images - 127.5) / 127.5).transpose(0, 3, 1, 2).reshape(1, -1)
    assert found(images) == pytest.approx(flat @ matrix, rel=1e-5)


def test_onnx_files_that_cannot_be_used(write_onnx, tmp_path):
    matrix = np.ones((48, 5))
    with pytest.raises(cb.DataError, match="not finite"):
        cb.embedder(write_onnx(matrix * np.nan))
    with pytest.raises(cb.DataError, match=r"inputs x .* z"):
        cb.embedder(write_onnx(matrix, inputs=2))
    with pytest.raises(cb.DataError, match="does not state the size"):
        cb.embedder(write_onnx(matrix, shape=("n", 3, "h", "w")))
    with pytest.raises(cb.DataError, match="fails on an image of 9 x 9"):
        cb.embedder(write_onnx(matrix, shape=("n", 3, "h", "w")), size=(9, 9))
    open_batch = write_onnx(matrix, shape=("batch", 3, 4, 4))
    open_batch.write_bytes(open_batch.read_bytes().replace(b"batch", b"batc\x89"))
    with pytest.raises(cb.DataError, match="is not text"):
        cb.embedder(open_batch)
    with pytest.raises(cb.DataError, match="not a readable ONNX file"):
        cb.embedder(write_onnx(matrix, external=True))
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(cb.DataError, match="not a readable ONNX file"):
        cb.embedder(tmp_path / "text.onnx")
    (tmp_path / "empty.onnx").write_bytes(b"")
    with pytest.raises(cb.DataError, match="empty"):
        cb.embedder(tmp_path / "empty.onnx")
    with pytest.raises(cb.DataError, match="no such file"):
        cb.embedder(tmp_path / "gone.onnx")
