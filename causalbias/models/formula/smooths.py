"""Smooth terms of a formula: ``s(x)``, ``s(x, k=5)`` and ``s(x, by=race)``, as in mgcv and brms."""

import re
from dataclasses import dataclass

from causalbias.errors import DataError

LEAST, MOST = 3, 100  # functions of a basis
_CALL = re.compile(r"(?<![\w.`])s\(([^()]*(?:\([^()]*\)[^()]*)*)\)")


@dataclass(frozen=True)
class Smooth:
    """One smooth term.

    Attributes
    ----------
    column : str
        The variable that the curve is of.
    by : str
        A factor, each level of which has a curve of its own; empty for one curve.
    size : int, optional
        Number of functions of the basis, the straight line and the constant among them.
    """

    column: str
    by: str = ""
    size: int | None = None

    @property
    def line(self) -> str:
        """The term of the population in which a straight line is."""
        return f"{self.by}:{self.column}" if self.by else self.column


def smooths(formula: str) -> list[Smooth]:
    """The smooth terms of a formula, in order.

    Raises
    ------
    DataError
        If one cannot be read, or is there twice.

    Examples
    --------
    >>> [(one.column, one.by, one.size) for one in smooths("y ~ s(x) + s(pose, by=race, k=5)")]
    [('x', '', None), ('pose', 'race', 5)]
    """
    found = [_read(match[0], match[1]) for match in _CALL.finditer(formula)]
    places = [(one.column, one.by) for one in found]
    for one, place in zip(found, places, strict=True):
        if places.count(place) > 1:
            raise DataError(
                f"two smooth terms of {one.column!r}", hint="leave one out", column=one.column
            )
    return found


def without_smooths(formula: str) -> str:
    """The formula with the straight line of each smooth term in its place.

    Examples
    --------
    >>> without_smooths("y ~ race + s(x) + s(pose, by=race)")
    'y ~ race + x + race:pose'
    """
    return _CALL.sub(lambda match: _read(match[0], match[1]).line, formula)


def _read(written: str, arguments: str) -> Smooth:
    first, *rest = (one.strip() for one in arguments.split(","))
    given = {}
    for one in rest:
        name, _, value = (part.strip() for part in one.partition("="))
        given[name] = value
    by, size = given.pop("by", ""), given.pop("k", None)
    known = given in ({}, {"bs": "'tp'"}, {"bs": '"tp"'}) and len(rest) == len(set(rest))
    if not (known and first.isidentifier() and (by == "" or by.isidentifier())):
        raise DataError(
            f"cannot read the smooth term {written}",
            hint="name a column, and k= or by= where needed: s(pose, by=race, k=5); bases are thin "
            "plate splines",
        )
    if size is not None and not (size.isdigit() and LEAST <= int(size) <= MOST):
        raise DataError(
            f"k of {written} is {size}", hint=f"give a whole number from {LEAST} to {MOST}"
        )
    return Smooth(first, by, None if size is None else int(size))
