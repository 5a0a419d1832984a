"""Reliability of annotators: Krippendorff's alpha and the intraclass correlation."""

from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import f as f_distribution

from causalbias.agreement.counts import answers_of, occasions, ratings_of
from causalbias.arguments import generator, number_in, whole_in
from causalbias.errors import DataError

Level = Literal["nominal", "ordinal", "interval"]
LEVELS: tuple[Level, ...] = ("nominal", "ordinal", "interval")


def reliability(
    study: xr.DataTree,
    question: str = "identity",
    *,
    prob: float = 0.95,
    resamples: int = 2000,
    random_seed: int = 0,
) -> pd.DataFrame:
    """Compute the reliability of the answers to a question: agreement between annotators.

    Parameters
    ----------
    study : DataTree
        A study with judgements.
    question : str
        The question.
    prob : float, default 0.95
        Probability of the intervals.
    resamples : int
        Number of bootstrap resamples of items for the intervals of alpha. Annotators, and the
        seeds that items share, are taken as fixed.
    random_seed : int
        Seed of the bootstrap.

    Returns
    -------
    DataFrame
        Index `measure`: alpha at three levels of measurement, ICC(1) of a single answer, and ICC(k)
        of the mean of k answers, where k is the average number of answers per item (see `icc`).
        Columns `estimate`, `lower`, `upper`, `items` (with two or more answers), `annotators`, and
        `repeats`, the number of further answers of an annotator to the same item. These are left
        out, as they are not informative about agreement between annotators (see `retest`).

    Raises
    ------
    DataError
        If there is only one annotator, no item has two answers, or all answers are the same.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=4, levels={"pose": [-3, 0, 3]}, impostors=4)
    >>> cb.reliability(study, "gender").index.tolist()
    ['alpha (nominal)', 'alpha (ordinal)', 'alpha (interval)', 'ICC(1)', 'ICC(k)']
    """
    prob = number_in(prob, "prob", 0, 1)
    resamples = whole_in(resamples, "resamples", 1)
    ratings = ratings_of(study, question)
    counts = ratings.counts()
    if len(ratings.annotators) < 2 and ratings.repeats:
        raise DataError(
            f"there is only one annotator ({ratings.repeats:,} repeats)",
            hint="agreement needs two or more annotators; for repeated answers see retest",
        )
    table = _measures(counts, ratings.values, prob, resamples, random_seed)
    return table.assign(annotators=len(ratings.annotators), repeats=ratings.repeats)


def retest(
    study: xr.DataTree,
    question: str = "identity",
    *,
    prob: float = 0.95,
    resamples: int = 2000,
    random_seed: int = 0,
) -> pd.DataFrame:
    """Compute the test-retest reliability: agreement of annotators with their earlier answers.

    The units are combinations of annotator and item, and the trials are their answers.

    Parameters
    ----------
    study, question, prob, resamples, random_seed
        As in `reliability`.

    Returns
    -------
    DataFrame
        As in `reliability`, where `items` is the number of combinations of annotator and item with
        two or more answers, and `repeats` the number of answers after the first.

    Raises
    ------
    DataError
        If no annotator answered an item twice, or all answers are the same.

    Examples
    --------
    >>> import pandas as pd, causalbias as cb
    >>> twice = pd.DataFrame({"stimulus": list("xxyyzz"), "annotator": "a", "trial": [1, 2] * 3,
    ...                       "score": [0, 0, 4, 4, 2, 3], "question": "age"})
    >>> study = cb.make_study(factors=["seed"], judgements=twice, scales=(0, 4))
    >>> bool(cb.agreement.retest(study, "age").loc["alpha (interval)", "estimate"] > 0.9)
    True
    """
    prob = number_in(prob, "prob", 0, 1)
    resamples = whole_in(resamples, "resamples", 1)
    target, answers = answers_of(study, question)
    repeats = int((occasions(answers) > 0).sum())
    if not repeats:
        raise DataError(
            "no annotator answered an item twice",
            hint="ask some questions again, and number the answers in a column trial",
        )
    values = ratings_of(study, question).values
    unit = answers.groupby(["annotator", target], sort=False).ngroup().to_numpy()
    counts = np.zeros((unit.max() + 1, len(values)), dtype=int)
    np.add.at(counts, (unit, (answers["score"].to_numpy() - values[0]).astype(int)), 1)
    table = _measures(counts, values, prob, resamples, random_seed)
    again = answers[occasions(answers) > 0]
    return table.assign(annotators=again["annotator"].nunique(), repeats=repeats)


def _measures(
    counts: np.ndarray, values: np.ndarray, prob: float, resamples: int, random_seed: int
) -> pd.DataFrame:
    """Compute alpha and the ICC from counts (unit, category), with intervals."""
    rows = {}
    for level in LEVELS:
        estimate = alpha(counts, level, values)
        draws = bootstrap_alpha(counts, level, values, resamples, random_seed)
        rows[f"alpha ({level})"] = (estimate, *np.quantile(draws, _tails(prob)))
    single, average = icc(counts, values, prob)
    rows |= {"ICC(1)": single, "ICC(k)": average}
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["estimate", "lower", "upper"])
    frame.index.name = "measure"
    return frame.assign(items=int((counts.sum(axis=1) > 1).sum()))


def _tails(prob: float) -> list[float]:
    return [(1 - prob) / 2, (1 + prob) / 2]


def alpha(counts: np.ndarray, level: Level = "ordinal", values: np.ndarray | None = None) -> float:
    """Compute Krippendorff's alpha: 1 - observed disagreement / expected disagreement.

    Source: Krippendorff (2019), Content Analysis, 4th ed., chapter 12.

    Parameters
    ----------
    counts : ndarray of int (item, category)
        Number of answers; items with fewer than two answers are ignored.
    level : {"nominal", "ordinal", "interval"}
        Level of measurement, which determines the difference between categories.
    values : ndarray (category,), optional
        Scores of the categories, for "interval"; by default 0, 1, ...

    Returns
    -------
    float
        1 for perfect agreement, 0 for agreement by chance, below 0 for systematic disagreement.

    Raises
    ------
    DataError
        If no item has two answers, or all answers are the same (alpha is then 0 / 0).

    Examples
    --------
    >>> alpha(np.array([[2, 0], [0, 2], [2, 0]]), "nominal")
    1.0
    """
    pairable = _pairable(counts)
    return float(_alpha(_coincidences(pairable).sum(axis=0)[None], level, values)[0])


def _pairable(counts: np.ndarray) -> np.ndarray:
    pairable = np.asarray(counts)[np.asarray(counts).sum(axis=1) > 1]
    if len(pairable) == 0:
        raise DataError(
            "no item has two answers", hint="agreement needs two or more answers to an item"
        )
    if (pairable.sum(axis=0) > 0).sum() < 2:
        raise DataError("all answers are the same", hint="agreement is undefined without variation")
    return pairable


def _coincidences(counts: np.ndarray) -> np.ndarray:
    """Compute the coincidence matrix of each item, (item, category, category)."""
    counts = counts.astype(float)
    both = counts[:, :, None] * counts[:, None, :]
    diagonal = np.arange(counts.shape[1])
    both[:, diagonal, diagonal] -= counts
    return both / (counts.sum(axis=1) - 1)[:, None, None]


def _alpha(coincidences: np.ndarray, level: Level, values: np.ndarray | None) -> np.ndarray:
    """Compute alpha from coincidence matrices (resample, category, category)."""
    margins = coincidences.sum(axis=2)
    total = margins.sum(axis=1)
    distance = _distances(margins, level, values)
    observed = (coincidences * distance).sum(axis=(1, 2))
    expected = (margins[:, :, None] * margins[:, None, :] * distance).sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 - (total - 1) * observed / expected


def _distances(margins: np.ndarray, level: Level, values: np.ndarray | None) -> np.ndarray:
    """Compute squared differences between categories, (resample, category, category)."""
    size = margins.shape[1]
    if level == "nominal":
        return np.broadcast_to(1.0 - np.eye(size), (len(margins), size, size))
    if level == "interval":
        values = np.arange(size) if values is None else np.asarray(values, dtype=float)
        return np.broadcast_to((values[:, None] - values) ** 2, (len(margins), size, size))
    if level == "ordinal":
        # Number of answers between the middles of two categories.
        middle = np.cumsum(margins, axis=1) - margins / 2
        return (middle[:, :, None] - middle[:, None, :]) ** 2
    raise ValueError(f"level is {level!r}; use one of {', '.join(LEVELS)}")


def bootstrap_alpha(
    counts: np.ndarray, level: Level, values: np.ndarray | None, resamples: int, random_seed: int
) -> np.ndarray:
    """Compute alpha of bootstrap resamples of items, (resample,).

    Items with equal counts are drawn together by a multinomial distribution, so that the cost
    depends on the number of different items only: a few hundred for 9 answers in 5 categories.
    """
    patterns, times = np.unique(_pairable(counts), axis=0, return_counts=True)
    rng = generator(random_seed)
    drawn = rng.multinomial(times.sum(), times / times.sum(), size=resamples)
    each = _coincidences(patterns)
    draws = _alpha(np.tensordot(drawn.astype(float), each, axes=1), level, values)
    return draws[np.isfinite(draws)]  # a resample without variation has no alpha


def icc(
    counts: np.ndarray, values: np.ndarray | None = None, prob: float = 0.95
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Compute the one-way random intraclass correlation, with Shrout and Fleiss' F interval.

    It is valid if each item has a separate sample of annotators. With unequal numbers of answers, k
    is n0 of the unbalanced analysis of variance, and the interval is approximate. Sources: Shrout
    and Fleiss (1979), Psychological Bulletin 86(2); Searle (1971), Linear Models, for n0.

    Parameters
    ----------
    counts : ndarray of int (item, category)
        Number of answers.
    values : ndarray (category,), optional
        Scores of the categories; by default 0, 1, ...
    prob : float, default 0.95
        Probability of the intervals.

    Returns
    -------
    single, average : (estimate, lower, upper)
        ICC(1) of a single answer, and ICC(k) of the mean of k answers; missing if the means of all
        items are equal.

    Raises
    ------
    DataError
        If no item has two answers, or all answers are the same.
    """
    counts = _pairable(counts).astype(float)
    values = np.arange(counts.shape[1]) if values is None else np.asarray(values, dtype=float)
    size, total = counts.sum(axis=1), counts.sum()
    if len(size) < 2:
        raise DataError(
            "there is a single item", hint="the intraclass correlation needs two or more items"
        )
    # Of scores far from zero, sums of squares would have lost what differs.
    values = values - values.mean()
    mean = counts @ values / size
    between = (size * (mean - (size @ mean) / total) ** 2).sum() / (len(size) - 1)
    rest = total - len(size)
    within = (counts @ values**2 - size * mean**2).sum() / rest
    k = (total - (size**2).sum() / total) / (len(size) - 1)
    rounding = total * (1e-13 * np.abs(values).max()) ** 2
    if between <= rounding:  # no reliability is defined where no item differs
        return (np.nan,) * 3, (np.nan,) * 3
    ratio = np.inf if within <= 1e-13 * (values**2).max() else between / within
    low, high = _tails(prob)
    degrees = (len(size) - 1, rest)
    # The estimate and the limits of the interval follow from the F ratio and its limits.
    ratios = [
        ratio,
        ratio / f_distribution.ppf(high, *degrees),
        ratio / f_distribution.ppf(low, *degrees),
    ]
    with np.errstate(invalid="ignore"):
        single = [1.0 if np.isinf(one) else float((one - 1) / (one + k - 1)) for one in ratios]
    average = [float(1 - 1 / one) if one > 0 else -np.inf for one in ratios]
    return (single[0], single[1], single[2]), (average[0], average[1], average[2])
