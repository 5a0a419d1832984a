"""The figures of a manipulation analysis's report, with captions and alternative texts."""

import pandas as pd
import xarray as xr

from causalbias.analyses.manipulation.analysis import Manipulation
from causalbias.plots.forest import forest
from causalbias.plots.manipulation import dose_response, perceived_against_distance, rank_heatmap
from causalbias.plots.style import label
from causalbias.report.content import Picture
from causalbias.report.plain import told


def pictures_of(result: Manipulation, tables: dict[str, pd.DataFrame]) -> list[Picture]:
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
            told(
                tables["human"],
                ["attribute", "level"],
                "change of the mean score in points",
                "Points with intervals, a row each attribute",
            ),
            "human",
        )
    ]
    if result.machine is None or result.ratio is None:
        return pictures
    for system in result.machine["system"].values.tolist():
        pictures += _of_system(result, result.machine, result.ratio, system, interval, tables)
    return pictures


def _of_system(
    result: Manipulation,
    machine: xr.Dataset,
    ratio: xr.Dataset,
    system: str,
    interval: str,
    tables: dict[str, pd.DataFrame],
) -> list[Picture]:
    prob = result.prob
    moved = machine.sel(system=system)
    per_point = ratio.sel(system=system)
    seeds = int(result.study.children["stimuli"].to_dataset().sizes["seed"])
    note = f"{interval}; {seeds} seeds."
    of_system = {
        name: table[table["system"] == system]
        for name, table in tables.items()
        if name in ("machine", "ratio", "ranks")
    }
    distances = told(of_system["machine"], ["attribute", "level"], f"distance by {system}", "Below")
    top = of_system["machine"]
    top = top[top["level"] == top["level"].max()]
    pictures = [
        Picture(
            f"dose-{system}",
            dose_response(result.human, moved, prob=prob, note=note),
            f"Dose and response, people above and {system} below: change of the mean score, and "
            "distance of a face from the same seed's face at the lowest level. The line joins the "
            f"levels and is no model. {interval}.",
            "Panels by attribute, people's change of score above as in the figure of what people "
            f"see. {distances}",
            "machine",
        ),
        Picture(
            f"perceived-{system}",
            perceived_against_distance(
                result.human, moved, prob=prob, note=f"{note} {identity_note(result.study)}"
            ),
            f"How far {system} is moved by each manipulation against what people see of it, lowest "
            "to highest level. Attributes along one dashed line move it equally far per point of "
            f"perceived change. {interval}.",
            told(
                top,
                ["attribute"],
                f"distance by {system}, lowest to highest level",
                "Scatter, perceived change across and distance up, a point each attribute",
            ),
            "machine",
        ),
        Picture(
            f"ratio-{system}",
            forest(
                per_point,
                prob=prob,
                xlabel=f"{label(system)} distance per perceived point",
                note=note,
            ),
            "The headline: distance per point of perceived change, the uncertainty of both carried "
            "through. An attribute whose perceived change may be zero has no bounded ratio and is "
            f"marked so. {interval}.",
            told(
                of_system["ratio"],
                ["attribute"],
                f"distance by {system} per point of perceived change",
                "Points with intervals, a row each attribute",
            ),
            "ratio",
        ),
    ]
    if per_point.sizes["attribute"] > 1:
        pictures.append(_ranks(result, of_system["ranks"], system))
    return pictures


def _ranks(result: Manipulation, table: pd.DataFrame, system: str) -> Picture:
    own = table[table["of"] == "ratio"]
    best = own.loc[own.groupby("attribute")["probability"].idxmax()].sort_values("rank")
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
        f"Heat map of rank probabilities. Likeliest rank and its probability: {each}.",
        "ranks",
    )


def identity_note(study: xr.DataTree) -> str:
    """What a study without identity judgements cannot support; empty if it has them."""
    if "pair" in study.children["human"].to_dataset().coords:
        return ""
    return "No identity judgements: no claim that network or people are more biased."
