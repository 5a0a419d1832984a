"""Pointwise log likelihood of a fit, and draws of new data from its model."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.base import array_stats

from causalbias.arguments import generator
from causalbias.errors import DataError
from causalbias.io.memory import check_memory
from causalbias.models.fitted import FittedModel, fitted
from causalbias.models.limits import log_likelihood, simulate_between
from causalbias.models.needs import need_observed, need_rows_themselves
from causalbias.models.result import OBS, Fit, as_fit
from causalbias.models.specification import (
    limits_of_rows,
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
        that models of the column and of its logarithm can be compared. For a censored row it is the
        log probability of what the response is known to lie in; of truncated rows, either is given
        that they lie within their bounds. It is at fewer draws, and
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
    values = parts.log_likelihood()
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
        responses are category codes 0, 1, ... New responses of censored rows have no limit; those
        of truncated ones lie within the bounds, as the data do. A row that stands for several
        observations gets a single new one: weight it by its count in means, and repeat rows to
        compare variances. Of many rows it is at fewer draws, as in `with_log_likelihood`.

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
        values = parts.simulate(rng, parts.eta)
        transformed = parts.of_response.transformed
        return parts.of_response.back().outcomes(values) if transformed else np.asarray(values)

    return _with_rows(fit, "posterior_predictive", simulated)


def replicated(
    fit: xr.DataTree, *, draws: int, random_seed: int
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Rows with counts written out, their responses (rows,), and new responses (draws, rows).

    Responses are as the model has them, after a transformation; ordinal ones are codes 0, 1, ...,
    and of trials they are shares. The draws of the posterior are evenly spaced.

    Raises
    ------
    DataError
        If rows times draws do not fit into memory.
    """
    need_rows_themselves(fit, "a replicate of the data")
    need_observed(fit, "a replicate of the data")
    model = _thinned(fitted(fit).with_effects(), draws)
    rows = np.repeat(np.arange(len(model.frame)), row_counts(model.spec, model.frame).astype(int))
    check_memory(
        4.0 * model.draws * len(rows),
        f"{len(rows):,} observations times {model.draws:,} draws",
        "ask for fewer draws",
    )
    response, new = _beside(Parts(model), rows, generator(random_seed))
    return model.frame.iloc[rows].reset_index(drop=True), response, new[:draws]


class LeftOut(NamedTuple):
    """PIT values of rows, each by the posterior without its row.

    Attributes
    ----------
    frame : DataFrame
        The rows.
    pit : ndarray (rows,)
    pareto_k : ndarray (rows,)
        Of the importance sampling: above 0.7, the row has not been left out well.
    """

    frame: pd.DataFrame
    pit: np.ndarray
    pareto_k: np.ndarray


def left_out_pit(
    fit: xr.DataTree, *, most_rows: int = 2000, draws: int = 1000, random_seed: int
) -> LeftOut:
    """Compute the probability that a new response of a row is below its own, left out.

    With the Pareto smoothed importance weights w of leaving the row out (Vehtari, Simpson, Gelman,
    Yao and Gabry 2024, Journal of Machine Learning Research 25(72)) and U uniform on (0, 1), it is
    the sum of w over new responses that are smaller, and U times that over equal ones.

    Parameters
    ----------
    fit : Fit
    most_rows : int
        Of more rows, so many are taken at random.
    draws : int
        Of the posterior, evenly spaced.
    random_seed : int

    Returns
    -------
    LeftOut

    Raises
    ------
    DataError
        If a row stands for several observations, of which one cannot be left out.
    """
    need_rows_themselves(fit, "the response of a row left out")
    need_observed(fit, "the response of a row left out")
    rng, model = generator(random_seed), _thinned(fitted(fit).with_effects(), draws)
    if model.spec.counts is not None:
        raise DataError(
            "rows stand for several observations, of which none is left out by itself",
            hint='write each in a row of its own, or take kind="density"',
            column=model.spec.counts,
        )
    rows = np.arange(len(model.frame))
    if len(rows) > most_rows:
        rows = np.sort(rng.choice(rows, most_rows, replace=False))
    parts = Parts(model, rows)
    response, new = _beside(parts, np.arange(len(rows)), rng)
    weights, k = array_stats.psislw(parts.log_likelihood().T)  # it turns the sign itself
    weights = np.exp(weights).T
    below, equal = ((weights * at).sum(axis=0) for at in (new < response, new == response))
    pit = below + rng.uniform(size=len(rows)) * equal
    return LeftOut(parts.frame, np.clip(pit, 0, 1), np.asarray(k))


def spaced_draws(model: FittedModel, draws: int) -> np.ndarray:
    """Evenly spaced draws of each chain, of which all chains have `draws`, or a few more."""
    chains, length = (model.posterior.sizes[name] for name in ("chain", "draw"))
    return np.unique(np.linspace(0, length - 1, min(length, -(-draws // chains))).astype(int))


def _thinned(model: FittedModel, draws: int) -> FittedModel:
    """The model at such draws."""
    kept = spaced_draws(model, draws)
    return replace(model, fit=model.fit.isel({"draw": kept}, missing_dims="ignore"))


def _beside(
    parts: "Parts", rows: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Responses (rows,) and new ones (draws, rows) of some of the rows of parts, as numbers."""
    new = parts.simulate(rng, parts.eta[:, rows], rows)
    response, new = np.asarray(parts.response, float)[rows], np.asarray(new, float)
    if parts.trials is None:
        return response, new
    trials = np.asarray(parts.trials, float)[rows]
    return response / trials, new / trials


def _with_rows(fit: xr.DataTree, group: str, of_rows: Callable[["Parts"], np.ndarray]) -> Fit:
    """The fit with numbers (draws, rows) as a group, made portion by portion of its rows."""
    need_rows_themselves(fit, f"the group {group!r}")
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
    held = 3 + 2 * model.n_cuts + 2 * len(model.parts)
    held += 0 if model.threshold_sets is None else model.n_cuts
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
        self.limits = limits_of_rows(spec, frame)
        self.eta = self.model.linear_predictor(frame)
        self.eta = self.eta + self.model.beyond_measurements(rows)
        self.all_parameters = self.model.parameters_at(frame)
        # Of a transformed response, the response as the model has it.
        self.response = self.model.response_values[rows]
        if self.family.has_trials:
            self.response = frame[outcome_columns(spec)[0]].to_numpy(float)

    def parameters(self, rows: np.ndarray | slice = slice(None)) -> dict[str, np.ndarray]:
        """Draws of the family's parameters for some of the rows (`Family.of_rows`)."""
        of_rows = (None if one is None else one[rows] for one in (self.precision, self.trials))
        found = {
            name: one[:, rows] if name in self.model.parts or one.ndim == 3 else one
            for name, one in self.all_parameters.items()
        }
        return self.family.of_rows(found, *of_rows)

    def log_likelihood(self) -> np.ndarray:
        """Log density (draws, rows) of the response, or log probability where it is censored."""
        if self.limits is None:
            return self.family.log_likelihood(self.response, self.eta, self.parameters())
        own = self.eta, self.parameters()
        return log_likelihood(self.family, self.response, self.limits, *own)

    def simulate(
        self, rng: np.random.Generator, eta: np.ndarray, rows: np.ndarray | slice = slice(None)
    ) -> np.ndarray:
        """New responses (draws, rows) of some of the rows, within their bounds."""
        parameters = self.parameters(rows)
        if self.limits is None or not self.limits.truncated:
            return self.family.simulate(rng, eta, parameters)
        bounds = self.limits.lb[rows], self.limits.ub[rows]
        return simulate_between(self.family, rng, bounds, eta, parameters)

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
