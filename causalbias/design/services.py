"""Write tasks for annotation services, and read results (Label Studio, Mechanical Turk)."""

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
from causalbias.study.columns import measured
from causalbias.study.reading import read_table
from causalbias.study.rows import Fault, blank, check_rows, repeated, sample
from causalbias.study.tables import check_columns, check_known, check_unique

BASE = re.compile(r"(https?://|s3://|/(?!/))([^\s\"'<>]*[/=])?")
MTURK = {"task": "Input.task", "annotator": "WorkerId", "score": "Answer.score"}
REFUSED = "Rejected"


def to_label_studio(
    assignment: pd.DataFrame, images: Mapping[str, object], base: str, path: str | Path
) -> Path:
    """Write the trials as tasks of Label Studio (JSON), which a project can import.

    A task holds its name, its place in the assignment, its question and its images. It does not
    reveal the factors, nor whether it is gold or a repeat. Keep the assignment: `from_label_studio`
    needs it.

    Parameters
    ----------
    assignment : DataFrame
        Result of `assign`.
    images : mapping of item to image or images
        Relative paths: one for a face, two for a pair.
    base : str
        Prefix of the paths, such as ``"https://.../"``, ``"s3://bucket/"`` or
        ``"/data/local-files/?d="``. It ends with ``/`` or ``=``.
    path : str or Path
        File to write.

    Returns
    -------
    Path
        Path of the file.

    Raises
    ------
    DataError
        If an item has no image, or a path leads out of the folder.
    """
    rows = tasks_of(assignment, images, base)
    tasks = [{"data": row} for row in rows.to_dict("records")]
    path = user_path(path)
    replace_text(path, json.dumps(tasks, indent=1))
    return path


def label_studio_config(question: str, low: int, high: int, *, pair: bool) -> str:
    """Make the labelling interface of Label Studio for a question with integer answers.

    Parameters
    ----------
    question : str
        As annotators read it.
    low, high : int
        The lowest and the highest answer; each whole number from one to the other is a choice.
    pair : bool
        Whether two images are shown, the fields ``image_a`` and ``image_b`` of a task, or one,
        ``image``.

    Returns
    -------
    str
        The configuration, in XML.

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
    """Write the trials as the CSV of Mechanical Turk (for Ground Truth, see `to_ground_truth`).

    The columns are `task`, `annotator` (the place in the assignment), `question`, and `image` or
    `image_a` and `image_b`, to which a template refers by ``${image_a}``. The template's answer
    must have the name "score", as in ``<input type="radio" name="score" value="0">`` or
    ``<crowd-slider name="score">``.

    Parameters
    ----------
    assignment, images, base
        As in `to_label_studio`.
    path : str or Path
        File to write.

    Returns
    -------
    Path
        Path of the file.

    Raises
    ------
    DataError
        As in `to_label_studio`, and if a spreadsheet would run a cell as a formula, which begins
        with ``= + - @``, a tab or a line break. Such text is refused, because annotators would see
        the character that escapes it.
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
    """Read the results of Label Studio (its JSON export) as tidy judgements.

    Parameters
    ----------
    path : str or Path
        File of the export.
    assignment : DataFrame
        The assignment that was exported.

    Returns
    -------
    judgements : DataFrame
        `item`, `question`, `annotator` (the person who answered), `place`, `score`, `role`, `trial`
        (number of this person's answers about the item so far), `order`. Rename `item` to `pair`
        or `stimulus` for `make_study`. Answers about gold items are included.
    excluded : DataFrame
        `file`, `what`, `reason`, `count` of cancelled answers, and of trials without an answer.

    Raises
    ------
    DataError
        If answers are invalid; the error lists every bad row (answer, in the file's order). If the
        file does not fit into memory.
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
        frame = pd.DataFrame(answers, columns=columns)  # raises an error for invalid Unicode
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
    """Read the batch results of Mechanical Turk (CSV) as tidy judgements.

    Parameters
    ----------
    path : str or Path
        CSV file with the columns `Input.task`, `WorkerId`, `Answer.score` and `AssignmentStatus`.
    assignment : DataFrame
        The assignment that was exported.

    Returns
    -------
    judgements, excluded : DataFrame
        As in `from_label_studio`; rejected work is excluded.

    Raises
    ------
    DataError
        If rows are invalid. The error lists every bad row of the file.
    """
    path = user_path(path)
    text = ["Input.task", "WorkerId", "AssignmentStatus"]
    table = read_table(path, columns=[*MTURK.values(), "AssignmentStatus"], text=text)
    frame = pd.DataFrame({ours: table[theirs] for ours, theirs in MTURK.items()})
    frame["cancelled"] = table["AssignmentStatus"] == REFUSED
    return judgements_of(frame, assignment, path.name, MTURK)


def tasks_of(assignment: pd.DataFrame, images: Mapping[str, object], base: str) -> pd.DataFrame:
    """Make a table of text with one row per trial and the URLs of its images."""
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
            f"the base of the images is {base!r}",
            hint="begin it with https://, s3:// or /, end it with / or =, without spaces",
        )
    shown = [images[item] for item in assignment["item"]]
    several = [list(one) if isinstance(one, list | tuple) else [one] for one in shown]
    number = len(several[0]) if several else 1
    if number not in (1, 2):
        raise DataError(f"an item has {number} images", hint="give one, or two for a pair")
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
            (
                "item",
                f"the item does not have {number} images as the first one does",
                uneven,
                "give only pairs or only faces",
            ),
            ("item", "an image lies outside the folder", outside, "give relative paths"),
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
    >>> [safe_path(path) for path in ("a/b.png", "../b.png", "/b.png", "c:b.png", "")]
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


def worker_of(worker: object) -> str:
    """Return the id of the person who answered: a text, a number, or an object's id or email.

    Anything else gives "".
    """
    if isinstance(worker, Mapping):
        worker = worker.get("id", worker.get("email"))
    return str(worker) if isinstance(worker, str | int) and not isinstance(worker, bool) else ""


def _score(result: list[dict[str, Any]]) -> object:
    """Return the answer named "score": a choice, a number, or a rating."""
    for one in result:
        if one.get("from_name") == "score":
            value = one.get("value", {})
            chosen = value.get("choices", [value.get("number", value.get("rating"))])
            return chosen[0] if len(chosen) == 1 else None
    return None


def _plain(value: object) -> object:
    """Return texts and numbers unchanged, and other values as text, which no task or score has."""
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return value if whole or value is None or isinstance(value, str | float) else str(value)


def judgements_of(
    answers: pd.DataFrame, assignment: pd.DataFrame, file: str, theirs: Mapping[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make judgements and exclusions from the answers of a service.

    Parameters
    ----------
    answers : DataFrame
        One row per answer: `task`, `annotator`, `score`, `cancelled`.
    assignment : DataFrame
        The assignment that was exported.
    file : str
        Name of the file, for errors.
    theirs : mapping of our columns to those of the service
        Names of columns, for errors.
    """
    needed = ["task", "annotator", "item", "question", "role", "order"]
    check_columns(assignment, needed, file="assignment")
    check_unique(assignment, ["task"], file="assignment")
    if answers.empty:
        raise DataError(
            "there are no answers", hint="export after the annotators have answered", file=file
        )
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
            f"{sample(answers['task'], unknown)} is not a task of the assignment",
            unknown,
            "give the assignment that was exported",
        ),
        (
            theirs["annotator"],
            "the annotator is missing",
            blank(answers["annotator"]),
            "give the person who answered",
        ),
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
    # A service may give several places to a person, who then judges an item more than once.
    asked = ["annotator", "question", "item"]
    order = measured(judgements["order"], file="assignment")  # "10", if it was read as text
    in_order = judgements.loc[order.sort_values(kind="stable").index]
    judgements["trial"] = in_order.groupby(asked).cumcount() + 1
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
