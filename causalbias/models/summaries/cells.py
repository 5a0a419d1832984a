"""Cells: rows alike in all that a model knows of them, with the sums of what is left.

Rows of a cell have the same levels and values of all columns but a few, v of them: the response
and columns that enter the model linearly. A Gaussian likelihood needs of these no more than their
number n, their means m (v,) and their cross-products about these, ``S = sum_i (v_i - m)(v_i - m)'``
(sufficient statistics). They add: of two parts of a cell with n_1 and n_2 rows,

    n = n_1 + n_2,   m = (n_1 m_1 + n_2 m_2) / n,   S = sum_k S_k + n_k (m_k - m)(m_k - m)'

(Chan, Golub and LeVeque 1983, The American Statistician 37(3), equation 2.1), which loses no digits
as sums of squares do. A few weighted rows with the same n, m and S (`equal_rows`) have the same
likelihood as the rows themselves, whatever the parameters. Where the response is counted, by which
rows are told apart as well, v is zero and a cell is one row that counts n times.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
_MAX_NUMBER = 2**62
_ROUNDED = 1e-13  # variances that rounding makes of none, relative to the largest
_DENSE = 4  # cells that could be, over rows, up to which they are numbered without a search


@dataclass(frozen=True)
class Cells:
    """Cells with their sums.

    Attributes
    ----------
    keys : dict of str to ndarray (cells,)
        By column, the number of the level (of text) or the value (of numbers) of each cell.
    n : ndarray (cells,) of int
        Number of rows.
    mean : ndarray (cells, v)
    scatter : ndarray (cells, v, v)
        Cross-products about the means.
    """

    keys: dict[str, NDArray[np.generic]]
    n: Ints
    mean: Floats
    scatter: Floats

    def __len__(self) -> int:
        return len(self.n)


def cells_of(keys: dict[str, NDArray[np.generic]], values: Floats) -> Cells:
    """The cells of rows with keys (rows,) and values (rows, v).

    Examples
    --------
    >>> found = cells_of({"g": np.array([1, 0, 1])}, np.array([[2.0], [5.0], [4.0]]))
    >>> found.keys["g"].tolist(), found.n.tolist(), found.mean[:, 0].tolist()
    ([0, 1], [1, 2], [5.0, 3.0])
    >>> found.scatter.ravel().tolist()
    [0.0, 2.0]
    """
    number, first = _numbered(keys.values(), len(values))
    n, mean, scatter = _sums(number, len(first), values)
    return Cells({name: one[first] for name, one in keys.items()}, n, mean, scatter)


@_compiled
def _sums(number: Ints, many: int, values: Floats) -> tuple[Ints, Floats, Floats]:
    """``n``, ``m`` and ``S`` of the head of this file, of each of many cells."""
    rows, v = values.shape
    n = np.zeros(many, np.int64)
    mean, scatter = np.zeros((many, v)), np.zeros((many, v, v))
    start = values[:1].copy()  # near the means, so that sums keep digits
    for i in range(rows):
        n[number[i]] += 1
        for a in range(v):
            mean[number[i], a] += values[i, a] - start[0, a]
    for k in range(many):
        for a in range(v):
            mean[k, a] = start[0, a] + mean[k, a] / n[k]
    for i in range(rows):
        k = number[i]
        for a in range(v):
            for b in range(a, v):
                scatter[k, a, b] += (values[i, a] - mean[k, a]) * (values[i, b] - mean[k, b])
    for k in range(many):
        for a in range(v):
            for b in range(a):
                scatter[k, a, b] = scatter[k, b, a]
    return n, mean, scatter


def added(parts: Sequence[Cells]) -> Cells:
    """The cells of all rows together, sorted by their keys.

    Examples
    --------
    >>> whole = cells_of({"g": np.array([0, 0, 0])}, np.array([[1.0], [2.0], [6.0]]))
    >>> parts = [cells_of({"g": np.zeros(1, int)}, np.array([[y]])) for y in (1.0, 2.0, 6.0)]
    >>> sums = added(parts)
    >>> sums.n.tolist(), np.allclose(sums.mean, whole.mean), np.allclose(sums.scatter, 14.0)
    ([3], True, True)
    """

    def whole(name: str) -> NDArray[np.generic]:  # one at a time: they may fill the memory
        return np.concatenate([one.keys[name] for one in parts])

    names = list(parts[0].keys)
    n = np.concatenate([one.n for one in parts])
    means = np.concatenate([one.mean for one in parts])
    scatters = np.concatenate([one.scatter for one in parts])
    number, first = _numbered(map(whole, names), len(n))
    many, v = len(first), means.shape[1]
    total = np.bincount(number, n, many)
    mean, scatter = np.empty((many, v)), np.empty((many, v, v))
    apart = np.empty_like(means)
    for a in range(v):
        start = means[first, a]
        mean[:, a] = start + np.bincount(number, n * (means[:, a] - start[number]), many) / total
        apart[:, a] = means[:, a] - mean[number, a]
    for a in range(v):
        for b in range(a, v):
            each = scatters[:, a, b] + n * apart[:, a] * apart[:, b]
            scatter[:, a, b] = scatter[:, b, a] = np.bincount(number, each, many)
    keys = {name: whole(name)[first] for name in names}
    return Cells(keys, np.rint(total).astype(np.int64), mean, scatter)


def without_keys(cells: Cells, names: Collection[str]) -> Cells:
    """The cells of the other keys.

    Examples
    --------
    >>> keys = {"g": np.array([0, 0, 1]), "y": np.array([0, 1, 1])}
    >>> without_keys(cells_of(keys, np.empty((3, 0))), ["y"]).n.tolist()
    [2, 1]
    """
    left = {name: one for name, one in cells.keys.items() if name not in names}
    if len(left) == len(cells.keys):
        return cells
    return added([Cells(left, cells.n, cells.mean, cells.scatter)])


def _numbered(keys: Iterable[NDArray[np.generic]], rows: int) -> tuple[Ints, Ints]:
    """The number (rows,) of each row's combination of keys, and where each has its first row.

    Combinations are numbered in the order of their keys.
    """
    number, size = np.zeros(rows, np.int64), 1
    for one in keys:
        codes, low, many = _codes(one)
        if size * many > _MAX_NUMBER:
            number, size = _compact(number)
        _append(number, codes, low, many)
        size *= many
    if size <= _DENSE * rows + 1_000_000:
        return _ranked(number, size)
    return _ranked(*_compact(number))


@_compiled
def _append(number: Ints, codes: NDArray[Any], low: int, many: int) -> None:
    """Number combinations of those numbered so far with codes from ``low`` on, in place."""
    for i in range(len(number)):
        number[i] = number[i] * many + (codes[i] - low)


@_compiled
def occurring(codes: NDArray[Any], many: int) -> NDArray[np.bool_]:
    """Whether each number (many,) from 0 on is among codes; negative ones stand for no value."""
    found = np.zeros(many, np.bool_)
    for i in range(len(codes)):
        if codes[i] >= 0:
            found[codes[i]] = True
    return found


@_compiled
def _ranked(number: Ints, size: int) -> tuple[Ints, Ints]:
    """Numbers below a size as their places among those that occur, and where each is first."""
    place = np.full(size, -1)
    many = 0
    for i in range(len(number)):
        if place[number[i]] < 0:
            place[number[i]] = i
            many += 1
    first = np.empty(many, np.int64)
    at = 0
    for k in range(size):
        if place[k] >= 0:
            first[at] = place[k]
            place[k] = at
            at += 1
    ranked = np.empty(len(number), np.int64)
    for i in range(len(number)):
        ranked[i] = place[number[i]]
    return ranked, first


def _codes(values: NDArray[np.generic]) -> tuple[NDArray[Any], int, int]:
    """Values as whole numbers in their order, the least, and how many there are at most."""
    if not len(values):
        return np.zeros(0, np.int64), 0, 1
    if values.dtype.kind in "iu":
        low, high = int(values.min()), int(values.max())
        if high - low < 2**31 and high < _MAX_NUMBER:
            whole = values.dtype.kind == "i"
            return values if whole else values.astype(np.int64), low, high - low + 1
    codes, many = _compact(values)
    return codes, 0, many


def _compact(values: NDArray[np.generic]) -> tuple[Ints, int]:
    codes, distinct = pd.factorize(values)
    order = np.argsort(distinct, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return place[codes], max(1, len(order))


def equal_rows(cells: Cells) -> tuple[Ints, Ints, Floats]:
    """A few rows with the same number, means and cross-products in every cell.

    With a_1 + ... + a_m = n rows of each kind, H an orthonormal basis of what is orthogonal to
    ``sqrt(a)`` (weighted Helmert contrasts) and ``S = L L'``, they are ``m + diag(a)^-1/2 H L'``.
    There are at most v + 1, no more than rows, and one where all rows are equal.

    Returns
    -------
    cell : ndarray (kinds,) of int
    count : ndarray (kinds,) of int
        The a.
    values : ndarray (kinds, v)

    Examples
    --------
    >>> found = cells_of({"g": np.zeros(5, int)}, np.array([[1.0], [2.0], [2.0], [3.0], [7.0]]))
    >>> cell, count, values = equal_rows(found)
    >>> squares = round(float(count @ values[:, 0] ** 2), 9)
    >>> count.tolist(), float(count @ values[:, 0]), squares
    ([3, 2], 15.0, 67.0)
    """
    v = cells.mean.shape[1]
    kinds = np.minimum(cells.n, v + 1)
    kinds[np.trace(cells.scatter, axis1=1, axis2=2) <= 0] = 1
    cell, count, values = [], [], []
    for m in np.unique(kinds):
        own = np.flatnonzero(kinds == m)
        n = cells.n[own]
        share = n[:, None] // m + (np.arange(m) < (n % m)[:, None])
        found = np.repeat(cells.mean[own][:, None], m, axis=1)
        if m > 1:
            found += _contrasts(share) @ _root(cells.scatter[own], m - 1).swapaxes(1, 2)
        cell.append(np.repeat(own, m))
        count.append(share.ravel())
        values.append(found.reshape(-1, v))
    at = np.concatenate(cell) if cell else np.zeros(0, np.int64)
    order = np.argsort(at, kind="stable")
    return at[order], np.concatenate(count)[order], np.concatenate(values)[order]


def _contrasts(share: Ints) -> Floats:
    """``diag(a)^-1/2 H`` (cells, m, m - 1) of `equal_rows`."""
    a, upto = share.astype(float), np.cumsum(share, axis=1).astype(float)
    cells, m = a.shape
    found = np.zeros((cells, m, m - 1))
    for j in range(1, m):
        before = np.sqrt(a[:, j] / (upto[:, j - 1] * upto[:, j]))
        found[:, :j, j - 1] = before[:, None]
        found[:, j, j - 1] = -np.sqrt(upto[:, j - 1] / upto[:, j]) / np.sqrt(a[:, j])
    return found


def _root(scatter: Floats, rank: int) -> Floats:
    """L (cells, v, rank) with ``L L'`` the scatter, whose rank is no more than that."""
    if scatter.shape[1] == 1:
        return np.sqrt(np.maximum(scatter, 0.0))
    # columns differ in unit: eigenvectors of correlations keep the digits of each
    size = np.sqrt(np.maximum(np.diagonal(scatter, axis1=1, axis2=2), 0.0))
    unit = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(scatter / (unit[:, :, None] * unit[:, None, :]))
    # The root of what rounding left would be a column of its own, where one is a sum of others.
    values[values < _ROUNDED * values[:, -1:]] = 0.0
    top = np.sqrt(values[:, -rank:])
    return np.asarray(unit[:, :, None] * vectors[:, :, -rank:] * top[:, None, :])
