"""Differences of error rates between groups: ratios, and indices of a system."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike
from scipy.special import ndtri
from scipy.stats import rankdata

from causalbias.arguments import as_draws, described
from causalbias.draws.estimate import Estimate, check_names, estimate
from causalbias.draws.summaries import INDEX, RATE_RATIO, SAMPLE
from causalbias.errors import DataError, shown

REFERENCES = ("geometric mean", "best")
# What there is of an interval.
TWO_SIDED, AT_LEAST, AT_MOST, NONE = "two-sided", "at least", "at most", "none"
STACKED = "all groups"  # not a name that a factor has


def _of_groups(rates: ArrayLike, what: str = "the rates") -> np.ndarray:
    """Rates (..., groups) as an array; missing ones are NaN.

    Raises
    ------
    DataError
        If they are no numbers from 0 to 1, or of fewer than two groups.
    """
    try:
        found = np.asarray(rates, float)
    except (TypeError, ValueError):
        raise DataError(f"{what} are no numbers", hint="give shares from 0 to 1") from None
    if found.ndim == 0 or found.shape[-1] < 2:
        raise DataError(f"{what} are of one group or none", hint="give those of two or more")
    if ((found < 0) | (found > 1)).any():
        raise DataError(
            f"{what} have {found[(found < 0) | (found > 1)][0]:g} among them",
            hint="give shares from 0 to 1, not percentages or counts",
        )
    return found


def _of_both(fmr: ArrayLike, fnmr: ArrayLike, alpha: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Both rates of the same groups in the same order, and the weight of the first.

    Raises
    ------
    DataError
        As `_of_groups`; if groups differ in number or order, or `alpha` is no share.
    """
    if isinstance(alpha, str | bool) or not 0 <= alpha <= 1:
        raise DataError(f"alpha is {alpha}", hint="give the weight of false matches, from 0 to 1")
    labels = [one.index for one in (fmr, fnmr) if isinstance(one, pd.Series)]
    first, second = _of_groups(fmr, "the FMR"), _of_groups(fnmr, "the FNMR")
    if first.shape[-1] != second.shape[-1] or (
        len(labels) == 2 and not labels[0].equals(labels[1])
    ):
        raise DataError(
            "the FMR and the FNMR are not of the same groups in the same order",
            hint="give one of each for every group, in one order",
        )
    return first, second, float(alpha)


def max_to_min(rates: ArrayLike) -> np.ndarray:
    """Largest rate over the smallest, over the last axis.

    `rates` (..., groups) are shares from 0 to 1; so they are in all indices of rates.

    Examples
    --------
    >>> float(max_to_min(np.array([0.01, 0.02, 0.04])))
    4.0
    """
    rates = _of_groups(rates)
    found: np.ndarray = rates.max(axis=-1) / rates.min(axis=-1)
    return found


def max_to_geometric_mean(rates: ArrayLike) -> np.ndarray:
    """Largest rate over the geometric mean, over the last axis (NIST IR 8429, 2022).

    Examples
    --------
    >>> round(float(max_to_geometric_mean(np.array([0.01, 0.02, 0.04]))), 12)
    2.0
    """
    rates = _of_groups(rates)
    found: np.ndarray = rates.max(axis=-1) / np.exp(np.log(rates).mean(axis=-1))
    return found


def gini(rates: ArrayLike) -> np.ndarray:
    """Gini coefficient over the last axis, corrected for the number of groups.

    ``n/(n-1) * sum_ij |x_i - x_j| / (2 n^2 mean(x))``: 0 where all are equal, 1 where one group
    has all the errors (Howard et al. 2022, arXiv 2203.05051).

    Examples
    --------
    >>> gini(np.array([[0.1, 0.1, 0.1], [0.3, 0.0, 0.0]]))
    array([0., 1.])
    """
    rates = _of_groups(rates)
    n = rates.shape[-1]
    apart = np.abs(rates[..., :, None] - rates[..., None, :]).sum(axis=(-2, -1))
    found: np.ndarray = apart / (2 * n * (n - 1) * rates.mean(axis=-1))
    return found


def fairness_discrepancy(fmr: ArrayLike, fnmr: ArrayLike, alpha: float = 0.5) -> np.ndarray:
    """FDR, 1 where both rates are equal in all groups (de Freitas Pereira and Marcel 2022).

    ``1 - (alpha * max|FMR_i - FMR_j| + (1 - alpha) * max|FNMR_i - FNMR_j|)``.

    Examples
    --------
    >>> float(fairness_discrepancy(np.array([0.1, 0.3]), np.array([0.2, 0.2])))
    0.9
    """
    fmr, fnmr, alpha = _of_both(fmr, fnmr, alpha)
    found: np.ndarray = 1 - alpha * np.ptp(fmr, axis=-1) - (1 - alpha) * np.ptp(fnmr, axis=-1)
    return found


def inequity(fmr: ArrayLike, fnmr: ArrayLike, alpha: float = 0.5) -> np.ndarray:
    """Inequity rate, 1 where both rates are equal in all groups (Grother 2021).

    ``(max FMR / min FMR)^alpha * (max FNMR / min FNMR)^(1 - alpha)``.

    Examples
    --------
    >>> float(inequity(np.array([0.01, 0.04]), np.array([0.1, 0.1])))
    2.0
    """
    fmr, fnmr, alpha = _of_both(fmr, fnmr, alpha)
    found: np.ndarray = max_to_min(fmr) ** alpha * max_to_min(fnmr) ** (1 - alpha)
    return found


def garbe(fmr: ArrayLike, fnmr: ArrayLike, alpha: float = 0.5) -> np.ndarray:
    """GARBE, 0 where both rates are equal in all groups: a mean of their Gini coefficients.

    Howard et al. (2022), arXiv 2203.05051.

    Examples
    --------
    >>> float(garbe(np.array([0.3, 0.0, 0.0]), np.array([0.1, 0.1, 0.1])))
    0.5
    """
    fmr, fnmr, alpha = _of_both(fmr, fnmr, alpha)
    found: np.ndarray = alpha * gini(fmr) + (1 - alpha) * gini(fnmr)
    return found


def rate_ratios(rates: xr.Dataset, *, to: str = "geometric mean") -> Estimate:
    """Compute ratios of error rates to the geometric mean of all groups, or to the best group.

    Parameters
    ----------
    rates : Dataset
        Result of `error_rates`.
    to : {"geometric mean", "best"}
        "best" is the group with the lowest share of errors, whose ratio is 1. As it is chosen on
        the same pairs, its rate is biased downwards, and upper limits of ratios are too high; lower
        limits are adjusted for the choice (see `lower_bound`).

    Returns
    -------
    Estimate
        ``ratio`` (chain, draw, rate_of, system, *by). Variables without chain and draw are
        ``supported``, whether there are enough errors for all rates of the ratio, ``interval``,
        ``n``, ``errors`` and ``n_effective``. If a ratio is not supported, tables have no estimate,
        and ``interval`` is "at least" (the denominator may be almost zero: a one-sided lower limit
        of probability `prob`), "at most" (the numerator may be), or "none"; otherwise it is
        "two-sided". Draws of rates that are not supported are perfectly rank-correlated, so that
        lower limits hold for all values of these rates.

        With ``to="best"``, there is also ``lower_bound`` (chain, draw, ...), whose quantile q is
        the lower limit of probability 1 - q of the ratio to the lowest of all rates. It is
        simultaneous over the choice of the best group (Bonferroni, with as many comparisons as
        groups). If groups have equal rates, the limit of each group is above 1 with at most the
        nominal probability; it is not simultaneous over groups (for that, see max/min of
        `fairness_indices`).

    Raises
    ------
    DataError
        If there is a single group.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=20, people=None, levels={"pose": [-3, 0, 3]}, impostors=20)
    >>> ratios = cb.rates.rate_ratios(cb.error_rates(study, by="race", fmr=0.1), to="best")
    >>> bool((ratios["ratio"].sel(rate_of="FMR").median("draw").min("race") == 1).all())
    True
    """
    if to not in REFERENCES:
        raise DataError(
            f"{shown(to)} is not a reference", hint=f"use one of {', '.join(REFERENCES)}"
        )
    rates = with_dims(rates)
    by = groups_of(rates)
    separate, rates = rates, _with_unsupported_aligned(rates, by)
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
    variables = {"ratio": ratio, "interval": interval, "supported": known} | facts
    if to == "best":
        variables["lower_bound"] = _above_lowest(separate, by, best).transpose(*rate.dims)
    check_names(by, variables)
    variables["ratio"] = ratio.assign_attrs(quantity=RATE_RATIO)
    return estimate(
        xr.Dataset(variables, attrs=rates.attrs),
        of=[rates],
        variable="ratio",
        figure="rate_differentials",
        scale="ratio",
        outcome=f"error rate over the {to}",
        estimand=f"ratio of error rates to the {to}",
    )


def _with_unsupported_aligned(rates: xr.Dataset, by: list[str]) -> xr.Dataset:
    """Make the draws of rates that are not supported perfectly rank-correlated.

    The limits of an average of several such rates are then those if all rates are at their upper or
    lower limits; with independent draws, extremes would cancel.
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


def fairness_indices(rates: xr.Dataset, *, alpha: float = 0.5) -> Estimate:
    """Compute indices of the differences between groups in a system's error rates.

    Every index of estimated rates is biased away from equality, and the bias increases as the
    number of pairs decreases. `if_equal` is the median of the index if all groups had the same rate
    and these numbers of pairs; an index near it is no evidence of a difference.

    Parameters
    ----------
    rates : Dataset
        Result of `error_rates`. Indices of both rates need genuine and impostor pairs in every
        group.
    alpha : float
        Weight of false matches against false non-matches in FDR, inequity rate and GARBE.

    Returns
    -------
    Estimate
        ``index_value`` (chain, draw, index, system); `index`: "FMR max/min", "FMR max/geometric
        mean", "FMR Gini", the same of FNMR, "FDR", "inequity rate", "GARBE" (see the functions of
        this module). ``if_equal`` (index, system). ``supported`` (index, system): whether all rates
        are supported; if not, tables have no estimate, and the interval of indices that are ratios
        is "at least" (see `rate_ratios`). ``groups`` (index, system): number of groups.
        ``lower_bound`` (chain, draw, index, system), for indices that are ratios: its quantile q is
        their lower limit of probability 1 - q, which tables also use in two-sided intervals. As the
        groups with the largest and the smallest rate are chosen on the same data, the limit is
        simultaneous (Bonferroni): for max/min over all ordered pairs of groups, for max/geometric
        mean over all groups, and for the inequity rate over the pairs of both rates. If groups have
        equal rates, it is above 1 with at most the nominal probability. ``plug_in`` (index,
        system): the index of the shares that were counted, as papers report it, whatever the number
        of errors; it is infinite if the smallest share is zero.

    Raises
    ------
    DataError
        If there is a single group, or alpha is not from 0 to 1.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=20, people=None, levels={"pose": [-3, 0, 3]}, impostors=20)
    >>> found = cb.rates.fairness_indices(cb.error_rates(study, by="race", fmr=0.1))
    >>> bool((found["index_value"].sel(index="FMR max/min") >= 1).all())
    True
    """
    if not 0 <= alpha <= 1:
        raise DataError(f"alpha is {alpha}", hint="give a weight from 0 to 1")
    rates = with_dims(rates)
    by = groups_of(rates)
    # Lower limits are computed from the original draws of the rates.
    rates = rates.assign(separate=rates["rate"])
    stacked = _with_unsupported_aligned(rates, by).stack({STACKED: by})
    parts = []
    for system in rates["system"].values:
        own = {}
        for kind in rates["rate_of"].values:
            one = stacked.sel(system=system, rate_of=kind, drop=True)
            own[str(kind)] = one.isel({STACKED: np.flatnonzero(one["n"] > 0)})
        parts.append(_indices(own, alpha).expand_dims(system=[system]))
    found = xr.concat(parts, "system").transpose("chain", "draw", "index", "system")
    found["index_value"].attrs["quantity"] = INDEX
    return estimate(
        found.assign_attrs(rates.attrs),
        of=[rates],
        variable="index_value",
        figure="forest",
        scale="index",
        outcome="index",
        alpha=alpha,
        estimand="differences of error rates between groups",
    )


def _indices(own: dict[str, xr.Dataset], alpha: float) -> xr.Dataset:
    """Compute the indices of a system."""
    values, bounds, equal, interval, known, groups, counted = {}, {}, {}, {}, {}, {}, {}

    def add(name: str, parts: list[xr.Dataset], index: Index, lower: Index | None) -> None:
        drawn, separate = (
            [one[of].transpose(..., STACKED).values for one in parts] for of in ("rate", "separate")
        )
        each = [one["supported"].values for one in parts]
        supported = all(bool(one.all()) for one in each)
        values[name] = index(*drawn)
        bounds[name] = (
            np.full_like(values[name], np.nan) if lower is None else lower(*separate, *each)
        )
        equal[name] = float(np.median(index(*map(levelled, drawn)))) if supported else np.nan
        interval[name] = TWO_SIDED if supported or lower is None else AT_LEAST
        known[name] = supported
        with np.errstate(divide="ignore", invalid="ignore"):  # of no errors at all
            counted[name] = float(index(*((one["errors"] / one["n"]).values for one in parts)))
        groups[name] = parts[0].sizes[STACKED]

    for kind, one in own.items():
        if one.sizes[STACKED] > 1:
            for name, (index, lower) in ONE.items():
                add(f"{kind} {name}", [one], index, lower)
    kinds = list(own.values())
    if len(kinds) == 2 and kinds[0].indexes[STACKED].equals(kinds[1].indexes[STACKED]):
        for name, (index, lower) in BOTH.items():
            weighed = None if lower is None else partial(lower, alpha=alpha)
            add(name, kinds, partial(index, alpha=alpha), weighed)
    coords = {"index": list(values)} | {dim: own[next(iter(own))][dim] for dim in SAMPLE}
    return xr.Dataset(
        {
            "index_value": ((*SAMPLE, "index"), np.stack(list(values.values()), axis=-1)),
            "lower_bound": ((*SAMPLE, "index"), np.stack(list(bounds.values()), axis=-1)),
            "if_equal": ("index", list(equal.values())),
            "interval": ("index", np.array(list(interval.values()))),
            "supported": ("index", list(known.values())),
            "plug_in": ("index", list(counted.values())),
            "groups": ("index", list(groups.values())),
        },
        coords,
    )


def _above_lowest(rates: xr.Dataset, by: list[str], best: xr.DataArray) -> xr.DataArray:
    """Compute lower limits of ratios of groups' rates to the lowest; 1 for the best group."""
    stacked = rates[["rate", "n"]].stack({STACKED: by}).transpose(..., STACKED)
    rate = stacked["rate"].transpose(*SAMPLE, "rate_of", "system", STACKED)
    found = np.full(rate.shape, np.nan)
    there = (stacked["n"] > 0).transpose("rate_of", "system", STACKED).values
    lowest = best.transpose("rate_of", "system").values
    for kind, system in np.ndindex(there.shape[:2]):
        cells = np.flatnonzero(there[kind, system])
        for at, cell in enumerate(cells):
            contrasts = _pairs(len(cells), at)
            drawn = rate.values[:, :, kind, system][..., cells]
            if cell == lowest[kind, system] or not len(contrasts):
                found[:, :, kind, system, cell] = 1.0
            else:
                ends = lower_ends(drawn, contrasts, len(cells))
                found[:, :, kind, system, cell] = np.exp(ends.max(axis=0))
    return rate.copy(data=found).unstack(STACKED).reindex({dim: rates[dim] for dim in by})


def _pairs(n: int, *firsts: int) -> np.ndarray:
    """Make contrasts of all ordered pairs of n groups, or of some groups with each other one."""
    unit = np.eye(n)
    rows = [unit[g] - unit[h] for g in firsts or range(n) for h in range(n) if g != h]
    return np.array(rows).reshape(-1, n)


def lower_ends(
    rates: np.ndarray,
    contrasts: np.ndarray,
    comparisons: int,
    supported: np.ndarray | None = None,
) -> np.ndarray:
    """Compute lower limits of contrasts of log rates, for as many probabilities as draws.

    The limits are computed from the limits of the rates' intervals (MOVER; Zou and Donner 2008,
    Statistics in Medicine 27), with the error probability divided by the number of comparisons
    (Bonferroni) and with the correlation of the rates' draws. There are too few draws of a contrast
    to use its quantiles this far in the tails.

    Parameters
    ----------
    rates : ndarray (chain, draw, group)
        Draws of the rates.
    contrasts : ndarray (contrast, group)
        Coefficients of the contrasts.
    comparisons : int
        Number of comparisons over which the limits are simultaneous.
    supported : ndarray of bool (group,), optional
        Groups for which it is False and whose coefficients have the same sign are taken as
        perfectly correlated, so that their errors do not cancel.

    Returns
    -------
    ndarray (contrast, chain, draw)
        The quantile q of its draws is the lower limit of probability 1 - q.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> rates = np.exp(rng.normal([0.0, 0.0], 0.1, (1, 4000, 2)))
    >>> ends = lower_ends(rates, np.array([[1.0, -1.0]]), 1)
    >>> round(float(np.quantile(ends, 0.05)), 1)  # 1.64 standard deviations of the difference
    -0.2
    """
    logs = np.log(rates).reshape(-1, rates.shape[-1])
    size = len(logs)
    level = np.minimum((np.arange(size) + 0.5) / size / comparisons, 0.5)
    below, above = _reach(logs, level), _reach(-logs, level)
    scores = ndtri((rankdata(logs, axis=0) - 0.5) / size)
    correlation = np.atleast_2d(np.corrcoef(scores.T))
    unsure = np.zeros(rates.shape[-1], bool) if supported is None else ~supported
    middle = np.median(logs, axis=0)
    ends = []
    for contrast in contrasts:
        used = np.flatnonzero(contrast)
        own = contrast[used]
        reach = own * np.where(own > 0, below[:, used], above[:, used])
        alike = np.outer(unsure[used], unsure[used]) & (np.outer(own, own) > 0)
        between = np.where(alike, 1.0, correlation[np.ix_(used, used)])
        square = ((reach @ between) * reach).sum(axis=1)
        ends.append(middle[used] @ own - np.sqrt(np.maximum(square, 0)))
    return np.array(ends).reshape(len(contrasts), *rates.shape[:-1])


def _reach(values: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Compute the distances of quantiles of columns from their medians, (level, column).

    Beyond the fifth lowest draw, they are extrapolated by a normal tail.
    """
    known = np.maximum(level, min(4.5 / len(values), 0.25))
    far = np.median(values, axis=0) - np.quantile(values, known, axis=0)
    with np.errstate(invalid="ignore"):
        further = np.where(level < known, ndtri(level) / ndtri(known), 1.0)
    found: np.ndarray = np.maximum(far * further[:, None], 0)
    return found


def lower_max_to_min(rates: np.ndarray, supported: np.ndarray, families: int = 1) -> np.ndarray:
    """Compute lower limits of `max_to_min` (chain, draw), simultaneous over ordered pairs."""
    contrasts = _pairs(rates.shape[-1])
    ends = lower_ends(rates, contrasts, families * len(contrasts), supported).max(axis=0)
    found: np.ndarray = np.exp(np.maximum(ends, 0))
    return found


def lower_max_to_geometric_mean(rates: np.ndarray, supported: np.ndarray) -> np.ndarray:
    """Compute lower limits of `max_to_geometric_mean` (chain, draw), simultaneous over groups."""
    n = rates.shape[-1]
    ends = lower_ends(rates, np.eye(n) - 1 / n, n, supported).max(axis=0)
    found: np.ndarray = np.exp(np.maximum(ends, 0))
    return found


def lower_inequity(
    fmr: np.ndarray,
    fnmr: np.ndarray,
    supported_fmr: np.ndarray,
    supported_fnmr: np.ndarray,
    alpha: float = 0.5,
) -> np.ndarray:
    """Compute lower limits of `inequity` (chain, draw), simultaneous over pairs of both rates."""
    false, missed = (
        lower_max_to_min(fmr, supported_fmr, 2),
        lower_max_to_min(fnmr, supported_fnmr, 2),
    )
    found: np.ndarray = false**alpha * missed ** (1 - alpha)
    return found


type Index = Callable[..., np.ndarray]
# By name: the function of one rate, and of a ratio, which a group without errors unbounds, that of
# its lower ends.
ONE: dict[str, tuple[Index, Index | None]] = {
    "max/min": (max_to_min, lower_max_to_min),
    "max/geometric mean": (max_to_geometric_mean, lower_max_to_geometric_mean),
    "Gini": (gini, None),
}
BOTH: dict[str, tuple[Index, Index | None]] = {
    "FDR": (fairness_discrepancy, None),
    "inequity rate": (inequity, lower_inequity),
    "GARBE": (garbe, None),
}


def levelled(draws: np.ndarray) -> np.ndarray:
    """Shift draws so that all groups have the same median."""
    median = np.median(draws, axis=(0, 1))
    levelled: np.ndarray = draws * (np.exp(np.log(median).mean()) / median)
    return levelled


RATES = ("rate", "n", "errors", "supported")


def with_dims(rates: xr.Dataset) -> xr.Dataset:
    """The rates with the dims of systems and kinds of error, of which one may have been chosen.

    Raises
    ------
    DataError
        If these are no draws of rates.
    """
    rates = as_draws(rates)
    if not {*RATES, *SAMPLE} <= {*rates.data_vars, *rates.dims}:
        raise DataError(
            f"error rates are needed here, and {described(rates)} was given",
            hint="give what cb.error_rates returned",
        )
    for dim in ("system", "rate_of"):
        if dim not in rates["rate"].dims:
            if dim not in rates.coords:
                raise DataError(
                    f"the rates have no {dim!r}",
                    hint=f"give what error_rates returns, or choose by rates.sel({dim}=...)",
                )
            rates = rates.expand_dims(dim)
    return rates


def groups_of(rates: xr.Dataset, name: str = "rate") -> list[str]:
    """Return the factors of the groups of rates; those of a single group are refused."""
    by = [str(dim) for dim in rates[name].dims if dim not in (*SAMPLE, "rate_of", "system")]
    if int(np.prod([rates.sizes[dim] for dim in by])) < 2:
        raise DataError(
            "there are rates of a single group", hint="give by= a factor with two or more levels"
        )
    return by
