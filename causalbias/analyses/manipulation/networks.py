"""Where several networks agree on a manipulation experiment, and where not."""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from causalbias.arguments import generator
from causalbias.rates.matching import matches

RESAMPLES = 2000
FEWEST = 3  # attributes that a rank correlation needs: that of two is 1 or -1


def networks_table(
    edits: pd.DataFrame, *, prob: float = 0.95, random_seed: int = 0
) -> pd.DataFrame:
    """Compare networks pair by pair on the edits of which both have a distance.

    Parameters
    ----------
    edits : DataFrame
        Distances of edited faces from the same seed's face at the lowest level: `system`, `seed`,
        `attribute`, `level_b`, `distance`, `threshold`. Only the highest level is used.
    prob : float
        Probability of the interval.
    random_seed : int
        Seed of the resampling.

    Returns
    -------
    DataFrame
        `system`, `other`; `estimate`, `lower`, `upper`: Spearman's rank correlation over the
        attributes of the mean distances of the two networks, with the percentile interval of the
        bootstrap of seeds. A seed is drawn with its distances from both networks, whose errors are
        not independent, since they saw the same faces. Then `n_attributes`, `n_edits` and the
        numbers of edits beyond each network's own threshold: `beyond`, `beyond_other` and
        `beyond_both`, NaN if a network has no threshold. Without two networks and three attributes
        the table is empty.

    Examples
    --------
    >>> edits = pd.DataFrame(
    ...     [(s, seed, a, 1, d * (1 + seed / 9), 0.5)
    ...      for s in ("one", "two") for seed in range(3)
    ...      for a, d in (("age", 0.1), ("pose", 0.3), ("smile", 0.6))],
    ...     columns=["system", "seed", "attribute", "level_b", "distance", "threshold"])
    >>> networks_table(edits)[["system", "other", "estimate", "lower", "beyond_both", "n_edits"]]
      system other  estimate  lower  beyond_both  n_edits
    0    one   two       1.0    1.0            3        9
    """
    top = edits[edits["level_b"] == edits["level_b"].max()]
    random = generator(random_seed)
    rows = []
    for one, two in combinations(sorted(top["system"].unique()), 2):
        sides = [top[top["system"] == name] for name in (one, two)]
        both = sides[0].merge(sides[1], on=["seed", "attribute"], suffixes=("", "_other"))
        if both["attribute"].nunique() < FEWEST:
            continue
        estimate, lower, upper = _rank_correlation(both, prob, random)
        if np.isnan(estimate):  # all attributes move a network alike: there is no order
            continue
        beyond, other = (_beyond(both, suffix) for suffix in ("", "_other"))
        rows.append(
            {
                "system": one,
                "other": two,
                "estimate": estimate,
                "lower": lower,
                "upper": upper,
                "n_attributes": both["attribute"].nunique(),
                "n_edits": len(both),
                "beyond": _sum(beyond),
                "beyond_other": _sum(other),
                "beyond_both": _sum(None if beyond is None or other is None else beyond & other),
            }
        )
    return pd.DataFrame(rows)


def _beyond(both: pd.DataFrame, suffix: str) -> np.ndarray | None:
    """Whether each edit is beyond a network's threshold; None if it has none."""
    distance, threshold = (
        both[f"{name}{suffix}"].to_numpy(float) for name in ("distance", "threshold")
    )
    return None if np.isnan(threshold).any() else ~matches(distance, threshold)


def _sum(beyond: np.ndarray | None) -> float:
    return np.nan if beyond is None else int(beyond.sum())


def _rank_correlation(
    both: pd.DataFrame, prob: float, random: np.random.Generator
) -> tuple[float, float, float]:
    """Spearman's correlation over attributes of the means over seeds, with its interval."""
    tables = [
        both.pivot_table("distance" + side, "seed", "attribute").to_numpy()
        for side in ("", "_other")
    ]
    present = np.isfinite(tables[0]).astype(float)
    n = len(present)
    weights = np.vstack([np.ones(n), random.multinomial(n, np.full(n, 1 / n), RESAMPLES)])
    with np.errstate(invalid="ignore"):  # an attribute of which no seed was drawn: no mean
        means = [weights @ np.nan_to_num(table) / (weights @ present) for table in tables]
    usable = np.isfinite(means[0]).all(axis=1)
    ranks = [rankdata(mean[usable], axis=1) for mean in means]
    first, second = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    with np.errstate(invalid="ignore"):
        found = (first * second).sum(1) / np.sqrt((first**2).sum(1) * (second**2).sum(1))
    if np.isnan(found[0]):
        return np.nan, np.nan, np.nan
    lower, upper = np.nanquantile(found[1:], [(1 - prob) / 2, (1 + prob) / 2])
    return float(found[0]), float(lower), float(upper)
