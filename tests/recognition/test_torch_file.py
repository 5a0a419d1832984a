"""Networks in torch files; needs torch, which the development set-up leaves out for its size.

NumPy, pytest and torch are enough to run this file: `pytest --noconftest -c /dev/null`.
"""

import io
import json
import os
import pickle
import warnings
import zipfile

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from causalbias.errors import DataError  # noqa: E402
from causalbias.recognition.architectures import _network, build  # noqa: E402
from causalbias.recognition.choose import embedder  # noqa: E402
from causalbias.recognition.networks.clip import NOT_WEIGHTS  # noqa: E402
from causalbias.recognition.torch_file import text_embeddings  # noqa: E402

# Of OpenAI's CLIP (clip/clip.py, _transform), for pixels from 0 to 255.
CLIP_MEAN = [255 * part for part in (0.48145466, 0.4578275, 0.40821073)]
CLIP_SCALE = [255 * part for part in (0.26862954, 0.26130258, 0.27577711)]


def images(n, size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *size, 3), np.uint8)


def scaled(pictures, mean=127.5, scale=127.5):
    values = (pictures.astype(np.float32) - np.float32(mean)) / np.float32(scale)
    return torch.from_numpy(values.astype(np.float32).transpose(0, 3, 1, 2).copy())


# Layouts: names and shapes as the published checkpoints have them, written down by hand ----------


def norm(name, width):
    shapes = {
        f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")
    }
    return shapes | {f"{name}.num_batches_tracked": ()}


def iresnet_layout(blocks):
    """InsightFace, recognition/arcface_torch/backbones/iresnet.py."""
    found = norm("bn1", 64) | norm("bn2", 512) | norm("features", 512)
    found |= {"conv1.weight": (64, 3, 3, 3), "prelu.weight": (64,)}
    found |= {"fc.weight": (512, 25088), "fc.bias": (512,)}
    inside = 64
    for stage, number in enumerate(blocks, start=1):
        width = 32 * 2**stage
        for at in range(number):
            name, before = f"layer{stage}.{at}", inside if at == 0 else width
            found |= norm(f"{name}.bn1", before) | norm(f"{name}.bn2", width)
            found |= norm(f"{name}.bn3", width) | {f"{name}.prelu.weight": (width,)}
            found[f"{name}.conv1.weight"] = (width, before, 3, 3)
            found[f"{name}.conv2.weight"] = (width, width, 3, 3)
        found[f"layer{stage}.0.downsample.0.weight"] = (width, inside, 1, 1)
        found |= norm(f"layer{stage}.0.downsample.1", width)
        inside = width
    return found


def sfnet_layout():
    """OpenSphere, model/backbone/sfnet.py: sfnet20 without batch normalisation."""
    found, inside = {"fc.weight": (512, 25088), "fc.bias": (512,)}, 3
    for stage, number in enumerate((1, 2, 4, 1), start=1):
        width = 32 * 2**stage
        for name, before in [(f"layer{stage}.0.conv1", inside)] + [
            (f"layer{stage}.{at}.conv{one}", width) for at in range(1, number + 1) for one in (1, 2)
        ]:
            found |= {f"{name}.weight": (width, before, 3, 3), f"{name}.bias": (width,)}
        inside = width
    return found


def sphere_layout():
    """sphereface_pytorch, net_sphere.py: sphere20a."""
    found, inside = {"fc5.weight": (512, 21504), "fc5.bias": (512,)}, 3
    for stage, number in enumerate((3, 5, 9, 3), start=1):
        width = 32 * 2**stage
        for at in range(1, number + 1):
            before = inside if at == 1 else width
            found[f"conv{stage}_{at}.weight"] = (width, before, 3, 3)
            found |= {f"conv{stage}_{at}.bias": (width,), f"relu{stage}_{at}.weight": (width,)}
        inside = width
    return found


def conv(name, inside, width, *kernel):
    return {f"{name}.conv.weight": (width, inside, *kernel)} | norm(f"{name}.bn", width)


def inception_layout():
    """facenet-pytorch 2.6.0, models/inception_resnet_v1.py."""
    stem = {
        "1a": (3, 32, 3),
        "2a": (32, 32, 3),
        "2b": (32, 64, 3),
        "3b": (64, 80, 1),
        "4a": (80, 192, 3),
        "4b": (192, 256, 3),
    }
    found = {"last_linear.weight": (512, 1792)} | norm("last_bn", 512)
    for name, (inside, width, side) in stem.items():
        found |= conv(f"conv2d_{name}", inside, width, side, side)
    for at in range(5):
        name = f"repeat_1.{at}"
        found |= conv(f"{name}.branch0", 256, 32, 1, 1) | conv(f"{name}.branch1.0", 256, 32, 1, 1)
        found |= conv(f"{name}.branch1.1", 32, 32, 3, 3) | conv(f"{name}.branch2.0", 256, 32, 1, 1)
        found |= conv(f"{name}.branch2.1", 32, 32, 3, 3) | conv(f"{name}.branch2.2", 32, 32, 3, 3)
        found |= {f"{name}.conv2d.weight": (256, 96, 1, 1), f"{name}.conv2d.bias": (256,)}
    wide = [(f"repeat_2.{at}", 896, 128, 7) for at in range(10)]
    wide += [(f"repeat_3.{at}", 1792, 192, 3) for at in range(5)] + [("block8", 1792, 192, 3)]
    for name, inside, width, side in wide:
        found |= conv(f"{name}.branch0", inside, width, 1, 1)
        found |= conv(f"{name}.branch1.0", inside, width, 1, 1)
        found |= conv(f"{name}.branch1.1", width, width, 1, side)
        found |= conv(f"{name}.branch1.2", width, width, side, 1)
        found |= {
            f"{name}.conv2d.weight": (inside, 2 * width, 1, 1),
            f"{name}.conv2d.bias": (inside,),
        }
    for name, inside, width, side in [
        ("mixed_6a.branch0", 256, 384, 3),
        ("mixed_6a.branch1.0", 256, 192, 1),
        ("mixed_6a.branch1.1", 192, 192, 3),
        ("mixed_6a.branch1.2", 192, 256, 3),
        ("mixed_7a.branch0.0", 896, 256, 1),
        ("mixed_7a.branch0.1", 256, 384, 3),
        ("mixed_7a.branch1.0", 896, 256, 1),
        ("mixed_7a.branch1.1", 256, 256, 3),
        ("mixed_7a.branch2.0", 896, 256, 1),
        ("mixed_7a.branch2.1", 256, 256, 3),
        ("mixed_7a.branch2.2", 256, 256, 3),
    ]:
        found |= conv(name, inside, width, side, side)
    return found


def clip_layout(width=128, patch=16, grid=4, layers=2, text=64, words=50, length=12, features=32):
    """OpenAI CLIP, clip/model.py, with a vision transformer; sizes as in no published one."""
    found = {
        "visual.class_embedding": (width,),
        "visual.proj": (width, features),
        "visual.positional_embedding": (grid**2 + 1, width),
        "visual.conv1.weight": (width, 3, patch, patch),
        "token_embedding.weight": (words, text),
        "positional_embedding": (length, text),
        "text_projection": (text, features),
        "logit_scale": (),
    }
    norms = {"visual.ln_pre": width, "visual.ln_post": width, "ln_final": text}
    for tower, side in (("visual.transformer", width), ("transformer", text)):
        for at in range(layers):
            name = f"{tower}.resblocks.{at}"
            norms |= {f"{name}.ln_1": side, f"{name}.ln_2": side}
            for part, shape in (
                ("attn.in_proj_", (3 * side, side)),
                ("attn.out_proj.", (side, side)),
                ("mlp.c_fc.", (4 * side, side)),
                ("mlp.c_proj.", (side, 4 * side)),
            ):
                found |= {f"{name}.{part}weight": shape, f"{name}.{part}bias": shape[:1]}
    for name, side in norms.items():
        found |= {f"{name}.weight": (side,), f"{name}.bias": (side,)}
    return found


def mobilefacenet_layout():
    """InsightFace, recognition/arcface_torch/backbones/mobilefacenet.py: get_mbf."""
    found = {}

    def block(name, inside, width, side, groups=1, linear=False):
        found[f"{name}.layers.0.weight"] = (width, inside // groups, side, side)
        found.update(norm(f"{name}.layers.1", width))
        if not linear:
            found[f"{name}.layers.2.weight"] = (width,)

    def depthwise(name, inside, width, groups):
        block(f"{name}.layers.0", inside, groups, 1)
        block(f"{name}.layers.1", groups, groups, 3, groups)
        block(f"{name}.layers.2", groups, width, 1, linear=True)

    block("layers.0", 3, 128, 3)
    block("layers.1", 128, 128, 3, 64)
    inside, place = 128, 2
    for width, halving, number, groups in (
        (128, 128, 4, 128),
        (256, 256, 6, 256),
        (256, 512, 2, 256),
    ):
        depthwise(f"layers.{place}", inside, width, halving)
        for at in range(number):
            depthwise(f"layers.{place + 1}.layers.{at}", width, width, groups)
        inside, place = width, place + 2
    block("conv_sep", 256, 512, 1)
    block("features.layers.0", 512, 512, 7, 512, linear=True)
    return found | {"features.layers.2.weight": (512, 512)} | norm("features.layers.3", 512)


LAYOUTS = {
    "iresnet18": iresnet_layout((2, 2, 2, 2)),
    "iresnet200": iresnet_layout((6, 26, 60, 6)),
    "mobilefacenet": mobilefacenet_layout(),
    "iresnet34": iresnet_layout((3, 4, 6, 3)),
    "iresnet50": iresnet_layout((3, 4, 14, 3)),
    "iresnet100": iresnet_layout((3, 13, 30, 3)),
    "sfnet20": sfnet_layout(),
    "sphere20a": sphere_layout(),
    "inception_resnet_v1": inception_layout(),
    "clip": clip_layout(),
}


def checkpoint(architecture, seed=0, dtype=torch.float32):
    """Random weights in the hand-written layout, of a size that keeps activations finite."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in LAYOUTS[architecture].items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif name.endswith("running_var"):
            state[name] = torch.ones(shape)
        else:
            fan = max(1, int(np.prod(shape[1:])))
            state[name] = (torch.randn(shape, generator=generator) / fan**0.5).to(dtype)
    if architecture == "clip":  # as OpenAI's archives do
        state |= {name: torch.tensor(7) for name in NOT_WEIGHTS}
    return state


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_are_the_published_ones(name):
    on_meta = {key: torch.empty(shape, device="meta") for key, shape in LAYOUTS[name].items()}
    network = build_meta(name, on_meta)
    found = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert found == LAYOUTS[name]


def build_meta(name, state):
    with torch.device("meta"):
        return _network(name, state)


def test_sizes_of_the_published_networks():
    """Parameters in millions, as InsightFace and facenet-pytorch publish them."""
    counted = {}
    for name in ("iresnet50", "iresnet100", "inception_resnet_v1"):
        network = build_meta(name, {})
        counted[name] = sum(one.numel() for one in network.parameters()) / 1e6
    assert counted["iresnet50"] == pytest.approx(43.59, abs=0.005)
    assert counted["iresnet100"] == pytest.approx(65.16, abs=0.005)
    assert counted["inception_resnet_v1"] == pytest.approx(23.48, abs=0.005)


# Weights -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["iresnet18", "mobilefacenet", "sfnet20", "sphere20a", "inception_resnet_v1"]
)
def test_a_state_dict_becomes_an_embedder(name, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(checkpoint(name), path)
    found = embedder(path, architecture=name, name="mine")
    pictures = images(2, found.size)
    vectors = found(pictures)
    assert vectors.shape == (2, 512)
    assert np.linalg.norm(vectors[0] - vectors[1]) > 0
    # Batches do not matter, up to single precision.
    assert found(pictures[1:]) == pytest.approx(
        vectors[1:], abs=1e-5 * float(np.abs(vectors).max())
    )
    again = embedder(path, architecture=name)
    assert again.fingerprint == found.fingerprint
    torch.save(checkpoint(name, seed=1), path)
    assert embedder(path, architecture=name).fingerprint != found.fingerprint


def test_wrappers_prefixes_and_training_heads_are_taken_off(tmp_path):
    plain, wrapped = tmp_path / "a.pt", tmp_path / "b.pt"
    state = checkpoint("sphere20a")
    torch.save(state, plain)
    parallel = {f"module.{key}": value for key, value in state.items()}
    parallel["module.fc6.weight"] = torch.zeros(512, 10574)
    torch.save({"state_dict": parallel, "epoch": 3}, wrapped)
    a, b = (embedder(path, architecture="sphere20a") for path in (plain, wrapped))
    pictures = images(1, (112, 96))
    assert np.array_equal(a(pictures), b(pictures))


def test_another_architecture_is_named(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(checkpoint("iresnet34"), path)
    with pytest.raises(DataError, match=r"not those of iresnet50.*architecture='iresnet34'"):
        embedder(path, architecture="iresnet50")
    with pytest.raises(DataError, match="do not say its activation"):
        embedder(path, architecture="clip")
    with pytest.raises(DataError, match="no architecture is called 'vgg'"):
        embedder(path, architecture="vgg")
    with pytest.raises(DataError, match=r"holds weights but no network.*'iresnet34'"):
        embedder(path, size=(112, 112))
    state = checkpoint("sfnet20")
    state["fc.weight"] = torch.zeros(256, 25088)
    torch.save(state, path)
    with pytest.raises(DataError, match=r"'fc.weight': \(256, 25088\), not \(512, 25088\)"):
        embedder(path, architecture="sfnet20")


def test_weights_that_are_not_finite(tmp_path):
    state = checkpoint("sfnet20")
    state["layer2.1.conv1.weight"][3, 0, 0, 0] = torch.nan
    torch.save(state, tmp_path / "nan.pt")
    with pytest.raises(DataError, match=r"1 of 42 weights are not finite.*layer2.1.conv1.weight"):
        embedder(tmp_path / "nan.pt", architecture="sfnet20")


class Bomb:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_pickle_bombs_do_not_go_off(tmp_path):
    went_off = tmp_path / "went-off"
    path = tmp_path / "bomb.pt"
    for content in (Bomb(went_off), {"fc.weight": torch.zeros(2), "x": Bomb(went_off)}):
        torch.save(content, path)
        for options in ({"architecture": "sfnet20"}, {"size": (8, 8)}):
            with pytest.raises(DataError, match=r"bomb.pt: not a file of weights only"):
                embedder(path, **options)
    path.write_bytes(pickle.dumps(Bomb(went_off)))
    with pytest.raises(DataError, match="not a file of weights only"):
        embedder(path, architecture="sfnet20")
    assert not went_off.exists()
    pickle.loads(path.read_bytes())
    assert went_off.exists()  # it was live


def test_files_that_are_no_weights(tmp_path):
    (tmp_path / "text.pt").write_text("no weights")
    torch.save(checkpoint("sfnet20"), tmp_path / "whole.pt")
    half = (tmp_path / "whole.pt").read_bytes()[:100_000]
    (tmp_path / "half.pt").write_bytes(half)
    torch.save({"epoch": 3}, tmp_path / "none.pt")
    for name, why in (
        ("text", "not a file of weights"),
        ("half", "not a file of weights"),
        ("none", "the file holds no weights"),
        ("gone", "no such file"),
    ):
        with pytest.raises(DataError, match=f"{name}.pt: {why}"):
            embedder(tmp_path / f"{name}.pt", architecture="sfnet20")


# CLIP --------------------------------------------------------------------------------------------


def test_clip_towers(tmp_path):
    path = tmp_path / "clip.pt"
    torch.save(checkpoint("clip", dtype=torch.float16), path)
    image = embedder(path, architecture="clip")
    assert (image.size, image.align, image.metric) == ((64, 64), "clip", "cosine")
    assert image(images(2, (64, 64))).shape == (2, 32)
    tokens = np.array([[48, 3, 5, 49], [48, 7, 49, 0]])
    texts = text_embeddings(path, tokens)
    # What follows the end token, and how far a text is padded, changes nothing.
    longer = np.zeros((2, 9), int)
    longer[:, :4] = tokens
    assert text_embeddings(path, longer) == pytest.approx(texts, abs=1e-5)
    assert np.abs(text_embeddings(path, tokens[:, [0, 2, 1, 3]])[0] - texts[0]).max() > 1e-3
    for wrong in (np.full((1, 4), 50), np.zeros((1, 13), int), np.zeros(4, int), np.zeros((1, 4))):
        with pytest.raises(DataError, match="from 0 to 49"):
            text_embeddings(path, wrong)


def test_clip_image_preparation(tmp_path):
    path = tmp_path / "clip.pt"
    torch.save(checkpoint("clip"), path)
    pictures = images(2, (64, 64))
    network = build("clip", checkpoint("clip"), "clip.pt").eval()
    with torch.no_grad():
        expected = network(scaled(pictures, CLIP_MEAN, CLIP_SCALE)).numpy()
    assert embedder(path, architecture="clip")(pictures) == pytest.approx(expected, abs=1e-5)


# Programs ----------------------------------------------------------------------------------------


def small_network():
    torch.manual_seed(1)
    front = [torch.nn.Conv2d(3, 4, 3, stride=2), torch.nn.BatchNorm2d(4), torch.nn.PReLU(4)]
    back = [torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(16, 5)]
    return torch.nn.Sequential(*front, *back).eval()


def save_script(network, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated by its authors
        torch.jit.save(torch.jit.trace(network, torch.zeros(2, 3, 16, 16)), str(path))


def save_exported(network, path):
    shapes = ({0: torch.export.Dim("n")},)
    program = torch.export.export(network, (torch.zeros(2, 3, 16, 16),), dynamic_shapes=shapes)
    torch.export.save(program, path)


@pytest.mark.parametrize(("save", "file"), [(save_script, "net.pt"), (save_exported, "net.pt2")])
def test_programs_give_what_the_network_gives(save, file, tmp_path):
    network, path = small_network(), tmp_path / file
    save(network, path)
    found = embedder(path, size=(16, 16), metric="euclidean")
    assert (found.align, found.metric) == ("arcface", "euclidean")
    pictures = images(5, (16, 16))
    with torch.no_grad():
        expected = network(scaled(pictures)).numpy()
    assert found(pictures) == pytest.approx(expected, abs=1e-5)
    if save is save_script:
        with pytest.raises(DataError, match="does not state the size"):
            embedder(path)
    else:
        assert embedder(path).size == (16, 16)
        with pytest.raises(DataError, match="takes images of 16 x 16, not of 112 x 112"):
            embedder(path, size=(112, 112))
    with pytest.raises(DataError, match="device"):
        embedder(path, size=(16, 16), device="nowhere")
    network[5].weight.data[0, 0] = torch.inf
    save(network, path)
    with pytest.raises(DataError, match="not finite"):
        embedder(path, size=(16, 16))


@pytest.mark.parametrize("name", ["iresnet34", "inception_resnet_v1", "clip"])
def test_exported_graphs_of_the_architectures_run(name, tmp_path):
    """The reader of exported graphs knows the operations of real networks."""
    network = build(name, checkpoint(name), "x.pt").eval()
    if name == "clip":
        network = network.visual
    size = {"iresnet34": (112, 112), "inception_resnet_v1": (160, 160), "clip": (64, 64)}[name]
    shapes = ({0: torch.export.Dim("n")},)
    program = torch.export.export(network, (torch.zeros(2, 3, *size),), dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "net.pt2")
    pictures = images(3, size)
    with torch.no_grad():
        expected = network(scaled(pictures)).numpy()
    found = embedder(tmp_path / "net.pt2", size=size)(pictures)
    assert found == pytest.approx(expected, abs=1e-5 * float(np.abs(expected).max()))


def rewritten(path, change):
    """The archive with its parts changed by a function of name and content."""
    parts = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(parts, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    path.write_bytes(parts.getvalue())


def with_target(target):
    def change(name, content):
        if not name.endswith("model.json"):
            return content
        model = json.loads(content)
        model["graph_module"]["graph"]["nodes"][0]["target"] = target
        return json.dumps(model).encode()

    return change


@pytest.mark.parametrize(
    "target",
    [
        "torch.os.system",
        "torch.ops.aten.from_file.default",
        "torch.ops.prim.Print.default",
        "_operator.attrgetter",
        "torch.ops.aten.__class__.default",
        "os.system",
    ],
)
def test_an_exported_file_can_call_tensor_operations_only(target, tmp_path):
    path = tmp_path / "net.pt2"
    save_exported(small_network(), path)
    rewritten(path, with_target(target))
    with pytest.raises(DataError, match="the operation"):
        embedder(path, size=(16, 16))


def test_pickles_in_an_exported_file_do_not_go_off(tmp_path):
    path, went_off = tmp_path / "net.pt2", tmp_path / "went-off"
    save_exported(small_network(), path)
    bomb = io.BytesIO()
    torch.save(Bomb(went_off), bomb)

    def poison(name, content):
        if name.endswith(("sample_inputs/model.pt", "weight_0")):
            return bomb.getvalue()
        if name.endswith("weights_config.json"):
            return content.replace(b'"use_pickle": false', b'"use_pickle": true', 1)
        return content

    rewritten(path, poison)
    with pytest.raises(DataError, match="pickled object"):
        embedder(path, size=(16, 16))
    path.write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(DataError, match="not a program"):
        embedder(path, size=(16, 16))
    assert not went_off.exists()


# Programs as they come ---------------------------------------------------------------------------


class Small(torch.nn.Module):
    """Means of channels times a matrix; `batch` is baked in, as a careless export does."""

    def __init__(self, batch=None, kind="plain"):
        super().__init__()
        torch.manual_seed(2)
        self.linear = torch.nn.Linear(3, 5)
        self.batch, self.kind = batch, kind

    def forward(self, x):
        if self.kind == "bytes":
            x = x.to(torch.float32) / 255
        means = x.mean((1, 2) if self.kind == "last" else (2, 3))
        means = means.reshape(means.shape[0] if self.batch is None else self.batch, 3)
        found = self.linear(means)
        if self.kind == "noise":
            return found + torch.randn_like(found)
        if self.kind == "neighbours":
            return found - found.mean(0)
        if self.kind == "several":
            return found, x
        if self.kind == "one of one":
            return (found,)
        if self.kind == "square":
            return found[:, :, None, None]
        return found


def small_expected(pictures, kind="plain"):
    x = torch.from_numpy(pictures.astype(np.float32)) / 255
    if kind != "bytes":
        x = (x * 255 - 127.5) / 127.5
    with torch.no_grad():
        return Small().linear(x.mean((1, 2))).numpy()


def save_small(network, path, n=2, *, fixed=False, shape=(3, 16, 16), dtype=torch.float32):
    example = torch.ones(n, *shape).to(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if path.suffix == ".pt":
            torch.jit.save(torch.jit.trace(network, example, check_trace=False), str(path))
        else:
            shapes = None if fixed else ({0: torch.export.Dim("n")},)
            torch.export.save(torch.export.export(network, (example,), dynamic_shapes=shapes), path)


@pytest.mark.parametrize("file", ["net.pt", "net.pt2"])
@pytest.mark.parametrize("batch", [1, 3, 4])
def test_programs_of_a_fixed_batch_run_in_such_batches(file, batch, tmp_path):
    path = tmp_path / file
    save_small(Small(batch).eval(), path, batch, fixed=True)
    found = embedder(path, size=(16, 16))
    pictures = images(9, (16, 16))
    expected = small_expected(pictures)
    assert found(pictures) == pytest.approx(expected, abs=1e-5)
    for at in range(9):
        assert found(pictures[at : at + 1])[0] == pytest.approx(expected[at], abs=1e-5)
    assert found(pictures[::-1])[::-1] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("kind", "shape", "dtype", "tolerance"),
    [
        ("last", (16, 16, 3), torch.float32, 1e-5),
        ("bytes", (3, 16, 16), torch.uint8, 1e-5),
        ("plain", (3, 16, 16), torch.float64, 1e-5),
        ("plain", (3, 16, 16), torch.float16, 1e-2),
        ("one of one", (3, 16, 16), torch.float32, 1e-5),
        ("square", (3, 16, 16), torch.float32, 1e-5),
    ],
)
def test_layout_and_numbers_are_read_from_an_exported_file(kind, shape, dtype, tolerance, tmp_path):
    network = Small(kind=kind).eval()
    if dtype.is_floating_point:
        network = network.to(dtype)
    save_small(network, tmp_path / "net.pt2", shape=shape, dtype=dtype)
    pictures = images(4, (16, 16))
    found = embedder(tmp_path / "net.pt2")
    assert found.size == (16, 16)
    assert found(pictures) == pytest.approx(small_expected(pictures, kind), abs=tolerance)


def test_a_script_of_half_precision(tmp_path):
    save_small(Small().eval().half(), tmp_path / "net.pt", dtype=torch.float16)
    pictures = images(4, (16, 16))
    found = embedder(tmp_path / "net.pt", size=(16, 16))(pictures)
    assert found == pytest.approx(small_expected(pictures), abs=1e-2)


@pytest.mark.parametrize("file", ["net.pt", "net.pt2"])
def test_programs_that_draw_noise_or_mix_images_are_refused(file, tmp_path):
    path = tmp_path / file
    save_small(Small(kind="noise").eval(), path)
    with pytest.raises(DataError, match=r"net: an image has two .*by the images alone"):
        embedder(path, size=(16, 16))
    save_small(Small(kind="neighbours").eval(), path)
    with pytest.raises(DataError, match="depends on the other images"):
        embedder(path, size=(16, 16))
    training = torch.nn.Sequential(*small_network(), torch.nn.Dropout(0.5)).train()
    save_small(training, path)  # both kinds of files keep what training does
    with pytest.raises(DataError, match=r"an image has two|beside it|for training"):
        embedder(path, size=(16, 16))


def test_an_export_for_training_is_refused_whatever_its_batch(tmp_path):
    save_small(small_network().train(), tmp_path / "net.pt2", 1, fixed=True)
    with pytest.raises(DataError, match=r"net.pt2: .*it was exported for training"):
        embedder(tmp_path / "net.pt2")


def test_users_see_no_warning_of_torch_s_own(tmp_path):
    save_small(Small().eval(), tmp_path / "net.pt")
    torch.save(checkpoint("sfnet20"), tmp_path / "w.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        embedder(tmp_path / "net.pt", size=(16, 16))
        embedder(tmp_path / "w.pt", architecture="sfnet20")


def test_dropout_of_a_scripted_network_is_set_for_use(tmp_path):
    network = torch.nn.Sequential(*small_network(), torch.nn.Dropout(0.5)).train()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(network).save(str(tmp_path / "net.pt"))
    pictures = images(3, (16, 16))
    with torch.no_grad():
        expected = network.eval()(scaled(pictures)).numpy()
    found = embedder(tmp_path / "net.pt", size=(16, 16))
    assert found(pictures) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("file", ["net.pt", "net.pt2"])
def test_of_several_outputs_one_is_chosen(file, tmp_path):
    save_small(Small(kind="several").eval(), tmp_path / file)
    for wrong in (None, 2, "logits"):
        with pytest.raises(DataError, match=r"returns \(1, 5\), \(1, 3, 16, 16\).*output=0"):
            embedder(tmp_path / file, size=(16, 16), output=wrong)
    pictures = images(3, (16, 16))
    found = embedder(tmp_path / file, size=(16, 16), output=0)
    assert found(pictures) == pytest.approx(small_expected(pictures), abs=1e-5)


def test_several_inputs_are_named(tmp_path):
    class Two(torch.nn.Module):
        def forward(self, x, y):
            return (x + y).mean((2, 3))

    pair = (torch.ones(2, 3, 8, 8), torch.ones(2, 3, 8, 8))
    torch.export.save(torch.export.export(Two(), pair), tmp_path / "net.pt2")
    with pytest.raises(DataError, match=r"net.pt2: .*2 inputs \(x, y\)"):
        embedder(tmp_path / "net.pt2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Two()).save(str(tmp_path / "net.pt"))
    with pytest.raises(DataError, match=r"net: it fails on .*'y'"):
        embedder(tmp_path / "net.pt", size=(8, 8))


def test_a_script_that_does_not_fit_says_what_failed(tmp_path):
    save_small(small_network(), tmp_path / "net.pt")
    with pytest.raises(DataError, match=r"net: it fails on an image of 8 x 8 .*channels"):
        embedder(tmp_path / "net.pt", size=(8, 8), colour="grey")


def test_a_program_is_not_weights_and_broken_files_are_named(tmp_path):
    save_small(Small().eval(), tmp_path / "net.pt")
    with pytest.raises(DataError, match="the weights are not those of sfnet20"):
        embedder(tmp_path / "net.pt", architecture="sfnet20")
    torch.save(Small(), tmp_path / "whole.pt")
    save_small(Small().eval(), tmp_path / "net.pt2")
    for name in ("net.pt", "whole.pt", "net.pt2"):
        content = (tmp_path / name).read_bytes()
        for size in (10, len(content) // 2, len(content) - 30):
            (tmp_path / name).write_bytes(content[:size])
            with pytest.raises(DataError, match=name):
                embedder(tmp_path / name, size=(16, 16))


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.model."])
def test_names_of_wrappers_are_taken_off_where_all_weights_share_them(prefix, tmp_path):
    state = {f"{prefix}{key}": value for key, value in checkpoint("sfnet20").items()}
    torch.save(
        {"model_state_dict": state | {"head.weight": torch.zeros(9, 512)}}, tmp_path / "a.PTH"
    )
    torch.save(checkpoint("sfnet20"), tmp_path / "b.pth.tar")
    pictures = images(1, (112, 112))
    one = embedder(tmp_path / "a.PTH", architecture="sfnet20")(pictures)
    assert np.array_equal(one, embedder(tmp_path / "b.pth.tar", architecture="sfnet20")(pictures))


def test_weights_in_whole_numbers_are_refused(tmp_path):
    state = checkpoint("sfnet20")
    state["fc.weight"] = (state["fc.weight"] * 1000).to(torch.int8)
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(DataError, match=r"1 are torch.int8, such as 'fc.weight'"):
        embedder(tmp_path / "w.pt", architecture="sfnet20")
    torch.save(checkpoint("sfnet20") | {"fc.bias": torch.ones(512).to_sparse()}, tmp_path / "w.pt")
    with pytest.raises(DataError, match=r"1 are torch.sparse_coo, such as 'fc.bias'"):
        embedder(tmp_path / "w.pt", architecture="sfnet20")


# What the networks' authors feed them, written down apart: (height, width), channel order, and
# how a pixel of 0 to 255 enters.
PUBLISHED = {
    "iresnet34": ((112, 112), "rgb", lambda p: (p / 255 - 0.5) / 0.5),
    "iresnet50": ((112, 112), "rgb", lambda p: (p / 255 - 0.5) / 0.5),
    "iresnet100": ((112, 112), "rgb", lambda p: (p / 255 - 0.5) / 0.5),
    "sfnet20": ((112, 112), "rgb", lambda p: (p - 127.5) / 127.5),
    "sphere20a": ((112, 96), "bgr", lambda p: (p - 127.5) / 128),
    "inception_resnet_v1": ((160, 160), "rgb", lambda p: (p - 127.5) / 128),
    "clip": (
        (64, 64),
        "rgb",
        lambda p: (
            (p / 255 - torch.tensor([0.48145466, 0.4578275, 0.40821073]))
            / torch.tensor([0.26862954, 0.26130258, 0.27577711])
        ),
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_architecture_on_its_defaults_embeds_a_chip(name, tmp_path, request):
    pytest.importorskip("PIL")
    pytest.importorskip("dlib")
    from causalbias.recognition.alignment import align_face
    from causalbias.recognition.embedding import embed
    from causalbias.recognition.images import decode

    chip = sorted(request.getfixturevalue("chips").glob("*.jpg"))[0]
    torch.save(checkpoint(name), tmp_path / "weights.pth")
    found = embedder(tmp_path / "weights.pth", architecture=name)
    cube = embed({"a": chip}, found)
    assert cube["status"].values.tolist() == [["ok"]]
    size, colour, enters = PUBLISHED[name]
    crop = align_face(decode(chip.read_bytes()).pixels, found.align, size).pixels
    pixels = torch.from_numpy(crop[..., ::-1].copy() if colour == "bgr" else crop.copy())
    network = build(name, checkpoint(name), "x.pt").eval()
    with torch.no_grad():
        vector = network(enters(pixels.float())[None].permute(0, 3, 1, 2)).numpy()[0]
    assert cube["embedding"].values[0, 0] == pytest.approx(
        vector, abs=1e-4 * float(np.abs(vector).max())
    )
