"""Statistics of rows that a wrong model gets wrong, on plain arrays.

A quantity is computed of the data (draws, k) and of replicates (draws, k), both given the same
draws of the parameters, and one p is given for all k: the largest distance from the replicates'
mean, in their standard deviations, against that of the replicates themselves. If the model is
right, p < a with probability below 2a (Meng 1994, Annals of Statistics 22(3)), and as a rule
below a.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from causalbias.inference.membership import membership
from causalbias.inference.problem import FloatArray


class Subject(NamedTuple):
    """What a check is of, as data: its texts are for people, and may change.

    Attributes
    ----------
    kind : str
        What was compared, "means by group"; of the draws, the diagnostic.
    factor : str
        The grouping factor as formulas write it, "seed:race" or "mm(seed_a, seed_b)"; "" if none.
    columns : tuple of str
        Columns by which rows were grouped, or whose effect is meant; empty for all rows.
    levels : tuple of str
        The level of each column; empty if none is singled out.
    """

    kind: str
    factor: str = ""
    columns: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()

    @property
    def cell(self) -> str:
        """The rows that it is of, in words.

        Examples
        --------
        >>> Subject("tails", columns=("race", "pose"), levels=("black", "3")).cell
        'race black, pose 3'
        >>> Subject("tails").cell
        'all rows'
        """
        both = zip(self.columns, self.levels, strict=False)
        return ", ".join(f"{name} {level}" for name, level in both) or "all rows"


@dataclass(frozen=True)
class Comparison:
    """The worst of k quantities of one kind, and how far it is from the model's replicates.

    Attributes
    ----------
    at : int
        Which quantity.
    value : float
        Of the data.
    low, high : float
        Middle 99% of the replicates.
    p : float
        Of all k quantities together.
    draws : int
        Number of replicates.
    """

    at: int
    value: float
    low: float
    high: float
    p: float
    draws: int


def compare(data: FloatArray, replicates: FloatArray) -> Comparison:
    """Compare quantities of the data with those of replicates.

    Parameters
    ----------
    data, replicates : ndarray (draws, k)

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = compare(np.tile([0.1, 9.0], (200, 1)), rng.normal(size=(200, 2)))
    >>> found.at, found.value, found.p < 0.01
    (1, 9.0, True)
    """
    mean, sd = replicates.mean(axis=0), replicates.std(axis=0)
    # A quantity that no replicate varies (a category that never occurs) is far off if it differs
    # by more than rounding: sums of the same numbers in another order differ in their last digits.
    scale = np.maximum(sd, 1e-9 * np.abs(mean) + 1e-12)
    of_data, of_replicates = (np.abs(one - mean) / scale for one in (data, replicates))
    beyond = (of_replicates.max(axis=1) >= of_data.max(axis=1)).sum()
    at = int((np.abs(data.mean(axis=0) - mean) / scale).argmax())
    low, high = np.quantile(replicates[:, at], [0.005, 0.995])
    return Comparison(
        at=at,
        value=float(data[:, at].mean()),
        low=float(low),
        high=float(high),
        p=float(1 + beyond) / (1 + len(data)),
        draws=len(data),
    )


def levels_in_twos(
    frame: pd.DataFrame, columns: Sequence[str], kind: str
) -> Iterator[tuple[Subject, np.ndarray]]:
    """Each level of each column, and each that occurs of two, as a subject; and its rows."""
    for names in [*((name,) for name in columns), *combinations(columns, 2)]:
        for values, rows in frame.groupby(list(names), observed=True).indices.items():
            told = values if isinstance(values, tuple) else (values,)
            levels = tuple(f"{v:g}" if isinstance(v, float) else str(v) for v in told)
            yield Subject(kind, columns=names, levels=levels), np.asarray(rows)


def averages(codes: np.ndarray) -> sparse.csr_matrix:
    """Matrix (rows, cells) by which rows are averaged within their cells 0, 1, ..."""
    sizes = np.bincount(codes)
    return membership((1 / sizes[codes])[:, None], codes[:, None], len(sizes))


def skew_and_kurtosis(values: FloatArray) -> FloatArray:
    """Skewness and excess kurtosis (draws, 2) of values (draws, n).

    Examples
    --------
    >>> skew_and_kurtosis(np.array([[-1.0, -1.0, 1.0, 1.0]]))
    array([[ 0., -2.]])
    """
    centred = values - values.mean(axis=1, keepdims=True)
    square, n = centred * centred, values.shape[1]
    variance = square.mean(axis=1)
    third = np.einsum("ij,ij->i", square, centred) / n
    fourth = np.einsum("ij,ij->i", square, square) / n
    return np.column_stack([third / variance**1.5, fourth / variance**2 - 3])


def kurtosis_of_spread(values: FloatArray, codes: np.ndarray) -> float:
    """Excess kurtosis that normal values (n,) have by differing in variance between groups.

    ``3 (E v^2 / (E v)^2 - 1)`` of the groups' variances v, rows by rows; that of an estimate of v
    by m values, 2 v^2 / m, is taken off.

    Examples
    --------
    >>> rng, codes = np.random.default_rng(0), np.repeat([0, 1], 10_000)
    >>> round(kurtosis_of_spread(rng.normal(0, 1 + codes), codes), 1)
    1.1
    """
    size = np.bincount(codes)
    variance = np.bincount(codes, values**2) / size
    square = variance**2 * size / (size + 2)
    return float(3 * (size @ square / size.sum() / (size @ variance / size.sum()) ** 2 - 1))


def spread_of_means(values: FloatArray, means: sparse.csr_matrix) -> FloatArray:
    """Standard deviation (draws,) of the cells' means of values (draws, n), cells by their size."""
    size = 1 / np.maximum(means.max(axis=0).toarray().ravel(), 1e-300)
    of_cells = np.asarray(values @ means)
    centre = (of_cells @ size / size.sum())[:, None]
    return np.sqrt((of_cells - centre) ** 2 @ size / size.sum())
