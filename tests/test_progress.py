"""The line that says what a long call is at: there after a while, once, and gone in the end."""

import io
import sys
import time
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias import progress


class Recorded(progress.Line):
    """A line that keeps what happens to it."""

    events: ClassVar[list[str]] = []

    def begin(self):
        self.events.append(f"begin {self.title}")

    def say(self, text):
        super().say(text)
        self.events.append(self.words)

    def end(self):
        self.events.append("end")


@pytest.fixture
def events(monkeypatch):
    monkeypatch.setattr(progress, "_kind", lambda: Recorded)
    monkeypatch.setattr(Recorded, "events", [])
    return lambda: Recorded.events


@pytest.fixture
def rows():
    rng = np.random.default_rng(1)
    return pd.DataFrame({"x": np.arange(60) % 2, "y": rng.normal(size=60)})


def test_a_fit_says_what_it_is_at_and_ends(events, rows):
    fit = cb.fit("y ~ x", rows, draws=100)
    said = events()
    assert said[0] == "begin cb.fit"
    assert "cb.fit: collapsed engine" in said
    assert any("weighted draws, effective sample size" in one for one in said)
    assert said[-1] == "end"
    assert said.count("end") == 1
    said.clear()
    cb.check(fit)
    assert said[0] == "begin cb.check"
    assert any("replicates of the data" in one for one in said)


def test_a_quiet_call_is_quiet_and_a_wrong_one_ends_its_line(events, rows):
    fit = cb.fit("y ~ x", rows, draws=100, progress=False)
    assert events() == []
    with pytest.raises(cb.DataError):
        cb.effects(fit, "nothing")
    assert events() == ["begin cb.effects", "end"]
    with progress.shown("outer"):
        events().clear()
        cb.effects(fit, "x")
    assert events() == ["end"], "a call within another has no line of its own"


def test_nothing_is_shown_without_a_terminal(capsys, rows):
    cb.fit("y ~ x", rows, draws=100)
    with progress.shown("cb.fit"):
        progress.stage("somewhere")
    assert capsys.readouterr() == ("", "")


def test_the_terminals_line_comes_late_and_goes(monkeypatch):
    told = io.StringIO()
    told.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", told)
    monkeypatch.setenv("TERM", "xterm")
    for wait, seen in ((0.05, True), (60.0, False)):
        line = progress.TerminalLine("cb.fit", wait)
        line.begin()
        line.say("weighing [draws]")
        time.sleep(0.6)
        line.end()
        assert ("weighing [draws]" in told.getvalue()) == seen
        told.truncate(0)


def test_the_notebooks_line_is_one_output_that_is_emptied(monkeypatch):
    display = pytest.importorskip("IPython.display")
    shown = []

    class Handle:
        def update(self, what):
            shown.append(what.data)

    def display_(what, *, display_id):
        assert display_id
        shown.append(what.data)
        return Handle()

    monkeypatch.setattr(display, "display", display_)
    line = progress.NotebookLine("cb.fit", 0.0)
    line.begin()
    line.say("a < b")
    line.say("c")
    line.end()
    assert "cb.fit: a &lt; b" in shown[0]
    assert "cb.fit: c" in shown[1]
    assert shown[2] == ""
    late = progress.NotebookLine("cb.fit", 60.0)
    late.say("a")
    late.end()
    assert len(shown) == 3


def test_a_stream_that_is_no_terminal_or_closed_shows_nothing(monkeypatch):
    closed = io.StringIO()
    closed.close()
    for stream in (None, object(), closed):
        monkeypatch.setattr(sys, "stderr", stream)
        assert progress._kind() is None
