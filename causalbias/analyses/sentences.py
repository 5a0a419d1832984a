"""Sentences that the reports of several analyses share."""

from collections.abc import Mapping

import pandas as pd
import xarray as xr

from causalbias.report.record import Record
from causalbias.report.verdicts import overall

SMALLEST_DISTANCE = (
    "Distances cannot be negative, and another rendering or crop of the same face also has some "
    "distance from it. This smallest distance was not measured and is not subtracted."
)
NO_IDENTITY_JUDGEMENTS = (
    "Nobody was asked whether two faces show one person, so this study supports no claim that a "
    "network is more, or less, biased than people."
)
NO_IDENTITY_JUDGEMENTS_PLAIN = (
    "Whether a program is more, or less, biased than people: nobody was asked whether two pictures "
    "show one person."
)


def percent(prob: float) -> str:
    """The probability of intervals as text.

    Examples
    --------
    >>> percent(0.95)
    '95%'
    """
    return f"{100 * prob:g}%"


def causal_if(change: str) -> str:
    """On what condition the effects of an analysis are causal."""
    return (
        f"Effects are causal where {change} and nothing else did. That is a property of the "
        "stimuli, which only the manipulation checks below test."
    )


def failures_to_enrol(study: xr.DataTree) -> str:
    """How many distances are missing, as a system could not find or embed a face."""
    status = study.children["machine"].to_dataset()["status"]
    missing = int((status != "ok").sum())
    if not missing:
        return "Failures to enrol: not measured."
    return f"Failures to enrol: {missing:,} of {status.size:,} distances are missing."


def coverage(truths: Mapping[str, pd.DataFrame], prob: float, intervals: str) -> list[str]:
    """Of a simulated study, how many intervals contain the truth; empty of another study.

    Parameters
    ----------
    truths : mapping of str to DataFrame
        Estimates beside the truth, with a column `covered`.
    prob : float
        Probability of the intervals.
    intervals : str
        The word for intervals.
    """
    if not truths:
        return []
    covered = pd.concat([table["covered"] for table in truths.values()])
    return [
        f"This study is simulated, so the truth is known: {int(covered.sum())} of {len(covered)} "
        f"{intervals} contain it (about {percent(prob)} should)."
    ]


def certainty(
    record: Record,
    truths: Mapping[str, pd.DataFrame],
    prob: float,
    *,
    clear: str,
    allowed_for: str,
) -> list[str]:
    """How sure the results are, in plain words.

    Parameters
    ----------
    record : Record
        With the verdicts on the models.
    truths : mapping of str to DataFrame
        As in `coverage`.
    prob : float
        Probability of the intervals.
    clear : str
        A sentence: how many of the results are clear.
    allowed_for : str
        The chance that the intervals allow for.
    """
    pictures = "; they do not allow for pictures that changed more than they should"
    ranges = what_ranges_are(prob, f"{allowed_for}{pictures}")
    return [verdict_in_words(record), clear, ranges, *coverage(truths, prob, "ranges")]


def what_ranges_are(prob: float, allowed_for: str) -> str:
    """What an interval says in plain words, and which chance it allows for."""
    return (
        "Every number is an estimate. The range after it contains the true value with a "
        f"probability of {percent(prob)}, if the model and the data are right. Ranges allow for "
        f"{allowed_for}."
    )


def verdict_in_words(record: Record) -> str:
    """The verdict on all models, first of all."""
    verdict = overall(record.verdicts.values())
    first = {"unconverged": "NOT SURE AT ALL. ", "passed": ""}.get(verdict.level, "Not sure. ")
    first += verdict.sentence
    if verdict.level in ("misfit", "unchecked"):
        first += (
            " What that does to the numbers of each model stands at the top; the table of checks "
            "says what to do about it."
        )
    return first


def never_shown(simulated: bool) -> list[str]:
    """What no study of generated faces shows, in plain words."""
    sentences = [
        "Whether the same is true of photographs of real people: the faces are computer-made.",
        "That there is no difference where none is clear: the data may have been too few.",
        "Anything about who people are. Words such as female or black say what was asked of the "
        "generator, or what people saw in a picture.",
    ]
    if simulated:
        sentences.insert(
            0, "Anything about real people or programs: the data were simulated to try the method."
        )
    return sentences
