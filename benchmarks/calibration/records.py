"""Replicates of a long computation, a line each in a file: to be killed and run again at will."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def run(
    path: Path, replicates: int, one: Callable[[int], Any], *, seconds: float = float("inf")
) -> dict[int, Any]:
    """All replicates 0, 1, ...: those in the file, and the others, which are added to it.

    Parameters
    ----------
    path : Path
    replicates : int
    one : function of the replicate's number, which is its seed, to what JSON can hold
    seconds : float
        Stop before a replicate that would begin later than this.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    found, started = read(path), time.monotonic()
    with path.open("a+") as file:
        if file.tell() and not path.read_bytes().endswith(b"\n"):
            file.write("\n")
        for replicate in range(replicates):
            if time.monotonic() - started > seconds:
                break
            if replicate not in found:
                found[replicate] = one(replicate)
                file.write(json.dumps([replicate, found[replicate]]) + "\n")
                file.flush()
    return found
