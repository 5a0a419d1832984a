"""The README: its links lead somewhere, its code runs, its numbers are those that were measured."""

import functools
import re
import tomllib
from pathlib import Path

import pytest
import typer

import causalbias as cb
from causalbias.cli.main import app as command_line

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_every_link_leads_to_a_file():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    local = [link for link in links if not link.startswith("http")]
    assert len(local) > 8
    assert [link for link in local if not (ROOT / link).exists()] == []


def rows_of(heading):
    """Cells of the rows of the table below a heading of the README."""
    table = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


@pytest.mark.parametrize("row", rows_of("Published studies"), ids=lambda row: row[0])
def test_each_published_study_has_a_page_with_the_code_that_does_the_same(row):
    _published, _asks, by, link = row
    page = (ROOT / re.fullmatch(r"\[.+\]\((.+)\)", link)[1]).read_text()
    assert re.search(r"^(```\{code-cell\}|```python|# %%|    causalbias )", page, re.MULTILINE)
    used = re.findall(r"`([^`]+)`", by)
    commands = [one.split()[1] for one in used if one.startswith("causalbias ")]
    names = [re.match(r"cb\.([\w.]+)", one)[1] for one in used if one.startswith("cb.")]
    assert len(commands) + len(names) == len(used) > 0
    known = typer.main.get_command(command_line).commands
    assert [one for one in commands if one not in known or f"causalbias {one}" not in page] == []
    for name in names:
        assert callable(functools.reduce(getattr, name.split("."), cb))
        assert f"cb.{name}" in page


def test_the_figure_is_vectors_small_and_described():
    found = re.search(r"!\[([^\]]+)\]\((paper/[\w.]+\.svg)\)", README)
    assert found
    svg = (ROOT / found[2]).read_bytes()
    assert svg.lstrip().startswith(b"<?xml")
    assert b"<image" not in svg
    assert len(svg) < 100_000
    assert len(re.findall(r"\d", found[1])) > 4


def test_the_measured_times_are_those_of_the_performance_page():
    page = (ROOT / "docs" / "performance.md").read_text()
    row = re.search(r"\| time on ([\d,]+) distances ¹ \| ([\d.]+) s \| ([\d.]+) s ", README)
    assert row
    for tool, seconds in (("causalbias", row[2]), ("lme4", row[3])):
        before = r"\w+ \| [\d.]+ \| [\d.]+"  # gives, imports, first call
        measured = re.search(rf"\| {row[1]} \| {tool} [\d.]+ \| {before} \| ([\d.]+) \|", page)
        assert measured
        assert float(seconds) == pytest.approx(float(measured[1]), rel=0.02)


def test_the_citation_is_of_this_version():
    citation = (ROOT / "CITATION.cff").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"version: {project['version']}\n" in citation
    assert f"license: {project['license']}\n" in citation
    assert "cff-version: 1.2.0" in citation


@pytest.mark.slow
def test_the_code_runs_and_finds_what_was_put_in(monkeypatch, capsys):
    code = re.search(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert code
    real = cb.simulate
    monkeypatch.setattr(cb, "simulate", lambda seeds: real(seeds, people=None))  # the same pairs
    names: dict = {}
    exec(code[1], names)
    assert "converged" in capsys.readouterr().out
    assert cb.check(names["fit"]).attrs["verdict"] == "pass"
    table = cb.summarise(names["effect"]).set_index(["race", "gender"])
    assert table.loc["black", "estimate"].min() > 0  # pose is harder on black faces
    assert (table.loc["asian", "lower"] < 0).all()
    assert (table.loc["asian", "upper"] > 0).all()
