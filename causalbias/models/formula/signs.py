"""Signs of a formula, which a name in backquotes may hold as well: ``y ~ `age (years)` + x``."""

import re

from causalbias.errors import DataError

_NAME = re.compile(r"`[^`]*`")


def signs_of(formula: str) -> str:
    """The formula, as long as it is, with underscores for names in backquotes.

    Each sign that is left stands for itself.

    Examples
    --------
    >>> signs_of("y ~ `a+b)` + (x|g)")
    'y ~ ______ + (x|g)'
    """
    return _NAME.sub(lambda found: "_" * len(found[0]), formula)


def brackets(formula: str) -> list[tuple[int, int]]:
    """Where each bracket stands and where the one that closes it, the inner before the outer.

    Raises
    ------
    DataError
        If one is not closed, or not opened.

    Examples
    --------
    >>> brackets("(a + (b))"), brackets("`c)`")
    ([(5, 7), (0, 8)], [])
    """
    found, opened = [], []
    for at, sign in enumerate(signs_of(formula)):
        if sign == "(":
            opened.append(at)
        elif sign == ")":
            if not opened:
                raise DataError(f"unmatched ) in {formula!r}", hint="close what was opened")
            found.append((opened.pop(), at))
    if opened:
        raise DataError(f"unmatched ( in {formula!r}", hint="close it")
    return found


def summands(text: str) -> list[str]:
    """What stands between the plus signs that are in no brackets.

    Examples
    --------
    >>> summands("`a+b` + (x + y|g) + c")
    ['`a+b`', '(x + y|g)', 'c']
    """
    within = brackets(text)
    signs = signs_of(text)
    plus = [
        at
        for at, sign in enumerate(signs)
        if sign == "+" and not any(start < at < end for start, end in within)
    ]
    starts, ends = [0, *(at + 1 for at in plus)], [*plus, len(text)]
    return [text[start:end].strip() for start, end in zip(starts, ends, strict=True)]
