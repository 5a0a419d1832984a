"""Answers and similarities in a table to estimates and a report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import causalbias as cb
from causalbias.cli.options import PATH, equation_in
from causalbias.cli.reporting import with_report

if TYPE_CHECKING:
    from causalbias.report.content import Content


@with_report()
def ratings(
    table: Annotated[Path, typer.Argument(help="One row a rating: CSV, TSV, Parquet.", **PATH)],
    item: Annotated[str, typer.Option(help="Column of what was rated.")],
    rater: Annotated[str, typer.Option(help="Column of who rated.")],
    rating: Annotated[str, typer.Option(help="Column of the number.")],
    trait: Annotated[str, typer.Option(help="Column of what was asked, if several things.")] = "",
    item_group: Annotated[str, typer.Option(help="Column of the item's group.")] = "",
    rater_group: Annotated[str, typer.Option(help="Column of the rater's group.")] = "",
    **sampling: Any,
) -> "Content":
    """Ratings of faces: reliability, raters needed, own-group effects, and a report."""
    found = cb.analyses.analyse_ratings(
        table,
        item=item,
        rater=rater,
        rating=rating,
        trait=trait,
        item_group=item_group,
        rater_group=rater_group,
        **sampling,
    )
    return cb.analyses.ratings_content(found)


@with_report(fits=False)
def alignment(
    table: Annotated[
        Path,
        typer.Argument(help="One row a pair, or a judgement of one: CSV.", **PATH),
    ],
    face_a: Annotated[str, typer.Option(help="Column of the one face.")],
    face_b: Annotated[str, typer.Option(help="Column of the other face.")],
    judgement: Annotated[str, typer.Option(help="Column of how alike people find them.")],
    metric: Annotated[list[str], typer.Option(help="Column of a metric; repeat it for several.")],
    rater: Annotated[str, typer.Option(help="Column of who judged, of single judgements.")] = "",
    error: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=COLUMN", help="Standard errors of judgements, or a metric."),
    ] = None,
    group_a: Annotated[str, typer.Option(help="Column of the one face's group.")] = "",
    group_b: Annotated[str, typer.Option(help="Column of the other face's group.")] = "",
    distance: Annotated[
        list[str] | None,
        typer.Option(help="Column in which smaller is more alike; repeat it for several."),
    ] = None,
    **sampling: Any,
) -> "Content":
    """Metrics against people's judgements of pairs: correlation, ceiling, accuracy, by group."""
    found = cb.analyses.analyse_alignment(
        table,
        face_a=face_a,
        face_b=face_b,
        judgement=judgement,
        metrics=metric,
        rater=rater,
        errors=dict(equation_in(one, "--error", "JUDGEMENT=STANDARD_ERROR") for one in error or ()),
        group_a=group_a,
        group_b=group_b,
        distances=distance or (),
        **sampling,
    )
    return cb.analyses.alignment_content(found)


@with_report()
def memory(
    table: Annotated[Path, typer.Argument(help="One row an answer: CSV, TSV, Parquet.", **PATH)],
    subject: Annotated[str, typer.Option(help="Column of who answered.")],
    face: Annotated[str, typer.Option(help="Column of the face, or the pair.")],
    signal: Annotated[str, typer.Option(help="Column that says which were old, or same.")],
    answer: Annotated[str, typer.Option(help="Column of the answers: old or new, 1 or 0.")] = "",
    confidence: Annotated[
        str, typer.Option(help="In its place: column of steps of confidence, the highest: old.")
    ] = "",
    old_from: Annotated[
        int | None, typer.Option(help="Lowest step of confidence that says old: 4 of 1 to 6.")
    ] = None,
    unequal_variance: Annotated[
        bool,
        typer.Option(
            "--unequal-variance", help="Of confidence: evidence on old faces may vary more."
        ),
    ] = False,
    face_group: Annotated[str, typer.Option(help="Column of the face's group.")] = "",
    subject_group: Annotated[str, typer.Option(help="Column of the subject's group.")] = "",
    **sampling: Any,
) -> "Content":
    """Old/new or same/different answers: d' and criterion by own and other group, and a report."""
    found = cb.analyses.analyse_signal_detection(
        table,
        subject=subject,
        face=face,
        signal=signal,
        answer=answer,
        confidence=confidence,
        old_from=old_from,
        unequal_variance=unequal_variance,
        face_group=face_group,
        subject_group=subject_group,
        **sampling,
    )
    return cb.analyses.signal_detection_content(found)


@with_report()
def social_perception(
    table: Annotated[Path, typer.Argument(help="One row an image and prompt: CSV.", **PATH)],
    image: Annotated[str, typer.Option(help="Column of the image.")],
    prompt: Annotated[str, typer.Option(help="Column of the prompt.")],
    similarity: Annotated[str, typer.Option(help="Column of the cosine of both embeddings.")],
    seed: Annotated[str, typer.Option(help="Column of what images of one face share.")],
    group: Annotated[
        list[str],
        typer.Option(help="Column of an attribute of categories; repeat it for several."),
    ],
    dose: Annotated[
        list[str] | None,
        typer.Option(help="Column of an attribute of numbers; repeat it for several."),
    ] = None,
    valence: Annotated[str, typer.Option(help="Column: positive, negative or neutral.")] = "",
    dimension: Annotated[str, typer.Option(help="Column of what prompts are about.")] = "",
    **sampling: Any,
) -> "Content":
    """Similarities of images with prompts: effects of attributes, valence, markedness."""
    found = cb.analyses.analyse_social_perception(
        table,
        image=image,
        prompt=prompt,
        similarity=similarity,
        seed=seed,
        groups=group,
        doses=dose or (),
        valence=valence,
        dimension=dimension,
        **sampling,
    )
    return cb.analyses.social_perception_content(found)
