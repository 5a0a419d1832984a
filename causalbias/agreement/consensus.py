"""Consensus of annotators on each item: HCIC and perceived attributes, with uncertainty."""

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import beta

from causalbias.agreement.counts import ratings_of
from causalbias.arguments import number_in
from causalbias.errors import DataError


def hcic(study: xr.DataTree, question: str = "identity", *, prob: float = 0.95) -> pd.DataFrame:
    """Compute the mean answer for each item, with its uncertainty.

    For "identity", the mean answer is the Human Consensus Identity Confidence of each pair (Liang,
    Perona, Balakrishnan 2023); for other questions, it is a face's perceived attribute. The mean
    answer is a post-treatment variable: selecting pairs by it conditions on an outcome of the
    manipulation.

    Parameters
    ----------
    study : DataTree
        A study with judgements.
    question : str
        The question, by default "identity"; the CausalFace release also has "gender", "skin_tone",
        "age" and "expression".
    prob : float, default 0.95
        Probability of the intervals.

    Returns
    -------
    DataFrame
        Index `pair` or `stimulus`. `n`: number of annotators; the first answer of each counts, and
        ``.attrs["repeats"]`` is the number of further answers. `mean`: mean answer, in units of the
        scale. `spread`: standard deviation of the answers (n - 1), missing for a single answer.
        `error`, `lower`, `upper`: standard error and interval of the mean answer in the population
        of annotators. They are from a Dirichlet posterior whose prior has the weight of one answer
        and the mean of the average item, so that unanimous answers have a standard error above 0.

    Raises
    ------
    DataError
        If the question has no answers, or its scores are not whole numbers.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=4, levels={"pose": [-3, 0, 3]}, impostors=4)
    >>> cb.agreement.hcic(study).columns.tolist()
    ['n', 'mean', 'spread', 'error', 'lower', 'upper']
    """
    prob = number_in(prob, "prob", 0, 1)
    ratings = ratings_of(study, question)
    counts, values = ratings.counts(), ratings.values
    n = counts.sum(axis=1)
    mean = counts @ values / n
    # About the middle: of scores far from zero, sums of squares would have lost what differs.
    apart = values - values.mean()
    squares = counts @ apart**2 - (counts @ apart) ** 2 / n
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.where(n > 1, np.sqrt(np.maximum(squares, 0) / (n - 1)), np.nan)
    expected, error = dirichlet_mean(counts, values)
    shape = _beta_shape(expected, error, values)
    width = values[-1] - values[0]
    lower, upper = (
        values[0] + width * beta.ppf(at, *shape) for at in ((1 - prob) / 2, (1 + prob) / 2)
    )
    table = pd.DataFrame(
        {"n": n, "mean": mean, "spread": spread, "error": error, "lower": lower, "upper": upper},
        index=pd.Index(ratings.items, name=ratings.target),
    )
    table.attrs["repeats"] = ratings.repeats
    return table


def consensus(
    study: xr.DataTree, threshold: float | None = None, *, question: str = "identity"
) -> pd.DataFrame:
    """Label each item by its mean answer, with the probability that the label is correct.

    Parameters
    ----------
    study : DataTree
        A study with judgements.
    threshold : float, optional
        Items whose mean is at or above the threshold, in units of the scale, are labelled True
        ("same"). By default it is the middle of the scale.
    question : str
        The question.

    Returns
    -------
    DataFrame
        Index `pair` or `stimulus`. `n`, `mean`: as in `hcic`. `label`: bool. `probability`:
        posterior probability that the mean in the population of annotators lies on the label's side
        of the threshold. Use it in later analyses, as a weight or to draw labels, rather than
        dropping items with uncertain labels.

    Raises
    ------
    DataError
        As in `hcic`.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=4, levels={"pose": [-3, 0, 3]}, impostors=4)
    >>> labels = cb.agreement.consensus(study)
    >>> bool((labels["probability"] > 0.9).mean() > 0.5)
    True
    """
    ratings = ratings_of(study, question)
    counts, values = ratings.counts(), ratings.values
    threshold = threshold_on(values, threshold)
    n = counts.sum(axis=1)
    mean = counts @ values / n
    label = mean >= threshold
    shape = _beta_shape(*dirichlet_mean(counts, values), values)
    below = beta.cdf((threshold - values[0]) / (values[-1] - values[0]), *shape)
    table = pd.DataFrame(
        {"n": n, "mean": mean, "label": label, "probability": np.where(label, 1 - below, below)},
        index=pd.Index(ratings.items, name=ratings.target),
    )
    table.attrs["repeats"] = ratings.repeats
    return table


def threshold_on(values: np.ndarray, threshold: float | None) -> float:
    """Return the threshold of a label on a scale: the one given, or the middle.

    Raises
    ------
    DataError
        If it is no number above the lowest value, and at most the highest.
    """
    if threshold is None:
        return float(values[0] + values[-1]) / 2
    found = number_in(threshold, "threshold")
    if not values[0] < found <= values[-1]:
        raise DataError(
            f"threshold is {found:g}, and the scale from {values[0]:g} to {values[-1]:g}",
            hint=f"give one above {values[0]:g} and at most {values[-1]:g}",
        )
    return found


def dirichlet_mean(counts: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute posterior mean and standard deviation of each item's mean score.

    The prior is a Dirichlet distribution of total weight 1, whose means are the overall shares of
    the categories; 1 is added to each overall count, so that no share is 0.

    Parameters
    ----------
    counts : ndarray of int (item, category)
        Number of answers.
    values : ndarray (category,)
        Scores of the categories.

    Returns
    -------
    mean, sd : ndarray (item,)
        Posterior mean and standard deviation.

    Examples
    --------
    >>> mean, sd = dirichlet_mean(np.array([[1, 1]]), np.array([0.0, 1.0]))
    >>> mean.round(3), sd.round(3)
    (array([0.5]), array([0.25]))
    """
    total = counts.sum(axis=0) + 1.0
    posterior = counts + total / total.sum()
    weight = posterior.sum(axis=1)
    mean = posterior @ values / weight
    variance = (posterior @ values**2 / weight - mean**2) / (weight + 1)
    return mean, np.sqrt(variance)


def _beta_shape(
    mean: np.ndarray, sd: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the parameters of the beta distribution on the scale with a mean and an sd."""
    width = values[-1] - values[0]
    centre = (mean - values[0]) / width
    size = centre * (1 - centre) / (sd / width) ** 2 - 1
    return centre * size, (1 - centre) * size
