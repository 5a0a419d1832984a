"""Read tables and arrays from untrusted files; every failure raises one DataError."""

import codecs
import csv
import io
import lzma
import math
import re
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from causalbias.errors import DataError, at_first
from causalbias.io.memory import MAX_UNPACKED, TEXT_TIMES, check_file, check_memory
from causalbias.study.columns import (
    EXACT,
    MISSING_TEXTS,
    SPREADSHEET_ERRORS,
    is_number,
    labels,
    typed,
)
from causalbias.study.tables import named_columns, with_index

# RuntimeError: an encrypted archive, or one packed by a method that is not known.
UNREADABLE = (
    ValueError,
    OSError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    csv.Error,
)
# What NumPy raises on headers that claim impossible arrays.
IMPOSSIBLE = (KeyError, TypeError, SyntaxError, MemoryError, OverflowError, tokenize.TokenError)
MAX_HEADER = 2**20
BLANK = re.compile(rb"\A(?:[ \t,;]*(?:\r\n|\n|\r))+")  # empty lines at the top
SHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")
UNPACK = "unpack it, or pack the CSV file as .zip"
# First bytes of files that are no text, whatever their ending says.
OTHER_KINDS = {
    b"\x1f\x8b": ("packed by gzip", UNPACK),
    b"BZh": ("packed by bzip2", UNPACK),
    b"\xfd7zXZ": ("packed by xz", UNPACK),
    b"\x28\xb5\x2f\xfd": ("packed by zstd", UNPACK),
    b"PK\x03\x04": ("an archive or a spreadsheet", "save the table as CSV, or name it .zip"),
    b"\xd0\xcf\x11\xe0": ("a spreadsheet", "save the table as CSV in UTF-8"),
    b"PAR1": ("a Parquet file", "name it .parquet"),
    b"ARROW1": ("a Feather file", "write the table as .parquet or CSV"),
    b"FEA1": ("a Feather file", "write the table as .parquet or CSV"),
    b"\x89HDF": ("an HDF5 file", "write the table as .parquet or CSV"),
}
JSON = re.compile(rb"\s*[\[{]\s*[\"{\[]")
PAGE = re.compile(rb"\s*<(?:!doctype|html|\?xml)", re.IGNORECASE)
WHOLE = re.compile(r"[+-]?(?:0|[1-9][0-9]*)")
GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+")
MAYBE_GROUPED = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,2}(?:\.[0-9]{3})*)")
# An exponent has a sign, as programs write it: "1E5" may well be an id.
NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-][0-9]+)?")


def read_table(
    path: Path, *, columns: Sequence[str] | None = None, text: Collection[str] = ()
) -> pd.DataFrame:
    """Read a table from a CSV, TSV or Parquet file, or from a ``.zip`` with a single CSV file.

    A CSV file is encoded in UTF-8, or in UTF-16 with a byte-order mark. Its cells are separated by
    commas, semicolons (with decimal commas) or tabs. A column is numeric if all of its cells are
    numbers without leading zeros that are exact in float64; it holds truth values if all cells are
    "true" or "false"; otherwise it is text. ``docs/explanation/columns.md`` lists the texts that
    stand for missing cells, and what the types of a Parquet file become.

    Parameters
    ----------
    path : Path
    columns : sequence of str, optional
        Columns to read. If one is missing, the error lists the columns of the file.
    text : collection of str
        Columns that are always text, such as ids.

    Raises
    ------
    DataError
        If the file is missing, empty, truncated, not of the format that its ending states, lacks a
        column, or does not fit into memory.
    """
    if not path.is_file():
        raise DataError("no such file", hint="check the path", file=str(path))
    if path.stat().st_size == 0:
        raise DataError("the file is empty", hint="fetch it again", file=path.name)
    if path.suffix.lower() in SHEETS:
        raise DataError(
            "the file is a spreadsheet", hint="save the table as CSV in UTF-8", file=path.name
        )
    try:
        frame = _read(path, text)
    except UNREADABLE as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"not a readable table ({first_line(error)})", hint=_way(str(error)), file=path.name
        ) from error
    if frame.empty:
        raise DataError("a header but no rows", hint="fetch the file again", file=path.name)
    if columns is not None:
        for name in columns:
            if name not in frame:
                raise DataError(
                    f"the column is not there; found {', '.join(map(str, frame.columns))}",
                    hint="add it, or check that this is the right file",
                    file=path.name,
                    column=name,
                )
        frame = frame[list(columns)]
    return frame


def _read(path: Path, text: Collection[str]) -> pd.DataFrame:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        try:
            _check_parquet(path)
            frame = pd.read_parquet(path)
        except (KeyError, TypeError) as error:  # the metadata that pandas wrote are broken
            raise ValueError(f"its metadata on columns are broken: {error}") from error
        frame = named_columns(with_index(frame, path.name), path.name)
        return pd.DataFrame(
            {
                name: labels(one, file=path.name) if name in text else typed(one, file=path.name)
                for name, one in frame.items()
            },
            index=frame.index,
        )
    separator = "\t" if suffix in (".tsv", ".tab") else None
    if suffix != ".zip":
        check_file(path)
        return _read_lines(path.read_bytes(), separator, text, path.name)
    with zipfile.ZipFile(path) as archive:
        members = [
            info
            for info in archive.infolist()
            if info.filename.lower().endswith(".csv") and not is_hidden(info.filename)
        ]
        if len(members) != 1:
            raise DataError(
                f"the archive holds {len(members)} CSV files",
                hint="leave exactly one in it",
                file=path.name,
            )
        if members[0].file_size > MAX_UNPACKED:
            raise DataError(
                f"the archive unpacks to {members[0].file_size / 1e9:.1f} GB",
                hint="check that it is the right file",
                file=path.name,
            )
        check_memory(
            members[0].file_size,
            f"{path.name!r}, of {members[0].file_size:,} bytes unpacked,",
            "check that it is the right file",
            each=TEXT_TIMES,
        )
        with archive.open(members[0]) as stream:
            content = stream.read(members[0].file_size + 1)
        return _read_lines(content, None, text, path.name)


def _way(error: str) -> str:
    """What to do about an error of the parser."""
    if "columns, got" not in error:
        return "fetch the file again, or save it as CSV in UTF-8"
    first, got = (int(one) for one in re.findall(r"(?:Expected|got) ([0-9]+)", error)[:2])
    if got < first or first < 3:
        return "leave out lines that are no rows, such as a title or comments"
    return (
        "put cells that hold the mark between cells in quotes, write decimal numbers with a point, "
        "and give every column a name"
    )


def is_hidden(name: str) -> bool:
    """Whether a path is hidden, such as those that macOS adds to folders and archives.

    Examples
    --------
    >>> [is_hidden(name) for name in ("a/b.csv", "__MACOSX/a/._b.csv", "._b.csv", ".DS_Store")]
    [False, True, True, True]
    """
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or (bool(parts) and parts[-1].startswith("."))


def csv_files(folder: Path) -> list[Path]:
    """List the CSV files of a folder in the order of their names; empty if there is no folder."""
    if not folder.is_dir():
        return []
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() == ".csv" and not is_hidden(file.name)
    )


def _read_lines(
    content: bytes, separator: str | None, text: Collection[str], file: str
) -> pd.DataFrame:
    """Parse a CSV: read all cells as text, and then decide the type of each column."""
    _check_kind(content, file)
    content = as_utf8(content)
    named = re.match(rb"sep=(.)\r?\n", content)  # Excel may name the separator in the first line
    if named:
        content, separator = content[named.end() :], named[1].decode()
    # Quoted cells of a header may span lines; the rows after it may be truncated or not UTF-8.
    top = content[:MAX_HEADER].decode("utf-8", "surrogateescape")
    separator = separator or separator_of(top)
    header = next(csv.reader(io.StringIO(top, newline=""), delimiter=separator), [])
    _check_header(header, file)
    _check_one_column(header, top, separator, file)
    kinds = dict.fromkeys(header, pa.string())
    try:
        table = _parse(content, separator, kinds)
    except pa.ArrowInvalid as error:
        if "UTF8" not in str(error):
            raise
        raise _not_utf8(
            _parse(content, separator, dict.fromkeys(header, pa.binary())), file
        ) from error
    if table.column_names != header:
        raise ValueError(f"its header cannot be parsed: {printable(', '.join(table.column_names))}")
    _check_header_again(table, header, file)
    for name, column in zip(header, table.columns, strict=True):
        damage = list(SPREADSHEET_ERRORS) if name.strip() in text else []
        bad = pc.is_in(pc.utf8_trim_whitespace(column), pa.array(damage, pa.string())).to_numpy()
        if bad.any():
            what = f"{column[int(bad.argmax())].as_py()!r} is an error value of a spreadsheet"
            hint = "correct the formula, and export the table again"
            raise at_first(bad, what, hint=hint, file=file, column=name.strip())
    comma = separator == ";"
    if comma:
        numeric = [name for name in header if name.strip() not in text]
        _check_grouped({name: table[name] for name in numeric}, file)
    names = [name.strip() for name in table.column_names]
    return pd.DataFrame(
        {
            name: _decided(column, name in text, comma)
            for name, column in zip(names, table.columns, strict=True)
        },
        columns=names,
    )


def _check_kind(content: bytes, file: str) -> None:
    """Refuse what is no text: its bytes would be read as names of columns."""
    kinds = [what for first, what in OTHER_KINDS.items() if content.startswith(first)]
    text = content.removeprefix(codecs.BOM_UTF8)
    if JSON.match(text):
        kinds.append(("JSON", "write it as CSV: pd.read_json(file).to_csv(new, index=False)"))
    if PAGE.match(text):
        kinds.append(("a web page", "fetch the file itself, not the page that shows it"))
    if kinds:
        kind, hint = kinds[0]
        raise DataError(f"not a readable table (it is {kind})", hint=hint, file=file)
    if b"\0" in content[:MAX_HEADER] and not content.startswith(
        (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    ):
        raise DataError(
            "not a readable table (it holds NULs, as damaged files do, and UTF-16 without a mark)",
            hint="save the file as CSV in UTF-8",
            file=file,
        )


def _check_one_column(header: Sequence[str], top: str, separator: str, file: str) -> None:
    """Refuse a header that another mark would cut: all columns would be one."""
    if len(header) != 1:
        return
    mark = next((one for one in "|,;\t" if one != separator and one in header[0]), "")
    second = top.splitlines()[1:2]
    if not mark and len(words := header[0].split()) > 2 and second:
        mark = " " * (len(second[0].split()) == len(words))
    if mark:
        raise DataError(
            f"all of the header is one column, {printable(header[0])!r}: its cells are separated "
            f"by {mark!r}",
            hint="name the file .csv"
            if separator == "\t" and mark != "|"
            else "write it again with commas, semicolons or tabs between cells",
            file=file,
        )


def _check_header_again(table: pa.Table, header: Sequence[str], file: str) -> None:
    """Refuse a row that is the header again, as where files were put one after the other."""
    again = np.ones(table.num_rows, dtype=bool)
    for name, column in zip(header, table.columns, strict=True):
        again &= pc.equal(pc.utf8_trim_whitespace(column), name.strip()).to_numpy()
        if not again.any():
            return
    if header:
        raise at_first(
            again,
            "the row is the header again, as where files were put one after the other",
            hint="leave it out",
            file=file,
            column=header[0].strip(),
        )


def _check_grouped(columns: Mapping[str, pa.ChunkedArray], file: str) -> None:
    """Refuse 1.234 where it may be a number of thousands, as programs with decimal commas write it.

    It is a decimal where another cell of the file has a decimal point that cannot be anything else.
    """
    first: tuple[str, str] | None = None
    for name, column in columns.items():
        cells = [one.strip() for one in pc.unique(column).to_pylist()]
        cells = [one for one in cells if one not in MISSING_TEXTS]
        grouped = next((one for one in cells if GROUPED.fullmatch(one)), "")
        if grouped and all(map(MAYBE_GROUPED.fullmatch, cells)):
            first = first or (name, grouped)
        elif any("." in one for one in cells) and all(map(NUMBER.fullmatch, cells)):
            return  # 0.5, 12.34: points are decimal
    if first is not None:
        name, cell = first
        raise DataError(
            f"{cell!r} may be a number of thousands or a decimal one, in a file with semicolons",
            hint="write thousands without points; decimal numbers with a comma, or separate the "
            "cells by commas",
            file=file,
            column=name.strip(),
        )


def _parse(content: bytes, separator: str, kinds: dict[str, pa.DataType]) -> pa.Table:
    return pacsv.read_csv(
        pa.BufferReader(content),
        parse_options=pacsv.ParseOptions(delimiter=separator, newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(column_types=kinds, strings_can_be_null=False),
    )


def as_utf8(content: bytes) -> bytes:
    """Convert to UTF-8 without byte-order mark and leading empty lines.

    Excel's "Unicode text" is UTF-16.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        content = content.decode("utf-16").encode()
    return BLANK.sub(b"", content.removeprefix(codecs.BOM_UTF8))


def separator_of(header: str) -> str:
    """Return the separator that gives most cells in the header; a comma if none gives more."""
    counts = {
        separator: len(next(csv.reader(io.StringIO(header, newline=""), delimiter=separator), []))
        for separator in ",;\t"
    }
    return max(counts, key=lambda separator: counts[separator])


def _decided(column: pa.ChunkedArray, is_text: bool, comma: bool) -> pd.Series:
    """Convert a column of texts to numbers or truth values if all of its cells are such."""
    coded = column.combine_chunks().dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = (
            coded.chunk(0) if coded.num_chunks else pa.array([], pa.string()).dictionary_encode()
        )
    distinct = coded.dictionary.to_pylist()
    codes = coded.indices.to_numpy(zero_copy_only=False)
    plain = [one.strip() for one in distinct]
    there = [one for one in plain if one not in MISSING_TEXTS]
    if comma and all(re.fullmatch(r"[^.,]*(,[^.,]*)?", one) for one in there):
        decimal = [one.replace(",", ".") for one in plain]
    else:
        decimal = plain
    known = [one for one in decimal if one not in MISSING_TEXTS]
    values: list[Any]
    if not is_text and known and all(map(WHOLE.fullmatch, known)):
        values = [None if one in MISSING_TEXTS else int(one) for one in decimal]
        if max(abs(int(one)) for one in known) <= EXACT:
            found = pd.Series(pd.array(values, dtype="Int64")[codes])
            return found if found.isna().any() else found.astype(np.int64)
    elif not is_text and known and all(map(NUMBER.fullmatch, known)):
        values = [np.nan if one in MISSING_TEXTS else float(one) for one in decimal]
        return pd.Series(np.array(values, dtype=float)[codes])
    elif not is_text and known and {one.lower() for one in known} <= {"true", "false"}:
        values = [None if one in MISSING_TEXTS else one.lower() == "true" for one in plain]
        found = pd.Series(pd.array(values, dtype="boolean")[codes])
        return found if found.isna().any() else found.astype(bool)
    gone = [short in MISSING_TEXTS for short in plain]
    values = [None if out else one for one, out in zip(distinct, gone, strict=True)]
    return pd.Series(pd.array(values, dtype="str")[codes])


def _not_utf8(table: pa.Table, file: str) -> DataError:
    for name, column in zip(table.column_names, table.columns, strict=True):
        for row, cell in enumerate(column.to_pylist()):
            try:
                cell.decode()
            except UnicodeDecodeError:
                return DataError(
                    "not text in UTF-8",
                    hint="save the file as CSV in UTF-8",
                    file=file,
                    column=printable(str(name)),
                    row=row + 1,
                )
    return DataError("not text in UTF-8", hint="save the file as CSV in UTF-8", file=file)


def described(
    frame: pd.DataFrame, factors: Collection[str] = (), left_out: Sequence[str] = ()
) -> dict[str, str | int]:
    """Describe the columns of a table for ``/provenance``: types and numbers of missing cells.

    Examples
    --------
    >>> described(pd.DataFrame({"seed": ["01", None], "pose": [0, 1]}), ["seed", "pose"])["columns"]
    'seed: text, factor, 1 missing; pose: number, factor'
    """
    parts, total = [], 0
    for name, values in frame.items():
        missing = int(values.isna().sum())
        total += missing
        description = [
            "number"
            if is_number(values)
            else "truth value"
            if pd.api.types.is_bool_dtype(values)
            else "levels"
            if isinstance(values.dtype, pd.CategoricalDtype)
            else "text"
        ]
        description += ["factor"] * (name in factors)
        description += [f"{missing:,} missing"] * (missing > 0)
        parts.append(f"{name}: {', '.join(description)}")
    parts += [f"{name}: left out" for name in left_out]
    return {"columns": "; ".join(parts), "missing": total}


def unread_columns(file: str, names: Sequence[str]) -> tuple[str, str, str, int]:
    """Make the row of ``/excluded`` for columns that were not read."""
    listed = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return file, "columns", f"not read: {listed}", len(names)


def _check_parquet(path: Path) -> None:
    """Refuse a table that does not fit into memory: a small file may encode many equal rows."""
    claims = pq.read_metadata(path)
    groups = [claims.row_group(at) for at in range(claims.num_row_groups)]
    unpacked = sum(one.total_byte_size for one in groups)
    if (of_groups := sum(one.num_rows for one in groups)) != claims.num_rows:
        raise ValueError(f"{claims.num_rows:,} rows in all, but {of_groups:,} in its row groups")
    numbers = float(claims.num_rows) * max(1, claims.num_columns)
    check_memory(
        2 * max(8 * numbers, unpacked),  # once as an Arrow table, once as a pandas frame
        f"{path.name!r}, of {claims.num_rows:,} rows and {claims.num_columns:,} columns,",
        "check that it is the right file, or split it",
        each=1,
    )


def _check_header(header: Sequence[str], file: str) -> None:
    """Refuse a header that names a column twice."""
    names = [name.strip() for name in header]
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise DataError(
                "not a readable table (the header is not text in UTF-8)",
                hint="save the file as CSV in UTF-8",
                file=file,
            ) from None
        if names.count(name) > 1:
            raise DataError(
                "two columns have this name" if name else "two columns have no name",
                hint="rename one",
                file=file,
                column=printable(name) or None,
            )


def check_inside(path: Path, root: Path) -> Path:
    """Return the path if it lies below the root once symbolic links are followed.

    Raises
    ------
    DataError
        If it lies elsewhere.
    """
    if not path.resolve().is_relative_to(root.resolve()):
        raise DataError("the file lies outside the directory", hint="move it in", file=str(path))
    return path


def printable(text: str) -> str:
    """Make text from a file safe to print on a terminal: control characters become dots."""
    return "".join(char if char.isprintable() else "." for char in text[:200])


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or the error's type if it has no message."""
    return printable((str(error).splitlines() or [type(error).__name__])[0])


def read_arrays(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    """Read named arrays of an ``.npz`` file. They have the same length; none may be pickled.

    Raises
    ------
    DataError
        If the file is missing or truncated, lacks an array, holds Python objects, or holds arrays
        of different lengths.
    """
    if not path.is_file():
        raise DataError("no such file", hint="check the path", file=str(path))
    try:
        # We open the stream, because NumPy does not close it if the archive is broken.
        with path.open("rb") as stream:
            if not zipfile.is_zipfile(stream):
                raise ValueError("not an archive of arrays, or truncated")
            stream.seek(0)
            with zipfile.ZipFile(stream) as members:
                _check_members(members, [f"{name}.npy" for name in names])
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as archive:
                found = archive.files
                arrays = {name: archive[name] for name in names if name in found}
    except (*UNREADABLE, *IMPOSSIBLE) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"not a readable npz file ({first_line(error)})",
            hint="fetch or compute it again",
            file=path.name,
        ) from error
    for name in names:
        if name not in arrays:
            raise DataError(
                f"the file has no array of this name; it holds {', '.join(found)}",
                hint="write the file again with it",
                file=path.name,
                column=name,
            )
        if arrays[name].ndim == 0:
            raise DataError(
                "the array is a single number, not one per face",
                hint="write the file again",
                file=path.name,
                column=name,
            )
        if len(arrays[name]) != len(arrays[names[0]]):
            raise DataError(
                f"{len(arrays[name])} entries, but {names[0]!r} has {len(arrays[names[0]])}",
                hint="write the file again",
                file=path.name,
                column=name,
            )
    return arrays


def _check_members(archive: zipfile.ZipFile, names: list[str]) -> None:
    """Refuse archives that repeat an array, do not fit into memory, or have false headers."""
    members = archive.infolist()
    size = sum(one.file_size for one in members)
    if size > MAX_UNPACKED:
        raise ValueError(f"it unpacks to {size / 1e9:.1f} GB; at most {MAX_UNPACKED / 1e9:.1f} GB")
    check_memory(2 * size, f"arrays of {size:,} bytes unpacked", "check the file", each=1)
    found = [one.filename for one in members]
    for name in names:
        if found.count(name) > 1:
            raise ValueError(f"{name} is there {found.count(name)} times")
    for one in members:
        if one.filename in names:
            with archive.open(one) as stream:
                claimed = _claimed(stream)
            if claimed > one.file_size:
                raise ValueError(
                    f"{one.filename} claims {claimed / 2**30:,.3g} GiB, but holds "
                    f"{one.file_size:,} bytes"
                )


def _claimed(stream: IO[bytes]) -> float:
    """Return the size of an array in bytes, as its header states it."""
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"an array of format {version}")
    shape, _, kind = read(stream)
    return math.prod(map(float, shape)) * kind.itemsize
