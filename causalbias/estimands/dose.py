"""Dose-response curves and slopes of a manipulated numeric variable."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr
from pandas.api.types import is_numeric_dtype

from causalbias.arguments import described, name_in
from causalbias.draws.estimate import Estimate, check_names, estimate
from causalbias.draws.summaries import probability
from causalbias.errors import DataError
from causalbias.estimands.averaging import Averaging, averaging, stacked
from causalbias.estimands.scales import Floats, outcome_named
from causalbias.models.estimable import UNKNOWN
from causalbias.models.evaluation import UnseenLevelError
from causalbias.models.formula.steps import stepped_columns

MARKS = ("estimable", "by_prior")
MOST_DOSES = 21  # of a curve whose doses are not asked for
STEP = 1e-4  # of the dose's range: half the width of a numerical derivative


def dose(
    fit: xr.DataTree,
    variable: str,
    *,
    by: str | Sequence[str] = (),
    grid: Sequence[float] | None = None,
    monotone: str | None = None,
    scale: str = "response",
    population: str | None = None,
    threshold: float | None = None,
) -> Estimate:
    """Compute the mean outcome at each dose, its slope there, and the average slope.

    For each dose, all rows are set to it, with everything else unchanged. Slopes are numerical
    derivatives, which are valid for polynomials and splines (``bs(pose, df=5)``) as well as for
    straight lines; at the ends of the data they are one-sided. A monotone effect, ``mo(pose)``, has
    values at the doses of the data only, and its slopes are those between neighbouring ones. Values
    that are not estimable are NaN: with ``bs(pose, df=4)`` and three poses, these are all slopes,
    and predictions between the poses. Groups defined by the dose, as in ``(1|seed:pose)``, have no
    slope; for slopes, and at doses that no row has, they are new groups.

    For the slope per unit of perceived change, give average slopes of a model of distances and of
    a model of answers to `per_unit`.

    Parameters
    ----------
    fit : Fit
        The fitted model.
    variable : str
        A numeric column that enters the formula as a number.
    by : str or sequence of str
        Columns within whose combinations to average.
    grid : sequence of float, optional
        Doses within the range of the data, taken from low to high and each once; by default those
        in the data, or 21 evenly spaced doses if there are more.
    monotone : {"increasing", "decreasing"}, optional
        For a monotone curve: each draw's curve is replaced by the nearest monotone one on the grid
        (least squares, with doses weighted by their rows), the posterior projection of Lin and
        Dunson (2014, Biometrika 101). Use a flexible formula, with ``bs()`` or ``poly()``. Slopes
        are then those between neighbouring doses.
    scale, population, threshold
        As in `predictions`.

    Returns
    -------
    Estimate
        ``prediction`` and ``slope`` (chain, draw, variable, *by[, category]): mean outcome, and
        outcome per unit of dose; ``average_slope`` (chain, draw, *by[, category]): mean over the
        rows of the slope at their doses; ``n`` (*by). With `monotone`, also ``p_monotone``
        (*by[, category]): share of the draws whose curve was monotone without the projection. If
        it is near zero, the data contradict the constraint. If some values are not estimable,
        ``estimable`` (variable, *by) marks predictions, and ``slope_estimable`` (variable, *by)
        and ``average_slope_estimable`` (*by) mark slopes.

    Raises
    ------
    DataError
        If the variable is not numeric or enters the formula as categories, or a dose is outside
        the data. For monotone curves also if there is a single dose, or for probabilities of
        categories.

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
    if monotone is not None:
        name_in(monotone, "monotone", "increasing", "decreasing")
        check_names([variable, *over.by], ["p_monotone", "one_way"])
    stepped = variable in {
        name for one in over.model.spec.formulas for name in stepped_columns(one)
    }
    doses = _doses(over, variable, grid, steps=stepped)
    everywhere = over.frame[variable].to_numpy(float)
    low, high = everywhere.min(), everywhere.max()
    ends = over.estimability(
        (1.0, {variable: everywhere * 0 + high}), (-1.0, {variable: everywhere})
    )
    if (ends == UNKNOWN).all():
        raise DataError(
            f"not estimable: the slope of {variable!r} depends on coefficients for which the data "
            "have no rows",
            hint="leave out the column that goes with it, or give one of them a prior",
            column=variable,
        )
    # Between the doses of the data, groups that are defined by the dose are new.
    between = replace(over, as_new=(variable,))
    fitted = np.isin(doses, everywhere)
    at = [np.full(len(everywhere), one) for one in doses]
    curve = np.stack(
        [
            _at(over if known else between, variable, one)
            for one, known in zip(at, fitted, strict=True)
        ]
    )
    known = [np.stack([over.estimability((1.0, {variable: one})) for one in at])]
    if stepped and monotone is None:
        slope, mean = _between_doses(over, doses, everywhere, curve)
        means = {"average_slope": mean}
        every = known[0].max(axis=0)
        known += [np.broadcast_to(every, known[0].shape), every]
    elif monotone is None:
        slope = np.stack([_slope(between, variable, one, low, high) for one in at])
        means = {"average_slope": _slope(between, variable, everywhere, low, high)}
        known.append(np.stack([_slope_estimability(over, variable, one, low, high) for one in at]))
        known.append(_slope_estimability(over, variable, everywhere, low, high))
    else:
        _check_monotone(over, doses, curve)
        curve, slope, means = _one_way(over, doses, everywhere, curve, monotone)
        # Every point of such a curve depends on all.
        every = known[0].max(axis=0)
        known = [np.broadcast_to(every, known[0].shape)] * 2 + [every]
    estimand = f"{outcome_named(over.model, scale)} by {variable}, and its slope"
    index = pd.Index(doses, name=variable)
    found = _by_dose(over, "prediction", index, curve, known[0], estimand)
    slopes = _by_dose(over, "slope", index, slope, known[1], estimand)
    averages = over.dataset(means, estimand, known[2])
    if "one_way" in averages:
        found["p_monotone"] = probability(averages["one_way"], averages["one_way"])
    found = found.assign_attrs(treatment=variable)
    for part, name in ((slopes, "slope"), (averages, "average_slope")):
        marks = {f"{name}_{mark}": part[mark] for mark in MARKS if mark in part}
        found = found.assign({name: part[name]} | marks)
    return estimate(
        _without_empty_marks(found), of=[fit], variable="prediction", figure="dose_curve"
    )


def _by_dose(
    over: Averaging,
    name: str,
    doses: pd.Index,
    values: Floats,
    estimability: np.ndarray,
    estimand: str,
) -> xr.Dataset:
    """Values (doses, draws, cells, ...) under their name, the dim of doses after chain and draw."""
    each = [
        over.dataset({name: one}, estimand, known)
        for one, known in zip(values, estimability, strict=True)
    ]
    return stacked(each, doses)


def _without_empty_marks(found: xr.Dataset) -> xr.Dataset:
    """Remove `estimable` if all values are estimable, and `by_prior` if no prior is needed."""
    asked = found["n"] > 0
    names = [str(name) for name in found.data_vars]
    unknown = [name for name in names if name.endswith("estimable")]
    if all(bool((found[name] | ~asked).all()) for name in unknown):
        found = found.drop_vars(unknown)
    else:
        found.attrs["not_estimable"] = "values that the data do not identify"
    of_prior = [name for name in names if name.endswith("by_prior")]
    if not any(bool(found[name].any()) for name in of_prior):
        found = found.drop_vars(of_prior)
    return found


def _doses(over: Averaging, variable: str, grid: Sequence[float] | None, *, steps: bool) -> Floats:
    """The doses asked for, in the range of the data; with ``steps``, two or more of the data's."""
    if not is_numeric_dtype(over.frame[variable]):
        raise DataError(f"{variable!r} is not a number", hint="use effects for its levels")
    found = np.array(over.levels(variable), dtype=float)
    if grid is None:
        if len(found) <= MOST_DOSES:
            return found
        # of effects of groups, and of steps, there are none between
        if steps or over.names_groups(variable):
            return found[np.linspace(0, len(found) - 1, MOST_DOSES).round().astype(int)]
        return np.linspace(found[0], found[-1], MOST_DOSES)
    try:
        doses = np.asarray(grid, dtype=float)
    except (TypeError, ValueError):
        doses = np.empty(0)
    if doses.ndim != 1 or not len(doses) or not np.isfinite(doses).all():
        raise DataError(f"grid is {described(grid)}", hint="give a list of doses: grid=[0, 1]")
    outside = doses[(doses < found[0]) | (doses > found[-1])]
    if len(outside):
        raise DataError(
            f"{outside[0]:g} is outside the doses in the data",
            hint=f"give doses from {found[0]:g} to {found[-1]:g}",
            column=variable,
        )
    # A dose that differs from one of the data by rounding only is taken as that dose.
    nearest = found[np.abs(doses[:, None] - found).argmin(axis=1)]
    doses = np.where(np.abs(doses - nearest) <= 1e-9 * (found[-1] - found[0]), nearest, doses)
    doses = np.unique(doses)  # slopes between doses, and curves that rise, go from low to high
    if steps and (len(doses) < 2 or not np.isin(doses, found).all()):
        raise DataError(
            f"a monotone effect of {variable!r} is known at the doses of the data only",
            hint=f"give two or more of {', '.join(f'{one:g}' for one in found[:10])}, in order",
            column=variable,
        )
    return doses


def _at(over: Averaging, variable: str, doses: Floats) -> Floats:
    try:
        return over.mean(None, **{variable: doses})
    except UnseenLevelError as error:
        raise DataError(
            f"{variable!r} enters the formula as categories, which have no dose between them",
            hint=f"use effects, or let it enter as a number: {variable} or bs({variable}, df=4)",
        ) from error


def _slope(over: Averaging, variable: str, doses: Floats, low: float, high: float) -> Floats:
    """Compute the derivative at each row's dose; one-sided at the ends of the data's range."""
    left, right = _step(doses, low, high)
    width = 2 * STEP * (high - low)
    return (_at(over, variable, right) - _at(over, variable, left)) / width


def _slope_estimability(
    over: Averaging, variable: str, doses: Floats, low: float, high: float
) -> np.ndarray:
    """Whether the rows determine (cells,) such a derivative, per the dose's range."""
    left, right = _step(doses, low, high)
    size = 1 / (2 * STEP)
    return over.estimability((size, {variable: right}), (-size, {variable: left}))


def _step(doses: Floats, low: float, high: float) -> tuple[Floats, Floats]:
    width = 2 * STEP * (high - low)
    left = np.clip(doses - width / 2, low, high - width)
    return left, left + width


def _check_monotone(over: Averaging, doses: Floats, curve: Floats) -> None:
    if len(doses) < 2:
        raise DataError("there is a single dose", hint="give two or more for a monotone curve")
    if curve.ndim > 3 and over.scale != "exceedance":
        ordered = "exceedance" in over.model.family.scales
        raise DataError(
            "probabilities of categories do not all rise together",
            hint="use scale='exceedance' for monotone curves" if ordered else "leave monotone out",
        )


def _weights(over: Averaging, doses: Floats, everywhere: Floats, curve: Floats) -> Floats:
    """Rows (doses, 1, cells, ...) that each dose is the nearest of."""
    nearest = np.abs(everywhere[:, None] - doses).argmin(axis=1)
    rows = np.stack(
        [np.bincount(over.cells, over.counts * (nearest == k)) for k in range(len(doses))]
    )
    return rows.reshape(len(doses), 1, -1, *[1] * (curve.ndim - 3))


def _between_doses(
    over: Averaging, doses: Floats, everywhere: Floats, curve: Floats
) -> tuple[Floats, Floats]:
    """Slopes (doses, draws, cells, ...) between neighbouring doses, and their mean over rows."""
    slope = np.gradient(curve, doses, axis=0)
    weights = _weights(over, doses, everywhere, curve)
    return slope, (slope * weights).sum(axis=0) / weights.sum(axis=0)


def _one_way(
    over: Averaging, doses: Floats, everywhere: Floats, curve: Floats, direction: str
) -> tuple[Floats, Floats, dict[str, Floats]]:
    """Compute the nearest monotone curves (doses, draws, cells, ...) and their slopes."""
    sign = 1.0 if direction == "increasing" else -1.0
    weights = _weights(over, doses, everywhere, curve)
    # A dose without rows in a cell has a small weight; otherwise its curve would be arbitrary.
    last = np.moveaxis(sign * curve, 0, -1), np.moveaxis(np.maximum(weights, 1.0), 0, -1)
    moved = sign * np.moveaxis(isotonic(*last), -1, 0)
    slope, mean = _between_doses(over, doses, everywhere, moved)
    one_way = (np.diff(sign * curve, axis=0) >= 0).all(axis=0).astype(float)
    return moved, slope, {"average_slope": mean, "one_way": one_way}


def isotonic(values: Floats, weights: Floats) -> Floats:
    """Compute the nearest increasing sequence along the last axis, by weighted least squares.

    The solution at i is the max-min formula (Robertson, Wright and Dykstra 1988, ch. 1)

    max over s <= i of min over t >= i of sum(w[s..t] y[s..t]) / sum(w[s..t]).

    Parameters
    ----------
    values : ndarray (..., k)
        Sequences y.
    weights : ndarray (..., k)
        Positive weights w.

    Examples
    --------
    >>> isotonic(np.array([1.0, 3.0, 2.0, 5.0]), np.ones(4)).tolist()
    [1.0, 2.5, 2.5, 5.0]
    """
    weights = np.broadcast_to(weights, values.shape)
    best = np.full(values.shape, -np.inf)
    for start in range(values.shape[-1]):
        sums = np.cumsum((values * weights)[..., start:], axis=-1)
        means = sums / np.cumsum(weights[..., start:], axis=-1)
        least = np.minimum.accumulate(means[..., ::-1], axis=-1)[..., ::-1]
        best[..., start:] = np.maximum(best[..., start:], least)
    return best
