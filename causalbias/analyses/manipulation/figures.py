"""The figures of a manipulation analysis's report, with captions and text alternatives."""

import pandas as pd
import xarray as xr

from causalbias.analyses.causes import (
    IMAGE_QUALITY,
    adjustment_sentence,
    causal_picture,
    lost_distances,
)
from causalbias.analyses.manipulation.analysis import Manipulation, judges_pairs
from causalbias.analyses.sentences import percent
from causalbias.causal.diagrams import Diagram, diagram
from causalbias.draws.estimate import Estimate
from causalbias.draws.summaries import summarise
from causalbias.plots.forest import forest
from causalbias.plots.manipulation import dose_response, perceived_against_distance, rank_heatmap
from causalbias.plots.style import label
from causalbias.report.content import Picture
from causalbias.report.wording import alt_text

LEAKS = {"naive": "ignored", "effect": "taken out"}  # variables of `leak_corrected`


def both_ways(found: Estimate, prob: float) -> pd.DataFrame:
    """Naive and corrected effects, a row each, with what is said of the correction."""
    parts = []
    for of, name in LEAKS.items():
        table = summarise(found, prob=prob, of=of).dropna(subset="estimate")
        at = table.columns.get_loc("estimate")
        table.insert(at, "leaks", name)  # type: ignore[arg-type]
        parts.append(table)
    both = pd.concat(parts, ignore_index=True)
    corrected = both["leaks"] == LEAKS["effect"]
    for said in ("conditional_f", "prior_share", "direct_to_doubt"):
        both[said] = both[said].where(corrected)
    dropped = [one for one in ("scale", "overidentification_p") if one in both]
    return both.drop(columns=dropped)


def pictures_of(result: Manipulation, tables: dict[str, pd.DataFrame]) -> list[Picture]:
    """All figures of an analysis; those of each network have its name."""
    pictures = [_human(result, tables["human"])]
    if result.corrected is not None:
        pictures.append(_corrected(result.corrected, result.prob, tables["corrected"]))
    if result.machine is None or result.ratio is None:
        return pictures
    seeds = int(result.study.children["stimuli"].to_dataset().sizes["seed"])
    note = f"{seeds} seeds."
    for system in result.machine["system"].values.tolist():
        moved, ratio = result.machine.sel(system=system), result.ratio.sel(system=system)
        of_system = {
            name: table[table["system"] == system]
            for name, table in tables.items()
            if name in ("machine", "ratio", "ranks")
        }
        pictures += [
            _dose(result, moved, system, of_system["machine"], note),
            _perceived(result, moved, system, of_system["machine"], note),
            _ratio(result, ratio, system, of_system["ratio"], note),
        ]
        if ratio.sizes["attribute"] > 1:
            pictures.append(_ranks(result, of_system["ranks"], system))
    return pictures


def causes_of(result: Manipulation) -> Diagram:
    """What is taken to move what in this analysis."""
    arrows = ["push -> perceived attribute; rater -> perceived attribute"]
    if result.machine is None:
        return diagram(arrows[0], manipulated="push")
    arrows.append("perceived attribute -> distance; seed -> distance; seed -> perceived attribute")
    arrows.append("push -> other traits -> distance; other traits -> perceived attribute")
    lost = lost_distances(result.study)
    if lost:
        arrows.append(f"{IMAGE_QUALITY} -> distance; {IMAGE_QUALITY} -> face found <- push")
    return diagram(
        "; ".join(arrows),
        manipulated="push",
        unmeasured=["other traits", *([IMAGE_QUALITY] if lost else [])],
        selected=["face found"] if lost else [],
    )


def picture_of_causes(result: Manipulation) -> Picture:
    """The causal diagram, and the adjustment that follows."""
    found = causes_of(result)
    if result.machine is None:
        return causal_picture(found, [adjustment_sentence(found, "push", "perceived attribute")])
    sentences = [
        adjustment_sentence(found, "push", "distance"),
        "Distance per point of perceived change is more than that: it is the effect of the "
        "perceived attribute only where a push moves no other trait.",
        adjustment_sentence(found, "perceived attribute", "distance"),
        "Where raters or a classifier scored the other traits too, cb.leak_corrected takes these "
        "out.",
    ]
    if found.selected:
        sentences.append(
            "Distances are missing where a network did not find a face: cb.causal.selection_bounds "
            "says how far that could move the effect."
        )
    return causal_picture(found, sentences)


def _human(result: Manipulation, table: pd.DataFrame) -> Picture:
    intervals = f"{percent(result.prob)} intervals"
    judgements = int(result.study.children["human"].to_dataset()["score"].size)
    return Picture(
        "human",
        forest(
            result.human,
            prob=result.prob,
            xlabel="change of mean score (points)",
            note=f"{judgements:,} judgements.",
        ),
        "What people see: change of the mean score when an attribute is pushed from its lowest "
        f"level to a higher one, with all else held constant. {intervals}.",
        alt_text(
            table,
            ["attribute", "level"],
            "change of the mean score in points",
            "Points with intervals, one row for each attribute",
        ),
        "human",
    )


def _corrected(found: Estimate, prob: float, table: pd.DataFrame) -> Picture:
    label = "outcome per point of the perceived attribute"
    drawn = xr.concat(
        [found[of].rename("effect") for of in LEAKS], pd.Index(LEAKS.values(), name="leaks")
    )
    estimates = found[["effect"]].drop_vars("effect").assign(effect=drawn)
    labels = ["question", "leaks"]
    return Picture(
        "corrected",
        forest(estimates, rows="question", prob=prob, xlabel=label),
        "Effect of a point of each perceived attribute: naive, as if a push moved its own "
        "attribute alone, and with leaks taken out, the other attributes held. Where a push leaks, "
        f"the naive one is an effect of several attributes. {percent(prob)} intervals.",
        alt_text(table, labels, label, "Points with intervals, two for each attribute"),
        "corrected",
    )


def _dose(
    result: Manipulation, moved: xr.Dataset, system: str, table: pd.DataFrame, note: str
) -> Picture:
    distances = alt_text(table, ["attribute", "level"], f"distance by {system}", "Below")
    return Picture(
        f"dose-{system}",
        dose_response(result.human, moved, prob=result.prob, note=note),
        f"Dose and response, people above and {system} below: change of the mean score, and "
        "distance of a face from the same seed's face at the lowest level. The line joins the "
        f"levels and is not a model. {percent(result.prob)} intervals.",
        "Panels by attribute; above, people's change of score as in the figure of what people "
        f"see. {distances}",
        "machine",
    )


def _perceived(
    result: Manipulation, moved: xr.Dataset, system: str, table: pd.DataFrame, note: str
) -> Picture:
    return Picture(
        f"perceived-{system}",
        perceived_against_distance(
            result.human, moved, prob=result.prob, note=f"{note} {_identity_note(result.study)}"
        ),
        f"How far each manipulation moves {system} against what people see of it, from the lowest "
        "to the highest level. Attributes on the same dashed line move it equally far per point of "
        f"perceived change. {percent(result.prob)} intervals.",
        alt_text(
            table[table["level"] == table["level"].max()],
            ["attribute"],
            f"distance by {system}, lowest to highest level",
            "Scatter, perceived change across and distance up, one point for each attribute",
        ),
        "machine",
    )


def _ratio(
    result: Manipulation, ratio: xr.Dataset, system: str, table: pd.DataFrame, note: str
) -> Picture:
    return Picture(
        f"ratio-{system}",
        forest(
            ratio,
            prob=result.prob,
            xlabel=f"{label(system)} distance per perceived point",
            note=note,
        ),
        "The main result: distance per point of perceived change, with the uncertainty of both. An "
        "attribute whose perceived change may be zero has an unbounded ratio and is marked so. "
        f"{percent(result.prob)} intervals.",
        alt_text(
            table,
            ["attribute"],
            f"distance by {system} per point of perceived change",
            "Points with intervals, one row for each attribute",
        ),
        "ratio",
    )


def _ranks(result: Manipulation, table: pd.DataFrame, system: str) -> Picture:
    of_ratio = table[table["of"] == "ratio"]
    best = of_ratio.loc[of_ratio.groupby("attribute")["probability"].idxmax()].sort_values("rank")
    each = "; ".join(
        f"{row.attribute} {row.rank} ({row.probability:.2f})" for row in best.itertuples()
    )
    return Picture(
        f"ranks-{system}",
        rank_heatmap(
            result.ranks["ratio"].sel(system=system),
            note="Cells: posterior probability of the rank.",
        ),
        f"Which attribute moves {system} most for what people see: probability of each rank.",
        f"Heat map of rank probabilities. Most probable rank, with its probability: {each}.",
        "ranks",
    )


def _identity_note(study: xr.DataTree) -> str:
    """What a figure cannot show if people gave no judgements of identity; else empty."""
    if judges_pairs(study):
        return ""
    return "No identity judgements: no claim that network or people are more biased."
