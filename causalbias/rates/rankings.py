"""Rankings by a score: how far groups at the top are from their share of all."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from causalbias.arguments import generator, number_in, whole_in
from causalbias.errors import DataError

Floats = NDArray[np.float64]
RESAMPLES = 1000


def skew_at_k(scores: ArrayLike, groups: ArrayLike, k: int) -> pd.Series:
    """Compute Skew@k: the log of a group's share of the first k, over its share of all.

    Skew_g@k = ln(share of g among the k largest scores / share of g among all)

    Of equal scores at the place k, each counts in part, as in a random order.

    Parameters
    ----------
    scores : array (n,)
        Larger is ranked first; similarities with a prompt, for example.
    groups : array (n,)
        Labels.
    k : int
        From 1 to n.

    Returns
    -------
    Series
        By group, in the order of the labels; -inf if a group has none of the first k.

    Raises
    ------
    DataError
        If a score or label is missing, lengths differ, there is one group, or k is over n.

    References
    ----------
    Geyik, Ambler and Kenthapadi (2019), KDD, definition 1; the desired share is that in the data.

    Examples
    --------
    >>> skew_at_k([4, 3, 2, 1], ["a", "a", "a", "b"], 2).round(3).to_dict()
    {'a': 0.288, 'b': -inf}
    """
    values, codes, labels = _ranked(scores, groups)
    first = _first(k, len(values))
    return pd.Series(_skew(values, codes, len(labels), first), index=labels, name=f"skew@{first}")


def ndkl(scores: ArrayLike, groups: ArrayLike) -> float:
    """Compute NDKL: how far the groups of all first i are from those of all, weighted to the top.

    NDKL = 1/Z sum over i of KL(D_i || D) / log2(i + 1), with Z = sum over i of 1 / log2(i + 1),

    where D_i are the groups' shares of the i largest scores, and D those of all; natural
    logarithms. Equal scores are shared out as in `skew_at_k`. It is 0 where the groups are mixed
    perfectly, which chance alone never gives: set it beside that of shuffled labels.

    Parameters
    ----------
    scores, groups
        As in `skew_at_k`.

    Returns
    -------
    float
        0 or more.

    Raises
    ------
    DataError
        As `skew_at_k`.

    References
    ----------
    Geyik, Ambler and Kenthapadi (2019), KDD, definition 3.

    Examples
    --------
    >>> round(ndkl([2, 1], ["a", "b"]), 4)
    0.425
    """
    values, codes, labels = _ranked(scores, groups)
    return _ndkl(values, codes, len(labels))


def ranking_indices(
    scores: ArrayLike,
    groups: ArrayLike,
    seeds: ArrayLike,
    k: int,
    *,
    prob: float = 0.95,
    random_seed: int = 0,
) -> pd.DataFrame:
    """Compute Skew@k of each group, the least and largest, and NDKL, with intervals over seeds.

    Seeds are resampled with all their images, so that the images of one face stay together.

    Parameters
    ----------
    scores, groups, k
        As in `skew_at_k`.
    seeds : array (n,)
        The seed, or person, of each.
    prob : float
        Probability of the intervals.
    random_seed : int

    Returns
    -------
    DataFrame
        `measure`, `group`, `estimate`, `lower`, `upper` (quantiles of the resamples in which each
        group has an image), `n`, `seeds`. NDKL is not negative and larger in resamples, so that
        its interval may lie above its estimate. ``chance``: the mean NDKL of shuffled labels.

    Raises
    ------
    DataError
        As `skew_at_k`, and if there are fewer than three seeds.

    Examples
    --------
    >>> found = ranking_indices(range(12), ["a", "b"] * 6, [1, 1, 2, 2, 3, 3] * 2, 4)
    >>> found["measure"].tolist()
    ['skew@4', 'skew@4', 'min skew@4', 'max skew@4', 'NDKL']
    """
    values, codes, labels = _ranked(scores, groups)
    prob = number_in(prob, "prob", 0, 1)
    first, random = _first(k, len(values)), generator(random_seed)
    of = pd.Series(np.asarray(seeds, dtype=object))
    if len(of) != len(values) or of.isna().any():
        raise DataError("seeds have gaps, or another length", hint="give each score its seed")
    place = pd.factorize(of.astype(str))[0]
    rows = [np.flatnonzero(place == at) for at in range(place.max() + 1)]
    if len(rows) < 3:
        raise DataError(f"there are {len(rows)} seeds", hint="give three or more")

    def measured(at: NDArray[np.int64]) -> Floats:
        skew = _skew(values[at], codes[at], len(labels), min(first, len(at)))
        ends = [skew.min(), skew.max(), _ndkl(values[at], codes[at], len(labels))]
        return np.concatenate([skew, ends])

    draws = []
    for _ in range(RESAMPLES):
        at = np.concatenate([rows[one] for one in random.integers(len(rows), size=len(rows))])
        if len(np.unique(codes[at])) == len(labels):
            draws.append(measured(at))
    ends = [(1 - prob) / 2, (1 + prob) / 2]
    # Without interpolation: between -inf and a number there is none.
    low, high = np.quantile(np.array(draws), ends, axis=0, method="nearest")
    shuffled = [_ndkl(values, random.permutation(codes), len(labels)) for _ in range(200)]
    name = f"skew@{first}"
    return pd.DataFrame(
        {
            "measure": [name] * len(labels) + [f"min {name}", f"max {name}", "NDKL"],
            "group": [*labels, "", "", ""],
            "estimate": measured(np.arange(len(values))),
            "lower": low,
            "upper": high,
            "chance": [np.nan] * (len(labels) + 2) + [float(np.mean(shuffled))],
            "n": len(values),
            "seeds": len(rows),
        }
    )


def _shares(scores: Floats, codes: NDArray[np.int64], groups: int) -> Floats:
    """Shares (n, groups) of the first 1, ..., n; of equal scores, each place has their mean."""
    order = np.argsort(-scores, kind="stable")
    block = np.unique(-scores[order], return_inverse=True)[1]
    member = np.eye(groups)[codes[order]]
    total = np.zeros((block[-1] + 1, groups))
    np.add.at(total, block, member)
    mean = total / np.bincount(block)[:, None]
    places = np.arange(1, len(scores) + 1)[:, None]
    return np.asarray(np.cumsum(mean[block], axis=0) / places)


def _skew(scores: Floats, codes: NDArray[np.int64], groups: int, k: int) -> Floats:
    share = _shares(scores, codes, groups)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(share[k - 1]) - np.log(share[-1]))


def _ndkl(scores: Floats, codes: NDArray[np.int64], groups: int) -> float:
    share = _shares(scores, codes, groups)
    ratio = np.where(share > 0, share, 1) / share[-1]
    divergence = np.where(share > 0, share * np.log(ratio), 0).sum(axis=1)
    weight = 1 / np.log2(np.arange(2, len(scores) + 2))
    return float(weight @ divergence / weight.sum())


def _ranked(scores: ArrayLike, groups: ArrayLike) -> tuple[Floats, NDArray[np.int64], list[str]]:
    """Scores, the number of each one's group, and the labels in use, in their order."""
    try:
        values = np.asarray(scores, dtype=float)
    except (TypeError, ValueError):
        raise DataError("scores are no numbers", hint="give one number a place") from None
    label = pd.Series(groups if isinstance(groups, pd.Categorical) else np.asarray(groups))
    if isinstance(groups, pd.Series):
        label = groups.reset_index(drop=True)
    if values.ndim != 1 or len(values) != len(label):
        raise DataError("scores and groups differ in length", hint="give each score its group")
    if not np.isfinite(values).all() or label.isna().any():
        raise DataError("a score or a group is missing", hint="leave these out")
    used = label.astype("category").cat.remove_unused_categories()
    labels = [str(one) for one in used.cat.categories]
    if len(labels) < 2:
        raise DataError("there is one group", hint="give two or more")
    return values, np.asarray(used.cat.codes, dtype=np.int64), labels


def _first(k: int, many: int) -> int:
    first = whole_in(k, "k", 1)
    if first > many:
        raise DataError(f"k is {first}, of {many} in all", hint=f"give 1 to {many}")
    return first
