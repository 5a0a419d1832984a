"""What a fit says of single rows: their log likelihood, and new data drawn from the model."""

from typing import Any

import numpy as np
import xarray as xr
from scipy import special, stats

from causalbias.errors import DataError
from causalbias.estimands.predictor import expected_rows
from causalbias.models.formula import proportion
from causalbias.models.result import OBS, Fit, as_fit, frame_of, model_of, spec_of

MAX_VALUES = 250_000_000  # rows x draws: 2 GB


def with_log_likelihood(fit: xr.DataTree) -> Fit:
    """The fit with a group ``log_likelihood``, which arviz needs for LOO.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    Fit
        With one variable named after the response, dims (chain, draw, __obs__).

    Raises
    ------
    DataError
        If rows times draws are more than memory should hold, with their number.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> cb.with_log_likelihood(fit)["log_likelihood"]["score"].dims
    ('chain', 'draw', '__obs__')
    """
    parts = _Parts(fit)
    match parts.family:
        case "gaussian":
            values = stats.norm.logpdf(parts.response, parts.expected, parts.draws("sigma"))
        case "bernoulli":
            values = stats.bernoulli.logpmf(parts.response, parts.expected)
        case "binomial":
            values = stats.binom.logpmf(parts.response, parts.trials, parts.expected)
        case "beta":
            kappa = parts.draws("kappa")
            mean = parts.expected
            values = stats.beta.logpdf(parts.response, mean * kappa, (1 - mean) * kappa)
        case _:
            codes = parts.response.astype(int)
            chances = parts.category_chances()
            values = np.log(np.take_along_axis(chances, codes[None, :, None], axis=2)[..., 0])
    return parts.attach("log_likelihood", values)


def with_predictive(fit: xr.DataTree, *, seed: int = 0) -> Fit:
    """The fit with a group ``posterior_predictive``: a new data set for every draw.

    Parameters
    ----------
    fit : Fit
    seed : int
        Seed of the random numbers.

    Returns
    -------
    Fit
        With one variable named after the response, dims (chain, draw, __obs__); ordinal responses
        as category codes 0, 1, ...

    Raises
    ------
    DataError
        If rows times draws are more than memory should hold, with their number.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> cb.with_predictive(fit)["posterior_predictive"]["score"].dims
    ('chain', 'draw', '__obs__')
    """
    parts, rng = _Parts(fit), np.random.default_rng(seed)
    values: np.ndarray
    match parts.family:
        case "gaussian":
            values = rng.normal(parts.expected, parts.draws("sigma"))
        case "bernoulli":
            values = rng.binomial(1, parts.expected)
        case "binomial":
            values = rng.binomial(parts.trials.astype(int), parts.expected)
        case "beta":
            kappa = parts.draws("kappa")
            values = rng.beta(parts.expected * kappa, (1 - parts.expected) * kappa)
        case _:
            below = parts.category_chances().cumsum(axis=2)[..., :-1]
            uniform = rng.uniform(size=(*below.shape[:2], 1))
            values = (uniform > below).sum(axis=2)
    return parts.attach("posterior_predictive", values)


class _Parts:
    """A fit's rows and draws: the response (rows,), the expected outcome (draws, rows)."""

    def __init__(self, fit: xr.DataTree) -> None:
        frame = frame_of(fit)
        posterior = fit.children["posterior"].to_dataset()
        size = posterior.sizes["chain"] * posterior.sizes["draw"] * len(frame)
        if size > MAX_VALUES:
            raise DataError(
                f"{len(frame):,} rows times draws are {size:,} numbers (limit {MAX_VALUES:,})",
                mend="thin the posterior first: fit.isel(draw=slice(None, None, 10))",
            )
        self.fit, self.posterior = fit, posterior
        self.model = model_of(fit)
        self.family = spec_of(fit).family
        self.name = str(next(iter(fit.children["observed_data"].data_vars)))
        scale = "link" if self.family == "cumulative" else "response"
        self.expected = expected_rows(fit, self.model, frame, scale=scale)
        self.response = np.asarray(self.model.response_term.data, float)
        if self.family == "binomial":
            successes, trials = proportion(spec_of(fit).formula)
            self.response = frame[successes].to_numpy(float)
            many = frame[trials] if isinstance(trials, str) else trials
            self.trials = np.broadcast_to(np.asarray(many, float), self.response.shape)

    def draws(self, name: str) -> np.ndarray:
        """Draws (draws, 1) of a scalar parameter."""
        return self.posterior[name].transpose("chain", "draw").values.reshape(-1, 1)

    def category_chances(self) -> np.ndarray:
        """Probability (draws, rows, categories) of each category."""
        link: Any = self.model.family.link[self.model.family.likelihood.parent]
        inverse = special.ndtr if link.name == "probit" else link.linkinv
        cuts = self.posterior["threshold"].transpose("chain", "draw", ...).values
        cuts = cuts.reshape(len(self.expected), 1, -1)
        below = np.asarray(inverse(cuts - self.expected[:, :, None]))
        edge = np.ones((*below.shape[:2], 1))
        return np.diff(np.concatenate([0 * edge, below, edge], axis=2), axis=2)

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
