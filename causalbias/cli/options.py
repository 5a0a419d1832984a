"""Options that several commands share."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from causalbias.errors import DataError, user_path

PATH: dict[str, Any] = {"parser": user_path, "metavar": "PATH"}  # "~" is the home directory
StudyPath = Annotated[
    Path | None,
    typer.Argument(
        help="Data set, or a saved study. [default: $CAUSALBIAS_DATA/DATASET, of --dataset]", **PATH
    ),
]
Dataset = Annotated[
    str | None,
    typer.Option(
        help="Layout of the files: omi, omi-ratings, causalface. [default: by what is in them]"
    ),
]
Report = Annotated[Path, typer.Option("-o", "--out", help="Directory for the report.", **PATH)]
Prob = Annotated[float, typer.Option(min=0.5, max=0.999, help="Probability of the intervals.")]
Draws = Annotated[int, typer.Option(min=100, help="Draws of each of four chains.")]
Embedders = Annotated[
    list[str] | None,
    typer.Option(
        "--embedder",
        help="dlib, sface, lbp, wavelets, eigenfaces (trained on these images), "
        "or the file of a network. Repeat it for several. Default: dlib and sface.",
    ),
]


def _fact(flag: str, text: str) -> Any:
    """A fact of a network; SYSTEM=VALUE says it of one system, and it can be repeated."""
    return Annotated[
        list[str] | None,
        typer.Option(
            flag, help=text, metavar="[SYSTEM=]VALUE", rich_help_panel="Facts of the networks"
        ),
    ]


Align = _fact(
    "--align",
    "dlib, arcface, clip, or none: the images are crops already. "
    "Default: as the network was trained.",
)
Detector = _fact("--detector", "hog, cnn or yunet. Default: the network's own.")
Architecture = _fact("--architecture", "Of a file of weights, e.g. iresnet50.")
Size = _fact("--size", "Of the input images in pixels, 112 or 112x96, where its file has none.")
Colour = _fact("--colour", "rgb, bgr or grey. Default: rgb, or as the file says.")
Normalise = _fact(
    "--normalise",
    "MEAN/SCALE for pixels from 0 to 255, numbers or three with commas, or none. "
    "Default: 127.5/127.5, or the architecture's.",
)
Metric = _fact("--metric", "cosine or euclidean. Default: the network's own, or cosine.")
Threshold = _fact("--threshold", "Largest distance of a match. Default: the published one.")
Config = _fact("--config", "Of a CLIP: its open_clip_config.json. Default: the file beside it.")
Output = _fact("--output", "Name or place of the embedding, of a file with several outputs.")
FACTS = {
    "align": Align,
    "detector": Detector,
    "architecture": Architecture,
    "size": Size,
    "colour": Colour,
    "normalise": Normalise,
    "metric": Metric,
    "threshold": Threshold,
    "output": Output,
    "config": Config,
}
Device = Annotated[str, typer.Option(help="cpu or cuda, for ONNX and torch networks.")]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Of a dask scheduler, such as tcp://host:8786, whose workers fit the models; they "
        "have this causalbias, and see the report's directory. [default: this machine]",
    ),
]
RandomSeed = Annotated[int, typer.Option(help="Seed of the random numbers.")]


def in_place_of_last[**P, T](
    function: Callable[P, T], options: Mapping[str, tuple[Any, Any]]
) -> Callable[P, T]:
    """Give a command options, annotation and default by name, for its last parameter.

    That one is ``**keywords``, so that the function gets them as a mapping.
    """
    own = list(inspect.signature(function).parameters.values())[:-1]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value, annotation=kind)
        for name, (kind, value) in options.items()
    ]
    # typer reads options from these
    function.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    function.__annotations__ = {one.name: one.annotation for one in (*own, *shared)}
    return function


def with_facts[**P, T](function: Callable[P, T]) -> Callable[P, T]:
    """Give a command the options that state facts of networks, in place of its ``**facts``.

    A command's own option of the same name, as the threshold of matches, is none of them.
    """
    own = inspect.signature(function).parameters
    return in_place_of_last(
        function, {name: (kind, None) for name, kind in FACTS.items() if name not in own}
    )


def equation_in(text: str, option: str, form: str) -> tuple[str, str]:
    """Both sides of an option such as ``--error COLUMN=COLUMN``."""
    column, equal, of = text.partition("=")
    if not (column and equal and of):
        raise DataError(f"{option} {text}", hint=f"write {option} {form}")
    return column, of


def mapped_in(
    texts: list[str] | None, option: str, form: str = "ATTRIBUTE=COLUMN"
) -> dict[str, str]:
    """Columns by attribute, each attribute once."""
    pairs = [equation_in(one, option, form) for one in texts or ()]
    found = dict(pairs)
    if len(found) < len(pairs):
        raise DataError(f"{option} names an attribute twice", hint="name each once")
    return found


def thresholds_in(
    texts: list[str], form: str = "NETWORK=DISTANCE"
) -> float | dict[str, float] | None:
    """One threshold of all systems, or that of each."""
    try:
        if len(texts) == 1 and "=" not in texts[0]:
            return float(texts[0])
        pairs = [one.rpartition("=") for one in texts]
        return {name: float(value) for name, _, value in pairs} or None
    except ValueError as error:
        alone = form.rpartition("=")[2].lower()
        raise DataError(
            f"--threshold {' '.join(texts)}", hint=f"write a {alone}, or {form}"
        ) from error
