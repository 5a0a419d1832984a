"""What families of real numbers have in common, and those of positive ones."""

from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pymc as pm
from numpy.typing import NDArray

from causalbias.models.families.base import SIGNS, Family, Floats, Parameters


class Continuous(Family):
    """A response with a density, and a distribution function `cdf`."""

    response = "real numbers"
    links: ClassVar[tuple[str, ...]] = ("identity", "log", "inverse")
    statistics: ClassVar[tuple[str, ...]] = (
        "means by group",
        "tails",
        "spread by group",
        "skewness",
        "heavy tails",
    )
    continuous = True

    @property
    def scales(self) -> tuple[str, ...]:
        """Error rates are the distribution function at a threshold."""
        return ("response", "link", "FMR", "FNMR")

    def beside(self, y: Floats, offset: Floats) -> Floats:
        """The difference from the offset, or the quotient by its exponential."""
        if self.link.name == "identity":
            return y - offset
        return y * np.exp(-offset) if self.link.name == "log" else y

    def units(self, y: Floats) -> tuple[float, float]:
        """Mean and standard deviation of the response; of other links, those of its unit.

        A change of the response's unit is a sum on the logarithm's scale and a factor on the
        reciprocal's. Where the mean is not positive, the root of the mean square stands for it.
        """
        mean, spread = float(np.mean(y)), float(np.std(y))
        if self.link.name == "identity":
            return mean, spread
        size = mean if mean > 0 else float(np.hypot(mean, spread))
        return (1 / size, 1 / size) if self.link.name == "inverse" else (float(np.log(size)), 1.0)

    def residual(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """The normal quantile of the response's own."""
        return self.quantile_residual(y, eta, parameters)


def normal_tail(y: Any, mean: Any, sd: Any, side: str) -> Any:
    """Log probability by PyMC of a normal number beyond y.

    The upper tail is the lower one of its mirror image, which keeps its digits far out.
    """
    sign = SIGNS[side]
    return pm.logcdf(pm.Normal.dist(mu=sign * mean, sigma=sd), sign * y)


class Positive(Continuous):
    """A response that is a positive number."""

    response = "positive numbers"
    links: ClassVar[tuple[str, ...]] = ("log", "identity", "inverse")
    lowest: ClassVar[float] = 0.0

    def impossible(self, values: pd.Series) -> NDArray[np.bool_]:
        """Zero and negative numbers."""
        return (values <= 0).to_numpy()
