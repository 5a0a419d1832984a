"""Problems that have no answer: inconsistent input, and improper posteriors."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import qr
from scipy.sparse.csgraph import structural_rank
from scipy.sparse.linalg import lsmr

from causalbias.inference.membership import effects_design
from causalbias.inference.problem import EngineError, GroupTerm, ImproperError, Problem

_EXACT = 1e-9  # residuals over responses, in norm, that are rounding
_MAX_DENSE = 20_000_000  # numbers of a matrix whose rank is computed from its singular values


def check_problem(problem: Problem, *, shared: bool = False) -> None:
    """Raise `EngineError` on inconsistent, non-finite or unanswerable input.

    ``shared``: whether the engine takes a design whose equal rows are stored once.
    """
    if problem.design_code is not None and not shared:
        raise EngineError("this engine takes a row of the design for each row")
    n, p = len(problem.y), problem.design.shape[1]
    _check_shapes(problem, n, p)
    if not (problem.row_weight > 0).all():
        raise EngineError("row_weight must be positive: drop rows of no weight")
    if problem.row_precision is not None and not (problem.row_precision > 0).all():
        raise EngineError("row_precision must be positive: drop rows of no precision")
    if np.isnan(problem.beta_sd).any() or not (problem.beta_sd > 0).all():
        raise EngineError("beta_sd must be positive (inf for a flat prior)")
    names = [t.name for t in problem.terms]
    if len(set(names)) < len(names):
        raise EngineError(f"term names must differ, found {names}")
    for term in problem.terms:
        _check_term(term, n)
    _check_flat_columns(problem)


def _check_shapes(problem: Problem, n: int, p: int) -> None:
    own = n if problem.design_code is None else len(problem.design)
    expected: dict[str, tuple[NDArray[Any], tuple[int, ...]]] = {
        "design": (problem.design, (own, p)),
        "row_weight": (problem.row_weight, (n,)),
        "beta_sd": (problem.beta_sd, (p,)),
        "beta_mean": (problem.beta_mean, (p,)),
        "y": (problem.y, (n,)),
    }
    if problem.row_precision is not None:
        expected["row_precision"] = (problem.row_precision, (n,))
    if problem.offset is not None:
        expected["offset"] = (problem.offset, (n,))
    if problem.design_code is not None:
        expected["design_code"] = (problem.design_code, (n,))
    if n == 0:
        raise EngineError("y has no rows")
    for name, (array, shape) in expected.items():
        if array.shape != shape:
            raise EngineError(f"{name} has shape {array.shape}, expected {shape}")
        if name != "beta_sd" and not np.isfinite(array).all():
            bad = np.argwhere(~np.isfinite(array))[0].tolist()
            raise EngineError(f"{name} is not finite at {bad}: drop or correct such rows")
    codes = problem.design_code
    if codes is not None and (codes.min() < 0 or codes.max() >= own):
        raise EngineError(f"design_code must lie in 0 .. {own - 1}")


def _check_term(term: GroupTerm, n: int) -> None:
    k = term.columns.shape[1]
    if term.columns.shape != (n, k) or k == 0 or len(term.sd_log_prior) != k:
        raise EngineError(
            f"term {term.name}: columns {term.columns.shape} and {len(term.sd_log_prior)} sd "
            f"priors, expected ({n}, k) and k"
        )
    if term.codes.ndim != 2 or len(term.codes) != n or term.weights.shape != term.codes.shape:
        raise EngineError(
            f"term {term.name}: codes {term.codes.shape} and weights {term.weights.shape}, "
            f"expected both ({n}, m)"
        )
    if term.codes.min() < 0 or term.codes.max() >= term.n_levels:
        raise EngineError(f"term {term.name}: codes must lie in 0 .. {term.n_levels - 1}")
    if not (np.isfinite(term.columns).all() and np.isfinite(term.weights).all()):
        raise EngineError(f"term {term.name}: columns and weights must be finite")
    if term.correlated and not term.lkj_eta > 0:
        raise EngineError(f"term {term.name}: lkj_eta must be positive, found {term.lkj_eta}")


def _check_flat_columns(problem: Problem) -> None:
    flat = np.flatnonzero(np.isinf(problem.beta_sd))
    if not len(flat):
        return
    x = problem.design[:, flat]
    norm = np.sqrt((x**2).sum(axis=0))
    if len(x) < len(flat):
        raise ImproperError(
            f"{len(flat)} coefficients have flat priors but there are {len(x)} rows"
        )
    triangle, order = qr(x / np.where(norm > 0, norm, 1.0), mode="r", pivoting=True)
    bad = flat[order[np.abs(np.diag(triangle)) < 1e-9]].tolist()
    if bad:
        raise ImproperError(
            f"design columns {bad} are linear combinations of other columns and all have flat "
            "priors, so the posterior is improper: drop them or give them proper priors"
        )


def check_not_exact(problem: Problem, residual_square: float) -> None:
    """Refuse y that the design fits without error: the posterior of sigma then has no bottom.

    ``residual_square`` is the weighted sum of squares about a least-squares fit.
    """
    if residual_square > 1e-20 * float(problem.total_weight @ problem.y**2):
        return
    n, p = problem.design.shape
    repeated = problem.row_weight.sum() > n
    if n > p or repeated or np.linalg.matrix_rank(problem.design) < n:
        raise ImproperError(
            "y is constant or an exact linear function of the design: its residual variance is "
            "zero and the posterior of sigma improper"
        )


def check_effects_leave_noise(problem: Problem) -> None:
    """Refuse y that coefficients and group effects fit without error, with observations to spare.

    Where sigma tends to zero the density of y then grows as ``sigma^-(observations - rank)``: its
    posterior is improper if that is one or more. If the response has any residual the density
    falls faster than any power, and with as many effects as observations it stays finite.
    """
    n = len(problem.y)
    parts = [sparse.csr_matrix(problem.design), *map(effects_design, problem.terms)]
    whole = sparse.hstack(parts, format="csr")
    size = np.sqrt(np.asarray(whole.multiply(whole).sum(axis=0)).ravel())
    whole = whole @ sparse.diags(1 / np.where(size > 0, size, 1.0))
    centred = problem.y - problem.y.mean()
    found = lsmr(whole, problem.y, atol=1e-13, btol=1e-13, conlim=0, maxiter=2000)[0]
    residual = problem.y - whole @ found
    if np.linalg.norm(residual) > _EXACT * max(np.linalg.norm(centred), 1e-300):
        return
    observations = float(problem.row_weight.sum())
    if observations == n:
        small = np.prod(whole.shape, dtype=float) <= _MAX_DENSE
        rank = np.linalg.matrix_rank(whole.toarray()) if small else structural_rank(whole)
        if rank >= n:
            return
    raise ImproperError(
        "coefficients and group effects fit y exactly (is y constant within groups?): the "
        "posterior of sigma runs away to zero, and is improper"
    )
