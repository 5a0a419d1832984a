"""Formulas are untrusted text: only listed functions and columns may occur."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import formulae as fm
import pandas as pd
from formulae import expr as node
from formulae.parser import ParseError, Parser
from formulae.resolver import Resolver, ResolverError
from formulae.scanner import ScanError, Scanner
from formulae.terms.call_resolver import CallResolverError

from causalbias.errors import DataError
from causalbias.models.formula.contrasts import without_contrast
from causalbias.models.formula.grammar import MAX_LENGTH, check_grammar
from causalbias.models.formula.group_terms import readable_formula
from causalbias.models.formula.measured import measured
from causalbias.models.formula.smooths import smooths
from causalbias.models.formula.steps import stepped_columns

PROPORTIONS = ("p", "prop", "proportion")
FUNCTIONS = frozenset(
    (
        *("C", "T", "S", "bs", "poly", "scale", "center", "standardize", "binary", "B", "I"),
        *(*PROPORTIONS, "offset", "s", "mo", "me"),
        *("log", "log2", "log10", "exp", "abs"),
        *("np.log", "np.log1p", "np.log2", "np.log10", "np.exp", "np.sqrt", "np.abs"),
    )
)
# What R, brms and lme4 call otherwise, and how it is written here.
ELSEWHERE = {
    **dict.fromkeys(("factor", "as.factor", "as_factor"), "write C(x) for a factor of numbers"),
    **dict.fromkeys(
        ("ordered", "as.ordered", "as.integer", "as.numeric"),
        "categories of ordered answers are whole numbers, or an ordered categorical column",
    ),
    "cbind": "write successes and trials: p(successes, trials) ~ ...",
    "trials": "write successes and trials: p(successes, trials) ~ ...",
    "mvbind": "write one row a response, with a column that says which: y ~ system*x + "
    "(0 + system|seed) + (1|pair); cb.joint fits a score and a distance together",
    "weights": "give the column as weights= (precisions) or counts= (equal observations)",
    "se": "give 1 / se^2 as a column in weights=",
    "cens": "write it after the response: y | cens(status) ~ x",
    "trunc": "write it after the response: y | trunc(lb=0, ub=2) ~ x",
    **dict.fromkeys(("ns", "te", "ti", "t2", "lo", "gp", "cr"), "write a smooth as s(x)"),
    "hsgp": "write a smooth as s(x)",
    "mi": "fit each completed data set and give cb.pool the estimates",
    "cs": "write it as a term by itself, of an ordinal family: score ~ race + cs(pose)",
    **dict.fromkeys(("sqrt", "log1p", "sin", "cos"), "write it as a column, or np.sqrt, np.log1p"),
    "relevel": "give reference= to cb.effects: the reference of the coding changes no effect",
    "cut": "cut it into intervals as a column, with pd.cut",
    "interaction": "write a:b",
    "ifelse": "compute it as a column, with numpy.where",
    "lag": "compute it as a column, with groupby and shift",
    "ar": "there are no autocorrelated residuals: write (1|group)",
}
SIGNS = {
    "^": "a power is written I(x**2)",
    "%in%": "write a nested term as (1|a/b) or a:b",
    " .": "name the columns: there is no dot for all",
    "~.": "name the columns: there is no dot for all",
}
# What bambi and formulae raise on models that they cannot make.
UNBUILDABLE = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    NameError,
    UserWarning,
    NotImplementedError,
    RecursionError,
    ParseError,
    ScanError,
    ResolverError,
    CallResolverError,
)


def formula_columns(formula: str) -> tuple[str, list[str]]:
    """Columns that a formula uses, having checked that it calls only listed functions.

    Parameters
    ----------
    formula : str
        As in lme4 and brms: ``"score ~ race*gender + pose + (1|annotator)"``.

    Returns
    -------
    response : str
        The first column named left of ``~``.
    columns : list of str
        All columns named, in order of appearance.

    Raises
    ------
    DataError
        If it does not parse, has no response, is not of the language in `grammar`, or calls a
        function that is not listed.

    Examples
    --------
    >>> formula_columns("score ~ log(pose) + (1|annotator)")
    ('score', ['score', 'pose', 'annotator'])
    """
    tree = _parse(formula)
    response: list[str] = []
    terms: list[str] = []
    _walk(tree.left, response)
    if not response:
        raise DataError(f"no response in {formula!r}", hint="write it as response ~ terms")
    try:
        _walk(tree.right, terms)
        check_grammar(tree)
        smooths(formula)  # or an error
        stepped_columns(formula)
        measured(formula)
    except RecursionError:
        raise DataError("the formula is too long", hint="write it with fewer terms") from None
    except DataError as error:
        raise DataError(f"cannot read {formula!r}: {error.problem}", hint=error.hint) from error
    if response[0] in terms:
        raise DataError(
            f"{formula!r} has its response among its terms",
            hint="leave it out there",
            column=response[0],
        )
    return response[0], list(dict.fromkeys(response + terms))


def proportion(formula: str) -> tuple[str, str | float]:
    """Successes and trials of a formula's response ``p(successes, trials)``.

    Returns
    -------
    successes : str
        A column.
    trials : str or number
        A column, or one number for all rows.

    Raises
    ------
    DataError
        If the response is anything else.

    Examples
    --------
    >>> proportion("p(hits, 10) ~ pose")
    ('hits', 10)
    """
    match _parse(formula).left:
        case node.Call(
            callee=node.Variable(name=called),
            args=[node.Variable(name=successes), node.Variable() | node.Literal() as trials],
        ) if called.lexeme in PROPORTIONS:
            known = trials.value if isinstance(trials, node.Literal) else trials.name.lexeme
            return successes.lexeme, known
    raise DataError(
        f"the response of {formula!r} is not successes out of trials",
        hint="write it as p(successes, trials) ~ terms",
    )


def left_side(formula: str) -> object:
    """The parsed response of a formula."""
    return _parse(formula).left


def flat_formula(formula: str) -> str:
    """A formula without group terms, multiplied out: each term stands by itself.

    formulae gives terms of one product the same factors, and of two codings of a factor, as in
    ``a/b`` or ``0 + a*b``, it remembers the last.

    Examples
    --------
    >>> flat_formula("y ~ a/b"), flat_formula("log(y) ~ 0 + a*`b c`"), flat_formula("y ~ a*b - b:a")
    ('y ~ 1 + a + a:b', 'log(y) ~ 0 + a + `b c` + a:`b c`', 'y ~ 1 + a + b')
    """
    response = formula[: formula.index("~")].strip()
    columns = set(formula_columns(formula)[1])
    terms = fm.model_description(formula).common_terms
    gone = _taken_out(Parser(Scanner(formula).scan()).parse().right)
    found = ["1" if any(one.name == "Intercept" for one in terms) else "0"]
    found += [
        as_written(one, columns)
        for one in terms
        if hasattr(one, "components") and _members(one) not in gone
    ]
    return f"{response} ~ {' + '.join(found)}"


def _taken_out(tree: object) -> set[frozenset[str]]:
    """Terms after a minus, by their components: ``a:b`` and ``b:a`` are one term.

    formulae compares terms with their components in order, and ignores what it does not find.

    Raises
    ------
    DataError
        If a term before the minus is not there.
    """
    match tree:
        case node.Binary(operator=operator, left=left, right=right) if operator.kind == "MINUS":
            before = {_members(one) for one in _terms_of(left)}
            gone = [one for one in _terms_of(right) if hasattr(one, "components")]
            for one in gone:
                if _members(one) not in before:
                    raise DataError(
                        f"the formula takes out {one.name!r}, which is not in it",
                        hint="correct the term after the minus",
                    )
            return _taken_out(left) | set(map(_members, gone))
        case node.Binary(operator=operator, left=left, right=right) if operator.kind == "PLUS":
            added = {_members(one) for one in _terms_of(right)}
            return _taken_out(left) - added
    return set()


def _terms_of(tree: Any) -> list[Any]:
    """Terms of the population in a part of a formula, multiplied out."""
    found = Resolver(tree).resolve()
    return list(getattr(found, "common_terms", [found]))


def _members(term: Any) -> frozenset[str]:
    return frozenset(str(one.name) for one in getattr(term, "components", ()))


def as_written(term: Any, columns: set[str]) -> str:
    """A term of formulae's as a formula has it, with the backticks that names need."""
    parts = []
    for component in term.components:
        text = str(component.name)
        for name in sorted(set(component.var_names) & columns, key=len, reverse=True):
            if not name.isidentifier():
                text = text.replace(name, f"`{name}`")
        parts.append(text)
    return ":".join(parts)


@contextmanager
def building(formula: str, used: pd.DataFrame) -> Iterator[None]:
    """Raise what bambi and formulae cannot make of a formula as a DataError with their reason."""
    try:
        yield
    except DataError:
        raise
    except UNBUILDABLE as error:
        if "need at least one array" in str(error):  # an interaction of a factor of one level
            raise one_level(formula, used) from error
        raise DataError(
            f"no model from {formula!r} ({error})",
            hint="correct the formula, the link or the priors",
        ) from error


@lru_cache(maxsize=256)
def _parse(formula: str) -> node.Binary:
    """The formula's tree, a tilde at its root. It is kept for the next call: not to be changed."""
    if len(formula) > MAX_LENGTH:
        raise DataError(
            f"the formula has {len(formula):,} characters; at most {MAX_LENGTH:,} are read",
            hint="write it with fewer terms",
        )
    if "{" in formula:
        raise DataError("braces in a formula run code", hint="use I(...) for arithmetic on columns")
    try:
        parser = Parser(Scanner(readable_formula(formula)).scan(add_intercept=False))
        tree = parser.parse()
        if not parser.at_end():  # formulae would drop the rest without a word
            raise ParseError(f"cannot read on from {parser.peek().lexeme!r}")
    except (ScanError, ParseError, ValueError, IndexError, AttributeError, RecursionError) as error:
        hints = [hint for sign, hint in SIGNS.items() if sign in formula]
        raise DataError(
            f"cannot read the formula {formula!r} ({error})",
            hint=(hints or ["write it as response ~ terms + (1|group)"])[0],
        ) from error
    if not (isinstance(tree, node.Binary) and tree.operator.kind == "TILDE"):
        raise DataError(f"no response in {formula!r}", hint="write it as response ~ terms")
    return tree


def _walk(tree: object, columns: list[str]) -> None:
    match tree:
        case node.Binary():
            _walk(tree.left, columns)
            _walk(tree.right, columns)
        case node.Unary():
            _walk(tree.right, columns)
        case node.Grouping():
            _walk(tree.expression, columns)
        case node.Assign():
            _walk(tree.value, columns)
        case node.Call():
            name = getattr(getattr(tree.callee, "name", None), "lexeme", "?")
            if name not in FUNCTIONS:
                meant = f"{ELSEWHERE[name]}; or " if name in ELSEWHERE else ""
                raise DataError(
                    f"the formula calls {name!r}",
                    hint=f"{meant}compute it as a column, or use one of "
                    f"{', '.join(sorted(FUNCTIONS))}",
                )
            for argument in without_contrast(tree) if name == "C" else tree.args:
                _walk(argument, columns)
        case node.Variable():
            columns.append(tree.name.lexeme)
        case node.QuotedName():
            columns.append(tree.expression.lexeme[1:-1])


def one_level(term: str, used: pd.DataFrame) -> DataError:
    """Error of a term that has no column in a design, since its factors have one level."""
    names = [name for name in re.findall(r"\w+", term) if name in used]
    names = [name for name in dict.fromkeys(names) if used[name].nunique() == 1]
    told = " and ".join(map(repr, names)) or "a factor"
    return DataError(
        f"{told} has one level only in these rows, so that it has no effect to estimate",
        hint="leave it out of the formula, or keep rows of other levels too",
        column=names[0] if names else None,
    )
