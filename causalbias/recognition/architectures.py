"""Build the networks of named architectures with weights from checkpoints."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from causalbias.errors import DataError
from causalbias.recognition.checkpoints import HEADS, import_torch
from causalbias.recognition.clip_config import OPENAI, ClipConfig
from causalbias.recognition.embedder import first_line

ARCFACE: dict[str, Any] = {
    "size": (112, 112),
    "normalise": (127.5, 127.5),
    "align": "arcface",
    "metric": "cosine",
}
# Preparation of images in the networks' training, from their authors' code.
KNOWN: dict[str, dict[str, Any]] = {
    "iresnet18": ARCFACE,
    "iresnet34": ARCFACE,
    "iresnet50": ARCFACE,
    "iresnet100": ARCFACE,
    "iresnet200": ARCFACE,
    "mobilefacenet": ARCFACE,
    "sfnet20": ARCFACE,
    "sphere20a": ARCFACE | {"size": (112, 96), "normalise": (127.5, 128.0), "colour": "bgr"},
    "inception_resnet_v1": {
        "size": (160, 160),
        "normalise": (127.5, 128.0),
        "align": "dlib",
        "unit": True,
        "metric": "euclidean",
    },
    "clip": {"align": "clip", "metric": "cosine"},
}
# A weight that each architecture has once, where it is not "conv1.weight".
FIRST = {
    "mobilefacenet": "conv_sep.layers.0.weight",
    "sfnet20": "layer1.0.conv1.weight",
    "sphere20a": "conv1_1.weight",
    "inception_resnet_v1": "conv2d_1a.conv.weight",
    "clip": "visual.conv1.weight",
}


def build(
    architecture: str, state: Mapping[str, Any], file: str, config: ClipConfig = OPENAI
) -> Any:
    """Build the network of a named architecture with weights from a file.

    Weights of other networks in the same file, such as a training head, are left out.

    Parameters
    ----------
    architecture : str
        A name in `KNOWN`.
    state : mapping of str to tensor
        Weights by name.
    file : str
        Name of the file, for errors.
    config : ClipConfig
        What the weights of "clip" do not say.

    Raises
    ------
    DataError
        If the name is unknown, the weights belong to another architecture, or the file has those of
        several networks. The error names the architecture if it is known, and the first names and
        shapes that differ.
    """
    torch = import_torch()
    if architecture not in KNOWN:
        raise DataError(
            f"no architecture is called {architecture!r}", hint=f"use one of {', '.join(KNOWN)}"
        )
    state = _weights_of(architecture, state, file, config)
    with torch.device("meta"):
        network = _network(architecture, state, config)
    wanted = {
        key: state[key].to(value.dtype)
        for key, value in network.state_dict().items()
        if not _optional(key) or key in state
    }
    for key, value in network.state_dict().items():
        wanted.setdefault(key, torch.zeros(value.shape, dtype=value.dtype))
    network.load_state_dict(wanted, assign=True)
    return network


def architectures_of(state: Mapping[str, Any]) -> list[str]:
    """Return the names of the architectures that weights fit."""
    return [
        name
        for name in KNOWN
        if any(not _differences(name, part) for part in _parts(name, state).values())
    ]


def _weights_of(
    architecture: str, state: Mapping[str, Any], file: str, config: ClipConfig
) -> Mapping[str, Any]:
    """Return the weights of an architecture, without their prefix, among all of a file."""
    differs = _differences(architecture, state, config)
    if not differs:
        return state
    parts = _parts(architecture, state)
    fitting = [one for one, part in parts.items() if not _differences(architecture, part, config)]
    if len(fitting) == 1:
        return parts[fitting[0]]
    if fitting:
        raise DataError(
            f"the file holds weights of {architecture} several times: below {', '.join(fitting)}",
            hint="save the state_dict() of the one that is meant",
            file=file,
        )
    others = [name for name in architectures_of(state) if name != architecture]
    raise DataError(
        f"the weights are not those of {architecture}: {'; '.join(differs)}",
        hint=f"use architecture={others[0]!r}"
        if others
        else "use the architecture they were "
        f"trained with, one of {', '.join(KNOWN)}, or export the network to ONNX",
        file=file,
    )


def _parts(architecture: str, state: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the weights below each prefix, "" too, at which an architecture could begin."""
    first = FIRST.get(architecture, "conv1.weight")
    prefixes = [key.removesuffix(first) for key in state if f".{key}".endswith(f".{first}")]
    return {
        one: {key.removeprefix(one): state[key] for key in state if key.startswith(one)}
        for one in prefixes
    }


def _network(architecture: str, state: Mapping[str, Any], config: ClipConfig = OPENAI) -> Any:
    if architecture.startswith("iresnet"):
        from causalbias.recognition.networks.iresnet import iresnet

        return iresnet(architecture)
    if architecture in ("sfnet20", "sphere20a"):
        from causalbias.recognition.networks.sphereface import SFNet20, Sphere20a

        return SFNet20() if architecture == "sfnet20" else Sphere20a()
    if architecture == "inception_resnet_v1":
        from causalbias.recognition.networks.inception import InceptionResnetV1

        return InceptionResnetV1()
    if architecture == "mobilefacenet":
        from causalbias.recognition.networks.mobilefacenet import MobileFaceNet

        return MobileFaceNet()
    from causalbias.recognition.networks.clip import Clip

    return Clip({key: tuple(value.shape) for key, value in state.items()}, config)


def _differences(
    architecture: str, state: Mapping[str, Any], config: ClipConfig = OPENAI
) -> list[str]:
    """Describe how names and shapes of weights differ from those of an architecture."""
    torch = import_torch()
    try:
        wanted = _layout(architecture) if architecture != "clip" else _shapes(state, config)
    except (KeyError, ValueError, ZeroDivisionError, AssertionError) as error:
        return [f"no {first_line(error)}"]  # the sizes of CLIP are read from the weights
    given = {key: tuple(value.shape) for key, value in state.items() if not _spare(key)}
    lacking = [key for key in wanted if key not in given and not _optional(key)]
    unknown = [key for key in given if key not in wanted]
    shapes = [key for key in wanted if key in given and wanted[key] != given[key]]
    differences = []
    if lacking:
        differences.append(f"{len(lacking)} are missing, such as {lacking[0]!r}")
    if unknown:
        differences.append(f"{len(unknown)} are unknown to it, such as {unknown[0]!r}")
    numbers = [
        key for key in wanted if key in given and not _optional(key) and not is_plain(state[key])
    ]
    if numbers:
        first = state[numbers[0]]
        kind = first.dtype if first.layout == torch.strided else first.layout
        differences.append(f"{len(numbers)} are {kind}, such as {numbers[0]!r}")
    if shapes:
        key = shapes[0]
        differences.append(
            f"{len(shapes)} have other shapes, such as {key!r}: {given[key]}, not {wanted[key]}"
        )
    return differences


@cache
def _layout(architecture: str) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of the weights of an architecture of fixed sizes."""
    with import_torch().device("meta"):
        network = _network(architecture, {})
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def _shapes(state: Mapping[str, Any], config: ClipConfig) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of the weights of a CLIP of the sizes of given weights."""
    with import_torch().device("meta"):
        network = _network("clip", state, config)
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def is_plain(value: Any) -> bool:
    """Whether a tensor is a dense one of floats."""
    return bool(value.is_floating_point()) and value.layout == import_torch().strided


def is_openai(state: Mapping[str, Any]) -> bool:
    """Whether weights of a CLIP are OpenAI's own: their archives alone hold these numbers."""
    from causalbias.recognition.networks.clip import NOT_WEIGHTS

    return all(key in state for key in NOT_WEIGHTS)


def _optional(key: str) -> bool:
    """Whether a name is that of a counter of training steps, which old checkpoints lack."""
    return key.endswith("num_batches_tracked")


def _spare(key: str) -> bool:
    """Whether a name is that of the training head, or of one of CLIP's numbers that are unused."""
    from causalbias.recognition.networks.clip import NOT_WEIGHTS

    return key.startswith(HEADS) or key in NOT_WEIGHTS
