"""Which comparisons count for which group: pairs, cohorts of impostors, ground truth."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from causalbias.arguments import names_in, need_rows
from causalbias.datasets.scores.checks import missing_code, zeros_lost
from causalbias.errors import DataError, shown
from causalbias.rates.groups import coded, text_of
from causalbias.study.columns import labels, levels_of, number_hint, typed
from causalbias.study.frames import to_frame
from causalbias.study.tables import check_columns, checked_status, with_index

COHORTS = ("same", "cross", "all")
DESIGN = 0.25  # share of the seeds from which on that they are of several groups is a design
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
    levels : dict of str to list
        Labels of each column of `by`, and of `system`, that occur, in the data's order.
    left_out : dict of str to int
        Number of rows whose seed or group is missing, by reason.
    several : str
        How many seeds are in several groups, in words; "" where none is, and of a study, whose
        design crosses seeds with factors.
    """

    frame: pd.DataFrame
    groups: list[tuple[object, ...]]
    by: list[str]
    match: list[str]
    n_seeds: int
    levels: dict[str, list[object]]
    left_out: dict[str, int]
    several: str = ""

    @property
    def systems(self) -> list[str]:
        """Names of the systems, in the data's order."""
        return [str(one) for one in self.levels["system"]]


def comparisons(
    data: "xr.DataTree | pd.DataFrame | Comparisons",
    by: str | Sequence[str],
    *,
    match: str | Sequence[str] = (),
    genuine: pd.DataFrame | pd.Series | None = None,
) -> Comparisons:
    """Read pairs with their groups from a study or a frame.

    Parameters
    ----------
    data : Study, DataFrame or Comparisons
        Comparisons are returned as they are, so that several estimates of the same pairs read
        them once. A frame holds `distance`, `seed_a`, `seed_b`, `same_identity` (unless `genuine`
        is given), and for each column of `by` and `match` either ``<name>_a`` and ``<name>_b`` or
        one ``<name>`` that both members share; optionally `system`, `threshold`, `pair`,
        `stimulus_a`, `stimulus_b`, and `status` ("ok", or why there is no distance). Seeds, and
        whatever else names somebody, are text (see `text_of`). Pairs with a missing seed or group
        label are excluded and counted in `left_out`. A seed may be of several groups where that is
        by design: where `stimulus_a` and `stimulus_b` say which face is of which group, or at least
        a quarter of the seeds are.
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
        Naming column, row and a hint.
    """
    if isinstance(data, Comparisons):
        return _as_asked(data, by, match, genuine)
    need_rows(data)
    frame = data
    if isinstance(data, xr.DataTree):
        frame = to_frame(data, "machine")
        identity = data.attrs["identity"]
        frame = frame.rename(columns={f"{identity}_{side}": f"seed_{side}" for side in "ab"})
        by, match = (
            [_seed(name, identity) for name in _names(given, argument)]
            for given, argument in ((by, "by"), (match, "match"))
        )
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"{type(data).__name__}", hint="give a study or a DataFrame", file=FILE)
    by, match = _names(by, "by"), _names(match, "match")
    if frame.empty:
        raise DataError("no pairs", hint="give at least one", file=FILE)
    frame = with_index(frame, FILE)
    check_columns(frame, ["distance", "seed_a", "seed_b"], file=FILE)
    frame, nobody = _with_known_members(frame, [*by, *match])
    n = len(frame)
    texts = text_of(frame["seed_a"], frame["seed_b"])
    codes, seeds = pd.factorize(texts)
    _check_zeros(set(texts.iloc[:n].unique()), set(texts.iloc[n:].unique()))
    sides = [coded(_one_column(_sides(frame, name)).rename(name)) for name in by]
    groups, group, levels = _groups(sides, by, n)
    system, levels["system"] = _systems(frame)
    known = pd.DataFrame(
        {
            "system": system,
            "distance": _distances(frame),
            "one": codes[:n],
            "two": codes[n:],
            "genuine": _genuine(frame, genuine),
            "a": group[0],
            "b": group[1],
            "threshold": _thresholds(frame),
        },
        index=frame.index,
    )
    for name in match:
        first, second = _sides(frame, name)
        text = text_of(first, second).to_numpy()
        known[f"agree_{name}"] = text[:n] == text[n:]
    if genuine is None:
        _check_identities(known)
    _check_pairs(frame, known)
    _check_codes(known)
    _check_direction(known, in_words(groups))
    several = "" if isinstance(data, xr.DataTree) else _several(frame, codes, seeds, by, sides)
    return Comparisons(known, groups, by, match, len(seeds), levels, nobody, several)


def _as_asked(
    pairs: Comparisons,
    by: str | Sequence[str],
    match: str | Sequence[str],
    genuine: pd.DataFrame | pd.Series | None,
) -> Comparisons:
    """Comparisons that were read before, if they were read for the same groups."""
    asked = (_names(by, "by"), _names(match, "match"))
    if asked != (pairs.by, pairs.match) or genuine is not None:
        raise DataError(
            f"comparisons by {', '.join(pairs.by)} are asked for rates by {', '.join(asked[0])}",
            hint="give the pairs themselves",
        )
    return pairs


def _systems(frame: pd.DataFrame) -> tuple[pd.Series, list[object]]:
    """The system of each pair, and all systems, in the data's order."""
    if "system" not in frame:
        return pd.Series("system", index=frame.index, dtype="category"), ["system"]
    found = labels(_whole(frame, "system"), file=FILE)
    names = levels_of(found).tolist()
    return found.astype(object).astype(pd.CategoricalDtype(names)), names


def _with_known_members(
    frame: pd.DataFrame, columns: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The pairs in which no seed or group label is missing, and the counts of the others."""
    for name in columns:
        if not {f"{name}_a", f"{name}_b"} <= set(frame):
            check_columns(frame, [name], file=FILE)
    reasons = {"pairs with a member without seed": ["seed_a", "seed_b"]} | {
        f"pairs with a member without {name}": (
            [f"{name}_a", f"{name}_b"] if {f"{name}_a", f"{name}_b"} <= set(frame) else [name]
        )
        for name in columns
    }
    kept, counts = np.ones(len(frame), dtype=bool), {}
    for reason, names in reasons.items():
        missing = np.logical_or.reduce([text_of(frame[name]).isna() for name in names])
        if missing.all():
            raise DataError(
                f"the value is missing ({len(frame):,} such rows)",
                hint="fill it in",
                file=FILE,
                column=names[0],
                row=1,
            )
        counts[reason] = int((kept & missing).sum())
        kept &= ~missing
    if not kept.any():
        raise DataError(
            "in every pair a seed or a group label is missing", hint="fill them in", file=FILE
        )
    return frame[kept], {reason: count for reason, count in counts.items() if count}


def _first_of(
    wrong: np.ndarray, index: pd.Index, problem: str, *, hint: str, column: str
) -> DataError:
    """The error of the first row where `wrong` holds, by its number in the table given."""
    return DataError(
        f"{problem} ({int(wrong.sum()):,} such rows)",
        hint=hint,
        file=FILE,
        column=column,
        row=int(index[int(wrong.argmax())]) + 1,
    )


def _check_identities(known: pd.DataFrame) -> None:
    """Raise DataError where `same_identity` contradicts the seeds of a pair."""
    same, alike = known["genuine"] == 1, known["one"] == known["two"]
    for wrong, problem in (
        (same & ~alike, "a pair of two seeds is said to show one person"),
        (~same & alike, "a pair of one seed is said to show two persons"),
    ):
        if wrong.any():
            raise _first_of(
                wrong.to_numpy(),
                known.index,
                problem,
                hint="correct same_identity, or give genuine= with what people say of the pairs",
                column="same_identity",
            )


def _check_zeros(first: set[str], second: set[str]) -> None:
    """Refuse seeds that keep the zeros at their start on one side, and have lost them on the other.

    They would be two seeds each.
    """
    lost = zeros_lost(first - second, second - first)
    if lost is not None:
        raise DataError(
            f"seed {lost[0]!r} of seed_a is {lost[1]!r} in seed_b, as where zeros were lost",
            hint="write ids alike, as text",
            file=FILE,
            column="seed_a + seed_b",
        )


def _several(
    frame: pd.DataFrame,
    seed: np.ndarray,
    seeds: pd.Index,
    by: Sequence[str],
    sides: Sequence[tuple[np.ndarray, list[object]]],
) -> str:
    """Say how many seeds are of several groups; refuse where that is a slip in some rows.

    Generated faces of one seed are of several groups by design. A person who is of another group in
    some rows would count for both.
    """
    faces = {"stimulus_a", "stimulus_b"} <= set(frame)
    if faces:
        face, ids = pd.factorize(text_of(frame["stimulus_a"], frame["stimulus_b"]))
    said = []
    for name, (group, labels_) in zip(by, sides, strict=True):
        if name == "seed" or not {f"{name}_a", f"{name}_b"} <= set(frame):
            continue  # the seed itself, or a matter of the pair
        if faces and (apart := _of_another_group(face, group)).any():
            raise _two_groups("face", ids, face, group, labels_, apart, name, frame.index)
        apart = _of_another_group(seed, group)
        count = len(np.unique(seed[apart]))
        if count and not faces and count < DESIGN * len(seeds):
            raise _two_groups("seed", seeds, seed, group, labels_, apart, name, frame.index)
        if count:
            said.append(
                f"seeds are of several groups of {name} by design: {count:,} of {len(seeds):,}"
            )
    return "; ".join(said)


def _of_another_group(member: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Which sides of pairs are of another group than where their member is first."""
    first = np.zeros(member.max() + 2, dtype=group.dtype)  # the last: of missing ones
    first[member[::-1]] = group[::-1]  # of several, the last is kept
    found: np.ndarray = (first[member] != group) & (member >= 0)
    return found


def _two_groups(
    what: str,
    ids: pd.Index,
    member: np.ndarray,
    group: np.ndarray,
    values: list[object],
    apart: np.ndarray,
    name: str,
    index: pd.Index,
) -> DataError:
    """The error of the first member that is of two groups, with both places and their number."""
    at = int(apart.argmax())
    first = int((member == member[at]).argmax())
    places = [
        f"{values[group[one]]!r} in {name}_{'ab'[one // len(index)]} of row "
        f"{int(index[one % len(index)]) + 1}"
        for one in (first, at)
    ]
    count = len(np.unique(member[apart]))
    more = f"; and {count - 1:,} more {what}s" if count > 1 else ""
    return DataError(
        f"{what} {ids[member[at]]!r} is {' and '.join(places)}{more}",
        hint="correct the group; where faces of one seed are of several groups, give stimulus_a "
        "and stimulus_b, which distinguish faces"
        if what == "seed"
        else "correct the group",
        file=FILE,
        column=f"{name}_a + {name}_b",
        row=int(index[at % len(index)]) + 1,
    )


def _check_codes(known: pd.DataFrame) -> None:
    """Refuse a distance such as 999 that stands for a failure: a pair that does not match."""
    for _, distance in known.groupby("system", observed=True)["distance"]:
        code = missing_code(distance.to_numpy(float))
        if code is not None:
            raise _first_of(
                (known["distance"] == code).to_numpy(bool),
                known.index,
                f"{code:g} is far from all other distances, as a code for a failure is",
                hint="say in the column status why there is no distance, and leave it empty",
                column="distance",
            )


def _check_pairs(frame: pd.DataFrame, known: pd.DataFrame) -> None:
    """Raise DataError where a face is beside itself, or a pair is there twice.

    Faces are distinguished by `stimulus_a` and `stimulus_b` where these are given, else by their
    distances.
    """
    if {"stimulus_a", "stimulus_b"} <= set(frame):
        _check_faces(frame, known["system"].to_numpy())
        return
    _check_both_orders(known)
    _check_doubled(known)
    if "pair" in frame and frame["pair"].notna().all():
        ids = {"system": known["system"].to_numpy(), "pair": text_of(frame["pair"]).to_numpy()}
        keys = pd.DataFrame(ids)
        _check_once(keys, keys.duplicated().to_numpy(), frame.index, "pair")


def _check_faces(frame: pd.DataFrame, system: np.ndarray) -> None:
    """Raise DataError where a pair's two faces are one, or two faces are compared again."""
    both = text_of(frame["stimulus_a"], frame["stimulus_b"])
    first, second = both.iloc[: len(frame)], both.iloc[len(frame) :]
    beside = first.to_numpy() == second.to_numpy()
    if beside.any():
        raise _first_of(
            beside,
            frame.index,
            f"face {first.iloc[int(beside.argmax())]!r} is beside itself",
            hint="leave these rows out: they compare nothing",
            column="stimulus_b",
        )
    there = first.notna().to_numpy() & second.notna().to_numpy()
    code = pd.factorize(pd.concat([first, second]))[0].reshape(2, -1)
    keys = pd.DataFrame({"system": system, "low": code.min(axis=0), "high": code.max(axis=0)})
    again = keys.duplicated().to_numpy() & there
    _check_once(keys, again, frame.index, "stimulus_a + stimulus_b")


def _check_once(keys: pd.DataFrame, again: np.ndarray, index: pd.Index, column: str) -> None:
    """Raise DataError where a row's keys are those of an earlier one (`again`)."""
    if again.any():
        row = int(again.argmax())
        first_row = int((keys == keys.iloc[row]).all(axis=1).to_numpy().argmax())
        raise DataError(
            f"the pair is there again (first in row {int(index[first_row]) + 1}; "
            f"{int(again.sum()):,} such rows): in the other order, or under another id, it is one",
            hint="keep one row of each pair and system",
            file=FILE,
            column=column,
            row=int(index[row]) + 1,
        )


def _check_both_orders(known: pd.DataFrame) -> None:
    """Raise DataError if every impostor pair is there in both orders, at the same distance."""
    apart = known[known["one"] != known["two"]]
    forth = apart[apart["one"] < apart["two"]]
    back = apart[apart["one"] > apart["two"]].rename(columns={"one": "two", "two": "one"})
    if len(forth) != len(back) or forth.empty:
        return
    order = ["system", "one", "two", "distance"]
    one, other = (side[order].sort_values(order).reset_index(drop=True) for side in (forth, back))
    if one.equals(other):
        raise DataError(
            f"every impostor pair is there in both orders ({len(forth):,} pairs)",
            hint="keep one row of each: a distance has no order",
            file=FILE,
            column="seed_a + seed_b",
        )


def _check_doubled(known: pd.DataFrame) -> None:
    """Raise DataError where distances show that pairs are there again, or faces beside themselves.

    Seeds may be compared many times, with other faces. But a distance that two rows of the same
    seeds and groups share to rounding, and no other seeds have, is one pair's: unless distances
    are coarse, where other seeds share many of them too.
    """
    table = _by_distance(known)
    distance = table["distance"].to_numpy()
    near = np.diff(distance, prepend=-1.0) <= 1e-12 * np.abs(distance)
    near &= np.diff(table["system"].to_numpy(), prepend=-1) == 0
    value = np.cumsum(~near)
    dyads = table.groupby(value)["dyad"].transform("nunique").to_numpy()
    again = table.groupby([value, "dyad"]).cumcount().to_numpy() > 0
    again &= dyads == 1
    positive = distance[distance > 0]
    coarse = len(np.unique(positive)) < len(positive) / 2 and not again.sum() > len(positive) / 4
    beside = table["same"].to_numpy() & (distance == 0) & (not coarse)
    twice = "a pair of the same seeds has the same distance: it is there again, in this order or "
    for wrong, least, problem in (
        (again, 0.1 * (dyads > 1).sum(), f"{twice}the other"),
        (beside, 1, "a pair of one seed is at distance 0: a face beside itself"),
    ):
        if wrong.sum() > least:
            raise DataError(
                f"{problem} ({int(wrong.sum()):,} such rows)",
                hint="keep one row of each pair and system, and no face beside itself; or give "
                "stimulus_a and stimulus_b, which distinguish faces",
                file=FILE,
                column="distance",
                row=int(known.index[int(table.index[wrong].min())]) + 1,
            )


def _by_distance(known: pd.DataFrame) -> pd.DataFrame:
    """Pairs with a distance, in its order: dyad (of seeds and groups), system, whether genuine.

    The index is the position in `known`.
    """
    low, high = (np.sort(known[names].to_numpy(), axis=1) for names in (["one", "two"], ["a", "b"]))
    keys = pd.DataFrame(
        {
            "system": known["system"].to_numpy(),
            "low": low[:, 0],
            "high": low[:, 1],
            "a": high[:, 0],
            "b": high[:, 1],
        }
    )
    table = pd.DataFrame(
        {
            "dyad": keys.groupby(list(keys), sort=False).ngroup().to_numpy(),
            "system": pd.factorize(known["system"])[0],
            "distance": known["distance"].to_numpy(),
            "same": (known["genuine"] == 1).to_numpy(),
        }
    )
    finite = table[np.isfinite(table["distance"])]
    return finite.sort_values(["system", "distance"], kind="stable")


# Standard errors by which genuine distances must be the larger ones for it to be no chance.
SURE = 3.0


def _check_direction(known: pd.DataFrame, names: Sequence[str]) -> None:
    """Raise DataError where genuine pairs are further apart than impostors: not by chance.

    By the Mann-Whitney statistic, the share of pairs of pairs in which the impostors' distance is
    the larger (the area under the curve); of each system, and of each group, whose number the
    limit allows for (Bonferroni). Its standard error is that of comparisons that share no seed, so
    that a system that distinguishes nobody passes, and so do the few pairs of a trial.
    """
    several = float(-ndtri(ndtr(-SURE) / max(len(names), 1)))
    for system, part in known.groupby("system", observed=True):
        part = part[np.isfinite(part["distance"])]
        within = part[part["a"] == part["b"]]
        own = [(f", group {names[int(code)]!r}", rows) for code, rows in within.groupby("a")]
        for group, rows in [("", part), *(own if len(names) > 1 else [])]:
            area, error = _area(rows)
            if area < 0.5 - (several if group else SURE) * error:
                raise DataError(
                    f"system {system!r}{group}: genuine pairs are further apart than impostors (an "
                    f"impostor pair's distance is the larger in {area:.0%} of comparisons; below "
                    "50% the equal error rate is over one half): these are similarities, or "
                    "same_identity is turned",
                    hint="give distance = 1 - similarity, or correct same_identity",
                    file=FILE,
                    column="distance",
                )


def _area(rows: pd.DataFrame) -> tuple[float, float]:
    """Share of pairs of pairs whose impostors are further apart, and its standard error."""
    genuine, impostor = (rows[rows["genuine"] == one] for one in (1, 0))
    n, m = len(impostor), len(genuine)
    if not n or not m:
        return 0.5, np.inf
    both = rankdata(np.concatenate([impostor["distance"], genuine["distance"]]))
    area = (both[:n].sum() - n * (n + 1) / 2) / (n * m)
    people = [len(np.unique(one[["one", "two"]])) for one in (genuine, impostor)]
    disjoint = max(people[0], 1), max(people[1] // 2, 1)
    return float(area), float(np.sqrt((1 / disjoint[0] + 1 / disjoint[1]) / 12))


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


def in_words(groups: Sequence[tuple[object, ...]]) -> list[str]:
    """Groups in words, no two alike: their values in the order of `by`, as plainly as may be.

    Examples
    --------
    >>> in_words([("black", "male"), ("white", "male")])
    ['black male', 'white male']
    >>> in_words([("south", "asian male"), ("south asian", "male")])
    ['south, asian male', 'south asian, male']
    """
    for between in (" ", ", "):
        found = [between.join(map(str, group)) for group in groups]
        if len(set(found)) == len(set(groups)):
            return found
    return [", ".join(repr(str(one)) for one in group) for group in groups]


def check_cohort(cohort: str) -> None:
    """Raise DataError unless there is such a cohort."""
    if cohort not in COHORTS:
        raise DataError(f"{shown(cohort)} is not a cohort", hint=f"use one of {', '.join(COHORTS)}")


def _agree(pairs: Comparisons) -> pd.Series:
    """Whether both members of each pair agree in what is matched."""
    return pairs.frame[[f"agree_{name}" for name in pairs.match]].all(axis=1)


def _names(given: str | Sequence[str], argument: str) -> list[str]:
    """Names of columns, each once."""
    return list(dict.fromkeys(names_in(given, argument)))


def _seed(name: str, identity: str) -> str:
    return "seed" if name == identity else name


def _whole(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column without missing values."""
    missing = frame[name].isna().to_numpy()
    if missing.any():
        raise _first_of(
            missing, frame.index, "the value is missing", hint="fill it in", column=name
        )
    return frame[name]


def _sides(frame: pd.DataFrame, name: str) -> tuple[pd.Series, pd.Series]:
    """A factor's values of both members."""
    if f"{name}_a" in frame and f"{name}_b" in frame:
        return _whole(frame, f"{name}_a"), _whole(frame, f"{name}_b")
    check_columns(frame, [name], file=FILE)
    return (_whole(frame, name),) * 2


def _groups(
    sides: Sequence[tuple[np.ndarray, list[object]]], by: Sequence[str], n: int
) -> tuple[list[tuple[object, ...]], np.ndarray, dict[str, list[object]]]:
    """The groups that occur, each member's code (side, pair), and the labels of each column.

    Groups are in the order of the columns' labels, the last varying fastest.
    """
    if not sides:
        return [()], np.zeros((2, n), dtype=int), {}
    codes = [code for code, _ in sides]
    levels = {name: labels_ for name, (_, labels_) in zip(by, sides, strict=True)}
    sizes = tuple(map(len, levels.values()))
    used, group = np.unique(np.ravel_multi_index(codes, sizes), return_inverse=True)
    places = np.stack(np.unravel_index(used, sizes), axis=1)
    groups = [
        tuple(own[at] for own, at in zip(levels.values(), row, strict=True))
        for row in places.tolist()
    ]
    return groups, group.reshape(2, n), levels


def _one_column(side: tuple[pd.Series, pd.Series]) -> pd.Series:
    """Both members' labels in one column, of their type, categories and order where they agree."""
    types = [one.dtype for one in side]
    if any(isinstance(one, pd.CategoricalDtype) for one in types):
        named = [labels(one, file=FILE) for one in side]
        orders = [
            one.cat.categories.tolist()
            if isinstance(one.dtype, pd.CategoricalDtype)
            else levels_of(one).tolist()
            for one in named
        ]
        kind = pd.CategoricalDtype(list(dict.fromkeys([*orders[0], *orders[1]])))
        return pd.concat([one.astype(kind) for one in named], ignore_index=True)
    if types[0] != types[1] and not all(map(pd.api.types.is_numeric_dtype, types)):
        return text_of(*side).reset_index(drop=True)
    return pd.concat(side, ignore_index=True)


def _distances(frame: pd.DataFrame) -> np.ndarray:
    """Distances, infinite where the pair has a status other than "ok"."""
    number = pd.to_numeric(frame["distance"], errors="coerce")
    kind = getattr(number.dtype, "numpy_dtype", number.dtype)
    # Narrow floats as they are: `matches` compares in their precision.
    narrow = isinstance(kind, np.dtype) and kind.kind == "f" and kind.itemsize < 8
    distance: np.ndarray = number.to_numpy(float, na_value=np.nan)
    distance = (
        distance.astype(str(kind)) if narrow else distance
    )  # exact: they came from as few bits
    ok = np.ones(len(frame), dtype=bool)
    if "status" in frame:
        status = checked_status(_whole(frame, "status"), frame["distance"], file=FILE)
        ok = (status == "ok").to_numpy(bool)
    bad = ok & ~(np.isfinite(distance) & (distance >= 0))
    if bad.any():
        raise _first_of(
            bad,
            frame.index,
            f"{shown(frame['distance'].iloc[int(bad.argmax())])} is no distance",
            hint="give finite numbers, 0 or more (distance = 1 - similarity), and in the column "
            "status why where there is none",
            column="distance",
        )
    return np.where(ok, distance, np.inf)


def _thresholds(frame: pd.DataFrame) -> np.ndarray:
    """The threshold that each row names for its system, missing where it names none."""
    if "threshold" not in frame:
        return np.full(len(frame), np.nan)
    given = typed(frame["threshold"], file=FILE)
    found = pd.to_numeric(given.astype(object), errors="coerce").to_numpy(float, na_value=np.nan)
    bad = given.notna().to_numpy(bool) & ~np.isfinite(found)
    if bad.any():
        cell = given.iloc[int(bad.argmax())]
        raise _first_of(
            bad,
            frame.index,
            f"{shown(cell)} is no threshold",
            hint=number_hint(str(cell)),
            column="threshold",
        )
    return found


def _genuine(frame: pd.DataFrame, given: pd.DataFrame | pd.Series | None) -> np.ndarray:
    """Probability that each pair shows one person."""
    if given is None:
        check_columns(frame, ["same_identity"], file=FILE)
        same = _whole(frame, "same_identity")
        odd = ~same.isin([True, False]).to_numpy()
        if odd.any():
            row = int(odd.argmax())
            raise DataError(
                f"{shown(same.iloc[row])} is neither true nor false",
                hint="give booleans",
                file=FILE,
                column="same_identity",
                row=int(frame.index[row]) + 1,
            )
        return same.to_numpy().astype(bool).astype(float)
    check_columns(frame, ["pair"], file=FILE)
    if isinstance(given, pd.DataFrame):
        check_columns(given, ["label", "probability"], file="genuine")
        given = given["probability"].where(given["label"].astype(bool), 1 - given["probability"])
    if not given.index.is_unique:
        raise DataError("a pair occurs twice", hint="give one probability a pair", file="genuine")
    given = given.set_axis(text_of(pd.Series(given.index)).to_numpy())
    probability = text_of(frame["pair"]).map(given).to_numpy(float)
    bad = ~((probability >= 0) & (probability <= 1))
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"pair {frame['pair'].iloc[row]}: {probability[row]} is no probability "
            f"({int(bad.sum()):,} such pairs)",
            hint="give one from 0 to 1 for every pair, or leave the pair out",
            file="genuine",
            row=None,
        )
    return probability


def own_thresholds(pairs: Comparisons) -> dict[str, float]:
    """The threshold that the data name for each system."""
    found = {}
    for system, part in pairs.frame.groupby("system", observed=True):
        known = part["threshold"].dropna().unique()
        if len(known) != 1:
            raise DataError(
                f"system {system!r} has {len(known) or 'no'} threshold{'s' * (len(known) > 1)}",
                hint="give threshold= a number, or fmr= the false match rate to set it at",
                file=FILE,
                column="threshold",
            )
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
    counts = pairs.left_out | {why: count for why, count in counts.items() if count}
    return json.dumps(counts)
