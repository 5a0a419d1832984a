"""A small release on disk, and ways to break it."""

from collections.abc import Callable
from pathlib import Path

import causalbias as cb

LEVELS = {"pose": [-3.0, 0.0, 3.0], "smiling": [-1.5, 0, 2]}


def small_study(**changes):
    settings = {"seeds": 3, "levels": LEVELS, "impostors": 3, "random_seed": 5} | changes
    return cb.simulate(**settings)


def write_release(root: Path, *, archive: bool = False, **changes) -> Path:
    return cb.datasets.to_release(small_study(**changes), root / "release", archive=archive)


def load_release(root: Path, **layout):
    return cb.load("causalface", root, levels=LEVELS, **layout)


def edit_cells(path: Path, edit: Callable[[list[list[str]]], None]) -> None:
    """Change a CSV's cells in place; the first row is the header."""
    rows = [line.split(",") for line in path.read_text().splitlines()]
    edit(rows)
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")
