"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

from causalbias.errors import user_path

PATH: dict[str, Any] = {"parser": user_path, "metavar": "PATH"}  # "~" is the home directory
StudyPath = Annotated[
    Path | None,
    typer.Argument(help="Data set, or a saved study. [default: $CAUSALBIAS_DATA/DATASET]", **PATH),
]
Dataset = Annotated[str, typer.Option(help="Layout of the files: omi, omi-ratings, causalface.")]
Report = Annotated[Path, typer.Option("-o", "--out", help="Directory for the report.", **PATH)]
Prob = Annotated[float, typer.Option(min=0.5, max=0.999, help="Probability of the intervals.")]
Embedders = Annotated[
    list[str] | None,
    typer.Option(
        "--embedder",
        help="dlib, lbp, wavelets, eigenfaces (trained on these images), "
        "or the file of a network. Repeat it for several. [default: dlib]",
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
        "--size", help="Side of a network's input images in pixels, where its file has none."
    ),
]
Device = Annotated[str, typer.Option(help="cpu or cuda, for ONNX and torch networks.")]
RandomSeed = Annotated[int, typer.Option(help="Seed of the random numbers.")]
