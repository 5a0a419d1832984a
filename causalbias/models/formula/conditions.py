"""Conditions on rows, such as ``race == 'black' and level > 0``: read, checked, and evaluated.

A comparison with a missing cell is neither true nor false, and a row meets a condition where it
is true: Kleene's three-valued logic, as in SQL and in R. pandas takes a missing float or text for
one that differs from every value, and a missing cell of its nullable types for one that is not
known, so that rows would be selected by the dtype of a column.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causalbias.errors import DataError, shown
from causalbias.models.levels import find_level
from causalbias.study.columns import is_number, sizes_of, typed

Bools = NDArray[np.bool_]
EXAMPLE = "write it as column == 'value' and other > 0"
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
MIRRORED = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}
ALLOWED: tuple[type[ast.AST], ...] = (
    *COMPARE,
    *[ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub],
    *[ast.Compare, ast.In, ast.NotIn, ast.Name, ast.Load, ast.Constant, ast.List, ast.Tuple],
)
QUOTED = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|`([^`]*)`""")
MOST = 1e300  # of a number: floats hold it
DATE = re.compile(r"[0-9]{4}-")


@dataclass(frozen=True)
class Condition:
    """A condition that was read.

    Attributes
    ----------
    text : str
        As the user wrote it.
    tree : ast.expr
    columns : dict of str to str
        Names of the columns by the names that they have in `tree`, in order of appearance.
    """

    text: str
    tree: ast.expr
    columns: dict[str, str]


class _Truth(NamedTuple):
    """Of which rows (rows,) something is true, and of which it is false; neither: not known."""

    yes: Bools
    no: Bools


def condition_of(text: str) -> Condition:
    """Read a condition, having checked that it only compares columns with constants.

    Parameters
    ----------
    text : str
        Comparisons (``==``, ``!=``, ``<``, ``in [...]``, ...) and columns of truth values, joined
        by ``and``, ``or`` and ``not``. A name that is not an identifier is in backticks.

    Raises
    ------
    DataError
        If it cannot be read, or does anything else.

    Examples
    --------
    >>> list(condition_of("not same_identity and `the level` in [1, 2]").columns.values())
    ['same_identity', 'the level']
    """
    quoted: dict[str, str] = {}

    def plain(found: re.Match[str]) -> str:
        if found[1] is not None:
            return found[1]
        name = f"_quoted_{len(quoted)}"
        quoted[name] = found[2]
        return name

    try:
        tree = ast.parse(QUOTED.sub(plain, text.strip()), mode="eval")
    except (SyntaxError, RecursionError, MemoryError) as error:  # the last two: nested too deeply
        raise DataError(f"cannot read the subset {text!r} ({error})", hint=EXAMPLE) from None
    nodes = list(ast.walk(tree))
    for one in nodes:
        if not isinstance(one, ALLOWED):
            raise DataError(
                f"the subset {text!r} uses {type(one).__name__}",
                hint="compare columns with constants, joined by and, or, not",
            )
    names = dict.fromkeys(one.id for one in nodes if isinstance(one, ast.Name))
    return Condition(text, tree.body, {name: quoted.get(name, name) for name in names})


def meets(frame: pd.DataFrame, condition: Condition) -> Bools:
    """Which rows of a frame meet a condition, all of whose columns it has.

    A column is what `study.columns.typed` makes of it, whatever its dtype, and dates are compared
    as dates. Levels are compared in their order, texts by their characters, and texts of numbers
    by size.

    Parameters
    ----------
    frame : DataFrame (rows,)
    condition : Condition

    Returns
    -------
    ndarray of bool (rows,)
        False where a missing cell leaves it unknown.

    Raises
    ------
    DataError
        If values are compared with constants of another type, such as text with numbers.

    Examples
    --------
    >>> rows = pd.DataFrame({"race": ["a", None, "b"]})
    >>> meets(rows, condition_of("not race == 'a'")).tolist()
    [False, False, True]
    """
    columns = {name: _column(frame[column]) for name, column in condition.columns.items()}
    try:
        return _truth(condition.tree, columns, len(frame)).yes
    except RecursionError:
        raise DataError("the subset is too long", hint="write it with fewer parts") from None
    except DataError as error:
        raise DataError(
            f"cannot compare as {condition.text!r} says: {error.problem}",
            hint=error.hint,
            column=error.column,
        ) from error


def _column(values: pd.Series) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return pd.Series(pd.DatetimeIndex(pd.to_datetime(values)), name=values.name)
    return typed(values, file="data")


def _truth(tree: ast.expr, columns: Mapping[str, pd.Series], rows: int) -> _Truth:
    match tree:
        case ast.BoolOp(op=joined, values=values):
            parts = [_truth(one, columns, rows) for one in values]
            yes, no = (np.stack(each) for each in zip(*parts, strict=True))
            if isinstance(joined, ast.And):
                return _Truth(yes.all(axis=0), no.any(axis=0))
            return _Truth(yes.any(axis=0), no.all(axis=0))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _not(_truth(operand, columns, rows))
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [left, *others]
            parts = [
                _compared(op, *sides[at : at + 2], columns=columns) for at, op in enumerate(ops)
            ]
            yes, no = (np.stack(each) for each in zip(*parts, strict=True))
            return _Truth(yes.all(axis=0), no.any(axis=0))
        case ast.Name(id=name) if pd.api.types.is_bool_dtype(columns[name].dtype):
            known = columns[name].notna().to_numpy(bool)
            true = columns[name].fillna(False).to_numpy(bool)
            return _Truth(true & known, ~true & known)
        case ast.Name(id=name):
            called = str(columns[name].name)
            raise DataError(
                f"{called!r} is not true or false of each row", hint=EXAMPLE, column=called
            )
    raise DataError("a constant is not true or false of each row", hint=EXAMPLE)


def _not(truth: _Truth) -> _Truth:
    return _Truth(truth.no, truth.yes)


def _compared(
    op: ast.cmpop, left: ast.expr, right: ast.expr, *, columns: Mapping[str, pd.Series]
) -> _Truth:
    """One comparison: of a column with a constant, with any of several, or with a column."""
    if not isinstance(left, ast.Name) and isinstance(right, ast.Name):
        left, right = right, left
        op = MIRRORED.get(type(op), type(op))()
    if not isinstance(left, ast.Name) or (isinstance(op, ast.In | ast.NotIn) and _is_name(right)):
        raise DataError("no column is compared", hint=EXAMPLE)
    values = columns[left.id]
    if isinstance(right, ast.Name):
        return _with_column(values, columns[right.id], COMPARE[type(op)])
    if isinstance(right, ast.List | ast.Tuple):
        if not isinstance(op, ast.In | ast.NotIn | ast.Eq | ast.NotEq):
            raise DataError("several values are neither more nor less than one", hint=EXAMPLE)
        each = [_with_constant(values, _constant(one), operator.eq) for one in right.elts]
        none = _Truth(np.zeros(len(values), bool), values.notna().to_numpy(bool))
        parts = [none, *each]
        found = _Truth(
            np.any([one.yes for one in parts], axis=0), np.all([one.no for one in parts], axis=0)
        )
        return _not(found) if isinstance(op, ast.NotIn | ast.NotEq) else found
    if isinstance(op, ast.In | ast.NotIn):
        raise DataError("in is followed by one value", hint="write column in ['a', 'b']")
    return _with_constant(values, _constant(right), COMPARE[type(op)])


def _is_name(tree: ast.expr) -> bool:
    return isinstance(tree, ast.Name)


def _constant(tree: ast.expr) -> str | float:
    match tree:
        case ast.Constant(value=str() as value):
            return value
        case ast.Constant(value=int() | float() as value):  # or a truth value
            return _number(value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -_number(value)
    raise DataError(
        "what a column is compared with is no text, no number and no column", hint=EXAMPLE
    )


def _number(value: float) -> float:
    if not abs(value) <= MOST:
        raise DataError(f"a number beyond {MOST:g}", hint="leave it out")
    return value


def _with_constant(
    values: pd.Series, constant: str | float, compare: Callable[[Any, Any], Any]
) -> _Truth:
    """Compare each distinct value of a column with a constant of its type."""
    codes, distinct = pd.factorize(values)
    known = codes >= 0
    told = f"{values.name!r} has"
    if isinstance(values.dtype, pd.CategoricalDtype):
        held = _level_holds(values, distinct, constant, compare)
    elif pd.api.types.is_datetime64_any_dtype(values.dtype):
        held = compare(pd.DatetimeIndex(distinct), _moment(values, constant))
    elif pd.api.types.is_bool_dtype(values.dtype) or is_number(values):
        if isinstance(constant, str):
            is_truth = not is_number(values)
            raise DataError(
                f"{told} {'truth values' if is_truth else 'numbers'}, and {constant!r} is text",
                hint=f"write {values.name}, or not {values.name}"
                if is_truth
                else "write the number without quotes",
                column=str(values.name),
            )
        held = compare(np.asarray(distinct, float), constant)
    elif not isinstance(constant, str):
        raise DataError(
            f"{told} texts, and {constant!r} is none",
            hint=f"put it in quotes: '{constant}'",
            column=str(values.name),
        )
    else:
        *each, one = _in_order([*map(str, distinct), constant], compare)
        held = compare(np.array(each, object), one)
    true = np.append(np.asarray(held, bool), False)[codes]  # the last: of missing ones
    return _Truth(true & known, ~true & known)


def _in_order(texts: list[str], compare: Callable[[Any, Any], Any]) -> list[Any]:
    """Texts as they are compared: by size if all are numbers, but "1" does not equal "1.0"."""
    sizes = None if compare in (operator.eq, operator.ne) else sizes_of(texts)
    return texts if sizes is None else list(sizes)


def _level_holds(
    values: pd.Series, distinct: Any, constant: object, compare: Callable[[Any, Any], Any]
) -> Any:
    """Compare levels with one of them: whether it is the same, or in their order."""
    levels = [str(one) for one in values.cat.categories]
    level = find_level(levels, constant)
    if compare not in (operator.eq, operator.ne):
        if not values.cat.ordered:
            raise DataError(
                f"the levels of {values.name!r} have no order",
                hint="list those that are meant: column in ['a', 'b']",
                column=str(values.name),
            )
        if level is None:
            raise DataError(
                f"{shown(constant)} is not a level of {values.name!r}",
                hint=f"use one of {', '.join(levels)}",
                column=str(values.name),
            )
    place = pd.Index(levels).get_indexer(pd.Index(distinct.astype(str)))
    return compare(place, -1 if level is None else levels.index(str(level)))


def _moment(values: pd.Series, constant: object) -> Any:
    """A constant as a moment, in the time zone of a column of dates."""
    zone = values.dt.tz
    moment: Any = pd.NaT
    if isinstance(constant, str) and DATE.match(constant):
        with suppress(
            ValueError
        ):  # no such day; or an hour that a change of clocks skips or repeats
            moment = pd.Timestamp(constant)
            if moment.tzinfo is None and zone is not None:
                moment = moment.tz_localize(zone)
    if pd.isna(moment) or (moment.tzinfo is None) != (zone is None):
        raise DataError(
            f"{values.name!r} has dates{'' if zone is None else f' in {zone}'}, and "
            f"{shown(constant)} is none of them",
            hint="write a day as '2024-03-01', a moment as '2024-03-01T08:00'",
            column=str(values.name),
        )
    return moment


def _with_column(one: pd.Series, other: pd.Series, compare: Callable[[Any, Any], Any]) -> _Truth:
    """Compare two columns, row by row."""
    known = (one.notna() & other.notna()).to_numpy(bool)
    kinds = [_kind(each) for each in (one, other)]
    equal = compare in (operator.eq, operator.ne)
    if kinds[0] != kinds[1] or ("levels" in kinds and not equal):
        raise DataError(
            f"{one.name!r} has {kinds[0]}, and {other.name!r} {kinds[1]}",
            hint="compare numbers with numbers, and text with text",
            column=str(one.name),
        )
    as_kind = float if kinds[0] == "numbers" else object
    first, second = (each[known].astype(as_kind).to_numpy() for each in (one, other))
    if kinds[0] == "texts":
        both = np.array(_in_order([*map(str, first), *map(str, second)], compare), object)
        first, second = both[: len(first)], both[len(first) :]
    true = np.zeros(len(known), bool)
    true[known] = np.asarray(compare(first, second), bool)
    return _Truth(true, ~true & known)


def _kind(values: pd.Series) -> str:
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return "dates"
    if pd.api.types.is_bool_dtype(values.dtype) or is_number(values):
        return "numbers"
    return "levels" if isinstance(values.dtype, pd.CategoricalDtype) else "texts"
