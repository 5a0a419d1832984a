"""The terminal: lines of text, and errors as one line."""

import re
import shlex
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand

from causalbias.errors import DataError

console = Console()
OPTIONS: ContextVar[Sequence[Any]] = ContextVar("options", default=())  # of the command that runs
# An argument of Python in a text: same=, kind='distance', pool=True, score=['a', 'b'].
ARGUMENT = re.compile(
    r"(?<![\w'\"-])(?P<name>[a-z][a-z_]*)=(?![=~])"
    r"(?P<value>'[^']*'|\[[^\]]*\]|True|[0-9](?:[0-9.]*[0-9])?)?"
)


class Command(TyperCommand):
    """A command whose errors name its options: see `in_options`."""

    def invoke(self, ctx: Any) -> Any:
        """Run it."""
        of_run = OPTIONS.set([one for one in self.params if one.param_type_name == "option"])
        try:
            return super().invoke(ctx)
        finally:
            OPTIONS.reset(of_run)


def say(text: object) -> None:
    """Print a text as it is: names in it are neither markup nor wrapped."""
    console.print(str(text), markup=False, highlight=False, soft_wrap=True)


def show_table(title: str, columns: Iterable[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table as wide as its cells: digits are never left out to fit the terminal."""
    table = Table(
        title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, padding=0, show_edge=False
    )
    for column in columns:
        table.add_column(Text(column), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))  # a group's name may look like markup
    unlimited = console.options.update(max_width=10_000)
    table.width = Measurement.get(console, unlimited, table).maximum
    console.print(table, crop=False)


def in_options(text: str, options: Sequence[Any] | None = None) -> str:
    """Arguments of Python in a text as options of the command that runs; others as they are.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> kind = {"secondary_opts": [], "is_flag": False, "multiple": False}
    >>> in_options("give id_a= its name", [SimpleNamespace(name="id_a", opts=["--id-a"], **kind)])
    'give --id-a its name'
    """

    def written(found: re.Match[str]) -> str:
        name, value = found["name"], (found["value"] or "").strip("'")
        for one in options if options is not None else OPTIONS.get():
            if one.name in (name, name.removesuffix("s")):
                flag = max(one.opts, key=len)
                if not value or one.is_flag:
                    return flag
                each = re.findall(r"'([^']*)'", value) or [value]
                if not one.multiple:
                    return f"{flag} {shlex.quote(','.join(each))}"
                return " ".join(f"{flag} {shlex.quote(text)}" for text in each)
            if value and f"--{value}" in [*one.opts, *one.secondary_opts]:
                return f"--{value}"  # kind='distance' is --distance
        return found[0]

    return ARGUMENT.sub(written, text)


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """End the program with one line where the data are bad, or the user interrupts it.

    Warnings are lines too. Both name the options of the command in place of arguments of Python.
    """
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def note(message: Any, category: Any, *place: Any, **more: Any) -> None:
            if issubclass(category, UserWarning):
                text = in_options(f"note: {message}")
                Console(stderr=True).print(text, style="yellow", markup=False, soft_wrap=True)
            else:
                shown(message, category, *place, **more)

        warnings.showwarning = note
        with _ended():
            yield


@contextmanager
def _ended() -> Iterator[None]:
    try:
        yield
    except (DataError, OSError) as error:
        text = in_options(f"error: {error}")
        Console(stderr=True).print(text, style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        text = "interrupted; the finished parts are kept, and the same command resumes from there"
        Console(stderr=True).print(text, style="red", soft_wrap=True)
        raise typer.Exit(130) from None


@contextmanager
def steps_shown() -> Iterator[Callable[[str], None]]:
    """Give a function that says what a long command is at, in a line that goes when it ends.

    Errors are one line, as of `errors_in_one_line`.
    """
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with errors_in_one_line(), Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting")
        yield lambda step: bar.update(task, description=step)
