"""Thresholds of an ordinal response that differ by group: ``score | thres(gr=item) ~ race``.

Each level of a column has a set of thresholds, one less than it has answers. Sets stand one after
another in the posterior, and rows see the set of their level, as long as the longest: thresholds
that a level has not are beyond every answer, so that the categories above have no probability.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causalbias.errors import DataError, shown
from causalbias.models.columns import triangle
from causalbias.models.formula.parse import formula_columns
from causalbias.models.group_design import GroupDesign
from causalbias.models.levels import Level, levels_of
from causalbias.models.specification import ModelSpec
from causalbias.study.columns import label_of

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

# A threshold that a level has not: F is one there to all digits. A number, so that gradients are.
BEYOND = 1e6
TOLERANCE = 1e-8  # of columns of length one, what rounding may leave of zero


@dataclass(frozen=True)
class ThresholdSets:
    """Which thresholds the levels of a column have.

    Attributes
    ----------
    column : str
    levels : tuple of str or number
        Of the column, in order.
    sizes : tuple of int
        Thresholds of each level.

    Examples
    --------
    >>> sets = ThresholdSets("item", ("a", "b"), (2, 1))
    >>> sets.labels
    ['a, 0', 'a, 1', 'b, 0']
    >>> sets.at(np.array([[-1.0, 1.0, 0.5]]), pd.DataFrame({"item": ["b", "a"]})).tolist()
    [[[0.5, 1000000.0], [-1.0, 1.0]]]
    """

    column: str
    levels: tuple[Level, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, spec: ModelSpec, frame: pd.DataFrame) -> Self | None:
        """The sets that a specification has on its rows; None where it has one for all.

        A level has the answers from the lowest of all on to the highest that one of its rows has.
        Of a number of thresholds that was given it has all.

        Raises
        ------
        DataError
            If the column is the response, or rows of a level have one answer only, or none of an
            answer below their highest.
        """
        column, response = spec.limits.group, formula_columns(spec.formula)[0]
        if column is None:
            return None
        if column == response:
            raise DataError(
                "the response cannot say which thresholds a row has",
                hint="name another column: thres(gr=item)",
                column=column,
            )
        known, answers = levels_of(frame[column]), frame[response].cat.categories
        found = cls(column, tuple(known), (len(answers) - 1,) * len(known))
        counts = np.zeros((len(known), len(answers)), int)
        np.add.at(counts, (found.codes(frame), frame[response].cat.codes.to_numpy()), 1)
        if spec.limits.thresholds is not None:
            return found
        highest = len(answers) - 1 - (counts[:, ::-1] > 0).argmax(axis=1)
        for level, own, top in zip(known, counts, highest, strict=True):
            _check_answers(own[: top + 1], answers, f"{column} {label_of(level)!r}", column)
        return cls(column, tuple(known), tuple(int(one) for one in highest))

    @property
    def labels(self) -> list[str]:
        """Level and number of each threshold, as a posterior has them."""
        return [
            f"{label_of(level)}, {k}"
            for level, size in zip(self.levels, self.sizes, strict=True)
            for k in range(size)
        ]

    @property
    def places(self) -> NDArray[np.intp]:
        """Places (levels, most) of a level's thresholds among all; of those it has not, the last.

        That is one more than there are.
        """
        found = np.full((len(self.sizes), max(self.sizes)), sum(self.sizes))
        for row, own in zip(found, slices(self.sizes), strict=True):
            row[: own.stop - own.start] = np.arange(own.start, own.stop)
        return found

    def codes(self, frame: pd.DataFrame) -> Codes:
        """The place (rows,) of each row's level among `levels`.

        Raises
        ------
        DataError
            If a row has none of them.
        """
        values = frame[self.column]
        if isinstance(values.dtype, pd.CategoricalDtype):
            texts = pd.Index(list(map(str, self.levels)))
            of_category = texts.get_indexer(values.cat.categories.astype(str))
            found = np.append(of_category, -1)[values.cat.codes.to_numpy()]
        else:
            found = pd.Index(self.levels).get_indexer(pd.Index(values))
        if (found < 0).any():
            row = int((found < 0).argmax())
            raise DataError(
                f"{shown(values.iloc[row])} is no level of {self.column!r} that was fitted, so "
                "that its thresholds are not known",
                hint=f"use one of {', '.join(map(label_of, self.levels[:12]))}",
                column=self.column,
                row=row + 1,
            )
        return np.asarray(found)

    def means(self, values: Floats, frame: pd.DataFrame, repeats: Floats | None) -> Floats:
        """Mean (levels,) of numbers (rows,) in the rows of each level, which count so often."""
        codes = self.codes(frame)
        counts = np.ones(len(codes)) if repeats is None else repeats
        return np.asarray(np.bincount(codes, counts * values) / np.bincount(codes, counts))

    def at(self, thresholds: Floats, frame: pd.DataFrame) -> Floats:
        """Thresholds (draws, rows, most) of rows, of all sets' (draws, all)."""
        padded = np.append(thresholds, np.full((len(thresholds), 1), BEYOND), axis=1)
        return np.asarray(padded[:, self.places[self.codes(frame)]])

    def side_by_side(self, mean: Floats, sd: Floats) -> tuple[Floats, Floats]:
        """Means and sds of thresholds (all,) as the Laplace engine takes several sets.

        Infinity and minus infinity, of sd zero, stand between two sets.
        """
        ends = np.cumsum(self.sizes)[:-1]
        at = np.repeat(ends, 2)
        return (
            np.insert(np.asarray(mean, float), at, np.tile([np.inf, -np.inf], len(ends))),
            np.insert(np.asarray(sd, float), at, 0.0),
        )

    def categories(self, y: Floats, frame: pd.DataFrame) -> Floats:
        """Answers (rows,) numbered through all sets: one category without rows between two."""
        starts = np.cumsum([0, *(size + 2 for size in self.sizes[:-1])])
        return np.asarray(y + starts[self.codes(frame)], float)


def slices(sizes: Sequence[int]) -> list[slice]:
    """Where the thresholds of each set are among all.

    Examples
    --------
    >>> slices([2, 1])
    [slice(0, 2, None), slice(2, 3, None)]
    """
    ends = np.cumsum(sizes).tolist()
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def _check_answers(counts: NDArray[Any], answers: Any, level: str, column: str) -> None:
    """Refuse a level of one answer, or with an answer below its highest that no row has."""
    if len(counts) < 2:
        raise DataError(
            f"all answers of {level} are {answers[0]}, so that it has no threshold",
            hint="leave its rows out with subset=, or say how many thresholds all have: "
            f"thres({len(answers) - 1}, gr={column})",
            file="data",
            column=column,
        )
    if (counts == 0).any():
        raise DataError(
            f"no row of {level} has the answer {answers[int((counts == 0).argmax())]}, and some "
            "have higher ones",
            hint="say how many thresholds all levels have, thres(k, gr=...), so that answers "
            "which nobody gave are kept; or write the answers of each level from the lowest on",
            file="data",
            column=column,
        )


class _Design(Protocol):
    """What is asked of a `ModelDesign`."""

    @property
    def frame(self) -> pd.DataFrame: ...
    @property
    def groups(self) -> Sequence[GroupDesign]: ...
    @property
    def coefficient_terms(self) -> Mapping[str, Any]: ...
    @property
    def fitted_columns(self) -> Floats: ...


def check_told_apart(model: _Design, sets: ThresholdSets) -> None:
    """Refuse effects that differ between levels only, as the levels' thresholds do.

    Such as those of the column itself: a constant added to all thresholds of a level is the same
    as one taken from the linear predictor of its rows.

    Raises
    ------
    DataError
        With the terms.
    """
    codes = sets.codes(model.frame)
    told = _same_within(model, codes)
    for one in model.groups:
        own = one.codes(model.frame)
        if "1" in one.effects and own.shape[1] == 1:
            pairs = np.unique(np.column_stack([codes, own[:, 0]]), axis=0)
            told += [f"(1|{one.factor})"] if len(pairs) == len(sets.levels) else []
    if told:
        raise DataError(
            f"each level of {sets.column!r} has thresholds of its own, so that nothing tells what "
            f"{', '.join(told)} adds to all answers of a level",
            hint=f"leave out of the formula what is the same in all rows of a level of "
            f"{sets.column!r}: the thresholds have it",
            column=sets.column,
        )


def _same_within(model: _Design, codes: Codes) -> list[str]:
    """Terms of which some combination is the same in all rows of each level."""
    columns = model.fitted_columns
    if not columns.shape[1]:
        return []
    # An ordinal model has no intercept: its columns are those of the terms, in their order.
    widths = [np.size(one.data) // len(codes) for one in model.coefficient_terms.values()]
    columns -= columns.mean(axis=0)
    columns /= np.linalg.norm(columns, axis=0) + 1e-300
    among_all, _ = _directions(columns)
    sums = np.array([np.bincount(codes, one) for one in columns.T]).T
    columns -= (sums / np.bincount(codes)[:, None])[codes]
    within, free = _directions(columns)
    if within == among_all:
        return []
    names = np.repeat(list(model.coefficient_terms), widths)
    return list(dict.fromkeys(names[(np.abs(free) > TOLERANCE).any(axis=0)].tolist()))


def _directions(columns: Floats) -> tuple[int, Floats]:
    """The rank of columns (rows, p), and the combinations (free, p) of them that are zero."""
    _, size, directions = np.linalg.svd(triangle(columns))
    rank = int((size > TOLERANCE).sum())
    return rank, directions[rank:]
