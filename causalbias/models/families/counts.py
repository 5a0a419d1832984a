"""What families of counts have in common."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causalbias.models.families.base import Family, Floats, Parameters


class Counts(Family):
    """A response that is a whole number from zero."""

    response = "whole numbers from 0"
    links: ClassVar[tuple[str, ...]] = ("log", "identity")
    noise = "the noise of single counts"
    statistics: ClassVar[tuple[str, ...]] = ("means by group", "tails", "dispersion")

    def impossible(self, values: pd.Series) -> NDArray[np.bool_]:
        """Negative numbers and fractions."""
        return ((values < 0) | (values % 1 != 0)).to_numpy()

    @abstractmethod
    def variance(self, eta: Floats, parameters: Parameters) -> Floats:
        """Variance (draws, rows) of the response."""

    def residual(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """In standard deviations of the row."""
        sd = np.sqrt(np.maximum(self.variance(eta, parameters), 1e-300))
        return np.asarray((y - self.mean(eta, parameters)) / sd)
