"""Which group levels a row belongs to, as a sparse design matrix."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from causalbias.inference.problem import FloatArray, GroupTerm, IntArray


def membership(
    columns: FloatArray, codes: IntArray, n_levels: int, weights: FloatArray | None = None
) -> sparse.csr_matrix:
    """Design Z of effects that differ between levels: ``(Z u)_i = sum_m w_im x_i' u[c_im]``.

    Parameters
    ----------
    columns : ndarray (n, k)
        Covariates x_i; a column of ones for an intercept.
    codes : ndarray (n, m) of int
        Levels c_im of each row, several where it has several members.
    n_levels : int
    weights : ndarray (n, m), optional
        Weight w_im of each member; 1/m by default, the mean over members.

    Returns
    -------
    csr_matrix (n, n_levels * k)
        Level by level, within one by covariate. Entries of a row whose members are of one level add
        up.

    Examples
    --------
    >>> codes = np.array([[0, 1], [2, 2]])
    >>> membership(np.ones((2, 1)), codes, 3).toarray().tolist()
    [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]
    """
    n, k = columns.shape
    m = codes.shape[1]
    weights = np.full(codes.shape, 1 / m) if weights is None else weights
    at = codes[:, :, None] * k + np.arange(k)
    values = weights[:, :, None] * columns[:, None, :]
    ptr = np.arange(0, n * m * k + 1, m * k)
    made = sparse.csr_matrix((values.ravel(), at.ravel(), ptr), (n, n_levels * k))
    made.sum_duplicates()
    return made


def effects_design(term: GroupTerm) -> sparse.csr_matrix:
    """The design (n, n_levels * k) of a term's effects."""
    return membership(term.columns, term.codes, term.n_levels, term.weights)


def slabs(terms: Sequence[GroupTerm]) -> tuple[slice, ...]:
    """Where each term's effects are among those of all, level by level."""
    sizes = [t.n_effects for t in terms]
    ends = np.cumsum(sizes, dtype=np.int64)
    return tuple(slice(int(e) - s, int(e)) for s, e in zip(sizes, ends, strict=True))
