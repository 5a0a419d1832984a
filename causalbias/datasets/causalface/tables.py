"""Read the release's tables: annotations (a CSV per question) and distances (a CSV per system)."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv

from causalbias.datasets.causalface.layout import (
    FLAT,
    IN_TREE,
    PAIR_QUESTION,
    PROTOTYPE,
    Design,
    parse_names,
)
from causalbias.errors import DataError
from causalbias.io.memory import check_file
from causalbias.study.columns import labels
from causalbias.study.reading import (
    MAX_HEADER,
    as_utf8,
    described,
    read_table,
    separator_of,
    unread_columns,
)
from causalbias.study.tables import check_frame, checked_status, named_columns, number_column

# For a question, maps our column ("image", or "image_a" and "image_b", "annotator", "score") to the
# column of the file, or to several columns if the file has several annotators per row.
ColumnMap = Mapping[str, str | Sequence[str]]


def name_columns(question: str) -> tuple[str, ...]:
    """Return our names of the first columns of a question's file: an image, or a pair of images."""
    return ("image_a", "image_b") if question == PAIR_QUESTION else ("image",)


def read_answers(
    path: Path, question: str, scale: tuple[float, float], columns: ColumnMap | None = None
) -> tuple[pd.DataFrame, list[tuple[str, str, str, int]], dict[str, str | int]]:
    """Read an annotation file: image names, followed by alternating annotators and scores.

    Parameters
    ----------
    path : Path
        The CSV file.
    question : str
        The question "identity" is about pairs, every other question about single images.
    scale : (low, high)
        Scores are integers in this range; a blank or non-numeric cell counts as no answer.
    columns : mapping, optional
        Our columns mapped to those of the header, if the file has another layout.

    Returns
    -------
    answers : DataFrame
        One row per annotator and item, in the file's order: `row` (from 1), `image` or `image_a`
        and `image_b` (as written), `annotator`, `score` (missing if there is no answer).
    left_out : list of (file, what, reason, count)
        What was left out.
    read : dict
        Types of the columns and the number of missing cells; see `described`.

    Raises
    ------
    DataError
        If the file cannot be used. The error names file, column and row, and gives a hint; for an
        unknown layout it shows the header found and the expected one.
    """
    header, table = _read_text(path)
    places = _places(header, table.shape[1], question, columns, path.name)
    cells = {name: table.iloc[:, at[0]] for name, at in places.items() if name.startswith("image")}
    _check_layout(cells, header, question, path.name)
    slots = len(places["annotator"])
    annotator = table.iloc[:, places["annotator"]].to_numpy(dtype=object).ravel()
    text = table.iloc[:, places["score"]].to_numpy(dtype=object).ravel()
    answers = pd.DataFrame(
        {name: np.repeat(values.to_numpy(dtype=object), slots) for name, values in cells.items()},
        dtype="str",
    )
    who = pd.Series(annotator, dtype="str", name="annotator")
    answers["annotator"] = labels(who, file=path.name).fillna("")
    answers["score"] = pd.to_numeric(pd.Series(text, dtype="str").str.strip(), errors="coerce")
    answers.insert(0, "row", np.repeat(np.arange(1, len(table) + 1), slots))
    where = [_position(header, at) for at in places["score"]]
    _check_scores(answers, scale, where, path.name)
    _check_asked_once(answers, list(cells), where, path.name)
    blank = pd.Series(text, dtype="str").str.strip() == ""
    asked = answers["annotator"] != ""
    left_out = [
        (path.name, "answers", "no score", int((asked & blank).sum())),
        (
            path.name,
            "answers",
            "score is not a number",
            int((asked & ~blank & answers["score"].isna()).sum()),
        ),
        (path.name, "annotator cells", "empty", int((~asked).sum())),
    ]
    used = {at for places_ in places.values() for at in places_}
    unread = [_position(header, at) for at in range(table.shape[1]) if at not in used]
    left_out.append(unread_columns(path.name, unread))
    answers = answers[asked].reset_index(drop=True)
    return answers, left_out, described(answers.drop(columns="row"), left_out=unread)


def _read_text(path: Path) -> tuple[list[str], pd.DataFrame]:
    """Return the header and all cells below it as text; refuse rows of different lengths."""
    if not path.is_file():
        raise DataError("no such file", hint="check the path", file=str(path))
    check_file(path)
    try:
        content = as_utf8(path.read_bytes())
        lines = io.StringIO(content.decode(), newline="")
        separator = separator_of(lines.read(MAX_HEADER))
        lines.seek(0)
        reader = csv.reader(lines, delimiter=separator)
        header, height = next(reader, []), reader.line_num
        first = next(reader, [])
        if not first:
            raise DataError("no rows below the header", hint="fetch it again", file=path.name)
        table = pacsv.read_csv(
            pa.BufferReader(content),
            parse_options=pacsv.ParseOptions(delimiter=separator),
            read_options=pacsv.ReadOptions(skip_rows=height, autogenerate_column_names=True),
            convert_options=pacsv.ConvertOptions(
                column_types={f"f{i}": pa.string() for i in range(len(first))}
            ),
        ).to_pandas()
    except (pa.ArrowInvalid, UnicodeDecodeError, csv.Error, OSError) as error:
        raise DataError(
            f"not a readable CSV ({str(error).splitlines()[0][:200]})",
            hint="fetch it again, or save it as CSV in UTF-8 with rows of one length",
            file=path.name,
        ) from error
    if len(header) > table.shape[1]:
        raise DataError(
            f"the header has {len(header)} cells, but the rows have {table.shape[1]}",
            hint="fetch it again: cells are missing",
            file=path.name,
        )
    return header, table


def _places(
    header: list[str], width: int, question: str, columns: ColumnMap | None, file: str
) -> dict[str, list[int]]:
    """Return the positions of our columns in the file."""
    names = name_columns(question)
    if columns is None:
        extra = width - len(names)
        if extra < 2 or extra % 2:
            raise DataError(
                f"the file has {width} columns, {len(names)} of names and {extra} of annotators "
                f"and scores, which do not alternate; {_expected(header, question)}",
                hint="repair the file, or give its layout with columns=",
                file=file,
            )
        return {name: [at] for at, name in enumerate(names)} | {
            "annotator": list(range(len(names), width, 2)),
            "score": list(range(len(names) + 1, width, 2)),
        }
    places = {}
    for name in (*names, "annotator", "score"):
        theirs = columns.get(name, name)
        theirs = [theirs] if isinstance(theirs, str) else list(theirs)
        for one in theirs:
            if one not in header:
                raise DataError(
                    f"the file has no such column; {_expected(header, question)}",
                    hint="correct the column map",
                    file=file,
                    column=one,
                )
        places[name] = [header.index(one) for one in theirs]
    if len(places["annotator"]) != len(places["score"]):
        raise DataError(
            f"the map gives {len(places['annotator'])} annotator and {len(places['score'])} score "
            "columns",
            hint="give as many of each",
            file=file,
        )
    return places


def _expected(header: list[str], question: str) -> str:
    names = ", ".join(name_columns(question))
    return (
        f"found the header {', '.join(header)[:300]}; "
        f"expected {names}, annotator, score, annotator, score, ..."
    )


def _position(header: list[str], at: int) -> str:
    return f"{at + 1} ({header[at]})" if at < len(header) else str(at + 1)


def _check_layout(
    cells: Mapping[str, pd.Series], header: list[str], question: str, file: str
) -> None:
    for name, values in cells.items():
        first = values.iloc[0]
        if not any(form.fullmatch(first) for form in (FLAT, IN_TREE)):
            raise DataError(
                f"{first!r} is not the name of a render; {_expected(header, question)}",
                hint="correct the name, or give the file's layout with columns=",
                file=file,
                column=name,
                row=1,
            )


def _check_scores(
    answers: pd.DataFrame, scale: tuple[float, float], where: list[str], file: str
) -> None:
    low, high = scale
    score = answers["score"].to_numpy()
    given = ~np.isnan(score)
    with np.errstate(invalid="ignore"):
        off = given & ((score < low) | (score > high) | (score != np.round(score)))
    for bad, problem, hint in (
        (
            given & (answers["annotator"] == "").to_numpy(),
            "the score has no annotator",
            "name the annotator, or leave both cells empty",
        ),
        (
            off,
            f"not one of the scores {low:g} to {high:g}",
            "correct it, or give the question's scale with scales=",
        ),
    ):
        if bad.any():
            at = int(bad.argmax())
            raise DataError(
                f"{score[at]:g}: {problem} ({int(bad.sum()):,} such)",
                hint=hint,
                file=file,
                column=where[at % len(where)],
                row=int(answers["row"].iloc[at]),
            )


def _check_asked_once(answers: pd.DataFrame, names: list[str], where: list[str], file: str) -> None:
    """Refuse a second judgement of an item by an annotator, in either order of a pair's members."""
    cells = np.stack([pd.factorize(answers[name])[0] for name in names])
    if len(names) == 2:
        codes, _ = pd.factorize(pd.concat([answers[name] for name in names]))
        cells = np.sort(codes.reshape(2, -1), axis=0)
    key = pd.DataFrame(np.vstack([pd.factorize(answers["annotator"])[0], cells]).T)
    twice = (key.duplicated() & (answers["annotator"] != "")).to_numpy()
    if twice.any():
        at = int(twice.argmax())
        first = int((key == key.iloc[at]).all(axis=1).to_numpy().argmax())
        item = " and ".join(answers[name].iloc[at] for name in names)
        raise DataError(
            f"the annotator has judged {item} already (row {answers['row'].iloc[first]}; "
            f"{int(twice.sum()):,} such)",
            hint="keep one answer per annotator",
            file=file,
            column=where[at % len(where)],
            row=int(answers["row"].iloc[at]),
        )


def read_distances(
    path: Path, columns: ColumnMap | None = None
) -> tuple[pd.DataFrame, dict[str, str | int]]:
    """Read a table of distances with the columns `image_a`, `image_b` and `distance`.

    Optional columns are `system` (by default the file's name), `threshold` (one value per system)
    and `status` ("ok", or the reason why there is no distance). Further columns are kept.

    Returns
    -------
    distances : DataFrame
        The table, with an additional column `row`, from 1.
    read : dict
        Types of the columns and the number of missing cells; see `described`.

    Raises
    ------
    DataError
        If a column is missing, or a distance is negative or missing where the status is "ok".
    """
    ours = {theirs: ours for ours, theirs in (columns or {}).items() if isinstance(theirs, str)}
    ids = ("image_a", "image_b", "system", "status")
    text = [name for name in ids if name not in ours.values()]
    frame = read_table(path, text=[*text, *(old for old, new in ours.items() if new in ids)])
    read = described(frame)
    frame = named_columns(frame.rename(columns=ours), path.name)
    if "system" not in frame:
        frame["system"] = path.stem
    if "status" not in frame:
        frame["status"] = "ok"
    frame["status"] = frame["status"].fillna("ok")
    if "distance" in frame:
        frame["status"] = checked_status(frame["status"], frame["distance"], file=path.name)
    failed = (frame["status"] != "ok").to_numpy()
    if "distance" in frame and failed.any():
        frame["distance"] = frame["distance"].astype(object).mask(failed, 0.0)
    frame = check_frame(
        frame,
        {"distance": number_column(0.0)},
        text=["image_a", "image_b", "status"],
        levels=["system"],
        file=path.name,
    )
    frame["distance"] = frame["distance"].mask(failed)
    frame["row"] = np.arange(1, len(frame) + 1)
    return frame, read


def stimuli_of(
    names: pd.Series,
    known: pd.DataFrame,
    design: Design,
    *,
    file: str,
    column: str,
    rows: pd.Series,
) -> tuple[pd.Series, pd.DataFrame]:
    """Parse the image names in a table and check that the release has those faces.

    Parameters
    ----------
    names : Series of str
        Image names.
    known : DataFrame
        The renders; a prototype is known if its seed, race and gender are.
    rows : Series of int
        Row of each name in the file, for errors.

    Returns
    -------
    ids : Series of str
        Id of the stimulus for each name.
    faces : DataFrame
        The distinct faces, as `parse_names` gives them.

    Raises
    ------
    DataError
        If a name cannot be parsed, or the release has no such face.
    """
    codes, distinct = pd.factorize(names)
    first = np.unique(codes, return_index=True)[1]
    row_of = rows.to_numpy()[first]
    try:
        faces = parse_names(pd.Series(distinct), design, file=file, column=column)
    except DataError as error:
        row = int(row_of[error.row - 1]) if error.row else None
        raise DataError(
            error.problem, hint=error.hint, file=error.file, column=error.column, row=row
        ) from None
    person = ["seed", "race", "gender"]
    people = pd.MultiIndex.from_frame(known[person].drop_duplicates())
    is_person = people.get_indexer(pd.MultiIndex.from_frame(faces[person])) >= 0
    is_render = pd.Index(known["stimulus"]).get_indexer(faces["stimulus"]) >= 0
    there = is_render | (is_person & (faces["attribute"] == PROTOTYPE).to_numpy())
    if not there.all():
        at = int(np.argmin(there))
        more = int((~there).sum()) - 1
        raise DataError(
            f"{distinct[at]!r} names an image that does not exist"
            + (f" ({more:,} more images like it)" if more else ""),
            hint="add the image, or leave the row out",
            file=file,
            column=column,
            row=int(row_of[at]),
        )
    return faces["stimulus"].take(codes).reset_index(drop=True), faces
