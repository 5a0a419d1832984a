"""Columns of a design matrix on new rows, whatever levels those rows have."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from formulae.terms.call import Call
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from causalbias.errors import DataError

# Functions of formulae that read their levels from whatever rows they are given.
OF_ROWS = ("binary(", "B(")
OF_A_RANGE = ("bs(", "poly(")  # curves that rows tell of only between their least and greatest
UNSEEN = "not present in the original data set"  # what formulae says of levels in new rows


class UnseenLevelError(DataError):
    """A number in new rows that the formula takes for a level, and that is none of the fit's."""


def evaluate(common: Any, frame: pd.DataFrame) -> NDArray[np.float64]:
    """Design matrix (rows, p) of new rows, without their offsets.

    Rows of a counterfactual have one level of a factor, of which formulae would make another
    coding in ``C(factor)``, or other numbers in ``binary(column)``. They are evaluated beside rows
    of the data that have all levels.

    Parameters
    ----------
    common : formulae CommonEffectsMatrix
        Evaluated on the data of the model.
    frame : DataFrame
        Rows with the columns of the formula, as `model_frame` has them.

    Raises
    ------
    DataError
        If a column of `bs()` or `poly()` is outside the range of the data of the model.
    """
    _check_inside(common, frame)
    return _evaluated(common, frame)[:, ~_known(common)]


def _check_inside(common: Any, frame: pd.DataFrame) -> None:
    curved = {
        name: str(one.name)
        for term in common.terms.values()
        for one in getattr(term, "components", [])
        if isinstance(one, Call) and str(one.name).startswith(OF_A_RANGE)
        for name in one.var_names
        if name in common.data and is_numeric_dtype(common.data[name].dtype)
    }
    for name, term in curved.items():
        low, high = float(common.data[name].min()), float(common.data[name].max())
        values = frame[name].to_numpy(float)
        room = 1e-9 * (high - low)
        outside = values[(values < low - room) | (values > high + room)]
        if len(outside):
            raise DataError(
                f"{outside[0]:g} is outside the values that {term} was fitted to, from {low:g} to "
                f"{high:g}, and nothing in the data says how the curve goes on",
                hint="ask for values between these; with change=, give newdata= of rows that stay "
                "between them",
                column=name,
            )


def evaluate_offset(common: Any, frame: pd.DataFrame) -> NDArray[np.float64]:
    """Sum (rows,) of the offsets of new rows; arguments as of `evaluate`."""
    known = _known(common)
    if not known.any():
        return np.zeros(len(frame))
    return np.asarray(_evaluated(common, frame)[:, known].sum(axis=1))


def _known(common: Any) -> NDArray[np.bool_]:
    """Which columns (p,) of a design are offsets, whose coefficient is one."""
    terms = common.terms.values()  # bambi leaves slices as they were where it drops an intercept
    sizes = [int(np.size(term.data) // len(term.data)) for term in terms]
    return np.repeat([term.kind == "offset" for term in terms], sizes)


def _evaluated(common: Any, frame: pd.DataFrame) -> NDArray[np.float64]:
    known = _with_every_level(common)
    both = frame if known is None else pd.concat([frame[list(known)], known], ignore_index=True)
    try:
        found = common.evaluate_new_data(both).design_matrix
    except ValueError as error:
        if UNSEEN not in str(error):
            raise
        raise UnseenLevelError(
            f"numbers that the formula takes for levels are none of the fit's ({error})",
            hint="give levels of the fit; a column without C() is taken as numbers",
        ) from error
    return np.asarray(found, np.float64)[: len(frame)]


def read_as_levels(terms: Mapping[str, Any]) -> set[str]:
    """Columns whose numbers formulae's terms take for levels, as ``C(level)`` does."""
    return {
        name
        for term in terms.values()
        for one in getattr(term, "components", [])
        if isinstance(one, Call)
        and (one.kind == "categoric" or any(own in str(one.name) for own in OF_ROWS))
        for name in one.var_names
    }


def _with_every_level(common: Any) -> pd.DataFrame | None:
    """Rows of the data with all levels of what functions make of factors; None for no function."""
    columns: dict[str, None] = {}
    looked_at: dict[str, None] = {}
    for term in common.terms.values():
        for component in getattr(term, "components", []):
            names = [name for name in sorted(component.var_names) if name in common.data]
            columns |= dict.fromkeys(names)
            if isinstance(component, Call):
                read = any(one in str(component.name) for one in OF_ROWS)
                looked_at |= dict.fromkeys(
                    name
                    for name in names
                    if read or isinstance(common.data[name].dtype, pd.CategoricalDtype)
                )
    if not looked_at:
        return None
    new = np.zeros(len(common.data), bool)
    for name in looked_at:
        new |= ~common.data[name].duplicated().to_numpy()
    return common.data.loc[new, list(columns)]


def forget_rows(common: Any, frame: pd.DataFrame) -> None:
    """Let go of what a design holds of each row, in place; it is still evaluated on others.

    Else memory would hold every column twice more: as formulae read it, and in the matrix.

    Parameters
    ----------
    common : formulae CommonEffectsMatrix
    frame : DataFrame
        The rows that it was made of.
    """
    common.data, common.design_matrix = frame, common.design_matrix[:1].copy()
    for term in common.terms.values():
        term.data = term.data[:1].copy()
        for one in getattr(term, "components", []):
            if isinstance(one._intermediate_data, pd.Series | np.ndarray):
                one._intermediate_data = one._intermediate_data[:1].copy()
            if np.ndim(one.value):
                one.value = one.value[:1].copy()


def without_slashes(common: Any) -> None:
    """Write divisions in the names of a design's terms as ÷, in place."""
    for term in common.terms.values():
        for one in getattr(term, "components", []):
            one.name = portable(one.name)
    common.terms = {portable(name): term for name, term in common.terms.items()}
    common.slices = {portable(name): one for name, one in common.slices.items()}


def portable(name: str) -> str:
    """A term's name as a posterior has it: files and trees take a / for a path.

    Examples
    --------
    >>> portable("I(age / 10)")
    'I(age ÷ 10)'
    """
    return name.replace("/", "÷")
