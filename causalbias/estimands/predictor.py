"""Compute expected outcomes of a fit on counterfactual rows, averaged within cells."""

import os
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from scipy import sparse

from causalbias.errors import DataError
from causalbias.estimands.scales import Floats, Scale, scale_of
from causalbias.inference.membership import membership
from causalbias.io.memory import check_memory
from causalbias.models.fitted import FittedModel
from causalbias.models.group_design import GroupDesign
from causalbias.models.specification import observations_of, row_precisions

POPULATIONS = ("these", "new", "typical")
MAX_FIXED = 2**24  # different rows x draws whose fixed part is computed in advance
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

    Returns
    -------
    ndarray (draws, n_cells) or (draws, n_cells, outcomes)
        Draws of all chains in order; the last axis exists if a scale has several outcomes.
    """
    wanted = scale_of(model, scale, threshold)
    own, sampled = designs_in(model, population)
    moved = [one for one in own if set().union(*one.members) & set(as_new)]
    own, sampled = [one for one in own if one not in moved], [*sampled, *moved]
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
        return np.asarray((wanted.constant + total / wanted.unit).T)
    keys = [one.columns(frame) for one in (*own, *sampled)]
    keys += [one.codes(frame).astype(float) for one in own]
    keys += [one.shares(frame) for one in own if one.weights]
    keys += [one.concentration(frame)[:, None] for one in sampled]
    precision = row_precisions(model.spec, frame)  # the noise of a row depends on its weight
    if precision is not None:
        keys.append(precision[:, None])
    # Equal rows are merged, as designs have many of them.
    _, first, which = np.unique(
        np.hstack([common, *keys]), axis=0, return_index=True, return_inverse=True
    )
    merge = membership(np.ones((len(which), 1)), which[:, None], len(first))
    alike = frame.iloc[first].reset_index(drop=True)
    eta = _Predictor(model, common[first], own, sampled, alike)
    if precision is not None:
        precision = precision[first]
    curves = _curves(wanted, (average @ merge).tocsc(), eta, precision)
    outcomes = wanted.constant + curves @ wanted.weights.T
    return outcomes if wanted.categories is not None else outcomes[..., 0]


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
    scale: Scale, average: sparse.csc_matrix, predictor: _Predictor, precision: Floats | None
) -> Floats:
    """Mean exceedances (draws, cells, cuts)."""
    draws = scale.cuts.shape[0]
    total = np.zeros((scale.cuts.shape[1], average.shape[0], draws))
    step = max(1, CHUNK // draws)

    def add(start: int) -> list[Floats]:
        rows = slice(start, start + step)
        eta, variance = predictor.of(rows)
        weights = None if precision is None else precision[rows]
        curves = scale.exceedances(eta, variance, weights)
        return [average[:, rows] @ passed for passed in curves]

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


def expected_rows(model: FittedModel, frame: pd.DataFrame, *, scale: str) -> Floats:
    """Expected outcome (draws, rows) of every row, with the fitted effects of its groups.

    Parameters
    ----------
    model, frame, scale
        As in `average_prediction`; scales of one outcome.
    """
    return average_prediction(model, frame, np.arange(len(frame)), scale=scale)
