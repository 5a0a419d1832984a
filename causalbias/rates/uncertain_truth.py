"""Ground truth that is known by its probability only."""

import numpy as np

ROUNDS, TOLERANCE = 1000, 1e-9


def settle_truth(prior: np.ndarray, match: np.ndarray) -> np.ndarray:
    """Probability that each pair is of a kind, given a prior one and whether it matches.

    A pair that people doubt is one of either kind. Counted by their doubt alone, the genuine among
    the impostors would pass for false matches; so the match rates of both kinds are estimated from
    all pairs together, by the EM algorithm (Dempster, Laird and Rubin 1977), and each doubtful
    pair's probability follows from them. Given its kind, how doubtful a pair is must not go with
    its distance.

    Parameters
    ----------
    prior : ndarray (pair,)
        From 0 to 1; right on average.
    match : ndarray of bool (pair,)

    Returns
    -------
    ndarray (pair,)

    Examples
    --------
    >>> prior = np.repeat([0.0, 1.0, 0.5], 100)
    >>> match = np.repeat([False, True, False], 100)  # the doubtful are all like the impostors
    >>> float(settle_truth(prior, match)[-1].round(2))
    0.0
    """
    levels, back = np.unique(prior, return_inverse=True)
    count = np.stack([np.bincount(back, ~match), np.bincount(back, match)])
    if match.all() or not match.any() or len(levels) == 1:
        return prior
    rate = float(prior @ match / prior.sum())
    other = float((1 - prior) @ match / (1 - prior).sum())
    for _ in range(ROUNDS):
        own = _posterior(levels, rate, other)
        last = rate, other
        rate = float((count[1] * own[1]).sum() / (count * own).sum())
        other = float((count[1] * (1 - own[1])).sum() / (count * (1 - own)).sum())
        if max(abs(rate - last[0]), abs(other - last[1])) < TOLERANCE:
            break
    settled: np.ndarray = _posterior(levels, rate, other)[match.astype(int), back]
    return settled


def _posterior(prior: np.ndarray, rate: float, other: float) -> np.ndarray:
    """Probability of the kind for pairs that do not match, and that do (2, prior)."""
    own = prior * np.array([[1 - rate], [rate]])
    whole = own + (1 - prior) * np.array([[1 - other], [other]])
    return np.divide(own, whole, out=np.broadcast_to(prior, own.shape).copy(), where=whole > 0)
