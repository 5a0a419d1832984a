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
from causalbias.study.columns import labels
from causalbias.study.tables import check_columns, named_columns, with_index


def complete(
    rows: pd.DataFrame | xr.DataTree, unit: str, columns: str | Sequence[str]
) -> pd.DataFrame:
    """Add the rows that units of a crossed design lack, without an outcome.

    In a crossed design each unit has equally many rows in every cell: each seed one face of each
    race and pose. Cells of a unit with fewer rows than that have lost some, by a failure to enrol
    or a filter. They are added, with a missing value in each column that they do not determine
    (``complete`` of R's tidyr). Units that lost all their rows are not known and not added.

    Parameters
    ----------
    rows : DataFrame or Fit
        Rows that are there, or a fit, whose rows are taken.
    unit : str
        Column of the unit, such as the seed.
    columns : str or sequence of str
        Columns that the design crosses with it.

    Returns
    -------
    DataFrame
        The rows, then those that were lost. A column that is the same on all rows of a unit, such
        as its gender, is known on these too.

    Raises
    ------
    DataError
        If a column is missing or has missing values, or the rows are no crossed design: more than
        half of the cells lack rows.

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
    if isinstance(rows, xr.DataTree) and kind_of(rows) == FIT:
        rows = fitted(rows).frame
    if not isinstance(rows, pd.DataFrame):
        raise DataError(
            f"{described(rows)} was given where rows are needed",
            hint="give a DataFrame or what cb.fit returned",
        )
    rows = named_columns(with_index(rows, FILE), FILE)
    check_columns(rows, [unit, *crossed], file=FILE)
    if unit in crossed or not crossed:
        raise DataError(
            "the design crosses the unit with nothing else", hint="name the manipulated columns"
        )
    rows = rows.assign(**{name: canonical(rows[name]) for name in crossed})
    for name in (unit, *crossed):
        refuse_missing(labels(rows[name], file=FILE), name)
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
    of_unit = rows.groupby(unit, observed=True)
    others = [str(name) for name in rows if name not in (unit, *crossed)]
    same = [name for name in others if (of_unit[name].nunique(dropna=False) <= 1).all()]
    added = added.merge(of_unit[same].first().reset_index(), on=unit) if same else added
    whole = pd.concat([rows, added.reindex(columns=rows.columns)], ignore_index=True)
    kinds = {name: rows[name].dtype for name in (unit, *crossed, *same)}
    return whole.astype(kinds)
