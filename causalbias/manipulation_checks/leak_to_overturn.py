"""Sensitivity of an effect to leaks: the least leak that would explain the effect."""

import xarray as xr

from causalbias.arguments import number_in
from causalbias.draws.estimate import Estimate, check_names, estimate
from causalbias.draws.summaries import SAMPLE
from causalbias.draws.transformations import of_same_cells
from causalbias.errors import DataError

STEPS = 60  # steps of bisection, enough for double precision


def leak_to_overturn(
    effect: xr.DataArray | xr.Dataset, slope: xr.DataArray | xr.Dataset, *, prob: float = 0.95
) -> Estimate:
    """Compute the least leak into another attribute that would explain an effect.

    If a manipulation of attribute A also changes attribute B by `leak` units, and B has the effect
    `slope` per unit on the outcome, the effect of A is ``effect - leak * slope``. The leak is a
    property of the faces. Compare it with a manipulation check, which shows how much people saw B
    change.

    Parameters
    ----------
    effect : DataArray or Estimate
        Draws of A's effect, dims (chain, draw, ...).
    slope : DataArray or Estimate
        Draws of B's effect per unit from the same fit, dims (chain, draw, ...).
    prob : float, default 0.95
        Probability of the intervals.

    Returns
    -------
    Estimate
        ``leak`` (chain, draw, ...): the leak in units of B for which the effect of A is zero, and
        ``to_zero``, its median. ``to_doubt``: the smallest leak for which the interval of the
        remaining effect includes zero. It is 0 if the interval includes zero without a leak, and
        NaN if there is no such leak up to ten times `to_zero`, because the slope is too uncertain.

    Raises
    ------
    DataError
        If a slope is zero in every draw, or both have not the same draws and levels.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> draws = lambda mean: xr.DataArray(rng.normal(mean, 0.1, (4, 500)), dims=SAMPLE)
    >>> found = leak_to_overturn(draws(2.0), draws(1.0))
    >>> bool(1.5 < found["to_doubt"] < found["to_zero"] < 2.1)
    True
    """
    prob = number_in(prob, "prob", 0, 1)
    whole, unit = of_same_cells(effect, slope)
    if bool((abs(unit).max(SAMPLE) == 0).any()):
        raise DataError(
            "a slope is zero in every draw", hint="choose an attribute that has an effect"
        )
    ratio = whole / unit
    middle = ratio.median(SAMPLE)

    def doubtful(leak: xr.DataArray) -> xr.DataArray:
        left = whole - leak * unit
        ends = left.quantile([(1 - prob) / 2, (1 + prob) / 2], dim=SAMPLE)
        return (ends.isel(quantile=0, drop=True) <= 0) & (ends.isel(quantile=1, drop=True) >= 0)

    low, high = xr.zeros_like(middle), middle.copy()
    for factor in (1.5, 2.0, 3.0, 5.0, 10.0):
        high = xr.where(doubtful(high), high, factor * middle)
    reached = doubtful(high)
    for _ in range(STEPS):
        half = (low + high) / 2
        there = doubtful(half)
        low, high = xr.where(there, low, half), xr.where(there, half, high)
    least = xr.where(doubtful(xr.zeros_like(middle)), 0.0, high.where(reached))
    quantities = {"leak": ratio, "to_zero": middle, "to_doubt": least}
    check_names(ratio.dims, quantities)
    found = xr.Dataset(quantities)
    estimand = "leak that would explain the whole effect"
    return estimate(found, of=[effect, slope], estimand=estimand)
