"""Whether rows are missing from a crossed design by chance, or more often from some cells.

In a trial this is differential attrition: that rows are missing proves no bias, but an effect on a
cell that lost more rows than others leans on their having been lost whatever the response was.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from causalbias.model_checks.statistics import Comparison, Subject, compare, levels_in_twos

MISSING = "missing rows"
PERMUTATIONS = 500


def missing_by_cell(
    frame: pd.DataFrame, unit: str, columns: Sequence[str], rng: np.random.Generator
) -> tuple[Subject, Comparison] | None:
    """Compare the share of rows missing from each cell with what chance within units would give.

    The rows of a unit that are missing could as well be any others of its rows (an exact null
    hypothesis if rows are lost whatever their cell): they are dealt out anew, 500 times.

    Parameters
    ----------
    frame : DataFrame
        The rows that there are.
    unit : str
        Column whose levels were each to have equally many rows in every cell: the seed.
    columns : sequence of str
        Columns of few levels. Those are taken in which units have equally many rows a level,
        but for some that are missing.
    rng : Generator

    Returns
    -------
    (Subject, Comparison) or None
        The cell (a level of one column, or of two) farthest from chance. None if the rows do not
        cross units with any column, or none is missing.

    Examples
    --------
    >>> rows = pd.MultiIndex.from_product([range(40), ["a", "b"], [0, 1]], names=["s", "x", "z"])
    >>> frame = rows.to_frame(index=False)
    >>> lost = (frame["x"] == "b") & (frame["z"] == 1) & (frame["s"] % 3 == 0)
    >>> cell, found = missing_by_cell(frame[~lost], "s", ["x", "z"], np.random.default_rng(0))
    >>> cell.cell, round(found.value, 2), found.p < 0.005
    ('x b, z 1', 0.35, True)
    """
    crossed = [name for name in columns if _counts(frame, unit, [name]) is not None]
    counts = _counts(frame, unit, crossed) if crossed else None
    if counts is None or len(counts.columns) < 2:
        return None
    full = int(counts.to_numpy().max())
    missing = full - counts.to_numpy()
    if not missing.any():
        return None
    masks, cells = _cells(counts.columns.to_frame(index=False))
    weights = masks / (masks.sum(axis=0) * full * len(counts))
    slots = [full] * missing.shape[1]
    dealt = np.zeros((PERMUTATIONS, missing.shape[1]))
    for lost in missing.sum(axis=1):
        if lost:
            dealt += rng.multivariate_hypergeometric(slots, lost, size=PERMUTATIONS)
    data = np.tile(missing.sum(axis=0) @ weights, (PERMUTATIONS, 1))
    found = compare(data, dealt @ weights)
    return cells[found.at]._replace(factor=unit), found


def _counts(frame: pd.DataFrame, unit: str, columns: list[str]) -> pd.DataFrame | None:
    """Rows of each unit (row) in each cell (column), if most are equally many and none more."""
    if frame[unit].nunique() * len(frame[columns].drop_duplicates()) >= 2 * len(frame):
        return None  # over half of the cells are empty, and the table may be huge
    counts = frame.groupby([unit, *columns], observed=True).size().unstack(columns, fill_value=0)
    full = counts.to_numpy().max()
    return counts if (counts.to_numpy() == full).mean() > 0.5 else None


def _cells(levels: pd.DataFrame) -> tuple[np.ndarray, list[Subject]]:
    """Which cells (row) belong to a level of one column or of two (column), and which that is."""
    cells, rows = zip(*levels_in_twos(levels, levels.columns.tolist(), MISSING), strict=True)
    masks = [np.isin(np.arange(len(levels)), one) for one in rows]
    return np.column_stack(masks).astype(float), list(cells)
