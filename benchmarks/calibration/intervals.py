"""Whether intervals hold the truth: one record an interval, and their summary."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

import causalbias as cb
from causalbias.draws.summaries import drawn

PROBS = (0.5, 0.9, 0.95, 0.99)
# name, truth, estimate, whether the intervals of PROBS hold it, side of zero of the 95% one
Record = tuple[str, float, float, str, int]


def of_table(
    name: str,
    table_of: Callable[[float], pd.DataFrame],
    truth: Callable[[Mapping[str, Any]], float],
) -> list[Record]:
    """Records of the rows of a table with `lower` and `upper` that a probability gives.

    Parameters
    ----------
    name : str
        Of the estimand, "verb: scale, population"; may hold columns in braces, "{race}".
    table_of : function of the interval's probability to a frame
    truth : function of a row (dict) to its true value; NaN leaves the row out
    """
    tables = [table_of(prob).reset_index() for prob in PROBS]
    found = []
    for rows in zip(*(one.to_dict("records") for one in tables), strict=True):
        true = float(truth(rows[0]))
        if np.isnan(true) or np.isnan(rows[0]["lower"]):
            continue
        held = "".join(str(int(row["lower"] <= true <= row["upper"])) for row in rows)
        wide = rows[PROBS.index(0.95)]
        side = int(wide["lower"] > 0) - int(wide["upper"] < 0)
        found.append(
            (
                name.format(**rows[0]),
                round(true, 6),
                round(float(rows[0]["estimate"]), 6),
                held,
                side,
            )
        )
    return found


def of_draws(
    name: str,
    draws: xr.Dataset,
    truth: Callable[[Mapping[str, Any]], float],
    of: str | None = None,
) -> list[Record]:
    """Records of a verb's draws, by the intervals that its table shows."""
    if "bounded" in draws or "supported" in draws:  # tables then show more than quantiles
        return of_table(name, lambda prob: cb.summarise(draws, prob=prob, of=of), truth)
    tails = [(1 + side * prob) / 2 for prob in PROBS for side in (-1, 1)]
    table = cb.summarise(draws, of=of)
    values = draws[of or drawn(draws)]
    labels = [dim for dim in values.dims if dim not in ("chain", "draw")]
    ends = values.quantile(tails, dim=("chain", "draw"), skipna=False).rename("end")
    wide = ends.transpose(*labels, "quantile").values.reshape(-1, len(PROBS), 2)
    wide = wide[~np.isnan(wide[:, 0, 0])]
    tables = [table.assign(lower=wide[:, k, 0], upper=wide[:, k, 1]) for k in range(len(PROBS))]
    return of_table(name, dict(zip(PROBS, tables, strict=True)).__getitem__, truth)


def coverage(records: pd.DataFrame) -> dict[str, float]:
    """Coverage of the records of one estimand, with a Monte Carlo interval.

    Intervals of one study are not independent: the standard error is that of the studies' means,
    and the interval Wilson's with as many trials as have it.

    Parameters
    ----------
    records : DataFrame
        Columns `study`, `held`.
    """
    held = np.array([[c == "1" for c in one] for one in records["held"]], float)
    found: dict[str, float] = {"studies": records["study"].nunique(), "intervals": len(records)}
    studies = records["study"].to_numpy()
    _, code = np.unique(studies, return_inverse=True)
    size = np.bincount(code)
    for k, prob in enumerate(PROBS):
        rate = held[:, k].mean()
        away = np.bincount(code, held[:, k] - rate)
        error = np.sqrt((away**2).sum()) / size.sum()
        ideal = max(rate * (1 - rate), 1e-9)
        trials = min(ideal / max(error, 1e-9) ** 2, len(held)) if 0 < rate < 1 else len(size)
        low, high = wilson(rate, trials)
        key = f"{100 * prob:g}"
        found |= {key: rate, f"{key} low": low, f"{key} high": high}
    return found


def wilson(rate: float, trials: float, prob: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a share."""
    z = stats.norm.ppf((1 + prob) / 2)
    centre = (rate + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * np.sqrt(rate * (1 - rate) / trials + (z / (2 * trials)) ** 2) / (1 + z * z / trials)
    return max(0.0, centre - half), min(1.0, centre + half)
