"""Pairs read from a study or a frame: their groups, distances, thresholds and ground truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import names_in, need_rows
from causalbias.errors import DataError, at_first, shown
from causalbias.rates.checks import (
    check_codes,
    check_direction,
    check_identities,
    check_pairs,
    check_zeros,
    in_several_groups,
)
from causalbias.rates.groups import FILE, coded, in_words, text_of
from causalbias.study.columns import labels, levels_of, number_hint, typed
from causalbias.study.frames import to_frame
from causalbias.study.tables import check_columns, checked_status, with_index


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
    check_zeros(set(texts.iloc[:n].unique()), set(texts.iloc[n:].unique()))
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
        check_identities(known)
    check_pairs(frame, known)
    check_codes(known)
    check_direction(known, in_words(groups))
    several = (
        "" if isinstance(data, xr.DataTree) else in_several_groups(frame, codes, seeds, by, sides)
    )
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
            problem, hint = "the value is missing", "fill it in"
            raise at_first(missing, problem, hint=hint, file=FILE, column=names[0])
        counts[reason] = int((kept & missing).sum())
        kept &= ~missing
    if not kept.any():
        raise DataError(
            "in every pair a seed or a group label is missing", hint="fill them in", file=FILE
        )
    return frame[kept], {reason: count for reason, count in counts.items() if count}


def _names(given: str | Sequence[str], argument: str) -> list[str]:
    """Names of columns, each once."""
    return list(dict.fromkeys(names_in(given, argument)))


def _seed(name: str, identity: str) -> str:
    return "seed" if name == identity else name


def _whole(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column without missing values."""
    missing = frame[name].isna().to_numpy()
    if missing.any():
        problem, hint = "the value is missing", "fill it in"
        raise at_first(missing, problem, hint=hint, file=FILE, column=name, places=frame.index)
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
        raise at_first(
            bad,
            f"{shown(frame['distance'].iloc[int(bad.argmax())])} is no distance",
            hint="give finite numbers, 0 or more (distance = 1 - similarity), and in the column "
            "status why where there is none",
            column="distance",
            file=FILE,
            places=frame.index,
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
        raise at_first(
            bad,
            f"{shown(cell)} is no threshold",
            hint=number_hint(str(cell)),
            column="threshold",
            file=FILE,
            places=frame.index,
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
