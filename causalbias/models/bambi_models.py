"""The bambi model that a specification stands for: terms, aliases left out, default priors.

The engines' designs are read from it; group terms are made elsewhere, bambi's being dense.
"""

import warnings
from collections.abc import Mapping
from itertools import chain
from typing import Any

import bambi as bmb
import formulae as fm
import numpy as np
import pandas as pd

from causalbias.errors import DataError
from causalbias.models.centring import widen_margins
from causalbias.models.column_priors import (
    check_known_terms,
    coefficient_terms,
    of_class_b,
    of_one_column,
    set_columns,
)
from causalbias.models.columns import average, spread
from causalbias.models.default_priors import bambi_family, scale_priors
from causalbias.models.estimable import estimable
from causalbias.models.evaluation import forget_rows, portable, without_slashes
from causalbias.models.formula.contrasts import NAMESPACE, OWN
from causalbias.models.formula.group_terms import common_formula, group_parts
from causalbias.models.formula.parse import (
    as_written,
    building,
    flat_formula,
    one_level,
)
from causalbias.models.formula.smooths import smooths
from causalbias.models.formula.steps import check_products
from causalbias.models.group_design import check_labels
from causalbias.models.measured import names_of_true_values
from causalbias.models.monotone import SHARES, is_monotone
from causalbias.models.priors import by_term, parse_priors
from causalbias.models.shrinkage import SHRINKAGE, check_shrinkage
from causalbias.models.specification import (
    ModelSpec,
    family_of,
    population_columns_of,
    row_repeats,
)
from causalbias.study.columns import check_groups


def bambi_model(spec: ModelSpec, used: pd.DataFrame) -> bmb.Model:
    """The bambi model of a specification and the frame that `model_frame` gave.

    It is no engine's: bambi judges others by it in the tests. One bar means two to bambi.

    Raises
    ------
    DataError
        If bambi cannot make a model of it, with its reason.
    """
    parts = group_parts(spec.formula)
    if any(one.columns or one.shared for one in parts) or smooths(spec.formula):
        raise DataError("bambi has no mm(), gr(by=), s() and (1|p|g)", hint="leave them out")
    groups = [f" + ({one.effects}|{one.factor})" for one in parts]
    return _bambi(spec, "".join(groups), dict(spec.priors), used)


def common_model(spec: ModelSpec, used: pd.DataFrame) -> bmb.Model:
    """The bambi model without its group terms, which bambi would expand into dense indicators.

    Raises
    ------
    DataError
        If bambi cannot make a model of it, with its reason.
    """
    priors = {term: text for term, text in spec.priors.items() if "|" not in term}
    model = _bambi(spec, "", priors, used)
    design = model.parameters[model.family.likelihood.parent].design.common
    if design is not None:
        _forget_matrix(design)
    return model


def _forget_matrix(design: Any) -> None:
    """Let go of a design's columns side by side, in place: its terms have them."""
    design.design_matrix = design.design_matrix[:1].copy()


def _bambi(spec: ModelSpec, groups: str, priors: dict[str, str], used: pd.DataFrame) -> bmb.Model:
    """The model, without columns that the rows do not tell from others (see `estimable`).

    ``groups``: group terms, to be added to the population's.
    """
    family = family_of(spec)
    ordinal = not family.has_intercept
    with building(spec.formula, used):
        formula = flat_formula(common_formula(spec.formula))
        check_products(formula)
    with building(spec.formula, used), np.errstate(all="ignore"):
        made = fm.design_matrices(
            formula + (" + 1" if ordinal else ""),
            used,
            "error",
            0,
            NAMESPACE,
        )
    common = made.common
    if common is not None:
        _forget_matrix(common)
    if not ordinal and (common is None or not common.terms):
        raise DataError(
            f"{spec.formula!r} has no term of the population",
            hint="write 1 for its mean: response ~ 1 + (1|group)",
        )
    _check_computed(made.response.name, made.response.design_matrix, used)
    _check_terms(common, used)
    for name in population_columns_of(spec):
        if name in used and isinstance(used[name].dtype, pd.CategoricalDtype):
            check_groups(used[name], file="data")
    terms = {} if common is None else common.terms
    written = of_class_b(by_term(priors, list(terms)), terms)
    stepped = [name for name, term in terms.items() if is_monotone(term)]
    shares = [f"{SHARES}{name}" for name in stepped]
    priors, of_columns = of_one_column(written, terms)
    apart = [*shares, *chain(*names_of_true_values(spec.formula))]  # priors of no coefficient
    priors = by_term(priors, [*terms, *apart])
    check_known_terms(priors, [*terms, *family.parameters, *apart])
    priors = {name: text for name, text in priors.items() if name not in apart}
    telling, shrunk = _telling(spec, priors)
    telling |= set(stepped)  # the shares of their steps have a prior
    check_shrinkage(shrunk, [one for one in coefficient_terms(terms) if one not in stepped])
    told = estimable(common, telling, of_spread=shrunk)
    bases = _of_terms_left(_of_bases(spec, common, used), common, told.kept)
    if common is not None:
        forget_rows(common, used)
    formula += groups + _minus(common, told.kept)
    priors = _of_terms_left(priors, common, told.kept)
    if told.kept.all():
        model = _made(spec, formula, priors, bases, used)
    else:
        model = _without_aliases(spec, formula, priors, bases, used, rounds=len(told.kept) + 1)
    model.estimable = told
    widen_margins(model, priors, row_repeats(spec, used))
    set_columns(model, of_columns)
    _without_slashes(model, common)
    if family.has_thresholds and "threshold" not in priors:
        _widen_thresholds(model, row_repeats(spec, used))
    return model


def _telling(spec: ModelSpec, priors: Mapping[str, str]) -> tuple[set[str], dict[str, bmb.Prior]]:
    """Terms with a prior that tells of them where the data do not: any but a flat one.

    And the priors of those of them that are shrunk together, in units of columns' spread.
    """
    read = parse_priors(priors, family_of(spec).positive)
    telling = {term for term, prior in read.items() if prior.name != "Flat"}
    return telling, {term: prior for term, prior in read.items() if prior.name in SHRINKAGE}


def _without_aliases(
    spec: ModelSpec,
    formula: str,
    priors: dict[str, str],
    bases: dict[str, bmb.Prior],
    used: pd.DataFrame,
    *,
    rounds: int,
) -> bmb.Model:
    """The model of a formula without the columns that its own rows do not tell from others.

    Without a term, formulae may code others otherwise: as many columns, or more. So a model is
    made and looked at until no whole term has to go. ``bases``: as `_of_bases`.

    Raises
    ------
    DataError
        If whole terms still have to go after `rounds`, more than there are terms.
    """
    ordinal = not family_of(spec).has_intercept
    for _ in range(rounds):
        model = _made(spec, formula, priors, bases, used)
        fitted = model.parameters[model.family.likelihood.parent].design.common
        telling, shrunk = _telling(spec, priors)
        telling |= {name for name, term in fitted.terms.items() if is_monotone(term)}
        told = estimable(fitted, telling, cuts=ordinal, of_spread=shrunk)
        kept = told.kept[int(ordinal) :]
        if not (more := _minus(fitted, kept)):
            _leave_out(model, kept)
            # of the columns that are left
            scale_priors(model, family_of(spec), row_repeats(spec, used))
            return model
        formula += more
        priors = _of_terms_left(priors, fitted, kept)
        bases = _of_terms_left(bases, fitted, kept)
    raise DataError(
        f"{spec.formula!r} has columns that the rows do not tell from others, and no formula "
        "without them was found",
        hint="leave out terms that follow from others, or interactions whose cells are empty",
    )


def _made(
    spec: ModelSpec,
    formula: str,
    priors: dict[str, str],
    bases: dict[str, bmb.Prior],
    used: pd.DataFrame,
) -> bmb.Model:
    family = family_of(spec)
    given = parse_priors(priors, family.positive, family.probabilities)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("error", UserWarning)  # e.g. a prior for a term that is not there
        # bambi says so on every ordinal model; the thresholds stand for the intercept.
        warnings.filterwarnings("ignore", "The intercept is omitted in ordinal families")
        with building(spec.formula, used):
            model = bmb.Model(
                formula,
                used,
                family=bambi_family(family),
                link=family.link.name,  # bambi's own default may be another
                priors=(bases | given) or None,
                extra_namespace=dict(OWN),
            )
    scale_priors(model, family, row_repeats(spec, used))
    if family.by_category:  # of the family that bambi has in its place
        del model.parameters["threshold"]
    return model


def _of_bases(spec: ModelSpec, common: Any, used: pd.DataFrame) -> dict[str, bmb.Prior]:
    """Default priors of bs() and poly() in binary models, at which bambi's own scaling fails.

    Those that bambi means: Normal of sd 1 / sd of the column.
    """
    if not family_of(spec).binary or common is None:
        return {}
    repeats = row_repeats(spec, used)
    with np.errstate(all="ignore"):  # a column may be constant
        return {
            name: bmb.Prior(
                "Normal", auto_scale=False, mu=0.0, sigma=1 / spread(np.asarray(term.data), repeats)
            )
            for name, term in common.terms.items()
            if term.kind == "numeric" and np.ndim(term.data) == 2 and term.data.shape[1] > 1
        }


def _check_terms(common: Any, used: pd.DataFrame) -> None:
    """Refuse terms without columns, that are not finite, or whose labels do not tell columns."""
    for name, term in {} if common is None else common.terms.items():
        if name == "Intercept":
            continue
        if not np.size(term.data):
            raise one_level(name, used)
        _check_computed(name, term.data, used)
        if term.kind != "offset" and term.levels:
            check_labels(np.asarray(term.levels).astype(str), name)


def _check_computed(name: str, values: Any, used: pd.DataFrame) -> None:
    """Refuse what a formula computes of columns where it is not finite, as the log of zero."""
    found = np.asarray(values)
    if found.dtype.kind not in "biuf" or found.shape[:1] != (len(used),):
        return  # categories, or an offset that is a number
    bad = ~np.isfinite(found.astype(float)).reshape(len(used), -1).all(axis=1)
    if bad.any():
        raise DataError(
            f"{name} is not finite in {int(bad.sum()):,} of {len(used):,} rows",
            hint="leave those rows out with subset=, or compute it as a column",
            file="data",
            column=name,
            row=int(bad.argmax()) + 1,
        )


def _minus(common: Any, kept: np.ndarray) -> str:
    """What takes the terms out of a formula that have no column kept."""
    gone = _gone(common, kept)
    return "".join(" - " + as_written(common.terms[name], set(common.data)) for name in gone)


def _of_terms_left[T](priors: dict[str, T], common: Any, kept: np.ndarray) -> dict[str, T]:
    """The priors but those of terms that have no column kept."""
    gone = _gone(common, kept)
    return {term: prior for term, prior in priors.items() if term not in gone}


def _gone(common: Any, kept: np.ndarray) -> list[str]:
    """Terms that have no column kept."""
    found, at = [], 0
    for name, term in ({} if common is None else common.terms).items():
        if term.kind == "offset":
            continue
        size = int(np.size(term.data) // len(term.data))
        if not kept[at : at + size].any():
            found.append(name)
        at += size
    return found


class _Part(bmb.terms.CommonTerm):
    """A term with some of its columns."""

    def __init__(self, term: Any, kept: np.ndarray) -> None:
        self.__dict__.update(term.__dict__)
        self.data = term.data[:, kept]
        self._coords = {
            dim: [label for label, one in zip(labels, kept, strict=True) if one]
            for dim, labels in term.coords.items()
        }
        if not term.prior.auto_scale:  # with a number for each column: see `_of_bases`
            args = {
                name: value[kept] if np.shape(value) == kept.shape else value
                for name, value in term.prior.args.items()
            }
            self.prior = bmb.Prior(term.prior.name, auto_scale=False, **args)

    @property
    def coords(self) -> dict[str, list[Any]]:
        """Labels of the columns."""
        return dict(self._coords)


def _leave_out(model: bmb.Model, kept: np.ndarray) -> None:
    """Take the columns that are not kept out of a model's terms, none of which is whole."""
    component = model.parameters[model.family.likelihood.parent]
    at = 0
    for name, term in component.design.common.terms.items() if len(kept) else ():
        if term.kind == "offset":
            continue
        size = int(np.size(term.data) // len(term.data))
        if not kept[at : at + size].all():
            component.terms[name] = _Part(component.terms[name], kept[at : at + size])
        at += size
    model.kept = kept


def _without_slashes(model: bmb.Model, common: Any) -> None:
    """Write divisions in the names of a model's terms as ÷."""
    component = model.parameters[model.family.likelihood.parent]
    for design in (common, component.design.common):
        if design is not None:
            without_slashes(design)
    component.terms = {portable(name): term for name, term in component.terms.items()}


def _widen_thresholds(model: bmb.Model, repeats: np.ndarray | None) -> None:
    """Give thresholds the default scale that an intercept has: they stand in its place.

    bambi's default sd of 1 is of thresholds where all predictors are zero. Away from there, and
    where most answers are of one kind, it overrules a thousand of them. The intercept's default,
    after rstanarm, is ``sqrt(2.5^2 + sum_j (prior sd_j * mean of column j)^2)``. ``repeats``
    (rows,): how often each row counts; once by default.
    """
    total = 2.5**2 + _squares_at_means(model, repeats)
    model.parameters["threshold"].prior.update(sigma=np.sqrt(total))


def widen_further(model: bmb.Model, own: bmb.Model, repeats: np.ndarray | None) -> None:
    """Widen default priors of thresholds by the effects that each has of its own; in place.

    ``own``: the model of these effects.
    """
    prior = model.parameters["threshold"].prior
    total = np.square(prior.args["sigma"]) + _squares_at_means(own, repeats)
    prior.update(sigma=np.sqrt(total))


def _squares_at_means(model: bmb.Model, repeats: np.ndarray | None) -> float:
    """``sum_j (prior sd_j * mean of column j)^2`` of the terms of the population."""
    total = 0.0
    for term in model.parameters[model.family.likelihood.parent].common_terms.values():
        data = np.asarray(term.data, float).reshape(len(term.data), -1)
        if term.prior.name == "Normal":
            means = average(data, repeats)
            total += float(np.square(np.asarray(term.prior.args["sigma"]) * means).sum())
        elif term.prior.name in SHRINKAGE:  # as by default: what it shrinks may be as large
            total += float(np.square(2.5 * average(data, repeats) / spread(data, repeats)).sum())
    return total
