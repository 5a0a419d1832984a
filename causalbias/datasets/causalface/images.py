"""The release's image trees: folders, or `data.zip`, which is read without unpacking it."""

import hashlib
import io
import os
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from causalbias.errors import DataError, user_path
from causalbias.study.reading import UNREADABLE, first_line, is_hidden

ARCHIVE = "data.zip"
MAX_IMAGE = 64 * 1024**2
MAX_MEMBERS = 5_000_000


@dataclass(frozen=True)
class ImageTree:
    """List of the renders, made without opening an image.

    Attributes
    ----------
    file : str
        Name of the archive, or of the folder, for errors and provenance.
    paths : Series of str
        Paths of the PNG files, with forward slashes, relative to root or archive.
    sizes : ndarray of int
        Sizes of the PNG files in bytes.
    others : int
        Number of files that are not PNG renders.
    sha256 : str
        Hash of names and sizes, and of the checksums in an archive, but not of the pixels.
    notes : list of (file, what, reason, count)
        What was left out.
    """

    file: str
    paths: pd.Series
    sizes: np.ndarray
    others: int
    sha256: str
    notes: list[tuple[str, str, str, int]]


def list_images(root: Path) -> ImageTree:
    """List the renders in the folders ``final_picked_*`` or, if there are none, in ``data.zip``.

    Raises
    ------
    DataError
        If there are no renders, the archive is damaged, a path leads out of the root, a file is
        empty or larger than 64 MiB, or a path occurs twice.
    """
    if not root.is_dir():
        raise DataError("no such directory", hint="check the path", file=str(root))
    folders = _image_root(root)
    archive = root / ARCHIVE
    if folders is not None:
        rows, file = _walk(folders, root), root.name
    elif archive.exists():
        rows, file = _members(archive), ARCHIVE
    else:
        raise DataError(
            f"the directory holds neither folders final_picked_* nor {ARCHIVE}",
            hint="give the directory into which the release was downloaded",
            file=str(root),
        )
    listing = pd.DataFrame(rows, columns=["path", "size", "checksum"]).sort_values("path")
    hidden = listing["path"].map(is_hidden).astype(bool)
    is_render = listing["path"].str.endswith(".png") & ~hidden
    renders = listing[is_render].reset_index(drop=True)
    _check_files(renders, file)
    notes = []
    if folders is not None and archive.exists():
        notes.append((ARCHIVE, "archives", "not read: the folders beside it were", 1))
    lines = pd.util.hash_pandas_object(renders, index=False).to_numpy().tobytes()
    return ImageTree(
        file=file,
        paths=renders["path"],
        sizes=renders["size"].to_numpy(),
        others=int((~is_render).sum()),
        sha256=hashlib.sha256(lines).hexdigest(),
        notes=notes,
    )


def open_image(root: str | Path, image: str) -> io.BytesIO:
    """Open one render of a release, from its folder or from ``data.zip``.

    Parameters
    ----------
    root : str or Path
        Directory, as given to `load_causalface`.
    image : str
        Value of `image` in ``/stimuli``.

    Returns
    -------
    BytesIO
        The PNG file, which ``PIL.Image.open`` and ``matplotlib.pyplot.imread`` accept.

    Raises
    ------
    DataError
        If the image does not exist, lies outside the root, is larger than 64 MiB or cannot be
        unpacked.
    """
    root = user_path(root)
    check_path(image, str(root))
    folders = _image_root(root)
    try:
        if folders is not None:
            path = root / image
            if not path.resolve().is_relative_to(root.resolve()):
                raise _climbs(image, str(root))
            with path.open("rb") as stream:
                content = stream.read(MAX_IMAGE + 1)
        else:
            with zipfile.ZipFile(root / ARCHIVE) as archive, archive.open(image) as stream:
                content = stream.read(MAX_IMAGE + 1)  # the header may state a false size
    except (KeyError, *UNREADABLE) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"cannot read {image!r} ({first_line(error)})", hint="fetch it again", file=str(root)
        ) from error
    if len(content) > MAX_IMAGE:
        raise _too_large(image, len(content), str(root))
    return io.BytesIO(content)


def _image_root(root: Path) -> Path | None:
    for folder in (root, root / "data"):
        if folder.is_dir() and any(folder.glob("final_picked_*/")):
            return folder
    return None


def _walk(folder: Path, root: Path) -> list[tuple[str, int, int]]:
    rows: list[tuple[str, int, int]] = []
    home = root.resolve()
    skipped = len(root.as_posix()) + 1
    todo = [path.as_posix() for path in folder.glob("final_picked_*/")]
    while todo:
        if not Path(todo[-1]).resolve().is_relative_to(home):
            raise _climbs(todo[-1][skipped:], root.name)
        with os.scandir(todo.pop()) as entries:
            for entry in entries:
                name = entry.path[skipped:].replace(os.sep, "/")
                if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(home):
                    raise _climbs(name, root.name)
                if entry.is_dir(follow_symlinks=False):
                    todo.append(entry.path)
                else:
                    rows.append((name, entry.stat().st_size, 0))
    return rows


def _members(path: Path) -> list[tuple[str, int, int]]:
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except UNREADABLE as error:
        raise DataError(
            f"not a readable archive ({first_line(error)})", hint="fetch it again", file=path.name
        ) from error
    if len(infos) > MAX_MEMBERS:
        raise DataError(
            f"the archive has {len(infos):,} members",
            hint="check that it is the archive of the release",
            file=path.name,
        )
    for info in infos:
        check_path(info.filename, path.name)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise DataError(
                f"{info.filename!r} is a link", hint="pack the file itself", file=path.name
            )
    return [(one.filename, one.file_size, one.CRC) for one in infos if not one.is_dir()]


def check_path(name: str, file: str) -> None:
    """Refuse a path that is absolute, leads to a parent, or differs between operating systems.

    Raises
    ------
    DataError
        If the path is refused.
    """
    if "\\" in name or "\0" in name or ":" in name.split("/")[0]:
        raise _climbs(name, file)
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise _climbs(name, file)


def _climbs(name: str, file: str) -> DataError:
    return DataError(
        f"the path {name!r} leads out of the root",
        hint="do not use this file; fetch the release again from its source",
        file=file,
    )


def _too_large(name: str, size: int, file: str) -> DataError:
    return DataError(
        f"{name!r} is {size / 1e6:,.0f} MB; a render is at most {MAX_IMAGE / 1e6:.0f} MB",
        hint="fetch it again",
        file=file,
    )


def _check_files(renders: pd.DataFrame, file: str) -> None:
    if renders.empty:
        raise DataError("no PNG files", hint="fetch the release again", file=file)
    twice = renders["path"].duplicated()
    if twice.any():
        raise DataError(
            f"{renders['path'][twice].iloc[0]!r} occurs twice", hint="keep one", file=file
        )
    empty = renders["size"] == 0
    if empty.any():
        more = f" ({int(empty.sum()) - 1:,} more like it)" if empty.sum() > 1 else ""
        raise DataError(
            f"the image {renders['path'][empty].iloc[0]!r} has 0 bytes{more}",
            hint="fetch it again, or delete it: a missing render is counted as such",
            file=file,
        )
    large = renders["size"] > MAX_IMAGE
    if large.any():
        first = renders[large].iloc[0]
        raise _too_large(str(first["path"]), int(first["size"]), file)
