"""Covariates measured with known error in a formula: ``me(age, se)``, as in brms."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalbias.errors import DataError
from causalbias.models.formula.group_terms import group_parts

_CALL = re.compile(r"(?<![\w.`])me\(([^()]*)\)")
_NAME = re.compile(r"`[^`]+`|[^\W\d]\w*")


@dataclass(frozen=True)
class Measured:
    """A covariate of which a column holds measurements.

    Attributes
    ----------
    column : str
        The measurements.
    sd : str or float
        Column, or number, of their standard errors.
    group : str, optional
        Column of what was measured, where several rows have one measurement in common.
    """

    column: str
    sd: str | float
    group: str | None = None

    def __str__(self) -> str:
        own = [self.column, f"{self.sd}", *([f"gr={self.group}"] if self.group else [])]
        return f"me({', '.join(own)})"


def measured(formula: str) -> list[Measured]:
    """Covariates of a formula that are measured with error, each once.

    Raises
    ------
    DataError
        If one is of anything but columns, stands in a group term, beside itself in a product, or is
        in the formula without its error, too.

    Examples
    --------
    >>> [str(one) for one in measured("y ~ me(age, se)*race + me(pose, 0.1, gr=face) + (1|g)")]
    ['me(age, se)', 'me(pose, 0.1, gr=face)']
    """
    found = list(dict.fromkeys(_read(match[1]) for match in _CALL.finditer(formula)))
    if not found:
        return found
    for part in group_parts(formula):
        if _CALL.search(part.effects):
            raise DataError(
                f"a covariate measured with error in the group term ({part.effects}|{part.factor})",
                hint="let its effect be the same in all groups, or let the measurement enter there",
            )
    right = _CALL.sub("_", formula.partition("~")[2])
    for one in found:
        names = [two.column for two in found]
        elsewhere = re.search(rf"(?<!\w){re.escape(one.column)}(?!\w)", right)
        if elsewhere or names.count(one.column) > 1:
            raise DataError(
                f"the formula has {one.column!r} with one error and with another, or without",
                hint=f"write {one} in all its terms",
                column=one.column,
            )
    return found


def me(values: Any, sd: Any, gr: Any = None) -> NDArray[np.float64]:  # noqa: ARG001
    """What a formula's ``me(age, se)`` is on rows: the column, of which true values are the same.

    Verbs set it to true values, and models of measurements correct it.
    """
    return np.asarray(values, float)


def _read(text: str) -> Measured:
    """What stands in the parentheses."""
    given: dict[str, str] = {}
    order = iter(("column", "sd"))
    for one in text.split(","):
        keyword, equals, value = one.partition("=")
        key = {"gr": "group", "sdx": "sd"}.get(keyword.strip()) if equals else next(order, None)
        if key is None or key in given:
            raise _unread(text)
        given[key] = (value if equals else one).strip()
    named = {key: one.strip("`") for key, one in given.items() if _NAME.fullmatch(one)}
    if "column" not in named or "sd" not in given or set(given) - set(named) - {"sd"}:
        raise _unread(text)
    if "sd" in named:
        return Measured(named["column"], named["sd"], named.get("group"))
    try:
        return Measured(named["column"], float(given["sd"]), named.get("group"))
    except ValueError:
        raise _unread(text) from None


def _unread(text: str) -> DataError:
    return DataError(
        f"cannot read me({text})",
        hint="name the column of measurements and that of their standard errors, or one number for "
        "all: me(age, se); and what was measured where rows have it in common: "
        "me(age, se, gr=face)",
    )
