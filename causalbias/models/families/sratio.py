"""Ordered categories reached one after another: each is where a subject may stop."""

from typing import Any

import numpy as np
import pytensor.tensor as pt
from scipy import special

from causalbias.models.families.base import Floats, Parameters
from causalbias.models.families.cumulative import log_normal, log_of_some
from causalbias.models.families.links import Curve
from causalbias.models.families.passing import Passing


def _log_survival(x: Floats) -> Floats:
    """``log(exp(-exp(x)))``."""
    return np.asarray(-np.exp(np.minimum(x, 300.0)))


# Of each link's distribution function F: log F, and log(1 - F); by NumPy, and by PyMC.
_LOGS: dict[str, tuple[Curve, Curve]] = {
    "logit": (special.log_expit, lambda x: special.log_expit(-x)),
    "probit": (special.log_ndtr, lambda x: special.log_ndtr(-x)),
    "cloglog": (lambda x: np.log(-np.expm1(_log_survival(x))), _log_survival),
}
_PYMC_LOGS: dict[str, tuple[Any, Any]] = {
    "logit": (lambda x: -pt.softplus(-x), lambda x: -pt.softplus(x)),
    "probit": (log_normal, lambda x: log_normal(-x)),
    "cloglog": (log_of_some, lambda x: -pt.exp(pt.minimum(x, 300.0))),
}


class StoppingRatio(Passing):
    """y stops at category k, having come so far, with probability F(threshold_k - eta).

    ``P(y = k | y >= k) = F(threshold_k - eta)`` (Tutz 1991, Computational Statistics and Data
    Analysis 11(3)); thresholds may be in any order. The larger eta, the further y goes.
    """

    name = "sratio"

    def _logs(self, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """Log probabilities (draws, rows, cuts) of stopping at a category, and of going on."""
        ends = self.ends(eta, parameters)
        stop, go_on = _LOGS[self.link.name]
        return np.asarray(stop(ends)), np.asarray(go_on(ends))

    def log_chances(self, eta: Floats, parameters: Parameters) -> Floats:
        """``log F(a_k) + sum_{j<k} log(1 - F(a_j))``, a_j = threshold_j - eta and k the code.

        Of the last category it is the sum alone.
        """
        stop, go_on = self._logs(eta, parameters)
        none = np.zeros((*eta.shape, 1))
        reached = np.concatenate([none, go_on.cumsum(axis=2)], axis=2)
        return np.asarray(reached + np.concatenate([stop, none], axis=2))

    def pymc_log_chances(self, ends: Any) -> Any:
        """As `log_chances`."""
        stop, go_on = (one(ends) for one in _PYMC_LOGS[self.link.name])
        none = pt.zeros_like(ends[..., :1])
        reached = pt.concatenate([none, go_on.cumsum(axis=-1)], axis=-1)
        return reached + pt.concatenate([stop, none], axis=-1)

    def curves(self, eta: Floats, parameters: Parameters) -> Floats:
        """Probabilities (cuts, draws, rows) of going beyond a category."""
        go_on = self._logs(eta, parameters)[1]
        return np.asarray(np.exp(go_on.cumsum(axis=2)).transpose(2, 0, 1))

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """``-s_k + sum_{j<k} r_j`` and ``(f'_k / F_k - s_k^2) - sum_{j<k} (f'_j / S_j + r_j^2)``.

        With ``s = f / F`` and ``r = f / S`` at a_j, f the density of F and S = 1 - F.
        """
        codes = np.broadcast_to(np.asarray(y).astype(int), eta.shape)[:, :, None]
        ends = self.ends(eta, parameters)
        stop, go_on = (np.exp(one) for one in self._logs(eta, parameters))
        density, slope = self.link.slope(ends), self.link.curvature(ends)
        number = np.arange(ends.shape[2])
        stopped, passed = number == codes, number < codes
        s, r = density / stop, density / go_on
        first = np.where(stopped, -s, 0.0) + np.where(passed, r, 0.0)
        second = np.where(stopped, slope / stop - s**2, 0.0)
        second -= np.where(passed, slope / go_on + r**2, 0.0)
        return np.asarray(first.sum(axis=2)), np.asarray(second.sum(axis=2))
