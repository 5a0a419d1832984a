"""A fitted model: everything that is derived of a fit, made once.

What depends on specification and rows alone (`ModelDesign`) is kept between calls under their
content, and draws are taken from the fit that is given, so that ``fit.isel(draw=...)`` shares the
first and has its own of the second. Only this module and those that make models know bambi's
objects.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from threading import Lock
from typing import Any

import bambi as bmb
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy import sparse

from causalbias.arguments import need_fit
from causalbias.errors import DataError
from causalbias.models.bambi_models import common_model, widen_further
from causalbias.models.columns import average, of_rows, spread
from causalbias.models.default_priors import set_thresholds
from causalbias.models.estimable import Estimable
from causalbias.models.evaluation import evaluate, evaluate_offset
from causalbias.models.families.base import Family
from causalbias.models.families.links import Link
from causalbias.models.formula.measured import measured
from causalbias.models.group_design import GroupDesign, group_designs
from causalbias.models.measured import TRUE, MeasuredValues, measured_values
from causalbias.models.response import Response, response_of
from causalbias.models.result import as_fit, frame_of, spec_of, with_effects
from causalbias.models.shared_effects import Shared, shared_effects
from causalbias.models.smooth_design import SmoothDesign, smooth_designs
from causalbias.models.specification import (
    ModelSpec,
    columns_of,
    data_columns_of,
    family_of,
    number_of_rows,
    population_columns_of,
    row_repeats,
    with_categories,
)
from causalbias.models.thresholds import ThresholdSets, check_told_apart

Floats = NDArray[np.float64]

# Designs kept between calls, the last used; fewer where they have more rows than this together.
KEPT, KEPT_ROWS = 8, 2_000_000


@dataclass(frozen=True, eq=False, repr=False)
class ModelDesign:
    """A specification and the rows that it is fitted to: what holds whatever the draws are.

    Attributes
    ----------
    spec : ModelSpec
    frame : DataFrame
        The rows fitted, as `model_frame` has them. Shared between calls: not to be changed.
    bambi : bambi Model
        Without its group terms.
    groups : tuple of GroupDesign
        The group terms.
    smooths : tuple of SmoothDesign
        The smooth terms, without their straight lines, which are terms of the population.
    response : Response
        The left side of the formula.
    columns, population_columns : tuple of str
        Columns of the whole formula with all its parts, and of these without their group terms;
        the response is among both.
    parts : mapping of str to PartDesign
        Of the parameters that differ by row, by name.
    """

    spec: ModelSpec
    frame: pd.DataFrame
    bambi: bmb.Model
    groups: tuple[GroupDesign, ...]
    smooths: tuple[SmoothDesign, ...]
    response: Response
    columns: tuple[str, ...]
    population_columns: tuple[str, ...]
    parts: Mapping[str, "PartDesign"]

    @classmethod
    def of(cls, spec: ModelSpec, frame: pd.DataFrame) -> "ModelDesign":
        """The design of a specification on rows that `model_frame` has checked.

        Raises
        ------
        DataError
            If bambi cannot make a model of it, with its reason.

        Examples
        --------
        >>> rows = pd.DataFrame({"y": [1.0, 2.0, 4.0], "x": [0.0, 1.0, 2.0]})
        >>> found = ModelDesign.of(ModelSpec("y ~ x"), rows)
        >>> found.design(pd.DataFrame({"x": [5.0]})).tolist(), found.family.link.name
        ([[1.0, 5.0]], 'identity')
        """
        spec = with_categories(spec, frame)
        mean = spec.mean
        if family_of(spec).by_category:  # what the formula has are the categories' predictors
            mean = replace(mean, formula=f"{spec.formula.partition('~')[0]} ~ 1")
        whole = cls(
            spec,
            frame,
            common_model(mean, frame),
            tuple(group_designs(mean.formula, frame)),
            tuple(smooth_designs(mean.formula, frame)),
            response_of(spec, frame),
            tuple(columns_of(spec)),
            tuple(population_columns_of(spec)),
            {},
        )
        found = replace(whole, parts={name: whole._part(name) for name in spec.parts})
        if found.by_threshold:
            own = found.parts[found.by_threshold[0]]
            _check_apart(found, own)
            if "threshold" not in spec.priors:
                widen_further(found.bambi, own.bambi, found.repeats)
        if found.threshold_sets is not None:
            check_told_apart(found, found.threshold_sets)
            if "threshold" not in spec.priors:
                sets = found.threshold_sets
                centres = sets.means(found.offset, frame, found.repeats)
                set_thresholds(found.bambi, found.family, sets.sizes, centres)
        return found

    def _part(self, name: str) -> "PartDesign":
        own, family, repeats = self.spec.part(name), self.family, self.repeats
        beside = family.beside(self.response_values, self.offset)
        centre = family.centre_of(name, of_rows(beside, repeats))
        values: Any = _stand_in(len(self.frame), centre, repeats)
        if family.is_optional(name):
            values = pd.Categorical(np.arange(len(self.frame)) % 2, ordered=True)
        rows = self.frame[data_columns_of(own)[1:]].assign(**{name: values})
        return PartDesign(
            own,
            rows,
            common_model(own, rows),
            tuple(group_designs(own.formula, rows)),
            tuple(smooth_designs(own.formula, rows)),
            response_of(own, rows),
            self.columns,
            self.population_columns,
            {},
            name,
            family.link_of(name),
        )

    @property
    def _component(self) -> Any:
        """Terms, as bambi has them, of the linear predictor of the mean."""
        return self.bambi.parameters[self.bambi.family.likelihood.parent]

    @property
    def family(self) -> Family:
        """The response family, with its link."""
        return family_of(self.spec)

    @property
    def estimable(self) -> Estimable:
        """What the rows tell of the population's coefficients."""
        found: Estimable = self.bambi.estimable
        return found

    @property
    def response_values(self) -> Floats:
        """The response (rows,) as the model has it; of ordinal models, codes 0, 1, ..."""
        return np.asarray(self.bambi.response_term.data, float)

    @property
    def repeats(self) -> Floats | None:
        """Rows of the data (rows,) that each row stands for; None where each is one."""
        return row_repeats(self.spec, self.frame)

    @property
    def categories(self) -> list[Any]:
        """Categories of an ordinal response, in order; of others none."""
        return list(self.bambi.response_term.levels or [])

    @cached_property
    def threshold_sets(self) -> ThresholdSets | None:
        """The thresholds of each level of a column; None where all rows have the same."""
        return ThresholdSets.of(self.spec, self.frame)

    @property
    def n_cuts(self) -> int:
        """How many thresholds a row of an ordinal model has at most; of others none."""
        return len(self.categories) - 1 if self.family.has_thresholds else 0

    @cached_property
    def shared(self) -> tuple[Shared, ...]:
        """The group terms whose effects are correlated across predictors."""
        return shared_effects(
            {"": self.groups} | {name: one.groups for name, one in self.parts.items()}
        )

    @property
    def by_threshold(self) -> tuple[str, ...]:
        """The parts that are effects of one threshold of an ordinal model."""
        family = self.family
        return tuple(
            one for one in self.parts if family.is_optional(one) and one not in family.optional
        )

    @property
    def predictors(self) -> "tuple[ModelDesign, ...]":
        """The designs of the response's linear predictor, or of each category's."""
        return tuple(self.parts.values()) if self.family.by_category else (self,)

    def prior(self, parameter: str) -> bmb.Prior | None:
        """Prior of a parameter beside the mean (``"sigma"``) that is one number for all rows.

        None where the model has it not, or it has a formula.
        """
        found = self.bambi.parameters.get(parameter)
        return None if found is None or parameter in self.parts else found.prior

    def design(self, frame: pd.DataFrame) -> Floats:
        """Design matrix (rows, p) of the population's terms on new rows.

        After them stand the functions of smooth terms. Where the formula has offsets, their sum is
        the last column: its coefficient is one.
        """
        common = self._component.design.common
        if common is None or not common.terms:  # an ordinal model of an intercept has neither
            return np.empty((len(frame), 0))
        # Whole: bambi drops the intercept of ordinal models and leaves the slices as they were.
        matrix = evaluate(common, frame)
        kept = getattr(self.bambi, "kept", None)  # where columns are left out
        parts = [matrix if kept is None else matrix[:, kept]]
        parts += [one.functions(frame) for one in self.smooths]
        if self.has_offset:
            parts.append(evaluate_offset(common, frame)[:, None])
        return np.hstack(parts) if len(parts) > 1 else parts[0]

    @property
    def terms(self) -> list[str]:
        """Names in the posterior of the terms that the first columns of `design` belong to."""
        return [name for name, term in self.common_terms.items() if term.kind != "offset"]

    @property
    def common_terms(self) -> dict[str, Any]:
        """Terms of the population, as formulae has them, by name."""
        common = self._component.design.common
        return {} if common is None else dict(common.terms)

    @property
    def has_offset(self) -> bool:
        """Whether the formula has offsets."""
        return bool(self._component.offset_terms)

    @property
    def coefficient_terms(self) -> dict[str, Any]:
        """Terms of the population by name, in the order of a problem's columns."""
        component = self._component
        first = {} if component.intercept_term is None else {"Intercept": component.intercept_term}
        return first | dict(component.common_terms)

    @property
    def fitted_columns(self) -> Floats:
        """Columns (rows, p) of the population's terms on the rows fitted, the intercept last."""
        component = self._component
        terms = list(component.common_terms.values())
        if component.intercept_term is not None:
            terms.append(component.intercept_term)
        parts = [np.asarray(one.data, float).reshape(len(self.frame), -1) for one in terms]
        return np.column_stack([np.empty((len(self.frame), 0)), *parts])

    @cached_property
    def measured(self) -> tuple[MeasuredValues, ...]:
        """The covariates measured with error.

        Raises
        ------
        DataError
            If a term is no multiple of one.
        """
        found = []
        for one in measured(self.spec.formula):
            step = float(self.frame[one.column].std())
            at = [
                self.design(self.frame.assign(**{one.column: self.frame[one.column] + k * step}))
                for k in range(3)
            ]
            slopes, curvature = (at[1] - at[0]) / step, (at[2] - 2 * at[1] + at[0]) / step
            found.append(measured_values(one, self.frame, slopes, curvature, self.spec.priors))
        of_several = sum((one.slopes != 0).any(axis=0).astype(int) for one in found)
        if (np.asarray(of_several) > 1).any():
            raise DataError(
                f"a product of {' and '.join(one.name for one in found)}, both measured with error",
                hint="let one of them enter as it was measured",
            )
        return tuple(found)

    @property
    def offset(self) -> Floats:
        """Sum (rows,) of the formula's offsets on the rows fitted."""
        terms = self._component.offset_terms.values()
        total = sum(np.asarray(one.data, float) for one in terms)
        return np.broadcast_to(total, len(self.frame))


def _check_apart(model: ModelDesign, own: ModelDesign) -> None:
    """Refuse effects that are the same at all thresholds and differ between them, both.

    Raises
    ------
    DataError
        With the terms of the latter.
    """
    both = [np.ones((len(model.frame), 1)), model.fitted_columns, own.fitted_columns]
    columns = np.hstack(both)
    columns = columns / (np.linalg.norm(columns, axis=0) + 1e-300)
    if np.linalg.matrix_rank(columns) < columns.shape[1]:
        raise DataError(
            f"the terms in cs(), {', '.join(own.coefficient_terms)}, are in the formula outside of "
            "it too, or follow from what is there",
            hint="write each term once: outside of cs() its effect is the same at all thresholds, "
            "inside it differs between them",
        )


def _stand_in(rows: int, centre: float, repeats: Floats | None) -> Floats:
    """Numbers (rows,) of that mean and a standard deviation of one."""
    found = np.arange(rows, dtype=float)
    return centre + (found - average(found, repeats)) / (float(spread(found, repeats)) or 1.0)


@dataclass(frozen=True, eq=False, repr=False)
class PartDesign(ModelDesign):
    """The linear predictor of a parameter that differs by row.

    It is a design like that of a mean. In the place of a response there are numbers with a standard
    deviation of one about what `Family.centre_of` gives, so that default priors are those of the
    mean of such numbers: that of the intercept is Normal with sd 2.5 (and what slopes add) about
    the centre, at the mean of the columns, and that of a slope is Normal with sd 2.5 / sd of its
    column. These do not depend on the response's unit. For an optional parameter there are ordered
    answers: the design has no intercept, and the priors of slopes are the same.

    Attributes
    ----------
    name : str
        The parameter.
    link : Link
        The parameter is ``link.inverse`` of the predictor.
    """

    name: str
    link: Link


@dataclass(frozen=True, eq=False, repr=False)
class FittedModel(ModelDesign):
    """A fit with all that is derived of it; see `fitted`.

    Attributes
    ----------
    fit : DataTree
        Whose draws these are.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ level + (1|annotator)", study, subset="question == 'age'")
    >>> model = fitted(fit)
    >>> model.coefficients.shape, model.terms, [one.factor for one in model.groups]
    ((4000, 2), ['Intercept', 'level'], ['annotator'])
    """

    fit: xr.DataTree

    @cached_property
    def posterior(self) -> xr.Dataset:
        """The draws, dims (chain, draw, ...)."""
        return self.fit.children["posterior"].to_dataset()

    @property
    def draws(self) -> int:
        """Number of draws of all chains."""
        return int(self.posterior.sizes["chain"] * self.posterior.sizes["draw"])

    def with_effects(self) -> "FittedModel":
        """The model with the effects of all levels, at fewer draws: see `result.with_effects`."""
        return replace(self, fit=with_effects(self.fit))

    @cached_property
    def parameters(self) -> dict[str, Floats]:
        """Draws of the parameters that are one for all rows: (draws, 1), or (draws, cuts)."""
        found = self.family.draws_of(self.posterior)
        if self.threshold_sets is not None:
            del found["threshold"]  # see `thresholds_at`
        return found

    def thresholds_at(self, frame: pd.DataFrame) -> dict[str, Floats]:
        """Draws of the thresholds (draws, rows, cuts) of rows, where these differ; else nothing."""
        if self.threshold_sets is None:
            return {}
        every = flat(self.posterior["threshold"])
        return {"threshold": self.threshold_sets.at(every, frame)}

    @cached_property
    def fitted_parts(self) -> dict[str, "FittedPart"]:
        """The parameters that differ by row, with their draws."""
        found = {}
        for name, design in self.parts.items():
            own = {
                str(one): str(one).removeprefix(f"{name}_")
                for one in self.posterior.data_vars
                if str(one).startswith(f"{name}_")
            }
            tree = as_fit(self.fit)
            tree["posterior"] = xr.DataTree(self.posterior[list(own)].rename_vars(own))
            known = {one.name: getattr(design, one.name) for one in fields(PartDesign)}
            found[name] = FittedPart(**known, fit=tree)
        return found

    def parameters_at(self, frame: pd.DataFrame) -> dict[str, Floats]:
        """Draws of the family's parameters of rows, with the fitted effects of their groups.

        Parameters
        ----------
        frame : DataFrame
            Rows with the columns of the formula.

        Returns
        -------
        dict of str to ndarray
            (draws, rows) of a parameter that differs by row, else (draws, 1) or (draws, cuts).
            Thresholds that differ between levels of a column are (draws, rows, cuts).
        """
        of_rows = {
            name: np.asarray(one.link.inverse(one.linear_predictor(frame)))
            for name, one in self.fitted_parts.items()
        }
        return self.parameters | self.thresholds_at(frame) | of_rows

    def latent_sd_of(self, parameters: Mapping[str, Floats]) -> Floats:
        """Standard deviation (draws, 1 or rows) of the noise about eta, given the parameters.

        The residual one of Gaussian models, where rows have weights that of a row of weight one;
        that of the link's latent variable of others.
        """
        return self.family.latent_sd(parameters, self.draws).reshape(self.draws, -1)

    @cached_property
    def latent_sd(self) -> Floats:
        """Standard deviation (draws,) of the noise about eta, where it is one for all rows.

        Raises
        ------
        DataError
            If it differs by row.
        """
        if self.parts:
            raise DataError(
                f"{', '.join(self.parts)} differs between rows, so that there is no one noise",
                hint="ask by the columns that it depends on",
            )
        return self.latent_sd_of(self.parameters)[:, 0]

    def linear_predictor(self, frame: pd.DataFrame) -> Floats:
        """Linear predictor (draws, rows) of rows, with the fitted effects of their groups."""
        matrix, effects = self.group_blocks(self.groups, frame)
        return np.asarray(self.coefficients @ self.design(frame).T + (matrix @ effects.T).T)

    def beyond_measurements(self, rows: slice | NDArray[np.intp]) -> Floats | float:
        """What true values add to the linear predictor (draws, rows) at measurements; 0 of none."""
        total: Floats | float = 0.0
        for one in self.measured:
            beyond = flat(self.posterior[f"{TRUE}{one.name}"]) - one.values
            total = total + beyond[:, one.codes[rows]] * (self.coefficients @ one.slopes[rows].T)
        return total

    def group_blocks(
        self, designs: Sequence[GroupDesign], frame: pd.DataFrame
    ) -> tuple[sparse.csr_matrix, Floats]:
        """Design matrix (rows, q) of group terms, and the groups' effects (draws, q)."""
        blocks: list[sparse.csr_matrix] = [sparse.csr_matrix((len(frame), 0))]
        effects: list[Floats] = [np.empty((self.draws, 0))]
        for one in designs:
            matrix, at, k = one.matrix(frame), 0, sum(one.sizes())
            effect = np.arange(matrix.shape[1]) % k
            for name, size in zip(one.names(), one.sizes(), strict=True):
                blocks.append(matrix[:, np.flatnonzero((effect >= at) & (effect < at + size))])
                effects.append(self.group_effects(one, name))
                at += size
        return sparse.hstack(blocks, format="csr"), np.hstack(effects)

    @cached_property
    def coefficients(self) -> Floats:
        """Coefficients (draws, p) of the columns of `design`."""
        found = [flat(self.posterior[name]) for name in self.terms]
        found += [self.group_effects(one, *one.terms) for one in self.smooths]
        if self.has_offset:
            found.append(np.ones((self.draws, 1)))
        return np.hstack([np.empty((self.draws, 0)), *found])

    def group_effects(self, design: GroupDesign, term: str) -> Floats:
        """Effects (draws, levels x k) of a group term, by level and then by coefficient.

        Raises
        ------
        DataError
            If they were too many to keep.
        """
        if term not in self.posterior:
            raise DataError(
                f"the effects of {term!r} were too many to keep",
                hint="use population='typical' or 'new', or fit fewer draws",
            )
        effects = self.posterior[term]
        factor = next(dim for dim in effects.dims if str(dim).endswith("__factor_dim"))
        # Levels are matched by label: bambi orders numbers by value, and a design orders their
        # text.
        if not np.array_equal(effects[factor].values.astype(str), design.levels):
            lacking = np.setdiff1d(design.levels, effects[factor].values.astype(str)).tolist()
            if len(lacking):
                raise DataError(
                    f"the fit has no draws of {len(lacking):,} of the levels of {design.factor}, "
                    f"such as {lacking[0]!r}, as where levels were selected of it",
                    hint="give the whole fit, and select levels of the result",
                )
            effects = effects.sel({factor: design.levels})
        return flat(effects.transpose("chain", "draw", factor, ...))

    def group_covariance(self, design: GroupDesign) -> Floats:
        """Covariance matrix (draws, k, k) of the effects of one level."""
        sd = np.hstack([flat(self.posterior[f"{name}_sigma"]) for name in design.names()])
        correlation = np.tile(np.eye(sd.shape[1]), (len(sd), 1, 1))
        if design.correlation in self.posterior:
            low, high = np.triu_indices(sd.shape[1], k=1)
            known = flat(self.posterior[design.correlation])
            correlation[:, low, high] = correlation[:, high, low] = known
        return np.asarray(sd[:, :, None] * correlation * sd[:, None, :])

    def centred_covariance(self, design: GroupDesign) -> tuple[Floats, Floats]:
        """Basis T (k, k) of `GroupDesign.centring`, and covariance (draws, k, k) of its effects.

        Matrices of columns far from zero, such as years, are all but singular; these are not.
        What T times effects of this covariance are, are effects of the columns as they are.
        """
        basis = design.centring(self.frame, repeats=self.repeats)
        inverse = np.linalg.inv(basis)
        return basis, inverse @ self.group_covariance(design) @ inverse.T

    def shared_covariance(self, shared: Shared) -> Floats:
        """Covariance matrix (draws, K, K) of all effects of one level that `shared` has."""
        sds, blocks = [], {}
        for predictor, design in shared.designs.items():
            part = self.fitted_parts[predictor] if predictor else self
            blocks[predictor] = part.group_covariance(design)
            sds.append(np.sqrt(np.diagonal(blocks[predictor], axis1=1, axis2=2)))
        sd, (low, high) = np.hstack(sds), shared.pairs
        between = flat(self.posterior[shared.correlation]) * sd[:, low] * sd[:, high]
        return shared.joined(blocks, between)

    def group_variance(self, design: GroupDesign, columns: Floats) -> Floats:
        """Variance (rows, draws) of a new level's effect on rows with covariates (rows, k)."""
        covariance = self.group_covariance(design)
        products = (columns[:, :, None] * columns[:, None, :]).reshape(len(columns), -1)
        return np.asarray(products @ covariance.reshape(len(covariance), -1).T)


@dataclass(frozen=True, eq=False, repr=False)
class FittedPart(FittedModel):
    """A `PartDesign` with its draws, under the names that those of a mean would have.

    ``fit`` is the fit with these as its posterior.
    """

    name: str
    link: Link


def flat(draws: xr.DataArray) -> Floats:
    """Draws (draws, k) of all chains in order, other dims raveled."""
    values = draws.transpose("chain", "draw", ...).values
    return np.asarray(values.reshape(values.shape[0] * values.shape[1], -1))


_recent: OrderedDict[tuple[str, bytes], ModelDesign] = OrderedDict()
_lock = Lock()


def fitted(fit: xr.DataTree) -> FittedModel:
    """The fitted model of a fit: its draws, and what its specification and rows determine.

    The latter is made once for each pair of specification and rows, and found again by their
    content: a tree whose rows were changed by hand has a design of its own.

    Raises
    ------
    DataError
        If this is no fit, or its formula calls what is not listed.
    """
    need_fit(fit)
    key = str(fit.attrs["spec"]), _digest(fit.children["constant_data"].to_dataset())
    with _lock:
        known = _recent.get(key)
    design = ModelDesign.of(spec_of(fit), frame_of(fit)) if known is None else known
    with _lock:
        _recent[key] = design
        _recent.move_to_end(key)
        while len(_recent) > KEPT or (
            len(_recent) > 1 and sum(len(one.frame) for one in _recent.values()) > KEPT_ROWS
        ):
            _recent.popitem(last=False)
    parts = {one.name: getattr(design, one.name) for one in fields(ModelDesign)}
    found = FittedModel(**parts, fit=fit)
    _check_whole(found)
    return found


def _check_whole(model: FittedModel) -> None:
    """Refuse a fit of which coefficients, levels or rows were selected.

    What is left are draws of no model: splines, centres and levels are of all rows.
    """
    posterior, labels = model.posterior, dict[str, list[Any]]()
    rows, many = number_of_rows(model.spec, model.frame), int(model.fit.attrs["n_rows"])
    if rows != many:
        raise DataError(
            f"the fit has {rows:,} of the {many:,} rows that it was fitted to",
            hint="give the whole fit, and rows to average over as new data: "
            "cb.predictions(fit, newdata=rows)",
        )
    for prefix, design in [("", model), *((f"{name}_", one) for name, one in model.parts.items())]:
        for name, term in design.coefficient_terms.items():
            labels[prefix + name] = list(getattr(term, "coords", {}).values())
        for one in (*design.groups, *design.smooths):
            for name, own in zip(one.names(), one.effects.values(), strict=True):
                labels[f"{prefix}{name}_sigma"] = [own] if own else []
    if model.threshold_sets is not None:
        labels["threshold"] = [model.threshold_sets.labels]
    for name, wanted in labels.items():
        if name in posterior and not _has_labels(posterior[name], wanted):
            raise DataError(
                f"the fit has not the draws of all parameters {name!r} in their order, as where "
                "levels were selected of it",
                hint="give the whole fit, and select levels of the result: "
                "cb.effects(fit, 'race').sel(race='black')",
            )


def _has_labels(draws: xr.DataArray, wanted: list[Any]) -> bool:
    """Whether dims beside the sample's have these labels; those without any, as many entries."""
    dims = [dim for dim in draws.dims if dim not in ("chain", "draw")]
    return len(dims) == len(wanted) and all(
        np.array_equal(draws[dim].values.astype(str), np.asarray(labels).astype(str))
        if dim in draws.coords
        else draws.sizes[dim] == len(labels)
        for dim, labels in zip(dims, wanted, strict=True)
    )


def _digest(rows: xr.Dataset) -> bytes:
    """Of names, types, attributes and values of all variables and coordinates."""
    found = hashlib.blake2b(digest_size=32)
    for name, variable in rows.variables.items():
        values = variable.values
        what = (name, variable.dims, values.dtype.str, values.shape, sorted(variable.attrs.items()))
        found.update(repr(what).encode())
        plain = repr(values.tolist()).encode() if values.dtype == object else values.tobytes()
        found.update(plain)
    return found.digest()
