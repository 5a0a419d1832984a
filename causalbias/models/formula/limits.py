"""What a formula says of its response, as in brms: ``y | cens(status) + trunc(ub=2) ~ race``.

Rows are censored, rows beyond bounds are not among the data, answers have a scale with
categories that nobody chose: ``score | thres(6) ~ race``, or thresholds that differ between the
levels of a column: ``score | thres(gr=item) ~ race``.
"""

import math
import re
from dataclasses import dataclass, fields

import pandas as pd

from causalbias.errors import DataError

_NAME = re.compile(r"`[^`]+`|[^\W\d]\w*")
_LEFT = re.compile(
    r"^(?P<response>[^|~]*)\|(?P<limits>[^|~]*\b(?:cens|trunc|thres)\s*\([^|~]*)(?=~)"
)
_CALL = re.compile(r"\s*(?P<name>\w+)\s*\((?P<arguments>[^()]*)\)\s*(?P<plus>\+|$)")
STATES = ("none", "left", "right", "interval")
# The codes of brms, also as a missing cell beside them leaves them, and truths as brms takes them.
_CODES = {"0": "none", "-1": "left", "1": "right", "2": "interval"}
_CODES |= {f"{code}.0": state for code, state in _CODES.items()}
_CODES |= {"False": "none", "True": "right"}
_ORDER = {"cens": ("status", "upper"), "trunc": ("lb", "ub"), "thres": ("thresholds", "group")}
_KEYWORDS = {
    "cens": {"x": "status", "y2": "upper"},
    "trunc": {"lb": "lb", "ub": "ub"},
    "thres": {"x": "thresholds", "gr": "group"},
}
MAX_THRESHOLDS = 999


@dataclass(frozen=True)
class Limits:
    """What a formula says of responses that were not observed, or could or could not have been.

    Attributes
    ----------
    status : str, optional
        Column that says whether a row is censored: ``cens(status)``.
    upper : str, optional
        Column of the upper ends of rows known to lie in an interval: ``cens(status, upper)``.
    lb, ub : str or float, optional
        Columns or numbers: below and above these no response is in the data, ``trunc(lb=, ub=)``.
    thresholds : int, optional
        How many thresholds an ordinal response has, used or not: ``thres(6)`` of seven categories.
    group : str, optional
        Column of which each level has thresholds of its own: ``thres(gr=item)``.
    """

    status: str | None = None
    upper: str | None = None
    lb: str | float | None = None
    ub: str | float | None = None
    thresholds: int | None = None
    group: str | None = None

    def __bool__(self) -> bool:
        return any(getattr(self, one.name) is not None for one in fields(self))

    @property
    def of_rows(self) -> bool:
        """Whether rows are censored or truncated."""
        return self.status is not None or self.truncated

    @property
    def truncated(self) -> bool:
        """Whether there are bounds, so that the data lack responses beyond them."""
        return self.lb is not None or self.ub is not None

    @property
    def bounds(self) -> list[str]:
        """Columns of bounds."""
        return list(dict.fromkeys(one for one in (self.lb, self.ub) if isinstance(one, str)))

    @property
    def columns(self) -> list[str]:
        """All columns named."""
        of_censoring = [one for one in (self.status, self.upper) if one is not None]
        return list(dict.fromkeys([*of_censoring, *self.bounds]))


def states_of(values: pd.Series) -> pd.Series:
    """What a column says of each row: one of `STATES`, or what stands there where it says nothing.

    Words, the codes of brms (0, -1, 1 and 2, in the order of `STATES`), or whether a row is
    censored from the right.

    Examples
    --------
    >>> states_of(pd.Series([0, 1.0, -1])).tolist(), states_of(pd.Series(["none", "2"])).tolist()
    (['none', 'right', 'left'], ['none', 'interval'])
    """
    words = values.astype(str).astype(object)
    return words.map(lambda one: _CODES.get(one.strip(), one.strip()))


def split_limits(formula: str) -> tuple[str, Limits]:
    """A formula without its ``cens(...)``, ``trunc(...)`` and ``thres(...)``, and what these say.

    Raises
    ------
    DataError
        If the response is not a column, or what is named is neither a column nor, of a bound, a
        number.

    Examples
    --------
    >>> text, limits = split_limits("distance | cens(status) + trunc(lb=0) ~ race")
    >>> text, limits.status, limits.lb
    ('distance ~ race', 'status', 0.0)
    """
    found = _LEFT.match(formula)
    if found is None:
        return formula, Limits()
    response, rest = found["response"].strip(), found["limits"].strip()
    if response != "." and not _NAME.fullmatch(response):  # . of `update`
        raise _unread(formula[: found.end()])
    given: dict[str, str | int | float] = {}
    at, more = 0, True
    while more:
        call = _CALL.match(rest, at)
        if call is None or call["name"] not in _ORDER:
            raise _unread(formula[: found.end()])
        for key, value in _arguments(call["name"], call["arguments"]).items():
            if key in given:
                raise DataError(f"two {call['name']}(...) in {rest!r}", hint="write it once")
            given[key] = value
        at, more = call.end(), bool(call["plus"])
    if "upper" in given and "status" not in given:
        raise _unread(formula[: found.end()])
    return f"{response} {formula[found.end() :]}", Limits(**given)  # type: ignore[arg-type]


def _arguments(name: str, text: str) -> dict[str, str | int | float]:
    """Columns, and numbers where the call is of bounds or thresholds, by what they are."""
    found: dict[str, str | int | float] = {}
    order = iter(_ORDER[name])
    for one in text.split(","):
        keyword, equals, value = one.partition("=")
        key = _KEYWORDS[name].get(keyword.strip()) if equals else next(order, None)
        value = (value if equals else one).strip()
        if key is None or key in found:
            raise _unread(f"{name}({text})")
        if key == "thresholds":
            if not (value.isdecimal() and 1 <= int(value) <= MAX_THRESHOLDS):
                raise _unread(f"{name}({text})")
            found[key] = int(value)
            continue
        if _NAME.fullmatch(value):
            found[key] = value.strip("`")
            continue
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if name != "trunc" or not math.isfinite(number):
            raise _unread(f"{name}({text})")
        found[key] = number
    return found


def _unread(text: str) -> DataError:
    return DataError(
        f"cannot read {text.strip()!r}",
        hint="the response is a column as it is, and so is what says which rows are censored: "
        "y | cens(status) ~ x, or cens(status, upper) for intervals; bounds are columns or "
        'numbers: y | trunc(lb=0, ub=2) ~ x; for the logarithm write family="lognormal"; a scale '
        "of seven answers has six thresholds: score | thres(6) ~ x, and each item its own with "
        "thres(gr=item)",
    )


def with_limits(formula: str, limits: Limits) -> str:
    """A formula with its limits after its response, as it was written.

    Examples
    --------
    >>> with_limits("distance ~ race", Limits("status", ub=2.0))
    'distance | cens(status) + trunc(ub=2) ~ race'
    """
    if not limits:
        return formula
    response, _, right = formula.partition("~")
    terms = []
    if limits.status is not None:
        named = [_written(one) for one in (limits.status, limits.upper) if one is not None]
        terms.append(f"cens({', '.join(named)})")
    if limits.truncated:
        both = {"lb": limits.lb, "ub": limits.ub}
        told = [f"{key}={_written(one)}" for key, one in both.items() if one is not None]
        terms.append(f"trunc({', '.join(told)})")
    if limits.thresholds is not None or limits.group is not None:
        number = None if limits.thresholds is None else str(limits.thresholds)
        group = None if limits.group is None else f"gr={_written(limits.group)}"
        terms.append(f"thres({', '.join(one for one in (number, group) if one)})")
    return f"{response.rstrip()} | {' + '.join(terms)} ~{right}"


def _written(value: str | float) -> str:
    if isinstance(value, str):
        return value if _NAME.fullmatch(value) else f"`{value}`"
    return repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
