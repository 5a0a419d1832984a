"""The first two verbs: predictions, and effects (average causal contrasts)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.errors import DataError, shown
from causalbias.estimands.predictor import average_prediction, outcome_of
from causalbias.models.formula import formula_columns
from causalbias.models.result import frame_of, model_of, spec_of
from causalbias.models.spec import row_counts


def predictions(
    fit: xr.DataTree,
    by: str | Sequence[str],
    *,
    scale: str = "response",
    population: str = "these",
) -> xr.Dataset:
    """Average expected outcome in each cell of the data.

    Parameters
    ----------
    fit : Fit
    by : str or sequence of str
        Columns of the model whose combinations are the cells.
    scale : {"response", "link"}
        response: the expected distance, score or probability. link: the linear predictor.
    population : {"these", "typical"}
        these: the seeds and annotators in the data, with their fitted effects. typical: one whose
        effects are zero (with an identity link: the mean over the population they come from).

    Returns
    -------
    Dataset
        ``prediction`` with dims (chain, draw, *by), NaN in cells without rows; ``n`` (*by):
        observations.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> cb.predictions(fit, "level")["prediction"].dims
    ('chain', 'draw', 'level')
    """
    frame = frame_of(fit)
    by = _names(by)
    _check_columns(fit, by)
    cells, index = _cells(frame, by)
    draws = average_prediction(fit, model_of(fit), frame, cells, scale=scale, population=population)
    return _label(fit, frame, "prediction", draws, index, cells, scale, population).assign_attrs(
        estimand=f"average {outcome_of(fit)} by {', '.join(by)}"
    )


def effects(
    fit: xr.DataTree,
    variable: str,
    *,
    by: str | Sequence[str] = (),
    reference: object = None,
    scale: str = "response",
    population: str = "these",
) -> xr.Dataset:
    """Average causal contrast of each level of a variable against a reference level.

    Every row is predicted with the variable set to the level and to the reference, all else held;
    the difference is averaged over the rows. It is causal where the variable was manipulated on
    its own, which is a property of the experiment and not of the model.

    Parameters
    ----------
    fit : Fit
    variable : str
        A column of the model.
    by : str or sequence of str
        Columns of the model within whose combinations to average.
    reference : optional
        By default the lowest level.
    scale, population
        As in `predictions`.

    Returns
    -------
    Dataset
        ``effect`` with dims (chain, draw, variable, *by); ``n`` (*by): observations
        averaged over.

    Raises
    ------
    DataError
        If a column or level is not in the model's data, naming those that are.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> table = cb.summarise(cb.effects(fit, "level"))
    >>> table[["level", "reference"]].values.tolist()
    [[1, 0], [2, 0]]
    """
    frame = frame_of(fit)
    by = _names(by)
    _check_columns(fit, [variable, *by])
    if variable in by:
        raise DataError(f"{variable!r} is both contrasted and in by", mend="leave it out of by")
    levels = np.unique(frame[variable].to_numpy())
    if len(levels) < 2:
        raise DataError(f"{variable!r} has the one level {levels[0]}", mend="nothing to contrast")
    chosen = levels[0] if reference is None else reference
    if chosen not in levels:
        raise DataError(
            f"{shown(chosen)} is not a level of {variable!r}",
            mend=f"use one of {', '.join(map(str, levels))}",
        )
    cells, index = _cells(frame, by)
    model = model_of(fit)
    mean = {
        level: average_prediction(
            fit,
            model,
            _set(frame, variable, level),
            cells,
            scale=scale,
            population=population,
            contrasted=variable,
        )
        for level in levels.tolist()
    }
    contrasts = {level: mean[level] - mean[chosen] for level in mean if level != chosen}
    parts = [
        _label(fit, frame, "effect", draws, index, cells, scale, population)
        for draws in contrasts.values()
    ]
    levels_index = pd.Index(list(contrasts), name=variable)
    joined = xr.concat(parts, levels_index, data_vars=["effect"], combine_attrs="override")
    joined["effect"] = joined["effect"].transpose("chain", "draw", variable, *by)
    return joined.assign_attrs(
        reference=str(chosen),
        contrast=variable,
        estimand=f"average causal contrast of {variable} against {chosen} in {outcome_of(fit)}",
    )


def _names(by: str | Sequence[str]) -> list[str]:
    return [by] if isinstance(by, str) else list(by)


def _check_columns(fit: xr.DataTree, names: Sequence[str]) -> None:
    outcome = outcome_of(fit)
    possible = [name for name in formula_columns(spec_of(fit).formula)[1] if name != outcome]
    for name in names:
        if name not in possible:
            raise DataError(
                f"{name!r} is not a variable of the model", mend=f"use one of {', '.join(possible)}"
            )


def _set(frame: pd.DataFrame, variable: str, level: object) -> pd.DataFrame:
    values = pd.Series(level, index=frame.index).astype(frame[variable].dtype)
    return frame.assign(**{variable: values})


def _cells(frame: pd.DataFrame, by: Sequence[str]) -> tuple[np.ndarray, pd.MultiIndex | None]:
    """Cell of each row, and the cells' labels (None for the single cell of no `by`)."""
    if not by:
        return np.zeros(len(frame), dtype=int), None
    grouped = frame.groupby(list(by), observed=True)
    labels = [key if isinstance(key, tuple) else (key,) for key in grouped.size().index]
    return grouped.ngroup().to_numpy(), pd.MultiIndex.from_tuples(labels, names=list(by))


def _label(
    fit: xr.DataTree,
    frame: pd.DataFrame,
    name: str,
    draws: np.ndarray,
    index: pd.MultiIndex | None,
    cells: np.ndarray,
    scale: str,
    population: str,
) -> xr.Dataset:
    posterior = fit.children["posterior"]
    chains, per_chain = posterior.sizes["chain"], posterior.sizes["draw"]
    cube = draws.reshape(chains, per_chain, -1)
    counts = np.bincount(cells, row_counts(spec_of(fit), frame)).astype(int)
    if index is None:
        data = {name: (("chain", "draw"), cube[:, :, 0]), "n": ((), int(counts[0]))}
        dataset = xr.Dataset(data)
    else:
        stacked = xr.Dataset(
            {name: (("chain", "draw", "cell"), cube), "n": ("cell", counts)},
            coords=xr.Coordinates.from_pandas_multiindex(index, "cell"),
        )
        dataset = stacked.unstack("cell", fill_value={"n": 0})
    return dataset.assign_coords(chain=posterior["chain"], draw=posterior["draw"]).assign_attrs(
        outcome=outcome_of(fit),
        scale=scale,
        population=population,
        failures=fit.attrs["failures"],
        rows=len(frame),
    )
