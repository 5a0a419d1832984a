"""Differences of error rates between groups: ratios, and indices of a whole system."""

from collections.abc import Callable

import numpy as np
import xarray as xr

from causalbias.errors import DataError, shown
from causalbias.estimands.summaries import SAMPLE

REFERENCES = ("geometric mean", "best")
# What there is of an interval.
TWO_SIDED, AT_LEAST, AT_MOST, NONE = "two-sided", "at least", "at most", "none"
STACKED = "all groups"  # not a name that a factor has


def max_to_min(rates: np.ndarray) -> np.ndarray:
    """Largest rate over the smallest, over the last axis.

    Examples
    --------
    >>> float(max_to_min(np.array([0.01, 0.02, 0.04])))
    4.0
    """
    found: np.ndarray = rates.max(axis=-1) / rates.min(axis=-1)
    return found


def max_to_geometric_mean(rates: np.ndarray) -> np.ndarray:
    """Largest rate over the geometric mean, over the last axis (NIST IR 8429, 2022).

    Examples
    --------
    >>> round(float(max_to_geometric_mean(np.array([0.01, 0.02, 0.04]))), 12)
    2.0
    """
    found: np.ndarray = rates.max(axis=-1) / np.exp(np.log(rates).mean(axis=-1))
    return found


def gini(rates: np.ndarray) -> np.ndarray:
    """Gini coefficient over the last axis, corrected for the number of groups.

    ``n/(n-1) * sum_ij |x_i - x_j| / (2 n^2 mean(x))``: 0 where all are equal, 1 where one group
    has all the errors (Howard et al. 2022, arXiv 2203.05051).

    Examples
    --------
    >>> gini(np.array([[0.1, 0.1, 0.1], [0.3, 0.0, 0.0]]))
    array([0., 1.])
    """
    n = rates.shape[-1]
    apart = np.abs(rates[..., :, None] - rates[..., None, :]).sum(axis=(-2, -1))
    found: np.ndarray = apart / (2 * n * (n - 1) * rates.mean(axis=-1))
    return found


def fairness_discrepancy(fmr: np.ndarray, fnmr: np.ndarray, alpha: float = 0.5) -> np.ndarray:
    """FDR, 1 where both rates are equal in all groups (de Freitas Pereira and Marcel 2022).

    ``1 - (alpha * max|FMR_i - FMR_j| + (1 - alpha) * max|FNMR_i - FNMR_j|)``.

    Examples
    --------
    >>> float(fairness_discrepancy(np.array([0.1, 0.3]), np.array([0.2, 0.2])))
    0.9
    """
    found: np.ndarray = 1 - alpha * np.ptp(fmr, axis=-1) - (1 - alpha) * np.ptp(fnmr, axis=-1)
    return found


def inequity(fmr: np.ndarray, fnmr: np.ndarray, alpha: float = 0.5) -> np.ndarray:
    """Inequity rate, 1 where both rates are equal in all groups (Grother 2021).

    ``(max FMR / min FMR)^alpha * (max FNMR / min FNMR)^(1 - alpha)``.

    Examples
    --------
    >>> float(inequity(np.array([0.01, 0.04]), np.array([0.1, 0.1])))
    2.0
    """
    found: np.ndarray = max_to_min(fmr) ** alpha * max_to_min(fnmr) ** (1 - alpha)
    return found


def garbe(fmr: np.ndarray, fnmr: np.ndarray, alpha: float = 0.5) -> np.ndarray:
    """GARBE, 0 where both rates are equal in all groups: a mean of their Gini coefficients.

    Howard et al. (2022), arXiv 2203.05051.

    Examples
    --------
    >>> float(garbe(np.array([0.3, 0.0, 0.0]), np.array([0.1, 0.1, 0.1])))
    0.5
    """
    found: np.ndarray = alpha * gini(fmr) + (1 - alpha) * gini(fnmr)
    return found


# By name: the function of one rate, and whether it is a ratio that a group without errors unbounds.
ONE: dict[str, tuple[Callable[[np.ndarray], np.ndarray], bool]] = {
    "max/min": (max_to_min, True),
    "max/geometric mean": (max_to_geometric_mean, True),
    "Gini": (gini, False),
}
BOTH: dict[str, tuple[Callable[[np.ndarray, np.ndarray, float], np.ndarray], bool]] = {
    "FDR": (fairness_discrepancy, False),
    "inequity rate": (inequity, True),
    "GARBE": (garbe, False),
}


def rate_ratios(rates: xr.Dataset, *, to: str = "geometric mean") -> xr.Dataset:
    """Each group's error rate over the groups' geometric mean, or over the best group's.

    Parameters
    ----------
    rates : Dataset
        From `error_rates`.
    to : {"geometric mean", "best"}
        best: the group with the lowest share of errors, whose ratio is 1. Chosen on the same
        pairs, its rate is likelier too low than too high.

    Returns
    -------
    Dataset
        ``ratio`` (chain, draw, rate_of, system, *by). Beside it, without chain and draw:
        ``supported``: whether all rates that the ratio is of are not below what their pairs
        support; if not, tables give no estimate, and of the interval what there is: ``interval``
        is "two-sided", "at least" (a rate that it is divided by may be as good as none: a lower
        end at `prob`, one-sided), "at most" (the group's own may), or "none"; ``n``, ``errors``,
        ``n_effective``. Draws of unsupported rates rise and fall together, so that a lower end
        holds whatever they are.

    Raises
    ------
    DataError
        If there is one group only.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=20, people=None, levels={"pose": [-3, 0, 3]}, impostors=20)
    >>> ratios = cb.rate_ratios(cb.error_rates(study, by="race", fmr=0.1), to="best")
    >>> bool((ratios["ratio"].sel(rate_of="FMR").median("draw").min("race") == 1).all())
    True
    """
    if to not in REFERENCES:
        raise DataError(f"{shown(to)} is no reference", mend=f"use one of {', '.join(REFERENCES)}")
    by = _groups(rates)
    rates = _together(rates, by)
    rate, there = rates["rate"], rates["n"] > 0
    supported = rates["supported"] | ~there
    reference: xr.DataArray
    if to == "best":
        seen = (rates["errors"] / rates["n"]).where(there).stack({STACKED: by})
        # Of groups that tie for the best, the first in order.
        best = seen.fillna(np.inf).argmin(STACKED)
        stacked = rates[["rate", "supported"]].stack({STACKED: by}).isel({STACKED: best})
        reference = stacked["rate"].drop_vars([STACKED, *by])
        sure = stacked["supported"].drop_vars([STACKED, *by]) & there.any(by)
        others = sure.broadcast_like(supported)
    else:
        reference = xr.apply_ufunc(np.exp, xr.apply_ufunc(np.log, rate).mean(by))
        missing = (~supported).sum(by)
        sure, others = missing == 0, (missing - ~supported) == 0
    ratio = (rate / reference).transpose(*rate.dims)
    known = (supported & sure).transpose(*supported.dims)
    interval = xr.where(others, AT_MOST, NONE).where(
        ~supported, xr.where(others, TWO_SIDED, AT_LEAST)
    )
    interval = interval.where(~known, TWO_SIDED).transpose(*supported.dims).astype(str)
    facts = {name: rates[name] for name in ("n", "errors", "n_effective") if name in rates}
    return xr.Dataset(
        {"ratio": ratio, "interval": interval, "supported": known} | facts,
        attrs=rates.attrs | {"least": 0.0, "scale": "ratio", "outcome": f"error rate over the {to}",
                             "estimand": f"ratio of error rates to the {to}"},
    )  # fmt: skip


def _together(rates: xr.Dataset, by: list[str]) -> xr.Dataset:
    """Rates whose unsupported ones rise and fall together, draw by draw.

    What an average of several rates may be, of which too little is known, is then what it would be
    if all were as high as they may be, or as low: drawn apart, their ends would cancel.
    """
    rate = rates["rate"].transpose(*SAMPLE, "rate_of", "system", *by)
    values = rate.values.copy()
    unsure = (~rates["supported"] & (rates["n"] > 0)).transpose("rate_of", "system", *by).values
    for kind, system in np.ndindex(unsure.shape[:2]):
        cells = np.argwhere(unsure[kind, system])
        if len(cells) < 2:
            continue
        columns = [(Ellipsis, kind, system, *map(int, cell)) for cell in cells]
        order = np.argsort(np.argsort(values[columns[0]].ravel(), kind="stable"), kind="stable")
        for column in columns[1:]:
            own = values[column]
            values[column] = np.sort(own.ravel())[order].reshape(own.shape)
    return rates.assign(rate=rate.copy(data=values).transpose(*rates["rate"].dims))


def fairness_indices(rates: xr.Dataset, *, alpha: float = 0.5) -> xr.Dataset:
    """Indices of how far a system's error rates differ between groups, each with its draws.

    Every index of noisy rates is further from equality than that of the true ones, the more so the
    fewer the pairs. `if_equal` is where it would lie had all groups the same rate, and these
    numbers of pairs: an index near that says nothing about the system.

    Parameters
    ----------
    rates : Dataset
        From `error_rates`; indices of both rates need genuine and impostor pairs in every group.
    alpha : float
        Weight of false matches against false non-matches in FDR, inequity rate and GARBE.

    Returns
    -------
    Dataset
        ``index_value`` (chain, draw, index, system); `index`: "FMR max/min", "FMR max/geometric
        mean", "FMR Gini", the same of FNMR, "FDR", "inequity rate", "GARBE" (see the functions of
        this module). ``if_equal`` (index, system). ``supported`` (index, system): whether all the
        rates are; if not, tables give no estimate, and indices that are ratios have an interval
        that is "at least" (see `rate_ratios`), of the group with the largest share of errors over
        the one with the smallest, or over the geometric mean. ``groups`` (index, system): how many
        are compared.

    Raises
    ------
    DataError
        If there is one group only, or alpha is not from 0 to 1.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=20, people=None, levels={"pose": [-3, 0, 3]}, impostors=20)
    >>> found = cb.fairness_indices(cb.error_rates(study, by="race", fmr=0.1))
    >>> bool((found["index_value"].sel(index="FMR max/min") >= 1).all())
    True
    """
    if not 0 <= alpha <= 1:
        raise DataError(f"alpha is {alpha}", mend="give a weight from 0 to 1")
    by = _groups(rates)
    stacked = _together(rates, by).stack({STACKED: by})
    parts = []
    for system in rates["system"].values:
        own = {}
        for kind in rates["rate_of"].values:
            one = stacked.sel(system=system, rate_of=kind, drop=True)
            own[str(kind)] = one.isel({STACKED: np.flatnonzero(one["n"] > 0)})
        parts.append(_indices(own, alpha).expand_dims(system=[system]))
    found = xr.concat(parts, "system").transpose("chain", "draw", "index", "system")
    return found.assign_attrs(
        rates.attrs, scale="index", outcome="index", alpha=alpha, least=1.0,
        estimand="differences of error rates between groups",
    )  # fmt: skip


def _indices(own: dict[str, xr.Dataset], alpha: float) -> xr.Dataset:
    """Indices of one system."""
    values, equal, interval, known, groups = {}, {}, {}, {}, {}

    def add(
        name: str, ratio: bool, parts: list[xr.Dataset], index: Callable[..., np.ndarray]
    ) -> None:
        drawn = [one["rate"].transpose(..., STACKED).values for one in parts]
        supported = all(bool(one["supported"].all()) for one in parts)
        held = drawn
        if ratio and not supported:
            held = [_extremes(one, rates) for one, rates in zip(parts, drawn, strict=True)]
        values[name] = index(*held)
        equal[name] = float(np.median(index(*map(_levelled, drawn)))) if supported else np.nan
        interval[name] = AT_LEAST if ratio and not supported else TWO_SIDED
        known[name] = supported
        groups[name] = parts[0].sizes[STACKED]

    for kind, one in own.items():
        if one.sizes[STACKED] > 1:
            for name, (index, ratio) in ONE.items():
                add(f"{kind} {name}", ratio, [one], index)
    kinds = list(own.values())
    if len(kinds) == 2 and kinds[0].indexes[STACKED].equals(kinds[1].indexes[STACKED]):
        for name, (both, ratio) in BOTH.items():
            add(name, ratio, kinds, lambda *rates, both=both: both(*rates, alpha))
    coords = {"index": list(values)} | {dim: own[next(iter(own))][dim] for dim in SAMPLE}
    return xr.Dataset(
        {
            "index_value": ((*SAMPLE, "index"), np.stack(list(values.values()), axis=-1)),
            "if_equal": ("index", list(equal.values())),
            "interval": ("index", np.array(list(interval.values()))),
            "supported": ("index", list(known.values())),
            "groups": ("index", list(groups.values())),
        },
        coords,
    )


def _extremes(one: xr.Dataset, rates: np.ndarray) -> np.ndarray:
    """Draws (..., group) in which no group is further out than those that were seen to be.

    The largest of many uncertain rates is large in every draw, and the smallest small, were all
    rates equal: an end of an interval would accuse by chance. So other groups' draws are kept
    between those of the groups with the largest and the smallest share of errors; and a largest
    share that is not supported itself says nothing.
    """
    share = (one["errors"] / one["n"]).values
    # Of groups without errors, the one with most comparisons is known to be the best.
    low = int(np.lexsort((-one["n_effective"].values, share))[0])
    high = int(share.argmax())
    if not bool(one["supported"].values[high]):
        return np.ones_like(rates)
    bottom, top = rates[..., [low]], np.maximum(rates[..., [high]], rates[..., [low]])
    return np.clip(rates, bottom, top)


def _levelled(draws: np.ndarray) -> np.ndarray:
    """Draws moved so that all groups have one median, their scatter about it kept."""
    median = np.median(draws, axis=(0, 1))
    levelled: np.ndarray = draws * (np.exp(np.log(median).mean()) / median)
    return levelled


def _groups(rates: xr.Dataset) -> list[str]:
    by = [str(dim) for dim in rates["rate"].dims if dim not in (*SAMPLE, "rate_of", "system")]
    if int(np.prod([rates.sizes[dim] for dim in by])) < 2:
        raise DataError("rates of one group", mend="give by= a factor with two or more levels")
    return by
