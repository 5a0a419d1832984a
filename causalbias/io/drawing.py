"""Small drawn faces, and PNG files of them."""

import struct
import zlib

import numpy as np

SIDE = 32
SKIN = np.array([[255, 224, 196], [236, 188, 140], [198, 140, 96], [122, 78, 50]], dtype=float)


def draw_faces(skin: np.ndarray, hair: np.ndarray, moved: dict[str, np.ndarray]) -> np.ndarray:
    """Draw faces: an oval with hair, eyes and a mouth.

    Parameters
    ----------
    skin : ndarray (face,)
        Skin tone, from 0 (light) to 1 (dark).
    hair : ndarray (face,)
        Length of the hair, from 0 to 1.
    moved : dict of str to ndarray (face,)
        Change of each attribute from its reference level, from -1 to 1: "pose" turns the face,
        "smiling" bends the mouth, "age" greys the hair, "lighting" brightens the image; other
        attributes are not drawn.

    Returns
    -------
    ndarray of uint8 (face, 32, 32, 3)
        RGB images.
    """
    n = len(skin)
    pose, smile, age, light = (
        moved.get(name, np.zeros(n))[:, None, None]
        for name in ("pose", "smiling", "age", "lighting")
    )
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j][:, None]
    tone = np.stack([np.interp(skin, np.linspace(0, 1, len(SKIN)), c) for c in SKIN.T], axis=-1)
    picture = np.full((n, SIDE, SIDE, 3), 210.0)
    head = (x / 0.62) ** 2 + (y / 0.8) ** 2 < 1
    top = (x / 0.7) ** 2 + ((y + 0.1) / 0.85) ** 2 < 1
    long_hair = top & (y < -0.45 + hair[:, None, None])
    grey = np.broadcast_to(40 + 90 * (age + 1) / 2, long_hair.shape)
    picture[long_hair] = grey[long_hair][:, None]
    face = np.broadcast_to(head & (y > -0.45), long_hair.shape)
    picture = np.where(face[..., None], tone[:, None, None], picture)
    turned = x - 0.3 * pose
    eyes = (np.abs(np.abs(turned) - 0.24) < 0.08) & (np.abs(y + 0.12) < 0.06)
    bend = 0.42 + 0.25 * smile * (0.06 - turned**2) / 0.06
    mouth = (np.abs(turned) < 0.25) & (np.abs(y - bend) < 0.05)
    picture[(eyes | mouth) & face] = 30.0
    return np.clip(picture * (1 + 0.35 * light[..., None]), 0, 255).astype(np.uint8)


def png(picture: np.ndarray) -> bytes:
    """Encode an RGB picture, uint8 (height, width, 3), as a PNG file (ISO/IEC 15948).

    Examples
    --------
    >>> png(np.zeros((2, 2, 3), np.uint8))[1:4]
    b'PNG'
    """
    height, width, _ = picture.shape
    lines = np.zeros((height, 1 + 3 * width), np.uint8)  # each begins with its filter type, 0
    lines[:, 1:] = picture.reshape(height, -1)

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(lines.tobytes(), 1)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(kind, content)
        for kind, content in ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    )
