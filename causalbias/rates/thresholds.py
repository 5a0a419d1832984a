"""Thresholds at a target false match rate."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import flag_in
from causalbias.datasets.scores.checks import check_unit
from causalbias.draws.estimate import Estimate, estimate
from causalbias.errors import DataError, shown
from causalbias.rates.assembly import (
    THREE,
    Draw,
    cube,
    facts_of,
    kind_weight,
    plain_shares_at,
    sampler,
    shares_at,
)
from causalbias.rates.cells import Cell, cells_of, pooled_cells
from causalbias.rates.comparisons import Comparisons, comparisons
from causalbias.rates.groups import FILE
from causalbias.rates.intervals import Shares

type Threshold = float | Mapping[str, float] | xr.Dataset


def threshold_at(
    data: xr.DataTree | pd.DataFrame | Comparisons,
    fmr: float,
    *,
    by: str | Sequence[str] = (),
    cohort: str = "all",
    match: str | Sequence[str] = (),
    per_group: bool = False,
    genuine: pd.DataFrame | pd.Series | None = None,
    draws: int = 1000,
    random_seed: int = 0,
) -> Estimate:
    """Estimate the largest threshold at which the false match rate is at most a target.

    Parameters
    ----------
    data, by, cohort, match, genuine, draws, random_seed
        As in `error_rates`. By default all impostor pairs count, whatever their groups.
    fmr : float
        Target rate, above 0 and below 1.
    per_group : bool
        Whether to estimate a threshold for each group of `by`, rather than a common one.

    Returns
    -------
    Estimate
        ``threshold`` (chain, draw, system[, *by]), in units of the distance, by inversion of the
        rate's posterior (Woodruff 1952). Without chain and draw: ``point``, the threshold on these
        pairs, which `error_rates` uses; and, for the rate at this threshold, the variables of
        `error_rates`.

    Raises
    ------
    DataError
        If there are too few pairs for the target, and as in `error_rates`.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=20, people=None, levels={"pose": [-3, 0, 3]}, impostors=20)
    >>> at = cb.threshold_at(study, 0.05, by="race")
    >>> rates = cb.error_rates(study, by="race", threshold=at)
    """
    flag_in(per_group, "per_group")
    pairs = comparisons(data, by, match=match, genuine=genuine)
    draw = sampler(pairs.n_seeds, draws, random_seed)
    cells = (
        (cell for cell in cells_of(pairs, cohort) if cell.kind == "impostor")
        if per_group
        else pooled_cells(pairs, cohort)
    )
    entries = {(cell.system, *cell.group): _set(cell, fmr, draw) for cell in cells}
    dims = ["system", *(pairs.by if per_group else [])]
    return estimate(
        cube(entries, dims, levels=pairs.levels),
        of=(),
        scale="distance",
        outcome="threshold",
        fmr=fmr,
        cohort=cohort,
        estimand=f"threshold at a false match rate of {fmr:g}",
    )


def thresholds_for(
    pairs: Comparisons, given: Threshold | None, fmr: float | None, cohort: str
) -> Callable[[Cell], float]:
    """Return a function that gives the threshold of a cell.

    Raises
    ------
    DataError
        If both or neither of a threshold and a target are given, a system or group has none, or
        there are too few pairs for the target.
    """
    if given is not None and fmr is not None:
        raise DataError("both a threshold and a target fmr are given", hint="give one of them")
    if isinstance(given, xr.Dataset):
        return lambda cell: _look_up(given, pairs.by, cell)
    if fmr is not None:
        known = {one.system: _supported_point(one, fmr)[0] for one in pooled_cells(pairs, cohort)}
    elif given is None:
        known = _own_thresholds(pairs)
    elif isinstance(given, Mapping):
        known = {str(system): float(value) for system, value in given.items()}
    elif isinstance(given, (int, float, np.number)):
        known = dict.fromkeys(pairs.systems, float(given))
    else:
        raise DataError(f"threshold {shown(given)}", hint="give a number, or one number per system")
    for system in pairs.systems:
        if not np.isfinite(known.get(system, np.nan)):
            if fmr is not None:
                raise DataError(
                    f"system {system!r} has no impostor pairs of the cohort {cohort!r}, so that no "
                    f"threshold has a false match rate of {fmr:g} on them",
                    hint="take another cohort, or give a threshold",
                )
            raise DataError(f"system {system!r} has no threshold", hint="give one, or a target fmr")
    if fmr is None:
        for name, part in pairs.frame.groupby("system", observed=True):
            check_unit(known[str(name)], part["distance"].to_numpy(float), f"system {name!r}")
    return lambda cell: known[cell.system]


def _look_up(thresholds: xr.Dataset, by: Sequence[str], cell: Cell) -> float:
    labels = {"system": cell.system} | dict(zip(by, cell.group, strict=False))
    point = thresholds["point"]
    try:
        value = float(point.sel({str(dim): labels[str(dim)] for dim in point.dims}))
    except KeyError:
        value = np.nan
    if not np.isfinite(value):
        cell_name = ", ".join(f"{name} {shown(value)}" for name, value in labels.items())
        raise DataError(
            f"there is no threshold for {cell_name}", hint="set one on pairs that include it"
        )
    return value


def _point(cell: Cell, fmr: float) -> float:
    """Return the largest distance at which the share of matching pairs is at most the target."""
    if not 0 < fmr < 1:
        raise DataError(f"fmr is {fmr}", hint="give a rate above 0 and below 1")
    if cell.certain:
        values, share = _shares_by_distance(cell.distance, cell.weight)
        last = int(np.searchsorted(share, fmr * (1 + 1e-12), side="right"))
    else:
        values = np.unique(cell.distance)
        last = bisect_right(
            values, fmr, key=lambda one: plain_shares_at(cell, np.array([one])).share[0]
        )
    # At none of the distances: a threshold that no pair matches at.
    return float(values[last - 1]) if last else float(np.nextafter(values[0], -np.inf))


def _shares_by_distance(distance: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return distinct distances in increasing order, and the share of pairs that match at each."""
    values, place = np.unique(distance, return_inverse=True)
    share = np.bincount(place, weight).cumsum()
    return values, share / share[-1]


def _supported_point(cell: Cell, fmr: float) -> tuple[float, Shares]:
    """Return the threshold at a target rate, and the shares there; refuse too few pairs."""
    point = _point(cell, fmr)
    shares = shares_at(cell, np.array([point]))
    if not facts_of(cell, shares)["supported"][0]:
        raise DataError(
            f"{' '.join(map(str, (cell.system, *cell.group)))}: {shares.total[0]:,.0f} impostor "
            f"pairs, equivalent to {shares.n_effective[0]:,.0f} independent ones, are too few for "
            f"a false match rate of {fmr:g}",
            hint=f"use {THREE / shares.n_effective[0]:.2g} or more, or more pairs",
        )
    return point, shares


def _set(cell: Cell, fmr: float, draw: Draw) -> dict[str, np.ndarray | float]:
    """Estimate the threshold of a cell's impostor pairs, with draws."""
    point, shares = _supported_point(cell, fmr)
    facts = {name: value[0] for name, value in facts_of(cell, shares).items()}
    values, share = _shares_by_distance(cell.distance, kind_weight(cell, point))
    # Where the rate is in truth p at the point, the target is met where these pairs say fmr²/p.
    wanted = fmr * shares.share[0] / draw(cell, shares)[:, 0]
    place = (np.searchsorted(share, wanted, side="right") - 1).clip(0, len(share) - 1)
    return {"threshold": values[place], "point": point} | facts


def _own_thresholds(pairs: Comparisons) -> dict[str, float]:
    """The threshold that the data name for each system."""
    found = {}
    for system, part in pairs.frame.groupby("system", observed=True):
        known = part["threshold"].dropna().unique()
        if len(known) != 1:
            raise DataError(
                f"system {system!r} has {len(known) or 'no'} threshold{'s' * (len(known) > 1)}",
                hint="give threshold= a number, or fmr= the false match rate to set it at",
                file=FILE,
                column="threshold",
            )
        found[str(system)] = float(known[0])
    return found
