"""What ordinal families have in common whose thresholds are passed each by itself."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray

from causalbias.models.families.base import Floats, Parameters
from causalbias.models.families.cumulative import Cumulative

OWN = "cs"  # the parameter that is added to eta at each threshold, as brms calls the term


class Passing(Cumulative):
    """Ordered categories whose probabilities are positive whatever the thresholds' order.

    So an effect may differ between thresholds, as that of x in ``score ~ race + cs(x)``: the
    predictor at threshold k is ``eta + cs_k``, and each ``cs_k`` has coefficients of its own.
    """

    optional = (OWN,)
    engines = ()
    has_curves = True
    thresholds_ascend = False
    by_threshold = (OWN,)

    def at_thresholds(self, parameter: str, categories: Sequence[Any]) -> list[str]:
        """``cs1``, ``cs2``, ...: one for each category but the last."""
        return [f"{parameter}{k}" for k in range(1, len(categories))]

    def ends(self, eta: Floats, parameters: Parameters) -> Floats:
        """Each threshold (draws, rows, cuts) less the predictor there."""
        found = self.thresholds(parameters) - eta[:, :, None]
        own = [one for name, one in parameters.items() if name.startswith(OWN)]
        if own:
            found -= np.stack([np.broadcast_to(one, eta.shape) for one in own], axis=2)
        return np.asarray(found)

    @abstractmethod
    def log_chances(self, eta: Floats, parameters: Parameters) -> Floats:
        """Log probability (draws, rows, categories) of each category."""

    @abstractmethod
    def pymc_log_chances(self, ends: Any) -> Any:
        """`log_chances` (rows, categories), up to a constant of the row, given `ends` of PyMC."""

    def chances(self, eta: Floats, parameters: Parameters) -> Floats:
        """Probability (draws, rows, categories) of each category."""
        return np.asarray(np.exp(self.log_chances(eta, parameters)))

    def curves(self, eta: Floats, parameters: Parameters) -> Floats:
        """Probabilities (cuts, draws, rows) of going beyond a category."""
        from_above = self.chances(eta, parameters)[:, :, :0:-1].cumsum(axis=2)
        return np.asarray(from_above[:, :, ::-1].transpose(2, 0, 1))

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """That of the category, y its code."""
        codes = np.broadcast_to(np.asarray(y).astype(int), eta.shape)
        logs = self.log_chances(eta, parameters)
        return np.asarray(np.take_along_axis(logs, codes[..., None], axis=2)[..., 0])

    def simulate(
        self, rng: np.random.Generator, eta: Floats, parameters: Parameters
    ) -> NDArray[Any]:
        """Codes 0, 1, ... of categories."""
        beyond = self.curves(eta, parameters)
        return np.asarray((rng.uniform(size=eta.shape) < beyond).sum(axis=0))

    def pymc_of_rows(
        self, name: str, eta: Any, parameters: Mapping[str, Any], **options: Any
    ) -> Any:
        """Of categories with these logarithms of their probabilities."""
        ends = parameters["threshold"] - pt.as_tensor(eta)[..., None]
        own = [one for key, one in parameters.items() if key.startswith(OWN)]
        if own:
            ends = ends - pt.stack(own, axis=-1)
        return pm.Categorical(name, logit_p=self.pymc_log_chances(ends), **options)
