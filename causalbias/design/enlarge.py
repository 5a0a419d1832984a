"""Draw the rows of an experiment of another size from the rows of a pilot."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from causalbias.errors import DataError
from causalbias.models.group_design import group_designs, texts_of
from causalbias.models.specification import ModelSpec, outcome_columns, population_columns_of

Members = tuple[tuple[str, ...], ...]


class Enlarger:
    """The rows of a pilot, from which the rows of experiments of other sizes are drawn.

    Parameters
    ----------
    spec : ModelSpec
        Specification of the pilot's model.
    frame : DataFrame
        Rows of the pilot.
    over : sequence of str
        The grouping column whose number of levels changes, or the two columns of a pair's members.

    Raises
    ------
    DataError
        If the formula has no effects of `over`, or the two members of a pair are the same.
    """

    def __init__(self, spec: ModelSpec, frame: pd.DataFrame, over: Sequence[str]) -> None:
        designs = group_designs(spec.formula, frame)
        grouping = {name for one in designs for names in one.members for name in names}
        if not set(over) <= grouping:
            factors = ", ".join(one.factor for one in designs) or "none"
            raise DataError(
                f"the pilot has no effects of {', '.join(map(repr, over))} (it has {factors})",
                hint=f"fit it with a term such as (1|{over[0]}), or name another column",
            )
        self.frame, self.over = frame, tuple(over)
        self.members: list[Members] = [one.members for one in designs]
        outcome = outcome_columns(spec)
        self.variables = [name for name in population_columns_of(spec) if name not in outcome]
        # Columns that only identify levels: new levels of `over` get new names in them.
        self.names = sorted(grouping - set(self.variables) - set(over))
        if len(over) == 2 and (texts_of(frame[over[0]]) == texts_of(frame[over[1]])).any():
            raise DataError(
                f"some pairs have the same {over[0]} and {over[1]}",
                hint="plan genuine pairs separately, over their common seed",
            )
        if len(over) > 2:
            raise DataError(
                f"over has {len(over)} columns", hint="name one, or those of a pair's two members"
            )

    def rows(self, size: int, rows_each: int | None, rng: np.random.Generator) -> pd.DataFrame:
        """Draw rows of `size` new levels, with `rows_each` rows each or as many as in the pilot."""
        if len(self.over) == 1:
            return self._copies(size, rows_each, rng)
        return self._pairs(size, rows_each, rng)

    def check_dealt(self, name: str) -> None:
        """Refuse to assign a column's levels at random if another column determines them."""
        if name not in self.names:
            crossed = ", ".join(self.names) or "there are none"
            raise DataError(
                f"{name!r} is not another grouping column", hint=f"use one of: {crossed}"
            )
        for other in (*self.over, *self.variables):
            if self.frame[other].nunique() > 1 and _within(self.frame, name, other):
                raise DataError(
                    f"each {name} has a single {other}, so that new levels cannot be assigned at "
                    "random",
                    hint="plan it by over= instead",
                )

    def _copies(self, size: int, rows_each: int | None, rng: np.random.Generator) -> pd.DataFrame:
        """Give each new level the rows of a random level of the pilot."""
        (over,) = self.over
        of_level = list(self.frame.groupby(over, observed=True).indices.values())
        parts = [of_level[pick] for pick in rng.integers(len(of_level), size=size)]
        if rows_each is not None:
            parts = [rng.choice(part, rows_each) for part in parts]
        rows = self.frame.iloc[np.concatenate(parts)].reset_index(drop=True)
        labels = np.repeat(_labels(size), [len(part) for part in parts])
        for name in self.names:
            if _within(self.frame, name, over):
                rows[name] = _joined(labels, rows[name])
        return rows.assign(**{over: labels})

    def _pairs(self, size: int, rows_each: int | None, rng: np.random.Generator) -> pd.DataFrame:
        """Give each pair of new levels all rows of a random pair of the pilot."""
        both = np.column_stack([texts_of(self.frame[name]) for name in self.over])
        levels, codes = np.unique(both, return_inverse=True)
        codes = codes.reshape(-1, 2)
        _, pair = np.unique(np.sort(codes, axis=1), axis=0, return_inverse=True)
        of_pair = list(pd.Series(pair).groupby(pair).indices.values())
        mean_rows = len(pair) / len(of_pair)
        wanted = len(of_pair) / len(levels) if rows_each is None else rows_each / 2 / mean_rows
        count, most = max(1, round(wanted * size)), size * (size - 1) // 2
        if rows_each is not None and count > most:
            raise DataError(
                f"{size} make {most} pairs, too few for {rows_each} rows each",
                hint=f"ask for {int(2 * mean_rows * most / size)} rows each at most",
            )
        members = _dealt_pairs(size, min(count, most), rng)
        picks = [of_pair[at] for at in rng.integers(len(of_pair), size=len(members))]
        at = np.concatenate(picks)
        of_row = np.repeat(np.arange(len(picks)), [len(one) for one in picks])
        rows = self.frame.iloc[at].reset_index(drop=True)
        # A new level replaces the same member of the pilot's pair in all rows.
        swapped = (codes[:, 0] > codes[:, 1])[at].astype(int)
        labels = _labels(size)
        new = [labels[members[of_row, (side + swapped) % 2]] for side in (0, 1)]
        done = set(self.over)
        for one in self.members:
            if len(one) == 2 and all(len(names) == 1 and names[0] in self.names for names in one):
                sides = [names[0] for names in one]
                rows = rows.assign(**self._members_names(sides, rows, new))
                done |= set(sides)
        known = self.frame.assign(**{"": pair})
        for name in set(self.names) - done:
            if _within(known, name, ""):
                rows[name] = _joined(of_row.astype(str), rows[name])
        return rows.assign(**dict(zip(self.over, new, strict=True)))

    def _members_names(
        self, sides: Sequence[str], rows: pd.DataFrame, new: Sequence[np.ndarray]
    ) -> dict[str, pd.Series]:
        """Name the faces of new levels by the variables that distinguish those of the pilot."""
        parts = [
            self.frame[[name, over, *self.variables]].set_axis(
                ["name", "over", *self.variables], axis=1
            )
            for name, over in zip(sides, self.over, strict=True)
        ]
        both = pd.concat(parts, ignore_index=True)
        if not _within(both, "name", "over"):
            return {}  # crossed with the members, so that names do not change
        telling = [one for one in self.variables if _within(both, "name", one)]
        if both.groupby(["over", *telling], observed=True)["name"].nunique().max() > 1:
            raise DataError(
                f"the variables do not distinguish the levels of {sides[0]} within a "
                f"{self.over[0]}",
                hint="add what distinguishes them to the formula, or leave their term out",
            )
        return {
            name: _joined(labels, rows[telling].astype(str).agg(" ".join, axis=1))
            for name, labels in zip(sides, new, strict=True)
        }


def deal(rows: pd.DataFrame, sizes: Mapping[str, int], rng: np.random.Generator) -> pd.DataFrame:
    """Replace columns by new levels, which are assigned to rows at random and equally often.

    Examples
    --------
    >>> rows = pd.DataFrame({"annotator": list("abcd")})
    >>> sorted(deal(rows, {"annotator": 2}, np.random.default_rng(1))["annotator"])
    ['new 0', 'new 0', 'new 1', 'new 1']
    """
    dealt: dict[str, Any] = {
        name: _labels(size)[rng.permutation(np.resize(np.arange(size), len(rows)))]
        for name, size in sizes.items()
    }
    return rows.assign(**dealt)


def _labels(size: int) -> np.ndarray:
    return np.array([f"new {at}" for at in range(size)])


def _joined(labels: np.ndarray, values: pd.Series) -> pd.Series:
    return pd.Series(labels, index=values.index).astype(str) + " " + values.astype(str)


def _within(frame: pd.DataFrame, name: str, other: str) -> bool:
    """Whether each level of a column occurs with a single level of the other."""
    return bool(frame.groupby(name, observed=True)[other].nunique(dropna=False).max() <= 1)


def _dealt_pairs(size: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw different pairs (count, 2) of new levels, with each level in equally many pairs."""
    rounds = []
    for step in range(1, size // 2 + 1):
        start = np.arange(size if 2 * step < size else size // 2)
        rounds.append(rng.permutation(np.column_stack([start, (start + step) % size])))
    return rng.permutation(size)[np.concatenate(rounds)[:count]]
