"""Rows that a crossed design lacks, added without an outcome."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import FIT, described, kind_of, name_in, names_in
from causalbias.causal.rows import FILE, refuse_missing
from causalbias.errors import DataError
from causalbias.models.fitted import fitted
from causalbias.models.levels import canonical
from causalbias.models.needs import need_rows_themselves
from causalbias.study.columns import labels
from causalbias.study.tables import check_columns, named_columns, with_index


def complete(
    rows: pd.DataFrame | xr.DataTree,
    unit: str,
    columns: str | Sequence[str],
    *,
    traits: str | Sequence[str] = (),
) -> pd.DataFrame:
    """Add the rows that units of a crossed design lack, without an outcome.

    In a crossed design each unit has equally many rows in every cell: each seed one face of each
    race and pose. Cells of a unit with fewer rows than that have lost some, by a failure to enrol
    or a filter. They are added, with a missing value in each column that is not named
    (``complete`` of R's tidyr): an outcome may be the same on all rows of each unit that are there,
    and is unknown on those that are not. Units that lost all their rows are unknown and not added.

    Parameters
    ----------
    rows : DataFrame or Fit
        Rows that are there, or a fit, whose rows are taken.
    unit : str
        Column of the unit, such as the seed.
    columns : str or sequence of str
        Columns that the design crosses with it.
    traits : str or sequence of str
        Columns that are one for all rows of a unit, such as its gender or the network: they are
        filled in.

    Returns
    -------
    DataFrame
        The rows, then those that were lost.

    Raises
    ------
    DataError
        If a column is missing or has missing values, a trait differs within a unit, or the rows are
        no crossed design: more than half of the cells lack rows.

    Examples
    --------
    >>> faces = pd.DataFrame({
    ...     "seed": ["1", "1", "2", "3", "3"],
    ...     "race": ["white", "black", "white", "white", "black"],
    ...     "distance": [0.3, 0.4, 0.3, 0.2, 0.3],
    ... })
    >>> complete(faces, "seed", "race").tail(1).values.tolist()
    [['2', 'black', nan]]
    """
    unit, crossed = name_in(unit, "unit"), list(names_in(columns, "columns"))
    same = list(names_in(traits, "traits"))
    if isinstance(rows, xr.DataTree) and kind_of(rows) == FIT:
        need_rows_themselves(rows, "a count of lost rows")
        rows = fitted(rows).frame
    if not isinstance(rows, pd.DataFrame):
        raise DataError(
            f"{described(rows)} was given where rows are needed",
            hint="give a DataFrame or what cb.fit returned",
        )
    rows = named_columns(with_index(rows, FILE), FILE)
    check_columns(rows, [unit, *crossed, *same], file=FILE)
    if unit in crossed or not crossed:
        raise DataError(
            "the design crosses the unit with nothing else", hint="name the manipulated columns"
        )
    rows = rows.assign(**{name: canonical(rows[name]) for name in crossed})
    for name in (unit, *crossed):
        refuse_missing(labels(rows[name], file=FILE), name)
    _check_traits(rows, unit, crossed, same)
    counts = rows.groupby([unit, *crossed], observed=True).size().unstack(crossed, fill_value=0)
    full = int(counts.to_numpy().max())
    if (counts.to_numpy() == full).mean() <= 0.5:
        raise DataError(
            f"no crossed design: more than half of the cells of {unit} and {', '.join(crossed)} "
            f"have fewer than {full} rows",
            hint="name fewer columns, or add the rows that were lost yourself: "
            "attempted.merge(rows, how='left')",
        )
    lacking = full - counts
    at_unit, at_cell = np.nonzero(lacking.to_numpy())
    times = lacking.to_numpy()[at_unit, at_cell]
    if not len(times):
        return rows
    cells = counts.columns.to_frame(index=False).iloc[np.repeat(at_cell, times)]
    added = cells.assign(**{unit: counts.index.take(np.repeat(at_unit, times))})
    if same:
        added = added.merge(rows.groupby(unit, observed=True)[same].first().reset_index(), on=unit)
    whole = pd.concat([rows, added.reindex(columns=rows.columns)], ignore_index=True)
    kinds = {name: rows[name].dtype for name in (unit, *crossed, *same)}
    return whole.astype(kinds)


def _check_traits(
    rows: pd.DataFrame, unit: str, crossed: Sequence[str], traits: Sequence[str]
) -> None:
    """Refuse traits that are no traits of a unit."""
    for name in traits:
        if name == unit or name in crossed:
            raise DataError(
                f"{name!r} is of the design itself",
                hint="name in traits= other columns, which are one for all rows of a unit",
                column=name,
            )
        several = rows.groupby(unit, observed=True)[name].nunique(dropna=False) > 1
        if several.any():
            raise DataError(
                f"{unit} {several.index[several.to_numpy()][0]} has several values",
                hint="leave it out of traits=: it is unknown on rows that were lost",
                file=FILE,
                column=name,
            )
