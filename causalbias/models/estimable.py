"""What a design's rows tell of its coefficients, and of averages and contrasts of new rows.

Where a cell of ``race*sex`` has no rows, or one column is a sum of others, some combinations of
coefficients leave every row as it is: the data say nothing of them. As in R's ``lm`` and lme4, the
last columns of such a combination are left out; as in emmeans, an estimate is made only of what
does not depend on which were.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg

from causalbias.models.columns import triangle_of
from causalbias.models.evaluation import evaluate

Floats = NDArray[np.float64]
TOLERANCE = 1e-8  # of a column's part that is not a combination of others, to the column
SURE = 1e-4  # smallest singular value at which no column needs to be looked at by itself
ESTIMATED, BY_PRIOR, UNKNOWN = 0, 1, 2


@dataclass(frozen=True)
class Estimable:
    """What can be estimated of a model's population terms.

    Attributes
    ----------
    common : formulae CommonEffectsMatrix, or None for no term
        Of the formula as written, p columns.
    labels : tuple of str
        Of the columns, as a summary has them.
    left_out : tuple of str
        Coefficients that the rows do not tell from others, with default priors.
    by_prior : tuple of str
        Those that only priors given by the user tell from others.
    change : ndarray (p, p)
        Rows times this are centred and scaled.
    unknown, free : ndarray (p, k), (p, m)
        Combinations, of changed columns, that data and given priors leave open; that the data do.
    kept : ndarray (p,) of bool
        Which columns are not left out.
    """

    common: Any
    labels: tuple[str, ...]
    left_out: tuple[str, ...]
    by_prior: tuple[str, ...]
    change: Floats
    unknown: Floats
    free: Floats
    kept: NDArray[np.bool_]

    @property
    def whole(self) -> bool:
        """Whether the rows tell of every coefficient, so that all can be estimated."""
        return self.free.shape[1] == 0

    def rows(self, frame: pd.DataFrame) -> Floats:
        """Rows (rows, p) of the formula's design, to be averaged, subtracted and judged."""
        if self.common is None:
            return np.empty((len(frame), 0))
        return evaluate(self.common, frame)

    def judge(self, rows: Floats) -> NDArray[np.int64]:
        """What data and priors tell of the sum of coefficients that each row (rows, p) is.

        Returns
        -------
        ndarray (rows,)
            ESTIMATED, BY_PRIOR (known by a prior that was given, not by data) or UNKNOWN.
        """
        changed = rows @ self.change
        size = 1e-7 * np.maximum(1.0, np.abs(changed).max(axis=1, initial=0.0))[:, None]
        of_prior = (np.abs(changed @ self.free) > size).any(axis=1)
        unknown = (np.abs(changed @ self.unknown) > size).any(axis=1)
        return np.where(unknown, UNKNOWN, np.where(of_prior, BY_PRIOR, ESTIMATED))


def estimable(
    common: Any, given: Collection[str], *, cuts: bool = False, of_spread: Collection[str] = ()
) -> Estimable:
    """What can be estimated of the terms of a design.

    Parameters
    ----------
    common : formulae CommonEffectsMatrix, or None
        Evaluated on the rows.
    given : collection of str
        Terms with priors of the user's: they are never left out.
    cuts : bool
        Whether thresholds stand for an intercept that the design has not.
    of_spread : collection of str
        Those of the terms whose priors are in units of their columns' spread: of a column without
        any they tell nothing.
    """
    labels, names = _labels(common), _terms(common)
    parts = _parts(common)
    if cuts and parts:
        labels, names = ["Intercept", *labels], ["Intercept", *names]
        parts = [np.ones(len(parts[0])), *parts]
    change, doubt, constant = _changed(parts, names)
    own = np.array([name in given for name in names], bool)
    own &= ~(constant & np.array([name in of_spread for name in names], bool))
    root = triangle_of(parts) @ change if parts else np.empty((0, 0))
    free, _ = _aliases(root, np.zeros_like(own), doubt)
    unknown, left = (free, []) if not free.shape[1] else _aliases(root, own, doubt)
    kept = np.ones(len(labels), bool)
    kept[left] = False
    held = (np.abs(free) > 1e-6).any(axis=1) & own
    return Estimable(
        common,
        tuple(labels),
        tuple(label for label, one in zip(labels, kept, strict=True) if not one),
        tuple(label for label, one in zip(labels, held, strict=True) if one),
        change,
        unknown,
        free,
        kept,
    )


def _parts(common: Any) -> list[Floats]:
    """Columns of a design's terms, but for offsets, each (rows,) or (rows, k)."""
    terms = [] if common is None else common.terms.values()
    return [np.asarray(one.data, float) for one in terms if _counts(one)]


def _counts(term: Any) -> bool:
    return bool(term.kind != "offset")


def _terms(common: Any) -> list[str]:
    """Name of the term of each column."""
    found: list[str] = []
    for name, term in {} if common is None else common.terms.items():
        if _counts(term):
            found += [name] * int(np.size(term.data) // len(term.data))
    return found


def _labels(common: Any) -> list[str]:
    found: list[str] = []
    for name, term in {} if common is None else common.terms.items():
        if _counts(term):
            size = int(np.size(term.data) // len(term.data))
            levels = getattr(term, "levels", None) or (range(size) if size > 1 else None)
            label = name.replace("/", "÷")
            found += [label] if levels is None else [f"{label}[{level}]" for level in levels]
    return found


def _changed(parts: list[Floats], names: list[str]) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Matrix (p, p) that centres columns where there is an intercept, and scales them.

    Also, of each column, how much of its size rounding may be, and whether it is constant.
    """
    # column by column: the design may fill a good part of the memory
    columns = [column for one in parts for column in one.reshape(len(one), -1).T]
    change = np.eye(len(columns))
    if not columns or not len(columns[0]):
        return change, np.empty(len(columns)), np.zeros(len(columns), bool)
    means = np.zeros(len(columns))
    if "Intercept" in names:
        first = names.index("Intercept")
        means = np.array([column.mean() for column in columns])
        means[first] = 0.0
        change[first] -= means
    pairs = zip(columns, means, strict=True)
    sizes = np.array([np.linalg.norm(column - mean) for column, mean in pairs])
    norms = np.array([np.linalg.norm(column) for column in columns])
    least = 1e-12 * norms  # what centring leaves of a constant
    scales = np.where(sizes > least, sizes, 1.0)
    largest = np.array([np.abs(column).max() for column in columns])
    largest *= np.sqrt(len(columns[0]))
    doubt = TOLERANCE + 1e3 * np.finfo(float).eps * largest / scales
    constant = np.array([bool(np.ptp(column) == 0) for column in columns])
    return change / scales, doubt, constant


def _aliases(design: Floats, known: NDArray[np.bool_], doubt: Floats) -> tuple[Floats, list[int]]:
    """Combinations (p, k) of columns that are nothing, and the last column of each.

    Columns have a norm of one, or of zero. ``known``: whose coefficients are known otherwise.
    """
    p = design.shape[1]
    gram = design.T @ design + np.diag(known.astype(float))
    if not p or np.linalg.eigvalsh(gram)[0] > SURE:
        return np.empty((p, 0)), []
    root = np.linalg.qr(np.vstack([design, np.diag(known.astype(float))]), mode="r")
    kept: list[int] = []
    left: list[int] = []
    basis = np.empty((len(root), 0))
    for column in range(p):
        rest = root[:, column]
        for _ in range(2):  # the second time takes what rounding left
            rest = rest - basis @ (basis.T @ rest)
        size = float(np.linalg.norm(rest))
        if size > doubt[column]:
            basis = np.column_stack([basis, rest / size])
            kept.append(column)
        else:
            left.append(column)
    nothing = np.zeros((p, len(left)))
    if left:
        nothing[left, range(len(left))] = 1.0
        nothing[kept] = -linalg.lstsq(root[:, kept], root[:, left])[0] if kept else 0.0
        nothing[np.abs(nothing) < 1e-9] = 0.0
    return nothing, left
