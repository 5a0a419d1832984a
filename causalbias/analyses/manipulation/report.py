"""The report of a manipulation analysis."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from causalbias.analyses import causes
from causalbias.analyses.dependence import Estimand, dependence
from causalbias.analyses.manipulation.analysis import Manipulation, edits_of, judges_pairs
from causalbias.analyses.manipulation.figures import (
    both_ways,
    causes_of,
    picture_of_causes,
    pictures_of,
)
from causalbias.analyses.manipulation.networks import networks_table
from causalbias.analyses.manipulation.words import COLUMNS, GLOSSARY, plain_words
from causalbias.analyses.sentences import (
    NO_IDENTITY_JUDGEMENTS,
    SMALLEST_DISTANCE,
    causal_if,
    coverage,
    failures_to_enrol,
    percent,
)
from causalbias.draws.summaries import summarise
from causalbias.estimands.contrasts import effects
from causalbias.report.content import Content
from causalbias.report.record import record_of

TITLES = {
    "ratio": "Distance per point of perceived change",
    "human": "What people see: change of the mean score against the lowest level",
    "machine": "What the network sees: distance from the face at the lowest level",
    "corrected": "Effects of perceived attributes, naive and with leaks taken out",
    "nonmatch": "Manipulation-induced non-match rate: edits of one face beyond the threshold",
    "networks": "Where networks agree: rank correlation of their mean distances over attributes",
    "truth": "Estimate beside truth (this study is simulated)",
    "diagram": causes.TITLE,
}
INTRO = (
    "Faces are generated; one attribute at a time is pushed along its levels, with all else held "
    "constant, so that differences are effects of the manipulation. People score the faces; a face "
    "recognition network gives a distance between two faces (smaller means more alike)."
)


def manipulation_content(
    result: Manipulation, *, images: Mapping[str, object] | None = None
) -> Content:
    """Content of the report on a manipulation analysis.

    Parameters
    ----------
    result : Manipulation
    images : mapping of stimulus to path or array, optional
        Images of the faces, whose quality is then checked too.

    Returns
    -------
    Content
    """
    record = record_of(result.study, result.fits, prob=result.prob, images=images)
    tables = tables_of(result)
    return Content(
        study=result.study,
        fits=result.fits,
        record=record,
        prob=result.prob,
        title="What a manipulation changes for people, and how far it moves a network",
        intro=INTRO,
        plain=plain_words(result, tables, record),
        findings=findings(result, tables),
        limits=limits(result),
        pictures=[*pictures_of(result, tables), picture_of_causes(result)],
        results=tables | {"diagram": causes.arrows_table(causes_of(result))},
        titles=TITLES,
        headline=next(name for name in ("truth", "ratio", "human") if name in tables),
        glossary=GLOSSARY,
        columns=COLUMNS | causes.COLUMNS,
    )


def tables_of(result: Manipulation) -> dict[str, pd.DataFrame]:
    """Tables by name: human, machine, ratio, ranks, nonmatch, networks, truth, dependence."""
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
    if result.machine is not None and result.machine.sizes["system"] > 1:
        compared = networks_table(edits_of(result.study), prob=prob)
        tables |= {"networks": compared} if len(compared) else {}
    if result.corrected is not None:
        tables["corrected"] = both_ways(result.corrected, prob)
    if "truth" in result.study.children:
        tables["truth"] = against_truth(result, tables)
    table = dependence_of(result)
    return tables | ({"dependence": table} if len(table) else {})


def dependence_of(result: Manipulation) -> pd.DataFrame:
    """How far the perceived changes depend on priors and on single raters."""

    def estimand_of(name: str) -> tuple[Estimand | None, Sequence[str]]:
        if not name.startswith("human: "):
            return None, []
        return lambda fit: effects(fit, "level"), ["annotator"]

    return dependence(result.fits, estimand_of, prob=result.prob)


def against_truth(result: Manipulation, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Estimates of a simulated study beside the truth; whether the intervals contain it."""
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
    """The main results in sentences, each with its interval."""
    sentences = [_perceived(tables["human"], percent(result.prob))]
    if "ratio" in tables:
        for system, part in tables["ratio"].groupby("system"):
            sentences += _moved(result, str(system), part)
    if "networks" in tables:
        prob = percent(result.prob)
        sentences += [_compared(row, prob) for _, row in tables["networks"].iterrows()]
    truths = {name: tables[name] for name in ("truth",) if name in tables}
    return sentences + coverage(truths, result.prob, "intervals")


def _perceived(human: pd.DataFrame, prob: str) -> str:
    """The manipulations that people notice most and least, from the lowest to the highest level."""
    top = human[human["level"] == human["level"].max()]
    top = top.iloc[top["estimate"].abs().to_numpy().argsort()]
    most, least = top.iloc[-1], top.iloc[0]
    opening = (
        f"Of all manipulations, people notice that of {most['attribute']} most: it"
        if len(top) > 1
        else f"The manipulation of {most['attribute']}"
    )
    sentence = (
        f"{opening} changes the mean score by {most['estimate']:.3g} points ({prob} interval "
        f"{most['lower']:.3g} to {most['upper']:.3g})."
    )
    if len(top) > 1:
        sentence += (
            f" They notice {least['attribute']} least: {least['estimate']:.3g} points "
            f"({least['lower']:.3g} to {least['upper']:.3g})."
        )
    return sentence


def _moved(result: Manipulation, system: str, ratio: pd.DataFrame) -> list[str]:
    """The attributes that move a network most and least per point of perceived change."""
    sentences = []
    bounded = ratio[ratio["bounded"]].sort_values("estimate")
    unbounded = ratio[~ratio["bounded"]]["attribute"].tolist()
    if len(bounded) == 1:
        only = bounded.iloc[0]
        sentences.append(
            f"Per point of perceived change of {only['attribute']}, {system} is moved by a "
            f"distance of {only['estimate']:.3g} ({percent(result.prob)} interval "
            f"{only['lower']:.3g} to {only['upper']:.3g})."
        )
    elif len(bounded):
        high, low = bounded.iloc[-1], bounded.iloc[0]
        first = result.ranks["ratio"].sel(system=system, rank=1, attribute=high["attribute"])
        sentences.append(
            f"Per point of perceived change, {system} is moved furthest by "
            f"{high['attribute']}: a distance of {high['estimate']:.3g} "
            f"({high['lower']:.3g} to {high['upper']:.3g}; probability of being the largest "
            f"{_probability(float(first))}), and least by {low['attribute']}: "
            f"{low['estimate']:.3g} ({low['lower']:.3g} to {low['upper']:.3g})."
        )
    if unbounded:
        sentences.append(
            f"For {', '.join(unbounded)} the perceived change may be zero, so a distance per point "
            "cannot be stated: its interval is unbounded."
        )
    return sentences


def _compared(row: pd.Series, prob: str) -> str:
    """Where two networks agree, and how many edits each takes for another person."""
    one, other = row["system"], row["other"]
    sentence = (
        f"The order in which the {row['n_attributes']} attributes move {one} and {other} has a "
        f"rank correlation of {row['estimate']:.2f} ({prob} interval {row['lower']:.2f} to "
        f"{row['upper']:.2f}; 1 is the same order)."
    )
    if np.isnan(row["beyond_both"]):
        return sentence
    return (
        f"{sentence} Of {row['n_edits']:,} edits to the highest level, {row['beyond']:,.0f} are "
        f"beyond the threshold of {one} and {row['beyond_other']:,.0f} beyond that of {other}; "
        f"{row['beyond_both']:,.0f} are beyond both."
    )


def _probability(probability: float) -> str:
    """A probability from posterior draws, too few to distinguish 0.999 from certainty."""
    return "above 0.99" if probability > 0.99 else f"{probability:.2f}"


def limits(result: Manipulation) -> list[str]:
    """What this study cannot support, in sentences."""
    sentences = [
        causal_if("a manipulation changed its attribute"),
        "Scores are averages over the faces of this study. Intervals of distances allow for other "
        "seeds drawn from the same generator; those of scores allow for other raters.",
    ]
    if not judges_pairs(result.study):
        sentences.append(NO_IDENTITY_JUDGEMENTS)
    if "race" not in str(result.study.attrs["factors"]):
        sentences.append("Race was not manipulated: nothing here is an effect of race.")
    if result.machine is not None:
        sentences += [SMALLEST_DISTANCE, failures_to_enrol(result.study)]
    return sentences
