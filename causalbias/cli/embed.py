"""Images to embeddings, with a bar for each system and a table of failures to enrol."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import causalbias as cb
from causalbias.cli.console import console, errors_in_one_line, say, show_table
from causalbias.cli.networks import chosen_embedders
from causalbias.cli.options import (
    PATH,
    Device,
    Embedders,
    with_facts,
)
from causalbias.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

    from causalbias.recognition.embedder import Embedder


@with_facts
def embed(
    images: Annotated[Path, typer.Argument(help="Folder of face images.", **PATH)],
    out: Annotated[Path, typer.Option("-o", "--out", help="Directory for the embeddings.", **PATH)],
    embedder: Embedders = None,
    device: Device = "cpu",
    names: Annotated[
        str | None,
        typer.Option(
            help="Factors in the images' names, '{seed}_{race}_{pose}': also write a "
            "study of these faces."
        ),
    ] = None,
    **facts: Any,
) -> None:
    """Embed a folder of faces; a run that was interrupted resumes where it stopped."""
    with errors_in_one_line():
        chosen = chosen_embedders(images, embedder, device, facts)
        cube = embedded(images, chosen, out)
        written = [cb.save(cube, out / "embeddings.nc")]
        if names is not None:
            study = cb.recognition.with_embeddings(_study_of(images, cube, names), cube)
            warn(images, chosen, cube, study)
            written += [cb.save(study, out / "study.nc"), write_enrolment(study, out)]
            say(study)
    for path in written:
        say(f"written: {path}")


def embedded(
    images: Path | Mapping[str, Path],
    embedders: "list[Embedder]",
    store: Path,
) -> "xr.Dataset":
    """Embed images with a bar for each system, and print the failures."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        tasks = {each.name: bar.add_task(each.name, total=None) for each in embedders}

        def show(system: str, done: int, total: int) -> None:
            bar.update(tasks[system], completed=done, total=total)

        cube = cb.embed(images, embedders, store=store, progress=show)
    _print_failures(cube)
    return cube


def _print_failures(cube: "xr.Dataset") -> None:
    """The files left out, and the statuses and notes of each system with their counts."""
    import numpy as np

    if cube.attrs["left_out"]:
        say(f"files left out: {cube.attrs['left_out']}")
    for system in cube["system"].values:
        for what in ("status", "note"):
            values, counts = np.unique(cube[what].sel(system=system), return_counts=True)
            text = ", ".join(f"{n:,} {v}" for v, n in zip(values, counts, strict=True) if v)
            if text:
                say(f"{system}: {text}")


def warn(
    images: Path | Mapping[str, Path],
    embedders: "list[Embedder]",
    cube: "xr.Dataset",
    study: "cb.Study",
) -> None:
    """Print signs that images are not prepared as the networks need; of files, also try others."""
    from causalbias.recognition.choose import READY
    from causalbias.recognition.sanity import preparation_warning

    faces = cb.to_frame(study, "stimuli").set_index("stimulus")
    identity = faces[study.attrs["identity"]].astype(str).to_dict()
    found = cb.recognition.embedding_warnings(cube, identity)
    for one in embedders:
        if one.name in (*READY, "eigenfaces"):  # their preparation is known
            continue
        try:
            table = cb.recognition.compare_preparations(images, one, identity)
        except DataError:  # too few faces of one identity
            continue
        found += filter(None, [preparation_warning(table, one.name)])
    for text in found:
        console.print(f"warning: {text}", style="yellow", markup=False)


def _study_of(images: Path, cube: "xr.Dataset", names: str) -> "cb.Study":
    """A study of the faces whose files' names hold their factors."""
    faces = cb.datasets.stimuli_from_names(cube["stimulus"].values, names)
    factors = list(faces.columns[1:])
    return cb.make_study(
        factors=factors,
        identity="seed" if "seed" in factors else factors[0],
        stimuli=faces,
        name=images.resolve().name,
    )


def write_enrolment(study: "cb.Study", out: Path) -> Path:
    """Write failures to enrol, overall and by each factor; show the groups that have any."""
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
        cells = failed.round(3).astype(str).to_numpy()
        show_table("Failures to enrol, 95% intervals", map(str, failed), cells)
    return path
