"""What the Laplace engine samples, made of what it is told; what it refuses at sight."""

import numpy as np

from causalbias.inference.laplace.conditional import Target
from causalbias.inference.laplace.quadrature import LOGIT, PROBIT
from causalbias.inference.laplace.rows import build_rows
from causalbias.inference.problem import EngineError, FloatArray, Problem

LINKS = {"logit": LOGIT, "probit": PROBIT}
FAMILIES = ("cumulative", "bernoulli", "binomial")


def make_target(
    problem: Problem,
    family: str,
    link: str,
    trials: FloatArray | None,
    mean: FloatArray | None,
    sd: FloatArray | None,
    n_nodes: int,
) -> Target:
    """Lay out a checked problem; `EngineError` if family, link or responses are not of the engine.

    ``mean`` and ``sd`` are of the thresholds' prior; ``n_nodes``, of the quadrature.
    """
    if family not in FAMILIES:
        raise EngineError(f"no family {family!r}; it has {', '.join(FAMILIES)}")
    if link not in LINKS:
        raise EngineError(f"no link {link!r}; it has {', '.join(LINKS)}")
    y = problem.y
    if (y != np.round(y)).any() or (y < 0).any():
        raise EngineError("y must hold whole numbers from zero up")
    n_cuts = 1
    if family == "cumulative":
        if mean is None or sd is None or len(mean) != len(sd):
            raise EngineError("a cumulative model needs threshold_mean and threshold_sd")
        n_cuts = len(mean)
        _check_categories(y, n_cuts)
    if family == "binomial":
        if trials is None or trials.shape != y.shape or not (trials >= y).all():
            raise EngineError("a binomial model needs trials, no fewer than the successes")
    elif y.max() > n_cuts:
        raise EngineError(f"y goes to {y.max():.0f}, but there are {n_cuts + 1} categories")
    binary = family != "cumulative" or mean is None or sd is None
    return Target(
        rows=build_rows(problem, n_cuts, trials),
        link=LINKS[link],
        cut_mean=np.zeros(1) if binary else np.asarray(mean, float),
        cut_sd=np.zeros(1) if binary else np.asarray(sd, float),
        beta_mean=problem.beta_mean,
        beta_sd=problem.beta_sd,
        n_nodes=n_nodes,
    )


def _check_categories(y: FloatArray, n_cuts: int) -> None:
    """Refuse a category without rows between others: the mode is where it has no width."""
    rows = np.bincount(y.astype(np.int64), minlength=n_cuts + 1)
    empty = 1 + np.flatnonzero(rows[1:n_cuts] == 0)
    if len(empty):
        raise EngineError(
            f"category {empty[0]} (of 0 .. {n_cuts}) has no rows, so that its two thresholds meet "
            "at the mode: merge it with a neighbour"
        )
