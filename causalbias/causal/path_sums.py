"""Means of an outcome with its mediator as at another level: sums over draws, rows and mediator."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import generator
from causalbias.draws.summaries import SAMPLE
from causalbias.errors import DataError
from causalbias.estimands.averaging import Averaging
from causalbias.estimands.new_data import rows_at
from causalbias.estimands.predictor import average_prediction, designs_in, noise_variance
from causalbias.inference.membership import membership
from causalbias.inference.problem import FloatArray
from causalbias.io.memory import check_memory
from causalbias.models.fitted import FittedModel, fitted
from causalbias.models.levels import Level, same

NODES = 15  # of the mediator's distribution, by Gauss-Hermite quadrature
POINTS = 41  # at which the outcome is computed, Chebyshev's: exact for polynomials below
REACH = 6.5  # standard deviations of the mediator beyond its means that are covered


@dataclass(frozen=True)
class MediatorModel:
    """A fitted model of a mediator.

    Attributes
    ----------
    model : FittedModel
    name : str
        Its response.
    columns : tuple of str
        Columns on which its mean depends, but for the variable.
    """

    model: FittedModel
    name: str
    columns: tuple[str, ...]

    @classmethod
    def of(cls, fit: xr.DataTree, variable: str) -> "MediatorModel":
        """Check a fit.

        Raises
        ------
        DataError
            If the family is neither normal nor binary, the response is transformed, or the
            variable is not in its formula.
        """
        model = fitted(fit)
        name, family = model.response.column, model.family
        plain = family.normal and family.link.name == "identity" and not model.response.transformed
        if not (plain or family.binary):
            raise DataError(
                f"a mediator's model is normal with the identity link or binary, and that of "
                f"{name!r} is neither",
                hint="transform the column itself before both fits, or model it as gaussian",
                column=name,
            )
        if variable not in model.population_columns or variable == name:
            raise DataError(
                f"the mediator's model does not have {variable!r}",
                hint=f'fit "{name} ~ {variable} + ..."',
            )
        columns = [one for one in model.population_columns if one not in (name, variable)]
        return cls(model, name, tuple(columns))

    @property
    def binary(self) -> bool:
        """Whether it is 0 or 1."""
        return self.model.family.binary

    def distribution(self, frame: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation (draws, rows) of the mediator of new groups.

        The standard deviation of a binary one is left at zero.
        """
        rows = np.arange(len(frame))
        mean = average_prediction(self.model, frame, rows, population="new")
        if self.binary:
            return mean, np.zeros_like(mean)
        ones = np.ones(len(frame))
        variance = noise_variance(self.model, frame, rows, ones, "new", weighted=False)
        for one in designs_in(self.model, "new")[1]:
            share = one.concentration(frame)
            variance = (
                variance + (self.model.group_variance(one, one.columns(frame)) * share[:, None]).T
            )
        return mean, np.sqrt(variance)


@dataclass(frozen=True)
class Paths:
    """Draws of means of an outcome, each (draws, cells).

    Attributes
    ----------
    mean : dict of (level, level) to ndarray
        ``E[Y(x, M(x'))]`` by x and x'.
    held : dict of level to ndarray
        ``E[Y(x, m)]``.
    mediator : dict of level to ndarray
        ``E[M(x)]``.
    linear : bool
        Whether the outcome is linear in the mediator.
    outcome_variance, mediator_variance : ndarray (draws,)
        Of the noise of both models; NaN where it is not normal or differs by row.
    chains : int
    """

    mean: dict[tuple[Level, Level], FloatArray]
    held: dict[Level, FloatArray]
    mediator: dict[Level, FloatArray]
    linear: bool
    outcome_variance: FloatArray
    mediator_variance: FloatArray
    chains: int

    @property
    def residual_ratio(self) -> xr.DataArray:
        """Residual standard deviation of the outcome over that of the mediator."""
        ratio = np.sqrt(self.outcome_variance / self.mediator_variance)
        cube = ratio.reshape(self.chains, -1)
        sample = {name: np.arange(size) for name, size in zip(SAMPLE, cube.shape, strict=True)}
        return xr.DataArray(cube, sample, SAMPLE)

    def without_error(self, reliability: FloatArray) -> "Paths":
        """The same for the mediator itself, where its values as measured had error.

        Given all else the mediator is ``mu(x) + r (w - mu(x))`` of the measured value w, r being
        the reliability, plus what does not depend on w: an outcome linear in w is linear in the
        mediator, with the slope divided by r and the same mean at ``mu(x)`` (Carroll et al. 2006,
        section 4.2; Valeri and VanderWeele 2014).
        """
        r = reliability[:, None]
        levels = list(self.mediator)
        mean = {
            (x, other): self.mean[x, x] + (self.mean[x, other] - self.mean[x, x]) / r
            for x in levels
            for other in levels
        }
        held = {x: self.mean[x, x] + (self.held[x] - self.mean[x, x]) / r for x in levels}
        return replace(self, mean=mean, held=held)

    def array(self, over: Averaging, values: FloatArray) -> xr.DataArray:
        """Draws (draws, cells) with dims (chain, draw, *by)."""
        cube = values.reshape(self.chains, -1, values.shape[1])
        sample = {name: np.arange(size) for name, size in zip(SAMPLE, cube.shape[:2], strict=True)}
        found = xr.DataArray(cube, sample, (*SAMPLE, "cell"))
        if over.index is None:
            return found.isel(cell=0, drop=True)
        coords = xr.Coordinates.from_pandas_multiindex(over.index, "cell")
        return found.assign_coords(coords).unstack("cell")


def counterfactual_means(
    over: Averaging,
    mediator: MediatorModel,
    variable: str,
    levels: list[Level],
    held: float,
    random_seed: int,
) -> Paths:
    """Compute ``E[Y(x, M(x'))]`` for all levels x and x', and ``E[Y(x, m)]``.

    Draws of the two fits are paired in a random order: they are independent posteriors.
    """
    frame, counts, cells = _merged(over, variable, mediator.name)
    one, two, chains = _pairing(over.model, mediator.model, random_seed)
    check_memory(
        float(len(one)) * len(frame) * POINTS,
        f"{len(frame):,} different rows times {len(one):,} draws",
        "leave out columns of many values, or thin: fit.isel(draw=slice(0, None, 10))",
    )
    spread = {}
    for level in levels:
        rows = frame.assign(**{variable: same(frame[variable], level)})
        own = rows_at(mediator.model, rows, [variable, *mediator.columns])
        mean, sd = mediator.distribution(own)
        spread[level] = mean[two], sd[two]

    def outcome(level: Level, value: float) -> FloatArray:
        rows = frame.assign(**{variable: same(frame[variable], level)})
        rows[mediator.name] = value
        found = average_prediction(
            over.model,
            rows,
            np.arange(len(rows)),
            scale=over.scale,
            population="new",
            threshold=over.threshold,
        )
        return np.asarray(found[one])

    share = membership(
        (counts / np.bincount(cells, counts)[cells])[:, None], cells[:, None], cells.max() + 1
    )
    ends = _ends(list(spread.values()), held, mediator.binary)
    curves = {x: _Curve.of(partial(outcome, x), ends, mediator.binary) for x in levels}
    at = np.full(spread[levels[0]][0].shape, held)
    return Paths(
        mean={(x, o): curves[x].mean(*spread[o]) @ share for x in levels for o in levels},
        held={x: curves[x].at(at) @ share for x in levels},
        mediator={x: spread[x][0] @ share for x in levels},
        linear=not mediator.binary and all(one.linear for one in curves.values()),
        outcome_variance=_noise(over.model)[one],
        mediator_variance=_noise(mediator.model)[two],
        chains=chains,
    )


def _merged(
    over: Averaging, variable: str, mediator: str
) -> tuple[pd.DataFrame, FloatArray, np.ndarray]:
    """Rows that differ in more than what will be set, with their counts and cells."""
    others = [name for name in over.frame if name not in (variable, mediator)]
    keys = over.frame[others].assign(**{"the cell": over.cells})
    which = keys.groupby(list(keys), sort=False, observed=True, dropna=False).ngroup().to_numpy()
    _, first = np.unique(which, return_index=True)
    return (
        over.frame.iloc[first].reset_index(drop=True),
        np.bincount(which, over.counts),
        over.cells[first],
    )


def _pairing(
    outcome: FittedModel, mediator: FittedModel, random_seed: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Which draws of the two fits belong together, and how many chains they make."""
    many = min(outcome.draws, mediator.draws)
    two = generator(random_seed).permutation(mediator.draws)[:many]
    if many == outcome.draws:
        return np.arange(many), two, int(outcome.posterior.sizes["chain"])
    return np.linspace(0, outcome.draws - 1, many).round().astype(int), two, 1


def _noise(model: FittedModel) -> FloatArray:
    if not model.family.normal or model.parts:
        return np.full(model.draws, np.nan)
    return np.square(model.latent_sd)


def _ends(
    spread: list[tuple[FloatArray, FloatArray]], held: float, binary: bool
) -> tuple[float, float]:
    """Range of the mediator over which the outcome is computed."""
    if binary:
        return 0.0, 1.0
    low = min(float((mean - REACH * sd).min()) for mean, sd in spread)
    high = max(float((mean + REACH * sd).max()) for mean, sd in spread)
    return min(low, held), max(high, held)


@dataclass(frozen=True)
class _Curve:
    """An outcome (draws, rows) as a function of the mediator, by interpolation.

    Two points where it is a straight line; else Chebyshev's, between which the polynomial through
    them is evaluated by the barycentric formula (Berrut and Trefethen 2004, equation 5.4).
    """

    points: FloatArray
    values: list[FloatArray]
    linear: bool
    binary: bool

    @classmethod
    def of(
        cls, outcome: Callable[[float], FloatArray], ends: tuple[float, float], binary: bool
    ) -> "_Curve":
        low, high = ends
        first, last = outcome(low), outcome(high)
        if binary:
            return cls(np.array(ends), [first, last], True, True)
        size = max(np.abs(first).max(), np.abs(last).max())
        middles = ((outcome(low + at * (high - low)), at) for at in (0.37, 0.71))
        straight = all(
            np.allclose(one, first + at * (last - first), rtol=0, atol=1e-7 * size)
            for one, at in middles
        )
        if straight:
            return cls(np.array(ends), [first, last], True, False)
        angles = np.cos(np.pi * np.arange(POINTS) / (POINTS - 1))
        points = (low + high) / 2 + (high - low) / 2 * angles
        return cls(points, [outcome(float(one)) for one in points], False, False)

    def at(self, value: FloatArray) -> FloatArray:
        """Outcome (draws, rows) at a mediator (draws, rows)."""
        if self.linear:
            low, high = self.points
            part = (value - low) / (high - low)
            return (1 - part) * self.values[0] + part * self.values[1]
        above, below = np.zeros_like(value), np.zeros_like(value)
        exact = np.full(value.shape, -1)
        for k, (point, outcome) in enumerate(zip(self.points, self.values, strict=True)):
            weight = (-1.0) ** k * (0.5 if k in (0, POINTS - 1) else 1.0)
            apart = value - point
            exact[apart == 0] = k
            with np.errstate(divide="ignore", invalid="ignore"):
                above += weight / apart * outcome
                below += weight / apart
        with np.errstate(invalid="ignore"):
            found = above / below
        for k in np.unique(exact[exact >= 0]):
            found = np.where(exact == k, self.values[k], found)
        return np.asarray(found)

    def mean(self, mean: FloatArray, sd: FloatArray) -> FloatArray:
        """Outcome (draws, rows) averaged over a mediator's distribution; see `MediatorModel`."""
        if self.linear:
            return self.at(mean)
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        total = np.zeros_like(mean)
        for node, weight in zip(nodes, weights / weights.sum(), strict=True):
            total += weight * self.at(np.clip(mean + node * sd, self.points[-1], self.points[0]))
        return total
