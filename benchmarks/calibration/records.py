"""Replicates of a long computation, a line each in a file: to be killed and run again at will."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

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


def write(table: pd.DataFrame, name: str, cases: Iterable[str]) -> None:
    """Write a summary into `RESULTS`; cases without replicates here keep the rows that they had.

    Parameters
    ----------
    table : DataFrame
        With a column `case`.
    name : str
        Of the file, without its ending.
    cases : iterable of str
        All cases, in the order of the file.
    """
    RESULTS.mkdir(exist_ok=True)
    path, order = RESULTS / f"{name}.csv", {case: at for at, case in enumerate(cases)}
    if path.exists():
        known = pd.read_csv(path)
        table = pd.concat([known[~known["case"].isin(table["case"])], table])
    table.sort_values("case", key=lambda one: one.map(order), kind="stable").to_csv(
        path, index=False
    )
