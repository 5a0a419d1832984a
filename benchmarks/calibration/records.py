"""Replicates of a long computation, a line each in a file: to be killed and run again at will."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
RAW = HERE / "raw"  # not committed: the summaries in results/ are
RESULTS = HERE / "results"


def read(path: Path) -> dict[int, Any]:
    """What is known of each replicate; a line cut short by a kill counts as none."""
    found = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            replicate, value = json.loads(line)
        except ValueError:
            continue
        found[replicate] = value
    return found


def run(path: Path, replicates: int, one: Callable[[int], Any]) -> dict[int, Any]:
    """All of so many replicates: those in the file, and the others, which are added to it.

    Parameters
    ----------
    path : Path
        Several processes may share it: each takes what is missing in an order of its own.
    replicates : int
    one : function of the replicate's number, which is its seed, to what JSON can hold
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        if file.tell() and not path.read_bytes().endswith(b"\n"):
            file.write("\n")
        for replicate in np.random.default_rng().permutation(replicates).tolist():
            if replicate not in read(path):
                file.write(json.dumps([replicate, one(replicate)]) + "\n")
                file.flush()
    return read(path)
