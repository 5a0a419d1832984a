"""Pointwise log likelihood of a fit, and draws of new data from its model."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import xarray as xr

from causalbias.arguments import generator
from causalbias.errors import DataError
from causalbias.estimands.predictor import expected_rows
from causalbias.io.memory import check_memory
from causalbias.models.fitted import FittedModel, fitted
from causalbias.models.result import OBS, Fit, as_fit
from causalbias.models.specification import (
    outcome_columns,
    row_counts,
    row_precisions,
    trials_of,
)

AT_ONCE = 2**25  # numbers held while some of the rows are worked on
MAX_NUMBERS = 2**27  # rows x draws, 1 GiB, that a fit is given; of more there are fewer draws
MIN_DRAWS = 400  # of those


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
        that models of the column and of its logarithm can be compared. It is at fewer draws, and
        so is the posterior, where the effects of levels are (`fit["thinned"]`), or where rows times
        draws are more than 134 million, down to 400 draws; the printed fit says at how many.

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
    return _with_rows(fit, "log_likelihood", _log_likelihood)


def total_log_likelihood(model: FittedModel) -> np.ndarray:
    """Compute the total log likelihood (draws,) of all rows, in portions that fit into memory."""
    total = np.zeros(model.draws)
    for rows in _portions(model):
        total += _log_likelihood(Parts(model, rows)).sum(axis=1)
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
        single new one: weight it by its count in means, and repeat rows to compare variances. Of
        many rows it is at fewer draws, as in `with_log_likelihood`.

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
    rng = generator(random_seed)

    def simulated(parts: Parts) -> np.ndarray:
        values = parts.family.simulate(rng, parts.eta, parts.parameters())
        transformed = parts.of_response.transformed
        return parts.of_response.back().outcomes(values) if transformed else np.asarray(values)

    return _with_rows(fit, "posterior_predictive", simulated)


def _with_rows(fit: xr.DataTree, group: str, of_rows: Callable[["Parts"], np.ndarray]) -> Fit:
    """The fit with numbers (draws, rows) as a group, made portion by portion of its rows."""
    model = _at_fewer_draws(fitted(fit).with_effects())
    many, count = model.draws, len(model.frame)
    check_memory(
        float(many) * count,
        f"{count:,} rows times {many:,} draws",
        "thin the posterior first: fit.isel(draw=slice(None, None, 10))",
    )
    values = np.hstack([of_rows(Parts(model, rows)) for rows in _portions(model)])
    posterior = model.posterior
    name = str(next(iter(fit.children["observed_data"].data_vars)))
    cube = values.reshape(posterior.sizes["chain"], posterior.sizes["draw"], count)
    coords = {"chain": posterior["chain"], "draw": posterior["draw"], OBS: np.arange(count)}
    found = as_fit(model.fit)
    found[group] = xr.DataTree(xr.Dataset({name: (("chain", "draw", OBS), cube)}, coords=coords))
    return found


def _at_fewer_draws(model: FittedModel) -> FittedModel:
    """The model at every so manyth draw, so that rows times draws are not too many."""
    wanted = max(MIN_DRAWS, MAX_NUMBERS // len(model.frame))
    step = -(-model.draws // wanted)
    return model if step == 1 else replace(model, fit=model.fit.isel(draw=slice(None, None, step)))


def _portions(model: FittedModel) -> Iterator[slice]:
    """Slices of the rows for which all that `Parts` and a family hold at once fits into memory."""
    # Ordinal: a chance of each category, and its sum; else the expectation and the result.
    held = 3 + 2 * model.posterior.sizes.get("threshold_dim", 0) + 2 * len(model.parts)
    step = max(1, AT_ONCE // (model.draws * held))
    for start in range(0, len(model.frame), step):
        yield slice(start, start + step)


class Parts:
    """A fit's rows, or some of them: response (rows,), linear predictor eta (draws, rows)."""

    def __init__(self, model: FittedModel, rows: slice | np.ndarray = slice(None)) -> None:
        self.model = model
        frame = self.model.frame.iloc[rows].reset_index(drop=True)
        spec = self.model.spec
        self.family = self.model.family
        self.counts, self.precision = row_counts(spec, frame), row_precisions(spec, frame)
        self.trials = trials_of(spec, frame)
        self.of_response = self.model.response
        self.frame = frame
        self.eta = expected_rows(self.model, frame, scale="link")
        self.all_parameters = self.model.parameters_at(frame)
        # Of a transformed response, the response as the model has it.
        self.response = self.model.response_values[rows]
        if self.family.has_trials:
            self.response = frame[outcome_columns(spec)[0]].to_numpy(float)

    def parameters(self, rows: np.ndarray | slice = slice(None)) -> dict[str, np.ndarray]:
        """Draws of the family's parameters for some of the rows (`Family.of_rows`)."""
        of_rows = (None if one is None else one[rows] for one in (self.precision, self.trials))
        found = {
            name: one[:, rows] if name in self.model.parts else one
            for name, one in self.all_parameters.items()
        }
        return self.family.of_rows(found, *of_rows)

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
