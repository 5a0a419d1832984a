"""Rows at which a fit is asked for predictions: a grid of chosen values, or the user's own."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from pandas.api import types

from causalbias.arguments import described, need_fit
from causalbias.errors import DataError, shown
from causalbias.io.memory import check_memory
from causalbias.models.evaluation import read_as_levels
from causalbias.models.fitted import FittedModel, fitted
from causalbias.models.formula.group_terms import group_parts
from causalbias.models.formula.parse import formula_columns
from causalbias.models.levels import level_of, levels_of
from causalbias.models.specification import check_positive, missing_values, observations_of
from causalbias.study.columns import measured


def datagrid(fit: xr.DataTree, **values: Any) -> pd.DataFrame:
    """Make rows of all combinations of chosen values, other columns held at typical ones.

    Like marginaleffects' ``datagrid``: a column that is not given is held at its mean, if it is
    numeric, or at its most frequent level (the first of those that are equally frequent). Numbers
    that the formula takes for levels, as in ``C(level)`` and ``(1|level)``, are held at a level.

    Parameters
    ----------
    fit : Fit
        The fitted model.
    **values
        By column of the model, the value or the values: ``race=["black", "white"], pose=0``.

    Returns
    -------
    DataFrame
        A row each combination, with the columns of the population's terms, of slopes of groups and
        of ``thres(gr=item)``; for `predictions` and `effects` as `newdata`. Without columns that
        name groups, their outcomes are those of new ones.

    Raises
    ------
    DataError
        If a column is not one of the model's, or has no such level.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> cb.datagrid(fit, level=[0, 2])["level"].tolist()
    [0, 2]
    """
    need_fit(fit)
    model = fitted(fit)
    columns = _predictors(model)
    for name in values:
        if name not in model.frame or name == model.response.column:
            raise DataError(
                f"{name!r} is not a variable of the model", hint=f"use one of {', '.join(columns)}"
            )
    given = {
        name: _values(model.frame[name], one, name) for name, one in values.items()
    }  # also of columns of groups
    total = float(np.prod([len(one) for one in given.values()] or [1]))
    check_memory(total * (len(columns) + 1), f"{total:,.0f} rows", "give fewer values")
    counts = observations_of(model.spec, model.frame)
    levels = _levels_by_number(model)
    held = {
        name: _typical(model.frame[name], counts, name in levels)
        for name in columns
        if name not in given
    }
    rows = [dict(zip(given, one, strict=True)) for one in itertools.product(*given.values())]
    grid = pd.DataFrame(rows, index=range(len(rows))).assign(**held)
    order = [*given, *held]
    return grid[order]


def rows_at(
    model: FittedModel, newdata: pd.DataFrame, needed: Sequence[str], optional: Sequence[str] = ()
) -> pd.DataFrame:
    """Rows of new data as rows of a fit: its columns, their types and levels.

    Weights that the data do not have are one. Other columns that are not needed, such as those of
    groups and the response, are those of the fit's first row, whatever the data have there: no
    outcome of new or typical groups depends on them.

    Parameters
    ----------
    model : FittedModel
    newdata : DataFrame
    needed, optional : sequence of str
        Columns on which the outcome depends, and others that are taken where the data have them.

    Raises
    ------
    DataError
        If a column is missing or has missing values, a level is not among the fit's, or what is a
        number there is none here.
    """
    if not isinstance(newdata, pd.DataFrame):
        raise DataError(
            f"newdata is {described(newdata)}",
            hint="give a DataFrame, such as cb.datagrid(fit, race=['black', 'white'])",
        )
    if newdata.empty:
        raise DataError("newdata has no rows", hint="give one row or more")
    found: dict[str, pd.Series] = {}
    for name in map(str, model.frame):
        own = model.frame[name]
        if name in newdata and name in (*needed, *optional, model.spec.weights):
            found[name] = _as_fitted(own, newdata[name].reset_index(drop=True), name)
        elif name in needed:
            raise lacks_column(name)
        else:
            value = 1 if name == model.spec.weights else own.iloc[0]
            found[name] = pd.Series([value] * len(newdata)).astype(own.dtype)
    if model.spec.weights is not None:
        own = found[model.spec.weights].rename(model.spec.weights)
        check_positive(own, whole=False, file="newdata")
    return pd.DataFrame(found)


def lacks_column(name: str) -> DataError:
    """The error of new data without a column on which the outcome depends."""
    return DataError(
        f"newdata lack the column {name!r}",
        hint=f"add it, or make rows with cb.datagrid, which holds {name!r} at a typical value or "
        "takes it as an argument",
        column=name,
    )


def _as_fitted(own: pd.Series, values: pd.Series, name: str) -> pd.Series:
    if isinstance(values, pd.DataFrame):
        raise DataError("two columns have this name", hint="rename one", column=name)
    values = values.rename(name)
    if values.isna().any():
        hint = "leave those rows out, or fill them in"
        raise missing_values(values, hint=hint, file="newdata")
    if not types.is_numeric_dtype(own.dtype):
        levels = levels_of(own)
        codes, distinct = pd.factorize(values)
        known = np.array([level_of(levels, one, name) for one in distinct], dtype=object)
        return pd.Series(known[codes]).astype(own.dtype)
    numbers = measured(values, file="newdata").to_numpy(float)  # as the fit's were
    if not np.isfinite(numbers).all():
        row = int(np.argmin(np.isfinite(numbers)))
        raise DataError(
            f"{shown(values.iloc[row])} is no finite number, as the fit's are",
            hint="correct it",
            file="newdata",
            column=name,
            row=row + 1,
        )
    whole = types.is_integer_dtype(own.dtype) and bool((numbers == np.round(numbers)).all())
    return pd.Series(numbers.astype(np.int64) if whole else numbers)


def _predictors(model: FittedModel) -> list[str]:
    """Columns of terms of the population and of slopes of groups, of parts too, in their order."""
    response, known = model.response.column, set(model.population_columns)
    for one in model.spec.formulas:
        for part in group_parts(one):
            known.update(formula_columns(f"response__ ~ {part.effects}")[1])
    return [name for name in model.columns if name in known and name != response]


def _levels_by_number(model: FittedModel) -> set[str]:
    """Columns whose numbers are levels to the formula: between them there is nothing."""
    found = {name for name in (model.spec.limits.group,) if name is not None}
    for one in (model, *model.parts.values()):
        found |= read_as_levels(one.common_terms)
        found.update(name for group in one.groups for names in group.members for name in names)
    return found


def _values(own: pd.Series, given: Any, name: str) -> list[Any]:
    listed = list(given) if types.is_list_like(given) else [given]
    if not listed:
        raise DataError(f"no value of {name!r} is given", hint="give one or more")
    return _as_fitted(own, pd.Series(listed, dtype=object), name).tolist()


def _typical(own: pd.Series, counts: np.ndarray, of_levels: bool) -> Any:
    if types.is_numeric_dtype(own.dtype) and not of_levels:
        return float(np.average(own.to_numpy(float), weights=counts))
    levels = levels_of(own)
    weight = [counts[(own == level).to_numpy()].sum() for level in levels]
    return levels[int(np.argmax(weight))]
