"""A bambi model as plain arrays for the engines, and an engine's draws under bambi's names."""

from collections.abc import Mapping

import bambi as bmb
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from causalbias.inference.problem import EngineError, FloatArray, GroupTerm, LogDensity, Problem


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


def problem_of(model: bmb.Model) -> tuple[Problem, FloatArray]:
    """The arrays of a bambi model with one linear predictor.

    Returns
    -------
    problem : Problem
        With the columns of the design centred, as bambi does where there is an intercept: its
        prior is on the intercept of centred data.
    centre : ndarray (p,)
        What was subtracted from each column.

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
    columns, means, sds = [], [], []
    common = dict(component.common_terms)
    if component.intercept_term is not None:
        common = {"Intercept": component.intercept_term} | common
    for name, term in common.items():
        data = np.asarray(term.data, np.float64).reshape(len(model.data), -1)
        mean, sd = _normal_prior(term.prior, data.shape[1], name)
        columns.append(data)
        means.append(mean)
        sds.append(sd)
    design = np.hstack(columns) if columns else np.empty((len(model.data), 0))
    centre = np.zeros(design.shape[1])
    if component.intercept_term is not None and model.center_predictors:
        centre[1:] = design[:, 1:].mean(axis=0)
    problem = Problem(
        y=np.asarray(model.response_term.data, np.float64),
        design=design - centre,
        beta_mean=np.concatenate([np.empty(0), *means]),
        beta_sd=np.concatenate([np.empty(0), *sds]),
        terms=tuple(
            _group_term(name, term) for name, term in component.group_specific_terms.items()
        ),
        row_weight=np.ones(len(model.data)),
    )
    return problem, centre


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


def _group_term(name: str, term: object) -> GroupTerm:
    predictor = np.asarray(term.predictor, np.float64)  # type: ignore[attr-defined]
    predictor = predictor.reshape(len(predictor), -1)
    prior = term.prior  # type: ignore[attr-defined]
    spread = prior.args["sigma"]
    if prior.name != "Normal" or not isinstance(spread, bmb.Prior):
        raise EngineError(f"the effects of {name!r} are not Normal(0, sd) with a prior on sd")
    codes = np.asarray(term.group_index, np.int64)[:, None]  # type: ignore[attr-defined]
    size = predictor.shape[1]
    return GroupTerm(
        name=name,
        coefficients=tuple(map(str, range(size))),
        columns=predictor,
        codes=codes,
        weights=np.ones(codes.shape),
        n_levels=len(term.groups),  # type: ignore[attr-defined]
        correlated=False,
        sd_log_prior=tuple(sd_log_prior(spread, which, name) for which in range(size)),
    )


def name_draws(
    model: bmb.Model,
    beta: FloatArray,
    centre: FloatArray,
    sd: Mapping[str, FloatArray],
    effects: Mapping[str, NDArray[np.floating]],
    further: Mapping[str, tuple[tuple[str, ...], FloatArray]],
    chains: int,
) -> xr.Dataset:
    """An engine's draws as the posterior that bambi would have given.

    Parameters
    ----------
    model : bambi Model
    beta : ndarray (draws, p)
        Coefficients of the centred design.
    centre : ndarray (p,)
        From `problem_of`; undone in the intercept.
    sd, effects : mapping of term to ndarray (draws, k), (draws, levels, k)
    further : mapping of name to (dims, ndarray (draws, ...))
        Parameters of the likelihood, such as sigma.
    chains : int
        The draws are laid out as this many chains of equal length.

    Returns
    -------
    Dataset
        Dims (chain, draw, ...).
    """
    component = model.parameters[model.family.likelihood.parent]
    variables: dict[str, tuple[tuple[str, ...], NDArray[np.floating]]] = {}
    coords: dict[str, NDArray] = {}
    at = 0
    if component.intercept_term is not None:
        variables["Intercept"] = ((), beta[:, 0] - beta @ centre)
        at = 1
    for name, term in component.common_terms.items():
        dims, shape = _dims(term.coords, coords)
        size = int(np.prod(shape, dtype=int))
        variables[name] = (dims, beta[:, at : at + size].reshape(-1, *shape))
        at += size
    variables |= further
    for name, term in component.group_specific_terms.items():
        inner = {dim: values for dim, values in term.coords.items() if dim.endswith("__expr_dim")}
        outer = {dim: values for dim, values in term.coords.items() if dim not in inner}
        expr_dims, expr_shape = _dims(inner, coords)
        factor_dims, _ = _dims(outer, coords)
        variables[f"{name}_sigma"] = (expr_dims, sd[name].reshape(-1, *expr_shape))
        if name in effects:
            by_level = effects[name]
            values = by_level.transpose(0, 2, 1) if expr_dims else by_level[:, :, 0]
            variables[name] = ((*expr_dims, *factor_dims), values)
    return xr.Dataset(
        {
            name: (("chain", "draw", *dims), values.reshape(chains, -1, *values.shape[1:]))
            for name, (dims, values) in variables.items()
        },
        coords={**coords, "chain": np.arange(chains), "draw": np.arange(len(beta) // chains)},
    )


def _dims(
    wanted: Mapping[str, object], coords: dict[str, NDArray]
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Dims and shape of a term, whose labels are added to `coords`."""
    for dim, labels in wanted.items():
        coords[dim] = np.asarray(labels).astype(str)
    return tuple(wanted), tuple(len(coords[dim]) for dim in wanted)
