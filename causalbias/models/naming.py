"""An engine's draws as the posterior that bambi would have given."""

from collections.abc import Mapping
from typing import Any

import bambi as bmb
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from causalbias.inference.problem import FloatArray
from causalbias.models.arrays import Arrays, membership_levels
from causalbias.models.groups import group_parts
from causalbias.models.spec import ModelSpec

Variable = tuple[tuple[str, ...], NDArray[np.floating]]


def name_draws(
    model: bmb.Model,
    spec: ModelSpec,
    used: pd.DataFrame,
    arrays: Arrays,
    draws: Any,
    further: Mapping[str, Variable],
    chains: int,
) -> xr.Dataset:
    """Name an engine's draws.

    Parameters
    ----------
    model, spec, used
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
    coords: dict[str, NDArray] = {}
    variables = _coefficients(model, arrays, draws.beta, coords) | dict(further)
    group_terms = model.parameters[model.family.likelihood.parent].group_specific_terms
    labels = {name: dict(term.coords) for name, term in group_terms.items()}
    for part in group_parts(spec.formula):
        if part.members:
            labels[part.name] = {f"{part.factor}__factor_dim": membership_levels(part, used)}
    for term in arrays.problem.terms:
        at = 0
        for name, size in arrays.pieces[term.name]:
            columns = slice(at, at + size)
            effects = draws.effects.get(term.name)
            variables |= _group(
                name,
                labels[name],
                draws.sd[term.name][:, columns],
                None if effects is None else effects[:, :, columns],
                coords,
            )
            at += size
        if term.correlated:
            factor = term.name.split("|", 1)[1]
            low, high = np.triu_indices(len(term.coefficients), k=1)
            dim = f"{factor}__pair_dim"
            names = term.coefficients
            coords[dim] = np.array(
                [f"{names[a]}, {names[b]}" for a, b in zip(low, high, strict=True)]
            )
            variables[f"cor|{factor}"] = ((dim,), draws.corr[term.name][:, low, high])
    return xr.Dataset(
        {
            name: (("chain", "draw", *dims), values.reshape(chains, -1, *values.shape[1:]))
            for name, (dims, values) in variables.items()
        },
        coords={**coords, "chain": np.arange(chains), "draw": np.arange(len(draws.beta) // chains)},
    )


def _coefficients(
    model: bmb.Model, arrays: Arrays, beta: FloatArray, coords: dict[str, NDArray]
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
    name: str,
    labels: Mapping[str, object],
    sd: FloatArray,
    effects: NDArray[np.floating] | None,
    coords: dict[str, NDArray],
) -> dict[str, Variable]:
    inner = {dim: values for dim, values in labels.items() if dim.endswith("__expr_dim")}
    outer = {dim: values for dim, values in labels.items() if dim not in inner}
    expr_dims, expr_shape = _dims(inner, coords)
    factor_dims, _ = _dims(outer, coords)
    variables: dict[str, Variable] = {f"{name}_sigma": (expr_dims, sd.reshape(-1, *expr_shape))}
    if effects is not None:
        values = effects.transpose(0, 2, 1) if expr_dims else effects[:, :, 0]
        variables[name] = ((*expr_dims, *factor_dims), values)
    return variables


def _dims(
    wanted: Mapping[str, object], coords: dict[str, NDArray]
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Dims and shape of a term, whose labels are added to `coords`."""
    for dim, labels in wanted.items():
        coords[dim] = np.asarray(labels).astype(str)
    return tuple(wanted), tuple(len(coords[dim]) for dim in wanted)
