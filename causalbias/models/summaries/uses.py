"""How a formula uses its columns: what sums and counts of rows can and cannot stand for."""

import re
from collections.abc import Collection, Iterable

import formulae as fm

from causalbias.errors import DataError
from causalbias.models.formula.group_terms import common_formula, group_parts
from causalbias.models.formula.measured import measured
from causalbias.models.formula.parse import formula_columns
from causalbias.models.specification import (
    ModelSpec,
    check_weights,
    columns_of,
    family_of,
    outcome_columns,
)

# Functions whose columns depend on all rows at once, and not on a row's own.
_OF_ALL_ROWS = re.compile(r"(?<![\w.`])(bs|poly|scale|center|standardize|s)\s*\(")


def answers_of(spec: ModelSpec) -> tuple[str, ...]:
    """Columns of the response whose values are kept, and their rows counted.

    So are those of answers and counts, of which many rows are equal. A Gaussian response has none:
    it is summed up.
    """
    if family_of(spec).normal:
        return ()
    return tuple(name for name in outcome_columns(spec) if isinstance(name, str))


def check_summable(spec: ModelSpec) -> None:
    """Refuse models whose likelihood is not one of sums or counts of rows.

    Raises
    ------
    DataError
        If the family is continuous and not Gaussian with an identity link, has weights and is not
        Gaussian, a function is of all rows at once, or a column of which only moments are kept does
        not enter linearly.
    """
    if spec.limits:
        raise DataError(
            "sums of rows do not say what cens(), trunc() and thres() do",
            hint="read the rows into memory: cb.fit(formula, frame)",
        )
    if found := measured(spec.formula):
        raise DataError(
            f"sums of rows do not say what the true values of {found[0]} are",
            hint="read the rows into memory: cb.fit(formula, frame)",
        )
    family = family_of(spec)
    if family.continuous and not family.normal:
        raise DataError(
            "rows are summed up for Gaussian models and counted for families of answers and "
            f"counts only, and the family is {spec.family!r}",
            hint="read the rows into memory, or a random part of them: cb.fit(formula, frame)",
        )
    if family.normal and not family.linear:
        raise DataError(
            f"sums of rows are enough for an identity link only, not {family.link.name}",
            hint="leave link= out",
        )
    check_weights(spec)
    for one in spec.formulas:
        if called := _OF_ALL_ROWS.search(one):
            raise DataError(
                f"{called[1]}() is a function of all rows, which are not in memory together",
                hint="compute it as a column first, from constants that you choose",
            )
    check_linear(spec, spec.moments)


def check_linear(spec: ModelSpec, names: Iterable[str]) -> None:
    """Refuse columns whose moments are not enough.

    Raises
    ------
    DataError
        Naming the column and how the model uses it.
    """
    used = [name for name in names if name in columns_of(spec)]
    for name in used:
        if name not in linear_columns(spec, used):
            raise DataError(
                f"{name} enters {spec.formula!r} by more than a straight line (in a function, a "
                "product of two such numbers, a formula of sigma, or as a factor), for which its "
                "means and cross-products are not enough",
                hint=f"leave {name!r} out of moments=, so that its values are kept; round it if "
                "they are many",
                column=name,
            )


def linear_columns(spec: ModelSpec, candidates: Collection[str]) -> list[str]:
    """Those of the candidates that enter the mean linearly, given all other columns.

    Examples
    --------
    >>> spec = ModelSpec("y ~ a*x + np.log(w) + x2:z + (x|g)")
    >>> linear_columns(spec, ["x", "w", "x2", "g"]), linear_columns(spec, ["x2", "z"])
    (['x', 'x2'], [])
    """
    response = formula_columns(spec.formula)[0]
    parts = group_parts(spec.formula)
    formulas = [common_formula(spec.formula), *(f"{response} ~ {one.effects}" for one in parts)]
    terms = [
        getattr(term, "components", [])
        for one in formulas
        for term in fm.model_description(one).common_terms
    ]
    bent = {response} | {name for name in (spec.counts, spec.weights) if name is not None}
    for one in parts:
        bent |= set(one.members) | set(one.weights) | {one.by}
        bent |= (
            {name.strip() for name in re.split("[:/]", one.factor)} if not one.members else set()
        )
    for name, right in spec.parts.items():
        bent |= set(formula_columns(f"{name} ~ {right}")[1])
    for components in terms:
        plain = [one.name for one in components if type(one).__name__ == "Variable"]
        for one in components:
            if type(one).__name__ != "Variable":
                bent |= set(one.var_names)
        several = [name for name in plain if name in candidates]
        if len(several) > 1:
            bent |= set(several)
    return [name for name in candidates if name not in bent]
