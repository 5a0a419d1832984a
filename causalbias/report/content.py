"""What a report says, whichever analysis it is of."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from causalbias.models.result import Fit
from causalbias.report.record import Record


@dataclass(frozen=True)
class Picture:
    """A figure with the texts that belong to it.

    Attributes
    ----------
    name : str
        Of the file.
    figure : Figure
    caption : str
    alt : str
        Text alternative for readers who cannot see the figure: what it shows, in numbers.
    table : str
        Name of the table that has all its numbers.
    """

    name: str
    figure: Figure
    caption: str
    alt: str
    table: str


@dataclass(frozen=True)
class PlainSummary:
    """A report's first page, in words that need no statistics.

    Attributes
    ----------
    asked : str
        What was done, and which question it answers.
    found : dict of str to list of str
        Sentences: the main results, by the system or people that they are about ("" where they are
        about all).
    certainty : list of str
        Sentences: how sure the results are.
    not_said : list of str
        Sentences: what the results do not say.
    """

    asked: str
    found: dict[str, list[str]]
    certainty: list[str]
    not_said: list[str]


@dataclass(frozen=True)
class Data:
    """What a report says of data that are no study.

    Attributes
    ----------
    name, title : str
    summary : str
        Lines of text: sizes, what was left out and what each column was taken for.
    labels : tuple of str
        Columns of the results that identify a row, beside those of every report.
    files : mapping of str to str
        Texts that are written beside the page, by the names of their files.
    """

    name: str
    title: str
    summary: str
    labels: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Slider:
    """Error rates of a system at thresholds among which the page's reader moves.

    Attributes
    ----------
    name : str
        Of the system.
    unit : str
        What thresholds are of, such as "similarity".
    start : float
        The threshold that is shown first.
    table : DataFrame
        A row per `threshold` (in rising order), `rate_of` ("FMR", "FNMR") and `group`, with
        `estimate` (missing where it is not reported), `lower`, `upper`, `errors` and `n`.
    """

    name: str
    unit: str
    start: float
    table: pd.DataFrame


@dataclass(frozen=True)
class Content:
    """A report's words, figures and tables; `write_report` makes a page of it.

    Attributes
    ----------
    study : DataTree or Data
    fits : dict of str to Fit
        May be empty.
    record : Record
        Verdicts on the fits, manipulation checks, exclusions and files; from `record_of`.
    prob : float
        Probability of the intervals.
    title, intro : str
    plain : PlainSummary
        The first page.
    findings, limits : list of str
        Sentences: the main results, each with its interval; what the study cannot support.
    pictures : list of Picture
    results : dict of str to DataFrame
        Tables of the analysis, by name.
    titles : dict of str to str
        Of the results shown on the page, in their order; a table without a title is only written.
    headline : str
        Name of the result to show on a terminal. Its columns before `estimate` identify a row.
    glossary : dict of str to str
        Terms of this analysis, and what they mean; "" for a term of every report that is not used.
    columns : dict of str to str
        Columns of its results, and what they mean.
    sliders : list of Slider
        Of each system, if there are any.
    """

    study: xr.DataTree | Data
    fits: dict[str, Fit]
    record: Record
    prob: float
    title: str
    intro: str
    plain: PlainSummary
    findings: list[str]
    limits: list[str]
    pictures: list[Picture]
    results: dict[str, pd.DataFrame]
    titles: dict[str, str]
    headline: str
    glossary: dict[str, str]
    columns: dict[str, str]
    sliders: list[Slider] = field(default_factory=list)

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables by name: results, then those of the record. Each is written as CSV."""
        return self.results | self.record.tables
