"""Read and write manifests: tables of images that any generator made."""

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from causalbias.arguments import flag_in
from causalbias.design.services import safe_path
from causalbias.errors import DataError, user_path
from causalbias.io.atomic import RUN_BY_SPREADSHEETS
from causalbias.io.memory import check_file
from causalbias.io.storage import replace_text
from causalbias.study.columns import labels, typed
from causalbias.study.reading import as_utf8, printable, separator_of
from causalbias.study.rows import Fault, blank, check_rows, repeated, sample
from causalbias.study.tables import check_columns

COLUMNS = ("image", "seed", "attribute", "level", "generator")


def read_manifest(path: str | Path, *, images: bool = True) -> pd.DataFrame:
    r"""Read a manifest of images and check every row.

    Parameters
    ----------
    path : str or Path
        A CSV file, or a JSON file with a list of objects. The columns are `image` (path relative to
        the manifest), `seed`, `attribute`, `level` (a number) and `generator` (name and version of
        the generator). Further columns are factors, such as race and gender, and are read as text.
    images : bool, default True
        Whether to check that every image exists.

    Returns
    -------
    DataFrame
        `stimulus` (path of the image without its ending, as in `embed`), the factors, `image` and
        `generator`, in the form of `stimuli` of `make_study`. Seeds are text.

    Raises
    ------
    DataError
        If rows are malformed. The error lists every row with too many values, a missing value, a
        level that is not a number, an image that does not exist, lies outside the folder or occurs
        twice, or a cell of the design that occurs twice.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "manifest.csv"
    >>> _ = file.write_text("image,seed,attribute,level,generator\n1_0.png,1,age,0,eg3d\n")
    >>> read_manifest(file, images=False)
      stimulus  seed attribute  level    image generator
    0      1_0     1       age    0.0  1_0.png      eg3d
    """
    flag_in(images, "images")
    path = user_path(path)
    frame, broken = _read(path)
    check_columns(frame, COLUMNS, file=path.name)
    number = pd.to_numeric(frame["level"], errors="coerce")
    factors = [str(name) for name in frame if name not in ("image", "generator", "stimulus")]
    faults: list[Fault] = [broken] + [
        (str(name), "the value is missing", blank(frame[name]), "fill it in") for name in frame
    ]
    not_number = ~np.isfinite(number.to_numpy(float)) & ~blank(frame["level"])
    outside = ~frame["image"].fillna(".").map(safe_path).to_numpy(bool)
    absent = _absent(frame["image"], path.parent) & ~outside if images else np.zeros_like(outside)
    faults += [
        (
            "level",
            f"{sample(frame['level'], not_number)} is not a number",
            not_number,
            "write a number",
        ),
        (
            "image",
            f"{sample(frame['image'], outside)} is not a path in the manifest's folder",
            outside,
            "give paths relative to the manifest",
        ),
        ("image", "the image occurs twice", repeated(frame, ["image"]), "keep one row per image"),
        (
            "image",
            f"{sample(frame['image'], absent)} does not exist",
            absent,
            "copy the image in, or remove the row",
        ),
        (
            " + ".join(factors),
            "the cell occurs twice",
            repeated(frame, factors),
            "add a column for what differs, or keep one",
        ),
    ]
    check_rows(faults, file=path.name)
    frame["level"] = number.astype(float)
    for name in factors:
        if name != "level":
            frame[name] = labels(frame[name], file=path.name)
    stem = frame["image"].str.replace(r"\.[^./]+$", "", regex=True)
    twice = stem.duplicated().to_numpy(bool)
    check_rows(
        [("image", f"another image is called {sample(stem, twice)} too", twice, "rename it")],
        file=path.name,
    )
    rest = frame[[*factors, "image", "generator"]]
    return pd.concat([stem.rename("stimulus"), rest], axis=1)


def write_manifest(faces: pd.DataFrame, path: str | Path) -> Path:
    """Write a manifest (CSV) that `read_manifest` can read.

    Parameters
    ----------
    faces : DataFrame
        Table with the columns of a manifest. `stimulus` is not written, as it follows from `image`.
    path : str or Path
        Path that ends in ``.csv``.

    Returns
    -------
    Path

    Raises
    ------
    DataError
        If a column is missing, or text would be run as a formula by a spreadsheet.
    """
    path = user_path(path)
    check_columns(faces, COLUMNS, file=path.name)
    rows = faces.drop(columns="stimulus", errors="ignore")
    texts = rows.select_dtypes(exclude="number").astype(str)
    for name in map(str, rows):
        if re.match(RUN_BY_SPREADSHEETS, name):
            raise DataError(
                "the column's name would be run as a formula",
                hint="rename it",
                file=path.name,
                column=name,
            )
    check_rows(
        [
            (str(name), f"{sample(texts[name], bad)} would be run as a formula", bad, "rename it")
            for name in texts
            if (bad := _runs(texts[name])).any()
        ],
        file=path.name,
    )
    replace_text(path, rows.to_csv(index=False, lineterminator="\n"))
    return path


def _runs(texts: pd.Series) -> np.ndarray:
    """Which texts a spreadsheet would run as formulas; negative numbers are not formulas."""
    formula = texts.str.match(RUN_BY_SPREADSHEETS).to_numpy(bool)
    return formula & pd.to_numeric(texts, errors="coerce").isna().to_numpy(bool)


def _read(path: Path) -> tuple[pd.DataFrame, Fault]:
    """Read the table as text with missing values; also return the malformed rows."""
    if not path.is_file():
        raise DataError("no such file", hint="check the path", file=str(path))
    check_file(path)
    try:
        text = as_utf8(path.read_bytes()).decode()
        is_json = path.suffix.lower() == ".json"
        frame, broken = _objects(text) if is_json else _lines(text, path)
    except (ValueError, OSError, RecursionError, csv.Error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"not a readable manifest ({printable(str(error))})",
            hint="save it as CSV in UTF-8, or as a JSON list of objects",
            file=path.name,
        ) from error
    if frame.empty:
        raise DataError("the table has no rows", hint="give one row per image", file=path.name)
    frame = pd.DataFrame({name: typed(frame[name], file=path.name) for name in frame})
    frame = frame.map(str, na_action="ignore")
    if "image" in frame:  # paths may be written with backslashes, as on Windows
        frame["image"] = frame["image"].str.replace("\\", "/", regex=False)
    return frame, broken


def _objects(text: str) -> tuple[pd.DataFrame, Fault]:
    rows = json.loads(text)
    if not isinstance(rows, list):
        raise ValueError("not a list of objects")
    others = np.array([not isinstance(row, dict) for row in rows], bool)
    frame = pd.DataFrame([row if isinstance(row, dict) else {} for row in rows], dtype=object)
    return frame, ("", "not an object", others, "write {} with the columns' names")


def _lines(text: str, path: Path) -> tuple[pd.DataFrame, Fault]:
    separator = separator_of(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    names = [name.strip() for name in next(reader, [])]
    rows = [row for row in reader if row]
    if not names:
        raise ValueError("the file is empty")
    for name in names:
        if names.count(name) > 1 or not name:
            raise DataError(
                "two columns have this name" if name else "a column without a name",
                hint="rename it, or remove it",
                file=path.name,
                column=printable(name),
            )
    long = np.array([len(row) > len(names) for row in rows], bool)
    width = len(names)
    rows = [row[:width] + [""] * (width - len(row)) for row in rows]
    frame = pd.DataFrame(rows, columns=names, dtype=str)
    return frame, ("", f"more values than the {width} columns", long, "put quotes round a comma")


def _absent(images: Sequence[str] | pd.Series, root: Path) -> np.ndarray:
    """Which images are not files under the root; links that lead out of it do not count."""
    home = root.resolve()
    there = {}
    for folder in {str(Path(str(one)).parent) for one in images}:
        place = (home / folder).resolve()
        inside = place.is_relative_to(home) and place.is_dir()
        there[folder] = (
            {
                one.name
                for one in place.iterdir()
                if one.is_file() and (not one.is_symlink() or one.resolve().is_relative_to(home))
            }
            if inside
            else set()
        )
    return np.array(
        [Path(str(one)).name not in there[str(Path(str(one)).parent)] for one in images], bool
    )
