"""Monotone effects of ordered predictors in a formula: ``mo(dose)``, as in brms."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from formulae.categorical import CategoricalBox, ContrastMatrix, Encoding

from causalbias.errors import DataError
from causalbias.models.formula.group_terms import group_parts

_CALL = re.compile(r"(?<![\w.`])mo\(([^()]*(?:\([^()]*\)[^()]*)*)\)")


class Steps(Encoding):
    """Each level beside the one before it: column k is one from level k on.

    It is the same beside an intercept and without one, so that the first level is zero.
    """

    def code_with_intercept(self, levels: Sequence[Any]) -> ContrastMatrix:
        """Columns (levels, levels - 1)."""
        return self.code_without_intercept(levels)

    def code_without_intercept(self, levels: Sequence[Any]) -> ContrastMatrix:
        """Columns (levels, levels - 1)."""
        matrix = np.tri(len(levels), dtype=int)[:, 1:]
        return ContrastMatrix(matrix, [str(one) for one in levels[1:]])


def mo(values: Any) -> CategoricalBox:
    """What a formula's ``mo(dose)`` is: a factor of which each level has a step of its own."""
    return CategoricalBox(values, Steps, None)


def check_products(flat: str) -> None:
    """Refuse products of two monotone effects in a formula that is multiplied out.

    Raises
    ------
    DataError
        Naming the term.
    """
    for term in flat.partition("~")[2].split(" + "):
        if len(_CALL.findall(term)) > 1:
            raise DataError(
                f"{term.strip()} is a product of two monotone effects",
                hint="let one of them enter as a factor: C(dose)",
            )


def stepped_columns(formula: str) -> list[str]:
    """Columns of a formula's monotone effects.

    Raises
    ------
    DataError
        If one is of anything but a column, or stands in a group term.

    Examples
    --------
    >>> stepped_columns("y ~ mo(dose)*race + (1|g)")
    ['dose']
    """
    found = [match[1].strip() for match in _CALL.finditer(formula)]
    for one in found:
        if not one.isidentifier():
            raise DataError(
                f"cannot read mo({one})",
                hint="a monotone effect is of one column, whose levels are in order: mo(dose)",
            )
    for part in group_parts(formula):
        if _CALL.search(part.effects):
            raise DataError(
                f"a monotone effect in the group term ({part.effects}|{part.factor})",
                hint="let the column enter there as a number, or as a factor: (C(dose)||seed)",
            )
    return list(dict.fromkeys(found))
