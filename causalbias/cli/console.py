"""The terminal: lines of text, and errors as one line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from causalbias.errors import DataError

console = Console()


def say(text: object) -> None:
    """Print a text as it is: names in it are neither markup nor wrapped."""
    console.print(str(text), markup=False, highlight=False, soft_wrap=True)


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
