"""`summarise_rows`: the sums or counts of rows that a model needs, and nothing else of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import name_in, names_in, not_what, whole_in
from causalbias.errors import DataError, shown, user_path
from causalbias.models.formula.parts import Formula
from causalbias.models.rows import frame_for, group_for
from causalbias.models.specification import (
    ModelSpec,
    data_columns_of,
    family_of,
    population_columns_of,
    specify,
)
from causalbias.models.summaries.cells import Cells, without_keys
from causalbias.models.summaries.columns import (
    LEVELS,
    MAX_VALUES,
    MOMENTS,
    VALUES,
    Column,
    columns_of,
)
from causalbias.models.summaries.passes import Combine, Scan, by_levels
from causalbias.models.summaries.pieces import (
    Piece,
    columns_in,
    is_dask,
    over_pieces,
    pieces_of,
    pieces_of_study,
)
from causalbias.models.summaries.sums import Sum, added_parts, response_column, unknown_column
from causalbias.models.summaries.tree import (
    COUNTED,
    ROWS,
    RowSummary,
    summary_tree,
)
from causalbias.models.summaries.uses import (
    answers_of,
    check_linear,
    check_summable,
    linear_columns,
)
from causalbias.study.frames import is_lazy

DATA = "a study, a table, a dask DataFrame, or the path of Parquet files"


def summarise_rows(
    formula: str | Formula | Sequence[str],
    data: Any,
    *,
    family: str = "gaussian",
    levels: Mapping[str, Sequence[object]] | str | Path | None = None,
    moments: Sequence[str] | None = None,
    subset: str | None = None,
    missing: str = "refuse",
    counts: str | None = None,
    weights: str | None = None,
    min_rows: int = 10,
) -> RowSummary:
    """Sum rows up to what a model needs of them (its sufficient statistics).

    Rows that are alike in all columns but the response are a cell, of which the number of rows, the
    mean and the sum of squares about it are kept. Of ordered, binary and other discrete responses
    it is the number of rows with each response. `fit` takes such a summary, the path of its file,
    or a list of them, whose rows it takes together, and draws from the posterior that the rows
    themselves have. So sites that may not share rows can share a model (a federated analysis), and
    rows that no memory holds can be fitted.

    Parameters
    ----------
    formula : str, Formula or list of str
        As in `fit`. Functions of all rows at once, such as ``scale(x)`` and ``s(x)``, are refused.
    data : Study, DataFrame, dask DataFrame, str or Path
        The rows; a path is a Parquet file, a directory of such files, or a pattern. Partitions of
        dask, row groups of files, and parts of a study of ``cb.open(path, lazy=True)`` are read one
        at a time by each worker of the dask scheduler that is active; once, but for parts that
        differ from the whole in what their columns are.
    family : str, default "gaussian"
        As in `fit`: "gaussian", or a family of answers or counts ("cumulative", "bernoulli",
        "binomial", "poisson" and those made of them). Other continuous families need the rows.
    levels : dict of str to sequence, or path, optional
        Levels of factors in their order, the reference first; others are refused. Or the path of
        the manifest that sites agree on: a JSON file with ``formula``, ``levels`` and, if there are
        any, ``moments``, such as the attribute ``manifest`` of a summary. By default the levels
        are those of the data, in the order that they have in `fit`.
    moments : sequence of str, optional
        Columns of numbers of which means and cross-products with the response are kept in place of
        values. They must enter a Gaussian model linearly. By default those that do and have more
        than 50 values.
    subset, missing, counts, weights
        As in `fit`. Rows of other counts or weights are cells of their own.
    min_rows : int, default 10
        Refuse cells of fewer rows: a summary leaves its owner, and a cell of one row is that row.
        Of a discrete response a cell is of all of its values: how few rows have one of them is not
        looked at, nor whether all rows of a cell have the same.
        So must each value be of a column of `moments` that has 50 values or fewer, and each of the
        two where it has two in a cell, since sums of these rows can be worked out.

    Returns
    -------
    RowSummary
        Printing it says what it reveals. `save` writes it to a file, `open` reads it.

    Raises
    ------
    DataError
        If a cell has fewer than `min_rows` rows, memory does not hold the cells, a level was not
        declared, a column does not fit its use, and as in `fit`. Errors name file and row.

    Notes
    -----
    The log likelihood of a cell's n rows, of mean m and sum of squares S about it, is
    ``-n log sigma - (S + n (m - eta)^2) / (2 sigma^2)`` plus a constant, since eta is the same in
    all of them. Sums are added by the formulas of Chan, Golub and LeVeque (1983), Algorithms for
    computing the sample variance, The American Statistician 37(3), equation 2.1. Of a discrete
    response it is ``sum_y n_y log p(y | eta)``, n_y the rows of the cell with response y.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> summary = cb.summarise_rows(
    ...     "score ~ level", study, subset="question == 'age'", min_rows=5)
    >>> print(summary)
    Summary of 120 rows for score ~ level
      3 cells by level (3 values); at least 40 rows in each
      Reveals of each cell: its number of rows, mean of score and sum of squares
      360 rows left out by subset: question == 'age'
    """
    spec = specify(formula, family, counts=counts, weights=weights)
    whole_in(min_rows, "min_rows", 1)
    agreed = _agreed(levels)
    if "formula" in agreed and (agreed["formula"], agreed.get("parts", {})) != (
        spec.formula,
        spec.parts,
    ):
        raise DataError(
            f"the formula is {spec.formula!r}, and that of the manifest {agreed['formula']!r}",
            hint="give the manifest's, or agree on another manifest",
        )
    if moments is None and "moments" in agreed:
        moments = agreed["moments"]
    named = None if moments is None else names_in(moments, "moments")
    return summed(
        spec,
        data,
        levels=agreed["levels"],
        moments=named,
        subset=subset,
        missing=missing,
        min_rows=min_rows,
    )


def _agreed(levels: Mapping[str, Sequence[object]] | str | Path | None) -> dict[str, Any]:
    """What sites agreed on: levels, and what else a manifest has."""
    if levels is None:
        return {"levels": {}}
    if isinstance(levels, Mapping):
        return {"levels": dict(levels)}
    path = user_path(levels)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not isinstance(found.get("levels"), dict):
            raise ValueError("it has no levels")
    except (OSError, ValueError) as error:
        raise DataError(
            f"not a manifest ({error})",
            hint='a JSON file such as {"formula": "y ~ race", "levels": {"race": ["a", "b"]}}',
            file=str(path),
        ) from error
    return found


def _where(cells: Cells, levels: Mapping[str, Sequence[str]], at: int) -> str:
    """A cell in words."""
    return ", ".join(
        f"{name} {levels[name][int(values[at])] if name in levels else shown(values[at])}"
        for name, values in cells.keys.items()
    )


def _check_cells(cells: Cells, levels: Mapping[str, Sequence[str]], min_rows: int) -> None:
    few = cells.n < min_rows
    if not few.any():
        return
    at = int(np.argmin(cells.n))
    where = _where(cells, levels, at)
    raise DataError(
        f"{int(few.sum()):,} of {len(cells):,} cells have fewer than {min_rows} rows, such as "
        f"{where} with {int(cells.n[at])}: their sums would nearly be rows",
        hint="leave a column out of the formula, keep numbers as moments=, merge levels, or set "
        "min_rows= lower if these rows may be known",
    )


def _check_values(
    cells: Cells, moment: str, levels: Mapping[str, Sequence[str]], min_rows: int
) -> None:
    """Refuse moments of a number that has few values, some of them in few rows.

    The sums of a cell of two values are known of each: from its mean and its cross-product with the
    response, ``(1/n_1 + 1/n_0) S`` is the difference of means. ``cells``: by key and value.
    """
    values = pd.Series(cells.n).groupby(cells.keys[moment]).sum()
    told = ""
    if values.min() < min_rows:
        told = f"{moment} is {shown(values.idxmin())} in {int(values.min())} rows"
    else:
        others = [one for name, one in cells.keys.items() if name != moment]
        cell = pd.DataFrame(dict(enumerate(others)), index=range(len(cells)))
        number = (
            cell.groupby(list(cell)).ngroup().to_numpy() if others else np.zeros(len(cell), int)
        )
        few = (np.bincount(number)[number] == 2) & (cells.n < min_rows)
        if few.any():
            at = int(np.argmin(np.where(few, cells.n, cells.n.max() + 1)))
            told = (
                f"{_where(cells, levels, at)} has {int(cells.n[at])} rows, beside one other value"
            )
    if told:
        raise DataError(
            f"{told}, fewer than {min_rows}: their sums could be worked out from means and "
            "cross-products",
            hint=f"leave {moment!r} out of the formula, merge values, or set min_rows= lower if "
            "these rows may be known",
            column=moment,
        )


def _check_columns(
    spec: ModelSpec,
    response: str,
    names: Sequence[str],
    moments: Sequence[str],
    declared: Mapping[str, Sequence[object]],
) -> None:
    """Refuse names that fits of sums use, and moments and levels of what the formula has not.

    Raises
    ------
    DataError
        Also if moments are asked for that are not enough for the model.
    """
    for name in (response, *names):
        if name == ROWS or name.startswith(COUNTED):
            told = "fits of sums have a column of this name"
            raise DataError(told, hint="rename it", column=name)
    if moments:
        if answers_of(spec):
            raise DataError(
                f"moments of {moments[0]!r}, which are enough for Gaussian models only",
                hint="leave moments= out; round numbers whose values are many",
                column=moments[0],
            )
        check_linear(spec, moments)
    for what, given in (("moments", moments), ("levels", declared)):
        if unknown := [name for name in given if name not in names]:
            raise DataError(
                f"{what} of {unknown[0]!r}, which the formula has not",
                hint=f"use some of {', '.join(names)}",
            )


def summed(
    spec: ModelSpec,
    data: Any,
    *,
    levels: Mapping[str, Sequence[object]] | None = None,
    moments: Sequence[str] | None = None,
    subset: str | None = None,
    missing: str = "refuse",
    min_rows: int = 1,
) -> RowSummary:
    """The summary of rows; arguments as of `summarise_rows`."""
    name_in(missing, "missing", "refuse", "drop")
    if subset is not None and not isinstance(subset, str):
        raise not_what(subset, "a condition on rows, as text")
    check_summable(spec)
    response, answers = response_column(spec), answers_of(spec)
    names = [name for name in data_columns_of(spec) if name != response or answers]
    declared = dict(levels or {})
    _check_columns(spec, response, names, moments or (), declared)
    may = [] if answers else [name for name in names if linear_columns(spec, [name])]
    wanted = {name: None if moments is None else name in moments for name in may}
    pieces = _pieces(spec, data)
    ordinal = family_of(spec).has_thresholds
    scan = Scan(spec, tuple(names), wanted, subset, missing)
    scanned = over_pieces(pieces, scan, Combine(scan, tuple(declared)), "sums")
    columns = columns_of(scanned.found, names, declared, wanted, answers, ordinal=ordinal)
    _check_known(pieces, [response, *names])
    _check_categories(spec, columns)
    columns, kept = _of_moments(spec, columns, names, moments)
    of_few = [name for name in kept if len(columns[name].raw) <= MAX_VALUES]
    looked_at = tuple(of_few) if min_rows > 1 else ()
    step = Sum(spec, columns, kept, looked_at, subset, missing)
    part, known = by_levels(scanned, columns, kept) if not looked_at else (None, set())
    if left := [one for one in pieces if (one.name, one.first_row) not in known]:
        rest = over_pieces(left, step, added_parts, "sums of pieces that differ")
        part = rest if part is None else added_parts([part, rest])
    assert part is not None  # there is a piece
    cells, by_value, tally = part
    if not tally["rows"]:
        _nothing(tally, subset)
    used = {name: list(one.labels) for name, one in columns.items() if one.kind == LEVELS}
    if min_rows > 1:
        _check_cells(without_keys(cells, answers), used, min_rows)
    for name, one in by_value.items():
        _check_values(one, name, used, min_rows)
    cells, used = _without_unused(cells, used, declared)
    manifest = {
        "formula": spec.formula,
        "parts": dict(spec.parts),
        "counts": spec.counts,
        "weights": spec.weights,
        "subset": subset or "",
        "response": step.text,
        "answers": list(answers),
        "columns": {name: one.kind for name, one in columns.items()},
        "moments": list(kept),
        "levels": {name: used[name] for name in used if name in population_columns_of(spec)},
    }
    return summary_tree(cells, used, manifest, tally)


def _of_moments(
    spec: ModelSpec,
    columns: Mapping[str, Column],
    names: Sequence[str],
    moments: Sequence[str] | None,
) -> tuple[dict[str, Column], tuple[str, ...]]:
    """The columns, and which of them are kept as moments: all that are asked for, or that can be.

    Raises
    ------
    DataError
        If moments are asked for of a column that is not of numbers.
    """
    kept = tuple(name for name in names if name in columns and columns[name].kind == MOMENTS)
    for name in moments or ():
        if name in columns and name not in kept:
            raise DataError(
                f"moments of {name!r}, which is of {columns[name].kind}",
                hint="give columns of numbers",
                column=name,
            )
    if moments is None and kept:
        kept = tuple(linear_columns(spec, kept))  # products of two numbers are none of either
    return {
        name: replace(one, kind=VALUES) if one.kind == MOMENTS and name not in kept else one
        for name, one in columns.items()
    }, kept


def _check_categories(spec: ModelSpec, columns: Mapping[str, Column]) -> None:
    """Refuse answers that are categories where numbers are needed."""
    for name in () if family_of(spec).has_thresholds else answers_of(spec):
        if name in columns and columns[name].kind == LEVELS:
            raise DataError(
                f"{name} is of categories, but family {spec.family!r} needs "
                f"{family_of(spec).response}",
                hint="choose another family or write numbers",
                column=name,
            )


def _pieces(spec: ModelSpec, data: Any) -> list[Piece]:
    if isinstance(data, xr.DataTree) and is_lazy(data, group := group_for(spec.formula)):
        return pieces_of_study(data, group)
    if isinstance(data, xr.DataTree | pd.DataFrame):
        return pieces_of(frame_for(spec.formula, data))
    if is_dask(data) or isinstance(data, str | Path):
        return pieces_of(data)
    if isinstance(data, list | tuple) and all(isinstance(one, str | Path) for one in data):
        return pieces_of(data)
    raise not_what(data, DATA)


def _check_known(pieces: Sequence[Piece], names: Sequence[str]) -> None:
    """Refuse a column that a file has not, before rows are read."""
    looked: set[str] = set()
    for piece in pieces:
        held = [] if piece.name in looked else columns_in(piece) or []
        looked.add(piece.name)
        for name in names:
            if held and name not in held:
                raise unknown_column(name, held, piece.name)


def _nothing(tally: Mapping[str, Any], subset: str | None) -> None:
    if tally["excluded"] and not tally["missing"]:
        raise DataError(f"no row meets {subset!r}", hint="loosen the condition")
    told = ", ".join(f"{name} in {count:,}" for name, count in tally["missing"].items())
    raise DataError(
        f"every row lacks a value ({told})" if told else "the data have no rows",
        hint="fill in what is missing, or leave that column out" if told else "give more",
    )


def _without_unused(
    cells: Cells, levels: dict[str, list[str]], declared: Mapping[str, object]
) -> tuple[Cells, dict[str, list[str]]]:
    """Cells and levels without those of no row, but for levels that were declared."""
    keys, kept = dict(cells.keys), dict(levels)
    for name, own in levels.items():
        used = np.unique(keys[name])
        if name not in declared and len(used) < len(own):
            keys[name] = np.searchsorted(used, keys[name])
            kept[name] = [own[at] for at in used]
    return Cells(keys, cells.n, cells.mean, cells.scatter), kept
