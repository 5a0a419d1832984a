"""A model as plain arrays for the engines, and an engine's draws under bambi's names."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import bambi as bmb
import numpy as np
import pandas as pd

from causalbias.errors import DataError
from causalbias.inference.problem import EngineError, FloatArray, GroupTerm, Predictor, Problem
from causalbias.models.columns import average, of_rows, side_by_side, spread
from causalbias.models.fitted import ModelDesign, PartDesign
from causalbias.models.group_design import GroupDesign
from causalbias.models.monotone import SHARES, Monotone, is_monotone, monotone_of
from causalbias.models.priors import by_term, log_density, parse_lkj, parse_prior, scaled_prior
from causalbias.models.shared_effects import Shared
from causalbias.models.shrinkage import SHRINKAGE, Shrinkage
from causalbias.models.smooth_design import SmoothDesign
from causalbias.models.specification import ModelSpec, row_counts, row_precisions, row_repeats


@dataclass(frozen=True)
class Arrays:
    """A model for an engine.

    Attributes
    ----------
    problem : Problem
        Columns of the design centred where there is an intercept, as in bambi, whose prior is on
        the intercept of centred data. One term for each of `designs`, under its name.
    centre : ndarray (p,)
        What was subtracted from each column.
    designs : dict of str to GroupDesign
    sd_priors : dict of str to tuple of bambi Prior
        Of the standard deviations of each term's effects in `problem`. Defaults are about centred
        columns: an intercept's at the mean of the slopes' columns, as bambi's prior of the
        population's intercept is.
    bases : dict of str to ndarray (k, k)
        By term, the T of `GroupDesign.centring`: its columns in `problem` are those of the design
        times T, and T u are the effects that belong to effects u of the problem.
    parts : dict of str to Arrays
        Of each parameter that differs by row, as of a mean; `problem.further` has their predictors.
        Terms have the parameter's name before their own, ``"sigma_1|seed"``.
    shrinkage : Shrinkage, optional
        Of the coefficients that are shrunk together, where there are such.
    monotone : dict of str to Monotone
        The monotone effects, by term.
    shared : tuple of SharedTerms
        The terms whose effects are correlated across predictors.
    """

    problem: Problem
    centre: FloatArray
    designs: dict[str, GroupDesign]
    sd_priors: dict[str, tuple[bmb.Prior, ...]]
    bases: dict[str, FloatArray]
    parts: "dict[str, Arrays]"
    shrinkage: Shrinkage | None
    monotone: dict[str, Monotone]
    shared: tuple["SharedTerms", ...] = ()

    @property
    def every_basis(self) -> dict[str, FloatArray]:
        """`bases` of this and of all parts: names of terms differ."""
        return self.bases | {
            k: one for part in self.parts.values() for k, one in part.bases.items()
        }


@dataclass(frozen=True)
class SharedTerms:
    """Terms of the problem and its parts whose effects have one correlation matrix.

    Attributes
    ----------
    shared : Shared
    terms : dict of str to str
        By term, the predictor that it is of, in the order of `shared`.
    lkj_eta : float
        Shape of the prior of the correlation matrix.
    """

    shared: Shared
    terms: dict[str, str]
    lkj_eta: float

    def own(self, term: str) -> slice:
        """Which of the effects are those of a term."""
        return self.shared.slices[self.terms[term]]


def arrays_of(
    model: ModelDesign,
    *,
    normal: bool = True,
    limited: bool = False,
) -> Arrays:
    """The arrays of a model.

    Parameters
    ----------
    model : ModelDesign
    normal : bool
        Whether to insist on priors of coefficients that are Normal or flat, and on rows that were
        observed. Where not, the moments of priors that are neither are NaN.
    limited : bool
        Whether rows may be censored or truncated all the same.

    Raises
    ------
    EngineError
        If the model has priors that no engine honours exactly.
    DataError
        If a prior is for a group term that the formula has not.
    """
    spec, used, bambi, repeats = model.spec, model.frame, model.bambi, model.repeats
    if normal and not limited and spec.limits.of_rows:
        what = "truncated" if spec.limits.status is None else f"censored ({spec.limits.status})"
        raise EngineError(f"rows are {what}")
    if model.measured and normal:
        raise EngineError(f"there are covariates measured with error ({model.measured[0].name})")
    if normal and model.shared:
        raise EngineError(f"effects are correlated across formulas ({model.shared[0].name})")
    component = bambi.parameters[bambi.family.likelihood.parent]
    columns, means, sds = [], [np.empty(0)], [np.empty(0)]
    stepped = {name for name, term in model.common_terms.items() if is_monotone(term)}
    for name, term in model.coefficient_terms.items():
        data = np.asarray(term.data, np.float64).reshape(len(used), -1)
        prior = bmb.Prior("Monotone") if name in stepped else term.prior
        mean, sd = _normal_prior(prior, data.shape[1], name, normal)
        columns.append(data)
        means.append(mean)
        sds.append(sd)
    centred = component.intercept_term is not None and bambi.center_predictors
    design, centre, averages = _design_of(columns, len(used), repeats, centred=centred)
    beta_sd = np.concatenate(sds)
    response = model.response_values
    beside = model.family.beside(response, model.offset)
    size = model.family.units(of_rows(beside, repeats))[1]
    first = int(component.intercept_term is not None)
    level_sd = _intercept_scale(averages[first:], beta_sd[first:], size)
    designs = {_engine_name(model, one): one for one in (*model.groups, *model.smooths)}
    names = [name for one in designs.values() for name in one.names()]
    several = {id(one) for own in model.shared for one in own.designs.values()}
    names += [d.correlation for d in designs.values() if d.correlation and id(d) not in several]
    names += [one.correlation for one in model.shared]
    spec = replace(spec, priors=by_term(spec.priors, names))
    _check_priors(spec.mean, names)
    parts = {name: arrays_of(one, normal=normal) for name, one in model.parts.items()}
    bases = {name: _basis(one, spec, used) for name, one in designs.items()}
    sd_priors = {
        name: _sd_priors(one, spec, used, size, level_sd, bases[name])
        for name, one in designs.items()
    }
    problem = Problem(
        y=response,
        design=design,
        beta_mean=np.concatenate(means),
        beta_sd=beta_sd,
        terms=tuple(
            _group_term(name, one, spec, used, sd_priors[name], bases[name])
            for name, one in designs.items()
        ),
        row_weight=row_counts(spec, used),
        row_precision=row_precisions(spec, used),
        further=tuple(_predictor(name, one.problem) for name, one in parts.items()),
        offset=model.offset if model.has_offset else None,
        row_repeats=repeats,
    )
    shrinkage, monotone = _shrinkage(model, size), _monotone(model, size)
    found = Arrays(problem, centre, designs, sd_priors, bases, parts, shrinkage, monotone)
    return replace(found, shared=tuple(_shared(one, found, spec) for one in model.shared))


def _design_of(
    columns: Sequence[FloatArray], rows: int, repeats: FloatArray | None, *, centred: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The design (rows, p), what was subtracted from its columns (p,), and their averages (p,).

    It is filled term by term, since it may take a good part of the memory.
    """
    means = [average(side_by_side([one], rows), repeats) for one in columns]
    averages = np.concatenate([np.empty(0), *means])
    centre = np.zeros(len(averages))
    if centred:
        centre[1:] = averages[1:]
    design, at = np.empty((rows, len(centre))), 0
    for one in columns:
        here = slice(at, at + one.shape[1])
        np.subtract(one, centre[here], out=design[:, here])
        at = here.stop
    return design, centre, averages


def _shared(shared: Shared, arrays: Arrays, spec: ModelSpec) -> SharedTerms:
    terms = {}
    for predictor, design in shared.designs.items():
        own = arrays.parts[predictor] if predictor else arrays
        (term,) = (name for name, one in own.designs.items() if one is design)
        terms[term] = predictor
        within = f"{predictor}_{design.correlation}" if predictor else design.correlation
        if design.correlation and within in spec.priors:
            raise DataError(
                f"a prior for {within!r}, and its effects are correlated with others'",
                hint=f"give one for {shared.correlation!r}: the correlations have one matrix",
            )
    prior = spec.priors.get(shared.correlation, "LKJ(1)")
    return SharedTerms(shared, terms, parse_lkj(prior, shared.correlation))


def _monotone(model: ModelDesign, size: float) -> dict[str, Monotone]:
    """The monotone effects of a model; by default as `size` is the response's spread.

    An average step has the default prior of a coefficient of the level's number: Normal of
    ``2.5 size / sd`` of that number, times what it is multiplied with.
    """
    terms = model.common_terms
    known = {name: one for name, one in model.coefficient_terms.items() if is_monotone(terms[name])}
    if not known:
        return {}
    rows = len(model.frame)
    data = {name: np.asarray(one.data, float).reshape(rows, -1) for name, one in known.items()}
    given = by_term(model.spec.priors, [f"{SHARES}{name}" for name in known])
    priors = {name: one.prior for name, one in known.items()}
    sizes = {name: one.shape[1] for name, one in data.items()}
    own = {name: terms[name] for name in known}
    found = monotone_of(own, sizes, priors, given)
    for name, one in found.items():
        if one.prior.auto_scale:
            wide = [float(spread(data[name][:, at].sum(axis=1), model.repeats)) for at in one.at]
            sd = 2.5 * size / np.where(np.array(wide) > 0, wide, 1.0)
            prior = bmb.Prior("Normal", auto_scale=False, mu=0.0, sigma=sd)
            found[name] = replace(one, prior=prior)
    return found


def _shrinkage(model: ModelDesign, size: float) -> Shrinkage | None:
    """The prior of those coefficients that are shrunk together; None where none is."""
    own = {n: one for n, one in model.coefficient_terms.items() if one.prior.name in SHRINKAGE}
    if not own:
        return None
    rows, family = len(model.frame), model.family
    data = {name: np.asarray(one.data, float).reshape(rows, -1) for name, one in own.items()}
    of_noise = not isinstance(model, PartDesign) and family.link.name == "identity"
    return Shrinkage(
        prior=next(iter(own.values())).prior,
        spreads={name: np.asarray(spread(one, model.repeats)) for name, one in data.items()},
        unit=size,
        of_noise=of_noise and "sigma" in set(family.parameters) - set(model.parts),
    )


def _predictor(name: str, part: Problem) -> Predictor:
    return Predictor(name, part.design, part.beta_mean, part.beta_sd, part.terms)


def _engine_name(model: ModelDesign, design: GroupDesign) -> str:
    of_part = f"{model.name}_" if isinstance(model, PartDesign) else ""
    first = f"{next(iter(design.effects))}|{design.factor}"
    number = design.terms[0].removeprefix(first)  # "#2", where an earlier term has the same effect
    return of_part + " + ".join(design.effects) + "|" + design.factor + number


def _check_priors(spec: ModelSpec, known: Sequence[str]) -> None:
    for term in spec.priors:
        if "|" in term and term not in known:
            raise DataError(
                f"a prior for {term!r}, which is not a term of the formula",
                hint=f"use one of {', '.join(known)}" if known else "leave it out",
            )


def _intercept_scale(means: FloatArray, beta_sd: FloatArray, size: float) -> float:
    """Default scale of the sd of a level's intercept: that of bambi's prior on the intercept.

    ``sqrt((2.5 s)^2 + sum_j (prior sd_j * mean of column j)^2)``, s the response's sd (Gaussian) or
    one: bambi's `PriorScaler.get_intercept_stats`, after rstanarm.
    """
    proper = np.where(np.isfinite(beta_sd), beta_sd, 0.0)
    return float(np.sqrt((2.5 * size) ** 2 + np.sum((proper * means) ** 2)))


def _basis(design: GroupDesign, spec: ModelSpec, used: pd.DataFrame) -> FloatArray:
    """The basis of a term's columns: centred, unless that changes what a given prior is about."""
    repeats = row_repeats(spec, used)
    basis = design.centring(used, repeats=repeats)
    mixed = np.count_nonzero(basis, axis=1) > 1
    at = 0
    for name, size in zip(design.names(), design.sizes(), strict=True):
        if name in spec.priors and mixed[at : at + size].any():
            return design.centring(used, centre=False, repeats=repeats)
        at += size
    return basis


def _sd_priors(
    design: GroupDesign,
    spec: ModelSpec,
    used: pd.DataFrame,
    size: float,
    level_sd: float,
    basis: FloatArray,
) -> tuple[bmb.Prior, ...]:
    own, repeats = design.own_rows(used), row_repeats(spec, used)
    columns = (design.columns(used) @ basis)[own]
    often = None if repeats is None else repeats[own]
    mixed = np.count_nonzero(basis, axis=1) > 1
    priors: list[bmb.Prior] = []
    for name, effect, many in zip(design.names(), design.effects, design.sizes(), strict=True):
        for _ in range(many):
            at = len(priors)
            # At the mean of the slopes' columns an intercept's scale is that of the response, and
            # so is a curve's about its straight line.
            plain = mixed[at] or isinstance(design, SmoothDesign)
            scale = 2.5 * size if plain else level_sd
            if effect != "1":
                scale = 2.5 * size * basis[at, at] / (float(spread(columns[:, at], often)) or 1.0)
            prior = bmb.Prior("HalfNormal", sigma=scale)
            if name in spec.priors:
                prior = parse_prior(spec.priors[name], name).args["sigma"]
            priors.append(scaled_prior(prior, 1 / float(basis[at, at])))
    return tuple(priors)


def _group_term(
    name: str,
    design: GroupDesign,
    spec: ModelSpec,
    used: pd.DataFrame,
    sd_priors: tuple[bmb.Prior, ...],
    basis: FloatArray,
) -> GroupTerm:
    codes = design.codes(used)
    labels = [
        effect if label is None else f"{effect}[{label}]"
        for effect, of_effect in design.effects.items()
        for label in of_effect or (None,)
    ]
    return GroupTerm(
        name=name,
        coefficients=tuple(labels),
        columns=design.columns(used) @ basis,
        codes=codes,
        weights=design.shares(used),
        n_levels=len(design.levels),
        correlated=design.correlated and len(labels) > 1,
        sd_log_prior=tuple(log_density(prior, name) for prior in sd_priors),
        lkj_eta=parse_lkj(spec.priors.get(design.correlation, "LKJ(1)"), design.correlation),
    )


def _normal_prior(
    prior: bmb.Prior, size: int, name: str, normal: bool
) -> tuple[FloatArray, FloatArray]:
    if prior.name == "Flat":
        return np.zeros(size), np.full(size, np.inf)
    if prior.name != "Normal":
        if not normal:
            return np.full(size, np.nan), np.full(size, np.nan)
        raise EngineError(f"the prior of {name!r} is {prior.name}; it needs Normal or Flat")
    arguments = prior.args
    return (
        np.broadcast_to(np.ravel(arguments["mu"]), size).astype(float),
        np.broadcast_to(np.ravel(arguments["sigma"]), size).astype(float),
    )
