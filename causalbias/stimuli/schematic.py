"""A generator of schematic faces with known attributes, which needs no trained network.

The images are diagrams. They serve to try out an experiment, and are no evidence about real faces
or trained networks.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from causalbias.arguments import generator
from causalbias.io.drawing import SKIN
from causalbias.stimuli.generator import Generator

LATENTS = 32
ATTRIBUTES = ("age", "hair", "lighting", "pose", "skin_tone", "smiling")
SHAPES = ("width", "height", "eye_gap", "eye_size", "nose", "mouth", "brow", "hairline", "jaw")
TANGLE = 0.45  # expected cosine between the weights of two attributes
SOFT = 0.03  # width of an edge, in units of half the picture's side
CHUNK = 64
STREAM = 0xFACE


def schematic(random_seed: int = 0, *, side: int = 64) -> Generator:
    """Make a generator of schematic faces with 32 latents and six attributes.

    Each attribute is a weighted sum of the latents, and so is each of nine shapes, which determine
    the identity of a face. The weights of the attributes are entangled: the cosine between those of
    two attributes is about 0.45, so that a step along the weights of one moves the others.
    `schematic_truth` returns the weights. Controls are added to the attributes.

    Parameters
    ----------
    random_seed : int
        Seed of the weights; each seed gives another generator.
    side : int, default 64
        Width and height of the images in pixels.

    Returns
    -------
    Generator
        A generator with the controls age, hair, lighting, pose, skin_tone and smiling, each in
        standard deviations over faces. Images do not change beyond -3 and 3.

    Examples
    --------
    >>> make = schematic()
    >>> make(np.zeros((2, 32)), smiling=np.array([-2.0, 2.0])).shape
    (2, 64, 64, 3)
    """
    weights = _weights(random_seed)

    def forward(latent: np.ndarray, controls: dict[str, np.ndarray]) -> np.ndarray:
        value = latent @ weights.T
        for name, added in controls.items():
            value[:, ATTRIBUTES.index(name)] += added
        starts = range(0, max(len(value), 1), CHUNK)
        drawn = [_draw(value[at : at + CHUNK], side) for at in starts]
        return np.rint(np.concatenate(drawn)).astype(np.uint8)

    return Generator(
        name="schematic",
        forward=forward,
        latents=LATENTS,
        controls=ATTRIBUTES,
        version=f"schematic 1, weights {random_seed}, side {side} (drawn; not photographs)",
    )


def schematic_truth(random_seed: int = 0) -> xr.DataArray:
    """Return the true weights (attribute, feature), of length 1, of the schematic generator.

    Examples
    --------
    >>> float((schematic_truth() ** 2).sum("feature")[0].round(6))
    1.0
    """
    return xr.DataArray(
        _weights(random_seed)[: len(ATTRIBUTES)],
        coords={"attribute": list(ATTRIBUTES), "feature": np.arange(LATENTS)},
        dims=("attribute", "feature"),
        name="weight",
    )


def _weights(random_seed: int) -> np.ndarray:
    """Draw weights (attributes and shapes, latent), each of length 1."""
    # A separate stream: latents that a user draws with the same seed must not equal the weights.
    random = generator(random_seed, STREAM)
    common = random.normal(size=LATENTS)
    specific = random.normal(size=(len(ATTRIBUTES) + len(SHAPES), LATENTS))
    share = np.where(np.arange(len(specific)) < len(ATTRIBUTES), TANGLE, 0.0)[:, None]
    rows = np.sqrt(share) * common + np.sqrt(1 - share) * specific
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def schematic_network(random_seed: int = 0, *, side: int = 64) -> Any:
    """Make the schematic generator as a torch network, differentiable in latents and controls.

    Parameters
    ----------
    random_seed, side : int
        As in `schematic`. The images equal those of `schematic` up to one grey level.

    Returns
    -------
    torch.nn.Module
        A network that takes latents (n, 32) or, with the six controls in the last columns, (n, 38),
        and returns images (n, 3, side, side) from -1 to 1. It can run on a GPU, and
        `torch_generator` can read it once it is exported. Its buffer `weights` has the shape
        (attributes and shapes, 32).

    Raises
    ------
    DataError
        If torch is not installed.
    """
    from causalbias.recognition.checkpoints import import_torch

    torch = import_torch()

    class Schematic(torch.nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer(
                "weights", torch.tensor(_weights(random_seed), dtype=torch.float32)
            )

        def forward(self, latent: Any) -> Any:
            value = latent[:, :LATENTS] @ self.weights.T
            if latent.shape[1] > LATENTS:
                shapes = torch.zeros_like(value[:, len(ATTRIBUTES) :])
                value = value + torch.cat([latent[:, LATENTS:], shapes], dim=1)
            return _draw(value, side, torch).permute(0, 3, 1, 2) / 127.5 - 1

    return Schematic()


def _draw(value: Any, side: int, xp: Any = np) -> Any:
    """Draw images (face, side, side, 3), 0 to 255, of attributes and shapes (face, 15).

    Attributes and shapes are in standard deviations over faces. `xp` is NumPy or torch; `like`
    makes an array of the type of `value`.
    """

    def like(array: np.ndarray) -> Any:
        return array if xp is np else xp.as_tensor(array).to(value)

    def edge(inside: Any, soft: float = SOFT) -> Any:
        """Return 1 inside a shape and 0 outside, with a smooth transition."""
        return 1 / (1 + xp.exp(-xp.clip(inside / soft, -40, 40)))

    def bar(u: Any, v: Any, wide: Any, high: Any) -> Any:
        return edge(wide - xp.abs(u)) * edge(high - xp.abs(v), 0.012)

    def root(square: Any) -> Any:
        return xp.sqrt(xp.clip(square, 1e-12, None))  # its slope at 0 would be infinite

    drawn = xp.clip(value, -3, 3) / 3
    age, hair, light, pose, skin, smile, *shape = drawn.T[:, :, None, None]
    width, height, gap, size, nose, mouth, brow, hairline, jaw = shape
    y, x = like(np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j])
    half, tall = 0.58 + 0.1 * width, 0.76 + 0.08 * height
    across = x / (half * (1 + 0.25 * jaw * y))
    down = (y - 0.05) / tall
    radius = root(across**2 + down**2)
    head = edge(1 - radius)
    shade = 0.72 + 0.28 * root(1 - radius**2) + 0.3 * light * across
    picture = like(np.full((1, side, side, 3), 205.0))
    grey = (75 + 70 * age)[..., None] * like(np.array([1.0, 0.93, 0.85]))
    mane = edge(1 - root((x / (half + 0.14)) ** 2 + ((y + 0.05) / (tall + 0.12)) ** 2))
    picture = _over(picture, grey, mane * edge(0.15 + 0.75 * hair - y))
    picture = _over(picture, _tone(skin, like, xp) * shade[..., None], head)
    fringe = head * edge(-0.5 + 0.1 * hairline - 0.12 * age - down)
    picture = _over(picture, grey, fringe)
    # In a turned face, features move sideways, and those on the far side move less.
    u, v = x - 0.26 * pose * xp.sqrt(xp.clip(1 - (y / 1.1) ** 2, 0, None)), y
    apart, large = 0.24 + 0.05 * gap, 0.075 + 0.02 * size
    eyes = edge(1 - root(((xp.abs(u) - apart) / large / 1.5) ** 2 + ((v + 0.08) / large) ** 2), 0.2)
    brows = bar(xp.abs(u) - apart, v + 0.25 + 0.05 * brow, 0.13, 0.025)
    ridge = bar(u - 0.02, v - 0.14, 0.02, 0.13 + 0.04 * nose)
    curve = 0.45 + 0.3 * smile * (0.02 - u**2) / 0.2
    lips = bar(u, v - curve, 0.2 + 0.05 * mouth, 0.035)
    lines = bar(u, v + 0.42, 0.3, 0.012) + bar(u, v + 0.35, 0.26, 0.012)
    folds = bar(xp.abs(u) - 0.27, v - 0.3, 0.012, 0.12)
    for ink, mask in (
        ((40.0, 40.0, 40.0), eyes),
        ((60.0, 60.0, 60.0), brows),
        ((110.0, 110.0, 110.0), 0.5 * ridge),
        ((150.0, 60.0, 60.0), lips),
        ((80.0, 80.0, 80.0), 0.8 * xp.clip(age, 0, None) * (lines + folds)),
    ):
        picture = _over(picture, like(np.array(ink)), mask * head * (1 - fringe))
    return xp.clip(picture, 0, 255)


def _tone(skin: Any, like: Callable[[np.ndarray], Any], xp: Any) -> Any:
    """Interpolate the colour of the skin, for tones from -1 to 1, between published tones."""
    knots = np.linspace(-1, 1, len(SKIN))
    tone = like(SKIN[0].astype(float))
    for knot, step in zip(knots[:-1], np.diff(SKIN.astype(float), axis=0), strict=True):
        part = xp.clip((skin - knot) / (knots[1] - knots[0]), 0, 1)
        tone = tone + part[..., None] * like(step)
    return tone


def _over(below: Any, colour: Any, mask: Any) -> Any:
    return below + mask[..., None] * (colour - below)
