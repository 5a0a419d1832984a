"""Steps that samplers share: draws from a normal conditional, and a walk by coordinates."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import linalg

from causalbias.inference.problem import FloatArray


def draw_normal(precision: FloatArray, right: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw ``x ~ N(P^-1 r, P^-1)``, the conditional of coefficients in a linear model.

    With ``P = L L'`` it is ``x = L'^-1 (L^-1 r + z)``, z standard normal (Rue and Held 2005,
    algorithm 2.5).

    Parameters
    ----------
    precision : ndarray (k, k)
        P, positive definite.
    right : ndarray (k,)
        r.
    rng : Generator

    Returns
    -------
    ndarray (k,)
    """
    factor = linalg.cholesky(precision, lower=True)
    half = linalg.solve_triangular(factor, right, lower=True) + rng.standard_normal(len(right))
    return np.asarray(linalg.solve_triangular(factor, half, lower=True, trans="T"))


def walk(
    log_density: Callable[[FloatArray], float],
    start: FloatArray,
    steps: Sequence[float],
    rng: np.random.Generator,
) -> FloatArray:
    """Metropolis steps from `start`, of each size in turn, one coordinate at a time.

    A proposal x' = x + step z e_k, z standard normal, is taken with probability
    ``min(1, p(x') / p(x))``. Steps of several sizes need no tuning.

    Parameters
    ----------
    log_density : callable
        Of ``log p``, up to a constant.
    start : ndarray (k,)
    steps : sequence of float
    rng : Generator

    Returns
    -------
    ndarray (k,)
        Where the walk ends.
    """
    at, now = start, log_density(start)
    for step in steps:
        for axis in range(len(at)):
            new = at.copy()
            new[axis] += step * rng.standard_normal()
            proposed = log_density(new)
            if np.log(rng.random()) < proposed - now:
                at, now = new, proposed
    return at
