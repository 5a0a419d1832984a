"""Outcome scales: functions of the linear predictor, and their averages over new groups."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import special

from causalbias.arguments import number_in
from causalbias.errors import DataError
from causalbias.models.families.base import Parameters
from causalbias.models.fitted import FittedModel, FittedPart
from causalbias.models.response import Map

Floats = NDArray[np.float64]

SCALES = ("response", "link", "latent", "probability", "exceedance", "FMR", "FNMR")
BACK_NODES = 30  # of that of a transformed response: exp(z) with sd up to 3 to nine digits
MAX_BEYOND = 1e-3  # probability that a model may give to what a transformed response cannot be
CURVE_NODES = 30  # of a distribution function, which may be steep
MANY_NODES = 100  # of answers that may discriminate very well, with a link that has no closed form
NODES = 15  # of Gauss-Hermite quadrature: logits with sd up to 4 to five digits


# Normal probabilities and their slopes on a grid, to be interpolated by cubics: three times as fast
# as scipy's, exact to 1e-12.
_PER_UNIT, _END = 256, 9
_POINTS = np.arange(-_END * _PER_UNIT, _END * _PER_UNIT + 2) / _PER_UNIT
_NORMAL = np.column_stack(
    [special.ndtr(_POINTS), np.exp(-(_POINTS**2) / 2) / np.sqrt(2 * np.pi) / _PER_UNIT]
)


# The logistic distribution as a mixture of normals, to 2e-9: weights and standard deviations. From
# Monahan and Stefanski (1992), in Balakrishnan (ed.), Handbook of the Logistic Distribution.
_LOGISTIC = (
    (
        *(0.003246343272134, 0.051517477033972, 0.195077912673858, 0.315569823632818),
        *(0.274149576158423, 0.131076880695470, 0.027912418727972, 0.001449567805354),
    ),
    tuple(
        1 / one
        for one in (
            *(1.365340806296348, 1.059523971016916, 0.830791313765644, 0.650732166639391),
            *(0.508135425366489, 0.396313345166341, 0.308904252267995, 0.238212616409306),
        )
    ),
)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def normal_cdf(x: Floats, grid: Floats) -> Floats:  # pragma: no cover
    """Standard normal distribution function, in the place of `x`."""
    flat = x.ravel()
    for i in range(flat.size):
        at = (min(max(flat[i], -_END), _END) + _END) * _PER_UNIT
        k = int(at)
        t = at - k
        left, slope, slope_right = grid[k, 0], grid[k, 1], grid[k + 1, 1]
        rise = grid[k + 1, 0] - left
        cubic = slope + slope_right - 2 * rise
        flat[i] = left + t * (slope + t * (rise - slope - cubic + t * cubic))
    return x


@dataclass(frozen=True)
class Scale:
    """A scale as a function of the linear predictor eta.

    Linear: `constant` + eta / `unit`. Of a transformed response, its column's mean, the mean of
    ``back(eta + noise)``. Otherwise ``constant + sum_k weights[:, k] * P(eta + noise > cut_k)``,
    which covers probabilities, mean categories and error rates.

    Attributes
    ----------
    linear : bool
    unit : ndarray (draws,)
        Divisor of eta, or the standard deviation of the noise where that is normal; NaN where the
        noise differs by row, so that it has to be given.
    noisy : bool
        Whether `unit` is that of the noise.
    link : str
        Distribution of the noise: "logit", "probit" or another link of bambi's.
    cuts : ndarray (draws, k)
    constant : ndarray (outcomes,)
    weights : ndarray (outcomes, k)
    categories : list or None
        Labels of several outcomes; None for one.
    inverse : callable
        The link's inverse, for links other than logit and probit.
    ordinal : bool
        Whether P is ``1 - inverse(cut - eta)``, which asymmetric links tell from the other form.
    unequal : bool
        Whether rows discriminate unequally: P is ``1 - inverse(disc (cut - eta))``, ``disc`` among
        the parameters of the rows.
    in_sets : bool
        Whether rows differ in their thresholds, which are then among the parameters of the rows.
    back : Map, optional
        From the model's response back to its column.
    curve : callable, optional
        Outcomes of the linear predictor (rows, draws) and the distribution's parameters (draws,
        1 or rows) that stand in the place of exceedances, one a cut: a mean that depends on them, a
        distribution function, or probabilities of categories.
    parameters : mapping of str to ndarray
        For the curve, those that are one for all rows.
    """

    linear: bool
    unit: Floats
    link: str = ""
    cuts: Floats = field(default_factory=lambda: np.empty((0, 0)))
    constant: Floats = field(default_factory=lambda: np.zeros(1))
    weights: Floats = field(default_factory=lambda: np.ones((1, 1)))
    categories: list[Any] | None = None
    inverse: Any = None
    ordinal: bool = False
    unequal: bool = False
    in_sets: bool = False
    back: Map | None = None
    noisy: bool = False
    curve: Callable[[Floats, Parameters], Sequence[Floats]] | None = None
    parameters: Parameters = field(default_factory=dict)

    @property
    def of_parameters(self) -> bool:
        """Whether it depends on the distribution's parameters beside eta."""
        return self.noisy or self.unequal or self.in_sets or self.curve is not None

    def _cuts(self, parameters: Parameters) -> list[Floats]:
        """The cuts, each (draws,), or (rows, draws) where rows have their own."""
        if self.in_sets:
            return list(np.asarray(parameters["threshold"]).transpose(2, 1, 0))
        return list(self.cuts.T)

    def exceedances(
        self,
        eta: Floats,
        variance: Floats | None,
        noise: Floats | None = None,
        parameters: Parameters | None = None,
    ) -> Iterator[Floats]:
        """Probability (rows, draws) of passing each cut.

        Parameters
        ----------
        eta : ndarray (rows, draws)
            Overwritten.
        variance : ndarray (rows, draws), optional
            Of normal effects of new groups, over which to average: exactly for normal noise, by
            Gauss-Hermite quadrature else.
        noise : ndarray (rows, draws), optional
            Standard deviation of the noise of each row, where it is not `unit`.
        parameters : mapping of str to ndarray, optional
            Those of each row, where they are not `parameters`.
        """
        parameters = self.parameters if parameters is None else parameters
        if self.back is not None:
            yield _mean_outcome(self.back, eta, self._noise(variance, noise))
        elif self.link == "probit":
            sd = self._noise(variance, 1 / parameters["disc"].T if self.unequal else noise)
            for cut in self._cuts(parameters):
                yield normal_cdf((eta - cut) / sd, _NORMAL)
        elif variance is None:
            yield from self._passed(eta, parameters)
        elif self.unequal and self.link == "logit":
            # Where answers discriminate well, quadrature over groups would see a step.
            disc = parameters["disc"].T
            for cut in self._cuts(parameters):
                yield sum(
                    weight
                    * normal_cdf((eta - cut) / np.sqrt((wide / disc) ** 2 + variance), _NORMAL)
                    for weight, wide in zip(*_LOGISTIC, strict=True)
                )
        else:
            count = NODES if self.curve is None else CURVE_NODES
            count = MANY_NODES if self.unequal else count
            nodes, weights = np.polynomial.hermite_e.hermegauss(count)
            sd = np.sqrt(variance)
            total = [np.zeros_like(eta) for _ in self.cuts.T]
            for node, weight in zip(nodes, weights / weights.sum(), strict=True):
                at = self._passed(eta + node * sd, parameters)
                for sums, passed in zip(total, at, strict=True):
                    sums += weight * passed
            yield from total

    def _noise(self, variance: Floats | None, noise: Floats | None) -> Floats:
        """Standard deviation (draws,) or (rows, draws) of normal noise and new groups together."""
        own = self.unit if noise is None else noise
        return own if variance is None else np.sqrt(own**2 + variance)

    def _passed(self, eta: Floats, parameters: Parameters) -> Iterator[Floats]:
        if self.curve is not None:
            yield from self.curve(eta, parameters)
            return
        if self.unequal:
            disc = parameters["disc"].T
            for cut in self._cuts(parameters):
                yield 1.0 - self.inverse(disc * (cut - eta))
            return
        if self.link != "logit":
            for cut in self._cuts(parameters):
                yield 1.0 - self.inverse(cut - eta) if self.ordinal else self.inverse(eta - cut)
            return
        # One exponential serves all cuts. An overflow is a probability of zero.
        with np.errstate(over="ignore"):
            odds_against = np.exp(np.negative(eta, out=eta), out=eta)
            for cut in self._cuts(parameters):
                passed = odds_against * np.exp(cut)
                passed += 1.0
                yield np.reciprocal(passed, out=passed)


def _mean_outcome(back: Map, eta: Floats, sd: Floats) -> Floats:
    """Mean (rows, draws) of a column whose transform is normal, by Gauss-Hermite quadrature.

    Raises
    ------
    DataError
        If the model gives more than a thousandth to what the transform cannot be.
    """
    low, high = back.image
    beyond = special.ndtr((low - eta) / sd) + special.ndtr((eta - high) / sd)
    worst = float(beyond.mean(axis=1).max(initial=0.0))
    if worst > MAX_BEYOND:
        raise DataError(
            f"the model gives {100 * worst:.2g}% of some rows' outcomes to values that the "
            "transformed response cannot have, so that they have no mean",
            hint="model the column itself or its log(), or ask for scale='link'",
        )
    nodes, weights = np.polynomial.hermite_e.hermegauss(BACK_NODES)
    total = np.zeros_like(eta)
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        total += weight * back.outcomes(eta + node * sd)
    return total


def scale_of(model: FittedModel, scale: str, threshold: float | None) -> Scale:
    """The scale of that name for a fitted model.

    Raises
    ------
    DataError
        If the family has no such scale, naming those it has, or error rates lack a threshold.
    """
    if isinstance(model, FittedPart):
        return _of_parameter(model, scale, threshold)
    family, link = model.family, model.family.link.name
    possible = ", ".join(family.scales)
    if not isinstance(scale, str) or scale not in SCALES:
        raise DataError(f"no scale {scale!r}", hint=f"use one of {possible}")
    if scale not in family.scales:
        raise DataError(
            f"a {family.name} model with link {link} has no scale {scale!r}",
            hint=f"use one of {possible}",
        )
    if model.by_threshold and scale in ("link", "latent"):
        raise DataError(
            "the linear predictor differs between thresholds, so that there is no one scale "
            f"{scale!r}",
            hint="ask for scale='probability', 'exceedance' or 'response'; effects at each "
            f"threshold are by parameter={model.by_threshold[0]!r}",
        )
    if (threshold is None) == (scale in ("FMR", "FNMR")):
        told = "is needed for" if threshold is None else "is only for"
        raise DataError(f"a threshold {told} FMR and FNMR", hint="give threshold= with those")
    if threshold is not None:
        threshold = number_in(threshold, "threshold")
    draws = model.draws
    one = np.ones(draws)
    if model.response.transformed and scale in ("response", "FMR", "FNMR"):
        found = _of_column(model, scale, threshold)
        if found is not None:
            return found
    by_parameters = family.mean_by_parameters
    if scale == "link" or (link == "identity" and scale == "response" and not by_parameters):
        return Scale(True, one)
    if scale == "latent":
        return Scale(True, _noise_of(model), noisy=True)
    if threshold is not None:
        return _rate_of(model, float(threshold), above=scale == "FNMR")
    if by_parameters:
        return _curve(model, family.mean)
    in_sets = model.threshold_sets is not None
    constant, weights, labels = family.outcome_weights(scale, model.categories)
    if family.has_curves:
        return Scale(
            False,
            one,
            cuts=np.zeros((draws, weights.shape[1])),
            constant=constant,
            weights=weights,
            categories=labels,
            curve=lambda eta, of: [curve.T for curve in family.curves(eta.T, of)],
            parameters=model.parameters,
            in_sets=in_sets,
        )
    return Scale(
        False,
        one,
        link,
        np.zeros((draws, model.n_cuts)) if in_sets else family.cuts(model.parameters, draws),
        constant,
        weights,
        labels,
        family.link.inverse,
        ordinal=family.has_thresholds,
        unequal="disc" in model.parts,
        in_sets=in_sets,
    )


def _rate_of(model: FittedModel, cut: float, *, above: bool) -> Scale:
    """Probability of responses at or below a cut, or above it."""
    family = model.family
    if family.linear:
        return _rate(_noise_of(model), cut, above=above)
    found = _curve(model, lambda eta, of: family.cdf(np.array(cut), eta, of))
    if not above:
        return found
    return replace(found, constant=np.ones(1), weights=-np.ones((1, 1)))


def _curve(model: FittedModel, outcome: Callable[[Floats, Parameters], Floats]) -> Scale:
    """The scale of a function of the linear predictor (draws, rows) and the parameters."""
    draws, parameters = model.draws, model.parameters
    return Scale(
        False,
        np.ones(draws),
        cuts=np.zeros((draws, 1)),
        curve=lambda eta, of: [outcome(eta.T, of).T],
        parameters=parameters,
    )


def _noise_of(model: FittedModel) -> Floats:
    """Standard deviation (draws,) of the noise; NaN where it differs by row."""
    return np.full(model.draws, np.nan) if model.parts else model.latent_sd


def _of_parameter(part: FittedPart, scale: str, threshold: float | None) -> Scale:
    """The scale of a parameter with a formula: itself, or its linear predictor.

    Raises
    ------
    DataError
        If it is another, or a threshold was given.
    """
    if scale not in ("response", "link") or threshold is not None:
        raise DataError(
            f"{part.name} has no scale {scale!r}"
            if threshold is None
            else f"{part.name} has no threshold",
            hint=f"use 'response' for {part.name} itself, or 'link' for its linear predictor",
        )
    one = np.ones(part.draws)
    if scale == "link" or part.link.name == "identity":
        return Scale(True, one)
    cuts = np.zeros((part.draws, 1))
    return Scale(False, one, part.link.name, cuts, inverse=part.link.inverse)


def _rate(noise: Floats, cut: float, *, above: bool) -> Scale:
    """Probability (or one less it) that eta + noise is above a cut."""
    sign = 1.0 if above else -1.0
    return Scale(
        False,
        noise,
        "probit",
        np.full((len(noise), 1), cut),
        np.array([0.0 if above else 1.0]),
        np.array([[sign]]),
        noisy=True,
    )


def _of_column(model: FittedModel, scale: str, threshold: float | None) -> Scale | None:
    """The scale of a transformed response's own column; None if the response is a quantity itself.

    Raises
    ------
    DataError
        If there is no way back, or the column has no mean.
    """
    response = model.response
    if len(response.columns) > 1 and threshold is None:
        return None  # such as I(a - b): no column's
    back, family, link = response.back(), model.family, model.family.link.name
    if threshold is not None:
        above = (scale == "FNMR") == back.increasing
        return _rate_of(model, back.cut(threshold), above=above)
    draws = model.draws
    if back.line is not None:
        start, slope = back.line
        if family.mean_by_parameters:
            mean = _curve(model, family.mean)
            return replace(mean, constant=np.array([start]), weights=np.array([[slope]]))
        if link == "identity":
            return Scale(True, np.full(draws, 1 / slope), constant=np.array([start]))
        cuts = np.zeros((draws, 1))
        plain = Scale(False, np.ones(draws), link, cuts, inverse=family.link.inverse)
        return replace(plain, constant=np.array([start]), weights=np.array([[slope]]))
    if not family.linear:
        raise DataError(
            f"{response.column} has no known mean where {response.text} is {family.name} with link "
            f"{link}",
            hint="ask for scale='link', or model the column itself",
        )
    if not back.mean:
        raise DataError(
            f"{response.column} has no mean where {response.text} is normal",
            hint="ask for scale='link', or give a threshold and scale='FMR' or 'FNMR'",
        )
    return Scale(False, _noise_of(model), cuts=np.zeros((draws, 1)), back=back, noisy=True)


def outcome_named(model: FittedModel, scale: str) -> str:
    """What an estimate on a scale is of: the column, or the response as the formula has it.

    Examples
    --------
    >>> import causalbias as cb
    >>> from causalbias.models.fitted import fitted
    >>> rows = cb.to_frame(cb.demo_study(), "human")
    >>> model = fitted(cb.fit("log(score) ~ level", rows[rows["score"] > 0], draws=100))
    >>> outcome_named(model, "response"), outcome_named(model, "link")
    ('score', 'log(score)')
    """
    response = model.response
    own = scale in ("response", "FMR", "FNMR") and len(response.columns) == 1
    return response.column if own or model.family.has_trials else response.text.strip("`")
