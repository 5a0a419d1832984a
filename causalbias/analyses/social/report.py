"""The report on how a vision-language model perceives faces."""

import pandas as pd

from causalbias.analyses.causes import adjustment_sentence
from causalbias.analyses.sentences import causal_if, percent
from causalbias.analyses.social.analysis import SocialPerception
from causalbias.analyses.social.table import CONTRAST, NEUTRAL
from causalbias.analyses.table_report import content_of_table
from causalbias.causal.diagrams import Diagram, diagram
from causalbias.draws.estimate import Estimate
from causalbias.draws.summaries import summarise
from causalbias.plots.dose import dose_curve
from causalbias.plots.forest import forest
from causalbias.report.content import Content, Data, Picture
from causalbias.report.wording import alt_text, listed, with_range

TITLES = {
    "effects": "Effects of groups on the similarity with prompts",
    "interactions": "How far effects differ between levels of another group",
    "cells": "Means of combinations of groups",
    "markedness": "Markedness: similarity with neutral prompts, minus that of the others",
    "coefficients": "Linear and quadratic coefficients of doses",
    "changes": "Mean absolute change where one attribute changes",
    "shares": "Shares of the variance of the outcome",
}
GLOSSARY = {
    **dict.fromkeys(("attribute", "level", "network", "distance", "threshold"), ""),
    "similarity": "The cosine of the angle between the model's embeddings of an image and of a "
    "text. Larger: the model finds that the text fits the image better. Differences are small "
    "numbers: all images and texts of such a model have similar cosines.",
    "prompt": "A text with which images are compared, such as a photo of a friendly person.",
    "valence": "Whether a prompt says something good (positive), bad (negative), or neither.",
    CONTRAST: "How much more similar an image is to positive than to negative prompts.",
    "markedness": "How much more similar a group is to neutral prompts, such as a photo of a "
    "person, than the others. Negative: the model takes others to be the usual case.",
}
COLUMNS = {
    "prompts": "of which prompts the outcome is; positive - negative: of each image's contrast",
    "contrast": "the two levels, or combinations, that are compared",
    "cell": "combination of groups",
    "term": "linear: slope in the middle of the range; quadratic: of the squared distance to it",
    "dose": "attribute that is a number",
    "attribute": "the one attribute in which two images of a seed differ",
    "source": "an attribute; groups: seeds, images and prompts; residual: none of these",
    "change": "mean absolute difference of similarities",
    "n": "number of images; of changes, of pairs of similarities; of shares, of rows",
}
DIGITS = 2


def social_perception_content(result: SocialPerception) -> Content:
    """Content of the report on similarities with prompts, for `write_report`.

    Parameters
    ----------
    result : SocialPerception
        From `analyse_social_perception`.

    Returns
    -------
    Content

    Examples
    --------
    >>> import causalbias as cb
    >>> table = cb.simulation.simulate_social_perception(seeds=4, prompts=2)
    >>> found = cb.analyses.analyse_social_perception(
    ...     table[table["valence"] == "neutral"], image="image", prompt="prompt",
    ...     similarity="similarity", seed="seed", groups="race", draws=100)
    >>> sorted(cb.analyses.social_perception_content(found).results)
    ['cells', 'changes', 'diagram', 'effects', 'shares']
    """
    tables = tables_of(result)
    answers = result.answers
    many = tables["effects"]
    clear = int(((many["lower"] > 0) | (many["upper"] < 0)).sum())
    return content_of_table(
        Data(answers.name, answers.name, _summary(result), ("contrast", "prompts")),
        answers.files,
        result.fits,
        result.prob,
        title="How does a model that reads images and texts see faces?",
        asked=_asked(result),
        findings=findings(tables),
        clear=f"{clear} of {len(many)} effects of groups are clear: their range leaves out zero.",
        allowed_for="chance in which seeds and prompts were taken",
        not_said=[
            "What the model does in use: a similarity becomes a harm, or none, by what is done "
            "with it.",
            "That there is no difference where none is clear: the data may have been too few.",
            "Anything about who people are. Groups are what was asked of the generator, or what "
            "the data call them.",
        ],
        limits=_limits(result),
        pictures=_pictures(result, tables),
        results=tables,
        titles=TITLES,
        headline="effects",
        glossary=GLOSSARY,
        columns=COLUMNS,
        diagram=_causes(result),
        adjustment=_adjustment(result),
    )


def tables_of(result: SocialPerception) -> dict[str, pd.DataFrame]:
    """Tables of the estimates by name, as in `TITLES`."""
    found = {}
    for name in TITLES:
        draws = getattr(result, name)
        if draws is not None:
            table = summarise(draws, prob=result.prob).dropna(subset="estimate")
            unsigned = name in ("cells", "changes", "shares")
            dropped = ["scale", "population", *(["p_positive"] if unsigned else [])]
            found[name] = table.drop(columns=[one for one in dropped if one in table])
    return found


def findings(tables: dict[str, pd.DataFrame]) -> list[str]:
    """The main results in sentences, each with its interval."""
    sentences = []
    effects = tables["effects"]
    for prompts, rows in effects.groupby("prompts", sort=False):
        clear = rows[(rows["lower"] > 0) | (rows["upper"] < 0)]
        sentences += [
            f"{prompts}, {row['contrast']}: {with_range(row, DIGITS)}."
            for _, row in clear.iterrows()
        ]
        if clear.empty:
            size = rows[["lower", "upper"]].abs().to_numpy().max()
            sentences.append(
                f"{prompts}: no effect of a group is clear; the ends of all ranges are within "
                f"{size:.2g} of zero."
            )
    for name, said in (("interactions", "effects differ"), ("markedness", "markedness")):
        rows = tables.get(name, pd.DataFrame(columns=["lower", "upper"]))
        clear = rows[(rows["lower"] > 0) | (rows["upper"] < 0)]
        for _, row in clear.iterrows():
            of = f"{row['prompts']}, " if "prompts" in row else f"{NEUTRAL}, "
            sentences.append(f"{of}{row['contrast']}: {said}, {with_range(row, DIGITS)}.")
    changes = tables["changes"].sort_values("estimate", ascending=False)
    if len(changes):
        each = [f"{row['attribute']} {with_range(row, DIGITS)}" for _, row in changes.iterrows()]
        sentences.append(f"Where one attribute changes, similarities change by: {listed(each)}.")
    return sentences


def _summary(result: SocialPerception) -> str:
    frame = result.answers.frame
    return result.answers.described(
        "rows",
        f"{len(frame):,}: {frame['image'].nunique():,} images of {frame['seed'].nunique():,} "
        f"seeds, {frame['prompt'].nunique():,} prompts",
    )


def _asked(result: SocialPerception) -> str:
    frame = result.answers.frame
    return (
        f"{frame['image'].nunique():,} images of {frame['seed'].nunique():,} seeds were compared "
        f"with {frame['prompt'].nunique():,} prompts by a model that embeds both. How does the "
        f"similarity depend on {listed([*result.groups, *result.doses])}?"
    )


def _limits(result: SocialPerception) -> list[str]:
    sentences = [
        causal_if("the attribute changed in an image"),
        "Effects are of the population of seeds, and of prompts of the kind where several are "
        "there. With few prompts the intervals depend on the prior of their standard deviations.",
        "Doses have the same curve in all groups, with a linear and a quadratic term.",
        "Shares of the variance, and mean absolute changes, depend on which levels were made: a "
        "wider range of an attribute has a larger share. Absolute changes hold all that differs "
        "by chance between two images too, and are not zero where an attribute has no effect.",
    ]
    if len(result.groups) > 1 and result.interactions is None:
        sentences.append(
            "Some combinations of groups have no images: the effect of one group is taken to be "
            "the same in all levels of the others."
        )
    if any(name.endswith(CONTRAST) for name in result.fits):
        sentences.append(
            f"Shares of {CONTRAST} are of contrasts as single prompts give them: attributes have "
            "larger shares of an image's contrast over all its prompts."
        )
        sentences.append(
            f"{CONTRAST} says nothing of which of the two moved: positive prompts may fit better, "
            "or negative ones less."
        )
    return sentences


def _causes(result: SocialPerception) -> Diagram:
    """What is taken to move what in this analysis."""
    moved = ["group", *(["dose"] if result.doses else []), "prompt"]
    arrows = [f"{one} -> similarity" for one in (*moved, "seed")]
    arrows.append("group -> other changes of the image -> similarity")
    return diagram("; ".join(arrows), manipulated=moved, unmeasured="other changes of the image")


def _adjustment(result: SocialPerception) -> list[str]:
    """What follows from the diagram."""
    return [
        adjustment_sentence(_causes(result), "group", "similarity"),
        "That is so where the generator was told the group. In photographs nobody set it: where "
        "they come from then moves both the group and all else in the picture, and nothing in "
        "this table makes up for that. What the rendering of a group changes besides is part of "
        "its effect.",
    ]


def _pictures(result: SocialPerception, tables: dict[str, pd.DataFrame]) -> list[Picture]:
    note = f"{percent(result.prob)} intervals."
    pictures = []
    drawn: tuple[tuple[str, Estimate | None, str, str], ...] = (
        ("effects", result.effects, "contrast", "difference of similarity"),
        ("interactions", result.interactions, "contrast", "difference of effects"),
        ("markedness", result.markedness, "contrast", "similarity minus that of the others"),
        ("changes", result.changes, "attribute", "mean absolute change"),
    )
    for name, draws, rows, label in drawn:
        if draws is not None and len(tables[name]):
            figure = forest(draws, rows=rows, prob=result.prob, xlabel=label, note=note)
            labels = [rows, "prompts"]
            alt = alt_text(tables[name], labels, label, "Points with intervals")
            pictures.append(Picture(name, figure, f"{TITLES[name]}. {note}", alt, name))
    for one, curve in result.curves.items():
        for at, prompts in enumerate(curve["prompts"].values):
            # Each on its own axis: a contrast is near zero, a similarity is not.
            table = tables["coefficients"]
            table = table[(table["dose"] == one) & (table["prompts"] == prompts)]
            name = f"curve-{one}-{at + 1}" if one.isascii() else f"curve-{at + 1}"
            figure = dose_curve(
                curve.sel(prompts=prompts, drop=True),
                prob=result.prob,
                ylabel=f"similarity, {prompts}",
                note=note,
            )
            caption = f"Mean similarity by {one}, {prompts}. Bands: {note}"
            alt = alt_text(table, ["term"], f"coefficient of {one}", "A curve with its band")
            pictures.append(Picture(name, figure, caption, alt, "coefficients"))
    return pictures
