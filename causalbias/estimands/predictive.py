"""Pointwise log likelihood of a fit, and draws of new data from its model."""

import numpy as np
import xarray as xr

from causalbias.arguments import generator
from causalbias.errors import DataError
from causalbias.estimands.predictor import expected_rows
from causalbias.io.memory import check_memory
from causalbias.models.fitted import fitted
from causalbias.models.result import OBS, Fit, as_fit
from causalbias.models.specification import (
    outcome_columns,
    row_counts,
    row_precisions,
    trials_of,
)

PORTION = 10_000_000  # rows x draws at once where only their sum is wanted


def with_log_likelihood(fit: xr.DataTree) -> Fit:
    """Add the group ``log_likelihood`` to a fit, which arviz needs for LOO.

    Parameters
    ----------
    fit : Fit
        The fitted model.

    Returns
    -------
    Fit
        The group has a variable with the name of the response, dims (chain, draw, __obs__). A row
        that stands for several observations has their joint log likelihood, so that LOO leaves out
        all of them. For a transformed response, it is the density of the untransformed column, so
        that models of the column and of its logarithm can be compared.

    Raises
    ------
    DataError
        If rows times draws do not fit into memory.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> cb.model_checks.with_log_likelihood(fit)["log_likelihood"]["score"].dims
    ('chain', 'draw', '__obs__')
    """
    parts = Parts(fit)
    return parts.attach("log_likelihood", _log_likelihood(parts))


def total_log_likelihood(fit: xr.DataTree) -> np.ndarray:
    """Compute the total log likelihood (draws,) of all rows, in portions that fit into memory."""
    model = fitted(fit)
    count, step = len(model.frame), max(1, PORTION // model.draws)
    total = np.zeros(model.draws)
    for start in range(0, count, step):
        total += _log_likelihood(Parts(fit, slice(start, start + step))).sum(axis=1)
    return total


def _log_likelihood(parts: "Parts") -> np.ndarray:
    values = parts.family.log_likelihood(parts.response, parts.eta, parts.parameters())
    if parts.family.continuous:
        values = values + parts.log_slope()
    return np.asarray(values * parts.counts)


def with_predictive(fit: xr.DataTree, *, random_seed: int = 0) -> Fit:
    """Add the group ``posterior_predictive`` to a fit: a new data set for every draw.

    Parameters
    ----------
    fit : Fit
        The fitted model.
    random_seed : int
        Seed of the random numbers.

    Returns
    -------
    Fit
        The group has a variable with the name of the response, dims (chain, draw, __obs__). Ordinal
        responses are category codes 0, 1, ... A row that stands for several observations gets a
        single new one: weight it by its count in means, and repeat rows to compare variances.

    Raises
    ------
    DataError
        If rows times draws do not fit into memory, or a transformed response has no known inverse.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> cb.model_checks.with_predictive(fit)["posterior_predictive"]["score"].dims
    ('chain', 'draw', '__obs__')
    """
    parts = Parts(fit)
    values = parts.family.simulate(generator(random_seed), parts.eta, parts.parameters())
    if parts.of_response.transformed:
        values = parts.of_response.back().outcomes(values)
    return parts.attach("posterior_predictive", values)


class Parts:
    """A fit's rows, or some of them: response (rows,), linear predictor eta (draws, rows)."""

    def __init__(self, fit: xr.DataTree, rows: slice = slice(None)) -> None:
        self.model = fitted(fit)
        frame = self.model.frame[rows].reset_index(drop=True)
        posterior, many = self.model.posterior, self.model.draws
        # Ordinal: a chance of each category, and its sum; else the expectation and the result.
        held = 3 + 2 * posterior.sizes.get("threshold_dim", 0)
        check_memory(
            float(many) * len(frame) * held,
            f"{len(frame):,} rows times {many:,} draws",
            "thin the posterior first: fit.isel(draw=slice(None, None, 10))",
        )
        self.fit, self.posterior = fit, posterior
        spec = self.model.spec
        self.family = self.model.family
        self.counts, self.precision = row_counts(spec, frame), row_precisions(spec, frame)
        self.trials = trials_of(spec, frame)
        self.name = str(next(iter(fit.children["observed_data"].data_vars)))
        self.of_response = self.model.response
        self.frame = frame
        self.eta = expected_rows(self.model, frame, scale="link")
        # Of a transformed response, the response as the model has it.
        self.response = self.model.response_values[rows]
        if self.family.has_trials:
            self.response = frame[outcome_columns(spec)[0]].to_numpy(float)

    def parameters(self, rows: np.ndarray | slice = slice(None)) -> dict[str, np.ndarray]:
        """Draws of the family's parameters for some of the rows (`Family.of_rows`)."""
        of_rows = (None if one is None else one[rows] for one in (self.precision, self.trials))
        return self.family.of_rows(self.model.parameters, *of_rows)

    def log_slope(self) -> np.ndarray | float:
        """Log derivative (rows,) of a transformed response by its column.

        Raises
        ------
        DataError
            If the response has no known inverse, or a row's density is infinite.
        """
        if not self.of_response.transformed:
            return 0.0
        values = self.frame[self.of_response.column].to_numpy(float)
        with np.errstate(all="ignore"):
            found = np.log(np.abs(self.of_response.back().slope(values)))
        if not np.isfinite(found).all():
            row = int(np.argmin(np.isfinite(found)))
            raise DataError(
                f"{self.of_response.text} has no finite slope at {values[row]:g}, so that the "
                "density has none either",
                hint="leave such rows out with subset=, or model the column itself",
                column=self.of_response.column,
                row=row + 1,
            )
        return np.asarray(found)

    def attach(self, group: str, values: np.ndarray) -> Fit:
        """The fit with these values (draws, rows) as a group."""
        sizes = (self.posterior.sizes["chain"], self.posterior.sizes["draw"], -1)
        dims = ("chain", "draw", OBS)
        dataset = xr.Dataset(
            {self.name: (dims, values.reshape(sizes))},
            coords={
                "chain": self.posterior["chain"],
                "draw": self.posterior["draw"],
                OBS: np.arange(values.shape[1]),
            },
        )
        found = as_fit(self.fit)
        found[group] = xr.DataTree(dataset)
        return found
