"""Reading face images that are not trusted: each becomes pixels, or a status that says why not."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from causalbias.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
MODES = ("RGB", "RGBA", "L", "LA", "P", "PA", "1", "CMYK", "YCbCr")
TRANSPARENT = ("RGBA", "LA", "PA")
MAX_BYTES = 64 * 1024**2
MAX_PIXELS = 64 * 10**6

OK = "ok"
UNREADABLE = "unreadable image"
TOO_LARGE = "image too large"
BLANK = "blank image"


@dataclass(frozen=True)
class Decoded:
    """Pixels (height, width, 3), uint8 RGB, or None; a status; and what was noted."""

    pixels: np.ndarray | None
    status: str = OK
    note: str = ""


def list_images(folder: str | Path) -> dict[str, Path]:
    """Images below a folder, by name: the path below it, without its ending.

    Raises
    ------
    DataError
        If there are none, two have one name, or a link leads out of the folder.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> root = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (root / "1320_age_0.jpg").write_bytes(b""), (root / "notes.txt").write_text("")
    >>> list(list_images(root))
    ['1320_age_0']
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError("no such directory", mend="check the path", file=str(root))
    home = root.resolve()
    found: dict[str, Path] = {}
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        if not path.resolve().is_relative_to(home):
            raise DataError(
                f"the link {path.name!r} leads out of the directory",
                mend="copy the image in",
                file=str(root),
            )
        name = path.relative_to(root).with_suffix("").as_posix()
        if name in found:
            raise DataError(
                f"{found[name].name!r} and {path.name!r} have one name",
                mend="rename one",
                file=str(root),
            )
        found[name] = path
    if not found:
        raise DataError(
            f"no images ({', '.join(SUFFIXES)})", mend="give the images' folder", file=str(root)
        )
    return found


def read_image(path: Path) -> bytes:
    """The bytes of an image file, as many as `decode` takes and one more."""
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


def decode(content: bytes) -> Decoded:
    """Pixels of an image file's bytes, upright and in RGB.

    A grey image becomes three equal channels and is noted, as is transparency; one whose pixels are
    all equal has the status "blank image". Anything else that cannot be shown as 8-bit RGB is
    unreadable.
    """
    from PIL import Image, ImageOps

    if len(content) > MAX_BYTES:
        return Decoded(None, TOO_LARGE)
    try:
        with (
            warnings.catch_warnings(
                action="ignore",  # Pillow's own warning of large images
                category=Image.DecompressionBombWarning,
            ),
            Image.open(io.BytesIO(content), formats=FORMATS) as image,
        ):
            if image.width * image.height > MAX_PIXELS:
                return Decoded(None, TOO_LARGE)
            if image.mode not in MODES:
                return Decoded(None, UNREADABLE, f"pixel format {image.mode}")
            notes = ["transparency ignored"] if image.mode in TRANSPARENT else []
            pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except Image.DecompressionBombError:
        return Decoded(None, TOO_LARGE)
    except Exception as error:  # Pillow's plugins raise nearly anything on broken files
        return Decoded(None, UNREADABLE, type(error).__name__)
    if (pixels == pixels[0, 0]).all():
        return Decoded(None, BLANK)
    if (pixels == pixels[..., :1]).all():
        notes.append("grey image")
    return Decoded(pixels, note="; ".join(notes))


def resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pixels (h, w, 3), uint8, at (height, width), by bilinear interpolation with antialiasing."""
    from PIL import Image

    height, width = size
    if pixels.shape[:2] == (height, width):
        return pixels
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
