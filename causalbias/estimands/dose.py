"""The third verb: dose-response curves and slopes of a manipulated quantity."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from pandas.api.types import is_numeric_dtype

from causalbias.errors import DataError
from causalbias.estimands.averaging import Averaging, averaging
from causalbias.estimands.predictor import outcome_of
from causalbias.estimands.scales import Floats

STEP = 1e-4  # of the dose's range: half the width of a numerical derivative


def dose(
    fit: xr.DataTree,
    variable: str,
    *,
    by: str | Sequence[str] = (),
    grid: Sequence[float] | None = None,
    scale: str = "response",
    population: str = "these",
    threshold: float | None = None,
) -> xr.Dataset:
    """Dose-response: the mean outcome at each dose, its slope there, and the average slope.

    At each dose every row is set to it, all else held. Slopes are numerical derivatives, so that
    they hold for polynomials and splines (``bs(pose, df=5)``) as for straight lines; at the ends
    of the data they are one-sided. For the slope per unit of a change that people see, give two
    average slopes, of a model of distances and of one of answers, to `per_unit`.

    Parameters
    ----------
    fit : Fit
    variable : str
        A numeric column that enters the formula as a number.
    by : str or sequence of str
        Columns within whose combinations to average.
    grid : sequence of float, optional
        Doses, within the data's range; by default those in the data, or 21 evenly spaced ones if
        there are more.
    scale, population, threshold
        As in `predictions`.

    Returns
    -------
    Dataset
        ``prediction`` and ``slope`` (chain, draw, variable, *by[, category]): mean outcome, and
        outcome per unit of dose; ``average_slope`` (chain, draw, *by[, category]): mean over the
        rows of the slope at their own doses; ``n`` (*by).

    Raises
    ------
    DataError
        If the variable is no number, enters as categories, or a dose is outside the data.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ poly(level, 2) + (1|annotator)", study, subset="question == 'age'")
    >>> found = cb.dose(fit, "level", grid=[0, 1, 2])
    >>> cb.summarise(found, of="slope").shape[0], found["average_slope"].dims
    (3, ('chain', 'draw'))
    """
    over = averaging(
        fit, by, variables=[variable], scale=scale, population=population, threshold=threshold
    )
    doses = _doses(over, variable, grid)
    everywhere = over.frame[variable].to_numpy(float)
    low, high = everywhere.min(), everywhere.max()
    told = f"{outcome_of(fit)} by {variable}, and its slope"
    parts = []
    for at in doses:
        same = np.full(len(everywhere), at)
        curve = {
            "prediction": _at(over, variable, same),
            "slope": _slope(over, variable, same, low, high),
        }
        parts.append(over.dataset(curve, told))
    index = pd.Index(doses, name=variable)
    found = xr.concat(parts, index, data_vars=["prediction", "slope"], combine_attrs="override")
    for name in ("prediction", "slope"):
        found[name] = found[name].transpose("chain", "draw", variable, *over.by, ...)
    own = over.dataset({"average_slope": _slope(over, variable, everywhere, low, high)}, told)
    return found.assign(average_slope=own["average_slope"]).assign_attrs(treatment=variable)


def _doses(over: Averaging, variable: str, grid: Sequence[float] | None) -> Floats:
    if not is_numeric_dtype(over.frame[variable]):
        raise DataError(f"{variable!r} is not a number", mend="use effects for its levels")
    found = np.array(over.levels(variable), dtype=float)
    if grid is None:
        return found if len(found) <= 21 else np.linspace(found[0], found[-1], 21)
    doses = np.asarray(grid, dtype=float)
    outside = doses[(doses < found[0]) | (doses > found[-1])]
    if len(outside):
        raise DataError(
            f"{outside[0]:g} is outside the doses in the data",
            mend=f"give doses from {found[0]:g} to {found[-1]:g}",
            column=variable,
        )
    return doses


def _at(over: Averaging, variable: str, doses: Floats) -> Floats:
    try:
        return over.mean(None, **{variable: doses})
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{variable!r} enters the formula as categories, which have no dose between them",
            mend=f"use effects, or let it enter as a number: {variable} or bs({variable}, df=4)",
        ) from error


def _slope(over: Averaging, variable: str, doses: Floats, low: float, high: float) -> Floats:
    """Derivative at each row's dose; between two doses of the data's range, at its ends too."""
    width = 2 * STEP * (high - low)
    left = np.clip(doses - width / 2, low, high - width)
    return (_at(over, variable, left + width) - _at(over, variable, left)) / width
