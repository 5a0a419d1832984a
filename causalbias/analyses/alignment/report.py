"""The report on metrics of similarity against people's judgements."""

import numpy as np
import pandas as pd

from causalbias.analyses.alignment.analysis import ALL, Alignment
from causalbias.analyses.sentences import percent
from causalbias.analyses.table_report import content_of_table
from causalbias.causal.diagrams import Diagram, diagram
from causalbias.draws.summaries import summarise
from causalbias.plots.forest import forest
from causalbias.report.content import Content, Data, Picture
from causalbias.report.wording import alt_text, listed, number, with_range

TITLES = {
    "correlation": "Rank correlation of metrics with judgements",
    "corrected": "The same, over what a metric without error would reach",
    "accuracy": "Share of comparisons of two pairs that a metric orders as people do",
    "differences": "Difference from all pairs",
}
GLOSSARY = {
    **dict.fromkeys(("attribute", "level", "seed", "network", "model", "converged"), ""),
    "distance": "",
    "threshold": "",
    "metric": "A number that says how alike two faces are, of a program or of other people.",
    "rank correlation": "Whether pairs that people find more alike are more alike by the metric: 1 "
    "if the order of all pairs is the same, 0 if there is no relation.",
    "ceiling": "Judgements vary by chance, so that even a perfect metric would not agree with them "
    "fully. The ceiling is what it would reach.",
    "accuracy": "Of each two pairs of which people find one more alike, how often the metric says "
    "the same. Chance is a half.",
}
COLUMNS = {
    "metric": "what was compared with the judgements",
    "group": "groups of the two faces of a pair",
    "faces": "number of faces",
    "n": "number of pairs",
    "ceiling": "correlation that a metric without error would have with these judgements",
    "accuracy_ceiling": "accuracy that a metric without error would have",
    "reliability": "share of the variance of judgements that is not noise",
    "ties": "share of comparisons in which the metric is equal",
}
ADJUSTMENT = (
    "No arrow leads from the metric to the judgement or back: their correlation is no effect, and "
    "nothing is adjusted for. It comes from the faces, which both see, and as well from all else "
    "that both see in the pictures: that a metric agrees with people does not say that it sees "
    "what they see."
)
SAID = ("ceiling", "accuracy_ceiling", "reliability", "ties")


def alignment_content(result: Alignment) -> Content:
    """Content of the report on metrics and judgements, for `write_report`.

    Parameters
    ----------
    result : Alignment
        From `analyse_alignment`.

    Returns
    -------
    Content

    Examples
    --------
    >>> import causalbias as cb
    >>> pairs = cb.simulation.simulate_similarity(faces=14)
    >>> found = cb.analyses.analyse_alignment(pairs, face_a="face_a", face_b="face_b",
    ...                                       judgement="judgement", metrics="metric")
    >>> sorted(cb.analyses.alignment_content(found).results)
    ['accuracy', 'correlation', 'diagram']
    """
    tables = tables_of(result)
    answers = result.answers
    return content_of_table(
        Data(answers.name, answers.name, _summary(result), ("group", "metric")),
        answers.files,
        {},
        result.prob,
        title="Do metrics see what people see?",
        asked=_asked(result),
        findings=findings(tables),
        clear=_clear(result),
        allowed_for="chance in which faces were judged",
        not_said=[
            "Why a metric and people differ, and which of the two is right.",
            "What other faces would give: those here are taken as a sample of all.",
            "Whether a metric is fair: agreement within a group may be low because its faces are "
            "all alike, for people too. The ceiling shows whether it is.",
        ],
        limits=_limits(result),
        pictures=_pictures(result, tables),
        results=tables,
        titles=TITLES,
        headline="correlation",
        glossary=GLOSSARY,
        columns=COLUMNS,
        diagram=_causes(result),
        adjustment=[ADJUSTMENT],
    )


def tables_of(result: Alignment) -> dict[str, pd.DataFrame]:
    """Tables of the estimates by name, as in `TITLES`."""
    tables = {}
    for name in ("correlation", "corrected", "accuracy"):
        table = summarise(result.found, prob=result.prob, of=name).dropna(subset="estimate")
        kept = [*("group", "metric", "estimate", "lower", "upper", "n", "faces"), *SAID]
        table = table[[one for one in kept if one in table]].dropna(axis=1, how="all")
        if len(table):
            tables[name] = table.astype({"n": int, "faces": int}).reset_index(drop=True)
    groups = [one for one in result.found["group"].values if one != ALL]
    if groups:
        which = "corrected" if "corrected" in tables else "correlation"
        values = result.found[which]
        difference = values.sel(group=groups) - values.sel(group=ALL, drop=True)
        table = summarise(difference.to_dataset(name="difference"), prob=result.prob)
        kept = ["group", "metric", "estimate", "lower", "upper"]
        tables["differences"] = table[kept].dropna().assign(of=which).reset_index(drop=True)
    return tables


def _summary(result: Alignment) -> str:
    frame = result.answers.frame
    faces = set(frame["face_a"].astype(str)) | set(frame["face_b"].astype(str))
    return result.answers.described("rows", f"{len(frame):,} of {len(faces):,} faces")


def _asked(result: Alignment) -> str:
    table = result.found
    pairs, faces = (int(table[one].sel(group=ALL)[0]) for one in ("n", "faces"))
    return (
        f"People judged how alike the two faces of {pairs:,} pairs are ({faces:,} faces). How far "
        f"does each metric ({listed(result.metrics)}) agree with them, given how noisy judgements "
        "are, and equally in all groups?"
    )


def findings(tables: dict[str, pd.DataFrame]) -> list[str]:
    """The main results in sentences, each with its interval."""
    sentences = []
    accuracies = tables["accuracy"].set_index(["group", "metric"])
    for _, row in tables["correlation"].iterrows():
        text = f"{row['metric']}, {row['group']}: the rank correlation is {with_range(row, 3)}"
        if row.get("reliability", 1) <= 0:
            text += ", where the noise of judgements is as large as their spread (no ceiling)"
        if "corrected" in tables:
            corrected = tables["corrected"]
            own = corrected[
                (corrected["group"] == row["group"]) & (corrected["metric"] == row["metric"])
            ]
            if len(own):
                top = number(own["ceiling"].iloc[0], 3)
                text += (
                    f", where a metric without error would have {top} with judgements this noisy: "
                    f"{with_range(own.iloc[0], 3)} of it"
                )
        key = row["group"], row["metric"]
        if key in accuracies.index:
            right = accuracies.loc[key]
            share = with_range(100 * right[["estimate", "lower", "upper"]].astype(float), 3)
            text += f"; it orders {share} per cent of comparisons as people do"
        sentences.append(f"{text}.")
    for metric, part in tables["correlation"].groupby("metric"):
        if (part["upper"] < 0).all():
            sentences.append(
                f"{metric} is less where people find faces more alike: if it is a distance, say so."
            )
    return sentences


def _clear(result: Alignment) -> str:
    if np.isfinite(result.found["ceiling"]).any():
        return "The noise of judgements is known, and allowed for in the corrected correlations."
    reliability = result.found["reliability"]
    if (reliability > 0).any():
        return (
            "The noise of judgements is known, but that of the metrics is as large as their "
            "spread: there is no ceiling, and no corrected correlation."
        )
    if np.isfinite(reliability).any():
        return (
            "The noise of judgements is as large as their spread: people do not agree on which "
            "pairs are alike more than chance makes them, so that there is no ceiling, and a low "
            "correlation says nothing of a metric."
        )
    return (
        "How noisy the judgements are is not known: a correlation may be low because people do "
        "not agree among themselves."
    )


def _limits(result: Alignment) -> list[str]:
    sentences = [
        "Intervals are of the population of faces: pairs that share a face move together. They "
        "are by linearisation, and short with fewer than some 20 faces.",
        "Rank correlations of groups with less varied faces are lower for the same error of a "
        "metric: compare corrected ones, and accuracies with their ceilings.",
    ]
    if np.isfinite(result.found["ceiling"]).any():
        sentences.append(
            "Ceilings take the noise as normal and independent between pairs. The ceiling's own "
            "error is in the interval of the corrected correlation."
        )
    correlation = result.found["correlation"].isel(chain=0, draw=0)
    lost = [
        f"{metric}, {group}"
        for group in correlation["group"].values
        for metric in correlation["metric"].values
        if np.isfinite(result.found["n"].sel(group=group, metric=metric))
        and np.isnan(correlation.sel(group=group, metric=metric))
    ]
    if lost:
        sentences.append(
            "Without variation of the metric or of the judgements there is no correlation: "
            f"{listed(lost)}."
        )
    if few := [
        str(group)
        for group in correlation["group"].values
        if not np.isfinite(result.found["n"].sel(group=group)).any()
    ]:
        sentences.append(f"Too few pairs or faces to estimate anything: {listed(few)}.")
    return sentences


def _causes(result: Alignment) -> Diagram:
    """What is taken to move what in this analysis."""
    causes = ("faces", "light and pose")
    arrows = [f"{cause} -> {effect}" for cause in causes for effect in ("judgement", "metric")]
    arrows.append("raters -> judgement")
    if result.found.sizes["group"] > 1:
        arrows.append("group -> faces")
    return diagram("; ".join(arrows), unmeasured=causes[1])


def _pictures(result: Alignment, tables: dict[str, pd.DataFrame]) -> list[Picture]:
    note = f"{percent(result.prob)} intervals over faces."
    pictures = []
    for name in ("correlation", "corrected", "accuracy"):
        if name not in tables:
            continue
        draws = result.found[[name]].assign_attrs(variable=name)
        known = [one for one in draws["group"].values if one in set(tables[name]["group"])]
        label = TITLES[name][0].lower() + TITLES[name][1:]
        short = {"correlation": "rank correlation", "corrected": "share of the ceiling"}
        figure = forest(
            draws.sel(group=known),
            rows="group",
            prob=result.prob,
            xlabel=short.get(name, name),
            note=note,
        )
        alt = alt_text(tables[name], ["group", "metric"], label, "Points with intervals")
        pictures.append(Picture(name, figure, f"{TITLES[name]}. {note}", alt, name))
    return pictures
