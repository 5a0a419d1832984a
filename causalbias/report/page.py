"""Writes the report: CSV tables, figures, fits, and one HTML page that needs no other file."""

import base64
import json
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader

from causalbias.models.result import failures
from causalbias.plots.style import render, write
from causalbias.report.figures import Picture, identity_note, pictures_of
from causalbias.report.tables import rounded, tables_of, write_csv
from causalbias.storage import replace_text, save
from causalbias.studies.manipulation import Manipulation
from causalbias.study.frames import to_frame
from causalbias.study.tree import describe

TITLES = {
    "ratio": "Distance per point of perceived change",
    "human": "What people see: change of the mean score against the lowest level",
    "machine": "What the network sees: distance from the face at the lowest level",
    "nonmatch": "Manipulation-induced non-match rate: edits of one face beyond the threshold",
    "truth": "Estimate beside truth (this study is simulated)",
    "fits": "Diagnostics of every model",
    "excluded": "What was excluded",
    "sources": "Files read",
}


def write_report(result: Manipulation, directory: str | Path) -> Path:
    """Write everything about an analysis into a directory.

    Parameters
    ----------
    result : Manipulation
    directory : path
        Made if it is not there. Gets ``report.html`` (self-contained), ``tables/*.csv``,
        ``figures/*.pdf`` and ``study.nc``.

    Returns
    -------
    Path
        Of the HTML page.

    Examples
    --------
    >>> import causalbias as cb, tempfile
    >>> from causalbias.report.page import write_report
    >>> from causalbias.studies.manipulation import analyse_manipulation
    >>> result = analyse_manipulation(cb.demo_study(), draws=250)
    >>> write_report(result, tempfile.mkdtemp()).name
    'report.html'
    """
    directory = Path(directory)
    for name in ("tables", "figures"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    tables = tables_of(result)
    pictures = pictures_of(result)
    for name, table in tables.items():
        write_csv(table, directory / "tables" / f"{name}.csv")
    for picture in pictures:
        write(picture.figure, directory / "figures" / f"{_safe(picture.name)}.pdf")
    save(result.study, directory / "study.nc")
    page = directory / "report.html"
    replace_text(page, render_page(result, tables, pictures))
    return page


def render_page(
    result: Manipulation, tables: dict[str, pd.DataFrame], pictures: list[Picture]
) -> str:
    """Render the HTML page; all text from the data is escaped."""
    environment = Environment(
        loader=PackageLoader("causalbias.report", "templates"), autoescape=True, trim_blocks=True
    )
    first = next(iter(result.fits.values()))
    failed = {name: failures(one) for name, one in result.fits.items() if failures(one)}
    return environment.get_template("report.html").render(
        study=result.study,
        summary=describe(result.study),
        findings=findings(result, tables),
        limits=limits(result),
        failed=failed,
        prob=f"{100 * result.prob:g}%",
        simulated="truth" in result.study.children,
        tables=[
            (name, TITLES[name], list(tables[name].columns), rounded(tables[name]))
            for name in TITLES
            if name in tables
        ],
        pictures=[(one, base64.b64encode(render(one.figure, "png")).decode()) for one in pictures],
        seed=int(first.attrs["seed"]),
        versions=json.loads(first.attrs["versions"]),
    )


def findings(result: Manipulation, tables: dict[str, pd.DataFrame]) -> list[str]:
    """The main results in plain sentences, each with its interval."""
    prob = f"{100 * result.prob:g}%"
    human = tables["human"]
    top = human[human["level"] == human["level"].max()].sort_values("estimate")
    most, least = top.iloc[-1], top.iloc[0]
    said = [
        f"People notice the manipulation of {most['attribute']} most: it changes the mean score by "
        f"{most['estimate']:.3g} points ({prob} interval {most['lower']:.3g} to "
        f"{most['upper']:.3g}). They notice {least['attribute']} least: {least['estimate']:.3g} "
        f"points ({least['lower']:.3g} to {least['upper']:.3g})."
    ]
    if "ratio" not in tables:
        return said
    for system, part in tables["ratio"].groupby("system"):
        first = result.ranks["ratio"].sel(system=system, rank=1)
        ordered = part[part["bounded"]].sort_values("estimate")
        unbounded = part[~part["bounded"]]["attribute"].tolist()
        if len(ordered):
            high, low = ordered.iloc[-1], ordered.iloc[0]
            chance = float(first.sel(attribute=high["attribute"]))
            said.append(
                f"Per point of perceived change, {system} is moved furthest by "
                f"{high['attribute']}: a distance of {high['estimate']:.3g} "
                f"({high['lower']:.3g} to {high['upper']:.3g}; probability of being the largest "
                f"{_chance(chance)}), and least by {low['attribute']}: "
                f"{low['estimate']:.3g} ({low['lower']:.3g} to {low['upper']:.3g})."
            )
        if unbounded:
            said.append(
                f"For {', '.join(unbounded)} people may not see any change, so a distance per "
                "point cannot be stated: its interval is unbounded."
            )
    if "truth" in tables:
        covered = int(tables["truth"]["covered"].sum())
        said.append(
            f"This study is simulated, so the truth is known: {covered} of {len(tables['truth'])} "
            f"intervals hold it (about {prob} should)."
        )
    return said


def limits(result: Manipulation) -> list[str]:
    """What this study cannot support, in plain sentences."""
    said = [
        "Effects are causal where a manipulation changed its attribute and nothing else. That is a "
        "property of the stimuli; this report does not test it.",
        "Scores are averages over the faces of this study. Intervals of distances allow for other "
        "seeds drawn like these; those of scores, for other raters.",
    ]
    if identity_note(result.study):
        said.append(
            "Nobody was asked whether two faces show one person, so this study supports no claim "
            "that the network is more, or less, biased than people."
        )
    if "race" not in str(result.study.attrs["factors"]):
        said.append("Race was not manipulated: nothing here is an effect of race.")
    if result.machine is not None:
        said.append(
            "Distances cannot be negative, and a re-rendered or re-cropped image of the same face "
            "is also some distance away; that floor was not measured and is not subtracted."
        )
        status = to_frame(result.study, "machine")["status"]
        lost = int((status != "ok").sum())
        said.append(
            f"Failures to enrol: {lost:,} of {len(status):,} pairs have no distance."
            if lost
            else "Failures to enrol: not measured."
        )
    return said


def _chance(probability: float) -> str:
    """A probability from draws, which cannot tell 0.999 from certainty."""
    return "above 0.99" if probability > 0.99 else f"{probability:.2f}"


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)
