"""Means of an outcome with its mediator as at another level: sums over draws, rows and mediator."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial, reduce

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import generator
from causalbias.draws.summaries import SAMPLE
from causalbias.errors import DataError
from causalbias.estimands.averaging import Averaging, averaging
from causalbias.estimands.new_data import rows_at
from causalbias.estimands.predictor import (
    average_prediction,
    designs_in,
    lacks_effects,
    noise_variance,
)
from causalbias.inference.membership import membership
from causalbias.inference.problem import FloatArray
from causalbias.io.memory import check_memory
from causalbias.models.fitted import FittedModel, fitted
from causalbias.models.group_design import GroupDesign
from causalbias.models.levels import Level, same

# Intervals between the points at which the outcome is computed, Chebyshev's, and nodes of the
# mediator's distribution, by Gauss-Hermite quadrature: more where the outcome bends more sharply.
INTERVALS = {40: 15, 80: 31, 160: 61}
SMOOTH = 1e-4  # of the outcome's range: last coefficients of the polynomial through the points
REACH = 4.0  # standard deviations of the mediator beyond its means that are covered


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
        plain = family.linear and not model.response.transformed
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

    def distribution(
        self, frame: pd.DataFrame, own: Collection[str] = ()
    ) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation (draws, rows) of the mediator.

        It is that of the rows' own groups where these are told by columns of `own`, and of new
        groups else. The standard deviation of a binary one is left at zero.
        """
        rows = np.arange(len(frame))
        told = {*own, *self.model.population_columns}
        new = [one for one in designs_in(self.model, "new")[1] if _columns(one) - told]
        mean = average_prediction(
            self.model,
            frame,
            rows,
            population="these" if own else "new",
            as_new=set().union(*map(_columns, new)) - told if own else (),
        )
        if self.binary:
            return mean, np.zeros_like(mean)
        ones = np.ones(len(frame))
        variance = noise_variance(self.model, frame, rows, ones, "new", weighted=False)
        for one in new:
            share = one.concentration(frame)
            variance = (
                variance + (self.model.group_variance(one, one.columns(frame)) * share[:, None]).T
            )
        return mean, np.sqrt(variance)

    def known_of_groups(self, outcome: FittedModel) -> dict[str, tuple[str, ...]]:
        """Columns of the outcome's formula that are one for all rows of a group, and the group's.

        Groups are those that the mediator's model takes for a sample. Such a column, as the group's
        mean of the mediator, tells what the groups' mediators are: in the outcome's model those of
        new groups do not belong to it. Columns of which the rows do not tell count among them.
        """
        model = self.model
        known = {self.name, outcome.response.column, *model.population_columns}
        further = [one for one in outcome.population_columns if one not in known]
        values, other = outcome.frame[self.name], model.frame[self.name]
        aligned = len(values) == len(other) and np.array_equal(values, other)
        found = {}
        for names in (tuple(one) for each in designs_in(model, "new")[1] for one in each.members):
            groups = model.frame.groupby(list(names), observed=True)
            if groups.ngroups in (1, len(model.frame)):
                continue
            keys = None
            if set(names) <= set(outcome.frame):
                keys = [outcome.frame[name].to_numpy() for name in names]
            elif aligned:
                keys = [model.frame[name].to_numpy() for name in names]
            for name in further:
                if keys is None or (outcome.frame.groupby(keys)[name].nunique() <= 1).all():
                    found[name] = names
        return found


def _columns(design: GroupDesign) -> set[str]:
    return set().union(*design.members)


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

    Draws of the two fits are paired in a random order: they are independent posteriors. The
    mediator is that of new groups, unless the outcome depends on it in a way that differs by row
    or is not straight, and its formula has what tells the groups apart: it is that of the rows' own
    groups then.
    """
    return _paths(over, mediator, variable, levels, held, random_seed, ())


def _with_groups(
    over: Averaging, mediator: MediatorModel, variable: str, known: dict[str, tuple[str, ...]]
) -> tuple[Averaging, MediatorModel, tuple[str, ...]]:
    """The same cells of rows that tell their groups, the mediator with these, and their columns.

    Raises
    ------
    DataError
        If the outcome's fit does not have these.
    """
    for name, names in known.items():
        if not set(names) <= set(over.model.columns):
            raise DataError(
                f"the outcome's formula has {name!r}, which tells {':'.join(names)} apart, and "
                f"its rows do not tell theirs: the mediator of their own {':'.join(names)} is "
                "needed where its effect differs by row",
                hint=f"add (1|{':'.join(names)}) to the outcome's formula, or {name} to the "
                "mediator's if it is no mean of the mediator",
                column=name,
            )
    own = tuple(dict.fromkeys(column for names in known.values() for column in names))
    found = averaging(
        over.model.fit,
        tuple(dict.fromkeys((*over.by, *own))),
        variables=[variable, mediator.name],
        scale=over.scale,
        population="new",
        threshold=over.threshold,
    )
    cells = np.zeros(len(found.frame), int)
    if over.index is not None:
        labels = [found.frame[name].astype(object) for name in over.by]
        cells = over.index.get_indexer(pd.MultiIndex.from_arrays(labels))
    if "thinned" in mediator.model.fit.children and lacks_effects(mediator.model, "these", ()):
        mediator = replace(mediator, model=mediator.model.with_effects())
    return replace(found, by=over.by, cells=cells, index=over.index), mediator, own


def _paths(
    over: Averaging,
    mediator: MediatorModel,
    variable: str,
    levels: list[Level],
    held: float,
    random_seed: int,
    own: tuple[str, ...],
) -> Paths:
    """See `counterfactual_means`; `own` are columns of the rows' groups."""
    frame, counts, cells = _merged(over, variable, mediator.name)
    one, two, chains = _pairing(over.model, mediator.model, random_seed)
    check_memory(
        float(len(one)) * len(frame) * min(INTERVALS),
        f"{len(frame):,} different rows times {len(one):,} draws",
        "leave out columns of many values, or thin: fit.isel(draw=slice(0, None, 10))",
    )
    spread = {}
    for level in levels:
        rows = frame.assign(**{variable: same(frame[variable], level)})
        asked = rows_at(mediator.model, rows, [variable, *mediator.columns, *own])
        mean, sd = mediator.distribution(asked, own)
        spread[level] = mean[two], sd[two]

    def outcome(level: Level, value: float) -> FloatArray:
        rows = frame.assign(**{variable: same(frame[variable], level)})
        rows[mediator.name] = value
        try:
            with np.errstate(all="ignore"):
                found = average_prediction(
                    over.model,
                    rows,
                    np.arange(len(rows)),
                    scale=over.scale,
                    population="new",
                    threshold=over.threshold,
                )[one]
        except DataError as error:
            raise _no_outcome(over, mediator, value, ends) from error
        if not np.isfinite(found).all():
            raise _no_outcome(over, mediator, value, ends)
        return np.asarray(found)

    share = membership(
        (counts / np.bincount(cells, counts)[cells])[:, None], cells[:, None], cells.max() + 1
    )
    ends = _ends(list(spread.values()), held, mediator.binary)
    lines = {x: _Curve.line(partial(outcome, x), ends, mediator.binary) for x in levels}
    alike = all(one is not None and one.parallel for one in lines.values())
    if not alike and not own and (known := mediator.known_of_groups(over.model)):
        over, mediator, own = _with_groups(over, mediator, variable, known)
        return _paths(over, mediator, variable, levels, held, random_seed, own)
    curves = {
        x: line or _Curve.through(partial(outcome, x), ends, mediator.name)
        for x, line in lines.items()
    }
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


def _no_outcome(
    over: Averaging, mediator: MediatorModel, value: float, ends: tuple[float, float]
) -> DataError:
    name = mediator.name
    seen = over.model.frame[name].to_numpy(float)
    return DataError(
        f"the outcome's formula has no finite outcome where {name} is {value:.4g}: in the rows it "
        f"is {seen.min():.4g} to {seen.max():.4g}, and in its own model {ends[0]:.4g} to "
        f"{ends[1]:.4g} ({REACH:g} standard deviations about its means)",
        hint=f"compute what has an end as a column, and make that the mediator in both formulas: "
        f"rows['log_{name}'] = np.log(rows[{name!r}]); in place of splines write powers, "
        f"{name} + I({name}**2)",
        column=name,
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
    them is evaluated by the barycentric formula (Berrut and Trefethen 2004, equation 5.4). They
    are enough where the polynomial's last coefficients are next to nothing (Trefethen 2013,
    *Approximation Theory and Approximation Practice*, chapter 7).
    """

    points: FloatArray
    values: list[FloatArray]
    linear: bool
    binary: bool

    @classmethod
    def line(
        cls, outcome: Callable[[float], FloatArray], ends: tuple[float, float], binary: bool
    ) -> "_Curve | None":
        """The straight line through both ends; None if the outcome is not one between them."""
        low, high = ends
        first, last = outcome(low), outcome(high)
        if not binary:
            size = max(np.abs(first).max(), np.abs(last).max())
            for at in (0.37, 0.71, 0.13, 0.55, 0.89):
                here, line = outcome(low + at * (high - low)), first + at * (last - first)
                if not np.allclose(here, line, rtol=0, atol=1e-7 * size):
                    return None
        return cls(np.array(ends), [first, last], True, binary)

    @property
    def parallel(self) -> bool:
        """Whether it is one line for all rows, but for its height."""
        slope = self.values[-1] - self.values[0]
        size = max(np.abs(one).max() for one in self.values)
        return self.linear and float(np.ptp(slope, axis=1).max()) <= 1e-7 * size

    @classmethod
    def through(
        cls, outcome: Callable[[float], FloatArray], ends: tuple[float, float], name: str
    ) -> "_Curve":
        """The polynomial through as many of Chebyshev's points as it needs.

        Raises
        ------
        DataError
            If there are too few even of the most.
        """
        low, high = ends
        values: list[FloatArray] = []
        for intervals in INTERVALS:
            points = (low + high) / 2 + (high - low) / 2 * np.cos(
                np.pi * np.arange(intervals + 1) / intervals
            )
            before = dict(zip(range(0, intervals + 1, 2), values, strict=False))
            values = [
                before[at] if at in before else outcome(float(one)) for at, one in enumerate(points)
            ]
            spread = reduce(np.maximum, values) - reduce(np.minimum, values)
            if _tail(values) <= SMOOTH * spread.mean():
                return cls(points, values, False, False)
        raise DataError(
            f"the outcome jumps with {name!r}, so that its average over {name!r} is not known "
            "well enough",
            hint=f"take what jumps for the mediator, in both formulas: rows['high_{name}'] = "
            f"(rows[{name!r}] > ...).astype(int), with family='bernoulli' in its own model",
            column=name,
        )

    def at(self, value: FloatArray) -> FloatArray:
        """Outcome (draws, rows) at a mediator (draws, rows)."""
        if self.linear:
            low, high = self.points
            part = (value - low) / (high - low)
            return (1 - part) * self.values[0] + part * self.values[1]
        above, below = np.zeros_like(value), np.zeros_like(value)
        exact = np.full(value.shape, -1)
        for k, (point, outcome) in enumerate(zip(self.points, self.values, strict=True)):
            weight = (-1.0) ** k * (0.5 if k in (0, len(self.points) - 1) else 1.0)
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
        nodes, weights = np.polynomial.hermite_e.hermegauss(INTERVALS[len(self.points) - 1])
        total = np.zeros_like(mean)
        for node, weight in zip(nodes, weights / weights.sum(), strict=True):
            total += weight * self.at(np.clip(mean + node * sd, self.points[-1], self.points[0]))
        return total


def _tail(values: list[FloatArray]) -> float:
    """Mean over draws and rows of the greatest of the last four coefficients of a polynomial.

    Of values f_j at n + 1 points of Chebyshev ``c_k = 2/n sum_j f_j cos(pi j k / n)``, the first
    and last value counted half.
    """
    n = len(values) - 1
    greatest = np.zeros_like(values[0])
    for k in range(n - 4, n):
        weights = 2 / n * np.cos(np.pi * np.arange(n + 1) * k / n)
        weights[[0, n]] /= 2
        found = np.zeros_like(greatest)
        for weight, one in zip(weights, values, strict=True):
            found += weight * one
        np.maximum(greatest, np.abs(found), out=greatest)
    return float(greatest.mean())
