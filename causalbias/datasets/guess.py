"""Which layout a folder or file of data has, by what is in it."""

from collections.abc import Sequence
from pathlib import Path

from causalbias.datasets.scores.tables import KINDS
from causalbias.datasets.tidy import SUFFIXES, TABLES
from causalbias.errors import DataError
from causalbias.study.reading import as_utf8, csv_files, is_hidden

IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
RATINGS = ("attribute_ratings.zip", "attribute_ratings.csv")
OMI_COLUMNS = {b"anon_id", b"condition", b"stimulus_level"}
OF_ANSWERS = "of people's answers: causalbias ratings, alignment, memory or human-machine"
DEEPEST = 2  # folders below, in which photographs are looked for


def layout_of(path: Path) -> str:
    """Say which layout of `load` a folder or file has.

    Parameters
    ----------
    path : Path

    Returns
    -------
    str
        "causalface", "omi", "omi-ratings" or "tidy".

    Raises
    ------
    DataError
        If it has none of these. The hint names the command for tables of scores and for folders of
        photographs.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> root = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (root / "validation_artificial.csv").write_text("anon_id,condition,stimulus_level")
    >>> layout_of(root)
    'omi'
    """
    if not path.exists():
        raise DataError("no such file or folder", hint="check the path", file=str(path))
    if path.is_file():
        return _of_file(path)
    names = {one.name for one in path.iterdir() if not is_hidden(one.name)}
    if "data.zip" in names or _has_renders(path):
        return "causalface"
    if any(name.startswith("validation_") and name.endswith(".csv") for name in names):
        return "omi"
    if names & set(RATINGS):
        return "omi-ratings"
    if any(Path(name).stem in TABLES and Path(name).suffix in SUFFIXES for name in names):
        return "tidy"
    if photo := _photograph(path):
        raise DataError(
            f"a folder of images, such as {photo.name!r}, which no experiment describes",
            hint="for error rates by group: causalbias photos FOLDER --names "
            "'{person}_{race}_{gender}_{n}'",
            file=str(path),
        )
    if tables := csv_files(path):
        raise DataError(
            f"a folder of tables, such as {tables[0].name!r}, of no known data set",
            hint=f"of comparison scores: causalbias rates {path} --fmr 0.01; {OF_ANSWERS}; "
            "of another layout: --dataset",
            file=str(path),
        )
    folders = sorted(name for name in names if (path / name).is_dir())
    raise DataError(
        f"a folder of folders ({_some(folders)}), of no known data set"
        if folders
        else "neither a known data set nor images nor tables",
        hint="give the folder that holds the data itself, or say which layout it has: --dataset"
        if folders
        else "check the path, or say which layout it has: --dataset",
        file=str(path),
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


def _has_renders(path: Path) -> bool:
    """Whether there are the folders of a CausalFace release."""
    return any(any(root.glob("final_picked_*/")) for root in (path, path / "data"))


def _of_file(path: Path) -> str:
    """The layout of a single file."""
    if path.name in RATINGS:
        return "omi-ratings"
    if path.suffix.lower() == ".csv":
        with path.open("rb") as stream:
            header = as_utf8(stream.read(4096)).splitlines()[:1]
        cells = {cell.strip(b' "') for line in header for cell in line.split(b",")}
        if cells >= OMI_COLUMNS:
            return "omi"
    if path.suffix.lower() in KINDS:
        raise DataError(
            "a table that is no experiment",
            hint=f"of comparison scores, for error rates by group: causalbias rates {path.name}; "
            f"{OF_ANSWERS}",
            file=path.name,
        )
    raise DataError(
        "not a known kind of file",
        hint="give a folder of data, a saved study (.nc, .zarr), or say its layout: --dataset",
        file=path.name,
    )


def _photograph(path: Path, depth: int = 0) -> Path | None:
    """Some image in a folder, or below it."""
    entries = sorted(one for one in path.iterdir() if not is_hidden(one.name))
    for one in entries:
        if one.is_file() and one.suffix.lower() in IMAGES:
            return one
    folders = [one for one in entries if one.is_dir()] if depth < DEEPEST else []
    return next((found for one in folders if (found := _photograph(one, depth + 1))), None)
