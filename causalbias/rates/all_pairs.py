"""False match rates from counts over all pairs of faces."""

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.draws.estimate import Estimate
from causalbias.errors import DataError
from causalbias.rates.assembly import rates_cube, sampler
from causalbias.rates.comparisons import Cell
from causalbias.rates.dependence import ASSUMED, Dependence
from causalbias.rates.intervals import Shares, shares_from_sums


def all_pairs_rates(counts: xr.Dataset, *, draws: int = 1000, random_seed: int = 0) -> Estimate:
    """Estimate the false match rates within and between groups from the counts of `all_pairs`.

    The intervals are computed as in `error_rates`, from the numbers of matches of each face. If
    identities have several faces, they are slightly wider than those from single pairs, because
    pairs of the same two identities cannot be distinguished from other pairs. As there are no
    distances, the correlation of pairs that share an identity is assumed to be 0.1 if there are too
    few matches to estimate it.

    Parameters
    ----------
    counts : Dataset
        Result of `all_pairs`, with thresholds.
    draws, random_seed : int
        As in `error_rates`.

    Returns
    -------
    Estimate
        ``rate`` (chain, draw, threshold, group, other), which is symmetric in both groups, and the
        variables of `error_rates`.

    Raises
    ------
    DataError
        If the counts have no threshold.

    Examples
    --------
    >>> import causalbias as cb, numpy as np
    >>> faces = np.random.default_rng(1).normal(size=(40, 4))
    >>> counts = cb.all_pairs(faces, ["a", "b"] * 20, thresholds=2.0)
    >>> cb.rates.all_pairs_rates(counts)["n"].sel(threshold=2.0).values
    array([[190., 400.],
           [400., 190.]])
    """
    thresholds = counts["threshold"].values
    if not len(thresholds):
        raise DataError("the counts have no threshold", hint="give thresholds= to all_pairs")
    groups = counts["group"].values
    group = pd.Index(groups).get_indexer(counts["face_group"].values)
    person = counts["face_identity"].values
    n_persons = int(person.max()) + 1
    of_group = np.zeros((n_persons, len(groups)))
    np.add.at(of_group, (person, group), 1)
    face_matches = counts["face_matches"].values
    found = []
    for g, h in np.ndindex(len(groups), len(groups)):
        total = float(counts["n"].sel(kind="impostor").values[g, h])
        if not total:
            continue
        matches = counts["matches"].sel(kind="impostor").values[g, h]
        own = np.stack(
            [_of_persons(one, group, person, n_persons, g, h) for one in face_matches], axis=1
        )
        shares = _shares(own, of_group, matches.astype(float), total, g, h)
        cell = Cell("", "impostor", (), *(np.empty(0),) * 4, failed=0)
        found += [
            ((threshold, groups[g], groups[h]), cell, shares.at(np.array([at + 1])))
            for at, threshold in enumerate(thresholds)
        ]
    draw = sampler(n_persons, draws, random_seed)
    levels = {"group": groups.tolist(), "other": groups.tolist()}
    return rates_cube(
        found,
        ["threshold", "group", "other"],
        draw,
        levels,
        figure="rate_heatmap",
        cohort="each two groups",
        metric=counts.attrs["metric"],
        left_out=counts.attrs["left_out"],
        estimand="false match rates of each two groups, over all pairs of faces",
    )


def _of_persons(
    face_matches: np.ndarray, group: np.ndarray, person: np.ndarray, n: int, g: int, h: int
) -> np.ndarray:
    """Matches of each person in pairs of the groups g and h (person,)."""
    own = np.bincount(person[group == g], face_matches[group == g, h], n)
    if g != h:
        own += np.bincount(person[group == h], face_matches[group == h, g], n)
    return own


def _shares(
    own: np.ndarray, of_group: np.ndarray, matches: np.ndarray, total: float, g: int, h: int
) -> Shares:
    """Shares of the impostor pairs of groups g and h, from each person's matches and faces.

    At each threshold, and before and after these where no pair matches and where all do: between
    them intervals' ends rise with the threshold.
    """
    size = of_group.sum(axis=0)
    pairs = of_group[:, g] * (size[h] - of_group[:, h])
    if g != h:
        pairs += of_group[:, h] * (size[g] - of_group[:, g])
    seeds = np.flatnonzero(pairs)
    matches = np.concatenate([[0.0], matches, [total]])
    by_seed = np.column_stack([np.zeros(len(seeds)), own[seeds], pairs[seeds]])
    share = matches / total
    return shares_from_sums(
        n=total,
        total=total,
        disjoint=max(1, len(seeds) // 2),
        matches=matches,
        seeds=seeds,
        by_seed=by_seed,
        of_seed=pairs[seeds],
        twice=matches * (1 - 2 * share) + share**2 * total,
        dependence=Dependence(ASSUMED, max(float(pairs @ pairs) - 2 * total, 0.0) / total**2),
    )
