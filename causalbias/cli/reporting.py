"""A command of an analysis of a table: the options that all have, the report, what was found."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from causalbias.cli.console import say, steps_shown
from causalbias.cli.options import Draws, Prob, RandomSeed, Report, in_place_of_last

if TYPE_CHECKING:
    from causalbias.report.content import Content


def with_report(*, fits: bool = True) -> Callable[[Callable[..., "Content"]], Callable[..., None]]:
    """Make a command of a function that analyses a table and returns the report's content.

    The command has the function's parameters and, in the place of the last, ``**sampling``, the
    options that all such commands share: the directory of the report, and what the function gets as
    ``sampling`` to hand on to its analysis. The command writes the report, and prints the findings
    and the verdict on the models.

    Parameters
    ----------
    fits : bool
        Whether the analysis fits models, of which draws are asked for and files are kept.
    """
    options = {"prob": (Prob, 0.95), "random_seed": (RandomSeed, 0)}
    if fits:
        options["draws"] = (Draws, 1000)

    def decorate(analyse: Callable[..., "Content"]) -> Callable[..., None]:
        @wraps(analyse)
        def command(out: Path, **given: Any) -> None:
            with steps_shown() as say_step:
                keep = {"keep": out / "fits"} if fits else {}
                content = analyse(**given, **keep, progress=say_step)
                say_step("report")
                page = _written(content, out)
            _said(content, page)

        return in_place_of_last(command, {"out": (Report, Path("report"))} | options)

    return decorate


def _written(content: "Content", out: Path) -> Path:
    from causalbias.report.page import write_report

    return write_report(content, out)


def _said(content: "Content", page: Path) -> None:
    """Print what was found and the verdict on the models, which ends the program if one failed."""
    from causalbias.report.verdicts import overall

    for text in content.findings:
        say(text)
    verdict = overall(content.record.verdicts.values())
    if content.fits:
        say(verdict.sentence)
    say(f"report: {page}")
    if verdict.level == "unconverged":
        raise typer.Exit(2)
