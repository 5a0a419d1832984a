"""The report on ratings: how reliable they are, and whether the own group is rated higher."""

import numpy as np
import pandas as pd

from causalbias.analyses.causes import adjustment_sentence
from causalbias.analyses.ratings.analysis import Ratings
from causalbias.analyses.sentences import percent
from causalbias.analyses.table_report import content_of_table
from causalbias.causal.diagrams import Diagram, diagram
from causalbias.draws.estimate import Estimate
from causalbias.draws.summaries import summarise
from causalbias.plots.dose import dose_curve
from causalbias.plots.forest import forest
from causalbias.report.content import Content, Data, Picture
from causalbias.report.wording import alt_text, listed, with_range

TITLES = {
    "reliability": "Reliability of the mean of so many raters",
    "needed": "Raters needed for a reliability of 0.9",
    "components": "Variance components of a rating",
    "own_group": "Own-group effects",
    "consensus": "Correlation of what groups of raters see",
    "group_means": "Means by group, in the population of items and raters",
    "intraclass": "Intraclass correlations by analysis of variance",
    "means": "Plain means of the ratings",
}
WANTED = 0.9
GLOSSARY = {
    **dict.fromkeys(("attribute", "level", "seed", "network", "distance", "threshold"), ""),
    "item": "What was rated: a face, or a picture.",
    "reliability": "The share of the differences between items, in the mean of so many raters, "
    "that other raters would find again. Consistency: the order and distances of items; agreement: "
    "their level too, for which it matters that some raters are lenient.",
    "variance component": "The part of a rating's variance that comes from what was rated, from "
    "who rated, from both together, or from neither (residual).",
    "own-group effect": "How much higher ratings are where item and rater are of one group, "
    "after differences between groups of items and between groups of raters.",
}
COLUMNS = {
    "kind": "consistency: of differences between items; agreement: of their level too",
    "component": "item: what was rated; rater: who rated; item:rater_group: both groups of raters "
    "see the item differently; rater:item_group: a rater's own leaning to a group of items",
    "raters": "number of raters, each of whom rates an item once",
    "items": "number of items",
    "trait": "what was asked",
    "item_group": "group of the item",
    "rater_group": "group of the rater",
    "also": "names of Shrout and Fleiss",
    "share": "share of the sum of the components",
    "mean": "plain mean of the ratings",
    "note": "why an intraclass correlation is not defined",
}


def ratings_content(result: Ratings) -> Content:
    """Content of the report on ratings, for `write_report`.

    Parameters
    ----------
    result : Ratings
        From `analyse_ratings`.

    Returns
    -------
    Content

    Examples
    --------
    >>> import causalbias as cb
    >>> ratings = cb.simulation.simulate_ratings(items=12, raters=12)
    >>> found = cb.analyses.analyse_ratings(ratings, item="item", rater="rater", rating="rating",
    ...                                     draws=100)
    >>> sorted(cb.analyses.ratings_content(found).results)
    ['components', 'diagram', 'intraclass', 'means', 'needed', 'reliability']
    """
    tables = tables_of(result)
    answers = result.answers
    return content_of_table(
        Data(answers.name, answers.name, _summary(result), ("trait", "kind", "component")),
        answers.files,
        result.fits,
        result.prob,
        title="How far do people agree on what they see?",
        asked=_asked(result),
        findings=findings(result, tables),
        clear=_clear(tables.get("own_group")),
        not_said=_not_said(result),
        limits=_limits(result),
        pictures=_pictures(result, tables),
        results=tables,
        titles=TITLES,
        headline="own_group" if "own_group" in tables else "needed",
        glossary=GLOSSARY,
        columns=COLUMNS,
        diagram=_causes(result),
        adjustment=_adjustment(result),
    )


def tables_of(result: Ratings) -> dict[str, pd.DataFrame]:
    """Tables of the estimates by name, as in `TITLES`."""
    drawn: dict[str, Estimate | None] = {
        "reliability": result.reliability,
        "needed": raters_needed(result),
        "components": result.components,
        "own_group": result.own_group,
        "consensus": result.consensus,
        "group_means": result.group_means,
    }
    found = {}
    for name, draws in drawn.items():
        if draws is not None:
            table = summarise(draws, prob=result.prob).dropna(subset="estimate")
            if table.empty:
                continue
            found[name] = table.drop(
                columns=[one for one in ("p_positive", "scale", "population") if one in table]
                if name not in ("own_group", "group_means")
                else [one for one in ("scale", "population") if one in table]
            )
    shares = summarise(result.components, prob=result.prob, of="share")
    share = shares.set_index(["component", "trait"])["estimate"]
    places = found["components"].set_index(["component", "trait"]).index
    found["components"]["share"] = share.loc[places].to_numpy()
    if len(result.intraclass):
        noted = result.intraclass["note"] != ""
        found["intraclass"] = (
            result.intraclass if noted.any() else result.intraclass.drop(columns="note")
        )
    return found | {"means": result.means}


def raters_needed(result: Ratings, wanted: float = WANTED) -> Estimate:
    """Number of raters whose mean has a reliability (Spearman-Brown), from that of one."""
    one = result.reliability.sel(raters=1, drop=True)["coefficient"]
    needed = wanted / (1 - wanted) * (1 - one) / one
    found = result.reliability.drop_vars(["coefficient", "raters"], errors="ignore")
    return found.assign(needed=needed).assign_attrs(variable="needed", figure="forest")


def _summary(result: Ratings) -> str:
    """The data in a few lines of text."""
    frame = result.answers.frame
    again = frame.duplicated(["item", "rater", *(["trait"] if "trait" in frame else [])]).sum()
    repeats = f"  repeats     {int(again):,} ratings of an item that the rater rated before"
    return result.answers.described(
        "ratings",
        f"{len(frame):,} of {frame['item'].nunique():,} items by "
        f"{frame['rater'].nunique():,} raters",
        *([repeats] if again else []),
    )


def _asked(result: Ratings) -> str:
    frame = result.answers.frame
    traits = list(result.fits)
    own = (
        " Do people rate faces of their own group otherwise?"
        if result.own_group is not None
        else ""
    )
    return (
        f"{frame['rater'].nunique():,} people gave {len(frame):,} ratings of "
        f"{frame['item'].nunique():,} items"
        f"{f' on {listed(traits)}' if len(traits) > 1 else ''}. How much of a rating is due to "
        "what was rated, how much to who rated, and how many raters does it take for a mean that "
        f"others would find again?{own}"
    )


def findings(result: Ratings, tables: dict[str, pd.DataFrame]) -> list[str]:
    """The main results in sentences, each with its interval."""
    sentences = []
    reliability, needed = tables["reliability"], tables["needed"]
    kind = "consistency" if "consistency" in set(reliability["kind"]) else "agreement"
    for trait in result.fits:
        own = needed[(needed["trait"] == trait) & (needed["kind"] == kind)].iloc[0]
        one = reliability[
            (reliability["trait"] == trait)
            & (reliability["kind"] == kind)
            & (reliability["raters"] == 1)
        ].iloc[0]
        sentences.append(
            f"{trait}: {with_range(100 * one[['estimate', 'lower', 'upper']])} per cent of the "
            "variance of one rater's differences between items is found again by others; a "
            f"reliability of {WANTED:g} takes {_whole(own['estimate'])} raters (range "
            f"{_whole(own['lower'])} to {_whole(own['upper'])})."
        )
    for _, row in tables.get("own_group", pd.DataFrame()).iterrows():
        clear = row["lower"] > 0 or row["upper"] < 0
        which = "higher" if row["estimate"] > 0 else "lower"
        sentences.append(
            f"{row['trait']}: items of the rater's own group are rated {which} by "
            f"{with_range(row, size=True)} points."
            if clear
            else f"{row['trait']}: no own-group effect is clear ({with_range(row)} points)."
        )
    for _, row in tables.get("consensus", pd.DataFrame()).iterrows():
        sentences.append(
            f"{row['trait']}: what the groups of raters see correlates by {with_range(row)} once "
            "chance of single ratings is taken out."
        )
    return sentences + _said_of_rows(result)


def _said_of_rows(result: Ratings) -> list[str]:
    """What is not estimated because of cells without ratings, and rows that are there again."""
    frame = result.answers.frame
    sentences = result.answers.copies("ratings", "rater", "item", "trait")
    if not {"item_group", "rater_group"} <= set(frame):
        return sentences
    items, raters = (frame[one].astype(str).unique() for one in ("item_group", "rater_group"))
    for trait in result.fits:
        own = result.own_group
        effects = None if own is None else own["effect"].dropna("trait", how="all")
        if effects is not None and trait in effects["trait"].values:
            continue
        rows = frame[frame["trait"].astype(str) == trait] if "trait" in frame else frame
        cells = set(
            zip(rows["item_group"].astype(str), rows["rater_group"].astype(str), strict=True)
        )
        empty = [f"{a} by {b}" for a in items for b in raters if (a, b) not in cells]
        if empty:
            sentences.append(
                f"{trait}: no own-group effect is estimated, as there are no ratings of "
                f"{listed(empty)}."
            )
    return sentences


def _whole(raters: float) -> str:
    return f"{int(np.ceil(raters)):,}"


def _clear(own: pd.DataFrame | None) -> str:
    """How many own-group effects are clear."""
    if own is None:
        return "Little is known of a number whose range is wide."
    many = int(((own["lower"] > 0) | (own["upper"] < 0)).sum())
    return f"{many} of {len(own)} own-group effects are clear: their range leaves out zero."


def _not_said(result: Ratings) -> list[str]:
    not_said = [
        "Whether what people agree on is true: reliability is agreement, and people may share a "
        "stereotype.",
        "Anything about other kinds of people, or other pictures, than those in the data.",
        "Anything about who people are: groups are the labels that the data give.",
    ]
    own = result.own_group is not None
    if own and "rater:item_group" not in set(result.components["component"].values):
        not_said.append(
            "How one and the same person rates both groups of items: no rater rated items of two "
            "groups, so that groups of items are compared between people."
        )
    return not_said


def _limits(result: Ratings) -> list[str]:
    sentences = [
        "Models are Gaussian, as generalisability theory is; ratings on few steps have skewed "
        "noise near the ends of the scale. Means and variance components of many ratings bear it, "
        "and shares of single ratings do not.",
        "Raters and items are taken as samples of populations. With few of them the intervals "
        "depend on the prior of their standard deviations.",
    ]
    if "item_group" in result.answers.frame:
        sentences.append(
            "Reliability is within groups of items. Among all items it is higher where groups "
            "differ in their means."
        )
    if result.own_group is not None:
        sentences.append(
            "An own-group effect is a difference of differences of groups as they are labelled. "
            "Who chose to rate, and all that differs between groups of raters, is part of it."
        )
    return sentences


def _causes(result: Ratings) -> Diagram:
    """What is taken to move what in this analysis."""
    groups = [one for one in ("item", "rater") if f"{one}_group" in result.answers.frame]
    arrows = [f"{one} group -> {one}" for one in groups] + ["item -> rating <- rater"]
    if result.own_group is not None:
        arrows.append("item group -> own group <- rater group; own group -> rating")
    return diagram("; ".join(arrows))


def _adjustment(result: Ratings) -> list[str]:
    """What follows from the diagram."""
    found = _causes(result)
    sentences = [adjustment_sentence(found, "item", "rating")]
    if result.own_group is not None:
        sentences = [
            adjustment_sentence(found, "own group", "rating"),
            "The contrast of cells does that, as differences between groups cancel in it.",
        ]
    return [
        *sentences,
        "That no arrow leads from rater to item says that raters did not choose what they rate. "
        "What else differs between groups of items, or of raters, is part of their differences.",
    ]


def _pictures(result: Ratings, tables: dict[str, pd.DataFrame]) -> list[Picture]:
    note = f"{percent(result.prob)} intervals."
    kinds = result.reliability["kind"].values
    kind = "consistency" if "consistency" in kinds else "agreement"
    curve = result.reliability.sel(kind=kind)
    table = tables["reliability"]
    pictures = [
        Picture(
            "reliability",
            dose_curve(curve, prob=result.prob, ylabel="reliability", note=note),
            f"Reliability ({kind}) of the mean of so many raters. Bands: {note}",
            alt_text(
                table[(table["kind"] == kind) & (table["raters"] == 10)],
                ["trait"],
                "reliability of the mean of 10 raters",
                "Rising curves with bands",
            ),
            "reliability",
        )
    ]
    for name, draws, label, rows in (
        ("own_group", result.own_group, "own-group effect, points", "trait"),
        ("consensus", result.consensus, "correlation", "trait"),
    ):
        if draws is not None and name in tables:
            pictures.append(
                Picture(
                    name,
                    forest(draws, rows=rows, prob=result.prob, xlabel=label, note=note),
                    f"{TITLES[name]}. {note}",
                    alt_text(tables[name], ["trait"], label, "Points with intervals"),
                    name,
                )
            )
    return pictures
