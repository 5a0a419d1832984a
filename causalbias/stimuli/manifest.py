"""Folders of finished images with a manifest: how faces of any published generator come in."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from causalbias.datasets.reading import printable
from causalbias.errors import DataError
from causalbias.stimuli.rows import Fault, blank, check_rows, repeated, sample
from causalbias.stimuli.services import FORMULA, safe_path
from causalbias.storage import replace_text
from causalbias.study.tables import check_columns

COLUMNS = ("image", "seed", "attribute", "level", "generator")
MAX_BYTES = 512 * 1024**2


def read_manifest(path: str | Path, *, images: bool = True) -> pd.DataFrame:
    r"""Read a manifest of images, checking every row.

    Parameters
    ----------
    path : path of a CSV, or of a JSON file (a list of objects)
        Columns `image` (path relative to the manifest), `seed`, `attribute`, `level` (a number),
        `generator` (what made the image, and its version). Further columns are factors, such as
        race and gender, taken as text.
    images : bool, default True
        Check that every image is there.

    Returns
    -------
    DataFrame
        `stimulus` (the image's path without its ending, as `embed` calls it), the factors, `image`,
        `generator`: the `stimuli` of `make_study`. Seeds are numbers where all of them are.

    Raises
    ------
    DataError
        Naming every malformed row: a missing value, a level that is no number, an image that is
        missing, outside the folder, or named twice, a cell of the design that occurs twice.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "manifest.csv"
    >>> _ = file.write_text("image,seed,attribute,level,generator\n1_0.png,1,age,0,eg3d\n")
    >>> read_manifest(file, images=False)
      stimulus  seed attribute  level    image generator
    0      1_0     1       age    0.0  1_0.png      eg3d
    """
    path = Path(path)
    frame = _read(path)
    check_columns(frame, COLUMNS, file=path.name)
    number = pd.to_numeric(frame["level"], errors="coerce")
    factors = [str(name) for name in frame if name not in ("image", "generator", "stimulus")]
    faults: list[Fault] = [
        (str(name), "the value is missing", blank(frame[name]), "fill it in") for name in frame
    ]
    not_number = ~np.isfinite(number.to_numpy(float)) & ~blank(frame["level"])
    outside = ~frame["image"].fillna(".").map(safe_path).to_numpy(bool)
    absent = _absent(frame["image"], path.parent) & ~outside if images else np.zeros_like(outside)
    faults += [
        ("level", f"{sample(frame['level'], not_number)} is not a number", not_number,
         "write a number"),
        ("image", f"{sample(frame['image'], outside)} is not a path in the manifest's folder",
         outside, "give paths relative to the manifest"),
        ("image", "the image is named twice", repeated(frame, ["image"]), "keep one row an image"),
        ("image", f"{sample(frame['image'], absent)} is not there", absent,
         "copy the image in, or remove the row"),
        (" + ".join(factors), "the cell occurs twice", repeated(frame, factors),
         "add a column for what differs, or keep one"),
    ]  # fmt: skip
    check_rows(faults, file=path.name)
    frame["level"] = number.astype(float)
    if frame["seed"].str.fullmatch(r"0|[1-9][0-9]{0,17}").all():
        frame["seed"] = frame["seed"].astype(np.int64)
    stem = frame["image"].str.replace(r"\.[^./]+$", "", regex=True)
    twice = stem.duplicated().to_numpy(bool)
    check_rows(
        [("image", f"another image is called {sample(stem, twice)} too", twice, "rename it")],
        file=path.name,
    )
    rest = frame[[*factors, "image", "generator"]]
    return pd.concat([stem.rename("stimulus"), rest], axis=1)


def write_manifest(faces: pd.DataFrame, path: str | Path) -> Path:
    """Write a manifest (CSV) that `read_manifest` reads.

    Parameters
    ----------
    faces : DataFrame
        With the columns of a manifest; `stimulus` is left out, as it follows from `image`.
    path : path ending in ``.csv``

    Returns
    -------
    Path

    Raises
    ------
    DataError
        If a column is missing, or text would be run as a formula by a spreadsheet.
    """
    path = Path(path)
    check_columns(faces, COLUMNS, file=path.name)
    rows = faces.drop(columns="stimulus", errors="ignore")
    texts = rows.select_dtypes(exclude="number").astype(str)
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
    """Which texts a spreadsheet would run: a negative number is none."""
    formula = texts.str.match(FORMULA).to_numpy(bool)
    return formula & pd.to_numeric(texts, errors="coerce").isna().to_numpy(bool)


def _read(path: Path) -> pd.DataFrame:
    """The table as text; a missing value is missing."""
    if not path.is_file():
        raise DataError("no such file", mend="check the path", file=str(path))
    if path.stat().st_size > MAX_BYTES:
        raise DataError("over 512 MiB", mend="check that it is a manifest", file=path.name)
    try:
        if path.suffix == ".json":
            rows = json.loads(path.read_text(encoding="utf-8"))
            if not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
                raise ValueError("not a list of objects")
            frame = pd.DataFrame(rows)
            frame = frame.map(str).where(frame.notna()) if len(frame) else frame
        else:
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
    except (ValueError, OSError, RecursionError) as error:
        raise DataError(
            f"not a readable manifest ({printable(str(error))})",
            mend="save it as CSV in UTF-8, or as a JSON list of objects",
            file=path.name,
        ) from error
    if frame.empty:
        raise DataError("no rows", mend="give a row an image", file=path.name)
    return frame


def _absent(images: Sequence[str] | pd.Series, root: Path) -> np.ndarray:
    """Which images are no files under the root, links out of it included."""
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
