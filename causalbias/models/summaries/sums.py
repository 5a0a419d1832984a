"""The sums of one piece of the data, and those of several pieces together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from causalbias.errors import DataError, shown
from causalbias.io.memory import check_memory
from causalbias.models.formula.parse import formula_columns
from causalbias.models.groupings import PAIR, is_judge
from causalbias.models.levels import canonical
from causalbias.models.rows import LABELS, kinds_of
from causalbias.models.specification import (
    MAX_NUMBER,
    ModelSpec,
    check_positive,
    data_columns_of,
    response_in,
)
from causalbias.models.summaries.cells import Cells, added, cells_of
from causalbias.models.summaries.columns import LEVELS, Column, coded, conditioned, met
from causalbias.models.summaries.pieces import names_of, read
from causalbias.models.summaries.tree import added_tallies, response_map, response_text
from causalbias.models.summaries.uses import answers_of
from causalbias.study import columns as study_columns

PAIR_KIND = "same_identity"
_COPIES = 3  # of cells that are added: the parts, their sum, and what numbers them

# Cells, those by a value of some moment besides, without sums, and what was read and left out.
Part = tuple[Cells, dict[str, Cells], dict[str, Any]]


def response_column(spec: ModelSpec) -> str:
    """The column of the response."""
    return formula_columns(spec.formula)[0]


def read_rows(
    source: Any, name: str, columns: Sequence[str], subset: str | None
) -> tuple[pd.DataFrame, set[str]]:
    """The rows of a piece with what sums need; which are text, numbered by the file, as `read`."""
    of_rows = conditioned(subset)
    return read(source, name, [*columns, *of_rows, *LABELS, PAIR_KIND], of_rows)


def added_parts(parts: Sequence[Part]) -> Part:
    """The sums of several pieces.

    Raises
    ------
    DataError
        If memory will not hold their cells.
    """
    _check_size([one[0] for one in parts])
    by_value = {name: added([one[1][name] for one in parts]) for name in parts[0][1]}
    return added([one[0] for one in parts]), by_value, added_tallies([one[2] for one in parts])


def _check_size(parts: Sequence[Cells]) -> None:
    """Refuse cells whose sum memory will not hold."""
    cells, rows = sum(map(len, parts)), sum(int(one.n.sum()) for one in parts)
    numbers = parts[0].mean.shape[1]
    each = len(parts[0].keys) + 1 + numbers + numbers**2
    check_memory(
        float(cells) * each * _COPIES,
        f"{rows:,} rows, read so far, are {cells:,} cells of {8 * each} bytes: adding them up",
        "leave a column out of the formula that hardly any two rows share, round numbers, merge "
        "levels, or fit a random part of the rows",
    )


@dataclass(frozen=True)
class Sum:
    """The sums of a piece, as a step that can be sent to a worker."""

    spec: ModelSpec
    columns: Mapping[str, Column]
    moments: tuple[str, ...]
    looked_at: tuple[str, ...]
    subset: str | None
    missing: str

    @property
    def response(self) -> str:
        """The response's column."""
        return response_column(self.spec)

    @property
    def text(self) -> str:
        """The response as it is written."""
        return response_text(self.spec)

    def __call__(self, source: Any, name: str, first_row: int) -> Part:
        """Of a piece: its source, its name, and how many rows of the file are before it."""
        frame, _ = read_rows(source, name, [self.response, *self.columns], self.subset)
        rows = met(frame, self.subset)
        return self.of_rows(rows, len(frame) - len(rows), source, name, first_row)

    def of_rows(
        self, rows: pd.DataFrame, excluded: int, source: Any, name: str, first_row: int
    ) -> Part:
        """The sums of rows of a piece that meet the condition, and how many do not."""
        for one in data_columns_of(self.spec):
            if one not in rows:
                raise unknown_column(one, list(map(str, rows)), name)
        wanted = list(dict.fromkeys([self.response, *self.columns]))
        tally: dict[str, Any] = {"excluded": excluded, "missing": {}}
        read_columns = {
            one: self._column(rows[one], one, name, first_row) for one in wanted if len(rows)
        }
        known = np.ones(len(rows), bool)
        for one, (_, lacks) in read_columns.items():
            if lacks.any():
                if self.missing == "refuse":
                    raise _missing(rows[one], lacks, name, first_row)
                tally["missing"][one] = int(lacks.sum())
                known &= ~lacks
        kept = rows[known] if not known.all() else rows
        tally |= {"rows": len(kept), "kinds": kinds_of(kept), "labels": _labels(kept)}
        tally["judges"] = [one for one in names_of(source) if one == PAIR or is_judge(one)]
        arrays = {
            one: values if known.all() else values[known]
            for one, (values, _) in read_columns.items()
        }
        for one in wanted:
            if one not in arrays:
                own = self.columns.get(one)
                arrays[one] = np.empty(0, np.int64 if own and own.kind == LEVELS else float)
        self._check(arrays, kept, name, first_row)
        keys = {one: arrays[one] for one in self.columns if one not in self.moments}
        none = np.empty((len(kept), 0))
        if answers_of(self.spec):
            cells = cells_of(keys, none)
            self._check_answers(cells, arrays, kept, name, first_row)
            return cells, {}, tally
        outcome = self._outcome(arrays[self.response], kept, name, first_row)
        numbers = np.column_stack([*(arrays[one] for one in self.moments), outcome.astype(float)])
        by_value = {one: cells_of(keys | {one: arrays[one]}, none) for one in self.looked_at}
        return cells_of(keys, numbers), by_value, tally

    def _check_answers(
        self,
        cells: Cells,
        arrays: Mapping[str, np.ndarray],
        kept: pd.DataFrame,
        name: str,
        first_row: int,
    ) -> None:
        """Refuse answers that are none of the family's: rows are looked at if cells have one."""
        answers = answers_of(self.spec)
        if not len(kept) or any(self.columns[one].kind == LEVELS for one in answers):
            return
        try:
            response_in(self.spec, pd.DataFrame({one: cells.keys[one] for one in answers}))
        except DataError:
            try:
                response_in(self.spec, pd.DataFrame({one: arrays[one] for one in answers}))
            except DataError as error:
                if error.row is not None:  # else it is of all rows, of which these are some
                    raise _elsewhere(error, kept[error.column], name, first_row) from error

    def _column(
        self, values: pd.Series, column: str, name: str, first_row: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Levels or numbers (rows,) of a column, and which are missing."""
        own = self.columns.get(column)
        if own is not None and own.kind == LEVELS:
            codes = coded(values, own, name, first_row)
            return codes, codes < 0
        plain = values.reset_index(drop=True)
        of_rows = column in (self.spec.counts, self.spec.weights)
        try:
            found = study_columns.typed(plain, file=name) if of_rows else canonical(plain)
            if column == self.response and values.dtype.kind in "bO":
                known = study_columns.typed(plain, file=name)
                if pd.api.types.is_bool_dtype(known.dtype):  # no and yes are zero and one
                    found = known.astype("Int64").astype("float64")
        except DataError as error:
            raise _elsewhere(error, values, name, first_row) from error
        if found.isna().all():  # of no type, such as None in all rows of one file
            return np.full(len(found), np.nan), np.ones(len(found), bool)
        if column in answers_of(self.spec) and not study_columns.is_number(found):
            found = pd.to_numeric(found.astype(object), errors="coerce")  # whole numbers as text
        if not study_columns.is_number(found):
            row = int(values.index[0]) + first_row + 1
            raise DataError(
                f"{shown(values.iloc[0])} is not a number",
                hint="write numbers in all files",
                file=name,
                column=column,
                row=row,
            )
        lacks = found.isna().to_numpy(bool)
        if lacks.any() and pd.api.types.is_integer_dtype(values.dtype):
            return found.fillna(0).to_numpy(np.int64), lacks  # whole, as the rows that are left
        numbers = found.to_numpy(float, na_value=np.nan) if lacks.any() else found.to_numpy()
        return numbers, lacks

    def _check(
        self, arrays: Mapping[str, np.ndarray], kept: pd.DataFrame, name: str, first_row: int
    ) -> None:
        """Refuse numbers that are infinite or too large, and counts and weights that are none."""
        for one, values in arrays.items():
            if values.dtype.kind != "f" or not len(values):
                continue
            # NaN makes both ends NaN, which are within nothing
            if not (values.min() >= -MAX_NUMBER and values.max() <= MAX_NUMBER):
                bad = ~(np.abs(values) <= MAX_NUMBER)
                what = "not finite, or too large"
                raise _at(kept, bad, what, "correct it", one, name, first_row)
        for column in (self.spec.counts, self.spec.weights):
            if column is not None:
                try:
                    own = pd.Series(arrays[column], kept.index, name=column)
                    check_positive(own, whole=column == self.spec.counts, file=name)
                except DataError as error:
                    raise _elsewhere(error, kept[column], name, first_row) from error

    def _outcome(
        self, values: np.ndarray, kept: pd.DataFrame, name: str, first_row: int
    ) -> np.ndarray:
        """The response as it is modelled."""
        found = response_map(self.spec)
        if found is None:
            return values
        with np.errstate(all="ignore"):
            mapped = found.forward(values.astype(float))
        bad = ~np.isfinite(mapped)
        if bad.any():
            what = f"{self.text} is not finite"
            hint = "leave those rows out with subset=, or correct them"
            raise _at(kept, bad, what, hint, self.response, name, first_row)
        return np.asarray(mapped)


def _labels(kept: pd.DataFrame) -> dict[str, list[str]]:
    """Data set, network and question of the rows: up to two of each, [""] for a missing one."""
    found: dict[str, list[str]] = {}
    for name in LABELS:
        if name in kept and len(kept):
            found[name] = ["" if pd.isna(one) else str(one) for one in _first_two(kept[name])]
    return found


def _first_two(values: pd.Series) -> pd.Series:
    """The first two distinct values, or the only one."""
    if not isinstance(values.dtype, pd.CategoricalDtype):
        return values.drop_duplicates().iloc[:2]
    codes = values.cat.codes.to_numpy()
    other = int((codes != codes[0]).argmax())
    return values.iloc[[0, other]] if other else values.iloc[:1]


def _missing(values: pd.Series, lacks: np.ndarray, name: str, first_row: int) -> DataError:
    written = values.iloc[int(lacks.argmax())]
    told = f", such as {written!r}" if isinstance(written, str) else ""
    return DataError(
        f"missing in {int(lacks.sum()):,} of {len(values):,} rows{told}",
        hint=f"leave those rows out with missing='drop', or fill {values.name!r} in",
        file=name,
        column=str(values.name),
        row=first_row + int(values.index[int(lacks.argmax())]) + 1,
    )


def _at(
    kept: pd.DataFrame,
    bad: np.ndarray,
    what: str,
    hint: str,
    column: str,
    name: str,
    first_row: int,
) -> DataError:
    row = first_row + int(kept.index[int(bad.argmax())]) + 1
    return DataError(what, hint=hint, file=name, column=column, row=row)


def _elsewhere(error: DataError, values: pd.Series, name: str, first_row: int) -> DataError:
    """An error of a piece's rows, with the row of its file."""
    row = None if error.row is None else first_row + int(values.index[error.row - 1]) + 1
    return DataError(error.problem, hint=error.hint, file=name, column=str(values.name), row=row)


def unknown_column(name: str, held: Sequence[str], file: str) -> DataError:
    """The error of a column that a file has not."""
    return DataError(
        f"the model uses {name!r}, but the data have only {', '.join(map(str, held))}",
        hint="correct the name or add the column",
        file=file,
        column=name,
    )
