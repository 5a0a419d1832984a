"""Replicates of a long computation, a line each in a file: to be killed and run again at will."""

import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from causalbias.scheduler import map_jobs, scheduled

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
        Several processes may share it: each takes what is missing in an order of its own. Or one
        process gives out what is missing to the workers of a dask scheduler, if one is set:
        ``Client("tcp://host:8786")``, then ``sbc.main()``.
    replicates : int
    one : function of the replicate's number, which is its seed, to what JSON can hold
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        if file.tell() and not path.read_bytes().endswith(b"\n"):
            file.write("\n")

        def add(replicate: int, value: Any) -> None:
            file.write(json.dumps([replicate, value]) + "\n")
            file.flush()

        order = np.random.default_rng().permutation(replicates).tolist()
        if scheduled():
            order = sorted(set(order) - set(read(path)))
            jobs = [partial(lambda at: (at,), at) for at in order]
            for replicate, value in zip(order, map_jobs(one, jobs), strict=True):
                add(replicate, value)
        for replicate in order:
            if replicate not in read(path):
                add(replicate, one(replicate))
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
