"""What the columns of data in pieces are, and their sums, where it can be in one pass.

Which levels a column has, and whether a number has too many values for cells of their own, is known
of the whole data alone. So a piece is summed up by what is found in itself: its cells are of the
distinct values as they are written there, which are numbered, and cells of several pieces meet by
the values that these numbers stand for. In the end values become levels. Pieces that are not to be
summed up as the whole is, such as one in which a number has few values and is no moment, or whose
values are wrong in some way, are left, and are read again when the columns are known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalbias.errors import DataError
from causalbias.models.specification import ModelSpec
from causalbias.models.summaries.cells import Cells, added
from causalbias.models.summaries.columns import (
    LEVELS,
    MAX_VALUES,
    MOMENTS,
    NUMBERS,
    VALUES,
    Column,
    Found,
    found_in,
    met,
    places_of,
    stands_for_missing,
    together,
)
from causalbias.models.summaries.pieces import numbers_in
from causalbias.models.summaries.sums import Part, Sum, added_parts, read_rows, response_column
from causalbias.models.summaries.uses import linear_columns


@dataclass(frozen=True)
class Scanned:
    """What is known of some pieces.

    Attributes
    ----------
    found : dict of str to Found
        What their columns are.
    part : Part, optional
        Sums of some of them. The key of a column that is not of numbers is the place of a value
        among those of `found`.
    moments : tuple of str
        Columns of numbers of which the part has moments, and no key.
    summed : tuple of (str, int)
        Name and first row of the pieces in the part.
    """

    found: dict[str, Found]
    part: Part | None
    moments: tuple[str, ...]
    summed: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Scan:
    """What a piece holds, and its sums if they can be had, as a step that a worker can be sent.

    Attributes
    ----------
    spec : ModelSpec
    names : tuple of str
        Columns that make cells, or may.
    linear : mapping of str to bool or None
        As in `columns_of`.
    subset, missing
        As in `summarise_rows`.
    """

    spec: ModelSpec
    names: tuple[str, ...]
    linear: Mapping[str, bool | None]
    subset: str | None
    missing: str

    def __call__(self, source: Any, name: str, first_row: int) -> Scanned:
        """Of a piece: its source, its name, and how many rows of the file are before it."""
        frame, texts = read_rows(
            source, name, [response_column(self.spec), *self.names], self.subset
        )
        rows = met(frame, self.subset)
        counted = {one for one, wanted in self.linear.items() if wanted is not False}
        numbers = [one for one in numbers_in(source) if one not in counted]
        found = found_in(rows, texts, numbers, self.names, name)
        moments = self.moments(found)
        columns = {one: _as_written(own, one in moments) for one, own in found.items()}
        step = Sum(self.spec, columns, moments, (), self.subset, self.missing)
        try:
            part = step.of_rows(rows, len(frame) - len(rows), source, name, first_row)
        except DataError:  # which may be another, or none, by the columns of the whole data
            return Scanned(found, None, moments, ())
        return Scanned(found, part, moments, ((name, first_row),))

    def moments(self, found: Mapping[str, Found]) -> tuple[str, ...]:
        """Columns of which moments are kept, if no more is known than this."""
        many = [
            name
            for name, wanted in self.linear.items()
            if name in found
            and found[name].kind == NUMBERS
            and (wanted or (wanted is None and len(found[name].distinct) > MAX_VALUES))
        ]
        return tuple(linear_columns(self.spec, many)) if many else ()


def _as_written(own: Found, is_moment: bool) -> Column:
    """A column with a level for each distinct value that is not of numbers."""
    if own.kind == NUMBERS:
        return Column(MOMENTS if is_moment else VALUES, (), own.distinct, np.zeros(0, np.int64))
    codes = np.where(stands_for_missing(own.distinct), -1, np.arange(len(own.distinct)))
    return Column(LEVELS, tuple(map(str, own.distinct)), own.distinct, codes)


@dataclass(frozen=True)
class Combine:
    """Several `Scanned` as one; ``declared``: columns whose levels, and their order, are known."""

    scan: Scan
    declared: tuple[str, ...]

    def __call__(self, several: Sequence[Scanned]) -> Scanned:
        """Of pieces in their order."""
        found = together([one.found for one in several], self.declared)
        moments = self.scan.moments(found)
        alike = [one for one in several if one.part is not None and one.moments == moments]
        if not alike:
            return Scanned(found, None, moments, ())
        part = added_parts([_of_whole(one, found) for one in alike])
        return Scanned(found, part, moments, tuple(piece for one in alike for piece in one.summed))


def _of_whole(scanned: Scanned, found: Mapping[str, Found]) -> Part:
    """The sums of some pieces, whose keys are places among values of more pieces."""
    assert scanned.part is not None
    cells, by_value, tally = scanned.part
    keys = dict(cells.keys)
    for name, own in scanned.found.items():
        if name in keys and own.kind != NUMBERS:
            places = places_of(own, found[name])
            keys[name] = places.astype(_kind_of(len(found[name].distinct)))[keys[name]]
    return replace(cells, keys=keys), by_value, tally


def _kind_of(many: int) -> np.dtype[Any]:
    """The smallest type of numbers of so many levels, and of what is missing."""
    return np.dtype(np.min_scalar_type(-many - 1))


def by_levels(
    scanned: Scanned, columns: Mapping[str, Column], moments: Sequence[str]
) -> tuple[Part | None, set[tuple[str, int]]]:
    """Sums by the levels of the whole data, and which pieces are in them.

    Parameters
    ----------
    scanned : Scanned
        Of all pieces.
    columns : mapping of str to Column
        What the columns of the whole data are.
    moments : sequence of str
        Columns of which moments are kept.

    Returns
    -------
    part : Part or None
        None where nothing was summed up as the whole is to be.
    pieces : set of (str, int)
        Name and first row of those that need not be read again.
    """
    none = None, set[tuple[str, int]]()
    if scanned.part is None or scanned.moments != tuple(moments):
        return none
    cells, by_value, tally = scanned.part
    keys: dict[str, np.ndarray] = {}
    for name, key in cells.keys.items():
        column, own = columns[name], scanned.found[name]
        if own.kind == NUMBERS and column.kind == VALUES:
            keys[name] = key
            continue
        gone = stands_for_missing(own.distinct)
        if own.kind == NUMBERS or column.kind != LEVELS or (column.codes[gone] >= 0).any():
            return none
        keys[name] = column.codes.astype(_kind_of(len(column.labels)))[key]
        if (keys[name] < 0).any():  # what lacks or is no level: the second pass says where
            return none
    whole = added([Cells(keys, cells.n, cells.mean, cells.scatter)])
    return (whole, by_value, tally), set(scanned.summed)
