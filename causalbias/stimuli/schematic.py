"""A schematic face, drawn and shaded: a generator with known truth that runs anywhere.

These are diagrams and not photographs of anyone: they serve to try a whole experiment, never as
evidence about real faces or trained networks.
"""

import numpy as np
import xarray as xr

from causalbias.datasets.release.drawing import SKIN
from causalbias.stimuli.generator import Generator

LATENTS = 32
ATTRIBUTES = ("age", "hair", "lighting", "pose", "skin_tone", "smiling")
SHAPES = ("width", "height", "eye_gap", "eye_size", "nose", "mouth", "brow", "hairline", "jaw")
TANGLE = 0.45  # cosine, in expectation, between any two attributes' weights
SOFT = 0.03  # width of an edge, in half pictures
CHUNK = 64
STREAM = 0xFACE


def schematic(rng: int = 0, *, side: int = 64) -> Generator:
    """The schematic face renderer: 32 latents, six attributes.

    Each attribute is a weighted sum of the latents, and so is each of nine shapes that make a
    face's identity. The attributes' weights are entangled: they overlap by a cosine of about 0.45,
    so that a step along one's weights moves the others. `schematic_truth` gives the weights.
    Controls add to an attribute directly.

    Parameters
    ----------
    rng : int
        Seed of the weights: each is a generator of its own.
    side : int, default 64
        Of the pictures, in pixels.

    Returns
    -------
    Generator
        With controls age, hair, lighting, pose, skin_tone, smiling, each in
        standard deviations over faces, drawn without change beyond -3 and 3.

    Examples
    --------
    >>> make = schematic()
    >>> make(np.zeros((2, 32)), smiling=np.array([-2.0, 2.0])).shape
    (2, 64, 64, 3)
    """
    weights = _weights(rng)

    def forward(latent: np.ndarray, controls: dict[str, np.ndarray]) -> np.ndarray:
        value = latent @ weights.T
        for name, added in controls.items():
            value[:, ATTRIBUTES.index(name)] += added
        starts = range(0, max(len(value), 1), CHUNK)
        return np.concatenate([_draw(value[at : at + CHUNK], side) for at in starts])

    return Generator(
        name="schematic",
        forward=forward,
        latents=LATENTS,
        controls=ATTRIBUTES,
        version=f"schematic 1, weights {rng}, side {side} (drawn; not photographs)",
    )


def schematic_truth(rng: int = 0) -> xr.DataArray:
    """True weights (attribute, feature) of the schematic generator's attributes, of length 1.

    Examples
    --------
    >>> float((schematic_truth() ** 2).sum("feature")[0].round(6))
    1.0
    """
    return xr.DataArray(
        _weights(rng)[: len(ATTRIBUTES)],
        coords={"attribute": list(ATTRIBUTES), "feature": np.arange(LATENTS)},
        dims=("attribute", "feature"),
        name="weight",
    )


def _weights(rng: int) -> np.ndarray:
    """Weights (attributes and shapes, latent), each of length 1."""
    # A stream apart: latents drawn by a user with the same seed must not resemble the weights.
    random = np.random.default_rng([rng, STREAM])
    common = random.normal(size=LATENTS)
    own = random.normal(size=(len(ATTRIBUTES) + len(SHAPES), LATENTS))
    share = np.where(np.arange(len(own)) < len(ATTRIBUTES), TANGLE, 0.0)[:, None]
    rows = np.sqrt(share) * common + np.sqrt(1 - share) * own
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _draw(value: np.ndarray, side: int) -> np.ndarray:
    """Pictures (face, side, side, 3), uint8, of attributes and shapes (face, 15) in sds."""
    drawn = np.clip(value, -3, 3) / 3
    age, hair, light, pose, skin, smile, *shape = drawn.T[:, :, None, None]
    width, height, gap, size, nose, mouth, brow, hairline, jaw = shape
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    half, tall = 0.58 + 0.1 * width, 0.76 + 0.08 * height
    across = x / (half * (1 + 0.25 * jaw * y))
    down = (y - 0.05) / tall
    radius = np.sqrt(across**2 + down**2)
    head = _edge(1 - radius)
    depth = np.sqrt(np.maximum(1 - radius**2, 0))
    shade = 0.72 + 0.28 * depth + 0.3 * light * across
    knots = np.linspace(-1, 1, len(SKIN))
    tone = np.stack([np.interp(skin, knots, channel) for channel in SKIN.T], axis=-1)
    picture = np.full((len(value), side, side, 3), 205.0)
    grey = np.broadcast_to(75 + 70 * age, head.shape)[..., None] * np.array([1.0, 0.93, 0.85])
    mane = _edge(1 - np.sqrt((x / (half + 0.14)) ** 2 + ((y + 0.05) / (tall + 0.12)) ** 2))
    picture = _over(picture, grey, mane * _edge(0.15 + 0.75 * hair - y))
    picture = _over(picture, tone * shade[..., None], head)
    fringe = head * _edge(-0.5 + 0.1 * hairline - 0.12 * age - down)
    picture = _over(picture, grey, fringe)
    # The turned face: features move sideways, those on the far side less.
    u, v = x - 0.26 * pose * np.sqrt(np.maximum(1 - (y / 1.1) ** 2, 0)), y
    apart, large = 0.24 + 0.05 * gap, 0.075 + 0.02 * size
    eyes = _edge(1 - np.hypot((np.abs(u) - apart) / large / 1.5, (v + 0.08) / large), 0.2)
    brows = _bar(np.abs(u) - apart, v + 0.25 + 0.05 * brow, 0.13, 0.025)
    ridge = _bar(u - 0.02, v - 0.14, 0.02, 0.13 + 0.04 * nose)
    wide = 0.2 + 0.05 * mouth
    curve = 0.45 + 0.3 * smile * (0.02 - u**2) / 0.2
    lips = _bar(u, v - curve, wide, 0.035)
    lines = _bar(u, v + 0.42, 0.3, 0.012) + _bar(u, v + 0.35, 0.26, 0.012)
    folds = _bar(np.abs(u) - 0.27, v - 0.3, 0.012, 0.12)
    for ink, mask in (
        (40.0, eyes),
        (60.0, brows),
        (110.0, 0.5 * ridge),
        ((150.0, 60.0, 60.0), lips),
        (80.0, 0.8 * np.maximum(age, 0) * (lines + folds)),
    ):
        picture = _over(picture, np.broadcast_to(ink, 3), mask * head * (1 - fringe))
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _edge(inside: np.ndarray, soft: float = SOFT) -> np.ndarray:
    """1 well inside a shape, 0 well outside, smooth between: no change of a control is a jump."""
    return 1 / (1 + np.exp(-np.clip(inside / soft, -40, 40)))


def _bar(u: np.ndarray, v: np.ndarray, wide: np.ndarray | float, high: np.ndarray | float):  # type: ignore[no-untyped-def]
    return _edge(wide - np.abs(u)) * _edge(high - np.abs(v), 0.012)


def _over(below: np.ndarray, colour: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return below + mask[..., None] * (colour - below)
