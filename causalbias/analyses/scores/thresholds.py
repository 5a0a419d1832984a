"""Error rates at thresholds that were not asked for, for the slider of a report."""

import numpy as np
import pandas as pd

from causalbias.datasets.scores import Scores
from causalbias.draws.summaries import summarise
from causalbias.rates.comparisons import Comparisons
from causalbias.rates.error_rates import error_rates_along

PLACES = 30  # of the slider, beside the thresholds that were asked for
DIGITS = 4  # of a threshold, so that a reader can write it
# From the threshold at which few impostor pairs match to that at which most genuine pairs do.
FEW, MOST = 5e-4, 0.999


def rates_at_thresholds(
    scores: Scores,
    pairs: Comparisons,
    asked: list[dict[str, float]],
    *,
    prob: float,
    random_seed: int,
) -> pd.DataFrame:
    """Estimate error rates by group at evenly spaced thresholds, and at those that were asked for.

    Parameters
    ----------
    scores : Scores
    pairs : Comparisons
        Of these, by ``group``.
    asked : list of dict of str to float
        Thresholds by system, in units of the score.
    prob, random_seed
        As in `audit`.

    Returns
    -------
    DataFrame
        `system`, `threshold` (in units of the score, rising), `rate_of`, `group`, `estimate`,
        `lower`, `upper`, `errors`, `n`: what `error_rates` gives at the threshold.
    """
    parts = []
    for system in scores.systems:
        places = _places(scores, pairs, system, [one[system] for one in asked if system in one])
        if not places:
            continue
        at = np.array([scores.distance_at(one, system) for one in places])
        once = np.unique(at)  # two thresholds may have no score between them
        rates = error_rates_along(pairs, system, once, random_seed=random_seed)
        table = summarise(rates, prob=prob)
        table = table[table["n"] > 0].rename(columns={"threshold": "distance"})
        each = pd.DataFrame({"threshold": places, "distance": at})
        parts.append(each.merge(table, on="distance", how="left").assign(system=system))
    columns = ["system", "threshold", "rate_of", "group", "estimate", "lower", "upper"]
    columns += ["errors", "n"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _places(scores: Scores, pairs: Comparisons, system: str, asked: list[float]) -> list[float]:
    """Thresholds in rising order, in units of the score; none without pairs of one group."""
    frame = pairs.frame
    inside = frame[(frame["system"] == system) & (frame["a"] == frame["b"])]
    known = inside[np.isfinite(inside["distance"])]
    if known.empty:
        return []
    genuine = known.loc[known["genuine"] > 0, "distance"]
    impostor = known.loc[known["genuine"] < 1, "distance"]
    ends = [
        *([genuine.quantile(0.5), genuine.quantile(MOST)] if len(genuine) else []),
        *([impostor.quantile(FEW), impostor.quantile(0.05)] if len(impostor) else []),
    ]
    even = np.linspace(min(ends), max(ends), PLACES)
    if scores.kind == "similarity":
        even = scores.top - even
    return sorted({*(float(f"{one:.{DIGITS}g}") for one in even), *map(float, asked)})
