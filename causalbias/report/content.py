"""What a report says, whichever analysis it is of."""

from dataclasses import dataclass

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from causalbias.models.result import Fit


@dataclass(frozen=True)
class Picture:
    """A figure with what a page needs to say about it."""

    name: str
    figure: Figure
    caption: str
    alt: str


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
    findings, limits : list of str
        Sentences: the main results, each with its interval; what the study cannot support.
    pictures : list of Picture
    tables : dict of str to DataFrame
        All are written as CSV.
    titles : dict of str to str
        Of the tables shown on the page, in their order; a table not listed is only written.
    headline : str
        The table to show on a terminal.
    columns : str
        What the tables' columns mean.
    """

    study: xr.DataTree
    fits: dict[str, Fit]
    prob: float
    title: str
    intro: str
    findings: list[str]
    limits: list[str]
    pictures: list[Picture]
    tables: dict[str, pd.DataFrame]
    titles: dict[str, str]
    headline: str
    columns: str
