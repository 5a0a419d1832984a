"""Checkpoints in the forms in which they are published, against independent implementations."""

import argparse
import json
import pathlib
import pickle
import warnings

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from causalbias.errors import DataError  # noqa: E402
from causalbias.recognition.alignment import align_face  # noqa: E402
from causalbias.recognition.architectures import KNOWN, build  # noqa: E402
from causalbias.recognition.choose import embedder  # noqa: E402
from causalbias.recognition.torch_file import text_embeddings  # noqa: E402
from tests.recognition.test_torch_file import (  # noqa: E402
    CLIP_MEAN,
    CLIP_SCALE,
    NOT_WEIGHTS,
    checkpoint,
    images,
    scaled,
)

LAION = {"quick_gelu": False, "vision_cfg": {"head_width": 32}, "text_cfg": {"heads": 4}}


def relative(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


def bare(state):
    return {key: value for key, value in state.items() if key not in NOT_WEIGHTS}


# Other implementations ---------------------------------------------------------------------------


def test_facenet_is_that_of_facenet_pytorch(tmp_path):
    facenet = pytest.importorskip("facenet_pytorch.models.inception_resnet_v1")
    theirs = facenet.InceptionResnetV1(pretrained=None, classify=False).eval()
    state = checkpoint("inception_resnet_v1")
    theirs.load_state_dict(state, strict=False)
    torch.save(state, tmp_path / "w.pt")
    pictures = images(2, (160, 160))
    with torch.no_grad():
        expected = theirs(scaled(pictures, 127.5, 128.0)).numpy()
    assert (
        relative(
            embedder(tmp_path / "w.pt", architecture="inception_resnet_v1")(pictures), expected
        )
        < 1e-5
    )


def open_clip_model(quick):
    """An open_clip network of small odd sizes: heads of 32 in one tower, 4 heads in the other."""
    open_clip = pytest.importorskip("open_clip.model")
    torch.manual_seed(3)
    vision = {
        "layers": 2,
        "width": 128,
        "head_width": 32,
        "patch_size": 16,
        "image_size": 64,
        "mlp_ratio": 3.5,
    }
    text = {"context_length": 12, "vocab_size": 50, "width": 64, "heads": 4, "layers": 2}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = open_clip.CLIP(
            32, open_clip.CLIPVisionCfg(**vision), open_clip.CLIPTextCfg(**text), quick_gelu=quick
        )
    for value in model.parameters():  # at their start some are zero
        torch.nn.init.normal_(value, std=0.15)
    config = {
        "model_cfg": {"embed_dim": 32, "quick_gelu": quick, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3]},
    }
    return model.eval(), config


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("suffix", [".bin", ".safetensors"])
def test_both_towers_are_those_of_open_clip(quick, suffix, tmp_path):
    model, config = open_clip_model(quick)
    state = {key: value.detach().clone() for key, value in model.state_dict().items()}
    path = tmp_path / f"open_clip_pytorch_model{suffix}"
    if suffix == ".bin":
        torch.save(state, path)
    else:
        pytest.importorskip("safetensors.torch").save_file(state, path)
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    pictures = images(2, (64, 64))
    tokens = np.array([[48, 3, 5, 49], [48, 7, 49, 0]])
    padded = np.zeros((2, 12), int)
    padded[:, :4] = tokens
    mean, sd = (255 * np.array(config["preprocess_cfg"][key]) for key in ("mean", "std"))
    with torch.no_grad():
        expected = model.encode_image(scaled(pictures, mean, sd)).numpy()
        words = model.encode_text(torch.from_numpy(padded)).numpy()
    found = embedder(path, architecture="clip")
    assert found.size == (64, 64)
    assert relative(found(pictures), expected) < 1e-5
    assert relative(text_embeddings(path, tokens), words) < 1e-5
    # The other activation, or other heads, are other numbers: this was silent once.
    for other in ({"quick_gelu": not quick}, {"vision_cfg": {"head_width": 64}}):
        wrong = config["model_cfg"] | other
        off = embedder(path, architecture="clip", config=wrong, normalise=found.normalise)
        assert relative(off(pictures), expected) > 1e-3
        assert off.fingerprint != found.fingerprint


@pytest.mark.filterwarnings("ignore")
def test_an_archive_of_openai_is_read_as_its_own_code_reads_it(tmp_path):
    """OpenAI's files are TorchScript, whose numbers say so, in half precision."""
    state = checkpoint("clip", dtype=torch.float16)
    network = build("clip", state, "x")
    for name in NOT_WEIGHTS:
        network.register_buffer(name, torch.tensor(7))
    network.half()
    example = torch.zeros(1, 3, 64, 64).half()
    path = tmp_path / "ViT-X-16.pt"
    torch.jit.trace(network, example, check_trace=False).save(str(path))
    pictures = images(2, (64, 64))
    found = embedder(path, architecture="clip")(pictures)
    clip = pytest.importorskip("clip.model")
    theirs = clip.build_model({key: value.clone() for key, value in network.state_dict().items()})
    with torch.no_grad():
        expected = theirs.float().eval().encode_image(scaled(pictures, CLIP_MEAN, CLIP_SCALE))
    assert relative(found, expected.numpy()) < 1e-5


# CLIP's facts and images -------------------------------------------------------------------------


def test_weights_that_do_not_say_their_activation_are_asked_for(tmp_path):
    path = tmp_path / "w.bin"
    torch.save(bare(checkpoint("clip")), path)
    with pytest.raises(DataError, match=r"w.bin: .*do not say its activation.*'quick_gelu': False"):
        embedder(path, architecture="clip")
    with pytest.raises(DataError, match="do not say its activation"):
        text_embeddings(path, np.array([[48, 49]]))
    assert embedder(path, architecture="clip", config=LAION).align == "clip"
    with pytest.raises(DataError, match="architecture='clip' only"):
        embedder(path, architecture="sfnet20", config=LAION)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"vision_cfg": {"pool_type": "avg"}}, "'pool_type', which this architecture does not"),
        ({"vision_cfg": {"attentional_pool": True}}, "'attentional_pool'"),
        ({"text_cfg": {"hf_model_name": "roberta"}}, "'hf_model_name'"),
        ({"custom_text": True}, "'custom_text'"),
        ({"vision_cfg": {"head_width": "wide"}}, "not a config of a CLIP"),
        ({"vision_cfg": {"head_width": 48}}, "no whole number of heads of width 48 in 128"),
        (["quick_gelu"], "not a readable config|not a config"),
        ("gone.json", "not a readable config"),
    ],
)
def test_a_config_that_cannot_be_is_refused(config, message, tmp_path):
    torch.save(bare(checkpoint("clip")), tmp_path / "w.bin")
    if isinstance(config, list):
        (tmp_path / "list.json").write_text(json.dumps(config))
        config = tmp_path / "list.json"
    with pytest.raises(DataError, match=message):
        embedder(tmp_path / "w.bin", architecture="clip", config=config)


@pytest.mark.parametrize("shape", [(90, 61), (61, 90), (300, 300), (20, 31), (64, 64)])
def test_images_are_resized_and_cropped_as_clip_was_trained(shape):
    """torchvision's Resize(64, BICUBIC) and CenterCrop(64) on a Pillow image, as OpenAI's code."""
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    found = align_face(picture, "clip", (64, 64)).pixels
    transforms = pytest.importorskip("torchvision.transforms")
    resize = transforms.Resize(64, interpolation=transforms.InterpolationMode.BICUBIC)
    expected = transforms.CenterCrop(64)(resize(Image.fromarray(picture)))
    assert np.array_equal(found, np.asarray(expected))


# Files -------------------------------------------------------------------------------------------


def test_what_training_saves_beside_the_weights_is_left_out(tmp_path):
    state = checkpoint("sfnet20")
    plain, whole = tmp_path / "plain.pt", tmp_path / "whole.pt"
    torch.save(state, plain)
    extras = {
        "args": argparse.Namespace(lr=0.1, out=pathlib.Path("x")),
        "best": np.float64(0.99),
        "history": np.arange(3.0),
        "epoch": 3,
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]},
    }
    torch.save({"state_dict": state, **extras}, whole)
    pictures = images(1, (112, 112))
    a, b = (embedder(path, architecture="sfnet20")(pictures) for path in (plain, whole))
    assert np.array_equal(a, b)


class Other:
    """An object that is not on the list of harmless ones."""


def test_no_error_quotes_advice_to_switch_safety_off(tmp_path):
    path = tmp_path / "w.pt"
    for content in ({"state_dict": checkpoint("sfnet20"), "x": Other()}, Other()):
        torch.save(content, path)
        with pytest.raises(DataError, match=r"it holds \S*Other") as caught:
            embedder(path, architecture="sfnet20")
        assert "weights_only" not in str(caught.value)
        assert "add_safe_globals" not in str(caught.value)
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(DataError) as caught:
        embedder(path, architecture="sfnet20")
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize(
    "prefix", ["module.", "backbone.", "model.", "model.backbone.", "student."]
)
def test_weights_are_found_below_a_prefix_beside_others(prefix, tmp_path):
    """A head, a loss and a projection beside a network, without a prefix that all share."""
    state = checkpoint("sfnet20")
    others = {
        "head.weight": torch.zeros(9, 512),
        "loss.kernel": torch.zeros(512, 9),
        "criterion.weight": torch.zeros(3),
    }
    torch.save(state, tmp_path / "a.pt")
    torch.save({f"{prefix}{key}": one for key, one in state.items()} | others, tmp_path / "b.pt")
    pictures = images(1, (112, 112))
    a, b = (embedder(tmp_path / f"{x}.pt", architecture="sfnet20")(pictures) for x in "ab")
    assert np.array_equal(a, b)


def test_of_two_networks_in_a_file_none_is_guessed(tmp_path):
    both = {
        f"{who}.{key}": value
        for who, seed in (("student", 0), ("teacher", 1))
        for key, value in checkpoint("sfnet20", seed).items()
    }
    torch.save(both, tmp_path / "w.pt")
    with pytest.raises(DataError, match=r"several times: below student\., teacher\."):
        embedder(tmp_path / "w.pt", architecture="sfnet20")


def test_a_safetensors_file_that_is_none(tmp_path):
    pytest.importorskip("safetensors")
    (tmp_path / "w.safetensors").write_bytes(b"\x08" + b"\0" * 40)
    with pytest.raises(DataError, match=r"w.safetensors: not a readable safetensors file"):
        embedder(tmp_path / "w.safetensors", architecture="sfnet20")


def test_every_architecture_is_tested_on_its_layout():
    from tests.recognition.test_torch_file import LAYOUTS

    assert set(LAYOUTS) == set(KNOWN)
