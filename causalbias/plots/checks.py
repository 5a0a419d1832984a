"""Figures of manipulation checks."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from causalbias.errors import DataError
from causalbias.plots.style import (
    TWO_COLUMNS,
    finish,
    in_order,
    label,
    new_figure,
    row_height,
    styled,
)


@styled
def leak_matrix(table: pd.DataFrame, *, note: str = "", unit: str = "points") -> Figure:
    """Draw a leak matrix: manipulated attributes by perceived attributes.

    Parameters
    ----------
    table : DataFrame
        Result of `cb.manipulation_checks.leaks`, or a table with the same columns.
    note : str
        Note below the figure.
    unit : str
        Unit of the changes.

    Returns
    -------
    Figure
        Two columns wide. Changes, to two digits of the largest, are bold where their intervals
        exclude zero and grey elsewhere. Boxes mark the manipulated attribute.

    Raises
    ------
    DataError
        If the table is empty.

    Examples
    --------
    >>> import causalbias as cb
    >>> leaks = cb.manipulation_checks.leaks(cb.demo_study())
    >>> round(cb.plots.leak_matrix(leaks).get_size_inches()[0].item(), 2)
    7.2
    """
    if table.empty:
        raise DataError(
            "the table has no attributes other than the manipulated one",
            hint="ask about others too, or give a classifier's scores to leaks",
        )
    shape = {"index": "attribute", "columns": "question"}
    estimate = table.pivot(**shape, values="estimate")
    rows = in_order(estimate.index)
    own = table.pivot(**shape, values="own").eq(True).loc[rows]
    # The manipulated attributes come first, on the diagonal.
    first = [str(own.columns[int(row.argmax())]) for row in own.to_numpy() if row.any()]
    order = [*first, *(name for name in in_order(estimate.columns) if name not in first)]
    estimate, own = estimate.loc[rows, order], own[order]
    clear = table.pivot(**shape, values="clear").loc[rows, order].eq(True)
    limit = float(np.nanmax(np.abs(estimate.to_numpy()))) or 1.0
    power = int(np.floor(np.log10(limit)))
    if not -3 <= power < 4:  # in units that the colour bar names
        estimate, limit, unit = estimate / 10.0**power, limit / 10.0**power, f"1e{power} {unit}"
        power = 0
    attributes = [label(name) for name in estimate.index]
    height = 1.4 + len(attributes) * row_height(attributes, 0.24)
    fig, axes = new_figure(TWO_COLUMNS, height)
    image = axes.imshow(estimate.to_numpy(), cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    small = 6.0 if len(order) > 20 else 6.5
    for row, column in np.ndindex(*estimate.shape):
        value = estimate.to_numpy()[row, column]
        if np.isnan(value):
            continue
        sure, dark = clear.to_numpy()[row, column], abs(value) > 0.6 * limit
        colour = "white" if dark else ("black" if sure else "0.4")
        digits = f"{value:.{max(0, 1 - power)}f}"
        axes.text(
            column,
            row,
            (digits if float(digits) else digits.lstrip("-")).replace("-", "\u2212"),
            ha="center",
            va="center",
            fontsize=small,
            color=colour,
            weight="bold" if sure else "normal",
        )
        if own.to_numpy()[row, column]:
            corner = (column - 0.5, row - 0.5)
            axes.add_patch(Rectangle(corner, 1, 1, fill=False, linewidth=1.2, edgecolor="black"))
    across = len(order) <= 8
    names = [label(name, 64 // len(order) if across else 26) for name in order]
    axes.set_xticks(range(len(order)), names, rotation=0 if across else 90)
    axes.set_yticks(range(len(attributes)), attributes)
    axes.set(xlabel="perceived", ylabel="manipulated")
    axes.tick_params(length=0)
    fig.colorbar(image, ax=axes, label=f"change, {unit}", shrink=0.9, pad=0.01)
    marks = "Bold: the interval excludes zero. Boxes: the attribute that was manipulated."
    return finish(fig, note, levels=marks)
