"""The site: every name and figure has its page, its code runs, it builds without a warning."""

import re
import subprocess
import sys
import typing
from collections import Counter
from html.parser import HTMLParser
from os.path import normpath
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urldefrag

import jupytext
import pytest
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


class Page(HTMLParser):
    """What a page refers to. Made into trees, the hundreds of pages take four times as long."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.fetched, self.alternatives, self.links = set(), [], [], []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors.add(given.get("id"))
        if tag in ("script", "link", "img"):
            self.fetched.append(given.get("src") or given.get("href"))
        if tag == "img":
            self.alternatives.append(given.get("alt") or "")
        if tag == "a" and "href" in given:
            self.links.append(given["href"])


def check_pages(site):
    """Raise if a page fetches anything from elsewhere, links to nothing, or hides a picture."""
    pages = {path: Page(path) for path in site.rglob("*.html")}
    assert len(pages) > 100
    for path, page in pages.items():
        assert not [url for url in page.fetched if url and "//" in url], path
        for alt in page.alternatives:  # Sphinx puts the file's name where there is none
            assert len(alt) > 10, (path, alt)
            assert not alt.endswith((".png", ".svg")), (path, alt)
        for link in page.links:
            url, anchor = urldefrag(unquote(link))
            if "//" in url or url.startswith("mailto:"):
                continue
            target = Path(normpath(path.parent / url)) if url else path
            assert target in pages or target.exists(), f"{path.name} links to {link}"
            if anchor and target.suffix == ".html":
                assert anchor in pages[target].anchors, f"{path.name} links to {link}"


def test_a_broken_page_is_found(tmp_path):
    whole = '<a id="here" href="#here">a</a><img src="a.png" alt="A figure of rates">'
    for n in range(101):
        (tmp_path / f"{n}.html").write_text(whole)
    check_pages(tmp_path)
    broken = {
        '<script src="https://elsewhere/a.js"></script>': "1.html",
        '<img src="a.png" alt="figure-of-rates.png">': "figure-of-rates",
        '<a href="none.html">a</a>': "links to none.html",
        '<a href="2.html#nowhere">a</a>': "links to 2.html#nowhere",
    }
    for text, said in broken.items():
        (tmp_path / "1.html").write_text(text)
        with pytest.raises(AssertionError, match=said):
            check_pages(tmp_path)
