"""Consensus of annotators on each item: HCIC and perceived attributes, with their uncertainty."""

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import beta

from causalbias.agreement.counts import ratings_of


def hcic(study: xr.DataTree, question: str = "identity", *, prob: float = 0.95) -> pd.DataFrame:
    """Mean answer for each item, with its uncertainty.

    For "identity" this is the Human Consensus Identity Confidence of each pair (Liang, Perona,
    Balakrishnan 2023); for other questions, each face's perceived attribute. It is measured after
    the treatment: to select pairs by it conditions on an outcome of the manipulation.

    Parameters
    ----------
    study : DataTree
    question : str
        By default "identity"; in the release also "gender", "skin_tone", "age", "expression".
    prob : float, default 0.95
        Probability of the intervals.

    Returns
    -------
    DataFrame
        Index `pair` or `stimulus`. `n`: annotators who answered, each by the first answer; how many
        further answers were left out is in ``.attrs["repeats"]``. `mean`: in units of the scale.
        `spread`: their standard deviation (n - 1), missing for a single one. `error`, `lower`,
        `upper`: standard error and interval of what all annotators would say on average; from a
        Dirichlet posterior whose prior is worth one answer of the average item, so that unanimous
        annotators do not make a mean certain.

    Raises
    ------
    DataError
        If nobody was asked that question, or its scores are not whole numbers.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=4, levels={"pose": [-3, 0, 3]}, impostors=4)
    >>> cb.agreement.hcic(study).columns.tolist()
    ['n', 'mean', 'spread', 'error', 'lower', 'upper']
    """
    _check_prob(prob)
    ratings = ratings_of(study, question)
    counts, values = ratings.counts(), ratings.values
    n = counts.sum(axis=1)
    mean = counts @ values / n
    squares = counts @ values**2 - n * mean**2
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
    """Label each item by its mean answer, with the probability that the label is right.

    Parameters
    ----------
    study : DataTree
    threshold : float, optional
        Means at or above it are labelled True ("same"), in units of the scale; by default its
        middle.
    question : str

    Returns
    -------
    DataFrame
        Index `pair` or `stimulus`. `n`, `mean`: as of `hcic`. `label`: bool.
        `probability`: that all annotators' mean lies on the label's side of the threshold.
        Carry it on, as a weight or by drawing labels, rather than dropping doubtful items.

    Raises
    ------
    DataError
        As `hcic`.

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
    if threshold is None:
        threshold = float(values[0] + values[-1]) / 2
    if not values[0] < threshold <= values[-1]:
        raise ValueError(
            f"threshold is {threshold:g}; give one above {values[0]:g}, to {values[-1]:g}"
        )
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


def dirichlet_mean(counts: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Posterior mean and standard deviation of each item's mean score.

    The prior is a Dirichlet with the categories' overall shares (each category counted once more,
    so that none is impossible), of weight 1.

    Parameters
    ----------
    counts : ndarray of int (item, category)
    values : ndarray (category,)

    Returns
    -------
    mean, sd : ndarray (item,)

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
    """Parameters of the beta distribution on the scale with this mean and sd."""
    width = values[-1] - values[0]
    centre = (mean - values[0]) / width
    size = centre * (1 - centre) / (sd / width) ** 2 - 1
    return centre * size, (1 - centre) * size


def _check_prob(prob: float) -> None:
    if not 0 < prob < 1:
        raise ValueError(f"prob is {prob}; give a probability between 0 and 1")
