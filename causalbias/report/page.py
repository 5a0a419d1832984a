"""Writes a report: CSV tables, figures, fits, and one HTML page that needs no other file."""

import base64
import json
from pathlib import Path

from jinja2 import Environment, PackageLoader

from causalbias.models.result import failures
from causalbias.plots.style import render, write
from causalbias.report.content import Content
from causalbias.report.tables import rounded, write_csv
from causalbias.storage import replace_text, save
from causalbias.study.tree import describe


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
    >>> from causalbias.report.manipulation import manipulation_content
    >>> from causalbias.report.page import write_report
    >>> from causalbias.studies.manipulation import analyse_manipulation
    >>> result = analyse_manipulation(cb.demo_study(), draws=250)
    >>> write_report(manipulation_content(result), tempfile.mkdtemp()).name
    'report.html'
    """
    directory = Path(directory)
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
        loader=PackageLoader("causalbias.report", "templates"), autoescape=True, trim_blocks=True
    )
    first = next(iter(content.fits.values()))
    failed = {name: failures(one) for name, one in content.fits.items() if failures(one)}
    return environment.get_template("report.html").render(
        content=content,
        study=content.study,
        summary=describe(content.study),
        failed=failed,
        prob=f"{100 * content.prob:g}%",
        tables=[
            (name, title, list(content.tables[name].columns), rounded(content.tables[name]))
            for name, title in content.titles.items()
            if name in content.tables
        ],
        pictures=[
            (one, base64.b64encode(render(one.figure, "png")).decode()) for one in content.pictures
        ],
        seed=int(first.attrs["seed"]),
        versions=json.loads(first.attrs["versions"]),
    )


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)
