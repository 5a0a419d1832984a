"""What a response family is: all that the rest of the package asks of one."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy import special

from causalbias.errors import DataError, at_first, shown
from causalbias.models.families.links import LINKS, Link

Floats = NDArray[np.float64]
Parameters = Mapping[str, Floats]
ENDS = (1e-15, 1 - 1e-15)
# Sides of a limit: a response is at most (left) or at least (right) that.
SIGNS = {"left": 1.0, "right": -1.0}


@dataclass(frozen=True)
class Family(ABC):
    """The distribution of a response y given the linear predictor eta.

    A family is a subclass in a module of its own, and a line in the registry of
    `causalbias.models.families`. An instance has a link. `docs/contributing/add-a-family.md` adds
    a family step by step.

    Methods take arrays, which broadcast: ``y`` (rows,) or (draws, rows), ``eta`` and ``mean``
    (draws, rows), and ``parameters``, a mapping of name to draws (draws, 1), or (draws, rows)
    where they differ by row; thresholds are (draws, cuts), or (draws, rows, cuts) where they differ
    by row, and ``"trials"`` is (rows,).

    Parameters
    ----------
    link_name : str, optional
        One of `links`; by default the first of them.

    Attributes
    ----------
    name : str
        As in ``fit(family=)``; bambi's name where it has the family, by which NUTS samples it.
    response : str
        What a response must be, in words.
    links : tuple of str
        Links that it may have, of `LINKS`, the default first.
    mean_name : str
        bambi's name of the mean.
    parameters : tuple of str
        bambi's names of the distribution's further parameters, such as sigma. Posteriors have them
        under these names, and no column may be called so.
    optional : tuple of str
        Further parameters that a model has only where it gives them a formula. Without it, and
        where all its effects are zero, they are one, or zero where they are added to eta: such a
        formula has no intercept.
    noise : str
        What the effect of a level on its only observation cannot be told from, in words.
    engines : tuple of str
        Engines that may sample it besides NUTS, which takes any; ``method="auto"`` tries the first.
    statistics : tuple of str
        Names of the statistics by which `check` compares data with replicates
        (`causalbias.model_checks.replicates.STATISTICS`).
    continuous : bool
        Whether the response is a real number, so that a formula may transform it.
    mean_by_parameters : bool
        Whether the mean depends on the parameters, and is not the link's inverse alone.
    normal : bool
        Whether the response is the mean plus normal noise of standard deviation ``sigma``: then
        rows may have weights, and group effects can be integrated out exactly.
    real, probabilities : tuple of str
        Those of the parameters that can be any number, and those that are probabilities. All others
        but thresholds are positive.
    pymc : callable, optional
        Of a family that bambi has not: from a name, the parameters and PyMC's further arguments to
        the variable that NUTS samples.
    has_tails : bool
        Whether rows may be censored or truncated: `log_tail`, `tail_quantile` and `pymc_tail` are
        there.
    lowest : float
        Below this there is no response.
    binary : bool
        Whether an answer is no or yes, of one trial or of each of several.
    has_trials : bool
        Whether the response is ``p(successes, trials)``.
    has_thresholds : bool
        Whether thresholds stand in the place of the intercept, as in ordinal models.
    thresholds_ascend : bool
        Whether these are in order.
    has_curves : bool
        Whether outcomes are sums of `curves` in the place of exceedances.
    by_threshold : tuple of str
        Those of `optional` that have a linear predictor for each threshold, as `at_thresholds`
        names them, on the scale of eta.
    by_category : bool
        Whether each category but the first has a linear predictor of the formula, a parameter that
        `predictors` names, in the place of one for the mean.

    Raises
    ------
    DataError
        If it has no such link.

    Examples
    --------
    >>> from causalbias.models.families import family_named
    >>> binary = family_named("bernoulli")
    >>> binary.link.name, binary.mean(np.zeros((1, 1)), {}).tolist()
    ('logit', [[0.5]])
    """

    link_name: str | None = None

    name: ClassVar[str]
    response: ClassVar[str]
    links: ClassVar[tuple[str, ...]]
    noise: ClassVar[str]
    statistics: ClassVar[tuple[str, ...]]
    mean_name: ClassVar[str] = "mu"
    parameters: ClassVar[tuple[str, ...]] = ()
    optional: ClassVar[tuple[str, ...]] = ()
    engines: ClassVar[tuple[str, ...]] = ()
    continuous: ClassVar[bool] = False
    mean_by_parameters: ClassVar[bool] = False
    normal: ClassVar[bool] = False
    real: ClassVar[tuple[str, ...]] = ()
    probabilities: ClassVar[tuple[str, ...]] = ()
    pymc: ClassVar[Callable[..., Any] | None] = None
    has_tails: ClassVar[bool] = False
    lowest: ClassVar[float] = -np.inf
    binary: ClassVar[bool] = False
    has_trials: ClassVar[bool] = False
    has_thresholds: ClassVar[bool] = False
    thresholds_ascend: ClassVar[bool] = True
    has_curves: ClassVar[bool] = False
    by_threshold: ClassVar[tuple[str, ...]] = ()
    by_category: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.link_name is not None and self.link_name not in self.links:
            raise DataError(
                f"the family {self.name!r} has no link {self.link_name!r}",
                hint=f"use one of {', '.join(self.links)}",
            )

    @property
    def link(self) -> Link:
        """The link of the mean."""
        return LINKS[self.link_name or self.links[0]]

    @property
    def bambi_name(self) -> str:
        """Of bambi's family that a model of this one is made of, where `pymc` is not given."""
        return self.name

    @property
    def has_intercept(self) -> bool:
        """Whether the linear predictor of the mean has an intercept."""
        return not (self.has_thresholds or self.by_category)

    def predictors(self, categories: Sequence[Any]) -> list[str]:
        """Names of the parameters that are linear predictors of categories; by default none."""
        return []

    def at_thresholds(self, parameter: str, categories: Sequence[Any]) -> list[str]:
        """Names of the linear predictors that one of `by_threshold` has."""
        return []

    def is_optional(self, name: str) -> bool:
        """Whether that is one of `optional`, or its predictor at a threshold."""
        return name in self.optional or name.rstrip("0123456789") in self.by_threshold

    def no_formula(self, parameter: str) -> str:
        """What to do in place of a formula of a parameter that may have none."""
        known = ", ".join(self.with_formula)
        return f"write one for {known}" if known else "leave it out"

    @property
    def linear(self) -> bool:
        """Whether the response is the linear predictor itself plus normal noise."""
        return self.normal and self.link.name == "identity"

    @property
    def scales(self) -> tuple[str, ...]:
        """Outcome scales on which estimates can be asked for."""
        return ("response", "link")

    # -- the response ------------------------------------------------------------------------

    def validate_response(self, values: pd.Series, trials: pd.Series | None = None) -> pd.Series:
        """The response in the family's form.

        Parameters
        ----------
        values : Series
            The response's column, without missing or infinite values. Successes, of a family that
            has trials.
        trials : Series, optional
            The number of trials; without a name where it is a constant of the formula.

        Raises
        ------
        DataError
            If the response is not of the family's kind, with the first row that is not.
        """
        if not pd.api.types.is_numeric_dtype(values):
            raise self.wrong_response(values, np.ones(len(values), bool))
        if (bad := self.impossible(values)).any():
            raise self.wrong_response(values, bad)
        if self.continuous and values.nunique() == 1:
            raise DataError(
                f"all responses are {values.iloc[0]:g}, so nothing can be estimated",
                hint="check that this is the right column or subset",
                file="data",
                column=str(values.name),
            )
        return values

    def impossible(self, values: pd.Series) -> NDArray[np.bool_]:
        """Which numbers (rows,) no response of the family is."""
        return np.zeros(len(values), bool)

    def wrong_response(self, values: pd.Series, bad: NDArray[np.bool_]) -> DataError:
        """The error that names the first bad value."""
        return at_first(
            bad,
            f"{shown(values.iloc[int(bad.argmax())])}, but family {self.name!r} needs "
            f"{self.response}",
            hint=self.way_out(values),
            file="data",
            column=str(values.name),
        )

    def way_out(self, values: pd.Series) -> str:
        """What to do with a response that is none of the family's."""
        if pd.api.types.is_numeric_dtype(values):
            return "choose another family or transform the response"
        return "code it as numbers, or choose a family of answers or of categories"

    # -- the distribution --------------------------------------------------------------------

    @abstractmethod
    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """Log density or probability (draws, rows) of each response."""

    @abstractmethod
    def simulate(
        self, rng: np.random.Generator, eta: Floats, parameters: Parameters
    ) -> NDArray[Any]:
        """One new response (draws, rows) of each row in every draw; of categories, their codes."""

    @abstractmethod
    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """First and second derivative (draws, rows) of the log likelihood by eta."""

    def by_eta(self, first: Floats, second: Floats, eta: Floats) -> tuple[Floats, Floats]:
        """Derivatives by eta of a function whose derivatives by the mean are given.

        With mean mu = h(eta): ``l' = h' dl/dmu`` and ``l'' = h'^2 d2l/dmu2 + h'' dl/dmu``.
        """
        slope = self.link.slope(eta)
        return slope * first, slope**2 * second + self.link.curvature(eta) * first

    def parent(self, eta: Floats) -> Floats:
        """The parameter `mean_name` (draws, rows), whose linear predictor eta is."""
        return np.asarray(self.link.inverse(eta))

    def mean(self, eta: Floats, parameters: Parameters) -> Floats:
        """Expected response (draws, rows), of one trial where there are trials."""
        return self.parent(eta)

    def cdf(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """Probability (draws, rows) of a response at or below y, of a continuous family."""
        raise NotImplementedError

    def log_tail(self, y: Floats, eta: Floats, parameters: Parameters, side: str) -> Floats:
        """Log probability (draws, rows) of a response beyond y on a side of `SIGNS`."""
        raise NotImplementedError

    def tail_quantile(
        self, log_p: Floats, eta: Floats, parameters: Parameters, side: str
    ) -> Floats:
        """The response (draws, rows) beyond which that log probability is: `log_tail`'s inverse."""
        raise NotImplementedError

    def pymc_tail(self, y: Any, parameters: list[Any], side: str) -> Any:
        """`log_tail` (rows,) by PyMC's variables, given PyMC's parameters of the distribution."""
        raise NotImplementedError

    def normal_response(self, y: Floats) -> Floats:
        """The response as it is normal about eta, of a family that the collapsed engine samples."""
        return y

    def residual(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """Distance (draws, rows) of a response from what is expected, comparable between rows."""
        return np.asarray(y - self.mean(eta, parameters))

    def quantile_residual(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """The normal quantile of a response's own: standard normal if the model is right.

        ``Phi^-1(F(y))`` (Dunn and Smyth 1996, Journal of Computational and Graphical Statistics
        5(3)), within 8 standard deviations, beyond which F is one to 16 digits.
        """
        return np.asarray(special.ndtri(np.clip(self.cdf(y, eta, parameters), *ENDS)))

    def replicate(
        self, rng: np.random.Generator, eta: Floats, parameters: Parameters
    ) -> tuple[NDArray[Any], Floats]:
        """New responses as of `simulate`, and their residuals."""
        new = self.simulate(rng, eta, parameters)
        return new, self.residual(new, eta, parameters)

    # -- its parameters ----------------------------------------------------------------------

    @property
    def positive(self) -> tuple[str, ...]:
        """Those of the parameters that are positive numbers."""
        if self.has_thresholds:
            return ()
        others = (*self.real, *self.probabilities)
        return tuple(name for name in self.parameters if name not in others)

    def beside(self, y: Floats, offset: Floats) -> Floats:
        """What an offset (rows,) of eta leaves of the response; the response where that is none."""
        return y

    def units(self, y: Floats) -> tuple[float, float]:
        """Centre and spread, on the scale of eta, of which default priors are multiples.

        The intercept's is about the centre with a standard deviation of 2.5 spreads, and a
        coefficient's about zero with 2.5 spreads over the standard deviation of its column. By
        default zero and one, for responses that have no unit, such as answers.
        """
        return 0.0, 1.0

    def sizes(self, y: Floats) -> dict[str, float]:
        """Of parameters that depend on the response's unit or spread: about how large they are.

        That is if all rows had one mean.
        """
        return {}

    def default_priors(self, y: Floats) -> dict[str, str]:
        """Default priors of the parameters, as text, given the response: where not bambi's own."""
        return {}

    @property
    def with_formula(self) -> tuple[str, ...]:
        """Those of the parameters that may have a formula of their own: all but thresholds."""
        return (*(() if self.has_thresholds else self.parameters), *self.optional)

    def link_of(self, parameter: str) -> Link:
        """The link of a parameter in a formula of its own."""
        if parameter.rstrip("0123456789") in self.by_threshold:
            return LINKS["identity"]
        if parameter in (*self.positive, *self.optional):
            return LINKS["log"]
        return LINKS["logit" if parameter in self.probabilities else "identity"]

    def centre_of(self, parameter: str, response: Floats) -> float:
        """The linear predictor about which default priors of a parameter with a formula are.

        It is that of the parameter's size, so that another unit of the response gives the same
        model; zero where it has none.
        """
        return float(np.log(self.sizes(response).get(parameter, 1.0)))

    def draws_of(self, posterior: xr.Dataset) -> dict[str, Floats]:
        """Draws of each of the parameters that are one for all rows.

        All chains' in order: (draws, 1), or (draws, cuts).
        """
        draws = posterior.sizes["chain"] * posterior.sizes["draw"]
        return {
            name: posterior[name].transpose("chain", "draw", ...).values.reshape(draws, -1)
            for name in self.parameters
            if name in posterior
        }

    def of_rows(
        self,
        parameters: Parameters,
        precision: Floats | None = None,
        trials: Floats | None = None,
    ) -> dict[str, Floats]:
        """The parameters of each row, given the rows' weights w (rows,) and trials (rows,).

        Rows of a normal family have standard deviation ``sigma / sqrt(w)``.
        """
        found = dict(parameters)
        if precision is not None:
            found["sigma"] = found["sigma"] / np.sqrt(precision)
        if trials is not None:
            found["trials"] = trials
        return found

    def latent_sd(self, parameters: Parameters, draws: int) -> Floats:
        """Standard deviation of the noise about eta: that of the link's distribution.

        (draws,), or (draws, rows) where it is by parameters that differ by row.
        """
        if self.link.noise_sd is None:
            raise DataError(
                f"a {self.name} model with link {self.link.name} has no standard deviation of "
                "noise about its linear predictor",
                hint="ask for scale='link' or 'response'",
            )
        return np.full(draws, self.link.noise_sd)

    @property
    def likelihood_of_rows(self) -> bool:
        """Whether `pymc_of_rows` is the likelihood of all models: bambi has not the family."""
        return self.pymc is None and self.bambi_name != self.name

    def pymc_of_rows(
        self, name: str, eta: Any, parameters: Mapping[str, Any], **options: Any
    ) -> Any:
        """PyMC's variable, of a model whose likelihood bambi has not.

        Such as one in which an optional parameter has a formula: ``parameters`` are PyMC's, of
        rows (rows,) or as in a posterior, and ``options`` those of a variable.
        """
        raise NotImplementedError

    # -- outcomes as sums of exceedances -----------------------------------------------------

    def cuts(self, parameters: Parameters, draws: int) -> Floats:
        """Values (draws, k) of eta whose exceedances the outcomes of `outcome_weights` are of."""
        return np.zeros((draws, 1))

    def curves(self, eta: Floats, parameters: Parameters) -> Floats:
        """Probabilities (k, draws, rows) that stand in the place of k exceedances.

        Of a family in which these are not of one noise about eta.
        """
        raise NotImplementedError

    def outcome_weights(
        self, scale: str, levels: list[Any]
    ) -> tuple[Floats, Floats, list[Any] | None]:
        """Outcomes as ``constant + weights @ P(eta + noise > cut)``: constant, weights, labels.

        Parameters
        ----------
        scale : str
            One of `scales`.
        levels : list
            Categories of the response, where it has any.

        Returns
        -------
        constant : ndarray (outcomes,)
        weights : ndarray (outcomes, k)
        labels : list or None
            Of several outcomes; None for one.
        """
        return np.zeros(1), np.ones((1, 1)), None
