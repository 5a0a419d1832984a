"""A model specification: formula, family, link, priors; and the rows that it is fitted to."""

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import pandas as pd
from pandas.api import types

from causalbias.arguments import described, mapping_in, name_in
from causalbias.errors import DataError, at_first, shown
from causalbias.models.families import Family, check_family, family_named
from causalbias.models.formula.group_terms import common_formula, group_parts
from causalbias.models.formula.limits import Limits
from causalbias.models.formula.measured import measured
from causalbias.models.formula.parse import (
    formula_columns,
    proportion,
)
from causalbias.models.formula.parts import as_formula, check_part
from causalbias.models.formula.steps import stepped_columns
from causalbias.models.levels import LEVELS, canonical
from causalbias.models.limits import RowLimits, check_limits, row_limits, with_upper_ends
from causalbias.models.measured import check_measured
from causalbias.models.shrinkage import HYPERPARAMETERS
from causalbias.study.columns import typed

# Names that posteriors have, whatever the model.
RESERVED = frozenset(
    ("Intercept", "sigma", "kappa", "threshold", "chain", "draw", *HYPERPARAMETERS)
)
# Names of what tables and draws of estimates hold.
OF_TABLES = frozenset(
    (
        *("estimate", "sd", "lower", "upper", "p_positive", "p_above_one"),
        *("scale", "population", "converged"),
        *("n", "cell", "category", "effect", "prediction", "slope", "interaction", "reference"),
        *("value", "estimable", "by_prior", "quantile", "average_slope"),
        *("slope_estimable", "average_slope_estimable", "slope_by_prior", "average_slope_by_prior"),
    )
)
MAX_NUMBER = 1e100  # beyond it squares overflow
MAX_STEPPED = 50  # levels of a monotone effect


@dataclass(frozen=True)
class ModelSpec:
    """Everything but the data that determines a model.

    Attributes
    ----------
    formula : str
        As in lme4 and brms, read by bambi.
    family : str
        One of `causalbias.models.families.FAMILIES`.
    link : str, optional
        Link of the mean; None for the family's default.
    priors : dict of str to str
        Priors by term, as text; terms left out get bambi's weakly informative defaults.
    counts, weights : str, optional
        Columns: how many equal observations a row stands for, and a Gaussian row's precision.
    parts : dict of str to str
        By parameter of the family that differs by row, the right side of its formula.
    rows : str, optional
        Column: how many rows of the data a row stands for, where equal rows were summed up. Default
        priors are scaled to rows of the data.
    moments : tuple of str
        Columns of which rows that were summed up hold means and cross-products, not values.
    limits : Limits
        Which responses were not observed, or could not have been.
    """

    formula: str
    family: str = "gaussian"
    link: str | None = None
    priors: Mapping[str, str] = field(default_factory=dict)
    counts: str | None = None
    weights: str | None = None
    parts: Mapping[str, str] = field(default_factory=dict)
    rows: str | None = None
    moments: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        for argument in ("counts", "weights"):
            if getattr(self, argument) is not None:
                name_in(getattr(self, argument), argument)
        for term, text in self.priors.items():
            if not isinstance(text, str):
                raise DataError(
                    f"the prior of {term!r} is {described(text)}",
                    hint='write a text: "Normal(0, 5)"',
                )

    def to_json(self) -> str:
        """Text from which `from_json` makes an equal specification."""
        found = asdict(self) | {"priors": dict(self.priors), "parts": dict(self.parts)}
        if self.rows is None:
            del found["rows"], found["moments"]
        if not self.limits:
            del found["limits"]
        return json.dumps(found, sort_keys=True)

    @property
    def formulas(self) -> tuple[str, ...]:
        """The formula of the response and those of the parts, each with a left side."""
        return (self.formula, *(f"{name} ~ {right}" for name, right in self.parts.items()))

    def part(self, name: str) -> "ModelSpec":
        """Specification of the linear predictor of a parameter, as of the mean of numbers.

        Its priors are those of names that begin with the parameter's, as in ``sigma_race``. That of
        an optional parameter of ordinal models is as of an ordinal response: without an intercept.
        """
        own = {
            term.removeprefix(f"{name}_"): text
            for term, text in self.priors.items()
            if term.startswith(f"{name}_")
        }
        found = ModelSpec(f"{name} ~ {self.parts[name]}", priors=own, rows=self.rows)
        optional = family_of(self).is_optional(name)
        return replace(found, family=self.family) if optional else found

    @property
    def mean(self) -> "ModelSpec":
        """The specification without parts and their priors."""
        of_parts = tuple(f"{name}_" for name in self.parts)
        own = {term: text for term, text in self.priors.items() if not term.startswith(of_parts)}
        return replace(self, priors=own, parts={})

    @classmethod
    def from_json(cls, text: str) -> "ModelSpec":
        """Inverse of `to_json`."""
        found = json.loads(text)
        limits = Limits(**found.get("limits", {}))
        return cls(**found | {"moments": tuple(found.get("moments", ())), "limits": limits})


def specify(
    formula: object,
    family: str,
    *,
    link: str | None = None,
    priors: Mapping[str, str] | None = None,
    counts: str | None = None,
    weights: str | None = None,
) -> ModelSpec:
    """The specification of a model as a user states it; arguments as of `fit`.

    Raises
    ------
    DataError
        If it is no formula, there is no such family, or priors are not given by term.

    Examples
    --------
    >>> specify(["y ~ x", "sigma ~ race"], "gaussian").parts
    {'sigma': 'race'}
    """
    written = as_formula(formula)
    check_family(family)
    example = 'a prior by term: {"race": "Normal(0, 1)"}'
    return ModelSpec(
        written.text,
        family,
        link,
        dict(mapping_in(priors or {}, "priors", example)),
        counts,
        weights,
        dict(written.parts),
        limits=written.limits,
    )


def with_categories(spec: ModelSpec, used: pd.DataFrame) -> ModelSpec:
    """The specification with a part for each linear predictor that is of one category.

    Of a family by category that is one for each but the first, of the formula's terms; of effects
    by threshold one for each threshold. Any other specification is as it is. A prior of a term is
    that of the term in all of them, unless a category has its own.

    Parameters
    ----------
    spec : ModelSpec
    used : DataFrame
        The rows, as `model_frame` has them.

    Raises
    ------
    DataError
        If categories or a column have names by which parameters could not be told apart.
    """
    family = family_of(spec)
    several = [name for name in spec.parts if name in family.by_threshold]
    if not family.by_category and not several:
        return spec
    response, columns = formula_columns(spec.formula)
    categories = used[response].cat.categories.tolist()
    if family.by_category:
        return _of_several(spec, "", family.predictors(categories), columns)
    for name in several:
        spec = _of_several(spec, name, family.at_thresholds(name, categories), columns_of(spec))
    return spec


def _of_several(
    spec: ModelSpec, part: str, names: Sequence[str], columns: Sequence[str]
) -> ModelSpec:
    """The specification with these predictors in the place of a part; "" is the formula."""
    right = spec.parts[part] if part else spec.formula.partition("~")[2].strip()
    starts = tuple(f"{name}_" for name in names)
    for column in columns:
        if column.startswith(starts):
            raise DataError(
                "every fit has something of this name", hint="rename the column", column=column
            )
    if measured(spec.formula) and not part:
        raise DataError(
            f"family {spec.family!r} has no covariates measured with error",
            hint="give the column as it was measured",
        )
    for name in names:
        check_part(name, right)
    starts += tuple(f"cor|{one.shared}|" for one in group_parts(spec.formula) if one.shared)
    before = f"{part}_" if part else ""
    common = {
        term: text
        for term, text in spec.priors.items()
        if term.startswith(before) and not term.startswith(starts)
    }
    priors = {
        f"{name}_{term.removeprefix(before)}": text
        for name in names
        for term, text in common.items()
    }
    own = {term: text for term, text in spec.priors.items() if term not in common}
    parts = {name: text for name, text in spec.parts.items() if name != part}
    return replace(spec, priors=priors | own, parts=parts | dict.fromkeys(names, right))


def family_of(spec: ModelSpec) -> Family:
    """The response family of a specification, with its link.

    Raises
    ------
    DataError
        If there is no such family, or it has no such link.
    """
    return family_named(spec.family, spec.link)


def outcome_columns(spec: ModelSpec) -> tuple[str | float, ...]:
    """Columns of the response: one, or successes and trials (which may be a number)."""
    if family_of(spec).has_trials:
        return proportion(spec.formula)
    return (formula_columns(spec.formula)[0],)


def columns_of(spec: ModelSpec) -> list[str]:
    """Columns that the formula and its parts use, in order of appearance; the response is first.

    The column by which thresholds differ is among them.
    """
    found = list(formula_columns(spec.formula)[1])
    found += [] if spec.limits.group is None else [spec.limits.group]
    for name, right in spec.parts.items():
        found += formula_columns(f"{name} ~ {right}")[1][1:]
    return list(dict.fromkeys(found))


def data_columns_of(spec: ModelSpec) -> list[str]:
    """Those columns, and those of counts, weights and limits: all that a fit reads of data."""
    return list(dict.fromkeys([*columns_of(spec), *columns_of_rows(spec), *spec.limits.columns]))


def columns_of_rows(spec: ModelSpec) -> list[str]:
    """Columns that say what a row stands for."""
    named = (spec.counts, spec.weights, spec.rows)
    return list(dict.fromkeys(name for name in named if name is not None))


def population_columns_of(spec: ModelSpec) -> list[str]:
    """Those columns that occur in other terms than group terms, the response among them."""
    found = list(formula_columns(common_formula(spec.formula))[1])
    found += [] if spec.limits.group is None else [spec.limits.group]
    for name, right in spec.parts.items():
        found += formula_columns(common_formula(f"{name} ~ {right}"))[1][1:]
    return list(dict.fromkeys(found))


def check_parts(spec: ModelSpec) -> None:
    """Refuse parts of what is no parameter of the family, and priors that have no place then.

    Raises
    ------
    DataError
        With the parameters that may have a formula.
    """
    family = family_of(spec)
    response = formula_columns(spec.formula)[0]
    for name, right in spec.parts.items():
        if name not in family.with_formula:
            raise DataError(
                f"the family {family.name!r} has no parameter {name!r} that may have a formula",
                hint=family.no_formula(name),
            )
        check_part(name, right)
        if measured(f"{name} ~ {right}"):
            raise DataError(
                f"the formula of {name} has a covariate measured with error",
                hint="let the measurement itself enter there",
            )
        if response in formula_columns(f"{name} ~ {right}")[1]:
            raise DataError(
                f"the formula of {name} has the response among its terms",
                hint="leave it out there",
                column=response,
            )
        optional = name in family.optional
        if name in spec.priors:
            term = "race" if optional else "Intercept"
            raise DataError(
                f"a prior of {name!r}, which has a formula",
                hint=f'give those of its terms: {{"{name}_{term}": "Normal(0, 1)"}}',
            )
        for term in ("Intercept", *family.parameters) if optional else ():
            if f"{name}_{term}" in spec.priors:
                raise DataError(
                    f'a prior of "{name}_{term}", and the formula of {name} has no intercept',
                    hint=f"{name} is one where its effects are zero: give priors of these",
                )
        if optional and not set(formula_columns(f"{name} ~ {right}")[1]) - {name}:
            raise DataError(
                f"the formula of {name} has no term",
                hint=f"{name} is one without a formula: leave it out",
            )


# What formulas of R and brms have that are no columns, and how it is written here.
NO_COLUMN = {
    "Intercept": "the intercept is the term 1: y ~ 1 + x",
    **dict.fromkeys(("TRUE", "FALSE", "T", "F"), "write True or False"),
    "contr.sum": "write C(x, Sum)",
    "contr.helmert": "write C(x, Helmert)",
    "contr.treatment": "write C(x, Treatment)",
}


def model_frame(spec: ModelSpec, frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that the model uses, checked, with the response in the family's form.

    Raises
    ------
    DataError
        If the family is unknown, a column is missing or has missing values, or the response is
        not of the family's kind.
    """
    check_parts(spec)
    check_weights(spec)
    response, columns = formula_columns(spec.formula)[0], data_columns_of(spec)
    of_rows = columns_of_rows(spec)
    for name in columns:
        if name not in frame:
            raise DataError(
                f"the model uses {name!r}, but the data have only {', '.join(map(str, frame))}",
                hint=NO_COLUMN.get(name, "correct the name or add the column"),
                column=name,
            )
    outcome = outcome_columns(spec)
    frame = with_upper_ends(spec.limits, response, frame)
    _check_names(spec, frame, columns, {*outcome, *of_rows})
    if len(frame) == 1 and not set(columns) <= {*outcome, *of_rows}:
        raise DataError("one row", hint="give more: with one, no variable has an effect")
    found: dict[str, pd.Series] = {}
    stepped = {name for one in spec.formulas for name in stepped_columns(one)}
    for name in columns:
        values = frame[name].reset_index(drop=True)
        if name in of_rows:
            found[name] = typed(values, file="data")
        else:
            found[name] = canonical(values) if name not in outcome else _outcome(spec, values)
        _check_known(found[name], frame)
        if name not in spec.limits.bounds:  # a row without a bound has an infinite one
            _check_finite(found[name])
        if name in stepped:
            _check_ordered(values, found[name])
    # Each column has memory of its own, of which formulae and bambi make views. Columns that pandas
    # has put into one block would be copied by each of them: of many rows they fill the memory.
    own = {name: found.pop(name).copy() for name in list(found)}
    used = pd.DataFrame(own, index=pd.RangeIndex(len(frame)), copy=False)
    for name in of_rows:
        check_positive(used[name], whole=name != spec.weights)
    used[response] = response_in(spec, used)
    if spec.limits.of_rows:
        _check_limits(spec, used, response)
    check_measured(spec.formula, used, row_counts(spec, used))
    return used


def _check_limits(spec: ModelSpec, used: pd.DataFrame, response: str) -> None:
    """Refuse limits that are none, and columns of them that are used otherwise."""
    limits = spec.limits
    of_model = [*columns_of(spec), *columns_of_rows(spec)]
    otherwise: list[tuple[str | None, Sequence[str | None]]] = [
        (limits.status, [*of_model, limits.upper, *limits.bounds]),
        (limits.upper, of_model),
        *((one, [response]) for one in limits.bounds),
    ]
    for name, others in otherwise:
        if name is not None and name in others:
            raise DataError(
                "the column has limits of the response, and the model has it otherwise too",
                hint="leave it out there",
                column=name,
            )
    if spec.weights is not None:
        raise DataError(
            "rows that are censored or truncated have no weights",
            hint="leave weights=, or cens() and trunc(), out",
        )
    check_limits(limits, used, response, spec.family)


def limits_of_rows(spec: ModelSpec, frame: pd.DataFrame) -> RowLimits | None:
    """What is known of the responses of rows; None where each was observed, whatever it was.

    Raises
    ------
    DataError
        If the rows lack a column that says so.
    """
    if not spec.limits.of_rows:
        return None
    return row_limits(spec.limits, frame, formula_columns(spec.formula)[0])


def check_weights(spec: ModelSpec) -> None:
    """Refuse weights of rows that have no variance of their own, and thresholds of numbers.

    Raises
    ------
    DataError
        If the family is not Gaussian, or has no thresholds.
    """
    limits = spec.limits
    several = limits.thresholds is not None or limits.group is not None
    if several and not family_of(spec).has_thresholds:
        raise DataError(
            f"thres() is of ordered answers, and the family is {spec.family!r}",
            hint="leave thres() out, or choose an ordinal family",
        )
    if spec.weights is not None and not family_of(spec).normal:
        raise DataError(
            f"weights are the precisions of Gaussian rows, and the family is {spec.family!r}",
            hint="give counts= if a row stands for several equal observations",
        )


def response_in(spec: ModelSpec, used: pd.DataFrame) -> pd.Series:
    """The response (rows,) in the family's form, of a frame with all columns of it.

    Raises
    ------
    DataError
        If it is not of the family's kind, with the row.
    """
    trials = [
        used[n] if isinstance(n, str) else pd.Series(n, index=used.index)
        for n in outcome_columns(spec)[1:]
    ]
    response = used[formula_columns(spec.formula)[0]]
    return family_of(spec).validate_response(response, *trials)


def _check_names(
    spec: ModelSpec, frame: pd.DataFrame, columns: Sequence[str], outcome: Set[object]
) -> None:
    """Refuse columns that are there twice, or called as something that a fit has already."""
    family = family_of(spec)
    varied = set(population_columns_of(spec)) - set(outcome)
    of_parts = tuple(f"{name}_" for name in spec.parts)
    for name in columns:
        if list(frame.columns).count(name) > 1:
            raise DataError("two columns have this name", hint="rename one", column=name)
        if set(name) & set("/:`"):
            raise DataError("a column's name has a / , : or ` in it", hint="rename it", column=name)
        parts = {name.removesuffix(LEVELS), name.removesuffix("_dim")} - {name}
        own = RESERVED.union(family.parameters, spec.parts, {family.mean_name} & varied)
        own_name = name in own or name.startswith(of_parts)
        if (own_name and name not in outcome) or parts & set(columns):
            raise DataError(
                "every fit has something of this name", hint="rename the column", column=name
            )
        if name in OF_TABLES and name in varied:
            raise DataError(
                "every table of estimates has something of this name",
                hint="rename the column",
                column=name,
            )


def without_missing(spec: ModelSpec, frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """The rows without a missing value in the model's columns, and how many have one by column.

    A row that lacks several counts in each of them.

    Raises
    ------
    DataError
        If no row is left.
    """
    known = np.ones(len(frame), bool)
    lacking: dict[str, int] = {}
    filled = with_upper_ends(spec.limits, formula_columns(spec.formula)[0], frame)
    for name in data_columns_of(spec):
        if name in frame and list(frame.columns).count(name) == 1:
            own = canonical(filled[name].reset_index(drop=True)).isna().to_numpy()
            if own.any():
                lacking[name] = int(own.sum())
                known &= ~own
    if len(frame) and not known.any():
        told = ", ".join(f"{name} in {count:,}" for name, count in lacking.items())
        raise DataError(
            f"every row lacks a value ({told} of {len(frame):,} rows)",
            hint="fill in what is missing, or leave that column out of the formula",
        )
    return frame[known], lacking


def _check_known(values: pd.Series, frame: pd.DataFrame) -> None:
    """Refuse a column with missing values."""
    missing = values.isna().to_numpy()
    if not missing.any():
        return
    name = str(values.name)
    hint = f"leave those rows out with missing='drop', or fill {name!r} in"
    if {f"{name}_a", f"{name}_b"} <= set(frame):
        hint = (
            f"pairs whose members differ in {name!r} have none: leave them out with "
            f"subset=, or use both members' (a group term: mm({name}_a, {name}_b))"
        )
    written = frame[name].iloc[int(missing.argmax())]
    told = f", such as {written!r}" if isinstance(written, str) else ""
    raise missing_values(values, hint=hint, file="data", told=told)


def missing_values(values: pd.Series, *, hint: str, file: str, told: str = "") -> DataError:
    """The error of a column with missing values, at the first; ``told`` ends what is wrong."""
    missing = values.isna().to_numpy()
    return DataError(
        f"missing in {int(missing.sum()):,} of {len(values):,} rows{told}",
        hint=hint,
        file=file,
        column=str(values.name),
        row=int(missing.argmax()) + 1,
    )


def _check_ordered(values: pd.Series, known: pd.Series) -> None:
    """Refuse a monotone effect of texts in no order, or of too many or too few levels."""
    if known.dtype.kind not in "iuf" and not getattr(values.dtype, "ordered", False):
        raise DataError(
            "its levels are in no order, which a monotone effect needs",
            hint="make it an ordered categorical, pd.Categorical(column, ['low', 'high'], "
            "ordered=True), or whole numbers",
            file="data",
            column=str(values.name),
        )
    if not 2 <= (many := known.nunique()) <= MAX_STEPPED:
        raise DataError(
            f"it has {many:,} levels; a monotone effect is of 2 to {MAX_STEPPED}",
            hint="leave it out"
            if many < 2
            else "round it to fewer, or let it enter as a number or a smooth term",
            file="data",
            column=str(values.name),
        )


def _check_finite(values: pd.Series) -> None:
    """Refuse numbers that are infinite, or whose squares would be."""
    if values.dtype.kind not in "iuf" or not len(values):
        return
    found = values.to_numpy(float)
    if not np.isfinite(found).all():
        row = int(np.argmin(np.isfinite(found)))
        raise DataError(
            "not finite", hint="correct it", file="data", column=str(values.name), row=row + 1
        )
    if np.abs(found).max() > MAX_NUMBER:
        raise DataError(
            f"holds numbers beyond {MAX_NUMBER:g}",
            hint="change its unit",
            file="data",
            column=str(values.name),
        )


def _outcome(spec: ModelSpec, values: pd.Series) -> pd.Series:
    """A response as numbers where it is numbers or true and false; else as a factor.

    Ordered categories keep their values where those are whole numbers.
    """
    if spec.limits.thresholds is not None:
        return _answers(spec.limits.thresholds, values)
    if isinstance(values.dtype, pd.CategoricalDtype) and values.cat.categories.dtype.kind in "iu":
        return values.cat.remove_unused_categories()
    known = typed(values, file="data")
    if types.is_bool_dtype(known.dtype):
        return known.astype("Int64" if known.isna().any() else "int64")
    found = canonical(known)
    if isinstance(found.dtype, pd.CategoricalDtype) and not getattr(known.dtype, "ordered", False):
        return found.cat.as_unordered()
    return found


def _answers(thresholds: int, values: pd.Series) -> pd.Series:
    """Ordered answers with all categories of their scale, those that nobody chose too.

    Raises
    ------
    DataError
        If they are none of a scale with so many thresholds.
    """
    whole = list(range(1, thresholds + 2))
    if getattr(values.dtype, "ordered", False):
        declared = values.cat.categories
        if len(declared) != thresholds + 1:
            raise DataError(
                f"{len(declared)} categories, and thres({thresholds}) says {thresholds + 1}",
                hint="correct the number, or declare all categories of the scale: "
                "pd.Categorical(column, [...], ordered=True)",
                column=str(values.name),
            )
        if declared.dtype.kind in "iu":
            return values
        one_each = pd.Series(pd.Categorical(declared, declared, ordered=True), name=values.name)
        return values.cat.rename_categories(canonical(one_each).cat.categories.tolist())
    known = pd.to_numeric(typed(values, file="data").astype(object), errors="coerce")
    bad = (values.notna() & ~known.isin(whole)).to_numpy()
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{shown(values.iloc[row])} is no answer from 1 to {thresholds + 1}, the scale of "
            f"thres({thresholds})",
            hint="of a scale of other numbers or words give an ordered categorical with all of its "
            "categories: pd.Categorical(column, [...], ordered=True)",
            file="data",
            column=str(values.name),
            row=row + 1,
        )
    return known.astype("Int64").astype(pd.CategoricalDtype(whole, ordered=True))


def check_positive(values: pd.Series, *, whole: bool, file: str = "data") -> None:
    """Refuse a column of counts or weights that has others than positive (whole) numbers."""
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(float)
    bad = ~(numbers > 0) | (whole & (numbers % 1 != 0))
    if not pd.api.types.is_numeric_dtype(values):
        bad |= True
    if bad.any():
        what = "a positive whole number" if whole else "a positive number"
        raise at_first(
            bad,
            f"{shown(values.iloc[int(bad.argmax())])} is not {what}",
            hint="leave out rows that stand for nothing, and correct the others",
            file=file,
            column=str(values.name),
        )


def row_counts(spec: ModelSpec, used: pd.DataFrame) -> np.ndarray:
    """Number of observations (rows,) that each row stands for."""
    return np.ones(len(used)) if spec.counts is None else used[spec.counts].to_numpy(float)


def row_repeats(spec: ModelSpec, used: pd.DataFrame) -> np.ndarray | None:
    """Number of rows of the data (rows,) that each row stands for; None where each is one."""
    return None if spec.rows is None else used[spec.rows].to_numpy(float)


def number_of_rows(spec: ModelSpec, used: pd.DataFrame) -> int:
    """Number of rows of the data that the rows of a fit stand for."""
    return len(used) if spec.rows is None else int(used[spec.rows].sum())


def trials_of(spec: ModelSpec, frame: pd.DataFrame) -> np.ndarray | None:
    """Number of trials (rows,) of a binomial model; None for any other."""
    if not family_of(spec).has_trials:
        return None
    trials = proportion(spec.formula)[1]
    many = frame[trials] if isinstance(trials, str) else trials
    return np.broadcast_to(np.asarray(many, float), len(frame))


def observations_of(spec: ModelSpec, used: pd.DataFrame) -> np.ndarray:
    """Observations (rows,) that each row stands for: a binomial row is one for each trial.

    An average over them is the same whether answers were written one a row or counted by cell.
    """
    trials = trials_of(spec, used)
    counts = row_counts(spec, used)
    return counts if trials is None else counts * trials


def row_precisions(spec: ModelSpec, used: pd.DataFrame) -> np.ndarray | None:
    """Precision (rows,) of each row, None where all are one."""
    return None if spec.weights is None else used[spec.weights].to_numpy(float)
