"""Command line: thin; everything that a command does is one call of the package."""

import typer

from causalbias.cli.analyse import ListsAnalyses, demo, run
from causalbias.cli.check import check_manipulations
from causalbias.cli.design import design
from causalbias.cli.embed import embed
from causalbias.cli.rerun import rerun
from causalbias.cli.studies import simulate, validate

app = typer.Typer(
    help="Causal bias of face recognition, measured by experiments on generated faces.",
    no_args_is_help=True,
    add_completion=False,
)
app.command()(demo)
app.command(cls=ListsAnalyses)(run)
app.command()(embed)
app.command()(simulate)
app.command()(validate)
app.command()(design)
app.command()(check_manipulations)
app.command()(rerun)
