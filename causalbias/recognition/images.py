"""Reading face images that are not trusted: each becomes pixels, or a status that says why not."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from causalbias.errors import DataError, user_path
from causalbias.study.tree import OK

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

# What is read, by Pillow's name of the format; AVIF only where this Pillow has it.
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
# Pictures that are not read: each is listed, and gets a status.
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
# How files begin: the format is known whatever the file is called.
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
# TIFF's tags: the picture is a reduced copy of another in the file; the file is a digital negative.
SUBFILE, DIGITAL_NEGATIVE = 254, 50706
MAX_BYTES = 64 * 1024**2
MAX_PIXELS = 64 * 10**6

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
    """Images below a folder, by name: the path below it, without an image's ending.

    An image is what is called like one, in capitals or not, or begins like one. Pictures that
    cannot be read are among them (HEIC, camera raw), since they are faces without an embedding.

    Raises
    ------
    DataError
        If there are none, two have one name, or a link leads out of the folder or nowhere.

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
    """Images below a folder, as `list_images` gives them, and the other files, left out."""
    root = user_path(folder)
    if not root.is_dir():
        raise DataError("no such directory", hint="check the path", file=str(folder))
    home = root.resolve()
    found: dict[str, Path] = {}
    others = []
    for path in sorted(root.rglob("*")):
        below = path.relative_to(root)
        # What macOS writes beside files (._a.jpg) is called like an image, and is none.
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
    """Whether a file that is not called like an image is one; links are not followed."""
    if path.is_symlink():
        return False
    try:
        with path.open("rb") as stream:
            return bool(format_of(stream.read(32)))
    except OSError:
        return False


def format_of(content: bytes) -> str:
    """The format of an image by how it begins, or "".

    Examples
    --------
    >>> format_of(b"GIF89a..."), format_of(b"stimulus,seed")
    ('GIF', '')
    """
    known = (name for at, start, name in BEGINNINGS if content[at : at + len(start)] == start)
    return next(known, "")


def read_image(path: Path) -> bytes:
    """The bytes of an image file, as many as `decode` takes and one more.

    Raises
    ------
    DataError
        If the system does not let it be read.
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


def decode(content: bytes) -> Decoded:
    """Pixels of an image file's bytes, upright and in RGB.

    A grey image becomes three equal channels and is noted, as are transparency (what lies beneath
    is taken), CMYK (converted without its colour profile) and files of several pictures (the
    first is taken). One whose pixels are all equal has the status "blank image". Anything else
    that cannot be shown as 8-bit RGB is unreadable, and the note says what it is.
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
        # Pillow warns of large images and of odd metadata: neither is about the pixels.
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(io.BytesIO(content), formats=readable) as image,
        ):
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
    except Exception as error:  # Pillow's plugins raise nearly anything on broken files
        return Decoded(None, UNREADABLE, f"{type(error).__name__}: {error}"[:200])
    if (pixels == pixels[0, 0]).all():
        return Decoded(None, BLANK)
    if (pixels == pixels[..., :1]).all():
        notes.append("grey image")
    return Decoded(pixels, note="; ".join(notes))


def _problem(image: "Picture", content: bytes) -> str:
    """Why a picture that Pillow opens must not be taken for the photograph."""
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
    """Pixels (height, width, 3), upright, and what is to be noted of them."""
    from PIL import ImageOps

    notes = []
    # Two pictures in a photograph of two (MPO) are one, and a preview or a map of depth.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        notes.append("the first of several pictures in the file")
    if image.mode == "CMYK":
        notes.append("CMYK, without its colour profile")
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data and np.asarray(upright.convert("RGBA"))[..., 3].min() < 255:
        notes.append("transparency ignored")
    return np.asarray(upright.convert("RGB")), notes


def resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pixels (h, w, 3), uint8, at (height, width), by bilinear interpolation with antialiasing."""
    from PIL import Image

    height, width = size
    if pixels.shape[:2] == (height, width):
        return pixels
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
