"""A model as plain arrays for the engines, and an engine's draws under bambi's names."""

from dataclasses import dataclass, replace
from typing import Any

import bambi as bmb
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from causalbias.inference.problem import EngineError, FloatArray, GroupTerm, LogDensity, Problem
from causalbias.models.groups import GroupPart, correlated_terms, group_parts
from causalbias.models.priors import parse_prior
from causalbias.models.spec import ModelSpec


@dataclass(frozen=True)
class Arrays:
    """A model for an engine, and how to name what comes back.

    Attributes
    ----------
    problem : Problem
        Columns of the design centred where there is an intercept, as in bambi, whose prior is on
        the intercept of centred data.
    centre : ndarray (p,)
        What was subtracted from each column.
    pieces : dict
        For each of the engine's terms the bambi terms that it joins, and how many effects each has.
    """

    problem: Problem
    centre: FloatArray
    pieces: dict[str, list[tuple[str, int]]]


def arrays_of(model: bmb.Model, spec: ModelSpec, used: pd.DataFrame) -> Arrays:
    """The arrays of a model with one linear predictor.

    Parameters
    ----------
    model : bambi Model
        Of the specification (`bambi_model`).
    spec : ModelSpec
    used : DataFrame
        The rows (`model_frame`), which hold the columns of multi-membership terms.

    Raises
    ------
    EngineError
        If the model has offsets, smooth terms, or priors that no engine honours exactly.
    """
    parent = model.family.likelihood.parent
    component = model.parameters[parent]
    if component.offset_terms or component.hsgp_terms:
        raise EngineError("offsets and HSGP terms are not among the terms it knows")
    if any(hasattr(model.parameters[name], "terms") for name in model.parameters if name != parent):
        raise EngineError("it models the mean only, and another parameter has a formula")
    columns, means, sds = [np.empty((len(used), 0))], [np.empty(0)], [np.empty(0)]
    common = dict(component.common_terms)
    if component.intercept_term is not None:
        common = {"Intercept": component.intercept_term} | common
    for name, term in common.items():
        data = np.asarray(term.data, np.float64).reshape(len(used), -1)
        mean, sd = _normal_prior(term.prior, data.shape[1], name)
        columns.append(data)
        means.append(mean)
        sds.append(sd)
    design = np.hstack(columns)
    centre = np.zeros(design.shape[1])
    if component.intercept_term is not None and model.center_predictors:
        centre[1:] = design[:, 1:].mean(axis=0)
    terms, pieces = _terms(component, spec, used, np.asarray(model.response_term.data))
    problem = Problem(
        y=np.asarray(model.response_term.data, np.float64),
        design=design - centre,
        beta_mean=np.concatenate(means),
        beta_sd=np.concatenate(sds),
        terms=tuple(terms),
        row_weight=np.ones(len(used)),
    )
    return Arrays(problem, centre, pieces)


def _terms(
    component: Any, spec: ModelSpec, used: pd.DataFrame, response: NDArray
) -> tuple[list[GroupTerm], dict[str, list[tuple[str, int]]]]:
    single = {
        name: _group_term(name, term) for name, term in component.group_specific_terms.items()
    }
    joined: list[GroupTerm] = []
    pieces: dict[str, list[tuple[str, int]]] = {}
    for names in correlated_terms(spec.formula):
        if set(names) <= set(single):
            parts = [single.pop(name) for name in names]
            joined.append(_correlate(parts))
            pieces[joined[-1].name] = [(part.name, part.columns.shape[1]) for part in parts]
    pieces |= {name: [(name, term.columns.shape[1])] for name, term in single.items()}
    members = [
        _membership_term(part, spec, used, response)
        for part in group_parts(spec.formula)
        if part.members
    ]
    pieces |= {term.name: [(term.name, 1)] for term in members}
    return [*joined, *single.values(), *members], pieces


def _correlate(parts: list[GroupTerm]) -> GroupTerm:
    """One term of several with the same levels, its effects correlated a priori (LKJ, eta 1)."""
    columns = np.hstack([part.columns for part in parts])
    return replace(
        parts[0],
        name=" + ".join(part.name.split("|", 1)[0] for part in parts)
        + "|"
        + parts[0].name.split("|", 1)[1],
        coefficients=tuple(name for part in parts for name in part.coefficients),
        columns=columns,
        correlated=columns.shape[1] > 1,
        sd_log_prior=tuple(one for part in parts for one in part.sd_log_prior),
    )


def _group_term(name: str, term: Any) -> GroupTerm:
    predictor = np.asarray(term.predictor, np.float64)
    predictor = predictor.reshape(len(predictor), -1)
    spread = term.prior.args["sigma"]
    if term.prior.name != "Normal" or not isinstance(spread, bmb.Prior):
        raise EngineError(f"the effects of {name!r} are not Normal(0, sd) with a prior on sd")
    codes = np.asarray(term.group_index, np.int64)[:, None]
    size = predictor.shape[1]
    effect = name.split("|", 1)[0]
    labels = [dim for key, dim in term.coords.items() if key.endswith("__expr_dim")]
    return GroupTerm(
        name=name,
        coefficients=tuple(f"{effect}[{one}]" for one in labels[0]) if labels else (effect,),
        columns=predictor,
        codes=codes,
        weights=np.ones(codes.shape),
        n_levels=len(term.groups),
        correlated=False,
        sd_log_prior=tuple(sd_log_prior(spread, which, name) for which in range(size)),
    )


def _membership_term(
    part: GroupPart, spec: ModelSpec, used: pd.DataFrame, response: NDArray
) -> GroupTerm:
    """Each row a member of several levels with equal weights that sum to one, as in brms."""
    if part.effects != "1":
        raise EngineError(f"multi-membership slopes ({part.name}) are not among its terms")
    codes = np.searchsorted(membership_levels(part, used), _members(part, used))
    # Bambi's default for an intercept's sd, which it scales by the response's where that is real.
    scale = 2.5 * (np.std(response) if spec.family == "gaussian" else 1.0)
    prior = bmb.Prior("HalfNormal", sigma=scale)
    if part.name in spec.priors:
        prior = parse_prior(spec.priors[part.name], part.name).args["sigma"]
    return GroupTerm(
        name=part.name,
        coefficients=("1",),
        columns=np.ones((len(used), 1)),
        codes=codes,
        weights=np.full(codes.shape, 1 / codes.shape[1]),
        n_levels=len(membership_levels(part, used)),
        correlated=False,
        sd_log_prior=(sd_log_prior(prior, 0, part.name),),
    )


def membership_levels(part: GroupPart, used: pd.DataFrame) -> NDArray[np.str_]:
    """Sorted labels of everyone who is a member of some row."""
    return np.unique(_members(part, used))


def _members(part: GroupPart, used: pd.DataFrame) -> NDArray[np.str_]:
    return np.column_stack([used[name].astype(str).to_numpy(dtype=str) for name in part.members])


def _normal_prior(prior: bmb.Prior, size: int, name: str) -> tuple[FloatArray, FloatArray]:
    if prior.name == "Flat":
        return np.zeros(size), np.full(size, np.inf)
    if prior.name != "Normal":
        raise EngineError(f"the prior of {name!r} is {prior.name}; it needs Normal or Flat")
    arguments = prior.args
    return (
        np.broadcast_to(np.ravel(arguments["mu"]), size).astype(float),
        np.broadcast_to(np.ravel(arguments["sigma"]), size).astype(float),
    )


def sd_log_prior(prior: bmb.Prior, which: int, term: str) -> LogDensity:
    """Log density of the prior of a standard deviation.

    Parameters
    ----------
    prior : bambi Prior
    which : int
        Which of the prior's components, where its parameters are vectors.
    term : str
        Whose prior it is, for errors.

    Raises
    ------
    EngineError
        If the distribution is not one whose density is known here.
    """
    value = {key: float(np.ravel(arg)[which % np.size(arg)]) for key, arg in prior.args.items()}
    match prior.name:
        case "HalfNormal":
            frozen = stats.halfnorm(scale=value["sigma"])
        case "HalfStudentT":
            return _half(stats.t(value["nu"], scale=value["sigma"]))
        case "HalfCauchy":
            frozen = stats.halfcauchy(scale=value["beta"])
        case "Exponential":
            frozen = stats.expon(scale=1 / value["lam"])
        case "Gamma":
            frozen = stats.gamma(value["alpha"], scale=1 / value["beta"])
        case "InverseGamma":
            frozen = stats.invgamma(value["alpha"], scale=value["beta"])
        case "LogNormal":
            frozen = stats.lognorm(value["sigma"], scale=np.exp(value["mu"]))
        case _:
            raise EngineError(f"the prior {prior.name} of the sd of {term!r} is not known to it")
    return frozen.logpdf


def _half(full: stats.rv_continuous) -> LogDensity:
    """Log density of the absolute value of a variable that is symmetric about zero."""

    def log_density(sd: FloatArray) -> FloatArray:
        return np.where(sd >= 0, np.log(2.0) + full.logpdf(sd), -np.inf)

    return log_density
