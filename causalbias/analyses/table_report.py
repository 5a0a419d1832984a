"""What the reports of all analyses of a table have in common, put together in one place."""

from collections.abc import Mapping

import pandas as pd

from causalbias.analyses import causes
from causalbias.analyses.sentences import verdict_in_words, what_ranges_are
from causalbias.causal.diagrams import Diagram
from causalbias.models.result import Fit
from causalbias.report.content import Content, Data, Picture, PlainSummary
from causalbias.report.record import record_of_models

PEOPLE_AND_FACES = "chance in which people answered and in which faces they saw"


def content_of_table(
    data: Data,
    files: Mapping[str, pd.DataFrame],
    fits: dict[str, Fit],
    prob: float,
    *,
    title: str,
    asked: str,
    findings: list[str],
    clear: str,
    allowed_for: str = PEOPLE_AND_FACES,
    not_said: list[str],
    limits: list[str],
    pictures: list[Picture],
    results: dict[str, pd.DataFrame],
    titles: dict[str, str],
    headline: str,
    glossary: dict[str, str],
    columns: dict[str, str],
    diagram: Diagram,
    adjustment: list[str],
) -> Content:
    """Put together the report's content of an analysis of a table.

    The question opens the report and its first page, the findings stand in both, and how sure they
    are follows from the models' checks. The causal diagram is the last figure, and its arrows the
    last table.

    Parameters
    ----------
    data : Data
    files : mapping of str to DataFrame
        Tables "excluded" and "sources", as of `Answers.files`.
    fits : dict of str to Fit
        May be empty.
    prob : float
        Probability of the intervals.
    title, asked : str
        The report's title; what was done, and which question it answers.
    findings, not_said, limits : list of str
    clear : str
        A sentence: how many of the results are clear; "" for none.
    allowed_for : str
        The chance that the intervals allow for.
    pictures, results, titles, headline, glossary, columns
        As of `Content`.
    diagram : Diagram
        What is taken to move what.
    adjustment : list of str
        Sentences: what follows from it.

    Returns
    -------
    Content
    """
    record = record_of_models(fits, files)
    certainty = [
        *([verdict_in_words(record)] if fits else []),
        *([clear] if clear else []),
        what_ranges_are(prob, allowed_for),
    ]
    return Content(
        study=data,
        fits=fits,
        record=record,
        prob=prob,
        title=title,
        intro=asked,
        plain=PlainSummary(asked, {"": findings}, certainty, not_said),
        findings=findings,
        limits=limits,
        pictures=[*pictures, causes.causal_picture(diagram, adjustment)],
        results=results | {"diagram": causes.arrows_table(diagram)},
        titles=titles | {"diagram": causes.TITLE},
        headline=headline,
        glossary=glossary,
        columns=columns | causes.COLUMNS,
    )
