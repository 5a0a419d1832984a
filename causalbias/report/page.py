"""The report on disk: CSV tables, figures, the study, and an HTML page that needs no other file."""

import base64
import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader

from causalbias.errors import user_path
from causalbias.io.storage import replace_text, save
from causalbias.plots.style import render, write
from causalbias.report.content import Content, Data
from causalbias.report.glossary import COLUMNS, TERMS
from causalbias.report.record import TITLES
from causalbias.report.script import as_json, kinds_of, policy, script
from causalbias.report.tables import rounded, write_csv
from causalbias.report.verdicts import overall
from causalbias.study.tree import describe, factors_of

MOST_ROWS = 60  # of a table on the page; its file has all
WIDE = 10  # columns from which a table is printed on a page turned sideways
LONG = 40  # characters of a cell that may break into lines
# Columns that identify a row where they come first, beside the study's factors.
LABELS = frozenset(
    {"side", "fit", "system", "measure", "model", "pairs", "rate_of", "question", "file"}
    | {"group", "other"}
)
# Columns to show even where every row has the same value.
ALWAYS = {"estimate", "lower", "upper", "truth", "covered", "verdict", "n", "count"}
IN_FILE = {"sd", "scale"}  # not shown: the interval and the title say the same


@dataclass(frozen=True)
class ShownTable:
    """A table as the page shows it: without columns that have the same value in every row."""

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
        What an analysis's `content` returns.
    directory : path
        Made if it is not there. Gets ``report.html`` (self-contained), ``tables/*.csv``,
        ``figures/*.pdf``, and ``study.nc`` or the files of `Data`.

    Returns
    -------
    Path
        Of the HTML page.

    Examples
    --------
    >>> import causalbias as cb, tempfile
    >>> from causalbias.report.page import write_report
    >>> study = cb.demo_study()
    >>> analysis = cb.analyses.choose_analysis(study)
    >>> content = analysis.content(analysis.run(study))
    >>> write_report(content, tempfile.mkdtemp()).name
    'report.html'
    """
    directory = user_path(directory)
    for name in ("tables", "figures"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    for name, table in content.tables.items():
        write_csv(table, directory / "tables" / f"{name}.csv")
    names = file_names([picture.name for picture in content.pictures])
    for name, picture in zip(names, content.pictures, strict=True):
        write(picture.figure, directory / "figures" / f"{name}.pdf")
    if isinstance(content.study, Data):
        for name, text in content.study.files.items():
            replace_text(directory / name, text)
    else:
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
    data = _data_of(content)
    labels = LABELS | set(data.labels)
    titles = content.titles | TITLES
    tables = [
        shown(name, title, content.tables[name], labels)
        for name, title in titles.items()
        if name in content.tables and len(content.tables[name])
    ]
    used = {column for table in tables for column, _ in table.columns}
    meanings = COLUMNS | content.columns
    return environment.get_template("report.html").render(
        content=content,
        data=data,
        verdict=overall(content.record.verdicts.values()),
        not_passed={
            name: verdict.sentence
            for name, verdict in content.record.verdicts.items()
            if verdict.level != "passed"
        },
        misfits=content.record.misfits,
        prob=f"{100 * content.prob:g}%",
        titles=titles,
        tables=tables,
        terms={term: text for term, text in (TERMS | content.glossary).items() if text},
        meanings={name: meanings[name] for name in sorted(used & set(meanings))},
        pictures=[
            (picture, base64.b64encode(render(picture.figure, "svg")).decode())
            for picture in content.pictures
        ],
        made=_made(content),
        wide=WIDE,
        policy=policy(),
        script=script(),
        sliders=[{"name": one.name, "kinds": kinds_of(one)} for one in content.sliders],
        slider_data=as_json(content.sliders),
    )


def _data_of(content: Content) -> Data:
    """What the page says of the data, which may be a study."""
    study = content.study
    if isinstance(study, Data):
        return study
    name = str(study.attrs["name"])
    title = str(study.attrs.get("title") or name)
    return Data(name, title, describe(study), tuple(factors_of(study)))


def _made(content: Content) -> str:
    """The random seed and versions of the fits, of which all of an analysis have the same."""
    fit = next(iter(content.fits.values()), None)
    if fit is None:
        return "No model was fitted."
    versions = json.loads(fit.attrs["versions"])
    listed = "; ".join(f"{name} {version}" for name, version in versions.items())
    return f"Random seed {int(fit.attrs['random_seed'])}. {listed}."


def shown(
    name: str, title: str, table: pd.DataFrame, label_columns: Collection[str] = LABELS
) -> ShownTable:
    """A table for the page: at most 60 rows; a column with a single value goes to the caption.

    Parameters
    ----------
    name : str
        Of the CSV file.
    title : str
    table : DataFrame
    label_columns : collection of str
        Columns that identify a row, where they come first.

    Returns
    -------
    ShownTable

    Examples
    --------
    >>> table = pd.DataFrame({"race": ["a", "b"], "estimate": [0.5, 0.25], "unit": ["s", "s"]})
    >>> shown("times", "Times", table).caption
    '2 rows; unit: s. File: tables/times.csv.'
    """
    table = table.drop(columns=[column for column in IN_FILE if column in table])
    constant = [
        str(column)
        for column in table
        if len(table) > 1
        and column not in ALWAYS
        and column not in label_columns
        and table[column].nunique() <= 1
        and (column != "converged" or bool(table[column].iloc[0]))
    ]
    kept = table.drop(columns=constant)
    cells = rounded(kept.head(MOST_ROWS))
    values = [f"{column}: {cell}" for column in constant if (cell := _constant(table[column]))]
    size = f"{len(table):,} rows" if len(table) > 1 else "1 row"
    if len(table) > MOST_ROWS:
        size = f"the first {MOST_ROWS} of {size}, all of which are in the file"
    columns = [
        (str(column), _kind(kept[column], [row[at] for row in cells]))
        for at, column in enumerate(kept)
    ]
    labels = 0
    while labels < len(columns) and columns[labels][0] in label_columns:
        labels += 1
    labels = min(labels, len(columns) - 1)  # a row header needs a cell beside it
    caption = f"{'; '.join([size, *values])}. File: tables/{name}.csv."
    return ShownTable(name, title, caption[0].upper() + caption[1:], columns, labels, cells)


def _constant(values: pd.Series) -> str:
    """The single value of a column, for the caption."""
    stated = values.dropna()
    if stated.empty:
        return ""
    missing = " where stated" if len(stated) < len(values) else ""
    return rounded(stated.head(1).to_frame())[0][0] + missing


def _kind(values: pd.Series, cells: list[str]) -> str:
    if pd.api.types.is_numeric_dtype(values) and values.dtype != bool:
        return "number"
    return "long" if max(map(len, cells), default=0) > LONG else "text"


def file_names(names: Sequence[str]) -> list[str]:
    """Names of files, which differ also where the given ones differ in signs or capitals alone.

    Examples
    --------
    >>> file_names(["dose-net 1.0", "dose-net 1/0", "human"])
    ['dose-net-1-0', 'dose-net-1-0-2', 'human']
    """
    found: list[str] = []
    taken: Counter[str] = Counter()
    for name in names:
        safe = "".join(c if c.isalnum() or c in "-_" else "-" for c in name)
        taken[safe.casefold()] += 1
        again = taken[safe.casefold()]
        found.append(safe if again == 1 else f"{safe}-{again}")
    return found
