"""Write tasks for Amazon SageMaker Ground Truth as JSON Lines, and read the workers' answers."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from causalbias.design.services import judgements_of, tasks_of, worker_of
from causalbias.errors import DataError, user_path
from causalbias.io.memory import check_file
from causalbias.io.storage import replace_text
from causalbias.study.reading import check_inside, printable

OUTPUT = "manifests/output/output.manifest"
RESPONSES = "annotations/worker-response"
COLUMNS = ("task", "annotator", "score", "cancelled")
EVERY = "annotationsFromAllWorkers"
HINT = "give the labeling job's folder, as Ground Truth wrote it, or a file with all workers"


def to_ground_truth(
    assignment: pd.DataFrame, images: Mapping[str, object], base: str, path: str | Path
) -> Path:
    """Write the trials as an input manifest of Ground Truth: JSON Lines with one task per line.

    A line holds `source` and `task` (the task's name), `annotator` (its place in the assignment),
    `question`, and `image` or `image_a` and `image_b`. A custom template refers to an image by
    ``{{ task.input.image_a | grant_read_access }}``. The template's answer must have the name
    "score", as in ``<input type="radio" name="score" value="0">`` or
    ``<crowd-slider name="score">``.

    Parameters
    ----------
    assignment, images, base
        As in `to_label_studio`; Ground Truth reads images from ``s3://``.
    path : str or Path
        File to write.

    Returns
    -------
    Path
        Path of the file.

    Raises
    ------
    DataError
        As in `to_label_studio`.
    """
    rows = tasks_of(assignment, images, base)
    lines = [json.dumps({"source": row["task"], **row}) for row in rows.to_dict("records")]
    path = user_path(path)
    replace_text(path, "\n".join(lines) + "\n")
    return path


def from_ground_truth(
    path: str | Path, assignment: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the workers' answers of a Ground Truth labeling job as tidy judgements.

    Parameters
    ----------
    path : str or Path
        The output folder of the job (with ``manifests/output/output.manifest`` and
        ``annotations/worker-response``), or a file with the answers of all workers. Such a file is
        an output manifest whose label has ``annotationsFromAllWorkers`` (which AWS's sample
        function for consolidation writes), or a consolidation request (JSON). A manifest of
        consolidated labels is refused, since it does not state who answered.
    assignment : DataFrame
        The assignment that was exported.

    Returns
    -------
    judgements, excluded : DataFrame
        As in `from_label_studio`.

    Raises
    ------
    DataError
        If answers are invalid. The error lists every bad row (answer, in the order of the files).
    """
    path = user_path(path)
    try:
        found = list(_in_folder(path) if path.is_dir() else _in_file(path))
        rows = [(task, worker, _score(content), False) for task, worker, content, _ in found]
        frame = pd.DataFrame(rows, columns=COLUMNS)
    except DataError:
        raise
    except OSError as error:
        raise DataError("no such file", hint=HINT, file=str(error.filename or path)) from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"not Ground Truth's results ({type(error).__name__}: {printable(str(error))})",
            hint=HINT,
            file=path.name,
        ) from error
    theirs = dict(zip(COLUMNS, ("source", "workerId", "score", "cancelled"), strict=True))
    return judgements_of(frame, assignment, path.name, theirs)


Answer = tuple[object, str, object, str]  # task, worker, content, time


def _in_folder(root: Path) -> Iterator[Answer]:
    """Read the answers in a job's folder, which are stored by the number of the task's line."""
    text = _text(check_inside(root / OUTPUT, root))
    task_of = {}
    for number, line in enumerate(map(json.loads, filter(str.strip, text.splitlines()))):
        refs = [
            value["worker-response-ref"]
            for value in line.values()
            if isinstance(value, dict) and "worker-response-ref" in value
        ]
        place = refs[0].split("/")[-2] if refs else str(number)
        task_of[place] = line.get("task", line.get("source"))
    files = sorted(
        (root / RESPONSES).glob("iteration-*/*/*.json"),
        key=lambda file: (len(file.parent.name), file.as_posix()),
    )
    seen = set()
    for file in files:
        content = json.loads(_text(check_inside(file, root)))
        for one in content["answers"]:
            answer = (
                task_of.get(file.parent.name, f"object {file.parent.name}"),
                worker_of(one.get("workerId")),
                one["answerContent"],
                str(one.get("submissionTime", "")),
            )
            # Later files of a task repeat the answers of earlier ones.
            if json.dumps(answer) not in seen:
                seen.add(json.dumps(answer))
                yield answer


def _in_file(path: Path) -> Iterator[Answer]:
    """Read the answers in an output manifest of all workers, or in a consolidation request."""
    text = _text(path)
    if text.lstrip().startswith("["):
        records = [
            (one["dataObject"].get("content"), one["annotations"]) for one in json.loads(text)
        ]
    else:
        lines = [json.loads(line) for line in text.splitlines() if line.strip()]
        records = [
            (line.get("task", line.get("source")), value[EVERY])
            for line in lines
            for value in line.values()
            if isinstance(value, dict) and EVERY in value
        ]
        if lines and not records:
            raise DataError(
                "consolidated labels do not state who answered", hint=HINT, file=path.name
            )
    for task, annotations in records:
        for one in annotations:
            content = json.loads(one["annotationData"]["content"])
            yield task, worker_of(one.get("workerId")), content, ""


def _text(path: Path) -> str:
    check_file(path)
    return path.read_text(encoding="utf-8-sig")


def _score(content: object) -> object:
    """Return the answer named "score": a number, a classifier's label, or a radio button."""
    if isinstance(content, list) and len(content) == 1:
        content = content[0]
    value = content.get("score") if isinstance(content, dict) else None
    if isinstance(value, dict):
        chosen = [name for name, on in value.items() if on is True]
        value = value.get("label", chosen[0] if len(chosen) == 1 else None)
    return value if isinstance(value, str | int | float) else None
