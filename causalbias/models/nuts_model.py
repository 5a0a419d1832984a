"""The bambi model that NUTS samples: an engine's group terms, column by column, and correlated."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import bambi as bmb
import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import xarray as xr

from causalbias.errors import DataError
from causalbias.inference.problem import FloatArray, GroupTerm
from causalbias.models.arrays import Arrays
from causalbias.models.formula.group_terms import common_formula, has_members
from causalbias.models.naming import name_groups
from causalbias.models.priors import text_of
from causalbias.models.specification import ModelSpec, bambi_model, row_counts, row_precisions

OWN = "cb_"  # begins the names of columns and parameters that are made here


@dataclass(frozen=True)
class GroupDraws:
    """Draws of the group terms in the problem's coordinates, as `name_groups` takes them."""

    sd: dict[str, FloatArray]
    corr: dict[str, FloatArray]
    effects: dict[str, FloatArray]


def nuts_model(spec: ModelSpec, used: pd.DataFrame, arrays: Arrays) -> bmb.Model:
    """The built bambi model of a specification whose group terms are those of `arrays`.

    bambi knows one term of a factor and no correlations. Each column of a term is a term of
    bambi's here, of a column of numbers, so that they are centred and scaled as for the other
    engines and have the same priors; correlations are added by `correlate`.

    Raises
    ------
    DataError
        If the formula has multi-membership terms.
    """
    if has_members(spec.formula):
        raise DataError(
            "NUTS has no multi-membership terms", hint="leave method to 'auto', or drop mm()"
        )
    if taken := [name for name in used if str(name).startswith(OWN)]:
        raise DataError(
            f"names that begin with {OWN!r} are taken", hint="rename it", column=str(taken[0])
        )
    frame = used.copy()
    priors = {name: text for name, text in spec.priors.items() if "|" not in name}
    formula = common_formula(spec.formula)
    for at, term in enumerate(arrays.problem.terms):
        frame[f"{OWN}level{at}"] = pd.Categorical.from_codes(
            term.codes[:, 0], pd.Index([f"{code:09d}" for code in range(term.n_levels)])
        )
        of_term = zip(_names(at, term), term.columns.T, arrays.sd_priors[term.name], strict=True)
        for name, column, prior in of_term:
            frame[name.split("|")[0]] = column
            formula += f" + (0 + {name})"
            priors[name] = text_of(prior)
    model = bambi_model(replace(spec, formula=formula, priors=priors), frame)
    model.build()
    for at, term in enumerate(arrays.problem.terms):
        if term.correlated:
            correlate(model.backend.model, at, term)
    weigh_rows(model, row_counts(spec, used), row_precisions(spec, used))
    return model


def _names(at: int, term: GroupTerm) -> list[str]:
    """Bambi's names of a term's columns."""
    return [f"{OWN}x{at}_{k}|{OWN}level{at}" for k in range(term.columns.shape[1])]


def weigh_rows(model: bmb.Model, counts: FloatArray, precision: FloatArray | None) -> None:
    """Let rows of a built model count several times, and differ in precision; in place.

    bambi's own ``weighted()`` scales default priors by the response and its weights mixed, and
    knows no precisions. Here the model is as without weights, and what they add to the log
    likelihood is a potential.

    Parameters
    ----------
    model : bambi Model
        Built.
    counts : ndarray (n,)
    precision : ndarray (n,), optional
        Of a Gaussian model: row i has variance ``sigma^2 / precision[i]``.
    """
    if precision is None and (counts == 1).all():
        return
    inner = model.backend.model
    (observed,) = inner.observed_RVs
    value = inner.rvs_to_values[observed]
    added = (counts - 1) * pm.logp(observed, value)
    if precision is not None:
        mean, sd = observed.owner.op.dist_params(observed.owner)
        square = ((value - mean) / sd) ** 2
        added += 0.5 * counts * (np.log(precision) - (precision - 1) * square)
    with inner:
        pm.Potential("rows_weighed", added.sum())


def correlate(inner: Any, at: int, term: GroupTerm) -> None:
    """Correlate a term's effects in a built PyMC model, by an LKJ prior; in place.

    Its effects are sds times standard normals z, independent so far. A potential turns the prior
    of each level's z into a normal of correlation matrix R. R has independent partial
    correlations, betas on (-1, 1) (Lewandowski, Kurowicka and Joe, 2009), as in `unpack`.
    """
    k = term.columns.shape[1]
    pairs = [(i, j) for i in range(k) for j in range(i)]
    shapes = np.array([term.lkj_eta + 0.5 * (k - 2 - j) for _, j in pairs])
    inner.add_coords({f"{OWN}pair{at}": np.arange(len(pairs))})
    with inner:
        beta = pm.Beta(f"{OWN}partial{at}", shapes, shapes, dims=f"{OWN}pair{at}")
        partial = {pair: 2 * beta[n] - 1 for n, pair in enumerate(pairs)}
        factor: list[list[Any]] = []
        for i in range(k):
            row, left = [], pt.as_tensor(1.0)
            for j in range(i):
                row.append(partial[i, j] * left)
                left = left * pt.sqrt(1 - partial[i, j] ** 2)
            factor.append([*row, left])
        raw = [inner[f"{name}_offset"] for name in _names(at, term)]
        white: list[Any] = []
        for i in range(k):
            rest = raw[i] - sum(factor[i][j] * white[j] for j in range(i))
            white.append(rest / factor[i][i])
        change = sum((w**2 - z**2).sum() for w, z in zip(white, raw, strict=True))
        log_det = sum(pt.log(factor[i][i]) for i in range(k))
        pm.Potential(f"{OWN}correlated{at}", -0.5 * change - term.n_levels * log_det)
        product = [sum(factor[i][m] * factor[j][m] for m in range(j + 1)) for i, j in pairs]
        pm.Deterministic(f"{OWN}corr{at}", pt.stack(product), dims=f"{OWN}pair{at}")


def named_posterior(posterior: xr.Dataset, arrays: Arrays) -> xr.Dataset:
    """The draws of a `nuts_model` under the names that a posterior has."""
    sd: dict[str, FloatArray] = {}
    corr: dict[str, FloatArray] = {}
    effects: dict[str, FloatArray] = {}
    for at, term in enumerate(arrays.problem.terms):
        names, k = _names(at, term), term.columns.shape[1]
        sd[term.name] = _flat([posterior[f"{name}_sigma"] for name in names])
        dim = f"{names[0]}__factor_dim".replace(names[0], f"{OWN}level{at}")
        codes = posterior[dim].values.astype(int)
        every = np.zeros((len(sd[term.name]), term.n_levels, k))
        every[:, codes] = _flat([posterior[name] for name in names])
        effects[term.name] = every
        if term.correlated:
            lower = _flat([posterior[f"{OWN}corr{at}"]])[..., 0]
            matrix = np.tile(np.eye(k), (len(lower), 1, 1))
            rows, columns = np.tril_indices(k, -1)
            matrix[:, rows, columns] = matrix[:, columns, rows] = lower
            corr[term.name] = matrix
    own = [name for name in posterior.variables if str(name).startswith(OWN)]
    return name_groups(arrays, GroupDraws(sd, corr, effects), posterior.drop_vars(own))


def _flat(variables: Sequence[xr.DataArray]) -> FloatArray:
    """Draws (draws, ..., one a variable), all chains' in order."""
    stacked = [one.transpose("chain", "draw", ...).values for one in variables]
    return np.stack([one.reshape(-1, *one.shape[2:]) for one in stacked], axis=-1)
