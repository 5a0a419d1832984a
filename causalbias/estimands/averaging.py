"""Average outcomes of a fit over the rows of cells, for all verbs."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import name_in, names_in
from causalbias.draws.estimate import Estimate, check_names, estimate
from causalbias.errors import DataError, shown
from causalbias.estimands.new_data import rows_at
from causalbias.estimands.predictor import (
    POPULATIONS,
    average_prediction,
    lacks_effects,
    noise_variance,
)
from causalbias.estimands.scales import Floats, outcome_named, scale_of
from causalbias.io.memory import check_memory
from causalbias.models.estimable import BY_PRIOR, UNKNOWN, Estimable
from causalbias.models.fitted import FittedModel, FittedPart, fitted
from causalbias.models.formula.group_terms import group_parts
from causalbias.models.formula.parse import formula_columns
from causalbias.models.levels import Level, level_of, levels_of, same
from causalbias.models.specification import (
    OF_TABLES,
    ModelSpec,
    columns_of,
    family_of,
    number_of_rows,
    observations_of,
)
from causalbias.models.summary import draws_left
from causalbias.models.thresholds import ThresholdSets

KIND = "same_identity"
MAX_LEVELS = 10_000
RATES = {"FMR": "False", "FNMR": "True"}  # `same_identity` of the pairs of an error rate


@dataclass(frozen=True)
class Averaging:
    """A fitted model, with the rows, cells and scale of an average.

    Attributes
    ----------
    model : FittedModel
    frame : DataFrame
        Rows that differ in variables of the model; equal rows are merged.
    counts : ndarray (rows,)
        Number of observations of each row, or of trials in binomial models.
    by : tuple of str
    cells : ndarray (rows,) of int
    index : MultiIndex or None
        The cells' labels; None for the single cell of no `by`.
    scale, threshold
        As in `predictions`.
    population : str
        The one that was chosen where none was asked for, see `population_of`.
    rows : int
        Rows of the fit that are averaged over.
    as_new : tuple of str
        Columns that are set to what no row has: groups named after them are new ones.
    newdata : bool
        Whether the rows are new ones, whose levels need not be all that the fit has.
    whole : FittedModel, optional
        The model of the outcome, where `model` is the linear predictor of a parameter.
    """

    model: FittedModel
    frame: pd.DataFrame
    counts: Floats
    by: tuple[str, ...]
    cells: np.ndarray
    index: pd.MultiIndex | None
    scale: str
    population: str
    threshold: float | None
    rows: int
    as_new: tuple[str, ...] = ()
    newdata: bool = False
    whole: FittedModel | None = None

    def mean(self, contrasted: Sequence[str] | None = None, **setting: object) -> Floats:
        """Average outcomes (draws, cells[, categories]) with columns set to a value in all rows."""
        return average_prediction(
            self.model,
            self.frame.assign(**self._set(setting)),
            self.cells,
            counts=self.counts,
            scale=self.scale,
            population=self.population,
            threshold=self.threshold,
            contrasted=contrasted,
            as_new=self.as_new,
            unit=self._unit,
        )

    def noise_variance(self, *, weighted: bool) -> Floats:
        """Variance (draws, cells) of the noise of the rows of each cell, as they are."""
        return noise_variance(
            self.model, self.frame, self.cells, self.counts, self.population, weighted=weighted
        )

    @cached_property
    def _unit(self) -> Floats | None:
        """Unit (draws, cells) of the latent scale where the noise differs by row; else None.

        It is the root of the mean variance of the noise in the cell, whatever is set: a contrast
        is then one of the linear predictor, and of its level no matter.
        """
        if self.scale != "latent" or not self.model.parts:
            return None
        return np.sqrt(self.noise_variance(weighted=False))

    def names_groups(self, variable: str) -> bool:
        """Whether the levels of a group term differ by this column."""
        groups = (one for own in self.model.predictors for one in own.groups)
        return any(variable in names for one in groups for names in one.members)

    def estimability(self, *parts: tuple[float, Mapping[str, object]]) -> np.ndarray:
        """Whether the fitted rows determine (cells,) a sum of means: see `Estimable.judge`.

        ``parts``: the sign of each mean, and what it sets. On a linear scale what the means have
        in common cancels; on others every row's own prediction must be known.
        """
        found = np.zeros(self.cells.max() + 1, np.int64)
        known: Estimable = self.model.estimable
        if not self._partly_known:
            return found
        scale = scale_of(self.model, self.scale, self.threshold)
        if scale.of_parameters and not scale.linear:
            for part in self.model.parts.values():
                for _, setting in parts:
                    own = part.estimable.rows(self.frame.assign(**self._set(setting)))
                    np.maximum.at(found, self.cells, part.estimable.judge(own))
        rows = [
            sign * known.rows(self.frame.assign(**self._set(setting))) for sign, setting in parts
        ]
        if scale.linear:
            share = self.counts / np.bincount(self.cells, self.counts)[self.cells]
            average = np.zeros((len(found), rows[0].shape[1]))
            np.add.at(average, self.cells, share[:, None] * sum(rows))
            return known.judge(average)
        for one in rows:
            np.maximum.at(found, self.cells, known.judge(one))
        return found

    @property
    def _partly_known(self) -> bool:
        """Whether the rows leave a coefficient of the mean, or of a parameter's formula, open."""
        designs = (self.model, *self.model.parts.values())
        return not all(one.estimable.whole for one in designs)

    def _set(self, setting: Mapping[str, object]) -> dict[str, pd.Series]:
        return {name: _as(self.frame, name, value) for name, value in setting.items()}

    def dataset(
        self, draws: Mapping[str, Floats], estimand: str, estimability: np.ndarray | None = None
    ) -> Estimate:
        """Draws under their names, dims (chain, draw, *by[, category]); `n` counts observations.

        ``estimability`` (cells,): as the method gives it. What cannot be estimated is NaN in every
        draw and has `estimable` False; what only a given prior determines has `by_prior` True.
        Where the rows determine every coefficient there are no such variables.
        """
        marks = {}
        if estimability is not None and self._partly_known:
            unknown = estimability == UNKNOWN
            draws = {
                name: np.where(unknown.reshape(1, -1, *[1] * (values.ndim - 2)), np.nan, values)
                for name, values in draws.items()
            }
            marks = {
                "estimable": estimability != UNKNOWN,
                "by_prior": estimability == BY_PRIOR,
            }
        posterior = self.model.posterior
        chains, per_chain = posterior.sizes["chain"], posterior.sizes["draw"]
        counts = np.bincount(self.cells, self.counts).astype(int)
        labels = scale_of(self.model, self.scale, self.threshold).categories
        if self.index is not None:
            sizes = [len(self.index.get_level_values(name).unique()) for name in self.by]
            check_memory(
                float(chains * per_chain) * math.prod(sizes) * (len(draws) + 1),
                f"{' x '.join(f'{n:,}' for n in sizes)} cells times {chains * per_chain:,} draws",
                "give fewer columns in by=",
            )
        data: dict[str, Any] = {}
        for name, values in draws.items():
            cube = values.reshape(chains, per_chain, len(counts), *values.shape[2:])
            dims = ("chain", "draw", "cell", *(["category"] if labels is not None else []))
            data[name] = (dims, cube)
        data |= {name: ("cell", values) for name, values in marks.items()}
        check_names(self.by, [*data, "n", "cell", "category", "chain", "draw"])
        found = xr.Dataset(data | {"n": ("cell", counts)})
        if self.index is None:
            found = found.isel(cell=0)
        else:
            coords = xr.Coordinates.from_pandas_multiindex(self.index, "cell")
            filled = {"n": 0} | {name: name == "estimable" for name in marks}
            found = found.assign_coords(coords).unstack("cell", fill_value=filled)
        if labels is not None:
            found = found.assign_coords(category=labels)
        for name in draws:
            found[name] = found[name].transpose("chain", "draw", *self.by, ...)
        found = found.assign_coords(chain=posterior["chain"], draw=posterior["draw"])
        return estimate(
            found,
            of=[self.model.fit],
            estimand=estimand,
            outcome=outcome_named(self.model, self.scale),
            scale=self.scale,
            population=self.population,
            held="all else as in each row",
            rows=self.rows,
            draws=draws_left(self.model.fit) or None,
            threshold=self.threshold,
        )

    def levels(self, variable: str) -> list[Level]:
        """Return the levels of a variable in the data; those of a factor are in its order.

        Raises
        ------
        DataError
            If there is a single level, or more levels than contrasts can be computed for.
        """
        found = self._levels(variable)
        if len(found) < 2:
            raise DataError(
                f"{variable!r} has the single level {found[0]}",
                hint="choose a variable with two or more levels",
            )
        if len(found) > MAX_LEVELS:
            raise DataError(
                f"{variable!r} has {len(found):,} levels (limit {MAX_LEVELS:,})",
                hint="ask for two of them by counterfactual, or fit a rounded column",
            )
        many = self.model.draws
        cells = 1 if self.index is None else len(self.index)
        check_memory(
            2.0 * len(found) * cells * many,
            f"{len(found):,} levels of {variable!r} in {cells:,} cells times {many:,} draws",
            "give fewer columns in by=, or thin: fit.isel(draw=slice(0, None, 10))",
        )
        return found

    def check_level(self, variable: str, asked: object) -> Level:
        """Return the model's level for a level given as in the model or in the data.

        Raises
        ------
        DataError
            If the data do not have the level. The error lists the levels of the data.
        """
        return level_of(self._levels(variable), asked, variable)

    def _levels(self, variable: str) -> list[Level]:
        return levels_of((self.rows_of_fit if self.newdata else self.frame)[variable])

    @property
    def rows_of_fit(self) -> pd.DataFrame:
        """All rows of the fit, with all columns of the model."""
        return (self.whole or self.model).frame

    def sd_of(self, variable: str) -> float:
        """Standard deviation of a numeric variable over the observations of the fit."""
        values = self.rows_of_fit[variable].to_numpy(float)
        counts = observations_of((self.whole or self.model).spec, self.rows_of_fit)
        apart = np.square(values - np.average(values, weights=counts))
        return float(np.sqrt(np.average(apart, weights=counts)))


def _check_moments(
    model: FittedModel,
    variables: Sequence[str],
    by: Sequence[str],
    scale: str,
    newdata: pd.DataFrame | None,
) -> None:
    """Refuse what needs the values of columns of which a fit has the moments alone.

    Means over rows of what is linear in such columns are those of the data, and of nothing else.
    """
    moments = model.spec.moments
    for name in moments:
        if name in variables or (name in by and newdata is None):
            raise DataError(
                f"of {name!r} the fit has means and cross-products, not values",
                hint="its slope is in cb.coefficients; give newdata=cb.datagrid(...) for "
                "predictions, or sum the rows up with its values: moments=[]",
                column=name,
            )
    linear = scale in ("link", "response") and not model.response.transformed
    if moments and newdata is None and not linear:
        raise DataError(
            f"an average on the scale {scale!r} needs the values of {', '.join(moments)}, of which "
            "the fit has means and cross-products",
            hint="ask on the scale 'link', give newdata=, or sum the rows up with values: "
            "moments=[]",
            column=moments[0],
        )


def stacked[D: xr.Dataset](parts: Sequence[D], index: pd.Index) -> D:
    """Join datasets of an `Averaging` along a dim, which is placed after chain and draw."""
    name = str(next(iter(parts[0].data_vars)))
    varies = [str(key) for key in parts[0].data_vars if key != "n"]
    # xarray cannot align text labels of pandas' own type with others.
    labels = index.astype(object) if isinstance(index.dtype, pd.StringDtype) else index
    found = xr.concat(parts, labels, data_vars=varies, combine_attrs="override")
    found[name] = found[name].transpose("chain", "draw", str(index.name), ...)
    return found


def averaging(
    fit: xr.DataTree,
    by: str | Sequence[str] | None,
    *,
    variables: Sequence[str] = (),
    scale: str = "response",
    population: str | None = None,
    threshold: float | None = None,
    parameter: str | None = None,
    newdata: pd.DataFrame | None = None,
) -> Averaging:
    """Check the arguments of a verb, and arrange the rows and cells of its averages.

    Parameters
    ----------
    fit : Fit
        The fitted model.
    by : str or sequence of str, optional
        Columns that define the cells; None for those of the new data.
    variables : sequence of str
        Columns that will be set to values.
    scale, population, threshold, parameter, newdata
        As in `predictions`.

    Raises
    ------
    DataError
        If a column is not in the model, genuine and impostor pairs would be pooled, or a variable
        that is set has no effect in the population by definition.
    """
    model = fitted(fit)
    spec, frame = model.spec, model.frame
    _check_moments(model, variables, () if by is None else names_in(by, "by"), scale, newdata)
    possible = predictors_of(spec)
    by = _cells_of(newdata, possible) if by is None else names_in(by, "by")
    _check_variables(variables, by, possible)
    given = frame if newdata is None else newdata
    population = population_of(model, population, variables, by, columns=list(map(str, given)))
    averaged = model if parameter is None else part_of(model, parameter)
    linear = scale_of(averaged, scale, threshold).linear
    if linear and averaged.threshold_sets is not None:
        _check_between_sets(averaged.threshold_sets, variables, scale)
    lacks = lacks_effects(averaged, population, variables if linear else ())
    if "thinned" in fit.children and lacks:
        model = model.with_effects()
        averaged = model if parameter is None else part_of(model, parameter)
    kinds = [one for one in str(fit.attrs.get("kinds", "")).split(",") if one]
    both = frame[KIND].nunique() > 1 if KIND in frame else len(kinds) > 1
    if KIND not in frame and len(kinds) == 1:
        _check_rate(scale, kinds[0])
    pools = both and model.response.column == "distance" and parameter is None
    if newdata is None:
        frame = _one_kind(frame, pools, (*variables, *by), scale)
        counts = observations_of(spec, frame)
        frame, counts = frame[counts > 0].reset_index(drop=True), counts[counts > 0]
    else:
        needed = {*_columns_known(model, population), *by} & set(possible)
        if (pools or scale in RATES) and KIND in possible:
            needed.add(KIND)  # by which rows are chosen
        frame = rows_at(model, newdata, sorted(needed - set(variables)), variables)
        frame = _one_kind(frame, pools, (*variables, *by), scale)
        counts = np.ones(len(frame))
    rows = number_of_rows(spec, frame) if newdata is None else len(frame)
    known = {*_columns_known(model, population), *variables, *by}
    kept = [name for name in possible if name in known]
    if spec.weights is not None and spec.weights not in kept:
        kept.append(spec.weights)  # the noise of a row depends on it
    frame, counts = _merged(frame, kept, counts)
    cells, index = _cells(frame, by)
    return Averaging(
        averaged,
        frame,
        counts,
        by,
        cells,
        index,
        scale,
        population,
        threshold,
        rows,
        newdata=newdata is not None,
        whole=model,
    )


def _check_variables(variables: Sequence[str], by: Sequence[str], possible: Sequence[str]) -> None:
    """Refuse columns that the model does not have, that no table may have, or that are both."""
    for name in (*variables, *by):
        name_in(name, "the variable")
        if name not in possible:
            raise DataError(
                f"{name!r} is not a variable of the model", hint=f"use one of {', '.join(possible)}"
            )
        if name in OF_TABLES:
            raise DataError(
                f"every estimate has something called {name!r}",
                hint="rename the column and fit again",
                column=name,
            )
    for name in variables:
        if name in by:
            raise DataError(f"{name!r} is both contrasted and in by", hint="leave it out of by")


def _check_between_sets(sets: ThresholdSets, variables: Sequence[str], scale: str) -> None:
    """Refuse differences of linear predictors between levels with thresholds of their own."""
    if sets.column in variables:
        raise DataError(
            f"levels of {sets.column!r} differ in their thresholds, which the scale {scale!r} has "
            "not",
            hint="ask for scale='response', 'probability' or 'exceedance'",
        )


def _cells_of(newdata: pd.DataFrame | None, possible: Sequence[str]) -> tuple[str, ...]:
    """The columns of new data that the model has, by which their rows differ.

    Raises
    ------
    DataError
        If there are no new data, so that cells have to be named.
    """
    if newdata is None:
        raise DataError(
            "no columns are named by which to average",
            hint="name them: cb.predictions(fit, 'race'), or () for one average of all rows; "
            "or give newdata=",
        )
    return tuple(name for name in possible if isinstance(newdata, pd.DataFrame) and name in newdata)


def part_of(model: FittedModel, parameter: str) -> FittedPart:
    """The linear predictor of a parameter.

    Raises
    ------
    DataError
        If it has none.
    """
    if parameter not in model.fitted_parts:
        told = f"{', '.join(model.parts)} has one" if model.parts else "no parameter has one"
        raise DataError(
            f"{shown(parameter)} has no formula in this fit ({told})",
            hint='give it one: cb.update(fit, sigma="~ race")',
        )
    return model.fitted_parts[parameter]


def population_of(
    model: FittedModel,
    population: str | None,
    variables: Sequence[str],
    by: Sequence[str],
    *,
    columns: Collection[str],
) -> str:
    """Return the population of an average.

    The default is "new", the mean over the population of seeds, annotators and other groups, from
    which the groups in the data are a sample. It does not depend on how group terms are written.
    Columns that occur in group terms only, such as the seed, identify these groups, so that
    averages by such a column are of "these" groups; unless the rows, whose `columns` are given,
    are new and do not say whose they are.

    Raises
    ------
    DataError
        If the population is unknown, or a variable has no effect in it by definition.
    """
    asked = isinstance(population, str) and population in POPULATIONS
    if population is not None and not asked:
        raise DataError(
            f"there is no population {shown(population)}",
            hint=f"use one of {', '.join(POPULATIONS)}",
        )
    known = model.population_columns
    of_groups = [name for name in (*variables, *by) if name not in known]
    if population is None:
        groups = (term for own in model.predictors for term in own.groups)
        named = {one for term in groups for one in chain.from_iterable(term.members)}
        unnamed = not named <= set(columns) and set(variables) <= set(known)
        return "these" if of_groups and not unnamed else "new"
    for name in variables:
        if population != "these" and name not in known:
            raise DataError(
                f"{name!r} occurs in group terms only, whose effects have the mean zero: in "
                f"population {population!r} it has no effect by definition",
                hint=f"add {name} to the formula, or ask for population='these'",
                column=name,
            )
    return population


def predictors_of(spec: ModelSpec) -> list[str]:
    """Return the columns on the right of formulas, those of parts too, in order of appearance."""
    response, columns = formula_columns(spec.formula)[0], columns_of(spec)
    if family_of(spec).has_trials:  # not those of the left side alone
        rights = (formula.split("~", 1)[1] for formula in spec.formulas)
        columns = [name for one in rights for name in formula_columns(f"{response} ~ {one}")[1]]
    return [name for name in dict.fromkeys(columns) if name != response]


def check_estimable(found: Estimate, fit: xr.DataTree) -> Estimate:
    """Describe which estimates are not estimable; remove the marks if all are estimable.

    Raises
    ------
    DataError
        If no estimate is estimable.
    """
    if "estimable" not in found:
        return found
    left_out = ", ".join(json.loads(fit.attrs.get("left_out", "[]")))
    asked = found["n"] > 0
    if not (found["estimable"] & asked).any():
        raise DataError(
            f"not estimable: {found.attrs['estimand']} depends on coefficients for which the data "
            "have no rows" + (f" ({left_out})" if left_out else ""),
            hint="ask within cells that have rows (by=), leave out the interaction whose cells "
            "are empty, or give its term a prior",
        )
    if bool((found["estimable"] | ~asked).all()):
        found = found.drop_vars("estimable")
    else:
        found.attrs["not_estimable"] = (
            f"the data have no rows for {left_out}" if left_out else "some cells"
        )
    if not bool(found["by_prior"].any()):
        found = found.drop_vars("by_prior")
    return found


def _columns_known(model: FittedModel, population: str) -> list[str]:
    """Return the columns on which a row's outcome depends.

    For a "typical" group, these do not include the column of the group. For "new" groups, they
    include only whether the two members of a pair are the same.
    """
    if population == "these":
        return list(model.columns)
    columns = list(model.population_columns)
    if population == "new":
        # Of a term with fitted effects (`designs_in`) the columns are among these already.
        for formula in model.spec.formulas:
            for part in group_parts(formula):
                columns += [*formula_columns(f"response__ ~ {part.effects}")[1], *part.columns]
    return columns


def _merged(
    frame: pd.DataFrame, columns: Sequence[str], counts: Floats
) -> tuple[pd.DataFrame, Floats]:
    """Merge rows that are equal in the columns, and count the observations of each.

    In a design, 48,000 pairs may have only 3,000 different rows, which reduces the computation.
    """
    if not columns:
        return frame[:1], counts.sum(keepdims=True)
    which = frame.groupby(list(columns), sort=False, observed=True, dropna=False).ngroup()
    first = ~which.duplicated()
    return frame[first.to_numpy()].reset_index(drop=True), np.bincount(which, counts)


def _one_kind(frame: pd.DataFrame, pools: bool, apart: Sequence[str], scale: str) -> pd.DataFrame:
    """Select the rows to which a scale refers; refuse to pool genuine and impostor pairs.

    ``pools``: whether the fit is of distances of both kinds.
    """
    if KIND in frame and scale in RATES:
        kept = frame[frame[KIND] == RATES[scale]].reset_index(drop=True)
        if kept.empty:
            _check_rate(scale, "genuine" if scale == "FMR" else "impostor")
        return kept
    if pools and KIND not in apart:
        hint = f"fit each kind separately (subset={KIND!r})"
        if KIND in frame:
            hint = f"give by={KIND!r} (with other columns too), or {hint}"
        raise DataError(
            "the average would pool distances of genuine and of impostor pairs, for which larger "
            "distances have opposite effects on errors",
            hint=hint,
        )
    return frame


def _check_rate(scale: str, kind: str) -> None:
    """Refuse an error rate for which the data have no pairs of the right kind."""
    if scale == "FMR" and kind == "genuine":
        raise DataError("FMR is of impostor pairs; there are none", hint="use FNMR")
    if scale == "FNMR" and kind == "impostor":
        raise DataError("FNMR is of genuine pairs; there are none", hint="use FMR")


def _as(frame: pd.DataFrame, name: str, value: object) -> pd.Series:
    if isinstance(value, np.ndarray):
        return pd.Series(value, index=frame.index)
    return same(frame[name], value)


def _cells(frame: pd.DataFrame, by: Sequence[str]) -> tuple[np.ndarray, pd.MultiIndex | None]:
    if not by:
        return np.zeros(len(frame), dtype=int), None
    found = [levels_of(frame[name]) for name in by]
    codes = [
        pd.Index(own).get_indexer(pd.Index(frame[name]))
        for own, name in zip(found, by, strict=True)
    ]
    flat = np.ravel_multi_index(codes, [len(own) for own in found])
    _, first, cells = np.unique(flat, return_index=True, return_inverse=True)
    # A MultiIndex made from labels would sort them: its levels keep the data's order.
    index = pd.MultiIndex(found, [one[first].tolist() for one in codes], names=list(by))
    return cells, index
