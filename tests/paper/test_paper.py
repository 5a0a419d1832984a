"""The paper: no result typed in, nothing stale, figures the same bytes, false claims refused."""

import copy
import importlib.util
import json
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

PAPER = Path(__file__).parents[2] / "paper"


@pytest.fixture(scope="module")
def paper():
    spec = importlib.util.spec_from_file_location("paper_build", PAPER / "build.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["paper_build"] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def settings():
    """Small, with effects so large that few seeds show them."""
    found = tomllib.loads((PAPER / "settings.toml").read_text())
    found["draws"] = 500
    found["simulated"] |= {
        "seeds": 20,
        "impostors": 19,
        "annotators": 60,
        "judgements": 4,
        "target": 0.3,
        "levels": {"pose": [-3.0, 0.0, 3.0]},
    }
    for bias in found["simulated"]["systems"][0]["biases"][:2]:
        bias["shift"] = -0.15
    return found


def prose(text: str) -> str:
    """The text without comments, mathematics, citations, labels and keys."""
    for hidden in (
        r"^\s*//.*$",
        r"^#import.*$",
        r"\$[^$]*\$",
        r"(?<!\\)@[\w-]+",
        r"<[\w-]+>",
        r'"[^"]*"',
        r"labels: \d|size: [\d.]+pt",
    ):
        text = re.sub(hidden, "", text, flags=re.MULTILINE)
    return text


def test_no_digit_is_typed_in_the_prose():
    typed = re.findall(r".*\b\d.*", prose((PAPER / "paper.typ").read_text()))
    assert not typed, typed


def test_prose_keeps_what_a_writer_might_type():
    assert "31" in prose('people notice 31 points $x^2$ #num("omi.2") @bates2015')


@pytest.mark.slow
def test_the_paper_builds_without_the_real_data_and_only_what_changed(paper, settings, tmp_path):
    out, said = tmp_path / "out", []
    build = {"only": ("simulated",), "say": said.append}
    pdf = paper.build(out, tmp_path / "nothing", settings, **build)
    assert pdf.read_bytes().startswith(b"%PDF")
    assert len(list((out / "simulated").glob("*.svg"))) == 3
    before, old = pdf.read_bytes(), json.loads((out / "results.json").read_text())["numbers"]

    said.clear()
    paper.build(out, tmp_path / "nothing", settings, **build)
    assert said == ["simulated: up to date"]
    assert pdf.read_bytes() == before

    # Another effect: other numbers, and none left of the old. As a draft of few seeds, in which the
    # claims need not hold.
    other = copy.deepcopy(settings)
    other["draws"] = 250
    other["simulated"] |= {"seeds": 6, "impostors": 5}
    other["simulated"]["systems"][0]["biases"][0]["shift"] = -0.18
    draft = build | {"draft": True}
    paper.build(out, tmp_path / "nothing", other, **draft)
    key = "sim.network-a.impostor.black-female"
    new = json.loads((out / "results.json").read_text())["numbers"]
    assert old[key] != new[key]
    assert new[f"{key}.truth"] == "−0.180"
    assert pdf.read_bytes() != before

    first = {path.name: path.read_bytes() for path in (out / "simulated").iterdir()}
    shutil.rmtree(out / "simulated")
    paper.build(out, tmp_path / "nothing", other, **draft)
    again = {path.name: path.read_bytes() for path in (out / "simulated").iterdir()}
    assert again == first


def test_a_number_that_is_gone_and_a_claim_that_fails_are_named(paper):
    text = '#num("sim.a") #num("sim.b") #holds("sim.c")[more] #num("omi.d")'
    found = {"numbers": {"sim.a": "1"}, "claims": {"sim.c": False}, "real": False, "peers": True}
    wrong = paper.problems(text, found)
    assert len(wrong) == 2
    assert 'num("sim.b")' in wrong[0]
    assert 'holds("sim.c")' in wrong[1]
    assert any("omi.d" in one for one in paper.problems(text, found | {"real": True}))


def test_a_draft_is_built_although_a_claim_fails(paper):
    text = '#holds("sim.a")[so] #num("sim.b")'
    results = {"real": False, "peers": False, "claims": {"sim.a": False}, "numbers": {"sim.b": "1"}}
    assert len(paper.problems(text, results)) == 1
    assert paper.problems(text, results | {"draft": True}) == []
    gone = results | {"draft": True, "numbers": {}}
    assert len(paper.problems(text, gone)) == 1  # a number that is gone ends a draft too


def test_the_text_cites_numbers(paper):
    assert len(paper.CITED.findall((PAPER / "paper.typ").read_text())) > 50
