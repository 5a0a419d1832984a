"""Effects of log sigma, drawn beside each proposal of the scales.

The density of the scales has these effects in it, as many as there are levels: too many for a
mixture. With x the scales and z the effects (`noise`), nearly normal given x,

    p(x | y) ~ sum_m p(x, z_m | y) / q(z_m | x) / M,    z_m ~ q(. | x),

is an unbiased estimate at any x, by which proposals of x can be weighed as by the density itself:
with one z_m chosen by its summand, x and z have the joint posterior (Andrieu and Roberts 2009; Tran
et al. 2013). q is a t about the mean of the normal distribution at the mode.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from causalbias.inference.importance.adaptive import degrees, log_norm
from causalbias.inference.problem import FloatArray

BESIDE = 16  # M


@dataclass(frozen=True)
class GivenScales:
    """The distribution q of z (L,) given the other coordinates x (d,).

    Attributes
    ----------
    centre : ndarray (d + L,)
    slope : ndarray (L, d)
        Of the mean of z by x.
    chol : ndarray (L, L)
        Lower Cholesky factor of the scale of z.
    """

    centre: FloatArray
    slope: FloatArray
    chol: FloatArray

    @classmethod
    def at(cls, mode: FloatArray, cov: FloatArray, n_levels: int) -> "GivenScales":
        """Of the normal distribution with that mean and covariance of (x, z)."""
        d = len(mode) - n_levels
        slope = np.linalg.solve(cov[:d, :d], cov[:d, d:]).T
        return cls(mode, slope, np.linalg.cholesky(cov[d:, d:] - slope @ cov[:d, d:]))

    def draw(
        self, x: FloatArray, each: int, rng: np.random.Generator
    ) -> tuple[FloatArray, FloatArray]:
        """So many z for each x (N, d), as (N, each, L), and their log densities (N, each)."""
        d, size = x.shape[1], len(self.chol)
        nu = degrees(size)
        mean = self.centre[d:] + (x - self.centre[:d]) @ self.slope.T
        mixing = rng.chisquare(nu, (len(x), each)) / nu
        step = rng.standard_normal((len(x), each, size)) / np.sqrt(mixing)[..., None]
        log_density = log_norm(size) - np.log(np.diag(self.chol)).sum()
        log_density = log_density - 0.5 * (nu + size) * np.log1p((step**2).sum(axis=2) / nu)
        return mean[:, None] + step @ self.chol.T, log_density

    def marginal(
        self,
        joint: Callable[[FloatArray], FloatArray],
        x: FloatArray,
        rng: np.random.Generator,
    ) -> tuple[FloatArray, FloatArray]:
        """An estimate of the log density (N,) of x (N, d), and z (N, L) drawn given it.

        Parameters
        ----------
        joint : callable
            Log density (N,) of (x, z), (N, d + L).
        x : ndarray (N, d)
        rng : Generator
        """
        z, log_proposed = self.draw(x, BESIDE, rng)
        both = np.concatenate([np.repeat(x, BESIDE, axis=0), z.reshape(-1, z.shape[2])], axis=1)
        log_ratio = joint(both).reshape(len(x), BESIDE) - log_proposed
        log_ratio = np.where(np.isfinite(log_ratio), log_ratio, -np.inf)
        # the largest of log weights plus Gumbel noise is one chosen by its weight
        chosen = np.argmax(log_ratio + rng.gumbel(size=log_ratio.shape), axis=1)
        total = logsumexp(log_ratio, axis=1) - np.log(BESIDE)
        return total, z[np.arange(len(x)), chosen]
