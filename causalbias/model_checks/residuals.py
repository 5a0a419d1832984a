"""Residuals of new data as the model would leave them, without fitting it to them."""

from collections.abc import Callable

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from causalbias.inference.membership import membership
from causalbias.inference.problem import FloatArray
from causalbias.models.fitted import FittedModel
from causalbias.models.specification import row_precisions

AT_ONCE = 2**24  # rows times draws
RIDGE = 1e-9  # of coefficients, relative: their columns may say the same


def residuals_of(model: FittedModel, rows: np.ndarray) -> Callable[[FloatArray], FloatArray]:
    """The function from responses to residuals that belongs to a Gaussian fit.

    Penalised least squares, with the posterior means of the effects' sds and correlations (Bates
    et al. 2015, Journal of Statistical Software 67(1), equation 14). About draws of the effects,
    residuals have the draws' normal uncertainty on top, which hides the shape of the noise itself:
    with a level's effect on every three rows, it hid noise of 3 degrees of freedom in one set of
    360 rows in ten.

    Parameters
    ----------
    model : FittedModel
    rows : ndarray (n,) of int
        The fit's rows, repeated as the counts say.

    Returns
    -------
    function of ndarray (draws, n) to ndarray (draws, n)
        Responses to residuals, in units in which all rows are equally noisy: times the mean noise
        over that of the row, where it differs by row.
    """
    frame, common = model.frame, model.fitted_columns
    common /= np.maximum(np.linalg.norm(common, axis=0), 1e-300)
    noise = _noise(model)
    blocks, sigma = [sparse.csr_matrix(common)], float(noise.mean())
    for one in (*model.groups, *model.smooths):
        basis, covariance = model.centred_covariance(one)
        sds = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 1e-300))
        correlation = (covariance / (sds[:, :, None] * sds[:, None, :])).mean(axis=0)
        values, vectors = np.linalg.eigh(correlation)
        root = sds.mean(axis=0)[:, None] * vectors * np.sqrt(np.maximum(values, 0.0)) / sigma
        columns = one.columns(frame) @ basis @ root
        shares = one.shares(frame)
        blocks.append(membership(columns, one.codes(frame), len(one.levels), shares))
    precision = row_precisions(model.spec, frame)
    root = sigma / noise * (1.0 if precision is None else np.sqrt(precision))
    design = (sparse.diags(root) @ sparse.hstack(blocks)).tocsr()[rows]
    effects = design.shape[1] - common.shape[1]
    ridge = np.repeat([RIDGE, 1.0], [common.shape[1], effects])
    normal = (design.T @ design + sparse.diags(ridge)).tocsc()
    factor = splu(
        normal, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )
    root, offset = root[rows], model.offset[rows]

    def residuals(response: FloatArray) -> FloatArray:
        whole = (response - offset) * root
        return whole - (design @ factor.solve(np.asarray(design.T @ whole.T))).T

    return residuals


def _noise(model: FittedModel) -> FloatArray:
    """Posterior mean (rows,) of the noise of each row of weight one."""
    if not model.parts:
        return np.full(len(model.frame), float(model.latent_sd.mean()))
    step = max(1, AT_ONCE // model.draws)
    found = []
    for start in range(0, len(model.frame), step):
        rows = model.frame[start : start + step].reset_index(drop=True)
        found.append(model.latent_sd_of(model.parameters_at(rows)).mean(axis=0))
    return np.concatenate(found)
