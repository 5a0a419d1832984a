"""The PyMC model that NUTS samples: a problem's coefficients and effects, bambi's likelihood."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bambi as bmb
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from bambi.backend.model_components import (
    ConstantComponent,
    DistributionalComponent,
    ResponseComponent,
)
from bambi.backend.pymc import PyMCModel
from pymc.distributions.transforms import ordered

from causalbias.inference.problem import FloatArray, GroupTerm, Problem
from causalbias.models.arrays import Arrays, SharedTerms
from causalbias.models.fitted import ModelDesign
from causalbias.models.limits import limit_rows
from causalbias.models.measured import MEAN, SPREAD, TRUE
from causalbias.models.naming import Variable
from causalbias.models.priors import prior_of_set
from causalbias.models.shrinkage import HYPERPARAMETERS
from causalbias.models.specification import limits_of_rows
from causalbias.models.thresholds import BEYOND, ThresholdSets, slices

LARGE = 10.0  # of a column's values


@dataclass(frozen=True)
class NutsDraws:
    """Draws in the problem's coordinates, as `name_draws` takes them."""

    beta: FloatArray
    sd: dict[str, FloatArray]
    corr: dict[str, FloatArray]
    effects: dict[str, FloatArray]


def nuts_model(model: ModelDesign, arrays: Arrays) -> pm.Model:
    """The PyMC model of a design's arrays.

    The linear predictor is the problem's, of the same columns with the same priors as for the other
    engines. What is made of it, links, the family's parameters with their priors, and the
    likelihood, is bambi's. Effects of a level are ``diag(sd) L z`` with z standard normal and L
    the Cholesky factor of their correlations.

    Coefficients have the names of their terms; see `_safe`.
    """
    bambi, problem = model.bambi, arrays.problem
    parent = bambi.family.likelihood.parent
    mean = DistributionalComponent(bambi.parameters[parent])
    # A parameter with a formula is to bambi a constant too, of which only the output is read.
    constants = {name: ConstantComponent(one) for name, one in bambi.marginal_parameters.items()}
    backend = PyMCModel()
    backend.components = {**constants, parent: mean}
    shrunk = arrays.shrinkage
    noise = "sigma" if shrunk is not None and shrunk.of_noise else ""  # which it is a multiple of
    with pm.Model() as backend.model:
        mean.add_response_coords(backend, bambi)
        if noise:
            constants[noise].build(backend, bambi)
        effects: dict[str, Any] = {}
        for shared in arrays.shared:
            effects |= _shared_effects(shared, arrays)
        sigma = constants[noise].output if noise else None
        mean.output = _predictor(model, arrays, effects, noise=sigma)
        for name, one in constants.items():
            if name in model.parts:
                part = model.parts[name]
                inverse = backend.INVLINKS[part.link.name]
                one.output = inverse(_predictor(part, arrays.parts[name], effects, f"{name}_"))
            elif name == "threshold" and model.threshold_sets is not None:
                one.output = _thresholds_of_rows(model, model.threshold_sets)
            elif name != noise:
                one.build(backend, bambi)
        _add_response(model, arrays, backend, effects)
    weigh_rows(backend.model, problem.row_weight, problem.row_precision)
    if (known := limits_of_rows(model.spec, model.frame)) is not None:
        limit_rows(backend.model, model.family, known, problem.row_weight)
    return backend.model


def _add_response(
    model: ModelDesign, arrays: Arrays, backend: PyMCModel, effects: Mapping[str, Any]
) -> None:
    """The likelihood: bambi's, or the family's own where it or a parameter is none of bambi's.

    ``effects``: by term, those that are known.
    """
    bambi, family = model.bambi, model.family
    own = [name for name in model.parts if name not in bambi.parameters]
    if not own and not family.likelihood_of_rows and model.threshold_sets is None:
        ResponseComponent(bambi.response_term).build(backend, bambi)
        return
    outputs = {name: one.output for name, one in backend.components.items()}
    eta = outputs.pop(bambi.family.likelihood.parent)
    for name in own:
        predictor = _predictor(model.parts[name], arrays.parts[name], effects, f"{name}_")
        outputs[name] = backend.INVLINKS[model.parts[name].link.name](predictor)
    values = arrays.problem.y.astype(int)
    family.pymc_of_rows(model.response.column, eta, outputs, observed=values, dims="__obs__")


def _thresholds_of_rows(model: ModelDesign, sets: ThresholdSets) -> Any:
    """Thresholds (rows, cuts) of rows whose level has its own."""
    prior = model.prior("threshold")
    assert prior is not None  # it has no formula
    every = []
    for level, own in zip(sets.levels, slices(sets.sizes), strict=True):
        size, given = own.stop - own.start, prior_of_set(prior, own, sum(sets.sizes))
        options: dict[str, Any] = {"shape": size}
        if model.family.thresholds_ascend:
            options |= {"transform": ordered, "initval": np.linspace(-1, 1, size)}
        make = getattr(pm, given.name)
        every.append(make(_safe(f"threshold: {level}"), **given.args, **options))
    all_of_them = pm.Deterministic("threshold", pt.concatenate(every))
    padded = pt.concatenate([all_of_them, np.array([BEYOND])])
    return padded[sets.places[sets.codes(model.frame)]]


def _safe(name: str) -> str:
    """A name without commas, at which nutpie takes the names of a variable's dims apart."""
    return name.replace(",", ";")


def _predictor(
    model: ModelDesign,
    arrays: Arrays,
    effects: Mapping[str, Any],
    prefix: str = "",
    noise: Any | None = None,
) -> Any:
    """The linear predictor (rows,); ``prefix`` stands before the names of coefficients.

    ``effects``: by term, those that are correlated with others' and made already. ``noise``: sigma,
    where coefficients are shrunk together in its units.
    """
    known: dict[str, Any] = {}
    if arrays.shrinkage is not None:
        unit = arrays.shrinkage.unit if noise is None else noise
        known |= arrays.shrinkage.variables(unit, prefix)
    for name, effect in arrays.monotone.items():
        known[name] = effect.variable(_safe(prefix + name))
    total = _coefficients(model, arrays.problem, prefix, known)
    for term in arrays.problem.terms:
        own = effects.get(term.name)
        own = _effects(term, arrays.sd_priors[term.name]) if own is None else own
        total += _contribution(term, own)
    return total


def _coefficients(
    model: ModelDesign, problem: Problem, prefix: str, known: Mapping[str, Any]
) -> Any:
    """The population's part (rows,) of the linear predictor; zero where there is none.

    ``known``: coefficients by term, of priors that are of several coefficients together.
    """
    total: Any = 0.0 if problem.offset is None else problem.offset
    beta = [
        pm.Deterministic(_safe(prefix + name), known[name])
        if name in known
        else _variable(term.prior, _safe(prefix + name), shape=np.size(term.data) // len(problem.y))
        for name, term in model.coefficient_terms.items()
    ]
    if not beta:
        return total
    all_of_them = pt.concatenate(beta)
    for one in model.measured:
        slopes = one.slopes[:, : problem.design.shape[1]]
        total += one.beyond(_safe(one.name))[one.codes] * pt.dot(slopes, all_of_them)
    return total + pt.dot(problem.design, all_of_them)


def _sd_names(term: GroupTerm) -> list[str]:
    """Names of a term's standard deviations; a column's name has no colon."""
    return [_safe(f"{term.name}: sd of {one}") for one in term.coefficients]


def _effects(term: GroupTerm, priors: Sequence[bmb.Prior]) -> Any:
    """Effects (levels, k) of a term."""
    white = pm.Normal(_safe(f"{term.name}: z"), shape=(term.n_levels, term.k))
    sd = _sds(term, priors)
    if not term.correlated:
        return white * sd
    return pt.dot(white, _corr_factor(term.name, term.k, term.lkj_eta).T) * sd


def _sds(term: GroupTerm, priors: Sequence[bmb.Prior]) -> Any:
    """Standard deviations (k,) of a term's effects."""
    return pt.stack([_variable(*one) for one in zip(priors, _sd_names(term), strict=True)])


def _shared_effects(shared: SharedTerms, arrays: Arrays) -> dict[str, Any]:
    """Effects (levels, k) of terms that have one correlation matrix, by term."""
    every = (arrays, *arrays.parts.values())
    terms = {term.name: (term, one) for one in every for term in one.problem.terms}
    size, name = len(shared.shared.labels), shared.shared.name
    levels = terms[next(iter(shared.terms))][0].n_levels
    white = pm.Normal(_safe(f"{name}: z"), shape=(levels, size))
    joint = pt.dot(white, _corr_factor(name, size, shared.lkj_eta).T)
    found = {}
    for key in shared.terms:
        term, own = terms[key]
        found[key] = joint[:, shared.own(key)] * _sds(term, own.sd_priors[key])
    return found


def _contribution(term: GroupTerm, effects: Any) -> Any:
    """What effects (levels, k) give each row: ``sum_mj weight_m column_j effect_j of level_m``."""
    return sum(
        (weight * column) * effects[:, j][codes]
        for codes, weight in zip(term.codes.T, term.weights.T, strict=True)
        for j, column in enumerate(term.columns.T)
    )


def _corr_factor(name: str, k: int, eta: float) -> Any:
    """Cholesky factor (k, k) of an LKJ correlation matrix of that shape.

    Its partial correlations are independent betas on (-1, 1) (Lewandowski, Kurowicka and Joe,
    2009), as in `causalbias.inference.scales`.
    """
    shapes = np.array([eta + 0.5 * (k - 2 - j) for i in range(k) for j in range(i)])
    partial = 2 * pm.Beta(_safe(f"{name}: partial correlations"), shapes, shapes) - 1
    rows, n = [], 0
    for i in range(k):
        row, left = [], pt.as_tensor(1.0)
        for _ in range(i):
            row.append(partial[n] * left)
            left = left * pt.sqrt(1 - partial[n] ** 2)
            n += 1
        rows.append(pt.stack([*row, left, *[pt.as_tensor(0.0)] * (k - 1 - i)]))
    return pm.Deterministic(_safe(f"{name}: L"), pt.stack(rows))


def _variable(prior: bmb.Prior, name: str, shape: int | tuple[()] = ()) -> Any:
    return getattr(pm, prior.name)(name, **prior.args, shape=shape)


def weigh_rows(inner: pm.Model, counts: FloatArray, precision: FloatArray | None) -> None:
    """Let rows of a model count several times, and differ in precision; in place.

    bambi's own ``weighted()`` scales default priors by the response and its weights mixed, and
    knows no precisions. Here the model is as without weights, and what they add to the log
    likelihood is a potential.

    Parameters
    ----------
    inner : PyMC Model
    counts : ndarray (n,)
    precision : ndarray (n,), optional
        Of a Gaussian model: row i has variance ``sigma^2 / precision[i]``.
    """
    if precision is None and (counts == 1).all():
        return
    (observed,) = inner.observed_RVs
    value = inner.rvs_to_values[observed]
    added = (counts - 1) * pm.logp(observed, value)
    if precision is not None:
        mean, sd = observed.owner.op.dist_params(observed.owner)
        square = ((value - mean) / sd) ** 2
        added += 0.5 * counts * (np.log(precision) - (precision - 1) * square)
    with inner:
        pm.Potential("rows_weighed", added.sum())


def large_columns(model: ModelDesign, arrays: Arrays) -> set[str]:
    """Names of coefficients to which a start that is random by one is not to be given.

    It would take the predictor to where the likelihood is flat or not finite.
    """
    parts = [("", model, arrays.problem)]
    parts += [(f"{name}_", one, arrays.parts[name].problem) for name, one in model.parts.items()]
    found = set()
    for prefix, one, problem in parts:
        start = 0
        for name, term in one.coefficient_terms.items():
            end = start + np.size(term.data) // len(problem.y)
            if np.abs(problem.design[:, start:end]).max(initial=0.0) > LARGE:
                found.add(_safe(prefix + name))
            start = end
    return found


def kept_names(inner: pm.Model) -> list[str]:
    """Names of what `draws_of` reads: all parameters and correlations, nothing with rows."""
    named = [*inner.free_RVs, *inner.deterministics]
    return [
        one.name for one in named if "__obs__" not in inner.named_vars_to_dims.get(one.name, ())
    ]


def draws_of(
    posterior: xr.Dataset, model: ModelDesign, arrays: Arrays
) -> tuple[NutsDraws, dict[str, Variable], dict[str, NutsDraws], dict[str, FloatArray]]:
    """The draws of a `nuts_model`, all chains' in order.

    Those of the mean's predictor, of parameters that are one for all rows, of the predictors of
    those that are not, and by name the correlations (draws, K, K) of effects of several predictors.
    """
    factors = {
        one.shared.name: _flat(posterior[_safe(f"{one.shared.name}: L")]) for one in arrays.shared
    }
    known: dict[str, tuple[FloatArray, FloatArray]] = {}
    for one in arrays.shared:
        factor = factors[one.shared.name]
        white = _flat(posterior[_safe(f"{one.shared.name}: z")]) @ factor.swapaxes(1, 2)
        corr = factor @ factor.swapaxes(1, 2)
        for term in one.terms:
            own = one.own(term)
            known[term] = white[:, :, own], corr[:, own, own]
    further: dict[str, Variable] = {}
    for name, one in model.bambi.marginal_parameters.items():
        if isinstance(one.prior, bmb.Prior) and name not in model.parts:
            dims = ("threshold_dim",) if name == "threshold" else ()
            further[name] = (dims, _flat(posterior[name]))
    for prefix in ("", *(f"{name}_" for name in model.parts)):
        for name in HYPERPARAMETERS:
            if f"{prefix}{name}" in posterior:
                further[f"{prefix}{name}"] = ((), _flat(posterior[f"{prefix}{name}"]))
    for values in model.measured:
        for prefix, dims in ((MEAN, ()), (SPREAD, ()), (TRUE, (values.dim,))):
            further[f"{prefix}{values.name}"] = (
                dims,
                _flat(posterior[f"{prefix}{_safe(values.name)}"]),
            )
    parts = {
        name: _of_predictor(posterior, one, arrays.parts[name], f"{name}_", known)
        for name, one in model.parts.items()
    }
    across = {name: one @ one.swapaxes(1, 2) for name, one in factors.items()}
    return _of_predictor(posterior, model, arrays, "", known), further, parts, across


def _of_predictor(
    posterior: xr.Dataset,
    model: ModelDesign,
    arrays: Arrays,
    prefix: str,
    known: Mapping[str, tuple[FloatArray, FloatArray]],
) -> NutsDraws:
    """Draws of a predictor.

    ``known``: by term, effects of standard deviation one (draws, levels, k) and their correlations
    (draws, k, k), of those that are correlated with others'.
    """
    many = posterior.sizes["chain"] * posterior.sizes["draw"]
    beta = [
        np.empty((many, 0)),
        *[_flat(posterior[_safe(prefix + name)]) for name in model.coefficient_terms],
    ]
    sd: dict[str, FloatArray] = {}
    corr: dict[str, FloatArray] = {}
    effects: dict[str, FloatArray] = {}
    for term in arrays.problem.terms:
        name = term.name
        sd[name] = np.column_stack([_flat(posterior[one]) for one in _sd_names(term)])
        if name in known:
            effects[name], corr[name] = known[name]
        else:
            effects[name] = _flat(posterior[_safe(f"{name}: z")])
        if term.correlated and name not in known:
            factor = _flat(posterior[_safe(f"{name}: L")])
            corr[name] = factor @ factor.swapaxes(1, 2)
            effects[name] = effects[name] @ factor.swapaxes(1, 2)
        effects[name] = effects[name] * sd[name][:, None]
    return NutsDraws(np.hstack(beta), sd, corr, effects)


def _flat(draws: xr.DataArray) -> FloatArray:
    """Draws (draws, ...), all chains' in order."""
    values = draws.transpose("chain", "draw", ...).values
    return np.asarray(values.reshape(-1, *values.shape[2:]), float)
