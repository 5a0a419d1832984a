"""The residual standard deviation: constant, or by a linear predictor over few distinct rows.

Rows with equal rows of sigma's design and the same level of its group term form a *cell* c, and
have ``log sigma_c = d_c' gamma + w_l``, l the cell's level. Cross-products are kept by cell and
added with weights ``sigma_c^-2``, so that coefficients and effects integrate out as they do where
sigma is constant. gamma and w are sampled beside the other scales, in coordinates in which their
posterior is about round.

Those of gamma are ``phi = R gamma``. The n_c observations of each cell tell
``2 sum_c n_c d_c d_c'`` of gamma, less what the levels may take, to which Normal priors add
``diag(1 / sd^2)``; R'R is the sum over 2 n, so that one unit of phi is worth one of the log of a
constant sigma.

Those of w ~ N(0, tau^2) are z. Were the logs of a level's sigmas seen about ``r_l' gamma + m_l``
with precision I_l, the posterior of w_l given tau would have about the mean and sd

    c_l = I_l tau^2 / (1 + I_l tau^2) (m_l - r_l' gamma),    s_l = tau / sqrt(1 + I_l tau^2)

(r_l: mean of d_c over the level), and a tail to the right: the third derivative of a log likelihood
``-n w - S exp(-2 w) / 2`` is twice its precision. So

    w_l = c_l + s_l g(z_l),    g(z) = (exp(b_l z) - 1) / b_l,    b_l = 2 I_l s_l^3 / 3

is about standard normal in z, and independent of tau: neither centred nor non-centred, but each
level as much as its observations ask for (Papaspiliopoulos, Roberts and Sköld 2007). m and I are
guesses, which do not change the density of w.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solve_triangular

from causalbias.inference.equal_rows import distinct_rows
from causalbias.inference.problem import (
    EngineError,
    FloatArray,
    GroupTerm,
    IntArray,
    LogDensity,
    Predictor,
    Problem,
)
from causalbias.inference.scales import Scales, group_scales

MAX_CELLS = 64
MAX_LEVELS = 200  # of a group term, and twice as many cells
_LIKELY_TAU = 0.3  # sd of levels by which R is made
_LEAST_SLOPE = 0.4  # of g, which goes on as a line where its slope would be less
_LEAST_TAU = 0.05  # at which a search begins
_LEAST_SHRINKAGE = 0.2  # by which what is seen of a level is told from its effect
_LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class Levels:
    """The group term of log sigma.

    Attributes
    ----------
    name : str
        Of the term.
    level : ndarray (cells,) of int
        Of each cell.
    log_prior : callable
        Log density of tau, vectorised.
    design : ndarray (levels, q)
        r_l.
    tells : ndarray (levels,)
        I_l.
    seen : ndarray (levels,)
        ``r_l' gamma + m_l``.
    """

    name: str
    level: IntArray
    log_prior: LogDensity
    design: FloatArray
    tells: FloatArray
    seen: FloatArray

    def unit(self, tau: FloatArray, gamma: FloatArray) -> tuple[FloatArray, FloatArray]:
        """``c / tau`` and ``s / tau`` (N, levels)."""
        shrunk = 1 + self.tells * tau[:, None] ** 2
        gap = self.seen - gamma @ self.design.T
        return self.tells * tau[:, None] / shrunk * gap, shrunk**-0.5

    def effects(
        self, tau: FloatArray, gamma: FloatArray, z: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """``w / tau`` (N, levels), and the log density (N,) of log tau and z."""
        centre, scale = self.unit(tau, gamma)
        value, log_slope = _bent(z, _bend(self.tells, tau[:, None] * scale))
        ratio = centre + scale * value
        log_density = self.log_prior(tau) + np.log(tau)
        log_density += (np.log(scale) + log_slope - 0.5 * (ratio**2 + _LOG_2PI)).sum(axis=1)
        return ratio, np.asarray(log_density)


def _bend(tells: FloatArray, scale: FloatArray) -> FloatArray:
    """b_l."""
    return np.asarray(2 / 3 * tells * scale**3)


def _bent(z: FloatArray, bend: FloatArray) -> tuple[FloatArray, FloatArray]:
    """G, a line where its slope would be small, and its log slope."""
    log_slope = np.maximum(bend * z, np.log(_LEAST_SLOPE))
    straight = bend < 1e-8
    safe = np.where(straight, 1.0, bend)
    bent = (np.expm1(log_slope) + _LEAST_SLOPE * (safe * z - log_slope)) / safe
    return np.where(straight, z, bent), log_slope


@dataclass(frozen=True)
class Noise:
    """How each row's sigma follows from theta.

    theta begins with phi and, where log sigma has a group term, log tau; other scales follow; and
    last of all is z.

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
    levels : Levels, optional
    """

    cell: IntArray
    design: FloatArray
    mixing: FloatArray
    log_prior: LogDensity
    levels: Levels | None = None

    @property
    def n_cells(self) -> int:
        """Number of distinct sigmas."""
        return len(self.design)

    @property
    def n_coefficients(self) -> int:
        """Length of gamma."""
        return self.design.shape[1]

    @property
    def n_first(self) -> int:
        """Parameters of theta before the scales of group terms."""
        return self.n_coefficients + (self.levels is not None)

    @property
    def n_levels(self) -> int:
        """Length of z."""
        return 0 if self.levels is None else len(self.levels.tells)

    def coefficients(self, theta: FloatArray) -> FloatArray:
        """Gamma (N, q) at parameter vectors (N, d)."""
        phi = theta[:, : self.n_coefficients]
        # a search may step to where numbers overflow: there is no density, and no fault
        return np.asarray(solve_triangular(self.mixing, phi.T, check_finite=False).T)

    def effects(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Tau (N,) and w (N, levels) at parameter vectors (N, d)."""
        if self.levels is None:
            return np.zeros(len(theta)), np.zeros((len(theta), 0))
        tau, z = self._of_levels(theta)
        return tau, tau[:, None] * self.levels.effects(tau, self.coefficients(theta), z)[0]

    def _of_levels(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Tau (N,) and z (N, levels)."""
        return np.exp(theta[:, self.n_coefficients]), theta[:, theta.shape[1] - self.n_levels :]

    def scales(self, theta: FloatArray, problem: Problem) -> Scales:
        """Scales at parameter vectors (N, d), with sigma by cell (N, cells).

        Their log prior density is that of theta.
        """
        gamma = self.coefficients(theta)
        rest = group_scales(theta[:, self.n_first :], problem.terms)
        log_sigma, log_prior = gamma @ self.design.T, rest.log_prior + self.log_prior(gamma)
        if self.levels is not None:
            tau, z = self._of_levels(theta)
            ratio, log_density = self.levels.effects(tau, gamma, z)
            log_sigma += (tau[:, None] * ratio)[:, self.levels.level]
            log_prior = log_prior + log_density
        return replace(rest, sigma=np.exp(log_sigma), log_prior=log_prior)

    def nearest(self, log_sigma: FloatArray, count: FloatArray) -> FloatArray:
        """Phi (q,) at which cells of so many observations come nearest to a log sigma (cells,)."""
        root = np.sqrt(count)
        gamma = np.linalg.lstsq(self.design * root[:, None], log_sigma * root, rcond=None)[0]
        return np.asarray(self.mixing @ gamma)

    def about(self, log_sigma: FloatArray, count: FloatArray) -> tuple["Noise", FloatArray]:
        """The noise whose levels are seen about a log sigma (cells,), and theta[:n_first] there.

        ``count`` (cells,) are the observations of each cell.
        """
        phi = self.nearest(log_sigma, count)
        if self.levels is None:
            return self, phi
        of_level = np.maximum(np.bincount(self.levels.level, count, self.n_levels), 1e-9)
        seen = np.bincount(self.levels.level, count * log_sigma, self.n_levels) / of_level
        w = seen - self.levels.design @ solve_triangular(self.mixing, phi)
        tau = np.sqrt(max(np.mean(w**2), _LEAST_TAU**2))
        return replace(self, levels=replace(self.levels, seen=seen)), np.append(phi, np.log(tau))

    def refined(self, mode: FloatArray, cov: FloatArray) -> tuple["Noise", FloatArray]:
        """The noise whose levels are seen as a search finds them, and theta at the same effects.

        Parameters
        ----------
        mode : ndarray (d,)
            Of theta.
        cov : ndarray (d, d)
            Inverse curvature there: given all else z_l has a variance of ``s_l^-2`` over
            ``I_l + tau^-2``.
        """
        if self.levels is None:
            return self, mode
        levels, gamma = self.levels, self.coefficients(mode[None])
        tau, z = self._of_levels(mode[None])
        ratio = levels.effects(tau, gamma, z)[0]
        precision = np.diag(np.linalg.inv(cov))[-self.n_levels :] * (levels.tells + tau**-2.0)
        tells = np.clip(precision - tau**-2.0, 0.1 * levels.tells, 2 * levels.tells)
        shrinkage = np.maximum(tells / (tells + tau**-2.0), _LEAST_SHRINKAGE)
        seen = levels.design @ gamma[0] + tau * ratio[0] / shrinkage
        known = replace(levels, tells=tells, seen=seen)
        centre, scale = known.unit(tau, gamma)
        bend = np.maximum(_bend(tells, tau * scale), 1e-8)
        z = np.log1p(np.maximum(bend * (ratio - centre) / scale, _LEAST_SLOPE - 1)) / bend
        return replace(self, levels=known), np.concatenate([mode[: -self.n_levels], z[0]])


def noise_of(problem: Problem, sigma_log_prior: LogDensity | None) -> Noise:
    """The noise of a problem: constant, with a prior of sigma itself, or by its predictor.

    Raises
    ------
    EngineError
        Where the predictor has more than 64 distinct rows (400 with a group term), group terms
        other than one ``(1|g)`` of 200 levels at most, or flat priors, or is not sigma's; and where
        sigma has no prior, or two.
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
    _check_predictor(problem)
    columns = [predictor.design, *(term.codes for term in predictor.terms)]
    rows, cell = distinct_in_order(np.column_stack(columns))
    most = 2 * MAX_LEVELS if predictor.terms else MAX_CELLS
    if len(rows) > most:
        raise EngineError(
            f"sigma's linear predictor has {len(rows):,} distinct rows, more than {most}"
        )
    mean, sd = predictor.beta_mean, predictor.beta_sd
    design, count = rows[:, : len(sd)], np.bincount(cell, problem.row_weight)
    levels = None
    tells = 2 * (design.T * count) @ design + np.diag(sd**-2.0)
    if predictor.terms:
        levels = _levels(predictor.terms[0], rows[:, -1].astype(np.int64), design, count)
        taken = levels.tells**2 / (_LIKELY_TAU**-2.0 + levels.tells)
        tells -= (levels.design.T * taken) @ levels.design
    mixing = np.linalg.cholesky(tells / (2 * count.sum())).T

    def log_prior(gamma: FloatArray) -> FloatArray:
        z = (gamma - mean) / sd
        return np.asarray(-0.5 * (z**2).sum(axis=1) - np.log(sd).sum() - 0.5 * len(sd) * _LOG_2PI)

    return Noise(cell, design, mixing, log_prior, levels)


def _levels(term: GroupTerm, level: IntArray, design: FloatArray, count: FloatArray) -> Levels:
    """A group term over cells of so many observations (cells,), each of one level (cells,)."""
    of_level = np.bincount(level, count, term.n_levels)
    sums = np.zeros((term.n_levels, design.shape[1]))
    np.add.at(sums, level, design * count[:, None])
    seen = np.maximum(of_level, 1e-9)  # of a level without rows nothing is known
    return Levels(
        term.name,
        level,
        term.sd_log_prior[0],
        sums / seen[:, None],
        2 * seen,
        np.zeros(term.n_levels),
    )


def _check_predictor(problem: Problem) -> None:
    predictor = problem.further[0]
    _check_terms(predictor)
    n, q = len(problem.y), predictor.design.shape[1]
    if len(predictor.design) != n or q == 0 or not np.isfinite(predictor.design).all():
        raise EngineError(f"sigma's design must be finite and of {n} rows")
    for array in (predictor.beta_mean, predictor.beta_sd):
        if array.shape != (q,) or not np.isfinite(array).all():
            raise EngineError("the coefficients of log sigma need Normal priors, none of them flat")
    if not (predictor.beta_sd > 0).all():
        raise EngineError("prior standard deviations of log sigma's coefficients must be positive")


def _check_terms(predictor: Predictor) -> None:
    """Refuse group terms but one whose levels each have one number, which is added to log sigma."""
    if len(predictor.terms) > 1:
        raise EngineError("sigma's linear predictor has several group terms")
    for term in predictor.terms:
        plain = term.k == 1 and term.codes.shape[1] == 1
        if not (plain and (term.columns == 1).all() and (term.weights == 1).all()):
            raise EngineError(f"of sigma's group terms it takes (1|g), not {term.name}")
        if term.n_levels > MAX_LEVELS:
            raise EngineError(
                f"{term.name} has {term.n_levels:,} levels, more than {MAX_LEVELS} of log sigma"
            )


def distinct_in_order(matrix: FloatArray) -> tuple[FloatArray, IntArray]:
    """The distinct rows (cells, q) of a matrix (n, q), and which of them each row is (n,).

    They are sorted, so that cells and draws do not depend on the order of the rows of data.

    Examples
    --------
    >>> rows, which = distinct_in_order(np.array([[1.0, 2.0], [1.0, 0.0], [1.0, 2.0]]))
    >>> rows.tolist(), which.tolist()
    ([[1.0, 0.0], [1.0, 2.0]], [1, 0, 1])
    """
    first, code = distinct_rows(matrix)
    order = np.lexsort(matrix[first].T[::-1])
    return matrix[first[order]], np.argsort(order)[code]
