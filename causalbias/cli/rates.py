"""A table of scores, or a folder of photographs, to error rates by group and a report."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import causalbias as cb
from causalbias.cli.console import errors_in_one_line, in_options, say, show_table, steps_shown
from causalbias.cli.embed import embedded
from causalbias.cli.networks import chosen_embedders
from causalbias.cli.options import (
    PATH,
    Device,
    Embedders,
    Prob,
    RandomSeed,
    Report,
    with_facts,
)
from causalbias.errors import DataError
from causalbias.study.columns import number_hint

if TYPE_CHECKING:
    from causalbias.datasets.scores import Scores

Group = Annotated[
    str,
    typer.Option(help="Factors of groups, with commas: race,gender. [default: found by name]"),
]
Fmr = Annotated[
    float | None,
    typer.Option(help="Set the threshold at this rate of false matches, such as 0.001."),
]
AtThreshold = Annotated[
    list[str] | None,
    typer.Option(
        "--threshold",
        metavar="[SYSTEM=]VALUE",
        help="Threshold, in units of the score. With --fmr, both are reported.",
    ),
]
Pool = Annotated[
    bool,
    typer.Option("--pool", help="Also one model of all groups, in which small ones borrow."),
]


def rates(
    scores: Annotated[
        list[Path],
        typer.Argument(help="Tables of scores (CSV, TSV, Parquet, Excel), or a folder.", **PATH),
    ],
    out: Report = Path("report"),
    threshold: AtThreshold = None,
    fmr: Fmr = None,
    group: Group = "",
    id_a: Annotated[str, typer.Option(help="Column of the ids of the one side.")] = "",
    id_b: Annotated[str, typer.Option(help="Column of the ids of the other side.")] = "",
    score: Annotated[
        str, typer.Option(help="Column of scores; several, with commas, are systems.")
    ] = "",
    similarity: Annotated[
        bool | None,
        typer.Option(
            "--similarity/--distance", help="Whether a higher score means more alike, or less."
        ),
    ] = None,
    same: Annotated[str, typer.Option(help="Column that says which pairs show one person.")] = "",
    system: Annotated[str, typer.Option(help="Column of the systems that compared.")] = "",
    person: Annotated[
        str,
        typer.Option(
            help="Where ids are of images: columns of the persons, or a pattern of the ids, "
            "'{person}_{race}_{n}'."
        ),
    ] = "",
    pool: Pool = False,
    subjects: Annotated[
        Path | None,
        typer.Option(help="Table of the groups of persons, or of images.", **PATH),
    ] = None,
    prob: Prob = 0.95,
    random_seed: RandomSeed = 0,
) -> None:
    """Error rates by group of a table of scores: a report, tables, figures and results.json."""
    with errors_in_one_line():
        kind = "" if similarity is None else "similarity" if similarity else "distance"
        found = cb.datasets.read_scores(
            scores,
            id_a=id_a,
            id_b=id_b,
            group=_listed(group),
            score=_listed(score),
            kind=kind,
            same=same,
            system=system,
            person=person,
            subjects=subjects,
        )
    _report(found, out, threshold, fmr, pool=pool, prob=prob, random_seed=random_seed)


@with_facts
def photos(
    folder: Annotated[Path, typer.Argument(help="Folder of photographs.", **PATH)],
    names: Annotated[
        str,
        typer.Option(help="What the files' names hold: '{person}_{race}_{gender}_{n}'."),
    ] = "",
    table: Annotated[
        Path | None,
        typer.Option(
            help="Table of the images in place of --names: image, person and groups.", **PATH
        ),
    ] = None,
    out: Report = Path("report"),
    threshold: AtThreshold = None,
    fmr: Fmr = None,
    group: Group = "",
    pool: Pool = False,
    embedder: Embedders = None,
    device: Device = "cpu",
    prob: Prob = 0.95,
    random_seed: RandomSeed = 0,
    **facts: Any,
) -> None:
    """Photographs to error rates by group: embed, compare all pairs, report; resumes if stopped."""
    with errors_in_one_line():
        if bool(names) == (table is not None):
            raise DataError(
                "who is on the photographs is not said, or said twice",
                hint="give --names '{person}_{race}_{gender}_{n}' or --table IMAGES.csv",
            )
        faces = cb.recognition.photo_faces(folder, names=names, table=table, group=_listed(group))
        for text in faces.remarks:
            say(text)
        chosen = chosen_embedders(faces.files, embedder, device, facts)
        cube = embedded(faces.files, chosen, out)
        found = cb.recognition.photo_scores(faces, cube)
        if threshold is None and fmr is None:
            threshold = [f"{one.name}={one.threshold}" for one in chosen if one.threshold]
    _report(found, out, threshold, fmr, pool=pool, prob=prob, random_seed=random_seed)


def _listed(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _report(
    scores: "Scores",
    out: Path,
    threshold: Sequence[str] | None,
    fmr: float | None,
    *,
    pool: bool,
    prob: float,
    random_seed: int,
) -> None:
    """Say what was read, estimate, write the report, and print the rates and what was found."""
    from causalbias.report.page import write_report

    say(f"{scores.name}: {len(scores.frame):,} comparisons; columns were taken for")
    for row in scores.taken.itertuples():
        say(f"  {row.what}: {row.column} ({row.how})")
    for row in scores.excluded.itertuples(index=False):
        say(f"left out: {row.count:,} {row.what} {row.reason} ({row.file})")
    for text in scores.remarks:
        say(in_options(f"note: {text}"))
    with steps_shown() as say_step:
        result = cb.analyses.audit(
            scores,
            threshold=_thresholds(threshold, scores.systems),
            fmr=fmr,
            pool=pool,
            prob=prob,
            random_seed=random_seed,
            progress=say_step,
        )
        say_step("report")
        content = cb.analyses.audit_content(result)
        page = write_report(content, out)
    table = content.results["rates"]
    for point in result.points:
        _show_headline(table[table["operating_point"] == point.name], point.name)
    for who, sentences in content.plain.found.items():
        for text in sentences:
            say(f"{who}: {text}" if who else text)
    say(f"report: {page}")


def _thresholds(given: Sequence[str] | None, systems: Sequence[str]) -> Any:
    """Thresholds of the command line: one number, or one for each system."""
    if not given:
        return None
    found: dict[str, float] = {}
    for text in given:
        system, _, value = text.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            raise DataError(
                f"--threshold {text}: {value!r} is no number",
                hint=f"{number_hint(value)}, as in --threshold 0.6",
            ) from None
        if system and system not in systems:
            raise DataError(
                f"--threshold {text}: no system is called {system!r}",
                hint=f"use {', '.join(systems)}",
            )
        new = {system: number} if system else dict.fromkeys(systems, number)
        if twice := [one for one in new if one in found]:
            raise DataError(
                f"--threshold {text}: {twice[0]} has another threshold already",
                hint="give one threshold for each system: --threshold SYSTEM=VALUE",
            )
        found |= new
    return float(given[0]) if len(given) == 1 and "=" not in given[0] else found


def _show_headline(table: Any, name: str) -> None:
    """Print the rates at an operating point, with their intervals and sizes."""
    from causalbias.report.tables import rounded

    wanted = ["system", "rate_of", "group", "estimate", "lower", "upper", "errors", "n", "persons"]
    if table["system"].nunique() == 1:
        wanted.remove("system")
    cells = rounded(table[wanted].astype({"errors": int, "n": int}))
    show_table(f"Error rates by group, {name}", wanted, cells)
