"""What a report says, whichever analysis it is of."""

from dataclasses import dataclass

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from causalbias.models.result import Fit


@dataclass(frozen=True)
class Picture:
    """A figure with what a page needs to say about it.

    `alt` is for those who cannot see it: what it shows, in numbers; `table` the one that has them
    all.
    """

    name: str
    figure: Figure
    caption: str
    alt: str
    table: str


@dataclass(frozen=True)
class Plain:
    """A report's first page, in words that need no statistics.

    Attributes
    ----------
    asked : str
        What was done and asked.
    found : dict of str to list of str
        Sentences: the main results, by whose they are ("" for everybody's).
    sure, silent : list of str
        Sentences: how sure the results are; what they do not say.
    """

    asked: str
    found: dict[str, list[str]]
    sure: list[str]
    silent: list[str]


@dataclass(frozen=True)
class Content:
    """A report's words, figures and tables; `write_report` makes a page of it.

    Attributes
    ----------
    study : DataTree
    fits : dict of str to Fit
    prob : float
        Probability of the intervals.
    title, intro : str
    plain : Plain
        The first page.
    findings, limits, checked : list of str
        Sentences: the main results, each with its interval; what the study cannot support; what
        checks of the manipulations found.
    pictures : list of Picture
    tables : dict of str to DataFrame
        All are written as CSV.
    titles : dict of str to str
        Of the tables shown on the page, in their order; a table not listed is only written.
    headline : str
        The table to show on a terminal.
    glossary : dict of str to str
        Terms and what they mean.
    """

    study: xr.DataTree
    fits: dict[str, Fit]
    prob: float
    title: str
    intro: str
    plain: Plain
    findings: list[str]
    limits: list[str]
    checked: list[str]
    pictures: list[Picture]
    tables: dict[str, pd.DataFrame]
    titles: dict[str, str]
    headline: str
    glossary: dict[str, str]
