"""Columns of designs side by side, and what they are to each other, whatever their rows."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from causalbias.inference.threads import one_thread
from causalbias.io.memory import chunks

FloatArray = NDArray[np.float64]
BLOCK = 1024  # rows factored together: with some tens of columns they fit a processor's cache


def side_by_side(parts: Iterable[NDArray[np.floating]], rows: int) -> FloatArray:
    """Vectors (rows,) and matrices (rows, k) as the columns of one matrix, column by column.

    Examples
    --------
    >>> side_by_side([np.ones(2), np.array([[3.0, 5.0], [4.0, 6.0]])], 2).tolist()
    [[1.0, 3.0, 5.0], [1.0, 4.0, 6.0]]
    """
    found = [np.asarray(one, float).reshape(rows, -1) for one in parts]
    whole = np.empty((rows, sum(one.shape[1] for one in found)), order="F")
    at = 0
    for one in found:
        whole[:, at : at + one.shape[1]] = one
        at += one.shape[1]
    return whole


def triangle(columns: FloatArray) -> FloatArray:
    """The R (p, p) of columns (rows, p) = Q R, at least as many rows as columns or all of them.

    Norms, products and least squares of combinations of the columns are those of R's, which has p
    rows instead of all. Blocks of rows are factored one by one, and then their factors.

    Source: Demmel, Grigori, Hoemmen and Langou (2012), Communication-optimal parallel and
    sequential QR and LU factorizations, SIAM J. Sci. Comput. 34(1), section 4.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(5000, 3))
    >>> root = triangle(x)
    >>> root.shape, bool(np.allclose(root.T @ root, x.T @ x))
    ((3, 3), True)
    """
    size = max(BLOCK, 4 * columns.shape[1])
    with one_thread():  # on so few rows threads wait for one another
        while len(columns) > size:
            starts = range(0, len(columns), size)
            columns = np.vstack([np.linalg.qr(columns[at : at + size], mode="r") for at in starts])
        return np.linalg.qr(columns, mode="r")


def triangle_of(
    parts: Sequence[NDArray[np.floating]], repeats: FloatArray | None = None
) -> FloatArray:
    """`triangle` of vectors (rows,) and matrices (rows, k) side by side, not copied as a whole.

    ``repeats`` (rows,): how often each row counts; once by default.

    Examples
    --------
    >>> x = np.arange(6.0).reshape(3, 2)
    >>> triangle_of([np.ones(3), x], np.array([1.0, 2.0, 1.0])).shape
    (3, 3)
    """
    rows, width = len(parts[0]), sum(one.shape[1] if one.ndim == 2 else 1 for one in parts)
    roots = [np.empty((0, width))]
    for some in chunks(rows, 8 * width):
        own = side_by_side([one[some] for one in parts], len(parts[0][some]))
        if repeats is not None:
            own *= np.sqrt(repeats[some])[:, None]
        roots.append(triangle(own))
    return roots[-1] if len(roots) <= 2 else triangle(np.vstack(roots))


def average(values: FloatArray, repeats: FloatArray | None) -> FloatArray:
    """Mean over rows of a vector (rows,) or of each column (rows, p), rows counted so often.

    Examples
    --------
    >>> float(average(np.array([1.0, 4.0]), np.array([2.0, 1.0])))
    2.0
    """
    if repeats is None:
        return np.asarray(values.mean(axis=0))
    return np.asarray(repeats @ values / repeats.sum())


def spread(values: FloatArray, repeats: FloatArray | None) -> FloatArray:
    """Standard deviation over rows, as `average` is the mean.

    Examples
    --------
    >>> float(spread(np.array([1.0, 4.0]), np.array([1.0, 1.0])))
    1.5
    """
    if repeats is None:
        return np.asarray(np.std(values, axis=0))
    return np.sqrt(average(np.square(values - average(values, repeats)), repeats))


def of_rows(values: FloatArray, repeats: FloatArray | None) -> FloatArray:
    """Numbers with the mean and the standard deviation of values of rows counted so often.

    They are the values themselves where each row is one.

    Examples
    --------
    >>> of_rows(np.array([1.0, 4.0]), np.array([2.0, 2.0])).tolist()
    [1.0, 4.0]
    """
    if repeats is None:
        return values
    return average(values, repeats) + np.array([-1.0, 1.0]) * spread(values, repeats)
