"""Numbers from zero to one with both ends, such as ratings on a slider."""

from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray

from causalbias.models.families.base import Floats, Parameters
from causalbias.models.families.beta import Beta


def _log_density(value: Any, mu: Any, kappa: Any, zoi: Any, coi: Any) -> Any:
    inside = pt.clip(value, 1e-300, 1 - 1e-16)  # of ends, the density is not looked at
    density = pm.logp(pm.Beta.dist(alpha=mu * kappa, beta=(1 - mu) * kappa), inside)
    ends = pt.switch(pt.eq(value, 1), pt.log(coi), pt.log1p(-coi))
    at_end = pt.eq(value, 0) | pt.eq(value, 1)
    return pt.switch(at_end, pt.log(zoi) + ends, pt.log1p(-zoi) + density)


def _variable(name: str, *, mu: Any, kappa: Any, zoi: Any, coi: Any, **options: Any) -> Any:
    return pm.CustomDist(name, mu, kappa, zoi, coi, logp=_log_density, **options)


class ZeroOneInflatedBeta(Beta):
    """y is an end with probability zoi, which is one with probability coi; else it is beta.

    The linear predictor is of mu, the mean between the ends; the mean of y is ``zoi coi + (1 -
    zoi) mu``. Names are those of brms, whose phi is kappa. bambi has no such family.
    """

    name = "zero_one_inflated_beta"
    engines = ()
    response = "numbers from 0 to 1"
    parameters = ("kappa", "zoi", "coi")
    probabilities = ("zoi", "coi")
    noise = "the noise of single answers (kappa, zoi, coi)"
    mean_by_parameters = True
    pymc = staticmethod(_variable)

    def impossible(self, values: pd.Series) -> NDArray[np.bool_]:
        """Numbers beyond the ends."""
        return ((values < 0) | (values > 1)).to_numpy()

    def default_priors(self, y: Floats) -> dict[str, str]:
        """Those of bambi's beta and zero-inflated families."""
        return {"kappa": "HalfCauchy(1)", "zoi": "Beta(2, 2)", "coi": "Beta(2, 2)"}

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``log(zoi) + log(coi)`` of one, ``log(zoi) + log(1 - coi)`` of zero.

        Else ``log(1 - zoi)`` plus the density of `Beta`.
        """
        zoi, coi = parameters["zoi"], parameters["coi"]
        inside = np.where((y > 0) & (y < 1), y, 0.5)
        density = np.log1p(-zoi) + super().log_likelihood(inside, eta, parameters)
        ends = np.log(zoi) + np.where(y == 1, np.log(coi), np.log1p(-coi))
        return np.where((y > 0) & (y < 1), density, ends)

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """Those of `Beta` between the ends; zero at them."""
        between = (y > 0) & (y < 1)
        found = super().derivatives(np.where(between, y, 0.5), eta, parameters)
        first, second = (np.where(between, one, 0.0) for one in found)
        return first, second

    def mean(self, eta: Floats, parameters: Parameters) -> Floats:
        """``zoi coi + (1 - zoi) mu``."""
        zoi = parameters["zoi"]
        return np.asarray(zoi * parameters["coi"] + (1 - zoi) * self.parent(eta))

    def simulate(self, rng: np.random.Generator, eta: Floats, parameters: Parameters) -> Floats:
        """Numbers from zero to one."""
        inside = super().simulate(rng, eta, parameters)
        at_end, is_one = (rng.random(eta.shape) < parameters[name] for name in self.probabilities)
        return np.where(at_end, is_one, inside)

    def residual(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """In standard deviations of the row."""
        zoi, kappa, mu = parameters["zoi"], parameters["kappa"], self.parent(eta)
        square = zoi * parameters["coi"] + (1 - zoi) * (mu**2 + mu * (1 - mu) / (kappa + 1))
        mean = self.mean(eta, parameters)
        return np.asarray((y - mean) / np.sqrt(np.maximum(square - mean**2, 1e-300)))
