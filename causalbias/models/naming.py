"""An engine's draws as the posterior that bambi would have given."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.linalg import block_diag

from causalbias.inference.problem import FloatArray, GroupTerm
from causalbias.inference.protocol import Draws, GroupDraws
from causalbias.models.arrays import Arrays, SharedTerms
from causalbias.models.fitted import ModelDesign
from causalbias.models.group_design import GroupDesign
from causalbias.models.measured import TRUE
from causalbias.models.monotone import AVERAGE, SHARES, Monotone

Variable = tuple[tuple[str, ...], NDArray[np.floating]]


def name_draws(
    model: ModelDesign,
    arrays: Arrays,
    draws: Draws,
    further: Mapping[str, Variable],
    chains: int,
    parts: Mapping[str, Draws] = MappingProxyType({}),
    across: Mapping[str, FloatArray] = MappingProxyType({}),
) -> xr.Dataset:
    """Name an engine's draws.

    Parameters
    ----------
    model : ModelDesign
        What `arrays` were made from.
    arrays : Arrays
    draws : Draws
        Of an engine, with coefficients of the centred design.
    further : mapping of name to (dims, ndarray (draws, ...))
        Parameters of the likelihood, such as sigma.
    chains : int
        The draws are laid out as this many chains of equal length.
    parts : mapping of str to Draws
        Of each parameter that differs by row, as of a mean; terms as `Arrays.parts` names them.
    across : mapping of str to ndarray (draws, K, K)
        Correlations of the effects that `Arrays.shared` names.

    Returns
    -------
    Dataset
        Dims (chain, draw, ...); correlations of a factor's effects as ``cor|<factor>``.
    """
    coords: dict[str, NDArray[Any]] = {
        one.dim: one.labels for one in model.measured if f"{TRUE}{one.name}" in further
    }
    if model.threshold_sets is not None:
        coords["threshold_dim"] = np.array(model.threshold_sets.labels)
    variables = _coefficients(model, arrays, draws.beta, coords) | dict(further)
    variables |= _groups(arrays, draws, coords)
    for name, one in parts.items():
        own = _coefficients(model.parts[name], arrays.parts[name], one.beta, coords, f"{name}_")
        own |= _groups(arrays.parts[name], one, coords)
        variables |= {f"{name}_{term}": values for term, values in own.items()}
    every = {"": draws} | dict(parts)
    for shared in arrays.shared:
        sd = {term: every[predictor].sd[term] for term, predictor in shared.terms.items()}
        variables |= _across(shared, arrays, sd, across[shared.shared.name], coords)
    return _dataset(variables, coords, chains, len(draws.beta) // chains)


def _groups(
    arrays: Arrays, draws: GroupDraws, coords: dict[str, NDArray[Any]]
) -> dict[str, Variable]:
    variables: dict[str, Variable] = {}
    for term in arrays.problem.terms:
        design, basis = arrays.designs[term.name], arrays.bases[term.name]
        variables |= _group(design, term, basis, draws, coords)
    return variables


def _dataset(
    variables: Mapping[str, Variable], coords: Mapping[str, NDArray[Any]], chains: int, draws: int
) -> xr.Dataset:
    return xr.Dataset(
        {
            name: (("chain", "draw", *dims), values.reshape(chains, draws, *values.shape[1:]))
            for name, (dims, values) in variables.items()
        },
        coords={**coords, "chain": np.arange(chains), "draw": np.arange(draws)},
    )


def _coefficients(
    model: ModelDesign,
    arrays: Arrays,
    beta: FloatArray,
    coords: dict[str, NDArray[Any]],
    of_dims: str = "",
) -> dict[str, Variable]:
    """Draws of coefficients by term; ``of_dims`` stands before the names of their dims."""
    component = model.bambi.parameters[model.bambi.family.likelihood.parent]
    variables: dict[str, Variable] = {}
    at = 0
    if component.intercept_term is not None:
        variables["Intercept"] = ((), beta[:, 0] - beta @ arrays.centre)
        at = 1
    for name, term in component.common_terms.items():
        dims, shape = _dims({f"{of_dims}{dim}": one for dim, one in term.coords.items()}, coords)
        size = int(np.prod(shape, dtype=int))
        variables[name] = (dims, beta[:, at : at + size].reshape(-1, *shape))
        if name in arrays.monotone:
            own = beta[:, at : at + size]
            variables |= _monotone(name, arrays.monotone[name], own, coords, of_dims)
        at += size
    return variables


def _monotone(
    name: str,
    effect: Monotone,
    beta: FloatArray,
    coords: dict[str, NDArray[Any]],
    of_dims: str,
) -> dict[str, Variable]:
    """The average step of a monotone effect, and the shares of its steps where it has several."""
    average, shares = effect.apart(beta)
    labels = {f"{of_dims}{name}__curve_dim": effect.curves} if effect.curves != ("",) else {}
    dims, shape = _dims(labels, coords)
    found: dict[str, Variable] = {f"{AVERAGE}{name}": (dims, average.reshape(-1, *shape))}
    if len(effect.steps) > 1:  # of one it is one
        more, sizes = _dims({f"{of_dims}{name}__step_dim": effect.steps}, coords)
        of_steps = shares.reshape(-1, *shape, *sizes)
        found[f"{SHARES}{name}"] = ((*dims, *more), of_steps)
    return found


def _group(
    design: GroupDesign,
    term: GroupTerm,
    basis: FloatArray,
    draws: GroupDraws,
    coords: dict[str, NDArray[Any]],
) -> dict[str, Variable]:
    variables: dict[str, Variable] = {}
    factor_dim = f"{design.factor}__factor_dim"
    if not np.array_equal(coords.get(factor_dim, design.levels), design.levels):
        factor_dim = f"{term.name}__factor_dim"  # a parameter's curve of another basis
    sd, corr, effects = _of_columns_as_they_are(term, basis, draws)
    at = 0
    for name, (effect, labels), size in zip(
        design.names(), design.effects.items(), design.sizes(), strict=True
    ):
        columns = slice(at, at + size)
        at += size
        dims, shape = _dims({f"{effect}__expr_dim": labels} if labels else {}, coords)
        variables[f"{name}_sigma"] = (dims, sd[:, columns].reshape(-1, *shape))
        if effects is not None:
            coords[factor_dim] = design.levels
            values = effects[:, :, columns]
            values = values.transpose(0, 2, 1) if labels else values[:, :, 0]
            variables[name] = ((*dims, factor_dim), values)
    if corr is not None:
        dim, names = f"{design.correlation.removeprefix('cor|')}__pair_dim", term.coefficients
        low, high = np.triu_indices(len(names), k=1)
        coords[dim] = np.array([f"{names[a]}, {names[b]}" for a, b in zip(low, high, strict=True)])
        variables[design.correlation] = ((dim,), corr[:, low, high])
    return variables


def _across(
    shared: SharedTerms,
    arrays: Arrays,
    sd: Mapping[str, FloatArray],
    corr: FloatArray,
    coords: dict[str, NDArray[Any]],
) -> dict[str, Variable]:
    """Correlations between effects of different predictors, of the columns as they are."""
    basis = block_diag(*(arrays.every_basis[term] for term in shared.terms))
    all_sd = np.hstack([sd[term] for term in shared.terms])
    covariance = basis @ (all_sd[:, :, None] * corr * all_sd[:, None, :]) @ basis.T
    all_sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    low, high = shared.shared.pairs
    found = covariance[:, low, high] / (all_sd[:, low] * all_sd[:, high])
    dim = f"{shared.shared.name}__pair_dim"
    coords[dim] = np.array(shared.shared.pair_labels)
    return {shared.shared.correlation: ((dim,), np.clip(found, -1.0, 1.0))}


def _of_columns_as_they_are(
    term: GroupTerm, basis: FloatArray, draws: GroupDraws
) -> tuple[FloatArray, FloatArray | None, NDArray[np.floating] | None]:
    """Sds (draws, k), correlations and effects of the columns before `basis`, draw by draw."""
    sd, effects = draws.sd[term.name], draws.effects.get(term.name)
    corr = draws.corr[term.name] if term.correlated else None
    if np.array_equal(basis, np.eye(len(basis))):
        return sd, corr, effects
    if effects is not None:
        effects = np.asarray(effects, float) @ basis.T
    if corr is None:
        return sd * np.diag(basis), None, effects
    covariance = basis @ (sd[:, :, None] * corr * sd[:, None, :]) @ basis.T
    sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    corr = np.clip(covariance / (sd[:, :, None] * sd[:, None, :]), -1.0, 1.0)
    return sd, corr, effects


def _dims(
    wanted: Mapping[str, object], coords: dict[str, NDArray[Any]]
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Dims and shape of a term, whose labels are added to `coords`.

    A dim whose labels differ between terms, as those of a in ``(a|g) + (0 + a|h)``, is numbered.
    """
    chosen = []
    for dim, given in wanted.items():
        labels, free, number = np.asarray(given).astype(str), dim, 1
        while free in coords and not np.array_equal(coords[free], labels):
            number += 1
            free = f"{dim}#{number}"
        coords[free] = labels
        chosen.append(free)
    return tuple(chosen), tuple(len(coords[dim]) for dim in chosen)
