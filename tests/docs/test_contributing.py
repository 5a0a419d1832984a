"""The contributing pages are true: each is followed in a copy of the repository, to the letter."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "contributing").glob("add-*.md"))
COPIED = ("causalbias", "docs", "tests", "conftest.py", "pyproject.toml", "ARCHITECTURE.md")
BLOCK = re.compile(
    r"^```\{code-block\} (\w+)\n:caption: (\S+)\n\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
SCRIPT = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A code block with a file name as its caption: a new file, or a change of one."""

    language: str
    file: str
    text: str


def blocks(page):
    return [Block(*found) for found in BLOCK.findall(page.read_text())]


def changed(text, diff):
    """The text with the hunks of a diff applied; a line that begins with @@ separates hunks."""
    for hunk in re.split(r"^@@.*\n", diff, flags=re.MULTILINE):
        lines = [line or " " for line in hunk.splitlines()]
        if not lines:
            continue
        assert {line[0] for line in lines} <= {" ", "+", "-"}, hunk
        old = "".join(f"{line[1:]}\n" for line in lines if line[0] != "+")
        new = "".join(f"{line[1:]}\n" for line in lines if line[0] != "-")
        assert text.count(old) == 1, f"these lines are not there, or not once:\n{old}"
        text = text.replace(old, new)
    return text


def follow(page, root):
    """Do what the page says; returns its new Python files and its new test files."""
    written = []
    for language, name, text in blocks(page):
        file = root / name
        if language == "diff":
            file.write_text(changed(file.read_text(), text))
        else:
            assert not file.exists(), f"{name} is there already"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            written.append(name)
    tests = [name for name in written if name.startswith("tests/")]
    return [name for name in written if name.startswith("causalbias/")], tests


@pytest.fixture
def copy(tmp_path):
    """A copy of the repository, numba's caches included."""
    root = tmp_path / "repository"
    root.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name)
        else:
            shutil.copy2(ROOT / name, root / name)
    return root


def run(root, *arguments, text=None):
    """Run Python with the copy's package; raises if it fails, with what it printed."""
    environment = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        input=text,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_a_page_for_each_frequent_change():
    index = (ROOT / "docs" / "contributing" / "index.md").read_text()
    assert PAGES
    for page in PAGES:
        assert f"\n{page.stem}\n" in index
        assert f"docs/contributing/{page.name}" in (ROOT / "CONTRIBUTING.md").read_text()


def test_a_diff_changes_the_lines_that_it_names_and_nothing_else():
    assert changed("a\nb\nc\n", " b\n+x\n@@\n-c\n+d\n") == "a\nb\nx\nd\n"
    with pytest.raises(AssertionError, match="not there"):
        changed("a\nb\nc\n", " e\n+x\n")


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_change_made_by_the_page_alone_passes_its_tests_and_the_linters(page, copy):
    modules, tests = follow(page, copy)
    assert modules
    assert tests
    run(copy, "-m", "ruff", "check", "causalbias", *tests)
    run(copy, "-m", "ruff", "format", "--check", "causalbias", *tests)
    listed = "tests/docs/test_site.py::test_every_public_name_has_one_place_in_the_reference"
    run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, *modules, listed)
    run(copy, "-c", "from importlinter.cli import lint_imports_command as lint; lint()")
    for script in SCRIPT.findall(page.read_text()):
        run(copy, "-", text=script)
