"""Compute expected outcomes of a fit on counterfactual rows, averaged within cells."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import pandas as pd
from scipy import sparse, special
from scipy.stats import qmc

from causalbias.errors import DataError
from causalbias.estimands.scales import NODES, Floats, Scale, scale_of
from causalbias.inference.membership import membership
from causalbias.io.memory import check_memory
from causalbias.models.fitted import FittedModel
from causalbias.models.group_design import GroupDesign
from causalbias.models.shared_effects import Shared
from causalbias.models.specification import observations_of, row_precisions

POPULATIONS = ("these", "new", "typical")
MAX_FIXED = 2**24  # different rows x draws whose fixed part is computed in advance
MAX_PRODUCT = 2  # parameters averaged over new groups by a product of quadratures
POINTS = 512  # of an average over more: probabilities to about 0.001
CHUNK = 2**20  # rows x draws held at once where a scale is not linear: what a cache holds


def average_prediction(
    model: FittedModel,
    frame: pd.DataFrame,
    cells: np.ndarray,
    *,
    counts: Floats | None = None,
    scale: str = "response",
    population: str = "these",
    threshold: float | None = None,
    contrasted: Collection[str] | None = None,
    as_new: Collection[str] = (),
    unit: Floats | None = None,
) -> Floats:
    """Compute the expected outcome of every row of `frame`, averaged over the rows of each cell.

    Parameters
    ----------
    model : FittedModel
        The fitted model.
    frame : DataFrame
        Rows to predict, with the columns of the formula.
    cells : ndarray (rows,) of int
        Cell of each row, 0 .. n_cells - 1, every cell occurring.
    counts : ndarray (rows,), optional
        Number of observations of each row, which is its weight; by default one.
    scale, population, threshold
        As in `predictions`.
    contrasted : collection of str, optional
        The columns that differ between two predictions whose difference is computed. On a linear
        scale, group effects that do not depend on them cancel, and are left out of both.
    as_new : collection of str, optional
        Columns whose values are not those of the data. Groups defined by them are averaged over as
        new groups, except in the population "typical".
    unit : ndarray (draws, n_cells), optional
        What a linear scale divides by, where it is not one number for all rows.

    Returns
    -------
    ndarray (draws, n_cells) or (draws, n_cells, outcomes)
        Draws of all chains in order; the last axis exists if a scale has several outcomes.
    """
    wanted = scale_of(model, scale, threshold)
    own, sampled = _designs(model, population, as_new)
    if population == "new":
        _check_fitted(own, frame)
    if wanted.linear and contrasted is not None:
        own = [one for one in own if one.columns_used() & set(contrasted)]
    if counts is None:
        counts = np.ones(len(frame))
    totals = np.bincount(cells, counts)
    many = model.draws
    check_memory(
        2.0 * many * len(totals) * max(1, wanted.cuts.shape[1]),
        f"{len(totals):,} cells times {many:,} draws",
        "average over more rows (fewer columns in by=), or thin: fit.isel(draw=slice(0, None, 10))",
    )
    share = counts / totals[cells]
    average = membership(share[:, None], cells[:, None], len(totals)).T.tocsr()
    common, beta = model.design(frame), model.coefficients
    if wanted.linear:
        # Effects of new groups have mean zero.
        groups, effects = model.group_blocks(own, frame)
        total = (average @ common) @ beta.T + (average @ groups) @ effects.T
        return np.asarray((wanted.constant + total / (wanted.unit if unit is None else unit.T)).T)
    keys = _keys(common, own, sampled, frame)
    if wanted.of_parameters:
        keys += _noise_keys(model, frame, population, as_new)
    # Equal rows are merged, as designs have many of them.
    _, first, which = np.unique(np.hstack(keys), axis=0, return_index=True, return_inverse=True)
    merge = membership(np.ones((len(which), 1)), which[:, None], len(first))
    alike = frame.iloc[first].reset_index(drop=True)
    eta = _Predictor(model, common[first], own, sampled, alike)
    noise = None
    if wanted.of_parameters and (
        model.parts or model.spec.weights is not None or model.threshold_sets is not None
    ):
        noise = _Noise(model, alike, population, as_new)
    curves = _curves(wanted, (average @ merge).tocsc(), eta, noise)
    outcomes = wanted.constant + curves @ wanted.weights.T
    return outcomes if wanted.categories is not None else outcomes[..., 0]


def _designs(
    model: FittedModel, population: str, as_new: Collection[str]
) -> tuple[list[GroupDesign], list[GroupDesign]]:
    """As `designs_in`; terms whose groups are named by columns of `as_new` are averaged over."""
    own, sampled = designs_in(model, population)
    moved = [one for one in own if set().union(*one.members) & set(as_new)]
    return [one for one in own if one not in moved], [*sampled, *moved]


def _keys(
    common: Floats,
    own: Sequence[GroupDesign],
    sampled: Sequence[GroupDesign],
    frame: pd.DataFrame,
) -> list[Floats]:
    """Columns (rows, k) of numbers: rows that are equal in them have the same predictor."""
    keys = [common, *(one.columns(frame) for one in (*own, *sampled))]
    keys += [one.codes(frame).astype(float) for one in own]
    keys += [one.shares(frame) for one in own if one.weights]
    return keys + [one.concentration(frame)[:, None] for one in sampled]


def _noise_keys(
    model: FittedModel, frame: pd.DataFrame, population: str, as_new: Collection[str]
) -> list[Floats]:
    """Columns (rows, k) of numbers: rows that are equal in them have the same noise."""
    precision = row_precisions(model.spec, frame)
    keys = [] if precision is None else [precision[:, None]]
    if model.threshold_sets is not None:
        keys.append(model.threshold_sets.codes(frame)[:, None].astype(float))
    for part in model.fitted_parts.values():
        own, sampled = _designs(part, population, as_new)
        keys += _keys(part.design(frame), own, sampled, frame)
    return keys


_Root = tuple[int, Floats]


@dataclass(frozen=True)
class _Point:
    """A point of a mixture over new groups' effects on parameters.

    Attributes
    ----------
    weight : float
        Its probability.
    parameters : dict of str to ndarray
        Of the distribution of rows there.
    moved, known : ndarray (rows, draws), or zero
        The mean of new groups' effects on eta given those on the parameters, and the variance that
        these explain; zero where they are independent.
    """

    weight: float
    parameters: dict[str, Floats]
    moved: Floats | float = 0.0
    known: Floats | float = 0.0


@dataclass(frozen=True)
class _SharedRows:
    """Effects that are correlated across predictors, on some rows.

    Attributes
    ----------
    covariances : dict of (str, str) to ndarray (draws, k, l)
        Of the effects of a level on two predictors, "" that of the mean.
    columns : dict of str to ndarray (rows, k)
    concentration : ndarray (rows,)
    """

    covariances: dict[tuple[str, str], Floats]
    columns: dict[str, Floats]
    concentration: Floats

    @classmethod
    def of(cls, model: FittedModel, shared: Shared, frame: pd.DataFrame) -> "_SharedRows":
        whole, own = model.shared_covariance(shared), shared.slices
        return cls(
            {(a, b): whole[:, own[a], own[b]] for a, b in combinations(own, 2)},
            {name: one.columns(frame) for name, one in shared.designs.items()},
            next(iter(shared.designs.values())).concentration(frame),
        )

    def between(self, first: str, second: str, rows: slice) -> Floats | float:
        """Covariance (rows, draws) of new effects on two predictors, the first the earlier one."""
        if (first, second) not in self.covariances:
            return 0.0
        one, other = (self.columns[name][rows] for name in (first, second))
        found = np.einsum("rk,dkl,rl->rd", one, self.covariances[first, second], other)
        return np.asarray(found * self.concentration[rows, None])


class _Noise:
    """Parameters of the distribution of some rows, and the standard deviation of their noise.

    They depend on a row's weight, on formulas, and on whose thresholds it has. Where new groups
    have effects on these it is a mixture over them, by quadrature. Where these effects are
    correlated with those on eta, each point of the mixture has a distribution of eta of its own.
    """

    def __init__(
        self,
        model: FittedModel,
        frame: pd.DataFrame,
        population: str,
        as_new: Collection[str] = (),
        *,
        weighted: bool = True,
    ) -> None:
        self.model, self.frame = model, frame
        self.precision = row_precisions(model.spec, frame) if weighted else None
        self.parts, sampled = {}, {"": _designs(model, population, as_new)[1]}
        for name, part in model.fitted_parts.items():
            own, sampled[name] = _designs(part, population, as_new)
            if population == "new":
                _check_fitted(own, frame)
            self.parts[name] = _Predictor(part, part.design(frame), own, sampled[name], frame)
        self.shared = [
            _SharedRows.of(model, one, frame)
            for one in model.shared
            if all(any(d is other for other in sampled[k]) for k, d in one.designs.items())
        ]

    def of(self, rows: slice) -> Iterator["_Point"]:
        """Yield the points of the mixture."""
        found = {name: one.of(rows) for name, one in self.parts.items()}
        new = [name for name, (_, variance) in found.items() if variance is not None]
        variances = [np.asarray(found[name][1]) for name in new]
        roots = self._roots(rows, dict(zip(new, variances, strict=True)))
        with_eta = roots.pop("", [])
        known = sum(np.square(root) for _, root in with_eta)
        of_all = self.model.parameters | self.model.thresholds_at(self.frame.iloc[rows])
        for weight, point in _points(len(new)):
            parameters = dict(of_all)
            for name, (eta, _) in found.items():
                at = eta + sum(point[k] * root for k, root in roots.get(name, []))
                parameters[name] = self.model.parts[name].link.inverse(at).T
            moved = sum(point[k] * root for k, root in with_eta)
            yield _Point(weight, parameters, moved, known)

    def _roots(self, rows: slice, variances: Mapping[str, Floats]) -> dict[str, list[_Root]]:
        """By predictor, of which independent standard normal numbers its effects are sums.

        Number and factor (rows, draws) of each, of as many numbers as `variances` (rows, draws).
        Under "", what those of eta have of them, where they are correlated.
        """
        new, size = list(variances), len(variances)
        if not self.shared:
            return {name: [(at, np.sqrt(one))] for at, (name, one) in enumerate(variances.items())}
        shape = variances[new[0]].shape
        covariance, with_eta = np.zeros((*shape, size, size)), np.zeros((*shape, size))
        for i, name in enumerate(new):
            covariance[..., i, i] = variances[name]
            for one in self.shared:
                with_eta[..., i] += one.between("", name, rows)
                for j in range(i):
                    covariance[..., i, j] += one.between(new[j], name, rows)
                    covariance[..., j, i] = covariance[..., i, j]
        factor = np.linalg.cholesky(covariance + 1e-12 * np.eye(size))
        found = {name: [(j, factor[..., i, j]) for j in range(i + 1)] for i, name in enumerate(new)}
        known = np.linalg.solve(factor, with_eta[..., None])[..., 0]
        return found | {"": [(j, known[..., j]) for j in range(size)]}

    def sd(self, parameters: dict[str, Floats], rows: slice) -> Floats:
        """Standard deviation (rows or 1, draws) of the noise of rows with these parameters."""
        sd = self.model.latent_sd_of(parameters).T
        return sd if self.precision is None else sd / np.sqrt(self.precision[rows, None])


def _points(many: int) -> list[tuple[float, Floats]]:
    """Weights and nodes (many,) of an average over so many independent standard normal numbers.

    Of up to two numbers they are those of a product of Gauss-Hermite quadratures. Products for more
    would have thousands of nodes: there are normal quantiles of the points of a Sobol sequence, in
    the middle of their cells, each with its mirror image.
    """
    if many <= MAX_PRODUCT:
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        weights = weights / weights.sum()
        return [
            (float(np.prod(weights[list(at)])), nodes[list(at)])
            for at in product(range(NODES), repeat=many)
        ]
    cells = qmc.Sobol(many, scramble=False).random(POINTS // 2)
    half = special.ndtri(cells + 1 / POINTS)
    return [(1 / POINTS, one) for one in np.vstack([half, -half])]


def noise_variance(
    model: FittedModel,
    frame: pd.DataFrame,
    cells: np.ndarray,
    counts: Floats,
    population: str,
    *,
    weighted: bool,
) -> Floats:
    """Variance (draws, n_cells) of the noise about eta, averaged over the rows of each cell.

    Parameters
    ----------
    model, frame, cells, counts, population
        As in `average_prediction`.
    weighted : bool
        Whether to count the rows' weights in, by which the noise of Gaussian rows differs.
    """
    keys = _noise_keys(model, frame, population, ())
    numbers = np.hstack([np.zeros((len(frame), 1)), *keys])
    _, first, which = np.unique(numbers, axis=0, return_index=True, return_inverse=True)
    share = sparse.csr_matrix(
        (counts / np.bincount(cells, counts)[cells], (cells, which)),
        shape=(cells.max() + 1, len(first)),
    ).tocsc()
    alike = frame.iloc[first].reset_index(drop=True)
    noise = _Noise(model, alike, population, weighted=weighted)
    total = np.zeros((share.shape[0], model.draws))
    step = max(1, CHUNK // model.draws)
    for start in range(0, len(first), step):
        rows = slice(start, min(start + step, len(first)))
        for point in noise.of(rows):
            sd = noise.sd(point.parameters, rows)
            square = np.broadcast_to(np.square(sd), (rows.stop - rows.start, model.draws))
            total += point.weight * (share[:, rows] @ square)
    return np.asarray(total.T)


def _check_fitted(designs: Sequence[GroupDesign], frame: pd.DataFrame) -> None:
    """Refuse rows in cells of the design without data, whose effects are unknown."""
    for one in designs:
        try:
            one.codes(frame)
        except DataError as error:
            raise DataError(
                error.problem,
                hint="ask within what occurs together (by=), or for population='typical'",
                row=error.row,
            ) from error


def lacks_effects(model: FittedModel, population: str, contrasted: Collection[str]) -> bool:
    """Whether effects that a population needs are not among the draws (see `with_effects`).

    ``contrasted``: the columns that a difference is between, on a linear scale: effects that do
    not depend on them cancel.
    """
    own = designs_in(model, population)[0]
    if contrasted:
        own = [one for one in own if one.columns_used() & set(contrasted)]
    return any(name not in model.posterior for one in own for name in one.names())


class _Predictor:
    """Linear predictor (rows, draws) of some rows, and its variance over new groups."""

    def __init__(
        self,
        model: FittedModel,
        common: Floats,
        own: Sequence[GroupDesign],
        sampled: Sequence[GroupDesign],
        frame: pd.DataFrame,
    ) -> None:
        self.common, self.beta = common, model.coefficients
        alike, self.which = np.unique(common, axis=0, return_inverse=True)
        # Few different rows are multiplied once; of many, those that are asked for.
        self.fixed = None
        if len(alike) * len(self.beta) <= MAX_FIXED:
            self.fixed = alike @ self.beta.T
        self.model = model
        self.groups = None
        if own:
            self.groups, effects = model.group_blocks(own, frame)
            self.effects = np.ascontiguousarray(effects.T)
        self.new = [(one, one.columns(frame), one.concentration(frame)) for one in sampled]

    def of(self, rows: slice) -> tuple[Floats, Floats | None]:
        if self.fixed is None:
            eta = self.common[rows] @ self.beta.T
        else:
            eta = self.fixed[self.which[rows]]
        if self.groups is not None:
            eta = eta + self.groups[rows] @ self.effects
        variances = [
            self.model.group_variance(one, columns[rows]) * share[rows, None]
            for one, columns, share in self.new
        ]
        return eta, np.sum(variances, axis=0) if variances else None


def designs_in(model: FittedModel, population: str) -> tuple[list[GroupDesign], list[GroupDesign]]:
    """Return the group terms with fitted effects in a population, and those averaged over.

    In "new" groups, cells of variables of common terms keep their effects: in ``race + gender +
    (1|race:gender)``, the groups are cells of the design, and there are no other cells.
    """
    designs = list(model.groups)
    if population == "typical":
        return [], []
    if population == "these":
        return designs, []
    known = set(model.population_columns)
    kept = [known.issuperset(set().union(*one.members)) for one in designs]
    return (
        [one for one, cells in zip(designs, kept, strict=True) if cells],
        [one for one, cells in zip(designs, kept, strict=True) if not cells],
    )


def _curves(
    scale: Scale, average: sparse.csc_matrix, predictor: _Predictor, noise: _Noise | None
) -> Floats:
    """Mean exceedances (draws, cells, cuts)."""
    draws = scale.cuts.shape[0]
    total = np.zeros((scale.cuts.shape[1], average.shape[0], draws))
    step = max(1, CHUNK // draws)

    def add(start: int) -> list[Floats]:
        rows = slice(start, start + step)
        eta, variance = predictor.of(rows)
        if noise is None:
            return [average[:, rows] @ one for one in scale.exceedances(eta, variance)]
        sums = np.zeros((scale.cuts.shape[1], average.shape[0], draws))
        for point in noise.of(rows):
            sd = noise.sd(point.parameters, rows) if scale.noisy else None
            at, left = eta, variance
            if variance is not None and np.any(point.known):
                at, left = eta + point.moved, np.maximum(variance - point.known, 0.0)
            for cut, passed in enumerate(scale.exceedances(at, left, sd, point.parameters)):
                sums[cut] += point.weight * (average[:, rows] @ passed)
        return list(sums)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # NumPy lets go of the interpreter's lock
        for sums in pool.map(add, range(0, average.shape[1], step)):
            for cut, one in enumerate(sums):
                total[cut] += one
    return total.transpose(2, 1, 0)


def total_group_variance(
    model: FittedModel,
    frame: pd.DataFrame,
    counts: Floats | None = None,
    designs: Sequence[GroupDesign] | None = None,
) -> Floats:
    """Variance (draws,) that group terms together give a row, averaged over the rows.

    ``counts`` (rows,): observations that each row stands for, by default as the fit has it;
    ``designs``: the terms, by default all.
    """
    total = np.zeros(model.draws)
    if counts is None:
        counts = observations_of(model.spec, frame)
    for one in model.groups if designs is None else designs:
        keys = np.column_stack([one.columns(frame), one.concentration(frame)])
        alike, which = np.unique(keys, axis=0, return_inverse=True)
        weight = alike[:, -1] * np.bincount(which, counts) / counts.sum()
        total += weight @ model.group_variance(one, alike[:, :-1])
    return total
