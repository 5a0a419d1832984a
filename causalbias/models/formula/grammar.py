"""The language of formulas: what is not listed here is refused before anything is made of it.

formulae reads more than a model can be made of, and fails on the rest in as many ways as there are
texts. In the notation of grammars, a formula is::

    formula  = response "~" sum
    response = name | call
    sum      = ["-"] term {("+" | "-") term}
    term     = "0" | "1" | product | alone "(" arguments ")" | "(" effects "|" factor ")"
    alone    = "offset" | "s"
    product  = name | call | "(" sum ")" | product ("*" | ":" | "/") product | product "**" whole
    factor   = name {(":" | "/") name}
    call     = listed function "(" arguments ")"

Group terms, offsets and smooth terms stand outside of parentheses. Arguments are arithmetic and
comparisons of columns, numbers, texts and calls.
"""

import math

from formulae import expr as node

from causalbias.errors import DataError

MAX_LENGTH = 10_000  # characters; a longer one exhausts the parser's stack
MAX_TERMS = 1_000  # once products are multiplied out
MAX_POWER = 100  # of a column: x**100
MAX_BASIS = 100  # columns of bs() and poly()
MAX_NUMBER = 1e100  # beyond it squares overflow
# Positions of arguments that are numbers of columns or of derivatives.
SIZES = {"bs": {1: "df", 3: "degree"}, "poly": {1: "degree"}}
ALONE = frozenset(("offset", "s"))  # terms that nothing is multiplied with
OF_TERMS = frozenset(("binary", "B", "C", "T", "S", "bs", "poly", "mo", "me")) | ALONE
SYMBOLS = {
    "PLUS": "+",
    "MINUS": "-",
    "STAR": "*",
    "SLASH": "/",
    "COLON": ":",
    "STAR_STAR": "**",
    "PIPE": "|",
    "TILDE": "~",
    "EQUAL_EQUAL": "==",
    "BANG_EQUAL": "!=",
    "LESS": "<",
    "LESS_EQUAL": "<=",
    "GREATER": ">",
    "GREATER_EQUAL": ">=",
}
ARITHMETIC = frozenset(SYMBOLS) - {"COLON", "PIPE", "TILDE"}


def check_grammar(tree: node.Binary) -> None:
    """Refuse a parsed formula that is not of the language above.

    Parameters
    ----------
    tree : Binary
        Of formulae's parser, a tilde at its root.

    Raises
    ------
    DataError
        With what is not read, and what to write instead.
    """
    match tree.left:
        case node.Variable(level=None) | node.QuotedName():
            pass
        case node.Call():
            name = _called(tree.left)
            if name in OF_TERMS:
                raise DataError(
                    f"{name}(...) is no response",
                    hint="compute it as a column: of two answers, data.assign(y=data.a == 'yes')",
                )
            _call(tree.left)
        case _:
            raise DataError(
                "the response is neither a column nor a function of columns",
                hint="write it as response ~ terms",
            )
    total = _sum(tree.right, groups=True)
    if total > MAX_TERMS:
        shown = f"{total:,.0f}" if total < 1e15 else f"{total:.3g}"
        raise DataError(
            f"the formula has {shown} terms once multiplied out; at most {MAX_TERMS:,} are read",
            hint="leave out interactions of so many factors",
        )


def _sum(tree: object, *, groups: bool = False) -> float:
    """Check terms joined by plus and minus; returns how many there are."""
    match tree:
        case node.Binary(operator=operator) if operator.kind in ("PLUS", "MINUS"):
            left = _sum(tree.left, groups=groups)
            return left + _sum(tree.right, groups=groups and operator.kind == "PLUS")
        case node.Unary(operator=operator, right=node.Literal(value=0 | 1)):
            return 1
        case node.Unary(operator=operator) if operator.kind == "PLUS":
            return _sum(tree.right, groups=groups)
        case node.Unary():
            raise DataError(
                "a minus stands before the first term",
                hint="only -1 may stand there: it takes the intercept out",
            )
        case node.Literal(value=value) if type(value) is int and value in (0, 1):
            return 1
        case node.Grouping(
            expression=node.Binary(operator=operator, left=effects, right=factor)
        ) if operator.kind == "PIPE" and groups:
            _factor(factor)
            return _sum(effects)
        case node.Binary(operator=operator) if operator.kind == "PIPE":
            raise DataError(
                "a group term stands inside another term, or without parentheses of its own",
                hint="add it as a term of its own: ... + (1|group)",
            )
        case node.Call() if groups and _called(tree) in ALONE:
            _arguments(tree)
            return 1
    return _product(tree)


def _product(tree: object) -> float:
    """Check terms that are multiplied or crossed; returns how many they are when multiplied out."""
    match tree:
        case node.Variable(level=None):
            return 1
        case node.QuotedName(expression=expression):
            if "|" in expression.lexeme:
                raise DataError(
                    f"the column {expression.lexeme} has a bar in its name", hint="rename it"
                )
            return 1
        case node.Call():
            _call(tree)
            return 1
        case node.Grouping():
            return _sum(tree.expression)
        case node.Binary(operator=operator) if operator.kind in ("STAR", "COLON", "SLASH"):
            left, right = _product(tree.left), _product(tree.right)
            crossed = left * right
            return crossed if operator.kind == "COLON" else left + right + crossed
        case node.Binary(operator=operator, right=node.Literal(value=power)) if (
            operator.kind == "STAR_STAR" and type(power) is int and 1 <= power <= MAX_POWER
        ):
            return float(_product(tree.left)) ** power
    raise DataError(
        f"{_told(tree)} is no term of a model",
        hint="join columns and functions of columns by +, *, :, / or **2; a number is only 0 or 1, "
        "for the intercept; arithmetic goes into I(...)",
    )


def _factor(tree: object) -> None:
    match tree:
        case node.Variable(level=None):
            return
        case node.QuotedName(expression=expression) if not set(":|") & set(expression.lexeme):
            return
        case node.Binary(operator=operator) if operator.kind in ("COLON", "SLASH"):
            _factor(tree.left)
            _factor(tree.right)
            return
    raise DataError(
        f"{_told(tree)} is no grouping factor",
        hint="name columns after the bar, joined by : or / where nested, and write a term for each "
        "factor: (1|seed) + (1|annotator)",
    )


def _called(tree: node.Call) -> str:
    return str(getattr(getattr(tree.callee, "name", None), "lexeme", "?"))


def _call(tree: node.Call) -> None:
    if (name := _called(tree)) in ALONE:
        raise DataError(
            f"{name}(...) stands inside another term",
            hint=f"add it as a term of its own, outside of parentheses: ... + {name}(column)",
        )
    _arguments(tree)


def _arguments(tree: node.Call) -> None:
    name = _called(tree)
    sizes = SIZES.get(name, {})
    for at, given in enumerate(tree.args):
        if isinstance(given, node.Assign):
            keyword, value = given.name.name.lexeme, given.value
        else:
            keyword, value = sizes.get(at), given
        _argument(value)
        if keyword in sizes.values():
            _check_size(name, keyword, value)


def _check_size(name: str, keyword: str, given: object) -> None:
    value = given.value if isinstance(given, node.Literal) else None
    if type(value) is not int or not 0 <= value <= MAX_BASIS:
        told = f"{value:,}" if type(value) is int else "no whole number"
        raise DataError(
            f"{keyword} of {name}() is {told}", hint=f"give a number from 0 to {MAX_BASIS}"
        )


def _argument(tree: object) -> bool:
    """Check arithmetic on columns; returns whether there is a column in it."""
    match tree:
        case node.Variable(level=None) | node.QuotedName():
            return True
        case node.Call():
            _call(tree)
            return True
        case node.Literal(value=value):
            if isinstance(value, int | float) and not abs(value) <= MAX_NUMBER:
                raise DataError(
                    f"a number beyond {MAX_NUMBER:g} in the formula", hint="change its unit"
                )
            return False
        case node.Grouping():
            return _argument(tree.expression)
        case node.Unary():
            return _argument(tree.right)
        case node.Binary(operator=operator) if operator.kind in ARITHMETIC:
            left = _argument(tree.left)
            right = _argument(tree.right)
            if operator.kind == "STAR_STAR":
                _check_power(tree.right, of_column=left)
            return left or right
    raise DataError(
        f"{_told(tree)} is no argument of a function",
        hint="give columns, numbers, and arithmetic or comparisons of them",
    )


def _check_power(power: object, *, of_column: bool) -> None:
    """A power of numbers, such as 9**9**9, would be computed in full."""
    value = power.value if isinstance(power, node.Literal) else None
    known = isinstance(value, int | float) and math.isfinite(value) and abs(value) <= MAX_POWER
    if not (of_column and known):
        raise DataError(
            "a power in the formula is not of a column by a number",
            hint=f"write it as I(column**2), with an exponent of at most {MAX_POWER}",
        )


def _told(tree: object) -> str:
    """A part of a formula in words."""
    match tree:
        case node.Literal(value=value):
            return repr(value)[:40]
        case node.Variable(name=name):
            return repr(f"{name.lexeme}[...]")
        case node.Binary(operator=operator):
            return f"what is joined by {SYMBOLS.get(operator.kind, operator.lexeme)!r}"
        case node.Unary():
            return "what follows a sign"
        case node.Call():
            return "a call"
        case node.Assign():
            return "what is joined by '='"
    return "what is in parentheses"
