"""Check arguments of public functions, with hints for common mistakes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.errors import DataError

SAMPLE = ("chain", "draw")
FIT = "a fit"
JOINT = "a joint model"
STUDY = "a study"
ROWS = "a study or a table of rows"
DRAWS = "the draws of an estimate"
# Hints by the kind that is needed and the kind that was given.
_WAYS = {
    (FIT, STUDY): "fit a model to it first: fit = cb.fit('distance ~ race + (1|seed)', study)",
    (FIT, "a table"): "fit a model to its rows first: fit = cb.fit('y ~ x', table)",
    (FIT, DRAWS): "give the fit itself, what cb.fit returned; cb.summarise makes tables of draws",
    (DRAWS, FIT): "compute an estimate first, such as cb.effects(fit, 'race') or "
    "cb.coefficients(fit); cb.summary(fit) is the table of a fit's parameters",
    (FIT, JOINT): "fit one outcome by itself with cb.fit; of a joint model there are cb.failures, "
    "cb.summary, cb.effects and cb.joint_model.conditional_bias",
    (DRAWS, JOINT): "compute an estimate first, such as cb.effects(joint, 'race')",
    (DRAWS, "a table"): "give the draws that cb.effects or another verb returned, not their table",
    (DRAWS, STUDY): "fit a model and compute an estimate first: cb.effects(fit, 'race')",
    (ROWS, FIT): "give the study or the table that it was fitted to",
    (ROWS, DRAWS): "give the study or the table of rows, not estimates from it",
    (ROWS, "a text"): "load it first: cb.load or pd.read_csv",
    (STUDY, "a table"): "make a study of it first: cb.make_study, or cb.load('tidy', folder)",
    (STUDY, "a text"): "open it first: cb.open or cb.load",
}
_PLAIN = (str, bytes, int, float, complex, np.generic, type(None), list, tuple, dict, set)
_ELSE = {
    FIT: "give what cb.fit returned",
    DRAWS: "give what cb.effects or another verb returned",
    ROWS: "give a study (cb.load, cb.make_study) or a DataFrame",
    STUDY: "give what cb.load or cb.make_study returned",
    "a function from a fit to draws": "write lambda fit: cb.effects(fit, 'race')",
    "a condition on rows, as text": "write it as column == 'value' and other > 0; of truth values "
    "of rows, give these rows as data: data[chosen]",
    "a formula": "write it as text, before the data: cb.fit('distance ~ race + (1|seed)', study)",
}


def kind_of(value: object) -> str:
    """Return the kind of a value among those that functions take, or the name of its type."""
    if isinstance(value, xr.DataTree):
        if "posterior" in value.children and "spec" in value.attrs:
            return FIT
        if "posterior" in value.children and "terms" in value.attrs:
            return JOINT
        return STUDY if "factors" in value.attrs else "a DataTree"
    if isinstance(value, xr.Dataset | xr.DataArray):
        return DRAWS if set(SAMPLE) <= set(value.dims) else f"a {type(value).__name__}"
    if isinstance(value, pd.DataFrame):
        return "a table"
    if isinstance(value, str):
        return "a text"
    return "nothing" if value is None else f"a {type(value).__name__}"


def described(value: object) -> str:
    """Describe a value for an error.

    Examples
    --------
    >>> described("race"), described(pd.DataFrame({"a": [1]})), described(None)
    ("the text 'race'", 'a table with columns a', 'nothing')
    >>> described([pd.DataFrame({"a": [1]})] * 2), described([1, "a"])
    ('a list of 2: a table', "[1, 'a']")
    """
    kind = kind_of(value)
    if isinstance(value, str):
        return f"the text {value if len(value) <= 40 else value[:37] + '...'!r}"
    if isinstance(value, pd.DataFrame):
        names = ", ".join(map(str, value.columns[:6]))
        return f"a table with columns {names}" + (", ..." if value.shape[1] > 6 else "")
    if isinstance(value, list | tuple | dict):
        parts = value.values() if isinstance(value, dict) else value
        kinds = list(dict.fromkeys(map(kind_of, parts)))
        if not all(isinstance(one, _PLAIN) for one in parts):  # whole fits and tables
            return f"a {type(value).__name__} of {len(value)}: {', '.join(kinds[:4])}"
    if isinstance(value, int | float | list | tuple | dict):
        return repr(value)[:60]
    if isinstance(value, xr.Dataset) and kind == DRAWS:
        return f"{kind} ({', '.join(map(str, value.data_vars))})"
    return kind


def not_what(value: object, wanted: str) -> DataError:
    """Make the error of a value of the wrong kind.

    Examples
    --------
    >>> print(not_what("race", FIT))
    a fit is needed here, and the text 'race' was given. Hint: give what cb.fit returned.
    """
    return DataError(
        f"{wanted} is needed here, and {described(value)} was given",
        hint=_WAYS.get((wanted, kind_of(value)), _ELSE.get(wanted, "give that")),
    )


def need_fit(value: object) -> None:
    """Raise unless a value is a fit."""
    if kind_of(value) != FIT:
        raise not_what(value, FIT)
    assert isinstance(value, xr.DataTree)
    _check_draws(value)


def _check_draws(fit: xr.DataTree) -> None:
    """Refuse a fit of whose draws none, or one without its dim, was selected."""
    sizes = fit.children["posterior"].sizes
    for dim in SAMPLE:
        if not sizes.get(dim, 0):
            raise DataError(
                f"the fit has no {dim}"
                + (
                    ": its number was selected, which leaves out the dim"
                    if dim not in sizes
                    else ""
                ),
                hint=f"select a list of them: fit.isel({dim}=[0])",
            )


def need_posterior(value: object) -> None:
    """Raise unless a value is a fit or a joint model."""
    if kind_of(value) == JOINT and isinstance(value, xr.DataTree):
        _check_draws(value)
    else:
        need_fit(value)


def need_rows(value: object) -> None:
    """Raise unless a value is a study or a table of rows."""
    if not (isinstance(value, pd.DataFrame) or kind_of(value) == STUDY):
        raise not_what(value, ROWS)


def need_study(value: object) -> None:
    """Raise unless a value is a study."""
    if kind_of(value) != STUDY:
        raise not_what(value, STUDY)


def need_function(value: object) -> None:
    """Raise unless a value is a function from a fit to draws."""
    if not callable(value):
        raise not_what(value, "a function from a fit to draws")


def names_in(value: object, argument: str) -> tuple[str, ...]:
    """Check that a value is the name of a column, or a sequence of names; return a tuple.

    Examples
    --------
    >>> names_in("race", "by"), names_in(["race", "gender"], "by"), names_in((), "by")
    (('race',), ('race', 'gender'), ())
    """
    if isinstance(value, str):
        return (value,)
    listed = isinstance(value, Sequence | pd.Index)
    found = tuple(value) if isinstance(value, Sequence | pd.Index) else ()
    if not listed or not all(isinstance(one, str) for one in found):
        raise DataError(
            f"{argument} is {described(value)}",
            hint=f"give the name of a column as text, or a list of names: {argument}=['race']",
        )
    return found


def name_in(value: object, argument: str, *known: str) -> str:
    """Check that a value is a name, and among the known ones if these are given."""
    if not isinstance(value, str) or (known and value not in known):
        hint = f"use one of {', '.join(known)}" if known else "give the name of a column as text"
        raise DataError(f"{argument} is {described(value)}", hint=hint)
    return value


def number_in(
    value: object, argument: str, low: float = -math.inf, high: float = math.inf
) -> float:
    """Check that a value is a finite number strictly between two others.

    Examples
    --------
    >>> number_in(0.95, "prob", 0, 1)
    0.95
    """
    between = f" between {low:g} and {high:g}" if math.isfinite(low) else ""
    if math.isfinite(low) and not math.isfinite(high):
        between = f" above {low:g}" if low >= 0 or low < -1e-200 else " of 0 or more"
    wanted = DataError(f"{argument} is {described(value)}", hint=f"give a number{between}")
    if isinstance(value, str | bytes | bool) or np.ndim(value) != 0:  # type: ignore[arg-type]
        raise wanted
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise wanted from None
    if not (math.isfinite(found) and low < found < high):
        raise DataError(f"{argument} is {found:g}", hint=f"give a number{between}")
    return found


def whole_in(value: object, argument: str, least: int = 0) -> int:
    """Check that a value is a whole number, and at least `least`.

    Examples
    --------
    >>> whole_in(4, "chains", 1)
    4
    """
    hint = f"give a whole number from {least}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise DataError(f"{argument} is {described(value)}", hint=hint)
    if value < least:
        raise DataError(f"{argument} is {value}", hint=hint)
    return int(value)


def generator(random_seed: object, *stream: int) -> np.random.Generator:
    """Make the generator of random numbers of a seed, for all public functions.

    Parameters
    ----------
    random_seed : int
        Seed, 0 or more. The same seed gives the same random numbers.
    *stream : int
        Identifies a separate stream of random numbers of the same seed.

    Raises
    ------
    DataError
        If the seed is not a whole number of 0 or more. NumPy would accept None, but the results
        would not be reproducible.

    Examples
    --------
    >>> int(generator(7).integers(100)), int(generator(7).integers(100))
    (94, 94)
    """
    seed = whole_in(random_seed, "random_seed")
    return np.random.default_rng([seed, *stream] if stream else seed)


def flag_in(value: object, argument: str) -> bool:
    """Check that a value is True or False, and not another object such as the text "no".

    Examples
    --------
    >>> flag_in(np.bool_(True), "opposite")
    True
    """
    if not isinstance(value, bool | np.bool_):
        raise DataError(
            f"{argument} is {described(value)}", hint=f"give {argument}=True or {argument}=False"
        )
    return bool(value)


def mapping_in(value: object, argument: str, example: str) -> Mapping[Any, Any]:
    """Check that a value is a mapping."""
    if not isinstance(value, Mapping) or not all(isinstance(one, str) for one in value):
        raise DataError(f"{argument} is {described(value)}", hint=f"give {example}")
    return value


def two_in(value: object, argument: str, example: str) -> tuple[Any, Any]:
    """Check that a value is a sequence of two."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise DataError(f"{argument} is {described(value)}", hint=f"give two: {example}")
    return value[0], value[1]


def wholes_in(values: object, argument: str, least: int = 0) -> list[int]:
    """Check that values are one or more whole numbers, each at least `least` and there once.

    Examples
    --------
    >>> wholes_in(range(10, 40, 10), "sizes", 2)
    [10, 20, 30]
    """
    listed = isinstance(values, Sequence | np.ndarray | pd.Index) and not isinstance(values, str)
    found = [whole_in(one, argument, least) for one in values] if listed else []  # type: ignore[attr-defined]
    if not found:
        what = "empty" if listed else described(values)
        raise DataError(f"{argument} is {what}", hint=f"give a list of whole numbers from {least}")
    if twice := [one for one in found if found.count(one) > 1]:
        raise DataError(f"{argument} has {twice[0]} more than once", hint="give each number once")
    return found


def rope_in(value: object) -> tuple[float, float]:
    """Check that a value is a region of practical equivalence: its lower and its upper end.

    Examples
    --------
    >>> rope_in((-0.01, 0.01))
    (-0.01, 0.01)
    """
    low, high = (number_in(one, "rope") for one in two_in(value, "rope", "rope=(-0.01, 0.01)"))
    if not low < high:
        raise DataError(f"the ROPE {low:g} to {high:g} is empty", hint="give (lower, upper)")
    return low, high


def as_draws(value: object) -> xr.Dataset:
    """Return the draws of an estimate as a Dataset; a DataArray becomes a variable of one.

    The draws of one chain that was selected by its number have a chain again.

    Examples
    --------
    >>> one = xr.DataArray(np.zeros((1, 2)), dims=("chain", "draw"), name="effect")
    >>> list(as_draws(one))
    ['effect']
    """
    if isinstance(value, xr.DataTree) and set(SAMPLE) <= set(value.dims):  # fit["posterior"]
        return value.to_dataset()
    if isinstance(value, xr.DataArray) and kind_of(value) == DRAWS:
        return value.to_dataset(name=value.name or "value").assign_attrs(value.attrs)
    if not isinstance(value, xr.Dataset):
        raise not_what(value, DRAWS)
    if "draw" in value.dims and "chain" not in value.dims:
        names = [name for name, one in value.data_vars.items() if "draw" in one.dims]
        return value.assign({name: value[name].expand_dims("chain") for name in names})
    return value
