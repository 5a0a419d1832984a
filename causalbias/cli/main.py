"""Command line: thin; everything it does is one call of the package."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from typer.core import TyperCommand

import causalbias as cb
from causalbias.errors import DataError, user_path

if TYPE_CHECKING:
    import xarray as xr

    from causalbias.report.content import Content

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)
console = Console()
STYLES = {"passed": "green", "unconverged": "red"}

PATH: dict[str, Any] = {"parser": user_path, "metavar": "PATH"}  # "~" is the home directory
Out = Annotated[Path, typer.Option("-o", "--out", help="Directory for the report.", **PATH)]
Dataset = Annotated[str, typer.Option(help="Layout of the files: omi, omi-ratings, causalface.")]
Prob = Annotated[float, typer.Option(min=0.5, max=0.999, help="Probability of the intervals.")]
Embedders = Annotated[
    list[str] | None,
    typer.Option(
        "--embedder",
        help="dlib, lbp, wavelets, eigenfaces (trained on these images), "
        "or a file of a network. Repeat it for several. [default: dlib]",
    ),
]
Align = Annotated[
    str | None,
    typer.Option(
        help="dlib, arcface, or none: the images are crops already. "
        "[default: as the embedder was trained]"
    ),
]
Architecture = Annotated[str | None, typer.Option(help="Of a file of weights, e.g. iresnet50.")]
Side = Annotated[
    int | None,
    typer.Option(
        "--size", help="Side of the images that a network takes, where its file does not say."
    ),
]
Device = Annotated[str, typer.Option(help="cpu or cuda, for ONNX and torch networks.")]
Seed = Annotated[int, typer.Option(help="Seed of the random numbers.")]


def _real_data(dataset: str) -> Path:
    return user_path(os.environ.get("CAUSALBIAS_DATA", "data")) / dataset.removesuffix("-ratings")


@app.command()
def demo(out: Out = Path("demo-report"), random_seed: Seed = 1) -> None:
    """Analyse a small simulated experiment and show the estimates beside the truth."""
    _analyse(cb.demo_study(random_seed), out, 0.95, random_seed)


class _ListsAnalyses(TyperCommand):
    """A command whose help ends with the registered analyses."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Parameters; the analyses are imported only where these are asked for."""
        from causalbias.analyses.registry import ANALYSES

        each = [f"{analysis.name}: {analysis.description}" for analysis in ANALYSES.values()]
        self.epilog = "\n\n".join(["Analyses:", *each])
        return super().get_params(ctx)


@app.command(cls=_ListsAnalyses)
def run(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="Data set, or a saved study. [default: $CAUSALBIAS_DATA/DATASET]", **PATH
        ),
    ] = None,
    out: Out = Path("report"),
    dataset: Dataset = "omi",
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the faces: embed them, for new distances.", **PATH),
    ] = None,
    embedder: Embedders = None,
    align: Align = None,
    architecture: Architecture = None,
    size: Side = None,
    device: Device = "cpu",
    analysis: Annotated[
        str | None,
        typer.Option(help="One of those below. [default: the first that applies to the study]"),
    ] = None,
    prob: Prob = 0.95,
    random_seed: Seed = 1,
) -> None:
    """Load an experiment, analyse it, and write figures, tables and a report."""
    files = None
    with _told():
        study = _study(path or _real_data(dataset), dataset)
        if images is not None:
            files = cb.recognition.images_of(study, images)
            cube = _embedded(files, embedder, align, architecture, size, device, out)
            study = cb.recognition.with_distances(study, cube)
            cb.save(study, out / "study.nc")
            _enrolled(study, out)
    _analyse(study, out, prob, random_seed, files, analysis)


@app.command()
def embed(
    images: Annotated[Path, typer.Argument(help="Folder of face images.", **PATH)],
    out: Annotated[Path, typer.Option("-o", "--out", help="Directory for the embeddings.", **PATH)],
    embedder: Embedders = None,
    align: Align = None,
    architecture: Architecture = None,
    size: Side = None,
    device: Device = "cpu",
    names: Annotated[
        str | None,
        typer.Option(
            help="Factors in the images' names, '{seed}_{race}_{pose}': also write a "
            "study of these faces."
        ),
    ] = None,
) -> None:
    """Embed a folder of faces; a run that was interrupted resumes where it stopped."""
    with _told():
        cube = _embedded(images, embedder, align, architecture, size, device, out)
        written = [cb.save(cube, out / "embeddings.nc")]
        if names is not None:
            faces = cb.datasets.stimuli_from_names(cube["stimulus"].values, names)
            factors = list(faces.columns[1:])
            study = cb.make_study(
                factors=factors,
                identity="seed" if "seed" in factors else factors[0],
                stimuli=faces,
                name=images.resolve().name,
            )
            study = cb.recognition.with_embeddings(study, cube)
            written += [cb.save(study, out / "study.nc"), _enrolled(study, out)]
            console.print(str(study), markup=False, highlight=False)
    for path in written:
        console.print(f"written: {path}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Directory for the release; new or empty.", **PATH)],
    seeds: Annotated[int, typer.Option(help="Generator seeds; the published study has 100.")] = 20,
    archive: Annotated[bool, typer.Option(help="Pack the images into data.zip.")] = False,
    random_seed: Seed = 1,
) -> None:
    """Write a simulated CausalFace release, whose effects are known."""
    with _told():
        root = cb.datasets.to_release(
            cb.simulate(seeds, random_seed=random_seed), out, archive=archive
        )
    console.print(f"release: {root}", markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"analyse it: causalbias run {root} --dataset causalface",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def validate(path: Annotated[Path, typer.Argument(**PATH)], dataset: Dataset = "omi") -> None:
    """Check a data set, or a saved study, and print what it holds."""
    with _told():
        study = _study(path, dataset)
        cb.validate(study)
    console.print(str(study), markup=False, highlight=False)
    console.print("valid", style="green")


@app.command()
def design(
    out: Annotated[Path, typer.Option("-o", "--out", help="Directory for the plan.", **PATH)],
    factor: Annotated[
        list[str], typer.Option(help="A factor and its levels: seed=1..20, race=asian,black.")
    ],
    attribute: Annotated[
        list[str] | None,
        typer.Option(help="An attribute moved alone, with its levels: pose=-2,0,2."),
    ] = None,
    formula: Annotated[
        str | None,
        typer.Option(
            help="Model to be fitted, of kind, annotator, item and the factors. "
            "[default: kind by factors, annotators and pairs]"
        ),
    ] = None,
    genuine: Annotated[int, typer.Option(help="Genuine pairs a group and two levels.")] = 10,
    impostors: Annotated[int, typer.Option(help="Impostor pairs a cell of the design.")] = 10,
    annotators: Annotated[int, typer.Option(help="Places for annotators.")] = 50,
    each: Annotated[int, typer.Option(help="Judgements of each pair.")] = 5,
    repeats: Annotated[float, typer.Option(help="Part shown a second time.")] = 0.1,
    base: Annotated[
        str, typer.Option(help="What goes before an image's path.")
    ] = "/data/local-files/?d=",
    random_seed: Seed = 1,
) -> None:
    """Plan an experiment: faces, pairs, who judges what; and what it can tell."""
    from causalbias.cli.stimuli import plan

    with _told():
        told = plan(
            out,
            factor,
            attribute or [],
            formula,
            genuine,
            impostors,
            annotators,
            each,
            repeats,
            base,
            random_seed,
        )
    console.print(told, markup=False, highlight=False, soft_wrap=True)
    console.print(f"plan: {out}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def check(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="Data set, or a saved study. [default: $CAUSALBIAS_DATA/DATASET]", **PATH
        ),
    ] = None,
    dataset: Dataset = "omi",
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the faces: also check quality and duplicates.", **PATH),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Directory for tables and figure.", **PATH)
    ] = None,
    prob: Prob = 0.95,
) -> None:
    """Check the manipulations: dose, leaks, identity, detection, image quality, duplicates."""
    from causalbias.cli.stimuli import write_checks

    with _told():
        study = _study(path or _real_data(dataset), dataset)
        files = None if images is None else cb.recognition.images_of(study, images)
        checks = cb.manipulation_checks.check_manipulations(study, images=files, prob=prob)
        written = [] if out is None else write_checks(checks, out)
    console.print(str(study), markup=False, highlight=False)
    console.print(str(checks), markup=False, highlight=False, soft_wrap=True)
    for one in written:
        console.print(f"written: {one}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def rerun(
    result: Annotated[
        Path, typer.Argument(help="A saved fit (.nc or .zarr), as in fits/.", **PATH)
    ],
) -> None:
    """Fit a saved fit again from its own record, and say what differs."""
    with _told():
        found = cb.open(result)
        if not isinstance(found, cb.Fit):
            raise DataError("this is no fit", hint="give one of fits/", file=result.name)
        _, differences = cb.model_checks.rerun(found)
    for row in differences.itertuples():
        told = f"{row.what}: {row.then} then, {row.now} now"
        console.print(told, markup=False, highlight=False, soft_wrap=True)
    if len(differences):
        raise typer.Exit(3)
    console.print("the same draws, from the same rows by the same versions", style="green")


class _told:
    """Ends the program with one line where the data are bad, or it is interrupted."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DataError | OSError):
            Console(stderr=True).print(f"error: {error}", style="red", markup=False, soft_wrap=True)
            raise typer.Exit(1) from None
        if isinstance(error, KeyboardInterrupt):
            told = "interrupted; what was finished is kept: the same command goes on from there"
            Console(stderr=True).print(told, style="red", soft_wrap=True)
            raise typer.Exit(130) from None


def _study(path: Path, dataset: str) -> "cb.Study":
    if path.suffix in (".nc", ".zarr"):
        found = cb.open(path)
        if not isinstance(found, cb.Study):
            raise DataError("this is a fit", hint="give a saved study", file=path.name)
        return found
    if dataset == "tidy":
        raise DataError(
            "tidy tables do not say what their factors are",
            hint='load them in Python, cb.load("tidy", ..., factors=[...]), and cb.save the study',
        )
    return cb.load(dataset, path)


def _embedded(
    images: Path | Mapping[str, Path],
    names: list[str] | None,
    align: str | None,
    architecture: str | None,
    size: int | None,
    device: str,
    store: Path,
) -> "xr.Dataset":
    """Embed with a bar for each system, and tell what failed to enrol."""
    chosen = []
    for name in names or ["dlib"]:
        known: dict[str, Any] = {}
        if Path(name).suffix:
            known = {"device": device} | ({"size": (size, size)} if size else {})
        if Path(name).suffix.lower() not in ("", ".onnx"):
            known["architecture"] = architecture
        chosen.append(
            cb.recognition.eigenfaces(images, align=align or "dlib")
            if name == "eigenfaces"
            else cb.embedder(name, **known)
        )
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        tasks = {one.name: bar.add_task(one.name, total=None) for one in chosen}

        def show(system: str, done: int, total: int) -> None:
            bar.update(tasks[system], completed=done, total=total)

        cube = cb.embed(images, chosen, align=align, store=store, progress=show)
    if cube.attrs["left_out"]:
        console.print(f"files left out: {cube.attrs['left_out']}", markup=False, highlight=False)
    for system in cube["system"].values:
        for what in ("status", "note"):
            values, counts = np.unique(cube[what].sel(system=system), return_counts=True)
            told = ", ".join(f"{n:,} {v}" for v, n in zip(values, counts, strict=True) if v)
            if told:
                console.print(f"{system}: {told}", markup=False, highlight=False)
    return cube


def _enrolled(study: "cb.Study", out: Path) -> Path:
    """Write failures to enrol, overall and by each factor; show those groups that have any."""
    import pandas as pd

    from causalbias.report.tables import write_csv

    identity = study.attrs["identity"]
    parts = [cb.rates.enrolment(study).assign(by="all", group="")]
    for factor in str(study.attrs["factors"]).split(","):
        if factor != identity:
            part = cb.rates.enrolment(study, [factor])
            parts.append(part.rename(columns={factor: "group"}).assign(by=factor))
    names = ["system", "by", "group"]
    table = pd.concat([part[[*names, *part.columns.drop(names)]] for part in parts])
    path = out / "enrolment.csv"
    write_csv(table, path)
    failed = table[table["failed"] > 0]
    if len(failed):
        shown = Table(title="Failures to enrol, 95% intervals")
        for column in failed:
            shown.add_column(str(column), justify="right")
        for row in failed.round(3).astype(str).to_numpy():
            shown.add_row(*row)
        console.print(shown)
    return path


def _analyse(
    study: "cb.Study",
    out: Path,
    prob: float,
    random_seed: int,
    images: Mapping[str, Path] | None = None,
    analysis: str | None = None,
) -> None:
    from causalbias.analyses.registry import choose_analysis
    from causalbias.report.page import write_report
    from causalbias.report.verdicts import overall

    console.print(str(study), markup=False, highlight=False)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with _told(), Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting")
        chosen = choose_analysis(study, analysis)
        result = chosen.run(
            study,
            prob=prob,
            random_seed=random_seed,
            progress=lambda step: bar.update(task, description=step),
            keep=out / "fits",
        )
        content = chosen.content(result, images=images)
        bar.update(task, description="report")
        page = write_report(content, out)
    console.print(_main_table(content))
    verdict = overall(content.record.verdicts.values())
    console.print(verdict.sentence, style=STYLES.get(verdict.level, "yellow"))
    console.print(f"report: {page}", markup=False, soft_wrap=True)
    if verdict.level == "unconverged":
        raise typer.Exit(2)


def _main_table(content: "Content") -> Table:
    """The estimates to show on a terminal."""
    from causalbias.report.tables import rounded

    table = content.results[content.headline]
    names = [str(name) for name in table]
    labels = names[: names.index("estimate")]
    sizes = [name for name in names if name == "n" or name.startswith("n_")]
    table = table[
        [*labels, *(n for n in ("estimate", "lower", "upper", "covered") if n in names), *sizes]
    ]
    shown = Table(title=content.titles[content.headline])
    for column in table:
        shown.add_column(str(column), justify="right")
    for row in rounded(table):
        shown.add_row(*row)
    return shown
