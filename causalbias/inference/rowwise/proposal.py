"""Draws of effects and coefficients given theta, weighed by the exact likelihood.

With q the density that x is drawn from, an estimate of the density of theta is

    p(theta) p(y | x, theta) p(x | theta) / q(x | theta).

x is drawn from a Student t about the normal density of the nearest expansion. Its degrees of
freedom grow with the length of x, so that only the length of a draw is spread, by an eighth or so,
and weights are bounded where the density has tails as of a normal.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np
from scipy.special import gammaln

from causalbias.inference.laplace.proposal import nearest_parts
from causalbias.inference.problem import FloatArray, IntArray
from causalbias.inference.rowwise.expansion import (
    Expansion,
    Given,
    log_likelihoods,
    log_prior_of,
    normal_at,
)
from causalbias.inference.rowwise.target import Target
from causalbias.inference.scales import Scales

_CHUNK = 96
_MOST_PREDICTORS = 14_000_000  # numbers of linear predictors at a time, of one thread


@dataclass
class Proposal:
    """Expansions, and what is needed to weigh draws about them.

    Attributes
    ----------
    target : Target
    points : list of Expansion
    metric : ndarray (d, d)
        Inverse covariance of theta, by which distances to expansions are measured.
    pool : Executor
    n_weighed : int
    """

    target: Target
    points: list[Expansion]
    metric: FloatArray
    pool: Executor
    n_weighed: int = field(default=0)

    def weigh(
        self, theta: FloatArray, rng: np.random.Generator, rest: FloatArray | None = None
    ) -> FloatArray:
        """Draw x for each theta (N, d); return the estimates of the log density of theta.

        ``rest`` (N, q) is filled with x where given.
        """
        self.n_weighed += len(theta)
        target = self.target
        streams = rng.integers(0, 2**63, len(theta))
        scales, phi = target.scales(theta), target.phi(theta)
        values = np.full(len(theta), -np.inf)

        def run(job: tuple[int, IntArray]) -> None:
            number, part = job
            point = self.points[number]
            x, log_ratio = _drawn(target, point, theta[part], scales, part, streams[part])
            eta = target.linear_predictor(x)
            log_lik = log_likelihoods(
                target, eta, target.lead_sd(scales)[part], phi[part], point.nodes
            )
            values[part] = scales.log_prior[part] + log_ratio + log_lik
            if rest is not None:
                rest[part] = x

        places = [one.theta for one in self.points]
        chunk = draws_together(len(target.rows.y))
        usable = np.isfinite(scales.log_prior) & np.isfinite(phi).all(axis=(1, 2))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            list(self.pool.map(run, nearest_parts(theta, usable, places, self.metric, chunk)))
        return np.where(np.isnan(values), -np.inf, values)


def _drawn(
    target: Target,
    point: Expansion,
    theta: FloatArray,
    scales: Scales,
    part: IntArray,
    streams: IntArray,
) -> tuple[FloatArray, FloatArray]:
    """Draws (part, q) of x, and ``log p(x | theta) - log q(x | theta)``."""
    x = np.tile(point.x, (len(part), 1))
    log_ratio = np.full(len(part), -np.inf)
    for row, i in enumerate(part):
        factors = scales.factors(int(i))
        found = normal_at(target, point, theta[row], factors, point.gradient_at(theta[row]))
        if found is None:
            continue
        normal, _ = found
        own = np.random.Generator(np.random.SFC64(int(streams[row])))
        w, log_q = drawn_about(normal, own, point.widths)
        log_ratio[row] = log_prior_of(target, w) - log_q
        x[row] = target.unwhiten(w, factors)
    return x, log_ratio


def drawn_about(
    normal: Given, rng: np.random.Generator, widths: FloatArray | None = None
) -> tuple[FloatArray, float]:
    """A draw (q,) of w from the Student t about a normal density, and its log density.

    With widths (q, 2) below and above the mode, each coordinate z of it is of two halves, which
    meet at the mode: ``2 / (below + above) phi(z / width)``.
    """
    q = len(normal.mean)
    df = 10.0 + 4.0 * q
    z = rng.standard_normal(q) * np.sqrt(df / rng.chisquare(df))
    log_density = gammaln((df + q) / 2) - gammaln(df / 2) - 0.5 * q * np.log(df * np.pi)
    log_density += 0.5 * normal.log_det - 0.5 * (df + q) * np.log1p(z @ z / df)
    if widths is not None:
        below, above = widths.T
        higher = rng.random(q) * (below + above) < above
        z = np.abs(z) * np.where(higher, above, -below)
        log_density -= np.log(0.5 * (below + above)).sum()
    return normal.mean + normal.deviate(z), float(log_density)


def draws_together(rows: int) -> int:
    """Of how many draws at most the linear predictors of so many rows are made at a time."""
    return max(1, min(_CHUNK, _MOST_PREDICTORS // rows))


def distances(theta: FloatArray, places: Sequence[FloatArray], metric: FloatArray) -> FloatArray:
    """Squared distance of each theta (N, d) to the nearest of the places."""
    found = []
    for place in places:
        gap = theta - place
        found.append(((gap @ metric) * gap).sum(axis=1))
    return np.asarray(np.min(found, axis=0))
