"""Expected outcomes of a fit on counterfactual rows, averaged within cells."""

import os
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

import bambi as bmb
import numpy as np
import pandas as pd
import xarray as xr
from scipy import sparse

from causalbias.errors import DataError
from causalbias.estimands.scales import Floats, Scale, scale_of
from causalbias.io.memory import check_memory
from causalbias.models.evaluation import evaluate
from causalbias.models.formula.group_terms import common_formula
from causalbias.models.formula.parse import formula_columns
from causalbias.models.group_design import GroupDesign, group_designs
from causalbias.models.result import frame_of, spec_of
from causalbias.models.specification import observations_of, row_precisions

POPULATIONS = ("these", "new", "typical")
CHUNK = 2**20  # rows x draws held at once where a scale is not linear: what a cache holds


def average_prediction(
    fit: xr.DataTree,
    model: bmb.Model,
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
    """Expected outcome on every row of `frame`, averaged over the rows of each cell.

    Parameters
    ----------
    fit : Fit
    model : bambi Model
        Of the fit (`model_of`).
    frame : DataFrame
        Rows to predict, with the columns of the formula.
    cells : ndarray (rows,) of int
        Cell of each row, 0 .. n_cells - 1, every cell occurring.
    counts : ndarray (rows,), optional
        Observations that each row stands for, so often does it count; by default one.
    scale, population, threshold
        As in `predictions`.
    contrasted : collection of str, optional
        The columns that differ between two predictions whose difference is wanted. On a linear
        scale the group effects that do not depend on them cancel, and are left out of both.
    as_new : collection of str, optional
        Columns whose values here are not the fitted ones: groups named after them are averaged
        over, as new ones, but in a typical group.

    Returns
    -------
    ndarray (draws, n_cells) or (draws, n_cells, outcomes)
        All chains' draws in order; the last axis where a scale has several outcomes.
    """
    wanted = scale_of(fit, model, scale, threshold)
    posterior = fit.children["posterior"].to_dataset()
    own, sampled = designs_in(fit, population)
    moved = [one for one in own if set().union(*one.members) & set(as_new)]
    own, sampled = [one for one in own if one not in moved], [*sampled, *moved]
    if population == "new":
        _check_fitted(own, frame)
    if wanted.linear and contrasted is not None:
        own = [one for one in own if one.columns_used() & set(contrasted)]
    if counts is None:
        counts = np.ones(len(frame))
    totals = np.bincount(cells, counts)
    many = posterior.sizes["chain"] * posterior.sizes["draw"]
    check_memory(
        2.0 * many * len(totals) * max(1, wanted.cuts.shape[1]),
        f"{len(totals):,} cells times {many:,} draws",
        "average over more rows (fewer columns in by=), or thin: fit.isel(draw=slice(0, None, 10))",
    )
    average = sparse.csr_matrix(
        (counts / totals[cells], (cells, np.arange(len(cells)))), shape=(len(totals), len(cells))
    )
    common, beta = design_of(model, frame), coefficients_of(model, posterior)
    if wanted.linear:
        # Effects of new groups have mean zero.
        groups, effects = _groups(own, frame, posterior)
        total = (average @ common) @ beta.T + (average @ groups) @ effects.T
        return np.asarray((wanted.constant + total / wanted.unit).T)
    keys = [one.columns(frame) for one in (*own, *sampled)]
    keys += [one.codes(frame).astype(float) for one in own]
    keys += [one.concentration(frame)[:, None] for one in sampled]
    precision = row_precisions(spec_of(fit), frame)  # the noise of a row depends on its weight
    if precision is not None:
        keys.append(precision[:, None])
    # Rows that are alike count as one: designs repeat themselves.
    _, first, which = np.unique(
        np.hstack([common, *keys]), axis=0, return_index=True, return_inverse=True
    )
    merge = sparse.csr_matrix((np.ones(len(which)), (np.arange(len(which)), which)))
    alike = frame.iloc[first].reset_index(drop=True)
    eta = _Predictor(common[first], beta, own, sampled, alike, posterior)
    if precision is not None:
        precision = precision[first]
    curves = _curves(wanted, (average @ merge).tocsc(), eta, precision)
    outcomes = wanted.constant + curves @ wanted.weights.T
    return outcomes if wanted.categories is not None else outcomes[..., 0]


def _check_fitted(designs: Sequence[GroupDesign], frame: pd.DataFrame) -> None:
    """Refuse rows in cells of the design that no row fitted is in, of which there are no others."""
    for one in designs:
        try:
            one.codes(frame)
        except DataError as error:
            raise DataError(
                error.problem,
                hint="ask within what occurs together (by=), or for population='typical'",
                row=error.row,
            ) from error


def lacks_effects(fit: xr.DataTree, population: str, contrasted: Collection[str]) -> bool:
    """Whether effects that a population needs are not among a fit's draws (see `with_effects`).

    ``contrasted``: the columns that a difference is between, on a linear scale: effects that do
    not depend on them cancel.
    """
    own = designs_in(fit, population)[0]
    if contrasted:
        own = [one for one in own if one.columns_used() & set(contrasted)]
    posterior = fit.children["posterior"]
    return any(name not in posterior for one in own for name in one.names())


class _Predictor:
    """Linear predictor (rows, draws) of some rows, and its variance over new groups."""

    def __init__(
        self,
        common: Floats,
        beta: Floats,
        own: Sequence[GroupDesign],
        sampled: Sequence[GroupDesign],
        frame: pd.DataFrame,
        posterior: xr.Dataset,
    ) -> None:
        alike, self.which = np.unique(common, axis=0, return_inverse=True)
        check_memory(
            float(len(alike)) * len(beta),
            f"{len(alike):,} rows times {len(beta):,} draws",
            "thin the posterior first: fit.isel(draw=slice(0, None, 10))",
        )
        self.fixed = alike @ beta.T
        self.posterior = posterior
        self.groups = None
        if own:
            self.groups, effects = _groups(own, frame, posterior)
            self.effects = np.ascontiguousarray(effects.T)
        self.new = [(one, one.columns(frame), one.concentration(frame)) for one in sampled]

    def of(self, rows: slice) -> tuple[Floats, Floats | None]:
        eta = self.fixed[self.which[rows]]
        if self.groups is not None:
            eta = eta + self.groups[rows] @ self.effects
        variances = [
            group_variance(one, columns[rows], self.posterior) * share[rows, None]
            for one, columns, share in self.new
        ]
        return eta, np.sum(variances, axis=0) if variances else None


def designs_in(fit: xr.DataTree, population: str) -> tuple[list[GroupDesign], list[GroupDesign]]:
    """Group terms whose fitted effects count in a population, and those averaged over.

    In "new" groups the cells of variables that the population's terms know keep their effects:
    ``race + gender + (1|race:gender)`` pools cells of the design, of which there are no others.
    """
    designs = group_designs(spec_of(fit).formula, frame_of(fit))
    if population == "typical":
        return [], []
    if population == "these":
        return designs, []
    known = set(formula_columns(common_formula(spec_of(fit).formula))[1])
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


def group_variance(design: GroupDesign, columns: Floats, posterior: xr.Dataset) -> Floats:
    """Variance (rows, draws) of a new level's effect on rows with these covariates.

    Parameters
    ----------
    design : GroupDesign
    columns : ndarray (rows, k)
    posterior : Dataset
        With the standard deviations, and correlations where the effects have them.
    """
    covariance = group_covariance(design, posterior)
    products = (columns[:, :, None] * columns[:, None, :]).reshape(len(columns), -1)
    return np.asarray(products @ covariance.reshape(len(covariance), -1).T)


def group_covariance(design: GroupDesign, posterior: xr.Dataset) -> Floats:
    """Covariance matrix (draws, k, k) of the effects of one level."""
    sd = np.hstack([_flat(posterior[f"{name}_sigma"]) for name in design.names()])
    correlation = np.tile(np.eye(sd.shape[1]), (len(sd), 1, 1))
    if design.correlation in posterior:
        low, high = np.triu_indices(sd.shape[1], k=1)
        flat = _flat(posterior[design.correlation])
        correlation[:, low, high] = correlation[:, high, low] = flat
    return np.asarray(sd[:, :, None] * correlation * sd[:, None, :])


def centred_covariance(
    design: GroupDesign, frame: pd.DataFrame, posterior: xr.Dataset
) -> tuple[Floats, Floats]:
    """Basis T (k, k) of `GroupDesign.centring`, and covariance (draws, k, k) of its effects.

    Matrices of columns far from zero, such as years, are all but singular; these are not. What
    T times effects of this covariance are, are effects of the columns as they are.

    Parameters
    ----------
    design : GroupDesign
    frame : DataFrame
        The rows fitted.
    posterior : Dataset
    """
    basis = design.centring(frame)
    inverse = np.linalg.inv(basis)
    return basis, inverse @ group_covariance(design, posterior) @ inverse.T


def total_group_variance(
    fit: xr.DataTree,
    frame: pd.DataFrame,
    counts: Floats | None = None,
    designs: Sequence[GroupDesign] | None = None,
) -> Floats:
    """Variance (draws,) that group terms together give a row, averaged over the rows.

    ``counts`` (rows,): observations that each row stands for, by default as the fit has it;
    ``designs``: the terms, by default all.
    """
    posterior = fit.children["posterior"].to_dataset()
    total = np.zeros(posterior.sizes["chain"] * posterior.sizes["draw"])
    if counts is None:
        counts = observations_of(spec_of(fit), frame)
    if designs is None:
        designs = group_designs(spec_of(fit).formula, frame_of(fit))
    for one in designs:
        keys = np.column_stack([one.columns(frame), one.concentration(frame)])
        alike, which = np.unique(keys, axis=0, return_inverse=True)
        weight = alike[:, -1] * np.bincount(which, counts) / counts.sum()
        total += weight @ group_variance(one, alike[:, :-1], posterior)
    return total


def expected_rows(fit: xr.DataTree, model: bmb.Model, frame: pd.DataFrame, *, scale: str) -> Floats:
    """Expected outcome (draws, rows) of every row, with the fitted effects of its groups.

    Parameters
    ----------
    fit, model, frame, scale
        As in `average_prediction`; scales of one outcome.
    """
    return average_prediction(fit, model, frame, np.arange(len(frame)), scale=scale)


def design_of(model: bmb.Model, frame: pd.DataFrame) -> Floats:
    """Design matrix (rows, p) of the population's terms.

    Raises
    ------
    DataError
        If the formula has an offset.
    """
    component = model.parameters[model.family.likelihood.parent]
    if component.offset_terms:
        raise DataError("the formula has an offset", hint="model it as a coefficient for effects")
    common = component.design.common
    if common is None or not common.terms:  # an ordinal model of an intercept has neither
        return np.empty((len(frame), 0))
    # Whole: bambi drops the intercept of ordinal models and leaves the slices as they were.
    matrix = evaluate(common, frame)
    kept = getattr(model, "kept", None)  # where columns are left out
    return matrix if kept is None else matrix[:, kept]


def coefficients_of(model: bmb.Model, posterior: xr.Dataset) -> Floats:
    """Coefficients (draws, p) of the columns of `design_of`."""
    common = model.parameters[model.family.likelihood.parent].design.common
    draws = posterior.sizes["chain"] * posterior.sizes["draw"]
    if common is None or not common.terms:
        return np.empty((draws, 0))
    return np.hstack([_flat(posterior[name]) for name in common.terms])


def _groups(
    designs: Sequence[GroupDesign], frame: pd.DataFrame, posterior: xr.Dataset
) -> tuple[sparse.csr_matrix, Floats]:
    """Design matrix (rows, q) of the group terms, and the groups' effects (draws, q)."""
    draws = posterior.sizes["chain"] * posterior.sizes["draw"]
    blocks: list[sparse.csr_matrix] = [sparse.csr_matrix((len(frame), 0))]
    effects: list[Floats] = [np.empty((draws, 0))]
    for one in designs:
        matrix, at, k = one.matrix(frame), 0, sum(one.sizes())
        effect = np.arange(matrix.shape[1]) % k
        for name, size in zip(one.names(), one.sizes(), strict=True):
            if name not in posterior:
                raise DataError(
                    f"the effects of {name!r} were too many to keep",
                    hint="use population='typical' or 'new', or fit fewer draws",
                )
            blocks.append(matrix[:, np.flatnonzero((effect >= at) & (effect < at + size))])
            effects.append(_flat(_group_major(posterior[name], one.levels)))
            at += size
    return sparse.hstack(blocks, format="csr"), np.hstack(effects)


def _group_major(effects: xr.DataArray, levels: np.ndarray) -> xr.DataArray:
    """Effects in the order of a design's columns: by level, then by coefficient.

    Levels are matched by label: bambi orders numbers by value, and a design orders their text.
    """
    factor = next(dim for dim in effects.dims if str(dim).endswith("__factor_dim"))
    if not np.array_equal(effects[factor].values.astype(str), levels):
        effects = effects.sel({factor: levels})
    return effects.transpose("chain", "draw", factor, ...)


def _flat(draws: xr.DataArray) -> Floats:
    values = draws.transpose("chain", "draw", ...).values
    return values.reshape(values.shape[0] * values.shape[1], -1)


def inverse_link(model: bmb.Model, linear: Floats) -> Floats:
    """The linear predictor on the response scale."""
    return np.asarray(model.family.link[model.family.likelihood.parent].linkinv(linear))


def outcome_of(fit: xr.DataTree) -> str:
    """Name of a fit's response column."""
    return formula_columns(spec_of(fit).formula)[0]
