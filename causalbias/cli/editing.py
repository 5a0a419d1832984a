"""Tables of editors' outputs to estimates and a report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import causalbias as cb
from causalbias.cli.options import PATH, mapped_in, thresholds_in
from causalbias.cli.reporting import with_report

if TYPE_CHECKING:
    from causalbias.report.content import Content

OfAttribute = Annotated[
    list[str] | None,
    typer.Option(metavar="ATTRIBUTE=COLUMN", help="As race=source_race; repeat it for several."),
]


@with_report()
def editing(
    manifest: Annotated[Path, typer.Argument(help="One row an output: CSV, TSV, Parquet.", **PATH)],
    distances: Annotated[
        Path, typer.Argument(help="One row two images and network, with their distance.", **PATH)
    ],
    output: Annotated[str, typer.Option(help="Column of the output.")] = "output",
    source: Annotated[str, typer.Option(help="Column of the photograph edited.")] = "source",
    person: Annotated[str, typer.Option(help="Column of the source's person.")] = "",
    target: Annotated[str, typer.Option(help="Column of what it was put into.")] = "",
    target_person: Annotated[str, typer.Option(help="Column of the target's person.")] = "",
    reference: Annotated[
        str, typer.Option(help="Column of another photograph of the source's person.")
    ] = "",
    editor: Annotated[str, typer.Option(help="Column of the method.")] = "",
    source_attribute: OfAttribute = None,
    target_attribute: OfAttribute = None,
    output_attribute: OfAttribute = None,
    image_a: Annotated[str, typer.Option(help="Column of the one image.")] = "image_a",
    image_b: Annotated[str, typer.Option(help="Column of the other image.")] = "image_b",
    distance: Annotated[str, typer.Option(help="Column of their distance.")] = "distance",
    network: Annotated[str, typer.Option(help="Column of the network.")] = "",
    threshold: Annotated[
        list[str] | None,
        typer.Option(metavar="DISTANCE", help="Or NETWORK=DISTANCE of each network."),
    ] = None,
    fmr: Annotated[float | None, typer.Option(help="In its place: a false match rate.")] = None,
    **sampling: Any,
) -> "Content":
    """Editors that should keep identity: whose they lose, whose group they change, and a report."""
    found = cb.analyses.analyse_editing(
        manifest,
        distances,
        output=output,
        source=source,
        person=person,
        target=target,
        target_person=target_person,
        reference=reference,
        editor=editor,
        source_attributes=mapped_in(source_attribute, "--source-attribute"),
        target_attributes=mapped_in(target_attribute, "--target-attribute"),
        output_attributes=mapped_in(output_attribute, "--output-attribute"),
        image_a=image_a,
        image_b=image_b,
        distance=distance,
        network=network,
        threshold=thresholds_in(threshold or []),
        fmr=fmr,
        **sampling,
    )
    return cb.analyses.editing_content(found)
