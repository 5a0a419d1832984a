"""The posterior that the Laplace engine samples, from a problem and its link; what it refuses."""

import numpy as np
from numpy.typing import NDArray

from causalbias.inference.laplace.conditional import Target
from causalbias.inference.laplace.quadrature import LOGIT, PROBIT
from causalbias.inference.laplace.rows import build_rows
from causalbias.inference.problem import EngineError, FloatArray, Predictor, Problem

LINKS = {"logit": LOGIT, "probit": PROBIT}


def make_target(
    problem: Problem,
    link: str,
    trials: FloatArray | None,
    mean: FloatArray | None,
    sd: FloatArray | None,
    n_nodes: int,
) -> Target:
    """Lay out a checked problem; `EngineError` if link or responses are not of the engine.

    ``mean`` and ``sd`` are of the thresholds' prior, as of `sample_laplace`; ``n_nodes``, of the
    quadrature.
    """
    if link not in LINKS:
        raise EngineError(f"no link {link!r}; it has {', '.join(LINKS)}")
    y = problem.y
    if (y != np.round(y)).any() or (y < 0).any():
        raise EngineError("y must hold whole numbers from zero up")
    cut_mean = cut_sd = np.zeros(1)  # binary: one cut, at zero
    if mean is not None or sd is not None:
        if mean is None or sd is None or len(mean) != len(sd):
            raise EngineError("ordered categories need threshold_mean and threshold_sd")
        cut_mean, cut_sd = np.asarray(mean, float), np.asarray(sd, float)
    if trials is not None:
        if trials.shape != y.shape or not (trials >= y).all():
            raise EngineError("each row needs trials, no fewer than its successes")
    elif y.max() > len(cut_mean):
        raise EngineError(f"y goes to {y.max():.0f}, but there are {len(cut_mean) + 1} categories")
    if mean is not None:
        _check_categories(y, cut_sd > 0)
    disc, terms = _disc(problem), problem.terms
    if disc is not None:
        if mean is None:
            raise EngineError("a model of two answers has no discriminations here")
        if not (cut_sd > 0).all():
            raise EngineError("several sets of thresholds have no discriminations here")
        terms += disc.terms
    return Target(
        rows=build_rows(problem, len(cut_mean), trials, disc),
        terms=terms,
        link=LINKS[link],
        cut_mean=cut_mean,
        cut_sd=cut_sd,
        beta_mean=problem.beta_mean
        if disc is None
        else np.append(problem.beta_mean, disc.beta_mean),
        beta_sd=problem.beta_sd if disc is None else np.append(problem.beta_sd, disc.beta_sd),
        n_nodes=n_nodes,
    )


def _disc(problem: Problem) -> Predictor | None:
    """The predictor of the log discriminations; its terms have other names than the mean's."""
    if not problem.further:
        return None
    names = [one.name for one in problem.further]
    if names != ["disc"]:
        raise EngineError(f"of further parameters it knows disc, not {', '.join(names)}")
    (disc,) = problem.further
    if twice := {term.name for term in problem.terms} & {term.name for term in disc.terms}:
        raise EngineError(f"terms named twice: {', '.join(sorted(twice))}")
    return disc


def _check_categories(y: FloatArray, free: NDArray[np.bool_]) -> None:
    """Refuse a category without rows between others: the mode is where it has no width.

    ``free`` (n_cuts,): which cuts are estimated.
    """
    rows = np.bincount(y.astype(np.int64), minlength=len(free) + 1)
    empty = 1 + np.flatnonzero((rows[1:-1] == 0) & free[:-1] & free[1:])
    if len(empty):
        raise EngineError(
            f"category {empty[0]} (of 0 .. {len(free)}) has no rows, so that its two thresholds "
            "meet at the mode: merge it with a neighbour"
        )
