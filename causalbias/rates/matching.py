"""When two faces match: one convention for every count in the package."""

from typing import Any, overload

import numpy as np


@overload
def matches(distance: float, threshold: float) -> bool: ...


@overload
def matches(distance: np.ndarray, threshold: float | np.ndarray) -> np.ndarray: ...


def matches(distance: float | np.ndarray, threshold: float | np.ndarray) -> bool | np.ndarray:
    """Whether faces at this distance match: at the threshold or below it.

    NIST's convention: a similarity at or above the threshold matches (Grother, Ngan and Hanaoka,
    NISTIR 8280, 2019, of FMR and FNMR: the step function is 1 at 0), with the sign of distances. A
    false match is an impostor pair that matches, a false non-match a genuine pair that does not.

    Distances and thresholds are compared in the precision of the distances: a distance that a
    network gave as 0.6 in 32 bits is 0.60000002 in 64, and matches at 0.6 all the same. Distances
    in 64 bits are compared as they are, also where a file or a study has made them of narrower
    ones: take the threshold from such distances (`threshold_at`), or round them.

    Parameters
    ----------
    distance : float or ndarray
        Infinite where there is none: such a pair never matches.
    threshold : float or ndarray
        In units of the distance.

    Returns
    -------
    bool or ndarray of bool

    Examples
    --------
    >>> matches(np.array([0.5, 0.6, 0.7]), 0.6)
    array([ True,  True, False])
    >>> matches(np.array([0.5, 0.6, 0.7], dtype="float32"), np.float64(0.6))
    array([ True,  True, False])
    """
    found: bool | np.ndarray = at_or_below(distance, _as_precise(threshold, distance))
    return found


def at_or_below(distance: Any, threshold: Any) -> Any:
    """The comparison of `matches` itself, which kernels compile: both in one precision."""
    return distance <= threshold


def _as_precise(threshold: float | np.ndarray, distance: float | np.ndarray) -> Any:
    """Thresholds in the precision of the distances."""
    kind = getattr(distance, "dtype", np.dtype(float))
    if kind.kind != "f" or kind.itemsize >= 8:
        return threshold
    return np.asarray(threshold).astype(kind)


def steps(distance: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How many of the thresholds, in rising order, each pair does not match at (pair,).

    Examples
    --------
    >>> steps(np.array([0.5, 0.6, 0.7]), np.array([0.4, 0.6]))
    array([1, 1, 2])
    """
    # "left" counts the thresholds below the distance, those that `matches` is False at.
    return np.searchsorted(_as_precise(thresholds, distance), distance, side="left")


def share_matching(distance: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Share of distances that match at each threshold (threshold,).

    Examples
    --------
    >>> share_matching(np.array([0.5, 0.6]), np.array([0.5, 0.7]))
    array([0.5, 1. ])
    """
    at = _as_precise(thresholds, distance)
    found: np.ndarray = np.searchsorted(np.sort(distance), at, side="right")
    return found / len(distance)
