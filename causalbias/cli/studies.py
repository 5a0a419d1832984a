"""Studies on the command line: read, checked, simulated."""

import os
from pathlib import Path
from typing import Annotated

import typer

import causalbias as cb
from causalbias.cli.console import console, errors_in_one_line, say
from causalbias.cli.options import PATH, Dataset, RandomSeed
from causalbias.datasets.guess import layout_of
from causalbias.errors import DataError, user_path


def load_study(path: Path | None, dataset: str | None) -> "cb.Study":
    """A saved study, or the study of a data set's files.

    Parameters
    ----------
    path : Path or None
        By default the data set's folder under the environment variable ``CAUSALBIAS_DATA``.
    dataset : str or None
        Layout of the files, where they are no saved study. By default what `layout_of` finds,
        which is said.
    """
    if path is None:
        if dataset is None:
            raise DataError("no data", hint="give a folder or file, or --dataset omi")
        folder = user_path(os.environ.get("CAUSALBIAS_DATA", "data"))
        path = folder / dataset.removesuffix("-ratings")
    if path.suffix in (".nc", ".zarr"):
        found = cb.open(path)
        if not isinstance(found, cb.Study):
            raise DataError("this is a fit", hint="give a saved study", file=path.name)
        return found
    if dataset is None:
        dataset = layout_of(path)
        say(f"{path} was taken for the layout {dataset} (another: --dataset)")
    if dataset == "tidy":
        raise DataError(
            "tidy tables do not say what their factors are",
            hint='load them in Python, cb.load("tidy", ..., factors=[...]), and cb.save the study',
        )
    return cb.load(dataset, path)


def validate(path: Annotated[Path, typer.Argument(**PATH)], dataset: Dataset = None) -> None:
    """Check a data set, or a saved study, and print what it holds."""
    with errors_in_one_line():
        study = load_study(path, dataset)
        cb.validate(study)
    say(study)
    console.print("valid", style="green")


def simulate(
    out: Annotated[Path, typer.Argument(help="Directory for the release; new or empty.", **PATH)],
    seeds: Annotated[int, typer.Option(help="Generator seeds; the published study has 100.")] = 20,
    archive: Annotated[bool, typer.Option(help="Pack the images into data.zip.")] = False,
    random_seed: RandomSeed = 1,
) -> None:
    """Write a simulated CausalFace release, whose effects are known."""
    with errors_in_one_line():
        root = cb.datasets.to_release(
            cb.simulate(seeds, random_seed=random_seed), out, archive=archive
        )
    say(f"release: {root}")
    say(f"analyse it: causalbias run {root}")
