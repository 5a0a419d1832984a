"""The site: every name and figure has its page, its code runs, it builds without a warning."""

import re
import subprocess
import sys
import typing
from collections import Counter
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urldefrag

import jupytext
import pytest
from bs4 import BeautifulSoup
from matplotlib.figure import Figure

import causalbias as cb

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
WITH_CODE = {
    str(path.relative_to(DOCS)): path
    for path in sorted(DOCS.rglob("*.md"))
    if "{code-cell}" in path.read_text()
}


def cells(page):
    """Code cells of a page."""
    notebook = jupytext.reads(page.read_text(), fmt="md:myst")
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_every_public_name_has_one_place_in_the_reference():
    packages = [name for name in cb.__all__ if isinstance(getattr(cb, name), ModuleType)]
    names = [name for name in cb.__all__ if name not in packages]
    further = [f"{home}.{name}" for home in packages for name in getattr(cb, home).__all__]
    # A name of daily use is in its package too, and has its place by the shorter one.
    names += [name for name in further if name.rpartition(".")[2] not in names]
    listed = Counter()
    for page in DOCS.glob("reference/*.rst"):
        listed.update(re.findall(r"^   causalbias\.([\w.]+)$", page.read_text(), re.MULTILINE))
    assert set(names) <= set(listed)
    assert set(listed.values()) == {1}
    # What is listed besides is named by its module.
    assert all(name.count(".") >= 2 for name in set(listed) - set(names) - set(further))


def test_every_figure_is_in_the_gallery():
    drawn = {
        name
        for name in cb.plots.__all__
        if typing.get_type_hints(getattr(cb.plots, name)).get("return") is Figure
    }
    assert len(drawn) > 10
    shown = [re.findall(r"cb\.plots\.(\w+)\(", one.source) for one in cells(DOCS / "gallery.md")]
    assert {name for names in shown for name in names} == drawn


@pytest.mark.parametrize("page", WITH_CODE)
def test_figures_of_a_page_have_text_alternatives(page):
    for cell in cells(WITH_CODE[page]):
        if cell.source.splitlines()[-1].startswith("cb.plots."):
            assert len(cell.metadata["mystnb"]["image"]["alt"]) > 40, cell.source


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("page", WITH_CODE)
def test_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for cell in cells(WITH_CODE[page]):
        exec(compile(cell.source, page, "exec"), names)


@pytest.mark.slow
def test_site_builds_without_warnings_and_stands_alone(tmp_path):
    site = tmp_path / "site"
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        "-D",
        "nb_execution_mode=off",
        "-d",
        tmp_path / "trees",
        DOCS,
        site,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (site / "searchindex.js").exists()
    check_pages(site)


def check_pages(site):
    """Raise if a page fetches anything from elsewhere, links to nothing, or hides a picture."""
    pages = {path: BeautifulSoup(path.read_text(), "html.parser") for path in site.rglob("*.html")}
    assert len(pages) > 100
    anchors = {path: {tag["id"] for tag in page.find_all(id=True)} for path, page in pages.items()}
    for path, page in pages.items():
        fetched = [
            tag.get("src") or tag.get("href") for tag in page.find_all(["script", "link", "img"])
        ]
        assert not [url for url in fetched if url and "//" in url], path
        for picture in page.find_all("img"):  # Sphinx puts the file's name where there is none
            alt = picture.get("alt", "")
            assert len(alt) > 10, (path, alt)
            assert not alt.endswith((".png", ".svg")), (path, alt)
        for link in page.find_all("a", href=True):
            url, anchor = urldefrag(unquote(link["href"]))
            if "//" in url or url.startswith("mailto:"):
                continue
            target = (path.parent / url).resolve() if url else path
            assert target.exists(), f"{path.name} links to {link['href']}"
            if anchor and target.suffix == ".html":
                assert anchor in anchors[target], f"{path.name} links to {link['href']}"
