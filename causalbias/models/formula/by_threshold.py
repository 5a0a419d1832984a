"""Effects that differ between the thresholds of an ordinal model: ``score ~ race + cs(pose)``."""

import re

from causalbias.errors import DataError

_CALL = re.compile(r"(?<![\w.`])cs\s*\(")


def split_by_threshold(formula: str) -> tuple[str, str]:
    """A formula without its ``cs(...)``, and the terms that stand in these.

    Raises
    ------
    DataError
        If one is no term by itself.

    Examples
    --------
    >>> split_by_threshold("score ~ race + cs(pose + age) + (1|annotator)")
    ('score ~ race + (1|annotator)', 'pose + age')
    >>> split_by_threshold("score ~ cs(pose)"), split_by_threshold("score ~ pose")
    (('score ~ 1', 'pose'), ('score ~ pose', ''))
    """
    response, tilde, right = formula.partition("~")
    if not _CALL.search(right):
        return formula, ""
    kept, own = [], []
    for term in _terms(right):
        found = _CALL.match(term.strip())
        inside = term.strip()[found.end() : -1] if found else ""
        if not found:
            kept.append(term.strip())
        if _CALL.search(term if not found else inside) or (found and not _whole(inside)):
            raise DataError(
                f"cannot read {term.strip()!r}",
                hint="cs() holds terms of the population, and is a term by itself: "
                "score ~ race + cs(pose + age) + (1|annotator)",
            )
        if found:
            own.append(inside.strip())
    return f"{response.rstrip()} {tilde} {' + '.join(kept) or '1'}", " + ".join(own)


def _terms(right: str) -> list[str]:
    """What stands between plus signs outside of parentheses."""
    found, depth = [""], 0
    for letter in right:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "+" and depth == 0:
            found.append("")
        else:
            found[-1] += letter
    return found


def _whole(inside: str) -> bool:
    """Whether that is all that one pair of parentheses holds, and no group term."""
    depth = 0
    for letter in inside:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth < 0:
            return False
    return depth == 0 and bool(inside.strip()) and "|" not in inside
