"""ONNX files of every kind of input: right numbers, or an error that names what is wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalbias as cb
from tests.recognition.recognition_cases import noise

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

SIDE, FEATURES = 4, 5
FLOATS = {
    TensorProto.FLOAT: np.float32,
    TensorProto.FLOAT16: np.float16,
    TensorProto.DOUBLE: np.float64,
    TensorProto.UINT8: np.uint8,
}


def matrix(values=SIDE * SIDE * 3):
    return np.random.default_rng(0).normal(size=(values, FEATURES)).astype(np.float32)


def saved(path, nodes, shape, *, kind=TensorProto.FLOAT, outputs=("y",), weights=None, inputs=1):
    """A file with the nodes given as (operation, inputs, outputs, attributes)."""
    made = [helper.make_node(name, a, b, **more) for name, a, b, more in nodes]
    given = [helper.make_tensor_value_info("xz"[n], kind, shape) for n in range(inputs)]
    out = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    held = [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()]
    graph = helper.make_graph(made, "net", given, out, held)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def product(path, shape, *, kind=TensorProto.FLOAT, more=(), last="y", batch=None, **known):
    """Flattened pixels times a matrix, in single precision; `batch` is baked in by a reshape."""
    values = int(np.prod([side for side in shape[1:] if isinstance(side, int)]))
    weights = {"w": matrix(values)}
    flat = ("Flatten", ["f"], ["flat"], {})
    if batch is not None:
        weights["to"] = np.array([batch, values], np.int64)
        flat = ("Reshape", ["f", "to"], ["flat"], {})
    nodes = [
        ("Cast", ["x"], ["f"], {"to": TensorProto.FLOAT}),
        flat,
        ("MatMul", ["flat", "w"], [last], {}),
        *more,
    ]
    return saved(path, nodes, shape, kind=kind, weights=weights, **known)


def expected(images, *, last=False, normalise=True, grey=False):
    values = images.astype(np.float32)
    if grey:
        values = np.rint(values @ np.float32([0.299, 0.587, 0.114]))[..., None]
    if normalise:
        values = (values - np.float32(127.5)) / np.float32(127.5)
    laid = values if last else values.transpose(0, 3, 1, 2)
    return laid.reshape(len(images), -1) @ matrix(int(np.prod(laid.shape[1:])))


def pictures(n):
    return np.stack([noise(seed, (SIDE, SIDE)) for seed in range(n)])


@pytest.fixture(scope="module")
def nets(tmp_path_factory):
    """Embedders of the same function for batches of 1, of 4, of 4 without saying so, of any."""
    root = tmp_path_factory.mktemp("nets")
    shape = [3, SIDE, SIDE]
    return {
        "one": cb.embedder(product(root / "one.onnx", [1, *shape])),
        "four": cb.embedder(product(root / "four.onnx", [4, *shape])),
        "baked": cb.embedder(product(root / "baked.onnx", ["n", *shape], batch=4)),
        "any": cb.embedder(product(root / "any.onnx", ["n", *shape])),
    }


@settings(deadline=None)
@given(order=st.permutations(range(9)), n=st.integers(1, 9), at=st.integers(0, 8))
def test_batches_and_order_change_no_embedding(nets, order, n, at):
    images = pictures(9)
    for one in nets.values():
        whole = one(images)
        assert whole == pytest.approx(expected(images), rel=1e-4, abs=1e-4)
        assert one(images[list(order)][:n]) == pytest.approx(whole[list(order)][:n], abs=1e-5)
        assert one(images[at : at + 1])[0] == pytest.approx(whole[at], abs=1e-5)


def test_a_file_for_any_batch_is_given_whole_batches(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr("onnxruntime.InferenceSession", recording(given))
    fast = cb.embedder(product(tmp_path / "net.onnx", ["n", 3, SIDE, SIDE]))
    given.clear()
    fast(pictures(9))
    assert given == [9]


def recording(given):
    import onnxruntime

    class Recording(onnxruntime.InferenceSession):
        def run(self, names, feed):
            given.append(len(next(iter(feed.values()))))
            return super().run(names, feed)

    return Recording


@pytest.mark.parametrize(
    ("kind", "shape", "known"),
    [
        (TensorProto.FLOAT, ["n", SIDE, SIDE, 3], {"last": True}),
        (TensorProto.FLOAT, [1, SIDE, SIDE, 3], {"last": True}),
        (TensorProto.DOUBLE, ["n", 3, SIDE, SIDE], {}),
        (TensorProto.UINT8, ["n", 3, SIDE, SIDE], {"normalise": False}),
        (TensorProto.UINT8, [1, SIDE, SIDE, 3], {"last": True, "normalise": False}),
        (TensorProto.FLOAT, ["n", 1, SIDE, SIDE], {"grey": True}),
        (TensorProto.FLOAT, ["n", SIDE, SIDE, 1], {"grey": True}),
    ],
)
def test_layout_and_numbers_are_read_from_the_file(tmp_path, kind, shape, known):
    found = cb.embedder(product(tmp_path / "net.onnx", shape, kind=kind))
    assert found.size == (SIDE, SIDE)
    images = pictures(3)
    assert found(images) == pytest.approx(expected(images, **known), rel=1e-4, abs=1e-3)


def test_half_precision_is_right_to_half_precision(tmp_path):
    shape = ["n", 3, SIDE, SIDE]
    found = cb.embedder(product(tmp_path / "net.onnx", shape, kind=TensorProto.FLOAT16))
    images = pictures(3)
    assert found(images) == pytest.approx(expected(images), abs=0.02)


def test_a_size_is_the_file_s_or_the_one_given_where_it_is_open(tmp_path):
    open_sides = ["n", 3, "h", "w"]
    nodes = [("GlobalAveragePool", ["x"], ["y"], {})]
    path = saved(tmp_path / "net.onnx", nodes, open_sides)
    with pytest.raises(cb.DataError, match="does not state the size"):
        cb.embedder(path)
    images = pictures(2)
    means = (images.mean((1, 2)) - 127.5) / 127.5
    # (n, 3, 1, 1) comes out: one vector an image.
    assert cb.embedder(path, size=(SIDE, SIDE))(images) == pytest.approx(means, abs=1e-5)
    half_open = saved(tmp_path / "half.onnx", nodes, ["n", 3, SIDE, "w"])
    assert cb.embedder(half_open, size=(SIDE, 6)).size == (SIDE, 6)
    fixed = product(tmp_path / "fixed.onnx", ["n", 3, SIDE, SIDE])
    assert cb.embedder(fixed, size=[SIDE, SIDE]).size == (SIDE, SIDE)
    for path in (half_open, fixed):
        with pytest.raises(cb.DataError, match=r"takes images of 4 x .*, not of 112 x 112"):
            cb.embedder(path, size=(112, 112))


def test_what_a_file_and_its_user_say_must_agree(tmp_path):
    grey = product(tmp_path / "grey.onnx", ["n", 1, SIDE, SIDE])
    with pytest.raises(cb.DataError, match=r"grey.onnx: colour 'bgr' does not fit an input of 1"):
        cb.embedder(grey, colour="bgr")
    colour = product(tmp_path / "colour.onnx", ["n", 3, SIDE, SIDE])
    with pytest.raises(cb.DataError, match="colour 'grey' does not fit an input of 3"):
        cb.embedder(colour, colour="grey")
    as_bytes = product(tmp_path / "b.onnx", ["n", 3, SIDE, SIDE], kind=TensorProto.UINT8)
    with pytest.raises(cb.DataError, match="takes bytes"):
        cb.embedder(as_bytes, normalise=(127.5, 127.5))


def test_a_scale_for_pixels_of_0_to_1_is_refused(tmp_path):
    path = product(tmp_path / "net.onnx", ["n", 3, SIDE, SIDE])
    usual = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    for wrong in (usual, (0.5, 0.5), (127.5, 0.0)):
        with pytest.raises(cb.DataError, match="multiply mean and scale by 255"):
            cb.embedder(path, normalise=wrong)
    for wrong in ((1, 2, 3), ((1, 2), (1, 2)), 127.5, ("a", 1), (np.nan, 1)):
        with pytest.raises(cb.DataError, match=r"for pixels from 0 to 255"):
            cb.embedder(path, normalise=wrong)


@pytest.mark.parametrize("shape", [["n", 4, SIDE, SIDE], ["n", SIDE, SIDE], [SIDE] * 5, ["n"]])
def test_inputs_that_are_no_images_are_named(tmp_path, shape):
    path = saved(tmp_path / "net.onnx", [("Identity", ["x"], ["y"], {})], shape)
    with pytest.raises(cb.DataError, match=r"net.onnx: inputs x \["):
        cb.embedder(path)
    path = saved(
        tmp_path / "net.onnx",
        [("Cast", ["x"], ["y"], {"to": TensorProto.FLOAT})],
        ["n", 3, SIDE, SIDE],
        kind=TensorProto.INT32,
    )
    with pytest.raises(cb.DataError, match=r"inputs x .*int32"):
        cb.embedder(path)


def test_of_several_outputs_one_is_chosen(tmp_path):
    more = [("Neg", ["y"], ["negative"], {})]
    outputs = ("y", "negative")
    path = product(tmp_path / "net.onnx", ["n", 3, SIDE, SIDE], more=more, outputs=outputs)
    with pytest.raises(cb.DataError, match=r"2 outputs: y .*negative .*output='y'"):
        cb.embedder(path)
    for wrong in ("logits", 2, -1):
        with pytest.raises(cb.DataError, match=rf"2 outputs, and none is {wrong!r}: y"):
            cb.embedder(path, output=wrong)
    images = pictures(3)
    by_name, by_place = cb.embedder(path, output="negative"), cb.embedder(path, output=1)
    assert by_name(images) == pytest.approx(-expected(images), rel=1e-4, abs=1e-4)
    assert by_place.fingerprint == by_name.fingerprint
    assert by_name.fingerprint != cb.embedder(path, output=0).fingerprint


def test_weights_among_the_inputs_and_inputs_that_nothing_reads(tmp_path):
    """Old exports list weights as inputs; quantisation leaves inputs behind that it replaced."""
    path = product(tmp_path / "net.onnx", ["n", 3, SIDE, SIDE])
    model = onnx.load(path)
    weights = helper.make_tensor_value_info("w", TensorProto.FLOAT, list(matrix().shape))
    left_behind = helper.make_tensor_value_info("gone", TensorProto.FLOAT, [32, 3, 3, 3])
    model.graph.input.extend([weights, left_behind])
    onnx.save(model, path)
    images = pictures(3)
    assert cb.embedder(path)(images) == pytest.approx(expected(images), rel=1e-4, abs=1e-4)
    model.graph.node.append(helper.make_node("Identity", ["gone"], ["y2"]))
    onnx.save(model, path)
    with pytest.raises(cb.DataError, match=r"inputs x .*gone"):
        cb.embedder(path)


def test_weights_stored_as_integers_are_those_they_stand_for(tmp_path):
    """Scales by block of rows, as in OpenCV Zoo's quantised files."""
    values = SIDE * SIDE * 3
    random = np.random.default_rng(1)
    whole = random.integers(-128, 128, (values, FEATURES), np.int8)
    scale = random.uniform(0.01, 0.02, (values // 16, FEATURES)).astype(np.float32)
    nodes = [
        ("DequantizeLinear", ["q", "s"], ["w"], {"axis": 0, "block_size": 16}),
        ("Flatten", ["x"], ["flat"], {}),
        ("MatMul", ["flat", "w"], ["y"], {}),
    ]
    path = saved(tmp_path / "net.onnx", nodes, [1, 3, SIDE, SIDE], weights={"q": whole, "s": scale})
    model = onnx.load(path)
    model.opset_import[0].version = 21
    onnx.save(model, path)
    images = pictures(3)
    weights = whole * np.repeat(scale, 16, axis=0)
    laid = images.astype(np.float32).transpose(0, 3, 1, 2).reshape(3, -1)
    found = cb.embedder(path, normalise=None)(images)
    assert found == pytest.approx(laid @ weights, rel=1e-5, abs=1e-2)


def test_a_network_that_draws_noise_is_refused(tmp_path):
    more = [
        ("RandomNormalLike", ["clean"], ["drawn"], {"scale": 0.01}),
        ("Add", ["clean", "drawn"], ["y"], {}),
    ]
    for seeded in ({}, {"seed": 3.0}):
        more[0][3].update(seeded)
        path = product(tmp_path / "net.onnx", ["n", 3, SIDE, SIDE], last="clean", more=more)
        with pytest.raises(cb.DataError, match=r"net: an image has two .*by the images alone"):
            cb.embedder(path)


def test_an_embedding_that_depends_on_its_neighbours_is_refused(tmp_path):
    more = [("ReduceMean", ["own"], ["mean"], {"axes": [0]}), ("Sub", ["own", "mean"], ["y"], {})]
    path = product(tmp_path / "net.onnx", ["n", 3, SIDE, SIDE], last="own", more=more)
    with pytest.raises(cb.DataError, match="depends on the other images"):
        cb.embedder(path)


def test_what_comes_out_must_be_one_vector_an_image(tmp_path):
    path = saved(tmp_path / "net.onnx", [("Identity", ["x"], ["y"], {})], ["n", 3, SIDE, SIDE])
    with pytest.raises(cb.DataError, match=r"embeddings \(1, 3, 4, 4\) of float32 for 1 images"):
        cb.embedder(path)


def test_an_operator_that_onnxruntime_does_not_know_is_named(tmp_path):
    path = product(tmp_path / "net.onnx", ["n", 3, SIDE, SIDE])
    model = onnx.load(path)
    model.graph.node[0].op_type = "NoSuchOperator"
    onnx.save(model, path)
    with pytest.raises(cb.DataError, match=r"net.onnx: not a readable .*NoSuchOperator"):
        cb.embedder(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(cb.DataError, match=r"net.onnx: not a readable ONNX file"):
        cb.embedder(path)


def test_a_home_directory_and_capitals_in_the_path(tmp_path, monkeypatch):
    product(tmp_path / "NET.ONNX", ["n", 3, SIDE, SIDE])
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cb.embedder("~/NET.ONNX").name == "NET"
