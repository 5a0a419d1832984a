"""A saved fit, fitted again."""

from pathlib import Path
from typing import Annotated

import typer

import causalbias as cb
from causalbias.cli.console import console, errors_in_one_line, say
from causalbias.cli.options import PATH
from causalbias.errors import DataError


def rerun(
    result: Annotated[
        Path, typer.Argument(help="A saved fit (.nc or .zarr), as in fits/.", **PATH)
    ],
) -> None:
    """Fit a saved fit again from its own record, and say what differs."""
    with errors_in_one_line():
        found = cb.open(result)
        if not isinstance(found, cb.Fit):
            raise DataError("this is no fit", hint="give a file of fits/", file=result.name)
        _, differences = cb.model_checks.rerun(found)
    for row in differences.itertuples():
        say(f"{row.what}: {row.then} then, {row.now} now")
    if len(differences):
        raise typer.Exit(3)
    console.print("the same draws, from the same rows by the same versions", style="green")
