"""Smooth terms as mixed models: a straight line, and functions with normal coefficients.

A thin plate spline in one variable (Duchon; of second derivatives, it is the natural cubic spline)
is ``f(x) = a + b x + sum_j d_j |x - k_j|^3 / 12`` with ``T'd = 0``, T the rows (1, k_j), and
``integral f''^2 = d' E d``, E the matrix of ``|k_i - k_j|^3 / 12``. Of the knots, which are all
distinct x, the K combinations of largest eigenvalues of E are kept, ``E ~ U D U'``, so that
``d = U Z g`` with ``T'U Z = 0`` has K - 2 coefficients g (Wood, 2003, Thin plate regression
splines, JRSS B 65(1)). A normal prior of f, of density ``exp(-integral f''^2 / (2 s^2))``, is one
of coefficients ``u = (Z'D Z)^(1/2) g`` that are independent with standard deviation s: effects that
vary over the functions of the basis, of which a row is a member of all. It is mgcv's ``s(x)``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype
from scipy import linalg

from causalbias.errors import DataError
from causalbias.models.evaluation import portable
from causalbias.models.formula.smooths import LEAST, Smooth, smooths
from causalbias.models.group_design import GroupDesign

Floats = NDArray[np.float64]
SIZE = 10  # functions of a basis by default, as in mgcv
MAX_KNOTS = 1000  # of more distinct values, evenly spaced ones
BLOCK = 4096  # values whose distances from all knots are held at once


@dataclass(frozen=True)
class Basis:
    """Functions of one variable.

    Attributes
    ----------
    centre, width : float
        What is subtracted from the variable, and what it is divided by.
    knots : ndarray (knots,)
        In those units.
    combine : ndarray (knots, m)
        Columns of ``|x - knot|^3`` times this are the functions, but for a straight line each.
    line : ndarray (2, m)
        Of the straight lines that are taken from them.
    """

    centre: float
    width: float
    knots: Floats
    combine: Floats
    line: Floats

    @classmethod
    def of(cls, values: Floats, size: int | None, name: str) -> "Basis":
        """The basis of a column's values (rows,).

        Over the rows its functions have no straight line in them, and the sum of their squares has
        a mean of one: the standard deviation of their coefficients is that of the curve about its
        line in a typical row.

        Raises
        ------
        DataError
            If there are too few distinct values.
        """
        distinct = np.unique(values)
        size = min(SIZE, len(distinct)) if size is None else size
        if len(distinct) < max(size, LEAST):
            raise DataError(
                f"{name!r} has {len(distinct)} distinct values, fewer than the {max(size, LEAST)} "
                "functions of its smooth term",
                hint=f"give a smaller k, {LEAST} at least, or model it as {name}",
                column=name,
            )
        if len(distinct) > MAX_KNOTS:
            distinct = distinct[np.linspace(0, len(distinct) - 1, MAX_KNOTS).round().astype(int)]
        centre, width = float(distinct.mean()), float(np.ptp(distinct))
        knots = (distinct - centre) / width
        radial = np.abs(knots[:, None] - knots) ** 3 / 12
        value, vector = linalg.eigh(radial)
        kept = np.argsort(-np.abs(value), kind="stable")[:size]
        value, vector = value[kept], vector[:, kept]
        free = linalg.null_space(np.column_stack([np.ones(len(knots)), knots]).T @ vector)
        penalty = free.T @ (value[:, None] * free)
        root = linalg.cholesky(penalty, lower=True)
        combine = linalg.solve_triangular(root, (vector @ free).T, lower=True).T
        raw = cls(centre, width, knots, combine, np.zeros((2, combine.shape[1])))
        functions, lines = raw.at(values), raw._lines(values)
        line = linalg.lstsq(lines, functions)[0]
        unit = float(np.sqrt(((functions - lines @ line) ** 2).sum(axis=1).mean()))
        return cls(centre, width, knots, combine / unit, line / unit)

    def _lines(self, values: Floats) -> Floats:
        return np.column_stack([np.ones(len(values)), (values - self.centre) / self.width])

    def at(self, values: Floats) -> Floats:
        """The functions (rows, m) at values (rows,) of the variable."""
        distinct, which = np.unique(values, return_inverse=True)
        found = np.empty((len(distinct), self.combine.shape[1]))
        for start in range(0, len(distinct), BLOCK):
            part = distinct[start : start + BLOCK]
            at = (part - self.centre) / self.width
            radial = np.abs(at[:, None] - self.knots) ** 3 / 12
            found[start : start + BLOCK] = radial @ self.combine - self._lines(part) @ self.line
        return found[which]


@dataclass(frozen=True)
class SmoothDesign(GroupDesign):
    """The functions of a smooth term as levels of a factor, of which each row is a member of all.

    Attributes
    ----------
    basis : Basis
    column : str
        The variable.
    """

    basis: Basis | None = None
    column: str = ""

    def columns_used(self) -> set[str]:
        """The variable, and the factor by whose levels curves differ."""
        return {self.column, *(self.within or ())[:1]}

    def columns(self, frame: pd.DataFrame) -> Floats:
        """Ones (rows, 1); zeros in rows without this curve."""
        return self.own_rows(frame).astype(float)[:, None]

    def codes(self, frame: pd.DataFrame) -> NDArray[np.int64]:
        """The numbers of all functions (rows, m)."""
        return np.tile(np.arange(len(self.levels)), (len(frame), 1))

    def shares(self, frame: pd.DataFrame) -> Floats:
        """The functions (rows, m) at the rows' values."""
        assert self.basis is not None
        return self.basis.at(frame[self.column].to_numpy(float))

    def functions(self, frame: pd.DataFrame) -> Floats:
        """Columns (rows, m) of the linear predictor that the coefficients are of."""
        return self.columns(frame) * self.shares(frame)

    def centring(
        self,
        _: pd.DataFrame,
        *,
        centre: bool | None = None,  # noqa: ARG002
        repeats: Floats | None = None,  # noqa: ARG002
    ) -> Floats:
        """The functions are as they are."""
        return np.eye(1)


def smooth_designs(formula: str, used: pd.DataFrame) -> list[SmoothDesign]:
    """The designs of a formula's smooth terms; of one with `by`, one design a level.

    Raises
    ------
    DataError
        If a variable is no number or has too few values, or curves are to differ by a number.

    Examples
    --------
    >>> rows = pd.DataFrame({"y": np.arange(8.0), "x": np.arange(8.0), "race": list("abababab")})
    >>> [one.terms for one in smooth_designs("y ~ s(x, by=race, k=5)", rows)]
    [('1|s(x, race=a)',), ('1|s(x, race=b)',)]
    """
    found: list[SmoothDesign] = []
    for one in smooths(formula):
        if not is_numeric_dtype(used[one.column]):
            raise DataError(
                f"{one.column!r} is not a number",
                hint="a smooth term is of a number; let a factor enter as it is",
                column=one.column,
            )
        basis = Basis.of(used[one.column].to_numpy(float), one.size, one.column)
        for level in _levels(one, used):
            name = f"s({one.column}, {one.by}={level})" if one.by else f"s({one.column})"
            found.append(_design(portable(name), one, level, basis))
    return found


def _levels(one: Smooth, used: pd.DataFrame) -> Sequence[str]:
    """The levels that have a curve each; one without a name where there is one curve."""
    if not one.by:
        return [""]
    values = used[one.by]
    if not isinstance(values.dtype, pd.CategoricalDtype) and is_numeric_dtype(values):
        raise DataError(
            f"the curves of {one.column!r} are to differ by {one.by!r}, a number",
            hint="give a factor, or a column of texts",
            column=one.by,
        )
    return sorted(values.astype(str).unique())


def _design(name: str, one: Smooth, level: str, basis: Basis) -> SmoothDesign:
    numbers = np.array([f"{number + 1:03d}" for number in range(basis.combine.shape[1])])
    return SmoothDesign(
        factor=name,
        members=((one.column,),),
        levels=numbers,
        effects={"1": ()},
        correlated=False,
        common=None,
        terms=(f"1|{name}",),
        kept=(True,),
        within=(one.by, level) if one.by else None,
        basis=basis,
        column=one.column,
    )
