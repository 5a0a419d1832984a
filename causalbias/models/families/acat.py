"""Ordered categories, each compared with the one below it: the adjacent-category logit."""

from typing import Any

import numpy as np
import pytensor.tensor as pt
from scipy import special

from causalbias.models.families.base import Floats, Parameters
from causalbias.models.families.passing import Passing


class AdjacentCategory(Passing):
    """Log odds of a category against the one below it are eta less a threshold.

    ``log(P(y = k + 1) / P(y = k)) = eta - threshold_k`` (Agresti 2010, Analysis of Ordinal
    Categorical Data, section 4.1), Masters' partial-credit model of 1982; thresholds may be in any
    order.
    """

    name = "acat"
    links = ("logit",)

    @property
    def scales(self) -> tuple[str, ...]:
        """Those of ordered categories but the latent one: no one noise is behind them."""
        return ("response", "link", "probability", "exceedance")

    @property
    def bambi_name(self) -> str:
        """Of a family with thresholds in any order, whose design and priors it has."""
        return "sratio"

    def log_chances(self, eta: Floats, parameters: Parameters) -> Floats:
        """``s_k - log sum_j exp(s_j)``, ``s_k = sum_{j<k} (eta - threshold_j)`` and k the code."""
        sums = -self.ends(eta, parameters).cumsum(axis=2)
        sums = np.concatenate([np.zeros((*eta.shape, 1)), sums], axis=2)
        return np.asarray(sums - special.logsumexp(sums, axis=2, keepdims=True))

    def pymc_log_chances(self, ends: Any) -> Any:
        """The sums, without what makes them probabilities."""
        none = pt.zeros_like(ends[..., :1])
        return pt.concatenate([none, (-ends).cumsum(axis=-1)], axis=-1)

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """``y - E(y)`` and ``-Var(y)``, of codes."""
        chances = self.chances(eta, parameters)
        codes = np.arange(float(chances.shape[2]))
        mean = chances @ codes
        return np.asarray(y - mean), np.asarray(mean**2 - chances @ codes**2)
