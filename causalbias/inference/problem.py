"""What every engine is given: one hierarchical regression as plain arrays."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
LogDensity = Callable[[FloatArray], FloatArray]


class EngineError(ValueError):
    """A problem that an engine can't answer; the message says what, why and the mend."""


@dataclass(frozen=True)
class GroupTerm:
    """Effects that vary over the levels of one grouping factor, as in ``(1 + x | g)``.

    Row ``i`` contributes ``sum_m weights[i, m] * columns[i] @ u[codes[i, m]]`` to the linear
    predictor, where ``u`` has shape (n_levels, k).

    Attributes
    ----------
    name : str
        The term as bambi names it, e.g. ``"1|seed"``.
    coefficients : tuple of str
        The k coefficients that vary, e.g. ``("1", "pose")``.
    columns : ndarray (n, k)
        Covariates; a column of ones for an intercept.
    codes : ndarray (n, m) of int
        Level of each row, ``0 <= code < n_levels``; m = 1 but for multi-membership terms.
    weights : ndarray (n, m)
        Membership weights; all ones where m = 1, 1/m by default otherwise, as in brms.
    n_levels : int
        Number of levels of the grouping factor.
    correlated : bool
        Whether the k effects of a level are correlated a priori (LKJ) or independent.
    sd_log_prior : tuple of callable
        For each of the k standard deviations, its log prior density (vectorised over an array).
    lkj_eta : float
        Shape of the LKJ prior on the k x k correlation matrix; used only where ``correlated``.
    """

    name: str
    coefficients: tuple[str, ...]
    columns: FloatArray
    codes: IntArray
    weights: FloatArray
    n_levels: int
    correlated: bool
    sd_log_prior: tuple[LogDensity, ...]
    lkj_eta: float = 1.0


@dataclass(frozen=True)
class Problem:
    """A regression of ``y`` on ``design`` and group terms.

    Attributes
    ----------
    y : ndarray (n,)
        Response: real (gaussian), 0/1 or success counts (bernoulli, binomial), or category codes
        ``0 .. n_categories - 1`` (cumulative).
    design : ndarray (n, p)
        Population-level design matrix; has the intercept column, but for cumulative models.
    beta_mean, beta_sd : ndarray (p,)
        Normal prior of each coefficient; ``inf`` in ``beta_sd`` means flat.
    terms : tuple of GroupTerm
    row_weight : ndarray (n,)
        Number of equal observations a row stands for (counts); ones where nothing is collapsed.
    """

    y: FloatArray
    design: FloatArray
    beta_mean: FloatArray
    beta_sd: FloatArray
    terms: tuple[GroupTerm, ...]
    row_weight: FloatArray
