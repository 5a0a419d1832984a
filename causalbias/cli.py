"""Command line: thin; everything it does is one call of the package."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

import causalbias as cb
from causalbias.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)
console = Console()

Out = Annotated[Path, typer.Option("-o", "--out", help="Directory for the report.")]
Dataset = Annotated[str, typer.Option(help="Layout of the files: omi, omi-ratings.")]
Prob = Annotated[float, typer.Option(min=0.5, max=0.999, help="Probability of the intervals.")]
Seed = Annotated[int, typer.Option(help="Seed of the random numbers.")]


def _real_data() -> Path:
    return Path(os.environ.get("CAUSALBIAS_DATA", "data")) / "omi"


@app.command()
def demo(out: Out = Path("demo-report"), seed: Seed = 1) -> None:
    """Analyse a small simulated experiment and show the estimates beside the truth."""
    _analyse(cb.demo_study(seed), out, 0.95, seed)


@app.command()
def run(
    path: Annotated[
        Path | None,
        typer.Argument(help="Data set, or a saved study. [default: $CAUSALBIAS_DATA/omi]"),
    ] = None,
    out: Out = Path("report"),
    dataset: Dataset = "omi",
    prob: Prob = 0.95,
    seed: Seed = 1,
) -> None:
    """Load a manipulation experiment, fit it, and write figures, tables and a report."""
    with _told():
        study = _study(path or _real_data(), dataset)
    _analyse(study, out, prob, seed)


@app.command()
def validate(path: Path, dataset: Dataset = "omi") -> None:
    """Check a data set, or a saved study, and print what it holds."""
    with _told():
        study = _study(path, dataset)
        cb.validate(study)
    console.print(str(study), markup=False, highlight=False)
    console.print("valid", style="green")


class _told:
    """Ends the program with one line where the data are bad."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DataError):
            Console(stderr=True).print(f"error: {error}", style="red", markup=False)
            raise typer.Exit(1) from None


def _study(path: Path, dataset: str) -> "cb.Study":
    if path.suffix in (".nc", ".zarr"):
        found = cb.open(path)
        if not isinstance(found, cb.Study):
            raise DataError("this is a fit", mend="give a saved study", file=path.name)
        return found
    return cb.load(dataset, path)


def _analyse(study: "cb.Study", out: Path, prob: float, seed: int) -> None:
    from causalbias.report.page import write_report
    from causalbias.report.tables import tables_of
    from causalbias.studies.manipulation import analyse_manipulation

    console.print(str(study), markup=False, highlight=False)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with _told(), Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting")
        result = analyse_manipulation(
            study,
            prob=prob,
            seed=seed,
            progress=lambda step: bar.update(task, description=step),
            keep=out / "fits",
        )
        bar.update(task, description="report")
        page = write_report(result, out)
        tables = tables_of(result)
    console.print(_main_table(tables))
    verdicts = tables["fits"]["verdict"]
    bad = int((verdicts != "converged").sum())
    style = "red" if bad else "green"
    console.print(f"{len(verdicts) - bad} of {len(verdicts)} models converged", style=style)
    console.print(f"report: {page}")
    if bad:
        raise typer.Exit(2)


def _main_table(tables: "dict[str, pd.DataFrame]") -> Table:
    """The estimates to show on a terminal: beside the truth if it is known, else the headline."""
    from causalbias.report.tables import rounded

    name = next(key for key in ("truth", "ratio", "human") if key in tables)
    titles = {
        "truth": "Estimates beside truth",
        "ratio": "Distance per point of perceived change",
        "human": "Change of the mean score",
    }
    wanted = ("side", "system", "attribute", "level", "truth", "estimate", "lower", "upper",
              "covered", "n", "n_edits", "n_raters")  # fmt: skip
    table = tables[name][[column for column in wanted if column in tables[name]]]
    shown = Table(title=titles[name])
    for column in table:
        shown.add_column(str(column), justify="right")
    for row in rounded(table):
        shown.add_row(*row)
    return shown
