"""The residual standard deviation: constant, or by a linear predictor over few distinct rows.

Rows with equal rows of sigma's design form a *cell* c, and have ``log sigma_c = d_c' gamma``.
Cross-products are kept by cell and added with weights ``sigma_c^-2``, so that coefficients and
effects integrate out as they do where sigma is constant. gamma is sampled beside the other scales,
in coordinates ``phi = R gamma`` in which its posterior is about round. The n_c observations of each
cell tell ``2 sum_c n_c d_c d_c'`` of gamma, to which Normal priors add ``diag(1 / sd^2)``; R'R is
the sum of both over 2 n, so that one unit of phi is worth one of the log of a constant sigma.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solve_triangular

from causalbias.inference.problem import EngineError, FloatArray, IntArray, LogDensity, Problem
from causalbias.inference.scales import Scales, group_scales

MAX_CELLS = 64
_LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class Noise:
    """How each row's sigma follows from the first few parameters of theta.

    Attributes
    ----------
    cell : ndarray (n,) of int
        The cell of each row.
    design : ndarray (cells, q)
        d_c.
    mixing : ndarray (q, q)
        R.
    log_prior : callable
        Log density (N,) of gamma (N, q).
    """

    cell: IntArray
    design: FloatArray
    mixing: FloatArray
    log_prior: LogDensity

    @property
    def n_cells(self) -> int:
        """Number of distinct sigmas."""
        return len(self.design)

    @property
    def n_coefficients(self) -> int:
        """Length of gamma."""
        return self.design.shape[1]

    def coefficients(self, theta: FloatArray) -> FloatArray:
        """Gamma (N, q) at parameter vectors (N, d)."""
        phi = theta[:, : self.n_coefficients]
        # a search may step to where numbers overflow: there is no density, and no fault
        return np.asarray(solve_triangular(self.mixing, phi.T, check_finite=False).T)

    def scales(self, theta: FloatArray, problem: Problem) -> Scales:
        """Scales at parameter vectors (N, d), with sigma by cell (N, cells).

        Their log prior density is that of gamma and of the other parameters of theta.
        """
        gamma = self.coefficients(theta)
        rest = group_scales(theta[:, self.n_coefficients :], problem.terms)
        sigma = np.exp(gamma @ self.design.T)
        return replace(rest, sigma=sigma, log_prior=rest.log_prior + self.log_prior(gamma))

    def nearest(self, log_sigma: FloatArray, count: FloatArray) -> FloatArray:
        """Phi (q,) at which cells of so many observations come nearest to a log sigma (cells,)."""
        root = np.sqrt(count)
        gamma = np.linalg.lstsq(self.design * root[:, None], log_sigma * root, rcond=None)[0]
        return np.asarray(self.mixing @ gamma)


def noise_of(problem: Problem, sigma_log_prior: LogDensity | None) -> Noise:
    """The noise of a problem: constant, with a prior of sigma itself, or by its predictor.

    Raises
    ------
    EngineError
        Where the predictor has more than 64 distinct rows, group terms or flat priors, or is not
        sigma's; and where sigma has no prior, or two.
    """
    if not problem.further:
        if sigma_log_prior is None:
            raise EngineError("sigma is constant and has no prior")
        of_sigma = sigma_log_prior
        return Noise(
            np.zeros(len(problem.y), np.int64),
            np.ones((1, 1)),
            np.ones((1, 1)),
            lambda gamma: of_sigma(np.exp(gamma[:, 0])) + gamma[:, 0],
        )
    if len(problem.further) > 1 or problem.further[0].name != "sigma":
        names = ", ".join(one.name for one in problem.further)
        raise EngineError(f"it takes a linear predictor of sigma alone, not of {names}")
    if sigma_log_prior is not None:
        raise EngineError("sigma has a prior of its own beside those of its predictor")
    predictor = problem.further[0]
    if predictor.terms:
        raise EngineError("sigma's linear predictor has group terms")
    _check_predictor(problem)
    design, cell = distinct_rows(predictor.design)
    if len(design) > MAX_CELLS:
        raise EngineError(
            f"sigma's linear predictor has {len(design):,} distinct rows, more than {MAX_CELLS}"
        )
    mean, sd = predictor.beta_mean, predictor.beta_sd
    count = np.bincount(cell, problem.row_weight)
    rows = np.vstack([np.sqrt(2 * count)[:, None] * design, np.diag(1 / sd)])
    mixing = np.linalg.qr(rows / np.sqrt(2 * count.sum()), mode="r")
    mixing *= np.where(np.diag(mixing) < 0, -1.0, 1.0)[:, None]

    def log_prior(gamma: FloatArray) -> FloatArray:
        z = (gamma - mean) / sd
        return np.asarray(-0.5 * (z**2).sum(axis=1) - np.log(sd).sum() - 0.5 * len(sd) * _LOG_2PI)

    return Noise(cell, design, mixing, log_prior)


def _check_predictor(problem: Problem) -> None:
    predictor = problem.further[0]
    n, q = len(problem.y), predictor.design.shape[1]
    if len(predictor.design) != n or q == 0 or not np.isfinite(predictor.design).all():
        raise EngineError(f"sigma's design must be finite and of {n} rows")
    for array in (predictor.beta_mean, predictor.beta_sd):
        if array.shape != (q,) or not np.isfinite(array).all():
            raise EngineError("the coefficients of log sigma need Normal priors, none of them flat")
    if not (predictor.beta_sd > 0).all():
        raise EngineError("prior standard deviations of log sigma's coefficients must be positive")


def distinct_rows(matrix: FloatArray) -> tuple[FloatArray, IntArray]:
    """The distinct rows (cells, q) of a matrix (n, q), and which of them each row is (n,).

    Examples
    --------
    >>> rows, which = distinct_rows(np.array([[1.0, 2.0], [1.0, 0.0], [1.0, 2.0]]))
    >>> rows.tolist(), which.tolist()
    ([[1.0, 0.0], [1.0, 2.0]], [1, 0, 1])
    """
    which = np.zeros(len(matrix), np.int64)
    for column in matrix.T:  # one column after another: rows are never sorted as wholes
        values, index = np.unique(column, return_inverse=True)
        which = np.unique(which * len(values) + index, return_inverse=True)[1]
    first = np.zeros(int(which.max()) + 1, np.int64)
    first[which[::-1]] = np.arange(len(which))[::-1]
    return matrix[first], which
