"""Command line: thin; everything it does is one call of the package."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

import causalbias as cb
from causalbias.errors import DataError

if TYPE_CHECKING:
    from causalbias.report.content import Content

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)
console = Console()

Out = Annotated[Path, typer.Option("-o", "--out", help="Directory for the report.")]
Dataset = Annotated[str, typer.Option(help="Layout of the files: omi, omi-ratings, causalface.")]
Prob = Annotated[float, typer.Option(min=0.5, max=0.999, help="Probability of the intervals.")]
Seed = Annotated[int, typer.Option(help="Seed of the random numbers.")]


def _real_data(dataset: str) -> Path:
    return Path(os.environ.get("CAUSALBIAS_DATA", "data")) / dataset.removesuffix("-ratings")


@app.command()
def demo(out: Out = Path("demo-report"), seed: Seed = 1) -> None:
    """Analyse a small simulated experiment and show the estimates beside the truth."""
    _analyse(cb.demo_study(seed), out, 0.95, seed)


@app.command()
def run(
    path: Annotated[
        Path | None,
        typer.Argument(help="Data set, or a saved study. [default: $CAUSALBIAS_DATA/DATASET]"),
    ] = None,
    out: Out = Path("report"),
    dataset: Dataset = "omi",
    prob: Prob = 0.95,
    seed: Seed = 1,
) -> None:
    """Load an experiment, fit it, and write figures, tables and a report."""
    with _told():
        study = _study(path or _real_data(dataset), dataset)
    _analyse(study, out, prob, seed)


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Directory for the release; new or empty.")],
    seeds: Annotated[int, typer.Option(help="Generator seeds; the published study has 100.")] = 20,
    archive: Annotated[bool, typer.Option(help="Pack the images into data.zip.")] = False,
    seed: Seed = 1,
) -> None:
    """Write a simulated CausalFace release, whose effects are known."""
    with _told():
        root = cb.to_release(cb.simulate(seeds, rng=seed), out, archive=archive)
    console.print(f"release: {root}", markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"analyse it: causalbias run {root} --dataset causalface",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip


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
            Console(stderr=True).print(f"error: {error}", style="red", markup=False, soft_wrap=True)
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

    console.print(str(study), markup=False, highlight=False)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with _told(), Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting")
        content = _content(
            study,
            prob=prob,
            seed=seed,
            progress=lambda step: bar.update(task, description=step),
            keep=out / "fits",
        )
        bar.update(task, description="report")
        page = write_report(content, out)
    console.print(_main_table(content))
    verdicts = content.tables["fits"]["verdict"]
    bad = int((verdicts != "converged").sum())
    style = "red" if bad else "green"
    console.print(f"{len(verdicts) - bad} of {len(verdicts)} models converged", style=style)
    console.print(f"report: {page}", markup=False, soft_wrap=True)
    if bad:
        raise typer.Exit(2)


def _content(study: "cb.Study", **options: Any) -> "Content":
    """Analyse a study by what it manipulates: groups of faces, or attributes alone."""
    if {"race", "gender"} <= set(study.attrs["factors"].split(",")):
        from causalbias.report.identity import identity_content
        from causalbias.studies.identity import analyse_identity

        return identity_content(analyse_identity(study, **options))
    from causalbias.report.manipulation import manipulation_content
    from causalbias.studies.manipulation import analyse_manipulation

    return manipulation_content(analyse_manipulation(study, **options))


def _main_table(content: "Content") -> Table:
    """The estimates to show on a terminal."""
    from causalbias.report.tables import rounded

    whole = content.tables[content.headline]
    wanted = ("side", "fit", "system", "pairs", "race", "gender", "attribute", "level",
              "truth", "estimate", "lower", "upper", "covered", "n", "n_edits",
              "n_raters")  # fmt: skip
    table = whole[[column for column in wanted if column in whole]]
    shown = Table(title=content.titles[content.headline])
    for column in table:
        shown.add_column(str(column), justify="right")
    for row in rounded(table):
        shown.add_row(*row)
    return shown
