"""Coordinates in which the density of the scales is nearly Gaussian, sds of zero included.

On the log scale an sd whose posterior piles up at zero has a long exponential left tail. But the
marginal density is a smooth *even* function of a signed sd (an effect's sign is arbitrary), so
such an sd is written ``sd = s |sinh x|``: linear about zero, where there is then no boundary at
all, logarithmic far out. Flipping the sign of x together with the partial correlations that
involve it changes nothing; densities of proposals are summed over these reflections.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalbias.inference.problem import FloatArray, GroupTerm

_FOLD_WIDTH = 0.1
_MAX_FOLDED = 6


@dataclass(frozen=True)
class Fold:
    """Which parameters are folded.

    Attributes
    ----------
    folded : ndarray (m,) of int
        Positions in theta of the folded log sds.
    scale : ndarray (m,)
        ``s`` of each.
    flips : ndarray (m, d)
        Row j has -1 at the coordinates that change sign with folded sd j, 1 elsewhere.
    reflections : ndarray (2**m, d)
        All products of rows of ``flips``.
    """

    folded: np.ndarray
    scale: FloatArray
    flips: FloatArray
    reflections: FloatArray

    def canonical(self, x: FloatArray) -> FloatArray:
        """Reflect points so that every folded coordinate is positive."""
        x = x.copy()
        for j, flip in zip(self.folded, self.flips, strict=True):
            x[x[:, j] < 0] *= flip
        return x

    def theta(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return theta at canonical points, and the log Jacobian of the map."""
        theta, at = x.copy(), np.maximum(x[:, self.folded], 1e-150)
        log_sinh = at + np.log(-np.expm1(-2 * at)) - np.log(2.0)
        theta[:, self.folded] = np.log(self.scale) + log_sinh
        log_cosh = at + np.log1p(np.exp(-2 * at)) - np.log(2.0)
        return theta, (log_cosh - log_sinh).sum(axis=1)

    def inverse(self, theta: FloatArray) -> FloatArray:
        """Return the canonical point of one theta (d,)."""
        x = theta.copy()
        x[self.folded] = np.arcsinh(np.exp(theta[self.folded]) / self.scale)
        return x


def choose_fold(
    mode: FloatArray,
    width: FloatArray,
    terms: Sequence[GroupTerm],
    before: int = 1,
    varies: bool = False,
) -> Fold:
    """Fold the sds whose log is loosely determined (``width``: posterior sd at the mode).

    ``before`` parameters come before those of the terms: one is log sigma, an sd like the others;
    several are coefficients of it, and are left as they are. The last of several may be the log sd
    of the effects of log sigma, ``varies``.
    """
    flips = _sign_changes(len(mode), terms, before, varies)
    eligible = np.array(sorted(flips), dtype=np.int64)
    loose = eligible[width[eligible] > _FOLD_WIDTH]
    folded = np.sort(loose[np.argsort(-width[loose])][:_MAX_FOLDED])
    rows = np.array([flips[j] for j in folded]).reshape(len(folded), len(mode))
    reflections = np.ones((1, len(mode)))
    for row in rows:
        reflections = np.concatenate([reflections, reflections * row])
    return Fold(folded, 2.0 * np.exp(mode[folded]), rows, reflections)


def _sign_changes(
    d: int, terms: Sequence[GroupTerm], before: int, varies: bool
) -> dict[int, FloatArray]:
    """Return, by position of each log sd, the signs of all coordinates once it is reflected."""

    def minus(where: list[int]) -> FloatArray:
        signs = np.ones(d)
        signs[where] = -1.0
        return signs

    flips, at = {0: minus([0])} if before == 1 else {}, before
    if varies:
        flips[before - 1] = minus([before - 1])
    for term in terms:
        k = term.k
        pairs = [(i, j) for i in range(k) for j in range(i)] if term.correlated else []
        for c in range(k):
            partners = [at + k + n for n, pair in enumerate(pairs) if c in pair]
            flips[at + c] = minus([at + c, *partners])
        at += k + len(pairs)
    return flips
