"""Verification accuracy by group, and the indices of papers that report it (RFW)."""

from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import generator, whole_in
from causalbias.draws.estimate import Estimate, check_names, estimate
from causalbias.draws.summaries import INDEX, SAMPLE
from causalbias.errors import DataError
from causalbias.rates.assembly import THREE
from causalbias.rates.comparisons import Comparisons, comparisons
from causalbias.rates.differentials import (
    AT_LEAST,
    STACKED,
    TWO_SIDED,
    Index,
    groups_of,
    levelled,
    lower_max_to_min,
    max_to_min,
)
from causalbias.rates.error_rates import error_rates

FOLDS = 1  # stream of random numbers


def sd_of(errors: np.ndarray) -> np.ndarray:
    """STD of papers on RFW: standard deviation (n - 1) of groups' accuracies, over the last axis.

    Wang and Deng (2020), CVPR, where it is in percent.

    Examples
    --------
    >>> round(100 * float(sd_of(1 - np.array([0.9737, 0.9568, 0.9455, 0.9387]))), 2)
    1.53
    """
    found: np.ndarray = errors.std(axis=-1, ddof=1)
    return found


def verification_accuracy(
    data: xr.DataTree | pd.DataFrame | Comparisons,
    by: str | list[str],
    *,
    folds: int = 10,
    draws: int = 1000,
    random_seed: int = 0,
) -> Estimate:
    """Estimate each group's accuracy at its own best threshold, by the protocol of LFW and RFW.

    The genuine and the impostor pairs of a group are dealt at random into `folds`, since rows of a
    file may be sorted by score. Pairs of a fold are judged at the threshold that is best on the
    other folds. Accuracy is
    ``1 - (FMR + FNMR) / 2``, so that genuine and impostor pairs have equal weight whatever their
    numbers; with as many of each, as in RFW, it is the share of right answers.

    Every group has a threshold of its own, as papers do it. No system in use knows whom it sees:
    at one threshold for all, groups differ more (see `error_rates`).

    Parameters
    ----------
    data, by
        As in `error_rates`; impostor pairs are of two persons of one group.
    folds : int
        From 2. Of a group with fewer pairs of a kind, as many as these.
    draws, random_seed
        As in `error_rates`. The draws allow for shared persons, and take the thresholds as given.

    Returns
    -------
    Estimate
        ``accuracy`` (chain, draw, system, *by). Without chain and draw: ``plug_in``, the accuracy
        that was counted, as papers report it; ``errors``, ``n_genuine``, ``n_impostor``; and
        ``threshold``, the mean over folds, in units of the distance. Groups with fewer than two
        genuine or two impostor pairs have none.

    Raises
    ------
    DataError
        As `error_rates`.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=20, people=None, levels={"pose": [-3, 0, 3]}, impostors=20)
    >>> accuracy = cb.rates.verification_accuracy(study, "race")
    >>> bool((accuracy["plug_in"] > 0.5).all())
    True
    """
    folds = whole_in(folds, "folds", 2)
    pairs = comparisons(data, by)
    moved, used = _judged(pairs, folds, generator(random_seed, FOLDS))
    rates = error_rates(moved, pairs.by, threshold=0.0, draws=draws, random_seed=random_seed)
    both = rates["n"] > 0
    share = rates["errors"] / rates["n"]
    kinds = {"FNMR": "n_genuine", "FMR": "n_impostor"}
    found = xr.Dataset(
        {
            "accuracy": 1 - rates["rate"].where(both).mean("rate_of", skipna=False),
            "plug_in": 1 - share.where(both).mean("rate_of", skipna=False),
            "errors": rates["errors"].sum("rate_of"),
            **{name: rates["n"].sel(rate_of=kind, drop=True) for kind, name in kinds.items()},
            "threshold": used.reindex({name: rates[name] for name in ("system", *pairs.by)}),
        },
        attrs=rates.attrs,
    )
    check_names(pairs.by, [str(name) for name in found])
    found["accuracy"].attrs.clear()  # no error rate, of which tables state some only
    return estimate(
        found,
        of=[rates],
        variable="accuracy",
        figure="forest",
        scale="probability",
        outcome="verification accuracy",
        estimand=f"accuracy at each group's own threshold by {', '.join(pairs.by)}",
    )


def _judged(
    pairs: Comparisons, folds: int, rng: np.random.Generator
) -> tuple[Comparisons, xr.DataArray]:
    """Pairs with the threshold of their fold taken off their distance, and mean thresholds."""
    frame = pairs.frame
    inside = frame[(frame["a"] == frame["b"]) & np.isfinite(frame["distance"])]
    parts, used = [], {}
    for (system, code), rows in inside.groupby(["system", "a"], observed=True):
        genuine = rows["genuine"].to_numpy() == 1
        sizes = genuine.sum(), (~genuine).sum()
        number = min(folds, *sizes)
        if number < 2:
            continue
        fold = np.empty(len(rows), int)
        for kind, size in zip((genuine, ~genuine), sizes, strict=True):
            fold[kind] = rng.permutation(np.arange(size) * number // size)
        distance = rows["distance"].to_numpy(float)
        each = [best_threshold(distance[fold != at], genuine[fold != at]) for at in range(number)]
        parts.append(pd.Series(distance - np.array(each)[fold], index=rows.index))
        used[(str(system), *pairs.groups[int(code)])] = float(np.mean(each))
    if not parts:
        raise DataError(
            "no group has two genuine and two impostor pairs",
            hint="give pairs of both kinds within groups",
        )
    margin = pd.concat(parts)
    kept = frame.loc[margin.index.sort_values()]
    index = pd.MultiIndex.from_tuples(list(used), names=["system", *pairs.by])
    thresholds = pd.Series(list(used.values()), index=index)
    return (
        replace(pairs, frame=kept.assign(distance=margin.reindex(kept.index))),
        xr.DataArray.from_series(thresholds),
    )


def best_threshold(distance: np.ndarray, genuine: np.ndarray) -> float:
    """Return the smallest distance at which ``1 - (FMR + FNMR) / 2`` is largest.

    Examples
    --------
    >>> best_threshold(np.array([0.1, 0.2, 0.3, 0.9]), np.array([True, True, False, False]))
    0.2
    """
    order = np.argsort(distance, kind="stable")
    same, sorted_ = genuine[order], distance[order]
    gain = np.cumsum(same / same.sum() - ~same / (~same).sum())
    last = np.append(sorted_[1:] > sorted_[:-1], True)  # pairs of one distance match together
    gain = np.where(last, gain, -np.inf)
    best = int(gain.argmax())
    return float(sorted_[best]) if gain[best] > 0 else float(np.nextafter(sorted_[0], -np.inf))


def accuracy_indices(accuracy: xr.Dataset) -> Estimate:
    """Compute the standard deviation and the skewed error ratio of groups' accuracies.

    Parameters
    ----------
    accuracy : Dataset
        Result of `verification_accuracy`.

    Returns
    -------
    Estimate
        ``index_value`` (chain, draw, index, system); `index`: "accuracy SD" (the
        standard deviation of accuracies, with n - 1; in shares, of which papers report 100 times)
        and "skewed error ratio" (SER, the largest share of errors over the smallest; Wang and Deng
        2020, CVPR).
        ``plug_in``, ``if_equal``, ``interval``, ``supported``, ``groups`` and ``lower_bound`` are
        as in `fairness_indices`.

    Raises
    ------
    DataError
        If there is a single group.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=20, people=None, levels={"pose": [-3, 0, 3]}, impostors=20)
    >>> found = cb.rates.accuracy_indices(cb.rates.verification_accuracy(study, "race"))
    >>> found["index"].values.tolist()
    ['accuracy SD', 'skewed error ratio']
    """
    if "system" not in accuracy["accuracy"].dims:
        accuracy = accuracy.expand_dims("system")
    by = groups_of(accuracy, "accuracy")
    stacked = accuracy.stack({STACKED: by})
    parts = [
        _of_system(stacked.sel(system=system, drop=True)).expand_dims(system=[system])
        for system in accuracy["system"].values
    ]
    found = xr.concat(parts, "system").transpose("chain", "draw", "index", "system")
    found["index_value"].attrs["quantity"] = INDEX
    return estimate(
        found.assign_attrs(accuracy.attrs),
        of=[accuracy],
        variable="index_value",
        figure="forest",
        scale="index",
        outcome="index",
        estimand="differences of accuracy between groups",
    )


INDICES: dict[str, Index] = {"accuracy SD": sd_of, "skewed error ratio": max_to_min}


def _of_system(one: xr.Dataset) -> xr.Dataset:
    """Compute the indices of a system over the groups that have an accuracy."""
    one = one.isel({STACKED: np.flatnonzero(one["plug_in"].notnull())})
    errors = 1 - one["accuracy"].transpose(*SAMPLE, STACKED).values
    enough = (one["errors"] >= THREE).values
    counted, many = 1 - one["plug_in"].values, errors.shape[-1] > 1
    missing = np.full(errors.shape[:-1], np.nan)
    bound = lower_max_to_min(errors, enough) if many else missing
    supported = [many, many and bool(enough.all())]
    with np.errstate(divide="ignore", invalid="ignore"):
        values = [index(errors) if many else missing for index in INDICES.values()]
        plug_in = [float(index(counted)) if many else np.nan for index in INDICES.values()]
        equal = [
            float(np.median(index(levelled(errors)))) if known else np.nan
            for index, known in zip(INDICES.values(), supported, strict=True)
        ]
    ratio = TWO_SIDED if supported[1] else AT_LEAST
    return xr.Dataset(
        {
            "index_value": ((*SAMPLE, "index"), np.stack(values, axis=-1)),
            "lower_bound": ((*SAMPLE, "index"), np.stack([missing, bound], axis=-1)),
            "plug_in": ("index", plug_in),
            "if_equal": ("index", equal),
            "interval": ("index", np.array([TWO_SIDED, ratio])),
            "supported": ("index", supported),
            "groups": ("index", [errors.shape[-1]] * len(INDICES)),
        },
        {"index": list(INDICES)} | {dim: one[dim] for dim in SAMPLE},
    )
