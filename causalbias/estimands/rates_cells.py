"""Which comparisons count for which group: pairs, cohorts of impostors, ground truth."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import need_rows
from causalbias.errors import DataError, shown
from causalbias.study.frames import to_frame
from causalbias.study.tables import check_columns

COHORTS = ("same", "cross", "all")
FILE = "comparisons"


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
        uncertain, from 0 to 1, since all pairs then tell of both kinds.
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


@dataclass(frozen=True)
class Comparisons:
    """Pairs with their groups, ready to be cut into cells.

    Attributes
    ----------
    frame : DataFrame
        `system`, `distance`, `one`, `two` (codes of the seeds), `genuine` (probability), `a`, `b`
        (codes of the members' groups), `threshold` where known, and the columns of `match`.
    groups : list of tuple
        Values of `by`, in the order of the codes.
    by : list of str
    match : list of str
        Columns in which the members of an impostor pair agree.
    n_seeds : int
    """

    frame: pd.DataFrame
    groups: list[tuple[object, ...]]
    by: list[str]
    match: list[str]
    n_seeds: int

    @property
    def systems(self) -> list[str]:
        """Names of the systems."""
        return sorted(self.frame["system"].unique().tolist())


def comparisons(
    data: xr.DataTree | pd.DataFrame,
    by: str | Sequence[str],
    *,
    match: str | Sequence[str] = (),
    genuine: pd.DataFrame | pd.Series | None = None,
) -> Comparisons:
    """Read pairs with their groups from a study or a frame.

    Parameters
    ----------
    data : Study or DataFrame
        A frame holds `distance`, `seed_a`, `seed_b`, `same_identity` (unless `genuine` is given),
        and for each column of `by` and `match` either ``<name>_a`` and ``<name>_b`` or one
        ``<name>`` that both members share; optionally `system`, `threshold`, `pair`, and `status`
        ("ok", or why there is no distance).
    by : str or sequence of str
    match : str or sequence of str
    genuine : DataFrame or Series, optional
        By `pair`: the probability that it shows one person; or the frame from `consensus`.

    Returns
    -------
    Comparisons

    Raises
    ------
    DataError
        Naming column, row and mend.
    """
    need_rows(data)
    frame = data
    if isinstance(data, xr.DataTree):
        frame = to_frame(data, "machine")
        identity = data.attrs["identity"]
        frame = frame.rename(columns={f"{identity}_{side}": f"seed_{side}" for side in "ab"})
        by, match = ([_seed(name, identity) for name in _names(given)] for given in (by, match))
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"{type(data).__name__}", mend="give a study or a DataFrame", file=FILE)
    by, match = _names(by), _names(match)
    if frame.empty:
        raise DataError("no pairs", mend="give at least one", file=FILE)
    frame = frame.reset_index(drop=True)
    check_columns(frame, ["distance", "seed_a", "seed_b"], file=FILE)
    codes, seeds = pd.factorize(pd.concat([_whole(frame, "seed_a"), _whole(frame, "seed_b")]))
    groups, group = _groups([_sides(frame, name) for name in by], len(frame))
    known = pd.DataFrame(
        {
            "system": _whole(frame, "system").astype(str) if "system" in frame else "system",
            "distance": _distances(frame),
            "one": codes[: len(frame)],
            "two": codes[len(frame) :],
            "genuine": _genuine(frame, genuine),
            "a": group[0],
            "b": group[1],
            "threshold": frame.get("threshold", np.nan),
        }
    )
    for name in match:
        first, second = _sides(frame, name)
        known[f"agree_{name}"] = first.to_numpy() == second.to_numpy()
    surely = (known["genuine"] == 1) & (known["one"] != known["two"])
    if genuine is None and surely.any():
        raise DataError(
            "a pair of two seeds is said to show one person",
            mend="correct same_identity, or give genuine= with what people say of the pairs",
            file=FILE, column="same_identity", row=int(surely.to_numpy().argmax()) + 1,
        )  # fmt: skip
    return Comparisons(known, groups, by, match, len(seeds))


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
    for system, part in pairs.frame.groupby("system"):
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
    for system, rows in pairs.frame[kept].groupby("system"):
        cell = _cell(str(system), "impostor", (), rows, False)
        if len(cell.weight):
            yield cell


def group_pair_cells(pairs: Comparisons) -> Iterator[Cell]:
    """Cells of impostor pairs of each two groups; `group` holds the labels of both."""
    for system, part in pairs.frame.groupby("system"):
        low, high = np.minimum(part["a"], part["b"]), np.maximum(part["a"], part["b"])
        code = low * len(pairs.groups) + high
        for at, rows in part.groupby(np.asarray(code)):
            labels = tuple(
                label(pairs.groups[one]) for one in divmod(int(str(at)), len(pairs.groups))
            )
            cell = _cell(str(system), "impostor", labels, rows, False)
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
        system, kind, group, kept["one"].to_numpy(), kept["two"].to_numpy(),
        kept["distance"].to_numpy(), weight[used], int(failed.sum()),
    )  # fmt: skip


def label(group: tuple[object, ...]) -> str:
    """A group in words: its values, in the order of `by`."""
    return " ".join(map(str, group))


def check_cohort(cohort: str) -> None:
    """Raise DataError unless there is such a cohort."""
    if cohort not in COHORTS:
        raise DataError(f"{shown(cohort)} is not a cohort", mend=f"use one of {', '.join(COHORTS)}")


def _agree(pairs: Comparisons) -> pd.Series:
    """Whether both members of each pair agree in what is matched."""
    return pairs.frame[[f"agree_{name}" for name in pairs.match]].all(axis=1)


def _names(given: str | Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def _seed(name: str, identity: str) -> str:
    return "seed" if name == identity else name


def _whole(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column without missing values."""
    missing = frame[name].isna().to_numpy()
    if missing.any():
        raise DataError(
            f"the value is missing ({int(missing.sum()):,} such rows)", mend="fill it in",
            file=FILE, column=name, row=int(missing.argmax()) + 1,
        )  # fmt: skip
    return frame[name]


def _sides(frame: pd.DataFrame, name: str) -> tuple[pd.Series, pd.Series]:
    """A factor's values of both members."""
    if f"{name}_a" in frame and f"{name}_b" in frame:
        return _whole(frame, f"{name}_a"), _whole(frame, f"{name}_b")
    check_columns(frame, [name], file=FILE)
    return (_whole(frame, name),) * 2


def _groups(
    sides: list[tuple[pd.Series, pd.Series]], n: int
) -> tuple[list[tuple[object, ...]], np.ndarray]:
    """Sorted values of the groups, and each member's code (side, pair)."""
    if not sides:
        return [()], np.zeros((2, n), dtype=int)
    both = pd.concat(
        [pd.concat(side, ignore_index=True).rename(str(at)) for at, side in enumerate(sides)],
        axis=1,
    )
    grouped = both.groupby(list(both.columns))
    try:
        distinct = both.drop_duplicates().sort_values(list(both.columns))
    except TypeError as error:
        raise DataError(
            f"labels of groups of several types ({error})", mend="make all text, or all numbers",
            file=FILE,
        ) from None  # fmt: skip
    groups: list[tuple[object, ...]] = list(distinct.itertuples(index=False, name=None))
    return groups, grouped.ngroup().to_numpy().reshape(2, n)


def _distances(frame: pd.DataFrame) -> np.ndarray:
    """Distances, infinite where the pair has a status other than "ok"."""
    distance = pd.to_numeric(frame["distance"], errors="coerce").to_numpy(float)
    ok = (frame["status"] == "ok").to_numpy() if "status" in frame else np.ones(len(frame), bool)
    bad = ok & ~(np.isfinite(distance) & (distance >= 0))
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{shown(frame['distance'].iloc[row])} is no distance ({int(bad.sum()):,} such rows)",
            mend="give finite numbers, 0 or more, and the column status where there is none",
            file=FILE, column="distance", row=row + 1,
        )  # fmt: skip
    return np.where(ok, distance, np.inf)


def _genuine(frame: pd.DataFrame, given: pd.DataFrame | pd.Series | None) -> np.ndarray:
    """Probability that each pair shows one person."""
    if given is None:
        check_columns(frame, ["same_identity"], file=FILE)
        same = _whole(frame, "same_identity")
        odd = ~same.isin([True, False]).to_numpy()
        if odd.any():
            row = int(odd.argmax())
            raise DataError(
                f"{shown(same.iloc[row])} is neither true nor false", mend="give booleans",
                file=FILE, column="same_identity", row=row + 1,
            )  # fmt: skip
        return same.to_numpy().astype(bool).astype(float)
    check_columns(frame, ["pair"], file=FILE)
    if isinstance(given, pd.DataFrame):
        check_columns(given, ["label", "probability"], file="genuine")
        given = given["probability"].where(given["label"].astype(bool), 1 - given["probability"])
    if not given.index.is_unique:
        raise DataError("a pair occurs twice", mend="give one probability a pair", file="genuine")
    probability = frame["pair"].map(given).to_numpy(float)
    bad = ~((probability >= 0) & (probability <= 1))
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"pair {frame['pair'].iloc[row]}: {probability[row]} is no probability "
            f"({int(bad.sum()):,} such pairs)",
            mend="give one from 0 to 1 for every pair, or leave the pair out",
            file="genuine", row=None,
        )  # fmt: skip
    return probability


def own_thresholds(pairs: Comparisons) -> dict[str, float]:
    """The threshold that the data name for each system."""
    found = {}
    for system, part in pairs.frame.groupby("system"):
        known = part["threshold"].dropna().unique()
        if len(known) != 1:
            raise DataError(
                f"system {system!r} has {len(known) or 'no'} threshold{'s' * (len(known) > 1)}",
                mend="give threshold= a number, or fmr= the false match rate to set it at",
                file=FILE, column="threshold",
            )  # fmt: skip
        found[str(system)] = float(known[0])
    return found


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
    return json.dumps({why: count for why, count in counts.items() if count})
