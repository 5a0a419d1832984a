"""The packages are those that ARCHITECTURE.md names, in the order that import-linter holds."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def named() -> list[list[str]]:
    """Rows of packages in ARCHITECTURE.md's table, from the top."""
    table = (ROOT / "ARCHITECTURE.md").read_text().partition("| package |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    return [re.findall(r"`(\w+)`", row) for row in rows]


def test_the_table_names_every_package_and_nothing_else():
    found = {
        path.stem
        for path in (ROOT / "causalbias").iterdir()
        if (path.is_dir() and path.name != "__pycache__") or path.suffix == ".py"
    }
    rows = named()
    assert {name for row in rows for name in row} == found - {"__init__"}
    assert [row for row in rows if row != sorted(row)] == []


def test_import_contracts_are_the_tables_rows():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = contracts["contracts"][0]["layers"]
    assert [layer.split(" | ") for layer in layers] == named()


def test_no_import_breaks_a_contract():
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
