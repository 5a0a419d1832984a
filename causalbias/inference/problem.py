"""What every engine is given: one hierarchical regression as plain arrays.

The model is, for rows i with linear predictor eta_i,

    eta = o + X beta + sum_t Z_t b_t,    y_i ~ p(y | eta_i),  row_weight_i times over,
    beta_j ~ N(beta_mean_j, beta_sd_j^2),
    b_t of one level ~ N(0, D_t C_t D_t),    D_t = diag(sd_t),  C_t ~ LKJ(lkj_eta),

with o the offset, X the design (n, p) and Z_t the membership matrix of term t. A further
parameter of the distribution, such as sigma, is a constant or has a linear predictor of its own
(`Predictor`). See `protocol` for what an engine makes of it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
LogDensity = Callable[[FloatArray], FloatArray]


class EngineError(ValueError):
    """A problem that an engine cannot sample; the message says why, and what can be done."""


class ImproperError(EngineError):
    """The posterior is improper, so that no engine can sample it."""


@contextmanager
def numerical() -> Iterator[None]:
    """Raise SciPy's ValueError of numbers that have overflowed as an `EngineError`.

    Any other ValueError is a fault of the program, and passes through as it is.
    """
    try:
        yield
    except ValueError as error:
        if "must not contain infs or NaNs" not in str(error):
            raise
        raise EngineError("numbers overflowed on the way to the posterior") from error


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

    @property
    def k(self) -> int:
        """Number of effects of a level."""
        return self.columns.shape[1]

    @property
    def n_effects(self) -> int:
        """Number of effects of all levels."""
        return self.n_levels * self.k

    @property
    def n_corr(self) -> int:
        """Number of free correlations."""
        return self.k * (self.k - 1) // 2 if self.correlated else 0

    @property
    def n_theta(self) -> int:
        """Number of parameters of its effects' covariance: standard deviations, correlations."""
        return self.k + self.n_corr

    def root_mean_squares(self, repeats: FloatArray | None = None) -> FloatArray:
        """Of each covariate, weighted as it enters a row (k,); one where it is zero throughout.

        ``repeats`` (n,): how often each row counts; once by default.
        """
        weighted = self.columns[:, None] * self.weights[..., None]
        if repeats is None:
            size = np.sqrt(np.mean(weighted**2, axis=(0, 1)))
        else:
            size = np.sqrt(np.average(np.mean(weighted**2, axis=1), axis=0, weights=repeats))
        return np.where(size > 0, size, 1.0)


@dataclass(frozen=True)
class Predictor:
    """Linear predictor of a further parameter of the response's distribution, such as sigma.

    The parameter of row i is ``link^-1(design[i] @ beta + sum_t Z_t[i] b_t)``, with priors as of
    the mean's coefficients and effects. The link is that of the parameter: log for positive ones.

    Attributes
    ----------
    name : str
        The parameter, as the family names it.
    design : ndarray (n, q)
        Columns, the intercept's among them.
    beta_mean, beta_sd : ndarray (q,)
        Normal prior of each coefficient; ``inf`` in ``beta_sd`` means flat.
    terms : tuple of GroupTerm
    """

    name: str
    design: FloatArray
    beta_mean: FloatArray
    beta_sd: FloatArray
    terms: tuple[GroupTerm, ...] = ()


@dataclass(frozen=True)
class Problem:
    """A regression of ``y`` on ``design`` and group terms.

    Attributes
    ----------
    y : ndarray (n,)
        Response: real (gaussian), 0/1 or success counts (bernoulli, binomial), or category codes
        ``0 .. n_categories - 1`` (cumulative).
    design : ndarray (n, p)
        Population-level design matrix; has the intercept column, but for cumulative models. Where
        there is a ``design_code``, its distinct rows (m, p).
    beta_mean, beta_sd : ndarray (p,)
        Normal prior of each coefficient; ``inf`` in ``beta_sd`` means flat.
    terms : tuple of GroupTerm
    row_weight : ndarray (n,)
        Number of equal observations a row stands for (counts): its log likelihood counts that many
        times. Ones where no rows were merged.
    row_precision : ndarray (n,), optional
        Gaussian only: an observation of the row has variance ``sigma^2 / row_precision``, as with
        the weights of lme4. A mean of c observations has precision c, and is one observation:
        unlike a count of c it says nothing of the spread of the c. None for all ones.
    further : tuple of Predictor
        Of the distribution's parameters that differ by row; those that do not are not here.
    offset : ndarray (n,), optional
        Known part of the linear predictor. None for zero.
    row_repeats : ndarray (n,), optional
        Rows of the data that each row stands for, by which searches begin where they do with the
        rows themselves. None for all ones.
    design_code : ndarray (n,) of int, optional
        Which row of ``design`` each row has, as `equal_rows.share_design` finds it; the Laplace
        engine takes it. None where row i has row i.
    """

    y: FloatArray
    design: FloatArray
    beta_mean: FloatArray
    beta_sd: FloatArray
    terms: tuple[GroupTerm, ...]
    row_weight: FloatArray
    row_precision: FloatArray | None = None
    further: tuple[Predictor, ...] = ()
    offset: FloatArray | None = None
    row_repeats: FloatArray | None = None
    design_code: IntArray | None = None

    @property
    def total_weight(self) -> FloatArray:
        """Weight (n,) of each row's square in a Gaussian log likelihood."""
        if self.row_precision is None:
            return self.row_weight
        return self.row_weight * self.row_precision

    @property
    def half_log_weight(self) -> float:
        """Half the sum over observations of the log of their row's precision."""
        if self.row_precision is None:
            return 0.0
        return 0.5 * float(self.row_weight @ np.log(self.row_precision))

    @property
    def less_offset(self) -> "Problem":
        """The Gaussian problem of ``y - offset``, which has the same posterior."""
        if self.offset is None:
            return self
        return replace(self, y=self.y - self.offset, offset=None)

    def noise_sd(self, sigma: FloatArray) -> FloatArray:
        """Residual sd (draws, n or 1) of an observation of each row, sigma (draws,)."""
        if self.row_precision is None:
            return sigma[:, None]
        return sigma[:, None] / np.sqrt(self.row_precision)
