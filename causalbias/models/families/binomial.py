"""Numbers of successes out of numbers of trials."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from causalbias.errors import DataError, at_first, shown
from causalbias.models.families.base import Floats, Parameters
from causalbias.models.families.bernoulli import Bernoulli


class Binomial(Bernoulli):
    """y successes out of n trials, each of which succeeds with probability p."""

    name = "binomial"
    response = "p(successes, trials)"
    statistics = ("means by group", "dispersion")
    has_trials = True

    def validate_response(self, values: pd.Series, trials: pd.Series | None = None) -> pd.Series:
        """Whole numbers of successes, from zero to the trials of their row."""
        most = pd.Series(np.inf, index=values.index) if trials is None else trials
        if pd.api.types.is_numeric_dtype(most) and not (most > 0).any():
            raise DataError(
                "no row has a trial", hint="give rows with trials", column=str(most.name)
            )
        checks = [(values, most)]
        if most.name is not None:
            checks = [(most, pd.Series(np.inf, index=values.index)), *checks]
        for count, limit in checks:
            self._check_counts(count, limit)
        return values

    def way_out(self, values: pd.Series) -> str:
        """What the response is written as."""
        return "give p(successes, trials) counts"

    def _check_counts(self, count: pd.Series, limit: pd.Series) -> None:
        if not pd.api.types.is_numeric_dtype(count):
            raise self.wrong_response(count, np.ones(len(count), bool))
        bad = ((count < 0) | (count > limit) | (count % 1 != 0)).to_numpy()
        if bad.any():
            row = int(bad.argmax())
            raise at_first(
                bad,
                f"{shown(count.iloc[row])} is not a whole number from 0 to {limit.iloc[row]:g}",
                hint="give p(successes, trials) counts, no more successes than trials",
                file="data",
                column=str(count.name),
            )

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``log(n over y) + y log(p) + (n - y) log(1 - p)``."""
        chance = self.parent(eta)
        return np.asarray(stats.binom.logpmf(y, parameters["trials"], chance))

    def simulate(
        self, rng: np.random.Generator, eta: Floats, parameters: Parameters
    ) -> NDArray[Any]:
        """Numbers of successes."""
        trials = np.asarray(parameters["trials"], int)
        return rng.binomial(trials, self.parent(eta))

    def residual(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """Of the share of successes, in standard deviations of the row's share."""
        mean, trials = self.parent(eta), parameters["trials"]
        sd = np.sqrt(np.maximum(mean * (1 - mean), 1e-12) / trials)
        return np.asarray((y / trials - mean) / sd)
