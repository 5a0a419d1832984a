"""Expected outcomes of a fit on counterfactual rows, averaged within cells."""

from typing import Any

import bambi as bmb
import numpy as np
import pandas as pd
import xarray as xr
from scipy import sparse

from causalbias.errors import DataError
from causalbias.models.formula import formula_columns
from causalbias.models.group_design import GroupDesign, group_designs
from causalbias.models.result import frame_of, spec_of
from causalbias.models.spec import row_counts

SCALES = ("response", "link")
POPULATIONS = ("these", "typical")
CHUNK = 2**24  # draws x rows held at once where a link is not the identity


def average_prediction(
    fit: xr.DataTree,
    model: bmb.Model,
    frame: pd.DataFrame,
    cells: np.ndarray,
    *,
    scale: str,
    population: str,
    contrasted: str | None = None,
) -> np.ndarray:
    """Expected outcome on every row of `frame`, averaged over the rows of each cell.

    A row that stands for several observations counts as often.

    Parameters
    ----------
    fit : Fit
    model : bambi Model
        Of the fit (`model_of`).
    frame : DataFrame
        Rows to predict, with the columns of the formula.
    cells : ndarray (rows,) of int
        Cell of each row, 0 .. n_cells - 1, every cell occurring.
    scale : {"response", "link"}
        response: the expected outcome (a distance, a score, a probability; for ordinal models the
        mean category). link: the linear predictor.
    population : {"these", "typical"}
        these: with the fitted effects of the rows' own groups. typical: a group whose effects are
        all zero; the estimate then carries the uncertainty of generalising to new groups, where
        the link is the identity.

    contrasted : str, optional
        The column that differs between two predictions whose difference is wanted. On a linear
        scale the group effects that do not depend on it cancel, and are left out of both.

    Returns
    -------
    ndarray (draws, n_cells)
        All chains' draws in order.
    """
    for value, known, name in ((scale, SCALES, "scale"), (population, POPULATIONS, "population")):
        if value not in known:
            raise DataError(f"no {name} {value!r}", mend=f"use one of {', '.join(known)}")
    spec = spec_of(fit)
    posterior = fit.children["posterior"].to_dataset()
    linear = scale == "link" or (spec.family == "gaussian" and _link(model) == "identity")
    designs = group_designs(spec.formula, frame_of(fit)) if population == "these" else []
    if linear and contrasted is not None:
        designs = [one for one in designs if contrasted in one.columns_used()]
    design, coefficients = _design(model, frame, posterior, designs)
    n_cells = int(cells.max()) + 1
    counts = row_counts(spec, frame)
    average = sparse.csr_matrix(
        (counts / np.bincount(cells, counts, n_cells)[cells], (cells, np.arange(len(cells)))),
        shape=(n_cells, len(cells)),
    )
    if linear:
        return np.asarray((average @ design) @ coefficients.T).T
    total = np.zeros((len(coefficients), n_cells))
    step = max(1, CHUNK // len(coefficients))
    for start in range(0, design.shape[0], step):
        rows = slice(start, start + step)
        predictor = np.asarray(design[rows] @ coefficients.T).T
        total += np.asarray(average[:, rows] @ _mean(model, posterior, predictor).T).T
    return total


def expected_rows(
    fit: xr.DataTree, model: bmb.Model, frame: pd.DataFrame, *, scale: str
) -> np.ndarray:
    """Expected outcome (draws, rows) of every row, with the fitted effects of its groups.

    Parameters
    ----------
    fit, model, frame, scale
        As in `average_prediction`.
    """
    posterior = fit.children["posterior"].to_dataset()
    designs = group_designs(spec_of(fit).formula, frame_of(fit))
    design, coefficients = _design(model, frame, posterior, designs)
    predictor = np.asarray(design @ coefficients.T).T
    return predictor if scale == "link" else _mean(model, posterior, predictor)


def _link(model: bmb.Model) -> str:
    return str(model.family.link[model.family.likelihood.parent].name)


def _design(
    model: bmb.Model, frame: pd.DataFrame, posterior: xr.Dataset, designs: list[GroupDesign]
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Design matrix (rows, p) of the linear predictor, and its coefficients (draws, p)."""
    component = model.parameters[model.family.likelihood.parent]
    if component.offset_terms:
        raise DataError("the formula has an offset", mend="model it as a coefficient for effects")
    blocks: list[sparse.csr_matrix] = []
    draws: list[np.ndarray] = []
    if component.design.common is not None:
        # Whole: bambi drops the intercept of ordinal models and leaves the slices as they were.
        common = component.design.common.evaluate_new_data(frame)
        blocks.append(sparse.csr_matrix(common.design_matrix))
        draws += [_flat(posterior[name]) for name in common.slices]
    for one in designs:
        matrix, at, k = one.matrix(frame), 0, sum(one.sizes())
        effect = np.arange(matrix.shape[1]) % k
        for name, size in zip(one.names(), one.sizes(), strict=True):
            if name not in posterior:
                raise DataError(
                    f"the effects of {name!r} were too many to keep",
                    mend="use population='typical', or fit fewer draws",
                )
            blocks.append(matrix[:, np.flatnonzero((effect >= at) & (effect < at + size))])
            draws.append(_flat(_group_major(posterior[name], one.levels)))
            at += size
    return sparse.hstack(blocks, format="csr"), np.hstack(draws)


def _group_major(effects: xr.DataArray, levels: np.ndarray) -> xr.DataArray:
    """Effects in the order of a design's columns: by level, then by coefficient.

    Levels are matched by label: bambi orders numbers by value, and a design orders their text.
    """
    factor = next(dim for dim in effects.dims if str(dim).endswith("__factor_dim"))
    if not np.array_equal(effects[factor].values.astype(str), levels):
        effects = effects.sel({factor: levels})
    return effects.transpose("chain", "draw", factor, ...)


def _flat(draws: xr.DataArray) -> np.ndarray:
    values = draws.transpose("chain", "draw", ...).values
    return values.reshape(values.shape[0] * values.shape[1], -1)


def inverse_link(model: bmb.Model, linear: np.ndarray) -> np.ndarray:
    """The linear predictor on the response scale."""
    link: Any = model.family.link[model.family.likelihood.parent]
    return np.asarray(link.linkinv(linear))


def _mean(model: bmb.Model, posterior: xr.Dataset, linear: np.ndarray) -> np.ndarray:
    """Expected outcome given the linear predictor (draws, rows)."""
    if model.family.name != "cumulative":
        return inverse_link(model, linear)
    levels = model.response_term.levels
    try:
        codes = [float(level) for level in levels]
    except ValueError:
        raise DataError(
            f"the categories {', '.join(map(str, levels))} have no mean",
            mend="code them as whole numbers, or ask for scale='link'",
        ) from None
    # E[y] = lowest + sum over cuts of (step between categories) * P(y above the cut).
    cuts = _flat(posterior["threshold"])
    mean = np.full(linear.shape, codes[0])
    for cut, step in enumerate(np.diff(codes)):
        mean += step * (1.0 - inverse_link(model, cuts[:, [cut]] - linear))
    return mean


def outcome_of(fit: xr.DataTree) -> str:
    """Name of a fit's response column."""
    return formula_columns(spec_of(fit).formula)[0]
