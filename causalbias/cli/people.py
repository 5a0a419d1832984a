"""People's answers in a table to estimates and a report: ratings."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

import causalbias as cb
from causalbias.cli.console import console, errors_in_one_line, say
from causalbias.cli.options import PATH, Prob, RandomSeed, Report

if TYPE_CHECKING:
    from causalbias.report.content import Content

Draws = Annotated[int, typer.Option(min=100, help="Draws of each of four chains.")]


def ratings(
    table: Annotated[Path, typer.Argument(help="One row a rating: CSV, TSV, Parquet.", **PATH)],
    item: Annotated[str, typer.Option(help="Column of what was rated.")],
    rater: Annotated[str, typer.Option(help="Column of who rated.")],
    rating: Annotated[str, typer.Option(help="Column of the number.")],
    trait: Annotated[str, typer.Option(help="Column of what was asked, if several things.")] = "",
    item_group: Annotated[str, typer.Option(help="Column of the item's group.")] = "",
    rater_group: Annotated[str, typer.Option(help="Column of the rater's group.")] = "",
    out: Report = Path("report"),
    draws: Draws = 1000,
    prob: Prob = 0.95,
    random_seed: RandomSeed = 0,
) -> None:
    """Ratings of faces: reliability, raters needed, own-group effects, and a report."""

    def made(progress: Callable[[str], None]) -> "Content":
        found = cb.analyses.analyse_ratings(
            table,
            item=item,
            rater=rater,
            rating=rating,
            trait=trait,
            item_group=item_group,
            rater_group=rater_group,
            prob=prob,
            draws=draws,
            random_seed=random_seed,
            progress=progress,
            keep=out / "fits",
        )
        return cb.analyses.ratings_content(found)

    _report(made, out)


def _report(made: Callable[[Callable[[str], None]], "Content"], out: Path) -> None:
    """Estimate, write the report, and print what was found and the verdict on the models."""
    from causalbias.report.page import write_report
    from causalbias.report.verdicts import overall

    columns: Any = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with errors_in_one_line(), Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting")
        content = made(lambda step: bar.update(task, description=step))
        bar.update(task, description="report")
        page = write_report(content, out)
    for text in content.findings:
        say(text)
    verdict = overall(content.record.verdicts.values())
    say(verdict.sentence)
    say(f"report: {page}")
    if verdict.level == "unconverged":
        raise typer.Exit(2)
