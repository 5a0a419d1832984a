"""Evaluate a design before data are collected: balance, estimability and standard errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.linalg import splu

from causalbias.arguments import names_in
from causalbias.errors import DataError, at_first
from causalbias.models.formula.contrasts import NAMESPACE
from causalbias.models.formula.group_terms import common_formula, group_parts
from causalbias.models.formula.parse import formula_columns
from causalbias.models.formula.smooths import smooths
from causalbias.models.levels import canonical
from causalbias.study.columns import check_groups
from causalbias.study.tables import check_columns

DEFAULT_SD = 1.0
RESPONSE = "observed_"


@dataclass(frozen=True)
class Report:
    """Estimability and balance of a design, with a printed summary.

    Attributes
    ----------
    formula : str
        Formula of the model.
    rows : int
        Number of rows of the design.
    rank, columns : int
        Rank and number of columns of the design matrix of the common terms. If the rank is less
        than the number of columns, some coefficients are not estimable.
    effects : DataFrame
        One row per coefficient: `term`, `estimable`, `error` (standard error in units of the
        residual standard deviation; infinite if not estimable), `with` (coefficients with which
        it is confounded).
    balance : DataFrame
        One row per factor, and per two factors of which at least one is not only a grouping factor:
        `factors`, `cells`, `empty` (combinations that do not occur), `least`, `most` (number of
        rows per cell that occurs).
    sds : dict of str to float
        Standard deviations of the group terms on which the standard errors are based, in units of
        the residual standard deviation.
    """

    formula: str
    rows: int
    rank: int
    columns: int
    effects: pd.DataFrame
    balance: pd.DataFrame
    sds: dict[str, float]

    @property
    def estimable(self) -> bool:
        """Whether all effects can be estimated."""
        return self.rank == self.columns

    def __str__(self) -> str:
        verdict = "all effects are estimable" if self.estimable else "NOT ALL EFFECTS ARE ESTIMABLE"
        sds = ", ".join(f"{name} {sd:g}" for name, sd in self.sds.items()) or "none"
        return (
            f"Design: {self.formula}\n"
            f"{self.rows:,} rows; rank {self.rank} of {self.columns}: {verdict}\n\n"
            f"Standard errors in units of the residual sd (assumed sds of group terms: {sds})\n"
            f"{self.effects.round(4).to_string(index=False)}\n\n"
            f"Balance\n{self.balance.to_string(index=False)}"
        )

    __repr__ = __str__


def report(
    rows: pd.DataFrame,
    formula: str,
    *,
    sds: Mapping[str, float] | None = None,
) -> Report:
    """Compute balance, estimability and standard errors of a design, before data are collected.

    Parameters
    ----------
    rows : DataFrame
        One row per planned observation: faces, pairs, or an assignment joined to its items.
    formula : str
        The model to be fitted, with or without a response, such as
        ``"race*gender + pose + (1|seed)"``. The terms are those of `fit`.
    sds : mapping of group factor to sd, optional
        Standard deviation of each group term in units of the residual standard deviation, by
        default 1. Only the standard errors depend on them.

    Returns
    -------
    Report
        A report whose standard errors are those of generalised least squares with known standard
        deviations.

    Raises
    ------
    DataError
        If the formula does not parse, or names a column that is not there, has missing or infinite
        values or is text with a single level; if `sds` names an unknown factor.

    Examples
    --------
    >>> rows = pd.DataFrame({"a": ["x", "x", "y", "y"], "b": [0, 0, 1, 1]})
    >>> found = report(rows, "a + b")
    >>> found.rank, found.columns, found.effects["with"].tolist()
    (2, 3, ['', 'b', 'a[y]'])
    """
    x, names = common_matrix(formula, rows)
    whiten, used = _information(formula, rows, sds or {})
    effects, rank = _coefficients(x, names, whiten)
    factors = _columns(formula)
    common = _columns(common_formula(_with_response(formula)))
    spread = balance(rows, factors)
    groups = [name for name in factors if name not in common]
    nested = [f"{a} x {b}" for a, b in combinations(factors, 2) if {a, b} <= set(groups)]
    spread = spread[~spread["factors"].isin(nested)].reset_index(drop=True)
    return Report(formula, len(rows), rank, len(names), effects, spread, used)


def balance(rows: pd.DataFrame, factors: str | Sequence[str]) -> pd.DataFrame:
    """Count the rows per level of each factor, and per combination of levels of two factors.

    Parameters
    ----------
    rows : DataFrame
        One row per pair or stimulus of the design.
    factors : str or sequence of str
        Columns of `rows`.

    Returns
    -------
    DataFrame
        A row per factor and per two factors: number of ``cells`` (levels, or their combinations),
        of ``empty`` ones, and the ``least`` and ``most`` rows of a cell that has any.

    Raises
    ------
    DataError
        If there are no rows, a column or a value is missing, or two labels look the same.

    Examples
    --------
    >>> rows = pd.DataFrame({"a": [0, 0, 1], "b": [0, 1, 1]})
    >>> balance(rows, ["a", "b"])
      factors  cells  empty  least  most
    0       a      2      0      1     2
    1       b      2      0      1     2
    2   a x b      4      1      1     1
    """
    factors = list(dict.fromkeys(names_in(factors, "factors")))
    rows = _used(rows, factors)
    found = []
    for by in [*((one,) for one in factors), *combinations(factors, 2)]:
        counts = rows.groupby(list(by), observed=True).size()
        cells = int(np.prod([rows[name].nunique() for name in by]))
        found.append((" x ".join(by), cells, cells - len(counts), counts.min(), counts.max()))
    return pd.DataFrame(found, columns=["factors", "cells", "empty", "least", "most"])


def common_matrix(formula: str, rows: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Make the design matrix (row, coefficient) of a formula's common terms, and name its columns.

    Examples
    --------
    >>> common_matrix("race + (1|seed)", pd.DataFrame({"race": ["a", "b"], "seed": [1, 1]}))
    (array([[1., 0.], [1., 1.]]), ['Intercept', 'race[b]'])
    """
    import formulae as fm

    used = _used(rows, _columns(formula))
    whole = _with_response(formula)
    for name in formula_columns(common_formula(whole))[1]:
        if used[name].nunique() == 1 and not pd.api.types.is_numeric_dtype(used[name]):
            raise DataError(
                f"all rows have the level {used[name].iloc[0]!r}",
                hint="leave it out of the formula, or add levels",
                file="design",
                column=name,
            )
        if isinstance(used[name].dtype, pd.CategoricalDtype):
            check_groups(used[name], file="design")
    common = fm.design_matrices(common_formula(whole), used, "error", 0, NAMESPACE).common
    if common is None:
        raise DataError(f"{formula!r} has no common terms", hint="name the effects to be estimated")
    names: list[str] = []
    for name, term in common.terms.items():
        names += [str(one) for one in term.labels] if hasattr(term, "labels") else [name]
    return np.asarray(common.design_matrix, float), names


def _columns(formula: str) -> list[str]:
    return [name for name in formula_columns(_with_response(formula))[1] if name != RESPONSE]


def _with_response(formula: str) -> str:
    """Add a placeholder response to a formula, as there are no data yet."""
    if smooths(formula):
        raise DataError(
            "the formula has a smooth term, of which the data decide how much is estimated",
            hint="plan with its straight line, or with a basis of a known size: bs(x, df=4)",
        )
    return f"{RESPONSE} ~ {formula.split('~', 1)[-1].strip()}"


def _used(rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Columns of a design in the form that `fit` gives them, with a placeholder response."""
    if rows.empty:
        raise DataError("no rows", hint="give a design with at least one row", file="design")
    if not rows.columns.is_unique:
        name = str(rows.columns[rows.columns.duplicated()][0])
        raise DataError("two columns have this name", hint="rename one", file="design", column=name)
    check_columns(rows, columns, file="design")
    used = {name: canonical(rows[name].reset_index(drop=True)) for name in columns}
    for name, values in used.items():
        bad = values.isna().to_numpy(bool)
        problem = "the value is missing"
        if not bad.any() and pd.api.types.is_float_dtype(values):
            bad, problem = np.isinf(values.to_numpy(float)), "the value is infinite"
        if bad.any():
            hint = "leave the row out, or name another column"
            raise at_first(bad, problem, hint=hint, file="design", column=name)
    return pd.DataFrame(used, index=range(len(rows))).assign(**{RESPONSE: 0.0})


def _information(
    formula: str, rows: pd.DataFrame, sds: Mapping[str, float]
) -> tuple[np.ndarray | None, dict[str, float]]:
    """Return the group terms' design matrix scaled by their sds, and the sds."""
    if not group_parts(formula):
        if sds:
            raise DataError(
                f"sds are given for {', '.join(sds)}, but the formula has no group terms",
                hint="leave sds out",
            )
        return None, {}
    from causalbias.models.group_design import group_designs

    used = _used(rows, _columns(formula))
    designs = group_designs(_with_response(formula), used)
    known = dict.fromkeys(one.factor for one in designs)
    for name, sd in sds.items():
        if name not in known or not sd >= 0:
            raise DataError(
                f"sd {sd} of {name!r}", hint=f"give sds >= 0 of {', '.join(map(str, known))}"
            )
    chosen = {one.factor: float(sds.get(one.factor, DEFAULT_SD)) for one in designs}
    z = sparse.hstack([chosen[one.factor] * one.matrix(used) for one in designs]).tocsc()
    return z, chosen


def _coefficients(
    x: np.ndarray, names: list[str], z: sparse.csc_matrix | None
) -> tuple[pd.DataFrame, int]:
    """Compute the coefficients' standard errors for a residual variance of 1, and the rank."""
    scale = np.sqrt((x**2).sum(axis=0))
    scaled = x / np.where(scale > 0, scale, 1)
    _, singular, right = np.linalg.svd(scaled, full_matrices=True)
    size = np.zeros(x.shape[1])
    size[: len(singular)] = singular
    rank = int((size > size.max() * max(x.shape) * np.finfo(float).eps).sum())
    confounded = right[rank:]  # combinations of coefficients that are not estimable
    kept = right[:rank]
    estimable = (confounded**2).sum(axis=0) < 1e-12
    basis = scaled @ kept.T
    information = basis.T @ basis
    if z is not None:
        inner = (sparse.identity(z.shape[1]) + z.T @ z).tocsc()
        through = z.T @ basis
        information -= through.T @ splu(inner).solve(through)
    covariance = kept.T @ np.linalg.inv(information) @ kept
    error = np.sqrt(np.maximum(np.diag(covariance), 0)) / np.where(scale > 0, scale, 1)
    # Two coefficients are confounded if such a combination contains both.
    shared = np.abs(confounded.T @ confounded) > 1e-9
    with_ = [
        "" if estimable[i] else ", ".join(n for j, n in enumerate(names) if j != i and shared[i, j])
        for i in range(len(names))
    ]
    effects = pd.DataFrame(
        {
            "term": names,
            "estimable": estimable,
            "error": np.where(estimable, error, np.inf),
            "with": with_,
        }
    )
    return effects, rank
