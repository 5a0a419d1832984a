"""The page itself: accessible, self-contained, loud about failures, plain on its first page."""

import html
import re
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise

import pandas as pd
import pytest

from causalbias.report.glossary import COLUMNS
from causalbias.report.page import render_page, shown
from causalbias.report.wording import alt_text, number, of_every
from tests.report.chromium import axe, needs_chromium, run
from tests.report.odd import HOSTILE, LONG, MADE

VOID = {"meta", "img", "wbr", "link", "br"}
LEAST_CONTRAST = 4.5  # WCAG 2, AA


class Page(HTMLParser):
    """Elements in their order, each with attributes, ancestors and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[dict] = []
        self.open: list[dict] = []
        self.feed(text)
        assert not self.open, "an element is not closed"

    def handle_starttag(self, tag, attrs):
        one = {"tag": tag, "within": [o["tag"] for o in self.open], "text": "", **dict(attrs)}
        self.elements.append(one)
        if tag not in VOID:
            self.open.append(one)

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data):
        for one in self.open:
            one["text"] += data

    def all(self, *tags):
        return [one for one in self.elements if one["tag"] in tags]


@cache
def page_of(name: str) -> str:
    return render_page(MADE[name]())


SLOW = ("people_and_networks", "failed")


@pytest.fixture(
    params=[pytest.param(one, marks=pytest.mark.slow) if one in SLOW else one for one in MADE]
)
def name(request):
    return request.param


@pytest.fixture
def text(name):
    return page_of(name)


@pytest.fixture
def page(text):
    return Page(text)


def test_headings_landmarks_and_language(page):
    assert page.all("html")[0]["lang"] == "en"
    assert page.all("title")[0]["text"].strip()
    levels = [int(one["tag"][1]) for one in page.all("h1", "h2", "h3", "h4")]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len(page.all("main")) == len(page.all("header")) == 1
    assert page.all("nav")[0]["aria-label"]
    at_top = [one["tag"] for one in page.elements if one["within"] == ["html", "body"]]
    assert at_top == ["a", "header", "main"]  # a link past the header, and all else in landmarks


def test_links_and_labels_have_targets(page):
    names = [one["id"] for one in page.elements if "id" in one]
    assert len(set(names)) == len(names)
    links = {one["href"].removeprefix("#") for one in page.all("a")}
    labels = {one["aria-labelledby"] for one in page.elements if "aria-labelledby" in one}
    assert links | labels <= set(names)


def test_figures_say_in_numbers_what_they_show(page):
    pictures = page.all("img")
    assert pictures
    alts = [one["alt"] for one in pictures]
    assert len(set(alts)) == len(alts)
    for alt in alts:
        if not alt.startswith("Causal diagram"):  # which has no numbers
            assert len(re.findall(r"\d", alt)) >= 4, alt
        assert 60 < len(alt) < 2500, alt
    assert len(page.all("figcaption")) == len(pictures)


def test_tables_have_captions_scopes_and_scroll_by_keyboard(page):
    tables = page.all("table")
    assert len(page.all("caption")) == len(tables) > 3
    assert {one.get("scope") for one in page.all("th")} == {"col", "row"}
    assert all(one["scope"] == "row" for one in page.all("th") if "tbody" in one["within"])
    scrolled = [one for one in page.all("div") if one.get("class") == "scroll"]
    assert len(scrolled) == len(tables)
    assert all(one["tabindex"] == "0" and one["role"] == "region" for one in scrolled)


def test_every_column_shown_is_explained(name, page):
    heads = {one["text"] for one in page.all("th") if "thead" in one["within"]}
    names = {
        "race",
        "gender",
        "attribute",
        "level",
        "model",
        "high",
        "upper",
        "beyond_lower",
        "beyond_upper",
    }
    explained = set(COLUMNS | MADE[name]().columns)
    assert heads - names <= explained
    assert {one["text"] for one in page.all("dt")} >= heads & explained


def test_nothing_is_loaded_from_elsewhere(text, page):
    for one in page.elements:
        for key in ("src", "href", "srcset", "poster", "data", "action"):
            assert one.get(key, "#").startswith(("#", "data:")), one
    assert not page.all("link", "iframe", "object")
    assert not any("src" in one for one in page.all("script"))
    assert "fetch(" not in text
    assert "XMLHttpRequest" not in text
    policy = next(one["content"] for one in page.all("meta") if "http-equiv" in one)
    assert policy.startswith("default-src 'none'; img-src data:; ")
    style = page.all("style")[0]["text"]
    assert "url(" not in style
    assert "@import" not in style


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(2 * one for one in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_style_sheets_colours_have_contrast():
    style = Page(page_of("demo")).all("style")[0]["text"]
    named = dict(re.findall(r"--([\w-]+):\s*(#[0-9a-fA-F]{3,6})", style))
    texts = set(re.findall(r"(?<![\w-])color:\s*([^;}]+)", style)) - {"inherit"}
    grounds = set(re.findall(r"background:\s*([^;}]+)", style))
    assert texts
    assert all(one.strip().startswith("var(") for one in texts | grounds), texts | grounds
    for ink in texts:
        for ground in grounds:
            light, dark = sorted(
                (luminance(named[one.strip()[6:-1]]) for one in (ink, ground)), reverse=True
            )
            assert (light + 0.05) / (dark + 0.05) >= LEAST_CONTRAST, (ink, ground)


def test_names_from_the_data_are_text(text, name):
    assert text.count("<script") == 1 + ('id="slider-data"' in text)  # the page's own
    assert "<b>white" not in text
    if name in ("one_attribute", "no_people"):
        assert (
            html.escape(HOSTILE, quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
            in text
        )


def plain_page(text: str) -> str:
    return re.sub(r"<[^>]+>", " ", text.split('id="plain"')[1].split("<nav")[0])


def test_the_first_page_needs_no_statistics(text):
    first = plain_page(text)
    for heading in ("What was asked", "What was found", "How sure it is", "What it does not say"):
        assert heading in first
    jargon = r"posterior|interval|median|R-hat|impostor|genuine|FMR|FNMR|seed|\bmodel's\b|NUTS"
    assert not re.search(jargon, first), re.search(jargon, first)
    assert "real people" in first


@pytest.mark.slow
def test_the_first_page_says_what_the_tables_say():
    content = MADE["people_and_networks"]()
    rates = content.tables["rates"]
    rates = rates[(rates["system"] == "net") & (rates["rate_of"] == "FMR") & rates["supported"]]
    worst = rates.loc[rates["estimate"].idxmax()]
    said = " ".join(content.plain.found["net"])
    assert f"{of_every(worst)} pairs of {worst['race']} {worst['gender']} faces" in said
    effects = content.tables["machine"]
    effects = effects[(effects["system"] == "net") & (effects["pairs"] == "impostor")]
    clear = effects[effects["upper"] < 0]
    assert len(clear) >= 2
    if len(clear) < len(effects):
        assert all(f"{row['race']} {row['gender']}" in said for _, row in clear.iterrows())
    assert "are found more alike than white faces" in said


def test_a_failed_fit_is_loud_before_anything_else(name):
    content, text = MADE[name](), page_of(name)
    if name != "failed":
        assert "NOT" not in plain_page(text)
        assert 'class="unconverged"' not in text
        return
    body = text.split("<body>")[1]
    assert body.index('class="unconverged"') < body.index('id="plain"')
    assert text.split("<title>")[1].startswith("NOT CONVERGED")
    assert "NOT SURE AT ALL" in plain_page(text)
    assert 'class="text bad">no<' in text
    assert not content.tables["human"]["converged"].any()


def test_one_attribute_makes_no_comparisons():
    content = MADE["one_attribute"]()
    said = " ".join([*content.findings, *content.plain.found[""]])
    assert " most" not in said
    assert " least" not in said
    assert [one.name for one in content.pictures] == ["human", "diagram"]


def test_long_names_are_whole_in_text_and_short_in_figures():
    content = MADE["no_people"]()
    assert LONG in page_of("no_people")
    ticks = [t.get_text() for t in content.pictures[0].figure.axes[0].get_yticklabels()]
    assert all(len(line) <= 24 for tick in ticks for line in tick.splitlines())


def test_a_tables_constant_columns_go_into_its_caption():
    table = pd.DataFrame(
        {
            "race": ["a", "b"],
            "estimate": [1.0, 1.0],
            "over": ["s", None],
            "converged": [False, False],
        }
    )
    found = shown("t", "T", table, ["race"])
    assert [name for name, _ in found.columns] == ["race", "estimate", "converged"]
    assert "over: s where stated" in found.caption
    many = pd.DataFrame({"race": [str(i) for i in range(100)], "n": range(100)})
    found = shown("t", "T", many, ["race"])
    assert len(found.rows) == 60
    assert "The first 60 of 100 rows" in found.caption


def test_rates_and_numbers_in_words():
    row = pd.Series({"estimate": 0.00031, "lower": 0.0002, "upper": 0.0005})
    assert of_every(row) == "3 of every 10,000 (range 2 to 5)"
    assert [number(one) for one in (31.4, 0.0111, -2.0, 123456.0)] == [
        "31",
        "0.011",
        "−2.0",
        "123,456",
    ]
    many = pd.DataFrame({"group": [f"g{i}" for i in range(30)], "estimate": range(30)})
    alt = alt_text(many.assign(lower=-1.0, upper=31.0), ["group"], "points", "Points")
    assert "g29" in alt
    assert "g15" not in alt
    assert "0 of 30 intervals exclude zero" in alt


@needs_chromium
@pytest.mark.slow
@pytest.mark.parametrize("width", [1300, 500])
def test_axe_finds_nothing(name, text, width, tmp_path):
    found = axe(text, tmp_path, width=width)
    assert found["passes"] > 20
    assert found["violations"] == []
    assert found["incomplete"] == []
    assert found["width"] <= found["room"], "the page scrolls sideways"


@needs_chromium
@pytest.mark.slow
@pytest.mark.parametrize("size", ["A4", "Letter"])
def test_it_prints_whole_pages(size, tmp_path):
    paper = f"<style>@page {{ size: {size}; }}</style></head>"
    source = tmp_path / "report.html"
    source.write_text(page_of("people_and_networks").replace("</head>", paper))
    pdf = tmp_path / "report.pdf"
    run(
        "--no-pdf-header-footer",
        f"--print-to-pdf={pdf}",
        source.as_uri(),
        profile=tmp_path / "profile",
    )
    content = pdf.read_bytes()
    assert content.startswith(b"%PDF")
    assert 4 < len(re.findall(rb"/Type\s*/Page\b", content)) < 20
