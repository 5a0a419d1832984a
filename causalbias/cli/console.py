"""The terminal: lines of text, and errors as one line."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import typer
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from causalbias.errors import DataError

console = Console()


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


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """End the program with one line where the data are bad, or the user interrupts it."""
    try:
        yield
    except (DataError, OSError) as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False, soft_wrap=True)
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
