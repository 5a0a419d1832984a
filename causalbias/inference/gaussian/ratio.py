"""Functions of one ratio of standard deviations, computed at a few points and interpolated.

Of a model whose only effects are those of one plain term, one of each level, all that the scales
enter by beside sigma is the ratio r = sd / sigma. With ``B = Z'W [X, y]``, ``M = Z'WZ``, mu its
eigenvalues and h their loadings on B, what its elimination needs is

    log |I + r^2 M| = sum_k log(1 + r^2 mu_k),
    r^2 B'(I + r^2 M)^-1 B = sum_k r^2 / (1 + r^2 mu_k) h_k h_k'.

Both are analytic in r^2 but for poles at -1 / mu_k, and in log r within a distance of pi / 2 of the
real line. On an interval of half-length d their Chebyshev series therefore fall like
``(c + sqrt(c^2 + 1))^-n`` with c = pi / (2 d), whatever the data are (Trefethen 2013,
*Approximation Theory and Approximation Practice*, theorem 8.2): 3.4^-n for d = 1. With 28 points
the error is that of rounding.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from causalbias.inference.problem import FloatArray

_POINTS = 28


@dataclass(frozen=True)
class OfRatio:
    """An array-valued function of the ratio, interpolated to the accuracy of rounding.

    Ratios up to ``least = 0.5 / sqrt(largest)`` share one interval of r^2, from zero on; above it
    the intervals have length two in log r. Each is computed once a ratio falls into it.

    Attributes
    ----------
    compute : callable
        The function (of a float) itself; it may be called in several threads at once.
    largest : float
        A bound of the eigenvalues of M.
    """

    compute: Callable[[float], FloatArray]
    largest: float
    _series: dict[int, FloatArray] = field(default_factory=dict)

    @cached_property
    def least(self) -> float:
        """The ratio up to which the function is interpolated in r^2."""
        return 0.5 / np.sqrt(self.largest) if self.largest > 0 else 1.0

    def __call__(self, ratio: float) -> FloatArray:
        """The function at a ratio, zero or more."""
        if ratio <= self.least:
            interval, at = -1, 2.0 * (ratio / self.least) ** 2 - 1.0
        else:
            steps = np.log(ratio / self.least) / 2.0
            interval = int(steps)
            at = 2.0 * (steps - interval) - 1.0
        if interval not in self._series:
            self._series[interval] = self._interpolate(interval)
        return np.cos(np.arange(_POINTS) * np.arccos(at)) @ self._series[interval]

    def _interpolate(self, interval: int) -> FloatArray:
        """Chebyshev coefficients (points, values) of one interval."""
        angle = np.pi * (np.arange(_POINTS) + 0.5) / _POINTS
        at = 0.5 * (np.cos(angle) + 1.0)
        ratios = np.sqrt(at) if interval < 0 else np.exp(2.0 * (interval + at))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            values = np.array(list(pool.map(self.compute, (self.least * ratios).tolist())))
        waves = np.cos(np.arange(_POINTS)[:, None] * angle) * (2.0 / _POINTS)
        waves[0] /= 2.0
        return np.asarray(waves @ values)
