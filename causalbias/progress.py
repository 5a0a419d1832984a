"""What a call that takes long is at: a line in the terminal, or in a notebook, after two seconds.

The functions of ``causalbias`` open the line; engines and checks say what they are at by `stage`,
which does nothing where there is no line.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from html import escape
from typing import Any

WAIT = 2.0  # seconds, before which a call shows nothing


class Line:
    """The line of one call, at first invisible.

    Parameters
    ----------
    title : str
        What was called, "cb.fit".
    wait : float
        Seconds until the line appears.
    """

    def __init__(self, title: str, wait: float = WAIT) -> None:
        self.title, self.text = title, ""
        self.started, self.wait = time.monotonic(), wait

    def begin(self) -> None:
        """Get ready to appear."""

    def say(self, text: str) -> None:
        """Change what the call is at."""
        self.text = text

    def end(self) -> None:
        """Vanish."""

    @property
    def words(self) -> str:
        """Return the title, and what the call is at."""
        return f"{self.title}: {self.text}" if self.text else self.title


class TerminalLine(Line):
    """A line with the time gone by, which is removed in the end."""

    def begin(self) -> None:
        """Appear later, in a thread of its own: what is computed need not come back here."""
        self.lock, self.over = threading.Lock(), False
        self.bar: Any = None
        self.timer = threading.Timer(self.wait, self._appear)
        self.timer.daemon = True
        self.timer.start()

    def say(self, text: str) -> None:
        """Change the line."""
        super().say(text)
        with self.lock:
            if self.bar is not None:
                self.bar.update(self.task, description=self.words)

    def end(self) -> None:
        """Remove the line."""
        self.timer.cancel()
        with self.lock:
            self.over = True
            if self.bar is not None:
                self.bar.stop()

    def _appear(self) -> None:
        from rich.console import Console
        from rich.errors import LiveError
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        with self.lock:
            if self.over:
                return
            columns = SpinnerColumn(), TextColumn("{task.description}", markup=False)
            bar = Progress(
                *columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True
            )
            self.task = bar.add_task(self.words, total=None)
            try:
                bar.start()
            except LiveError:  # the user's own program shows something there
                return
            self.bar = bar


class NotebookLine(Line):
    """A line of the cell's output, which is emptied in the end; changed where a stage begins."""

    handle: Any = None

    def say(self, text: str) -> None:
        """Change the line, or show it for the first time."""
        from IPython import display

        super().say(text)
        gone = time.monotonic() - self.started
        if gone < self.wait:
            return
        written = f"<small>{escape(self.words)} ({gone:.0f} s)</small>"
        shown = display.HTML(written)  # type: ignore[no-untyped-call]
        if self.handle is None:
            self.handle = display.display(shown, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self.handle.update(shown)

    def end(self) -> None:
        """Empty the line."""
        if self.handle is not None:
            from IPython import display

            self.handle.update(display.HTML(""))  # type: ignore[no-untyped-call]


_line: ContextVar[Line | None] = ContextVar("line", default=None)


@contextmanager
def shown(title: str) -> Iterator[None]:
    """Show a line while a call takes long; within a call that has one there is no other.

    Parameters
    ----------
    title : str
    """
    kind = _kind()
    if kind is None or _line.get() is not None:
        yield
        return
    line = kind(title)
    token = _line.set(line)
    line.begin()
    try:
        yield
    finally:
        _line.reset(token)
        line.end()


def stage(text: str) -> None:
    """Say what a call is at; nothing where no line is shown.

    Examples
    --------
    >>> stage("1,000 weighted draws")
    """
    line = _line.get()
    if line is not None:
        line.say(text)


@contextmanager
def paused() -> Iterator[bool]:
    """Take the line away while something else shows its own progress; whether there was one."""
    line = _line.get()
    if line is None:
        yield False
        return
    line.end()
    try:
        yield True
    finally:
        line.begin()


def _kind() -> type[Line] | None:
    """Return what shows a line here: a notebook, a terminal, or nothing."""
    if "ipykernel" in sys.modules:
        from IPython.core.getipython import get_ipython

        if type(get_ipython()).__name__ == "ZMQInteractiveShell":
            return NotebookLine
    try:
        return TerminalLine if sys.stderr.isatty() else None
    except (AttributeError, ValueError):  # none, closed, or a program's own that lacks it
        return None
