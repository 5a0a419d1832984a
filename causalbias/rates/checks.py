"""What is refused of pairs: whatever would make rates wrong without a sign."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from causalbias.datasets.scores.checks import zeros_lost
from causalbias.errors import DataError, at_first
from causalbias.rates.groups import FILE, text_of
from causalbias.study.columns import missing_code

DESIGN = 0.25  # share of the seeds from which on that they are of several groups is a design
# Standard errors by which genuine distances must be the larger ones for it to be no chance.
SURE = 3.0


def check_identities(known: pd.DataFrame) -> None:
    """Raise DataError where `same_identity` contradicts the seeds of a pair."""
    same, alike = known["genuine"] == 1, known["one"] == known["two"]
    for wrong, problem in (
        (same & ~alike, "a pair of two seeds is said to show one person"),
        (~same & alike, "a pair of one seed is said to show two persons"),
    ):
        if wrong.any():
            raise at_first(
                wrong.to_numpy(),
                problem,
                hint="correct same_identity, or give genuine= with what people say of the pairs",
                column="same_identity",
                file=FILE,
                places=known.index,
            )


def check_zeros(first: set[str], second: set[str]) -> None:
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


def in_several_groups(
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


def check_codes(known: pd.DataFrame) -> None:
    """Refuse a distance such as 999 that stands for a failure: a pair that does not match."""
    for _, distance in known.groupby("system", observed=True)["distance"]:
        code = missing_code(distance.to_numpy(float))
        if code is not None:
            raise at_first(
                (known["distance"] == code).to_numpy(bool),
                f"{code:g} is far from all other distances, as a code for a failure is",
                hint="say in the column status why there is no distance, and leave it empty",
                column="distance",
                file=FILE,
                places=known.index,
            )


def check_pairs(frame: pd.DataFrame, known: pd.DataFrame) -> None:
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
        raise at_first(
            beside,
            f"face {first.iloc[int(beside.argmax())]!r} is beside itself",
            hint="leave these rows out: they compare nothing",
            column="stimulus_b",
            file=FILE,
            places=frame.index,
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


def check_direction(known: pd.DataFrame, names: Sequence[str]) -> None:
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
