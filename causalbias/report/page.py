"""Writes a report: CSV tables, figures, fits, and one HTML page that needs no other file."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader

from causalbias.errors import user_path
from causalbias.io.storage import replace_text, save
from causalbias.plots.style import render, write
from causalbias.report.content import Content
from causalbias.report.glossary import COLUMNS
from causalbias.report.tables import PASSED, overall, rounded, write_csv
from causalbias.study.tree import describe

MOST_ROWS = 60  # of a table on the page; its file has all
LONG = 40  # characters of a cell that may break into lines
# Columns that name a row, where they come first.
LABELS = {
    "side",
    "fit",
    "system",
    "measure",
    "model",
    "pairs",
    "rate_of",
    "race",
    "gender",
    "attribute",
    "level",
    "question",
    "file",
    "group",
    "other",
}
# Columns to show even where every row has the same.
ALWAYS = {"estimate", "lower", "upper", "truth", "covered", "verdict", "n", "count"} | LABELS
IN_FILE = {"sd", "scale"}  # said by the interval and the title


@dataclass(frozen=True)
class Shown:
    """A table as the page shows it: without columns that say the same in every row."""

    name: str
    title: str
    caption: str
    columns: list[tuple[str, str]]  # name and class: text, long, number
    labels: int
    rows: list[list[str]]


def write_report(content: Content, directory: str | Path) -> Path:
    """Write everything about an analysis into a directory.

    Parameters
    ----------
    content : Content
        From `manipulation_content` or `identity_content`.
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
    >>> from causalbias.analyses.manipulation.report import manipulation_content
    >>> from causalbias.report.page import write_report
    >>> from causalbias.analyses.manipulation.analysis import analyse_manipulation
    >>> result = analyse_manipulation(cb.demo_study(), draws=250)
    >>> write_report(manipulation_content(result), tempfile.mkdtemp()).name
    'report.html'
    """
    directory = user_path(directory)
    for name in ("tables", "figures"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    for name, table in content.tables.items():
        write_csv(table, directory / "tables" / f"{name}.csv")
    for picture in content.pictures:
        write(picture.figure, directory / "figures" / f"{_safe(picture.name)}.pdf")
    save(content.study, directory / "study.nc")
    page = directory / "report.html"
    replace_text(page, render_page(content))
    return page


def render_page(content: Content) -> str:
    """Render the HTML page; all text from the data is escaped."""
    environment = Environment(
        loader=PackageLoader("causalbias.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    first = next(iter(content.fits.values()))
    verdicts = content.tables["fits"].set_index("model")["verdict"]
    level, verdict = overall(verdicts)
    wanting = verdicts[verdicts != PASSED].to_dict()
    tables = [
        shown(name, title, content.tables[name])
        for name, title in content.titles.items()
        if name in content.tables and len(content.tables[name])
    ]
    used = {column for table in tables for column, _ in table.columns}
    return environment.get_template("report.html").render(
        content=content,
        study=content.study,
        summary=describe(content.study),
        level=level,
        verdict=verdict,
        wanting=wanting,
        prob=f"{100 * content.prob:g}%",
        tables=tables,
        meanings={name: text for name, text in COLUMNS.items() if name in used},
        pictures=[
            (one, base64.b64encode(render(one.figure, "svg")).decode()) for one in content.pictures
        ],
        random_seed=int(first.attrs["random_seed"]),
        versions=json.loads(first.attrs["versions"]),
    )


def shown(name: str, title: str, table: pd.DataFrame) -> Shown:
    """A table for the page: at most 60 rows; a column of one value goes into the caption.

    Examples
    --------
    >>> table = pd.DataFrame({"race": ["a", "b"], "estimate": [0.5, 0.25], "unit": ["s", "s"]})
    >>> shown("times", "Times", table).caption
    '2 rows; unit: s. File: tables/times.csv.'
    """
    table = table.drop(columns=[column for column in IN_FILE if column in table])
    same = [
        str(column)
        for column in table
        if len(table) > 1
        and column not in ALWAYS
        and table[column].nunique() <= 1
        and (column != "converged" or bool(table[column].iloc[0]))
    ]
    kept = table.drop(columns=same)
    cells = rounded(kept.head(MOST_ROWS))
    said = [f"{column}: {cell}" for column in same if (cell := _constant(table[column]))]
    of = f"{len(table):,} rows" if len(table) > 1 else "1 row"
    if len(table) > MOST_ROWS:
        of = f"the first {MOST_ROWS} of {of}, all of which are in the file"
    columns = [
        (str(column), _kind(kept[column], [row[at] for row in cells]))
        for at, column in enumerate(kept)
    ]
    labels = 0
    while labels < len(columns) and columns[labels][0] in LABELS:
        labels += 1
    labels = min(labels, len(columns) - 1)  # a row's name needs something to name
    caption = f"{'; '.join([of, *said])}. File: tables/{name}.csv."
    return Shown(name, title, caption[0].upper() + caption[1:], columns, labels, cells)


def _constant(values: pd.Series) -> str:
    """The one value of a column, for the caption."""
    stated = values.dropna()
    if stated.empty:
        return ""
    missing = " where stated" if len(stated) < len(values) else ""
    return rounded(stated.head(1).to_frame())[0][0] + missing


def _kind(values: pd.Series, cells: list[str]) -> str:
    if pd.api.types.is_numeric_dtype(values) and values.dtype != bool:
        return "number"
    return "long" if max(map(len, cells), default=0) > LONG else "text"


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)
