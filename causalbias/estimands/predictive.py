"""What a fit says of single rows: their log likelihood, and new data drawn from the model."""

import numpy as np
import xarray as xr
from scipy import special, stats

from causalbias.arguments import generator
from causalbias.errors import DataError
from causalbias.estimands.predictor import expected_rows
from causalbias.io.memory import check_memory
from causalbias.models.fitted import ModelDesign, fitted
from causalbias.models.formula.parse import proportion
from causalbias.models.result import OBS, Fit, as_fit
from causalbias.models.specification import row_counts, row_precisions, trials_of

PORTION = 10_000_000  # rows x draws at once where only their sum is wanted


def with_log_likelihood(fit: xr.DataTree) -> Fit:
    """The fit with a group ``log_likelihood``, which arviz needs for LOO.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    Fit
        With one variable named after the response, dims (chain, draw, __obs__). A row that stands
        for several observations has the log likelihood of them all: LOO leaves it out whole. Of a
        transformed response it is the density of the column itself, so that models of the column
        and of its logarithm can be compared.

    Raises
    ------
    DataError
        If memory will not hold rows times draws, with their number.

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
    """Log likelihood (draws,) of all rows together, in portions that memory holds."""
    model = fitted(fit)
    count, step = len(model.frame), max(1, PORTION // model.draws)
    total = np.zeros(model.draws)
    for start in range(0, count, step):
        total += _log_likelihood(Parts(fit, slice(start, start + step))).sum(axis=1)
    return total


def _log_likelihood(parts: "Parts") -> np.ndarray:
    match parts.family:
        case "gaussian":
            values = stats.norm.logpdf(parts.response, parts.expected, parts.noise_sd())
            values = values + parts.log_slope()
        case "bernoulli":
            values = stats.bernoulli.logpmf(parts.response, parts.expected)
        case "binomial":
            values = stats.binom.logpmf(parts.response, parts.trials, parts.expected)
        case "beta":
            kappa = parts.draws("kappa")
            mean = parts.expected
            values = stats.beta.logpdf(parts.response, mean * kappa, (1 - mean) * kappa)
            values = values + parts.log_slope()
        case _:
            codes = parts.response.astype(int)
            chances = category_chances(parts.model, parts.expected, parts.cuts())
            values = np.log(np.take_along_axis(chances, codes[None, :, None], axis=2)[..., 0])
    return np.asarray(values * parts.counts)


def with_predictive(fit: xr.DataTree, *, random_seed: int = 0) -> Fit:
    """The fit with a group ``posterior_predictive``: a new data set for every draw.

    Parameters
    ----------
    fit : Fit
    random_seed : int
        Seed of the random numbers.

    Returns
    -------
    Fit
        With one variable named after the response, dims (chain, draw, __obs__); ordinal responses
        as category codes 0, 1, ... A row that stands for several observations gets one new one of
        them: weigh it by its count in means, and write the rows out to compare spreads.

    Raises
    ------
    DataError
        If memory will not hold rows times draws, with their number, or a transformed response has
        no inverse that is known.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> cb.model_checks.with_predictive(fit)["posterior_predictive"]["score"].dims
    ('chain', 'draw', '__obs__')
    """
    parts = Parts(fit)
    cuts = parts.cuts() if parts.family == "cumulative" else None
    values = new_observations(
        parts.model,
        parts.expected,
        generator(random_seed),
        trials=parts.trials,
        cuts=cuts,
        sigma=parts.noise_sd() if parts.family == "gaussian" else None,
        kappa=parts.draws("kappa") if parts.family == "beta" else None,
    )
    if parts.of_response.transformed:
        values = parts.of_response.back().outcomes(values)
    return parts.attach("posterior_predictive", values)


def new_observations(
    model: ModelDesign,
    expected: np.ndarray,
    rng: np.random.Generator,
    *,
    sigma: np.ndarray | None = None,
    kappa: np.ndarray | None = None,
    cuts: np.ndarray | None = None,
    trials: np.ndarray | None = None,
) -> np.ndarray:
    """One new observation of each row in every draw, (draws, rows).

    Parameters
    ----------
    model : ModelDesign
    expected : ndarray (draws, rows)
        Expected outcome (binomial: of one trial); cumulative: the linear predictor.
    rng : Generator
    sigma, kappa : ndarray (draws, 1 or rows)
        Residual sd (gaussian), precision (beta).
    cuts : ndarray (draws, cuts)
        Thresholds (cumulative).
    trials : ndarray (rows,)
        Binomial.
    """
    match model.spec.family:
        case "gaussian":
            return rng.normal(expected, np.asarray(sigma))
        case "bernoulli":
            return rng.binomial(1, expected)
        case "binomial":
            return rng.binomial(np.asarray(trials, int), expected)
        case "beta":
            shapes = (expected * kappa, (1 - expected) * kappa)
            # shapes that underflow put all mass on the ends of (0, 1)
            return rng.beta(*(np.maximum(shape, 1e-12) for shape in shapes))
        case _:
            below = category_chances(model, expected, cuts).cumsum(axis=2)[..., :-1]
            return (rng.uniform(size=(*below.shape[:2], 1)) > below).sum(axis=2)


def category_chances(model: ModelDesign, linear: np.ndarray, cuts: np.ndarray | None) -> np.ndarray:
    """Probability (draws, rows, categories) of each category of an ordinal response."""
    inverse = special.ndtr if model.link == "probit" else model.inverse_link
    below = np.asarray(inverse(np.asarray(cuts)[:, None, :] - linear[:, :, None]))
    edge = np.ones((*below.shape[:2], 1))
    return np.diff(np.concatenate([0 * edge, below, edge], axis=2), axis=2)


class Parts:
    """A fit's rows, or some of them: response (rows,), expected outcome (draws, rows)."""

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
        self.family = spec.family
        self.counts, self.precision = row_counts(spec, frame), row_precisions(spec, frame)
        self.name = str(next(iter(fit.children["observed_data"].data_vars)))
        self.of_response = self.model.response
        self.frame = frame
        # Of a transformed response, the response as the model has it.
        self.expected = expected_rows(self.model, frame, scale="link")
        if self.family != "cumulative" and self.model.link != "identity":
            self.expected = self.model.inverse_link(self.expected)
        self.response = self.model.response_values[rows]
        self.trials = trials_of(spec, frame)
        if self.family == "binomial":
            self.response = frame[proportion(spec.formula)[0]].to_numpy(float)

    def draws(self, name: str) -> np.ndarray:
        """Draws (draws, 1) of a scalar parameter."""
        return self.posterior[name].transpose("chain", "draw").values.reshape(-1, 1)

    def noise_sd(self) -> np.ndarray:
        """Residual sd (draws, rows or 1) of an observation of each row."""
        sigma = self.draws("sigma")
        return sigma if self.precision is None else sigma / np.sqrt(self.precision)

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

    def cuts(self) -> np.ndarray:
        """Draws (draws, cuts) of the thresholds."""
        cuts = self.posterior["threshold"].transpose("chain", "draw", ...).values
        return cuts.reshape(-1, cuts.shape[2])

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
