"""Intraclass correlations of a complete table of items by raters, by analysis of variance."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import f as f_distribution

from causalbias.arguments import number_in
from causalbias.datasets.answers import answers_in
from causalbias.errors import DataError

Floats = NDArray[np.float64]
Limits = tuple[float, float, float]
ROUNDING = 1e-13  # of the largest score: a standard deviation below it is error of arithmetic
UNDEFINED: Limits = (np.nan, np.nan, np.nan)

# Names of McGraw and Wong (1996), and of Shrout and Fleiss (1979).
ALSO = {
    "ICC(1)": "ICC(1,1)",
    "ICC(k)": "ICC(1,k)",
    "ICC(A,1)": "ICC(2,1)",
    "ICC(A,k)": "ICC(2,k)",
    "ICC(C,1)": "ICC(3,1)",
    "ICC(C,k)": "ICC(3,k), Cronbach's alpha",
}


def intraclass(
    data: pd.DataFrame, *, item: str, rater: str, rating: str, prob: float = 0.95
) -> pd.DataFrame:
    """Compute the six intraclass correlations of a table in which every rater rated every item.

    With mean squares of items (R), raters (C), error (E) and within items (W), n items, k raters:

    - ICC(1) = (R - W) / (R + (k-1) W), ICC(k) = (R - W) / R: each item has raters of its own;
    - ICC(C,1) = (R - E) / (R + (k-1) E), ICC(C,k) = (R - E) / R: consistency, for which it does
      not matter whether a rater is lenient. ICC(C,k) is Cronbach's alpha;
    - ICC(A,1) = (R - E) / (R + (k-1) E + k (C-E) / n), ICC(A,k) = (R - E) / (R + (C-E) / n):
      absolute agreement, for which leniency is error.

    The first of each two is of a single rating, and the second of the mean of k ratings. Intervals
    are McGraw and Wong's (1996, Psychological Methods 1(1), Tables 4, 7 and 8, with the corrections
    of 1(4)); those of ICC(A, ...) are approximate. Raters and items are samples of those that the
    study is about. Where not every rater rated every item, fit a model and use `generalisability`.

    Parameters
    ----------
    data : DataFrame
        One row per rating.
    item, rater, rating : str
        Columns of the item, the rater and the number.
    prob : float, default 0.95
        Probability of the intervals.

    Returns
    -------
    DataFrame
        Index `measure`, with McGraw and Wong's names. `also`: names of Shrout and Fleiss (1979,
        Psychological Bulletin 86(2)). `estimate`, `lower`, `upper`: 1 for perfect agreement, 0 or
        less for none. `items`, `raters`: their numbers, of which `raters` is k. `note`: why a
        measure is missing, else "": all are undefined without variation between the items' means,
        and ICC(A,k) where its denominator is not positive.

    Raises
    ------
    DataError
        If there are fewer than two items or raters, a rating is missing, repeated or no number, or
        all ratings are equal.

    Examples
    --------
    The example of Shrout and Fleiss (1979, Table 2), whose ICC(2,1) is 0.29:

    >>> import pandas as pd
    >>> scores = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9],
    ...           [6, 2, 4, 7]]
    >>> long = pd.DataFrame(scores).rename_axis("face").stack().rename_axis(["face", "judge"])
    >>> found = intraclass(long.reset_index(name="score"), item="face", rater="judge",
    ...                    rating="score")
    >>> found["estimate"].round(2).to_dict()  # doctest: +NORMALIZE_WHITESPACE
    {'ICC(1)': 0.17, 'ICC(k)': 0.44, 'ICC(A,1)': 0.29, 'ICC(A,k)': 0.62, 'ICC(C,1)': 0.71,
     'ICC(C,k)': 0.91}
    """
    prob = number_in(prob, "prob", 0, 1)
    answers = answers_in(data, {"item": item, "rater": rater}, {"rating": rating})
    if len(answers.excluded):
        raise DataError(
            f"{int(answers.excluded['count'].sum()):,} ratings are incomplete",
            hint="fit a model of the ratings that there are, and use generalisability",
            file=answers.name,
        )
    texts = answers.frame.astype({"item": "str", "rater": "str"})  # no levels without rows
    table = texts.set_index(["item", "rater"])["rating"]
    if table.index.has_duplicates:
        raise DataError(
            f"rater {table.index[table.index.duplicated()][0][1]!r} rated an item twice",
            hint="give one rating each, or fit a model with a term (1|item:rater)",
            file=answers.name,
        )
    wide = table.unstack("rater")
    if wide.isna().to_numpy().any():
        raise DataError(
            f"{int(wide.isna().to_numpy().sum()):,} of {wide.size:,} combinations of item and "
            "rater have no rating",
            hint="fit a model of the ratings that there are, and use generalisability",
            file=answers.name,
        )
    n, k = wide.shape
    if n < 2 or k < 2:
        raise DataError(
            f"{n} items by {k} raters", hint="give two or more of both", file=answers.name
        )
    found = intraclass_of(wide.to_numpy(float), prob)
    frame = pd.DataFrame.from_dict(found, orient="index", columns=["estimate", "lower", "upper"])
    frame.index.name = "measure"
    frame.insert(0, "also", pd.Series(ALSO))
    flat = bool(frame["estimate"].isna().all())
    note = "no variation between items" if flat else "the denominator is not positive"
    return frame.assign(items=n, raters=k, note=np.where(frame["estimate"].isna(), note, ""))


def intraclass_of(scores: Floats, prob: float = 0.95) -> dict[str, Limits]:
    """Estimate and limits of each measure in `ALSO` from scores (item, rater); nan if undefined."""
    n, k = scores.shape
    # A correlation has no unit, and squares of numbers such as 1e200 would not be finite.
    squares = mean_squares(scores / (np.abs(scores).max() or 1.0))
    rows, columns, error, within = squares
    if rows + columns + error == 0:
        raise DataError("all ratings are equal", hint="agreement is undefined without variation")
    if rows == 0:
        return dict.fromkeys(ALSO, UNDEFINED)
    one_way = _from_ratio(rows, within, n - 1, n * (k - 1), k, prob)
    two_way = _from_ratio(rows, error, n - 1, (n - 1) * (k - 1), k, prob)
    agreement = _agreement(squares, n, k, prob)
    return {
        "ICC(1)": one_way[0],
        "ICC(k)": one_way[1],
        "ICC(A,1)": agreement,
        "ICC(A,k)": _average(agreement, k),
        "ICC(C,1)": two_way[0],
        "ICC(C,k)": two_way[1],
    }


def mean_squares(scores: Floats) -> tuple[float, float, float, float]:
    """Mean squares of items, raters, error and within items, of scores (item, rater).

    Sums of squares that are within the rounding of the scores are 0.
    """
    n, k = scores.shape
    centred = scores - scores.mean()
    by_row, by_column = centred.mean(axis=1), centred.mean(axis=0)
    rows, columns = k * (by_row**2).sum(), n * (by_column**2).sum()
    rest = ((centred - by_row[:, None] - by_column) ** 2).sum()
    within = ((centred - by_row[:, None]) ** 2).sum()
    least = n * k * (ROUNDING * np.abs(scores).max()) ** 2
    sums = [0.0 if one < least else float(one) for one in (rows, columns, rest, within)]
    degrees = (n - 1, k - 1, (n - 1) * (k - 1), n * (k - 1))
    first, second, third, last = (one / of for one, of in zip(sums, degrees, strict=True))
    return first, second, third, last


def _from_ratio(
    rows: float, error: float, first: int, second: int, k: int, prob: float
) -> tuple[Limits, Limits]:
    """ICC of one rating and of k, with limits from those of F = rows / error."""
    ratio = np.inf if error == 0 else rows / error
    tails = [f_distribution.ppf(at, first, second) for at in ((1 + prob) / 2, (1 - prob) / 2)]
    ratios = [ratio, *(ratio / tail for tail in tails)]
    single = [1.0 if np.isinf(one) else float((one - 1) / (one + k - 1)) for one in ratios]
    average = [float(1 - 1 / one) if one > 0 else -np.inf for one in ratios]
    return (single[0], single[1], single[2]), (average[0], average[1], average[2])


def _average(single: Limits, k: int) -> Limits:
    """The Spearman-Brown formula: from one rating to the mean of k.

    At -1/(k-1) it goes to minus infinity, below which no reliability of a mean is defined.
    """
    estimate, lower, upper = (
        k * one / (1 + (k - 1) * one) if (k - 1) * one > -1 else -np.inf for one in single
    )
    return (estimate, lower, upper) if np.isfinite(estimate) else UNDEFINED


def _agreement(squares: tuple[float, float, float, float], n: int, k: int, prob: float) -> Limits:
    """ICC(A,1) with McGraw and Wong's approximate limits (1996, Table 7)."""
    rows, columns, error, _ = squares
    rest = k * columns + (k * n - k - n) * error
    single = n * (rows - error) / (rest + n * rows)
    if single == 1:
        return 1.0, 1.0, 1.0
    a = k * single / (n * (1 - single))
    b = 1 + k * single * (n - 1) / (n * (1 - single))
    parts = (a * columns) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1))
    # Satterthwaite's degrees are no fewer than the least of their parts, if no weight is negative.
    degrees = max((a * columns + b * error) ** 2 / parts, k - 1)
    low = f_distribution.ppf((1 + prob) / 2, n - 1, degrees)
    high = f_distribution.ppf((1 + prob) / 2, degrees, n - 1)
    lower = n * (rows / low - error) / (rest + n * rows / low)
    upper = n * (rows - error / high) / (rest / high + n * rows)  # F may be infinite
    return float(single), float(lower), float(upper)
