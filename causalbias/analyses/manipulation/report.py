"""The report of a manipulation analysis."""

from collections.abc import Mapping, Sequence

import pandas as pd

from causalbias.analyses.dependence import Estimand, dependence
from causalbias.analyses.manipulation.analysis import Manipulation
from causalbias.analyses.manipulation.figures import identity_note, pictures_of
from causalbias.analyses.manipulation.words import plain_words
from causalbias.draws.summaries import summarise
from causalbias.estimands.contrasts import effects
from causalbias.manipulation_checks.checks import check_manipulations
from causalbias.report.content import Content
from causalbias.report.glossary import COMMON, MANIPULATION
from causalbias.report.tables import (
    RECORD_TITLES,
    check_sentences,
    check_tables,
    record_tables,
)
from causalbias.study.frames import to_frame

TITLES = {
    "ratio": "Distance per point of perceived change",
    "human": "What people see: change of the mean score against the lowest level",
    "machine": "What the network sees: distance from the face at the lowest level",
    "nonmatch": "Manipulation-induced non-match rate: edits of one face beyond the threshold",
    "truth": "Estimate beside truth (this study is simulated)",
}
INTRO = (
    "Faces are generated; one attribute at a time is pushed along its levels, all else held, so "
    "that differences are effects of the manipulation. People score the faces; a face recognition "
    "network gives a distance between two faces (smaller means more alike)."
)


def manipulation_content(
    result: Manipulation, *, images: Mapping[str, object] | None = None
) -> Content:
    """Words, figures and tables of a manipulation analysis; with `images` also of their checks."""
    checks = check_manipulations(result.study, images=images, prob=result.prob)
    tables = tables_of(result) | check_tables(checks)
    return Content(
        study=result.study,
        fits=result.fits,
        prob=result.prob,
        title="What a manipulation changes for people, and how far it moves a network",
        intro=INTRO,
        plain=plain_words(result, tables, identity=not identity_note(result.study)),
        findings=findings(result, tables),
        limits=limits(result),
        checked=check_sentences(checks),
        pictures=pictures_of(result, tables),
        tables=tables,
        titles=TITLES | RECORD_TITLES,
        headline=next(name for name in ("truth", "ratio", "human") if name in tables),
        glossary=COMMON | MANIPULATION,
    )


def tables_of(result: Manipulation) -> dict[str, pd.DataFrame]:
    """Tables by name: human, machine, ratio, ranks, nonmatch, truth, fits, excluded, sources."""
    prob = result.prob
    tables = {"human": summarise(result.human, prob=prob)}
    if result.machine is not None and result.ratio is not None:
        tables["machine"] = summarise(result.machine, prob=prob)
        tables["ratio"] = summarise(result.ratio, prob=prob)
    tables["ranks"] = pd.concat(
        [
            ranks.to_dataframe().reset_index().assign(of=name)
            for name, ranks in result.ranks.items()
        ],
        ignore_index=True,
    )
    if result.nonmatch is not None and len(result.nonmatch):
        tables["nonmatch"] = result.nonmatch
    if "truth" in result.study.children:
        tables["truth"] = against_truth(result, tables)
    table = dependence_of(result)
    tables |= {"dependence": table} if len(table) else {}
    return tables | record_tables(result.study, result.fits)


def dependence_of(result: Manipulation) -> pd.DataFrame:
    """How far the changes that people see depend on priors and on single raters."""

    def estimand_of(name: str) -> tuple[Estimand | None, Sequence[str]]:
        if not name.startswith("human: "):
            return None, []
        return lambda fit: effects(fit, "level"), ["annotator"]

    return dependence(result.fits, estimand_of, prob=result.prob)


def against_truth(result: Manipulation, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Estimates of a simulated study beside the truth, and whether the interval holds it."""
    truth = result.study.children["truth"].to_dataset()
    parts = []
    for side in ("human", "machine"):
        if side in tables and side in truth:
            known = truth[side].rename("truth").to_dataframe().reset_index()
            joined = tables[side].merge(known, on=["attribute", "level"])
            parts.append(joined.assign(side=side))
    both = pd.concat(parts, ignore_index=True)
    both["covered"] = (both["lower"] <= both["truth"]) & (both["truth"] <= both["upper"])
    return both[["side", "attribute", "level", "truth", "estimate", "lower", "upper", "covered"]]


def findings(result: Manipulation, tables: dict[str, pd.DataFrame]) -> list[str]:
    """The main results in plain sentences, each with its interval."""
    prob = f"{100 * result.prob:g}%"
    human = tables["human"]
    top = human[human["level"] == human["level"].max()]
    top = top.iloc[top["estimate"].abs().to_numpy().argsort()]
    most, least = top.iloc[-1], top.iloc[0]
    opening = (
        f"Of all manipulations, people notice that of {most['attribute']} most: it"
        if len(top) > 1
        else f"The manipulation of {most['attribute']}"
    )
    said = [
        f"{opening} changes the mean score by {most['estimate']:.3g} points ({prob} interval "
        f"{most['lower']:.3g} to {most['upper']:.3g})."
    ]
    if len(top) > 1:
        said[0] += (
            f" They notice {least['attribute']} least: {least['estimate']:.3g} points "
            f"({least['lower']:.3g} to {least['upper']:.3g})."
        )
    if "ratio" not in tables:
        return said
    for system, part in tables["ratio"].groupby("system"):
        first = result.ranks["ratio"].sel(system=system, rank=1)
        ordered = part[part["bounded"]].sort_values("estimate")
        unbounded = part[~part["bounded"]]["attribute"].tolist()
        if len(ordered) == 1:
            only = ordered.iloc[0]
            said.append(
                f"Per point of perceived change of {only['attribute']}, {system} is moved by a "
                f"distance of {only['estimate']:.3g} ({prob} interval {only['lower']:.3g} to "
                f"{only['upper']:.3g})."
            )
        elif len(ordered):
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
        "property of the stimuli; the manipulation checks are all that tests it here.",
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
