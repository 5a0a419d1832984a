"""Group terms beyond bambi's: correlated slopes, ``||``, and multi-membership ``mm(a, b)``.

In lme4 and brms ``(pose|seed)`` correlates a seed's intercept and slope, and ``(pose||seed)`` does
not; bambi knows only the second, under the first's spelling. ``(1|mm(seed_a, seed_b))`` gives a row
to two members of one grouping factor, as an impostor pair belongs to two seeds.
"""

import re
from dataclasses import dataclass

from causalbias.errors import DataError

_MEMBERS = re.compile(r"mm\(([^()]*)\)")


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
    """

    start: int
    end: int
    effects: str
    factor: str
    correlated: bool
    members: tuple[str, ...]


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
    parts: list[GroupPart] = []
    opened: list[int] = []
    bars: dict[int, int] = {}
    for at, char in enumerate(formula):
        if char == "(":
            opened.append(at)
        elif char == "|" and opened:
            bars.setdefault(opened[-1], at)
        elif char == ")":
            if not opened:
                raise DataError(f"unmatched ) in {formula!r}", hint="close what was opened")
            start = opened.pop()
            if start in bars:
                parts.append(_part(formula, start, bars[start], at + 1))
    if opened:
        raise DataError(f"unmatched ( in {formula!r}", hint="close it")
    return parts


def _part(formula: str, start: int, bar: int, end: int) -> GroupPart:
    double = formula[bar + 1] == "|"
    factor = formula[bar + 1 + double : end - 1].strip()
    members: tuple[str, ...] = ()
    if "mm(" in factor:
        found = _MEMBERS.fullmatch(factor)
        members = tuple(one.strip() for one in found[1].split(",")) if found else ()
        if len(members) < 2 or not all(one.isidentifier() for one in members):
            raise DataError(
                f"cannot read the factor {factor!r}",
                hint="name two or more columns: (1|mm(seed_a, seed_b))",
            )
        factor = f"mm({', '.join(members)})"
    return GroupPart(start, end, formula[start + 1 : bar].strip(), factor, not double, members)


def readable_formula(formula: str) -> str:
    """The formula with ``||`` as one bar and ``mm(a, b)`` as ``a:b``, which names its columns."""
    for part in reversed(group_parts(formula)):
        factor = ":".join(part.members) or part.factor
        formula = f"{formula[: part.start]}({part.effects}|{factor}){formula[part.end :]}"
    return formula


def common_formula(formula: str) -> str:
    """The formula without its group terms.

    Examples
    --------
    >>> common_formula("y ~ x + (x||g) + (1|mm(a, b))"), common_formula("y ~ (1|g)")
    ('y ~ x', 'y ~ 1')
    """
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
