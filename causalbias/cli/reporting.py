"""An analysis of a table: estimates, the report, and what it found."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from causalbias.cli.console import say, steps_shown

if TYPE_CHECKING:
    from causalbias.report.content import Content


def reported(made: Callable[[Callable[[str], None]], "Content"], out: Path) -> None:
    """Estimate, write the report, and print what was found and the verdict on the models."""
    from causalbias.report.page import write_report
    from causalbias.report.verdicts import overall

    with steps_shown() as say_step:
        content = made(say_step)
        say_step("report")
        page = write_report(content, out)
    for text in content.findings:
        say(text)
    verdict = overall(content.record.verdicts.values())
    if content.fits:
        say(verdict.sentence)
    say(f"report: {page}")
    if verdict.level == "unconverged":
        raise typer.Exit(2)
