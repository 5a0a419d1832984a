"""Answers of people and systems to the same items to estimates and a report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import causalbias as cb
from causalbias.cli.options import (
    PATH,
    mapped_in,
    thresholds_in,
)
from causalbias.cli.reporting import with_report

if TYPE_CHECKING:
    from causalbias.report.content import Content


@with_report()
def human_machine(
    people: Annotated[Path, typer.Argument(help="One row an answer of an annotator.", **PATH)],
    systems: Annotated[
        Path, typer.Argument(help="One row an answer of a system, or a similarity.", **PATH)
    ],
    items: Annotated[
        Path, typer.Argument(help="One row an item: its truth, task and groups.", **PATH)
    ],
    group: Annotated[
        list[str], typer.Option(help="Column of the subject's group; repeat it for several.")
    ],
    annotators: Annotated[
        Path | None, typer.Option(help="Table: one row an annotator, with groups.", **PATH)
    ] = None,
    own: Annotated[
        list[str] | None,
        typer.Option(metavar="GROUP=COLUMN", help="Column of annotators, if called otherwise."),
    ] = None,
    annotator: Annotated[str, typer.Option(help="Column of who answered.")] = "annotator",
    item: Annotated[str, typer.Option(help="Column of the item.")] = "item",
    answer: Annotated[str, typer.Option(help="Column of the answer.")] = "answer",
    system: Annotated[str, typer.Option(help="Column of the system.")] = "system",
    score: Annotated[
        str, typer.Option(help="Column of systems' similarities, in place of answers.")
    ] = "",
    option: Annotated[str, typer.Option(help="Column of the option that a similarity is of.")] = "",
    threshold: Annotated[
        list[str] | None,
        typer.Option(metavar="SIMILARITY", help="Or SYSTEM=SIMILARITY of each system."),
    ] = None,
    truth: Annotated[str, typer.Option(help="Column of the right answer.")] = "truth",
    task: Annotated[
        str, typer.Option(help="Column: verification or identification. [default: pairs only]")
    ] = "",
    options: Annotated[int, typer.Option(help="Number of options of an identification item.")] = 9,
    **sampling: Any,
) -> "Content":
    """People and systems on the same items: accuracy and bias side by side, and a report."""
    found = cb.analyses.analyse_human_machine(
        people,
        systems,
        items,
        groups=group,
        annotators=annotators,
        own=mapped_in(own, "--own", "GROUP=COLUMN") or None,
        annotator=annotator,
        item=item,
        answer=answer,
        system=system,
        score=score,
        option=option,
        threshold=thresholds_in(threshold or [], "SYSTEM=SIMILARITY"),
        truth=truth,
        task=task,
        options=options,
        **sampling,
    )
    return cb.analyses.human_machine_content(found)
