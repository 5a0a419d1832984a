"""Contrasts of factors: ``C(race, Sum)``, ``C(race, Helmert)``, ``C(race, Treatment("white"))``."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from bambi.transformations import transformations_namespace
from formulae import expr as node
from formulae.categorical import ContrastMatrix, Encoding, Sum, Treatment

from causalbias.errors import DataError
from causalbias.models.formula.measured import me
from causalbias.models.formula.steps import mo


class Helmert(Encoding):
    """Each level but the first beside the mean of those before it, as R's ``contr.helmert``."""

    def code_with_intercept(self, levels: Sequence[Any]) -> ContrastMatrix:
        """Columns (levels, levels) that span the intercept."""
        own = self.code_without_intercept(levels)
        whole = np.column_stack([np.ones(len(levels), int), own.matrix])
        return ContrastMatrix(whole, ["mean", *own.labels])

    def code_without_intercept(self, levels: Sequence[Any]) -> ContrastMatrix:
        """Columns (levels, levels - 1): minus one before a level, and their number at it."""
        n = len(levels)
        matrix = -np.triu(np.ones((n, n), int), 1)[:, 1:]
        matrix[np.arange(1, n), np.arange(n - 1)] = np.arange(1, n)
        return ContrastMatrix(matrix, [str(one) for one in levels[1:]])


CONTRASTS = {"Sum": Sum, "Treatment": Treatment, "Helmert": Helmert}
# What formulas have besides bambi's functions.
OWN: dict[str, Any] = {**CONTRASTS, "mo": mo, "me": me}
NAMESPACE: dict[str, Any] = dict(transformations_namespace) | OWN


def without_contrast(call: node.Call) -> list[Any]:
    """The arguments of ``C(...)`` but for its contrast, which is no column.

    Raises
    ------
    DataError
        If the contrast is called with anything but numbers and texts.
    """
    return [given for at, given in enumerate(call.args) if not (at and _is_contrast(given))]


def _is_contrast(given: Any) -> bool:
    value = given.value if isinstance(given, node.Assign) else given
    match value:
        case node.Variable(name=name):
            return name.lexeme in CONTRASTS
        case node.Call(callee=node.Variable(name=name)) if name.lexeme in CONTRASTS:
            levels = [one.value if isinstance(one, node.Assign) else one for one in value.args]
            if not all(isinstance(one, node.Literal) for one in levels):
                raise DataError(
                    f"{name.lexeme}(...) is of something else than a level",
                    hint=f"write the level: C(race, {name.lexeme}('white'))",
                )
            return True
    return False
