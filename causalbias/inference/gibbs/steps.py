"""Steps that samplers share: draws from a normal conditional, and by slices."""

from collections.abc import Callable

import numpy as np
from scipy import linalg

from causalbias.inference.problem import FloatArray

WIDTH = 1.0  # of the first interval about a coordinate


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


def slice_draws(
    log_density: Callable[[FloatArray], float],
    start: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Draw one coordinate after the other from its conditional, uniformly under its density.

    A level is drawn below the density at the coordinate, and a value from where the density is
    above the level: from an interval of length `WIDTH` that is laid about the coordinate at
    random, made longer until both ends are below the level, and cut at what turns out to be below
    (Neal 2003, figures 3 and 5). Scales from a hundredth of the width to ten times it cost about
    ten evaluations, so that nothing needs tuning.

    Parameters
    ----------
    log_density : callable
        Of ``log p``, up to a constant.
    start : ndarray (k,)
    rng : Generator

    Returns
    -------
    ndarray (k,)
    """
    at, now = start.copy(), log_density(start)
    for axis in range(len(at)):

        def density(value: float, axis: int = axis) -> float:
            moved = at.copy()
            moved[axis] = value
            return log_density(moved)

        level = now - rng.standard_exponential()
        low = at[axis] - WIDTH * rng.random()
        high = low + WIDTH
        while density(low) > level:
            low -= WIDTH
        while density(high) > level:
            high += WIDTH
        value = rng.uniform(low, high)
        while not (now := density(value)) > level and low < high:
            low, high = (value, high) if value < at[axis] else (low, value)
            value = rng.uniform(low, high)
        at[axis] = value
    return at
