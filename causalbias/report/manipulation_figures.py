"""The figures of a manipulation analysis, each with its caption and its text alternative."""

import pandas as pd
import xarray as xr

from causalbias.estimands.summaries import summarise
from causalbias.plots.forest import forest
from causalbias.plots.manipulation import dose_response, perceived_against_distance, rank_heatmap
from causalbias.report.content import Picture
from causalbias.studies.manipulation import Manipulation


def pictures_of(result: Manipulation) -> list[Picture]:
    """All figures of an analysis, those of each system under its name."""
    interval = f"{100 * result.prob:g}% intervals"
    raters = int(result.study.children["human"].to_dataset()["score"].size)
    pictures = [
        Picture(
            "human",
            forest(
                result.human,
                prob=result.prob,
                xlabel="change of mean score (points)",
                note=f"{interval}; {raters:,} judgements.",
            ),
            "What people see: change of the mean score when an attribute is pushed from its lowest "
            f"level to a higher one, all else held. {interval}.",
            _told(result.human.sel(level=result.human["level"].max()), "points", result.prob),
        )
    ]
    if result.machine is None or result.ratio is None:
        return pictures
    for system in result.machine["system"].values.tolist():
        pictures += _of_system(result, result.machine, result.ratio, system, interval)
    return pictures


def _of_system(
    result: Manipulation, machine: xr.Dataset, ratio: xr.Dataset, system: str, interval: str
) -> list[Picture]:
    prob = result.prob
    moved = machine.sel(system=system)
    per_point = ratio.sel(system=system)
    seeds = int(result.study.children["stimuli"].to_dataset().sizes["seed"])
    note = f"{interval}; {seeds} seeds."
    top = moved.sel(level=moved["level"].max())
    return [
        Picture(
            f"dose-{system}",
            dose_response(result.human, moved, prob=prob, note=note),
            f"Dose and response, people above and {system} below: change of the mean score, and "
            "distance of a face from the same seed's face at the lowest level. The line joins the "
            f"levels and is no model. {interval}.",
            _told(top, "distance", prob),
        ),
        Picture(
            f"perceived-{system}",
            perceived_against_distance(
                result.human, moved, prob=prob, note=f"{note} {identity_note(result.study)}"
            ),
            f"How far {system} is moved by each manipulation against what people see of it, lowest "
            "to highest level. Attributes along one dashed line move it equally far per point of "
            f"perceived change. {interval}.",
            _told(top, "distance", prob),
        ),
        Picture(
            f"ratio-{system}",
            forest(per_point, prob=prob, xlabel=f"{system} distance per perceived point",
                   note=note),
            "The headline: distance per point of perceived change, the uncertainty of both carried "
            "through. An attribute whose perceived change may be zero has no bounded ratio and is "
            f"marked so. {interval}.",
            _told(per_point, "distance per point", prob),
        ),
        Picture(
            f"ranks-{system}",
            rank_heatmap(result.ranks["ratio"].sel(system=system),
                         note="Cells: posterior probability of the rank."),
            "Which attribute moves the network most for what people see: probability of each rank.",
            "Heat map of rank probabilities; the same numbers are in the table ranks.csv.",
        ),
    ]  # fmt: skip


def identity_note(study: xr.DataTree) -> str:
    """What a study without identity judgements cannot support; empty if it has them."""
    if "pair" in study.children["human"].to_dataset().coords:
        return ""
    return "No identity judgements: no claim that network or people are more biased."


def _told(draws: xr.Dataset, unit: str, prob: float) -> str:
    """The estimates in words, largest first."""
    table: pd.DataFrame = summarise(draws, prob=prob).sort_values("estimate", ascending=False)
    parts = [
        f"{row.attribute} {row.estimate:.3g} ({row.lower:.3g} to {row.upper:.3g})"
        for row in table.itertuples()
    ]
    return f"Estimates in {unit} with intervals: " + "; ".join(parts) + "."
