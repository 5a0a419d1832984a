"""Tables of scores from files of any usual kind, with ids as they were written."""

import importlib.util
import zipfile
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from causalbias.errors import DataError, user_path
from causalbias.io.memory import check_file
from causalbias.study.columns import typed
from causalbias.study.reading import first_line, is_hidden, read_table

EXCEL = (".xlsx", ".xlsm")
KINDS = (".csv", ".tsv", ".parquet", *EXCEL)
TEXTS = ("README", "LICEN", "CITATION", "CHANGE")  # about a folder
MOST_NAMED = 6


def tables_of(path: str | Path) -> list[Path]:
    """Return the file of a table, or all tables of a folder in the order of their names.

    Raises
    ------
    DataError
        If there is no table in the folder.
    """
    path = user_path(path)
    if not path.is_dir():
        return [path]
    found = sorted(
        one for one in path.iterdir() if one.suffix.lower() in KINDS and not is_hidden(one.name)
    )
    if not found:
        raise DataError(
            "no table is in this folder",
            hint=_folders_with(path) or f"give a folder of {', '.join(KINDS)}",
            file=path.name,
        )
    return found


def _folders_with(path: Path) -> str:
    """What to write where folders in the folder hold tables; "" if none does."""
    below = sorted(one for one in path.iterdir() if one.is_dir() and not is_hidden(one.name))
    found = [
        one.name
        for one in below
        if any(file.suffix.lower() in KINDS for file in one.iterdir() if not is_hidden(file.name))
    ]
    if not found:
        return ""
    shown = ", ".join(found[:MOST_NAMED]) + (", ..." if len(found) > MOST_NAMED else "")
    return f"give one of its folders that hold tables: {shown}"


def not_read(data: object) -> list[str]:
    """A sentence on the files and folders in folders of tables that are no tables of these kinds.

    What explains the folder, such as README.md, is not listed.
    """
    paths = (
        [data] if isinstance(data, str | Path) else data if isinstance(data, list | tuple) else []
    )
    folders = [one for one in map(user_path, paths) if one.is_dir()]
    left = [
        one.name + ("/" if one.is_dir() else "")
        for folder in folders
        for one in sorted(folder.iterdir())
        if (one.is_dir() or one.suffix.lower() not in KINDS)
        and not is_hidden(one.name)
        and not one.stem.upper().startswith(TEXTS)
    ]
    if not left:
        return []
    shown = ", ".join(left[:MOST_NAMED]) + (" and more" if len(left) > MOST_NAMED else "")
    return [f"Not read of the folder, as only {', '.join(KINDS)} files in it are: {shown}."]


def read_any(path: str | Path, text: Collection[str] = ()) -> pd.DataFrame:
    """Read a CSV, TSV, Parquet, ``.zip`` or Excel file.

    Parameters
    ----------
    path : path
    text : collection of str
        Columns that are text whatever is in them.

    Raises
    ------
    DataError
        As `read_table`; of an Excel file also if openpyxl is not installed, or several sheets hold
        something.
    """
    path = user_path(path)
    if path.suffix.lower() in EXCEL and path.is_file():
        return _read_excel(path)
    return read_table(path, text=text)


def with_text(frame: pd.DataFrame, path: Path, columns: Collection[str]) -> pd.DataFrame:
    """The table read again where ids were taken for numbers or truths, and lost how they look."""
    changed = [
        name
        for name in columns
        if not pd.api.types.is_integer_dtype(frame[name])
        and (pd.api.types.is_numeric_dtype(frame[name]) or pd.api.types.is_bool_dtype(frame[name]))
    ]
    if not changed or path.suffix.lower() in (*EXCEL, ".parquet"):
        return frame
    return read_any(path, text=changed)


def _read_excel(path: Path) -> pd.DataFrame:
    """The only sheet with cells in it; numbers are those of the cells, whatever their format."""
    if importlib.util.find_spec("openpyxl") is None:
        raise DataError(
            "an Excel file needs the package openpyxl",
            hint="pip install 'causalbias[excel]', or save the table as CSV",
            file=path.name,
        )
    check_file(path, times=50)  # a packed table of cells, each an object
    try:
        sheets = pd.read_excel(path, sheet_name=None, dtype=object, engine="openpyxl")
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(
            f"not a readable Excel file ({first_line(error)})",
            hint="save it again, or as CSV",
            file=path.name,
        ) from error
    sheets = {name: one for name, one in sheets.items() if not one.empty}
    if len(sheets) != 1:
        raise DataError(
            f"{len(sheets)} sheets hold rows ({', '.join(map(str, sheets)) or 'none'})",
            hint="keep the table of scores in the only sheet",
            file=path.name,
        )
    frame = next(iter(sheets.values()))
    frame.columns = pd.Index([str(name).strip() for name in frame.columns])
    return pd.DataFrame({name: typed(frame[name], file=path.name) for name in frame})
