"""Comparisons cut into cells: of one system, genuine or impostor, of one group and cohort."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from causalbias.errors import DataError, shown
from causalbias.rates.comparisons import Comparisons
from causalbias.rates.groups import in_words

COHORTS = ("same", "cross", "all")


@dataclass(frozen=True)
class Cell:
    """Comparisons of one system, one kind and one group.

    Attributes
    ----------
    system : str
    kind : {"impostor", "genuine"}
    group : tuple
        Values of the factors that make the group.
    first, second : ndarray of int (pair,)
        Codes of the members' seeds.
    distance : ndarray (pair,)
        Infinite where there is none (a failure to enrol): such a pair never matches.
    weight : ndarray (pair,)
        Probability that the pair is of this kind, as given. All 1; or, if any pair's kind is
        uncertain, from 0 to 1, since every pair then counts for both kinds.
    failed : int
        Comparisons without distance, whether they are among the pairs or not.
    """

    system: str
    kind: str
    group: tuple[object, ...]
    first: np.ndarray
    second: np.ndarray
    distance: np.ndarray
    weight: np.ndarray
    failed: int

    @property
    def certain(self) -> bool:
        """Whether every pair is known to be of this kind."""
        return bool((self.weight == 1).all())


def cells_of(
    pairs: Comparisons, cohort: str = "same", *, generalised: bool = False
) -> Iterator[Cell]:
    """Cut comparisons into cells: a system, genuine or impostor, a group.

    Parameters
    ----------
    pairs : Comparisons
    cohort : {"same", "cross", "all"}
        Impostor pairs of a group: both members of it, one of them, or either.
    generalised : bool
        Count a comparison without distance as one that does not match, rather than not at all.
    """
    check_cohort(cohort)
    in_match = _agree(pairs)
    for system, part in pairs.frame.groupby("system", observed=True):
        same, agree = part["a"] == part["b"], in_match[part.index]
        for code, group in enumerate(pairs.groups):
            either = (part["a"] == code) | (part["b"] == code)
            wanted = {"same": either & same, "cross": either & ~same, "all": either}[cohort] & agree
            for kind, rows in (("impostor", wanted), ("genuine", either & same)):
                cell = _cell(str(system), kind, group, part[rows], generalised)
                if len(cell.weight):
                    yield cell


def pooled_cells(pairs: Comparisons, cohort: str) -> Iterator[Cell]:
    """One cell a system: all impostor pairs of a cohort, each once; its group is ()."""
    check_cohort(cohort)
    same = pairs.frame["a"] == pairs.frame["b"]
    kept = {"same": same, "cross": ~same, "all": same | True}[cohort] & _agree(pairs)
    for system, rows in pairs.frame[kept].groupby("system", observed=True):
        cell = _cell(str(system), "impostor", (), rows, False)
        if len(cell.weight):
            yield cell


def group_pair_cells(pairs: Comparisons) -> Iterator[Cell]:
    """Cells of impostor pairs of each two groups; `group` holds the labels of both."""
    names = in_words(pairs.groups)
    for system, part in pairs.frame.groupby("system", observed=True):
        low, high = np.minimum(part["a"], part["b"]), np.maximum(part["a"], part["b"])
        code = low * len(pairs.groups) + high
        for at, rows in part.groupby(np.asarray(code)):
            both = tuple(names[one] for one in divmod(int(str(at)), len(pairs.groups)))
            cell = _cell(str(system), "impostor", both, rows, False)
            if len(cell.weight):
                yield cell


def _cell(
    system: str,
    kind: str,
    group: tuple[object, ...],
    rows: pd.DataFrame,
    generalised: bool,
) -> Cell:
    weight = rows["genuine"].to_numpy()
    weight = weight if kind == "genuine" else 1 - weight
    uncertain = not np.isin(weight, (0, 1)).all()
    there = (weight > 0) | (uncertain & (weight > 0).any())
    failed = there & np.isinf(rows["distance"].to_numpy())
    used = there if generalised else there & ~failed
    kept = rows[used]
    return Cell(
        system,
        kind,
        group,
        kept["one"].to_numpy(),
        kept["two"].to_numpy(),
        kept["distance"].to_numpy(),
        weight[used],
        int(failed.sum()),
    )


def check_cohort(cohort: str) -> None:
    """Raise DataError unless there is such a cohort."""
    if cohort not in COHORTS:
        raise DataError(f"{shown(cohort)} is not a cohort", hint=f"use one of {', '.join(COHORTS)}")


def _agree(pairs: Comparisons) -> pd.Series:
    """Whether both members of each pair agree in what is matched."""
    return pairs.frame[[f"agree_{name}" for name in pairs.match]].all(axis=1)


def left_out(pairs: Comparisons, cohort: str) -> str:
    """Counts of the pairs that no cell holds, as JSON by reason."""
    frame = pairs.frame
    same = (frame["a"] == frame["b"]).to_numpy()
    agree = _agree(pairs).to_numpy()
    genuine, impostor = (frame["genuine"] > 0).to_numpy(), (frame["genuine"] < 1).to_numpy()
    outside = {"same": ~same, "cross": same, "all": np.zeros(len(frame), dtype=bool)}[cohort]
    counts = {
        "genuine pairs of two groups": int((genuine & ~same).sum()),
        "impostor pairs outside the cohort": int((impostor & outside).sum()),
        "impostor pairs that differ in what is matched": int((impostor & ~outside & ~agree).sum()),
    }
    counts = pairs.left_out | {why: count for why, count in counts.items() if count}
    return json.dumps(counts)
