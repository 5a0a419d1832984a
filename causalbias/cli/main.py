"""Command line: thin; everything that a command does is one call of the package."""

from typing import Annotated

import typer

import causalbias as cb
from causalbias.cli.analyse import ListsAnalyses, demo, run
from causalbias.cli.check import check_manipulations
from causalbias.cli.console import Command
from causalbias.cli.design import design
from causalbias.cli.doctor import doctor
from causalbias.cli.editing import editing
from causalbias.cli.embed import embed
from causalbias.cli.human_machine import human_machine
from causalbias.cli.people import alignment, memory, ratings, social_perception
from causalbias.cli.rates import photos, rates
from causalbias.cli.rerun import rerun
from causalbias.cli.studies import simulate, validate

app = typer.Typer(
    help="Bias of face recognition: error rates by group, and causal effects by experiments on "
    "generated faces.",
    no_args_is_help=True,
)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"causalbias {cb.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_say_version, is_eager=True),
    ] = False,
) -> None:
    """Bias of face recognition: error rates by group, and causal effects by experiments."""


for command in (rates, photos, ratings, alignment, memory, social_perception, editing):
    app.command(cls=Command)(command)
app.command(cls=Command)(human_machine)
app.command(cls=Command)(demo)
app.command(cls=ListsAnalyses)(run)
for command in (embed, simulate, validate, design, check_manipulations, rerun, doctor):
    app.command(cls=Command)(command)
