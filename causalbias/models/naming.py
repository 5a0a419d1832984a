"""An engine's draws as the posterior that bambi would have given."""

from collections.abc import Mapping
from typing import Any

import bambi as bmb
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from causalbias.inference.problem import FloatArray, GroupTerm
from causalbias.models.arrays import Arrays
from causalbias.models.group_design import GroupDesign

Variable = tuple[tuple[str, ...], NDArray[np.floating]]


def name_draws(
    model: bmb.Model,
    arrays: Arrays,
    draws: Any,
    further: Mapping[str, Variable],
    chains: int,
) -> xr.Dataset:
    """Name an engine's draws.

    Parameters
    ----------
    model : bambi Model
        What `arrays` were made from.
    arrays : Arrays
    draws : CollapsedDraws or LaplaceDraws
        With `beta` (draws, p) of the centred design, and by term `sd` (draws, k), `corr`
        (draws, k, k) and `effects` (draws, levels, k).
    further : mapping of name to (dims, ndarray (draws, ...))
        Parameters of the likelihood, such as sigma.
    chains : int
        The draws are laid out as this many chains of equal length.

    Returns
    -------
    Dataset
        Dims (chain, draw, ...); correlations of a factor's effects as ``cor|<factor>``.
    """
    coords: dict[str, NDArray[Any]] = {}
    variables = _coefficients(model, arrays, draws.beta, coords) | dict(further)
    for term in arrays.problem.terms:
        variables |= _group(arrays.designs[term.name], term, draws, coords)
    return xr.Dataset(
        {
            name: (("chain", "draw", *dims), values.reshape(chains, -1, *values.shape[1:]))
            for name, (dims, values) in variables.items()
        },
        coords={**coords, "chain": np.arange(chains), "draw": np.arange(len(draws.beta) // chains)},
    )


def _coefficients(
    model: bmb.Model, arrays: Arrays, beta: FloatArray, coords: dict[str, NDArray[Any]]
) -> dict[str, Variable]:
    component = model.parameters[model.family.likelihood.parent]
    variables: dict[str, Variable] = {}
    at = 0
    if component.intercept_term is not None:
        variables["Intercept"] = ((), beta[:, 0] - beta @ arrays.centre)
        at = 1
    for name, term in component.common_terms.items():
        dims, shape = _dims(term.coords, coords)
        size = int(np.prod(shape, dtype=int))
        variables[name] = (dims, beta[:, at : at + size].reshape(-1, *shape))
        at += size
    return variables


def _group(
    design: GroupDesign, term: GroupTerm, draws: Any, coords: dict[str, NDArray[Any]]
) -> dict[str, Variable]:
    variables: dict[str, Variable] = {}
    factor_dim = f"{design.factor}__factor_dim"
    sd, effects = draws.sd[term.name], draws.effects.get(term.name)
    at = 0
    for (effect, labels), size in zip(design.effects.items(), design.sizes(), strict=True):
        name, columns = f"{effect}|{design.factor}", slice(at, at + size)
        at += size
        dims, shape = _dims({f"{effect}__expr_dim": labels} if labels else {}, coords)
        variables[f"{name}_sigma"] = (dims, sd[:, columns].reshape(-1, *shape))
        if effects is not None:
            coords[factor_dim] = design.levels
            values = effects[:, :, columns]
            values = values.transpose(0, 2, 1) if labels else values[:, :, 0]
            variables[name] = ((*dims, factor_dim), values)
    if term.correlated:
        dim, names = f"{design.factor}__pair_dim", term.coefficients
        low, high = np.triu_indices(len(names), k=1)
        coords[dim] = np.array([f"{names[a]}, {names[b]}" for a, b in zip(low, high, strict=True)])
        variables[f"cor|{design.factor}"] = ((dim,), draws.corr[term.name][:, low, high])
    return variables


def _dims(
    wanted: Mapping[str, object], coords: dict[str, NDArray[Any]]
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Dims and shape of a term, whose labels are added to `coords`."""
    for dim, labels in wanted.items():
        coords[dim] = np.asarray(labels).astype(str)
    return tuple(wanted), tuple(len(coords[dim]) for dim in wanted)
