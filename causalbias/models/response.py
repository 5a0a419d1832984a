"""Transformed responses: what ``log(distance) ~ ...`` says of the distance, and back, exactly."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from formulae import expr as node
from numpy.typing import NDArray

from causalbias.errors import DataError
from causalbias.models.formula.parse import formula_columns, left_side
from causalbias.models.specification import ModelSpec, family_of

Floats = NDArray[np.float64]
Curve = Callable[[Floats], Floats]
_LOGS = {"log": 1.0, "log2": np.log(2), "log10": np.log(10)}


@dataclass(frozen=True)
class Map:
    """A monotone function of the response's column, z = forward(y), with its inverse.

    Attributes
    ----------
    forward, backward, slope : callable
        z of y; y of z; derivative of z by y.
    increasing : bool
    domain, image : (float, float)
        Between which y and z lie.
    mean : bool
        Whether y has a mean where z is normal: a reciprocal and a logarithm of z have none.
    line : (float, float) or None
        Of a linear function, (a, b) of y = a + b z.
    """

    forward: Curve
    backward: Curve
    slope: Curve
    increasing: bool = True
    domain: tuple[float, float] = (-np.inf, np.inf)
    image: tuple[float, float] = (-np.inf, np.inf)
    mean: bool = True
    line: tuple[float, float] | None = None

    def cut(self, threshold: float) -> float:
        """The threshold on the model's scale; infinite where no outcome is beyond it."""
        if self.domain[0] <= threshold <= self.domain[1]:
            with np.errstate(all="ignore"):
                return float(self.forward(np.array([float(threshold)]))[0])
        return np.inf if (threshold > self.domain[1]) == self.increasing else -np.inf

    def outcomes(self, values: Floats) -> Floats:
        """The column's values (any shape) of values on the model's scale, clipped to its ends."""
        with np.errstate(all="ignore"):
            return self.backward(np.clip(values, *self.image))


@dataclass(frozen=True)
class Response:
    """The left side of a formula.

    Attributes
    ----------
    column : str
        The column that is modelled, ``"distance"``.
    text : str
        As it is written, ``"log(distance)"``.
    columns : tuple of str
        All columns named.
    map : Map or None
        From the column to the model's response; None where it has no inverse that we know.
    """

    column: str
    text: str
    columns: tuple[str, ...]
    map: Map | None

    @property
    def transformed(self) -> bool:
        """Whether the model's response is not the column itself."""
        return self.text.strip("`") != self.column

    def back(self) -> Map:
        """The way back to the column.

        Raises
        ------
        DataError
            If there is none, or we do not know it.
        """
        if self.map is None:
            raise DataError(
                f"{self.text} has no inverse that is known here, so that nothing can be said of "
                f"{self.column} itself",
                hint="ask for scale='link', which is of the response as it is written, or model "
                "the column, its log() or np.sqrt()",
            )
        return self.map


def response_of(spec: ModelSpec, frame: pd.DataFrame) -> Response:
    """The response of a model whose rows are `frame`.

    Examples
    --------
    >>> rows = pd.DataFrame({"y": [1.0, 10.0, 100.0], "x": [0, 1, 2]})
    >>> found = response_of(ModelSpec("log10(y) ~ x"), rows)
    >>> found.text, found.back().outcomes(np.array([2.0])).round(6).tolist()
    ('log10(y)', [100.0])
    """
    column = formula_columns(spec.formula)[0]
    text = re.match(r"(?:`[^`]*`|[^`~])*", spec.formula)
    left = text[0].strip() if text else column
    if not family_of(spec).continuous:  # categories and counts stay what they are
        return Response(column, left, (column,), _line(0.0, 1.0))
    tree = left_side(spec.formula)
    names = tuple(dict.fromkeys(_names(tree)))
    found = _map(tree, {name: frame[name].to_numpy(float) for name in names})
    return Response(column, left, names, found if isinstance(found, Map) else None)


def _names(tree: object) -> list[str]:
    match tree:
        case node.Variable():
            return [tree.name.lexeme]
        case node.QuotedName():
            return [tree.expression.lexeme[1:-1]]
        case node.Call():
            return [name for one in tree.args for name in _names(one)]
        case node.Binary():
            return _names(tree.left) + _names(tree.right)
        case node.Unary():
            return _names(tree.right)
        case node.Grouping():
            return _names(tree.expression)
    return []


def _map(tree: object, columns: dict[str, Floats]) -> Map | float | None:
    """The function that an expression is: a map of its column, a constant, or neither."""
    match tree:
        case node.Literal(value=int() | float() as value) if not isinstance(value, bool):
            return float(value)
        case node.Variable() | node.QuotedName():
            return _line(0.0, 1.0) if len(columns) == 1 else None
        case node.Grouping():
            return _map(tree.expression, columns)
        case node.Unary():
            inner = _map(tree.right, columns)
            minus = -1.0 if tree.operator.kind == "MINUS" else 1.0
            if isinstance(inner, float):
                return minus * inner
            return None if inner is None else _then(inner, _line(0.0, minus))
        case node.Binary():
            sides = _map(tree.left, columns), _map(tree.right, columns)
            return None if None in sides else _arithmetic(tree.operator.kind, *sides, columns)
        case node.Call(args=[argument]):
            inner = _map(argument, columns)
            name = tree.callee.name.lexeme.removeprefix("np.")
            return _called(name, inner, columns) if isinstance(inner, Map) else None
    return None


def _arithmetic(
    sign: str, left: Map | float | None, right: Map | float | None, columns: dict[str, Floats]
) -> Map | float | None:
    """A column's map and a constant, added, multiplied, divided or raised."""
    match sign, left, right:
        case _, float(), float():
            return _constant(sign, left, right)
        case "PLUS", Map(), float():
            return _then(left, _line(right, 1.0))
        case "PLUS", float(), Map():
            return _then(right, _line(left, 1.0))
        case "MINUS", Map(), float():
            return _then(left, _line(-right, 1.0))
        case "MINUS", float(), Map():
            return _then(right, _line(left, -1.0))
        case "STAR", Map(), float() if right != 0:
            return _then(left, _line(0.0, right))
        case "STAR", float(), Map() if left != 0:
            return _then(right, _line(0.0, left))
        case "SLASH", Map(), float() if right != 0:
            return _then(left, _line(0.0, 1 / right))
        case "SLASH", float(), Map() if left != 0:
            whole = _powered(right, -1.0, columns)
            return None if whole is None else _then(whole, _line(0.0, left))
        case "STAR_STAR", Map(), float():
            return _powered(left, right, columns)
    return None


def _constant(sign: str, left: float, right: float) -> float | None:
    with np.errstate(all="ignore"):
        found = {
            "PLUS": lambda: left + right,
            "MINUS": lambda: left - right,
            "STAR": lambda: left * right,
            "SLASH": lambda: left / right if right else np.nan,
            "STAR_STAR": lambda: float(np.power(left, right)),
        }.get(sign)
        value = np.nan if found is None else found()
    return value if np.isfinite(value) else None


def _called(name: str, inner: Map, columns: dict[str, Floats]) -> Map | None:
    values = inner.forward(next(iter(columns.values())))
    positive = (0.0, np.inf)
    match name:
        case "I":
            return inner
        case "log" | "log2" | "log10":
            unit = _LOGS[name]
            own = Map(
                lambda y: np.log(y) / unit,
                lambda z: np.exp(unit * z),
                lambda y: 1 / (unit * y),
                domain=positive,
            )
            return _then(inner, own)
        case "log1p":
            own = Map(np.log1p, np.expm1, lambda y: 1 / (1 + y), domain=(-1.0, np.inf))
            return _then(inner, own)
        case "exp":
            return _then(inner, Map(np.exp, np.log, np.exp, image=positive, mean=False))
        case "sqrt":
            return _powered(inner, 0.5, columns)
        case "abs" if (values >= 0).all():
            own = Map(np.array, np.array, np.ones_like, domain=positive, image=positive)
            return _then(inner, own)
        case "center":
            return _then(inner, _line(-float(values.mean()), 1.0))
        case "scale" | "standardize" if np.std(values) > 0:
            sd = float(np.std(values))
            return _then(inner, _line(-float(values.mean()) / sd, 1 / sd))
    return None


def _line(start: float, slope: float) -> Map:
    """Z = start + slope y."""
    return Map(
        lambda y: start + slope * y,
        lambda z: (z - start) / slope,
        lambda y: np.full(np.shape(y), slope),
        increasing=slope > 0,
        line=(-start / slope, 1 / slope),
    )


def _powered(inner: Map, power: float, columns: dict[str, Floats]) -> Map | None:
    """Z = y^power, of numbers that are all positive, or of any where the power is odd."""
    values = inner.forward(next(iter(columns.values())))
    ends = (0.0, np.inf)
    if power == 0 or ((values < 0).any() and not (power == round(power) and power % 2)):
        return None
    if (values < 0).any():
        if power < 0:  # two branches
            if (values > 0).any():
                return None
            flipped = _powered(_then(inner, _line(0.0, -1.0)), power, columns)
            return None if flipped is None else _then(flipped, _line(0.0, -1.0))
        ends = (-np.inf, np.inf)

    def raised(values: Floats, by: float) -> Floats:
        if ends[0] == 0:
            return (np.asarray(values, float) + 0.0) ** by  # 1 / -0.0 is the other infinity
        return np.asarray(np.sign(values) * np.abs(values) ** by)

    own = Map(
        lambda y: raised(y, power),
        lambda z: raised(z, 1 / power),
        lambda y: power * np.abs(y) ** (power - 1),
        increasing=power > 0,
        domain=ends,
        image=ends,
        mean=power > 0,
        line=(0.0, 1.0) if power == 1 else None,
    )
    return _then(inner, own)


def _then(first: Map, second: Map) -> Map:
    """The second of the first."""
    with np.errstate(all="ignore"):
        reached = _between(first.image, second.domain)
        domain = sorted(first.backward(np.array(reached)).tolist())
        image = sorted(second.forward(np.array(reached)).tolist())
    line = None
    if first.line is not None and second.line is not None:
        line = (first.line[0] + first.line[1] * second.line[0], first.line[1] * second.line[1])
    return Map(
        lambda y: second.forward(first.forward(y)),
        lambda z: first.backward(second.backward(z)),
        lambda y: second.slope(first.forward(y)) * first.slope(y),
        increasing=first.increasing == second.increasing,
        domain=(domain[0], domain[1]),
        image=(image[0], image[1]),
        mean=first.mean and second.mean,
        line=line,
    )


def _between(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return max(one[0], other[0]), min(one[1], other[1])
