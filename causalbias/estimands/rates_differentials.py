"""Differences of error rates between groups: ratios, and indices of a whole system."""

from collections.abc import Callable

import numpy as np
import xarray as xr

from causalbias.errors import DataError, shown
from causalbias.estimands.summaries import SAMPLE

REFERENCES = ("geometric mean", "best")
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
        ``ratio`` (chain, draw, rate_of, system, *by); ``bounded`` and ``supported`` (rate_of,
        system, *by): False where a rate that the ratio is of is below what its pairs support, and
        tables then give an infinite interval and no estimate; ``n``.

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
    rate, there = rates["rate"], rates["n"] > 0
    reference: xr.DataArray
    if to == "best":
        seen = (rates["errors"] / rates["n"]).stack({STACKED: by})
        # Of groups that tie for the best, the first by label.
        best = seen.fillna(np.inf).argmin(STACKED)
        stacked = rates[["rate", "supported"]].stack({STACKED: by}).isel({STACKED: best})
        reference = stacked["rate"].drop_vars([STACKED, *by])
        sure = stacked["supported"].drop_vars([STACKED, *by])
    else:
        reference = xr.apply_ufunc(np.exp, xr.apply_ufunc(np.log, rate).mean(by))
        sure = (rates["supported"] | ~there).all(by)
    ratio = (rate / reference).transpose(*rate.dims)
    known = (rates["supported"] & sure) | ~there
    return xr.Dataset(
        {"ratio": ratio, "bounded": known, "supported": known, "n": rates["n"]},
        attrs=rates.attrs | {"least": 0.0, "scale": "ratio", "outcome": f"error rate over the {to}",
                             "estimand": f"ratio of error rates to the {to}"},
    )  # fmt: skip


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
        rates are; if not, tables give no estimate, and an infinite interval where the index is
        not ``bounded``. ``groups`` (index, system): how many are compared.

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
    stacked = rates.stack({STACKED: by})
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
    values, equal, bounded, known, groups = {}, {}, {}, {}, {}

    def add(
        name: str, ratio: bool, parts: list[xr.Dataset], index: Callable[..., np.ndarray]
    ) -> None:
        drawn = [one["rate"].transpose(..., STACKED).values for one in parts]
        supported = all(bool(one["supported"].all()) for one in parts)
        values[name] = index(*drawn)
        equal[name] = float(np.median(index(*map(_levelled, drawn)))) if supported else np.nan
        bounded[name], known[name] = supported or not ratio, supported
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
            "bounded": ("index", list(bounded.values())),
            "supported": ("index", list(known.values())),
            "groups": ("index", list(groups.values())),
        },
        coords,
    )


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
