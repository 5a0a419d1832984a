"""Ground truth of which only the probability is known."""

import numpy as np

ROUNDS, TOLERANCE = 1000, 1e-9


def kind_probability(prior: np.ndarray, match: np.ndarray) -> np.ndarray:
    """Probability that each pair is of a kind, given a prior one and whether it matches.

    A pair whose kind is uncertain is either genuine or impostor. Weighted by its prior probability
    alone, the genuine pairs among the impostors would pass for false matches. So the match rates r
    of this kind and r' of the other are estimated from all pairs together, by the EM algorithm
    (Dempster, Laird and Rubin 1977), and the posterior probability follows from them by Bayes'
    rule,

        P(kind | match) = prior r / (prior r + (1 - prior) r'),

    and with 1 - r, 1 - r' for a pair that does not match. Given a pair's kind, its prior
    probability must be independent of its distance.

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
    >>> match = np.repeat([False, True, False], 100)  # uncertain pairs are all like impostors
    >>> float(kind_probability(prior, match)[-1].round(2))
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
    found: np.ndarray = _posterior(levels, rate, other)[match.astype(int), back]
    return found


def _posterior(prior: np.ndarray, rate: float, other: float) -> np.ndarray:
    """Probability of the kind for pairs that do not match, and that do (2, prior)."""
    own = prior * np.array([[1 - rate], [rate]])
    whole = own + (1 - prior) * np.array([[1 - other], [other]])
    return np.divide(own, whole, out=np.broadcast_to(prior, own.shape).copy(), where=whole > 0)
