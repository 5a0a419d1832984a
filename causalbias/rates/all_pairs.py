"""Error rates from counts over all pairs of faces."""

from dataclasses import replace

import numpy as np
import xarray as xr

from causalbias.arguments import name_in, not_what
from causalbias.draws.estimate import Estimate
from causalbias.errors import DataError
from causalbias.rates.assembly import Draw, rates_cube, sampler
from causalbias.rates.cells import Cell
from causalbias.rates.dependence import ASSUMED, Dependence
from causalbias.rates.intervals import Shares, shares_from_sums
from causalbias.rates.pair_counts import (
    FINISHED,
    OF_SITES,
    by_identity,
    genuine_pairs,
    identity_faces,
    identity_sums,
    impostor_pairs,
    site_sizes,
)

RATES = {"impostor": "false match rates", "genuine": "false non-match rates"}
MOST = 10_000  # weights of identities that are drawn at most


def all_pairs_rates(
    counts: xr.Dataset, *, kind: str = "impostor", draws: int = 1000, random_seed: int = 0
) -> Estimate:
    """Estimate the error rates within and between groups from the counts of `all_pairs`.

    The intervals are computed as in `error_rates`, from the numbers of matches of each face. If
    identities have several faces, they are slightly wider than those from single pairs, because
    pairs of the same two identities cannot be distinguished from other pairs. As there are no
    distances, the correlation of pairs that share an identity is assumed to be 0.1 if there are too
    few matches to estimate it.

    Parameters
    ----------
    counts : Dataset
        Result of `all_pairs`, with thresholds, or of `add_counts`, for several sites.
    kind : {"impostor", "genuine"}
        Pairs of which the rate is: false match rates of impostor pairs, the default, or false
        non-match rates of genuine pairs, whose two groups differ if an identity has faces in two.
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
        If the counts have no threshold, or no pair of the kind.

    Examples
    --------
    >>> import causalbias as cb, numpy as np
    >>> faces = np.random.default_rng(1).normal(size=(40, 4))
    >>> counts = cb.all_pairs(faces, ["a", "b"] * 20, thresholds=2.0)
    >>> cb.rates.all_pairs_rates(counts)["n"].sel(threshold=2.0).values
    array([[190., 400.],
           [400., 190.]])
    >>> counts = cb.all_pairs(faces, ["a", "b"] * 20, identity=np.arange(40) // 4, thresholds=2.0)
    >>> cb.rates.all_pairs_rates(counts, kind="genuine")["n"].sel(threshold=2.0).values
    array([[10., 40.],
           [40., 10.]])
    """
    if not isinstance(counts, xr.Dataset) or counts.attrs.get("kind") not in (FINISHED, OF_SITES):
        raise not_what(counts, "the result of all_pairs or add_counts")
    thresholds = counts["threshold"].values
    if not len(thresholds):
        raise DataError("the counts have no threshold", hint="give thresholds= to all_pairs")
    name_in(kind, "kind", *RATES)
    several = counts.attrs.get("kind") == OF_SITES
    counts = counts if several else by_identity(counts)
    groups = counts["group"].values
    faces, size, own = identity_faces(counts), site_sizes(counts), identity_sums(counts)
    at = list(RATES).index(kind)
    found = []
    for g, h in np.ndindex(len(groups), len(groups)):
        total = float(counts["n"].sel(kind=kind).values[g, h])
        if not total:
            continue
        matches = counts["matches"].sel(kind=kind).values[g, h].astype(float)
        pairs = genuine_pairs(faces, g, h) if at else impostor_pairs(faces, size, g, h)
        shares = _shares(own(at, g, h), pairs, matches, total, two_seeds=not at)
        cell = Cell("", kind, (), *(np.empty(0),) * 4, failed=0)
        found += [
            ((threshold, groups[g], groups[h]), cell, shares.at(np.array([step + 1])))
            for step, threshold in enumerate(thresholds)
        ]
    if not found:
        raise DataError(f"the counts have no {kind} pair", hint="give identity= to all_pairs")
    levels = {"group": groups.tolist(), "other": groups.tolist()}
    where = "of one site" if several else "of faces"
    return rates_cube(
        found,
        ["threshold", "group", "other"],
        _drawer(len(faces), draws, random_seed),
        levels,
        figure="rate_heatmap",
        cohort="each two groups",
        metric=counts.attrs["metric"],
        left_out=counts.attrs["left_out"],
        estimand=f"{RATES[kind]} of each two groups, over all pairs {where}",
    )


def _shares(
    own: np.ndarray, pairs: np.ndarray, matches: np.ndarray, total: float, *, two_seeds: bool
) -> Shares:
    """Shares of the pairs of two groups, from each identity's matches and pairs.

    At each threshold, and before and after these where no pair matches and where all do: between
    them intervals' ends rise with the threshold.
    """
    seeds = np.flatnonzero(pairs)
    matches = np.concatenate([[0.0], matches, [total]])
    by_seed = np.column_stack([np.zeros(len(seeds)), own[seeds], pairs[seeds]])
    share = matches / total
    # Sums of the squared pairs that two seeds share, which here have one pair each.
    twice = matches * (1 - 2 * share) + share**2 * total if two_seeds else np.zeros_like(share)
    others = max(float(pairs @ pairs) - (1 + two_seeds) * total, 0.0)
    return shares_from_sums(
        n=total,
        total=total,
        disjoint=max(1, len(seeds) // 2) if two_seeds else len(seeds),
        matches=matches,
        seeds=seeds,
        by_seed=by_seed,
        of_seed=pairs[seeds],
        twice=twice,
        two_seeds=two_seeds,
        dependence=Dependence(ASSUMED, others / total**2, two_seeds=two_seeds),
    )


def _drawer(n: int, draws: int, random_seed: int) -> Draw:
    """Function that draws error rates, with a weight for each identity, or for several of many.

    The weights only give the draws their order, and so their dependence between cells. Sums over
    identities that share a weight have the variance of sums over all.
    """
    weight = np.arange(n) % MOST
    draw = sampler(min(n, MOST), draws, random_seed)

    def drawn(cell: Cell, shares: Shares) -> np.ndarray:
        if n <= MOST:
            return draw(cell, shares)
        used, place = np.unique(weight[shares.seeds], return_inverse=True)
        sums = [np.zeros((len(used), shares.by_seed.shape[1])) for _ in range(2)]
        for into, values in zip(sums, (shares.by_seed, shares.of_seed), strict=True):
            np.add.at(into, place, values)
        return draw(cell, replace(shares, seeds=used, by_seed=sums[0], of_seed=sums[1]))

    return drawn
