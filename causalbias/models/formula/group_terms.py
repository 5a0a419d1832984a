"""Group terms beyond bambi's: correlated slopes, ``||``, ``mm(a, b)`` and ``gr(seed, by=race)``.

In lme4 and brms ``(pose|seed)`` correlates a seed's intercept and slope, and ``(pose||seed)`` does
not; bambi knows only the second, under the first's spelling. ``(1|mm(seed_a, seed_b))`` gives a row
to two members of one grouping factor, as an impostor pair belongs to two seeds, with equal weights
or with those of columns: ``mm(a, b, weights=cbind(w, v))``. ``(1|gr(seed, by=race))`` gives the
seeds of each race a standard deviation of their own. Terms of several formulas that share a name
between two bars, ``(1|p|seed)``, have effects that are correlated with each other's.
"""

import re
from dataclasses import dataclass, replace

from causalbias.errors import DataError
from causalbias.models.formula.signs import brackets, signs_of
from causalbias.models.formula.smooths import without_smooths

_MEMBERS = re.compile(
    r"mm\(([^()=]*?)(?:,\s*weights\s*=\s*cbind\(([^()]*)\))?"
    r"(?:,\s*scale\s*=\s*(TRUE|FALSE|True|False)\s*)?\)"
)
_NAME = re.compile(r"[^\W_]+")
_BY = re.compile(r"gr\(([^(),=]+)(?:,\s*by\s*=\s*([^(),=]+))?\)")


@dataclass(frozen=True)
class GroupPart:
    """One ``(effects|factor)`` of a formula.

    Attributes
    ----------
    start, end : int
        Where it stands in the formula, parentheses included.
    effects, factor : str
        Text left and right of the bar.
    correlated : bool
        Whether it was written with one bar and not two.
    members : tuple of str
        The columns of ``mm(...)``; empty for an ordinary factor.
    weights : tuple of str
        The columns of the members' weights; empty for equal ones.
    scaled : bool
        Whether a row's weights are divided by their sum, brms's default.
    by : str
        The column of ``gr(factor, by=column)``; empty for one covariance of all levels.
    shared : str
        The name in ``(1|name|factor)``; empty where there is none.
    """

    start: int
    end: int
    effects: str
    factor: str
    correlated: bool
    members: tuple[str, ...]
    weights: tuple[str, ...] = ()
    scaled: bool = True
    by: str = ""
    shared: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns right of the bar that are named in functions."""
        return (*self.members, *self.weights, *filter(None, [self.by]))


def group_parts(formula: str) -> list[GroupPart]:
    """The group terms of a formula, in order.

    Raises
    ------
    DataError
        If parentheses do not match, or ``mm`` has fewer than two columns.

    Examples
    --------
    >>> [(part.factor, part.correlated) for part in group_parts("y ~ x + (x||g) + (1|mm(a, b))")]
    [('g', False), ('mm(a, b)', True)]
    """
    bars = [at for at, sign in enumerate(signs_of(formula)) if sign == "|"]
    found = brackets(formula)
    # A bar is of the innermost brackets about it, which come first.
    of_bar = {at: next((one for one in found if one[0] < at < one[1]), None) for at in bars}
    first = {pair: at for at, pair in reversed(of_bar.items()) if pair is not None}
    return [_part(formula, pair[0], first[pair], pair[1] + 1) for pair in found if pair in first]


def _part(formula: str, start: int, bar: int, end: int) -> GroupPart:
    double = formula[bar + 1] == "|"
    factor, shared = formula[bar + 1 + double : end - 1].strip(), ""
    if "|" in factor.split("(", 1)[0]:  # that of a term within this one is the grammar's to refuse
        shared, factor = (one.strip() for one in factor.split("|", 1))
        if double or not _NAME.fullmatch(shared) or "|" in factor:
            raise DataError(
                f"cannot read the group term {formula[start:end]!r}",
                hint="effects that are correlated across formulas share letters or digits between "
                "two bars: (1|p|seed)",
            )
    effects = formula[start + 1 : bar].strip()
    part = GroupPart(start, end, effects, factor, not double, (), shared=shared)
    if "mm(" in factor:
        return _of_members(part)
    return _of_levels(part) if "gr(" in factor else part


def _of_members(part: GroupPart) -> GroupPart:
    """The term of ``mm(a, b)``, with its members' weights."""
    found = _MEMBERS.fullmatch(part.factor)
    members = _names(found[1]) if found else ()
    if len(members) < 2 or not all(one.isidentifier() for one in members):
        raise DataError(
            f"cannot read the factor {part.factor!r}",
            hint="name two or more columns: (1|mm(seed_a, seed_b)), and with weights "
            "(1|mm(seed_a, seed_b, weights=cbind(w_a, w_b)))",
        )
    weights = _names(found[2]) if found and found[2] else ()
    if weights and (len(weights) != len(members) or not all(map(str.isidentifier, weights))):
        raise DataError(
            f"{part.factor!r} has {len(members)} members and {len(weights)} weights",
            hint="name a column of weights for each: weights=cbind(w_a, w_b)",
        )
    scaled = not found or found[3] not in ("FALSE", "False")
    name = f"mm({', '.join(members)})"
    return replace(part, factor=name, members=members, weights=weights, scaled=scaled)


def _of_levels(part: GroupPart) -> GroupPart:
    """The term of ``gr(factor, by=column)``; of ``gr(factor)``, an ordinary one."""
    found = _BY.fullmatch(part.factor)
    by = (found[2] or "").strip() if found else ""
    if not found or not (by == "" or by.isidentifier()) or "/" in found[1]:
        raise DataError(
            f"cannot read the factor {part.factor!r}",
            hint="name a factor and the column that its levels are divided by: "
            "(1|gr(seed, by=race))",
        )
    return replace(part, factor=found[1].strip(), by=by)


def _names(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(","))


def readable_formula(formula: str) -> str:
    """The formula with ``||`` as one bar and ``mm(a, b)`` as ``a:b``, which names its columns."""
    for part in reversed(group_parts(formula)):
        named = part.columns if part.members else (part.factor, *part.columns)
        factor = ":".join(named)
        formula = f"{formula[: part.start]}({part.effects}|{factor}){formula[part.end :]}"
    return formula


def common_formula(formula: str) -> str:
    """The formula without its group terms, and with the straight lines of its smooth terms.

    Examples
    --------
    >>> common_formula("y ~ s(x) + (x||g) + (1|mm(a, b))"), common_formula("y ~ (1|g)")
    ('y ~ x', 'y ~ 1')
    """
    formula = without_smooths(formula)
    for part in reversed(group_parts(formula)):
        before, after = formula[: part.start].rstrip(), formula[part.end :].lstrip()
        if before.endswith("+"):
            before = before[:-1].rstrip()
        elif after.startswith("+"):
            after = after[1:].lstrip()
        elif before.endswith("~"):
            before += " 1"
        formula = f"{before} {after}".strip()
    return formula
