"""The page's script and its data: numbers of the slider, the policy, sorting and filtering."""

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.analyses.scores.analysis import _with_groups
from causalbias.report.content import Slider
from causalbias.report.page import render_page
from causalbias.report.script import as_json
from tests.analyses.test_scores import export

NODE = shutil.which("node")
SCRIPT = files("causalbias.report").joinpath("templates/report.js")
needs_node = pytest.mark.skipif(NODE is None, reason="no node here to run the page's script")
HOSTILE = '</script><b>A</b> & "co"'


@pytest.fixture(scope="module")
def rows():
    """Scores of two systems; the second's are lower, and one group has a hostile name."""
    one = export(persons=16).replace({"Probe Ethnicity": {"A": HOSTILE}})
    one = one.replace({"Gallery Ethnicity": {"A": HOSTILE}})
    two = one.assign(Similarity=(one["Similarity"] ** 1.2).round(4))
    return pd.concat([one.assign(System="net 1"), two.assign(System="net 2")], ignore_index=True)


@pytest.fixture(scope="module")
def result(rows):
    return cb.analyses.audit(cb.datasets.read_scores(rows), threshold=0.5)


@pytest.fixture(scope="module")
def page(result):
    return render_page(cb.analyses.audit_content(result))


@pytest.fixture(scope="module")
def sliders(page):
    found = re.search(r'id="slider-data">(.*?)</script>', page, flags=re.DOTALL)
    return json.loads(found[1])


def run_js(code: str) -> object:
    """What a line of JavaScript with the script's functions as `page` gives."""
    code = f"const page = require({json.dumps(str(SCRIPT))}); console.log(JSON.stringify({code}))"
    done = subprocess.run([NODE, "-e", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("system", [0, 1])
def test_numbers_at_the_sliders_places_are_those_of_error_rates(result, sliders, system):
    slider = sliders[system]
    name = f"net {system + 1}"
    assert slider["name"] == name
    assert slider["thresholds"][slider["start"]] == 0.5
    assert slider["thresholds"] == sorted(set(slider["thresholds"]))
    assert len(slider["thresholds"]) > 20
    frame, _ = _with_groups(result.scores)
    for k in (0, slider["start"], len(slider["thresholds"]) // 2, -1):
        at = {
            one: result.scores.distance_at(slider["thresholds"][k], one)
            for one in ("net 1", "net 2")
        }
        rates = cb.error_rates(frame, "group", threshold=at)
        table = cb.summarise(rates).query("system == @name")
        for row in table.itertuples():
            got = slider["rates"][row.rate_of][k][slider["groups"].index(row.group)]
            stated = None if np.isnan(row.estimate) else row.estimate
            assert got == [stated, row.lower, row.upper, row.errors, row.n]


def test_errors_are_those_counted_from_the_similarities(rows, sliders):
    mine = rows.query("System == 'net 2' and `Probe Ethnicity` == `Gallery Ethnicity`")
    slider = sliders[1]
    for k, threshold in enumerate(slider["thresholds"]):
        wrong = (mine["Similarity"] >= threshold) != (mine["Mated"] == 1)
        for kind, mated in (("FMR", 0), ("FNMR", 1)):
            for at, group in enumerate(slider["groups"]):
                own = (mine["Mated"] == mated) & (mine["Probe Ethnicity"] == group)
                cell = slider["rates"][kind][k][at]
                assert cell[3:] == [(wrong & own).sum(), own.sum()]


def test_the_policy_lets_this_script_run_and_nothing_else(page):
    policy = re.search(r'Security-Policy" content="([^"]*)"', page)[1]
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html.unescape(policy)
    assert "eval" not in scripts[0]
    assert "http" not in scripts[0]


def test_names_cannot_end_the_data_and_a_page_without_script_shows_no_slider(page, sliders):
    assert HOSTILE in sliders[0]["groups"]
    assert "</script><b>" not in page
    section = re.search(r"<section[^>]*aria-labelledby=\"thresholds\"[^>]*>", page)[0]
    assert " hidden " in section
    assert '<li hidden data-needs-script><a href="#thresholds">' in page


def test_a_system_that_compared_no_two_of_one_group_has_no_slider():
    one = export(persons=6)
    across = one[one["Probe Ethnicity"] != one["Gallery Ethnicity"]]
    both = pd.concat([one.assign(System="net 1"), across.assign(System="net 2")])
    found = cb.analyses.audit(cb.datasets.read_scores(both), threshold=0.5)
    assert [one.name for one in cb.analyses.audit_content(found).sliders] == ["net 1"]


def test_a_report_without_sliders_has_none():
    assert as_json([]) == "[]"


def test_cells_without_pairs_are_null():
    table = pd.DataFrame(
        {"threshold": [1.0, 2.0], "rate_of": "FMR", "group": ["a", "b"], "estimate": [np.nan, 0.5]}
    ).assign(lower=0.0, upper=0.7, errors=[0, 5], n=10)
    found = json.loads(as_json([Slider("s", "distance", 2.0, table)]))[0]
    assert found["rates"] == {"FMR": [[[None, 0, 0.7, 0, 10], None], [None, [0.5, 0, 0.7, 5, 10]]]}
    assert found["start"] == 1


@needs_node
def test_the_table_shows_the_numbers_of_its_threshold(sliders):
    slider = sliders[0]
    shown = run_js(f"[0, {slider['start']}, 20].map((k) => page.rows({json.dumps(slider)}, k))")
    for k, body in zip((0, slider["start"], 20), shown, strict=True):
        assert "<b>" not in body
        cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", body)
        for at, group in enumerate(slider["groups"]):
            line = cells[7 * at : 7 * at + 7]
            assert html.unescape(line[0]) == group
            for kind, told in zip(("FMR", "FNMR"), (line[1:4], line[4:7]), strict=True):
                estimate, lower, upper, errors, n = slider["rates"][kind][k][at]
                if estimate is None:
                    assert told[0] == "not stated"
                else:
                    assert float(told[0].rstrip("%")) == pytest.approx(100 * estimate, rel=5e-3)
                ends = [float(one.rstrip("%")) for one in told[1].split(" to ")]
                assert ends == pytest.approx([100 * lower, 100 * upper], rel=5e-3, abs=1e-9)
                assert told[2] == f"{errors:,.0f} of {n:,.0f}"


@needs_node
def test_a_group_that_is_switched_off_is_not_drawn(sliders):
    slider = json.dumps(sliders[0])
    both, one = run_js(f"[[], ['B']].map((off) => page.chart({slider}, 'FMR', 5, new Set(off)))")
    assert both.count("<title>") == 2
    assert one.count("<title>") == 1
    assert "<b>" not in both
    assert "NaN" not in both + one
    assert "undefined" not in both + one


@needs_node
def test_sorting_and_filtering():
    texts = ["1,200", "", "3", "unbounded", "-2", "1e-05"]
    assert run_js(f"page.order({texts}, 'upper', false)") == [4, 5, 2, 0, 3, 1]
    assert run_js(f"page.order({texts}, 'upper', true)") == [3, 0, 2, 5, 4, 1]
    assert run_js("page.order(['unbounded', '1'], 'lower', false)") == [0, 1]
    assert run_js("page.order(['b', 'a', 'B', '007'], 'group', false)") == [3, 1, 0, 2]
    assert run_js(
        "['white', 'fmr WHITE', ''].map((one) => page.matches('FMR white 0.1', one))"
    ) == [
        True,
        True,
        True,
    ]
    assert run_js("page.matches('FMR white 0.1', 'black')") is False
    assert run_js("[0.0123456, 0, 1, 0.00001234].map(page.percent)") == [
        "1.23%",
        "0%",
        "100%",
        "0.00123%",
    ]


DOM = """
const vm = require("vm"), fs = require("fs"), made = {};
const element = () => ({ attributes: {}, handlers: {}, style: {}, inside: {}, children: [],
  setAttribute(name, value) { this.attributes[name] = value; },
  getAttribute(name) { return this.attributes[name]; },
  addEventListener(name, run) { this.handlers[name] = run; },
  append(...more) { this.children.push(...more); }, scrollIntoView() { this.seen = true; },
  querySelector(what) { return (this.inside[what] ??= element()); } });
const byId = (id) => (made[id] ??= element());
byId("slider-data").textContent = DATA;
const history = { replaceState: (a, b, url) => { history.url = url; } };
const document = { getElementById: byId, createElement: element, querySelectorAll: () => [] };
vm.runInNewContext(fs.readFileSync(SCRIPT, "utf-8"),
  { document, history, location: { hash: HASH }, Number, JSON, Math, Set, String, Array });
const home = byId("slider-2"), input = home.inside.input, out = [];
const look = () => out.push([home.inside.output.textContent, home.inside.tbody.innerHTML]);
look(); input.value = "7"; input.handlers.input(); input.handlers.change(); look();
home.inside[".legend"].children[0].handlers.click();
console.log(JSON.stringify({ out, url: history.url, seen: Boolean(home.seen),
  chart: home.inside['[data-kind="FMR"]'].innerHTML }));
"""


@needs_node
def test_moving_the_slider_changes_the_numbers_and_the_link(sliders):
    """The script's part that touches the page, on a document made of the few calls it needs."""
    place = sliders[1]["thresholds"][3]
    code = DOM
    for name, value in (
        ("DATA", json.dumps(sliders)),
        ("SCRIPT", str(SCRIPT)),
        ("HASH", f"#threshold-2={place}"),
    ):
        code = code.replace(name, json.dumps(value), 1)
    done = subprocess.run([NODE, "-e", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["seen"]  # the link leads to it
    shown = run_js(f"[3, 7].map((k) => page.rows({json.dumps(sliders[1])}, k))")
    assert [body for _, body in found["out"]] == shown
    assert found["out"][0][0] == f"similarity {place}"
    assert found["out"][1][0] == f"similarity {sliders[1]['thresholds'][7]}"
    assert found["url"] == f"#threshold-2={sliders[1]['thresholds'][7]}"
    assert found["chart"].count("<title>") == 1  # one of two groups is switched off


def test_wide_tables_are_printed_sideways(result):
    content = cb.analyses.audit_content(result)
    text = render_page(content)
    heads = re.findall(r"<table( class=\"wide\")?>.*?<thead>(.*?)</thead>", text, flags=re.DOTALL)
    for wide, head in heads:
        assert bool(wide) == (head.count("<th ") >= 10)
