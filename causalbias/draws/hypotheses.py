"""Hypotheses about draws as expressions, and practical equivalence."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import as_draws, mapping_in, number_in, rope_in
from causalbias.draws.estimate import Estimate, check_names, estimate
from causalbias.draws.summaries import SAMPLE, drawn, probability
from causalbias.errors import DataError, shown

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "maximum": np.maximum,
    "minimum": np.minimum,
}
MAX_NODES = 500


def hypotheses(
    draws: xr.Dataset, expressions: Mapping[str, str], *, of: str | None = None
) -> Estimate:
    """Compute linear and nonlinear combinations of an estimand's levels for every draw.

    Parameters
    ----------
    draws : Estimate
        Result of any verb.
    expressions : mapping of name to expression
        Expressions of the estimand's name with labels in the order of its dims, such as
        ``effect["black", "female"] - effect["asian", "female"]``, with ``+ - * / **``, numbers, and
        abs, exp, log, sqrt, maximum, minimum. Everything else is refused, and no code is evaluated.
    of : str, optional
        The variable, with dims chain and draw; by default the main variable.

    Returns
    -------
    Estimate
        ``value`` (chain, draw, hypothesis). `summarise` computes the probability that it is above
        zero, and `equivalence` the probability that it is negligible. If an expression uses a value
        that is not estimable, ``estimable`` (hypothesis) is False and its draws are missing.

    Raises
    ------
    DataError
        If an expression cannot be parsed, calls another function, uses an unknown label or a cell
        without rows, or has no value in some draws (such as the logarithm of a negative effect).

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> found = cb.hypotheses(
    ...     cb.effects(fit, "level"), {"as large again": "effect[2] - 2 * effect[1]"}
    ... )
    >>> cb.summarise(found)["hypothesis"].tolist()
    ['as large again']
    """
    mapping_in(
        expressions, "expressions", 'an expression by name: {"name": "effect[1] - effect[2]"}'
    )
    if not expressions:
        raise DataError("there is no hypothesis", hint='give {"name": "expression"}')
    draws = as_draws(draws)
    name = drawn(draws, of)
    values = draws[name]
    found, cells = [], []
    for text in expressions.values():
        tree = _parse(text)
        try:
            with np.errstate(invalid="ignore", divide="ignore"):
                read = _evaluate(tree, values, name, text)
        except (ZeroDivisionError, OverflowError) as error:
            raise _unreadable(text, str(error)) from None
        if not isinstance(read, xr.DataArray):
            raise DataError(f"{text!r} is of no draws", hint=f"use {_example(values, name)}")
        cells.append([draws.sel(one) for one in _used(tree, values)])
        _check_values(read, cells[-1], name, text)
        found.append(read.reset_coords(drop=True))
    index = pd.Index(list(expressions), name="hypothesis")
    joined = xr.concat(found, index).transpose(*SAMPLE, "hypothesis").rename("value")
    joined.attrs.pop("quantity", None)  # a difference of ratios is not a ratio
    kept = ("outcome", "scale", "population", "held", "rows", "threshold")
    attrs = {key: draws.attrs[key] for key in kept if key in draws.attrs}
    marks = {}
    if "estimable" in draws:
        marks["estimable"] = [all(one["estimable"].item() for one in used) for used in cells]
    if "by_prior" in draws:
        marks["by_prior"] = [any(one["by_prior"].item() for one in used) for used in cells]
    values_found = joined.to_dataset().assign(
        {key: ("hypothesis", np.array(one)) for key, one in marks.items()}
    )
    estimand = "; ".join(expressions.values())
    return estimate(values_found, of=[draws], **attrs, estimand=estimand)


def _used(tree: ast.expr, values: xr.DataArray) -> list[dict[str, Any]]:
    """Return the cells that a parsed expression uses, as labels by dim."""
    dims = [str(dim) for dim in values.dims if dim not in SAMPLE]
    slices = [one.slice for one in ast.walk(tree) if isinstance(one, ast.Subscript)]
    if not dims:
        return [{}]
    labels = [ast.literal_eval(one) for one in slices]
    return [
        dict(zip(dims, one if isinstance(one, tuple) else (one,), strict=True)) for one in labels
    ]


def _check_values(read: xr.DataArray, cells: list[xr.Dataset], name: str, text: str) -> None:
    """Raise an error if a hypothesis of estimable values has no value in some draws."""
    if any("estimable" in one and not one["estimable"].item() for one in cells):
        return
    if any(bool(one[name].isnull().any()) for one in cells):
        raise DataError(f"{text!r} uses a cell without rows", hint="name cells that have rows")
    missing = int(read.isnull().sum())
    if missing:
        raise DataError(
            f"{text!r} has no value in {missing:,} of {read.size:,} draws",
            hint="ask for something that every draw has: no log or sqrt of what may be negative",
        )


def equivalence(
    draws: xr.Dataset, rope: tuple[float, float], *, prob: float = 0.95, of: str | None = None
) -> Estimate:
    """Compare draws with a region of practical equivalence (ROPE).

    Use it also for a placebo, a manipulation that should have no effect: its effect should be
    equivalent to zero, and not merely undecided.

    Parameters
    ----------
    draws : Estimate
        Result of any verb.
    rope : (float, float)
        Limits of values that make no practical difference, in the estimand's unit.
    prob : float, default 0.95
        Probability of the equal-tailed interval behind `verdict`.
    of : str, optional
        The variable, with dims chain and draw; by default the main variable.

    Returns
    -------
    Estimate
        The estimate with ``p_below``, ``p_rope``, ``p_above`` (posterior probabilities of being
        below, within and above the ROPE, which add up to one) and ``verdict``: "equivalent" if the
        interval lies within the ROPE, "different" if it lies outside, otherwise "undecided"
        (Kruschke 2018, with an equal-tailed interval). If a value is not estimable, its
        probabilities are missing and the verdict is "not estimable".

    Raises
    ------
    DataError
        If the ROPE is empty.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> one = xr.Dataset({"effect": (("chain", "draw"), np.linspace(-1, 1, 100)[None])})
    >>> str(equivalence(one, (-2, 2))["verdict"].item())
    'equivalent'
    """
    prob = number_in(prob, "prob", 0, 1)
    low, high = rope_in(rope)
    draws = as_draws(draws)
    name = drawn(draws, of)
    values = draws[name]
    check_names(values.dims, ["p_below", "p_rope", "p_above", "verdict"])
    ends = values.quantile([(1 - prob) / 2, (1 + prob) / 2], dim=SAMPLE, skipna=False)
    lower, upper = (ends.isel(quantile=at, drop=True) for at in (0, 1))
    verdict = xr.where((lower >= low) & (upper <= high), "equivalent", "undecided")
    verdict = xr.where((lower > high) | (upper < low), "different", verdict)
    below, above = (probability(one, values) for one in (values < low, values > high))
    judged = draws.assign(
        p_below=below,
        p_rope=1 - below - above,
        p_above=above,
        verdict=xr.where(below.isnull(), "not estimable", verdict),
    )
    return estimate(judged, of=[draws], variable=name, rope=f"{low:g} to {high:g}")


def _parse(text: str) -> ast.expr:
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _unreadable(text, str(error)) from None
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
        raise _unreadable(text, "it is too long")
    return tree


def _unreadable(text: str, why: str) -> DataError:
    shortened = text if len(text) <= 80 else f"{text[:77]}..."
    return DataError(
        f"cannot read the hypothesis {shortened!r} ({why})",
        hint='write it as effect["a"] - effect["b"], with + - * / ** and '
        + ", ".join(sorted(_FUNCTIONS)),
    )


def _evaluate(node: ast.expr, values: xr.DataArray, name: str, text: str) -> Any:
    def inner(one: ast.expr) -> Any:
        return _evaluate(one, values, name, text)

    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return float(number)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -inner(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](inner(left), inner(right))
        case ast.Call(func=ast.Name(id=called), args=arguments, keywords=[]) if (
            called in _FUNCTIONS and len(arguments) == 1 + called.endswith("imum")
        ):
            return _FUNCTIONS[called](*map(inner, arguments))
        case ast.Name(id=known) if known == name:
            return _select(values, (), name)
        case ast.Subscript(value=ast.Name(id=known), slice=labels) if known == name:
            each = labels.elts if isinstance(labels, ast.Tuple) else [labels]
            try:
                asked = tuple(ast.literal_eval(one) for one in each)
            except (ValueError, TypeError):
                raise _unreadable(text, "labels are texts and numbers") from None
            return _select(values, asked, name)
    raise _unreadable(text, f"{type(node).__name__} {ast.unparse(node)[:40]}")


def _select(values: xr.DataArray, labels: tuple[Any, ...], name: str) -> xr.DataArray:
    dims = [str(dim) for dim in values.dims if dim not in SAMPLE]
    if len(labels) != len(dims):
        raise DataError(
            f"{name} has dims {', '.join(dims) or 'none'}, not {len(labels)}",
            hint=f"write {_example(values, name)}",
        )
    for dim, label in zip(dims, labels, strict=True):
        known = values[dim].values.tolist()
        if label not in known:
            raise DataError(
                f"{shown(label)} is not a {dim}", hint=f"use one of {', '.join(map(repr, known))}"
            )
    return values.sel(dict(zip(dims, labels, strict=True)))


def _example(values: xr.DataArray, name: str) -> str:
    dims = [dim for dim in values.dims if dim not in SAMPLE]
    labels = ", ".join(repr(values[dim].values.tolist()[0]) for dim in dims)
    return f"{name}[{labels}]" if labels else name
