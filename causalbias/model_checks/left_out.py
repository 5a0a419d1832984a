"""Marginal leave-one-cluster-out likelihood: effects of the cluster are integrated out."""

import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.base import array_stats
from scipy import sparse

from causalbias.errors import DataError
from causalbias.estimands.scales import Floats
from causalbias.inference.membership import membership
from causalbias.models.fitted import fitted
from causalbias.models.group_design import GroupDesign, texts_of
from causalbias.models.needs import need_no_limits, need_no_measurements
from causalbias.models.specification import row_counts, row_precisions

MIN_DRAWS = 100
MAX_EFFECTS = 60  # largest number of effects per level, which has a dense matrix per draw


def left_out_weights(fit: xr.DataTree, column: str) -> tuple[Floats, Floats]:
    """Compute log importance weights of draws for the posterior without each level of a column.

    A weight is 1 over the likelihood of the level's rows given coefficients and standard
    deviations, with the effects of the level integrated out (marginal leave-one-cluster-out;
    Merkle, Furr and Rabe-Hesketh 2019, Psychometrika 84). The weights are Pareto-smoothed. They are
    much less variable than weights that condition on the effects.

    Parameters
    ----------
    fit : Fit
        A Gaussian model.
    column : str
        A column in whose levels all grouping factors are nested.

    Returns
    -------
    log_weights : ndarray (levels, draws)
        Normalised log weights, with levels in the order of their text.
    pareto_k : ndarray (levels,)
        Pareto k of the weights.

    Raises
    ------
    DataError
        If the fit is not Gaussian, levels share effects, or there are too few draws.
    """
    likelihoods = log_likelihoods(fit, column)
    check_tail(likelihoods.shape[1])
    weights, shape = array_stats.psislw(likelihoods)  # it turns the sign itself
    return np.asarray(weights), np.asarray(shape)


def check_tail(draws: int) -> None:
    """Refuse fewer draws than Pareto smoothing of the weights needs."""
    if draws < MIN_DRAWS:
        raise DataError(f"{draws} draws", hint=f"fit with {MIN_DRAWS} or more")


def log_likelihoods(fit: xr.DataTree, column: str) -> Floats:
    """Compute the log likelihood (levels, draws) of each level's rows, without its effects.

    The effects of the level are integrated out.

    Raises
    ------
    DataError
        As in `left_out_weights`.
    """
    model = fitted(fit)
    spec, frame = model.spec, model.frame
    need_no_limits(model.fit, "leaving rows out by weights")
    need_no_measurements(model.fit, "leaving rows out by weights")
    if not model.family.linear:
        link = f" with link {model.family.link.name}" if model.family.normal else ""
        raise DataError(f"a {spec.family} model{link}", hint="fit it again without each level")
    labels = texts_of(frame[column])
    for one in model.groups:
        _check_nested(one, labels, frame, column)
    if any(part.groups for part in model.parts.values()):
        raise DataError(
            "the noise has effects of groups, which are not integrated out",
            hint="fit again without each level",
        )
    beta, sigma = model.coefficients, model.latent_sd_of(model.parameters_at(frame))
    outcome, design = model.response_values, model.design(frame)
    counts, precision = row_counts(spec, frame), row_precisions(spec, frame)
    precision = np.ones(len(frame)) if precision is None else precision
    matrices, covariances = [], []
    for one in model.groups:
        basis, covariance = model.centred_covariance(one)
        columns = one.columns(frame) @ basis
        matrix = membership(columns, one.codes(frame), len(one.levels)).tocsr()
        matrix.eliminate_zeros()  # of rows without these effects
        matrices.append(matrix)
        covariances.append(covariance)
    found = []
    for level in np.unique(labels):
        at = np.flatnonzero(labels == level)
        z, root = _effects(matrices, covariances, at)
        if z.shape[1] > MAX_EFFECTS:
            raise DataError(
                f"{level} has {z.shape[1]} effects of its own", hint="fit again without each level"
            )
        residual = outcome[at] - beta @ design[at].T
        own = sigma[:, at] if sigma.shape[1] > 1 else sigma
        found.append(_log_likelihood(residual, z, root, own, counts[at], precision[at]))
    return np.stack(found)


def _check_nested(one: GroupDesign, labels: np.ndarray, frame: pd.DataFrame, column: str) -> None:
    codes, own = one.codes(frame), one.own_rows(frame)
    pairs = np.unique(
        np.column_stack([np.unique(labels, return_inverse=True)[1], codes[:, 0]])[own], axis=0
    )
    if codes.shape[1] > 1 or len(np.unique(pairs[:, 1])) < len(pairs):
        raise DataError(
            f"levels of {column!r} share effects of {one.factor!r}",
            hint="fit again without each level",
        )


def _effects(
    matrices: list[sparse.csr_matrix], covariances: list[Floats], at: np.ndarray
) -> tuple[Floats, Floats]:
    """Design (rows, q) of one level's effects, and a root (draws, q, q) of their covariance."""
    blocks, roots = [np.empty((len(at), 0))], []
    for matrix, covariance in zip(matrices, covariances, strict=True):
        own, k = matrix[at], covariance.shape[-1]
        levels = np.unique(own.indices // k)
        blocks.append(own[:, (levels[:, None] * k + np.arange(k)).ravel()].toarray())
        # A covariance that a draw has at the edge is singular: a jitter far below its size.
        size = np.trace(covariance, axis1=1, axis2=2)[:, None, None]
        root = np.linalg.cholesky(covariance + 1e-12 * (size + 1e-300) * np.eye(k))
        roots += [root] * len(levels)
    q = sum(one.shape[-1] for one in roots)
    whole = np.zeros((len(covariances[0]) if covariances else 1, q, q))
    start = 0
    for root in roots:
        end = start + root.shape[-1]
        whole[:, start:end, start:end] = root
        start = end
    return np.hstack(blocks), whole


def _log_likelihood(
    residual: Floats, z: Floats, root: Floats, sigma: Floats, counts: Floats, precision: Floats
) -> Floats:
    """Log density (draws,) of residuals (draws, rows) with variance sigma^2 / w + Z L L' Z'.

    ``sigma``: (draws, 1), or (draws, rows) where it differs by row.
    """
    weight = counts * precision / np.square(sigma)
    total = counts @ np.log(precision) - counts.sum() * np.log(2 * np.pi)
    total = total - np.einsum("dn,dn,dn->d", residual, weight, residual)
    total -= 2 * np.broadcast_to(np.log(sigma), residual.shape) @ counts
    if z.shape[1]:
        if sigma.shape[1] == 1:
            gram = (z.T @ ((counts * precision)[:, None] * z)) / np.square(sigma)[:, :, None]
        else:
            gram = np.einsum("nq,dn,nr->dqr", z, weight, z, optimize=True)
        inner = np.swapaxes(root, 1, 2) @ gram @ root
        right = np.einsum("dji,dj->di", root, (residual * weight) @ z)
        whole = np.eye(z.shape[1]) + inner
        solved = np.linalg.solve(whole, right[..., None])[..., 0]
        total += np.einsum("di,di->d", right, solved)
        total -= np.linalg.slogdet(whole)[1]
    return np.asarray(total / 2)
