"""Annotation services: tasks out, results in (Label Studio, Mechanical Turk)."""

import json
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from causalbias.arguments import flag_in
from causalbias.errors import DataError, user_path
from causalbias.io.atomic import RUN_BY_SPREADSHEETS
from causalbias.io.memory import check_file
from causalbias.io.storage import replace_text
from causalbias.study.reading import read_table
from causalbias.study.rows import Fault, blank, check_rows, repeated, sample
from causalbias.study.tables import check_columns, check_known, check_unique

BASE = re.compile(r"(https?://|s3://|/(?!/))([^\s\"'<>]*[/=])?")
MTURK = {"task": "Input.task", "annotator": "WorkerId", "score": "Answer.score"}
REFUSED = "Rejected"


def to_label_studio(
    assignment: pd.DataFrame, images: Mapping[str, object], base: str, path: str | Path
) -> Path:
    """Write the trials as Label Studio's tasks (JSON), to import into a project.

    A task holds its name, its place for an annotator, its question and its images, and neither what
    is a repeat or gold, nor the factors: keep the assignment, which the import needs.

    Parameters
    ----------
    assignment : DataFrame
        From `assign`.
    images : mapping of item to image or images
        Relative paths: one text for a face, two for a pair.
    base : str
        What goes before a path: ``"https://.../"``, ``"s3://bucket/"`` or
        ``"/data/local-files/?d="``. It ends with ``/`` or ``=``.
    path : path of the file to write

    Returns
    -------
    Path

    Raises
    ------
    DataError
        If an item has no image, or a path leaves the folder.
    """
    rows = tasks_of(assignment, images, base)
    tasks = [{"data": row} for row in rows.to_dict("records")]
    path = user_path(path)
    replace_text(path, json.dumps(tasks, indent=1))
    return path


def label_studio_config(question: str, low: int, high: int, *, pair: bool) -> str:
    """Label Studio's labelling interface for one question on a scale of whole numbers.

    Examples
    --------
    >>> print(label_studio_config("How old?", 0, 1, pair=False))
    <View>
      <Header value="How old?"/>
      <Image name="image" value="$image"/>
      <Choices name="score" toName="image" choice="single" required="true">
        <Choice value="0"/>
        <Choice value="1"/>
      </Choices>
    </View>
    """
    flag_in(pair, "pair")
    names = ["image_a", "image_b"] if pair else ["image"]
    lines = [f'  <Image name="{name}" value="${name}"/>' for name in names]
    choices = [f'    <Choice value="{score}"/>' for score in range(low, high + 1)]
    opening = f'  <Choices name="score" toName="{names[0]}" choice="single" required="true">'
    header = f'  <Header value="{escape(question)}"/>'
    return "\n".join(["<View>", header, *lines, opening, *choices, "  </Choices>", "</View>"])


def to_manifest_csv(
    assignment: pd.DataFrame, images: Mapping[str, object], base: str, path: str | Path
) -> Path:
    """Write the trials as the CSV that Mechanical Turk takes (Ground Truth: `to_ground_truth`).

    Columns `task`, `annotator` (the place), `question`, and `image` or `image_a` and `image_b`,
    which a template names ``${image_a}``. The template's answer must be called "score", as in
    ``<input type="radio" name="score" value="0">`` or ``<crowd-slider name="score">``.

    Parameters
    ----------
    assignment, images, base
        As in `to_label_studio`.
    path : path of the file to write

    Returns
    -------
    Path

    Raises
    ------
    DataError
        As `to_label_studio`; also if a cell would be run as a formula by a spreadsheet (it begins
        with ``= + - @``, a tab or a line's end): such text is refused, as a quoted one would reach
        the annotators.
    """
    rows = tasks_of(assignment, images, base)
    check_rows(
        [
            (
                str(name),
                f"{sample(rows[name], bad)} would be run by a spreadsheet",
                bad,
                "rename it",
            )
            for name in rows
            if (bad := rows[name].str.match(RUN_BY_SPREADSHEETS).to_numpy(bool)).any()
        ],
        file="assignment",
    )
    path = user_path(path)
    replace_text(path, rows.to_csv(index=False, lineterminator="\n"))
    return path


def from_label_studio(
    path: str | Path, assignment: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read Label Studio's results (its JSON export) as tidy judgements.

    Parameters
    ----------
    path : path of the export
    assignment : DataFrame
        The one that was exported.

    Returns
    -------
    judgements : DataFrame
        `item`, `question`, `annotator` (who answered), `place`, `score`, `role`, `trial` (how
        many times this person has judged the item), `order`: rename `item` to `pair` or
        `stimulus` for `make_study`. Gold is among them.
    excluded : DataFrame
        `file`, `what`, `reason`, `count`: cancelled answers, and trials without one.

    Raises
    ------
    DataError
        Naming every bad row (answer, in the file's order); or if memory will not hold the file.
    """
    path = user_path(path)
    try:
        check_file(path)
        tasks = json.loads(path.read_text(encoding="utf-8"))
        answers = [
            {
                "task": task.get("data", {}).get("task"),
                "annotator": worker_of(one.get("completed_by")),
                "score": _score(one.get("result", [])),
                "cancelled": bool(one.get("was_cancelled", False)),
            }
            for task in tasks
            for one in task.get("annotations", [])
        ]
        columns = ["task", "annotator", "score", "cancelled"]
        frame = pd.DataFrame(answers, columns=columns)  # refuses half of a surrogate pair
    except OSError as error:
        raise DataError("no such file", hint="check the path", file=str(path)) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"not Label Studio's results ({type(error).__name__}: {error})",
            hint="export the project as JSON (not JSON-MIN)",
            file=path.name,
        ) from error
    return judgements_of(frame, assignment, path.name, dict(zip(columns, columns, strict=True)))


def from_mturk(path: str | Path, assignment: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read Mechanical Turk's batch results (CSV) as tidy judgements.

    Parameters
    ----------
    path : path of the CSV
        With columns `Input.task`, `WorkerId`, `Answer.score` and `AssignmentStatus`.
    assignment : DataFrame
        The one that was exported.

    Returns
    -------
    judgements, excluded : DataFrame
        As from `from_label_studio`; rejected work is excluded.

    Raises
    ------
    DataError
        Naming every bad row of the file.
    """
    path = user_path(path)
    text = ["Input.task", "WorkerId", "AssignmentStatus"]
    table = read_table(path, columns=[*MTURK.values(), "AssignmentStatus"], text=text)
    frame = pd.DataFrame({ours: table[theirs] for ours, theirs in MTURK.items()})
    frame["cancelled"] = table["AssignmentStatus"] == REFUSED
    return judgements_of(frame, assignment, path.name, MTURK)


def tasks_of(assignment: pd.DataFrame, images: Mapping[str, object], base: str) -> pd.DataFrame:
    """One row a trial, with the URLs of its images; all text."""
    check_columns(assignment, ["task", "annotator", "item", "question"], file="assignment")
    check_known(
        assignment["item"],
        list(images),
        what="item with an image",
        file="assignment",
        column="item",
    )
    if not BASE.fullmatch(base):
        raise DataError(
            f"the images' base {base!r}",
            hint="begin it with https://, s3:// or /, end it with / or =, without spaces",
        )
    shown = [images[item] for item in assignment["item"]]
    several = [list(one) if isinstance(one, list | tuple) else [one] for one in shown]
    number = len(several[0]) if several else 1
    if number not in (1, 2):
        raise DataError(f"{number} images of an item", hint="give one, or two of a pair")
    uneven = np.array([len(one) != number for one in several])
    paths = (
        pd.DataFrame([[str(one) for one in row] for row in several])
        if not uneven.any()
        else (pd.DataFrame())
    )
    outside = np.zeros(len(several), bool)
    for name in paths:
        outside |= ~paths[name].map(safe_path).to_numpy(bool)
    check_rows(
        [
            ("item", f"not {number} images as the first has", uneven, "give pairs or faces"),
            ("item", "an image outside the folder", outside, "give relative paths"),
        ],
        file="assignment",
    )
    names = ["image"] if number == 1 else ["image_a", "image_b"]
    urls = {name: base + paths[at] for at, name in enumerate(names)}
    kept = {name: assignment[name].astype(str).to_numpy() for name in ("task", "annotator")}
    return pd.DataFrame(
        {**kept, "question": assignment["question"].astype(str).to_numpy()}
        | {name: column.to_numpy() for name, column in urls.items()}
    )


def safe_path(text: str) -> bool:
    """Whether a path stays below the folder that it is relative to.

    Examples
    --------
    >>> [safe_path(one) for one in ("a/b.png", "../b.png", "/b.png", "c:b.png", "")]
    [True, False, False, False, False]
    """
    path = PurePosixPath(text)
    return not (
        text.strip() == ""
        or path.is_absolute()
        or ".." in path.parts
        or "\\" in text
        or ":" in text
        or not text.isprintable()
    )


def worker_of(told: object) -> str:
    """Who answered, "" if it is not told as a text or a number (or an object's id or email)."""
    if isinstance(told, Mapping):
        told = told.get("id", told.get("email"))
    return str(told) if isinstance(told, str | int) and not isinstance(told, bool) else ""


def _score(result: list[dict[str, Any]]) -> object:
    """The answer called "score": a choice, a number, or a rating."""
    for one in result:
        if one.get("from_name") == "score":
            value = one.get("value", {})
            chosen = value.get("choices", [value.get("number", value.get("rating"))])
            return chosen[0] if len(chosen) == 1 else None
    return None


def _plain(value: object) -> object:
    """A text or number as it is; else its text, which is no task and no score."""
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return value if whole or value is None or isinstance(value, str | float) else str(value)


def judgements_of(
    answers: pd.DataFrame, assignment: pd.DataFrame, file: str, theirs: Mapping[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judgements and exclusions from a service's answers; errors use the service's names.

    Parameters
    ----------
    answers : DataFrame
        `task`, `annotator`, `score`, `cancelled`: one row an answer.
    assignment : DataFrame
    file : str
    theirs : mapping of our columns to the service's names
    """
    needed = ["task", "annotator", "item", "question", "role", "order"]
    check_columns(assignment, needed, file="assignment")
    check_unique(assignment, ["task"], file="assignment")
    if answers.empty:
        raise DataError("no answers", hint="export after the annotators have worked", file=file)
    answers = answers.assign(task=answers["task"].map(_plain), score=answers["score"].map(_plain))
    score = pd.to_numeric(answers["score"], errors="coerce")
    cancelled = answers["cancelled"].to_numpy(bool)
    unknown = ~answers["task"].isin(assignment["task"]).to_numpy(bool)
    not_finite = ~np.isfinite(score.to_numpy(float)) & ~cancelled
    again = ~cancelled & repeated(
        answers.assign(cancelled=cancelled), ["task", "annotator", "cancelled"]
    )
    faults: list[Fault] = [
        (
            theirs["task"],
            f"{sample(answers['task'], unknown)} is no task of the assignment",
            unknown,
            "give the assignment that was exported",
        ),
        (theirs["annotator"], "nobody is named", blank(answers["annotator"]), "name who answered"),
        (
            theirs["score"],
            f"{sample(answers['score'], not_finite)} is not a number",
            not_finite,
            "ask for a number under the name score",
        ),
        (theirs["task"], "answered twice by one annotator", again, "keep one answer"),
    ]
    check_rows(faults, file=file)
    kept = answers.assign(score=score)[~cancelled].drop(columns="cancelled")
    plan = assignment.rename(columns={"annotator": "place"}).set_index("task")
    judgements = kept.join(plan, on="task").reset_index(drop=True)
    # A service may give a person several places, and so an item more than once.
    asked = ["annotator", "question", "item"]
    judgements["trial"] = judgements.sort_values("order").groupby(asked).cumcount() + 1
    columns = ["item", "question", "annotator", "place", "score", "role", "trial", "order"]
    silent = int((~assignment["task"].isin(kept["task"])).sum())
    reasons = [
        ("cancelled or rejected by the service", int(cancelled.sum())),
        ("no answer to an assigned trial", silent),
    ]
    excluded = pd.DataFrame(
        [(file, "judgements", reason, count) for reason, count in reasons if count],
        columns=["file", "what", "reason", "count"],
    )
    return judgements[columns], excluded
