"""Rank correlation and pairwise accuracy of pairs of faces, whose pairs share faces.

Each function gives a statistic and its influence values: how much a row moves the statistic, times
the number of rows. Sums of these over rows that share a face give the variance (`covariance_of`).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.stats import rankdata

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

OTHERS = 4000  # rows that each row is compared with for accuracy, drawn at random from more
BLOCK = 500
SIMULATIONS = 20


def spearman(x: Floats, y: Floats) -> tuple[float, Floats]:
    """Spearman correlation of two columns (rows,), and influence values (rows,).

    With standardised ranks r, s and g = s - rho r (the derivative by ranks), the influence of a row
    is r s - rho (r^2 + s^2)/2, and what it moves in the ranks of the rows above it, the mean of g
    over rows with larger x, in units of the sd of the ranks; and likewise of y.
    """
    n = len(x)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return np.nan, np.full(n, np.nan)
    ranks = [rankdata(one) / n for one in (x, y)]
    spread = [float(one.std()) for one in ranks]
    r, s = ((one - one.mean()) / sd for one, sd in zip(ranks, spread, strict=True))
    rho = float((r * s).mean())
    influence = r * s - rho * (r**2 + s**2) / 2
    influence += _above(x, s - rho * r) / spread[0] + _above(y, r - rho * s) / spread[1]
    return rho, influence


def _above(x: Floats, values: Floats) -> Floats:
    """Sum of values over rows with larger x, and half of those that are equal, over n (rows,)."""
    level = np.unique(x, return_inverse=True)[1]
    sums = np.bincount(level, values)
    above = sums[::-1].cumsum()[::-1] - sums / 2
    return np.asarray(above[level] / len(x))


def accuracy(
    judged: Floats, metric: Floats, random: np.random.Generator
) -> tuple[float, float, Floats]:
    """Share of comparisons of two rows that a metric orders as people do.

    Comparisons of rows that people judged equal do not count; one that the metric ties counts a
    half. Beyond `OTHERS` rows, each is compared with a random sample of as many.

    Returns
    -------
    accuracy, ties : float
        Ties: share of the comparisons that count in which the metric is equal.
    influence : ndarray (rows,)
    """
    n = len(judged)
    others = np.arange(n) if n <= OTHERS else np.sort(random.choice(n, OTHERS, replace=False))
    right, counted, tied = np.empty(n), np.empty(n), 0.0
    for start in range(0, n, BLOCK):
        rows = slice(start, start + BLOCK)
        people = np.sign(judged[rows, None] - judged[others])
        system = np.sign(metric[rows, None] - metric[others])
        some = people != 0
        counted[rows] = some.sum(axis=1)
        equal = some & (system == 0)
        right[rows] = (some & (people == system)).sum(axis=1) + equal.sum(axis=1) / 2
        tied += float(equal.sum())
    total = counted.sum()
    if total == 0:
        return np.nan, np.nan, np.full(n, np.nan)
    share = float(right.sum() / total)
    return share, tied / total, 2 * (right - share * counted) / (total / n)


def noise_share(judged: Floats, variance: Floats) -> tuple[float, Floats]:
    """Reliability, 1 - mean noise variance / variance of the judgements, and influence values."""
    total = float(judged.var())
    if np.ptp(judged) == 0:
        return np.nan, np.full(len(judged), np.nan)
    noise = float(variance.mean())
    square = (judged - judged.mean()) ** 2
    influence = -(variance - noise) / total + noise * (square - total) / total**2
    return 1 - noise / total, influence


def ceilings(
    judged: Floats, variance: Floats, reliability: float, random: np.random.Generator
) -> tuple[float, float]:
    """Rank correlation and accuracy that a perfect metric would have with judgements this noisy.

    Judgements are simulated: latent values are the judgements, shrunken so that they have the
    variance that is not noise, and normal noise is added to these.
    """
    if not reliability > 0:
        return np.nan, np.nan
    kept = random.choice(len(judged), min(len(judged), 2000), replace=False)
    latent = judged.mean() + np.sqrt(reliability) * (judged[kept] - judged.mean())
    found = []
    for time in range(SIMULATIONS):
        again = latent + np.sqrt(variance[kept]) * random.normal(size=len(kept))
        some = slice(time * 100 % len(kept), time * 100 % len(kept) + 300)  # they are in no order
        right = accuracy(again[some], latent[some], random)[0]
        found.append((spearman(again, latent)[0], right))
    one, two = np.mean(found, axis=0)
    return float(one), float(two)


def pair_means(judged: Floats, pair: Whole, rater: Whole) -> tuple[Floats, Floats]:
    """Means of pairs as if the same raters had judged all, and the variance of their noise.

    The model is y = pair + rater + noise, pairs fixed and raters random, with generalised least
    squares (Henderson's equations). Where every rater judged every pair it takes out the raters'
    means; where raters of some pairs judged none of the others it gives plain means. Variances are
    by moments (Henderson's third method): that of the noise from the residuals of both, and that of
    raters from what differs within pairs, which is the sum of the two. Where residuals have no
    degrees of freedom, as each rater judged one pair, raters are part of the noise.

    Parameters
    ----------
    judged : ndarray (judgements,)
    pair, rater : ndarray of int (judgements,)
        Codes from 0; no rater judged a pair twice.

    Returns
    -------
    means, variance : ndarray (pairs,)
        The variance is of differences from the mean of all pairs: what all share is no noise.
    """
    size, often = np.bincount(pair).astype(float), np.bincount(rater).astype(float)
    plain = np.bincount(pair, judged) / size
    inner = judged - plain[pair]
    within = float(inner @ inner) / (len(judged) - len(size))
    design = sparse.csr_matrix((1 / size[pair], (pair, rater)), shape=(len(size), len(often)))
    graph = sparse.bmat([[None, design], [design.T, None]])
    parts, which = connected_components(graph, directed=False)
    degrees = len(judged) - len(size) - len(often) + parts
    if degrees < 1 or not within > 0:
        return plain, within / size
    # The normal equations of raters, after pairs: singular in the sum of each connected part.
    normal = np.diag(often) - (design.T.multiply(size) @ design).toarray()
    moved = np.bincount(rater, inner, minlength=len(often))
    same = which[len(size) :]
    whole = normal + (same[:, None] == same)
    noise = max(float(inner @ inner - moved @ np.linalg.solve(whole, moved)), 0.0) / degrees
    if noise >= within:
        return plain, within / size
    ratio = max(noise, 1e-9 * within) / (within - noise)
    inverse = np.linalg.inv(normal + ratio * np.eye(len(often)))
    variance = noise / size
    middle = np.asarray(design.mean(axis=0)).ravel()
    for start in range(0, len(size), BLOCK):
        rows = slice(start, start + BLOCK)
        apart = design[rows].toarray() - middle
        variance[rows] += noise * ((apart @ inverse) * apart).sum(axis=1)
    return plain - design @ (inverse @ moved), variance


def covariance_of(influence: Floats, members: Whole) -> Floats:
    """Covariance of statistics from the influence of rows that share members (faces).

    The sum of the products of all two rows that share a face, by inclusion and exclusion over
    faces, two faces and three (Cameron and Miller 2014, for pairs): rows that share two faces would
    count twice. What is more than the rows' own part is made positive semidefinite.

    Parameters
    ----------
    influence : ndarray (rows, statistics)
        Divided by the number of rows of each statistic.
    members : ndarray of int (rows, 2 or 3)
        Faces of each row.

    Returns
    -------
    ndarray (statistics, statistics)
    """
    faces = int(members.max()) + 1
    own = influence.T @ influence
    total = _summed(influence, [members[:, at] for at in range(members.shape[1])])
    if members.shape[1] == 3:
        low = np.sort(members, axis=1)
        edges = [low[:, a] * faces + low[:, b] for a, b in ((0, 1), (0, 2), (1, 2))]
        total = total - _summed(influence, edges)
        total = total + _summed(influence, [(low[:, 0] * faces + low[:, 1]) * faces + low[:, 2]])
    else:
        low = np.sort(members, axis=1)
        total = total - _summed(influence, [low[:, 0] * faces + low[:, 1]])
    values, vectors = np.linalg.eigh(total - own)
    return np.asarray((own + (vectors * np.maximum(values, 0)) @ vectors.T) * faces / (faces - 1))


def draws_of_t(
    centre: Floats, covariance: Floats, degrees: float, draws: int, random: np.random.Generator
) -> Floats:
    """Draws (draws, statistics) of a multivariate t with these centres and covariance."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    normal = random.normal(size=(draws, len(centre))) @ root.T
    spread = np.sqrt(degrees / random.chisquare(degrees, size=draws))
    return np.asarray(centre + normal * spread[:, None])


def _summed(influence: Floats, groups: list[Whole]) -> Floats:
    """Sum over groups of the outer product of the influence summed within them."""
    codes = np.unique(np.concatenate(groups), return_inverse=True)[1].reshape(len(groups), -1)
    rows = np.tile(np.arange(len(influence)), len(groups))
    matrix = sparse.csr_matrix(
        (np.ones(codes.size), (codes.ravel(), rows)), shape=(codes.max() + 1, len(influence))
    )
    sums = matrix @ influence
    return np.asarray(sums.T @ sums)
