"""Pages made at every build: the notebooks as the tutorial's pages, and the command line's."""

import hashlib
import os
import re
import shutil
from importlib import metadata
from pathlib import Path

import typer
from sphinx.application import Sphinx
from typer.cli import get_docs_for_click

from causalbias.cli.main import app as command_line

# Outputs depend on these besides a page's own code.
PACKAGES = ("bambi", "matplotlib", "numpy", "pandas", "pymc", "scipy", "xarray")
DATA = ("CAUSALBIAS_DATA", "CAUSALBIAS_CAUSALFACE")


def cache(root: Path) -> Path:
    """Where outputs are kept: a place of its own for each state of the package and its data."""
    state = hashlib.sha256()
    for file in sorted((root / "causalbias").rglob("*.py")):
        state.update(file.read_bytes())
    told = [metadata.version(name) for name in PACKAGES] + [os.environ.get(one) for one in DATA]
    state.update(repr(told).encode())
    return root / "build" / "docs-cache" / state.hexdigest()[:12]


def write(path: Path, text: str) -> None:
    """Write a page, unless it says so already: Sphinx reads again what has a new date."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def notebooks(app: Sphinx) -> None:
    """Each notebook as a page of the tutorial; those that are gone leave it."""
    folder = Path(app.srcdir) / "tutorial"
    sources = {one.name: one for one in Path(app.srcdir).parent.glob("notebooks/*.py")}
    for page in folder.glob("*.py"):
        if page.name not in sources:
            page.unlink()
    for name, source in sources.items():
        # A notebook's links to pages are from notebooks/, this page's from docs/tutorial/.
        write(folder / name, source.read_text().replace("](../docs/", "](../"))


def commands(app: Sphinx) -> None:
    """The reference of the command line, from the program's own help."""
    command = typer.main.get_command(command_line)
    context = typer.Context(command, info_name="causalbias")
    text = get_docs_for_click(obj=command, ctx=context, name="causalbias", title="Command line")
    for name in command.list_commands(context):
        # Typer cuts these off.
        said = (command.get_command(context, name).help or "").strip()
        line = f"* [`{name}`](#causalbias-{name}): {said}"
        text = re.sub(rf"^\* `{name}`: .*$", line, text, flags=re.MULTILINE)
    write(Path(app.srcdir) / "reference" / "command-line.md", text)


def clear_reference(app: Sphinx) -> None:
    """Pages of names that are gone would stay: all are made anew."""
    shutil.rmtree(Path(app.srcdir) / "reference" / "generated", ignore_errors=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the pages before Sphinx looks for pages."""
    app.connect("builder-inited", notebooks, priority=1)
    app.connect("builder-inited", commands, priority=1)
    app.connect("builder-inited", clear_reference, priority=1)
    return {"parallel_read_safe": True}
