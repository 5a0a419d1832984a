"""Read untrusted image files: each gives pixels, or a status with the reason why not."""

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from causalbias.errors import DataError, user_path
from causalbias.study.tree import OK

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

# Endings of the formats that are read, by Pillow's names; AVIF only if this Pillow supports it.
FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "AVIF", "BMP", "DIB", "TIFF", "JPEG2000", "PPM")
READ = (
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".jif",
    ".mpo",
    ".png",
    ".apng",
    ".gif",
    ".webp",
    ".avif",
    ".bmp",
    ".dib",
    ".tif",
    ".tiff",
    ".jp2",
    ".j2k",
    ".jpf",
    ".jpx",
    ".j2c",
    ".jpc",
    ".ppm",
    ".pgm",
    ".pbm",
    ".pnm",
)
# Formats of pictures that cannot be read: such files are listed and get a status.
NOT_READ = (
    ".heic",
    ".heif",
    ".hif",
    ".jxl",
    ".jxr",
    ".psd",
    ".tga",
    ".exr",
    ".hdr",
    ".raw",
    ".dng",
    ".cr2",
    ".cr3",
    ".crw",
    ".nef",
    ".nrw",
    ".arw",
    ".srf",
    ".sr2",
    ".orf",
    ".rw2",
    ".raf",
    ".pef",
    ".srw",
    ".x3f",
    ".3fr",
    ".iiq",
    ".rwl",
)
SUFFIXES = READ + NOT_READ
# First bytes of files, which identify the format independently of the file's name.
BEGINNINGS = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (8, b"WEBP", "WebP"),
    (4, b"ftypavi", "AVIF"),
    (8, b"CR\x02\0", "camera raw"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (0, b"\xffO\xffQ", "JPEG 2000"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftyphev", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftypmsf1", "HEIC"),
    (4, b"ftypcrx", "camera raw"),
    (0, b"FUJIFILMCCD-RAW", "camera raw"),
    (0, b"IIRO", "camera raw"),
    (0, b"IIU\0", "camera raw"),
    (0, b"\xff\x0a\xfa", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (0, b"8BPS\0\x01", "PSD"),
)
MODES = ("RGB", "RGBA", "L", "LA", "P", "PA", "1", "CMYK", "YCbCr")
# Tags of TIFF: the picture is a reduced copy of another in the file; the file is camera raw (DNG).
SUBFILE, DIGITAL_NEGATIVE = 254, 50706
MAX_BYTES = 64 * 1024**2
MAX_PIXELS = 64 * 10**6

UNREADABLE = "unreadable image"
TOO_LARGE = "image too large"
BLANK = "blank image"


@dataclass(frozen=True)
class Decoded:
    """Pixels (height, width, 3), uint8 RGB, or None; a status; a note; what a detector found.

    `faces` and `confidence`, that of the face taken, are NaN if no detector was run, and
    `confidence` also if there was no face.
    """

    pixels: np.ndarray | None
    status: str = OK
    note: str = ""
    faces: float = math.nan
    confidence: float = math.nan


def list_images(folder: str | Path) -> dict[str, Path]:
    """List the images below a folder by name, which is the path below it without the ending.

    A file is an image if its ending or its first bytes are those of an image format. Images that
    cannot be read (HEIC, camera raw) are included, since they are faces without an embedding.

    Raises
    ------
    DataError
        If there are no images, two have the same name, or a link is broken or leads out of the
        folder.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> root = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (root / "1320_age_0.JPG").write_bytes(b""), (root / "notes.txt").write_text("")
    >>> list(list_images(root))
    ['1320_age_0']
    """
    return list_files(folder)[0]


def list_files(folder: str | Path) -> tuple[dict[str, Path], list[Path]]:
    """List the images below a folder as `list_images` does, and the other files."""
    root = user_path(folder)
    if not root.is_dir():
        raise DataError("no such directory", hint="check the path", file=str(folder))
    home = root.resolve()
    found: dict[str, Path] = {}
    others = []
    for path in sorted(root.rglob("*")):
        below = path.relative_to(root)
        # The hidden files of macOS (._a.jpg) have the ending of an image, but are not images.
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in below.parts)
        named = path.suffix.lower() in SUFFIXES and not hidden
        if path.is_symlink() and (named or path.is_dir()):
            _check_link(path, home)
        if path.is_dir() and not path.is_symlink():
            continue
        if not path.is_file() or not (named or (not hidden and _begins_as_image(path))):
            others.append(path)
            continue
        name = (below.with_suffix("") if named else below).as_posix()
        _check_name(name, path, found, root)
        found[name] = path
    if not found:
        raise DataError(
            f"no images ({', '.join(READ)})", hint="give the images' folder", file=str(root)
        )
    return found, others


def _check_link(path: Path, home: Path) -> None:
    if not path.resolve().is_relative_to(home):
        raise DataError(
            f"the link {path.name!r} leads out of the directory",
            hint="copy the image in",
            file=str(home),
        )
    if not path.exists():
        raise DataError(
            f"the link {path.name!r} leads nowhere", hint="copy the image in", file=str(home)
        )


def _check_name(name: str, path: Path, found: dict[str, Path], root: Path) -> None:
    if name in found:
        raise DataError(
            f"{found[name].name!r} and {path.name!r} have one name",
            hint="rename one",
            file=str(root),
        )
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{path.name!r} has a name that is not UTF-8", hint="rename it", file=str(root)
        ) from error


def _begins_as_image(path: Path) -> bool:
    """Whether a file begins like an image; links are not followed."""
    if path.is_symlink():
        return False
    try:
        with path.open("rb") as stream:
            return bool(format_of(stream.read(32)))
    except OSError:
        return False


def format_of(content: bytes) -> str:
    """Return the format of an image by its first bytes, or "" if they are unknown.

    Examples
    --------
    >>> format_of(b"GIF89a..."), format_of(b"stimulus,seed")
    ('GIF', '')
    """
    known = (name for at, start, name in BEGINNINGS if content[at : at + len(start)] == start)
    return next(known, "")


def read_image(path: Path) -> bytes:
    """Read the bytes of an image file, at most one more than `decode` accepts.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(
            f"the image cannot be read ({error.strerror or type(error).__name__})",
            hint="check the path and the file's permissions",
            file=str(path),
        ) from error


@contextmanager
def without_warnings() -> Iterator[None]:
    """Ignore the warnings of `decode_with_warnings`, of large images and of unusual metadata.

    They do not affect the pixels. Filters of warnings are the process's: where images are decoded
    in threads, this is entered once in the thread that waits for them.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.|causalbias\.recognition\.images")
        yield


def decode(content: bytes) -> Decoded:
    """Decode the bytes of an image file as `decode_with_warnings` does, without its warnings."""
    with without_warnings():
        return decode_with_warnings(content)


def decode_with_warnings(content: bytes) -> Decoded:
    """Decode the bytes of an image file to upright RGB pixels.

    The note of the result states conversions: a grey image gets three equal channels; of an image
    with transparency, the colours beneath are used; CMYK is converted without its colour profile;
    of a file with several pictures, the first is used. An image whose pixels are all equal has the
    status "blank image". An image that cannot be converted to 8-bit RGB has the status "unreadable
    image", and the note gives the reason.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise DataError(
            "Pillow is not installed", hint="pip install 'causalbias[recognition]'"
        ) from error
    if len(content) > MAX_BYTES:
        return Decoded(None, TOO_LARGE)
    Image.init()
    readable = [name for name in FORMATS if name in Image.OPEN]
    try:
        with Image.open(io.BytesIO(content), formats=readable) as image:
            if image.width * image.height > MAX_PIXELS:
                return Decoded(None, TOO_LARGE)
            problem = _problem(image, content)
            if problem:
                return Decoded(None, UNREADABLE, problem)
            pixels, notes = _pixels(image)
    except Image.DecompressionBombError:
        return Decoded(None, TOO_LARGE)
    except UnidentifiedImageError:
        kind = format_of(content)
        return Decoded(None, UNREADABLE, f"{kind or 'its format'} cannot be read")
    except Exception as error:  # Pillow's plugins raise errors of many types on damaged files
        return Decoded(None, UNREADABLE, f"{type(error).__name__}: {error}"[:200])
    if (pixels == pixels[0, 0]).all():
        return Decoded(None, BLANK)
    if (pixels == pixels[..., :1]).all():
        notes.append("grey image")
    return Decoded(pixels, note="; ".join(notes))


def _problem(image: "Picture", content: bytes) -> str:
    """Return the reason why a picture that Pillow opens cannot be used, or ""."""
    tags: Any = getattr(image, "tag_v2", {})
    if (
        DIGITAL_NEGATIVE in tags
        or format_of(content) == "camera raw"
        or (image.format == "TIFF" and int(tags.get(SUBFILE, 0)) & 1)
    ):
        return "camera raw cannot be read, only its thumbnail"
    if image.mode not in MODES:
        return f"pixel format {image.mode} cannot be read as 8-bit RGB"
    return ""


def _pixels(image: "Picture") -> tuple[np.ndarray, list[str]]:
    """Return the upright pixels (height, width, 3), and notes on conversions."""
    from PIL import ImageOps

    notes = []
    # The second picture of an MPO file is a preview or a depth map of the first.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        notes.append("the first of several pictures in the file")
    if image.mode == "CMYK":
        notes.append("CMYK, without its colour profile")
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data and np.asarray(upright.convert("RGBA"))[..., 3].min() < 255:
        notes.append("transparency ignored")
    return np.asarray(upright.convert("RGB")), notes


def resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize pixels (h, w, 3), uint8, to (height, width), bilinear with antialiasing."""
    from PIL import Image

    height, width = size
    if pixels.shape[:2] == (height, width):
        return pixels
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
