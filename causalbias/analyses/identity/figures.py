"""The figures of an identity analysis's report, with captions and text alternatives."""

from dataclasses import replace

import pandas as pd
import xarray as xr

from causalbias.analyses.causes import (
    IMAGE_QUALITY,
    adjustment_sentence,
    causal_picture,
    lost_distances,
)
from causalbias.analyses.identity.analysis import PEOPLE, Identity
from causalbias.analyses.sentences import percent
from causalbias.causal.diagrams import Diagram, diagram
from causalbias.plots.identity import group_effects, group_rates
from causalbias.report.content import Picture
from causalbias.report.wording import alt_text

LABELS = ("system", "pairs", "rate_of", "race", "gender")
TWO_PANELS = "Points with intervals, genuine and impostor pairs in panels of their own"


def pictures_of(result: Identity, tables: dict[str, pd.DataFrame]) -> list[Picture]:
    """Effects on networks and on people, and error rates."""
    truth = _crosses(tables)
    pictures = []
    if result.machine is not None:
        pictures.append(_of_networks(result, result.machine, tables["machine"], truth))
    if result.human is not None:
        pictures.append(_of_people(result, result.human, tables["human"], truth))
    if result.between_systems is not None:
        pictures.append(_of_systems(result, result.between_systems, tables["between_systems"]))
    if result.against_people is not None and len(tables["against_people"]):
        pictures.append(_against_people(result, result.against_people, tables["against_people"]))
    if result.rates is not None:
        pictures.append(_of_rates(result, result.rates, tables["rates"]))
    return pictures


def causes_of(result: Identity) -> Diagram:
    """What is taken to move what in this analysis."""
    outcomes = [
        name
        for name, found in (("distance", result.machine), ("answer", result.human))
        if found is not None
    ]
    causes = ["race", "gender", "moved attribute", "seed", "other changes of the face"]
    arrows = [f"{cause} -> {outcome}" for cause in causes for outcome in outcomes]
    arrows.append("race -> other changes of the face")
    lost = lost_distances(result.study) and result.machine is not None
    if lost:
        arrows += [f"{IMAGE_QUALITY} -> distance", f"{IMAGE_QUALITY} -> face found"]
        arrows.append("race -> face found")
    return diagram(
        "; ".join(arrows),
        manipulated=["race", "gender", "moved attribute"],
        unmeasured=["other changes of the face", *([IMAGE_QUALITY] if lost else [])],
        selected=["face found"] if lost else [],
    )


def picture_of_causes(result: Identity) -> Picture:
    """The causal diagram, and the adjustment that follows."""
    found = causes_of(result)
    sentences = []
    if result.machine is not None:
        sentences.append(adjustment_sentence(found, "race", "distance"))
    if result.human is not None:
        sentences.append(adjustment_sentence(people_of(found), "race", "answer"))
    sentences.append(
        "Gender, attribute and seed are in the models to make intervals as short as they can be. "
        "What the rendering of race changes besides race as people see it is part of its effect."
    )
    if found.selected:
        sentences.append(
            "Distances are missing where a network did not find a face: cb.causal.selection_bounds "
            "says how far that could move the effect."
        )
    return causal_picture(found, sentences)


def people_of(found: Diagram) -> Diagram:
    """The diagram of people, who answered whether or not a network found the faces."""
    return replace(found, selected=())


def _of_networks(
    result: Identity, effect: xr.Dataset, table: pd.DataFrame, truth: dict[str, pd.DataFrame]
) -> Picture:
    intervals = f"{percent(result.prob)} intervals."
    figure = group_effects(
        effect,
        prob=result.prob,
        truth=truth.get("machine"),
        xlabel=f"change of distance against {result.reference}",
        note=f"{_sizes(result)} {_cross_note(truth)}",
    )
    caption = (
        f"Effect of race on the distance, {_against(result)}. Genuine pairs right of zero are "
        "found less alike, which makes false non-matches more likely; impostor pairs left of zero "
        f"are found more alike, which makes false matches more likely. {intervals}"
    )
    alt = alt_text(table, LABELS, f"change of distance {_against(result)}", TWO_PANELS)
    return Picture("race-networks", figure, caption, alt, "machine")


def _of_people(
    result: Identity, effect: xr.Dataset, table: pd.DataFrame, truth: dict[str, pd.DataFrame]
) -> Picture:
    intervals = f"{percent(result.prob)} intervals."
    figure = group_effects(
        effect,
        prob=result.prob,
        truth=truth.get("human"),
        xlabel=f"change of mean answer against {result.reference} (points)",
        note=_cross_note(truth),
    )
    caption = (
        "Effect of race on people's mean answer (higher: surer that the pair shows one person), "
        f"{_against(result)}. {intervals}"
    )
    quantity = f"change of the mean answer in points {_against(result)}"
    return Picture(
        "race-people", figure, caption, alt_text(table, LABELS, quantity, TWO_PANELS), "human"
    )


def _of_systems(result: Identity, effect: xr.Dataset, table: pd.DataFrame) -> Picture:
    figure = group_effects(
        effect.drop_vars(["system", "against"]).rename(systems="system"),
        prob=result.prob,
        xlabel="difference of effects (sd between pairs)",
    )
    caption = (
        "Differences between networks: the effect of race on the first less that on the second, "
        f"each in standard deviations of its distances between pairs, {_against(result)}. Left of "
        "zero, the first finds the group more alike than the second does. "
        f"{percent(result.prob)} intervals of models of the differences, pair by pair."
    )
    both = table.assign(system=table["system"] + " against " + table["against"])
    alt = alt_text(both, LABELS, "difference of effects of race", TWO_PANELS)
    return Picture("race-between-networks", figure, caption, alt, "between_systems")


def _against_people(result: Identity, found: xr.Dataset, table: pd.DataFrame) -> Picture:
    unit = "pair sd"
    figure = group_effects(
        found[["difference"]].sel(unit=unit, drop=True),
        prob=result.prob,
        xlabel="network minus people (sd between pairs)",
    )
    caption = (
        "Networks against people: the effect of race on the network less that on people, each in "
        f"standard deviations of what it says of pairs, {_against(result)}. Left of zero, the "
        "network finds the group more alike than people do. "
        f"{percent(result.prob)} intervals."
    )
    alt = alt_text(table, LABELS, "effect on the network less that on people", TWO_PANELS)
    return Picture("race-against-people", figure, caption, alt, "against_people")


def _of_rates(result: Identity, rates: xr.Dataset, table: pd.DataFrame) -> Picture:
    figure = group_rates(rates, prob=result.prob)
    caption = (
        "Error rates at each network's threshold, by group, with intervals that allow for the "
        "seeds that pairs share. Where there are too few errors to state a rate, the interval "
        "starts at zero; where there is no error, it ends at 3 divided by the number of "
        "comparisons of which no two share a seed."
    )
    alt = alt_text(
        table,
        LABELS,
        "error rate at the network's threshold",
        "Points with intervals, false matches and false non-matches in panels of their own",
    )
    return Picture("rates", figure, caption, alt, "rates")


def _against(result: Identity) -> str:
    return f"against {result.reference} faces of the same seeds and gender"


def _crosses(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """True effects as `group_effects` takes them."""
    if "truth" not in tables:
        return {}
    true = tables["truth"]
    sides = [str(name).rsplit(", ", 1) for name in true["fit"]]
    true = true.assign(system=[side for side, _ in sides], pairs=[kind for _, kind in sides])
    people = true["system"] == PEOPLE
    return {"machine": true[~people], "human": true[people]}


def _cross_note(truth: dict[str, pd.DataFrame]) -> str:
    return "Crosses: truth (simulated)." if truth else ""


def _sizes(result: Identity) -> str:
    seeds = max(len(set(rows["seed_a"]) | set(rows["seed_b"])) for rows in result.rows.values())
    pairs = sum(len(rows) for name, rows in result.rows.items() if not name.startswith("people, "))
    return f"{seeds} seeds, {pairs:,} distances."
